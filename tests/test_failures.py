"""Full disks, folders that cannot be written, readers that go away and kills, as the command line meets them.

Whatever fails ends with exit code 2 and one line, and what was there before stays as it was.
"""

import ctypes
import json
import os
import signal
import subprocess
import sys
import time
import warnings
from functools import partial
from pathlib import Path

import pytest
import torch
from samples import SMALL_NETWORK, TAGGED, bundled_model

import nlp_lstm
from nlp_lstm.__main__ import main
from nlp_lstm.weights import write_tensors

resource = pytest.importorskip("resource")

TEXT = "The old ferry leaves at six.\n" * 100
OLD = "what was there before\n"
OVERRIDE_MODES, READ_ANYTHING = 1 << 1, 1 << 2  # capabilities of Linux
VERSION_OF_CAPABILITIES = 0x20080522


@pytest.fixture
def place(tmp_path):
    bundled_model("pos-en")
    (tmp_path / "in.txt").write_text(TEXT, encoding="utf-8")
    (tmp_path / "in.conllu").write_bytes(TAGGED.read_bytes())
    return tmp_path


def begin(place, *arguments, before=lambda: None, stdin="in.txt") -> int:
    """Run the command line in a copy of this process, and return its number. What it says goes to said.txt."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # other threads are not needed there
        child = os.fork()
    if child:
        return child
    code: object = 1
    try:
        os.chdir(place)
        os.environ["NLP_LSTM_CACHE"] = str(place / "cache")
        for number, name, mode in ((0, stdin, os.O_RDONLY), (1, "out.txt", WRITE), (2, "said.txt", WRITE)):
            os.dup2(os.open(name, mode), number)
        sys.stdin, sys.stdout, sys.stderr = (open(n, m, encoding="utf-8") for n, m in enumerate("rww"))  # noqa: SIM115
        warnings.resetwarnings()
        sys.argv = ["nlp-lstm", *map(str, arguments)]
        before()
        main()
    except SystemExit as stop:
        code = stop.code
    finally:
        sys.stderr.flush()
        os._exit(code if isinstance(code, int) else 1)


WRITE = os.O_WRONLY | os.O_CREAT | os.O_TRUNC


def complaint(place, child) -> str:
    """Return the one line that a command ends with."""
    status = os.waitpid(child, 0)[1]
    said = (place / "said.txt").read_text(encoding="utf-8")
    assert os.waitstatus_to_exitcode(status) == 2, said
    (place / "said.txt").unlink()
    (place / "out.txt").unlink()
    lines = said.splitlines()
    assert len(lines) == 1, said
    return lines[0]


def start(place, *arguments, **options):
    """Run the command line in a process of its own."""
    environment = {**os.environ, "PYTHONPATH": str(Path(nlp_lstm.__file__).parent.parent), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "nlp_lstm", *map(str, arguments)]
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
    return subprocess.Popen(command, cwd=place, env=environment, text=True, **options)


def contents(folder: Path) -> dict[str, bytes]:
    """The files below a folder, by path."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def small_files(num_bytes: int) -> None:
    """Let no file become larger, as on a disk that is nearly full."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, num_bytes))


# ---- full disks


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no /dev/full")
def test_stdout_on_a_full_disk(place):
    with Path("/dev/full").open("w") as full:
        process = start(place, "predict", "pos", "in.txt", stdout=full)
        _, said = process.communicate()
    assert (process.returncode, said) == (2, "system: No space left on device\n")


@pytest.mark.parametrize("is_there", [False, True])
def test_a_file_that_does_not_fit_on_the_disk(place, is_there):
    if is_there:
        (place / "out.jsonl").write_text(OLD, encoding="utf-8")
    before = contents(place)
    said = complaint(
        place, begin(place, "predict", "pos", "in.txt", "-o", "out.jsonl", before=partial(small_files, 20_000))
    )
    assert said.endswith("File too large")
    assert contents(place) == before
    assert not list(place.glob(".*"))


def test_a_model_that_does_not_fit_on_the_disk(place):
    before = contents(place)
    limit = partial(small_files, 1_000_000)
    assert "File too large" in complaint(place, begin(place, "export", "pos", "--output", "copy", before=limit))
    assert contents(place) == before
    assert not list(place.glob(".*"))


def test_weights_that_do_not_fit_on_the_disk(tmp_path):
    (tmp_path / "said").touch()
    child = os.fork()
    if child == 0:
        try:
            small_files(1_000)
            write_tensors({"x": torch.ones(1_000)}, tmp_path / "a.safetensors")
        except OSError as error:
            (tmp_path / "said").write_text(f"{error.filename}: {error.strerror}", encoding="utf-8")
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    said = (tmp_path / "said").read_text(encoding="utf-8")
    assert said.startswith(f"{tmp_path / 'a.safetensors'}: cannot be written (")
    assert "File too large" in said
    assert [path.name for path in tmp_path.iterdir()] == ["said"]


@pytest.mark.slow
def test_a_training_that_does_not_fit_on_the_disk_goes_on_when_there_is_room(place):
    given = ["run", "pos", *SMALL_NETWORK, "training.tokens=600", "--data", "in.conllu", "--output", "work"]
    process = start(place, *given, preexec_fn=partial(small_files, 30_000))
    _, said = process.communicate()
    assert (process.returncode, said.count("\n")) == (2, 1), said
    assert "File too large" in said
    assert not (place / "work" / "model").exists()
    assert not list((place / "work").glob("*.part"))
    process = start(place, "run", "pos", "--output", "work", "--resume")
    process.communicate()
    assert process.returncode == 0
    assert json.loads((place / "work" / "run.json").read_text(encoding="utf-8"))["is_finished"]


# ---- folders that cannot be written


def as_anybody() -> None:
    """Give up root's right to write where the modes forbid it."""
    if sys.platform == "linux":
        library = ctypes.CDLL(None)
        header = (ctypes.c_uint32 * 2)(VERSION_OF_CAPABILITIES, 0)
        rights = (ctypes.c_uint32 * 6)()  # effective, permitted, inheritable; twice 32 of each
        library.capget(header, rights)
        for kind in (0, 1):
            rights[kind] &= ~(OVERRIDE_MODES | READ_ANYTHING)
        library.capset(header, rights)
    if os.access("closed", os.W_OK):
        os._exit(77)


@pytest.mark.parametrize(
    "command",
    [
        ("predict", "pos", "in.txt", "-o", "closed/out.jsonl"),
        ("predict", "pos", "in.txt", "-o", "closed/new/out.jsonl"),
        ("export", "pos", "--output", "closed/copy"),
        ("annotate", "in.txt", "closed/out", "--model", "pos"),
        pytest.param(
            ("run", "pos", *SMALL_NETWORK, "--data", "in.conllu", "--output", "closed/work"), marks=pytest.mark.slow
        ),
    ],
    ids=lambda command: f"{command[0]} {command[-1]}",
)
def test_a_folder_that_cannot_be_written(place, command):
    closed = place / "closed"
    closed.mkdir()
    closed.chmod(0o555)
    try:
        child = begin(place, *command, before=as_anybody)
        if os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT).si_status == 77:
            os.waitpid(child, 0)
            pytest.skip("this user may write everywhere")
        said = complaint(place, child)
    finally:
        closed.chmod(0o755)
    assert "Permission denied" in said
    assert "closed" in said
    assert list(closed.iterdir()) == []


# ---- readers that go away, and kills


def test_a_reader_that_goes_away(place):
    with (place / "in.txt").open() as given:
        process = start(place, "stream", "pos", stdin=given)
        process.stdout.close()
        said = process.stderr.read()
        process.stderr.close()
    assert (process.wait(), said) == (0, "")


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT], ids=lambda end: end.name)
def test_a_prediction_that_is_ended_midway_leaves_the_old_file(place, end):
    (place / "out.jsonl").write_text(OLD, encoding="utf-8")
    os.mkfifo(place / "pipe")
    child = begin(place, "predict", "pos", "-o", "out.jsonl", stdin="pipe")
    with (place / "pipe").open("w", encoding="utf-8") as pipe:
        pipe.write(TEXT)
        pipe.flush()
        while not list(place.glob(".nlp-lstm-*/draft")) and os.waitpid(child, os.WNOHANG) == (0, 0):
            time.sleep(0.02)
        os.kill(child, end)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code == (130 if end == signal.SIGINT else -end)
    assert (place / "out.jsonl").read_text(encoding="utf-8") == OLD

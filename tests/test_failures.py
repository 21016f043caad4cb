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
from functools import partial
from pathlib import Path

import pytest
from samples import SMALL_NETWORK, TAGGED, bundled_model

import nlp_lstm

resource = pytest.importorskip("resource")

TEXT = "The old ferry leaves at six.\n" * 200
DROP_FROM_BOUNDING_SET, OVERRIDE_MODES, READ_ANYTHING = 24, 1, 2  # of Linux: prctl and capabilities
OLD = "what was there before\n"


@pytest.fixture
def place(tmp_path):
    bundled_model("pos-en")
    (tmp_path / "in.txt").write_text(TEXT, encoding="utf-8")
    return tmp_path


def run(place, *arguments, **options):
    """Run the command line in a folder and return the process."""
    environment = {**os.environ, "PYTHONPATH": str(Path(nlp_lstm.__file__).parent.parent), "OMP_NUM_THREADS": "1"}
    environment["NLP_LSTM_CACHE"] = str(place / "cache")
    command = [sys.executable, "-m", "nlp_lstm", *map(str, arguments)]
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "stdin": subprocess.DEVNULL, **options}
    return subprocess.Popen(command, cwd=place, env=environment, text=True, **options)


def complaint(process) -> str:
    """Return the one line that a process ends with."""
    _, said = process.communicate()
    assert process.returncode == 2, said
    lines = [line for line in said.splitlines() if not line.startswith("note: ")]
    assert len(lines) == 1, said
    return lines[0]


def contents(folder: Path) -> dict[str, bytes]:
    """The files below a folder, by path."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def small_files(num_bytes: int) -> None:
    """Let no file become larger, as on a disk that is nearly full."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, num_bytes))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no /dev/full")
@pytest.mark.parametrize("command", ["predict", "stream"])
def test_stdout_on_a_full_disk(place, command):
    with Path("/dev/full").open("w") as full, (place / "in.txt").open() as given:
        said = complaint(run(place, command, "pos", stdout=full, stdin=given))
    assert said == "system: No space left on device"


@pytest.mark.parametrize("is_there", [False, True])
def test_a_file_that_does_not_fit_on_the_disk(place, is_there):
    if is_there:
        (place / "out.jsonl").write_text(OLD, encoding="utf-8")
    before = contents(place)
    said = complaint(run(place, "predict", "pos", "in.txt", "-o", "out.jsonl", preexec_fn=partial(small_files, 20_000)))
    assert said.endswith("File too large")
    assert contents(place) == before
    assert sorted(path.name for path in place.iterdir()) == ["in.txt", *(["out.jsonl"] if is_there else [])]


def test_a_model_that_does_not_fit_on_the_disk(place):
    limit = partial(small_files, 1_000_000)
    assert "File too large" in complaint(run(place, "export", "pos", "--output", "copy", preexec_fn=limit))
    assert [path.name for path in place.iterdir()] == ["in.txt"]


def test_a_training_that_does_not_fit_on_the_disk_goes_on_when_there_is_room(place):
    settings = [*SMALL_NETWORK, "training.tokens=600"]
    given = ["run", "pos", *settings, "--data", TAGGED, "--output", "work"]
    said = complaint(run(place, *given, preexec_fn=partial(small_files, 30_000)))
    assert "cannot be written" in said
    assert "File too large" in said
    assert not (place / "work" / "model").exists()
    assert not list((place / "work").glob("*.part"))
    process = run(place, "run", "pos", "--output", "work", "--resume")
    process.communicate()
    assert process.returncode == 0
    assert json.loads((place / "work" / "run.json").read_text(encoding="utf-8"))["is_finished"]


def as_anybody() -> None:
    """Give up root's right to write where the modes forbid it."""
    library = ctypes.CDLL(None)
    for right in (OVERRIDE_MODES, READ_ANYTHING):
        library.prctl(DROP_FROM_BOUNDING_SET, right, 0, 0, 0)


def can_still_write(folder: Path) -> bool:
    code = f"import os, sys; sys.exit(os.access({str(folder)!r}, os.W_OK))"
    return subprocess.run([sys.executable, "-c", code], preexec_fn=limits(), check=False).returncode == 1


def limits():
    return as_anybody if sys.platform == "linux" and os.getuid() == 0 else None


@pytest.mark.parametrize(
    "command",
    [
        ("predict", "pos", "in.txt", "-o", "closed/out.jsonl"),
        ("predict", "pos", "in.txt", "-o", "closed/new/out.jsonl"),
        ("export", "pos", "--output", "closed/copy"),
        ("annotate", "in.txt", "closed/out", "--model", "pos"),
        ("run", "pos", "--data", "in.conllu", "--output", "closed/work"),
    ],
    ids=lambda command: f"{command[0]} {command[-1]}",
)
def test_a_folder_that_cannot_be_written(place, command):
    (place / "in.conllu").write_bytes(TAGGED.read_bytes())
    closed = place / "closed"
    closed.mkdir()
    closed.chmod(0o555)
    try:
        if can_still_write(closed):
            pytest.skip("this user may write everywhere")
        said = complaint(run(place, *command, preexec_fn=limits()))
    finally:
        closed.chmod(0o755)
    assert "Permission denied" in said
    assert "closed" in said
    assert list(closed.iterdir()) == []


@pytest.mark.parametrize("command", [("stream", "pos"), ("models",), ("data",)], ids=lambda command: command[0])
def test_a_reader_that_goes_away(place, command):
    with (place / "in.txt").open() as given:
        process = run(place, *command, stdin=given)
        process.stdout.close()
        said = process.stderr.read()
        process.stderr.close()
    assert (process.wait(), said) == (0, "")


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="the system has no SIGKILL")
@pytest.mark.parametrize("end", ["SIGKILL", "SIGTERM", "SIGINT"])
def test_a_prediction_that_is_ended_midway_leaves_the_old_file(place, end):
    (place / "out.jsonl").write_text(OLD, encoding="utf-8")
    process = run(place, "predict", "pos", "-o", "out.jsonl", stdin=subprocess.PIPE)
    process.stdin.write(TEXT)
    process.stdin.flush()
    while process.poll() is None and not list(place.glob(".nlp-lstm-*/draft")):
        time.sleep(0.02)
    process.send_signal(getattr(signal, end))
    process.communicate()
    assert process.returncode == (130 if end == "SIGINT" else -getattr(signal, end))
    assert (place / "out.jsonl").read_text(encoding="utf-8") == OLD

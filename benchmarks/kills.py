"""What is left after kill -9 at random moments: nothing lost, nothing half-written.

training   a small tagger, gone on with by --resume; at the end its weights are those of a run without kills
annotate   a file of sentences on two processes, gone on with by --resume; at the end all bytes are those without kills
fetch      a data set unpacked from an archive into the cache, again and again; the cache has all of it or nothing
save       a model saved over another one, again and again; a whole model can be opened, the old one or the new one

The kills take turns. Each is noted in the folder, so that the work goes on after any stop, also by kill -9.

python benchmarks/kills.py [--kills 200] [--folder runs/kills] [--model pos]
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO

from nlp_lstm.artifacts import existing_folder, read_folder
from nlp_lstm.data.packages import unpack_archive
from nlp_lstm.data.sources import SourceError, fill_cache, find_cached
from nlp_lstm.errors import NlpLstmError
from nlp_lstm.files import write_whole
from nlp_lstm.pipeline import Pipeline

SAMPLE = Path(__file__).parent.parent / "tests" / "data" / "samples" / "hand.conllu"
SMALL = (
    "model.embedding.vectors=null",
    "model.embedding.character_hidden=16",
    "model.hidden=32",
    "model.layers=1",
    "training.batch_tokens=200",
    "training.epochs=0",
    "training.tokens=30_000",
    "training.evaluations=8",
    "training.threads=1",
    "training.precision=fp32",
    "also_evaluate=[]",
    "baselines.tokens=0",
)
SENTENCES = 4_000
SECONDS_IN_LOOP = 1.5  # within which a process that works again and again is killed


@dataclass
class Count:
    """What has been seen of one kind of victim.

    Args:
        kills: of processes that were at work.
        ends: how often the work came to its end and was compared.
        faults: what was lost or half-written.
    """

    kills: int = 0
    ends: int = 0
    faults: list[str] = field(default_factory=list)


def main() -> None:
    """Kill, check, count."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200, help="in all")
    parser.add_argument("--folder", type=Path, default=Path("runs/kills"), help="goes on with what is there")
    parser.add_argument("--model", default="pos", help="what annotates and is saved: a task, a name or a folder")
    parser.add_argument("--loop", choices=["fetch", "save"], help="be a victim")
    arguments = parser.parse_args()
    if arguments.loop is not None:
        {"fetch": fetch_in_loop, "save": save_in_loop}[arguments.loop](arguments.folder, arguments.model)
        return
    arguments.folder.mkdir(parents=True, exist_ok=True)
    noted = arguments.folder / "kills.json"
    before = json.loads(noted.read_text(encoding="utf-8")) if noted.exists() else {}
    counts = {name: Count(**before.get(name, {})) for name in VICTIMS}
    while sum(count.kills for count in counts.values()) < arguments.kills:
        name, count = min(counts.items(), key=lambda item: item[1].kills)
        VICTIMS[name](arguments.folder, arguments.model, count)
        write_whole(noted, json.dumps({name: asdict(count) for name, count in counts.items()}, indent=1) + "\n")
        print(f"{name:<10}{count.kills:>5} kills, {count.ends} ends, {len(count.faults)} faults", flush=True)
    faults = [f"{name}: {fault}" for name, count in counts.items() for fault in count.faults]
    print(f"{sum(count.kills for count in counts.values())} kills, {len(faults)} faults")
    for fault in faults:
        print(fault)
    sys.exit(1 if faults else 0)


def start(*arguments: object, log: IO[str]) -> subprocess.Popen[bytes]:
    """Start Python in a process group of its own."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, *map(str, arguments)]
    return subprocess.Popen(command, stdout=log, stderr=log, env=environment, start_new_session=True)


def kill(process: subprocess.Popen[bytes], seconds: float) -> bool:
    """Kill a process after some seconds with kill -9, and return whether it was still at work.

    Only the process itself is killed, so that its workers have to notice.
    """
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
        process.wait()
        return True
    return False


def kill_command(
    folder: Path,
    count: Count,
    command: Callable[[Path], list[object]],
    facts: Callable[[Path], object],
    check: Callable[[Path], None],
) -> None:
    """Kill a command of `nlp-lstm` once, or see it come to its end, and check what it leaves.

    Args:
        folder: for the work.
        count: is added to.
        command: gives the arguments that begin the work in a folder or go on with it.
        facts: of finished work, what has to be the same each time.
        check: raises an error if something in unfinished work is half-written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    whole, work = folder / "whole", folder / "work"
    with (folder / "log.txt").open("w", encoding="utf-8") as log:
        if not (folder / "whole.json").exists():
            shutil.rmtree(whole, ignore_errors=True)
            began = time.monotonic()
            if start("-m", "nlp_lstm", *command(whole), log=log).wait():
                sys.exit(f"{folder / 'log.txt'}: the work fails without kills, too")
            seconds = time.monotonic() - began
            write_whole(folder / "whole.json", json.dumps({"seconds": seconds, "facts": facts(whole)}))
        expected = json.loads((folder / "whole.json").read_text(encoding="utf-8"))
        process = start("-m", "nlp_lstm", *command(work), log=log)
        if kill(process, random.uniform(0.0, expected["seconds"])):
            count.kills += 1
            try:
                check(work)
            except (NlpLstmError, OSError, ValueError) as error:
                count.faults.append(f"after kill {count.kills}: {error}")
            return
    if process.returncode:
        count.faults.append(f"after kill {count.kills} it does not go on: {(folder / 'log.txt').read_text('utf-8')}")
    elif facts(work) != expected["facts"]:
        count.faults.append(f"after kill {count.kills} the result is another one")
    count.ends += 1
    shutil.rmtree(work)


def kill_training(folder: Path, model: str, count: Count) -> None:
    """Kill a training."""

    def command(work: Path) -> list[object]:
        if (work / "run.json").exists():
            return ["run", "pos", "--output", work, "--resume"]
        shutil.rmtree(work, ignore_errors=True)  # it had not begun
        return ["run", "pos", *SMALL, "--data", SAMPLE, "--output", work]

    def facts(work: Path) -> object:
        return sha256(work / "model" / "model.safetensors")

    def check(work: Path) -> None:
        for name in ("run.json", "metrics.json"):
            if (work / name).exists():
                json.loads((work / name).read_text(encoding="utf-8"))
        if (work / "model").exists():
            read_folder(work / "model")

    kill_command(folder / "training", count, command, facts, check)


def kill_annotate(folder: Path, model: str, count: Count) -> None:
    """Kill an annotation."""
    path = folder / "sentences.jsonl"
    if not path.exists():
        lines = SAMPLE.read_text(encoding="utf-8").splitlines()
        texts = [line.removeprefix("# text = ") for line in lines if line.startswith("# text = ")] or lines
        rows = ({"id": number, "text": texts[number % len(texts)]} for number in range(SENTENCES))
        write_whole(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))

    def command(work: Path) -> list[object]:
        given = ["annotate", path, work, "--model", model, "--shard-rows", 100, "--workers", 2]
        return [*given, "--resume"]

    def facts(work: Path) -> object:
        return {file.name: sha256(file) for file in sorted(work.iterdir())}

    def check(work: Path) -> None:
        for shard in sorted(work.glob("shard-*")) if work.exists() else ():
            whole = json.loads((folder / "annotate" / "whole.json").read_text(encoding="utf-8"))
            if sha256(shard) != whole["facts"][shard.name]:
                raise ValueError(f"{shard.name} is half-written")

    kill_command(folder / "annotate", count, command, facts, check)


def kill_loop(folder: Path, name: str, model: str, count: Count) -> None:
    """Kill a process that does the same again and again, at a moment after it has done it once."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"{name}.log").open("w", encoding="utf-8") as log:
        process = start(Path(__file__).resolve(), "--loop", name, "--folder", folder, "--model", model, log=log)
        ready = folder / f"{name}.ready"
        while not ready.exists() and process.poll() is None:
            time.sleep(0.02)
        was_at_work = kill(process, random.uniform(0.0, SECONDS_IN_LOOP))
    ready.unlink(missing_ok=True)
    if not was_at_work:
        sys.exit(f"{folder / f'{name}.log'}: the work fails without kills, too")
    count.kills += 1


def kill_fetch(folder: Path, model: str, count: Count) -> None:
    """Kill a fetch of data."""
    kill_loop(folder / "fetch", "fetch", model, count)
    os.environ["NLP_LSTM_CACHE"] = str(folder / "fetch" / "cache")
    try:
        find_cached("sample", ["*.conllu"])
        count.ends += 1
    except SourceError as error:
        if str(error) != "nothing there yet":
            count.faults.append(f"after kill {count.kills}: {error}")


def fetch_in_loop(folder: Path, model: str) -> None:
    """Unpack a data set into the cache again and again."""
    archive = folder / "sample.tar.gz"
    if not archive.exists():
        data = io.BytesIO()
        with tarfile.open(fileobj=data, mode="w:gz") as tar:
            for number in range(30):
                tar.add(SAMPLE, f"sample/{number}.conllu")
        archive.with_suffix(".part").write_bytes(data.getvalue())
        archive.with_suffix(".part").replace(archive)
    os.environ["NLP_LSTM_CACHE"] = str(folder / "cache")
    while True:
        fill_cache("sample", "a test", lambda place: unpack_archive(archive, ["*"], place, max_bytes=1 << 30))
        (folder / "fetch.ready").touch()


def kill_save(folder: Path, model: str, count: Count) -> None:
    """Kill the saving of a model over another one."""
    kill_loop(folder / "save", "save", model, count)
    try:
        read_folder(existing_folder(folder / "save" / "model"))
        count.ends += 1
    except NlpLstmError as error:
        count.faults.append(f"after kill {count.kills}: {error}")


def save_in_loop(folder: Path, model: str) -> None:
    """Save a model again and again."""
    pipeline = Pipeline(model)
    while True:
        pipeline.save(folder / "model")
        (folder / "save.ready").touch()


def sha256(path: Path) -> str:
    """Return the sha256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


VICTIMS: dict[str, Callable[[Path, str, Count], None]] = {
    "training": kill_training,
    "annotate": kill_annotate,
    "fetch": kill_fetch,
    "save": kill_save,
}

if __name__ == "__main__":
    main()

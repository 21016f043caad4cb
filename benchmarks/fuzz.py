"""What readers of files from elsewhere make of millions of spoilt ones: a result or one of our errors, nothing else.

Each input is a sound file that was spoilt (`fuzz_mutation`) and is given to one of the readers (`fuzz_readers`). It may
take a second of processor time and `MEMORY` bytes more than the process had, and its error message `LONGEST_MESSAGE`
characters. All else is a fault: another exception, a crash, a hang, too much memory. What was found is kept in the
folder, file and traceback. Input N of a reader is always the same for a seed; after any stop the work goes on.

Readers take turns in processes of their own and get equal time, so slow ones see fewer inputs.

python benchmarks/fuzz.py [--inputs 10_000_000] [--seconds 600] [--readers conllu csv] [--workers 2]
python benchmarks/fuzz.py --one conllu 1234      gives one input again and shows what comes of it
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import gc
import json
import mmap
import multiprocessing
import os
import random
import re
import resource
import shutil
import signal
import struct
import sys
import tempfile
import time
import traceback
import warnings
from dataclasses import asdict, dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from fuzz_readers import Reader, make_readers

from nlp_lstm.errors import NlpLstmError
from nlp_lstm.files import write_whole

SECONDS = 1.0  # of processor time for an input
MEMORY = 1 << 30  # bytes of address space above what the process has
LONGEST_MESSAGE = 20_000  # characters
SECONDS_IN_TURN = 2.5  # of processor time
STALLED = 120.0  # seconds by the clock, after which an input hangs in code that is not Python's
KEPT = 2  # cases of each fault
PACKAGE = "nlp_lstm"


class TooSlowError(BaseException):
    """An input has had its second."""


@dataclass
class Count:
    """What a reader has been given.

    Args:
        inputs: how many.
        results: how many of them were read; the others were refused with an error of ours.
        seconds: of processor time.
        faults: each kind of fault to how often it was seen.
    """

    inputs: int = 0
    results: int = 0
    seconds: float = 0.0
    faults: dict[str, int] = field(default_factory=dict)


@dataclass
class Turn:
    """A process at work on a reader.

    Args:
        reader: its name.
        process: the process.
        results: gives its `Count` and the cases that it found at the end.
        current: the number of the input that it is at, as 8 bytes that both processes see.
        seen: the last number that was seen there.
        seen_at: when, in seconds of the clock.
        folder: where its files lie.
    """

    reader: str
    process: Any
    results: Connection
    current: mmap.mmap
    seen: int
    seen_at: float
    folder: Path


def main() -> None:
    """Give out turns, count, keep what was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", type=int, default=10_000_000, help="in all")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="by the clock")
    parser.add_argument("--readers", nargs="*", help="by name or beginning of it; default all")
    parser.add_argument("--folder", type=Path, default=Path("runs/fuzz"), help="goes on with what is there")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--one", nargs=2, metavar=("READER", "NUMBER"))
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    memory = Path("/dev/shm")  # files in memory, where there is such a place
    place = Path(tempfile.mkdtemp(prefix="nlp-lstm-fuzz-", dir=memory if memory.is_dir() else None))
    try:
        readers = make_readers(place / "models")
        if arguments.one:
            show_one(readers[arguments.one[0]], arguments.seed, int(arguments.one[1]), place / "one")
            return
        chosen = {
            name: reader
            for name, reader in readers.items()
            if not arguments.readers or any(name.startswith(wanted) for wanted in arguments.readers)
        }
        gc.freeze()
        fuzz(chosen, arguments, place)
    finally:
        shutil.rmtree(place, ignore_errors=True)


def fuzz(readers: dict[str, Reader], arguments: argparse.Namespace, place: Path) -> None:
    """Give out turns until all inputs were given, and end the program with 1 if there were faults."""
    cases = arguments.folder / "cases"
    cases.mkdir(parents=True, exist_ok=True)
    noted = arguments.folder / f"fuzz-{arguments.seed}.json"
    before = json.loads(noted.read_text(encoding="utf-8")) if noted.exists() else {}
    counts = {name: Count(**values) for name, values in before.items()}
    for name in readers:
        counts.setdefault(name, Count())
    turns: list[Turn] = []
    end, number = time.monotonic() + arguments.seconds, 0
    with (arguments.folder / "log.txt").open("ab") as log:
        while True:
            is_over = sum(count.inputs for count in counts.values()) >= arguments.inputs or time.monotonic() > end
            while len(turns) < arguments.workers and not is_over:
                busy = {turn.reader for turn in turns}
                name = min(readers.keys() - busy, key=lambda name: (counts[name].seconds, name))
                number += 1
                turns.append(
                    start(readers[name], arguments.seed, counts[name].inputs, place / str(number), log.fileno())
                )
            if not turns:
                break
            time.sleep(0.05)
            for turn in list(turns):
                if has_ended(turn):
                    turns.remove(turn)
                    take(turn, counts[turn.reader], readers[turn.reader], arguments.seed, cases)
                    write_whole(noted, json.dumps({name: asdict(count) for name, count in counts.items()}, indent=1))
    show(counts)
    sys.exit(1 if any(count.faults for count in counts.values()) else 0)


def start(reader: Reader, seed: int, first: int, folder: Path, log: int) -> Turn:
    """Start a turn in a process of its own."""
    folder.mkdir()
    current = mmap.mmap(-1, 8)
    current[:] = struct.pack("<q", first)
    fork = multiprocessing.get_context("fork")
    ours, theirs = fork.Pipe(duplex=False)
    process = fork.Process(target=work, args=(reader, seed, first, folder, theirs, current, log), daemon=True)
    process.start()
    theirs.close()
    return Turn(reader.name, process, ours, current, first, time.monotonic(), folder)


def has_ended(turn: Turn) -> bool:
    """Whether a turn is over; one that hangs is ended."""
    (number,) = struct.unpack("<q", turn.current[:])
    if number != turn.seen:
        turn.seen, turn.seen_at = number, time.monotonic()
    if time.monotonic() - turn.seen_at > STALLED:
        turn.process.kill()
        turn.process.join()
    return turn.results.poll() or not turn.process.is_alive()


def take(turn: Turn, count: Count, reader: Reader, seed: int, cases: Path) -> None:
    """Add what a turn has seen, and keep the cases that it found."""
    try:
        done, found = turn.results.recv()
    except EOFError:  # killed by a signal: all before the input at hand went well
        turn.process.join()
        (number,) = struct.unpack("<q", turn.current[:])
        code = turn.process.exitcode or 0
        kind = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        done = Count(inputs=number + 1 - count.inputs, seconds=SECONDS_IN_TURN, faults={f"crash: {kind}": 1})
        found = [(number, f"crash: {kind}", kind)]
    turn.process.join()
    shutil.rmtree(turn.folder, ignore_errors=True)
    for number, fault, told in found:
        if count.faults.get(fault, 0) < KEPT:
            name = f"{reader.name}-{seed}-{number}"
            (cases / name).write_bytes(make_input(reader, seed, number))
            (cases / f"{name}.txt").write_text(f"{fault}\n\n{told}", encoding="utf-8", errors="replace")
            print(f"{reader.name} {number}: {fault}", flush=True)
    count.inputs += done.inputs
    count.results += done.results
    count.seconds += done.seconds
    for fault, times in done.faults.items():
        count.faults[fault] = count.faults.get(fault, 0) + times


def work(
    reader: Reader, seed: int, first: int, folder: Path, results: Connection, current: mmap.mmap, log: int
) -> None:
    """Take one turn: give a reader inputs until its time is over."""
    os.dup2(log, 1)
    os.dup2(log, 2)
    reader.prepare(folder)
    path = folder / reader.file_name
    signal.signal(signal.SIGPROF, stop)
    with contextlib.suppress(BaseException):  # what is made when it is first needed is no input's cost
        path.write_bytes(reader.sounds[0])
        reader.read(path)
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    bound = pages * resource.getpagesize() + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (bound, bound))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    count = Count()
    found: list[tuple[int, str, str]] = []
    began = time.process_time()
    number = first
    while time.process_time() - began < SECONDS_IN_TURN:
        current[:] = struct.pack("<q", number)
        path.write_bytes(make_input(reader, seed, number))
        fault, told, is_result = give(reader, path)
        count.inputs += 1
        count.results += is_result
        if fault:
            count.faults[fault] = count.faults.get(fault, 0) + 1
            if count.faults[fault] <= KEPT:
                found.append((number, fault, told))
        number += 1
    count.seconds = time.process_time() - began
    results.send((count, found))
    results.close()
    os._exit(0)  # without waiting for threads of libraries


def stop(*_: object) -> None:
    """End an input."""
    raise TooSlowError


def make_input(reader: Reader, seed: int, number: int) -> bytes:
    """Return an input."""
    return reader.spoil(random.Random(f"{seed}/{reader.name}/{number}"), reader.sounds)


def give(reader: Reader, path: Path) -> tuple[str, str, bool]:
    """Return what is wrong with what a reader makes of a file, the traceback, and whether it could be read."""
    try:
        signal.setitimer(signal.ITIMER_PROF, SECONDS)
        try:
            reader.read(path)
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
    except (NlpLstmError, *reader.refusals) as error:
        if len(str(error)) > LONGEST_MESSAGE:
            return (
                f"a message of more than {LONGEST_MESSAGE:,} characters{_place(error)}",
                traceback.format_exc(),
                False,
            )
        return "", "", False
    except BaseException as error:  # noqa: BLE001
        kind = "slow" if isinstance(error, TooSlowError) else type(error).__name__
        return f"{kind}{_place(error)}", _traceback(error), False
    return "", "", True


def _place(error: BaseException) -> str:
    """Where in the package an error comes from; it is the same for all errors of one cause."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    own = [frame for frame in frames if f"{PACKAGE}/" in frame.f_code.co_filename]
    if not own:
        return ""
    name = own[-1].f_code.co_filename.rpartition(f"{PACKAGE}/")[2]
    return f" in {name}, {own[-1].f_code.co_name}"


def _traceback(error: BaseException) -> str:
    lines = traceback.format_exception(error, chain=False)
    return "".join(lines[:4] + lines[-25:])[:20_000]


def show_one(reader: Reader, seed: int, number: int, folder: Path) -> None:
    """Give a reader one input without bounds and show what comes of it."""
    folder.mkdir()
    reader.prepare(folder)
    path = folder / reader.file_name
    content = make_input(reader, seed, number)
    path.write_bytes(content)
    print(f"{len(content)} bytes: {content[:400]!r}")
    began = time.process_time()
    try:
        print("read:", reader.read(path))
    except Exception:  # noqa: BLE001
        traceback.print_exc()
    print(f"{time.process_time() - began:.3f} s")


def show(counts: dict[str, Count]) -> None:
    """Print what the readers have been given."""
    print(f"{'reader':<28}{'inputs':>10}{'read':>7}{'a second':>10}  faults")
    for name, count in sorted(counts.items()):
        if count.inputs:
            share = count.results / count.inputs
            speed = count.inputs / max(count.seconds, 1e-9)
            print(f"{name:<28}{count.inputs:>10,}{share:>7.0%}{speed:>10,.0f}  {sum(count.faults.values())}")
    kinds = collections.Counter({(name, kind): n for name, count in counts.items() for kind, n in count.faults.items()})
    for (name, kind), times in kinds.most_common():
        print(f"{times:>8,} {name}: {re.sub(r'[^ -~]', '?', kind)}")
    print(f"{sum(count.inputs for count in counts.values()):,} inputs, {kinds.total():,} faults")


if __name__ == "__main__":
    main()

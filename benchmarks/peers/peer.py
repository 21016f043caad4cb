"""What the peers share: the exported data, and a process that trains, or one that measures each time it is asked.

A library is a file `with_NAME.py` of this folder. It is run by the Python of its own environment and imports nothing
of nlp_lstm. Its two commands:

    python with_NAME.py train FOLDER --task pos --data DATA --vectors VECTORS --minutes 60 --seed 1
    python with_NAME.py serve FOLDER --data DATA

DATA has train.jsonl, dev.jsonl and test.jsonl, a text a line: `{"text": "Dogs bark.", "words": ["Dogs", "bark", "."],
"gold": ["NOUN", "VERB", "PUNCT"]}`; of sentiment, gold is one label, of translation a sentence. VECTORS.txt and
VECTORS.bin hold the same word vectors in the two forms of word2vec. FOLDER gets the model and `trained.json`, which
says how it came about.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

TASKS = ("pos", "sentiment", "translate")
TRAINED = "trained.json"
WARM_UP = 200  # texts


class Row(NamedTuple):
    """A text, its words, and one label for each of them or for the text, or its translation."""

    text: str
    words: list[str]
    gold: list[str] | str


class Job(NamedTuple):
    """What is to be trained.

    Args:
        task: one of TASKS.
        data: the folder of the three splits.
        vectors: the files of the word vectors, without their endings.
        folder: of the model.
        seed: of everything that is drawn.
        size: of the network, for libraries that have several.
        clock: says when the time is up.
    """

    task: str
    data: Path
    vectors: Path
    folder: Path
    seed: int
    size: str
    clock: Clock

    def read(self, split: str) -> list[Row]:
        """Return the rows of "train", "dev" or "test"."""
        return read_rows(self.data, split)


class Outcome(NamedTuple):
    """How a training ended.

    Args:
        ended_by: "patience", the library's own rule on dev, or "time".
        dev_score: the best on dev, a share in [0, 1]; None where the library does not tell.
        files: what prediction needs, files and folders.
        versions: library to version.
    """

    ended_by: str
    dev_score: float | None
    files: list[Path]
    versions: dict[str, str]


class System(Protocol):
    """A trained model that answers. Both methods give the labels of each text, its one label or its translation."""

    def of_texts(self, texts: list[str]) -> Sequence[list[str] | str]:
        """Answer raw texts, with the library's own tokeniser; a translator searches with 5 beams."""

    def of_words(self, sentences: list[list[str]]) -> Sequence[list[str] | str]:
        """Answer texts that are cut into words; a translator writes greedily."""


class Library(Protocol):
    """What a file of this folder provides."""

    def train(self, job: Job) -> Outcome:
        """Train until the library's own rule on dev ends it or the time is up, and keep the best model on dev."""

    def open(self, task: str, folder: Path) -> System:
        """Return the model of a folder."""


class Clock:
    """Tells whether the minutes of a training are over.

    They are minutes of the processor, divided among the threads: on a machine that is busy with other work a training
    takes longer instead of learning less.
    """

    def __init__(self, minutes: float, threads: int) -> None:
        self.minutes = minutes
        self.threads = threads
        self._started, self._cpu = time.monotonic(), time.process_time()

    def is_over(self) -> bool:
        """Return whether the time is up; a library asks after an evaluation, so it trains at least as long."""
        return self.passed() >= self.minutes

    def passed(self) -> float:
        """Minutes of the processor since the training began."""
        return (time.process_time() - self._cpu) / self.threads / 60

    def passed_on_the_wall(self) -> float:
        """Minutes of a clock on the wall since then."""
        return (time.monotonic() - self._started) / 60


def read_rows(data: Path, split: str) -> list[Row]:
    """Return the rows of a split."""
    with (data / f"{split}.jsonl").open(encoding="utf-8") as file:
        return [Row(**json.loads(line)) for line in file]


def run(library: Library) -> None:
    """Be the command line of a library."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    train = commands.add_parser("train", help="train a model, unless it is there")
    train.add_argument("--task", choices=TASKS, required=True)
    train.add_argument("--vectors", type=Path, required=True, help="files of word vectors without their endings")
    train.add_argument(
        "--minutes", type=float, default=60.0, help="of the processor; training ends at the next evaluation"
    )
    train.add_argument("--seed", type=int, default=1)
    train.add_argument("--size", default="", help="of the network, for libraries that have several")
    serve = commands.add_parser("serve", help="for each line that comes in, one answer in JSON")
    serve.add_argument("--sentences", type=int, default=500, help="texts for the latency in each turn")
    for command in (train, serve):
        command.add_argument("folder", type=Path)
        command.add_argument("--data", type=Path, required=True)
    arguments = parser.parse_args()
    if not (arguments.data / "test.jsonl").is_file():
        parser.error(f"{arguments.data} has no test.jsonl; benchmarks/peers.py exports the data")
    if arguments.command == "serve":
        if not (arguments.folder / TRAINED).is_file():
            parser.error(f"{arguments.folder} has no trained model; the command train makes one")
        facts = json.loads((arguments.folder / TRAINED).read_text("utf-8"))
        answer_requests(lambda: library.open(facts["task"], arguments.folder), arguments, facts)
    elif not Path(f"{arguments.vectors}.bin").is_file():
        parser.error(f"there is no {arguments.vectors}.bin; benchmarks/peers.py exports the word vectors")
    else:
        train_once(library, arguments)


# ---- training


def train_once(library: Library, arguments: argparse.Namespace) -> None:
    """Train a model, unless the folder has one that was trained as long, and write how it came about."""
    folder: Path = arguments.folder
    wanted = {"task": arguments.task, "seed": arguments.seed, "size": arguments.size, "limit": arguments.minutes}
    if (folder / TRAINED).is_file():
        found = json.loads((folder / TRAINED).read_text("utf-8"))
        if is_long_enough(found, arguments.minutes) and all(
            found[key] == wanted[key] for key in ("task", "seed", "size")
        ):
            print(
                f"{folder}: trained already, {found['minutes']:.1f} minutes, ended by {found['ended_by']}", flush=True
            )
            return
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    clock = Clock(arguments.minutes, int(os.environ.get("OMP_NUM_THREADS", "1")))
    outcome = library.train(
        Job(
            task=arguments.task,
            data=arguments.data,
            vectors=arguments.vectors,
            folder=folder,
            seed=arguments.seed,
            size=arguments.size,
            clock=clock,
        )
    )
    facts = wanted | {
        "minutes": clock.passed(),
        "minutes_on_the_wall": clock.passed_on_the_wall(),
        "ended_by": outcome.ended_by,
        "dev_score": outcome.dev_score,
        "bytes": sum(size_of(path) for path in outcome.files),
        "versions": outcome.versions,
    }
    (folder / TRAINED).write_text(json.dumps(facts, indent=1) + "\n", "utf-8")
    print(f"{folder}: {clock.passed():.1f} minutes, ended by {outcome.ended_by}", flush=True)


def is_long_enough(facts: Mapping[str, Any], minutes: float) -> bool:
    """Return whether a training of some minutes would have been no longer than this one."""
    return facts["ended_by"] == "patience" or bool(facts["limit"] >= minutes)


def size_of(path: Path) -> int:
    """Bytes of a file, or of all files in a folder."""
    if path.is_dir():
        return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    return path.stat().st_size


# ---- measuring


def answer_requests(
    open_system: Callable[[], System], arguments: argparse.Namespace, facts: Mapping[str, object]
) -> None:
    """Open a model and say so with its facts; then answer each line: "measure", or "answers" for those on test.

    Args:
        open_system: returns the `System`; called here so that what a library prints on the way goes elsewhere.
        arguments: data and sentences.
        facts: about the training.
    """
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # libraries print: nothing of that may stand between the replies
    rows = read_rows(arguments.data, "test")
    system = open_system()
    system.of_texts([row.text for row in rows[:WARM_UP]])
    system.of_words([row.words for row in rows[:WARM_UP]])
    for row in rows[:WARM_UP]:
        system.of_texts([row.text])
    print(json.dumps(facts), file=replies, flush=True)
    turn = 0
    for line in sys.stdin:
        if line.strip() == "answers":
            is_translator = facts["task"] == "translate"
            texts, sentences = [row.text for row in rows], [row.words for row in rows]
            found: object = list(system.of_texts(texts) if is_translator else system.of_words(sentences))
        else:
            first = turn * arguments.sentences % len(rows)
            found = measure(system, rows, (rows + rows)[first : first + min(arguments.sentences, len(rows))])
            turn += 1
        print(json.dumps(found), file=replies, flush=True)


def measure(system: System, rows: list[Row], singles: list[Row]) -> dict[str, float]:
    """Return throughput on all rows, raw and cut into words, and the time that single raw texts take.

    All rates are in words of the data, whatever the library's own tokeniser makes of a text.
    """
    num_words = sum(len(row.words) for row in rows)
    texts, sentences = [row.text for row in rows], [row.words for row in rows]
    started, cpu = time.perf_counter(), time.process_time()
    system.of_texts(texts)
    text_seconds, text_cpu = time.perf_counter() - started, time.process_time() - cpu
    started, cpu = time.perf_counter(), time.process_time()
    system.of_words(sentences)
    word_seconds, word_cpu = time.perf_counter() - started, time.process_time() - cpu
    times = []
    for row in singles:
        started = time.perf_counter()
        system.of_texts([row.text])
        times.append(1e3 * (time.perf_counter() - started))
    times.sort()
    return {
        "text_words_per_second": num_words / text_seconds,
        "text_cpu_per_million": text_cpu / num_words * 1e6,
        "words_per_second": num_words / word_seconds,
        "cpu_per_million": word_cpu / num_words * 1e6,
        "p50": times[len(times) // 2],
        "p99": times[int(0.99 * len(times))],
    }

"""How costs grow: time and memory for 1, 10 and 100 times the data, text length, batch, and vocabulary, and by threads.

data        sentences of the test split, over and over, as `nlp-lstm predict` reads them: one after the other
length      as many words, in texts of 20, 200 and 2,000 words
batch       tokens per batch: 200, 2,000 and 20,000
threads     1, 2, … up to the number of cores
vocabulary  words of a language model in training: 330, 3,300 and 33,000 (WikiText-2)

Every case has a process of its own, and the cases take turns. Printed: microseconds per word, their ratio to those of
the first case, and the most memory that the process held.

    python benchmarks/growth.py [--model pos-en] [--engine auto] [--dimensions data length] [--rounds 3]
"""

from __future__ import annotations

import argparse
import collections
import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

from script import run_script

from nlp_lstm.output import peak_memory
from nlp_lstm.speed import num_cores, timed

DATA = "ud-english-ewt"
CASES: dict[str, list[int]] = {
    "data": [1, 10, 100],
    "length": [20, 200, 2_000],
    "batch": [200, 2_000, 20_000],
    "threads": [number for number in (1, 2, 4, 8, 16, 32) if number <= num_cores()],
    "vocabulary": [330, 3_300, 33_000],
}
WORDS = 20_000  # in each case of the length
TRAINING_STEPS = 40


def main() -> None:
    """Measure every case and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="pos-en", help="a tagger: a name or a folder")
    parser.add_argument("--engine", default="auto")
    parser.add_argument("--dimensions", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--rounds", type=int, default=3, help="turns of each case; medians are shown")
    parser.add_argument("--case", nargs=2, metavar=("DIMENSION", "SIZE"), help="be the process of this case")
    arguments = parser.parse_args()
    if arguments.case:
        measure(arguments.case[0], int(arguments.case[1]), arguments)
        return
    cases = [(dimension, size) for dimension in arguments.dimensions for size in CASES[dimension]]
    found = collections.defaultdict(list)
    for turn, (dimension, size) in itertools.product(range(arguments.rounds), cases):
        print(f"turn {turn + 1} of {arguments.rounds}: {dimension} {size:,}", file=sys.stderr)
        found[dimension, size].append(in_own_process(dimension, size))
    print(f"{'':<12}{'size':>8}{'words':>11}{'µs per word':>13}{'ratio':>8}{'memory, MB':>12}")
    for dimension, size in cases:
        turns = found[dimension, size]
        cost = statistics.median(turn["cost"] for turn in turns)
        first = statistics.median(turn["cost"] for turn in found[dimension, CASES[dimension][0]])
        memory = max(turn["memory"] for turn in turns)
        print(f"{dimension:<12}{size:>8,}{turns[0]['words']:>11,.0f}{cost:>13.1f}{cost / first:>8.2f}{memory:>12.0f}")


def in_own_process(dimension: str, size: int) -> dict[str, float]:
    """Return what the process of a case measures."""
    threads = size if dimension == "threads" else 1
    command = [sys.executable, __file__, *sys.argv[1:], "--case", dimension, str(size)]
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    answer = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment)
    values: dict[str, float] = json.loads(answer.stdout.splitlines()[-1])
    return values


def measure(dimension: str, size: int, arguments: argparse.Namespace) -> None:
    """Do the work of a case and print what it took."""
    work, num_words = vocabulary_case(size) if dimension == "vocabulary" else tagging_case(dimension, size, arguments)
    cost = work() / num_words
    print(json.dumps({"cost": 1e6 * cost, "words": num_words, "memory": peak_memory() / 1e6}))


def tagging_case(dimension: str, size: int, arguments: argparse.Namespace) -> tuple[Callable[[], float], int]:
    """Return the work of tagging, which gives its seconds, and the number of words."""
    from nlp_lstm import Pipeline
    from nlp_lstm.data.catalogue import find_data

    sentences = [list(example.document.words) for example in find_data([DATA]).read("test")]
    words = list(itertools.chain.from_iterable(sentences))
    if dimension == "length":
        words = words[: WORDS // size * size]
        sentences = [words[start : start + size] for start in range(0, len(words), size)]
    repeated = size if dimension == "data" else 1
    pipeline = Pipeline(arguments.model, engine=arguments.engine, batch_tokens=size if dimension == "batch" else None)
    pipeline.predict(sentences[:200], pretokenized=True)

    def work() -> float:
        texts: Iterable[list[str]] = sentences
        if dimension == "data":  # one after the other, as from a file; of a list all are batched together
            texts = itertools.chain.from_iterable(itertools.repeat(sentences, repeated))
        return timed(lambda: collections.deque(pipeline.predict(texts, pretokenized=True), maxlen=0))[1].seconds

    return work, repeated * sum(map(len, sentences))


def vocabulary_case(size: int) -> tuple[Callable[[], float], int]:
    """Return the work of some training steps of a language model, which gives its seconds, and the number of words."""
    from nlp_lstm.recipes import load_recipe
    from nlp_lstm.run_data import read_run_data
    from nlp_lstm.tasks import LanguageTask
    from nlp_lstm.training import train

    recipe = load_recipe("lm", ["data=[wikitext-2]", f"model.vocabulary={size}", "training.threads=1"])
    data = read_run_data(recipe, None, lambda line: None)
    task = LanguageTask.prepare(recipe.model, data.training)
    num_words = TRAINING_STEPS * recipe.training.batch_tokens
    settings = recipe.training.model_copy(update={"tokens": num_words, "epochs": 0, "evaluations": 1})

    def work() -> float:
        with tempfile.TemporaryDirectory() as folder:
            result = train(task, data.training[:3_000], data.development[:10], settings, Path(folder))
        return result.seconds

    return work, num_words


if __name__ == "__main__":
    run_script(main)

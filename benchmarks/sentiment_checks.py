"""How a sentiment model stands up to other input than its test split, and what a long text costs.

input      the test sentences of sst2 as distributed (lower case, tokens with spaces between), put together as people
           write, with capital first letters, and all in capitals
behaviour  the hand-written cases of tests/data/samples/sentiment_cases.jsonl: negation, contrast, irrelevant change
document   a text of 2 MB, classified in a process of its own: time and memory above that of a short text

python benchmarks/sentiment_checks.py [--model sentiment]
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

from nlp_lstm import Pipeline
from nlp_lstm.data.catalogue import find_data
from nlp_lstm.evaluation.significance import bootstrap_interval

CASES = Path(__file__).parent.parent / "tests" / "data" / "samples" / "sentiment_cases.jsonl"
DOCUMENT_BYTES = 2_000_000


def main() -> None:
    """Print the three tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="sentiment", help="a task, a model name or a model folder")
    parser.add_argument("--document", type=int, help="classify a text of this many bytes and print JSON")
    arguments = parser.parse_args()
    if arguments.document is not None:
        print(json.dumps(read_document(arguments.model, arguments.document)))
        return
    pipeline = Pipeline(arguments.model)
    print_inputs(pipeline)
    print_behaviour(pipeline)
    print_document(arguments.model)


def print_inputs(pipeline: Pipeline) -> None:
    """Print the accuracy on the same sentences in three spellings."""
    examples = find_data(["sst2"]).read("test")
    gold = [example.label for example in examples]
    joined = [example.document.text for example in examples]
    rows = {
        "tokens as distributed": pipeline.predict([text.split() for text in _distributed()], pretokenized=True),
        "put together": pipeline.predict(joined),
        "put together, capital first letters": pipeline.predict([text[:1].upper() + text[1:] for text in joined]),
        "put together, all in capitals": pipeline.predict([text.upper() for text in joined]),
    }
    print(f"{'sst2 test, ' + str(len(gold)) + ' sentences':<42}accuracy  95 % interval")
    for name, results in rows.items():
        correct = [float(result["label"] == label) for result, label in zip(results, gold, strict=True)]
        print_share(name, correct)


def print_behaviour(pipeline: Pipeline) -> None:
    """Print accuracy by kind of case, and the share of pairs or groups without any error."""
    cases = [json.loads(line) for line in CASES.read_text(encoding="utf-8").splitlines()]
    results = pipeline.predict([case["text"] for case in cases])
    singles: dict[str, list[float]] = defaultdict(list)
    groups: dict[tuple[str, int], list[bool]] = defaultdict(list)
    for case, result in zip(cases, results, strict=True):
        is_right = result["label"] == case["label"]
        singles[case["domain"]].append(float(is_right))
        groups[case["domain"], case["pair"]].append(is_right)
    print(f"\n{len(cases)} hand-written cases")
    for kind, correct in singles.items():
        print_share(f"{kind}, {len(correct)} texts", correct)
        whole = [float(all(rights)) for (of, _), rights in groups.items() if of == kind]
        print_share(f"{kind}, {len(whole)} pairs or groups all right", whole)


def print_document(model: str) -> None:
    """Print time and memory of a long text, in a process of its own beside one that reads a short text."""
    small, large = (_in_own_process(model, size) for size in (200, DOCUMENT_BYTES))
    growth = large["peak_mb"] - small["peak_mb"]
    print(
        f"\na text of {DOCUMENT_BYTES / 1e6:g} MB: {large['seconds']:.1f} s, peak memory {large['peak_mb']:.0f} MB, "
        f"{growth:.0f} MB more than for a text of 200 bytes; {large['result']}"
    )


def read_document(model: str, size: int) -> dict[str, Any]:
    """Classify one text of ``size`` bytes; return seconds, the process's peak memory in MB, and the result."""
    sentences = find_data(["sst2"]).read("dev")
    text = ""
    while len(text) < size:
        text += ". ".join(example.document.text for example in sentences[:200]) + ".\n"
    pipeline = Pipeline(model)
    started = time.perf_counter()
    result = pipeline.predict(text[:size])
    seconds = time.perf_counter() - started
    return {"seconds": seconds, "peak_mb": _peak_megabytes(), "result": result}


def print_share(name: str, correct: list[float]) -> None:
    """Print a share with its bootstrap interval."""
    lower, upper = bootstrap_interval(correct)
    print(f"{name:<42}{100 * sum(correct) / len(correct):>7.2f} %  {100 * lower:.2f} to {100 * upper:.2f}")


def _peak_megabytes() -> float:
    """The largest memory of this process alone (Linux; ru_maxrss would start from the parent's)."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def _distributed() -> list[str]:
    (path,) = find_data(["sst2"]).splits["test"]
    return [line.split("\t")[0] for line in path.read_text(encoding="utf-8").splitlines()]


def _in_own_process(model: str, size: int) -> dict[str, Any]:
    command = [sys.executable, __file__, "--model", model, "--document", str(size)]
    answer = subprocess.run(command, check=True, capture_output=True, text=True)
    values: dict[str, Any] = json.loads(answer.stdout.splitlines()[-1])
    return values


if __name__ == "__main__":
    main()

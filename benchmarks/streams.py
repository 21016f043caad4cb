"""Does the memory of a stream grow? Reads a text that has no end, a hundred million characters of it if you wait.

    python benchmarks/streams.py pos --characters 100_000_000
    python benchmarks/streams.py sentiment
    python benchmarks/streams.py lm

The text is the given one again and again, with words that have never come before among its words, so that whatever is
remembered of words would show. The resident memory is printed at each tenth; the run fails where it has grown by more
than ``--bound`` megabytes from the first tenth to the last.
"""

from __future__ import annotations

import argparse
import itertools
import random
import string
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from nlp_lstm import Pipeline

DEFAULT_TEXT = Path(__file__).resolve().parent.parent / "tests" / "data" / "samples" / "letters.txt"
PIECE = 4_000  # characters
NEW_WORDS = 0.05


def endless(text: str, seed: int = 1) -> Iterator[str]:
    """Yield a text again and again, in pieces, with new words among its words."""
    generator = random.Random(seed)
    lines = [line.split() for line in text.splitlines() if line.strip()]
    piece = ""
    for line in itertools.cycle(lines):
        words = [
            "".join(generator.choices(string.ascii_lowercase, k=8)) if generator.random() < NEW_WORDS else word
            for word in line
        ]
        piece += " ".join(words) + "\n"
        if len(piece) > PIECE:
            yield piece
            piece = ""


def resident_megabytes() -> float:
    """The memory that this process holds now."""
    fields = Path("/proc/self/statm").read_text(encoding="ascii").split()
    return int(fields[1]) * 4096 / 1e6


def main() -> None:
    """Read, and print a line for each tenth."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="a task, a model name or a model folder")
    parser.add_argument("--characters", type=lambda text: int(text.replace("_", "")), default=1_000_000)
    parser.add_argument("--text", type=Path, default=DEFAULT_TEXT)
    parser.add_argument("--bound", type=float, default=30.0, help="megabytes")
    chosen = parser.parse_args()

    pipeline = Pipeline(chosen.model)
    num_characters, tenth = 0, 0
    measured: list[float] = []
    started = time.monotonic()

    def counted() -> Iterator[str]:
        nonlocal num_characters, tenth
        for piece in endless(chosen.text.read_text(encoding="utf-8")):
            num_characters += len(piece)
            yield piece
            if num_characters >= (tenth + 1) * chosen.characters / 10:
                tenth += 1
                measured.append(resident_megabytes())
                speed = num_characters / (time.monotonic() - started)
                print(
                    f"{num_characters:>13,} characters  {measured[-1]:7.1f} MB  {speed:9,.0f} characters/s", flush=True
                )
            if num_characters >= chosen.characters:
                return

    num_answers = sum(1 for _ in pipeline.stream(counted()))
    growth = measured[-1] - measured[0]
    print(f"{num_answers:,} answers; from the first tenth to the last the memory grew by {growth:.1f} MB")
    sys.exit(growth > chosen.bound)


if __name__ == "__main__":
    main()

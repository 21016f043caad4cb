"""Which pretrained vectors enter a model, and how much of the text they cover."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from nlp_lstm.text.vectors import WordVectors


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """Tokens of the training text by how their vector was found."""

    exact: int
    lowercased: int
    missing: int

    def __str__(self) -> str:
        total = max(1, self.exact + self.lowercased + self.missing)
        return (
            f"{self.exact / total:.1%} of the training tokens found as written, {self.lowercased / total:.1%} in lower "
            f"case, {self.missing / total:.1%} missing"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SelectedVectors:
    """The rows that a model keeps.

    Args:
        words: one word per row.
        matrix: float32, `vectors features`; several sources stand side by side, each scaled to unit deviation.
        coverage: of the training text.
    """

    words: tuple[str, ...]
    matrix: np.ndarray
    coverage: Coverage


def select_vectors(sources: Sequence[WordVectors], counts: Mapping[str, int], *, kept: int) -> SelectedVectors:
    """Select the vectors of the training words and of the most frequent words beyond them.

    Args:
        sources: pretrained vectors, each with its words in order of frequency.
        counts: how often each word occurs in the training text.
        kept: how many of each source's most frequent words to keep besides.

    Returns:
        The rows. A word that a source does not know as it is written has that source's features of its lower-case
        form, and zeros where it has none either.
    """
    chosen: dict[str, None] = {}
    tallies = {"exact": 0, "lowercased": 0, "missing": 0}
    for word, count in counts.items():
        found = next((form for form in (word, word.lower()) if any(form in source.index for source in sources)), None)
        if found is not None:
            chosen[found] = None
        tallies["missing" if found is None else "exact" if found == word else "lowercased"] += count
    for source in sources:
        chosen.update(dict.fromkeys(source.words[:kept]))
    parts = [np.zeros((len(chosen), 0), dtype=np.float32)]
    for source in sources:
        rows = np.array([_row(source, word) for word in chosen], dtype=np.int64)
        part = np.zeros((len(chosen), source.matrix.shape[1]), dtype=np.float32)
        part[rows >= 0] = source.matrix[rows[rows >= 0]]
        parts.append(part / max(float(part[rows >= 0].std()), 1e-12) if (rows >= 0).any() else part)
    return SelectedVectors(words=tuple(chosen), matrix=np.concatenate(parts, axis=1), coverage=Coverage(**tallies))


def _row(source: WordVectors, word: str) -> int:
    """Where a source has a word, as it is written or else in lower case; -1 where it has neither."""
    row = source.index.get(word)
    return source.index.get(word.lower(), -1) if row is None else row

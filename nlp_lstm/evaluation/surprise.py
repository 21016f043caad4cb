"""Where the surprise of a text lies: an excerpt with every token shaded, and its most surprising tokens in context."""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Literal, get_args

from nlp_lstm.evaluation.perplexity import UNKNOWN, ScoredLine
from nlp_lstm.evaluation.report import MarkedLine, MarkedText, MarkedToken, ShadedText, ShadedToken

Unit = Literal["word", "subword", "character"]
UNITS: tuple[Unit, ...] = get_args(Unit)
"""What a token can be."""

_EXCERPT_TOKENS: Mapping[str, int] = {"word": 150, "subword": 200, "character": 700}
"""Tokens of the shaded excerpt, by unit: about one paragraph each."""

_CONTEXT: Mapping[str, int] = {"word": 14, "subword": 18, "character": 70}
"""Tokens shown before a surprising one, by unit; half as many after it."""


def surprising_tokens(lines: Sequence[ScoredLine], limit: int = 20) -> list[tuple[float, int, int]]:
    """Return bits, line index and token index of the most surprising tokens, each kind of token once.

    `<unk>` and the end of a line are left out: their surprise says nothing about a word.
    """
    worst: dict[str, tuple[float, int, int]] = {}
    for row, line in enumerate(lines):
        for column, (token, bits) in enumerate(_bits(line)):
            is_end = line.has_end and column == len(line.tokens) - 1
            if not is_end and token != UNKNOWN and bits > worst.get(token, (-1.0,))[0]:
                worst[token] = (bits, row, column)
    return heapq.nsmallest(limit, worst.values(), key=lambda item: (-item[0], item[1:]))


def excerpt_block(lines: Sequence[ScoredLine], vocabulary_size: int, unit: Unit) -> ShadedText:
    """Shade a stretch of text about as surprising as the whole, so that it shows neither the best nor the worst."""
    guess = math.log2(vocabulary_size)
    shaded = [
        [
            ShadedToken(
                text="↵" if line.has_end and column == len(line.tokens) - 1 else _spelt(token, unit),
                shade=min(1.0, max(0.0, bits / guess)),
                tip=f"{bits:.1f} bits",
            )
            for column, (token, bits) in enumerate(part)
        ]
        for line, part in _excerpt(lines, _EXCERPT_TOKENS[unit])
    ]
    note = (
        "The stronger the colour, the more surprising the token; full strength is a blind guess in the vocabulary "
        f"({guess:.1f} bits) or worse. The excerpt is the one whose mean surprise is nearest to that of the whole "
        "text. ↵ is the end of a line."
    )
    return ShadedText(title="An excerpt", lines=shaded, note=note, is_spaced=unit == "word")


def surprising_block(lines: Sequence[ScoredLine], found: Sequence[tuple[float, int, int]], unit: Unit) -> MarkedText:
    """Show the tokens that `surprising_tokens` found, each in its context."""
    shown = []
    for bits, row, column in found:
        tokens = lines[row].tokens[: len(lines[row].tokens) - lines[row].has_end]
        start, end = max(0, column - _CONTEXT[unit]), column + 1 + _CONTEXT[unit] // 2
        before = ("…" if start else "") + _joined(tokens[start:column], unit)
        after = _joined(tokens[column + 1 : end], unit) + ("…" if end < len(tokens) else "")
        focus = MarkedToken(text=_spelt(tokens[column], unit).strip() or "␣", is_focus=True)
        parts = [MarkedToken(text=before)] * bool(before) + [focus] + [MarkedToken(text=after)] * bool(after)
        shown.append(MarkedLine(tokens=parts, remark=f"{bits:.1f} bits"))
    note = f"Each {unit} once, where it surprised most."
    return MarkedText(title=f"The most surprising {unit}s", lines=shown, note=note)


def _excerpt(lines: Sequence[ScoredLine], num_tokens: int) -> Iterator[tuple[ScoredLine, list[tuple[str, float]]]]:
    """Yield lines, the last one cut, of the stretch whose mean surprise is nearest to that of all lines."""
    import numpy as np

    kept = [line for line in lines if not line.is_empty]
    lengths = np.array([len(line.tokens) for line in kept])
    starts = lengths.cumsum() - lengths
    bits = np.concatenate([[bits for _, bits in _bits(line)] for line in kept])
    sums = np.concatenate([[0.0], bits.cumsum()])
    size = min(num_tokens, len(bits))
    starts = starts[starts + size <= len(bits)]
    first = int(np.abs((sums[starts + size] - sums[starts]) / size - bits.mean()).argmin())
    left = size
    for line in kept[first:]:
        if left <= 0:
            return
        yield line, list(_bits(line))[:left]
        left -= len(line.tokens)


def _bits(line: ScoredLine) -> Iterator[tuple[str, float]]:
    """The tokens of a line, each with its surprise."""
    for token, log_probability in zip(line.tokens, line.log_probabilities, strict=True):
        yield token, -float(log_probability) / math.log(2)


def _spelt(token: str, unit: Unit) -> str:
    """The token as it stands in the text; pieces of words carry their space as "▁"."""
    return token if unit == "word" else token.replace("▁", " ")


def _joined(tokens: Sequence[str], unit: Unit) -> str:
    return (" " if unit == "word" else "").join(_spelt(token, unit) for token in tokens)

"""How surprised a language model is by a text: perplexity, bits per character, where the surprise lies.

A line arrives with one log-probability (nats) per token, each given all that stands before it:

    tokens             ("the", "old", "<unk>", "sleeps", "<eos>")
    log_probabilities  [-3.1,  -5.9,  -2.7,    -8.4,     -1.2]            perplexity exp(21.3 / 5) = 70.8

Counted are all tokens of a line and the one `<eos>` at its end; a line without any other token is left out. This
is how published work counts, except that published WikiText-2 figures also count the `<eos>` of empty lines.

The tokens of a text hang together, and so do neighbouring lines, so the bootstrap draws blocks of consecutive
lines. Source: Künsch, "The Jackknife and the Bootstrap for General Stationary Observations", Annals of Statistics
17 (1989); here the blocks do not overlap (Carlstein 1986).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

from nlp_lstm.errors import DataError, shorten
from nlp_lstm.evaluation.label_scores import Buckets
from nlp_lstm.evaluation.significance import PairedResult, bootstrap_interval, paired_bootstrap

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]
    Bools = NDArray[np.bool_]

END = "<eos>"
UNKNOWN = "<unk>"

FREQUENCY_BANDS: Buckets = (
    ("never", 0),
    ("1–9", 9),
    ("10–99", 99),
    ("100–999", 999),
    ("1,000–9,999", 9_999),
    ("10,000+", -1),
)
"""By how often the token stands in the training text; `<unk>` and `<eos>` are bands of their own."""

POSITION_BANDS: Buckets = (("1–5", 5), ("6–20", 20), ("21–50", 50), ("51+", -1))
"""By the token's place in its line, from 1; the `<eos>` has a place too."""

_FEWEST_BLOCKS = 50
"""Blocks that the bootstrap draws from, where there are as many lines: fewer make the interval too narrow."""

_LARGEST_BLOCK = 50
"""Lines in a block, about those of one article; longer blocks keep more of what hangs together, but fewer remain."""


@dataclass(frozen=True, kw_only=True, eq=False)  # eq: arrays have no single answer
class ScoredLine:
    """One line of text with what a language model said about it.

    Attributes:
        tokens: as the model reads them, the end of the line last where it was scored.
        log_probabilities: of each token given all before it, in nats; a numpy array will do.
        has_end: whether the last token is the end of the line.
        num_characters: of the line as typed, without its end.
        num_words: of the line as typed, without its end.
    """

    tokens: tuple[str, ...]
    log_probabilities: Sequence[float] | NDArray[np.floating[Any]]
    has_end: bool
    num_characters: int
    num_words: int

    @property
    def is_empty(self) -> bool:
        """Whether there is no token but the end."""
        return len(self.tokens) <= self.has_end


@dataclass(frozen=True, kw_only=True)
class Band:
    """The tokens of one kind: how many, their surprise in nats all together, and their own perplexity."""

    label: str
    num_tokens: int
    nats: float
    perplexity: float


@dataclass(frozen=True, kw_only=True)
class PerplexityMetrics:
    """Everything that the report says about a language model on one text.

    Attributes:
        perplexity: over all tokens, one `<eos>` per line among them.
        interval: its 95 % interval, from a bootstrap over blocks of lines; ``None`` where there is one line only.
        perplexity_without_end: over the tokens other than `<eos>`.
        bits_per_character: all surprise in bits by the characters of the text, the end of a line one of them as it
            is for a model of characters; ``None`` where no characters were counted.
        perplexity_per_word: all surprise, that of `<eos>` too, by the words of the text; ``None`` without words.
        perplexity_per_word_and_end: the same by words and line ends, which a model of words would call its perplexity.
        nats: surprise of all tokens together.
        unknown_share: share of `<unk>` among the tokens other than `<eos>`, in [0, 1].
        num_tokens: tokens counted, `<eos>` among them.
        num_ends: how many of them are `<eos>`.
        num_lines: lines counted.
        num_empty_lines: lines left out because they hold no token but the end.
        num_blocks: blocks of lines that the bootstrap draws from.
        by_frequency: by the token's count in the training text; empty where that is not known.
        by_position: by the token's place in its line.
    """

    perplexity: float
    interval: tuple[float, float] | None
    perplexity_without_end: float
    bits_per_character: float | None
    perplexity_per_word: float | None
    perplexity_per_word_and_end: float | None
    nats: float
    unknown_share: float
    num_tokens: int
    num_ends: int
    num_lines: int
    num_empty_lines: int
    num_characters: int
    num_words: int
    num_blocks: int
    by_frequency: list[Band]
    by_position: list[Band]

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self)


def perplexity_metrics(
    lines: Sequence[ScoredLine], known: Mapping[str, int] | None = None, *, resamples: int = 2000, seed: int = 0
) -> PerplexityMetrics:
    """Measure a language model on a text.

    Args:
        lines: the text in its order; lines without any token but the end are left out.
        known: how often each token stands in the training text; without it nothing is said about rare tokens.
        resamples: of the bootstrap.
        seed: of the bootstrap.

    Raises:
        DataError: no lines with tokens, tokens and log-probabilities of different number, or a log-probability that
            is not finite or above 0.
        ConfigError: ``resamples`` below 1.
    """
    text = _flatten(lines)
    num_tokens, num_ends, num_lines = len(text.nats), int(text.is_end.sum()), len(text.lengths)
    num_characters = sum(line.num_characters for line in lines if not line.is_empty)
    num_words = sum(line.num_words for line in lines if not line.is_empty)
    nats = float(text.nats.sum())
    block_nats, block_tokens = _sum_blocks(_sum_lines(text), text.lengths)
    interval = None
    if len(block_nats) > 1:
        lower, upper = bootstrap_interval(block_nats, block_tokens, resamples=resamples, seed=seed)
        interval = perplexity_of(lower, 1), perplexity_of(upper, 1)  # quantiles survive a rising function
    num_unknown = sum(token == UNKNOWN for token in text.tokens)
    return PerplexityMetrics(
        perplexity=perplexity_of(nats, num_tokens),
        interval=interval,
        perplexity_without_end=perplexity_of(float(text.nats[~text.is_end].sum()), num_tokens - num_ends),
        bits_per_character=nats / math.log(2) / (num_characters + num_ends) if num_characters else None,
        perplexity_per_word=perplexity_of(nats, num_words) if num_words else None,
        perplexity_per_word_and_end=perplexity_of(nats, num_words + num_ends) if num_words else None,
        nats=nats,
        unknown_share=num_unknown / (num_tokens - num_ends),
        num_tokens=num_tokens,
        num_ends=num_ends,
        num_lines=num_lines,
        num_empty_lines=len(lines) - num_lines,
        num_characters=num_characters,
        num_words=num_words,
        num_blocks=len(block_nats),
        by_frequency=[] if known is None else _frequency_bands(text, known),
        by_position=_position_bands(text),
    )


def paired_difference(
    lines: Sequence[ScoredLine],
    others: Sequence[ScoredLine],
    *,
    per: Literal["token", "character"] = "token",
    resamples: int = 2000,
    seed: int = 0,
) -> PairedResult:
    """Test whether two models differ on the same text, over the same blocks of lines.

    Args:
        lines: the text as the first model scored it.
        others: the same lines from the second model.
        per: "token" needs the same tokens from both; "character" (line ends count as one) compares models that cut
            the text differently.
        resamples: of the bootstrap.
        seed: of the bootstrap.

    Returns:
        Mean surprise of the first minus that of the second, in nats, with its 95 % interval and the two-sided
        p-value; above 0, the first is the worse.

    Raises:
        DataError: the lines are not the same text, or not the same tokens where that is needed.
    """
    for place, (line, other) in enumerate(_pairs(lines, others), start=1):
        if (line.num_characters, line.num_words) != (other.num_characters, other.num_words):
            raise DataError(f"line {place} is not the same text for both models; score both on the same lines in order")
        if per == "token" and line.tokens != other.tokens:
            raise DataError(
                f'line {place} has other tokens for the second model; compare them with per="character", or score '
                "both with one vocabulary"
            )
        if line.is_empty != other.is_empty:
            raise DataError(
                f"line {place} has tokens for one model and none for the other; score both on the same text"
            )
    first, second = _flatten(lines), _flatten(others)
    characters = [line.num_characters + line.has_end for line in lines if not line.is_empty]
    totals = first.lengths if per == "token" else characters
    return paired_bootstrap(*_sum_blocks(_sum_lines(first), _sum_lines(second), totals), resamples=resamples, seed=seed)


def have_same_tokens(lines: Sequence[ScoredLine], others: Sequence[ScoredLine]) -> bool:
    """Return whether two models read a text as the same tokens, so that their perplexities can be compared."""
    return [line.tokens for line in lines] == [line.tokens for line in others]


def perplexity_of(nats: float, num_items: int) -> float:
    """Return ``exp(nats / num_items)``, infinite where that is too large for a number."""
    mean = nats / num_items
    return math.exp(mean) if mean < 700 else math.inf


@dataclass(frozen=True, kw_only=True, eq=False)
class _FlatText:
    """The tokens of all lines, one after another; ``lengths`` has one entry per line, all else one per token."""

    tokens: list[str]
    nats: Floats
    is_end: Bools
    positions: Ints
    lengths: Ints


def _flatten(lines: Sequence[ScoredLine]) -> _FlatText:
    import numpy as np

    numbered = [(number, line) for number, line in enumerate(lines, start=1) if not line.is_empty]
    if not numbered:
        raise DataError(f"none of {len(lines)} lines has a token to score; give at least one line of text")
    for number, line in numbered:
        if len(line.tokens) != len(line.log_probabilities):
            raise DataError(
                f"line {number} has {len(line.tokens)} tokens and {len(line.log_probabilities)} log-probabilities; "
                "there must be one of each"
            )
    nats = -np.concatenate([np.asarray(line.log_probabilities, dtype=np.float64) for _, line in numbered])
    lengths = np.array([len(line.tokens) for _, line in numbered])
    ends = lengths.cumsum()
    tokens = [token for _, line in numbered for token in line.tokens]
    wrong = ~(np.isfinite(nats) & (nats > -1e-3))  # 1e-3: single precision rounds
    if wrong.any():
        place = int(wrong.argmax())
        number = numbered[int(np.searchsorted(ends, place, side="right"))][0]
        raise DataError(
            f"line {number}: {shorten(tokens[place])} has log-probability {-nats[place]}; it must be finite and not "
            "above 0, so a model must leave some probability for every token"
        )
    is_end = np.zeros(len(nats), dtype=bool)
    is_end[ends - 1] = [line.has_end for _, line in numbered]
    positions = np.arange(1, len(nats) + 1) - np.repeat(ends - lengths, lengths)
    return _FlatText(tokens=tokens, nats=nats, is_end=is_end, positions=positions, lengths=lengths)


def _sum_lines(text: _FlatText) -> Floats:
    """The surprise of each line."""
    import numpy as np

    return np.add.reduceat(text.nats, text.lengths.cumsum() - text.lengths)


def _sum_blocks(*columns: Floats | Ints | Sequence[float]) -> list[list[float]]:
    """Add up each column of one number per line over blocks of consecutive lines, all of about one length."""
    import numpy as np

    num_lines = len(columns[0])
    size = min(_LARGEST_BLOCK, max(1, num_lines // _FEWEST_BLOCKS))
    num_blocks = num_lines // size
    starts = np.arange(num_blocks) * num_lines // num_blocks
    return [np.add.reduceat(np.asarray(column, dtype=np.float64), starts).tolist() for column in columns]


def _frequency_bands(text: _FlatText, known: Mapping[str, int]) -> list[Band]:
    import numpy as np

    bands = _place(np.array([known.get(token, 0) for token in text.tokens]), FREQUENCY_BANDS)
    bands[[token == UNKNOWN for token in text.tokens]] = len(FREQUENCY_BANDS)
    bands[text.is_end] = len(FREQUENCY_BANDS) + 1
    return _sum_bands(text.nats, bands, [*(label for label, _ in FREQUENCY_BANDS), UNKNOWN, END])


def _position_bands(text: _FlatText) -> list[Band]:
    return _sum_bands(text.nats, _place(text.positions, POSITION_BANDS), [label for label, _ in POSITION_BANDS])


def _place(values: Ints, buckets: Buckets) -> Ints:
    """The index of the bucket of each value; the last bucket has no upper end."""
    import numpy as np

    return np.searchsorted([largest for _, largest in buckets[:-1]], values)


def _sum_bands(nats: Floats, bands: Ints, labels: Sequence[str]) -> list[Band]:
    """The bands that hold tokens, in their order."""
    import numpy as np

    counts = np.bincount(bands, minlength=len(labels)).tolist()
    sums = np.bincount(bands, weights=nats, minlength=len(labels)).tolist()
    return [
        Band(label=label, num_tokens=count, nats=total, perplexity=perplexity_of(total, count))
        for label, count, total in zip(labels, counts, sums, strict=True)
        if count
    ]


def _pairs(lines: Sequence[ScoredLine], others: Sequence[ScoredLine]) -> Iterable[tuple[ScoredLine, ScoredLine]]:
    if len(lines) != len(others):
        raise DataError(f"{len(lines)} and {len(others)} lines; both models must score the same lines")
    return zip(lines, others, strict=True)

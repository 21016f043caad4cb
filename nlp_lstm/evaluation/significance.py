"""How sure a score is, and whether two systems really differ.

Tokens of one sentence are not independent, so the bootstrap draws whole items (sentences, reviews, lines).
Most functions take plain lists, one number per item: what was achieved and, where items have different
sizes, out of how many. Leave ``totals`` out for scores that are simply averaged, one per item. Scores such as BLEU,
which are neither a mean nor a ratio, are made from counts that add up over the items: `score_interval` and
`paired_score_bootstrap` take these counts and the function that makes the score.

Sources: Efron and Tibshirani, "An Introduction to the Bootstrap" (1993), chapter 13 (percentile interval);
Koehn, "Statistical Significance Tests for Machine Translation Evaluation", EMNLP 2004 (paired resampling);
Berg-Kirkpatrick, Burkett and Klein, "An Empirical Investigation of Statistical Significance in NLP",
EMNLP 2012, figure 1 (the p-value is counted around the observed difference).
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from nlp_lstm.errors import ConfigError, DataError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]

_DRAWS_AT_ONCE = 2_000_000
"""Random indices held in memory at a time (8 bytes each)."""


class PairedResult(NamedTuple):
    """System a minus system b: the difference, its interval, and the two-sided p-value."""

    difference: float
    interval: tuple[float, float]
    p_value: float


class MeanAndSpread(NamedTuple):
    """The mean over runs and the sample standard deviation, ``None`` where one run alone has none."""

    mean: float
    spread: float | None


def bootstrap_interval(
    correct: Sequence[float],
    totals: Sequence[float] | None = None,
    *,
    confidence: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> tuple[float, float]:
    """Return the percentile bootstrap interval of ``sum(correct) / sum(totals)``.

    Args:
        correct: what each item achieved, such as its number of right tokens, or its own score.
        totals: out of how many, such as its number of tokens; 1 each when left out.
        confidence: share of the resampled scores that the interval covers, between 0 and 1.
        resamples: number of resampled data sets.
        seed: of the random draws; the same seed gives the same interval.

    Returns:
        Lower and upper end, in the unit of the score.

    Raises:
        DataError: no items, lists of different length, or totals that sum to nothing.
        ConfigError: ``confidence`` or ``resamples`` out of range.
    """
    gained, weights = _check_items([correct], totals)
    _, scores = _resample(gained, weights, resamples, seed)
    return _percentile_interval(scores[0], confidence)


def paired_bootstrap(
    correct_a: Sequence[float],
    correct_b: Sequence[float],
    totals: Sequence[float] | None = None,
    *,
    confidence: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> PairedResult:
    """Test whether system a and system b differ on the same items.

    Both systems are scored on the same resampled items. The p-value is the share of resamples whose
    difference lies at least as far from the observed one as that lies from zero, counting the observed data
    as one of them (so it is never 0; Davison and Hinkley 1997, section 4.2.5). Unlike Berg-Kirkpatrick
    et al. the test is two-sided.

    Args:
        correct_a: what system a achieved on each item.
        correct_b: what system b achieved on the same items.
        totals: out of how many; 1 each when left out.
        confidence: share of the resampled differences that the interval covers, between 0 and 1.
        resamples: number of resampled data sets.
        seed: of the random draws.

    Returns:
        The difference a minus b, its interval, and the p-value.

    Raises:
        DataError: no items, lists of different length, or totals that sum to nothing.
        ConfigError: ``confidence`` or ``resamples`` out of range.
    """
    gained, weights = _check_items([correct_a, correct_b], totals)
    (difference,), (differences,) = _resample(gained[:1] - gained[1:], weights, resamples, seed)
    return _paired_result(float(difference), differences, confidence)


def score_interval(
    counts: Floats,
    score: Callable[[list[float]], float],
    *,
    confidence: float = 0.95,
    resamples: int = 1000,
    seed: int = 0,
) -> tuple[float, float]:
    """Return the percentile bootstrap interval of a score made from counts that add up over the items.

    Args:
        counts: one row per item, `item count`.
        score: makes the score from the counts of all items together.
        confidence: share of the resampled scores that the interval covers, between 0 and 1.
        resamples: number of resampled data sets.
        seed: of the random draws.

    Returns:
        Lower and upper end, in the unit of the score.

    Raises:
        DataError: no items.
        ConfigError: ``confidence`` or ``resamples`` out of range.
    """
    import numpy as np

    sums = _resample_sums(counts, resamples, seed)
    return _percentile_interval(np.array([score(row) for row in sums.tolist()]), confidence)


def paired_score_bootstrap(
    counts_a: Floats,
    counts_b: Floats,
    score: Callable[[list[float]], float],
    *,
    confidence: float = 0.95,
    resamples: int = 1000,
    seed: int = 0,
) -> PairedResult:
    """Test whether two systems differ in a score made from counts, as `paired_bootstrap` does for a mean.

    Args:
        counts_a: what system a achieved, one row per item, `item count`.
        counts_b: what system b achieved on the same items.
        score: makes the score from the counts of all items together.
        confidence: share of the resampled differences that the interval covers, between 0 and 1.
        resamples: number of resampled data sets.
        seed: of the random draws.

    Returns:
        The difference a minus b, its interval, and the p-value.

    Raises:
        DataError: no items, or counts of different items.
        ConfigError: ``confidence`` or ``resamples`` out of range.
    """
    import numpy as np

    if counts_a.shape != counts_b.shape:
        raise DataError(f"counts of {len(counts_a)} and {len(counts_b)} items; both must describe the same items")
    width = counts_a.shape[1]
    sums = _resample_sums(np.concatenate([counts_a, counts_b], axis=1), resamples, seed)
    differences = np.array([score(row[:width]) - score(row[width:]) for row in sums.tolist()])
    difference = score(counts_a.sum(axis=0).tolist()) - score(counts_b.sum(axis=0).tolist())
    return _paired_result(difference, differences, confidence)


def mean_and_spread(values: Sequence[float]) -> MeanAndSpread:
    """Return the mean and sample standard deviation of a score over runs, such as seeds.

    Raises:
        DataError: there are no values.
    """
    if not values:
        raise DataError("no values to average; give the score of at least one run")
    return MeanAndSpread(statistics.fmean(values), statistics.stdev(values) if len(values) > 1 else None)


def _check_items(scores: list[Sequence[float]], totals: Sequence[float] | None) -> tuple[Floats, Floats]:
    """Return the scores as ``system item`` and the totals as ``item``."""
    import numpy as np

    counts = {len(items) for items in scores} | ({len(totals)} if totals is not None else set())
    if len(counts) != 1:
        raise DataError(f"lists of {sorted(counts)} items; all must describe the same items")
    gained = np.asarray(scores, dtype=np.float64)
    weights = np.ones(gained.shape[1]) if totals is None else np.asarray(totals, dtype=np.float64)
    kept = weights > 0  # an empty item says nothing, and a resample of empty items alone would have no score
    if not kept.any():
        raise DataError("no items to resample; give at least one item with a total above 0")
    return gained[:, kept], weights[kept]


def _resample(gained: Floats, weights: Floats, resamples: int, seed: int) -> tuple[Floats, Floats]:
    """Return the observed scores (``system``) and those of each resample (``system resample``)."""
    import numpy as np

    parts = [
        gained[:, drawn].sum(axis=2) / weights[drawn].sum(axis=1) for drawn in _draw(len(weights), resamples, seed)
    ]
    return gained.sum(axis=1) / weights.sum(), np.concatenate(parts, axis=1)


def _resample_sums(counts: Floats, resamples: int, seed: int) -> Floats:
    """Return the counts of each resample, added up over its items (``resample count``)."""
    import numpy as np

    num_items = len(counts)
    if not num_items:
        raise DataError("no items to resample; give at least one")
    parts = []
    for drawn in _draw(num_items, resamples, seed):
        rows = np.arange(len(drawn))[:, None] * num_items
        times = np.bincount((drawn + rows).ravel(), minlength=drawn.size)  # how often each item was drawn
        parts.append(times.reshape(drawn.shape) @ counts)
    return np.concatenate(parts)


def _draw(num_items: int, resamples: int, seed: int) -> Iterator[Ints]:
    """Yield the items of some resamples at a time (``resample item``)."""
    import numpy as np

    if resamples < 1:
        raise ConfigError(f"resamples is {resamples}; it must be at least 1, and 1000 or more to be of use")
    generator = np.random.default_rng(seed)
    rows_at_once = max(1, _DRAWS_AT_ONCE // num_items)
    for start in range(0, resamples, rows_at_once):
        yield generator.integers(num_items, size=(min(rows_at_once, resamples - start), num_items))


def _paired_result(difference: float, differences: Floats, confidence: float) -> PairedResult:
    is_extreme = abs(differences - difference) >= abs(difference) - 1e-12  # 1e-12: sums differ by rounding
    p_value = (1 + int(is_extreme.sum())) / (1 + len(differences))
    return PairedResult(difference, _percentile_interval(differences, confidence), p_value)


def _percentile_interval(scores: Floats, confidence: float) -> tuple[float, float]:
    import numpy as np

    if not 0 < confidence < 1:
        raise ConfigError(f"confidence is {confidence}; it must lie between 0 and 1, as 0.95 does")
    lower, upper = np.quantile(scores, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(lower), float(upper)

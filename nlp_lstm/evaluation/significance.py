"""How sure a score is, and whether two systems really differ.

Tokens of one sentence are not independent, so the bootstrap draws whole items (sentences, reviews, lines).
Every function takes plain lists, one number per item: what was achieved and, where items have different
sizes, out of how many. Leave ``totals`` out for scores that are simply averaged, one per item.

Sources: Efron and Tibshirani, "An Introduction to the Bootstrap" (1993), chapter 13 (percentile interval);
Koehn, "Statistical Significance Tests for Machine Translation Evaluation", EMNLP 2004 (paired resampling);
Berg-Kirkpatrick, Burkett and Klein, "An Empirical Investigation of Statistical Significance in NLP",
EMNLP 2012, figure 1 (the p-value is counted around the observed difference).
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from nlp_lstm.errors import ConfigError, DataError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

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
    is_extreme = abs(differences - difference) >= abs(difference) - 1e-12  # 1e-12: sums differ by rounding
    p_value = (1 + int(is_extreme.sum())) / (1 + resamples)
    return PairedResult(float(difference), _percentile_interval(differences, confidence), p_value)


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

    if resamples < 1:
        raise ConfigError(f"resamples is {resamples}; it must be at least 1, and 1000 or more to be of use")
    generator = np.random.default_rng(seed)
    num_items = len(weights)
    rows_at_once = max(1, _DRAWS_AT_ONCE // num_items)
    parts = []
    for start in range(0, resamples, rows_at_once):
        drawn = generator.integers(num_items, size=(min(rows_at_once, resamples - start), num_items))
        parts.append(gained[:, drawn].sum(axis=2) / weights[drawn].sum(axis=1))
    return gained.sum(axis=1) / weights.sum(), np.concatenate(parts, axis=1)


def _percentile_interval(scores: Floats, confidence: float) -> tuple[float, float]:
    import numpy as np

    if not 0 < confidence < 1:
        raise ConfigError(f"confidence is {confidence}; it must lie between 0 and 1, as 0.95 does")
    lower, upper = np.quantile(scores, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(lower), float(upper)

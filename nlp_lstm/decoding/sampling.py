"""From the logits of one step to one next token per row.

The order is fixed: tokens that may not come are excluded, repetition is penalised and blocked, the temperature is
applied, the filters cut the tail, and one uniform number per row draws from what is left. Excluded means a logit of
minus infinity. Every function answers for each row alone, whatever else is in the batch. Needs no torch.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import Field

from nlp_lstm.decoding.chain import softmax
from nlp_lstm.decoding.search import check_excluded
from nlp_lstm.settings import Settings

if TYPE_CHECKING:
    from numpy.typing import NDArray

FIRST_LOOK = 1024  # tokens ranked before all are: nearly always enough, and a fifteenth of the sort of 32,000


class SamplingSettings(Settings):
    """How the next token is drawn. The names are those of Hugging Face's generation settings."""

    do_sample: bool = True
    """Draw at random; otherwise the likeliest token is taken (greedy) and temperature and filters have no effect."""

    temperature: float = Field(1.0, gt=0, allow_inf_nan=False)
    """The logits are divided by it: below 1 sharper, above 1 flatter."""

    top_k: int = Field(0, ge=0)
    """Keep this many of the likeliest tokens; 0 keeps all."""

    top_p: float = Field(1.0, gt=0, le=1)
    """Keep the fewest likeliest tokens whose probabilities reach this share; 1 keeps all (Holtzman et al. 2020)."""

    typical_p: float = Field(1.0, gt=0, le=1)
    """Keep the fewest tokens, those of the most typical surprise first, whose probabilities reach this share; 1 keeps
    all (Meister et al. 2023)."""

    repetition_penalty: float = Field(1.0, gt=0, allow_inf_nan=False)
    """Above 1 makes tokens that came before less likely, below 1 more likely (Keskar et al. 2019)."""

    no_repeat_ngram_size: int = Field(0, ge=0)
    """No run of this many tokens comes twice; 0 allows all."""


def exclude_ids(logits: NDArray[Any], ids: Sequence[int]) -> NDArray[Any]:
    """Exclude the same tokens in every row of `batch vocab`.

    Raises:
        ConfigError: no token would be left.
    """
    if not ids:
        return logits
    check_excluded(logits.shape[1], ids)
    left = logits.copy()
    left[:, list(ids)] = -math.inf
    return left


def penalise_repetition(
    logits: NDArray[Any], history: NDArray[np.int64], penalty: float, lengths: NDArray[np.int64] | None = None
) -> NDArray[Any]:
    """Make the tokens that a row holds already less likely.

    Args:
        logits: the scores of one step, `batch vocab`.
        history: the tokens so far, `batch time`.
        penalty: above 1; below 1 it rewards, at 1 it does nothing.
        lengths: real tokens in each row of ``history``; default all.

    Source: Keskar et al., "CTRL", arXiv:1909.05858 (2019), section 4.1. There all logits are divided; here, as in
    Hugging Face's code, negative ones are multiplied, so that a penalty never helps a token.
    """
    if penalty == 1.0:
        return logits
    ends = np.full(len(history), history.shape[1]) if lengths is None else lengths
    rows, times = np.nonzero(np.arange(history.shape[1]) < ends[:, None])
    seen = np.zeros(logits.shape, bool)
    seen[rows, history[rows, times]] = True
    return np.where(seen, np.where(logits > 0, logits / penalty, logits * penalty), logits)


def filter_logits(logits: NDArray[Any], settings: SamplingSettings) -> NDArray[np.float64]:
    """Apply the temperature, then top-k, top-p and typical-p, each to what the one before has left.

    Every row keeps at least one token. Among equally good tokens the lowest ids are kept.

    Args:
        logits: the scores of one step, `batch vocab`, each row with a token that is not excluded; excluded ones stay
            so.
        settings: the temperature and the filters; repetition is not treated here.

    Returns:
        The logits in float64, excluded tokens at minus infinity, shifted so that each row's largest is 0.

    Source: top-k: Fan, Lewis, Dauphin, "Hierarchical Neural Story Generation", ACL 2018; top-p: Holtzman et al., "The
    Curious Case of Neural Text Degeneration", ICLR 2020, section 3.1; typical-p: Meister et al., "Locally Typical
    Sampling", TACL 11 (2023), section 4.
    """
    logits = logits.astype(np.float64)
    logits -= logits.max(axis=1, keepdims=True)  # so that small temperatures keep the largest finite
    with np.errstate(over="ignore"):
        logits /= settings.temperature
    if 0 < settings.top_k < logits.shape[1]:
        threshold = -np.partition(-logits, settings.top_k - 1, axis=1)[:, settings.top_k - 1, None]
        logits = np.where(_best(logits, threshold, settings.top_k), logits, -math.inf)
    if settings.top_p < 1:
        logits = _keep_mass(logits, logits, settings.top_p)
    if settings.typical_p < 1:
        probs = softmax(logits)
        with np.errstate(divide="ignore"):
            log_probs = np.log(probs)
        entropy = -np.where(probs > 0, probs * np.where(probs > 0, log_probs, 0), 0).sum(axis=1, keepdims=True)
        logits = _keep_mass(logits, -np.abs(-log_probs - entropy), settings.typical_p)
    return logits


def draw(logits: NDArray[Any], uniforms: NDArray[np.float64]) -> NDArray[np.int64]:
    """Draw one token per row by the inverse of its cumulative probabilities, in float64.

    Args:
        logits: the scores of one step, `batch vocab`, each row with at least one token that is not excluded.
        uniforms: one number in [0, 1) per row, in float64 where every token of a large vocabulary shall be reachable.

    Returns:
        The ids, never of an excluded token.
    """
    cumulative = softmax(logits.astype(np.float64)).cumsum(axis=1)
    drawn = []
    for row, reached in zip(cumulative, uniforms * cumulative[:, -1], strict=True):
        last = np.searchsorted(row, row[-1])  # the last token that added anything, should rounding reach the total
        drawn.append(min(np.searchsorted(row, reached, side="right"), last))
    return np.array(drawn, dtype=np.int64)


def _keep_mass(logits: NDArray[Any], preference: NDArray[Any], mass: float) -> NDArray[Any]:
    """Exclude all but the most preferred tokens of each row, as few as reach the share ``mass`` of its probability."""
    vocab_size = logits.shape[1]
    probs = softmax(logits)
    for count in (min(FIRST_LOOK, vocab_size), vocab_size):
        places = np.argpartition(-preference, count - 1, axis=1)[:, :count]
        order = np.argsort(-np.take_along_axis(preference, places, axis=1), axis=1, kind="stable")
        places = np.take_along_axis(places, order, axis=1)
        cumulative = np.take_along_axis(probs, places, axis=1).cumsum(axis=1)
        if (cumulative[:, -1] >= mass).all():
            break
    needed = 1 + (cumulative[:, :-1] < mass).sum(axis=1, keepdims=True)
    threshold = np.take_along_axis(preference, np.take_along_axis(places, needed - 1, axis=1), axis=1)
    return np.where(_best(preference, threshold, needed), logits, -math.inf)


def _best(preference: NDArray[Any], threshold: NDArray[Any], count: NDArray[np.int64] | int) -> NDArray[np.bool_]:
    """Return True at each row's ``count`` most preferred tokens, the least preferred of which has ``threshold``."""
    above = preference > threshold
    equal = preference == threshold
    room = count - above.sum(axis=1, keepdims=True)
    found: NDArray[np.bool_] = above | (equal & (equal.cumsum(axis=1) <= room))
    return found

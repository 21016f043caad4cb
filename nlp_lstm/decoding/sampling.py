"""From the logits of one step to one next token per row.

The order is fixed: tokens that may not come are excluded, repetition is penalised and blocked, the temperature is
applied, the filters cut the tail, and one uniform number per row draws from what is left. Excluded means a logit of
minus infinity. Every function answers for each row alone, whatever else is in the batch.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float, Int
from pydantic import Field
from torch import Tensor

from nlp_lstm.decoding import search
from nlp_lstm.decoding.search import check_excluded
from nlp_lstm.nn.recurrent import make_mask
from nlp_lstm.settings import Settings

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


def exclude_ids(logits: Float[Tensor, "batch vocab"], ids: Sequence[int]) -> Float[Tensor, "batch vocab"]:
    """Exclude the same tokens in every row.

    Raises:
        ConfigError: no token would be left.
    """
    if not ids:
        return logits
    check_excluded(logits.shape[1], ids)
    return logits.index_fill(1, torch.tensor(list(ids), device=logits.device), -math.inf)


def penalise_repetition(
    logits: Float[Tensor, "batch vocab"],
    history: Int[Tensor, "batch time"],
    penalty: float,
    lengths: Int[Tensor, " batch"] | None = None,
) -> Float[Tensor, "batch vocab"]:
    """Make the tokens that a row holds already less likely.

    Args:
        logits: the scores of one step.
        history: the tokens so far.
        penalty: above 1; below 1 it rewards, at 1 it does nothing.
        lengths: real tokens in each row of ``history``; default all.

    Source: Keskar et al., "CTRL", arXiv:1909.05858 (2019), section 4.1. There all logits are divided; here, as in
    Hugging Face's code, negative ones are multiplied, so that a penalty never helps a token.
    """
    if penalty == 1.0:
        return logits
    seen = torch.zeros_like(logits, dtype=torch.bool)
    rows, times = make_mask(_all_if_none(lengths, history), history.shape[1]).nonzero(as_tuple=True)
    seen[rows, history[rows, times]] = True
    return torch.where(seen, torch.where(logits > 0, logits / penalty, logits * penalty), logits)


def block_ngrams(
    logits: Float[Tensor, "batch vocab"],
    history: Int[Tensor, "batch time"],
    size: int,
    lengths: Int[Tensor, " batch"] | None = None,
) -> Float[Tensor, "batch vocab"]:
    """Exclude each token that would complete a run of ``size`` tokens which the row holds already.

    As `nlp_lstm.decoding.search.block_ngrams` does, which a size of 0 lets block nothing.
    """
    if size == 0 or history.shape[1] < size:
        return logits
    blocked = logits.detach().cpu().clone()
    search.block_ngrams(
        blocked.numpy(), history.cpu().numpy(), size, None if lengths is None else lengths.cpu().numpy()
    )
    return blocked.to(logits.device)


def filter_logits(logits: Float[Tensor, "batch vocab"], settings: SamplingSettings) -> Float[Tensor, "batch vocab"]:
    """Apply the temperature, then top-k, top-p and typical-p, each to what the one before has left.

    Every row keeps at least one token. Among equally good tokens the lowest ids are kept.

    Args:
        logits: the scores of one step, each row with a token that is not excluded; excluded ones stay so.
        settings: the temperature and the filters; repetition is not treated here.

    Returns:
        The logits in float64, excluded tokens at minus infinity, shifted so that each row's largest is 0.

    Source: top-k: Fan, Lewis, Dauphin, "Hierarchical Neural Story Generation", ACL 2018; top-p: Holtzman et al., "The
    Curious Case of Neural Text Degeneration", ICLR 2020, section 3.1; typical-p: Meister et al., "Locally Typical
    Sampling", TACL 11 (2023), section 4.
    """
    logits = logits.double()
    logits = (logits - logits.amax(dim=1, keepdim=True)) / settings.temperature  # the shift keeps small ones finite
    if 0 < settings.top_k < logits.shape[1]:
        threshold = logits.topk(settings.top_k).values[:, -1:]
        logits = logits.masked_fill(~_best(logits, threshold, settings.top_k), -math.inf)
    if settings.top_p < 1:
        logits = _keep_mass(logits, logits, settings.top_p)
    if settings.typical_p < 1:
        log_probs = logits.log_softmax(dim=1)
        entropy = torch.special.entr(log_probs.exp()).sum(dim=1, keepdim=True)
        logits = _keep_mass(logits, -(-log_probs - entropy).abs(), settings.typical_p)
    return logits


def draw(logits: Float[Tensor, "batch vocab"], uniforms: Float[Tensor, " batch"]) -> Int[Tensor, " batch"]:
    """Draw one token per row by the inverse of its cumulative probabilities, in float64.

    Args:
        logits: the scores of one step, each row with at least one token that is not excluded.
        uniforms: one number in [0, 1) per row, in float64 where every token of a large vocabulary shall be reachable.

    Returns:
        The ids, never of an excluded token.
    """
    cumulative = logits.double().softmax(dim=1).cumsum(dim=1)
    totals = cumulative[:, -1:].contiguous()
    drawn = torch.searchsorted(cumulative, uniforms.double()[:, None] * totals, right=True)
    last = torch.searchsorted(cumulative, totals)  # the last token that added anything, should rounding reach the total
    return torch.minimum(drawn, last)[:, 0]


def _keep_mass(
    logits: Float[Tensor, "batch vocab"], preference: Float[Tensor, "batch vocab"], mass: float
) -> Float[Tensor, "batch vocab"]:
    """Exclude all but the most preferred tokens of each row, as few as reach the share ``mass`` of its probability."""
    vocab_size = logits.shape[1]
    probs = logits.softmax(dim=1)
    ranked, index = preference.topk(min(FIRST_LOOK, vocab_size))
    cumulative = probs.gather(1, index).cumsum(dim=1)
    if not (cumulative[:, -1] >= mass).all():
        ranked, index = preference.topk(vocab_size)
        cumulative = probs.gather(1, index).cumsum(dim=1)
    count = 1 + (cumulative[:, :-1] < mass).sum(dim=1, keepdim=True)
    return logits.masked_fill(~_best(preference, ranked.gather(1, count - 1), count), -math.inf)


def _best(
    preference: Float[Tensor, "batch vocab"], threshold: Float[Tensor, "batch 1"], count: Int[Tensor, "batch 1"] | int
) -> Bool[Tensor, "batch vocab"]:
    """Return True at each row's ``count`` most preferred tokens, the least preferred of which has ``threshold``."""
    above = preference > threshold
    equal = preference == threshold
    room = count - above.sum(dim=1, keepdim=True)
    return above | (equal & (equal.cumsum(dim=1) <= room))


def _all_if_none(lengths: Int[Tensor, " batch"] | None, history: Int[Tensor, "batch time"]) -> Int[Tensor, " batch"]:
    if lengths is not None:
        return lengths
    return torch.full((history.shape[0],), history.shape[1], device=history.device)

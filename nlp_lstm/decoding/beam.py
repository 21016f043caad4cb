"""Beam search over any model that gives logits step by step.

A model enters as a function of one step, its state as tensors whose first dimension is rows. A row is one beam of one
sentence; the sentences still searched have equally many beams, ordered by score, so all of them run in one batch.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from nlp_lstm.decoding.sampling import block_ngrams, check_excluded
from nlp_lstm.errors import ConfigError

_BLOCK = 64

DecoderState = Any
"""What a model carries from step to step: tensors whose first dimension is rows, or None, in any nesting of tuples,
NamedTuples, lists and dictionaries. In a NamedTuple whose ``per_sentence`` is true the first dimension is sentences:
what all beams of a sentence have in common, such as an encoder's outputs, is neither copied nor moved."""

Step = Callable[[Tensor, DecoderState], tuple[Tensor, DecoderState]]
"""One step of a model: the last tokens (`rows`) and the state give the logits (`rows vocab`) and the next state."""


class Hypothesis(NamedTuple):
    """One generated sequence.

    Args:
        ids: the tokens, without the end token.
        score: the sum of the log-probabilities, in nats, that of the end token included.
        normalised_score: the score divided by the length penalty; hypotheses are ordered by it.
        is_finished: whether it came to the end token, or was cut off after the last step.
    """

    ids: tuple[int, ...]
    score: float
    normalised_score: float
    is_finished: bool


class Quota(NamedTuple):
    """Tokens that come a given number of times: no more often, and the end token not before.

    Where the end token is the likeliest, or no more steps are left than these tokens take, one of them comes instead.

    Args:
        ids: the tokens.
        counts: how often each comes in each row.
    """

    ids: tuple[int, ...]
    counts: Int[Tensor, "batch id"]


def select_rows(state: DecoderState, index: Int[Tensor, " rows"]) -> DecoderState:
    """Return the state of the rows in ``index``, which may leave out and repeat rows.

    Raises:
        TypeError: the state holds something other than tensors, None, tuples, lists and dictionaries.
    """
    if state is None:
        return None
    if isinstance(state, Tensor):
        return state.index_select(0, index)
    if isinstance(state, dict):
        return {key: select_rows(part, index) for key, part in state.items()}
    if isinstance(state, (tuple, list)):
        parts = [select_rows(part, index) for part in state]
        return type(state)(*parts) if hasattr(state, "_fields") else type(state)(parts)
    raise TypeError(
        f"a decoder state holds a {type(state).__name__}; it may hold tensors (rows first) and None, in tuples, "
        "NamedTuples, lists and dictionaries: keep what is not per row out of the state"
    )


def _select_beams(state: DecoderState, rows: Int[Tensor, " rows"], sentences: Int[Tensor, " sentence"]) -> DecoderState:
    """Return the state of the rows that the beams go on from; what is per sentence, of the sentences."""
    if getattr(state, "per_sentence", False):
        return state if len(sentences) == len(state[0]) else select_rows(state, sentences)
    if isinstance(state, (tuple, list)):
        parts = [_select_beams(part, rows, sentences) for part in state]
        return type(state)(*parts) if hasattr(state, "_fields") else type(state)(parts)
    if isinstance(state, dict):
        return {key: _select_beams(part, rows, sentences) for key, part in state.items()}
    return select_rows(state, rows)


def length_normaliser(length: int, alpha: float) -> float:
    """Return what a score is divided by: ``((5 + length) / 6) ** alpha``, 1 for one token or for alpha 0.

    Args:
        length: tokens scored, the end token included.
        alpha: 0 gives plain sums; larger values favour longer sequences.

    Source: Wu et al., "Google's Neural Machine Translation System", arXiv:1609.08144 (2016), equation 14.
    """
    return float(((5 + length) / 6) ** alpha)


@torch.no_grad()
def beam_search(
    step: Step,
    state: DecoderState,
    first_tokens: Int[Tensor, " batch"],
    *,
    num_beams: int,
    eos_id: int,
    max_steps: int | Sequence[int],
    length_penalty: float = 0.6,
    no_repeat_ngram_size: int = 0,
    num_return: int = 1,
    excluded_ids: Sequence[int] = (),
    quota: Quota | None = None,
) -> list[list[Hypothesis]]:
    """Search the best sequences of each row; a row's answer does not depend on the batch.

    At each step a sentence's candidates are all tokens after all its beams. Of the best ``num_beams`` those with the
    end token are finished; the best ``num_beams`` of the others go on. A sentence is done when no beam can come to
    score better than the worst of the ``num_return`` it has: log-probabilities only lower a score, and the length
    penalty is known for every length that is still possible. Hypotheses cut off after the last step compete too.
    One beam is greedy search: it ends with the first end token that is likeliest. With as many beams as there are
    sequences the search is exhaustive.

    Args:
        step: one step of the model, for any number of rows.
        state: the state before the first step.
        first_tokens: what each row reads first, such as the begin token or the last token of a prompt.
        num_beams: sequences searched side by side.
        eos_id: the end token.
        max_steps: the most tokens scored, the end token included; one number, or one per row.
        length_penalty: the exponent in `length_normaliser`; 0.6 is that of Vaswani et al. 2017.
        no_repeat_ngram_size: no run of this many generated tokens comes twice; 0 allows all.
        num_return: sequences returned per row, at most ``num_beams``.
        excluded_ids: tokens that never come. They and blocked tokens keep their share of the probability: scores are
            those of the model.
        quota: tokens that come as often as it says, as far as the steps allow.

    Returns:
        For each row its hypotheses, the best normalised score first; fewer than ``num_return`` only where fewer exist.

    Raises:
        ConfigError: a number is out of its range.
    """
    limits = [max_steps] * len(first_tokens) if isinstance(max_steps, int) else list(max_steps)
    _check_numbers(num_beams, num_return, limits, len(first_tokens))
    answers = [_Answer(limit, length_penalty, num_return) for limit in limits]
    searched = answers
    beams = _first_beams(first_tokens)
    owed = None
    if quota is not None:
        device = quota.counts.device
        ids, most = torch.tensor(quota.ids, device=device), torch.tensor(limits, device=device)
        owed = _Owed(ids, quota.counts, most, eos_id)
    tokens = first_tokens
    length = 0
    while searched:
        length += 1
        logits, state = step(tokens, state)
        candidates = _extend(beams, logits, num_beams, no_repeat_ngram_size, excluded_ids, owed)
        is_end = candidates.history[:, :, -1] == eos_id
        rank = torch.arange(is_end.shape[1], device=is_end.device)
        _collect(searched, candidates, is_end & (rank < num_beams), is_finished=True)

        beams = _best_beams(candidates._replace(scores=candidates.scores.masked_fill(is_end, -math.inf)), num_beams)
        is_last = torch.tensor([answer.max_steps == length for answer in searched], device=is_end.device)
        _collect(searched, beams, is_last[:, None].expand(beams.scores.shape), is_finished=False)

        best_scores = beams.scores[:, 0].tolist()
        going = [index for index, answer in enumerate(searched) if answer.can_improve(best_scores[index], length)]
        if num_beams == 1:
            going = [index for index in going if not searched[index].hypotheses]
        searched = [searched[index] for index in going]
        kept = torch.tensor(going, dtype=torch.long, device=is_end.device)
        beams = select_rows(beams, kept)
        owed = None if owed is None else owed._replace(counts=owed.counts[kept], max_steps=owed.max_steps[kept])
        tokens = beams.history[:, :, -1].flatten()
        state = _select_beams(state, beams.rows.flatten(), kept)
    return [answer.hypotheses for answer in answers]


class _Answer:
    """The best hypotheses of one sentence so far, the best first.

    Args:
        max_steps: the most tokens scored.
        alpha: the exponent of the length penalty.
        size: how many hypotheses are kept.
    """

    def __init__(self, max_steps: int, alpha: float, size: int) -> None:
        self.max_steps = max_steps
        self.alpha = alpha
        self.size = size
        self.hypotheses: list[Hypothesis] = []

    def add(self, ids: list[int], score: float, length: int, is_finished: bool) -> None:
        normalised_score = score / length_normaliser(length, self.alpha)
        hypothesis = Hypothesis(tuple(ids), score, normalised_score, is_finished)
        bisect.insort(self.hypotheses, hypothesis, key=lambda kept: -kept.normalised_score)  # equals: first come first
        del self.hypotheses[self.size :]

    def can_improve(self, best_score: float, length: int) -> bool:
        """Whether a beam of ``length`` tokens, with at most ``best_score``, may yet come among the hypotheses."""
        if length == self.max_steps or best_score == -math.inf:
            return False
        if len(self.hypotheses) < self.size:
            return True
        possible = (length_normaliser(length + 1, self.alpha), length_normaliser(self.max_steps, self.alpha))
        return best_score / max(possible) > self.hypotheses[-1].normalised_score


class _Beams(NamedTuple):
    """Equally many sequences for each sentence still searched, the best first."""

    scores: Float[Tensor, "sentence beam"]  # float64; minus infinity where there is no sequence
    rows: Int[Tensor, "sentence beam"]  # the row of the last step that each goes on from
    history: Int[Tensor, "sentence beam time"]  # the tokens generated so far


class _Owed(NamedTuple):
    """The quota of the sentences still searched."""

    ids: Int[Tensor, " id"]
    counts: Int[Tensor, "sentence id"]
    max_steps: Int[Tensor, " sentence"]
    eos_id: int

    def block_(self, log_probs: Float[Tensor, "row vocab"], beams: _Beams) -> None:
        """Set all that the quota does not allow as the next token to minus infinity."""
        num_beams, length = beams.history.shape[1:]
        written = (beams.history[..., None] == self.ids).sum(dim=2)
        left = (self.counts[:, None] - written).clamp(min=0).flatten(0, 1)
        num_left = left.sum(dim=1)
        room = (self.max_steps - length - 1).repeat_interleave(num_beams)  # steps but for the end token's
        is_end_likeliest = log_probs[:, self.eos_id] >= log_probs.amax(dim=1)
        owing = log_probs[:, self.ids].masked_fill(left == 0, -math.inf)
        log_probs[(num_left > 0) & ((num_left >= room) | is_end_likeliest)] = -math.inf
        log_probs[:, self.eos_id].masked_fill_(num_left > 0, -math.inf)
        log_probs[:, self.ids] = owing


def _first_beams(first_tokens: Int[Tensor, " batch"]) -> _Beams:
    return _Beams(
        scores=torch.zeros(len(first_tokens), 1, dtype=torch.float64, device=first_tokens.device),
        rows=torch.arange(len(first_tokens), device=first_tokens.device)[:, None],
        history=first_tokens.new_empty(len(first_tokens), 1, 0),
    )


def _extend(
    beams: _Beams,
    logits: Float[Tensor, "row vocab"],
    num_beams: int,
    ngram_size: int,
    excluded_ids: Sequence[int],
    owed: _Owed | None,
) -> _Beams:
    """Return each sentence's best sequences of one more token: ``num_beams`` that go on and all better ones that end.

    Only the best tokens of each row are ranked. Torch's fused log-softmax of all costs less than its logsumexp would
    (0.7 and 0.9 ms for 80 rows of 8,000).
    """
    check_excluded(logits.shape[1], excluded_ids)
    log_probs = logits.to(torch.promote_types(logits.dtype, torch.float32)).log_softmax(dim=1)
    log_probs[:, list(excluded_ids)] = -math.inf
    log_probs = block_ngrams(log_probs, beams.history.flatten(0, 1), ngram_size)
    if owed is not None:
        owed.block_(log_probs, beams)
    # One of them may be the end token, with which greedy search is over.
    best, tokens = find_best(log_probs, 1 if num_beams == 1 else min(num_beams + 1, log_probs.shape[1]))
    num_sentences, num_parents = beams.scores.shape
    scores = beams.scores[:, :, None] + best.double().view(num_sentences, num_parents, -1)
    parents = torch.arange(num_parents, device=logits.device)[:, None].expand(scores.shape)
    first_rows = num_parents * torch.arange(num_sentences, device=logits.device)[:, None]
    history = beams.history.gather(1, parents.flatten(1)[:, :, None].expand(-1, -1, beams.history.shape[2]))
    extended = _Beams(
        scores=scores.flatten(1),
        rows=first_rows + parents.flatten(1),
        history=torch.cat([history, tokens.view(num_sentences, -1, 1)], dim=2),
    )
    return _best_beams(extended, 2 * num_beams)  # at most num_beams of them end


def find_best(values: Float[Tensor, "row place"], count: int) -> tuple[Tensor, Tensor]:
    """Return each row's highest values and their places, the highest first, as ``topk`` does, several times faster.

    Torch's goes through a row value by value; the highest of each block of a row it finds many at a time. The ``count``
    highest values are in the blocks with the ``count`` highest ones.
    """
    num_blocks = values.shape[1] // _BLOCK
    if num_blocks <= 2 * count:
        return values.topk(count)
    blocks, rest = values.tensor_split([num_blocks * _BLOCK], dim=1)
    blocks = blocks.unflatten(1, (num_blocks, _BLOCK))
    chosen = blocks.amax(dim=2).topk(count).indices
    found = blocks.gather(1, chosen[:, :, None].expand(-1, -1, _BLOCK)).flatten(1)
    starts = _BLOCK * chosen[:, :, None]
    places = (starts + torch.arange(_BLOCK, device=values.device)).flatten(1)
    behind = torch.arange(num_blocks * _BLOCK, values.shape[1], device=values.device).expand(rest.shape)
    best, order = torch.cat((found, rest), dim=1).topk(count)
    return best, torch.cat((places, behind), dim=1).gather(1, order)


def _best_beams(beams: _Beams, count: int) -> _Beams:
    """Return each sentence's ``count`` best sequences, the best first, equals in the order that they have."""
    scores, order = beams.scores.sort(dim=1, descending=True, stable=True)
    order = order[:, :count]
    history = beams.history.gather(1, order[:, :, None].expand(-1, -1, beams.history.shape[2]))
    return _Beams(scores=scores[:, :count], rows=beams.rows.gather(1, order), history=history)


def _collect(
    answers: Sequence[_Answer], beams: _Beams, is_chosen: Bool[Tensor, "sentence beam"], *, is_finished: bool
) -> None:
    """Add the chosen sequences to their sentences' answers; the end token of finished ones is left out."""
    length = beams.history.shape[2]
    for sentence, beam in (is_chosen & (beams.scores > -math.inf)).nonzero().tolist():
        ids = beams.history[sentence, beam, : length - is_finished].tolist()
        answers[sentence].add(ids, beams.scores[sentence, beam].item(), length, is_finished)


def _check_numbers(num_beams: int, num_return: int, limits: Sequence[int], num_rows: int) -> None:
    faults = []
    if not 1 <= num_return <= num_beams:
        faults.append(f"num_return is {num_return} and num_beams {num_beams}; 1 <= num_return <= num_beams")
    if len(limits) != num_rows:
        faults.append(f"max_steps has {len(limits)} numbers for {num_rows} rows; one number, or one per row")
    if min(limits, default=1) < 1:
        faults.append(f"max_steps is {min(limits)}; at least 1")
    if faults:
        raise ConfigError("; ".join(faults))

"""Beam search over any model that gives log-probabilities step by step. Needs no torch.

A model enters as a function of one step, and a function that chooses among the rows of its state. A row is one beam of
one sentence; the sentences still searched have equally many beams, ordered by score, so all of them run in one batch.
`nlp_lstm.decoding.beam` is the same for models whose states are tensors.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from nlp_lstm.errors import CheckpointError, ConfigError

if TYPE_CHECKING:
    from numpy.typing import NDArray

_BLOCK = 64

DecoderState = Any
"""What a model carries from step to step; only its `ArrayStep` and its `Select` know more."""

ArrayStep = Callable[["NDArray[np.int64]", DecoderState], tuple["NDArray[Any]", DecoderState]]
"""One step of a model: the last tokens (`row`) and the state give log-probabilities in nats (`row vocab`), which the
search may overwrite, and the next state."""

Select = Callable[[DecoderState, "NDArray[np.int64]", "NDArray[np.int64]"], DecoderState]
"""What gives the state of the rows that the search goes on from, and the sentences that they belong to."""


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
        counts: how often each comes in each row, int64, `row id`.
    """

    ids: tuple[int, ...]
    counts: NDArray[np.int64]


def length_normaliser(length: int, alpha: float) -> float:
    """Return what a score is divided by: ``((5 + length) / 6) ** alpha``, 1 for one token or for alpha 0.

    Args:
        length: tokens scored, the end token included.
        alpha: 0 gives plain sums; larger values favour longer sequences.

    Source: Wu et al., "Google's Neural Machine Translation System", arXiv:1609.08144 (2016), equation 14.
    """
    return float(((5 + length) / 6) ** alpha)


def search(
    step: ArrayStep,
    select: Select,
    state: DecoderState,
    first_tokens: NDArray[np.int64],
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
        select: chooses among the rows of the model's state.
        state: the state before the first step.
        first_tokens: what each row reads first, such as the begin token or the last token of a prompt.
        num_beams: sequences searched side by side.
        eos_id: the end token.
        max_steps: the most tokens scored, the end token included; one number, or one per row.
        length_penalty: the exponent in `length_normaliser`; 0.6 is that of Vaswani et al. 2017.
        no_repeat_ngram_size: no run of this many generated tokens comes twice, unless the quota asks for it; 0 allows
            all.
        num_return: sequences returned per row, at most ``num_beams``.
        excluded_ids: tokens that never come. They and blocked tokens keep their share of the probability: scores are
            those of the model.
        quota: tokens that come as often as it says, as far as the steps allow.

    Returns:
        For each row its hypotheses, the best normalised score first; fewer than ``num_return`` only where fewer exist.

    Raises:
        ConfigError: a number is out of its range.
        CheckpointError: all tokens that may come are impossible, or the probabilities are no numbers.
    """
    limits = [max_steps] * len(first_tokens) if isinstance(max_steps, int) else list(max_steps)
    _check_numbers(num_beams, num_return, limits, len(first_tokens))
    answers = [_Answer(limit, length_penalty, num_return) for limit in limits]
    searched = answers
    beams = _first_beams(first_tokens)
    owed = None if quota is None else _Owed(np.array(quota.ids), quota.counts, np.array(limits), eos_id)
    tokens = first_tokens
    length = 0
    while searched:
        length += 1
        log_probs, state = step(tokens, state)
        candidates = _extend(beams, log_probs, num_beams, no_repeat_ngram_size, excluded_ids, owed)
        is_end = candidates.history[:, :, -1] == eos_id
        rank = np.arange(is_end.shape[1])
        _collect(searched, candidates, is_end & (rank < num_beams), is_finished=True)

        beams = _best_beams(candidates._replace(scores=np.where(is_end, -math.inf, candidates.scores)), num_beams)
        is_last = np.array([answer.max_steps == length for answer in searched])
        _collect(searched, beams, np.broadcast_to(is_last[:, None], beams.scores.shape), is_finished=False)

        best_scores = beams.scores[:, 0].tolist()
        going = [index for index, answer in enumerate(searched) if answer.can_improve(best_scores[index], length)]
        if num_beams == 1:
            going = [index for index in going if not searched[index].hypotheses]
        searched = [searched[index] for index in going]
        kept = np.array(going, dtype=np.int64)
        beams = _Beams(beams.scores[kept], beams.rows[kept], beams.history[kept])
        owed = None if owed is None else owed._replace(counts=owed.counts[kept], max_steps=owed.max_steps[kept])
        tokens = beams.history[:, :, -1].flatten()
        if searched:
            state = select(state, beams.rows.flatten(), kept)
    if not all(answer.hypotheses for answer in answers):
        raise CheckpointError("the network leaves no token that could come; train the model again")
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

    scores: NDArray[np.float64]  # sentence beam; minus infinity where there is no sequence
    rows: NDArray[np.int64]  # sentence beam; the row of the last step that each goes on from
    history: NDArray[np.int64]  # sentence beam time; the tokens generated so far


class _Owed(NamedTuple):
    """The quota of the sentences still searched."""

    ids: NDArray[np.int64]
    counts: NDArray[np.int64]  # sentence id
    max_steps: NDArray[np.int64]  # sentence
    eos_id: int

    def block(self, log_probs: NDArray[Any], owed_log_probs: NDArray[Any], beams: _Beams) -> None:
        """Set all that the quota does not allow as the next token to minus infinity, in place.

        Args:
            log_probs: of all tokens, of which some may be blocked for other reasons.
            owed_log_probs: those of the quota's tokens, `row id`, blocked for none: what is owed may repeat.
            beams: what was written so far.
        """
        num_beams, length = beams.history.shape[1:]
        written = (beams.history[..., None] == self.ids).sum(axis=2)
        left = np.maximum(self.counts[:, None] - written, 0).reshape(-1, len(self.ids))
        num_left = left.sum(axis=1)
        room = np.repeat(self.max_steps - length - 1, num_beams)  # steps but for the end token's
        is_end_likeliest = log_probs[:, self.eos_id] >= log_probs.max(axis=1)
        owing = np.where(left == 0, -math.inf, owed_log_probs)
        log_probs[(num_left > 0) & ((num_left >= room) | is_end_likeliest)] = -math.inf
        log_probs[num_left > 0, self.eos_id] = -math.inf
        log_probs[:, self.ids] = owing


def _first_beams(first_tokens: NDArray[np.int64]) -> _Beams:
    return _Beams(
        scores=np.zeros((len(first_tokens), 1)),
        rows=np.arange(len(first_tokens))[:, None],
        history=np.empty((len(first_tokens), 1, 0), dtype=np.int64),
    )


def _extend(
    beams: _Beams,
    log_probs: NDArray[Any],
    num_beams: int,
    ngram_size: int,
    excluded_ids: Sequence[int],
    owed: _Owed | None,
) -> _Beams:
    """Return each sentence's best sequences of one more token: ``num_beams`` that go on and all better ones that end.

    Only the best tokens of each row are ranked.
    """
    check_excluded(log_probs.shape[1], excluded_ids)
    log_probs[:, list(excluded_ids)] = -math.inf
    owed_log_probs = None if owed is None else log_probs[:, owed.ids]
    if ngram_size:
        block_ngrams(log_probs, beams.history.reshape(len(log_probs), -1), ngram_size)
    if owed is not None and owed_log_probs is not None:
        owed.block(log_probs, owed_log_probs, beams)
    # One of them may be the end token, with which greedy search is over.
    best, tokens = find_best(log_probs, 1 if num_beams == 1 else min(num_beams + 1, log_probs.shape[1]))
    num_sentences, num_parents = beams.scores.shape
    scores = beams.scores[:, :, None] + best.astype(np.float64).reshape(num_sentences, num_parents, -1)
    parents = np.repeat(np.arange(num_parents), scores.shape[2])[None]
    first_rows = num_parents * np.arange(num_sentences)[:, None]
    history = beams.history[:, parents[0]]
    extended = _Beams(
        scores=scores.reshape(num_sentences, -1),
        rows=first_rows + parents,
        history=np.concatenate([history, tokens.reshape(num_sentences, -1, 1)], axis=2),
    )
    return _best_beams(extended, 2 * num_beams)  # at most num_beams of them end


def find_best(values: NDArray[Any], count: int) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Return each row's highest values and their places, the highest first.

    A row is cut into columns of places that lie equally far apart, whose highest values are found for many of them at
    a time; the ``count`` highest values are in the columns with the ``count`` highest ones.

    Args:
        values: `row place`.
        count: how many, at most as many as there are places.
    """
    num_columns = values.shape[1] // _BLOCK
    if num_columns <= 2 * count:
        return _best_of_few(values, count)
    whole = num_columns * _BLOCK
    columns = values[:, :whole].reshape(len(values), _BLOCK, num_columns)
    _, chosen = _best_of_few(columns.max(axis=1), count)
    places = (num_columns * np.arange(_BLOCK)[:, None] + chosen[:, None]).reshape(len(values), _BLOCK * count)
    behind = np.broadcast_to(np.arange(whole, values.shape[1]), (len(values), values.shape[1] - whole))
    places = np.concatenate([places, behind], axis=1)
    best, order = _best_of_few(np.take_along_axis(values, places, axis=1), count)
    return best, np.take_along_axis(places, order, axis=1)


def _best_of_few(values: NDArray[Any], count: int) -> tuple[NDArray[Any], NDArray[np.int64]]:
    if count == 1:
        order = values.argmax(axis=1)[:, None]
        return np.take_along_axis(values, order, axis=1), order
    if count == values.shape[1]:
        order = np.argsort(-values, axis=1, kind="stable")
        return np.take_along_axis(values, order, axis=1), order
    order = np.argpartition(-values, count - 1, axis=1)[:, :count]
    best = np.take_along_axis(values, order, axis=1)
    ranked = np.argsort(-best, axis=1, kind="stable")
    return np.take_along_axis(best, ranked, axis=1), np.take_along_axis(order, ranked, axis=1)


def _best_beams(beams: _Beams, count: int) -> _Beams:
    """Return each sentence's ``count`` best sequences, the best first, equals in the order that they have."""
    order = np.argsort(-beams.scores, axis=1, kind="stable")[:, :count]
    return _Beams(
        scores=np.take_along_axis(beams.scores, order, axis=1),
        rows=np.take_along_axis(beams.rows, order, axis=1),
        history=np.take_along_axis(beams.history, order[:, :, None], axis=1),
    )


def _collect(answers: Sequence[_Answer], beams: _Beams, is_chosen: NDArray[np.bool_], *, is_finished: bool) -> None:
    """Add the chosen sequences to their sentences' answers; the end token of finished ones is left out."""
    length = beams.history.shape[2]
    for sentence, beam in np.argwhere(is_chosen & (beams.scores > -math.inf)).tolist():
        ids = beams.history[sentence, beam, : length - is_finished].tolist()
        answers[sentence].add(ids, beams.scores[sentence, beam].item(), length, is_finished)


def check_excluded(num_tokens: int, ids: Sequence[int]) -> None:
    """Check that a token is left.

    Raises:
        ConfigError: none is.
    """
    if len(set(ids)) >= num_tokens:
        raise ConfigError(f"all {num_tokens} tokens of the vocabulary are excluded; leave at least one")


def block_ngrams(
    scores: NDArray[Any], history: NDArray[np.int64], size: int, lengths: NDArray[np.int64] | None = None
) -> None:
    """Exclude, in place, each token that would complete a run of ``size`` tokens which the row holds already.

    A row that would be left with no token is left as it is.

    Args:
        scores: those of the next token, `row vocab`; excluded ones become minus infinity.
        history: the tokens so far, `row time`.
        size: tokens in a run; 1 blocks every token that came before.
        lengths: real tokens in each row of ``history``; default all.

    Source: Paulus, Xiong, Socher, "A Deep Reinforced Model for Abstractive Summarization", ICLR 2018, section 2.5.
    """
    if history.shape[1] < size:
        return
    ends = (np.full(len(history), history.shape[1]) if lengths is None else lengths)[:, None]
    windows = np.lib.stride_tricks.sliding_window_view(history, size, axis=1)  # row window size
    latest = np.maximum(ends - size + 1 + np.arange(size - 1), 0)
    latest_tokens = np.take_along_axis(history, latest, axis=1)[:, None]  # row 1 size-1
    starts = np.arange(windows.shape[1])
    is_repeat = (windows[..., :-1] == latest_tokens).all(axis=2) & (starts + size <= ends)  # row window
    rows, repeats = np.nonzero(is_repeat)
    touched = np.unique(rows)
    before = scores[touched]
    scores[rows, windows[rows, repeats, -1]] = -math.inf
    is_emptied = (scores[touched] == -math.inf).all(axis=1)
    scores[touched[is_emptied]] = before[is_emptied]


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

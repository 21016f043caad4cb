from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from nlp_lstm.decoding.beam import beam_search, select_rows
from nlp_lstm.decoding.search import Hypothesis, Quota, find_best, length_normaliser
from nlp_lstm.errors import ConfigError

EOS = 1


class Common(NamedTuple):
    bias: Tensor

    @property
    def per_sentence(self) -> bool:
        return True


class Carried(NamedTuple):
    hidden: Tensor
    extra: tuple[Tensor | None, dict[str, Common]]


class ToyModel:
    """A random recurrent net in float64, whose state is a nest of all allowed kinds. It counts the rows it is given.

    The beams of a sentence have their bias in common.
    """

    def __init__(self, vocab_size: int, seed: int, num_rows: int = 1, end_bias: float = 0.0) -> None:
        generator = torch.Generator().manual_seed(seed)

        def normal(*shape: int) -> Tensor:
            return torch.randn(*shape, dtype=torch.float64, generator=generator)

        self.recurrent, self.embedding = normal(5, 5), normal(vocab_size, 5)
        self.readout = 1.5 * normal(5, vocab_size)
        self.initial, self.bias = normal(num_rows, 5), normal(num_rows, vocab_size)
        self.bias[:, EOS] += end_bias
        self.rows_seen: list[int] = []

    def state(self, rows: slice = slice(None)) -> Carried:
        return Carried(hidden=self.initial[rows], extra=(None, {"bias": Common(self.bias[rows])}))

    def step(self, tokens: Tensor, state: Carried) -> tuple[Tensor, Carried]:
        self.rows_seen.append(len(tokens))
        hidden = torch.tanh(state.hidden @ self.recurrent + self.embedding[tokens])
        bias = state.extra[1]["bias"].bias
        rows_a_sentence = len(tokens) // len(bias)
        logits = hidden @ self.readout + bias.repeat_interleave(rows_a_sentence, dim=0)
        return logits, state._replace(hidden=hidden)


def log_probs_by_hand(model: ToyModel, row: int, ids: tuple[int, ...]) -> list[float]:
    """The log-probabilities of the tokens that may follow ``ids`` in one row, from the start."""
    state = model.state(slice(row, row + 1))
    for token in (0, *ids):
        logits, state = model.step(torch.tensor([token]), state)
    return logits[0].log_softmax(0).tolist()


def is_blocked(ids: tuple[int, ...], token: int, size: int) -> bool:
    run = (*ids, token)[-size:]
    return len(run) == size and any(ids[start : start + size] == run for start in range(len(ids) - size + 1))


def is_allowed(quota: dict[int, int], ids: tuple[int, ...], token: int, likeliest: int, max_steps: int) -> bool:
    left = [one for one, count in quota.items() for _ in range(count - ids.count(one))]
    if token in quota:
        return token in left
    if not left:
        return True
    return token != EOS and likeliest != EOS and len(ids) + len(left) + 1 < max_steps


def search_by_hand(
    model: ToyModel,
    row: int,
    *,
    num_beams: int | None,
    max_steps: int,
    alpha: float,
    num_return: int,
    ngram_size: int = 0,
    excluded: tuple[int, ...] = (),
    quota: dict[int, int] | None = None,
) -> list[Hypothesis]:
    """Beam search by plain loops that never stops early; without ``num_beams`` it goes through all sequences."""
    done: list[Hypothesis] = []
    beams: list[tuple[tuple[int, ...], float]] = [((), 0.0)]
    for length in range(1, max_steps + 1):
        normaliser = ((5 + length) / 6) ** alpha
        candidates = []
        for ids, score in beams:
            log_probs = log_probs_by_hand(model, row, ids)
            tokens = [token for token in range(len(log_probs)) if token not in excluded]
            free = [token for token in tokens if not (ngram_size and is_blocked(ids, token, ngram_size))] or tokens
            if quota:
                likeliest = max(free, key=lambda token: log_probs[token])
                free = [token for token in tokens if token in free or token in quota]  # what is owed may repeat
                free = [token for token in free if is_allowed(quota, ids, token, likeliest, max_steps)]
            candidates += [((*ids, token), score + log_probs[token]) for token in free]
        candidates.sort(key=lambda candidate: -candidate[1])
        for ids, score in candidates[:num_beams]:
            if ids[-1] == EOS:
                done.append(Hypothesis(ids[:-1], score, score / normaliser, True))
        if num_beams == 1 and done:
            return done
        beams = [candidate for candidate in candidates if candidate[0][-1] != EOS][:num_beams]
    done += [Hypothesis(ids, score, score / normaliser, False) for ids, score in beams]
    return sorted(done, key=lambda hypothesis: -hypothesis.normalised_score)[:num_return]


def assert_same(found: list[Hypothesis], expected: list[Hypothesis]) -> None:
    assert [(one.ids, one.is_finished) for one in found] == [(one.ids, one.is_finished) for one in expected]
    for one, other in zip(found, expected, strict=True):
        assert one.score == pytest.approx(other.score, abs=1e-10)  # float64 rounding
        assert one.normalised_score == pytest.approx(other.normalised_score, abs=1e-10)


def search(model: ToyModel, rows: slice = slice(None), **options: Any) -> list[list[Hypothesis]]:
    first_tokens = torch.zeros(len(model.initial[rows]), dtype=torch.long)
    return beam_search(model.step, model.state(rows), first_tokens, eos_id=EOS, **options)


@given(
    vocab_size=st.integers(2, 4),
    max_steps=st.integers(1, 4),
    alpha=st.sampled_from([-0.5, 0.0, 0.6, 1.0, 3.0]),
    num_return=st.sampled_from([1, 2, 10]),
    seed=st.integers(0, 10_000),
)
def test_with_enough_beams_the_answer_is_that_of_brute_force(
    vocab_size: int, max_steps: int, alpha: float, num_return: int, seed: int
) -> None:
    num_beams = vocab_size**max_steps
    num_return = min(num_return, num_beams)
    model = ToyModel(vocab_size, seed, num_rows=2)
    found = search(model, num_beams=num_beams, max_steps=max_steps, length_penalty=alpha, num_return=num_return)
    for row in range(2):
        expected = search_by_hand(model, row, num_beams=None, max_steps=max_steps, alpha=alpha, num_return=num_return)
        assert_same(found[row], expected)


@given(
    vocab_size=st.integers(3, 7),
    num_beams=st.integers(1, 4),
    is_whole_beam_returned=st.booleans(),
    max_steps=st.integers(1, 7),
    alpha=st.sampled_from([-1.0, 0.0, 0.6, 2.0]),
    ngram_size=st.integers(0, 3),
    excluded=st.sampled_from([(), (0,), (2, 0)]),
    end_bias=st.sampled_from([0.0, 2.0]),
    seed=st.integers(0, 10_000),
)
def test_narrow_beams_find_what_plain_loops_without_early_stop_find(
    vocab_size: int,
    num_beams: int,
    is_whole_beam_returned: bool,
    max_steps: int,
    alpha: float,
    ngram_size: int,
    excluded: tuple[int, ...],
    end_bias: float,
    seed: int,
) -> None:
    num_return = num_beams if is_whole_beam_returned else 1
    model = ToyModel(vocab_size, seed, num_rows=5, end_bias=end_bias)
    found = search(
        model,
        num_beams=num_beams,
        max_steps=max_steps,
        length_penalty=alpha,
        num_return=num_return,
        no_repeat_ngram_size=ngram_size,
        excluded_ids=excluded,
    )
    for row in range(5):
        expected = search_by_hand(
            model,
            row,
            num_beams=num_beams,
            max_steps=max_steps,
            alpha=alpha,
            num_return=num_return,
            ngram_size=ngram_size,
            excluded=excluded,
        )
        assert_same(found[row], expected)


@given(
    num_beams=st.integers(1, 4),
    counts=st.lists(st.tuples(st.integers(0, 2), st.integers(0, 1)), min_size=3, max_size=3),
    end_bias=st.sampled_from([0.0, 3.0]),
    ngram_size=st.integers(0, 2),
    seed=st.integers(0, 10_000),
)
def test_tokens_of_a_quota_come_as_often_as_it_says(
    num_beams: int, counts: list[tuple[int, int]], end_bias: float, ngram_size: int, seed: int
) -> None:
    model = ToyModel(6, seed, num_rows=3, end_bias=end_bias)
    quota = Quota((3, 5), np.array(counts))
    options: dict[str, Any] = {"num_beams": num_beams, "max_steps": 7, "num_return": num_beams}
    found = search(model, quota=quota, no_repeat_ngram_size=ngram_size, **options)
    for row in range(3):
        wanted = dict(zip(quota.ids, counts[row], strict=True))
        expected = search_by_hand(model, row, alpha=0.6, quota=wanted, ngram_size=ngram_size, **options)
        assert_same(found[row], expected)
        for one in found[row]:
            assert all(one.ids.count(token) <= count for token, count in wanted.items())
            assert not one.is_finished or all(one.ids.count(token) == count for token, count in wanted.items())


@pytest.mark.parametrize("num_beams", [2, 3])
@pytest.mark.parametrize(
    ("alpha", "end_rates", "expected"),
    [
        (
            2.0,
            [0.6, 0.0, 0.0, 0.0, 0.0, 0.0],
            Hypothesis((2,) * 6, math.log(0.4), math.log(0.4) / (11 / 6) ** 2, False),
        ),
        (-1.0, [0.45, 1.0, 1.0, 1.0, 1.0, 1.0], Hypothesis((2,), math.log(0.55), math.log(0.55) / (6 / 7), True)),
        (0.0, [0.6, 0.0, 0.0, 0.0, 0.0, 0.0], Hypothesis((), math.log(0.6), math.log(0.6), True)),
    ],
)
def test_a_beam_that_may_still_win_by_its_later_length_is_followed(
    alpha: float, end_rates: list[float], expected: Hypothesis, num_beams: int
) -> None:
    """Each step gives the end token or token 2; the first step finishes a sequence that loses in the end."""

    def step(tokens: Tensor, times: Tensor) -> tuple[Tensor, Tensor]:
        probs = torch.zeros(len(tokens), 3, dtype=torch.float64)
        probs[:, EOS] = torch.tensor(end_rates, dtype=torch.float64)[times]
        probs[:, 2] = 1 - probs[:, EOS]
        return probs.log(), times + 1

    found = beam_search(
        step, torch.tensor([0]), torch.tensor([0]), num_beams=num_beams, eos_id=EOS, max_steps=6, length_penalty=alpha
    )
    assert_same(found[0], [expected])


@pytest.mark.parametrize("seed", range(5))
def test_a_row_gets_the_same_answer_alone_and_in_a_batch_of_rows_with_other_limits(seed: int) -> None:
    limits = [12, 3, 7, 1, 12, 9]
    model = ToyModel(20, seed, num_rows=6)
    options = {"num_beams": 4, "num_return": 3, "no_repeat_ngram_size": 2}
    together = search(model, max_steps=limits, **options)
    for row, limit in enumerate(limits):
        assert_same(search(model, slice(row, row + 1), max_steps=limit, **options)[0], together[row])
        assert all(len(one.ids) + one.is_finished <= limit for one in together[row])


@pytest.mark.parametrize("length_penalty", [-1.0, 0.0, 1.0, 5.0])
@pytest.mark.parametrize("seed", range(5))
def test_one_beam_is_greedy_search(seed: int, length_penalty: float) -> None:
    model = ToyModel(6, seed)
    ids: tuple[int, ...] = ()
    while len(ids) < 15 and EOS not in ids:
        log_probs = log_probs_by_hand(model, 0, ids)
        ids = (*ids, log_probs.index(max(log_probs)))
    (found,) = search(model, num_beams=1, max_steps=15, length_penalty=length_penalty)[0]
    assert found.ids == ids[: len(ids) - found.is_finished]
    assert found.is_finished == (EOS in ids)


def test_a_score_is_the_sum_of_the_models_log_probabilities_and_is_normalised_by_length() -> None:
    model = ToyModel(5, seed=3)
    for found in search(model, num_beams=4, max_steps=5, num_return=4, length_penalty=0.9, excluded_ids=[0])[0]:
        tokens = (*found.ids, EOS) if found.is_finished else found.ids
        expected = sum(log_probs_by_hand(model, 0, tokens[:time])[token] for time, token in enumerate(tokens))
        assert found.score == pytest.approx(expected, abs=1e-10)
        assert found.normalised_score == pytest.approx(expected / ((5 + len(tokens)) / 6) ** 0.9, abs=1e-10)


def copy_step(tokens: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
    """Ends, nearly for sure, once a row's countdown is at 0; before that it says token 2, nearly for sure."""
    logits = torch.zeros(len(tokens), 5)
    logits[torch.arange(len(tokens)), torch.where(state <= 0, EOS, 2)] = 20.0
    rows_seen.append(len(tokens))
    return logits, state - 1


rows_seen: list[int] = []


def test_a_sentence_that_cannot_improve_leaves_the_batch() -> None:
    rows_seen.clear()
    found = beam_search(
        copy_step, torch.tensor([3, 0, 1]), torch.zeros(3, dtype=torch.long), num_beams=3, eos_id=EOS, max_steps=50
    )
    assert [hypotheses[0].ids for hypotheses in found] == [(2, 2, 2), (), (2,)]
    assert rows_seen == [3, 2 * 3, 1 * 3, 1 * 3]  # one beam at first, then three a sentence


def test_length_penalty_is_that_of_wu_and_others() -> None:
    assert length_normaliser(1, 0.7) == 1
    assert length_normaliser(9, 0.0) == 1
    assert length_normaliser(7, 0.5) == pytest.approx(math.sqrt(2))


def test_a_larger_length_penalty_gives_longer_sequences() -> None:
    lengths = []
    for alpha in (0.0, 5.0):
        found = [search(ToyModel(6, seed), num_beams=4, max_steps=8, length_penalty=alpha)[0][0] for seed in range(20)]
        lengths.append(sum(len(one.ids) for one in found))
    assert lengths[0] < lengths[1]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
def test_logits_of_lower_precision_are_scored_in_float32(dtype: torch.dtype) -> None:
    logits = torch.randn(40).to(dtype)
    found = beam_search(
        lambda tokens, state: (logits.expand(len(tokens), 40), state),
        None,
        torch.tensor([0]),
        num_beams=2,
        eos_id=EOS,
        max_steps=1,
        num_return=2,
    )
    expected = logits.float().log_softmax(0).topk(2)
    assert [hypothesis.ids[0] for hypothesis in found[0]] == expected.indices.tolist()
    assert [hypothesis.score for hypothesis in found[0]] == pytest.approx(expected.values.tolist(), abs=1e-5)


@given(
    num_rows=st.integers(1, 5),
    num_places=st.integers(1, 900),
    count=st.integers(1, 6),
    seed=st.integers(0, 1_000),
    is_coarse=st.booleans(),
)
def test_the_best_of_blocks_are_the_best_of_all(
    num_rows: int, num_places: int, count: int, seed: int, is_coarse: bool
) -> None:
    values = torch.randn(num_rows, num_places, generator=torch.Generator().manual_seed(seed))
    values = values.round() if is_coarse else values  # many are equal
    values[:, ::3] = -math.inf
    count = min(count, num_places)
    best, places = find_best(values.numpy(), count)
    assert np.array_equal(best, values.topk(count).values)
    assert np.array_equal(np.take_along_axis(values.numpy(), places, axis=1), best)
    assert all(len(set(row)) == count for row in places.tolist())


def test_no_rows_give_no_answers() -> None:
    assert search(ToyModel(4, 0, num_rows=0), num_beams=2, max_steps=3) == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_beams": 0}, "num_beams 0"),
        ({"num_beams": 2, "num_return": 3}, "num_return is 3"),
        ({"num_return": 0}, "num_return is 0"),
        ({"max_steps": 0}, "max_steps is 0"),
        ({"max_steps": [4, 4]}, "2 numbers for 1 rows"),
        ({"num_beams": 0, "max_steps": 0}, "num_beams 0.*max_steps is 0"),
        ({"excluded_ids": [0, 1, 2, 3]}, "all 4 tokens"),
    ],
)
def test_numbers_out_of_range_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        search(ToyModel(4, 0), **{"num_beams": 2, "max_steps": 3, **options})


def test_rows_are_selected_in_any_nesting() -> None:
    state = {
        "cells": [Carried(torch.arange(3.0), (None, {"x": torch.arange(6).view(3, 2)}))],
        "pair": (torch.tensor([True, False, True]), None),
        "none": None,
    }
    found = select_rows(state, torch.tensor([2, 0, 2, 2]))
    (carried,) = found["cells"]
    assert isinstance(carried, Carried)
    assert carried.hidden.tolist() == [2, 0, 2, 2]
    assert carried.extra[0] is None
    assert carried.extra[1]["x"].tolist() == [[4, 5], [0, 1], [4, 5], [4, 5]]
    assert isinstance(found["pair"], tuple)
    assert found["pair"][0].tolist() == [True, True, True, True]
    assert found["none"] is None


def test_a_state_of_something_else_is_refused() -> None:
    with pytest.raises(TypeError, match="holds a int"):
        select_rows((torch.zeros(2), 3), torch.tensor([0]))

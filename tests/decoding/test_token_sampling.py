"""Tests of `nlp_lstm.decoding.sampling`; pytest wants file names that are unique, and data has a test_sampling.py."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import islice
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chi2
from torch import Tensor

from nlp_lstm.decoding import generation, sampling, search
from nlp_lstm.decoding.sampling import SamplingSettings
from nlp_lstm.errors import ConfigError
from nlp_lstm.settings import parse_settings


def as_array(value: Any) -> Any:
    return value.numpy() if isinstance(value, Tensor) else value


def of_tensors(function: Callable[..., Any]) -> Callable[..., Tensor]:
    """The same function from tensors to a tensor; an argument that it gives back is itself."""

    def called(first: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        given = first.numpy()
        found = function(given, *map(as_array, args), **{key: as_array(value) for key, value in kwargs.items()})
        return first if found is given else torch.from_numpy(found)

    return called


def block_ngrams(logits: Tensor, history: Tensor, size: int, lengths: Tensor | None = None) -> Tensor:
    blocked = logits.clone()
    search.block_ngrams(blocked.numpy(), history.numpy(), size, None if lengths is None else lengths.numpy())
    return blocked


draw, exclude_ids, filter_logits, penalise_repetition = map(
    of_tensors, (sampling.draw, sampling.exclude_ids, sampling.filter_logits, sampling.penalise_repetition)
)
ALMOST_ONE = 1 - 2**-53  # the largest float64 below 1


def softmax_by_hand(logits: dict[int, float]) -> dict[int, float]:
    largest = max(logits.values())
    weights = {token: math.exp(logit - largest) for token, logit in logits.items()}
    return {token: weight / sum(weights.values()) for token, weight in weights.items()}


def take_mass(order: list[int], probs: dict[int, float], mass: float) -> list[int]:
    taken: list[int] = []
    while len(taken) < len(order) and sum(probs[token] for token in taken) < mass:
        taken.append(order[len(taken)])
    return taken


def filter_by_hand(logits: list[float], settings: SamplingSettings) -> dict[int, float]:
    """The tokens that are left and their logits, one row, by plain loops."""
    kept = {token: logit / settings.temperature for token, logit in enumerate(logits) if logit > -math.inf}
    if settings.top_k:
        best = sorted(kept, key=lambda token: (-kept[token], token))[: settings.top_k]
        kept = {token: kept[token] for token in best}
    if settings.top_p < 1:
        probs = softmax_by_hand(kept)
        order = sorted(kept, key=lambda token: (-kept[token], token))
        kept = {token: kept[token] for token in take_mass(order, probs, settings.top_p)}
    if settings.typical_p < 1:
        probs = softmax_by_hand(kept)
        entropy = -sum(prob * math.log(prob) for prob in probs.values())
        order = sorted(kept, key=lambda token: (abs(-math.log(probs[token]) - entropy), token))
        kept = {token: kept[token] for token in take_mass(order, probs, settings.typical_p)}
    return kept


@given(
    vocab_size=st.integers(1, 12),
    temperature=st.sampled_from([0.3, 1.0, 2.5]),
    top_k=st.integers(0, 14),
    top_p=st.sampled_from([1.0, 0.9, 0.5, 1e-9]),
    typical_p=st.sampled_from([1.0, 0.9, 0.5, 1e-9]),
    first_look=st.sampled_from([1, 3, 1024]),
    seed=st.integers(0, 10_000),
)
def test_filters_keep_what_plain_loops_keep(
    vocab_size: int, temperature: float, top_k: int, top_p: float, typical_p: float, first_look: int, seed: int
) -> None:
    torch.manual_seed(seed)
    logits = 3 * torch.randn(3, vocab_size, dtype=torch.float64)
    logits[1, 1::2] = -math.inf
    settings = SamplingSettings(temperature=temperature, top_k=top_k, top_p=top_p, typical_p=typical_p)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sampling, "FIRST_LOOK", first_look)
        filtered = filter_logits(logits, settings)
    for row, found in enumerate(filtered):
        expected = filter_by_hand(logits[row].tolist(), settings)
        assert (found > -math.inf).nonzero()[:, 0].tolist() == sorted(expected)
        probs = found.softmax(0)
        for token, prob in softmax_by_hand(expected).items():
            assert probs[token].item() == pytest.approx(prob, abs=1e-12)  # float64 rounding


@pytest.mark.parametrize("first_look", [2, 1024])
@pytest.mark.parametrize(
    ("filters", "kept"),
    [({"top_k": 3}, 3), ({"top_p": 0.42}, 4), ({"typical_p": 0.42}, 4), ({"top_k": 8, "top_p": 0.3}, 3)],
)
def test_among_equal_tokens_the_lowest_ids_are_kept(
    filters: dict[str, float], kept: int, first_look: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sampling, "FIRST_LOOK", first_look)
    settings = parse_settings(SamplingSettings, filters, "test")
    filtered = filter_logits(torch.full((2, 9), 1.5), settings)
    assert (filtered > -math.inf).tolist() == [[True] * kept + [False] * (9 - kept)] * 2


@pytest.mark.parametrize("temperature", [5e-324, 1e-40, 1e-3, 1e300])
def test_no_temperature_overflows(temperature: float) -> None:
    logits = torch.tensor([[90.0, -90.0, 89.0, -math.inf]])
    probs = filter_logits(logits, SamplingSettings(temperature=temperature, top_p=0.9, typical_p=0.9)).softmax(1)
    assert probs.sum().item() == pytest.approx(1)
    assert probs[0, 3] == 0
    if temperature < 1:
        assert probs[0, 0] == 1


def test_without_filters_the_probabilities_stay_and_half_precision_is_taken() -> None:
    logits = torch.randn(2, 50).half()
    assert torch.allclose(filter_logits(logits, SamplingSettings()).softmax(1), logits.double().softmax(1))


def test_a_row_is_filtered_alike_alone_and_in_a_batch() -> None:
    logits = torch.randn(5, 3000) * torch.tensor([0.01, 1.0, 2.0, 5.0, 50.0])[:, None]  # flat and peaked rows
    settings = SamplingSettings(temperature=0.8, top_k=2000, top_p=0.95, typical_p=0.9)
    together = filter_logits(logits, settings)
    for row in range(5):
        assert torch.equal(filter_logits(logits[row : row + 1], settings)[0], together[row])


@pytest.mark.parametrize(
    "values",
    [
        {"temperature": 0},
        {"temperature": math.inf},
        {"temperature": math.nan},
        {"top_k": -1},
        {"top_p": 0},
        {"top_p": 1.1},
        {"typical_p": 0},
        {"repetition_penalty": 0},
        {"no_repeat_ngram_size": -1},
        {"top_q": 0.9},
    ],
)
def test_a_setting_that_makes_no_sense_is_refused_by_name(values: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=next(iter(values))):
        parse_settings(SamplingSettings, values, "generation")


def test_every_setting_is_documented() -> None:
    assert all(field.description for field in SamplingSettings.model_fields.values())


# Drawing


def test_frequencies_follow_the_probabilities() -> None:
    logits = torch.tensor([0.0, 2.0, -1.0, -math.inf, 1.0, 0.5, -3.0, 0.0])
    num_draws = 50_000
    generator = torch.Generator().manual_seed(1)
    uniforms = torch.rand(num_draws, dtype=torch.float64, generator=generator)
    counts = draw(logits.expand(num_draws, 8), uniforms).bincount(minlength=8).double()
    expected = logits.double().softmax(0) * num_draws
    assert counts[3] == 0
    possible = expected > 0
    statistic = ((counts - expected)[possible] ** 2 / expected[possible]).sum().item()
    assert statistic < chi2.ppf(0.999, df=6)  # 7 possible tokens; the seed is fixed, so this cannot flicker


@given(
    vocab_size=st.integers(1, 40),
    scale=st.sampled_from([0.0, 1.0, 30.0, 900.0]),
    uniform=st.sampled_from([0.0, 5e-324, 0.3, 0.5, 1 - 2**-24, ALMOST_ONE]),
    seed=st.integers(0, 10_000),
)
def test_an_excluded_token_is_never_drawn(vocab_size: int, scale: float, uniform: float, seed: int) -> None:
    torch.manual_seed(seed)
    logits = scale * torch.randn(8, vocab_size, dtype=torch.float64)
    excluded = torch.rand(8, vocab_size) < 0.7
    excluded[torch.arange(8), torch.randint(vocab_size, (8,))] = False
    logits = logits.masked_fill(excluded, -math.inf)
    drawn = draw(logits, torch.full((8,), uniform, dtype=torch.float64))
    assert (logits.gather(1, drawn[:, None]) > -math.inf).all()


def test_the_ends_of_the_unit_interval_give_the_first_and_the_last_token_that_can_come() -> None:
    logits = torch.tensor([[-math.inf, 0.0, 1.0, 0.0, -math.inf]]).expand(3, 5)
    uniforms = torch.tensor([0.0, ALMOST_ONE, 0.5], dtype=torch.float64)
    assert draw(logits, uniforms).tolist() == [1, 3, 2]
    assert draw(logits[:1], torch.tensor([1.0])).tolist() == [3]  # float32 rounds ALMOST_ONE up to it


def test_a_row_draws_alike_alone_and_in_a_batch() -> None:
    logits, uniforms = torch.randn(6, 2000), torch.rand(6, dtype=torch.float64)
    together = draw(logits, uniforms)
    for row in range(6):
        assert draw(logits[row : row + 1], uniforms[row : row + 1]).tolist() == together[row : row + 1].tolist()


# Exclusion and repetition


def test_excluded_ids_are_at_minus_infinity_and_the_rest_is_untouched() -> None:
    logits = torch.randn(2, 5)
    found = exclude_ids(logits, [3, 0, 3])
    assert (found == -math.inf).tolist() == [[True, False, False, True, False]] * 2
    assert torch.equal(found[:, [1, 2, 4]], logits[:, [1, 2, 4]])
    assert exclude_ids(logits, []) is logits


def test_excluding_everything_is_refused() -> None:
    with pytest.raises(ConfigError, match="all 3 tokens"):
        exclude_ids(torch.randn(2, 3), [0, 1, 2])


def test_the_penalty_lowers_tokens_that_came_before_on_both_sides_of_zero() -> None:
    logits = torch.tensor([[2.0, -2.0, 3.0, -math.inf], [2.0, -2.0, 3.0, -1.0]])
    history = torch.tensor([[0, 1, 1, 3], [2, 0, 0, 0]])
    found = penalise_repetition(logits, history, 2.0, lengths=torch.tensor([4, 1]))
    assert found.tolist() == [[1.0, -4.0, 3.0, -math.inf], [2.0, -2.0, 1.5, -1.0]]
    assert torch.equal(penalise_repetition(logits, history, 1.0), logits)
    assert torch.equal(penalise_repetition(logits, history[:, :0], 2.0), logits)


def blocked_by_hand(history: list[int], size: int) -> set[int]:
    return {
        history[end]
        for end in range(size - 1, len(history))
        if history[end - size + 1 : end] == history[len(history) - size + 1 :]
    }


@given(
    rows=st.lists(st.lists(st.integers(0, 2), max_size=9), min_size=1, max_size=4),
    size=st.integers(1, 4),
    padding=st.integers(0, 3),
)
def test_blocked_tokens_are_those_that_plain_loops_find(rows: list[list[int]], size: int, padding: int) -> None:
    time = max(map(len, rows)) + padding
    history = torch.tensor([row + [1] * (time - len(row)) for row in rows], dtype=torch.long).view(len(rows), time)
    logits = torch.randn(len(rows), 3)
    found = block_ngrams(logits, history, size, lengths=torch.tensor([len(row) for row in rows]))
    for row, tokens in enumerate(rows):
        blocked = blocked_by_hand(tokens, size)
        expected = logits[row].clone()
        if len(blocked) < 3:
            expected[list(blocked)] = -math.inf
        assert torch.equal(found[row], expected)
        alone = block_ngrams(logits[row : row + 1], torch.tensor([tokens], dtype=torch.long).view(1, -1), size)
        assert torch.equal(alone[0], expected)


def test_a_row_whose_last_token_would_be_blocked_is_left_as_it_is() -> None:
    logits = torch.tensor([[0.5, -math.inf], [0.5, 0.1]])
    found = block_ngrams(logits, torch.tensor([[0, 0], [0, 0]]), 2)
    assert found.tolist() == [[0.5, -math.inf], [-math.inf, pytest.approx(0.1)]]


def test_a_history_shorter_than_a_run_blocks_nothing() -> None:
    logits: Tensor = torch.randn(1, 3)
    assert torch.equal(block_ngrams(logits, torch.tensor([[0, 0, 0]]), 4), logits)


@pytest.mark.parametrize("seed", [0, 1, 12_345, 2**32 - 1])
def test_the_numbers_that_are_drawn_by_are_those_of_torch(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    expected = torch.rand(200, dtype=torch.float64, generator=generator)
    found = np.concatenate(list(islice(generation._draw_uniforms([seed]), 200)))
    assert np.array_equal(found, expected)

from __future__ import annotations

import math
from itertools import chain, pairwise
from typing import Any, NamedTuple

import pytest
import torch
from scipy.stats import chi2
from torch import Tensor

from nlp_lstm.decoding import generation
from nlp_lstm.decoding.beam import as_arrays
from nlp_lstm.decoding.generation import NextTokens
from nlp_lstm.decoding.sampling import SamplingSettings
from nlp_lstm.errors import ConfigError

EOS = 1
GREEDY = SamplingSettings(do_sample=False)


def sample(step: Any, state: Any, first_tokens: Tensor, settings: SamplingSettings, **options: Any) -> Any:
    """Sample from a model whose states are tensors."""
    return generation.sample(*as_arrays(step, torch.device("cpu")), state, first_tokens.numpy(), settings, **options)


class Carried(NamedTuple):
    hidden: Tensor
    nothing: None = None


class ToyModel:
    """A random recurrent net in float64 that counts its rows at each step."""

    def __init__(self, vocab_size: int, num_rows: int, seed: int = 0) -> None:
        generator = torch.Generator().manual_seed(seed)
        self.recurrent, self.embedding, self.readout, self.initial = (
            torch.randn(*shape, dtype=torch.float64, generator=generator)
            for shape in ((5, 5), (vocab_size, 5), (5, vocab_size), (num_rows, 5))
        )
        self.rows_seen: list[int] = []

    def step(self, tokens: Tensor, state: Carried) -> tuple[Tensor, Carried]:
        self.rows_seen.append(len(tokens))
        hidden = torch.tanh(state.hidden @ self.recurrent + self.embedding[tokens])
        return hidden @ self.readout, Carried(hidden=hidden)

    def generate(self, settings: SamplingSettings, rows: slice = slice(None), **options: Any) -> list[list[int]]:
        """All tokens of each row."""
        initial = self.initial[rows]
        options = {"eos_id": EOS, "max_steps": 30, "seeds": range(len(self.initial))[rows], **options}
        steps = sample(self.step, Carried(initial), torch.zeros(len(initial), dtype=torch.long), settings, **options)
        return join_steps(steps, len(initial))


def join_steps(steps: Any, num_rows: int) -> list[list[int]]:
    texts: list[list[int]] = [[] for _ in range(num_rows)]
    for time, step in enumerate(steps):
        assert isinstance(step, NextTokens)
        assert step.rows.tolist() == sorted(step.rows.tolist())
        for row, token in zip(step.rows.tolist(), step.tokens.tolist(), strict=True):
            assert len(texts[row]) == time  # a row that once yielded nothing never comes back
            texts[row].append(token)
    return texts


def flat_step(tokens: Tensor, state: None) -> tuple[Tensor, None]:
    """Token t has a logit of t / 2, but the end token never comes."""
    logits = torch.arange(6).expand(len(tokens), 6) / 2
    return logits.index_fill(1, torch.tensor([EOS]), -math.inf), state


@pytest.mark.parametrize(
    "settings",
    [
        SamplingSettings(),
        SamplingSettings(temperature=0.7, top_k=8, top_p=0.9, typical_p=0.95),
        SamplingSettings(repetition_penalty=1.3, no_repeat_ngram_size=2),
        GREEDY,
    ],
)
def test_a_row_says_the_same_alone_and_in_any_batch(settings: SamplingSettings) -> None:
    model = ToyModel(12, num_rows=7, seed=8)
    prompts = [[2, 3] * row for row in range(7)]
    together = model.generate(settings, prompt_history=prompts)
    assert len({len(text) for text in together}) > 1  # rows end at different steps
    assert together[3:6] == model.generate(settings, slice(3, 6), prompt_history=prompts[3:6])
    for row in range(7):
        rows = slice(row, row + 1)
        assert model.generate(settings, rows, prompt_history=prompts[rows]) == together[rows]


def test_the_seed_alone_decides() -> None:
    model = ToyModel(30, num_rows=1)
    first, again, other = (model.generate(SamplingSettings(), seeds=[seed]) for seed in (5, 5, 6))
    assert first == again
    assert first != other


def test_rows_with_one_seed_and_one_state_agree() -> None:
    steps = sample(
        flat_step, None, torch.zeros(3, dtype=torch.long), SamplingSettings(), eos_id=EOS, max_steps=90, seeds=[4, 4, 9]
    )
    first, second, third = join_steps(steps, 3)
    assert first == second != third
    assert len(first) == len(third) == 90  # more than one block of random numbers


def test_tokens_come_as_often_as_their_probabilities_say() -> None:
    steps = sample(
        flat_step,
        None,
        torch.zeros(20, dtype=torch.long),
        SamplingSettings(),
        eos_id=EOS,
        max_steps=500,
        seeds=range(20),
    )
    counts = torch.tensor(join_steps(steps, 20)).flatten().bincount(minlength=6).double()
    expected = flat_step(torch.zeros(1), None)[0][0].double().softmax(0) * 10_000
    possible = expected > 0
    statistic = ((counts - expected)[possible] ** 2 / expected[possible]).sum().item()
    assert statistic < chi2.ppf(0.999, df=4)  # 5 possible tokens; the seeds are fixed


@pytest.mark.parametrize("seed", range(4))
def test_greedy_takes_the_likeliest_token_and_stops_at_the_end_token(seed: int) -> None:
    model = ToyModel(9, num_rows=3, seed=seed)
    found = model.generate(GREEDY, max_steps=12)
    for row, text in enumerate(found):
        state, token, expected = Carried(model.initial[row : row + 1]), 0, []
        for _ in range(12):
            logits, state = model.step(torch.tensor([token]), state)
            token = int(logits.argmax())
            if token == EOS:
                break
            expected.append(token)
        assert text == expected


def test_ended_rows_leave_the_batch_and_nothing_is_computed_ahead() -> None:
    model = ToyModel(4, num_rows=6)
    steps = sample(
        model.step,
        Carried(model.initial),
        torch.zeros(6, dtype=torch.long),
        SamplingSettings(),
        eos_id=EOS,
        max_steps=100,
        seeds=range(6),
    )
    assert model.rows_seen == []
    going = 6
    for count, step in enumerate(steps, start=1):
        assert len(model.rows_seen) == count
        assert model.rows_seen[-1] == going
        going = len(step.rows)
        if going == 0:
            break
    assert 0 < len(model.rows_seen) < 100


def test_excluded_tokens_never_come() -> None:
    model = ToyModel(5, num_rows=4)
    texts = model.generate(SamplingSettings(), excluded_ids=[EOS, 3], max_steps=50)
    assert [len(text) for text in texts] == [50] * 4
    assert not {EOS, 3} & set(chain(*texts))


def test_no_run_comes_twice_and_the_prompt_counts() -> None:
    model = ToyModel(8, num_rows=3)
    settings = SamplingSettings(no_repeat_ngram_size=2, temperature=0.3)
    prompts = [[2, 3, 4], [], [5, 5]]
    for prompt, text in zip(prompts, model.generate(settings, prompt_history=prompts, excluded_ids=[EOS]), strict=True):
        words = prompt + text
        pairs = list(pairwise(words))
        assert len(pairs) == len(set(pairs))


def test_a_large_penalty_lets_each_token_come_once_before_any_comes_twice() -> None:
    steps = sample(
        lambda tokens, state: (torch.arange(1.0, 7.0).expand(len(tokens), 6), state),
        None,
        torch.tensor([0]),
        SamplingSettings(do_sample=False, repetition_penalty=100.0),
        eos_id=EOS,
        max_steps=4,
        seeds=[0],
        excluded_ids=[EOS],
        prompt_history=[[4]],
    )
    assert join_steps(steps, 1) == [[5, 3, 2, 0]]


def test_repetition_control_forgets_what_is_longer_ago_than_its_history(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generation, "HISTORY_TIME", 3)
    steps = sample(
        flat_step,
        None,
        torch.tensor([0, 0]),
        SamplingSettings(do_sample=False, no_repeat_ngram_size=1),
        eos_id=EOS,
        max_steps=7,
        seeds=[0, 0],
        prompt_history=[[5, 4, 3, 2], []],
    )
    assert join_steps(steps, 2) == [[5, 4, 3, 2, 5, 4, 3], [5, 4, 3, 2, 5, 4, 3]]


def test_gradients_are_not_kept_and_the_callers_mode_is_left_alone() -> None:
    weight = torch.randn(4, requires_grad=True)
    steps = sample(
        lambda tokens, state: (weight.expand(len(tokens), 4), state + weight.sum()),
        torch.zeros(1),
        torch.tensor([0]),
        GREEDY,
        eos_id=EOS,
        max_steps=3,
        seeds=[0],
        excluded_ids=[EOS],
    )
    for step in steps:
        assert torch.is_grad_enabled()
        assert step.tokens.tolist() == [0]


def test_no_rows_and_no_steps_give_nothing() -> None:
    assert ToyModel(4, num_rows=0).generate(SamplingSettings()) == []
    assert ToyModel(4, num_rows=2).generate(SamplingSettings(), max_steps=0) == [[], []]


@pytest.mark.parametrize("options", [{"seeds": [1]}, {"prompt_history": [[1], [2], [3]]}])
def test_seeds_and_prompts_are_one_per_row(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="for 2 rows"):
        ToyModel(4, num_rows=2).generate(SamplingSettings(), **options)

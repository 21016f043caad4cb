"""Guided writing, on a toy model whose probabilities are a table."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from nlp_lstm.decoding.beam import as_arrays
from nlp_lstm.decoding.guidance import guide
from nlp_lstm.decoding.search import search

EOS, PLAIN, TOLD = 0, 1, 2
VOCAB = 6


def table(seed: int) -> Tensor:
    """Log-probabilities of the next token after each."""
    return torch.randn(VOCAB, VOCAB, generator=torch.Generator().manual_seed(seed)).log_softmax(dim=1)


NEXT_TOLD, NEXT_PLAIN = table(1), table(2)


def step(tokens: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
    """A model that remembers in its state whether it was told, and else sees the last token."""
    state = torch.where(tokens == TOLD, 1, torch.where(tokens == PLAIN, 0, state))
    return torch.where(state[:, None] == 1, NEXT_TOLD[tokens], NEXT_PLAIN[tokens]), state


ARRAY_STEP, SELECT = as_arrays(step, torch.device("cpu"))


def state_of(rows: int) -> tuple[Tensor, Tensor]:
    return torch.zeros(rows, dtype=torch.int64), torch.zeros(rows, dtype=torch.int64)


@pytest.mark.parametrize("strength", [0.0, 0.5, 3.0])
def test_probabilities_are_those_of_the_formula(strength):
    guided, _ = guide(ARRAY_STEP, SELECT, strength, {TOLD: PLAIN})
    found, state = guided(np.array([TOLD, TOLD]), state_of(2))
    told, plain = NEXT_TOLD[TOLD].exp(), NEXT_PLAIN[PLAIN].exp()
    expected = told * (told / plain) ** strength
    torch.testing.assert_close(torch.from_numpy(found).exp(), (expected / expected.sum()).expand(2, -1))
    found, _ = guided(np.array([4, 5]), state)
    told, plain = NEXT_TOLD[[4, 5]].exp(), NEXT_PLAIN[[4, 5]].exp()
    expected = told * (told / plain) ** strength
    torch.testing.assert_close(torch.from_numpy(found).exp(), expected / expected.sum(dim=1, keepdim=True))


def test_without_strength_beams_are_those_of_the_model():
    options = {"num_beams": 3, "eos_id": EOS, "max_steps": 6, "num_return": 3, "excluded_ids": (PLAIN, TOLD)}
    first = np.array([TOLD])
    plain = search(ARRAY_STEP, SELECT, state_of(1)[0], first, **options)
    guided = search(*guide(ARRAY_STEP, SELECT, 0.0, {TOLD: PLAIN}), state_of(1), first, **options)
    assert [hypothesis.ids for hypothesis in guided[0]] == [hypothesis.ids for hypothesis in plain[0]]
    assert [one.score for one in guided[0]] == pytest.approx([one.score for one in plain[0]], abs=1e-5)

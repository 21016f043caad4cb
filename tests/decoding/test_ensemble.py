"""Models that write together: the mean of their probabilities, step by step, against brute force."""

from __future__ import annotations

import itertools
import math

import pytest
import torch

from nlp_lstm.decoding.beam import beam_search
from nlp_lstm.decoding.ensemble import join_steps
from nlp_lstm.decoding.search import length_normaliser

VOCAB, EOS, MAX_STEPS = 4, 1, 4


class Toy:
    """A random recurrent net in float64."""

    def __init__(self, seed: int) -> None:
        generator = torch.Generator().manual_seed(seed)
        self.recurrent, self.embedding, self.readout = (
            torch.randn(*shape, dtype=torch.float64, generator=generator) for shape in ((5, 5), (VOCAB, 5), (5, VOCAB))
        )
        self.initial = torch.randn(2, 5, dtype=torch.float64, generator=generator)

    def step(self, tokens, state):
        hidden = torch.tanh(state @ self.recurrent + self.embedding[tokens])
        return 2 * hidden @ self.readout, hidden


def search(models: list[Toy], **options):
    return beam_search(
        join_steps([model.step for model in models]),
        tuple(model.initial for model in models),
        torch.zeros(2, dtype=torch.long),
        eos_id=EOS,
        max_steps=MAX_STEPS,
        **options,
    )


def score_by_hand(models: list[Toy], row: int, ids: tuple[int, ...]) -> float:
    """The logarithm of the product over the steps of the mean probability, by plain loops."""
    states = [model.initial[row : row + 1] for model in models]
    score, last = 0.0, 0
    for token in ids:
        mean = 0.0
        for number, model in enumerate(models):
            logits, states[number] = model.step(torch.tensor([last]), states[number])
            mean += float(logits[0].softmax(0)[token]) / len(models)
        score += math.log(mean)
        last = token
    return score


@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("alpha", [0.0, 1.0])
def test_the_search_of_an_ensemble_is_brute_force_over_the_mean_probability(count, alpha):
    models = [Toy(seed) for seed in range(count)]
    inside = [token for token in range(VOCAB) if token != EOS]
    sequences = [(*ids, EOS) for length in range(MAX_STEPS) for ids in itertools.product(inside, repeat=length)] + list(
        itertools.product(inside, repeat=MAX_STEPS)
    )
    found = search(models, num_beams=VOCAB**MAX_STEPS, num_return=5, length_penalty=alpha)
    for row, hypotheses in enumerate(found):
        scored = {ids: score_by_hand(models, row, ids) / length_normaliser(len(ids), alpha) for ids in sequences}
        best = sorted(scored, key=lambda ids: -scored[ids])[:5]
        assert [(*one.ids, EOS) if one.is_finished else one.ids for one in hypotheses] == best
        assert [one.normalised_score for one in hypotheses] == pytest.approx(
            [scored[ids] for ids in best], abs=1e-5
        )  # of several models the mean is in float32


def test_an_ensemble_of_one_is_that_model_to_the_bit():
    model = Toy(7)
    alone = beam_search(
        model.step, model.initial, torch.zeros(2, dtype=torch.long), eos_id=EOS, max_steps=MAX_STEPS, num_beams=3
    )
    assert search([model], num_beams=3) == alone


def test_models_that_are_the_same_agree_with_each_of_them():
    alone, together = search([Toy(7)], num_beams=3), search([Toy(7)] * 3, num_beams=3)
    assert [[one.ids for one in row] for row in together] == [[one.ids for one in row] for row in alone]

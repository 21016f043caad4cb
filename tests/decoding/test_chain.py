from __future__ import annotations

import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from nlp_lstm.decoding.chain import Chain, marginals, viterbi
from nlp_lstm.decoding.labels import decode_labels
from nlp_lstm.nn.recurrent import make_mask


def best_paths(emissions: Tensor, mask: Tensor, chain: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
    """`viterbi` on tensors."""
    arrays = Chain(**{name: scores.numpy() for name, scores in chain.items()})
    paths, scores = viterbi(emissions.numpy(), mask.numpy(), arrays)
    return torch.from_numpy(paths), torch.from_numpy(scores)


small_problems = given(
    lengths=st.lists(st.integers(1, 5), min_size=1, max_size=3),
    num_labels=st.integers(1, 3),
    padding=st.integers(0, 2),
    seed=st.integers(0, 10_000),
)


def make_problem(
    lengths: list[int], num_labels: int, padding: int = 0, seed: int = 0
) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
    """Random emissions with noise at padding, the mask, and the chain's scores, all in float64."""
    torch.manual_seed(seed)
    time = max(lengths) + padding
    emissions = torch.randn(len(lengths), time, num_labels, dtype=torch.float64)
    chain = {
        "transitions": torch.randn(num_labels, num_labels, dtype=torch.float64),
        "start": torch.randn(num_labels, dtype=torch.float64),
        "end": torch.randn(num_labels, dtype=torch.float64),
    }
    return emissions, make_mask(torch.tensor(lengths), time), chain


def best_by_hand(emissions: Tensor, chain: dict[str, Tensor]) -> tuple[list[int], float]:
    """The best of all label sequences of one row without padding, and its score."""
    time, num_labels = emissions.shape
    scores = {}
    for labels in itertools.product(range(num_labels), repeat=time):
        score = float(chain["start"][labels[0]] + chain["end"][labels[-1]])
        score += sum(float(emissions[step, label]) for step, label in enumerate(labels))
        scores[labels] = score + sum(float(chain["transitions"][pair]) for pair in itertools.pairwise(labels))
    best = max(scores, key=lambda labels: scores[labels])
    return list(best), scores[best]


@small_problems
def test_path_and_score_equal_brute_force_and_the_path_is_zero_at_padding(
    lengths: list[int], num_labels: int, padding: int, seed: int
) -> None:
    emissions, mask, chain = make_problem(lengths, num_labels, padding, seed)
    paths, scores = best_paths(emissions, mask, chain)
    for row, length in enumerate(lengths):
        expected_path, expected_score = best_by_hand(emissions[row, :length], chain)
        assert paths[row].tolist() == expected_path + [0] * (mask.shape[1] - length)
        assert scores[row].item() == pytest.approx(expected_score, abs=1e-10)  # float64 rounding


def test_padding_never_changes_a_path() -> None:
    emissions, mask, chain = make_problem([6, 2, 4], 4, padding=3)
    paths, scores = best_paths(emissions, mask, chain)
    noisy = torch.where(mask[..., None], emissions, 1e6)
    noisy_paths, noisy_scores = best_paths(noisy, mask, chain)
    assert torch.equal(noisy_paths, paths)
    assert torch.equal(noisy_scores, scores)
    for row, length in enumerate([6, 2, 4]):
        alone, _ = best_paths(emissions[row : row + 1, :length], mask[row : row + 1, :length], chain)
        assert torch.equal(alone[0], paths[row, :length])


def test_without_transitions_each_step_takes_its_own_best() -> None:
    emissions, mask, chain = make_problem([5, 3], 4)
    paths, _ = best_paths(emissions, mask, {name: torch.zeros_like(scores) for name, scores in chain.items()})
    assert torch.equal(paths, emissions.argmax(2) * mask)


def test_a_forbidden_transition_is_never_taken() -> None:
    emissions, mask, chain = make_problem([8, 5, 7], 3)
    chain["transitions"][0, 1] = -1e4
    paths, _ = best_paths(emissions + torch.tensor([1.0, 1.0, 0.0]), mask, chain)
    for row, length in enumerate([8, 5, 7]):
        assert (0, 1) not in set(itertools.pairwise(paths[row, :length].tolist()))


MASK = make_mask(torch.tensor([4, 2]), 5).numpy()


def test_independent_labels_are_the_likeliest_with_their_softmax_probability() -> None:
    logits = torch.randn(2, 5, 3)
    found = decode_labels(logits.numpy(), MASK)
    assert (found.labels == logits.argmax(2).numpy() * MASK).all()
    assert found.probs == pytest.approx(logits.softmax(2).amax(2).numpy() * MASK, abs=1e-6)  # rounding in float32


def test_a_chain_gives_the_best_path_and_its_labels_marginals() -> None:
    logits = torch.randn(2, 5, 3).numpy()
    chain = Chain(torch.randn(3, 3).numpy(), torch.randn(3).numpy(), torch.randn(3).numpy())
    found = decode_labels(logits, MASK, chain)
    paths, _ = viterbi(logits, MASK, chain)
    expected = marginals(logits, MASK, chain)
    assert (found.labels == paths).all()
    for row, length in enumerate([4, 2]):
        for step in range(length):
            assert found.probs[row, step] == expected[row, step, paths[row, step]]
        assert not found.probs[row, length:].any()

from __future__ import annotations

import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from nlp_lstm.decoding.chain import Chain, marginals
from nlp_lstm.nn.crf import LinearChainCRF
from nlp_lstm.nn.recurrent import make_mask

# float64 throughout: the brute force and the recursion differ by rounding alone.
TOLERANCE = {"atol": 1e-10, "rtol": 1e-10}

small_problems = given(
    lengths=st.lists(st.integers(1, 4), min_size=1, max_size=3),
    num_labels=st.integers(1, 3),
    padding=st.integers(0, 2),
    seed=st.integers(0, 10_000),
)


def make_problem(lengths: list[int], num_labels: int, padding: int, seed: int) -> tuple[LinearChainCRF, Tensor, Tensor]:
    """A random chain, emissions with noise at padding, and the mask."""
    torch.manual_seed(seed)
    crf = LinearChainCRF(num_labels).double()
    with torch.no_grad():
        for parameter in crf.parameters():
            parameter.normal_()
    time = max(lengths) + padding
    emissions = torch.randn(len(lengths), time, num_labels, dtype=torch.float64) * 2
    return crf, emissions, make_mask(torch.tensor(lengths), time)


def marginals_of(crf: LinearChainCRF, emissions: Tensor, mask: Tensor) -> Tensor:
    """What `nlp_lstm.decoding.chain` makes of a chain that was trained here."""
    chain = Chain(*(scores.detach().numpy() for scores in (crf.transitions, crf.start, crf.end)))
    return torch.from_numpy(marginals(emissions.detach().numpy(), mask.numpy(), chain))


def score_by_hand(crf: LinearChainCRF, emissions: Tensor, labels: tuple[int, ...]) -> float:
    """The score of one row's labels, summed term by term; the row holds no padding."""
    score = crf.start[labels[0]] + crf.end[labels[-1]]
    for step, label in enumerate(labels):
        score = score + emissions[step, label]
    for previous, following in itertools.pairwise(labels):
        score = score + crf.transitions[previous, following]
    return score.item()


def all_scores(crf: LinearChainCRF, emissions: Tensor) -> dict[tuple[int, ...], float]:
    """The score of every label sequence of one row."""
    time, num_labels = emissions.shape
    return {
        labels: score_by_hand(crf, emissions, labels) for labels in itertools.product(range(num_labels), repeat=time)
    }


@small_problems
def test_log_partition_equals_brute_force(lengths: list[int], num_labels: int, padding: int, seed: int) -> None:
    crf, emissions, mask = make_problem(lengths, num_labels, padding, seed)
    expected = [
        torch.tensor(list(all_scores(crf, emissions[row, :length]).values()), dtype=torch.float64).logsumexp(0)
        for row, length in enumerate(lengths)
    ]
    torch.testing.assert_close(crf.log_partition(emissions, mask), torch.stack(expected), **TOLERANCE)


@small_problems
def test_score_and_loss_equal_a_sum_by_hand(lengths: list[int], num_labels: int, padding: int, seed: int) -> None:
    crf, emissions, mask = make_problem(lengths, num_labels, padding, seed)
    labels = torch.randint(0, num_labels, mask.shape)  # what stands at padding is ignored
    expected = torch.tensor(
        [
            score_by_hand(crf, emissions[row, :length], tuple(labels[row, :length].tolist()))
            for row, length in enumerate(lengths)
        ],
        dtype=torch.float64,
    )
    torch.testing.assert_close(crf.sequence_score(emissions, labels, mask), expected, **TOLERANCE)
    loss = crf.negative_log_likelihood(emissions, labels, mask)
    torch.testing.assert_close(loss, crf.log_partition(emissions, mask) - expected, **TOLERANCE)
    assert (loss > -1e-10).all(), "a probability is at most 1"


@small_problems
def test_marginals_equal_brute_force_and_are_zero_at_padding(
    lengths: list[int], num_labels: int, padding: int, seed: int
) -> None:
    crf, emissions, mask = make_problem(lengths, num_labels, padding, seed)
    expected = torch.zeros_like(emissions)
    for row, length in enumerate(lengths):
        scores = all_scores(crf, emissions[row, :length])
        total = torch.tensor(list(scores.values()), dtype=torch.float64).logsumexp(0)
        for labels, score in scores.items():
            for step, label in enumerate(labels):
                expected[row, step, label] += (score - total).exp()
    torch.testing.assert_close(marginals_of(crf, emissions, mask), expected, **TOLERANCE)


@small_problems
def test_marginals_sum_to_one_and_are_the_gradient_of_the_log_partition(
    lengths: list[int], num_labels: int, padding: int, seed: int
) -> None:
    crf, emissions, mask = make_problem(lengths, num_labels, padding, seed)
    emissions.requires_grad_()
    found = marginals_of(crf, emissions, mask)
    torch.testing.assert_close(found.sum(2), mask.double(), **TOLERANCE)
    (gradient,) = torch.autograd.grad(crf.log_partition(emissions, mask).sum(), emissions)
    torch.testing.assert_close(gradient, found, **TOLERANCE)


@pytest.mark.parametrize("lengths", [[3, 1, 2], [1], [4]])
def test_gradients_are_right(lengths: list[int]) -> None:
    crf, emissions, mask = make_problem(lengths, 3, 0, 1)
    labels = torch.randint(0, 3, mask.shape)
    names = [name for name, _ in crf.named_parameters()]

    def loss(emissions: Tensor, *parameters: Tensor) -> Tensor:
        # `functional_call` only runs `forward`, and a chain has none: put the parameters in by hand.
        chain = LinearChainCRF(3)
        for name, parameter in zip(names, parameters, strict=True):
            delattr(chain, name)
            setattr(chain, name, parameter)
        return chain.negative_log_likelihood(emissions, labels, mask)

    assert torch.autograd.gradcheck(loss, (emissions.requires_grad_(), *crf.parameters()))


def test_a_chain_without_transitions_is_one_softmax_a_step() -> None:
    crf = LinearChainCRF(4).double()  # starts with zeros
    emissions = torch.randn(2, 5, 4, dtype=torch.float64)
    mask = make_mask(torch.tensor([5, 3]), 5)
    torch.testing.assert_close(marginals_of(crf, emissions, mask), emissions.softmax(2) * mask[..., None], **TOLERANCE)
    labels = torch.randint(0, 4, (2, 5))
    picked = emissions.log_softmax(2).gather(2, labels[..., None])[..., 0]
    expected = -(picked * mask).sum(1)
    torch.testing.assert_close(crf.negative_log_likelihood(emissions, labels, mask), expected, **TOLERANCE)


def test_marginals_of_a_long_row_stay_probabilities_in_float32() -> None:
    crf, emissions, mask = make_problem([500], 5, 0, 1)
    expected = marginals_of(crf, emissions * 5, mask)
    found = marginals_of(crf.float(), emissions.float() * 5, mask)
    torch.testing.assert_close(found.sum(2), torch.ones(1, 500), atol=1e-6, rtol=0)  # one softmax's rounding
    # The log-sums reach 8 000, where float32 numbers lie 2**-11 apart; a probability changes by a quarter of that
    # at most, a few times over.
    torch.testing.assert_close(found, expected.float(), atol=2e-3, rtol=0)

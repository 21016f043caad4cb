from __future__ import annotations

import jaxtyping
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nlp_lstm.errors import ConfigError
from nlp_lstm.nn.dropout import LockedDropout, drop_ids
from nlp_lstm.nn.recurrent import Recurrent, make_mask, reverse_rows

row_lengths = st.lists(st.integers(1, 8), min_size=1, max_size=5)


def test_shape_annotations_are_checked_in_these_tests() -> None:
    with pytest.raises(jaxtyping.TypeCheckError):
        make_mask(torch.ones(2, 3, dtype=torch.int64), 4)
    with pytest.raises(jaxtyping.TypeCheckError):
        reverse_rows(torch.zeros(2, 3, 4), torch.tensor([1, 2, 3]))


def test_mask_is_true_at_real_tokens() -> None:
    expected = torch.tensor([[True, True, False], [True, False, False], [True, True, True]])
    assert torch.equal(make_mask(torch.tensor([2, 1, 3]), 3), expected)


@given(row_lengths, st.integers(0, 3))
def test_mask_counts_the_lengths(lengths: list[int], padding: int) -> None:
    assert make_mask(torch.tensor(lengths), max(lengths) + padding).sum(1).tolist() == lengths


def test_rows_turn_around_within_their_own_length() -> None:
    rows = torch.tensor([[1.0, 2, 3, 0], [4, 5, 0, 9], [6, 7, 8, 9]])[..., None]
    expected = torch.tensor([[3.0, 2, 1, 0], [5, 4, 0, 9], [9, 8, 7, 6]])[..., None]
    assert torch.equal(reverse_rows(rows, torch.tensor([3, 2, 4])), expected)


@given(row_lengths, st.integers(0, 3), st.integers(0, 1000))
def test_reverse_rows_is_its_own_inverse(lengths: list[int], padding: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randn(len(lengths), max(lengths) + padding, 2, generator=generator)
    length_tensor = torch.tensor(lengths)
    turned = reverse_rows(rows, length_tensor)
    assert torch.equal(reverse_rows(turned, length_tensor), rows)
    for row, length in enumerate(lengths):
        assert torch.equal(turned[row, :length], rows[row, :length].flip(0))
        assert torch.equal(turned[row, length:], rows[row, length:])


@pytest.mark.parametrize("use_native", [True, False], ids=["native", "plain"])
def test_a_rows_result_does_not_depend_on_its_neighbours(use_native: bool) -> None:
    net = Recurrent("lstm", 3, 4, num_layers=2, use_native=use_native)
    inputs = torch.randn(3, 6, 3)
    first = net(inputs, torch.tensor([4, 6, 1]), need_states=True)
    others = torch.randn(3, 6, 3)
    others[0] = inputs[0]
    second = net(others, torch.tensor([4, 2, 5]), need_states=True)
    # The same shapes go through the same kernels; 1e-6 allows for packed rows in another order.
    torch.testing.assert_close(first.outputs[0], second.outputs[0], atol=1e-6, rtol=0)
    for one, other in zip(first.states, second.states, strict=True):
        torch.testing.assert_close(one.hidden[0], other.hidden[0], atol=1e-6, rtol=0)
        torch.testing.assert_close(one.cell[0], other.cell[0], atol=1e-6, rtol=0)


def test_forward_outputs_see_only_the_past_and_backward_outputs_only_the_future() -> None:
    net = Recurrent("gru", 2, 3)
    inputs = torch.randn(1, 5, 2, requires_grad=True)
    outputs = net(inputs, torch.tensor([5])).outputs
    forward, backward = outputs[0, 2, :3].sum(), outputs[0, 2, 3:].sum()
    (past,) = torch.autograd.grad(forward, inputs, retain_graph=True)
    (future,) = torch.autograd.grad(backward, inputs)
    assert past[0].any(1).tolist() == [True, True, True, False, False]
    assert future[0].any(1).tolist() == [False, False, True, True, True]


def test_states_come_only_when_asked_for_one_a_layer_and_direction() -> None:
    net = Recurrent("lstm", 3, 4, num_layers=3)
    inputs, lengths = torch.randn(2, 5, 3), torch.tensor([5, 2])
    assert net(inputs, lengths).states is None
    states = net(inputs, lengths, need_states=True).states
    assert len(states) == 6
    assert all(tensor.shape == (2, 4) for state in states for tensor in state)


def test_the_last_layers_final_states_stand_in_the_outputs() -> None:
    net = Recurrent("rnn", 3, 4, num_layers=2)
    lengths = torch.tensor([5, 2])
    result = net(torch.randn(2, 5, 3), lengths, need_states=True)
    forward, backward = result.states[-2:]
    torch.testing.assert_close(forward.hidden, result.outputs[torch.arange(2), lengths - 1, :4])
    torch.testing.assert_close(backward.hidden, result.outputs[:, 0, 4:])


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_carried_states_go_on_forward_begin_anew_backward_and_have_no_gradient(cell: str) -> None:
    net = Recurrent(cell, 3, 4, num_layers=2)
    states = net(torch.randn(2, 5, 3), torch.tensor([5, 2]), need_states=True).states
    carried = net.carry(states)
    assert len(carried) == len(states) == 4
    for index, (before, after) in enumerate(zip(states, carried, strict=True)):
        assert type(after) is type(before)
        for old, new in zip(before, after, strict=True):
            assert old.requires_grad
            assert not new.requires_grad
            assert torch.equal(new, torch.zeros_like(old) if index % 2 else old)


@pytest.mark.parametrize("is_bidirectional", [True, False])
def test_output_size_is_what_comes_out(is_bidirectional: bool) -> None:
    net = Recurrent("gru", 3, 4, num_layers=2, is_bidirectional=is_bidirectional)
    assert net(torch.randn(1, 2, 3), torch.tensor([2])).outputs.shape[2] == net.output_size


def test_unknown_cell_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r'unknown cell "ltsm".*Did you mean "lstm"\?'):
        Recurrent("ltsm", 3, 4)


def test_locked_dropout_uses_one_mask_for_all_steps() -> None:
    dropped = LockedDropout(0.5)(torch.ones(8, 6, 20))
    assert torch.equal(dropped, dropped[:, :1].expand_as(dropped))
    assert set(dropped.unique().tolist()) == {0.0, 2.0}
    assert not torch.equal(dropped[0], dropped[1]), "rows have masks of their own"


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.8])
def test_locked_dropout_keeps_the_mean(rate: float) -> None:
    dropped = LockedDropout(rate)(torch.ones(400, 1, 500))
    # 200 000 draws: five standard errors, sqrt(rate / (1 - rate) / 200 000) each.
    assert dropped.mean().item() == pytest.approx(1, abs=5 * (rate / (1 - rate) / 200_000) ** 0.5)


def test_locked_dropout_is_off_in_evaluation_and_at_rate_zero() -> None:
    inputs = torch.randn(2, 3, 4)
    assert torch.equal(LockedDropout(0.9).eval()(inputs), inputs)
    assert torch.equal(LockedDropout(0.0)(inputs), inputs)


def test_dropout_acts_between_the_layers_and_on_the_outputs_in_training_only() -> None:
    net = Recurrent("lstm", 3, 16, num_layers=1, dropout_rate=0.5)
    inputs, lengths = torch.randn(2, 5, 3), torch.tensor([5, 3])
    outputs = net(inputs, lengths).outputs
    assert (outputs[0] == 0).all(0).any(), "a dropped feature is dropped at every step"
    net.eval()
    assert torch.equal(net(inputs, lengths).outputs, net(inputs, lengths).outputs)
    assert not (net(inputs, lengths).outputs[0] == 0).any()


def test_drop_ids_replaces_the_wanted_share() -> None:
    dropped = drop_ids(torch.full((100_000,), 7), 0.3, 1)
    assert set(dropped.unique().tolist()) == {1, 7}
    # Five standard errors of a share of 0.3 in 100 000 draws.
    assert (dropped == 1).float().mean().item() == pytest.approx(0.3, abs=5 * (0.21 / 100_000) ** 0.5)

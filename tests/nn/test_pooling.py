from __future__ import annotations

import functools
from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from nlp_lstm.nn.pooling import MaxPooling, Pooling
from nlp_lstm.nn.recurrent import Recurrent, make_mask
from nlp_lstm.nn.settings import poolings

SIZE = 6  # features, three of each direction
TOLERANCE = 1e-12  # rounding of sums in float64 in another order
LENGTHS = torch.tensor([5, 1, 7, 3])

every_pooling = pytest.mark.parametrize("name", sorted(poolings))
both_directions = pytest.mark.parametrize("is_bidirectional", [True, False])


def make_pooling(name: str, *, is_bidirectional: bool = True) -> Pooling:
    return poolings.get(name)(SIZE, is_bidirectional=is_bidirectional).double()


def make_outputs(lengths: Tensor, padding: int = 0) -> Tensor:
    return torch.randn(len(lengths), int(lengths.max()) + padding, SIZE, dtype=torch.float64)


# ---- the plain loops


def pool_last(pooling: Pooling, row: Tensor) -> Tensor:
    if not pooling.is_bidirectional:
        return row[-1]
    return torch.stack([row[-1][feature] if feature < SIZE // 2 else row[0][feature] for feature in range(SIZE)])


def pool_max(pooling: Pooling, row: Tensor) -> Tensor:
    return torch.stack([max(row[:, feature]) for feature in range(SIZE)])


def pool_mean(pooling: Pooling, row: Tensor) -> Tensor:
    return functools.reduce(torch.add, row) / len(row)


def pool_attention(pooling: Pooling, row: Tensor) -> Tensor:
    """Lin et al. 2017, equations 5 and 6, with one hop: a = softmax(v tanh(W h)), the vector is a H."""
    scores = [pooling.vector.weight[0] @ torch.tanh(pooling.hidden.weight @ step + pooling.hidden.bias) for step in row]
    weights = torch.stack(scores).softmax(0)
    return functools.reduce(torch.add, [weight * step for weight, step in zip(weights, row, strict=True)])


PLAIN: dict[str, Callable[[Pooling, Tensor], Tensor]] = {
    "attention": pool_attention,
    "last": pool_last,
    "max": pool_max,
    "mean": pool_mean,
}


def test_every_pooling_has_a_plain_loop_here() -> None:
    assert set(PLAIN) == set(poolings)


@every_pooling
@both_directions
def test_every_pooling_equals_its_plain_loop(name: str, is_bidirectional: bool) -> None:
    pooling = make_pooling(name, is_bidirectional=is_bidirectional)
    outputs = make_outputs(LENGTHS, padding=2)
    found = pooling(outputs, LENGTHS)
    for row, length in enumerate(LENGTHS):
        expected = PLAIN[name](pooling, outputs[row, :length])
        torch.testing.assert_close(found[row], expected, atol=TOLERANCE, rtol=0)


# ---- parts of rows


def make_parts(lengths: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Every part of every row, in an order of no meaning."""
    parts = [
        (row, start, end)
        for row, length in enumerate(lengths.tolist())
        for start in range(length)
        for end in range(start + 1, length + 1)
    ]
    rows, starts, ends = torch.tensor(parts)[torch.randperm(len(parts))].T
    return rows, starts, ends


def test_the_maximum_over_each_part_is_that_of_the_part_alone() -> None:
    pooling = MaxPooling(SIZE, is_bidirectional=True)
    outputs = make_outputs(LENGTHS, padding=2)
    rows, starts, ends = make_parts(LENGTHS)
    found = pooling.read_parts(outputs, rows, starts, ends)
    for row, start, end, vector in zip(rows, starts, ends, found, strict=True):
        assert torch.equal(vector, outputs[row, start:end].amax(dim=0))


def test_gradients_of_parts_are_right_in_float64() -> None:
    pooling = MaxPooling(SIZE, is_bidirectional=True)
    outputs = make_outputs(LENGTHS).requires_grad_()
    parts = make_parts(LENGTHS)
    assert torch.autograd.gradcheck(lambda steps: pooling.read_parts(steps, *parts), (outputs,))


# ---- stretches and padding


@every_pooling
@both_directions
@given(st.lists(st.integers(1, 9), min_size=1, max_size=4), st.integers(1, 5), st.integers(0, 1000))
def test_whole_rows_equal_stretch_by_stretch(
    name: str, is_bidirectional: bool, lengths: list[int], window: int, seed: int
) -> None:
    torch.manual_seed(seed)
    pooling = make_pooling(name, is_bidirectional=is_bidirectional)
    length_tensor = torch.tensor(lengths)
    outputs = make_outputs(length_tensor)
    carried = pooling.start(outputs)
    for start in range(0, max(lengths), window):
        part = outputs[:, start : start + window]
        carried = pooling.read(carried, part, make_mask((length_tensor - start).clamp(0, window), part.shape[1]))
    found = pooling.finish(carried)
    torch.testing.assert_close(found, pooling(outputs, length_tensor), atol=TOLERANCE, rtol=0)


@every_pooling
@both_directions
def test_padding_never_changes_a_vector(name: str, is_bidirectional: bool) -> None:
    pooling = make_pooling(name, is_bidirectional=is_bidirectional)
    outputs = make_outputs(LENGTHS)
    expected = pooling(outputs, LENGTHS)
    noise = torch.where(make_mask(LENGTHS, 7)[..., None], outputs, 1e6 * torch.randn_like(outputs))
    more = torch.nn.functional.pad(noise, (0, 0, 0, 4), value=-1e6)
    torch.testing.assert_close(pooling(noise, LENGTHS), expected, atol=TOLERANCE, rtol=0)
    torch.testing.assert_close(pooling(more, LENGTHS), expected, atol=TOLERANCE, rtol=0)


@every_pooling
@both_directions
def test_a_stretch_without_a_real_step_changes_nothing(name: str, is_bidirectional: bool) -> None:
    pooling = make_pooling(name, is_bidirectional=is_bidirectional)
    outputs = make_outputs(LENGTHS)
    carried = pooling.read(pooling.start(outputs), outputs, make_mask(LENGTHS, 7))
    nothing = torch.zeros(4, 3, dtype=torch.bool)
    again = pooling.read(carried, 1e3 * torch.randn(4, 3, SIZE, dtype=torch.float64), nothing)
    for before, after in zip(carried, again, strict=True):
        assert torch.equal(before, after)


# ---- gradients


@every_pooling
@both_directions
def test_gradients_are_right_in_float64(name: str, is_bidirectional: bool) -> None:
    pooling = make_pooling(name, is_bidirectional=is_bidirectional)
    outputs = make_outputs(LENGTHS).requires_grad_()
    assert torch.autograd.gradcheck(lambda rows: pooling(rows, LENGTHS), (outputs,))


@every_pooling
def test_the_gradient_is_zero_at_padding_and_reaches_every_row_and_parameter(name: str) -> None:
    pooling = make_pooling(name)
    outputs = make_outputs(LENGTHS).requires_grad_()
    (pooling(outputs, LENGTHS) ** 2).sum().backward()
    mask = make_mask(LENGTHS, 7)
    assert not outputs.grad[~mask].any()
    assert all(outputs.grad[row].any() for row in range(len(LENGTHS)))
    for parameter_name, parameter in pooling.named_parameters():
        assert parameter.grad is not None, parameter_name
        assert parameter.grad.any(), parameter_name


# ---- against torch


@both_directions
def test_the_last_pooling_gives_the_final_states_of_torchs_lstm(is_bidirectional: bool) -> None:
    ours = Recurrent("lstm", 4, 3, is_bidirectional=is_bidirectional)
    torchs = torch.nn.LSTM(4, 3, batch_first=True, bidirectional=is_bidirectional)
    with torch.no_grad():
        for direction, cell in enumerate(ours.layers[0]):
            ending = "_reverse" if direction else ""
            for name, weight in (("weight_ih", cell.weight_ih), ("weight_hh", cell.weight_hh), ("bias_ih", cell.bias)):
                getattr(torchs, f"{name}_l0{ending}").copy_(weight)
            getattr(torchs, f"bias_hh_l0{ending}").zero_()
    inputs = torch.randn(len(LENGTHS), 7, 4)
    packed = torch.nn.utils.rnn.pack_padded_sequence(inputs, LENGTHS, batch_first=True, enforce_sorted=False)
    expected = torch.cat(tuple(torchs(packed)[1][0]), dim=1)
    pooling = poolings.get("last")(ours.output_size, is_bidirectional=is_bidirectional)
    found = pooling(ours(inputs, LENGTHS).outputs, LENGTHS)
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=0)  # other kernels in float32


def test_the_names_of_the_poolings_are_those_that_the_recipe_lists() -> None:
    assert sorted(poolings) == ["attention", "last", "max", "mean"]

"""Networks over grids, along diagonals, against plain loops and the paper's equations."""

from __future__ import annotations

import itertools

import numpy
import pytest
import torch
from torch import Tensor, nn

from nlp_lstm.nn.cells import PeepholeLSTMCell
from nlp_lstm.nn.grid import Grid, GridLSTMCell, GridRNNCell, plan_diagonals, sweep, sweep_plainly
from nlp_lstm.nn.recurrent import unroll_plainly

INPUT_SIZE, HIDDEN_SIZE, BATCH = 3, 4, 2
TOLERANCE = 1e-12  # float64 rounding

every_cell = pytest.mark.parametrize("cell_type", [GridRNNCell, GridLSTMCell])
every_grid = pytest.mark.parametrize("sizes", [(5,), (4, 6), (1, 3), (3, 1), (3, 2, 4), (2, 1, 2, 2)], ids=str)


def make_cell(cell_type: type, num_dims: int) -> GridRNNCell | GridLSTMCell:
    return randomised(cell_type(INPUT_SIZE, HIDDEN_SIZE, num_dims))


def randomised(module: nn.Module) -> nn.Module:
    for parameter in module.parameters():
        parameter.data.normal_(std=0.5)
    return module.double()


def make_inputs(sizes: tuple[int, ...]) -> Tensor:
    return torch.randn(BATCH, *sizes, INPUT_SIZE, dtype=torch.float64, requires_grad=True)


@every_grid
def test_a_diagonal_holds_the_places_of_one_sum_and_knows_those_before(sizes: tuple[int, ...]) -> None:
    diagonals = plan_diagonals(sizes)
    places = list(itertools.product(*map(range, sizes)))
    found = [[places[index] for index in diagonal.places] for diagonal in diagonals]
    assert sorted(place for diagonal in found for place in diagonal) == places
    for number, (diagonal, members) in enumerate(zip(diagonals, found, strict=True)):
        earlier = found[number - 1] if number else []
        for place, before in zip(members, diagonal.before.tolist(), strict=True):
            assert sum(place) == number
            for dim, index in enumerate(before):
                if place[dim]:
                    assert earlier[index] == (*place[:dim], place[dim] - 1, *place[dim + 1 :])
                else:
                    assert index == len(earlier)


@every_cell
@every_grid
def test_diagonals_give_the_values_and_gradients_of_a_plain_loop(cell_type: type, sizes: tuple[int, ...]) -> None:
    cell, inputs = make_cell(cell_type, len(sizes)), make_inputs(sizes)
    weights = torch.randn(BATCH, *sizes, HIDDEN_SIZE, dtype=torch.float64)
    results = [way(cell, inputs) for way in (sweep, sweep_plainly)]
    torch.testing.assert_close(*results, atol=TOLERANCE, rtol=TOLERANCE)
    gradients = [torch.autograd.grad((outputs * weights).sum(), [inputs, *cell.parameters()]) for outputs in results]
    for found, expected in zip(*gradients, strict=True):
        torch.testing.assert_close(found, expected, atol=10 * TOLERANCE, rtol=10 * TOLERANCE)
        assert found.any() or max(sizes) == 1


def sigmoid(values: numpy.ndarray) -> numpy.ndarray:
    return 1 / (1 + numpy.exp(-values))


@pytest.mark.parametrize("sizes", [(3, 4), (2, 3, 2)], ids=str)
def test_the_values_are_those_of_the_equations(sizes: tuple[int, ...]) -> None:
    """Graves, Fernández and Schmidhuber 2007, the equations of the multi-dimensional LSTM, in nested loops of numpy."""
    num_dims, n = len(sizes), HIDDEN_SIZE
    cell, inputs = make_cell(GridLSTMCell, num_dims), make_inputs(sizes)
    found = sweep(cell, inputs)[0].detach().numpy()
    p = {name: parameter.detach().numpy() for name, parameter in cell.named_parameters()}
    recurrent = p["weight_hh"].reshape(3 + num_dims, n, num_dims, n)
    zeros = numpy.zeros(n)
    b: dict[tuple[int, ...], numpy.ndarray] = {}
    s: dict[tuple[int, ...], numpy.ndarray] = {}
    for place in itertools.product(*map(range, sizes)):
        earlier = [(*place[:dim], place[dim] - 1, *place[dim + 1 :]) for dim in range(num_dims)]
        sums = (p["weight_ih"] @ inputs[0][place].detach().numpy() + p["bias"]).reshape(3 + num_dims, n)
        for dim, before in enumerate(earlier):
            sums = sums + numpy.stack([recurrent[gate, :, dim] @ b.get(before, zeros) for gate in range(3 + num_dims)])
        looks = [p["input_peepholes"][dim] * s.get(before, zeros) for dim, before in enumerate(earlier)]
        state = sigmoid(sums[0] + sum(looks)) * numpy.tanh(sums[1])
        for dim, before in enumerate(earlier):
            old = s.get(before, zeros)
            state = state + old * sigmoid(sums[3 + dim] + p["forget_peepholes"][dim] * old)
        s[place] = state
        b[place] = sigmoid(sums[2] + p["output_peephole"] * state) * numpy.tanh(state)
        numpy.testing.assert_allclose(found[place], b[place], atol=TOLERANCE)


def test_one_dimension_is_the_peephole_lstm() -> None:
    grid, inputs = make_cell(GridLSTMCell, 1), make_inputs((6,))
    cell = PeepholeLSTMCell(INPUT_SIZE, HIDDEN_SIZE).double()
    with torch.no_grad():
        for name in ("weight_ih", "weight_hh", "bias"):
            i, g, o, f = getattr(grid, name).chunk(4)
            getattr(cell, name).copy_(torch.cat((i, f, g, o)))
        cell.input_peephole.copy_(grid.input_peepholes[0])
        cell.forget_peephole.copy_(grid.forget_peepholes[0])
        cell.output_peephole.copy_(grid.output_peephole)
    expected, _ = unroll_plainly(cell, inputs, torch.tensor([6, 6]), cell.initial_state(inputs))
    torch.testing.assert_close(sweep(grid, inputs), expected, atol=TOLERANCE, rtol=TOLERANCE)


@every_cell
@pytest.mark.parametrize("sizes", [(2, 3), (2, 2, 2)], ids=str)
def test_gradients_are_right(cell_type: type, sizes: tuple[int, ...]) -> None:
    cell, inputs = make_cell(cell_type, len(sizes)), make_inputs(sizes)
    names = [name for name, _ in cell.named_parameters()]

    def run(inputs: Tensor, *parameters: Tensor) -> Tensor:
        twin = cell_type(INPUT_SIZE, HIDDEN_SIZE, len(sizes)).double()
        for name, parameter in zip(names, parameters, strict=True):
            delattr(twin, name)
            setattr(twin, name, parameter)
        return sweep(twin, inputs)

    assert torch.autograd.gradcheck(run, (inputs, *cell.parameters()), fast_mode=True)


@every_cell
@pytest.mark.parametrize("sizes", [(3, 4), (2, 3, 3)], ids=str)
def test_each_direction_sees_the_places_between_its_corner_and_its_own(cell_type: type, sizes: tuple[int, ...]) -> None:
    net = randomised(Grid(cell_type, INPUT_SIZE, HIDDEN_SIZE, num_dims=len(sizes)))
    assert net.output_size == 2 ** len(sizes) * HIDDEN_SIZE
    inputs = make_inputs(sizes)
    outputs = net(inputs)
    assert outputs.shape == (BATCH, *sizes, net.output_size)
    centre = tuple(size // 2 for size in sizes)
    for direction, corner in enumerate(itertools.product((False, True), repeat=len(sizes))):
        part = outputs[(0, *centre)][direction * HIDDEN_SIZE : (direction + 1) * HIDDEN_SIZE]
        (gradient,) = torch.autograd.grad(part.sum(), inputs, retain_graph=True)
        assert not gradient[1].any()
        for place in itertools.product(*map(range, sizes)):
            is_between = all(
                one >= middle if is_last else one <= middle
                for one, middle, is_last in zip(place, centre, corner, strict=True)
            )
            assert bool(gradient[0][place].any()) == is_between


def test_one_direction_is_a_sweep_from_the_first_corner() -> None:
    net = randomised(Grid(GridLSTMCell, INPUT_SIZE, HIDDEN_SIZE, is_multidirectional=False))
    inputs = make_inputs((3, 4))
    assert net.output_size == HIDDEN_SIZE
    assert torch.equal(net(inputs), sweep(net.cells[0], inputs))


@pytest.mark.parametrize(("num_dims", "together"), [(1, 0.731), (2, 1.0), (3, 1.0)])
def test_forget_gates_begin_where_together_they_let_one_state_through(num_dims: int, together: float) -> None:
    bias = GridLSTMCell(INPUT_SIZE, HIDDEN_SIZE, num_dims).bias.detach().view(3 + num_dims, HIDDEN_SIZE)
    assert not bias[:3].any()
    # sigmoid(1) where there is one, else one over the number of dimensions each
    assert torch.sigmoid(bias[3:]).sum(dim=0).tolist() == pytest.approx([together] * HIDDEN_SIZE, abs=1e-3)

"""Recurrent networks over grids of any number of dimensions, such as images (two) and films (three).

A place on the grid has one predecessor along each dimension, and its state depends on all of theirs:

    1 dimension    a ─ b ─ c            2 dimensions    a ─ b ─ c
                                                        │   │   │
                                                        d ─ e ─ f        f sees c and e

All places whose coordinates have the same sum, a diagonal, have their predecessors on the diagonal before. So a sweep
goes from diagonal to diagonal, all places of one at once: 63 steps over 32 x 32 places where a loop takes 1,024. A
network of n dimensions sweeps from each of the 2ⁿ corners, so that each place sees the whole grid (Graves 2007).

Source: Graves, Fernández, Schmidhuber, "Multi-dimensional Recurrent Neural Networks", ICANN 2007.
"""

from __future__ import annotations

import itertools
import math
from abc import ABC, abstractmethod
from functools import lru_cache
from typing import NamedTuple, cast

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from nlp_lstm.nn.cells import HiddenState, LSTMState, State
from nlp_lstm.nn.cells.base import initialise_recurrent


class GridCell(nn.Module, ABC):
    """One place of a grid.

    Args:
        input_size: features per place.
        hidden_size: features of the hidden state.
        num_dims: dimensions of the grid.
    """

    def __init__(self, input_size: int, hidden_size: int, num_dims: int) -> None:
        super().__init__()
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.num_dims = num_dims

    @abstractmethod
    def outside(self, inputs: Tensor) -> State:
        """Return the state beyond the grid's border, for each row of ``inputs``: zeros."""

    @abstractmethod
    def project(self, inputs: Float[Tensor, "*places embed"]) -> Float[Tensor, "*places projected"]:
        """Return the inputs' share of all sums, for all places at once."""

    @abstractmethod
    def step(self, projected: Float[Tensor, "*places projected"], before: State) -> State:
        """Return the state of some places.

        Args:
            projected: what `project` gave.
            before: the states before them, `*places dimension hidden`.
        """


class GridRNNCell(GridCell):
    """One place of a vanilla network: ``h = tanh(W x + sum over d of U_d h_d + b)``, where h_d is that of the place
    before along dimension d.

    Args:
        input_size: features per place.
        hidden_size: features of the hidden state.
        num_dims: dimensions of the grid.
    """

    def __init__(self, input_size: int, hidden_size: int, num_dims: int) -> None:
        super().__init__(input_size, hidden_size, num_dims)
        self.weight_ih = nn.Parameter(torch.empty(hidden_size, input_size))
        self.weight_hh = nn.Parameter(torch.empty(hidden_size, num_dims * hidden_size))
        self.bias = nn.Parameter(torch.zeros(hidden_size))
        nn.init.xavier_uniform_(self.weight_ih)
        initialise_recurrent(self.weight_hh, (hidden_size,))

    def outside(self, inputs: Tensor) -> HiddenState:
        return HiddenState(hidden=inputs.new_zeros(inputs.shape[0], self.hidden_size))

    def project(self, inputs: Float[Tensor, "*places embed"]) -> Float[Tensor, "*places hidden"]:
        return nn.functional.linear(inputs, self.weight_ih, self.bias)

    def step(self, projected: Float[Tensor, "*places hidden"], before: HiddenState) -> HiddenState:
        return HiddenState(torch.tanh(projected + nn.functional.linear(before.hidden.flatten(-2), self.weight_hh)))


class GridLSTMCell(GridCell):
    """One place of an LSTM with a forget gate for each dimension. Gate order: input, candidate, output, then forget
    gates.

    All gates read the hidden states before the place along all dimensions. Through peepholes the input gate also sees
    the cell states along all dimensions, a forget gate that along its own, and the output gate the new one.

    A cell state is the sum of as many old ones as there are dimensions, so at forget gates open everywhere it would
    grow from place to place: the forget gates begin where together they let one through.

    Args:
        input_size: features per place.
        hidden_size: features of the hidden and the cell state.
        num_dims: dimensions of the grid.
    """

    def __init__(self, input_size: int, hidden_size: int, num_dims: int) -> None:
        super().__init__(input_size, hidden_size, num_dims)
        rows = (3 + num_dims) * hidden_size
        self.weight_ih = nn.Parameter(torch.empty(rows, input_size))
        self.weight_hh = nn.Parameter(torch.empty(rows, num_dims * hidden_size))
        self.bias = nn.Parameter(torch.zeros(rows))
        self.input_peepholes = nn.Parameter(torch.zeros(num_dims, hidden_size))
        self.forget_peepholes = nn.Parameter(torch.zeros(num_dims, hidden_size))
        self.output_peephole = nn.Parameter(torch.zeros(hidden_size))
        nn.init.xavier_uniform_(self.weight_ih)
        initialise_recurrent(self.weight_hh, (hidden_size,) * (3 + num_dims))
        self.bias.data[3 * hidden_size :] = -math.log(num_dims - 1) if num_dims > 1 else 1.0

    def outside(self, inputs: Tensor) -> LSTMState:
        zeros = inputs.new_zeros(inputs.shape[0], self.hidden_size)
        return LSTMState(hidden=zeros, cell=zeros)

    def project(self, inputs: Float[Tensor, "*places embed"]) -> Float[Tensor, "*places gates"]:
        return nn.functional.linear(inputs, self.weight_ih, self.bias)

    def step(self, projected: Float[Tensor, "*places gates"], before: LSTMState) -> LSTMState:
        sums = projected + nn.functional.linear(before.hidden.flatten(-2), self.weight_hh)
        gates = sums.unflatten(-1, (-1, self.hidden_size))
        input_gate, candidate, output_gate = gates[..., 0, :], gates[..., 1, :], gates[..., 2, :]
        input_gate = torch.sigmoid(input_gate + (self.input_peepholes * before.cell).sum(dim=-2))
        forget_gates = torch.sigmoid(gates[..., 3:, :] + self.forget_peepholes * before.cell)
        cell = input_gate * torch.tanh(candidate) + (forget_gates * before.cell).sum(dim=-2)
        output_gate = torch.sigmoid(output_gate + self.output_peephole * cell)
        return LSTMState(hidden=output_gate * torch.tanh(cell), cell=cell)


class Diagonal(NamedTuple):
    """The places whose coordinates have one sum.

    Args:
        places: their positions in the flattened grid.
        before: for each place and dimension the predecessor's position on the diagonal before; one past that
            diagonal's end where there is none.
    """

    places: Int[Tensor, " place"]
    before: Int[Tensor, "place dimension"]


@lru_cache(maxsize=64)
@torch.inference_mode(False)  # what is kept must also serve in training
def plan_diagonals(sizes: tuple[int, ...]) -> tuple[Diagonal, ...]:
    """Return the diagonals of a grid, from the first corner to the last."""
    steps = [torch.arange(size) for size in sizes]
    coordinates = torch.stack(torch.meshgrid(*steps, indexing="ij"), dim=-1).flatten(0, -2)
    sums = coordinates.sum(dim=1)
    strides = torch.tensor([math.prod(sizes[dim + 1 :]) for dim in range(len(sizes))])
    position = torch.zeros(len(sums), dtype=torch.int64)  # of each place on its diagonal
    diagonals, num_before = [], 0
    for number in range(int(sums.max()) + 1):
        places = (sums == number).nonzero()[:, 0]
        position[places] = torch.arange(len(places))
        has_before = coordinates[places] > 0
        before = position[(places[:, None] - strides).clamp(min=0)]
        diagonals.append(Diagonal(places, torch.where(has_before, before, num_before)))
        num_before = len(places)
    return tuple(diagonals)


def sweep(cell: GridCell, inputs: Float[Tensor, "batch *grid embed"]) -> Float[Tensor, "batch *grid hidden"]:
    """Run a cell over a grid from its first corner, diagonal by diagonal."""
    sizes = tuple(inputs.shape[1:-1])
    diagonals = plan_diagonals(sizes)
    order = torch.cat([diagonal.places for diagonal in diagonals]).to(inputs.device)
    projected = cell.project(inputs).flatten(1, -2).index_select(1, order)
    shares = projected.split([len(diagonal.places) for diagonal in diagonals], dim=1)
    outside = cell.outside(inputs)
    state = type(outside)(*(tensor[:, None] for tensor in outside))  # the diagonal before the first has no places
    outputs = []
    for diagonal, share in zip(diagonals, shares, strict=True):
        index, shape = diagonal.before.flatten().to(inputs.device), tuple(diagonal.before.shape)
        before = type(outside)(*(tensor.index_select(1, index).unflatten(1, shape) for tensor in state))
        new = cell.step(share, before)
        outputs.append(new.hidden)
        state = type(outside)(
            *(torch.cat((tensor, border[:, None]), dim=1) for tensor, border in zip(new, outside, strict=True))
        )
    return torch.cat(outputs, dim=1).index_select(1, order.argsort()).unflatten(1, sizes)


def sweep_plainly(cell: GridCell, inputs: Float[Tensor, "batch *grid embed"]) -> Float[Tensor, "batch *grid hidden"]:
    """Run a cell over a grid place by place: the reference."""
    sizes = tuple(inputs.shape[1:-1])
    projected = cell.project(inputs).flatten(1, -2)
    outside = cell.outside(inputs)
    states: dict[tuple[int, ...], State] = {}
    for place in itertools.product(*map(range, sizes)):
        before = [states.get((*place[:dim], place[dim] - 1, *place[dim + 1 :]), outside) for dim in range(len(sizes))]
        joined = type(outside)(*(torch.stack(tensors, dim=1) for tensors in zip(*before, strict=True)))
        states[place] = cell.step(projected[:, len(states)], joined)
    return torch.stack([state.hidden for state in states.values()], dim=1).unflatten(1, sizes)


class Grid(nn.Module):
    """One layer over a grid, from all its corners or from the first one only.

    Args:
        cell_type: of the cell.
        input_size: features per place.
        hidden_size: features of each direction's hidden state.
        num_dims: dimensions of the grid.
        is_multidirectional: whether a net of its own sweeps from each of the 2ⁿ corners.
    """

    def __init__(
        self,
        cell_type: type[GridCell],
        input_size: int,
        hidden_size: int,
        *,
        num_dims: int = 2,
        is_multidirectional: bool = True,
    ) -> None:
        super().__init__()
        corners = itertools.product((False, True), repeat=num_dims) if is_multidirectional else [(False,) * num_dims]
        self.flips = [tuple(dim + 1 for dim in range(num_dims) if corner[dim]) for corner in corners]
        self.cells = nn.ModuleList(cell_type(input_size, hidden_size, num_dims) for _ in self.flips)
        self.output_size = len(self.flips) * hidden_size

    def forward(self, inputs: Float[Tensor, "batch *grid embed"]) -> Float[Tensor, "batch *grid {self.output_size}"]:
        """Return each place's hidden states, one direction after the other; all grids of a batch are of one size."""
        outputs = [
            sweep(cast("GridCell", cell), inputs.flip(flipped)).flip(flipped)
            for cell, flipped in zip(self.cells, self.flips, strict=True)
        ]
        return torch.cat(outputs, dim=-1)

"""What the cells of the LSTM family share: gates that read the input and the hidden state, and two kinds of state."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from nlp_lstm.nn.cells.base import Cell, initialise_recurrent
from nlp_lstm.nn.cells.product import project_sequence


class LSTMState(NamedTuple):
    """The hidden state and the cell state of an LSTM."""

    hidden: Float[Tensor, "batch hidden"]
    cell: Float[Tensor, "batch hidden"]


def zero_state(inputs: Float[Tensor, "batch time embed"], hidden_size: int) -> LSTMState:
    """Return the state before the first step."""
    zeros = inputs.new_zeros(inputs.shape[0], hidden_size)
    return LSTMState(hidden=zeros, cell=zeros)


class GatedCell(Cell):
    """A cell whose gates and candidate are squashed sums ``W x + U h + b``, and which carries a cell state.

    Args:
        input_size: features per input vector.
        hidden_size: features of the hidden and the cell state.
        gate_sizes: the rows of each gate and of the candidate, in the cell's order.
    """

    weight_ih: Tensor
    weight_hh: Tensor
    bias: Tensor

    def __init__(self, input_size: int, hidden_size: int, gate_sizes: Sequence[int]) -> None:
        super().__init__(input_size, hidden_size)
        self.gate_sizes = tuple(gate_sizes)
        self.weight_ih = nn.Parameter(torch.empty(sum(gate_sizes), input_size))
        self.weight_hh = nn.Parameter(torch.empty(sum(gate_sizes), hidden_size))
        self.bias = nn.Parameter(torch.zeros(sum(gate_sizes)))
        nn.init.xavier_uniform_(self.weight_ih)
        initialise_recurrent(self.weight_hh, gate_sizes)

    @property
    def row_sizes(self) -> tuple[int, ...]:
        return self.gate_sizes

    def initial_state(self, inputs: Float[Tensor, "batch time embed"]) -> LSTMState:
        return zero_state(inputs, self.hidden_size)

    def project(self, inputs: Float[Tensor, "batch time embed"]) -> Float[Tensor, "batch time {sum(self.gate_sizes)}"]:
        return project_sequence(inputs, self.weight_ih, self.bias)

"""The long short-term memory cell with one gate for what comes in and what is kept."""

from __future__ import annotations

from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from nlp_lstm.nn.cells.gated import GatedCell, LSTMState
from nlp_lstm.nn.cells.product import add_product
from nlp_lstm.nn.settings import cells


@cells.register("cifg")
class CoupledLSTMCell(GatedCell):
    """One step of an LSTM whose input gate is one minus its forget gate. Gate order: forget, candidate, output.

    Args:
        input_size: features per input vector.
        hidden_size: features of the hidden and the cell state.
        forget_bias: the forget gate's bias at initialisation (Jozefowicz et al. 2015).

    Source: Greff, Srivastava, Koutník, Steunebrink, Schmidhuber, "LSTM: A Search Space Odyssey", IEEE Transactions on
    Neural Networks and Learning Systems 28 (2017), variant CIFG. Here: without peepholes, and the forget gate is the
    one that is learnt (theirs is f = 1 - i, the same up to the sign of its weights).
    """

    rows: ClassVar[tuple[str, ...]] = ("forget gate", "candidate", "output gate")
    gates: ClassVar[tuple[str, ...]] = ("forget gate", "output gate")

    def __init__(self, input_size: int, hidden_size: int, forget_bias: float = 1.0) -> None:
        super().__init__(input_size, hidden_size, (hidden_size,) * 3)
        self.bias.data[:hidden_size] = forget_bias

    def step(self, projected: Float[Tensor, "batch {3*self.hidden_size}"], state: LSTMState) -> LSTMState:
        gates = add_product(projected, state.hidden, self.weight_hh)
        forget_gate, candidate, output_gate = gates.chunk(3, dim=-1)
        forget_gate, candidate = torch.sigmoid(forget_gate), torch.tanh(candidate)
        cell = candidate + forget_gate * (state.cell - candidate)
        return LSTMState(hidden=torch.sigmoid(output_gate) * torch.tanh(cell), cell=cell)

"""The long short-term memory cell whose gates see the cell state."""

from __future__ import annotations

from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from nlp_lstm.nn.cells.gated import GatedCell, LSTMState
from nlp_lstm.nn.cells.product import add_product
from nlp_lstm.nn.settings import cells


@cells.register("peephole")
class PeepholeLSTMCell(GatedCell):
    """One step of an LSTM whose gates also see the cell state. Gate order: input, forget, candidate, output.

    The input and forget gates read the previous cell state and the output gate the new one, each through a weight of
    its own per unit.

    Args:
        input_size: features per input vector.
        hidden_size: features of the hidden and the cell state.
        forget_bias: the forget gate's bias at initialisation (Jozefowicz et al. 2015).

    Source: Gers, Schraudolph, Schmidhuber, "Learning Precise Timing with LSTM Recurrent Networks", JMLR 3 (2002). Here:
    one cell a block, so each peephole is a vector; it starts at zero.
    """

    rows: ClassVar[tuple[str, ...]] = ("input gate", "forget gate", "candidate", "output gate")
    gates: ClassVar[tuple[str, ...]] = ("input gate", "forget gate", "output gate")

    def __init__(self, input_size: int, hidden_size: int, forget_bias: float = 1.0) -> None:
        super().__init__(input_size, hidden_size, (hidden_size,) * 4)
        self.bias.data[hidden_size : 2 * hidden_size] = forget_bias
        self.input_peephole = nn.Parameter(torch.zeros(hidden_size))
        self.forget_peephole = nn.Parameter(torch.zeros(hidden_size))
        self.output_peephole = nn.Parameter(torch.zeros(hidden_size))

    def step(self, projected: Float[Tensor, "batch {4*self.hidden_size}"], state: LSTMState) -> LSTMState:
        gates = add_product(projected, state.hidden, self.weight_hh)
        input_gate, forget_gate, candidate, output_gate = gates.chunk(4, dim=-1)
        input_gate = torch.sigmoid(torch.addcmul(input_gate, self.input_peephole, state.cell))
        forget_gate = torch.sigmoid(torch.addcmul(forget_gate, self.forget_peephole, state.cell))
        cell = forget_gate * state.cell + input_gate * torch.tanh(candidate)
        output_gate = torch.sigmoid(torch.addcmul(output_gate, self.output_peephole, cell))
        return LSTMState(hidden=output_gate * torch.tanh(cell), cell=cell)

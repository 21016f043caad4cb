"""The long short-term memory cell with a forget gate."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from nlp_lstm.nn.cells.base import State
from nlp_lstm.nn.cells.gated import GatedCell, LSTMState
from nlp_lstm.nn.cells.native import call_native
from nlp_lstm.nn.cells.product import add_product
from nlp_lstm.nn.settings import cells


@cells.register("lstm")
class LSTMCell(GatedCell):
    """One step of an LSTM with input, forget and output gates. Gate order: input, forget, candidate, output.

    Args:
        input_size: features per input vector.
        hidden_size: features of the hidden and the cell state.
        forget_bias: the forget gate's bias at initialisation (Jozefowicz et al. 2015).

    Source: Hochreiter and Schmidhuber, "Long Short-Term Memory", Neural Computation 9 (1997); forget gate: Gers,
    Schmidhuber, Cummins, "Learning to Forget", Neural Computation 12 (2000).
    """

    rows: ClassVar[tuple[str, ...]] = ("input gate", "forget gate", "candidate", "output gate")
    gates: ClassVar[tuple[str, ...]] = ("forget gate", "input gate", "output gate")
    has_kernel: ClassVar[bool] = True

    def __init__(self, input_size: int, hidden_size: int, forget_bias: float = 1.0) -> None:
        super().__init__(input_size, hidden_size, (hidden_size,) * 4)
        self.bias.data[hidden_size : 2 * hidden_size] = forget_bias

    def step(self, projected: Float[Tensor, "batch {4*self.hidden_size}"], state: LSTMState) -> LSTMState:
        gates = add_product(projected, state.hidden, self.weight_hh)
        input_gate, forget_gate, candidate, output_gate = gates.chunk(4, dim=-1)
        kept = torch.sigmoid(forget_gate) * state.cell
        cell = kept + torch.sigmoid(input_gate) * torch.tanh(candidate)
        return LSTMState(hidden=torch.sigmoid(output_gate) * torch.tanh(cell), cell=cell)

    def run_native(self, inputs: Any, state: State) -> tuple[Any, State]:
        weights = [self.weight_ih, self.weight_hh, self.bias, torch.zeros_like(self.bias)]
        initial = (state.hidden[None], state.cell[None])
        outputs, hidden, cell = call_native(torch.lstm, inputs, initial, weights, self.training)
        return outputs, LSTMState(hidden=hidden[0], cell=cell[0])

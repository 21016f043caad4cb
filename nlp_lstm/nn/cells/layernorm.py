"""The long short-term memory cell with layer normalisation."""

from __future__ import annotations

from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from nlp_lstm.nn.cells.gated import GatedCell, LSTMState
from nlp_lstm.nn.cells.product import multiply, project_sequence
from nlp_lstm.nn.settings import cells


@cells.register("layernorm")
class LayerNormLSTMCell(GatedCell):
    """One step of an LSTM with normalised sums. Gate order: input, forget, candidate, output.

    ``LN(W x) + LN(U h) + b`` stands in the place of ``W x + U h + b``, and the output gate passes ``tanh(LN(c))``.

    Args:
        input_size: features per input vector.
        hidden_size: features of the hidden and the cell state.
        forget_bias: the forget gate's bias at initialisation (Jozefowicz et al. 2015).

    Source: Ba, Kiros, Hinton, "Layer Normalization" (2016), equations 20 to 22. Here: the shifts of the two
    normalised sums and the bias are one, as they are added.
    """

    rows: ClassVar[tuple[str, ...]] = ("input gate", "forget gate", "candidate", "output gate")
    gates: ClassVar[tuple[str, ...]] = ("forget gate", "input gate", "output gate")

    def __init__(self, input_size: int, hidden_size: int, forget_bias: float = 1.0) -> None:
        super().__init__(input_size, hidden_size, (hidden_size,) * 4)
        self.bias.data[hidden_size : 2 * hidden_size] = forget_bias
        self.input_gain = nn.Parameter(torch.ones(4 * hidden_size))
        self.hidden_gain = nn.Parameter(torch.ones(4 * hidden_size))
        self.cell_gain = nn.Parameter(torch.ones(hidden_size))
        self.cell_bias = nn.Parameter(torch.zeros(hidden_size))

    def project(self, inputs: Float[Tensor, "batch time embed"]) -> Float[Tensor, "batch time {4*self.hidden_size}"]:
        return _normalise(project_sequence(inputs, self.weight_ih), self.input_gain, self.bias)

    def step(self, projected: Float[Tensor, "batch {4*self.hidden_size}"], state: LSTMState) -> LSTMState:
        gates = projected + _normalise(multiply(state.hidden, self.weight_hh), self.hidden_gain)
        input_gate, forget_gate, candidate, output_gate = gates.chunk(4, dim=-1)
        kept = torch.sigmoid(forget_gate) * state.cell
        cell = kept + torch.sigmoid(input_gate) * torch.tanh(candidate)
        visible = torch.tanh(_normalise(cell, self.cell_gain, self.cell_bias))
        return LSTMState(hidden=torch.sigmoid(output_gate) * visible, cell=cell)


def _normalise(values: Tensor, gain: Tensor, bias: Tensor | None = None) -> Tensor:
    return nn.functional.layer_norm(values, gain.shape, gain, bias)

"""The long short-term memory cell whose input and state first change each other."""

from __future__ import annotations

from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from nlp_lstm.nn.cells.gated import GatedCell, LSTMState
from nlp_lstm.nn.cells.product import add_product, multiply
from nlp_lstm.nn.settings import cells

ROUNDS = ("round 1", "round 2", "round 3", "round 4", "round 5")


@cells.register("mogrifier")
class MogrifierLSTMCell(GatedCell):
    """One step of an LSTM before which input and hidden state gate each other. Gate order: input, forget, candidate,
    output.

    In odd rounds ``x = 2 sigmoid(Q h) * x``, in even ones ``h = 2 sigmoid(R x) * h``; then follows an LSTM's step. The
    input that the gates read depends on the state, so no product can be formed for all steps at once.

    Args:
        input_size: features per input vector.
        hidden_size: features of the hidden and the cell state.
        forget_bias: the forget gate's bias at initialisation (Jozefowicz et al. 2015).

    Source: Melis, Kočiský, Blunsom, "Mogrifier LSTM", ICLR 2020, equations 1 and 2, with five rounds and full matrices.
    """

    recurrent_weights: ClassVar[tuple[str, ...]] = ("weight_hh", "weight_q1", "weight_q3", "weight_q5")
    step_weights: ClassVar[tuple[str, ...]] = (*recurrent_weights, "weight_ih", "weight_r2", "weight_r4")
    rows: ClassVar[tuple[str, ...]] = ("input gate", "forget gate", "candidate", "output gate")
    gates: ClassVar[tuple[str, ...]] = (*ROUNDS, "forget gate", "input gate", "output gate")

    def __init__(self, input_size: int, hidden_size: int, forget_bias: float = 1.0) -> None:
        super().__init__(input_size, hidden_size, (hidden_size,) * 4)
        self.bias.data[hidden_size : 2 * hidden_size] = forget_bias
        self.weight_q1 = nn.Parameter(torch.empty(input_size, hidden_size))
        self.weight_r2 = nn.Parameter(torch.empty(hidden_size, input_size))
        self.weight_q3 = nn.Parameter(torch.empty(input_size, hidden_size))
        self.weight_r4 = nn.Parameter(torch.empty(hidden_size, input_size))
        self.weight_q5 = nn.Parameter(torch.empty(input_size, hidden_size))
        for weight in (self.weight_q1, self.weight_r2, self.weight_q3, self.weight_r4, self.weight_q5):
            nn.init.xavier_uniform_(weight)

    def project(self, inputs: Float[Tensor, "batch time embed"]) -> Float[Tensor, "batch time embed"]:
        return inputs

    def step(self, projected: Float[Tensor, "batch embed"], state: LSTMState) -> LSTMState:
        inputs, hidden = projected, state.hidden
        inputs = 2 * torch.sigmoid(multiply(hidden, self.weight_q1)) * inputs
        hidden = 2 * torch.sigmoid(multiply(inputs, self.weight_r2)) * hidden
        inputs = 2 * torch.sigmoid(multiply(hidden, self.weight_q3)) * inputs
        hidden = 2 * torch.sigmoid(multiply(inputs, self.weight_r4)) * hidden
        inputs = 2 * torch.sigmoid(multiply(hidden, self.weight_q5)) * inputs
        gates = add_product(multiply(inputs, self.weight_ih) + self.bias, hidden, self.weight_hh)
        input_gate, forget_gate, candidate, output_gate = gates.chunk(4, dim=-1)
        kept = torch.sigmoid(forget_gate) * state.cell
        cell = kept + torch.sigmoid(input_gate) * torch.tanh(candidate)
        return LSTMState(hidden=torch.sigmoid(output_gate) * torch.tanh(cell), cell=cell)

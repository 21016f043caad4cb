"""The gated recurrent unit."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from nlp_lstm.nn.cells.base import Cell, State, initialise_recurrent
from nlp_lstm.nn.cells.native import call_native
from nlp_lstm.nn.cells.product import multiply, project_sequence
from nlp_lstm.nn.cells.rnn import HiddenState
from nlp_lstm.nn.settings import cells


@cells.register("gru")
class GRUCell(Cell):
    """One step of a gated recurrent unit. Gate order: reset, update, candidate.

    The reset gate acts on the recurrent product (``r * (U h + b)``), the form that torch and cuDNN compute; the paper
    applies it to ``h`` before the product.

    Args:
        input_size: features per input vector.
        hidden_size: features of the hidden state.

    Source: Cho et al., "Learning Phrase Representations using RNN Encoder-Decoder", EMNLP 2014, equations 5 to 8.
    """

    rows: ClassVar[tuple[str, ...]] = ("reset gate", "update gate", "candidate")
    gates: ClassVar[tuple[str, ...]] = ("reset gate", "update gate")
    has_kernel: ClassVar[bool] = True

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size)
        self.weight_ih = nn.Parameter(torch.empty(3 * hidden_size, input_size))
        self.weight_hh = nn.Parameter(torch.empty(3 * hidden_size, hidden_size))
        self.bias_ih = nn.Parameter(torch.zeros(3 * hidden_size))
        self.bias_hh = nn.Parameter(torch.zeros(3 * hidden_size))
        nn.init.xavier_uniform_(self.weight_ih)
        initialise_recurrent(self.weight_hh, (hidden_size,) * 3)

    def initial_state(self, inputs: Float[Tensor, "batch time embed"]) -> HiddenState:
        return HiddenState(hidden=inputs.new_zeros(inputs.shape[0], self.hidden_size))

    def project(self, inputs: Float[Tensor, "batch time embed"]) -> Float[Tensor, "batch time {3*self.hidden_size}"]:
        return project_sequence(inputs, self.weight_ih, self.bias_ih)

    def step(self, projected: Float[Tensor, "batch {3*self.hidden_size}"], state: HiddenState) -> HiddenState:
        reset_in, update_in, candidate_in = projected.chunk(3, dim=-1)
        recurrent = multiply(state.hidden, self.weight_hh) + self.bias_hh
        reset_rec, update_rec, candidate_rec = recurrent.chunk(3, dim=-1)
        reset = torch.sigmoid(reset_in + reset_rec)
        update = torch.sigmoid(update_in + update_rec)
        candidate = torch.tanh(candidate_in + reset * candidate_rec)
        return HiddenState(hidden=(1 - update) * candidate + update * state.hidden)

    def run_native(self, inputs: Any, state: State) -> tuple[Any, State]:
        weights = [self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh]
        outputs, hidden = call_native(torch.gru, inputs, state.hidden[None], weights, self.training)
        return outputs, HiddenState(hidden=hidden[0])

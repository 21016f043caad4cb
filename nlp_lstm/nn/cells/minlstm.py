"""The minimal LSTM, whose gates and candidate read the input alone."""

from __future__ import annotations

from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from nlp_lstm.nn.cells.base import Cell
from nlp_lstm.nn.cells.product import project_sequence
from nlp_lstm.nn.cells.rnn import HiddenState
from nlp_lstm.nn.cells.scan import scan
from nlp_lstm.nn.settings import cells


@cells.register("minlstm")
class MinLSTMCell(Cell):
    """One step of a minimal LSTM: ``h' = f / (f + i) h + i / (f + i) (W x + b)``. Order: forget, input, candidate.

    Both gates are sigmoids of the input, and scaled so that they add up to one. There is no output gate, so the
    hidden state is the cell state.

    Args:
        input_size: features per input vector.
        hidden_size: features of the hidden state.
        forget_bias: the forget gate's bias at initialisation.

    Source: Feng, Tung, Ahmed, Bengio, Hajimirsadeghi, "Were RNNs All We Needed?" (2024), section 3.2. Here: the
    recurrence is a loop in ordinary numbers, so the candidate need not be made positive for logarithms.
    """

    gates: ClassVar[tuple[str, ...]] = ("forget gate",)
    recurrent_weights: ClassVar[tuple[str, ...]] = ()
    step_weights: ClassVar[tuple[str, ...]] = ()

    def __init__(self, input_size: int, hidden_size: int, forget_bias: float = 1.0) -> None:
        super().__init__(input_size, hidden_size)
        self.weight_ih = nn.Parameter(torch.empty(3 * hidden_size, input_size))
        self.bias = nn.Parameter(torch.zeros(3 * hidden_size))
        nn.init.xavier_uniform_(self.weight_ih)
        self.bias.data[:hidden_size] = forget_bias

    def initial_state(self, inputs: Float[Tensor, "batch time embed"]) -> HiddenState:
        return HiddenState(hidden=inputs.new_zeros(inputs.shape[0], self.hidden_size))

    def project(self, inputs: Float[Tensor, "batch time embed"]) -> Float[Tensor, "batch time {3*self.hidden_size}"]:
        return project_sequence(inputs, self.weight_ih, self.bias)

    def step(self, projected: Float[Tensor, "batch {3*self.hidden_size}"], state: HiddenState) -> HiddenState:
        kept, added = _read(projected)
        return HiddenState(hidden=kept * state.hidden + added)

    def unroll(self, projected: Float[Tensor, "batch time projected"], state: HiddenState) -> HiddenState:
        kept, added = _read(projected.to(state.hidden.dtype))
        return HiddenState(hidden=scan(kept, added, state.hidden))


def _read(projected: Tensor) -> tuple[Tensor, Tensor]:
    """Return the share of the state that is kept, and what is added to it.

    ``f / (f + i) = sigmoid(log f - log i)``, which never divides by zero.
    """
    forget, input_, candidate = projected.chunk(3, dim=-1)
    kept = torch.sigmoid(nn.functional.logsigmoid(forget) - nn.functional.logsigmoid(input_))
    return kept, (1 - kept) * candidate

"""The minimal gated recurrent unit, whose gate and candidate read the input alone."""

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


@cells.register("mingru")
class MinGRUCell(Cell):
    """One step of a minimal GRU: ``h' = (1 - z) h + z (W x + b)``, ``z = sigmoid(V x + a)``. Order: update, candidate.

    Args:
        input_size: features per input vector.
        hidden_size: features of the hidden state.

    Source: Feng, Tung, Ahmed, Bengio, Hajimirsadeghi, "Were RNNs All We Needed?" (2024), section 3.1. Here: the
    recurrence is a loop in ordinary numbers, so the candidate need not be made positive for logarithms.
    """

    gates: ClassVar[tuple[str, ...]] = ("update gate",)
    recurrent_weights: ClassVar[tuple[str, ...]] = ()
    step_weights: ClassVar[tuple[str, ...]] = ()

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size)
        self.weight_ih = nn.Parameter(torch.empty(2 * hidden_size, input_size))
        self.bias = nn.Parameter(torch.zeros(2 * hidden_size))
        nn.init.xavier_uniform_(self.weight_ih)

    def initial_state(self, inputs: Float[Tensor, "batch time embed"]) -> HiddenState:
        return HiddenState(hidden=inputs.new_zeros(inputs.shape[0], self.hidden_size))

    def project(self, inputs: Float[Tensor, "batch time embed"]) -> Float[Tensor, "batch time {2*self.hidden_size}"]:
        return project_sequence(inputs, self.weight_ih, self.bias)

    def step(self, projected: Float[Tensor, "batch {2*self.hidden_size}"], state: HiddenState) -> HiddenState:
        kept, added = _read(projected)
        return HiddenState(hidden=kept * state.hidden + added)

    def unroll(self, projected: Float[Tensor, "batch time projected"], state: HiddenState) -> HiddenState:
        kept, added = _read(projected.to(state.hidden.dtype))
        return HiddenState(hidden=scan(kept, added, state.hidden))


def _read(projected: Tensor) -> tuple[Tensor, Tensor]:
    """Return the share of the state that is kept, and what is added to it."""
    update, candidate = projected.chunk(2, dim=-1)
    update = torch.sigmoid(update)
    return 1 - update, update * candidate

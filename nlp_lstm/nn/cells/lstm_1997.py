"""The long short-term memory cell as it was first published: without a forget gate."""

from __future__ import annotations

from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from nlp_lstm.nn.cells.gated import GatedCell, LSTMState
from nlp_lstm.nn.cells.product import add_product
from nlp_lstm.nn.settings import cells


@cells.register("lstm-1997")
class LSTM1997Cell(GatedCell):
    """One step of an LSTM with input and output gates only. Gate order: input, candidate, output.

    The cell state passes from step to step with weight one, the constant error carousel: nothing is forgotten, and the
    error that flows back through it neither grows nor fades.

    Args:
        input_size: features per input vector.
        hidden_size: features of the hidden and the cell state.

    Source: Hochreiter and Schmidhuber, "Long Short-Term Memory", Neural Computation 9 (1997), section 4. Here: one cell
    a block; both squashing functions are tanh, theirs being 2 tanh(x / 2) and tanh(x / 2); the gradient is whole,
    theirs is cut where it leaves the block.
    """

    rows: ClassVar[tuple[str, ...]] = ("input gate", "candidate", "output gate")
    gates: ClassVar[tuple[str, ...]] = ("input gate", "output gate")

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size, (hidden_size,) * 3)

    def step(self, projected: Float[Tensor, "batch {3*self.hidden_size}"], state: LSTMState) -> LSTMState:
        gates = add_product(projected, state.hidden, self.weight_hh)
        input_gate, candidate, output_gate = gates.chunk(3, dim=-1)
        cell = torch.addcmul(state.cell, torch.sigmoid(input_gate), torch.tanh(candidate))
        return LSTMState(hidden=torch.sigmoid(output_gate) * torch.tanh(cell), cell=cell)

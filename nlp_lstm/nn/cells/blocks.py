"""The long short-term memory cell in blocks: several cells share their gates."""

from __future__ import annotations

from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from nlp_lstm.nn.cells.gated import GatedCell, LSTMState
from nlp_lstm.nn.cells.product import add_product
from nlp_lstm.nn.settings import cells

BLOCK_SIZE = 4
"""Cells a block."""


@cells.register("blocks")
class BlockLSTMCell(GatedCell):
    """One step of an LSTM made of memory blocks. Gate order: input, forget, candidate, output.

    The cells of a block have a candidate and a state each, and one input, forget and output gate together, which see
    all their states through peepholes. So most recurrent weights are saved: at four cells a block there are 448 rows
    where an LSTM of 256 units has 1,024. Where the hidden size is no multiple of four, the last block is smaller.

    Args:
        input_size: features per input vector.
        hidden_size: features of the hidden and the cell state: how many cells.
        forget_bias: the forget gates' bias at initialisation (Jozefowicz et al. 2015).

    Source: Graves, "Supervised Sequence Labelling with Recurrent Neural Networks", Springer 2012, section 4.5,
    equations 4.2 to 4.10; the peepholes start at zero.
    """

    rows: ClassVar[tuple[str, ...]] = ("input gate", "forget gate", "candidate", "output gate")
    gates: ClassVar[tuple[str, ...]] = ("input gate", "forget gate", "output gate")

    def __init__(self, input_size: int, hidden_size: int, forget_bias: float = 1.0) -> None:
        num_blocks = -(-hidden_size // BLOCK_SIZE)
        super().__init__(input_size, hidden_size, (num_blocks, num_blocks, hidden_size, num_blocks))
        self.num_blocks = num_blocks
        self.bias.data[num_blocks : 2 * num_blocks] = forget_bias
        self.input_peephole = nn.Parameter(torch.zeros(hidden_size))
        self.forget_peephole = nn.Parameter(torch.zeros(hidden_size))
        self.output_peephole = nn.Parameter(torch.zeros(hidden_size))

    def step(self, projected: Float[Tensor, "batch {sum(self.gate_sizes)}"], state: LSTMState) -> LSTMState:
        gates = add_product(projected, state.hidden, self.weight_hh)
        input_gate, forget_gate, candidate, output_gate = gates.split(self.gate_sizes, dim=-1)
        candidate, cell = self._in_blocks(torch.tanh(candidate)), self._in_blocks(state.cell)
        input_gate = torch.sigmoid(input_gate[..., None] + self._look(self.input_peephole, cell))
        forget_gate = torch.sigmoid(forget_gate[..., None] + self._look(self.forget_peephole, cell))
        cell = forget_gate * cell + input_gate * candidate
        output_gate = torch.sigmoid(output_gate[..., None] + self._look(self.output_peephole, cell))
        hidden = output_gate * torch.tanh(cell)
        return LSTMState(*(part.flatten(-2)[..., : self.hidden_size] for part in (hidden, cell)))

    def _in_blocks(self, values: Float[Tensor, "*rows hidden"]) -> Float[Tensor, "*rows block cell"]:
        missing = self.num_blocks * BLOCK_SIZE - self.hidden_size
        whole = nn.functional.pad(values, (0, missing)) if missing else values
        return whole.unflatten(-1, (self.num_blocks, BLOCK_SIZE))

    def _look(self, peephole: Tensor, cell: Float[Tensor, "batch block cell"]) -> Float[Tensor, "batch block 1"]:
        """What a block's gate sees of its cells."""
        return (self._in_blocks(peephole) * cell).sum(dim=-1, keepdim=True)

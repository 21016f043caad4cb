"""The simple recurrent unit, whose gates see the cell state one feature at a time."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from nlp_lstm.nn.cells.base import Cell
from nlp_lstm.nn.cells.gated import LSTMState, zero_state
from nlp_lstm.nn.cells.product import project_sequence
from nlp_lstm.nn.cells.scan import before
from nlp_lstm.nn.settings import cells


@cells.register("sru")
class SRUCell(Cell):
    """One step of a simple recurrent unit. Order: forget, reset, candidate, highway.

    ``c' = f c + (1 - f) W x`` and ``h' = r c' + (1 - r) H x``, with the gates ``f = sigmoid(V x + v c + b)`` and
    ``r = sigmoid(R x + u c + a)``, where ``v`` and ``u`` are vectors. All matrices read the input.

    Args:
        input_size: features per input vector.
        hidden_size: features of the hidden and the cell state.
        forget_bias: the forget gate's bias at initialisation.

    Source: Lei, Zhang, Wang, Dai, Artzi, "Simple Recurrent Units for Highly Parallelizable Recurrence", EMNLP 2018,
    equations 1 to 4. Here: the highway always has a matrix of its own; they have one only where sizes differ.
    """

    gates: ClassVar[tuple[str, ...]] = ("forget gate", "reset gate")
    recurrent_weights: ClassVar[tuple[str, ...]] = ()
    step_weights: ClassVar[tuple[str, ...]] = ()

    def __init__(self, input_size: int, hidden_size: int, forget_bias: float = 1.0) -> None:
        super().__init__(input_size, hidden_size)
        self.weight_ih = nn.Parameter(torch.empty(4 * hidden_size, input_size))
        self.bias = nn.Parameter(torch.zeros(2 * hidden_size))
        self.forget_peephole = nn.Parameter(torch.zeros(hidden_size))
        self.reset_peephole = nn.Parameter(torch.zeros(hidden_size))
        nn.init.xavier_uniform_(self.weight_ih)
        self.bias.data[:hidden_size] = forget_bias

    def initial_state(self, inputs: Float[Tensor, "batch time embed"]) -> LSTMState:
        return zero_state(inputs, self.hidden_size)

    def project(self, inputs: Float[Tensor, "batch time embed"]) -> Float[Tensor, "batch time {4*self.hidden_size}"]:
        return project_sequence(inputs, self.weight_ih, nn.functional.pad(self.bias, (0, 2 * self.hidden_size)))

    def step(self, projected: Float[Tensor, "batch {4*self.hidden_size}"], state: LSTMState) -> LSTMState:
        forget_gate, reset_gate, candidate, highway = projected.chunk(4, dim=-1)
        forget_gate = torch.sigmoid(forget_gate + self.forget_peephole * state.cell)
        reset_gate = torch.sigmoid(reset_gate + self.reset_peephole * state.cell)
        cell = candidate + forget_gate * (state.cell - candidate)
        return LSTMState(hidden=highway + reset_gate * (cell - highway), cell=cell)

    def unroll(self, projected: Float[Tensor, "batch time projected"], state: LSTMState) -> LSTMState:
        forget_gate, reset_gate, candidate, highway = projected.to(state.cell.dtype).chunk(4, dim=-1)
        cell: Tensor = _Cells.apply(forget_gate, candidate, self.forget_peephole, state.cell)
        reset_gate = torch.sigmoid(reset_gate + self.reset_peephole * before(cell, state.cell))
        return LSTMState(hidden=highway + reset_gate * (cell - highway), cell=cell)


class _Cells(torch.autograd.Function):
    """The cell states after all steps."""

    @staticmethod
    def forward(ctx: Any, gates: Tensor, candidates: Tensor, peephole: Tensor, initial: Tensor) -> Tensor:
        forget_gates, states = (torch.empty(gates.shape, dtype=gates.dtype, device=gates.device) for _ in range(2))
        state = initial
        for step in range(gates.shape[1]):
            gate = torch.addcmul(gates[:, step], peephole, state, out=forget_gates[:, step]).sigmoid_()
            state = torch.lerp(candidates[:, step], state, gate, out=states[:, step])
        ctx.save_for_backward(forget_gates, candidates, states, peephole, initial)
        return states

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        forget_gates, candidates, states, peephole, initial = ctx.saved_tensors
        previous = before(states, initial)
        # What one more of each gate's sum adds to the new state, and one more of the old state, the gate's share in it.
        by_gate = (previous - candidates) * forget_gates * (1 - forget_gates)
        by_state = torch.addcmul(forget_gates, by_gate, peephole)
        d_states = gradient.clone(memory_format=torch.contiguous_format)
        for step in range(gradient.shape[1] - 1, 0, -1):
            d_states[:, step - 1].addcmul_(d_states[:, step], by_state[:, step])
        d_gates = d_states * by_gate
        d_peephole = (d_gates * previous).sum(dim=(0, 1))
        return d_gates, d_states * (1 - forget_gates), d_peephole, d_states[:, 0] * by_state[:, 0]

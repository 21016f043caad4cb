"""The vanilla recurrent cell."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from nlp_lstm.nn.cells.base import Cell, State, initialise_recurrent
from nlp_lstm.nn.cells.native import call_native
from nlp_lstm.nn.cells.product import add_product, project_sequence
from nlp_lstm.nn.settings import cells


class HiddenState(NamedTuple):
    """The state of a cell that carries only its hidden state."""

    hidden: Float[Tensor, "batch hidden"]


@cells.register("rnn")
class RNNCell(Cell):
    """One step of the simple recurrent network: ``h' = tanh(W x + U h + b)``.

    Args:
        input_size: features per input vector.
        hidden_size: features of the hidden state.

    Source: Elman, "Finding Structure in Time", Cognitive Science 14 (1990).
    """

    rows: ClassVar[tuple[str, ...]] = ("state",)
    has_kernel: ClassVar[bool] = True

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size)
        self.weight_ih = nn.Parameter(torch.empty(hidden_size, input_size))
        self.weight_hh = nn.Parameter(torch.empty(hidden_size, hidden_size))
        self.bias = nn.Parameter(torch.zeros(hidden_size))
        nn.init.xavier_uniform_(self.weight_ih)
        initialise_recurrent(self.weight_hh, (hidden_size,))

    def initial_state(self, inputs: Float[Tensor, "batch time embed"]) -> HiddenState:
        return HiddenState(hidden=inputs.new_zeros(inputs.shape[0], self.hidden_size))

    def project(self, inputs: Float[Tensor, "batch time embed"]) -> Float[Tensor, "batch time hidden"]:
        return project_sequence(inputs, self.weight_ih, self.bias)

    def step(self, projected: Float[Tensor, "batch hidden"], state: HiddenState) -> HiddenState:
        return HiddenState(hidden=torch.tanh(add_product(projected, state.hidden, self.weight_hh)))

    def run_native(self, inputs: Any, state: State) -> tuple[Any, State]:
        return self._call(torch.rnn_tanh, inputs, state)

    def _call(self, kernel: Callable[..., Any], inputs: Any, state: State) -> tuple[Any, State]:
        weights = [self.weight_ih, self.weight_hh, self.bias, torch.zeros_like(self.bias)]
        outputs, hidden = call_native(kernel, inputs, state.hidden[None], weights, self.training)
        return outputs, HiddenState(hidden=hidden[0])


@cells.register("rnn-relu")
class ReLURNNCell(RNNCell):
    """One step of the simple recurrent network with rectified units: ``h' = max(0, W x + U h + b)``.

    The recurrent matrix starts as the identity, so that at first a state stays what it is.

    Args:
        input_size: features per input vector.
        hidden_size: features of the hidden state.

    Source: Le, Jaitly, Hinton, "A Simple Way to Initialize Recurrent Networks of Rectified Linear Units" (2015).
    """

    is_bounded: ClassVar[bool] = False

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size)
        nn.init.eye_(self.weight_hh)

    def step(self, projected: Float[Tensor, "batch hidden"], state: HiddenState) -> HiddenState:
        return HiddenState(hidden=torch.relu(add_product(projected, state.hidden, self.weight_hh)))

    def run_native(self, inputs: Any, state: State) -> tuple[Any, State]:
        return self._call(torch.rnn_relu, inputs, state)

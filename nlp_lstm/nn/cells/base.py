"""What a recurrent cell is: one step, and nothing else.

Masking, direction and stacking live in `nlp_lstm.nn.recurrent`.
"""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from nlp_lstm.nn.cells.product import PackedWeight, StepWeight, Weight
from nlp_lstm.nn.dropout import drop_weights

State = Any
"""What a cell carries from step to step: a NamedTuple of tensors, each `batch hidden`, the first called `hidden`."""

States = Any
"""The same for all steps: a NamedTuple of tensors, each `batch time hidden`."""


class Cell(nn.Module, ABC):
    """One step of recurrence.

    Args:
        input_size: features per input vector.
        hidden_size: features of the hidden state.
    """

    recurrent_weights: ClassVar[tuple[str, ...]] = ("weight_hh",)
    """Names of the matrices that read the state."""

    step_weights: ClassVar[tuple[str, ...]] = ("weight_hh",)
    """Names of the matrices that each step multiplies by, through `nlp_lstm.nn.cells.product`."""

    rows: ClassVar[tuple[str, ...]] = ()
    """What the rows of `weight_hh` are for, block by block; none where there is no such matrix."""

    gates: ClassVar[tuple[str, ...]] = ()
    """The gates of a step, in the order in which `step` squashes them with `torch.sigmoid`."""

    has_kernel: ClassVar[bool] = False
    """Whether torch has a kernel that runs all steps of this cell; then there is `run_native`."""

    is_bounded: ClassVar[bool] = True
    """Whether the state cannot overflow, however many steps of padding follow a row's end."""

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__()
        self.input_size = input_size
        self.hidden_size = hidden_size

    @property
    def row_sizes(self) -> tuple[int, ...]:
        """How many rows of `weight_hh` each block of `rows` has."""
        return (self.hidden_size,) * len(self.rows)

    @abstractmethod
    def initial_state(self, inputs: Float[Tensor, "batch time embed"]) -> State:
        """Return the state before the first step: zeros, with the batch size, device and type of ``inputs``."""

    @abstractmethod
    def project(self, inputs: Float[Tensor, "batch time embed"]) -> Float[Tensor, "batch time projected"]:
        """Return what a step needs of the inputs as far as it does not depend on the state, for all steps at once.

        For most cells that is the inputs' share of all gates, one matrix product. A cell whose state changes how it
        reads its inputs returns the inputs.
        """

    @abstractmethod
    def step(self, projected: Float[Tensor, "batch projected"], state: State) -> State:
        """Return the state after one step."""

    def unroll(self, projected: Float[Tensor, "batch time projected"], state: State) -> States:
        """Return the states after each of many steps, the same as one `step` after the other gives.

        The gradient of a weight that each step multiplies by is formed once for all steps.

        Args:
            projected: what `project` gave.
            state: the state before the first step.
        """
        cell = self._with_step_weights(projected, self.step_weights) if torch.is_grad_enabled() else self
        states = []
        for at_step in projected.unbind(dim=1):
            state = cell.step(at_step, state)
            states.append(state)
        return type(state)(*(torch.stack(parts, dim=1) for parts in zip(*states, strict=True)))

    def run_native(self, inputs: Any, state: State) -> tuple[Any, State]:
        """Run all steps in torch's own kernel.

        Args:
            inputs: `batch time embed`, or a packed sequence.
            state: the state before the first step.

        Returns:
            The outputs, in the form of the inputs, and the state after the last step.
        """
        raise NotImplementedError(f"torch has no kernel for {type(self).__name__}")

    def with_dropped_weights(self, rate: float) -> Cell:
        """Return the same cell with a share of its recurrent weights set to zero, and the rest made larger for it.

        The cell itself stays as it is; gradients of what is returned reach its parameters.

        Args:
            rate: the share dropped, in [0, 1).
        """
        return self._with_weights({name: drop_weights(getattr(self, name), rate) for name in self.recurrent_weights})

    def for_steps(self, steps: Tensor) -> Cell:
        """Return the same cell for a loop that calls `project` and `step` once for each step, one step at a time.

        The gradient of the weights, those of the inputs among them, is formed once for all steps.

        Args:
            steps: any tensor `batch time …` of as many rows and steps.
        """
        return self._with_step_weights(steps, dict.fromkeys(("weight_ih", *self.step_weights)))

    def packed(self) -> Cell:
        """Return the same cell with its weights packed, for a loop of `project` and `step` without a gradient."""
        return self._with_weights(
            {name: PackedWeight(getattr(self, name)) for name in dict.fromkeys(("weight_ih", *self.step_weights))}
        )

    def _with_step_weights(self, steps: Tensor, names: Iterable[str]) -> Cell:
        weights = {name: getattr(self, name) for name in names}
        return self._with_weights(
            {name: StepWeight(weight, steps) for name, weight in weights.items() if weight.requires_grad}
        )

    def _with_weights(self, weights: dict[str, Weight]) -> Cell:
        """Return a view of this cell with other weights under the names of some of its own."""
        view = copy.copy(self)
        view._parameters = dict(self._parameters)
        for name, weight in weights.items():
            view._parameters.pop(name, None)
            view.__dict__[name] = weight
        return view


def initialise_recurrent(weight: Tensor, sizes: Sequence[int]) -> None:
    """Fill a stack of recurrent matrices, each with orthogonal rows (Saxe et al. 2014), so that norms survive steps.

    Args:
        weight: the stack, `gate hidden`.
        sizes: the rows of each matrix.
    """
    for matrix in weight.data.split(list(sizes)):
        nn.init.orthogonal_(matrix)

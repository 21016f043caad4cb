"""What a recurrent cell is: one step, and nothing else.

Unrolling over time, masking, direction and stacking live in `nlp_lstm.nn.recurrent`.
"""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from typing import Any, ClassVar

from jaxtyping import Float
from torch import Tensor, nn

State = Any
"""What a cell carries from step to step: a NamedTuple of tensors, each `batch hidden`, the first called `hidden`."""


class Cell(nn.Module, ABC):
    """One step of recurrence.

    Args:
        input_size: features per input vector.
        hidden_size: features of the hidden state.
    """

    recurrent_weights: ClassVar[tuple[str, ...]] = ("weight_hh",)
    """Names of the matrices that read the state."""

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__()
        self.input_size = input_size
        self.hidden_size = hidden_size

    @abstractmethod
    def initial_state(self, inputs: Float[Tensor, "batch time embed"]) -> State:
        """Return the state before the first step: zeros, with the batch size, device and type of ``inputs``."""

    @abstractmethod
    def project(self, inputs: Float[Tensor, "batch time embed"]) -> Float[Tensor, "batch time projected"]:
        """Return the inputs' share of all gates, for all steps in one matrix product."""

    @abstractmethod
    def step(self, projected: Float[Tensor, "batch projected"], state: State) -> State:
        """Return the state after one step."""

    def run_native(self, inputs: Any, state: State) -> tuple[Any, State] | None:
        """Run all steps in torch's own kernel, or return None when there is none for this cell.

        Args:
            inputs: `batch time embed`, or a packed sequence.
            state: the state before the first step.

        Returns:
            The outputs, in the form of the inputs, and the state after the last step.
        """
        return None

    def with_dropped_weights(self, rate: float) -> Cell:
        """Return the same cell with a share of its recurrent weights set to zero, and the rest made larger for it.

        The cell itself stays as it is; gradients of what is returned reach its parameters.

        Args:
            rate: the share dropped, in [0, 1).
        """
        view = copy.copy(self)
        view._parameters = dict(self._parameters)
        for name in self.recurrent_weights:
            del view._parameters[name]
            setattr(view, name, nn.functional.dropout(getattr(self, name), rate))
        return view


def initialise_recurrent(weight: Tensor, hidden_size: int) -> None:
    """Fill a stack of square recurrent matrices, each orthogonal (Saxe et al. 2014), so that norms survive steps."""
    for start in range(0, weight.shape[0], hidden_size):
        nn.init.orthogonal_(weight.data[start : start + hidden_size])

"""Several processes that train one network, on one machine or many, as `torchrun` and `accelerate launch` start them.

Each process learns from its share of the rows of every batch; the gradients are added up, so that all take the same
step, that of one process with the whole batch. The first process writes the run; the others keep what they would write
in a folder of their own, which goes when they end.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any, TypeVar

import torch
from accelerate import Accelerator
from accelerate.utils import broadcast_object_list, gather_object
from torch import nn

from nlp_lstm.errors import ConfigError, shorten

Value = TypeVar("Value")


def is_one_of_several() -> bool:
    """Return whether a launcher started this process together with others: one that says where the first of them is."""
    return "MASTER_ADDR" in os.environ and _number("WORLD_SIZE", 1) > 1


def is_helper() -> bool:
    """Return whether this process trains beside the one that writes the run."""
    return is_one_of_several() and _number("RANK", 0) > 0


def _number(variable: str, default: int) -> int:
    """A number that a launcher sets.

    Raises:
        ConfigError: it is none.
    """
    value = os.environ.get(variable, str(default))
    if not value.isdecimal():
        raise ConfigError(f"the variable {variable} is {shorten(value)}; launchers set it to a number")
    return int(value)


class Processes:
    """The processes that train together.

    Args:
        accelerator: knows them.
    """

    def __init__(self, accelerator: Accelerator) -> None:
        self.count = accelerator.num_processes
        self.rank = accelerator.process_index
        self._accelerator = accelerator

    def add(self, *numbers: float) -> list[float]:
        """Return the sums of numbers over the processes."""
        if self.count == 1:
            return list(numbers)
        mine = torch.tensor(numbers, dtype=torch.float64, device=self._accelerator.device)
        total: torch.Tensor = self._accelerator.reduce(mine, "sum")
        return total.tolist()

    def add_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Replace the gradients by their sums over the processes."""
        learnt = [parameter for parameter in parameters if parameter.requires_grad]
        if self.count == 1 or not learnt:
            return
        for parameter in learnt:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        gradients = [parameter.grad for parameter in learnt if parameter.grad is not None]
        total = self._accelerator.reduce(torch.cat([one.flatten() for one in gradients]), "sum")
        parts = total.split([one.numel() for one in gradients])
        torch._foreach_copy_(gradients, [part.view_as(one) for part, one in zip(parts, gradients, strict=True)])

    def agree(self, value: Value) -> Value:
        """Return the first process's value; all call it at the same point."""
        if self.count == 1:
            return value
        shared = [value]
        broadcast_object_list(shared)
        return shared[0]

    def gather(self, value: Any) -> list[Any]:
        """Return the values of all processes, the first's first."""
        return [value] if self.count == 1 else list(gather_object([value]))

    def end(self) -> None:
        """Part from the others."""
        self._accelerator.end_training()

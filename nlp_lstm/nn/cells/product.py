"""Products of a weight that every step uses, with one product for its gradient.

Left to itself, autograd adds up a weight's gradient step by step: a small product and a pass over the whole matrix for
each. But the gradient is a sum of outer products over steps and rows,

    dU = sum over t of  d(U h_t)ᵀ h_t,

so it is a single product of all `d(U h_t)`, stacked, with all `h_t`, stacked. The steps here use the weight without a
gradient of its own, and hand `d(U h_t)` to a tap; the taps' gradient arrives stacked where the weight entered.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.functional import linear


class StepWeight:
    """A weight that each step multiplies by exactly once.

    Args:
        weight: `row column`.
        steps: any tensor `batch time …` of as many rows and steps.
    """

    def __init__(self, weight: Tensor, steps: Tensor) -> None:
        device = steps.device.type
        dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else weight.dtype
        self.values = weight.detach().to(dtype)
        self._read: list[Tensor] = []
        taps: Tensor = _Taps.apply(weight, steps.shape[:2], dtype, self._read)
        self._taps: Iterator[Tensor] = iter(taps.unbind(dim=1))

    def multiply(self, inputs: Tensor, added: Tensor | None = None) -> Tensor:
        """Return the next step's ``inputs @ weightᵀ``, and ``added`` to it."""
        inputs = inputs.to(self.values.dtype)
        self._read.append(inputs.detach())
        if added is not None:
            added = added.to(self.values.dtype)
        result: Tensor = _Product.apply(inputs, added, next(self._taps), self.values)
        return result


Weight: TypeAlias = Tensor | StepWeight


def multiply(inputs: Float[Tensor, "batch column"], weight: Weight) -> Float[Tensor, "batch row"]:
    """Return ``inputs @ weightᵀ``."""
    return weight.multiply(inputs) if isinstance(weight, StepWeight) else linear(inputs, weight)


def add_product(
    added: Float[Tensor, "batch row"], inputs: Float[Tensor, "batch column"], weight: Weight
) -> Float[Tensor, "batch row"]:
    """Return ``added + inputs @ weightᵀ``."""
    return weight.multiply(inputs, added) if isinstance(weight, StepWeight) else added + linear(inputs, weight)


class _Taps(torch.autograd.Function):
    """Zeros for each step's product, whose gradient is the gradient of the products."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor, shape: tuple[int, int], dtype: torch.dtype, read: list[Tensor]) -> Tensor:
        ctx.read = read
        ctx.weight_dtype = weight.dtype
        return weight.new_zeros((), dtype=dtype).expand(*shape, weight.shape[0])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None]:
        read = torch.stack(ctx.read, dim=1)
        weight = gradient.flatten(0, 1).T @ read.flatten(0, 1)
        return weight.to(ctx.weight_dtype), None, None, None


class _Product(torch.autograd.Function):
    """``added + inputs @ weightᵀ``, which hands its gradient to a tap and not to the weight."""

    @staticmethod
    def forward(ctx: Any, inputs: Tensor, added: Tensor | None, tap: Tensor, weight: Tensor) -> Tensor:
        ctx.weight = weight
        return inputs @ weight.T if added is None else torch.addmm(added, inputs, weight.T)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor, None]:
        inputs = gradient @ ctx.weight if ctx.needs_input_grad[0] else None
        return inputs, gradient if ctx.needs_input_grad[1] else None, gradient, None

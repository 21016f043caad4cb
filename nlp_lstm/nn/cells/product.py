"""Products of a weight that every step uses, with one product for its gradient.

Left to itself, autograd adds up a weight's gradient step by step: a small product and a pass over the whole matrix for
each. But the gradient is a sum of outer products over steps and rows,

    dU = sum over t of  d(U h_t)ᵀ h_t,

so it is a single product of all `d(U h_t)`, stacked, with all `h_t`, stacked. The steps here use the weight without a
gradient of its own, and hand `d(U h_t)` to a tap; the taps' gradient arrives stacked where the weight entered.

For many products a weight is brought once into the order that the processor multiplies by (oneDNN's), which can halve
the time of a step's product.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.functional import linear

_FEWEST_PACKED = 8  # products, from which on it pays to pack a weight for them


class StepWeight:
    """A weight that each step multiplies by exactly once.

    Args:
        weight: `row column`.
        steps: any tensor `batch time …` of as many rows and steps.
    """

    def __init__(self, weight: Tensor, steps: Tensor) -> None:
        device = steps.device.type
        dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else weight.dtype
        self.values = _StepValues(weight.detach().to(dtype), num_steps=steps.shape[1])
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


class PackedWeight:
    """A weight in oneDNN's order, for many products without a gradient; see `pack`.

    A row's product is the same to the last bit among any number of rows, which that of a plain matrix is not, and with
    few rows it takes half as long.

    Args:
        weight: `row column`, fp32 on the processor.
    """

    def __init__(self, weight: Tensor) -> None:
        self._weight = torch.ops.mkldnn._reorder_linear_weight(weight.detach(), None)

    def multiply(self, inputs: Tensor, added: Tensor | None = None) -> Tensor:
        """Return ``inputs @ weightᵀ``, and ``added`` to it: a bias, or a number for each product."""
        is_bias = added is not None and added.dim() == 1
        bias = added if is_bias else None
        product: Tensor = torch.ops.mkldnn._linear_pointwise(inputs, self._weight, bias, "none", [], "")
        return product if added is None or is_bias else product.add_(added)


Weight: TypeAlias = Tensor | StepWeight | PackedWeight


def can_pack(weight: Tensor) -> bool:
    """Return whether a weight can be packed: an fp32 matrix on a processor for which torch has oneDNN."""
    has_kernel = torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_reorder_linear_weight")
    return has_kernel and weight.device.type == "cpu" and weight.dtype == torch.float32


def multiply(inputs: Float[Tensor, "batch column"], weight: Weight) -> Float[Tensor, "batch row"]:
    """Return ``inputs @ weightᵀ``."""
    return linear(inputs, weight) if isinstance(weight, Tensor) else weight.multiply(inputs)


def add_product(
    added: Float[Tensor, "batch row"], inputs: Float[Tensor, "batch column"], weight: Weight
) -> Float[Tensor, "batch row"]:
    """Return ``added + inputs @ weightᵀ``."""
    return added + linear(inputs, weight) if isinstance(weight, Tensor) else weight.multiply(inputs, added)


def project_inputs(
    inputs: Float[Tensor, "batch time column"], weight: Weight, bias: Float[Tensor, " row"] | None = None
) -> Float[Tensor, "batch time row"]:
    """Return ``inputs @ weightᵀ + bias``; the inputs are those of one step where the weight is a step's."""
    if isinstance(weight, Tensor):
        return linear(inputs, weight, bias)
    if isinstance(weight, PackedWeight):
        return weight.multiply(inputs, bias)
    added = None if bias is None else bias.expand(inputs.shape[0], -1)
    return weight.multiply(inputs[:, 0], added)[:, None]


def project_sequence(
    inputs: Float[Tensor, "batch time column"], weight: Weight, bias: Float[Tensor, " row"] | None = None
) -> Float[Tensor, "batch time row"]:
    """Return the same for many steps at once, in training in half the time."""
    if not isinstance(weight, Tensor) or not _is_learnt_here(inputs, weight):
        return project_inputs(inputs, weight, bias)
    result: Tensor = _Projection.apply(inputs, weight, bias)
    return result


class StepRows:
    """Matrices, one for each row of the batch, that each step multiplies by exactly once.

    Args:
        matrices: `row place features`.
        num_steps: how many steps there are.
        is_compared: whether a step multiplies by the transposed matrix (`features -> place`, as queries are compared
            with keys), and not by the matrix itself (`place -> features`, as weights bring values back).
    """

    def __init__(self, matrices: Tensor, num_steps: int, *, is_compared: bool) -> None:
        device = matrices.device.type
        self.dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else matrices.dtype
        values = matrices.detach().to(self.dtype)
        self._values = values.transpose(1, 2) if is_compared else values
        self._read: list[Tensor] = []
        taps: Tensor = _RowTaps.apply(matrices, num_steps, self._values.shape[2], is_compared, self.dtype, self._read)
        self._taps: Iterator[Tensor] = iter(taps.split(1, dim=1))

    def multiply(self, inputs: Float[Tensor, "batch 1 read"]) -> Float[Tensor, "batch 1 made"]:
        """Return the next step's product."""
        inputs = inputs.to(self.dtype)
        self._read.append(inputs.detach())
        result: Tensor = _RowProduct.apply(inputs, next(self._taps), self._values)
        return result


Rows: TypeAlias = Tensor | StepRows


def rows_for_steps(matrices: Rows, num_steps: int, *, is_compared: bool) -> Rows:
    """Return the matrices as those of steps where a gradient of theirs is wanted."""
    if isinstance(matrices, StepRows) or not matrices.requires_grad:
        return matrices
    return StepRows(matrices, num_steps, is_compared=is_compared)


def compare_rows(queries: Float[Tensor, "batch step features"], keys: Rows) -> Float[Tensor, "batch step place"]:
    """Return ``queries @ keysᵀ``, row by row of the batch."""
    return keys.multiply(queries) if isinstance(keys, StepRows) else queries @ keys.transpose(1, 2)


def bring_rows(weights: Float[Tensor, "batch step place"], values: Rows) -> Float[Tensor, "batch step features"]:
    """Return ``weights @ values``, row by row of the batch."""
    return values.multiply(weights) if isinstance(values, StepRows) else weights.to(values.dtype) @ values


class _StepValues:
    """The values of a step's weight, packed for products forward and backward where that pays.

    Args:
        values: `row column`.
        num_steps: how many products there will be.
    """

    def __init__(self, values: Tensor, *, num_steps: int) -> None:
        self.dtype = values.dtype
        self._values = values
        self._is_packed = num_steps >= _FEWEST_PACKED and can_pack(values)
        self._packed = PackedWeight(values) if self._is_packed else None
        self._transposed: PackedWeight | None = None

    def multiply(self, inputs: Tensor, added: Tensor | None) -> Tensor:
        """Return ``inputs @ valuesᵀ``, and ``added`` to it."""
        if self._packed is not None:
            return self._packed.multiply(inputs, added)
        return inputs @ self._values.T if added is None else torch.addmm(added, inputs, self._values.T)

    def multiply_back(self, gradient: Tensor) -> Tensor:
        """Return ``gradient @ values``."""
        if not self._is_packed:
            return gradient @ self._values
        if self._transposed is None:
            self._transposed = PackedWeight(self._values.T)
        return self._transposed.multiply(gradient)


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
        weight = _outer_products(gradient.flatten(0, 1), read.flatten(0, 1))
        return weight.to(ctx.weight_dtype), None, None, None


class _Product(torch.autograd.Function):
    """``added + inputs @ weightᵀ``, which hands its gradient to a tap and not to the weight."""

    @staticmethod
    def forward(ctx: Any, inputs: Tensor, added: Tensor | None, tap: Tensor, weight: _StepValues) -> Tensor:
        ctx.weight = weight
        return weight.multiply(inputs, added)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor, None]:
        inputs = ctx.weight.multiply_back(gradient) if ctx.needs_input_grad[0] else None
        return inputs, gradient if ctx.needs_input_grad[1] else None, gradient, None


def _is_learnt_here(inputs: Tensor, weight: Tensor) -> bool:
    """Return whether oneDNN can form a product in fp32 whose weight is learnt."""
    is_plain = not (torch.is_autocast_enabled(weight.device.type) or torch.jit.is_tracing())
    is_learnt = torch.is_grad_enabled() and weight.requires_grad
    return is_learnt and is_plain and inputs.dtype == weight.dtype and can_pack(weight)


class _Projection(torch.autograd.Function):
    """``inputs @ weightᵀ + bias`` through oneDNN, forward and backward."""

    @staticmethod
    def forward(ctx: Any, inputs: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(inputs, weight)
        product: Tensor = torch.ops.mkldnn._linear_pointwise(inputs, weight, bias, "none", [], "")
        return product

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor, Tensor | None]:
        inputs, weight = ctx.saved_tensors
        d_inputs = None
        if ctx.needs_input_grad[0]:
            d_inputs = torch.ops.mkldnn._linear_pointwise(gradient, weight.T, None, "none", [], "")
        rows = gradient.flatten(0, -2)
        d_bias = rows.sum(dim=0) if ctx.needs_input_grad[2] else None
        return d_inputs, _outer_products(rows, inputs.flatten(0, -2)), d_bias


def _outer_products(left: Tensor, right: Tensor) -> Tensor:
    """Return ``leftᵀ @ right``, the sum of the rows' outer products."""
    if not can_pack(right):
        return left.T @ right
    product: Tensor = torch.ops.mkldnn._linear_pointwise(right.T, left.T, None, "none", [], "")
    return product.T.contiguous()


class _RowTaps(torch.autograd.Function):
    """Zeros for each step's product with the matrices of the rows, whose gradient is that of the products."""

    @staticmethod
    def forward(
        ctx: Any,
        matrices: Tensor,
        num_steps: int,
        size: int,
        is_compared: bool,
        dtype: torch.dtype,
        read: list[Tensor],
    ) -> Tensor:
        ctx.read, ctx.is_compared, ctx.dtype = read, is_compared, matrices.dtype
        return matrices.new_zeros((), dtype=dtype).expand(matrices.shape[0], num_steps, size)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None, None, None]:
        read = torch.cat(ctx.read, dim=1)
        first, second = (gradient, read) if ctx.is_compared else (read, gradient)
        return (first.transpose(1, 2) @ second).to(ctx.dtype), None, None, None, None, None


class _RowProduct(torch.autograd.Function):
    """``inputs @ matrices``, which hands its gradient to a tap and not to the matrices."""

    @staticmethod
    def forward(ctx: Any, inputs: Tensor, tap: Tensor, matrices: Tensor) -> Tensor:
        ctx.matrices = matrices
        return inputs @ matrices

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor, None]:
        inputs = gradient @ ctx.matrices.transpose(1, 2) if ctx.needs_input_grad[0] else None
        return inputs, gradient, None

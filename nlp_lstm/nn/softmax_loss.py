"""The loss of a softmax over many words, with few passes over its logits.

The logits of a batch are its largest matrix by far, and between the product that makes them and the two that take
their gradient back, softmax and loss go over them again and again, each into a matrix of its own. Here they become
their own gradient in place, by one softmax. The loss of a row and its gradient are

    loss = logsumexp(z) - Σ q·z,      dz = softmax(z) - q,

where q is 1 at the right word, smoothed. Under autocast the products take its precision, all else is fp32.
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.autograd.function import once_differentiable


def softmax_losses(
    outputs: Float[Tensor, "items size"],
    weight: Float[Tensor, "vocab size"],
    bias: Float[Tensor, " vocab"],
    ids: Int[Tensor, " items"],
    smoothing: float = 0.0,
) -> Float[Tensor, " items"]:
    """Return the cross-entropy of each row of ``softmax(outputs @ weightᵀ + bias)``, in nats.

    Args:
        outputs: of the network.
        weight: a row for each word.
        bias: one for each word.
        ids: the right words.
        smoothing: share of the target spread over all words (Szegedy et al. 2016).
    """
    device = outputs.device.type
    dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else weight.dtype
    losses: Tensor = _SoftmaxLosses.apply(outputs, weight, bias, ids, smoothing, dtype)
    return losses


class _SoftmaxLosses(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, outputs: Tensor, weight: Tensor, bias: Tensor, ids: Tensor, smoothing: float, dtype: torch.dtype
    ) -> Tensor:
        ctx.dtypes = outputs.dtype, weight.dtype
        outputs, factor, right = outputs.to(dtype), weight.to(dtype), ids[:, None]
        logits = torch.addmm(bias.to(dtype), outputs, factor.T).to(weight.dtype)
        wanted = (1 - smoothing) * logits.gather(1, right)
        if smoothing:
            wanted = wanted + smoothing * logits.mean(dim=1, keepdim=True)
        highest = logits.amax(dim=1, keepdim=True)
        shares = torch.softmax(logits, dim=1, out=logits)
        losses = highest - shares.amax(dim=1, keepdim=True).log() - wanted
        if any(ctx.needs_input_grad):
            change = shares.sub_(smoothing / weight.shape[0]) if smoothing else shares
            change.scatter_add_(1, right, change.new_full(right.shape, smoothing - 1))
            ctx.save_for_backward(change.to(dtype), outputs, factor)
        return losses[:, 0]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        change, outputs, weight = ctx.saved_tensors
        scale = gradient.to(change.dtype)[:, None]
        found: list[Tensor | None] = [None] * 6
        if ctx.needs_input_grad[0]:
            found[0] = (torch.mm(change, weight) * scale).to(ctx.dtypes[0])
        if ctx.needs_input_grad[1]:
            found[1] = torch.mm(change.T, outputs * scale).to(ctx.dtypes[1])
        if ctx.needs_input_grad[2]:
            found[2] = torch.mm(change.T, scale)[:, 0].to(ctx.dtypes[1])
        return tuple(found)

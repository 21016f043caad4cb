"""The loss of a plain softmax over many words, without the logits of all rows at once.

The logits of a batch are its largest matrix by far, and between the product that makes them and the two that take
their gradient back, softmax and loss go over them again and again, each into a matrix of its own. Here some rows at a
time go all the way, and become their own gradient in place. Fewer rows at once are slower: the gradient of the weights
is added up once more for each portion. The gradient is that of

    loss = mean over rows of  logsumexp(z) - Σ q·z,      dz = (softmax(z) - q) / rows,

where q is 1 at the right word, smoothed. Under autocast the three products take its precision, all else is fp32.
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.autograd.function import once_differentiable

_LOGITS_AT_ONCE = 1 << 23  # 32 MB


def softmax_loss(
    outputs: Float[Tensor, "items size"],
    weight: Float[Tensor, "vocab size"],
    bias: Float[Tensor, " vocab"],
    ids: Int[Tensor, " items"],
    smoothing: float = 0.0,
) -> Float[Tensor, ""]:
    """Return the mean cross-entropy of ``softmax(outputs @ weightᵀ + bias)``, in nats.

    Args:
        outputs: of the network.
        weight: a row for each word.
        bias: one for each word.
        ids: the right words.
        smoothing: share of the target spread over all words (Szegedy et al. 2016).
    """
    device = outputs.device.type
    dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else weight.dtype
    loss: Tensor = _SoftmaxLoss.apply(outputs, weight, bias, ids, smoothing, dtype)
    return loss


class _SoftmaxLoss(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, outputs: Tensor, weight: Tensor, bias: Tensor, ids: Tensor, smoothing: float, dtype: torch.dtype
    ) -> Tensor:
        num_rows, num_words = outputs.shape[0], weight.shape[0]
        is_wanted = any(ctx.needs_input_grad)
        gradients = [torch.empty_like(outputs), torch.zeros_like(weight), torch.zeros_like(bias)] if is_wanted else []
        loss, precise = weight.new_zeros(()), weight.dtype
        outputs, weight, bias = (each.to(dtype) for each in (outputs, weight, bias))
        rows_at_once = max(1, _LOGITS_AT_ONCE // num_words)
        for start in range(0, num_rows, rows_at_once):
            read = outputs[start : start + rows_at_once]
            right = ids[start : start + rows_at_once, None]
            logits = torch.addmm(bias, read, weight.T).to(precise)
            own, mean = logits.gather(1, right), logits.mean(dim=1, keepdim=True)
            highest = logits.amax(dim=1, keepdim=True)
            shares = torch.softmax(logits, dim=1, out=logits)
            total = highest - shares.amax(dim=1, keepdim=True).log()
            loss += (total - (1 - smoothing) * own - smoothing * mean).sum()
            if is_wanted:
                change = shares.sub_(smoothing / num_words)
                change.scatter_add_(1, right, change.new_full(right.shape, smoothing - 1))
                gradients[2] += change.sum(dim=0)
                change = change.to(dtype)
                gradients[0][start : start + rows_at_once] = torch.mm(change, weight)
                gradients[1] += torch.mm(change.T, read)
        ctx.save_for_backward(*gradients)
        ctx.num_rows = num_rows
        return loss / num_rows

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        scale = gradient / ctx.num_rows
        found = [
            scale * one if is_wanted else None
            for one, is_wanted in zip(ctx.saved_tensors, ctx.needs_input_grad, strict=False)
        ]
        return (*found, None, None, None)

"""Dropout whose noise fits sequences."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn


class LockedDropout(nn.Module):
    """Dropout with one mask per row, the same at every time step.

    Args:
        rate: the share of features dropped, in [0, 1).

    Source: Gal and Ghahramani, "A Theoretically Grounded Application of Dropout in Recurrent Neural Networks",
    NeurIPS 2016; called locked dropout by Merity et al. 2018.
    """

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, inputs: Float[Tensor, "batch time features"]) -> Float[Tensor, "batch time features"]:
        if not self.training or self.rate == 0:
            return inputs
        kept = torch.empty(inputs.shape[0], 1, inputs.shape[2], dtype=inputs.dtype, device=inputs.device)
        return inputs * (kept.bernoulli_(1 - self.rate) / (1 - self.rate))


def drop_weights(weights: Tensor, rate: float) -> Tensor:
    """Return weights of which a share is zero and the others are larger by as much (DropConnect, Wan et al. 2013).

    As `torch.nn.functional.dropout`, with the share rounded to a multiple of 1 / 65,536: four decisions are made of
    each random number, which takes a fifth of the time.

    Args:
        weights: of any shape.
        rate: the share dropped, in [0, 1).
    """
    threshold = min(round(rate * 2**16), 2**16 - 1)
    drawn = torch.empty((weights.numel() + 3) // 4, dtype=torch.int64, device=weights.device).random_(-(2**63), None)
    decisions = drawn.view(torch.int16)[: weights.numel()].view(weights.shape)  # from -32,768 on
    return torch.where(decisions >= threshold - 2**15, weights * (2**16 / (2**16 - threshold)), 0.0)


def drop_ids(ids: Tensor, rate: float, replacement: int) -> Tensor:
    """Replace a share ``rate`` of the ids by ``replacement`` (word dropout, Iyyer et al. 2015)."""
    return torch.where(torch.rand(ids.shape, device=ids.device) < rate, replacement, ids)

"""Elementwise recurrences, whose steps need no matrix product.

Each is a loop over steps of fused elementwise operations, forward and backward; what does not run through the
recurrence is done for all steps at once. On a CPU that beats a parallel scan, which needs log2(time) passes over
everything (``benchmarks/cells.py --scan`` measures both).
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable


def scan(
    kept: Float[Tensor, "batch time hidden"],
    added: Float[Tensor, "batch time hidden"],
    initial: Float[Tensor, "batch hidden"],
) -> Float[Tensor, "batch time hidden"]:
    """Return ``s_t = kept_t * s_(t-1) + added_t`` for all steps."""
    result: Tensor = _Scan.apply(kept, added, initial)
    return result


def before(states: Float[Tensor, "batch time hidden"], initial: Float[Tensor, "batch hidden"]) -> Tensor:
    """Return the states before each step."""
    return torch.cat((initial[:, None], states[:, :-1]), dim=1)


class _Scan(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, kept: Tensor, added: Tensor, initial: Tensor) -> Tensor:
        states = torch.empty_like(added)
        state = initial
        for step in range(added.shape[1]):
            state = torch.addcmul(added[:, step], kept[:, step], state, out=states[:, step])
        ctx.save_for_backward(kept, states, initial)
        return states

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        kept, states, initial = ctx.saved_tensors
        d_states = gradient.clone(memory_format=torch.contiguous_format)
        for step in range(gradient.shape[1] - 1, 0, -1):
            d_states[:, step - 1].addcmul_(d_states[:, step], kept[:, step])
        return d_states * before(states, initial), d_states, d_states[:, 0] * kept[:, 0]

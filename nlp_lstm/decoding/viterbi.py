"""The best label sequence under emissions and transitions."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor


def viterbi(
    emissions: Float[Tensor, "batch time label"],
    mask: Bool[Tensor, "batch time"],
    *,
    transitions: Float[Tensor, "label label"],
    start: Float[Tensor, " label"],
    end: Float[Tensor, " label"],
) -> tuple[Int[Tensor, "batch time"], Float[Tensor, " batch"]]:
    """Return each row's best path (0 at padding) and its score, for all rows at once.

    Source: Viterbi, "Error Bounds for Convolutional Codes", IEEE Transactions on Information Theory 13 (1967).
    """
    score = start + emissions[:, 0]
    pointers = []
    own_label = torch.arange(emissions.shape[2], device=emissions.device).expand_as(score)
    for time in range(1, emissions.shape[1]):
        best, previous = (score[:, :, None] + transitions).max(dim=1)
        is_real = mask[:, time, None]
        score = torch.where(is_real, best + emissions[:, time], score)
        pointers.append(torch.where(is_real, previous, own_label))  # padding points straight back
    best_score, label = (score + end).max(dim=-1)
    path = [label]
    for pointer in reversed(pointers):
        label = pointer.gather(1, label[:, None])[:, 0]
        path.append(label)
    return torch.stack(path[::-1], dim=1) * mask, best_score

"""Losses that count real tokens only."""

from __future__ import annotations

from jaxtyping import Bool, Float, Int
from torch import Tensor, nn


def label_loss_per_token(
    logits: Float[Tensor, "batch time label"],
    labels: Int[Tensor, "batch time"],
    mask: Bool[Tensor, "batch time"],
    label_smoothing: float = 0.0,
) -> Float[Tensor, ""]:
    """Return the mean negative log-likelihood per real token, in nats.

    Args:
        logits: scores before softmax.
        labels: the right labels; what stands at padding is ignored.
        mask: True where there is a real token.
        label_smoothing: share of the target spread over all labels (Szegedy et al. 2016).
    """
    return nn.functional.cross_entropy(logits[mask].float(), labels[mask], label_smoothing=label_smoothing)

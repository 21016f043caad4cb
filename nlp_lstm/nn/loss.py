"""Losses that count real tokens only."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn


def label_loss_per_token(
    logits: Float[Tensor, "batch time label"],
    labels: Int[Tensor, "batch time"] | Float[Tensor, "batch time label"],
    mask: Bool[Tensor, "batch time"],
    label_smoothing: float = 0.0,
) -> Float[Tensor, ""]:
    """Return the mean negative log-likelihood per real token, in nats; of distributions the mean cross-entropy.

    Args:
        logits: scores before softmax.
        labels: the right labels, or a distribution over them for each token; what stands at padding is ignored.
        mask: True where there is a real token.
        label_smoothing: share of the target spread over all labels (Szegedy et al. 2016).
    """
    return nn.functional.cross_entropy(logits[mask].float(), labels[mask], label_smoothing=label_smoothing)


def soft_label_loss(
    logits: Float[Tensor, "batch label"],
    targets: Float[Tensor, "batch label"],
    class_weights: Float[Tensor, " label"] | None = None,
    label_smoothing: float = 0.0,
    row_weights: Float[Tensor, " batch"] | None = None,
) -> Float[Tensor, ""]:
    """Return the mean cross-entropy to target distributions, in nats per row.

    Args:
        logits: scores before softmax.
        targets: one distribution per row; a sure label is one with all its mass in one place.
        class_weights: how much a row counts, by label; a row with a mixed target counts the mean over its target.
        label_smoothing: share of the target spread over all labels (Szegedy et al. 2016).
        row_weights: how much a row counts besides.
    """
    spread = targets * (1 - label_smoothing) + label_smoothing / targets.shape[1]
    losses = -(spread * logits.float().log_softmax(dim=1)).sum(dim=1)
    weights = torch.ones_like(losses) if row_weights is None else row_weights
    if class_weights is not None:
        weights = weights * (targets @ class_weights)
    return (losses * weights).sum() / weights.sum()

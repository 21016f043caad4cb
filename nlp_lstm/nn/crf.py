"""A linear-chain conditional random field over a row of labels."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn


class LinearChainCRF(nn.Module):
    """Scores label sequences by emissions plus transitions between neighbours.

    Args:
        num_labels: how many labels.

    Source: Lafferty, McCallum, Pereira, "Conditional Random Fields", ICML 2001; on a BiLSTM: Huang, Xu, Yu 2015.
    """

    def __init__(self, num_labels: int) -> None:
        super().__init__()
        self.transitions = nn.Parameter(torch.zeros(num_labels, num_labels))  # from label, to label
        self.start = nn.Parameter(torch.zeros(num_labels))
        self.end = nn.Parameter(torch.zeros(num_labels))

    def negative_log_likelihood(
        self,
        emissions: Float[Tensor, "batch time label"],
        labels: Int[Tensor, "batch time"],
        mask: Bool[Tensor, "batch time"],
    ) -> Float[Tensor, " batch"]:
        """Return minus the log-probability of each row's labels, in nats."""
        return self.log_partition(emissions, mask) - self.sequence_score(emissions, labels, mask)

    def sequence_score(
        self,
        emissions: Float[Tensor, "batch time label"],
        labels: Int[Tensor, "batch time"],
        mask: Bool[Tensor, "batch time"],
    ) -> Float[Tensor, " batch"]:
        """Return the unnormalised score of each row's labels."""
        emitted = emissions.gather(2, labels[..., None])[..., 0]
        moved = self.transitions[labels[:, :-1], labels[:, 1:]]
        last = labels.gather(1, mask.sum(1, keepdim=True) - 1)[:, 0]
        inner = (emitted * mask).sum(1) + (moved * mask[:, 1:]).sum(1)
        return self.start[labels[:, 0]] + inner + self.end[last]

    def log_partition(
        self, emissions: Float[Tensor, "batch time label"], mask: Bool[Tensor, "batch time"]
    ) -> Float[Tensor, " batch"]:
        """Return the log of the sum over all label sequences of their exponentiated scores."""
        alpha = self.start + emissions[:, 0]  # log-sums over all prefixes that end in a label
        for time in range(1, emissions.shape[1]):
            moved = torch.logsumexp(alpha[:, :, None] + self.transitions, dim=1) + emissions[:, time]
            alpha = torch.where(mask[:, time, None], moved, alpha)  # a row's value stands still after its end
        return torch.logsumexp(alpha + self.end, dim=-1)

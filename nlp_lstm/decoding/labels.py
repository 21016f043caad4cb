"""From label scores to the best labels with their probabilities."""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from nlp_lstm.decoding.viterbi import viterbi
from nlp_lstm.nn.heads import CRFTagHead, LinearTagHead


class TagScores(NamedTuple):
    """The best labels and the probability of each: softmax, or with a CRF the marginal."""

    labels: Int[Tensor, "batch time"]
    probs: Float[Tensor, "batch time"]


def decode_labels(
    head: LinearTagHead, logits: Float[Tensor, "batch time label"], mask: Bool[Tensor, "batch time"]
) -> TagScores:
    """Return each row's best labels, 0 with probability 0 at padding."""
    logits = logits.float()
    if isinstance(head, CRFTagHead):
        crf = head.crf
        labels, _ = viterbi(logits, mask, transitions=crf.transitions, start=crf.start, end=crf.end)
        probs = crf.marginals(logits, mask).gather(2, labels[..., None])[..., 0]
    else:
        probs, labels = torch.softmax(logits, dim=-1).max(dim=-1)
    return TagScores(labels=labels * mask, probs=probs * mask)

"""From label scores to the best labels with their probabilities."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from nlp_lstm.decoding.chain import Chain, marginals, viterbi

if TYPE_CHECKING:
    from numpy.typing import NDArray


class TagScores(NamedTuple):
    """The best labels and the probability of each: softmax, or with a CRF the marginal.

    Args:
        labels: int64, `batch time`.
        probs: float, `batch time`.
    """

    labels: NDArray[np.int64]
    probs: NDArray[Any]


def decode_labels(logits: NDArray[Any], mask: NDArray[np.bool_], chain: Chain | None = None) -> TagScores:
    """Return each row's best labels, 0 with probability 0 at padding.

    Args:
        logits: float, `batch time label`.
        mask: `batch time`.
        chain: the scores between neighbours; None where labels do not depend on each other.
    """
    if chain is None:
        labels = logits.argmax(axis=2)
        chosen = 1 / np.exp(logits - logits.max(axis=2, keepdims=True)).sum(axis=2)  # the greatest of a softmax
    else:
        labels, _ = viterbi(logits, mask, chain)
        chosen = np.take_along_axis(marginals(logits, mask, chain), labels[..., None], axis=2)[..., 0]
    return TagScores(labels=labels * mask, probs=chosen * mask)

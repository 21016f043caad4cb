"""Label sequences under emissions and transitions: the best one, and how probable each label is over all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Chain(NamedTuple):
    """The scores of a linear-chain CRF.

    Args:
        transitions: float, `label label`, from a label to the next.
        start: float, `label`, of a row's first label.
        end: float, `label`, of its last.
    """

    transitions: NDArray[Any]
    start: NDArray[Any]
    end: NDArray[Any]


def viterbi(emissions: NDArray[Any], mask: NDArray[np.bool_], chain: Chain) -> tuple[NDArray[np.int64], NDArray[Any]]:
    """Return each row's best path (0 at padding), `batch time`, and its score, `batch`, for all rows at once.

    Args:
        emissions: float, `batch time label`.
        mask: `batch time`.
        chain: the scores between neighbours.

    Source: Viterbi, "Error Bounds for Convolutional Codes", IEEE Transactions on Information Theory 13 (1967).
    """
    score = chain.start + emissions[:, 0]
    pointers = []
    own_label = np.broadcast_to(np.arange(emissions.shape[2]), score.shape)
    for time in range(1, emissions.shape[1]):
        moved = score[:, :, None] + chain.transitions
        previous = moved.argmax(axis=1)
        is_real = mask[:, time, None]
        score = np.where(is_real, moved.max(axis=1) + emissions[:, time], score)
        pointers.append(np.where(is_real, previous, own_label))  # padding points straight back
    ended = score + chain.end
    label = ended.argmax(axis=1)
    path = [label]
    for pointer in reversed(pointers):
        label = np.take_along_axis(pointer, label[:, None], axis=1)[:, 0]
        path.append(label)
    return np.stack(path[::-1], axis=1) * mask, ended.max(axis=1)


def marginals(emissions: NDArray[Any], mask: NDArray[np.bool_], chain: Chain) -> NDArray[Any]:
    """Return the probability of each label at each step, over all sequences, `batch time label`; zero at padding.

    Args:
        emissions: float, `batch time label`.
        mask: `batch time`.
        chain: the scores between neighbours.

    Source: the forward-backward algorithm; Lafferty, McCallum, Pereira, "Conditional Random Fields", ICML 2001.
    """
    num_steps = emissions.shape[1]
    alpha = chain.start + emissions[:, 0]  # log-sums over all prefixes that end in a label
    alphas = [alpha]
    for time in range(1, num_steps):
        moved = _log_sum(alpha[:, :, None] + chain.transitions, axis=1) + emissions[:, time]
        alpha = np.where(mask[:, time, None], moved, alpha)
        alphas.append(alpha)
    beta = np.broadcast_to(chain.end, alpha.shape)  # those over all suffixes that follow it, the end included
    betas = [beta]
    for time in range(num_steps - 1, 0, -1):
        following = (emissions[:, time] + beta)[:, None, :] + chain.transitions
        beta = np.where(mask[:, time, None], _log_sum(following, axis=2), beta)
        betas.append(beta)
    # At each step their sum over the labels is the log partition; a softmax of its own keeps long rows' sums at 1.
    return softmax(np.stack(alphas, axis=1) + np.stack(betas[::-1], axis=1)) * mask[..., None]


def softmax(scores: NDArray[Any]) -> NDArray[Any]:
    """Return the softmax over the last axis."""
    raised: NDArray[Any] = np.exp(scores - scores.max(axis=-1, keepdims=True))
    raised /= raised.sum(axis=-1, keepdims=True)
    return raised


def _log_sum(scores: NDArray[Any], axis: int) -> NDArray[Any]:
    peak = scores.max(axis=axis, keepdims=True)
    total: NDArray[Any] = np.log(np.exp(scores - peak).sum(axis=axis)) + peak.squeeze(axis)
    return total

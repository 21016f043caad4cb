"""From the backbone's outputs to answers: one label a step, independent or as a chain."""

from __future__ import annotations

from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from nlp_lstm.nn.crf import LinearChainCRF
from nlp_lstm.nn.loss import label_loss_per_token


class LinearTagHead(nn.Module):
    """One softmax over the labels at each step.

    Args:
        input_size: features of the backbone's outputs.
        num_labels: how many labels.
    """

    def __init__(self, input_size: int, num_labels: int) -> None:
        super().__init__()
        self.linear = nn.Linear(input_size, num_labels)

    def forward(self, outputs: Float[Tensor, "batch time features"]) -> Float[Tensor, "batch time label"]:
        return self.linear(outputs)

    def loss_per_token(
        self,
        logits: Float[Tensor, "batch time label"],
        labels: Int[Tensor, "batch time"] | Float[Tensor, "batch time label"],
        mask: Bool[Tensor, "batch time"],
        label_smoothing: float,
    ) -> Float[Tensor, ""]:
        """Return the mean negative log-likelihood per real token, in nats; of distributions the cross-entropy."""
        return label_loss_per_token(logits, labels, mask, label_smoothing)


class CRFTagHead(LinearTagHead):
    """Labels as a chain: the score of a label depends on its neighbour too.

    Args:
        input_size: features of the backbone's outputs.
        num_labels: how many labels.
    """

    def __init__(self, input_size: int, num_labels: int) -> None:
        super().__init__(input_size, num_labels)
        self.crf = LinearChainCRF(num_labels)

    def loss_per_token(
        self,
        logits: Float[Tensor, "batch time label"],
        labels: Int[Tensor, "batch time"],
        mask: Bool[Tensor, "batch time"],
        label_smoothing: float,
    ) -> Float[Tensor, ""]:
        """Return the negative log-likelihood of the rows divided by their real tokens, in nats.

        Label smoothing does not apply to whole sequences; the task refuses it.
        """
        return self.crf.negative_log_likelihood(logits.float(), labels, mask).sum() / mask.sum()

"""The network of a bidirectional language model: one stack of layers reads onwards, one backwards, and they never mix.

    embedded = dropout(embedding(words))                            batch time embed
    forward  = recurrent(embedded)                                  batch time hidden
    backward = reversed(recurrent(reversed(embedded)))              batch time hidden
    next     = softmax(words · forward_projection(forward))         batch time vocab
    previous = softmax(words · backward_projection(backward))       batch time vocab

So no position has seen the word that it predicts, and yet the two stacks side by side are a bidirectional encoder.

Source: Peters et al., "Deep contextualized word representations", NAACL 2018. As there, the directions share the
embedding and the softmax. Here each row is one sentence, and the softmax is adaptive.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from nlp_lstm.nn.dropout import LockedDropout
from nlp_lstm.nn.embedding import WordEmbedding, WordFeatures
from nlp_lstm.nn.recurrent import Recurrent, reverse_rows
from nlp_lstm.nn.settings import EmbeddingSizes, WordSettings
from nlp_lstm.nn.softmax import TiedSoftmax


class DirectionOutput(NamedTuple):
    """The last layer's hidden states of each direction, after dropout, zero at padding."""

    forward: Float[Tensor, "batch time hidden"]
    backward: Float[Tensor, "batch time hidden"]


class NeighbourOutput(NamedTuple):
    """How probable each word's neighbours are, in nats, zero at padding.

    Args:
        next: of what follows each word, after all up to it.
        previous: of what stands before each word, before all from it on.
    """

    next: Float[Tensor, "batch time"]
    previous: Float[Tensor, "batch time"]


class BidirectionalLanguageModel(nn.Module):
    """Predicts each next word from those before it, and each previous word from those after it.

    Args:
        settings: embedding and recurrent layers.
        sizes: how large the vocabularies of the embedding are.
        num_words: words that can be predicted, the most frequent first.
        softmax_size: features of a predicted word.
        cutoffs: of the adaptive softmax; none for a plain one.
    """

    def __init__(
        self,
        settings: WordSettings,
        sizes: EmbeddingSizes,
        num_words: int,
        *,
        softmax_size: int,
        cutoffs: tuple[int, ...] = (),
    ) -> None:
        super().__init__()
        self.embedding = WordEmbedding(settings.embedding, sizes)
        self.input_dropout = LockedDropout(settings.input_dropout)
        self.forward_encoder, self.backward_encoder = (
            Recurrent(
                settings.cell,
                self.embedding.output_size,
                settings.hidden,
                num_layers=settings.layers,
                is_bidirectional=False,
                dropout_rate=settings.dropout,
            )
            for _ in range(2)
        )
        self.forward_projection = nn.Linear(settings.hidden, softmax_size, bias=False)
        self.backward_projection = nn.Linear(settings.hidden, softmax_size, bias=False)
        self.words = TiedSoftmax(num_words, softmax_size, cutoffs=cutoffs)

    def forward(self, batch: Any) -> NeighbourOutput:
        """Return how probable the neighbours of a batch's words are.

        It has ``features``, ``index``, ``lengths`` and ``mask``, and as ``labels`` the ids of the "next" and "previous"
        words.
        """
        read = self.read(batch.features, batch.index, batch.lengths)
        mask = batch.mask
        outputs = (self.forward_projection(read.forward[mask]), self.backward_projection(read.backward[mask]))
        ids = (batch.labels["next"][mask], batch.labels["previous"][mask])
        following, previous = self.words.log_probability(torch.cat(outputs), torch.cat(ids)).chunk(2)
        return NeighbourOutput(next=_lay_out(following, mask), previous=_lay_out(previous, mask))

    def read(
        self, features: WordFeatures, index: Int[Tensor, "batch time"], lengths: Int[Tensor, " batch"]
    ) -> DirectionOutput:
        """Read sentences in both directions.

        Args:
            features: the distinct words.
            index: for each position, which of the distinct words stands there.
            lengths: real words per row, at least 1 each.
        """
        embedded = self.input_dropout(self.embedding(features, index))
        backward = self.backward_encoder(reverse_rows(embedded, lengths), lengths).outputs
        return DirectionOutput(
            forward=self.forward_encoder(embedded, lengths).outputs, backward=reverse_rows(backward, lengths)
        )


def _lay_out(values: Float[Tensor, " items"], mask: Bool[Tensor, "batch time"]) -> Float[Tensor, "batch time"]:
    """Put the values of the real words into their places."""
    return values.new_zeros(mask.shape).masked_scatter(mask, values)

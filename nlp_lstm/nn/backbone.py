"""The part that all tasks share: embedding plus an encoder over time."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from nlp_lstm.nn.cells import State
from nlp_lstm.nn.dropout import LockedDropout
from nlp_lstm.nn.embedding import QuantisedVectors, WordEmbedding, WordFeatures
from nlp_lstm.nn.recurrent import Recurrent, RecurrentOutput, make_mask
from nlp_lstm.nn.settings import BackboneSettings, EmbeddingSizes


class WindowEncoder(nn.Module):
    """A feed-forward net over each word and its neighbours, with no recurrence (Collobert et al. 2011).

    Args:
        input_size: features per word.
        hidden_size: features of the output.
        radius: neighbours seen on each side.
        dropout_rate: locked dropout on the output.
    """

    def __init__(self, input_size: int, hidden_size: int, *, radius: int = 2, dropout_rate: float = 0.0) -> None:
        super().__init__()
        self.radius = radius
        self.hidden = nn.Linear((2 * radius + 1) * input_size, hidden_size)
        self.dropout = LockedDropout(dropout_rate)
        self.output_size = hidden_size

    def forward(self, inputs: Float[Tensor, "batch time embed"], lengths: Int[Tensor, " batch"]) -> RecurrentOutput:
        time = inputs.shape[1]
        mask = make_mask(lengths, time)[..., None]
        padded = nn.functional.pad(inputs * mask, (0, 0, self.radius, self.radius))
        window = torch.cat([padded[:, shift : shift + time] for shift in range(2 * self.radius + 1)], dim=-1)
        return RecurrentOutput(outputs=self.dropout(torch.relu(self.hidden(window)) * mask), states=None)


class NoEncoder(nn.Module):
    """Passes the word vectors on: each word stands for itself.

    Args:
        input_size: features per word.
    """

    def __init__(self, input_size: int) -> None:
        super().__init__()
        self.output_size = input_size

    def forward(self, inputs: Float[Tensor, "batch time embed"], lengths: Int[Tensor, " batch"]) -> RecurrentOutput:
        return RecurrentOutput(outputs=inputs * make_mask(lengths, inputs.shape[1])[..., None], states=None)


class Backbone(nn.Module):
    """Embeds words and encodes them in context.

    Args:
        settings: the network.
        sizes: how large the vocabularies are.
        context_size: features of a word that come with it, beside its embedding.
        vectors: the pretrained vectors of another backbone, which both then read.
    """

    def __init__(
        self,
        settings: BackboneSettings,
        sizes: EmbeddingSizes,
        *,
        context_size: int = 0,
        vectors: QuantisedVectors | None = None,
    ) -> None:
        super().__init__()
        self.embedding = WordEmbedding(settings.embedding, sizes, vectors)
        input_size = self.embedding.output_size + context_size
        self.input_dropout = LockedDropout(settings.input_dropout)
        self.encoder: Recurrent | WindowEncoder | NoEncoder
        if settings.encoder == "recurrent":
            self.encoder = Recurrent(
                settings.cell,
                input_size,
                settings.hidden,
                num_layers=settings.layers,
                is_bidirectional=settings.bidirectional,
                dropout_rate=settings.dropout,
            )
        elif settings.encoder == "none":
            self.encoder = NoEncoder(input_size)
        else:
            self.encoder = WindowEncoder(input_size, settings.hidden, dropout_rate=settings.dropout)
        self.output_size = self.encoder.output_size

    def forward(
        self,
        features: WordFeatures,
        index: Int[Tensor, "batch time"],
        lengths: Int[Tensor, " batch"],
        context: Float[Tensor, "batch time context"] | None = None,
    ) -> Float[Tensor, "batch time {self.output_size}"]:
        """Return the encoder's outputs, zero at padding."""
        embedded = self.embedding(features, index)
        if context is not None:
            embedded = torch.cat((embedded, context.float()), dim=2)
        return self.encode(embedded, lengths).outputs

    def encode(
        self,
        embedded: Float[Tensor, "batch time embed"],
        lengths: Int[Tensor, " batch"],
        states: tuple[State, ...] | None = None,
        *,
        need_states: bool = False,
    ) -> RecurrentOutput:
        """Return the encoder's outputs for word vectors, zero at padding.

        Args:
            embedded: the word vectors.
            lengths: real tokens per row, at least 1 each.
            states: where the recurrent layers begin, one state a layer and direction; default zeros.
            need_states: whether to return the recurrent states at each row's end (None for other encoders).
        """
        inputs = self.input_dropout(embedded)
        if isinstance(self.encoder, Recurrent):
            return self.encoder(inputs, lengths, states, need_states=need_states)
        return self.encoder(inputs, lengths)

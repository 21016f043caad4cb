"""The network of a language model: words, recurrent layers in one direction, and the next word.

    embedded   = dropout(words[ids])                     batch time embed
    outputs, s = recurrent(embedded, s)                  batch time hidden
    next word  = softmax(words · projection(outputs))    batch time vocab

Source: Mikolov et al., "Recurrent neural network based language model", Interspeech 2010; regularised as by Merity,
Keskar and Socher, "Regularizing and Optimizing LSTM Language Models", ICLR 2018.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from nlp_lstm.nn.cells import State
from nlp_lstm.nn.dropout import LockedDropout
from nlp_lstm.nn.recurrent import Recurrent
from nlp_lstm.nn.softmax import TiedSoftmax


class LanguageOutput(NamedTuple):
    """What the recurrent layers make of a stretch of words.

    Args:
        outputs: what the softmax reads.
        hidden: the last layer's hidden states, after dropout.
        states: one state a layer after the last step.
    """

    outputs: Float[Tensor, "batch time embed"]
    hidden: Float[Tensor, "batch time hidden"]
    states: tuple[State, ...]


class StreamOutput(NamedTuple):
    """What the network makes of a batch of a stream.

    Args:
        log_probability: of each next word, in nats.
        hidden: the last layer's hidden states, after dropout.
        states: one state a layer after the last step.
    """

    log_probability: Float[Tensor, "batch time"]
    hidden: Float[Tensor, "batch time hidden"]
    states: tuple[State, ...]


class LanguageModel(nn.Module):
    """Predicts each next word from those before it.

    Args:
        num_words: words in the vocabulary, the most frequent first.
        embed_size: features of a word.
        cell: the recurrent cell's registered name.
        hidden_size: features of the hidden state.
        num_layers: recurrent layers.
        cutoffs: of the adaptive softmax; none for a plain one.
        embedding_dropout: share of the vocabulary whose vectors are dropped in a batch (Gal and Ghahramani 2016).
        input_dropout: locked dropout on the word vectors.
        dropout: locked dropout between the layers and on the outputs.
        recurrent_dropout: share of the recurrent weights dropped in a batch (DropConnect, Wan et al. 2013).
    """

    def __init__(
        self,
        num_words: int,
        *,
        embed_size: int,
        cell: str,
        hidden_size: int,
        num_layers: int,
        cutoffs: tuple[int, ...] = (),
        embedding_dropout: float = 0.0,
        input_dropout: float = 0.0,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.embedding_dropout = embedding_dropout
        self.words = TiedSoftmax(num_words, embed_size, cutoffs=cutoffs)
        self.input_dropout = LockedDropout(input_dropout)
        self.encoder = Recurrent(
            cell,
            embed_size,
            hidden_size,
            num_layers=num_layers,
            is_bidirectional=False,
            dropout_rate=dropout,
            recurrent_dropout_rate=recurrent_dropout,
        )
        self.projection = nn.Linear(hidden_size, embed_size, bias=False) if hidden_size != embed_size else None
        self.adaptation: Tensor  # how the network adapts to a text: see nlp_lstm.tasks.adaptation; zeros until tuned
        self.register_buffer("adaptation", torch.zeros(4))

    def forward(self, batch: Any) -> StreamOutput:
        """Return how probable a batch's next words are. It has ``ids``, ``next_ids`` and ``carried`` states."""
        read = self.read(batch.ids, self.unpack_states(batch.carried))
        log_probability = self.words.log_probability(read.outputs.flatten(0, 1), batch.next_ids.flatten())
        return StreamOutput(log_probability.view_as(batch.next_ids), read.hidden, read.states)

    def read(self, ids: Int[Tensor, "batch time"], states: tuple[State, ...] | None = None) -> LanguageOutput:
        """Read a stretch of words.

        Args:
            ids: the words; rows have no padding.
            states: the states before the first word, one a layer; default zeros.
        """
        kept = None
        if self.training and self.embedding_dropout:
            kept = torch.rand(self.words.num_words, device=ids.device) >= self.embedding_dropout
        embedded = self.input_dropout(self.words.embed(ids, kept))
        lengths = torch.full((ids.shape[0],), ids.shape[1], device=ids.device)
        read = self.encoder(embedded, lengths, states, need_states=True)
        outputs = read.outputs if self.projection is None else self.projection(read.outputs)
        return LanguageOutput(outputs=outputs, hidden=read.outputs, states=read.states or ())

    @property
    def is_tuned(self) -> bool:
        """Whether it is known how fast the network adapts."""
        return bool(self.adaptation.any())

    def initial_states(self) -> tuple[State, ...]:
        """Return the states before the first word of one row."""
        inputs = self.words.bias.new_zeros(1, 1, self.words.size)
        cells = (layer.get_submodule("0") for layer in self.encoder.layers)
        return tuple(cell.initial_state(inputs) for cell in cells)  # type: ignore[operator]

    def unpack_states(self, packed: Mapping[str, Tensor]) -> tuple[State, ...] | None:
        """Return the states that `pack_states` named; None for nothing."""
        if not packed:
            return None
        types = [type(state) for state in self.initial_states()]
        return tuple(
            state_type(**{name: packed[f"{number}/{name}"] for name in state_type._fields})
            for number, state_type in enumerate(types)
        )


def pack_states(states: tuple[State, ...]) -> dict[str, Tensor]:
    """Return recurrent states as named tensors, in fp32 and cut off from the gradient."""
    return {
        f"{number}/{name}": tensor.detach().float()
        for number, state in enumerate(states)
        for name, tensor in state._asdict().items()
    }

"""The network of a language model: words, recurrent layers in one direction, and the next word.

    embedded   = dropout(words[ids])                     batch time embed
    outputs, s = recurrent(embedded, s)                  batch time hidden
    next word  = softmax(words · projection(outputs))    batch time vocab

Source: Mikolov et al., "Recurrent neural network based language model", Interspeech 2010; regularised as by Merity,
Keskar and Socher, "Regularizing and Optimizing LSTM Language Models", ICLR 2018.
"""

from __future__ import annotations

from typing import NamedTuple

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

    def forward(
        self, ids: Int[Tensor, "batch time"], states: tuple[State, ...] | None = None
    ) -> LanguageOutput:
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

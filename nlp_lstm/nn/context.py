"""Words as frozen language models see them where they stand.

    forward     <eos> T h e _ c a t     state after "t" of cat
    backward    <eos> t a c _ e h T     state after "c" of cat

Nothing of the language models is learnt here: their weights are buffers, so that no optimiser, average or checkpoint
holds them. What is learnt is a projection of their states, side by side, to features of the words.

Source: Akbik, Blythe and Vollgraf, "Contextual String Embeddings for Sequence Labeling", COLING 2018; with models of
words: Peters et al., "Semi-supervised Sequence Tagging with Bidirectional Language Models", ACL 2017.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

import torch
from jaxtyping import Float, Int
from pydantic import Field
from torch import Tensor, nn

from nlp_lstm.nn.recurrent import Recurrent
from nlp_lstm.nn.settings import CellName
from nlp_lstm.nn.softmax import WordTables
from nlp_lstm.settings import Settings

READ_AT_ONCE = 20_000  # steps, those of all rows; bounds the memory


class ReaderSettings(Settings):
    """What of a language model reads."""

    direction: Literal["forward", "backward"]
    """Whether it reads a sentence from its beginning or from its end."""
    cell: CellName
    """The recurrent cell's name."""
    hidden: int = Field(ge=1)
    """Features of the hidden state."""
    layers: int = Field(ge=1, le=64)
    """How many recurrent layers."""
    embed: int = Field(ge=1)
    """Features of what it reads."""
    cutoffs: tuple[int, ...]
    """Of its tables: words beyond each have shorter vectors."""


class Reading(NamedTuple):
    """Sentences in the order that one language model reads them.

    Args:
        ids: what it reads, ``<eos>`` first; 0 at padding.
        ends: for each word, the step at which it has been read; 0 at padding.
    """

    ids: Int[Tensor, "batch steps"]
    ends: Int[Tensor, "batch time"]


class FrozenReader(nn.Module):
    """The reading half of a language model, which is never trained.

    Args:
        settings: of the language model.
        num_units: in its vocabulary.
    """

    def __init__(self, settings: ReaderSettings, num_units: int) -> None:
        super().__init__()
        self.words = WordTables(num_units, settings.embed, cutoffs=settings.cutoffs)
        self.encoder = Recurrent(
            settings.cell, settings.embed, settings.hidden, num_layers=settings.layers, is_bidirectional=False
        )
        _freeze(self)
        self.eval()

    def train(self, mode: bool = True) -> FrozenReader:
        """Stay in evaluation mode, whatever the network around it does."""
        return super().train(False)

    def take(self, weights: Mapping[str, Tensor]) -> None:
        """Copy the weights of a language model, as its ``state_dict`` names them; those of the softmax stay behind."""
        self.load_state_dict({name: weights[name] for name in self.state_dict()})

    @torch.no_grad()
    def forward(self, reading: Reading) -> Float[Tensor, "batch time hidden"]:
        """Return the last layer's hidden state at the end of each word.

        Padding stands behind what is read, so it changes nothing, in either direction.
        """
        num_steps = reading.ids.shape[1]
        rows_at_once = max(1, READ_AT_ONCE // num_steps)
        found = []
        for ids, ends in zip(reading.ids.split(rows_at_once), reading.ends.split(rows_at_once), strict=True):
            lengths = torch.full((ids.shape[0],), num_steps, device=ids.device)
            outputs = self.encoder(self.words.embed(ids), lengths).outputs
            found.append(outputs[torch.arange(ids.shape[0], device=ids.device)[:, None], ends])
        return torch.cat(found)


class ContextEmbedding(nn.Module):
    """What language models make of words in their sentence, projected to features.

    Args:
        readers: the language models.
        output_size: features of a word.
    """

    def __init__(self, readers: Sequence[FrozenReader], output_size: int) -> None:
        super().__init__()
        self.readers = nn.ModuleList(readers)
        self.output_size = output_size
        self.projection = nn.Linear(sum(reader.encoder.output_size for reader in readers), output_size)

    def read(self, readings: Sequence[Reading]) -> Float[Tensor, "batch time states"]:
        """Return the states of all language models side by side."""
        return torch.cat([reader(reading) for reader, reading in zip(self.readers, readings, strict=True)], dim=2)

    def forward(self, states: Float[Tensor, "batch time states"]) -> Float[Tensor, "batch time {self.output_size}"]:
        """Return the features that states are projected to."""
        return self.projection(states)


def _freeze(module: nn.Module) -> None:
    """Turn all parameters into buffers of the same names."""
    for part in module.modules():
        for name, parameter in list(part.named_parameters(recurse=False)):
            delattr(part, name)
            part.register_buffer(name, parameter.detach())

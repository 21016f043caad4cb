"""From words to vectors: learned, pretrained, spelt out in characters, and by their beginnings and endings.

Everything a word's vector is made of depends on the word alone, so it is computed once for each distinct word of a
batch and then laid out over the batch's positions.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from nlp_lstm.errors import ConfigError
from nlp_lstm.nn.dropout import drop_ids
from nlp_lstm.nn.recurrent import Recurrent, make_mask
from nlp_lstm.nn.settings import EmbeddingSettings, EmbeddingSizes

UNKNOWN_ID = 1  # the id of <unk> in every vocabulary, and of "no pretrained vector"
NUM_AFFIXES = 7  # see nlp_lstm.data.batch.word_affixes


class WordFeatures(NamedTuple):
    """The numbers of a batch's distinct words."""

    word_ids: Int[Tensor, " unique"]
    vector_ids: Int[Tensor, " unique"]
    character_ids: Int[Tensor, "unique char_time"]
    character_lengths: Int[Tensor, " unique"]
    affix_ids: Int[Tensor, "unique affix"]


class QuantisedVectors(nn.Module):
    """A frozen table of pretrained vectors, each rounded to 4 or 8 bits with a scale of its own.

    Rows 0 and 1 (padding, no vector) are zero.

    Args:
        num_rows: rows, the two zero rows included.
        vector_size: features per row.
        bits: 4 (two features a byte) or 8.
    """

    def __init__(self, num_rows: int, vector_size: int, bits: int) -> None:
        super().__init__()
        self.vector_size = vector_size
        self.bits = bits
        bytes_per_row = vector_size if bits == 8 else (vector_size + 1) // 2
        self.codes: Tensor
        self.scales: Tensor
        self.register_buffer("codes", torch.zeros(num_rows, bytes_per_row, dtype=torch.uint8))
        self.register_buffer("scales", torch.zeros(num_rows, dtype=torch.float16))

    def load_rows(self, rows: Float[Tensor, "vectors features"]) -> None:
        """Round and store the vectors of rows 2, 3, …; they are first scaled to unit standard deviation overall."""
        limit = 2 ** (self.bits - 1) - 1
        scaled = rows / rows.std().clamp_min(1e-12)
        scales = (scaled.abs().amax(dim=1) / limit).to(torch.float16)
        codes = (scaled / scales.float().clamp_min(1e-7)[:, None]).round().clamp(-limit, limit) + limit
        codes = codes.to(torch.uint8)
        if self.bits == 4:
            if codes.shape[1] % 2:
                codes = nn.functional.pad(codes, (0, 1))
            codes = codes[:, 0::2] | (codes[:, 1::2] << 4)
        self.codes[2:] = codes
        self.scales[2:] = scales

    def forward(self, ids: Int[Tensor, " unique"]) -> Float[Tensor, "unique features"]:
        codes = self.codes[ids]
        if self.bits == 4:
            codes = torch.stack((codes & 15, codes >> 4), dim=2).flatten(1)[:, : self.vector_size]
        limit = 2 ** (self.bits - 1) - 1
        return (codes.float() - limit) * self.scales[ids].float()[:, None]


class CharacterBiLSTM(nn.Module):
    """Reads a word's characters in both directions and keeps the two last hidden states (Ling et al. 2015)."""

    def __init__(self, num_characters: int, settings: EmbeddingSettings) -> None:
        super().__init__()
        self.embedding = nn.Embedding(num_characters, settings.character_size, padding_idx=0)
        self.recurrent = Recurrent("lstm", settings.character_size, settings.character_hidden)
        self.output_size = 2 * settings.character_hidden

    def forward(
        self, ids: Int[Tensor, "unique char_time"], lengths: Int[Tensor, " unique"]
    ) -> Float[Tensor, "unique features"]:
        outputs = self.recurrent(self.embedding(ids), lengths).outputs
        forward, backward = outputs.chunk(2, dim=-1)
        last = (lengths - 1)[:, None, None].expand(-1, 1, forward.shape[2])
        return torch.cat((forward.gather(1, last)[:, 0], backward[:, 0]), dim=1)


class CharacterCNN(nn.Module):
    """Filters of width 2, 3 and 4 over a word's characters, each with its maximum kept (Kim et al. 2016)."""

    def __init__(self, num_characters: int, settings: EmbeddingSettings) -> None:
        super().__init__()
        self.embedding = nn.Embedding(num_characters, settings.character_size, padding_idx=0)
        self.filters = nn.ModuleList(
            nn.Conv1d(settings.character_size, settings.character_hidden, width, padding=width - 1)
            for width in (2, 3, 4)
        )
        self.output_size = 3 * settings.character_hidden

    def forward(
        self, ids: Int[Tensor, "unique char_time"], lengths: Int[Tensor, " unique"]
    ) -> Float[Tensor, "unique features"]:
        embedded = self.embedding(ids) * make_mask(lengths, ids.shape[1])[..., None]
        channels = embedded.transpose(1, 2)
        pooled = []
        for convolution in self.filters:
            width = convolution.kernel_size[0]  # type: ignore[index]
            filtered = torch.relu(convolution(channels))
            is_reached = make_mask(lengths + width - 1, filtered.shape[2])[:, None, :]
            pooled.append((filtered * is_reached).amax(dim=2))
        return torch.cat(pooled, dim=1)


class WordEmbedding(nn.Module):
    """The input vector of each word of a batch.

    Args:
        settings: what the vector is made of.
        sizes: how large the vocabularies are.
        vectors: the pretrained vectors of another embedding, which both then read; default a table of its own.

    Raises:
        ConfigError: the vector is made of nothing, or of changes of pretrained vectors that are not there.
    """

    def __init__(
        self, settings: EmbeddingSettings, sizes: EmbeddingSizes, vectors: QuantisedVectors | None = None
    ) -> None:
        super().__init__()
        self.settings = settings
        self.num_words = sizes.words
        self.output_size = 0
        if settings.words == "learned":
            self.words = nn.Embedding(sizes.words, settings.word_size, padding_idx=0)
            nn.init.normal_(self.words.weight[1:], std=0.1)
            self.output_size += settings.word_size
        elif settings.words == "one-hot":
            self.output_size += sizes.words
        elif settings.words == "tuned":
            if not sizes.vectors:
                raise ConfigError("model.embedding.words=tuned changes pretrained vectors, but there are none")
            self.changes = nn.Embedding(sizes.words, sizes.vector_size, padding_idx=0)
            nn.init.zeros_(self.changes.weight)
        if sizes.vectors:
            self.vectors = vectors or QuantisedVectors(sizes.vectors, sizes.vector_size, settings.vector_bits)
            self.output_size += sizes.vector_size
        if settings.characters != "none":
            encoder = CharacterBiLSTM if settings.characters == "bilstm" else CharacterCNN
            self.characters = encoder(sizes.characters, settings)
            self.output_size += self.characters.output_size
        if settings.affix_size:
            self.affixes = nn.Embedding(sizes.affixes, settings.affix_size, padding_idx=0)
            self.output_size += NUM_AFFIXES * settings.affix_size
        if self.output_size == 0:
            raise ConfigError(
                "model.embedding leaves words without any input; switch on words, vectors, characters or affix_size"
            )

    def forward(self, features: WordFeatures, index: Int[Tensor, "batch time"]) -> Float[Tensor, "batch time embed"]:
        """Embed each distinct word once and lay the vectors out over the batch.

        Args:
            features: the distinct words.
            index: for each position, which of the distinct words stands there.
        """
        return self.embed_words(features)[index]

    def embed_words(self, features: WordFeatures) -> Float[Tensor, "unique embed"]:
        """Return the vector of each distinct word."""
        parts: list[Tensor] = []
        if self.settings.words != "none":
            word_ids = features.word_ids
            if self.training and self.settings.word_dropout:
                word_ids = drop_ids(word_ids, self.settings.word_dropout, UNKNOWN_ID)
            if self.settings.words == "learned":
                parts.append(self.words(word_ids))
            elif self.settings.words == "tuned":
                parts.append(self.vectors(features.vector_ids) + self.changes(word_ids))
            else:
                parts.append(nn.functional.one_hot(word_ids, self.num_words).float())
        if hasattr(self, "vectors") and self.settings.words != "tuned":
            parts.append(self.vectors(features.vector_ids))
        if hasattr(self, "characters"):
            parts.append(self.characters(features.character_ids, features.character_lengths))
        if hasattr(self, "affixes"):
            parts.append(self.affixes(features.affix_ids).flatten(1))
        return torch.cat([part.float() for part in parts], dim=1)

"""What networks over words are made of: their settings, and the names of parts they choose from. Needs no torch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple, TypeAlias

from pydantic import AfterValidator, Field

from nlp_lstm.registry import Registry
from nlp_lstm.settings import Settings

if TYPE_CHECKING:
    from nlp_lstm.nn.attention import Attention
    from nlp_lstm.nn.cells.base import Cell
    from nlp_lstm.nn.pooling import Pooling

CELL_FILES = {  # name to file in nlp_lstm.nn.cells
    "blocks": "blocks",
    "cifg": "cifg",
    "gru": "gru",
    "layernorm": "layernorm",
    "lstm": "lstm",
    "lstm-1997": "lstm_1997",
    "mingru": "mingru",
    "minlstm": "minlstm",
    "mogrifier": "mogrifier",
    "peephole": "peephole",
    "rnn": "rnn",
    "rnn-relu": "rnn",
    "sru": "sru",
}
PLACES = 8  # along each side of what an encoder of pixels gives
POOLING_NAMES = ("attention", "last", "max", "mean")
ATTENTION_NAMES = ("additive", "aligned", "dot", "general", "multi-head", "none")
UNWEIGHTED = ("aligned", "none")
"""Kinds of attention that weigh no places."""

cells: Registry[type[Cell]] = Registry("cell", {name: f"nlp_lstm.nn.cells.{file}" for name, file in CELL_FILES.items()})
poolings: Registry[type[Pooling]] = Registry("pooling", dict.fromkeys(POOLING_NAMES, "nlp_lstm.nn.pooling"))
attentions: Registry[type[Attention]] = Registry("attention", dict.fromkeys(ATTENTION_NAMES, "nlp_lstm.nn.attention"))

CellName: TypeAlias = Annotated[str, AfterValidator(cells.checked)]
"""In settings, the name of a registered cell."""
EncoderName: TypeAlias = Literal["cnn", "grid", "features", "none"]
"""In settings, how a picture is read."""
AttentionName: TypeAlias = Annotated[str, AfterValidator(attentions.checked)]
"""In settings, the name of a registered kind of attention."""


class EmbeddingSettings(Settings):
    """What a word's input vector is made of."""

    lower_case: bool = False
    """Whether capital letters are read as small ones everywhere; for training text that has none."""
    words: Literal["learned", "tuned", "one-hot", "none"] = "learned"
    """For each word of the training text a learned vector, or a learned change of its pretrained vector, or a one-hot
    vector (for comparison), or nothing."""
    word_size: int = Field(64, ge=1)
    """Features of the learned word vector."""
    min_count: int = Field(2, ge=1)
    """Words rarer than this in the training text get no learned vector of their own."""
    vectors: tuple[str, ...] | None = None
    """Names or files of pretrained vectors, laid side by side; null for none."""
    vectors_kept: int = Field(60_000, ge=0)
    """Pretrained vectors kept for the most frequent words outside the training text, so that unseen words profit."""
    vector_bits: Literal[4, 8] = 8
    """Bits per feature of the stored pretrained vectors; training sees the same rounded values."""
    characters: Literal["bilstm", "cnn", "none"] = "bilstm"
    """How a word's spelling is read."""
    character_size: int = Field(48, ge=1)
    """Features per character."""
    character_hidden: int = Field(64, ge=1)
    """Features of each direction of the character BiLSTM, or of each filter width of the CNN."""
    affix_size: int = Field(24, ge=0)
    """Features for each of a word's short beginnings and endings and its shape; 0 for none."""
    word_dropout: float = Field(0.1, ge=0, lt=1)
    """Share of words whose learned vector is replaced by that of the unknown word in training."""


class EmbeddingSizes(NamedTuple):
    """How many words, characters, affixes and pretrained vectors there are, and features per pretrained vector."""

    words: int
    characters: int
    affixes: int
    vectors: int
    vector_size: int


class WordSettings(Settings):
    """Recurrent layers over words."""

    cell: CellName = "lstm"
    """The recurrent cell's name: rnn, rnn-relu; lstm-1997 (no forget gate), lstm, peephole, blocks (of four cells that
    share their gates), cifg (one gate for in and forget), layernorm, mogrifier; gru; sru, minlstm, mingru (no recurrent
    product, many times faster)."""
    hidden: int = Field(256, ge=1)
    """Features of the hidden state in each direction."""
    layers: int = Field(2, ge=1, le=64)
    """How many recurrent layers."""
    input_dropout: float = Field(0.3, ge=0, lt=1)
    """Locked dropout on the word vectors."""
    dropout: float = Field(0.4, ge=0, lt=1)
    """Locked dropout between the layers and on the outputs."""
    embedding: EmbeddingSettings = EmbeddingSettings()
    """What a word's input vector is made of."""


class BackboneSettings(WordSettings):
    """The network between the words and the head."""

    encoder: Literal["recurrent", "window", "none"] = "recurrent"
    """Recurrent layers; or, as baselines, a fixed window of neighbours, or the word vectors alone."""
    bidirectional: bool = True
    """Whether each layer reads the sentence from both ends."""

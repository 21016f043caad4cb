"""What the tasks of describing pictures and clips hand on: settings, options, and what was written. Needs no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import Field, model_validator

from nlp_lstm.data.pictures import Features, PictureExample, Pixels
from nlp_lstm.nn.settings import AttentionName, CellName, EncoderName
from nlp_lstm.settings import Settings, parse_settings


class DescriptionSettings(Settings):
    """The encoder of pictures and the decoder."""

    encoder: EncoderName = "cnn"
    """How a picture is read: by convolutions; by a two-dimensional LSTM; as features that another network made of it,
    which the data brings; or, for comparison, not at all."""
    image_size: int = Field(64, ge=32, le=512)
    """Pixels along each side that a picture is brought to."""
    channels: int = Field(48, ge=8, le=1_024, multiple_of=8)
    """Of the encoder's first layer; each place of its output has four times as many features."""
    cell: CellName = "lstm"
    """The recurrent cell, as in every task."""
    hidden: int = Field(256, ge=1)
    """Features of the decoder's state."""
    embed: int = Field(128, ge=1)
    """Features of a word, whose table is also that of the softmax."""
    decoder_layers: int = Field(1, ge=1, le=16)
    """Recurrent layers of the decoder."""
    attention: AttentionName = "additive"
    """Where the decoder looks (Xu et al. 2015): additive, general, multi-head; or none: what was seen is its first
    state alone (Vinyals et al. 2015)."""
    input_feeding: bool = True
    """Whether each step also reads what the step before has made of its context."""
    embedding_dropout: float = Field(0.0, ge=0, lt=1)
    """Locked dropout on the vectors of the words."""
    dropout: float = Field(0.2, ge=0, lt=1)
    """Locked dropout on what is looked at and on what the softmax reads."""
    naming: float = Field(1.0, ge=0, le=100)
    """Weight of the second loss, which asks the places of a picture for the words that are said of it (Fang et al.
    2015) and teaches the encoder of pixels; 0 for an encoder that learns from the sentences alone."""
    label_smoothing: float = Field(0.0, ge=0, lt=1)
    """Share of the target spread over all words."""
    min_count: int = Field(2, ge=1)
    """Words rarer than this in the training sentences are never written."""
    lower_case: bool = True
    """Whether capital letters are written as small ones."""
    beams: int = Field(3, ge=1, le=100)
    """Sentences searched side by side where the options of a prediction say nothing else; 1 is greedy."""
    length_penalty: float = Field(0.6, ge=0, le=10)
    """The exponent of the length that scores are divided by, where the options say nothing else."""

    def network(self) -> dict[str, Any]:
        """Return what the network is built with, by the names of its arguments."""
        return {
            "encoder": self.encoder,
            "channels": self.channels,
            "cell": self.cell,
            "hidden_size": self.hidden,
            "embed_size": self.embed,
            "decoder_layers": self.decoder_layers,
            "attention": self.attention,
            "feeds_input": self.input_feeding,
            "embedding_dropout": self.embedding_dropout,
            "dropout": self.dropout,
            "names_places": self.naming > 0,
        }


class CaptionSettings(DescriptionSettings):
    """The encoder of pictures and the decoder."""


class VideoSettings(DescriptionSettings):
    """The encoder of frames, the layers over time, and the decoder."""

    image_size: int = Field(48, ge=32, le=512)
    """Pixels along each side that a frame is brought to."""
    frames: int = Field(8, ge=2, le=256)
    """The most frames that are looked at; of a longer clip as many as lie evenly in it, the first and the last too."""
    channels: int = Field(24, ge=8, le=1_024, multiple_of=8)
    """Of the encoder's first layer; it gives four times as many features."""
    encoder_layers: int = Field(1, ge=1, le=16)
    """Recurrent layers over time."""
    bidirectional: bool = True
    """Whether a clip is also read from its end; each direction then has half of the features."""

    @model_validator(mode="after")
    def _halves(self) -> VideoSettings:
        if self.bidirectional and self.hidden % 2:
            raise ValueError(f"hidden is {self.hidden}; two directions need an even number, or bidirectional=false")
        return self

    def network(self) -> dict[str, Any]:
        """Return what the network is built with, by the names of its arguments."""
        own = {"encoder_layers": self.encoder_layers, "is_bidirectional": self.bidirectional}
        return super().network() | own


class CaptionOptions(Settings):
    """How a description is searched; the names are those of Hugging Face's text generation."""

    num_beams: int | None = Field(None, ge=1, le=100)
    """Sentences searched side by side. Default: the model's."""
    length_penalty: float | None = Field(None, ge=0, le=10)
    """More favours longer sentences. Default: the model's."""
    num_return_sequences: int = Field(1, ge=1, le=100)
    """Sentences for each, the best first, each with its score."""
    no_repeat_ngram_size: int = Field(0, ge=0)
    """No run of this many words comes twice; 0 allows all."""
    max_new_tokens: int = Field(40, ge=1, le=1_000)
    """The most words that are written."""
    attention: bool = False
    """Whether the result also says where each word looked."""


def caption_options(values: Mapping[str, Any]) -> CaptionOptions:
    """Check options given by name.

    Raises:
        ConfigError: a value is not one of those accepted.
    """
    return parse_settings(CaptionOptions, values, "options")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Seen(PictureExample):
    """A picture or clip that has been read, with its sentences as ids.

    Args:
        content: pixels, or features.
        caption_ids: of each sentence, without begin and end.
    """

    content: Pixels | Features
    caption_ids: tuple[tuple[int, ...], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """What was written of one picture or clip.

    Args:
        texts: the sentences, the best first.
        scores: their log-probabilities in nats, divided by the length penalty.
        words: those of the best one and the end, where attention was asked for.
        weights: `word place`, where each of them looked.
    """

    texts: tuple[str, ...]
    scores: tuple[float, ...] = ()
    words: tuple[str, ...] = ()
    weights: tuple[tuple[float, ...], ...] = ()

    @property
    def text(self) -> str:
        """The best sentence."""
        return self.texts[0]

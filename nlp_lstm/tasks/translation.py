"""What the task of translation hands on: settings, options, and what was written. Needs no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import Field, model_validator

from nlp_lstm.errors import ConfigError
from nlp_lstm.nn.settings import AttentionName, CellName
from nlp_lstm.settings import Settings, parse_settings


class TranslationSettings(Settings):
    """The encoder-decoder."""

    vocabulary: int = Field(8_000, ge=300, le=100_000)
    """Pieces of words, learnt from the training text."""
    vocabularies: Literal["shared", "separate"] = "shared"
    """Whether both languages share the pieces and one table, or each has its own, as pretrained halves do."""
    cell: CellName = "lstm"
    """The recurrent cell's name: rnn, rnn-relu; lstm-1997 (no forget gate), lstm, peephole, blocks (of four cells that
    share their gates), cifg (one gate for in and forget), layernorm, mogrifier; gru; sru, minlstm, mingru (no recurrent
    product, many times faster)."""
    hidden: int = Field(320, ge=2)
    """Features of the decoder's state; each direction of the encoder has half of them."""
    embed: int = Field(256, ge=1)
    """Features of a piece, whose table is also that of the softmax, and where it is shared that of the source."""
    source_embed: int | None = Field(None, ge=1)
    """Features of a piece of the source where its table is separate; null for as many as ``embed``."""
    layers: int = Field(1, ge=1, le=16)
    """Recurrent layers of the encoder."""
    decoder_layers: int = Field(1, ge=0, le=16)
    """Recurrent layers of the decoder; 0, with aligned attention, writes each word from the one read at its place."""
    bidirectional: bool = True
    """Whether the encoder reads from both ends."""
    attention: AttentionName = "general"
    """Where the decoder looks: additive, dot, general, multi-head; aligned (at the word in the same place) or none (it
    knows the encoder's last state alone)."""
    lexical: bool = True
    """Whether each word also depends on the vectors of those looked at, without their context (Nguyen and Chiang 2018);
    only where the attention has weights."""
    input_feeding: bool = True
    """Whether each step also reads what the step before has made of its context."""
    combined: Literal["tanh", "linear"] = "tanh"
    """What the vector that the softmax reads goes through; with ``linear`` a decoder can begin as a language model."""
    embedding_dropout: float = Field(0.2, ge=0, lt=1)
    """Locked dropout on the vectors of the pieces."""
    dropout: float = Field(0.4, ge=0, lt=1)
    """Locked dropout between the layers and on what the softmax reads."""
    word_dropout: float = Field(0.0, ge=0, lt=1)
    """Share of the pieces that are read as unknown in training."""
    marked_words: float = Field(0.0, ge=0, le=1)
    """Share of the training pairs that are learnt once more with marks in place of some words of both sides, as stand
    for numbers and addresses; then these go to their place also where the training text has few."""
    label_smoothing: float = Field(0.1, ge=0, lt=1)
    """Share of the target spread over all pieces (Szegedy et al. 2016)."""
    random_pieces: float = Field(0.0, ge=0, le=1)
    """Share of the training texts whose words are cut into pieces at random (subword regularisation, Kudo 2018)."""
    sharpness: float = Field(0.2, ge=0)
    """How much likelier cuts are preferred then; 0 takes all alike."""
    beams: int = Field(5, ge=1, le=100)
    """Translations searched side by side where the options of a prediction say nothing else; 1 is greedy."""
    length_penalty: float = Field(1.0, ge=0, le=10)
    """The exponent of the length that scores are divided by, where the options say nothing else (Wu et al. 2016)."""

    @model_validator(mode="after")
    def _check_shape(self) -> TranslationSettings:
        if self.bidirectional and self.hidden % 2:
            raise ValueError("hidden must be even: each direction of the encoder has half of it")
        if self.decoder_layers == 0 and self.attention != "aligned":
            raise ValueError("decoder_layers: 0 goes with attention: aligned only")
        if self.source_embed is not None and self.vocabularies == "shared":
            raise ValueError("source_embed goes with vocabularies: separate; a shared table has embed features")
        return self


class TranslationOptions(Settings):
    """How a translation is searched; the names are those of Hugging Face's text generation."""

    num_beams: int | None = Field(None, ge=1, le=100)
    """Translations searched side by side; 1 takes the likeliest piece at each step (greedy). Default: the model's."""
    length_penalty: float | None = Field(None, ge=0, le=10)
    """0 compares sums of log-probabilities; more favours longer translations. Default: the model's."""
    num_return_sequences: int = Field(1, ge=1, le=100)
    """Translations of each text, the best first, each with its score."""
    no_repeat_ngram_size: int = Field(0, ge=0)
    """No run of this many pieces comes twice; 0 allows all."""
    coverage_penalty: float = Field(0.0, ge=0, le=10)
    """How much a translation loses that leaves parts of the source unread (Wu et al. 2016, equation 14)."""
    max_new_tokens: int | None = Field(None, ge=1, le=10_000)
    """The most pieces that are written for a sentence. Default: three times those of the source, and ten more."""
    attention: bool = False
    """Whether the result also says where each piece of the translation looked."""


def translation_options(values: Mapping[str, Any]) -> TranslationOptions:
    """Check options given by name.

    Raises:
        ConfigError: a value is not one of those accepted, or two do not go together.
    """
    options = parse_settings(TranslationOptions, values, "options")
    if options.num_return_sequences > 1 and options.attention:
        raise ConfigError("attention is shown for one translation; leave out num_return_sequences")
    return options


@dataclass(frozen=True, slots=True, kw_only=True)
class Translated:
    """What was written for one sentence.

    Args:
        texts: the translations, the best first.
        scores: their log-probabilities in nats, divided by the length penalty.
        is_cut: whether the best one was cut off at the limit.
        source_pieces: the pieces of the source, where asked for.
        target_pieces: those of the best translation.
        weights: `target source`, where each piece of the translation looked; rows sum to 1.
    """

    texts: tuple[str, ...]
    scores: tuple[float, ...] = ()
    is_cut: bool = False
    source_pieces: tuple[str, ...] = ()
    target_pieces: tuple[str, ...] = ()
    weights: tuple[tuple[float, ...], ...] = ()

    @property
    def text(self) -> str:
        """The best translation."""
        return self.texts[0]

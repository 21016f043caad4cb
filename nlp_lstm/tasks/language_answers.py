"""Using a language model: from a beginning to what is written on it. Needs no torch.

The task is in `nlp_lstm.tasks.lm`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Literal, TypeAlias, TypeVar

import numpy as np
from pydantic import Field, model_validator

from nlp_lstm.artifacts import GRAPH_NAME, STEP_GRAPH_NAME
from nlp_lstm.data.example import TextExample
from nlp_lstm.errors import CheckpointError, ConfigError
from nlp_lstm.nn.settings import CellName
from nlp_lstm.settings import Settings
from nlp_lstm.tasks.generation import (
    READ_AT_ONCE,
    Generated,
    GenerationOptions,
    Start,
    encode_beginning,
    fit,
    generate,
    generation_options,
    stream_text,
)
from nlp_lstm.tasks.graph_writing import read_on, select, step_of
from nlp_lstm.tasks.predictor import ArrayPredictor, Run, predictors
from nlp_lstm.text.document import Document
from nlp_lstm.text.tokenize import Tokenizer
from nlp_lstm.text.units import EOS_ID, UnitName, Units, units_from_dict

PredictorType = TypeVar("PredictorType", bound="LanguagePredictor")

LEAST_SIZE = 16  # tokens that a beginning counts as: each row also has the probabilities of all words

Read: TypeAlias = Callable[[Sequence[Sequence[int]]], Start]
"""What reads the ids of beginnings, and says where writing on them begins."""


class LanguageSettings(Settings):
    """The language model."""

    unit: UnitName = "word"
    """What a token is: word, subword or character."""
    vocabulary: int = Field(50_000, ge=1, le=10_000_000)
    """At most this many words or characters, the most frequent; of subwords just as many."""
    min_count: int = Field(1, ge=1)
    """Rarer words or characters are unknown."""
    direction: Literal["forward", "backward"] = "forward"
    """Whether each token is predicted from those before it, or from those after it."""
    cell: CellName = "lstm"
    """The recurrent cell's name: rnn, rnn-relu; lstm-1997 (no forget gate), lstm, peephole, blocks (of four cells that
    share their gates), cifg (one gate for in and forget), layernorm, mogrifier; gru; sru, minlstm, mingru (no recurrent
    product, many times faster)."""
    hidden: int = Field(512, ge=1)
    """Features of the hidden state."""
    layers: int = Field(2, ge=1, le=64)
    """How many recurrent layers."""
    embed: int = Field(256, ge=1)
    """Features of a word, whose table is also that of the softmax."""
    vectors: tuple[str, ...] = ()
    """Pretrained word vectors, by name or file, that the table of words begins as."""
    cutoffs: tuple[int, ...] | None = None
    """Of the adaptive softmax: words beyond each get shorter vectors. [] for a plain softmax; null takes 4,000 and
    16,000 where the vocabulary is larger."""
    embedding_dropout: float = Field(0.1, ge=0, lt=1)
    """Share of the vocabulary that is dropped in a batch."""
    input_dropout: float = Field(0.3, ge=0, lt=1)
    """Locked dropout on the word vectors."""
    dropout: float = Field(0.3, ge=0, lt=1)
    """Locked dropout between the layers and on the outputs."""
    recurrent_dropout: float = Field(0.0, ge=0, lt=1)
    """Share of the recurrent weights that is dropped in a batch (DropConnect)."""
    activation_penalty: float = Field(0.0, ge=0)
    """Weight of the outputs' mean square in the loss (AR of Merity et al. 2017)."""
    change_penalty: float = Field(0.0, ge=0)
    """Weight of the mean square of the outputs' change from step to step (TAR)."""
    window: int = Field(70, ge=2, le=10_000)
    """Steps that a gradient goes back."""
    window_varies: bool = True
    """Whether windows are of different lengths, the longest 20 steps longer, so that no place in the text is always at
    an edge."""
    adapt: bool = True
    """Whether evaluation also measures the model when it adapts to the text that it reads."""

    @model_validator(mode="after")
    def _check_vectors(self) -> LanguageSettings:
        if self.vectors and self.unit != "word":
            raise ValueError(f"vectors are those of words, and unit is {self.unit}; leave out one of them")
        return self


@predictors.register("lm")
class LanguagePredictor(ArrayPredictor):
    """Writing with a language model.

    The graph that reads takes ``ids``, `batch time`; the rest is in `nlp_lstm.tasks.graph_writing`.

    Args:
        settings: the model.
        units: what a token is.
    """

    name: ClassVar[str] = "lm"
    settings_type = LanguageSettings
    option_names: ClassVar[tuple[str, ...]] = tuple(GenerationOptions.model_fields)
    graphs: ClassVar[tuple[str, ...]] = (GRAPH_NAME, STEP_GRAPH_NAME)

    def __init__(self, settings: LanguageSettings, units: Units) -> None:
        self.settings = settings
        self.units = units

    @classmethod
    def from_vocabulary(
        cls: type[PredictorType], settings: LanguageSettings, values: Mapping[str, Any]
    ) -> PredictorType:
        return cls.from_folder(settings, values, {})

    @classmethod
    def from_folder(
        cls: type[PredictorType], settings: LanguageSettings, values: Mapping[str, Any], files: Mapping[str, bytes]
    ) -> PredictorType:
        return cls(settings, read_units(settings, values, files))

    @property
    def _is_backward(self) -> bool:
        return self.settings.direction == "backward"

    def size(self, example: TextExample) -> int:
        return max(LEAST_SIZE, len(example.document))

    def tokens_at_once(self, batch_tokens: int, options: Mapping[str, Any]) -> int:
        """Return fewer where several texts are written on each beginning."""
        asked = self._options(options)
        return max(1, batch_tokens // max(asked.num_beams, asked.num_return_sequences))

    def read_text(self, text: Any, tokenizer: Tokenizer | None, *, is_pretokenized: bool) -> Iterator[TextExample]:
        if is_pretokenized:
            yield TextExample(document=Document.from_words(text))
        elif tokenizer is not None:
            yield TextExample(document=tokenizer.tokenize(text))

    def check_options(self, **options: Any) -> None:
        self._options(options)

    def _options(self, values: Mapping[str, Any]) -> GenerationOptions:
        """Check options of writing given by name."""
        return generation_options(values)

    def predict_arrays(
        self, run: Run, examples: Sequence[TextExample], *, pad_to: int = 0, **options: Any
    ) -> list[Generated]:
        return self.write(self.reader(run), [example.document for example in examples], options)

    def reader(self, run: Run) -> Read:
        """Return what reads beginnings with a network that an engine runs."""

        def read(prompts: Sequence[Sequence[int]]) -> Start:
            states = read_on(run, [[EOS_ID, *prompt][:-1] for prompt in prompts], at_once=READ_AT_ONCE)
            last_tokens = np.array([prompt[-1] if len(prompt) else EOS_ID for prompt in prompts], dtype=np.int64)
            return Start(step_of(run, len(self.units)), select, states, last_tokens)

        return read

    def write(self, read: Read, documents: Sequence[Document], options: Mapping[str, Any]) -> list[Generated]:
        """Write on from each beginning.

        Args:
            read: the network.
            documents: the beginnings.
            options: those of `option_names`.

        Raises:
            ConfigError: the model reads from the end of a text.
        """
        self._check_forward()
        settings = self._options(options)
        prompts = [encode_beginning(self.units, document) for document in documents]
        found = generate(self._start(read, prompts, settings), self.units, prompts, settings)
        return [
            Generated(texts=tuple("".join(fit(self.units, document.text, [text])) for text in written.texts))
            for document, written in zip(documents, found, strict=True)
        ]

    def stream_on(self, read: Read, document: Document, options: Mapping[str, Any]) -> Iterator[str]:
        """Yield what is written on a beginning, piece by piece; see `nlp_lstm.tasks.generation`.

        Raises:
            ConfigError: the model reads from the end of a text, or the options are those of several texts.
        """
        self._check_forward()
        ids = encode_beginning(self.units, document)
        settings = self._options(options)
        pieces = stream_text(self._start(read, [ids], settings), self.units, ids, settings)
        return fit(self.units, document.text, pieces)

    def _start(self, read: Read, prompts: Sequence[Sequence[int]], options: GenerationOptions) -> Start:
        """Return where writing on some beginnings begins."""
        return read(prompts)

    def _check_forward(self) -> None:
        if self._is_backward:
            raise ConfigError("this model reads from the end of a text to its beginning; it cannot write on")

    def format(
        self, answers: Iterable[tuple[TextExample, Generated]], **options: Any
    ) -> dict[str, Any] | list[dict[str, Any]]:
        """Return what was written, in the shape of Hugging Face's text generation."""
        settings = self._options(options)
        example, written = next(iter(answers))
        beginning = example.document.text if settings.return_full_text else ""
        results = [{"generated_text": beginning + text} for text in written.texts]
        return results if settings.num_return_sequences > 1 else results[0]

    def as_line(self, result: Any) -> str:
        """Return what was written, of several texts the first."""
        first: dict[str, Any] = result[0] if isinstance(result, list) else result
        return str(first["generated_text"])


def read_units(settings: LanguageSettings, values: Mapping[str, Any], files: Mapping[str, bytes]) -> Units:
    """Return what a stored model's tokens are.

    Raises:
        CheckpointError: the vocabulary is damaged, or not of the settings.
    """
    units = units_from_dict(values, files)
    if units.name != settings.unit:
        raise CheckpointError(f"the settings say {settings.unit}, the vocabulary {units.name}")
    return units

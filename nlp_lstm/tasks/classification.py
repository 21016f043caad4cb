"""Using a classifier of texts: from words to arrays, and from arrays to labels. Needs no torch.

The task is in `nlp_lstm.tasks.sentiment`.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, ClassVar, Literal, NamedTuple, TypeVar

from pydantic import Field, field_validator, model_validator

from nlp_lstm.data.example import LabelledExample
from nlp_lstm.data.words import WordCoder, WordVocabularies
from nlp_lstm.errors import CheckpointError, ConfigError, DataError, shorten
from nlp_lstm.nn.settings import BackboneSettings, poolings
from nlp_lstm.tasks.labels import check_labels
from nlp_lstm.tasks.predictor import ArrayPredictor, Arrays, Run, checked_output, predictors
from nlp_lstm.text.document import Document
from nlp_lstm.text.tokenize import Tokenizer
from nlp_lstm.text.vocabulary import Vocabulary, check_keys

PredictorType = TypeVar("PredictorType", bound="ClassificationPredictor")

LONG_TEXT = 50_000  # characters; longer texts are tokenised while they are read
LOWEST_TEMPERATURE, HIGHEST_TEMPERATURE = 0.1, 10.0


class EmptyTextWarning(UserWarning):
    """A text without words was classified: the answer is how frequent each label is in the training data."""


class ClassificationSettings(BackboneSettings):
    """The classifier: the shared backbone, a pooling over its outputs, and one softmax over the labels."""

    layers: int = Field(1, ge=1, le=64)
    """How many recurrent layers."""
    pooling: str = "max"
    """From the outputs of all words to one vector: attention, last, max, mean."""
    bptt_window: int = Field(256, ge=1, le=100_000)
    """Words read at a stretch. The state is carried over to the next stretch, the gradient is not."""
    longest: int = Field(2_048, ge=2, le=10_000_000)
    """Words of a training text that are read; of a longer one the beginning and the end, half of this each."""
    label_smoothing: float = Field(0.0, ge=0, lt=1)
    """Share of the target spread over all labels."""
    phrases: Literal["apart", "inside"] = "apart"
    """Whether labelled phrases are learnt as texts of their own, or all together where they stand in their sentence."""
    tree_rounds: int = Field(1, ge=1, le=1_000)
    """How many times a sentence with phrases inside is learnt while the other texts are gone through once."""
    class_weights: Literal["none", "balanced"] = "none"
    """Whether rare labels count more, in inverse proportion to their frequency among the texts; labels that phrases
    alone have count as the rarest one of the texts."""

    @field_validator("pooling")
    @classmethod
    def _check_pooling(cls, name: str) -> str:
        if name not in poolings:
            raise ValueError(poolings.unknown_message(name))
        return name

    @model_validator(mode="after")
    def _check_phrases(self) -> ClassificationSettings:
        if self.phrases == "inside" and self.pooling != "max":
            raise ValueError(f"phrases inside their sentence are learnt with pooling max, not {self.pooling}")
        return self


class WordEffect(NamedTuple):
    """A word and how much it moved the decision.

    Args:
        word: as written.
        start: its place in the text, in code points.
        end: end-exclusive.
        score: logits; above zero it spoke for the label that was chosen, below zero against it.
    """

    word: str
    start: int
    end: int
    score: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelPrediction:
    """What the network says of one text.

    Args:
        probabilities: label to probability, all labels.
        effects: how much each word moved the decision, where asked for.
    """

    probabilities: Mapping[str, float]
    effects: tuple[WordEffect, ...] | None = None

    @property
    def label(self) -> str:
        """The most probable label."""
        return max(self.probabilities, key=lambda label: self.probabilities[label])


@dataclass(frozen=True, slots=True, kw_only=True)
class LongText:
    """A text that is tokenised while it is read, so that its tokens are never all in memory."""

    text: str
    tokenizer: Tokenizer

    def words(self) -> Iterator[str]:
        """Yield the words of the text."""
        return (word for sentence in self.tokenizer.sentences(self.text) for word in sentence.words)


@predictors.register("sentiment")
class ClassificationPredictor(ArrayPredictor):
    """Classification of whole texts.

    The network takes the arrays of `RowArrays` of one stretch of each text and gives ``probabilities``, `batch label`.
    Whatever it gives as ``next.X`` goes into the next stretch of the same texts as ``X``; the first stretch leaves that
    out.

    Args:
        settings: the model.
        words: vocabularies of the words and their parts.
        labels: the labels.
        shares: how frequent each label is in the training data, the answer for texts without words.
    """

    name: ClassVar[str] = "sentiment"
    settings_type = ClassificationSettings
    option_names: ClassVar[tuple[str, ...]] = ("top_k", "explain")
    gradient_options: ClassVar[tuple[str, ...]] = ("explain",)

    def __init__(
        self, settings: ClassificationSettings, words: WordVocabularies, labels: Vocabulary, shares: Sequence[float]
    ) -> None:
        self.settings = settings
        self.words = words
        self.coder = WordCoder(words, lower_case=settings.embedding.lower_case)
        self.labels = labels
        self.shares = tuple(shares)

    @classmethod
    def from_vocabulary(
        cls: type[PredictorType], settings: ClassificationSettings, values: Mapping[str, Any]
    ) -> PredictorType:
        if not isinstance(values.get("words"), dict):
            raise CheckpointError("damaged vocabulary: a classifier needs words, labels and shares")
        check_keys(values, ("words", "labels", "shares"))
        labels = Vocabulary.from_dict(values.get("labels"))
        check_labels({"label": labels.tokens}, CheckpointError)
        shares = values.get("shares")
        is_right = isinstance(shares, list) and len(shares) == len(labels)
        if not is_right or any(not isinstance(share, float) or not 0 <= share <= 1 for share in shares or ()):
            raise CheckpointError(f"damaged vocabulary: shares is {shorten(shares)}, expected one number per label")
        if abs(sum(shares or ()) - 1) > 1e-3:
            raise CheckpointError(f"damaged vocabulary: the shares {shorten(shares)} do not sum to 1")
        return cls(settings, WordVocabularies.from_dict(values["words"]), labels, shares or ())

    def size(self, example: LabelledExample | LongText) -> int:
        return len(example.document) if isinstance(example, LabelledExample) else self.settings.bptt_window

    def check_weights(self, weights: Arrays) -> None:
        temperature = weights.get("temperature")
        if temperature is None or temperature.shape != ():
            raise CheckpointError("the weights hold no temperature; train the model again")
        check_temperature(float(temperature))

    def predict_arrays(
        self, run: Run, examples: Sequence[LabelledExample], *, pad_to: int = 0, **options: Any
    ) -> list[LabelPrediction]:
        rows = [example.document.words for example in examples]
        size = self.settings.bptt_window
        longest = max(map(len, rows))
        stretches = ([row[start : start + size] for row in rows] for start in range(0, longest, size))
        return self._read(run, stretches, pad_to)

    def predict_long_arrays(self, run: Run, example: LabelledExample | LongText) -> LabelPrediction | None:
        if not isinstance(example, LongText):
            return None
        words = example.words()
        stretches = iter(lambda: list(islice(words, self.settings.bptt_window)), [])
        return self._read(run, ([stretch] for stretch in stretches))[0]

    def _read(self, run: Run, stretches: Iterable[Sequence[Sequence[str]]], pad_to: int = 0) -> list[LabelPrediction]:
        """Read the rows stretch by stretch; a row that has ended has no words in the later ones."""
        outputs: Arrays = {}
        num_rows = 0
        for rows in stretches:
            num_rows = len(rows)
            arrays = self.coder.make_arrays(rows, pad_to=pad_to)
            carried = {name.removeprefix("next."): value for name, value in outputs.items() if name.startswith("next.")}
            outputs = run({**arrays, **carried})
        probabilities = checked_output(outputs, "probabilities", num_rows, len(self.labels))
        return [
            LabelPrediction(probabilities=dict(zip(self.labels.tokens, row, strict=True)))
            for row in probabilities.tolist()
        ]

    def read_text(
        self, text: Any, tokenizer: Tokenizer | None, *, is_pretokenized: bool
    ) -> Iterator[LabelledExample | LongText]:
        if is_pretokenized:
            if text:
                yield LabelledExample(document=Document.from_words(text))
        elif tokenizer is not None and _is_long(text):
            yield LongText(text=text, tokenizer=tokenizer)
        elif tokenizer is not None:
            document = tokenizer.tokenize(text)
            if len(document):
                yield LabelledExample(document=document)

    def check_options(self, *, top_k: int | None = 1, explain: bool = False) -> None:  # type: ignore[override]
        if top_k is not None and (type(top_k) is not int or top_k < 1):
            raise ConfigError(f"top_k is {shorten(top_k)}; give how many labels, from 1, or None for all")
        if not isinstance(explain, bool):
            raise ConfigError(f"explain is {shorten(explain)}; give True or False")
        if explain and top_k != 1:
            raise ConfigError("explain is about the most probable label; leave out top_k")

    def check_text(self, text: Any, where: str, **options: Any) -> None:
        if options.get("explain") and _is_long(text):
            raise DataError(
                f"{where} is {shorten(text)} of {len(text):,} characters, too long to explain word by word; explain "
                f"takes up to {LONG_TEXT:,}"
            )

    def format(  # type: ignore[override]
        self,
        answers: Iterable[tuple[LabelledExample, LabelPrediction]],
        *,
        top_k: int | None = 1,
        explain: bool = False,
    ) -> dict[str, Any] | list[dict[str, Any]]:
        """Return the label and its score, in the shape of Hugging Face's text classification.

        Args:
            answers: the one text with its prediction; nothing where the text has no words.
            top_k: 1 gives one dictionary; more, or None for all labels, a list of them, the most probable first.
            explain: adds ``words``: each word with how much it moved the decision (logits, positive for the label).
        """
        prediction = next((prediction for _, prediction in answers), None)
        if prediction is None:
            warnings.warn(
                "the text has no words; the answer is how frequent each label is in the training data",
                EmptyTextWarning,
                stacklevel=2,
            )
            prediction = LabelPrediction(
                probabilities=dict(zip(self.labels.tokens, self.shares, strict=True)), effects=()
            )
        ordered = sorted(prediction.probabilities.items(), key=lambda item: -item[1])
        results: list[dict[str, Any]] = [{"label": label, "score": score} for label, score in ordered]
        if top_k != 1:
            return results[:top_k]
        if explain:
            results[0]["words"] = [effect._asdict() for effect in prediction.effects or ()]
        return results[0]

    def as_line(self, result: Any) -> str:
        """Return the label, of several the most probable."""
        best: dict[str, Any] = result[0] if isinstance(result, list) else result
        return str(best["label"])


def check_temperature(temperature: float) -> None:
    """Refuse a temperature that no calibration gives; it would turn scores around or into no numbers.

    Raises:
        CheckpointError: it is too low, too high or no number.
    """
    if not LOWEST_TEMPERATURE <= temperature <= HIGHEST_TEMPERATURE:
        raise CheckpointError(
            f"the temperature is {temperature:g}; it is from {LOWEST_TEMPERATURE:g} to {HIGHEST_TEMPERATURE:g}. Train "
            "the model again"
        )


def _is_long(text: Any) -> bool:
    """Whether a text, or a list of its tokens, is one that is tokenised while it is read."""
    return isinstance(text, str) and len(text) > LONG_TEXT and not text.isspace()

"""Using a tagger: from words to arrays, and from arrays to labels. Needs no torch.

The task is in `nlp_lstm.tasks.pos`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, TypeVar

import numpy as np
from pydantic import Field, model_validator

from nlp_lstm.data.example import TaggedExample
from nlp_lstm.data.sampling import cut_windows
from nlp_lstm.data.words import WordCoder, WordVocabularies
from nlp_lstm.decoding.chain import Chain
from nlp_lstm.decoding.labels import decode_labels
from nlp_lstm.errors import CheckpointError, ConfigError
from nlp_lstm.nn.settings import BackboneSettings
from nlp_lstm.tasks.labels import check_labels
from nlp_lstm.tasks.predictor import ArrayPredictor, Arrays, Run, checked_output, predictors
from nlp_lstm.text.document import Document
from nlp_lstm.text.tokenize import Tokenizer
from nlp_lstm.text.vocabulary import Vocabulary, check_keys

PredictorType = TypeVar("PredictorType", bound="TaggingPredictor")

WINDOW_SIZE = 512  # tokens; longer sentences are read in stretches
WINDOW_CONTEXT = 64  # tokens read before and after a stretch


class TaggingSettings(BackboneSettings):
    """The tagger: the shared backbone and one head per label column."""

    labels: tuple[str, ...] | None = None
    """Label columns, the main one first; null takes upos and xpos where the data has them, else its one column."""
    head: Literal["linear", "crf"] = "linear"
    """Labels independent of each other, or as a chain."""
    label_smoothing: float = Field(0.0, ge=0, lt=1)
    """Share of the target spread over all labels; linear head only."""
    networks: int = Field(1, ge=1, le=16)
    """Networks side by side, each with its own beginning and dropout, which share the pretrained vectors; the mean of
    their probabilities decides (Hansen and Salamon 1990). Linear head only."""
    context_size: int = Field(128, ge=1)
    """Features of a word in its sentence, from the states of the language models that the recipe's context names."""

    @model_validator(mode="after")
    def _check_head(self) -> TaggingSettings:
        if self.head == "crf" and self.label_smoothing:
            raise ValueError("label_smoothing works with head: linear only; set it to 0 or change the head")
        if self.head == "crf" and self.networks > 1:
            raise ValueError("several networks work with head: linear only; set networks to 1 or change the head")
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class TaggedStretch(TaggedExample):
    """A part of a long sentence with its context, which is not cut again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TagPrediction:
    """The labels of one sentence.

    Args:
        labels: column to one label per token.
        scores: column to the probability of each label, in [0, 1].
        distributions: column to one distribution per token, label to probability, where a teacher is asked.
    """

    labels: Mapping[str, tuple[str, ...]]
    scores: Mapping[str, tuple[float, ...]]
    distributions: Mapping[str, tuple[Mapping[str, float], ...]] = field(default_factory=dict)


@predictors.register("pos")
class TaggingPredictor(ArrayPredictor):
    """Tagging with one or more label columns.

    The network takes the arrays of `RowArrays` and gives ``logits.N``, `batch time label`, for the column of number N,
    and with a CRF ``transitions.N``, ``start.N`` and ``end.N`` of its chain.

    Args:
        settings: the model.
        words: vocabularies of the words and their parts.
        labels: column to its labels; the first column is the main one.
    """

    name: ClassVar[str] = "pos"
    settings_type = TaggingSettings
    option_names: ClassVar[tuple[str, ...]] = ("label",)

    def __init__(self, settings: TaggingSettings, words: WordVocabularies, labels: Mapping[str, Vocabulary]) -> None:
        self.settings = settings
        self.words = words
        self.coder = WordCoder(words, lower_case=settings.embedding.lower_case)
        self.labels = dict(labels)
        self.main_column = next(iter(self.labels))

    @classmethod
    def from_vocabulary(
        cls: type[PredictorType], settings: TaggingSettings, values: Mapping[str, Any]
    ) -> PredictorType:
        check_keys(values, ("words", "labels"))
        return cls(settings, *read_vocabularies(values))

    def size(self, example: TaggedExample) -> int:
        return len(example.document)

    def predict_arrays(
        self, run: Run, examples: Sequence[TaggedExample], *, pad_to: int = 0, **options: Any
    ) -> list[TagPrediction]:
        arrays = self.coder.make_arrays([example.document.words for example in examples], pad_to=pad_to)
        return self.decode_arrays(run(arrays), arrays.lengths.tolist(), arrays.index.shape[1])

    def decode_arrays(self, outputs: Arrays, lengths: Sequence[int], num_steps: int) -> list[TagPrediction]:
        """Return the predictions that the network's outputs stand for.

        Args:
            outputs: of the network.
            lengths: words per row.
            num_steps: how long the rows are with their padding.

        Raises:
            CheckpointError: they do not fit the labels.
        """
        columns = {}
        mask = np.arange(num_steps) < np.asarray(lengths)[:, None]
        for number, (column, vocabulary) in enumerate(self.labels.items()):
            size = len(vocabulary)
            logits = checked_output(outputs, f"logits.{number}", len(lengths), num_steps, size)
            chain = None
            if self.settings.head == "crf":
                chain = Chain(
                    transitions=checked_output(outputs, f"transitions.{number}", size, size),
                    start=checked_output(outputs, f"start.{number}", size),
                    end=checked_output(outputs, f"end.{number}", size),
                )
            best = decode_labels(logits, mask, chain)
            columns[column] = (vocabulary.tokens, best.labels.tolist(), best.probs.tolist())
        return [
            TagPrediction(
                labels={
                    column: tuple(map(names.__getitem__, ids[row][:length]))
                    for column, (names, ids, _) in columns.items()
                },
                scores={column: tuple(probs[row][:length]) for column, (_, _, probs) in columns.items()},
            )
            for row, length in enumerate(lengths)
        ]

    def read_text(self, text: Any, tokenizer: Tokenizer | None, *, is_pretokenized: bool) -> Iterator[TaggedExample]:
        if is_pretokenized:
            if text:
                yield TaggedExample(document=Document.from_words(text), labels={})
        elif tokenizer is not None:
            for document in tokenizer.sentences(text):
                yield TaggedExample(document=document, labels={})

    def cut_long(self, example: TaggedExample) -> list[tuple[TaggedExample, int, int]]:
        if len(example.document) <= WINDOW_SIZE or isinstance(example, TaggedStretch):
            return super().cut_long(example)
        pieces = []
        for window in cut_windows(len(example.document), size=WINDOW_SIZE, context=WINDOW_CONTEXT):
            whole, part = example.document, slice(window.start, window.end)
            document = Document(text=whole.text, words=whole.words[part], starts=whole.starts[part])
            piece = TaggedExample(document=document, labels={})
            pieces.append((piece, window.keep_start - window.start, window.keep_end - window.start))
        return pieces

    def join_long(self, pieces: Sequence[tuple[TagPrediction, int, int]]) -> TagPrediction:
        return TagPrediction(
            labels={
                column: tuple(label for piece, start, end in pieces for label in piece.labels[column][start:end])
                for column in self.labels
            },
            scores={
                column: tuple(score for piece, start, end in pieces for score in piece.scores[column][start:end])
                for column in self.labels
            },
            distributions={
                column: tuple(one for piece, start, end in pieces for one in piece.distributions[column][start:end])
                for column in pieces[0][0].distributions
            },
        )

    def format(  # type: ignore[override]
        self, answers: Iterable[tuple[TaggedExample, TagPrediction]], *, label: str | None = None
    ) -> list[dict[str, Any]]:
        """Return one dictionary per token, in the shape of Hugging Face's token classification.

        Args:
            answers: the sentences of one text, each with its prediction.
            label: which column becomes ``entity`` and ``score``; default the main one. Others add their own keys.
        """
        main = self.main_column if label is None else label
        if not isinstance(main, str) or main not in self.labels:
            raise ConfigError(f'unknown label column "{main}"; this model has {", ".join(self.labels)}')
        others = [column for column in self.labels if column != main]
        results: list[dict[str, Any]] = []
        for example, prediction in answers:
            document = example.document
            labels, scores = prediction.labels[main], prediction.scores[main]
            words = zip(labels, scores, document.words, document.starts, strict=True)
            found: list[dict[str, Any]] = [
                {
                    "entity": label,
                    "score": score,
                    "index": index,
                    "word": word,
                    "start": start,
                    "end": start + len(word),
                }
                for index, (label, score, word, start) in enumerate(words, start=len(results) + 1)
            ]
            for column in others:
                names = (column, f"{column}_score")
                values = zip(prediction.labels[column], prediction.scores[column], strict=True)
                for result, pair in zip(found, values, strict=True):
                    result.update(zip(names, pair, strict=True))
            results += found
        return results

    def as_line(self, result: Any) -> str:
        """Return the words, each with a slash and its label."""
        return " ".join(f"{token['word']}/{token['entity']}" for token in result)


def read_vocabularies(values: Mapping[str, Any]) -> tuple[WordVocabularies, dict[str, Vocabulary]]:
    """Return the words and the labels of each column from a tagger's vocab.json.

    Raises:
        CheckpointError: they are missing or damaged.
    """
    labels = values.get("labels")
    if not isinstance(values.get("words"), dict) or not isinstance(labels, dict) or not labels:
        raise CheckpointError("damaged vocabulary: a tagger needs words and labels")
    vocabularies = {column: Vocabulary.from_dict(found) for column, found in labels.items()}
    check_labels({column: vocabulary.tokens for column, vocabulary in vocabularies.items()}, CheckpointError)
    return WordVocabularies.from_dict(values["words"]), vocabularies

"""Many-to-one: one label for a whole text, such as its sentiment.

    A quiet, wonderful film.        POSITIVE
    It never comes to life.         NEGATIVE

Any label set will do: two, three or five classes, types of question, your own. Texts of any length are read stretch
by stretch with the state carried over, in training (truncated backpropagation through time) as in use.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from nlp_lstm.data.example import LabelledExample
from nlp_lstm.data.reading import ReadingSettings
from nlp_lstm.data.words import WordVocabularies
from nlp_lstm.errors import ConfigError, DataError, shorten
from nlp_lstm.evaluation.classification import ClassificationMetrics, classification_metrics
from nlp_lstm.evaluation.classification_report import (
    classification_comparison,
    classification_figures,
    classification_report,
    domain_figures,
)
from nlp_lstm.evaluation.report import Figure, Report, Section
from nlp_lstm.nn.loss import soft_label_loss
from nlp_lstm.tasks.bag_of_words import tune_bag_of_words
from nlp_lstm.tasks.base import predict_examples
from nlp_lstm.tasks.calibration import best_temperature, calibration_section
from nlp_lstm.tasks.classification import (
    ClassificationPredictor,
    ClassificationSettings,
    LabelPrediction,
    LongText,
)
from nlp_lstm.tasks.classifier import Classifier, Parts
from nlp_lstm.tasks.explanation import EXPLAINED, explain_batch, explanation_section
from nlp_lstm.tasks.labels import check_known, check_labels, failures_of_sentiment, unknown_labels
from nlp_lstm.tasks.predictor import tasks
from nlp_lstm.tasks.targets import average_opinions, own_target, taught_examples
from nlp_lstm.tasks.texts import LabelledBatch
from nlp_lstm.tasks.words import WordTask, choose_words
from nlp_lstm.text.vectors import WordVectors
from nlp_lstm.text.vocabulary import Vocabulary

MOST_LABELS = 1_000


@tasks.register("sentiment")
class ClassificationTask(WordTask, ClassificationPredictor):
    """Classification of whole texts.

    Args:
        settings: the model.
        words: vocabularies of the words and their parts.
        labels: the labels.
        shares: how frequent each label is in the training data, the answer for texts without words.
    """

    title: ClassVar[str] = "Sentiment and other labels of whole texts"
    intended_use: ClassVar[str] = (
        "Labelling texts like those of the training data; longer documents are read as a whole. The "
        "score is calibrated on development data: of the answers given with 0.8, about 80 % are right on such text."
    )
    known_failures = (
        "Every text gets one of the labels, also where none fits: ask for a minimum score where that may happen. The "
        "run's report lists the worst errors."
    )
    data_kind = "labelled"
    reading_type = ReadingSettings

    def __init__(
        self,
        settings: ClassificationSettings,
        words: WordVocabularies,
        labels: Vocabulary,
        shares: Sequence[float],
    ) -> None:
        super().__init__(settings, words)
        self.labels = labels
        self.shares = tuple(shares)
        self.known_failures = failures_of_sentiment(labels.tokens) or self.known_failures

    @classmethod
    def prepare(
        cls,
        settings: ClassificationSettings,
        examples: Sequence[LabelledExample],
        vectors: Sequence[WordVectors] = (),
        say: Callable[[str], None] = lambda line: None,
    ) -> ClassificationTask:
        counts: Counter[str] = Counter()
        of_texts: Counter[str] = Counter()
        of_phrases: Counter[str] = Counter()
        for example in examples:
            if not example.is_phrase or settings.phrases == "apart":
                counts.update(example.document.words)
            (of_phrases if example.is_phrase else of_texts).update(own_target(example))
        names = sorted({*of_texts, *of_phrases})
        shares = of_texts or of_phrases
        check_labels({"label": names}, DataError)
        if len(names) < 2:
            raise DataError(f"the training data has the one label {shorten(names[0])}; two at least are needed")
        if len(names) > MOST_LABELS:
            raise DataError(
                f"the training data has {len(names):,} labels, such as {shorten(names[0])}; at most {MOST_LABELS:,} "
                "can be learnt. Is the right column read? reading.label names it"
            )
        words, selected = choose_words(counts, settings, vectors)
        total = sum(shares.values())
        task = cls(settings, words, Vocabulary(names, specials=0), [shares[name] / total for name in names])
        task.take_vectors(selected, say)
        return task

    def vocabulary(self) -> dict[str, Any]:
        return {"words": self.words.to_dict(), "labels": self.labels.to_dict(), "shares": list(self.shares)}

    def check_examples(self, examples: Sequence[LabelledExample], where: str) -> list[str]:
        unknown = unknown_labels(examples, self.labels)
        if unknown.are_many:
            first = unknown.examples[0]
            raise DataError(
                f"{where}: the text {shorten(first.document.text)} has the label {shorten(first.label)}; "
                f"{unknown.fact}: the training data has {unknown.known}. Add training texts with them, or give them "
                "other names, or null to leave their texts out, in reading.labels"
            )
        return [f"{where}: {unknown.fact}; they count as errors"] if unknown.examples else []

    def build_model(self) -> Classifier:
        settings = self.settings
        return Classifier(
            settings, self.words.sizes, len(self.labels), pooling=settings.pooling, window=settings.bptt_window
        )

    def encode(self, examples: Sequence[LabelledExample], folder: Path) -> list[LabelledExample]:
        """Return the examples as often as each is learnt while all are gone through once."""
        return [example for example in examples for _ in range(self._rounds(example))]

    def _rounds(self, example: LabelledExample) -> int:
        if self.settings.phrases == "apart":
            return 1
        if example.is_phrase:
            return 0
        return self.settings.tree_rounds if example.parts else 1

    def make_batch(
        self, examples: Sequence[LabelledExample], *, pad_to: int = 0, with_labels: bool = False
    ) -> LabelledBatch:
        rows = [example.document.words for example in examples]
        targets, parts, part_targets = None, None, None
        if with_labels:
            longest, half = self.settings.longest, self.settings.longest // 2
            rows = [row if len(row) <= longest else row[: longest - half] + row[-half:] for row in rows]
            targets = torch.tensor([self._target_row(own_target(example)) for example in examples])
            if self.settings.phrases == "inside":
                parts, part_targets = self._make_parts(examples)
        return LabelledBatch(
            tokens=self.batches.make_batch(rows, pad_to=pad_to),
            documents=tuple(example.document for example in examples),
            targets=targets,
            parts=parts,
            part_targets=part_targets,
        )

    def _make_parts(self, examples: Sequence[LabelledExample]) -> tuple[Parts, Tensor] | tuple[None, None]:
        """Number the labelled parts of some texts, those inside the first stretch that is read."""
        end = min(self.settings.bptt_window, self.settings.longest // 2)
        found = [(row, part) for row, example in enumerate(examples) for part in example.parts if part.end <= end]
        if not found:
            return None, None
        columns = zip(*((row, part.start, part.end) for row, part in found), strict=True)
        targets = torch.tensor([self._target_row(part.target) for _, part in found])
        return Parts(*(torch.tensor(column) for column in columns)), targets

    def loss_size(self, batch: LabelledBatch) -> int:
        """Return the texts, and those with phrases inside once more; with balanced classes their weights differ."""
        with_parts = 0 if batch.parts is None else len(batch.parts.rows.unique())
        return len(batch.tokens.lengths) + with_parts

    def loss(self, model: nn.Module, outputs: Tensor, batch: LabelledBatch) -> Tensor:
        """Return the mean cross-entropy to the targets, in nats per text.

        The phrases inside a sentence count together as much as the sentence.
        """
        if batch.targets is None:
            raise DataError("the batch has no labels; make it with with_labels=True")
        targets, row_weights = batch.targets, None
        if batch.parts is not None and batch.part_targets is not None:
            targets = torch.cat([targets, batch.part_targets])
            rows = batch.parts.rows
            row_weights = torch.cat([outputs.new_ones(len(batch.targets)), 1 / rows.bincount()[rows]])
        weights = None
        if self.settings.class_weights == "balanced":
            rarest = min(share for share in self.shares if share)  # what phrases alone have has no share
            shares = torch.tensor(self.shares, device=outputs.device).clamp_min(rarest)
            weights = 1 / (len(shares) * shares)
        return soft_label_loss(outputs, targets, weights, self.settings.label_smoothing, row_weights)

    def decode(self, model: nn.Module, outputs: Tensor, batch: LabelledBatch) -> list[LabelPrediction]:
        rows = (outputs.float() / _classifier(model).temperature).softmax(dim=1).tolist()
        return [LabelPrediction(probabilities=dict(zip(self.labels.tokens, row, strict=True))) for row in rows]

    def predict_batch(self, model: nn.Module, batch: LabelledBatch, **options: Any) -> list[LabelPrediction]:
        if not options.get("explain"):
            return super().predict_batch(model, batch)
        logits, effects = explain_batch(_classifier(model), batch.tokens, batch.documents)
        predictions = self.decode(model, logits, batch)
        return [
            LabelPrediction(probabilities=prediction.probabilities, effects=found)
            for prediction, found in zip(predictions, effects, strict=True)
        ]

    def predict_long(
        self, model: nn.Module, example: LabelledExample | LongText, **options: Any
    ) -> LabelPrediction | None:
        if not isinstance(example, LongText):
            return None
        words = example.words()
        device = next(model.parameters()).device
        stretches = iter(lambda: list(islice(words, self.settings.bptt_window)), [])
        with torch.inference_mode():
            logits = _classifier(model).read_stretches(
                self.batches.make_batch([stretch]).to(device) for stretch in stretches
            )
            probabilities = (logits.float() / _classifier(model).temperature).softmax(dim=1)[0].tolist()
        return LabelPrediction(probabilities=dict(zip(self.labels.tokens, probabilities, strict=True)))

    def calibrate(self, model: nn.Module, examples: Sequence[LabelledExample]) -> None:
        """Set the temperature of the softmax on development examples (Guo et al. 2017)."""
        examples = [example for example in examples if example.label in self.labels]
        temperature = _classifier(model).temperature.fill_(1)
        predictions = predict_examples(self, model, examples)
        rows = [[prediction.probabilities[name] for name in self.labels.tokens] for prediction in predictions]
        gold = [self.labels.id(str(example.label)) for example in examples]
        temperature.fill_(best_temperature(torch.tensor(rows), torch.tensor(gold)))

    def examine(
        self, model: nn.Module, examples: Sequence[LabelledExample], predictions: Sequence[LabelPrediction]
    ) -> list[Section]:
        gold = [str(example.label) for example in examples]
        probabilities = [prediction.probabilities for prediction in predictions]
        shown = examples[:: max(1, len(examples) // EXPLAINED)][:EXPLAINED]
        return [
            calibration_section(gold, probabilities, float(_classifier(model).temperature)),
            explanation_section(
                _classifier(model), self.batches, self.labels.tokens, [example.document for example in shown]
            ),
        ]

    @property
    def predicts_together(self) -> bool:
        return True

    def predict_together(
        self, models: Sequence[nn.Module], batch: LabelledBatch, **options: Any
    ) -> list[LabelPrediction]:
        if options.get("explain"):
            raise ConfigError("explain is about one network; give one model")
        return super().predict_together(models, batch, **options)

    def average(self, opinions: Sequence[Sequence[LabelPrediction]]) -> list[LabelPrediction]:
        return average_opinions(opinions, self.labels.tokens)

    def pack_opinion(self, prediction: LabelPrediction) -> dict[str, float]:
        return dict(prediction.probabilities)

    def teach(
        self, examples: Sequence[LabelledExample], opinions: Sequence[Mapping[str, float]], weight: float
    ) -> list[LabelledExample]:
        return taught_examples(examples, opinions, weight)

    def score(self, examples: Sequence[LabelledExample], predictions: Sequence[LabelPrediction]) -> dict[str, float]:
        """Return the accuracy."""
        right = [prediction.label == example.label for example, prediction in zip(examples, predictions, strict=True)]
        return {"accuracy": sum(right) / max(1, len(right))}

    def baseline_predictions(
        self,
        training: Sequence[LabelledExample],
        development: Sequence[LabelledExample],
        test: Sequence[LabelledExample],
    ) -> dict[str, list[LabelPrediction]]:
        """Return those of the most frequent label, and of TF-IDF with logistic regression, tuned on dev."""
        frequent = self.labels.tokens[max(range(len(self.shares)), key=self.shares.__getitem__)]
        predicted = {"most frequent label": [{frequent: 1.0}] * len(test)}
        predicted |= tune_bag_of_words(training, development, test, lower_case=self.settings.embedding.lower_case)
        return {
            name: [LabelPrediction(probabilities=probabilities) for probabilities in rows]
            for name, rows in predicted.items()
        }

    def report(
        self,
        examples: Sequence[LabelledExample],
        predictions: Sequence[LabelPrediction],
        *,
        title: str,
        subtitle: str = "",
        training: Sequence[LabelledExample] | None = None,
        rivals: Mapping[str, Sequence[LabelPrediction]] | None = None,
    ) -> Report:
        if training is None:
            check_known(examples, self.labels)
        metrics = _metrics(examples, predictions)
        sections = []
        if rivals:
            rows = [("this model", metrics)]
            rows += [(name, _metrics(examples, answers)) for name, answers in rivals.items()]
            sections.append(Section(title="Beside simpler systems", blocks=[classification_comparison(rows)]))
        report = classification_report(
            metrics,
            title=title,
            subtitle=subtitle,
            task=self.name,
            texts=[example.document.text for example in examples],
            gold=[str(example.label) for example in examples],
            predicted=[prediction.label for prediction in predictions],
            scores=[prediction.probabilities[prediction.label] for prediction in predictions],
            sections=sections,
        )
        unknown = unknown_labels(examples, self.labels)
        if unknown.examples:
            report = dataclasses.replace(report, lead=f"{report.lead} {unknown.fact}; they count as errors.")
        return report

    def headlines(
        self, examples: Sequence[LabelledExample], predictions: Sequence[LabelPrediction]
    ) -> Sequence[Figure]:
        check_known(examples, self.labels)
        metrics = _metrics(examples, predictions)
        return [classification_figures(metrics)[0], *domain_figures(metrics)]

    def _target_row(self, target: Mapping[str, float]) -> list[float]:
        return [target.get(name, 0.0) for name in self.labels.tokens]


def _classifier(model: nn.Module) -> Classifier:
    """The network as what `build_model` makes."""
    if not isinstance(model, Classifier):
        raise TypeError(f"{type(model).__name__} is no Classifier")
    return model


def _metrics(examples: Sequence[LabelledExample], predictions: Sequence[LabelPrediction]) -> ClassificationMetrics:
    return classification_metrics(
        [str(example.label) for example in examples],
        [prediction.label for prediction in predictions],
        [prediction.probabilities for prediction in predictions],
        [len(example.document) for example in examples],
        [example.domain for example in examples] if any(example.domain for example in examples) else None,
    )

"""Tagging: one label per token, such as its part of speech.

    Book   that   flight   .
    VERB   DET    NOUN     PUNCT        column upos
    VB     DT     NN       .            column xpos

Any column of the training file can be the label. Several columns share one backbone and get a head each.
"""

from __future__ import annotations

import dataclasses
import math
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from nlp_lstm.data.batch import TokenBatch
from nlp_lstm.data.example import TaggedExample
from nlp_lstm.data.words import WordVocabularies
from nlp_lstm.errors import ConfigError, DataError, shorten
from nlp_lstm.evaluation.metrics import TaggingMetrics, span_scheme, tagging_metrics
from nlp_lstm.evaluation.report import Report, Section
from nlp_lstm.evaluation.significance import bootstrap_interval
from nlp_lstm.evaluation.tagging_report import comparison_table, share_figure, tagging_report
from nlp_lstm.nn.backbone import Backbone
from nlp_lstm.nn.context import ContextEmbedding, FrozenReader
from nlp_lstm.nn.embedding import QuantisedVectors
from nlp_lstm.nn.heads import CRFTagHead, LinearTagHead
from nlp_lstm.nn.settings import EmbeddingSizes
from nlp_lstm.tasks.beginning import Beginning, BidirectionalBeginning, begin
from nlp_lstm.tasks.context import Context, ContextReader, add_context, open_context, readers_from_list
from nlp_lstm.tasks.labels import check_labels, scorable
from nlp_lstm.tasks.predictor import tasks
from nlp_lstm.tasks.tag_targets import TokenOpinions, likely_labels, make_targets, taught_sentences
from nlp_lstm.tasks.tagging import TaggingPredictor, TaggingSettings, TagPrediction, read_vocabularies
from nlp_lstm.tasks.words import WordTask, choose_words
from nlp_lstm.text.vectors import WordVectors
from nlp_lstm.text.vocabulary import Vocabulary, check_keys

BESIDE = "beside"
"""Where a tagger has its further networks, by number from 0."""
SHARED = "backbone.embedding.vectors."
"""What begins the names of the weights that all networks of a tagger share."""


class TagNetwork(nn.Module):
    """A backbone with a head for each column.

    Args:
        settings: the network.
        sizes: how large the vocabularies are.
        label_counts: column to number of labels.
        context_size: features of a word in its sentence, that come with it.
        vectors: the pretrained vectors of another network, which both then read.
    """

    def __init__(
        self,
        settings: TaggingSettings,
        sizes: EmbeddingSizes,
        label_counts: Mapping[str, int],
        *,
        context_size: int = 0,
        vectors: QuantisedVectors | None = None,
    ) -> None:
        super().__init__()
        self.backbone = Backbone(settings, sizes, context_size=context_size, vectors=vectors)
        head = CRFTagHead if settings.head == "crf" else LinearTagHead
        self.columns = tuple(label_counts)
        self.heads = nn.ModuleList(head(self.backbone.output_size, count) for count in label_counts.values())

    def logits(self, batch: TokenBatch, context: Tensor | None) -> dict[str, Float[Tensor, "batch time label"]]:
        """Return the logits of each column."""
        outputs = self.backbone(batch.features, batch.index, batch.lengths, context)
        return {column: head(outputs) for column, head in zip(self.columns, self.heads, strict=True)}


class Tagger(TagNetwork):
    """A network, and perhaps further ones beside it, whose mean probability is the answer.

    Args:
        settings: the network.
        vocabularies: of the words.
        label_counts: column to number of labels.
        readers: frozen language models, which read the words in context.
    """

    def __init__(
        self,
        settings: TaggingSettings,
        vocabularies: WordVocabularies,
        label_counts: Mapping[str, int],
        readers: Sequence[FrozenReader] = (),
    ) -> None:
        context_size = settings.context_size if readers else 0
        super().__init__(settings, vocabularies.sizes, label_counts, context_size=context_size)
        self.context = ContextEmbedding(readers, settings.context_size) if readers else None
        vectors = getattr(self.backbone.embedding, "vectors", None)
        self.beside = nn.ModuleList(
            TagNetwork(settings, vocabularies.sizes, label_counts, context_size=context_size, vectors=vectors)
            for _ in range(settings.networks - 1)
        )

    @property
    def networks(self) -> list[TagNetwork]:
        """All of them; the first is the tagger itself."""
        return [self, *self.beside]

    def forward(self, batch: TokenBatch) -> dict[str, Float[Tensor, "*network batch time label"]]:
        """Return the logits of each column: in training those of each network, else those of their mean probability."""
        context = None
        if self.context is not None:
            context = self.context(self.context.read(batch.readings) if batch.states is None else batch.states)
        answers = [network.logits(batch, context) for network in self.networks]
        unite = torch.stack if self.training else mean_logits
        return {column: unite([one[column] for one in answers]) for column in self.columns}


@tasks.register("pos")
class TaggingTask(WordTask, TaggingPredictor):
    """Tagging with one or more label columns.

    Args:
        settings: the model.
        words: vocabularies of the words and their parts.
        labels: column to its labels; the first column is the main one.
        readers: language models that read the words in context.
    """

    title: ClassVar[str] = "Part-of-speech tagging"
    intended_use: ClassVar[str] = (
        "Tagging text like that of the training data, one sentence at a time. Give tokens split as the treebank "
        "splits them (`pretokenized=True`) for the accuracy above; raw text is split by spaCy's rules, which differ in "
        "places."
    )
    known_failures = (
        "Words that are common as two parts of speech (noun or proper noun, adjective or participle, preposition or "
        "particle) make most of the errors; the run's report lists them. Accuracy falls on unseen words, on other "
        "kinds of text, and on text in capitals."
    )
    data_kind = "tagged"
    opinion_options: ClassVar[Mapping[str, Any]] = {"distributions": True}

    def __init__(
        self,
        settings: TaggingSettings,
        words: WordVocabularies,
        labels: Mapping[str, Vocabulary],
        readers: tuple[ContextReader, ...] = (),
    ) -> None:
        super().__init__(settings, words)
        self.labels = dict(labels)
        self.main_column = next(iter(self.labels))
        self.readers = readers
        self._context: Context | None = None  # in training only; after it the network has the models' weights

    @classmethod
    def prepare(
        cls,
        settings: TaggingSettings,
        examples: Sequence[TaggedExample],
        vectors: Sequence[WordVectors] = (),
        say: Callable[[str], None] = lambda line: None,
    ) -> TaggingTask:
        columns = _choose_columns(settings.labels, examples)
        counts: Counter[str] = Counter()
        label_counts: dict[str, Counter[str]] = {column: Counter() for column in columns}
        for example in examples:
            counts.update(example.document.words)
            for column in columns:
                if column not in example.labels:
                    raise DataError(
                        f'the sentence {shorten(example.document.text)} has no column "{column}"; '
                        "every training sentence needs every label column"
                    )
                label_counts[column].update(example.labels[column])
        check_labels(label_counts, DataError)
        words, selected = choose_words(counts, settings, vectors)
        labels = {column: Vocabulary.build(found, specials=()) for column, found in label_counts.items()}
        task = cls(settings, words, labels)
        task.take_vectors(selected, say)
        return task

    @classmethod
    def from_vocabulary(cls, settings: TaggingSettings, values: Mapping[str, Any]) -> TaggingTask:
        check_keys(values, ("words", "labels", "context"))
        words, labels = read_vocabularies(values)
        readers = readers_from_list(values.get("context", []), lower_case=settings.embedding.lower_case)
        return cls(settings, words, labels, readers)

    def vocabulary(self) -> dict[str, Any]:
        labels = {name: found.to_dict() for name, found in self.labels.items()}
        context = {"context": [reader.to_dict() for reader in self.readers]} if self.readers else {}
        return {"words": self.words.to_dict(), "labels": labels, **context}

    def facts(self) -> dict[str, str]:
        return super().facts() | ({"context": self._context.names} if self._context else {})

    def take_context(
        self, models: Sequence[Beginning | BidirectionalBeginning], say: Callable[[str], None] = lambda line: None
    ) -> None:
        self._context = open_context(models, lower_case=self.settings.embedding.lower_case, say=say)
        self.readers = self._context.readers

    def check_examples(self, examples: Sequence[TaggedExample], where: str) -> list[str]:
        for example in examples:
            for column in self.labels:
                if column not in example.labels:
                    raise DataError(
                        f'{where}: the sentence {shorten(example.document.text)} has no column "{column}", which '
                        f"the training data has; every sentence needs it, or leave it out with model.labels=[…]"
                    )
        return []

    def build_model(self) -> Tagger:
        label_counts = {column: len(labels) for column, labels in self.labels.items()}
        return Tagger(self.settings, self.words, label_counts, [reader.build_network() for reader in self.readers])

    def fill_model(self, model: nn.Module) -> None:
        super().fill_model(model)
        if self._beginnings:
            for other in model.beside:  # type: ignore[union-attr]
                begin(other.get_submodule("backbone"), self._beginnings, self.words)
        if self._context:
            self._context.fill(model.get_submodule("context.readers"))

    def encode(self, examples: Sequence[TaggedExample], folder: Path) -> Sequence[TaggedExample]:
        return self.encode_development(examples)

    def encode_development(self, examples: Sequence[TaggedExample]) -> Sequence[TaggedExample]:
        return self._context.read(examples) if self._context else examples

    def make_batch(
        self, examples: Sequence[TaggedExample], *, pad_to: int = 0, with_labels: bool = False
    ) -> TokenBatch:
        taught = with_labels and any(example.targets for example in examples)
        labels = {
            column: [vocabulary.ids(example.labels[column]) for example in examples]
            for column, vocabulary in (self.labels.items() if with_labels and not taught else ())
        }
        batch = self.batches.make_batch([example.document.words for example in examples], labels, pad_to=pad_to)
        if taught:
            targets = {
                column: make_targets(examples, column, vocabulary, batch.index.shape[1])
                for column, vocabulary in self.labels.items()
            }
            batch = dataclasses.replace(batch, labels=targets)
        return add_context(batch, self.readers, examples) if self.readers else batch

    def loss(self, model: nn.Module, outputs: Mapping[str, Tensor], batch: TokenBatch) -> Tensor:
        """Return the loss in nats per token, the mean over the columns, and in training over the networks."""
        losses = [  # a linear head's loss depends on the logits alone, so the first network's serves for all
            head.loss_per_token(logits, batch.labels[column], batch.mask, self.settings.label_smoothing)
            for column, head in zip(self.labels, model.heads, strict=True)  # type: ignore[arg-type]
            for logits in outputs[column].reshape(-1, *outputs[column].shape[-3:])
        ]
        return torch.stack(losses).mean()

    def decode(self, model: nn.Module, outputs: Mapping[str, Tensor], batch: TokenBatch) -> list[TagPrediction]:
        arrays = {}
        for number, (logits, head) in enumerate(zip(outputs.values(), model.heads, strict=True)):  # type: ignore[arg-type]
            arrays[f"logits.{number}"] = logits.float().numpy(force=True)
            if isinstance(head, CRFTagHead):
                for name, scores in head.crf.named_parameters():
                    arrays[f"{name}.{number}"] = scores.numpy(force=True)
        return self.decode_arrays(arrays, batch.lengths.tolist(), batch.mask.shape[1])

    @property
    def predicts_together(self) -> bool:
        return self.settings.head == "linear"

    def predict_batch(self, model: nn.Module, batch: TokenBatch, **options: Any) -> list[TagPrediction]:
        return self._predict([model], batch, **options)

    def predict_together(self, models: Sequence[nn.Module], batch: TokenBatch, **options: Any) -> list[TagPrediction]:
        """Decode the mean of the networks' label probabilities."""
        if not self.predicts_together:
            raise ConfigError("networks with a CRF do not answer together; give one model, or set model.head=linear")
        return self._predict(models, batch, **options)

    @torch.inference_mode()
    def _predict(
        self, models: Sequence[nn.Module], batch: TokenBatch, *, distributions: bool = False, **options: Any
    ) -> list[TagPrediction]:
        outputs = [model(batch) for model in models]
        logits = {column: mean_logits([one[column] for one in outputs]) for column in outputs[0]}
        predictions = self.decode(models[0], logits, batch)
        if not distributions:
            return predictions
        lengths = batch.lengths.tolist()
        found = {column: likely_labels(logits[column], lengths, self.labels[column].tokens) for column in logits}
        return [
            dataclasses.replace(prediction, distributions={column: rows[row] for column, rows in found.items()})
            for row, prediction in enumerate(predictions)
        ]

    def pack_opinion(self, prediction: TagPrediction) -> dict[str, list[Mapping[str, float]]]:
        return {column: list(of_tokens) for column, of_tokens in prediction.distributions.items()}

    def teach(
        self, examples: Sequence[TaggedExample], opinions: Sequence[TokenOpinions], weight: float
    ) -> list[TaggedExample]:
        if not self.predicts_together:
            raise ConfigError(
                "a tagger with a CRF cannot be distilled; set distillation.teachers=0 or model.head=linear"
            )
        return taught_sentences(examples, opinions, weight)

    def score(self, examples: Sequence[TaggedExample], predictions: Sequence[TagPrediction]) -> dict[str, float]:
        """Return the accuracy of each column, the main one first; for span labels their F1 before it."""
        scores: dict[str, float] = {}
        for column in self.labels:
            if not all(column in example.labels for example in examples):
                continue
            pairs = [
                (gold, predicted)
                for example, prediction in zip(examples, predictions, strict=True)
                for gold, predicted in zip(example.labels[column], prediction.labels[column], strict=True)
            ]
            if span_scheme(self.labels[column].tokens):
                found = self._metrics(column, examples, predictions)
                scores[f"{column}_span_f1"] = found.span_scores.f1 if found.span_scores else 0.0
            scores[f"{column}_accuracy"] = sum(gold == predicted for gold, predicted in pairs) / max(1, len(pairs))
        return scores

    def baseline_predictions(
        self, training: Sequence[TaggedExample], development: Sequence[TaggedExample], test: Sequence[TaggedExample]
    ) -> dict[str, list[TagPrediction]]:
        """Return each word's most frequent label in training; new words get the commonest label of rare words."""
        tables = {column: _most_frequent_labels(column, training) for column in self.labels}
        predictions = []
        for example in test:
            labels = {
                column: tuple(table.get(word, fallback) for word in example.document.words)
                for column, (table, fallback) in tables.items()
            }
            scores = {column: (1.0,) * len(example.document) for column in self.labels}
            predictions.append(TagPrediction(labels=labels, scores=scores))
        return {"most frequent tag per word": predictions}

    def report(
        self,
        examples: Sequence[TaggedExample],
        predictions: Sequence[TagPrediction],
        *,
        title: str,
        subtitle: str = "",
        training: Sequence[TaggedExample] | None = None,
        rivals: Mapping[str, Sequence[TagPrediction]] | None = None,
    ) -> Report:
        counts = Counter(word for example in training for word in example.document.words) if training else None
        words = [example.document.words for example in examples]
        examples, columns, notes = scorable(examples, self.labels, is_own_data=training is not None)
        main = columns[0]
        metrics = {column: self._metrics(column, examples, predictions, counts) for column in columns}
        figures = [
            share_figure(
                f"Accuracy {column}",
                found.accuracy,
                bootstrap_interval(found.correct_per_sentence, found.tokens_per_sentence),
                found.num_tokens,
                "tokens",
            )
            for column, found in metrics.items()
            if column != main
        ]
        sections = []
        if rivals:
            rows = [("this model", metrics[main])]
            rows += [(name, self._metrics(main, examples, answers, counts)) for name, answers in rivals.items()]
            sections.append(Section(title="Beside simpler systems", blocks=[comparison_table(rows)]))
        report = tagging_report(
            metrics[main],
            title=title,
            subtitle=subtitle,
            task=self.name,
            label_name=main,
            words=words,
            gold=[example.labels[main] for example in examples],
            predicted=[prediction.labels[main] for prediction in predictions],
            scores=[prediction.scores[main] for prediction in predictions],
            sections=sections,
        )
        return dataclasses.replace(
            report,
            lead=" ".join([report.lead, *notes]),
            figures=[dataclasses.replace(report.figures[0], name=f"Accuracy {main}"), *figures, *report.figures[1:]],
            metrics={column: found.to_dict() for column, found in metrics.items()},
        )

    def _metrics(
        self,
        column: str,
        examples: Sequence[TaggedExample],
        predictions: Sequence[TagPrediction],
        counts: Mapping[str, int] | None = None,
    ) -> TaggingMetrics:
        gold = [example.labels[column] for example in examples]
        predicted = [prediction.labels[column] for prediction in predictions]
        return tagging_metrics(gold, predicted, [example.document.words for example in examples], counts)


def mean_logits(logits: Sequence[Tensor]) -> Tensor:
    """Return the logarithm of the mean probability, `batch time label`; one network's logits as they are."""
    if len(logits) == 1:
        return logits[0]
    return torch.stack([one.float().log_softmax(dim=-1) for one in logits]).logsumexp(dim=0) - math.log(len(logits))


def _choose_columns(wanted: tuple[str, ...] | None, examples: Sequence[TaggedExample]) -> tuple[str, ...]:
    """The label columns to learn: those asked for, or the data's own."""
    if not examples:
        raise DataError("there is no training example")
    found = [column for column in examples[0].labels if all(column in example.labels for example in examples)]
    if wanted is not None:
        missing = [column for column in wanted if column not in found]
        if missing or not wanted:
            raise ConfigError(
                f"model.labels asks for {', '.join(wanted) or 'no column'}; the data's columns are {', '.join(found)}"
            )
        return wanted
    usual = tuple(column for column in ("upos", "xpos") if column in found)
    if usual:
        return usual
    if len(found) == 1 or "label" in found:
        return ("label",) if "label" in found else tuple(found)
    raise ConfigError(f"the data has the columns {', '.join(found) or 'none'}; choose with model.labels=[…]")


def _most_frequent_labels(column: str, training: Sequence[TaggedExample]) -> tuple[dict[str, str], str]:
    """Each word's most frequent label, and the most frequent label of words seen once."""
    counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for example in training:
        for word, label in zip(example.document.words, example.labels[column], strict=True):
            counts[word][label] += 1
    once = Counter(label for labels in counts.values() if labels.total() == 1 for label in labels)
    commonest = (once or sum(counts.values(), Counter())).most_common(1)[0][0]
    return {word: labels.most_common(1)[0][0] for word, labels in counts.items()}, commonest

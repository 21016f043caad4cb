"""Series: a label for every step, one for the whole series, or the number that comes next.

    daily prices of a share         Buy, NoAction, Sell, … one a day, by what tomorrow brings
    GLWSKIKEVGKEAAKAAAKAAGKAALGA    AMP, a peptide that kills bacteria
    frames of a spoken vowel        which of nine people spoke

Nothing is learnt from what comes later: numbers are standardised by the training series alone, labels that are made
from numbers have bounds fixed there, and series with times are cut so that dev follows train and test follows dev.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from nlp_lstm.data.series import SeriesExample, SeriesReading
from nlp_lstm.errors import DataError, shorten
from nlp_lstm.evaluation.report import Report
from nlp_lstm.evaluation.series import SeriesAnswers
from nlp_lstm.evaluation.series_report import series_report
from nlp_lstm.nn.series import SeriesNetwork
from nlp_lstm.tasks.base import Task
from nlp_lstm.tasks.predictor import tasks
from nlp_lstm.tasks.series_answers import SeriesFacts, SeriesPrediction, SeriesPredictor, SeriesSettings
from nlp_lstm.tasks.series_baselines import Summary, fit_logistic, fit_ridge, step_features
from nlp_lstm.tasks.series_preparation import choose_labels, describe_limits, known_ahead, make_blocks, moments
from nlp_lstm.text.vectors import WordVectors
from nlp_lstm.text.vocabulary import Vocabulary

NOT_ASKED = -100  # the target of a step that does not count, as torch's cross-entropy has it


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesBatch:
    """Series as tensors.

    Args:
        numbers: float32, `batch time column`, standardised; None where none are read.
        symbols: int64, `batch time`; None where none are read.
        lengths: int64, `batch`, real steps of each.
        examples: the series.
        targets: int64, `batch time` or `batch`, the labels, ``NOT_ASKED`` where none is known; or float32, `batch
            time`, standardised numbers, nan where none is known. None when nothing is known.
    """

    numbers: Tensor | None
    symbols: Tensor | None
    lengths: Tensor
    examples: tuple[SeriesExample, ...]
    targets: Tensor | None = None

    @property
    def num_tokens(self) -> int:
        """Real steps in the batch."""
        return int(self.lengths.sum())

    def to(self, device: torch.device) -> SeriesBatch:
        """Return the batch on ``device``."""
        return SeriesBatch(
            numbers=None if self.numbers is None else self.numbers.to(device),
            symbols=None if self.symbols is None else self.symbols.to(device),
            lengths=self.lengths.to(device),
            examples=self.examples,
            targets=None if self.targets is None else self.targets.to(device),
        )


@tasks.register("series")
class SeriesTask(Task, SeriesPredictor):
    """Answers for series.

    Args:
        settings: the model.
        facts: what training has fixed.
    """

    title: ClassVar[str] = "Series"
    intended_use: ClassVar[str] = (
        "Answering for series like those of the training data, measured in the same way. The report says whether the "
        "answers are better than chance, and than simpler systems; where they are not, do not use them."
    )
    known_failures = (
        "What changes its ways after the training data ends is answered as if it had not. The score is not calibrated. "
        "Prices of shares can hardly be foreseen from earlier prices: no answer here is advice to buy or sell."
    )
    data_kind = "series"
    reading_type = SeriesReading

    @classmethod
    def prepare(
        cls,
        settings: SeriesSettings,
        examples: Sequence[SeriesExample],
        vectors: Sequence[WordVectors] = (),
        say: Callable[[str], None] = lambda line: None,
    ) -> SeriesTask:
        first = examples[0]
        ahead = np.concatenate([known_ahead(example) for example in examples])
        if not len(ahead) and settings.answers == "value":
            raise DataError("nothing is ahead of the steps: name the column that is to be foreseen in reading.ahead")
        limits: tuple[float, ...] = ()
        is_made = settings.answers == "step" and first.ahead is not None
        if is_made:
            limits = tuple(np.quantile(ahead, settings.bounds).tolist())
            if len(set(limits)) < len(limits):
                raise DataError(
                    f"the bounds between {', '.join(settings.names)} fall on the same number, {limits[0]:g}, which too "
                    "many steps have; move model.bounds apart"
                )
            say(f"labels: {describe_limits(settings.names, limits)}")
        means, scales = moments(examples)
        symbols = None
        if first.symbols:
            symbols = Vocabulary.build(Counter(symbol for example in examples for symbol in example.symbols))
        labels: Vocabulary | None = None
        shares: tuple[float, ...] = ()
        if settings.answers != "value":
            labels, shares = choose_labels(settings, examples, limits)
        facts = SeriesFacts(
            columns=first.columns,
            means=means,
            scales=scales,
            symbols=symbols,
            labels=labels,
            shares=shares,
            limits=limits,
            ahead=(float(ahead.mean()), float(ahead.std()) or 1.0) if len(ahead) else (0.0, 1.0),
            reading=first.reading,
        )
        task = cls(settings, facts)
        for example in examples:
            task._check_columns(example)
        return task

    def vocabulary(self) -> dict[str, Any]:
        return self.facts_of_training.to_dict()

    def facts(self) -> dict[str, str]:
        facts = self.facts_of_training
        found = {"columns": ", ".join(facts.columns)} if facts.columns else {}
        if facts.symbols is not None:
            found["symbols"] = str(len(facts.symbols) - facts.symbols.num_specials)
        if facts.limits:
            found["labels"] = describe_limits(self.settings.names, facts.limits)
        return found

    def check_examples(self, examples: Sequence[SeriesExample], where: str) -> list[str]:
        for example in examples:
            self._check_columns(example)
        known = [answer for example in examples for answer in self.gold(example) if answer is not None]
        if not known:
            raise DataError(f"{where}: no step has an answer that is known; {self._missing()}")
        if self.settings.answers == "value":
            return []
        unknown = Counter(str(label) for label in known if label not in self.labels)
        if unknown.total() > 0.05 * len(known):
            names = ", ".join(self.labels.tokens[:20])
            raise DataError(
                f"{where}: {unknown.total():,} of {len(known):,} labels are unknown, such as "
                f"{shorten(next(iter(unknown)))}; the training data has {names}"
            )
        return (
            [f"{where}: {unknown.total():,} of {len(known):,} labels are unknown; they count as errors"]
            if unknown
            else []
        )

    def _missing(self) -> str:
        return {
            "step": "name the column of labels in reading.label, or what is foreseen in reading.ahead",
            "series": "each series needs one label, the same at every step",
            "value": "name the column that is to be foreseen in reading.ahead",
        }[self.settings.answers]

    def build_model(self) -> SeriesNetwork:
        settings, facts = self.settings, self.facts_of_training
        return SeriesNetwork(
            num_columns=len(facts.columns),
            num_symbols=len(facts.symbols or ()),
            num_answers=1 if settings.answers == "value" else len(self.labels),
            symbol_size=settings.symbol_size,
            cell=settings.cell,
            hidden_size=settings.hidden,
            num_layers=settings.layers,
            is_bidirectional=settings.bidirectional,
            pooling=settings.pooling if settings.answers == "series" else None,
            input_dropout=settings.input_dropout,
            dropout=settings.dropout,
        )

    def encode(self, examples: Sequence[SeriesExample], folder: Path) -> list[SeriesExample]:
        pieces = [piece for example in examples for piece, _, _ in self.cut_long(example)]
        return [piece for piece in pieces if any(answer is not None for answer in self.gold(piece))]

    def identify(self, examples: Sequence[SeriesExample]) -> Iterator[bytes]:
        for example in examples:
            answers = repr((example.name, example.symbols, self.gold(example)))
            yield answers.encode("utf-8", "replace") + example.numbers.tobytes()

    def gold(self, example: SeriesExample) -> list[Any]:
        """Return the right answer of each step that counts, or the one of the whole; None where it is not known."""
        if self.settings.answers == "series":
            return [example.label]
        if example.ahead is None:
            is_labelled = self.settings.answers == "step" and example.labels
            return list(example.labels[example.first :]) if is_labelled else [None] * example.num_answered
        ahead = example.ahead[example.first :]
        if self.settings.answers == "value":
            return [None if np.isnan(value) else float(value) for value in ahead]
        places = np.digitize(ahead, self.facts_of_training.limits)
        names = self.settings.names
        return [None if np.isnan(value) else names[place] for value, place in zip(ahead, places, strict=True)]

    def make_batch(
        self, examples: Sequence[SeriesExample], *, pad_to: int = 0, with_labels: bool = False
    ) -> SeriesBatch:
        arrays = {name: torch.from_numpy(array) for name, array in self.make_arrays(examples, pad_to=pad_to).items()}
        time = max(pad_to, int(arrays["lengths"].max()))
        return SeriesBatch(
            numbers=arrays.get("numbers"),
            symbols=arrays.get("symbols"),
            lengths=arrays["lengths"],
            examples=tuple(examples),
            targets=self._targets(examples, time) if with_labels else None,
        )

    def _targets(self, examples: Sequence[SeriesExample], time: int) -> Tensor:
        if self.settings.answers == "series":
            return torch.tensor([self._label_id(example.label) for example in examples])
        if self.settings.answers == "value":
            mean, scale = self.facts_of_training.ahead
            values = torch.full((len(examples), time), torch.nan)
            for row, example in enumerate(examples):
                if example.ahead is not None:
                    standard = (example.ahead[example.first :] - mean) / scale
                    values[row, example.first : len(example)] = torch.from_numpy(standard).float()
            return values
        ids = torch.full((len(examples), time), NOT_ASKED)
        for row, example in enumerate(examples):
            ids[row, example.first : len(example)] = torch.tensor([self._label_id(one) for one in self.gold(example)])
        return ids

    def _label_id(self, label: str | None) -> int:
        found = None if label is None else self.labels.get(label)
        return NOT_ASKED if found is None else found

    def loss_size(self, batch: SeriesBatch) -> int:
        if batch.targets is None:
            return 0
        is_known = ~batch.targets.isnan() if self.settings.answers == "value" else batch.targets != NOT_ASKED
        return int(is_known.sum())

    def loss(self, model: nn.Module, outputs: Tensor, batch: SeriesBatch) -> Tensor:
        """Return the mean negative log-likelihood in nats, or the mean squared error in variances of the training data,
        over the answers that are known."""
        if batch.targets is None:
            raise DataError("the batch has no labels; make it with with_labels=True")
        if self.settings.answers == "value":
            is_known = ~batch.targets.isnan()
            return ((outputs.float()[..., 0][is_known] - batch.targets[is_known]) ** 2).mean()
        logits = outputs.float().flatten(0, -2)
        return nn.functional.cross_entropy(
            logits, batch.targets.flatten(), ignore_index=NOT_ASKED, label_smoothing=self.settings.label_smoothing
        )

    def decode(self, model: nn.Module, outputs: Tensor, batch: SeriesBatch) -> list[SeriesPrediction]:
        given = {"answers": outputs.float().numpy(force=True)}
        time = outputs.shape[1] if outputs.ndim == 3 else 0
        return self.decode_arrays(given, batch.examples, time)

    @property
    def predicts_together(self) -> bool:
        return True

    def average(self, opinions: Sequence[Sequence[SeriesPrediction]]) -> list[SeriesPrediction]:
        together = []
        for found in zip(*opinions, strict=True):
            if found[0].probabilities is None:
                together.append(SeriesPrediction(values=np.mean([one.values for one in found], axis=0)))
            else:
                together.append(SeriesPrediction(probabilities=np.mean([one.probabilities for one in found], axis=0)))
        return together

    def score(self, examples: Sequence[SeriesExample], predictions: Sequence[SeriesPrediction]) -> dict[str, float]:
        """Return balanced accuracy and accuracy, or of numbers the explained variance."""
        pairs = [pair for one in zip(examples, predictions, strict=True) for pair in self._pairs(*one)]
        if self.settings.answers == "value":
            mean, _ = self.facts_of_training.ahead
            error = sum((right - given) ** 2 for right, given in pairs)
            return {"explained_variance": 1 - error / max(1e-12, sum((right - mean) ** 2 for right, _ in pairs))}
        totals = Counter(right for right, _ in pairs)
        hits = Counter(right for right, given in pairs if right == given)
        balanced = sum(hits[label] / total for label, total in totals.items()) / max(1, len(totals))
        return {"balanced_accuracy": balanced, "accuracy": hits.total() / max(1, totals.total())}

    def _pairs(self, example: SeriesExample, prediction: SeriesPrediction) -> Iterator[tuple[Any, Any]]:
        """Yield right and given answer wherever the former is known."""
        for right, given in zip(self.gold(example), self.answers(prediction), strict=True):
            if right is not None:
                yield right, given

    def answers(self, prediction: SeriesPrediction) -> list[Any]:
        """Return the answers as labels or numbers."""
        if prediction.probabilities is None:
            return [] if prediction.values is None else prediction.values.tolist()
        return [self.labels.tokens[place] for place in prediction.probabilities.argmax(axis=1).tolist()]

    def baseline_predictions(
        self,
        training: Sequence[SeriesExample],
        development: Sequence[SeriesExample],
        test: Sequence[SeriesExample],
    ) -> dict[str, list[SeriesPrediction]]:
        """Return those of the most frequent label (of numbers, of no change), and of a regression tuned on dev."""
        if self.settings.answers == "value":
            return self._value_baselines(training, development, test)
        frequent = np.eye(len(self.labels), dtype=np.float32)[np.argmax(self.facts_of_training.shares)]
        lengths = [1 if self.settings.answers == "series" else example.num_answered for example in test]
        found = {"most frequent label": [np.tile(frequent, (length, 1)) for length in lengths]}
        features = self._features(training)
        (rows, labels), (dev_rows, dev_labels) = (self._known(part, features) for part in (training, development))
        if len(set(labels)) > 1:
            name, model = fit_logistic(rows, labels, dev_rows, dev_labels)
            places = [self.labels.id(label) for label in model.classes_]  # type: ignore[attr-defined]
            shares = []
            for example in test:
                of_known = model.predict_proba(features(example))  # type: ignore[attr-defined]
                shares.append(np.zeros((len(of_known), len(self.labels)), dtype=np.float32))
                shares[-1][:, places] = of_known
            found[name] = shares
        return {name: [SeriesPrediction(probabilities=one) for one in rows] for name, rows in found.items()}

    def _value_baselines(
        self,
        training: Sequence[SeriesExample],
        development: Sequence[SeriesExample],
        test: Sequence[SeriesExample],
    ) -> dict[str, list[SeriesPrediction]]:
        features = self._features(training)
        (rows, values), (dev_rows, dev_values) = (self._known(part, features) for part in (training, development))
        name, model = fit_ridge(rows, np.array(values), dev_rows, np.array(dev_values))
        foreseen = [model.predict(features(example)) for example in test]  # type: ignore[attr-defined]
        return {
            "no change": [SeriesPrediction(values=np.zeros(example.num_answered)) for example in test],
            name: [SeriesPrediction(values=np.asarray(one, dtype=np.float64)) for one in foreseen],
        }

    def _features(self, training: Sequence[SeriesExample]) -> Callable[[SeriesExample], Any]:
        facts = self.facts_of_training
        if self.settings.answers == "series":
            summary = Summary(training, facts)
            return lambda example: summary.features(example)[None]
        return lambda example: step_features(example, facts, looks_back_only=not self.settings.bidirectional)

    def _known(
        self, examples: Sequence[SeriesExample], features: Callable[[SeriesExample], Any]
    ) -> tuple[Any, list[Any]]:
        """Return features and answers of all steps, or series, whose answer is known."""
        rows: list[Any] = []
        answers: list[Any] = []
        for example in examples:
            gold = self.gold(example)
            kept = [place for place, answer in enumerate(gold) if answer is not None]
            rows.append(features(example)[kept])
            answers += [gold[place] for place in kept]
        return np.concatenate(rows), answers

    def report(
        self,
        examples: Sequence[SeriesExample],
        predictions: Sequence[SeriesPrediction],
        *,
        title: str,
        subtitle: str = "",
        training: Sequence[SeriesExample] | None = None,
        rivals: Mapping[str, Sequence[SeriesPrediction]] | None = None,
    ) -> Report:
        for example in examples:
            self._check_columns(example)
        blocks, how = make_blocks(examples, is_whole=self.settings.answers == "series")
        systems = {"": predictions, **(rivals or {})}
        rows = [
            (right, example.name, block, [self.row(found[number], place) for found in systems.values()])
            for number, (example, numbers) in enumerate(zip(examples, blocks, strict=True))
            for place, (right, block) in enumerate(zip(self.gold(example), numbers, strict=True))
            if right is not None
        ]
        if not rows:
            raise DataError(f"no answer is known that the model could be held to; {self._missing()}")
        choose = self._choice(self.labels.tokens if self.settings.answers != "value" else ())
        found = self._series_answers(rows, list(systems), choose)
        direction = None
        if len(self.facts_of_training.limits) > 1:
            outer = (self.settings.names[0], self.settings.names[-1])
            of_outer = [row for row in rows if row[0] in outer]
            if {row[0] for row in of_outer} == set(outer):
                direction = self._series_answers(of_outer, list(systems), self._choice(outer), labels=outer)
        item = "series" if self.settings.answers == "series" else "steps"
        return series_report(
            found, title=title, subtitle=subtitle, task=self.name, item=item, how=how, direction=direction
        )

    def row(self, prediction: SeriesPrediction, place: int) -> Any:
        """Return the probabilities of one answer, or its number."""
        if prediction.probabilities is not None:
            return prediction.probabilities[place]
        return None if prediction.values is None else float(prediction.values[place])

    def _choice(self, labels: Sequence[str]) -> Callable[[Any], Any]:
        """Return what makes a row an answer: the most probable of some labels, or the number itself."""
        if not labels:
            return lambda row: row
        places = [self.labels.id(label) for label in labels]
        return lambda row: labels[int(row[places].argmax())]

    def _series_answers(
        self,
        rows: Sequence[tuple[Any, str, int, list[Any]]],
        systems: Sequence[str],
        choose: Callable[[Any], Any],
        labels: Sequence[str] | None = None,
    ) -> SeriesAnswers:
        """Return right answers beside given ones.

        Args:
            rows: right answer, series, block, and for each system what it says.
            systems: their names, the model first.
            choose: makes an answer of what a system says.
            labels: default those of the model.
        """
        if labels is None:
            labels = () if self.settings.answers == "value" else self.labels.tokens
        given = [[choose(row[3][number]) for row in rows] for number in range(len(systems))]
        return SeriesAnswers(
            gold=[row[0] for row in rows],
            answers=given[0],
            rivals=dict(zip(systems[1:], given[1:], strict=True)),
            blocks=[row[2] for row in rows],
            names=[row[1] for row in rows],
            labels=labels,
            mean=self.facts_of_training.ahead[0],
        )

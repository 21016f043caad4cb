"""Using a model of series: from tables to arrays, and from arrays to answers. Needs no torch.

The task is in `nlp_lstm.tasks.series`.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, field_validator, model_validator

from nlp_lstm.data.sampling import cut_windows
from nlp_lstm.data.series import Numbers, SeriesExample, SeriesReading
from nlp_lstm.data.series_files import read_series_table, series_of_table, symbol_series
from nlp_lstm.errors import CheckpointError, ConfigError, DataError, shorten
from nlp_lstm.nn.settings import CellName, poolings
from nlp_lstm.settings import Settings, parse_settings
from nlp_lstm.tasks.labels import check_labels
from nlp_lstm.tasks.predictor import ArrayPredictor, Arrays, Run, checked_output, predictors
from nlp_lstm.text.tokenize import Tokenizer, check_text
from nlp_lstm.text.vocabulary import Vocabulary, check_keys

PredictorType = TypeVar("PredictorType", bound="SeriesPredictor")

MOST_DEVIATIONS = 8.0
"""Standard deviations that a number is taken as at most, so that one wild value does not drown a series."""


class EmptySeriesWarning(UserWarning):
    """A series without steps was classified: the answer is how frequent each label is in the training data."""


class SeriesSettings(Settings):
    """The network over the steps of a series, and what it answers."""

    answers: Literal["step", "series", "value"] = "step"
    """A label for every step, one for the whole series, or for every step the number that lies ahead."""
    names: tuple[str, ...] = ("Sell", "NoAction", "Buy")
    """Of steps that are labelled by what lies ahead: the labels, from the lowest numbers to the highest."""
    bounds: tuple[float, ...] = (1 / 3, 2 / 3)
    """Where one label ends and the next begins: the share of the training steps whose number is lower."""
    cell: CellName = "lstm"
    """The recurrent cell's name: rnn, rnn-relu; lstm-1997, lstm, peephole, blocks, cifg, layernorm, mogrifier; gru;
    sru, minlstm, mingru."""
    hidden: int = Field(64, ge=1)
    """Features of the hidden state in each direction."""
    layers: int = Field(1, ge=1, le=64)
    """How many recurrent layers."""
    bidirectional: bool = False
    """Whether each layer also reads the series from its end. What lies ahead is then known: only for what does not
    foresee."""
    symbol_size: int = Field(16, ge=1)
    """Features of a symbol."""
    pooling: str = "max"
    """Of an answer for the whole series: from the outputs of all steps to one vector: attention, last, max, mean."""
    window: int = Field(256, ge=1, le=1_000_000)
    """Of answers for every step: the steps answered at a stretch."""
    context: int = Field(64, ge=0, le=1_000_000)
    """The steps read before each stretch, and with ``bidirectional`` after it."""
    input_dropout: float = Field(0.0, ge=0, lt=1)
    """Locked dropout on what each step brings."""
    dropout: float = Field(0.2, ge=0, lt=1)
    """Locked dropout between the layers and on the outputs."""
    label_smoothing: float = Field(0.0, ge=0, lt=1)
    """Share of the target spread over all labels."""

    @field_validator("pooling")
    @classmethod
    def _check_pooling(cls, name: str) -> str:
        return poolings.checked(name)

    @model_validator(mode="after")
    def _check_bounds(self) -> SeriesSettings:
        if len(self.names) != len(self.bounds) + 1 or len(set(self.names)) < len(self.names):
            raise ValueError(
                f"{len(self.names)} names for {len(self.bounds)} bounds; there is one name more, all differ"
            )
        if list(self.bounds) != sorted(set(self.bounds)) or not all(0 < bound < 1 for bound in self.bounds):
            raise ValueError("the bounds are shares between 0 and 1, in ascending order")
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesFacts:
    """What training has fixed, from the training series alone.

    Args:
        columns: of the numbers that are read.
        means: of each column.
        scales: its standard deviation, above 0.
        symbols: those that are known; None where none are read.
        labels: the answers; None where numbers are answered.
        shares: how frequent each label is.
        limits: where one label ends and the next begins, of labels that are made from what lies ahead.
        ahead: mean and standard deviation of what lies ahead.
        reading: how the tables are read.
    """

    columns: tuple[str, ...]
    means: tuple[float, ...]
    scales: tuple[float, ...]
    symbols: Vocabulary | None
    labels: Vocabulary | None
    shares: tuple[float, ...]
    limits: tuple[float, ...]
    ahead: tuple[float, float]
    reading: SeriesReading

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for the model folder."""
        return {
            "columns": list(self.columns),
            "means": list(self.means),
            "scales": list(self.scales),
            "symbols": None if self.symbols is None else self.symbols.to_dict(),
            "labels": None if self.labels is None else self.labels.to_dict(),
            "shares": list(self.shares),
            "limits": list(self.limits),
            "ahead": list(self.ahead),
            "reading": self.reading.model_dump(mode="json"),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> SeriesFacts:
        """Build from what `to_dict` gave.

        Raises:
            CheckpointError: the values are not those.
        """
        check_keys(values, tuple(cls.__dataclass_fields__))
        numbers = {}
        for name in ("means", "scales", "shares", "limits", "ahead"):
            found = values.get(name)
            if not isinstance(found, list) or any(
                not isinstance(one, float) or not math.isfinite(one) for one in found
            ):
                raise CheckpointError(f"damaged vocabulary: {name} is {shorten(found)}, expected finite numbers")
            numbers[name] = tuple(found)
        columns = values.get("columns")
        if not isinstance(columns, list) or any(not isinstance(column, str) for column in columns):
            raise CheckpointError(f"damaged vocabulary: columns is {shorten(columns)}, expected names")
        symbols, labels = values.get("symbols"), values.get("labels")
        known = None if labels is None else Vocabulary.from_dict(labels)
        if known is not None:
            check_labels({"label": known.tokens}, CheckpointError)
        sizes = (len(numbers["means"]), len(numbers["scales"]), len(numbers["shares"]), len(numbers["ahead"]))
        if sizes != (len(columns), len(columns), len(known or ()), 2) or min(numbers["scales"], default=1.0) <= 0:
            raise CheckpointError("damaged vocabulary: means, scales, shares or ahead do not fit columns and labels")
        return cls(
            columns=tuple(columns),
            symbols=None if symbols is None else Vocabulary.from_dict(symbols),
            labels=known,
            reading=parse_settings(SeriesReading, values.get("reading") or {}, "vocab.json", CheckpointError),
            **numbers,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesPrediction:
    """The answers for a series.

    Args:
        probabilities: `step label` or, for the whole series, `1 label`; None where numbers are answered.
        values: `step`, the numbers that lie ahead; None where labels are answered.
    """

    probabilities: NDArray[np.float32] | None = None
    values: Numbers | None = None

    def __len__(self) -> int:
        found = self.values if self.probabilities is None else self.probabilities
        return 0 if found is None else len(found)


@predictors.register("series")
class SeriesPredictor(ArrayPredictor):
    """Answers for series.

    The network takes ``numbers``, `batch time column`, where it reads any, ``symbols``, `batch time`, and ``lengths``,
    and gives ``answers``: `batch time label` for every step, `batch label` for whole series, `batch time 1` of numbers.

    Args:
        settings: the model.
        facts: what training has fixed.
    """

    name: ClassVar[str] = "series"
    settings_type = SeriesSettings
    option_names: ClassVar[tuple[str, ...]] = ()
    needs_tokenizer: ClassVar[bool] = False

    def __init__(self, settings: SeriesSettings, facts: SeriesFacts) -> None:
        self.settings = settings
        self.facts_of_training = facts

    @classmethod
    def from_vocabulary(cls: type[PredictorType], settings: SeriesSettings, values: Mapping[str, Any]) -> PredictorType:
        facts = SeriesFacts.from_dict(values)
        if (settings.answers == "value") != (facts.labels is None):
            raise CheckpointError(f"damaged vocabulary: its labels do not go with answers: {settings.answers}")
        return cls(settings, facts)

    @property
    def labels(self) -> Vocabulary:
        """The labels."""
        if self.facts_of_training.labels is None:
            raise TypeError("a model that answers numbers has no labels")
        return self.facts_of_training.labels

    @property
    def reads_symbols_only(self) -> bool:
        """Whether a series is a string of symbols, and not a table."""
        return not self.facts_of_training.columns

    @property
    def reads_files(self) -> bool:
        return not self.reads_symbols_only

    def is_one(self, given: Any, *, is_pretokenized: bool) -> bool:
        if isinstance(given, np.ndarray):
            return given.ndim == 2 or (self.reads_symbols_only and given.ndim == 1)
        if is_pretokenized:
            return super().is_one(given, is_pretokenized=True)
        return isinstance(given, (str, Path, Mapping))

    def check_input(self, item: Any, where: str, *, is_pretokenized: bool) -> None:
        if is_pretokenized and not self.reads_symbols_only:
            raise DataError(f"{where}: this model reads numbers; leave out pretokenized and give a table")
        self._read(item, where)

    def read_text(self, text: Any, tokenizer: Tokenizer | None, *, is_pretokenized: bool) -> Iterator[SeriesExample]:
        yield from self._read(text, "input")

    def _read(self, item: Any, where: str) -> list[SeriesExample]:
        """Return the series of one input: one, or none where it is empty.

        Raises:
            DataError: it is no series, or not one of the kind that the model has learnt.
        """
        if self.reads_symbols_only and not isinstance(item, Mapping):
            return self._read_symbols(item, where)
        reading = self.facts_of_training.reading.model_copy(update={"label": None, "ahead": None, "series": None})
        if isinstance(item, np.ndarray):
            columns = self.facts_of_training.columns
            if item.shape[1:] != (len(columns),):
                raise DataError(f"{where} has shape {list(item.shape)}; expected a row a step of {', '.join(columns)}")
            item = dict(zip(columns, item.T.tolist(), strict=True))
            reading = reading.model_copy(update={"time": None, "numbers": dict.fromkeys(columns, "value")})
        if isinstance(item, Mapping):
            if item and not all(isinstance(column, (list, tuple, np.ndarray)) for column in item.values()):
                raise DataError(f"{where} is {shorten(item)}; give each column as a list, one value a step")
            if not any(len(column) for column in item.values()):
                return []
            time = reading.time if reading.time in item else None
            found = series_of_table(item, reading.model_copy(update={"time": time}), where)
        elif isinstance(item, (str, Path)):
            if not str(item).strip():
                return []
            found = read_series_table(Path(item), reading)
        else:
            raise DataError(
                f"{where} is {shorten(item)} ({type(item).__name__}); give the path of a table, or its columns"
            )
        if len(found) > 1:
            raise DataError(f"{where} holds {len(found)} series; give one at a time")
        return found

    def _read_symbols(self, item: Any, where: str) -> list[SeriesExample]:
        if isinstance(item, str):
            symbols: Sequence[str] = "".join(check_text(item, where).split())
        elif isinstance(item, (list, tuple, np.ndarray)) and all(isinstance(symbol, str) for symbol in item):
            symbols = list(item)
        else:
            raise DataError(f"{where} is {shorten(item)} ({type(item).__name__}); give a string or list of symbols")
        return [symbol_series(symbols, where)] if len(symbols) else []

    def size(self, example: SeriesExample) -> int:
        return len(example)

    def cut_long(self, example: SeriesExample) -> list[tuple[SeriesExample, int, int]]:
        if self.settings.answers == "series" or not len(example):
            return super().cut_long(example)
        after = self.settings.context if self.settings.bidirectional else 0
        pieces = []
        for window in cut_windows(example.num_answered, size=self.settings.window, context=0):
            start, end = example.first + window.keep_start, example.first + window.keep_end
            read_from, read_to = max(0, start - self.settings.context), min(len(example), end + after)
            pieces.append((example.cut(read_from, read_to, first=start), 0, end - start))
        return pieces

    def join_long(self, pieces: Sequence[tuple[SeriesPrediction, int, int]]) -> SeriesPrediction:
        if self.settings.answers == "series":
            return pieces[0][0]
        kept = {
            name: np.concatenate([found[start:end] for found, start, end in parts])
            for name in ("probabilities", "values")
            if (parts := [(getattr(piece, name), start, end) for piece, start, end in pieces])[0][0] is not None
        }
        return SeriesPrediction(**kept)

    def make_arrays(self, examples: Sequence[SeriesExample], *, pad_to: int = 0) -> dict[str, NDArray[Any]]:
        """Return the standardised numbers, the symbols and the lengths of some series, as the network takes them.

        A missing number is the mean: 0.

        Raises:
            DataError: a series has other columns than the model has learnt.
        """
        facts = self.facts_of_training
        lengths = np.array([len(example) for example in examples])
        time = max(pad_to, int(lengths.max()))
        arrays: dict[str, NDArray[Any]] = {"lengths": lengths}
        if facts.columns:
            numbers = np.zeros((len(examples), time, len(facts.columns)), dtype=np.float32)
            for row, example in enumerate(examples):
                self._check_columns(example)
                numbers[row, : len(example)] = standardised(example.numbers, facts)
            arrays["numbers"] = numbers
        if facts.symbols is not None:
            ids = np.zeros((len(examples), time), dtype=np.int64)
            for row, example in enumerate(examples):
                ids[row, : len(example)] = facts.symbols.ids(example.symbols)
            arrays["symbols"] = ids
        return arrays

    def _check_columns(self, example: SeriesExample) -> None:
        if example.columns != self.facts_of_training.columns:
            raise DataError(
                f"{example.name} has the columns {', '.join(example.columns) or 'none'}; this model has learnt "
                f"{', '.join(self.facts_of_training.columns)}"
            )

    def predict_arrays(
        self, run: Run, examples: Sequence[SeriesExample], *, pad_to: int = 0, **options: Any
    ) -> list[SeriesPrediction]:
        arrays = self.make_arrays(examples, pad_to=pad_to)
        return self.decode_arrays(run(arrays), examples, max(pad_to, int(arrays["lengths"].max())))

    def decode_arrays(self, outputs: Arrays, examples: Sequence[SeriesExample], time: int) -> list[SeriesPrediction]:
        """Return the predictions that the network's outputs stand for.

        Raises:
            CheckpointError: they do not fit the labels.
        """
        if self.settings.answers == "value":
            mean, scale = self.facts_of_training.ahead
            numbers = checked_output(outputs, "answers", len(examples), time, 1).astype(np.float64) * scale + mean
            rows = zip(numbers, examples, strict=True)
            return [SeriesPrediction(values=row[one.first : len(one), 0]) for row, one in rows]
        shape = (len(self.labels),) if self.settings.answers == "series" else (time, len(self.labels))
        logits = checked_output(outputs, "answers", len(examples), *shape).astype(np.float64)
        raised = np.exp(logits - logits.max(axis=-1, keepdims=True))
        shares = (raised / raised.sum(axis=-1, keepdims=True)).astype(np.float32)
        if self.settings.answers == "series":
            return [SeriesPrediction(probabilities=row[None]) for row in shares]
        rows = zip(shares, examples, strict=True)
        return [SeriesPrediction(probabilities=row[one.first : len(one)]) for row, one in rows]

    def check_options(self, **options: Any) -> None:
        if options:
            raise ConfigError(f"unknown options for the task {self.name}: {', '.join(options)}")

    def format(self, answers: Iterable[tuple[SeriesExample, SeriesPrediction]], **options: Any) -> Any:
        """Return one dictionary a step, or one for the whole series, with the most probable label and its score; of
        numbers one a step with the value.
        """
        found = [prediction for _, prediction in answers]
        if self.settings.answers == "value":
            values = [value for prediction in found for value in _listed(prediction.values)]
            return [{"value": value, "index": index} for index, value in enumerate(values, start=1)]
        rows = [row for prediction in found for row in _listed(prediction.probabilities)]
        if self.settings.answers == "step":
            return [{**self._best(row), "index": index} for index, row in enumerate(rows, start=1)]
        if not rows:
            warnings.warn(
                "the series has no steps; the answer is how frequent each label is in the training data",
                EmptySeriesWarning,
                stacklevel=2,
            )
            rows = [self.facts_of_training.shares]
        return self._best(rows[0])

    def as_line(self, result: Any) -> str:
        """Return the label, or those of all steps with spaces between; of numbers these."""
        if isinstance(result, list):
            return " ".join(str(step["label"]) if "label" in step else f"{step['value']:.6g}" for step in result)
        return str(result["label"])

    def _best(self, row: Sequence[float]) -> dict[str, Any]:
        best = max(range(len(row)), key=row.__getitem__)
        return {"label": self.labels.tokens[best], "score": row[best]}


def standardised(numbers: Numbers, facts: SeriesFacts) -> Numbers:
    """Return numbers as deviations from the training mean in standard deviations; what is missing as 0."""
    deviations = (numbers - np.array(facts.means)) / np.array(facts.scales)
    return np.nan_to_num(deviations, nan=0.0).clip(-MOST_DEVIATIONS, MOST_DEVIATIONS)


def _listed(array: NDArray[Any] | None) -> list[Any]:
    return [] if array is None else array.tolist()

"""Series: what happens step by step, in numbers, in symbols or both, and how it is read and cut.

    step      1       2       3       4
    numbers   0.012   -0.004  0.001   -0.021      one row a step, one column a measure
    symbols   G       L       W       S           one a step
    labels    Sell    Buy     Sell    Buy         one a step, or one for the whole series
    ahead     -0.004  0.001   -0.021  ?           what comes next, where that is to be foreseen

A price as such says little; its change from step to step does. So a column of numbers can be read as a change.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, field_validator, model_validator

from nlp_lstm.errors import ConfigError, DataError, shorten
from nlp_lstm.settings import Settings

Numbers: TypeAlias = "NDArray[np.float64]"

MEASURES = ("value", "change", "log-change")
RATIO = "log-ratio/"

TIME_HELD_OUT = 0.15
"""The share of the times that dev and test get each, at the end, where they have no files."""


class SeriesReading(Settings):
    """Where a table has what, and as what its numbers are read."""

    series: str | None = None
    """The column that says which series a row belongs to; null where the whole file is one."""
    time: str | None = None
    """The column with the time of each step, in order within each series; the splits then follow one another in time.
    Null splits whole series."""
    numbers: Mapping[str, str] = Field(default_factory=dict)
    """A column to how it is read: ``value``, ``change`` or ``log-change`` from the step before, or ``log-ratio/X``,
    the logarithm of its ratio to column X. None takes each column of numbers that has no other part, as it is."""
    symbols: str | None = None
    """The column with the symbol of each step."""
    label: str | None = None
    """The column with the label of each step, or the same all through a series."""
    ahead: str | None = None
    """The column whose logarithmic change over the next steps is to be foreseen."""
    horizon: int = Field(1, ge=1, le=10_000)
    """How many steps ahead."""

    @field_validator("numbers")
    @classmethod
    def _known_measures(cls, value: Mapping[str, str]) -> Mapping[str, str]:
        for column, measure in value.items():
            if measure not in MEASURES and not (measure.startswith(RATIO) and measure != RATIO):
                raise ValueError(f'"{column}" is read as "{measure}"; known: {", ".join(MEASURES)}, {RATIO}COLUMN')
        return value

    @model_validator(mode="after")
    def _one_target(self) -> SeriesReading:
        if self.label is not None and self.ahead is not None:
            raise ValueError("label and ahead are both set; a series is learnt with one of them")
        return self

    def then(self, later: SeriesReading) -> SeriesReading:
        """Return these settings with what ``later`` says explicitly in their place."""
        changes = {name: getattr(later, name) for name in later.model_fields_set}
        try:
            return SeriesReading.model_validate({**self.model_dump(), **changes})
        except ValueError as error:
            raise ConfigError(f"reading: {error}") from error


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SeriesExample:
    """A series, of which some steps may be the past alone.

    Args:
        name: of the series.
        columns: what the numbers measure, one name a column.
        numbers: float64, `time column`; nan where a number is missing.
        symbols: one a step; empty where there are none.
        labels: one a step, None where it is not known; empty where steps have none.
        label: of the whole series.
        ahead: float64, `time`, what comes after each step, nan where that is not known; None where nothing is foreseen.
        times: one a step, in order; empty where they are not known.
        first: the first step that counts. Those before it are the past, which is read but not answered for.
        reading: how the table was read that it comes from.

    Raises:
        DataError: the parts have different lengths.
    """

    name: str
    columns: tuple[str, ...] = ()
    numbers: Numbers
    symbols: tuple[str, ...] = ()
    labels: tuple[str | None, ...] = ()
    label: str | None = None
    ahead: Numbers | None = None
    times: tuple[str, ...] = ()
    first: int = 0
    reading: SeriesReading = field(default_factory=SeriesReading)

    def __post_init__(self) -> None:
        if self.numbers.ndim != 2 or self.numbers.shape[1] != len(self.columns):
            raise DataError(f"{self.name}: numbers of shape {self.numbers.shape} for {len(self.columns)} columns")
        parts = {"symbols": self.symbols, "labels": self.labels, "times": self.times}
        parts |= {} if self.ahead is None else {"what is ahead": self.ahead}  # type: ignore[dict-item]
        for name, part in parts.items():
            if len(part) not in (0, len(self)):
                raise DataError(f"{self.name}: {len(part)} {name} for {len(self)} steps; every step needs one")

    def __len__(self) -> int:
        return len(self.numbers)

    @property
    def num_answered(self) -> int:
        """The steps that count."""
        return len(self) - self.first

    def cut(self, start: int, end: int, *, first: int) -> SeriesExample:
        """Return the steps from ``start`` to ``end``, of which those from ``first`` count; all counted from 0."""
        return replace(
            self,
            numbers=self.numbers[start:end],
            symbols=self.symbols[start:end],
            labels=self.labels[start:end],
            ahead=None if self.ahead is None else self.ahead[start:end],
            times=self.times[start:end],
            first=first - start,
        )


def make_numbers(table: Mapping[str, Numbers], reading: SeriesReading, where: str) -> tuple[tuple[str, ...], Numbers]:
    """Return the columns of a series as they are read, and their names.

    Args:
        table: each column of the file that ``reading.numbers`` is about, for one series.
        reading: how.
        where: for messages.

    Returns:
        The names, and `time column`. A change has no value at the first step: nan.

    Raises:
        DataError: a column is missing, or a logarithm is asked for a number that is not above 0.
    """
    columns = []
    for name, measure in reading.numbers.items():
        values = _column(table, name, where)
        if measure == "change":
            columns.append(_changes(values))
        elif measure == "log-change":
            columns.append(_changes(_logarithms(values, name, where)))
        elif measure.startswith(RATIO):
            other = measure.removeprefix(RATIO)
            below = _logarithms(_column(table, other, where), other, where)
            columns.append(_logarithms(values, name, where) - below)
        else:
            columns.append(values)
    length = len(next(iter(table.values()))) if table else 0
    return tuple(reading.numbers), np.stack(columns, axis=1) if columns else np.empty((length, 0))


def look_ahead(table: Mapping[str, Numbers], reading: SeriesReading, where: str) -> Numbers | None:
    """Return the logarithmic change that follows each step, nan at the end; None where nothing is foreseen."""
    if reading.ahead is None:
        return None
    logs = _logarithms(_column(table, reading.ahead, where), reading.ahead, where)
    ahead = np.full(len(logs), np.nan)
    ahead[: -reading.horizon] = logs[reading.horizon :] - logs[: -reading.horizon]
    return ahead


def needed_columns(reading: SeriesReading) -> tuple[str, ...]:
    """Return the columns of numbers that ``reading`` needs, those for ratios among them."""
    others = [measure.removeprefix(RATIO) for measure in reading.numbers.values() if measure.startswith(RATIO)]
    return tuple(dict.fromkeys([*reading.numbers, *others]))


def cut_in_time(examples: Sequence[SeriesExample], splits: Sequence[str]) -> dict[str, list[SeriesExample]]:
    """Cut series where all of them have the same time, so that no part knows what comes after it.

    A later part comes with all steps before it as its past. What lies ahead of the last steps of an earlier part is in
    the next one, so there it is not known.

    Args:
        examples: whole series with times.
        splits: the parts in their order, "train" first; each but the first gets ``TIME_HELD_OUT`` of the times.

    Raises:
        DataError: there are too few times.
    """
    times = sorted({time for example in examples for time in example.times})
    share = int(len(times) * TIME_HELD_OUT)
    if not share:
        raise DataError(f"{len(times)} times are too few to be cut into {', '.join(splits)}; give at least 7")
    starts = [0, *(len(times) - share * (len(splits) - number) for number in range(1, len(splits)))]
    bounds = [times[start] for start in starts]
    parts: dict[str, list[SeriesExample]] = {}
    for number, split in enumerate(splits):
        end_time = bounds[number + 1] if number + 1 < len(bounds) else None
        parts[split] = []
        for example in examples:
            first = _place(example.times, bounds[number])
            end = len(example) if end_time is None else _place(example.times, end_time)
            if first < end:
                parts[split].append(_forget_next(example.cut(0, end, first=first), is_last=end_time is None))
    return parts


def split_of_series(example: SeriesExample) -> str:
    """Return the split of a whole series, by the sha256 of its steps: of ten, eight train, one dev, one test.

    The same steps are always in the same split, whatever the series is called.
    """
    digest = hashlib.sha256(example.numbers.tobytes() + "\0".join(example.symbols).encode("utf-8")).digest()
    return {8: "dev", 9: "test"}.get(int.from_bytes(digest[:8], "big") % 10, "train")


def _forget_next(example: SeriesExample, *, is_last: bool) -> SeriesExample:
    if example.ahead is None or is_last:
        return example
    ahead = example.ahead.copy()
    ahead[-example.reading.horizon :] = np.nan
    return replace(example, ahead=ahead)


def _place(times: Sequence[str], time: str) -> int:
    """The number of steps before a time."""
    return int(np.searchsorted(np.asarray(times), time))


def _column(table: Mapping[str, Numbers], name: str, where: str) -> Numbers:
    if name not in table:
        raise DataError(f"{where}: there is no column {shorten(name)}; its columns are {', '.join(table) or 'none'}")
    return table[name]


def _changes(values: Numbers) -> Numbers:
    return np.diff(values, prepend=np.nan)


def _logarithms(values: Numbers, name: str, where: str) -> Numbers:
    wrong = np.flatnonzero(values <= 0)
    if len(wrong):
        raise DataError(
            f"{where}: step {wrong[0] + 1} has {name} {values[wrong[0]]:g}, which has no logarithm; read the column as "
            f"value or change, in reading.numbers"
        )
    return np.log(values)

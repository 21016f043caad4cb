"""Readers of series: tables with a row a step, files of aeon and sktime, JSON lines, and the peptides of modlAMP.

Strict, with file and line in every complaint. Files are UTF-8, plain or with the ending ``.gz``.
"""

from __future__ import annotations

import csv
import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from nlp_lstm.data.series import Numbers, SeriesExample, SeriesReading, look_ahead, make_numbers, needed_columns
from nlp_lstm.errors import DataError, nearest_hint, shorten
from nlp_lstm.text.lines import read_lines

LONGEST_SERIES = 10_000_000
"""Steps of a file."""


def read_series_table(path: Path | str, reading: SeriesReading) -> list[SeriesExample]:
    """Read a table with a header and one row a step; in ``.tsv`` files tabs stand between columns, else commas.

    Raises:
        DataError: a column is missing, a row has another number of columns than the header, or what
            ``series_of_table`` raises; with the line.
    """
    path = Path(path)
    delimiter = "\t" if path.name.lower().removesuffix(".gz").endswith(".tsv") else ","
    return series_of_table(_read_columns(path, delimiter), reading, str(path), first_line=2)


def series_of_table(
    columns: Mapping[str, Sequence[Any]], reading: SeriesReading, where: str, *, first_line: int = 1
) -> list[SeriesExample]:
    """Return the series of a table that is at hand.

    Args:
        columns: the values of each column, all equally many; numbers, or text that says a number.
        reading: what the columns mean.
        where: for messages.
        first_line: the line of the first row, for messages.

    Raises:
        DataError: a column is missing, a value is no number, the rows of a series do not stand together or not in the
            order of time, or there is no row.
    """
    lengths = {len(values) for values in columns.values()}
    if len(lengths) > 1:
        raise DataError(f"{where}: columns of {', '.join(map(str, sorted(lengths)))} steps; every step needs each")
    length = lengths.pop() if lengths else 0
    if not length:
        raise DataError(f"{where}: holds no step at all; give at least one row below the header")
    for name in (reading.series, reading.time, reading.symbols, reading.label, reading.ahead):
        if name is not None and name not in columns:
            raise DataError(
                f"{where}: there is no column {shorten(name)}; its columns are {', '.join(columns)}."
                + nearest_hint(name, columns)
            )
    if not reading.numbers and reading.symbols is None:
        reading = reading.model_copy(update={"numbers": _columns_of_numbers(columns, reading, where)})
    wanted = dict.fromkeys([*needed_columns(reading), *([reading.ahead] if reading.ahead else [])])
    table = {name: _numbers(columns, name, where, first_line) for name in wanted}
    return [
        _one_series(columns, table, reading, start, end, where, first_line)
        for start, end in _stretches(columns, reading, length, where, first_line)
    ]


def read_ts(path: Path | str, reading: SeriesReading) -> list[SeriesExample]:
    """Read a file of aeon or sktime: one series a line, its columns with colons between, the label of the whole last.

    The columns are called 1, 2, 3 and so on. ``?`` and ``NaN`` are missing numbers.

    Raises:
        DataError: the file has time stamps or no labels, or a line is no such series; with the line.
    """
    path = Path(path)
    examples = []
    is_data = False
    for number, line in read_lines(path):
        where, line = f"{path}:{number}", line.strip()
        if not line or line.startswith("#"):
            continue
        if not is_data:
            words = line.lower().split()
            if not line.startswith("@"):
                raise DataError(f"{where}: {shorten(line)} stands before @data; a .ts file begins with its header")
            if words[:2] in (["@timestamps", "true"], ["@classlabel", "false"]):
                raise DataError(f"{where}: {shorten(line)}; files with time stamps or without labels are not read")
            is_data = words[0] == "@data"
            continue
        *dimensions, label = line.split(":")
        rows = [[_number(value, where) for value in dimension.split(",")] for dimension in dimensions]
        if not rows or len({len(row) for row in rows}) != 1 or not label.strip():
            raise DataError(f"{where}: {shorten(line)} is no series with columns of equal length and a label")
        columns = tuple(str(column) for column in range(1, len(rows) + 1))
        own = SeriesReading(numbers=dict.fromkeys(columns, "value"))
        examples.append(
            SeriesExample(name=where, columns=columns, numbers=np.array(rows).T, label=label.strip(), reading=own)
        )
    return _check_any(examples, path)


def read_series_jsonl(path: Path | str, reading: SeriesReading) -> list[SeriesExample]:
    """Read one JSON object a line: ``{"symbols": "GLWS", "label": "AMP"}`` or
    ``{"numbers": {"x": [0.1, 0.2], "y": [1, 3]}, "labels": ["up", "down"], "name": "run 1"}``.

    Symbols are a string of one character each, or a list. The measures of ``reading.numbers`` apply.

    Raises:
        DataError: a line is no such object; with the line.
    """
    path = Path(path)
    examples = []
    for number, line in read_lines(path):
        if not line.strip():
            continue
        where = f"{path}:{number}"
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise DataError(f"{where}: is not JSON ({error})") from error
        known = ("name", "numbers", "symbols", "labels", "label")
        unknown = [key for key in value if key not in known] if isinstance(value, dict) else [value]
        if unknown:
            raise DataError(f"{where}: {shorten(unknown[0])} is none of {', '.join(known)}, the keys of a series")
        examples.append(_json_series(value, reading, where))
    return _check_any(examples, path)


def read_modlamp(path: Path | str, reading: SeriesReading) -> list[SeriesExample]:
    """Read peptides as the package modlAMP has them: ``GLWSKIKEV,1`` below a header ``5200,1,UniProt,AMP``.

    The header has the number of peptides, 1, and the names of the labels 0 and 1.

    Raises:
        DataError: a line is no such peptide, or there are more or fewer than the header says.
    """
    path = Path(path)
    lines = read_lines(path)
    head = [cell.strip() for cell in next(lines, (1, ""))[1].split(",")]
    if len(head) < 4 or not re.fullmatch(r"\d{1,9}", head[0], re.ASCII):
        raise DataError(f"{path}:1: the header is {shorten(','.join(head))}; expected as in 5200,1,UniProt,AMP")
    examples = []
    for number, line in lines:
        peptide, _, label = (cell.strip() for cell in line.partition(","))
        if not (peptide.isascii() and peptide.isalpha() and label in ("0", "1")):
            raise DataError(f"{path}:{number}: {shorten(line)} is no peptide with a label, as in GLWSKIKEV,1")
        examples.append(symbol_series(peptide, f"{path}:{number}", label=head[2 + int(label)]))
    if len(examples) != int(head[0]):
        raise DataError(f"{path}: has {len(examples)} peptides, its header says {head[0]}; fetch it again")
    return examples


def symbol_series(symbols: Sequence[str], name: str, *, label: str | None = None) -> SeriesExample:
    """Return a series of symbols alone."""
    return SeriesExample(name=name, numbers=np.empty((len(symbols), 0)), symbols=tuple(symbols), label=label)


def _json_series(value: Mapping[str, Any], reading: SeriesReading, where: str) -> SeriesExample:
    symbols, labels, label = value.get("symbols") or (), value.get("labels") or (), value.get("label")
    numbers = value.get("numbers") or {}
    is_text = isinstance(symbols, (str, list, tuple)) and all(isinstance(symbol, str) for symbol in symbols)
    if not is_text or not isinstance(labels, (list, tuple)) or not isinstance(numbers, dict):
        raise DataError(f"{where}: symbols are text, labels a list, and numbers the columns by name")
    if not all(isinstance(column, list) for column in numbers.values()):
        raise DataError(f"{where}: the columns of numbers are lists")
    columns: dict[str, Sequence[Any]] = dict(numbers)
    own: dict[str, str | None] = {"series": None, "time": None, "label": None, "symbols": None}
    if symbols:
        columns["symbols"], own["symbols"] = list(symbols), "symbols"
    if labels:
        columns["labels"], own["label"] = [None if one is None else str(one) for one in labels], "labels"
    chosen = reading.model_copy(update=own)
    if not columns:
        raise DataError(f"{where}: has neither numbers nor symbols")
    (example,) = series_of_table(columns, chosen, where)
    kept = {"symbols": None, "label": reading.label} if not numbers else {"label": reading.label}
    return SeriesExample(
        name=str(value.get("name") or where),
        columns=example.columns,
        numbers=example.numbers,
        symbols=example.symbols,
        labels=example.labels,
        label=example.label if label is None else str(label),
        ahead=example.ahead,
        reading=example.reading.model_copy(update=kept),
    )


def _one_series(
    columns: Mapping[str, Sequence[Any]],
    table: Mapping[str, Numbers],
    reading: SeriesReading,
    start: int,
    end: int,
    where: str,
    first_line: int,
) -> SeriesExample:
    place = f"{where}:{start + first_line}"
    part = {name: values[start:end] for name, values in table.items()}
    names, numbers = make_numbers({name: part[name] for name in needed_columns(reading)}, reading, place)
    labels: tuple[str | None, ...] = ()
    if reading.label is not None:
        labels = tuple(_text(value) or None for value in columns[reading.label][start:end])
    same = set(labels)
    return SeriesExample(
        name=place if reading.series is None else str(columns[reading.series][start]),
        columns=names,
        numbers=numbers if names else np.empty((end - start, 0)),
        symbols=() if reading.symbols is None else tuple(map(_text, columns[reading.symbols][start:end])),
        labels=labels,
        label=same.pop() if len(same) == 1 else None,
        ahead=look_ahead(part, reading, place),
        times=() if reading.time is None else tuple(map(_text, columns[reading.time][start:end])),
        reading=reading,
    )


def _stretches(
    columns: Mapping[str, Sequence[Any]], reading: SeriesReading, length: int, where: str, first_line: int
) -> Iterator[tuple[int, int]]:
    """Yield where each series begins and ends."""
    names = [""] * length if reading.series is None else list(map(_text, columns[reading.series]))
    starts = [0, *(row for row in range(1, length) if names[row] != names[row - 1]), length]
    seen: set[str] = set()
    times = [] if reading.time is None else list(map(_text, columns[reading.time]))
    for start, end in pairwise(starts):
        if names[start] in seen:
            raise DataError(
                f"{where}:{start + first_line}: the series {shorten(names[start])} begins a second time; sort the rows "
                "by series"
            )
        seen.add(names[start])
        for row in range(start + 1, end if times else start):
            if times[row] <= times[row - 1]:
                raise DataError(
                    f"{where}:{row + first_line}: the time {shorten(times[row])} follows {shorten(times[row - 1])}; "
                    "sort the rows of a series by time, and write times so that they sort as text, as in 2024-03-01"
                )
        yield start, end


def _read_columns(path: Path, delimiter: str) -> dict[str, list[str]]:
    reader = csv.reader((line for _, line in read_lines(path)), delimiter=delimiter, strict=True)
    try:
        header = [name.strip() for name in next(reader, [])]
        if not header or len(set(header)) != len(header):
            raise DataError(f"{path}:1: the header is {shorten(header)}; the first line names each column once")
        columns: dict[str, list[str]] = {name: [] for name in header}
        for row in reader:
            if not row:
                continue
            if len(row) != len(header):
                raise DataError(f"{path}:{reader.line_num}: {len(row)} columns, the header has {len(header)}")
            for name, value in zip(header, row, strict=True):
                columns[name].append(value)
            if reader.line_num > LONGEST_SERIES:
                raise DataError(f"{path}: has more than {LONGEST_SERIES:,} rows; cut it into several files")
    except csv.Error as error:
        raise DataError(f"{path}:{reader.line_num}: is no table ({error}); close all quotes") from error
    return columns


def _columns_of_numbers(columns: Mapping[str, Sequence[Any]], reading: SeriesReading, where: str) -> dict[str, str]:
    taken = {reading.series, reading.time, reading.label, reading.symbols}
    found = {
        name: "value"
        for name, values in columns.items()
        if name not in taken and all(_as_number(value) is not None for value in values)
    }
    if not found:
        raise DataError(
            f"{where}: no column has numbers in every row; name them in reading.numbers, or reading.symbols"
        )
    return found


def _numbers(columns: Mapping[str, Sequence[Any]], name: str, where: str, first_line: int) -> Numbers:
    if name not in columns:
        raise DataError(
            f"{where}: there is no column {shorten(name)}; its columns are {', '.join(columns)}."
            + nearest_hint(name, columns)
        )
    return np.array([_number(value, f"{where}:{first_line + row}", name) for row, value in enumerate(columns[name])])


def _number(value: Any, where: str, name: str = "") -> float:
    found = _as_number(value)
    if found is None:
        column = f" of {name}" if name else ""
        raise DataError(f"{where}: the value{column} is {shorten(value)}; expected a finite number, or nothing")
    return found


def _as_number(value: Any) -> float | None:
    """A value as a number, nan where there is none; None for anything else."""
    if value is None or (isinstance(value, str) and value.strip().lower() in ("", "?", "nan", "na")):
        return math.nan
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):  # the last: a whole number larger than any float
        return None
    return None if math.isinf(number) else number


def _text(value: Any) -> str:
    return "" if value is None else str(value).strip()


def _check_any(examples: list[SeriesExample], path: Path) -> list[SeriesExample]:
    if not examples:
        raise DataError(f"{path}: holds no series at all; give a file with at least one")
    return examples

"""Readers of labelled texts: tables, JSON lines and trees, strict, with file and line in every complaint.

Each reader gives rows of text and label; ``make_examples`` turns the rows of every format into examples, so labels
are named, texts put together and tokens split in one place. Files are UTF-8, plain or with the ending ``.gz``.
"""

from __future__ import annotations

import contextlib
import csv
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from nlp_lstm.data.example import LabelledExample, LabelledPart
from nlp_lstm.data.reading import ReadingSettings
from nlp_lstm.errors import DataError, nearest_hint, shorten
from nlp_lstm.text.detokenize import detokenise
from nlp_lstm.text.document import Document
from nlp_lstm.text.lines import read_lines
from nlp_lstm.text.tokenize import Tokenizer, check_text

TEXT_NAMES = ("text", "sentence", "review", "question", "content")
"""Column names that mean the text, the preferred one first; upper case counts as lower."""

LABEL_NAMES = ("label", "sentiment", "class", "category", "rating", "stars")
"""Column names that mean the label."""

_LONGEST_FIELD = 1 << 30  # characters; the csv module's own limit is below a long document


class LabelledRow(NamedTuple):
    """A text and its label as a file has them, and where: ``path:line``.

    A reader that has the text's tokens already gives them as ``document``, and then may give ``parts``: the first token
    of each labelled part, the one after its last, and its label.
    """

    where: str
    text: str
    label: str
    domain: str = ""
    is_phrase: bool = False
    document: Document | None = None
    parts: tuple[tuple[int, int, str], ...] = ()


def make_examples(
    path: Path, rows: Iterable[LabelledRow], reading: ReadingSettings, tokenizer: Tokenizer
) -> list[LabelledExample]:
    """Turn the rows of a file into examples: the labels get their meaning, the texts their tokens.

    Args:
        path: the file.
        rows: its rows; texts and labels lose the white space around them.
        reading: names of the labels, and whether the texts are tokens.
        tokenizer: of the texts' language.

    Raises:
        DataError: a text or a label is empty, a text holds a NUL, a label holds a line end or is not known, or no row
            is left.
    """
    examples = []
    for row in rows:
        text, label = row.text.strip(), row.label.strip()
        if not text or "\0" in text:
            raise DataError(f"{row.where}: the text is {shorten(row.text)}; every row needs a text, without NULs")
        if not label:
            raise DataError(f"{row.where}: the label of {shorten(text)} is empty; every row needs a label")
        if len(label.splitlines()) > 1:
            raise DataError(
                f"{row.where}: the label is {shorten(label)}; a label has no line end. Is the right column read, and "
                "are all quotes closed?"
            )
        meaning = reading.meaning(label, row.where)
        if meaning is None:
            continue
        document = row.document
        if document is None:
            document = tokenizer.tokenize(detokenise(text.split()) if reading.is_tokenised else text)
        examples.append(
            LabelledExample(
                document=document,
                label=meaning if isinstance(meaning, str) else _main_label(meaning),
                target=None if isinstance(meaning, str) else meaning,
                domain=row.domain.strip(),
                is_phrase=row.is_phrase,
                parts=tuple(_make_parts(row, reading)),
            )
        )
    if not examples:
        raise DataError(f"{path}: holds no labelled text at all; give a file with at least one")
    return examples


def _make_parts(row: LabelledRow, reading: ReadingSettings) -> Iterator[LabelledPart]:
    for start, end, label in row.parts:
        meaning = reading.meaning(label, row.where)
        if meaning is not None:
            yield LabelledPart(start, end, {meaning: 1.0} if isinstance(meaning, str) else meaning)


def _main_label(shares: Mapping[str, float]) -> str | None:
    """Return the label with more than half of a distribution, or None."""
    label, share = max(shares.items(), key=lambda item: item[1])
    return label if share > 0.5 else None


def read_tsv(path: Path | str, reading: ReadingSettings, tokenizer: Tokenizer) -> list[LabelledExample]:
    """Read a table with a tab between columns; a quotation mark is a character like any other.

    The columns are those that ``reading`` names or numbers. Where it does neither, the first line has to be a header
    with one of ``TEXT_NAMES`` and one of ``LABEL_NAMES``. Of two columns it is enough to name or number one.

    Raises:
        DataError: no column can be told to be the text's or the label's, a row has another number of columns than
            the first, or what ``make_examples`` raises; with the line.
    """
    path = Path(path)
    rows = ((number, line.split("\t")) for number, line in read_lines(path))
    return make_examples(path, _table_rows(path, rows, reading), reading, tokenizer)


def read_csv(path: Path | str, reading: ReadingSettings, tokenizer: Tokenizer) -> list[LabelledExample]:
    """Read a table with commas between columns and double quotes around what holds a comma, quote or line end.

    Columns are found as ``read_tsv`` finds them.

    Raises:
        DataError: as ``read_tsv``; or the quotes are wrong.
    """
    path = Path(path)
    with _long_fields():
        return make_examples(path, _table_rows(path, _csv_rows(path), reading), reading, tokenizer)


def read_labelled_jsonl(path: Path | str, reading: ReadingSettings, tokenizer: Tokenizer) -> list[LabelledExample]:
    """Read one JSON object a line: ``{"text": "A quiet film.", "label": "POSITIVE"}``.

    Keys are columns and are found as ``read_tsv`` finds those of a header. A label may be a number; it becomes text.

    Raises:
        DataError: a line is no such object; the message has the line and the value.
    """
    path = Path(path)
    return make_examples(path, _json_rows(path, reading), reading, tokenizer)


class _Columns(NamedTuple):
    """The positions of the columns that are read, from 0."""

    text: int
    label: int
    domain: int | None


def _table_rows(
    path: Path, rows: Iterable[tuple[int, Sequence[str]]], reading: ReadingSettings
) -> Iterator[LabelledRow]:
    columns: _Columns | None = None
    num_columns = 0
    for number, cells in rows:
        where = f"{path}:{number}"
        if not any(cells) or (len(cells) == 1 and not cells[0].strip()):
            continue
        if columns is None:
            num_columns, is_header = len(cells), _is_header(cells, reading)
            columns = _find_columns(cells, is_header, reading, where)
            if is_header:
                continue
        check_width(cells, num_columns, where)
        yield LabelledRow(
            where=where,
            text=cells[columns.text],
            label=cells[columns.label],
            domain="" if columns.domain is None else cells[columns.domain],
        )


def check_width(cells: Sequence[str], num_columns: int, where: str) -> None:
    """Check that a row of a table has as many columns as the first one.

    Raises:
        DataError: it has not; says where.
    """
    if len(cells) != num_columns:
        raise DataError(
            f"{where}: {shorten(' | '.join(cells))} has {len(cells)} columns, but the file began with "
            f"{num_columns}; every row needs the same number"
        )


def _is_header(cells: Sequence[str], reading: ReadingSettings) -> bool:
    if any(isinstance(column, str) for column in (reading.text, reading.label, reading.domain)):
        return True
    names = {cell.strip().casefold() for cell in cells}
    return not names.isdisjoint(TEXT_NAMES) and not names.isdisjoint(LABEL_NAMES)


def _find_columns(cells: Sequence[str], is_header: bool, reading: ReadingSettings, where: str) -> _Columns:
    names = [cell.strip() for cell in cells]
    if len(names) == 1 and (";" in names[0] or "\t" in names[0]):
        separator = "tab" if "\t" in names[0] else "semicolon"
        raise DataError(
            f"{where}: {shorten(names[0])} is one column with a {separator} in it; put a comma between the columns of "
            "a .csv file and a tab between those of a .tsv file"
        )
    text = find_column("text", reading.text, names, TEXT_NAMES if is_header else (), where)
    label = find_column("label", reading.label, names, LABEL_NAMES if is_header else (), where)
    if len(names) == 2:
        text = 1 - label if text is None and label is not None else text
        label = 1 - text if label is None and text is not None else label
    if text is None or label is None or text == label:
        missing = "text" if text is None else "label" if label is None else "text or the label, or is both"
        raise DataError(
            f"{where}: {shorten(' | '.join(names))} does not tell which column is the {missing}; known "
            f"names: {', '.join(TEXT_NAMES)} and {', '.join(LABEL_NAMES)}. Where these are other names, say which two "
            "count: reading.text=NAME reading.label=NAME; where they are a text and its label, number the columns: "
            "reading.text=1 reading.label=2"
        )
    return _Columns(text, label, find_column("domain", reading.domain, names, (), where))


def find_column(
    role: str, column: str | int | None, names: Sequence[str], known: Sequence[str], where: str
) -> int | None:
    """Return the position of a column from 0, or None when it cannot be told.

    Args:
        role: the key of ``reading`` that says where the column is, for messages.
        column: what it says: a name, a number from 1, or nothing; then the first of ``known`` that is there counts.
        names: of the columns.
        known: names that mean this column, in lower case.
        where: file and line, for messages.

    Raises:
        DataError: there is no such column, or there are two.
    """
    if isinstance(column, int):
        if column > len(names):
            raise DataError(f"{where}: reading.{role} is {column}, but there are {len(names)} columns; count from 1")
        return column - 1
    if column is not None:
        if column not in names:
            raise DataError(
                f'{where}: no column is called "{column}", as reading.{role} says; columns: '
                f"{', '.join(map(shorten, names))}.{nearest_hint(column, names)}"
            )
        if names.count(column) > 1:
            raise DataError(
                f'{where}: {names.count(column)} columns are called "{column}", as reading.{role} says; rename all but '
                f"one: {', '.join(map(shorten, names))}"
            )
        return names.index(column)
    folded = [name.casefold() for name in names]
    return next((folded.index(name) for name in known if name in folded), None)


def _csv_rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader((f"{line}\n" for line in _plain_lines(path)), strict=True)
    while True:
        first_line = reader.line_num + 1
        try:
            yield first_line, next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise DataError(
                f"{path}:{first_line}: the row that begins here is not CSV ({error}); put double quotes around what "
                "holds a comma, a quote or a line end, and double each quote inside"
            ) from error


def _plain_lines(path: Path) -> Iterator[str]:
    for number, line in read_lines(path):
        if "\0" in line:  # some versions of the csv module stop at it
            raise DataError(f"{path}:{number}: {shorten(line)} holds a NUL; save the file as plain UTF-8 text")
        if "\r" in line:  # the csv module speaks of how the file was opened
            raise DataError(
                f"{path}:{number}: {shorten(line)} holds a carriage return that ends no line; save the file with the "
                "line ends of Unix or Windows"
            )
        yield line


@contextlib.contextmanager
def _long_fields() -> Iterator[None]:
    before = csv.field_size_limit(_LONGEST_FIELD)
    try:
        yield
    finally:
        csv.field_size_limit(before)


def _json_rows(path: Path, reading: ReadingSettings) -> Iterator[LabelledRow]:
    keys: tuple[str, str, str | None] | None = None
    for number, line in read_lines(path):
        where = f"{path}:{number}"
        if not line.strip():
            continue
        item = read_json_object(line, where, '{"text": "A quiet film.", "label": "POSITIVE"}')
        keys = keys or _find_keys(list(item), reading, where)
        text, label = _value(item, keys[0], where), _value(item, keys[1], where)
        if not isinstance(text, str):
            raise DataError(f'{where}: "{keys[0]}" is {shorten(text)}; the text is a string')
        yield LabelledRow(
            where=where,
            text=check_text(text, f'{where}: "{keys[0]}"'),
            label=_plain(label, keys[1], where),
            domain="" if keys[2] is None else _plain(_value(item, keys[2], where), keys[2], where),
        )


def read_json_object(line: str, where: str, look: str) -> Mapping[str, Any]:
    """Return the object that a line is.

    Args:
        line: of a file of JSON lines.
        where: file and line, for messages.
        look: such a line, for messages.

    Raises:
        DataError: it is no object.
    """
    try:
        item: Any = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{where}: {shorten(line)} is not JSON ({error}); each line is one JSON object") from error
    if not isinstance(item, dict):
        raise DataError(f"{where}: {shorten(line)} is no object; a line looks like {look}")
    return item


def _find_keys(names: Sequence[str], reading: ReadingSettings, where: str) -> tuple[str, str, str | None]:
    for role, column in (("text", reading.text), ("label", reading.label), ("domain", reading.domain)):
        if isinstance(column, int):
            raise DataError(f"{where}: reading.{role} is {column}, but what JSON lines hold has names; give the key")
    columns = _find_columns(names, True, reading, where)
    return names[columns.text], names[columns.label], None if columns.domain is None else names[columns.domain]


def _value(item: Mapping[str, Any], key: str, where: str) -> Any:
    if key not in item:
        raise DataError(f'{where}: {shorten(dict(item))} has no "{key}", as the first line has; every line needs it')
    return item[key]


def _plain(value: Any, key: str, where: str) -> str:
    """A label as text; numbers become theirs."""
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise DataError(f'{where}: "{key}" is {shorten(value)}; it is a string or a number')
    return check_text(str(value), f'{where}: "{key}"')

"""Files of lines: a text a line, or a JSON object a line."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar

from nlp_lstm.bulk.blocks import Block, Given, Limits, Rows, Source, decode
from nlp_lstm.data.labelled import read_json_object
from nlp_lstm.errors import DataError, shorten
from nlp_lstm.text.lines import read_raw_lines

TEXT_COLUMN = "text"
ROWS_FOR_KEYS = 100  # rows whose keys are taken for the columns of JSON lines
LOOK = '{"text": "A quiet film."}'


class TextLines(Source):
    """One text a line; an empty line is an empty text."""

    name: ClassVar[str] = "text"
    endings: ClassVar[tuple[str, ...]] = (".txt",)

    def columns(self, path: Path) -> list[str]:
        return [TEXT_COLUMN]

    def blocks(self, path: Path, limits: Limits) -> Iterator[Block]:
        return _cut_lines(path, limits, lambda line: True)

    def rows(self, block: Block, column: str, into: str) -> Rows:
        return _TextRows([Given(place, *decode(line)) for place, line in _lines_of(block)], [TEXT_COLUMN])


class JsonLines(Source):
    """One JSON object a line; blank lines are no rows."""

    name: ClassVar[str] = "jsonl"
    endings: ClassVar[tuple[str, ...]] = (".jsonl", ".ndjson")
    has_columns: ClassVar[bool] = False

    def columns(self, path: Path) -> list[str]:
        """Return the keys of the first rows."""
        filled = ((place, line) for place, line in read_raw_lines(path) if line.strip())
        keys: dict[str, None] = {}
        for place, line in islice(filled, ROWS_FOR_KEYS):
            keys |= dict.fromkeys(_read_object(line, f"{path}:{place}")[0])
        return list(keys)

    def blocks(self, path: Path, limits: Limits) -> Iterator[Block]:
        return _cut_lines(path, limits, lambda line: bool(line.strip()))

    def rows(self, block: Block, column: str, into: str) -> Rows:
        given, lines = [], []
        for place, raw in _lines_of(block):
            if not raw.strip():
                continue
            where = f"{block.path}:{place}"
            item, line, fault = _read_object(raw, where)
            if into and into in item:
                raise DataError(f'{where}: {shorten(line)} has "{into}" already; name another column with --into')
            if not fault and column not in item:
                fault = f'{shorten(line)} has no "{column}"'
            given.append(Given(place, item.get(column), fault))
            lines.append(line)
        return _JsonRows(given, lines)


def _read_object(raw: bytes, where: str) -> tuple[Any, str, str]:
    """Return the object that a line is, the line as text, and what is wrong with its bytes."""
    line, fault = decode(raw.strip())
    return read_json_object(line, where, LOOK), line, fault


class _TextRows(Rows):
    def cells(self) -> Iterator[Sequence[str]]:
        return ([one.value] for one in self.given)


class _JsonRows(Rows):
    """Objects as they stand in the file, so that numbers and escapes stay as they are."""

    def __init__(self, given: Sequence[Given], lines: Sequence[str]) -> None:
        super().__init__(given, [])
        self._lines = lines

    def cells(self) -> Iterator[Sequence[str]]:
        return ([] for _ in self._lines)

    def objects(self) -> Iterator[str]:
        return iter(self._lines)


def _cut_lines(path: Path, limits: Limits, is_row: Callable[[bytes], bool]) -> Iterator[Block]:
    lines: list[bytes] = []
    first, num_rows, size, end = 1, 0, 0, 0
    for _, line in read_raw_lines(path):
        lines.append(line)
        num_rows += is_row(line)
        size += len(line)
        if num_rows == limits.rows or (num_rows and size >= limits.size):
            end += size
            yield Block(path=str(path), first=first, num_rows=num_rows, content=b"".join(lines), end=end)
            first, num_rows, size, lines = first + len(lines), 0, 0, []
    if num_rows:
        yield Block(path=str(path), first=first, num_rows=num_rows, content=b"".join(lines), end=end + size)


def _lines_of(block: Block) -> Iterator[tuple[int, bytes]]:
    lines = block.content.split(b"\n")
    if not lines[-1]:
        lines.pop()
    return ((place, line.rstrip(b"\r")) for place, line in enumerate(lines, start=block.first))

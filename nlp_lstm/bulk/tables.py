"""Files of tables: CSV and Parquet."""

from __future__ import annotations

import contextlib
import csv
import datetime
import decimal
import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from nlp_lstm.bulk.blocks import Block, Given, Limits, Rows, Source, decode
from nlp_lstm.errors import DataError, shorten
from nlp_lstm.text.lines import read_raw_lines

LONGEST_CELL = 1 << 24  # characters; where a cell is longer, a quote was not closed
ROWS_AT_A_TIME = 256  # of Parquet that are unpacked together


class Csv(Source):
    """Commas between columns, double quotes around what holds a comma, quote or line end; the first row is a header.

    The content of a block is the header and, for each row, its line, its cells, and what is wrong with its bytes.
    """

    name: ClassVar[str] = "csv"
    endings: ClassVar[tuple[str, ...]] = (".csv",)

    def columns(self, path: Path) -> list[str]:
        _, names, fault = next(_csv_rows(path), (1, [], ""))
        if fault:
            raise DataError(f"{path}:1: {fault}; save the file as UTF-8")
        if len(names) == 1 and (";" in names[0] or "\t" in names[0]):
            separator = "tab" if "\t" in names[0] else "semicolon"
            raise DataError(
                f"{path}:1: {shorten(names[0])} is one column with a {separator} in it; put a comma between columns"
            )
        check_names(path, names)
        return names

    def blocks(self, path: Path, limits: Limits) -> Iterator[Block]:
        rows = _csv_rows(path)
        _, header, _ = next(rows, (1, [], ""))
        some: list[tuple[int, list[str], str]] = []
        size = end = 0
        for row in rows:
            some.append(row)
            size += sum(map(len, row[1])) + len(row[1])
            if len(some) == limits.rows or size >= limits.size:
                end += size
                yield self._block(path, header, some, end)
                some, size = [], 0
        if some:
            yield self._block(path, header, some, end + size)

    def _block(self, path: Path, header: list[str], rows: list[tuple[int, list[str], str]], end: int) -> Block:
        return Block(path=str(path), first=rows[0][0], num_rows=len(rows), content=(header, rows), end=end)

    def rows(self, block: Block, column: str, into: str) -> Rows:
        header, rows = block.content
        place = header.index(column)
        given = []
        for line, cells, fault in rows:
            if not fault and len(cells) != len(header):
                number = f"{len(cells)} columns" if len(cells) != 1 else "1 column"
                fault = f"{shorten(','.join(cells))} has {number}, and the header has {len(header)}"
            given.append(Given(line, cells[place] if place < len(cells) else None, fault))
        return _CsvRows(given, header, [cells for _, cells, _ in rows])


def check_names(path: Path, names: Sequence[str]) -> None:
    """Check that no two columns have the same name.

    Raises:
        DataError: two have.
    """
    twice = next((name for name, count in Counter(names).items() if count > 1), None)
    if twice is not None:
        raise DataError(f"{path}: two columns are called {shorten(twice)}; rename one")


class _CsvRows(Rows):
    """Rows of a table; one with too few or too many cells is filled up or cut."""

    def __init__(self, given: Sequence[Given], columns: Sequence[str], cells: Sequence[Sequence[str]]) -> None:
        super().__init__(given, columns)
        self._cells = cells

    def cells(self) -> Iterator[Sequence[str]]:
        width = len(self.columns)
        return ([*cells[:width], *[""] * (width - len(cells))] for cells in self._cells)


def _csv_rows(path: Path) -> Iterator[tuple[int, list[str], str]]:
    """Yield the line of each row, its cells, and what is wrong with its bytes; blank lines are no rows."""
    faults: list[str] = []

    def lines() -> Iterator[str]:
        for _, raw in read_raw_lines(path):
            line, fault = decode(raw)
            if fault:
                faults.append(fault)
            yield line

    reader = csv.reader(lines(), strict=True)
    while True:
        first = reader.line_num + 1
        try:
            with _long_cells():
                cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise DataError(
                f"{path}:{first}: the row that begins here is not CSV ({error}); put double quotes around what holds "
                "a comma, a quote or a line end, double each quote inside, and close each"
            ) from error
        if cells:
            yield first, cells, faults[0] if faults else ""
        faults.clear()


@contextlib.contextmanager
def _long_cells() -> Iterator[None]:
    before = csv.field_size_limit(LONGEST_CELL)
    try:
        yield
    finally:
        csv.field_size_limit(before)


class Parquet(Source):
    """Apache Parquet. The content of a block is an Arrow table as a stream of bytes."""

    name: ClassVar[str] = "parquet"
    endings: ClassVar[tuple[str, ...]] = (".parquet",)
    may_be_packed: ClassVar[bool] = False

    def columns(self, path: Path) -> list[str]:
        with _open_parquet(path) as file:
            names = list(file.schema_arrow.names)
        check_names(path, names)
        return names

    def blocks(self, path: Path, limits: Limits) -> Iterator[Block]:
        with _open_parquet(path) as file:
            size, total = path.stat().st_size, file.metadata.num_rows
            some: list[Any] = []
            first, num_rows, num_bytes = 1, 0, 0
            for batch in _batches(path, file, min(limits.rows, ROWS_AT_A_TIME)):
                while batch.num_rows:
                    part = batch.slice(0, limits.rows - num_rows)
                    batch = batch.slice(part.num_rows)
                    some.append(part)
                    num_rows += part.num_rows
                    num_bytes += part.nbytes
                    if num_rows == limits.rows or num_bytes >= limits.size:
                        yield _block(path, some, first, num_rows, size * (first - 1 + num_rows) // total)
                        first, some, num_rows, num_bytes = first + num_rows, [], 0, 0
            if some:
                yield _block(path, some, first, num_rows, size)
            if first - 1 + num_rows != total:
                raise DataError(f"{path}: has {first - 1 + num_rows} rows and says that it has {total}; write it again")

    def rows(self, block: Block, column: str, into: str) -> Rows:
        import pyarrow

        table = pyarrow.ipc.open_stream(block.content).read_all()
        values = _values(table.column(column))
        given = [Given(place, *value) for place, value in enumerate(values, start=block.first)]
        return _ParquetRows(given, table, block.path)


class _ParquetRows(Rows):
    def __init__(self, given: Sequence[Given], table: Any, path: str) -> None:
        super().__init__(given, table.column_names)
        self._table = table
        self._path = path

    def table(self) -> Any:
        return self._table.replace_schema_metadata(None)  # it describes the columns before one is added

    def cells(self) -> Iterator[Sequence[str]]:
        for row in self._values():
            yield [_cell(row[name]) for name in self.columns]

    def objects(self) -> Iterator[str]:
        for row in self._values():
            yield json.dumps(row, ensure_ascii=False)

    def _values(self) -> Iterator[Mapping[str, Any]]:
        try:
            return map(_plain, self._table.to_pylist())
        except UnicodeDecodeError as error:
            raise DataError(
                f"{self._path}: a column of text holds byte {error.object[error.start : error.start + 1]!r}, which is "
                "not UTF-8; leave out --format, so that columns are taken over as they are"
            ) from error


def _open_parquet(path: Path) -> Any:
    import pyarrow
    from pyarrow import parquet

    try:
        return parquet.ParquetFile(path, pre_buffer=False, buffer_size=1 << 20, memory_map=False)
    except (pyarrow.ArrowException, OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: is no whole Parquet file ({_first_line(error)}); fetch or write it again") from error


def _batches(path: Path, file: Any, size: int) -> Iterator[Any]:
    import pyarrow

    done = 0
    try:
        for batch in file.iter_batches(batch_size=size, use_threads=False):
            yield batch
            done += batch.num_rows
    except (pyarrow.ArrowException, OSError) as error:
        raise DataError(
            f"{path}: is damaged after row {done} ({_first_line(error)}); fetch or write it again"
        ) from error


def _block(path: Path, batches: Sequence[Any], first: int, num_rows: int, end: int) -> Block:
    import pyarrow

    sink = pyarrow.BufferOutputStream()
    with pyarrow.ipc.new_stream(sink, batches[0].schema) as writer:
        for batch in batches:
            writer.write_batch(batch)
    content = sink.getvalue().to_pybytes()
    return Block(path=str(path), first=first, num_rows=num_rows, content=content, end=end)


def _values(column: Any) -> Iterator[tuple[Any, str]]:
    """Yield each value of an Arrow column, and what is wrong with its bytes."""
    import pyarrow

    if pyarrow.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    kinds = pyarrow.types
    if not any(is_text(column.type) for is_text in (kinds.is_string, kinds.is_large_string, kinds.is_string_view)):
        return ((value, "") for value in column.to_pylist())
    raws = column.cast(pyarrow.large_binary()).to_pylist()
    return ((None, "") if raw is None else decode(raw) for raw in raws)


def _plain(value: Any) -> Any:
    """Return an Arrow value as JSON can hold it; numbers that are not finite become null, bytes hexadecimal."""
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, (datetime.date, datetime.time)):
        return value.isoformat()
    if isinstance(value, (datetime.timedelta, decimal.Decimal)):
        return str(value)
    return value


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__

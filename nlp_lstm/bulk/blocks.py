"""What travels from the reader to the workers, and what a worker sees of it."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

from nlp_lstm.errors import DataError, nearest_hint, shorten

TEXT_NAMES = ("text", "sentence", "review", "question", "content", "tokens")
"""Columns that are taken for the text where none is named, the preferred one first; upper case counts as lower."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How large a block is at most.

    Args:
        rows: so many rows make a block.
        size: and a block of fewer rows ends after so many bytes, so that long texts do not fill the memory.
    """

    rows: int
    size: int


@dataclass(frozen=True, kw_only=True)
class Block:
    """Some rows of the input, as they stand in it.

    Args:
        path: the file.
        first: the line of the first row, counted from 1; of Parquet its row.
        num_rows: how many rows.
        content: the rows, in the form of their source.
        end: bytes of the file up to the end of the block, for showing progress.
    """

    path: str
    first: int
    num_rows: int
    content: Any
    end: int


class Given(NamedTuple):
    """What is to be annotated in a row.

    Args:
        place: the line of the row, counted from 1; of Parquet the row.
        value: the text, or what stands in its place.
        fault: why the row cannot be used; empty where nothing is known against it yet.
    """

    place: int
    value: Any
    fault: str = ""


class Rows(ABC):
    """The rows of a block, read.

    Args:
        given: of each row, what is to be annotated.
        columns: the names of the columns; empty where rows have no columns in common.
    """

    def __init__(self, given: Sequence[Given], columns: Sequence[str]) -> None:
        self.given = given
        self.columns = columns

    @abstractmethod
    def cells(self) -> Iterator[Sequence[str]]:
        """Yield the values of each row as text, in the order of the columns."""

    def objects(self) -> Iterator[str]:
        """Yield each row as a JSON object."""
        for cells in self.cells():
            yield json.dumps(dict(zip(self.columns, cells, strict=True)), ensure_ascii=False)

    def table(self) -> Any:
        """Return the rows as an Arrow table."""
        import pyarrow

        values = list(zip(*self.cells(), strict=True)) or [()] * len(self.columns)
        arrays = [pyarrow.array(column, pyarrow.string()) for column in values]
        return pyarrow.table(arrays, names=list(self.columns))


class Source(ABC):
    """A kind of file: how it is cut into blocks, and what a block holds."""

    name: ClassVar[str]
    endings: ClassVar[tuple[str, ...]]
    has_columns: ClassVar[bool] = True
    """Whether all rows have the same columns."""
    may_be_packed: ClassVar[bool] = True
    """Whether the ending .gz may follow."""

    @abstractmethod
    def columns(self, path: Path) -> list[str]:
        """Return the columns of a file, one of which is the text.

        Raises:
            DataError: the file cannot be read.
        """

    @abstractmethod
    def blocks(self, path: Path, limits: Limits) -> Iterator[Block]:
        """Yield the blocks of a file, lazily: the same ones for the same content.

        Raises:
            DataError: the file is broken; says where.
        """

    @abstractmethod
    def rows(self, block: Block, column: str, into: str) -> Rows:
        """Read a block.

        Args:
            block: of a file of this kind.
            column: the text's.
            into: the column that the answers get; empty where columns are not kept.

        Raises:
            DataError: a row is broken, so that what it holds cannot be known, or has a column ``into`` already; says
                where.
        """


def choose_column(path: Path, names: Sequence[str], wanted: str | None) -> str:
    """Return the name of the column that holds the text.

    Args:
        path: the file, for messages.
        names: its columns.
        wanted: the column that the user names.

    Raises:
        DataError: there is no such column, or none was named and it cannot be told.
    """
    known = ", ".join(map(shorten, names))
    if not names:
        raise DataError(f"{path}: holds no row, so that its columns are not known; give a file with at least one")
    if wanted is not None and wanted not in names:
        raise DataError(
            f'{path}: no column is called "{wanted}"; columns: {known}.{nearest_hint(wanted, names)} Name the text\'s '
            "with --text"
        )
    if wanted is not None:
        return wanted
    folded = [name.casefold() for name in names]
    for name in TEXT_NAMES:
        if name in folded:
            return names[folded.index(name)]
    if len(names) > 1:
        raise DataError(f"{path}: no column tells that it is the text; columns: {known}. Name it with --text")
    return names[0]


def decode(raw: bytes) -> tuple[str, str]:
    """Return bytes as text and what is wrong with them: where they are not UTF-8, U+FFFD stands in the text."""
    try:
        return raw.decode("utf-8"), ""
    except UnicodeDecodeError as error:
        bad = raw[error.start : error.start + 1]
        return raw.decode("utf-8", "replace"), f"byte {bad!r} at position {error.start} is not UTF-8"

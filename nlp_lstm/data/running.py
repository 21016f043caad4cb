"""Running text: the lines of files one after the other, as language models read them.

Nothing is held but the line at hand: each pass reads the files anew, so a text may be larger than the memory.
"""

from __future__ import annotations

import codecs
import gzip
import itertools
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TypeAlias, overload

from nlp_lstm.data.example import TextExample
from nlp_lstm.errors import DataError
from nlp_lstm.text.document import Document

LONGEST_LINE = 100_000  # bytes; what is longer is cut at white space

_WHITE_SPACE = (b" ", b"\t")

LineReader: TypeAlias = Callable[[str, str], Document]
"""Takes ``path:line`` for complaints and a line that is not empty, and gives its tokens."""

FileCutter: TypeAlias = Callable[[Path], Iterator[tuple[int, str]]]
"""Takes a file and yields the number of each line and the line; of some formats several lines are one."""


class RunningText(Sequence[TextExample]):
    """The lines of files in order, those that hold nothing but white space left out.

    A line of more than ``LONGEST_LINE`` bytes is cut at white space and counts as several.

    As a sequence it has a length, found by one pass over the files and kept, and a slice of it is running text
    again. A single position is read from the beginning of the files: go through them in order instead.

    Args:
        paths: UTF-8 files; gzip files by the ending ``.gz``.
        read_line: gives a line its tokens.
        cut: cuts a file into lines; default ``read_pieces``.

    Raises:
        DataError: in a pass, a file is missing or damaged or a line is not UTF-8; with the line.
    """

    def __init__(self, paths: Iterable[Path | str], read_line: LineReader, cut: FileCutter | None = None) -> None:
        self._files = tuple((Path(path), read_line, cut or read_pieces) for path in paths)
        self._parts: tuple[RunningText, ...] = ()
        self._start = 0
        self._stop: int | None = None
        self._num_lines: int | None = None

    @classmethod
    def join(cls, texts: Iterable[RunningText]) -> RunningText:
        """Return all texts as one."""
        joined = cls([], lambda where, line: Document.from_words([line]))
        joined._parts = tuple(texts)
        return joined

    def __iter__(self) -> Iterator[TextExample]:
        for where, line, read_line in self._lines():
            yield TextExample(document=read_line(where, line))

    def __len__(self) -> int:
        if self._num_lines is None:
            self._num_lines = sum(1 for _ in self._lines())
        return self._num_lines

    def __bool__(self) -> bool:
        return next(self._lines(), None) is not None

    @overload
    def __getitem__(self, index: int) -> TextExample: ...

    @overload
    def __getitem__(self, index: slice) -> RunningText: ...

    def __getitem__(self, index: int | slice) -> TextExample | RunningText:
        if isinstance(index, slice):
            start, stop, step = index.indices(len(self))
            if step != 1:
                raise ValueError(f"a slice with step {step}; running text is cut with step 1")
            part = RunningText.join([self])
            part._num_lines = max(stop - start, 0)
            part._start = start
            part._stop = start + part._num_lines
            return part
        position = index if index >= 0 else index + len(self)
        found = next(itertools.islice(self._lines(), position, None), None) if position >= 0 else None
        if found is None:
            raise IndexError(f"line {index} of running text with {len(self)} lines")
        where, line, read_line = found
        return TextExample(document=read_line(where, line))

    def _lines(self) -> Iterator[tuple[str, str, LineReader]]:
        """Yield ``path:line``, the line, and what gives it its tokens."""
        own = (
            (f"{path}:{number}", line, read_line) for path, read_line, cut in self._files for number, line in cut(path)
        )
        of_parts = (line for part in self._parts for line in part._lines())
        return itertools.islice(itertools.chain(own, of_parts), self._start, self._stop)


def read_pieces(path: Path) -> Iterator[tuple[int, str]]:
    r"""Yield ``(line number from 1, line)`` without the white space around it, for every line that is more than that.

    As in ``nlp_lstm.text.lines`` only ``\n`` ends a line; but a line longer than ``LONGEST_LINE`` comes in pieces.

    Raises:
        DataError: the file is missing or cannot be read, its compression is damaged or cut off, or a line is not
            UTF-8; with the line.
    """
    number = 1
    try:
        with gzip.open(path, "rb") if path.suffix.lower() == ".gz" else path.open("rb") as file:
            rest = b""
            is_first = True
            while True:
                line = rest + file.readline(LONGEST_LINE - len(rest))
                if not line:
                    return
                end = len(line)
                is_cut = end == LONGEST_LINE and not line.endswith(b"\n")
                if is_cut:
                    end = _last_gap(line)
                rest = line[end:]
                whole = line[:end].removeprefix(codecs.BOM_UTF8) if is_first else line[:end]
                is_first = False
                text = _decode(whole, f"{path}:{number}").strip()
                if text:
                    yield number, text
                number += not is_cut
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(
            f"{path}: the gzip data is damaged or cut off after line {number - 1} ({error}); fetch or pack it again"
        ) from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error}); give the path of a text file") from error


def _last_gap(line: bytes) -> int:
    """Where to cut a line: after its last white space, or else before its last character."""
    gap = max(line.rfind(space) for space in _WHITE_SPACE) + 1
    if gap:
        return gap
    start = len(line) - 1
    while start > len(line) - 4 and line[start] & 0xC0 == 0x80:  # a continuation byte of UTF-8
        start -= 1
    return start


def _decode(line: bytes, where: str) -> str:
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError as error:
        bad = line[error.start : error.start + 1]
        raise DataError(
            f"{where}: byte {bad!r} at position {error.start} is not UTF-8; save the file as UTF-8"
        ) from error

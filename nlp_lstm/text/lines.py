"""The lines of UTF-8 text, from files, packed files and streams, with file and line in every complaint."""

from __future__ import annotations

import codecs
import contextlib
import gzip
import zlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import IO

from nlp_lstm.errors import DataError

LONGEST_LINE = 1 << 26  # bytes
LARGEST_CONTENT = 1 << 30  # bytes of a file that is read whole, unpacked
_BLOCK = 1 << 20  # bytes


def read_lines(
    source: Path | str | IO[bytes], name: str | None = None, *, encoding: str = "utf-8"
) -> Iterator[tuple[int, str]]:
    r"""Yield ``(line number from 1, line without its end)``, lazily; only ``\n`` and ``\r\n`` end a line.

    A byte order mark at the beginning is dropped.

    Args:
        source: a file, unpacked on the way if its name ends in ``.gz``, or an open stream of bytes, which is left open.
        name: what complaints call it; None takes the path.
        encoding: one that has ASCII in it, as gettext catalogues name it.

    Raises:
        DataError: the file is missing or cannot be read, its compression is damaged or cut off, or a line is not
            in the encoding or too long; with the line.
    """
    name = name or str(source)
    for number, line in read_raw_lines(source, name):
        yield number, _decode(line, f"{name}:{number}", encoding)


def read_raw_lines(source: Path | str | IO[bytes], name: str | None = None) -> Iterator[tuple[int, bytes]]:
    r"""Yield ``(line number from 1, line as it is, with its end)``, lazily; only ``\n`` ends a line.

    A byte order mark at the beginning is dropped.

    Args:
        source: a file, unpacked on the way if its name ends in ``.gz``, or an open stream of bytes, which is left open.
        name: what complaints call it; None takes the path.

    Raises:
        DataError: the file is missing or cannot be read, its compression is damaged or cut off, or a line has more than
            ``LONGEST_LINE`` bytes.
    """
    name = name or str(source)
    number = 0
    try:
        with _open(source) as file:
            lines = iter(partial(file.readline, LONGEST_LINE + 1), b"")  # bytes: U+2028 or a form feed ends no line
            for number, line in enumerate(lines, start=1):
                if len(line) > LONGEST_LINE:
                    raise DataError(f"{name}:{number}: has more than {LONGEST_LINE:,} bytes; cut the line")
                yield number, line if number > 1 else line.removeprefix(codecs.BOM_UTF8)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(
            f"{name}: the gzip data is damaged or cut off after line {number} ({error}); fetch or pack it again"
        ) from error
    except OSError as error:
        raise DataError(f"{name}: cannot be read ({error.strerror or error}); give the path of a text file") from error


def read_bytes(path: Path) -> bytes:
    """Return what a file holds, unpacked if its name ends in ``.gz``.

    Raises:
        DataError: the file is missing or cannot be read, its compression is damaged or cut off, or it holds more than
            ``LARGEST_CONTENT`` bytes.
    """
    blocks, size = [], 0  # one read of so many bytes would ask for as much memory, however small the file is
    try:
        with _open(path) as file:
            while size <= LARGEST_CONTENT and (block := file.read(_BLOCK)):
                blocks.append(block)
                size += len(block)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f"{path}: the gzip data is damaged or cut off ({error}); fetch or pack it again") from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error}); give the path of a file") from error
    if size > LARGEST_CONTENT:
        raise DataError(f"{path}: holds more than {LARGEST_CONTENT:,} bytes; cut it into several files")
    return b"".join(blocks)


def _open(source: Path | str | IO[bytes]) -> contextlib.AbstractContextManager[IO[bytes] | gzip.GzipFile]:
    if not isinstance(source, (Path, str)):
        return contextlib.nullcontext(source)
    path = Path(source)
    return gzip.open(path, "rb") if path.suffix.lower() == ".gz" else path.open("rb")


def _decode(line: bytes, where: str, encoding: str) -> str:
    try:
        return line.decode(encoding).rstrip("\r\n")
    except UnicodeDecodeError as error:
        bad = line[error.start : error.start + 1]
        raise DataError(
            f"{where}: byte {bad!r} at position {error.start} is not {encoding.upper()}; save the file as UTF-8"
        ) from error

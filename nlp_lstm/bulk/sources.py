"""The input: which files there are, of which kind, and which content they have."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from nlp_lstm.bulk.blocks import Block, Limits, Source
from nlp_lstm.bulk.lines import JsonLines, TextLines
from nlp_lstm.bulk.tables import Csv, Parquet
from nlp_lstm.errors import DataError, shorten

SOURCES: Mapping[str, Source] = {source.name: source for source in (TextLines(), JsonLines(), Csv(), Parquet())}
"""Kinds of input by name."""

READ_AT_ONCE = 1 << 20  # bytes


@dataclass(frozen=True, kw_only=True)
class InputFile:
    """A file of the input.

    Args:
        path: where it lies.
        name: what it is called below the input.
        size: bytes.
        state: size, and when and where the file system last saw it written; it changes with the content.
    """

    path: Path
    name: str
    size: int
    state: tuple[int, int, int]

    @classmethod
    def find(cls, path: Path, name: str) -> InputFile:
        """Look at a file.

        Raises:
            DataError: there is none.
        """
        try:
            facts = path.stat()
        except OSError as error:
            raise DataError(f"{path}: cannot be read ({error.strerror}); give the path of a file") from error
        return cls(path=path, name=name, size=facts.st_size, state=(facts.st_size, facts.st_mtime_ns, facts.st_ino))

    @property
    def is_packed(self) -> bool:
        return self.path.suffix.lower() == ".gz"

    def check_unchanged(self) -> None:
        """Check that the file is still the one that was found.

        Raises:
            DataError: it is not.
        """
        if self.find(self.path, self.name) != self:
            raise DataError(f"{self.path}: was changed while it was read; annotate it anew, into another folder")


def find_files(given: Path) -> tuple[str, list[InputFile]]:
    """Return the kind of the input and its files: the one that was given, or those of a folder by name.

    Raises:
        DataError: there are none, or they are not all of one known kind.
    """
    if given.is_dir():
        paths = sorted(path for path in given.iterdir() if path.is_file() and _kind(path) is not None)
        kinds = sorted({str(_kind(path)) for path in paths})
        if not kinds:
            raise DataError(f"{given}: holds no file with a known ending; known: {_known_endings()}")
        if len(kinds) > 1:
            raise DataError(f"{given}: holds files of several kinds ({', '.join(kinds)}); give a folder of one kind")
        return kinds[0], [InputFile.find(path, path.name) for path in paths]
    file = InputFile.find(given, given.name)
    kind = _kind(given)
    if kind is None:
        raise DataError(
            f"{given}: the ending {shorten(given.suffix)} names no known kind of file; known: {_known_endings()}"
        )
    if not given.is_file():
        raise DataError(f"{given}: is no file, and what is read has to be there again to go on; give a file")
    return kind, [file]


def _kind(path: Path) -> str | None:
    name = path.name.lower()
    for source in SOURCES.values():
        plain = name.removesuffix(".gz") if source.may_be_packed else name
        if plain.endswith(source.endings) and not name.startswith("."):
            return source.name
    return None


def _known_endings() -> str:
    endings = [ending for source in SOURCES.values() for ending in source.endings]
    return f"{', '.join(endings)}, all but .parquet also with .gz"


def checksum(file: InputFile, on_bytes: Callable[[int], None]) -> str:
    """Return the sha256 of a file.

    Args:
        file: what is read.
        on_bytes: called with the number of bytes each time some have been read.

    Raises:
        DataError: it cannot be read.
    """
    digest = hashlib.sha256()
    try:
        with file.path.open("rb") as stream:
            while some := stream.read(READ_AT_ONCE):
                digest.update(some)
                on_bytes(len(some))
    except OSError as error:
        raise DataError(f"{file.path}: cannot be read ({error.strerror}); give the path of a file") from error
    return digest.hexdigest()


def cut_files(kind: str, files: list[InputFile], limits: Limits) -> Iterator[tuple[int, str, Block]]:
    """Yield the blocks of all files, lazily: the number of the block, its file's name and the block.

    Raises:
        DataError: a file is broken; says where.
    """
    index = 0
    for file in files:
        for block in SOURCES[kind].blocks(file.path, limits):
            yield index, file.name, block
            index += 1

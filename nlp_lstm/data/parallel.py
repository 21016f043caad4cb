"""Readers of texts with their translations: files line by line, tables and JSON lines, strict, with file and line.

Each reader takes the files of one split and gives pairs; ``make_parallel`` turns the pairs of every format into
examples. Files are UTF-8, plain or with the ending ``.gz``. Gettext catalogues are read in
``nlp_lstm.data.gettext_catalogues``.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from nlp_lstm.data.example import ParallelExample
from nlp_lstm.data.labelled import check_width, find_column, read_json_object
from nlp_lstm.data.reading import ParallelSettings
from nlp_lstm.data.sources import Say
from nlp_lstm.errors import DataError, shorten
from nlp_lstm.text.lines import read_lines
from nlp_lstm.text.tokenize import check_text

_JSON_LOOK = '{"source": "A dog runs.", "target": "Ein Hund läuft."} or {"translation": {"en": …, "de": …}}'


class Pair(NamedTuple):
    """A text and its translation as files have them, and where: ``path:line``."""

    where: str
    source: str
    target: str


def make_parallel(
    paths: Sequence[Path], pairs: Iterable[Pair], reading: ParallelSettings, say: Say
) -> list[ParallelExample]:
    """Turn pairs into examples; those with nothing on a side, or on both, are left out and counted.

    Args:
        paths: the files.
        pairs: what they hold; the texts lose the white space around them.
        reading: their languages.
        say: called with the number of pairs that were left out, if any.

    Raises:
        DataError: a text holds a NUL, or no pair is left.
    """
    examples = []
    num_blank = 0
    for where, source, target in pairs:
        source, target = source.strip(), target.strip()
        if not source or not target:
            num_blank += 1
            continue
        for text in (source, target):
            if "\0" in text:
                raise DataError(f"{where}: {shorten(text)} holds a NUL; save the file as plain UTF-8 text")
        examples.append(ParallelExample(source=source, target=target, target_language=reading.target))
    if not examples:
        raise DataError(f"{_names(paths)}: no text with a translation in it; give files with at least one")
    if num_blank:
        say(f"note: {_names(paths)}: {num_blank:,} pairs are left out, a side of them is empty")
    return examples


def _names(paths: Sequence[Path]) -> str:
    return ", ".join(map(str, paths))


def language_of(path: Path) -> str:
    """Return the language of a file of lines, which is its ending: "en" of ``train.en.gz``."""
    return _without_gz(path).suffix.removeprefix(".").lower()


def line_stem(path: Path) -> str:
    """Return what files of lines that belong together are called without their language: "train" of ``train.en.gz``."""
    return _without_gz(path).stem


def _without_gz(path: Path) -> Path:
    return path.with_suffix("") if path.suffix.lower() == ".gz" else path


def read_parallel_lines(paths: Sequence[Path], reading: ParallelSettings, say: Say) -> list[ParallelExample]:
    """Read files of which line n of one is the translation of line n of the other: ``train.en`` and ``train.de``.

    Files with the same name but for the language belong together; files of further languages are not read.

    Raises:
        DataError: a file has no partner, two that belong together have not as many lines, or what ``make_parallel``
            raises.
    """
    sides = {
        language: {line_stem(path): path for path in paths if language_of(path) == language}
        for language in (reading.source, reading.target)
    }
    sources, targets = sides.values()
    alone = [path for stem, path in (*sources.items(), *targets.items()) if stem not in sources or stem not in targets]
    if alone or not sources:
        raise DataError(
            f"{_names(alone or paths)}: no file in the other language beside it; the files of {reading.pair} are "
            f"called NAME.{reading.source} and NAME.{reading.target} (each also .gz)"
        )
    pairs = itertools.chain.from_iterable(_line_pairs(path, targets[stem]) for stem, path in sources.items())
    return make_parallel([*sources.values(), *targets.values()], pairs, reading, say)


def _line_pairs(source: Path, target: Path) -> Iterator[Pair]:
    sources, targets = ([line for _, line in read_lines(path)] for path in (source, target))
    if len(sources) != len(targets):
        raise DataError(
            f"{source} has {len(sources):,} lines, but {target} has {len(targets):,}; line n of one has to be the "
            "translation of line n of the other"
        )
    for number, texts in enumerate(zip(sources, targets, strict=True), start=1):
        yield Pair(f"{source}:{number}", *texts)


def read_parallel_tsv(paths: Sequence[Path], reading: ParallelSettings, say: Say) -> list[ParallelExample]:
    """Read tables with a tab between columns; a quotation mark is a character like any other.

    The columns are those that ``reading.columns`` has for the two languages. Where it has none, the first line is a
    header if it names both languages by their codes, or "source" and "target"; else there are two columns, the source
    and the target.

    Raises:
        DataError: no column can be told to be a language's, a row has another number of columns than the first, or
            what ``make_parallel`` raises; with the line.
    """
    pairs = itertools.chain.from_iterable(_table_pairs(path, reading) for path in paths)
    return make_parallel(paths, pairs, reading, say)


def _table_pairs(path: Path, reading: ParallelSettings) -> Iterator[Pair]:
    positions: tuple[int, int] | None = None
    num_columns = 0
    for number, line in read_lines(path):
        if not line.strip():
            continue
        where, cells = f"{path}:{number}", line.split("\t")
        if positions is None:
            num_columns, names = len(cells), [cell.strip() for cell in cells]
            is_header = _is_header(names, reading)
            positions = _find_columns(names, is_header, reading, where)
            if is_header:
                continue
        check_width(cells, num_columns, where)
        yield Pair(where, cells[positions[0]], cells[positions[1]])


def _is_header(names: Sequence[str], reading: ParallelSettings) -> bool:
    if any(isinstance(reading.columns.get(language), str) for language in reading.languages):
        return True
    folded = {name.casefold() for name in names}
    return all(not folded.isdisjoint(known) for known in _known_names(reading))


def _known_names(reading: ParallelSettings) -> tuple[tuple[str, str], tuple[str, str]]:
    """The names that the columns of source and target have, the preferred one first."""
    return (reading.source, "source"), (reading.target, "target")


def _find_columns(names: Sequence[str], is_header: bool, reading: ParallelSettings, where: str) -> tuple[int, int]:
    known = _known_names(reading) if is_header else ((), ())
    source, target = (
        find_column(f"columns.{language}", reading.columns.get(language), names, names_of, where)
        for language, names_of in zip((reading.source, reading.target), known, strict=True)
    )
    if len(names) == 2 and not is_header and not (reading.languages & reading.columns.keys()):
        source, target = 0, 1
    if source is None or target is None or source == target:
        raise DataError(
            f"{where}: {shorten(' | '.join(names))} does not tell which columns are {reading.source} and "
            f"{reading.target}; call them so in a first line, or number them: "
            f"reading.columns={{{reading.source}: 1, {reading.target}: 2}}"
        )
    return source, target


def read_parallel_jsonl(paths: Sequence[Path], reading: ParallelSettings, say: Say) -> list[ParallelExample]:
    """Read one JSON object a line: ``{"source": …, "target": …}``, or the hub's ``{"translation": {"en": …}}``.

    Keys are columns: those that ``reading.columns`` has for the two languages, else their codes, else "source" and
    "target".

    Raises:
        DataError: a line is no such object, or what ``make_parallel`` raises; with the line and the value.
    """
    pairs = itertools.chain.from_iterable(_json_pairs(path, reading) for path in paths)
    return make_parallel(paths, pairs, reading, say)


def _json_pairs(path: Path, reading: ParallelSettings) -> Iterator[Pair]:
    for number, line in read_lines(path):
        where = f"{path}:{number}"
        if not line.strip():
            continue
        item = read_json_object(line, where, _JSON_LOOK)
        texts = item.get("translation", item)
        if not isinstance(texts, dict):
            raise DataError(f'{where}: "translation" is {shorten(texts)}; it is an object, as in {_JSON_LOOK}')
        sides = []
        for language, role in ((reading.source, "source"), (reading.target, "target")):
            keys = (reading.columns.get(language), language, role)
            key = next((key for key in keys if key in texts), None)
            if key is None:
                raise DataError(
                    f'{where}: {shorten(dict(texts))} has neither "{language}" nor "{role}"; a line looks like '
                    f"{_JSON_LOOK}, or reading.columns={{{language}: KEY}} names the key"
                )
            sides.append(check_text(texts[key], f'{where}: "{key}"'))
        yield Pair(where, *sides)

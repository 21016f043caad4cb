"""Readers: from files of examples to examples, strict, with file and line in every complaint.

There are six kinds of data: sentences with a label on every token ("tagged"; see ``nlp_lstm.data.tagged``), texts with
one label ("labelled"; see ``nlp_lstm.data.labelled``), text as such ("running"; see ``nlp_lstm.data.running``),
which is not held but read anew in every pass, texts with their translations ("parallel"; see
``nlp_lstm.data.parallel``), series of numbers or symbols ("series"; see ``nlp_lstm.data.series``), and pictures or
clips with sentences ("pictures"; see ``nlp_lstm.data.pictures``). Formats are known by name. Each reader takes plain
files and, by the ending ``.gz``, gzip files. All files are UTF-8, but for gettext catalogues that say otherwise.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

from nlp_lstm.data.clips import read_clips
from nlp_lstm.data.example import Example, LabelledExample, ParallelExample, TaggedExample
from nlp_lstm.data.gettext_catalogues import read_gettext
from nlp_lstm.data.hindi_sentences import read_lexicon_pairs
from nlp_lstm.data.imdb import imdb_paragraphs, read_imdb
from nlp_lstm.data.labelled import read_csv, read_labelled_jsonl, read_tsv
from nlp_lstm.data.parallel import language_of, read_parallel_jsonl, read_parallel_lines, read_parallel_tsv
from nlp_lstm.data.picture_files import read_karpathy, read_tokens
from nlp_lstm.data.pictures import PictureExample, PictureReading
from nlp_lstm.data.reading import ParallelSettings, ReadingSettings
from nlp_lstm.data.running import FileCutter, LineReader, RunningText
from nlp_lstm.data.scenes import read_scenes
from nlp_lstm.data.series import SeriesExample, SeriesReading
from nlp_lstm.data.series_files import read_modlamp, read_series_jsonl, read_series_table, read_ts
from nlp_lstm.data.sources import Say, say_nothing
from nlp_lstm.data.tagged import (
    brown_sentence,
    conllu_document,
    conllu_lines,
    read_brown,
    read_columns,
    read_conllu,
    read_jsonl,
)
from nlp_lstm.data.trees import parse_tree, read_trees
from nlp_lstm.data.vader import read_vader
from nlp_lstm.errors import DataError, shorten
from nlp_lstm.registry import Registry
from nlp_lstm.settings import Settings
from nlp_lstm.text.detokenize import detokenise
from nlp_lstm.text.document import Document
from nlp_lstm.text.tokenize import Tokenizer, tokenizer_for

Kind: TypeAlias = Literal["tagged", "labelled", "running", "parallel", "series", "pictures"]
"""What a data set holds: sentences with a label per token, texts with one label, text as such, line by line, texts with
their translations, series, or pictures or clips with sentences."""

TaggedReader: TypeAlias = Callable[[Path], list[TaggedExample]]
LabelledReader: TypeAlias = Callable[[Path, ReadingSettings, Tokenizer], list[LabelledExample]]
ParallelReader: TypeAlias = Callable[[Sequence[Path], ParallelSettings, Say], list[ParallelExample]]
SeriesReader: TypeAlias = Callable[[Path, SeriesReading], list[SeriesExample]]
PictureReader: TypeAlias = Callable[[Path, PictureReading], list[PictureExample]]

_READING: dict[Kind, type[Settings]] = {
    "labelled": ReadingSettings,
    "parallel": ParallelSettings,
    "series": SeriesReading,
    "pictures": PictureReading,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """A format of files.

    Args:
        kind: what its files hold.
        read: takes the files of a split, how to read them, the language of their texts and what is called with
            notes, and gives the examples in them, at least one. Tagged formats have their own columns and tokens and
            look at the files alone.
    """

    kind: Kind
    read: Callable[[Sequence[Path], Any, str, Say], Sequence[Example]]


formats: Registry[Format] = Registry("format")
"""The formats by name."""

_ENDINGS: dict[Kind, dict[str, str]] = {
    "tagged": {
        ".conllu": "conllu",
        ".jsonl": "jsonl",
        ".tsv": "columns",
        ".txt": "columns",
        ".conll": "columns",
        ".bio": "columns",
    },
    "labelled": {".tsv": "tsv", ".csv": "csv", ".jsonl": "labelled-jsonl"},
    "running": {".txt": "text", ".tokens": "tokens"},
    "parallel": {".tsv": "parallel-tsv", ".jsonl": "parallel-jsonl", ".po": "gettext", ".mo": "gettext"},
    "series": {".csv": "series-table", ".tsv": "series-table", ".jsonl": "series-jsonl", ".ts": "ts"},
    "pictures": {".json": "karpathy", ".token": "picture-tokens", ".txt": "picture-tokens"},
}


def read_examples(
    paths: Iterable[Path | str],
    format: str | None = None,
    *,
    kind: Kind = "tagged",
    reading: Settings | None = None,
    language: str = "en",
    say: Say = say_nothing,
) -> Sequence[Example]:
    """Read files of one data set, in the order given.

    Args:
        paths: the files.
        format: a name in ``formats``; None goes by each file's ending.
        kind: what the files hold, where their endings have to tell the format.
        reading: where text and label stand in labelled files, a ``ReadingSettings``, which languages are read from
            parallel ones, a ``ParallelSettings``, what the columns of series are, a ``SeriesReading``, or where
            pictures lie, a ``PictureReading``; None takes what these are without changes.
        language: language code of the tokeniser for labelled texts and running text.
        say: called with notes on what was left out.

    Returns:
        The examples of all files: a list, or of running text a ``RunningText``.

    Raises:
        ConfigError: no format has that name, or the tokeniser does not know the language.
        DataError: a file cannot be read as its format, or holds no example.
    """
    files = list(map(Path, paths))
    parts = []
    for name, group in itertools.groupby(files, lambda path: format or guess_format(path, kind, reading)):
        chosen = formats.get(name)
        parts.append(chosen.read(list(group), own_reading(reading, chosen.kind), language, say))
    texts = [part for part in parts if isinstance(part, RunningText)]
    if texts:
        joined = RunningText.join(texts)
        if not joined:
            raise DataError(f"{', '.join(map(str, files))}: holds no text at all; give a file with at least one line")
        return joined
    return [example for part in parts for example in part]


def own_reading(reading: Settings | None, kind: Kind) -> Settings:
    """Return the settings if they are those that data of this kind is read by, else those without changes."""
    own = _READING.get(kind, Settings)
    return reading if isinstance(reading, own) else own()


def guess_format(path: Path | str, kind: Kind = "tagged", reading: Settings | None = None) -> str:
    """Return the format that a file's ending stands for; ``.gz`` after it is looked through.

    Args:
        path: the file.
        kind: what it holds; ``.tsv`` and ``.jsonl`` are formats of several kinds.
        reading: of parallel files: has the languages whose codes are endings of files of lines.

    Raises:
        DataError: the ending is not one of the known ones.
    """
    name = Path(path).name.lower().removesuffix(".gz")
    ending = Path(name).suffix
    if kind == "parallel" and language_of(Path(path)) in _languages(reading):
        return "parallel-lines"
    if ending not in _ENDINGS[kind]:
        raise DataError(
            f"{path}: the ending {shorten(ending)} names no known format of {kind} data; known endings: "
            f"{', '.join(known_endings(kind, reading))}, each also with .gz. If it has one of these formats, rename "
            "it; if not, save it in one of them"
        )
    return _ENDINGS[kind][ending]


def known_endings(kind: Kind, reading: Settings | None = None) -> list[str]:
    """Return the endings that stand for a format of this kind of data."""
    of_languages = [f".{language}" for language in _languages(reading)] if kind == "parallel" else []
    return [*of_languages, *_ENDINGS[kind]]


def _languages(reading: Settings | None) -> tuple[str, str]:
    chosen = reading if isinstance(reading, ParallelSettings) else ParallelSettings()
    return chosen.source, chosen.target


def _register_tagged(name: str, read: TaggedReader) -> None:
    """File a reader of tagged sentences under ``name``."""

    def read_all(paths: Sequence[Path], reading: Settings, language: str, say: Say) -> list[TaggedExample]:
        return [example for path in paths for example in read(path)]

    formats.register(name)(Format(kind="tagged", read=read_all))


_register_tagged("conllu", read_conllu)
_register_tagged("columns", read_columns)
_register_tagged("jsonl", read_jsonl)
_register_tagged("brown", read_brown)


def _register_labelled(name: str, read: LabelledReader) -> None:
    """File a reader of labelled texts under ``name``; spaCy is imported when it is first used."""

    def read_all(paths: Sequence[Path], reading: ReadingSettings, language: str, say: Say) -> list[LabelledExample]:
        return [example for path in paths for example in read(path, reading, tokenizer_for(language))]

    formats.register(name)(Format(kind="labelled", read=read_all))


_register_labelled("tsv", read_tsv)
_register_labelled("csv", read_csv)
_register_labelled("labelled-jsonl", read_labelled_jsonl)
_register_labelled("trees", read_trees)
_register_labelled("vader", read_vader)
_register_labelled("imdb", read_imdb)


def _register_running(name: str, line_reader: Callable[[str], LineReader], cut: FileCutter | None = None) -> None:
    """File a format of running text under ``name``; ``line_reader`` takes the language, ``cut`` cuts into lines."""

    def read_all(paths: Sequence[Path], reading: Settings, language: str, say: Say) -> RunningText:
        return RunningText(paths, line_reader(language), cut)

    formats.register(name)(Format(kind="running", read=read_all))


def _register_parallel(name: str, read: ParallelReader) -> None:
    """File a reader of parallel texts under ``name``; they are not tokenised."""
    formats.register(name)(
        Format(kind="parallel", read=lambda paths, reading, language, say: read(paths, reading, say))
    )


_register_parallel("parallel-lines", read_parallel_lines)
_register_parallel("parallel-tsv", read_parallel_tsv)
_register_parallel("parallel-jsonl", read_parallel_jsonl)
_register_parallel("gettext", read_gettext)
_register_parallel("lexicon", read_lexicon_pairs)


def _register_series(name: str, read: SeriesReader) -> None:
    """File a reader of series under ``name``."""

    def read_all(paths: Sequence[Path], reading: SeriesReading, language: str, say: Say) -> list[SeriesExample]:
        return [example for path in paths for example in read(path, reading)]

    formats.register(name)(Format(kind="series", read=read_all))


_register_series("series-table", read_series_table)
_register_series("series-jsonl", read_series_jsonl)
_register_series("ts", read_ts)
_register_series("modlamp", read_modlamp)


def _register_pictures(name: str, read: PictureReader) -> None:
    """File a reader of pictures with sentences under ``name``."""

    def read_all(paths: Sequence[Path], reading: PictureReading, language: str, say: Say) -> list[PictureExample]:
        return [example for path in paths for example in read(path, reading)]

    formats.register(name)(Format(kind="pictures", read=read_all))


_register_pictures("karpathy", read_karpathy)
_register_pictures("picture-tokens", read_tokens)
_register_pictures("openmoji-scenes", read_scenes)
_register_pictures("openmoji-clips", read_clips)


def _plain_line(language: str) -> LineReader:
    tokenizer = tokenizer_for(language)
    return lambda where, line: tokenizer.tokenize(line)


def _tree_line(language: str) -> LineReader:
    """The sentence of a tree, put together to text and split again, as ``read_trees`` has it."""
    tokenizer = Tokenizer(language)
    return lambda where, line: tokenizer.tokenize(detokenise(parse_tree(line, where)[-1].words))


_register_running("text", _plain_line)
_register_running("tokens", lambda language: lambda where, line: Document.from_words(line.split()))
_register_running("brown-text", lambda language: lambda where, line: brown_sentence(where, line).document)
_register_running("trees-text", _tree_line)
_register_running("conllu-text", lambda language: conllu_document, cut=conllu_lines)
_register_running("imdb-text", _plain_line, cut=imdb_paragraphs)

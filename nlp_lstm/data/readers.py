"""Readers: from files of examples to examples, strict, with file and line in every complaint.

There are four kinds of data: sentences with a label on every token ("tagged"), which this module reads, texts with
one label ("labelled"; see ``nlp_lstm.data.labelled``), text as such ("running"; see ``nlp_lstm.data.running``),
which is not held but read anew in every pass, and texts with their translations ("parallel"; see
``nlp_lstm.data.parallel``). Formats are known by name. Each reader takes plain files and, by the ending ``.gz``, gzip
files. All files are UTF-8, but for gettext catalogues that say otherwise.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias, TypeVar

from nlp_lstm.data.brown import universal_tag
from nlp_lstm.data.example import Example, LabelledExample, ParallelExample, TaggedExample
from nlp_lstm.data.gettext_catalogues import read_gettext
from nlp_lstm.data.labelled import read_csv, read_labelled_jsonl, read_tsv
from nlp_lstm.data.parallel import language_of, read_parallel_jsonl, read_parallel_lines, read_parallel_tsv
from nlp_lstm.data.reading import ParallelSettings, ReadingSettings
from nlp_lstm.data.running import FileCutter, LineReader, RunningText
from nlp_lstm.data.sources import Say, say_nothing
from nlp_lstm.data.trees import parse_tree, read_trees
from nlp_lstm.data.vader import read_vader
from nlp_lstm.errors import DataError, shorten
from nlp_lstm.registry import Registry
from nlp_lstm.settings import Settings
from nlp_lstm.text.detokenize import detokenise
from nlp_lstm.text.document import Document
from nlp_lstm.text.lines import read_lines
from nlp_lstm.text.tokenize import Tokenizer, check_text, tokenizer_for

Kind: TypeAlias = Literal["tagged", "labelled", "running", "parallel"]
"""What a data set holds: sentences with a label per token, texts with one label, text as such, line by line, or texts
with their translations."""

TaggedReader = TypeVar("TaggedReader", bound=Callable[[Path], list[TaggedExample]])
LabelledReader: TypeAlias = Callable[[Path, ReadingSettings, Tokenizer], list[LabelledExample]]
ParallelReader: TypeAlias = Callable[[Sequence[Path], ParallelSettings, Say], list[ParallelExample]]

_READING: dict[Kind, type[Settings]] = {"labelled": ReadingSettings, "parallel": ParallelSettings}


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
}

_CONLLU_COLUMNS = {"lemma": 2, "upos": 3, "xpos": 4, "feats": 5, "deprel": 7}
_NUM_CONLLU_FIELDS = 10
_MISC = 9


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
        reading: where text and label stand in labelled files, a ``ReadingSettings``, or which languages are read from
            parallel ones, a ``ParallelSettings``; None takes what these are without changes.
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


def _tagged(name: str) -> Callable[[TaggedReader], TaggedReader]:
    """Return a decorator that files a reader of tagged sentences under ``name``."""

    def file_reader(read: TaggedReader) -> TaggedReader:
        def read_all(paths: Sequence[Path], reading: Settings, language: str, say: Say) -> list[TaggedExample]:
            return [example for path in paths for example in read(path)]

        formats.register(name)(Format(kind="tagged", read=read_all))
        return read

    return file_reader


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


def _plain_line(language: str) -> LineReader:
    tokenizer = Tokenizer(language)
    return lambda where, line: tokenizer.tokenize(line)


def _tree_line(language: str) -> LineReader:
    """The sentence of a tree, put together to text and split again, as ``read_trees`` has it."""
    tokenizer = Tokenizer(language)
    return lambda where, line: tokenizer.tokenize(detokenise(parse_tree(line, where)[-1].words))


def _conllu_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the sentences of a CoNLL-U file, each with the number of its first line of words."""
    for block in _blocks(path, skip=_is_comment):
        yield block[0][0], "\n".join(line for _, line in block)


def _conllu_document(where: str, lines: str) -> Document:
    path, _, first = where.rpartition(":")
    return _conllu_sentence(Path(path), list(enumerate(lines.split("\n"), start=int(first)))).document


_register_running("text", _plain_line)
_register_running("tokens", lambda language: lambda where, line: Document.from_words(line.split()))
_register_running("brown-text", lambda language: lambda where, line: _brown_sentence(where, line).document)
_register_running("trees-text", _tree_line)
_register_running("conllu-text", lambda language: _conllu_document, cut=_conllu_lines)


@_tagged("conllu")
def read_conllu(path: Path | str) -> list[TaggedExample]:
    """Read a CoNLL-U file (Universal Dependencies).

    Words are the syntactic words: lines of multiword tokens (``1-2``) and empty nodes (``8.1``) are no words. The
    text is put together from the word forms and ``SpaceAfter=No``; there is no space inside a multiword token, and
    what follows its last word is what its range line says. Where a multiword token is not spelt as its words in a
    row, the text holds the words.

    Label columns are lemma, upos, xpos, feats and deprel. ``upos`` is always there, and a word without it is an
    error; each of the others is left out of a sentence in which it is ``_`` for every word.

    Raises:
        DataError: the file breaks the format; the message has the line.
    """
    return _read_blocks(Path(path), _conllu_sentence, skip=_is_comment)


@_tagged("columns")
def read_columns(path: Path | str) -> list[TaggedExample]:
    """Read one word a line with its labels beside it, a blank line after each sentence (CoNLL-2003, BIO files).

    Columns are separated by tabs, or, in a line without a tab, by spaces. The first column is the word, the last
    one the column "label", those between are "column2", "column3", …; ``-DOCSTART-`` lines are skipped.

    Raises:
        DataError: a line has one column only, an empty one, or not as many as the first line of the file.
    """
    num_columns = 0

    def sentence(path: Path, lines: Sequence[tuple[int, str]]) -> TaggedExample:
        nonlocal num_columns
        rows = []
        for number, line in lines:
            fields = line.split("\t") if "\t" in line else re.split(" +", line.strip(" "))
            fields = [field.strip(" ") for field in fields]
            num_columns = num_columns or len(fields)
            if len(fields) < 2 or not all(fields):
                raise DataError(f"{path}:{number}: {shorten(line)} needs a word and a label, separated by a tab")
            if len(fields) != num_columns:
                raise DataError(
                    f"{path}:{number}: {shorten(line)} has {len(fields)} columns, but the file began with "
                    f"{num_columns}; every line needs the same number"
                )
            rows.append(fields)
        words, *columns = zip(*rows, strict=True)
        names = [f"column{index}" for index in range(2, num_columns)] + ["label"]
        return TaggedExample(document=Document.from_words(words), labels=dict(zip(names, columns, strict=True)))

    return _read_blocks(Path(path), sentence, skip=lambda line: line.startswith("-DOCSTART-"))


@_tagged("jsonl")
def read_jsonl(path: Path | str) -> list[TaggedExample]:
    """Read one JSON object a line: ``{"tokens": ["A", "dog"], "labels": ["DET", "NOUN"]}``.

    Every key whose value is a list is a column with one string per token. The key "labels" makes the column
    "label", as a two-column file does; other keys keep their names. Keys with single values are not read.

    Raises:
        DataError: a line is no such object; the message has the line and the value.
    """
    path = Path(path)
    examples = [_json_sentence(f"{path}:{number}", line) for number, line in read_lines(path) if line.strip()]
    return _at_least_one(path, examples)


@_tagged("brown")
def read_brown(path: Path | str | Iterable[Path | str]) -> list[TaggedExample]:
    """Read files of the Brown corpus: ``word/tag`` with spaces between, one sentence a line.

    The last slash separates word and tag (``1/2/cd``). Tags become the twelve universal ones, in the column
    "upos"; see ``nlp_lstm.data.brown``. The corpus writes quotation marks as two backticks or two apostrophes; both
    become ``"``, as people type them.

    Args:
        path: one file, or several.

    Raises:
        DataError: a token has no slash or a tag that is not Brown's.
    """
    if not isinstance(path, (str, Path)):
        return [example for one in path for example in read_brown(one)]
    path = Path(path)
    examples = [_brown_sentence(f"{path}:{number}", line) for number, line in read_lines(path) if line.strip()]
    return _at_least_one(path, examples)


def _at_least_one(path: Path, examples: list[TaggedExample]) -> list[TaggedExample]:
    if not examples:
        raise DataError(f"{path}: holds no sentence at all; give a file with at least one")
    return examples


def _read_blocks(
    path: Path,
    sentence: Callable[[Path, Sequence[tuple[int, str]]], TaggedExample],
    skip: Callable[[str], bool],
) -> list[TaggedExample]:
    """Read each piece of a file that ``_blocks`` gives with ``sentence``."""
    return _at_least_one(path, [sentence(path, block) for block in _blocks(path, skip)])


def _blocks(path: Path, skip: Callable[[str], bool]) -> Iterator[list[tuple[int, str]]]:
    """Cut a file at its blank lines, and yield the numbered lines of each piece that has any left after ``skip``."""
    block: list[tuple[int, str]] = []
    for number, line in read_lines(path):
        if not line.strip(" \t"):
            if block:
                yield block
            block = []
        elif not skip(line):
            block.append((number, line))
    if block:
        yield block


def _is_comment(line: str) -> bool:
    return line.startswith("#")


def _conllu_sentence(path: Path, lines: Sequence[tuple[int, str]]) -> TaggedExample:
    rows: list[list[str]] = []
    spaces: list[bool] = []
    range_end, range_space = 0, True
    for number, line in lines:
        where = f"{path}:{number}"
        fields = line.split("\t")
        if len(fields) != _NUM_CONLLU_FIELDS:
            raise DataError(
                f"{where}: {shorten(line)} has {len(fields)} columns; CoNLL-U has {_NUM_CONLLU_FIELDS}, "
                "separated by single tabs"
            )
        word_id, form = fields[0], fields[1]
        space = "SpaceAfter=No" not in fields[_MISC].split("|")
        expected = len(rows) + 1
        if re.fullmatch(r"\d+\.\d+", word_id, re.ASCII):
            continue
        if bounds := re.fullmatch(r"(\d{1,9})-(\d{1,9})", word_id, re.ASCII):
            first, last = int(bounds[1]), int(bounds[2])
            if first != expected or last <= first or range_end >= first:
                raise DataError(
                    f"{where}: the range {shorten(word_id)} does not fit here; it begins with the next word's id "
                    f"({expected}), ends later, and overlaps no other range"
                )
            range_end, range_space = last, space
            continue
        if word_id != str(expected):
            raise DataError(f"{where}: the id is {shorten(word_id)}, expected {expected}; ids count up from 1")
        if not form or not form.strip():
            raise DataError(f"{where}: the FORM of word {word_id} is {shorten(form)}; every word needs its form")
        if fields[3] in ("", "_"):
            raise DataError(
                f"{where}: the UPOS of word {word_id} {shorten(form)} is {shorten(fields[3])}; every word needs one "
                "(for a tag set of your own use the column or JSONL format)"
            )
        rows.append(fields)
        spaces.append(space if expected > range_end else expected == range_end and range_space)
    where = f"{path}:{lines[-1][0]}"
    if not rows:
        raise DataError(f"{where}: a sentence with no word in it; remove it")
    if range_end > len(rows):
        raise DataError(f"{where}: a range goes up to {range_end}, but the sentence ends with word {len(rows)}")
    spaces[-1] = False
    labels = {}
    for column, index in _CONLLU_COLUMNS.items():
        values = tuple(fields[index] for fields in rows)
        if column == "upos" or any(value != "_" for value in values):
            labels[column] = values
    return TaggedExample(document=Document.from_words([fields[1] for fields in rows], spaces), labels=labels)


def _json_sentence(where: str, line: str) -> TaggedExample:
    try:
        item: Any = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{where}: {shorten(line)} is not JSON ({error}); each line is one JSON object") from error
    if not isinstance(item, dict) or not isinstance(item.get("tokens"), list) or not item["tokens"]:
        raise DataError(
            f'{where}: {shorten(line)} is not an object with a list "tokens"; '
            'a line looks like {"tokens": ["A", "dog"], "labels": ["DET", "NOUN"]}'
        )
    tokens = item.pop("tokens")
    labels = {}
    for key, values in {"tokens": tokens, **item}.items():
        if not isinstance(values, list):
            if key == "labels":
                raise DataError(f'{where}: "labels" is {shorten(values)}; it is a list with one string per token')
            continue
        check_text(key, f"{where}: the key {shorten(key)}")
        for index, value in enumerate(values):
            if not isinstance(value, str) or not value:
                raise DataError(f'{where}: {shorten(value)} at {index} in "{key}"; it takes non-empty strings')
            check_text(value, f'{where}: {shorten(value)} at {index} in "{key}"')
        if len(values) != len(tokens):
            raise DataError(
                f'{where}: "{key}" has {len(values)} values for {len(tokens)} tokens ({shorten(values)}); '
                "every list needs one per token"
            )
        if key != "tokens":
            labels["label" if key == "labels" else key] = tuple(values)
    return TaggedExample(document=Document.from_words(tokens), labels=labels)


_BROWN_QUOTES = ("``", "''")


def _brown_sentence(where: str, line: str) -> TaggedExample:
    words, tags = [], []
    for token in line.split():
        word, slash, tag = token.rpartition("/")
        universal = universal_tag(tag)
        if not slash or not word or universal is None:
            raise DataError(f"{where}: {shorten(token)} is not word/tag with a tag of the Brown corpus")
        words.append('"' if word in _BROWN_QUOTES else word)
        tags.append(universal)
    return TaggedExample(document=Document.from_words(words), labels={"upos": tuple(tags)})

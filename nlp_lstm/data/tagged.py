"""Readers of sentences with a label on every token, strict, with file and line in every complaint.

Each reader takes plain files and, by the ending ``.gz``, gzip files. All files are UTF-8.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from nlp_lstm.data.brown import UNIVERSAL, plain_tag
from nlp_lstm.data.example import TaggedExample
from nlp_lstm.errors import DataError, shorten
from nlp_lstm.text.document import Document
from nlp_lstm.text.lines import read_lines
from nlp_lstm.text.tokenize import check_text

_CONLLU_COLUMNS = {"lemma": 2, "upos": 3, "xpos": 4, "feats": 5, "deprel": 7}
_NUM_CONLLU_FIELDS = 10
_MISC = 9


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


def conllu_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the sentences of a CoNLL-U file, each with the number of its first line of words."""
    for block in _blocks(path, skip=_is_comment):
        yield block[0][0], "\n".join(line for _, line in block)


def conllu_document(where: str, lines: str) -> Document:
    """Return the sentence that lines of a CoNLL-U file hold, without its labels.

    Args:
        where: ``path:line`` of the first of them.
        lines: as ``conllu_lines`` gives them.

    Raises:
        DataError: they break the format; with the line.
    """
    path, _, first = where.rpartition(":")
    return _conllu_sentence(Path(path), list(enumerate(lines.split("\n"), start=int(first)))).document


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
    examples = [brown_sentence(f"{path}:{number}", line) for number, line in read_lines(path) if line.strip()]
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


def brown_sentence(where: str, line: str) -> TaggedExample:
    """Return the sentence that a line of the Brown corpus holds, with universal tags and, as ``xpos``, its own.

    Raises:
        DataError: a token has no slash or a tag that is not Brown's; says ``where``.
    """
    words, universal, own = [], [], []
    for token in line.split():
        word, slash, tag = token.rpartition("/")
        plain = plain_tag(tag)
        if not slash or not word or plain is None:
            raise DataError(f"{where}: {shorten(token)} is not word/tag with a tag of the Brown corpus")
        words.append('"' if word in _BROWN_QUOTES else word)
        universal.append(UNIVERSAL[plain])
        own.append(plain)
    return TaggedExample(document=Document.from_words(words), labels={"upos": tuple(universal), "xpos": tuple(own)})

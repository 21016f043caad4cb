"""The reader of sentiment trees: a label on every phrase of a sentence (Socher et al., EMNLP 2013)."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from nlp_lstm.data.example import LabelledExample
from nlp_lstm.data.labelled import LabelledRow, make_examples
from nlp_lstm.data.reading import ReadingSettings
from nlp_lstm.errors import DataError, shorten
from nlp_lstm.text.detokenize import detokenise
from nlp_lstm.text.lines import read_lines
from nlp_lstm.text.tokenize import Tokenizer

_PIECES = re.compile(r"[()]|[^\s()]+")
_LOOK = "a tree looks like (3 (2 Quiet) (4 wonder))"


class Phrase(NamedTuple):
    """A labelled phrase: what a node of a tree spans."""

    label: str
    words: tuple[str, ...]


def read_trees(path: Path | str, reading: ReadingSettings, tokenizer: Tokenizer) -> list[LabelledExample]:
    """Read one tree a line: ``(3 (2 Quiet) (4 wonder))``, where each bracket is a label with words or trees.

    Every tree's root is a sentence and an example. With ``reading.phrases`` so is every other phrase, once for the
    whole file, with the label that it has most often (of several, the first in the alphabet); a phrase that is also a
    sentence is the sentence. The words are put together to text by ``detokenise``.

    Raises:
        DataError: a line is no tree, or what ``make_examples`` raises; with the line.
    """
    path = Path(path)
    trees = [(f"{path}:{number}", parse_tree(line, f"{path}:{number}")) for number, line in _lines(path)]
    reading = reading.model_copy(update={"is_tokenised": False})  # the rows' texts are put together already
    return make_examples(path, _rows(trees, reading.phrases), reading, tokenizer)


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    return ((number, line) for number, line in read_lines(path) if line.strip())


def _rows(trees: list[tuple[str, list[Phrase]]], with_phrases: bool) -> Iterator[LabelledRow]:
    seen = {phrases[-1].words for _, phrases in trees}
    counts: dict[tuple[str, ...], Counter[str]] = {}
    if with_phrases:
        for _, phrases in trees:
            for label, words in phrases[:-1]:
                counts.setdefault(words, Counter())[label] += 1
    for where, phrases in trees:
        root = phrases[-1]
        yield LabelledRow(where, detokenise(root.words), root.label)
        for _, words in phrases[:-1] if with_phrases else ():
            if words not in seen:
                seen.add(words)
                label = min(counts[words], key=lambda one: (-counts[words][one], one))
                yield LabelledRow(where, detokenise(words), label, is_phrase=True)


def parse_tree(line: str, where: str) -> list[Phrase]:
    """Return the phrases of a tree, each after those inside it, so that the sentence is the last.

    Args:
        line: the tree.
        where: file and line, for the message.

    Raises:
        DataError: the brackets do not match, or one of them has no label or nothing in it.
    """
    phrases: list[Phrase] = []
    words: list[str] = []
    open_nodes: list[tuple[str, int]] = []  # label, and number of words before it
    previous = ""
    for piece in _PIECES.finditer(line):
        text = piece.group()
        if phrases and not open_nodes:
            raise DataError(f"{where}: {shorten(line[piece.start() :])} follows the tree's last bracket; {_LOOK}")
        if text == ")":
            if not open_nodes or previous == "(" or len(words) == open_nodes[-1][1]:
                fault = "closes a bracket with no word in it" if open_nodes else "closes a bracket that was not opened"
                raise DataError(f"{where}: the ) at character {piece.start()} {fault}; {_LOOK}")
            label, start = open_nodes.pop()
            phrases.append(Phrase(label, tuple(words[start:])))
        elif previous == "(":
            if text == "(":
                raise DataError(f"{where}: the ( at character {piece.start()} stands where a label belongs; {_LOOK}")
            open_nodes.append((text, len(words)))
        elif text != "(":
            if not open_nodes:
                raise DataError(f"{where}: {shorten(line)} does not begin with a bracket; {_LOOK}")
            words.append(text)
        previous = text
    if open_nodes or not phrases:
        raise DataError(f"{where}: {shorten(line)} ends with a bracket that is not closed; {_LOOK}")
    return phrases

"""The reader of sentiment trees: a label on every phrase of a sentence (Socher et al., EMNLP 2013)."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from nlp_lstm.data.example import LabelledExample
from nlp_lstm.data.labelled import LabelledRow, make_examples
from nlp_lstm.data.reading import ReadingSettings
from nlp_lstm.errors import DataError, shorten
from nlp_lstm.text.detokenize import place_words
from nlp_lstm.text.document import Document
from nlp_lstm.text.lines import read_lines
from nlp_lstm.text.tokenize import Tokenizer

_PIECES = re.compile(r"[()]|[^\s()]+")
_LOOK = "a tree looks like (3 (2 Quiet) (4 wonder))"
MOST_WORDS = 1_000_000  # in all phrases of a tree together


class Phrase(NamedTuple):
    """A labelled phrase: what a node of a tree spans.

    Args:
        label: as the tree has it.
        words: its words.
        start: how many words of the sentence come before it.
    """

    label: str
    words: tuple[str, ...]
    start: int


def read_trees(path: Path | str, reading: ReadingSettings, tokenizer: Tokenizer) -> list[LabelledExample]:
    """Read one tree a line: ``(3 (2 Quiet) (4 wonder))``, where each bracket is a label with words or trees.

    Every tree's root is a sentence and an example. With ``reading.phrases`` so is every other phrase, once for the
    whole file, with the label that it has most often (of several, the first in the alphabet); a phrase that is also a
    sentence is the sentence. The phrases are also the parts of their sentence, each with the label it has there, but
    for those that begin or end inside a token. The words are put together to text by ``place_words``, whole sentences
    at a time.

    Raises:
        DataError: a line is no tree, or what ``make_examples`` raises; with the line.
    """
    path = Path(path)
    trees = [(f"{path}:{number}", parse_tree(line, f"{path}:{number}")) for number, line in _lines(path)]
    return make_examples(path, _rows(trees, reading.phrases, tokenizer), reading, tokenizer)


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    return ((number, line) for number, line in read_lines(path) if line.strip())


def _rows(trees: list[tuple[str, list[Phrase]]], with_phrases: bool, tokenizer: Tokenizer) -> Iterator[LabelledRow]:
    seen = {phrases[-1].words for _, phrases in trees}
    labels: defaultdict[tuple[str, ...], Counter[str]] = defaultdict(Counter)
    for _, phrases in trees if with_phrases else ():
        for phrase in phrases[:-1]:
            labels[phrase.words][phrase.label] += 1
    for where, phrases in trees:
        root = phrases[-1]
        sentence = _Sentence(root.words, tokenizer)
        parts = tuple(sentence.parts(phrases[:-1])) if with_phrases else ()
        yield LabelledRow(where, sentence.document.text, root.label, document=sentence.document, parts=parts)
        for phrase in phrases[:-1] if with_phrases else ():
            if phrase.words not in seen:
                seen.add(phrase.words)
                of_phrase = labels[phrase.words]
                label = max(sorted(of_phrase), key=of_phrase.__getitem__)
                document = sentence.part(phrase.start, phrase.start + len(phrase.words))
                yield LabelledRow(where, document.text, label, is_phrase=True, document=document)


class _Sentence:
    """A sentence that is tokenised once for all its phrases.

    Args:
        words: of the tree.
        tokenizer: of the text's language.
    """

    def __init__(self, words: Sequence[str], tokenizer: Tokenizer) -> None:
        text, self._places = place_words(words)
        self._tokenizer = tokenizer
        self.document = tokenizer.tokenize(text)
        self._first = {start: index for index, start in enumerate(self.document.starts)}
        self._end = {end: index for index, end in enumerate(self.document.ends, start=1)}

    def parts(self, phrases: Iterable[Phrase]) -> Iterator[tuple[int, int, str]]:
        """Yield the tokens that phrases span, from the first to before the last one's next, with their labels."""
        for phrase in phrases:
            first, end_token = self._span(phrase.start, phrase.start + len(phrase.words))
            if first is not None and end_token is not None:
                yield first, end_token, phrase.label

    def part(self, start: int, end: int) -> Document:
        """Return the words from number ``start`` to before ``end``, with the tokens that they have in the sentence.

        These are the tokens that the words have alone as well, but for a clitic that comes first: alone, ``'ve`` is
        split at its apostrophe. Words that begin or end inside a token are tokenised alone.
        """
        text_start, text_end = self._places[start][0], self._places[end - 1][1]
        text = self.document.text[text_start:text_end]
        first, end_token = self._span(start, end)
        if first is None or end_token is None:
            return self._tokenizer.tokenize(text)
        inside = slice(first, end_token)
        moved = [place - text_start for place in self.document.starts[inside]]
        return Document(text=text, words=self.document.words[inside], starts=moved)

    def _span(self, start: int, end: int) -> tuple[int | None, int | None]:
        """The first token of the words, and the one after the last; None where a word's edge is inside a token."""
        return self._first.get(self._places[start][0]), self._end.get(self._places[end - 1][1])


def parse_tree(line: str, where: str) -> list[Phrase]:
    """Return the phrases of a tree, each after those inside it, so that the sentence is the last.

    Args:
        line: the tree.
        where: file and line, for the message.

    Raises:
        DataError: the brackets do not match, one of them has no label or nothing in it, or the phrases have more than
            ``MOST_WORDS`` words.
    """
    phrases: list[Phrase] = []
    num_words = 0
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
            num_words += len(words) - start
            if num_words > MOST_WORDS:
                raise DataError(
                    f"{where}: the phrases of this tree have more than {MOST_WORDS:,} words together; cut it"
                )
            phrases.append(Phrase(label, tuple(words[start:]), start))
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

"""Text that comes piece by piece and may never end: its sentences, and its lines, in memory that does not grow.

A text is read up to the last white space that has come, as what follows could still belong to its last word. So the
tokens are those of the whole text, wherever the pieces end.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from nlp_lstm.text.document import Token
from nlp_lstm.text.tokenize import PIECE_SIZE, Tokenizer, check_text

LONGEST_WORD = PIECE_SIZE  # characters; more of them without a space or line end are not waited for


class Stretch(NamedTuple):
    """Tokens that are read together: a sentence, or a part of a long one.

    Args:
        tokens: with their places in the whole text.
        keep_start: the first of them that this stretch answers for; those before are context.
        keep_end: the one after the last of these; those from there on are context.
    """

    tokens: tuple[Token, ...]
    keep_start: int
    keep_end: int


class SentenceReader:
    """Finds the sentences of a text as it comes, as `Tokenizer.sentences` finds them in the whole of it.

    A sentence is known as soon as the first word of the next one has come, or a blank line. One of more than ``size``
    tokens comes as stretches of ``size``, each with up to ``context`` tokens before and after it, and a stretch as soon
    as these have come: `nlp_lstm.data.sampling.cut_windows` cuts in the same places. So no token waits for more than
    ``size + context`` others.

    Args:
        tokenizer: of the text's language.
        size: tokens that a stretch answers for.
        context: tokens that it reads before and after them.
    """

    def __init__(self, tokenizer: Tokenizer, *, size: int, context: int) -> None:
        self._tokenizer = tokenizer
        self._size, self._context = size, context
        self._unread = _Unread()
        self._before: list[str] = ["a"]  # words that say whether a sentence has ended, as those before them did
        self._is_start = False
        self._num_line_ends = 0  # since the last token
        self._sentence: list[Token] = []  # what is still needed of the sentence that goes on
        self._num_dropped = 0  # tokens at its beginning that are not
        self._num_answered = 0  # tokens of it that stretches have answered for

    def read(self, piece: str) -> Iterator[Stretch]:
        """Take the next piece of the text and yield the stretches that are complete now."""
        yield from self._read(*self._unread.take(piece))

    def finish(self) -> Iterator[Stretch]:
        """Yield what is left at the end of the text."""
        yield from self._read(*self._unread.take_rest())
        yield from self._end_sentence()

    def _read(self, text: str, start: int) -> Iterator[Stretch]:
        words, places, begins = self._split(text)
        for word, place, is_begin in zip(words, places, begins, strict=True):
            self._is_start = self._is_start or is_begin  # a sentence may start at the white space before it
            if word.isspace():
                self._num_line_ends += word.count("\n")
                if self._num_line_ends > 1:
                    yield from self._end_sentence()
                continue
            if self._is_start:
                yield from self._end_sentence()
            self._is_start, self._num_line_ends = False, 0
            self._sentence.append(Token(word, start + place, start + place + len(word)))
            if self._num_dropped + len(self._sentence) == self._num_answered + self._size + self._context:
                yield self._cut(self._num_answered + self._size)

    def _split(self, text: str) -> tuple[list[str], list[int], list[bool]]:
        """Return the tokens, the place of each, and whether a sentence begins there."""
        words, places = self._tokenizer.split(text)
        before = len(self._before)
        *begins, has_ended = self._tokenizer.sentence_starts([*self._before, *words, "a"])
        self._before = ["a", "."] if has_ended else ["a"]
        return words, places, begins[before:]

    def _end_sentence(self) -> Iterator[Stretch]:
        num_tokens = self._num_dropped + len(self._sentence)
        while self._num_answered < num_tokens:
            is_whole = not self._num_answered and num_tokens <= self._size
            yield self._cut(num_tokens if is_whole else min(num_tokens, self._num_answered + self._size))
        self._sentence, self._num_dropped, self._num_answered = [], 0, 0

    def _cut(self, keep_end: int) -> Stretch:
        """Return the stretch that answers up to ``keep_end``, and drop what no later one needs."""
        first, dropped = self._num_answered, self._num_dropped
        begin = max(0, first - self._context) - dropped
        tokens = tuple(self._sentence[begin : keep_end + self._context - dropped])
        begin += dropped
        self._num_answered = keep_end
        needless = max(0, keep_end - self._context) - dropped
        del self._sentence[:needless]
        self._num_dropped += needless
        return Stretch(tokens, first - begin, keep_end - begin)


class LinePart(NamedTuple):
    """A part of a line, from one white space to another; or, empty, the end of a line that held something.

    Args:
        text: without the white space at the end; at the beginning of a line also without that there.
        start: its place in the whole text.
        is_end: whether it is the end of a line.
    """

    text: str
    start: int
    is_end: bool


class LineReader:
    r"""Cuts a text that comes piece by piece into parts of lines; only ``\n`` ends a line.

    Put together, the parts of a line are the line without the white space around it. Lines of white space alone are
    left out. A part that is not the first of its line begins with a space, as a word with what is before it.
    """

    def __init__(self) -> None:
        self._unread = ""
        self._start = 0  # of it in the whole text
        self._is_begun = False  # whether the line has had a part

    def read(self, piece: str) -> Iterator[LinePart]:
        """Take the next piece and yield the parts that are complete now."""
        *lines, last = (self._unread + piece).split("\n")
        for line in lines:
            yield from self._end_line(line)
            self._start += len(line) + 1
        cut = _last_cut(last)
        if cut:
            yield from self._part(last[:cut])
            self._start += cut
        self._unread = last[cut:]

    def finish(self) -> Iterator[LinePart]:
        """Yield what is left at the end of the text."""
        yield from self._end_line(self._unread)

    def _end_line(self, line: str) -> Iterator[LinePart]:
        yield from self._part(line.rstrip())
        if self._is_begun:
            yield LinePart("", self._start + len(line.rstrip()), True)
        self._is_begun = False

    def _part(self, text: str) -> Iterator[LinePart]:
        shown = text if self._is_begun else text.lstrip()
        if shown.strip():
            yield LinePart(shown, self._start + len(text) - len(shown), False)
            self._is_begun = True


class _Unread:
    """What has come since the last white space."""

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._size = 0
        self._start = 0

    def take(self, piece: str) -> tuple[str, int]:
        """Take a piece, and return the text that is read now and its place in the whole text."""
        cut = max(piece.rfind(" "), piece.rfind("\n")) + 1
        self._pieces.append(piece)
        self._size += len(piece)
        if not cut and self._size <= LONGEST_WORD:
            return "", self._start
        text = "".join(self._pieces)
        end = self._size - len(piece) + cut if cut else self._size
        self._pieces = [text[end:]]
        self._size -= end
        self._start += end
        return text[:end], self._start - end

    def take_rest(self) -> tuple[str, int]:
        """Return what is left."""
        return "".join(self._pieces), self._start


def _last_cut(line: str) -> int:
    """Where a line that goes on can be cut: before the last space that stands after a word; 0 for nowhere yet.

    A mark of WikiText, as in ``10 @,@ 000``, is not cut from the space behind it.
    """
    end = len(line.rstrip())
    cut = end if line[end : end + 1] == " " else line.rfind(" ", 0, end)
    while cut > 0 and (line[cut - 1].isspace() or line[cut - 1] == "@"):
        cut = line.rfind(" ", 0, cut)
    if cut <= 0 and len(line) > LONGEST_WORD:
        return len(line)
    return max(cut, 0)


def check_pieces(pieces: Iterable[str]) -> Iterator[str]:
    """Yield the pieces of a text, each checked, large ones in several.

    Raises:
        DataError: one is no text; names its index.
    """
    for index, piece in enumerate(pieces):
        text = check_text(piece, f"piece {index}")
        for start in range(0, len(text), PIECE_SIZE):
            yield text[start : start + PIECE_SIZE]

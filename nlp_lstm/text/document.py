"""A text with its tokens and their exact character offsets."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field
from operator import add
from typing import NamedTuple

from nlp_lstm.errors import DataError, shorten


class Token(NamedTuple):
    """One token: its text, and its place in the document in code points, end-exclusive."""

    text: str
    start: int
    end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A text and its tokens; ``text[token.start:token.end] == token.text`` for every token.

    Args:
        text: the text as given.
        words: the texts of its tokens in order; they never overlap.
        starts: the place of each in the text, in code points.
    """

    text: str
    words: list[str] = field(default_factory=list)
    starts: list[int] = field(default_factory=list)

    @classmethod
    def from_tokens(cls, text: str, tokens: Sequence[Token]) -> Document:
        """Build a document from some tokens of a text."""
        return cls(text=text, words=[token.text for token in tokens], starts=[token.start for token in tokens])

    @classmethod
    def from_words(cls, words: Sequence[str], spaces: Sequence[bool] | None = None) -> Document:
        """Build a document from tokens that were split elsewhere.

        Args:
            words: the token texts, none of them empty.
            spaces: for each token, whether a space follows it in the text; default one after each but the last.

        Raises:
            DataError: a token is not a string or is empty.
        """
        starts = []
        pieces = []
        position = 0
        for index, word in enumerate(words):
            if not isinstance(word, str) or not word:
                raise DataError(f"token {index} is {shorten(word)}; tokens are non-empty strings")
            starts.append(position)
            pieces.append(word)
            position += len(word)
            follows = spaces[index] if spaces is not None else index + 1 < len(words)
            if follows:
                pieces.append(" ")
                position += 1
        return cls(text="".join(pieces), words=list(words), starts=starts)

    @property
    def tokens(self) -> tuple[Token, ...]:
        """The tokens in order, made when they are asked for: words and places alone take a fifth of the time."""
        return tuple(map(Token, self.words, self.starts, self.ends))

    @property
    def ends(self) -> tuple[int, ...]:
        """Where each token ends, exclusive."""
        return tuple(map(add, self.starts, map(len, self.words)))

    def __len__(self) -> int:
        return len(self.words)


def split_lines(document: Document, *, goes_on: bool = False) -> list[Document]:
    r"""Return the lines of a document, without white space around them and without empty ones.

    Args:
        document: its lines end with ``\n``.
        goes_on: whether the last line stays as it is, as what follows is written on it.
    """
    starts, words = document.starts, document.words
    found = []
    start = 0
    lines = document.text.split("\n")
    for number, line in enumerate(lines):
        is_last = goes_on and number == len(lines) - 1
        text = line if is_last else line.strip()
        if text or is_last:
            shift = start if is_last else start + len(line) - len(line.lstrip())
            of_line = slice(bisect_left(starts, start), bisect_left(starts, start + len(line)))
            moved = [place - shift for place in starts[of_line]]
            found.append(Document(text=text, words=words[of_line], starts=moved))
        start += len(line) + 1
    return found

"""A text with its tokens and their exact character offsets."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
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
        tokens: its tokens in order; they never overlap.
    """

    text: str
    tokens: tuple[Token, ...]

    @classmethod
    def from_words(cls, words: Sequence[str], spaces: Sequence[bool] | None = None) -> Document:
        """Build a document from tokens that were split elsewhere.

        Args:
            words: the token texts, none of them empty.
            spaces: for each token, whether a space follows it in the text; default one after each but the last.

        Raises:
            DataError: a token is not a string or is empty.
        """
        tokens = []
        pieces = []
        position = 0
        for index, word in enumerate(words):
            if not isinstance(word, str) or not word:
                raise DataError(f"token {index} is {shorten(word)}; tokens are non-empty strings")
            tokens.append(Token(word, position, position + len(word)))
            pieces.append(word)
            position += len(word)
            follows = spaces[index] if spaces is not None else index + 1 < len(words)
            if follows:
                pieces.append(" ")
                position += 1
        return cls(text="".join(pieces), tokens=tuple(tokens))

    @property
    def words(self) -> list[str]:
        """The token texts in order."""
        return [token.text for token in self.tokens]

    def __len__(self) -> int:
        return len(self.tokens)


def split_lines(document: Document, *, goes_on: bool = False) -> list[Document]:
    r"""Return the lines of a document, without white space around them and without empty ones.

    Args:
        document: its lines end with ``\n``.
        goes_on: whether the last line stays as it is, as what follows is written on it.
    """
    starts = [token.start for token in document.tokens]
    found = []
    start = 0
    lines = document.text.split("\n")
    for number, line in enumerate(lines):
        is_last = goes_on and number == len(lines) - 1
        text = line if is_last else line.strip()
        if text or is_last:
            shift = start if is_last else start + len(line) - len(line.lstrip())
            of_line = document.tokens[bisect_left(starts, start) : bisect_left(starts, start + len(line))]
            tokens = tuple(Token(token.text, token.start - shift, token.end - shift) for token in of_line)
            found.append(Document(text=text, tokens=tokens))
        start += len(line) + 1
    return found

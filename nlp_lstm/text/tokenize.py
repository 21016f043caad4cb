"""From a string to tokens and sentences, by spaCy's blank pipelines.

A text of any size is cut into pieces at white space, so memory stays bounded by the piece and the result does
not depend on where the pieces end.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from nlp_lstm.errors import ConfigError, DataError, shorten
from nlp_lstm.text.document import Document, Token

PIECE_SIZE = 50_000  # characters handed to spaCy at a time
TEXTS_ONLY = "-"  # stands for a language code where texts are wanted without tokens
LONGEST_RUN = 1_000  # characters without white space; longer runs are one token (affix rules take quadratic time)

_LONG_RUN = re.compile(rf"\S{{{LONGEST_RUN + 1},}}")
_PARAGRAPH = re.compile(r"\n\s*\n")
_LANGUAGE_CODE = re.compile(r"[a-z]{2,3}")


def check_text(text: object, where: str = "text") -> str:
    """Return ``text`` if it is a string that has a UTF-8 form.

    Raises:
        DataError: it is another type, or holds a lone surrogate.
    """
    if not isinstance(text, str):
        raise DataError(f"{where} is {shorten(text)} ({type(text).__name__}); give a string")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise DataError(
            f"{where} holds {text[error.start]!r} at character {error.start}, which is half a character (a lone "
            'surrogate); decode the bytes as UTF-8, with errors="replace" if need be'
        ) from error
    return text


class Tokenizer:
    """Splits text into sentences of tokens with exact offsets.

    Args:
        language: any language code that spaCy has a blank pipeline for ("en", "hi", "de", "xx", …).

    Raises:
        ConfigError: spaCy does not know the language, or it needs a package that is not installed.
    """

    def __init__(self, language: str = "en") -> None:
        self.language = language
        self._nlp = _blank_pipeline(language)

    def tokenize(self, text: str) -> Document:
        """Return the whole text as one document; white space is never a token."""
        if len(check_text(text)) <= PIECE_SIZE:
            pieces = self._read_tokens(text)
            tokens = [Token(piece.text, piece.idx, piece.idx + len(piece)) for piece in pieces if not piece.is_space]
        else:
            tokens = [token for sentence in self.sentences(text) for token in sentence.tokens]
        return Document(text=text, tokens=tuple(tokens))

    def sentences(self, text: str) -> Iterator[Document]:
        """Yield the sentences of a text in order.

        Each document's ``text`` is the whole given text and its offsets count from the start of it. A sentence
        ends at sentence-final punctuation, as spaCy's sentencizer finds it, or at a blank line; without either, after
        about ``PIECE_SIZE`` characters.
        """
        check_text(text)
        position = 0
        while position < len(text):
            end = _piece_end(text, position)
            starts_and_tokens = self._split_piece(text, position, end)
            if end < len(text) and len(starts_and_tokens) > 1:
                position = starts_and_tokens.pop()[0].start  # the last sentence may go on: read it again, whole
            else:
                position = end
            for tokens in starts_and_tokens:
                yield Document(text=text, tokens=tuple(tokens))

    def _split_piece(self, text: str, start: int, end: int) -> list[list[Token]]:
        doc = self._sentencize(self._read_tokens(text[start:end]))
        sentences: list[list[Token]] = []
        current: list[Token] = []
        last_end = start
        is_start = False
        for token in doc:
            is_start = is_start or token.is_sent_start  # spaCy lets a sentence start at the white space before it
            if token.is_space:
                continue
            token_start = start + token.idx
            new_paragraph = bool(_PARAGRAPH.search(text, last_end, token_start))
            if current and (is_start or new_paragraph):
                sentences.append(current)
                current = []
            is_start = False
            last_end = token_start + len(token)
            current.append(Token(token.text, token_start, last_end))
        if current:
            sentences.append(current)
        return sentences

    def _read_tokens(self, piece: str) -> Any:
        """Return spaCy's Doc of a piece, with runs too long for its affix rules kept whole."""
        from spacy.tokens import Doc

        if not _LONG_RUN.search(piece):
            return self._nlp.tokenizer(piece)
        docs = []
        position = 0
        for run in _LONG_RUN.finditer(piece):
            if run.start() > position:
                docs.append(self._nlp.tokenizer(piece[position : run.start()]))
            docs.append(Doc(self._nlp.vocab, words=[run.group()], spaces=[False]))
            position = run.end()
        if position < len(piece):
            docs.append(self._nlp.tokenizer(piece[position:]))
        return Doc.from_docs(docs, ensure_whitespace=False)

    def _sentencize(self, doc: Any) -> Any:
        return self._nlp.get_pipe("sentencizer")(doc) if len(doc) else doc


class WholeTexts(Tokenizer):
    """Leaves each text in one piece, which takes no time: for readers of which the texts alone are wanted."""

    def __init__(self) -> None:
        self.language = TEXTS_ONLY

    def tokenize(self, text: str) -> Document:
        return Document(text=text, tokens=(Token(text, 0, len(text)),))


def tokenizer_for(language: str) -> Tokenizer:
    """Return the tokenizer of a language, or for ``TEXTS_ONLY`` the one that splits nothing.

    Raises:
        ConfigError: spaCy does not know the language.
    """
    return WholeTexts() if language == TEXTS_ONLY else Tokenizer(language)


def _piece_end(text: str, start: int) -> int:
    """Where the piece that begins at ``start`` ends: after white space where there is any."""
    limit = start + PIECE_SIZE
    if limit >= len(text):
        return len(text)
    cut = max(text.rfind(" ", start, limit), text.rfind("\n", start, limit))
    if cut > start:
        return cut
    following = re.compile(r"\s").search(text, limit)  # one run longer than a piece: keep it whole
    return following.start() if following else len(text)


@lru_cache(maxsize=8)
def _blank_pipeline(language: str) -> Any:
    import spacy

    accepted = 'use a code such as "en", "hi" or "de", or "xx" for any language'
    if not _LANGUAGE_CODE.fullmatch(language):  # spaCy would import any module of its own by that name
        raise ConfigError(f'language "{language}" is not a code of two or three small letters; {accepted}')
    try:
        nlp = spacy.blank(language)
    except (ImportError, AttributeError) as error:
        first_line = str(error).splitlines()[0]
        raise ConfigError(
            f'language "{language}": spaCy cannot make its tokeniser here ({first_line}); {accepted}'
        ) from error
    nlp.add_pipe("sentencizer")
    return nlp

"""From a string to tokens and sentences, by the rules of spaCy's blank pipelines.

A text of any size is cut into pieces at white space, so memory stays bounded by the piece and the result does
not depend on where the pieces end.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import chain, compress, pairwise
from typing import Any, Protocol

from nlp_lstm.errors import ConfigError, DataError, shorten
from nlp_lstm.text.document import Document
from nlp_lstm.text.rules import load_rules

PIECE_SIZE = 50_000  # characters handed to spaCy at a time
TEXTS_ONLY = "-"  # stands for a language code where texts are wanted without tokens
WORDS_REMEMBERED = 100_000  # by a tokeniser of spaCy's own
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
        self._splitter: Splitter = load_rules(language) or _BlankPipeline(language)

    def tokenize(self, text: str) -> Document:
        """Return the whole text as one document; white space is never a token."""
        if len(check_text(text)) <= PIECE_SIZE:
            words, starts = self.split(text)
            if any(map(str.isspace, words)):
                starts = [start for word, start in zip(words, starts, strict=True) if not word.isspace()]
                words = [word for word in words if not word.isspace()]
            return Document(text=text, words=words, starts=starts)
        sentences = list(self.sentences(text))
        return Document(
            text=text,
            words=list(chain.from_iterable(sentence.words for sentence in sentences)),
            starts=list(chain.from_iterable(sentence.starts for sentence in sentences)),
        )

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
            words, starts = self.split(text[position:end])
            found = self.group(text, words, [position + start for start in starts] if position else starts)
            if end < len(text) and len(found) > 1:
                position = found.pop().starts[0]  # the last sentence may go on: read it again, whole
            else:
                position = end
            yield from found

    def group(self, text: str, words: list[str], starts: list[int]) -> list[Document]:
        """Return the sentences of a stretch of tokens that these rules, or spaCy's own, have split already.

        Args:
            text: what the tokens are in.
            words: the tokens. Those of white space, which no sentence has, help to find where one begins.
            starts: the place of each in the text, ascending.
        """
        begins = self.sentence_starts(words)
        if any(map(str.isspace, words)):
            words, starts, begins = _drop_spaces(text, words, starts, begins)
        bounds = [*compress(range(len(words)), begins), len(words)]
        return [
            Document(text=text, words=words[first:after], starts=starts[first:after])
            for first, after in pairwise(bounds)
        ]

    def sentence_starts(self, words: Sequence[str]) -> list[bool]:
        """Return for each token, white space among them, whether a sentence begins there."""
        return self._splitter.sentence_starts(words)

    def split(self, piece: str) -> tuple[list[str], list[int]]:
        """Return the tokens of a piece and where each begins, with runs too long for affix rules kept whole.

        White space other than single spaces is a token, too.
        """
        if len(piece) <= LONGEST_RUN or not _LONG_RUN.search(piece):
            return self._splitter.split(piece)
        words: list[str] = []
        starts: list[int] = []
        position = 0
        for run in [*_LONG_RUN.finditer(piece), None]:
            end = run.start() if run else len(piece)
            if end > position:
                found, places = self._splitter.split(piece[position:end])
                words += found
                starts += [position + place for place in places]
            if run:
                words.append(run.group())
                starts.append(run.start())
                position = run.end()
        return words, starts


class WholeTexts(Tokenizer):
    """Leaves each text in one piece, which takes no time: for readers of which the texts alone are wanted."""

    def __init__(self) -> None:
        self.language = TEXTS_ONLY

    def tokenize(self, text: str) -> Document:
        return Document(text=text, words=[text], starts=[0])


def tokenizer_for(language: str) -> Tokenizer:
    """Return the tokenizer of a language, or for ``TEXTS_ONLY`` the one that splits nothing.

    Raises:
        ConfigError: spaCy does not know the language.
    """
    return WholeTexts() if language == TEXTS_ONLY else Tokenizer(language)


def _drop_spaces(
    text: str, words: Sequence[str], starts: Sequence[int], begins: Sequence[bool]
) -> tuple[list[str], list[int], list[bool]]:
    """Leave the tokens of white space out; a sentence also begins behind those that it begins with, or a blank line.

    Args:
        text: what the tokens are in.
        words: the tokens.
        starts: the place of each.
        begins: for each whether a sentence begins there.
    """
    kept_words: list[str] = []
    kept_starts: list[int] = []
    kept_begins: list[bool] = []
    last_end = starts[0]
    is_begin = False
    for word, start, begins_here in zip(words, starts, begins, strict=True):
        is_begin = is_begin or begins_here
        if word.isspace():
            continue
        is_paragraph = start > last_end + 1 and _PARAGRAPH.search(text, last_end, start) is not None
        kept_words.append(word)
        kept_starts.append(start)
        kept_begins.append(is_begin or is_paragraph)
        is_begin = False
        last_end = start + len(word)
    return kept_words, kept_starts, kept_begins


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


class Splitter(Protocol):
    """What splits a piece of text; `Rules`, or spaCy itself."""

    def split(self, text: str) -> tuple[list[str], list[int]]:
        """Return the tokens and where each begins; white space other than single spaces is a token too."""

    def sentence_starts(self, words: Sequence[str]) -> list[bool]:
        """Return for each token whether a sentence begins there."""


class _BlankPipeline:
    """spaCy's blank pipeline of a language whose rules are not at hand as data.

    Args:
        language: the language's code.

    Raises:
        ConfigError: spaCy does not know the language, or it needs a package that is not installed.
    """

    def __init__(self, language: str) -> None:
        self._nlp = _blank_pipeline(language)

    def split(self, text: str) -> tuple[list[str], list[int]]:
        with self._bounded():
            tokens = self._nlp.tokenizer(text)
            return [token.text for token in tokens], [token.idx for token in tokens]

    def sentence_starts(self, words: Sequence[str]) -> list[bool]:
        from spacy.tokens import Doc

        if not words:
            return []
        with self._bounded():
            doc = self._nlp.get_pipe("sentencizer")(Doc(self._nlp.vocab, words=list(words)))
            return [token.is_sent_start for token in doc]

    def _bounded(self) -> contextlib.AbstractContextManager[Any]:
        """Let spaCy, which remembers every word for good, forget new ones again when it knows many."""
        return self._nlp.memory_zone() if len(self._nlp.vocab) > WORDS_REMEMBERED else contextlib.nullcontext()


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

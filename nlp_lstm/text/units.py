"""What a language model reads and writes: words, subwords or characters, each with its id.

All have the same four specials: 0 ``<pad>``, 1 ``<unk>``, 2 ``<bos>``, 3 ``<eos>``. The end of a line is ``<eos>``.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal, TypeAlias

from nlp_lstm.errors import CheckpointError, DataError, shorten
from nlp_lstm.text.detokenize import detokenise
from nlp_lstm.text.document import Document, Token
from nlp_lstm.text.subwords import SubwordModel
from nlp_lstm.text.vocabulary import BOS, EOS, PAD, UNK, Vocabulary, check_keys

UnitName: TypeAlias = Literal["word", "subword", "character"]

PAD_ID, UNK_ID, BOS_ID, EOS_ID = range(4)
SPECIALS = (PAD, UNK, BOS, EOS)
NEVER_WRITTEN = (PAD_ID, UNK_ID, BOS_ID)
"""The specials that no text which is written holds."""
NUM_UNPREDICTED = 2  # <pad> and <bos> never come in a text

_MARKS = re.compile(rf" @([,.])@ |@(-)@|{UNK}")  # of WikiText, where characters are read
_JOINED_WORDS = 64  # words that the spacing of the next one is decided by
_MOST_OPEN_BYTES = 3  # of a character in UTF-8 whose last byte has not come


class Units(ABC):
    """Splits a document into ids, and joins ids to text again."""

    name: UnitName

    @abstractmethod
    def __len__(self) -> int:
        """Return how many ids there are, specials included."""

    @abstractmethod
    def pieces(self, document: Document) -> list[Token]:
        """Return the document's pieces with their places in it."""

    @abstractmethod
    def encode(self, document: Document) -> list[int]:
        """Return the id of each piece, without an end."""

    @abstractmethod
    def token(self, id: int) -> str:
        """Return a piece as the vocabulary has it."""

    @abstractmethod
    def decode(self, ids: Sequence[int]) -> str:
        """Return the text that the ids stand for; specials are left out."""

    @abstractmethod
    def to_dict(self) -> dict[str, Any]:
        """Return plain values that `units_from_dict` builds the same units from."""

    def files(self) -> dict[str, bytes]:
        """Return what belongs into the model folder beside the plain values."""
        return {}


class WordUnits(Units):
    """The words of a tokenised document.

    Texts of WikiText mark what stood inside a word (``@-@``, ``@,@``, ``@.@``). A vocabulary with such marks reads
    other texts in the same form and writes text without them.

    Args:
        vocabulary: the words after the four specials, the most frequent first.
    """

    name: UnitName = "word"

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.vocabulary = vocabulary
        self._marks = {mark[1]: mark for mark in ("@-@", "@,@", "@.@") if mark in vocabulary}

    @classmethod
    def build(cls, counts: Mapping[str, int], *, min_count: int, max_size: int) -> WordUnits:
        """Build from the words' counts in the training text."""
        counts = {word: count for word, count in counts.items() if word not in SPECIALS}
        return cls(Vocabulary.build(counts, specials=SPECIALS, min_count=min_count, max_size=max_size))

    def __len__(self) -> int:
        return len(self.vocabulary)

    def pieces(self, document: Document) -> list[Token]:
        if not self._marks:
            return list(document.tokens)
        tokens = document.tokens
        pieces: list[Token] = []
        for number, token in enumerate(tokens):
            is_inside = 0 < number < len(tokens) - 1 and (
                tokens[number - 1].end == token.start and token.end == tokens[number + 1].start
            )
            if token.text in self._marks and is_inside:  # spaCy cuts words at their hyphens
                pieces.append(Token(self._marks[token.text], token.start, token.end))
            else:
                pieces += self._split(token)
        return pieces

    def encode(self, document: Document) -> list[int]:
        if self._marks:
            return self.vocabulary.ids(piece.text for piece in self.pieces(document))
        return self.vocabulary.ids(document.words)

    def token(self, id: int) -> str:
        return self.vocabulary.tokens[id]

    def decode(self, ids: Sequence[int]) -> str:
        words: list[str] = []
        glue = False
        for word in (self.token(id) for id in ids if id >= len(SPECIALS) or id == UNK_ID):
            is_mark = len(word) == 3 and word[1] in self._marks and word == self._marks[word[1]]
            if (is_mark or glue) and words:
                words[-1] += word[1] if is_mark else word
            else:
                words.append(word)
            glue = is_mark
        return detokenise(words)

    def to_dict(self) -> dict[str, Any]:
        return {"unit": self.name, "words": self.vocabulary.to_dict()}

    def _split(self, token: Token) -> list[Token]:
        """Cut a word that the vocabulary lacks at its hyphen, and a number at its comma or point."""
        if token.text in self.vocabulary:
            return [token]
        for place, character in enumerate(token.text[1:-1], start=1):
            between_digits = token.text[place - 1].isdigit() and token.text[place + 1].isdigit()
            if character in self._marks and (character == "-" or between_digits):
                start = token.start + place
                left = Token(token.text[:place], token.start, start)
                right = Token(token.text[place + 1 :], start + 1, token.end)
                return [left, Token(self._marks[character], start, start + 1), *self._split(right)]
        return [token]


class CharacterUnits(Units):
    """The characters of a document's text.

    The marks of WikiText are read as what they stand for: ``@-@`` is a hyphen, ``10 @,@ 000`` is 10,000, and ``<unk>``,
    a word that was left out, is one unknown character.

    Args:
        vocabulary: the characters after the four specials, the most frequent first.
    """

    name: UnitName = "character"

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.vocabulary = vocabulary

    @classmethod
    def build(cls, counts: Mapping[str, int], *, min_count: int, max_size: int) -> CharacterUnits:
        """Build from the characters' counts in the training text."""
        counts = {character: count for character, count in counts.items() if character != UNK}
        return cls(Vocabulary.build(counts, specials=SPECIALS, min_count=min_count, max_size=max_size))

    def __len__(self) -> int:
        return len(self.vocabulary)

    def pieces(self, document: Document) -> list[Token]:
        pieces: list[Token] = []
        for start, end, characters in _stretches(document.text):
            if isinstance(characters, str):
                pieces += [Token(character, place, place + 1) for place, character in enumerate(characters, start)]
            else:
                pieces.append(Token(characters[0], start, end))
        return pieces

    def encode(self, document: Document) -> list[int]:
        ids: list[int] = []
        for _, _, characters in _stretches(document.text):
            ids += self.vocabulary.ids(characters)
        return ids

    def token(self, id: int) -> str:
        return self.vocabulary.tokens[id]

    def decode(self, ids: Sequence[int]) -> str:
        return "".join("\ufffd" if id == UNK_ID else self.token(id) for id in ids if id not in (PAD_ID, BOS_ID, EOS_ID))

    def to_dict(self) -> dict[str, Any]:
        return {"unit": self.name, "words": self.vocabulary.to_dict()}


class SubwordUnits(Units):
    """Pieces of words, by a sentencepiece model.

    Args:
        model: the sentencepiece model.
    """

    name: UnitName = "subword"
    FILE = "subwords.model"

    def __init__(self, model: SubwordModel) -> None:
        self.model = model

    def __len__(self) -> int:
        return len(self.model)

    def pieces(self, document: Document) -> list[Token]:
        return [Token(self.token(id), 0, 0) for id in self.encode(document)]

    def encode(self, document: Document) -> list[int]:
        return self.model.encode(document.text)

    def token(self, id: int) -> str:
        return self.model.pieces[id]

    def decode(self, ids: Sequence[int]) -> str:
        return self.model.decode([id for id in ids if id not in (PAD_ID, BOS_ID, EOS_ID)])

    def to_dict(self) -> dict[str, Any]:
        return {"unit": self.name}

    def files(self) -> dict[str, bytes]:
        return {self.FILE: self.model.to_bytes()}


class TextWriter:
    """Turns ids into text one by one, in memory that does not grow.

    Args:
        units: what the ids stand for.
        before: ids before the first one, which decide the spacing.
    """

    def __init__(self, units: Units, before: Sequence[int] = ()) -> None:
        self._units = units
        self._last: deque[int] = deque(before, maxlen=_JOINED_WORDS)

    def write(self, id: int) -> str:
        """Return the text that an id adds to that of the ids before it: nothing while a character lacks bytes."""
        before = self._settled(self._last)
        after = self._settled([*self._last, id])
        self._last.append(id)
        return after[len(before) :] if after.startswith(before) else " " + self._units.decode([id])

    def _settled(self, ids: Sequence[int]) -> str:
        """The text of some ids without bytes at its end that may yet become a character."""
        text = self._units.decode(ids)
        if ids and self._units.token(ids[-1]).startswith("<0x"):
            open_bytes = min(len(text) - len(text.rstrip("\ufffd")), _MOST_OPEN_BYTES)
            text = text[: len(text) - open_bytes]
        return text


def _stretches(text: str) -> Iterator[tuple[int, int, str | tuple[str]]]:
    """Yield start, end and characters of the stretches of a text; a mark is a stretch of one character."""
    start = 0
    for mark in _MARKS.finditer(text):
        yield start, mark.start(), text[start : mark.start()]
        yield mark.start(), mark.end(), (mark[1] or mark[2] or UNK,)
        start = mark.end()
    yield start, len(text), text[start:]


def build_units(
    name: UnitName, documents: Iterable[Document], *, min_count: int, max_size: int
) -> tuple[Units, Counter[str]]:
    """Return the units of a training text, and how often each occurs in it (nothing for subwords).

    Args:
        name: word, subword or character.
        documents: the training text; gone through once.
        min_count: rarer words or characters are ``<unk>``.
        max_size: at most this many, specials left out.

    Raises:
        DataError: the text is empty.
    """
    if name == "subword":
        model = SubwordModel.train((document.text for document in documents), size=max_size)
        return SubwordUnits(model), Counter()
    counts: Counter[str] = Counter()
    for document in documents:
        if name == "word":
            counts.update(document.words)
            continue
        for _, _, characters in _stretches(document.text):
            counts.update(characters)
    if not counts:
        raise DataError("the training text is empty; give a text with words in it")
    units_type = WordUnits if name == "word" else CharacterUnits
    return units_type.build(counts, min_count=min_count, max_size=max_size), counts


def units_from_dict(values: Mapping[str, Any], files: Mapping[str, bytes]) -> Units:
    """Build units from what `Units.to_dict` and `Units.files` gave.

    Raises:
        CheckpointError: the values are no units, or damaged.
    """
    name = values.get("unit")
    check_keys(values, ("unit",) if name == "subword" else ("unit", "words"))
    if name == "subword":
        if SubwordUnits.FILE not in files:
            raise CheckpointError(f"damaged vocabulary: the folder has no {SubwordUnits.FILE}")
        return SubwordUnits(SubwordModel.from_bytes(files[SubwordUnits.FILE]))
    if name not in ("word", "character"):
        raise CheckpointError(f'damaged vocabulary: unit is {shorten(name)}, expected "word", "subword" or "character"')
    vocabulary = Vocabulary.from_dict(values.get("words"))
    if vocabulary.tokens[: len(SPECIALS)] != SPECIALS or vocabulary.num_specials != len(SPECIALS):
        raise CheckpointError(f"damaged vocabulary: it does not begin with {', '.join(SPECIALS)}")
    try:
        "".join(vocabulary.tokens).encode()
    except UnicodeEncodeError as error:
        half = error.object[error.start]
        raise CheckpointError(
            f"damaged vocabulary: a token holds {half!r}, half a character (a lone surrogate)"
        ) from error
    return WordUnits(vocabulary) if name == "word" else CharacterUnits(vocabulary)

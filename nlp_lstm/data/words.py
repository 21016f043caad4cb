"""From words to the numbers that a network reads, as arrays. Needs no torch."""

from __future__ import annotations

import dataclasses
import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from nlp_lstm.errors import CheckpointError, shorten
from nlp_lstm.nn.settings import EmbeddingSettings, EmbeddingSizes
from nlp_lstm.text.vocabulary import BOS, EOS, PAD, UNK, Vocabulary, check_keys

if TYPE_CHECKING:
    from numpy.typing import NDArray

CHARACTERS_KEPT = 12  # at each end of a word; what lies between is not read
MIN_CHARACTER_COUNT = 3
MIN_AFFIX_COUNT = 3
CODES_REMEMBERED = 100_000  # words whose numbers are kept between batches
BOS_ID, EOS_ID = 2, 3
_VOCABULARY_NAMES = ("words", "characters", "affixes", "vectors")


def word_ends(word: str) -> str:
    """Return what is read of a word: all of it, or of a long one its first and last characters."""
    return word if len(word) <= 2 * CHARACTERS_KEPT else word[:CHARACTERS_KEPT] + word[-CHARACTERS_KEPT:]


def word_affixes(word: str) -> tuple[str, ...]:
    """Return a word's endings of 1 to 4 letters, beginnings of 2 and 3, and its shape.

    The shape writes X for upper case, x for lower case, 9 for digits, and shortens runs to two.

    Example:
        >>> word_affixes("McDonald")
        ('-d', '-ld', '-ald', '-nald', 'mc-', 'mcd-', 'XxXxx')
    """
    ends = word_ends(word)
    lower = ends.lower()
    shape = ""
    for character in ends:
        kind = "X" if character.isupper() else "x" if character.islower() else "9" if character.isdigit() else character
        if shape[-2:] != 2 * kind:
            shape += kind
    return (*(f"-{lower[-size:]}" for size in (1, 2, 3, 4)), *(f"{lower[:size]}-" for size in (2, 3)), shape[:8])


@dataclass(frozen=True, slots=True, kw_only=True)
class WordVocabularies:
    """What a model knows of words and their parts.

    Args:
        words: words with a learned vector of their own.
        characters: characters, with the marks of a word's two ends.
        affixes: beginnings, endings and shapes.
        vectors: words with a pretrained vector.
        vector_size: features per pretrained vector, 0 when there are none.
    """

    words: Vocabulary
    characters: Vocabulary
    affixes: Vocabulary
    vectors: Vocabulary
    vector_size: int

    @classmethod
    def build(
        cls,
        counts: Mapping[str, int],
        settings: EmbeddingSettings,
        *,
        vectors: Iterable[str] = (),
        vector_size: int = 0,
    ) -> WordVocabularies:
        """Build from the words of the training text.

        Args:
            counts: how often each word occurs in the training text, as the model reads it.
            settings: what a word's vector is made of.
            vectors: words with a pretrained vector, in the order of their rows.
            vector_size: features per pretrained vector.
        """
        characters: Counter[str] = Counter()
        affixes: Counter[str] = Counter()
        for word, count in counts.items():
            for character in word if settings.characters != "none" else ():
                characters[character] += count
            for affix in word_affixes(word) if settings.affix_size else ():
                affixes[affix] += count
        return cls(
            words=Vocabulary.build(counts, min_count=settings.min_count),
            characters=Vocabulary.build(characters, specials=(PAD, UNK, BOS, EOS), min_count=MIN_CHARACTER_COUNT),
            affixes=Vocabulary.build(affixes, min_count=MIN_AFFIX_COUNT),
            vectors=Vocabulary((PAD, UNK, *vectors), specials=2),
            vector_size=vector_size,
        )

    def with_parts_of(self, other: WordVocabularies) -> WordVocabularies:
        """Return these vocabularies and, behind their own entries, what another model knows besides.

        The words with a pretrained vector stay as they are.
        """
        return dataclasses.replace(
            self,
            words=self.words.extended(other.words),
            characters=self.characters.extended(other.characters),
            affixes=self.affixes.extended(other.affixes),
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the vocabularies as plain values."""
        parts = {name: getattr(self, name).to_dict() for name in _VOCABULARY_NAMES}
        return {**parts, "vector_size": self.vector_size}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> WordVocabularies:
        """Build from what `to_dict` gave.

        Raises:
            CheckpointError: the values are not word vocabularies.
        """
        check_keys(values, (*_VOCABULARY_NAMES, "vector_size"))
        parts = {name: Vocabulary.from_dict(values.get(name)) for name in _VOCABULARY_NAMES}
        if any(part.num_specials < 2 for part in parts.values()) or parts["characters"].num_specials < 4:
            raise CheckpointError("damaged vocabulary: the special tokens are missing")
        vector_size = values.get("vector_size")
        if type(vector_size) is not int or vector_size < 0:  # a bool would pass isinstance
            raise CheckpointError(f"damaged vocabulary: vector_size is {shorten(vector_size)}, expected 0 or more")
        return cls(**parts, vector_size=vector_size)

    @property
    def sizes(self) -> EmbeddingSizes:
        """The sizes that the network needs."""
        return EmbeddingSizes(
            words=len(self.words),
            characters=len(self.characters),
            affixes=len(self.affixes),
            vectors=len(self.vectors) if self.vector_size else 0,
            vector_size=self.vector_size,
        )


def lower_counts(counts: Mapping[str, int]) -> Counter[str]:
    """Return the counts of words without regard to capital letters."""
    lower: Counter[str] = Counter()
    for word, count in counts.items():
        lower[word.lower()] += count
    return lower


class WordCode(NamedTuple):
    """The numbers of one word."""

    word_id: int
    vector_id: int
    character_ids: tuple[int, ...]
    affix_ids: tuple[int, ...]


class WordArrays(NamedTuple):
    """The numbers of a batch's distinct words.

    Args:
        word_ids: int64, `unique`.
        vector_ids: int64, `unique`.
        character_ids: int64, `unique char_time`, 0 at padding.
        character_lengths: int64, `unique`.
        affix_ids: int64, `unique affix`.
    """

    word_ids: NDArray[np.int64]
    vector_ids: NDArray[np.int64]
    character_ids: NDArray[np.int64]
    character_lengths: NDArray[np.int64]
    affix_ids: NDArray[np.int64]


class RowArrays(Mapping[str, "NDArray[np.int64]"]):
    """Rows of words: all arrays by the names that a network's graph has for them, the words' own when asked for.

    Args:
        words: the distinct words.
        code: returns the numbers of a word.
        index: int64, `batch time`: for each position, which of the distinct words stands there; 0 at padding.
        lengths: int64, `batch`, words per row.
    """

    def __init__(
        self,
        words: Sequence[str],
        code: Callable[[str], WordCode],
        *,
        index: NDArray[np.int64],
        lengths: NDArray[np.int64],
    ) -> None:
        self.words = words
        self._code = code
        self.index = index
        self.lengths = lengths

    @cached_property
    def features(self) -> WordArrays:
        """The numbers of the distinct words."""
        return self.features_of(self.words)

    def features_of(self, words: Iterable[str]) -> WordArrays:
        """Return the numbers of some words."""
        return WordTable([self._code(word) for word in words]).arrays()

    def __getitem__(self, name: str) -> NDArray[np.int64]:
        if name in ("index", "lengths"):
            return self.index if name == "index" else self.lengths
        if name not in WordArrays._fields:
            raise KeyError(name)
        found: NDArray[np.int64] = getattr(self.features, name)
        return found

    def __iter__(self) -> Iterator[str]:
        return iter((*WordArrays._fields, "index", "lengths"))

    def __len__(self) -> int:
        return len(WordArrays._fields) + 2


class WordTable:
    """The numbers of many words in arrays, so that a batch is made of them without going through its words.

    Args:
        codes: the numbers of each word.
    """

    def __init__(self, codes: Sequence[WordCode]) -> None:
        self._all = WordArrays(
            word_ids=np.array([code.word_id for code in codes], np.int64),
            vector_ids=np.array([code.vector_id for code in codes], np.int64),
            character_ids=pad_rows([code.character_ids for code in codes]),
            character_lengths=np.array([len(code.character_ids) for code in codes], np.int64),
            affix_ids=np.array([code.affix_ids for code in codes], np.int64),
        )

    def arrays(self, places: NDArray[np.int64] | None = None) -> WordArrays:
        """Return the numbers of some words.

        Args:
            places: of the words in the table; default all.
        """
        if places is None:
            return self._all
        chosen = WordArrays(*(array[places] for array in self._all))
        longest = int(chosen.character_lengths.max())
        return chosen._replace(character_ids=chosen.character_ids[:, :longest])


class WordCoder:
    """Turns rows of words into arrays.

    Args:
        vocabularies: what the model knows of words.
        lower_case: whether capital letters are read as small ones.
    """

    def __init__(self, vocabularies: WordVocabularies, *, lower_case: bool = False) -> None:
        self.vocabularies = vocabularies
        self.lower_case = lower_case
        self._codes: dict[str, WordCode] = {}

    def make_arrays(self, rows: Sequence[Sequence[str]], *, pad_to: int = 0) -> RowArrays:
        """Return the numbers of some rows.

        Args:
            rows: the words of each row, at least one each.
            pad_to: pad to at least this many steps; answers do not depend on it.
        """
        words = list(itertools.chain.from_iterable(rows))
        distinct = list(dict.fromkeys(words))
        numbers = dict(zip(distinct, itertools.count()))
        lengths = np.fromiter(map(len, rows), np.int64, len(rows))
        index = pad_flat(np.fromiter(map(numbers.__getitem__, words), np.int64, len(words)), lengths, pad_to)
        return RowArrays(distinct, self._code, index=index, lengths=lengths)

    def make_table(self, words: Iterable[str]) -> WordTable:
        """Return the numbers of many words, to make batches of them again and again."""
        return WordTable([self._encode(word) for word in words])

    def _code(self, word: str) -> WordCode:
        code = self._codes.get(word)
        if code is None:
            if len(self._codes) >= CODES_REMEMBERED:
                self._codes.clear()
            code = self._codes[word] = self._encode(word)
        return code

    def _encode(self, word: str) -> WordCode:
        known = self.vocabularies
        if self.lower_case:
            word = word.lower()
        vector_id = known.vectors.get(word) or known.vectors.id(word.lower())
        return WordCode(
            word_id=known.words.id(word),
            vector_id=vector_id,
            character_ids=(BOS_ID, *known.characters.ids(word_ends(word)), EOS_ID),
            affix_ids=tuple(known.affixes.ids(word_affixes(word))),
        )


def pad_rows(rows: Sequence[Sequence[int]], time: int = 0) -> NDArray[np.int64]:
    """Return rows of unequal length as one array, `batch time`, 0 at padding, at least ``time`` steps wide."""
    lengths = np.fromiter(map(len, rows), np.int64, len(rows))
    return pad_flat(np.fromiter(itertools.chain.from_iterable(rows), np.int64, lengths.sum()), lengths, time)


def pad_flat(numbers: NDArray[np.int64], lengths: NDArray[np.int64], time: int = 0) -> NDArray[np.int64]:
    """Return the numbers of rows that follow each other as one array, as `pad_rows` does."""
    padded = np.zeros((len(lengths), max(time, lengths.max())), np.int64)
    padded[np.arange(padded.shape[1]) < lengths[:, None]] = numbers
    return padded

"""From words to the numbers of a batch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from nlp_lstm.errors import CheckpointError, shorten
from nlp_lstm.nn.context import Reading
from nlp_lstm.nn.embedding import EmbeddingSettings, EmbeddingSizes, WordFeatures
from nlp_lstm.nn.recurrent import make_mask
from nlp_lstm.text.vocabulary import BOS, EOS, PAD, UNK, Vocabulary, check_keys

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


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenBatch:
    """Rows of words as tensors.

    Args:
        features: the numbers of the batch's distinct words.
        index: for each position, which of the distinct words stands there; 0 at padding.
        lengths: real tokens per row.
        mask: True where there is a real token.
        labels: label ids per label column; empty when none are known.
        readings: the sentences as each language model reads them; empty without language models.
        states: instead of them, where they have been read before, the states of all language models side by side.
    """

    features: WordFeatures
    index: Int[Tensor, "batch time"]
    lengths: Int[Tensor, " batch"]
    mask: Bool[Tensor, "batch time"]
    labels: Mapping[str, Int[Tensor, "batch time"]]
    readings: tuple[Reading, ...] = ()
    states: Float[Tensor, "batch time states"] | None = None

    @property
    def num_tokens(self) -> int:
        """Real tokens in the batch."""
        return int(self.lengths.sum())

    def to(self, device: torch.device) -> TokenBatch:
        """Return the batch on ``device``."""
        return TokenBatch(
            features=WordFeatures(*(tensor.to(device) for tensor in self.features)),
            index=self.index.to(device),
            lengths=self.lengths.to(device),
            mask=self.mask.to(device),
            labels={column: labels.to(device) for column, labels in self.labels.items()},
            readings=tuple(Reading(*(tensor.to(device) for tensor in reading)) for reading in self.readings),
            states=None if self.states is None else self.states.to(device),
        )


class WordTable:
    """The numbers of many words in arrays, so that a batch is made of them without going through its words.

    Args:
        codes: the numbers of each word.
    """

    def __init__(self, codes: Sequence[WordCode]) -> None:
        self._word_ids = torch.tensor([code.word_id for code in codes])
        self._vector_ids = torch.tensor([code.vector_id for code in codes])
        self._character_ids = pad_ids([code.character_ids for code in codes])
        self._character_lengths = torch.tensor([len(code.character_ids) for code in codes])
        self._affix_ids = torch.tensor([code.affix_ids for code in codes])

    def features(self, places: Int[Tensor, " unique"]) -> WordFeatures:
        """Return the numbers of some words.

        Args:
            places: of the words in the table.
        """
        lengths = self._character_lengths[places]
        return WordFeatures(
            word_ids=self._word_ids[places],
            vector_ids=self._vector_ids[places],
            character_ids=self._character_ids[places, : int(lengths.max())],
            character_lengths=lengths,
            affix_ids=self._affix_ids[places],
        )


class BatchMaker:
    """Turns rows of words into batches.

    Args:
        vocabularies: what the model knows of words.
        lower_case: whether capital letters are read as small ones.
    """

    def __init__(self, vocabularies: WordVocabularies, *, lower_case: bool = False) -> None:
        self.vocabularies = vocabularies
        self.lower_case = lower_case
        self._codes: dict[str, WordCode] = {}

    def make_batch(
        self,
        rows: Sequence[Sequence[str]],
        labels: Mapping[str, Sequence[Sequence[int]]] | None = None,
        *,
        pad_to: int = 0,
    ) -> TokenBatch:
        """Return the batch of some rows.

        Args:
            rows: the words of each row, at least one each.
            labels: for each label column, one id per word.
            pad_to: pad to at least this many steps; answers do not depend on it.
        """
        unique: dict[str, int] = {}
        index = [[unique.setdefault(word, len(unique)) for word in row] for row in rows]
        lengths = torch.tensor([len(row) for row in rows])
        time = max(int(lengths.max()), pad_to)
        return TokenBatch(
            features=WordTable([self._code(word) for word in unique]).features(torch.arange(len(unique))),
            index=pad_ids(index, time),
            lengths=lengths,
            mask=make_mask(lengths, time),
            labels={column: pad_ids(ids, time) for column, ids in (labels or {}).items()},
        )

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


def pad_ids(rows: Sequence[Sequence[int]], time: int = 0) -> Int[Tensor, "batch time"]:
    """Return rows of unequal length as one tensor, 0 at padding, at least ``time`` steps wide."""
    time = max(time, *(len(row) for row in rows))
    return torch.tensor([[*row, *([0] * (time - len(row)))] for row in rows])

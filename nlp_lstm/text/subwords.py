"""Pieces of words, learnt from text: a vocabulary of fixed size for which no text holds anything unknown.

Example:
    >>> model = SubwordModel.train(["a quiet film", "a quiet harbour"], size=300)
    >>> model.decode(model.encode("quiet harbour in Łódź"))
    'quiet harbour in Łódź'
"""

from __future__ import annotations

import io
import math
import random
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Literal

from nlp_lstm.errors import CheckpointError, ConfigError, DataError, VocabularyError, shorten
from nlp_lstm.text.tokenize import check_text
from nlp_lstm.text.vocabulary import BOS, EOS, PAD, UNK

SPECIALS = (PAD, UNK, BOS, EOS)
"""The pieces with the ids 0 to 3; no text is encoded as them."""

LARGEST_MODEL = 16_000_000  # bytes
SMALLEST_SIZE = len(SPECIALS) + 256  # pieces: every byte has one

LIKELIEST_CUTS = 16  # of a word, from which one is drawn

_TEXT_SIZE = 2_000  # characters; longer texts are cut for training, as sentencepiece passes over long ones
_NUM_THREADS = 2  # fixed: sums of floating-point numbers depend on it


class SubwordModel:
    """A sentencepiece model (Kudo and Richardson, EMNLP 2018), held in memory, that loses nothing.

    Text is not normalised, spaces are kept, and characters without a piece become their UTF-8 bytes, so ``decode``
    gives back what ``encode`` took. One exception: U+2581, which sentencepiece writes for a space, comes back as one.

    Attributes:
        pieces: the text of each piece in the order of the ids, a leading space as U+2581, a byte as ``<0x0A>``.
    """

    def __init__(self, model: bytes) -> None:
        self._model = model
        self._processor, self.pieces = _load(model)
        self._known_ways: dict[str, tuple[list[list[int]], list[float]]] = {}

    @classmethod
    def train(
        cls,
        texts: Iterable[str],
        *,
        size: int,
        kind: Literal["unigram", "bpe"] = "unigram",
        character_coverage: float = 0.9995,
        symbols: Sequence[str] = (),
        max_texts: int = 100_000,
        seed: int = 1,
    ) -> SubwordModel:
        """Learn the pieces of texts; the same texts and settings give the same model.

        Args:
            texts: lines or sentences; gone through once.
            size: pieces at most, specials and bytes included; a small text may give fewer.
            kind: "unigram" (Kudo, ACL 2018) or "bpe" (Sennrich et al., ACL 2016).
            character_coverage: share of the characters of the texts that get a piece of their own.
            symbols: pieces that are there in any case, and never cut or joined to others.
            max_texts: of more texts (of up to 2,000 characters) a random choice of this many is learnt from.
            seed: of that choice.

        Raises:
            ConfigError: the size is too small for the texts' characters.
            DataError: there is no text, or one cannot be encoded.
        """
        import sentencepiece

        if kind not in ("unigram", "bpe"):
            raise ConfigError(f'the kind of subwords is "{kind}"; known kinds: unigram, bpe')
        if not 0 < character_coverage <= 1:
            raise ConfigError(f"character_coverage is {character_coverage}; it is a share above 0, at most 1")
        sample = _sample(_cut_texts(texts), max_texts, random.Random(f"subwords/{seed}"))
        if not sample:
            raise DataError("subwords are learnt from text, and there is none; give at least one text with words")
        sentencepiece.set_min_log_level(2)
        written = io.BytesIO()
        try:
            sentencepiece.SentencePieceTrainer.train(
                sentence_iterator=iter(sample),
                model_writer=written,
                model_type=kind,
                vocab_size=size,
                hard_vocab_limit=False,
                character_coverage=character_coverage,
                byte_fallback=True,
                user_defined_symbols=list(symbols),
                normalization_rule_name="identity",
                remove_extra_whitespaces=False,
                max_sentence_length=8 * _TEXT_SIZE,  # bytes
                num_threads=_NUM_THREADS,
                minloglevel=2,
                pad_id=0,
                unk_id=1,
                bos_id=2,
                eos_id=3,
                pad_piece=PAD,
                unk_piece=UNK,
                bos_piece=BOS,
                eos_piece=EOS,
            )
        except (RuntimeError, OSError) as error:
            raise ConfigError(
                f"no {kind} subwords of size {size} can be learnt from these {len(sample):,} texts ({_reason(error)}); "
                f"{SMALLEST_SIZE} specials and bytes and all characters need a piece each: choose a larger size, or a "
                "smaller character_coverage"
            ) from error
        return cls(written.getvalue())

    @classmethod
    def from_bytes(cls, model: bytes) -> SubwordModel:
        """Build from what ``to_bytes`` gave.

        Raises:
            CheckpointError: the bytes are no such model, or too many.
        """
        return cls(model)

    def to_bytes(self) -> bytes:
        """Return the model as sentencepiece writes it to a file."""
        return self._model

    def encode(self, text: str) -> list[int]:
        """Return the ids of a text's pieces; none of them is that of a special.

        Raises:
            DataError: it is no string, or holds a lone surrogate.
        """
        ids: list[int] = self._processor.encode(check_text(text))
        return ids

    def encode_randomly(self, text: str, generator: random.Random, *, sharpness: float) -> list[int]:
        """Return the ids of a text whose words are cut at random, the likelier ways more often.

        A word is cut in one of its ``LIKELIEST_CUTS`` likeliest ways, drawn with the probability of that way to the
        power ``sharpness``: 0 draws all alike, a large one the likeliest as `encode` does.

        Source: Kudo, "Subword Regularization", ACL 2018; drawn word by word, as no piece goes over a space.
        """
        words = check_text(text).split(" ")
        if not all(words):
            return self.encode(text)  # spaces side by side are pieces of their own
        ids: list[int] = []
        for word in words:
            ways, scores = self._ways(word)
            weights = [math.exp(sharpness * (score - scores[0])) for score in scores]
            ids += generator.choices(ways, weights)[0]
        return ids

    def _ways(self, word: str) -> tuple[list[list[int]], list[float]]:
        """The likeliest ways to cut a word, and the log-probability of each; kept, as words come again and again."""
        if word not in self._known_ways:
            ways = self._processor.nbest_encode(word, nbest_size=LIKELIEST_CUTS, out_type=int)
            self._known_ways[word] = ways, [sum(map(self._processor.get_score, way)) for way in ways]
        return self._known_ways[word]

    def decode(self, ids: Iterable[int]) -> str:
        """Return the text of some ids; specials have none, and bytes that make no character become U+FFFD.

        Raises:
            VocabularyError: there is no such id.
        """
        known = [int(index) for index in ids]
        for index in known:
            if not 0 <= index < len(self.pieces):
                raise VocabularyError(f"there is no piece {index}; the ids go from 0 to {len(self.pieces) - 1}")
        text: str = self._processor.decode([index for index in known if index >= len(SPECIALS)])
        return text

    def __len__(self) -> int:
        return len(self.pieces)


def _load(model: bytes) -> tuple[Any, tuple[str, ...]]:
    """Return sentencepiece's processor and the pieces, after a look at whether the model is one of ours."""
    import sentencepiece

    if not 0 < len(model) <= LARGEST_MODEL:
        raise CheckpointError(
            f"the subword model has {len(model):,} bytes; it takes from 1 to {LARGEST_MODEL:,}. Copy the model folder "
            "again, or train again"
        )
    sentencepiece.set_min_log_level(2)
    processor = sentencepiece.SentencePieceProcessor()
    try:
        processor.LoadFromSerializedProto(model)
        pieces = tuple(processor.id_to_piece(list(range(len(processor)))))
    except (RuntimeError, OSError, ValueError, TypeError) as error:
        raise CheckpointError(
            f"the subword model is damaged ({_reason(error)}); copy the model folder again, or train again"
        ) from error
    num_bytes = sum(processor.is_byte(list(range(len(pieces)))))
    if pieces[: len(SPECIALS)] != SPECIALS or num_bytes != 256:
        raise CheckpointError(
            f"the subword model begins with {', '.join(map(shorten, pieces[:4]))} and has {num_bytes} bytes; ours "
            f"begin with {', '.join(SPECIALS)} and have all 256. Train one with SubwordModel.train"
        )
    return processor, pieces


def _reason(error: Exception) -> str:
    """The sentence of sentencepiece's message, without the place in its source and its own flags."""
    sentence = str(error).rpartition("] ")[2].removeprefix("INTERNAL: ").partition(" Increase")[0].strip().rstrip(".")
    return shorten(sentence, 120).strip("'") or type(error).__name__


def _cut_texts(texts: Iterable[str]) -> Iterator[str]:
    for index, text in enumerate(texts):
        check_text(text, f"text {index}")
        for start in range(0, len(text), _TEXT_SIZE):
            piece = text[start : start + _TEXT_SIZE].replace("\0", " ")  # sentencepiece passes over texts with a NUL
            if piece.strip():
                yield piece


def _sample(texts: Iterable[str], size: int, generator: random.Random) -> Sequence[str]:
    """Return all texts in order or, of more than ``size``, a random choice (Vitter 1985, algorithm R)."""
    kept: list[str] = []
    for index, text in enumerate(texts):
        if index < size:
            kept.append(text)
        elif (place := generator.randrange(index + 1)) < size:
            kept[place] = text
    return kept

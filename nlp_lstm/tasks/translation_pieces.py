"""The pieces of words that a translator reads and writes, and texts that are cut into them."""

from __future__ import annotations

import random
import unicodedata
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from nlp_lstm.data.example import ParallelExample
from nlp_lstm.errors import CheckpointError
from nlp_lstm.text.copies import MARKS, Taken, TakenPair, put_back, take_out, take_out_of_pair
from nlp_lstm.text.subwords import SubwordModel

LONGEST_SENTENCE = 120  # pieces that are translated at once; what is longer is cut
SHARED_FILE = "subwords.model"
SOURCE_FILE, TARGET_FILE = "source.model", "target.model"


@dataclass(frozen=True, slots=True, kw_only=True)
class CutPair(ParallelExample):
    """A pair whose texts are cut into pieces, so that this is done once.

    Args:
        source_ids: the pieces of the source.
        target_ids: those of the translation, none where it is not known; None where they were not asked for.
        copies: what the marks among the pieces stand for.
    """

    source_ids: Sequence[int] = field(repr=False)
    target_ids: Sequence[int] | None = field(default=None, repr=False)
    copies: tuple[str, ...] = field(default=(), repr=False)


class PairPieces:
    """The subword models of two languages, or the one that they share.

    Texts are tidied before they are cut. Placeholders, addresses and numbers are copied: a mark stands for each in both
    languages (see `nlp_lstm.text.copies`). Models without pieces for marks, as those of language models, spell them.

    Args:
        source: of the language that is read.
        target: of the language that is written; None for a shared model.

    Attributes:
        marks: the id of each mark in both languages; none where one of the models has no marks.
    """

    def __init__(self, source: SubwordModel, target: SubwordModel | None = None) -> None:
        self.source = source
        self.target = target or source
        self.marks: tuple[tuple[int, int], ...] = ()
        if all(MARKS[0] in model.pieces for model in (self.source, self.target)):
            self.marks = tuple((self.source.pieces.index(mark), self.target.pieces.index(mark)) for mark in MARKS)

    @classmethod
    def learn(cls, examples: Sequence[ParallelExample], *, size: int, is_shared: bool) -> PairPieces:
        """Learn the pieces of training pairs.

        Args:
            examples: the pairs.
            size: pieces at most, of each model.
            is_shared: whether one model is learnt from both languages.
        """

        def learn(texts: Iterable[str]) -> SubwordModel:
            return SubwordModel.train(filter(None, texts), size=size, character_coverage=1.0, symbols=MARKS)

        pairs = [take_out_of_pair(tidy(example.source), tidy(example.target or "")) for example in examples]
        if is_shared:
            return cls(learn(text for pair in pairs for text in (pair.source, pair.target)))
        return cls(learn(pair.source for pair in pairs), learn(pair.target for pair in pairs))

    @classmethod
    def from_files(cls, files: Mapping[str, bytes], *, is_shared: bool) -> PairPieces:
        """Build from what `files` gave.

        Raises:
            CheckpointError: a file is missing or damaged.
        """
        names = (SHARED_FILE,) if is_shared else (SOURCE_FILE, TARGET_FILE)
        for name in names:
            if name not in files:
                raise CheckpointError(f"damaged vocabulary: the folder has no {name}")
        return cls(*(SubwordModel.from_bytes(files[name]) for name in names))

    @property
    def is_shared(self) -> bool:
        """Whether both languages have the same model."""
        return self.source is self.target

    def files(self) -> dict[str, bytes]:
        """Return the models by the names of their files."""
        if self.is_shared:
            return {SHARED_FILE: self.source.to_bytes()}
        return {SOURCE_FILE: self.source.to_bytes(), TARGET_FILE: self.target.to_bytes()}

    def facts(self) -> str:
        """Say how many pieces there are."""
        if self.is_shared:
            return f"{len(self.source):,} pieces of words, shared by both languages"
        return f"{len(self.source):,} pieces of words of the source, {len(self.target):,} of the target"

    def cut(self, example: ParallelExample) -> CutPair:
        """Cut both texts of a pair; one of which both are cut stays as it is."""
        if isinstance(example, CutPair) and example.target_ids is not None:
            return example
        source, target, copies = self._marked(example)
        return CutPair(
            source=example.source,
            target=example.target,
            target_language=example.target_language,
            source_ids=array("i", self.source.encode(source)),
            target_ids=array("i", self.target.encode(target)),
            copies=copies,
        )

    def _marked(self, example: ParallelExample) -> TakenPair:
        """Both texts of a pair with marks for what they share, where there are marks."""
        source, target = tidy(example.source), tidy(example.target or "")
        return take_out_of_pair(source, target) if self.marks else TakenPair(source, target)

    def cut_source(self, example: ParallelExample) -> CutPair:
        """Cut the source alone, as translating needs no more; a pair that is cut stays as it is."""
        if isinstance(example, CutPair):
            return example
        text, copies = self._taken(example.source)
        return CutPair(
            source=example.source,
            target=example.target,
            target_language=example.target_language,
            source_ids=array("i", self.source.encode(text)),
            copies=copies,
        )

    def _taken(self, text: str) -> Taken:
        return take_out(tidy(text)) if self.marks else Taken(tidy(text))

    def spell(self, ids: Sequence[int], copies: Sequence[str]) -> str:
        """Return what pieces of the target say, with the copies in place of their marks."""
        text = self.target.decode(ids)
        return put_back(text, copies) if self.marks else text

    def cut_randomly(
        self, example: CutPair, generator: random.Random, *, share: float, sharpness: float
    ) -> tuple[Sequence[int], Sequence[int]]:
        """Return the pieces of both texts, each anew and at random with a probability of ``share``.

        Args:
            example: the pair, of which both texts are cut.
            generator: what is drawn from.
            share: in [0, 1].
            sharpness: how much likelier cuts are preferred; 0 takes all alike.
        """

        def cut(model: SubwordModel, text: str, known: Sequence[int] | None) -> Sequence[int]:
            if share and generator.random() < share:
                return model.encode_randomly(text, generator, sharpness=sharpness)
            return known or ()

        source, target, _ = self._marked(example) if share else TakenPair("", "")
        return cut(self.source, source, example.source_ids), cut(self.target, target, example.target_ids)

    def stretches(self, text: str) -> Iterator[CutPair]:
        """Cut a source at spaces, and words that are longer anywhere, into stretches of ``LONGEST_SENTENCE`` pieces."""
        marked, copies = self._taken(text)
        held: list[str] = []
        count = 0
        for word, size in self._short_words(marked):
            if held and count + size > LONGEST_SENTENCE:
                yield self.cut_source(ParallelExample(source=put_back(" ".join(held), copies)))
                held, count = [], 0
            held.append(word)
            count += size
        if held:
            yield self.cut_source(ParallelExample(source=put_back(" ".join(held), copies)))

    def _short_words(self, text: str) -> Iterator[tuple[str, int]]:
        """Yield the words, or parts of words that have more pieces than a sentence may have, with their pieces."""
        for word in text.split():
            size = len(self.source.encode(word))
            if size <= LONGEST_SENTENCE:
                yield word, size
                continue
            step = max(1, len(word) * LONGEST_SENTENCE // (2 * size))  # half of what fits on average: parts differ
            for start in range(0, len(word), step):
                part = word[start : start + step]
                yield part, len(self.source.encode(part))


def tidy(text: str) -> str:
    """Return a text with one space for all white space, line ends too, and its letters composed (NFC).

    The same sentence is then cut the same way however its lines are broken.
    """
    return " ".join(unicodedata.normalize("NFC", text).split())

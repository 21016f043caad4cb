"""Keeping test sentences out of training: texts that say the same, however they were tokenised or typed.

Data sets share their sources (one collection of film reviews feeds five of ours), so a text of one data set's
training part can stand in another one's test part, with other spaces, accents or brackets, or hold a sentence of it.

Example:
    >>> protected = ProtectedTexts({"sst2 test": ["It 's a lovely film -LRB- really -RRB- ."]})
    >>> protected.find("It's a lovely film (really).")
    'sst2 test'
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Any, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from nlp_lstm.data.example import LabelledExample, LabelledPart, ParallelExample, TaggedExample
from nlp_lstm.text.document import Document
from nlp_lstm.text.entities import unescape

ExampleT = TypeVar("ExampleT", TaggedExample, LabelledExample)
Ints: TypeAlias = "NDArray[np.int32]"

_GRAM_SIZE = 5  # characters
_LEAST_INSIDE = 30  # letters and digits; shorter sentences ("It's a good film.") stand in other texts by chance
_OVER = (4, 5)  # Jaccard similarity over 0.8, as whole numbers: comparisons stay exact
_BRACKET_NAMES = re.compile(r"-[LR][RSC]B-", re.IGNORECASE)
_NO_LETTER_OR_DIGIT = re.compile(r"[\W_]+")
_ACCENT_OR_GLYPH = re.compile(
    "[\u0300-\u036f\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe00-\ufe0f\U000e0100-\U000e01ef]"
)


def normal_form(text: str) -> str:
    """Return the letters and digits of a text in lower case, without accents.

    HTML entities are undone, bracket names of the Penn Treebank (``-LRB-``) dropped; spaces go too, so ``ca n't`` and
    ``can't`` are the same. Vowel signs and other marks that belong to the letters of a script, as in Hindi, stay. A
    text of punctuation alone has the empty form.
    """
    text = _BRACKET_NAMES.sub(" ", unescape(text))
    if text.isascii():
        return _NO_LETTER_OR_DIGIT.sub("", text.casefold())
    # Folding can make new accents ("İ"), hence decomposed twice.
    text = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold()).casefold()
    return "".join(character for character in text if character.isalnum() or _is_letter_mark(character))


def _is_letter_mark(character: str) -> bool:
    """Whether a combining mark makes another letter: not the accents of European scripts, nor a choice of glyph."""
    is_mark = unicodedata.category(character) in ("Mn", "Mc")
    return is_mark and not _ACCENT_OR_GLYPH.match(character)


class ProtectedTexts:
    """Texts that no training may contain, and the question whether a text is one of them.

    Near-equal texts are found among those that share a rare gram: two sets of which more than four fifths agree
    must meet within the rarest fifth of each. The answer is that of comparing with every protected text.

    Args:
        texts: a name for messages ("sst2 test") to its texts.

    Sources: Chaudhuri, Ganti, Kaushik, "A Primitive Operator for Similarity Joins in Data Cleaning", ICDE 2006,
    section 4.3 (the prefix filter); Xiao, Wang, Lin, Yu, "Efficient Similarity Joins for Near Duplicate Detection",
    WWW 2008 (how much two sets can share at most, from what their prefixes share).
    """

    def __init__(self, texts: Mapping[str, Iterable[str]]) -> None:
        self._by_form: dict[str, str] = {}
        self._by_punctuation: dict[str, str] = {}
        for name, texts_of in texts.items():
            for text in texts_of:
                if form := normal_form(text):
                    self._by_form.setdefault(form, name)
                else:
                    self._by_punctuation.setdefault(text.strip(), name)
        self._forms = list(self._by_form)
        self._names = list(self._by_form.values())
        counts = Counter(gram for form in self._forms for gram in _grams(form))
        rarest_first = sorted(counts, key=lambda gram: (counts[gram], gram))
        self._ranks = {gram: rank for rank, gram in enumerate(rarest_first)}
        self._sets = [self._known_ranks(_grams(form)) for form in self._forms]
        self._sizes = np.array([len(ranks) for ranks in self._sets], dtype=np.int64)
        self._last_rare = np.full(len(self._sets), -1)  # the commonest rank among the rare ones of each
        by_rare_gram: defaultdict[int, list[int]] = defaultdict(list)  # rank to positions in self._sets
        self._by_rarest_gram: defaultdict[int, list[int]] = defaultdict(list)  # the same for what may stand inside
        for position, ranks in enumerate(self._sets):
            rare = ranks[: _prefix_size(len(ranks))].tolist()
            for rank in rare:
                by_rare_gram[rank].append(position)
            if rare:
                self._last_rare[position] = rare[-1]
            if len(self._forms[position]) >= _LEAST_INSIDE:
                self._by_rarest_gram[rare[0]].append(position)
        self._by_rare_gram = {rank: np.array(positions, dtype=np.int32) for rank, positions in by_rare_gram.items()}

    def __len__(self) -> int:
        """The number of different texts."""
        return len(self._by_form) + len(self._by_punctuation)

    def find(self, text: str) -> str | None:
        """Return the name that a protected text like this one came under, or None when there is none.

        Alike are texts with the same normal form; else a text whose normal form holds a protected one of 30 or more
        letters and digits; else texts whose normal forms have sets of five-character grams with a Jaccard similarity
        over 0.8. Of several, the first is named. Texts of punctuation alone are alike when equal but for the white
        space around them.
        """
        form = normal_form(text)
        if not form:
            return self._by_punctuation.get(text.strip())
        if form in self._by_form:
            return self._by_form[form]
        grams = _grams(form)
        ranks = self._known_ranks(grams)
        position = self._find_inside(form, ranks.tolist())
        if position is None:
            position = self._find_near(len(grams), ranks)
        return None if position is None else self._names[position]

    def _find_inside(self, form: str, ranks: Sequence[int]) -> int | None:
        """The position of the first protected text that stands in ``form``: its rarest gram must be there as well."""
        candidates = [position for rank in ranks for position in self._by_rarest_gram.get(rank, ())]
        return min((position for position in candidates if self._forms[position] in form), default=None)

    def _find_near(self, num_grams: int, ranks: Ints) -> int | None:
        """The position of the first protected text whose grams are nearly all the same.

        Two sets share at most what they share of their rare grams and, of the one whose rare grams end first, all that
        is not rare. Only where that is enough are they compared.
        """
        num_unknown = num_grams - len(ranks)  # rarer than all: they come first among the rare ones
        rare = ranks[: max(0, _prefix_size(num_grams) - num_unknown)]
        found = [self._by_rare_gram[rank] for rank in rare.tolist() if rank in self._by_rare_gram]
        if not found:
            return None
        positions, shared = np.unique(np.concatenate(found), return_counts=True)
        sizes = self._sizes[positions]
        not_rare = np.where(rare[-1] <= self._last_rare[positions], _not_rare_size(num_grams), _not_rare_size(sizes))
        may_be_near = _are_near(num_grams, sizes, np.minimum(shared + not_rare, np.minimum(num_grams, sizes)))
        for position in positions[may_be_near].tolist():
            shared_of_all = np.intersect1d(ranks, self._sets[position], assume_unique=True).size
            if _are_near(num_grams, self._sizes[position], shared_of_all):
                return int(position)
        return None

    def _known_ranks(self, grams: frozenset[str]) -> Ints:
        """The ranks of the grams that protected texts have, rarest first."""
        ranks = np.array([self._ranks[gram] for gram in grams if gram in self._ranks], dtype=np.int32)
        ranks.sort()
        return ranks


def remove_overlap(examples: Iterable[ExampleT], protected: ProtectedTexts) -> tuple[list[ExampleT], Counter[str]]:
    """Leave out the examples whose text is a protected one, and of the others the labelled parts that are one.

    Returns:
        What is left, in order, and for each name of protected texts how many examples went for it.
    """
    kept: list[ExampleT] = []
    removed: Counter[str] = Counter()
    find = cache(protected.find)  # phrases come again and again
    for example in examples:
        name = find(example.document.text)
        if name is not None:
            removed[name] += 1
        elif isinstance(example, LabelledExample) and example.parts:
            parts = tuple(part for part in example.parts if find(_part_text(example.document, part)) is None)
            kept.append(example if len(parts) == len(example.parts) else replace(example, parts=parts))
        else:
            kept.append(example)
    return kept, removed


class ProtectedSentences:
    """Sentences that no training may contain, up to case, accents, punctuation and spaces.

    Only equal sentences count, not near ones as for ``ProtectedTexts``: among short everyday sentences ("Tom is tall.",
    "Tom is small.") most are near many others, and say something else.

    Args:
        sentences: a name for messages ("multi30k test") to its sentences.
    """

    def __init__(self, sentences: Mapping[str, Iterable[str | None]]) -> None:
        self._names: dict[str, str] = {}
        for name, texts in sentences.items():
            for text in texts:
                if form := _side_form(text):
                    self._names.setdefault(form, name)

    def find(self, text: str | None) -> str | None:
        """Return the name that an equal sentence came under, or None when there is none; of several the first."""
        return self._names.get(_side_form(text))


class ProtectedPairs:
    """Parallel texts of which no training may contain a side, as ``ProtectedSentences`` finds it.

    Args:
        pairs: a name for messages ("multi30k test") to its pairs.
        sources: further sentences in the language that is translated, by names.
        targets: further sentences in the other language.
    """

    def __init__(
        self,
        pairs: Mapping[str, Sequence[ParallelExample]],
        sources: Mapping[str, Sequence[str]] | None = None,
        targets: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        self._sources = ProtectedSentences(_with_sides(sources, pairs, lambda pair: pair.source))
        self._targets = ProtectedSentences(_with_sides(targets, pairs, lambda pair: pair.target))

    def find(self, example: ParallelExample) -> str | None:
        """Return the name that a side of a pair came under, or None; of several the first, pairs before sentences."""
        return self._sources.find(example.source) or self._targets.find(example.target)


def remove_pairs(
    examples: Iterable[ParallelExample], protected: ProtectedPairs
) -> tuple[list[ParallelExample], Counter[str]]:
    """Leave out the pairs of which a side is protected.

    Returns:
        What is left, in order, and for each name of protected texts how many pairs went for it.
    """
    kept: list[ParallelExample] = []
    removed: Counter[str] = Counter()
    for example in examples:
        name = protected.find(example)
        if name is None:
            kept.append(example)
        else:
            removed[name] += 1
    return kept, removed


def _with_sides(
    sentences: Mapping[str, Sequence[str]] | None,
    pairs: Mapping[str, Sequence[ParallelExample]],
    side: Callable[[ParallelExample], str | None],
) -> dict[str, list[str | None]]:
    """One side of pairs, and after it further sentences, by their names."""
    sides = {name: [side(pair) for pair in of_name] for name, of_name in pairs.items()}
    for name, texts in (sentences or {}).items():
        sides.setdefault(name, []).extend(texts)
    return sides


def _side_form(text: str | None) -> str:
    return normal_form(text or "") or (text or "").strip()


def _part_text(document: Document, part: LabelledPart) -> str:
    return document.text[document.tokens[part.start].start : document.tokens[part.end - 1].end]


def _grams(form: str) -> frozenset[str]:
    """The grams of a normal form; none when it is shorter than one."""
    return frozenset(form[start : start + _GRAM_SIZE] for start in range(len(form) - _GRAM_SIZE + 1))


def _are_near(first: Any, second: Any, shared: Any) -> Any:
    """Whether sets of two sizes that share so much have a Jaccard similarity over the bound; of numbers or arrays."""
    return shared * (_OVER[0] + _OVER[1]) > (first + second) * _OVER[0]


def _prefix_size(num_grams: int) -> int:
    """How many of a set's rarest grams to look at: so many that every set like it has one of them among its own."""
    return num_grams - _not_rare_size(num_grams)


def _not_rare_size(num_grams: Any) -> Any:
    """How many grams are left beside the rarest; of a number or of an array."""
    return num_grams * _OVER[0] // _OVER[1]

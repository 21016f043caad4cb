"""Whether an output has its words in the order of the reference.

    reference  मैं बाज़ार जा रहा हूँ
    output     मैं जा रहा हूँ बाज़ार          positions 0 2 3 4 1: 7 of 10 pairs in order, Kendall 0.7

Each word of the output is matched to one of the reference: a word that both hold once to its like, a word that
occurs more often by the shortest stretch to its left or right that both hold once. Words without a match are left out.

Source: Isozaki, Hirao, Duh, Sudoh and Tsukada, "Automatic Evaluation of Translation Quality for Distant Language
Pairs", EMNLP 2010 (RIBES). The brevity penalty, the weights and the longer contexts are those of the authors'
program, version 1.02.
"""

from __future__ import annotations

import itertools
import math
import statistics
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from nlp_lstm.evaluation.significance import bootstrap_interval

_PRECISION_WEIGHT, _BREVITY_WEIGHT = 0.25, 0.10
"""The exponents alpha and beta of RIBES."""


class WordOrder(NamedTuple):
    """How well the words of one output are ordered; all shares in [0, 1].

    Attributes:
        kendall: share of the pairs of matched words that stand in the order of the reference, which is
            (tau + 1) / 2; 0 with fewer than two matches, 1 where the reference is one word and it is matched.
        precision: share of the output's words that were matched; 0 where ``kendall`` has no two words to compare.
        brevity: 1 for an output as long as the reference or longer, less for a shorter one, as in BLEU.
    """

    kendall: float
    precision: float
    brevity: float

    @property
    def ribes(self) -> float:
        """Kendall's tau, lowered where few words match or the output is short."""
        return self.kendall * self.precision**_PRECISION_WEIGHT * self.brevity**_BREVITY_WEIGHT


@dataclass(frozen=True, kw_only=True)
class CorpusWordOrder:
    """Means over the sentences of a corpus, with the 95 % interval of RIBES; ``None`` with one sentence only."""

    ribes: float
    interval: tuple[float, float] | None
    kendall: float
    num_sentences: int


def word_order(output: Sequence[str], reference: Sequence[str]) -> WordOrder:
    """Score the word order of an output against its reference.

    Args:
        output: the words of the output.
        reference: the words of the reference.

    Returns:
        The scores; all 0 where either has no words.
    """
    if not output or not reference:
        return WordOrder(kendall=0.0, precision=0.0, brevity=0.0)
    brevity = min(1.0, math.exp(1 - len(reference) / len(output)))
    positions = match_words(output, reference)
    if len(positions) == len(reference) == 1:
        return WordOrder(kendall=1.0, precision=1 / len(output), brevity=brevity)
    if len(positions) < 2:
        return WordOrder(kendall=0.0, precision=0.0, brevity=brevity)
    in_order = [before < after for before, after in itertools.combinations(positions, 2)]
    kendall = sum(in_order) / len(in_order)
    return WordOrder(kendall=kendall, precision=len(positions) / len(output), brevity=brevity)


def corpus_word_order(
    outputs: Sequence[Sequence[str]], references: Sequence[Sequence[str]], *, resamples: int = 1000, seed: int = 0
) -> CorpusWordOrder | None:
    """Average the word order of outputs, each a list of words, over the sentences whose references have words.

    Returns:
        The means; ``None`` where no reference has words.
    """
    pairs = zip(outputs, references, strict=True)
    orders = [word_order(output, reference) for output, reference in pairs if reference]
    if not orders:
        return None
    ribes = [order.ribes for order in orders]
    return CorpusWordOrder(
        ribes=statistics.fmean(ribes),
        interval=bootstrap_interval(ribes, resamples=resamples, seed=seed) if len(orders) > 1 else None,
        kendall=statistics.fmean(order.kendall for order in orders),
        num_sentences=len(orders),
    )


def match_words(output: Sequence[str], reference: Sequence[str]) -> list[int]:
    """Return, for each word of the output that can be matched, its position in the reference."""
    places, positions = _places(output), _places(reference)
    found = [
        _match(place, output, places[word], reference, positions[word])
        for place, word in enumerate(output)
        if word in positions
    ]
    return [position for position in found if position is not None]


def _places(words: Sequence[str]) -> dict[str, list[int]]:
    places = defaultdict(list)
    for place, word in enumerate(words):
        places[word].append(place)
    return dict(places)


def _match(
    place: int, output: Sequence[str], places: list[int], reference: Sequence[str], positions: list[int]
) -> int | None:
    """Find the position of one word of the output in the reference.

    The word stands at ``places`` in the output and at ``positions`` in the reference. Its context grows word by word
    until what it starts or ends with stands once in each.
    """
    if len(places) == len(positions) == 1:
        return positions[0]
    alike = dict.fromkeys((-1, 1), (places, positions))  # to the left and to the right
    for distance in range(1, len(output)):
        for side, (own, others) in list(alike.items()):
            word = _word_at(output, place + side * distance)
            others = [start for start in others if _word_at(reference, start + side * distance) == word]
            if word is None or not others:
                del alike[side]
                continue
            own = [start for start in own if _word_at(output, start + side * distance) == word]
            if len(own) == len(others) == 1:
                return others[0]
            alike[side] = own, others
        if not alike:
            break
    return None


def _word_at(words: Sequence[str], place: int) -> str | None:
    return words[place] if 0 <= place < len(words) else None

"""Training pairs in which words are marks, so that a translator learns where numbers, names and addresses go.

    A man rides a bicycle.    ->    A man rides a \ue000.
    Ein Mann fährt Fahrrad.         Ein Mann fährt \ue000.

Where a training text has few things to copy, marks would stand in too few sentences to be learnt. Here they stand for
words whose translation is known by the statistics of the text (IBM model 1 in both directions).

Source of the idea: Luong, Sutskever, Le, Vinyals and Zaremba, "Addressing the Rare Word Problem in Neural Machine
Translation", ACL 2015, whose marks stand for rare words.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

from nlp_lstm.data.example import ParallelExample
from nlp_lstm.tasks.translation_baselines import mutual_translations, split_words
from nlp_lstm.text.copies import mark_words

MOST_MARKED = 3  # words of a sentence
SHORTEST = 4  # letters; shorter words are mostly particles
FEWEST_LEFT = 2  # words that stay words


def marked_pairs(examples: Sequence[ParallelExample], share: float, *, seed: int) -> list[ParallelExample]:
    """Return a share of the pairs, each with marks in place of one to three of its words.

    Args:
        examples: training pairs.
        share: of them, in [0, 1]; pairs without such words are passed over.
        seed: of the choice.
    """
    generator = random.Random(seed)
    known = [example for example in examples if example.target]
    partners = mutual_translations([one.source for one in known], [one.target or "" for one in known])
    marked = []
    for example in generator.sample(known, round(share * len(known))):
        found = _translated_words(example, partners)
        if not found:
            continue
        chosen = generator.sample(found, min(len(found), generator.randint(1, MOST_MARKED)))
        source, target = mark_words(example.source, example.target or "", chosen)
        marked.append(ParallelExample(source=source, target=target, target_language=example.target_language))
    return marked


def _translated_words(example: ParallelExample, partners: dict[str, str]) -> list[tuple[str, str]]:
    """The words of a pair that translate each other and stand there once, in the order of the source."""
    source, target = split_words(example.source), split_words(example.target or "")
    if min(len(source), len(target)) < FEWEST_LEFT + 1:
        return []
    found = []
    for word in source:
        partner = partners.get(word.lower(), "")
        is_long = min(len(word), len(partner)) >= SHORTEST
        if is_long and source.count(word) == 1 and target.count(partner) == 1:
            found.append((word, partner))
    return found[: len(source) - FEWEST_LEFT]

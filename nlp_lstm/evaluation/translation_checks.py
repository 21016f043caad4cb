"""What goes wrong with translations in ways that BLEU hides: copies, cut and empty outputs, words said twice.

source   A dog runs.        output   A dog runs.                        copied
source   A dog runs.        output   Ein Hund Hund rennt.               says a word twice
source   Hello, Anna Ivy!   output   Hallo, Anna Ivy!                   no copied words if the reference has them
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from nlp_lstm.evaluation.translation import ScoredTranslation, split_words

_REPEATED_STRETCH = 3
"""Words of a stretch that counts as repeated wherever it comes again."""


@dataclass(frozen=True, kw_only=True)
class TranslationChecks:
    """How often each thing went wrong; words are lower-cased and without punctuation.

    Attributes:
        num_sentences: outputs checked.
        num_copied: outputs equal to their source, spaces apart.
        num_rightly_copied: how many of these equal their reference too, as names and numbers do.
        num_cut: outputs that ended because they reached the length limit.
        num_empty: outputs without text though the source has some.
        num_short: outputs with fewer than half the words of their reference.
        num_repeating: outputs that repeat what their reference does not: a word twice in a row, or three words again.
        num_output_words: words of all outputs.
        num_copied_words: how many of these stand in the source and not in the reference.
        length_ratio: words of the outputs by words of the references; ``None`` where the references have none.
    """

    num_sentences: int
    num_copied: int
    num_rightly_copied: int
    num_cut: int
    num_empty: int
    num_short: int
    num_repeating: int
    num_output_words: int
    num_copied_words: int
    length_ratio: float | None

    @property
    def copied_word_share(self) -> float:
        """Share of the output words that stand in the source and not in the reference, in [0, 1]."""
        return self.num_copied_words / self.num_output_words if self.num_output_words else 0.0

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self)


def check_translations(translations: Sequence[ScoredTranslation]) -> TranslationChecks:
    """Count copied, cut, empty, short and repeating outputs, and the words copied from the source."""
    copied = [translation for translation in translations if _is_copied(translation)]
    references = [split_words(translation.reference) for translation in translations]
    outputs = [split_words(translation.output) for translation in translations]
    num_reference_words = sum(map(len, references))
    num_output_words = sum(map(len, outputs))
    pairs = list(zip(outputs, references, strict=True))
    return TranslationChecks(
        num_sentences=len(translations),
        num_copied=len(copied),
        num_rightly_copied=sum(_spaced(one.reference) == _spaced(one.output) for one in copied),
        num_cut=sum(translation.is_cut for translation in translations),
        num_empty=sum(bool(one.source.strip()) and not one.output.strip() for one in translations),
        num_short=sum(2 * len(output) < len(reference) for output, reference in pairs),
        num_repeating=sum(
            bool(repeated_stretches(output) - repeated_stretches(reference)) for output, reference in pairs
        ),
        num_output_words=num_output_words,
        num_copied_words=sum(len(copied_words(translation)) for translation in translations),
        length_ratio=num_output_words / num_reference_words if num_reference_words else None,
    )


def copied_words(translation: ScoredTranslation) -> list[str]:
    """Return the words of the output that stand in the source and not in the reference."""
    copyable = set(split_words(translation.source)) - set(split_words(translation.reference))
    return [word for word in split_words(translation.output) if word in copyable]


def repeated_stretches(words: Sequence[str]) -> set[tuple[str, ...]]:
    """Return the words that stand twice in a row, as pairs, and the stretches of three words that come again."""
    stretches = Counter(zip(*(words[start:] for start in range(_REPEATED_STRETCH)), strict=False))
    doubled = {(first, second) for first, second in itertools.pairwise(words) if first == second}
    return doubled | {stretch for stretch, times in stretches.items() if times > 1}


def _is_copied(translation: ScoredTranslation) -> bool:
    output = _spaced(translation.output)
    return bool(output) and output == _spaced(translation.source)


def _spaced(text: str) -> str:
    return " ".join(text.split())

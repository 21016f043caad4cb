"""Outputs held against several right translations each: equal to one, and in the word order of the nearest.

    references  मैं जा रहा हूँ। | मैं जा रही हूँ।
    output      मैं जा रही हूँ          equal to the second; in its order

Two spellings of one Hindi word are not two translations, so both sides are brought to one spelling first.
"""

from __future__ import annotations

import re
import statistics
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from nlp_lstm.errors import DataError
from nlp_lstm.evaluation.translation import split_words
from nlp_lstm.evaluation.word_order import WordOrder, word_order

_NUKTA, _CHANDRABINDU, _ANUSVARA = "\u093c", "\u0901", "\u0902"
_NASAL = re.compile("ङ्(?=[क-घ])|ञ्(?=[च-झ])|ण्(?=[ट-ढ])|न्(?=[त-ध])|म्(?=[प-भ])")
_AT_END = "(?![\u0915-\u0939\u093e-\u094d])"  # of a word, but for a dot
_GLIDE = re.compile(f"(?<=[\u093e-\u094c\u0905-\u0914])य[\u0947\u0940]|(?<=[\u0915-\u0939])य[\u0947\u0940]{_AT_END}")
_VOWELS = {"\u0947": "ए", "\u0940": "ई"}


def plain_spelling(text: str) -> str:
    """Return a text in lower case, without punctuation, and where it is Hindi in one of several usual spellings.

    Dots below letters go (``ज़`` is ``ज``), a nasal before a consonant of its own place is a dot above (``हिन्दी`` is
    ``हिंदी``), so is the moon dot (``हँस`` is ``हंस``), and no glide stands between vowels (``आयेगा`` is ``आएगा``, ``गयी``
    is ``गई``).
    """
    text = unicodedata.normalize("NFD", text).replace(_NUKTA, "").replace(_CHANDRABINDU, _ANUSVARA)
    text = _NASAL.sub(_ANUSVARA, unicodedata.normalize("NFC", text))
    text = _GLIDE.sub(lambda found: _VOWELS[found[0][1]], text)
    return " ".join(split_words(text))


@dataclass(frozen=True, kw_only=True)
class ReferenceScore:
    """One output.

    Attributes:
        is_equal: whether it is one of the references, but for spelling.
        order: its word order beside the reference that it comes nearest to.
        nearest: that reference.
    """

    is_equal: bool
    order: WordOrder
    nearest: str


def score_output(output: str, references: Sequence[str]) -> ReferenceScore:
    """Hold an output against its references.

    Raises:
        DataError: there is no reference.
    """
    if not references:
        raise DataError(f"no reference for the output {output!r}; give one at least")
    found = plain_spelling(output)
    orders = [(word_order(found.split(), plain_spelling(one).split()), one) for one in references]
    order, nearest = max(orders, key=lambda pair: pair[0].ribes)
    return ReferenceScore(is_equal=found in [plain_spelling(one) for one in references], order=order, nearest=nearest)


def mean_order(scores: Sequence[ReferenceScore]) -> float:
    """Return the mean RIBES, from 0 to 1; 0 without outputs."""
    return statistics.fmean([score.order.ribes for score in scores]) if scores else 0.0

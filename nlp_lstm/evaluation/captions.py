"""How good descriptions of pictures and clips are, each beside several by people or by rule.

    references   two owls above a pear · a pear below two owls
    output       two owls above a peach          exact no; objects 1 of 2 right, counts 1 of 1, relations 1 of 1

BLEU-1 to BLEU-4 and chrF are sacrebleu's, against all references at once, without regard to capitals. Words of a kind
(objects, colours, counts, relations) are compared with the reference that has most of them in common.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from nlp_lstm.errors import DataError
from nlp_lstm.evaluation.significance import bootstrap_interval, score_interval

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

ORDERS = (1, 2, 3, 4)

_WORD = re.compile(r"\w+(?:['’-]\w+)*|[^\w\s]")


@dataclass(frozen=True, kw_only=True)
class Shown:
    """What a report shows of a picture or a clip.

    Attributes:
        png: a PNG file.
        num_frames: as many square frames stand in it side by side.
    """

    png: bytes
    num_frames: int = 1


@dataclass(frozen=True, kw_only=True, eq=False)
class Captioned:
    """A picture or clip, what was written of it, and what is right.

    Attributes:
        output: what was written.
        references: sentences that are right; at least one.
        num_pictures: how many drawings there are; 0 where that is not known.
        shown: the picture or clip itself; None where it is not shown.
    """

    output: str
    references: Sequence[str]
    num_pictures: int = 0
    shown: Shown | None = None

    def __post_init__(self) -> None:
        if not self.references:
            raise DataError(f"{self.output!r} has no reference; give at least one sentence that is right")

    @property
    def is_exact(self) -> bool:
        """Whether it is one of the references, word by word."""
        return split_caption(self.output) in [split_caption(reference) for reference in self.references]


class KindScore(NamedTuple):
    """How well words of one kind are found.

    Args:
        hits: words of the outputs that the references have, too.
        given: words of the outputs.
        wanted: words of the references.
    """

    hits: int
    given: int
    wanted: int

    @property
    def precision(self) -> float | None:
        """The share of the written ones that are right."""
        return self.hits / self.given if self.given else None

    @property
    def recall(self) -> float | None:
        """The share of the right ones that are written."""
        return self.hits / self.wanted if self.wanted else None


@dataclass(frozen=True, kw_only=True)
class CaptionMetrics:
    """Everything that the report says about descriptions.

    Attributes:
        bleu: BLEU-1 to BLEU-4, from 0 to 100, by order.
        bleu_interval: of BLEU-4; None with fewer than two.
        chrf: from 0 to 100.
        signatures: sacrebleu's, of BLEU-4 and chrF.
        exact: share of the outputs that are one of their references.
        exact_interval: its 95 % bootstrap interval.
        kinds: of each kind of words.
        num_captions: how many.
    """

    bleu: Mapping[int, float]
    bleu_interval: tuple[float, float] | None
    chrf: float
    signatures: tuple[str, str]
    exact: float
    exact_interval: tuple[float, float]
    kinds: Mapping[str, KindScore]
    num_captions: int

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {
            **{f"bleu_{order}": score for order, score in self.bleu.items()},
            "bleu_4_interval": None if self.bleu_interval is None else list(self.bleu_interval),
            "chrf": self.chrf,
            "signatures": list(self.signatures),
            "exact": self.exact,
            "exact_interval": list(self.exact_interval),
            "kinds": {
                name: {"precision": score.precision, "recall": score.recall, "words": score.wanted}
                for name, score in self.kinds.items()
            },
            "captions": self.num_captions,
        }


def split_caption(text: str, *, lower_case: bool = True) -> list[str]:
    """Return the words and punctuation marks of a sentence, in small letters where ``lower_case`` says so."""
    return _WORD.findall(text.lower() if lower_case else text)


def caption_metrics(captions: Sequence[Captioned], kinds: Mapping[str, frozenset[str]]) -> CaptionMetrics:
    """Measure descriptions.

    Args:
        captions: at least one.
        kinds: a name to the words of that kind; a kind that no reference has a word of is left out.

    Raises:
        DataError: there is none.
    """
    if not captions:
        raise DataError("no descriptions to measure; give at least one")
    scores = {order: corpus_bleu(captions, order) for order in ORDERS}
    chrf = _chrf()
    outputs, streams = _streams(captions)
    exact = [float(caption.is_exact) for caption in captions]
    found = {name: kind_score(captions, words) for name, words in kinds.items()}
    chrf_score = chrf.corpus_score(outputs, streams).score
    return CaptionMetrics(
        bleu={order: score for order, (score, _, _) in scores.items()},
        bleu_interval=scores[4][1],
        chrf=chrf_score,
        signatures=(scores[4][2], str(chrf.get_signature())),
        exact=sum(exact) / len(exact),
        exact_interval=bootstrap_interval(exact),
        kinds={name: score for name, score in found.items() if score.wanted},
        num_captions=len(captions),
    )


def corpus_bleu(
    captions: Sequence[Captioned], order: int = 4, *, with_interval: bool = True
) -> tuple[float, tuple[float, float] | None, str]:
    """Return BLEU up to n-grams of ``order`` words, of order 4 its interval, and sacrebleu's signature."""
    import numpy as np
    from sacrebleu.metrics import BLEU

    metric = BLEU(lowercase=True, max_ngram_order=order)
    outputs, streams = _streams(captions)
    score = metric.corpus_score(outputs, streams).score
    interval = None
    if with_interval and order == max(ORDERS) and len(captions) > 1:
        rows: Floats = np.array(metric._extract_corpus_statistics(outputs, streams), dtype=np.float64)
        metric_of_sums: Any = metric._compute_score_from_stats
        interval = score_interval(rows, lambda sums: float(metric_of_sums(sums).score))
    return score, interval, str(metric.get_signature())


def kind_score(captions: Sequence[Captioned], words: frozenset[str]) -> KindScore:
    """Compare the words of one kind with those of the reference that has most in common with the output."""
    hits = given = wanted = 0
    for caption in captions:
        output = _of_kind(caption.output, words)
        references = [_of_kind(reference, words) for reference in caption.references]
        best = max(
            references, key=lambda reference: (2 * (output & reference).total() + 1e-9) / _size(output, reference)
        )
        hits += (output & best).total()
        given += output.total()
        wanted += best.total()
    return KindScore(hits=hits, given=given, wanted=wanted)


def _size(output: Counter[str], reference: Counter[str]) -> int:
    return max(1, output.total() + reference.total())


def _of_kind(text: str, words: frozenset[str]) -> Counter[str]:
    return Counter(word for word in split_caption(text) if word in words)


def _chrf() -> Any:
    from sacrebleu.metrics import CHRF

    return CHRF(lowercase=True)


def _streams(captions: Sequence[Captioned]) -> tuple[list[str], Any]:
    """The outputs, and the first, second and further references of all of them; None where one has fewer."""
    most = max(len(caption.references) for caption in captions)
    return [caption.output for caption in captions], [
        [caption.references[number] if number < len(caption.references) else None for caption in captions]
        for number in range(most)
    ]

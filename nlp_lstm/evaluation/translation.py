"""How good translations are: BLEU and chrF of a corpus, their intervals, and paired tests.

One translation arrives as three detokenised texts, as people read them:

    source     A dog runs.
    reference  Ein Hund rennt.
    output     Ein Hund läuft.          BLEU of the corpus, 13a and cased; chrF of this sentence 45

The figures are sacrebleu's own, and each carries sacrebleu's signature, so that others can compute the same number:

    BLEU              cased, sacrebleu's tokenizer 13a on both sides (Papineni et al. 2002; Post 2018)
    chrF              character n-grams up to 6, recall counted twice, no word n-grams (chrF2; Popović 2015)
    BLEU, lower-cased the same BLEU after lower-casing outputs and references. Older papers report BLEU of lower-cased
                      text that the Moses tokenizer cut, which splits some words that 13a leaves whole (apostrophes);
                      the two are near, not equal.

Intervals and tests draw whole sentences (Koehn 2004, see `significance`) from the counts that sacrebleu takes of each
sentence. sacrebleu's own bootstrap is not used: its interval is symmetric, its seed is an environment variable, and
it holds all resamples in memory.

Sources: Post, "A Call for Clarity in Reporting BLEU Scores", WMT 2018; Popović, "chrF: character n-gram F-score for
automatic MT evaluation", WMT 2015.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, get_args

from nlp_lstm.errors import ConfigError, DataError, nearest_hint
from nlp_lstm.evaluation.significance import PairedResult, paired_score_bootstrap, score_interval

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from sacrebleu.metrics.base import Metric

    Floats = NDArray[np.float64]

Measure = Literal["bleu", "chrf", "bleu_lower"]
MEASURES: tuple[Measure, ...] = get_args(Measure)
"""What a corpus can be measured by."""

_TOKENIZERS = {"zh": "zh", "ja": "char", "th": "char"}
"""sacrebleu's tokenizers for languages that put no spaces between words; ``char`` needs no further package."""


@dataclass(frozen=True, kw_only=True, eq=False)  # eq: arrays have no single answer
class ScoredTranslation:
    """One sentence with its reference and what a system made of it.

    Attributes:
        source: the text to translate.
        reference: a translation by people.
        output: the system's translation, detokenised.
        source_tokens: the source as the model read it; needed with ``attention`` only.
        output_tokens: the output as the model wrote it; needed with ``attention`` only.
        attention: weight of each source token for each output token, `trg_time src_time`, each row summing to about 1;
            nested sequences or a numpy array.
        is_cut: whether the output ended because it reached the length limit.

    Raises:
        DataError: ``attention`` is not of the tokens' shape.
    """

    source: str
    reference: str
    output: str
    source_tokens: Sequence[str] = ()
    output_tokens: Sequence[str] = ()
    attention: Sequence[Sequence[float]] | NDArray[np.floating[Any]] | None = None
    is_cut: bool = False

    def __post_init__(self) -> None:
        if self.attention is None:
            return
        widths = {len(row) for row in self.attention}
        if len(self.attention) != len(self.output_tokens) or widths - {len(self.source_tokens)}:
            raise DataError(
                f"attention has {len(self.attention)} rows of {sorted(widths)} weights for {len(self.output_tokens)} "
                f"output and {len(self.source_tokens)} source tokens; give one row per output token, one weight per "
                "source token"
            )


@dataclass(frozen=True, kw_only=True)
class CorpusScore:
    """A figure of a whole corpus.

    Attributes:
        score: from 0 to 100; 0 where there is no sentence.
        interval: its 95 % interval; ``None`` with fewer than two sentences.
        signature: sacrebleu's, which says how to compute the same.
        num_sentences: sentences behind it.
    """

    score: float
    interval: tuple[float, float] | None
    signature: str
    num_sentences: int


class CorpusCounts:
    """What a measure counts in each sentence of a corpus, from which the score of any part of it follows.

    The counts are taken once; scores, intervals and tests are then sums of their rows.

    Args:
        translations: the corpus.
        measure: what to measure.
        language: of the outputs, such as "de". BLEU cuts words by 13a for every language that puts spaces between
            them, Hindi too: sacrebleu recommends nothing else for it, and published figures use it. The danda "।" then
            stays on the word before it.

    Raises:
        ConfigError: ``measure`` is not known.
    """

    def __init__(self, translations: Sequence[ScoredTranslation], measure: Measure, language: str = "") -> None:
        import numpy as np

        self._metric = _make_metric(measure, language)
        self._metric.corpus_score([""], [[""]])  # a signature needs to know the number of references
        self.signature = str(self._metric.get_signature())
        outputs = [translation.output for translation in translations]
        references = [translation.reference for translation in translations]
        rows = self._metric._extract_corpus_statistics(outputs, [references]) if translations else []
        width = len(rows[0]) if rows else 0
        self.rows: Floats = np.array(rows, dtype=np.float64).reshape(len(rows), width)  # `sentence count`

    def score(self, places: Sequence[int] | None = None) -> float:
        """Return the score, 0 to 100, of the sentences at ``places``, or of all."""
        rows = self.rows if places is None else self.rows[list(places)]
        return self._score_sums(rows.sum(axis=0).tolist()) if len(rows) else 0.0

    def sentence_scores(self) -> list[float]:
        """Return the score of each sentence on its own; sensible for chrF, not for BLEU."""
        return [self._score_sums(row) for row in self.rows.tolist()]

    def corpus_score(self, *, resamples: int = 1000, seed: int = 0) -> CorpusScore:
        """Return the score of all sentences with its interval."""
        num_sentences = len(self.rows)
        interval = None
        if num_sentences > 1:
            interval = score_interval(self.rows, self._score_sums, resamples=resamples, seed=seed)
        return CorpusScore(score=self.score(), interval=interval, signature=self.signature, num_sentences=num_sentences)

    def paired_difference(self, other: CorpusCounts, *, resamples: int = 1000, seed: int = 0) -> PairedResult:
        """Test whether this system differs from another on the same sentences.

        Args:
            other: counts of the other system by the same measure.
            resamples: of the bootstrap.
            seed: of the bootstrap.

        Returns:
            This score minus the other's, the 95 % interval of the difference, and the two-sided p-value.

        Raises:
            DataError: there is no sentence, or the sentences or the measures are not the same.
        """
        if self.signature != other.signature:
            raise DataError(f'measured by "{self.signature}" and "{other.signature}"; measure both alike')
        return paired_score_bootstrap(self.rows, other.rows, self._score_sums, resamples=resamples, seed=seed)

    def _score_sums(self, sums: list[float]) -> float:
        return float(self._metric._compute_score_from_stats(sums).score)


def corpus_score(
    translations: Sequence[ScoredTranslation],
    measure: Measure = "bleu",
    *,
    language: str = "",
    resamples: int = 1000,
    seed: int = 0,
) -> CorpusScore:
    """Measure a corpus of translations; see `CorpusCounts` for the arguments.

    Raises:
        ConfigError: ``measure`` is not known, or ``resamples`` is below 1.
    """
    return CorpusCounts(translations, measure, language).corpus_score(resamples=resamples, seed=seed)


def paired_difference(
    translations: Sequence[ScoredTranslation],
    others: Sequence[ScoredTranslation],
    measure: Measure = "bleu",
    *,
    language: str = "",
    resamples: int = 1000,
    seed: int = 0,
) -> PairedResult:
    """Test whether two systems differ on the same sentences.

    Args:
        translations: the sentences as the first system translated them.
        others: the same sentences from the second system.
        measure: what to measure.
        language: of the outputs.
        resamples: of the bootstrap.
        seed: of the bootstrap.

    Returns:
        The first score minus the second (points from 0 to 100), its 95 % interval, and the two-sided p-value.

    Raises:
        DataError: there is no sentence, or the sentences are not the same.
        ConfigError: ``measure`` is not known, or ``resamples`` is below 1.
    """
    check_same_sentences(translations, others)
    count = partial(CorpusCounts, measure=measure, language=language)
    return count(translations).paired_difference(count(others), resamples=resamples, seed=seed)


def check_same_sentences(translations: Sequence[ScoredTranslation], others: Sequence[ScoredTranslation]) -> None:
    """Check that two systems translated the same sentences and are held against the same references.

    Raises:
        DataError: they did not.
    """
    if len(translations) != len(others):
        raise DataError(f"{len(translations)} and {len(others)} translations; both systems need the same sentences")
    for number, (one, other) in enumerate(zip(translations, others, strict=True), start=1):
        if (one.source, one.reference) != (other.source, other.reference):
            raise DataError(
                f"translation {number} has another source or reference for the second system; translate the same "
                "sentences in the same order"
            )


def split_words(text: str) -> list[str]:
    """Return the words of a text, lower-cased and without the punctuation around them.

    For languages that put spaces between words; a stretch of punctuation alone is no word.
    """
    words = (_trim(word) for word in text.lower().split())
    return [word for word in words if word]


def _trim(word: str) -> str:
    start, end = 0, len(word)
    while start < end and _is_punctuation(word[start]):
        start += 1
    while start < end and _is_punctuation(word[end - 1]):
        end -= 1
    return word[start:end]


def _is_punctuation(character: str) -> bool:
    return unicodedata.category(character)[0] in "PS"


def _make_metric(measure: Measure, language: str) -> Metric:
    from sacrebleu.metrics import BLEU, CHRF

    if measure not in MEASURES:
        raise ConfigError(f'measure is "{measure}"; known: {", ".join(MEASURES)}.{nearest_hint(measure, MEASURES)}')
    if measure == "chrf":
        return CHRF()
    return BLEU(lowercase=measure == "bleu_lower", tokenize=_TOKENIZERS.get(language, "13a"))

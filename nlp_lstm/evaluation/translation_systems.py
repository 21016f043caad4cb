"""Translators measured on the same sentences and tested against the first of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from nlp_lstm.errors import DataError
from nlp_lstm.evaluation.report import Cell, Table
from nlp_lstm.evaluation.significance import PairedResult
from nlp_lstm.evaluation.translation import (
    MEASURES,
    CorpusCounts,
    CorpusScore,
    Measure,
    ScoredTranslation,
    check_same_sentences,
    split_words,
)
from nlp_lstm.evaluation.translation_checks import TranslationChecks, check_translations
from nlp_lstm.evaluation.word_order import CorpusWordOrder, corpus_word_order

MEASURE_NAMES: Mapping[Measure, str] = {"bleu": "BLEU", "chrf": "chrF", "bleu_lower": "BLEU, lower-cased"}

TESTED: tuple[Measure, ...] = ("bleu", "chrf")
"""What systems are tested by against each other."""


@dataclass(frozen=True, kw_only=True, eq=False)
class MeasuredSystem:
    """One system's figures.

    Attributes:
        name: of the system.
        counts: what each measure counts in each sentence.
        scores: of the corpus, by measure.
        word_order: means over sentences; ``None`` where no reference has words.
        checks: what went wrong.
        differences: this score minus the first system's; empty for the first itself and where fewer than two
            sentences leave nothing to draw from.
    """

    name: str
    counts: Mapping[Measure, CorpusCounts]
    scores: Mapping[Measure, CorpusScore]
    word_order: CorpusWordOrder | None
    checks: TranslationChecks
    differences: Mapping[Measure, PairedResult]

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values; differences in points from 0 to 100."""
        differences = {
            measure: {"points": paired.difference, "interval": paired.interval, "p_value": paired.p_value}
            for measure, paired in self.differences.items()
        }
        return {
            **{measure: asdict(score) for measure, score in self.scores.items()},
            "num_sentences": self.checks.num_sentences,
            "word_order": None if self.word_order is None else asdict(self.word_order),
            "checks": self.checks.to_dict(),
            **({"difference": differences} if differences else {}),
        }


def measure_systems(
    systems: Sequence[tuple[str, Sequence[ScoredTranslation]]], language: str = "", *, resamples: int = 1000
) -> list[MeasuredSystem]:
    """Measure systems on the same sentences, each tested against the first.

    Args:
        systems: each system's name and the sentences as it translated them.
        language: of the outputs (see `CorpusCounts`).
        resamples: of the bootstrap.

    Raises:
        DataError: a system that did not translate the first one's sentences.
        ConfigError: ``resamples`` below 1.
    """
    measured: list[MeasuredSystem] = []
    for name, translations in systems:
        try:
            check_same_sentences(systems[0][1], translations)
        except DataError as error:
            raise DataError(f'"{name}": {error}') from error
        counts = {measure: CorpusCounts(translations, measure, language) for measure in MEASURES}
        differences = {}
        if measured and len(translations) > 1:
            differences = {
                measure: counts[measure].paired_difference(measured[0].counts[measure], resamples=resamples)
                for measure in TESTED
            }
        outputs = [split_words(translation.output) for translation in translations]
        references = [split_words(translation.reference) for translation in translations]
        measured.append(
            MeasuredSystem(
                name=name,
                counts=counts,
                scores={measure: each.corpus_score(resamples=resamples) for measure, each in counts.items()},
                word_order=corpus_word_order(outputs, references, resamples=resamples),
                checks=check_translations(translations),
                differences=differences,
            )
        )
    return measured


def comparison_table(systems: Sequence[MeasuredSystem]) -> Table:
    """Show BLEU and chrF of each system, and its difference from the first."""
    rows: list[list[Cell]] = []
    for system in systems:
        row: list[Cell] = [system.name]
        for measure in TESTED:
            score = system.scores[measure]
            interval = "" if score.interval is None else " ({:.1f}–{:.1f})".format(*score.interval)
            row += [f"{score.score:.1f}{interval}", *_paired_cells(system.differences.get(measure))]
        rows.append([*row, f"{system.scores['bleu_lower'].score:.1f}"])
    against = f"Against {systems[0].name}"
    columns = [column for measure in TESTED for column in (MEASURE_NAMES[measure], against, "p")]
    note = (
        "In brackets the 95 % interval. Differences in points, below 0 where the system is worse than the first. "
        "Intervals and p-values: bootstrap over sentences, paired and two-sided (Koehn 2004; Berg-Kirkpatrick et al. "
        "2012)."
    )
    return Table(columns=["System", *columns, MEASURE_NAMES["bleu_lower"]], rows=rows, note=note)


def order_table(systems: Sequence[MeasuredSystem]) -> Table:
    """Show how well each system orders its words."""
    rows: list[list[Cell]] = []
    for system in systems:
        order = system.word_order
        if order is not None:
            interval = None if order.interval is None else "{:.3f}–{:.3f}".format(*order.interval)
            rows.append([system.name, f"{order.ribes:.3f}", interval, f"{order.kendall:.3f}", order.num_sentences])
    note = (
        "RIBES (Isozaki et al. 2010), from 0 to 1, mean over sentences: the share of the pairs of matched words that "
        "stand in the order of the reference (Kendall's tau brought to 0 to 1, which is also given alone), lowered "
        "where few words match. A word counts without case and punctuation."
    )
    return Table(columns=["System", "RIBES", "95 % interval", "Pairs in order", "Sentences"], rows=rows, note=note)


def _paired_cells(paired: PairedResult | None) -> list[Cell]:
    if paired is None:
        return ["–", "–"]
    ends = " to ".join(f"{end:+.1f}" for end in paired.interval)
    p_value = "< 0.001" if paired.p_value < 0.001 else f"{paired.p_value:.3f}"
    return [f"{paired.difference:+.1f} ({ends})".replace("-", "−"), p_value]

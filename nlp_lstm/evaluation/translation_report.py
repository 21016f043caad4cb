"""The report on a translator: BLEU and chrF with intervals, beside other systems, by length, and what goes wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from nlp_lstm.errors import DataError
from nlp_lstm.evaluation import plots
from nlp_lstm.evaluation.label_scores import Buckets
from nlp_lstm.evaluation.report import (
    Block,
    Cell,
    Figure,
    Plot,
    Report,
    Section,
    Table,
    TextBlock,
    format_share,
)
from nlp_lstm.evaluation.translation import CorpusCounts, CorpusScore, Measure, ScoredTranslation
from nlp_lstm.evaluation.translation_checks import TranslationChecks
from nlp_lstm.evaluation.translation_examples import attention_plots, best_and_worst
from nlp_lstm.evaluation.translation_systems import (
    MEASURE_NAMES,
    TESTED,
    comparison_table,
    measure_systems,
    order_table,
)

SOURCE_LENGTHS: Buckets = (("1–5", 5), ("6–10", 10), ("11–15", 15), ("16–20", 20), ("21–30", 30), ("31+", -1))
"""By words of the source as typed; an empty source counts among the shortest."""


@dataclass(frozen=True, kw_only=True)
class LengthBucket:
    """The sentences whose sources are of about one length; buckets without sentences are left out."""

    label: str
    bleu: float
    chrf: float
    num_sentences: int


def translation_report(
    translations: Sequence[ScoredTranslation],
    *,
    title: str,
    subtitle: str,
    task: str,
    language: str = "",
    rivals: Mapping[str, Sequence[ScoredTranslation]] | None = None,
    placeholders: tuple[int, int] | None = None,
    sections: Sequence[Section] = (),
    resamples: int = 1000,
) -> Report:
    """Build the whole report on a translator.

    Args:
        translations: the test sentences in their order, as the model translated them.
        title: what was done.
        subtitle: model and data in a few words.
        task: the task's name.
        language: of the outputs, such as "de"; decides how BLEU cuts words (see `CorpusCounts`).
        rivals: the same sentences as other systems translated them, by name.
        placeholders: how many placeholders of the sources, such as ``%(name)s``, stand in the outputs too, and out of
            how many.
        sections: more sections, put last.
        resamples: of the bootstrap.

    Returns:
        The report; without sentences it holds figures of 0 and says so.

    Raises:
        DataError: rivals that did not translate the same sentences, or more placeholders kept than there are.
        ConfigError: ``resamples`` below 1.
    """
    named = [("this model", translations), *(rivals or {}).items()]
    systems = measure_systems(named, language, resamples=resamples)
    model, *others = systems
    buckets = length_buckets(translations, model.counts)
    figures = score_figures(model.scores)
    if placeholders is not None and placeholders != (0, 0):
        figures.append(placeholder_figure(*placeholders))
    own = [Section(title="What is measured", blocks=_measured_blocks(model.scores))]
    if translations:
        own += [
            *([Section(title="Beside other systems", blocks=[comparison_table(systems)])] if others else []),
            Section(title="By source length", blocks=_length_blocks(buckets, model.scores)),
            *([Section(title="Word order", blocks=[order_table(systems)])] if model.word_order else []),
            Section(title="Copied, cut and repeated", blocks=_check_blocks(model.checks)),
            *_example_sections(translations, model.counts["chrf"].sentence_scores()),
        ]
    values = {
        **model.to_dict(),
        "language": language,
        "by_length": [asdict(bucket) for bucket in buckets],
        "placeholders": None if placeholders is None else dict(zip(("kept", "total"), placeholders, strict=True)),
        "rivals": {other.name: other.to_dict() for other in others},
    }
    return Report(
        title=title,
        subtitle=subtitle,
        task=task,
        lead=translation_lead(figures, model.checks),
        figures=figures,
        sections=[*own, *sections],
        metrics=values,
    )


def score_figures(scores: Mapping[Measure, CorpusScore]) -> list[Figure]:
    """Return the headline numbers with their intervals, each with sacrebleu's signature."""
    return [
        Figure(
            name=MEASURE_NAMES[measure],
            value=score.score,
            interval=score.interval,
            sample_size=score.num_sentences,
            sample_unit="sentences",
            note=score.signature,
        )
        for measure, score in scores.items()
    ]


def placeholder_figure(kept: int, total: int) -> Figure:
    """Return the share of placeholders that translations kept.

    Args:
        kept: placeholders of the sources that stand in the outputs too.
        total: placeholders of the sources, at least one.

    Raises:
        DataError: there are none, fewer than none were kept, or more than there are.
    """
    if not 0 <= kept <= total or not total:
        raise DataError(f"{kept} of {total} placeholders kept; give how many were kept, and out of how many")
    return Figure(
        name="Placeholders kept",
        value=kept / total,
        sample_size=total,
        sample_unit="placeholders",
        is_share=True,
    )


def translation_lead(figures: Sequence[Figure], checks: TranslationChecks) -> str:
    """Return the result in plain words."""
    if not checks.num_sentences:
        return "There were no sentences to translate."
    bleu, chrf, lower, *_ = figures
    interval = f" (95 % interval {bleu.interval_text})" if bleu.interval_text else ""
    wrong = {
        "copied from the source": checks.num_copied - checks.num_rightly_copied,
        "cut at the length limit": checks.num_cut,
        "empty": checks.num_empty,
        "repeating themselves": checks.num_repeating,
    }
    found = ", ".join(f"{count:,} {what}" for what, count in wrong.items() if count)
    return (
        f"BLEU {bleu.display}{interval} and chrF {chrf.display} on {checks.num_sentences:,} sentences, cased and "
        f"detokenised; BLEU {lower.display} without regard to case. "
        + (f"Among the outputs: {found}." if found else "No output is copied, cut, empty or repeats itself.")
    )


def length_buckets(
    translations: Sequence[ScoredTranslation], counts: Mapping[Measure, CorpusCounts]
) -> list[LengthBucket]:
    """Score the sentences by the length of their sources; every sentence falls into one bucket."""
    places: dict[str, list[int]] = {label: [] for label, _ in SOURCE_LENGTHS}
    for place, translation in enumerate(translations):
        length = len(translation.source.split())
        places[next(label for label, end in SOURCE_LENGTHS if length <= end or end < 0)].append(place)
    return [
        LengthBucket(
            label=label,
            bleu=counts["bleu"].score(found),
            chrf=counts["chrf"].score(found),
            num_sentences=len(found),
        )
        for label, found in places.items()
        if found
    ]


def _measured_blocks(scores: Mapping[Measure, CorpusScore]) -> list[Block]:
    text = (
        "Outputs and references are compared as plain text, as people read it. BLEU counts stretches of up to four "
        "words, cut by sacrebleu's tokenizer and with regard to case; chrF counts stretches of up to six characters, "
        "recall twice as much as precision. The lower-cased BLEU is there for older papers, which lower-cased and cut "
        "words by another tokenizer before they counted: near to it, but not the same. BLEU compares only where the "
        "signature is the same."
    )
    rows: list[list[Cell]] = [[MEASURE_NAMES[measure], score.signature] for measure, score in scores.items()]
    note = "Intervals: bootstrap over sentences (Koehn 2004)."
    return [TextBlock(text=text), Table(columns=["Figure", "sacrebleu signature"], rows=rows, note=note)]


def _length_blocks(buckets: Sequence[LengthBucket], scores: Mapping[Measure, CorpusScore]) -> list[Block]:
    rows: list[list[Cell]] = [
        [bucket.label, f"{bucket.bleu:.1f}", f"{bucket.chrf:.1f}", bucket.num_sentences] for bucket in buckets
    ]
    rows.append(["all", *(f"{scores[measure].score:.1f}" for measure in TESTED), scores["bleu"].num_sentences])
    title = "BLEU by words in the source"
    svg = plots.bar_plot(
        [bucket.label for bucket in buckets],
        [bucket.bleu for bucket in buckets],
        counts=[bucket.num_sentences for bucket in buckets],
        title=title,
        x_label="words in the source",
        y_label="BLEU",
        show="{:.1f}".format,
    )
    columns = ["Words in the source", "BLEU", "chrF", "Sentences"]
    return [Table(columns=columns, rows=rows), Plot(title=title, svg=svg)]


def _check_blocks(checks: TranslationChecks) -> list[Block]:
    counted = {
        "Equal to the source": checks.num_copied,
        "of which the reference is the same too": checks.num_rightly_copied,
        "Cut at the length limit": checks.num_cut,
        "Empty": checks.num_empty,
        "Fewer than half the words of the reference": checks.num_short,
        "A word twice in a row, or three words again, unlike the reference": checks.num_repeating,
    }
    rows: list[list[Cell]] = [
        [name, count, format_share(count / checks.num_sentences)] for name, count in counted.items()
    ]
    words: list[list[Cell]] = [
        ["All", checks.num_output_words, f"{format_share(checks.length_ratio)} of the references' number"],
        [
            "In the source and not in the reference",
            checks.num_copied_words,
            f"{format_share(checks.copied_word_share)} of all",
        ],
    ]
    note = "Without case and punctuation. A word of the source in the output may be a name or spelt alike."
    return [
        Table(columns=["Outputs", "Sentences", "Share"], rows=rows),
        Table(columns=["Words of the outputs", "Words", ""], rows=words, note=note),
    ]


def _example_sections(translations: Sequence[ScoredTranslation], scores: Sequence[float]) -> list[Section]:
    sections = [Section(title="Best and worst outputs", blocks=best_and_worst(translations, scores))]
    drawn = attention_plots(translations, scores)
    if drawn:
        text = (
            "Where the decoder looked in the source while it wrote each token: the darker, the more weight. A good, "
            "a middling and a poor output by chrF, of those short enough to be drawn."
        )
        sections.append(Section(title="Attention", blocks=[TextBlock(text=text), *drawn]))
    return sections

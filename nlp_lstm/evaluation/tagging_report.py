"""The report on a tagger: what can be said from words, gold and predicted labels alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from nlp_lstm.errors import DataError
from nlp_lstm.evaluation.label_blocks import (
    System,
    bucket_plot,
    compare_systems,
    confused_pairs,
    confusion_matrix_plot,
    macro_f1_figure,
    score_table,
    share_figure,
)
from nlp_lstm.evaluation.metrics import TaggingMetrics
from nlp_lstm.evaluation.report import (
    Block,
    Figure,
    MarkedLine,
    MarkedText,
    MarkedToken,
    Report,
    Section,
    Table,
    format_share,
)
from nlp_lstm.evaluation.significance import bootstrap_interval

Sentences = Sequence[Sequence[str]]
Scores = Sequence[Sequence[float]]

_CONTEXT = 12
"""Words shown on either side of an error."""


def tagging_report(
    metrics: TaggingMetrics,
    *,
    title: str,
    words: Sentences,
    gold: Sentences,
    predicted: Sentences,
    scores: Scores | None = None,
    task: str = "pos",
    subtitle: str = "",
    label_name: str = "tag",
    sections: Sequence[Section] = (),
) -> Report:
    """Build the whole report on a tagger.

    Args:
        metrics: from `tagging_metrics` on the same sentences.
        title: what was done.
        words: the words, one list per sentence.
        gold: their right labels.
        predicted: their predicted labels.
        scores: probability of each predicted label; without it the errors are listed as they come.
        task: the task's name.
        subtitle: model and data in a few words.
        label_name: what a label is called, such as "tag".
        sections: more sections, put after those on the labels.

    Returns:
        The report.
    """
    figures = tagging_figures(metrics)
    own = tagging_sections(metrics, words=words, gold=gold, predicted=predicted, scores=scores, label_name=label_name)
    return Report(
        title=title,
        subtitle=subtitle,
        task=task,
        lead=tagging_lead(metrics, figures),
        figures=figures,
        sections=[*own, *sections],
        metrics=metrics.to_dict(),
    )


def tagging_figures(metrics: TaggingMetrics) -> list[Figure]:
    """Return the headline numbers with their intervals."""
    correct, totals = metrics.correct_per_sentence, metrics.tokens_per_sentence
    whole = [float(right == total) for right, total in zip(correct, totals, strict=True) if total]
    figures = [
        share_figure("Accuracy", metrics.accuracy, bootstrap_interval(correct, totals), metrics.num_tokens, "tokens"),
        share_figure(
            "Sentences all right", metrics.sentence_accuracy, bootstrap_interval(whole), len(whole), "sentences"
        ),
    ]
    if metrics.unknown_accuracy is not None:
        interval = bootstrap_interval(metrics.unknown_correct_per_sentence, metrics.unknown_per_sentence)
        figures.append(share_figure("Unknown words", metrics.unknown_accuracy, interval, metrics.num_unknown, "tokens"))
    if metrics.span_scores is not None:
        spans = metrics.span_scores
        note = f"precision {format_share(spans.precision)}, recall {format_share(spans.recall)}"
        figures.append(share_figure("Span F1", spans.f1, None, spans.support, "spans", note))
    figures.append(macro_f1_figure(metrics.macro_f1, len(metrics.per_label)))
    return figures


def tagging_lead(metrics: TaggingMetrics, figures: Sequence[Figure]) -> str:
    """Return the result in plain words."""
    interval = next((figure.interval_text for figure in figures if figure.name == "Accuracy"), "")
    parts = [
        f"{format_share(metrics.accuracy, 2)} of {metrics.num_tokens:,} tokens right"
        + (f" (95 % interval {interval})" if interval else ""),
        f"{format_share(metrics.sentence_accuracy)} of {metrics.num_sentences:,} sentences without a single error",
    ]
    if metrics.unknown_accuracy is not None:
        parts.append(
            f"{format_share(metrics.unknown_accuracy)} of the {metrics.num_unknown:,} tokens whose word never "
            "occurs in the training data"
        )
    if metrics.span_scores is not None:
        parts.append(f"an F1 of {format_share(metrics.span_scores.f1)} on {metrics.span_scores.support:,} whole spans")
    return "; ".join(parts) + "."


def tagging_sections(
    metrics: TaggingMetrics,
    *,
    words: Sentences,
    gold: Sentences,
    predicted: Sentences,
    scores: Scores | None = None,
    label_name: str = "tag",
) -> list[Section]:
    """Return what can be said about a tagger: by label, confusions, by length and frequency, worst errors."""
    sections = [Section(title=f"By {label_name}", blocks=_label_blocks(metrics, label_name))]
    if metrics.accuracy < 1:
        errors = [(right, given, word) for _, _, word, right, given in _errors(words, gold, predicted)]
        pairs = confused_pairs(errors, (label for sentence in gold for label in sentence))
        sections.append(Section(title="Confusions", blocks=[pairs, confusion_matrix_plot(metrics.confusion)]))
    blocks: list[Block] = [bucket_plot(metrics.by_length, "Accuracy by sentence length", "tokens in the sentence")]
    if metrics.by_frequency:
        x_label = "occurrences in the training data"
        blocks.append(bucket_plot(metrics.by_frequency, "Accuracy by word frequency", x_label))
    sections.append(Section(title="Long sentences, rare words", blocks=blocks))
    if metrics.accuracy < 1:
        sections.append(Section(title="Worst errors", blocks=[worst_errors(words, gold, predicted, scores)]))
    return sections


def worst_errors(
    words: Sentences, gold: Sentences, predicted: Sentences, scores: Scores | None = None, limit: int = 20
) -> MarkedText:
    """Show in context the wrong labels that the model was surest of, or the first ones without scores."""
    errors = [(row, column) for row, column, *_ in _errors(words, gold, predicted)]
    if scores is not None:
        errors.sort(key=lambda place: -scores[place[0]][place[1]])
    lines = []
    for row, focus in errors[:limit]:
        start, end = max(0, focus - _CONTEXT), min(len(words[row]), focus + _CONTEXT + 1)
        tokens = [
            MarkedToken(
                text=words[row][column],
                is_wrong=gold[row][column] != predicted[row][column],
                is_focus=column == focus,
                tip=_tip(gold[row][column], predicted[row][column]),
            )
            for column in range(start, end)
        ]
        tokens = [MarkedToken(text="…")] * (start > 0) + tokens + [MarkedToken(text="…")] * (end < len(words[row]))
        remark = "" if scores is None else format_share(scores[row][focus])
        lines.append(MarkedLine(tokens=tokens, remark=remark))
    order = "Surest first; the model's probability stands before the text. " if scores is not None else ""
    note = f"{order}Marked: the word, then its gold and its predicted label. Other errors nearby are underlined."
    return MarkedText(lines=lines, note=note)


def comparison_table(rows: Sequence[tuple[str, TaggingMetrics]], *, resamples: int = 2000) -> Table:
    """Compare systems on the same sentences; each is tested against the first.

    Args:
        rows: name and metrics of each system.
        resamples: of the bootstrap.

    Returns:
        Accuracy with interval, unknown-word accuracy, and the paired bootstrap's difference and p-value.

    Raises:
        DataError: there is no system, or their sentences are not the same.
    """
    for name, metrics in rows:
        if metrics.tokens_per_sentence != rows[0][1].tokens_per_sentence:
            raise DataError(f'"{name}" and "{rows[0][0]}" were scored on different sentences; score both on the same')
    systems = [
        System(
            name=name,
            correct=metrics.correct_per_sentence,
            totals=metrics.tokens_per_sentence,
            cells=[format_share(metrics.unknown_accuracy)],
        )
        for name, metrics in rows
    ]
    return compare_systems(systems, unit="sentences", own_columns=["Unknown words"], resamples=resamples)


def _label_blocks(metrics: TaggingMetrics, label_name: str) -> list[Block]:
    blocks: list[Block] = []
    if metrics.span_scores is not None:
        note = (
            f"A span counts only when both ends and its type are right (seqeval, strict {metrics.span_scores.scheme})."
        )
        blocks.append(score_table(metrics.span_scores.per_type, "Whole spans", "Type", note))
    blocks.append(score_table(metrics.per_label, "Tokens", label_name.capitalize(), "Most frequent first."))
    return blocks


def _errors(words: Sentences, gold: Sentences, predicted: Sentences) -> Iterator[tuple[int, int, str, str, str]]:
    """Yield row, column, word, gold and predicted label of each wrong token."""
    for row, sentence in enumerate(zip(words, gold, predicted, strict=True)):
        for column, (word, right, given) in enumerate(zip(*sentence, strict=True)):
            if right != given:
                yield row, column, word, right, given


def _tip(gold: str, predicted: str) -> str:
    return "" if gold == predicted else f"{gold} → {predicted}"

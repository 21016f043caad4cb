"""The report on a classifier of texts: what can be said from texts, gold and predicted labels alone."""

from __future__ import annotations

from collections.abc import Sequence

from nlp_lstm.errors import DataError
from nlp_lstm.evaluation import plots
from nlp_lstm.evaluation.classification import NUM_BINS, Calibration, ClassificationMetrics
from nlp_lstm.evaluation.label_blocks import (
    System,
    bucket_plot,
    compare_systems,
    confused_pairs,
    confusion_matrix_plot,
    macro_f1_figure,
    percent_range,
    score_table,
    share_figure,
)
from nlp_lstm.evaluation.report import Block, Cell, Figure, Plot, Report, Section, Table, TextBlock, format_share
from nlp_lstm.evaluation.significance import bootstrap_interval

_SHOWN = 300
"""Characters of a text shown among the worst errors."""


def classification_report(
    metrics: ClassificationMetrics,
    *,
    title: str,
    task: str,
    texts: Sequence[str],
    gold: Sequence[str],
    predicted: Sequence[str],
    scores: Sequence[float] | None = None,
    subtitle: str = "",
    sections: Sequence[Section] = (),
) -> Report:
    """Build the whole report on a classifier.

    Args:
        metrics: from `classification_metrics` on the same texts.
        title: what was done.
        task: the task's name.
        texts: the texts.
        gold: their right labels.
        predicted: their predicted labels.
        scores: probability of each predicted label; without it the errors are listed as they come.
        subtitle: model and data in a few words.
        sections: more sections, put after those on the labels.

    Returns:
        The report.
    """
    figures = classification_figures(metrics)
    own = classification_sections(metrics, texts=texts, gold=gold, predicted=predicted, scores=scores)
    return Report(
        title=title,
        subtitle=subtitle,
        task=task,
        lead=classification_lead(metrics, figures),
        figures=figures,
        sections=[*own, *sections],
        metrics=metrics.to_dict(),
    )


def classification_figures(metrics: ClassificationMetrics) -> list[Figure]:
    """Return the headline numbers, the accuracy with its interval."""
    interval = bootstrap_interval(metrics.correct)
    figures = [
        share_figure("Accuracy", metrics.accuracy, interval, metrics.num_texts, "texts"),
        macro_f1_figure(metrics.macro_f1, len(metrics.per_label)),
    ]
    if metrics.calibration is not None:
        error = metrics.calibration.expected_calibration_error
        figures.append(Figure(name="Calibration error", value=error, decimals=3, note=f"expected, {NUM_BINS} bins"))
    return figures


def domain_figures(metrics: ClassificationMetrics) -> list[Figure]:
    """Return the accuracy on each part of the data with its interval, the largest part first."""
    figures = []
    for score in metrics.by_domain:
        pairs = zip(metrics.correct, metrics.domains, strict=True)
        interval = bootstrap_interval([is_right for is_right, domain in pairs if domain == score.domain])
        figures.append(share_figure(f"Accuracy {score.domain}", score.accuracy, interval, score.num_texts, "texts"))
    return figures


def classification_lead(metrics: ClassificationMetrics, figures: Sequence[Figure]) -> str:
    """Return the result in plain words."""
    interval = next((figure.interval_text for figure in figures if figure.name == "Accuracy"), "")
    commonest = max(metrics.per_label, key=lambda score: score.support)
    parts = [
        f"{format_share(metrics.accuracy, 2)} of {metrics.num_texts:,} texts right"
        + (f" (95 % interval {interval})" if interval else ""),
        f'always answering "{commonest.label}" would give {format_share(commonest.support / metrics.num_texts)}',
    ]
    if len(metrics.by_domain) > 1:
        best = max(metrics.by_domain, key=lambda score: score.accuracy)
        worst = min(metrics.by_domain, key=lambda score: score.accuracy)
        parts.append(
            f"best on {best.domain} ({format_share(best.accuracy)}), worst on {worst.domain} "
            f"({format_share(worst.accuracy)})"
        )
    if metrics.calibration is not None:
        parts.append(_confidence_in_words(metrics.calibration, metrics.accuracy))
    return "; ".join(parts) + "."


def classification_sections(
    metrics: ClassificationMetrics,
    *,
    texts: Sequence[str],
    gold: Sequence[str],
    predicted: Sequence[str],
    scores: Sequence[float] | None = None,
) -> list[Section]:
    """Return what can be said about a classifier: labels, confusions, domains, calibration, length, worst errors."""
    table = score_table(metrics.per_label, "Texts", "Label", "Most frequent first.")
    sections = [Section(title="By label", blocks=[table])]
    has_errors = not all(metrics.correct)
    if has_errors:
        errors = [(right, given, "") for right, given in zip(gold, predicted, strict=True) if right != given]
        pairs = confused_pairs(errors, gold, with_words=False)
        sections.append(Section(title="Confusions", blocks=[pairs, confusion_matrix_plot(metrics.confusion)]))
    if metrics.by_domain:
        sections.append(Section(title="By domain", blocks=[_domain_table(metrics)]))
    if metrics.calibration is not None:
        sections.append(_calibration_section(metrics.calibration, metrics.accuracy))
    plot = bucket_plot(metrics.by_length, "Accuracy by text length", "tokens in the text")
    sections.append(Section(title="Long texts", blocks=[plot]))
    if has_errors:
        sections.append(Section(title="Worst errors", blocks=[worst_texts(texts, gold, predicted, scores)]))
    return sections


def worst_texts(
    texts: Sequence[str],
    gold: Sequence[str],
    predicted: Sequence[str],
    scores: Sequence[float] | None = None,
    limit: int = 20,
) -> Table:
    """List the wrong texts that the model was surest of, or the first ones without scores."""
    wrong = [row for row, (right, given) in enumerate(zip(gold, predicted, strict=True)) if right != given]
    if scores is not None:
        wrong.sort(key=lambda row: -scores[row])
    rows: list[list[Cell]] = [[gold[row], predicted[row], _shown(texts[row])] for row in wrong[:limit]]
    columns = ["Gold", "Predicted", "Text"]
    if scores is None:
        return Table(columns=columns, rows=rows)
    rows = [[format_share(scores[place]), *row] for place, row in zip(wrong[:limit], rows, strict=True)]
    return Table(columns=["Score", *columns], rows=rows, note="The model's probability of its answer, surest first.")


def classification_comparison(rows: Sequence[tuple[str, ClassificationMetrics]], *, resamples: int = 2000) -> Table:
    """Compare systems on the same texts; each is tested against the first.

    Args:
        rows: name and metrics of each system.
        resamples: of the bootstrap.

    Returns:
        Accuracy with interval, macro F1, and the paired bootstrap's difference and p-value.

    Raises:
        DataError: there is no system, or their texts are not the same.
    """
    for name, metrics in rows:
        if _gold_counts(metrics) != _gold_counts(rows[0][1]):
            raise DataError(f'"{name}" and "{rows[0][0]}" were scored on different texts; score both on the same')
    systems = [
        System(name=name, correct=metrics.correct, cells=[format_share(metrics.macro_f1)]) for name, metrics in rows
    ]
    return compare_systems(systems, unit="texts", own_columns=["Macro F1"], resamples=resamples)


def _gold_counts(metrics: ClassificationMetrics) -> dict[str, int]:
    return {score.label: score.support for score in metrics.per_label if score.support}


def _domain_table(metrics: ClassificationMetrics) -> Table:
    has_scores = metrics.calibration is not None
    rows: list[list[Cell]] = []
    for score, figure in zip(metrics.by_domain, domain_figures(metrics), strict=True):
        interval = percent_range(*figure.interval) if figure.interval else None
        error = score.expected_calibration_error
        row: list[Cell] = [score.domain, format_share(score.accuracy, 2), interval, format_share(score.macro_f1)]
        rows.append([*row, *([None if error is None else f"{error:.3f}"] if has_scores else []), score.num_texts])
    errors = ["Calibration error"] if has_scores else []
    columns = ["Domain", "Accuracy", "95 % interval", "Macro F1", *errors, "Texts"]
    return Table(columns=columns, rows=rows, note="The largest first. Intervals: bootstrap over the domain's texts.")


def _calibration_section(calibration: Calibration, accuracy: float) -> Section:
    title = "Reliability diagram"
    svg = plots.reliability_plot(
        edges=[(one.lower, one.upper) for one in calibration.bins],
        confidences=[one.mean_confidence for one in calibration.bins],
        accuracies=[one.accuracy for one in calibration.bins],
        counts=[one.num_texts for one in calibration.bins],
        title=title,
    )
    note = (
        f"Texts in {NUM_BINS} groups by the model's confidence; bars that reach the dashed line are calibrated. The "
        "orange line is the share of the texts in each group (Guo et al. 2017)."
    )
    values: list[list[Cell]] = [
        ["Expected calibration error", f"{calibration.expected_calibration_error:.4f}"],
        ["Mean confidence", format_share(calibration.mean_confidence, 2)],
        ["Accuracy", format_share(accuracy, 2)],
        ["Brier score", f"{calibration.brier_score:.4f}"],
        ["Negative log-likelihood (nats per text)", f"{calibration.negative_log_likelihood:.4f}"],
    ]
    text = _confidence_in_words(calibration, accuracy)
    blocks: list[Block] = [
        TextBlock(text=text[0].upper() + text[1:] + "."),
        Table(columns=["", ""], rows=values),
        Plot(title=title, svg=svg, note=note),
    ]
    return Section(title="Calibration", blocks=blocks)


def _confidence_in_words(calibration: Calibration, accuracy: float) -> str:
    points = 100 * (calibration.mean_confidence - accuracy)
    side = "above" if points >= 0 else "below"
    return (
        f"the model's mean confidence is {format_share(calibration.mean_confidence)}, {abs(points):.1f} points {side} "
        f"its accuracy, with an expected calibration error of {calibration.expected_calibration_error:.3f}"
    )


def _shown(text: str) -> str:
    """The text on one line, cut to `_SHOWN` characters."""
    line = " ".join(text.split())
    return line if len(line) <= _SHOWN else line[: _SHOWN - 1].rstrip() + "…"

"""The report on answers for series, which ends in what may be concluded from them."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from nlp_lstm.evaluation.label_blocks import confusion_matrix_plot, score_table
from nlp_lstm.evaluation.label_scores import score_labels
from nlp_lstm.evaluation.report import Block, Cell, Figure, Report, Section, Table, TextBlock, format_share
from nlp_lstm.evaluation.series import MeasuredSystem, SeriesAnswers, chance_of, conclude, measure

MOST_SERIES = 30  # of which each has a row of its own


def series_report(
    found: SeriesAnswers,
    *,
    title: str,
    subtitle: str = "",
    task: str,
    item: str = "steps",
    how: str = "",
    direction: SeriesAnswers | None = None,
) -> Report:
    """Build the whole report.

    Args:
        found: what was asked and answered.
        title: what was done.
        subtitle: model and data in a few words.
        task: the task's name.
        item: what is answered for: steps, or series.
        how: what a block of the bootstrap is, as in "20 successive times".
        direction: of labels from the lowest numbers to the highest: the items of the two outer ones, and which of these
            two was answered. Whether a number will be large is one thing, whether it goes up or down another.
    """
    systems = measure(found)
    chance, what = chance_of(found), measure_name(found)
    figures = series_figures(found, systems[0], chance, item)
    conclusion = conclude(systems, chance, what)
    sections = (
        [Section(title="Beside simpler systems", blocks=[_comparison(systems, what, how)])] if found.rivals else []
    )
    sections += _label_sections(found) if found.are_labels else []
    direction_metrics = None
    if direction is not None:
        outer = f"{' or '.join(direction.labels)} alone"
        between = measure(direction)
        figure = series_figures(direction, between[0], 0.5, item)[0]
        figures.append(dataclasses.replace(figure, name=f"Balanced accuracy, {outer}"))
        explanation = TextBlock(
            text=f"{len(direction.gold):,} {item} are right with one of the two outer labels, "
            f"{' and '.join(direction.labels)}. Here each system has to choose between these two. A system that only "
            "knows when changes are large does no better than chance here."
        )
        sections.append(Section(title="Up or down", blocks=[explanation, _comparison(between, what, how)]))
        conclusion += f" And {outer}: {conclude(between, 0.5, what)}"
        if systems[0].interval[0] > chance and between[0].interval[0] <= 0.5 <= between[0].interval[1]:
            conclusion += " What it knows is when changes are large, not where they go."
        direction_metrics = _values(between)
    sections += _series_sections(found, what)
    sections.append(Section(title="What follows", blocks=[TextBlock(text=conclusion)]))
    metrics = {
        "measure": what,
        "chance": chance,
        "items": len(found.gold),
        "blocks": len(set(found.blocks)),
        "systems": _values(systems),
        "direction": direction_metrics,
        "conclusion": conclusion,
    }
    return Report(
        title=title, subtitle=subtitle, task=task, lead=conclusion, figures=figures, sections=sections, metrics=metrics
    )


def measure_name(found: SeriesAnswers) -> str:
    """Return the measure that decides."""
    return "balanced accuracy" if found.are_labels else "explained variance"


def series_figures(found: SeriesAnswers, own: MeasuredSystem, chance: float, item: str) -> list[Figure]:
    """Return the headline numbers."""
    name = measure_name(found).capitalize()
    figures = [
        Figure(
            name=name,
            value=own.score,
            interval=own.interval,
            sample_size=len(found.gold),
            sample_unit=item,
            note=f"chance is {format_share(chance)}",
            is_share=True,
            decimals=2,
        )
    ]
    if own.accuracy is not None:
        figures.append(Figure(name="Accuracy", value=own.accuracy, is_share=True, decimals=2))
    return figures


def _values(systems: Sequence[MeasuredSystem]) -> dict[str, dict[str, Any]]:
    return {
        system.name: {
            "score": system.score,
            "interval": list(system.interval),
            "accuracy": system.accuracy,
            "difference": None if system.against is None else system.against.difference,
            "difference_interval": None if system.against is None else list(system.against.interval),
            "p": None if system.against is None else system.against.p_value,
        }
        for system in systems
    }


def _comparison(systems: Sequence[MeasuredSystem], what: str, how: str) -> Table:
    rows: list[list[Cell]] = []
    for system in systems:
        low, high = (f"{100 * end:.2f}" for end in system.interval)
        difference = p_value = "–"
        if system.against is not None:
            ends = " to ".join(f"{100 * end:+.2f}" for end in system.against.interval)
            difference = f"{100 * system.against.difference:+.2f} ({ends})".replace("-", "−")
            p_value = "< 0.001" if system.against.p_value < 0.001 else f"{system.against.p_value:.3f}"
        accuracy = format_share(system.accuracy, 2)
        rows.append([system.name, format_share(system.score, 2), f"{low} to {high} %", accuracy, difference, p_value])
    first = systems[0].name
    return Table(
        columns=[
            "System",
            what.capitalize(),
            "95 % interval",
            "Accuracy",
            f"{first.capitalize()} minus it (points)",
            "p",
        ],
        rows=rows,
        note=f"Intervals and p-values: bootstrap over blocks{f' ({how})' if how else ''}, paired and two-sided.",
    )


def _label_sections(found: SeriesAnswers) -> list[Section]:
    scores, confusion = score_labels([str(label) for label in found.gold], [str(label) for label in found.answers])
    blocks: list[Block] = [
        score_table(scores, "By label", "Label", "Balanced accuracy is the mean of the recall."),
        confusion_matrix_plot(confusion),
    ]
    return [Section(title="Labels", blocks=blocks)]


def _series_sections(found: SeriesAnswers, what: str) -> list[Section]:
    """Say how each series does, where there are few of them with several items each."""
    names = list(dict.fromkeys(found.names))
    if not 1 < len(names) <= min(MOST_SERIES, len(found.names) // 2):
        return []
    rows: list[list[Cell]] = []
    for name in names:
        places = [number for number, other in enumerate(found.names) if other == name]
        part = SeriesAnswers(
            gold=[found.gold[place] for place in places],  # type: ignore[arg-type]
            answers=[found.answers[place] for place in places],  # type: ignore[arg-type]
            rivals={},
            blocks=[found.blocks[place] for place in places],
            names=[name] * len(places),
            labels=found.labels,
            mean=found.mean,
        )
        (own,) = measure(part)
        low, high = (f"{100 * end:.2f}" for end in own.interval)
        rows.append([name, len(places), format_share(own.score, 2), f"{low} to {high} %"])
    table = Table(columns=["Series", "Items", what.capitalize(), "95 % interval"], rows=rows)
    return [Section(title="By series", blocks=[table])]

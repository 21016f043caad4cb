"""The comparison as a report: what each system costs, and accuracy against speed, size and training time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from nlp_lstm.evaluation import plots
from nlp_lstm.evaluation.report import Block, Cell, Plot, Report, Section, Table


class Cost(NamedTuple):
    """What accuracy is set against.

    Args:
        label: with the unit.
        is_gain: whether more of it is better.
        of: returns a system's figure, or None where it is not known.
    """

    label: str
    is_gain: bool
    of: Callable[[Mapping[str, Any]], float | None]


COSTS = (
    Cost("words/s from raw text", True, lambda figures: figures["text_words_per_second"]),
    Cost("size, MB", False, lambda figures: figures["model"]["bytes"] / 1e6),
    Cost("training, minutes", False, lambda figures: figures["model"]["minutes"]),
)


def make_report(results: Mapping[str, Mapping[str, Any]]) -> Report:
    """Return the report on what `peers.py` has written into results.json."""
    sections = []
    for task, found in results.items():
        systems, options = found["systems"], found["options"]
        blocks: list[Block] = [figures_table(systems, options)]
        blocks += [pareto_plot(task, systems, cost) for cost in COSTS]
        sections.append(Section(title=task, blocks=blocks))
    return Report(
        title="Beside other libraries",
        task="peers",
        subtitle="each system in a process of its own, turn by turn; accuracy on test",
        figures=[],
        sections=sections,
        metrics=dict(results),
    )


def figures_table(systems: Mapping[str, Mapping[str, Any]], options: Mapping[str, str]) -> Table:
    """Show each system's figures."""
    rows: list[list[Cell]] = []
    for name, figures in systems.items():
        against, minutes = figures.get("ours_minus_it"), figures["model"]["minutes"]
        rows.append(
            [
                name,
                f"{figures['text_words_per_second']:,.0f}",
                f"{figures['ours_is_faster']:.2f}",
                f"{figures['p50']:.2f}",
                f"{100 * figures['accuracy']:.2f}",
                "{:.2f} to {:.2f}".format(*(100 * end for end in figures["interval"])),
                f"{100 * against['difference']:+.2f} (p = {against['p_value']:.4f})" if against else "–",
                f"{figures['model']['bytes'] / 1e6:.1f}",
                "–" if minutes is None else f"{minutes:.0f}",
            ]
        )
    columns = ["System", "Words/s", "Ours ×", "p50, ms", "Right, %", "95 % interval", "Ours − it", "MB", "Minutes"]
    note = (
        f"{options['threads']} thread(s), medians of {options['rounds']} turns, seeds {options['seeds']}. Right: mean "
        "over the seeds, bootstrap over sentences; p of the paired bootstrap, two-sided."
    )
    return Table(columns=columns, rows=rows, note=note)


def pareto_plot(task: str, systems: Mapping[str, Mapping[str, Any]], cost: Cost) -> Plot:
    """Draw accuracy against a cost, and say which systems no other beats in both."""
    points = {}
    for name, figures in systems.items():
        x = cost.of(figures)
        if x:
            points[name] = (x, 100 * float(figures["accuracy"]))
    best = pareto_front(points, is_gain=cost.is_gain)
    svg = plots.line_plot(
        {name: [point] for name, point in points.items()},
        title=f"{task}: accuracy and {cost.label}",
        x_label=cost.label,
        y_label="right, %",
        log_x=True,
    )
    return Plot(svg=svg, title=f"Accuracy and {cost.label}", note=f"No other is better in both: {', '.join(best)}.")


def pareto_front(points: Mapping[str, tuple[float, float]], *, is_gain: bool) -> list[str]:
    """Return the systems that no other beats: as good in cost and accuracy, and better in one of them.

    Args:
        points: cost and accuracy of each system.
        is_gain: whether more of the cost is better.
    """
    sign = 1 if is_gain else -1

    def beats(one: tuple[float, float], other: tuple[float, float]) -> bool:
        first, second = (sign * one[0], one[1]), (sign * other[0], other[1])
        return first != second and first[0] >= second[0] and first[1] >= second[1]

    return [name for name, point in points.items() if not any(beats(other, point) for other in points.values())]

"""Series on the page: a table from pasted text, an example that fits a model, and answers as a chart."""

from __future__ import annotations

import csv
import math
import random
from collections.abc import Mapping, Sequence
from typing import Any

from nlp_lstm.errors import DataError
from nlp_lstm.evaluation.drawing import INK, PALE, SOFT, Drawing
from nlp_lstm.evaluation.plots import COLOURS
from nlp_lstm.serving.page.markup import box, escape, note, picture, share, table
from nlp_lstm.serving.page.words import plain_label
from nlp_lstm.tasks.series_answers import SeriesFacts

SHOWN_STEPS = 300
EXAMPLE_STEPS = 40
_STEP, _HEIGHT, _LEFT, _TOP = 16, 170, 64, 12
_RATIO = "log-ratio/"


def read_table(text: str) -> dict[str, list[str]]:
    """Return the columns of a table that was pasted: a header, then a line a step, with commas, semicolons or tabs.

    Raises:
        DataError: it has no such form; names the line.
    """
    lines = [line for line in text.splitlines() if line.strip()]
    if not lines:
        return {}
    delimiter = max("\t;,", key=lines[0].count)
    try:
        rows = [[cell.strip() for cell in row] for row in csv.reader(lines, delimiter=delimiter)]
    except csv.Error as error:
        raise DataError(f"the table cannot be read ({error})") from error
    header, *rest = rows
    if len(set(header)) < len(header):
        raise DataError("line 1: two columns have the same name; each column needs its own")
    for number, row in enumerate(rest, start=2):
        if len(row) != len(header):
            raise DataError(f"line {number} has {len(row)} values, and the first line names {len(header)} columns")
    return {name: [row[place] for row in rest] for place, name in enumerate(header)}


def example_table(facts: SeriesFacts) -> str:
    """Return a table, or symbols, of the kind that a model has learnt, made up by chance.

    Args:
        facts: what training has fixed.
    """
    chance = random.Random(7)
    symbols = None if facts.symbols is None else facts.symbols.tokens[facts.symbols.num_specials :]
    if not facts.columns and symbols:
        return "".join(chance.choices(symbols, k=20)) if all(len(symbol) == 1 for symbol in symbols) else ""
    columns: dict[str, list[str]] = {}
    measures = facts.reading.numbers or dict.fromkeys(facts.columns, "value")
    means = dict(zip(facts.columns, zip(facts.means, facts.scales, strict=True), strict=True))
    for name, measure in measures.items():
        for further in (name, measure.removeprefix(_RATIO)) if measure.startswith(_RATIO) else (name,):
            mean, scale = means.get(name, (0.0, 1.0))
            value = 100.0
            column = columns.setdefault(further, [])
            while len(column) < EXAMPLE_STEPS:
                if measure == "value":
                    value = chance.gauss(mean, scale)
                else:
                    value = max(1.0, value * (1 + chance.gauss(0, 0.02)))
                column.append(f"{value:.4g}")
    if facts.reading.symbols and symbols:
        columns[facts.reading.symbols] = chance.choices(symbols, k=EXAMPLE_STEPS)
    rows = zip(*columns.values(), strict=True)
    return "\n".join([",".join(columns), *(",".join(row) for row in rows)])


def show_series(columns: Mapping[str, Sequence[str]], result: Any) -> str:
    """Show the answer to a series.

    Args:
        columns: those that were read; of symbols a column without name.
        result: the answer of a model.
    """
    if isinstance(result, dict):
        verdict = f'<p class="nl-verdict">{escape(plain_label(result["label"]))}</p>'
        return box(verdict, note(f"{share(result['score'])} sure, of the series as a whole."))
    if not result:
        return box(note("There are no steps in it."))
    name, numbers = _first_numbers(columns)
    parts: list[str] = []
    if "label" in result[0]:
        last = result[-1]
        parts.append(
            f'<p class="nl-lead">After the last step: <b>{escape(last["label"])}</b>, {share(last["score"])} sure.</p>'
        )
        labels = sorted({step["label"] for step in result})
        colours = {label: COLOURS[place % len(COLOURS)] for place, label in enumerate(labels)}
        parts.append(_legend(colours))
        marks = [colours[step["label"]] for step in result]
        tips = [f"{step['label']}, {share(step['score'])} sure" for step in result]
        rows = [[str(step["index"]), step["label"], share(step["score"])] for step in result]
        heads = ["Step", "Answer", "Sure"]
    else:
        parts.append(f'<p class="nl-lead">After the last step: <b>{result[-1]["value"]:.4g}</b> lies ahead.</p>')
        marks = [COLOURS[0]] * len(result)
        tips = [f"{step['value']:.4g}" for step in result]
        rows = [[str(step["index"]), f"{step['value']:.4g}"] for step in result]
        heads = ["Step", "Answer"]
        name, numbers = "what lies ahead", [step["value"] for step in result]
    if numbers is not None and len(numbers) == len(result):
        parts.append(picture(_chart(name, numbers, marks, tips)))
    else:
        symbols = next(iter(columns.values()), [])
        parts.append(_chips(symbols, marks, tips))
    if len(result) > SHOWN_STEPS:
        parts.append(note(f"The last {SHOWN_STEPS} of {len(result):,} steps are shown."))
    return box(*parts, table(heads, rows, "All answers as a table"))


def _first_numbers(columns: Mapping[str, Sequence[str]]) -> tuple[str, list[float] | None]:
    """Return the first column of numbers; None where there is none."""
    for name, column in columns.items():
        try:
            numbers = [float(value) for value in column]
        except ValueError:
            continue
        if all(map(math.isfinite, numbers)):
            return name, numbers
    return "", None


def _legend(colours: Mapping[str, str]) -> str:
    items = "".join(f'<li><i style="background:{colour}"></i>{escape(label)}</li>' for label, colour in colours.items())
    return f'<ul class="nl-legend">{items}</ul>'


def _chart(name: str, numbers: Sequence[float], marks: Sequence[str], tips: Sequence[str]) -> str:
    """Draw numbers as a line with a mark a step in the colour of its answer."""
    first = max(0, len(numbers) - SHOWN_STEPS)
    shown = numbers[first:]
    lowest, highest = min(shown), max(shown)
    span = (highest - lowest) or 1.0
    drawing = Drawing(name, f"{name}, with the answer at each step; last: {tips[-1]}")

    def y(value: float) -> float:
        return _TOP + (highest - value) / span * _HEIGHT

    right = _LEFT + _STEP * max(1, len(shown) - 1)
    for value in (lowest, (lowest + highest) / 2, highest):
        drawing.line([(_LEFT, y(value)), (right, y(value))], colour=PALE)
        drawing.text(_LEFT - 10, y(value) + 4, f"{value:.4g}", anchor="end", colour=SOFT)
    points = [(_LEFT + _STEP * place, y(value)) for place, value in enumerate(shown)]
    drawing.line(points, colour=SOFT)
    for (x, height), colour in zip(points, marks[first:], strict=True):
        drawing.circle(x, height, 4.5, fill=colour, stroke="white")
    for place, (x, _) in enumerate(points):
        if (first + place + 1) % 10 == 0:
            drawing.text(x, _TOP + _HEIGHT + 22, str(first + place + 1), colour=SOFT)
    drawing.text(_LEFT, _TOP + _HEIGHT + 40, f"{name}, step by step", anchor="start", colour=INK)
    return drawing.svg()


def _chips(symbols: Sequence[str], marks: Sequence[str], tips: Sequence[str]) -> str:
    """Return symbols, each in the colour of its answer."""
    first = max(0, len(marks) - SHOWN_STEPS)
    listed = list(symbols)[first:] if len(symbols) == len(marks) else [str(n + 1) for n in range(first, len(marks))]
    chips = "".join(
        f'<span class="nl-step" style="border-color:{colour}" title="{escape(tip)}">{escape(symbol)}</span>'
        for symbol, colour, tip in zip(listed, marks[first:], tips[first:], strict=True)
    )
    return f'<p class="nl-words">{chips}</p>'

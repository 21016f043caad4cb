"""Pictures of what a recurrent net remembers: the unfolded net of Graves' figure 4.1, and matrices of shades."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from nlp_lstm.evaluation.drawing import INK, PALE, SOFT, Drawing, shade

_STEP = 30
_LONGEST = 14  # characters of a token beside a picture


def unfolded_plot(tokens: Sequence[str], layers: Sequence[Sequence[float]], *, source: int, title: str) -> str:
    """Draw a net unfolded in time, each node the darker the more it feels one input (Graves 2012, figure 4.1).

    Args:
        tokens: what the net reads.
        layers: for each layer, from the first, the sensitivity of each step to that input.
        source: the place of the input.
        title: what the plot shows.

    Returns:
        One ``<svg>`` element.
    """
    shares = [[value / (max(values, default=0) or 1) for value in values] for values in layers]
    last = ", ".join(f"{token} {share:.2f}" for token, share in zip(tokens, shares[-1], strict=True))
    drawing = Drawing(
        title, f"{title}: share of the last layer's largest sensitivity to {tokens[source]} at each step: {last}"
    )
    left, top, radius = 70, 20, 9
    rows = [top + _STEP * 1.3 * number for number in range(len(layers) + 1)]  # the last row are the inputs
    columns = [left + _STEP * (number + 0.5) for number in range(len(tokens))]
    for upper, lower in pairwise(rows):
        for x in columns:
            drawing.line([(x, lower), (x, upper)], colour=PALE)
    for y in rows[:-1]:
        drawing.line([(columns[0], y), (columns[-1], y)], colour=PALE)
    for number, (y, values) in enumerate(zip(rows, reversed(shares), strict=False)):
        drawing.text(left - 12, y + 4, f"layer {len(layers) - number}", anchor="end", colour=SOFT)
        for x, share in zip(columns, values, strict=True):
            drawing.circle(x, y, radius, fill=shade(share, INK))
    drawing.text(left - 12, rows[-1] + 4, "inputs", anchor="end", colour=SOFT)
    for number, x in enumerate(columns):
        drawing.circle(x, rows[-1], radius, fill=INK if number == source else "white")
        _write_below(drawing, x, rows[-1] + radius + 9, tokens[number])
    return drawing.svg()


def shade_plot(
    rows: Sequence[str],
    columns: Sequence[str],
    values: Sequence[Sequence[float]],
    *,
    title: str,
    x_label: str = "",
    y_label: str = "",
    limit: float | None = None,
) -> str:
    """Draw a matrix of values, 0 or more, each cell the darker the larger.

    Args:
        rows: names of the rows.
        columns: names of the columns.
        values: `row column`.
        title: what the plot shows.
        x_label: what the columns are.
        y_label: what the rows are.
        limit: the value that is darkest; default the largest.

    Returns:
        One ``<svg>`` element.
    """
    darkest = limit or max((value for row in values for value in row), default=0) or 1
    drawing = Drawing(title, f"{title}: {len(rows)} rows by {len(columns)} columns, darkest {darkest:.3g}")
    names = [_short(name) for name in rows]
    left, top, side = 16 + 7 * max(map(len, names), default=0), 24 if y_label or x_label else 8, 18
    if y_label:
        drawing.text(4, 14, f"{y_label} (rows), {x_label} (columns)", anchor="start", colour=SOFT)
    for number, (name, row) in enumerate(zip(names, values, strict=True)):
        y = top + side * number
        drawing.text(left - 6, y + 13, name, anchor="end")
        for column, value in enumerate(row):
            if value / darkest >= 0.01:
                drawing.rectangle(left + side * column, y, side - 1, side - 1, fill=shade(value / darkest))
    bottom = top + side * len(rows)
    drawing.line([(left, top), (left, bottom), (left + side * len(columns), bottom)], colour=PALE)
    for column, name in enumerate(columns):
        _write_below(drawing, left + side * (column + 0.5), bottom + 8, name)
    return drawing.svg()


def _write_below(drawing: Drawing, x: float, y: float, token: str) -> None:
    """Write a token from a place downwards."""
    words = _short(token)
    drawing.text(x - 3, y, words, anchor="start", turn=90)
    drawing.line([(x, y + 6.6 * len(words))], colour="none")


def _short(token: str) -> str:
    text = "".join(character if character.isprintable() else "·" for character in token)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"

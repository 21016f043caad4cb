"""Small inline SVG plots: no window, no global state left behind, the same bytes for the same numbers.

Each function returns one `<svg>` element that can stand in an HTML page next to others: its ids carry a
prefix made from its content, its text stays text, and it holds no script and no outside reference.

Colours: Okabe and Ito, "Color Universal Design" (2008), which stays readable with colour-blindness.
"""

from __future__ import annotations

import hashlib
import html
import io
import re
import unicodedata
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

Points = Sequence[tuple[float, float]]

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#4D4D4D")
_LINE_STYLES = ("-", "--", "-.", ":")
_FAINT = 0.02
"""Weight of attention under which a cell stays white."""
_LONGEST_TICK = 18
"""Characters of a token beside an axis; longer ones are cut."""
_INK = "#333333"
_STYLE: Any = {
    "svg.fonttype": "none",
    "text.parse_math": False,  # a label such as "$" is a label
    "text.color": _INK,
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans", "Verdana", "sans-serif"],
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#8A8A8A",
    "axes.labelcolor": _INK,
    "axes.axisbelow": True,
    "axes.unicode_minus": True,
    "grid.color": "#E4E4E4",
    "grid.linewidth": 0.8,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "legend.frameon": False,
    "lines.linewidth": 1.6,
    "figure.facecolor": "white",
    "figure.constrained_layout.use": True,
}


def line_plot(
    series: Mapping[str, Points],
    *,
    title: str,
    x_label: str,
    y_label: str,
    second: Mapping[str, Points] | None = None,
    second_label: str = "",
    log_x: bool = False,
    log_y: bool = False,
) -> str:
    """Draw named series of (x, y) points, those of ``second`` against an axis of their own on the right.

    A series of one point is drawn as a dot. On a logarithmic axis the values must be above 0.
    """
    with _canvas(5.0, 2.9) as (figure, axes):
        handles = _draw_series(axes, series, offset=0)
        axes.set_xlabel(x_label)
        axes.set_ylabel(y_label)
        axes.grid(True, axis="y")
        if second:
            right = axes.twinx()
            handles += _draw_series(right, second, offset=len(series))
            right.set_ylabel(second_label)
            right.spines["right"].set_visible(True)
        axes.set_xscale("log" if log_x else "linear")
        axes.set_yscale("log" if log_y else "linear")
        axes.xaxis.set_major_formatter(_compact_number)
        axes.yaxis.set_major_formatter(_compact_number)
        if len(handles) > 1:
            figure.legend(handles, [*series, *(second or {})], loc="outside upper center", ncols=min(4, len(handles)))
        names = ", ".join([*series, *(second or {})])
        return _to_svg(figure, title, f"{title}: line plot of {names} against {x_label}")


def confusion_plot(
    labels: Sequence[str],
    matrix: Sequence[Sequence[int]],
    *,
    title: str,
    max_labels: int = 40,
    annotate_up_to: int = 20,
) -> str:
    """Draw a confusion matrix, rows gold and columns predicted, shaded by the share of the row.

    The shade follows the square root of the share, so that rare confusions can be seen. Counts are written
    into the cells when there are at most ``annotate_up_to`` labels. Beyond ``max_labels`` the labels with
    the fewest gold tokens are added up as "other".
    """
    import numpy as np

    names, counts = _merge_rare_labels(list(labels), np.asarray(matrix, dtype=np.int64), max_labels)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    size = len(names)
    side = min(8.6, max(3.0, 1.4 + 0.4 * size))
    with _canvas(side, side * 0.93) as (figure, axes):
        shades = np.ma.masked_equal(np.sqrt(shares), 0)
        axes.pcolormesh(shades, cmap="Blues", vmin=0, vmax=1.1, edgecolors="white", linewidth=0.5)
        axes.set_xlim(0, size)
        axes.set_ylim(size, 0)
        axes.set_aspect("equal")
        font_size = 9 if size <= 24 else 6.5
        axes.set_xticks(
            np.arange(size) + 0.5, names, rotation=90 if max(map(len, names)) > 2 else 0, fontsize=font_size
        )
        axes.set_yticks(np.arange(size) + 0.5, names, fontsize=font_size)
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
        axes.set_xlabel("predicted")
        axes.set_ylabel("gold")
        if size <= annotate_up_to:
            for row, column in np.argwhere(counts):
                colour = "white" if shares[row, column] > 0.35 else _INK
                text = f"{counts[row, column]}"
                where = (column + 0.5, row + 0.53)
                axes.text(*where, text, ha="center", va="center", color=colour, fontsize=7.5 - 0.8 * (len(text) > 3))
        return _to_svg(figure, title, f"{title}: confusion matrix of {size} labels, rows gold, columns predicted")


def attention_plot(
    source: Sequence[str],
    output: Sequence[str],
    weights: Sequence[Sequence[float]] | NDArray[np.floating[Any]],
    *,
    title: str,
) -> str:
    """Draw where a decoder looked: one row per output token, one column per source token, darker for more weight.

    Weights under 0.02 stay white, which keeps the picture small.

    Args:
        source: tokens of the source.
        output: tokens of the output.
        weights: `trg_time src_time`, each in [0, 1].
        title: what the plot shows, for screen readers.

    Returns:
        One ``<svg>`` element.
    """
    import numpy as np
    from matplotlib.collections import PolyCollection

    height, width = len(output), len(source)
    shades = np.asarray(weights, dtype=np.float64).reshape(height, width)
    columns, rows = [_tick_text(token) for token in source], [_tick_text(token) for token in output]
    with _canvas(max(2.4, 1.3 + 0.24 * width), max(2.2, 1.1 + 0.24 * height)) as (figure, axes):
        places = np.argwhere(shades >= _FAINT)  # a mesh would write every cell, the empty ones too
        squares = [[(x, y), (x + 1, y), (x + 1, y + 1), (x, y + 1)] for y, x in places]
        cells = PolyCollection(squares, array=shades[shades >= _FAINT], cmap="Blues", edgecolors="white", linewidth=0.5)
        cells.set_clim(0, 1)
        cells.set_clip_on(False)
        axes.add_collection(cells)
        axes.set_xlim(0, width or 1)
        axes.set_ylim(height or 1, 0)
        axes.set_aspect("equal")
        axes.set_xticks(np.arange(width) + 0.5, columns, rotation=90)
        axes.set_yticks(np.arange(height) + 0.5, rows)
        axes.xaxis.tick_top()
        axes.xaxis.set_label_position("top")
        axes.spines[:].set_visible(False)
        axes.tick_params(length=0)
        axes.set_xlabel("source")
        axes.set_ylabel("output")
        heaviest = [
            f"{row} ← {columns[int(weight.argmax())]}" for row, weight in zip(rows, shades, strict=True) if width
        ]
        description = f"{title}: attention, each output token with the source token of most weight: "
        return _to_svg(figure, title, description + ", ".join(heaviest))


def bar_plot(
    labels: Sequence[str],
    values: Sequence[float],
    *,
    title: str,
    y_label: str,
    x_label: str = "",
    counts: Sequence[int] | None = None,
    show: Callable[[float], str] = "{:.3g}".format,
    limit: float | None = None,
) -> str:
    """Draw one upright bar per label, its value above and its number of items (``counts``) below.

    Args:
        labels: under each bar.
        values: heights, 0 or more.
        title: what the plot shows, for screen readers.
        y_label: what the height means.
        x_label: what the labels are.
        counts: number of items behind each bar.
        show: writes a value above its bar.
        limit: upper end of the axis; left out, it follows the values.

    Returns:
        One ``<svg>`` element.
    """
    names = list(labels) if counts is None else [f"{a}\nn = {n:,}" for a, n in zip(labels, counts, strict=True)]
    with _canvas(max(3.6, 0.9 + 0.75 * len(names)), 3.0) as (figure, axes):
        bars = axes.bar(range(len(names)), list(values), color=COLOURS[0], width=0.66)
        axes.bar_label(bars, labels=[show(value) for value in values], padding=2)
        axes.set_xticks(range(len(names)), names)
        axes.set_xlabel(x_label)
        axes.set_ylabel(y_label)
        axes.set_ylim(0, 1.08 * (limit or max(values, default=0) or 1))
        axes.yaxis.set_major_formatter(_tick_writer(show))
        axes.tick_params(axis="x", length=0)
        axes.grid(True, axis="y")
        return _to_svg(figure, title, _describe_bars(title, labels, values, show))


def reliability_plot(
    *,
    edges: Sequence[tuple[float, float]],
    confidences: Sequence[float],
    accuracies: Sequence[float],
    counts: Sequence[int],
    title: str,
) -> str:
    """Draw a reliability diagram: one bar per bin as high as its accuracy, beside what its confidence promises.

    Args:
        edges: lower and upper end of each bin that holds texts, in [0, 1] and ascending.
        confidences: mean confidence in each bin; a dot.
        accuracies: accuracy in each bin; a bar.
        counts: texts in each bin; drawn as a line of shares of all.
        title: what the plot shows, for screen readers.

    Returns:
        One ``<svg>`` element.
    """
    middles = [(lower + upper) / 2 for lower, upper in edges]
    start = min(lower for lower, _ in edges)
    shares = [count / sum(counts) for count in counts]
    with _canvas(4.6, 3.9) as (figure, axes):
        widths = [0.94 * (upper - lower) for lower, upper in edges]
        bars = axes.bar(middles, list(accuracies), width=widths, color=COLOURS[0])
        (promise,) = axes.plot(middles, list(confidences), color=COLOURS[1], linestyle="", marker="D", markersize=4)
        (share,) = axes.plot(middles, shares, color=COLOURS[5], marker="o", markersize=3)
        (perfect,) = axes.plot([start, 1], [start, 1], color=_INK, linestyle="--", linewidth=1)
        axes.set_xlim(start, 1)
        axes.set_ylim(0, 1.02)
        axes.set_xlabel("confidence")
        axes.set_ylabel("share")
        axes.grid(True, axis="y")
        names = ["accuracy", "mean confidence", "share of texts", "perfect calibration"]
        handles: list[Any] = [bars, promise, share, perfect]
        figure.legend(handles, names, loc="outside upper center", ncols=2)
        pairs = zip(confidences, accuracies, strict=True)
        points = ", ".join(f"{confidence:.2f} {accuracy:.2f}" for confidence, accuracy in pairs)
        return _to_svg(figure, title, f"{title}: mean confidence and accuracy in {len(edges)} bins: {points}")


def prefix_ids(svg: str, prefix: str) -> str:
    """Put ``prefix`` before every id of an SVG and before every reference to one."""
    svg = re.sub(r'(\sid=")', rf"\g<1>{prefix}", svg)
    return re.sub(r'(href="#|url\(#|aria-labelledby=")', rf"\g<1>{prefix}", svg)


@contextmanager
def _canvas(width: float, height: float) -> Iterator[tuple[Figure, Axes]]:
    """Yield an empty figure (inches) under this module's style, without touching pyplot or its settings."""
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")  # the browser has the fonts, we only measure
        matplotlib.rcParams.update(_STYLE)
        figure = Figure(figsize=(width, height))
        yield figure, figure.subplots()


def _draw_series(axes: Axes, series: Mapping[str, Points], offset: int) -> list[Any]:
    handles = []
    for number, points in enumerate(series.values(), start=offset):
        x, y = [point[0] for point in points], [point[1] for point in points]
        colour, style = COLOURS[number % len(COLOURS)], _LINE_STYLES[number % len(_LINE_STYLES)]
        marker = "o" if len(points) <= 30 else ""
        handles += axes.plot(x, y, color=colour, linestyle=style, marker=marker, markersize=3.5)
    return handles


def _compact_number(value: float, position: float = 0) -> str:
    """Write 12,000 as 12k and 3,000,000 as 3M; ``position`` is what matplotlib passes and is not needed."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.4g}{letter}"
    return f"{value:.4g}"


def _tick_text(token: str) -> str:
    """The token as it can stand beside an axis: on one line, without control characters, and short."""
    text = "".join("·" if unicodedata.category(character) == "Cc" else character for character in token)
    return text if len(text) <= _LONGEST_TICK else text[: _LONGEST_TICK - 1] + "…"


def _tick_writer(show: Callable[[float], str]) -> Callable[[float, float], str]:
    """Write axis numbers as the values are written, without zeros after the point."""
    return lambda value, position: re.sub(r"\.0+(?!\d)", "", show(value))


def _describe_bars(title: str, labels: Sequence[str], values: Sequence[float], show: Callable[[float], str]) -> str:
    pairs = [f"{label} {show(value)}" for label, value in zip(labels, values, strict=True)]
    return f"{title}: " + ", ".join(pairs)


def _merge_rare_labels(labels: list[str], counts: Any, max_labels: int) -> tuple[list[str], Any]:
    """Add up the rows and columns of all but the ``max_labels`` most frequent gold labels."""
    import numpy as np

    if len(labels) <= max_labels:
        return labels, counts
    kept = np.sort(np.argsort(-counts.sum(axis=1), kind="stable")[: max_labels - 1])
    group = np.full(len(labels), len(kept))
    group[kept] = np.arange(len(kept))
    member = np.eye(len(kept) + 1, dtype=np.int64)[group]  # old label by new label
    return [*(labels[index] for index in kept), f"other ({len(labels) - len(kept)})"], member.T @ counts @ member


def _to_svg(figure: Figure, title: str, description: str) -> str:
    """Render the figure as one ``<svg>`` element with a text alternative and ids of its own."""
    import matplotlib
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    stream = io.StringIO()
    matplotlib.rcParams["svg.hashsalt"] = title  # inside the rc_context of `_canvas`
    FigureCanvasSVG(figure).print_svg(stream, metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    svg = stream.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<!--.*?-->|<metadata>.*?</metadata>|<style.*?</style>", "", svg, flags=re.DOTALL)
    svg = re.sub(r"\n\s*", "\n", svg).replace("<defs>\n</defs>\n", "").strip()
    root = f'role="img" aria-label="{html.escape(description)}" style="stroke-linejoin:round;stroke-linecap:butt"'
    svg = svg.replace("<svg ", f"<svg {root} ", 1)
    return prefix_ids(svg, f"p{hashlib.sha256((title + svg).encode()).hexdigest()[:8]}-")

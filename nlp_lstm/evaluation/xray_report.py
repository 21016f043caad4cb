"""The page of `nlp-lstm xray`: how far models look back in a text, their gates and their weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nlp_lstm.evaluation import plots
from nlp_lstm.evaluation.report import Block, Cell, Figure, Plot, Report, Section, Table, TextBlock
from nlp_lstm.evaluation.xray_plots import shade_plot, unfolded_plot

_OPEN, _SHUT = 0.9, 0.1


@dataclass(frozen=True, kw_only=True)
class GateView:
    """One gate of one cell of a net.

    Args:
        place: which cell, such as "layer 1, forward".
        name: of the gate.
        openings: for each token, the mean over units, in [0, 1].
        open_share: share of units and tokens at which the gate is open beyond 0.9.
        shut_share: share of units and tokens at which it is open less than 0.1.
    """

    place: str
    name: str
    openings: Sequence[float]
    open_share: float
    shut_share: float


@dataclass(frozen=True, kw_only=True)
class EncoderView:
    """What was measured of one recurrent stack on one text.

    Args:
        name: of the model, and of the stack where it has several.
        cell: its cell's registered name.
        tokens: what it read.
        layers: for each layer the sensitivity of each output (row) to each input (column).
        past: mean sensitivity to the input so many tokens before, from distance 0.
        future: the same to the input so many tokens after; None where it reads in one direction.
        half: the distance in tokens at which ``past`` halves; None where that is beyond the text.
        gates: the gates of its cells.
        radii: the spectral radius of each square block of its recurrent weights, by cell and block.
    """

    name: str
    cell: str
    tokens: Sequence[str]
    layers: Sequence[Sequence[Sequence[float]]]
    past: Sequence[float]
    future: Sequence[float] | None
    half: float | None
    gates: Sequence[GateView]
    radii: Mapping[str, Mapping[str, float]]

    @property
    def half_text(self) -> str:
        """The half distance as people read it."""
        return half_text(self.half, len(self.tokens))

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values, numbers with six digits."""
        return {
            "name": self.name,
            "cell": self.cell,
            "tokens": list(self.tokens),
            "half_distance": None if self.half is None else _round(self.half),
            "gradient_by_distance": _rounded(self.past),
            "gradient_by_distance_ahead": None if self.future is None else _rounded(self.future),
            "sensitivity": [[_rounded(row) for row in layer] for layer in self.layers],
            "gates": [
                {
                    "place": gate.place,
                    "name": gate.name,
                    "openings": _rounded(gate.openings),
                    "open_share": _round(gate.open_share),
                    "shut_share": _round(gate.shut_share),
                }
                for gate in self.gates
            ],
            "spectral_radius": {
                place: {block: _round(radius) for block, radius in blocks.items()}
                for place, blocks in self.radii.items()
            },
        }


def half_text(half: float | None, num_tokens: int) -> str:
    """Return a half distance as people read it."""
    return f"beyond {num_tokens - 1} tokens" if half is None else f"{half:.1f} tokens"


def xray_report(views: Sequence[EncoderView], *, note: str = "") -> Report:
    """Return the page on one or more recurrent stacks that read the same text.

    Args:
        views: what was measured, in the order of the page.
        note: a remark, such as that the text was cut.
    """
    figures = [
        Figure(
            name=f"{view.name}: sensitivity halves after",
            value=view.half if view.half is not None else float(len(view.tokens) - 1),
            text=view.half_text,
            note=f"cell {view.cell}",
        )
        for view in views
    ]
    lead = (
        "How strongly an output feels the input some tokens before: the norm of its gradient, a mean over the text. "
        "The figures are the distances at which that halves."
    )
    return Report(
        title="What a net remembers",
        task="xray",
        subtitle=" ".join(views[0].tokens)[:120],
        lead=" ".join(filter(None, (lead, note))),
        figures=figures,
        sections=[_distance_section(views), *(_view_section(view) for view in views)],
        metrics={"models": [view.to_dict() for view in views]},
    )


def unfolded(view: EncoderView) -> str:
    """Return the picture of a net unfolded in time, shaded by how strongly it feels the first input."""
    return unfolded_plot(
        view.tokens,
        [[row[0] for row in layer] for layer in view.layers],
        source=0,
        title=f"{view.name}: how strongly each step feels the first input",
    )


def _distance_section(views: Sequence[EncoderView]) -> Section:
    curves = {view.name: view.past for view in views}
    curves |= {f"{view.name}, ahead": view.future for view in views if view.future is not None}
    rows = [[view.name, view.cell, view.half_text, *_at(view.past, (0, 1, 2, 4, 8, 16))] for view in views]
    columns = ["Model", "Cell", "Halves after", *(f"k = {distance}" for distance in (0, 1, 2, 4, 8, 16))]
    return Section(
        title="Gradient by distance",
        blocks=[
            Plot(
                title="Norm of the gradient",
                svg=plots.line_plot(
                    {name: points for name, curve in curves.items() if (points := positive_points(curve))},
                    title="Norm of the gradient by distance",
                    x_label="distance (tokens)",
                    y_label="norm",
                    log_y=True,
                ),
                note="Of an output of the last layer to the input so many tokens before it; ahead: after it.",
            ),
            Table(columns=columns, rows=rows),
        ],
    )


def _view_section(view: EncoderView) -> Section:
    last = view.layers[-1]
    blocks: list[Block] = [
        Plot(
            title="The net unfolded",
            svg=unfolded(view),
            note="The darker a node, the more it feels the first input, beside the layer's darkest (Graves 2012, 4.1).",
        ),
        Plot(
            title="Who feels whom",
            svg=shade_plot(
                view.tokens,
                view.tokens,
                [[value**0.5 for value in row] for row in last],
                title=f"{view.name}: sensitivity of each output to each input",
                y_label="outputs",
                x_label="inputs",
            ),
            note="Sensitivity of the last layer's outputs to the inputs; the shade follows its square root.",
        ),
    ]
    if view.gates:
        names = [f"{_short_place(gate.place)} {gate.name.removesuffix(' gate')}" for gate in view.gates]
        blocks.append(
            Plot(
                title="Gates",
                svg=shade_plot(
                    names,
                    view.tokens,
                    [gate.openings for gate in view.gates],
                    title=f"{view.name}: how far the gates are open at each token",
                    limit=1,
                ),
                note="Mean opening over the units, white shut, dark open; the number is the layer, ← reads backward.",
            )
        )
        rows: list[list[Cell]] = [
            [gate.place, gate.name, sum(gate.openings) / len(gate.openings), gate.open_share, gate.shut_share]
            for gate in view.gates
        ]
        columns = ["Cell", "Gate", "Mean opening", f"Share over {_OPEN}", f"Share under {_SHUT}"]
        blocks.append(Table(columns=columns, rows=rows))
    else:
        blocks.append(TextBlock(text=f"The cell {view.cell} has no gates."))
    radii: list[list[Cell]] = [
        [place, block, radius] for place, found in view.radii.items() for block, radius in found.items()
    ]
    if radii:
        blocks.append(
            Table(
                title="Spectral radius of the recurrent weights",
                columns=["Cell", "Block", "Radius"],
                rows=radii,
                note="Below 1 the vanilla net forgets, above 1 its gradient may explode; a gated cell also has its "
                "cell state, which passes no matrix.",
            )
        )
    else:
        blocks.append(TextBlock(text="It has no square recurrent weights."))
    return Section(title=view.name, blocks=blocks)


def positive_points(curve: Sequence[float]) -> list[tuple[float, float]]:
    """Return a curve as points for a logarithmic axis, without what is 0."""
    return [(float(distance), value) for distance, value in enumerate(curve) if value > 0]


def _at(curve: Sequence[float], distances: Sequence[int]) -> list[float | None]:
    return [curve[distance] if distance < len(curve) else None for distance in distances]


def _short_place(place: str) -> str:
    """``1`` for "layer 1, forward", ``1←`` for "layer 1, backward"."""
    layer, _, direction = place.removeprefix("layer ").partition(", ")
    return layer + ("←" if direction == "backward" else "")


def _round(value: float) -> float:
    return float(f"{value:.6g}")


def _rounded(values: Sequence[float]) -> list[float]:
    return [_round(value) for value in values]

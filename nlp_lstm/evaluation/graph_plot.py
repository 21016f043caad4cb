"""Drawings of networks of single numbers as B-diagrams: each node with its derivative on the left, its value right."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

from nlp_lstm.evaluation.drawing import BACKWARD, FORWARD, INK, PALE, SOFT, Drawing
from nlp_lstm.evaluation.scalar_graph import Edge, Node, ScalarGraph

_COLUMN, _ROW = 92, 84
_WIDTH, _HEIGHT = 74, 34
_Point: TypeAlias = tuple[float, float]
_LEGEND = (
    (INK, "in a box: the operation, on its left the derivative of its function"),
    (FORWARD, "blue, forward: the value"),
    (BACKWARD, "red, backward: e, the derivative of the loss by the value; beside an edge its share"),
    (SOFT, "grey: weights; a broken edge hands nothing back"),
)


def graph_plot(graphs: Mapping[str, ScalarGraph], *, title: str) -> str:
    """Draw networks below each other, each under its name, values forward and derivatives backward.

    Args:
        graphs: by name; each has been run backward.
        title: what the plot shows.

    Returns:
        One ``<svg>`` element.
    """
    parts = [
        f"{name}: " + ", ".join(f"{node.name} {_show(node.value)}" for node in graph.nodes if node.name)
        for name, graph in graphs.items()
    ]
    drawing = Drawing(title, f"{title}, values forward and derivatives backward. " + "; ".join(parts))
    y = 20.0
    for name, graph in graphs.items():
        drawing.text(12, y, name, anchor="start", size=14)
        rows = [node.place[1] for node in graph.nodes]
        top = y + 36 - min(rows) * _ROW
        middles = {id(node): (60 + node.place[0] * _COLUMN, top + node.place[1] * _ROW) for node in graph.nodes}
        for node in graph.nodes:
            for edge in node.edges:
                drawing.line(_ends(edge, node, middles), has_head=True, is_dashed=edge.is_cut)
        for node in graph.nodes:
            _draw_node(drawing, node, *middles[id(node)])
        for node in graph.nodes:
            for edge in node.edges:
                _label_edge(drawing, edge, *_ends(edge, node, middles))
        y = top + max(rows) * _ROW + 56
        gradients = [f"∂L/∂{weight} = {_show(value)}" for weight, value in sorted(graph.weight_gradients.items())]
        for start in range(0, len(gradients), 4):
            drawing.text(12, y, " · ".join(gradients[start : start + 4]), anchor="start", size=10, colour=BACKWARD)
            y += 15
        y += 22
    for colour, words in _LEGEND:
        drawing.text(12, y, words, anchor="start", size=10, colour=colour)
        y += 15
    return drawing.svg()


def _draw_node(drawing: Drawing, node: Node, x: float, y: float) -> None:
    left, top = x - _WIDTH / 2, y - _HEIGHT / 2
    drawing.rectangle(left, top, _WIDTH, _HEIGHT, fill="white", stroke=INK)
    drawing.line([(x, top), (x, top + _HEIGHT)], colour=PALE)
    if node.operation != "input":
        drawing.text(left + _WIDTH * 0.25, top + 14, node.operation, size=12)
    if node.slope is not None:
        drawing.text(left + _WIDTH * 0.25, top + 28, f"′ {_show(node.slope)}", size=9)
    elif node.bias_names:
        drawing.text(left + _WIDTH * 0.25, top + 28, f"{node.bias:+.2g}", size=9, colour=SOFT)
    drawing.text(left + _WIDTH * 0.75, top + 13, node.name, size=10)
    drawing.text(left + _WIDTH * 0.75, top + 28, _show(node.value), size=10, colour=FORWARD)
    drawing.text(x, top + _HEIGHT + 12, f"e = {_show(node.gradient)}", size=10, colour=BACKWARD)


def _ends(edge: Edge, node: Node, middles: Mapping[int, tuple[float, float]]) -> tuple[_Point, _Point]:
    """Where an edge leaves its source and enters a node; several enter one below the other."""
    (x, y), (node_x, node_y) = middles[id(edge.source)], middles[id(node)]
    number = node.edges.index(edge)
    return (x + _WIDTH / 2, y), (node_x - _WIDTH / 2, node_y + 7 * (number - (len(node.edges) - 1) / 2))


def _label_edge(drawing: Drawing, edge: Edge, start: _Point, end: _Point) -> None:
    def write(share: float, lift: float, words: str, colour: str) -> None:
        x, y = start[0] + share * (end[0] - start[0]), start[1] + share * (end[1] - start[1])
        drawing.text(x, y + lift, words, size=9, colour=colour, has_halo=True)

    if edge.weight_name:
        write(0.6 if end[0] - start[0] < 2 * _COLUMN else 0.75, 10, _show(edge.weight), SOFT)
    write(0.32, -3, _show(edge.back), BACKWARD)


def _show(value: float) -> str:
    if abs(value) < 1e-12:
        return "0"
    return f"{value:.2f}" if abs(value) >= 0.1 else f"{value:.2g}"

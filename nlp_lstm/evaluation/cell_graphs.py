"""The cells of the lecture as networks of single numbers, unrolled over some steps: one unit, one input.

The loss is the last output, so 1 goes back from it. Weights have the names and the order of rows of the cells in
`nlp_lstm.nn.cells`, so that the drawn numbers can be checked against them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import cycle, islice

from nlp_lstm.errors import ConfigError
from nlp_lstm.evaluation.scalar_graph import Edge, Node, ScalarGraph

INPUTS = (1.0, -0.5, 0.8, 0.3)
"""What the examples read, again and again."""

STATE = {"h": 0.2, "c": -0.4}
"""Before the first step."""

Weights = Mapping[str, Sequence[float]]

WEIGHTS: dict[str, Weights] = {
    "rnn": {"weight_ih": (0.7,), "weight_hh": (0.9,), "bias": (0.1,)},
    "lstm": {"weight_ih": (0.6, 0.4, 0.9, 0.5), "weight_hh": (0.3, -0.2, 0.5, 0.4), "bias": (0.0, 1.0, 0.1, 0.2)},
    "peephole": {
        "weight_ih": (0.6, 0.4, 0.9, 0.5),
        "weight_hh": (0.3, -0.2, 0.5, 0.4),
        "bias": (0.0, 1.0, 0.1, 0.2),
        "input_peephole": (0.2,),
        "forget_peephole": (0.3,),
        "output_peephole": (-0.4,),
    },
    "gru": {
        "weight_ih": (0.5, 0.4, 0.9),
        "weight_hh": (0.6, -0.3, 0.7),
        "bias_ih": (0.1, 0.2, 0.0),
        "bias_hh": (0.0, 0.0, 0.1),
    },
}
"""Of the examples: one number for each row."""


def cell_graph(cell: str, *, steps: int = 2, window: int | None = None) -> ScalarGraph:
    """Return a cell's example, unrolled, with values and derivatives.

    Args:
        cell: its registered name; one of `WEIGHTS`.
        steps: how many.
        window: steps after which the gradient is cut (truncated backpropagation through time).

    Raises:
        ConfigError: the cell has no example.
    """
    if cell not in WEIGHTS:
        raise ConfigError(f'there is no diagram of the cell "{cell}"; there are those of {", ".join(sorted(WEIGHTS))}')
    graph, weights = ScalarGraph(), WEIGHTS[cell]
    width, step = _STEPS[cell]
    state = tuple(
        graph.input(f"{name}(0)", value, (0, 1 + number))
        for number, (name, value) in enumerate(islice(STATE.items(), _STATES[cell]))
    )
    for number, value in enumerate(islice(cycle(INPUTS), steps), start=1):
        is_cut = window is not None and number > 1 and (number - 1) % window == 0
        inputs = graph.input(f"x({number})", value, (0.3 + width * (number - 1), _X_ROW[cell]))
        state = step(graph, weights, inputs, state, is_cut, width * (number - 1), number)
    graph.run_backward()
    return graph


def rule_graphs() -> dict[str, ScalarGraph]:
    """Return a small example of each of the four rules, with values and derivatives."""
    examples: dict[str, ScalarGraph] = {}
    graph = examples["chain"] = ScalarGraph()
    u = graph.input("u", 0.5, (0, 0))
    v = graph.apply("tanh", "v", Edge(source=u), (1.5, 0))
    graph.apply("σ", "L", Edge(source=v), (3, 0))
    graph = examples["addition"] = ScalarGraph()
    u, w = graph.input("u", 0.5, (0, 0)), graph.input("w", -0.3, (0, 1))
    v = graph.sum("v", [Edge(source=u), Edge(source=w)], (1.5, 0.5))
    graph.apply("tanh", "L", Edge(source=v), (3, 0.5))
    graph = examples["weighted edge"] = ScalarGraph()
    u = graph.input("u", 0.5, (0, 0))
    v = graph.sum("v", [Edge(source=u, weight=0.8, weight_name="w")], (1.5, 0))
    graph.apply("tanh", "L", Edge(source=v), (3, 0))
    graph = examples["product"] = ScalarGraph()
    u, w = graph.input("u", 0.5, (0, 0)), graph.input("w", -0.3, (0, 1))
    v = graph.product("v", (Edge(source=u), Edge(source=w)), (1.5, 0.5))
    graph.apply("tanh", "L", Edge(source=v), (3, 0.5))
    for example in examples.values():
        example.run_backward()
    return examples


def _weighted(weights: Weights, name: str, row: int, source: Node, is_cut: bool = False) -> Edge:
    return Edge(source=source, weight=weights[name][row], weight_name=f"{name}[{row}]", is_cut=is_cut)


def _rnn(
    graph: ScalarGraph, weights: Weights, x: Node, state: tuple[Node, ...], is_cut: bool, left: float, number: int
) -> tuple[Node, ...]:
    (h,) = state
    edges = [_weighted(weights, "weight_ih", 0, x), _weighted(weights, "weight_hh", 0, h, is_cut)]
    a = graph.sum(f"a({number})", edges, (left + 1.4, 1), bias=weights["bias"][0], bias_names=("bias[0]",))
    return (graph.apply("tanh", f"h({number})", Edge(source=a), (left + 2.7, 1)),)


def _lstm(
    graph: ScalarGraph, weights: Weights, x: Node, state: tuple[Node, ...], is_cut: bool, left: float, number: int
) -> tuple[Node, ...]:
    h, c = state

    def gate(row: int, letter: str, function: str, place: tuple[float, float], looks_at: Edge | None = None) -> Node:
        edges = [_weighted(weights, "weight_ih", row, x), _weighted(weights, "weight_hh", row, h, is_cut)]
        bias, names = weights["bias"][row], (f"bias[{row}]",)
        edges += [looks_at] if looks_at else []
        a = graph.sum(f"a{letter}({number})", edges, place, bias=bias, bias_names=names)
        return graph.apply(function, f"{letter}({number})", Edge(source=a), (place[0] + 1.3, place[1]))

    def peephole(name: str, source: Node, cut: bool) -> Edge | None:
        return _weighted(weights, name, 0, source, cut) if name in weights else None

    f = gate(1, "f", "σ", (left + 2, 3), peephole("forget_peephole", c, is_cut))
    i = gate(0, "i", "σ", (left + 2, 4), peephole("input_peephole", c, is_cut))
    g = gate(2, "g", "tanh", (left + 2, 5))
    kept = graph.product("", (Edge(source=f), Edge(source=c, is_cut=is_cut)), (left + 4.6, 2))
    added = graph.product("", (Edge(source=i), Edge(source=g)), (left + 4.6, 4.5))
    new_c = graph.sum(f"c({number})", [Edge(source=kept), Edge(source=added)], (left + 5.9, 2))
    look = peephole("output_peephole", new_c, False)
    o = gate(3, "o", "σ", (left + (6.2 if look else 2), 6), look)
    squashed = graph.apply("tanh", "", Edge(source=new_c), (left + 7.3, 3))
    new_h = graph.product(f"h({number})", (Edge(source=o), Edge(source=squashed)), (left + 8.6, 1))
    return new_h, new_c


def _gru(
    graph: ScalarGraph, weights: Weights, x: Node, state: tuple[Node, ...], is_cut: bool, left: float, number: int
) -> tuple[Node, ...]:
    (h,) = state

    def gate(row: int, letter: str, place: tuple[float, float]) -> Node:
        edges = [_weighted(weights, "weight_ih", row, x), _weighted(weights, "weight_hh", row, h, is_cut)]
        bias = weights["bias_ih"][row] + weights["bias_hh"][row]
        names = (f"bias_ih[{row}]", f"bias_hh[{row}]")
        a = graph.sum(f"a{letter}({number})", edges, place, bias=bias, bias_names=names)
        return graph.apply("σ", f"{letter}({number})", Edge(source=a), (place[0] + 1.3, place[1]))

    r = gate(0, "r", (left + 2, 4))
    z = gate(1, "z", (left + 2, 2))
    q_edges = [_weighted(weights, "weight_hh", 2, h, is_cut)]
    q = graph.sum(f"q({number})", q_edges, (left + 2, 3), bias=weights["bias_hh"][2], bias_names=("bias_hh[2]",))
    reset = graph.product("", (Edge(source=r), Edge(source=q)), (left + 4.6, 4))
    n_edges = [_weighted(weights, "weight_ih", 2, x), Edge(source=reset)]
    a = graph.sum(f"an({number})", n_edges, (left + 5.9, 5), bias=weights["bias_ih"][2], bias_names=("bias_ih[2]",))
    n = graph.apply("tanh", f"n({number})", Edge(source=a), (left + 7.2, 5))
    rest = graph.apply("1−", "", Edge(source=z), (left + 5.9, 3))
    new = graph.product("", (Edge(source=rest), Edge(source=n)), (left + 7.9, 3.4))
    kept = graph.product("", (Edge(source=z), Edge(source=h, is_cut=is_cut)), (left + 5.2, 1))
    return (graph.sum(f"h({number})", [Edge(source=new), Edge(source=kept)], (left + 9.1, 1)),)


_Step = Callable[[ScalarGraph, Weights, Node, tuple[Node, ...], bool, float, int], tuple[Node, ...]]

_STEPS: dict[str, tuple[float, _Step]] = {
    "rnn": (2.7, _rnn),
    "lstm": (8.8, _lstm),
    "peephole": (8.8, _lstm),
    "gru": (9.2, _gru),
}
"""Columns of a step, and how it is drawn."""

_STATES = {"rnn": 1, "lstm": 2, "peephole": 2, "gru": 1}
_X_ROW = {"rnn": 2.2, "lstm": 7, "peephole": 7, "gru": 6}

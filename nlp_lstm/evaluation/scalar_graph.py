"""Networks of single numbers: values forward, derivatives backward, by four rules. For drawings, not for training.

For a value v write e_v = ∂L/∂v. Each node hands back along its edges what the rules of ``docs/bptt.md`` say:

    chain           v = f(u)         u gets e_v f′(u)
    addition        v = u + w        each gets e_v
    weighted edge   v = w u          u gets w e_v, and the weight gets u e_v
    product         v = u w          u gets w e_v, and w gets u e_v

and a node whose value goes to several places adds up what they hand back.

Source: Rojas, "Neural Networks: A Systematic Introduction", Springer 1996, chapter 7 (B-diagrams).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

FUNCTIONS: dict[str, tuple[Callable[[float], float], Callable[[float], float]]] = {
    "σ": (lambda u: 1 / (1 + math.exp(-u)), lambda v: v * (1 - v)),
    "tanh": (math.tanh, lambda v: 1 - v * v),
    "1−": (lambda u: 1 - u, lambda v: -1.0),
}
"""Each function, and its derivative as a function of its value."""


@dataclass(kw_only=True, eq=False)
class Edge:
    """A value on its way from one node into another.

    Args:
        source: the node that it comes from.
        weight: what it is multiplied by.
        weight_name: of a weight that is learnt; empty for a plain edge.
        is_cut: whether the gradient stops here, at the border of a truncated window.
        back: what flows back along it to the source.
    """

    source: Node
    weight: float = 1.0
    weight_name: str = ""
    is_cut: bool = False
    back: float = 0.0


@dataclass(kw_only=True, eq=False)
class Node:
    """A number that is computed.

    Args:
        name: such as ``h(1)``; empty for a node that only stands between others.
        operation: "input", "+", "×", or a name of `FUNCTIONS`.
        place: column and row in the drawing.
        edges: what it is computed from.
        value: forward.
        bias: what a sum adds besides.
        slope: of a function, its derivative here; None for others.
        gradient: the derivative of the loss by the value, backward.
    """

    name: str
    operation: str
    place: tuple[float, float]
    edges: list[Edge] = field(default_factory=list)
    value: float = 0.0
    bias: float = 0.0
    bias_names: tuple[str, ...] = ()
    slope: float | None = None
    gradient: float = 0.0


class ScalarGraph:
    """A network of numbers; nodes are computed as they are added."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self.weight_gradients: dict[str, float] = {}

    def input(self, name: str, value: float, place: tuple[float, float]) -> Node:
        """Add a number that is given."""
        return self._keep(Node(name=name, operation="input", place=place, value=value))

    def sum(
        self,
        name: str,
        edges: Sequence[Edge],
        place: tuple[float, float],
        *,
        bias: float = 0.0,
        bias_names: tuple[str, ...] = (),
    ) -> Node:
        """Add a sum of weighted edges."""
        value = bias + math.fsum(edge.weight * edge.source.value for edge in edges)
        node = Node(name=name, operation="+", place=place, edges=list(edges), value=value)
        node.bias, node.bias_names = bias, bias_names
        return self._keep(node)

    def product(self, name: str, edges: tuple[Edge, Edge], place: tuple[float, float]) -> Node:
        """Add a product of two computed values."""
        value = edges[0].source.value * edges[1].source.value
        return self._keep(Node(name=name, operation="×", place=place, edges=list(edges), value=value))

    def apply(self, function: str, name: str, edge: Edge, place: tuple[float, float]) -> Node:
        """Add a function of a value."""
        compute, derive = FUNCTIONS[function]
        value = compute(edge.source.value)
        node = Node(name=name, operation=function, place=place, edges=[edge], value=value, slope=derive(value))
        return self._keep(node)

    def run_backward(self, gradient: float = 1.0) -> None:
        """Send a gradient back from the last node to all others."""
        self.weight_gradients = {}
        for node in self.nodes:
            node.gradient = 0.0
        self.nodes[-1].gradient = gradient
        for node in reversed(self.nodes):
            for name in node.bias_names:
                self._learn(name, node.gradient)
            for number, edge in enumerate(node.edges):
                if node.operation == "+":
                    edge.back = node.gradient * edge.weight
                    if edge.weight_name:
                        self._learn(edge.weight_name, node.gradient * edge.source.value)
                elif node.operation == "×":
                    edge.back = node.gradient * node.edges[1 - number].source.value
                else:
                    edge.back = node.gradient * (node.slope or 0.0)
                edge.back *= not edge.is_cut
                edge.source.gradient += edge.back

    def _learn(self, name: str, gradient: float) -> None:
        self.weight_gradients[name] = self.weight_gradients.get(name, 0.0) + gradient

    def _keep(self, node: Node) -> Node:
        self.nodes.append(node)
        return node

"""How cells without an operator of ONNX are written: what they read of the inputs at once, and a step, run by Scan.

A step is a graph of its own inside the node. It is given the states before, what was read for it, and where rows still
have steps; a row that has ended keeps its state, and gives zeros.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np

from nlp_lstm.errors import ConfigError
from nlp_lstm.inference.graph import Graph
from nlp_lstm.nn.cells import (
    BlockLSTMCell,
    Cell,
    CoupledLSTMCell,
    LayerNormLSTMCell,
    LSTM1997Cell,
    MinGRUCell,
    MinLSTMCell,
    MogrifierLSTMCell,
    PeepholeLSTMCell,
    ReLURNNCell,
    SRUCell,
)
from nlp_lstm.nn.cells.blocks import BLOCK_SIZE

LAYER_NORM_EPSILON = 1e-5  # torch's own


class Steps(NamedTuple):
    """A cell in two parts.

    Args:
        read: of `time batch features`, what all steps need of their inputs.
        step: from what was read for a step and the states before it to the states after it; the hidden one first.
    """

    read: Callable[[str], str]
    step: Callable[[str, Sequence[str]], list[str]]


def scan_cells(
    graph: Graph, cells: Sequence[Cell], prefix: str, inputs: str, is_real: str, states: Sequence[str] | None
) -> tuple[str, list[str]]:
    """Add a layer whose cell is written as steps.

    Args:
        graph: what is added to.
        cells: one for each direction.
        prefix: of the layer's weights.
        inputs: `time batch features`.
        is_real: `time batch 1`; empty where all steps are.
        states: where it begins, each `direction batch hidden`; default zeros.

    Returns:
        Its outputs, `time direction batch hidden`, and its last states, each `direction batch hidden`.

    Raises:
        ConfigError: it is not known how to write the cell.
    """
    write = STEPS.get(type(cells[0]))
    if write is None:
        raise ConfigError(f"it is not known how to write the cell {type(cells[0]).__name__} as ONNX; use torch")
    num_rows = graph.apply("Shape", inputs, start=1, end=2)
    by_direction, finals = [], []
    for place, cell in enumerate(cells):
        read, step = write(graph, cell, f"{prefix}.{place}.")
        if states:
            begun = [graph.apply("Gather", state, graph.constant(place), axis=0) for state in states]
        else:
            shape = graph.apply("Concat", num_rows, graph.constant([cell.hidden_size]), axis=0)
            zeros = graph.apply("Expand", graph.constant([[0]], np.float32), shape)
            begun = [zeros] * num_states(cell)
        ended, outputs = graph.scan(
            partial(_masked, graph, step),
            begun,
            [read(inputs), *([is_real] if is_real else [])],
            is_backward=place == 1,
        )
        by_direction.append(graph.unsqueeze(outputs, 1))
        finals.append([graph.unsqueeze(state, 0) for state in ended])
    if len(cells) == 1:
        return by_direction[0], finals[0]
    joined = [graph.apply("Concat", *parts, axis=0) for parts in zip(*finals, strict=True)]
    return graph.apply("Concat", *by_direction, axis=1), joined


def num_states(cell: Cell) -> int:
    """Return how many tensors a cell's state is made of."""
    return len(cell.initial_state(next(cell.parameters()).new_zeros(1, 1, cell.input_size)))


def _masked(
    graph: Graph, step: Callable[[str, Sequence[str]], list[str]], before: Sequence[str], given: Sequence[str]
) -> tuple[list[str], str]:
    """The states after a step, and what it gives."""
    after = step(given[0], before)
    if len(given) == 1:
        return after, after[0]
    kept = [graph.apply("Where", given[1], new, old) for new, old in zip(after, before, strict=True)]
    return kept, graph.apply("Where", given[1], after[0], graph.constant(0, np.float32))


# ---- what steps have in common


def _split(graph: Graph, values: str, sizes: Sequence[int]) -> list[str]:
    return graph.apply_many("Split", [values, graph.constant(sizes)], len(sizes), axis=-1)


def _product(graph: Graph, name: str) -> Callable[[str], str]:
    """What multiplies by a matrix's transpose, which is made outside of the loop."""
    matrix = graph.apply("Transpose", graph.weight(name), perm=[1, 0])
    return lambda values: graph.apply("MatMul", values, matrix)


def _read_all(graph: Graph, prefix: str) -> Callable[[str], str]:
    return lambda inputs: graph.linear(inputs, prefix + "weight_ih", prefix + "bias")


def _sigmoid(graph: Graph, values: str) -> str:
    return graph.apply("Sigmoid", values)


def _tanh(graph: Graph, values: str) -> str:
    return graph.apply("Tanh", values)


def _shown(graph: Graph, output_gate: str, cell: str) -> str:
    return graph.apply("Mul", _sigmoid(graph, output_gate), _tanh(graph, cell))


def _moved(graph: Graph, start: str, end: str, share: str) -> str:
    """``end + share * (start - end)``."""
    return graph.apply("Add", end, graph.apply("Mul", share, graph.apply("Sub", start, end)))


def _looked(graph: Graph, gate: str, peephole: str, cell: str) -> str:
    return _sigmoid(graph, graph.apply("Add", gate, graph.apply("Mul", peephole, cell)))


def _updated(graph: Graph, cell: str, forget_gate: str, input_gate: str, candidate: str) -> str:
    """The cell state of an LSTM, of gates that are squashed."""
    kept = graph.apply("Mul", forget_gate, cell)
    return graph.apply("Add", kept, graph.apply("Mul", input_gate, candidate))


# ---- the cells


def relu_rnn(graph: Graph, cell: Cell, prefix: str) -> Steps:
    """The simple recurrent network with rectified units."""
    recur = _product(graph, prefix + "weight_hh")

    def step(read: str, states: Sequence[str]) -> list[str]:
        return [graph.apply("Relu", graph.apply("Add", read, recur(states[0])))]

    return Steps(_read_all(graph, prefix), step)


def lstm_1997(graph: Graph, cell: Cell, prefix: str) -> Steps:
    """The LSTM without a forget gate."""
    recur = _product(graph, prefix + "weight_hh")

    def step(read: str, states: Sequence[str]) -> list[str]:
        gates = _split(graph, graph.apply("Add", read, recur(states[0])), [cell.hidden_size] * 3)
        input_gate, candidate, output_gate = gates
        added = graph.apply("Mul", _sigmoid(graph, input_gate), _tanh(graph, candidate))
        new = graph.apply("Add", states[1], added)
        return [_shown(graph, output_gate, new), new]

    return Steps(_read_all(graph, prefix), step)


def cifg(graph: Graph, cell: Cell, prefix: str) -> Steps:
    """The LSTM with one gate for what comes in and what is kept."""
    recur = _product(graph, prefix + "weight_hh")

    def step(read: str, states: Sequence[str]) -> list[str]:
        gates = _split(graph, graph.apply("Add", read, recur(states[0])), [cell.hidden_size] * 3)
        forget_gate, candidate, output_gate = gates
        new = _moved(graph, states[1], _tanh(graph, candidate), _sigmoid(graph, forget_gate))
        return [_shown(graph, output_gate, new), new]

    return Steps(_read_all(graph, prefix), step)


def peephole(graph: Graph, cell: Cell, prefix: str) -> Steps:
    """The LSTM whose gates see the cell state."""
    recur = _product(graph, prefix + "weight_hh")
    by_input, by_forget, by_output = (
        graph.weight(f"{prefix}{name}_peephole") for name in ("input", "forget", "output")
    )

    def step(read: str, states: Sequence[str]) -> list[str]:
        gates = _split(graph, graph.apply("Add", read, recur(states[0])), [cell.hidden_size] * 4)
        input_gate, forget_gate, candidate, output_gate = gates
        input_gate = _looked(graph, input_gate, by_input, states[1])
        forget_gate = _looked(graph, forget_gate, by_forget, states[1])
        new = _updated(graph, states[1], forget_gate, input_gate, _tanh(graph, candidate))
        return [graph.apply("Mul", _looked(graph, output_gate, by_output, new), _tanh(graph, new)), new]

    return Steps(_read_all(graph, prefix), step)


def blocks(graph: Graph, cell: Cell, prefix: str) -> Steps:
    """The LSTM in blocks of several cells that share their gates."""
    assert isinstance(cell, BlockLSTMCell)
    recur = _product(graph, prefix + "weight_hh")
    missing = cell.num_blocks * BLOCK_SIZE - cell.hidden_size
    in_blocks = graph.constant([-1, cell.num_blocks, BLOCK_SIZE])
    last = graph.constant([-1])

    def by_block(values: str) -> str:
        padded = graph.apply("Pad", values, graph.constant([0, 0, 0, missing])) if missing else values
        return graph.apply("Reshape", padded, in_blocks)

    def by_cell(values: str) -> str:
        flat = graph.apply("Reshape", values, graph.constant([-1, cell.num_blocks * BLOCK_SIZE]))
        return _split(graph, flat, [cell.hidden_size, missing])[0] if missing else flat

    by_input, by_forget, by_output = (
        by_block(graph.unsqueeze(graph.weight(f"{prefix}{name}_peephole"), 0)) for name in ("input", "forget", "output")
    )

    def gate(values: str, peepholes: str, cells: str) -> str:
        seen = graph.apply("ReduceSum", graph.apply("Mul", peepholes, cells), last)
        return _sigmoid(graph, graph.apply("Add", graph.unsqueeze(values, -1), seen))

    def step(read: str, states: Sequence[str]) -> list[str]:
        gates = _split(graph, graph.apply("Add", read, recur(states[0])), cell.gate_sizes)
        input_gate, forget_gate, candidate, output_gate = gates
        before = by_block(states[1])
        forget, into = gate(forget_gate, by_forget, before), gate(input_gate, by_input, before)
        new = _updated(graph, before, forget, into, by_block(_tanh(graph, candidate)))
        hidden = graph.apply("Mul", gate(output_gate, by_output, new), _tanh(graph, new))
        return [by_cell(hidden), by_cell(new)]

    return Steps(_read_all(graph, prefix), step)


def layer_norm(graph: Graph, cell: Cell, prefix: str) -> Steps:
    """The LSTM with normalised sums."""
    recur = _product(graph, prefix + "weight_hh")
    names = ("input_gain", "hidden_gain", "cell_gain", "cell_bias", "bias")
    known = {name: graph.weight(prefix + name) for name in names}

    def normalise(values: str, *weights: str) -> str:
        used = [known[name] for name in weights]
        return graph.apply("LayerNormalization", values, *used, axis=-1, epsilon=LAYER_NORM_EPSILON)

    def read(inputs: str) -> str:
        return normalise(graph.linear(inputs, prefix + "weight_ih", None), "input_gain", "bias")

    def step(read: str, states: Sequence[str]) -> list[str]:
        sums = graph.apply("Add", read, normalise(recur(states[0]), "hidden_gain"))
        input_gate, forget_gate, candidate, output_gate = _split(graph, sums, [cell.hidden_size] * 4)
        squashed = _sigmoid(graph, forget_gate), _sigmoid(graph, input_gate), _tanh(graph, candidate)
        new = _updated(graph, states[1], *squashed)
        return [_shown(graph, output_gate, normalise(new, "cell_gain", "cell_bias")), new]

    return Steps(read, step)


def mogrifier(graph: Graph, cell: Cell, prefix: str) -> Steps:
    """The LSTM whose input and state first change each other."""
    rounds = [
        _product(graph, prefix + name) for name in ("weight_q1", "weight_r2", "weight_q3", "weight_r4", "weight_q5")
    ]
    recur, project = _product(graph, prefix + "weight_hh"), _product(graph, prefix + "weight_ih")
    two, bias = graph.constant(2, np.float32), graph.weight(prefix + "bias")

    def step(read: str, states: Sequence[str]) -> list[str]:
        hidden = states[0]
        for number, multiply in enumerate(rounds):
            seen, changed = (hidden, read) if number % 2 == 0 else (read, hidden)
            opened = graph.apply("Mul", two, _sigmoid(graph, multiply(seen)))
            changed = graph.apply("Mul", opened, changed)
            read, hidden = (changed, hidden) if number % 2 == 0 else (read, changed)
        sums = graph.apply("Add", graph.apply("Add", project(read), bias), recur(hidden))
        input_gate, forget_gate, candidate, output_gate = _split(graph, sums, [cell.hidden_size] * 4)
        squashed = _sigmoid(graph, forget_gate), _sigmoid(graph, input_gate), _tanh(graph, candidate)
        new = _updated(graph, states[1], *squashed)
        return [_shown(graph, output_gate, new), new]

    return Steps(lambda inputs: inputs, step)


def sru(graph: Graph, cell: Cell, prefix: str) -> Steps:
    """The simple recurrent unit."""
    by_forget, by_reset = (graph.weight(f"{prefix}{name}_peephole") for name in ("forget", "reset"))

    def read(inputs: str) -> str:
        size = cell.hidden_size
        zeros = graph.constant(np.zeros(2 * size), np.float32)
        bias = graph.apply("Concat", graph.weight(prefix + "bias"), zeros, axis=0)
        return graph.apply("Add", graph.linear(inputs, prefix + "weight_ih", None), bias)

    def step(read: str, states: Sequence[str]) -> list[str]:
        forget_gate, reset_gate, candidate, highway = _split(graph, read, [cell.hidden_size] * 4)
        reset_gate = _looked(graph, reset_gate, by_reset, states[1])
        new = _moved(graph, states[1], candidate, _looked(graph, forget_gate, by_forget, states[1]))
        return [_moved(graph, new, highway, reset_gate), new]

    return Steps(read, step)


def min_lstm(graph: Graph, cell: Cell, prefix: str) -> Steps:
    """The minimal LSTM: ``sigmoid(log f - log i)`` of two sigmoids, and minus log of a sigmoid is a softplus."""

    def step(read: str, states: Sequence[str]) -> list[str]:
        forget, into, candidate = _split(graph, read, [cell.hidden_size] * 3)
        minus_log_f, minus_log_i = (
            graph.apply("Softplus", graph.apply("Sub", graph.constant(0, np.float32), gate)) for gate in (forget, into)
        )
        kept = _sigmoid(graph, graph.apply("Sub", minus_log_i, minus_log_f))
        return [_moved(graph, states[0], candidate, kept)]

    return Steps(_read_all(graph, prefix), step)


def min_gru(graph: Graph, cell: Cell, prefix: str) -> Steps:
    """The minimal gated recurrent unit."""

    def step(read: str, states: Sequence[str]) -> list[str]:
        update, candidate = _split(graph, read, [cell.hidden_size] * 2)
        return [_moved(graph, candidate, states[0], _sigmoid(graph, update))]

    return Steps(_read_all(graph, prefix), step)


STEPS: dict[type[Cell], Callable[[Graph, Cell, str], Steps]] = {
    ReLURNNCell: relu_rnn,
    LSTM1997Cell: lstm_1997,
    CoupledLSTMCell: cifg,
    PeepholeLSTMCell: peephole,
    BlockLSTMCell: blocks,
    LayerNormLSTMCell: layer_norm,
    MogrifierLSTMCell: mogrifier,
    SRUCell: sru,
    MinLSTMCell: min_lstm,
    MinGRUCell: min_gru,
}

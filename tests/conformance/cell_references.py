"""One step of every cell for one row, written in numpy from its paper's equations, unit by unit.

``p`` holds the cell's parameters by name, ``x`` is the input vector and ``state`` the tensors of the state.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy
from numpy.typing import NDArray

Array = NDArray[numpy.float64]
Parameters = dict[str, Array]
Reference = Callable[[Parameters, Array, Sequence[Array]], list[Array]]


def sigmoid(value: float) -> float:
    return 1 / (1 + numpy.exp(-value))


def tanh(value: float) -> float:
    return numpy.tanh(value)


def dot(left: Array, right: Array) -> float:
    total = 0.0
    for one, other in zip(left, right, strict=True):
        total += one * other
    return total


def gate_sum(p: Parameters, row: int, x: Array, h: Array) -> float:
    """The sum that a gate squashes, for one of its units."""
    return dot(p["weight_ih"][row], x) + dot(p["weight_hh"][row], h) + p["bias"][row]


def elman(p: Parameters, x: Array, state: Sequence[Array]) -> list[Array]:
    """Elman 1990: h' = tanh(W x + U h + b)."""
    (h,) = state
    return [numpy.array([tanh(gate_sum(p, j, x, h)) for j in range(len(h))])]


def rectified(p: Parameters, x: Array, state: Sequence[Array]) -> list[Array]:
    """Le, Jaitly and Hinton 2015: h' = max(0, W x + U h + b)."""
    (h,) = state
    return [numpy.array([max(0.0, gate_sum(p, j, x, h)) for j in range(len(h))])]


def lstm_1997(p: Parameters, x: Array, state: Sequence[Array]) -> list[Array]:
    """Hochreiter and Schmidhuber 1997: s' = s + y_in g(net_c), y = y_out h(s'); order input, candidate, output."""
    h, c = state
    n = len(h)
    new_h, new_c = numpy.zeros(n), numpy.zeros(n)
    for j in range(n):
        i, g, o = (gate_sum(p, gate * n + j, x, h) for gate in range(3))
        new_c[j] = c[j] + sigmoid(i) * tanh(g)
        new_h[j] = sigmoid(o) * tanh(new_c[j])
    return [new_h, new_c]


def lstm(p: Parameters, x: Array, state: Sequence[Array]) -> list[Array]:
    """Gers, Schmidhuber and Cummins 2000; order input, forget, candidate, output."""
    h, c = state
    n = len(h)
    new_h, new_c = numpy.zeros(n), numpy.zeros(n)
    for j in range(n):
        i, f, g, o = (gate_sum(p, gate * n + j, x, h) for gate in range(4))
        new_c[j] = sigmoid(f) * c[j] + sigmoid(i) * tanh(g)
        new_h[j] = sigmoid(o) * tanh(new_c[j])
    return [new_h, new_c]


def peephole(p: Parameters, x: Array, state: Sequence[Array]) -> list[Array]:
    """Gers, Schraudolph and Schmidhuber 2002; order input, forget, candidate, output."""
    h, c = state
    n = len(h)
    new_h, new_c = numpy.zeros(n), numpy.zeros(n)
    for j in range(n):
        i, f, g, o = (gate_sum(p, gate * n + j, x, h) for gate in range(4))
        i += p["input_peephole"][j] * c[j]
        f += p["forget_peephole"][j] * c[j]
        new_c[j] = sigmoid(f) * c[j] + sigmoid(i) * tanh(g)
        o += p["output_peephole"][j] * new_c[j]
        new_h[j] = sigmoid(o) * tanh(new_c[j])
    return [new_h, new_c]


def blocks(p: Parameters, x: Array, state: Sequence[Array]) -> list[Array]:
    """Graves 2012, equations 4.2 to 4.10, blocks of four cells; order input, forget, candidate, output."""
    h, c = state
    n, size = len(h), 4
    blocks = (n + size - 1) // size
    new_h, new_c = numpy.zeros(n), numpy.zeros(n)
    for block in range(blocks):
        members = range(block * size, min(n, (block + 1) * size))
        i = gate_sum(p, block, x, h) + sum(p["input_peephole"][j] * c[j] for j in members)
        f = gate_sum(p, blocks + block, x, h) + sum(p["forget_peephole"][j] * c[j] for j in members)
        for j in members:
            new_c[j] = sigmoid(f) * c[j] + sigmoid(i) * tanh(gate_sum(p, 2 * blocks + j, x, h))
        o = gate_sum(p, 2 * blocks + n + block, x, h) + sum(p["output_peephole"][j] * new_c[j] for j in members)
        for j in members:
            new_h[j] = sigmoid(o) * tanh(new_c[j])
    return [new_h, new_c]


def cifg(p: Parameters, x: Array, state: Sequence[Array]) -> list[Array]:
    """Greff et al. 2017, coupled gates, no peepholes: i = 1 - f; order forget, candidate, output."""
    h, c = state
    n = len(h)
    new_h, new_c = numpy.zeros(n), numpy.zeros(n)
    for j in range(n):
        f, g, o = (gate_sum(p, gate * n + j, x, h) for gate in range(3))
        new_c[j] = sigmoid(f) * c[j] + (1 - sigmoid(f)) * tanh(g)
        new_h[j] = sigmoid(o) * tanh(new_c[j])
    return [new_h, new_c]


def gru(p: Parameters, x: Array, state: Sequence[Array]) -> list[Array]:
    """Cho et al. 2014, equations 5 to 8, the reset gate on the product as torch has it; order reset, update, new."""
    (h,) = state
    n = len(h)
    new_h = numpy.zeros(n)
    for j in range(n):
        w = [dot(p["weight_ih"][gate * n + j], x) + p["bias_ih"][gate * n + j] for gate in range(3)]
        u = [dot(p["weight_hh"][gate * n + j], h) + p["bias_hh"][gate * n + j] for gate in range(3)]
        r, z = sigmoid(w[0] + u[0]), sigmoid(w[1] + u[1])
        new_h[j] = z * h[j] + (1 - z) * tanh(w[2] + r * u[2])
    return [new_h]


def layer_norm(values: Array) -> Array:
    """Ba, Kiros and Hinton 2016, equation 4, with the small number that keeps the variance from zero."""
    mean = sum(values) / len(values)
    variance = sum((value - mean) ** 2 for value in values) / len(values)
    return numpy.array([(value - mean) / numpy.sqrt(variance + 1e-5) for value in values])


def layernorm(p: Parameters, x: Array, state: Sequence[Array]) -> list[Array]:
    """Ba, Kiros and Hinton 2016, equations 20 to 22; order input, forget, candidate, output."""
    h, c = state
    n = len(h)
    from_input = layer_norm(numpy.array([dot(row, x) for row in p["weight_ih"]]))
    from_hidden = layer_norm(numpy.array([dot(row, h) for row in p["weight_hh"]]))
    sums = p["input_gain"] * from_input + p["hidden_gain"] * from_hidden + p["bias"]
    new_c = numpy.array([sigmoid(sums[n + j]) * c[j] + sigmoid(sums[j]) * tanh(sums[2 * n + j]) for j in range(n)])
    seen = p["cell_gain"] * layer_norm(new_c) + p["cell_bias"]
    return [numpy.array([sigmoid(sums[3 * n + j]) * tanh(seen[j]) for j in range(n)]), new_c]


def mogrifier(p: Parameters, x: Array, state: Sequence[Array]) -> list[Array]:
    """Melis, Kočiský and Blunsom 2020, equations 1 and 2, five rounds, then the LSTM."""
    h, c = state
    for number in range(1, 6):
        if number % 2:
            q = p[f"weight_q{number}"]
            x = numpy.array([2 * sigmoid(dot(q[j], h)) * x[j] for j in range(len(x))])
        else:
            r = p[f"weight_r{number}"]
            h = numpy.array([2 * sigmoid(dot(r[j], x)) * h[j] for j in range(len(h))])
    return lstm(p, x, [h, c])


def sru(p: Parameters, x: Array, state: Sequence[Array]) -> list[Array]:
    """Lei et al. 2018, equations 1 to 4, a matrix on the highway; order forget, reset, candidate, highway."""
    _, c = state
    n = len(c)
    new_h, new_c = numpy.zeros(n), numpy.zeros(n)
    for j in range(n):
        f, r, candidate, highway = (dot(p["weight_ih"][part * n + j], x) for part in range(4))
        f = sigmoid(f + p["forget_peephole"][j] * c[j] + p["bias"][j])
        r = sigmoid(r + p["reset_peephole"][j] * c[j] + p["bias"][n + j])
        new_c[j] = f * c[j] + (1 - f) * candidate
        new_h[j] = r * new_c[j] + (1 - r) * highway
    return [new_h, new_c]


def mingru(p: Parameters, x: Array, state: Sequence[Array]) -> list[Array]:
    """Feng et al. 2024, section 3.1; order update, candidate."""
    (h,) = state
    n = len(h)
    new_h = numpy.zeros(n)
    for j in range(n):
        z, candidate = (dot(p["weight_ih"][part * n + j], x) + p["bias"][part * n + j] for part in range(2))
        new_h[j] = (1 - sigmoid(z)) * h[j] + sigmoid(z) * candidate
    return [new_h]


def minlstm(p: Parameters, x: Array, state: Sequence[Array]) -> list[Array]:
    """Feng et al. 2024, section 3.2; order forget, input, candidate."""
    (h,) = state
    n = len(h)
    new_h = numpy.zeros(n)
    for j in range(n):
        f, i, candidate = (dot(p["weight_ih"][part * n + j], x) + p["bias"][part * n + j] for part in range(3))
        f, i = sigmoid(f), sigmoid(i)
        new_h[j] = f / (f + i) * h[j] + i / (f + i) * candidate
    return [new_h]


REFERENCES: dict[str, Reference] = {
    "blocks": blocks,
    "cifg": cifg,
    "gru": gru,
    "layernorm": layernorm,
    "lstm": lstm,
    "lstm-1997": lstm_1997,
    "mingru": mingru,
    "minlstm": minlstm,
    "mogrifier": mogrifier,
    "peephole": peephole,
    "rnn": elman,
    "rnn-relu": rectified,
    "sru": sru,
}

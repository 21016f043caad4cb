"""A model's graph run in numpy, and its LSTMs in the compiled kernel.

The graph is the one that ONNX Runtime reads; see `nlp_lstm.inference.graph`. What does not depend on inputs is computed
once. Each operator is as the ONNX standard says, as far as the exporter uses it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy import ndarray

from nlp_lstm.data.words import RowArrays
from nlp_lstm.inference.checks import CheckedGraph, Node
from nlp_lstm.inference.kernel import Kernel, PackedDirection, PackedProduct
from nlp_lstm.inference.word_rows import FoundRows, WordRows, find_word_part
from nlp_lstm.tasks.predictor import Arrays

DTYPES = {1: np.float32, 2: np.uint8, 3: np.int8, 6: np.int32, 7: np.int64, 9: np.bool_, 10: np.float16}
Values = Sequence[ndarray]
Attributes = Mapping[str, Any]


class Interpreter:
    """A network, ready to run.

    Args:
        graph: its nodes and constants.
        weights: the tensors of the weights file that it reads.
        kernel: runs its LSTMs.
        is_int8: whether their products are of int8 numbers.
        num_threads: how many it may take.

    Raises:
        KeyError: it has an operator that is not known here.
        ValueError, IndexError, TypeError: its shapes do not fit.
    """

    def __init__(
        self, graph: CheckedGraph, weights: Arrays, kernel: Kernel, *, is_int8: bool = False, num_threads: int = 1
    ) -> None:
        self._kernel = kernel
        self._num_threads = num_threads
        self._outputs = graph.outputs
        self._defaults = {name: value for name, value in graph.constants.items() if name in graph.inputs}
        known: dict[str, ndarray] = {**weights, **graph.constants}
        known = {name: value for name, value in known.items() if name not in self._defaults}
        self._nodes: list[Node] = []
        self._layers: dict[str, list[PackedDirection]] = {}
        self._products: dict[str, PackedProduct] = {}
        for node in graph.nodes:
            used = [known.get(name) for name in node.inputs]
            if node.operator == "LSTM":
                self._layers[node.outputs[0]] = self._pack(node, used[1:4], is_int8)
                self._nodes.append(node)
            elif all(value is not None for value in used):
                known.update(zip(node.outputs, _apply(node, used), strict=True))  # type: ignore[arg-type]
            else:
                self._nodes.append(node)
                if node.operator == "MatMul" and used[1] is not None and used[1].ndim == 2:
                    self._products[node.outputs[0]] = kernel.pack_product(used[1].astype(np.float32))
        self._tables = self._fuse_tables()
        read = {name for node in self._nodes for name in self._read_when_run(node)} | set(self._outputs)
        self._known = {name: value for name, value in known.items() if name in read}
        self._word_part = find_word_part(self._nodes, self._read_when_run, self._known, self._outputs)
        self._word_rows = WordRows()
        self._inputs = set(graph.inputs)
        self._first_layer = ""  # the layer that alone reads what is made of words, by the name of its outputs
        if part := self._word_part:
            self._nodes = part.rest
            readers = [node for node in self._nodes if part.output in self._read_when_run(node)]
            is_read_by_one = len(readers) == 1 and part.output not in self._outputs
            if is_read_by_one and self._tables.get(readers[0].inputs[0], ("", ""))[0] == part.output:
                self._first_layer = readers[0].outputs[0]

    def run(self, arrays: Arrays) -> Arrays:
        """Return the network's outputs.

        Args:
            arrays: its inputs; others are not looked at.

        Raises:
            KeyError: one is missing.
            ValueError, IndexError, TypeError: they do not fit.
        """
        given = dict(self._defaults)
        part, known = self._word_part, None
        if part and isinstance(arrays, RowArrays):
            given |= {"index": arrays.index, "lengths": arrays.lengths}
            known = self._word_rows.find(arrays, self._make_word_rows)
            if not self._first_layer:
                given[part.output] = known.rows()
        else:
            given |= {name: arrays[name] for name in self._inputs if name in arrays}
            if part:
                given[part.output] = self._run_nodes(part.nodes, given)[part.output]
        values = self._run_nodes(self._nodes, given, known if self._first_layer else None)
        return {name: values[name] for name in self._outputs}

    def _make_word_rows(self, words: Arrays) -> ndarray:
        """Return what is remembered of words, from their arrays."""
        part = self._word_part
        if part is None:
            raise ValueError("no part of the network reads words alone")
        features = self._run_nodes(part.nodes, words)[part.output]
        return self._kernel.project(self._layers[self._first_layer], features) if self._first_layer else features

    def _run_nodes(self, nodes: Sequence[Node], given: Arrays, known: FoundRows | None = None) -> dict[str, ndarray]:
        """Return the values that some nodes make, and those that they read.

        Args:
            nodes: in their order.
            given: what they read.
            known: the words' share of the gates of the first layer, where that is remembered.
        """
        values: dict[str, ndarray] = {**self._known, **given}
        for node in nodes:
            found: Values
            if node.operator == "LSTM":
                found = self._run_layer(node, values, known)
            elif node.outputs[0] in self._products:
                found = [self._kernel.multiply(values[node.inputs[0]], self._products[node.outputs[0]])]
            else:
                found = _apply(node, [values[name] for name in node.inputs])
            values.update(zip(node.outputs, found, strict=True))
        return values

    def _run_layer(self, node: Node, values: Mapping[str, ndarray], known: FoundRows | None) -> Values:
        inputs, _, _, _, lengths, *states = node.inputs
        table, index = self._tables.get(inputs, (inputs, ""))
        is_projected = known is not None and node.outputs[0] == self._first_layer
        if known is not None and is_projected:
            read, places = known.table, known.places[values[index]]
        else:
            read, places = values[table], values[index] if index else None
        return self._kernel.run(
            self._layers[node.outputs[0]],
            read,
            values[lengths],
            *(values[name] for name in states[:2]),
            index=places,
            is_projected=is_projected,
            num_threads=self._num_threads,
        )

    def _fuse_tables(self) -> dict[str, tuple[str, str]]:
        """Take out the nodes that lay the rows of a table out for LSTMs alone, which read the table themselves.

        Returns:
            For the name of what each made, the names of table and index.
        """
        readers: dict[str, list[Node]] = {}
        for node in self._nodes:
            for name in node.inputs:
                readers.setdefault(name, []).append(node)
        tables = {}
        for node in self._nodes:
            name = node.outputs[0]
            is_laid_out = node.operator == "Gather" and node.attributes.get("axis", 0) == 0
            by_layers = all(one.operator == "LSTM" and name not in one.inputs[1:] for one in readers.get(name, ()))
            if is_laid_out and by_layers and name not in self._outputs:
                tables[name] = (node.inputs[0], node.inputs[1])
        self._nodes = [node for node in self._nodes if node.outputs[0] not in tables]
        return tables

    def _read_when_run(self, node: Node) -> list[str]:
        """The values that a node reads each time: not the weights that are packed."""
        if node.operator == "LSTM":
            return [*self._tables.get(node.inputs[0], node.inputs[:1]), *node.inputs[4:]]
        return node.inputs[:1] if node.outputs[0] in self._products else node.inputs

    def _pack(self, node: Node, used: Sequence[ndarray | None], is_int8: bool) -> list[PackedDirection]:
        if any(value is None for value in used):
            raise ValueError("an LSTM's weights depend on inputs")
        directions = []
        for weight_ih, weight_hh, biases in zip(*used, strict=True):
            size = weight_hh.shape[1]
            if weight_ih.shape[0] != 4 * size or weight_hh.shape[0] != 4 * size or biases.shape != (8 * size,):
                raise ValueError(f"an LSTM of {size} units has weights {weight_ih.shape} and {biases.shape}")
            bias = biases[: 4 * size] + biases[4 * size :]
            packed = self._kernel.pack(
                weight_ih.astype(np.float32), weight_hh.astype(np.float32), bias.astype(np.float32), is_int8=is_int8
            )
            directions.append(packed)
        expected = "bidirectional" if len(directions) == 2 else "forward"
        if len(directions) > 2 or node.attributes.get("direction", "forward") != expected:
            raise ValueError(f"an LSTM has the weights of {len(directions)} directions")
        return directions


def _apply(node: Node, values: Values) -> Values:
    found = _OPERATORS[node.operator](node.attributes, *values)
    return [found] if isinstance(found, ndarray) else found


# ---- operators


def _axes(values: Values) -> tuple[int, ...] | None:
    """The axes given as a second input; None for all."""
    return tuple(values[0].tolist()) if values else None


def _concat(attributes: Attributes, *values: ndarray) -> ndarray:
    return np.concatenate(values, axis=attributes["axis"])


def _conv(attributes: Attributes, values: ndarray, weight: ndarray, bias: ndarray) -> ndarray:
    """Filters over the last axis of `row channel time`."""
    padded = np.pad(values, ((0, 0), (0, 0), tuple(attributes["pads"])))
    windows = np.lib.stride_tricks.sliding_window_view(padded, weight.shape[2], axis=2)  # row channel time width
    found = np.tensordot(windows, weight, axes=((1, 3), (1, 2)))  # row time filter
    return (found + bias).transpose(0, 2, 1)


def _expand(attributes: Attributes, values: ndarray, shape: ndarray) -> ndarray:
    return np.broadcast_to(values, np.broadcast_shapes(values.shape, tuple(shape.tolist())))


def _flatten(attributes: Attributes, values: ndarray) -> ndarray:
    axis = attributes.get("axis", 1)
    return values.reshape(int(np.prod(values.shape[:axis])), -1)


def _log_softmax(attributes: Attributes, values: ndarray) -> ndarray:
    axis = attributes.get("axis", -1)
    return values - _log_sum(values, axis, is_kept=True)


def _log_sum(values: ndarray, axis: int | tuple[int, ...] | None, *, is_kept: bool) -> ndarray:
    highest = values.max(axis=axis, keepdims=True)
    found = np.log(np.exp(values - highest).sum(axis=axis, keepdims=True)) + highest
    return found if is_kept else np.squeeze(found, axis=axis)


def _reduce_log_sum(attributes: Attributes, values: ndarray, *axes: ndarray) -> ndarray:
    return _log_sum(values, _axes(axes), is_kept=bool(attributes.get("keepdims", 1)))


def _max(attributes: Attributes, first: ndarray, *others: ndarray) -> ndarray:
    for other in others:
        first = np.maximum(first, other)
    return first


def _one_hot(attributes: Attributes, places: ndarray, depth: ndarray, values: ndarray) -> ndarray:
    off, on = values
    return np.where(places[..., None] == np.arange(int(depth)), on, off)


def _pad(attributes: Attributes, values: ndarray, pads: ndarray) -> ndarray:
    before, after = pads.reshape(2, -1).tolist()
    return np.pad(values, list(zip(before, after, strict=True)))


def _reshape(attributes: Attributes, values: ndarray, shape: ndarray) -> ndarray:
    """Return the values in another shape; 0 stands for the size that was."""
    return values.reshape([values.shape[place] if size == 0 else size for place, size in enumerate(shape.tolist())])


def _shape(attributes: Attributes, values: ndarray) -> ndarray:
    return np.array(values.shape[attributes.get("start", 0) : attributes.get("end")], np.int64)


def _slice(attributes: Attributes, values: ndarray, starts: ndarray, ends: ndarray, axes: ndarray) -> ndarray:
    places = [slice(None)] * values.ndim
    for axis, start, end in zip(axes.tolist(), starts.tolist(), ends.tolist(), strict=True):
        places[axis] = slice(start, end)
    return values[tuple(places)]


def _softmax(attributes: Attributes, values: ndarray) -> ndarray:
    return np.exp(_log_softmax(attributes, values))


_OPERATORS: dict[str, Callable[..., Any]] = {
    "Add": lambda attributes, a, b: np.add(a, b),
    "BitShift": lambda attributes, a, b: np.right_shift(a, b),
    "BitwiseAnd": lambda attributes, a, b: np.bitwise_and(a, b),
    "Cast": lambda attributes, a: a.astype(DTYPES[attributes["to"]]),
    "Concat": _concat,
    "Conv": _conv,
    "Div": lambda attributes, a, b: np.divide(a, b),
    "Equal": lambda attributes, a, b: np.equal(a, b),
    "Exp": lambda attributes, a: np.exp(a),
    "Expand": _expand,
    "Flatten": _flatten,
    "Gather": lambda attributes, a, places: np.take(a, places, axis=attributes.get("axis", 0)),
    "Identity": lambda attributes, a: a,
    "Less": lambda attributes, a, b: np.less(a, b),
    "LogSoftmax": _log_softmax,
    "MatMul": lambda attributes, a, b: np.matmul(a, b),
    "Max": _max,
    "Mul": lambda attributes, a, b: np.multiply(a, b),
    "OneHot": _one_hot,
    "Pad": _pad,
    "Range": lambda attributes, start, end, by: np.arange(int(start), int(end), int(by), dtype=start.dtype),
    "ReduceLogSumExp": _reduce_log_sum,
    "ReduceMax": lambda attributes, a, *axes: a.max(axis=_axes(axes), keepdims=bool(attributes.get("keepdims", 1))),
    "ReduceSum": lambda attributes, a, *axes: a.sum(axis=_axes(axes), keepdims=bool(attributes.get("keepdims", 1))),
    "Relu": lambda attributes, a: np.maximum(a, 0),
    "Reshape": _reshape,
    "Shape": _shape,
    "Slice": _slice,
    "Softmax": _softmax,
    "Split": lambda attributes, a: np.split(a, attributes["num_outputs"], axis=attributes.get("axis", 0)),
    "Squeeze": lambda attributes, a, *axes: np.squeeze(a, axis=_axes(axes)),
    "Sub": lambda attributes, a, b: np.subtract(a, b),
    "Tanh": lambda attributes, a: np.tanh(a),
    "Transpose": lambda attributes, a: np.transpose(a, attributes["perm"]),
    "Unsqueeze": lambda attributes, a, axes: np.expand_dims(a, axes.tolist()),
    "Where": lambda attributes, where, a, b: np.where(where, a, b),
}
SUPPORTED = frozenset((*_OPERATORS, "LSTM"))
"""The operators that can be run."""

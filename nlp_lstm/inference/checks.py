"""What is checked of a graph before ONNX Runtime sees it.

A graph file is untrusted. It is read here by the rules of its encoding (protocol buffers) and must hold nothing but

    nodes          of the standard operators that the exporter writes: no code, and for loops only Scan, which goes once
                   through its inputs; the graph inside it has nodes of the other operators alone
    constants      inside the file, whose size is bounded
    weights        that are tensors of the folder's weights file, each with its exact name, type, shape and place

Fields that are not listed, and single fields that come twice, are refused, so that no other reader can see more in the
file than was checked. What a graph computes cannot be checked: one that asks for too much memory fails in the runtime,
and a loop that does not end is ended by the engine.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nlp_lstm.artifacts import WEIGHTS_NAME
from nlp_lstm.errors import CheckpointError, shorten
from nlp_lstm.stored import StoredTensor

LARGEST_GRAPH = 4 * 2**20  # bytes
MOST_NODES = 20_000
MOST_DIMENSIONS = 8
OPSETS = range(18, 24)
OPERATORS = frozenset(
    (
        *("Add", "BitShift", "BitwiseAnd", "Cast", "Concat", "Conv", "Div", "Equal", "Exp", "Expand", "Flatten"),
        *("GRU", "Gather", "Identity", "LSTM", "Less", "LogSoftmax", "MatMul", "Max", "Mul", "OneHot", "Pad", "RNN"),
        *(
            "BatchNormalization",
            "LayerNormalization",
            "Range",
            "ReduceLogSumExp",
            "ReduceMax",
            "ReduceSum",
            "Relu",
            "Reshape",
            "Scan",
        ),
        *("Shape", "Sigmoid", "Slice", "Softmax", "Softplus", "Split", "Squeeze", "Sub", "Tanh", "Transpose"),
        *("Unsqueeze", "Where"),
    )
)
"""The operators that `nlp_lstm.inference.export` writes."""
LOOP = "Scan"

TYPE_NUMBERS = {"float32": 1, "uint8": 2, "int8": 3, "int32": 6, "int64": 7, "bool": 9, "float16": 10}
EXTERNAL = 1

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_MODEL = {1: "ir_version", 2: "producer_name", 3: "producer_version", 7: "graph", 8: "opset_import"}
_OPSET = {1: "domain", 2: "version"}
_GRAPH = {1: "node", 2: "name", 5: "initializer", 11: "input", 12: "output"}
_NODE = {1: "input", 2: "output", 3: "name", 4: "op_type", 5: "attribute", 7: "domain"}
_ATTRIBUTE = {1: "name", 2: "f", 3: "i", 4: "s", 6: "g", 8: "ints", 20: "type"}
_TENSOR = {1: "dims", 2: "data_type", 8: "name", 9: "raw_data", 13: "external_data", 14: "data_location"}
_ENTRY = {1: "key", 2: "value"}
_REPEATED = {"opset_import", "node", "initializer", "input", "output", "attribute", "dims", "ints", "external_data"}

Message = dict[str, list["int | bytes"]]


class _DamagedError(Exception):
    """The bytes are not what they should be."""


class Node(NamedTuple):
    """An operation of a graph.

    Args:
        operator: one of `OPERATORS`.
        inputs: names of what it reads; empty for one left out.
        outputs: names of what it makes.
        attributes: its settings: numbers, text, lists of whole numbers, or of a loop the nodes that it repeats.
    """

    operator: str
    inputs: list[str]
    outputs: list[str]
    attributes: dict[str, Any]


class CheckedGraph(NamedTuple):
    """What a graph says of itself.

    Args:
        weights: names of the tensors of the weights file that it reads.
        nodes: its operations, in their order.
        constants: what it holds itself, by name.
        inputs: names of what it is given; those with a constant may be left out.
        outputs: names of what it gives.
    """

    weights: list[str]
    nodes: list[Node]
    constants: dict[str, NDArray[Any]]
    inputs: list[str]
    outputs: list[str]


def check_graph(path: Path, content: bytes, stored: Mapping[str, StoredTensor]) -> CheckedGraph:
    """Check a graph file.

    Args:
        path: of the file, for messages.
        content: its bytes.
        stored: what the weights file beside it holds.

    Raises:
        CheckpointError: it is too large, not ONNX, or holds what is not accepted.
    """
    if len(content) > LARGEST_GRAPH:
        raise CheckpointError(f"{path} has {len(content):,} bytes; at most {LARGEST_GRAPH:,} are read")
    try:
        return _check_model(content, stored)
    except _DamagedError as error:
        raise CheckpointError(f"{path}: {error}; write it again with `nlp-lstm export`") from error


def _check_model(content: bytes, stored: Mapping[str, StoredTensor]) -> CheckedGraph:
    model = _read(content, _MODEL, "the file")
    opsets = [_read(_bytes(opset), _OPSET, "a version of the operators") for opset in model.get("opset_import", ())]
    if len(opsets) != 1 or _text(opsets[0], "domain") or _number(opsets[0], "version") not in OPSETS:
        raise _DamagedError(f"it does not use the standard operators of one version from {OPSETS[0]} to {OPSETS[-1]}")
    if "graph" not in model:
        raise _DamagedError("it holds no graph")
    graph = _read(_bytes(model["graph"][0]), _GRAPH, "the graph")
    nodes = _read_nodes(graph)
    num_nodes = len(nodes) + sum(len(body) for node in nodes for body in node.attributes.values() if _is_body(body))
    if num_nodes > MOST_NODES:
        raise _DamagedError(f"it has {num_nodes:,} nodes; at most {MOST_NODES:,} are read")
    weights, constants = [], {}
    for value in graph.get("initializer", ()):
        tensor = _read(_bytes(value), _TENSOR, "a constant")
        if "external_data" in tensor or _number(tensor, "data_location") != 0:
            weights.append(_check_weight(tensor, stored))
        else:
            constants[_text(tensor, "name")] = _constant(tensor)
    inputs, outputs = ([_name(_bytes(value)) for value in graph.get(kind, ())] for kind in ("input", "output"))
    return CheckedGraph(weights, nodes, constants, inputs, outputs)


def _is_body(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and isinstance(value[0], Node)


def _read_nodes(graph: Message, *, is_inside: bool = False) -> list[Node]:
    values = graph.get("node", ())
    if len(values) > MOST_NODES:
        raise _DamagedError(f"it has {len(values):,} nodes; at most {MOST_NODES:,} are read")
    return [_read_node(_bytes(value), is_inside=is_inside) for value in values]


def _read_body(content: bytes) -> list[Node]:
    """The nodes of the graph inside a loop, which has neither constants nor loops of its own."""
    graph = _read(content, _GRAPH, "the graph inside a node")
    if "initializer" in graph:
        raise _DamagedError("the graph inside a node holds constants, which is not accepted")
    return _read_nodes(graph, is_inside=True)


def _read_node(content: bytes, *, is_inside: bool) -> Node:
    node = _read(content, _NODE, "a node")
    operator, domain = _text(node, "op_type"), _text(node, "domain")
    if domain or operator not in OPERATORS:
        name = f"{domain}.{operator}".strip(".")
        raise _DamagedError(f"it has the operator {shorten(name)}, which is not accepted")
    if is_inside and operator == LOOP:
        raise _DamagedError("it has a loop inside a loop, which is not accepted")
    attributes = {}
    for value in node.get("attribute", ()):
        attribute = _read(_bytes(value), _ATTRIBUTE, f"an attribute of {operator}")
        if "g" in attribute and operator != LOOP:
            raise _DamagedError(f"{operator} has a graph inside, which is not accepted")
        attributes[_text(attribute, "name")] = _attribute_value(attribute)
    inputs, outputs = ([_decoded(_bytes(name), kind) for name in node.get(kind, ())] for kind in ("input", "output"))
    return Node(operator, inputs, outputs, attributes)


def _attribute_value(attribute: Message) -> Any:
    if "g" in attribute:
        return _read_body(_bytes(attribute["g"][0]))
    if "s" in attribute:
        return _text(attribute, "s")
    if "ints" in attribute:
        return [_signed(number) for number in _numbers(attribute, "ints")]
    if "f" in attribute:
        (value,) = attribute["f"]
        if not isinstance(value, bytes) or len(value) != 4:
            raise _DamagedError("f is not a number of four bytes")
        return struct.unpack("<f", value)[0]
    return _signed(_number(attribute, "i"))


def _signed(number: int) -> int:
    """A whole number of 64 bits with its sign."""
    return number - 2**64 if number >= 2**63 else number


def _name(content: bytes) -> str:
    """The name of an input or output."""
    names = [value for number, value in _fields(content) if number == 1]
    return _decoded(_bytes(names[0]), "a name") if len(names) == 1 else ""


def _constant(tensor: Message) -> NDArray[Any]:
    """A tensor that the graph holds itself."""
    name, kind = _text(tensor, "name"), _number(tensor, "data_type")
    dtype = next((dtype for dtype, number in TYPE_NUMBERS.items() if number == kind), None)
    (raw,) = tensor.get("raw_data", [b""])
    shape = [_signed(size) for size in _numbers(tensor, "dims")]
    content = _bytes(raw)
    if len(shape) > MOST_DIMENSIONS or max(shape, default=0) > LARGEST_GRAPH:  # as with nothing in it
        raise _DamagedError(f"the constant {shorten(name)} has the shape {shorten(shape)}, which is not accepted")
    if dtype is None or min(shape, default=0) < 0 or len(content) != math.prod(shape) * np.dtype(dtype).itemsize:
        raise _DamagedError(f"the constant {shorten(name)} is not of {shape} numbers of a known type")
    return np.frombuffer(content, np.dtype(dtype)).reshape(shape)


def _check_weight(tensor: Message, stored: Mapping[str, StoredTensor]) -> str:
    """Check that a tensor outside of the file is one of the weights file, and return its name."""
    name = _text(tensor, "name")
    found = stored.get(name)
    if found is None:
        raise _DamagedError(f"it reads {shorten(name)}, which {WEIGHTS_NAME} does not hold")
    entries = [_read(_bytes(entry), _ENTRY, "a place") for entry in tensor.get("external_data", ())]
    place = sorted((_text(entry, "key"), _text(entry, "value")) for entry in entries)
    expected = [("length", str(found.num_bytes)), ("location", WEIGHTS_NAME), ("offset", str(found.start))]
    if place != expected or _number(tensor, "data_location") != EXTERNAL:
        raise _DamagedError(f"it reads {shorten(name)} from {shorten(place, 200)}; expected {expected}")
    shape = tuple(_numbers(tensor, "dims"))
    if shape != found.shape or _number(tensor, "data_type") != TYPE_NUMBERS[found.dtype]:
        raise _DamagedError(
            f"it takes {shorten(name)} for {list(shape)} of type {_number(tensor, 'data_type')}; {WEIGHTS_NAME} holds "
            f"{list(found.shape)} {found.dtype}"
        )
    return name


# ---- the encoding


def _read(content: bytes, fields: Mapping[int, str], what: str) -> Message:
    """Return the fields of a message by name; each has a list of numbers or bytes."""
    message: Message = {}
    for number, value in _fields(content):
        name = fields.get(number)
        if name is None:
            raise _DamagedError(f"{what} has the field {number}, which is not accepted")
        if name in message and name not in _REPEATED:
            raise _DamagedError(f"{what} has {name} twice")
        message.setdefault(name, []).append(value)
    return message


def _fields(content: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Yield the number and value of each field."""
    position = 0
    while position < len(content):
        key, position = _varint(content, position)
        kind = key & 7
        if kind == _VARINT:
            number, position = _varint(content, position)
            yield key >> 3, number
            continue
        if kind == _BYTES:
            size, position = _varint(content, position)
        elif kind in (_FIXED32, _FIXED64):
            size = 4 if kind == _FIXED32 else 8
        else:
            raise _DamagedError("it is not an ONNX file")
        if position + size > len(content):
            raise _DamagedError("it is cut off, or no ONNX file")
        yield key >> 3, content[position : position + size]
        position += size


def _varint(content: bytes, position: int) -> tuple[int, int]:
    """Return a number of variable length, and the place after it."""
    number = 0
    for shift in range(0, 64, 7):
        if position >= len(content):
            break
        byte = content[position]
        position += 1
        number |= (byte & 127) << shift
        if byte < 128:
            return number, position
    raise _DamagedError("it is cut off, or no ONNX file")


def _bytes(value: int | bytes) -> bytes:
    if not isinstance(value, bytes):
        raise _DamagedError("it holds a number where a message is expected")
    return value


def _text(message: Message, name: str) -> str:
    (value,) = message.get(name, [b""])
    return _decoded(_bytes(value), name)


def _decoded(content: bytes, name: str) -> str:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _DamagedError(f"{name} is not UTF-8") from error


def _number(message: Message, name: str) -> int:
    (value,) = message.get(name, [0])
    if not isinstance(value, int):
        raise _DamagedError(f"{name} is not a number")
    return value


def _numbers(message: Message, name: str) -> Iterator[int]:
    """Yield numbers that come one by one or packed."""
    for value in message.get(name, ()):
        if isinstance(value, int):
            yield value
            continue
        position = 0
        while position < len(value):
            number, position = _varint(value, position)
            yield number

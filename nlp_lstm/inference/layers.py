"""How each part of a network is written as ONNX: one function per kind of part.

Rows are read in the order `time batch features` here, as ONNX's recurrent operators take them. Each function gets the
part of the network, for its settings, and the name that its weights begin with.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple, cast

import numpy as np

from nlp_lstm.errors import ConfigError
from nlp_lstm.inference.cell_steps import num_states, scan_cells
from nlp_lstm.inference.graph import Graph
from nlp_lstm.nn.backbone import Backbone, NoEncoder, WindowEncoder
from nlp_lstm.nn.cells import Cell, GRUCell, LSTMCell, RNNCell
from nlp_lstm.nn.embedding import CharacterBiLSTM, CharacterCNN, QuantisedVectors, WordEmbedding
from nlp_lstm.nn.pooling import LOWEST, AttentionPooling, LastPooling, MaxPooling, MeanPooling, Pooling
from nlp_lstm.nn.recurrent import Recurrent

STATE_NAMES = ("hidden", "cell")


class Operator(NamedTuple):
    """ONNX's operator for a cell.

    Args:
        name: the operator.
        gates: for each of its gates in order, the place of that gate in the cell's own order.
        num_states: how many tensors its state is made of.
    """

    name: str
    gates: tuple[int, ...]
    num_states: int


OPERATORS: dict[type[Cell], Operator] = {
    LSTMCell: Operator("LSTM", (0, 3, 1, 2), 2),  # input, output, forget, candidate
    GRUCell: Operator("GRU", (1, 0, 2), 1),  # update, reset, candidate
    RNNCell: Operator("RNN", (0,), 1),
}


class Unrolled(NamedTuple):
    """The values of one recurrent layer.

    Args:
        outputs: `time batch direction*hidden`, zero at padding.
        states: each `direction batch hidden`, at each row's own end.
    """

    outputs: str
    states: list[str]


# ---- recurrent layers


def recurrent_layer(
    graph: Graph, layer: Iterable[Cell], prefix: str, inputs: str, lengths: str, states: list[str] | None = None
) -> Unrolled:
    """Add one layer in all its directions.

    Args:
        graph: what is added to.
        layer: a cell for each direction.
        prefix: of the weights of the layer.
        inputs: `time batch features`.
        lengths: int32, real steps per row, at least 1 each.
        states: where it begins, each `direction batch hidden`; default zeros.

    Raises:
        ConfigError: ONNX has no operator for the cell.
    """
    cells = list(layer)
    outputs, finals = apply_cells(graph, cells, prefix, inputs, lengths, states)
    return Unrolled(join_directions(graph, outputs, len(cells) * cells[0].hidden_size), finals)


def join_directions(graph: Graph, outputs: str, size: int) -> str:
    """Return `time direction batch hidden` as `time batch features`, of which there are ``size``."""
    by_step = graph.apply("Transpose", outputs, perm=[0, 2, 1, 3])
    return graph.apply("Reshape", by_step, graph.constant([0, 0, size]))


def apply_cells(
    graph: Graph, layer: Iterable[Cell], prefix: str, inputs: str, lengths: str, states: list[str] | None = None
) -> tuple[str, list[str]]:
    """Add the operator of one layer; return its outputs, `time direction batch hidden`, and its last states.

    The arguments are those of `recurrent_layer`; without ``lengths`` all steps are real.
    """
    cells = list(layer)
    operator = OPERATORS.get(type(cells[0]))
    if operator is None:
        is_real = step_mask(graph, inputs, graph.cast(lengths, np.int64)) if lengths else ""
        return scan_cells(graph, cells, prefix, inputs, is_real, states)
    hidden_size = cells[0].hidden_size
    attributes = {"linear_before_reset": 1} if operator.name == "GRU" else {}
    weights = [
        graph.apply("Concat", *(parts(graph, operator, f"{prefix}.{place}.") for place in range(len(cells))), axis=0)
        for parts in (_input_weights, _recurrent_weights, _biases)
    ]
    outputs, *finals = graph.apply_many(
        operator.name,
        [inputs, *weights, lengths, *(states or ())],
        1 + operator.num_states,
        hidden_size=hidden_size,
        direction="bidirectional" if len(cells) == 2 else "forward",
        **attributes,
    )
    return outputs, finals


def _input_weights(graph: Graph, operator: Operator, prefix: str) -> str:
    return graph.unsqueeze(_gates(graph, operator, graph.weight(prefix + "weight_ih")), 0)


def _recurrent_weights(graph: Graph, operator: Operator, prefix: str) -> str:
    return graph.unsqueeze(_gates(graph, operator, graph.weight(prefix + "weight_hh")), 0)


def _biases(graph: Graph, operator: Operator, prefix: str) -> str:
    """The biases of inputs and states in one row; cells with one bias have none for the states."""
    if operator.name == "GRU":
        pair = [_gates(graph, operator, graph.weight(prefix + name)) for name in ("bias_ih", "bias_hh")]
    else:
        bias = _gates(graph, operator, graph.weight(prefix + "bias"))
        pair = [bias, graph.apply("Mul", bias, graph.constant(0, np.float32))]
    return graph.unsqueeze(graph.apply("Concat", *pair, axis=0), 0)


def _gates(graph: Graph, operator: Operator, weight: str) -> str:
    """Put the gates of a weight in the operator's order."""
    if len(operator.gates) == 1:
        return weight
    parts = graph.apply_many("Split", [weight], len(operator.gates), axis=0, num_outputs=len(operator.gates))
    return graph.apply("Concat", *(parts[place] for place in operator.gates), axis=0)


def carried_states(graph: Graph, recurrent: Recurrent, lengths: str) -> list[list[str]]:
    """Add inputs for the states that each layer begins with, zeros when left out."""
    (num_rows,) = graph.apply_many("Shape", [lengths], 1)
    carried = []
    for number, layer in enumerate(recurrent.layers):
        cells = list(cast("Iterable[Cell]", layer))
        size = cells[0].hidden_size
        shape = graph.apply("Concat", graph.constant([len(cells)]), num_rows, graph.constant([size]), axis=0)
        names = [f"state.{number}.{name}" for name in STATE_NAMES[: num_states(cells[0])]]
        zeros = np.zeros((len(cells), 1, size), np.float32)
        carried.append(
            [
                graph.apply("Expand", graph.optional_input(name, zeros, (len(cells), f"{name} rows", size)), shape)
                for name in names
            ]
        )
    return carried


def hand_on_states(graph: Graph, recurrent: Recurrent, states: list[list[str]]) -> None:
    """Add outputs for the states that the next stretch begins with: the backward direction has none to go on from."""
    for number, (layer, parts) in enumerate(zip(recurrent.layers, states, strict=True)):
        cells = list(cast("Iterable[Cell]", layer))
        is_forward = graph.constant([[[1.0]], [[0.0]]][: len(cells)], np.float32)
        for name, part in zip(STATE_NAMES, parts, strict=False):
            kept = graph.apply("Mul", part, is_forward)
            shape = (len(cells), "batch", cells[0].hidden_size)
            graph.output(f"next.state.{number}.{name}", kept, np.float32, shape)


# ---- word vectors


def word_embedding(graph: Graph, embedding: WordEmbedding, prefix: str, vectors_prefix: str) -> str:
    """Add the inputs of a batch's distinct words, and return their vectors, `unique embed`."""
    settings = embedding.settings
    parts: list[str] = []
    has_vectors = hasattr(embedding, "vectors")
    vectors = ""
    if has_vectors:
        vector_ids = graph.input("vector_ids", np.int64, ("unique",))
        vectors = quantised_vectors(graph, embedding.vectors, vectors_prefix, vector_ids)
    if settings.words != "none":
        word_ids = graph.input("word_ids", np.int64, ("unique",))
        if settings.words == "learned":
            parts.append(graph.rows(prefix + "words.weight", word_ids))
        elif settings.words == "tuned":
            parts.append(graph.apply("Add", vectors, graph.rows(prefix + "changes.weight", word_ids)))
        else:
            off_and_on = graph.constant([0, 1], np.float32)
            parts.append(graph.apply("OneHot", word_ids, graph.constant(embedding.num_words), off_and_on, axis=-1))
    if has_vectors and settings.words != "tuned":
        parts.append(vectors)
    if hasattr(embedding, "characters"):
        parts.append(characters(graph, embedding.characters, prefix + "characters."))
    if hasattr(embedding, "affixes"):
        affix_ids = graph.input("affix_ids", np.int64, ("unique", "affix"))
        rows = graph.rows(prefix + "affixes.weight", affix_ids)  # unique affix features
        parts.append(graph.apply("Flatten", rows, axis=1))
    return graph.apply("Concat", *parts, axis=1) if len(parts) > 1 else parts[0]


def quantised_vectors(graph: Graph, vectors: QuantisedVectors, prefix: str, ids: str) -> str:
    """Add the unpacking of some rows of a table of 4 or 8 bits, `unique features`."""
    codes = graph.apply("Gather", graph.stored(prefix + "codes"), ids, axis=0)  # unique bytes
    if vectors.bits == 4:
        low = graph.apply("BitwiseAnd", codes, graph.constant(15, np.uint8))
        high = graph.apply("BitShift", codes, graph.constant(4, np.uint8), direction="RIGHT")
        pairs = graph.apply("Concat", graph.unsqueeze(low, 2), graph.unsqueeze(high, 2), axis=2)
        codes = graph.apply("Flatten", pairs, axis=1)
        if vectors.vector_size % 2:
            bounds = [graph.constant([number]) for number in (0, vectors.vector_size, 1)]
            codes = graph.apply("Slice", codes, *bounds)
    limit = graph.constant(2 ** (vectors.bits - 1) - 1, np.float32)
    centred = graph.apply("Sub", graph.cast(codes), limit)
    scales = graph.cast(graph.apply("Gather", graph.stored(prefix + "scales"), ids, axis=0))
    return graph.apply("Mul", centred, graph.unsqueeze(scales, 1))


def characters(graph: Graph, encoder: CharacterBiLSTM | CharacterCNN, prefix: str) -> str:
    """Add the reading of each distinct word's spelling, `unique features`."""
    ids = graph.input("character_ids", np.int64, ("unique", "char_time"))
    lengths = graph.input("character_lengths", np.int64, ("unique",))
    by_step = graph.apply("Transpose", ids, perm=[1, 0])
    table = graph.weight(prefix + "embedding.weight")  # small, so all of it is unpacked once
    embedded = graph.apply("Gather", table, by_step, axis=0)  # char_time unique features
    if isinstance(encoder, CharacterCNN):
        return character_cnn(graph, encoder, prefix, embedded, lengths)
    layer = cast("Iterable[Cell]", encoder.recurrent.layers[0])
    real_steps = graph.cast(lengths, np.int32)
    unrolled = recurrent_layer(graph, layer, prefix + "recurrent.layers.0", embedded, real_steps)
    by_word = graph.apply("Transpose", unrolled.states[0], perm=[1, 0, 2])  # unique direction hidden
    return graph.apply("Flatten", by_word, axis=1)


def character_cnn(graph: Graph, encoder: CharacterCNN, prefix: str, embedded: str, lengths: str) -> str:
    """Add filters over characters, each with its maximum over the steps that it reaches."""
    masked = graph.apply("Mul", embedded, graph.cast(step_mask(graph, embedded, lengths)))
    channels = graph.apply("Transpose", masked, perm=[1, 2, 0])  # unique features char_time
    pooled = []
    for number, convolution in enumerate(encoder.filters):
        width = convolution.kernel_size[0]  # type: ignore[index]
        weight, bias = (graph.weight(f"{prefix}filters.{number}.{name}") for name in ("weight", "bias"))
        found = graph.apply("Conv", channels, weight, bias, pads=[width - 1, width - 1], kernel_shape=[width])
        by_step = graph.apply("Transpose", graph.apply("Relu", found), perm=[2, 0, 1])
        reached = graph.apply("Add", lengths, graph.constant(width - 1))
        seen = graph.apply("Mul", by_step, graph.cast(step_mask(graph, by_step, reached)))
        pooled.append(graph.apply("ReduceMax", seen, graph.constant([0]), keepdims=0))
    return graph.apply("Concat", *pooled, axis=1)


def step_mask(graph: Graph, rows: str, lengths: str) -> str:
    """Return whether each step of `time batch features` is real, `time batch 1`."""
    num_steps = graph.apply("Squeeze", graph.apply("Shape", rows, start=0, end=1), graph.constant([0]))
    steps = graph.apply("Range", graph.constant(0), num_steps, graph.constant(1))
    is_real = graph.apply("Less", graph.unsqueeze(steps, 1), graph.unsqueeze(lengths, 0))
    return graph.unsqueeze(is_real, 2)


# ---- the encoder over words


class Encoded(NamedTuple):
    """What a backbone makes of a batch.

    Args:
        outputs: `time batch features`, zero at padding.
        states: of each recurrent layer, if they were asked for.
    """

    outputs: str
    states: list[list[str]]


def backbone(
    graph: Graph, network: Backbone, prefix: str, *, lengths: str, has_states: bool = False, vectors: str = ""
) -> Encoded:
    """Add the embedding of distinct words, their places in the rows, and the encoder.

    Args:
        graph: what is added to.
        network: the backbone.
        prefix: of its weights.
        lengths: int64, real steps per row; rows without one have padding for outputs.
        has_states: whether recurrent layers take the states that they begin with and hand on those they end with.
        vectors: prefix of the pretrained vectors; default those of the backbone itself.
    """
    words = word_embedding(graph, network.embedding, f"{prefix}embedding.", vectors or f"{prefix}embedding.vectors.")
    index = graph.input("index", np.int64, ("batch", "time"))
    by_step = graph.apply("Transpose", index, perm=[1, 0])
    embedded = graph.apply("Gather", words, by_step, axis=0)  # time batch embed
    encoder = network.encoder
    if isinstance(encoder, Recurrent):
        return recurrent(graph, encoder, prefix + "encoder.", embedded, lengths, has_states=has_states)
    masked = graph.apply("Mul", embedded, graph.cast(step_mask(graph, embedded, lengths)))
    if isinstance(encoder, NoEncoder):
        return Encoded(masked, [])
    return Encoded(window(graph, encoder, prefix + "encoder.", masked, lengths), [])


def recurrent(
    graph: Graph, network: Recurrent, prefix: str, embedded: str, lengths: str, *, has_states: bool
) -> Encoded:
    """Add a stack of recurrent layers."""
    at_least_one = graph.apply("Max", lengths, graph.constant(1))
    real_steps = graph.cast(at_least_one, np.int32)
    begin = carried_states(graph, network, lengths) if has_states else [None] * len(network.layers)
    outputs, states = embedded, []
    for number, layer in enumerate(network.layers):
        cells = cast("Iterable[Cell]", layer)
        unrolled = recurrent_layer(graph, cells, f"{prefix}layers.{number}", outputs, real_steps, begin[number])
        outputs = unrolled.outputs
        states.append(unrolled.states)
    if has_states:
        hand_on_states(graph, network, states)
    return Encoded(outputs, states)


def window(graph: Graph, encoder: WindowEncoder, prefix: str, masked: str, lengths: str) -> str:
    """Add the net over each word and its neighbours."""
    radius = encoder.radius
    padded = graph.apply("Pad", masked, graph.constant([radius, 0, 0, radius, 0, 0]))
    num_steps = graph.apply("Shape", masked, start=0, end=1)
    neighbours = []
    for shift in range(2 * radius + 1):
        start = graph.constant([shift])
        end = graph.apply("Add", num_steps, start)
        neighbours.append(graph.apply("Slice", padded, start, end, graph.constant([0])))
    joined = graph.apply("Concat", *neighbours, axis=2)
    hidden = graph.apply("Relu", graph.linear(joined, prefix + "hidden.weight", prefix + "hidden.bias"))
    return graph.apply("Mul", hidden, graph.cast(step_mask(graph, hidden, lengths)))


# ---- poolings


class Outputs(NamedTuple):
    """What a pooling reads.

    Args:
        values: `time batch features`.
        is_real: bool, `time batch 1`.
        lengths: int64, real steps per row.
    """

    values: str
    is_real: str
    lengths: str


def pooling(graph: Graph, network: Pooling, prefix: str, read: Outputs) -> str:
    """Add a pooling that may go on from an earlier stretch, and return the vector of each row.

    Raises:
        ConfigError: it is not known how to write this pooling.
    """
    write = POOLINGS.get(type(network))
    if write is None:
        raise ConfigError(f"it is not known how to write {type(network).__name__} as ONNX; use the engine torch")
    return write(graph, network, prefix, read)


def _carry(graph: Graph, name: str, size: int, default: float) -> str:
    """Add an input for what a pooling has kept, one default for all rows."""
    full_name = f"pooling.{name}"
    return graph.optional_input(full_name, np.full((1, size), default, np.float32), (f"{full_name} rows", size))


def _hand_on(graph: Graph, name: str, value: str, size: int) -> str:
    graph.output(f"next.pooling.{name}", value, np.float32, ("batch", size))
    return value


def max_pooling(graph: Graph, network: Pooling, prefix: str, read: Outputs) -> str:
    """Add the maximum over the steps."""
    real = graph.apply("Where", read.is_real, read.values, graph.constant(LOWEST, np.float32))
    highest = graph.apply("ReduceMax", real, graph.constant([0]), keepdims=0)
    return _hand_on(
        graph,
        "highest",
        graph.apply("Max", _carry(graph, "highest", network.input_size, LOWEST), highest),
        network.input_size,
    )


def mean_pooling(graph: Graph, network: Pooling, prefix: str, read: Outputs) -> str:
    """Add the mean over the steps."""
    weighted = graph.apply("Mul", read.values, graph.cast(read.is_real))
    total = graph.apply("ReduceSum", weighted, graph.constant([0]), keepdims=0)
    total = graph.apply("Add", _carry(graph, "total", network.input_size, 0), total)
    count = graph.apply("Add", _carry(graph, "count", 1, 0), graph.cast(graph.unsqueeze(read.lengths, 1)))
    return graph.apply("Div", _hand_on(graph, "total", total, network.input_size), _hand_on(graph, "count", count, 1))


def attention_pooling(graph: Graph, network: Pooling, prefix: str, read: Outputs) -> str:
    """Add the mean weighted by a softmax over the steps, whose running maximum is carried."""
    hidden = graph.apply("Tanh", graph.linear(read.values, prefix + "hidden.weight", prefix + "hidden.bias"))
    scores = graph.linear(hidden, prefix + "vector.weight", None)  # time batch 1
    scores = graph.apply("Where", read.is_real, scores, graph.constant(LOWEST, np.float32))
    peak = _carry(graph, "peak", 1, LOWEST)
    first_axis = graph.constant([0])
    new_peak = graph.apply("Max", peak, graph.apply("ReduceMax", scores, first_axis, keepdims=0))  # batch 1
    raised = graph.apply("Exp", graph.apply("Sub", scores, new_peak))
    weights = graph.apply("Mul", raised, graph.cast(read.is_real))
    kept = graph.apply("Exp", graph.apply("Sub", peak, new_peak))
    total, norm = (
        graph.apply(
            "Add",
            graph.apply("Mul", _carry(graph, name, size, 0), kept),
            graph.apply("ReduceSum", values, first_axis, keepdims=0),
        )
        for name, size, values in (
            ("total", network.input_size, graph.apply("Mul", weights, read.values)),
            ("norm", 1, weights),
        )
    )
    _hand_on(graph, "peak", new_peak, 1)
    return graph.apply("Div", _hand_on(graph, "total", total, network.input_size), _hand_on(graph, "norm", norm, 1))


def last_pooling(graph: Graph, network: Pooling, prefix: str, read: Outputs) -> str:
    """Add the state at each row's last step, and for the backward direction that at the first step of the row."""
    size = network.input_size
    old, has_begun = _carry(graph, "vector", size, 0), _carry(graph, "has_begun", 1, 0)
    last_step = graph.apply("Max", graph.apply("Sub", read.lengths, graph.constant(1)), graph.constant(0))
    at_last = graph.apply("Equal", _steps_like(graph, read.values), graph.unsqueeze(last_step, 0))
    picked = graph.apply("Mul", read.values, graph.cast(graph.unsqueeze(at_last, 2)))
    new = graph.apply("ReduceSum", picked, graph.constant([0]), keepdims=0)  # batch features
    is_here = graph.unsqueeze(graph.apply("Less", graph.constant(0), read.lengths), 1)
    if network.is_bidirectional:
        first = graph.apply("Gather", read.values, graph.constant(0), axis=0)
        is_old = graph.apply("Less", graph.constant(0.5, np.float32), has_begun)
        backward = graph.apply("Where", is_old, old, first)
        is_forward = graph.constant(np.arange(size)[None] < size // 2, bool)
        new = graph.apply("Where", is_forward, new, backward)
    vector = graph.apply("Where", is_here, new, old)
    begun = graph.apply("Max", has_begun, graph.cast(is_here))
    _hand_on(graph, "has_begun", begun, 1)
    return _hand_on(graph, "vector", vector, size)


def _steps_like(graph: Graph, rows: str) -> str:
    """Return the numbers of the steps of `time batch features`, `time 1`."""
    num_steps = graph.apply("Squeeze", graph.apply("Shape", rows, start=0, end=1), graph.constant([0]))
    return graph.unsqueeze(graph.apply("Range", graph.constant(0), num_steps, graph.constant(1)), 1)


POOLINGS: dict[type[Pooling], Callable[[Graph, Pooling, str, Outputs], str]] = {
    LastPooling: last_pooling,
    MaxPooling: max_pooling,
    MeanPooling: mean_pooling,
    AttentionPooling: attention_pooling,
}

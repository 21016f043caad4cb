"""How a network that writes word by word is written as ONNX: what it reads as one graph, a step of it as another.

What goes from one to the other, and from step to step, is in `nlp_lstm.tasks.graph_writing`. Rows are beams; those of a
sentence stand together and ask the sentence's memory together.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, cast

import numpy as np

from nlp_lstm.inference.cell_steps import num_states
from nlp_lstm.inference.graph import Graph
from nlp_lstm.inference.layers import STATE_NAMES, Encoded, apply_cells, recurrent
from nlp_lstm.nn.attention import (
    NUM_HEADS,
    AdditiveAttention,
    AlignedAttention,
    Attention,
    DotAttention,
    GeneralAttention,
    MultiHeadAttention,
)
from nlp_lstm.nn.cells import Cell
from nlp_lstm.nn.recurrent import Recurrent
from nlp_lstm.nn.translator import Decoder, Translator

PREFIX = "attention."


class Places(NamedTuple):
    """What a decoder can look at.

    Args:
        outputs: what the encoder made of each place, `batch time features`.
        words: its vector before it was read in its context, `batch time features`; empty where that is not looked at.
        is_real: bool, `batch time`.
    """

    outputs: str
    words: str
    is_real: str


class Looked(NamedTuple):
    """What attention gives.

    Args:
        found: `sentence beam features`: the contexts, and behind them the words looked at; empty where nothing is.
        weights: `sentence beam time`; empty where nothing is weighed.
    """

    found: str = ""
    weights: str = ""


# ---- reading


def translator(graph: Graph, network: Translator) -> None:
    """Add what reads sources: the first state of each, and its memory."""
    lengths = graph.input("lengths", np.int64, ("batch",))
    ids = graph.input("source_ids", np.int64, ("batch", "time"))
    table = "words." if network.own_source_words is None else "own_source_words."
    embedded = _embed(graph, f"{table}tables.0", ids, network.source_words.size)
    by_step = graph.apply("Transpose", embedded, perm=[1, 0, 2])
    encoded = recurrent(graph, network.encoder, "encoder.", by_step, lengths, has_states=False)
    outputs = graph.apply("Transpose", encoded.outputs, perm=[1, 0, 2])
    num_steps = graph.apply("Squeeze", graph.apply("Shape", ids, start=1, end=2), graph.constant([0]))
    steps = graph.apply("Range", graph.constant(0), num_steps, graph.constant(1))
    is_real = graph.apply("Less", graph.unsqueeze(steps, 0), graph.unsqueeze(lengths, 1))
    keep_memory(graph, network, Places(outputs, "" if network.lexical is None else embedded, is_real))
    start(graph, network, last_states(graph, encoded))


def last_states(graph: Graph, encoded: Encoded) -> str:
    """Return where each direction of an encoder's last layer ended, `batch direction*hidden`."""
    return graph.apply("Flatten", graph.apply("Transpose", encoded.states[-1][0], perm=[1, 0, 2]), axis=1)


def keep_memory(graph: Graph, network: Decoder, places: Places) -> None:
    """Add the outputs of what a decoder looks at, in the form that each of its steps takes it."""
    ATTENTIONS[type(network.attention)].keep(graph, network.attention, places)


def start(graph: Graph, network: Decoder, vectors: str) -> None:
    """Add the outputs of the state before the first step.

    Args:
        graph: what is added to.
        network: the decoder.
        vectors: what its layers' states are made of, `batch features`.
    """
    num_rows = graph.apply("Shape", vectors, start=0, end=1)

    def zeros(size: int) -> str:
        shape = graph.apply("Concat", num_rows, graph.constant([size]), axis=0)
        return graph.apply("Expand", graph.constant([[0]], np.float32), shape)

    cells = [next(iter(cast("Iterable[Cell]", layer))) for layer in network.decoder.layers]
    names = [name for layer, cell in enumerate(cells) for name in state_names(cell, layer)]
    parts = [zeros(network.hidden_size) for _ in names] if network.bridge is None else []
    if network.bridge is not None:
        made = graph.apply("Tanh", graph.linear(vectors, "bridge.weight", "bridge.bias"))
        parts = graph.apply_many("Split", [made], len(names), axis=1, num_outputs=len(names))
    for name, part in zip(names, parts, strict=True):
        graph.output(name, part, np.float32, ("batch", network.hidden_size))
    if network.feeds_input:
        graph.output("state.fed", zeros(network.words.size), np.float32, ("batch", network.words.size))
    if isinstance(network.attention, AlignedAttention):
        first = graph.apply("Expand", graph.constant([0]), num_rows)
        graph.output("state.position", first, np.int64, ("batch",))


# ---- one step


def step(graph: Graph, network: Decoder) -> None:
    """Add one step: the last tokens and the state give log-probabilities and the next state."""
    tokens = graph.input("tokens", np.int64, ("row",))
    inputs = _embed(graph, "words.tables.0", tokens, network.words.size)
    if network.feeds_input:
        fed = graph.input("state.fed", np.float32, ("row", network.words.size))
        inputs = graph.apply("Concat", inputs, fed, axis=1)
    queries = add_step(graph, network.decoder, "decoder.", inputs) if len(network.decoder.layers) else ""
    looked = ATTENTIONS[type(network.attention)].look(graph, network.attention, queries, network.lexical is not None)
    contexts, words = _split(graph, network, looked)
    parts = [part for part in (contexts, queries) if part]
    joined = graph.apply("Concat", *parts, axis=1) if len(parts) > 1 else parts[0]
    fed = graph.linear(joined, "combine.weight", "combine.bias")
    fed = graph.apply("Tanh", fed) if network.is_squashed else fed
    if words:
        lexical = graph.linear(graph.apply("Tanh", words), "lexical.weight", "lexical.bias")
        fed = graph.apply("Add", fed, graph.apply("Tanh", lexical))
    if network.feeds_input:
        graph.output("next.state.fed", fed, np.float32, ("row", network.words.size))
    logits = graph.linear(fed, "words.tables.0", "words.bias")
    log_probs = graph.apply("LogSoftmax", logits, axis=1)
    graph.output("log_probabilities", log_probs, np.float32, ("row", network.words.num_words))
    if looked.weights:
        num_places = graph.apply("Shape", looked.weights, start=2, end=3)
        shape = graph.apply("Concat", graph.constant([-1]), num_places, axis=0)
        graph.output("weights", graph.apply("Reshape", looked.weights, shape), np.float32, ("row", "time"))


def _embed(graph: Graph, table: str, ids: str, size: int) -> str:
    return graph.apply("Mul", graph.rows(table, ids), graph.constant(size**0.5, np.float32))


def add_step(graph: Graph, network: Recurrent, prefix: str, inputs: str) -> str:
    """Add one step of recurrent layers, their states in and out, and return what the last one gives, `row hidden`.

    Args:
        graph: what is added to.
        network: the layers, in one direction.
        prefix: of their weights.
        inputs: `row features`.
    """
    for number, layer in enumerate(network.layers):
        (cell,) = cast("Iterable[Cell]", layer)
        names, shape = state_names(cell, number), ("row", cell.hidden_size)
        states = [graph.unsqueeze(graph.input(name, np.float32, shape), 0) for name in names]
        by_step = graph.unsqueeze(inputs, 0)
        _, finals = apply_cells(graph, [cell], f"{prefix}layers.{number}", by_step, "", states)
        stepped = [graph.apply("Squeeze", final, graph.constant([0])) for final in finals]
        for name, state in zip(names, stepped, strict=True):
            graph.output(f"next.{name}", state, np.float32, shape)
        inputs = stepped[0]
    return inputs


def state_names(cell: Cell, layer: int) -> list[str]:
    """Return the names of one layer's states."""
    return [f"state.{layer}.{name}" for name in STATE_NAMES[: num_states(cell)]]


def _split(graph: Graph, network: Decoder, looked: Looked) -> tuple[str, str]:
    """The contexts and the words looked at, each `row features`; empty where there are none."""
    if not looked.found:
        return "", ""
    size = network.attention.context_size
    num_words = 0 if network.lexical is None else network.lexical.in_features
    by_row = graph.apply("Reshape", looked.found, graph.constant([-1, size + num_words]))
    if network.lexical is None:
        return by_row, ""
    contexts, words = graph.apply_many("Split", [by_row, graph.constant([size, num_words])], 2, axis=1)
    return contexts, words


def _by_sentence(graph: Graph, rows: str, memory: str, size: int) -> str:
    """`row features` as `sentence beam features`, for as many sentences as a memory has."""
    num_sentences = graph.apply("Shape", memory, start=0, end=1)
    return graph.apply("Reshape", rows, graph.apply("Concat", num_sentences, graph.constant([-1, size]), axis=0))


# ---- attention


class Kind(NamedTuple):
    """How a kind of attention is written.

    Args:
        keep: adds the outputs that are its memory.
        look: adds its answer to queries, `row features`; the flag says whether the words looked at come too.
    """

    keep: Callable[[Graph, Attention, Places], None]
    look: Callable[[Graph, Attention, str, bool], Looked]


def _keep_nothing(graph: Graph, attention: Attention, places: Places) -> None:
    """Without attention there is no memory."""


def _look_at_nothing(graph: Graph, attention: Attention, queries: str, has_words: bool) -> Looked:
    return Looked()


def _keep_aligned(graph: Graph, attention: Attention, places: Places) -> None:
    graph.output("memory.values", places.outputs, np.float32, ("batch", "time", attention.memory_size))
    graph.output("memory.is_real", graph.cast(places.is_real), np.float32, ("batch", "time"))


def _look_aligned(graph: Graph, attention: Attention, queries: str, has_words: bool) -> Looked:
    position = graph.input("state.position", np.int64, ("row",))
    graph.output("next.state.position", graph.apply("Add", position, graph.constant(1)), np.int64, ("row",))
    values = graph.input("memory.values", np.float32, ("sentence", "time", attention.memory_size))
    is_real = graph.input("memory.is_real", np.float32, ("sentence", "time"))
    num_places = graph.apply("Squeeze", graph.apply("Shape", values, start=1, end=2), graph.constant([0]))
    places = graph.apply("Range", graph.constant(0), num_places, graph.constant(1))
    is_there = graph.cast(graph.apply("Equal", _by_sentence(graph, position, values, 1), places))
    weights = graph.apply("Mul", is_there, graph.unsqueeze(is_real, 1))
    return Looked(graph.apply("MatMul", weights, values), weights)


def _keep_places(graph: Graph, attention: Attention, places: Places, keys: str) -> None:
    """Add what is compared, what is brought back, and what is added to the scores."""
    brought = places.outputs
    if places.words:
        brought = graph.apply("Concat", brought, places.words, axis=2)
    graph.output("memory.brought", brought, np.float32, ("batch", "time", "features"))
    graph.output("memory.keys", keys, np.float32, ("batch", *_key_shape(attention)))
    _keep_mask(graph, places)


def _keep_mask(graph: Graph, places: Places) -> None:
    """Add what is added to scores: nothing, and minus infinity at padding."""
    zero, never = (graph.constant(value, np.float32) for value in (0, -math.inf))
    graph.output("memory.mask", graph.apply("Where", places.is_real, zero, never), np.float32, ("batch", "time"))


def _key_shape(attention: Attention) -> tuple[int | str, int | str]:
    if isinstance(attention, AdditiveAttention):
        return "time", attention.query_size
    return attention.query_size, "time"


def _asked(graph: Graph, attention: Attention, queries: str) -> tuple[str, str, str]:
    """Add the inputs of a memory of places; return the queries by sentence, the keys and the mask."""
    keys = graph.input("memory.keys", np.float32, ("sentence", *_key_shape(attention)))
    mask = graph.unsqueeze(graph.input("memory.mask", np.float32, ("sentence", "time")), 1)
    return _by_sentence(graph, queries, keys, attention.query_size), keys, mask


def _bring(graph: Graph, scores: str) -> Looked:
    """Add the softmax of masked scores, and what it brings back."""
    weights = graph.apply("Softmax", scores, axis=2)
    brought = graph.input("memory.brought", np.float32, ("sentence", "time", "features"))
    return Looked(graph.apply("MatMul", weights, brought), weights)


def _keep_dot(graph: Graph, attention: Attention, places: Places) -> None:
    _keep_places(graph, attention, places, graph.apply("Transpose", places.outputs, perm=[0, 2, 1]))


def _keep_general(graph: Graph, attention: Attention, places: Places) -> None:
    keys = graph.linear(places.outputs, f"{PREFIX}to_keys.weight", None)
    _keep_places(graph, attention, places, graph.apply("Transpose", keys, perm=[0, 2, 1]))


def _look_compared(graph: Graph, attention: Attention, queries: str, has_words: bool) -> Looked:
    asked, keys, mask = _asked(graph, attention, queries)
    return _bring(graph, graph.apply("Add", graph.apply("MatMul", asked, keys), mask))


def _keep_additive(graph: Graph, attention: Attention, places: Places) -> None:
    keys = graph.linear(places.outputs, f"{PREFIX}to_keys.weight", f"{PREFIX}to_keys.bias")
    _keep_places(graph, attention, places, keys)


def _look_additive(graph: Graph, attention: Attention, queries: str, has_words: bool) -> Looked:
    asked, keys, mask = _asked(graph, attention, graph.linear(queries, f"{PREFIX}to_queries.weight", None))
    summed = graph.apply("Add", graph.unsqueeze(asked, 2), graph.unsqueeze(keys, 1))
    scores = graph.apply("MatMul", graph.apply("Tanh", summed), graph.weight(f"{PREFIX}weight"))
    return _bring(graph, graph.apply("Add", scores, mask))


def _heads(graph: Graph, rows: str, size: int, order: Sequence[int]) -> str:
    """`batch place features` as `batch head place part`, or in another order of these four."""
    split = graph.apply("Reshape", rows, graph.constant([0, 0, NUM_HEADS, size // NUM_HEADS]))
    return graph.apply("Transpose", split, perm=[(0, 2, 1, 3)[axis] for axis in order])


def _keep_heads(graph: Graph, attention: Attention, places: Places) -> None:
    size = attention.query_size
    for name, order in (("keys", (0, 1, 3, 2)), ("values", (0, 1, 2, 3))):
        made = graph.linear(places.outputs, f"{PREFIX}to_{name}.weight", f"{PREFIX}to_{name}.bias")
        shape = [("batch", NUM_HEADS, "time", size // NUM_HEADS)[axis] for axis in order]
        graph.output(f"memory.{name}", _heads(graph, made, size, order), np.float32, shape)
    _keep_mask(graph, places)
    if places.words:
        graph.output("memory.words", places.words, np.float32, ("batch", "time", "features"))


def _look_with_heads(graph: Graph, attention: Attention, queries: str, has_words: bool) -> Looked:
    size = attention.query_size
    keys = graph.input("memory.keys", np.float32, ("sentence", NUM_HEADS, size // NUM_HEADS, "time"))
    values = graph.input("memory.values", np.float32, ("sentence", NUM_HEADS, "time", size // NUM_HEADS))
    mask = graph.unsqueeze(graph.input("memory.mask", np.float32, ("sentence", "time")), 1, 2)
    asked = graph.linear(queries, f"{PREFIX}to_queries.weight", f"{PREFIX}to_queries.bias")
    by_head = _heads(graph, _by_sentence(graph, asked, keys, size), size, (0, 1, 2, 3))
    root = graph.constant(math.sqrt(size // NUM_HEADS), np.float32)
    scores = graph.apply("Div", graph.apply("MatMul", by_head, keys), root)
    by_head = graph.apply("Softmax", graph.apply("Add", scores, mask), axis=3)
    contexts = graph.apply("Transpose", graph.apply("MatMul", by_head, values), perm=[0, 2, 1, 3])
    found = graph.apply("Reshape", contexts, graph.constant([0, 0, size]))
    summed = graph.apply("ReduceSum", by_head, graph.constant([1]), keepdims=0)
    weights = graph.apply("Div", summed, graph.constant(NUM_HEADS, np.float32))
    if has_words:
        words = graph.input("memory.words", np.float32, ("sentence", "time", "features"))
        found = graph.apply("Concat", found, graph.apply("MatMul", weights, words), axis=2)
    return Looked(found, weights)


ATTENTIONS: dict[type[Attention], Kind] = {
    Attention: Kind(_keep_nothing, _look_at_nothing),
    AlignedAttention: Kind(_keep_aligned, _look_aligned),
    DotAttention: Kind(_keep_dot, _look_compared),
    GeneralAttention: Kind(_keep_general, _look_compared),
    AdditiveAttention: Kind(_keep_additive, _look_additive),
    MultiHeadAttention: Kind(_keep_heads, _look_with_heads),
}

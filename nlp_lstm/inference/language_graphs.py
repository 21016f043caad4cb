"""How a language model is written as ONNX: reading on as one graph, and a step that writes as another.

What goes from one to the other, and from step to step, is in `nlp_lstm.tasks.graph_writing`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

import numpy as np

from nlp_lstm.inference.decoders import add_step, state_names
from nlp_lstm.inference.graph import Graph
from nlp_lstm.inference.layers import apply_cells, join_directions
from nlp_lstm.nn.cells import Cell
from nlp_lstm.nn.language_model import LanguageModel
from nlp_lstm.nn.softmax import TiedSoftmax, WordTables


def language_model(graph: Graph, network: LanguageModel) -> None:
    """Add what reads on: ids, `batch time`, and the states before them give the states after them."""
    ids = graph.input("ids", np.int64, ("batch", "time"))
    num_rows = graph.apply("Shape", ids, start=0, end=1)
    outputs = graph.apply("Transpose", embed(graph, network.words, ids), perm=[1, 0, 2])
    for number, layer in enumerate(network.encoder.layers):
        (cell,) = cast("Iterable[Cell]", layer)
        size = cell.hidden_size
        names = state_names(cell, number)
        shape = graph.apply("Concat", num_rows, graph.constant([size]), axis=0)
        states = [
            graph.apply("Expand", graph.optional_input(name, np.zeros((1, size), np.float32), (name, size)), shape)
            for name in names
        ]
        begun = [graph.unsqueeze(state, 0) for state in states]
        by_direction, finals = apply_cells(graph, [cell], f"encoder.layers.{number}", outputs, "", begun)
        outputs = join_directions(graph, by_direction, size)
        for name, final in zip(names, finals, strict=True):
            state = graph.apply("Squeeze", final, graph.constant([0]))
            graph.output(f"next.{name}", state, np.float32, ("batch", size))


def language_step(graph: Graph, network: LanguageModel) -> None:
    """Add one step: the last tokens and the states give log-probabilities and the next states."""
    inputs = embed(graph, network.words, graph.input("tokens", np.int64, ("row",)))
    hidden = add_step(graph, network.encoder, "encoder.", inputs)
    outputs = hidden if network.projection is None else graph.linear(hidden, "projection.weight", None)
    log_probs = log_probabilities(graph, network.words, outputs)
    graph.output("log_probabilities", log_probs, np.float32, ("row", network.words.num_words))


def embed(graph: Graph, words: WordTables, ids: str) -> str:
    """Add the vectors of words, whose rows come from one table, or from one for each cluster."""
    vectors = ""
    zero = graph.constant(0)
    for cluster, (start, end) in enumerate(words.bounds):
        place = graph.apply("Sub", ids, graph.constant(start)) if start else ids
        if len(words.bounds) > 1:  # words of other clusters read its first row, which is then passed over
            inside = graph.apply("Where", graph.apply("Less", place, graph.constant(end - start)), place, zero)
            place = graph.apply("Max", inside, zero)
        rows = graph.rows(f"words.tables.{cluster}", place)
        if cluster:
            rows = graph.apply("MatMul", rows, graph.weight(f"words.projections.{cluster - 1}"))
            is_before = graph.unsqueeze(graph.apply("Less", ids, graph.constant(start)), -1)
            rows = graph.apply("Where", is_before, vectors, rows)
        vectors = rows
    return graph.apply("Mul", vectors, graph.constant(words.size**0.5, np.float32))


def log_probabilities(graph: Graph, words: TiedSoftmax, outputs: str) -> str:
    """Add the log-probability of every word, `row vocab`, by a plain or an adaptive softmax."""
    if len(words.bounds) == 1:
        return graph.apply("LogSoftmax", graph.linear(outputs, "words.tables.0", "words.bias"), axis=1)
    sizes = [end - start for start, end in words.bounds]
    biases = graph.apply_many("Split", [graph.weight("words.bias"), graph.constant(sizes)], len(sizes), axis=0)
    table = graph.apply("Concat", graph.weight("words.tables.0"), graph.weight("words.clusters"), axis=0)
    first_bias = graph.apply("Concat", biases[0], graph.weight("words.cluster_bias"), axis=0)
    product = graph.apply("MatMul", outputs, graph.apply("Transpose", table, perm=[1, 0]))
    head = graph.apply("LogSoftmax", graph.apply("Add", product, first_bias), axis=1)
    counts = [sizes[0], *[1] * (len(sizes) - 1)]
    first, *clusters = graph.apply_many("Split", [head, graph.constant(counts)], len(counts), axis=1)
    parts = [first]
    for number, reached in enumerate(clusters, start=1):
        shortened = graph.linear(outputs, f"words.projections.{number - 1}", None)
        rows = graph.apply("Transpose", graph.weight(f"words.tables.{number}"), perm=[1, 0])
        logits = graph.apply("Add", graph.apply("MatMul", shortened, rows), biases[number])
        parts.append(graph.apply("Add", reached, graph.apply("LogSoftmax", logits, axis=1)))
    return graph.apply("Concat", *parts, axis=1)

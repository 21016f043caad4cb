"""Writing a trained network as ONNX into its model folder.

The graph is written from the network's own parts, one function each (see `nlp_lstm.inference.layers`), and not traced:
a trace keeps the length of the example that it saw. Its inputs and outputs are those that the task's reading half
names.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from nlp_lstm.artifacts import GRAPH_NAME, STEP_GRAPH_NAME, WEIGHTS_NAME, copy_model
from nlp_lstm.errors import ConfigError
from nlp_lstm.inference.decoders import step, translator
from nlp_lstm.inference.describer_graphs import captioner, clip_captioner
from nlp_lstm.inference.graph import Graph
from nlp_lstm.inference.language_graphs import language_model, language_step
from nlp_lstm.inference.layers import Outputs, backbone, pooling, recurrent, step_mask
from nlp_lstm.inference.opening import open_model
from nlp_lstm.nn.clips import ClipCaptioner
from nlp_lstm.nn.heads import CRFTagHead
from nlp_lstm.nn.language_model import LanguageModel
from nlp_lstm.nn.pictures import Captioner
from nlp_lstm.nn.series import SeriesNetwork
from nlp_lstm.nn.translator import Translator
from nlp_lstm.stored import StoredTensor, read_header
from nlp_lstm.tasks.classifier import Classifier
from nlp_lstm.tasks.pos import Tagger


def export_model(folder: Path, target: Path | None = None) -> Path:
    """Write ``model.onnx``, and of a network that writes ``step.onnx`` too, into a model folder or a copy of it.

    Args:
        folder: the model.
        target: where the copy goes; default the folder itself.

    Returns:
        The file that is run first.

    Raises:
        ConfigError: the package onnx is not installed, the network has parts that ONNX has no operator for, or the
            target holds anything but a model.
        CheckpointError: the model is damaged.
    """
    target = target or folder
    network = open_model(folder).model
    copy_model(folder, target, write_graphs(network, read_header(folder / WEIGHTS_NAME)))
    return target / GRAPH_NAME


def write_graphs(network: nn.Module, stored: Mapping[str, StoredTensor]) -> dict[str, bytes]:
    """Return the ONNX files of a network by their names.

    Args:
        network: what a task's ``build_model`` made.
        stored: what the weights file beside it holds, by name.

    Raises:
        ConfigError: the package onnx is not installed, or ONNX has no form for a part of the network.
    """
    parts = NETWORKS.get(type(network))
    if parts is None:
        raise ConfigError(
            f"{type(network).__name__} cannot be written as ONNX yet; taggers, classifiers, translators, "
            "language models, describers and models of series can. The engine torch runs this model"
        )
    files = {}
    for name, write in parts.items():
        graph = Graph(stored)
        write(graph, network)
        files[name] = graph.to_bytes()
    return files


def tagger(graph: Graph, network: Tagger) -> None:
    """Add a tagger: for each column the logits, `batch time label`, and with a CRF the scores of its chain.

    Raises:
        ConfigError: it reads the states of language models.
    """
    if network.context is not None:
        raise ConfigError("a tagger that reads language models cannot be written as ONNX yet; use the engine torch")
    lengths = graph.input("lengths", np.int64, ("batch",))
    prefixes = ["", *(f"beside.{number}." for number in range(len(network.beside)))]
    by_network = []
    for one, prefix in zip(network.networks, prefixes, strict=True):
        by_step = backbone(
            graph, one.backbone, f"{prefix}backbone.", lengths=lengths, vectors="backbone.embedding.vectors."
        ).outputs
        by_network.append(graph.apply("Transpose", by_step, perm=[1, 0, 2]))  # batch time features
    for number, head in enumerate(network.heads):
        names = [f"{prefix}heads.{number}.linear." for prefix in prefixes]
        (num_labels,) = graph.shape_of(names[0] + "bias")
        logits = mean_logits(
            graph,
            [
                graph.linear(outputs, name + "weight", name + "bias")
                for outputs, name in zip(by_network, names, strict=True)
            ],
        )
        graph.output(f"logits.{number}", logits, np.float32, ("batch", "time", num_labels))
        if isinstance(head, CRFTagHead):
            for name in ("transitions", "start", "end"):
                shape = (num_labels, num_labels) if name == "transitions" else (num_labels,)
                scores = graph.weight(f"heads.{number}.crf.{name}")
                graph.output(f"{name}.{number}", scores, np.float32, shape)


def mean_logits(graph: Graph, logits: Sequence[str]) -> str:
    """Add the logarithm of several networks' mean probability, `batch time label`; one network's logits stay."""
    if len(logits) == 1:
        return logits[0]
    stacked = [graph.unsqueeze(graph.apply("LogSoftmax", one, axis=2), 0) for one in logits]
    joined = graph.apply("Concat", *stacked, axis=0)
    summed = graph.apply("ReduceLogSumExp", joined, graph.constant([0]), keepdims=0)
    return graph.apply("Sub", summed, graph.constant(math.log(len(logits)), np.float32))


def classifier(graph: Graph, network: Classifier) -> None:
    """Add a classifier: the probabilities of a text's labels, `batch label`, and what its next stretch begins with."""
    lengths = graph.input("lengths", np.int64, ("batch",))
    outputs = backbone(graph, network.backbone, "backbone.", lengths=lengths, has_states=True).outputs
    read = Outputs(values=outputs, is_real=step_mask(graph, outputs, lengths), lengths=lengths)
    vectors = pooling(graph, network.pooling, "pooling.", read)
    logits = graph.linear(vectors, "output.weight", "output.bias")
    scaled = graph.apply("Div", logits, graph.weight("temperature"))
    (num_labels,) = graph.shape_of("output.bias")
    graph.output("probabilities", graph.apply("Softmax", scaled, axis=1), np.float32, ("batch", num_labels))


def series(graph: Graph, network: SeriesNetwork) -> None:
    """Add a model of series: an answer for each step, `batch time answer`, or for each series, `batch answer`."""
    lengths = graph.input("lengths", np.int64, ("batch",))
    parts = []
    if network.num_columns:
        parts.append(graph.input("numbers", np.float32, ("batch", "time", network.num_columns)))
    if network.symbols is not None:
        parts.append(graph.rows("symbols.weight", graph.input("symbols", np.int64, ("batch", "time"))))
    joined = parts[0] if len(parts) == 1 else graph.apply("Concat", *parts, axis=2)
    steps = graph.apply("Transpose", joined, perm=[1, 0, 2])  # time batch features
    outputs = recurrent(graph, network.encoder, "encoder.", steps, lengths, has_states=False).outputs
    (num_answers,) = graph.shape_of("output.bias")
    if network.pooling is None:
        by_row = graph.apply("Transpose", outputs, perm=[1, 0, 2])
        answers = graph.linear(by_row, "output.weight", "output.bias")
        graph.output("answers", answers, np.float32, ("batch", "time", num_answers))
        return
    read = Outputs(values=outputs, is_real=step_mask(graph, outputs, lengths), lengths=lengths)
    vectors = pooling(graph, network.pooling, "pooling.", read)
    graph.output("answers", graph.linear(vectors, "output.weight", "output.bias"), np.float32, ("batch", num_answers))


NETWORKS: dict[type[nn.Module], dict[str, Callable[[Graph, Any], None]]] = {
    Tagger: {GRAPH_NAME: tagger},
    Classifier: {GRAPH_NAME: classifier},
    SeriesNetwork: {GRAPH_NAME: series},
    Captioner: {GRAPH_NAME: captioner, STEP_GRAPH_NAME: step},
    ClipCaptioner: {GRAPH_NAME: clip_captioner, STEP_GRAPH_NAME: step},
    Translator: {GRAPH_NAME: translator, STEP_GRAPH_NAME: step},
    LanguageModel: {GRAPH_NAME: language_model, STEP_GRAPH_NAME: language_step},
}

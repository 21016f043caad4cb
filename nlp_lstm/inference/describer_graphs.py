"""How a network that describes pictures or clips is written as ONNX, up to its decoder."""

from __future__ import annotations

import numpy as np
from torch import nn

from nlp_lstm.errors import ConfigError
from nlp_lstm.inference.decoders import Places, keep_memory, last_states, start
from nlp_lstm.inference.graph import Graph
from nlp_lstm.inference.layers import recurrent
from nlp_lstm.nn.clips import ClipCaptioner, PlaceWeights
from nlp_lstm.nn.pictures import Captioner, ConvolutionEncoder, Describer, FeatureEncoder
from nlp_lstm.nn.settings import PLACES

NUM_PLACES = PLACES * PLACES
_HALVES = np.repeat(np.eye(2), PLACES // 2, axis=0) / (PLACES // 2)  # place half: the means of each half of a side
QUARTERS = np.kron(_HALVES, _HALVES)
"""`place quarter`: what takes the means of the quarters of a square of places, row by row."""


def captioner(graph: Graph, network: Captioner) -> None:
    """Add what looks at pictures: the first state of each, and its memory.

    Raises:
        ConfigError: it reads pictures with a two-dimensional LSTM.
    """
    lengths = graph.input("lengths", np.int64, ("batch",))
    if network.encoder is None:
        _look_at_nothing(graph, network, lengths, network.picture_size, network.start_size)
        return
    if isinstance(network.encoder, FeatureEncoder):
        seen = _features(graph, network.encoder)
        is_real = _is_real(graph, seen, lengths)
        weights = graph.unsqueeze(graph.cast(is_real), 2)
        total = graph.apply("ReduceSum", graph.apply("Mul", seen, weights), graph.constant([1]), keepdims=0)
        vectors = graph.apply("Div", total, graph.apply("ReduceSum", weights, graph.constant([1]), keepdims=0))
        names = ""
    else:
        pixels = graph.input("pixels", np.uint8, ("batch", "height", "width", 3))
        shown = pictures(graph, network, pixels)
        names = _names(graph, network, shown)
        seen = graph.apply("Add", shown, graph.weight("places"))
        is_real = _is_real(graph, seen, lengths)
        by_feature = graph.apply("Transpose", seen, perm=[0, 2, 1])
        quarters = graph.apply("MatMul", by_feature, graph.constant(QUARTERS, np.float32))
        vectors = graph.apply("Flatten", quarters, axis=1)
    keep_memory(graph, network, Places(seen, names, is_real))
    start(graph, network, vectors)


def clip_captioner(graph: Graph, network: ClipCaptioner) -> None:
    """Add what watches clips: the first state of each, and its memory.

    Raises:
        ConfigError: it reads frames with a two-dimensional LSTM.
    """
    lengths = graph.input("lengths", np.int64, ("batch",))
    if network.encoder is None:
        _look_at_nothing(graph, network, lengths, network.memory_size, network.start_size)
        return
    if isinstance(network.encoder, FeatureEncoder):
        seen = _features(graph, network.encoder)
        is_real = _is_real(graph, seen, lengths)
    else:
        seen = _frames(graph, network)
        is_real = _is_real(graph, seen, lengths)
        seen = graph.apply("Where", graph.unsqueeze(is_real, 2), seen, graph.constant(0, np.float32))
    seen = graph.apply("LayerNormalization", seen, graph.weight("norm.weight"), graph.weight("norm.bias"), axis=-1)
    first, all_but_last = (_steps(graph, seen, 0, end) for end in (1, -1))
    change = graph.apply("Sub", seen, graph.apply("Concat", first, all_but_last, axis=1))
    joined = graph.apply("Concat", seen, change, axis=2)
    frames = graph.apply("Relu", graph.linear(joined, "to_frames.weight", "to_frames.bias"))
    frames = graph.apply("Mul", frames, graph.unsqueeze(graph.cast(is_real), 2))
    by_step = graph.apply("Transpose", frames, perm=[1, 0, 2])
    encoded = recurrent(graph, network.over_time, "over_time.", by_step, lengths, has_states=False)
    outputs = graph.apply("Transpose", encoded.outputs, perm=[1, 0, 2])
    keep_memory(graph, network, Places(graph.apply("Concat", outputs, frames, axis=2), "", is_real))
    start(graph, network, last_states(graph, encoded))


def pictures(graph: Graph, network: Describer, pixels: str) -> str:
    """Add the encoder of pictures, `picture height width 3`; return `picture place features`.

    Raises:
        ConfigError: it is a two-dimensional LSTM.
    """
    if not isinstance(network.encoder, ConvolutionEncoder):
        raise ConfigError("a two-dimensional LSTM cannot be written as ONNX yet; use the engine torch")
    scaled = graph.apply("Div", graph.cast(pixels), graph.constant(127.5, np.float32))
    scaled = graph.apply("Sub", scaled, graph.constant(1, np.float32))
    maps = graph.apply("Transpose", scaled, perm=[0, 3, 1, 2])
    for number, layer in enumerate(network.encoder.layers):
        prefix = f"encoder.layers.{number}."
        if isinstance(layer, nn.Conv2d):
            maps = _convolution(graph, layer, prefix, maps)
        elif isinstance(layer, nn.BatchNorm2d):
            kinds = ("weight", "bias", "running_mean", "running_var")
            weights = (graph.weight(prefix + kind) for kind in kinds)
            maps = graph.apply("BatchNormalization", maps, *weights, epsilon=layer.eps)
        else:
            maps = graph.apply("Relu", maps)
    rows = graph.apply("MatMul", _pooling_matrix(graph, maps, 2), maps)
    columns = graph.apply("Transpose", _pooling_matrix(graph, maps, 3), perm=[1, 0])
    squares = graph.apply("MatMul", rows, columns)  # picture features 8 8
    return graph.apply("Transpose", graph.apply("Reshape", squares, graph.constant([0, 0, NUM_PLACES])), perm=[0, 2, 1])


def _names(graph: Graph, network: Captioner, seen: str) -> str:
    """What each place names, `batch place embed`; empty where the decoder is brought no names."""
    return graph.linear(seen, "naming.names.weight", "naming.names.bias") if network.lexical is not None else ""


def _convolution(graph: Graph, layer: nn.Conv2d, prefix: str, maps: str) -> str:
    weight = graph.weight(prefix + "weight")
    sizes = {
        "kernel_shape": list(layer.kernel_size),
        "strides": list(layer.stride),
        "dilations": list(layer.dilation),
        "pads": [int(layer.padding[0])] * 4,
    }
    return graph.apply("Conv", maps, weight, **sizes)


def _pooling_matrix(graph: Graph, maps: str, axis: int) -> str:
    """The matrix `place pixel` that takes means as torch's adaptive pooling does, for as many pixels as there are."""
    size = graph.apply("Squeeze", graph.apply("Shape", maps, start=axis, end=axis + 1), graph.constant([0]))
    places = graph.constant(PLACES)
    begun = graph.apply("Mul", graph.constant(np.arange(PLACES)), size)
    ended = graph.apply("Mul", graph.constant(np.arange(1, PLACES + 1)), size)
    starts = graph.apply("Div", begun, places)
    ends = graph.apply("Div", graph.apply("Add", ended, graph.constant(PLACES - 1)), places)  # rounded up
    pixels = graph.apply("Range", graph.constant(0), size, graph.constant(1))
    zero, one = (graph.constant(value, np.float32) for value in (0, 1))
    is_before_end = graph.apply("Less", pixels, graph.unsqueeze(ends, 1))
    is_before_start = graph.apply("Less", pixels, graph.unsqueeze(starts, 1))
    inside = graph.apply("Where", is_before_start, zero, graph.apply("Where", is_before_end, one, zero))
    counts = graph.cast(graph.unsqueeze(graph.apply("Sub", ends, starts), 1))
    return graph.apply("Div", inside, counts)


def _frames(graph: Graph, network: ClipCaptioner) -> str:
    """What is seen of each frame, `batch time features`."""
    pixels = graph.input("pixels", np.uint8, ("batch", "time", "height", "width", 3))
    one_by_one = graph.apply("Concat", graph.constant([-1]), graph.apply("Shape", pixels, start=2, end=5), axis=0)
    places = pictures(graph, network, graph.apply("Reshape", pixels, one_by_one))
    weighed = graph.apply("Flatten", graph.apply("MatMul", graph.weight("weigh.weight"), places), axis=1)
    size = network.picture_size * PlaceWeights.num_ways
    by_clip = graph.apply("Concat", graph.apply("Shape", pixels, start=0, end=2), graph.constant([size]), axis=0)
    return graph.apply("Reshape", weighed, by_clip)


def _features(graph: Graph, encoder: FeatureEncoder) -> str:
    """What is made of features that another network made."""
    size = encoder.norm.normalized_shape[0]
    given = graph.input("features", np.float32, ("batch", "place", size))
    weights = (graph.weight(f"encoder.norm.{name}") for name in ("weight", "bias"))
    normal = graph.apply("LayerNormalization", given, *weights, axis=-1, epsilon=encoder.norm.eps)
    return graph.apply("Relu", graph.linear(normal, "encoder.linear.weight", "encoder.linear.bias"))


def _look_at_nothing(graph: Graph, network: Describer, lengths: str, size: int, start_size: int) -> None:
    """Add one place of zeros for each."""
    num_rows = graph.apply("Shape", lengths)

    def zeros(*sizes: int) -> str:
        shape = graph.apply("Concat", num_rows, graph.constant(sizes), axis=0)
        return graph.apply("Expand", graph.constant(np.zeros([1] * (1 + len(sizes))), np.float32), shape)

    is_real = graph.apply("Equal", zeros(1), graph.constant(0, np.float32))
    keep_memory(graph, network, Places(zeros(1, size), "", is_real))
    start(graph, network, zeros(start_size))


def _is_real(graph: Graph, rows: str, lengths: str) -> str:
    """Whether each place of `batch place features` is real, `batch place`."""
    num_places = graph.apply("Squeeze", graph.apply("Shape", rows, start=1, end=2), graph.constant([0]))
    places = graph.apply("Range", graph.constant(0), num_places, graph.constant(1))
    return graph.apply("Less", graph.unsqueeze(places, 0), graph.unsqueeze(lengths, 1))


def _steps(graph: Graph, rows: str, begin: int, end: int) -> str:
    """Some steps of `batch time features`."""
    return graph.apply("Slice", rows, *(graph.constant([number]) for number in (begin, end, 1)))

"""An ONNX graph under construction, whose weights stay in the model folder's weights file.

    weights file     codes int8, scales fp32      stored once, as `pack_weights` made them
    graph            Cast, Mul                    the fp32 numbers that arithmetic runs on

The graph names places in the file (ONNX external data), so it is some kilobytes. What is computed from weights alone
ONNX Runtime computes once, when it loads the graph.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from nlp_lstm.artifacts import WEIGHTS_NAME
from nlp_lstm.errors import ConfigError
from nlp_lstm.stored import CODES_SUFFIX, SCALES_SUFFIX, StoredTensor

OPSET = 18
IR_VERSION = 9  # of the file's form; runtimes from 2023 read it


class Graph:
    """Nodes, weights, inputs and outputs, added one after the other. A value is known by its name.

    Args:
        stored: what the weights file holds, by name.

    Raises:
        ConfigError: the package onnx is not installed.
    """

    def __init__(self, stored: Mapping[str, StoredTensor]) -> None:
        try:
            import onnx
        except ImportError as error:
            raise ConfigError('exporting needs the package onnx: pip install "nlp-lstm[export]"') from error
        self._onnx = onnx
        self._stored = stored
        self._nodes: list[Any] = []
        self._num_nodes = 0  # in the graphs inside nodes too, so that names are unique
        self._inputs: dict[str, Any] = {}
        self._outputs: list[Any] = []
        self._initializers: dict[str, Any] = {}
        self._weights: dict[str, str] = {}
        self._constants: dict[tuple[str, tuple[int, ...], bytes], str] = {}

    def apply(self, operator: str, *inputs: str, **attributes: Any) -> str:
        """Add a node with one output, and return its name."""
        return self.apply_many(operator, inputs, 1, **attributes)[0]

    def apply_many(self, operator: str, inputs: Sequence[str], count: int, **attributes: Any) -> list[str]:
        """Add a node with ``count`` outputs, and return their names. An empty input is one left out."""
        name = f"{operator}_{self._num_nodes}"
        outputs = [name if count == 1 else f"{name}.{number}" for number in range(count)]
        self._add(self._onnx.helper.make_node(operator, list(inputs), outputs, name=name, **attributes))
        return outputs

    def _add(self, node: Any) -> None:
        self._nodes.append(node)
        self._num_nodes += 1

    def scan(
        self,
        step: Callable[[list[str], list[str]], tuple[list[str], str]],
        states: Sequence[str],
        inputs: Sequence[str],
        *,
        is_backward: bool,
    ) -> tuple[list[str], str]:
        """Add a loop over the first axis of some inputs.

        Args:
            step: adds what is done at each; from the states before it and its inputs to the states after it, and an
                output. Weights and constants it takes from outside.
            states: the states at first, fp32.
            inputs: the first fp32, further ones bool.
            is_backward: whether the loop goes from the last to the first.

        Returns:
            The states at last, and the outputs of all steps, in the order of the inputs.
        """
        outer, self._nodes = self._nodes, []
        number = self._num_nodes
        before = [f"loop_{number}.state.{place}" for place in range(len(states))]
        given = [f"loop_{number}.input.{place}" for place in range(len(inputs))]
        after, output = step(before, given)
        results = [self.apply("Identity", value) for value in (*after, output)]
        nodes, self._nodes = self._nodes, outer
        helper = self._onnx.helper
        dtypes = [np.float32, *[np.bool_] * (len(inputs) - 1)]
        body = helper.make_graph(
            nodes,
            f"loop_{number}",
            [
                *(self._value_info(name, np.float32, None) for name in before),
                *(self._value_info(name, dtype, None) for name, dtype in zip(given, dtypes, strict=True)),
            ],
            [self._value_info(name, np.float32, None) for name in results],
        )
        found = self.apply_many(
            "Scan",
            [*states, *inputs],
            len(states) + 1,
            body=body,
            num_scan_inputs=len(inputs),
            scan_input_directions=[int(is_backward)] * len(inputs),
            scan_output_directions=[int(is_backward)],
        )
        return found[:-1], found[-1]

    def constant(self, values: Any, dtype: Any = np.int64) -> str:
        """Return the name of a small constant, which the graph holds itself."""
        array = np.asarray(values, dtype=dtype)
        key = (array.dtype.str, array.shape, array.tobytes())
        if key not in self._constants:
            name = f"constant_{len(self._constants)}"
            self._initializers[name] = self._onnx.numpy_helper.from_array(array, name)
            self._constants[key] = name
        return self._constants[key]

    def stored(self, name: str) -> str:
        """Return the name of a tensor as the weights file holds it."""
        if name not in self._initializers:
            found = self._stored[name]
            proto = self._onnx.TensorProto(
                name=name,
                dims=found.shape,
                data_type=self._onnx.helper.np_dtype_to_tensor_dtype(np.dtype(found.dtype)),
                data_location=self._onnx.TensorProto.EXTERNAL,
            )
            for key, value in (("location", WEIGHTS_NAME), ("offset", found.start), ("length", found.num_bytes)):
                proto.external_data.add(key=key, value=str(value))
            self._initializers[name] = proto
        return name

    def shape_of(self, name: str) -> tuple[int, ...]:
        """Return the shape of a weight."""
        return self._stored[name if name in self._stored else name + CODES_SUFFIX].shape

    def weight(self, name: str) -> str:
        """Return the name of a weight in fp32, whatever it is stored in."""
        if name not in self._weights:
            if name in self._stored:
                self._weights[name] = self._as_float(self.stored(name), self._stored[name])
            else:
                codes = self.cast(self.stored(name + CODES_SUFFIX))
                scales = self.unsqueeze(self.stored(name + SCALES_SUFFIX), *range(1, len(self.shape_of(name))))
                self._weights[name] = self.apply("Mul", codes, scales)
        return self._weights[name]

    def rows(self, name: str, ids: str) -> str:
        """Return some rows of a matrix in fp32; only they are made from what is stored."""
        if name in self._stored:
            return self._as_float(self.apply("Gather", self.stored(name), ids, axis=0), self._stored[name])
        codes = self.cast(self.apply("Gather", self.stored(name + CODES_SUFFIX), ids, axis=0))
        scales = self.apply("Gather", self.stored(name + SCALES_SUFFIX), ids, axis=0)
        return self.apply("Mul", codes, self.unsqueeze(scales, -1))

    def input(self, name: str, dtype: Any, shape: Sequence[str | int]) -> str:
        """Add an input, once; a dimension that is a name is free."""
        self._inputs.setdefault(name, self._value_info(name, dtype, shape))
        return name

    def optional_input(self, name: str, default: np.ndarray, shape: Sequence[str | int]) -> str:
        """Add an input that may be left out."""
        self._initializers[name] = self._onnx.numpy_helper.from_array(default, name)
        return self.input(name, default.dtype, shape)

    def output(self, name: str, value: str, dtype: Any, shape: Sequence[str | int]) -> None:
        """Make a value an output under a name of its own."""
        self._add(self._onnx.helper.make_node("Identity", [value], [name], name=f"output {name}"))
        self._outputs.append(self._value_info(name, dtype, shape))

    def cast(self, value: str, dtype: Any = np.float32) -> str:
        """Return the value in another type."""
        return self.apply("Cast", value, to=self._onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))

    def unsqueeze(self, value: str, *axes: int) -> str:
        """Return the value with axes of size 1 put in."""
        return self.apply("Unsqueeze", value, self.constant(axes))

    def linear(self, inputs: str, weight: str, bias: str | None) -> str:
        """Return ``inputs @ weight.T + bias`` of two weights by their names in the file."""
        product = self.apply("MatMul", inputs, self.apply("Transpose", self.weight(weight), perm=[1, 0]))
        return product if bias is None else self.apply("Add", product, self.weight(bias))

    def to_bytes(self) -> bytes:
        """Return the checked file.

        Raises:
            onnx.checker.ValidationError: a node is not as the standard says.
        """
        from nlp_lstm import __version__

        helper = self._onnx.helper
        graph = helper.make_graph(
            self._nodes, "network", list(self._inputs.values()), self._outputs, list(self._initializers.values())
        )
        model = helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=IR_VERSION,
            producer_name="nlp_lstm",
            producer_version=__version__,
        )
        content: bytes = model.SerializeToString(deterministic=True)
        return content

    def _as_float(self, value: str, stored: StoredTensor) -> str:
        return value if stored.dtype == "float32" else self.cast(value)

    def _value_info(self, name: str, dtype: Any, shape: Sequence[str | int] | None) -> Any:
        tensor_type = self._onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
        return self._onnx.helper.make_tensor_value_info(name, tensor_type, None if shape is None else list(shape))

"""Engines: what runs a model's network. One contract, three of them; see `nlp_lstm.inference.torch_engine` for torch's.

An engine is opened on a model folder. It predicts examples; how texts become examples, and predictions results, its
predictor knows. This module needs no torch, and neither does predicting with `OnnxEngine` and `CompiledEngine`.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Timer
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np

from nlp_lstm.artifacts import GRAPH_NAME, WEIGHTS_NAME, ModelConfig, read_folder
from nlp_lstm.errors import CheckpointError, ConfigError, NlpLstmError, nearest_hint, shorten
from nlp_lstm.inference.checks import LOOP, CheckedGraph, check_graph
from nlp_lstm.inference.interpreter import SUPPORTED, Interpreter
from nlp_lstm.inference.kernel import build_kernel, load_kernel
from nlp_lstm.settings import parse_settings
from nlp_lstm.stored import read_header
from nlp_lstm.tasks.predictor import ArrayPredictor, Arrays, PredictBatch, Predictor, predict_in_batches, predictors

EngineName = Literal["auto", "torch", "onnx", "compiled"]
ENGINES = ("auto", "torch", "onnx", "compiled")
_PRECISIONS = {"torch": ("fp32", "bf16"), "onnx": ("fp32",), "compiled": ("fp32", "int8")}
MISFITS = (KeyError, ValueError, IndexError, TypeError, AttributeError, MemoryError, ArithmeticError)
"""What running a graph raises where its parts do not fit."""
LONGEST_LOOP = 300.0  # seconds for a batch
FATAL = 4  # of ONNX Runtime's messages only these are printed; errors are raised anyway


class Engine(ABC):
    """A model's network, ready to predict.

    Args:
        predictor: how examples are read and predictions made.
        config: the model's config.json.
    """

    name: ClassVar[str]

    def __init__(self, predictor: Predictor, config: ModelConfig) -> None:
        self.predictor = predictor
        self.config = config

    @abstractmethod
    def predict(
        self, examples: Sequence[Any], *, batch_tokens: int, options: Mapping[str, Any] | None = None
    ) -> list[Any]:
        """Return one prediction per example, in their order.

        Args:
            examples: what to predict.
            batch_tokens: tokens per batch, padding included; predictions do not depend on it.
            options: the task's own; None where the examples are evaluated and not used.
        """


class GraphEngine(Engine):
    """A model whose network is the graphs that it carries, functions from arrays to arrays.

    Args:
        predictor: how examples are read and predictions made.
        config: the model's config.json.
    """

    predictor: ArrayPredictor

    def __init__(self, predictor: ArrayPredictor, config: ModelConfig) -> None:
        super().__init__(predictor, config)
        self._num_threads = _num_threads()

    @abstractmethod
    def run(self, arrays: Arrays, graph: str = GRAPH_NAME) -> Arrays:
        """Return what one of the network's graphs makes of arrays.

        Args:
            arrays: its inputs, and possibly others that it does not read.
            graph: its name.

        Raises:
            CheckpointError: the graph needs others, or fails on them.
        """

    def predict(
        self, examples: Sequence[Any], *, batch_tokens: int, options: Mapping[str, Any] | None = None
    ) -> list[Any]:
        return predict_in_batches(
            self.predictor,
            examples,
            predict_batch=lambda pieces: self.predictor.predict_arrays(self.run, pieces, **(options or {})),
            predict_long=lambda piece: self.predictor.predict_long_arrays(self.run, piece),
            batch_tokens=self.predictor.tokens_at_once(batch_tokens, options or {}),
            run_all=self._run_all,
        )

    def _run_all(self, predict_batch: PredictBatch, batches: Iterable[Sequence[Any]]) -> Iterable[Sequence[Any]]:
        """Run batches side by side, one a thread: two threads that share each product of a step gain little."""
        waiting = list(batches)
        if min(self._num_threads, len(waiting)) < 2:
            return map(predict_batch, waiting)
        pool = ThreadPoolExecutor(self._num_threads)
        try:
            return list(pool.map(predict_batch, waiting))
        finally:
            pool.shutdown(cancel_futures=True)  # which matters where one failed or Ctrl-C was pressed

    def _check_inputs(self, graph: str, needed: Set[str], arrays: Arrays) -> None:
        if missing := needed - arrays.keys():
            raise CheckpointError(
                f"{graph} asks for {', '.join(sorted(missing))}; the task gives {', '.join(sorted(arrays))}. "
                "Write it again with `nlp-lstm export`"
            )


class OnnxEngine(GraphEngine):
    """ONNX Runtime on the processor, in fp32.

    Args:
        predictor: how examples are read and predictions made.
        config: the model's config.json.
        sessions: that of each graph, by its name.
    """

    name: ClassVar[str] = "onnx"

    def __init__(self, predictor: ArrayPredictor, config: ModelConfig, sessions: Mapping[str, _Session]) -> None:
        super().__init__(predictor, config)
        self._sessions = sessions

    @classmethod
    def open(cls, folder: Path) -> OnnxEngine:
        """Open a model folder that has the graphs of its task.

        Raises:
            CheckpointError: the folder is damaged, or its graph is not one of ours.
            ImportError: ONNX Runtime is not installed.
        """
        import onnxruntime

        found = open_graph(folder)
        # The tensors are handed over, once for all graphs, so that ONNX Runtime opens no file.
        read = {weight for graph in found.graphs.values() for weight in graph.checked.weights}
        handed = {name: onnxruntime.OrtValue.ortvalue_from_numpy(np.array(found.weights[name])) for name in read}
        sessions = {}
        for name, graph in found.graphs.items():
            weights = graph.checked.weights
            options = onnxruntime.SessionOptions()
            options.log_severity_level = FATAL
            options.intra_op_num_threads = 1  # see _run_all
            try:
                options.add_external_initializers(weights, [handed[weight] for weight in weights])
                session = onnxruntime.InferenceSession(graph.content, options, providers=["CPUExecutionProvider"])
            except _failures() as error:
                raise CheckpointError(f"{graph.path} is no graph that ONNX Runtime can run: {error}") from error
            has_loops = any(node.operator == LOOP for node in graph.checked.nodes)
            sessions[name] = _Session(session, has_loops=has_loops)
        return cls(found.predictor, found.config, sessions)

    def run(self, arrays: Arrays, graph: str = GRAPH_NAME) -> Arrays:
        session = self._sessions[graph]
        self._check_inputs(graph, session.needed, arrays)
        feeds = {name: array for name, array in arrays.items() if name in session.known}
        try:
            outputs = session.run(feeds)
        except _failures() as error:
            raise CheckpointError(f"{graph} failed: {shorten(str(error), 300)}") from error
        return dict(zip(session.outputs, outputs, strict=True))


class _Session:
    """ONNX Runtime's session of a graph, and the names of what goes in and comes out.

    Args:
        session: of the graph.
        has_loops: whether it holds loops, which are ended after `LONGEST_LOOP` seconds: of nothing they can turn for
            ever.
    """

    def __init__(self, session: Any, *, has_loops: bool) -> None:
        self._session = session
        self._has_loops = has_loops
        self.needed = {value.name for value in session.get_inputs()}
        self.known = self.needed | {value.name for value in session.get_overridable_initializers()}
        self.outputs = [value.name for value in session.get_outputs()]

    def run(self, feeds: Arrays) -> list[Any]:
        """Return the outputs, in their order."""
        if not self._has_loops:
            found: list[Any] = self._session.run(self.outputs, feeds)
            return found
        import onnxruntime

        options = onnxruntime.RunOptions()
        watch = Timer(LONGEST_LOOP, setattr, (options, "terminate", True))
        watch.daemon = True
        watch.start()
        try:
            found = self._session.run(self.outputs, feeds, options)
        finally:
            watch.cancel()
        return found


class CompiledEngine(GraphEngine):
    """The compiled kernel for LSTMs, and numpy for the rest of the graph.

    Args:
        predictor: how examples are read and predictions made.
        config: the model's config.json.
        network: the graph, ready to run.
        graph: what it says of itself.
    """

    name: ClassVar[str] = "compiled"

    def __init__(
        self, predictor: ArrayPredictor, config: ModelConfig, network: Interpreter, graph: CheckedGraph
    ) -> None:
        super().__init__(predictor, config)
        self._network = network
        self._inputs = set(graph.inputs) - graph.constants.keys()

    @classmethod
    def open(cls, folder: Path, *, precision: str = "fp32") -> CompiledEngine:
        """Open a model folder that has a graph, and build the kernel if this machine has none yet.

        Args:
            folder: the model folder.
            precision: "fp32" or "int8".

        Raises:
            CheckpointError: the folder is damaged, or its graph is not one of ours.
            ConfigError: the kernel cannot be built, has no int8 on this processor, or is not for this network.
        """
        kernel = load_kernel()
        if kernel is None:
            build_kernel()
            kernel = load_kernel()
        if kernel is None:
            raise ConfigError("the compiled kernel was built, but cannot be loaded; use another engine")
        if precision == "int8" and not kernel.has_int8:
            raise ConfigError("precision is int8, for which this processor has no instructions (AVX-512 VNNI)")
        found = open_graph(folder)
        if unknown := {node.operator for node in found.graph.nodes} - SUPPORTED:
            raise ConfigError(f'the compiled engine does not run {", ".join(sorted(unknown))}; use engine="onnx"')
        try:
            network = Interpreter(
                found.graph, found.weights, kernel, is_int8=precision == "int8", num_threads=_num_threads()
            )
        except MISFITS as error:
            path = found.graphs[GRAPH_NAME].path
            raise CheckpointError(f"{path} is no graph that can be run: {shorten(str(error), 300)}") from error
        return cls(found.predictor, found.config, network, found.graph)

    def run(self, arrays: Arrays, graph: str = GRAPH_NAME) -> Arrays:
        self._check_inputs(graph, self._inputs, arrays)
        try:
            return self._network.run(arrays)
        except MISFITS as error:
            raise CheckpointError(f"{GRAPH_NAME} failed: {shorten(str(error), 300)}") from error


class GraphFile(NamedTuple):
    """A graph of a model folder, checked.

    Args:
        path: of the file.
        content: its bytes.
        checked: what it says of itself.
    """

    path: Path
    content: bytes
    checked: CheckedGraph


class OpenGraph(NamedTuple):
    """A model folder with the graphs of its task, checked.

    Args:
        predictor: how examples are read and predictions made.
        config: the model's config.json.
        graphs: by the names of their files.
        weights: the tensors of the weights file as they are stored, by name.
    """

    predictor: ArrayPredictor
    config: ModelConfig
    graphs: Mapping[str, GraphFile]
    weights: Arrays

    @property
    def graph(self) -> CheckedGraph:
        """What the first graph says of itself, which of most tasks is the only one."""
        return self.graphs[GRAPH_NAME].checked


def open_graph(folder: Path) -> OpenGraph:
    """Read and check a model folder that has the graphs of its task.

    Raises:
        CheckpointError: the folder is damaged, or a graph is not one of ours.
    """
    found = read_folder(folder)
    try:
        predictor_type = predictors.get(found.config.task)
        settings = parse_settings(predictor_type.settings_type, found.config.model, "config.json: model")
        predictor = predictor_type.from_folder(settings, found.vocabulary, found.vocabulary_files)
    except NlpLstmError as error:
        raise CheckpointError(f"{folder}: {error}") from error
    weights_path = found.path / WEIGHTS_NAME
    stored = read_header(weights_path)
    graphs = {}
    for name in predictor.graphs:
        path = found.path / name
        graph = path.read_bytes()
        graphs[name] = GraphFile(path, graph, check_graph(path, graph, stored))
    content = weights_path.read_bytes()
    weights = {name: tensor.read(content) for name, tensor in stored.items()}
    check_weights(weights_path, predictor, weights)
    return OpenGraph(predictor, found.config, graphs, weights)


def check_weights(path: Path, predictor: ArrayPredictor, weights: Arrays) -> None:
    """Check the numbers that a network computes with.

    Args:
        path: of the weights file, for messages.
        predictor: knows what else holds for its network.
        weights: the tensors as stored, by name.

    Raises:
        CheckpointError: one is not finite, or not what the network takes.
    """
    for name, weight in weights.items():
        if weight.dtype.kind == "f" and not np.isfinite(weight).all():
            raise CheckpointError(f"{path}: {shorten(name)} holds numbers that are not finite; train anew")
    try:
        predictor.check_weights(weights)
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from error


def choose_engine(
    wanted: str, config: ModelConfig, *, precision: str = "fp32", device: str = "auto", num_models: int = 1
) -> str:
    """Return "onnx", "torch" or "compiled": for "auto" the first of them that can run the model in the precision.

    Args:
        wanted: one of `ENGINES`.
        config: the model's config.json.
        precision: of the arithmetic.
        device: where it runs.
        num_models: how many answer together.

    Raises:
        ConfigError: there is no such engine, or it was asked for and cannot run the model.
    """
    if wanted not in ENGINES:
        raise ConfigError(
            f'engine is "{wanted}"; known engines: {", ".join(ENGINES)}.{nearest_hint(str(wanted), ENGINES)}'
        )
    reason = ""
    for name in ("onnx", "torch", "compiled") if wanted == "auto" else (wanted,):
        reason = _obstacle(name, config, precision, device, num_models)
        if not reason:
            return name
    remedy = "" if precision == "int8" else '; or use engine="torch"'
    raise ConfigError(f'engine is "{wanted}", but {reason}{remedy}')


def _obstacle(engine: str, config: ModelConfig, precision: str, device: str, num_models: int) -> str:
    """Why an engine cannot run a model; empty where it can."""
    if precision not in _PRECISIONS[engine]:
        return f"it computes in {' or '.join(_PRECISIONS[engine])} and precision is {precision}"
    if engine == "torch":
        return ""
    if config.task not in predictors:
        return f"models of the task {config.task} run with torch only"
    graphs = predictors.get(config.task).graphs
    if missing := [name for name in graphs if name not in config.files]:
        return f"the model has no {' and no '.join(missing)}; write it with `nlp-lstm export`"
    if num_models > 1:
        return "several models answer together with torch only"
    if device not in ("auto", "cpu"):
        return f"it runs on the processor and device is {device}; leave device out"
    if engine == "compiled":
        if len(graphs) > 1:
            return f"it runs networks of one graph, and those of the task {config.task} have {len(graphs)}"
        cell = config.model.get("cell", "lstm")
        return "" if cell == "lstm" else f"it runs LSTMs, and the cell is {cell}"
    try:
        import onnxruntime  # noqa: F401
    except ImportError as error:
        return f"ONNX Runtime cannot be imported ({error}); pip install onnxruntime"
    return ""


def _num_threads() -> int:
    """As many as torch would take: OMP_NUM_THREADS, or one for each core that this process may use."""
    chosen = os.environ.get("OMP_NUM_THREADS", "")
    if chosen.isdecimal() and int(chosen):
        return int(chosen)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _failures() -> tuple[type[Exception], ...]:
    """The errors that ONNX Runtime raises for what is wrong with a graph or its inputs."""
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    names = ("Fail", "InvalidArgument", "InvalidGraph", "InvalidProtobuf", "NotImplemented", "RuntimeException")
    return (*(getattr(state, name) for name in names), RuntimeError, ValueError)

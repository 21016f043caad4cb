"""Translators as two graphs: the same translations as torch, for every kind of attention, cell and shape."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from nlp_lstm.artifacts import GRAPH_NAME, STEP_GRAPH_NAME, copy_model
from nlp_lstm.data.example import ParallelExample
from nlp_lstm.errors import CheckpointError, ConfigError
from nlp_lstm.inference.engines import OnnxEngine
from nlp_lstm.inference.export import export_model
from nlp_lstm.inference.torch_engine import TorchEngine
from nlp_lstm.nn.settings import UNWEIGHTED, attentions
from nlp_lstm.pipeline import Pipeline
from nlp_lstm.tasks.graph_writing import begin
from nlp_lstm.tasks.translation import Translated
from tests.inference.networks import language_folder, random_rows, translation_folder
from tests.inference.test_onnx import rewrite
from tests.samples import bundled_model, corpus_file

TOLERANCE = 1e-4  # of scores, which are sums of a dozen log-probabilities
GRID = [[1], [1, 1, 1], [5, 3, 8], [13, 1, 2, 6]]
"""Words of the sources of one batch each."""

NETWORKS: dict[str, dict[str, Any]] = {
    "additive": {"attention": "additive"},
    "dot": {"attention": "dot"},
    "general": {"attention": "general"},
    "multi-head": {"attention": "multi-head"},
    "aligned": {"attention": "aligned"},
    "none": {"attention": "none"},
    "general without words": {"attention": "general", "lexical": False},
    "multi-head without words": {"attention": "multi-head", "lexical": False},
    "word by word": {"attention": "aligned", "decoder_layers": 0, "input_feeding": False},
    "nothing fed back": {"input_feeding": False},
    "three layers": {"decoder_layers": 3, "layers": 1},
    "one direction": {"bidirectional": False},
    "linear": {"combined": "linear"},
    "gru": {"cell": "gru"},
    "rnn": {"cell": "rnn"},
    "mogrifier": {"cell": "mogrifier"},
    "minlstm": {"cell": "minlstm", "decoder_layers": 2},
    "separate vocabularies": {"vocabularies": "separate", "source_embed": 5},
}
OPTIONS: dict[str, dict[str, Any]] = {
    "greedy": {"num_beams": 1},
    "beams": {"num_beams": 4, "num_return_sequences": 3},
    "no repetition": {"num_beams": 2, "no_repeat_ngram_size": 2},
    "attention": {"num_beams": 2, "attention": True},
    "coverage": {"num_beams": 3, "coverage_penalty": 0.4},
}


def sources(lengths: list[int], seed: int) -> list[ParallelExample]:
    rows = random_rows(lengths, seed)
    return [ParallelExample(source=" ".join([*row, "{name}"] if seed % 2 else row)) for row in rows]


def check_same(found: list[Translated], expected: list[Translated]) -> None:
    assert [one.texts for one in found] == [one.texts for one in expected]
    for one, other in zip(found, expected, strict=True):
        assert one.scores == pytest.approx(other.scores, abs=TOLERANCE)
        assert (one.is_cut, one.source_pieces, one.target_pieces) == (
            other.is_cut,
            other.source_pieces,
            other.target_pieces,
        )
        np.testing.assert_allclose(one.weights, other.weights, atol=1e-5)


def check_translator(folder: Path, options: dict[str, Any]) -> None:
    """Check that both engines translate alike over the grid, alone, in batches and with further padding."""
    export_model(folder)
    torch_engine, engine = TorchEngine(folder), OnnxEngine.open(folder)
    engine.predictor.check_options(**options)
    asked = {"max_new_tokens": 12, **options}
    for seed, lengths in enumerate(GRID):
        examples = sources(lengths, seed)
        expected = torch_engine.predict(examples, batch_tokens=100_000, options=asked)
        check_same(engine.predict(examples, batch_tokens=100_000, options=asked), expected)
        check_same(engine.predict(examples, batch_tokens=1, options=asked), expected)
        check_same(engine.predictor.predict_arrays(engine.run, examples, pad_to=60 + seed, **asked), expected)


@pytest.mark.parametrize(
    ("network", "options"),
    [
        *((network, "beams") for network in NETWORKS),
        *((network, "greedy") for network in ("additive", "aligned", "none")),
    ],
)
def test_every_network_translates_as_torch_does(tmp_path, network, options):
    check_translator(translation_folder(tmp_path / "model", NETWORKS[network]), OPTIONS[options])


@pytest.mark.parametrize("options", ["no repetition", "attention", "coverage"])
@pytest.mark.parametrize("network", ["general", "additive", "multi-head"])
def test_every_option_finds_what_it_finds_with_torch(tmp_path, network, options):
    check_translator(translation_folder(tmp_path / "model", NETWORKS[network]), OPTIONS[options])


@pytest.mark.parametrize("precision", ["fp16", "int8"])
def test_weights_are_read_however_they_are_stored(tmp_path, monkeypatch, precision):
    monkeypatch.setattr("nlp_lstm.weights.SMALLEST_QUANTISED", 8)  # so that the small matrices are rounded too
    check_translator(translation_folder(tmp_path / "model", {}, precision), OPTIONS["beams"])


def test_a_bundled_translator_says_the_same_with_both_engines():
    folder = bundled_model("translate-en-de")
    lines = gzip.decompress(corpus_file("multi30k/val.en.gz").read_bytes()).decode("utf-8").splitlines()[:40]
    fast, reference = Pipeline(folder), Pipeline(folder, engine="torch")
    assert fast.info["engine"] == "onnx"
    assert fast.predict(lines) == reference.predict(lines)
    assert [fast.predict(line) for line in lines[:5]] == fast.predict(lines)[:5]


def test_a_translator_without_one_of_its_graphs_runs_with_torch(tmp_path):
    folder = translation_folder(tmp_path / "model")
    assert Pipeline(folder).info["engine"] == "torch"
    export_model(folder)
    assert Pipeline(folder).info["engine"] == "onnx"
    with pytest.raises(ConfigError, match="runs networks of one graph, and those of the task translate have 2"):
        Pipeline(folder, engine="compiled")
    config = json.loads((folder / "config.json").read_text())
    del config["files"][STEP_GRAPH_NAME]
    (folder / "config.json").write_text(json.dumps(config))
    (folder / STEP_GRAPH_NAME).unlink()
    assert Pipeline(folder).info["engine"] == "torch"
    with pytest.raises(ConfigError, match=r"the model has no step\.onnx; write it with `nlp-lstm export`"):
        Pipeline(folder, engine="onnx")


def test_graphs_that_do_not_fit_each_other_are_no_model(tmp_path):
    folder, other = translation_folder(tmp_path / "model"), translation_folder(tmp_path / "other", {"hidden": 10})
    for one in (folder, other):
        export_model(one)
    copy_model(folder, tmp_path / "mixed", {GRAPH_NAME: (folder / STEP_GRAPH_NAME).read_bytes()})
    with pytest.raises(CheckpointError, match=r"model\.onnx asks for"):
        Pipeline(tmp_path / "mixed").predict("A dog.")
    engine = OnnxEngine.open(folder)
    arrays = {"source_ids": np.array([[5, 3]]), "lengths": np.array([2])}
    with pytest.raises(CheckpointError, match="as state"):
        begin(engine.run(arrays), 2)
    with pytest.raises(CheckpointError, match=r"step\.onnx asks for memory\.brought"):
        engine.run({"tokens": np.array([2])}, STEP_GRAPH_NAME)
    state = begin(engine.run(arrays), 1)
    rows = {name: np.repeat(array, 2, axis=1) for name, array in state.rows.items()}
    with pytest.raises(CheckpointError, match=r"step\.onnx failed"):
        engine.run({"tokens": np.array([2]), **rows, **state.sentences}, STEP_GRAPH_NAME)


def change_step(folder: Path, change: Callable[[Any], None]) -> Path:
    """Change the graph of a step as an attacker would, with checksums that fit."""
    model = onnx.ModelProto()
    model.ParseFromString((folder / STEP_GRAPH_NAME).read_bytes())
    change(model.graph)
    rewrite(folder, STEP_GRAPH_NAME, model.SerializeToString())
    return folder


def replace_output(name: str, *nodes: tuple[str, list[str], dict[str, Any]]) -> Callable[[Any], None]:
    """Let other nodes make an output of what it was."""

    def change(graph: Any) -> None:
        made = next(node for node in graph.node if name in node.output)
        made.output[0] = "before"
        last = "before"
        for number, (operator, others, attributes) in enumerate(nodes):
            following = name if number == len(nodes) - 1 else f"changed.{number}"
            graph.node.append(onnx.helper.make_node(operator, [last, *others], [following], **attributes))
            last = following

    return change


DAMAGES: dict[str, Callable[[Any], None]] = {
    "whole numbers": replace_output("log_probabilities", ("Cast", [], {"to": 7})),
    "texts": replace_output("log_probabilities", ("Cast", [], {"to": 8})),
    "not a number": replace_output("log_probabilities", ("Sub", ["before"], {}), ("Div", ["changed.0"], {})),
    "another shape": replace_output("log_probabilities", ("Transpose", [], {"perm": [1, 0]})),
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("write", [translation_folder, language_folder])
def test_a_step_that_gives_no_probabilities_is_one_clear_error(tmp_path, damage, write):
    folder = write(tmp_path / "model")
    export_model(folder)
    change_step(folder, DAMAGES[damage])
    for options in ({"num_beams": 1}, {"num_beams": 3}):
        with pytest.raises(CheckpointError):
            Pipeline(folder, engine="onnx").predict("A dog runs.", max_new_tokens=5, **options)


def test_weights_of_attention_that_are_no_numbers_are_one_clear_error(tmp_path):
    folder = translation_folder(tmp_path / "model")
    export_model(folder)
    change_step(folder, replace_output("weights", ("Sub", ["before"], {}), ("Div", ["changed.0"], {})))
    with pytest.raises(CheckpointError, match="weights that are none"):
        Pipeline(folder).predict("A dog runs.", max_new_tokens=5, attention=True)


def test_a_loop_that_does_not_end_is_ended(tmp_path, monkeypatch):
    monkeypatch.setattr("nlp_lstm.inference.engines.LONGEST_LOOP", 0.5)
    folder = translation_folder(tmp_path / "model")
    export_model(folder)

    def add_loop(graph: Any) -> None:
        helper, numbers = onnx.helper, onnx.TensorProto.FLOAT
        for name, values in (("endless.shape", [2**40, 0]), ("endless.one", [1])):
            graph.initializer.append(onnx.numpy_helper.from_array(np.array(values, np.int64), name))
        zero = onnx.numpy_helper.from_array(np.zeros((1, 0), np.float32), "endless.zero")
        graph.initializer.append(zero)
        graph.node.append(helper.make_node("Expand", ["endless.zero", "endless.shape"], ["endless"]))
        body = helper.make_graph(
            [helper.make_node("Identity", ["state"], ["after"]), helper.make_node("Identity", ["given"], ["kept"])],
            "turn",
            [helper.make_tensor_value_info(name, numbers, None) for name in ("state", "given")],
            [helper.make_tensor_value_info(name, numbers, None) for name in ("after", "kept")],
        )
        loop = helper.make_node("Scan", ["before", "endless"], ["log_probabilities", "nothing"], body=body)
        loop.attribute.append(helper.make_attribute("num_scan_inputs", 1))
        next(node for node in graph.node if "log_probabilities" in node.output).output[0] = "before"
        graph.node.append(loop)

    change_step(folder, add_loop)
    with pytest.raises(CheckpointError, match=r"step\.onnx failed"):
        Pipeline(folder, engine="onnx").predict("A dog runs.")


@pytest.mark.parametrize("shape", [[1] * 65, [2**62, 0], [2**33, 2**33, 0], [2**40, 0]])
def test_constants_of_absurd_shapes_are_refused(tmp_path, shape):
    folder = translation_folder(tmp_path / "model")
    export_model(folder)
    change_step(folder, lambda graph: graph.initializer.add(name="odd", data_type=1, dims=shape, raw_data=b""))
    with pytest.raises(CheckpointError, match="which is not accepted"):
        Pipeline(folder, engine="onnx")


def test_kinds_of_attention_without_weights_are_those_that_have_none():
    assert set(UNWEIGHTED) == {name for name in attentions if not attentions.get(name).has_weights}

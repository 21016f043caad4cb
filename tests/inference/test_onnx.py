from __future__ import annotations

import hashlib
import itertools
import json
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from networks import classification_folder, random_rows, tagging_folder
from samples import bundled_model, corpus_file

from nlp_lstm.artifacts import GRAPH_NAME, WEIGHTS_NAME
from nlp_lstm.data.example import LabelledExample, TaggedExample
from nlp_lstm.data.readers import read_conllu
from nlp_lstm.errors import CheckpointError, ConfigError
from nlp_lstm.inference.engines import OnnxEngine
from nlp_lstm.inference.export import export_model, write_graphs
from nlp_lstm.inference.torch_engine import TorchEngine
from nlp_lstm.nn.context import FrozenReader, ReaderSettings
from nlp_lstm.nn.settings import cells
from nlp_lstm.pipeline import Pipeline
from nlp_lstm.stored import read_header
from nlp_lstm.tasks.pos import Tagger
from nlp_lstm.text.document import Document
from nlp_lstm.weights import load_model

TOLERANCE = 1e-5  # of probabilities in fp32; sums run in another order
GRID = [[1], [1, 1, 1], [2, 1], [5, 3, 8], [13, 1, 2, 6], [1, 31, 4]]
"""Lengths of the rows of one batch each."""

VECTORS = {"vectors": ["made-up"]}
EMBEDDINGS: dict[str, dict[str, Any]] = {
    "words, characters and affixes": {},
    "vectors of 8 bits": VECTORS,
    "vectors of 4 bits, an odd number of features": {**VECTORS, "vector_bits": 4},
    "changes of vectors": {**VECTORS, "words": "tuned", "vector_bits": 4, "characters": "none", "affix_size": 0},
    "one-hot words": {"words": "one-hot", "characters": "none", "affix_size": 0},
    "characters alone": {"words": "none", "affix_size": 0},
    "filters over characters": {"characters": "cnn"},
    "affixes alone in lower case": {"words": "none", "characters": "none", "lower_case": True},
}
NETWORKS: dict[str, dict[str, Any]] = {
    "lstm": {},
    "gru": {"cell": "gru"},
    "rnn": {"cell": "rnn", "layers": 1},
    "lstm, one direction": {"bidirectional": False},
    "gru, one direction, three layers": {"cell": "gru", "bidirectional": False, "layers": 3},
    **{
        f"{cell}, {'two directions' if layers == 2 else 'one direction'}": {
            "cell": cell,
            "layers": layers,
            "bidirectional": layers == 2,
        }
        for cell in cells
        if cell not in ("lstm", "gru", "rnn")
        for layers in (1, 2)
    },
    "window": {"encoder": "window"},
    "no encoder": {"encoder": "none"},
}
SIDE_BY_SIDE: dict[str, dict[str, Any]] = {
    "three lstms that share pretrained vectors": {"networks": 3, "embedding": {**VECTORS, "vector_bits": 4}},
    "two grus, one direction": {"networks": 2, "cell": "gru", "bidirectional": False},
    "two windows": {"networks": 2, "encoder": "window"},
}


def tagged(rows: list[list[str]]) -> list[TaggedExample]:
    return [TaggedExample(document=Document.from_words(row), labels={}) for row in rows]


def labelled(rows: list[list[str]]) -> list[LabelledExample]:
    return [LabelledExample(document=Document.from_words(row)) for row in rows]


def both(folder: Path) -> tuple[TorchEngine, OnnxEngine]:
    export_model(folder)
    return TorchEngine(folder), OnnxEngine.open(folder)


def check_tagger(folder: Path) -> None:
    """Check that both engines give the same tags and scores over the grid, also with further padding."""
    torch_engine, onnx_engine = both(folder)
    for seed, lengths in enumerate(GRID):
        examples = tagged(random_rows(lengths, seed))
        expected = torch_engine.predict(examples, batch_tokens=100_000)
        padded = onnx_engine.predictor.predict_arrays(onnx_engine.run, examples, pad_to=max(lengths) + seed)
        for found in (onnx_engine.predict(examples, batch_tokens=100_000), padded):
            for one, other in zip(found, expected, strict=True):
                assert one.labels == other.labels
                for column, scores in other.scores.items():
                    assert one.scores[column] == pytest.approx(scores, abs=TOLERANCE)


def check_classifier(folder: Path) -> None:
    """The same for labels of texts, of which many are read in several stretches."""
    torch_engine, onnx_engine = both(folder)
    for seed, lengths in enumerate(GRID):
        examples = labelled(random_rows(lengths, seed))
        expected = torch_engine.predict(examples, batch_tokens=100_000)
        padded = onnx_engine.predictor.predict_arrays(onnx_engine.run, examples, pad_to=max(lengths) + seed)
        for found in (onnx_engine.predict(examples, batch_tokens=100_000), padded):
            for one, other in zip(found, expected, strict=True):
                assert one.probabilities == pytest.approx(other.probabilities, abs=TOLERANCE)


# ---- the same answers as torch


@pytest.mark.parametrize(("network", "head"), [*((network, "linear") for network in NETWORKS), ("gru", "crf")])
def test_every_encoder_and_head_gives_the_tags_of_torch_over_batches_and_lengths(tmp_path, network, head):
    check_tagger(tagging_folder(tmp_path / "model", {**NETWORKS[network], "head": head}))


@pytest.mark.parametrize("networks", SIDE_BY_SIDE)
def test_networks_side_by_side_give_the_tags_of_torch(tmp_path, networks):
    check_tagger(tagging_folder(tmp_path / "model", SIDE_BY_SIDE[networks]))


@pytest.mark.parametrize(
    ("embedding", "precision"),
    [*((embedding, "int8") for embedding in EMBEDDINGS), ("words, characters and affixes", "fp16")],
)
def test_every_word_vector_gives_the_tags_of_torch_however_it_is_stored(tmp_path, monkeypatch, embedding, precision):
    monkeypatch.setattr("nlp_lstm.weights.SMALLEST_QUANTISED", 8)  # so that the small matrices are rounded too
    check_tagger(tagging_folder(tmp_path / "model", {"layers": 1, "embedding": EMBEDDINGS[embedding]}, precision))


@pytest.mark.parametrize("pooling", ["attention", "last", "max", "mean"])
@pytest.mark.parametrize("network", ["lstm", "lstm, one direction", "gru", "window"])
def test_every_pooling_gives_the_labels_of_torch_over_stretches(tmp_path, network, pooling):
    check_classifier(classification_folder(tmp_path / "model", {**NETWORKS[network], "pooling": pooling}))


def test_rows_with_equal_words_have_equal_answers_whatever_stands_beside_them(tmp_path):
    folder = tagging_folder(tmp_path / "model", {"head": "crf"})
    _, engine = both(folder)
    rows = random_rows([9, 1, 20, 4])
    together = engine.predict(tagged(rows), batch_tokens=100_000)
    for row, expected in zip(rows, together, strict=True):
        (alone,) = engine.predict(tagged([row]), batch_tokens=100_000)
        assert alone.labels == expected.labels
        assert alone.scores["upos"] == pytest.approx(expected.scores["upos"], abs=TOLERANCE)


def test_a_text_that_is_tokenised_while_it_is_read_has_the_label_of_torch(tmp_path, monkeypatch):
    monkeypatch.setattr("nlp_lstm.tasks.classification.LONG_TEXT", 100)
    folder = classification_folder(tmp_path / "model", {"pooling": "mean"})
    export_model(folder)
    text = " ".join(random_rows([60])[0])
    expected, found = (Pipeline(folder, engine=name).predict(text, top_k=None) for name in ("torch", "onnx"))
    assert [result["label"] for result in found] == [result["label"] for result in expected]
    assert [result["score"] for result in found] == pytest.approx([one["score"] for one in expected], abs=TOLERANCE)


@pytest.mark.parametrize("count", [150, pytest.param(None, marks=pytest.mark.slow)])
def test_the_bundled_tagger_gives_every_tag_of_the_test_set_as_torch_does(tmp_path, count):
    model, path = bundled_model("pos-en"), corpus_file("ud-english-ewt/en_ewt-ud-test.conllu.gz")
    export_model(model, tmp_path / "pos-en")
    examples = list(itertools.islice(read_conllu(path), count))
    expected = TorchEngine(tmp_path / "pos-en").predict(examples, batch_tokens=2_000)
    found = OnnxEngine.open(tmp_path / "pos-en").predict(examples, batch_tokens=2_000)
    assert [one.labels for one in found] == [other.labels for other in expected]
    scores = [np.concatenate([one.scores["upos"] for one in predictions]) for predictions in (found, expected)]
    assert np.abs(scores[0] - scores[1]).max() < TOLERANCE


def test_the_bundled_classifier_gives_the_labels_that_torch_gives(tmp_path):
    model, path = bundled_model("sentiment-en"), corpus_file("ud-english-ewt/en_ewt-ud-test.conllu.gz")
    export_model(model, tmp_path / "sentiment-en")
    examples = [LabelledExample(document=example.document) for example in itertools.islice(read_conllu(path), 100)]
    expected = TorchEngine(tmp_path / "sentiment-en").predict(examples, batch_tokens=2_000)
    found = OnnxEngine.open(tmp_path / "sentiment-en").predict(examples, batch_tokens=2_000)
    for one, other in zip(found, expected, strict=True):
        assert one.probabilities == pytest.approx(other.probabilities, abs=TOLERANCE)


# ---- the file


def test_the_file_is_onnx_by_the_standard_and_has_no_copy_of_the_weights(tmp_path):
    folder = tagging_folder(tmp_path / "model", {"head": "crf", "hidden": 64})
    path = export_model(folder)
    onnx.checker.check_model(str(path), full_check=True)
    assert path.stat().st_size < 40_000
    loaded = onnx.load(path)  # onnx itself finds the weights where the graph says they are
    by_name = {one.name: onnx.numpy_helper.to_array(one) for one in loaded.graph.initializer}
    for name, weight in load_model(folder).weights.items():
        assert np.array_equal(by_name[name], weight.numpy())


def test_the_graph_is_the_same_each_time(tmp_path):
    folder = tagging_folder(tmp_path / "model")
    content = export_model(folder).read_bytes()
    assert export_model(folder).read_bytes() == content


def test_a_copy_with_a_graph_leaves_the_model_as_it_is(tmp_path):
    folder = tagging_folder(tmp_path / "model")
    path = export_model(folder, tmp_path / "copy")
    assert path == tmp_path / "copy" / GRAPH_NAME
    assert not (folder / GRAPH_NAME).exists()
    assert Pipeline(folder).info["engine"] == "torch"
    assert Pipeline(tmp_path / "copy").info["engine"] == "onnx"


def test_a_cell_that_nobody_has_written_as_onnx_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr("nlp_lstm.inference.layers.OPERATORS", {})
    with pytest.raises(ConfigError, match="not known how to write the cell LSTMCell as ONNX"):
        export_model(tagging_folder(tmp_path / "model"))


def test_networks_that_cannot_be_written_are_named(tmp_path):
    with pytest.raises(
        ConfigError,
        match=r"Linear cannot be written as ONNX yet; taggers, classifiers, translators, language",
    ):
        write_graphs(torch.nn.Linear(1, 1), {})
    task = TorchEngine(tagging_folder(tmp_path / "model")).task
    reader = ReaderSettings(direction="forward", cell="lstm", hidden=3, layers=1, embed=3, cutoffs=())
    labels = {column: len(vocabulary) for column, vocabulary in task.labels.items()}
    network = Tagger(task.settings, task.words, labels, [FrozenReader(reader, 9)])
    with pytest.raises(ConfigError, match="a tagger that reads language models cannot be written as ONNX yet"):
        write_graphs(network, {})


def test_exporting_without_onnx_names_the_extra(tmp_path, monkeypatch):
    folder = tagging_folder(tmp_path / "model")
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ConfigError, match=r'pip install "nlp-lstm\[export\]"'):
        export_model(folder)


# ---- which engine


def test_auto_takes_onnx_where_the_model_carries_a_graph_and_it_can_run(tmp_path, monkeypatch):
    folder = tagging_folder(tmp_path / "model")
    assert Pipeline(folder).info["engine"] == "torch"
    with pytest.raises(ConfigError, match=r"the model has no model\.onnx; write it with `nlp-lstm export`"):
        Pipeline(folder, engine="onnx")
    export_model(folder)
    pipeline = Pipeline(folder)
    assert pipeline.info["engine"] == "onnx"
    assert pipeline.info["num_parameters"] == Pipeline(folder, engine="torch").info["num_parameters"]
    assert Pipeline(folder, engine="torch").predict("a b")[0].keys() == pipeline.predict("a b")[0].keys()
    with pytest.raises(ConfigError, match=r'"onyx"; known engines: auto, torch, onnx, compiled\. Did you mean "onnx"'):
        Pipeline(folder, engine="onyx")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="computes in fp32 and precision is bf16"):
        Pipeline(folder, engine="onnx", precision="bf16")
    with pytest.raises(ConfigError, match="runs on the processor and device is meta"):
        Pipeline(folder, engine="onnx", device="meta")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    assert Pipeline(folder).info["engine"] == "torch"
    with pytest.raises(ConfigError, match=r"ONNX Runtime cannot be imported .*; pip install onnxruntime"):
        Pipeline(folder, engine="onnx")


def test_what_needs_the_gradient_is_computed_by_torch(tmp_path):
    folder = classification_folder(tmp_path / "model")
    export_model(folder)
    pipeline = Pipeline(folder, engine="onnx")
    found, expected = pipeline.predict("sun moon", explain=True), Pipeline(folder, engine="torch").predict("sun moon")
    assert [word["word"] for word in found["words"]] == ["sun", "moon"]
    assert found["score"] == pytest.approx(expected["score"], abs=TOLERANCE)


WITHOUT_TORCH = """
import sys
from nlp_lstm import Pipeline
pipeline = Pipeline(sys.argv[1])
print(pipeline.info["engine"], len(pipeline.predict(["The tide isn't out."])))
print(*sorted({"torch", "spacy", "gensim", "datasets", "sklearn", "scipy", "matplotlib"} & sys.modules.keys()))
"""


@pytest.mark.parametrize("model", ["pos-en", "sentiment-en", "translate-en-de", "lm-en"])
def test_predicting_with_a_bundled_model_imports_neither_torch_nor_other_heavy_libraries(model):
    bundled_model(model)
    done = subprocess.run([sys.executable, "-c", WITHOUT_TORCH, model], check=True, capture_output=True, text=True)
    assert done.stdout.splitlines() == ["onnx 1", ""]


# ---- files that someone else wrote


@pytest.fixture
def exported(tmp_path) -> Path:
    """A tagger with a graph, to be damaged."""
    folder = tagging_folder(tmp_path / "model")
    export_model(folder)
    return folder


def rewrite(folder: Path, name: str, content: bytes) -> None:
    """Put ``content`` in a file of the folder and make config.json agree with it, as an attacker would."""
    (folder / name).write_bytes(content)
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    config["files"][name] = {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")


def change_graph(folder: Path, change: Callable[[Any], Any]) -> None:
    model = onnx.ModelProto()
    model.ParseFromString((folder / GRAPH_NAME).read_bytes())
    change(model)
    rewrite(folder, GRAPH_NAME, model.SerializeToString())


def external(model: Any) -> Any:
    return next(tensor for tensor in model.graph.initializer if tensor.external_data)


def set_place(key: str, value: str) -> Any:
    def change(model: Any) -> None:
        next(entry for entry in external(model).external_data if entry.key == key).value = value

    return change


def add_loop(model: Any) -> None:
    model.graph.node.add(op_type="Loop", input=["a"], output=["b"])


def add_graph_attribute(model: Any) -> None:
    attribute = model.graph.node[0].attribute.add(name="body", type=5)
    attribute.g.node.add(op_type="Add")


def add_body(node: Any) -> Any:
    attribute = node.attribute.add(name="body", type=5)
    attribute.g.node.add(op_type="Identity", input=["a"], output=["b"])
    return attribute.g


def add_nested_loops(model: Any) -> None:
    node = model.graph.node.add(op_type="Scan", input=["a"], output=["b"])
    for _ in range(40):  # as deep as the library that writes the file goes
        node = add_body(node).node.add(op_type="Scan", input=["a"], output=["b"])


def add_loop_with_constants(model: Any) -> None:
    body = add_body(model.graph.node.add(op_type="Scan", input=["a"], output=["b"]))
    body.initializer.add(name="x", data_type=1, raw_data=b"0000")


def add_loop_with_another_operator(model: Any) -> None:
    add_body(model.graph.node.add(op_type="Scan", input=["a"], output=["b"])).node.add(op_type="Loop")


def add_tensor_attribute(model: Any) -> None:
    attribute = model.graph.node[0].attribute.add(name="value", type=4)
    attribute.t.external_data.add(key="location", value="/etc/passwd")


HOSTILE: dict[str, tuple[bytes | Callable[[Any], Any], str]] = {
    "another file": (set_place("location", "/etc/passwd"), "reads .* from .*passwd"),
    "a file outside the folder": (set_place("location", "../model.safetensors"), "reads .* from"),
    "another place": (set_place("offset", "0"), "reads .* from"),
    "a length beyond the end": (set_place("length", str(2**40)), "reads .* from"),
    "a weight that is not there": (lambda model: setattr(external(model), "name", "x"), "does not hold"),
    "another shape": (lambda model: external(model).dims.append(2), "takes .* for"),
    "another type": (lambda model: setattr(external(model), "data_type", 11), "takes .* for"),
    "an operator of another maker": (
        lambda model: model.graph.node.add(op_type="Evil", domain="com.evil"),
        "operator 'com.evil.Evil', which is not accepted",
    ),
    "a loop": (add_loop, "operator 'Loop', which is not accepted"),
    "a graph inside a node": (add_graph_attribute, "has a graph inside, which is not accepted"),
    "loops inside loops": (add_nested_loops, "a loop inside a loop, which is not accepted"),
    "constants inside a loop": (add_loop_with_constants, "holds constants, which is not accepted"),
    "another operator inside a loop": (add_loop_with_another_operator, "operator 'Loop', which is not accepted"),
    "a tensor inside a node": (add_tensor_attribute, "the field 5, which is not accepted"),
    "functions": (lambda model: model.functions.add(name="f"), "the field 25, which is not accepted"),
    "other operators": (lambda model: model.opset_import.add(domain="com.evil", version=1), "standard operators"),
    "no version": (lambda model: model.ClearField("opset_import"), "standard operators"),
    "an old version": (lambda model: setattr(model.opset_import[0], "version", 7), "standard operators"),
    "no graph": (lambda model: model.ClearField("graph"), "holds no graph"),
    "sparse weights": (lambda model: model.graph.sparse_initializer.add(), "the field 15, which is not accepted"),
    "a tensor twice": (
        lambda model: model.graph.initializer.append(model.graph.initializer[0]),
        "no graph that ONNX",
    ),
    "an input with another name": (lambda model: setattr(model.graph.input[0], "name", "other"), "no graph that ONNX"),
    "a node that reads nothing": (
        lambda model: setattr(model.graph.node[0], "op_type", "Concat"),
        "no graph that ONNX",
    ),
    "text": (b"not a graph, but text", "model.onnx: "),
    "nothing": (b"", "standard operators"),
    "too much": (bytes(5 * 2**20), "has 5,242,880 bytes; at most 4,194,304 are read"),
}


@pytest.mark.parametrize("damage", HOSTILE)
def test_a_hostile_graph_is_refused(exported, damage):
    change, message = HOSTILE[damage]
    if isinstance(change, bytes):
        rewrite(exported, GRAPH_NAME, change)
    else:
        change_graph(exported, change)
    with pytest.raises(CheckpointError, match=message):
        OnnxEngine.open(exported)


def test_a_graph_twice_in_one_file_is_refused(exported):
    content = (exported / GRAPH_NAME).read_bytes()
    rewrite(exported, GRAPH_NAME, content + content)  # readers merge the two
    with pytest.raises(CheckpointError, match=r"has .* twice"):
        OnnxEngine.open(exported)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_a_graph_that_is_cut_off_is_refused(exported, share):
    content = (exported / GRAPH_NAME).read_bytes()
    rewrite(exported, GRAPH_NAME, content[: int(share * len(content))])
    with pytest.raises(CheckpointError, match=GRAPH_NAME):
        OnnxEngine.open(exported)


def test_a_graph_that_config_json_does_not_describe_is_refused(exported):
    with (exported / GRAPH_NAME).open("ab") as file:
        file.write(b"\0")
    with pytest.raises(CheckpointError, match=r"model\.onnx is not the file that config\.json describes"):
        Pipeline(exported)


def test_a_graph_that_asks_for_other_inputs_is_refused(exported):
    def change(model: Any) -> None:
        for node in model.graph.node:
            for place, name in enumerate(node.input):
                if name == "index":
                    node.input[place] = "other"
        next(one for one in model.graph.input if one.name == "index").name = "other"

    change_graph(exported, change)
    with pytest.raises(CheckpointError, match=r"model\.onnx asks for other; the task gives affix_ids"):
        Pipeline(exported).predict("a b")


@pytest.mark.parametrize(
    ("make", "name", "message"),
    [
        (tagging_folder, "logits.1", r"does not give logits\.1; the vocabulary calls for \[1, 2, 5\]"),
        (tagging_folder, "transitions.0", r"does not give transitions\.0; the vocabulary calls for \[3, 3\]"),
        (classification_folder, "probabilities", r"does not give probabilities; the vocabulary calls for \[1, 3\]"),
    ],
)
def test_a_graph_that_gives_other_outputs_is_refused(tmp_path, make, name, message):
    folder = make(tmp_path / "model", {"head": "crf"} if make is tagging_folder else {})
    export_model(folder)

    def rename(model: Any) -> None:
        next(one for one in model.graph.output if one.name == name).name = "other"
        next(node for node in model.graph.node if node.output[0] == name).output[0] = "other"

    change_graph(folder, rename)
    with pytest.raises(CheckpointError, match=message):
        Pipeline(folder).predict("a b")


def test_a_graph_with_fewer_labels_than_the_vocabulary_is_refused(exported):
    values = json.loads((exported / "vocab.json").read_text(encoding="utf-8"))
    values["labels"]["upos"]["tokens"].append("NEW")
    rewrite(exported, "vocab.json", json.dumps(values).encode())
    with pytest.raises(CheckpointError, match=r"gives \[1, 2, 3\] as logits\.0; the vocabulary calls for \[1, 2, 4\]"):
        Pipeline(exported).predict("a b")


def test_a_vocabulary_with_more_words_than_the_network_is_an_error_at_the_first_such_word(exported):
    values = json.loads((exported / "vocab.json").read_text(encoding="utf-8"))
    values["words"]["words"]["tokens"].append("brandnew")
    rewrite(exported, "vocab.json", json.dumps(values).encode())
    with pytest.raises(CheckpointError, match=r"model\.onnx failed: .*out of data bounds"):
        Pipeline(exported).predict(["brandnew"], pretokenized=True)


@pytest.mark.parametrize(
    ("make", "name", "value", "message"),
    [
        (
            tagging_folder,
            "heads.0.linear.bias",
            float("nan"),
            "'heads.0.linear.bias' holds numbers that are not finite",
        ),
        (classification_folder, "temperature", 1e9, r"the temperature is 1e\+09; it is from 0.1 to 10"),
    ],
)
def test_numbers_that_no_network_has_are_refused(tmp_path, make, name, value, message):
    folder = make(tmp_path / "model")
    export_model(folder)
    content = bytearray((folder / WEIGHTS_NAME).read_bytes())
    struct.pack_into("<f", content, read_header(folder / WEIGHTS_NAME)[name].start, value)
    rewrite(folder, WEIGHTS_NAME, bytes(content))
    with pytest.raises(CheckpointError, match=message):
        OnnxEngine.open(folder)


@pytest.mark.parametrize(
    "header",
    [
        b"{",
        b"[]",
        b'{"a": 3}',
        b'{"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 4]}}',
        b'{"a": {"dtype": "F32", "shape": [1], "data_offsets": [8, 12]}}',
        b'{"a": {"dtype": "F32", "shape": [-1], "data_offsets": [0, -4]}}',
        b'{"a": {"dtype": "F99", "shape": [1], "data_offsets": [0, 4]}}',
    ],
)
def test_a_weights_file_whose_header_is_wrong_is_refused(tmp_path, header):
    path = tmp_path / WEIGHTS_NAME
    path.write_bytes(struct.pack("<Q", len(header)) + header + bytes(4))
    with pytest.raises(CheckpointError, match="is not a safetensors file"):
        read_header(path)


@pytest.mark.parametrize("content", [b"", b"1234", struct.pack("<Q", 2**62), struct.pack("<Q", 100)])
def test_a_weights_file_without_a_header_is_refused(tmp_path, content):
    path = tmp_path / WEIGHTS_NAME
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match="is not a safetensors file"):
        read_header(path)

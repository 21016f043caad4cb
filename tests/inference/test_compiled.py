"""The compiled kernel computes what plain arithmetic does, in any batch; the engine answers as the reference does."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from networks import classification_folder, random_rows, tagging_folder
from samples import bundled_model, corpus_file
from test_onnx import EMBEDDINGS, GRID, NETWORKS, SIDE_BY_SIDE, TOLERANCE, labelled, tagged

from nlp_lstm import Pipeline
from nlp_lstm.artifacts import GRAPH_NAME
from nlp_lstm.data.readers import read_conllu
from nlp_lstm.errors import CheckpointError, ConfigError
from nlp_lstm.inference import kernel as builds
from nlp_lstm.inference import word_rows
from nlp_lstm.inference.engines import MISFITS, CompiledEngine, open_graph
from nlp_lstm.inference.export import export_model
from nlp_lstm.inference.interpreter import Interpreter
from nlp_lstm.inference.kernel import Kernel, as_codes, build_kernel, find_scales, load_kernel, plain_lstm
from nlp_lstm.inference.torch_engine import TorchEngine
from nlp_lstm.weights import pack_weights, unpack_weights

KERNEL_TOLERANCE = 2e-6
has_compiler = pytest.mark.skipif(not any(map(shutil.which, builds.COMPILERS)), reason="there is no C compiler")
pytestmark = has_compiler


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory):
    """A cache of this module's own, in which the kernel is built once."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(builds, "cache_folder", lambda: folder)
        load_kernel.cache_clear()
        build_kernel()
        yield folder
    load_kernel.cache_clear()


def kernel() -> Kernel:
    found = load_kernel()
    assert found is not None
    return found


KINDS = ("fp32", "codes", "int8")
"""fp32 weights, those that are codes times scales, and int8 arithmetic."""
LENGTHS = st.lists(st.integers(0, 9), min_size=1, max_size=15)


def as_stored(matrix: np.ndarray) -> np.ndarray:
    """The matrix as it comes out of a model file of 8 bits."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("nlp_lstm.weights.SMALLEST_QUANTISED", 1)
        return unpack_weights(pack_weights({"one": torch.from_numpy(matrix)}, "int8"))["one"].numpy()


def drawn(lengths: list[int], num_inputs: int, size: int):
    generator = np.random.default_rng(len(lengths) + 31 * size + num_inputs)
    draw = [(4 * size, num_inputs), (4 * size, size), (4 * size,), (max(1, *lengths, 1), len(lengths), num_inputs)]
    return [generator.standard_normal(shape).astype(np.float32) / 2 for shape in draw]


@given(lengths=LENGTHS, num_inputs=st.integers(1, 40), size=st.integers(1, 40), is_stored=st.booleans())
def test_both_directions_are_those_of_plain_arithmetic(lengths, num_inputs, size, is_stored):
    *weights, inputs = drawn(lengths, num_inputs, size)
    weights = [as_stored(one) if is_stored and one.ndim == 2 else one for one in weights]
    counts = np.array(lengths, np.int32)
    outputs, hidden, _ = kernel().run([kernel().pack(*weights)] * 2, inputs, counts, num_threads=size % 2 + 1)
    backward = np.zeros_like(inputs)
    for row, length in enumerate(lengths):
        backward[:length, row] = inputs[:length, row][::-1]
    forward, mirrored = (plain_lstm(*weights, one, counts) for one in (inputs, backward))
    assert outputs[:, 0] == pytest.approx(forward, abs=KERNEL_TOLERANCE)
    for row, length in enumerate(lengths):
        assert outputs[:length, 1, row] == pytest.approx(mirrored[:length, row][::-1], abs=KERNEL_TOLERANCE)
        assert not outputs[length:, :, row].any()
        last = [outputs[length - 1, 0, row], outputs[0, 1, row]] if length else np.zeros((2, size))
        assert np.array_equal(hidden[:, row], last)


@pytest.mark.parametrize("kind", KINDS)
@given(lengths=LENGTHS, num_inputs=st.integers(1, 40), size=st.integers(1, 40), cut=st.integers(0, 9))
def test_a_row_is_the_same_to_the_last_bit_alone_and_in_two_stretches(kind, lengths, num_inputs, size, cut):
    if kind == "int8" and not kernel().has_int8:
        pytest.skip("this processor has no int8")
    *weights, inputs = drawn(lengths, num_inputs, size)
    weights = [as_stored(one) if kind == "codes" and one.ndim == 2 else one for one in weights]
    packed = [kernel().pack(*weights, is_int8=kind == "int8")]
    assert kind != "codes" or packed[0].states.codes is not None
    counts = np.array(lengths, np.int32)
    outputs, hidden, cell = kernel().run(packed, inputs, counts)
    for row, length in enumerate(lengths):
        alone, _, _ = kernel().run(packed, inputs[: length + 1, row : row + 1], counts[row : row + 1])
        assert np.array_equal(alone[:length, 0, 0], outputs[:length, 0, row])
    cut = min(cut, len(inputs))
    first, *states = kernel().run(packed, inputs[:cut], counts.clip(max=cut))
    second, *ends = kernel().run(packed, inputs[cut:], (counts - cut).clip(min=0), *states)
    assert np.array_equal(np.concatenate((first, second)), outputs)
    assert np.array_equal(ends, [hidden, cell])


@given(rows=st.integers(1, 9), columns=st.integers(1, 50), seed=st.integers(0, 1_000), power=st.integers(-30, 30))
def test_the_scales_of_stored_weights_are_found_again(rows, columns, seed, power):
    matrix = np.random.default_rng(seed).standard_normal((rows, columns)).astype(np.float32) * np.float32(2.0**power)
    matrix[seed % rows] *= seed % 3  # at times a row of zeros
    stored = as_stored(matrix)
    scales = find_scales(stored)
    assert scales is not None
    assert find_scales(as_codes(matrix + np.float32(2.0**power))) is not None  # what a build is tried with
    codes = np.rint(stored / scales[:, None])
    assert np.abs(codes).max() <= 127
    assert np.array_equal(codes * scales[:, None], stored)
    assert find_scales(np.concatenate((matrix, [[1.0, 1.001, 0.3]] * rows), axis=1).astype(np.float32)) is None


@given(rows=st.integers(0, 20), columns=st.integers(1, 150), num_inputs=st.integers(1, 70))
def test_plain_products(rows, columns, num_inputs):
    generator = np.random.default_rng(rows)
    inputs, matrix = generator.normal(size=(rows, num_inputs)), generator.normal(size=(num_inputs, columns))
    packed = kernel().pack_product(matrix.astype(np.float32))
    found = kernel().multiply(inputs.astype(np.float32), packed)
    assert found == pytest.approx(inputs @ matrix, abs=1e-4)
    assert np.array_equal(kernel().multiply(inputs[None, :3].astype(np.float32), packed)[0], found[:3])


@given(lengths=LENGTHS, distinct=st.integers(1, 12), size=st.integers(1, 40))
def test_inputs_that_come_again_are_read_through_an_index(lengths, distinct, size):
    *weights, inputs = drawn(lengths, 7, size)
    table = inputs.reshape(-1, 7)[:distinct]
    index = np.random.default_rng(size).integers(0, len(table), inputs.shape[:2])
    packed = [kernel().pack(*weights, is_int8=kernel().has_int8 and size % 2 == 0)] * 2
    counts = np.array(lengths, np.int32)
    for one, other in zip(
        kernel().run(packed, table, counts, index=index), kernel().run(packed, table[index], counts), strict=True
    ):
        assert np.array_equal(one, other)
    with pytest.raises(ValueError, match="into"):
        kernel().run(packed, table, counts, index=index + len(table))


@given(lengths=LENGTHS, distinct=st.integers(1, 30), size=st.integers(1, 40), is_coded=st.booleans())
def test_the_inputs_share_of_the_gates_may_come_from_an_earlier_call(lengths, distinct, size, is_coded):
    weight_ih, weight_hh, bias, inputs = drawn(lengths, 7, size)
    if is_coded:
        weight_ih, weight_hh = as_codes(weight_ih), as_codes(weight_hh)
    table = inputs.reshape(-1, 7)[:distinct]
    index = np.random.default_rng(size).integers(0, len(table), inputs.shape[:2])
    is_int8 = kernel().has_int8 and size % 2 == 0
    packed = [kernel().pack(weight_ih, weight_hh, bias, is_int8=is_int8)] * 2
    counts = np.array(lengths, np.int32)
    gates = np.concatenate([kernel().project(packed, row[None]) for row in table])  # each made alone
    expected = kernel().run(packed, table, counts, index=index)
    found = kernel().run(packed, gates, counts, index=index, is_projected=True)
    for one, other in zip(found, expected, strict=True):
        assert np.array_equal(one, other)
    with pytest.raises(ValueError, match="features; the weights are for"):
        kernel().run(packed, gates[:, 1:], counts, index=index, is_projected=True)
    with pytest.raises(ValueError, match="features; the weights are for"):
        kernel().project(packed, table[:, 1:])


def test_what_does_not_fit_is_refused_before_the_kernel_sees_it():
    *weights, inputs = drawn([3, 2], 4, 5)
    packed = [kernel().pack(*weights)]
    for arrays, lengths, message in (
        (inputs[:, :, :3], [3, 2], "3 features"),
        (inputs, [4, 2], "lengths from 2 to 4"),
        (inputs, [-1, 2], "lengths from -1"),
        (inputs, [3], "do not fit"),
    ):
        with pytest.raises(ValueError, match=message):
            kernel().run(packed, arrays, np.array(lengths, np.int32))
    with pytest.raises(ValueError, match="do not fit"):
        kernel().run(packed, inputs, np.array([3, 2], np.int32), np.zeros((1, 3, 5)))
    with pytest.raises(ValueError, match="4 features; the matrix is for 3"):
        kernel().multiply(inputs, kernel().pack_product(np.zeros((3, 2), np.float32)))


# ---- the engine


def both(folder: Path) -> tuple[TorchEngine, CompiledEngine]:
    export_model(folder)
    return TorchEngine(folder), CompiledEngine.open(folder)


def check_tagger(folder: Path) -> None:
    """Check that both engines give the same tags and scores over the grid."""
    torch_engine, engine = both(folder)
    for seed, lengths in enumerate(GRID):
        examples = tagged(random_rows(lengths, seed))
        expected = torch_engine.predict(examples, batch_tokens=100_000)
        for one, other in zip(engine.predict(examples, batch_tokens=100_000), expected, strict=True):
            assert one.labels == other.labels
            for column, scores in other.scores.items():
                assert one.scores[column] == pytest.approx(scores, abs=TOLERANCE)


@pytest.mark.parametrize(
    ("network", "head"),
    [*((name, "linear") for name, changes in NETWORKS.items() if "cell" not in changes), ("lstm", "crf")],
)
def test_every_encoder_without_another_cell_gives_the_tags_of_torch(tmp_path, network, head):
    check_tagger(tagging_folder(tmp_path / "model", {**NETWORKS[network], "head": head}))


@pytest.mark.parametrize("embedding", EMBEDDINGS)
def test_every_word_vector_gives_the_tags_of_torch(tmp_path, embedding):
    check_tagger(tagging_folder(tmp_path / "model", {"layers": 1, "embedding": EMBEDDINGS[embedding]}, "int8"))


@pytest.mark.parametrize("networks", [name for name, changes in SIDE_BY_SIDE.items() if "cell" not in changes])
def test_networks_side_by_side_give_the_tags_of_torch(tmp_path, networks):
    check_tagger(tagging_folder(tmp_path / "model", SIDE_BY_SIDE[networks]))


@pytest.mark.parametrize("pooling", ["attention", "last", "max", "mean"])
def test_every_pooling_gives_the_labels_of_torch_over_stretches(tmp_path, pooling):
    torch_engine, engine = both(classification_folder(tmp_path / "model", {"pooling": pooling}))
    for seed, lengths in enumerate(GRID):
        examples = labelled(random_rows(lengths, seed))
        expected = torch_engine.predict(examples, batch_tokens=100_000)
        for one, other in zip(engine.predict(examples, batch_tokens=100_000), expected, strict=True):
            assert one.probabilities == pytest.approx(other.probabilities, abs=TOLERANCE)


_EXPORTED: list[Path] = []


def exported(factory: pytest.TempPathFactory) -> Path:
    """A model folder with a graph, made once."""
    if not _EXPORTED:
        folder = tagging_folder(factory.mktemp("exported") / "model", {"head": "crf"})
        export_model(folder)
        _EXPORTED.append(folder)
    return _EXPORTED[0]


def test_other_cells_and_precisions_are_refused_with_what_to_do(tmp_path):
    folder = tagging_folder(tmp_path / "gru", {"cell": "gru"})
    export_model(folder)
    with pytest.raises(ConfigError, match="it runs LSTMs, and the cell is gru"):
        Pipeline(folder, engine="compiled")
    with pytest.raises(ConfigError, match="computes in fp32 or int8 and precision is bf16"):
        Pipeline(folder, engine="compiled", precision="bf16")
    for engine in ("torch", "onnx"):
        with pytest.raises(ConfigError, match="and precision is int8"):
            Pipeline(folder, engine=engine, precision="int8")
    with pytest.raises(ConfigError, match=r'engine is "auto", but it runs LSTMs'):
        Pipeline(folder, precision="int8")
    plain = tagging_folder(tmp_path / "plain")
    with pytest.raises(ConfigError, match=r"has no model\.onnx"):
        Pipeline(plain, engine="compiled")


def test_a_graph_whose_shapes_do_not_fit_is_no_model(tmp_path):
    folder = tagging_folder(tmp_path / "model")
    export_model(folder)
    content = (folder / GRAPH_NAME).read_bytes()
    assert b"hidden_size" in content
    engine = CompiledEngine.open(folder)
    arrays = {"word_ids": np.zeros(1, np.int64)}
    with pytest.raises(CheckpointError, match="asks for"):
        engine.run(arrays)
    everything = {name: np.zeros((1, 1), np.int64) for name in engine._inputs}
    with pytest.raises(CheckpointError, match="failed"):
        engine.run(everything)


@pytest.mark.parametrize("seed", range(30))
def test_a_graph_with_damaged_nodes_is_refused_or_answers(tmp_path_factory, seed):
    """Whatever stands in the nodes, only the project's errors come out, and no memory is read that is not there."""
    generator = np.random.default_rng(seed)
    folder = exported(tmp_path_factory)
    found = open_graph(folder)
    nodes = list(found.graph.nodes)
    for place in generator.integers(0, len(nodes), 2):
        node, other = nodes[place], nodes[generator.integers(0, len(nodes))]
        changes = (
            {"operator": other.operator},
            {"inputs": list(generator.permutation(node.inputs))},
            {"attributes": {name: int(generator.integers(-3, 4)) for name in node.attributes}},
            {"inputs": other.inputs},
        )
        nodes[place] = node._replace(**changes[generator.integers(0, len(changes))])
    graph = found.graph._replace(nodes=nodes)
    try:
        network = Interpreter(graph, found.weights, kernel())
    except MISFITS:
        return
    engine = CompiledEngine(found.predictor, found.config, network, graph)
    with contextlib.suppress(CheckpointError):
        engine.predict(tagged(random_rows([5, 3, 8])), batch_tokens=100)


# ---- words that are remembered, and the thread that helps


@pytest.mark.parametrize("remembered", [0, 20_000, word_rows.BYTES_REMEMBERED])
@pytest.mark.parametrize("embedding", EMBEDDINGS.values(), ids=EMBEDDINGS)
def test_words_seen_before_have_the_same_tags_to_the_last_bit(tmp_path, monkeypatch, remembered, embedding):
    monkeypatch.setattr(word_rows, "BYTES_REMEMBERED", remembered)
    folder = tagging_folder(tmp_path / "model", {"embedding": embedding})
    export_model(folder)
    rows = tagged(random_rows([5, 3, 8, 5, 1, 12]))
    expected = [CompiledEngine.open(folder).predict([row], batch_tokens=20)[0] for row in rows]
    batched = CompiledEngine.open(folder).predict(rows, batch_tokens=100)
    engine = CompiledEngine.open(folder)
    for _ in range(3):
        assert [engine.predict([row], batch_tokens=20)[0] for row in rows] == expected
        assert engine.predict(rows, batch_tokens=100) == batched


@pytest.mark.parametrize("remembered", [0, 4_000, word_rows.BYTES_REMEMBERED])
def test_threads_share_what_is_remembered_of_words(tmp_path, monkeypatch, remembered):
    monkeypatch.setattr(word_rows, "BYTES_REMEMBERED", remembered)
    folder = tagging_folder(tmp_path / "model", {})
    export_model(folder)
    batches = [tagged(random_rows([length, 7, 2], length)) for length in range(1, 13)] * 5
    expected = [CompiledEngine.open(folder).predict(batch, batch_tokens=100) for batch in batches]
    engine = CompiledEngine.open(folder)
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda batch: engine.predict(batch, batch_tokens=100), batches)) == expected


@pytest.mark.parametrize(("characters", "is_remembered"), [("bilstm", True), ("cnn", False), ("none", False)])
def test_words_are_remembered_where_their_spelling_is_read_by_an_lstm(tmp_path, characters, is_remembered):
    folder = tagging_folder(tmp_path / "model", {"embedding": {"characters": characters}})
    export_model(folder)
    engine = CompiledEngine.open(folder)
    engine.predict(tagged(random_rows([5])), batch_tokens=20)
    assert bool(engine._network._word_rows._known.places) == is_remembered


def test_a_forked_process_and_many_threads_get_the_answers_of_one():
    *weights, inputs = drawn([30], 64, 64)
    layer, counts = [kernel().pack(*weights)] * 2, np.array([30], np.int32)
    expected, _, _ = kernel().run(layer, inputs, counts)

    def is_same(turn: int) -> bool:
        return np.array_equal(kernel().run(layer, inputs, counts, num_threads=2)[0], expected)

    assert builds.WORTH_A_THREAD < 30 * (64 + 64) * 4 * 64
    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(is_same, range(200)))
    if not hasattr(os, "fork"):
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Python 3.12 warns of a fork beside threads, which is what is tried
        child = os.fork()
    if child:
        assert os.waitpid(child, 0)[1] == 0
    else:
        signal.alarm(60)
        failed = True
        try:
            failed = not all(map(is_same, range(20)))
        finally:
            os._exit(failed)


# ---- builds


def test_without_a_compiler_the_error_says_what_to_do(monkeypatch, tmp_path):
    monkeypatch.setattr(builds, "cache_folder", lambda: tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CC", raising=False)
    with pytest.raises(ConfigError, match=r"no C compiler \(cc, gcc, clang\); install one, or name yours in CC"):
        build_kernel()
    monkeypatch.setenv("CC", "no-such-compiler")
    with pytest.raises(ConfigError, match="no-such-compiler cannot be run"):
        build_kernel()
    monkeypatch.setenv("CC", f"{sys.executable} -c 'import sys; sys.exit(\"out of paper\")'")
    with pytest.raises(ConfigError, match="failed: 'out of paper'"):
        build_kernel()
    assert not list((tmp_path / "kernels").iterdir())


def test_a_build_with_wrong_answers_is_not_kept(monkeypatch, tmp_path):
    wrong = tmp_path / "wrong.c"
    text = builds.SOURCE.read_text(encoding="utf-8")
    wrong.write_text(text.replace("1.6666665459e-1f", "1.5e-1f"), encoding="utf-8")
    monkeypatch.setattr(builds, "SOURCE", wrong)
    monkeypatch.setattr(builds, "cache_folder", lambda: tmp_path)
    with pytest.raises(ConfigError, match="gives wrong answers"):
        build_kernel()
    assert not list((tmp_path / "kernels").iterdir())
    (tmp_path / "kernels" / builds.kernel_path().name).write_bytes(b"no library")
    load_kernel.cache_clear()
    assert load_kernel() is None
    load_kernel.cache_clear()


# ---- the bundled models


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_the_bundled_tagger_loses_less_than_a_tenth_of_a_point(precision):
    if precision == "int8" and not kernel().has_int8:
        pytest.skip("this processor has no int8")
    examples = list(read_conllu(corpus_file("ud-english-ewt/*test*")))
    folder = bundled_model("pos-en")
    expected, found = (
        Pipeline(folder, engine=engine, precision=used)._predict_examples(examples)
        for engine, used in (("onnx", "fp32"), ("compiled", precision))
    )
    right = [
        [
            tag == gold
            for example, one in zip(examples, some, strict=True)
            for tag, gold in zip(one.labels["upos"], example.labels["upos"], strict=True)
        ]
        for some in (expected, found)
    ]
    if precision == "fp32":
        assert [one.labels for one in found] == [one.labels for one in expected]
    assert np.mean(right[1]) > np.mean(right[0]) - 0.001

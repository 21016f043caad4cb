"""Language models as two graphs: the same probabilities and texts as torch, for every unit, cell and softmax."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nlp_lstm.errors import ConfigError
from nlp_lstm.inference.engines import OnnxEngine
from nlp_lstm.inference.export import export_model
from nlp_lstm.inference.torch_engine import TorchEngine
from nlp_lstm.pipeline import Pipeline
from nlp_lstm.tasks import language_answers
from nlp_lstm.tasks.language import network_of, start_writing
from nlp_lstm.tasks.language_answers import LanguagePredictor
from tests.inference.networks import language_folder, topic_folder
from tests.samples import bundled_model

TOLERANCE = 1e-5
PROMPTS: list[list[int]] = [[], [5], [4, 9, 3, 7, 7, 3], [6] * 40]
NETWORKS: dict[str, dict[str, Any]] = {
    "words": {},
    "subwords": {"unit": "subword", "vocabulary": 340},
    "characters": {"unit": "character"},
    "adaptive softmax": {"cutoffs": (20, 45)},
    "two clusters and no projection": {"cutoffs": (30,), "hidden": 6},
    "gru": {"cell": "gru", "layers": 1},
    "rnn": {"cell": "rnn", "layers": 3},
    "sru": {"cell": "sru"},
    "peephole": {"cell": "peephole"},
}
OPTIONS: dict[str, dict[str, Any]] = {
    "greedy": {"do_sample": False},
    "beams": {"num_beams": 4, "num_return_sequences": 2},
    "drawn": {"seed": 3, "top_k": 20, "num_return_sequences": 2},
    "no repetition": {"do_sample": False, "no_repeat_ngram_size": 2, "repetition_penalty": 1.3},
}


def both(folder: Path) -> tuple[TorchEngine, OnnxEngine]:
    export_model(folder)
    return TorchEngine(folder), OnnxEngine.open(folder)


def check_probabilities(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Check each step after prompts that are read in stretches, and what becomes of the states of chosen rows."""
    monkeypatch.setattr(language_answers, "READ_AT_ONCE", 7)
    torch_engine, engine = both(folder)
    assert isinstance(engine.predictor, LanguagePredictor)
    found, expected = (
        engine.predictor.reader(engine.run)(PROMPTS),
        start_writing(network_of(torch_engine.model), PROMPTS),
    )
    assert found.last_tokens.tolist() == expected.last_tokens.tolist()
    tokens, states, expected_states = found.last_tokens, found.states, expected.states
    rows = np.array([2, 0, 3, 3])
    for _ in range(4):
        log_probs, states = found.step(tokens, states)
        wanted, expected_states = expected.step(tokens, expected_states)
        assert log_probs == pytest.approx(wanted, abs=TOLERANCE)
        tokens = wanted.argmax(axis=1)[rows]
        states, expected_states = found.select(states, rows, rows), expected.select(expected_states, rows, rows)


@pytest.mark.parametrize("network", NETWORKS)
def test_every_network_gives_the_probabilities_of_torch(tmp_path, monkeypatch, network):
    check_probabilities(language_folder(tmp_path / "model", NETWORKS[network]), monkeypatch)


@pytest.mark.parametrize("precision", ["fp16", "int8"])
def test_weights_are_read_however_they_are_stored(tmp_path, monkeypatch, precision):
    monkeypatch.setattr("nlp_lstm.weights.SMALLEST_QUANTISED", 8)  # so that the small matrices are rounded too
    check_probabilities(language_folder(tmp_path / "model", NETWORKS["adaptive softmax"], precision), monkeypatch)


@pytest.mark.parametrize("options", OPTIONS)
def test_texts_are_those_of_torch(tmp_path, options):
    folder = language_folder(tmp_path / "model")
    reference = Pipeline(folder, engine="torch")
    export_model(folder)
    fast = Pipeline(folder)
    assert fast.info["engine"] == "onnx"
    prompts = ["", "The ferry", "We wait .\nNobody", "The old"]
    found = fast.predict(prompts, max_new_tokens=12, **OPTIONS[options])
    assert found == reference.predict(prompts, max_new_tokens=12, **OPTIONS[options])
    assert [fast.predict(prompt, max_new_tokens=12, **OPTIONS[options]) for prompt in prompts] == found


def test_streams_and_scores_beside_graphs(tmp_path):
    folder = language_folder(tmp_path / "model", {"adapt": False})
    reference = Pipeline(folder, engine="torch")
    export_model(folder)
    fast = Pipeline(folder)
    asked = {"max_new_tokens": 9, "do_sample": False}
    assert list(fast.stream("The old", **asked)) == list(reference.stream("The old", **asked))
    assert fast.score("We wait .") == reference.score("We wait .")
    text = tmp_path / "letters.txt"
    text.write_text("We wait .\nThe old ferry left .\n", encoding="utf-8")
    assert fast.evaluate(text).figures == reference.evaluate(text).figures
    for pipeline in (fast, reference):
        with pytest.raises(ConfigError, match="scores texts, which has no options"):
            pipeline.evaluate(text, options={"seed": 1})
    assert list(fast.stream(iter(["We ", "wait ."]))) == list(reference.stream(iter(["We ", "wait ."])))


@pytest.mark.parametrize("guidance", [0.0, 2.0])
def test_a_topic_guides_as_it_does_with_torch(tmp_path, guidance):
    folder = topic_folder(tmp_path / "model")
    reference = Pipeline(folder, engine="torch")
    topic = reference.task.topics[0]
    export_model(folder)
    fast = Pipeline(folder)
    assert fast.info["engine"] == "onnx"
    asked = {"topic": topic, "guidance": guidance, "max_new_tokens": 12, "seed": 5}
    assert fast.predict(["", "It was"], **asked) == reference.predict(["", "It was"], **asked)


def test_the_bundled_model_writes_the_same_with_both_engines():
    folder = bundled_model("lm-en")
    fast, reference = Pipeline(folder), Pipeline(folder, engine="torch")
    assert fast.info["engine"] == "onnx"
    prompts = ["", "The old man", "In 1990 , the band released"]
    assert fast.predict(prompts, num_beams=3) == reference.predict(prompts, num_beams=3)

"""What `nlp-lstm xray MODEL TEXT` measures of each task's tiny model, and what it prints."""

import json
import shutil
import xml.etree.ElementTree as ElementTree

import pytest
import torch
from samples import (
    TAGGED,
    tiny_bidirectional_run,
    tiny_language_run,
    tiny_model,
    tiny_recipe,
    tiny_run,
    tiny_sentiment_run,
    tiny_translation_run,
    without_corpora,
)
from typer.testing import CliRunner

from nlp_lstm.cli import app
from nlp_lstm.errors import ConfigError, DataError
from nlp_lstm.evaluation.xray_report import xray_report
from nlp_lstm.inference.opening import open_model
from nlp_lstm.runs import run_recipe
from nlp_lstm.text.tokenize import Tokenizer
from nlp_lstm.xray import look_into

TEXT = "The old ferry leaves the harbour at six."
WORDS = ["The", "old", "ferry", "leaves", "the", "harbour", "at", "six", "."]


def look(folder, text=TEXT):
    views, _ = look_into({"it": folder}, text)
    return xray_report(views).metrics["models"]


def call(*arguments: object, input: str | None = None) -> str:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments], input=input)
    if result.exception is not None:
        raise result.exception
    return result.stdout


@pytest.mark.parametrize(
    ("run", "names", "first"),
    [
        (tiny_run, ["it"], "The"),
        (tiny_sentiment_run, ["it"], "The"),
        (tiny_language_run, ["it"], "<eos>"),
        (tiny_bidirectional_run, ["it, forward encoder", "it, backward encoder"], "The"),
        (tiny_translation_run, ["it"], None),
    ],
)
def test_every_task_has_recurrent_layers_to_look_into(run, names, first):
    models = look(run() / "model")
    assert [model["name"] for model in models] == names
    assert first in (None, models[0]["tokens"][0])
    for model in models:
        time = len(model["tokens"])
        assert all(len(row) == time for layer in model["sensitivity"] for row in layer)
        assert len(model["gradient_by_distance"]) == time
        assert {gate["name"] for gate in model["gates"]} == {"forget gate", "input gate", "output gate"}
        assert all(len(gate["openings"]) == time for gate in model["gates"])
        assert set(model["spectral_radius"]["layer 1, forward"]) >= {"forget gate", "candidate"}


def test_a_stack_that_reads_from_the_end_has_its_tokens_turned_around():
    forward, backward = look(tiny_bidirectional_run() / "model")
    assert forward["tokens"] == WORDS
    assert backward["tokens"] == WORDS[::-1]


def test_the_sensitivity_is_that_of_the_network_to_its_word_vectors():
    opened = open_model(tiny_sentiment_run() / "model")
    [example] = opened.task.read_text(TEXT, Tokenizer("en"), is_pretokenized=False)
    tokens = opened.task.make_batch([example]).tokens
    embedded = opened.model.backbone.embedding(tokens.features, tokens.index).detach()
    encode = lambda vectors: opened.model.backbone.encode(vectors, tokens.lengths).outputs  # noqa: E731
    jacobian = torch.autograd.functional.jacobian(encode, embedded)[0, :, :, 0]
    expected = jacobian.square().sum(dim=(1, 3)).sqrt()
    found = torch.tensor(look(tiny_sentiment_run() / "model")[0]["sensitivity"][-1])
    torch.testing.assert_close(found, expected, rtol=0.5, atol=0.3 * float(expected.max()))  # 32 probes
    assert float((found - expected).norm() / expected.norm()) < 0.15


def test_of_several_sentences_the_longest_is_read_and_the_page_says_so():
    views, note = look_into({"it": tiny_model()}, f"We wait. {TEXT}")
    assert views[0].tokens == WORDS
    assert "A part of the text" in xray_report(views, note=note).lead
    assert not look_into({"it": tiny_model()}, TEXT)[1]


def test_a_long_text_is_cut():
    [model] = look(tiny_sentiment_run() / "model", "good " * 3_000)
    assert len(model["tokens"]) == 64


@pytest.mark.parametrize("text", ["", " \n"])
def test_a_text_without_words_is_refused(text):
    for run in (tiny_run, tiny_sentiment_run, tiny_language_run, tiny_translation_run):
        with pytest.raises(DataError, match="no words"):
            look(run() / "model", text)


def test_a_net_without_recurrence_is_refused_and_its_report_has_no_memory(tmp_path):
    with without_corpora():
        run_recipe(tiny_recipe("model.encoder=window", tokens=400), tmp_path / "run", data=TAGGED)
    with pytest.raises(ConfigError, match="no recurrent layers"):
        look(tmp_path / "run" / "model")
    assert "Memory in training" not in (tmp_path / "run" / "report.html").read_text(encoding="utf-8")


def test_the_report_of_a_run_shows_its_memory_in_training():
    page = (tiny_run() / "report.html").read_text(encoding="utf-8")
    assert "Memory in training" in page
    assert "Spectral radius" in page


def test_the_command_prints_figures_and_writes_the_page(tmp_path, monkeypatch):
    shutil.copytree(tiny_model(), tmp_path / "models" / "pos-en")
    monkeypatch.setenv("NLP_LSTM_MODELS", str(tmp_path / "models"))
    wanted = ("--output", tmp_path / "page", "--picture", tmp_path / "pos.svg")
    printed = call("xray", "pos", TEXT, "--beside", tiny_sentiment_run() / "model", *wanted)
    assert ElementTree.parse(tmp_path / "pos.svg").getroot().get("role") == "img"
    assert "pos: sensitivity halves after" in printed
    page = (tmp_path / "page" / "report.html").read_text(encoding="utf-8")
    assert page.count("The net unfolded") == 2
    assert "Spectral radius" in page
    metrics = json.loads((tmp_path / "page" / "metrics.json").read_text(encoding="utf-8"))
    assert len(metrics["metrics"]["models"]) == 2


def test_the_command_prints_json_of_a_text_from_stdin():
    printed = call("xray", tiny_model(), "--format", "json", input=TEXT)
    assert json.loads(printed)["models"][0]["tokens"] == WORDS
    assert json.loads(call("xray", "--format", "json", tiny_model(), TEXT)) == json.loads(printed)


def test_a_model_named_twice_is_refused():
    with pytest.raises(ConfigError, match="twice"):
        call("xray", tiny_model(), TEXT, "--beside", tiny_model())

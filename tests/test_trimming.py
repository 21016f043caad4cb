"""Models without the words that another one does not know."""

from __future__ import annotations

import pytest
import torch
from samples import (
    TAGGED,
    tiny_bidirectional_run,
    tiny_language_run,
    tiny_model,
    tiny_recipe,
    tiny_sentiment_run,
    tiny_translation_run,
    without_corpora,
)
from typer.testing import CliRunner

from nlp_lstm import Pipeline
from nlp_lstm.artifacts import read_config
from nlp_lstm.beginnings import open_beginning
from nlp_lstm.cli import app
from nlp_lstm.errors import ConfigError
from nlp_lstm.inference.opening import open_model
from nlp_lstm.paths import bundled_folder
from nlp_lstm.runs import run_recipe
from nlp_lstm.trimming import trim_model
from nlp_lstm.weights import pack_weights, unpack_weights

CRITIC = tiny_sentiment_run() / "model"


def size_of(folder) -> int:
    return sum(path.stat().st_size for path in folder.iterdir())


def test_a_trimmed_tagger_answers_as_before_where_all_words_are_known(tmp_path):
    """Words that are left out are as unknown ones; the others keep their numbers."""
    trim_model(tiny_model(), tmp_path / "small", words_of=CRITIC)
    assert size_of(tmp_path / "small") < size_of(tiny_model())
    whole, small = (open_beginning(str(folder)).words.words for folder in (tiny_model(), tmp_path / "small"))
    known = open_beginning(str(CRITIC)).words.words
    assert set(small.tokens) == (set(whole.tokens) & set(known.tokens)) | set(whole.tokens[: whole.num_specials])
    kept = [word for word in small.tokens[small.num_specials :] if word.isalpha()]
    taggers = [Pipeline(tiny_model()), Pipeline(tmp_path / "small")]
    first, second = (tagger.predict(kept, pretokenized=True) for tagger in taggers)
    assert first == second
    assert "Trimmed to the words that" in (tmp_path / "small" / "README.md").read_text(encoding="utf-8")


def test_networks_side_by_side_are_trimmed_all(tmp_path):
    with without_corpora():
        run_recipe(tiny_recipe("model.networks=2", tokens=200), tmp_path / "run", data=TAGGED)
    trim_model(tmp_path / "run" / "model", tmp_path / "small", words_of=CRITIC)
    small = open_model(tmp_path / "small")
    sizes = [network.backbone.embedding.words.num_embeddings for network in small.model.networks]
    assert sizes == [len(small.task.words.words)] * 2


def test_a_network_begins_as_a_trimmed_model_as_it_does_as_the_whole(tmp_path):
    with without_corpora():
        run_recipe(tiny_recipe(tokens=200), tmp_path / "run", data=TAGGED)
    source = tiny_bidirectional_run() / "model"
    trim_model(source, tmp_path / "small", words_of=tmp_path / "run" / "model")
    states = []
    for folder in (source, tmp_path / "small"):
        task = open_model(tmp_path / "run" / "model").task
        task.begin_as([open_beginning(str(folder))])
        torch.manual_seed(1)
        model = task.build_model()
        task.fill_model(model)
        states.append(model.state_dict())
    assert len(open_beginning(str(tmp_path / "small")).words.words) < len(open_beginning(str(source)).words.words)
    torch.testing.assert_close(states[0], states[1], atol=0, rtol=0)


def test_weights_are_stored_in_less_and_the_card_says_so(tmp_path):
    whole = tiny_translation_run() / "model"
    trim_model(whole, tmp_path / "small", precision="int8")
    assert (read_config(whole).precision, read_config(tmp_path / "small").precision) == ("fp32", "int8")
    assert size_of(tmp_path / "small") < 0.5 * size_of(whole)
    before, after = (open_model(folder).model.state_dict() for folder in (whole, tmp_path / "small"))
    expected = unpack_weights(pack_weights(before, "int8"))
    assert all(torch.equal(after[name], tensor) for name, tensor in expected.items())
    card = (tmp_path / "small" / "README.md").read_text(encoding="utf-8")
    assert "Stored in int8 instead of fp32. The figures are of the model before." in card


def test_what_has_no_words_or_has_a_graph_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="is a model of the task lm; only taggers, classifiers and bidirectional"):
        trim_model(tiny_language_run() / "model", tmp_path / "small", words_of=CRITIC)
    with pytest.raises(ConfigError, match=r"has a model\.onnx, which fits it as it is"):
        trim_model(bundled_folder("models") / "pos-en", tmp_path / "small", words_of=CRITIC)
    with pytest.raises(ConfigError, match="nothing to trim"):
        trim_model(tiny_model(), tmp_path / "small")
    assert not (tmp_path / "small").exists()


def test_the_command_says_how_large_the_copy_is(tmp_path):
    arguments = ["trim", str(tiny_model()), "--words-of", str(CRITIC), "--output", str(tmp_path / "small")]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0
    assert f"small: {size_of(tmp_path / 'small') / 1e6:.2f} MB" in result.stdout

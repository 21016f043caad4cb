"""Taggers and classifiers that begin as language models."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from samples import (
    REVIEWS,
    running_examples,
    tagged_examples,
    tiny_language_recipe,
    tiny_language_run,
    tiny_model,
    tiny_recipe,
    tiny_sentiment_recipe,
    without_corpora,
)

from nlp_lstm.errors import ConfigError, NotTrainedError
from nlp_lstm.runs import run_recipe
from nlp_lstm.tasks import LanguageTask, TaggingTask
from nlp_lstm.tasks.beginning import Beginning
from nlp_lstm.training import train

TOLERANCE = 1e-6  # the same sums in another order
SIZES = ("model.hidden=32", "model.layers=1", "model.embedding.words=learned")


def beginning(direction: str) -> Beginning:
    """An untrained language model of words."""
    recipe = tiny_language_recipe(f"model.direction={direction}")
    task = LanguageTask.prepare(recipe.model, running_examples())
    torch.manual_seed(3 if direction == "forward" else 4)
    model = task.build_model().eval()
    return Beginning(name=direction, units=task.units, network=model, is_backward=direction == "backward")


def tagger(*beginnings: Beginning, word_size: int = 48, overrides: tuple[str, ...] = ()) -> TaggingTask:
    """A tagger that begins as language models, and has characters besides."""
    recipe = tiny_recipe(*SIZES, f"model.embedding.word_size={word_size}", *overrides)
    task = TaggingTask.prepare(recipe.model, tagged_examples())
    task.begin_as(beginnings)
    return task


def test_before_its_first_step_the_tagger_reads_as_the_language_models_do():
    forward, backward = beginning("forward"), beginning("backward")
    task = tagger(forward, backward, overrides=("model.embedding.min_count=1",))
    model = task.build_model().eval()
    task.fill_model(model)
    known = [one for one in tagged_examples() if all(word in task.words.words for word in one.document.words)][:4]
    assert known
    for example in known:
        batch = task.make_batch([example])
        tokens = getattr(batch, "tokens", batch)
        with torch.inference_mode():
            found = model.backbone(tokens.features, tokens.index, tokens.lengths)[0]
            ids = torch.tensor([forward.units.encode(example.document)])
            ids_back = torch.tensor([backward.units.encode(example.document)[::-1]])
            expected = forward.network.read(ids).hidden[0]
            expected_back = backward.network.read(ids_back).hidden[0].flip(0)
        torch.testing.assert_close(found[:, :32], expected, atol=TOLERANCE, rtol=0)
        torch.testing.assert_close(found[:, 32:], expected_back, atol=TOLERANCE, rtol=0)


def test_what_does_not_fit_is_refused_with_the_setting_to_change():
    with pytest.raises(ConfigError, match=r"word vectors of 24 features; set.*word_size=24"):
        tagger(beginning("forward"))
    with pytest.raises(ConfigError, match="same direction"):
        tagger(beginning("forward"), beginning("forward"))
    with pytest.raises(ConfigError, match=r"model\.encoder=recurrent"):
        tagger(beginning("forward"), word_size=24, overrides=("model.encoder=window",))


def test_layers_are_learnt_one_by_one_from_the_head_down(tmp_path):
    task = tagger(beginning("forward"), word_size=24)
    fresh = task.build_model()
    task.fill_model(fresh)
    recipe = tiny_recipe(
        "training.unfreeze_steps=1000", "training.layer_decay=0.5", "training.average_decay=0", tokens=600
    )
    result = train(task, tagged_examples(), tagged_examples()[:8], recipe.training, tmp_path)
    trained = dict(result.model.named_parameters())
    head = [name for name in trained if not name.startswith("backbone")]
    for name in head:
        assert not torch.equal(trained[name], dict(fresh.named_parameters())[name]), name
    words = "backbone.embedding.words.weight"
    assert torch.equal(trained[words], dict(fresh.named_parameters())[words])


def test_a_run_takes_a_language_model_by_its_folder_and_says_so(tmp_path):
    model = tiny_language_run() / "model"
    recipe = tiny_sentiment_recipe(
        *SIZES, "model.embedding.word_size=24", "model.embedding.vectors=null", f"init=[{model}]", tokens=600
    )
    with without_corpora():
        run_recipe(recipe, tmp_path / "run", data=REVIEWS)
    assert "begins as" in (tmp_path / "run" / "report.html").read_text(encoding="utf-8")


def test_other_models_and_names_are_refused(tmp_path):
    for init, error, message in (
        (str(tiny_model()), ConfigError, "a model of the task pos; give a language model"),
        ("lm-xx", NotTrainedError, "nlp-lstm run lm"),
    ):
        with without_corpora(), pytest.raises(error, match=message):
            run_recipe(tiny_sentiment_recipe(f"init=[{init}]"), tmp_path / Path(init).name, data=REVIEWS)
    with pytest.raises(ConfigError, match="cannot begin as a language model"):
        LanguageTask.prepare(tiny_language_recipe().model, running_examples()).begin_as([beginning("forward")])

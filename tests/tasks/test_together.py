"""Several networks of a task that answer together: one alone is itself, several are the mean of what they say."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from samples import (
    pair_examples,
    review_examples,
    running_examples,
    tagged_examples,
    tiny_bidirectional_recipe,
    tiny_language_recipe,
    tiny_model,
    tiny_pipeline,
    tiny_recipe,
    tiny_sentiment_recipe,
    tiny_translation_recipe,
    tiny_translation_run,
    tiny_translator,
)

from nlp_lstm.errors import ConfigError
from nlp_lstm.pipeline import Pipeline
from nlp_lstm.tasks import Task, predict_examples, tasks

KINDS = {
    "pos": (tiny_recipe, tagged_examples),
    "sentiment": (tiny_sentiment_recipe, review_examples),
    "lm": (tiny_language_recipe, running_examples),
    "translate": (tiny_translation_recipe, pair_examples),
}


def prepared(name: str, count: int) -> tuple[Task, list[torch.nn.Module], list]:
    make_recipe, examples = KINDS[name]
    recipe = make_recipe()
    task = tasks.get(recipe.task).prepare(recipe.model, examples())
    networks = []
    for seed in range(count):
        torch.manual_seed(seed)
        network = task.build_model()
        task.fill_model(network)
        networks.append(network.eval())
    return task, networks, list(examples())[:6]


def options_of(name: str) -> dict | None:
    return {"num_beams": 2, "max_new_tokens": 5} if name == "translate" else None


@pytest.mark.parametrize("name", sorted(KINDS))
def test_one_network_together_is_that_network(name):
    task, [network], examples = prepared(name, 1)
    assert task.predicts_together
    alone, together = (
        predict_examples(task, given, examples, options=options_of(name)) for given in (network, [network])
    )
    assert str(together) == str(alone)
    batch = task.make_batch(examples)
    if name != "lm":
        options = options_of(name) or {}
        assert task.predict_together([network], batch, **options) == task.predict_batch(network, batch, **options)


def test_label_probabilities_are_the_mean():
    task, networks, examples = prepared("sentiment", 3)
    alone = [predict_examples(task, network, examples) for network in networks]
    for row, found in enumerate(predict_examples(task, networks, examples)):
        for label, share in found.probabilities.items():
            assert share == pytest.approx(np.mean([one[row].probabilities[label] for one in alone]), abs=1e-6)


def test_tags_are_those_of_the_mean_probability():
    task, networks, examples = prepared("pos", 2)
    batch = task.make_batch(examples[:1])
    with torch.inference_mode():
        means = torch.stack([network(batch)["upos"].softmax(-1) for network in networks]).mean(0)[0]
    [found] = predict_examples(task, networks, examples[:1])
    assert found.scores["upos"] == pytest.approx(means.max(-1).values.tolist(), abs=1e-6)
    assert list(found.labels["upos"]) == [task.labels["upos"].tokens[label] for label in means.argmax(-1).tolist()]


def test_words_are_as_probable_as_in_the_mean():
    task, networks, examples = prepared("lm", 2)
    alone = [predict_examples(task, network, examples) for network in networks]
    for row, found in enumerate(predict_examples(task, networks, examples)):
        mean = np.mean([np.exp(one[row].log_probability) for one in alone], axis=0)
        np.testing.assert_allclose(np.exp(found.log_probability), mean, rtol=1e-5)
    with pytest.raises(ConfigError, match="do not write together"):
        predict_examples(task, networks, examples, options={"max_new_tokens": 3})


def test_what_cannot_answer_together_says_so():
    recipe = tiny_bidirectional_recipe()
    task = tasks.get("bilm").prepare(recipe.model, running_examples())
    assert not task.predicts_together
    with pytest.raises(ConfigError, match="bilm cannot answer together"):
        predict_examples(task, [task.build_model()] * 2, list(running_examples())[:2])
    crf = tiny_recipe("model.head=crf", "model.label_smoothing=0")
    tagger = tasks.get("pos").prepare(crf.model, tagged_examples())
    with pytest.raises(ConfigError, match="CRF"):
        predict_examples(tagger, [tagger.build_model()] * 2, tagged_examples()[:2])


def test_a_pipeline_of_several_models_answers_together():
    folder = tiny_translation_run() / "model"
    together = Pipeline(folder, together_with=[folder])
    text = "A dog runs across the wet field."
    assert together.predict(text) == tiny_translator().predict(text)
    shown = together.predict(text, attention=True)["attention"]
    assert np.allclose(shown[0]["weights"], tiny_translator().predict(text, attention=True)["attention"][0]["weights"])


def test_models_that_do_not_go_together_are_refused():
    with pytest.raises(ConfigError, match="pos and translate cannot"):
        Pipeline(tiny_model(), together_with=[tiny_translation_run() / "model"])
    together = Pipeline(tiny_model(), together_with=[tiny_model()]).predict("We wait.")
    for token, alone in zip(together, tiny_pipeline().predict("We wait."), strict=True):
        assert token["entity"] == alone["entity"]
        assert token["score"] == pytest.approx(alone["score"], abs=1e-6)

"""Every cell works in every task: it is chosen by name, takes a step of training, is saved, loaded, and answers."""

from __future__ import annotations

from functools import cache

import pytest
import torch
from samples import (
    SMALL_BIDIRECTIONAL_MODEL,
    SMALL_CAPTIONER,
    SMALL_CLASSIFIER,
    SMALL_LANGUAGE_MODEL,
    SMALL_NETWORK,
    SMALL_SERIES,
    SMALL_TRANSLATOR,
    SMALL_VIDEO,
    clip_examples,
    letter_series,
    pair_examples,
    review_examples,
    running_examples,
    scene_examples,
    tagged_examples,
)
from test_tasks import assert_same, plain

from nlp_lstm.inference.opening import open_model
from nlp_lstm.nn.settings import cells
from nlp_lstm.recipes import load_recipe
from nlp_lstm.tasks import Task, predict_examples, tasks
from nlp_lstm.weights import save_model

SAMPLES = {
    "pos": (tagged_examples, SMALL_NETWORK),
    "sentiment": (review_examples, SMALL_CLASSIFIER),
    "lm": (running_examples, SMALL_LANGUAGE_MODEL),
    "topics": (review_examples, (*SMALL_LANGUAGE_MODEL, "model.input_dropout=0", "model.embedding_dropout=0")),
    "bilm": (running_examples, SMALL_BIDIRECTIONAL_MODEL),
    "translate": (pair_examples, SMALL_TRANSLATOR),
    "series": (letter_series, SMALL_SERIES),
    "caption": (scene_examples, SMALL_CAPTIONER),
    "video": (clip_examples, SMALL_VIDEO),
}


@cache
def prepared(name: str) -> Task:
    examples, overrides = SAMPLES[name]
    return tasks.get(name).prepare(load_recipe(name, [*overrides, "model.hidden=8"]).model, examples())


def test_every_task_has_a_sample_here() -> None:
    assert set(SAMPLES) == set(tasks)


@pytest.mark.parametrize("name", sorted(SAMPLES))
@pytest.mark.parametrize("cell_name", list(cells))
def test_every_cell_trains_is_saved_and_answers_in_every_task(name: str, cell_name: str, tmp_path) -> None:
    _, overrides = SAMPLES[name]
    settings = load_recipe(name, [*overrides, "model.hidden=8", f"model.cell={cell_name}"]).model
    first = prepared(name)
    task = type(first).from_folder(settings, first.vocabulary(), first.vocabulary_files())
    examples = SAMPLES[name][0]()[:4]
    model = task.build_model()
    assert any(type(module) is cells.get(cell_name) for module in model.modules())

    encoded = task.encode(examples, tmp_path)
    part = next(iter(task.plan_epoch(encoded, 40, seed=0, epoch=0)))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    losses = []
    for _ in range(2):
        batch = task.training_batch(encoded, part, {})
        loss = task.loss(model, model(batch), batch)
        losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert losses[-1] < losses[0]

    save_model(
        tmp_path / "model",
        task=task.name,
        language="en",
        data="a few",
        model_settings=settings,
        vocabulary=task.vocabulary(),
        vocabulary_files=task.vocabulary_files(),
        weights=model.state_dict(),
        precision="fp32",
    )
    opened = open_model(tmp_path / "model")
    weights = opened.model.state_dict()
    assert all(torch.equal(weights[key], tensor) for key, tensor in model.state_dict().items())
    options = {"max_new_tokens": 3} if name in ("lm", "topics") else None
    found = predict_examples(opened.task, opened.model, examples[:1], options=options)
    expected = predict_examples(task, model, examples[:1], options=options)
    assert_same(plain(opened.task, examples[:1], found), plain(task, examples[:1], expected))

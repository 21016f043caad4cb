"""Taggers that read words in context, by frozen language models."""

from __future__ import annotations

import dataclasses
import json
import signal
from pathlib import Path

import pytest
import torch
from samples import (
    REVIEWS,
    TAGGED,
    running_examples,
    tagged_examples,
    tiny_language_recipe,
    tiny_language_run,
    tiny_model,
    tiny_recipe,
    tiny_sentiment_recipe,
    without_corpora,
)
from torch import Tensor

import nlp_lstm.nn.context
from nlp_lstm.artifacts import VOCABULARY_NAME
from nlp_lstm.data.example import TaggedExample
from nlp_lstm.data.words import CHARACTERS_KEPT
from nlp_lstm.errors import CheckpointError, ConfigError
from nlp_lstm.inference.opening import open_model
from nlp_lstm.nn.language_model import LanguageModel
from nlp_lstm.runs import run_recipe
from nlp_lstm.tasks import LanguageTask, TaggingTask, context, predict_examples
from nlp_lstm.tasks.beginning import Beginning
from nlp_lstm.tasks.context import ReadSentence
from nlp_lstm.text.document import Document
from nlp_lstm.text.units import EOS_ID, UNK_ID
from nlp_lstm.training import TrainingResult, loop, train
from nlp_lstm.weights import save_model

TOLERANCE = 1e-5  # the same sums in another order, over a whole sentence
HALF = 1e-3  # of states in float16, which are below 1

SENTENCES = [
    ["The", "old", "ferry", "leaves", "at", "six", "."],
    ["नाव", "Ω", "<eos>", "a b"],
    ["x" * 100_000, "yes"],
    ["I"],
]


def language_model(direction: str, *overrides: str, unit: str = "character") -> Beginning:
    """An untrained language model."""
    recipe = tiny_language_recipe(f"model.direction={direction}", f"model.unit={unit}", *overrides)
    task = LanguageTask.prepare(recipe.model, running_examples())
    torch.manual_seed(3 if direction == "forward" else 4)
    model = task.build_model().eval()
    return Beginning(name=direction, units=task.units, network=model, is_backward=direction == "backward")


def both(*overrides: str, unit: str = "character") -> list[Beginning]:
    return [language_model(direction, *overrides, unit=unit) for direction in ("forward", "backward")]


def tagger(models: list[Beginning], *overrides: str) -> TaggingTask:
    recipe = tiny_recipe("model.context_size=12", "model.hidden=8", *overrides)
    task = TaggingTask.prepare(recipe.model, tagged_examples())
    task.take_context(models)
    return task


def fresh_network(task: TaggingTask) -> torch.nn.Module:
    model = task.build_model().eval()
    task.fill_model(model)
    return model


def untagged(words: list[str]) -> TaggedExample:
    return TaggedExample(document=Document.from_words(words), labels={})


@torch.no_grad()
def step_by_step(network: LanguageModel, ids: list[int]) -> list[Tensor]:
    """The last layer's hidden state after each id, one cell and one step at a time."""
    cells = [layer.get_submodule("0") for layer in network.encoder.layers]
    states = list(network.initial_states())
    found = []
    for id in ids:
        inputs = network.words.embed(torch.tensor([[id]]))
        for number, cell in enumerate(cells):
            states[number] = cell.step(cell.project(inputs)[:, 0], states[number])
            inputs = states[number].hidden[:, None]
        found.append(states[-1].hidden[0])
    return found


def states_by_characters(model: Beginning, words: list[str]) -> Tensor:
    """A word's state when the sentence is read alone, character by character: after the word's last character, or read
    from the end, after its first one."""
    kept = [word if len(word) <= 24 else word[:CHARACTERS_KEPT] + word[-CHARACTERS_KEPT:] for word in words]
    text = " ".join(kept)
    ids = [model.units.vocabulary.get(character) or UNK_ID for character in text]
    starts = [len(" ".join([*kept[:number], ""])) for number in range(len(kept))]
    if model.is_backward:
        states = step_by_step(model.network, [EOS_ID, *reversed(ids)])[::-1]  # the one after <eos> alone comes last
        return torch.stack([states[start] for start in starts])
    states = step_by_step(model.network, [EOS_ID, *ids])[1:]
    return torch.stack([states[start + len(word) - 1] for start, word in zip(starts, kept, strict=True)])


@pytest.mark.parametrize("at_once", [1, 100, 20_000])
@pytest.mark.parametrize("overrides", [(), ("model.layers=2", "model.cell=gru"), ("model.cutoffs=[9, 20]",)])
def test_states_are_those_of_reading_one_sentence_step_by_step(overrides, at_once, monkeypatch):
    monkeypatch.setattr(nlp_lstm.nn.context, "READ_AT_ONCE", at_once)
    models = both(*overrides)
    task = tagger(models)
    network = fresh_network(task)
    batch = task.make_batch([untagged(words) for words in SENTENCES], pad_to=11)
    found = network.context.read(batch.readings)
    assert found.shape == (len(SENTENCES), 11, 64)
    for row, words in enumerate(SENTENCES):
        expected = torch.cat([states_by_characters(model, words) for model in models], dim=1)
        torch.testing.assert_close(found[row, : len(words)], expected, atol=TOLERANCE, rtol=0)


def test_a_model_of_words_gives_its_state_after_each_word():
    forward, backward = both("model.cutoffs=[20, 60]", unit="word")
    task = tagger([forward, backward])
    words = ["The", "ferry", "leaves", "Zzyzx", "."]
    found = fresh_network(task).context.read(task.make_batch([untagged(words)]).readings)[0]
    ids = forward.units.encode(Document.from_words(words))
    expected = torch.stack(step_by_step(forward.network, [EOS_ID, *ids])[1:])
    expected_back = torch.stack(step_by_step(backward.network, [EOS_ID, *reversed(ids)])[:0:-1])
    torch.testing.assert_close(found, torch.cat((expected, expected_back), dim=1), atol=TOLERANCE, rtol=0)


def test_one_model_in_one_direction_is_enough():
    model = language_model("backward")
    task = tagger([model])
    found = fresh_network(task).context.read(task.make_batch([untagged(SENTENCES[0])]).readings)[0]
    torch.testing.assert_close(found, states_by_characters(model, SENTENCES[0]), atol=TOLERANCE, rtol=0)


def test_a_long_word_is_read_at_its_two_ends():
    task = tagger(both())
    start, end = "s" * CHARACTERS_KEPT, "e" * CHARACTERS_KEPT
    short, long = (task.make_batch([untagged([word])]).readings for word in (start + end, start + "m" * 100_000 + end))
    assert all(torch.equal(left.ids, right.ids) for left, right in zip(short, long, strict=True))


def test_without_regard_to_capital_letters_they_change_nothing():
    task = tagger(both(), "model.embedding.lower_case=true")
    low, high = (task.make_batch([untagged(words)]).readings for words in (["a", "cat"], ["A", "CAT"]))
    assert all(torch.equal(left.ids, right.ids) for left, right in zip(low, high, strict=True))


def test_sentences_read_before_training_have_the_same_states():
    task = tagger(both())
    network = fresh_network(task)
    examples = tagged_examples()[:9]
    read = task.encode(examples, Path())
    assert all(isinstance(example, ReadSentence) and example.states.dtype == torch.float16 for example in read)
    assert [(example.document, example.labels) for example in read] == [
        (example.document, example.labels) for example in examples
    ]
    batch, anew = task.make_batch(read, with_labels=True), task.make_batch(examples, with_labels=True)
    assert not batch.readings
    expected = network.context.read(anew.readings) * anew.mask[..., None]
    torch.testing.assert_close(batch.states, expected, atol=HALF, rtol=0)
    mixed = task.make_batch([read[0], examples[1]])
    assert mixed.states is None
    assert len(mixed.readings) == 2


def test_states_that_are_too_many_for_the_memory_are_computed_in_every_epoch(tmp_path, monkeypatch):
    monkeypatch.setattr(context, "LARGEST_STATES", 1_000)
    task = tagger(both())
    examples = tagged_examples()
    assert task.encode(examples, tmp_path) is examples
    assert fit(tmp_path, tokens=300).tokens >= 300


def fit(folder: Path, *overrides: str, tokens: int = 1_000, resume: bool = False) -> TrainingResult:
    """Train a very small tagger in context."""
    examples = tagged_examples()
    recipe = tiny_recipe("training.batch_tokens=100", *overrides, tokens=tokens)
    return train(tagger(both()), examples[:40], examples[40:], recipe.training, folder, should_resume=resume)


def test_training_changes_nothing_in_the_language_models(tmp_path):
    models = both()
    result = fit(tmp_path)
    trained = dict(result.model.named_parameters())
    assert not any("readers" in name for name in trained)
    assert trained["context.projection.weight"].shape == (12, 64)
    assert not any(module.training for module in result.model.train().context.readers.children())
    for model, reader in zip(models, result.model.context.readers, strict=True):
        weights = model.network.state_dict()
        for name, tensor in reader.state_dict().items():
            assert torch.equal(tensor, weights[name]), name
        assert "words.bias" not in reader.state_dict()


def test_after_a_stop_training_ends_with_the_same_weights(tmp_path, monkeypatch):
    whole = fit(tmp_path / "whole")
    take_step = loop._Run._take_step

    def interrupted(run, part):
        taken = take_step(run, part)
        if run.state.step == 5:
            signal.raise_signal(signal.SIGINT)
        return taken

    with monkeypatch.context() as patch:
        patch.setattr(loop._Run, "_take_step", interrupted)
        with pytest.raises(KeyboardInterrupt):
            fit(tmp_path / "cut")
    resumed = fit(tmp_path / "cut", resume=True)
    expected = whole.model.state_dict()
    assert all(torch.equal(tensor, expected[name]) for name, tensor in resumed.model.state_dict().items())


def saved(folder: Path) -> Path:
    task = tagger(both())
    save_model(
        folder,
        task="pos",
        language="en",
        data="none",
        model_settings=task.settings,
        vocabulary=task.vocabulary(),
        weights=fresh_network(task).state_dict(),
        precision="int8",
    )
    return folder


def change_context(folder: Path, change) -> None:
    """Change what vocab.json says of the language models, with the checksum that it then needs."""
    import hashlib

    path = folder / VOCABULARY_NAME
    vocabulary = json.loads(path.read_text(encoding="utf-8"))
    change(vocabulary)
    path.write_text(json.dumps(vocabulary), encoding="utf-8")
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    data = path.read_bytes()
    config["files"][VOCABULARY_NAME] = {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda context: context.clear(), "the settings call for"),
        (lambda context: context.pop(), "the settings call for"),
        (lambda context: context.append(3), "expected units and settings"),
        (lambda context: context.append(context[0]), "same direction"),
        (lambda context: context[0].pop("units"), "expected units and settings"),
        (lambda context: context[0].pop("settings"), '"direction" is missing'),
        (lambda context: context[0].update(extra=1), "unknown key 'extra'"),
        (lambda context: context[0]["units"].update(unit="subword"), "damaged vocabulary"),
        (lambda context: context[0]["units"]["words"]["tokens"].append("EXTRA"), "the settings call for"),
        (lambda context: context[0]["settings"].update(cell="ltsm"), "unknown cell"),
        (lambda context: context[0]["settings"].update(hidden=33), "the settings call for"),
        (lambda context: context[0]["settings"].update(hidden=10**12), "model: "),
        (lambda context: context[0]["settings"].update(layers=2), "missing from the weights file"),
        (lambda context: context[0]["settings"].update(cutoffs=[0]), "do not ascend"),
        (lambda context: context[0]["settings"].update(direction="sideways"), "direction is 'sideways'"),
    ],
)
def test_a_damaged_context_is_refused(tmp_path, change, message):
    folder = saved(tmp_path / "model")
    assert open_model(folder)
    change_context(folder, lambda vocabulary: change(vocabulary["context"]))
    with pytest.raises(CheckpointError, match=message):
        open_model(folder)


def test_a_context_that_is_no_list_is_refused(tmp_path):
    folder = saved(tmp_path / "model")
    change_context(folder, lambda vocabulary: vocabulary.update(context={}))
    with pytest.raises(CheckpointError, match="expected a list"):
        open_model(folder)


def test_models_that_do_not_fit_are_refused():
    forward = language_model("forward")
    with pytest.raises(ConfigError, match=r"context: forward, forward read in the same direction"):
        tagger([forward, dataclasses.replace(forward)])
    with pytest.raises(ConfigError, match=r"context: forward: .*not of subwords"):
        tagger([language_model("forward", "model.vocabulary=400", unit="subword")])
    with pytest.raises(ConfigError, match="the task lm cannot read contextual features; leave out context"):
        LanguageTask.prepare(tiny_language_recipe().model, running_examples()).take_context([forward])


def test_a_run_takes_a_language_model_by_its_folder_and_needs_it_no_more(tmp_path):
    model = tiny_language_run("character") / "model"
    recipe = tiny_recipe(f"context=[{model}]", "model.context_size=12", tokens=600)
    with without_corpora():
        run_recipe(recipe, tmp_path / "run", data=TAGGED)
    assert f"{model.name} (" in (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    opened = open_model(tmp_path / "run" / "model")
    [reader] = opened.model.context.readers
    weights = open_model(model).model.state_dict()
    assert all(torch.equal(tensor, weights[name]) for name, tensor in reader.state_dict().items())
    [answer] = predict_examples(opened.task, opened.model, [untagged(SENTENCES[0])])
    assert len(answer.labels["upos"]) == len(SENTENCES[0])


def test_a_run_without_a_language_model_to_read_is_refused(tmp_path):
    tagger_recipe = tiny_recipe(f"context=[{tiny_model()}]")
    classifier_recipe = tiny_sentiment_recipe(f"context=[{tiny_language_run('character') / 'model'}]")
    with without_corpora():
        with pytest.raises(ConfigError, match=r"context: .* is a model of the task pos; give a language model"):
            run_recipe(tagger_recipe, tmp_path / "one", data=TAGGED)
        with pytest.raises(ConfigError, match="the task sentiment cannot read contextual features"):
            run_recipe(classifier_recipe, tmp_path / "two", data=REVIEWS)

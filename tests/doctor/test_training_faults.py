"""Faults of networks and trainings are found under their own name, and what is sound has none."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch
from samples import (
    TAGGED,
    pair_examples,
    review_examples,
    tagged_examples,
    tiny_model,
    tiny_recipe,
    tiny_run,
    tiny_sentiment_recipe,
    tiny_sentiment_run,
    tiny_translation_run,
    without_corpora,
)
from typer.testing import CliRunner

from nlp_lstm.cli import app
from nlp_lstm.doctor.course import Course, check_course
from nlp_lstm.doctor.network import check_gates, check_padding, mean_loss
from nlp_lstm.doctor_runs import examine_folder, examine_recipe
from nlp_lstm.errors import CheckpointError, ConfigError
from nlp_lstm.inference.opening import open_model
from nlp_lstm.tasks import ClassificationTask, TaggingTask
from nlp_lstm.training import train

HISTORY = [
    {"loss": loss, "gradient_norm": 1.0, "gradient_by_distance": [1.0, 0.5, 0.2], "half_distance": 1.5}
    for loss in (2.5, 1.2, 0.8, 0.6, 0.5, 0.4, 0.35, 0.3)
]
SOUND = Course(
    kind="tagged",
    history=HISTORY,
    train_loss=0.1,
    dev_loss=0.25,
    epochs=10,
    hidden=128,
    layers=2,
    dropout=0.4,
    is_bidirectional=True,
    learning_rate=2e-3,
    clip_norm=1.0,
)


def course(**changes) -> Course:
    """The sound course with changes; those of ``last`` are of its last record."""
    last = changes.pop("last", {})
    return replace(SOUND, **({"history": [*HISTORY[:-1], HISTORY[-1] | last]} | changes))


@pytest.mark.parametrize(
    ("found", "fault", "remedy"),
    [
        (course(last={"gradient_norm": 500.0}), "exploding gradients", "learning_rate"),
        (course(last={"loss": float("nan")}), "exploding gradients", "learning_rate"),
        (course(last={"loss": 9.0}), "exploding gradients", "clip_norm"),
        # the weights were blown up within the first steps, and nothing moves since then
        (
            course(history=[{"loss": 106.0, "gradient_norm": 45.0}, *HISTORY[1:]]),
            "exploding gradients",
            "learning_rate",
        ),
        (
            course(last={"gradient_by_distance": [0.4**step for step in range(40)], "half_distance": 0.8}),
            "vanishing gradients",
            "model.cell=lstm",
        ),
        (course(train_loss=1.2, learning_rate=1e-5), "high training loss", "larger training.learning_rate"),
        (course(train_loss=1.2, hidden=8), "high training loss", "model.hidden is 8"),
        (course(train_loss=1.2, layers=1), "high training loss", "model.layers=2"),
        (course(train_loss=0.01, dev_loss=0.9, dropout=0.0), "overfitting", "model.dropout=0.4"),
        (
            course(train_loss=0.01, dev_loss=0.9, dropout=0.0, is_bidirectional=False),
            "overfitting",
            "bidirectional=true",
        ),
    ],
)
def test_a_course_has_its_fault_and_a_remedy_that_fits(found, fault, remedy):
    findings = check_course(found)
    assert [finding.fault for finding in findings] == [fault]
    assert remedy in findings[0].remedy


@pytest.mark.parametrize(
    "sound",
    [
        SOUND,
        course(train_loss=0.01, dev_loss=0.3),
        course(dropout=0.0, dev_loss=0.15),
        course(history=[]),
        # of the trained taggers; and a text too short to tell
        course(last={"gradient_by_distance": [0.72**step for step in range(64)], "half_distance": 0.7}),
        course(last={"gradient_by_distance": [1.0, 1e-3, 1e-6], "half_distance": 0.4}),
        # a GRU, and two layers after five passes
        course(last={"gradient_by_distance": [0.46**step for step in range(64)], "half_distance": 0.6}),
        course(train_loss=0.46, dev_loss=0.55),
    ],
)
def test_a_sound_course_has_none(sound):
    assert check_course(sound) == []


class _CountsPadding(TaggingTask):
    """Tagging whose loss is over all places, padding among them."""

    def loss(self, model, outputs, batch):
        logits = outputs[self.main_column]
        labels = batch.labels[self.main_column].clamp_min(0)
        return torch.nn.functional.cross_entropy(logits.flatten(0, 1), labels.flatten())


def test_what_shares_of_labels_leave_of_the_loss_is_no_fault():
    soft = course(kind="labelled", last={"loss": 0.57}, train_loss=0.57, history=[{"loss": 0.70}, {"loss": 0.57}])
    assert [finding.fault for finding in check_course(soft)] == ["high training loss"]
    assert check_course(replace(soft, least_loss=0.45)) == []


def test_padding_that_counts_is_found_and_padding_that_does_not_is_not():
    examples = list(tagged_examples()[:6])
    recipe = tiny_recipe()
    for kind, faults in ((TaggingTask, []), (_CountsPadding, ["loss on what does not matter"])):
        task = kind.prepare(recipe.model, tagged_examples())
        model = task.build_model()
        assert [finding.fault for finding in check_padding(task, model, examples)] == faults
    for folder, rows in ((tiny_sentiment_run(), review_examples()), (tiny_translation_run(), pair_examples())):
        opened = open_model(folder / "model")
        assert check_padding(opened.task, opened.model, list(rows[:6])) == []


def test_padding_that_counts_in_what_is_written_is_found(monkeypatch):
    def loss(model, outputs, batch):
        logits = model.words.logits(outputs.outputs.flatten(0, 1))
        return torch.nn.functional.cross_entropy(logits, batch.next_ids.flatten())

    opened = open_model(tiny_translation_run() / "model")
    monkeypatch.setattr(opened.task, "loss", loss)
    findings = check_padding(opened.task, opened.model, list(pair_examples()[:6]))
    assert [finding.fault for finding in findings] == ["loss on what does not matter"]


def test_gates_that_never_move_are_found():
    opened = open_model(tiny_model())
    longest = max(tagged_examples(), key=opened.task.size)
    assert check_gates(opened.task, opened.model, longest) == []
    cell = opened.model.backbone.encoder.layers[0].get_submodule("0")
    with torch.no_grad():
        for name, parameter in cell.named_parameters():
            if "bias" in name:
                parameter -= 50.0
    findings = check_gates(opened.task, opened.model, longest)
    assert [finding.fault for finding in findings] == ["dead gates"]
    assert "layer 1 (forward)" in findings[0].evidence


def test_the_mean_loss_is_the_loss_of_all_tokens(tmp_path):
    task = TaggingTask.prepare(tiny_recipe().model, tagged_examples())
    model = task.build_model().eval()
    batch = task.make_batch(tagged_examples(), with_labels=True)
    with torch.no_grad():
        expected = float(task.loss(model, model(batch), batch))
    assert mean_loss(task, model, list(tagged_examples()), batch_tokens=60) == pytest.approx(expected, rel=1e-5)


def test_a_rate_that_is_far_too_high_ends_in_a_finding(tmp_path):
    task = ClassificationTask.prepare(tiny_sentiment_recipe().model, review_examples())
    recipe = tiny_sentiment_recipe("training.learning_rate=3", "training.average_decay=0", "training.clip_norm=1000")
    result = train(task, review_examples(), review_examples()[:8], recipe.training, tmp_path)
    losses = [record["loss"] for record in result.history if "loss" in record]
    findings = check_course(course(kind="labelled", history=result.history, train_loss=losses[-1], learning_rate=3))
    assert findings
    assert "smaller training.learning_rate" in findings[0].remedy


def test_a_finished_run_is_examined_again_to_the_same_findings():
    with without_corpora():
        found = examine_folder(tiny_run(), lambda recipe: [], lambda line: None)
    written = json.loads((tiny_run() / "metrics.json").read_text(encoding="utf-8"))["metrics"]["doctor"]
    assert [finding.fault for finding in found] == [finding["fault"] for finding in written]
    assert "Doctor" in (tiny_run() / "report.html").read_text(encoding="utf-8")


def test_a_recipe_and_its_data_are_examined_before_training():
    with without_corpora():
        assert examine_recipe(tiny_recipe(), TAGGED, [], lambda line: None) == []


def test_the_command_prints_findings_and_refuses_what_is_no_run(tmp_path):
    runner = CliRunner()
    with without_corpora():
        shown = runner.invoke(app, ["doctor", str(tiny_run())])
        as_json = runner.invoke(app, ["doctor", str(tiny_run()), "--json"])
    assert shown.exit_code == 0
    assert shown.stdout.startswith("doctor: ")
    assert isinstance(json.loads(as_json.stdout), list)
    with pytest.raises(ConfigError, match="does not change any more"):
        runner.invoke(app, ["doctor", str(tiny_run()), "model.hidden=8"], catch_exceptions=False)
    with pytest.raises(ConfigError, match="which knows its data"):
        runner.invoke(app, ["doctor", str(tiny_run()), "--data", str(TAGGED)], catch_exceptions=False)
    unfinished = tmp_path / "run"
    unfinished.mkdir()
    (unfinished / "recipe.yaml").write_text((tiny_run() / "recipe.yaml").read_text(encoding="utf-8"), encoding="utf-8")
    (unfinished / "run.json").write_text('{"is_finished": false}', encoding="utf-8")
    with pytest.raises(CheckpointError, match="go on with `nlp-lstm run --resume`"):
        examine_folder(unfinished, lambda recipe: [], lambda line: None)

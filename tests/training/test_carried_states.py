"""Training on running text: the states that one batch hands to the next are part of where a run stands."""

import os
import signal
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from samples import running_examples, tiny_language_recipe

import nlp_lstm
from nlp_lstm.errors import CheckpointError
from nlp_lstm.tasks import LanguageTask
from nlp_lstm.training import TrainingResult, loop, train

TRAINING = DEVELOPMENT = running_examples()  # so that the last weights are the best, and are those compared
OVERRIDES = (
    "model.hidden=8",
    "model.embed=8",
    "model.dropout=0.2",
    "model.recurrent_dropout=0.2",
    "model.embedding_dropout=0.1",
    "model.window=10",
    "training.batch_tokens=20",
    "training.evaluations=4",
)


def fit(folder: Path, *overrides: str, tokens: int = 600, resume: bool = False) -> TrainingResult:
    """Train a very small language model."""
    recipe = tiny_language_recipe(*OVERRIDES, *overrides, tokens=tokens)
    task = LanguageTask.prepare(recipe.model, TRAINING)
    return train(task, TRAINING, DEVELOPMENT, recipe.training, folder, should_resume=resume)


def assert_equal_runs(left: TrainingResult, right: TrainingResult) -> None:
    """Equal weights, bit for bit, and equal scores on the way."""
    found, expected = left.model.state_dict(), right.model.state_dict()
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], expected[name]) for name in found)
    assert dev_scores(left) == dev_scores(right)
    assert (left.tokens, left.best_score) == (right.tokens, right.best_score)
    assert dev_scores(left)[-1][1] == left.best_score


def dev_scores(result: TrainingResult) -> list[tuple[int, float]]:
    return [(record["step"], record["dev_log_probability"]) for record in result.history if "dev_perplexity" in record]


def interrupt_at(monkeypatch, folder: Path, step: int, *overrides: str) -> None:
    """Run until Ctrl-C comes in a step."""
    take_step = loop._Run._take_step

    def interrupted(run, part):
        taken = take_step(run, part)
        if run.state.step == step:
            signal.raise_signal(signal.SIGINT)
        return taken

    with monkeypatch.context() as patch:
        patch.setattr(loop._Run, "_take_step", interrupted)
        with pytest.raises(KeyboardInterrupt):
            fit(folder, *overrides)


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> TrainingResult:
    """The run that nothing disturbs."""
    return fit(tmp_path_factory.mktemp("whole"))


@pytest.mark.parametrize("stop_at", [1, 5, 21])
def test_ctrl_c_in_the_middle_of_an_epoch_changes_nothing(whole, tmp_path, monkeypatch, stop_at):
    interrupt_at(monkeypatch, tmp_path, stop_at)
    assert_equal_runs(fit(tmp_path, resume=True), whole)


@pytest.mark.parametrize(
    "override", ["training.optimizer=nt-asgd", "model.cell=gru", "model.cell=rnn", "model.direction=backward"]
)
def test_so_it_is_with_another_optimiser_cell_and_direction(tmp_path, monkeypatch, override):
    undisturbed = fit(tmp_path / "whole", override)
    interrupt_at(monkeypatch, tmp_path / "stopped", 13, override)
    assert_equal_runs(fit(tmp_path / "stopped", override, resume=True), undisturbed)


KILLED = """
import os, signal, sys
sys.path[:0] = sys.argv[2:]
from pathlib import Path
from nlp_lstm.training import loop
loop.SECONDS_BETWEEN_CHECKPOINTS, loop.STEPS_BETWEEN_RECORDS = 0.0, 4
import test_carried_states
take_step = loop._Run._take_step
def killed(run, part):
    taken = take_step(run, part)
    if run.state.step == 18:  # two steps after a checkpoint
        os.kill(os.getpid(), signal.SIGKILL)
    return taken
loop._Run._take_step = killed
test_carried_states.fit(Path(sys.argv[1]))
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="the system has no SIGKILL")
def test_a_kill_between_two_checkpoints_in_the_middle_of_an_epoch_changes_nothing(whole, tmp_path):
    here = Path(__file__).parent
    roots = [str(path) for path in (here, here.parent, Path(nlp_lstm.__file__).parent.parent)]
    command = [sys.executable, "-c", KILLED, str(tmp_path), *roots]
    done = subprocess.run(command, capture_output=True, text=True, env=dict(os.environ))
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert any(name.startswith("carried/") for name in load_file(tmp_path / loop.CHECKPOINT_NAME))
    assert_equal_runs(fit(tmp_path, resume=True), whole)


def test_the_checkpoint_holds_the_states_of_every_row_and_they_matter(whole, tmp_path, monkeypatch):
    interrupt_at(monkeypatch, tmp_path, 5)
    path = tmp_path / loop.CHECKPOINT_NAME
    tensors = load_file(path)
    carried = {name: tensor for name, tensor in tensors.items() if name.startswith("carried/")}
    assert {name: tuple(tensor.shape) for name, tensor in carried.items()} == {
        "carried/0/hidden": (2, 8),  # rows: batch_tokens by window
        "carried/0/cell": (2, 8),
    }
    assert all((tensor != 0).all() for tensor in carried.values())
    from safetensors import safe_open

    with safe_open(path, framework="pt") as file:
        counters = file.metadata()
    save_file({**tensors, **{name: torch.zeros_like(carried[name]) for name in carried}}, path, metadata=counters)
    other = fit(tmp_path, resume=True)
    assert not torch.equal(other.model.words.tables[0], whole.model.words.tables[0])


def test_each_batch_begins_where_the_one_before_ended_and_an_epoch_at_nothing(tmp_path, monkeypatch):
    seen = []
    training_batch = LanguageTask.training_batch

    def watched(task, examples, part, carried):
        batch = training_batch(task, examples, part, carried)
        seen.append((part.start, batch.ids, batch.next_ids, {name: tensor.clone() for name, tensor in carried.items()}))
        assert bool(batch.carried) == (part.start > 0)
        return batch

    monkeypatch.setattr(LanguageTask, "training_batch", watched)
    monkeypatch.setattr(LanguageTask, "score_development", lambda *args, **kwargs: {"log_probability": 0.0})
    fit(tmp_path)
    starts = [place for place, (start, *_) in enumerate(seen) if start == 0]
    assert len(starts) > 1, "more than one epoch"
    for (_, _, before, _), (start, ids, _, carried) in pairwise(seen):
        if start:
            assert torch.equal(before[:, -1], ids[:, 0])
            assert not any(tensor.requires_grad for tensor in carried.values())


@pytest.mark.parametrize("override", ["model.window=11", "model.direction=backward", "training.optimizer=nt-asgd"])
def test_resuming_with_another_recipe_is_refused(tmp_path, override):
    fit(tmp_path, tokens=60)
    with pytest.raises(CheckpointError, match="belongs to another recipe or other data"):
        fit(tmp_path, override, tokens=60, resume=True)

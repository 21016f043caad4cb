import math
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import torch
from samples import tagged_examples, tiny_recipe

import nlp_lstm
from nlp_lstm.errors import CheckpointError, ConfigError
from nlp_lstm.nn.precision import can_run_bf16
from nlp_lstm.tasks import TaggingTask, predict_examples
from nlp_lstm.training import TrainingResult, loop, train
from nlp_lstm.training.interrupt import InterruptFlag

TRAINING, DEVELOPMENT = tagged_examples()[:40], tagged_examples()[40:]
OVERRIDES = ("model.hidden=8", "model.dropout=0.3", "training.batch_tokens=100", "training.evaluations=4")


def fit(folder: Path, *overrides: str, tokens: int = 2_500, resume: bool = False) -> TrainingResult:
    """Train a very small tagger."""
    recipe = tiny_recipe(*OVERRIDES, *overrides, tokens=tokens)
    task = TaggingTask.prepare(recipe.model, TRAINING)
    return train(task, TRAINING, DEVELOPMENT, recipe.training, folder, should_resume=resume)


def assert_equal_weights(left: TrainingResult, right: TrainingResult) -> None:
    found, expected = left.model.state_dict(), right.model.state_dict()
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], expected[name]) for name in found)


def dev_scores(result: TrainingResult) -> list[dict[str, float]]:
    wanted = ("step", "tokens", "dev_upos_accuracy", "dev_xpos_accuracy")
    return [{key: record[key] for key in wanted} for record in result.history if "dev_upos_accuracy" in record]


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> TrainingResult:
    """The run that nothing disturbs."""
    return fit(tmp_path_factory.mktemp("whole"))


# ---- seeds


def test_the_same_seed_gives_the_same_weights_bit_for_bit(whole, tmp_path):
    torch.manual_seed(12345)  # what the caller did with random numbers does not matter
    again = fit(tmp_path)
    assert_equal_weights(again, whole)
    assert dev_scores(again) == dev_scores(whole)


def test_another_seed_gives_other_weights(whole, tmp_path):
    other = fit(tmp_path, "training.seed=2").model.state_dict()
    changed = [name for name, tensor in whole.model.state_dict().items() if not torch.equal(tensor, other[name])]
    assert len(changed) > len(other) / 2


# ---- stop and go on


@pytest.mark.parametrize("stop_at", [1, 2, 17, 29])
def test_ctrl_c_saves_and_resuming_ends_with_the_same_weights(whole, tmp_path, monkeypatch, stop_at):
    take_step = loop._Run._take_step

    def interrupted(run, indices):
        taken = take_step(run, indices)
        if run.state.step == stop_at:
            signal.raise_signal(signal.SIGINT)
        return taken

    with monkeypatch.context() as patch:
        patch.setattr(loop._Run, "_take_step", interrupted)
        with pytest.raises(KeyboardInterrupt):
            fit(tmp_path)
    resumed = fit(tmp_path, resume=True)
    assert_equal_weights(resumed, whole)
    assert dev_scores(resumed) == dev_scores(whole)
    assert (resumed.tokens, resumed.best_score) == (whole.tokens, whole.best_score)
    assert "with --resume" in (tmp_path / "training.log").read_text(encoding="utf-8")


KILLED = """
import os, signal, sys
sys.path[:0] = sys.argv[2:]
from pathlib import Path
from nlp_lstm.training import loop
loop.SECONDS_BETWEEN_CHECKPOINTS, loop.STEPS_BETWEEN_RECORDS = 0.0, 4
import test_loop
take_step = loop._Run._take_step
def killed(run, indices):
    taken = take_step(run, indices)
    if run.state.step == 18:  # two steps after a checkpoint
        os.kill(os.getpid(), signal.SIGKILL)
    return taken
loop._Run._take_step = killed
test_loop.fit(Path(sys.argv[1]))
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="the system has no SIGKILL")
def test_after_a_kill_between_two_checkpoints_resuming_ends_with_the_same_weights(whole, tmp_path):
    here = Path(__file__).parent
    roots = [str(path) for path in (here, here.parent, Path(nlp_lstm.__file__).parent.parent)]
    done = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path), *roots], capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert (tmp_path / loop.CHECKPOINT_NAME).is_file()
    resumed = fit(tmp_path, resume=True)
    assert_equal_weights(resumed, whole)
    assert dev_scores(resumed) == dev_scores(whole)


def test_resuming_a_finished_run_changes_nothing(tmp_path):
    first = fit(tmp_path, tokens=600)
    again = fit(tmp_path, tokens=600, resume=True)
    assert_equal_weights(again, first)
    assert (again.tokens, again.history) == (first.tokens, first.history)


@pytest.mark.parametrize(
    "override", ["model.hidden=9", "training.seed=2", "training.learning_rate=0.02", "model.head=crf"]
)
def test_resuming_with_another_recipe_is_refused(tmp_path, override):
    fit(tmp_path, tokens=200)
    with pytest.raises(CheckpointError, match="belongs to another recipe or other data"):
        fit(tmp_path, override, tokens=200, resume=True)


def test_resuming_from_a_truncated_checkpoint_is_refused(tmp_path):
    fit(tmp_path, tokens=200)
    path = tmp_path / loop.CHECKPOINT_NAME
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(CheckpointError, match="is damaged"):
        fit(tmp_path, tokens=200, resume=True)


def test_resuming_without_a_checkpoint_starts_anew(whole, tmp_path):
    assert_equal_weights(fit(tmp_path, resume=True), whole)


def test_a_second_ctrl_c_interrupts_at_once():
    with InterruptFlag() as flag:
        signal.raise_signal(signal.SIGINT)
        assert flag.is_set
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)  # the usual handler is back


def test_outside_the_main_thread_the_flag_does_nothing():
    seen = []
    thread = threading.Thread(target=lambda: seen.append(InterruptFlag().__enter__().is_set))
    thread.start()
    thread.join()
    assert seen == [False]


# ---- the course of a run


def test_the_history_holds_the_learning_curves(whole):
    losses = [record["loss"] for record in whole.history if "loss" in record]
    assert losses[-1] < losses[0]
    steps = [record for record in whole.history if "gradient_norm" in record]
    assert all(math.isfinite(record["gradient_norm"]) and record["gradient_norm"] > 0 for record in steps)
    assert all(record["tokens_per_second"] > 0 and record["learning_rate"] >= 0 for record in steps)
    assert len(dev_scores(whole)) == 4
    assert whole.best_score == max(record["dev_upos_accuracy"] for record in dev_scores(whole))
    assert [record["tokens"] for record in whole.history] == sorted(record["tokens"] for record in whole.history)


def test_training_that_diverges_says_so_at_the_first_evaluation(tmp_path):
    with pytest.raises(ConfigError, match=r"has diverged.*smaller training.learning_rate \(it is 1e\+38\)"):
        fit(tmp_path, "training.learning_rate=1e38", "training.warmup_steps=0")
    log = (tmp_path / "training.log").read_text()
    assert log.count(" dev ") == 1


def test_the_weights_kept_are_those_with_the_best_score(whole):
    recipe = tiny_recipe(*OVERRIDES)
    task = TaggingTask.prepare(recipe.model, TRAINING)
    predictions = predict_examples(task, whole.model, DEVELOPMENT, batch_tokens=4_000)
    assert task.score(DEVELOPMENT, predictions)["upos_accuracy"] == pytest.approx(whole.best_score)


def test_training_stops_at_its_tokens(whole):
    assert 2_500 <= whole.tokens < 2_500 + 100


def test_little_data_is_gone_through_no_more_often_than_epochs_allow(tmp_path):
    once = sum(len(example.document) for example in TRAINING)
    result = fit(tmp_path, "training.epochs=2", "training.patience=20", tokens=100 * once)
    assert 2 * once <= result.tokens < 2 * once + 100
    rates = [record["learning_rate"] for record in result.history if "learning_rate" in record]
    assert rates[-1] < 0.2 * max(rates)  # the schedule ends with the run, in whose last steps this was recorded


def test_patience_ends_a_run_that_no_longer_gets_better(tmp_path):
    result = fit(tmp_path, "training.learning_rate=1e-12", "training.evaluations=20", "training.patience=2")
    assert len(dev_scores(result)) == 3  # the first is the best, two more are not
    assert result.tokens < 2_500


needs_bf16 = pytest.mark.skipif(not can_run_bf16(), reason="this processor's kernels have no bfloat16")


@pytest.mark.parametrize("precision", ["fp32", pytest.param("bf16", marks=needs_bf16), "auto"])
def test_each_precision_trains(tmp_path, precision):
    result = fit(tmp_path, f"training.precision={precision}", "training.learning_rate=0.02", tokens=1_500)
    losses = [record["loss"] for record in result.history if "loss" in record]
    assert losses[-1] < 0.9 * losses[0]
    assert result.used_bf16 == (precision == "bf16" or (precision == "auto" and loop.has_fast_bf16()))
    assert all(tensor.dtype != torch.bfloat16 for tensor in result.model.state_dict().values())


def test_a_fixed_window_trains_like_a_recurrent_network(tmp_path):
    result = fit(tmp_path, "model.encoder=window")
    assert not any("recurrent" in name for name, _ in result.model.backbone.encoder.named_modules())
    assert result.best_score > 0.3


@pytest.mark.parametrize("cell", ["rnn", "gru"])
def test_other_cells_train(tmp_path, cell):
    assert fit(tmp_path, f"model.cell={cell}").best_score > 0.3


def test_the_log_and_the_events_are_written(tmp_path):
    fit(tmp_path, tokens=300)
    assert "dev upos_accuracy" in (tmp_path / "training.log").read_text(encoding="utf-8")
    assert list((tmp_path / "tensorboard").glob("events*"))
    assert not list(tmp_path.glob("*.part"))


# ---- the average of the weights


def watch_weights(monkeypatch) -> list[tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]]:
    """Collect copies of the weights and of their average after each step of the runs that follow."""
    seen: list[tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]] = []
    take_step = loop._Run._take_step

    def watched(run, part):
        taken = take_step(run, part)
        weights = {name: parameter.detach().clone() for name, parameter in run.model.named_parameters()}
        seen.append((weights, {name: tensor.clone() for name, tensor in run.average.tensors.items()}))
        return taken

    monkeypatch.setattr(loop._Run, "_take_step", watched)
    return seen


def test_adamws_average_is_the_exponential_one_of_a_plain_loop(tmp_path, monkeypatch):
    seen = watch_weights(monkeypatch)
    fit(tmp_path, "training.average_decay=0.5", tokens=900)
    assert len(seen) > 5
    expected = dict(seen[0][1])
    for step, (weights, average) in enumerate(seen[1:], start=2):
        decay = min(0.5, (step + 1) / (step + 10))
        expected = {name: decay * expected[name] + (1 - decay) * weights[name] for name in weights}
        for name, tensor in average.items():
            torch.testing.assert_close(tensor, expected[name], atol=1e-6, rtol=1e-5)  # fp32, another order of sums


def test_without_an_average_the_last_weights_count(tmp_path, monkeypatch):
    seen = watch_weights(monkeypatch)
    fit(tmp_path, "training.average_decay=0", tokens=300)
    assert all(torch.equal(weights[name], average[name]) for weights, average in seen for name in weights)


@pytest.mark.parametrize("is_averaging", [True, False])
def test_nt_asgd_averages_all_weights_since_the_trigger(tmp_path, monkeypatch, is_averaging):
    """The plain mean of Polyak and Juditsky, from where the trigger fires; before it, the last weights."""
    seen = watch_weights(monkeypatch)
    scores = iter(range(100)) if not is_averaging else iter(range(0, -100, -1))
    monkeypatch.setattr(TaggingTask, "score_development", lambda *args, **kwargs: {"upos_accuracy": next(scores)})
    settings = ("optimizer=nt-asgd", "learning_rate=0.5", "evaluations=10", "patience=50")
    result = fit(tmp_path, *(f"training.{setting}" for setting in settings))
    evaluated = [record["step"] for record in result.history if "dev_upos_accuracy" in record]
    start = evaluated[6] if is_averaging else len(seen)  # the seventh: the first has stood for six evaluations
    assert len(seen) > evaluated[6] + 3
    for weights, average in seen[:start]:
        assert all(torch.equal(weights[name], average[name]) for name in weights)
    for end in range(start + 1, len(seen) + 1):
        for name, tensor in seen[end - 1][1].items():
            mean = torch.stack([weights[name] for weights, _ in seen[start:end]]).mean(dim=0)
            torch.testing.assert_close(tensor, mean, atol=1e-5, rtol=1e-4)  # fp32: a mean that runs, and one at once

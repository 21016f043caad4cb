import math

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from nlp_lstm.errors import CheckpointError
from nlp_lstm.training.checkpoint import TrainingState, load_checkpoint, save_checkpoint
from nlp_lstm.training.optim import WeightAverage, make_optimizer


class Parts:
    """A small network with its optimiser and average, some steps into training."""

    def __init__(self, seed: int, size: int = 4, steps: int = 3) -> None:
        torch.manual_seed(seed)
        self.model = nn.Linear(size, size)
        self.optimizer = make_optimizer("adamw", [self.model.parameters()], 0.1, 0.0)
        self.average = WeightAverage(self.model)
        for _ in range(steps):
            self.step()

    def step(self) -> None:
        self.optimizer.zero_grad()
        self.model(torch.randn(2, self.model.in_features)).square().sum().backward()
        self.optimizer.step()
        self.average.update(self.model, 0.5)

    def save(self, path, state, best=None, carried=None) -> None:
        held = {"best": best or {}, "carried": carried or {}}
        save_checkpoint(path, state, self.model, self.optimizer, self.average, **held)

    def load(self, path, fingerprint="same"):
        return load_checkpoint(path, fingerprint, self.model, self.optimizer, self.average)

    def tensors(self) -> list[torch.Tensor]:
        states = self.optimizer.state_dict()["state"]
        moments = [states[number][key] for number in sorted(states) for key in sorted(states[number])]
        return [*self.model.parameters(), *self.average.tensors.values(), *moments]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "checkpoint.safetensors"


def state(**values) -> TrainingState:
    return TrainingState(**{"fingerprint": "same", **values})


def test_everything_that_the_next_step_depends_on_comes_back(path):
    before = Parts(seed=1)
    history = [{"step": 1, "loss": 0.5}, {"step": 2, "dev_accuracy": math.nan}]
    given = state(step=3, epoch=1, batch=2, tokens=77, seconds=1.5, best_score=0.25, history=history)
    best = {"weight": torch.randn(4, 4)}
    carried = {"0/hidden": torch.randn(2, 3), "0/cell": torch.randn(2, 3)}
    before.save(path, given, best, carried)
    before.step()

    after = Parts(seed=2)
    found, found_best, found_carried = after.load(path)
    assert {**vars(found), "history": None} == {**vars(given), "history": None}
    assert found.history[0] == history[0]
    assert torch.equal(found_best["weight"], best["weight"])
    assert found_carried.keys() == carried.keys()
    assert all(torch.equal(found_carried[name], carried[name]) for name in carried)
    after.step()  # draws its inputs from the restored random numbers
    assert all(torch.equal(left, right) for left, right in zip(after.tensors(), before.tensors(), strict=True))


def test_a_checkpoint_before_any_evaluation_has_no_best_weights(path):
    Parts(seed=1).save(path, state())
    found, best, carried = Parts(seed=2).load(path)
    assert best == carried == {}
    assert found.best_score == -math.inf


def test_another_runs_checkpoint_is_refused(path):
    Parts(seed=1).save(path, state())
    with pytest.raises(CheckpointError, match="belongs to another recipe or other data"):
        Parts(seed=1).load(path, fingerprint="other")


@pytest.mark.parametrize("keep", [0, 5, 100, -1])
def test_a_truncated_checkpoint_is_refused(path, keep):
    Parts(seed=1).save(path, state())
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(CheckpointError, match=r"is damaged .* start anew without --resume"):
        Parts(seed=1).load(path)


@pytest.mark.parametrize("header", [None, {}, {"state": "no json"}, {"state": "[]"}, {"state": '{"unknown": 1}'}])
def test_a_checkpoint_without_its_counters_is_refused(path, header):
    save_file({"random": torch.get_rng_state()}, path, metadata=header)
    with pytest.raises(CheckpointError, match="is damaged"):
        Parts(seed=1).load(path)


@pytest.mark.parametrize("missing", ["model/weight", "average/weight", "random"])
def test_a_checkpoint_that_lacks_a_tensor_is_refused(path, missing):
    Parts(seed=1).save(path, state())
    tensors = load_file(path)
    tensors.pop(missing)
    save_file(tensors, path, metadata={"state": '{"fingerprint": "same"}'})
    with pytest.raises(CheckpointError, match="does not fit the network"):
        Parts(seed=1).load(path)


def test_a_checkpoint_of_another_size_is_refused(path):
    Parts(seed=1, size=5).save(path, state())
    with pytest.raises(CheckpointError, match="does not fit the network"):
        Parts(seed=1).load(path)


def test_a_failed_save_leaves_the_old_checkpoint(path, monkeypatch):
    Parts(seed=1).save(path, state(step=1))

    def fail(*args, **kwargs):
        raise OSError("disk full")

    with monkeypatch.context() as patch:
        patch.setattr("nlp_lstm.weights.save_file", fail)
        with pytest.raises(OSError, match="disk full"):
            Parts(seed=1).save(path, state(step=2))
    assert Parts(seed=2).load(path)[0].step == 1

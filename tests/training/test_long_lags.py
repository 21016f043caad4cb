"""The long-lag problems against plain loops over their sequences, and nets that learn short ones."""

import importlib.util
import json
from pathlib import Path

import pytest
import torch

from nlp_lstm.errors import ConfigError
from nlp_lstm.nn.long_lags import PROBLEMS, Copying, LagNetwork, Parentheses
from nlp_lstm.nn.settings import cells
from nlp_lstm.training.long_lags import LagSettings, train_on_lags

ROOT = Path(__file__).resolve().parents[2]


def draw(name: str, length: int, rows: int = 50):
    return PROBLEMS[name].draw(rows, length, torch.Generator().manual_seed(1))


@pytest.fixture(scope="module")
def benchmark():
    """The script, as a module."""
    spec = importlib.util.spec_from_file_location("long_lags_benchmark", ROOT / "benchmarks" / "long_lags.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("length", [2, 3, 17])
def test_adding_asks_for_the_sum_of_one_number_of_each_half(length):
    inputs, targets = draw("adding", length)
    for row, target in zip(inputs.tolist(), targets.tolist(), strict=True):
        marked = [place for place, (_, mark) in enumerate(row) if mark]
        assert len(marked) == 2
        assert marked[0] < length // 2 <= marked[1]
        assert target == pytest.approx(sum(row[place][0] for place in marked))
        assert all(0 <= value <= 1 for value, _ in row)


def test_always_saying_one_has_the_error_of_a_sixth():
    problem = PROBLEMS["adding"]
    _, targets = problem.draw(20_000, 8, torch.Generator().manual_seed(1))
    ones = torch.ones(len(targets), 8, 1)
    assert problem.error(ones, targets) == pytest.approx(1 / 6, abs=0.005)  # twice the variance of one number


@pytest.mark.parametrize("length", [6, 15])
def test_copying_asks_for_the_first_symbols_at_the_last_steps(length):
    inputs, targets = draw("copy", length)
    ids = inputs.argmax(dim=2)
    assert torch.equal(ids[:, : Copying.num_kept], targets)
    assert bool((ids[:, Copying.num_kept : -Copying.num_kept] == Copying.num_symbols).all())
    assert bool((ids[:, -Copying.num_kept :] == Copying.num_symbols + 1).all())


@pytest.mark.parametrize("length", [1, 40])
def test_parentheses_are_counted(length):
    inputs, targets = draw("parentheses", length, rows=300)
    for signs, target in zip(inputs.argmax(dim=2).tolist(), targets[:, 0].tolist(), strict=True):
        depth = 0
        for sign in signs:
            depth += sign - 1
            assert 0 <= depth <= Parentheses.deepest
        assert depth == target
    assert len(set(targets[:, 0].tolist())) > min(length, 4)


@pytest.mark.parametrize("name", list(PROBLEMS))
def test_errors_are_zero_for_right_answers_and_sequences_do_not_come_twice(name):
    problem = PROBLEMS[name]
    generator = torch.Generator().manual_seed(1)
    first, second = (problem.draw(20, 30, generator) for _ in range(2))
    assert not torch.equal(first.inputs, second.inputs)
    right = torch.zeros(20, 30, problem.output_size)
    if name == "adding":
        right[:, -1, 0] = first.targets
    else:
        right[:, -first.targets.shape[1] :] = torch.nn.functional.one_hot(first.targets, problem.output_size).float()
    assert problem.error(right, first.targets) == 0
    assert problem.error(right, second.targets) > problem.solved_at


@pytest.mark.parametrize("cell", list(cells))
def test_every_cell_fits_the_network(cell):
    for name, problem in PROBLEMS.items():
        inputs, targets = draw(name, 8, rows=2)
        loss = problem.loss(LagNetwork(problem, cell, 4)(inputs), targets)
        assert bool(loss.isfinite())
        loss.backward()


def test_an_lstm_learns_to_copy_over_a_few_steps():
    result = train_on_lags(
        LagSettings(problem="copy", cell="lstm", length=6, seed=1, hidden=24, steps=600, learning_rate=0.03)
    )
    assert result.is_solved
    assert result.error <= 0.01
    assert result.steps < 600


def test_the_same_seed_gives_the_same_net():
    settings = LagSettings(problem="adding", cell="gru", length=8, seed=1, hidden=8, steps=5)
    one, other = (train_on_lags(settings) for _ in range(2))
    assert (one.error, one.steps, one.vanished) == (other.error, other.steps, other.vanished)


def test_what_is_not_known_or_too_short_is_refused():
    with pytest.raises(ConfigError, match="adding, copy, parentheses"):
        train_on_lags(LagSettings(problem="ading", cell="lstm", length=5, seed=1))
    with pytest.raises(ConfigError, match="unknown cell"):
        train_on_lags(LagSettings(problem="copy", cell="ltsm", length=8, seed=1))
    with pytest.raises(ConfigError, match="at least 6"):
        train_on_lags(LagSettings(problem="copy", cell="lstm", length=5, seed=1))


def test_the_benchmark_goes_on_where_it_was_and_writes_a_report(benchmark, tmp_path, monkeypatch, capsys):
    command = ["--cells", "rnn", "lstm", "--lengths", "6", "8", "--seeds", "1", "--steps", "2", "--hidden", "4"]
    command += ["--output", str(tmp_path)]
    benchmark.main(command)
    assert "not solved in 2 steps" in capsys.readouterr().out
    results = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))
    assert len(results) == 2  # no cell has solved the first length, so none went on to the second
    assert "Gradient left" in (tmp_path / "report.html").read_text(encoding="utf-8")
    monkeypatch.setattr(benchmark, "train_on_lags", lambda settings: pytest.fail("trained again"))
    benchmark.main(command)

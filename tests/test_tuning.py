"""The search for settings, on two or three tiny trials."""

import json
import sys

import pytest
import yaml
from samples import SMALL_NETWORK, TAGGED, tiny_recipe
from typer.testing import CliRunner

from nlp_lstm import tuning
from nlp_lstm.cli import app
from nlp_lstm.errors import CheckpointError, ConfigError
from nlp_lstm.recipes import list_recipes, load_recipe, make_recipe
from nlp_lstm.tuning import Range, default_space, read_space, space_yaml, tune

pytest.importorskip("optuna")

SPACE = {
    "training.learning_rate": Range(low=0.001, high=0.1, log=True),
    "model.hidden": Range(low=4, high=16, step=4),
    "model.cell": ("lstm", "gru"),
}


class Untouchable:
    """Test data that complains when anything is asked of it."""

    def __getattribute__(self, name):
        raise AssertionError("test data was looked at")

    __iter__ = __len__ = __getitem__ = __bool__ = lambda *_: pytest.fail("test data was looked at")


@pytest.fixture
def recipe():
    return tiny_recipe("model.hidden=8", tokens=300)


@pytest.fixture(autouse=True)
def without_test_data(monkeypatch):
    read = tuning.read_run_data

    def read_without(*arguments):
        found = read(*arguments)
        object.__setattr__(found, "test", Untouchable())
        return found

    monkeypatch.setattr(tuning, "read_run_data", read_without)


def search(recipe, folder, num_trials=3, **options):
    return tune(recipe, folder, space=SPACE, num_trials=num_trials, data=TAGGED, **options)


def told(result):
    return [(trial.number, trial.changes, trial.score) for trial in result.trials]


def test_the_best_trial_is_found_and_its_recipe_written(recipe, tmp_path):
    result = search(recipe, tmp_path / "search")
    first, *others = result.trials
    assert len(others) == 2
    assert first.changes == {
        "training.learning_rate": 0.01,
        "model.hidden": 8,
        "model.cell": "lstm",
    }  # the recipe's own
    assert len({json.dumps(trial.changes) for trial in result.trials}) == 3
    assert all(4 <= trial.changes["model.hidden"] <= 16 for trial in others)
    assert result.best.score == max(trial.score for trial in result.trials)
    assert load_recipe(str(result.recipe_path)) == make_recipe(
        recipe.model_dump(mode="json"), result.best.changes, where="test"
    )
    written = json.loads((tmp_path / "search" / "trials.json").read_text(encoding="utf-8"))
    assert [trial["score"] for trial in written] == [trial.score for trial in result.trials]
    assert not list((tmp_path / "search").rglob("checkpoint*"))


def test_a_search_that_was_stopped_ends_as_one_that_was_not(recipe, tmp_path, monkeypatch):
    whole = search(recipe, tmp_path / "whole")
    calls = []

    def stop_at_the_second(*arguments, **options):
        calls.append(arguments)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return train(*arguments, **options)

    train = tuning.train
    monkeypatch.setattr(tuning, "train", stop_at_the_second)
    with pytest.raises(KeyboardInterrupt):
        search(recipe, tmp_path / "stopped")
    assert told(search(recipe, tmp_path / "stopped")) == told(whole)
    assert len(calls) == 4
    assert told(search(recipe, tmp_path / "stopped")) == told(whole)  # nothing is left to do
    assert len(calls) == 4


def test_a_trial_that_cannot_be_trained_is_no_end(recipe, tmp_path, monkeypatch):
    train = tuning.train

    def fail_once(*arguments, **options):
        monkeypatch.setattr(tuning, "train", train)
        raise ConfigError("training has diverged")

    monkeypatch.setattr(tuning, "train", fail_once)
    result = search(recipe, tmp_path / "search", num_trials=2)
    assert [trial.score is None for trial in result.trials] == [True, False]
    assert result.best.number == 1


def test_no_trial_begins_after_the_time(recipe, tmp_path):
    result = search(recipe, tmp_path / "search", minutes=0)
    assert (list(result.trials), result.best) == ([], None)


def test_another_search_and_a_damaged_study_are_refused(recipe, tmp_path):
    search(recipe, tmp_path, minutes=0)
    with pytest.raises(ConfigError, match=r"its recipe\.yaml is another"):
        search(tiny_recipe("model.hidden=9"), tmp_path)
    with pytest.raises(ConfigError, match=r"its space\.yaml is another"):
        tune(recipe, tmp_path, space={"model.hidden": (4, 8)}, num_trials=1, data=TAGGED)
    (tmp_path / "study.db").write_bytes(b"no database at all" * 100)
    with pytest.raises(CheckpointError, match=r"study\.db cannot be read"):
        search(recipe, tmp_path)


# ---- the space


def test_a_space_is_read_as_it_is_written(recipe, tmp_path):
    path = tmp_path / "space.yaml"
    path.write_text(space_yaml(SPACE), encoding="utf-8")
    assert read_space(path, recipe) == SPACE
    assert space_yaml(read_space(path, recipe)) == space_yaml(SPACE)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, "give keys with ranges"),
        ({"model.hiden": [1, 2], "model.cell": ["ltsm", "gru"]}, '(?s)Did you mean "hidden".*ltsm'),
        ({"model.hidden": {"low": 8, "high": 4}}, "give a smaller and a larger one"),
        ({"model.hidden": {"low": 0, "high": 4}}, "model.hidden is 0"),
        ({"model.hidden": {"low": 0, "high": 4, "log": True}}, "log takes numbers above 0"),
        ({"model.hidden": {"lo": 4, "high": 8}}, 'unknown key "lo"'),
        ({"model.hidden": 8}, "give two values or more"),
    ],
)
def test_faults_of_a_space_are_named_together(recipe, tmp_path, values, message):
    path = tmp_path / "space.yaml"
    path.write_text(yaml.safe_dump(values, sort_keys=False), encoding="utf-8")
    with pytest.raises(ConfigError, match=message):
        read_space(path, recipe)


@pytest.mark.parametrize("name", list_recipes())
def test_every_recipe_takes_all_of_its_default_space(name):
    recipe = load_recipe(name)
    space = default_space(recipe)
    for key, values in space.items():
        for value in values if isinstance(values, tuple) else (values.low, values.high):
            make_recipe(recipe.model_dump(mode="json"), {key: value}, where=key)
    assert tuning._own_values(recipe, space).keys() == space.keys()  # so that the first trial is the recipe


# ---- the command


def test_the_command_searches_and_goes_on(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.yaml").write_text("model.hidden: [4, 8]\nmodel.cell: [lstm, gru]\n", encoding="utf-8")
    command = ["tune", "pos", "--trials", "1", "--space", "mine.yaml", "--data", str(TAGGED)]
    done = CliRunner().invoke(app, [*command, *SMALL_NETWORK, "training.tokens=300"])
    assert done.exception is None, done.output
    assert "nlp-lstm run runs/tune-pos/best.yaml" in done.output
    (tmp_path / "runs" / "tune-pos" / "run.json").write_text(
        json.dumps({"is_finished": False, "data": str(TAGGED)}), encoding="utf-8"
    )
    done = CliRunner().invoke(app, ["tune", "pos", "--resume", "--trials", "2"])
    assert done.exception is None, done.output
    assert "trial 2: model.hidden=" in done.output
    assert "of 2" in done.output
    refused = CliRunner().invoke(app, ["tune", "pos", "--resume", "model.hidden=4"])
    assert isinstance(refused.exception, ConfigError)


def test_without_optuna_the_error_names_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    refused = CliRunner().invoke(app, ["tune", "pos"])
    assert isinstance(refused.exception, ConfigError)
    assert 'pip install "nlp-lstm[tune]"' in str(refused.exception)

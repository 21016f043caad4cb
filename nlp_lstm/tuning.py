"""Looking for better settings of a recipe, with Optuna: each trial trains a network, its development score chooses.

The trials are in ``study.db`` (SQLite) of the run's folder, so that a search goes on after a stop, in the middle of the
trial that was stopped. Each trial draws from a seed of its own, so that a stop changes nothing. Test data is read only
where its texts have to be kept out of training; nothing is evaluated on it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import yaml
from pydantic import Field, model_validator
from rich.console import Console

from nlp_lstm.errors import CheckpointError, ConfigError, shorten
from nlp_lstm.files import write_whole
from nlp_lstm.recipes import Recipe, make_recipe, recipe_yaml
from nlp_lstm.run_data import RunData, read_run_data
from nlp_lstm.run_folders import RECIPE_NAME, RunStatus, begin_run, write_status
from nlp_lstm.runs import load_recipe_vectors, take_models
from nlp_lstm.settings import Settings, parse_settings, read_yaml_file
from nlp_lstm.tasks import tasks
from nlp_lstm.text.vectors import WordVectors
from nlp_lstm.training import train
from nlp_lstm.training.loop import CHECKPOINT_NAME
from nlp_lstm.workshop import make_say

STUDY_NAME, SPACE_NAME, BEST_NAME, TRIALS_NAME = "study.db", "space.yaml", "best.yaml", "trials.json"
RANDOM_TRIALS = 8  # before Optuna draws where earlier trials were good


class Range(Settings):
    """Numbers between two, both included; whole ones where both are whole."""

    low: int | float
    """The smallest."""
    high: int | float
    """The largest."""
    step: int | float | None = Field(None, gt=0)
    """From one to the next; none for any."""
    log: bool = False
    """Whether half and twice a number are as far from it as each other."""

    @model_validator(mode="after")
    def _check(self) -> Range:
        if not self.low < self.high:
            raise ValueError(f"low is {self.low} and high is {self.high}; give a smaller and a larger one")
        if self.log and (self.low <= 0 or self.step is not None):
            raise ValueError("log takes numbers above 0, and no step")
        return self


Space: TypeAlias = "Mapping[str, Range | tuple[Any, ...]]"
"""Dotted key of a recipe to the range of its values, or to some values."""


@dataclass(frozen=True, kw_only=True)
class Trial:
    """A trial that has ended.

    Args:
        number: from 0.
        changes: dotted key to value.
        score: the best development score; None where training failed.
        minutes: how long it took.
    """

    number: int
    changes: Mapping[str, Any]
    score: float | None
    minutes: float


@dataclass(frozen=True, kw_only=True)
class TuningResult:
    """What a search has found so far.

    Args:
        folder: of the search.
        trials: those that have ended.
        best: the one with the best development score; None where all have failed.
    """

    folder: Path
    trials: Sequence[Trial]
    best: Trial | None

    @property
    def recipe_path(self) -> Path:
        """The recipe with the best changes."""
        return self.folder / BEST_NAME


def default_space(recipe: Recipe) -> Space:
    """Return what is tried where nothing else is said: around the recipe's own values."""
    rate, model = recipe.training.learning_rate, recipe.model
    space: dict[str, Range | tuple[Any, ...]] = {
        "training.learning_rate": Range(low=rate / 4, high=rate * 4, log=True),
        "training.average_decay": (0.99, 0.998, 0.9995),
    }
    if recipe.training.optimizer != "adamw":
        del space["training.average_decay"]
    for name in ("dropout", "input_dropout"):
        if hasattr(model, name):
            space[f"model.{name}"] = Range(low=0.0, high=0.7, step=0.05)
    if hasattr(model, "hidden"):
        step = max(1, model.hidden // 4)
        space["model.hidden"] = Range(low=2 * step, high=8 * step, step=step)
    if hasattr(model, "layers"):
        space["model.layers"] = Range(low=1, high=model.layers + 1)
    return space


def read_space(path: Path, recipe: Recipe) -> Space:
    """Read a search space: YAML with dotted keys of the recipe.

        training.learning_rate: {low: 0.0005, high: 0.01, log: true}
        model.hidden: {low: 64, high: 512, step: 64}
        model.cell: [lstm, gru]

    Raises:
        ConfigError: it is no YAML, or a key or one of its values is none of the recipe's; all faults together.
    """
    values = read_yaml_file(path)
    if not isinstance(values, dict) or not values:
        raise ConfigError(f"{path} holds {shorten(values)}; give keys with ranges, as in model.hidden: [128, 256]")
    space: dict[str, Range | tuple[Any, ...]] = {}
    faults = []
    for key, given in values.items():
        try:
            space[key] = _read_values(str(key), given, recipe)
        except ConfigError as error:
            faults.append(str(error))
    if faults:
        raise ConfigError(f"{path}: " + "; ".join(faults))
    return space


def _read_values(key: str, given: Any, recipe: Recipe) -> Range | tuple[Any, ...]:
    if isinstance(given, dict):
        found = parse_settings(Range, given, key)
        for value in (found.low, found.high):
            _changed(recipe, {key: value}, _written({key: value}))
        return found
    if not isinstance(given, list) or len(given) < 2:
        raise ConfigError(f"{key} is {shorten(given)}; give two values or more in brackets, or low and high in braces")
    for value in given:
        _changed(recipe, {key: value}, _written({key: value}))
    return tuple(given)


def tune(
    recipe: Recipe,
    folder: Path,
    *,
    space: Space,
    num_trials: int,
    minutes: float | None = None,
    data: Path | None = None,
    console: Console | None = None,
) -> TuningResult:
    """Look for better settings, or go on looking where the folder holds a search that was stopped.

    The first trial is the recipe itself, as far as the space has its values. Teachers are left out: what is compared
    are single networks.

    Args:
        recipe: what is changed.
        folder: where everything goes.
        space: what is changed in it.
        num_trials: how many trials there shall be in all, those of the folder among them.
        minutes: no trial begins after this many; None for no such bound.
        data: a user's own file or folder, instead of the recipe's data sets.
        console: where to print; None prints nothing.

    Raises:
        ConfigError: Optuna is not installed, or the folder holds something else.
        DataError: the data or the vectors cannot be had, or are broken.
        CheckpointError: the study is damaged.
        KeyboardInterrupt: Ctrl-C; the trial goes on from there the next time.
    """
    optuna = import_optuna()
    say = make_say(console)
    started = time.monotonic()
    _begin(folder, recipe, space, data)
    run_data = dataclasses.replace(read_run_data(recipe, data, say), test=())
    vectors = load_recipe_vectors(recipe, say)
    with _open_study(optuna, folder / STUDY_NAME) as study:
        if not study.trials:
            study.enqueue_trial(_own_values(recipe, space))
        result = _write_result(recipe, folder, study, space)
        while (trial := _open_trial(study, space)) is not None or len(result.trials) < num_trials:
            if trial is None and minutes is not None and time.monotonic() - started >= minutes * 60:
                say(f"{minutes:g} minutes are over")
                break
            trial = trial or _draw(optuna, study, space, recipe.training.seed)
            changes = {key: _value(space[key], value) for key, value in trial.params.items()}
            say(f"trial {trial.number + 1}: {_written(changes)}")
            score = _train(_changed(recipe, changes, "trial"), run_data, vectors, folder / f"trial-{trial.number}", say)
            state = optuna.trial.TrialState
            study.tell(trial.number, score, state=state.FAIL if score is None else state.COMPLETE)
            result = _write_result(recipe, folder, study, space)
            if score is not None and result.best is not None:
                say(f"  dev {score:.4f}; best {result.best.score:.4f}, trial {result.best.number + 1}")
    write_status(folder, RunStatus(is_finished=len(result.trials) >= num_trials, data=data))
    return result


def import_optuna() -> Any:
    """Return Optuna, which prints warnings only.

    Raises:
        ConfigError: it is not installed.
    """
    try:
        import optuna
    except ImportError as error:
        raise ConfigError(f'tuning needs Optuna ({error}): pip install "nlp-lstm[tune]"') from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna


@contextlib.contextmanager
def _open_study(optuna: Any, path: Path) -> Iterator[Any]:
    """Open the study in a file, or begin one.

    Raises:
        CheckpointError: the file is damaged.
    """
    from sqlalchemy import URL
    from sqlalchemy.exc import SQLAlchemyError

    url = URL.create("sqlite", database=str(path)).render_as_string()
    try:
        storage = optuna.storages.RDBStorage(url)
        study = optuna.create_study(storage=storage, study_name="tune", direction="maximize", load_if_exists=True)
    except SQLAlchemyError as error:
        raise CheckpointError(f"{path} cannot be read ({shorten(str(error), 200)}); begin a new search") from error
    try:
        yield study
    finally:
        storage.remove_session()
        storage.engine.dispose()


def _begin(folder: Path, recipe: Recipe, space: Space, data: Path | None) -> None:
    """Write down what the search is; where there is one already, check that it is the same."""
    written = {RECIPE_NAME: recipe_yaml(recipe), SPACE_NAME: space_yaml(space)}
    if folder.exists() and any(folder.iterdir()):
        for name, text in written.items():
            path = folder / name
            if not path.is_file() or path.read_text(encoding="utf-8") != text:
                raise ConfigError(
                    f"{folder} does not hold this search (its {name} is another or missing); choose another folder"
                )
        return
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(folder / SPACE_NAME, written[SPACE_NAME])
    begin_run(folder, recipe, data)


def space_yaml(space: Space) -> str:
    """Return a search space as `read_space` reads it."""
    values = {
        key: list(found) if isinstance(found, tuple) else found.model_dump(mode="json", exclude_none=True)
        for key, found in space.items()
    }
    return yaml.safe_dump(values, sort_keys=False, allow_unicode=True)


def _train(
    recipe: Recipe, data: RunData, vectors: Sequence[WordVectors], folder: Path, say: Callable[[str], None]
) -> float | None:
    """Train a network and return its best development score; None where it cannot be trained."""
    try:
        task = tasks.get(recipe.task).prepare(recipe.model, data.training, vectors)
        take_models(task, recipe, lambda line: None)
        result = train(task, data.training, data.development, recipe.training, folder, should_resume=True)
    except ConfigError as error:  # it diverges, or sizes do not fit
        say(f"  failed: {error}")
        return None
    (folder / CHECKPOINT_NAME).unlink(missing_ok=True)
    return result.best_score


def _open_trial(study: Any, space: Space) -> Any:
    """Return the trial that was stopped in the middle, or None. One whose values were not all drawn is given up."""
    for trial in study.trials:
        if trial.state.name == "RUNNING":
            if trial.params.keys() == space.keys():
                return trial
            study.tell(trial.number, state=type(trial.state).FAIL)
    return None


def _draw(optuna: Any, study: Any, space: Space, seed: int) -> Any:
    """Begin a trial. Its seed is its own: a sampler's state is not in the study."""
    number = sum(trial.state.name != "WAITING" for trial in study.trials)
    study.sampler = optuna.samplers.TPESampler(seed=(seed * 10_007 + number) % 2**32, n_startup_trials=RANDOM_TRIALS)
    return study.ask({key: _distribution(optuna, values) for key, values in space.items()})


def _write_result(recipe: Recipe, folder: Path, study: Any, space: Space) -> TuningResult:
    """Write the trials, and the recipe with the best changes."""
    trials = [
        Trial(
            number=trial.number,
            changes={key: _value(space[key], value) for key, value in trial.params.items()},
            score=trial.value if trial.state.name == "COMPLETE" else None,
            minutes=round(trial.duration.total_seconds() / 60, 2),
        )
        for trial in study.trials
        if trial.state.is_finished() and trial.params.keys() == space.keys()
    ]
    scored = [trial for trial in trials if trial.score is not None]
    best = max(scored, key=lambda trial: (trial.score, -trial.number)) if scored else None
    write_whole(folder / TRIALS_NAME, json.dumps([dataclasses.asdict(trial) for trial in trials], indent=1) + "\n")
    if best is not None:
        write_whole(folder / BEST_NAME, recipe_yaml(_changed(recipe, best.changes, "best trial")))
    return TuningResult(folder=folder, trials=trials, best=best)


def _changed(recipe: Recipe, changes: Mapping[str, Any], where: str) -> Recipe:
    """Return the recipe with some values changed.

    Raises:
        ConfigError: it has no such key, or does not take the value.
    """
    return make_recipe(recipe.model_dump(mode="json"), changes, where=where)


def _own_values(recipe: Recipe, space: Space) -> dict[str, Any]:
    """Return the recipe's own values where the space has them, in the form that Optuna has them."""
    own: dict[str, Any] = {}
    plain = recipe.model_dump(mode="json")
    for key, values in space.items():
        value: Any = plain
        for name in key.split("."):
            value = value.get(name) if isinstance(value, dict) else None
        if isinstance(values, tuple):
            if value in values:
                own[key] = json.dumps(value)
        elif isinstance(value, (int, float)) and values.low <= value <= values.high:
            own[key] = value
    return own


def _distribution(optuna: Any, values: Range | tuple[Any, ...]) -> Any:
    kinds = optuna.distributions
    if isinstance(values, tuple):
        return kinds.CategoricalDistribution(tuple(map(json.dumps, values)))  # any value that YAML has
    bounds = (values.low, values.high, values.step or 1)
    if all(isinstance(bound, int) for bound in bounds):
        return kinds.IntDistribution(values.low, values.high, log=values.log, step=values.step or 1)
    return kinds.FloatDistribution(values.low, values.high, log=values.log, step=values.step)


def _value(values: Range | tuple[Any, ...], found: Any) -> Any:
    """Return a value as the recipe has it from one as Optuna has it."""
    if isinstance(values, tuple):
        return json.loads(found)
    return found if isinstance(found, int) else float(f"{found:.6g}")


def _written(changes: Mapping[str, Any]) -> str:
    return " ".join(f"{key}={json.dumps(value)}" for key, value in changes.items())

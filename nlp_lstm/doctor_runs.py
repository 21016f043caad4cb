"""The doctor at work: on a run that is over, on one that stopped, or on a recipe and its data before training."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from nlp_lstm.doctor import Finding, examine_data, examine_training
from nlp_lstm.doctor.network import check_padding
from nlp_lstm.errors import CheckpointError, ConfigError
from nlp_lstm.files import write_whole
from nlp_lstm.inference.opening import open_model
from nlp_lstm.recipes import Recipe, load_recipe
from nlp_lstm.run_data import RunData, read_run_data
from nlp_lstm.run_folders import RECIPE_NAME, read_status
from nlp_lstm.tasks import Task, tasks
from nlp_lstm.text.vectors import WordVectors
from nlp_lstm.training import TrainingResult

HISTORY_NAME = "history.json"


def examine_run_data(recipe: Recipe, data: RunData, task: Task, vectors: Sequence[WordVectors]) -> list[Finding]:
    """Return the faults of a run's data."""
    counts: Mapping[str, int] = data.removed.get(data.found.name, {})
    return examine_data(
        task.data_kind,
        {"train": data.training, "dev": data.development, "test": data.test},
        column=getattr(task, "main_column", ""),
        language=getattr(recipe.reading, "source", recipe.language),
        target_language=getattr(recipe.reading, "target", ""),
        vectors=[frozenset(one.words) for one in vectors],
        left_out=sum(count for name, count in counts.items() if name.startswith(f"{data.found.name} ")),
    )


def examine_result(
    recipe: Recipe, data: RunData, task: Task, vectors: Sequence[WordVectors], result: TrainingResult
) -> list[Finding]:
    """Return the faults of a run whose network is trained."""
    return [
        *examine_run_data(recipe, data, task, vectors),
        *examine_training(
            task, result.model, data.training, data.development, result.history, recipe.training, result.tokens
        ),
    ]


def write_history(folder: Path, history: Sequence[Mapping[str, Any]]) -> None:
    """Keep what training recorded in the run's folder."""
    write_whole(folder / HISTORY_NAME, json.dumps(list(history)) + "\n")


def examine_folder(
    folder: Path, load_vectors: Callable[[Recipe], Sequence[WordVectors]], say: Callable[[str], None]
) -> list[Finding]:
    """Return the faults of a finished run.

    Args:
        folder: of the run.
        load_vectors: gives the pretrained vectors that a recipe names.
        say: takes lines for the user.

    Raises:
        CheckpointError: the run is not finished, or its folder is damaged.
        DataError: its data is not at hand any more.
    """
    status = read_status(folder)
    if not status.is_finished or status.num_seeds > 1:
        seeds = ", ".join(sorted(path.name for path in folder.glob("seed-*")))
        advice = f"give one of its folders: {seeds}" if seeds else "go on with `nlp-lstm run --resume`"
        raise CheckpointError(f"{folder} is not one finished run; {advice}")
    recipe = load_recipe(str(folder / RECIPE_NAME))
    data = read_run_data(recipe, status.data, say)
    opened = open_model(folder / "model")
    try:
        history = json.loads((folder / HISTORY_NAME).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{folder / HISTORY_NAME} cannot be read ({error}); run again") from error
    tokens = max((int(record.get("tokens", 0)) for record in history), default=0)
    return [
        *examine_run_data(recipe, data, opened.task, load_vectors(recipe)),
        *examine_training(opened.task, opened.model, data.training, data.development, history, recipe.training, tokens),
    ]


def examine_recipe(
    recipe: Recipe, path: Path | None, vectors: Sequence[WordVectors], say: Callable[[str], None]
) -> list[Finding]:
    """Return the faults of a recipe's data, and of its network before training.

    Args:
        recipe: the recipe.
        path: a user's own file or folder instead of the recipe's data sets.
        vectors: those that the recipe names.
        say: takes lines for the user.

    Raises:
        ConfigError: the recipe does not fit the data.
        DataError: the data cannot be had or is broken.
    """
    data = read_run_data(recipe, path, say)
    task = tasks.get(recipe.task).prepare(recipe.model, data.training, vectors, say)
    task.check_examples(data.development, f"{data.found.name}, dev")
    torch.manual_seed(recipe.training.seed)
    model = task.build_model()
    task.fill_model(model)
    return [*examine_run_data(recipe, data, task, vectors), *check_padding(task, model, list(data.development[:16]))]


def open_subject(name: str, overrides: Sequence[str]) -> Path | Recipe:
    """Return the folder of a run or the recipe that a name stands for.

    Raises:
        ConfigError: it is neither, or settings were given for a run that is over.
    """
    folder = Path(name)
    if not (folder / RECIPE_NAME).is_file():
        return load_recipe(name, overrides)
    if overrides:
        raise ConfigError(f"{folder} is a run, whose recipe does not change any more; leave out {' '.join(overrides)}")
    return folder

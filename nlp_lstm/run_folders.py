"""The folder of a run: its name, its recipe, and how far the run has come."""

from __future__ import annotations

import json
import re
from pathlib import Path

from nlp_lstm.errors import CheckpointError, ConfigError
from nlp_lstm.files import write_whole
from nlp_lstm.recipes import Recipe, recipe_yaml
from nlp_lstm.settings import Settings, parse_settings

RECIPE_NAME, STATUS_NAME = "recipe.yaml", "run.json"


class RunStatus(Settings):
    """What run.json says, so that --resume needs nothing else."""

    is_finished: bool
    """Whether the report is written."""
    data: Path | None = None
    """A user's own file or folder."""
    num_seeds: int = 1
    """How many models are trained."""


def new_run_folder(parent: Path, name: str) -> Path:
    """Return the first folder of ``name``, ``name-2``, … that does not exist."""
    folder, number = parent / name, 2
    while folder.exists():
        folder = parent / f"{name}-{number}"
        number += 1
    return folder


def read_status(folder: Path) -> RunStatus:
    """Return how far a run has come.

    Raises:
        CheckpointError: the folder is no run's, or its run.json is damaged.
    """
    path = folder / STATUS_NAME
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(f"{path} cannot be read ({error}); start a new run without --resume") from error
    return parse_settings(RunStatus, values, str(path), CheckpointError)


def latest_run_folder(parent: Path, name: str) -> Path:
    """Return the newest unfinished run of that name.

    Raises:
        ConfigError: there is none.
    """
    pattern = re.compile(rf"{re.escape(name)}(-\d+)?")
    folders = parent.iterdir() if parent.is_dir() else ()
    open_ones = [folder for folder in folders if pattern.fullmatch(folder.name) and _is_unfinished(folder)]
    if not open_ones:
        raise ConfigError(f"no unfinished run of {name} in {parent}; start one without --resume")
    return max(open_ones, key=lambda folder: (folder / STATUS_NAME).stat().st_mtime)


def _is_unfinished(folder: Path) -> bool:
    try:
        return not read_status(folder).is_finished
    except CheckpointError:
        return False


def begin_run(folder: Path, recipe: Recipe, data: Path | None, num_seeds: int = 1) -> None:
    """Write down what the run is, before it starts."""
    write_whole(folder / RECIPE_NAME, recipe_yaml(recipe))
    write_status(folder, RunStatus(is_finished=False, data=data.resolve() if data else None, num_seeds=num_seeds))


def write_status(folder: Path, status: RunStatus) -> None:
    """Write down how far the run is."""
    write_whole(folder / STATUS_NAME, status.model_dump_json() + "\n")

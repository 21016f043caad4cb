"""Runs that several processes train together, as `torchrun` and `accelerate launch` start them.

    accelerate launch --cpu --num_processes 2 --module nlp_lstm run pos
    torchrun --nproc_per_node 2 --module nlp_lstm run pos

The first process makes the run as if it were alone; the others train with it.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from accelerate import Accelerator
from rich.console import Console

from nlp_lstm.errors import ConfigError
from nlp_lstm.recipes import Recipe, make_recipe, recipe_yaml
from nlp_lstm.runs import RunResult, run_recipe
from nlp_lstm.settings import read_yaml
from nlp_lstm.training.processes import Processes


def run_with_others(
    recipe: Recipe, folder: Path, *, data: Path | None, should_resume: bool, console: Console
) -> RunResult:
    """Make a model with other processes, which call `help_run`.

    Raises:
        ConfigError: the recipe asks for another device, or what `run_recipe` raises, as the others.
        DataError: what `run_recipe` raises.
        CheckpointError: likewise.
    """
    if recipe.training.device != "cpu":
        raise ConfigError(f'training.device is "{recipe.training.device}"; several processes train on cpu')
    processes = Processes(Accelerator(cpu=True))
    processes.agree((recipe_yaml(recipe), data))
    result = run_recipe(recipe, folder, data=data, should_resume=should_resume, console=console)
    processes.end()
    return result


def help_run() -> None:
    """Train with the process that calls `run_with_others`; every machine has the data.

    Raises:
        ConfigError: what `run_recipe` raises, as the others.
        DataError: likewise.
        CheckpointError: likewise.
    """
    processes = Processes(Accelerator(cpu=True))
    text, data = processes.agree(("", None))
    recipe = make_recipe(read_yaml(text, "recipe"), where="recipe of the first process")
    with TemporaryDirectory() as folder:
        run_recipe(recipe, Path(folder) / "run", data=data)
    processes.end()

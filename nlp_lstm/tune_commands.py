"""The command `nlp-lstm tune`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from nlp_lstm.errors import ConfigError


def tune(
    recipe: Annotated[str, typer.Argument(help="A task such as pos, or a recipe file.")] = "pos",
    overrides: Annotated[
        list[str] | None, typer.Argument(help="Changes to the recipe, such as training.tokens=500_000.")
    ] = None,
    space: Annotated[
        Path | None,
        typer.Option(help="YAML that says what is tried; default learning rate, dropout, size and averaging."),
    ] = None,
    trials: Annotated[int, typer.Option(min=1, help="How many networks are trained in all.")] = 20,
    minutes: Annotated[float | None, typer.Option(min=0, help="Begin no further one after this time.")] = None,
    data: Annotated[
        Path | None, typer.Option(help="Your own file or folder instead of the recipe's data sets.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help="The search's folder; default the next free one in runs/.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the newest unfinished search.")] = False,
) -> None:
    """Look for better settings of a recipe: the development score chooses, test data is not looked at."""
    from nlp_lstm.recipes import load_recipe
    from nlp_lstm.run_folders import RECIPE_NAME, latest_run_folder, new_run_folder, read_status
    from nlp_lstm.tuning import SPACE_NAME, default_space, import_optuna, read_space
    from nlp_lstm.tuning import tune as look_for

    import_optuna()
    parent, name = Path("runs"), f"tune-{Path(recipe).stem}"
    if resume:
        if overrides or space is not None or data is not None:
            raise ConfigError(
                "--resume goes on with the same recipe, space and data; leave out changes, --space, --data"
            )
        output = output or latest_run_folder(parent, name)
        settings, data = load_recipe(str(output / RECIPE_NAME)), read_status(output).data
        space = output / SPACE_NAME
    else:
        settings = load_recipe(recipe, overrides or ())
        output = output or new_run_folder(parent, name)
        if output.exists() and any(output.iterdir()):
            raise ConfigError(f"{output} is not empty; choose another --output, or go on with --resume")
    values = read_space(space, settings) if space is not None else default_space(settings)
    console = Console()
    result = look_for(settings, output, space=values, num_trials=trials, minutes=minutes, data=data, console=console)
    lines = [f"trials: {output / 'trials.json'}"]
    if result.best is not None:
        lines = [
            f"best development score: {result.best.score:.4f}, trial {result.best.number + 1} of {len(result.trials)}",
            *lines,
            f"recipe: {result.recipe_path}",
            f"train it: nlp-lstm run {result.recipe_path}",
        ]
    for line in lines:
        console.print(line, highlight=False, markup=False, soft_wrap=True)

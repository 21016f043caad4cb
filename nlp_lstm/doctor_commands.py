"""The command `nlp-lstm doctor`."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console


def doctor(
    subject: Annotated[str, typer.Argument(help="A run's folder; or a task or recipe, before training.")],
    overrides: Annotated[
        list[str] | None, typer.Argument(help="Changes to the recipe, such as model.hidden=128.")
    ] = None,
    data: Annotated[
        Path | None, typer.Option(help="Your own file or folder instead of the recipe's data sets.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON list of the findings.")] = False,
) -> None:
    """Look for faults of data, network and training, with evidence and a remedy for each."""
    from nlp_lstm.doctor import describe
    from nlp_lstm.doctor_runs import examine_folder, examine_recipe, open_subject
    from nlp_lstm.errors import ConfigError
    from nlp_lstm.runs import load_recipe_vectors
    from nlp_lstm.workshop import make_say

    say = make_say(Console(stderr=True))
    found = open_subject(subject, overrides or ())
    if isinstance(found, Path):
        if data is not None:
            raise ConfigError(f"--data: {found} is a run, which knows its data; leave it out")
        findings = examine_folder(found, lambda recipe: load_recipe_vectors(recipe, say), say)
    else:
        findings = examine_recipe(found, data, load_recipe_vectors(found, say), say)
    if as_json:
        print(json.dumps([asdict(finding) for finding in findings], ensure_ascii=False))  # noqa: T201
        return
    console = Console()
    for line in describe(findings):
        console.print(line, highlight=False, markup=False, soft_wrap=True)

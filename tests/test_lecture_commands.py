"""Every command of docs/lecture.md is real: drawn, run in tiny form, or run where the README shows it, too."""

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import torch
from samples import (
    SMALL_CLASSIFIER,
    SMALL_LANGUAGE_MODEL,
    SMALL_NETWORK,
    review_examples,
    running_examples,
    tagged_examples,
    tiny_model,
    tiny_run,
    without_corpora,
)
from test_docs import ROOT, SHELL
from typer.testing import CliRunner

from nlp_lstm.cli import app
from nlp_lstm.recipes import Recipe
from nlp_lstm.tasks import tasks

PAGE = (ROOT / "docs" / "lecture.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^\|[^|]*\| `([^`]+)` \|", PAGE, re.MULTILINE)
SAMPLES: dict[str, tuple[Any, tuple[str, ...]]] = {
    "pos": (tagged_examples, SMALL_NETWORK),
    "sentiment": (review_examples, SMALL_CLASSIFIER),
    "lm": (running_examples, SMALL_LANGUAGE_MODEL),
    "lm-translate": (running_examples, (*SMALL_LANGUAGE_MODEL, "model.vocabulary=400")),
}


class StepTakenError(Exception):
    """Ends a run where its training would go on."""


@pytest.fixture
def one_step(monkeypatch):
    """Let `nlp-lstm run` build the recipe's net, take the gradient of one batch, and end."""

    def take_step(recipe: Recipe, folder: Path, **_: object) -> None:
        examples = SAMPLES[recipe.task][0]()
        task = tasks.get(recipe.task).prepare(recipe.model, examples)
        model = task.build_model()
        folder.mkdir(parents=True)
        encoded = task.encode(examples[:4], folder)
        part = next(iter(task.plan_epoch(encoded, 40, seed=0, epoch=0)))
        batch = task.training_batch(encoded, part, {})
        task.loss(model, model(batch), batch).backward()
        assert all(torch.isfinite(weight.grad).all() for weight in model.parameters() if weight.grad is not None)
        raise StepTakenError

    monkeypatch.setattr("nlp_lstm.runs.run_recipe", take_step)


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.usefixtures("one_step")
def test_the_lectures_commands_run(command, tmp_path, monkeypatch):
    words = shlex.split(command)
    monkeypatch.chdir(tmp_path)
    if command in SHELL:
        return  # tests/test_docs.py runs it
    if words[0] == "python":
        check_script(words[1], [word for word in words[2:] if word.startswith("--")])
    elif words[1] == "run":
        _, small = SAMPLES[words[2]]
        result = CliRunner().invoke(app, ["run", words[2], *small, *words[3:]])
        assert isinstance(result.exception, StepTakenError), result.exception
    elif words[1] == "doctor":
        with without_corpora():
            result = CliRunner().invoke(app, ["doctor", str(tiny_run())])
        assert result.stdout.startswith("doctor: "), result.exception
    else:
        words = [str(tiny_model()) if word == "pos" else word for word in words]
        result = CliRunner().invoke(app, words[1:])
        assert result.exception is None, result.exception
        assert result.stdout


def check_script(path: str, options: list[str]) -> None:
    """Check that a benchmark, which takes too long for a test, is there, compiles and has the options."""
    source = (ROOT / path).read_text(encoding="utf-8")
    compile(source, path, "exec")
    assert all(f'"{option}"' in source for option in options)


def test_the_page_has_commands_and_each_line_of_a_table_has_one():
    lines = [line for line in PAGE.splitlines() if line.startswith("|") and not re.match(r"\| (topic|---)", line)]
    assert len(COMMANDS) == len(lines) > 30


def test_links_of_the_page_lead_somewhere():
    assert all((ROOT / "docs" / link).exists() for link in re.findall(r"\]\((?!https?:)([^)#]+)\)", PAGE))

"""Training by two processes: the course of one process with the same whole batches."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from samples import LETTERS, SMALL_LANGUAGE_MODEL, SMALL_NETWORK, TAGGED, tiny_language_recipe, tiny_recipe

from nlp_lstm.errors import CheckpointError, ConfigError
from nlp_lstm.joint_runs import run_with_others
from nlp_lstm.runs import run_recipe

TOGETHER = ("-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2", "--module", "nlp_lstm")
WITHOUT_CHANCE = ("model.dropout=0", "model.input_dropout=0", "baselines.words=false", "training.tokens=1500")
TAGGER = (*SMALL_NETWORK, *WITHOUT_CHANCE)
LANGUAGE_MODEL = (*SMALL_LANGUAGE_MODEL, *WITHOUT_CHANCE, "model.adapt=false")


def environment() -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parents[1])}


def command(*arguments: object) -> list[str]:
    return [sys.executable, *TOGETHER, *map(str, arguments)]


def losses(folder: Path) -> list[tuple[int, int, float]]:
    history = json.loads((folder / "history.json").read_text(encoding="utf-8"))
    return [(record["step"], record["tokens"], record["loss"]) for record in history if "loss" in record]


@pytest.mark.parametrize(
    ("recipe", "overrides", "data"),
    [("pos", TAGGER, TAGGED), pytest.param("lm", LANGUAGE_MODEL, LETTERS, marks=pytest.mark.slow)],
    ids=["pos", "lm"],
)
def test_two_processes_learn_as_one_does(tmp_path: Path, recipe: str, overrides: tuple[str, ...], data: Path) -> None:
    make = tiny_recipe if recipe == "pos" else tiny_language_recipe
    run_recipe(make(*overrides, tokens=1500), tmp_path / "one", data=data)
    started = command("run", recipe, *overrides, "--data", data, "--output", tmp_path / "two")
    done = subprocess.run(started, env=environment(), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    alone, together = losses(tmp_path / "one"), losses(tmp_path / "two")
    assert [record[:2] for record in alone] == [record[:2] for record in together]
    assert [loss for *_, loss in together] == pytest.approx([loss for *_, loss in alone], rel=1e-3)
    assert alone[-1][2] < alone[0][2]
    assert done.stdout.count("use it: Pipeline") == 1
    assert (tmp_path / "two" / "model" / "config.json").is_file()


@pytest.mark.slow
def test_two_processes_go_on_after_a_stop_and_one_alone_does_not_take_over(tmp_path: Path) -> None:
    overrides = [one for one in TAGGER if not one.startswith("training.tokens")] + ["model.dropout=0.1"]
    arguments = ["run", "pos", *overrides, "training.tokens=6000", "--data", TAGGED, "--output"]
    whole = subprocess.run(command(*arguments, tmp_path / "whole"), env=environment(), capture_output=True, text=True)
    assert whole.returncode == 0, whole.stderr
    folder = tmp_path / "stopped"
    with subprocess.Popen(
        command(*arguments, folder), env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        deadline = time.monotonic() + 60
        while not list(folder.glob("checkpoint*")) and time.monotonic() < deadline:
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    assert (folder / "checkpoint.safetensors").is_file()
    recipe = tiny_recipe(*overrides, tokens=6_000)
    with pytest.raises(CheckpointError, match="was begun by 2 processes, here are 1"):
        run_recipe(recipe, folder, data=TAGGED, should_resume=True)
    again = command("run", "pos", "--resume", "--output", folder)
    resumed = subprocess.run(again, env=environment(), capture_output=True, text=True)
    assert resumed.returncode == 0, resumed.stderr
    stopped, whole_run = (path / "model" / "model.safetensors" for path in (folder, tmp_path / "whole"))
    assert stopped.read_bytes() == whole_run.read_bytes()


def test_seeds_and_other_devices_are_refused(tmp_path: Path) -> None:
    started = [sys.executable, "-m", "nlp_lstm", "run", "pos", "--seeds", "2", "--output", str(tmp_path / "run")]
    several = {**environment(), "MASTER_ADDR": "localhost", "WORLD_SIZE": "2", "RANK": "1"}
    done = subprocess.run(started, env=several, capture_output=True, text=True)
    assert done.returncode == 2
    assert "several processes train one model together; leave out --seeds" in done.stderr
    done = subprocess.run(started, env={**several, "WORLD_SIZE": "two"}, capture_output=True, text=True)
    assert done.returncode == 2
    assert "the variable WORLD_SIZE is 'two'; launchers set it to a number" in done.stderr
    with pytest.raises(ConfigError, match="several processes train on cpu"):
        run_with_others(
            tiny_recipe("training.device=auto"), tmp_path / "run", data=TAGGED, should_resume=False, console=None
        )

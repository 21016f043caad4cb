"""The benchmark of the lecture's road, in its tiny form: all steps in one report, and nothing is trained twice."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from samples import PAIRS, SMALL_LANGUAGE_MODEL, SMALL_TRANSLATOR, without_corpora

sys.path.append(str(Path(__file__).parent.parent / "benchmarks"))

import budgets
import translation_road

from nlp_lstm.errors import ConfigError

KEPT = ("model.hidden", "model.embed", "model.layers", "model.adapt")
LANGUAGE_MODEL = [one for one in SMALL_LANGUAGE_MODEL if not one.startswith(KEPT)]


@pytest.fixture
def road(tmp_path, monkeypatch):
    """Run the benchmark on the hand-written pairs, and return its metrics."""
    header, *rows = PAIRS.read_text(encoding="utf-8").splitlines()
    (tmp_path / "pairs").mkdir()
    for split, part in (("train", rows[:30]), ("dev", rows[30:33]), ("test", rows[33:])):
        (tmp_path / "pairs" / f"{split}.tsv").write_text("\n".join([header, *part]) + "\n", encoding="utf-8")

    def run(*length: str):
        pretraining = [*LANGUAGE_MODEL, "training.tokens=200", "training.evaluations=1"]
        overrides = [*SMALL_TRANSLATOR, "training.evaluations=1", "model.vocabulary=400"]
        places = ["--data", str(tmp_path / "pairs"), "--output", str(tmp_path / "road")]
        monkeypatch.setattr(sys, "argv", ["road", *overrides, *length, *places, "--pretraining", *pretraining])
        with without_corpora():
            translation_road.main()
        return json.loads((tmp_path / "road" / "metrics.json").read_text(encoding="utf-8"))["metrics"]

    run.folder = tmp_path / "road"
    return run


def check(road, length: tuple[str, ...], names: list[str]) -> None:
    metrics = road(*length)
    assert [step["name"] for step in metrics["steps"]] == names
    for step in metrics["steps"][1:]:
        assert 0 < step["difference"]["bleu"]["p_value"] <= 1
        is_of_lecture = step["name"] != translation_road.CONTROL
        assert step["order"] in (("confirmed", "contradicted", "undecided") if is_of_lecture else ("",))
    page = (road.folder / "report.html").read_text(encoding="utf-8")
    assert "The lecture expects every step" in page
    assert "encoder, forward: " in (road.folder / "pretrained-halves" / "report.html").read_text(encoding="utf-8")
    stamps = {path: path.stat().st_mtime_ns for path in road.folder.glob("*/report.html")}
    assert road(*length) == metrics
    assert {path: path.stat().st_mtime_ns for path in stamps} == stamps


@pytest.mark.slow
def test_steps_are_trained_for_some_minutes_and_tested_against_the_one_before(road, monkeypatch):
    short = ("model.bidirectional=false", "--steps", "attention", "own-pieces", "pretrained-halves")
    monkeypatch.setattr(budgets, "PROBE_STEPS", 40)
    names = ["attention", translation_road.CONTROL, translation_road.PRETRAINED]
    check(road, ("--minutes", "0.001", *short), names)
    planned = json.loads((road.folder / "attention.json").read_text(encoding="utf-8"))
    assert planned["minutes"] == 0.001
    recipe = (road.folder / "attention" / "recipe.yaml").read_text(encoding="utf-8")
    assert f"tokens: {planned['tokens']}" in recipe
    with pytest.raises(ConfigError, match=r"was measured for 0\.001 minutes, not 0\.002; take another --output"):
        road("--minutes", "0.002", *short)


@pytest.mark.slow
def test_the_whole_road(road):
    names = [*translation_road.ROAD, translation_road.CONTROL, translation_road.PRETRAINED]
    check(road, ("--tokens", "300"), names)

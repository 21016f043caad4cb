import json
import shutil

import pytest
from rich.console import Console
from samples import SPANS, TAGGED, tiny_recipe, tiny_run

from nlp_lstm.errors import CheckpointError, ConfigError, DataError
from nlp_lstm.inference.opening import open_model
from nlp_lstm.pipeline import Pipeline
from nlp_lstm.recipes import load_recipe
from nlp_lstm.run_folders import latest_run_folder, new_run_folder, read_status
from nlp_lstm.runs import load_finished_run, run_recipe, run_seeds

TEXT = "The old ferry leaves at six."
SMALL = {
    "model.embedding.vectors": None,
    "model.hidden": 8,
    "model.layers": 1,
    "also_evaluate": [],
    "baselines.tokens": 0,
    "training.tokens": 500,
    "training.threads": 1,
}


def test_a_run_leaves_model_report_and_recipe():
    folder = tiny_run()
    names = {path.name for path in folder.iterdir()}
    assert {"report.html", "metrics.json", "recipe.yaml", "run.json", "training.log", "model"} <= names
    assert "checkpoint.safetensors" not in names
    files = {path.name for path in (folder / "model").iterdir()}
    assert files == {
        "config.json",
        "vocab.json",
        "model.safetensors",
        "metrics.json",
        "training.log",
        "README.md",
    }
    status = read_status(folder)
    assert (status.is_finished, status.data, status.num_seeds) == (True, TAGGED, 1)
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert "most frequent tag per word" in page
    assert "hand.conllu" in page


def test_the_recipe_of_a_run_makes_the_same_recipe():
    written = load_recipe(str(tiny_run() / "recipe.yaml"))
    assert written.model_dump() == tiny_recipe(tokens=12_000).model_dump()


def test_the_metrics_are_those_of_the_stored_model():
    metrics = json.loads((tiny_run() / "model" / "metrics.json").read_text(encoding="utf-8"))
    config = open_model(tiny_run() / "model").config
    assert config.data == metrics["metrics"]["data"]["name"] == "hand.conllu"
    assert config.precision == "int8"
    assert set(metrics["metrics"]["data"]["sha256"]) == {"hand.conllu"}


def test_the_model_card_names_data_recipe_and_limits():
    card = (tiny_run() / "model" / "README.md").read_text(encoding="utf-8")
    for part in ("# pos-en", "hand.conllu", "licence not known", "Known failures", "model.hidden", "8-bit"):
        assert part.split(".")[-1] in card
    assert "None" not in card


def test_a_finished_run_is_known_again(tmp_path):
    result = load_finished_run(tiny_run())
    assert result is not None
    metrics = json.loads((tiny_run() / "metrics.json").read_text(encoding="utf-8"))
    assert result.scores == {name: figure["value"] for name, figure in metrics["figures"].items()}
    assert load_finished_run(tmp_path) is None


def test_a_run_tells_what_it_does_and_trains_its_rival(tmp_path):
    console = Console(record=True, width=200, file=open(tmp_path / "out", "w", encoding="utf-8"))  # noqa: SIM115
    recipe = tiny_recipe("baselines.tokens=400", "precision=fp16", tokens=800)
    result = run_recipe(recipe, tmp_path / "run", data=TAGGED, console=console)
    console.file.close()
    said = console.export_text()
    for part in ("note: no dev file", "hand.conllu: ", "dev upos_accuracy"):
        assert part in said
    assert "no recurrence" in (result.folder / "report.html").read_text(encoding="utf-8")
    assert open_model(result.model_folder).config.precision == "fp16"


def test_columns_of_a_users_own_file_need_no_code(tmp_path):
    (tmp_path / "mine").mkdir()
    for split in ("train", "dev", "test"):
        shutil.copy(SPANS, tmp_path / "mine" / f"{split}.bio")
    tagger = Pipeline.train("pos", data=tmp_path / "mine", output=tmp_path / "run", **SMALL)
    assert set(tagger.task.labels) == {"label"}
    assert list(tagger.predict("Maria waits.")[0]) == ["entity", "score", "index", "word", "start", "end"]


def test_seeds_give_mean_and_spread_and_the_median_run(tmp_path):
    recipe = tiny_recipe("model.hidden=8", tokens=500)
    median = run_seeds(recipe, tmp_path, num_seeds=2, data=TAGGED)
    summary = json.loads((tmp_path / "seeds.json").read_text(encoding="utf-8"))
    assert {path.name for path in tmp_path.glob("seed-*")} == {"seed-1", "seed-2"}
    assert summary["median"] in {"seed-1", "seed-2"}
    assert median.model_folder == tmp_path / "model"
    assert "2 seeds" in (tmp_path / "model" / "README.md").read_text(encoding="utf-8")
    assert open_model(median.model_folder).task.name == "pos"
    accuracy = summary["scores"]["Accuracy upos"]
    first, second = accuracy["values"]
    assert accuracy["mean"] == pytest.approx((first + second) / 2)
    assert accuracy["spread"] == pytest.approx(abs(first - second) / 2**0.5)  # of a sample
    assert 0 <= summary["ensemble"]["Accuracy upos"] <= 1
    card = (tmp_path / "model" / "README.md").read_text(encoding="utf-8")
    assert "All 2 models together: Accuracy upos" in card
    page = (tmp_path / "ensemble" / "report.html").read_text(encoding="utf-8")
    assert all(part in page for part in ("ensemble of 2 models", "seed-1 alone", "seed-2 alone"))

    stamps = {path: path.stat().st_mtime_ns for path in tmp_path.glob("seed-*/report.html")}
    joined = tmp_path / "ensemble" / "model"
    assert open_model(joined).task.settings.networks == 2
    one, other = (
        Pipeline(joined).predict(TEXT),
        Pipeline(tmp_path / "seed-1" / "model", together_with=[tmp_path / "seed-2" / "model"]).predict(TEXT),
    )
    assert [token["entity"] for token in one] == [token["entity"] for token in other]
    assert [token["score"] for token in one] == pytest.approx([token["score"] for token in other], abs=1e-6)
    told = (joined / "README.md").read_text(encoding="utf-8")
    assert "The networks of 2 training runs" in told
    assert f"| hand.conllu test | Accuracy upos | {100 * summary['ensemble']['Accuracy upos']:.2f} % |" in told
    assert told.count("| hand.conllu test | Accuracy upos |") == 1

    again = run_seeds(recipe, tmp_path, num_seeds=2, data=TAGGED, should_resume=True)
    assert again.scores == median.scores
    assert {path: path.stat().st_mtime_ns for path in stamps} == stamps  # finished runs are not repeated


def test_run_folders_count_up(tmp_path):
    assert new_run_folder(tmp_path, "pos").name == "pos"
    (tmp_path / "pos").mkdir()
    assert new_run_folder(tmp_path, "pos").name == "pos-2"


def test_the_newest_unfinished_run_is_found(tmp_path):
    for name, is_finished in (("pos", True), ("pos-2", False), ("pos-3", True)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "run.json").write_text(json.dumps({"is_finished": is_finished}), encoding="utf-8")
    assert latest_run_folder(tmp_path, "pos").name == "pos-2"
    with pytest.raises(ConfigError, match="no unfinished run of sentiment"):
        latest_run_folder(tmp_path, "sentiment")


def test_data_that_cannot_be_had_is_an_error(tmp_path):
    with pytest.raises(DataError, match="no such file or folder"):
        run_recipe(tiny_recipe(), tmp_path / "run", data=tmp_path / "nowhere.conllu")


def test_a_checkpoint_of_another_recipe_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("nlp_lstm.runs.open_model", interrupt)
    with pytest.raises(KeyboardInterrupt):
        run_recipe(tiny_recipe(tokens=300), tmp_path, data=TAGGED)
    with pytest.raises(CheckpointError, match="another recipe"):
        run_recipe(tiny_recipe("model.hidden=16", tokens=300), tmp_path, data=TAGGED, should_resume=True)
    monkeypatch.undo()
    recipe = load_recipe(str(tmp_path / "recipe.yaml"))  # the refused one has not replaced it
    assert run_recipe(recipe, tmp_path, data=TAGGED, should_resume=True).scores


@pytest.mark.parametrize("text", ["", "{", "[]", '{"is_finished": "perhaps"}', '{"done": true}'])
def test_a_damaged_status_is_refused(tmp_path, text):
    (tmp_path / "run.json").write_text(text, encoding="utf-8")
    with pytest.raises(CheckpointError, match=r"run\.json"):
        read_status(tmp_path)


def interrupt(folder):
    raise KeyboardInterrupt

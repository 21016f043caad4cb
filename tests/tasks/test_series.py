import json
import math
from dataclasses import replace

import numpy as np
import pytest
from samples import letter_series, tiny_series_recipe, wave_series
from typer.testing import CliRunner

from nlp_lstm.cli import app
from nlp_lstm.data.series import SeriesExample, SeriesReading
from nlp_lstm.errors import CheckpointError, ConfigError, DataError
from nlp_lstm.inference.export import export_model
from nlp_lstm.pipeline import Pipeline
from nlp_lstm.runs import run_recipe
from nlp_lstm.tasks import SeriesSettings, SeriesTask, predict_examples
from nlp_lstm.tasks.series_answers import MOST_DEVIATIONS
from nlp_lstm.weights import save_model


def prices(num_days: int = 300, seed: int = 0) -> str:
    """A table of two shares whose change today says that of tomorrow."""
    random = np.random.default_rng(seed)
    rows = ["share,day,price\n"]
    for share in "AB":
        change, price = 0.01, 100.0
        for day in range(num_days):
            rows.append(f"{share},{day:04},{price}\n")
            change = -0.9 * change + random.normal(0, 0.003)
            price *= math.exp(change)
    return "".join(rows)


READING = ("reading.series=share", "reading.time=day", "reading.numbers={price: log-change}", "reading.ahead=price")


def prepared(**settings) -> SeriesTask:
    return SeriesTask.prepare(SeriesSettings(**settings), walk())


def walk(num_steps: int = 50, first: int = 0) -> list[SeriesExample]:
    random = np.random.default_rng(2)
    numbers = random.normal(5, 2, (num_steps, 1))
    reading = SeriesReading(numbers={"x": "value"})
    one = SeriesExample(name="walk", columns=("x",), numbers=numbers, first=first, ahead=numbers[:, 0], reading=reading)
    return [one]


def test_a_run_on_a_table_learns_what_can_be_learnt_and_says_so(tmp_path):
    table = tmp_path / "prices.csv"
    table.write_text(prices(), encoding="utf-8")
    recipe = tiny_series_recipe(*READING, "model.window=32", "model.context=8", tokens=12_000)
    result = run_recipe(recipe, tmp_path / "run", data=table)
    assert result.scores["Balanced accuracy"] > 0.7
    assert "The model knows something" in result.report.lead
    assert result.report.metrics["direction"]["this model"]["score"] > 0.9
    assert "most frequent label" in result.report.metrics["systems"]
    assert any(name.startswith("logistic regression") for name in result.report.metrics["systems"])
    pipeline = Pipeline(result.model_folder)
    columns = {"price": [100, 101, 100, 101, 100], "day": list("12345")}
    steps = pipeline.predict(columns)
    assert [step["index"] for step in steps] == [1, 2, 3, 4, 5]
    assert steps[-1]["label"] == "Buy"
    (tmp_path / "new.csv").write_text("day,price\n1,100\n2,101\n3,100\n4,101\n5,100\n", encoding="utf-8")
    assert pipeline.predict(tmp_path / "new.csv") == pipeline.predict(str(tmp_path / "new.csv")) == steps
    printed = CliRunner().invoke(app, ["predict", str(result.model_folder), str(tmp_path / "new.csv")])
    assert json.loads(printed.stdout) == steps
    with pytest.raises(DataError, match=r"nowhere\.csv: cannot be read"):
        pipeline.predict("nowhere.csv")
    with pytest.raises(DataError, match="there is no column 'price'"):
        pipeline.predict({"cost": [1, 2], "day": ["1", "2"]})
    report = pipeline.evaluate(table, split="test")
    assert report.figures[0].value == pytest.approx(result.scores["Balanced accuracy"], abs=1e-6)


def test_labels_are_cut_at_the_shares_of_the_training_data_alone():
    task = prepared(bounds=(0.5,), names=("low", "high"))
    ahead = walk()[0].ahead
    assert task.facts_of_training.limits == (pytest.approx(float(np.median(ahead))),)
    later = replace(walk()[0], ahead=ahead + 100)
    assert task.gold(later) == ["high"] * 50
    assert task.gold(replace(later, ahead=np.full(50, np.nan))) == [None] * 50
    assert task.facts()["labels"].startswith("low below ")


def test_numbers_are_standardised_by_the_training_data_alone_and_bounded():
    task = prepared()
    facts = task.facts_of_training
    values = walk()[0].numbers[:, 0]
    assert (facts.means[0], facts.scales[0]) == (pytest.approx(values.mean()), pytest.approx(values.std()))
    numbers = task.make_arrays([replace(walk()[0], numbers=np.full((50, 1), 1e12))])["numbers"]
    assert (numbers == MOST_DEVIATIONS).all()
    missing = task.make_arrays([replace(walk()[0], numbers=np.full((50, 1), np.nan))])["numbers"]
    assert (missing == 0).all()


def test_no_answer_depends_on_what_comes_later():
    task = prepared(window=10, context=5)
    model = task.build_model()
    (example,) = walk()
    changed = example.numbers.copy()
    changed[30:] += 3
    before, after = (
        predict_examples(task, model, [one])[0].probabilities for one in (example, replace(example, numbers=changed))
    )
    assert np.array_equal(before[:30], after[:30])
    assert not np.allclose(before[30:], after[30:])


def test_the_past_of_a_later_part_is_read_but_not_answered_for():
    task = prepared(window=10, context=5)
    model = task.build_model()
    whole, late = walk()[0], walk(first=20)[0]
    found = [predict_examples(task, model, [one])[0].probabilities for one in (whole, late)]
    assert np.allclose(found[0][20:], found[1], atol=1e-6)
    assert len(task.encode([late], None)) == 3
    assert task.make_batch([late], with_labels=True).targets[0, :20].tolist() == [-100] * 20


def test_the_next_number_is_foreseen_where_it_can_be(tmp_path):
    table = tmp_path / "prices.csv"
    table.write_text(prices(), encoding="utf-8")
    recipe = tiny_series_recipe(*READING, "model.answers=value", "model.window=32", tokens=12_000)
    result = run_recipe(recipe, tmp_path / "run", data=table)
    assert result.scores["Explained variance"] > 0.5
    assert "no change" in result.report.metrics["systems"]
    steps = Pipeline(result.model_folder).predict({"price": [100, 101, 100, 101], "day": list("1234")})
    assert steps[-1]["value"] < 0 < steps[-2]["value"]
    assert Pipeline(result.model_folder).predict("") == []


@pytest.mark.parametrize("answers", ["step", "series", "value"])
def test_onnx_gives_the_answers_of_torch(tmp_path, answers):
    pytest.importorskip("onnx")
    examples = {"step": letter_series, "series": wave_series, "value": walk}[answers]()
    task = SeriesTask.prepare(SeriesSettings(answers=answers, bidirectional=True, window=6, context=3), examples)
    vocabulary = json.loads(json.dumps(task.vocabulary()))
    folder = tmp_path / "model"
    save_model(
        folder,
        task="series",
        language="en",
        data="none",
        model_settings=task.settings,
        vocabulary=vocabulary,
        weights=task.build_model().state_dict(),
        precision="fp32",
    )
    export_model(folder)
    torch_model, onnx_model = (Pipeline(folder, engine=engine) for engine in ("torch", "onnx"))
    for one, other in zip(torch_model._predict_examples(examples), onnx_model._predict_examples(examples), strict=True):
        name = "values" if answers == "value" else "probabilities"
        assert np.allclose(getattr(one, name), getattr(other, name), atol=1e-5)


def test_data_that_does_not_fit_is_refused():
    task = SeriesTask.prepare(SeriesSettings(answers="series"), wave_series())
    other = replace(wave_series()[0], columns=("x", "z"))
    with pytest.raises(DataError, match="has the columns x, z; this model has learnt x, y"):
        task.check_examples([other], "test")
    with pytest.raises(DataError, match=r"test: no step has an answer .* one label, the same at every step"):
        task.check_examples([replace(wave_series()[0], label=None)], "test")
    with pytest.raises(DataError, match="1 of 1 labels are unknown, such as 'odd'"):
        task.check_examples([replace(wave_series()[0], label="odd")], "test")
    with pytest.raises(ConfigError, match="the training series have the one label 'slow'"):
        SeriesTask.prepare(SeriesSettings(answers="series"), wave_series()[:1])
    with pytest.raises(ConfigError, match="no label; two at least are needed"):
        SeriesTask.prepare(SeriesSettings(), wave_series())
    with pytest.raises(DataError, match=r"nothing is ahead of the steps: .* reading\.ahead"):
        SeriesTask.prepare(SeriesSettings(answers="value"), wave_series())
    flat = [replace(walk()[0], ahead=np.zeros(50))]
    with pytest.raises(DataError, match="fall on the same number"):
        SeriesTask.prepare(SeriesSettings(), flat)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"names": ("a", "b")}, "2 names for 2 bounds"),
        ({"bounds": (0.7, 0.3)}, "in ascending order"),
        ({"pooling": "sum"}, 'unknown pooling "sum"'),
    ],
)
def test_faults_of_settings_are_named(settings, message):
    with pytest.raises(ValueError, match=message):
        SeriesSettings(**settings)


@pytest.mark.parametrize(
    "change",
    [
        {"means": ["x"]},
        {"scales": [0.0]},
        {"columns": 3},
        {"labels": None},
        {"reading": {"tine": "x"}},
        {"ahead": [float("nan"), 1.0]},
        {"more": 1},
    ],
)
def test_a_damaged_vocabulary_is_refused(change):
    task = prepared()
    with pytest.raises(CheckpointError):
        SeriesTask.from_vocabulary(task.settings, {**task.vocabulary(), **change})


def test_what_is_no_series_is_refused(tmp_path):
    table_task = SeriesTask.prepare(SeriesSettings(answers="series"), wave_series())
    for item, message in (
        (3, "give the path of a table, or its columns"),
        ({"x": "abc", "y": [1]}, "give each column as a list"),
        ({"x": [1, 2], "y": [1]}, "columns of 1, 2 steps"),
        (np.ones((3, 5)), r"has shape \[3, 5\]; expected a row a step of x, y"),
    ):
        with pytest.raises(DataError, match=message):
            table_task.check_input(item, "input 3", is_pretokenized=False)
    symbols = SeriesTask.prepare(SeriesSettings(), letter_series())
    with pytest.raises(DataError, match="input 3 is 3"):
        symbols.check_input(3, "input 3", is_pretokenized=False)
    with pytest.raises(DataError, match="leave out pretokenized"):
        table_task.check_input(["a"], "input", is_pretokenized=True)

"""Several trainings in one run: teachers, the model itself, and the simpler networks beside it."""

import dataclasses
import json

import pytest
import torch
from rich.console import Console
from samples import (
    LETTERS,
    PAIRS,
    bundled_model,
    corpus_file,
    pair_examples,
    split_reviews,
    tiny_language_recipe,
    tiny_sentiment_recipe,
    tiny_translation_recipe,
    without_corpora,
)

import nlp_lstm.opinions as opinions_module
import nlp_lstm.workshop as workshop_module
from nlp_lstm.data.catalogue import find_data
from nlp_lstm.data.example import ParallelExample
from nlp_lstm.errors import CheckpointError, ConfigError, DataError
from nlp_lstm.inference.opening import open_model
from nlp_lstm.recipes import load_recipe
from nlp_lstm.run_data import RunData
from nlp_lstm.runs import run_recipe
from nlp_lstm.tasks import TranslationTask
from nlp_lstm.training import loop

NETWORKS = "{left to right: {bidirectional: false, pooling: last}, word vectors: {encoder: none, pooling: mean}}"
OVERRIDES = (
    "model.hidden=8",
    "distillation.teachers=2",
    "distillation.model={hidden: 12}",
    "baselines.tokens=300",
    "baselines.words=false",
    f"baselines.networks={NETWORKS}",
)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return split_reviews(tmp_path_factory.mktemp("reviews"))


def run(folder, data, *overrides, should_resume=False, console=None):
    recipe = tiny_sentiment_recipe(*OVERRIDES, *overrides, tokens=900)
    with without_corpora():
        return run_recipe(recipe, folder, data=data, should_resume=should_resume, console=console)


@pytest.fixture(scope="module")
def whole(tmp_path_factory, data):
    """A run that nothing stopped, with what it said."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    with (folder.parent / "out").open("w", encoding="utf-8") as file:
        console = Console(record=True, width=200, file=file)
        run(folder, data, console=console)
    return folder, console.export_text()


def stop_training(monkeypatch, number: int, step: int) -> None:
    """Interrupt the training of that number, counted from 1, at a step."""
    started: list[object] = []
    take_step = loop._Run._take_step

    def watched(state, indices):
        if not any(state is other for other in started):
            started.append(state)
        if len(started) == number and state.state.step == step:
            raise KeyboardInterrupt
        return take_step(state, indices)

    monkeypatch.setattr(loop._Run, "_take_step", watched)


def weights(folder):
    return (folder / "model" / "model.safetensors").read_bytes()


def figures(folder):
    return json.loads((folder / "metrics.json").read_text(encoding="utf-8"))["figures"]


def test_teachers_model_and_baselines_stand_in_one_report(whole):
    folder, said = whole
    page = (folder / "report.html").read_text(encoding="utf-8")
    for name in (
        "ensemble of the 2 teachers",
        "left to right, 300 training tokens",
        "word vectors, 300 training tokens",
    ):
        assert name in page
    for line in ("teacher 1 of 2", "teacher 2 of 2", "baseline: left to right", "baseline: word vectors"):
        assert line in said
    assert open_model(folder / "model").task.settings.hidden == 8
    assert not list(folder.rglob(loop.CHECKPOINT_NAME))


# The second training is the second teacher, the third the model, the fifth the last baseline.
@pytest.mark.parametrize(("training", "step"), [(2, 3), (3, 2), (5, 1)])
def test_a_run_that_was_interrupted_and_resumed_gives_the_same_weights(
    whole, data, tmp_path, monkeypatch, training, step
):
    with monkeypatch.context() as patch:
        stop_training(patch, training, step)
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path / "run", data)
    assert not (tmp_path / "run" / "report.html").exists()
    assert (tmp_path / "run" / "teacher-1" / loop.CHECKPOINT_NAME).is_file()
    trained: list[str] = []
    with monkeypatch.context() as patch:
        take_step = loop._Run._take_step
        patch.setattr(
            loop._Run,
            "_take_step",
            lambda state, indices: trained.append(state.checkpoint.parent.name) or take_step(state, indices),
        )
        run(tmp_path / "run", data, should_resume=True)
    assert "teacher-1" not in trained  # what was finished is not repeated
    assert ("teacher-2" in trained) == (training == 2)
    assert weights(tmp_path / "run") == weights(whole[0])
    assert figures(tmp_path / "run") == figures(whole[0])


def test_a_resumed_run_with_another_recipe_is_refused_and_keeps_the_first(data, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        stop_training(patch, 2, 2)
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path / "run", data)
    with pytest.raises(CheckpointError, match="another recipe"):
        run(tmp_path / "run", data, "distillation.model={hidden: 16}", should_resume=True)
    recipe = load_recipe(str(tmp_path / "run" / "recipe.yaml"))
    assert recipe.distillation.model == {"hidden": 12}


def test_every_teacher_has_a_seed_of_its_own_that_no_model_has(data, tmp_path, monkeypatch):
    seeds: list[int] = []
    train = workshop_module.train

    def watched(task, training, development, settings, *others, **options):
        seeds.append(settings.seed)
        return train(task, training, development, settings, *others, **options)

    monkeypatch.setattr(workshop_module, "train", watched)
    for seed in (1, 2):
        run(tmp_path / str(seed), data, f"training.seed={seed}", "baselines.tokens=0", "training.tokens=100")
    assert len(set(seeds)) == 6


def test_teachers_change_what_is_learnt(whole, data, tmp_path):
    run(tmp_path / "alone", data, "distillation.teachers=0")
    assert weights(tmp_path / "alone") != weights(whole[0])


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("baselines.networks={small: {hiden: 3}}", r'small: unknown key "hiden".* Did you mean "hidden"\?'),
        ("baselines.networks={small: {cell: ltsm}}", r'small: .*unknown cell "ltsm"'),
        ("baselines.networks={small: {pooling: maxx}}", r'small: .*unknown pooling "maxx"'),
        ("baselines.networks={small: {embedding.words: learnt}}", r"small: embedding\.words is 'learnt'"),
        ("baselines.networks={small: 3}", r"baselines\.networks\.small is 3"),
        ("distillation.model={layers: 0}", r"distillation: layers is 0"),
        ("distillation.weight=0", r"distillation\.weight is 0"),
        ("distillation.teachers=-1", r"distillation\.teachers is -1"),
    ],
)
def test_a_wrong_change_of_the_network_fails_when_the_recipe_is_read(override, message):
    with pytest.raises(ConfigError, match=message):
        tiny_sentiment_recipe(override)


def test_a_task_without_teachers_says_so_before_any_training(tmp_path):
    recipe = tiny_language_recipe("distillation.teachers=1", "model.hidden=8", tokens=100)
    with pytest.raises(ConfigError, match=r"the task lm cannot be distilled; set distillation\.teachers=0"):
        run_recipe(recipe, tmp_path / "run", data=LETTERS)
    assert not (tmp_path / "run" / "teacher-1").exists()


def test_a_translator_learns_what_its_teachers_write_and_does_not_ask_them_twice(tmp_path, monkeypatch):
    monkeypatch.setattr(opinions_module, "TEXTS_AT_ONCE", 8)
    overrides = ("distillation.teachers=2", "distillation.weight=0.5", "distillation.model={hidden: 40}")
    recipe = tiny_translation_recipe(*overrides, "baselines.words=false", tokens=400)
    header, *rows = PAIRS.read_text(encoding="utf-8").splitlines()
    (tmp_path / "data").mkdir()
    for split, part in (("train", rows[:20]), ("dev", rows[20:24]), ("test", rows[24:28])):
        (tmp_path / "data" / f"{split}.tsv").write_text("\n".join([header, *part]) + "\n", encoding="utf-8")
    predict, asked = opinions_module.predict_examples, []

    def watched(task, models, examples, **options):
        if len(asked) == 1 and not (tmp_path / "stopped").exists():
            (tmp_path / "stopped").touch()
            raise KeyboardInterrupt
        asked.append([example.source for example in examples])
        return predict(task, models, examples, **options)

    monkeypatch.setattr(opinions_module, "predict_examples", watched)
    with without_corpora():
        with pytest.raises(KeyboardInterrupt):
            run_recipe(recipe, tmp_path / "run", data=tmp_path / "data")
        kept = (tmp_path / "run" / "opinions.jsonl").read_text(encoding="utf-8").splitlines()
        assert len(kept) == 1 + 8
        taught = []
        train = workshop_module.train
        monkeypatch.setattr(
            workshop_module,
            "train",
            lambda task, training, *rest, **more: taught.append(training) or train(task, training, *rest, **more),
        )
        result = run_recipe(recipe, tmp_path / "run", data=tmp_path / "data", should_resume=True)
    assert [len(part) for part in asked] == [8, 8, 4]
    sources = [text for part in asked for text in part]
    assert len(set(sources)) == 20
    assert "ensemble of the 2 teachers" in (result.folder / "report.html").read_text(encoding="utf-8")
    student = taught[-1]
    assert {example.source for example in student} == set(sources)
    opinions = dict(zip(sources, map(json.loads, kept[1:]), strict=False))
    assert all(ParallelExample(source=source, target=text) in student for source, text in opinions.items() if text)
    assert {(example.source, example.target) for example in student} >= {
        tuple(row.split("\t")[:2]) for row in rows[:20]
    }
    assert not (result.folder / "opinions.jsonl").exists()


def test_trained_models_teach_others_that_may_have_other_pieces(tmp_path):
    header, *rows = PAIRS.read_text(encoding="utf-8").splitlines()
    for name, turned in (("data", 0), ("other", 4)):
        (tmp_path / name).mkdir()
        moved = rows[turned:] + rows[:turned]
        for split, part in (("train", moved[:20]), ("dev", moved[20:24]), ("test", moved[24:28])):
            (tmp_path / name / f"{split}.tsv").write_text("\n".join([header, *part]) + "\n", encoding="utf-8")
    taught = f"distillation.models=[{tmp_path}/teacher/model]"
    with without_corpora():
        for name, *overrides in (("teacher",), ("student", taught, "model.vocabulary=330")):
            recipe = tiny_translation_recipe("baselines.words=false", *overrides, tokens=400)
            run_recipe(recipe, tmp_path / name, data=tmp_path / "data")
        with pytest.raises(DataError, match="may know the test part"):
            run_recipe(recipe, tmp_path / "leak", data=tmp_path / "other")
    assert "ensemble of the 1 teachers" in (tmp_path / "student" / "report.html").read_text(encoding="utf-8")
    assert "of the task translate, which learnt" in (tmp_path / "student/model/README.md").read_text(encoding="utf-8")
    assert not (tmp_path / "student" / "teacher-1").exists()


def test_opinions_of_other_networks_are_not_taken(tmp_path):
    recipe = tiny_translation_recipe()
    examples = pair_examples()[:4]
    task = TranslationTask.prepare(recipe.model.model_copy(update={"beams": 1}), pair_examples())
    torch.manual_seed(0)
    models = [task.build_model(), task.build_model()]
    said: list[str] = []
    first = opinions_module.gather_opinions(task, models[:1], examples, tmp_path, said.append)
    assert said[-1].startswith("teachers: 4 of 4 training texts")
    said.clear()
    assert opinions_module.gather_opinions(task, models[:1], examples, tmp_path, said.append) == first
    assert not said
    opinions_module.gather_opinions(task, models, examples, tmp_path, said.append)
    assert said


def test_the_bundled_taggers_teach_on_the_treebank_that_they_learnt_and_no_other():
    bundled_model("pos-en-large")
    corpus_file("ud-english-ewt/*test*")
    found = find_data(["ud-english-ewt"])
    data = RunData(found=found, training=[], development=[], test=[])
    [teacher] = workshop_module._open_teachers(["pos-en-large"], data)
    assert teacher.task.name == "pos"
    other = dataclasses.replace(data, found=dataclasses.replace(found, name="ud-english-partut"))
    with pytest.raises(DataError, match="may know the test part of ud-english-partut"):
        workshop_module._open_teachers(["pos-en-large"], other)

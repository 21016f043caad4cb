"""A model is not judged on what it has learnt, unless that is asked for."""

import gzip
import json
import shutil
from pathlib import Path

import pytest
from samples import (
    REVIEWS,
    TAGGED,
    split_reviews,
    tiny_classifier,
    tiny_pipeline,
    tiny_run,
    tiny_sentiment_recipe,
    tiny_sentiment_run,
    tiny_translation_run,
    without_corpora,
)

from nlp_lstm.data.found import carved_split
from nlp_lstm.errors import DataError
from nlp_lstm.pipeline import Pipeline
from nlp_lstm.runs import run_recipe

TRAIN = ["a quiet , wonderful film", "it never comes to life -- not for one minute of its two hours", "fine"]
TEST = ["the bread is fresh and the service is quick", "two hours that i will never get back"]


@pytest.fixture
def corpora(tmp_path, monkeypatch) -> Path:
    """Two data sets of the catalogue in small; a test text of the first is a training text of the second."""
    root = tmp_path / "corpora"
    for name, row, training in (
        ("sst2", "{text}\t{label}", TRAIN),
        ("sst5", "{label}\t{text}", [*TRAIN[:1], *TEST[:1]]),
    ):
        for split, texts in (("train", training), ("dev", ["neither here nor there"]), ("test", TEST[:1])):
            (root / name).mkdir(parents=True, exist_ok=True)
            lines = [row.format(text=text, label=number % 2) for number, text in enumerate(texts)]
            (root / name / f"{split}.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    monkeypatch.setenv("NLP_LSTM_DATA", str(root))
    monkeypatch.setenv("NLP_LSTM_CACHE", str(tmp_path / "cache"))
    return root


def model(folder: Path, **config) -> Pipeline:
    """The tiny model of whole texts, said to be trained on data sets of the catalogue."""
    shutil.copytree(tiny_sentiment_run() / "model", folder)
    path = folder / "config.json"
    values = {**json.loads(path.read_text(encoding="utf-8")), "trained_files": {}, **config}
    path.write_text(json.dumps(values), encoding="utf-8")
    return Pipeline(folder)


def write(path: Path, texts: list[str]) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text("\n".join(["text\tlabel", *(f"{text}\tPOSITIVE" for text in texts)]) + "\n", encoding="utf-8")
    return path


# ---- texts of the catalogue's data sets


@pytest.mark.usefixtures("corpora")
def test_a_file_with_texts_that_were_learnt_is_refused_with_their_number(tmp_path):
    critic = model(tmp_path / "model", data="sst2", kept_apart=["sst2"])
    inside = "It never comes to life – not for one minute!"  # 30 letters and more of a training text
    given = write(tmp_path / "given.tsv", ["A quiet, WONDERFUL film!", inside, "fine .", "new words", "new words"])
    with pytest.raises(
        DataError, match=r"3 of 5 texts are also in sst2, which this model was trained on, .*--allow-ov"
    ):
        critic.evaluate(given)
    assert critic.evaluate(given, allow_overlap=True).metrics["num_texts"] == 5
    folder = write(tmp_path / "folder" / "test.tsv", [TRAIN[0]]).parent
    with pytest.raises(DataError, match="1 of 1 texts are also in sst2"):
        critic.evaluate(folder)


@pytest.mark.usefixtures("corpora")
def test_texts_that_the_run_left_out_of_training_are_not_held_against_a_file(tmp_path):
    held_out = write(tmp_path / "held_out.tsv", [TEST[0]])
    both = {"data": "sst2", "also_trained_on": ["sst5"]}
    careful = model(tmp_path / "careful", **both, kept_apart=["sst2"])
    report = careful.evaluate(held_out)
    assert report.metrics["num_texts"] == 1
    assert "Not compared" not in report.lead
    careless = model(tmp_path / "careless", **both, kept_apart=[])
    with pytest.raises(DataError, match="1 of 1 texts are also in sst5, which"):
        careless.evaluate(held_out)


@pytest.mark.usefixtures("corpora")
def test_training_data_that_is_not_at_hand_is_named(tmp_path):
    critic = model(tmp_path / "model", data="subj", also_trained_on=["sst2", "mine.tsv"])
    report = critic.evaluate(write(tmp_path / "given.tsv", ["new words"]))
    assert report.lead.endswith(
        "Not compared with subj, mine.tsv, which this model was trained on: they are not at hand."
    )
    with pytest.raises(DataError, match="1 of 1 texts are also in sst2"):
        critic.evaluate(write(tmp_path / "given.tsv", [TRAIN[0]]))


# ---- one's own files


def test_the_file_that_a_model_was_trained_on_is_judged_by_the_part_that_was_held_out():
    tagger = tiny_pipeline()
    with pytest.raises(
        DataError, match=r"^--split test evaluates the part of hand\.conllu .* trained on hand\.conllu, so"
    ):
        tagger.evaluate(TAGGED)
    whole = tagger.evaluate(TAGGED, allow_overlap=True).figures[0].sample_size
    run = json.loads((tiny_run() / "metrics.json").read_text(encoding="utf-8"))["figures"]
    report = tagger.evaluate(TAGGED, split="test")
    assert report.title.endswith("hand.conllu, test split")
    figures = report.to_dict()["figures"]
    assert figures == {name: run[name] for name in figures}
    assert len(figures) > 1
    sizes = [tagger.evaluate(TAGGED, split=split).figures[0].sample_size for split in ("train", "dev", "test")]
    assert sum(sizes) == whole
    with pytest.raises(DataError, match='no split is called "all"'):
        tagger.evaluate(TAGGED, split="all", allow_overlap=True)


def test_a_file_that_was_learnt_whole_has_no_part_to_be_judged_by(tmp_path):
    split_reviews(tmp_path)
    with without_corpora():
        run_recipe(tiny_sentiment_recipe(tokens=100), tmp_path / "run", data=tmp_path)
    critic = Pipeline(tmp_path / "run" / "model")
    for split in (None, "test", "dev"):
        with pytest.raises(DataError, match=r"^This model was trained on train\.tsv, so its score would be too high"):
            critic.evaluate(tmp_path / "train.tsv", split=split)
    assert critic.evaluate(tmp_path / "train.tsv", split="train").metrics["num_texts"] < 46  # 8 of 10, by hash
    for data in (tmp_path, tmp_path / "test.tsv"):
        assert critic.evaluate(data).metrics["num_texts"] == 8
    assert "Not compared" not in critic.evaluate(tmp_path).lead


def test_a_split_of_a_file_is_the_one_by_hash():
    texts = [line.split("\t")[0] for line in REVIEWS.read_text(encoding="utf-8").splitlines()[1:]]
    for split in ("train", "dev", "test"):
        report = tiny_classifier().evaluate(REVIEWS, split=split)
        assert report.metrics["num_texts"] == sum(carved_split(text) == split for text in texts)


# ---- parallel texts


@pytest.fixture
def pairs_at_hand(tmp_path, monkeypatch) -> Path:
    """Multi30k in small; its first training caption is also in its test part, so a run has left it out."""
    folder = tmp_path / "corpora" / "multi30k"
    folder.mkdir(parents=True)
    splits = {"train": ["A dog runs.", "Two men sit.", "A cat sleeps."], "val": ["It rains."]}
    for split, texts in {**splits, "test_2016_flickr": ["A dog runs!"]}.items():
        for language in ("en", "de"):
            lines = [text if language == "en" else f"Deutsch: {text}" for text in texts]
            (folder / f"{split}.{language}.gz").write_bytes(gzip.compress("\n".join(lines).encode()))
    monkeypatch.setenv("NLP_LSTM_DATA", str(folder.parent))
    monkeypatch.setenv("NLP_LSTM_CACHE", str(tmp_path / "cache"))
    return tmp_path


def translator(folder: Path, **config) -> Pipeline:
    """The tiny translator, said to be trained on a data set of the catalogue."""
    shutil.copytree(tiny_translation_run() / "model", folder)
    path = folder / "config.json"
    values = {**json.loads(path.read_text(encoding="utf-8")), "trained_files": {}, **config}
    path.write_text(json.dumps(values), encoding="utf-8")
    return Pipeline(folder)


def test_own_pairs_that_the_translator_has_learnt_are_refused(pairs_at_hand):
    pipeline = translator(pairs_at_hand / "model", data="multi30k", kept_apart=["multi30k"])
    own = pairs_at_hand / "own.tsv"
    own.write_text("en\tde\ntwo men sit\tZwei Männer\nNew.\tNeu.\nA dog runs.\tEin Hund läuft.\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"a side of 1 of 3 pairs is also in multi30k, .*--allow-overlap"):
        pipeline.evaluate(own)
    assert pipeline.evaluate(own, allow_overlap=True).figures
    own.write_text("en\tde\nNew.\tNeu.\nA dog runs.\tEin Hund läuft.\n", encoding="utf-8")
    assert "Not compared" not in pipeline.evaluate(own).lead
    elsewhere = translator(
        pairs_at_hand / "other", data="multi30k", also_trained_on=["hindencorp-slice"], kept_apart=["multi30k"]
    )
    assert "Not compared with hindencorp-slice" in elsewhere.evaluate(own).lead

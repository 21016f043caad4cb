"""What a run learns from is kept apart from what is tested on: checked here with a normalisation of its own."""

import gc
import gzip
import html
import io
import json
import random
import shutil
import unicodedata
from pathlib import Path

import pytest
from rich.console import Console
from samples import (
    REVIEWS,
    SAMPLES,
    TAGGED,
    corpus_file,
    split_reviews,
    tagged_examples,
    tiny_sentiment_recipe,
    tiny_sentiment_run,
    without_corpora,
)

import nlp_lstm.run_data as run_data_module
from nlp_lstm.data.catalogue import find_data
from nlp_lstm.data.found import open_files
from nlp_lstm.errors import ConfigError, DataError
from nlp_lstm.evaluation.report import Table
from nlp_lstm.pipeline import Pipeline
from nlp_lstm.recipes import load_recipe
from nlp_lstm.run_data import RunData, read_run_data
from nlp_lstm.run_report import _removal_section
from nlp_lstm.runs import run_recipe

PROTECTED = ("sst2", "sst5", "sst-trees", "subj")


def letters(text: str) -> str:
    """A text without case, accents, brackets, punctuation and spaces; written anew, not the package's own."""
    for name in ("-lrb-", "-rrb-", "-lsb-", "-rsb-", "-lcb-", "-rcb-"):
        text = text.replace(name, " ").replace(name.upper(), " ")
    folded = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", html.unescape(text)).casefold())
    return "".join(character for character in folded if character.isalnum()).casefold()


def grams(text: str) -> set[str]:
    return {text[start : start + 5] for start in range(len(text) - 4)}


def are_near(first: set[str], second: set[str]) -> bool:
    return len(first & second) * 10 > 8 * len(first | second)


def held_out_texts() -> set[str]:
    """The normal forms of all dev and test texts of the protected data sets, read from their files."""
    return {
        letters(example.document.text)
        for name in PROTECTED
        for split in ("dev", "test")
        for example in find_data([name]).read(split)
    }


def assert_kept_apart(data: RunData, *, num_sampled: int) -> None:
    """No training text equals a held-out one, and none of a sample nearly equals any."""
    held_out = held_out_texts()
    training = {letters(example.document.text) for example in (*data.training, *data.unlabelled)}
    assert len(held_out) > 5_000
    assert not held_out & training - {""}
    sets = [grams(text) for text in held_out if len(text) > 4]
    long = sorted(text for text in training if len(text) > 20)
    for text in random.sample(long, min(num_sampled, len(long))):
        own = grams(text)
        assert not any(are_near(own, other) for other in sets), text


def sentiment_recipe(**overrides):
    changes = {
        "data": ["sst2"],
        "also_train": ["sst-trees"],
        "also_evaluate": [],
        "model.embedding.vectors": None,
        "model.embedding.words": "learned",
        "distillation.teachers": 0,
        "distillation.unlabelled": [],
    }
    return load_recipe("sentiment", {**changes, **overrides})


@pytest.fixture(scope="module")
def smaller_corpora(tmp_path_factory) -> Path:
    """The real corpora with a tenth of their training data; dev and test are whole."""
    root = corpus_file("sst2/test.tsv").parent.parent
    corpus_file("sst-trees/train.txt.gz")
    corpus_file("subj/subj.tsv.gz")
    smaller = tmp_path_factory.mktemp("corpora")
    for name in PROTECTED:
        shutil.copytree(root / name, smaller / name)
    for name in ("sst2", "sst5"):
        path = smaller / name / "train.tsv"
        path.chmod(0o644)
        rows = path.read_text(encoding="utf-8").splitlines()[::10]
        path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    trees = smaller / "sst-trees" / "train.txt.gz"
    trees.chmod(0o644)
    lines = gzip.decompress(trees.read_bytes()).decode("utf-8").splitlines()[::20]
    trees.write_bytes(gzip.compress(("\n".join(lines) + "\n").encode("utf-8")))
    return smaller


# ---- the recipe's data


@pytest.fixture(scope="module")
def read(smaller_corpora) -> RunData:
    """What the recipe reads from a tenth of the corpora, with subj for teachers to label."""
    distillation = {"distillation.teachers": 1, "distillation.unlabelled": ["subj", "sst-trees", "sst2"]}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NLP_LSTM_DATA", str(smaller_corpora))
        return read_run_data(sentiment_recipe(**distillation), None, lambda line: None)


def test_no_training_text_is_a_protected_dev_or_test_text(read, smaller_corpora, monkeypatch):
    monkeypatch.setenv("NLP_LSTM_DATA", str(smaller_corpora))
    assert sum(counts.total() for counts in read.removed.values()) > 0
    assert_kept_apart(read, num_sampled=5)


@pytest.mark.slow
def test_no_text_of_the_whole_training_data_is_a_protected_dev_or_test_text():
    corpus_file("sst-trees/train.txt.gz")
    assert_kept_apart(read_run_data(sentiment_recipe(), None, lambda line: None), num_sampled=500)


def test_every_count_of_left_out_texts_is_in_the_report(read):
    assert read.kept_apart[0] == "sst2"
    assert set(read.kept_apart) == set(PROTECTED)
    [table] = _removal_section(read).blocks
    assert isinstance(table, Table)
    assert [row[:3] for row in table.rows] == [
        [name, read.sizes[name], read.removed[name].total()] for name in ("sst2", "sst-trees", "subj")
    ]
    assert all(name in table.note for name in PROTECTED)
    num_left = sum(read.sizes.values()) - sum(counts.total() for counts in read.removed.values())
    assert len(read.training) + len(read.unlabelled) == num_left


def test_teachers_get_the_share_of_the_texts_that_they_are_to_have(smaller_corpora, monkeypatch):
    monkeypatch.setattr(run_data_module, "_read_protected", lambda names: {})
    monkeypatch.setenv("NLP_LSTM_DATA", str(smaller_corpora))
    changes = {"distillation.teachers": 1, "distillation.unlabelled": ["subj"], "also_train": []}
    whole, part = (
        read_run_data(sentiment_recipe(**changes, **{"distillation.share": share}), None, str).unlabelled
        for share in (1.0, 0.2)
    )
    assert 0.15 < len(part) / len(whole) < 0.25
    assert {example.document.text for example in part} < {example.document.text for example in whole}


def test_texts_for_teachers_have_no_labels_and_no_data_set_is_taken_twice(read):
    assert [other.name for other in read.also] == ["sst-trees"]
    assert len(read.unlabelled) == read.sizes["subj"] - read.removed["subj"].total()
    assert all(example.label is None and example.target is None for example in read.unlabelled)
    assert all(example.label is not None or example.target is not None for example in read.training)


def test_without_teachers_nothing_unlabelled_is_read(smaller_corpora, monkeypatch):
    monkeypatch.setattr(run_data_module, "_read_protected", lambda names: {})
    monkeypatch.setenv("NLP_LSTM_DATA", str(smaller_corpora))
    data = read_run_data(sentiment_recipe(also_train=[], **{"distillation.unlabelled": ["subj"]}), None, str)
    assert data.unlabelled == []
    assert set(data.sizes) == {"sst2"}


# ---- one's own data


def test_a_training_text_that_is_tested_on_is_left_out_and_counted(tmp_path):
    split_reviews(tmp_path)
    tested = tmp_path.joinpath("test.tsv").read_text(encoding="utf-8").splitlines()[1]
    with tmp_path.joinpath("train.tsv").open("a", encoding="utf-8") as file:
        file.write(tested.upper().replace(" ", "  ") + "\n")
    said: list[str] = []
    with without_corpora():
        data = read_run_data(tiny_sentiment_recipe(), tmp_path, said.append)
    assert data.removed == {tmp_path.name: {f"{tmp_path.name} test": 1}}
    assert len(data.training) == 46
    assert f"{tmp_path.name}: 1 of 47 training texts left out, in dev or test data" in said


def test_the_report_of_a_run_says_what_was_kept_apart():
    page = (tiny_sentiment_run() / "report.html").read_text(encoding="utf-8")
    assert "Kept apart from dev and test" in page
    values = json.loads((tiny_sentiment_run() / "metrics.json").read_text(encoding="utf-8"))
    assert list(values["metrics"]["left_out_of_training"].values()) == [{}]


def test_training_data_that_is_all_tested_on_is_refused(tmp_path):
    for split in ("train", "dev", "test"):
        shutil.copy(REVIEWS, tmp_path / f"{split}.tsv")
    with without_corpora(), pytest.raises(DataError, match="every training text is also in dev or test data"):
        read_run_data(tiny_sentiment_recipe(), tmp_path, lambda line: None)


def test_of_a_broken_file_nothing_but_its_fault_is_told(tmp_path):
    (tmp_path / "mine.tsv").write_text("text\tlabel\nA film.\tgood\nA film\n", encoding="utf-8")
    said: list[str] = []
    with without_corpora(), pytest.raises(DataError, match=r"mine\.tsv:3: .* has 1 columns"):
        read_run_data(tiny_sentiment_recipe("reading.labels={}"), tmp_path / "mine.tsv", said.append)
    assert said == []


def test_the_search_for_cycles_goes_on_after_reading(tmp_path):
    split_reviews(tmp_path)
    seen = []
    with without_corpora():
        read_run_data(tiny_sentiment_recipe(), tmp_path, lambda line: seen.append(gc.isenabled()))
        assert gc.isenabled()
        with pytest.raises(DataError):
            read_run_data(tiny_sentiment_recipe(), tmp_path / "nothing", str)
    assert gc.isenabled()
    assert seen
    assert not any(seen)


def test_data_of_the_other_kind_is_refused(tmp_path):
    corpus_file("ud-english-ewt/*-test.conllu.gz")
    with pytest.raises(ConfigError, match="ud-english-ewt holds tagged data; the task sentiment takes labelled data"):
        read_run_data(sentiment_recipe(data=["ud-english-ewt"]), None, lambda line: None)


def test_a_label_of_dev_that_training_lacks_is_told_before_training(tmp_path):
    split_reviews(tmp_path)
    with tmp_path.joinpath("dev.tsv").open("a", encoding="utf-8") as file:
        file.write("Neither here nor there.\tMIDDLING\n")
    with without_corpora(), pytest.raises(DataError, match=r"dev: .*the label 'MIDDLING'; .* NEGATIVE, POSITIVE"):
        run_recipe(tiny_sentiment_recipe("reading.labels={}"), tmp_path / "run", data=tmp_path)


def test_a_rare_label_of_dev_that_training_lacks_stops_no_run(tmp_path):
    split_reviews(tmp_path)
    dev = tmp_path / "dev.tsv"
    rows = [*dev.read_text(encoding="utf-8").splitlines(), *(f"Dull film {n}.\tNEGATIVE" for n in range(12))]
    dev.write_text("\n".join([*rows, "Neither here nor there.\tMIDDLING"]) + "\n", encoding="utf-8")
    console = Console(record=True, file=io.StringIO())
    with without_corpora():
        result = run_recipe(
            tiny_sentiment_recipe("reading.labels={}", tokens=300), tmp_path / "run", data=tmp_path, console=console
        )
    assert "dev: 1 of 21 texts have labels that this model does not know ('MIDDLING')" in console.export_text()
    assert 0 <= result.best_score <= 20 / 21


# ---- running text


@pytest.fixture
def small_texts(tmp_path, monkeypatch) -> None:
    """Four lines of WikiText, and the samples in the places of the treebanks; dev and test are marked as such."""

    def write(path: Path, text: str) -> None:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(gzip.compress(text.encode("utf-8")))

    for split, lines in (("train", "one a\n\ntwo b\n"), ("valid", "held out\n"), ("test", "held out\n")):
        write(tmp_path / "wikitext-2" / f"wiki.{split}.tokens.gz", lines)
    held_out = "1\theld\t_\tVERB\t_\t_\t_\t_\t_\t_\n\n"
    for split, text in (("train", TAGGED.read_text(encoding="utf-8")), ("dev", held_out), ("test", held_out)):
        write(tmp_path / "ud-english-ewt" / f"en_ewt-ud-{split}.conllu.gz", text)
    trees = (SAMPLES / "trees.txt").read_text(encoding="utf-8")
    for split, text in (("train", trees), ("dev", "(2 held)\n"), ("test", "(2 held)\n")):
        write(tmp_path / "sst-trees" / f"{split}.txt.gz", text)
    monkeypatch.setenv("NLP_LSTM_DATA", str(tmp_path))
    monkeypatch.setenv("NLP_LSTM_CACHE", str(tmp_path / "cache"))


def test_running_text_of_several_data_sets_is_learnt_the_runs_own_last(small_texts):
    said: list[str] = []
    recipe = load_recipe("bilm", {"also_train": ["wikitext-2", "ewt-text", "sst-text"], "data": ["wikitext-2"]})
    data = read_run_data(recipe, None, said.append)
    lines = [example.document.words for example in data.training]
    sentences = [example.document.words for example in tagged_examples()]
    assert data.names == ("wikitext-2", "ewt-text", "sst-text")
    assert lines[: len(sentences)] == sentences
    assert lines[-2:] == [["one", "a"], ["two", "b"]]
    assert data.sizes == {"ewt-text": len(sentences), "sst-text": len(lines) - len(sentences) - 2, "wikitext-2": 2}
    assert not any("held" in line for line in lines)
    assert f"ewt-text: {len(sentences)} train" in said
    assert "wikitext-2: 2 train, 1 dev, 1 test" in said


def test_sentences_of_a_protected_test_part_are_not_learnt_as_running_text(small_texts, tmp_path):
    trees = (SAMPLES / "trees.txt").read_text(encoding="utf-8").splitlines()
    all_lines = [example.document.words for example in find_data(["sst-text"]).read("train")]
    with gzip.open(tmp_path / "sst-trees" / "test.txt.gz", "wt", encoding="utf-8") as file:
        file.write(trees[1] + "\n")
    said: list[str] = []
    data = read_run_data(load_recipe("bilm", {"data": ["wikitext-2"], "also_train": ["sst-text"]}), None, said.append)
    lines = [example.document.words for example in data.training]
    assert lines == [all_lines[0], *all_lines[2:], ["one", "a"], ["two", "b"]]
    assert f"sst-text: 1 of {len(all_lines)} training texts left out, in dev or test data" in said
    assert data.removed == {"sst-text": {"sst-trees test": 1}}
    assert "sst-trees" in data.kept_apart


def test_one_file_of_ones_own_is_learnt_alone(small_texts, tmp_path):
    (tmp_path / "mine.txt").write_text("A line of text.\n" * 40, encoding="utf-8")
    data = read_run_data(load_recipe("bilm"), tmp_path / "mine.txt", lambda line: None)
    assert (data.names, len(data.training)) == (("mine.txt",), 36)


def test_tagged_data_sets_are_not_joined_without_a_word(small_texts):
    with pytest.raises(ConfigError, match="also_train: tagged data has tag sets of its own"):
        read_run_data(load_recipe("pos", {"also_train": ["brown"]}), None, str)


# ---- evaluation of what was trained on


def model_trained_on(folder: Path, data: str, **config) -> Path:
    """The tiny model, said to be trained on a data set of the catalogue."""
    shutil.copytree(tiny_sentiment_run() / "model", folder)
    path = folder / "config.json"
    values = {**json.loads(path.read_text(encoding="utf-8")), "data": data, "kept_apart": [data], **config}
    path.write_text(json.dumps(values), encoding="utf-8")
    return folder


def test_a_model_is_not_evaluated_on_data_that_shares_texts_with_its_training(tmp_path):
    corpus_file("sst2/test.tsv")
    pipeline = Pipeline(model_trained_on(tmp_path / "model", "vader-snippets"))
    with pytest.raises(DataError, match=r"sst2 shares texts with vader-snippets, which this model was trained on"):
        pipeline.evaluate("sst2")
    assert pipeline.evaluate("sst2", allow_overlap=True).metrics["num_texts"] == 1_821


def test_further_training_data_counts_and_data_that_was_kept_apart_does_not(tmp_path, monkeypatch):
    corpus_file("sst2/test.tsv")
    one = Pipeline(model_trained_on(tmp_path / "one", "trec-questions", also_trained_on=["vader-snippets"]))
    with pytest.raises(DataError, match="sst2 shares texts with vader-snippets"):
        one.evaluate("sst2")
    other = Pipeline(model_trained_on(tmp_path / "other", "vader-snippets", kept_apart=["vader-snippets", "sst2"]))
    monkeypatch.setattr(
        "nlp_lstm.reading_data.read_split", lambda *_: [*open_files(REVIEWS, kind="labelled").read("dev")]
    )
    assert other.evaluate("sst2").metrics["num_texts"] > 0

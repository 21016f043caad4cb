"""What a run that translates learns from, through a task that is nothing but its kind of data."""

import gzip
import json
import random
from collections import Counter

import pytest
from samples import without_corpora

import nlp_lstm.reading_data as reading_module
import nlp_lstm.recipes as recipes_module
import nlp_lstm.run_data as run_data_module
from nlp_lstm.data.catalogue import find_data
from nlp_lstm.data.example import ParallelExample
from nlp_lstm.data.overlap import ProtectedPairs, remove_pairs
from nlp_lstm.data.reading import ParallelSettings
from nlp_lstm.data.share import take_share
from nlp_lstm.errors import ConfigError, DataError
from nlp_lstm.recipes import load_recipe, make_recipe
from nlp_lstm.registry import Registry
from nlp_lstm.run_data import read_run_data
from nlp_lstm.settings import Settings


class PairsOnly:
    """As much of a task as reading needs."""

    data_kind = "parallel"
    settings_type = Settings
    reading_type = ParallelSettings


@pytest.fixture
def recipe(monkeypatch):
    """Make a recipe of the task from changes to it."""
    known = Registry("task")
    known.register("pairs")(PairsOnly)
    monkeypatch.setattr(recipes_module, "tasks", known)
    monkeypatch.setattr(run_data_module, "tasks", known)
    monkeypatch.setattr(reading_module, "tasks", known)

    def make(*overrides, **values):
        return make_recipe({"task": "pairs", "data": ["multi30k"], **values}, overrides, where="recipe")

    return make


def pair(source, target):
    return ParallelExample(source=source, target=target)


def write_jsonl(path, pairs):
    rows = (json.dumps({"source": source, "target": target}) for source, target in pairs)
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")


def test_a_pair_goes_when_either_side_is_held_out_up_to_case_and_punctuation():
    held_out = {"set dev": [pair("It rains!", "Es regnet.")], "set test": [pair("Hé, you", "Du da"), pair("…", "—")]}
    training = [
        pair("it rains", "Regen fällt"),
        pair("Rain is falling", "ES REGNET"),
        pair("he you", "Du"),
        pair("It rained", "Es regnete"),
        pair("…", "Punkte"),
    ]
    kept, removed = remove_pairs(training, ProtectedPairs(held_out))
    assert kept == [training[3]]
    assert removed == {"set dev": 2, "set test": 2}


def test_share_of_pairs_goes_by_the_source():
    pairs = [pair(f"Sentence {number}", f"Satz {number} {form}") for number in range(400) for form in "ab"]
    few, more = take_share(pairs, 0.1), take_share(pairs, 0.4)
    assert len(few) / len(pairs) == pytest.approx(0.1, abs=0.05)
    assert set(few) < set(more)
    assert len({example.source for example in few}) * 2 == len(few)


def test_recipe_names_the_languages(recipe):
    assert recipe("reading.source=hi", "reading.target=en").reading.pair == "hi-en"
    with pytest.raises(ConfigError, match=r'unknown key "reading.sorce"; .* Did you mean "source"'):
        recipe("reading.sorce=hi")


def test_a_users_file_is_carved_and_no_held_out_side_is_learnt(recipe, tmp_path):
    path = tmp_path / "mine.jsonl"
    greetings = [(f"Hello number {number}", "Hallo") for number in range(100)]  # one target on both sides of the cut
    write_jsonl(path, [(f"Text {number}", f"Wort {number}") for number in range(200)] + greetings + [("x", "")])
    told = []
    with without_corpora():
        data = read_run_data(recipe(), path, told.append)
    assert {example.target for example in data.training}.isdisjoint(
        {example.target for example in (*data.development, *data.test)}
    )
    assert data.removed["mine.jsonl"].total() > 50
    assert data.kept_apart == ("mine.jsonl", "lecture sentences")
    assert any("1 pairs are left out, a side of them is empty" in line for line in told)
    assert any("training texts left out, in dev or test data" in line for line in told)
    assert told[0].startswith("note: ")


def test_a_users_folder_keeps_its_splits(recipe, tmp_path):
    for split, numbers in (("train", range(40)), ("dev", range(40, 50)), ("test", range(50, 60))):
        for language, word in (("en", "Text"), ("hi", "पाठ")):
            lines = "".join(f"{word} {number}\n" for number in numbers)
            (tmp_path / f"{split}.{language}").write_text(lines, encoding="utf-8")
    changes = ("reading.source=hi", "reading.target=en")
    data = read_run_data(recipe(*changes), tmp_path, print)
    assert [len(part) for part in (data.training, data.development, data.test)] == [40, 10, 10]
    assert data.training[0] == pair("पाठ 0", "Text 0")
    half = read_run_data(recipe(*changes, "share=0.5"), tmp_path, print)
    assert 8 < len(half.training) < 32
    assert len(half.test) == 10


def test_damaged_files_of_a_user_are_one_error(recipe, tmp_path):
    (tmp_path / "train.en").write_text("a\nb\n")
    (tmp_path / "train.de").write_text("a\n")
    with pytest.raises(DataError, match=r"train\.en has 2 lines, but .*train\.de has 1"):
        read_run_data(recipe(), tmp_path, print)


def test_further_data_sets_are_joined_without_what_is_tested(recipe, tmp_path, monkeypatch):
    monkeypatch.setenv("NLP_LSTM_DATA", str(tmp_path))
    monkeypatch.setenv("NLP_LSTM_CACHE", str(tmp_path / "cache"))
    words = [f"w{number}" for number in range(300)]
    random.shuffle(words)
    for name, file, row in (
        ("tatoeba-manythings", "eng-hin.tsv", "{0}\tह{0}\tby hand\n"),
        ("hindencorp-slice", "en-hi.tsv", "ted\t{0}.\tट{0}\n"),
    ):
        (tmp_path / name).mkdir()
        _write_gz(tmp_path / name / f"{file}.gz", "".join(row.format(word) for word in words))
    changes = {"data": ["tatoeba-manythings"], "also_train": ["hindencorp-slice"], "reading": {"target": "hi"}}
    data = read_run_data(recipe(**changes), None, print)
    assert data.names == ("tatoeba-manythings", "hindencorp-slice")
    held_out = {example.source for example in (*data.development, *data.test)}
    assert held_out
    assert not {example.source.rstrip(".") for example in data.training} & held_out
    assert data.removed["hindencorp-slice"].total() > 0
    assert len(data.training) == sum(data.sizes.values()) - sum(counts.total() for counts in data.removed.values())
    with pytest.raises(ConfigError, match="hindencorp-slice: no texts for en-de; hindencorp-slice has en-hi"):
        read_run_data(recipe(**changes | {"data": ["hindencorp-slice"], "reading": {}}), None, print)


def _write_gz(path, text):
    path.parent.mkdir(exist_ok=True)

    path.write_bytes(gzip.compress(text.encode("utf-8")))


# ---- one side of parallel texts, for language models


@pytest.fixture
def corpora(tmp_path, monkeypatch):
    """Two data sets of the catalogue in small, which share English sentences."""
    sentences = [f"Anna has {number} green apples." for number in range(300)]
    captions = [f"A dog carries stick number {number}." for number in range(60)]
    pairs = {"deu": sentences[100:] + captions[:5], "hin": sentences[:200]}
    for name, texts in pairs.items():
        rows = [f"{text}\t{name} {text}" + ("\tauthor" if name == "hin" else "") for text in texts]
        _write_gz(tmp_path / "tatoeba-manythings" / f"eng-{name}.tsv.gz", "\n".join([*rows, *rows[:3]]) + "\n")
    for split, part in (("train", captions), ("val", captions[:2]), ("test_2016_flickr", captions[2:4])):
        for language in ("en", "de"):
            _write_gz(tmp_path / "multi30k" / f"{split}.{language}.gz", "\n".join(part) + "\n")
    monkeypatch.setenv("NLP_LSTM_DATA", str(tmp_path))
    monkeypatch.setenv("NLP_LSTM_CACHE", str(tmp_path / "cache"))


@pytest.mark.parametrize("pair", ["en-hi", "en-de"])
def test_one_side_is_learnt_without_what_any_pair_holds_out(corpora, pair):
    recipe = load_recipe(
        "lm", ["data=[tatoeba-manythings]", "language=en", f"reading.pair={pair}", "also_train=[multi30k]"]
    )
    said: list[str] = []
    data = read_run_data(recipe, None, said.append)
    learnt = [line.document.text for line in data.training]
    assert max(Counter(text for text in learnt if text.startswith("Anna")).values()) == 1  # some rows are there twice
    held_out = {
        example.source
        for name, pairs in (("tatoeba-manythings", ("en-de", "en-hi")), ("multi30k", ("en-de",)))
        for target in (one.partition("-")[2] for one in pairs)
        for split in ("dev", "test")
        for example in find_data([name], reading=ParallelSettings(target=target)).read(
            split, ParallelSettings(target=target)
        )
    }
    assert held_out
    assert held_out.isdisjoint(learnt)
    assert {line.document.text for line in data.test} <= held_out
    assert "multi30k" in data.names


def test_a_language_that_is_not_of_the_pair_is_refused(corpora):
    with pytest.raises(ConfigError, match=r'language is "fr", which is none of the two of reading\.pair=en-de'):
        load_recipe("lm-translate", ["language=fr"])
    recipe = load_recipe("lm", ["data=[multi30k]"])
    with pytest.raises(ConfigError, match=r"holds parallel data.* or with reading\.pair"):
        read_run_data(recipe, None, lambda line: None)

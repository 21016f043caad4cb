import collections
import gzip
import shutil
import sys
import types

import pytest
from samples import SAMPLES

from nlp_lstm.data import found as found_module
from nlp_lstm.data import hub
from nlp_lstm.data.catalogue import catalogue, find_at_hand, find_data, open_files
from nlp_lstm.data.readers import read_examples
from nlp_lstm.data.reading import ReadingSettings
from nlp_lstm.errors import ConfigError, DataError

POLARITY = {"very negative": "NEGATIVE", "negative": "NEGATIVE", "neutral": None}
POLARITY |= {"positive": "POSITIVE", "very positive": "POSITIVE"}


@pytest.fixture(autouse=True)
def own_places(tmp_path, monkeypatch, request):
    """An empty user cache, no hub, and no data folder but for tests of real corpora."""
    monkeypatch.setenv("NLP_LSTM_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    if "data_dir" not in request.fixturenames:
        monkeypatch.delenv("NLP_LSTM_DATA", raising=False)


def tally(examples):
    return dict(collections.Counter(example.label for example in examples))


def test_a_file_of_reviews_is_split_by_each_text_alone():
    found = open_files(SAMPLES / "reviews.tsv", kind="labelled")
    parts = {split: found.read(split) for split in ("train", "dev", "test")}
    assert (found.kind, found.format) == ("labelled", "tsv")
    assert sum(map(len, parts.values())) == 62
    assert all(set(tally(part)) == {"POSITIVE", "NEGATIVE"} for part in parts.values())
    texts = [{example.document.text for example in part} for part in parts.values()]
    assert len(set.union(*texts)) == 62


def test_splits_read_together_are_those_read_alone_and_their_file_is_read_once(monkeypatch):
    found = open_files(SAMPLES / "reviews.tsv", kind="labelled")
    alone = {split: found.read(split) for split in ("train", "dev", "test")}
    read = []
    monkeypatch.setattr(
        found_module,
        "read_examples",
        lambda paths, *rest, **more: read.append(paths) or read_examples(paths, *rest, **more),
    )
    assert found.read_splits(("train", "dev", "test")) == alone
    assert read == [(SAMPLES / "reviews.tsv",)]


def test_all_settings_count_for_files_of_ones_own(tmp_path):
    shutil.copy(SAMPLES / "reviews.csv", tmp_path / "train.csv")
    shutil.copy(SAMPLES / "reviews.csv", tmp_path / "dev.csv")
    found = open_files(tmp_path, kind="labelled")
    stars = {"1": "bad", "2": "bad", "3": {"bad": 0.5, "good": 0.5}, "4": "good", "5": None}
    reading = ReadingSettings(text="Review", label="Stars", domain="Shop", labels=stars)
    assert tally(found.read("dev", reading)) == {"bad": 2, "good": 1}  # only texts that have a label
    only_shares = reading.model_copy(update={"labels": {key: {"bad": 0.5, "good": 0.5} for key in "12345"}})
    with pytest.raises(DataError, match="no text of the dev split has a label of its own"):
        found.read("dev", only_shares)


def test_phrases_are_for_training_with_held_out_files_of_its_own(tmp_path):
    for split in ("train", "dev", "test"):
        shutil.copy(SAMPLES / "trees.txt", tmp_path / f"{split}.txt")
    found = open_files(tmp_path, format="trees", kind="labelled")
    assert found.notes == ()
    assert sum(example.is_phrase for example in found.read("train")) > 20
    assert not any(example.is_phrase for example in found.read("test"))
    assert not any(example.is_phrase for example in found.read("train", ReadingSettings(phrases=False)))
    (tmp_path / "test.txt").unlink()
    carved = open_files(tmp_path, format="trees", kind="labelled")
    assert not any(example.is_phrase for example in carved.read("train"))
    assert "phrases are not read" in carved.notes[-1]


def test_a_format_of_the_other_kind_is_refused():
    with pytest.raises(ConfigError, match=r'format "conllu" is for tagged data; here labelled data is needed: csv, '):
        open_files(SAMPLES / "reviews.tsv", format="conllu", kind="labelled")
    with pytest.raises(ConfigError, match='format "csv" is for labelled data; here tagged data is needed: brown, '):
        open_files(SAMPLES / "reviews.csv", format="csv")
    with pytest.raises(DataError, match=r"names no known format of tagged data; known endings: \.conllu"):
        open_files(SAMPLES / "reviews.csv")


def test_advice_on_a_format_is_what_can_be_done(tmp_path):
    shutil.copy(SAMPLES / "reviews.csv", tmp_path / "reviews.xlsx")
    for path in (tmp_path, tmp_path / "reviews.xlsx"):
        with pytest.raises(DataError, match=r"rename (it|them).* save (it|them) in one of th") as caught:
            open_files(path, kind="labelled")
        assert "ame the format" not in str(caught.value)


def test_a_folder_without_files_of_the_kind_tells_the_endings(tmp_path):
    shutil.copy(SAMPLES / "hand.conllu", tmp_path)
    with pytest.raises(DataError, match=r"files of labelled data end in \.tsv, \.csv, \.jsonl"):
        open_files(tmp_path, kind="labelled")


def test_published_sentences_have_their_published_counts(data_dir):
    """Counts as stated in the READMEs beside the files."""
    two, five = find_data(["sst2"]), find_data(["sst5"])
    assert tally(two.read("train")) == {"POSITIVE": 3_610, "NEGATIVE": 3_310}
    assert tally(two.read("dev")) == {"POSITIVE": 444, "NEGATIVE": 428}
    assert tally(two.read("test")) == {"POSITIVE": 909, "NEGATIVE": 912}
    assert tuple(tally(five.read("test"))[name] for name in POLARITY) == (279, 633, 389, 510, 399)
    assert two.read("test")[6].document.text == (
        'acting, particularly by tambor, almost makes "never again" worthwhile, but (writer director) schaeffer '
        "should follow his titular advice"
    )


def test_five_degrees_without_the_middle_are_the_two_classes(data_dir):
    """The two data sets hold the same test sentences, up to hyphens and the final full stop."""
    two, five = find_data(["sst2"]), find_data(["sst5"])
    reading = ReadingSettings(text="ignored", labels=POLARITY)
    assert tally(five.read("test", reading)) == tally(two.read("test", reading)) == tally(two.read("test"))
    with pytest.raises(DataError, match="sst5: the label is 'very negative'"):
        five.read("test", ReadingSettings(labels={"positive": "POSITIVE"}))


def test_published_questions_have_their_published_counts(data_dir):
    """Class counts as in the README beside the files; a tenth of train is kept for development."""
    found = find_data(["trec-questions"])
    names = ("DESC", "ENTY", "ABBR", "HUM", "LOC", "NUM")
    parts = {split: tally(found.read(split)) for split in ("train", "dev", "test")}
    assert tuple(parts["test"][name] for name in names) == (138, 94, 9, 65, 81, 113)
    both = [parts["train"][name] + parts["dev"][name] for name in names]
    assert both == [1_162, 1_250, 86, 1_223, 835, 896]
    assert 450 < sum(parts["dev"].values()) < 640
    assert found.read("test")[3].label == "DESC"
    assert found.read("test")[3].document.text == "What is an atom?"


@pytest.mark.slow
def test_published_subjective_sentences_are_carved(data_dir):
    found = find_data(["subj"])
    parts = [found.read(split) for split in ("train", "dev", "test")]
    assert sum(map(len, parts)) == 10_000
    assert sum(tally(part)["SUBJECTIVE"] for part in parts) == 5_000
    assert not {e.document.text for e in parts[0]} & {e.document.text for e in (*parts[1], *parts[2])}


def test_catalogue_says_what_must_be_kept_apart():
    data = catalogue().data
    assert {name for name, entry in data.items() if entry.protected} == {"sst2", "sst5", "sst-trees", "subj"}
    pool = {name for name, entry in data.items() if entry.shares_text == "rotten-tomatoes"}
    assert pool == {"sst2", "sst5", "sst-text", "sst-trees", "subj", "vader-snippets"}


def test_what_is_not_at_hand_is_not_fetched(tmp_path, monkeypatch):
    assert find_at_hand("sst2") is None
    with pytest.raises(ConfigError, match=r'unknown data set "sst"; .* Did you mean "sst'):
        find_at_hand("sst")
    monkeypatch.setenv("NLP_LSTM_DATA", str(tmp_path))
    (tmp_path / "sst2").mkdir()
    for split in ("train", "dev", "test"):
        (tmp_path / "sst2" / f"{split}.tsv").write_text("it 's fine\t1\n")
    found = find_at_hand("sst2")
    assert found.source == "folder sst2 in NLP_LSTM_DATA"
    assert found.read("dev")[0].document.text == "it's fine"


def rows(*pairs):
    return [{"text": text, "label": label, "label_text": "unused"} for text, label in pairs]


@pytest.mark.parametrize(("name", "label"), [("sst2", "POSITIVE"), ("sst5", "negative")])
def test_labelled_rows_from_the_hub_become_the_tables_of_the_entry(monkeypatch, name, label):
    splits = {split: rows(("it 's\tfine ,\n`` really ''", 1), ("bad", 0)) for split in ("train", "validation", "test")}
    fake = types.SimpleNamespace(load_dataset=lambda repo, config: splits)
    monkeypatch.setitem(sys.modules, "datasets", fake)
    monkeypatch.setattr(hub, "check_hub", lambda: None)
    found = find_data([name])
    assert found.source == f"hub data set SetFit/{name}"
    for split in ("train", "dev", "test"):
        first, _ = found.read(split)
        assert (first.document.text, first.label) == ('it\'s fine, "really"', label)
    assert find_at_hand(name).source == f"hub data set SetFit/{name}, kept in the user cache"


@pytest.mark.parametrize("row", [{"text": "fine"}, {"label": 1, "text": " "}, {"label": 1}, {"sentence": "fine"}])
def test_rows_from_the_hub_without_text_or_label_are_refused(monkeypatch, row):
    fake = types.SimpleNamespace(load_dataset=lambda repo, config: {"train": [*rows(("fine", 1)), row]})
    monkeypatch.setitem(sys.modules, "datasets", fake)
    monkeypatch.setattr(hub, "check_hub", lambda: None)
    with pytest.raises(DataError, match=r"SetFit/sst2.*: row 1 has no text or no label; it has"):
        find_data(["sst2"])


def test_packed_and_plain_files_of_one_folder_are_read(tmp_path):
    table = (SAMPLES / "reviews.tsv").read_bytes()
    (tmp_path / "train.tsv.gz").write_bytes(gzip.compress(table))
    (tmp_path / "dev.tsv").write_bytes(table)
    found = open_files(tmp_path, kind="labelled")
    assert len(found.read("dev")) == 62
    assert len(found.notes) == 1

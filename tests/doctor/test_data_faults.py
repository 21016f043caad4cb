"""Faults put into real data are found under their own name, and the data as it is has none."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
from samples import corpus_file

from nlp_lstm.data.readers import read_examples
from nlp_lstm.data.reading import ParallelSettings, ReadingSettings
from nlp_lstm.doctor import examination, examine_data

sys.path.append(str(Path(__file__).parent.parent.parent / "benchmarks"))

from doctor_faults import DATA_FAULTS, Parts, german_words, split_examples

SIZES = (800, 200, 200)


@lru_cache(maxsize=1)
def tagged() -> Parts:
    return split_examples(read_examples([corpus_file("ud-english-ewt/*test*")]), SIZES)


@lru_cache(maxsize=1)
def labelled() -> Parts:
    reading = ReadingSettings(text=1, label=2)
    return split_examples(read_examples([corpus_file("sst2/test.tsv")], kind="labelled", reading=reading), SIZES)


@lru_cache(maxsize=1)
def parallel() -> Parts:
    files = [corpus_file(f"multi30k/test_2016_flickr.{code}.gz") for code in ("en", "de")]
    pairs = read_examples(files, kind="parallel", reading=ParallelSettings(source="en", target="de"))
    return split_examples(pairs, (600, 200, 200))


KINDS: dict[str, Callable[[], Parts]] = {"tagged": tagged, "labelled": labelled, "parallel": parallel}


def faults(kind: str, parts: Parts, **options: Any) -> list[str]:
    column = "upos" if kind == "tagged" else ""
    target = "de" if kind == "parallel" else ""
    return [one.fault for one in examine_data(kind, parts, column=column, target_language=target, **options)]


@pytest.mark.parametrize("kind", KINDS)
def test_sound_data_has_no_fault(kind):
    assert faults(kind, KINDS[kind]()) == []


def test_a_large_list_in_the_order_of_its_labels_has_no_fault(monkeypatch):
    monkeypatch.setattr(examination, "MOST_TEXTS", 400)
    parts = labelled()
    in_order = sorted(parts["train"], key=lambda example: example.label)
    assert in_order[0].label == in_order[300].label != in_order[-1].label
    assert faults("labelled", parts | {"train": in_order}) == []


@pytest.mark.parametrize("count", [120, 250, 500])
@pytest.mark.parametrize("first", [0, 100, 200])
def test_few_sound_texts_are_no_evidence_of_shuffled_labels(first, count):
    parts = labelled()
    few = parts | {"train": parts["train"][first : first + count]}
    assert "shuffled labels" not in faults("labelled", few)
    assert "shuffled labels" not in faults("labelled", few | {"dev": few["dev"][:50]})


@pytest.mark.parametrize(
    ("kind", "fault", "spoil"),
    [(kind, *case) for kind, cases in DATA_FAULTS.items() for case in cases],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_a_fault_is_found_under_its_name(kind, fault, spoil):
    assert fault in faults(kind, spoil(KINDS[kind]()))


@pytest.mark.parametrize("kind", KINDS)
def test_german_among_english_is_found(kind):
    german = [pair.target for pair in parallel()["train"]]
    assert "mixed languages" in faults(kind, german_words(german)(KINDS[kind]()))


def test_vectors_of_another_language_cover_too_little():
    german = frozenset(word for pair in parallel()["train"] for word in pair.target.split())
    english = frozenset(word for one in labelled()["train"] for word in one.document.words)
    assert faults("labelled", labelled(), vectors=[english]) == []
    assert faults("labelled", labelled(), vectors=[english, german]) == ["vocabulary coverage"]


def test_what_was_left_out_of_training_is_told():
    assert faults("labelled", labelled(), left_out=40) == ["duplicates between splits"]
    assert faults("labelled", labelled(), left_out=1) == []

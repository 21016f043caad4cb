"""Faults put into real data are found under their own name, and the data as it is has none."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

import pytest
from samples import corpus_file

from nlp_lstm.data.example import LabelledExample, TaggedExample
from nlp_lstm.data.readers import read_examples
from nlp_lstm.data.reading import ParallelSettings, ReadingSettings
from nlp_lstm.doctor import examine_data
from nlp_lstm.text.document import Document

Parts = dict[str, list[Any]]


def _split(examples: Sequence[Any], sizes: tuple[int, int, int] = (800, 200, 200)) -> Parts:
    shuffled = random.Random(3).sample(list(examples), sum(sizes))
    train, dev, _ = sizes
    return {"train": shuffled[:train], "dev": shuffled[train : train + dev], "test": shuffled[train + dev :]}


@lru_cache(maxsize=1)
def tagged() -> Parts:
    return _split(read_examples([corpus_file("ud-english-ewt/*test*")]))


@lru_cache(maxsize=1)
def labelled() -> Parts:
    reading = ReadingSettings(text=1, label=2)
    return _split(read_examples([corpus_file("sst2/test.tsv")], kind="labelled", reading=reading))


@lru_cache(maxsize=1)
def parallel() -> Parts:
    files = [corpus_file(f"multi30k/test_2016_flickr.{code}.gz") for code in ("en", "de")]
    pairs = read_examples(files, kind="parallel", reading=ParallelSettings(source="en", target="de"))
    return _split(pairs, (600, 200, 200))


KINDS: dict[str, Callable[[], Parts]] = {"tagged": tagged, "labelled": labelled, "parallel": parallel}


def faults(kind: str, parts: Parts, **options: Any) -> list[str]:
    column = "upos" if kind == "tagged" else ""
    target = "de" if kind == "parallel" else ""
    return [one.fault for one in examine_data(kind, parts, column=column, target_language=target, **options)]


@pytest.mark.parametrize("kind", KINDS)
def test_sound_data_has_no_fault(kind):
    assert faults(kind, KINDS[kind]()) == []


def tag(example: TaggedExample, labels: Sequence[str]) -> TaggedExample:
    return replace(example, labels={"upos": tuple(labels)})


def rewrite(example: LabelledExample, text: str) -> LabelledExample:
    return replace(example, document=Document.from_words(text.split()))


def one_label_a_sentence(parts: Parts) -> Parts:
    return {name: [tag(one, [one.labels["upos"][0]] * len(one.document)) for one in of] for name, of in parts.items()}


def label_a_word(parts: Parts) -> Parts:
    return {
        name: [replace(one, label=" ".join("XY"[len(word) % 2] for word in one.document.words)) for one in of]
        for name, of in parts.items()
    }


def label_as_translation(parts: Parts) -> Parts:
    return {
        name: [replace(one, target="lang" if len(one.source) > 60 else "kurz") for one in of]
        for name, of in parts.items()
    }


def shuffled_tags(parts: Parts) -> Parts:
    chance = random.Random(5)
    return {
        name: [tag(one, chance.sample(one.labels["upos"], len(one.document))) for one in of]
        for name, of in parts.items()
    }


def shifted_tags(parts: Parts) -> Parts:
    return {
        name: [tag(one, (*one.labels["upos"][1:], one.labels["upos"][0])) for one in of] for name, of in parts.items()
    }


def shuffled_labels(parts: Parts) -> Parts:
    labels = [one.label for one in parts["train"]]
    random.Random(6).shuffle(labels)
    return parts | {"train": [replace(one, label=label) for one, label in zip(parts["train"], labels, strict=True)]}


def shuffled_development_labels(parts: Parts) -> Parts:
    labels = [one.label for one in parts["dev"]]
    random.Random(7).shuffle(labels)
    return parts | {"dev": [replace(one, label=label) for one, label in zip(parts["dev"], labels, strict=True)]}


def shuffled_translations(parts: Parts) -> Parts:
    targets = [one.target for one in parts["train"]]
    random.Random(8).shuffle(targets)
    return parts | {"train": [replace(one, target=target) for one, target in zip(parts["train"], targets, strict=True)]}


def tags_in_words(parts: Parts) -> Parts:
    def leak(one: TaggedExample) -> TaggedExample:
        pairs = zip(one.document.words, one.labels["upos"], strict=True)
        return replace(one, document=Document.from_words([f"{word}_{label}" for word, label in pairs]))

    return {name: [leak(one) for one in of] for name, of in parts.items()}


def stars_in_texts(parts: Parts) -> Parts:
    return {
        name: [rewrite(one, f"{one.document.text} {'*****' if one.label == '1' else '*'}") for one in of]
        for name, of in parts.items()
    }


def translations_in_sources(parts: Parts) -> Parts:
    return {name: [replace(one, source=f"{one.source} ({one.target})") for one in of] for name, of in parts.items()}


def test_texts_in_training(parts: Parts) -> Parts:
    return parts | {"train": [*parts["train"], *parts["test"][:40]]}


test_texts_in_training.__test__ = False  # type: ignore[attr-defined]


def nearly_one_label(parts: Parts) -> Parts:
    few = [one for one in parts["train"] if one.label == "0"][:20]
    return parts | {"train": [*few, *(one for one in parts["train"] if one.label == "1")]}


def nearly_one_tag(parts: Parts) -> Parts:
    return {
        name: [tag(one, ["NUM" if label == "NUM" else "OTHER" for label in one.labels["upos"]]) for one in of]
        for name, of in parts.items()
    }


def one_translation_often(parts: Parts) -> Parts:
    pairs = [replace(one, target="Ein Mann.") if place % 3 == 0 else one for place, one in enumerate(parts["train"])]
    return parts | {"train": pairs}


def other_spelling(parts: Parts) -> Parts:
    return parts | {"dev": [rewrite(one, one.document.text.replace(" ", "▁ ") + "▁") for one in parts["dev"]]}


def german_sources(parts: Parts) -> Parts:
    turned = [replace(one, source=one.target) if place % 5 == 0 else one for place, one in enumerate(parts["train"])]
    return parts | {"train": turned}


def german_texts(parts: Parts) -> Parts:
    german = [one.target for one in parallel()["train"][:100]]
    texts = [rewrite(one, text) for one, text in zip(parts["train"], german, strict=False)]
    return parts | {"train": [*texts, *parts["train"][100:]]}


def unlabelled_tokens(parts: Parts) -> Parts:
    return {
        name: [tag(one, [label if label in ("NOUN", "VERB") else "_" for label in one.labels["upos"]]) for one in of]
        for name, of in parts.items()
    }


@pytest.mark.parametrize(
    ("kind", "spoil", "fault"),
    [
        ("tagged", one_label_a_sentence, "wrong problem shape"),
        ("labelled", label_a_word, "wrong problem shape"),
        ("parallel", label_as_translation, "wrong problem shape"),
        ("tagged", shuffled_tags, "shuffled labels"),
        ("tagged", shifted_tags, "shuffled labels"),
        ("labelled", shuffled_labels, "shuffled labels"),
        ("labelled", shuffled_development_labels, "shuffled labels"),
        ("parallel", shuffled_translations, "shuffled labels"),
        ("tagged", tags_in_words, "leaked labels"),
        ("labelled", stars_in_texts, "leaked labels"),
        ("parallel", translations_in_sources, "leaked labels"),
        ("tagged", test_texts_in_training, "duplicates between splits"),
        ("labelled", test_texts_in_training, "duplicates between splits"),
        ("parallel", test_texts_in_training, "duplicates between splits"),
        ("tagged", nearly_one_tag, "class imbalance"),
        ("labelled", nearly_one_label, "class imbalance"),
        ("parallel", one_translation_often, "class imbalance"),
        ("labelled", other_spelling, "vocabulary coverage"),
        ("labelled", german_texts, "mixed languages"),
        ("parallel", german_sources, "mixed languages"),
        ("tagged", unlabelled_tokens, "loss on what does not matter"),
    ],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_a_fault_is_found_under_its_name(kind, spoil, fault):
    assert fault in faults(kind, spoil(KINDS[kind]()))


def test_vectors_of_another_language_cover_too_little():
    german = frozenset(word for pair in parallel()["train"] for word in pair.target.split())
    english = frozenset(word for one in labelled()["train"] for word in one.document.words)
    assert faults("labelled", labelled(), vectors=[english]) == []
    assert faults("labelled", labelled(), vectors=[english, german]) == ["vocabulary coverage"]


def test_what_was_left_out_of_training_is_told():
    assert faults("labelled", labelled(), left_out=40) == ["duplicates between splits"]
    assert faults("labelled", labelled(), left_out=1) == []

"""Marks in place of words in training pairs."""

from __future__ import annotations

from pathlib import Path

from samples import pair_examples, tiny_translation_recipe

from nlp_lstm.data.example import ParallelExample
from nlp_lstm.tasks import TranslationTask
from nlp_lstm.tasks.translation_baselines import mutual_translations
from nlp_lstm.tasks.translation_marks import marked_pairs
from nlp_lstm.text.copies import MARKS, mark_words

ANIMALS = {"horses": "Pferde", "zebras": "Zebras", "camels": "Kamele", "tigers": "Tiger", "lizards": "Echsen"}
PAIRS = [
    ParallelExample(source=f"we saw some {first} and {second}", target=f"wir sahen einige {one} und {other}")
    for first, one in ANIMALS.items()
    for second, other in ANIMALS.items()
    if first != second
]


def test_words_that_are_each_others_likeliest_partners_are_found() -> None:
    partners = mutual_translations([one.source for one in PAIRS], [one.target or "" for one in PAIRS])
    assert {word: partners[word] for word in ANIMALS} == ANIMALS


def test_marks_stand_for_words_that_translate_each_other() -> None:
    marked = marked_pairs(PAIRS, 1.0, seed=1)
    assert marked == marked_pairs(PAIRS, 1.0, seed=1)
    assert marked != marked_pairs(PAIRS, 1.0, seed=2)
    assert len(marked) == len(PAIRS)
    assert len(marked_pairs(PAIRS, 0.5, seed=1)) == len(PAIRS) // 2
    for example in marked:
        in_source, in_target = ([mark for mark in MARKS if mark in text] for text in (example.source, example.target))
        assert in_source == in_target
        assert 1 <= len(in_source) <= 3
        left = {word for word in ANIMALS if word in example.source}
        assert {ANIMALS[word] for word in left} == {word for word in ANIMALS.values() if word in example.target}


def test_short_texts_and_texts_without_known_words_stay_out() -> None:
    assert marked_pairs([*PAIRS, ParallelExample(source="some horses", target="Pferde")], 1.0, seed=1) != []
    short = [ParallelExample(source="horses run", target="Pferde rennen")] * 5
    assert marked_pairs(short, 1.0, seed=1) == []
    assert marked_pairs([ParallelExample(source="a b c", target=None)], 1.0, seed=1) == []


def test_only_whole_words_are_marked() -> None:
    source, target = mark_words("cats and cat", "Katzen und Katze", [("cat", "Katze")])
    assert (source, target) == (f"cats and {MARKS[0]}", f"Katzen und {MARKS[0]}")


def test_training_learns_them_besides_the_pairs(tmp_path: Path) -> None:
    examples = [*pair_examples(), *PAIRS]
    settings = tiny_translation_recipe("model.marked_words=1").model
    task = TranslationTask.prepare(settings, examples)
    encoded = task.encode(examples, tmp_path)
    assert encoded[: len(examples)] == TranslationTask(
        settings.model_copy(update={"marked_words": 0.0}), task.pieces
    ).encode(examples, tmp_path)
    added = encoded[len(examples) :]
    assert len(added) >= len(PAIRS)
    ids = {source for source, _ in task.pieces.marks}
    assert all(ids & set(one.source_ids) for one in added)
    assert all({target for _, target in task.pieces.marks} & set(one.target_ids or ()) for one in added)

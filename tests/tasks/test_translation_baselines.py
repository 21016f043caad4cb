"""Translators without a network: of very many pairs a choice is learnt from, and the names say so."""

from __future__ import annotations

from nlp_lstm.tasks import translation_baselines
from nlp_lstm.tasks.translation_baselines import DICTIONARY, MEMORY, baseline_translations

PAIRS = [("the dog", "der Hund"), ("the cat", "der Kater"), ("the dog runs", "der Hund läuft"), ("a cat", "ein Kater")]


def test_all_pairs_are_learnt_from_where_they_are_few():
    found = baseline_translations(PAIRS, ["the dog runs", "a dog"])
    assert found == {MEMORY: ["der Hund läuft", "ein Kater"], DICTIONARY: ["der Hund läuft", "ein Hund"]}


def test_of_many_pairs_a_choice_is_learnt_from(monkeypatch):
    monkeypatch.setattr(translation_baselines, "MOST_PAIRS", 3)
    many = PAIRS[:1] * 4
    found = baseline_translations(many, ["the dog"])
    assert set(found) == {f"{MEMORY} (3 pairs)", f"{DICTIONARY} (3 pairs)"}
    assert found[f"{MEMORY} (3 pairs)"] == ["der Hund"]
    assert found == baseline_translations(many, ["the dog"])

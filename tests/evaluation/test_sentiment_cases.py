"""The hand-made cases are what they claim to be; how a model does on them is measured, not asserted.

In the manner of Ribeiro, Wu, Guestrin and Singh, "Beyond Accuracy: Behavioral Testing of NLP Models with CheckList",
ACL 2020.
"""

import json
from collections import Counter, defaultdict
from pathlib import Path

import pytest

KINDS = ("negation", "contrast", "irrelevant change")


@pytest.fixture(scope="module")
def cases():
    path = Path(__file__).parents[1] / "data" / "samples" / "sentiment_cases.jsonl"
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def test_each_kind_has_many_cases_half_of_them_positive(cases):
    counts = Counter((case["domain"], case["label"]) for case in cases)
    assert set(counts) == {(kind, label) for kind in KINDS for label in ("POSITIVE", "NEGATIVE")}
    for kind in KINDS:
        assert counts[kind, "POSITIVE"] == counts[kind, "NEGATIVE"] >= 40


def test_no_text_occurs_twice_and_each_is_one_clean_line(cases):
    texts = [case["text"] for case in cases]
    assert len(texts) == len(set(texts))
    assert all(text and text == " ".join(text.split()) for text in texts)


def test_pairs_are_of_one_kind_and_turn_the_label_unless_the_change_is_irrelevant(cases):
    pairs = defaultdict(list)
    for case in cases:
        pairs[case["pair"]].append(case)
    for members in pairs.values():
        (kind,) = {case["domain"] for case in members}
        labels = {case["label"] for case in members}
        assert len(members) >= 2
        assert len(labels) == (1 if kind == "irrelevant change" else 2)

"""The hand-made cases are what they claim to be; how a model does on them is measured, not asserted.

In the manner of Ribeiro, Wu, Guestrin and Singh, "Beyond Accuracy: Behavioral Testing of NLP Models with CheckList",
ACL 2020.
"""

import json
from collections import Counter, defaultdict

import pytest
from samples import CASES, bundled_model, tiny_classifier

from nlp_lstm.evaluation.report import Report
from nlp_lstm.pipeline import Pipeline

KINDS = ("negation", "contrast", "irrelevant change")


@pytest.fixture(scope="module")
def cases():
    return [json.loads(line) for line in CASES.read_text("utf-8").splitlines()]


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


@pytest.fixture(params=["tiny", pytest.param("bundled", marks=pytest.mark.slow)])
def pipeline(request) -> Pipeline:
    return tiny_classifier() if request.param == "tiny" else Pipeline(bundled_model("sentiment-en"))


def test_how_a_model_does_on_each_kind_is_measured(pipeline, cases, tmp_path):
    report = pipeline.evaluate(CASES, reading={"domain": "domain"})
    assert isinstance(report, Report)
    assert report.metrics["num_texts"] == len(cases)
    scores = {score["domain"]: score for score in report.metrics["by_domain"]}
    assert set(scores) == set(KINDS)
    answers = pipeline.predict([case["text"] for case in cases])
    is_right = [answer["label"] == case["label"] for answer, case in zip(answers, cases, strict=True)]
    for kind, score in scores.items():
        of_kind = [right for right, case in zip(is_right, cases, strict=True) if case["domain"] == kind]
        assert (score["num_texts"], score["accuracy"]) == (len(of_kind), pytest.approx(sum(of_kind) / len(of_kind)))
    page = report.write(tmp_path).read_text(encoding="utf-8")
    assert all(kind in page for kind in KINDS)


def test_the_share_of_pairs_that_are_right_throughout_can_be_told(pipeline, cases, record_property):
    answers = pipeline.predict([case["text"] for case in cases])
    pairs = defaultdict(list)
    for case, answer in zip(cases, answers, strict=True):
        pairs[case["domain"], case["pair"]].append(case["label"] == answer["label"])
    for kind in KINDS:
        of_kind = [all(members) for (domain, _), members in pairs.items() if domain == kind]
        share = sum(of_kind) / len(of_kind)
        record_property(f"{kind}: pairs right throughout", share)  # pytest --junitxml writes them down
        assert 0 <= share <= 1

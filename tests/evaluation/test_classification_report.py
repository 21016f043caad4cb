import json
import random

import pytest
from pages import ATTACK, Outline

from nlp_lstm.errors import DataError
from nlp_lstm.evaluation.classification import classification_metrics
from nlp_lstm.evaluation.classification_report import (
    classification_comparison,
    classification_report,
    classification_sections,
    domain_figures,
    worst_texts,
)
from nlp_lstm.evaluation.report import Section

LABELS = ("NEGATIVE", "POSITIVE")


@pytest.fixture(scope="module")
def classified():
    """Texts, gold and predicted labels, scores and metrics of 200 random texts of three domains."""
    source = random.Random(0)
    words = ["good", "bad", "film", ATTACK]
    texts = [" ".join(source.choice(words) for _ in range(source.randint(1, 120))) for _ in range(200)]
    gold = [source.choice(LABELS) for _ in texts]
    predicted = [label if source.random() < 0.8 else source.choice(LABELS) for label in gold]
    scores = [source.uniform(0.5, 1) for _ in texts]
    pairs = zip(predicted, scores, strict=True)
    probabilities = [{label: score if label == given else 1 - score for label in LABELS} for given, score in pairs]
    domains = [source.choice(["film", "news", ATTACK]) for _ in texts]
    lengths = [len(text.split()) for text in texts]
    return texts, gold, predicted, scores, classification_metrics(gold, predicted, probabilities, lengths, domains)


def report_on(classified, **more):
    texts, gold, predicted, scores, metrics = classified
    parts = {"texts": texts, "gold": gold, "predicted": predicted, "scores": scores}
    return classification_report(metrics, title="Sentiment", subtitle="sst2 test", task="sentiment", **parts, **more)


def test_the_report_has_every_section_and_the_callers_own(classified):
    report = report_on(classified, sections=[Section(title="Own", blocks=[])])
    titles = ["By label", "Confusions", "By domain", "Calibration", "Long texts", "Worst errors", "Own"]
    assert [section.title for section in report.sections] == titles
    assert [figure.name for figure in report.figures] == ["Accuracy", "Macro F1", "Calibration error"]
    assert report.figures[0].interval[0] < classified[-1].accuracy < report.figures[0].interval[1]
    assert report.figures[0].sample_text == "200 texts"
    for words in ("of 200 texts right (95 % interval", "always answering", "best on", "mean confidence"):
        assert words in report.lead


def test_the_page_is_well_formed_and_escapes_text_from_outside(classified):
    page = report_on(classified).to_html()
    outline = Outline(page)
    assert outline.open == []
    assert len(outline.ids) == len(set(outline.ids))
    assert outline.tags.count("svg") == 3
    assert ATTACK not in page


def test_the_numbers_are_written_for_programs(classified, tmp_path):
    report_on(classified).write(tmp_path)
    values = json.loads((tmp_path / "metrics.json").read_text("utf-8"))
    assert values["metrics"]["accuracy"] == values["figures"]["Accuracy"]["value"]
    error = values["metrics"]["calibration"]["expected_calibration_error"]
    assert values["figures"]["Calibration error"]["value"] == error
    assert {score["domain"] for score in values["metrics"]["by_domain"]} == {"film", "news", ATTACK}


def test_without_probabilities_domains_and_errors_their_sections_are_left_out():
    gold = ["A", "B"]
    metrics = classification_metrics(gold, gold, None, [3, 4])
    sections = classification_sections(metrics, texts=["a", "b"], gold=gold, predicted=gold)
    assert [section.title for section in sections] == ["By label", "Long texts"]
    assert domain_figures(metrics) == []
    report = classification_report(metrics, title="T", task="t", texts=["a", "b"], gold=gold, predicted=gold)
    assert report.lead.startswith("100.00 % of 2 texts right")
    assert "confidence" not in report.lead


def test_domains_have_intervals_around_their_accuracy(classified):
    metrics = classified[-1]
    figures = domain_figures(metrics)
    assert sum(figure.sample_size for figure in figures) == metrics.num_texts
    for figure, score in zip(figures, metrics.by_domain, strict=True):
        assert figure.name == f"Accuracy {score.domain}"
        assert figure.interval[0] <= score.accuracy == figure.value <= figure.interval[1]


def test_worst_errors_are_those_the_model_was_surest_of(classified):
    texts, gold, predicted, scores, _ = classified
    wrong = [row for row in range(len(texts)) if gold[row] != predicted[row]]
    surest = max(wrong, key=lambda row: scores[row])
    rows = worst_texts(texts, gold, predicted, scores, limit=5).rows
    assert len(rows) == 5
    assert rows[0][:3] == [f"{100 * scores[surest]:.1f} %", gold[surest], predicted[surest]]
    first = worst_texts(texts, gold, predicted).rows[0]
    assert first[:2] == [gold[wrong[0]], predicted[wrong[0]]]


@pytest.mark.parametrize("text", ["word " * 1000, "字" * 5000, "a\n\n\tb " * 500])
def test_long_texts_are_shortened_to_one_line(text):
    shown = worst_texts([text], ["A"], ["B"]).rows[0][-1]
    assert len(shown) <= 300
    assert shown.endswith("…")
    assert "\n" not in shown


def test_confused_pairs_are_counted():
    gold, predicted = ["A", "A", "A", "B"], ["B", "B", "A", "B"]
    metrics = classification_metrics(gold, predicted, None, [1] * 4)
    sections = classification_sections(metrics, texts=gold, gold=gold, predicted=predicted)
    assert sections[1].blocks[0].rows == [["A", "B", 2, "100.0 %", "66.7 %"]]


def test_comparison_tests_each_system_against_the_first(classified):
    _, gold, _, _, metrics = classified
    perfect = classification_metrics(gold, gold, None, [1] * len(gold))
    table = classification_comparison([("gold", perfect), ("model", metrics)], resamples=1500)
    assert table.columns == ["System", "Accuracy", "95 % interval", "Macro F1", "Against gold (points)", "p"]
    assert table.rows[0] == ["gold", "100.00 %", "100.00–100.00 %", "100.0 %", "–", "–"]
    assert table.rows[1][4].startswith("−")
    assert table.rows[1][5] == "< 0.001"


def test_systems_scored_on_different_texts_are_not_compared(classified):
    other = classification_metrics(["A"], ["A"], None, [1])
    with pytest.raises(DataError, match="different texts"):
        classification_comparison([("model", classified[-1]), ("other", other)])
    with pytest.raises(DataError, match="no systems"):
        classification_comparison([])

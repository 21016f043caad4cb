import re

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, r2_score

from nlp_lstm.errors import DataError
from nlp_lstm.evaluation.series import SeriesAnswers, chance_of, conclude, measure
from nlp_lstm.evaluation.series_report import series_report

LABELS = ("Buy", "NoAction", "Sell")


def answered(share: float, seed: int = 1, size: int = 900) -> SeriesAnswers:
    """Labels of which a model gets a share right, beside one that always says Buy."""
    random = np.random.default_rng(seed)
    gold = random.choice(LABELS, size)
    guesses = random.choice(LABELS, size)
    answers = [str(right if random.random() < share else guess) for right, guess in zip(gold, guesses, strict=True)]
    return SeriesAnswers(
        gold=[str(label) for label in gold],
        answers=answers,
        rivals={"always Buy": ["Buy"] * size},
        blocks=[number // 10 for number in range(size)],
        names=[f"share {number % 3}" for number in range(size)],
        labels=LABELS,
    )


def test_the_score_is_that_of_scikit_learn_and_lies_in_its_interval():
    found = answered(0.4)
    own, rival = measure(found)
    assert own.score == pytest.approx(balanced_accuracy_score(found.gold, found.answers))
    assert own.interval[0] < own.score < own.interval[1]
    assert own.accuracy == pytest.approx(np.mean([a == b for a, b in zip(found.gold, found.answers, strict=True)]))
    assert rival.score == pytest.approx(1 / 3)
    assert chance_of(found) == pytest.approx(1 / 3)
    assert rival.against is not None
    assert rival.against.difference == pytest.approx(own.score - 1 / 3)


def test_numbers_are_scored_by_the_variance_they_explain():
    random = np.random.default_rng(0)
    gold = random.normal(size=300)
    answers = gold + random.normal(size=300) * 0.5
    found = SeriesAnswers(
        gold=gold.tolist(),
        answers=answers.tolist(),
        rivals={},
        blocks=list(range(300)),
        names=["x"] * 300,
        mean=float(gold.mean()),
    )
    (own,) = measure(found)
    assert own.score == pytest.approx(r2_score(gold, answers))
    assert own.accuracy is None
    assert chance_of(found) == 0


def test_items_of_one_block_are_drawn_together_so_that_copies_make_no_interval_narrower():
    found = answered(0.3, size=90)
    copies = SeriesAnswers(
        gold=list(found.gold) * 10,
        answers=list(found.answers) * 10,
        rivals={},
        blocks=list(found.blocks) * 10,
        names=list(found.names) * 10,
        labels=LABELS,
    )
    narrow = measure(SeriesAnswers(**{**vars(copies), "blocks": list(range(900))}))[0].interval
    assert measure(copies)[0].interval == pytest.approx(measure(found)[0].interval)
    assert narrow[1] - narrow[0] < 0.5 * (measure(copies)[0].interval[1] - measure(copies)[0].interval[0])


@pytest.mark.parametrize(
    ("share", "sentence"),
    [
        (0.4, r"^The model knows something: .* lies wholly above chance, 33\.3 %\. It is better than always Buy"),
        (
            0.0,
            r"^The model cannot be told from one that knows nothing: .* contains chance, 33\.3 %\. Nothing should be",
        ),
        (-1, r"^The model does worse than one that knows nothing: .* lies wholly below 33\.3 %\. It is worse than alw"),
    ],
)
def test_the_conclusion_follows_from_the_interval(share, sentence):
    found = answered(max(share, 0))
    if share < 0:  # right labels alone are never given
        wrong = {"Buy": "Sell", "Sell": "NoAction", "NoAction": "Buy"}
        found = SeriesAnswers(**{**vars(found), "answers": [wrong[label] for label in found.gold]})
    systems = measure(found)
    low, high = systems[0].interval
    assert (low > 1 / 3, high < 1 / 3) == (share > 0, share < 0)
    text = conclude(systems, chance_of(found), "balanced accuracy")
    assert re.match(sentence, text), text


def test_where_the_difference_may_be_nothing_it_says_so():
    found = answered(0.4)
    again = SeriesAnswers(**{**vars(found), "rivals": {"its twin": found.answers}})
    assert "No difference from its twin can be shown" in conclude(measure(again), 1 / 3, "balanced accuracy")


def test_the_report_ends_in_the_conclusion(tmp_path):
    found = answered(0.4)
    direction = SeriesAnswers(
        gold=["Buy", "Sell"] * 50,
        answers=["Buy", "Buy", "Sell", "Sell"] * 25,
        rivals={},
        blocks=list(range(100)),
        names=["a"] * 100,
        labels=("Sell", "Buy"),
    )
    report = series_report(found, title="Shares", task="series", how="ten days", direction=direction)
    assert report.sections[-1].title == "What follows"
    assert report.lead == report.sections[-1].blocks[0].text == report.metrics["conclusion"]
    assert "Sell or Buy alone: The model cannot be told from one that knows nothing" in report.lead
    assert [figure.name for figure in report.figures][-1] == "Balanced accuracy, Sell or Buy alone"
    page = report.write(tmp_path).read_text(encoding="utf-8")
    assert "share 2" in page
    assert "ten days" in page


def test_lists_of_different_items_are_refused():
    with pytest.raises(DataError, match="lists of"):
        SeriesAnswers(**{**vars(answered(0.4)), "answers": ["Buy"]})

import json
import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nlp_lstm.errors import ConfigError, DataError
from nlp_lstm.evaluation.classification import classification_metrics, expected_calibration_error, reliability_bins

GOLD = ["POSITIVE", "NEGATIVE", "NEGATIVE", "POSITIVE"]
PREDICTED = ["POSITIVE", "POSITIVE", "NEGATIVE", "POSITIVE"]
PROBABILITIES = [
    {"NEGATIVE": 0.1, "POSITIVE": 0.9},
    {"NEGATIVE": 0.2, "POSITIVE": 0.8},
    {"NEGATIVE": 0.6, "POSITIVE": 0.4},
    {"NEGATIVE": 0.0, "POSITIVE": 1.0},
]
LENGTHS = [3, 5, 12, 1200]
DOMAINS = ["film", "film", "tweets", "film"]

answers = st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=200)


def random_answers(num_texts=500, seed=0):
    """Gold labels, and probabilities of three labels whose largest is right more often than not."""
    source = random.Random(seed)
    gold, probabilities = [], []
    for _ in range(num_texts):
        gold.append(source.choice("ABC"))
        weights = {label: source.random() + (label == gold[-1]) for label in "ABC"}
        probabilities.append({label: weight / sum(weights.values()) for label, weight in weights.items()})
    return gold, probabilities


def test_small_example_agrees_with_counting_by_hand():
    metrics = classification_metrics(GOLD, PREDICTED, PROBABILITIES, LENGTHS, DOMAINS)
    assert (metrics.accuracy, metrics.num_texts) == (3 / 4, 4)
    assert metrics.correct == [True, False, True, True]
    assert metrics.macro_f1 == pytest.approx((2 / 3 + 4 / 5) / 2)
    assert metrics.confusion.matrix == [[1, 1], [0, 2]]
    assert [(one.label, one.accuracy) for one in metrics.by_length] == [("up to 5", 0.5), ("11–20", 1), ("401+", 1)]
    assert [(one.domain, one.accuracy, one.num_texts) for one in metrics.by_domain] == [
        ("film", 2 / 3, 3),
        ("tweets", 1, 1),
    ]
    found = metrics.calibration
    assert found.mean_confidence == pytest.approx((0.9 + 0.8 + 0.6 + 1) / 4)
    assert found.expected_calibration_error == pytest.approx((0.1 + 0.8 + 0.4 + 0) / 4)  # each text in its own bin
    assert found.brier_score == pytest.approx(2 * (0.1**2 + 0.8**2 + 0.4**2) / 4)
    assert found.negative_log_likelihood == pytest.approx(-(math.log(0.9) + math.log(0.2) + math.log(0.6)) / 4)


def test_scores_equal_those_of_scikit_learn():
    from sklearn.metrics import accuracy_score, f1_score, log_loss

    gold, probabilities = random_answers()
    predicted = [max(shares, key=shares.get) for shares in probabilities]
    metrics = classification_metrics(gold, predicted, probabilities, [1] * len(gold))
    assert metrics.accuracy == pytest.approx(accuracy_score(gold, predicted))
    assert metrics.macro_f1 == pytest.approx(f1_score(gold, predicted, average="macro"))
    matrix = [[shares[label] for label in "ABC"] for shares in probabilities]
    assert metrics.calibration.negative_log_likelihood == pytest.approx(log_loss(gold, matrix, labels=list("ABC")))


def test_brier_score_of_two_labels_is_twice_that_of_scikit_learn():
    from sklearn.metrics import brier_score_loss  # of the positive label alone; Brier's own sum counts both

    metrics = classification_metrics(GOLD, PREDICTED, PROBABILITIES, LENGTHS)
    reference = brier_score_loss([label == "POSITIVE" for label in GOLD], [p["POSITIVE"] for p in PROBABILITIES])
    assert metrics.calibration.brier_score == pytest.approx(2 * reference)


@given(answers, st.integers(1, 20))
def test_calibration_error_equals_a_plain_loop_over_the_bins(pairs, num_bins):
    confidences, right = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    total = 0.0  # Guo et al. 2017, equation 3: bin m holds the confidences in ((m - 1)/M, m/M]
    for number in range(1, num_bins + 1):
        inside = [
            (confidence, is_right)
            for confidence, is_right in pairs
            if number - 1 < confidence * num_bins <= number or (number == 1 and confidence == 0)
        ]
        if inside:
            accuracy = sum(is_right for _, is_right in inside) / len(inside)
            total += len(inside) / len(pairs) * abs(accuracy - sum(value for value, _ in inside) / len(inside))
    assert expected_calibration_error(confidences, right, num_bins) == pytest.approx(total, abs=1e-12)


@given(answers)
def test_every_text_is_in_one_bin_and_the_error_is_a_share(pairs):
    confidences, right = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    bins = reliability_bins(confidences, right)
    assert sum(one.num_texts for one in bins) == len(pairs)
    assert all(one.lower - 1e-9 <= one.mean_confidence <= one.upper + 1e-9 for one in bins)  # 1e-9: rounding of means
    assert 0 <= expected_calibration_error(confidences, right) <= 1


def test_calibrated_answers_have_a_small_error_and_sure_ones_a_large_one():
    source = random.Random(1)
    confidences = [source.uniform(0.5, 1) for _ in range(20_000)]
    right = [source.random() < confidence for confidence in confidences]
    assert expected_calibration_error(confidences, right) < 0.02  # each of 8 bins holds 2,500 texts: about 0.01 each
    accuracy = sum(right) / len(right)
    assert expected_calibration_error([1.0] * len(right), right) == pytest.approx(1 - accuracy)


def test_domains_together_hold_every_text_and_equal_scoring_each_alone():
    gold, probabilities = random_answers()
    predicted = [max(shares, key=shares.get) for shares in probabilities]
    domains = ["film" if number % 3 else "news" for number in range(len(gold))]
    metrics = classification_metrics(gold, predicted, probabilities, [1] * len(gold), domains)
    assert sum(score.num_texts for score in metrics.by_domain) == len(gold)
    for score in metrics.by_domain:
        rows = [row for row, domain in enumerate(domains) if domain == score.domain]
        parts = [[side[row] for row in rows] for side in (gold, predicted, probabilities)]
        alone = classification_metrics(*parts, [1] * len(rows))
        assert (score.accuracy, score.macro_f1) == (alone.accuracy, alone.macro_f1)
        assert score.expected_calibration_error == alone.calibration.expected_calibration_error


def test_without_probabilities_and_domains_nothing_is_said_about_them():
    metrics = classification_metrics(GOLD, PREDICTED, None, LENGTHS)
    assert metrics.calibration is None
    assert metrics.by_domain == metrics.domains == []
    scores = classification_metrics(GOLD, PREDICTED, None, LENGTHS, DOMAINS).by_domain
    assert [score.expected_calibration_error for score in scores] == [None, None]


def test_a_gold_label_that_the_model_does_not_know_has_probability_zero():
    found = classification_metrics(["C"], ["A"], [{"A": 0.5, "B": 0.5}], [4]).calibration
    assert found.brier_score == pytest.approx(0.5**2 + 0.5**2 + 1)
    assert math.isfinite(found.negative_log_likelihood)


def test_metrics_are_plain_json():
    metrics = classification_metrics(GOLD, PREDICTED, PROBABILITIES, LENGTHS, DOMAINS)
    values = metrics.to_dict(per_text=True)
    assert json.loads(json.dumps(values)) == values
    assert not {"correct", "domains"} & set(metrics.to_dict())


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"predicted": PREDICTED[:3]}, "4 gold labels, 3 predicted labels"),
        ({"domains": ["film"]}, "1 domains; there must be one of each per text"),
        ({"gold": [], "predicted": [], "probabilities": [], "lengths": [], "domains": []}, "no texts to score"),
        ({"probabilities": [{"NEGATIVE": 1.0}] * 4}, 'text 1: the predicted label "POSITIVE" is not among NEGATIVE'),
        ({"probabilities": [{"NEGATIVE": 0.5, "POSITIVE": 0.4}] * 4}, "text 1: .* is no distribution"),
        ({"probabilities": [{"NEGATIVE": -0.5, "POSITIVE": 1.5}] * 4}, "text 1: .* is no distribution"),
    ],
)
def test_items_that_do_not_fit_are_refused(changed, message):
    given = {"gold": GOLD, "predicted": PREDICTED, "probabilities": PROBABILITIES, "lengths": LENGTHS}
    with pytest.raises(DataError, match=message):
        classification_metrics(**{**given, "domains": DOMAINS, **changed})


def test_bad_confidences_and_bins_are_refused():
    with pytest.raises(DataError, match="2 confidences and 1 answers"):
        expected_calibration_error([0.5, 0.5], [True])
    with pytest.raises(DataError, match="at least one"):
        expected_calibration_error([], [])
    with pytest.raises(DataError, match="text 2 has confidence 95"):
        expected_calibration_error([0.5, 95], [True, True])
    with pytest.raises(DataError, match="confidence nan"):
        expected_calibration_error([math.nan], [True])
    with pytest.raises(ConfigError, match="num_bins is 0"):
        expected_calibration_error([0.5], [True], num_bins=0)


def test_a_confidence_just_over_one_is_rounding():
    assert expected_calibration_error([1 + 1e-7], [True]) == pytest.approx(0, abs=1e-6)

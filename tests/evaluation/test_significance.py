import random
import statistics

import numpy as np
import pytest

from nlp_lstm.errors import ConfigError, DataError
from nlp_lstm.evaluation.significance import (
    bootstrap_interval,
    mean_and_spread,
    paired_bootstrap,
    paired_score_bootstrap,
    score_interval,
)


def coin_flips(num_items, rate, seed):
    source = random.Random(seed)
    return [float(source.random() < rate) for _ in range(num_items)]


def test_interval_agrees_with_the_normal_approximation_on_a_large_sample():
    scores = coin_flips(4000, 0.9, seed=1)
    mean = statistics.fmean(scores)
    half_width = 1.96 * (mean * (1 - mean) / len(scores)) ** 0.5
    lower, upper = bootstrap_interval(scores)
    # a 2.5 % quantile of 2,000 draws has a standard error near 6 % of the half width
    assert lower == pytest.approx(mean - half_width, abs=0.2 * half_width)
    assert upper == pytest.approx(mean + half_width, abs=0.2 * half_width)


def test_totals_weigh_the_items():
    correct, totals = [8, 0, 3, 45], [10, 0, 3, 50]
    lower, upper = bootstrap_interval(correct, totals)
    assert 0.8 <= lower < sum(correct) / sum(totals) < upper <= 1


def test_sentences_that_fail_together_widen_the_interval():
    together = [10.0 * flip for flip in coin_flips(300, 0.8, seed=2)]
    apart = [sum(coin_flips(10, 0.8, seed)) for seed in range(300)]
    widths = [upper - lower for lower, upper in (bootstrap_interval(items, [10] * 300) for items in (together, apart))]
    # ten tokens that always share their fate carry the information of one: sqrt(10) times as wide
    assert widths[0] / widths[1] == pytest.approx(10**0.5, rel=0.15)


def test_the_interval_covers_the_true_rate_as_often_as_it_says():
    intervals = [bootstrap_interval(coin_flips(200, 0.7, seed), resamples=400, confidence=0.9) for seed in range(200)]
    coverage = sum(lower <= 0.7 <= upper for lower, upper in intervals) / len(intervals)
    assert coverage == pytest.approx(0.9, abs=0.07)  # 0.02 is one standard error of 200 trials


def test_the_seed_fixes_the_draws_and_chunks_do_not_change_the_law(monkeypatch):
    scores = coin_flips(500, 0.6, seed=5)
    assert bootstrap_interval(scores, seed=7) == bootstrap_interval(scores, seed=7)
    assert bootstrap_interval(scores, seed=7) != bootstrap_interval(scores, seed=8)
    whole = bootstrap_interval(scores)
    monkeypatch.setattr("nlp_lstm.evaluation.significance._DRAWS_AT_ONCE", 1300)
    assert bootstrap_interval(scores) == whole  # the generator's stream does not depend on the chunk


def test_equal_systems_do_not_differ():
    scores = coin_flips(100, 0.5, seed=0)
    assert paired_bootstrap(scores, scores) == (0.0, (0.0, 0.0), 1.0)


def test_paired_p_value_agrees_with_the_normal_approximation():
    source = random.Random(11)
    differences = [source.gauss(0.05, 1) for _ in range(1500)]
    error = statistics.stdev(differences) / len(differences) ** 0.5
    expected = 2 * (1 - statistics.NormalDist().cdf(abs(statistics.fmean(differences)) / error))
    result = paired_bootstrap(differences, [0.0] * 1500, resamples=4000)
    assert result.difference == pytest.approx(statistics.fmean(differences))
    assert result.p_value == pytest.approx(expected, abs=0.03)  # standard error of 4,000 draws is below 0.008
    assert result.interval[1] - result.interval[0] == pytest.approx(2 * 1.96 * error, rel=0.08)


def test_a_clear_difference_has_a_small_p_value_and_its_sign():
    better, worse = coin_flips(800, 0.9, seed=1), coin_flips(800, 0.7, seed=2)
    result = paired_bootstrap(worse, better)
    assert result.difference < result.interval[1] < 0
    assert 0 < result.p_value < 0.001
    mirrored = paired_bootstrap(better, worse)
    assert mirrored.difference == -result.difference
    assert mirrored.p_value == result.p_value


def test_mean_and_spread():
    assert mean_and_spread([1, 2, 3, 4]) == (2.5, statistics.stdev([1, 2, 3, 4]))
    assert mean_and_spread([0.96]) == (0.96, None)


def test_bad_input_is_refused():
    with pytest.raises(DataError, match=r"\[1, 2\] items"):
        bootstrap_interval([1, 2], [3])
    with pytest.raises(DataError, match="no items"):
        bootstrap_interval([])
    with pytest.raises(DataError, match="no items"):
        paired_bootstrap([0], [0], [0])
    with pytest.raises(DataError, match="no values"):
        mean_and_spread([])
    with pytest.raises(ConfigError, match="confidence"):
        bootstrap_interval([1, 0], confidence=95)
    with pytest.raises(ConfigError, match="resamples"):
        bootstrap_interval([1, 0], resamples=0)


def ratio(sums):
    return sums[0] / sums[1]


def make_counts(rate, seed):
    """What each of 300 items achieved, and out of how many."""
    generator = np.random.default_rng(seed)
    totals = generator.integers(1, 30, size=300)
    return np.stack([generator.binomial(totals, rate), totals], axis=1).astype(float)


def test_scores_of_counts_have_the_interval_of_the_same_ratio(monkeypatch):
    counts = make_counts(0.7, seed=1)
    expected = bootstrap_interval(*counts.T.tolist(), resamples=500, seed=3)
    assert score_interval(counts, ratio, resamples=500, seed=3) == pytest.approx(expected, abs=1e-12)
    monkeypatch.setattr("nlp_lstm.evaluation.significance._DRAWS_AT_ONCE", 700)
    assert score_interval(counts, ratio, resamples=500, seed=3) == pytest.approx(expected, abs=1e-12)


def test_scores_of_counts_are_tested_as_the_same_ratio():
    one, other = make_counts(0.7, seed=1), make_counts(0.68, seed=1)
    (gained, totals), gained_by_other = one.T.tolist(), other[:, 0].tolist()
    expected = paired_bootstrap(gained, gained_by_other, totals, resamples=500)
    found = paired_score_bootstrap(one, other, ratio, resamples=500)
    assert found.difference == pytest.approx(expected.difference)
    assert found.interval == pytest.approx(expected.interval)
    assert found.p_value == expected.p_value


def test_bad_counts_are_refused():
    with pytest.raises(DataError, match="no items"):
        score_interval(np.zeros((0, 2)), ratio)
    with pytest.raises(DataError, match="3 and 2 items"):
        paired_score_bootstrap(np.ones((3, 2)), np.ones((2, 2)), ratio)
    with pytest.raises(ConfigError, match="resamples"):
        score_interval(np.ones((3, 2)), ratio, resamples=0)

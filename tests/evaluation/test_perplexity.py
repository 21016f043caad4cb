import json
import math
import time

import numpy as np
import pytest

from nlp_lstm.errors import ConfigError, DataError
from nlp_lstm.evaluation.perplexity import (
    ScoredLine,
    have_same_tokens,
    paired_difference,
    perplexity_metrics,
    perplexity_of,
)
from nlp_lstm.evaluation.significance import bootstrap_interval


def scored(text, log_probabilities, *, has_end=True):
    """A line of words; the log-probabilities cover the `<eos>` where there is one."""
    words = tuple(text.split())
    return ScoredLine(
        tokens=words + ("<eos>",) * has_end,
        log_probabilities=log_probabilities,
        has_end=has_end,
        num_characters=len(text),
        num_words=len(words),
    )


def random_lines(num_lines, seed, *, topic=0.0, mean=4.0):
    """Lines whose surprise per token has ``mean``; ``topic`` is the spread that lines of one article share."""
    source = np.random.default_rng(seed)
    shared = np.repeat(source.normal(0, topic, -(-num_lines // 25)), 25)[:num_lines]
    lines = []
    for shift in shared:
        size = int(source.integers(3, 40))
        nats = source.gamma(4.0, mean / 4, size) + shift
        lines.append(scored("word " * (size - 1), -np.maximum(nats, 0)))
    return lines


@pytest.fixture
def small():
    """Eight tokens whose probabilities are powers of two."""
    halves = math.log(2)
    return [
        scored("the <unk> sleeps", [-1 * halves, -2 * halves, -4 * halves, -1 * halves]),
        scored("", [-30 * halves]),
        scored("the dog", [-3 * halves, -5 * halves, -2 * halves]),
        scored("a", [-6 * halves], has_end=False),
    ]


@pytest.mark.parametrize("size", [2, 37, 33_278])
def test_a_uniform_model_has_the_perplexity_of_its_vocabulary(size):
    lines = [scored("a b c", np.full(4, -math.log(size), dtype=np.float32)) for _ in range(60)]
    metrics = perplexity_metrics(lines, {"a": 5, "b": 50})
    # single precision keeps 7 digits of the logarithm, which the exponential turns into 6 of the perplexity
    for value in (metrics.perplexity, *metrics.interval, metrics.perplexity_without_end):
        assert value == pytest.approx(size, rel=1e-5)
    for band in (*metrics.by_frequency, *metrics.by_position):
        assert band.perplexity == pytest.approx(size, rel=1e-5)


def test_a_small_text_agrees_with_the_sums_by_hand(small):
    metrics = perplexity_metrics(small)
    assert metrics.num_tokens == 8
    assert (metrics.num_lines, metrics.num_empty_lines, metrics.num_ends) == (3, 1, 2)
    assert metrics.nats == pytest.approx(24 * math.log(2))
    assert metrics.perplexity == pytest.approx(2**3)  # 24 bits on 8 tokens
    assert metrics.perplexity_without_end == pytest.approx(2 ** (21 / 6))
    assert metrics.bits_per_character == pytest.approx(24 / (16 + 7 + 1 + 2))
    assert metrics.perplexity_per_word == pytest.approx(2 ** (24 / 6))
    assert metrics.perplexity_per_word_and_end == pytest.approx(2 ** (24 / 8))
    assert metrics.unknown_share == pytest.approx(1 / 6)
    assert metrics.by_frequency == []


def test_a_model_of_characters_has_the_logarithm_of_its_perplexity_as_bits_per_character():
    lines = [
        ScoredLine(
            tokens=(*text, "<eos>"),
            log_probabilities=[-0.5 * (place + 1) for place in range(len(text) + 1)],
            has_end=True,
            num_characters=len(text),
            num_words=2,
        )
        for text in ("ab cd", "e f")
    ]
    metrics = perplexity_metrics(lines)
    assert metrics.bits_per_character == pytest.approx(math.log2(metrics.perplexity))


def test_bands_are_told_apart_and_add_up_to_the_whole(small):
    metrics = perplexity_metrics(small, {"the": 12_000, "dog": 9, "a": 10, "<unk>": 700, "<eos>": 800})
    counted = {band.label: (band.num_tokens, round(band.nats / math.log(2))) for band in metrics.by_frequency}
    assert counted == {
        "never": (1, 4),
        "1–9": (1, 5),
        "10–99": (1, 6),
        "10,000+": (2, 4),
        "<unk>": (1, 2),
        "<eos>": (2, 3),
    }
    for bands in (metrics.by_frequency, metrics.by_position):
        assert sum(band.num_tokens for band in bands) == metrics.num_tokens
        assert sum(band.nats for band in bands) == pytest.approx(metrics.nats)


def test_positions_count_from_one_in_every_line():
    lines = [scored("w " * 59, [-1.0] * 5 + [-2.0] * 15 + [-3.0] * 30 + [-4.0] * 10), scored("w", [-1.0, -1.0])]
    bands = perplexity_metrics(lines).by_position
    assert [band.label for band in bands] == ["1–5", "6–20", "21–50", "51+"]
    assert [band.num_tokens for band in bands] == [7, 15, 30, 10]
    assert [band.perplexity for band in bands] == pytest.approx([math.exp(nats) for nats in (1, 2, 3, 4)])


def test_the_interval_covers_the_true_perplexity_though_lines_of_an_article_are_alike():
    by_blocks = by_lines = 0
    for seed in range(80):
        lines = random_lines(1250, seed, topic=0.4)
        lower, upper = perplexity_metrics(lines, resamples=200).interval
        by_blocks += lower <= math.exp(4.0) <= upper
        nats = [-float(line.log_probabilities.sum()) for line in lines]
        lower, upper = bootstrap_interval(nats, [len(line.tokens) for line in lines], resamples=200)
        by_lines += lower <= 4.0 <= upper
    # three standard errors of 80 trials are 0.073, and 900 trials gave 0.937: 50 blocks are a little too few
    assert by_blocks / 80 == pytest.approx(0.95, abs=0.09)
    assert by_lines / 80 < 0.6  # drawing single lines would promise far too much


@pytest.mark.parametrize(("num_lines", "num_blocks"), [(1, 1), (30, 30), (99, 99), (500, 50), (2891, 57), (5000, 100)])
def test_there_are_fifty_blocks_where_there_are_lines_enough(num_lines, num_blocks):
    line = scored("a b", [-1.0, -2.0, -0.5])
    assert perplexity_metrics([line] * num_lines, resamples=10).num_blocks == num_blocks


def test_five_thousand_lines_are_measured_in_seconds():
    lines = random_lines(5000, 0)
    start = time.perf_counter()
    perplexity_metrics(lines, {"word": 3})
    assert time.perf_counter() - start < 5  # 0.2 s on an idle core


def test_the_seed_fixes_the_interval():
    lines = random_lines(200, 0)
    first, again, other = (perplexity_metrics(lines, seed=seed).interval for seed in (1, 1, 2))
    assert first == again != other


def test_metrics_are_plain_values(small):
    values = perplexity_metrics(small, {"the": 3}).to_dict()
    restored = json.loads(json.dumps(values))
    assert restored == {**values, "interval": list(values["interval"])}


def test_texts_without_words_or_characters_have_no_rates_by_them():
    line = ScoredLine(tokens=("a",), log_probabilities=[-1.0], has_end=False, num_characters=0, num_words=0)
    metrics = perplexity_metrics([line])
    assert (metrics.bits_per_character, metrics.perplexity_per_word, metrics.perplexity_per_word_and_end) == (None,) * 3


def test_one_line_alone_has_no_interval():
    assert perplexity_metrics([scored("a b", [-1.0, -2.0, -3.0])]).interval is None


def test_hopeless_models_have_infinite_perplexity():
    assert perplexity_of(1e6, 10) == math.inf
    assert perplexity_metrics([scored("a", [-2000.0, -2000.0])]).perplexity == math.inf


def test_a_model_does_not_differ_from_itself():
    lines = random_lines(100, 0)
    assert paired_difference(lines, lines) == (0.0, (0.0, 0.0), 1.0)


def test_the_paired_test_finds_a_difference_smaller_than_the_spread_of_lines():
    lines = random_lines(600, 0, topic=0.6)
    source = np.random.default_rng(1)
    worse = [
        ScoredLine(
            tokens=line.tokens,
            log_probabilities=np.asarray(line.log_probabilities) - 0.05 - source.normal(0, 0.05, len(line.tokens)) ** 2,
            has_end=True,
            num_characters=line.num_characters,
            num_words=line.num_words,
        )
        for line in lines
    ]
    paired = paired_difference(worse, lines)
    assert paired.difference == pytest.approx(0.0525, abs=0.001)  # 0.05 and the mean of the squares, 0.0025
    assert paired.interval[0] > 0
    assert paired.p_value < 0.001
    assert paired_difference(lines, worse).difference == -paired.difference
    apart = [perplexity_metrics(each).interval for each in (lines, worse)]
    assert apart[0][1] > apart[1][0]  # the intervals of the two overlap, and yet they differ


def test_models_of_other_tokens_are_compared_by_character():
    words = [scored("ab c", [-2.0, -2.0, -1.0])] * 20
    letters = [
        ScoredLine(
            tokens=("a", "b", "▁", "c", "<eos>"),
            log_probabilities=[-1.5] * 5,
            has_end=True,
            num_characters=4,
            num_words=2,
        )
    ] * 20
    assert not have_same_tokens(words, letters)
    with pytest.raises(DataError, match=r'line 1 has other tokens for the second model.*per="character"'):
        paired_difference(words, letters)
    assert paired_difference(words, letters, per="character").difference == pytest.approx((5.0 - 7.5) / 5)


def test_bad_lines_are_refused_with_their_number():
    good = scored("a", [-1.0, -1.0])
    empty = scored("", [-1.0])
    with pytest.raises(DataError, match="none of 2 lines has a token"):
        perplexity_metrics([empty, empty])
    with pytest.raises(DataError, match="line 3 has 3 tokens and 2 log-probabilities"):
        perplexity_metrics([good, empty, scored("a b", [-1.0, -1.0])])
    for wrong in (-math.inf, math.nan, 0.5):
        with pytest.raises(DataError, match="line 3: 'b' has log-probability"):
            perplexity_metrics([good, empty, scored("a b", [-1.0, wrong, -1.0]), good])
    with pytest.raises(DataError, match="1 and 2 lines"):
        paired_difference([good], [good, good])
    with pytest.raises(DataError, match="line 2 is not the same text"):
        paired_difference([good, good], [good, scored("a b", [-1.0] * 3)])
    silent = ScoredLine(tokens=("<eos>",), log_probabilities=[-1.0], has_end=True, num_characters=1, num_words=1)
    with pytest.raises(DataError, match="line 2 has tokens for one model and none"):
        paired_difference([good, good], [good, silent], per="character")
    with pytest.raises(ConfigError, match="resamples"):
        perplexity_metrics([good, good], resamples=0)

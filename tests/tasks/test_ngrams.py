import itertools
import math
import time
from collections import Counter, defaultdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from samples import corpus_file

from nlp_lstm.data.running import read_pieces
from nlp_lstm.errors import ConfigError, DataError, VocabularyError
from nlp_lstm.tasks.ngrams import NgramModel, discounts_of

EOS = 0


def text(size, vocab_size, seed=1):
    """Ids in which low ones are frequent and each depends on the one before."""
    generator = np.random.default_rng(seed)
    ids = [0]
    for draw in generator.exponential(vocab_size / 4, size=size):
        ids.append((int(draw) + 2 * ids[-1]) % vocab_size)
    return np.array(ids[1:], np.int32)


class PlainKneserNey:
    """The same model from the paper's formulas, with dictionaries and one loop."""

    def __init__(self, ids, vocab_size, order):
        self.vocab_size, self.order = vocab_size, order
        stream = [EOS] * (order - 1) + list(ids)
        grams = [tuple(stream[end - order : end]) for end in range(order, len(stream) + 1)]
        self.counts = {order: Counter(grams)}
        for length in range(order - 1, 0, -1):
            # how many different words come before: n-grams one longer, each counted once
            longer = {gram[order - length - 1 :] for gram in grams}
            self.counts[length] = Counter(gram[1:] for gram in longer)
        self.discounts = {}
        for length, counts in self.counts.items():
            self.discounts[length] = (0.0, *discounts_of(np.array(list(counts.values()))))
        self.followers = {length: defaultdict(dict) for length in self.counts}
        for length, counts in self.counts.items():
            for gram, count in counts.items():
                self.followers[length][gram[:-1]][gram[-1]] = count

    def probability(self, word, history):
        length = len(history) + 1
        lower = self.probability(word, history[1:]) if history else 1 / self.vocab_size
        followers = self.followers[length].get(history)
        if not followers:
            return lower
        total = sum(followers.values())
        freed = sum(self.discounts[length][min(count, 3)] for count in followers.values())
        count = followers.get(word, 0)
        return (count - self.discounts[length][min(count, 3)] + freed * lower) / total

    def log_probabilities(self, ids):
        stream = [EOS] * (self.order - 1) + list(ids)
        places = range(self.order - 1, len(stream))
        return [math.log(self.probability(stream[at], tuple(stream[at - self.order + 1 : at]))) for at in places]


@pytest.mark.parametrize("order", [1, 2, 3, 5])
@pytest.mark.parametrize("size", [3, 40, 2_000])
def test_probabilities_are_those_of_the_papers_formulas(order, size):
    training, test = text(size, 7), text(200, 7, seed=2)
    model = NgramModel(training, vocab_size=7, eos=EOS, order=order)
    expected = PlainKneserNey(training.tolist(), 7, order).log_probabilities(test.tolist())
    np.testing.assert_allclose(model.log_probabilities(test), expected, rtol=1e-5)  # float32 has 7 digits


@given(
    training=st.lists(st.integers(0, 4), min_size=1, max_size=80),
    order=st.integers(1, 4),
    eos=st.integers(0, 4),
)
def test_probabilities_after_every_history_sum_to_one(training, order, eos):
    model = NgramModel(training, vocab_size=5, eos=eos, order=order)
    for history in itertools.product(range(5), repeat=min(order, 3) - 1):
        logs = [model.log_probabilities([*history, word])[-1] for word in range(5)]
        assert all(math.isfinite(one) for one in logs)
        assert math.fsum(math.exp(one) for one in logs) == pytest.approx(1, abs=1e-5)  # float32 logarithms


def test_counts_of_one_two_and_more_have_the_discounts_of_the_paper():
    """Equation 17 by hand: n1, n2, n3, n4 = 10, 5, 3, 2, so Y = 10 / 20."""
    counts = np.array([1] * 10 + [2] * 5 + [3] * 3 + [4] * 2 + [9, 0, 0])
    assert discounts_of(counts) == pytest.approx((1 - 2 * 0.5 * 5 / 10, 2 - 3 * 0.5 * 3 / 5, 3 - 4 * 0.5 * 2 / 3))
    assert discounts_of(np.array([7, 8])) == (0.5, 1.0, 1.5)


def test_a_word_that_follows_many_others_is_likelier_after_a_new_one():
    """Kneser and Ney's point: 5 comes as often as 6, but after one word only."""
    training = [1, 6, 2, 6, 3, 6, 4, 5, 4, 5, 4, 5, 0]
    model = NgramModel(training, vocab_size=8, eos=EOS, order=2)
    after_new = model.log_probabilities([7, 6])[1], model.log_probabilities([7, 5])[1]
    assert after_new[0] > after_new[1]
    assert model.log_probabilities([4, 5])[1] > model.log_probabilities([4, 6])[1]


def test_a_word_never_seen_has_a_probability_and_the_order_helps():
    training, test = text(20_000, 50), text(2_000, 50, seed=2)
    assert np.isfinite(NgramModel([1, 2, 0], vocab_size=50, eos=EOS).log_probabilities(test)).all()
    means = [
        NgramModel(training, vocab_size=50, eos=EOS, order=order).log_probabilities(test).mean() for order in (1, 2)
    ]
    assert means[1] > means[0] + 0.1


def test_a_text_is_judged_alike_whatever_comes_after_and_in_any_integer_type():
    model = NgramModel(text(500, 9), vocab_size=9, eos=EOS)
    whole = text(100, 9, seed=3)
    logs = model.log_probabilities(whole)
    assert (logs.dtype, logs.shape) == (np.float32, (100,))
    np.testing.assert_array_equal(model.log_probabilities(whole[:40].tolist()), logs[:40])
    np.testing.assert_array_equal(model.log_probabilities(whole.astype(np.uint8)), logs)


def test_the_number_of_ngrams_counts_those_that_were_seen():
    model = NgramModel([1, 2, 1, 2, 0], vocab_size=9, eos=EOS)
    assert len(model) == 3 + 4 + 5  # 0 1 2; 01 12 21 20; 001 012 121 212 120


@pytest.mark.parametrize(
    ("ids", "settings", "kind", "fault"),
    [
        ([], {}, DataError, r"this has the shape \(0,\)"),
        ([[1, 2]], {}, DataError, r"this has the shape \(1, 2\)"),
        ([1, 9], {}, VocabularyError, "ids from 1 to 9; those of the vocabulary go from 0 to 8"),
        ([-1, 2], {}, VocabularyError, "ids from -1 to 2"),
        ([1], {"order": 0}, ConfigError, "order of the n-grams is 0; it is from 1 to 10"),
        ([1], {"eos": 9}, ConfigError, "id 9 for ends of lines is not in a vocabulary of 9"),
    ],
)
def test_what_cannot_be_counted_is_refused(ids, settings, kind, fault):
    with pytest.raises(kind, match=fault):
        NgramModel(ids, **({"vocab_size": 9, "eos": EOS} | settings))


def test_longer_ngrams_of_real_text_are_better_and_counted_in_seconds():
    """WikiText-2 in words, with one end of line for each line that is not empty."""
    paths = [corpus_file(f"wikitext-2/wiki.{split}.tokens.gz") for split in ("train", "test")]
    training, test = ([word for _, line in read_pieces(path) for word in [*line.split(), ""]] for path in paths)
    index = {word: place for place, word in enumerate(dict.fromkeys(training))}
    training, test = (np.array([index[word] for word in words], np.int32) for words in (training, test))
    perplexities = []
    for order in (1, 2, 3):
        start = time.perf_counter()
        logs = NgramModel(training, vocab_size=len(index), eos=index[""], order=order).log_probabilities(test)
        assert time.perf_counter() - start < 30  # 2.3 seconds at order 3 on one core
        perplexities.append(math.exp(-logs.mean(dtype=np.float64)))
    assert len(test) == 241_211 + 2_891
    assert perplexities[0] > 900 > 300 > perplexities[1] > 250 > perplexities[2]  # 926, 270 and 231

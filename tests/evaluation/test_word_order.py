import itertools
import math
import random

import pytest
from scipy.stats import kendalltau

from nlp_lstm.evaluation.word_order import WordOrder, corpus_word_order, match_words, word_order


def count_stretch(stretch, words):
    return sum(words[start : start + len(stretch)] == stretch for start in range(len(words)))


def match_by_counting(place, output, reference):
    """The paper's rule read literally: the shortest stretch that starts or ends at the word and stands once in each."""
    for size in range(1, len(output) + 1):
        for start in dict.fromkeys((place - size + 1, place)):
            stretch = output[max(start, 0) : start + size]
            if start < 0 or len(stretch) < size:
                continue
            if count_stretch(stretch, output) == count_stretch(stretch, reference) == 1:
                found = next(at for at in range(len(reference)) if reference[at : at + size] == stretch)
                return found + place - start
    return None


def test_a_permutation_scores_its_kendall_tau():
    source = random.Random(3)
    reference = [f"w{number}" for number in range(12)]
    for _ in range(20):
        output = source.sample(reference, k=12)
        positions = [reference.index(word) for word in output]
        tau = kendalltau(range(12), positions).statistic
        order = word_order(output, reference)
        assert order.kendall == pytest.approx((tau + 1) / 2)
        assert order[1:] == (1.0, 1.0)
        assert order.ribes == order.kendall


def test_words_that_occur_often_are_matched_by_their_neighbours():
    source = random.Random(4)
    for _ in range(200):
        reference = [source.choice("abcd") for _ in range(source.randint(1, 8))]
        output = [source.choice("abcde") for _ in range(source.randint(1, 8))]
        found = [match_by_counting(place, output, reference) for place in range(len(output))]
        assert match_words(output, reference) == [position for position in found if position is not None]


def test_the_orders_of_english_and_hindi_are_told_apart():
    reference = ["मैं", "बाज़ार", "जा", "रहा", "हूँ"]
    assert word_order(reference, reference) == WordOrder(1.0, 1.0, 1.0)
    assert word_order(["मैं", "जा", "रहा", "हूँ", "बाज़ार"], reference).kendall == 0.7  # 7 of 10 pairs
    assert word_order(reference[::-1], reference).ribes == 0


def test_missing_words_lower_the_score_as_published():
    order = word_order(["a", "b", "x"], ["a", "b", "c", "d"])
    assert order == (1.0, 2 / 3, math.exp(1 - 4 / 3))
    assert order.ribes == pytest.approx((2 / 3) ** 0.25 * math.exp(-1 / 3) ** 0.1)


@pytest.mark.parametrize(
    ("output", "reference", "expected"),
    [
        ("", "a b", (0, 0, 0)),
        ("a", "", (0, 0, 0)),
        ("x y", "a b", (0, 0, 1)),
        ("a x", "a b", (0, 0, 1)),  # one word has no order
        ("a x", "a", (1, 0.5, 1)),
    ],
)
def test_too_few_words_have_no_order(output, reference, expected):
    assert word_order(output.split(), reference.split()) == expected


def test_long_outputs_that_repeat_one_word_are_soon_done():
    assert match_words(["a"] * 2000, ["a", "b"]) == []


def test_a_corpus_averages_its_sentences():
    pairs = [("a b", "a b"), ("b a", "a b"), ("a b", "")]
    outputs, references = ([text.split() for text in texts] for texts in zip(*pairs, strict=True))
    found = corpus_word_order(outputs, references)
    assert (found.ribes, found.kendall, found.num_sentences) == (0.5, 0.5, 2)
    assert found.interval == (0, 1)
    assert corpus_word_order(outputs[:1], references[:1]).interval is None
    assert corpus_word_order([], []) is None


def test_every_pair_counts_once():
    words = list("abcde")
    scores = [word_order(list(output), words).kendall for output in itertools.permutations(words)]
    assert sum(scores) / len(scores) == pytest.approx(0.5)

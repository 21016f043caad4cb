import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nlp_lstm.errors import CheckpointError, VocabularyError
from nlp_lstm.text.vocabulary import BOS, EOS, PAD, UNK, Vocabulary

counts = st.dictionaries(st.text(max_size=5), st.integers(1, 9), max_size=20)


@given(counts)
def test_every_token_comes_back_from_its_id(found):
    vocabulary = Vocabulary.build(found)
    assert all(vocabulary.tokens[vocabulary.id(token)] == token for token in found)
    assert len(vocabulary) == len(found) + 2


@given(counts, st.integers(1, 5), st.integers(0, 10))
def test_the_most_frequent_tokens_are_kept_ties_in_code_point_order(found, min_count, max_size):
    vocabulary = Vocabulary.build(found, min_count=min_count, max_size=max_size)
    expected = sorted((-count, token) for token, count in found.items() if count >= min_count)[:max_size]
    assert list(vocabulary.tokens[2:]) == [token for _, token in expected]


@given(counts)
def test_plain_values_give_the_same_vocabulary_back(found):
    vocabulary = Vocabulary.build(found, specials=(PAD, UNK, BOS, EOS))
    again = Vocabulary.from_dict(json.loads(json.dumps(vocabulary.to_dict())))
    assert again == vocabulary
    assert hash(again) == hash(vocabulary)


def test_padding_is_0_and_an_unknown_token_is_1():
    vocabulary = Vocabulary.build({"ferry": 2})
    assert vocabulary.tokens[:2] == (PAD, UNK)
    assert vocabulary.ids(["ferry", "zebra"]) == [2, 1]
    assert vocabulary.get("zebra") is None
    assert "zebra" not in vocabulary


def test_text_never_matches_a_special_token():
    vocabulary = Vocabulary.build({"ferry": 2, PAD: 1})
    assert vocabulary.id(UNK) == 1
    assert vocabulary.id(PAD) == 3  # the word of the text that happens to be spelt like one
    assert UNK not in vocabulary


def test_without_unknown_an_unknown_token_is_an_error():
    labels = Vocabulary.build({"NOUN": 1, "VERB": 2}, specials=())
    with pytest.raises(VocabularyError, match="'ADJ' is not in the vocabulary"):
        labels.id("ADJ")


def test_one_token_twice_is_refused():
    with pytest.raises(VocabularyError, match="twice"):
        Vocabulary(["a", "b", "a"], specials=0)


@pytest.mark.parametrize(
    "values",
    [
        None,
        [],
        {},
        {"tokens": ["a"]},
        {"tokens": "ab", "specials": 0},
        {"tokens": ["a"], "specials": 2},
        {"tokens": ["a"], "specials": -1},
        {"tokens": ["a"], "specials": "0"},
        {"tokens": ["a", "a"], "specials": 0},
        {"tokens": ["a", 3], "specials": 0},
        {"tokens": ["a", ["b"]], "specials": 0},
        {"tokens": [None], "specials": 1},
    ],
)
def test_damaged_values_are_refused(values):
    with pytest.raises(CheckpointError, match="damaged vocabulary"):
        Vocabulary.from_dict(values)

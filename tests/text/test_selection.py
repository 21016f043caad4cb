import numpy as np
import pytest

from nlp_lstm.text.selection import select_vectors
from nlp_lstm.text.vectors import WordVectors


def make_vectors(name: str, rows: dict[str, list[float]]) -> WordVectors:
    return WordVectors(name=name, words=list(rows), matrix=np.array(list(rows.values()), dtype=np.float32), sha256="")


FIRST = make_vectors("first", {"the": [1, 0], "ferry": [0, 2], "Porto": [3, 3], "rare": [4, -4]})
SECOND = make_vectors("second", {"the": [1], "ship": [5]})


def test_training_words_are_found_as_written_before_lower_case():
    selected = select_vectors([FIRST], {"Porto": 2, "Ferry": 3, "zebra": 1}, kept=0)
    assert selected.words == ("Porto", "ferry")
    coverage = selected.coverage
    assert (coverage.exact, coverage.lowercased, coverage.missing) == (2, 3, 1)
    assert str(coverage).startswith("33.3% of the training tokens found as written, 50.0% in lower case, 16.7% missing")


def test_the_most_frequent_words_are_kept_besides():
    assert select_vectors([FIRST], {"rare": 1}, kept=2).words == ("rare", "the", "ferry")


def test_sources_stand_side_by_side_with_zeros_where_one_knows_no_such_word():
    selected = select_vectors([FIRST, SECOND], {"the": 1, "ship": 1, "ferry": 1}, kept=0)
    assert selected.matrix.shape == (3, 3)
    row = dict(zip(selected.words, selected.matrix, strict=True))
    assert not row["ship"][:2].any()
    assert row["ship"][2] != 0
    assert row["ferry"][2] == 0


def test_each_source_is_scaled_to_unit_deviation():
    selected = select_vectors([FIRST], {}, kept=4)
    expected = FIRST.matrix / FIRST.matrix.std()
    np.testing.assert_allclose(selected.matrix, expected, rtol=1e-6)  # one division in fp32
    assert selected.matrix.dtype == np.float32


def test_without_sources_nothing_is_selected():
    selected = select_vectors([], {"the": 1}, kept=10)
    assert selected.words == ()
    assert selected.matrix.shape == (0, 0)


def test_coverage_of_no_text_is_zero_and_no_error():
    assert "0.0% missing" in str(select_vectors([FIRST], {}, kept=1).coverage)


def test_a_constant_source_is_no_division_by_zero():
    constant = make_vectors("constant", {"a": [2.0, 2.0]})
    assert np.isfinite(select_vectors([constant], {"a": 1}, kept=0).matrix).all()


@pytest.mark.parametrize("kept", [0, 1, 100])
def test_no_word_stands_twice(kept):
    words = select_vectors([FIRST, SECOND], {"the": 4, "The": 2}, kept=kept).words
    assert len(words) == len(set(words))

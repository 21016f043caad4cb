"""What a student learns from its teachers beside its own data."""

from __future__ import annotations

import pytest

from nlp_lstm.data.example import ParallelExample
from nlp_lstm.tasks.targets import taught_pairs

TRUE = [ParallelExample(source=f"sentence {number}", target=f"wahr {number}") for number in range(400)]
OF_TEACHERS = [f"gelehrt {number}" for number in range(400)]


@pytest.mark.parametrize(("weight", "num_true"), [(0.5, 400), (0.7, 171), (0.9, 44), (1.0, 0), (0.2, 400)])
def test_the_weight_is_the_share_of_the_teachers_pairs(weight, num_true):
    taught = taught_pairs(TRUE, OF_TEACHERS, weight)
    true = [pair for pair in taught if str(pair.target).startswith("wahr")]
    assert len(true) == pytest.approx(num_true, abs=25)  # a sentence is taken or left by a hash of it
    assert 1 - len(true) / len(taught) == pytest.approx(weight, abs=0.03)
    assert taught == taught_pairs(TRUE, OF_TEACHERS, weight)


def test_a_text_that_has_one_translation_only_keeps_it():
    examples = [TRUE[0], ParallelExample(source="no one knows"), ParallelExample(source="not even the teachers")]
    assert taught_pairs(examples, [None, "niemand weiß es", None], 1.0) == [
        TRUE[0],
        ParallelExample(source="no one knows", target="niemand weiß es"),
    ]

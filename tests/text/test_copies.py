"""What is copied into a translation: taken out whole, put back whole."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nlp_lstm.text.copies import MARKS, put_back, take_out, take_out_of_pair


@pytest.mark.parametrize(
    ("text", "copies"),
    [
        ("Delete %(count)d files in <b>{folder}</b>?", ["%(count)d", "<b>", "{folder}", "</b>"]),
        ("He pays $3,517.25 at 12:30 on 2031-05-17.", ["3,517.25", "12:30", "2031-05-17"]),
        ("Two men, 5 dogs, v2 and B52", []),  # small numbers are often words, and names have numbers in them
        ("See https://a.b/c?d=1, or mail x.y@z.org.", ["https://a.b/c?d=1", "x.y@z.org"]),
        ("100 of 100", ["100"]),
        ("&File and E&xit", []),  # the marks of accelerator keys move with their letters
        (f"{MARKS[2]} stands for 10", [MARKS[2], "10"]),
    ],
)
def test_copies_are_found(text, copies):
    taken = take_out(text)
    assert list(taken.copies) == copies
    assert not any(copy in taken.text for copy in copies if copy not in MARKS)
    assert put_back(taken.text, taken.copies) == text


@given(st.text(alphabet=[*"a1 2.%s{}<>&@/", *MARKS[:3]], max_size=60))
def test_nothing_is_lost_on_the_way(text):
    taken = take_out(text)
    assert put_back(*taken) == text


def test_of_many_copies_the_last_ones_stay():
    text = " ".join(f"{{field{number}}}" for number in range(12))
    taken = take_out(text)
    assert len(taken.copies) == len(MARKS)
    assert "{field8}" in taken.text
    assert put_back(*taken) == text


def test_a_mark_that_stands_in_a_text_behind_many_copies_comes_back():
    text = " ".join([*(f"{{field{number}}}" for number in range(12)), MARKS[3]])
    assert put_back(*take_out(text)) == text


def test_of_a_pair_that_is_taken_which_both_hold_equally_often():
    pair = take_out_of_pair("{a} of 20 and 30, {b} {b}, %s", "{b} {b} {b}, {a} von 20 und dreißig, %s")
    assert pair.copies == ("{a}", "20", "%s")
    assert pair.source == f"{MARKS[0]} of {MARKS[1]} and 30, {{b}} {{b}}, {MARKS[2]}"
    assert pair.target == f"{{b}} {{b}} {{b}}, {MARKS[0]} von {MARKS[1]} und dreißig, {MARKS[2]}"


def test_a_mark_that_stands_for_nothing_goes():
    assert put_back(f"{MARKS[0]} and {MARKS[1]}", ["one"]) == "one and "

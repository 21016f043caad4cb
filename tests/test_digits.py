"""The benchmark of handwritten digits: a two-dimensional LSTM reads them."""

import sys
from pathlib import Path

import pytest
import torch

sys.path.append(str(Path(__file__).parent.parent / "benchmarks"))
import digits


def test_pictures_move_by_at_most_a_pixel_each_for_itself():
    torch.manual_seed(1)
    pictures = torch.zeros(40, 8, 8)
    pictures[:, 4, 3] = 1.0
    found = digits.moved(pictures).nonzero()[:, 1:]
    assert len(found) == 40
    assert {tuple(place) for place in found.tolist()} == {(row, column) for row in (3, 4, 5) for column in (2, 3, 4)}


def test_a_fold_is_read_the_same_each_time():
    first, again = (digits.read_fold(2, epochs=1, hidden_size=4, seed=1) for _ in range(2))
    assert first == again
    assert len(first.pictures) == len(first.is_right) == 360


@pytest.mark.slow
def test_of_a_fold_98_percent_are_right():
    found = digits.read_fold(1, epochs=25, hidden_size=16, seed=1)
    assert sum(found.is_right) >= 0.98 * len(found.pictures)

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nlp_lstm.data.sampling import Window, batch_by_length, cut_windows, shuffled_batches

item_lengths = st.lists(st.integers(1, 60), max_size=50)
budgets = st.integers(1, 200)


def shuffle(lengths: list[int], token_budget: int) -> list[list[int]]:
    return shuffled_batches(lengths, token_budget, seed=1, epoch=0)


every_way = pytest.mark.parametrize("make_batches", [batch_by_length, shuffle])
BatchFunction = Callable[[list[int], int], list[list[int]]]


@every_way
@given(lengths=item_lengths, token_budget=budgets)
def test_every_item_comes_exactly_once(make_batches: BatchFunction, lengths: list[int], token_budget: int) -> None:
    batches = make_batches(lengths, token_budget)
    assert sorted(index for batch in batches for index in batch) == list(range(len(lengths)))
    assert all(batches), "no batch is empty"


@every_way
@given(lengths=item_lengths, token_budget=budgets)
def test_padded_batches_keep_the_budget_unless_one_item_is_longer(
    make_batches: BatchFunction, lengths: list[int], token_budget: int
) -> None:
    for batch in make_batches(lengths, token_budget):
        padded_tokens = len(batch) * max(lengths[index] for index in batch)
        assert padded_tokens <= token_budget or len(batch) == 1


@given(lengths=item_lengths, token_budget=budgets)
def test_shortest_items_come_first(lengths: list[int], token_budget: int) -> None:
    flat = [lengths[index] for batch in batch_by_length(lengths, token_budget) for index in batch]
    assert flat == sorted(lengths)


@given(lengths=item_lengths, token_budget=budgets)
def test_shuffled_batches_hold_items_of_nearly_equal_length(lengths: list[int], token_budget: int) -> None:
    in_order = sorted(lengths)
    for batch in shuffle(lengths, token_budget):
        found = sorted(lengths[index] for index in batch)
        # Items that differ by two or more keep their order, so between the shortest and the longest of a batch
        # every item of the lengths well inside is in the batch too.
        inside = [length for length in in_order if found[0] + 2 <= length <= found[-1] - 2]
        assert [length for length in found if found[0] + 2 <= length <= found[-1] - 2] == inside


def test_the_same_seed_and_epoch_give_the_same_batches_and_others_give_others() -> None:
    lengths = [index % 17 + 1 for index in range(200)]
    first = shuffled_batches(lengths, 64, seed=1, epoch=0)
    assert shuffled_batches(lengths, 64, seed=1, epoch=0) == first
    assert shuffled_batches(lengths, 64, seed=1, epoch=1) != first
    assert shuffled_batches(lengths, 64, seed=2, epoch=0) != first
    assert {frozenset(batch) for batch in shuffled_batches(lengths, 64, seed=1, epoch=1)} != set(map(frozenset, first))


def test_shuffled_batches_are_not_in_order_of_length() -> None:
    lengths = list(range(1, 101))
    means = [sum(lengths[index] for index in batch) / len(batch) for batch in shuffle(lengths, 100)]
    assert means != sorted(means)


@given(length=st.integers(0, 300), size=st.integers(1, 50), context=st.integers(0, 20))
def test_windows_keep_each_token_exactly_once_with_the_wanted_context(length: int, size: int, context: int) -> None:
    windows = cut_windows(length, size=size, context=context)
    kept = [token for window in windows for token in range(window.keep_start, window.keep_end)]
    assert kept == list(range(length))
    for window in windows:
        assert window.start == max(0, window.keep_start - context)
        assert window.end == min(length, window.keep_end + context)
        assert window.end - window.start <= size + 2 * context


def test_a_row_up_to_the_size_stays_whole() -> None:
    assert cut_windows(10, size=10, context=3) == [Window(start=0, end=10, keep_start=0, keep_end=10)]
    assert len(cut_windows(11, size=10, context=3)) == 2

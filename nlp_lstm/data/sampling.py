"""Which examples go together into a batch, and in which order."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import NamedTuple


def batch_by_length(lengths: Sequence[int], token_budget: int) -> list[list[int]]:
    """Group items of similar length so that padded rows hold at most ``token_budget`` tokens.

    Args:
        lengths: the length of each item in tokens.
        token_budget: rows times the longest row, padding included; a longer item gets a batch of its own.

    Returns:
        Batches of item indices, shortest items first.
    """
    order = sorted(range(len(lengths)), key=lambda index: lengths[index])
    return cut_batches(order, lengths, token_budget)


def shuffled_batches(lengths: Sequence[int], token_budget: int, *, seed: int, epoch: int) -> list[list[int]]:
    """Group items of nearly equal length, at random, and shuffle the batches.

    The same seed and epoch always give the same batches, so that training can go on where it stopped.

    Args:
        lengths: the length of each item in tokens.
        token_budget: rows times the longest row, padding included.
        seed: the run's seed.
        epoch: how many times the data was gone through before.
    """
    generator = random.Random(f"{seed}/{epoch}")
    noise = [generator.random() * 2 for _ in lengths]  # lengths that differ by two mix
    order = sorted(range(len(lengths)), key=lambda index: lengths[index] + noise[index])
    batches = cut_batches(order, lengths, token_budget)
    generator.shuffle(batches)
    return batches


def cut_batches(order: Sequence[int], lengths: Sequence[int], token_budget: int) -> list[list[int]]:
    """Cut an order of items into batches of at most ``token_budget`` tokens: rows times the longest row."""
    batches: list[list[int]] = []
    longest = 0
    for index in order:
        longest = max(longest, lengths[index])
        if not batches or longest * (len(batches[-1]) + 1) > token_budget:
            batches.append([])
            longest = lengths[index]
        batches[-1].append(index)
    return batches


class Window(NamedTuple):
    """A stretch of a long row that is read (start to end), and the part whose answers are kept."""

    start: int
    end: int
    keep_start: int
    keep_end: int


def cut_windows(length: int, *, size: int, context: int) -> list[Window]:
    """Cut a long row into overlapping stretches, so that memory stays bounded.

    Args:
        length: tokens in the row.
        size: tokens whose answers one stretch gives; rows up to this length stay whole.
        context: tokens read before and after them.
    """
    if length <= size:
        return [Window(0, length, 0, length)]
    starts = range(0, length, size)
    return [
        Window(max(0, start - context), min(length, start + size + context), start, min(length, start + size))
        for start in starts
    ]

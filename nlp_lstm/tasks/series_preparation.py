"""What is fixed before a model of series is trained, and which answers are counted together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from nlp_lstm.data.series import SeriesExample
from nlp_lstm.errors import ConfigError, DataError, shorten
from nlp_lstm.tasks.labels import check_labels
from nlp_lstm.tasks.series_answers import SeriesSettings
from nlp_lstm.text.vocabulary import Vocabulary

TIMES_PER_BLOCK = 20  # a month of trading days
FEW_SERIES = 10  # up to here blocks are stretches of steps and not whole series
MOST_LABELS = 1_000


def make_blocks(examples: Sequence[SeriesExample], *, is_whole: bool) -> tuple[list[list[int]], str]:
    """Return for each answer the number of the block that the bootstrap draws it with, and what a block is.

    Args:
        examples: what is answered.
        is_whole: whether each has one answer.
    """
    if is_whole:
        return [[number] for number in range(len(examples))], "whole series"
    if all(example.times for example in examples):
        times = sorted({time for example in examples for time in example.times[example.first :]})
        number_of = {time: number // TIMES_PER_BLOCK for number, time in enumerate(times)}
        how = f"{TIMES_PER_BLOCK} successive times of all series together"
        return [[number_of[time] for time in example.times[example.first :]] for example in examples], how
    if len(examples) > FEW_SERIES:
        return [[number] * example.num_answered for number, example in enumerate(examples)], "whole series"
    blocks, start = [], 0
    for example in examples:
        blocks.append([start + step // TIMES_PER_BLOCK for step in range(example.num_answered)])
        start = blocks[-1][-1] + 1 if blocks[-1] else start
    return blocks, f"{TIMES_PER_BLOCK} successive steps"


def moments(examples: Sequence[SeriesExample]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return the mean and standard deviation of each column over the training steps that count.

    Raises:
        DataError: a column has no number.
    """
    steps = np.concatenate([example.numbers[example.first :] for example in examples])
    means, scales = [], []
    for number, column in enumerate(steps.T):
        known = column[~np.isnan(column)]
        if not len(known):
            raise DataError(
                f"the column {examples[0].columns[number]} has no number in the training data; leave it out"
            )
        means.append(float(known.mean()))
        scales.append(float(known.std()) or 1.0)
    return tuple(means), tuple(scales)


def choose_labels(
    settings: SeriesSettings, examples: Sequence[SeriesExample], limits: tuple[float, ...]
) -> tuple[Vocabulary, tuple[float, ...]]:
    """Return the labels of the training data, and how frequent each is.

    Args:
        settings: the model.
        examples: of the training data.
        limits: where one label ends and the next begins, of labels that are made from what lies ahead.

    Raises:
        ConfigError: there are fewer than two.
        DataError: there are too many, or one cannot be printed.
    """
    counts: Counter[str] = Counter()
    for example in examples:
        if limits:
            places = np.digitize(known_ahead(example), limits)
            counts.update(settings.names[place] for place in places)
        elif settings.answers == "step":
            counts.update(label for label in example.labels[example.first :] if label is not None)
        elif example.label is not None:
            counts[example.label] += 1
    names = list(settings.names) if limits else sorted(counts)
    if len(names) < 2:
        found = "no label" if not names else f"the one label {shorten(names[0])}"
        raise ConfigError(
            f"the training series have {found}; two at least are needed. Is model.answers={settings.answers} what the "
            "data has, and reading.label its column?"
        )
    if len(names) > MOST_LABELS:
        raise DataError(f"the training series have {len(names):,} labels; at most {MOST_LABELS:,} can be learnt")
    check_labels({"label": names}, DataError)
    return Vocabulary(names, specials=0), tuple(counts[name] / counts.total() for name in names)


def known_ahead(example: SeriesExample) -> Any:
    """Return what is known to lie ahead of the steps that count."""
    if example.ahead is None:
        return np.empty(0)
    ahead = example.ahead[example.first :]
    return ahead[~np.isnan(ahead)]


def describe_limits(names: Sequence[str], limits: Sequence[float]) -> str:
    """Say which label stands for what lies ahead."""
    parts = [f"{names[0]} below {limits[0]:+.4f}"]
    parts += [f"{name} from {limit:+.4f}" for name, limit in zip(names[1:], limits, strict=True)]
    return ", ".join(parts) + ", of what lies ahead"

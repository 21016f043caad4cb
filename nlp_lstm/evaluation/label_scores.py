"""Scores of labels, whatever they stand on: the tokens of a sentence or whole texts.

`metrics` and `classification` are built from these. All rates are shares in [0, 1].
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

Buckets = tuple[tuple[str, int], ...]
"""Name and largest value of each bucket, in ascending order; -1 means no upper end."""


@dataclass(frozen=True, kw_only=True)
class LabelScore:
    """Precision, recall and F1 of one label or span type; ``support`` counts its gold occurrences."""

    label: str
    precision: float
    recall: float
    f1: float
    support: int


@dataclass(frozen=True, kw_only=True)
class Bucket:
    """Accuracy within one group of items (tokens or texts); groups without items are left out."""

    label: str
    accuracy: float
    num_items: int


@dataclass(frozen=True, kw_only=True)
class Confusion:
    """``matrix[i][j]`` counts the items with gold ``labels[i]`` that were given ``labels[j]``."""

    labels: list[str]
    matrix: list[list[int]]


def score_labels(gold: Sequence[str], predicted: Sequence[str]) -> tuple[list[LabelScore], Confusion]:
    """Score every label that occurs on either side, in alphabetical order, and count the confusions.

    Args:
        gold: the right label of each item; at least one.
        predicted: the labels to score, as many.

    Returns:
        One score per label, and the confusion matrix over the same labels.
    """
    from sklearn.metrics import precision_recall_fscore_support

    labels = sorted({*gold, *predicted})
    index = {label: number for number, label in enumerate(labels)}
    gold_ids, predicted_ids = [index[label] for label in gold], [index[label] for label in predicted]  # ints are faster
    ids = list(range(len(labels)))
    scores = precision_recall_fscore_support(gold_ids, predicted_ids, labels=ids, zero_division=0)
    counts = Counter(zip(gold, predicted, strict=True))
    per_label = [label_score(label, *row) for label, row in zip(labels, zip(*scores, strict=True), strict=True)]
    matrix = [[counts[right, given] for given in labels] for right in labels]
    return per_label, Confusion(labels=labels, matrix=matrix)


def label_score(label: str, precision: float, recall: float, f1: float, support: int) -> LabelScore:
    """Return the score with plain Python numbers, whatever kind scikit-learn or seqeval gave."""
    return LabelScore(label=label, precision=float(precision), recall=float(recall), f1=float(f1), support=int(support))


def mean_f1(scores: Sequence[LabelScore]) -> float:
    """Return the unweighted mean of the labels' F1 (macro F1)."""
    return sum(score.f1 for score in scores) / len(scores)


def bucket_accuracy(values: Sequence[int], is_correct: Sequence[bool], buckets: Buckets) -> list[Bucket]:
    """Return the accuracy of the items whose value falls into each bucket.

    Args:
        values: what decides each item's bucket, such as its length in tokens; at least one.
        is_correct: whether each item is right.
        buckets: the groups.
    """
    ends = [end if end >= 0 else max(values) for _, end in buckets]
    correct, totals = [0] * len(buckets), [0] * len(buckets)
    for value, is_right in zip(values, is_correct, strict=True):
        place = next(place for place, end in enumerate(ends) if value <= end)
        correct[place] += is_right
        totals[place] += 1
    return [
        Bucket(label=name, accuracy=good / total, num_items=total)
        for (name, _), good, total in zip(buckets, correct, totals, strict=True)
        if total
    ]

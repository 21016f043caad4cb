"""How good one label per text is, where it fails, and whether the probabilities can be believed.

One call takes parallel lists, one item per text:

    gold           ["POSITIVE", "NEGATIVE"]
    predicted      ["POSITIVE", "POSITIVE"]                                     accuracy 1/2
    probabilities  [{"NEGATIVE": 0.1, "POSITIVE": 0.9}, {"NEGATIVE": 0.3, "POSITIVE": 0.7}]
    lengths        [6, 23]
    domains        ["film", "tweets"]

All rates and probabilities are shares in [0, 1].
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from nlp_lstm.errors import ConfigError, DataError
from nlp_lstm.evaluation.label_scores import (
    Bucket,
    Buckets,
    Confusion,
    LabelScore,
    bucket_accuracy,
    mean_f1,
    score_labels,
)

NUM_BINS = 15
"""Equal-width bins of the calibration error, as in Guo et al. 2017."""

LENGTH_BUCKETS: Buckets = (
    ("up to 5", 5),
    ("6–10", 10),
    ("11–20", 20),
    ("21–40", 40),
    ("41–100", 100),
    ("101–400", 400),
    ("401+", -1),
)
"""By text length (tokens)."""

_SMALLEST_PROBABILITY = 1e-12
"""Below this a probability counts as this much, so that one certain error (nats) does not swallow all else."""

_PER_TEXT = ("correct", "domains")


@dataclass(frozen=True, kw_only=True)
class ReliabilityBin:
    """The texts whose confidence lies in (lower, upper]; bins without texts are left out."""

    lower: float
    upper: float
    mean_confidence: float
    accuracy: float
    num_texts: int


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """Whether the probabilities mean what they say.

    Attributes:
        expected_calibration_error: mean distance between confidence and accuracy over the bins, weighted by texts.
        mean_confidence: mean probability of the predicted label.
        brier_score: mean squared distance between the probabilities and the truth, summed over the labels, from 0
            (sure and right) to 2 (sure and wrong); Brier, "Verification of forecasts expressed in terms of
            probability", Monthly Weather Review 78 (1950).
        negative_log_likelihood: of the gold labels, mean per text, in nats.
        bins: the points of the reliability diagram.
    """

    expected_calibration_error: float
    mean_confidence: float
    brier_score: float
    negative_log_likelihood: float
    bins: list[ReliabilityBin]


@dataclass(frozen=True, kw_only=True)
class DomainScore:
    """The scores on one part of the data; the calibration error is ``None`` without probabilities."""

    domain: str
    accuracy: float
    macro_f1: float
    expected_calibration_error: float | None
    num_texts: int


@dataclass(frozen=True, kw_only=True)
class ClassificationMetrics:
    """Everything that the report says about a classifier on one data set.

    ``calibration`` is ``None`` without probabilities. ``correct`` and ``domains`` hold one item per text and feed
    the bootstrap; ``domains`` and ``by_domain`` are empty when no domains were given.
    """

    accuracy: float
    num_texts: int
    macro_f1: float
    per_label: list[LabelScore]
    confusion: Confusion
    calibration: Calibration | None
    by_length: list[Bucket]
    by_domain: list[DomainScore]
    correct: list[bool]
    domains: list[str]

    def to_dict(self, *, per_text: bool = False) -> dict[str, Any]:
        """Return plain JSON values; the long per-text lists only when asked for."""
        values = asdict(self)
        return values if per_text else {key: value for key, value in values.items() if key not in _PER_TEXT}


def classification_metrics(
    gold: Sequence[str],
    predicted: Sequence[str],
    probabilities: Sequence[Mapping[str, float]] | None,
    lengths: Sequence[int],
    domains: Sequence[str] | None = None,
) -> ClassificationMetrics:
    """Score predicted labels against gold ones.

    Args:
        gold: the right label of each text.
        predicted: the labels to score.
        probabilities: label to probability of each text, all labels of the model; without them nothing is said
            about calibration. A gold label that a model does not know has probability 0.
        lengths: tokens of each text.
        domains: the part of the data that each text comes from; without them nothing is said about parts.

    Raises:
        DataError: lists of different length, no texts, or probabilities that are no distribution over labels with
            the predicted one among them.
    """
    _check_items(gold, predicted, probabilities, lengths, domains)
    correct = [right == given for right, given in zip(gold, predicted, strict=True)]
    confidences = calibration = None
    if probabilities is not None:
        confidences = [shares[given] for shares, given in zip(probabilities, predicted, strict=True)]
        calibration = _calibration(gold, probabilities, confidences, correct)
    per_label, confusion = score_labels(gold, predicted)
    return ClassificationMetrics(
        accuracy=sum(correct) / len(correct),
        num_texts=len(correct),
        macro_f1=mean_f1(per_label),
        per_label=per_label,
        confusion=confusion,
        calibration=calibration,
        by_length=bucket_accuracy(lengths, correct, LENGTH_BUCKETS),
        by_domain=[] if domains is None else _score_domains(gold, predicted, confidences, domains),
        correct=correct,
        domains=list(domains or ()),
    )


def expected_calibration_error(
    confidences: Sequence[float], is_correct: Sequence[bool], num_bins: int = NUM_BINS
) -> float:
    """Return the mean distance between confidence and accuracy, over bins of equal width weighted by their texts.

    Source: Guo, Pleiss, Sun and Weinberger, "On Calibration of Modern Neural Networks", ICML 2017, equation 3.

    Args:
        confidences: probability of each predicted label.
        is_correct: whether each predicted label is right.
        num_bins: bins of equal width on [0, 1].

    Raises:
        DataError: lists of different length, no texts, or a confidence outside [0, 1].
        ConfigError: fewer than one bin.
    """
    bins = reliability_bins(confidences, is_correct, num_bins)
    return sum(one.num_texts * abs(one.accuracy - one.mean_confidence) for one in bins) / len(confidences)


def reliability_bins(
    confidences: Sequence[float], is_correct: Sequence[bool], num_bins: int = NUM_BINS
) -> list[ReliabilityBin]:
    """Sort the texts into bins of equal width by their confidence; arguments and errors as in the error above."""
    if num_bins < 1:
        raise ConfigError(f"num_bins is {num_bins}; it must be at least 1, and 15 is usual")
    if not confidences or len(confidences) != len(is_correct):
        raise DataError(
            f"{len(confidences)} confidences and {len(is_correct)} answers; give one of each per text, at least one"
        )
    groups: list[list[tuple[float, bool]]] = [[] for _ in range(num_bins)]
    for number, (confidence, is_right) in enumerate(zip(confidences, is_correct, strict=True), start=1):
        if not 0 <= confidence <= 1 + 1e-6:  # 1e-6: sums of float32 shares
            raise DataError(f"text {number} has confidence {confidence}; a probability lies between 0 and 1")
        groups[max(0, math.ceil(min(confidence, 1) * num_bins) - 1)].append((confidence, is_right))
    return [
        ReliabilityBin(
            lower=place / num_bins,
            upper=(place + 1) / num_bins,
            mean_confidence=sum(confidence for confidence, _ in group) / len(group),
            accuracy=sum(is_right for _, is_right in group) / len(group),
            num_texts=len(group),
        )
        for place, group in enumerate(groups)
        if group
    ]


def _check_items(
    gold: Sequence[str],
    predicted: Sequence[str],
    probabilities: Sequence[Mapping[str, float]] | None,
    lengths: Sequence[int],
    domains: Sequence[str] | None,
) -> None:
    given = {"gold labels": gold, "predicted labels": predicted, "lengths": lengths}
    given |= {"probabilities": probabilities} if probabilities is not None else {}
    given |= {"domains": domains} if domains is not None else {}
    if len({len(items) for items in given.values()}) > 1:
        counts = ", ".join(f"{len(items)} {name}" for name, items in given.items())
        raise DataError(f"{counts}; there must be one of each per text")
    if not gold:
        raise DataError("no texts to score; give at least one with a gold label")
    for number, (shares, label) in enumerate(zip(probabilities or (), predicted, strict=False), start=1):
        if label not in shares:
            raise DataError(f'text {number}: the predicted label "{label}" is not among {", ".join(shares) or "none"}')
        if min(shares.values()) < 0 or abs(sum(shares.values()) - 1) > 1e-3:  # 1e-3: probabilities may be rounded
            raise DataError(f"text {number}: {dict(shares)} is no distribution; its shares are 0 or more and sum to 1")


def _calibration(
    gold: Sequence[str],
    probabilities: Sequence[Mapping[str, float]],
    confidences: Sequence[float],
    correct: Sequence[bool],
) -> Calibration:
    num_texts = len(gold)
    squares = log_losses = 0.0
    for label, shares in zip(gold, probabilities, strict=True):
        squares += sum((share - (name == label)) ** 2 for name, share in shares.items()) + (label not in shares)
        log_losses -= math.log(max(shares.get(label, 0.0), _SMALLEST_PROBABILITY))
    return Calibration(
        expected_calibration_error=expected_calibration_error(confidences, correct),
        mean_confidence=sum(confidences) / num_texts,
        brier_score=squares / num_texts,
        negative_log_likelihood=log_losses / num_texts,
        bins=reliability_bins(confidences, correct),
    )


def _score_domains(
    gold: Sequence[str], predicted: Sequence[str], confidences: Sequence[float] | None, domains: Sequence[str]
) -> list[DomainScore]:
    """Score each part of the data by itself, the largest first."""
    rows: dict[str, list[int]] = {}
    for row, domain in enumerate(domains):
        rows.setdefault(domain, []).append(row)
    scores = []
    for domain, members in sorted(rows.items(), key=lambda item: (-len(item[1]), item[0])):
        correct = [gold[row] == predicted[row] for row in members]
        per_label, _ = score_labels([gold[row] for row in members], [predicted[row] for row in members])
        error = None
        if confidences is not None:
            error = expected_calibration_error([confidences[row] for row in members], correct)
        scores.append(
            DomainScore(
                domain=domain,
                accuracy=sum(correct) / len(correct),
                macro_f1=mean_f1(per_label),
                expected_calibration_error=error,
                num_texts=len(members),
            )
        )
    return scores

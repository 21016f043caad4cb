"""How good answers for series are, and what may be concluded from it.

Steps that follow one another are not independent, nor are series of the same days. So the bootstrap draws whole blocks
(all that happens in a stretch of time, or a whole series), and chance is what an answer that knows nothing reaches:

    labels     balanced accuracy: the mean over the labels of the share of their steps that are found; chance 1 / labels
    numbers    explained variance: 1 - squared error / squared error of the training mean; chance 0
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nlp_lstm.errors import DataError
from nlp_lstm.evaluation.significance import PairedResult, paired_score_bootstrap, score_interval

if TYPE_CHECKING:
    from collections.abc import Callable

    from nlp_lstm.evaluation.significance import Floats


@dataclass(frozen=True, kw_only=True)
class SeriesAnswers:
    """What was asked and answered, one item a step or a series.

    Args:
        gold: the right labels, or the right numbers.
        answers: of the model.
        rivals: of other systems on the same items, by name.
        blocks: for each item the number of the block that it is drawn with.
        names: for each item the series that it belongs to.
        labels: all labels of the model; empty where numbers are answered.
        mean: of numbers, what the training steps have on average.
    """

    gold: Sequence[str] | Sequence[float]
    answers: Sequence[str] | Sequence[float]
    rivals: Mapping[str, Sequence[str] | Sequence[float]]
    blocks: Sequence[int]
    names: Sequence[str]
    labels: Sequence[str] = ()
    mean: float = 0.0

    def __post_init__(self) -> None:
        sizes = {len(self.gold), len(self.answers), len(self.blocks), len(self.names), *map(len, self.rivals.values())}
        if len(sizes) != 1 or not len(self.gold):
            raise DataError(f"lists of {sorted(sizes)} items; there must be as many of each, and at least one")

    @property
    def are_labels(self) -> bool:
        """Whether labels are answered, and not numbers."""
        return bool(self.labels)


@dataclass(frozen=True, kw_only=True)
class MeasuredSystem:
    """One system's score.

    Args:
        name: of the system.
        score: balanced accuracy, or explained variance.
        interval: its 95 % bootstrap interval over blocks.
        accuracy: the share of right labels; None for numbers.
        against: the model minus this system, on the same resamples; None for the model itself.
    """

    name: str
    score: float
    interval: tuple[float, float]
    accuracy: float | None
    against: PairedResult | None = None


def chance_of(found: SeriesAnswers) -> float:
    """Return what an answer that knows nothing reaches: it gives one label always, or the mean."""
    return 1 / len(set(found.gold)) if found.are_labels else 0.0


def measure(found: SeriesAnswers, model: str = "this model") -> list[MeasuredSystem]:
    """Return the scores of the model, first, and of its rivals."""
    score = _balanced(len(set(found.gold))) if found.are_labels else _explained
    own = _counts(found, found.answers)
    systems = [
        MeasuredSystem(
            name=model,
            score=score(own.sum(axis=0).tolist()),
            interval=score_interval(own, score),
            accuracy=_accuracy(found, found.answers),
        )
    ]
    for name, answers in found.rivals.items():
        counts = _counts(found, answers)
        systems.append(
            MeasuredSystem(
                name=name,
                score=score(counts.sum(axis=0).tolist()),
                interval=score_interval(counts, score),
                accuracy=_accuracy(found, answers),
                against=paired_score_bootstrap(own, counts, score),
            )
        )
    return systems


def conclude(systems: Sequence[MeasuredSystem], chance: float, what: str) -> str:
    """Return what follows from the intervals, and no more.

    Args:
        systems: from `measure`, the model first.
        chance: what an answer that knows nothing reaches.
        what: the measure's name, as in "balanced accuracy".
    """
    own = systems[0]
    low, high = own.interval
    shown = f"{_percent(own.score)} {what} (95 % interval {_percent(low)} to {_percent(high)})"
    if low > chance:
        first = f"The model knows something: {shown} lies wholly above chance, {_percent(chance)}."
    elif high < chance:
        first = f"The model does worse than one that knows nothing: {shown} lies wholly below {_percent(chance)}."
    else:
        first = (
            f"The model cannot be told from one that knows nothing: the interval of {shown} contains chance, "
            f"{_percent(chance)}. Nothing should be decided by its answers."
        )
    return " ".join([first, *(_beside(system) for system in systems[1:] if system.against is not None)])


def _beside(system: MeasuredSystem) -> str:
    if system.against is None:
        raise TypeError("the model is not compared with itself")
    difference, (low, high), _ = system.against
    shown = f"{100 * difference:+.1f} points, {100 * low:+.1f} to {100 * high:+.1f}".replace("-", "−")
    if low > 0:
        return f"It is better than {system.name} ({shown})."
    if high < 0:
        return f"It is worse than {system.name} ({shown})."
    return f"No difference from {system.name} can be shown ({shown})."


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %".replace("-", "−")


def _accuracy(found: SeriesAnswers, answers: Sequence[str] | Sequence[float]) -> float | None:
    if not found.are_labels:
        return None
    return sum(right == given for right, given in zip(found.gold, answers, strict=True)) / len(found.gold)


def _counts(found: SeriesAnswers, answers: Sequence[str] | Sequence[float]) -> Floats:
    """Return for each block what adds up: right and all steps of each label, or squared errors of model and mean."""
    import numpy as np

    rows = np.unique(np.asarray(found.blocks), return_inverse=True)[1]
    if not found.are_labels:
        gold, given = np.asarray(found.gold, dtype=np.float64), np.asarray(answers, dtype=np.float64)
        counts = np.zeros((rows.max() + 1, 2))
        np.add.at(counts, rows, np.stack([(gold - given) ** 2, (gold - found.mean) ** 2], axis=1))
        return counts
    place = {label: number for number, label in enumerate(sorted(set(found.gold)))}  # type: ignore[type-var]
    counts = np.zeros((rows.max() + 1, 2 * len(place)))
    for row, right, answer in zip(rows, found.gold, answers, strict=True):
        counts[row, place[right]] += right == answer
        counts[row, len(place) + place[right]] += 1
    return counts


def _balanced(num_labels: int) -> Callable[[list[float]], float]:
    def score(sums: list[float]) -> float:
        pairs = zip(sums[:num_labels], sums[num_labels:], strict=True)
        shares = [right / total for right, total in pairs if total]
        return sum(shares) / len(shares)

    return score


def _explained(sums: list[float]) -> float:
    return 1 - sums[0] / sums[1] if sums[1] else 0.0

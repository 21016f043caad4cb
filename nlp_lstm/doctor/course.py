"""Whether training went well: from what was recorded, and from the losses on training and development texts."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from nlp_lstm.doctor.findings import Finding

HIGH_LOSS = {"tagged": 0.35, "labelled": 0.8, "running": 0.9, "parallel": 0.7}
"""The training loss at the end, beside that of the first steps, from which on it is high; both above the least one."""
STILL_FALLING = 0.1  # of the loss, over the last half of training
WIDE_GAP = 2.0  # times the training loss
CLEAR_GAP = 0.1  # of the loss of the first steps
LITTLE_DROPOUT = 0.2
MANY_EPOCHS = 4.0
LARGEST_JUMP = 30.0  # times the usual norm of a gradient, that of the first steps or the later ones
LARGEST_LOSS = 15.0  # nats; who knows nothing of a million labels has 13.8
LARGEST_NORM = 20.0  # times the norm that gradients are cut to
WARM_UP = 5  # records that are no evidence
FEWEST_STEPS = 20  # back, below which a short memory may be all that the texts ask for
LEAST_PER_STEP = 0.41  # of the gradient that must be left with each step back, on average


@dataclass(frozen=True, kw_only=True)
class Course:
    """A training run that has ended.

    Args:
        kind: of the examples.
        history: what was recorded.
        train_loss: of the best weights on some training texts, without dropout, nats; NaN where it is not known.
        dev_loss: the same on development texts.
        least_loss: what the loss cannot fall below, as targets are shares of several labels: their entropy, nats.
        epochs: times that the training data was gone through.
        hidden: features of the recurrent layers.
        layers: how many.
        dropout: the larger one of those on inputs and outputs.
        is_bidirectional: whether the layers read both ways; None where only one way can be.
        learning_rate: the highest.
        clip_norm: the norm that gradients are cut to.
    """

    kind: str
    history: Sequence[Mapping[str, Any]]
    train_loss: float
    dev_loss: float
    least_loss: float = 0.0
    epochs: float
    hidden: int
    layers: int
    dropout: float
    is_bidirectional: bool | None
    learning_rate: float
    clip_norm: float


def check_course(course: Course) -> list[Finding]:
    """Look for gradients that explode or vanish, a high training loss, and overfitting."""
    losses = [float(record["loss"]) for record in course.history if "loss" in record]
    norms = [float(record["gradient_norm"]) for record in course.history if "gradient_norm" in record]
    if not losses:
        return []
    exploding = _exploding(course, losses, norms)
    if exploding:
        return [exploding]
    found = (_high_loss(course, losses) or _overfitting(course, losses[0]), _vanishing(course))
    return [finding for finding in found if finding]


def _exploding(course: Course, losses: Sequence[float], norms: Sequence[float]) -> Finding | None:
    late = norms[WARM_UP:]
    usual = max(median(late), median(norms[:WARM_UP])) if late else 0.0
    remedy = (
        f"Take a smaller training.learning_rate (it is {course.learning_rate:g}) and training.clip_norm=1 (it is "
        f"{course.clip_norm:g})."
    )
    if not all(map(math.isfinite, [*losses, *norms])):
        evidence = "Losses or gradients are no finite numbers."
    elif late and max(late) > LARGEST_JUMP * usual and max(late) > course.clip_norm:
        evidence = f"The largest gradient norm, {max(late):.3g}, is {max(late) / usual:.0f} times the usual one."
    elif late and median(late) > LARGEST_NORM * min(course.clip_norm, 1.0):
        evidence = f"The usual gradient norm is {median(late):.3g}."
    elif course.kind in HIGH_LOSS and max(losses) > LARGEST_LOSS:
        evidence = f"The training loss was {max(losses):.3g} nats; who knows nothing has less."
    elif losses[-1] > 1.5 * max(losses[0], 1e-9):
        evidence = f"The training loss rose from {losses[0]:.3g} to {losses[-1]:.3g} nats."
    else:
        return None
    return Finding(fault="exploding gradients", evidence=evidence, remedy=remedy)


def _vanishing(course: Course) -> Finding | None:
    records = [record for record in course.history if record.get("gradient_by_distance")]
    if not records:
        return None
    curve = records[-1]["gradient_by_distance"]
    steps = len(curve) - 1
    if steps < FEWEST_STEPS or curve[-1] > LEAST_PER_STEP**steps * max(curve[0], 1e-30):
        return None
    return Finding(
        fault="vanishing gradients",
        evidence=f"What the network feels of a word has halved after {records[-1]['half_distance']:.1f} steps, and "
        f"{steps} steps away it is {curve[-1] / max(curve[0], 1e-30):.1g} of that of the last word: less than "
        f"{LEAST_PER_STEP:g} of it is left with each step.",
        remedy="Take a cell with gates that can stay open (model.cell=lstm or gru) with its usual beginning, fewer "
        "layers, or a smaller training.learning_rate.",
    )


def _high_loss(course: Course, losses: Sequence[float]) -> Finding | None:
    first, last = losses[0] - course.least_loss, course.train_loss - course.least_loss
    if not last >= HIGH_LOSS.get(course.kind, math.inf) * first:
        return None
    evidence = f"The training loss went from {losses[0]:.3f} nats in the first steps to {course.train_loss:.3f} only."
    if course.least_loss > 0:
        evidence += f" Shares of several labels keep it above {course.least_loss:.3f}."
    middle = losses[len(losses) // 2]
    remedies = []
    if course.learning_rate < 3e-4:
        remedies.append(f"a larger training.learning_rate (it is {course.learning_rate:g}; 2e-3 is usual)")
    elif course.learning_rate > 2e-2:
        remedies.append(f"a smaller training.learning_rate (it is {course.learning_rate:g}; 2e-3 is usual)")
    if course.hidden < 64:
        remedies.append(f"more units (model.hidden is {course.hidden})")
    if middle - losses[-1] > STILL_FALLING * middle:
        remedies.append("longer training (training.tokens): the loss was still falling")
    if course.layers < 2:
        remedies.append("a second layer (model.layers=2)")
    if course.dropout > 0.6:
        remedies.append(f"less dropout (it is {course.dropout:g})")
    return Finding(
        fault="high training loss",
        evidence=evidence,
        remedy=f"Try, one by one: {'; '.join(remedies or ['longer training (training.tokens)'])}.",
    )


def _overfitting(course: Course, first_loss: float) -> Finding | None:
    gap = course.dev_loss - course.train_loss
    if not (course.dev_loss >= WIDE_GAP * course.train_loss and gap >= CLEAR_GAP * first_loss):
        return None
    if course.dropout >= LITTLE_DROPOUT or course.epochs < MANY_EPOCHS:
        return None
    remedies = [f"model.dropout=0.4 model.input_dropout=0.3 (dropout is {course.dropout:g} now)"]
    if course.hidden > 256:
        remedies.append(f"fewer units (model.hidden is {course.hidden})")
    if course.layers > 2:
        remedies.append(f"fewer layers (model.layers is {course.layers})")
    if course.is_bidirectional is False:
        remedies.append("reading both ways (model.bidirectional=true)")
    remedies.append(f"fewer passes through the data (training.epochs; there were {course.epochs:.0f})")
    return Finding(
        fault="overfitting",
        evidence=f"After {course.epochs:.0f} passes the loss is {course.train_loss:.3f} nats on training texts and "
        f"{course.dev_loss:.3f} on development texts.",
        remedy=f"Try, one by one: {'; '.join(remedies)}; and more training data.",
    )

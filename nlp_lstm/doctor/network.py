"""Whether a network does what it should on real batches: padding that counts, and gates that never move."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from nlp_lstm.doctor.findings import Finding
from nlp_lstm.errors import VocabularyError
from nlp_lstm.nn.sensitivity import gate_openings, main_encoders, recorded_inputs
from nlp_lstm.tasks import Task

PADDING = 7  # steps more than needed
LOSS_TOLERANCE = 1e-3  # of the loss
LEAST_MOVE = 0.02  # of a gate's opening over a text
MOST_DEAD = 0.5  # share of a gate's units that do not move
SHUT, OPEN = 0.02, 0.98
PLACEHOLDERS = frozenset({"_", "-", "*", "none", "pad", "<pad>", "null", "n/a", "?"})
MOST_PLACEHOLDERS = 0.2


def with_known_labels(task: Task, examples: Sequence[Any]) -> list[Any]:
    """Return those of the examples whose labels all occur in training, so that they have a loss."""
    if task.is_language_model:
        return list(examples)
    known = []
    for example in examples:
        try:
            task.make_batch([example], with_labels=True)
        except VocabularyError:
            continue
        known.append(example)
    return known


@torch.no_grad()
def mean_loss(task: Task, model: nn.Module, examples: Sequence[Any], *, batch_tokens: int = 2_000) -> float:
    """Return the loss on some examples without dropout, nats per token or text as the task has it.

    Args:
        task: what is solved.
        model: its network; it is left in evaluation mode.
        examples: labelled examples, whose labels all occur in training.
        batch_tokens: tokens per batch.
    """
    model.eval()
    total, weight = 0.0, 0
    with tempfile.TemporaryDirectory(prefix="doctor-") as folder:
        encoded = task.encode(examples, Path(folder))
        carried: dict[str, torch.Tensor] = {}
        for part in task.plan_epoch(encoded, batch_tokens, seed=0, epoch=0):
            batch = task.training_batch(encoded, part, carried)
            outputs = model(batch)
            carried = task.carry(outputs)
            total += float(task.loss(model, outputs, batch)) * batch.num_tokens
            weight += batch.num_tokens
    return total / max(1, weight)


@torch.no_grad()
def check_padding(task: Task, model: nn.Module, examples: Sequence[Any]) -> list[Finding]:
    """Look whether the loss of a batch changes with padding that means nothing.

    Args:
        task: what is solved; one that reads contiguous rows has no padding.
        model: its network.
        examples: some labelled examples of unequal length.
    """
    examples = with_known_labels(task, examples)
    if task.is_language_model or len(examples) < 2:
        return []
    model.eval()
    losses = []
    longest = max(task.size(example) for example in examples)
    for pad_to in (0, longest + PADDING):
        batch = task.make_batch(examples, pad_to=pad_to, with_labels=True)
        losses.append(float(task.loss(model, model(batch), batch)))
    if abs(losses[1] - losses[0]) <= LOSS_TOLERANCE * max(abs(losses[0]), 1e-3):
        return []
    return [
        Finding(
            fault="loss on what does not matter",
            evidence=f"{PADDING} steps of padding more change the loss of the same texts from {losses[0]:.4f} to "
            f"{losses[1]:.4f} nats.",
            remedy="Leave padding out of the loss: multiply by the mask, and divide by the number of real tokens.",
        )
    ]


def check_placeholders(labels: Sequence[str]) -> list[Finding]:
    """Look for a label that stands for none and is learnt as one.

    Args:
        labels: those of the training tokens or texts.
    """
    for label, count in Counter(labels).items():
        share = count / len(labels)
        if label.lower() in PLACEHOLDERS and share >= MOST_PLACEHOLDERS:
            return [
                Finding(
                    fault="loss on what does not matter",
                    evidence=f'{share:.1%} of the training labels are "{label}", which is learnt and scored like any '
                    "other.",
                    remedy="Leave out what has no label, or choose another column (model.labels).",
                )
            ]
    return []


@torch.no_grad()
def check_gates(task: Task, model: nn.Module, example: Any) -> list[Finding]:
    """Look for gates that never move while the network reads a text.

    Args:
        task: what is solved.
        model: its network.
        example: the text, a long one.
    """
    model.eval()
    with recorded_inputs(model) as read:
        task.read_through(model, example)
    for path, encoder in main_encoders(model).items():
        if path not in read:
            continue
        for place, gates in gate_openings(encoder, read[path]):
            for name, opening in gates.items():
                is_still = opening.max(dim=0).values - opening.min(dim=0).values < LEAST_MOVE
                mean = opening.mean(dim=0)
                dead = float((is_still & ((mean < SHUT) | (mean > OPEN))).float().mean())
                if dead >= MOST_DEAD:
                    return [
                        Finding(
                            fault="dead gates",
                            evidence=f"{dead:.0%} of the {name} gates of layer {place.layer} "
                            f"({'backward' if place.is_backward else 'forward'}) stay at {float(mean.mean()):.2f} "
                            "whatever is read.",
                            remedy="Take a smaller training.learning_rate or the usual beginning of the gates' biases; "
                            "inputs should not be much larger than 1.",
                        )
                    ]
    return []

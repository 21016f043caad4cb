"""What teachers together say about the training texts, kept in a file of the run.

A translator takes longer for it than for an epoch of training, so a run that was stopped goes on where it was.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from torch import nn

from nlp_lstm.tasks import Task, predict_examples

OPINIONS_NAME = "opinions.jsonl"
TEXTS_AT_ONCE = 1_024
_BATCH_TOKENS = 4_000
_SECONDS_BETWEEN_LINES = 30.0


def gather_opinions(
    task: Task, models: Sequence[nn.Module], examples: Sequence[Any], folder: Path, say: Callable[[str], None]
) -> list[Any]:
    """Return what networks together say about examples, as `Task.pack_opinion` gives it.

    Answers that the folder has of the same networks and examples are not made again.

    Args:
        task: of the networks.
        models: the networks.
        examples: the training texts.
        folder: the run's.
        say: takes lines for the user.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / OPINIONS_NAME
    fingerprint = json.dumps(_fingerprint(task, models, examples))
    opinions = _read(path, fingerprint, len(examples))
    lines = [fingerprint, *map(_line, opinions)]
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")  # without what a kill cut off
    started = last_said = time.monotonic()
    num_before = len(opinions)
    with path.open("a", encoding="utf-8", newline="\n") as file:
        while len(opinions) < len(examples):
            some = examples[len(opinions) : len(opinions) + TEXTS_AT_ONCE]
            found = predict_examples(
                task, models, some, batch_tokens=_BATCH_TOKENS, options=task.opinion_options or None
            )
            opinions += [task.pack_opinion(prediction) for prediction in found]
            file.writelines(f"{_line(opinion)}\n" for opinion in opinions[-len(some) :])
            file.flush()
            now = time.monotonic()
            if now - last_said > _SECONDS_BETWEEN_LINES or len(opinions) == len(examples):
                last_said = now
                rate = (len(opinions) - num_before) / (now - started)
                left = (len(examples) - len(opinions)) / rate / 60
                say(f"teachers: {len(opinions):,} of {len(examples):,} training texts, {left:.1f} minutes left")
    return opinions


def _read(path: Path, fingerprint: str, num_examples: int) -> list[Any]:
    """The whole portions that an earlier part of the run has kept; nothing of other networks or examples."""
    if not path.is_file():
        return []
    with path.open(encoding="utf-8") as file:
        if next(file, "").rstrip("\n") != fingerprint:
            return []
        kept = list(islice(file, num_examples))
    if kept and not kept[-1].endswith("\n"):
        kept.pop()
    if len(kept) < num_examples:  # whole portions only: what a text is batched with stays the same
        del kept[len(kept) // TEXTS_AT_ONCE * TEXTS_AT_ONCE :]
    return [json.loads(line) for line in kept]


def _line(opinion: Any) -> str:
    return json.dumps(opinion, ensure_ascii=False)


def _fingerprint(task: Task, models: Sequence[nn.Module], examples: Sequence[Any]) -> str:
    digest = hashlib.sha256()
    for model in models:
        for name, tensor in model.state_dict().items():
            digest.update(name.encode())
            digest.update(tensor.cpu().contiguous().numpy().tobytes())
    for piece in task.identify(examples):
        digest.update(piece)
    return digest.hexdigest()

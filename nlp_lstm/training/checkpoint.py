"""Where training stands, in one file, so that it can go on to the same weights after any stop.

The file is safetensors: tensors, and a JSON header with the counters. It is written beside the old one and put in its
place in one move, so a kill at any moment leaves a whole checkpoint.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from nlp_lstm.errors import CheckpointError
from nlp_lstm.training.optim import WeightAverage, learnt_tensors
from nlp_lstm.weights import write_tensors

_GROUPS = ("model", "average", "best", "carried", "optimizer")


@dataclass(kw_only=True)
class TrainingState:
    """The counters of a run.

    Args:
        fingerprint: of the recipe and the data; a checkpoint of another run is refused.
        machine: what makes roundings differ between machines; on another one training goes on with a note.
        num_processes: that train together, each with states of its own; others are refused.
        step: optimiser steps taken.
        epoch: how many times the data was gone through.
        batch: batches done in this epoch.
        tokens: real tokens seen.
        seconds: time spent in training, stops left out.
        best_score: the best development score.
        evaluations_since_best: how many evaluations ago that was.
        next_evaluation: tokens at which the next evaluation is due.
        average_start: the step after which plain gradient descent began to average its weights; 0 before it.
        scores: the decisive development score of each evaluation.
        history: what was recorded on the way.
    """

    fingerprint: str
    machine: str = ""
    num_processes: int = 1
    step: int = 0
    epoch: int = 0
    batch: int = 0
    tokens: int = 0
    seconds: float = 0.0
    best_score: float = float("-inf")
    evaluations_since_best: int = 0
    next_evaluation: int = 0
    average_start: int = 0
    scores: list[float] = field(default_factory=list)
    history: list[dict[str, Any]] = field(default_factory=list)


def save_checkpoint(
    path: Path,
    state: TrainingState,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    average: WeightAverage,
    *,
    best: Mapping[str, Tensor],
    carried: Mapping[str, Tensor],
) -> None:
    """Write everything that the next step depends on.

    Args:
        path: the file.
        state: the counters.
        model: its weights.
        optimizer: its state.
        average: of the weights.
        best: the best weights so far.
        carried: what the next batch begins with, such as recurrent states.
    """
    tensors: dict[str, Tensor] = {"random": torch.get_rng_state()}
    tensors |= {f"model/{name}": tensor for name, tensor in learnt_tensors(model).items()}
    tensors |= {f"average/{name}": tensor for name, tensor in average.tensors.items()}
    tensors |= {f"best/{name}": tensor for name, tensor in best.items()}
    tensors |= {f"carried/{name}": tensor for name, tensor in carried.items()}
    for number, values in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer/{number}/{key}": value for key, value in values.items()}
    counters = {"state": json.dumps(vars(state))}
    draft = path.with_suffix(".part")
    write_tensors({name: tensor.detach().contiguous() for name, tensor in tensors.items()}, draft, counters)
    os.replace(draft, path)


def load_checkpoint(
    path: Path,
    fingerprint: str,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    average: WeightAverage,
) -> tuple[TrainingState, dict[str, Tensor], dict[str, Tensor]]:
    """Put a checkpoint back.

    Args:
        path: the file.
        fingerprint: of the run that goes on.
        model: takes the weights.
        optimizer: takes its state.
        average: takes the averaged weights.

    Returns:
        The counters, the best weights so far (empty when there was no evaluation yet), and what the next batch begins
        with.

    Raises:
        CheckpointError: the file is damaged, or belongs to another recipe or other data.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            state = TrainingState(**json.loads((file.metadata() or {}).get("state", "")))
            # cloned, because roundings of a matrix product depend on how its memory is aligned
            tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError, TypeError) as error:
        raise CheckpointError(f"{path} is damaged ({error}); start anew without --resume") from error
    if state.fingerprint != fingerprint:
        raise CheckpointError(
            f"{path} belongs to another recipe or other data; resume with the same ones, or start anew without --resume"
        )
    groups: dict[str, dict[str, Tensor]] = {name: {} for name in _GROUPS}
    for name, tensor in tensors.items():
        group, _, rest = name.partition("/")
        if group in groups:
            groups[group][rest] = tensor
    try:
        model.load_state_dict({name: groups["model"][name] for name in learnt_tensors(model)}, strict=False)
        for name, tensor in average.tensors.items():
            tensor.copy_(groups["average"][name])
        optimizer_state = optimizer.state_dict()
        optimizer_state["state"] = {}
        for name, tensor in groups["optimizer"].items():
            number, _, key = name.partition("/")
            optimizer_state["state"].setdefault(int(number), {})[key] = tensor
        optimizer.load_state_dict(optimizer_state)
        torch.set_rng_state(tensors["random"])
    except (KeyError, RuntimeError, ValueError) as error:
        raise CheckpointError(f"{path} does not fit the network ({error}); start anew without --resume") from error
    return state, groups["best"], groups["carried"]

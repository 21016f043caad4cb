"""Training on the problems of `nlp_lstm.nn.long_lags` until they are solved or the steps are used up."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

import torch

from nlp_lstm.errors import ConfigError
from nlp_lstm.nn.long_lags import PROBLEMS, LagNetwork
from nlp_lstm.nn.sensitivity import gradient_by_distance
from nlp_lstm.nn.settings import cells

STEPS_BETWEEN_TESTS = 100
TESTED_ROWS = 500
_TEST_SEED = 1_000_003


@dataclass(frozen=True, kw_only=True)
class LagSettings:
    """How one net is trained on one problem.

    Args:
        problem: its name.
        cell: the cell's registered name.
        length: steps of a sequence.
        seed: of the weights and the sequences.
        hidden: features of the hidden state.
        steps: of training, at most.
        rows: sequences a step.
        learning_rate: of Adam.
        clip_norm: gradients with a larger norm are scaled down to it.
    """

    problem: str
    cell: str
    length: int
    seed: int
    hidden: int = 48
    steps: int = 3_000
    rows: int = 32
    learning_rate: float = 5e-3
    clip_norm: float = 1.0


@dataclass(frozen=True, kw_only=True)
class LagResult:
    """How that went.

    Args:
        error: the smallest error of all tests, each on 500 sequences that were never trained on.
        is_solved: whether it is small enough.
        steps: that were taken until then.
        seconds: spent.
        vanished: the gradient from the last output to the first input, beside that to the last, at the end.
    """

    error: float
    is_solved: bool
    steps: int
    seconds: float
    vanished: float


def train_on_lags(settings: LagSettings) -> LagResult:
    """Train one net until it solves the problem or the steps are used up.

    Raises:
        ConfigError: the problem or the cell is not known, or the sequences are too short for it.
    """
    if settings.problem not in PROBLEMS:
        raise ConfigError(f'unknown problem "{settings.problem}"; known problems: {", ".join(PROBLEMS)}')
    cells.get(settings.cell)
    problem = PROBLEMS[settings.problem]
    if settings.length < problem.shortest:
        raise ConfigError(f"sequences of {settings.length} steps; {problem.name} needs at least {problem.shortest}")
    started = time.monotonic()
    torch.manual_seed(settings.seed)
    model = LagNetwork(problem, settings.cell, settings.hidden)
    optimizer = torch.optim.Adam(model.parameters(), lr=settings.learning_rate)
    generator = torch.Generator().manual_seed(settings.seed)
    test = problem.draw(TESTED_ROWS, settings.length, torch.Generator().manual_seed(_TEST_SEED + settings.seed))
    best, step = math.inf, 0
    while step < settings.steps and best > problem.solved_at:
        inputs, targets = problem.draw(settings.rows, settings.length, generator)
        loss = problem.loss(model(inputs), targets)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), settings.clip_norm)
        optimizer.step()
        step += 1
        if step % STEPS_BETWEEN_TESTS == 0 or step == settings.steps:
            with torch.no_grad():
                best = min(best, problem.error(model(test.inputs), test.targets))
    curve = gradient_by_distance(model.encoder, test.inputs[0])
    return LagResult(
        error=best,
        is_solved=best <= problem.solved_at,
        steps=step,
        seconds=time.monotonic() - started,
        vanished=float(curve[-1] / curve[0].clamp_min(torch.finfo(curve.dtype).tiny)),
    )

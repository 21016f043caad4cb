"""The classic problems whose answer lies far back: adding, copying, counting parentheses.

    adding        0.31/0  0.77/1  0.05/0  0.42/1  0.90/0              -> 1.19, the sum of the two that are marked
    copy          b  d  a  ·  ·  ·  ·  ?  ?  ?                        -> b d a at the last steps
    parentheses   (  (  ·  )  (  ·  (                                 -> 3 are open at the end

A net solves one at some length if it can carry what it saw over all the steps between. All are made of random numbers,
so no example comes twice.

Source: Hochreiter and Schmidhuber, "Long Short-Term Memory", Neural Computation 9 (1997), experiment 4 (adding); here
as by Le, Jaitly and Hinton (2015), with values in [0, 1] and their plain sum. Copying as by Arjovsky, Shah and Bengio
(2016), but scored where symbols are asked for alone.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from nlp_lstm.nn.recurrent import Recurrent


class LagBatch(NamedTuple):
    """Sequences of a problem.

    Args:
        inputs: what the net reads.
        targets: what it should say at the last steps: a number, or the number of a class.
    """

    inputs: Float[Tensor, "batch time feature"]
    targets: Tensor


class LagProblem(ABC):
    """A problem whose answers are due at the last steps of a sequence."""

    name: ClassVar[str]
    input_size: ClassVar[int]
    output_size: ClassVar[int]
    shortest: ClassVar[int]
    """Steps that a sequence has at least."""
    error_name: ClassVar[str]
    solved_at: ClassVar[float]
    """The error at which the problem counts as solved."""

    @abstractmethod
    def draw(self, rows: int, length: int, generator: torch.Generator) -> LagBatch:
        """Return random sequences of ``length`` steps."""

    @abstractmethod
    def loss(self, outputs: Float[Tensor, "batch time output"], targets: Tensor) -> Tensor:
        """Return what training makes small."""

    @abstractmethod
    def error(self, outputs: Float[Tensor, "batch time output"], targets: Tensor) -> float:
        """Return how wrong the outputs are, from 0."""


class Adding(LagProblem):
    """The sum of two marked numbers, one in each half. Always saying 1 has an error of 1/6."""

    name = "adding"
    input_size, output_size, shortest = 2, 1, 2
    error_name, solved_at = "mean squared error", 1e-3

    def draw(self, rows: int, length: int, generator: torch.Generator) -> LagBatch:
        values = torch.rand(rows, length, generator=generator)
        half = length // 2
        first = torch.randint(half, (rows, 1), generator=generator)
        second = torch.randint(half, length, (rows, 1), generator=generator)
        marks = torch.zeros(rows, length).scatter_(1, torch.cat((first, second), dim=1), 1.0)
        return LagBatch(torch.stack((values, marks), dim=2), (values * marks).sum(dim=1))

    def loss(self, outputs: Float[Tensor, "batch time output"], targets: Tensor) -> Tensor:
        return nn.functional.mse_loss(outputs[:, -1, 0], targets)

    def error(self, outputs: Float[Tensor, "batch time output"], targets: Tensor) -> float:
        return float(self.loss(outputs, targets))


class ClassProblem(LagProblem):
    """A problem whose answers are classes; its error is the share of answers that are wrong."""

    error_name, solved_at = "share of wrong answers", 0.01

    def loss(self, outputs: Float[Tensor, "batch time output"], targets: Tensor) -> Tensor:
        return nn.functional.cross_entropy(outputs[:, -targets.shape[1] :].flatten(0, 1), targets.flatten())

    def error(self, outputs: Float[Tensor, "batch time output"], targets: Tensor) -> float:
        return float((outputs[:, -targets.shape[1] :].argmax(dim=2) != targets).float().mean())


class Copying(ClassProblem):
    """Three symbols of four, then blanks, then three marks at which the symbols are due in their order."""

    num_symbols, num_kept = 4, 3
    name = "copy"
    input_size, output_size, shortest = num_symbols + 2, num_symbols, 2 * num_kept

    def draw(self, rows: int, length: int, generator: torch.Generator) -> LagBatch:
        kept = torch.randint(self.num_symbols, (rows, self.num_kept), generator=generator)
        ids = torch.full((rows, length), self.num_symbols)
        ids[:, : self.num_kept] = kept
        ids[:, -self.num_kept :] = self.num_symbols + 1
        return LagBatch(nn.functional.one_hot(ids, self.input_size).float(), kept)


class Parentheses(ClassProblem):
    """How many parentheses are open at the end, where at most nine ever are. A quarter of the signs are blanks."""

    deepest = 9
    name = "parentheses"
    input_size, output_size, shortest = 3, deepest + 1, 1

    def draw(self, rows: int, length: int, generator: torch.Generator) -> LagBatch:
        wanted = torch.tensor([0, 1, 1, 1, -1, -1, -1, 0])[torch.randint(8, (rows, length), generator=generator)]
        depth = torch.zeros(rows, dtype=torch.int64)
        steps = []
        for change in wanted.unbind(dim=1):  # one that cannot be closed, or is too deep, is turned around
            is_outside = (depth + change < 0) | (depth + change > self.deepest)
            change = torch.where(is_outside, -change, change)
            depth = depth + change
            steps.append(change + 1)
        return LagBatch(nn.functional.one_hot(torch.stack(steps, dim=1), 3).float(), depth[:, None])


PROBLEMS: dict[str, LagProblem] = {problem.name: problem for problem in (Adding(), Copying(), Parentheses())}


class LagNetwork(nn.Module):
    """The recurrent layers of all tasks, in one direction, and one linear output.

    Args:
        problem: what is solved.
        cell: the cell's registered name.
        hidden_size: features of the hidden state.
    """

    def __init__(self, problem: LagProblem, cell: str, hidden_size: int) -> None:
        super().__init__()
        self.encoder = Recurrent(cell, problem.input_size, hidden_size, is_bidirectional=False)
        self.output = nn.Linear(hidden_size, problem.output_size)

    def forward(self, inputs: Float[Tensor, "batch time feature"]) -> Float[Tensor, "batch time output"]:
        """Return the outputs at each step."""
        lengths = torch.full((inputs.shape[0],), inputs.shape[1])
        outputs: Tensor = self.output(self.encoder(inputs, lengths).outputs)
        return outputs

"""The optimiser, its learning rate over time, and the average of the weights."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Literal, TypeAlias

import torch
from torch import Tensor, nn

OptimizerName: TypeAlias = Literal["adamw", "nt-asgd"]

PATIENT_EVALUATIONS = 5


def make_optimizer(
    name: OptimizerName, groups: Iterable[Iterable[nn.Parameter]], learning_rate: float, weight_decay: float
) -> torch.optim.Optimizer:
    """Return AdamW (Loshchilov and Hutter 2019), or plain gradient descent, whose weights are to be averaged.

    Both in their fused form; that of AdamW costs a sixth of the plain one on a CPU. The second moment's rate is 0.99: a
    run is a few thousand steps long.

    Args:
        name: which one.
        groups: the parameters that have a learning rate in common; frozen ones are left out.
        learning_rate: of all groups, at first.
        weight_decay: of all parameters.
    """
    trainable = [{"params": [parameter for parameter in group if parameter.requires_grad]} for group in groups]
    if name == "nt-asgd":
        return torch.optim.SGD(trainable, lr=learning_rate, weight_decay=weight_decay, fused=True)
    return torch.optim.AdamW(trainable, lr=learning_rate, weight_decay=weight_decay, betas=(0.9, 0.99), fused=True)


def learning_rate_factor(name: OptimizerName, step: int, *, progress: float, warmup_steps: int) -> float:
    """Return the share of the full learning rate: linear warm-up, then for AdamW half a cosine down to zero.

    Args:
        name: the optimiser.
        step: steps taken so far.
        progress: the share of training that is done, in [0, 1].
        warmup_steps: steps until the full rate.
    """
    warmup = min(1.0, (step + 1) / max(1, warmup_steps))
    return warmup if name == "nt-asgd" else warmup * 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))


def should_start_average(scores: Sequence[float]) -> bool:
    """Return whether the last score is no better than the best of those five and more evaluations ago.

    Source: the non-monotone trigger of Merity, Keskar and Socher, ICLR 2018, algorithm 1.
    """
    earlier = scores[: -PATIENT_EVALUATIONS - 1]
    return bool(earlier) and scores[-1] <= max(earlier)


def learnt_tensors(model: nn.Module) -> dict[str, Tensor]:
    """Return all that training changes, by name: the weights, and the running statistics of batch normalisation."""
    tensors: dict[str, Tensor] = dict(model.named_parameters())
    for name, module in model.named_modules():
        if isinstance(module, nn.BatchNorm2d):
            tensors |= {f"{name}.{kind}": tensor for kind, tensor in module.named_buffers()}
    return tensors


class WeightAverage:
    """A running average of a network's floating-point weights (Polyak and Juditsky 1992).

    Args:
        model: the network; the average starts from its weights.
    """

    def __init__(self, model: nn.Module) -> None:
        self.tensors = {name: tensor.detach().clone() for name, tensor in learnt_tensors(model).items()}

    @torch.no_grad()
    def update(self, model: nn.Module, decay: float) -> None:
        """Take in the weights after a step.

        Args:
            model: the network.
            decay: the share of the old average that is kept.
        """
        current = learnt_tensors(model)
        averages = list(self.tensors.values())
        torch._foreach_lerp_(averages, [current[name].detach() for name in self.tensors], 1 - decay)

    @torch.no_grad()
    def swap(self, model: nn.Module) -> None:
        """Exchange the average and the network's weights; a second call restores both."""
        for name, tensor in learnt_tensors(model).items():
            held = tensor.detach().clone()
            tensor.copy_(self.tensors[name])
            self.tensors[name].copy_(held)

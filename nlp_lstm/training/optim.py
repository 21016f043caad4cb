"""The optimiser, its learning rate over time, and the average of the weights."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import Tensor, nn


def make_optimizer(parameters: Iterable[nn.Parameter], learning_rate: float, weight_decay: float) -> torch.optim.AdamW:
    """Return AdamW (Loshchilov and Hutter 2019) in its fused form, which costs a sixth of the plain one on a CPU.

    The second moment's rate is 0.99: a run is a few thousand steps long.
    """
    trainable = [parameter for parameter in parameters if parameter.requires_grad]
    return torch.optim.AdamW(trainable, lr=learning_rate, weight_decay=weight_decay, betas=(0.9, 0.99), fused=True)


def learning_rate_factor(step: int, *, progress: float, warmup_steps: int) -> float:
    """Return the share of the full learning rate: linear warm-up, then half a cosine down to zero.

    Args:
        step: steps taken so far.
        progress: the share of training that is done, in [0, 1].
        warmup_steps: steps until the full rate.
    """
    return min(1.0, (step + 1) / max(1, warmup_steps)) * 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))


class WeightAverage:
    """An exponential moving average of a network's floating-point weights (Polyak and Juditsky 1992).

    Args:
        model: the network; the average starts from its weights.
        decay: the share of the old average kept at each step; less in the first steps, when little has been seen.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.tensors: dict[str, Tensor] = {
            name: parameter.detach().clone() for name, parameter in model.named_parameters()
        }

    @torch.no_grad()
    def update(self, model: nn.Module, step: int) -> None:
        """Take in the weights after step number ``step``, counted from 1."""
        decay = min(self.decay, (step + 1) / (step + 10))
        current = dict(model.named_parameters())
        averages = list(self.tensors.values())
        torch._foreach_lerp_(averages, [current[name].detach() for name in self.tensors], 1 - decay)

    @torch.no_grad()
    def swap(self, model: nn.Module) -> None:
        """Exchange the average and the network's weights; a second call restores both."""
        for name, parameter in model.named_parameters():
            held = parameter.detach().clone()
            parameter.copy_(self.tensors[name])
            self.tensors[name].copy_(held)

"""Several models that write one text together: at each step the mean of their probabilities."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from nlp_lstm.decoding.beam import Step
from nlp_lstm.decoding.search import DecoderState


def join_steps(steps: Sequence[Step]) -> Step:
    """Return the step of several models whose tokens are the same.

    Its state is the tuple of their states. Of one model the logits are its own; of several they are the logarithm of
    the mean probability.

    Args:
        steps: one of each model.
    """

    def step(tokens: Tensor, state: DecoderState) -> tuple[Tensor, DecoderState]:
        made = [one(tokens, part) for one, part in zip(steps, state, strict=True)]
        states = tuple(part for _, part in made)
        if len(made) == 1:
            return made[0][0], states
        log_probs = torch.stack([logits.float().log_softmax(dim=1) for logits, _ in made])
        return log_probs.logsumexp(dim=0) - math.log(len(made)), states

    return step

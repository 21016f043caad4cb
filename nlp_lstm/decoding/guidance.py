"""Writing about something: what a text is to be about weighs more than the model itself gives it.

Source: Ho and Salimans, "Classifier-Free Diffusion Guidance", arXiv:2207.12598 (2022), equation 6; for language models
Sanchez et al., "Stay on topic with Classifier-Free Guidance", ICML 2024.
"""

from __future__ import annotations

import torch
from torch import Tensor

from nlp_lstm.decoding.beam import Step
from nlp_lstm.decoding.search import DecoderState


def guide(step: Step, strength: float, plain_tokens: dict[int, int]) -> Step:
    """Return a step that goes further where two readings of the same text differ.

    With ``p`` the step's probabilities of what it is told to write about, and ``q`` of the same text without being
    told, the next token has a probability in proportion to ``p * (p / q) ** strength``.

    Args:
        step: one step of the model; gives log-probabilities.
        strength: 0 leaves the model as it is.
        plain_tokens: a token that says what to write about, to the one that stands in its place where nothing is said.

    Returns:
        A step whose state is a pair: that of the told reading, that of the plain one.
    """

    def guided(tokens: Tensor, state: DecoderState) -> tuple[Tensor, DecoderState]:
        told, plain = state
        plain_ids = tokens.clone()
        for token, other in plain_tokens.items():
            plain_ids[tokens == token] = other
        told_log_probs, told = step(tokens, told)
        plain_log_probs, plain = step(plain_ids, plain)
        logits = told_log_probs + strength * (told_log_probs - plain_log_probs)
        return torch.log_softmax(logits, dim=1), (told, plain)

    return guided

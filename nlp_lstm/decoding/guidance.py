"""Writing about something: what a text is to be about weighs more than the model itself gives it. Needs no torch.

Source: Ho and Salimans, "Classifier-Free Diffusion Guidance", arXiv:2207.12598 (2022), equation 6; for language models
Sanchez et al., "Stay on topic with Classifier-Free Guidance", ICML 2024.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from nlp_lstm.decoding.search import ArrayStep, DecoderState, Select

if TYPE_CHECKING:
    from numpy.typing import NDArray


def guide(step: ArrayStep, select: Select, strength: float, plain_tokens: dict[int, int]) -> tuple[ArrayStep, Select]:
    """Return a step that goes further where two readings of the same text differ.

    With ``p`` the step's probabilities of what it is told to write about, and ``q`` of the same text without being
    told, the next token has a probability in proportion to ``p * (p / q) ** strength``.

    Args:
        step: one step of the model.
        select: chooses among the rows of its state.
        strength: 0 leaves the model as it is.
        plain_tokens: a token that says what to write about, to the one that stands in its place where nothing is said.

    Returns:
        A step whose state is a pair, that of the told reading and that of the plain one; and what chooses among its
        rows.
    """

    def guided(tokens: NDArray[np.int64], state: DecoderState) -> tuple[NDArray[Any], DecoderState]:
        told, plain = state
        plain_ids = tokens.copy()
        for token, other in plain_tokens.items():
            plain_ids[tokens == token] = other
        told_log_probs, told = step(tokens, told)
        plain_log_probs, plain = step(plain_ids, plain)
        logits = told_log_probs + strength * (told_log_probs - plain_log_probs)
        logits -= logits.max(axis=1, keepdims=True)
        return logits - np.log(np.exp(logits).sum(axis=1, keepdims=True)), (told, plain)

    def select_both(state: DecoderState, rows: NDArray[np.int64], sentences: NDArray[np.int64]) -> DecoderState:
        return tuple(select(part, rows, sentences) for part in state)

    return guided, select_both

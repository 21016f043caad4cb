"""Beam search over models whose states are tensors; the search itself is in `nlp_lstm.decoding.search`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Int
from torch import Tensor

from nlp_lstm.decoding.search import ArrayStep, DecoderState, Hypothesis, Quota, Select, search

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Step = Callable[[Tensor, DecoderState], tuple[Tensor, DecoderState]]
"""One step of a model: the last tokens (`rows`) and the state give the logits (`rows vocab`) and the next state.

A state is made of tensors whose first dimension is rows, or None, in any nesting of tuples, NamedTuples, lists and
dictionaries. In a NamedTuple whose ``per_sentence`` is true the first dimension is sentences: what all beams of a
sentence have in common, such as an encoder's outputs, is neither copied nor moved."""


def select_rows(state: DecoderState, index: Int[Tensor, " rows"]) -> DecoderState:
    """Return the state of the rows in ``index``, which may leave out and repeat rows.

    Raises:
        TypeError: the state holds something other than tensors, None, tuples, lists and dictionaries.
    """
    if state is None:
        return None
    if isinstance(state, Tensor):
        return state.index_select(0, index)
    if isinstance(state, dict):
        return {key: select_rows(part, index) for key, part in state.items()}
    if isinstance(state, (tuple, list)):
        parts = [select_rows(part, index) for part in state]
        return type(state)(*parts) if hasattr(state, "_fields") else type(state)(parts)
    raise TypeError(
        f"a decoder state holds a {type(state).__name__}; it may hold tensors (rows first) and None, in tuples, "
        "NamedTuples, lists and dictionaries: keep what is not per row out of the state"
    )


def _select_beams(state: DecoderState, rows: Int[Tensor, " rows"], sentences: Int[Tensor, " sentence"]) -> DecoderState:
    """Return the state of the rows that the beams go on from; what is per sentence, of the sentences."""
    if getattr(state, "per_sentence", False):
        return state if len(sentences) == len(state[0]) else select_rows(state, sentences)
    if isinstance(state, (tuple, list)):
        parts = [_select_beams(part, rows, sentences) for part in state]
        return type(state)(*parts) if hasattr(state, "_fields") else type(state)(parts)
    if isinstance(state, dict):
        return {key: _select_beams(part, rows, sentences) for key, part in state.items()}
    return select_rows(state, rows)


def beam_search(
    step: Step,
    state: DecoderState,
    first_tokens: Int[Tensor, " batch"],
    *,
    num_beams: int,
    eos_id: int,
    max_steps: int | Sequence[int],
    length_penalty: float = 0.6,
    no_repeat_ngram_size: int = 0,
    num_return: int = 1,
    excluded_ids: Sequence[int] = (),
    quota: Quota | None = None,
) -> list[list[Hypothesis]]:
    """Search the best sequences of each row, as `nlp_lstm.decoding.search.search` does.

    Args:
        step: one step of the model, for any number of rows.
        state: the state before the first step.
        first_tokens: what each row reads first.
        num_beams: sequences searched side by side.
        eos_id: the end token.
        max_steps: the most tokens scored, the end token included; one number, or one per row.
        length_penalty: the exponent of the length that scores are divided by.
        no_repeat_ngram_size: no run of this many generated tokens comes twice; 0 allows all.
        num_return: sequences returned per row, at most ``num_beams``.
        excluded_ids: tokens that never come.
        quota: tokens that come as often as it says, as far as the steps allow.

    Raises:
        ConfigError: a number is out of its range.
    """
    array_step, select = as_arrays(step, first_tokens.device)
    return search(
        array_step,
        select,
        state,
        first_tokens.cpu().numpy(),
        num_beams=num_beams,
        eos_id=eos_id,
        max_steps=max_steps,
        length_penalty=length_penalty,
        no_repeat_ngram_size=no_repeat_ngram_size,
        num_return=num_return,
        excluded_ids=excluded_ids,
        quota=quota,
    )


def as_arrays(step: Step, device: torch.device) -> tuple[ArrayStep, Select]:
    """Return a step as searching and sampling take it, and what chooses among the rows of its state."""

    @torch.no_grad()
    def array_step(tokens: NDArray[np.int64], state: DecoderState) -> tuple[NDArray[Any], DecoderState]:
        logits, state = step(torch.from_numpy(tokens).to(device), state)
        log_probs = logits.to(torch.promote_types(logits.dtype, torch.float32)).log_softmax(dim=1)
        return log_probs.cpu().numpy(), state

    def select(state: DecoderState, rows: NDArray[np.int64], sentences: NDArray[np.int64]) -> DecoderState:
        return _select_beams(state, *(torch.from_numpy(index).to(device) for index in (rows, sentences)))

    return array_step, select

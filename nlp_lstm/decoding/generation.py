"""Generating one token after another, greedily or by drawing, in memory that does not grow."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from nlp_lstm.decoding.beam import Step, select_rows
from nlp_lstm.decoding.sampling import (
    SamplingSettings,
    block_ngrams,
    draw,
    exclude_ids,
    filter_logits,
    penalise_repetition,
)
from nlp_lstm.decoding.search import DecoderState
from nlp_lstm.errors import ConfigError

HISTORY_TIME = 512  # tokens of each row that repetition control looks back on
UNIFORMS_AT_ONCE = 64  # numbers that a row's generator gives in one call, because calls cost more than numbers


class NextTokens(NamedTuple):
    """What one step gives: the rows of the batch that go on, ascending, and the token of each."""

    rows: Int[Tensor, " going"]
    tokens: Int[Tensor, " going"]


class _History(NamedTuple):
    """The last tokens of each row, the oldest first, padded at the end."""

    tokens: Int[Tensor, "row time"]
    lengths: Int[Tensor, " row"]


def sample(
    step: Step,
    state: DecoderState,
    first_tokens: Int[Tensor, " batch"],
    settings: SamplingSettings,
    *,
    eos_id: int,
    max_steps: int,
    seeds: Sequence[int],
    excluded_ids: Sequence[int] = (),
    prompt_history: Sequence[Sequence[int]] | None = None,
) -> Iterator[NextTokens]:
    """Generate token by token, each as soon as it is asked for.

    A row that comes to the end token yields nothing in that step and leaves the batch. A row with fewer than
    ``max_steps`` tokens has therefore ended, one with as many was cut off. Each row draws from a generator of its own,
    so it says the same alone and in any batch, up to the rounding of ``step``.

    Args:
        step: one step of the model, for any number of rows.
        state: the state before the first step, as in `nlp_lstm.decoding.beam`.
        first_tokens: what each row reads first, such as the begin token or the last token of a prompt.
        settings: how tokens are drawn.
        eos_id: the end token, which is not yielded.
        max_steps: the most steps, that of the end token included.
        seeds: one per row, of which the lowest 32 bits count; greedy search ignores them.
        excluded_ids: tokens that never come.
        prompt_history: the tokens before the first one that is generated, as far as repetition control shall know
            them; default none. It looks back on the last 512 tokens, generated ones included.

    Returns:
        An iterator over the steps; it ends when all rows have ended, at the latest after ``max_steps``.

    Raises:
        ConfigError: seeds or histories that are not one per row, or no token left by ``excluded_ids``.
    """
    num_rows = len(first_tokens)
    for name, values in (("seeds", seeds), ("prompt_history", prompt_history)):
        if values is not None and len(values) != num_rows:
            raise ConfigError(f"{name} has {len(values)} entries for {num_rows} rows; give one per row")
    history = None
    if settings.repetition_penalty != 1 or settings.no_repeat_ngram_size > 0:
        history = _start_history(prompt_history or [()] * num_rows, first_tokens)
    uniforms = islice(_draw_uniforms(seeds, first_tokens.device), max_steps)
    return _generate(step, state, first_tokens, settings, eos_id, uniforms, excluded_ids, history)


@torch.no_grad()
def _generate(
    step: Step,
    state: DecoderState,
    tokens: Int[Tensor, " batch"],
    settings: SamplingSettings,
    eos_id: int,
    uniforms: Iterator[Tensor],
    excluded_ids: Sequence[int],
    history: _History | None,
) -> Iterator[NextTokens]:
    """Yield the tokens of one step for each entry of ``uniforms``, which are for the whole batch."""
    rows = torch.arange(len(tokens), device=tokens.device)
    for step_uniforms in uniforms:
        if not len(rows):
            return
        logits, state = step(tokens, state)
        logits = exclude_ids(logits, excluded_ids)
        if history is not None:
            logits = penalise_repetition(logits, history.tokens, settings.repetition_penalty, history.lengths)
            logits = block_ngrams(logits, history.tokens, settings.no_repeat_ngram_size, history.lengths)
        if settings.do_sample:
            tokens = draw(filter_logits(logits, settings), step_uniforms[rows])
        else:
            tokens = logits.argmax(dim=1)  # the lowest id among equals
        going = (tokens != eos_id).nonzero()[:, 0]
        if len(going) < len(rows):
            rows, tokens, state, history = select_rows((rows, tokens, state, history), going)
        if len(rows):
            yield NextTokens(rows=rows, tokens=tokens)
        if history is not None:
            history = _remember(history, tokens)


def _draw_uniforms(seeds: Sequence[int], device: torch.device) -> Iterator[Float[Tensor, " batch"]]:
    """Yield one number in [0, 1) per row and step, in float64, without end."""
    generators = [torch.Generator().manual_seed(seed) for seed in seeds]
    while generators:
        blocks = [torch.rand(UNIFORMS_AT_ONCE, dtype=torch.float64, generator=generator) for generator in generators]
        yield from torch.stack(blocks, dim=1).to(device)


def _start_history(prompts: Sequence[Sequence[int]], first_tokens: Int[Tensor, " batch"]) -> _History:
    tokens = first_tokens.new_zeros(len(prompts), HISTORY_TIME)
    latest = [list(prompt)[-HISTORY_TIME:] for prompt in prompts]
    for row, prompt in enumerate(latest):
        tokens[row, : len(prompt)] = torch.tensor(prompt, dtype=tokens.dtype)
    return _History(tokens, torch.tensor([len(prompt) for prompt in latest], device=tokens.device))


def _remember(history: _History, new_tokens: Int[Tensor, " row"]) -> _History:
    """Append one token to each row; a full row forgets its oldest."""
    is_full = (history.lengths == HISTORY_TIME)[:, None]
    tokens = torch.where(is_full, history.tokens.roll(-1, dims=1), history.tokens)
    lengths = (history.lengths + 1).clamp(max=HISTORY_TIME)
    return _History(tokens.scatter(1, lengths[:, None] - 1, new_tokens[:, None]), lengths)

"""Generating one token after another, greedily or by drawing, in memory that does not grow. Needs no torch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from nlp_lstm.decoding.sampling import SamplingSettings, draw, exclude_ids, filter_logits, penalise_repetition
from nlp_lstm.decoding.search import ArrayStep, DecoderState, Select, block_ngrams
from nlp_lstm.errors import ConfigError

if TYPE_CHECKING:
    from numpy.typing import NDArray

HISTORY_TIME = 512  # tokens of each row that repetition control looks back on
UNIFORMS_AT_ONCE = 64  # numbers that a row's generator gives in one call, because calls cost more than numbers
_MANTISSA = np.uint64(2**53 - 1)


class NextTokens(NamedTuple):
    """What one step gives: the rows of the batch that go on, ascending, and the token of each."""

    rows: NDArray[np.int64]
    tokens: NDArray[np.int64]


class _History(NamedTuple):
    """The last tokens of each row, `row time`, the oldest first, padded at the end."""

    tokens: NDArray[np.int64]
    lengths: NDArray[np.int64]


def sample(
    step: ArrayStep,
    select: Select,
    state: DecoderState,
    first_tokens: NDArray[np.int64],
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
        select: chooses among the rows of the model's state.
        state: the state before the first step.
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
        history = _start_history(prompt_history or [()] * num_rows)
    uniforms = islice(_draw_uniforms(seeds), max_steps)
    return _generate(step, select, state, first_tokens, settings, eos_id, uniforms, excluded_ids, history)


def _generate(
    step: ArrayStep,
    select: Select,
    state: DecoderState,
    tokens: NDArray[np.int64],
    settings: SamplingSettings,
    eos_id: int,
    uniforms: Iterator[NDArray[np.float64]],
    excluded_ids: Sequence[int],
    history: _History | None,
) -> Iterator[NextTokens]:
    """Yield the tokens of one step for each entry of ``uniforms``, which are for the whole batch."""
    rows = np.arange(len(tokens))
    for step_uniforms in uniforms:
        if not len(rows):
            return
        logits, state = step(tokens, state)
        logits = exclude_ids(logits, excluded_ids)
        if history is not None:
            logits = penalise_repetition(logits, history.tokens, settings.repetition_penalty, history.lengths)
            if settings.no_repeat_ngram_size:
                block_ngrams(logits, history.tokens, settings.no_repeat_ngram_size, history.lengths)
        if settings.do_sample:
            tokens = draw(filter_logits(logits, settings), step_uniforms[rows])
        else:
            tokens = logits.argmax(axis=1)  # the lowest id among equals
        going = np.nonzero(tokens != eos_id)[0]
        if len(going) < len(rows):
            rows, tokens = rows[going], tokens[going]
            history = None if history is None else _History(*(part[going] for part in history))
            state = select(state, going, going) if len(going) else state
        if len(rows):
            yield NextTokens(rows=rows, tokens=tokens)
        if history is not None:
            history = _remember(history, tokens)


def _draw_uniforms(seeds: Sequence[int]) -> Iterator[NDArray[np.float64]]:
    """Yield one number in [0, 1) per row and step, in float64, without end: those of torch's generators."""
    generators = [np.random.RandomState(seed % 2**32) for seed in seeds]
    while generators:
        yield from np.stack([_uniforms(generator) for generator in generators], axis=1)


def _uniforms(generator: np.random.RandomState) -> NDArray[np.float64]:
    """The next numbers of a Mersenne twister, each of 53 of the bits of two words."""
    words = generator.randint(0, 2**32, size=2 * UNIFORMS_AT_ONCE, dtype=np.uint32).astype(np.uint64)
    bits = (words[::2] << np.uint64(32)) | words[1::2]
    return (bits & _MANTISSA).astype(np.float64) * 2.0**-53


def _start_history(prompts: Sequence[Sequence[int]]) -> _History:
    tokens = np.zeros((len(prompts), HISTORY_TIME), dtype=np.int64)
    latest = [list(prompt)[-HISTORY_TIME:] for prompt in prompts]
    for row, prompt in enumerate(latest):
        tokens[row, : len(prompt)] = prompt
    return _History(tokens, np.array([len(prompt) for prompt in latest], dtype=np.int64))


def _remember(history: _History, new_tokens: NDArray[np.int64]) -> _History:
    """Append one token to each row; a full row forgets its oldest."""
    is_full = (history.lengths == HISTORY_TIME)[:, None]
    tokens = np.where(is_full, np.roll(history.tokens, -1, axis=1), history.tokens)
    lengths = np.minimum(history.lengths + 1, HISTORY_TIME)
    np.put_along_axis(tokens, lengths[:, None] - 1, new_tokens[:, None], axis=1)
    return _History(tokens, lengths)

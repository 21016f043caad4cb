"""Writing with a network that comes as two graphs: one reads, the other makes a step. Needs no torch.

    reading      what is read                     state.X (a row each), memory.X (a sentence each)
    reading on   ids, and state.X if there is     next.state.X
    a step       tokens, state.X, memory.X        log_probabilities, next.state.X, and weights, where it looks

What X is, only the graphs know. A row is a beam; the rows of a sentence stand together and share its memory.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from nlp_lstm.artifacts import STEP_GRAPH_NAME
from nlp_lstm.decoding.search import ArrayStep, Hypothesis, search
from nlp_lstm.errors import CheckpointError
from nlp_lstm.tasks.predictor import Arrays, Run, checked_output
from nlp_lstm.text.units import BOS_ID, EOS_ID

if TYPE_CHECKING:
    from numpy.typing import NDArray

STATE, MEMORY, NEXT = "state.", "memory.", "next."


class GraphState(NamedTuple):
    """What goes from step to step.

    Args:
        rows: arrays with a row for each beam.
        sentences: arrays with a row for each sentence.
    """

    rows: dict[str, NDArray[Any]]
    sentences: dict[str, NDArray[Any]]


def begin(outputs: Arrays, num_sentences: int) -> GraphState:
    """Return the state before the first step.

    Args:
        outputs: of the graph that reads.
        num_sentences: that were read.

    Raises:
        CheckpointError: it did not give a row for each.
    """
    parts = [{name: array for name, array in outputs.items() if name.startswith(kind)} for kind in (STATE, MEMORY)]
    for name, array in (parts[0] | parts[1]).items():
        if array.shape[:1] != (num_sentences,):
            raise CheckpointError(f"the network gives {list(array.shape)} as {name} of {num_sentences} texts")
    return GraphState(*parts)


def write(run: Run, state: GraphState, num_sentences: int, num_words: int, **options: Any) -> list[list[Hypothesis]]:
    """Search what is to be written.

    Args:
        run: the network.
        state: what `begin` gave.
        num_sentences: how many texts are written.
        num_words: how many words, or pieces of words, the network can write.
        options: those of `nlp_lstm.decoding.search.search`.

    Raises:
        CheckpointError: the network's answers do not fit.
    """

    return search(step_of(run, num_words), select, state, np.full(num_sentences, BOS_ID, dtype=np.int64), **options)


def read_on(run: Run, texts: Sequence[Sequence[int]], *, at_once: int) -> GraphState:
    """Return the state after each of some texts.

    Args:
        run: the network.
        texts: their ids; one without any leaves the state at its beginning.
        at_once: ids that are read in one go, so that memory does not grow with a text.

    Raises:
        CheckpointError: the network's answers do not fit.
    """
    read = [_read_on(run, text, at_once) for text in texts]
    for states in read[1:]:
        _check_like(states, read[0])
    return GraphState({name: np.concatenate([states[name] for states in read]) for name in read[0]}, {})


def _read_on(run: Run, ids: Sequence[int], at_once: int) -> dict[str, NDArray[Any]]:
    states: dict[str, NDArray[Any]] = {}
    for start in range(0, max(1, len(ids)), at_once):
        part = np.array(ids[start : start + at_once] or [EOS_ID], dtype=np.int64)[None]
        outputs = run({"ids": part, **states})
        before = states
        states = {name.removeprefix(NEXT): array for name, array in outputs.items() if name.startswith(NEXT)}
        for name, array in states.items():
            if array.ndim != 2 or len(array) != 1:
                raise CheckpointError(f"the network gives {list(array.shape)} as {name} of one text")
        _check_like(states, before or states)
    return states if len(ids) else {name: np.zeros_like(array) for name, array in states.items()}


def _check_like(states: Mapping[str, NDArray[Any]], others: Mapping[str, NDArray[Any]]) -> None:
    """Check that states have the names and shapes of others."""
    for name, array in others.items():
        checked_output(states, name, *array.shape)


def step_of(run: Run, num_words: int) -> ArrayStep:
    """Return a step of the network.

    Args:
        run: the network.
        num_words: how many words, or pieces of words, it can write.
    """

    def step(tokens: NDArray[np.int64], state: GraphState) -> tuple[NDArray[Any], GraphState]:
        outputs, state = _step(run, tokens, state)
        log_probs = checked_output(outputs, "log_probabilities", len(tokens), num_words)
        if log_probs.dtype != np.float32 or not np.isfinite(log_probs.max(axis=1)).all():
            raise CheckpointError("the network gives log-probabilities that are none; train the model again")
        return log_probs, state

    return step


def where_it_looked(
    run: Run, state: GraphState, sentence: int, targets: Sequence[Sequence[int]], num_places: int
) -> NDArray[Any]:
    """Return `target step place`: where the network looks when it writes these ids of one sentence.

    Args:
        run: the network.
        state: what `begin` gave for a batch.
        sentence: its place in the batch.
        targets: what is written, without begin and end.
        num_places: what can be looked at.

    Raises:
        CheckpointError: the network's answers do not fit.
    """
    state = select(state, np.full(len(targets), sentence), np.array([sentence]))
    width = 1 + max(map(len, targets))
    read = np.array([[BOS_ID, *ids, *[EOS_ID] * (width - 1 - len(ids))] for ids in targets], dtype=np.int64)
    looked = []
    for tokens in read.T:
        outputs, state = _step(run, tokens, state)
        weights = checked_output(outputs, "weights", len(targets), None)[:, :num_places]
        if weights.dtype != np.float32 or not np.isfinite(weights).all() or weights.shape[1] < min(1, num_places):
            raise CheckpointError("the network gives weights that are none; train the model again")
        looked.append(weights)
    if len({weights.shape for weights in looked}) > 1:
        raise CheckpointError("the network weighs more places in one step than in another; export the model again")
    return np.stack(looked, axis=1)


def _step(run: Run, tokens: NDArray[np.int64], state: GraphState) -> tuple[Arrays, GraphState]:
    outputs = run({"tokens": tokens, **state.rows, **state.sentences}, STEP_GRAPH_NAME)
    shapes = {name: (len(tokens), *array.shape[1:]) for name, array in state.rows.items()}
    rows = {name: checked_output(outputs, NEXT + name, *shape) for name, shape in shapes.items()}
    return outputs, GraphState(rows, state.sentences)


def select(state: GraphState, rows: NDArray[np.int64], sentences: NDArray[np.int64]) -> GraphState:
    """Return the state of some rows, and of the sentences that they belong to."""
    kept = state.sentences
    if any(len(array) != len(sentences) for array in kept.values()):
        kept = {name: array[sentences] for name, array in kept.items()}
    return GraphState({name: array[rows] for name, array in state.rows.items()}, kept)

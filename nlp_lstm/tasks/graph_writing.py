"""Writing with a network that comes as two graphs: one reads, the other makes a step. Needs no torch.

    reading    what is read                          state.X (a row each), memory.X (a sentence each)
    a step     tokens, state.X, memory.X             log_probabilities, next.state.X, and weights, where it looks

What X is, only the graphs know. A row is a beam; the rows of a sentence stand together and share its memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from nlp_lstm.artifacts import STEP_GRAPH_NAME
from nlp_lstm.decoding.search import Hypothesis, search
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

    def step(tokens: NDArray[np.int64], state: GraphState) -> tuple[NDArray[Any], GraphState]:
        outputs, state = _step(run, tokens, state)
        return checked_output(outputs, "log_probabilities", len(tokens), num_words), state

    return search(step, _select, state, np.full(num_sentences, BOS_ID), **options)


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
    state = _select(state, np.full(len(targets), sentence), np.array([sentence]))
    width = 1 + max(map(len, targets))
    read = np.array([[BOS_ID, *ids, *[EOS_ID] * (width - 1 - len(ids))] for ids in targets])
    looked = []
    for tokens in read.T:
        outputs, state = _step(run, tokens, state)
        looked.append(checked_output(outputs, "weights", len(targets), None)[:, :num_places])
    return np.stack(looked, axis=1)


def _step(run: Run, tokens: NDArray[np.int64], state: GraphState) -> tuple[Arrays, GraphState]:
    outputs = run({"tokens": tokens, **state.rows, **state.sentences}, STEP_GRAPH_NAME)
    shapes = {name: (len(tokens), *array.shape[1:]) for name, array in state.rows.items()}
    rows = {name: checked_output(outputs, NEXT + name, *shape) for name, shape in shapes.items()}
    return outputs, GraphState(rows, state.sentences)


def _select(state: GraphState, rows: NDArray[np.int64], sentences: NDArray[np.int64]) -> GraphState:
    kept = state.sentences
    if any(len(array) != len(sentences) for array in kept.values()):
        kept = {name: array[sentences] for name, array in kept.items()}
    return GraphState({name: array[rows] for name, array in state.rows.items()}, kept)

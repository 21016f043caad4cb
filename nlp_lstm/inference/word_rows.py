"""What a network makes of each word alone, remembered, since a few thousand words are most of any text.

Of the nodes of a graph those that read nothing but the numbers of words, such as the LSTM over a word's spelling, make
one row of features for each distinct word; where the first layer alone reads it, the row is the word's share of that
layer's gates. The kernel's rows do not depend on those beside them, so a row is the same to the last bit when it comes
from an earlier text. Convolutions sum in an order that depends on the batch: where there
are some, nothing is remembered.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from threading import Lock
from typing import NamedTuple

import numpy as np
from numpy import ndarray

from nlp_lstm.data.words import RowArrays, WordArrays
from nlp_lstm.inference.checks import Node
from nlp_lstm.tasks.predictor import Arrays

BYTES_REMEMBERED = 48_000_000
BYTES_BESIDE = 250  # of a row: its word and what Python keeps of it
_INPUTS = set(WordArrays._fields)


class WordPart(NamedTuple):
    """The part of a graph that reads words alone.

    Args:
        nodes: of the part, in their order.
        rest: the other nodes.
        output: the name of the features that they read.
    """

    nodes: list[Node]
    rest: list[Node]
    output: str


def find_word_part(
    nodes: Sequence[Node], read: Callable[[Node], Sequence[str]], known: Mapping[str, ndarray], outputs: Sequence[str]
) -> WordPart | None:
    """Return the part of a graph that reads words alone, None where there is none or it is not worth remembering.

    Args:
        nodes: of the graph, in their order.
        read: returns the names of what a node reads.
        known: what does not depend on inputs.
        outputs: of the graph.
    """
    made = set(_INPUTS)
    part: list[Node] = []
    rest: list[Node] = []
    for node in nodes:
        is_of_words = all(name in made or name in known for name in read(node))
        (part if is_of_words else rest).append(node)
        made.update(node.outputs if is_of_words else ())
    read_on = {name for node in rest for name in read(node)} | set(outputs)
    borders = (made - _INPUTS) & read_on
    operators = {node.operator for node in part}
    is_worth_it = "LSTM" in operators and "Conv" not in operators  # without LSTMs, to make rows is faster
    if len(borders) != 1 or read_on & _INPUTS or not is_worth_it:
        return None
    return WordPart(part, rest, borders.pop())


class FoundRows(NamedTuple):
    """The rows of some words.

    Args:
        table: many rows, `known features`; what is in it stays as it is.
        places: int64, `words`: where those of the words are.
    """

    table: ndarray
    places: ndarray

    def rows(self) -> ndarray:
        """Return the rows alone, `words features`."""
        found: ndarray = self.table[self.places]
        return found


class WordRows:
    """The rows of features of words. Threads may share it."""

    def __init__(self) -> None:
        self._known = _Known()
        self._lock = Lock()

    def find(self, arrays: RowArrays, make: Callable[[Arrays], ndarray]) -> FoundRows:
        """Return the features of the distinct words of a batch.

        Args:
            arrays: of the batch.
            make: returns the features of some words from their arrays; called for those that are not known yet.

        Raises:
            ValueError: the network does not make one row for each word.
        """
        known = self._known
        missing = [word for word in arrays.words if word not in known.places]
        if missing:
            made = make(arrays.features_of(missing)._asdict())
            if made.ndim != 2 or len(made) != len(missing):
                raise ValueError(f"{len(missing)} words have features of shape {made.shape}")
            known = self._remember(arrays.words, known, missing, made)
        return known.find(arrays.words)

    def _remember(self, words: Sequence[str], known: _Known, missing: Sequence[str], made: ndarray) -> _Known:
        """Add the rows of words that were missing, and return what has those of all words of a batch.

        When too much is known it begins anew with this batch; threads beside this one go on with what they have.
        """
        with self._lock:
            current = self._known
            if (len(current.places) + len(missing)) * _bytes_of(made) > BYTES_REMEMBERED:
                current = self._known = _Known()
            if current is not known:
                kept = [word for word in words if word in known.places]
                current.add(kept, known.find(kept).rows())
            current.add(missing, made)
            return current


class _Known:
    """Rows of words in one table; what is in it stays where it is."""

    def __init__(self) -> None:
        self.places: dict[str, int] = {}
        self._table: ndarray = np.empty((0, 0), np.float32)

    def find(self, words: Sequence[str]) -> FoundRows:
        """Return the rows of words that are known."""
        places = np.fromiter(map(self.places.__getitem__, words), np.int64, len(words))
        return FoundRows(self._table, places)

    def add(self, words: Sequence[str], rows: ndarray) -> None:
        """Add rows, unless another thread has."""
        new = [place for place, word in enumerate(words) if word not in self.places]
        if not new:
            return
        size = len(self.places)
        if size + len(new) > len(self._table):  # the first ones, or those of a very large batch
            num_rows = max(size + len(new), BYTES_REMEMBERED // _bytes_of(rows))
            table = np.empty((num_rows, rows.shape[1]), rows.dtype)  # takes memory only as it is filled
            if size:
                table[:size] = self._table[:size]
            self._table = table
        self._table[size : size + len(new)] = rows[new]
        self.places.update((words[place], number) for number, place in enumerate(new, start=size))  # rows are there


def _bytes_of(rows: ndarray) -> int:
    """What it takes to remember a word."""
    return int(rows[0].nbytes) + BYTES_BESIDE

"""What a network makes of each word alone, remembered, since a few thousand words are most of any text.

Of the nodes of a graph those that read nothing but the numbers of words, such as the LSTM over a word's spelling, make
one row of features for each distinct word. The kernel's rows do not depend on those beside them, so a row is the same
to the last bit when it comes from an earlier text. Convolutions sum in an order that depends on the batch: where there
are some, nothing is remembered.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy import ndarray

from nlp_lstm.data.words import WordArrays
from nlp_lstm.inference.checks import Node
from nlp_lstm.tasks.predictor import Arrays

BYTES_REMEMBERED = 32_000_000
BYTES_BESIDE = 500  # of a row: its key and what Python keeps of both
_INPUTS = set(WordArrays._fields)
_Key = tuple[bytes, bytes]


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


class WordRows:
    """The rows of features of words."""

    def __init__(self) -> None:
        self._rows: dict[_Key, ndarray] = {}

    def features(self, arrays: Arrays, make: Callable[[Arrays], ndarray]) -> ndarray:
        """Return the features of words, `words features`.

        Args:
            arrays: the fields of `WordArrays`.
            make: returns the features of some words from their arrays; called for those that are not known yet.

        Raises:
            ValueError: the network does not make one row for each word.
        """
        words = WordArrays(*(arrays[name] for name in WordArrays._fields))
        keys = _keys(words)
        rows = [self._rows.get(key) for key in keys]
        missing = [place for place, row in enumerate(rows) if row is None]
        if missing:
            longest = int(words.character_lengths[missing].max())
            some = WordArrays(*(array[missing] for array in words))
            some = some._replace(character_ids=some.character_ids[:, :longest])
            made = make(some._asdict())
            if made.ndim != 2 or len(made) != len(missing):
                raise ValueError(f"{len(missing)} words have features of shape {made.shape}")
            if (len(self._rows) + len(missing)) * (made[0].nbytes + BYTES_BESIDE) > BYTES_REMEMBERED:
                self._rows = {}  # threads beside this one go on with the old ones
            for place, row in zip(missing, made, strict=True):
                rows[place] = self._rows.setdefault(keys[place], row.copy())
        return np.array(rows)


def _keys(words: WordArrays) -> list[_Key]:
    """Return what tells each word from others."""
    numbers = np.concatenate([words.word_ids[:, None], words.vector_ids[:, None], words.affix_ids], axis=1)
    content, width = numbers.tobytes(), numbers.itemsize * numbers.shape[1]
    spelling, step = words.character_ids.tobytes(), words.character_ids.itemsize * words.character_ids.shape[1]
    size = words.character_ids.itemsize
    return [
        (content[width * place : width * (place + 1)], spelling[step * place : step * place + size * length])
        for place, length in enumerate(words.character_lengths.tolist())
    ]

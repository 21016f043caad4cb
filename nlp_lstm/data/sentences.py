"""Running text as sentences: where a line is cut, and millions of words held as a few arrays."""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from nlp_lstm.data.batch import TokenBatch, as_features
from nlp_lstm.data.words import EOS_ID, WordTable
from nlp_lstm.nn.recurrent import make_mask

if TYPE_CHECKING:
    from numpy.typing import NDArray

LONGEST_SENTENCE = 100  # words; what is longer is cut

_ENDS = frozenset((".", "!", "?"))
_CLOSING = frozenset((*_ENDS, ")", "]", "''"))


def cut_sentences(words: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Yield where the sentences of a line begin and end, end-exclusive.

    A sentence ends after ``.``, ``!`` or ``?`` and the brackets and quotation marks that close behind it. One of more
    than ``LONGEST_SENTENCE`` words is cut.

    Example:
        >>> list(cut_sentences("He left . ( So did I . ) Why ?".split()))
        [(0, 3), (3, 9), (9, 11)]
    """
    start, has_ended, is_quoted = 0, False, False
    for place, word in enumerate(words):
        is_closing = word in _CLOSING or (is_quoted and word == '"')
        if (has_ended and not is_closing) or place - start == LONGEST_SENTENCE:
            yield start, place
            start = place
            has_ended = False
        has_ended = word in _ENDS or (has_ended and is_closing)
        is_quoted ^= word == '"'
    if words:
        yield start, len(words)


class EncodedSentences:
    """The sentences of a text, each distinct word numbered in the order of its first appearance.

    Args:
        words: the distinct words.
        ids: int32, the number of each word of the text.
        ends: int64, for each sentence how many words there are up to its end.
        table: the numbers of the distinct words for the network.
        targets: int64, the id of each distinct word where it is predicted.
    """

    def __init__(
        self,
        words: Sequence[str],
        ids: NDArray[np.int32],
        ends: NDArray[np.int64],
        *,
        table: WordTable,
        targets: NDArray[np.int64],
    ) -> None:
        self.words = words
        self.ids = ids
        self.ends = ends
        self.lengths = np.diff(ends, prepend=0)
        self._table, self._targets = table, targets

    @classmethod
    def collect(
        cls,
        sentences: Iterable[Sequence[str]],
        make_table: Callable[[Sequence[str]], WordTable],
        find_targets: Callable[[Sequence[str]], Sequence[int]],
    ) -> EncodedSentences:
        """Number the words of a text.

        Args:
            sentences: the words of each; gone through once.
            make_table: gives the numbers of distinct words for the network.
            find_targets: gives the id of each distinct word where it is predicted.
        """
        numbers: dict[str, int] = {}
        ids, ends = array("i"), array("q")
        for sentence in sentences:
            ids.extend([numbers.setdefault(word, len(numbers)) for word in sentence])
            ends.append(len(ids))
        words = list(numbers)
        return cls(
            words,
            np.array(ids, dtype=np.int32),
            np.array(ends, dtype=np.int64),
            table=make_table(words),
            targets=np.array(find_targets(words), dtype=np.int64),
        )

    def __len__(self) -> int:
        return len(self.ends)

    def make_batch(self, numbers: Sequence[int]) -> TokenBatch:
        """Return some sentences with the ids of each word's "next" and "previous" one, ``<eos>`` at the two ends.

        Args:
            numbers: of the sentences.
        """
        row_lengths = self.lengths[numbers]
        row_ends = row_lengths.cumsum()
        ids = np.concatenate(
            [self.ids[self.ends[number] - self.lengths[number] : self.ends[number]] for number in numbers]
        )
        unique, index = np.unique(ids, return_inverse=True)
        targets = self._targets[ids]
        following, previous = np.roll(targets, -1), np.roll(targets, 1)
        following[row_ends - 1] = EOS_ID
        previous[row_ends - row_lengths] = EOS_ID
        lengths = torch.from_numpy(row_lengths)
        mask = make_mask(lengths, int(row_lengths.max()))

        def lay_out(values: NDArray[np.int64]) -> Int[Tensor, "batch time"]:
            return torch.zeros(mask.shape, dtype=torch.int64).masked_scatter(mask, torch.from_numpy(values))

        return TokenBatch(
            features=as_features(self._table.arrays(unique)),
            index=lay_out(index),
            lengths=lengths,
            mask=mask,
            labels={"next": lay_out(following), "previous": lay_out(previous)},
        )

    def digest(self) -> bytes:
        """Return bytes that tell this text, cut as it is, from any other."""
        digest = hashlib.sha256("\n".join(self.words).encode("utf-8", "surrogatepass"))
        digest.update(self.ids.tobytes())
        digest.update(self.ends.tobytes())
        return digest.digest()

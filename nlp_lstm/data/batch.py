"""Rows of words as tensors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from nlp_lstm.data.words import WordArrays, WordCoder, pad_rows
from nlp_lstm.nn.context import Reading
from nlp_lstm.nn.embedding import WordFeatures
from nlp_lstm.nn.recurrent import make_mask


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenBatch:
    """Rows of words as tensors.

    Args:
        features: the numbers of the batch's distinct words.
        index: for each position, which of the distinct words stands there; 0 at padding.
        lengths: real tokens per row.
        mask: True where there is a real token.
        labels: per label column the label ids, or where they were taught a distribution per token; empty when none are
            known.
        readings: the sentences as each language model reads them; empty without language models.
        states: instead of them, where they have been read before, the states of all language models side by side.
    """

    features: WordFeatures
    index: Int[Tensor, "batch time"]
    lengths: Int[Tensor, " batch"]
    mask: Bool[Tensor, "batch time"]
    labels: Mapping[str, Int[Tensor, "batch time"] | Float[Tensor, "batch time label"]]
    readings: tuple[Reading, ...] = ()
    states: Float[Tensor, "batch time states"] | None = None

    @property
    def num_tokens(self) -> int:
        """Real tokens in the batch."""
        return int(self.lengths.sum())

    def to(self, device: torch.device) -> TokenBatch:
        """Return the batch on ``device``."""
        return TokenBatch(
            features=WordFeatures(*(tensor.to(device) for tensor in self.features)),
            index=self.index.to(device),
            lengths=self.lengths.to(device),
            mask=self.mask.to(device),
            labels={column: labels.to(device) for column, labels in self.labels.items()},
            readings=tuple(Reading(*(tensor.to(device) for tensor in reading)) for reading in self.readings),
            states=None if self.states is None else self.states.to(device),
        )


class BatchMaker(WordCoder):
    """Turns rows of words into batches of tensors.

    Args:
        vocabularies: what the model knows of words.
        lower_case: whether capital letters are read as small ones.
    """

    def make_batch(
        self,
        rows: Sequence[Sequence[str]],
        labels: Mapping[str, Sequence[Sequence[int]]] | None = None,
        *,
        pad_to: int = 0,
    ) -> TokenBatch:
        """Return the batch of some rows.

        Args:
            rows: the words of each row, at least one each.
            labels: for each label column, one id per word.
            pad_to: pad to at least this many steps; answers do not depend on it.
        """
        arrays = self.make_arrays(rows, pad_to=pad_to)
        lengths = torch.from_numpy(arrays.lengths)
        time = arrays.index.shape[1]
        return TokenBatch(
            features=as_features(arrays.features),
            index=torch.from_numpy(arrays.index),
            lengths=lengths,
            mask=make_mask(lengths, time),
            labels={column: pad_ids(ids, time) for column, ids in (labels or {}).items()},
        )


def as_features(arrays: WordArrays) -> WordFeatures:
    """Return the numbers of words as tensors, without copying them."""
    return WordFeatures(*(torch.from_numpy(array) for array in arrays))


def pad_ids(rows: Sequence[Sequence[int]], time: int = 0) -> Int[Tensor, "batch time"]:
    """Return rows of unequal length as one tensor, 0 at padding, at least ``time`` steps wide."""
    return torch.from_numpy(pad_rows(rows, time))

"""Texts to translate, and in training their translations, as tensors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from nlp_lstm.text.units import BOS_ID, EOS_ID, PAD_ID


@dataclass(frozen=True, slots=True, kw_only=True)
class PairBatch:
    """Texts to translate, and in training their translations, as tensors.

    Args:
        source_ids: int64, `batch time`, each ended by ``<eos>``.
        source_lengths: int64, `batch`, real pieces of each.
        target_ids: int64, `batch step`, what the decoder reads: ``<bos>``, then the translation; None where none is
            known.
        next_ids: int64, `batch step`, what it should write: the translation, then ``<eos>``; ``<pad>`` beyond.
        copies: for each text what the marks among its pieces stand for; in use only.
    """

    source_ids: Tensor
    source_lengths: Tensor
    target_ids: Tensor | None = None
    next_ids: Tensor | None = None
    copies: tuple[tuple[str, ...], ...] = ()

    @property
    def num_tokens(self) -> int:
        """Real pieces of the source, and in training of the target."""
        count = int(self.source_lengths.sum())
        return count if self.next_ids is None else count + int((self.next_ids != PAD_ID).sum())

    def to(self, device: torch.device) -> PairBatch:
        """Return the batch on ``device``."""
        return PairBatch(
            source_ids=self.source_ids.to(device),
            source_lengths=self.source_lengths.to(device),
            target_ids=None if self.target_ids is None else self.target_ids.to(device),
            next_ids=None if self.next_ids is None else self.next_ids.to(device),
            copies=self.copies,
        )


def make_pair_batch(
    sources: Sequence[Sequence[int]], targets: Sequence[Sequence[int]] | None = None, *, pad_to: int = 0
) -> PairBatch:
    """Return ids as a padded batch.

    Args:
        sources: the pieces of each text.
        targets: those of its translation.
        pad_to: pad both sides to at least this many steps.
    """
    lengths = torch.tensor([len(source) + 1 for source in sources])
    source_ids = _pad([[*source, EOS_ID] for source in sources], pad_to)
    if targets is None:
        return PairBatch(source_ids=source_ids, source_lengths=lengths)
    return PairBatch(
        source_ids=source_ids,
        source_lengths=lengths,
        target_ids=_pad([[BOS_ID, *target] for target in targets], pad_to),
        next_ids=_pad([[*target, EOS_ID] for target in targets], pad_to),
    )


def _pad(rows: Sequence[Sequence[int]], at_least: int = 0) -> Tensor:
    width = max(at_least, *map(len, rows))
    return torch.tensor([[*row, *[PAD_ID] * (width - len(row))] for row in rows])

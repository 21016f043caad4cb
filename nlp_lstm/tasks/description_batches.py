"""Pictures or clips, and in training a sentence for each, as tensors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from nlp_lstm.text.units import PAD_ID, SPECIALS


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenBatch:
    """Pictures or clips, and in training a sentence for each, as tensors.

    Args:
        pixels: uint8, `batch height width 3`, of clips `batch time height width 3`; None with features.
        features: float32, `batch place feature`, of clips `batch time feature`; None with pixels.
        mask: bool, `batch place` or `batch time`, True where there is a place or a frame.
        target_ids: int64, `batch step`, what the decoder reads: ``<bos>``, then the words.
        next_ids: int64, `batch step`, what it should write: the words, then ``<eos>``; ``<pad>`` beyond.
        said: float32, `batch word`, the share of the picture's or clip's sentences that each word comes in.
    """

    pixels: Tensor | None
    features: Tensor | None
    mask: Tensor
    target_ids: Tensor | None = None
    next_ids: Tensor | None = None
    said: Tensor | None = None

    @property
    def num_rows(self) -> int:
        """How many pictures or clips."""
        return len(self.mask)

    @property
    def num_tokens(self) -> int:
        """Words to be written, the ends among them."""
        return 0 if self.next_ids is None else int((self.next_ids != PAD_ID).sum())

    def row(self, row: int, target_ids: Sequence[int]) -> SeenBatch:
        """Return one picture or clip as a batch, with what the decoder reads."""
        return SeenBatch(
            pixels=None if self.pixels is None else self.pixels[row : row + 1],
            features=None if self.features is None else self.features[row : row + 1],
            mask=self.mask[row : row + 1],
            target_ids=torch.tensor([target_ids], device=self.mask.device),
        )

    def to(self, device: torch.device) -> SeenBatch:
        """Return the batch on ``device``."""
        return SeenBatch(
            pixels=None if self.pixels is None else self.pixels.to(device),
            features=None if self.features is None else self.features.to(device),
            mask=self.mask.to(device),
            target_ids=None if self.target_ids is None else self.target_ids.to(device),
            next_ids=None if self.next_ids is None else self.next_ids.to(device),
            said=None if self.said is None else self.said.to(device),
        )


def share_of_sentences(sentences: Sequence[Sequence[Sequence[int]]], num_words: int) -> Tensor:
    """Return `example word`: the share of each example's sentences that a word comes in, of special ones none."""
    shares = torch.zeros(len(sentences), num_words)
    for row, several in enumerate(sentences):
        for ids in several:
            shares[row, list(set(ids))] += 1 / len(several)
    shares[:, : len(SPECIALS)] = 0
    return shares


def pad_ids(rows: Sequence[Sequence[int]]) -> Tensor:
    """Return rows of ids as one tensor, ``<pad>`` beyond their ends."""
    width = max(map(len, rows))
    return torch.tensor([[*row, *[PAD_ID] * (width - len(row))] for row in rows])

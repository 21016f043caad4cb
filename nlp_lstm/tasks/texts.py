"""Batches of whole texts."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from nlp_lstm.data.batch import TokenBatch
from nlp_lstm.tasks.classifier import Parts
from nlp_lstm.text.document import Document


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledBatch:
    """Texts as tensors.

    Args:
        tokens: the words.
        documents: the texts that they come from.
        targets: float32, `batch label`, a distribution per row; None when nothing is known.
        parts: labelled parts of the texts; None where there are none or nothing is known.
        part_targets: float32, `part label`.
    """

    tokens: TokenBatch
    documents: tuple[Document, ...]
    targets: Tensor | None
    parts: Parts | None = None
    part_targets: Tensor | None = None

    @property
    def num_tokens(self) -> int:
        """Real tokens in the batch."""
        return self.tokens.num_tokens

    def to(self, device: torch.device) -> LabelledBatch:
        """Return the batch on ``device``."""
        return LabelledBatch(
            tokens=self.tokens.to(device),
            documents=self.documents,
            targets=None if self.targets is None else self.targets.to(device),
            parts=None if self.parts is None else Parts(*(tensor.to(device) for tensor in self.parts)),
            part_targets=None if self.part_targets is None else self.part_targets.to(device),
        )

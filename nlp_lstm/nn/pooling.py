"""From the outputs of all steps to one vector per row, read at once or stretch by stretch.

A pooling reads the outputs of a stretch of steps into what it carries, so a row of any length needs the memory of one
stretch. Reading a row whole or in stretches gives the same vector.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TypeAlias

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from nlp_lstm.nn.recurrent import make_mask
from nlp_lstm.nn.settings import poolings

Carried: TypeAlias = "tuple[Tensor, ...]"
"""What a pooling keeps of the steps read so far, batch first."""

LOWEST = -1e9  # below every real output; finite, so that gradients stay numbers


class Pooling(nn.Module, ABC):
    """Reads outputs into one vector per row.

    Args:
        input_size: features of the outputs; those of the forward direction come first.
        is_bidirectional: whether the second half of the features reads the row from its end.
    """

    def __init__(self, input_size: int, *, is_bidirectional: bool) -> None:
        super().__init__()
        self.input_size = input_size
        self.is_bidirectional = is_bidirectional

    @abstractmethod
    def start(self, outputs: Float[Tensor, "batch time features"]) -> Carried:
        """Return what is carried before the first step; of ``outputs`` only batch size, type and device count."""

    @abstractmethod
    def read(
        self, carried: Carried, outputs: Float[Tensor, "batch time features"], mask: Bool[Tensor, "batch time"]
    ) -> Carried:
        """Take in a stretch of steps; rows without a real step in it stay as they are."""

    @abstractmethod
    def finish(self, carried: Carried) -> Float[Tensor, "batch features"]:
        """Return the vector of each row."""

    def forward(
        self, outputs: Float[Tensor, "batch time features"], lengths: Int[Tensor, " batch"]
    ) -> Float[Tensor, "batch features"]:
        """Read whole rows."""
        mask = make_mask(lengths, outputs.shape[1])
        return self.finish(self.read(self.start(outputs), outputs, mask))


@poolings.register("last")
class LastPooling(Pooling):
    """The last state of each direction, which has read the whole row (the lecture's many-to-one).

    For the forward direction that is the output at the last step, for the backward direction the one at the first.
    Where a row is read in stretches, the backward direction has read the first stretch only.
    """

    def start(self, outputs: Float[Tensor, "batch time features"]) -> Carried:
        return (outputs.new_zeros(outputs.shape[0], self.input_size), outputs.new_zeros(outputs.shape[0], 1))

    def read(
        self, carried: Carried, outputs: Float[Tensor, "batch time features"], mask: Bool[Tensor, "batch time"]
    ) -> Carried:
        vector, has_begun = carried
        lengths = mask.sum(dim=1)
        is_here = (lengths > 0)[:, None]
        last = (lengths - 1).clamp_min(0)[:, None, None].expand(-1, 1, outputs.shape[2])
        forward, first = outputs.gather(1, last)[:, 0], outputs[:, 0]
        if not self.is_bidirectional:
            return torch.where(is_here, forward, vector), has_begun
        size = self.input_size // 2
        backward = torch.where(has_begun.bool(), vector[:, size:], first[:, size:])
        new = torch.cat((forward[:, :size], backward), dim=1)
        return torch.where(is_here, new, vector), torch.where(is_here, torch.ones_like(has_begun), has_begun)

    def finish(self, carried: Carried) -> Float[Tensor, "batch features"]:
        return carried[0]


@poolings.register("max")
class MaxPooling(Pooling):
    """The maximum of each feature over the steps (Collobert et al. 2011; Conneau et al. 2017)."""

    def start(self, outputs: Float[Tensor, "batch time features"]) -> Carried:
        return (outputs.new_full((outputs.shape[0], self.input_size), LOWEST),)

    def read(
        self, carried: Carried, outputs: Float[Tensor, "batch time features"], mask: Bool[Tensor, "batch time"]
    ) -> Carried:
        return (torch.maximum(carried[0], outputs.masked_fill(~mask[..., None], LOWEST).amax(dim=1)),)

    def finish(self, carried: Carried) -> Float[Tensor, "batch features"]:
        return carried[0]

    def read_parts(
        self,
        outputs: Float[Tensor, "batch time features"],
        rows: Int[Tensor, " part"],
        starts: Int[Tensor, " part"],
        ends: Int[Tensor, " part"],
    ) -> Float[Tensor, "part features"]:
        """Return the maximum over each of many parts of the rows, for little more than reading the rows once.

        A part is the union of two stretches whose length is a power of two, and the maxima of all those come from a
        table, where each level is made from the one before (Bender and Farach-Colton 2000, the sparse table).

        Args:
            outputs: of all steps.
            rows: which row each part is of.
            starts: its first step.
            ends: end-exclusive.
        """
        lengths = ends - starts
        maxima, size = outputs, 1  # of the stretches of `size` steps, by their first one
        vectors, places = [], []
        while True:
            chosen = ((lengths >= size) & (lengths < 2 * size)).nonzero()[:, 0]
            first = rows[chosen] * maxima.shape[1] + starts[chosen]
            last = first + lengths[chosen] - size
            flat = maxima.flatten(0, 1)
            vectors.append(torch.maximum(flat.index_select(0, first), flat.index_select(0, last)))
            places.append(chosen)
            if 2 * size > int(lengths.max()):
                return torch.cat(vectors).index_select(0, torch.cat(places).argsort())
            maxima = torch.maximum(maxima[:, :-size], maxima[:, size:])
            size *= 2


@poolings.register("mean")
class MeanPooling(Pooling):
    """The mean of each feature over the steps."""

    def start(self, outputs: Float[Tensor, "batch time features"]) -> Carried:
        return outputs.new_zeros(outputs.shape[0], self.input_size), outputs.new_zeros(outputs.shape[0], 1)

    def read(
        self, carried: Carried, outputs: Float[Tensor, "batch time features"], mask: Bool[Tensor, "batch time"]
    ) -> Carried:
        total, count = carried
        return total + (outputs * mask[..., None]).sum(dim=1), count + mask.sum(dim=1, keepdim=True)

    def finish(self, carried: Carried) -> Float[Tensor, "batch features"]:
        total, count = carried
        return total / count


@poolings.register("attention")
class AttentionPooling(Pooling):
    """A weighted mean over the steps, with learned weights (Lin et al. 2017, one hop; Yang et al. 2016).

    The weight of a step is the softmax over steps of ``v · tanh(W h)``. Over stretches the softmax is kept with its
    running maximum, as Milakov and Gimelshein (2018) do.
    """

    def __init__(self, input_size: int, *, is_bidirectional: bool) -> None:
        super().__init__(input_size, is_bidirectional=is_bidirectional)
        self.hidden = nn.Linear(input_size, input_size)
        self.vector = nn.Linear(input_size, 1, bias=False)

    def start(self, outputs: Float[Tensor, "batch time features"]) -> Carried:
        rows = outputs.shape[0]
        peak = outputs.new_full((rows, 1), LOWEST)
        return peak, outputs.new_zeros(rows, self.input_size), outputs.new_zeros(rows, 1)

    def read(
        self, carried: Carried, outputs: Float[Tensor, "batch time features"], mask: Bool[Tensor, "batch time"]
    ) -> Carried:
        peak, total, norm = carried
        scores = self.vector(torch.tanh(self.hidden(outputs)))[..., 0].to(outputs.dtype)
        scores = scores.masked_fill(~mask, LOWEST)
        new_peak = torch.maximum(peak, scores.amax(dim=1, keepdim=True))
        weights = torch.exp(scores - new_peak) * mask
        kept = torch.exp(peak - new_peak)
        total = total * kept + (weights[..., None] * outputs).sum(dim=1)
        return new_peak, total, norm * kept + weights.sum(dim=1, keepdim=True)

    def finish(self, carried: Carried) -> Float[Tensor, "batch features"]:
        _, total, norm = carried
        return total / norm

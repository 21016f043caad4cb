"""The network of many-to-one: backbone, pooling, and one softmax over the labels.

A text is read in stretches of ``window`` words. The forward direction's state is carried from stretch to stretch
without its gradient (truncated backpropagation through time, Williams and Peng 1990); the backward direction begins
anew at the end of each stretch; the pooling goes over all of them. So a text of any length takes the memory of one
stretch in use, and the path of a gradient is never longer than a stretch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from nlp_lstm.data.batch import TokenBatch
from nlp_lstm.nn.backbone import Backbone
from nlp_lstm.nn.cells import State
from nlp_lstm.nn.pooling import Carried, MaxPooling
from nlp_lstm.nn.recurrent import Recurrent, make_mask
from nlp_lstm.nn.settings import BackboneSettings, EmbeddingSizes, poolings
from nlp_lstm.tasks.classification import check_temperature


class Stretch(NamedTuple):
    """Word vectors of some steps, and how many of them are real in each row (0 where a row has ended)."""

    embedded: Float[Tensor, "batch time embed"]
    lengths: Int[Tensor, " batch"]


class Parts(NamedTuple):
    """Parts of a batch's texts: the row of each, its first step, and the step after its last."""

    rows: Int[Tensor, " part"]
    starts: Int[Tensor, " part"]
    ends: Int[Tensor, " part"]


class Classifier(nn.Module):
    """Reads texts and gives each one score per label.

    Args:
        settings: the backbone.
        sizes: how large its vocabularies are.
        num_labels: how many labels.
        pooling: name of the pooling.
        window: words per stretch.
    """

    def __init__(
        self, settings: BackboneSettings, sizes: EmbeddingSizes, num_labels: int, *, pooling: str, window: int
    ) -> None:
        super().__init__()
        self.window = window
        self.backbone = Backbone(settings, sizes)
        size = self.backbone.output_size
        is_bidirectional = settings.encoder == "recurrent" and settings.bidirectional
        self.pooling = poolings.get(pooling)(size, is_bidirectional=is_bidirectional)
        self.output = nn.Linear(size, num_labels)
        self.temperature: Tensor  # of the softmax in use; training has 1
        self.register_buffer("temperature", torch.ones(()))
        self.register_load_state_dict_post_hook(_check_temperature)

    def forward(self, batch: Any) -> Float[Tensor, "batch label"]:
        """Return the logits of a batch's ``tokens``, a `TokenBatch`, and after them those of its ``parts``."""
        return self.read_tokens(batch.tokens, batch.parts)

    def read_tokens(self, tokens: TokenBatch, parts: Parts | None = None) -> Float[Tensor, "batch label"]:
        """Return the logits of a batch of texts, and after them those of ``parts``."""
        vectors = self.backbone.embedding.embed_words(tokens.features)
        return self.classify(lambda start, end: vectors[tokens.index[:, start:end]], tokens.lengths, parts)

    def classify(
        self,
        embed: Callable[[int, int], Float[Tensor, "batch time embed"]],
        lengths: Int[Tensor, " batch"],
        parts: Parts | None = None,
    ) -> Float[Tensor, "batch label"]:
        """Return the logits of rows whose word vectors are given stretch by stretch.

        Args:
            embed: gives the word vectors from one step to another.
            lengths: real steps per row.
            parts: parts of the rows' first stretches, whose logits follow those of the rows.
        """

        def stretches() -> Iterator[Stretch]:
            for start in range(0, int(lengths.max()), self.window):
                yield Stretch(embed(start, start + self.window), (lengths - start).clamp(0, self.window))

        return self._read(stretches(), parts)

    def read_stretches(self, batches: Iterable[TokenBatch]) -> Float[Tensor, "1 label"]:
        """Return the logits of one text that comes as one-row batches of at most ``window`` words each."""
        vectors = (Stretch(self.backbone.embedding(batch.features, batch.index), batch.lengths) for batch in batches)
        return self._read(vectors)

    def _read(self, stretches: Iterable[Stretch], parts: Parts | None = None) -> Float[Tensor, "batch label"]:
        """Read the stretches one after the other; the first is all there is in most texts."""
        carried: Carried | None = None
        of_parts: list[Tensor] = []
        states: tuple[State, ...] | None = None
        upcoming = iter(stretches)
        stretch = next(upcoming)
        while True:
            following = next(upcoming, None)
            output = self.backbone.encode(
                stretch.embedded, stretch.lengths.clamp_min(1), states, need_states=following is not None
            )
            outputs = output.outputs.to(self.output.weight.dtype)  # bfloat16 would sum too coarsely
            if carried is None:
                carried = self.pooling.start(outputs)
                if parts is not None and isinstance(self.pooling, MaxPooling):
                    of_parts = [self.pooling.read_parts(outputs, *parts)]
            carried = self.pooling.read(carried, outputs, make_mask(stretch.lengths, outputs.shape[1]))
            if following is None:
                return self.output(torch.cat([self.pooling.finish(carried), *of_parts]))
            if isinstance(self.backbone.encoder, Recurrent) and output.states is not None:
                states = self.backbone.encoder.carry(output.states)
            stretch = following


def _check_temperature(model: Classifier, _: object) -> None:
    """Refuse weights whose temperature no calibration gives; it would turn scores around or into no numbers."""
    check_temperature(float(model.temperature))

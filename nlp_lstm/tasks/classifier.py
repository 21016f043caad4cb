"""The network of many-to-one: backbone, pooling, and one softmax over the labels.

A text is read in stretches of ``window`` words. The forward direction's state is carried from stretch to stretch
without its gradient (truncated backpropagation through time, Williams and Peng 1990); the backward direction begins
anew at the end of each stretch; the pooling goes over all of them. So a text of any length takes the memory of one
stretch in use, and the path of a gradient is never longer than a stretch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Literal, NamedTuple

import torch
from jaxtyping import Float, Int
from pydantic import Field, field_validator, model_validator
from torch import Tensor, nn

from nlp_lstm.data.batch import TokenBatch
from nlp_lstm.errors import CheckpointError
from nlp_lstm.nn.backbone import Backbone, BackboneSettings
from nlp_lstm.nn.cells import State
from nlp_lstm.nn.embedding import EmbeddingSizes
from nlp_lstm.nn.pooling import Carried, MaxPooling, poolings
from nlp_lstm.nn.recurrent import Recurrent, make_mask
from nlp_lstm.tasks.calibration import HIGHEST_TEMPERATURE, LOWEST_TEMPERATURE


class ClassificationSettings(BackboneSettings):
    """The classifier: the shared backbone, a pooling over its outputs, and one softmax over the labels."""

    layers: int = Field(1, ge=1, le=64)
    """How many recurrent layers."""
    pooling: str = "max"
    """From the outputs of all words to one vector: attention, last, max, mean."""
    bptt_window: int = Field(256, ge=1, le=100_000)
    """Words read at a stretch. The state is carried over to the next stretch, the gradient is not."""
    longest: int = Field(2_048, ge=2, le=10_000_000)
    """Words of a training text that are read; of a longer one the beginning and the end, half of this each."""
    label_smoothing: float = Field(0.0, ge=0, lt=1)
    """Share of the target spread over all labels."""
    phrases: Literal["apart", "inside"] = "apart"
    """Whether labelled phrases are learnt as texts of their own, or all together where they stand in their sentence."""
    tree_rounds: int = Field(1, ge=1, le=1_000)
    """How many times a sentence with phrases inside is learnt while the other texts are gone through once."""
    class_weights: Literal["none", "balanced"] = "none"
    """Whether rare labels count more, in inverse proportion to their frequency among the texts; labels that phrases
    alone have count as the rarest one of the texts."""

    @field_validator("pooling")
    @classmethod
    def _check_pooling(cls, name: str) -> str:
        if name not in poolings:
            raise ValueError(poolings.unknown_message(name))
        return name

    @model_validator(mode="after")
    def _check_phrases(self) -> ClassificationSettings:
        if self.phrases == "inside" and self.pooling != "max":
            raise ValueError(f"phrases inside their sentence are learnt with pooling max, not {self.pooling}")
        return self


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
    temperature = float(model.temperature)
    if not LOWEST_TEMPERATURE <= temperature <= HIGHEST_TEMPERATURE:
        raise CheckpointError(
            f"the temperature is {temperature:g}; it is from {LOWEST_TEMPERATURE:g} to {HIGHEST_TEMPERATURE:g}. Train "
            "the model again"
        )

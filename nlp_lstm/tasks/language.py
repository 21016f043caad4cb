"""What language modelling hands on: its settings, parts of a text as tensors, and what was said of a line."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from nlp_lstm.data.stream import TokenStream
from nlp_lstm.decoding.beam import as_arrays
from nlp_lstm.nn.language_model import LanguageModel, pack_states
from nlp_lstm.nn.settings import CellName
from nlp_lstm.settings import Settings
from nlp_lstm.tasks.generation import READ_AT_ONCE, Start
from nlp_lstm.text.document import Document
from nlp_lstm.text.units import EOS_ID, UnitName

if TYPE_CHECKING:
    from numpy.typing import NDArray

SCORED_AT_ONCE = 256  # tokens of a text that are scored in one go


class LanguageSettings(Settings):
    """The language model."""

    unit: UnitName = "word"
    """What a token is: word, subword or character."""
    vocabulary: int = Field(50_000, ge=1, le=10_000_000)
    """At most this many words or characters, the most frequent; of subwords just as many."""
    min_count: int = Field(1, ge=1)
    """Rarer words or characters are unknown."""
    direction: Literal["forward", "backward"] = "forward"
    """Whether each token is predicted from those before it, or from those after it."""
    cell: CellName = "lstm"
    """The recurrent cell's name: rnn, rnn-relu; lstm-1997 (no forget gate), lstm, peephole, blocks (of four cells that
    share their gates), cifg (one gate for in and forget), layernorm, mogrifier; gru; sru, minlstm, mingru (no recurrent
    product, many times faster)."""
    hidden: int = Field(512, ge=1)
    """Features of the hidden state."""
    layers: int = Field(2, ge=1, le=64)
    """How many recurrent layers."""
    embed: int = Field(256, ge=1)
    """Features of a word, whose table is also that of the softmax."""
    vectors: tuple[str, ...] = ()
    """Pretrained word vectors, by name or file, that the table of words begins as."""
    cutoffs: tuple[int, ...] | None = None
    """Of the adaptive softmax: words beyond each get shorter vectors. [] for a plain softmax; null takes 4,000 and
    16,000 where the vocabulary is larger."""
    embedding_dropout: float = Field(0.1, ge=0, lt=1)
    """Share of the vocabulary that is dropped in a batch."""
    input_dropout: float = Field(0.3, ge=0, lt=1)
    """Locked dropout on the word vectors."""
    dropout: float = Field(0.3, ge=0, lt=1)
    """Locked dropout between the layers and on the outputs."""
    recurrent_dropout: float = Field(0.0, ge=0, lt=1)
    """Share of the recurrent weights that is dropped in a batch (DropConnect)."""
    activation_penalty: float = Field(0.0, ge=0)
    """Weight of the outputs' mean square in the loss (AR of Merity et al. 2017)."""
    change_penalty: float = Field(0.0, ge=0)
    """Weight of the mean square of the outputs' change from step to step (TAR)."""
    window: int = Field(70, ge=2, le=10_000)
    """Steps that a gradient goes back."""
    window_varies: bool = True
    """Whether windows are of different lengths, the longest 20 steps longer, so that no place in the text is always at
    an edge."""
    adapt: bool = True
    """Whether evaluation also measures the model when it adapts to the text that it reads."""

    @model_validator(mode="after")
    def _check_vectors(self) -> LanguageSettings:
        if self.vectors and self.unit != "word":
            raise ValueError(f"vectors are those of words, and unit is {self.unit}; leave out one of them")
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamBatch:
    """A part of a text as tensors.

    Args:
        ids: int64, `batch time`.
        next_ids: the same a step later.
        carried: the recurrent states before it, by name; empty at the beginning of a text.
    """

    ids: Tensor
    next_ids: Tensor
    carried: Mapping[str, Tensor] = field(default_factory=dict)

    @property
    def num_tokens(self) -> int:
        """Tokens that are predicted."""
        return self.next_ids.numel()

    def to(self, device: torch.device) -> StreamBatch:
        """Return the batch on ``device``."""
        carried = {name: tensor.to(device) for name, tensor in self.carried.items()}
        return StreamBatch(ids=self.ids.to(device), next_ids=self.next_ids.to(device), carried=carried)


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptBatch:
    """The beginnings of texts to be written, each with its ids."""

    prompts: tuple[Sequence[int], ...]
    documents: tuple[Document, ...]

    @property
    def num_tokens(self) -> int:
        """Tokens in all of them."""
        return sum(map(len, self.prompts))

    def to(self, device: torch.device) -> PromptBatch:
        """Return the batch as it is; its tensors are made later."""
        return self


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LinePrediction:
    """What a language model says of one line that it reads.

    Args:
        log_probability: float32, nats, of each token in the order read, the end of the line last.
        adapted: the same from each way of adapting to the text, by its name.
    """

    log_probability: NDArray[np.float32]
    adapted: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)


def average_lines(lines: Sequence[LinePrediction]) -> LinePrediction:
    """Return what several models say of one line together: the mean of their probabilities of each token."""

    def mean(scores: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
        found: NDArray[np.float32] = np.logaddexp.reduce(np.stack(scores), axis=0) - np.float32(math.log(len(scores)))
        return found

    return LinePrediction(
        log_probability=mean([line.log_probability for line in lines]),
        adapted={
            name: mean([line.adapted[name] for line in lines])
            for name in lines[0].adapted
            if all(name in line.adapted for line in lines)
        },
    )


def score_stream(model: LanguageModel, stream: TokenStream) -> NDArray[np.float32]:
    """Return the log-probability of every id of a stream but the first, in nats, each after all before it.

    Args:
        model: the network, which is left in evaluation mode.
        stream: the text.
    """
    model.eval()
    scores = []
    carried: Mapping[str, Tensor] = {}
    with torch.inference_mode():
        for part in stream.plan(SCORED_AT_ONCE, window=SCORED_AT_ONCE):
            ids = torch.from_numpy(stream.read(part))
            batch = StreamBatch(ids=ids[:, :-1], next_ids=ids[:, 1:], carried=carried)
            outputs = model(batch)
            carried = pack_states(outputs.states)
            scores.append(outputs.log_probability[0].float().numpy())
    return np.concatenate(scores)


@torch.inference_mode()
def start_writing(model: LanguageModel, prompts: Sequence[Sequence[int]]) -> Start:
    """Read each beginning but its last token, one by one.

    A long one is read in stretches, so that memory does not grow with it.

    Args:
        model: the network in evaluation mode.
        prompts: the ids of each beginning; none begins a line.
    """
    rows = []
    for prompt in prompts:
        ids = torch.tensor([[EOS_ID, *prompt]])[:, :-1]
        states = model.initial_states()
        for start in range(0, ids.shape[1], READ_AT_ONCE):
            states = model.read(ids[:, start : start + READ_AT_ONCE], states).states
        rows.append(states)
    joined = tuple(
        type(layer[0])(*(torch.cat(parts) for parts in zip(*layer, strict=True))) for layer in zip(*rows, strict=True)
    )

    def step(tokens: Tensor, states: Any) -> tuple[Tensor, Any]:
        read = model.read(tokens[:, None], states)
        return model.words.log_probabilities(read.outputs[:, 0]), read.states

    last_tokens = np.array([prompt[-1] if len(prompt) else EOS_ID for prompt in prompts])
    return Start(*as_arrays(step, torch.device("cpu")), joined, last_tokens)


def network_of(model: nn.Module) -> LanguageModel:
    """The network as what `build_model` makes."""
    if not isinstance(model, LanguageModel):
        raise TypeError(f"{type(model).__name__} is no LanguageModel")
    return model

"""What language modelling hands on: parts of a text as tensors, what was said of a line, and where writing begins."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from nlp_lstm.data.stream import TokenStream
from nlp_lstm.decoding.beam import as_arrays
from nlp_lstm.nn.language_model import LanguageModel, pack_states
from nlp_lstm.tasks.generation import READ_AT_ONCE, Start
from nlp_lstm.text.document import Document
from nlp_lstm.text.units import EOS_ID

if TYPE_CHECKING:
    from numpy.typing import NDArray

SCORED_AT_ONCE = 256  # tokens of a text that are scored in one go


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
    """The beginnings of texts to be written."""

    documents: tuple[Document, ...]

    @property
    def num_tokens(self) -> int:
        """Words in all of them."""
        return sum(map(len, self.documents))

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

    last_tokens = np.array([prompt[-1] if len(prompt) else EOS_ID for prompt in prompts], dtype=np.int64)
    return Start(*as_arrays(step, torch.device("cpu")), joined, last_tokens)


def network_of(model: nn.Module) -> LanguageModel:
    """The network as what `build_model` makes."""
    if not isinstance(model, LanguageModel):
        raise TypeError(f"{type(model).__name__} is no LanguageModel")
    return model

"""A language model that adapts to the text it reads: it remembers words, or goes on learning.

Every token is scored first and read afterwards, so nothing is known of it when it is scored. The figures are those of
the text alone, in its order, and are reported apart from the model's own.

    cache     the words that followed in similar states before come again (Grave, Joulin and Usunier, ICLR 2017)
    dynamic   a step of gradient descent after each few tokens, and a pull back to the trained weights (Krause et al.,
              ICML 2018; plain gradients here, whose scale needs nothing from the training text)
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from nlp_lstm.data.stream import TokenStream
from nlp_lstm.nn.language_model import LanguageModel

if TYPE_CHECKING:
    from numpy.typing import NDArray

CACHE, DYNAMIC, BOTH = "continuous cache", "dynamic evaluation", "dynamic evaluation and cache"
ADAPTATIONS = (CACHE, DYNAMIC, BOTH)

CACHE_SIZE = 2_000  # tokens remembered
DYNAMIC_WINDOW = 20  # tokens between two steps of learning
CLIP_NORM = 1.0
TUNING_TOKENS = 8_000  # of the development text
_FLATNESS = (0.2, 0.4, 0.8, 1.6)
_CACHE_WEIGHTS = (0.05, 0.1, 0.15, 0.2, 0.3)
_RATES = (0.1, 0.3, 0.6, 1.0, 1.5)
_PULLS = (0.0, 0.001, 0.003, 0.01)


class Adaptation(NamedTuple):
    """How a model adapts.

    Args:
        flatness: what the products of hidden states are multiplied with in the cache's softmax.
        cache_weight: the cache's share in a token's probability, in [0, 1).
        rate: the learning rate.
        pull: the share of the way back to the trained weights in each step.
    """

    flatness: float
    cache_weight: float
    rate: float
    pull: float


class _Read(NamedTuple):
    """What reading a text left: each token's log-probability, and the state before it."""

    log_probability: Float[Tensor, " time"]
    hidden: Float[Tensor, "time hidden"]


def score_adaptively(model: LanguageModel, stream: TokenStream) -> dict[str, NDArray[np.float32]]:
    """Return the log-probability of every id but the first, in nats, by each way of adapting.

    Args:
        model: the network, tuned by `tune_adaptation`; its weights are the same before and after.
        stream: the text.
    """
    adaptation = Adaptation(*model.adaptation.tolist())
    ids = torch.from_numpy(stream.ids.astype(np.int64))
    still, learning = _read(model, ids, None), _read(model, ids, adaptation)
    scores = {
        CACHE: _mix(still.log_probability, _cache(still.hidden, ids[1:], adaptation.flatness), adaptation),
        DYNAMIC: learning.log_probability,
        BOTH: _mix(learning.log_probability, _cache(learning.hidden, ids[1:], adaptation.flatness), adaptation),
    }
    return {name: values.numpy() for name, values in scores.items()}


def tune_adaptation(model: LanguageModel, stream: TokenStream) -> None:
    """Choose the numbers of `Adaptation` that do best on development text, and keep them in the network.

    Args:
        model: the network.
        stream: the text, of which the beginning is read.
    """
    ids = torch.from_numpy(stream.ids[: TUNING_TOKENS + 1].astype(np.int64))
    still = _read(model, ids, None)
    caches = {flatness: _cache(still.hidden, ids[1:], flatness) for flatness in _FLATNESS}
    flatness, cache_weight = _best(
        [(flatness, weight) for flatness in _FLATNESS for weight in _CACHE_WEIGHTS],
        lambda choice: _mix(still.log_probability, caches[choice[0]], Adaptation(*choice, 0.0, 0.0)),
    )

    def learn(choice: tuple[float, float]) -> Float[Tensor, " time"]:
        return _read(model, ids, Adaptation(flatness, cache_weight, *choice)).log_probability

    rate, _ = _best([(rate, 0.0) for rate in _RATES], learn)
    rate, pull = _best([(rate, pull) for pull in _PULLS], learn)
    model.adaptation.copy_(torch.tensor([flatness, cache_weight, rate, pull]))


def _best(
    choices: list[tuple[float, float]], score: Callable[[tuple[float, float]], Float[Tensor, " time"]]
) -> tuple[float, float]:
    """The choice with the highest mean log-probability; a score that is no number loses."""

    def mean(choice: tuple[float, float]) -> float:
        value = float(score(choice).mean(dtype=torch.float64))
        return value if math.isfinite(value) else -math.inf

    return max(choices, key=mean)


def _read(model: LanguageModel, ids: Int[Tensor, " time1"], adaptation: Adaptation | None) -> _Read:
    """Read a text window by window; with an adaptation, learn from each window after it was scored."""
    model.eval()
    trained = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    scores, hidden = [], []
    states = None
    try:
        for start in range(0, len(ids) - 1, DYNAMIC_WINDOW):
            window = ids[None, start : start + DYNAMIC_WINDOW + 1]
            with torch.set_grad_enabled(adaptation is not None):
                read = model.read(window[:, :-1], states)
                log_probability = model.words.log_probability(read.outputs[0], window[0, 1:])
            scores.append(log_probability.detach())
            hidden.append(read.hidden[0].detach())
            states = tuple(type(state)(*(part.detach() for part in state)) for state in read.states)
            if adaptation is not None:
                _learn(model, log_probability, trained, adaptation)
    finally:
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                parameter.copy_(trained[name])
    return _Read(torch.cat(scores), torch.cat(hidden))


def _learn(
    model: LanguageModel,
    log_probability: Float[Tensor, " time"],
    trained: Mapping[str, Tensor],
    adaptation: Adaptation,
) -> None:
    """Take one step of gradient descent on a window, and some of the way back to the trained weights."""
    parameters = dict(model.named_parameters())
    found = torch.autograd.grad(-log_probability.mean(), list(parameters.values()), allow_unused=True)
    reached = {name: gradient for name, gradient in zip(parameters, found, strict=True) if gradient is not None}
    norm = torch.stack(torch._foreach_norm(list(reached.values()))).norm()
    factor = adaptation.rate * min(1.0, CLIP_NORM / max(1e-12, float(norm)))
    with torch.no_grad():
        torch._foreach_add_([parameters[name] for name in reached], list(reached.values()), alpha=-factor)
        if adaptation.pull:
            torch._foreach_lerp_(list(parameters.values()), [trained[name] for name in parameters], adaptation.pull)


def _cache(
    hidden: Float[Tensor, "time hidden"], next_ids: Int[Tensor, " time"], flatness: float
) -> Float[Tensor, " time"]:
    """Return the probability of each token by what followed similar states among the tokens before it."""
    probabilities = []
    time = len(next_ids)
    for start in range(0, time, CACHE_SIZE // 4):
        end = min(time, start + CACHE_SIZE // 4)
        first = max(0, start - CACHE_SIZE)
        similarity = flatness * hidden[start:end] @ hidden[first:end].T
        places, earlier = torch.arange(start, end)[:, None], torch.arange(first, end)[None]
        is_remembered = (earlier < places) & (earlier >= places - CACHE_SIZE)
        weights = similarity.masked_fill(~is_remembered, -1e9).softmax(dim=1) * is_remembered
        is_same = next_ids[first:end][None] == next_ids[start:end][:, None]
        probabilities.append((weights * is_same).sum(dim=1))
    return torch.cat(probabilities)


def _mix(
    log_probability: Float[Tensor, " time"], cached: Float[Tensor, " time"], adaptation: Adaptation
) -> Float[Tensor, " time"]:
    """Mix the model's probabilities with the cache's; the first token has no cache yet.

    In logarithms, so that what is too improbable for a probability in fp32 keeps its log-probability.
    """
    weight = log_probability.new_tensor(adaptation.cache_weight)
    mixed = torch.logaddexp(log_probability + torch.log1p(-weight), cached.log() + weight.log())
    return torch.cat((log_probability[:1], mixed[1:]))

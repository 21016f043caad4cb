"""Where a decoder looks: the source positions weighted by how well they answer a query.

    scores   = score(queries, keys)                batch step time
    weights  = softmax of the scores over time     batch step time
    contexts = weights · values                    batch step context

All kinds take any number of queries at once: a decoder that feeds its output back asks with one, else with all.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from nlp_lstm.errors import ConfigError
from nlp_lstm.nn.cells.product import Rows, bring_rows, compare_rows, rows_for_steps
from nlp_lstm.nn.settings import attentions

NUM_HEADS = 4  # of multi-head attention


class Memory(NamedTuple):
    """What a decoder can look at, made once for each source.

    Args:
        keys: what a query is compared with, `batch time keys`.
        values: what is brought back, `batch time values`.
        mask: True where the source has a token.
        words: what is also brought back of each place, `batch time features`: the vector that it has before it is read
            in its context, behind the values again where one product brings both.
    """

    keys: Rows
    values: Rows
    mask: Bool[Tensor, "batch time"]
    words: Rows | None = None

    @property
    def per_sentence(self) -> bool:
        """Whether a search keeps it once for all beams of a sentence."""
        return True


class Attended(NamedTuple):
    """What attention gives.

    Args:
        contexts: what was found for each query; behind it the words looked at, where the memory has them.
        weights: where; zero at padding. Of several heads, their mean.
    """

    contexts: Float[Tensor, "batch step features"]
    weights: Float[Tensor, "batch step time"]


class Attention(nn.Module):
    """The kind without weights: nothing is looked at, and all that is known of the source is the first state.

    Args:
        query_size: features of a decoder's state.
        memory_size: features of the encoder's outputs.
    """

    has_weights = False

    def __init__(self, query_size: int, memory_size: int) -> None:
        super().__init__()
        self.query_size = query_size
        self.memory_size = memory_size
        self.context_size = 0

    def prepare(self, outputs: Float[Tensor, "batch time memory"], mask: Bool[Tensor, "batch time"]) -> Memory:
        """Return what queries are asked of."""
        return Memory(keys=outputs, values=outputs, mask=mask)

    def add_words(self, memory: Memory, words: Float[Tensor, "batch time features"]) -> Memory:
        """Return a memory that also brings back what each place holds before it is read in its context.

        Raises:
            ConfigError: the kind has no weights.
        """
        raise ConfigError("attention without weights looks at no words; set model.lexical=false")

    def for_steps(self, memory: Memory, num_steps: int) -> Memory:
        """Return a memory that is asked once for each step, and whose gradient is formed once for all of them."""
        return memory

    def forward(
        self, queries: Float[Tensor, "batch step query"], memory: Memory, positions: Int[Tensor, "batch step"]
    ) -> Attended:
        """Answer queries.

        Args:
            queries: states of the decoder.
            memory: what `prepare` gave.
            positions: of the words that are written, counted from 0.
        """
        shape = (*positions.shape, memory.mask.shape[1])
        return Attended(contexts=queries.new_zeros(*positions.shape, 0), weights=queries.new_zeros(shape))


attentions.register("none")(Attention)


@attentions.register("aligned")
class AlignedAttention(Attention):
    """The n-th word written looks at the n-th word read, and at nothing beyond the last one.

    Args:
        query_size: features of a decoder's state, which is not asked.
        memory_size: features of the encoder's outputs.
    """

    def __init__(self, query_size: int, memory_size: int) -> None:
        super().__init__(query_size, memory_size)
        self.context_size = memory_size

    def forward(
        self, queries: Float[Tensor, "batch step query"], memory: Memory, positions: Int[Tensor, "batch step"]
    ) -> Attended:
        times = torch.arange(memory.mask.shape[1], device=positions.device)
        weights = ((positions[..., None] == times) & memory.mask[:, None]).to(queries.dtype)
        return Attended(contexts=bring_rows(weights, memory.values), weights=weights)


class _ScoredAttention(Attention, ABC):
    """Attention with one weight for each query and source position."""

    has_weights = True

    def __init__(self, query_size: int, memory_size: int) -> None:
        super().__init__(query_size, memory_size)
        self.context_size = memory_size

    def forward(
        self, queries: Float[Tensor, "batch step query"], memory: Memory, positions: Int[Tensor, "batch step"]
    ) -> Attended:
        weights = masked_softmax(self._scores(queries, memory.keys), memory.mask[:, None])
        brought = memory.values if memory.words is None else memory.words
        return Attended(contexts=bring_rows(weights, brought), weights=weights)

    def add_words(self, memory: Memory, words: Float[Tensor, "batch time features"]) -> Memory:
        assert isinstance(memory.values, Tensor)  # until `for_steps`
        return memory._replace(words=torch.cat((memory.values, words), dim=2))

    def for_steps(self, memory: Memory, num_steps: int) -> Memory:
        if memory.words is None:
            return memory._replace(values=rows_for_steps(memory.values, num_steps, is_compared=False))
        return memory._replace(words=rows_for_steps(memory.words, num_steps, is_compared=False))

    @abstractmethod
    def _scores(self, queries: Float[Tensor, "batch step query"], keys: Rows) -> Float[Tensor, "batch step time"]:
        """Return how well each source position answers each query, before the softmax."""


class _ComparedAttention(_ScoredAttention):
    """Attention whose score is the product of query and key."""

    def for_steps(self, memory: Memory, num_steps: int) -> Memory:
        memory = super().for_steps(memory, num_steps)
        return memory._replace(keys=rows_for_steps(memory.keys, num_steps, is_compared=True))

    def _scores(self, queries: Tensor, keys: Rows) -> Tensor:
        return compare_rows(queries, keys)


@attentions.register("dot")
class DotAttention(_ComparedAttention):
    """The score is the product of query and encoder output.

    Args:
        query_size: features of a decoder's state.
        memory_size: features of the encoder's outputs, as many.

    Raises:
        ConfigError: the sizes differ.

    Source: Luong, Pham and Manning, "Effective Approaches to Attention-based Neural Machine Translation", EMNLP 2015.
    """

    def __init__(self, query_size: int, memory_size: int) -> None:
        super().__init__(query_size, memory_size)
        if query_size != memory_size:
            raise ConfigError(
                f"attention by product compares the decoder's {query_size} features with the encoder's {memory_size}; "
                'make them equal, or set model.attention to "general"'
            )


@attentions.register("general")
class GeneralAttention(_ComparedAttention):
    """The score is the product of the query and a matrix times the encoder output.

    Args:
        query_size: features of a decoder's state.
        memory_size: features of the encoder's outputs.

    Source: Luong, Pham and Manning, EMNLP 2015.
    """

    def __init__(self, query_size: int, memory_size: int) -> None:
        super().__init__(query_size, memory_size)
        self.to_keys = nn.Linear(memory_size, query_size, bias=False)

    def prepare(self, outputs: Float[Tensor, "batch time memory"], mask: Bool[Tensor, "batch time"]) -> Memory:
        return Memory(keys=self.to_keys(outputs), values=outputs, mask=mask)


@attentions.register("additive")
class AdditiveAttention(_ScoredAttention):
    """The score is a small network of query and encoder output: v · tanh(W query + U output).

    Args:
        query_size: features of a decoder's state, and of the small network.
        memory_size: features of the encoder's outputs.

    Source: Bahdanau, Cho and Bengio, "Neural Machine Translation by Jointly Learning to Align and Translate", ICLR
    2015.
    """

    def __init__(self, query_size: int, memory_size: int) -> None:
        super().__init__(query_size, memory_size)
        self.to_keys = nn.Linear(memory_size, query_size)
        self.to_queries = nn.Linear(query_size, query_size, bias=False)
        self.weight = nn.Parameter(torch.randn(query_size) * query_size**-0.5)

    def prepare(self, outputs: Float[Tensor, "batch time memory"], mask: Bool[Tensor, "batch time"]) -> Memory:
        return Memory(keys=self.to_keys(outputs), values=outputs, mask=mask)

    def _scores(self, queries: Tensor, keys: Rows) -> Tensor:
        assert isinstance(keys, Tensor)  # `for_steps` leaves them as they are
        return torch.tanh(self.to_queries(queries)[:, :, None] + keys[:, None]) @ self.weight


@attentions.register("multi-head")
class MultiHeadAttention(Attention):
    """Several scaled products side by side, each of features of its own.

    Args:
        query_size: features of a decoder's state; a multiple of the heads.
        memory_size: features of the encoder's outputs.

    Raises:
        ConfigError: the heads do not divide the query.

    Source: Vaswani et al., "Attention Is All You Need", NeurIPS 2017, over a recurrent encoder's outputs as in Chen et
    al., "The Best of Both Worlds", ACL 2018.
    """

    has_weights = True

    def __init__(self, query_size: int, memory_size: int) -> None:
        super().__init__(query_size, memory_size)
        if query_size % NUM_HEADS:
            raise ConfigError(
                f"{query_size} features of the decoder do not make {NUM_HEADS} heads; change model.hidden"
            )
        self.context_size = query_size
        self.to_queries = nn.Linear(query_size, query_size)
        self.to_keys = nn.Linear(memory_size, query_size)
        self.to_values = nn.Linear(memory_size, query_size)

    def prepare(self, outputs: Float[Tensor, "batch time memory"], mask: Bool[Tensor, "batch time"]) -> Memory:
        return Memory(keys=self.to_keys(outputs), values=self.to_values(outputs), mask=mask)

    def add_words(self, memory: Memory, words: Float[Tensor, "batch time features"]) -> Memory:
        return memory._replace(words=words)

    def forward(
        self, queries: Float[Tensor, "batch step query"], memory: Memory, positions: Int[Tensor, "batch step"]
    ) -> Attended:
        asked, keys, values = map(_split_heads, (self.to_queries(queries), memory.keys, memory.values))
        scores = asked @ keys.transpose(2, 3) / math.sqrt(keys.shape[3])
        weights = masked_softmax(scores, memory.mask[:, None, None])
        contexts = (weights.to(values.dtype) @ values).transpose(1, 2).flatten(2)
        mean = weights.mean(dim=1)
        if memory.words is not None:
            contexts = torch.cat((contexts, bring_rows(mean, memory.words)), dim=2)
        return Attended(contexts=contexts, weights=mean)


def _split_heads(rows: Float[Tensor, "batch time features"]) -> Float[Tensor, "batch head time part"]:
    return rows.unflatten(2, (NUM_HEADS, -1)).transpose(1, 2)


def masked_softmax(
    scores: Float[Tensor, "*rows time"], mask: Bool[Tensor, "*masks time"]
) -> Float[Tensor, "*rows time"]:
    """Return the softmax over the places where ``mask`` is True, in fp32; zero elsewhere."""
    return scores.float().masked_fill(~mask, -torch.inf).softmax(dim=-1)

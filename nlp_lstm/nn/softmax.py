"""Words in and words out on the same tables, for vocabularies of any size.

A full softmax over a large vocabulary is over half of a language model's work, and its table over half of the weights,
though most of its rows are hardly ever needed. Here the frequent words have a full row and rarer words shorter ones,
cluster by cluster, and a word's probability is that of its cluster times that of the word within it.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from nlp_lstm.errors import ConfigError
from nlp_lstm.nn.cells.product import Weight, project_inputs
from nlp_lstm.nn.softmax_loss import softmax_losses

SMALLEST_ROW = 8  # features


def usual_cutoffs(num_words: int) -> tuple[int, ...]:
    """Return the cutoffs of an adaptive softmax that suit a vocabulary; none for a small one."""
    return tuple(cutoff for cutoff in (4_000, 16_000) if cutoff < 0.75 * num_words)


class WordTables(nn.Module):
    """The input vectors of words, with shorter rows for rarer ones.

    Ids count from the most frequent word. Without cutoffs all words are in one table. With cutoffs the words from one
    cutoff to the next make a cluster, whose rows have ``size / shrink**cluster`` features and a matrix up to ``size``.

    Args:
        num_words: words in the vocabulary.
        size: features of an embedded word.
        cutoffs: the first id of each further cluster, ascending.
        shrink: how many times shorter the rows of each further cluster are.

    Raises:
        ConfigError: the cutoffs do not ascend between 0 and the number of words.

    Source: adaptive input tables: Baevski and Auli, ICLR 2019.
    """

    def __init__(self, num_words: int, size: int, *, cutoffs: Sequence[int] = (), shrink: int = 2) -> None:
        super().__init__()
        bounds = [0, *cutoffs, num_words]
        if any(start >= end for start, end in pairwise(bounds)):
            raise ConfigError(
                f"the cutoffs {', '.join(map(str, cutoffs))} do not ascend between 0 and the {num_words:,} words of "
                "the vocabulary; change model.cutoffs"
            )
        self.num_words = num_words
        self.size = size
        self.bounds = tuple(pairwise(bounds))
        sizes = [max(min(SMALLEST_ROW, size), size // shrink**cluster) for cluster in range(len(self.bounds))]
        self.tables = nn.ParameterList(
            nn.Parameter(torch.randn(end - start, row_size) * row_size**-0.5)
            for (start, end), row_size in zip(self.bounds, sizes, strict=True)
        )
        self.projections = nn.ParameterList(
            nn.Parameter(torch.randn(row_size, size) * size**-0.5) for row_size in sizes[1:]
        )

    def embed(
        self, ids: Int[Tensor, "batch time"], kept: Bool[Tensor, " vocab"] | None = None
    ) -> Float[Tensor, "batch time {self.size}"]:
        """Return the input vectors of words: the rows times the root of their size.

        As weights of the softmax rows are short; as inputs they would hardly move the gates (so Vaswani et al. 2017).

        Args:
            ids: the words.
            kept: False for words whose vector is dropped everywhere (embedding dropout); None keeps all.
        """
        flat = ids.flatten()
        if len(self.bounds) == 1:
            vectors = nn.functional.embedding(flat, self.tables[0])
        else:
            vectors = self.tables[0].new_zeros(flat.shape[0], self.size)
            for cluster, (start, end) in enumerate(self.bounds):
                places = ((flat >= start) & (flat < end)).nonzero()[:, 0]
                rows = nn.functional.embedding(flat[places] - start, self.tables[cluster])
                if cluster:
                    rows = rows @ self.projections[cluster - 1]
                vectors = vectors.index_copy(0, places, rows.to(vectors.dtype))
        if kept is not None:
            vectors = vectors * (kept[flat] / kept.float().mean().clamp_min(1e-6))[:, None]
        return vectors.view(*ids.shape, self.size) * self.size**0.5

    @torch.no_grad()
    def begin_as(self, vectors: Float[Tensor, "vocab features"], known: Bool[Tensor, " vocab"]) -> None:
        """Let the rows begin as pretrained vectors, nearly: a tenth of what was random stays, to tell like words apart.

        All tables keep the same principal components, as many as their rows have room for, and the matrices turn them
        to the same directions; so a rare word stands near a frequent one that is like it.

        Args:
            vectors: one for each word.
            known: False for words without one, which stay random.
        """
        rows = vectors - vectors[known].mean(dim=0)
        rows = rows / rows[known].square().sum(dim=1).mean().sqrt().clamp_min(1e-6)  # as long as random rows are
        _, directions = torch.linalg.eigh(rows[known].T @ rows[known])
        components = rows @ directions.flip(1)[:, : self.size]
        turned = nn.init.orthogonal_(components.new_empty(components.shape[1], self.size))
        for cluster, ((start, end), table) in enumerate(zip(self.bounds, self.tables, strict=True)):
            part = components[start:end] @ turned if cluster == 0 else components[start:end, : table.shape[1]]
            padded = nn.functional.pad(part, (0, table.shape[1] - part.shape[1]))
            table.copy_(torch.where(known[start:end, None], padded + 0.1 * table, table))
            if cluster:
                self.projections[cluster - 1][: part.shape[1]] = turned[: part.shape[1]]


class TiedSoftmax(WordTables):
    """An input embedding whose tables are also the weights of the softmax over the next word.

    Without cutoffs the softmax is a plain one. With cutoffs the softmax over the first words has one more row for each
    cluster.

    Args:
        num_words: words in the vocabulary.
        size: features of an embedded word.
        cutoffs: the first id of each further cluster, ascending.
        shrink: how many times shorter the rows of each further cluster are.

    Raises:
        ConfigError: the cutoffs do not ascend between 0 and the number of words.

    Source: tied tables: Inan, Khosravi and Socher 2017, Press and Wolf 2017; the adaptive softmax: Grave et al., ICML
    2017; adaptive input tables, tied to it: Baevski and Auli, ICLR 2019.
    """

    def __init__(self, num_words: int, size: int, *, cutoffs: Sequence[int] = (), shrink: int = 2) -> None:
        super().__init__(num_words, size, cutoffs=cutoffs, shrink=shrink)
        self.clusters = nn.Parameter(torch.zeros(len(self.bounds) - 1, size))
        self.bias = nn.Parameter(torch.zeros(num_words))
        self.cluster_bias = nn.Parameter(torch.zeros(len(self.bounds) - 1))

    @torch.no_grad()
    def start_from(self, shares: Float[Tensor, " vocab"]) -> None:
        """Set the biases so that an untrained network gives each word its share in the training text.

        Args:
            shares: one per word, all above 0.
        """
        self.bias.copy_(shares.log())
        for cluster, (start, end) in enumerate(self.bounds[1:]):
            self.cluster_bias[cluster] = shares[start:end].sum().log()

    def log_probability(
        self, outputs: Float[Tensor, "items {self.size}"], ids: Int[Tensor, " items"]
    ) -> Float[Tensor, " items"]:
        """Return the log-probability of one word after each output, in nats; the work of all others is left out.

        Args:
            outputs: of the recurrent layers.
            ids: the words.
        """
        first_end = self.bounds[0][1]
        place = ids.clamp_max(first_end - 1)
        for cluster, (start, _) in enumerate(self.bounds[1:]):
            place = torch.where(ids >= start, first_end + cluster, place)
        losses = softmax_losses(outputs, *self._head_rows(), place)
        for cluster, (start, end) in enumerate(self.bounds[1:], start=1):
            places = ((ids >= start) & (ids < end)).nonzero()[:, 0]
            shortened = self._shorten(outputs[places], cluster)
            within = softmax_losses(shortened, self.tables[cluster], self.bias[start:end], ids[places] - start)
            losses = losses.index_add(0, places, within)
        return -losses

    def log_probabilities(self, outputs: Float[Tensor, "items {self.size}"]) -> Float[Tensor, "items {self.num_words}"]:
        """Return the log-probability of every word after each output, in nats."""
        head = self._head(outputs).log_softmax(dim=1)
        first_end = self.bounds[0][1]
        parts = [head[:, :first_end]]
        for cluster in range(1, len(self.bounds)):
            within = self._tail(outputs, cluster).log_softmax(dim=1)
            parts.append(head[:, first_end + cluster - 1, None] + within)
        return torch.cat(parts, dim=1)

    def mean_loss(
        self, outputs: Float[Tensor, "items {self.size}"], ids: Int[Tensor, " items"], smoothing: float = 0.0
    ) -> Float[Tensor, ""]:
        """Return the mean cross-entropy of a plain softmax, in nats.

        Args:
            outputs: of the recurrent layers.
            ids: the words.
            smoothing: share of the target spread over all words (Szegedy et al. 2016).

        Raises:
            ConfigError: there are cutoffs.
        """
        self._check_plain()
        return softmax_losses(outputs, self.tables[0], self.bias, ids, smoothing).mean()

    def logits(
        self, outputs: Float[Tensor, "items {self.size}"], rows: Weight | None = None
    ) -> Float[Tensor, "items {self.num_words}"]:
        """Return the logits of a plain softmax, in fp32.

        Args:
            outputs: of the recurrent layers.
            rows: the words' rows, where they are packed.

        Raises:
            ConfigError: there are cutoffs.
        """
        self._check_plain()
        return project_inputs(outputs[:, None], self.tables[0] if rows is None else rows, self.bias)[:, 0].float()

    def _check_plain(self) -> None:
        if len(self.bounds) > 1:
            raise ConfigError("a softmax with cutoffs has no logits of all words; set model.cutoffs to []")

    def _head_rows(self) -> tuple[Tensor, Tensor]:
        """The rows and biases of the first words and of the further clusters."""
        if len(self.bounds) == 1:
            return self.tables[0], self.bias
        end = self.bounds[0][1]
        return torch.cat((self.tables[0], self.clusters)), torch.cat((self.bias[:end], self.cluster_bias))

    def _head(self, outputs: Tensor) -> Tensor:
        """The logits of the first words and of the further clusters, in fp32."""
        return nn.functional.linear(outputs, *self._head_rows()).float()

    def _shorten(self, outputs: Tensor, cluster: int) -> Tensor:
        """What the shorter rows of one further cluster are multiplied by."""
        return nn.functional.linear(outputs, self.projections[cluster - 1])

    def _tail(self, outputs: Tensor, cluster: int) -> Tensor:
        """The logits of the words of one further cluster, in fp32."""
        start, end = self.bounds[cluster]
        return nn.functional.linear(self._shorten(outputs, cluster), self.tables[cluster], self.bias[start:end]).float()

"""A network that reads one text and writes another: encoder, attention, decoder.

    memory  = encoder(source words[source])                       batch time 2*hidden
    state   = bridge(the encoder's last states)                   batch hidden
    for each word: state    = layers([words[last word], fed], state)
                   context  = attention(state, memory)
                   fed      = tanh(combine([context, state]))     batch embed
                              + tanh(lexical(tanh(words looked at)))
                   next     = softmax(words · fed + bias)         batch vocab

The words looked at are the source words' vectors, weighted by the attention, before the encoder has read them: through
them a word's translation is learnt once for all contexts, where from the context alone a frequent word like it is often
written. The source words are the words, or where the two languages share no vocabulary a table of their own.

Source: Sutskever, Vinyals and Le, NeurIPS 2014 (encoder and decoder); Bahdanau, Cho and Bengio, ICLR 2015 (attention);
Luong, Pham and Manning, EMNLP 2015 (the combined vector, and feeding it to the next step); Nguyen and Chiang,
"Improving Lexical Choice in Neural Machine Translation", NAACL 2018 (the words looked at, which there have a softmax of
their own).
"""

from __future__ import annotations

from typing import Any, NamedTuple, cast

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from nlp_lstm.errors import ConfigError
from nlp_lstm.nn.attention import Attention, Memory
from nlp_lstm.nn.cells import Cell, State
from nlp_lstm.nn.cells.product import PackedWeight, StepWeight, Weight, can_pack, project_inputs
from nlp_lstm.nn.dropout import LockedDropout
from nlp_lstm.nn.recurrent import Recurrent, make_mask
from nlp_lstm.nn.settings import attentions
from nlp_lstm.nn.softmax import TiedSoftmax, WordTables


class DecoderState(NamedTuple):
    """What the decoder carries from word to word; rows first, so that a search can choose among rows.

    Args:
        layers: one state a layer.
        fed: the combined vector of the last word, zeros at first.
        position: how many words were written.
        memory: what is looked at; of each source once, where several rows write translations of it, next to each other.
    """

    layers: tuple[State, ...]
    fed: Float[Tensor, "batch embed"]
    position: Int[Tensor, " batch"]
    memory: Memory


class Written(NamedTuple):
    """What the decoder makes of a text whose words are given.

    Args:
        outputs: for each word what the softmax for the next one reads.
        weights: where each word looked.
    """

    outputs: Float[Tensor, "batch step embed"]
    weights: Float[Tensor, "batch step time"]


class _StepParts(NamedTuple):
    """What each step of the decoder multiplies by.

    Args:
        cells: of the layers.
        combine: the matrix of the combined vector.
        lexical: that of the words looked at, None where none are.
        words: the rows of the softmax.
    """

    cells: list[Cell]
    combine: Weight
    lexical: Weight | None
    words: Weight


class _Packed(NamedTuple):
    """Packed parts, and the versions of the weights that they were made of."""

    parts: _StepParts
    versions: list[tuple[int, int]]


class Decoder(nn.Module):
    """Writes words one by one, looking at a memory: the half that translating and describing pictures share.

    A subclass adds what reads, and then the layers.

    Args:
        num_words: words (or pieces of words) that are written.
        embed_size: features of a word.
        hidden_size: features of the state.
        feeds_input: whether a step also reads the combined vector of the step before (input feeding).
        embedding_dropout: locked dropout on the word vectors.
        dropout: locked dropout on what the layers read from each other, and on the combined vectors.
        is_squashed: whether the combined vector goes through a hyperbolic tangent.
    """

    decoder: Recurrent
    attention: Attention
    combine: nn.Linear
    lexical: nn.Linear | None
    bridge: nn.Linear | None

    def __init__(
        self,
        num_words: int,
        *,
        embed_size: int,
        hidden_size: int,
        feeds_input: bool,
        embedding_dropout: float,
        dropout: float,
        is_squashed: bool = True,
    ) -> None:
        super().__init__()
        self.hidden_size = hidden_size
        self.feeds_input = feeds_input
        self.is_squashed = is_squashed
        self.words = TiedSoftmax(num_words, embed_size)
        self.embedding_dropout = LockedDropout(embedding_dropout)
        self.dropout = LockedDropout(dropout)
        self._packed: _Packed | None = None

    def add_layers(
        self,
        *,
        cell: str,
        num_layers: int,
        attention: str,
        memory_size: int,
        start_size: int,
        lexical_size: int | None = None,
    ) -> None:
        """Add the recurrent layers, the attention, and what brings both together.

        Args:
            cell: the recurrent cell's registered name.
            num_layers: recurrent layers; 0 writes a word from the word read at its place alone.
            attention: the registered name of the kind of attention.
            memory_size: features of each place of the memory.
            start_size: features of what the first states are made of.
            lexical_size: features of the words that the memory has; None where it has none.
        """
        embed_size = self.words.size
        self.decoder = Recurrent(
            cell,
            embed_size * 2 if self.feeds_input else embed_size,
            self.hidden_size,
            num_layers=num_layers,
            is_bidirectional=False,
            dropout_rate=self.dropout.rate,
        )
        self.attention = attentions.get(attention)(self.hidden_size, memory_size)
        query_size = self.hidden_size if num_layers else 0
        self.combine = nn.Linear(self.attention.context_size + query_size, embed_size)
        self.lexical = None if lexical_size is None else nn.Linear(lexical_size, embed_size)
        num_parts = len(self._cells[0].initial_state(torch.zeros(1, 1, embed_size))) if num_layers else 0
        starts = 0 if attention == "aligned" else num_layers * num_parts
        self.bridge = nn.Linear(start_size, starts * self.hidden_size) if starts else None

    @property
    def _cells(self) -> list[Cell]:
        return [cast("Cell", layer.get_submodule("0")) for layer in self.decoder.layers]

    def start(self, memory: Memory, start: Float[Tensor, "batch features"]) -> DecoderState:
        """Return the state before the first word.

        Args:
            memory: what is looked at.
            start: what the first states of the layers are made of; they are zeros where there is no bridge.
        """
        zeros = [cell.initial_state(start[:, None]) for cell in self._cells]
        layers = tuple(zeros)
        if self.bridge is not None:
            parts = iter(torch.tanh(self.bridge(start)).split(self.hidden_size, dim=1))
            layers = tuple(type(state)(*(next(parts) for _ in state)) for state in zeros)
        return DecoderState(
            layers=layers,
            fed=start.new_zeros(start.shape[0], self.words.size),
            position=torch.zeros(start.shape[0], dtype=torch.int64, device=start.device),
            memory=memory,
        )

    def write(self, ids: Int[Tensor, "batch step"], state: DecoderState) -> Written:
        """Return what is written when the words are given (teacher forcing).

        Args:
            ids: what each step reads: the begin token, then the words.
            state: what `read` gave.
        """
        embedded = self.embedding_dropout(self.words.embed(ids))
        positions = state.position[:, None] + torch.arange(ids.shape[1], device=ids.device)
        if not self.feeds_input:
            lengths = torch.full((ids.shape[0],), ids.shape[1], device=ids.device)
            hidden = self.decoder(embedded, lengths, state.layers).outputs if state.layers else embedded[..., :0]
            attended = self.attention(hidden, state.memory, positions)
            combined = self._combine(attended.contexts, hidden, self._parts)
            return Written(self.dropout(combined), attended.weights)
        masks, parts = self._dropout_masks(embedded), self._parts
        if torch.is_grad_enabled():
            parts = self._parts_for_steps(embedded)
            state = state._replace(memory=self.attention.for_steps(state.memory, ids.shape[1]))
        outputs, weights = [], []
        for word in embedded.unbind(dim=1):
            state, attended_weights = self._step(word, state, masks, parts)
            outputs.append(state.fed)
            weights.append(attended_weights)
        return Written(torch.stack(outputs, dim=1), torch.cat(weights, dim=1))

    def step(
        self, tokens: Int[Tensor, " batch"], state: DecoderState
    ) -> tuple[Float[Tensor, "batch vocab"], DecoderState]:
        """Return the logits of the next word and the next state, for a search.

        Args:
            tokens: the last words.
            state: what the step before gave, or `read`.
        """
        embedded = self.words.embed(tokens[:, None])[:, 0]
        parts = self._parts
        state, _ = self._step(embedded, state, None, parts)
        return self.words.logits(state.fed, parts.words), state

    @property
    def _parts(self) -> _StepParts:
        """The weights as they are, or packed where no gradient is wanted and that is possible."""
        combine, words = self.combine.weight, self.words.tables[0]
        lexical = None if self.lexical is None else self.lexical.weight
        cells = self._cells
        if torch.is_grad_enabled() or torch.is_autocast_enabled(words.device.type) or not can_pack(words):
            return _StepParts(cells, combine, lexical, words)
        weights = [combine, words, *([] if lexical is None else [lexical]), *(p for c in cells for p in c.parameters())]
        versions = [(weight.data_ptr(), weight._version) for weight in weights]
        if self._packed is None or self._packed.versions != versions:
            packed_lexical = None if lexical is None else PackedWeight(lexical)
            packed_cells = [cell.packed() for cell in cells]
            parts = _StepParts(packed_cells, PackedWeight(combine), packed_lexical, PackedWeight(words))
            self._packed = _Packed(parts, versions)
        return self._packed.parts

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_packed": None}  # a copy packs its own weights

    def _parts_for_steps(self, steps: Tensor) -> _StepParts:
        """The same for a loop over steps, after which the gradients are formed once for all of them."""
        weight = self.combine.weight
        combine: Weight = StepWeight(weight, steps) if weight.requires_grad else weight
        plain = self._parts
        return plain._replace(cells=[cell.for_steps(steps) for cell in plain.cells], combine=combine)

    def _step(
        self,
        embedded: Float[Tensor, "batch embed"],
        state: DecoderState,
        masks: list[Tensor] | None,
        parts: _StepParts,
    ) -> tuple[DecoderState, Float[Tensor, "batch 1 time"]]:
        """One word: through the layers, attention, and to the combined vector."""
        inputs = torch.cat((embedded, state.fed), dim=1) if self.feeds_input else embedded
        layers = []
        for number, (cell, layer_state) in enumerate(zip(parts.cells, state.layers, strict=True)):
            stepped = cell.step(cell.project(inputs[:, None])[:, 0], layer_state)
            layers.append(stepped)
            inputs = stepped.hidden if masks is None else stepped.hidden * masks[number]
        queries = inputs if layers else inputs[:, :0]
        num_sources = state.memory.mask.shape[0]
        beams = (num_sources, inputs.shape[0] // num_sources)  # rows that look at the same source ask together
        queries = queries.unflatten(0, beams)
        attended = self.attention(queries, state.memory, state.position.unflatten(0, beams))
        fed = self._combine(attended.contexts, queries, parts).flatten(0, 1)
        if masks is not None:
            fed = fed * masks[-1]
        weights = attended.weights.flatten(0, 1)[:, None]
        return DecoderState(tuple(layers), fed, state.position + 1, state.memory), weights

    def _combine(
        self,
        contexts: Float[Tensor, "batch step features"],
        hidden: Float[Tensor, "batch step hidden"],
        parts: _StepParts,
    ) -> Float[Tensor, "batch step embed"]:
        contexts, words = contexts.tensor_split([self.attention.context_size], dim=2)
        combined = project_inputs(torch.cat((contexts, hidden), dim=2), parts.combine, self.combine.bias)
        combined = torch.tanh(combined) if self.is_squashed else combined
        if self.lexical is None or parts.lexical is None:
            return combined
        return combined + torch.tanh(project_inputs(torch.tanh(words), parts.lexical, self.lexical.bias))

    def _dropout_masks(self, embedded: Tensor) -> list[Tensor] | None:
        """One mask for the outputs of each layer and one for the combined vectors, the same at every step."""
        if not self.training or not self.dropout.rate:
            return None
        sizes = [*(cell.hidden_size for cell in self._cells), self.words.size]
        return [self.dropout(embedded.new_ones(embedded.shape[0], 1, size))[:, 0] for size in sizes]


class Translator(Decoder):
    """Encoder and decoder.

    Args:
        num_words: words (or pieces of words) that are written, and where both languages share a vocabulary also read.
        embed_size: features of a word.
        cell: the recurrent cell's registered name.
        hidden_size: features of the decoder's state; the encoder's two directions have half of them each.
        encoder_layers: recurrent layers of the encoder.
        decoder_layers: recurrent layers of the decoder; 0 writes a word from the word read at its place alone.
        is_bidirectional: whether the encoder reads from both ends.
        attention: the registered name of the kind of attention.
        feeds_input: whether a step also reads the combined vector of the step before (input feeding).
        embedding_dropout: locked dropout on the word vectors.
        dropout: locked dropout on what the layers read from each other, and on the combined vectors.
        num_source_words: words that are read, where they are others; None for a shared vocabulary.
        source_embed_size: features of a word that is read; None for as many as of one that is written.
        is_squashed: whether the combined vector goes through a hyperbolic tangent. Without it the decoder can begin as
            a language model does.
        is_lexical: whether a word that is written also depends on the vectors of those looked at; for attention with
            weights only.

    Raises:
        ConfigError: the sizes do not fit.
    """

    def __init__(
        self,
        num_words: int,
        *,
        embed_size: int,
        cell: str,
        hidden_size: int,
        encoder_layers: int,
        decoder_layers: int,
        is_bidirectional: bool = True,
        attention: str = "general",
        feeds_input: bool = True,
        embedding_dropout: float = 0.0,
        dropout: float = 0.0,
        num_source_words: int | None = None,
        source_embed_size: int | None = None,
        is_squashed: bool = True,
        is_lexical: bool = True,
    ) -> None:
        if is_bidirectional and hidden_size % 2:
            raise ConfigError(f"model.hidden is {hidden_size}; two directions need an even number")
        if decoder_layers == 0 and attention != "aligned":
            raise ConfigError('a decoder without layers reads the word at its place; set model.attention to "aligned"')
        super().__init__(
            num_words,
            embed_size=embed_size,
            hidden_size=hidden_size,
            feeds_input=feeds_input,
            embedding_dropout=embedding_dropout,
            dropout=dropout,
            is_squashed=is_squashed,
        )
        self.own_source_words = (
            None if num_source_words is None else WordTables(num_source_words, source_embed_size or embed_size)
        )
        self.encoder = Recurrent(
            cell,
            self.source_words.size,
            hidden_size // 2 if is_bidirectional else hidden_size,
            num_layers=encoder_layers,
            is_bidirectional=is_bidirectional,
            dropout_rate=dropout,
        )
        size = self.encoder.output_size
        self.add_layers(
            cell=cell,
            num_layers=decoder_layers,
            attention=attention,
            memory_size=size,
            start_size=size,
            lexical_size=self.source_words.size if is_lexical and attentions.get(attention).has_weights else None,
        )

    @property
    def source_words(self) -> WordTables:
        """The table of the words that are read."""
        return self.words if self.own_source_words is None else self.own_source_words

    def forward(self, batch: Any) -> Written:
        """Read the sources of a batch and write its targets, whose words are given.

        The batch has ``source_ids``, ``source_lengths`` and ``target_ids``, which begin with the begin token.
        """
        return self.write(batch.target_ids, self.read(batch.source_ids, batch.source_lengths))

    def read(self, ids: Int[Tensor, "batch time"], lengths: Int[Tensor, " batch"]) -> DecoderState:
        """Read sources, and return what the decoder begins with.

        Args:
            ids: padded words.
            lengths: real words a row, at least 1 each.
        """
        embedded = self.embedding_dropout(self.source_words.embed(ids))
        outputs = self.encoder(embedded, lengths).outputs
        memory = self.attention.prepare(outputs, make_mask(lengths, ids.shape[1]))
        if self.lexical is not None:
            memory = self.attention.add_words(memory, embedded)
        return self.start(memory, self.encoder.ends(outputs, lengths))

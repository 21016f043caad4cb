"""What a language model has learnt, put into the network of another task.

    language model, forward     words f   layers f1 f2
    language model, backward    words b   layers b1 b2
    task, bidirectional         words f b   layer 1: f1 reads words f, b1 words b   layer 2: f2 reads f1, b2 reads b1

    language models of the source   encoder: words f b, layers as above
    language model of the target    decoder: words, layers, softmax

    translator                      all layers, and the words of the languages that are the same

So before its first step the network computes what the two language models do, side by side; what else it has (a head,
characters, the other direction as input) begins without influence and learns its part. Of a bidirectional language
model both directions read the same words, with all that these are made of, and so do those of the task.

Source: initialisation of an encoder by language models: Dai and Le, "Semi-supervised Sequence Learning", NeurIPS 2015;
Ramachandran, Liu and Le, EMNLP 2017; Howard and Ruder, "Universal Language Model Fine-tuning", ACL 2018.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn

from nlp_lstm.errors import ConfigError
from nlp_lstm.nn.cells import Cell
from nlp_lstm.nn.embedding import WordEmbedding
from nlp_lstm.nn.language_model import LanguageModel
from nlp_lstm.nn.recurrent import Recurrent
from nlp_lstm.nn.softmax import TiedSoftmax
from nlp_lstm.nn.translator import Translator

NEVER = -30.0
"""The bias of a token that is not written: its probability is none, whatever its row is."""


class CommonRows(NamedTuple):
    """The rows of what two tables both have: in the task's, and in the language model's."""

    own: list[int]
    source: list[int]


@torch.no_grad()
def begin_direction(encoder: Recurrent, source: Recurrent, *, direction: int, first_column: int) -> None:
    """Put the layers of a net in one direction into one direction of an encoder.

    Args:
        encoder: the task's; a further layer than the source's stays as it is.
        source: the language model's.
        direction: 0 for the forward one, 1 for the backward one.
        first_column: where, among the features of the encoder's inputs, those begin that the source reads.

    Raises:
        ConfigError: cells or sizes differ.
    """
    for number, (layer, source_layer) in enumerate(zip(encoder.layers, source.layers, strict=False)):
        cell = cast("Cell", layer.get_submodule(str(direction)))
        source_cell = cast("Cell", source_layer.get_submodule("0"))
        if type(cell) is not type(source_cell) or cell.hidden_size != source_cell.hidden_size:
            raise ConfigError(
                f"the language model's layers are {type(source_cell).__name__} of {source_cell.hidden_size} features, "
                f"the task's {type(cell).__name__} of {cell.hidden_size}; set model.cell and model.hidden to the former"
            )
        start = first_column if number == 0 else direction * cell.hidden_size
        parameters = dict(cell.named_parameters())
        for name, values in source_cell.named_parameters():
            if values.shape == parameters[name].shape:
                parameters[name].copy_(values)
            else:  # a matrix that here reads (or gates) more inputs than the source does
                sizes = zip(values.shape, parameters[name].shape, strict=True)
                place = tuple(slice(None) if size == own else slice(start, start + size) for size, own in sizes)
                parameters[name].zero_()
                parameters[name][place] = values


@torch.no_grad()
def begin_half(
    words: TiedSoftmax,
    recurrent: Recurrent,
    projection: nn.Linear | None,
    source: LanguageModel,
    *,
    first_column: int = 0,
) -> None:
    """Put a language model into the encoder or the decoder of a network that translates, or the like.

    Args:
        words: of that half; in a decoder they are also the softmax.
        recurrent: its layers, in one direction or both; the language model goes into the forward one.
        projection: of a decoder, in front of the softmax; None for an encoder, or where the language model has none.
        source: the language model.
        first_column: where, among the features of the layers' inputs, the words begin.

    Raises:
        ConfigError: vocabularies, cells or sizes differ.

    Source: Ramachandran, Liu and Le, "Unsupervised Pretraining for Sequence to Sequence Learning", EMNLP 2017.
    """
    sizes, source_sizes = (
        {name: tuple(parameter.shape) for name, parameter in table.named_parameters()}
        for table in (words, source.words)
    )
    if sizes != source_sizes:
        raise ConfigError(
            f"the language model has {source.words.num_words:,} words of {source.words.size} features, the task "
            f"{words.num_words:,} of {words.size}; take the language model's vocabulary, model.embed and model.cutoffs"
        )
    begin_direction(recurrent, source.encoder, direction=0, first_column=first_column)
    words.load_state_dict(source.words.state_dict())
    if projection is not None and source.projection is not None:
        projection.load_state_dict(source.projection.state_dict())


@torch.no_grad()
def begin_encoder(translator: Translator, forward: LanguageModel | None, backward: LanguageModel | None) -> None:
    """Let the encoder of a translator read as language models of the source do, one in each direction.

    A word's vector is that of the forward model followed by that of the backward one, or that of the one there is.

    Args:
        translator: its vocabulary of the source is that of the language models.
        forward: what the forward direction begins as; None leaves it as it is.
        backward: what the backward direction begins as; None leaves it as it is.

    Raises:
        ConfigError: cells or sizes differ.
    """
    words = translator.source_words
    sources = [(0, forward), (1, backward)]
    tables = [_scaled_table(source) for _, source in sources if source is not None]
    rows = torch.cat(tables, dim=1) / words.size**0.5
    if translator.own_source_words is None or rows.shape != words.tables[0].shape:
        raise ConfigError(
            f"the language models of the source have {rows.shape[0]:,} pieces of {rows.shape[1]} features together, "
            f"the encoder {words.num_words:,} of {words.size}; set model.vocabularies=separate "
            f"model.source_embed={rows.shape[1]}"
        )
    words.tables[0].copy_(rows)
    column = 0
    for direction, source in sources:
        if source is not None:
            begin_direction(translator.encoder, source.encoder, direction=direction, first_column=column)
            column += source.words.size


@torch.no_grad()
def begin_decoder(translator: Translator, source: LanguageModel, *, begin_id: int, end_id: int) -> None:
    """Let the decoder of a translator write as a language model of the target does, whatever the source is.

    What it hears of the source, through its first state and attention, begins without influence. The begin token is
    read as the end of the line before, which language models see there.

    Args:
        translator: its vocabulary of the target is that of the language model; its combined vector is not squashed.
        source: the language model.
        begin_id: the token that the decoder reads first.
        end_id: the token that ends a line.

    Raises:
        ConfigError: cells or sizes differ.
    """
    begin_half(translator.words, translator.decoder, None, source)
    translator.words.tables[0][begin_id] = translator.words.tables[0][end_id]
    translator.words.bias[begin_id] = NEVER
    context_size = translator.attention.context_size
    translator.combine.weight.zero_()
    translator.combine.bias.zero_()
    hidden_part = torch.eye(translator.hidden_size) if source.projection is None else source.projection.weight
    translator.combine.weight[:, context_size:] = hidden_part
    for layer in (translator.bridge, translator.lexical):
        if layer is not None:
            layer.weight.zero_()
            layer.bias.zero_()


@torch.no_grad()
def begin_translator(translator: Translator, source: Translator, *, has_source: bool, has_target: bool) -> None:
    """Let a translator begin as another one of the same sizes.

    Args:
        translator: the fresh one.
        source: the other.
        has_source: whether both read the same words; else those of the fresh one stay as they are.
        has_target: whether both write the same words.

    Source: Zoph, Yuret, May and Knight, "Transfer Learning for Low-Resource Neural Machine Translation", EMNLP 2016.
    """
    for name in ("encoder", "decoder", "attention", "combine", "lexical", "bridge"):
        own, other = getattr(translator, name), getattr(source, name)
        if own is not None:
            own.load_state_dict(other.state_dict())
    if has_source:
        translator.source_words.tables[0].copy_(source.source_words.tables[0])
    if has_target:
        translator.words.load_state_dict(source.words.state_dict())


def _scaled_table(source: LanguageModel) -> Tensor:
    """The input vectors of all words, as the layers read them."""
    if len(source.words.bounds) > 1:
        raise ConfigError("the language model has shorter vectors for rare words; train it with model.cutoffs=[]")
    return source.words.tables[0] * source.words.size**0.5


@torch.no_grad()
def begin_embedding(
    embedding: WordEmbedding, source: WordEmbedding, *, words: CommonRows, characters: CommonRows, affixes: CommonRows
) -> None:
    """Put what a language model has learnt of words and their parts into the embedding of a task.

    What the language model does not know stays as it is, and so do pretrained vectors.

    Args:
        embedding: the task's.
        source: the language model's, with the same settings.
        words: the words that both know.
        characters: the characters that both know.
        affixes: the affixes that both know.
    """
    for name, rows in (("words", words), ("changes", words), ("affixes", affixes)):
        if hasattr(embedding, name):
            put_words(getattr(embedding, name), rows.own, getattr(source, name).weight[rows.source])
    if hasattr(embedding, "characters"):
        table, source_table = embedding.characters.embedding, source.characters.embedding
        put_words(table, characters.own, source_table.weight[characters.source])
        parameters = dict(embedding.characters.named_parameters())
        for name, values in source.characters.named_parameters():
            if not name.startswith("embedding."):
                parameters[name].copy_(values)


def depth_of(name: str, num_layers: int) -> int:
    """Return how far a parameter is from the answer: 0 for a head, then the layers downwards, the embedding last.

    Args:
        name: as `named_parameters` has it.
        num_layers: recurrent layers.
    """
    layer = re.search(r"(?:^|\.)encoder\.layers\.(\d+)\.", name)
    if layer:
        return num_layers - int(layer[1])
    return num_layers + 1 if re.search(r"(?:^|\.)embedding\.", name) else 0


def parameters_by_depth(model: nn.Module) -> list[list[nn.Parameter]]:
    """Return the trainable parameters of a network with a backbone, those nearest to the answer first."""
    encoders = [module for name, module in model.named_modules() if re.search(r"(?:^|\.)backbone\.encoder$", name)]
    num_layers = len(encoders[0].layers) if encoders and isinstance(encoders[0], Recurrent) else 0
    groups: list[list[nn.Parameter]] = [[] for _ in range(num_layers + 2)]
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            groups[depth_of(name, num_layers)].append(parameter)
    return [group for group in groups if group]


def put_words(table: nn.Embedding, ids: Sequence[int], vectors: Tensor) -> None:
    """Put vectors into the rows of a table.

    Args:
        table: the task's vectors of words, or of their parts.
        ids: the rows.
        vectors: float32, `row embed`.
    """
    with torch.no_grad():
        table.weight[list(ids)] = vectors

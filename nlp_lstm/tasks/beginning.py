"""Models that the network of another task begins as: whether they fit it, and how they are copied into it.

They are language models, one of each direction, which know words as such; or one bidirectional language model, which
reads words by their spelling and pretrained vectors, too, just as the task does; or a model of a task whose network has
the same backbone, such as a tagger that learnt another treebank.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from nlp_lstm.data.words import WordVocabularies
from nlp_lstm.errors import ConfigError
from nlp_lstm.nn.backbone import Backbone
from nlp_lstm.nn.bilm import BidirectionalLanguageModel
from nlp_lstm.nn.embedding import WordEmbedding
from nlp_lstm.nn.language_model import LanguageModel
from nlp_lstm.nn.recurrent import Recurrent
from nlp_lstm.nn.settings import BackboneSettings, EmbeddingSettings, WordSettings
from nlp_lstm.nn.transfer import CommonRows, begin_direction, begin_embedding, put_words
from nlp_lstm.text.document import Document
from nlp_lstm.text.units import UNK_ID, Units
from nlp_lstm.text.vocabulary import UNK, Vocabulary


@dataclass(frozen=True, slots=True, kw_only=True)
class Beginning:
    """A language model of one direction.

    Args:
        name: of the model, for messages.
        units: what it reads; words here.
        network: its network.
        is_backward: whether it reads from the end.
        language: code of the language that it models; empty where nothing depends on it.
    """

    name: str
    units: Units
    network: LanguageModel
    is_backward: bool
    language: str = ""

    def word_vectors(self, words: Sequence[str]) -> Tensor:
        """Return the input vectors of words, `word embed`.

        Of a word that the model cuts into several it is their mean, of one that it does not know that of ``<unk>``.
        """
        ids = [self.units.encode(Document.from_words([word])) for word in words]
        lengths = torch.tensor([len(pieces) for pieces in ids])
        with torch.no_grad():
            vectors = self.network.words.embed(torch.tensor([[id for pieces in ids for id in pieces]]))[0]
            sums = vectors.new_zeros(len(words), vectors.shape[1])
            return sums.index_add(0, torch.arange(len(words)).repeat_interleave(lengths), vectors) / lengths[:, None]


@dataclass(frozen=True, slots=True, kw_only=True)
class BidirectionalBeginning:
    """A bidirectional language model.

    Args:
        name: of the model, for messages.
        settings: of its network.
        words: what it knows of words and their parts.
        network: its network.
    """

    name: str
    settings: WordSettings
    words: WordVocabularies
    network: BidirectionalLanguageModel


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskBeginning:
    """A tagger or classifier: its words and layers are taken, its head is not.

    Args:
        name: of the model, for messages.
        settings: of its network.
        words: what it knows of words and their parts; all of them become known to the task, too.
        backbone: of its network.
    """

    name: str
    settings: BackboneSettings
    words: WordVocabularies
    backbone: Backbone


AnyBeginning: TypeAlias = Beginning | BidirectionalBeginning | TaskBeginning


def check_beginnings(beginnings: Sequence[Any], settings: BackboneSettings) -> None:
    """Check that a task's network can begin as these: a language model of each direction at most, or one other model.

    Raises:
        ConfigError: they do not fit the settings; says which setting to change.
    """
    names = ", ".join(beginning.name for beginning in beginnings)
    for one in beginnings:
        if not isinstance(one, (Beginning, BidirectionalBeginning, TaskBeginning)):
            raise ConfigError(f"init: {one.name} is a translator; a network that reads words cannot begin as one")
    one_way = [beginning for beginning in beginnings if isinstance(beginning, Beginning)]
    for other in beginnings:
        if not isinstance(other, Beginning):
            if len(beginnings) > 1:
                raise ConfigError(f"init: {names}: {other.name} has both directions; give it alone")
            _check_like(other, settings)
            return
    if len({beginning.is_backward for beginning in one_way}) < len(one_way):
        raise ConfigError(f"init: {names} read in the same direction; give one forward and one backward model")
    if any(beginning.units.name != "word" for beginning in one_way):
        raise ConfigError(f"init: {names}: a network that reads words can begin as models of words only")
    size = sum(beginning.network.words.size for beginning in one_way)
    if settings.embedding.words != "learned" or settings.embedding.word_size != size:
        raise ConfigError(
            f"init: {names} {'has' if len(one_way) == 1 else 'have'} word vectors of {size} features; set "
            f"model.embedding.words=learned model.embedding.word_size={size}"
        )
    if settings.encoder != "recurrent" or (not settings.bidirectional and one_way[0].is_backward):
        raise ConfigError(f"init: {names} needs recurrent layers in its direction; set model.encoder=recurrent")


def _check_like(beginning: BidirectionalBeginning | TaskBeginning, settings: BackboneSettings) -> None:
    if isinstance(beginning, BidirectionalBeginning):
        wanted: dict[str, Any] = {"encoder": "recurrent", "bidirectional": True}
        wanted |= {name: getattr(beginning.settings, name) for name in ("cell", "hidden")}
    else:
        names = ("encoder", "cell", "hidden", "layers", "bidirectional")
        wanted = {name: getattr(beginning.settings, name) for name in names}
    changes = {name: value for name, value in wanted.items() if getattr(settings, name) != value}
    for name, value in _what_matters(beginning.settings.embedding).items():
        if getattr(settings.embedding, name) != value:
            changes[f"embedding.{name}"] = value
    if changes:
        shown = " ".join(f"model.{name}={as_override(value)}" for name, value in changes.items())
        raise ConfigError(f"init: {beginning.name} reads words in another way than this network; set {shown}")


def _what_matters(embedding: EmbeddingSettings) -> dict[str, Any]:
    """The settings of an embedding that decide what its weights mean; not how many words it knows or is trained on."""
    names = ["lower_case", "words", "vectors", "characters", "affix_size"]
    names += ["word_size"] if embedding.words == "learned" else []
    names += ["vector_bits"] if embedding.vectors else []
    names += ["character_size", "character_hidden"] if embedding.characters != "none" else []
    return {name: getattr(embedding, name) for name in names}


def as_override(value: Any) -> str:
    """A setting as it is written on a command line."""
    if isinstance(value, (list, tuple)):
        return f"[{','.join(value)}]"
    return value if isinstance(value, str) else json.dumps(value)


def begin(backbone: nn.Module, beginnings: Sequence[AnyBeginning], words: WordVocabularies) -> None:
    """Copy models, which have been checked, into a fresh backbone.

    Args:
        backbone: of the task's network.
        beginnings: the models.
        words: what the task knows of words and their parts.
    """
    if not isinstance(backbone, Backbone):
        raise TypeError("the network has no backbone")
    for beginning in beginnings:
        if isinstance(beginning, TaskBeginning):
            _begin_embedding(backbone, beginning.backbone.embedding, beginning.words, words)
            _begin_encoder(backbone.encoder, beginning.backbone.encoder)
            return
    if not isinstance(backbone.encoder, Recurrent):
        raise TypeError("the network has no recurrent layers")
    for beginning in beginnings:
        if isinstance(beginning, BidirectionalBeginning):
            _begin_bidirectional(backbone, backbone.encoder, beginning, words)
            return
    _begin_one_way(backbone, backbone.encoder, [one for one in beginnings if isinstance(one, Beginning)], words)


def _begin_encoder(encoder: nn.Module, source: nn.Module) -> None:
    shapes, source_shapes = (
        {name: value.shape for name, value in one.state_dict().items()} for one in (encoder, source)
    )
    if shapes != source_shapes:
        raise ConfigError(
            "init: the network reads other features of a word than the model that it begins as; leave out context"
        )
    encoder.load_state_dict(source.state_dict())


def _begin_one_way(
    backbone: Backbone, encoder: Recurrent, beginnings: Sequence[Beginning], words: WordVocabularies
) -> None:
    known = words.words.tokens[words.words.num_specials :]
    vectors = [beginning.word_vectors([UNK, *known]) for beginning in beginnings]
    put_words(backbone.embedding.words, range(UNK_ID, UNK_ID + 1 + len(known)), torch.cat(vectors, dim=1))
    column = 0
    for beginning in beginnings:
        source = beginning.network.encoder
        begin_direction(encoder, source, direction=int(beginning.is_backward), first_column=column)
        column += beginning.network.words.size


def _begin_bidirectional(
    backbone: Backbone, encoder: Recurrent, beginning: BidirectionalBeginning, words: WordVocabularies
) -> None:
    _begin_embedding(backbone, beginning.network.embedding, beginning.words, words)
    sources = (beginning.network.forward_encoder, beginning.network.backward_encoder)
    for direction, source in enumerate(sources):
        begin_direction(encoder, source, direction=direction, first_column=0)


def _begin_embedding(
    backbone: Backbone, source: WordEmbedding, source_words: WordVocabularies, words: WordVocabularies
) -> None:
    begin_embedding(
        backbone.embedding,
        source,
        words=_common_rows(words.words, source_words.words),
        characters=_common_rows(words.characters, source_words.characters),
        affixes=_common_rows(words.affixes, source_words.affixes),
    )


def _common_rows(own: Vocabulary, source: Vocabulary) -> CommonRows:
    """The ids of the tokens that two vocabularies share, their specials but padding among them."""
    pairs = [(id, id) for id in range(1, own.num_specials)]
    pairs += [(own.id(token), source.id(token)) for token in own.tokens[own.num_specials :] if token in source]
    return CommonRows(*map(list, zip(*pairs, strict=True)))

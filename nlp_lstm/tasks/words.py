"""What the tasks that read words share: vocabularies, pretrained vectors and batches."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from nlp_lstm.data.batch import BatchMaker, WordVocabularies, lower_counts
from nlp_lstm.errors import ConfigError
from nlp_lstm.nn.backbone import Backbone, BackboneSettings
from nlp_lstm.nn.language_model import LanguageModel
from nlp_lstm.nn.recurrent import Recurrent
from nlp_lstm.nn.transfer import begin_direction, put_words
from nlp_lstm.tasks.base import Task
from nlp_lstm.text.document import Document
from nlp_lstm.text.selection import SelectedVectors, select_vectors
from nlp_lstm.text.units import UNK_ID, Units
from nlp_lstm.text.vectors import WordVectors
from nlp_lstm.text.vocabulary import UNK


@dataclass(frozen=True, slots=True, kw_only=True)
class Beginning:
    """A language model that a task's network begins as.

    Args:
        name: of the model, for messages.
        units: what it reads; words here.
        network: its network.
        is_backward: whether it reads from the end.
    """

    name: str
    units: Units
    network: LanguageModel
    is_backward: bool

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


class WordTask(Task):
    """A task whose network reads words.

    Args:
        settings: the model.
        words: vocabularies of the words and their parts.
    """

    def __init__(self, settings: BackboneSettings, words: WordVocabularies) -> None:
        self.settings = settings
        self.words = words
        self.batches = BatchMaker(words, lower_case=settings.embedding.lower_case)
        self._vector_rows: Tensor | None = None
        self._coverage = ""
        self._beginnings: Sequence[Beginning] = ()

    def facts(self) -> dict[str, str]:
        facts = {"pretrained vectors": self._coverage} if self._coverage else {}
        if self._beginnings:
            facts["begins as"] = ", ".join(beginning.name for beginning in self._beginnings)
        return facts

    def fill_model(self, model: nn.Module) -> None:
        if self._vector_rows is not None and self.words.vector_size:
            model.get_submodule("backbone.embedding.vectors").load_rows(self._vector_rows)  # type: ignore[operator]
        if self._beginnings:
            self._begin(model.get_submodule("backbone"))

    def begin_as(self, beginnings: Sequence[Beginning]) -> None:
        """Let the network begin as language models do, one of each direction at most.

        Raises:
            ConfigError: they do not fit the settings; says which setting to change.
        """
        settings: BackboneSettings = self.settings
        names = ", ".join(beginning.name for beginning in beginnings)
        if len({beginning.is_backward for beginning in beginnings}) < len(beginnings):
            raise ConfigError(f"init: {names} read in the same direction; give one forward and one backward model")
        if any(beginning.units.name != "word" for beginning in beginnings):
            raise ConfigError(f"init: {names}: a network that reads words can begin as models of words only")
        size = sum(beginning.network.words.size for beginning in beginnings)
        if settings.embedding.words != "learned" or settings.embedding.word_size != size:
            raise ConfigError(
                f"init: {names} {'has' if len(beginnings) == 1 else 'have'} word vectors of {size} features; set "
                f"model.embedding.words=learned model.embedding.word_size={size}"
            )
        if settings.encoder != "recurrent" or (not settings.bidirectional and beginnings[0].is_backward):
            raise ConfigError(f"init: {names} needs recurrent layers in its direction; set model.encoder=recurrent")
        self._beginnings = beginnings

    def _begin(self, backbone: nn.Module) -> None:
        """Copy the language models into a fresh backbone."""
        if not isinstance(backbone, Backbone) or not isinstance(backbone.encoder, Recurrent):
            raise TypeError("the network has no recurrent backbone")
        words = self.words.words.tokens[self.words.words.num_specials :]
        vectors = [beginning.word_vectors([UNK, *words]) for beginning in self._beginnings]
        put_words(backbone.embedding.words, range(UNK_ID, UNK_ID + 1 + len(words)), torch.cat(vectors, dim=1))
        column = 0
        for beginning in self._beginnings:
            begin_direction(
                backbone.encoder,
                beginning.network.encoder,
                direction=int(beginning.is_backward),
                first_column=column,
            )
            column += beginning.network.words.size

    def take_vectors(self, selected: SelectedVectors, say: Callable[[str], None]) -> None:
        """Keep the pretrained vectors until the network is built, and say how much of the text they cover."""
        if not selected.matrix.shape[1]:
            return
        self._vector_rows = torch.from_numpy(selected.matrix)
        self._coverage = f"{len(selected.words):,} kept; {selected.coverage}"
        say(f"pretrained vectors: {self._coverage}")


def choose_words(
    counts: Mapping[str, int], settings: BackboneSettings, vectors: Sequence[WordVectors]
) -> tuple[WordVocabularies, SelectedVectors]:
    """Return the vocabularies for the words of the training text, and the pretrained vectors that go with them.

    Args:
        counts: how often each word occurs in the training text.
        settings: the model.
        vectors: pretrained vectors.
    """
    embedding = settings.embedding
    if embedding.lower_case:
        counts = lower_counts(counts)
    selected = select_vectors(vectors, counts, kept=embedding.vectors_kept)
    words = WordVocabularies.build(counts, embedding, vectors=selected.words, vector_size=selected.matrix.shape[1])
    return words, selected

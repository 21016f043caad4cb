"""What the tasks that read words share: vocabularies, pretrained vectors and batches."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn

from nlp_lstm.data.batch import BatchMaker
from nlp_lstm.data.words import WordCoder, WordVocabularies, lower_counts
from nlp_lstm.nn.settings import WordSettings
from nlp_lstm.settings import Settings
from nlp_lstm.tasks.base import Task
from nlp_lstm.tasks.beginning import AnyBeginning, TaskBeginning, begin, check_beginnings
from nlp_lstm.text.selection import SelectedVectors, select_vectors
from nlp_lstm.text.vectors import WordVectors


class WordTask(Task):
    """A task whose network reads words.

    Args:
        settings: the model.
        words: vocabularies of the words and their parts.
    """

    embedding_name: ClassVar[str] = "backbone.embedding"
    """Where the network has its words."""

    def __init__(self, settings: WordSettings, words: WordVocabularies) -> None:
        self.settings = settings
        self.words = words
        self._make_batches()
        self._vector_rows: Tensor | None = None
        self._coverage = ""
        self._beginnings: Sequence[AnyBeginning] = ()

    def facts(self) -> dict[str, str]:
        facts = {"pretrained vectors": self._coverage} if self._coverage else {}
        if self._beginnings:
            facts["begins as"] = ", ".join(beginning.name for beginning in self._beginnings)
        return facts

    def fill_model(self, model: nn.Module) -> None:
        if self._vector_rows is not None and self.words.vector_size:
            vectors = model.get_submodule(f"{self.embedding_name}.vectors")
            vectors.load_rows(self._vector_rows)  # type: ignore[operator]
        if self._beginnings:
            begin(model.get_submodule("backbone"), self._beginnings, self.words)

    def begin_as(self, beginnings: Sequence[AnyBeginning], reading: Settings | None = None) -> None:
        """Let the network begin as a language model of each direction at most, or as one model that has both.

        Of a model of a task the words become known, too.

        Raises:
            ConfigError: they do not fit the settings; says which setting to change.
        """
        check_beginnings(beginnings, self.settings)
        self._beginnings = beginnings
        for beginning in beginnings:
            if isinstance(beginning, TaskBeginning):
                self.words = self.words.with_parts_of(beginning.words)
                self._make_batches()

    def _make_batches(self) -> None:
        self.batches = BatchMaker(self.words, lower_case=self.settings.embedding.lower_case)
        self.coder: WordCoder = self.batches

    def take_vectors(self, selected: SelectedVectors, say: Callable[[str], None]) -> None:
        """Keep the pretrained vectors until the network is built, and say how much of the text they cover."""
        if not selected.matrix.shape[1]:
            return
        self._vector_rows = torch.from_numpy(selected.matrix)
        self._coverage = f"{len(selected.words):,} kept; {selected.coverage}"
        say(f"pretrained vectors: {self._coverage}")


def choose_words(
    counts: Mapping[str, int], settings: WordSettings, vectors: Sequence[WordVectors]
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

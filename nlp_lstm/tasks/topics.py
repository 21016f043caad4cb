"""A language model that is told what it writes about: one-to-many from a topic, such as the label of a text.

    POSITIVE    a wonderful film , with a cast that …
    NEGATIVE    the plot makes no sense , and …

It learns labelled texts. They are cut every few sentences, and each piece begins with a mark of its label, one piece in
five with a mark that tells nothing, so that the model also knows the texts as such; the difference of the two guides
what is written.

Source: Keskar et al., "CTRL: A Conditional Transformer Language Model for Controllable Generation", arXiv:1909.05858
(2019), for the marks; for the guidance see `nlp_lstm.decoding.guidance`.
"""

from __future__ import annotations

import itertools
import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from torch import nn

from nlp_lstm.data.reading import ReadingSettings
from nlp_lstm.data.sentences import cut_sentences
from nlp_lstm.data.stream import TokenStream
from nlp_lstm.errors import ConfigError, DataError, shorten
from nlp_lstm.evaluation.language_report import samples_section
from nlp_lstm.evaluation.report import Section
from nlp_lstm.settings import Settings
from nlp_lstm.tasks.base import DataKind
from nlp_lstm.tasks.generation import generate
from nlp_lstm.tasks.language import LinePrediction, network_of, start_writing
from nlp_lstm.tasks.language_answers import LanguageSettings
from nlp_lstm.tasks.lm import LanguageTask
from nlp_lstm.tasks.predictor import tasks
from nlp_lstm.tasks.topic_answers import UNTOLD, TopicOptions, TopicPredictor, mark
from nlp_lstm.text.document import Document, split_lines
from nlp_lstm.text.selection import select_vectors
from nlp_lstm.text.units import EOS_ID, UNK_ID, build_units
from nlp_lstm.text.vectors import WordVectors

if TYPE_CHECKING:
    from numpy.typing import NDArray

LEAST_WORDS = 20  # of a piece, the last of a line excepted
UNTOLD_EVERY = 5  # pieces of the training text
SAMPLED_GUIDANCE = 2.5


@tasks.register("topics")
class TopicTask(TopicPredictor, LanguageTask):
    """Language modelling of labelled texts.

    Args:
        settings: the model.
        units: the words, the marks of the topics among them.
        topics: the labels, in order.
    """

    title: ClassVar[str] = "Language model with topics"
    intended_use: ClassVar[str] = (
        "Writing texts of a kind that it has learnt, such as praise or blame, for study and play; scoring texts."
    )
    data_kind: ClassVar[DataKind] = "labelled"
    reading_type: ClassVar[type[Settings]] = ReadingSettings

    @classmethod
    def prepare(
        cls,
        settings: LanguageSettings,
        examples: Sequence[Any],
        vectors: Sequence[WordVectors] = (),
        say: Callable[[str], None] = lambda line: None,
    ) -> TopicTask:
        topics = sorted({example.label for example in examples if example.label is not None})
        if len(topics) < 2:
            raise DataError(f"the texts have one label, {shorten(', '.join(topics))}; topics need two or more")
        lines = (Document.from_words([mark(topic), *line.words]) for topic, line in _told_lines(examples))
        untold = itertools.repeat(Document.from_words([UNTOLD]), max(1, len(examples) // UNTOLD_EVERY))
        units, counts = build_units(
            settings.unit,
            itertools.chain(lines, untold),
            min_count=settings.min_count,
            max_size=settings.vocabulary,
        )
        if UNK_ID in units.encode(Document.from_words([mark(topic) for topic in (None, *topics)])):
            raise ConfigError(
                f"model.vocabulary={settings.vocabulary} and model.min_count={settings.min_count} leave out the marks "
                "of topics; allow more words"
            )
        task = cls(settings, units, topics)
        task._counts, task._num_lines = counts, sum(counts[mark(topic)] for topic in topics)
        say(
            f"vocabulary: {task.vocabulary_size:,} words, <unk>, <eos> and the marks of {len(topics)} topics among them"
        )
        if vectors:
            task._selected = select_vectors(vectors, counts, kept=0)
            say(f"pretrained vectors: {task._selected.coverage}")
        return task

    def vocabulary(self) -> dict[str, Any]:
        return {**super().vocabulary(), "topics": list(self.topics)}

    def facts(self) -> dict[str, str]:
        return {**super().facts(), "topics": ", ".join(self.topics)}

    def _lines(self, examples: Iterable[Any]) -> Iterator[list[int]]:
        for topic, line in _told_lines(examples):
            yield [self._mark_ids[topic], *self.units.encode(line)]

    def encode(self, examples: Any, folder: Path) -> Any:
        if isinstance(examples, TokenStream):
            return examples
        return TokenStream.write(folder / "training.ids", self._training_lines(examples), end_id=EOS_ID)

    def _training_lines(self, examples: Iterable[Any]) -> Iterator[list[int]]:
        for number, ids in enumerate(self._lines(_mixed(examples))):
            yield ids if number % UNTOLD_EVERY else [self._mark_ids[None], *ids[1:]]

    def _scored_ids(self, example: Any) -> list[int]:
        return [id for ids in self._lines([example]) for id in (*ids[1:], EOS_ID)]

    def _are_scored(self, ids: NDArray[Any]) -> NDArray[np.bool_]:
        """All but the marks, which are given and not guessed."""
        return ~np.isin(ids, list(self._mark_ids.values()))

    def examine(
        self, model: nn.Module, examples: Sequence[Any], predictions: Sequence[LinePrediction]
    ) -> list[Section]:
        samples = []
        for topic in (None, *self.topics):
            options = TopicOptions(topic=topic, guidance=SAMPLED_GUIDANCE if topic else 0.0, num_return_sequences=3)
            prompts: list[list[int]] = [[]]
            written = generate(
                self._start(partial(start_writing, network_of(model)), prompts, options), self.units, prompts, options
            )
            told = f"Topic {topic}, guidance {options.guidance:g}" if topic else "No topic"
            samples.append((told, list(written[0].texts)))
        return [samples_section(samples)]

    def baseline_predictions(
        self, training: Sequence[Any], development: Sequence[Any], test: Sequence[Any]
    ) -> dict[str, list[LinePrediction]]:
        """Return none: n-grams forget the mark."""
        return {}


def _mixed(examples: Iterable[Any]) -> list[Any]:
    """Return texts in the order given, or at random where those of one topic stand together.

    Between texts of the same topic the network would have no use for the mark. Together they stand where the topic
    changes less than half as often as at random.
    """
    texts = list(examples)
    topics = [getattr(example, "label", None) for example in texts]
    changes = sum(one != other for one, other in itertools.pairwise(topics))
    expected = sum(count * (len(topics) - count) for count in Counter(topics).values()) / max(1, len(topics))
    if 2 * changes < expected:
        random.Random(0).shuffle(texts)
    return texts


def _told_lines(examples: Iterable[Any]) -> Iterator[tuple[str | None, Document]]:
    """Yield the topic and the words of each piece of a text; of texts without label no topic.

    A piece is some sentences of one line, `LEAST_WORDS` or more in all, so that the mark is never far away.
    """
    for example in examples:
        for line in split_lines(example.document):
            start = 0
            for _, end in cut_sentences(line.words):
                if end - start >= LEAST_WORDS or end == len(line.words):
                    yield getattr(example, "label", None), Document.from_words(line.words[start:end])
                    start = end

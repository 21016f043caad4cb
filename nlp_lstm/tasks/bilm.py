"""The bidirectional language model: from the words of a sentence so far to the next one, from both ends.

    the old man sleeps          forward    the -> old -> man -> sleeps -> <eos>
                                backward   <eos> <- the <- old <- man <- sleeps

It reads words as taggers and classifiers do, by their spelling and pretrained vectors, too, and sentence by sentence,
so that their network can begin as this one and go on from what it has learnt of the language.

Source: Peters et al., "Deep contextualized word representations", NAACL 2018; Rei, "Semi-supervised Multitask Learning
for Sequence Labeling", ACL 2017.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch
from pydantic import Field, field_validator
from torch import Tensor, nn

from nlp_lstm.data.batch import TokenBatch
from nlp_lstm.data.example import TextExample
from nlp_lstm.data.reading import SideSettings
from nlp_lstm.data.sampling import batch_by_length, shuffled_batches
from nlp_lstm.data.sentences import EncodedSentences, cut_sentences
from nlp_lstm.data.words import WordVocabularies
from nlp_lstm.errors import CheckpointError, DataError
from nlp_lstm.evaluation.bidirectional_report import BothDirections, bidirectional_report
from nlp_lstm.evaluation.perplexity import END, ScoredLine, perplexity_of
from nlp_lstm.evaluation.report import Report
from nlp_lstm.nn.bilm import BidirectionalLanguageModel, NeighbourOutput
from nlp_lstm.nn.settings import EmbeddingSettings, WordSettings
from nlp_lstm.nn.softmax import usual_cutoffs
from nlp_lstm.settings import Settings
from nlp_lstm.tasks.base import Task
from nlp_lstm.tasks.predictor import tasks
from nlp_lstm.tasks.words import WordTask, choose_words
from nlp_lstm.text.document import Document
from nlp_lstm.text.tokenize import Tokenizer
from nlp_lstm.text.units import EOS_ID, NUM_UNPREDICTED, SPECIALS, UNK_ID
from nlp_lstm.text.vectors import WordVectors
from nlp_lstm.text.vocabulary import Vocabulary, check_keys

DEVELOPMENT_TOKENS = 4_000  # scored at once
_MARKS = {"@-@": "-", "@,@": ",", "@.@": "."}  # what WikiText makes of marks inside a word


class BidirectionalSettings(WordSettings):
    """The bidirectional language model: embedding, a stack of layers for each direction, and one softmax."""

    vocabulary: int = Field(30_000, ge=1, le=10_000_000)
    """At most this many words are predicted, the most frequent; all others are one, unknown."""
    softmax_size: int = Field(160, ge=1)
    """Features of a predicted word."""
    cutoffs: tuple[int, ...] | None = None
    """Of the adaptive softmax: words beyond each get shorter vectors. [] for a plain softmax; null takes 4,000 and
    16,000 where the vocabulary is larger."""

    @field_validator("embedding")
    @classmethod
    def _check_words(cls, embedding: EmbeddingSettings) -> EmbeddingSettings:
        if embedding.words == "one-hot":
            raise ValueError("words: one-hot leaves nothing for other tasks to begin with; choose learned or tuned")
        return embedding


@dataclass(frozen=True, slots=True, kw_only=True)
class NeighbourPrediction:
    """How probable the neighbours of each word of a line are, in nats.

    Args:
        next: of what follows each word in its sentence, at the end ``<eos>``.
        previous: of what stands before each word in its sentence, at the beginning ``<eos>``.
    """

    next: tuple[float, ...]
    previous: tuple[float, ...]


@tasks.register("bilm")
class BidirectionalTask(WordTask):
    """Bidirectional language modelling.

    Args:
        settings: the model.
        words: vocabularies of the words that are read and of their parts.
        targets: the words that are predicted.
    """

    name: ClassVar[str] = "bilm"
    title: ClassVar[str] = "Bidirectional language model"
    intended_use: ClassVar[str] = (
        "A beginning for taggers and classifiers, which read the same words in the same way (`init`); seeing how "
        "expected each word is from either side of its sentence."
    )
    known_failures = (
        "It writes no text. It reads one sentence at a time and knows nothing of the one before. Text of another kind "
        "or time surprises it more than it should."
    )
    settings_type = BidirectionalSettings
    data_kind = "running"
    is_language_model = True
    reading_type = SideSettings
    option_names: ClassVar[tuple[str, ...]] = ()
    embedding_name = "embedding"

    def __init__(self, settings: BidirectionalSettings, words: WordVocabularies, targets: Vocabulary) -> None:
        super().__init__(settings, words)
        self.targets = targets
        self._counts: Counter[str] = Counter()

    @classmethod
    def prepare(
        cls,
        settings: BidirectionalSettings,
        examples: Sequence[TextExample],
        vectors: Sequence[WordVectors] = (),
        say: Callable[[str], None] = lambda line: None,
    ) -> BidirectionalTask:
        counts = _count(examples, lower_case=settings.embedding.lower_case)
        if not counts:
            raise DataError("the training text is empty; give a text with words in it")
        real = {word: count for word, count in counts.items() if word not in SPECIALS}
        words, selected = choose_words(real, settings, vectors)
        task = cls(settings, words, Vocabulary.build(real, specials=SPECIALS, max_size=settings.vocabulary))
        task._counts = counts
        task.take_vectors(selected, say)
        say(f"vocabulary: {task.facts()['vocabulary']}")
        return task

    @classmethod
    def from_vocabulary(cls, settings: BidirectionalSettings, values: Mapping[str, Any]) -> BidirectionalTask:
        check_keys(values, ("words", "targets"))
        targets = Vocabulary.from_dict(values.get("targets"))
        if targets.tokens[: len(SPECIALS)] != SPECIALS or targets.num_specials != len(SPECIALS):
            raise CheckpointError(f"damaged vocabulary: targets does not begin with {', '.join(SPECIALS)}")
        if not isinstance(values.get("words"), dict):
            raise CheckpointError("damaged vocabulary: a bidirectional language model needs words and targets")
        return cls(settings, WordVocabularies.from_dict(values["words"]), targets)

    def vocabulary(self) -> dict[str, Any]:
        return {"words": self.words.to_dict(), "targets": self.targets.to_dict()}

    @property
    def vocabulary_size(self) -> int:
        """How many words can be predicted."""
        return len(self.targets) - NUM_UNPREDICTED

    def facts(self) -> dict[str, str]:
        return {**super().facts(), "vocabulary": f"{self.vocabulary_size:,} words, <unk> and <eos> among them"}

    def begin_as(self, beginnings: Sequence[Any], reading: Settings | None = None) -> None:
        Task.begin_as(self, beginnings, reading)

    def build_model(self) -> BidirectionalLanguageModel:
        settings, num_words = self.settings, len(self.targets)
        return BidirectionalLanguageModel(
            settings,
            self.words.sizes,
            num_words,
            softmax_size=settings.softmax_size,
            cutoffs=usual_cutoffs(num_words) if settings.cutoffs is None else settings.cutoffs,
        )

    def fill_model(self, model: nn.Module) -> None:
        """Copy in the pretrained vectors, and begin with the words' frequencies."""
        super().fill_model(model)
        if self._counts:
            model.words.start_from(self._shares(self._counts))  # type: ignore[operator,union-attr]

    def _shares(self, counts: Counter[str]) -> Tensor:
        """How frequent each word that can be predicted is, and the end of a sentence."""
        numbers = torch.tensor([counts[word] for word in self.targets.tokens]).float()
        numbers[UNK_ID] += counts.total() - numbers.sum()
        numbers = numbers.clamp_min(0.1)  # nothing is impossible
        return numbers / numbers.sum()

    def _target_ids(self, words: Iterable[str]) -> list[int]:
        return self.targets.ids(map(str.lower, words) if self.settings.embedding.lower_case else words)

    def encode(self, examples: Sequence[TextExample], folder: Path) -> Any:
        return self.encode_development(examples)

    def encode_development(self, examples: Sequence[TextExample]) -> Any:
        """Return the sentences as numbers, which take a few bytes a word."""
        return EncodedSentences.collect(_sentences(examples), self.batches.make_table, self._target_ids)

    def identify(self, examples: Any) -> Iterator[bytes]:
        yield examples.digest()

    def num_tokens(self, examples: Any) -> int:
        return len(examples.ids)

    def plan_epoch(self, examples: Any, batch_tokens: int, *, seed: int, epoch: int) -> Sequence[list[int]]:
        return shuffled_batches(examples.lengths.tolist(), batch_tokens, seed=seed, epoch=epoch)

    def training_batch(self, examples: Any, part: Sequence[int], carried: Mapping[str, Tensor]) -> TokenBatch:
        batch: TokenBatch = examples.make_batch(part)
        return batch

    def score_development(self, model: nn.Module, examples: Any, *, use_bf16: bool) -> dict[str, float]:
        model.eval()
        device = next(model.parameters()).device
        following, previous = 0.0, 0.0
        with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16, enabled=use_bf16):
            for numbers in batch_by_length(examples.lengths.tolist(), DEVELOPMENT_TOKENS):
                outputs: NeighbourOutput = model(examples.make_batch(numbers).to(device))
                following += float(outputs.next.sum(dtype=torch.float64))
                previous += float(outputs.previous.sum(dtype=torch.float64))
        return _scores(following, previous, self.num_tokens(examples))

    def size(self, example: TextExample) -> int:
        return max(1, len(example.document))

    def cut_long(self, example: TextExample) -> list[tuple[TextExample, int, int]]:
        """Cut a line into its sentences, each of which is read alone."""
        text, tokens = example.document.text, example.document.tokens
        return [
            (TextExample(document=Document.from_tokens(text, tokens[start:end])), 0, end - start)
            for start, end in cut_sentences(_read_words(example.document))
        ]

    def join_long(self, pieces: Sequence[tuple[NeighbourPrediction, int, int]]) -> NeighbourPrediction:
        return NeighbourPrediction(
            next=tuple(score for piece, _, _ in pieces for score in piece.next),
            previous=tuple(score for piece, _, _ in pieces for score in piece.previous),
        )

    def make_batch(self, examples: Sequence[TextExample], *, pad_to: int = 0, with_labels: bool = False) -> TokenBatch:
        """Return the numbers of sentences; the ids of the words' neighbours are always with them."""
        rows = [_read_words(example.document) for example in examples]
        targets = [self._target_ids(row) for row in rows]
        labels = {
            "next": [[*ids[1:], EOS_ID] for ids in targets],
            "previous": [[EOS_ID, *ids[:-1]] for ids in targets],
        }
        return self.batches.make_batch(rows, labels, pad_to=pad_to)

    def loss(self, model: nn.Module, outputs: NeighbourOutput, batch: TokenBatch) -> Tensor:
        """Return the mean negative log-likelihood of both directions, in nats per token."""
        return -(outputs.next.sum() + outputs.previous.sum()) / (2 * batch.num_tokens)

    def decode(self, model: nn.Module, outputs: NeighbourOutput, batch: TokenBatch) -> list[NeighbourPrediction]:
        following, previous = outputs.next.tolist(), outputs.previous.tolist()
        return [
            NeighbourPrediction(next=tuple(following[row][:length]), previous=tuple(previous[row][:length]))
            for row, length in enumerate(batch.lengths.tolist())
        ]

    def score(self, examples: Sequence[TextExample], predictions: Sequence[NeighbourPrediction]) -> dict[str, float]:
        """Return the mean log-probability of both directions, and the perplexity of both and of each."""
        following = math.fsum(score for prediction in predictions for score in prediction.next)
        previous = math.fsum(score for prediction in predictions for score in prediction.previous)
        return _scores(following, previous, sum(len(prediction.next) for prediction in predictions))

    def read_text(self, text: Any, tokenizer: Tokenizer | None, *, is_pretokenized: bool) -> Iterator[TextExample]:
        document = Document(text="")
        if is_pretokenized:
            document = Document.from_words(text)
        elif tokenizer is not None:
            document = tokenizer.tokenize(text)
        if len(document):
            yield TextExample(document=document)

    def format(  # type: ignore[override]
        self, answers: Iterable[tuple[TextExample, NeighbourPrediction]]
    ) -> list[dict[str, Any]]:
        """Return one dictionary per token: how probable it is after those before it, and before those after it.

        Where nothing of its sentence stands on that side, it is null.
        """
        results: list[dict[str, Any]] = []
        for example, prediction in answers:
            tokens = example.document.tokens
            for start, end in cut_sentences(_read_words(example.document)):
                for place in range(start, end):
                    results.append(
                        {
                            "word": tokens[place].text,
                            "index": len(results) + 1,
                            "start": tokens[place].start,
                            "end": tokens[place].end,
                            "forward_log_probability": prediction.next[place - 1] if place > start else None,
                            "backward_log_probability": prediction.previous[place + 1] if place + 1 < end else None,
                        }
                    )
        return results

    def baseline_predictions(
        self, training: Sequence[TextExample], development: Sequence[TextExample], test: Sequence[TextExample]
    ) -> dict[str, list[NeighbourPrediction]]:
        """Return the share of each word in the training text, whatever stands beside it."""
        shares = self._shares(_count(training, lower_case=self.settings.embedding.lower_case)).log().tolist()
        predictions = []
        for example in test:
            following, previous = self._neighbours(example)
            predictions.append(
                NeighbourPrediction(
                    next=tuple(shares[id] for id in following), previous=tuple(shares[id] for id in previous)
                )
            )
        return {"shares of the words": predictions}

    def _neighbours(self, example: TextExample) -> tuple[list[int], list[int]]:
        """The ids of what follows each word of a line in its sentence, and of what stands before it."""
        following: list[int] = []
        previous: list[int] = []
        for sentence in _sentences([example]):
            ids = self._target_ids(sentence)
            following += [*ids[1:], EOS_ID]
            previous += [EOS_ID, *ids[:-1]]
        return following, previous

    def report(
        self,
        examples: Sequence[TextExample],
        predictions: Sequence[NeighbourPrediction],
        *,
        title: str,
        subtitle: str = "",
        training: Sequence[TextExample] | None = None,
        rivals: Mapping[str, Sequence[NeighbourPrediction]] | None = None,
    ) -> Report:
        counts = None
        if training is not None:
            counts = self._counts or _count(training, lower_case=self.settings.embedding.lower_case)
        return bidirectional_report(
            self._scored(examples, predictions),
            title=title,
            subtitle=subtitle,
            task=self.name,
            vocabulary_size=self.vocabulary_size,
            training_counts=counts,
            rivals={name: self._scored(examples, answers) for name, answers in (rivals or {}).items()},
        )

    def _scored(self, examples: Iterable[TextExample], predictions: Sequence[NeighbourPrediction]) -> BothDirections:
        """Return lines in the order of the text, with what was said of them in each direction."""
        forward: list[ScoredLine] = []
        backward: list[ScoredLine] = []
        for example, prediction in zip(examples, predictions, strict=True):
            of_next, of_previous = self._neighbours(example)
            for lines, ids, scores in (
                (forward, of_next, prediction.next),
                (backward, of_previous, prediction.previous),
            ):
                lines.append(
                    ScoredLine(
                        tokens=tuple(self.targets.tokens[id] for id in ids),
                        log_probabilities=scores,
                        has_end=False,
                        num_characters=len(example.document.text),
                        num_words=len(example.document),
                    )
                )
        return BothDirections(forward=forward, backward=backward)


def _read_words(document: Document) -> list[str]:
    """The words of a line as they are read."""
    return [_MARKS.get(word, word) for word in document.words]


def _sentences(examples: Iterable[TextExample]) -> Iterator[list[str]]:
    """The words of each sentence of some lines."""
    for example in examples:
        words = _read_words(example.document)
        for start, end in cut_sentences(words):
            yield words[start:end]


def _count(examples: Iterable[TextExample], *, lower_case: bool) -> Counter[str]:
    """How often each word stands in a text, and how many sentences end in it."""
    counts: Counter[str] = Counter()
    num_sentences = 0
    for sentence in _sentences(examples):
        counts.update(map(str.lower, sentence) if lower_case else sentence)
        num_sentences += 1
    if num_sentences:
        counts[END] = num_sentences
    return counts


def _scores(following: float, previous: float, num_tokens: int) -> dict[str, float]:
    total = following + previous
    return {
        "log_probability": total / (2 * num_tokens),
        "perplexity": perplexity_of(-total, 2 * num_tokens),
        "forward_perplexity": perplexity_of(-following, num_tokens),
        "backward_perplexity": perplexity_of(-previous, num_tokens),
    }

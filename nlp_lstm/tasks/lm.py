"""Language modelling: from the words so far to the next one, and so to whole texts.

    the old man ___        sleeps 0.04   said 0.03   was 0.03   …

Training reads a text as a few long rows, window by window, and carries the states over (truncated backpropagation
through time). Perplexity counts every real token and one ``<eos>`` for each line that is not empty.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from nlp_lstm.data.example import TextExample
from nlp_lstm.data.reading import SideSettings
from nlp_lstm.data.stream import StreamPart, TokenStream
from nlp_lstm.errors import ConfigError
from nlp_lstm.evaluation.language_report import language_report, samples_section
from nlp_lstm.evaluation.perplexity import END, ScoredLine
from nlp_lstm.evaluation.report import Report, Section
from nlp_lstm.nn.language_model import LanguageModel, StreamOutput, pack_states
from nlp_lstm.nn.softmax import usual_cutoffs
from nlp_lstm.settings import Settings
from nlp_lstm.tasks.adaptation import ADAPTATIONS, score_adaptively, tune_adaptation
from nlp_lstm.tasks.base import DataKind, Task
from nlp_lstm.tasks.generation import Generated, GenerationOptions, generate
from nlp_lstm.tasks.language import (
    SCORED_AT_ONCE,
    LinePrediction,
    PromptBatch,
    StreamBatch,
    average_lines,
    network_of,
    score_stream,
    start_writing,
)
from nlp_lstm.tasks.language_answers import LanguagePredictor, LanguageSettings
from nlp_lstm.tasks.ngrams import NgramModel
from nlp_lstm.tasks.predictor import tasks
from nlp_lstm.tasks.scoring import score_pieces
from nlp_lstm.text.document import Document, Token
from nlp_lstm.text.selection import SelectedVectors, select_vectors
from nlp_lstm.text.tokenize import Tokenizer
from nlp_lstm.text.units import EOS_ID, NUM_UNPREDICTED, UNK_ID, Units, build_units
from nlp_lstm.text.vectors import WordVectors

if TYPE_CHECKING:
    from numpy.typing import NDArray

DEVELOPMENT_ROWS = 16  # rows of the development text that training scores side by side
SAMPLED_TEMPERATURES = (0.5, 0.8, 1.0)
NGRAM_ORDER = 5
NGRAM_TOKENS = 5_000_000  # at the end of a training text; the n-gram baseline holds them in memory


@tasks.register("lm")
class LanguageTask(LanguagePredictor, Task):
    """Language modelling.

    Args:
        settings: the model.
        units: what a token is.
    """

    title: ClassVar[str] = "Language model"
    intended_use: ClassVar[str] = (
        "Scoring how likely a text is, word by word; writing on from a beginning, for study and play; a beginning for "
        "other tasks' models."
    )
    known_failures = (
        "It writes fluent nonsense: it knows which words go together, not what is true. What it writes repeats the "
        "views, names and errors of its training text. Text of another kind or time surprises it more than it should."
    )
    data_kind: ClassVar[DataKind] = "running"
    is_language_model = True
    reading_type: ClassVar[type[Settings]] = SideSettings

    def __init__(self, settings: LanguageSettings, units: Units) -> None:
        super().__init__(settings, units)
        self._counts: Counter[str] = Counter()
        self._num_lines = 0
        self._selected: SelectedVectors | None = None  # in training only

    @classmethod
    def prepare(
        cls,
        settings: LanguageSettings,
        examples: Sequence[TextExample],
        vectors: Sequence[WordVectors] = (),
        say: Callable[[str], None] = lambda line: None,
    ) -> LanguageTask:
        documents = (example.document for example in examples)
        units, counts = build_units(
            settings.unit, documents, min_count=settings.min_count, max_size=settings.vocabulary
        )
        task = cls(settings, units)
        task._counts, task._num_lines = counts, len(examples)
        say(f"vocabulary: {task.vocabulary_size:,} {settings.unit}s, <unk> and <eos> among them")
        if vectors:
            task._selected = select_vectors(vectors, counts, kept=0)
            say(f"pretrained vectors: {task._selected.coverage}")
        return task

    def vocabulary(self) -> dict[str, Any]:
        return self.units.to_dict()

    def vocabulary_files(self) -> dict[str, bytes]:
        return self.units.files()

    @property
    def vocabulary_size(self) -> int:
        """How many tokens can come next."""
        return len(self.units) - NUM_UNPREDICTED

    def facts(self) -> dict[str, str]:
        facts = {"vocabulary": f"{self.vocabulary_size:,} {self.settings.unit}s, <unk> and <eos> among them"}
        if self._selected:
            facts["pretrained vectors"] = f"the words begin as them; {self._selected.coverage}"
        return facts

    def fill_model(self, model: nn.Module) -> None:
        """Begin with the words' frequencies, and with pretrained vectors where there are any."""
        if not self._counts:
            return
        if self._selected:
            self._put_vectors(network_of(model), self._selected)
        counts = torch.tensor([self._counts[self.units.token(id)] for id in range(len(self.units))]).float()
        counts[UNK_ID] += sum(self._counts.values()) - counts.sum()
        counts[EOS_ID] = self._num_lines
        counts = counts.clamp_min(0.1)  # nothing is impossible
        network_of(model).words.start_from(counts / counts.sum())

    def _put_vectors(self, network: LanguageModel, selected: SelectedVectors) -> None:
        numbers = {word: number for number, word in enumerate(selected.words)}
        words = [self.units.token(id) for id in range(len(self.units))]
        rows = torch.tensor([numbers.get(word, numbers.get(word.lower(), -1)) for word in words])
        if bool((rows >= 0).any()):
            network.words.begin_as(torch.from_numpy(selected.matrix)[rows], rows >= 0)

    def build_model(self) -> LanguageModel:
        settings, num_words = self.settings, len(self.units)
        return LanguageModel(
            num_words,
            embed_size=settings.embed,
            cell=settings.cell,
            hidden_size=settings.hidden,
            num_layers=settings.layers,
            cutoffs=usual_cutoffs(num_words) if settings.cutoffs is None else settings.cutoffs,
            embedding_dropout=settings.embedding_dropout,
            input_dropout=settings.input_dropout,
            dropout=settings.dropout,
            recurrent_dropout=settings.recurrent_dropout,
        )

    def _scored_ids(self, example: Any) -> list[int]:
        """The ids of a text that count in its perplexity, in its order, the end of each line among them."""
        return [*self.units.encode(example.document), EOS_ID]

    def _are_scored(self, ids: NDArray[Any]) -> NDArray[np.bool_]:
        """Which ids of a stream, or of rows of it, count."""
        return np.ones(ids.shape, bool)

    def _lines(self, examples: Iterable[TextExample]) -> Iterator[list[int]]:
        return (self.units.encode(example.document) for example in examples)

    def encode(self, examples: Any, folder: Path) -> Any:
        if isinstance(examples, TokenStream):
            return examples
        return TokenStream.write(
            folder / "training.ids", self._lines(examples), end_id=EOS_ID, is_backward=self._is_backward
        )

    def encode_development(self, examples: Sequence[TextExample]) -> Any:
        return self._collect(examples)

    def identify(self, examples: Any) -> Iterator[bytes]:
        yield self._collect(examples).digest()

    def _collect(self, examples: Any) -> TokenStream:
        """Return a text as a stream; what is one already stays as it is."""
        if isinstance(examples, TokenStream):
            return examples
        return TokenStream.collect(self._lines(examples), end_id=EOS_ID, is_backward=self._is_backward)

    def num_tokens(self, examples: Any) -> int:
        return len(examples) - 1

    def plan_epoch(self, examples: Any, batch_tokens: int, *, seed: int, epoch: int) -> Sequence[StreamPart]:
        noise = random.Random(f"{seed}/{epoch}") if self.settings.window_varies else None
        parts: Sequence[StreamPart] = examples.plan(batch_tokens, window=self.settings.window, noise=noise)
        return parts

    def take_rows(self, part: StreamPart, process: int, num_processes: int) -> StreamPart | None:
        own = part._replace(process=process, num_processes=num_processes)
        return own if process < part.rows else None

    def training_batch(self, examples: Any, part: StreamPart, carried: Mapping[str, Tensor]) -> StreamBatch:
        ids = torch.from_numpy(examples.read(part))
        return StreamBatch(ids=ids[:, :-1], next_ids=ids[:, 1:], carried=carried if part.start else {})

    def carry(self, outputs: StreamOutput) -> dict[str, Tensor]:
        return pack_states(outputs.states)

    def loss(self, model: nn.Module, outputs: StreamOutput, batch: StreamBatch) -> Tensor:
        """Return the mean negative log-likelihood in nats per token, with the penalties of the settings."""
        loss = -outputs.log_probability.mean()
        hidden = outputs.hidden.float()
        if self.settings.activation_penalty:
            loss = loss + self.settings.activation_penalty * hidden.square().mean()
        if self.settings.change_penalty and hidden.shape[1] > 1:
            loss = loss + self.settings.change_penalty * (hidden[:, 1:] - hidden[:, :-1]).square().mean()
        return loss

    def score_development(self, model: nn.Module, examples: Any, *, use_bf16: bool) -> dict[str, float]:
        """Return the mean log-probability of the text's tokens, which is read as several rows to save time."""
        model.eval()
        stream = self._collect(examples)
        rows = max(1, min(DEVELOPMENT_ROWS, len(stream) // SCORED_AT_ONCE))
        carried: Mapping[str, Tensor] = {}
        total, count = 0.0, 0
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=use_bf16):
            for part in stream.plan(rows * SCORED_AT_ONCE, window=SCORED_AT_ONCE):
                batch = self.training_batch(stream, part, carried)
                outputs = model(batch)
                carried = self.carry(outputs)
                is_scored = torch.from_numpy(self._are_scored(batch.next_ids.numpy()))
                total += float(outputs.log_probability[is_scored].sum(dtype=torch.float64))
                count += int(is_scored.sum())
        return {"log_probability": total / count, "perplexity": _perplexity(total, count)}

    def predict_in_context(self, model: nn.Module, examples: Sequence[TextExample]) -> list[LinePrediction]:
        """Score every token of a text in order; the states go on from line to line."""
        network = network_of(model)
        lengths = [len(self._scored_ids(example)) for example in examples]
        if self._is_backward:
            lengths.reverse()
        stream = self._collect(examples)
        scores = {"": score_stream(network, stream)}
        if self.settings.adapt and network.is_tuned:
            scores |= score_adaptively(network, stream)
        is_scored = self._are_scored(stream.ids[1:])
        scores = {name: values[is_scored] for name, values in scores.items()}
        ends = np.cumsum(lengths)[:-1]
        lines = {name: np.split(values, ends) for name, values in scores.items()}
        predictions = [
            LinePrediction(log_probability=lines[""][row], adapted={name: lines[name][row] for name in lines if name})
            for row in range(len(lengths))
        ]
        return predictions[::-1] if self._is_backward else predictions

    @property
    def predicts_together(self) -> bool:
        return True

    def predict_together(self, models: Sequence[nn.Module], batch: PromptBatch, **options: Any) -> list[Generated]:
        raise ConfigError("several language models score texts together, but do not write together; give one model")

    def average(self, opinions: Sequence[Sequence[LinePrediction]]) -> list[LinePrediction]:
        """Return the mean of the probabilities of each token."""
        return [average_lines(lines) for lines in zip(*opinions, strict=True)]

    def calibrate(self, model: nn.Module, examples: Sequence[TextExample]) -> None:
        """Choose on development text how fast the network adapts when it is evaluated that way."""
        if self.settings.adapt:
            tune_adaptation(network_of(model), self._collect(examples))

    def examine(
        self, model: nn.Module, examples: Sequence[TextExample], predictions: Sequence[LinePrediction]
    ) -> list[Section]:
        if self._is_backward:
            return []
        first = next(iter(examples)).document
        beginning = self.units.encode(first)[:5]
        prompts: list[list[int]] = [[], beginning]
        samples = []
        for temperature in SAMPLED_TEMPERATURES:
            options = GenerationOptions(temperature=temperature, max_new_tokens=60)
            written = generate(
                self._start(partial(start_writing, network_of(model)), prompts, options), self.units, prompts, options
            )
            heading = f"Temperature {temperature}, from nothing and from “{self.units.decode(beginning).strip()}”"
            samples.append((heading, [text for row in written for text in row.texts]))
        return [samples_section(samples)]

    def read_through(self, model: nn.Module, example: TextExample) -> list[str]:
        ids = self._collect([example]).ids[:-1].astype(np.int64)
        network_of(model).read(torch.from_numpy(ids)[None])
        return [END, *(self.units.token(int(id)) for id in ids[1:])]

    def make_batch(self, examples: Sequence[TextExample], *, pad_to: int = 0, with_labels: bool = False) -> PromptBatch:
        return PromptBatch(documents=tuple(example.document for example in examples))

    def decode(self, model: nn.Module, outputs: Any, batch: Any) -> list[Any]:
        raise ConfigError("a language model writes token by token; use predict_batch")

    def predict_batch(self, model: nn.Module, batch: PromptBatch, **options: Any) -> list[Generated]:
        """Write on from each beginning."""
        return self.write(partial(start_writing, network_of(model)), batch.documents, options)

    def stream(self, model: nn.Module, prompt: Document, **options: Any) -> Iterator[str]:
        """Yield what is written on a beginning, piece by piece; see `nlp_lstm.tasks.generation`."""
        return self.stream_on(partial(start_writing, network_of(model)), prompt, options)

    def score(self, examples: Sequence[TextExample], predictions: Sequence[LinePrediction]) -> dict[str, float]:
        """Return the mean log-probability and the perplexity of a text."""
        total = sum(float(line.log_probability.sum(dtype=np.float64)) for line in predictions)
        count = sum(len(line.log_probability) for line in predictions)
        return {"log_probability": total / count, "perplexity": _perplexity(total, count)}

    def score_text(self, model: nn.Module, text: str, tokenizer: Tokenizer) -> dict[str, Any]:
        r"""Return how probable each token of a text is after those before it, and the perplexity.

        Args:
            model: the network in evaluation mode.
            text: lines of text, each ended by ``\n`` alone as in training; each that is not empty has an end, which is
                scored, too.
            tokenizer: of the text's language.

        Returns:
            ``tokens``: for each its ``token``, ``log_probability`` in nats, ``start`` and ``end`` in the text (both
            null for subwords); their sum; and the ``perplexity``, null for a text without tokens.
        """
        examples, offsets = [], []
        position = 0
        for line in text.split("\n"):  # a form feed or U+2028 ends no line, as in `nlp_lstm.data.running`
            if line.strip():
                examples.append(TextExample(document=tokenizer.tokenize(line.strip())))
                offsets.append(position + len(line) - len(line.lstrip()))
            position += len(line) + 1
        if not examples:
            return {"tokens": [], "log_probability": 0.0, "perplexity": None}
        with torch.inference_mode():
            stream = self._collect(examples)
            scores = score_stream(network_of(model), stream)[self._are_scored(stream.ids[1:])]
        if self._is_backward:
            scores = scores[::-1]
        tokens: list[dict[str, Any]] = []
        remaining = iter(scores.tolist())
        for example, offset in zip(examples, offsets, strict=True):
            line_end = len(example.document.text)
            pieces = [*self.units.pieces(example.document), Token(END, line_end, line_end)]
            if self._is_backward:  # what ends a line that is read backwards stands at its beginning
                pieces = [Token(END, 0, 0), *pieces[:-1]]
            for piece in pieces:
                has_place = self.settings.unit != "subword" or piece.text == END
                tokens.append(
                    {
                        "token": piece.text,
                        "log_probability": next(remaining),
                        "start": piece.start + offset if has_place else None,
                        "end": piece.end + offset if has_place else None,
                    }
                )
        total = sum(token["log_probability"] for token in tokens)
        return {"tokens": tokens, "log_probability": total, "perplexity": _perplexity(total, len(tokens))}

    def score_pieces(self, model: nn.Module, pieces: Iterable[str], tokenizer: Tokenizer) -> Iterator[dict[str, Any]]:
        """Yield the tokens of `score_text` for a text that comes piece by piece; see `nlp_lstm.tasks.scoring`."""
        if self._is_backward:
            raise ConfigError(
                "this model reads from the end of a text to its beginning; it cannot read one as it comes"
            )
        return score_pieces(network_of(model), self.units, tokenizer, pieces)

    def baseline_predictions(
        self, training: Sequence[TextExample], development: Sequence[TextExample], test: Sequence[TextExample]
    ) -> dict[str, list[LinePrediction]]:
        """Return those of an n-gram model with modified Kneser-Ney smoothing."""
        if self.settings.unit == "character":
            return {}
        ids = self._collect(training).ids[1:][-NGRAM_TOKENS:]
        model = NgramModel(ids, vocab_size=len(self.units), eos=EOS_ID, order=NGRAM_ORDER)
        scores = model.log_probabilities(self._collect(test).ids[1:])
        lengths = [len(line) + 1 for line in self._lines(test)]
        if self._is_backward:
            lengths.reverse()
        lines = [LinePrediction(log_probability=part) for part in np.split(scores, np.cumsum(lengths)[:-1])]
        name = f"{NGRAM_ORDER}-grams, modified Kneser-Ney"
        return {name: lines[::-1] if self._is_backward else lines}

    def report(
        self,
        examples: Sequence[TextExample],
        predictions: Sequence[LinePrediction],
        *,
        title: str,
        subtitle: str = "",
        training: Sequence[TextExample] | None = None,
        rivals: Mapping[str, Sequence[LinePrediction]] | None = None,
    ) -> Report:
        counts = None
        if training is not None and self.settings.unit != "subword":
            counts = (
                self._counts
                or build_units(
                    self.settings.unit,
                    (example.document for example in training),
                    min_count=1,
                    max_size=len(self.units),
                )[1]
            )
        adapted = {
            name: self._scored(examples, [line.adapted[name] for line in predictions])
            for name in ADAPTATIONS
            if predictions and name in predictions[0].adapted
        }
        return language_report(
            self._scored(examples, [line.log_probability for line in predictions]),
            title=title,
            subtitle=subtitle,
            task=self.name,
            vocabulary_size=self.vocabulary_size,
            unit=self.settings.unit,
            training_counts=counts,
            rivals={
                name: self._scored(examples, [line.log_probability for line in lines])
                for name, lines in (rivals or {}).items()
            },
            adapted=adapted,
        )

    def _scored(self, examples: Iterable[TextExample], scores: Sequence[NDArray[np.float32]]) -> list[ScoredLine]:
        """Return lines in the order of the text, with what was said of them in the order that it was read."""
        lines = []
        for example, values in zip(examples, scores, strict=True):
            *names, end = (self.units.token(id) for id in self._scored_ids(example))
            lines.append(
                ScoredLine(
                    tokens=(*(reversed(names) if self._is_backward else names), end),
                    log_probabilities=values,
                    has_end=True,
                    num_characters=len(example.document.text),
                    num_words=len(example.document),
                )
            )
        return lines


def _perplexity(log_probability: float, num_tokens: int) -> float:
    return math.exp(min(-log_probability / num_tokens, 700.0))  # in this order, what is no number stays none

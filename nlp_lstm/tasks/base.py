"""What a task is: the one contract between data, network, training and use; see `nlp_lstm.tasks.predictor` for use."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeAlias, TypeVar

import torch
from torch import Tensor, nn

from nlp_lstm.data.sampling import shuffled_batches
from nlp_lstm.errors import ConfigError
from nlp_lstm.evaluation.report import Figure, Report, Section
from nlp_lstm.settings import Settings
from nlp_lstm.tasks.predictor import Predictor, predict_in_batches
from nlp_lstm.text.vectors import WordVectors

TaskType = TypeVar("TaskType", bound="Task")
DataKind: TypeAlias = Literal["tagged", "labelled", "running", "parallel", "series", "pictures"]


class Task(Predictor):
    """One kind of problem: how its examples become numbers, and the numbers answers.

    A task holds its settings and its vocabularies and nothing that training changes.
    """

    title: ClassVar[str]
    data_kind: ClassVar[DataKind]
    """Which kind of examples the task learns from."""
    opinion_options: ClassVar[Mapping[str, Any]] = {}
    """What `predict_batch` and `predict_together` are told besides when teachers are asked."""
    is_language_model: ClassVar[bool] = False
    """Whether what is learnt is the text itself, as one long row or sentence by sentence."""
    reading_type: ClassVar[type[Settings]] = Settings
    """What a recipe may say about reading them."""
    intended_use: ClassVar[str]
    known_failures: str
    """Of the class, what holds for all its models; a model's own may say more."""

    @classmethod
    @abstractmethod
    def prepare(
        cls: type[TaskType],
        settings: Any,
        examples: Sequence[Any],
        vectors: Sequence[WordVectors] = (),
        say: Callable[[str], None] = lambda line: None,
    ) -> TaskType:
        """Build the vocabularies from training examples.

        Args:
            settings: the task's model settings.
            examples: the training examples.
            vectors: pretrained word vectors.
            say: takes lines for the user, such as the coverage of the vectors.
        """

    @abstractmethod
    def vocabulary(self) -> dict[str, Any]:
        """Return all vocabularies as plain values, for the model folder."""

    def vocabulary_files(self) -> dict[str, bytes]:
        """Return what belongs to the vocabulary and is no plain values, by file name, such as a subword model."""
        return {}

    def facts(self) -> dict[str, str]:
        """Return what a report should say of the preparation, such as the coverage of the vectors."""
        return {}

    def check_examples(self, examples: Sequence[Any], where: str) -> list[str]:
        """Check that the task can score these examples, before any training, and return notes for the user.

        Raises:
            DataError: they lack what the task needs; says where.
        """
        return []

    def begin_as(self, beginnings: Sequence[Any], reading: Settings | None = None) -> None:
        """Let the network begin as language models do, before it is built.

        Args:
            beginnings: the language models.
            reading: how the run's data is read; a translator needs to know its two languages.

        Raises:
            ConfigError: the task's network cannot, or they do not fit its settings.
        """
        raise ConfigError(f"the task {self.name} cannot begin as a language model; leave out init")

    def take_context(self, models: Sequence[Any], say: Callable[[str], None] = lambda line: None) -> None:
        """Let the network also see what language models make of each word in its sentence, before it is built.

        Args:
            models: the language models, one of each direction at most; they are not trained.
            say: takes lines for the user.

        Raises:
            ConfigError: the task's network cannot, or the models are not of the right kind.
        """
        raise ConfigError(f"the task {self.name} cannot read contextual features; leave out context")

    @abstractmethod
    def build_model(self) -> nn.Module:
        """Return the network with fresh weights."""

    def fill_model(self, model: nn.Module) -> None:
        """Copy in what is not learned, such as pretrained vectors, before training starts."""

    @abstractmethod
    def make_batch(self, examples: Sequence[Any], *, pad_to: int = 0, with_labels: bool = False) -> Any:
        """Return the numbers of some examples."""

    @abstractmethod
    def loss(self, model: nn.Module, outputs: Any, batch: Any) -> Tensor:
        """Return the loss of the network's outputs, in nats per token or per example."""

    @abstractmethod
    def decode(self, model: nn.Module, outputs: Any, batch: Any) -> list[Any]:
        """Return one prediction per example."""

    def predict_batch(self, model: nn.Module, batch: Any, **options: Any) -> list[Any]:
        """Return one prediction per example of a batch.

        Args:
            model: the network in evaluation mode.
            batch: what `make_batch` gave.
            options: those of `option_names`.
        """
        with torch.inference_mode():
            return self.decode(model, model(batch), batch)

    def read_through(self, model: nn.Module, example: Any) -> list[str]:
        """Let the network's recurrent layers read an example, and return what they read, one token a step."""
        model(self.make_batch([example]))
        return list(example.document.words)

    def encode(self, examples: Sequence[Any], folder: Path) -> Sequence[Any]:
        """Return what training goes through again and again; by default the examples themselves.

        Args:
            examples: training examples.
            folder: where a task may keep what is too large for memory.
        """
        return examples

    def encode_development(self, examples: Sequence[Any]) -> Sequence[Any]:
        """Return what `score_development` goes through at every evaluation; by default the examples themselves."""
        return examples

    def identify(self, examples: Sequence[Any]) -> Iterator[bytes]:
        """Yield bytes that tell these examples from any others, so that only the same training is resumed."""
        return (repr(example).encode() for example in examples)

    def num_tokens(self, examples: Sequence[Any]) -> int:
        """Return the tokens that one pass through what `encode` gave has."""
        return sum(self.size(example) for example in examples)

    def plan_epoch(self, examples: Sequence[Any], batch_tokens: int, *, seed: int, epoch: int) -> Sequence[Any]:
        """Return the parts that one pass through what `encode` gave is cut into, one for each step of training.

        Args:
            examples: what `encode` gave.
            batch_tokens: tokens per batch, padding included.
            seed: the run's.
            epoch: how many passes there were before; the same seed and epoch give the same plan.
        """
        return shuffled_batches([self.size(example) for example in examples], batch_tokens, seed=seed, epoch=epoch)

    def take_rows(self, part: Any, process: int, num_processes: int) -> Any:
        """Return one process's share of the rows of a part, where several train together; None where it has none.

        Args:
            part: one of those that `plan_epoch` gave.
            process: counted from 0.
            num_processes: of all.
        """
        return part[process::num_processes] or None

    def loss_size(self, batch: Any) -> int:
        """Return how many terms a batch's loss is the mean of."""
        return int(batch.num_tokens)

    def training_batch(self, examples: Sequence[Any], part: Any, carried: Mapping[str, Tensor]) -> Any:
        """Return the batch of one part of the plan.

        Args:
            examples: what `encode` gave.
            part: the part.
            carried: what `carry` gave after the step before.
        """
        return self.make_batch([examples[index] for index in part], with_labels=True)

    def carry(self, outputs: Any) -> dict[str, Tensor]:
        """Return what the next batch begins with, such as recurrent states, cut off from the gradient."""
        return {}

    def score_development(self, model: nn.Module, examples: Sequence[Any], *, use_bf16: bool) -> dict[str, float]:
        """Return the scores that training watches, the decisive one first; more is better."""
        return self.score(examples, predict_examples(self, model, examples, batch_tokens=4_000, use_bf16=use_bf16))

    def predict_in_context(self, model: nn.Module, examples: Sequence[Any]) -> list[Any] | None:
        """Return one prediction per example where each depends on the examples before it; None for other tasks."""
        return None

    def predict_long(self, model: nn.Module, example: Any, **options: Any) -> Any:
        """Return the prediction for an example too long for a batch, in the memory of one stretch; None for others."""
        return None

    def calibrate(self, model: nn.Module, examples: Sequence[Any]) -> None:
        """Set what the network needs besides its weights, such as a temperature, on development examples."""

    def examine(self, model: nn.Module, examples: Sequence[Any], predictions: Sequence[Any]) -> list[Section]:
        """Return what a report should say about the network itself on some examples."""
        return []

    @property
    def predicts_together(self) -> bool:
        """Whether several networks of the same vocabularies can answer together, as an ensemble or as teachers."""
        return False

    def predict_together(self, models: Sequence[nn.Module], batch: Any, **options: Any) -> list[Any]:
        """Return one prediction per example of a batch, of several networks together; of one it is that one's own.

        Args:
            models: the networks in evaluation mode.
            batch: what `make_batch` gave.
            options: those of `option_names`.

        Raises:
            ConfigError: the task's networks cannot answer together.
        """
        return self.average([self.predict_batch(model, batch, **options) for model in models])

    def average(self, opinions: Sequence[Sequence[Any]]) -> list[Any]:
        """Return the mean of several networks' predictions on the same examples.

        Raises:
            ConfigError: the task's networks cannot answer together.
        """
        raise ConfigError(f"several networks of the task {self.name} cannot answer together; give one model")

    def pack_opinion(self, prediction: Any) -> Any:
        """Return what a student learns of a prediction as plain JSON values, to be kept in the run's folder."""
        raise ConfigError(f"the task {self.name} cannot be distilled; set distillation.teachers=0")

    def teach(self, examples: Sequence[Any], opinions: Sequence[Any], weight: float) -> list[Any]:
        """Return what a student learns instead of the examples alone.

        Args:
            examples: training examples.
            opinions: what teachers together say about them, as `pack_opinion` gave it.
            weight: the teachers' share in what is learnt, in [0, 1]; where nothing else is known, they have all of it.

        Raises:
            ConfigError: the task cannot be distilled.
        """
        raise ConfigError(f"the task {self.name} cannot be distilled; set distillation.teachers=0")

    @abstractmethod
    def score(self, examples: Sequence[Any], predictions: Sequence[Any]) -> dict[str, float]:
        """Return the scores that training watches, the decisive one first; more is better."""

    @abstractmethod
    def baseline_predictions(
        self, training: Sequence[Any], development: Sequence[Any], test: Sequence[Any]
    ) -> dict[str, list[Any]]:
        """Return the test predictions of systems that are no networks, by name; their choices are made on dev."""

    @abstractmethod
    def report(
        self,
        examples: Sequence[Any],
        predictions: Sequence[Any],
        *,
        title: str,
        subtitle: str = "",
        training: Sequence[Any] | None = None,
        rivals: Mapping[str, Sequence[Any]] | None = None,
    ) -> Report:
        """Return the evaluation report on some examples.

        Args:
            examples: examples with their gold answers.
            predictions: one per example.
            title: of the report.
            subtitle: model and data in a few words.
            training: the training examples, which tell known words from new ones.
            rivals: predictions of other systems on the same examples, by name.
        """

    def headlines(self, examples: Sequence[Any], predictions: Sequence[Any]) -> Sequence[Figure]:
        """Return the main figure on some examples, and where they come from several domains one for each."""
        return self.report(examples, predictions, title="").figures[:1]


def predict_examples(
    task: Task,
    model: nn.Module | Sequence[nn.Module],
    examples: Sequence[Any],
    *,
    batch_tokens: int = 2_000,
    use_bf16: bool = False,
    pad_to: int = 0,
    options: Mapping[str, Any] | None = None,
) -> list[Any]:
    """Return one prediction per example, in their order.

    Args:
        task: what is solved.
        model: its network, or several that answer together; they are left in evaluation mode.
        examples: what to predict.
        batch_tokens: tokens per batch, padding included.
        use_bf16: whether products run in bfloat16 (scores then differ in the third digit).
        pad_to: pad every batch to at least this many steps.
        options: the task's own, such as ``explain``; None where the examples are evaluated and not used.
    """
    models = [model] if isinstance(model, nn.Module) else list(model)
    for network in models:
        network.eval()
    device = next(models[0].parameters()).device
    autocast = torch.autocast(device.type, torch.bfloat16, enabled=use_bf16)
    if options is None:
        with autocast:
            answers_in_context = _together(task, [task.predict_in_context(network, examples) for network in models])
        if answers_in_context is not None:
            return answers_in_context

    def predict_batch(pieces: Sequence[Any]) -> Sequence[Any]:
        batch = task.make_batch(pieces, pad_to=pad_to).to(device)
        with autocast:
            if len(models) == 1:
                return task.predict_batch(models[0], batch, **(options or {}))
            return task.predict_together(models, batch, **(options or {}))

    def predict_long(piece: Any) -> Any:
        with autocast:
            return _predict_long(task, models, piece, options or {})

    return predict_in_batches(
        task,
        examples,
        predict_batch=predict_batch,
        predict_long=predict_long,
        batch_tokens=task.tokens_at_once(batch_tokens, options or {}),
    )


def _together(task: Task, opinions: Sequence[list[Any] | None]) -> list[Any] | None:
    """The mean of what networks say of the same examples; None where they say nothing."""
    known = [opinion for opinion in opinions if opinion is not None]
    return task.average(known) if len(known) > 1 else next(iter(known), None)


def _predict_long(task: Task, models: Sequence[nn.Module], example: Any, options: Mapping[str, Any]) -> Any:
    answers = [task.predict_long(network, example, **options) for network in models]
    if len(answers) == 1 or answers[0] is None:
        return answers[0]
    return task.average([[answer] for answer in answers])[0]

"""What using a model takes, apart from training it. Needs no torch.

    text       read_text, size, cut_long      examples
    examples   predict_arrays                 arrays for an engine, and predictions from those that it gives
    answers    join_long, format              plain results

A task is a predictor that can be trained. A task's network that is a function of arrays alone also has an
`ArrayPredictor`, which any engine can serve; the task inherits it, so that what goes into the network and what comes
out of it is said once.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeAlias, TypeVar

from nlp_lstm.artifacts import GRAPH_NAME
from nlp_lstm.data.sampling import batch_by_length
from nlp_lstm.errors import CheckpointError, ConfigError, DataError, shorten
from nlp_lstm.registry import Registry
from nlp_lstm.settings import Settings
from nlp_lstm.text.tokenize import Tokenizer, check_text

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nlp_lstm.tasks.base import Task

PredictorType = TypeVar("PredictorType", bound="Predictor")

Arrays: TypeAlias = "Mapping[str, NDArray[Any]]"
"""Inputs or outputs of a network, by name."""


class Run(Protocol):
    """A network as an engine runs it."""

    def __call__(self, arrays: Arrays, graph: str = GRAPH_NAME) -> Arrays:
        """Return what one of the network's graphs makes of arrays.

        Args:
            arrays: its inputs, and possibly others that it does not read.
            graph: its name; one of the predictor's ``graphs``.

        Raises:
            CheckpointError: the graph needs others, or fails on them.
        """


PredictBatch: TypeAlias = Callable[[Sequence[Any]], Sequence[Any]]
"""What gives one prediction per example of a batch."""

RunAll: TypeAlias = Callable[[PredictBatch, Iterable[Sequence[Any]]], Iterable[Sequence[Any]]]
"""What calls a function for many batches and gives its answers in their order, as `map` does."""

tasks: Registry[type[Task]] = Registry(
    "task",
    {
        "bilm": "nlp_lstm.tasks.bilm",
        "caption": "nlp_lstm.tasks.caption",
        "lm": "nlp_lstm.tasks.lm",
        "pos": "nlp_lstm.tasks.pos",
        "sentiment": "nlp_lstm.tasks.sentiment",
        "series": "nlp_lstm.tasks.series",
        "topics": "nlp_lstm.tasks.topics",
        "translate": "nlp_lstm.tasks.translate",
        "video": "nlp_lstm.tasks.video",
    },
)
predictors: Registry[type[ArrayPredictor]] = Registry(
    "task without torch",
    {
        "caption": "nlp_lstm.tasks.caption_answers",
        "lm": "nlp_lstm.tasks.language_answers",
        "pos": "nlp_lstm.tasks.tagging",
        "sentiment": "nlp_lstm.tasks.classification",
        "series": "nlp_lstm.tasks.series_answers",
        "topics": "nlp_lstm.tasks.topic_answers",
        "translate": "nlp_lstm.tasks.translation_answers",
        "video": "nlp_lstm.tasks.video_answers",
    },
)


class Predictor(ABC):
    """How texts become examples, and predictions results.

    It holds the model's settings and vocabularies and nothing that predicting changes.
    """

    name: ClassVar[str]
    settings_type: ClassVar[type[Settings]]
    option_names: ClassVar[tuple[str, ...]]
    """What `Pipeline.predict` takes for this task besides the text."""
    gradient_options: ClassVar[tuple[str, ...]] = ()
    """Those of them that need the network's gradient, which only torch has."""
    needs_tokenizer: ClassVar[bool] = True
    """Whether `read_text` splits texts into words."""

    settings: Any

    @classmethod
    @abstractmethod
    def from_vocabulary(cls: type[PredictorType], settings: Any, values: Mapping[str, Any]) -> PredictorType:
        """Build from what `Task.vocabulary` gave.

        Raises:
            CheckpointError: the values are not this task's vocabulary.
        """

    @classmethod
    def from_folder(
        cls: type[PredictorType], settings: Any, values: Mapping[str, Any], files: Mapping[str, bytes]
    ) -> PredictorType:
        """Build from what `Task.vocabulary` and `Task.vocabulary_files` gave.

        Raises:
            CheckpointError: they are not this task's vocabulary.
        """
        return cls.from_vocabulary(settings, values)

    @abstractmethod
    def size(self, example: Any) -> int:
        """Return the example's length in tokens, which batches are filled by."""

    def tokens_at_once(self, batch_tokens: int, options: Mapping[str, Any]) -> int:
        """Return the tokens of a batch: other than asked for where a text takes more than one row.

        Args:
            batch_tokens: asked for, padding included.
            options: those of `option_names`.
        """
        return batch_tokens

    def cut_long(self, example: Any) -> list[tuple[Any, int, int]]:
        """Cut an example too long for one row into stretches, each with the part (start, end) whose answers count."""
        return [(example, 0, self.size(example))]

    def join_long(self, pieces: Sequence[tuple[Any, int, int]]) -> Any:
        """Join the predictions of the stretches that `cut_long` made."""
        return pieces[0][0]

    @property
    def reads_files(self) -> bool:
        """Whether a file is one input, such as a picture, and not as many texts as it has lines."""
        return False

    def is_one(self, given: Any, *, is_pretokenized: bool) -> bool:
        """Return whether what was given is one input, and not many.

        Raises:
            DataError: it is neither.
        """
        if isinstance(given, (bytes, dict)) or not isinstance(given, Iterable):
            raise DataError(f"input is {shorten(given)} ({type(given).__name__}); give a string or a list of strings")
        if is_pretokenized and isinstance(given, (list, tuple)):
            return bool(given) and all(isinstance(item, str) for item in given)
        return isinstance(given, str)

    def check_input(self, item: Any, where: str, *, is_pretokenized: bool) -> None:
        """Check one input before any work is done: that it is a text, or a list of tokens.

        Raises:
            DataError: it is not; says ``where`` it is.
        """
        if not is_pretokenized:
            check_text(item, where)
        elif isinstance(item, str) or not isinstance(item, Sequence):
            raise DataError(f"{where} is {shorten(item)}; with pretokenized=True give a list of tokens per text")
        elif not _are_tokens(item):
            for index, word in enumerate(item):
                if not check_text(word, f"{where}, token {index}"):
                    raise DataError(f"{where}, token {index} is empty; tokens are non-empty strings")

    @abstractmethod
    def read_text(self, text: Any, tokenizer: Tokenizer | None, *, is_pretokenized: bool) -> Iterator[Any]:
        """Yield the examples of one given text, lazily. The text has been checked.

        Args:
            text: the input, or with ``is_pretokenized`` its tokens.
            tokenizer: None with ``is_pretokenized``, or where ``needs_tokenizer`` says that there is no need.
            is_pretokenized: whether the text comes as tokens.
        """

    def check_options(self, **options: Any) -> None:
        """Check the options of a prediction before any work is done.

        Raises:
            ConfigError: a value is not one of those accepted.
        """
        self.format([], **options)

    def check_text(self, text: Any, where: str, **options: Any) -> None:  # noqa: B027
        """Check, before any work is done, that the options can be kept for a text; that it is a text has been checked.

        Raises:
            DataError: they cannot; says ``where`` the text is.
        """

    @abstractmethod
    def format(self, answers: Iterable[tuple[Any, Any]], **options: Any) -> Any:
        """Return the result for one given text in its plain JSON-able shape.

        Args:
            answers: the text's examples, each with its prediction.
            options: those of `option_names`.
        """

    def as_line(self, result: Any) -> str:
        """Return what `format` gave for a text as plain text.

        Raises:
            ConfigError: results of the task, or of these options, are no line of text.
        """
        raise ConfigError(f"results of the task {self.name} are not lines of text; leave out --format text")


class ArrayPredictor(Predictor):
    """A predictor whose network is a function from arrays to arrays."""

    graphs: ClassVar[tuple[str, ...]] = (GRAPH_NAME,)
    """The files of a model folder that the network is in."""

    @abstractmethod
    def predict_arrays(self, run: Run, examples: Sequence[Any], *, pad_to: int = 0, **options: Any) -> list[Any]:
        """Return one prediction per example of a batch.

        Args:
            run: the network.
            examples: of similar length.
            pad_to: pad to at least this many steps; answers do not depend on it.
            options: those of `option_names`.

        Raises:
            CheckpointError: the network's answers do not fit the vocabulary.
        """

    def predict_long_arrays(self, run: Run, example: Any) -> Any:
        """Return the prediction for an example too long for a batch, in the memory of one stretch; None for others."""
        return None

    def check_weights(self, weights: Arrays) -> None:
        """Check what the network's weights have to be, besides finite.

        Raises:
            CheckpointError: they are not.
        """


def _are_tokens(items: Sequence[Any]) -> bool:
    """Whether all are strings that are not empty and have a UTF-8 form; one look for most texts."""
    try:
        "".join(items).encode("utf-8")
    except (TypeError, UnicodeEncodeError):
        return False
    return all(items)


def checked_output(outputs: Arrays, name: str, *shape: int | None) -> NDArray[Any]:
    """Return one of a network's outputs if it has the right shape.

    Args:
        outputs: of the network.
        name: of the output.
        shape: its dimensions; None for any size.

    Raises:
        CheckpointError: it is missing, or has another shape.
    """
    found = outputs.get(name)
    sizes = found.shape if found is not None else ()
    if (
        found is None
        or len(sizes) != len(shape)
        or any(wanted not in (None, size) for wanted, size in zip(shape, sizes, strict=True))
    ):
        what = "does not give" if found is None else f"gives {list(sizes)} as"
        wanted = ", ".join("any" if size is None else str(size) for size in shape)
        raise CheckpointError(
            f"the network {what} {name}; the vocabulary calls for [{wanted}]. Write the graph again with "
            "`nlp-lstm export`"
        )
    return found


def predict_in_batches(
    predictor: Predictor,
    examples: Sequence[Any],
    *,
    predict_batch: PredictBatch,
    predict_long: Callable[[Any], Any],
    batch_tokens: int,
    run_all: RunAll = map,
) -> list[Any]:
    """Return one prediction per example, in their order.

    Args:
        predictor: how examples are cut and predictions joined.
        examples: what to predict.
        predict_batch: predicts examples of similar length.
        predict_long: predicts an example too long for a batch; None for others.
        batch_tokens: tokens per batch, padding included.
        run_all: calls ``predict_batch`` for each batch; several at a time if it likes.
    """
    cuts = [predictor.cut_long(example) for example in examples]
    pieces = [piece for cut in cuts for piece, _, _ in cut]
    answers = [predict_long(piece) for piece in pieces]
    short = [index for index, answer in enumerate(answers) if answer is None]
    batches = [
        [short[place] for place in places]
        for places in batch_by_length([predictor.size(pieces[index]) for index in short], batch_tokens)
    ]
    predicted = run_all(predict_batch, ([pieces[index] for index in batch] for batch in batches))
    for batch, found in zip(batches, predicted, strict=True):
        for index, answer in zip(batch, found, strict=True):
            answers[index] = answer
    remaining = iter(answers)
    return [predictor.join_long([(next(remaining), start, end) for _, start, end in cut]) for cut in cuts]

"""The models of a server: each with its names, its thread and its batcher."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cached_property
from itertools import count
from pathlib import Path
from typing import Any

from nlp_lstm.artifacts import list_models, read_config
from nlp_lstm.errors import ConfigError, DataError, NlpLstmError, NotTrainedError
from nlp_lstm.paths import model_roots
from nlp_lstm.pipeline import Pipeline, find_folder
from nlp_lstm.serving.answers import Answer, AskedAlike, Use, answer_items
from nlp_lstm.serving.batcher import Batcher, ClosedError, DeadlineError, QueueFullError
from nlp_lstm.serving.inputs import Item, read_item, split_inputs
from nlp_lstm.serving.limits import ServingLimits, weigh
from nlp_lstm.serving.metrics import ModelMetrics
from nlp_lstm.serving.refusals import RefusedError
from nlp_lstm.serving.shapes import parse_request, request_type
from nlp_lstm.settings import Settings
from nlp_lstm.tasks.predictor import Predictor, predictors, tasks

BATCH_TOKENS = 400  # texts of like length together: with 2,000 padding costs a third more (64 sentences of SST-2)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_USES = {"lm": ("generate",)}  # further names of a task
_TIMES_THE_WORK = {"look": 16}  # of a prediction: the gradient of each output is taken


class ServedModel:
    """A model that requests are answered by. It is opened in its own thread, where all its batches are computed.

    Args:
        names: what it is served as, the main one first.
        folder: the model folder.
        limits: the server's bounds.
        metrics: what is counted.
    """

    def __init__(self, names: Sequence[str], folder: Path, limits: ServingLimits, metrics: ModelMetrics) -> None:
        self.names = tuple(names)
        self.folder = folder
        self.config = read_config(folder)
        self.metrics = metrics
        self.failure: Exception | None = None
        self._limits = limits
        self._pipeline: Pipeline | None = None
        self._numbers = count(1)
        self._executor = ThreadPoolExecutor(1, thread_name_prefix=f"nlp-lstm-{self.name}")
        self.batcher: Batcher[Item, Answer] = Batcher(
            self._compute, executor=self._executor, limits=limits, on_batch=metrics.count_batch
        )
        metrics.watch(self)

    @property
    def name(self) -> str:
        """The main name."""
        return self.names[0]

    @property
    def is_ready(self) -> bool:
        """Whether it is open."""
        return self._pipeline is not None

    @property
    def predictor(self) -> Predictor:
        """What reads its inputs.

        Raises:
            RefusedError: the model is not open yet.
        """
        return self._open_pipeline().predictor

    @cached_property
    def predictor_type(self) -> type[Predictor]:
        """What reads requests; it is known before the model is open."""
        task = self.config.task
        return predictors.get(task) if task in predictors else tasks.get(task)

    @cached_property
    def request_type(self) -> type[Settings]:
        """What a request may hold."""
        return request_type(self.predictor_type)

    async def open(self, on_failure: Callable[[Exception], None]) -> None:
        """Open the model, in its thread.

        Args:
            on_failure: told why it cannot be opened.
        """
        try:
            self._pipeline = await asyncio.get_running_loop().run_in_executor(self._executor, self._open)
        except Exception as error:  # noqa: BLE001
            self.failure = error
            on_failure(error)

    def _open(self) -> Pipeline:
        pipeline = Pipeline(self.folder, batch_tokens=BATCH_TOKENS)
        if pipeline.can_score:
            pipeline.score([])  # which needs more than writing does, and is not to wait for the first request
        return pipeline

    async def close(self) -> None:
        """Finish what was accepted, take nothing more, and end the thread."""
        await self.batcher.close()
        self._executor.shutdown(wait=True)

    async def answer(
        self,
        values: Any,
        deadline: float,
        *,
        use: Use = "predict",
        on_piece: Callable[[str], bool] = lambda piece: True,
    ) -> tuple[int, bytes, int]:
        """Return the status and the JSON that answer a request, and how many inputs it had.

        Args:
            values: the request, read from JSON.
            deadline: time of the event loop's clock.
            use: what is done with the inputs. All but predictions are computed one request at a time.
            on_piece: where a text is written, told each piece in the model's thread; whether to go on.

        Raises:
            RefusedError: the request is not computed.
        """
        pipeline = self._open_pipeline()
        try:
            inputs, is_pretokenized, options = parse_request(self.request_type, values)
            self._check_options(pipeline, options)
            given, is_one = split_inputs(pipeline.predictor, inputs, is_pretokenized=is_pretokenized)
        except (ConfigError, DataError) as error:
            raise RefusedError(422, str(error)) from error
        if len(given) > self._limits.max_texts:
            raise RefusedError(
                422,
                f"{len(given):,} inputs in one request; this server takes up to {self._limits.max_texts:,}. Send fewer",
            )
        items = [
            read_item(
                pipeline.predictor, value, "input" if is_one else f"input {index}", max_text=self._limits.max_text
            )
            for index, value in enumerate(given)
        ]
        if is_one and items[0].fault:
            raise RefusedError(422, items[0].fault)
        num_sequences = max(options.get("num_beams") or 1, options.get("num_return_sequences") or 1)
        work = num_sequences * _TIMES_THE_WORK.get(use, 1)
        weights = [weigh(item.num_characters, work) for item in items]
        number = 0 if use == "predict" else next(self._numbers)
        alike = AskedAlike.of(options, is_pretokenized=is_pretokenized, use=use, number=number)
        if use == "write":
            items = [replace(item, on_piece=on_piece) for item in items]
        try:
            answers = await self.batcher.submit(items, weights, key=alike, deadline=deadline)
        except QueueFullError as error:
            raise queue_full(error.retry_after) from error
        except DeadlineError as error:
            raise RefusedError(
                504, f"no answer within {self._limits.deadline:g} seconds; send less, or later"
            ) from error
        except ClosedError as error:
            raise RefusedError(503, "the server is stopping", retry_after=1) from error
        self.metrics.count_answers(answers)
        if is_one:
            return answers[0].status, answers[0].json, 1
        return 200, b"[" + b",".join([answer.json for answer in answers]) + b"]", len(answers)

    def _open_pipeline(self) -> Pipeline:
        if self._pipeline is None:
            raise RefusedError(503, f"the model {self.name} is being opened", retry_after=1)
        return self._pipeline

    def _check_options(self, pipeline: Pipeline, options: dict[str, Any]) -> None:
        """Refuse options that the model does not know, or that would keep all others waiting.

        Raises:
            ConfigError: one is refused.
        """
        for name, most in (
            ("max_new_tokens", self._limits.max_new_tokens),
            ("num_beams", self._limits.max_sequences),
            ("num_return_sequences", self._limits.max_sequences),
        ):
            if (options.get(name) or 0) > most:
                raise ConfigError(f"{name} is {options[name]:,}; this server takes up to {most:,}")
        if options:
            pipeline.predictor.check_options(**options)

    def _compute(self, items: Sequence[Item], alike: AskedAlike) -> list[Answer]:
        if self._pipeline is None:
            raise RuntimeError("a batch began before the model was open")
        return answer_items(self._pipeline, items, alike)


def queue_full(retry_after: int) -> RefusedError:
    """Return the answer to a request that found the queue full."""
    return RefusedError(429, f"too many requests wait; try again in {retry_after} s", retry_after=retry_after)


def choose_models(wanted: Sequence[str]) -> dict[Path, list[str]]:
    """Return the folders of the models to serve, each with the names that it is served as.

    Args:
        wanted: tasks, model names, or model folders, these also as ``NAME=FOLDER``; none for every bundled model.

    Raises:
        NotTrainedError: there is no such model.
        ConfigError: a name is taken twice, or is none that can stand in an address.
    """
    if not wanted:
        wanted = [name for name, place, _ in list_models(model_roots()) if place == "bundled"]
        if not wanted:
            raise NotTrainedError("no bundled models here; name the models to serve, such as runs/pos/model")
    entries = [(text, *_find(text)) for text in wanted]
    chosen: dict[Path, list[str]] = {}
    taken: dict[str, str] = {}
    for text, given, folder in entries:
        if folder in chosen:
            raise ConfigError(f"{text}: this model is named twice; name it once")
        chosen[folder] = [given] if given else []
        _take(given, text, taken)
    for text, given, folder in sorted(entries, key=lambda entry: not _is_usual(entry[2])):
        task = read_config(folder).task
        if not given:
            _take(task, text, taken)
        if task not in taken or not given:
            names = [task, *_USES.get(task, ())]
            chosen[folder] += names
            taken |= dict.fromkeys(names, text)
    return chosen


def _take(name: str, text: str, taken: dict[str, str]) -> None:
    if name in taken:
        raise ConfigError(f"{text}: {name} is {taken[name]} already; give this one a name, as in NAME={text}")
    if name:
        taken[name] = text


def _is_usual(folder: Path) -> bool:
    """Whether a model is what its task's name alone stands for."""
    try:
        return find_folder(read_config(folder).task) == folder
    except NlpLstmError:
        return False


def _find(text: str) -> tuple[str, Path]:
    """Return the name that a model is to have besides its task's, if any, and its folder."""
    name, equals, path = text.partition("=")
    if equals:
        if not _NAME.fullmatch(name):
            raise ConfigError(f'"{name}" is no name for an address; give up to 64 letters, digits, "-", "_" and "."')
        return name, find_folder(Path(path))
    folder = find_folder(text)
    known = {found: model for model, _, found in list_models(model_roots())}
    return known.get(folder, ""), folder

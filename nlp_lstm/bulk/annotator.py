"""The work itself: a block of rows becomes the bytes of a shard, by the block and the plan alone."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nlp_lstm.artifacts import CONFIG_NAME
from nlp_lstm.bulk.blocks import Block, Given
from nlp_lstm.bulk.forms import FORMS
from nlp_lstm.bulk.sources import SOURCES
from nlp_lstm.errors import CheckpointError, DataError
from nlp_lstm.pipeline import Pipeline

ROWS_TOGETHER = 1_000  # whose texts are predicted at a time; batches are formed among them
CHARACTERS_TOGETHER = 200_000  # and not many more than so many characters, so that results fit the memory
BAD_ROWS_NAMED = 100  # in the manifest, the first ones


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a shard depends on besides its rows.

    Args:
        source: the kind of the input, a name in ``SOURCES``.
        form: the kind of the shards, a name in ``FORMS``.
        column: the text's.
        into: the column that the answers get.
        models: the model's folder, and those that answer together with it.
        checksums: the sha256 of each one's config.json, which has those of its other files.
        engine: what runs the network.
        precision: of its arithmetic.
        is_pretokenized: whether a text is a list of tokens, or tokens with spaces between.
        options: the task's own.
    """

    source: str
    form: str
    column: str
    into: str
    models: tuple[Path, ...]
    checksums: tuple[str, ...]
    engine: str
    precision: str
    is_pretokenized: bool
    options: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Shard:
    """An annotated block.

    Args:
        content: the bytes of the file.
        num_rows: how many rows.
        num_errors: how many of them were answered with an error.
        bad_rows: the first of these: the place of the row in its file, and the error.
        warnings: what there was to say about texts, each thing once.
    """

    content: bytes
    num_rows: int
    num_errors: int
    bad_rows: tuple[tuple[int, str], ...]
    warnings: tuple[str, ...]


class Annotator:
    """Annotates blocks with an open model, in one thread.

    Args:
        pipeline: of the plan's model.
        plan: what is to be done.
    """

    def __init__(self, pipeline: Pipeline, plan: Plan) -> None:
        self._pipeline = pipeline
        self._plan = plan

    @classmethod
    def open(cls, plan: Plan) -> Annotator:
        """Open the plan's model.

        Raises:
            CheckpointError: the model is damaged, or not the one that the plan was made for.
        """
        if checksums(plan.models) != plan.checksums:
            raise CheckpointError(f"{plan.models[0]} was changed after the work had begun; annotate anew with it")
        engine: Any = plan.engine
        precision: Any = plan.precision
        pipeline = Pipeline(plan.models[0], engine=engine, precision=precision, together_with=plan.models[1:])
        return cls(pipeline, plan)

    def annotate(self, block: Block) -> Shard:
        """Return the shard of a block.

        Raises:
            DataError: a row is broken, so that what it holds cannot be known; says where.
            CheckpointError: the model gives a score that is no number.
        """
        plan = self._plan
        _, write = FORMS[plan.form]
        rows = SOURCES[plan.source].rows(block, plan.column, plan.into if plan.form != "text" else "")
        answers: list[str] = []
        bad_rows: list[tuple[int, str]] = []
        num_errors = 0
        with warnings.catch_warnings(record=True) as given_warnings:
            warnings.simplefilter("always")
            for given, result, error in self._answers(rows.given):
                if error:
                    num_errors += 1
                    if len(bad_rows) < BAD_ROWS_NAMED:
                        bad_rows.append((given.place, error))
                answers.append(json.dumps({"error": error}, ensure_ascii=False) if error else self._write(result))
        return Shard(
            content=write(rows, answers, plan.into),
            num_rows=len(rows.given),
            num_errors=num_errors,
            bad_rows=tuple(bad_rows),
            warnings=tuple(dict.fromkeys(str(warning.message) for warning in given_warnings)),
        )

    def _write(self, result: Any) -> str:
        """Return a result as one line: JSON, or of text what the task makes of it."""
        if self._plan.form == "text":
            return " ".join(self._pipeline.predictor.as_line(result).splitlines())
        try:
            return json.dumps(result, ensure_ascii=False, allow_nan=False)
        except ValueError as error:
            raise CheckpointError(
                f"{self._plan.models[0]} gives a score that is no number; train the model again"
            ) from error

    def _answers(self, given: Sequence[Given]) -> Iterator[tuple[Given, Any, str]]:
        """Yield each row with its result or, in place of that, its error, in order."""
        for some in _cut(given):
            inputs, errors = [], []
            for one in some:
                value, error = self._read(one)
                errors.append(error)
                if not error:
                    inputs.append(value)
            results = iter(self._predict(inputs))
            for one, error in zip(some, errors, strict=True):
                result, late = (None, "") if error else next(results)
                yield one, result, error or late

    def _read(self, given: Given) -> tuple[Any, str]:
        """Return the input of a row and what is wrong with it."""
        if given.fault:
            return None, given.fault
        value = given.value
        if self._plan.is_pretokenized and isinstance(value, str):
            value = value.split()
        try:
            self._pipeline.check(value, f'"{self._plan.column}"', **self._options())
        except DataError as error:
            return None, str(error)
        return value, ""

    def _predict(self, inputs: Sequence[Any]) -> list[tuple[Any, str]]:
        """Return the result of each input; of one that turns out to be bad on the way, the error."""
        try:
            return [(result, "") for result in self._pipeline.predict(list(inputs), **self._options())]
        except DataError as error:
            if len(inputs) == 1:
                return [(None, str(error))]
        return [answer for one in inputs for answer in self._predict([one])]

    def _options(self) -> dict[str, Any]:
        return {"pretokenized": self._plan.is_pretokenized, **self._plan.options}


def _cut(given: Sequence[Given]) -> Iterator[Sequence[Given]]:
    """Yield the rows some at a time: always the same ones together."""
    start = size = 0
    for place, one in enumerate(given):
        size += len(one.value) if isinstance(one.value, (str, list)) else 0
        if place + 1 - start == ROWS_TOGETHER or size >= CHARACTERS_TOGETHER:
            yield given[start : place + 1]
            start, size = place + 1, 0
    if start < len(given):
        yield given[start:]


def checksums(models: Sequence[Path]) -> tuple[str, ...]:
    """Return the sha256 of the config.json of each model folder."""
    return tuple(hashlib.sha256((folder / CONFIG_NAME).read_bytes()).hexdigest() for folder in models)


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Let networks that are opened inside compute in one thread, so that answers do not depend on the machine."""
    before = os.environ.get("OMP_NUM_THREADS")
    torch = sys.modules.get("torch")
    num_threads = torch.get_num_threads() if torch is not None else 0
    os.environ["OMP_NUM_THREADS"] = "1"
    if torch is not None:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        if before is None:
            del os.environ["OMP_NUM_THREADS"]
        else:
            os.environ["OMP_NUM_THREADS"] = before
        if torch is not None:
            torch.set_num_threads(num_threads)

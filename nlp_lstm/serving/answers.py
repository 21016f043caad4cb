"""From items to answers in JSON, in the model's own thread. No item suffers from another."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple, TypeAlias

from pydantic_core import to_json

from nlp_lstm.errors import CheckpointError, ConfigError, DataError, NlpLstmError, VocabularyError
from nlp_lstm.pipeline import Pipeline
from nlp_lstm.serving.inputs import Item
from nlp_lstm.serving.refusals import error_json

logger = logging.getLogger(__name__)

Use: TypeAlias = Literal["predict", "write", "score", "look"]
"""What is done with an item: what `Pipeline.predict` does, or for the page what `stream`, `score` and `xray` do."""

_FAULT_OF_OURS = error_json("this input made the model fail; the server's log says how")
_FAULTS_OF_THE_INPUT = (ConfigError, DataError, VocabularyError)


class Answer(NamedTuple):
    """The answer to one item.

    Args:
        status: 200, 422 where the item is at fault, 500 where the model is.
        json: the result, or the error.
    """

    status: int
    json: bytes


class AskedAlike(NamedTuple):
    """What items have to have in common to be computed together.

    Args:
        is_pretokenized: whether they are lists of tokens.
        options: of the task, as JSON with sorted names.
        use: what is done with them.
        number: of the request, where it is computed by itself; 0 where others may join it.
    """

    is_pretokenized: bool
    options: str
    use: Use = "predict"
    number: int = 0

    @classmethod
    def of(
        cls, options: Mapping[str, Any], *, is_pretokenized: bool, use: Use = "predict", number: int = 0
    ) -> AskedAlike:
        """Return it for options by name."""
        return cls(is_pretokenized, json.dumps(options, sort_keys=True) if options else "{}", use, number)


def answer_items(pipeline: Pipeline, items: Sequence[Item], alike: AskedAlike) -> list[Answer]:
    """Return one answer per item, in order."""
    options: dict[str, Any] = json.loads(alike.options)
    if alike.use != "predict":
        return [_use(pipeline, item, alike.use, options) for item in items]
    answers: list[Answer | None] = []
    for item in items:
        answers.append(_check(pipeline, item, alike.is_pretokenized, options))
    places = [place for place, answer in enumerate(answers) if answer is None]
    found = _predict(pipeline, [items[place] for place in places], alike.is_pretokenized, options)
    for place, answer in zip(places, found, strict=True):
        answers[place] = answer
    return [answer for answer in answers if answer is not None]


def _use(pipeline: Pipeline, item: Item, use: Use, options: dict[str, Any]) -> Answer:
    """Return the answer to an item that is not predicted."""
    if item.fault:
        return Answer(422, error_json(item.fault))
    try:
        if use == "score":
            return _written(pipeline.score(item.value))
        if use == "look":
            return _written(_look(pipeline, item.value))
        return _written({"generated_text": _write(pipeline, item, options)})
    except Exception as error:  # noqa: BLE001
        return _failed(error)


def _write(pipeline: Pipeline, item: Item, options: dict[str, Any]) -> str:
    """Write on from an item, telling each piece as it comes, until the text ends or nobody listens."""
    pieces: list[str] = []
    for piece in pipeline.stream(item.value, **options):
        pieces.append(piece)
        if not item.on_piece(piece):
            break
    return "".join(pieces)


def _look(pipeline: Pipeline, text: str) -> dict[str, Any]:
    """Return what `nlp-lstm xray` measures while the model reads a text."""
    from nlp_lstm.xray import look_into

    views, note = look_into({pipeline.folder.name: pipeline.folder}, text)
    return {"views": [view.to_dict() for view in views], "note": note}


def _check(pipeline: Pipeline, item: Item, is_pretokenized: bool, options: dict[str, Any]) -> Answer | None:
    """Return the answer to an item that is not to be computed; None for one that is."""
    if item.fault:
        return Answer(422, error_json(item.fault))
    try:
        pipeline.predictor.check_input(item.value, item.where, is_pretokenized=is_pretokenized)
        pipeline.predictor.check_text(item.value, item.where, **options)
    except Exception as error:  # noqa: BLE001
        return _failed(error)
    return None


def _predict(pipeline: Pipeline, items: Sequence[Item], is_pretokenized: bool, options: dict[str, Any]) -> list[Answer]:
    """Return the answers to items that passed the checks; when together they fail, of each alone."""
    if not items:
        return []
    try:
        values = [item.value for item in items]
        return [_written(result) for result in pipeline.predict(values, pretokenized=is_pretokenized, **options)]
    except Exception as error:  # noqa: BLE001
        if len(items) == 1:
            return [_failed(error)]
    return [_predict(pipeline, [item], is_pretokenized, options)[0] for item in items]


def _written(result: Any) -> Answer:
    """Return a result as JSON, which has no NaN and no infinity.

    Raises:
        CheckpointError: the result holds one.
    """
    text = to_json(result, inf_nan_mode="constants")
    if b"NaN" in text or b"Infinity" in text:  # a number, or a word of the text
        try:
            json.dumps(result, allow_nan=False)
        except ValueError as error:
            raise CheckpointError("the model gives a score that is no number; train it again") from error
    return Answer(200, text)


def _failed(error: Exception) -> Answer:
    if isinstance(error, _FAULTS_OF_THE_INPUT):
        return Answer(422, error_json(str(error)))
    logger.error("a model failed", exc_info=error)
    if isinstance(error, NlpLstmError):
        return Answer(500, error_json(str(error)))
    return Answer(500, _FAULT_OF_OURS)

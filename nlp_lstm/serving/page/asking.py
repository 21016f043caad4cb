"""Asks the models of a server for the page, as programs do: the same queue, batches, bounds and deadline."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
import time
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

from nlp_lstm.serving.answers import Use
from nlp_lstm.serving.limits import ServingLimits
from nlp_lstm.serving.models import ServedModel
from nlp_lstm.serving.refusals import RefusedError
from nlp_lstm.tasks.predictor import Predictor

logger = logging.getLogger(__name__)

PIECES_PER_SECOND = 20  # times a second that a text being written is shown anew


class Asker:
    """Asks models by their names.

    Args:
        models: of the server, each under its main name.
        limits: the server's bounds.
    """

    def __init__(self, models: Mapping[str, ServedModel], limits: ServingLimits) -> None:
        self.models = models
        self.limits = limits

    def names(self, *tasks: str) -> list[str]:
        """Return the main names of the models of some tasks, in the order that they are served."""
        return [name for name, model in self.models.items() if model.config.task in tasks]

    def predictor(self, name: str) -> Predictor:
        """Return what reads the inputs of a model.

        Raises:
            RefusedError: there is no such model, or it is being opened.
        """
        return self._model(name).predictor

    async def ask(self, name: str, inputs: Any, use: Use = "predict", **options: Any) -> Any:
        """Return what a model answers to one input.

        Args:
            name: of the model.
            inputs: one input as a request has it.
            use: what is done with it.
            options: of the task.

        Raises:
            RefusedError: it is not answered, or it is at fault.
        """
        return await self._ask(name, {"inputs": inputs, **options}, use, lambda piece: True)

    async def write(self, name: str, beginning: str, **options: Any) -> AsyncIterator[str]:
        """Yield what a language model writes on a beginning, as far as it is.

        Raises:
            RefusedError: it is not answered.
        """
        written: list[str] = []
        has_gone = threading.Event()

        def keep(piece: str) -> bool:
            written.append(piece)
            return not has_gone.is_set()

        asked = asyncio.ensure_future(self._ask(name, {"inputs": beginning, **options}, "write", keep))
        shown = 0
        try:
            while not asked.done():
                await asyncio.wait([asked], timeout=1 / PIECES_PER_SECOND)
                if len(written) > shown and not asked.done():
                    shown = len(written)
                    yield "".join(written[:shown])
            yield (await asked)["generated_text"]
        finally:
            has_gone.set()
            asked.cancel()

    async def _ask(self, name: str, values: dict[str, Any], use: Use, on_piece: Callable[[str], bool]) -> Any:
        began, status = time.perf_counter(), 500
        deadline = asyncio.get_running_loop().time() + self.limits.deadline
        try:
            try:
                status, content, _ = await self._model(name).answer(values, deadline, use=use, on_piece=on_piece)
            except RefusedError as refusal:
                status = refusal.status
                raise
        finally:
            seconds = round(time.perf_counter() - began, 6)
            known = name if name in self.models else "?"
            fields = {"path": "/page", "model": known, "use": use, "status": status, "seconds": seconds}
            logger.info("page request", extra={"fields": fields})
        answer = json.loads(content)
        if status != 200:
            raise RefusedError(status, answer["error"])
        return answer

    def _model(self, name: str) -> ServedModel:
        if name not in self.models:
            raise RefusedError(404, "there is no such model; load the page again")
        return self.models[name]

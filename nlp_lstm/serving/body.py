"""Reading a request's body: bounded while it comes in, and in time."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from starlette.types import Receive, Scope

from nlp_lstm.errors import shorten
from nlp_lstm.serving.limits import ServingLimits
from nlp_lstm.serving.refusals import RefusedError


class BodyReader:
    """Reads the bodies of all requests, and knows how much of them is in memory.

    Args:
        limits: how large one may be, and all together that are being received.
    """

    def __init__(self, limits: ServingLimits) -> None:
        self._limits = limits
        self._num_bytes = 0

    async def read(self, scope: Scope, receive: Receive, deadline: float) -> bytes:
        """Return the body.

        Args:
            scope: of the request.
            receive: gives its parts.
            deadline: time of the event loop's clock.

        Raises:
            RefusedError: it is too large (413), too much is being received (429), it is not here in time (408), or who
                sent it went away (400).
        """
        headers = dict(scope["headers"])
        length = headers.get(b"content-length", b"")
        if length.isdigit() and (len(length) > 18 or int(length) > self._limits.max_body):
            raise self._too_large()
        loop = asyncio.get_running_loop()
        parts: list[bytes] = []
        size = 0
        try:
            while True:
                try:
                    message = await asyncio.wait_for(receive(), deadline - loop.time())
                except (TimeoutError, asyncio.TimeoutError) as error:
                    raise RefusedError(
                        408, f"the body was not here within {self._limits.deadline:g} seconds; send it at once"
                    ) from error
                if message["type"] == "http.disconnect":
                    raise RefusedError(400, "the client went away")
                part = message.get("body", b"")
                size += len(part)
                self._num_bytes += len(part)
                if size > self._limits.max_body:
                    raise self._too_large()
                if self._num_bytes > self._limits.max_bodies:
                    raise RefusedError(429, "too much is being received; try again", retry_after=1)
                parts.append(part)
                if not message.get("more_body"):
                    return b"".join(parts)
        finally:
            self._num_bytes -= size

    def _too_large(self) -> RefusedError:
        return RefusedError(413, f"the body is larger than the {self._limits.max_body:,} bytes that this server takes")


def read_json(scope: Scope, body: bytes) -> Any:
    """Return what a body holds.

    Raises:
        RefusedError: it is not declared as JSON (415), or is none (422).
    """
    kind = dict(scope["headers"]).get(b"content-type", b"").split(b";")[0].strip().lower()
    if kind != b"application/json":
        found = shorten(kind.decode("latin-1"))
        raise RefusedError(
            415, f"the content type is {found}; send JSON, with the header Content-Type: application/json"
        )
    try:
        return json.loads(body.decode("utf-8"), parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:  # UnicodeDecodeError and JSONDecodeError are ValueErrors
        raise RefusedError(422, f"the body is no JSON in UTF-8: {_reason(error)}") from error


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is no number of JSON")


def _reason(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg} at character {error.pos}"
    if isinstance(error, UnicodeDecodeError):
        return f"{error.reason} at byte {error.start}"
    return "nested too deeply" if isinstance(error, RecursionError) else str(error)

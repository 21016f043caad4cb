"""What surrounds every request: the token, the full queue, the log and the metrics."""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import hmac
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from nlp_lstm.serving.limits import ServingLimits
from nlp_lstm.serving.metrics import NO_MODEL, ServerMetrics
from nlp_lstm.serving.models import ServedModel, queue_full
from nlp_lstm.serving.refusals import RefusedError

logger = logging.getLogger(__name__)

OPEN_PATHS = ("/healthz", "/readyz")
"""Answered without a token: they say nothing but whether the server is up."""
PAGE = "/page"
"""Where the page is. Browsers send its token as the password of HTTP Basic, which they ask for themselves."""
RECORD = "nlp_lstm.record"
"""The place of the request's `Record` in its scope."""


@dataclass(slots=True)
class Record:
    """What is known of a request.

    Args:
        deadline: when it has to be answered, time of the event loop's clock.
        route: the path, where it is one of ours.
        model: the model's name.
        num_texts: inputs, once they are read.
        status: of the answer; 500 until it begins.
    """

    deadline: float
    route: str = ""
    model: str = NO_MODEL
    num_texts: int = 0
    status: int = 500


class Guard:
    """ASGI middleware.

    Args:
        app: what is guarded.
        token: what requests have to bear; None where anybody may ask.
        limits: the server's bounds.
        by_path: the models, each under all its paths.
        routes: the other paths.
        metrics: where requests are counted.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        token: str | None,
        limits: ServingLimits,
        by_path: Mapping[str, ServedModel],
        routes: frozenset[str],
        metrics: ServerMetrics,
    ) -> None:
        self._app = app
        self._digest = None if token is None else _digest(token.encode())
        self._limits = limits
        self._by_path = by_path
        self._routes = routes
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        record = Record(deadline=asyncio.get_running_loop().time() + self._limits.deadline)
        scope[RECORD] = record
        path = scope["path"]
        model = self._by_path.get(path)
        if model is not None:
            record.route, record.model = path, model.name
        elif path in self._routes:
            record.route = path
        elif _is_of_page(path):
            record.route = PAGE

        async def note_status(message: Message) -> None:
            if message["type"] == "http.response.start":
                record.status = message["status"]
            await send(message)

        try:
            try:
                self._check(scope, model)
            except RefusedError as refusal:
                await send_refusal(refusal, note_status)
            else:
                await self._app(scope, receive, note_status)
        finally:
            self._note(scope["method"], record, time.perf_counter() - began)

    def _check(self, scope: Scope, model: ServedModel | None) -> None:
        """Check what needs no more than the request's head.

        Raises:
            RefusedError: the token is missing or wrong, or the queue is full.
        """
        if self._digest is not None and scope["path"] not in OPEN_PATHS:
            scheme, _, given = dict(scope["headers"]).get(b"authorization", b"").partition(b" ")
            is_page = _is_of_page(scope["path"])
            if is_page and scheme.lower() == b"basic":
                scheme, given = b"bearer", _password(given)
            is_right = hmac.compare_digest(_digest(given.strip()), self._digest)
            if scheme.lower() != b"bearer" or not is_right:
                reason = "the token is missing or wrong; send the header Authorization: Bearer TOKEN"
                if is_page:
                    raise RefusedError(401, f"{reason}, or the token as password, with any name", challenge="Basic")
                raise RefusedError(401, reason)
        if model is not None and scope["method"] == "POST" and model.batcher.is_full:
            raise queue_full(model.batcher.retry_after)

    def _note(self, method: str, record: Record, seconds: float) -> None:
        self._metrics.count_request(record.model, record.status, seconds)
        fields = {
            "method": method if method.isascii() and method.isalpha() and len(method) <= 7 else "?",
            "path": record.route or "?",
            "status": record.status,
            "seconds": round(seconds, 6),
        }
        if record.model != NO_MODEL:
            fields |= {"model": record.model, "texts": record.num_texts}
        logger.info("request", extra={"fields": fields})


def _is_of_page(path: str) -> bool:
    return path in ("/", "/favicon.ico", "/manifest.json", PAGE) or path.startswith(f"{PAGE}/")


def _password(credentials: bytes) -> bytes:
    """Return the password of HTTP Basic; nothing where they are none."""
    try:
        return base64.b64decode(credentials.strip(), validate=True).partition(b":")[2]
    except binascii.Error:
        return b""


def _digest(token: bytes) -> bytes:
    """Of equal length for every token, so that comparing tells nothing of the length either."""
    return hashlib.sha256(token).digest()


async def send_refusal(refusal: RefusedError, send: Send) -> None:
    """Answer a request with a reason."""
    body = refusal.body
    headers = {"Content-Type": "application/json", "Content-Length": str(len(body)), **refusal.headers}
    raw = [(name.lower().encode("ascii"), value.encode("ascii")) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": refusal.status, "headers": raw})
    await send({"type": "http.response.body", "body": body})

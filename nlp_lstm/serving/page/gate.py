"""What surrounds the page: it is made when first asked for, and only what it needs of Gradio can be asked.

Gradio can also take files, read files, fetch addresses and answer programs. None of that passes: paths are those below,
bodies are bounded and hold plain values only, and browsers are told to load nothing from elsewhere.
"""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from nlp_lstm.serving.body import BodyReader, read_json
from nlp_lstm.serving.guard import PAGE
from nlp_lstm.serving.limits import ServingLimits
from nlp_lstm.serving.page.reports import Reports
from nlp_lstm.serving.refusals import RefusedError

logger = logging.getLogger(__name__)

_API = "/gradio_api"
_READ = frozenset({"/", "/config", "/theme.css", f"{_API}/theme.css", f"{_API}/info", f"{_API}/queue/data"})
_READ_BELOW = ("/assets/", "/static/")
_ASKED = f"{_API}/queue/join"
_SENT = frozenset({_ASKED, f"{_API}/cancel", f"{_API}/reset"})
_HEARTBEAT = f"{_API}/heartbeat/"
_REPORTS = "/reports/"
_KEYS = ("data", "fn_index", "session_hash", "trigger_id", "event_id")
_BODY = "nlp_lstm.body"  # the place of a checked body in a scope
_MOST_VALUES = 10  # of a request
_LONGEST_KEY = 64  # characters of the name of a session

_HEADERS = {
    "content-security-policy": "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' "
    "'unsafe-inline'; img-src 'self' data: blob:; font-src 'self' data:; object-src 'none'; base-uri 'self'; "
    "form-action 'self'; frame-ancestors 'none'",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}
_REPORT_HEADERS = {
    **_HEADERS,
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox; "
    "frame-ancestors 'self'",
}
_WAITING = (
    '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
    '<meta name="color-scheme" content="light dark"><meta http-equiv="refresh" content="1"><title>nlp_lstm</title>'
    '<body style="font:1.1rem/1.5 system-ui,sans-serif;display:grid;place-items:center;min-height:90vh">'
    "<p>One moment, the page is being opened …</p>"
)


class Page:
    """ASGI application that is mounted at `PAGE`.

    Args:
        make: makes the application behind it; takes seconds, and is called in a thread of its own.
        limits: the server's bounds.
        reports: the reports of runs.
    """

    def __init__(self, make: Callable[[], Any], limits: ServingLimits, reports: Reports) -> None:
        self._make = make
        self._limits = limits
        self._reports = reports
        self._reader = BodyReader(limits)
        self._app: ASGIApp | None = None
        self._failure: Exception | None = None
        self._life: asyncio.Task[None] | None = None
        self._is_ending = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        path = scope["path"].removeprefix(PAGE) or "/"
        try:
            answer = await self._answer(path, scope, receive)
        except RefusedError as refusal:
            answer = Response(refusal.body, refusal.status, refusal.headers, "application/json")
        if isinstance(answer, Response):
            answer.headers.update({name: value for name, value in _HEADERS.items() if name not in answer.headers})
            await answer(scope, receive, send)
        elif self._app is not None:

            async def send_guarded(message: Message) -> None:
                if message["type"] == "http.response.start":
                    message["headers"] = [*message["headers"], *_raw(_HEADERS)]
                await send(message)

            await self._app({**scope, "root_path": ""} | answer, self._received(answer, receive), send_guarded)

    async def close(self) -> None:
        """End what runs behind the page."""
        self._is_ending.set()
        if self._life is not None and self._app is not None:
            await self._life
        elif self._life is not None:
            self._life.cancel()

    async def _answer(self, path: str, scope: Scope, receive: Receive) -> Response | dict[str, Any]:
        """Return the answer, or where Gradio is to give it what changes in the scope."""
        if path.startswith(_HEARTBEAT):
            return Response(status_code=204)  # a connection that stays open would keep the server from stopping
        if path.startswith(_REPORTS) and scope["method"] == "GET":
            return await self._report(path.removeprefix(_REPORTS))
        is_read = scope["method"] in ("GET", "HEAD") and (path in _READ or path.startswith(_READ_BELOW))
        is_sent = scope["method"] == "POST" and path in _SENT
        if not is_read and not is_sent:
            return JSONResponse({"error": "nothing is here"}, 404)
        if self._app is None:
            return self._opening(path)
        if is_sent:
            body = await self._body(path, scope, receive)
            headers = [(name, value) for name, value in scope["headers"] if name != b"content-length"]
            return {"headers": [*headers, (b"content-length", str(len(body)).encode())], _BODY: body}
        return {"query_string": b""} if path == "/" else {}

    def _opening(self, path: str) -> Response:
        if self._failure is not None:
            return JSONResponse({"error": "the page cannot be opened; the server's log says why"}, 500)
        if self._life is None:
            self._life = asyncio.ensure_future(self._live())
        return HTMLResponse(_WAITING) if path == "/" else JSONResponse({"error": "the page is being opened"}, 503)

    async def _live(self) -> None:
        """Make the application, and keep it until the server stops."""
        loop = asyncio.get_running_loop()
        made: asyncio.Future[Any] = loop.create_future()

        def make() -> None:
            try:
                app = self._make()
            except Exception as error:  # noqa: BLE001
                loop.call_soon_threadsafe(_settle, made, None, error)
            else:
                loop.call_soon_threadsafe(_settle, made, app, None)

        threading.Thread(target=make, name="nlp-lstm-page", daemon=True).start()
        try:
            app = await made
        except Exception as error:
            self._failure = error
            logger.error("the page cannot be opened", exc_info=error)
            return
        async with app.router.lifespan_context(app):
            self._app = app
            await self._is_ending.wait()

    async def _body(self, path: str, scope: Scope, receive: Receive) -> bytes:
        """Return the body of a request, checked.

        Raises:
            RefusedError: it comes from another site, is too large, or holds more than plain values.
        """
        headers = dict(scope["headers"])
        origin, site = headers.get(b"origin", b"").decode("latin-1"), headers.get(b"sec-fetch-site", b"same-origin")
        host = headers.get(b"host", b"").decode("latin-1")
        if site not in (b"same-origin", b"none") or (origin and urlsplit(origin).netloc != host):
            raise RefusedError(403, "the request comes from another site")
        deadline = asyncio.get_running_loop().time() + self._limits.deadline
        values = read_json(scope, await self._reader.read(scope, receive, deadline))
        if not isinstance(values, Mapping):
            raise RefusedError(422, "the request is no JSON object")
        kept = {key: values[key] for key in _KEYS if key in values}
        data = kept.pop("data", [])
        if not all(_is_plain(value) and len(str(value)) <= _LONGEST_KEY for value in kept.values()):
            raise RefusedError(422, "the request names no box of the page")
        if not isinstance(data, list) or len(data) > _MOST_VALUES or not all(map(_is_plain, data)):
            raise RefusedError(422, "a box of the page holds text or numbers")
        return json.dumps({**kept, "data": data} if path == _ASKED else kept).encode()

    def _received(self, answer: Mapping[str, Any], receive: Receive) -> Receive:
        """Return what gives the checked body; afterwards, or without one, what was received."""
        bodies = [answer[_BODY]] if _BODY in answer else []

        async def receive_checked() -> Message:
            if bodies:
                return {"type": "http.request", "body": bodies.pop(), "more_body": False}
            return await receive()

        return receive_checked

    async def _report(self, name: str) -> Response:
        content = await asyncio.to_thread(self._reports.content, name)
        if content is None:
            return JSONResponse({"error": "there is no such report; load the list again"}, 404)
        return Response(content, headers=_REPORT_HEADERS, media_type="text/html; charset=utf-8")


def _settle(made: asyncio.Future[Any], app: Any, error: Exception | None) -> None:
    if made.done():
        return
    if error is not None:
        made.set_exception(error)
    else:
        made.set_result(app)


def _is_plain(value: Any) -> bool:
    return value is None or isinstance(value, (str, int, float))


def _raw(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.encode(), value.encode()) for name, value in headers.items()]

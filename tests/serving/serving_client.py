"""An application asked without a socket, and requests whose parts come when a test wants them to."""

import asyncio
from contextlib import asynccontextmanager

import httpx

from nlp_lstm.serving.app import create_app


@asynccontextmanager
async def serving(models, *, is_awaited=True, **options):
    """Give a client of an application; unless told otherwise, its models are open."""
    app = create_app(models, **options)
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app)
        token = options.get("token")
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        async with httpx.AsyncClient(transport=transport, base_url="http://server", headers=headers) as client:
            while is_awaited and (await client.get("/readyz")).json()["status"] == "opening":
                await asyncio.sleep(0.01)
            client.app = app
            yield client


async def send_parts(app, path, receive, headers=()):
    """Send a request whose body `receive` gives part by part; return the status and the body of the answer."""
    sent = []

    async def send(message):
        sent.append(message)

    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": b"",
        "headers": [(b"content-type", b"application/json"), *headers],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 2),
    }
    await app(scope, receive, send)
    return sent[0]["status"], b"".join(message.get("body", b"") for message in sent[1:])

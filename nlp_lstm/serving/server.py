"""The process of a server: its address, its token, and how it stops."""

from __future__ import annotations

import ipaddress
import logging
import os
import signal
import socket
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import uvicorn

from nlp_lstm.errors import ConfigError
from nlp_lstm.serving.app import create_app
from nlp_lstm.serving.guard import PAGE
from nlp_lstm.serving.limits import ServingLimits
from nlp_lstm.serving.logs import write_logs
from nlp_lstm.serving.models import choose_models

logger = logging.getLogger(__name__)

TOKEN_VARIABLE = "NLP_LSTM_TOKEN"
SHORTEST_TOKEN = 16  # characters
MOST_CONNECTIONS = 1_000
GRACE = 5.0  # seconds after the last deadline, when a stop waits no longer


def serve(
    models: Sequence[str],
    *,
    host: str,
    port: int,
    token_file: Path | None,
    threads: int,
    limits: ServingLimits,
    has_page: bool,
    reports: Path,
) -> None:
    """Serve models until SIGTERM or Ctrl-C, then finish what was accepted.

    Args:
        models: tasks, names or folders; none for every bundled model.
        host: address to listen on. Any but this machine's own needs a token.
        port: 0 for a free one.
        token_file: holds the token; None takes it from the environment variable NLP_LSTM_TOKEN, if it is set.
        threads: of each network.
        limits: the bounds.
        has_page: whether the page is wanted; without Gradio there is none, and the log says what to install.
        reports: the folder of runs whose reports it shows.

    Raises:
        ConfigError: the address needs a token and there is none, or the token is too short.
        NotTrainedError: there is no such model.
        CheckpointError: a model folder is damaged; the server stops.
        OSError: the address cannot be listened on.
    """
    token = read_token(token_file)
    check_address(host, token)
    os.environ["OMP_NUM_THREADS"] = str(threads)  # read by both engines when they open a model
    chosen = choose_models(models)
    failures: list[Exception] = []

    def stop(error: Exception) -> None:
        failures.append(error)
        server.should_exit = True

    has_gradio = find_spec("gradio") is not None
    app = create_app(
        chosen,
        limits=limits,
        token=token,
        on_failure=stop,
        has_page=has_page and has_gradio,
        reports=reports,
    )
    listening = listen(host, port)
    config = uvicorn.Config(
        app,
        access_log=False,
        log_config=None,
        lifespan="on",
        limit_concurrency=MOST_CONNECTIONS,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=int(limits.deadline + GRACE),
    )
    server = uvicorn.Server(config)
    write_logs()
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
    names = [name for names in chosen.values() for name in names]
    address = listening.getsockname()
    fields = {"host": address[0], "port": address[1], "models": names, "needs_token": token is not None}
    if has_page and has_gradio:
        fields["page"] = f"{PAGE}/"
    logger.info("listening", extra={"fields": fields})
    if has_page and not has_gradio:
        logger.info("there is no page, as gradio is not installed; pip install 'nlp-lstm[page]'")
    previous = signal.signal(signal.SIGTERM, lambda *_: None)  # uvicorn raises it again when it has stopped
    try:
        server.run(sockets=[listening])
    finally:
        signal.signal(signal.SIGTERM, previous)
    logger.info("stopped")
    if failures:
        raise failures[0]


def read_token(token_file: Path | None) -> str | None:
    """Return the token from a file or the environment; None where neither names one.

    Raises:
        ConfigError: the file cannot be read, or the token is too short or cannot stand in a header.
    """
    if token_file is not None:
        source = str(token_file)
        try:
            token = token_file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"{source}: the token cannot be read ({error})") from error
    else:
        source = TOKEN_VARIABLE
        found = os.environ.get(TOKEN_VARIABLE)
        if found is None:
            return None
        token = found.strip()
    if len(token) < SHORTEST_TOKEN or not token.isascii() or any(not 33 <= ord(mark) <= 126 for mark in token):
        raise ConfigError(
            f"{source}: the token has {len(token)} characters; give at least {SHORTEST_TOKEN}, visible ASCII without "
            "spaces, such as `openssl rand -hex 32` prints"
        )
    return token


def check_address(host: str, token: str | None) -> None:
    """Refuse to be reachable from other machines without a token.

    Raises:
        ConfigError: the address is not this machine's own, and there is no token; or it is none.
    """
    if token is None and not is_loopback(host):
        raise ConfigError(
            f"{host} can be reached from other machines, and anybody there could use the server; set {TOKEN_VARIABLE} "
            "or give --token-file, or leave out --host"
        )


def is_loopback(host: str) -> bool:
    """Return whether only this machine can reach an address.

    Raises:
        ConfigError: no address has that name.
    """
    try:
        found = {str(info[4][0]) for info in socket.getaddrinfo(host, None)} if host else {"0.0.0.0"}
    except (OSError, UnicodeError) as error:
        raise ConfigError(f"{host} is no address of this machine ({error})") from error
    return all(ipaddress.ip_address(address.partition("%")[0]).is_loopback for address in found)


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens.

    Raises:
        ConfigError: the address is taken, or not this machine's.
    """
    try:
        [family, _, _, _, address], *_ = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        return socket.create_server(address[:2], family=family, backlog=2_048)
    except OSError as error:
        raise ConfigError(f"{host} port {port} cannot be listened on: {error.strerror or error}") from error

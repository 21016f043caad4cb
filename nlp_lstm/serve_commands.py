"""The command `nlp-lstm serve`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nlp_lstm.errors import ConfigError


def serve(
    models: Annotated[
        list[str] | None,
        typer.Argument(help="Tasks, model names or model folders, also as NAME=FOLDER; default every bundled model."),
    ] = None,
    host: Annotated[str, typer.Option(help="Address; any but this machine's own needs a token.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65_535, help="0 takes a free one.")] = 8_000,
    token_file: Annotated[
        Path | None, typer.Option(help="Holds the token that requests bear; default NLP_LSTM_TOKEN, if set.")
    ] = None,
    join_ms: Annotated[
        float, typer.Option("--join-ms", min=0, max=1_000, help="How long an idle network waits for company.")
    ] = 2.0,
    no_joining: Annotated[
        bool, typer.Option("--no-joining", help="Compute each request by itself, which is slower.")
    ] = False,
    max_batch: Annotated[int, typer.Option(min=1, help="Texts of 300 characters in a batch.")] = 64,
    max_waiting: Annotated[int, typer.Option(min=1, help="Texts of 300 characters that wait; then 429.")] = 256,
    max_body: Annotated[int, typer.Option(min=1_024, help="Bytes of a request's body; then 413.")] = 1_048_576,
    max_text: Annotated[int, typer.Option(min=1, help="Characters of a text; then 422.")] = 10_000,
    max_texts: Annotated[int, typer.Option(min=1, help="Texts of a request; then 422.")] = 100,
    deadline: Annotated[float, typer.Option(min=0.01, help="Seconds to answer in; then 504.")] = 30.0,
    threads: Annotated[int, typer.Option(min=1, help="Threads of each network.")] = 1,
    no_page: Annotated[bool, typer.Option("--no-page", help="Leave out the page, even where gradio is here.")] = False,
    reports: Annotated[Path, typer.Option(help="A folder of runs; the page shows their reports.")] = Path("runs"),
) -> None:
    """Serve models over HTTP: POST /v1/pos with {"inputs": "a text"}; see /openapi.json."""
    try:
        from nlp_lstm.serving.limits import ServingLimits
        from nlp_lstm.serving.server import serve as serve_models
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("nlp_lstm"):
            raise
        raise ConfigError(f"{error.name} is not installed; pip install 'nlp-lstm[serve]'") from error
    limits = ServingLimits(
        joining=not no_joining,
        window=join_ms / 1_000,
        max_batch=max_batch,
        max_waiting=max_waiting,
        max_body=max_body,
        max_bodies=max(max_body, 64 * 1_048_576),
        max_text=max_text,
        max_texts=max_texts,
        deadline=deadline,
    )
    serve_models(
        models or [],
        host=host,
        port=port,
        token_file=token_file,
        threads=threads,
        limits=limits,
        has_page=not no_page,
        reports=reports,
    )

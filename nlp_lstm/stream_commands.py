"""The command `nlp-lstm stream`."""

from __future__ import annotations

import codecs
import sys
from collections.abc import Iterator
from typing import IO, Annotated, Any

import typer

from nlp_lstm.errors import DataError
from nlp_lstm.output import open_output, to_json

READ_SIZE = 1 << 16  # bytes at most that are read at once; a pipe gives what it has


def stream(
    model: Annotated[str, typer.Argument(help="A task, a model name or a model folder.")],
    label: Annotated[str | None, typer.Option(help="Tagging: the label column that becomes the entity.")] = None,
    window: Annotated[
        int | None, typer.Option(min=1, help="Classification: words that are read together; default 200.")
    ] = None,
    top_k: Annotated[
        int | None, typer.Option("--top-k", min=0, help="Classification: this many labels; 0 for all.")
    ] = None,
    language: Annotated[str | None, typer.Option(help="Language code, default en; chooses a task's model.")] = None,
) -> None:
    """Read text from stdin as it comes, without an end if need be, and write one JSON object a line.

    A tagger writes one for each token, a language model one for each token with its log-probability, a classifier one
    for each sentence: the label of the last words.
    """
    from nlp_lstm.pipeline import Pipeline

    pipeline = Pipeline(model, language=language)
    options: dict[str, Any] = {"label": label, "window": window, "top_k": top_k}
    options = {name: value for name, value in options.items() if value is not None}
    if top_k == 0:
        options["top_k"] = None
    with open_output(None) as target:
        for result in pipeline.stream(read_pieces(sys.stdin.buffer), **options):
            target.write(to_json(result, pipeline.folder) + "\n")
            target.flush()


def read_pieces(source: IO[bytes], name: str = "stdin") -> Iterator[str]:
    """Yield UTF-8 text as it comes; a byte order mark at the beginning is dropped.

    Raises:
        DataError: a byte is not UTF-8; names it and its place.
    """
    decoder = codecs.getincrementaldecoder("utf-8-sig")()
    num_bytes = 0
    while True:
        data: bytes = source.read1(READ_SIZE)  # type: ignore[attr-defined]
        start = num_bytes - len(decoder.getstate()[0])
        try:
            text = decoder.decode(data, final=not data)
        except UnicodeDecodeError as error:
            bad = error.object[error.start : error.start + 1]
            raise DataError(
                f"{name}: byte {bad!r} at position {start + error.start} is not UTF-8; give UTF-8 text"
            ) from error
        num_bytes += len(data)
        if text:
            yield text
        if not data:
            return

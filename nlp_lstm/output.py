"""What the commands write: JSON lines and text, to stdout or to a file that is whole or not there."""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from nlp_lstm.errors import CheckpointError


def peak_memory() -> float:
    """Return the most bytes that this process has held; 0 where the system does not tell."""
    try:
        import resource
    except ImportError:  # Windows has no such module
        return 0.0
    return float(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024))


def to_json(result: Any, model_folder: Path) -> str:
    """Return a result as a line of JSON.

    Raises:
        CheckpointError: a number in it is none.
    """
    try:
        return json.dumps(result, ensure_ascii=False, allow_nan=False)
    except ValueError as error:
        raise CheckpointError(f"{model_folder} gives a score that is no number; train the model again") from error


@contextlib.contextmanager
def open_output(path: Path | None) -> Iterator[IO[str]]:
    """Open stdout, or a file that appears only when all of it is written; a pipe or device is written to directly."""
    if path is None:
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(encoding="utf-8")
        yield sys.stdout
        return
    if path.exists() and not path.is_file():
        with path.open("w", encoding="utf-8", newline="\n") as file:
            yield file
        return
    path = Path(os.path.realpath(path))  # a link stays one, and what it leads to is replaced
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".nlp-lstm-") as folder:
        draft = Path(folder) / "draft"  # opened as any file is, so that its mode follows the umask
        with draft.open("w", encoding="utf-8", newline="\n") as file:
            yield file
        draft.replace(path)

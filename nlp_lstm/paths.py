"""Where recipes and models lie: in a checkout beside the package, in a wheel inside it."""

from __future__ import annotations

import os
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent


def bundled_folder(name: str) -> Path:
    """Return the folder ``pipelines`` or ``models`` that came with the package."""
    inside = PACKAGE / "_bundled" / name
    return inside if inside.is_dir() else PACKAGE.parent / name


def cache_folder() -> Path:
    """Return the user's cache: NLP_LSTM_CACHE, or the system's usual place."""
    chosen = os.environ.get("NLP_LSTM_CACHE")
    if chosen:
        return Path(chosen).expanduser()
    import platformdirs

    return Path(platformdirs.user_cache_dir("nlp_lstm"))


def model_roots() -> dict[str, Path]:
    """Return the places that models are looked for in, in order, each with a name for messages."""
    roots = {"bundled": bundled_folder("models"), "cache": cache_folder() / "models"}
    chosen = os.environ.get("NLP_LSTM_MODELS")
    return {"NLP_LSTM_MODELS": Path(chosen), **roots} if chosen else roots

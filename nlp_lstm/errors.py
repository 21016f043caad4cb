"""What can go wrong, as a caller meets it.

    NlpLstmError
    ├── ConfigError          (ValueError)    a recipe, option, task, cell or key that is not known or not valid
    ├── DataError            (ValueError)    a text, a file or a line in it that cannot be read as what it claims to be
    ├── VocabularyError      (LookupError)   a word, label or id that a frozen vocabulary does not hold
    ├── CheckpointError      (ValueError)    a model folder or checkpoint that is missing, damaged or not ours
    └── NotTrainedError      (LookupError)   no trained model under that name

A message says what was found (with its value and place), what is accepted, and what to do next.
The command line prints it as one line and ends with exit code 2.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

LONGEST_MESSAGE = 8_000  # characters


class NlpLstmError(Exception):
    """Base of every error that this package raises on purpose.

    Args:
        message: what is wrong. It may hold parts of files, so a very long one is cut.
    """

    def __init__(self, message: str = "") -> None:
        super().__init__(message if len(message) <= LONGEST_MESSAGE else f"{message[:LONGEST_MESSAGE]}…")


class ConfigError(NlpLstmError, ValueError):
    """A setting, name or option is not known or not valid."""


class DataError(NlpLstmError, ValueError):
    """A text or a file cannot be read as what it claims to be."""


class VocabularyError(NlpLstmError, LookupError):
    """A frozen vocabulary does not hold what was asked for."""


class CheckpointError(NlpLstmError, ValueError):
    """A model folder or training checkpoint is missing, damaged or not one of ours."""


class NotTrainedError(NlpLstmError, LookupError):
    """No trained model was found under the name."""


def nearest_hint(name: str, known: Iterable[str]) -> str:
    """Return `` Did you mean "x"?`` for the known name closest to ``name``, or an empty string."""
    matches = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f' Did you mean "{matches[0]}"?' if matches else ""


def shorten(value: object, limit: int = 60) -> str:
    """Return ``value`` quoted for an error message, cut to ``limit`` characters."""
    try:
        text = repr(value[: limit + 1] if isinstance(value, (str, bytes)) else value)
    except (RecursionError, ValueError):  # too deeply nested, or a number of thousands of digits
        text = f"a {type(value).__name__} too large to be shown"
    return text if len(text) <= limit else text[: limit - 1] + "…"

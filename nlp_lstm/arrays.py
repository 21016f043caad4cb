"""Files of one array of numbers (``.npy``), which may come from anywhere."""

from __future__ import annotations

import tokenize
from pathlib import Path
from typing import Any

import numpy as np

from nlp_lstm.errors import DataError

_MAGIC = b"\x93NUMPY"


def read_npy(path: Path) -> np.ndarray[Any, Any]:
    """Return the array that a file holds, mapped from it, so that a size that its header makes up takes no memory.

    Raises:
        DataError: the file cannot be read, or is no whole ``.npy`` file of plain values.
    """
    try:
        with path.open("rb") as file:
            if file.read(len(_MAGIC)) != _MAGIC:  # an archive of arrays, or a pickle
                raise DataError(f"{path}: is no .npy file of numbers; write it with numpy.save")
        array: np.ndarray[Any, Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    except OSError as error:
        raise DataError(f"{path}: is no .npy file of numbers ({error.strerror or error})") from error
    except (ValueError, TypeError, SyntaxError, tokenize.TokenError, EOFError, ArithmeticError, MemoryError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{path}: is no .npy file of numbers, or cut off ({error})") from error
    return array

"""How weights lie in a model folder's weights file, read without torch.

A safetensors file is the length of its header as 8 bytes, the header as JSON, and the tensors one after the other.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from nlp_lstm.errors import CheckpointError, shorten

CODES_SUFFIX, SCALES_SUFFIX = "//codes", "//scales"
LARGEST_HEADER = 8 * 2**20  # bytes
MOST_DIMENSIONS = 8
TYPES = {
    "F32": "float32",
    "F16": "float16",
    "I64": "int64",
    "I32": "int32",
    "I8": "int8",
    "U8": "uint8",
    "BOOL": "bool",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredTensor:
    """Where a tensor lies in a file.

    Args:
        dtype: numpy's name of its type.
        shape: its dimensions.
        start: the place of its first byte in the file.
        num_bytes: how many there are.
    """

    dtype: str
    shape: tuple[int, ...]
    start: int
    num_bytes: int

    def read(self, content: memoryview | bytes) -> np.ndarray:
        """Return the tensor from the content of the file, without a copy."""
        count = self.num_bytes // np.dtype(self.dtype).itemsize
        return np.frombuffer(content, self.dtype, count, self.start).reshape(self.shape)


def read_header(path: Path) -> dict[str, StoredTensor]:
    """Return what a weights file holds, by name.

    Raises:
        CheckpointError: it is not a safetensors file of known types, or a tensor lies outside of it.
    """
    size = path.stat().st_size
    try:
        with path.open("rb") as file:
            (header_size,) = struct.unpack("<Q", file.read(8))
            if header_size > min(LARGEST_HEADER, size):
                raise ValueError(f"its header has {header_size} bytes")
            entries = json.loads(file.read(header_size))
        entries.pop("__metadata__", None)
        return {name: _stored_tensor(entry, 8 + header_size, size) for name, entry in entries.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, struct.error, RecursionError) as error:
        raise CheckpointError(f"{path} is not a safetensors file ({error}); copy the model folder again") from error


def count_weights(header: Mapping[str, StoredTensor]) -> int:
    """Return how many numbers a file holds, without the scales of those that are stored in 8 bits."""
    return sum(prod(tensor.shape) for name, tensor in header.items() if not name.endswith(SCALES_SUFFIX))


def _stored_tensor(entry: Any, first: int, size: int) -> StoredTensor:
    start, end = entry["data_offsets"]
    if entry["dtype"] not in TYPES:
        raise ValueError(f"a tensor has the type {shorten(entry['dtype'])}; known types: {', '.join(TYPES)}")
    dtype, shape = TYPES[entry["dtype"]], tuple(entry["shape"])
    if len(shape) > MOST_DIMENSIONS or any(
        type(number) is not int or not 0 <= number <= size for number in (start, end, *shape)
    ):
        raise ValueError(f"a tensor has the shape {shorten(shape)} and the place {shorten((start, end))}")
    num_bytes = prod(shape) * np.dtype(dtype).itemsize
    if end - start != num_bytes or first + end > size:
        raise ValueError(f"a tensor of {num_bytes} bytes lies at {start} to {end} of {size - first}")
    return StoredTensor(dtype=dtype, shape=shape, start=first + start, num_bytes=num_bytes)

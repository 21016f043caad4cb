"""What a translation copies: placeholders, addresses and numbers, taken out of a text and put back into another.

Example:
    >>> taken = take_out("Mail {name} at a@b.org")
    >>> taken.copies
    ('{name}', 'a@b.org')
    >>> put_back(taken.text.replace("Mail", "Schreiben Sie").replace(" at ", ": "), taken.copies)
    'Schreiben Sie {name}: a@b.org'

In their place stand marks, characters of Unicode's private area. A translator that reads and writes marks cannot
misspell what they stand for; see Luong, Sutskever, Le, Vinyals and Zaremba, "Addressing the Rare Word Problem in Neural
Machine Translation", ACL 2015.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from nlp_lstm.text.placeholders import WHOLE_PLACEHOLDER

MARKS = tuple(chr(0xE000 + number) for number in range(8))
"""What stands for the first, second, … different copy of a text; of more copies the rest stay as they are."""

_ADDRESS = r"(?:https?://|www\.)[^\s<>\"']*[\w/]|[\w.+-]+@[\w-]+(?:\.[\w-]+)+"
_NUMBER = r"(?<![\w.,:/-])\d+(?:[.,:/-]?\d+)+(?![\w])"  # of two and more digits: smaller ones are often words
_MARK = f"[{MARKS[0]}-{MARKS[-1]}]"  # in a text already, so to be copied like the rest
_COPY = re.compile(f"{WHOLE_PLACEHOLDER}|{_ADDRESS}|{_NUMBER}|{_MARK}")


class Taken(NamedTuple):
    """A text with marks.

    Args:
        text: with marks in place of its copies.
        copies: what the marks stand for, in the order of ``MARKS``.
    """

    text: str
    copies: tuple[str, ...] = ()


class TakenPair(NamedTuple):
    """A text and its translation with marks.

    Args:
        source: the text.
        target: the translation.
        copies: what the marks stand for in both.
    """

    source: str
    target: str
    copies: tuple[str, ...] = ()


def take_out(text: str) -> Taken:
    """Return a text with a mark for each of its copies; the same copy has the same mark wherever it stands."""
    found = sorted(dict.fromkeys(_COPY.findall(text)), key=lambda copy: copy not in MARKS)  # no mark may be left over
    copies = tuple(found[: len(MARKS)])
    return Taken(_replace(text, copies), copies)


def take_out_of_pair(source: str, target: str) -> TakenPair:
    """Return a text and its translation with marks for those copies that both hold equally often."""
    counts = Counter(_COPY.findall(source))
    shared = counts.items() & Counter(_COPY.findall(target)).items()
    copies = tuple(copy for copy in counts if (copy, counts[copy]) in shared)[: len(MARKS)]
    return TakenPair(_replace(source, copies), _replace(target, copies), copies)


def mark_words(source: str, target: str, pairs: Sequence[tuple[str, str]]) -> tuple[str, str]:
    """Return a text and its translation with a mark for each of some words that translate each other.

    A mark in a text is a copy like others, so from such pairs a translator learns where copies go.

    Args:
        source: the text.
        target: the translation.
        pairs: a word of each, which stands there once; at most as many as there are marks.
    """
    for mark, (word, partner) in zip(MARKS, pairs, strict=False):
        source = re.sub(rf"(?<!\w){re.escape(word)}(?!\w)", mark, source, count=1)
        target = re.sub(rf"(?<!\w){re.escape(partner)}(?!\w)", mark, target, count=1)
    return source, target


def put_back(text: str, copies: Sequence[str]) -> str:
    """Return a text with its copies in place of their marks; marks that stand for nothing go."""
    known = dict(zip(MARKS, copies, strict=False))
    return re.sub(_MARK, lambda found: known.get(found[0], ""), text)


def _replace(text: str, copies: Sequence[str]) -> str:
    if not copies:
        return text
    marks = dict(zip(copies, MARKS, strict=False))
    return _COPY.sub(lambda found: marks.get(found[0], found[0]), text)

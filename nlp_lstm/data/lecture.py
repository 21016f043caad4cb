"""Fifty English sentences as in a lecture, with all their Hindi translations that are plainly right.

    I am going.     मैं जा रहा हूँ। | मैं जा रही हूँ।

They were written for this project; translators into either language are judged on them, so no run learns them: a pair
is left out of training when a side of it is one of theirs, whatever the other language is (see `nlp_lstm.run_data`).
"""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import NamedTuple

LECTURE_NAME = "lecture sentences"


class LectureSentence(NamedTuple):
    """A sentence with its translations, the plainest first."""

    english: str
    hindi: tuple[str, ...]


@cache
def lecture_sentences() -> tuple[LectureSentence, ...]:
    """Return the sentences; they come with the package."""
    text = resources.files("nlp_lstm.data").joinpath("lecture-en-hi.tsv").read_text("utf-8")
    rows = (line.split("\t") for line in text.splitlines() if line and not line.startswith("#"))
    return tuple(LectureSentence(english, tuple(hindi.split(" | "))) for english, hindi in rows)


def lecture_texts(language: str) -> list[str]:
    """Return the sentences in one language; nothing for others than English and Hindi."""
    if language == "en":
        return [sentence.english for sentence in lecture_sentences()]
    return [hindi for sentence in lecture_sentences() for hindi in sentence.hindi] if language == "hi" else []

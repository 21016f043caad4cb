"""A part of the training data, for learning curves: how good a model is with few labels.

The choice depends on a sentence's text alone, so a sentence that two data sets have is in both parts or in neither, a
smaller share lies inside a larger one, and every seed learns from the same sentences.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TypeVar

from nlp_lstm.data.example import LabelledExample, ParallelExample, TaggedExample, TextExample, text_of
from nlp_lstm.data.overlap import normal_form

ExampleT = TypeVar("ExampleT", TaggedExample, LabelledExample, TextExample, ParallelExample)


def take_share(examples: Sequence[ExampleT], share: float) -> list[ExampleT]:
    """Return a share of the sentences, with the phrases that are parts of them.

    Args:
        examples: training examples.
        share: of the sentences, in (0, 1].
    """
    if share == 1:
        return list(examples)
    kept = {index for index, example in enumerate(examples) if not _is_phrase(example) and _place(example) < share}
    parts = {part for index in kept for part in _part_texts(examples[index])}
    return [
        example
        for index, example in enumerate(examples)
        if index in kept or (_is_phrase(example) and text_of(example) in parts)
    ]


def _place(example: TaggedExample | LabelledExample | TextExample | ParallelExample) -> float:
    """A number in [0, 1) that looks drawn at random and is that of the text."""
    text = normal_form(text_of(example)) or text_of(example)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:6]) / 2**48


def _is_phrase(example: TaggedExample | LabelledExample | TextExample | ParallelExample) -> bool:
    return isinstance(example, LabelledExample) and example.is_phrase


def _part_texts(example: TaggedExample | LabelledExample | TextExample | ParallelExample) -> list[str]:
    if not isinstance(example, LabelledExample):
        return []
    text, tokens = example.document.text, example.document.tokens
    return [text[tokens[part.start].start : tokens[part.end - 1].end] for part in example.parts]

"""One training or test item, before it has numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from nlp_lstm.errors import DataError
from nlp_lstm.text.document import Document


@dataclass(frozen=True, slots=True, kw_only=True)
class TaggedExample:
    """A sentence with one label per token in each of its columns.

    Args:
        document: the sentence.
        labels: column name ("upos", "xpos", …) to one label per token; empty when nothing is known.

    Raises:
        DataError: a column does not have exactly one label per token.
    """

    document: Document
    labels: Mapping[str, tuple[str, ...]]

    def __post_init__(self) -> None:
        for column, labels in self.labels.items():
            if len(labels) != len(self.document):
                raise DataError(
                    f'column "{column}" has {len(labels)} labels for {len(self.document)} tokens; '
                    "a tagged sentence needs one label per token"
                )

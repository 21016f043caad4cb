"""One training or test item, before it has numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

from nlp_lstm.data.pictures import PictureExample
from nlp_lstm.data.series import SeriesExample
from nlp_lstm.errors import DataError
from nlp_lstm.text.document import Document


@dataclass(frozen=True, slots=True, kw_only=True)
class TaggedExample:
    """A sentence with one label per token in each of its columns.

    Args:
        document: the sentence.
        labels: column name ("upos", "xpos", …) to one label per token; empty when nothing is known.
        targets: column name to one distribution per token, label to probability: what training learns instead of the
            labels, such as teachers' opinions.

    Raises:
        DataError: a column does not have exactly one label per token.
    """

    document: Document
    labels: Mapping[str, tuple[str, ...]]
    targets: Mapping[str, tuple[Mapping[str, float], ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for column, labels in (*self.labels.items(), *self.targets.items()):
            if len(labels) != len(self.document):
                raise DataError(
                    f'column "{column}" has {len(labels)} labels for {len(self.document)} tokens; '
                    "a tagged sentence needs one label per token"
                )


class LabelledPart(NamedTuple):
    """A part of a text that is labelled where it stands.

    Args:
        start: the number of its first token.
        end: end-exclusive.
        target: label to probability.
    """

    start: int
    end: int
    target: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledExample:
    """A text with one label.

    Args:
        document: the text.
        label: its label, what is tested; None where it is not known or no label has more than half of the target.
        target: label to probability, what training learns instead of the label: a rating, or a teacher's opinion.
        domain: the part of the data set that it comes from ("tweets"), for figures of each part; empty for none.
        is_phrase: whether it is a part of a sentence, labelled for itself.
        parts: its labelled parts, as phrases of a sentence.

    Raises:
        DataError: the target is empty, has a negative share, or does not sum to 1.
    """

    document: Document
    label: str | None = None
    target: Mapping[str, float] | None = None
    domain: str = ""
    is_phrase: bool = False
    parts: tuple[LabelledPart, ...] = ()

    def __post_init__(self) -> None:
        if self.target is None:
            return
        if any(share < 0 for share in self.target.values()) or abs(sum(self.target.values()) - 1) > 1e-3:
            raise DataError(f"the target {dict(self.target)} is no distribution; its shares are 0 or more and sum to 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class TextExample:
    """A line of running text.

    Args:
        document: the line.
    """

    document: Document


@dataclass(frozen=True, slots=True, kw_only=True)
class ParallelExample:
    """A text and its translation, both as given: a subword model learns where they are cut.

    Args:
        source: the text to translate.
        target: its translation; None where it is not known.
        target_language: the language of the translation, such as "de"; empty where it is not known.
    """

    source: str
    target: str | None = None
    target_language: str = field(default="", compare=False, repr=False)


Example: TypeAlias = "TaggedExample | LabelledExample | TextExample | ParallelExample | SeriesExample | PictureExample"


def text_of(example: Example) -> str:
    """Return the text that an example is about; of a text with its translation the former, else its name."""
    if isinstance(example, (SeriesExample, PictureExample)):
        return example.name
    return example.source if isinstance(example, ParallelExample) else example.document.text

"""How labelled and parallel texts are read from files: the settings that recipes and catalogue entries share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from pydantic import Field, field_validator, model_validator

from nlp_lstm.errors import ConfigError, DataError, nearest_hint, shorten
from nlp_lstm.settings import Settings

Meaning: TypeAlias = "str | Mapping[str, float] | None"
"""What a label of a file stands for: a name, a distribution over names, or nothing that is of use."""


_LANGUAGE = "^[a-z]{2,3}(-[a-z0-9]+)*$"


class ReadingSettings(Settings):
    """Where text and label stand in a file, and what its labels are called."""

    text: str | int | None = None
    """The text's column: a name, or a number from 1; null takes "text" or the like, or in two columns the other one."""
    label: str | int | None = None
    """The label's column; null takes "label" or the like."""
    domain: str | int | None = None
    """The column that says which part of the data a text belongs to; null for none."""
    is_tokenised: bool = False
    """Whether the texts are tokens with spaces between, as in the Penn Treebank; they are then put together first."""
    phrases: bool = True
    """Of trees: whether training takes every labelled phrase, or whole sentences only."""
    labels: Mapping[str, str | Mapping[str, float] | None] = Field(default_factory=dict)
    """A label of the file to its name here, to a distribution over names, or to null, which leaves its texts out."""

    @field_validator("text", "label", "domain")
    @classmethod
    def _counts_from_one(cls, value: str | int | None) -> str | int | None:
        if isinstance(value, int) and value < 1:
            raise ValueError("columns count from 1")
        return value

    @field_validator("labels", mode="before")
    @classmethod
    def _labels_are_text(cls, value: Any) -> Any:
        if not isinstance(value, Mapping):
            return value
        return {str(label) if type(label) is int else label: meaning for label, meaning in value.items()}

    @field_validator("labels")
    @classmethod
    def _shares_sum_to_one(cls, value: Mapping[str, Meaning]) -> Mapping[str, Meaning]:
        for label, meaning in value.items():
            if isinstance(meaning, Mapping) and (
                not all(share >= 0 for share in meaning.values()) or not abs(sum(meaning.values()) - 1) <= 1e-3
            ):  # nan is neither
                raise ValueError(f'the shares of "{label}" are {dict(meaning)}; they are 0 or more and sum to 1')
        return value

    def meaning(self, label: str, where: str) -> Meaning:
        """Return what a label of the file stands for.

        Args:
            label: as it is in the file.
            where: file and line, for the message.

        Raises:
            DataError: there are names for labels, and the label is neither one that has a name nor a name.
        """
        if not self.labels:
            return label
        if label in self.labels:
            return self.labels[label]
        names = {name for meaning in self.labels.values() for name in _shares(meaning)}
        if label in names:
            return label
        known = [*self.labels, *sorted(names.difference(self.labels))]
        raise DataError(
            f"{where}: the label is {shorten(label)}; known labels: {', '.join(known)}.{nearest_hint(label, known)} "
            "Say in reading.labels what it stands for (null leaves its texts out), or take every label as it is: "
            "reading.labels={}"
        )

    def then(self, later: ReadingSettings, where: str) -> ReadingSettings:
        """Return these settings with the meanings of the labels taken through those of ``later``.

        Of ``later`` the names of labels and the choice of phrases count; the columns are this one's.

        Args:
            later: the recipe's settings, where this is the data set's.
            where: the data set's name, for the message.

        Raises:
            DataError: ``later`` names labels, but not all that this one gives.
        """
        labels = {label: _onwards(meaning, later, where) for label, meaning in self.labels.items()}
        return self.model_copy(update={"labels": labels or later.labels, "phrases": later.phrases})


class ParallelSettings(Settings):
    """Which two languages of parallel texts are read, and where each stands in a table."""

    source: str = Field("en", pattern=_LANGUAGE)
    """Language code of the texts to translate."""
    target: str = Field("de", pattern=_LANGUAGE)
    """Language code of their translations."""
    columns: Mapping[str, str | int] = Field(default_factory=dict)
    """Of tables and JSON lines: a language code to the name of its column or its number from 1, as in
    ``{en: 1, de: 3}``; a language that is not here has the column called by its code, or "source" or "target".
    Of gettext catalogues the text is 1 and its translation 2."""

    @field_validator("columns")
    @classmethod
    def _columns_count_from_one(cls, value: Mapping[str, str | int]) -> Mapping[str, str | int]:
        if any(isinstance(column, int) and column < 1 for column in value.values()):
            raise ValueError("columns count from 1")
        return value

    @model_validator(mode="after")
    def _languages_differ(self) -> ParallelSettings:
        if self.source == self.target:
            raise ValueError(f'source and target are both "{self.source}"; name two languages')
        return self

    @property
    def pair(self) -> str:
        """The two languages as one word, as in en-de."""
        return f"{self.source}-{self.target}"

    @property
    def languages(self) -> frozenset[str]:
        """The two languages."""
        return frozenset((self.source, self.target))

    def then(self, later: ParallelSettings, where: str) -> ParallelSettings:
        """Return the direction of ``later`` with the columns of these settings.

        Args:
            later: the recipe's settings, where this is the data set's.
            where: the data set's name, for the message.

        Raises:
            ConfigError: ``later`` has other languages.
        """
        if later.languages != self.languages:
            raise ConfigError(f"{where} was found for {self.pair}, not for {later.pair}; find it with the same reading")
        return later.model_copy(update={"columns": self.columns})


class SideSettings(Settings):
    """Whether running text is one side of parallel texts."""

    pair: str | None = Field(None, pattern=f"{_LANGUAGE[:-1]}-{_LANGUAGE[1:]}")
    """The two languages of parallel texts, as in en-de; of their texts those in the recipe's language are read. Null
    for plain running text."""

    @property
    def parallel(self) -> ParallelSettings | None:
        """How the parallel texts are read; None for plain running text."""
        if self.pair is None:
            return None
        source, _, target = self.pair.partition("-")
        return ParallelSettings(source=source, target=target)


def _shares(meaning: Meaning) -> Mapping[str, float]:
    if meaning is None:
        return {}
    return {meaning: 1.0} if isinstance(meaning, str) else meaning


def _onwards(meaning: Meaning, later: ReadingSettings, where: str) -> Meaning:
    """Take a meaning through a second naming; a distribution of which any part is left out is left out."""
    if isinstance(meaning, str):
        return later.meaning(meaning, where)
    mixed: dict[str, float] = {}
    for name, share in _shares(meaning).items():
        further = later.meaning(name, where)
        if further is None:
            return None
        for final, part in _shares(further).items():
            mixed[final] = mixed.get(final, 0.0) + share * part
    return mixed or None

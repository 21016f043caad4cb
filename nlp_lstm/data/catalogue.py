"""Data sets and word vectors by name, and a user's own files: found, read, and with their papers in order.

Example:
    >>> found = find_data(["ud-english-ewt", "brown"], say=print)  # the first that can be had
    >>> found = open_files("my/corpus")  # or your own files
    >>> examples = found.read("dev")
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Literal, TypeAlias

import yaml
from pydantic import Field, field_validator, model_validator

from nlp_lstm.data import sources
from nlp_lstm.data.found import HELD_OUT, FoundData, digests_of, open_files
from nlp_lstm.data.hub import fetch_hub
from nlp_lstm.data.packages import fetch_package
from nlp_lstm.data.pictures import PictureReading
from nlp_lstm.data.readers import formats
from nlp_lstm.data.reading import ParallelSettings, ReadingSettings
from nlp_lstm.data.series import SeriesReading
from nlp_lstm.data.sources import (
    CacheSource,
    FolderSource,
    HubSource,
    Located,
    OwnSource,
    Say,
    Source,
    SourceError,
    TrainedSource,
    say_nothing,
)
from nlp_lstm.data.trained_vectors import train_into_cache
from nlp_lstm.errors import ConfigError, DataError, nearest_hint
from nlp_lstm.paths import cache_folder
from nlp_lstm.settings import Settings, parse_settings
from nlp_lstm.text.vectors import WordVectors, load_vectors

__all__ = [
    "Catalogue",
    "DataEntry",
    "FoundData",
    "ListedEntry",
    "VectorsEntry",
    "catalogue",
    "find_at_hand",
    "find_data",
    "find_vectors",
    "list_data",
    "open_files",
]

_HAND_OVER = "Or pass your own files: data=PATH in Python, --data PATH on the command line"


Splits: TypeAlias = dict[Literal["train", "dev", "test"], tuple[str, ...]]


class PairFiles(Settings):
    """The files of one pair of languages."""

    splits: Splits
    """File name patterns of each split."""
    held_out: float = Field(HELD_OUT, gt=0, lt=0.5)
    """The share of the sentences that dev and test get each, where they have no files."""


class Entry(Settings):
    """What data sets and word vectors have in common."""

    title: str
    language: str
    """ISO 639-1 code."""
    licence: str
    citation: str
    sources: tuple[Source, ...]
    """In the order tried."""


class DataEntry(Entry):
    """A data set of the catalogue."""

    format: str
    """A name in ``readers.formats``."""
    splits: Splits = Field(default_factory=dict)
    """File name patterns of each split; none where there are pairs."""
    pairs: dict[str, PairFiles] = Field(default_factory=dict)
    """Of parallel texts: the languages, as in en-de, to their files, which serve both directions. The language of the
    entry is the one whose sentences are split."""
    columns: dict[str, int] = Field(default_factory=dict)
    """Of parallel tables and gettext catalogues: a language to the number of its column, from 1."""
    reading: ReadingSettings | ParallelSettings | SeriesReading | PictureReading = ReadingSettings()
    """Of labelled texts: where the files have text and label, and what the labels are called. Of series: what the
    columns are. Of parallel texts ``for_pair`` sets it."""
    held_out: float = HELD_OUT
    """Of parallel texts: the share of the sentences that dev and test get each, where they have no files."""
    made: bool = False
    """Whether its texts are made by rules; those that it holds out are kept from no other training."""
    protected: bool = False
    """Whether no other training may contain the sentences of its dev and test splits, because scores on them are
    compared with other people's."""
    shares_text: str | None = None
    """The pool of texts that it has in common with other entries of the same pool."""

    @field_validator("format")
    @classmethod
    def _known_format(cls, value: str) -> str:
        if value not in formats:
            raise ValueError(formats.unknown_message(value))
        return value

    @model_validator(mode="after")
    def _splits_or_pairs(self) -> DataEntry:
        is_parallel = formats.get(self.format).kind == "parallel"
        if bool(self.pairs) != is_parallel or bool(self.splits) == is_parallel:
            raise ValueError("parallel texts have pairs, all others splits")
        own = {"series": SeriesReading, "pictures": PictureReading}.get(formats.get(self.format).kind)
        if own is not None and not isinstance(self.reading, own):
            return self.model_copy(update={"reading": own()})
        return self

    @property
    def files(self) -> tuple[str, ...]:
        """The patterns of all splits."""
        return tuple(pattern for patterns in self.splits.values() for pattern in patterns)

    @property
    def languages(self) -> str:
        """The language, or the pairs of languages, in words."""
        return ", ".join(self.pairs) or self.language

    def for_pair(self, reading: Settings | None) -> DataEntry | None:
        """Return the entry with the files of one pair of languages, or None when it has not that pair.

        Args:
            reading: of parallel texts: the languages in the direction wanted; None takes the first pair. An entry of
                another kind is returned as it is.
        """
        if not self.pairs:
            return self
        if not isinstance(reading, ParallelSettings):
            source, _, target = next(iter(self.pairs)).partition("-")
            reading = ParallelSettings(source=source, target=target)
        files = self.pairs.get(reading.pair) or self.pairs.get(f"{reading.target}-{reading.source}")
        if files is None:
            return None
        own = reading.model_copy(update={"columns": self.columns})
        return self.model_copy(update={"splits": files.splits, "held_out": files.held_out, "reading": own})


class VectorsEntry(Entry):
    """Word vectors of the catalogue."""

    file: str
    """The file to load."""
    also: tuple[str, ...] = ()
    """Files that it needs beside it."""

    @property
    def files(self) -> tuple[str, ...]:
        """All files."""
        return (self.file, *self.also)


class Catalogue(Settings):
    """The whole catalogue."""

    data: dict[str, DataEntry]
    vectors: dict[str, VectorsEntry]


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedEntry:
    """One line of the list of what is known by name.

    Args:
        name: the name to use.
        kind: "data" or "vectors".
        title: what it is.
        language: ISO 639-1 code, or of parallel texts the pairs, as in en-de.
        licence: under which it comes.
        here: where its files are on this machine, in the order tried; empty when nowhere.
        fetch: where they can be fetched from (not tried for the list).
    """

    name: str
    kind: Literal["data", "vectors"]
    title: str
    language: str
    licence: str
    here: tuple[str, ...]
    fetch: tuple[str, ...]


@functools.cache
def catalogue() -> Catalogue:
    """Return the catalogue that comes with the package."""
    text = resources.files("nlp_lstm.data").joinpath("catalogue.yaml").read_text("utf-8")
    return parse_settings(Catalogue, yaml.safe_load(text), "catalogue.yaml")


def find_data(names: Sequence[str], *, say: Say = say_nothing, reading: Settings | None = None) -> FoundData:
    """Return the first data set of ``names`` that can be had, fetching it where need be.

    Args:
        names: names in the catalogue, the preferred one first.
        say: called with lines of progress, and with the choice.
        reading: of parallel texts: the languages, a ``ParallelSettings``; other data sets do not look at it.

    Raises:
        ConfigError: a name is not in the catalogue, or none of the data sets has the pair of languages.
        DataError: none can be had; the message lists every try with its reason.
    """
    entries = {name: _known_entry(name) for name in names}
    of_pair = {name: entry.for_pair(reading) for name, entry in entries.items()}
    if isinstance(reading, ParallelSettings) and not any(of_pair.values()):
        pairs = "; ".join(f"{name} has {entry.languages}" for name, entry in entries.items())
        raise ConfigError(
            f"{', '.join(names)}: no texts for {reading.pair}; {pairs}, each in both directions. Set "
            "reading.source and reading.target to such a pair"
        )
    tries: list[str] = []
    for name, entry in of_pair.items():
        if entry is None:
            tries.append(f"{name}: has {entries[name].languages} only")
            continue
        located = _first_source(name, entry, tries, say=say)
        if located is not None:
            say(f"data: {name}, from {located.origin}")
            return _found_data(name, entry, located)
    raise DataError(_no_luck(f"none of the data sets {', '.join(names)} can be had", tries))


def find_at_hand(name: str, reading: Settings | None = None) -> FoundData | None:
    """Return a data set of the catalogue if its files are on this machine, else None. Nothing is fetched.

    Args:
        name: in the catalogue.
        reading: of parallel texts: the languages; None takes the first pair.

    Raises:
        ConfigError: the name is not in the catalogue.
    """
    entry = _known_entry(name).for_pair(reading)
    located = None if entry is None else next(_at_hand(name, entry), None)
    return None if entry is None or located is None else _found_data(name, entry, located)


def list_data() -> list[ListedEntry]:
    """Return everything known by name, with where it is on this machine. Nothing is fetched or asked for."""
    known = catalogue()
    listed = []
    kinds: tuple[tuple[Literal["data", "vectors"], Mapping[str, DataEntry | VectorsEntry]], ...] = (
        ("data", known.data),
        ("vectors", known.vectors),
    )
    for kind, entries in kinds:
        for name, entry in entries.items():
            local = (FolderSource, CacheSource, OwnSource)
            fetch = tuple(source.label for source in entry.sources if not isinstance(source, local))
            here = [located.origin for variant in _variants(entry) for located in _at_hand(name, variant)]
            listed.append(
                ListedEntry(
                    name=name,
                    kind=kind,
                    title=entry.title,
                    language=entry.languages if isinstance(entry, DataEntry) else entry.language,
                    licence=entry.licence,
                    here=tuple(dict.fromkeys(here)),
                    fetch=fetch,
                )
            )
    return listed


def find_vectors(name_or_path: str | Path, *, say: Say = say_nothing, trust_pickle: bool = False) -> WordVectors:
    """Return word vectors by their name in the catalogue, or from a file.

    Args:
        name_or_path: a catalogue name, or the path of a file that ``load_vectors`` reads.
        say: called with lines of progress.
        trust_pickle: read gensim's ``.kv`` files, which run code when opened.

    Raises:
        ConfigError: neither a known name nor a path that exists.
        DataError: they cannot be had, or the file is damaged.
    """
    known = catalogue().vectors
    name = str(name_or_path)
    entry = known.get(name)
    if entry is None:
        if not Path(name_or_path).exists():
            raise ConfigError(
                f'"{name}" is no word vectors: neither a file nor a known name; known names: '
                f"{', '.join(sorted(known))}.{nearest_hint(name, known)}"
            )
        return load_vectors(Path(name_or_path), cache_dir=cache_folder(), say=say, trust_pickle=trust_pickle)
    tries: list[str] = []
    located = _first_source(name, entry, tries, say=say)
    if located is None:
        raise DataError(_no_luck(f"the word vectors {name} cannot be had", tries, "Or pass the path of a vectors file"))
    say(f"word vectors: {name}, from {located.origin}")
    cache_dir = cache_folder()
    return load_vectors(located.folder / entry.file, cache_dir=cache_dir, name=name, licence=entry.licence, say=say)


def _variants(entry: DataEntry | VectorsEntry) -> Iterator[DataEntry | VectorsEntry]:
    """Yield the entry, or where it has several pairs of languages, the entry for each."""
    if not isinstance(entry, DataEntry) or not entry.pairs:
        yield entry
        return
    for pair in entry.pairs:
        source, _, target = pair.partition("-")
        if (variant := entry.for_pair(ParallelSettings(source=source, target=target))) is not None:
            yield variant


def _known_entry(name: str) -> DataEntry:
    known = catalogue().data
    if name not in known:
        raise ConfigError(
            f'unknown data set "{name}"; known data sets: {", ".join(sorted(known))}.{nearest_hint(name, known)} '
            f"{_HAND_OVER}"
        )
    return known[name]


def _found_data(name: str, entry: DataEntry, located: Located) -> FoundData:
    files: dict[str, tuple[Path, ...]] = {
        split: sources.match_files(located.folder, patterns) for split, patterns in entry.splits.items()
    }
    return FoundData(
        name=name,
        title=entry.title,
        licence=entry.licence,
        citation=entry.citation,
        language=entry.language,
        format=entry.format,
        source=located.origin,
        splits=files,
        sha256=digests_of(files),
        reading=entry.reading,
        held_out=entry.held_out,
    )


def _at_hand(name: str, entry: DataEntry | VectorsEntry) -> Iterator[Located]:
    """Yield the places on this machine that have an entry's files."""
    for source in entry.sources:
        if isinstance(source, (FolderSource, CacheSource, OwnSource)):
            with contextlib.suppress(SourceError):
                yield _reach(name, entry, source, say=say_nothing)


def _first_source(name: str, entry: DataEntry | VectorsEntry, tries: list[str], *, say: Say) -> Located | None:
    """Go through an entry's sources; what does not work goes into ``tries`` with its reason."""
    for source in entry.sources:
        try:
            return _reach(name, entry, source, say=say)
        except SourceError as error:
            tries.append(f"{name}, {source.label}: {error}")
    return None


def _reach(name: str, entry: DataEntry | VectorsEntry, source: Source, *, say: Say) -> Located:
    if isinstance(source, FolderSource):
        return sources.find_folder(source.of or name, entry.files)
    if isinstance(source, CacheSource):
        return sources.find_cached(source.of or name, entry.files, check_digests=isinstance(entry, DataEntry))
    if isinstance(source, OwnSource):
        return sources.find_own(entry.files)
    if isinstance(source, HubSource):
        if not isinstance(entry, DataEntry):
            raise SourceError("vectors are not read from the hub")
        reading = entry.reading
        if not isinstance(reading, (ReadingSettings, ParallelSettings)):
            raise SourceError(f"{entry.format} is not read from the hub")
        return fetch_hub(name, source, dict(entry.splits.items()), format=entry.format, reading=reading, say=say)
    if isinstance(source, TrainedSource):
        if not isinstance(entry, VectorsEntry):
            raise SourceError("only word vectors are trained")
        try:
            text = find_data([source.data], say=say).read("train")
        except DataError as error:
            raise SourceError(str(error)) from error
        return train_into_cache(name, entry.file, text, source, say=say)  # type: ignore[arg-type]
    return fetch_package(name, source, say=say)


def _no_luck(what: str, tries: Sequence[str], hand_over: str = _HAND_OVER) -> str:
    return "\n  ".join([f"{what}. Tried:", *tries]) + f"\n{hand_over}."

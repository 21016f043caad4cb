"""How a recipe's data is found and read: by its task's kind, its languages, and for a language model by one side."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from nlp_lstm.data.catalogue import FoundData, find_data, open_files
from nlp_lstm.data.readers import Kind, known_endings, read_examples
from nlp_lstm.data.reading import SideSettings
from nlp_lstm.data.sides import read_side, read_side_of_files
from nlp_lstm.errors import ConfigError
from nlp_lstm.recipes import Recipe
from nlp_lstm.settings import Settings
from nlp_lstm.tasks import tasks


def read_split(found: FoundData, split: str, reading: Settings, language: str) -> Sequence[Any]:
    """Read one split in the way that a task's recipe says."""
    return read_splits(found, (split,), reading, language)[split]


def read_splits(
    found: FoundData,
    splits: Iterable[str],
    reading: Settings,
    language: str,
    say: Callable[[str], None] = lambda line: None,
) -> Mapping[str, Sequence[Any]]:
    """Read splits in the way that a task's recipe says; of parallel texts for a language model one side.

    Raises:
        DataError: the data is broken.
    """
    pair = reading.parallel if isinstance(reading, SideSettings) else None
    if pair is not None and found.kind == "parallel":
        return read_side(found, splits, pair, language)
    return found.read_splits(splits, reading, language, say=say)


def find_named(names: Sequence[str], reading: Settings, say: Callable[[str], None] = lambda line: None) -> FoundData:
    """Return the first data set of ``names`` that can be had, for the languages that a recipe's ``reading`` says.

    Raises:
        DataError: none can be had.
    """
    pair = reading.parallel if isinstance(reading, SideSettings) else None
    return find_data(names, say=say, reading=pair or reading)


def open_own(path: Path, kind: Kind, reading: Settings) -> FoundData:
    """Take a user's own file or folder, which for a language model may be parallel texts.

    Raises:
        DataError: there is nothing usable.
    """
    pair = reading.parallel if isinstance(reading, SideSettings) else None
    if pair is None or (path.is_file() and _has_ending(path, kind)):
        return open_files(path, kind=kind, reading=reading)
    return open_files(path, kind="parallel", reading=pair)


def _has_ending(path: Path, kind: Kind) -> bool:
    return path.name.lower().removesuffix(".gz").endswith(tuple(known_endings(kind)))


def check_kind(found: FoundData, task: str, reading: Settings) -> None:
    """Check that a data set holds what a task takes.

    Raises:
        ConfigError: it holds another kind of data.
    """
    wanted = tasks.get(task).data_kind
    if found.kind == wanted or (isinstance(reading, SideSettings) and reading.pair and found.kind == "parallel"):
        return
    side = isinstance(reading, SideSettings) and found.kind == "parallel"
    hint = ", or with reading.pair, as in en-de, one side of parallel texts" if side else ""
    raise ConfigError(f"{found.name} holds {found.kind} data; the task {task} takes {wanted} data{hint}")


def find_run_data(recipe: Recipe, data: Path | None, say: Callable[[str], None] = lambda line: None) -> FoundData:
    """Find the first data set of a run that can be had, or take a user's own file or folder.

    Raises:
        DataError: the data cannot be had.
    """
    if data is not None:
        return open_own(data, tasks.get(recipe.task).data_kind, recipe.reading)
    return find_named(recipe.data, recipe.reading, say)


def read_test(recipe: Recipe, data: Path | None) -> tuple[FoundData, Sequence[Any]]:
    """Find the data of a run again and return it with its test examples.

    Args:
        recipe: names the data sets.
        data: a user's own file or folder, instead of the first data set.

    Raises:
        DataError: the data cannot be had, or is broken.
    """
    found = find_run_data(recipe, data)
    return found, read_split(found, "test", recipe.reading, recipe.language)


def read_files(paths: Sequence[Path], kind: Kind, reading: Settings, language: str) -> Sequence[Any]:
    """Read files in the way that a task's recipe says; each text has a label of its own.

    Raises:
        DataError: a file is broken, or a labelled text has none.
    """
    pair = reading.parallel if isinstance(reading, SideSettings) else None
    if pair is not None and not _has_ending(paths[0], kind):
        return read_side_of_files(paths, pair, language)
    examples: Sequence[Any] = read_examples(paths, kind=kind, reading=reading, language=language)
    return [example for example in examples if example.label is not None] if kind == "labelled" else examples

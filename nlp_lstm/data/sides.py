"""One side of parallel texts as running text: what a language model of one of their languages learns."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from nlp_lstm.data.catalogue import catalogue, find_at_hand
from nlp_lstm.data.example import ParallelExample
from nlp_lstm.data.found import FoundData
from nlp_lstm.data.lecture import LECTURE_NAME, lecture_texts
from nlp_lstm.data.readers import read_examples
from nlp_lstm.data.reading import ParallelSettings
from nlp_lstm.data.running import RunningText
from nlp_lstm.text.tokenize import Tokenizer


def read_side(
    found: FoundData, splits: Iterable[str], reading: ParallelSettings, language: str
) -> dict[str, RunningText]:
    """Read one side of splits of parallel texts, each different text once.

    Args:
        found: the parallel texts.
        splits: "train", "dev" or "test".
        reading: the two languages.
        language: which of them is read.

    Raises:
        DataError: what `FoundData.read` raises.
    """
    parts = _sides(found, splits, reading, language)
    paths = {split: found.splits.get(split) or found.splits["train"] for split in parts}
    return {split: _as_running(paths[split][0], texts, language) for split, texts in parts.items()}


def read_side_of_files(paths: Sequence[Path], reading: ParallelSettings, language: str) -> RunningText:
    """Read one side of files of parallel texts, each different text once.

    Raises:
        DataError: a file is broken.
    """
    examples: Sequence[ParallelExample] = read_examples(paths, kind="parallel", reading=reading)  # type: ignore[assignment]
    return _as_running(paths[0], _side(examples, reading, language), language)


def language_pairs(name: str) -> list[ParallelSettings]:
    """Return the pairs of languages that a data set of the catalogue has; none where it holds no parallel texts."""
    entry = catalogue().data.get(name)
    parts = (pair.partition("-") for pair in (entry.pairs if entry else ()))
    return [ParallelSettings(source=source, target=target) for source, _, target in parts]


def pair_with(name: str, reading: ParallelSettings, language: str) -> ParallelSettings | None:
    """Return the pair by which a data set of the catalogue is read for its texts in a language.

    Args:
        name: of the data set.
        reading: the pair that is preferred.
        language: of the texts.

    Returns:
        That pair, else the data set's first one with the language; None where it has none, or no parallel texts.
    """
    entry = catalogue().data.get(name)
    if entry is None or not entry.pairs:
        return None
    if entry.for_pair(reading) is not None:
        return reading
    return next((pair for pair in language_pairs(name) if language in pair.languages), None)


def held_out_sentences(language: str) -> dict[str, list[str]]:
    """Return the dev and test sentences in a language of all parallel texts of the catalogue on this machine.

    The lecture's sentences are among them, those that are made by rules are not. A sentence that one pair of languages
    holds out may be a training sentence of another, so all pairs are read.

    Returns:
        The sentences by a name for messages, such as "en-de of multi30k test".
    """
    texts_of_lecture = lecture_texts(language)
    held_out: dict[str, list[str]] = {LECTURE_NAME: texts_of_lecture} if texts_of_lecture else {}
    for name in (name for name, entry in catalogue().data.items() if not entry.made):
        for pair in language_pairs(name):
            found = find_at_hand(name, pair) if language in pair.languages else None
            for split, texts in (_sides(found, ("dev", "test"), pair, language) if found else {}).items():
                held_out[f"{pair.pair} of {name} {split}"] = texts
    return held_out


def data_of(name: str) -> str:
    """Return the data set of a name of held-out sentences: that of "en-de of multi30k test" is multi30k."""
    return name if name == LECTURE_NAME else name.rpartition(" of ")[2].rpartition(" ")[0]


def _sides(found: FoundData, splits: Iterable[str], reading: ParallelSettings, language: str) -> dict[str, list[str]]:
    parts: Mapping[str, Sequence[ParallelExample]] = found.read_splits(splits, reading)  # type: ignore[assignment]
    return {split: _side(examples, reading, language) for split, examples in parts.items()}


def _side(examples: Sequence[ParallelExample], reading: ParallelSettings, language: str) -> list[str]:
    texts = (example.source if language == reading.source else example.target for example in examples)
    return list(dict.fromkeys(text for text in texts if text))


def _as_running(path: Path, texts: Sequence[str], language: str) -> RunningText:
    tokenizer = Tokenizer(language)
    return RunningText([path], lambda where, line: tokenizer.tokenize(line), cut=lambda _: enumerate(texts, start=1))

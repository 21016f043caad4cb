"""The examples of a run: found, read, and kept apart from what is tested on."""

from __future__ import annotations

import contextlib
import dataclasses
import gc
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nlp_lstm.data.catalogue import FoundData, catalogue, find_at_hand, find_data
from nlp_lstm.data.example import ParallelExample, TaggedExample, text_of
from nlp_lstm.data.found import SPLITS
from nlp_lstm.data.overlap import ProtectedPairs, ProtectedSentences, ProtectedTexts, remove_overlap, remove_pairs
from nlp_lstm.data.reading import SideSettings
from nlp_lstm.data.running import RunningText
from nlp_lstm.data.share import take_share
from nlp_lstm.data.sides import data_of, held_out_sentences, pair_with, read_side
from nlp_lstm.errors import ConfigError, DataError
from nlp_lstm.reading_data import check_kind, find_run_data, read_split, read_splits
from nlp_lstm.recipes import Recipe
from nlp_lstm.settings import Settings
from nlp_lstm.tasks import tasks
from nlp_lstm.text.document import Document
from nlp_lstm.text.tokenize import TEXTS_ONLY, tokenizer_for


@dataclass(frozen=True, kw_only=True)
class RunData:
    """The examples of a run and where they came from.

    Args:
        found: the data set that is trained, chosen and tested on.
        also: further data sets that are trained on.
        texts_only: data sets whose texts teachers label.
        training: all that is learnt.
        development: of the first data set.
        test: of the first data set.
        unlabelled: the training texts of ``texts_only``.
        sizes: data set to the examples of its training part that were read.
        removed: data set that was compared to how many of them were left out, by the dev or test split that has the
            same text.
        kept_apart: the data sets whose dev and test texts are not in training.
    """

    found: FoundData
    also: tuple[FoundData, ...] = ()
    texts_only: tuple[FoundData, ...] = ()
    training: Sequence[Any]
    development: Sequence[Any]
    test: Sequence[Any]
    unlabelled: Sequence[Any] = ()
    sizes: Mapping[str, int] = field(default_factory=dict)
    removed: Mapping[str, Counter[str]] = field(default_factory=dict)
    kept_apart: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """All data sets that are trained on."""
        return tuple(source.name for source in self.sources)

    @property
    def sources(self) -> tuple[FoundData, ...]:
        """All data sets that are trained on, those whose texts alone are read among them."""
        return (self.found, *self.also, *self.texts_only)


@contextlib.contextmanager
def _collector_paused() -> Iterator[None]:
    """Pause Python's search for cycles, which looks through all tokens again and again; reading makes no cycles."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


@_collector_paused()
def read_run_data(recipe: Recipe, data: Path | None, say: Callable[[str], None]) -> RunData:
    """Find and read the data of a run.

    From the training part of labelled texts every text is left out that is also in a dev or test split: the run's own,
    and those of all protected data sets of the catalogue that are on this machine. From running text that the run
    learns besides its own, those of the protected data sets of the same pool are left out. Of parallel texts the pairs
    are left out of which a side is in the run's own dev or test split, or in one that parallel texts on this machine
    hold out in that language; of one side of them, which a language model learns, those sentences.

    Args:
        recipe: names the data sets.
        data: a user's own file or folder, instead of the first data set.
        say: takes lines for the user.

    Raises:
        ConfigError: a data set is of another kind than the task's.
        DataError: the data cannot be had, or is broken.
    """
    kind = tasks.get(recipe.task).data_kind
    found = find_run_data(recipe, data, say)
    check_kind(found, recipe.task, recipe.reading)
    parts = read_splits(found, SPLITS, recipe.reading, recipe.language, say)
    for note in found.notes:  # after reading, so that of a broken file nothing but its fault is told
        say(f"note: {note}")
    if kind == "running" and recipe.share < 1:
        raise ConfigError("share: running text has no labels; take training.tokens for a shorter training")
    if kind in ("tagged", "series", "pictures") and recipe.also_train:
        own = {"tagged": "tag sets", "series": "columns"}.get(kind, "sentences")
        raise ConfigError(f"also_train: {kind} data has {own} of its own and is not joined; give one data set")
    if kind in ("series", "pictures") and recipe.share < 1:
        raise ConfigError(f"share: {kind} are learnt whole; take training.tokens for a shorter training")
    if kind in ("tagged", "series", "pictures"):
        parts = {**parts, "train": take_share(parts["train"], recipe.share)}
        _check_any(parts["train"], recipe)
        _say_sizes(found.name, parts, say)
        if kind == "tagged":
            return _join_sentences(found, parts, recipe, say)
        return RunData(found=found, training=parts["train"], development=parts["dev"], test=parts["test"])
    also = [] if data is not None else _find_others(recipe.also_train, [found], recipe, say)
    if kind == "running":
        return _join_running(found, also, parts, recipe, say)
    if kind == "parallel":
        return _join_parallel(found, also, parts, recipe, say)
    names = recipe.distillation.unlabelled if recipe.distillation.has_teachers else ()
    unlabelled = _find_others(names, [found, *also], recipe, say)
    protected = {f"{found.name} {split}": [text_of(example) for example in parts[split]] for split in ("dev", "test")}
    others = _read_protected(name for name in catalogue().data if name != found.name)
    kept_apart = [found.name, *others]
    texts = ProtectedTexts(protected | _by_split(others))
    training: list[Any] = []
    extra: list[Any] = []
    sizes: dict[str, int] = {}
    removed: dict[str, Counter[str]] = {}
    for source in (found, *also, *unlabelled):
        is_unlabelled = any(source is other for other in unlabelled)
        if source is found:
            examples = parts["train"]
        elif is_unlabelled:
            examples = take_share(_read_without_labels(source, recipe), recipe.distillation.share)
        else:
            examples = read_split(source, "train", recipe.reading, recipe.language)
        kept, counts = remove_overlap(examples, texts)
        sizes[source.name], removed[source.name] = len(examples), counts
        _say_left_out(source.name, counts, examples, say)
        (extra if is_unlabelled else training).extend(kept)
    training = _take_share_of_rest(training, found, parts, recipe, say)
    return RunData(
        found=found,
        also=tuple(also),
        texts_only=tuple(unlabelled),
        training=training,
        development=parts["dev"],
        test=parts["test"],
        unlabelled=extra,
        sizes=sizes,
        removed=removed,
        kept_apart=tuple(kept_apart),
    )


def _join_sentences(
    found: FoundData, parts: Mapping[str, Sequence[Any]], recipe: Recipe, say: Callable[[str], None]
) -> RunData:
    """Put sentences that teachers tag beside those that are tagged already, without those of dev and test."""
    names = recipe.distillation.unlabelled if recipe.distillation.has_teachers else ()
    others = _find_others(names, [found], recipe, say, kinds=("tagged", "running"))
    texts = ProtectedTexts(
        {f"{found.name} {split}": [text_of(one) for one in parts[split]] for split in ("dev", "test")}
    )
    unlabelled: list[Any] = []
    sizes: dict[str, int] = {found.name: len(parts["train"])} if others else {}
    removed: dict[str, Counter[str]] = {}
    for source in others:
        sentences = _read_sentences(source, recipe)
        kept, counts = remove_overlap(sentences, texts)
        sizes[source.name], removed[source.name] = len(sentences), counts
        _say_left_out(source.name, counts, sentences, say)
        unlabelled += kept
    return RunData(
        found=found,
        texts_only=tuple(others),
        training=parts["train"],
        development=parts["dev"],
        test=parts["test"],
        unlabelled=unlabelled,
        sizes=sizes,
        removed=removed,
        kept_apart=(found.name,) if others else (),
    )


def _join_running(
    found: FoundData,
    also: Sequence[FoundData],
    parts: Mapping[str, Sequence[Any]],
    recipe: Recipe,
    say: Callable[[str], None],
) -> RunData:
    """Put the running text of all data sets together, that of the run's own data last: next to what is tested."""
    sides: dict[str, list[str]] = {}
    kept_apart: dict[str, None] = {}
    if found.kind == "parallel":
        held_out = held_out_sentences(recipe.language)
        own = {f"{found.name} {split}": [text_of(line) for line in parts[split]] for split in ("dev", "test")}
        sides = {**own, **held_out}
        kept_apart = dict.fromkeys([found.name, *map(data_of, held_out)])
    sentences = ProtectedSentences(sides)
    texts: list[RunningText] = []
    sizes: dict[str, int] = {}
    removed: dict[str, Counter[str]] = {}
    for source in (*also, found):
        is_own = source is found
        text = parts["train"] if is_own else _read_running(source, recipe)
        sizes[source.name] = len(text)
        others = {} if is_own else _read_protected(_same_pool(source.name))
        kept_apart |= dict.fromkeys(others)
        checks = [*([ProtectedTexts(_by_split(others))] if others else []), *([sentences] if sides else [])]
        for protected in checks:
            text, counts = _without_overlap(text, protected)  # type: ignore[arg-type]
            removed[source.name] = removed.get(source.name, Counter()) + counts
        if removed.get(source.name):
            _say_left_out(source.name, removed[source.name], range(sizes[source.name]), say)
        _say_sizes(source.name, {**parts, "train": text} if is_own else {"train": text}, say)
        texts.append(text)  # type: ignore[arg-type]
    if not len(texts[-1]):
        raise DataError(f"{found.name}: every training text is also in dev or test data; give other data")
    return RunData(
        found=found,
        also=tuple(also),
        training=RunningText.join(texts) if also else texts[0],
        development=parts["dev"],
        test=parts["test"],
        sizes=sizes,
        removed=removed,
        kept_apart=tuple(kept_apart),
    )


def _read_running(source: FoundData, recipe: Recipe) -> Sequence[Any]:
    """The training text of a further data set, of parallel texts the side in the recipe's language."""
    if source.kind == "parallel":
        return read_side(source, ("train",), source.reading, recipe.language)["train"]  # type: ignore[arg-type]
    return source.read("train", language=recipe.language)


def _join_parallel(
    found: FoundData,
    also: Sequence[FoundData],
    parts: Mapping[str, Sequence[Any]],
    recipe: Recipe,
    say: Callable[[str], None],
) -> RunData:
    """Put the training pairs of all data sets together, without those of which a side is held out anywhere.

    Not only by the run's own data: another pair of languages may begin as this one, and has the same English sentences.
    """
    own: dict[str, Sequence[Any]] = {f"{found.name} {split}": parts[split] for split in ("dev", "test")}
    sides = [held_out_sentences(language) for language in (recipe.reading.source, recipe.reading.target)]
    protected = ProtectedPairs(own, *sides)
    names = recipe.distillation.unlabelled if recipe.distillation.has_teachers else ()
    unlabelled = _find_others(names, [found, *also], recipe, say)
    training: list[ParallelExample] = []
    extra: list[ParallelExample] = []
    sizes: dict[str, int] = {}
    removed: dict[str, Counter[str]] = {}
    for source in (found, *also, *unlabelled):
        is_own = source is found
        pairs = parts["train"] if is_own else source.read("train", recipe.reading, recipe.language, say=say)
        kept, counts = remove_pairs(pairs, protected)  # type: ignore[arg-type]
        sizes[source.name], removed[source.name] = len(pairs), counts
        _say_left_out(source.name, counts, pairs, say)
        if any(source is other for other in unlabelled):
            chosen = take_share(kept, recipe.distillation.share)
            extra.extend(ParallelExample(source=pair.source) for pair in chosen)
        else:
            training.extend(kept)
    training = _take_share_of_rest(training, found, parts, recipe, say)
    return RunData(
        found=found,
        also=tuple(also),
        texts_only=tuple(unlabelled),
        training=training,
        development=parts["dev"],
        test=parts["test"],
        unlabelled=extra,
        sizes=sizes,
        removed=removed,
        kept_apart=tuple(dict.fromkeys([found.name, *(data_of(name) for name in (*sides[0], *sides[1]))])),
    )


def _take_share_of_rest(
    training: Sequence[Any],
    found: FoundData,
    parts: Mapping[str, Sequence[Any]],
    recipe: Recipe,
    say: Callable[[str], None],
) -> list[Any]:
    """Return the recipe's share of what was not left out, and say the sizes."""
    if not training:
        raise DataError(f"{found.name}: every training text is also in dev or test data; give other data")
    chosen = take_share(training, recipe.share)
    _check_any(chosen, recipe)
    _say_sizes(found.name, {**parts, "train": chosen}, say)
    return chosen


def _without_overlap(
    text: RunningText, protected: ProtectedTexts | ProtectedSentences
) -> tuple[RunningText, Counter[str]]:
    """Leave out the lines that are a protected text, and count them by its name."""
    found = [(number, name) for number, line in enumerate(text) if (name := protected.find(text_of(line))) is not None]
    starts = [0, *(number + 1 for number, _ in found)]
    stops = [*(number for number, _ in found), len(text)]
    kept = RunningText.join(text[start:stop] for start, stop in zip(starts, stops, strict=True))
    return kept, Counter(name for _, name in found)


def _same_pool(name: str) -> Iterator[str]:
    """The data sets of the catalogue that are made from the same texts."""
    known = catalogue().data
    pool = known[name].shares_text if name in known else None
    return (other for other, entry in known.items() if pool is not None and entry.shares_text == pool)


def _read_protected(names: Iterable[str]) -> dict[str, Mapping[str, Sequence[Any]]]:
    """Read the dev and test splits of those of the data sets that are protected and on this machine."""
    protected = (name for name in names if catalogue().data[name].protected)
    at_hand = {name: found for name in protected if (found := find_at_hand(name)) is not None}
    return {name: found.read_splits(("dev", "test")) for name, found in at_hand.items()}


def _by_split(data: Mapping[str, Mapping[str, Sequence[Any]]]) -> dict[str, list[str]]:
    """The texts of each split by its name for messages."""
    return {
        f"{name} {split}": [text_of(example) for example in examples]
        for name, parts in data.items()
        for split, examples in parts.items()
    }


def _read_without_labels(found: FoundData, recipe: Recipe) -> list[Any]:
    """Read the training texts of a data set whose labels may be others than the recipe's."""
    reading = recipe.reading.model_copy(update={"labels": {}})
    examples: Sequence[Any] = found.read("train", reading, recipe.language)
    return [dataclasses.replace(example, label=None, target=None) for example in examples]


def _read_sentences(found: FoundData, recipe: Recipe) -> list[TaggedExample]:
    """Read the recipe's share of the sentences of a data set whose labels, if it has any, count for nothing."""
    examples = list(found.read("train", language=TEXTS_ONLY if found.kind == "running" else None))
    chosen: list[Any] = take_share(examples, recipe.distillation.share)
    if found.kind == "tagged":
        return [dataclasses.replace(example, labels={}) for example in chosen]
    tokenizer = tokenizer_for(recipe.language)
    sentences = (sentence for example in chosen for sentence in tokenizer.sentences(text_of(example)))
    return [TaggedExample(document=Document.from_words(sentence.words), labels={}) for sentence in sentences]


def _find_others(
    names: Sequence[str],
    taken: Sequence[FoundData],
    recipe: Recipe,
    say: Callable[[str], None],
    kinds: Sequence[str] = (),
) -> list[FoundData]:
    """The further data sets that can be had, besides those that are taken already; of other kinds than the task's where
    those are given."""
    others = []
    for name in names:
        if any(name == other.name for other in taken):
            continue
        try:
            other = find_data([name], say=say, reading=_reading_of(name, recipe))
        except DataError as error:
            say(f"{name} is left out: {error}")
            continue
        if other.kind not in kinds:
            check_kind(other, recipe.task, recipe.reading)
        others.append(other)
    return others


def _reading_of(name: str, recipe: Recipe) -> Settings:
    """How a further data set is read: for a language model by a pair of languages that it has."""
    pair = recipe.reading.parallel if isinstance(recipe.reading, SideSettings) else None
    if pair is None:
        return recipe.reading
    return pair_with(name, pair, recipe.language) or recipe.reading


def _check_any(training: Sequence[Any], recipe: Recipe) -> None:
    if recipe.share < 1 and not training:
        raise DataError(f"share={recipe.share:g} leaves no training sentence; take a larger share")


def _say_left_out(name: str, removed: Counter[str], training: Sequence[Any], say: Callable[[str], None]) -> None:
    if removed:
        say(f"{name}: {removed.total():,} of {len(training):,} training texts left out, in dev or test data")


def _say_sizes(name: str, parts: Mapping[str, Sequence[Any]], say: Callable[[str], None]) -> None:
    say(f"{name}: " + ", ".join(f"{len(examples):,} {split}" for split, examples in parts.items()))

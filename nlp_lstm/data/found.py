"""A data set whose files are on this machine: its splits, its papers, and a user's own files as one.

Where a dev or test split has no file, it is carved out of train: by a rule that looks at each sentence or series alone,
or, of running text and of series with times, as what comes at the end.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from nlp_lstm.data.example import Example, LabelledExample, ParallelExample, text_of
from nlp_lstm.data.overlap import normal_form
from nlp_lstm.data.parallel import line_stem
from nlp_lstm.data.pictures import PictureExample, PictureReading, split_of_picture
from nlp_lstm.data.readers import Kind, formats, guess_format, known_endings, own_reading, read_examples
from nlp_lstm.data.reading import ParallelSettings, ReadingSettings
from nlp_lstm.data.running import RunningText
from nlp_lstm.data.series import TIME_HELD_OUT, SeriesExample, SeriesReading, cut_in_time, split_of_series
from nlp_lstm.data.sources import Say, say_nothing, sha256_of
from nlp_lstm.errors import ConfigError, DataError
from nlp_lstm.settings import Settings
from nlp_lstm.text.tokenize import TEXTS_ONLY

SPLITS = ("train", "dev", "test")

HELD_OUT = 0.1
"""The share of a user's own parallel texts that dev and test get each, where they have no files."""

_NUM_STRETCHES = 20  # running text is cut into; the last ones become dev and test
_LONGEST_STRETCH = 10_000  # lines of it that do: scores of all of them are held in memory

_SPLIT_PATTERNS = {
    "train": r"train(ing)?",
    "dev": r"dev(elopment)?|val(id|idation)?",
    "test": r"test(ing)?",
}


@dataclass(frozen=True, kw_only=True)
class FoundData:
    """A data set whose files are here.

    Args:
        name: the catalogue's name, or the file or folder name.
        title: a line for reports.
        licence: None when not known, as for a user's own files.
        citation: None when not known.
        language: ISO 639-1 code; None when not known. Of parallel texts the one whose sentences are split.
        format: a name in ``readers.formats``.
        source: where it came from, a phrase for reports.
        splits: split to its files. A dev or test split that is not there is carved out of train.
        sha256: file name to the digest of the file, as it was when found.
        reading: where its files have text and label, and what its labels are called, or which languages it was found
            for; None leaves that to whoever reads it, as for a user's own files.
        held_out: of parallel texts: the share of the sentences that each split without files gets, in [0, 0.5).
    """

    name: str
    title: str
    licence: str | None
    citation: str | None
    language: str | None
    format: str
    source: str
    splits: Mapping[str, tuple[Path, ...]]
    sha256: Mapping[str, str]
    reading: ReadingSettings | ParallelSettings | SeriesReading | PictureReading | None = None
    held_out: float = HELD_OUT

    @property
    def kind(self) -> Kind:
        """What it holds, such as "tagged" sentences or "running" text."""
        return formats.get(self.format).kind

    @property
    def notes(self) -> tuple[str, ...]:
        """What a report should say besides: which splits are carved, and what that costs."""
        if self.kind == "running":
            return tuple(
                f"no {split} file: a twentieth of the lines at the end of train, in one piece and at most "
                f"{_LONGEST_STRETCH:,}, is kept for {split}"
                for split in self._carved
            )
        if self.kind == "parallel":
            return tuple(
                f"no {split} file: {self.held_out:.0%} of the sentences, by their sha256, are taken out of train for "
                f"{split} with all their translations"
                for split in self._carved
            )
        if self.kind == "series":
            return tuple(
                f"no {split} file: of series with times {TIME_HELD_OUT:.0%} of the times, at the end, are kept for it; "
                "of others every one whose sha256 falls in one fixed tenth"
                for split in self._carved
            )
        if self.kind == "pictures":
            return tuple(
                f"no {split} file: it has the pictures that the data says, of drawn scenes those whose combination of "
                "drawings falls in one fixed part by its sha256, so that train has no such combination"
                for split in self._carved
            )
        notes = [
            f"no {split} file: every sentence whose sha256 falls in one fixed tenth is taken out of train for {split}"
            for split in self._carved
        ]
        if notes and self.format == "trees":
            notes.append("phrases are not read, as they may be parts of the sentences that were taken out")
        return tuple(notes)

    def read(
        self,
        split: str,
        reading: Settings | None = None,
        language: str | None = None,
        *,
        say: Say = say_nothing,
    ) -> Sequence[Example]:
        """Read one split: "train", "dev" or "test".

        Where dev or test has no files, its sentences are those of train that ``carved_split`` gives it, and
        train is without them. Phrases of trees are for training and come with "train" alone, and only where dev and
        test have files of their own. In dev and test every text has a label.

        Running text is cut in stretches instead: the last twentieth of the lines of train, at most 10,000, is test, as
        many before it are dev. It comes as a ``RunningText``, which reads the files anew in every pass. Parallel texts
        are split by ``held_out_split``; the sentence in the data set's own language decides, or the source of a user's
        own files.

        Args:
            split: the split.
            reading: how to read labelled texts (``ReadingSettings``), parallel ones (``ParallelSettings``) or series
                (``SeriesReading``). Of a data set of the catalogue, which has columns and labels of its own, it names
                the labels once more and chooses phrases, or says which of the two languages is translated, or of series
                changes what it says explicitly; for other files all of it counts.
            language: language code of the tokeniser for labelled texts and running text; None takes the data set's,
                else English.
            say: called with notes on what was left out.

        Raises:
            ConfigError: the tokeniser does not know the language, or the data set was found for another pair.
            DataError: there is no such split, or nothing is in it, or a file cannot be read.
        """
        return self.read_splits((split,), reading, language, say=say)[split]

    def read_splits(
        self,
        splits: Iterable[str],
        reading: Settings | None = None,
        language: str | None = None,
        *,
        say: Say = say_nothing,
    ) -> dict[str, Sequence[Example]]:
        """Read several splits as ``read`` does each; the file that they are carved out of is read once.

        Raises:
            ConfigError: what ``read`` raises.
            DataError: what ``read`` raises.
        """
        chosen = self._choose_reading(reading)
        without_phrases = (
            chosen.model_copy(update={"phrases": False}) if isinstance(chosen, ReadingSettings) else chosen
        )
        language = language or self.language or "en"
        carved: dict[str, Sequence[Example]] = {}
        parts: dict[str, Sequence[Example]] = {}
        for split in splits:
            if not self._is_carved(split):
                of_split = chosen if split == "train" else without_phrases
                examples = read_examples(self.splits[split], self.format, reading=of_split, language=language, say=say)
            else:
                carved = carved or self._carve(
                    read_examples(
                        self.splits["train"], self.format, reading=without_phrases, language=language, say=say
                    ),
                    chosen,
                )
                examples = self._check_any(carved[split], split)
            is_whole = split == "train" or self.kind != "labelled"
            parts[split] = examples if is_whole else self._with_labels(examples, split)
        return parts

    def read_texts(self, splits: Iterable[str]) -> dict[str, list[str]]:
        """Return the whole texts of splits of labelled texts, without phrases; quick, as none is tokenised.

        Raises:
            DataError: what ``read`` raises.
        """
        parts = self.read_splits(splits, ReadingSettings(phrases=False), TEXTS_ONLY)
        return {split: [text_of(example) for example in examples] for split, examples in parts.items()}

    def training_files(self) -> dict[str, tuple[str, ...]]:
        """Return the sha256 of each training file, with the splits that are carved out of it."""
        return {self.sha256[path.name]: self._carved for path in self.splits["train"]}

    def _is_carved(self, split: str) -> bool:
        """Whether a split is read from the files of train and carved out of them."""
        if split not in SPLITS:
            raise DataError(f'{self.name}: no split is called "{split}"; splits: {", ".join(SPLITS)}')
        is_carved = split not in self.splits or (split == "train" and bool(self._carved))
        if is_carved and "train" not in self.splits:
            here = ", ".join(self.splits)
            raise DataError(f"{self.name}: has no {split} split, only {here}; add a file with {split} in its name")
        return is_carved

    def _choose_reading(self, reading: Settings | None) -> Settings:
        """The settings of whoever reads, brought together with the data set's own."""
        chosen = own_reading(reading, self.kind)
        if isinstance(self.reading, ReadingSettings) and isinstance(chosen, ReadingSettings):
            return self.reading.then(chosen, self.name)
        if isinstance(self.reading, ParallelSettings) and isinstance(reading, ParallelSettings):
            return self.reading.then(reading, self.name)
        if isinstance(self.reading, SeriesReading) and isinstance(chosen, SeriesReading):
            return self.reading.then(chosen)
        if isinstance(self.reading, PictureReading):
            return chosen
        return self.reading or chosen

    def _with_labels(self, examples: Sequence[Example], split: str) -> list[Example]:
        labelled = [example for example in examples if not isinstance(example, LabelledExample) or example.label]
        if not labelled:
            raise DataError(f"{self.name}: no text of the {split} split has a label of its own, only shares of several")
        return labelled

    def _carve(self, examples: Sequence[Example], reading: Settings) -> dict[str, Sequence[Example]]:
        """Return the examples of train, and of each split without files those that are taken out of it."""
        splits = ("train", *self._carved)
        if isinstance(examples, RunningText):
            return {split: self._cut(examples, split) for split in splits}
        if isinstance(reading, SeriesReading) and reading.time is not None:
            return dict(cut_in_time(examples, splits))  # type: ignore[arg-type]
        parts: dict[str, list[Example]] = {split: [] for split in splits}
        for example in examples:
            split = self._split_of_example(example, reading)
            parts[split if split in parts else "train"].append(example)
        return dict(parts)

    def _check_any(self, examples: Sequence[Example], split: str) -> Sequence[Example]:
        if not examples:
            what = self.kind if self.kind in ("series", "pictures") else "sentences"
            raise DataError(
                f"{self.name}: the {split} split is empty: a tenth of the {what} goes to each split that has no "
                f"file, and here there are too few; add {what}, or a file with {split} in its name"
            )
        return examples

    def _split_of_example(self, example: Example, reading: Settings) -> str:
        """The split that an example is carved for; of parallel texts the language of the data set decides."""
        if isinstance(example, SeriesExample):
            return split_of_series(example)
        if isinstance(example, PictureExample):
            return split_of_picture(example)
        if not isinstance(example, ParallelExample):
            return carved_split(text_of(example))
        is_turned = isinstance(reading, ParallelSettings) and reading.target == self.language
        return held_out_split(example.target or "" if is_turned else example.source, self.held_out)

    def _cut(self, text: RunningText, split: str) -> RunningText:
        """Return the stretch of running text without files for dev or test that belongs to one split."""
        size = min(len(text) // _NUM_STRETCHES, _LONGEST_STRETCH)
        if not size:
            files = ", ".join(str(path) for path in self.splits["train"])
            raise DataError(
                f"{files}: {len(text)} lines of text are too few to keep a twentieth for {' and '.join(self._carved)}; "
                f"give at least {_NUM_STRETCHES} lines, or files with {' and '.join(self._carved)} in their names"
            )
        ends = {"train": len(text) - size * len(self._carved)}
        for name in self._carved:  # dev before test, as benchmarks are cut: the lines of one article stay together
            ends[name] = max(ends.values()) + size
        return text[: ends[split]] if split == "train" else text[ends[split] - size : ends[split]]

    @property
    def _carved(self) -> tuple[str, ...]:
        """The splits that are carved out of train."""
        return tuple(split for split in ("dev", "test") if split not in self.splits and "train" in self.splits)


def carved_split(text: str) -> str:
    """Return the split of a sentence in a data set without splits: of ten, eight train, one dev, one test.

    It depends on the sentence's text alone (its sha256), so the same sentence is always in the same split,
    whatever else is in the file, and a repeated sentence is never in two.
    """
    bucket = int.from_bytes(hashlib.sha256(text.encode("utf-8")).digest()[:8], "big") % 10
    return {8: "dev", 9: "test"}.get(bucket, "train")


def held_out_split(text: str, share: float) -> str:
    """Return the split of a sentence of parallel texts without splits: dev and test get a share of the sentences each.

    It depends on the letters and digits of the text alone (``normal_form``), so a sentence that is typed otherwise is
    in the same split, whatever its translation, and with a smaller share dev and test are parts of those with a larger.

    Args:
        text: the sentence.
        share: in [0, 0.5).
    """
    digest = hashlib.sha256((normal_form(text) or text).encode("utf-8")).digest()
    place = int.from_bytes(digest[8:16], "big") / 2**64  # other bytes than those that ``take_share`` looks at
    return "test" if place < share else "dev" if place >= 1 - share else "train"


def open_files(
    path: Path | str, format: str | None = None, kind: Kind = "tagged", reading: Settings | None = None
) -> FoundData:
    """Take a user's own file or folder as a data set.

    In a folder, a file whose name has train, dev (or valid, val) or test in it as a word belongs to that split; when
    no name has any of them, all files together are taken as one. A single file, or a folder without dev or test, is
    split by ``carved_split``, parallel texts by ``held_out_split`` of the source, and where it holds running text, cut.
    A file of lines in one language (``talks.en``) comes with the one in the other language beside it.

    Args:
        path: a file of tagged sentences, labelled texts, running text or parallel texts, or a folder with such files.
        format: a name in ``readers.formats``; None goes by the endings.
        kind: what the files hold: "tagged" sentences, "labelled" texts, "running" text, "parallel" texts, "series" or
            "pictures".
        reading: of parallel texts: has the languages whose files are meant.

    Raises:
        ConfigError: no format has that name, or it is for another kind of data.
        DataError: there is nothing usable at ``path``.
    """
    path = Path(path)
    if format is not None and formats.get(format).kind != kind:
        of_kind = ", ".join(name for name in formats if formats.get(name).kind == kind)
        raise ConfigError(
            f'format "{format}" is for {formats.get(format).kind} data; here {kind} data is needed: {of_kind}'
        )
    splits: dict[str, tuple[Path, ...]]
    if path.is_dir():
        files = [file for file in sorted(path.iterdir()) if file.is_file() and _is_usable(file, format, kind, reading)]
        if not files:
            endings = ", ".join(known_endings(kind, reading))
            raise DataError(
                f"{path}: no file in this folder can be read; files of {kind} data end in {endings} (each also .gz); "
                "rename them, or save them in one of these formats"
            )
        splits = {split: tuple(file for file in files if _split_of(file) == split) for split in SPLITS}
        splits = {split: members for split, members in splits.items() if members} or {"train": tuple(files)}
    elif path.is_file():
        chosen = format or guess_format(path, kind, reading)
        splits = {"train": _with_partner(path, reading) if chosen == "parallel-lines" else (path,)}
    else:
        raise DataError(f"{path}: there is no such file or folder; give the path of a file with {kind} data")
    found_formats = {format or guess_format(file, kind, reading) for files_of in splits.values() for file in files_of}
    if len(found_formats) > 1:
        raise DataError(
            f"{path}: the files have several formats ({', '.join(sorted(found_formats))}); keep the files of one format"
        )
    return FoundData(
        name=path.name or str(path),
        title=path.name or str(path),
        licence=None,
        citation=None,
        language=None,
        format=found_formats.pop(),
        source=f"{'folder' if path.is_dir() else 'file'} {path}",
        splits=splits,
        sha256=digests_of(splits),
    )


def digests_of(splits: Mapping[str, tuple[Path, ...]]) -> dict[str, str]:
    """Return file name to sha256 for the files of all splits.

    Raises:
        DataError: a file cannot be read.
    """
    try:
        return {path.name: sha256_of(path) for paths in splits.values() for path in paths}
    except OSError as error:
        raise DataError(f"{error.filename}: cannot be read ({error.strerror or error})") from error


def _split_of(file: Path) -> str | None:
    stem = Path(file.name.lower().removesuffix(".gz")).stem  # of wiki.train.tokens.gz: wiki.train
    for split, pattern in _SPLIT_PATTERNS.items():
        if re.search(rf"(?<![a-z])({pattern})(?![a-z])", stem):
            return split
    return None


def _with_partner(path: Path, reading: Settings | None) -> tuple[Path, ...]:
    """A file of lines in one language, with the one beside it that has the lines in the other."""
    beside = (file for file in sorted(path.parent.iterdir()) if line_stem(file) == line_stem(path))
    return tuple(file for file in beside if file.is_file() and _is_usable(file, None, "parallel", reading))


def _is_usable(file: Path, format: str | None, kind: Kind, reading: Settings | None) -> bool:
    if file.name.startswith("."):
        return False
    if format is not None:
        return True
    try:
        guess_format(file, kind, reading)
    except DataError:
        return False
    return file.name.lower() not in ("readme.txt", "license.txt", "licence.txt")

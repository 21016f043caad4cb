"""The output: a folder of shards, each of them whole, and the manifest last.

    shard-000000.jsonl …     written beside their place and renamed, so that what has the name is whole
    .annotating.jsonl        while the work goes on: what was begun, and a line for each shard that is done
    manifest.json            when all is done: the same for good

What a kill leaves is a folder without a manifest. Its journal says what to go on with; a last line that was cut off
does not count, nor does a shard whose content is not the one that the journal names.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

from nlp_lstm.bulk.annotator import BAD_ROWS_NAMED, Shard
from nlp_lstm.bulk.forms import FORMS
from nlp_lstm.errors import CheckpointError, ConfigError, shorten
from nlp_lstm.files import sha256_of, sync_folder, write_durably

JOURNAL_NAME, MANIFEST_NAME = ".annotating.jsonl", "manifest.json"

_ENDINGS = "|".join(re.escape(ending) for ending, _ in FORMS.values())
_SHARD = rf"shard-\d{{6,}}({_ENDINGS})"
_OWN = re.compile(rf"{_SHARD}|{re.escape(JOURNAL_NAME)}|{re.escape(MANIFEST_NAME)}")
_DRAFT = re.compile(rf"\.({_SHARD}|{re.escape(JOURNAL_NAME)}|{re.escape(MANIFEST_NAME)})-\w+")


@dataclass(frozen=True, kw_only=True)
class ShardFacts:
    """What journal and manifest say about a shard.

    Args:
        name: the file's.
        source: the name of the file that its rows are from.
        first: the place of its first row there.
        rows: how many.
        errors: how many of them were answered with an error.
        bytes: the file's size.
        sha256: the file's.
        bad_rows: the first of the rows with an error: place and error.
    """

    name: str
    source: str
    first: int
    rows: int
    errors: int
    bytes: int
    sha256: str
    bad_rows: tuple[tuple[int, str], ...]


class OutputFolder:
    """The output of one annotation, held by one process.

    Args:
        path: the folder; it is made.
        form: the kind of the shards.
        should_resume: whether to go on with what is there.

    Raises:
        ConfigError: the folder holds something else, or is held by another process.
    """

    def __init__(self, path: Path, form: str, *, should_resume: bool) -> None:
        self.path = path
        self.done: dict[int, ShardFacts] = {}
        self.is_finished = False
        self._begun: dict[str, Any] = {}
        self._ending = FORMS[form][0]
        self._journal: IO[bytes] | None = None
        names = self._look()
        if not should_resume and names & {JOURNAL_NAME, MANIFEST_NAME}:
            state = "finished" if MANIFEST_NAME in names else "begun"
            raise ConfigError(f"{path} holds what was {state} before; go on with --resume, or choose another folder")
        path.mkdir(parents=True, exist_ok=True)
        self._lock = _lock(path)

    def _look(self) -> set[str]:
        """Return the names in the folder.

        Raises:
            ConfigError: there is something that is not ours.
        """
        if not self.path.exists():
            return set()
        if not self.path.is_dir():
            raise ConfigError(f"{self.path} is no folder; choose another one for the output")
        names = {name.name for name in self.path.iterdir()}
        drafts = {name for name in names if _DRAFT.fullmatch(name)}
        others = sorted(name for name in names - drafts if not _OWN.fullmatch(name))
        if others or (names - drafts and not names & {JOURNAL_NAME, MANIFEST_NAME}):
            found = ", ".join(others[:5] or sorted(names)[:5])
            raise ConfigError(f"{self.path} holds something else ({shorten(found)}); choose a new or empty folder")
        return names - drafts

    def begin(self, begun: Mapping[str, Any]) -> None:
        """Begin, or find out what is done already.

        Args:
            begun: all that the output depends on, as plain values.

        Raises:
            ConfigError: what was begun there is not this.
            CheckpointError: the journal is damaged.
        """
        self._begun = json.loads(json.dumps(begun, default=str))
        names = self._look()
        if MANIFEST_NAME in names:
            manifest = _read_object(self.path / MANIFEST_NAME)
            self._check_same(manifest)
            self.done = self._whole(enumerate(manifest["shards"]), self.path / MANIFEST_NAME)
            self.is_finished = len(self.done) == len(manifest["shards"])
        elif JOURNAL_NAME in names:
            self._read_journal()
        for path in self.path.iterdir():
            if _DRAFT.fullmatch(path.name) or (self.is_finished and path.name == JOURNAL_NAME):
                path.unlink(missing_ok=True)
        if not self.is_finished:
            lines = [self._begun, *({"index": index, **asdict(facts)} for index, facts in sorted(self.done.items()))]
            write_durably(self.path / JOURNAL_NAME, b"".join(map(_line, lines)))
            (self.path / MANIFEST_NAME).unlink(missing_ok=True)  # a shard that it names is lost

    def _read_journal(self) -> None:
        path = self.path / JOURNAL_NAME
        lines = path.read_bytes().split(b"\n")[:-1]  # what stands behind the last line end was cut off
        try:
            begun, *records = map(json.loads, lines)
            begun = dict(begun)
            numbered = [(int(record.pop("index")), record) for record in records]
        except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError) as error:
            raise CheckpointError(f"{path} is damaged ({error}); annotate anew, into another folder") from error
        self._check_same(begun)
        self.done = self._whole(numbered, path)

    def _whole(self, numbered: Iterable[tuple[int, Mapping[str, Any]]], path: Path) -> dict[int, ShardFacts]:
        """Return those of the shards that a file tells of which are there as it says."""
        try:
            facts = {index: _facts(values) for index, values in numbered}
        except (ValueError, TypeError, AttributeError, OverflowError, RecursionError) as error:
            raise CheckpointError(f"{path} is damaged ({error}); annotate anew, into another folder") from error
        return {index: one for index, one in facts.items() if self._is_whole(one)}

    def _check_same(self, before: Mapping[str, Any]) -> None:
        """Check that what was begun is what is to be gone on with.

        Raises:
            ConfigError: it is not; names what differs.
        """
        for name, value in self._begun.items():
            if name not in before or before[name] != value:
                raise ConfigError(
                    f"{self.path} was begun with another {name}: {shorten(json.dumps(before.get(name)), 200)}, and now "
                    f"it is {shorten(json.dumps(value), 200)}; go on with the same, or choose another folder"
                )

    def _is_whole(self, facts: ShardFacts) -> bool:
        path = self.path / facts.name
        with contextlib.suppress(OSError):
            return path.stat().st_size == facts.bytes and sha256_of(path) == facts.sha256
        return False

    def check_block(self, index: int, source: str, first: int, num_rows: int) -> bool:
        """Return whether the shard of a block is done.

        Raises:
            CheckpointError: it is done, but with other rows.
        """
        facts = self.done.get(index)
        if facts is None:
            return False
        if (facts.source, facts.first, facts.rows) != (source, first, num_rows):
            raise CheckpointError(
                f"{self.path / facts.name} holds {facts.rows} rows from {facts.first} on, where now {num_rows} from "
                f"{first} on belong; another version cut the input. Annotate anew, into another folder"
            )
        return True

    def add(self, index: int, source: str, first: int, shard: Shard) -> ShardFacts:
        """Write a shard whole, then its line in the journal.

        Raises:
            OSError: it cannot be written; names the file and says how to go on.
        """
        path = self.path / f"shard-{index:06d}{self._ending}"
        facts = ShardFacts(
            name=path.name,
            source=source,
            first=first,
            rows=shard.num_rows,
            errors=shard.num_errors,
            bytes=len(shard.content),
            sha256=hashlib.sha256(shard.content).hexdigest(),
            bad_rows=shard.bad_rows,
        )
        with self._say_how_to_go_on(path):
            write_durably(path, shard.content)
        with self._say_how_to_go_on(self.path / JOURNAL_NAME):
            self._note(_line({"index": index, **asdict(facts)}))
        self.done[index] = facts
        return facts

    def _note(self, line: bytes) -> None:
        if self._journal is None:
            self._journal = (self.path / JOURNAL_NAME).open("ab")
        self._journal.write(line)
        self._journal.flush()
        os.fsync(self._journal.fileno())

    def finish(self) -> Path:
        """Write the manifest; there is one shard for each block.

        Returns:
            Its path.
        """
        facts = [self.done[index] for index in range(len(self.done))]
        bad_rows = [{"file": one.source, "row": row, "error": error} for one in facts for row, error in one.bad_rows]
        shards = [{name: value for name, value in asdict(one).items() if name != "bad_rows"} for one in facts]
        manifest = {
            **self._begun,
            "rows": sum(one.rows for one in facts),
            "errors": sum(one.errors for one in facts),
            "bad_rows": bad_rows[:BAD_ROWS_NAMED],
            "shards": shards,
        }
        path = self.path / MANIFEST_NAME
        with self._say_how_to_go_on(path):
            write_durably(path, (json.dumps(manifest, ensure_ascii=False, indent=1) + "\n").encode())
        self.is_finished = True
        self.close()
        (self.path / JOURNAL_NAME).unlink(missing_ok=True)
        sync_folder(self.path)
        return path

    @contextlib.contextmanager
    def _say_how_to_go_on(self, path: Path) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            reason = f"{error.strerror}; all before it is kept: make room, then go on with --resume"
            raise OSError(error.errno, reason, str(path)) from error

    def close(self) -> None:
        """Let another process have the folder."""
        if self._journal is not None:
            with contextlib.suppress(OSError):  # what could not be written was complained about
                self._journal.close()
            self._journal = None
        self._lock.close()


def _lock(path: Path) -> Any:
    """Hold the folder for this process; the system lets go of it when the process ends in whatever way.

    Raises:
        ConfigError: another process holds it.
    """
    try:
        import fcntl
    except ImportError:  # Windows
        return contextlib.ExitStack()
    stack = contextlib.ExitStack()
    handle = os.open(path, os.O_RDONLY)
    stack.callback(os.close, handle)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        stack.close()
        raise ConfigError(f"{path} is being written by another process; wait for it, or stop it first") from error
    except OSError:  # a file system without locks
        pass
    return stack


def _facts(values: Mapping[str, Any]) -> ShardFacts:
    """Return what a line of the journal or the manifest says of a shard.

    Raises:
        ValueError: it says something else.
        TypeError: likewise.
    """
    pairs = tuple((int(place), str(error)) for place, error in values.get("bad_rows", ()))
    facts = ShardFacts(**{**values, "bad_rows": pairs})
    numbers = (facts.first, facts.rows, facts.errors, facts.bytes)
    if not re.fullmatch(_SHARD, facts.name) or any(type(number) is not int or number < 0 for number in numbers):
        raise ValueError(f"{shorten(facts.name)} is no shard, or a count is no number")
    _line(asdict(facts))  # refuses half characters, which could not be written again
    return facts


def _line(values: Mapping[str, Any]) -> bytes:
    return (json.dumps(values, ensure_ascii=False) + "\n").encode()


def _read_object(path: Path) -> dict[str, Any]:
    try:
        values = json.loads(path.read_bytes())
        if isinstance(values, dict) and isinstance(values.get("shards"), list):
            return values
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(f"{path} cannot be read ({error}); choose another folder") from error
    raise CheckpointError(f"{path} is no manifest of an annotation; choose another folder")

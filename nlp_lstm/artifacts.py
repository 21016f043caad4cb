"""Model folders: what is written, and what is checked before anything is read back.

    config.json         task, settings, precision, and the size and sha256 of each other file
    vocab.json          words, characters, affixes, labels
    model.safetensors   weights
    model.onnx          the network's graph, where it has been exported; it reads its weights from the weights file
    step.onnx           of a network that writes word by word, one step of that; model.onnx is what it reads
    *.model             sentencepiece models
    metrics.json, training.log, README.md

A model folder is untrusted input. Only these kinds of file are read, each within a size limit; `nlp_lstm.weights` and
`nlp_lstm.inference.checks` say what holds for the weights and the graph. Nothing is unpickled.

While a model is replaced, the old one waits beside it as ``<name>.replaced``.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from nlp_lstm.errors import CheckpointError, ConfigError, NotTrainedError, shorten
from nlp_lstm.files import sha256_of
from nlp_lstm.settings import Settings, parse_settings

FORMAT = 1
CONFIG_NAME, VOCABULARY_NAME, WEIGHTS_NAME = "config.json", "vocab.json", "model.safetensors"
GRAPH_NAME, STEP_GRAPH_NAME = "model.onnx", "step.onnx"
LARGEST_FILE = 512 * 2**20  # bytes
LARGEST_CONFIG = 2**20  # bytes
LARGEST_BY_ENDING = {".json": 32 * 2**20, ".log": 32 * 2**20, ".md": 32 * 2**20, ".model": 2**24, ".onnx": 2**22}
"""Bytes of the other files, as what is read into memory takes many times its size there."""
MOST_FILES = 64
REPLACED_SUFFIX = ".replaced"

Precision = Literal["fp32", "fp16", "int8"]
FILE_NAME = r"[\w.-]{1,90}\.(json|safetensors|log|md|onnx|model)"
FileName = Annotated[str, Field(pattern=f"^{FILE_NAME}$")]


class FileFacts(Settings):
    """What config.json says about another file of the folder."""

    size: int = Field(ge=0, le=LARGEST_FILE)
    """Bytes."""
    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    """Checksum."""


class ModelConfig(Settings):
    """What config.json holds."""

    format: Literal[1]
    """Version of the folder's layout."""
    task: str
    """The task's name."""
    language: str
    """Language code of the texts."""
    data: str
    """The data set, file or folder that the model was trained on."""
    also_trained_on: tuple[str, ...] = ()
    """Further data sets that it was trained on."""
    kept_apart: tuple[str, ...] = ()
    """Data sets whose dev and test texts were left out of the training data."""
    trained_files: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    """The sha256 of each file of one's own that it was trained on, with the splits that were kept out of training."""
    reading: dict[str, Any] = Field(default_factory=dict)
    """How that data was read."""
    precision: Precision
    """How the weights are stored; arithmetic on them is in fp32 whatever this says."""
    model: dict[str, Any]
    """The task's model settings."""
    files: dict[FileName, FileFacts] = Field(max_length=MOST_FILES)
    """The other files."""

    @field_validator("files")
    @classmethod
    def _sizes_are_bounded(cls, value: dict[str, FileFacts]) -> dict[str, FileFacts]:
        for name, facts in value.items():
            most = LARGEST_BY_ENDING.get(Path(name).suffix, LARGEST_FILE)
            if facts.size > most:
                raise ValueError(f"{name} has {facts.size:,} bytes; at most {most:,} are read")
        return value


@dataclass(frozen=True, kw_only=True)
class ModelFolder:
    """A model folder that has passed its checks.

    Args:
        path: the folder.
        config: its config.json.
        vocabulary: its vocab.json.
        vocabulary_files: what belongs to the vocabulary beside it, by file name.
    """

    path: Path
    config: ModelConfig
    vocabulary: dict[str, Any]
    vocabulary_files: dict[str, bytes]


def copy_model(
    source: Path,
    target: Path,
    documents: Mapping[str, str | bytes] | None = None,
    *,
    precision: Precision | None = None,
    model_settings: Mapping[str, Any] | None = None,
) -> None:
    """Copy a model folder, all of it or nothing.

    Args:
        source: the model folder.
        target: where to; an earlier model there is replaced.
        documents: files by name that are added or take the place of the copied ones, such as README.md.
        precision: how the weights among the documents are stored; default as they were.
        model_settings: of the network that the weights among the documents are of; default as they were.

    Raises:
        CheckpointError: the source is damaged.
        ConfigError: the target holds anything but a model, or lies inside the source.
    """
    config = read_config(source)
    if source.resolve() in target.resolve().parents:
        raise ConfigError(f"{target} is inside {source}, the model to save; choose another place")
    check_replaceable(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}-") as made:
        draft = Path(made) / target.name
        draft.mkdir()
        for name in config.files:
            shutil.copy(source / name, draft)
        for name, content in (documents or {}).items():
            if isinstance(content, bytes):
                (draft / name).write_bytes(content)
            else:
                write_text(draft / name, content)
        files = {path.name: file_facts(path) for path in sorted(draft.iterdir())}
        for name, facts in config.files.items():
            if files[name] != facts and name not in (documents or {}):
                raise CheckpointError(
                    f"{source / name} is not the file that {CONFIG_NAME} describes; nothing was saved"
                )
        changes = {
            "files": files,
            "precision": precision or config.precision,
            "model": dict(model_settings or config.model),
        }
        changed = config.model_copy(update=changes)
        write_text(draft / CONFIG_NAME, changed.model_dump_json(indent=1) + "\n")
        put_folder(draft, target)


def put_folder(draft: Path, folder: Path) -> None:
    """Move ``draft`` to ``folder`` in place of what is there, so that no moment is without a whole model.

    A full folder cannot be replaced in one step, so the old one is first moved beside it. A failed move brings it back;
    after a kill between the two moves `existing_folder` finds it there.
    """
    replaced = _replaced(folder)
    if folder.exists():
        _remove(replaced)  # where an earlier kill came after both moves
        os.replace(folder, replaced)
    try:
        os.replace(draft, folder)
    except BaseException:
        if replaced.exists():
            os.replace(replaced, folder)
        raise
    _remove(replaced)


def existing_folder(folder: Path) -> Path:
    """Return the folder, or the model before it, with a warning, where a kill cut off its replacement."""
    replaced = _replaced(folder)
    if folder.exists() or not (replaced / CONFIG_NAME).is_file():
        return folder
    warnings.warn(f"{folder} is missing, saving it was cut off; the model before it is used: {replaced}", stacklevel=2)
    return replaced


def check_replaceable(folder: Path) -> None:
    """Check that saving a model as ``folder`` replaces nothing but a model.

    Raises:
        ConfigError: something else is there, or something besides a model's files.
    """
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    try:
        known = {CONFIG_NAME, *read_config(folder).files}
    except CheckpointError as error:
        raise ConfigError(f"{folder} exists and is not a model folder; choose another place ({error})") from error
    others = sorted(path.name for path in folder.iterdir() if path.name not in known)
    if others:
        raise ConfigError(f"{folder} holds more than a model: {shorten(', '.join(others))}; choose another place")


def read_folder(folder: Path) -> ModelFolder:
    """Read a model folder after checking it, but for its weights.

    Raises:
        CheckpointError: a file is missing, altered, too large or not what it should be.
    """
    folder = existing_folder(folder)
    config = read_config(folder)
    for name in (VOCABULARY_NAME, WEIGHTS_NAME):
        if name not in config.files:
            raise CheckpointError(f"{folder / CONFIG_NAME}: files does not list {name}")
    for name, facts in config.files.items():
        path = folder / name
        if not path.is_file():
            raise CheckpointError(f"{path} is missing; copy the whole model folder again")
        if path.stat().st_size != facts.size or sha256_of(path) != facts.sha256:
            raise CheckpointError(
                f"{path} is not the file that {CONFIG_NAME} describes ({path.stat().st_size} bytes, expected "
                f"{facts.size}; or its sha256 differs); copy the model folder again, or train anew"
            )
    vocabulary = _read_json(folder / VOCABULARY_NAME, LARGEST_BY_ENDING[".json"])
    return ModelFolder(
        path=folder,
        config=config,
        vocabulary=vocabulary,
        vocabulary_files={name: (folder / name).read_bytes() for name in config.files if name.endswith(".model")},
    )


def list_models(roots: Mapping[str, Path]) -> list[tuple[str, str, Path]]:
    """Return the name, place and folder of each model, by place and then by name.

    Args:
        roots: places to look in, in order, each with a name.
    """
    return [
        (folder.name, place, folder)
        for place, root in roots.items()
        for folder in (sorted(root.iterdir()) if root.is_dir() else ())
        if (folder / CONFIG_NAME).is_file()
    ]


def find_model(name: str, *, roots: Mapping[str, Path], advice: Callable[[], str]) -> Path:
    """Find a model folder by name.

    Args:
        name: the folder's name, such as ``pos-en``.
        roots: places to look in, in order, each with a name for the message.
        advice: gives what to do when there is none, for the message.

    Raises:
        NotTrainedError: no place has it.
    """
    for root in roots.values():
        folder = existing_folder(root / name)
        if (folder / CONFIG_NAME).is_file():
            return folder
    places = "; ".join(f"{place}: {root}" for place, root in roots.items())
    raise NotTrainedError(f'no model "{name}" (looked in {places}). {advice()}')


def _replaced(folder: Path) -> Path:
    """Where the old model waits while it is replaced."""
    return folder.with_name(folder.name + REPLACED_SUFFIX)


def _remove(folder: Path) -> None:
    """Remove a folder, or a link to one without what it leads to."""
    if folder.is_symlink():
        folder.unlink()
    else:
        shutil.rmtree(folder, ignore_errors=True)


def read_config(folder: Path) -> ModelConfig:
    """Read a model folder's config.json.

    Raises:
        CheckpointError: there is none, or it is damaged.
    """
    path = folder / CONFIG_NAME
    if not path.is_file():
        raise CheckpointError(f"{folder} is not a model folder: it has no {CONFIG_NAME}")
    return parse_settings(ModelConfig, _read_json(path, LARGEST_CONFIG), str(path), error_type=CheckpointError)


def _read_json(path: Path, most: int) -> dict[str, Any]:
    if path.stat().st_size > most:
        raise CheckpointError(f"{path} has {path.stat().st_size:,} bytes; at most {most:,} are read")
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(f"{path} is not JSON ({error}); copy the model folder again") from error
    if not isinstance(values, dict):
        raise CheckpointError(f"{path} holds {shorten(values)}; a JSON object is expected")
    return values


def write_text(path: Path, text: str) -> None:
    """Write text as a model folder holds it."""
    path.write_text(text, encoding="utf-8", newline="\n")


def file_facts(path: Path) -> FileFacts:
    """Return what config.json says about a file."""
    return FileFacts(size=path.stat().st_size, sha256=sha256_of(path))

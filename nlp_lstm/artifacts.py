"""Model folders: what is written, and what is checked before anything is read back.

    config.json         task, settings, precision, and the size and sha256 of each other file
    vocab.json          words, characters, affixes, labels
    model.safetensors   weights
    *.model             sentencepiece models
    metrics.json, training.log, README.md

A model folder is untrusted input. Only these kinds of file are read, each within a size limit, and the weights must
be finite and have exactly the names and shapes that the settings call for before they are loaded. Nothing is unpickled.

While a model is replaced, the old one waits beside it as ``<name>.replaced``.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
from pydantic import Field
from torch import Tensor

from nlp_lstm.errors import CheckpointError, ConfigError, NotTrainedError, shorten
from nlp_lstm.settings import Settings, parse_settings

FORMAT = 1
CONFIG_NAME, VOCABULARY_NAME, WEIGHTS_NAME = "config.json", "vocab.json", "model.safetensors"
LARGEST_FILE = 512 * 2**20  # bytes
SMALLEST_QUANTISED = 1024  # numbers; smaller tensors keep their type
CODES_SUFFIX, SCALES_SUFFIX = "//codes", "//scales"
REPLACED_SUFFIX = ".replaced"

Precision = Literal["fp32", "fp16", "int8"]
FileName = Annotated[str, Field(pattern=r"^[\w.-]{1,90}\.(json|safetensors|log|md|onnx|model)$")]


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
    files: dict[FileName, FileFacts]
    """The other files."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFolder:
    """A model folder that has passed its checks.

    Args:
        path: the folder.
        config: its config.json.
        vocabulary: its vocab.json.
        vocabulary_files: what belongs to the vocabulary beside it, by file name.
        weights: name to tensor, as fp32 where they were stored in less.
    """

    path: Path
    config: ModelConfig
    vocabulary: dict[str, Any]
    vocabulary_files: dict[str, bytes]
    weights: dict[str, Tensor]


def save_model(
    folder: Path,
    *,
    task: str,
    language: str,
    data: str,
    also_trained_on: tuple[str, ...] = (),
    kept_apart: tuple[str, ...] = (),
    trained_files: Mapping[str, tuple[str, ...]] | None = None,
    reading: Settings | None = None,
    model_settings: Settings,
    vocabulary: Mapping[str, Any],
    vocabulary_files: Mapping[str, bytes] | None = None,
    weights: Mapping[str, Tensor],
    precision: Precision,
    documents: Mapping[str, str] | None = None,
) -> None:
    """Write a model folder, all of it or nothing.

    Args:
        folder: where; an earlier model there is replaced.
        task: the task's name.
        language: language code of the texts.
        data: what the model was trained on.
        also_trained_on: further data sets that it was trained on.
        kept_apart: data sets whose dev and test texts were left out of the training data.
        trained_files: sha256 of each file of one's own that it was trained on, with the splits kept out of training.
        reading: how that data was read.
        model_settings: the task's model settings.
        vocabulary: plain values.
        vocabulary_files: what belongs to the vocabulary beside them, by file name ending in ``.model``.
        weights: name to tensor.
        precision: how matrices are stored; int8 rounds each row to 8 bits with a scale of its own.
        documents: further text files by name, such as metrics.json and README.md.
    """
    from safetensors.torch import save_file

    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as made:
        draft = Path(made) / folder.name
        draft.mkdir()
        packed = pack_weights(weights, precision)
        save_file({name: tensor.contiguous() for name, tensor in packed.items()}, draft / WEIGHTS_NAME)
        (draft / WEIGHTS_NAME).chmod(0o644)  # safetensors makes files that only their owner can read
        _write_text(draft / VOCABULARY_NAME, json.dumps(vocabulary, ensure_ascii=False, separators=(",", ":")))
        for name, content in (vocabulary_files or {}).items():
            (draft / name).write_bytes(content)
        for name, text in (documents or {}).items():
            _write_text(draft / name, text)
        config = ModelConfig(
            format=FORMAT,
            task=task,
            language=language,
            data=data,
            also_trained_on=also_trained_on,
            kept_apart=kept_apart,
            trained_files=dict(trained_files or {}),
            reading=reading.model_dump(mode="json") if reading else {},
            precision=precision,
            model=model_settings.model_dump(mode="json"),
            files={path.name: _file_facts(path) for path in sorted(draft.iterdir())},
        )
        _write_text(draft / CONFIG_NAME, config.model_dump_json(indent=1) + "\n")
        put_folder(draft, folder)


def copy_model(source: Path, target: Path, documents: Mapping[str, str] | None = None) -> None:
    """Copy a model folder, all of it or nothing.

    Args:
        source: the model folder.
        target: where to; an earlier model there is replaced.
        documents: text files by name that are added or take the place of the copied ones, such as README.md.

    Raises:
        CheckpointError: the source is damaged.
        ConfigError: the target holds anything but a model, or lies inside the source.
    """
    config = _read_config(source)
    if source.resolve() in target.resolve().parents:
        raise ConfigError(f"{target} is inside {source}, the model to save; choose another place")
    check_replaceable(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}-") as made:
        draft = Path(made) / target.name
        draft.mkdir()
        for name in config.files:
            shutil.copy(source / name, draft)
        for name, text in (documents or {}).items():
            _write_text(draft / name, text)
        files = {path.name: _file_facts(path) for path in sorted(draft.iterdir())}
        for name, facts in config.files.items():
            if files[name] != facts and name not in (documents or {}):
                raise CheckpointError(
                    f"{source / name} is not the file that {CONFIG_NAME} describes; nothing was saved"
                )
        _write_text(draft / CONFIG_NAME, config.model_copy(update={"files": files}).model_dump_json(indent=1) + "\n")
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
        known = {CONFIG_NAME, *_read_config(folder).files}
    except CheckpointError as error:
        raise ConfigError(f"{folder} exists and is not a model folder; choose another place ({error})") from error
    others = sorted(path.name for path in folder.iterdir() if path.name not in known)
    if others:
        raise ConfigError(f"{folder} holds more than a model: {shorten(', '.join(others))}; choose another place")


def load_model(folder: Path) -> ModelFolder:
    """Read a model folder after checking it.

    Raises:
        CheckpointError: a file is missing, altered, too large or not what it should be.
    """
    folder = existing_folder(folder)
    config = _read_config(folder)
    for name in (VOCABULARY_NAME, WEIGHTS_NAME):
        if name not in config.files:
            raise CheckpointError(f"{folder / CONFIG_NAME}: files does not list {name}")
    for name, facts in config.files.items():
        path = folder / name
        if not path.is_file():
            raise CheckpointError(f"{path} is missing; copy the whole model folder again")
        if path.stat().st_size != facts.size or _sha256(path) != facts.sha256:
            raise CheckpointError(
                f"{path} is not the file that {CONFIG_NAME} describes ({path.stat().st_size} bytes, expected "
                f"{facts.size}; or its sha256 differs); copy the model folder again, or train anew"
            )
    vocabulary = _read_json(folder / VOCABULARY_NAME)
    return ModelFolder(
        path=folder,
        config=config,
        vocabulary=vocabulary,
        vocabulary_files={name: (folder / name).read_bytes() for name in config.files if name.endswith(".model")},
        weights=_read_weights(folder / WEIGHTS_NAME),
    )


def load_weights(model: torch.nn.Module, folder: ModelFolder) -> None:
    """Put a folder's weights into a network built from its settings.

    Args:
        model: the network; it may be on the ``meta`` device, which saves filling it first.

    Raises:
        CheckpointError: names, shapes or types differ, or the network refuses a value.
    """
    wanted = model.state_dict()
    for name in sorted(wanted.keys() | folder.weights.keys()):
        if name not in folder.weights or name not in wanted:
            where = "the weights file" if name not in folder.weights else "the settings' network"
            raise CheckpointError(f"{folder.path / WEIGHTS_NAME}: {shorten(name)} is missing from {where}")
        found, expected = folder.weights[name], wanted[name]
        if found.shape != expected.shape or found.dtype != expected.dtype:
            raise CheckpointError(
                f"{folder.path / WEIGHTS_NAME}: {shorten(name)} is {list(found.shape)} {found.dtype}; "
                f"the settings call for {list(expected.shape)} {expected.dtype}"
            )
    try:
        model.load_state_dict(folder.weights, assign=True)
    except CheckpointError as error:  # the network's own check, which does not know the folder
        raise CheckpointError(f"{folder.path / WEIGHTS_NAME}: {error}") from error


def pack_weights(weights: Mapping[str, Tensor], precision: Precision) -> dict[str, Tensor]:
    """Return the tensors as they are stored.

    int8 rounds each row of a matrix to 255 steps around zero, with one fp32 scale per row; vectors stay fp32.
    """
    packed: dict[str, Tensor] = {}
    for name, tensor in weights.items():
        is_large = tensor.dtype == torch.float32 and tensor.dim() >= 2 and tensor.numel() >= SMALLEST_QUANTISED
        if precision == "fp16" and is_large:
            packed[name] = tensor.to(torch.float16)
        elif precision == "int8" and is_large:
            rows = tensor.flatten(1)
            scales = (rows.abs().amax(dim=1) / 127).clamp_min(1e-12)
            codes = (rows / scales[:, None]).round().clamp(-127, 127).to(torch.int8)
            packed[name + CODES_SUFFIX] = codes.reshape(tensor.shape)
            packed[name + SCALES_SUFFIX] = scales
        else:
            packed[name] = tensor
    return packed


def unpack_weights(packed: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors that arithmetic runs on: fp32 for everything that `pack_weights` stored in less.

    Raises:
        CheckpointError: codes and scales do not belong together, a name occurs twice, or a number is not finite.
    """
    weights: dict[str, Tensor] = {}
    for name, tensor in packed.items():
        if name.endswith(CODES_SUFFIX):
            base = name.removesuffix(CODES_SUFFIX)
            if base in packed:
                raise CheckpointError(f"{WEIGHTS_NAME}: {shorten(base)} is there twice, plain and as codes")
            scales = packed.get(base + SCALES_SUFFIX)
            if scales is None or tensor.dim() < 2 or scales.shape != tensor.shape[:1]:
                raise CheckpointError(f"{WEIGHTS_NAME}: {shorten(base)} has no fitting scales")
            rows = tensor.flatten(1).float() * scales.float()[:, None]
            weights[base] = rows.reshape(tensor.shape)
        elif not name.endswith(SCALES_SUFFIX):
            weights[name] = tensor.float() if tensor.dtype == torch.float16 and tensor.dim() > 1 else tensor
        elif name.removesuffix(SCALES_SUFFIX) + CODES_SUFFIX not in packed:
            raise CheckpointError(f"{WEIGHTS_NAME}: {shorten(name)} has no codes")
    for name, tensor in weights.items():
        if not tensor.isfinite().all():
            raise CheckpointError(f"{WEIGHTS_NAME}: {shorten(name)} holds numbers that are not finite; train anew")
    return weights


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


def find_model(name: str, *, roots: Mapping[str, Path], advice: str) -> Path:
    """Find a model folder by name.

    Args:
        name: the folder's name, such as ``pos-en``.
        roots: places to look in, in order, each with a name for the message.
        advice: what to do when there is none, for the message.

    Raises:
        NotTrainedError: no place has it.
    """
    for root in roots.values():
        folder = existing_folder(root / name)
        if (folder / CONFIG_NAME).is_file():
            return folder
    places = "; ".join(f"{place}: {root}" for place, root in roots.items())
    raise NotTrainedError(f'no model "{name}" (looked in {places}). {advice}')


def _replaced(folder: Path) -> Path:
    """Where the old model waits while it is replaced."""
    return folder.with_name(folder.name + REPLACED_SUFFIX)


def _remove(folder: Path) -> None:
    """Remove a folder, or a link to one without what it leads to."""
    if folder.is_symlink():
        folder.unlink()
    else:
        shutil.rmtree(folder, ignore_errors=True)


def _read_config(folder: Path) -> ModelConfig:
    path = folder / CONFIG_NAME
    if not path.is_file():
        raise CheckpointError(f"{folder} is not a model folder: it has no {CONFIG_NAME}")
    return parse_settings(ModelConfig, _read_json(path), str(path), error_type=CheckpointError)


def _read_weights(path: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        packed = load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise CheckpointError(f"{path} is not a safetensors file ({error}); copy the model folder again") from error
    return unpack_weights(packed)


def _read_json(path: Path) -> dict[str, Any]:
    if path.stat().st_size > LARGEST_FILE:
        raise CheckpointError(f"{path} has {path.stat().st_size} bytes; at most {LARGEST_FILE} are read")
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(f"{path} is not JSON ({error}); copy the model folder again") from error
    if not isinstance(values, dict):
        raise CheckpointError(f"{path} holds {shorten(values)}; a JSON object is expected")
    return values


def _write_text(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8", newline="\n")


def _file_facts(path: Path) -> FileFacts:
    return FileFacts(size=path.stat().st_size, sha256=_sha256(path))


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()

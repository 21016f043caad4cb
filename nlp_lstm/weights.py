"""Model folders with their weights: in the form that they are stored in, and in the form that a network computes with.

The weights must be finite and have exactly the names and shapes that the settings call for before they are loaded.
"""

from __future__ import annotations

import errno
import itertools
import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from nlp_lstm.artifacts import (
    CONFIG_NAME,
    FORMAT,
    VOCABULARY_NAME,
    WEIGHTS_NAME,
    ModelConfig,
    ModelFolder,
    Precision,
    file_facts,
    put_folder,
    read_folder,
    write_text,
)
from nlp_lstm.errors import CheckpointError, shorten
from nlp_lstm.settings import Settings, parse_settings
from nlp_lstm.stored import CODES_SUFFIX, SCALES_SUFFIX, read_header

SMALLEST_QUANTISED = 1024  # numbers; smaller tensors keep their type


@dataclass(frozen=True, kw_only=True)
class LoadedModel(ModelFolder):
    """A model folder with its weights.

    Args:
        path: the folder.
        config: its config.json.
        vocabulary: its vocab.json.
        vocabulary_files: what belongs to the vocabulary beside it, by file name.
        weights: name to tensor, as fp32 where they were stored in less.
    """

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

    Raises:
        CheckpointError: a file would be larger than what is read back; says which.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as made:
        draft = Path(made) / folder.name
        draft.mkdir()
        packed = pack_weights(weights, precision)
        write_tensors({name: tensor.contiguous() for name, tensor in packed.items()}, draft / WEIGHTS_NAME)
        (draft / WEIGHTS_NAME).chmod(0o644)  # safetensors makes files that only their owner can read
        write_text(draft / VOCABULARY_NAME, json.dumps(vocabulary, ensure_ascii=False, separators=(",", ":")))
        for name, content in (vocabulary_files or {}).items():
            (draft / name).write_bytes(content)
        for name, text in (documents or {}).items():
            write_text(draft / name, text)
        values = {
            "format": FORMAT,
            "task": task,
            "language": language,
            "data": data,
            "also_trained_on": also_trained_on,
            "kept_apart": kept_apart,
            "trained_files": dict(trained_files or {}),
            "reading": reading.model_dump(mode="json") if reading else {},
            "precision": precision,
            "model": model_settings.model_dump(mode="json"),
            "files": {path.name: file_facts(path).model_dump() for path in sorted(draft.iterdir())},
        }
        config = parse_settings(ModelConfig, values, f"{folder} cannot be saved", error_type=CheckpointError)
        write_text(draft / CONFIG_NAME, config.model_dump_json(indent=1) + "\n")
        put_folder(draft, folder)


def write_tensors(tensors: dict[str, Tensor], path: Path, metadata: dict[str, str] | None = None) -> None:
    """Write a safetensors file, and nothing where it cannot be written whole.

    Raises:
        OSError: it cannot be written, as on a full disk.
    """
    try:
        save_file(tensors, path, metadata=metadata)
    except BaseException as error:
        path.unlink(missing_ok=True)
        if isinstance(error, SafetensorError):
            raise OSError(errno.EIO, f"cannot be written ({error})", str(path)) from error
        raise


def load_model(folder: Path) -> LoadedModel:
    """Read a model folder with its weights after checking it.

    Raises:
        CheckpointError: a file is missing, altered, too large or not what it should be.
    """
    found = read_folder(folder)
    return LoadedModel(
        path=found.path,
        config=found.config,
        vocabulary=found.vocabulary,
        vocabulary_files=found.vocabulary_files,
        weights=_read_weights(found.path / WEIGHTS_NAME),
    )


def load_weights(model: torch.nn.Module, folder: LoadedModel) -> None:
    """Put a folder's weights into a network built from its settings.

    Args:
        model: the network; it may be on the ``meta`` device, which saves filling it first.

    Raises:
        CheckpointError: names, shapes or types differ, or the network refuses a value.
    """
    wanted = own_weights(model)
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
        model.load_state_dict(folder.weights, strict=False, assign=True)  # names are right; a shared part has more
    except CheckpointError as error:  # the network's own check, which does not know the folder
        raise CheckpointError(f"{folder.path / WEIGHTS_NAME}: {error}") from error


def own_weights(model: torch.nn.Module) -> dict[str, Tensor]:
    """Return what a network's folder holds: each of its weights by name, one that its parts share once."""
    names = {name for name, _ in itertools.chain(model.named_parameters(), model.named_buffers())}
    return {name: tensor for name, tensor in model.state_dict().items() if name in names}


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


def _read_weights(path: Path) -> dict[str, Tensor]:
    read_header(path)  # refuses types and shapes that no network here has
    try:
        packed = load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise CheckpointError(f"{path} is not a safetensors file ({error}); copy the model folder again") from error
    return unpack_weights(packed)

"""Several models of one task as one: their networks side by side in one folder, which answer together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from safetensors.torch import load_file, save
from torch import Tensor

from nlp_lstm.artifacts import GRAPH_NAME, WEIGHTS_NAME, copy_model
from nlp_lstm.errors import ConfigError
from nlp_lstm.inference.opening import OpenModel, check_together, open_model
from nlp_lstm.tasks.pos import BESIDE, SHARED, TaggingTask
from nlp_lstm.tasks.tagging import TaggingSettings


def join_models(folders: Sequence[Path], target: Path, documents: Mapping[str, str]) -> None:
    """Write one tagger whose networks are those of several, to the bit; the pretrained vectors are stored once.

    Args:
        folders: the models, which differ in their seed alone.
        target: the new model's folder; an earlier model there is replaced.
        documents: its own files, such as README.md; others are those of the first model.

    Raises:
        ConfigError: the models are no taggers, have networks side by side already, or do not go together.
        CheckpointError: one of them is damaged.
    """
    models = [open_model(folder) for folder in folders]
    check_together(models)
    for folder, model in zip(folders, models, strict=True):
        _check(folder, model, models[0])
    weights: dict[str, Tensor] = {}
    for number, folder in enumerate(folders):
        prefix = f"{BESIDE}.{number - 1}." if number else ""
        for name, tensor in load_file(folder / WEIGHTS_NAME).items():
            if not number or not name.startswith(SHARED):
                weights[prefix + name] = tensor
            elif not torch.equal(tensor, weights[name]):
                raise ConfigError(f"{folder} has other pretrained vectors than {folders[0]}; train both on the same")
    settings = {**models[0].config.model, "networks": len(folders)}
    copy_model(folders[0], target, {**documents, WEIGHTS_NAME: save(weights)}, model_settings=settings)


def can_join(model: OpenModel) -> bool:
    """Whether a model is a tagger of one network that stands alone."""
    settings = model.task.settings
    return (
        isinstance(model.task, TaggingTask)
        and isinstance(settings, TaggingSettings)
        and settings.networks == 1
        and model.task.predicts_together
        and not model.task.readers
    )


def _check(folder: Path, model: OpenModel, first: OpenModel) -> None:
    if not can_join(model):
        raise ConfigError(
            f"{folder} cannot be joined: only taggers with model.head=linear, without context, of one network can"
        )
    if GRAPH_NAME in model.config.files:
        raise ConfigError(f"{folder} has a {GRAPH_NAME}, which fits it as it is; join what runs left in their model/")
    if (model.config.model, model.config.precision) != (first.config.model, first.config.precision):
        raise ConfigError(f"{folder} has other settings than the first model; models of other seeds can be joined")

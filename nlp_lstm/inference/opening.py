"""Opening a model folder as a task with its network."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from nlp_lstm.artifacts import ModelConfig
from nlp_lstm.errors import CheckpointError, NlpLstmError
from nlp_lstm.settings import parse_settings
from nlp_lstm.tasks.base import Task
from nlp_lstm.tasks.predictor import tasks
from nlp_lstm.weights import load_model, load_weights


@dataclass(frozen=True, kw_only=True)
class OpenModel:
    """A model that is ready to predict: its task, its network in evaluation mode, and its config.json."""

    task: Task
    model: torch.nn.Module
    config: ModelConfig


def open_model(folder: Path) -> OpenModel:
    """Open a model folder.

    Raises:
        CheckpointError: the folder is damaged or not a model.
    """
    stored = load_model(folder)
    try:
        task_type = tasks.get(stored.config.task)
        settings = parse_settings(task_type.settings_type, stored.config.model, "config.json: model")
        task = task_type.from_folder(settings, stored.vocabulary, stored.vocabulary_files)
        with torch.device("meta"):
            model = task.build_model()
    except (NlpLstmError, RuntimeError, TypeError, OverflowError) as error:  # torch's own on absurd sizes
        raise CheckpointError(f"{folder}: {error}") from error
    load_weights(model, stored)
    return OpenModel(task=task, model=model.eval(), config=stored.config)

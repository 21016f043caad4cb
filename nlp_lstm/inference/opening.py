"""Opening model folders as tasks with their networks, which answer alone or together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from nlp_lstm.artifacts import ModelConfig
from nlp_lstm.errors import CheckpointError, ConfigError, NlpLstmError
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


def check_together(models: Sequence[OpenModel]) -> None:
    """Check that models can answer together: of one task that knows how, and with the same vocabularies.

    Raises:
        ConfigError: they cannot; says what differs.
    """
    first = models[0].task
    if not first.predicts_together:
        first.average([])
        raise ConfigError(f"networks of the task {first.name} with these settings cannot answer together")
    for other in (one.task for one in models[1:]):
        if other.name != first.name:
            raise ConfigError(f"models of the tasks {first.name} and {other.name} cannot answer together")
        if (other.vocabulary(), other.vocabulary_files()) != (first.vocabulary(), first.vocabulary_files()):
            raise ConfigError(
                "models with different vocabularies cannot answer together; train them on the same data with other "
                "seeds, as in `nlp-lstm run TASK --seeds 3`"
            )

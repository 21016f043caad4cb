"""Opening the models that another network begins as, or reads the states of."""

from __future__ import annotations

from pathlib import Path

from nlp_lstm.artifacts import CONFIG_NAME, WEIGHTS_NAME, find_model
from nlp_lstm.errors import ConfigError
from nlp_lstm.inference.opening import OpenModel, open_model
from nlp_lstm.nn.backbone import Backbone
from nlp_lstm.nn.bilm import BidirectionalLanguageModel
from nlp_lstm.nn.language_model import LanguageModel
from nlp_lstm.paths import model_roots
from nlp_lstm.tasks import BidirectionalTask, LanguageTask
from nlp_lstm.tasks.beginning import AnyBeginning, Beginning, BidirectionalBeginning, TaskBeginning
from nlp_lstm.tasks.words import WordTask


def open_beginning(name: str) -> AnyBeginning:
    """Open a model that a network begins as, by its name or folder, which ``init`` of the recipe gives.

    Raises:
        NotTrainedError: there is none.
        CheckpointError: the folder is damaged.
        ConfigError: the model is of a task whose network has other parts.
    """
    opened, described = _open(name)
    found = _language_model(opened, described)
    if found:
        return found
    backbone = getattr(opened.model, "backbone", None)
    if not isinstance(opened.task, WordTask) or not isinstance(backbone, Backbone):
        raise ConfigError(
            f"init: {name} is a model of the task {opened.task.name}; give a language model, a tagger or a classifier"
        )
    if getattr(opened.model, "context", None) is not None:
        raise ConfigError(f"init: {name} reads the states of language models, too; give a model without context")
    return TaskBeginning(name=described, settings=opened.task.settings, words=opened.task.words, backbone=backbone)


def open_context_model(name: str) -> Beginning | BidirectionalBeginning:
    """Open a language model whose states a network reads, by its name or folder, which ``context`` of the recipe gives.

    Raises:
        NotTrainedError: there is none.
        CheckpointError: the folder is damaged.
        ConfigError: the model is of another task.
    """
    opened, described = _open(name)
    found = _language_model(opened, described)
    if not found:
        raise ConfigError(f"context: {name} is a model of the task {opened.task.name}; give a language model")
    return found


def _open(name: str) -> tuple[OpenModel, str]:
    path = Path(name)
    if not (path / CONFIG_NAME).is_file():
        path = find_model(
            name,
            roots=model_roots(),
            advice=lambda: "Train one with `nlp-lstm run bilm` or `nlp-lstm run lm`, or give its folder",
        )
    opened = open_model(path)
    return opened, f"{path.name} ({opened.config.files[WEIGHTS_NAME].sha256[:12]})"


def _language_model(opened: OpenModel, described: str) -> Beginning | BidirectionalBeginning | None:
    if isinstance(opened.task, BidirectionalTask) and isinstance(opened.model, BidirectionalLanguageModel):
        return BidirectionalBeginning(
            name=described, settings=opened.task.settings, words=opened.task.words, network=opened.model
        )
    if isinstance(opened.task, LanguageTask) and isinstance(opened.model, LanguageModel):
        return Beginning(
            name=described,
            units=opened.task.units,
            network=opened.model,
            is_backward=opened.task.settings.direction == "backward",
            language=opened.config.language,
        )
    return None

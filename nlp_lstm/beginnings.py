"""Opening the models that another network begins as, reads the states of, or learns from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from nlp_lstm.artifacts import CONFIG_NAME, WEIGHTS_NAME, ModelConfig, find_model, read_config
from nlp_lstm.data.reading import ParallelSettings
from nlp_lstm.errors import ConfigError
from nlp_lstm.inference.opening import OpenModel, open_model
from nlp_lstm.nn.backbone import Backbone
from nlp_lstm.nn.bilm import BidirectionalLanguageModel
from nlp_lstm.nn.language_model import LanguageModel
from nlp_lstm.nn.translator import Translator
from nlp_lstm.paths import model_roots
from nlp_lstm.settings import parse_settings
from nlp_lstm.tasks import BidirectionalTask, LanguageTask, TranslationTask, tasks
from nlp_lstm.tasks.beginning import AnyBeginning, Beginning, BidirectionalBeginning, TaskBeginning
from nlp_lstm.tasks.translation_beginning import TranslatorBeginning
from nlp_lstm.tasks.words import WordTask


@dataclass(frozen=True, slots=True, kw_only=True)
class EarlierModel:
    """A model that goes into another one: as what that begins as, as states that it reads, or as a teacher.

    Args:
        name: of its folder.
        config: its config.json.
    """

    name: str
    config: ModelConfig

    @property
    def described(self) -> str:
        """Its name and the beginning of its weights' checksum."""
        return _described(self.name, self.config)

    @property
    def is_language_model(self) -> bool:
        """Whether it has learnt texts and no labels of them."""
        return tasks.get(self.config.task).is_language_model

    @property
    def data(self) -> tuple[str, ...]:
        """The data sets that it was trained on."""
        return (self.config.data, *self.config.also_trained_on)


def open_beginning(name: str) -> AnyBeginning | TranslatorBeginning:
    """Open a model that a network begins as, by its name or folder, which ``init`` of the recipe gives.

    Raises:
        NotTrainedError: there is none.
        CheckpointError: the folder is damaged.
        ConfigError: the model is of a task whose network has other parts.
    """
    opened, described = open_earlier(name)
    found = _language_model(opened, described)
    if found:
        return found
    if isinstance(opened.task, TranslationTask) and isinstance(opened.model, Translator):
        return TranslatorBeginning(
            name=described,
            settings=opened.task.settings,
            pieces=opened.task.pieces,
            network=opened.model,
            reading=parse_settings(ParallelSettings, opened.config.reading, f"{name}: reading"),
        )
    backbone = getattr(opened.model, "backbone", None)
    if not isinstance(opened.task, WordTask) or not isinstance(backbone, Backbone):
        raise ConfigError(
            f"init: {name} is a model of the task {opened.task.name}; give a language model, a tagger, a classifier "
            "or a translator"
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
    opened, described = open_earlier(name)
    found = _language_model(opened, described)
    if not found:
        raise ConfigError(f"context: {name} is a model of the task {opened.task.name}; give a language model")
    return found


def read_earlier(name: str) -> EarlierModel:
    """Return what a model that goes into another one is, and what it has learnt, by its name or folder.

    Raises:
        NotTrainedError: there is none.
        CheckpointError: the folder is damaged.
    """
    path = _find(name)
    return EarlierModel(name=path.name, config=read_config(path))


def _find(name: str) -> Path:
    path = Path(name)
    if (path / CONFIG_NAME).is_file():
        return path
    return find_model(
        name,
        roots=model_roots(),
        advice=lambda: "Train one with `nlp-lstm run bilm` or `nlp-lstm run lm`, or give its folder",
    )


def open_earlier(name: str) -> tuple[OpenModel, str]:
    """Open a model by its name or folder; return it with its name and the beginning of its weights' checksum.

    Raises:
        NotTrainedError: there is none.
        CheckpointError: the folder is damaged.
    """
    path = _find(name)
    opened = open_model(path)
    return opened, _described(path.name, opened.config)


def _described(name: str, config: ModelConfig) -> str:
    return f"{name} ({config.files[WEIGHTS_NAME].sha256[:12]})"


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

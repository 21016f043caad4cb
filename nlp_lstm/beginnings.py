"""Opening language models that another network begins as, or reads the states of."""

from __future__ import annotations

from pathlib import Path

from nlp_lstm.artifacts import CONFIG_NAME, WEIGHTS_NAME, find_model
from nlp_lstm.errors import ConfigError
from nlp_lstm.inference.opening import open_model
from nlp_lstm.nn.bilm import BidirectionalLanguageModel
from nlp_lstm.nn.language_model import LanguageModel
from nlp_lstm.paths import model_roots
from nlp_lstm.tasks import BidirectionalTask, LanguageTask
from nlp_lstm.tasks.beginning import Beginning, BidirectionalBeginning


def open_beginning(name: str, key: str = "init") -> Beginning | BidirectionalBeginning:
    """Open a language model by its name or folder, which ``key`` of the recipe gives.

    Raises:
        NotTrainedError: there is none.
        CheckpointError: the folder is damaged.
        ConfigError: the model is of another task.
    """
    path = Path(name)
    if not (path / CONFIG_NAME).is_file():
        path = find_model(
            name,
            roots=model_roots(),
            advice=lambda: "Train one with `nlp-lstm run bilm` or `nlp-lstm run lm`, or give its folder",
        )
    opened = open_model(path)
    described = f"{path.name} ({opened.config.files[WEIGHTS_NAME].sha256[:12]})"
    if isinstance(opened.task, BidirectionalTask) and isinstance(opened.model, BidirectionalLanguageModel):
        return BidirectionalBeginning(
            name=described, settings=opened.task.settings, words=opened.task.words, network=opened.model
        )
    if not isinstance(opened.task, LanguageTask) or not isinstance(opened.model, LanguageModel):
        raise ConfigError(f"{key}: {name} is a model of the task {opened.task.name}; give a language model")
    return Beginning(
        name=described,
        units=opened.task.units,
        network=opened.model,
        is_backward=opened.task.settings.direction == "backward",
        language=opened.config.language,
    )

"""Recipes: one page of YAML per task that says how its model is made."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from pydantic import Field, create_model

from nlp_lstm.artifacts import Precision
from nlp_lstm.data.reading import ParallelSettings, SideSettings
from nlp_lstm.errors import ConfigError, nearest_hint
from nlp_lstm.paths import bundled_folder
from nlp_lstm.settings import Settings, apply_overrides, dotted, parse_settings, read_yaml_file
from nlp_lstm.tasks import Task, tasks
from nlp_lstm.training import TrainingSettings


class BaselineSettings(Settings):
    """The simpler systems in the report."""

    tokens: int = Field(1_000_000, ge=0)
    """Training length of each network below; 0 leaves them out."""
    networks: Mapping[str, Mapping[str, Any]] = Field(default_factory=dict)
    """A name to the changes that make the model settings a simpler network, as in ``{cell: rnn}``."""
    words: bool = True
    """Whether systems that are no networks are compared, too, such as the most frequent label."""


class DistillationSettings(Settings):
    """Teachers: networks trained first, or trained models, from whose answers the model learns besides its data (Hinton
    et al. 2015).

    A classifier learns the mean of their probabilities, a tagger that of each token. A translator learns further pairs:
    the training texts with the translation that the teachers write together (Kim and Rush 2016)."""

    teachers: int = Field(0, ge=0, le=50)
    """How many are trained first, each with a seed of its own; 0 for none."""
    models: tuple[str, ...] = ()
    """Trained models of the task, by name or folder, that teach as well or instead. All teachers have the same
    vocabulary, as seeds of one recipe have; the model that learns may have another."""
    model: Mapping[str, Any] = Field(default_factory=dict)
    """Changes to the model settings for the teachers, as in ``{hidden: 400}``."""
    weight: float = Field(0.7, gt=0, le=1)
    """The teachers' share in what the model learns: of a labelled example the share in its target; of pairs of texts
    the share of the pairs that have the teachers' translation. With 0.5 every pair is learnt in both forms; with more,
    some true ones are left out, with less, some of the teachers'."""
    unlabelled: tuple[str, ...] = ()
    """Data sets whose training texts only the teachers label; their own labels are not read. A tagger also takes
    running text, sentence by sentence."""
    share: float = Field(1.0, gt=0, le=1)
    """How much of the texts of those data sets is taken."""

    @property
    def has_teachers(self) -> bool:
        """Whether there are any."""
        return bool(self.teachers or self.models)


class Recipe(Settings):
    """How a model is made and judged."""

    task: str
    """The task's name."""
    language: str = "en"
    """Language code of the texts."""
    kind: str = Field("", pattern="^[a-z0-9]*$")
    """What tells the model from others of its task and language: ``questions`` makes it sentiment-en-questions."""
    data: tuple[str, ...] = Field(min_length=1)
    """Data sets by name; the first that can be had is used."""
    also_train: tuple[str, ...] = ()
    """Further data sets whose training part is learnt as well, where they can be had; dev and test stay the first's."""
    share: float = Field(1.0, gt=0, le=1)
    """Share of the labelled training sentences that is learnt, the same ones at every seed, for learning curves."""
    reading: Any
    """How the data is read: columns and names of labels, as the task has them."""
    also_evaluate: tuple[str, ...] = ()
    """Further data sets with the labels of the first one, whose test part is reported; never trained on."""
    init: tuple[str, ...] = ()
    """Models, by name or folder, that the network begins as: a bidirectional language model; or one that reads forward,
    one backward, or one of them; or a model of a task whose network has the same backbone, to learn other data."""
    context: tuple[str, ...] = ()
    """Language models of characters or words, by name or folder, whose states at each word of a sentence the network
    also reads; they are not trained. One that reads forward, one backward, or one of them."""
    model: Any
    """The task's model settings."""
    training: TrainingSettings = TrainingSettings()
    """How it is trained."""
    distillation: DistillationSettings = DistillationSettings()
    """Teachers that the model learns from."""
    baselines: BaselineSettings = BaselineSettings()
    """The simpler systems in the report."""
    precision: Precision = "int8"
    """How the model's weights are stored; the report evaluates the stored weights."""


def load_recipe(name_or_path: str, overrides: Iterable[str] | Mapping[str, Any] = ()) -> Recipe:
    """Read and check a recipe.

    Args:
        name_or_path: a bundled recipe's name, such as "pos", or a YAML file.
        overrides: dotted changes such as "model.hidden=128".

    Raises:
        ConfigError: the recipe is not known, not YAML, or has faults; all faults are reported together.
    """
    path = find_recipe(name_or_path)
    values = read_yaml_file(path)
    if not isinstance(values, dict) or not isinstance(values.get("task"), str):
        raise ConfigError(f'{path} is not a recipe: it needs "task:" with one of {", ".join(tasks)}')
    return make_recipe(values, overrides, where=str(path))


def make_recipe(values: dict[str, Any], overrides: Iterable[str] | Mapping[str, Any] = (), *, where: str) -> Recipe:
    """Check a recipe given as plain values.

    Raises:
        ConfigError: it has faults.
    """
    values = apply_overrides(values, overrides)
    recipe_type = _recipe_type(tasks.get(str(values.get("task"))))
    recipe = _in_source_language(parse_settings(recipe_type, values, where), values, where)
    for name, changes in {**recipe.baselines.networks, "distillation": recipe.distillation.model}.items():
        change_model(recipe, changes, f"{where}: {name}")  # a wrong change fails now
    return recipe


@cache
def _recipe_type(task: type[Task]) -> type[Recipe]:
    """Return the type of a task's recipes; making one takes a tenth of a second."""
    return create_model(
        f"{task.settings_type.__name__}Recipe",
        __base__=Recipe,
        model=(task.settings_type, task.settings_type()),
        reading=(task.reading_type, task.reading_type()),
    )


def _in_source_language(recipe: Recipe, values: Mapping[str, Any], where: str) -> Recipe:
    """Give a recipe of parallel texts the language that these are translated from, and check that of one side.

    Raises:
        ConfigError: it names another one.
    """
    pair = recipe.reading.parallel if isinstance(recipe.reading, SideSettings) else None
    if pair is not None and recipe.language not in pair.languages:
        raise ConfigError(
            f'{where}: language is "{recipe.language}", which is none of the two of reading.pair={pair.pair}; set '
            "language to the one whose texts are learnt"
        )
    if not isinstance(recipe.reading, ParallelSettings) or recipe.language == recipe.reading.source:
        return recipe
    if "language" in values:
        raise ConfigError(
            f'{where}: language is "{recipe.language}", but reading.source is "{recipe.reading.source}"; leave out '
            "language"
        )
    return recipe.model_copy(update={"language": recipe.reading.source})


def change_model(recipe: Recipe, changes: Mapping[str, Any], where: str) -> Any:
    """Return the recipe's model settings with some of them changed.

    Args:
        recipe: has the settings.
        changes: new values; of a section such as ``embedding`` those that are not named stay.
        where: the place of the changes, for the message.

    Raises:
        ConfigError: the changed settings have faults.
    """
    return parse_settings(type(recipe.model), apply_overrides(recipe.model.model_dump(), dotted(changes)), where)


def find_recipe(name_or_path: str) -> Path:
    """Return the file of a recipe.

    Raises:
        ConfigError: there is none; the message lists the bundled ones.
    """
    if name_or_path.endswith((".yaml", ".yml")) or "/" in name_or_path:
        path = Path(name_or_path)
        if not path.is_file():
            raise ConfigError(f"{path} does not exist; give a recipe file, or one of {', '.join(list_recipes())}")
        return path
    path = bundled_folder("pipelines") / f"{name_or_path}.yaml"
    if not path.is_file():
        names = list_recipes()
        raise ConfigError(
            f'unknown task or recipe "{name_or_path}"; bundled recipes: {", ".join(names)}.'
            + nearest_hint(name_or_path, names)
        )
    return path


def list_recipes() -> list[str]:
    """Return the names of the bundled recipes."""
    return sorted(path.stem for path in bundled_folder("pipelines").glob("*.yaml"))


def model_name(recipe: Recipe) -> str:
    """Return what the recipe's model is called, as in sentiment-en-questions or translate-en-de."""
    languages = recipe.reading.pair if isinstance(recipe.reading, ParallelSettings) else recipe.language
    return "-".join(part for part in (recipe.task, languages, recipe.kind) if part)


def recipe_yaml(recipe: Recipe) -> str:
    """Return a recipe with all its settings as YAML."""
    return yaml.safe_dump(recipe.model_dump(mode="json"), sort_keys=False, allow_unicode=True)

"""What the trainings of one run share: the model itself, its teachers, and the simpler networks beside it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from nlp_lstm.beginnings import EarlierModel, open_earlier
from nlp_lstm.errors import DataError
from nlp_lstm.inference.opening import OpenModel, check_together
from nlp_lstm.opinions import gather_opinions
from nlp_lstm.recipes import Recipe, change_model
from nlp_lstm.run_data import RunData
from nlp_lstm.tasks import Task, predict_examples, tasks
from nlp_lstm.text.vectors import WordVectors
from nlp_lstm.training import TrainingResult, TrainingSettings, train

TEACHER_SEED = 1_000  # teachers have the seeds from here on, so none is the model's own


@dataclass(frozen=True, kw_only=True)
class Workshop:
    """A run's recipe and materials.

    Args:
        recipe: how the model is made.
        folder: where everything goes.
        data: the examples.
        vectors: pretrained word vectors.
        earlier: models that the network begins as, whose states it reads, or that teach it.
        console: where to print; None prints nothing.
        should_resume: whether each training goes on from its checkpoint.
    """

    recipe: Recipe
    folder: Path
    data: RunData
    vectors: Sequence[WordVectors]
    earlier: Sequence[EarlierModel]
    console: Console | None
    should_resume: bool

    @property
    def say(self) -> Callable[[str], None]:
        """Print a line."""
        return make_say(self.console)

    def train(
        self, task: Task, examples: Sequence[Any], settings: TrainingSettings, name: str, description: str
    ) -> TrainingResult:
        """Train a network in the folder ``name`` of the run; its checkpoint stays until the run is finished."""
        return train(
            task,
            examples,
            self.data.development,
            settings,
            self.folder / name,
            should_resume=self.should_resume,
            console=self.console,
            description=description,
        )


def make_say(console: Console | None) -> Callable[[str], None]:
    """Return a function that prints a line as it is, or drops it where there is no console."""

    def say(line: str) -> None:
        if console is not None:
            console.print(line, highlight=False, markup=False, soft_wrap=True)

    return say


def network_baselines(workshop: Workshop) -> dict[str, list[Any]]:
    """Train the recipe's simpler networks, and return the test predictions of each under its name."""
    recipe, data = workshop.recipe, workshop.data
    tokens = min(recipe.baselines.tokens, recipe.training.tokens)
    if not tokens:
        return {}
    evaluations = min(4, recipe.training.evaluations)
    schedule = recipe.training.model_copy(update={"tokens": tokens, "evaluations": evaluations})
    predictions = {}
    for number, (name, changes) in enumerate(recipe.baselines.networks.items(), start=1):
        settings = change_model(recipe, changes, f"baselines.networks: {name}")
        task = tasks.get(recipe.task).prepare(settings, data.training, workshop.vectors)
        workshop.say(f"baseline: {name}")
        result = workshop.train(task, data.training, schedule, f"baseline-{number}", name)
        predictions[f"{name}, {tokens:,} training tokens"] = predict_examples(task, result.model, data.test)
    return predictions


def distil(workshop: Workshop, student: Task) -> tuple[list[Any], dict[str, list[Any]]]:
    """Train the teachers and return what the student learns from them, and their answers together on test.

    Args:
        workshop: of the run.
        student: the task of the model that will learn from them; its labels are the teachers'.

    Raises:
        ConfigError: the task cannot be distilled, or trained teachers cannot answer together.
        DataError: trained teachers have learnt what the student is tested on.
    """
    student.teach([], [], 1.0)  # a task that cannot be distilled says so before any training
    recipe, data = workshop.recipe, workshop.data
    trained = _open_teachers(recipe.distillation.models, data)
    task = trained[0].task if trained else _prepare_teachers(workshop)
    models = [teacher.model for teacher in trained]
    for number in range(recipe.distillation.teachers):
        workshop.say(f"teacher {number + 1} of {recipe.distillation.teachers}")
        seed = TEACHER_SEED * (1 + recipe.training.seed) + number
        schedule = recipe.training.model_copy(update={"seed": seed})
        models.append(workshop.train(task, data.training, schedule, f"teacher-{number + 1}", "teacher").model)
    examples = [*data.training, *data.unlabelled]
    opinions = gather_opinions(task, models, examples, workshop.folder, workshop.say)
    answers = predict_examples(task, models, data.test)
    taught = student.teach(examples, opinions, recipe.distillation.weight)
    return taught, {f"ensemble of the {len(models)} teachers": answers}


def _prepare_teachers(workshop: Workshop) -> Task:
    recipe = workshop.recipe
    settings = change_model(recipe, recipe.distillation.model, "distillation.model")
    return tasks.get(recipe.task).prepare(settings, workshop.data.training, workshop.vectors)


def _open_teachers(names: Sequence[str], data: RunData) -> list[OpenModel]:
    """Open trained models that teach another one, by their names or folders.

    Raises:
        NotTrainedError: there is none.
        CheckpointError: a folder is damaged.
        ConfigError: they cannot answer together.
        DataError: one has not kept apart what the run is tested on.
    """
    found = data.found
    teachers = []
    for name in names:
        teacher, described = open_earlier(name)
        if found.reading is None:  # a user's files
            is_apart = teacher.config.trained_files == found.training_files()
        else:
            has_own_splits = teacher.config.data == found.name and not teacher.config.also_trained_on
            is_apart = has_own_splits or found.name in teacher.config.kept_apart
        if not is_apart:
            raise DataError(
                f"distillation.models: {described} learnt {teacher.config.data} and may know the test part of "
                f"{found.name}; give models that were trained on {found.name}, too"
            )
        teachers.append(teacher)
    if teachers:
        check_together(teachers)
    return teachers

"""From a recipe to a model and its report: the one way that training is done, evaluated and written down."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from nlp_lstm.artifacts import Precision, copy_model, read_config
from nlp_lstm.beginnings import open_beginning, open_context_model, read_earlier
from nlp_lstm.card import add_spread, joined_card, model_card
from nlp_lstm.data.catalogue import find_vectors
from nlp_lstm.data.overlap import ProtectedPairs, ProtectedTexts, remove_overlap, remove_pairs
from nlp_lstm.doctor import describe
from nlp_lstm.doctor_runs import examine_result, write_history
from nlp_lstm.ensembles import evaluate_ensemble
from nlp_lstm.errors import CheckpointError, ConfigError, DataError
from nlp_lstm.evaluation.report import Figure, Report
from nlp_lstm.evaluation.significance import mean_and_spread
from nlp_lstm.files import write_whole
from nlp_lstm.inference.opening import OpenModel, open_model
from nlp_lstm.joining import can_join, join_models
from nlp_lstm.opinions import OPINIONS_NAME
from nlp_lstm.reading_data import find_named, read_split
from nlp_lstm.recipes import Recipe, recipe_yaml
from nlp_lstm.run_data import RunData, read_run_data
from nlp_lstm.run_folders import RECIPE_NAME, STATUS_NAME, RunStatus, begin_run, read_status, write_status
from nlp_lstm.run_report import complete_report, current_commit
from nlp_lstm.tasks import Task, predict_examples, tasks
from nlp_lstm.text.tokenize import Tokenizer
from nlp_lstm.text.vectors import WordVectors
from nlp_lstm.training import TrainingResult
from nlp_lstm.training.loop import CHECKPOINT_NAME
from nlp_lstm.weights import own_weights, save_model
from nlp_lstm.workshop import Workshop, distil, make_say, network_baselines

MODEL_FOLDER = "model"
ENSEMBLE_FOLDER = "ensemble"


@dataclass(frozen=True, kw_only=True)
class RunResult:
    """What a run leaves.

    Args:
        folder: the run's folder, with report.html, metrics.json, recipe.yaml and model/.
        report: the evaluation on the test data, as far as it is at hand: figures, and after training sections.
        best_score: the best development score.
    """

    folder: Path
    report: Report
    best_score: float

    @property
    def scores(self) -> dict[str, float]:
        """The headline figures by name."""
        return {figure.name: figure.value for figure in self.report.figures}

    @property
    def model_folder(self) -> Path:
        """The trained model."""
        return self.folder / MODEL_FOLDER


def run_recipe(
    recipe: Recipe,
    folder: Path,
    *,
    data: Path | None = None,
    should_resume: bool = False,
    console: Console | None = None,
) -> RunResult:
    """Make a model: data, vocabularies, training, evaluation of the stored model, report.

    Args:
        recipe: how.
        folder: where everything goes.
        data: a user's own file or folder, instead of the recipe's data sets.
        should_resume: go on from the folder's checkpoint.
        console: where to print; None prints nothing.

    Raises:
        ConfigError: the folder is in use and ``should_resume`` is not set, or the recipe does not fit the data.
        DataError: the data or the vectors cannot be had, or are broken.
        CheckpointError: the checkpoint belongs to another run.
    """
    if folder.exists() and any(folder.iterdir()) and not should_resume:
        raise ConfigError(f"{folder} is not empty; choose another folder, or resume the run in it")
    say = make_say(console)
    run_data = read_run_data(recipe, data, say)
    vectors = load_recipe_vectors(recipe, say)
    task = tasks.get(recipe.task).prepare(recipe.model, run_data.training, vectors, say)
    for split, examples in (("dev", run_data.development), ("test", run_data.test)):
        for note in task.check_examples(examples, f"{run_data.found.name}, {split}"):
            say(f"note: {note}")
    take_models(task, recipe, say)
    Tokenizer(recipe.language)  # an unknown language fails now, not at the first text

    folder.mkdir(parents=True, exist_ok=True)
    if not (should_resume and any(folder.rglob(CHECKPOINT_NAME))):  # a recipe that does not fit changes nothing
        begin_run(folder, recipe, data)
    workshop = Workshop(
        recipe=recipe,
        folder=folder,
        data=run_data,
        vectors=vectors,
        earlier=[read_earlier(name) for name in (*recipe.init, *recipe.context, *recipe.distillation.models)],
        console=console,
        should_resume=should_resume,
    )
    training: Sequence[Any] = run_data.training
    rivals: dict[str, list[Any]] = {}
    if recipe.distillation.has_teachers:
        training, rivals = distil(workshop, task)
    result = workshop.train(task, training, recipe.training, "", recipe.task)
    report = _evaluate_run(workshop, task, result, rivals)
    write_status(folder, RunStatus(is_finished=True, data=data))
    for checkpoint in folder.rglob(CHECKPOINT_NAME):
        checkpoint.unlink()
    (folder / OPINIONS_NAME).unlink(missing_ok=True)
    return RunResult(folder=folder, report=report, best_score=result.best_score)


def _evaluate_run(
    workshop: Workshop, task: Task, result: TrainingResult, rivals: Mapping[str, Sequence[Any]]
) -> Report:
    """Store the model, evaluate what was stored, and write report and card."""
    recipe, folder, data, say = workshop.recipe, workshop.folder, workshop.data, workshop.say
    task.calibrate(result.model, data.development)
    documents = {"training.log": (folder / "training.log").read_text(encoding="utf-8")}
    _save(workshop, task, result.model, folder / MODEL_FOLDER, recipe.precision, documents)
    stored = open_model(folder / MODEL_FOLDER)
    rivals = dict(rivals)
    if recipe.baselines.words:
        say("baselines without a network")
        rivals |= task.baseline_predictions(data.training, data.development, data.test)
    rivals |= network_baselines(workshop)
    predictions = predict_examples(stored.task, stored.model, data.test)
    report = stored.task.report(
        data.test,
        predictions,
        title=f"{task.title}: {data.found.name}",
        subtitle=f"{data.found.title}, test split; trained in {result.seconds / 60:.1f} minutes",
        training=data.training,
        rivals=rivals,
    )
    examined = stored.task.examine(stored.model, data.test, predictions)
    report = dataclasses.replace(report, sections=[*report.sections, *examined])
    is_first_choice = data.found.name == recipe.data[0]  # other data may have other labels
    others = evaluate_others(recipe, stored, data, say) if is_first_choice else {}
    write_history(folder, result.history)
    findings = examine_result(recipe, data, task, workshop.vectors, result)
    for line in describe(findings):
        say(line)
    report = complete_report(
        report, recipe=recipe, data=data, result=result, facts=task.facts(), others=others, findings=findings
    )
    report.write(folder)
    documents["metrics.json"] = (folder / "metrics.json").read_text(encoding="utf-8")
    commit = current_commit()
    documents["README.md"] = model_card(workshop, task, report, others, result, commit)
    _save(workshop, task, result.model, folder / MODEL_FOLDER, recipe.precision, documents)
    return report


def load_finished_run(folder: Path) -> RunResult | None:
    """Return what an earlier, finished run left, or None.

    Raises:
        CheckpointError: its metrics.json is damaged.
    """
    if not (folder / STATUS_NAME).is_file() or not read_status(folder).is_finished:
        return None
    path = folder / "metrics.json"
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        report = Report(
            title=values["title"],
            task=values["task"],
            subtitle=values["subtitle"],
            lead=values["lead"],
            figures=[Figure(name=name, **figure) for name, figure in values["figures"].items()],
            metrics=values["metrics"],
        )
        return RunResult(folder=folder, report=report, best_score=float(values["metrics"]["development_score"]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"{path} is damaged ({error}); delete {folder} and run again") from error


def finish_run(recipe: Recipe, folder: Path, *, data: Path | None = None, console: Console | None = None) -> RunResult:
    """Return what a finished run left, or go on with one that was stopped, or begin it.

    Raises:
        ConfigError: what is in the folder was made by another recipe.
    """
    path = folder / RECIPE_NAME
    if path.is_file() and path.read_text(encoding="utf-8") != recipe_yaml(recipe):
        raise ConfigError(f"{folder} was trained by another recipe; choose another --output")
    finished = load_finished_run(folder)
    return finished or run_recipe(recipe, folder, data=data, should_resume=True, console=console)


def run_seeds(
    recipe: Recipe,
    folder: Path,
    *,
    num_seeds: int,
    data: Path | None = None,
    should_resume: bool = False,
    console: Console | None = None,
) -> RunResult:
    """Make the same model with several seeds, one after the other, and write down their mean and spread.

    Each run has a folder ``seed-N``; runs that are finished are not repeated when resuming. ``seeds.json`` holds the
    headline figures of all of them. Report and model are those of the run whose development score is the median; its
    card says the means, too. Where the models can answer together, the folder ``ensemble`` has the report on that; of
    taggers also the model that joins them.

    Returns:
        The whole, with the median run's report.
    """
    if folder.exists() and any(folder.iterdir()) and not should_resume:
        raise ConfigError(f"{folder} is not empty; choose another folder, or resume the run in it")
    folder.mkdir(parents=True, exist_ok=True)
    begin_run(folder, recipe, data, num_seeds)
    results: list[RunResult] = []
    figures: dict[str, list[float]] = {}
    for seed in range(recipe.training.seed, recipe.training.seed + num_seeds):
        seeded = recipe.model_copy(update={"training": recipe.training.model_copy(update={"seed": seed})})
        seed_folder = folder / f"seed-{seed}"
        result = load_finished_run(seed_folder) if should_resume else None
        if result is None:
            result = run_recipe(seeded, seed_folder, data=data, should_resume=should_resume, console=console)
        results.append(result)
        for name, value in result.scores.items():
            figures.setdefault(name, []).append(value)
    median = sorted(results, key=lambda result: result.best_score)[(num_seeds - 1) // 2]
    summary = {name: mean_and_spread(values) for name, values in figures.items()}
    scores = {name: {"mean": of.mean, "spread": of.spread, "values": figures[name]} for name, of in summary.items()}
    say = make_say(console)
    together = evaluate_ensemble(recipe, {result.folder.name: result.model_folder for result in results}, data, say)
    written = {"median": median.folder.name, "scores": scores}
    if together is not None:
        together.write(folder / ENSEMBLE_FOLDER)
        written["ensemble"] = {figure.name: figure.value for figure in together.figures}
        if can_join(open_model(median.model_folder)):
            card = (median.model_folder / "README.md").read_text(encoding="utf-8")
            card = joined_card(card, together.figures, read_config(median.model_folder).data, summary, num_seeds)
            figures_file = (folder / ENSEMBLE_FOLDER / "metrics.json").read_text(encoding="utf-8")
            documents = {"README.md": card, "metrics.json": figures_file}
            join_models([result.model_folder for result in results], folder / ENSEMBLE_FOLDER / MODEL_FOLDER, documents)
    write_whole(folder / "seeds.json", json.dumps(written, indent=1) + "\n")
    card = (median.model_folder / "README.md").read_text(encoding="utf-8")
    card = add_spread(card, median.report.figures, summary, num_seeds, together.figures if together else ())
    copy_model(median.model_folder, folder / MODEL_FOLDER, {"README.md": card})
    for name in ("report.html", "metrics.json"):
        write_whole(folder / name, (median.folder / name).read_text(encoding="utf-8"))
    write_status(folder, RunStatus(is_finished=True, data=data, num_seeds=num_seeds))
    for name, of in summary.items():
        say(f"{name}: mean {of.mean:.4f}, standard deviation {of.spread:.4f} over {num_seeds} seeds")
    for figure in together.figures if together else ():
        say(f"{figure.name}: {figure.display} by all {num_seeds} models together")
    return RunResult(folder=folder, report=median.report, best_score=median.best_score)


def take_models(task: Task, recipe: Recipe, say: Callable[[str], None]) -> None:
    """Give a prepared task the models that its recipe names: what it begins as, and what it reads besides.

    Raises:
        ConfigError: they do not fit the task.
    """
    if recipe.init:
        task.begin_as([open_beginning(name) for name in recipe.init], recipe.reading)
    if recipe.context:
        task.take_context([open_context_model(name) for name in recipe.context], say)


def load_recipe_vectors(recipe: Recipe, say: Callable[[str], None]) -> list[WordVectors]:
    """Load the pretrained vectors that a recipe names.

    Raises:
        DataError: they cannot be had.
    """
    holder, key = recipe.model, "model.vectors=[]"
    if hasattr(holder, "embedding"):
        holder, key = holder.embedding, "model.embedding.vectors=null"
    try:
        return [find_vectors(name, say=say) for name in getattr(holder, "vectors", None) or ()]
    except DataError as error:
        raise DataError(f"{error}. To train without pretrained vectors: {key}") from error


def evaluate_others(
    recipe: Recipe, stored: OpenModel, data: RunData, say: Callable[[str], None]
) -> dict[str, Sequence[Figure]]:
    """Return the figures on each of the recipe's further data sets that can be had.

    Texts that the model was trained on are left out of them.
    """
    others: dict[str, Sequence[Figure]] = {}
    for name in recipe.also_evaluate:
        try:
            found = find_named([name], recipe.reading, say)
            examples: Sequence[Any] = read_split(found, "test", recipe.reading, recipe.language)
            if stored.task.data_kind == "labelled":
                trained = ProtectedTexts({"training": (example.document.text for example in data.training)})
                examples, seen = remove_overlap(examples, trained)
                say(f"{name}: {seen.total():,} test texts left out, the model was trained on them")
            elif stored.task.data_kind == "parallel":
                examples, seen = remove_pairs(examples, ProtectedPairs({"training": data.training}))
                say(f"{name}: {seen.total():,} test pairs left out, the model was trained on them")
            predictions = predict_examples(stored.task, stored.model, examples)
            others[name] = stored.task.headlines(examples, predictions)
        except DataError as error:
            say(f"{name} is left out: {error}")
            continue
    return others


def _save(
    workshop: Workshop,
    task: Task,
    model: torch.nn.Module,
    folder: Path,
    precision: Precision,
    documents: Mapping[str, str] | None = None,
) -> None:
    recipe, data = workshop.recipe, workshop.data
    earlier = [model for model in workshop.earlier if not model.is_language_model]  # which has seen no labels
    own_files = data.found.training_files() if data.found.reading is None else {}  # None: one's own files
    names = dict.fromkeys((*data.names, *(name for model in earlier for name in model.data)))
    save_model(
        folder,
        task=recipe.task,
        language=recipe.language,
        data=data.found.name,
        also_trained_on=tuple(names)[1:],
        kept_apart=data.kept_apart,
        trained_files=_learnt_files([own_files, *(model.config.trained_files for model in earlier)]),
        reading=recipe.reading,
        model_settings=task.settings,
        vocabulary=task.vocabulary(),
        vocabulary_files=task.vocabulary_files(),
        weights=own_weights(model),
        precision=precision,
        documents=documents,
    )


def _learnt_files(parts: Sequence[Mapping[str, tuple[str, ...]]]) -> dict[str, tuple[str, ...]]:
    """Return the sha256 of the files that any part was trained on, with the splits that all of them kept out."""
    learnt: dict[str, tuple[str, ...]] = {}
    for part in parts:
        for digest, kept_out in part.items():
            learnt[digest] = tuple(split for split in learnt.get(digest, kept_out) if split in kept_out)
    return learnt

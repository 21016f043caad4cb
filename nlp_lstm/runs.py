"""From a recipe to a model and its report: the one way that training is done, evaluated and written down."""

from __future__ import annotations

import dataclasses
import json
import platform
import statistics
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from nlp_lstm import __version__
from nlp_lstm.artifacts import ModelConfig, load_model, load_weights, save_model
from nlp_lstm.card import model_card
from nlp_lstm.data.catalogue import FoundData, find_data, find_vectors, open_files
from nlp_lstm.errors import CheckpointError, DataError, NlpLstmError
from nlp_lstm.evaluation.report import Figure, Report, Section, Table
from nlp_lstm.evaluation.sections import data_section, environment_section, history_section, recipe_section
from nlp_lstm.recipes import Recipe, recipe_yaml
from nlp_lstm.run_folders import STATUS_NAME, RunStatus, begin_run, read_status, write_status
from nlp_lstm.settings import parse_settings
from nlp_lstm.tasks import Task, predict_examples, tasks
from nlp_lstm.text.vectors import WordVectors
from nlp_lstm.training import TrainingResult, train
from nlp_lstm.training.loop import CHECKPOINT_NAME

MODEL_FOLDER = "model"


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


@dataclass(frozen=True, kw_only=True)
class OpenModel:
    """A model that is ready to predict: its task, its network in evaluation mode, and its config.json."""

    task: Task
    model: torch.nn.Module
    config: ModelConfig


@dataclass(frozen=True, kw_only=True)
class RunData:
    """The examples of a run and where they came from."""

    found: FoundData
    training: Sequence[Any]
    development: Sequence[Any]
    test: Sequence[Any]


def run_recipe(
    recipe: Recipe,
    folder: Path,
    *,
    data: Path | None = None,
    should_resume: bool = False,
    console: Console | None = None,
) -> RunResult:
    """Make a model: data, vocabularies, training, evaluation on the stored model, report.

    Args:
        recipe: how.
        folder: where everything goes.
        data: a user's own file or folder, instead of the recipe's data sets.
        should_resume: go on from the folder's checkpoint.
        console: where to print; None prints nothing.
    """
    say = _make_say(console)
    folder.mkdir(parents=True, exist_ok=True)
    if not (should_resume and (folder / CHECKPOINT_NAME).is_file()):  # a recipe that does not fit changes nothing
        begin_run(folder, recipe, data)
    run_data = read_run_data(recipe, data, say)
    task_type = tasks.get(recipe.task)
    vectors = load_recipe_vectors(recipe, say)
    task = task_type.prepare(recipe.model, run_data.training, vectors, say)
    facts = task.facts()
    result = train(
        task,
        run_data.training,
        run_data.development,
        recipe.training,
        folder,
        should_resume=should_resume,
        console=console,
        description=recipe.task,
    )
    model_folder = folder / MODEL_FOLDER
    documents = {"training.log": (folder / "training.log").read_text(encoding="utf-8")}
    _save(recipe, task, result, run_data.found.name, model_folder, documents)
    opened = open_model(model_folder)
    task, model = opened.task, opened.model

    predictions = predict_examples(task, model, run_data.test)
    rivals = task.baseline_predictions(run_data.training, run_data.test)
    if recipe.baselines.window_tokens:
        rivals["window of five words, no recurrence"] = _window_baseline(recipe, run_data, vectors, folder, console)
    found = run_data.found
    report = task.report(
        run_data.test,
        predictions,
        title=f"{task.title}: {found.name}",
        subtitle=f"{found.title}, test split; trained in {result.seconds / 60:.1f} minutes",
        training=run_data.training,
        rivals=rivals,
    )
    is_first_choice = data is None and found.name == recipe.data[0]  # other data may have other labels
    others = evaluate_others(recipe, task, model, say) if is_first_choice else {}
    sections = [
        *report.sections,
        *([Section(title="Other data, never trained on", blocks=[_others_table(others)])] if others else []),
        history_section(result.history),
        data_section(
            found.name,
            found.source,
            found.licence or "not known",
            found.sha256,
            {
                "train": f"{len(run_data.training):,} examples",
                "dev": f"{len(run_data.development):,} examples",
                "test": f"{len(run_data.test):,} examples",
                **{name: str(value) for name, value in facts.items()},
            },
        ),
        environment_section(environment_facts(result)),
        recipe_section(recipe_yaml(recipe)),
    ]
    metrics = {
        **report.metrics,
        "data": {"name": found.name, "source": found.source, "sha256": dict(found.sha256)},
        "preparation": facts,
        "development_score": result.best_score,
        "training_seconds": round(result.seconds, 1),
        "training_tokens": result.tokens,
        "others": {name: [dataclasses.asdict(figure) for figure in figures] for name, figures in others.items()},
        "environment": environment_facts(result),
    }
    report = dataclasses.replace(report, sections=sections, metrics=metrics)
    report.write(folder)
    documents |= {
        "metrics.json": (folder / "metrics.json").read_text(encoding="utf-8"),
        "README.md": model_card(recipe, task, found, report, others, vectors, result, _commit()),
    }
    _save(recipe, task, result, run_data.found.name, model_folder, documents)
    write_status(folder, RunStatus(is_finished=True, data=data))
    (folder / "checkpoint.safetensors").unlink(missing_ok=True)
    return RunResult(folder=folder, report=report, best_score=result.best_score)


def load_finished_run(folder: Path) -> RunResult | None:
    """Return what an earlier, finished run left, or None."""
    if not (folder / STATUS_NAME).is_file() or not read_status(folder).is_finished:
        return None
    values = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    figures = [Figure(name=name, value=figure["value"]) for name, figure in values["figures"].items()]
    report = Report(title=values["title"], task=values["task"], figures=figures, metrics=values["metrics"])
    return RunResult(folder=folder, report=report, best_score=values["metrics"]["development_score"])


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
    headline figures of all of them.

    Returns:
        The run whose development score is the median: the one to ship.
    """
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
    summary = {
        name: {"mean": statistics.fmean(values), "spread": statistics.pstdev(values), "values": values}
        for name, values in figures.items()
    }
    text = json.dumps({"median": median.folder.name, "scores": summary}, indent=1)
    (folder / "seeds.json").write_text(text + "\n", encoding="utf-8")
    write_status(folder, RunStatus(is_finished=True, data=data, num_seeds=num_seeds))
    say = _make_say(console)
    for name, values in summary.items():
        say(f"{name}: mean {values['mean']:.4f}, spread {values['spread']:.4f} over {num_seeds} seeds")
    return median


def read_run_data(recipe: Recipe, data: Path | None, say: Callable[[str], None]) -> RunData:
    """Find and read the data of a run."""
    found = open_files(data) if data is not None else find_data(recipe.data, say=say)
    for note in found.notes:
        say(f"note: {note}")
    parts = {split: found.read(split) for split in ("train", "dev", "test")}
    say(f"{found.name}: " + ", ".join(f"{len(examples):,} {split}" for split, examples in parts.items()))
    return RunData(found=found, training=parts["train"], development=parts["dev"], test=parts["test"])


def load_recipe_vectors(recipe: Recipe, say: Callable[[str], None]) -> list[WordVectors]:
    """Load the pretrained vectors that a recipe names."""
    embedding = getattr(recipe.model, "embedding", None)
    return [find_vectors(name, say=say) for name in (embedding.vectors if embedding else None) or ()]


def open_model(folder: Path) -> OpenModel:
    """Open a model folder.

    Raises:
        CheckpointError: the folder is damaged or not a model.
    """
    stored = load_model(folder)
    try:
        task_type = tasks.get(stored.config.task)
        settings = parse_settings(task_type.settings_type, stored.config.model, "config.json: model")
        task = task_type.from_vocabulary(settings, stored.vocabulary)
        with torch.device("meta"):
            model = task.build_model()
    except (NlpLstmError, RuntimeError, TypeError, OverflowError) as error:  # torch's own on absurd sizes
        raise CheckpointError(f"{folder}: {error}") from error
    load_weights(model, stored)
    return OpenModel(task=task, model=model.eval(), config=stored.config)


def evaluate_others(
    recipe: Recipe, task: Task, model: torch.nn.Module, say: Callable[[str], None]
) -> dict[str, Sequence[Figure]]:
    """Evaluate on the recipe's further data sets, as far as they can be had."""
    others: dict[str, Sequence[Figure]] = {}
    for name in recipe.also_evaluate:
        try:
            examples = find_data([name], say=say).read("test")
        except DataError as error:
            say(f"{name} is left out: {error}")
            continue
        report = task.report(examples, predict_examples(task, model, examples), title=name)
        others[name] = [figure for figure in report.figures if figure.name.startswith("Accuracy")][:1]
    return others


def environment_facts(result: TrainingResult) -> dict[str, str]:
    """Return versions, machine, time and memory for the report."""
    return {
        "nlp_lstm": __version__,
        "commit": _commit(),
        "Python": platform.python_version(),
        "torch": torch.__version__,
        "system": f"{platform.system()} {platform.machine()}",
        "processor threads": str(torch.get_num_threads()),
        "training precision": "bf16" if result.used_bf16 else "fp32",
        "training time": f"{result.seconds:.0f} s for {result.tokens:,} tokens",
        "peak memory": _peak_memory(),
    }


def _window_baseline(
    recipe: Recipe, run_data: RunData, vectors: Sequence[WordVectors], folder: Path, console: Console | None
) -> list[Any]:
    """Train the same network with a fixed window instead of recurrence, and return its test predictions."""
    settings = recipe.model.model_copy(update={"encoder": "window"})
    task = tasks.get(recipe.task).prepare(settings, run_data.training, vectors)
    schedule = recipe.training.model_copy(
        update={"tokens": min(recipe.baselines.window_tokens, recipe.training.tokens), "evaluations": 2}
    )
    result = train(
        task,
        run_data.training,
        run_data.development,
        schedule,
        folder / "window",
        console=console,
        description="baseline without recurrence",
    )
    (folder / "window" / "checkpoint.safetensors").unlink(missing_ok=True)
    return predict_examples(task, result.model, run_data.test)


def _save(
    recipe: Recipe, task: Task, result: TrainingResult, data: str, folder: Path, documents: dict[str, str]
) -> None:
    save_model(
        folder,
        task=recipe.task,
        language=recipe.language,
        data=data,
        model_settings=recipe.model,
        vocabulary=task.vocabulary(),
        weights=result.model.state_dict(),
        precision=recipe.precision,
        documents=documents,
    )


def _others_table(others: dict[str, Sequence[Figure]]) -> Table:
    rows = [
        [name, figure.name, figure.display, figure.interval_text, figure.sample_size]
        for name, figures in others.items()
        for figure in figures
    ]
    return Table(columns=["Data set", "Measure", "Value", "95 % interval", "Tokens"], rows=rows)


def _make_say(console: Console | None) -> Callable[[str], None]:
    def say(line: str) -> None:
        if console is not None:
            console.print(line, highlight=False, markup=False, soft_wrap=True)

    return say


def _commit() -> str:
    """The commit of the checkout that runs, or a dash outside one."""
    root = Path(__file__).resolve().parent.parent
    if not (root / ".git").exists():
        return "-"
    try:
        answer = subprocess.run(
            ["git", "describe", "--always", "--dirty"], cwd=root, capture_output=True, text=True, timeout=10, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return "-"
    return answer.stdout.strip()


def _peak_memory() -> str:
    """The largest memory that this process has held, where the system tells."""
    try:
        import resource
    except ImportError:  # Windows has no such module
        return "-"
    unit = 2**30 if platform.system() == "Darwin" else 2**20
    return f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit:.1f} GiB"

"""Which recurrent cell is best at what: every cell on three tasks, at equal parameters and equal training time.

Each cell gets the hidden size with which the whole network has as many parameters as the recipe's LSTM, and as many
tokens as it sees in the minutes given, on one thread (measured by a short training of its own; scoring the development
data is not counted). First every cell is trained once per task, then the LSTM, the vanilla RNN and the best three, by
their mean rank on the development data, with further seeds. The test data is reported and chooses nothing.

    pos         UPOS accuracy              4 minutes
    sentiment   accuracy, SST-2            3 minutes
    lm          perplexity, WikiText-2     8 minutes

A contest that was stopped goes on where it was; finished models are not trained again. The output folder gets
report.html and metrics.json.

    python benchmarks/cell_contest.py                          # three hours on two cores
    python benchmarks/cell_contest.py --workers 16 --tasks pos sentiment
    python benchmarks/cell_contest.py --cells lstm gru --seeds 1 --share 0.1
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import scipy.stats
from budgets import tokens_of_minutes
from rich.console import Console
from script import run_script

from nlp_lstm.errors import ConfigError, NlpLstmError
from nlp_lstm.evaluation.report import Cell, Figure, Report, Section, Table
from nlp_lstm.files import write_whole
from nlp_lstm.nn.settings import cells
from nlp_lstm.recipes import Recipe, load_recipe
from nlp_lstm.run_data import read_run_data
from nlp_lstm.runs import finish_run, load_finished_run, load_recipe_vectors
from nlp_lstm.tasks import tasks

MINUTES = {"pos": 4.0, "sentiment": 3.0, "lm": 8.0}
ALWAYS = ("lstm", "rnn")  # have all seeds, whatever their rank
NUM_BEST = 3
HIDDEN_STEP = 4  # every cell's hidden size is a multiple of this; the blocks have four cells each
SIZED_EXAMPLES = 200
SMALL = (
    "baselines.tokens=0",
    "baselines.words=false",
    "also_evaluate=[]",
    "training.threads=1",
    "training.evaluations=4",
)


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A model of the contest.

    Args:
        task: the recipe's name.
        cell: of its recurrent layers.
        seed: of the training.
        minutes: that it took, with the scoring of the development data.
        hidden: units of each direction.
        tokens: that it was trained on.
        development: the score that chooses; higher is better.
        test: the recipe's headline figure on the test split.
    """

    task: str
    cell: str
    seed: int
    minutes: float
    hidden: int
    tokens: int
    development: float
    test: Figure


def main() -> None:
    """Train what is missing, compare, and write the report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", nargs="+", default=list(MINUTES), choices=list(MINUTES), help="default: all")
    parser.add_argument("--cells", nargs="+", default=sorted(cells), choices=sorted(cells), help="default: all")
    parser.add_argument("--seeds", type=int, default=3, help="models of the best cells in each task")
    parser.add_argument("--share", type=float, default=1.0, help="of the minutes")
    parser.add_argument("--workers", type=int, default=max(1, (os.cpu_count() or 1)), help="trainings at a time")
    parser.add_argument("--output", type=Path, default=Path("runs/cell-contest"))
    parser.add_argument("--entry", nargs=3, metavar=("TASK", "CELL", "SEED"), help="train only this one")
    parser.add_argument("overrides", nargs="*", help="changes to every recipe, such as training.precision=fp32")
    arguments = parser.parse_intermixed_args()
    console = Console()
    if arguments.entry:
        task, cell, seed = arguments.entry
        train_entry(task, cell, int(seed), arguments, console)
        return
    check_settings(arguments)
    entries = train_all(arguments, console)
    report = make_report(entries, arguments)
    report.write(arguments.output)
    for row in contest_table(entries).text_rows:
        console.print("  ".join(row), highlight=False)
    console.print(f"report: {arguments.output / 'report.html'}", highlight=False)


def check_settings(arguments: argparse.Namespace) -> None:
    """Keep what all models of the output folder have in common.

    Raises:
        ConfigError: it holds models of other settings.
    """
    path = arguments.output / "settings.json"
    settings = json.dumps({"share": arguments.share, "overrides": arguments.overrides}) + "\n"
    if path.is_file() and path.read_text(encoding="utf-8") != settings:
        raise ConfigError(f"{path} has another share or other changes; take another --output")
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, settings)


def train_all(arguments: argparse.Namespace, console: Console) -> list[Entry]:
    """Train what is not trained yet, each model in a process of its own, and return what all of them reached.

    The slowest tasks begin, so that the last processes end about together.
    """
    slowest_first = sorted(arguments.tasks, key=lambda task: -MINUTES[task])
    further = range(2, arguments.seeds + 1)
    running: dict[tuple[str, str, int], Future[None]] = {}

    def train_one(task: str, cell: str, seed: int) -> None:
        if seed > 1:
            running[task, cell, 1].result()  # it finds out for how many tokens all seeds train
        folder = entry_folder(arguments.output, task, cell, seed)
        if load_finished_run(folder) is not None:
            return
        folder.parent.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, __file__, *arguments.overrides, "--entry", task, cell, str(seed)]
        command += ["--share", str(arguments.share), "--output", str(arguments.output)]
        with folder.with_suffix(".log").open("a", encoding="utf-8") as log:
            ended = subprocess.run(
                command, stdout=log, stderr=log, check=False, env={**os.environ, "OMP_NUM_THREADS": "1"}
            )
        if ended.returncode:
            trouble = f"{task} with {cell}, seed {seed} ended with {ended.returncode}; see {log.name}"
            console.print(trouble, highlight=False)  # now; the others go on, and then it ends the contest
            raise NlpLstmError(trouble)
        console.print(f"{task}, {cell}, seed {seed}", highlight=False)

    def begin(wanted_cells: Iterable[str], seeds: Iterable[int]) -> None:
        for task, seed, cell in itertools.product(slowest_first, seeds, sorted(wanted_cells)):
            running[task, cell, seed] = pool.submit(train_one, task, cell, seed)

    with ThreadPoolExecutor(arguments.workers) as pool:
        always = set(ALWAYS) & set(arguments.cells)
        begin(arguments.cells, [1])
        firsts = list(running)
        begin(always, further)
        for key in firsts:
            running[key].result()
        begin(set(by_rank([read_entry(*key, arguments.output) for key in firsts])[:NUM_BEST]) - always, further)
    for one in running.values():
        one.result()
    return [read_entry(*key, arguments.output) for key in running]


def train_entry(task: str, cell: str, seed: int, arguments: argparse.Namespace, console: Console) -> None:
    """Train one model: as many parameters as the recipe's LSTM, as many tokens as fit into the minutes."""
    folder = entry_folder(arguments.output, task, cell, seed)
    overrides = [*arguments.overrides, *SMALL, f"model.cell={cell}", f"training.seed={seed}"]
    hidden = equal_hidden(load_recipe(task, overrides))
    overrides.append(f"model.hidden={hidden}")
    kept = arguments.output / task / f"{cell}.json"  # the seeds of a cell train for as many tokens
    tokens = tokens_of_minutes(load_recipe(task, overrides), MINUTES[task] * arguments.share, kept)
    recipe = load_recipe(task, [*overrides, f"training.tokens={tokens}", "training.epochs=0"])
    console.print(f"{hidden} units, {tokens:,} tokens", highlight=False)
    finish_run(recipe, folder, console=console)


def equal_hidden(recipe: Recipe) -> int:
    """Return the hidden size with which the recipe's cell needs as many parameters as the LSTM at the recipe's size."""
    examples = read_run_data(recipe, None, lambda line: None).training[:SIZED_EXAMPLES]
    vectors = load_recipe_vectors(recipe, lambda line: None)

    def count(cell: str, hidden: int) -> int:
        settings = recipe.model.model_copy(update={"cell": cell, "hidden": hidden})
        model = tasks.get(recipe.task).prepare(settings, examples, vectors).build_model()
        return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)

    wanted = count("lstm", recipe.model.hidden)
    low, high = HIDDEN_STEP, 8 * recipe.model.hidden
    while high - low > HIDDEN_STEP:
        middle = (low + high) // (2 * HIDDEN_STEP) * HIDDEN_STEP
        low, high = (middle, high) if count(recipe.model.cell, middle) <= wanted else (low, middle)
    return min(low, high, key=lambda hidden: abs(count(recipe.model.cell, hidden) - wanted))


def entry_folder(output: Path, task: str, cell: str, seed: int) -> Path:
    """Return where a model's run is."""
    return output / task / f"{cell}-{seed}"


def read_entry(task: str, cell: str, seed: int, output: Path) -> Entry:
    """Return what a finished run reached."""
    folder = entry_folder(output, task, cell, seed)
    recipe = load_recipe(str(folder / "recipe.yaml"), [])
    result = finish_run(recipe, folder)
    return Entry(
        task=task,
        cell=cell,
        seed=seed,
        minutes=result.report.metrics["training_seconds"] / 60,
        hidden=recipe.model.hidden,
        tokens=result.report.metrics["training_tokens"],
        development=result.best_score,
        test=result.report.figures[0],
    )


def by_rank(entries: Sequence[Entry]) -> list[str]:
    """Return the cells from best to worst, by the mean of their ranks on the tasks' development data."""
    return sorted({entry.cell for entry in entries}, key=lambda cell: (mean_rank(cell, entries), cell))


def mean_rank(cell: str, entries: Sequence[Entry]) -> float:
    """Return a cell's rank on development data with the first seed, 1 the best, as the mean over the tasks."""
    firsts = [entry for entry in entries if entry.seed == 1]
    return statistics.fmean(
        1 + sum(other.development > entry.development for other in firsts if other.task == entry.task)
        for entry in firsts
        if entry.cell == cell
    )


def mean_interval(values: Sequence[float]) -> tuple[float, float]:
    """Return the 95 % interval of the mean over seeds, by Student's t."""
    mean, error = statistics.fmean(values), scipy.stats.sem(values)
    half = float(scipy.stats.t.ppf(0.975, len(values) - 1) * error)
    return mean - half, mean + half


def contest_table(entries: Sequence[Entry]) -> Table:
    """Show each cell's mean rank and its figures on every task."""
    named = {
        task: next(entry.test for entry in entries if entry.task == task)
        for task in MINUTES
        if any(entry.task == task for entry in entries)
    }
    rows: list[list[Cell]] = []
    for cell in by_rank(entries):
        row: list[Cell] = [cell, f"{mean_rank(cell, entries):.1f}"]
        for task in named:
            found = [entry for entry in entries if (entry.task, entry.cell) == (task, cell)]
            row += [str(found[0].hidden), f"{found[0].tokens / 1e6:.2f}", show_scores(found)]
        rows.append(row)
    columns = ["Cell", "Mean rank"]
    for task, figure in named.items():
        columns += [f"{task}: units", "M tokens", figure.name]
    note = (
        "Ranks: on development data, first seed. Figures: test split, mean over the seeds; in brackets the 95 % "
        "interval of the mean over the seeds (Student's t)."
    )
    return Table(columns=columns, rows=rows, note=note)


def show_scores(found: Sequence[Entry]) -> str:
    """Return the mean of a figure over the seeds, with its interval where there are several."""
    scale = 100 if found[0].test.is_share else 1
    values = [scale * entry.test.value for entry in found]
    shown = f"{statistics.fmean(values):.2f}"
    if len(values) > 1:
        shown += " ({:.2f} to {:.2f})".format(*mean_interval(values))
    return shown


def make_report(entries: Sequence[Entry], arguments: argparse.Namespace) -> Report:
    """Return the contest as a report."""
    order = by_rank(entries)
    return Report(
        title="Cells at equal parameters and equal time",
        task="cells",
        subtitle=f"{arguments.workers} trainings at a time, one thread each",
        lead=f"Best by mean rank on development data: {', '.join(order[:NUM_BEST])}.",
        figures=[],
        sections=[Section(title="Cells", blocks=[contest_table(entries)])],
        metrics={
            "order": order,
            "entries": [
                {
                    "task": entry.task,
                    "cell": entry.cell,
                    "seed": entry.seed,
                    "minutes": entry.minutes,
                    "hidden": entry.hidden,
                    "tokens": entry.tokens,
                    "development": entry.development,
                    entry.test.name: entry.test.value,
                }
                for entry in entries
            ],
        },
    )


if __name__ == "__main__":
    run_script(main)

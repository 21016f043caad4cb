"""What pretraining gives: the same task with and without it, from few labels to all, over several seeds.

Every model is trained by its recipe; with 5 and 20 % of the labelled sentences for a shorter time, a few minutes each.
The two forms of a model are compared on the same test sentences, each form as the mean over its seeds, by a paired
bootstrap over the sentences.

A run that was stopped goes on where it was; finished models are not trained again. The output folder gets report.html
and metrics.json.

    python benchmarks/transfer.py pos --with "init=[bilm-en]"
    python benchmarks/transfer.py sentiment --with "init=[bilm-en-sentiment]"
"""

from __future__ import annotations

import argparse
import itertools
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from script import run_script

from nlp_lstm.evaluation.report import Figure, Report, Section, Table
from nlp_lstm.evaluation.sections import recipe_section
from nlp_lstm.evaluation.significance import PairedResult, paired_bootstrap
from nlp_lstm.inference.opening import open_model
from nlp_lstm.reading_data import read_test
from nlp_lstm.recipes import Recipe, load_recipe, recipe_yaml
from nlp_lstm.runs import finish_run
from nlp_lstm.tasks import predict_examples

SMALL = ("baselines.tokens=0", "baselines.words=false")  # what the comparison does without


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Two forms of a model that learnt the same labels.

    Args:
        share: of the labelled sentences that was learnt.
        without: accuracy of each seed's model without pretraining.
        with_it: the same with pretraining.
        paired: the difference of the two means.
        minutes: the longest training.
    """

    share: float
    without: list[float]
    with_it: list[float]
    paired: PairedResult
    minutes: float


def main() -> None:
    """Train what is missing, compare, and write the report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe", help="pos, sentiment, or another recipe of their tasks")
    parser.add_argument("overrides", nargs="*", help="changes to both forms, such as training.threads=1")
    parser.add_argument("--with", dest="pretrained", action="append", required=True, help="a change: what is compared")
    parser.add_argument("--shares", type=float, nargs="+", default=[0.05, 0.2, 1.0], help="of the labels")
    parser.add_argument(
        "--lengths",
        type=float,
        nargs="+",
        default=[0.2, 0.4, 1.0],
        help="for each of the shares the training, as a share of the recipe's; below 1 to its end, however often seen",
    )
    parser.add_argument("--seeds", type=int, default=3, help="models of each form")
    parser.add_argument("--output", type=Path, help="default runs/transfer-RECIPE")
    arguments = parser.parse_args()
    output = arguments.output or Path("runs") / f"transfer-{Path(arguments.recipe).stem}"
    console = Console()
    if len(arguments.lengths) != len(arguments.shares):
        parser.error(f"{len(arguments.shares)} shares and {len(arguments.lengths)} lengths; give as many of both")
    lengths = zip(arguments.shares, arguments.lengths, strict=True)
    comparisons = [compare(arguments, share, length, output, console) for share, length in lengths]
    recipe = load_recipe(arguments.recipe, [*arguments.overrides, *SMALL, *arguments.pretrained])
    report = make_report(recipe, comparisons, arguments.pretrained)
    report.write(output)
    for row in _table(comparisons).text_rows:
        console.print("  ".join(row), highlight=False)
    console.print(f"report: {output / 'report.html'}")


def compare(arguments: argparse.Namespace, share: float, length: float, output: Path, console: Console) -> Comparison:
    """Train both forms on a share of the labels with every seed, for a share of the time, and compare them."""
    accuracies: dict[str, list[float]] = {}
    correct: dict[str, list[list[float]]] = {}
    minutes = 0.0
    totals: list[int] = []
    forms = {"with": arguments.pretrained, "without": []}
    for seed, (form, changes) in itertools.product(range(1, arguments.seeds + 1), forms.items()):
        recipe = load_recipe(
            arguments.recipe, [*SMALL, *arguments.overrides, *changes, f"share={share}", f"training.seed={seed}"]
        )
        if length < 1:
            shorter = {"tokens": round(recipe.training.tokens * length), "epochs": 0}
            recipe = recipe.model_copy(update={"training": recipe.training.model_copy(update=shorter)})
        folder = output / f"{share:g}-{form}-{seed}"
        console.print(f"{100 * share:g} % of the labels, {form} pretraining, seed {seed}", highlight=False)
        result = finish_run(recipe, folder, console=console)
        minutes = max(minutes, result.report.metrics["training_seconds"] / 60)
        right, totals = score(recipe, result.model_folder)
        correct.setdefault(form, []).append(right)
        accuracies.setdefault(form, []).append(sum(right) / sum(totals))
    means = {form: [statistics.fmean(values) for values in zip(*rows, strict=True)] for form, rows in correct.items()}
    return Comparison(
        share=share,
        without=accuracies["without"],
        with_it=accuracies["with"],
        paired=paired_bootstrap(means["with"], means["without"], totals, resamples=10_000),
        minutes=minutes,
    )


def score(recipe: Recipe, folder: Path) -> tuple[list[float], list[int]]:
    """Return how many labels of each test text a model has right, and of how many."""
    stored = open_model(folder)
    _, test = read_test(recipe, None)
    predictions = predict_examples(stored.task, stored.model, test)
    if stored.task.data_kind == "labelled":
        pairs = zip(test, predictions, strict=True)
        return [float(prediction.label == example.label) for example, prediction in pairs], [1] * len(test)
    column = stored.task.main_column  # type: ignore[attr-defined]
    right = [
        float(sum(map(str.__eq__, example.labels[column], prediction.labels[column])))
        for example, prediction in zip(test, predictions, strict=True)
    ]
    return right, [len(example.document) for example in test]


def make_report(recipe: Recipe, comparisons: Sequence[Comparison], changes: Sequence[str]) -> Report:
    """Return the comparison as a report."""
    figures = [
        Figure(
            name=f"Gain with {100 * found.share:g} % of the labels",
            value=found.paired.difference,
            interval=found.paired.interval,
            is_share=True,
            decimals=2,
            note=f"p = {found.paired.p_value:.4f}",
        )
        for found in comparisons
    ]
    return Report(
        title=f"Transfer: {recipe.task}",
        task=recipe.task,
        subtitle=f"with {', '.join(changes)} and without, test split of {recipe.data[0]}",
        figures=figures,
        sections=[
            Section(title="With and without pretraining", blocks=[_table(comparisons)]),
            recipe_section(recipe_yaml(recipe)),
        ],
        metrics={
            "comparisons": [
                {
                    "share": found.share,
                    "without": found.without,
                    "with": found.with_it,
                    "difference": found.paired.difference,
                    "interval": list(found.paired.interval),
                    "p_value": found.paired.p_value,
                    "longest_training_minutes": found.minutes,
                }
                for found in comparisons
            ]
        },
    )


def _table(comparisons: Sequence[Comparison]) -> Table:
    rows = [
        [
            f"{100 * found.share:g} %",
            _percent(found.without),
            _percent(found.with_it),
            f"{100 * found.paired.difference:+.2f}",
            f"{100 * found.paired.interval[0]:+.2f} to {100 * found.paired.interval[1]:+.2f}",
            f"{found.paired.p_value:.4f}",
            f"{found.minutes:.1f}",
        ]
        for found in comparisons
    ]
    columns = ["Labels", "Without", "With", "Difference", "95 % interval", "p", "Longest training, minutes"]
    note = (
        "Accuracy in percent, mean over the seeds (each seed in brackets); intervals and p by 10,000 paired resamples."
    )
    return Table(columns=columns, rows=rows, note=note)


def _percent(values: Sequence[float]) -> str:
    return f"{100 * statistics.fmean(values):.2f} ({', '.join(f'{100 * value:.2f}' for value in values)})"


if __name__ == "__main__":
    run_script(main)

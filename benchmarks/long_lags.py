"""How far back each cell can learn to look: the classic long-lag problems at growing lengths, with several seeds.

Each net is one layer of a cell and a linear output, trained until its error on sequences never trained on is small
enough (adding: mean squared error 1e-3; copy and parentheses: 1 % wrong answers) or the steps are used up. A cell goes
on to the next length as long as some seed has solved the last one. All cells get the same steps and learning rates; of
several rates the first that solves it is taken.

Each net that is trained is written down at once, so the same command goes on where it was stopped. The output folder
gets report.html and metrics.json.

    python benchmarks/long_lags.py                                   # some minutes on one core
    python benchmarks/long_lags.py --problems copy parentheses --cells rnn lstm sru
    python benchmarks/long_lags.py --lengths 100 200 400 --steps 20_000
"""

from __future__ import annotations

import argparse
import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from nlp_lstm.evaluation import plots
from nlp_lstm.evaluation.report import Block, Figure, Plot, Report, Section, Table
from nlp_lstm.files import write_whole
from nlp_lstm.nn.long_lags import PROBLEMS
from nlp_lstm.nn.settings import cells
from nlp_lstm.training.long_lags import LagResult, LagSettings, train_on_lags

RESULTS_NAME = "results.json"


class Record:
    """The results so far, in a file that has each as soon as it is there.

    Args:
        path: the file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._results: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}

    def result(self, settings: LagSettings) -> LagResult:
        """Return an earlier result of the same settings, or train."""
        key = json.dumps(dataclasses.asdict(settings), sort_keys=True)
        if key not in self._results:
            self._results[key] = dataclasses.asdict(train_on_lags(settings))
            self.path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(self.path, json.dumps(self._results, indent=1) + "\n")
        return LagResult(**self._results[key])


def main(arguments: Sequence[str] | None = None) -> None:
    """Train what is missing, and write the report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--problems", nargs="+", default=["adding"], choices=list(PROBLEMS))
    parser.add_argument("--cells", nargs="+", default=["rnn", "gru", "lstm"], choices=list(cells))
    parser.add_argument("--lengths", nargs="+", type=int, default=[10, 30, 60], help="steps of a sequence, ascending")
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3])
    parser.add_argument("--steps", type=_number, default=2_000, help="steps of training, at most")
    parser.add_argument("--hidden", type=int, default=32, help="features of the hidden state")
    parser.add_argument("--rates", nargs="+", type=float, default=[0.01], help="learning rates that are tried")
    parser.add_argument("--threads", type=int, default=1, help="threads of torch")
    parser.add_argument("--output", type=Path, default=Path("runs/long-lags"))
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    console, record = Console(), Record(options.output / RESULTS_NAME)
    found: dict[tuple[str, str, int], list[LagResult]] = {}
    for problem in options.problems:
        for cell in options.cells:
            for length in sorted(options.lengths):
                results = found[problem, cell, length] = []
                for seed in options.seeds:
                    results.append(best_of_rates(record, options, problem, cell, length, seed))
                    console.print(describe(problem, cell, length, seed, results[-1]), highlight=False, soft_wrap=True)
                if not any(result.is_solved for result in results):
                    break
    report = make_report(options, found)
    console.print(report.summary(), highlight=False, markup=False)
    console.print(f"report: {report.write(options.output)}", highlight=False, soft_wrap=True)


def best_of_rates(
    record: Record, options: argparse.Namespace, problem: str, cell: str, length: int, seed: int
) -> LagResult:
    """Return the result of the first learning rate that solves the problem, or else the one of smallest error."""
    results: list[LagResult] = []
    for rate in options.rates:
        settings = LagSettings(
            problem=problem,
            cell=cell,
            length=length,
            seed=seed,
            hidden=options.hidden,
            steps=options.steps,
            learning_rate=rate,
        )
        results.append(record.result(settings))
        if results[-1].is_solved:
            return results[-1]
    return min(results, key=lambda result: result.error)


def describe(problem: str, cell: str, length: int, seed: int, result: LagResult) -> str:
    """Return one line on one net."""
    verdict = f"solved after {result.steps:,} steps" if result.is_solved else f"not solved in {result.steps:,} steps"
    return (
        f"{problem:<12} {cell:<10} length {length:>4}  seed {seed}  {verdict}, error {result.error:.2g}, "
        f"{result.seconds:.0f} s, gradient over {length - 1} steps × {result.vanished:.2g}"
    )


def make_report(options: argparse.Namespace, found: dict[tuple[str, str, int], list[LagResult]]) -> Report:
    """Return the report: the longest length that each cell solves, and everything behind it."""
    figures, sections = [], []
    for problem in options.problems:
        rows: list[list[str | int | float | None]] = []
        curves: dict[str, list[tuple[float, float]]] = {}
        for cell in options.cells:
            by_length = {length: results for (p, c, length), results in found.items() if (p, c) == (problem, cell)}
            solved = [length for length, results in by_length.items() if all(one.is_solved for one in results)]
            figures.append(
                Figure(
                    name=f"{problem}: {cell} solves up to",
                    value=float(max(solved, default=0)),
                    text=f"{max(solved)} steps" if solved else "none of the lengths",
                    note=f"with all of {len(options.seeds)} seeds",
                )
            )
            curves[cell] = [
                (float(length), sum(one.error for one in results) / len(results))
                for length, results in by_length.items()
            ]
            for length, results in by_length.items():
                good = [one for one in results if one.is_solved]
                rows.append(
                    [
                        cell,
                        length,
                        f"{len(good)} of {len(results)}",
                        ", ".join(f"{one.error:.2g}" for one in results),
                        ", ".join(f"{one.steps:,}" for one in results),
                        ", ".join(f"{one.vanished:.1g}" for one in results),
                    ]
                )
        about = PROBLEMS[problem]
        columns = ["Cell", "Length", "Seeds that solve it", f"Error ({about.error_name})", "Steps", "Gradient left"]
        blocks: list[Block] = [
            Table(
                columns=columns,
                rows=rows,
                note=f"Solved at an error of {about.solved_at:g}. Gradient left: after training, the norm of the last "
                "output's gradient to the first input beside that to the last.",
            ),
            Plot(
                title="Mean error",
                svg=plots.line_plot(
                    {cell: [(x, max(y, 1e-9)) for x, y in points] for cell, points in curves.items()},
                    title=f"{problem}: error by length",
                    x_label="length (steps)",
                    y_label=about.error_name,
                    log_y=True,
                ),
            ),
        ]
        sections.append(Section(title=problem.capitalize(), blocks=blocks))
    return Report(
        title="Long lags",
        task="long-lags",
        subtitle=f"one layer of {options.hidden} units, {options.steps:,} steps of 32 sequences at most",
        lead="How long a sequence may be for a cell to learn what depends on its beginning.",
        figures=figures,
        sections=sections,
        metrics={
            f"{problem}/{cell}/{length}": [dataclasses.asdict(result) for result in results]
            for (problem, cell, length), results in found.items()
        },
    )


def _number(text: str) -> int:
    return int(text.replace("_", ""))


if __name__ == "__main__":
    main()

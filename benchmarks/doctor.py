"""How many faults the doctor finds, and how often it cries wolf: seeded faults and sound runs over three tasks.

The thresholds of `nlp_lstm/doctor` are fixed on one half of the cases: tags of EWT and sentiment of SST-2. The figures
that count are those of the other half: tags of Brown, types of questions, and English to French, a task that the first
half does not have.

A fault of the data is put into data that is otherwise sound, and the data is examined; a fault of a network or of its
training is put into a training of some minutes at most, and data and network are examined after it. It counts as found
only under its own name. A sound run is a training on data as it is; any finding is a false alarm.

Each case is written down at once, so the same command goes on where it was stopped. The output folder gets report.html
and metrics.json.

    python benchmarks/doctor.py [--half fixed judged] [--cases "ewt: "] [--output runs/doctor]
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import doctor_faults as faults
import torch
from doctor_faults import DATA_FAULTS, Parts
from rich.console import Console
from scipy.stats import binomtest

from nlp_lstm.data.catalogue import find_data
from nlp_lstm.data.reading import ParallelSettings
from nlp_lstm.doctor import examine_data, examine_training
from nlp_lstm.evaluation.report import Figure, Report, Section, Table
from nlp_lstm.files import write_whole
from nlp_lstm.recipes import Recipe, load_recipe
from nlp_lstm.tasks import Task, tasks
from nlp_lstm.training import train

RESULTS_NAME = "cases.json"
SMALL = (
    "model.embedding.vectors=null",
    "model.hidden=100",
    "model.layers=1",
    "training.epochs=0",
    "training.evaluations=4",
    "training.threads=1",
    "training.warmup_steps=20",
    "training.average_decay=0.98",
)
SMALL_CLASSIFIER = (*SMALL, "model.embedding.words=learned", "model.embedding.min_count=1", "model.phrases=apart")
SMALL_TRANSLATOR = (
    "reading.target=fr",
    "model.vocabulary=2_000",
    "model.hidden=128",
    "model.embed=96",
    "training.epochs=0",
    "training.evaluations=2",
    "training.threads=1",
    "training.warmup_steps=50",
    "training.learning_rate=4e-3",
    "training.average_decay=0.98",
)
OVERFIT = ("model.dropout=0", "training.learning_rate=5e-3", "training.batch_tokens=500")
INPUTS_KEPT = {
    "tagged": "model.input_dropout=0",
    "labelled": "model.input_dropout=0",
    "parallel": "model.embedding_dropout=0",
}
EXPLODE = ("model.cell=rnn", "training.learning_rate=3", "training.clip_norm=1e9", "training.warmup_steps=0")


@dataclass(frozen=True, kw_only=True)
class Source:
    """Sound data with a recipe that learns it in a minute or two.

    Args:
        kind: of the examples.
        recipe: name of the recipe.
        overrides: what makes it small.
        data: name in the catalogue.
        sizes: examples of train, dev and test that are drawn.
        tokens: how long it trains.
    """

    kind: str
    recipe: str
    overrides: Sequence[str]
    data: str
    sizes: tuple[int, int, int]
    tokens: int


SOURCES = {
    "ewt": Source(
        kind="tagged",
        recipe="pos",
        overrides=SMALL,
        data="ud-english-ewt",
        sizes=(3_000, 500, 500),
        tokens=250_000,
    ),
    "sst2": Source(
        kind="labelled",
        recipe="sentiment",
        overrides=SMALL_CLASSIFIER,
        data="sst2",
        sizes=(4_000, 500, 500),
        tokens=250_000,
    ),
    "brown": Source(
        kind="tagged",
        recipe="pos",
        overrides=SMALL,
        data="brown",
        sizes=(3_000, 500, 500),
        tokens=250_000,
    ),
    "questions": Source(
        kind="labelled",
        recipe="questions",
        overrides=SMALL_CLASSIFIER,
        data="trec-questions",
        sizes=(4_000, 500, 500),
        tokens=200_000,
    ),
    "tatoeba": Source(
        kind="parallel",
        recipe="translate",
        overrides=SMALL_TRANSLATOR,
        data="tatoeba-manythings",
        sizes=(4_000, 300, 300),
        tokens=500_000,
    ),
}
HALVES = {"fixed": ("ewt", "sst2"), "judged": ("brown", "questions", "tatoeba")}


@dataclass(frozen=True, kw_only=True)
class Case:
    """One examination.

    Args:
        source: name of the data.
        name: of the case.
        fault: what is to be found; empty for a sound run.
        spoil: puts a fault into the data.
        overrides: put one into the training.
        change: puts one into the network.
        size: training examples that are left; 0 for all.
    """

    source: str
    name: str
    fault: str = ""
    spoil: Callable[[Parts], Parts] | None = None
    overrides: Sequence[str] = ()
    change: Callable[[Task], None] | None = None
    size: int = 0

    @property
    def full_name(self) -> str:
        return f"{self.source}: {self.name}"


def main(arguments: Sequence[str] | None = None) -> None:
    """Examine every case that is not examined yet, and write the report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--half", nargs="+", choices=list(HALVES), default=list(HALVES))
    parser.add_argument("--cases", default="", help="only those whose names begin with this")
    parser.add_argument("--output", type=Path, default=Path("runs/doctor"))
    options = parser.parse_args(arguments)
    console = Console()
    path = options.output / RESULTS_NAME
    done: dict[str, list[str]] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    chosen = [case for half in options.half for source in HALVES[half] for case in cases_of(source)]
    chosen = [case for case in chosen if case.full_name.startswith(options.cases)]
    for number, case in enumerate(chosen, start=1):
        if case.full_name not in done:
            done[case.full_name] = examine(case)
            options.output.mkdir(parents=True, exist_ok=True)
            write_whole(path, json.dumps(done, indent=1) + "\n")
        found = done[case.full_name]
        verdict = "right" if is_right(case, found) else "WRONG"
        console.print(
            f"{number}/{len(chosen)} {verdict}  {case.full_name}, {case.fault or 'sound'}: {', '.join(found) or '-'}",
            highlight=False,
            soft_wrap=True,
        )
    report = make_report(chosen, done)
    console.print(report.summary(), highlight=False, markup=False)
    console.print(f"report: {report.write(options.output)}", highlight=False, soft_wrap=True)


def is_right(case: Case, found: Sequence[str]) -> bool:
    """Whether a fault was found under its name, or nothing was found in a sound run."""
    return case.fault in found if case.fault else not found


# ---- the cases


def cases_of(source: str) -> list[Case]:
    """Return all cases of a data set."""
    kind = SOURCES[source].kind
    data = [Case(source=source, name=spoil.__name__, fault=fault, spoil=spoil) for fault, spoil in DATA_FAULTS[kind]]
    data.append(Case(source=source, name="german_texts", fault="mixed languages", spoil=faults.german_words(german())))
    return [*data, *_training_faults(source, kind), *_sound_runs(source, kind)]


def _training_faults(source: str, kind: str) -> list[Case]:
    def case(name: str, fault: str, *overrides: str, **changes: Any) -> Case:
        return Case(source=source, name=name, fault=fault, overrides=overrides, **changes)

    few = {"tagged": 150, "labelled": 200, "parallel": 150}[kind]
    overfit = (*OVERFIT, INPUTS_KEPT[kind])
    units = ("model.hidden=1",) if kind != "parallel" else ("model.hidden=2", "model.embed=2")
    found = [
        case("learning rate far too small", "high training loss", "training.learning_rate=1e-6"),
        case("hardly any units", "high training loss", *units),
        case("few texts, no dropout", "overfitting", *overfit, size=few),
        case("few texts, no dropout, many units", "overfitting", *overfit, "model.hidden=400", size=few),
        case("rate far too high, gradients not cut", "exploding gradients", *EXPLODE),
        case("padding counts", "loss on what does not matter", change=faults.padding_counts),
        case("input gates stay open", "dead gates", change=faults.gates_fixed("input gate", 40.0)),
        case("forget gates stay open", "dead gates", change=faults.gates_fixed("forget gate", 40.0)),
    ]
    if kind != "parallel":  # of translators the memory is not recorded
        found.append(case("memory shut", "vanishing gradients", change=faults.memory_shut))
    return found


def _sound_runs(source: str, kind: str) -> list[Case]:
    def case(name: str, *overrides: str) -> Case:
        return Case(source=source, name=f"sound, {name}", overrides=overrides)

    found = [
        case("as the recipe says"),
        case("another seed", "training.seed=2"),
        case("GRU", "model.cell=gru"),
        case("two layers", "model.layers=2"),
    ]
    if kind != "parallel":
        found.append(case("peephole LSTM", "model.cell=peephole"))
    if source in ("ewt", "sst2"):
        found.append(case("half the units", "model.hidden=50"))
    return found


# ---- the examination


def examine(case: Case) -> list[str]:
    """Return the names of the faults that the doctor finds."""
    source = SOURCES[case.source]
    parts = sound_parts(case.source)
    if case.size:
        parts = parts | {"train": parts["train"][: case.size]}
    if case.spoil is not None:
        parts = case.spoil(parts)
    column = "upos" if source.kind == "tagged" else ""
    target = "fr" if source.kind == "parallel" else ""
    findings = examine_data(source.kind, parts, column=column, target_language=target)
    if case.spoil is None:
        findings += _train_and_examine(case, parts)
    return list(dict.fromkeys(finding.fault for finding in findings))


def _train_and_examine(case: Case, parts: Parts) -> list[Any]:
    recipe = _recipe(case)
    torch.manual_seed(recipe.training.seed)
    torch.set_num_threads(1)
    task = tasks.get(recipe.task).prepare(recipe.model, parts["train"], [], lambda line: None)
    if case.change is not None:
        case.change(task)
    with tempfile.TemporaryDirectory(prefix="doctor-") as folder:
        result = train(task, parts["train"], parts["dev"], recipe.training, Path(folder))
    return examine_training(
        task, result.model, parts["train"], parts["dev"], result.history, recipe.training, result.tokens
    )


def _recipe(case: Case) -> Recipe:
    source = SOURCES[case.source]
    return load_recipe(source.recipe, [*source.overrides, f"training.tokens={source.tokens}", *case.overrides])


@lru_cache(maxsize=1)
def sound_parts(name: str) -> Parts:
    """Return the examples of a data set, drawn from all its splits."""
    source = SOURCES[name]
    recipe = load_recipe(source.recipe, source.overrides)
    found = find_data([source.data], reading=recipe.reading)
    reading = recipe.reading
    if source.kind == "labelled":
        reading = reading.model_copy(update={"phrases": False})
    splits = found.read_splits(("train", "dev", "test"), reading, recipe.language)
    parts = {}
    for split, size in zip(splits, source.sizes, strict=True):
        examples = list(splits[split])
        parts[split] = faults.split_examples(examples, (min(size, len(examples)), 0, 0))["train"]
    if source.kind == "tagged":
        parts = faults.change_all(parts, lambda one: faults.retag(one, one.labels["upos"]))
    return parts


@lru_cache(maxsize=1)
def german() -> list[str]:
    """Return German sentences."""
    pair = ParallelSettings(source="en", target="de")
    return [one.target for one in find_data(["multi30k"], reading=pair).read("train", pair)]


# ---- the report


def make_report(cases: Sequence[Case], done: dict[str, list[str]]) -> Report:
    """Return recall and false alarms of each half, and every case."""
    figures, sections, metrics = [], [], {}
    for half, sources in HALVES.items():
        of_half = [case for case in cases if case.source in sources]
        for name, group in (
            ("faults found", [case for case in of_half if case.fault]),
            ("sound runs with an alarm", [case for case in of_half if not case.fault]),
        ):
            if not group:
                continue
            right = sum(is_right(case, done[case.full_name]) for case in group)
            count = right if name == "faults found" else len(group) - right
            interval = binomtest(count, len(group)).proportion_ci(method="wilson")
            what = "thresholds fixed here" if half == "fixed" else "judged"
            figures.append(
                Figure(
                    name=f"{name[0].upper()}{name[1:]}, {half} half",
                    value=count / len(group),
                    interval=(interval.low, interval.high),
                    is_share=True,
                    decimals=1,
                    sample_size=len(group),
                    sample_unit="cases",
                    note=what,
                )
            )
            metrics[f"{half}: {name}"] = {"count": count, "of": len(group)}
        rows = [
            [case.source, case.name, case.fault or "sound", ", ".join(done[case.full_name]) or "-"] for case in of_half
        ]
        if rows:
            table = Table(columns=["Data", "Case", "Fault", "Found"], rows=rows)
            sections.append(Section(title=f"The {half} half", blocks=[table]))
    return Report(title="Doctor", task="doctor", figures=figures, sections=sections, metrics=metrics)


if __name__ == "__main__":
    main()

"""The report of a run: the evaluation, and how the model came about."""

from __future__ import annotations

import dataclasses
import platform
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

from nlp_lstm import __version__
from nlp_lstm.data.running import RunningText
from nlp_lstm.doctor import Finding, doctor_section
from nlp_lstm.evaluation.report import Cell, Figure, Report, Section, Table
from nlp_lstm.evaluation.sections import (
    data_section,
    environment_section,
    history_section,
    memory_section,
    recipe_section,
)
from nlp_lstm.output import peak_memory
from nlp_lstm.recipes import Recipe, recipe_yaml
from nlp_lstm.run_data import RunData
from nlp_lstm.training import TrainingResult


def complete_report(
    report: Report,
    *,
    recipe: Recipe,
    data: RunData,
    result: TrainingResult,
    facts: Mapping[str, str],
    others: Mapping[str, Sequence[Figure]],
    findings: Sequence[Finding],
) -> Report:
    """Return the evaluation with everything about the run added to it.

    Args:
        report: the evaluation on the test data.
        recipe: of the run.
        data: of the run.
        result: of the training.
        facts: of the preparation, such as the coverage of the vectors.
        others: figures on data never trained on, by data set.
        findings: of the doctor.
    """
    found = data.found
    sizes = {"train": data.training, "dev": data.development, "test": data.test}
    shown = {split: f"{len(examples):,} examples" for split, examples in sizes.items()}
    environment = environment_facts(result)
    sections = [
        *report.sections,
        *([Section(title="Other data, never trained on", blocks=[_others_table(others)])] if others else []),
        doctor_section(findings),
        history_section(result.history),
        *([memory] if (memory := memory_section(result.history)) else []),
        *([_removal_section(data)] if data.removed else []),
        data_section(found.name, found.source, found.licence or "not known", found.sha256, {**shown, **facts}),
        environment_section(environment),
        recipe_section(recipe_yaml(recipe)),
    ]
    metrics = {
        **report.metrics,
        "data": {"name": found.name, "source": found.source, "sha256": dict(found.sha256)},
        "also_trained_on": {other.name: dict(other.sha256) for other in data.sources[1:]},
        "left_out_of_training": {name: dict(counts) for name, counts in data.removed.items()},
        "preparation": dict(facts),
        "doctor": [dataclasses.asdict(finding) for finding in findings],
        "development_score": result.best_score,
        "training_seconds": round(result.seconds, 1),
        "training_tokens": result.tokens,
        "others": {name: [dataclasses.asdict(figure) for figure in figures] for name, figures in others.items()},
        "environment": environment,
    }
    return dataclasses.replace(report, sections=sections, metrics=metrics)


def environment_facts(result: TrainingResult) -> dict[str, str]:
    """Return versions, machine, time and memory."""
    return {
        "nlp_lstm": __version__,
        "commit": current_commit(),
        "Python": platform.python_version(),
        "torch": torch.__version__,
        "system": f"{platform.system()} {platform.machine()}",
        "processor threads": str(torch.get_num_threads()),
        "training precision": "bf16" if result.used_bf16 else "fp32",
        "training time": f"{result.seconds:.0f} s for {result.tokens:,} tokens, development evaluations included",
        "peak memory": _peak_memory(),
    }


def current_commit() -> str:
    """Return the commit of the checkout that runs, or a dash outside one."""
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


def _others_table(others: Mapping[str, Sequence[Figure]]) -> Table:
    rows = [
        [name, figure.name, figure.display, figure.interval_text, figure.sample_size]
        for name, figures in others.items()
        for figure in figures
    ]
    return Table(columns=["Data set", "Measure", "Value", "95 % interval", "n"], rows=rows)


def _removal_section(data: RunData) -> Section:
    """Say which training texts were left out because dev or test data has them."""
    rows: list[list[Cell]] = []
    for name, counts in data.removed.items():
        places = ", ".join(f"{place} ({count:,})" for place, count in counts.most_common())
        rows.append([name, data.sizes[name], counts.total(), places or "–"])
    rule = (
        "A pair is left out when a side of it equals that of a dev or test pair after dropping case, accents, "
        "punctuation and spaces."
        if data.found.kind == "parallel" and not isinstance(data.training, RunningText)
        else "A sentence is left out when it equals one that is held out after dropping case, accents, punctuation and "
        "spaces."
        if data.found.kind == "parallel"
        else "A text is left out when it equals a dev or test text after dropping case, punctuation and brackets, or "
        "shares over 80 % of its sequences of five characters with one."
    )
    note = f"{rule} Checked against: {', '.join(data.kept_apart)}."
    table = Table(columns=["Data set", "Training texts", "Left out", "In"], rows=rows, note=note)
    return Section(title="Kept apart from dev and test", blocks=[table])


def _peak_memory() -> str:
    """The largest memory that this process has held, where the system tells."""
    found = peak_memory()
    return f"{found / 2**30:.1f} GiB" if found else "-"

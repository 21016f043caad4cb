"""What the doctor finds: a fault, the evidence for it, and a remedy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from nlp_lstm.evaluation.report import Section, Table, TextBlock

_SOUND = "The doctor found nothing wrong."

Fault: TypeAlias = Literal[
    "wrong problem shape",
    "loss on what does not matter",
    "high training loss",
    "overfitting",
    "exploding gradients",
    "vanishing gradients",
    "dead gates",
    "shuffled labels",
    "leaked labels",
    "duplicates between splits",
    "class imbalance",
    "vocabulary coverage",
    "mixed languages",
]


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One fault.

    Args:
        fault: its name.
        evidence: what was measured, with numbers, and where that is known the file or the text.
        remedy: what to do, settings by their names.
    """

    fault: Fault
    evidence: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.fault}: {self.evidence} Remedy: {self.remedy}"


def doctor_section(findings: Sequence[Finding]) -> Section:
    """Return what a run's report says of them."""
    if not findings:
        return Section(title="Doctor", blocks=[TextBlock(text=_SOUND)])
    rows = [[finding.fault, finding.evidence, finding.remedy] for finding in findings]
    return Section(title="Doctor", blocks=[Table(columns=["Fault", "Evidence", "Remedy"], rows=rows)])


def describe(findings: Sequence[Finding]) -> list[str]:
    """Return the lines that a terminal shows."""
    return [f"doctor: {finding}" for finding in findings] or [f"doctor: {_SOUND}"]

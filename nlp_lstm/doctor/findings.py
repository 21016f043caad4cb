"""What the doctor finds: a fault, the evidence for it, and a remedy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

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

"""The reports of runs: which there are, and their pages. No request names a file; the reports are looked for here."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from nlp_lstm.serving.page.markup import box, escape, note

MOST_REPORTS = 200
DEEPEST = 3  # folders below the one that is looked through
LARGEST = 20_000_000  # bytes of a report
SHOWN_FIGURES = 3
_REPORT, _METRICS = "report.html", "metrics.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunReport:
    """The report of a run.

    Args:
        name: its folder, from the one that was looked through.
        path: of ``report.html``.
        title: what was done.
        subtitle: with what.
        figures: the headline numbers, each with its name.
        day: when it was written.
    """

    name: str
    path: Path
    title: str
    subtitle: str
    figures: tuple[tuple[str, str], ...]
    day: str


class Reports:
    """The reports below a folder.

    Args:
        folder: such as ``runs``; None shows none.
    """

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder

    def find(self) -> list[RunReport]:
        """Return the reports, the newest first."""
        found = sorted(self._paths(), key=lambda item: -item[1])[:MOST_REPORTS]
        return [self._read(path, changed) for path, changed in found]

    def content(self, name: str) -> bytes | None:
        """Return the page of a report; None where none of that name is found."""
        for path, _ in self._paths():
            if self._name(path) == name:
                try:
                    return path.read_bytes()
                except OSError:
                    return None
        return None

    def _paths(self) -> Iterator[tuple[Path, float]]:
        """Yield the reports with the time of their last change. Links are not followed."""
        if self.folder is None:
            return
        for place, folders, files in os.walk(self.folder):
            here = Path(place)
            folders[:] = sorted(folders) if len(here.relative_to(self.folder).parts) < DEEPEST else []
            path = here / _REPORT
            if _REPORT not in files or path.is_symlink():
                continue
            try:
                facts = path.stat()
            except OSError:  # it went while we looked
                continue
            if facts.st_size <= LARGEST:
                yield path, facts.st_mtime

    def _name(self, path: Path) -> str:
        return path.parent.relative_to(self.folder or path).as_posix()

    def _read(self, path: Path, changed: float) -> RunReport:
        values = _metrics(path.with_name(_METRICS))
        figures = values.get("figures")
        shown = [
            (str(name), str(figure.get("text", "")))
            for name, figure in (figures.items() if isinstance(figures, dict) else ())
            if isinstance(figure, dict)
        ]
        name = self._name(path)
        return RunReport(
            name=name,
            path=path,
            title=str(values.get("title") or name),
            subtitle=str(values.get("subtitle") or ""),
            figures=tuple(shown[:SHOWN_FIGURES]),
            day=time.strftime("%Y-%m-%d", time.localtime(changed)),
        )


def _metrics(path: Path) -> dict[str, Any]:
    """Return what stands beside a report; nothing where it cannot be read."""
    try:
        if path.is_symlink() or path.stat().st_size > LARGEST:
            return {}
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return values if isinstance(values, dict) else {}


def show_reports(found: Sequence[RunReport]) -> str:
    """Show the reports as a list; each is unfolded by a click."""
    if not found:
        return box(note("There are no reports yet: each run of “nlp-lstm run” leaves one."))
    return box(*map(_report, found))


def _report(report: RunReport) -> str:
    address = f"reports/{quote(report.name, safe='/')}"
    figures = "".join(f"<span>{escape(name)} <b>{escape(text)}</b></span>" for name, text in report.figures)
    below = f"{report.subtitle} · {report.day}" if report.subtitle else report.day
    return (
        f'<details class="nl-report"><summary><b>{escape(report.title)}</b><small>{escape(below)}</small>'
        f'<span class="nl-figures">{figures}</span></summary>'
        f'<p><a href="{escape(address)}" target="_blank" rel="noopener">Open it alone</a></p>'
        f'<iframe src="{escape(address)}" loading="lazy" title="{escape(report.title)}"></iframe></details>'
    )

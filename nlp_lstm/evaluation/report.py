"""The report: headline figures, sections of blocks, one HTML page and one JSON file.

    report.html    reads without a network and without scripts, on a phone, in the dark and on paper
    metrics.json   the same numbers for programs

Every task fills the same model: a `Report` has `Figure`s (cards on top) and `Section`s; a section has blocks,
each a `TextBlock`, `Table`, `Plot`, `CodeBlock`, `MarkedText` or `ShadedText`. All text is escaped by the template;
the only markup taken as it is are the plots' own SVG elements.
"""

from __future__ import annotations

import dataclasses
import json
import math
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, TypeAlias

from nlp_lstm.errors import DataError, shorten
from nlp_lstm.files import write_whole

Cell: TypeAlias = str | int | float | None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Figure:
    """One headline number.

    Attributes:
        name: such as "Accuracy".
        value: the number itself; a share in [0, 1] where ``is_share``.
        text: the number as people read it; made from ``value`` when left out.
        interval: lower and upper end in the unit of ``value``, of the 95 % interval.
        sample_size: number of items behind it.
        sample_unit: what the items are, such as "tokens".
        note: a few words more.
        is_share: shown in percent.
        decimals: digits after the point, for ``value`` and the interval.
    """

    name: str
    value: float
    text: str | None = None
    interval: tuple[float, float] | None = None
    sample_size: int | None = None
    sample_unit: str = ""
    note: str = ""
    is_share: bool = False
    decimals: int = 1

    @property
    def display(self) -> str:
        """The value as text."""
        return self.text if self.text is not None else self._format(self.value) + (" %" if self.is_share else "")

    @property
    def interval_text(self) -> str:
        """The interval as text, such as ``96.0–96.6 %``, or an empty string."""
        if self.interval is None:
            return ""
        return "–".join(map(self._format, self.interval)) + (" %" if self.is_share else "")

    @property
    def sample_text(self) -> str:
        """The sample size as text, such as ``25,094 tokens``, or an empty string."""
        return "" if self.sample_size is None else f"{self.sample_size:,} {self.sample_unit}".strip()

    def _format(self, value: float) -> str:
        return f"{value * 100 if self.is_share else value:,.{self.decimals}f}"


@dataclasses.dataclass(frozen=True, kw_only=True)
class TextBlock:
    """Paragraphs, separated by an empty line."""

    text: str
    kind: ClassVar[str] = "text"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Table:
    """Rows of cells. Columns of numbers are aligned to the right."""

    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    title: str = ""
    note: str = ""
    kind: ClassVar[str] = "table"

    def __post_init__(self) -> None:
        for number, row in enumerate(self.rows, start=1):
            if len(row) != len(self.columns):
                raise DataError(
                    f"table {shorten(self.title)}: row {number} has {len(row)} cells for {len(self.columns)} columns"
                )

    @property
    def text_rows(self) -> list[list[str]]:
        """The cells as people read them."""
        return [[format_cell(cell) for cell in row] for row in self.rows]

    @property
    def is_numeric(self) -> list[bool]:
        """For each column, whether all its cells are numbers."""
        columns = zip(*self.text_rows, strict=True) if self.rows else [()] * len(self.columns)
        return [
            bool(column) and all(re.fullmatch(r"(?:[<>≈±−+–\-\d., %()]|\bto\b)+", cell) for cell in column)
            for column in columns
        ]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Plot:
    """One plot as an ``<svg>`` element (see `plots`)."""

    svg: str
    title: str = ""
    note: str = ""
    kind: ClassVar[str] = "plot"

    def __post_init__(self) -> None:
        if not self.svg.startswith("<svg") or re.search(r"<script|<foreignObject|\son\w+\s*=", self.svg, re.I):
            raise DataError(f"plot {shorten(self.title)} is not a plain <svg> element; make it with evaluation.plots")


@dataclasses.dataclass(frozen=True, kw_only=True)
class CodeBlock:
    """Text shown as it is, such as a recipe."""

    code: str
    title: str = ""
    kind: ClassVar[str] = "code"


@dataclasses.dataclass(frozen=True, kw_only=True)
class MarkedToken:
    """A word in context. ``tip`` stands under a marked word, such as ``NOUN → VERB``."""

    text: str
    is_wrong: bool = False
    is_focus: bool = False
    tip: str = ""


@dataclasses.dataclass(frozen=True, kw_only=True)
class MarkedLine:
    """One stretch of text with a remark before it, such as a score."""

    tokens: Sequence[MarkedToken]
    remark: str = ""


@dataclasses.dataclass(frozen=True, kw_only=True)
class MarkedText:
    """Examples in context, with what is wrong in them marked."""

    lines: Sequence[MarkedLine]
    title: str = ""
    note: str = ""
    kind: ClassVar[str] = "marked"


@dataclasses.dataclass(frozen=True, kw_only=True)
class ShadedToken:
    """A piece of running text on a background as strong as ``shade``, from 0 (none) to 1.

    ``tip`` says what the shade means, such as ``12.3 bits``.
    """

    text: str
    shade: float = 0.0
    tip: str = ""

    def __post_init__(self) -> None:
        if not 0 <= self.shade <= 1:
            raise DataError(f"{shorten(self.text)} has shade {self.shade}; it must lie between 0 and 1")


@dataclasses.dataclass(frozen=True, kw_only=True)
class ShadedText:
    """Running text whose tokens are shaded one by one; ``is_spaced`` puts a space between them."""

    lines: Sequence[Sequence[ShadedToken]]
    title: str = ""
    note: str = ""
    is_spaced: bool = True
    kind: ClassVar[str] = "shaded"


Block: TypeAlias = TextBlock | Table | Plot | CodeBlock | MarkedText | ShadedText


@dataclasses.dataclass(frozen=True, kw_only=True)
class Section:
    """A titled part of the report."""

    title: str
    blocks: Sequence[Block]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Report:
    """What was measured, for people and for programs.

    Attributes:
        title: such as "Part-of-speech tagging".
        task: the task's name, such as "pos".
        subtitle: model and data in a few words.
        lead: the result in a plain sentence or two.
        figures: the headline numbers.
        sections: everything else; may be empty.
        metrics: all numbers, as plain values.
    """

    title: str
    task: str
    subtitle: str = ""
    lead: str = ""
    figures: Sequence[Figure] = ()
    sections: Sequence[Section] = ()
    metrics: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return what ``metrics.json`` holds, as plain JSON values; numbers that are not finite become null."""
        shown = ("value", "interval", "sample_size", "sample_unit", "note", "is_share", "decimals")
        figures = {f.name: {"text": f.display} | {key: getattr(f, key) for key in shown} for f in self.figures}
        names = {"task": self.task, "title": self.title, "subtitle": self.subtitle, "lead": self.lead}
        return {**names, "figures": _plain(figures), "metrics": _plain(self.metrics)}

    def summary(self) -> str:
        """Return title, lead and figures as plain text for a terminal."""
        head = [" · ".join(filter(None, (self.title, self.subtitle)))]
        head += [self.lead] if self.lead else []
        rows = [["", "score", "95 % interval", "n", ""]]
        rows += [[f.name, f.display, f.interval_text, f.sample_text, f.note] for f in self.figures]
        used = [column for column in zip(*rows, strict=True) if any(column[1:])]
        lines = [_pad_row(row, used) for row in zip(*used, strict=True)]
        return "\n".join([*head, *([""] if lines else []), *lines])

    def to_html(self) -> str:
        """Return the whole page."""
        import jinja2

        from nlp_lstm.evaluation.plots import prefix_ids

        loader = jinja2.FileSystemLoader(Path(__file__).with_name("templates"))
        environment = jinja2.Environment(
            loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
        )
        return environment.get_template("report.html.j2").render(report=self, prefix_ids=prefix_ids)

    def write(self, folder: str | os.PathLike[str]) -> Path:
        """Write ``metrics.json`` and ``report.html`` into ``folder``, each whole or not at all.

        Returns:
            The path of ``report.html``.
        """
        target = Path(folder)
        target.mkdir(parents=True, exist_ok=True)
        write_whole(target / "metrics.json", format_json(self.to_dict()) + "\n")
        return write_whole(target / "report.html", self.to_html())

    def __str__(self) -> str:
        return self.summary()


def format_share(share: float | None, decimals: int = 1) -> str:
    """Return a share in [0, 1] in percent, ``96.3 %``, or a dash for ``None``."""
    return "–" if share is None else f"{100 * share:.{decimals}f} %"


def format_cell(cell: Cell) -> str:
    """Return a table cell as people read it: thousands apart, four digits, a dash for nothing."""
    if cell is None:
        return "–"
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    if isinstance(cell, int):
        return f"{cell:,}"
    return f"{cell:.4g}" if isinstance(cell, float) else str(cell)


def format_json(value: Any, indent: str = "") -> str:
    """Return JSON with sorted keys that keeps lists of numbers and short values on one line."""
    flat = json.dumps(value, ensure_ascii=False, sort_keys=True, allow_nan=False)
    is_simple = isinstance(value, list) and not any(isinstance(item, (list, dict)) for item in value)
    if is_simple or not value or not isinstance(value, (list, dict)) or len(indent) + len(flat) <= 100:
        return flat
    deeper = indent + "  "
    if isinstance(value, list):
        parts = [deeper + format_json(item, deeper) for item in value]
        return "[\n" + ",\n".join(parts) + f"\n{indent}]"
    parts = [
        f"{deeper}{json.dumps(key, ensure_ascii=False)}: {format_json(value[key], deeper)}" for key in sorted(value)
    ]
    return "{\n" + ",\n".join(parts) + f"\n{indent}}}"


def _plain(value: Any) -> Any:
    """Turn mappings, sequences, dataclasses, paths and numpy scalars into what JSON knows."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = dataclasses.asdict(value)
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, Path):
        return str(value)
    if hasattr(value, "item"):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _pad_row(row: Sequence[str], columns: Sequence[Sequence[str]]) -> str:
    """Align one row of text: the first column and a column of notes to the left, numbers to the right."""
    widths = [max(map(len, column)) for column in columns]
    cells = [
        text.rjust(width) if column[0] else text.ljust(width)
        for text, width, column in zip(row, widths, columns, strict=True)
    ]
    return "  ".join(cells).rstrip()

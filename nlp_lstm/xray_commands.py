"""The commands `nlp-lstm xray …`: looking into trained models, and the lecture's drawings."""

from __future__ import annotations

import json
import sys
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from typer.core import TyperGroup

from nlp_lstm.errors import ConfigError
from nlp_lstm.files import write_whole


class _ModelByDefault(TyperGroup):
    """A group whose first word is a model unless it is a command."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and args[0] not in ("--help", "-h"):
            args = ["model", *args]
        parsed: list[str] = super().parse_args(ctx, args)
        return parsed


app = typer.Typer(
    cls=_ModelByDefault,
    help="Look into networks: `xray MODEL TEXT` for what a trained model remembers of a text.",
    no_args_is_help=True,
)


class XrayFormat(str, Enum):
    """What xray prints."""

    text = "text"
    json = "json"


@app.command("model")
def xray_model(
    model: Annotated[str, typer.Argument(help="A task, a model name or a model folder.")],
    text: Annotated[str | None, typer.Argument(help="What it reads; none reads stdin.")] = None,
    beside: Annotated[
        list[str] | None, typer.Option("--beside", help="A further model that reads the same; may come again.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write report.html and metrics.json there.")
    ] = None,
    form: Annotated[
        XrayFormat, typer.Option("--format", help="Main figures as text, or everything as JSON.")
    ] = XrayFormat.text,
    picture: Annotated[
        Path | None, typer.Option(help="Write the first model, unfolded in time, as an SVG file there.")
    ] = None,
    language: Annotated[str | None, typer.Option(help="Language code, default en; chooses a task's model.")] = None,
    source: Annotated[str | None, typer.Option(help="Translation: the language of the text; default en.")] = None,
    target: Annotated[str | None, typer.Option(help="Translation: into this language; default de.")] = None,
) -> None:
    """Show how far back a model's outputs feel its inputs, how open its gates are, and its spectral radii."""
    from nlp_lstm.evaluation.xray_report import unfolded, xray_report
    from nlp_lstm.pipeline import find_folder
    from nlp_lstm.xray import look_into

    names = [model, *(beside or ())]
    if len(set(names)) < len(names):
        raise ConfigError(f"{', '.join(names)}: a model is named twice; name each once")
    folders = {name: find_folder(name, language=language, source=source, target=target) for name in names}
    views, note = look_into(folders, sys.stdin.read() if text is None else text)
    report = xray_report(views, note=note)
    console = Console()
    if form is XrayFormat.json:
        print(json.dumps(report.metrics, ensure_ascii=False, allow_nan=False))  # noqa: T201
    else:
        console.print(report.summary(), highlight=False, markup=False)
    if picture is not None:
        _write_svg(unfolded(views[0]), picture)
    if output is not None:
        path = report.write(output)
        if form is XrayFormat.text:
            console.print(f"report: {path}", highlight=False, markup=False, soft_wrap=True)


@app.command("graph")
def draw_graph(
    cell: Annotated[str, typer.Argument(help="rnn, lstm, peephole or gru.")],
    steps: Annotated[int, typer.Option(min=1, max=8, help="Steps that it is unrolled over.")] = 2,
    window: Annotated[int | None, typer.Option(min=1, help="Cut the gradient after so many steps.")] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="An SVG file; default stdout.")] = None,
) -> None:
    """Draw a cell as a B-diagram with numbers: values forward, derivatives backward."""
    from nlp_lstm.evaluation.cell_graphs import cell_graph
    from nlp_lstm.evaluation.graph_plot import graph_plot

    graph = cell_graph(cell, steps=steps, window=window)
    cut = f", the gradient cut after {window} steps" if window is not None else ""
    name = f"{cell}, {steps} steps of one unit, the loss is the last output{cut}"
    _write_svg(graph_plot({name: graph}, title=f"B-diagram of the cell {cell}"), output)


@app.command("rules")
def draw_rules(
    output: Annotated[Path | None, typer.Option("--output", "-o", help="An SVG file; default stdout.")] = None,
) -> None:
    """Draw the four rules of backpropagation as examples: chain, addition, weighted edge, product."""
    from nlp_lstm.evaluation.cell_graphs import rule_graphs
    from nlp_lstm.evaluation.graph_plot import graph_plot

    _write_svg(graph_plot(rule_graphs(), title="The rules of backpropagation"), output)


def _write_svg(svg: str, output: Path | None) -> None:
    if output is None:
        print(svg)  # noqa: T201
        return
    output.parent.mkdir(parents=True, exist_ok=True)
    write_whole(output, svg + "\n")

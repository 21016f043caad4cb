"""The command `nlp-lstm annotate`."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

if TYPE_CHECKING:
    from nlp_lstm.bulk.run import Progress as Reached


class ShardForm(str, Enum):
    """Kinds of shards."""

    text = "text"
    jsonl = "jsonl"
    csv = "csv"
    parquet = "parquet"


class BulkEngine(str, Enum):
    """Who works."""

    local = "local"
    ray = "ray"


def annotate(
    source: Annotated[
        Path,
        typer.Argument(metavar="INPUT", help="A file .txt (a text a line), .jsonl, .csv, .parquet; or a folder."),
    ],
    output: Annotated[Path, typer.Argument(help="A new folder, for the shards and manifest.json.")],
    overrides: Annotated[
        list[str] | None, typer.Argument(help="What the task knows besides, such as top_k=null or label=xpos.")
    ] = None,
    model: Annotated[str, typer.Option(help="A task, a model name or a model folder.")] = "pos",
    text: Annotated[
        str | None, typer.Option(help='The column with the text; default "text" or the like, or the only one.')
    ] = None,
    into: Annotated[str, typer.Option(help="The column that answers go to; JSON in CSV and Parquet.")] = "annotation",
    form: Annotated[ShardForm | None, typer.Option("--format", help="Default: as the input.")] = None,
    shard_rows: Annotated[int, typer.Option("--shard-rows", min=1, help="Rows of a shard, up to 8 MB.")] = 5_000,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes; default one for each core.")] = None,
    engine: Annotated[
        BulkEngine, typer.Option(help="Who works: this machine, or the Ray cluster that RAY_ADDRESS names.")
    ] = BulkEngine.local,
    precision: Annotated[
        str,
        typer.Option(help="Of the arithmetic: fp32, or faster and equal on nearly all tokens int8 or bf16 (torch)."),
    ] = "fp32",
    resume: Annotated[bool, typer.Option("--resume", help="Go on after Ctrl-C, kill -9 or a power cut.")] = False,
    pretokenized: Annotated[
        bool, typer.Option("--pretokenized", help="Texts are lists of tokens, or tokens with spaces between.")
    ] = False,
    language: Annotated[
        str | None, typer.Option(help="Language code, default en; chooses a task's model, but a translator's.")
    ] = None,
    from_language: Annotated[
        str | None, typer.Option("--source", help="Translation: the language of the text; default en.")
    ] = None,
    to_language: Annotated[
        str | None, typer.Option("--target", help="Translation: into this language; default de.")
    ] = None,
    together_with: Annotated[
        list[str] | None,
        typer.Option("--together-with", help="A further model that answers together with the first; may come again."),
    ] = None,
) -> None:
    """Annotate each text of a file larger than memory, on all cores, so that nothing is lost."""
    from nlp_lstm.bulk.run import annotate as annotate_files
    from nlp_lstm.settings import apply_overrides

    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(show_speed=False),
        TextColumn("{task.fields[rows]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        shown = bar.add_task("opening", total=None, rows="")

        def show(reached: Reached) -> None:
            rows = f"{reached.rows:,} rows" if reached.stage == "annotating" else ""
            errors = f", {reached.errors:,} with an error" if reached.errors else ""
            bar.update(
                shown, description=reached.stage, completed=reached.done, total=reached.total, rows=rows + errors
            )

        try:
            summary = annotate_files(
                source,
                output,
                model=model,
                text=text,
                into=into,
                form=form.value if form is not None else None,
                shard_rows=shard_rows,
                workers=workers,
                engine=engine.value,
                precision=cast("Any", precision),
                resume=resume,
                language=language,
                from_language=from_language,
                to_language=to_language,
                together_with=together_with or (),
                pretokenized=pretokenized,
                options=apply_overrides({}, overrides or ()),
                on_progress=show,
            )
        except KeyboardInterrupt:
            bar.stop()
            console.print("stopped; what is finished is kept: go on with --resume", highlight=False)
            raise
    before = f", {summary.rows_before:,} of them before" if summary.rows_before else ""
    errors = f"; {summary.errors:,} could not be read and have an error instead" if summary.errors else ""
    printed = Console()
    printed.print(f"{summary.rows:,} rows{before}{errors}", highlight=False, markup=False)
    printed.print(f"manifest: {summary.manifest}", highlight=False, markup=False, soft_wrap=True)

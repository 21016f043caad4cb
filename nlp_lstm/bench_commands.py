"""The command `nlp-lstm bench`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from nlp_lstm.errors import ConfigError
from nlp_lstm.output import open_output, to_json
from nlp_lstm.text.lines import read_lines

if TYPE_CHECKING:
    from nlp_lstm.speed import Speed


def bench(
    model: Annotated[str, typer.Argument(help="A task, a model name or a model folder.")],
    file: Annotated[Path, typer.Argument(help="A text file like those that the model is to answer, one text a line.")],
    threads: Annotated[int | None, typer.Option(min=1, help="Of each engine; default one for each core.")] = None,
    turns: Annotated[int, typer.Option(min=1, help="Of each engine; medians are shown.")] = 3,
    most: Annotated[int, typer.Option("--texts", min=1, help="Lines that are read, from the beginning.")] = 1_000,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write the figures there too, as JSON.")] = None,
    language: Annotated[str | None, typer.Option(help="Language code, default en; chooses a task's model.")] = None,
    source: Annotated[str | None, typer.Option(help="Translation: the language of the text; default en.")] = None,
    target: Annotated[str | None, typer.Option(help="Translation: into this language; default de.")] = None,
) -> None:
    """Measure how fast a model answers on your text, with each engine that can run it."""
    from nlp_lstm.artifacts import read_config
    from nlp_lstm.pipeline import find_folder
    from nlp_lstm.speed import measure_speed, num_cores

    folder = find_folder(model, language=language, source=source, target=target)
    task = read_config(folder).task
    if task in ("caption", "video", "series"):
        raise ConfigError(f"the task {task} answers no lines of text; bench is for models that do")
    texts = [line for _, line in islice(read_lines(file), most) if line.strip()]
    console = Console(stderr=True)
    count = threads or num_cores()
    with console.status("opening the model with each engine") as status:

        def say(line: str) -> None:
            if line.startswith("without"):
                console.print(line, markup=False, highlight=False, soft_wrap=True)
            else:
                status.update(line)

        found = measure_speed(folder, texts, threads=count, turns=turns, say=say)
    num_words = sum(len(text.split()) for text in texts)
    title = f"{folder.name}: {len(texts):,} texts, {num_words:,} words; {count} threads"
    Console().print(title, *_lines(found), sep="\n", markup=False, highlight=False, soft_wrap=True)
    if output is not None:
        with open_output(output) as stream:
            stream.write(to_json([{**asdict(speed), "way": speed.way.name} for speed in found], folder) + "\n")


def _lines(found: list[Speed]) -> Iterator[str]:
    yield f"{'words/s':>24}{'texts/s':>9}{'CPU s/M':>9}{'p50 ms':>8}{'p99 ms':>8}{'cold s':>8}{'MB':>6}{'same':>9}"
    for speed in found:
        yield (
            f"{speed.way.name:<15}{speed.words_per_second:>9,.0f}{speed.texts_per_second:>9,.1f}"
            f"{speed.cpu_per_million:>9,.1f}{speed.p50:>8.2f}{speed.p99:>8.2f}{speed.cold:>8.2f}"
            f"{speed.memory:>6,.0f}{100 * speed.equal:>7.1f} %"
        )
    yield "CPU s/M: processor seconds per million words. p50, p99: of one text. cold: a process with one answer."
    yield f"MB: the most that was held. same: answers that are equal to those of {found[0].way.name}."

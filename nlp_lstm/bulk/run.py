"""Annotating a file or a folder of files."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypeAlias

import nlp_lstm
from nlp_lstm.bulk.annotator import Annotator, Plan, checksums, one_thread
from nlp_lstm.bulk.blocks import Block, Limits, choose_column
from nlp_lstm.bulk.folder import OutputFolder
from nlp_lstm.bulk.forms import FORMS
from nlp_lstm.bulk.processes import Done, Numbered, annotate_here, annotate_in_processes, count_cores
from nlp_lstm.bulk.sources import SOURCES, InputFile, checksum, cut_files, find_files
from nlp_lstm.errors import ConfigError, nearest_hint
from nlp_lstm.pipeline import Pipeline, find_folder

FORMAT = 1  # of the output folder
SHARD_ROWS = 5_000
SHARD_SIZE = 8 << 20  # bytes of the input after which a shard ends whatever its rows
ENGINES = ("local", "ray")

Work: TypeAlias = Callable[[Iterator[Numbered]], Generator[Done, None, None]]
"""Takes numbered blocks and yields their shards as they become ready, in any order."""


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far the work is.

    Args:
        stage: the input's checksum is taken, or texts are annotated.
        done: bytes of the input.
        total: bytes of the input in all; None where it is packed.
        rows: annotated so far, earlier runs included.
        errors: how many of them were answered with an error.
    """

    stage: Literal["checking", "annotating"]
    done: int
    total: int | None
    rows: int
    errors: int


@dataclass(frozen=True, kw_only=True)
class Summary:
    """What an annotation has come to.

    Args:
        manifest: its path.
        rows: in all.
        errors: how many rows were answered with an error.
        rows_before: how many rows were done before this run.
    """

    manifest: Path
    rows: int
    errors: int
    rows_before: int


def annotate(
    source: str | Path,
    output: str | Path,
    *,
    model: str | Path = "pos",
    text: str | None = None,
    into: str = "annotation",
    form: str | None = None,
    shard_rows: int = SHARD_ROWS,
    workers: int | None = None,
    engine: str = "local",
    precision: Literal["fp32", "bf16", "int8"] = "fp32",
    resume: bool = False,
    language: str | None = None,
    from_language: str | None = None,
    to_language: str | None = None,
    together_with: Sequence[str | Path] = (),
    pretokenized: bool = False,
    options: Mapping[str, Any] | None = None,
    on_progress: Callable[[Progress], None] = lambda progress: None,
) -> Summary:
    """Annotate each text of a file or of a folder of files.

    The input is read block by block and never held. The output is the same, to the byte, for any number of workers, on
    this machine or on many, and after any interruption.

    Args:
        source: a file of texts, one a line (.txt), of JSON lines, CSV or Parquet; or a folder of files of one kind.
        output: a folder for the shards and the manifest; new or empty, unless ``resume``.
        model: a task, a model name or a model folder.
        text: the column with the text; default "text" or the like, or the only one.
        into: the column that answers go to. In CSV and Parquet they are JSON.
        form: the kind of the shards: text, jsonl, csv or parquet; default that of the input.
        shard_rows: rows of a shard; a shard has fewer at the end of a file, and where these are more than 8 MB.
        workers: processes on this machine; default one for each core.
        engine: who works: "local", this machine; "ray", a cluster.
        precision: as for `Pipeline`.
        resume: go on with what is in the folder; where there is nothing, begin.
        language: as for `Pipeline`.
        from_language: its ``source``.
        to_language: its ``target``.
        together_with: as for `Pipeline`.
        pretokenized: whether a text is a list of tokens, or tokens with spaces between.
        options: what the task knows besides, such as ``{"top_k": None}``.
        on_progress: called now and then.

    Raises:
        DataError: the input is missing, of no known kind, or broken; says where.
        ConfigError: an option is not known, the output folder holds something else, or what was begun differs.
        CheckpointError: the model or the output folder is damaged.
        OSError: the output cannot be written.
    """
    source, output = Path(source), Path(output)
    kind, files = find_files(source)
    form = form or kind
    _check_settings(kind, form, shard_rows, workers, engine, text)
    languages = {"language": language, "source": from_language, "target": to_language}
    models = (
        find_folder(model, **languages),
        *(find_folder(other, language=language) for other in together_with),
    )
    options = dict(options or {})
    with one_thread(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of texts without words, which nothing holds yet
        pipeline = Pipeline(models[0], precision=precision, together_with=models[1:])
        pipeline.predict([], pretokenized=pretokenized, **options)
        if form == "text":
            pipeline.predictor.as_line(pipeline.predictor.format([], **options))
    plan = Plan(
        source=kind,
        form=form,
        column=_find_column(kind, files, text, into if form != "text" else ""),
        into=into,
        models=models,
        checksums=checksums(models),
        engine=pipeline.info["engine"],
        precision=precision,
        is_pretokenized=pretokenized,
        options=options,
    )
    annotator = Annotator(pipeline, plan)
    task = pipeline.predictor.name
    num_workers = workers or count_cores()
    if engine != "local" or num_workers > 1:
        del annotator, pipeline  # each worker opens its own
        work = _workers(engine, plan, num_workers)
    else:
        work = partial(annotate_here, annotator)
    progress = _Reporter(files, on_progress)
    with closing(OutputFolder(output, form, should_resume=resume)) as folder:
        folder.begin(_describe(plan, task, files, progress, shard_rows))
        rows_before = sum(facts.rows for facts in folder.done.values())
        if not folder.is_finished:
            _fill(folder, plan, files, Limits(rows=shard_rows, size=SHARD_SIZE), work, progress)
            for file in files:
                file.check_unchanged()
            folder.finish()
        return Summary(
            manifest=output / "manifest.json",
            rows=sum(facts.rows for facts in folder.done.values()),
            errors=sum(facts.errors for facts in folder.done.values()),
            rows_before=rows_before,
        )


def _check_settings(kind: str, form: str, shard_rows: int, workers: int | None, engine: str, text: str | None) -> None:
    """Check what does not depend on the model.

    Raises:
        ConfigError: a setting is not one of those accepted.
    """
    if form not in FORMS:
        raise ConfigError(f'the form is "{form}"; known: {", ".join(FORMS)}.{nearest_hint(form, FORMS)}')
    if not SOURCES[kind].has_columns and form not in (kind, "text"):
        raise ConfigError(
            f"JSON lines need not have the same keys in each row, as rows of {form} have; take --format jsonl or text"
        )
    if engine not in ENGINES:
        raise ConfigError(f'engine is "{engine}"; known: {", ".join(ENGINES)}.{nearest_hint(engine, ENGINES)}')
    if shard_rows < 1 or (workers is not None and workers < 1):
        raise ConfigError(f"shard_rows is {shard_rows} and workers is {workers}; both are at least 1")
    if kind == "text" and text is not None:
        raise ConfigError(f'text is "{text}", but lines of text have no columns; leave out --text')


def _find_column(kind: str, files: Sequence[InputFile], wanted: str | None, into: str) -> str:
    """Return the column of the text, which all files have.

    Raises:
        DataError: one has not.
        ConfigError: there is a column already that answers are to go to.
    """
    source = SOURCES[kind]
    names = source.columns(files[0].path)
    column = choose_column(files[0].path, names, wanted)
    for file in files if source.has_columns else files[:1]:
        names = source.columns(file.path)
        choose_column(file.path, names, column)
        if into and into in names:
            raise ConfigError(f'{file.path} has a column "{into}" already; name another one with --into')
    return column


def _describe(
    plan: Plan, task: str, files: Sequence[InputFile], progress: _Reporter, shard_rows: int
) -> dict[str, Any]:
    """Return all that the output depends on, as plain values, and so what has to be the same to go on."""
    sums = [checksum(file, progress.on_bytes) for file in files]
    return {
        "format": FORMAT,
        "version": nlp_lstm.__version__,
        "task": task,
        "models": [
            {"name": folder.resolve().name, "sha256": one}
            for folder, one in zip(plan.models, plan.checksums, strict=True)
        ],
        "engine": plan.engine,
        "precision": plan.precision,
        "pretokenized": plan.is_pretokenized,
        "options": dict(plan.options),
        "input": {
            "kind": plan.source,
            "text": plan.column,
            "files": [
                {"name": file.name, "bytes": file.size, "sha256": one} for file, one in zip(files, sums, strict=True)
            ],
        },
        "output": {"kind": plan.form, "into": plan.into, "shard_rows": shard_rows, "shard_bytes": SHARD_SIZE},
    }


def _fill(
    folder: OutputFolder,
    plan: Plan,
    files: list[InputFile],
    limits: Limits,
    work: Work,
    progress: _Reporter,
) -> None:
    """Write the shards that are not there yet."""
    waiting: dict[int, tuple[str, Block]] = {}  # without their content

    def remaining() -> Iterator[Numbered]:
        for index, name, block in cut_files(plan.source, files, limits):
            if folder.check_block(index, name, block.first, block.num_rows):
                progress.on_shard(name, block, folder.done[index].errors)
            else:
                waiting[index] = name, replace(block, content=None)
                yield index, block

    said: set[str] = set()
    with closing(work(remaining())) as shards:
        for index, shard in shards:
            name, block = waiting.pop(index)
            folder.add(index, name, block.first, shard)
            progress.on_shard(name, block, shard.num_errors)
            for warning in shard.warnings:
                if warning not in said:
                    warnings.warn(warning, stacklevel=2)
                said.add(warning)


def _workers(engine: str, plan: Plan, num_workers: int) -> Work:
    if engine == "ray":
        from nlp_lstm.bulk.on_ray import annotate_on_ray

        return partial(annotate_on_ray, plan)
    return partial(annotate_in_processes, plan, num_workers=num_workers)


class _Reporter:
    """Adds up how far the work is.

    Args:
        files: of the input.
        on_progress: is told.
    """

    def __init__(self, files: Sequence[InputFile], on_progress: Callable[[Progress], None]) -> None:
        self._total = sum(file.size for file in files)
        self._is_packed = any(file.is_packed for file in files)
        self._on_progress = on_progress
        self._checked = self._rows = self._errors = 0
        self._ends: dict[str, int] = {}

    def on_bytes(self, number: int) -> None:
        """Bytes whose checksum was taken."""
        self._checked += number
        self._on_progress(Progress(stage="checking", done=self._checked, total=self._total, rows=0, errors=0))

    def on_shard(self, name: str, block: Block, errors: int) -> None:
        """A block that is done; blocks need not come in order."""
        self._rows += block.num_rows
        self._errors += errors
        self._ends[name] = max(block.end, self._ends.get(name, 0))
        self._on_progress(
            Progress(
                stage="annotating",
                done=sum(self._ends.values()),
                total=None if self._is_packed else self._total,
                rows=self._rows,
                errors=self._errors,
            )
        )

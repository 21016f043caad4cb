"""The command line, `nlp-lstm`. Heavy parts are imported inside the commands, so that `--help` answers at once."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, cast

import typer
from rich.console import Console
from rich.table import Table

from nlp_lstm.bench_commands import bench
from nlp_lstm.bulk_commands import annotate
from nlp_lstm.doctor_commands import doctor
from nlp_lstm.errors import ConfigError, DataError
from nlp_lstm.output import open_output, to_json
from nlp_lstm.serve_commands import serve
from nlp_lstm.stream_commands import stream
from nlp_lstm.text.lines import read_lines
from nlp_lstm.tune_commands import tune
from nlp_lstm.xray_commands import app as xray_app

app = typer.Typer(
    name="nlp-lstm",
    help="Recurrent networks for text: train, evaluate and use small models on a CPU.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
vectors_app = typer.Typer(help="Word vectors: look at them, or train your own.", no_args_is_help=True)
app.add_typer(vectors_app, name="vectors")
app.add_typer(xray_app, name="xray")
app.command()(doctor)
app.command()(serve)
app.command()(annotate)
app.command()(stream)
app.command()(bench)
app.command()(tune)


EngineOption = Annotated[str, typer.Option(help="What runs the network: auto, torch, onnx, compiled.")]
PrecisionOption = Annotated[str, typer.Option(help="Of the arithmetic: fp32, bf16 (torch) or int8 (compiled).")]


class OutputFormat(str, Enum):
    """What predict writes."""

    jsonl = "jsonl"
    conllu = "conllu"
    text = "text"


class StoredPrecision(str, Enum):
    """How a model's weights are stored."""

    fp32 = "fp32"
    fp16 = "fp16"
    int8 = "int8"


class VectorKind(str, Enum):
    """Which model gensim trains."""

    word2vec = "word2vec"
    fasttext = "fasttext"


@app.command()
def run(
    recipe: Annotated[str, typer.Argument(help="A task such as pos, or a recipe file.")] = "pos",
    overrides: Annotated[
        list[str] | None, typer.Argument(help="Changes to the recipe, such as model.hidden=128.")
    ] = None,
    data: Annotated[
        Path | None, typer.Option(help="Your own file or folder instead of the recipe's data sets.")
    ] = None,
    output: Annotated[Path | None, typer.Option(help="The run's folder; default the next free one in runs/.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the newest unfinished run.")] = False,
    seeds: Annotated[int, typer.Option(min=1, help="Train this many models and report the spread.")] = 1,
) -> None:
    """Train a model, evaluate it and write a report."""
    from nlp_lstm.recipes import load_recipe
    from nlp_lstm.run_folders import RECIPE_NAME, latest_run_folder, new_run_folder, read_status
    from nlp_lstm.runs import run_recipe, run_seeds
    from nlp_lstm.training.processes import is_helper, is_one_of_several

    if is_one_of_several():
        from nlp_lstm.joint_runs import help_run, run_with_others

        if seeds > 1:
            raise ConfigError("several processes train one model together; leave out --seeds")
        if is_helper():
            help_run()
            return
    parent, name = Path("runs"), Path(recipe).stem
    if resume:
        output = output or latest_run_folder(parent, name)
        status = read_status(output)
        settings = load_recipe(str(output / RECIPE_NAME), overrides or ())
        data, seeds = data or status.data, max(seeds, status.num_seeds)
    else:
        settings = load_recipe(recipe, overrides or ())
        output = output or new_run_folder(parent, name)
        if output.exists() and any(output.iterdir()):
            raise ConfigError(f"{output} is not empty; choose another --output, or go on with --resume")
    console = Console()
    if is_one_of_several():
        result = run_with_others(settings, output, data=data, should_resume=resume, console=console)
    elif seeds > 1:
        result = run_seeds(settings, output, num_seeds=seeds, data=data, should_resume=resume, console=console)
    else:
        result = run_recipe(settings, output, data=data, should_resume=resume, console=console)
    console.print(result.report.summary(), highlight=False, markup=False)
    for line in (
        f"report: {result.folder / 'report.html'}",
        f"model:  {result.model_folder}",
        f'use it: Pipeline("{result.model_folder}")',
    ):
        console.print(line, highlight=False, markup=False, soft_wrap=True)


@app.command()
def predict(
    model: Annotated[str, typer.Argument(help="A task, a model name or a model folder.")],
    files: Annotated[
        list[Path] | None,
        typer.Argument(
            help="Text files, one text a line; none reads stdin. Of a task that reads tables each file is one input, "
            "and stdin has their paths."
        ),
    ] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Default: stdout.")] = None,
    form: Annotated[
        OutputFormat,
        typer.Option("--format", help="One JSON result a line, CoNLL-U, or plain text, a line for each line."),
    ] = OutputFormat.jsonl,
    pretokenized: Annotated[bool, typer.Option("--pretokenized", help="Lines are tokens with spaces between.")] = False,
    label: Annotated[str | None, typer.Option(help="Tagging: the label column that becomes the entity.")] = None,
    top_k: Annotated[
        int | None, typer.Option("--top-k", min=0, help="Classification: this many labels; 0 for all.")
    ] = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="Classification: how much each word moved the decision.")
    ] = False,
    language: Annotated[
        str | None, typer.Option(help="Language code, default en; chooses a task's model, but a translator's.")
    ] = None,
    source: Annotated[str | None, typer.Option(help="Translation: the language of the text; default en.")] = None,
    target: Annotated[str | None, typer.Option(help="Translation: into this language; default de.")] = None,
    more: Annotated[
        list[str] | None,
        typer.Option("--option", help="What the task knows besides, such as num_beams=1; may come again."),
    ] = None,
    together_with: Annotated[
        list[str] | None,
        typer.Option("--together-with", help="A further model that answers together with the first; may come again."),
    ] = None,
    engine: EngineOption = "auto",
    precision: PrecisionOption = "fp32",
) -> None:
    """Predict for each line of text, or each file."""
    from nlp_lstm.pipeline import Pipeline
    from nlp_lstm.settings import apply_overrides

    if form is OutputFormat.conllu and label is not None:
        raise ConfigError("--label goes with --format jsonl or text; CoNLL-U holds every label column")
    if form is OutputFormat.text and (top_k is not None or explain):
        raise ConfigError("--top-k and --explain go with --format jsonl; a line of text has one label")
    pipeline = Pipeline(
        model,
        language=language,
        source=source,
        target=target,
        engine=cast("Any", engine),
        precision=cast("Any", precision),
        together_with=together_with or (),
    )
    options = apply_overrides({}, more or ())
    if label is not None:
        options["label"] = label
    if top_k is not None:
        options["top_k"] = top_k or None
    if explain:
        options["explain"] = True
    lines = map(str, files) if files and pipeline.predictor.reads_files else read_texts(files or [])
    texts: Iterator[Any] = (line.split() for line in lines) if pretokenized else lines
    with open_output(output) as file:
        if form is OutputFormat.conllu:
            file.writelines(pipeline.predict_conllu(texts, pretokenized=pretokenized))
            return
        if form is OutputFormat.text:
            rows = pipeline.predict_lines(texts, pretokenized=pretokenized, **options)
        else:
            results = pipeline.predict(texts, pretokenized=pretokenized, **options)
            rows = (to_json(result, pipeline.folder) for result in results)
        for row in rows:
            file.write(row + "\n")
            file.flush()


@app.command()
def generate(
    model: Annotated[str, typer.Argument(help="A language model's name or folder.")] = "generate",
    prompt: Annotated[str, typer.Argument(help="The beginning of the text; may be empty.")] = "",
    overrides: Annotated[
        list[str] | None, typer.Argument(help="Options such as temperature=0.8 top_p=0.9 max_new_tokens=100 seed=3.")
    ] = None,
    language: Annotated[str, typer.Option(help="Language code; chooses the model.")] = "en",
) -> None:
    """Write on from a beginning; a single text that is drawn appears as it is written."""
    from nlp_lstm.pipeline import Pipeline
    from nlp_lstm.settings import apply_overrides

    options = apply_overrides({}, overrides or ())
    pipeline = Pipeline(model, language=language)
    with open_output(None) as target:
        if options.get("num_beams", 1) != 1 or options.get("num_return_sequences", 1) != 1:
            results = pipeline.predict(prompt, **options)
            texts = [result["generated_text"] for result in (results if isinstance(results, list) else [results])]
            target.writelines(text + "\n" for text in texts)
            return
        pieces = pipeline.stream(prompt, **options)
        for piece in itertools.chain([prompt] if options.get("return_full_text", True) else [], pieces, ["\n"]):
            target.write(piece)
            target.flush()


@app.command()
def score(
    model: Annotated[str, typer.Argument(help="A language model's name or folder.")],
    files: Annotated[list[Path] | None, typer.Argument(help="Text files, one text a line; none reads stdin.")] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Default: stdout.")] = None,
    language: Annotated[str, typer.Option(help="Language code; chooses the model.")] = "en",
) -> None:
    """Say how probable each token of each line of text is: one JSON object a line."""
    from nlp_lstm.pipeline import Pipeline

    pipeline = Pipeline(model, language=language)
    pipeline.score([])  # a model of another task is refused before stdin is waited for
    with open_output(output) as target:
        for text in read_texts(files or []):
            target.write(to_json(pipeline.score(text), pipeline.folder) + "\n")


@app.command()
def evaluate(
    model: Annotated[str, typer.Argument(help="A task, a model name or a model folder.")],
    data: Annotated[
        str | None, typer.Argument(help="A labelled file or folder, or a data set's name; default the model's own.")
    ] = None,
    overrides: Annotated[
        list[str] | None,
        typer.Argument(help="How the data is read, and what is asked, as in reading.text=review options.num_beams=1."),
    ] = None,
    split: Annotated[
        str | None,
        typer.Option(help="train, dev or test; default test of a data set or folder, and the whole of a single file."),
    ] = None,
    output: Annotated[Path | None, typer.Option(help="Write report.html and metrics.json there.")] = None,
    allow_overlap: Annotated[
        bool, typer.Option("--allow-overlap", help="Even where the model was trained on some of these texts.")
    ] = False,
    language: Annotated[
        str | None, typer.Option(help="Language code, default en; chooses a task's model, but a translator's.")
    ] = None,
    source: Annotated[str | None, typer.Option(help="Translation: the language of the text; default en.")] = None,
    target: Annotated[str | None, typer.Option(help="Translation: into this language; default de.")] = None,
    together_with: Annotated[
        list[str] | None,
        typer.Option("--together-with", help="A further model that answers together with the first; may come again."),
    ] = None,
    engine: EngineOption = "auto",
    precision: PrecisionOption = "fp32",
) -> None:
    """Evaluate a model on labelled data; without DATA, on the data set of the catalogue that it was trained on."""
    from nlp_lstm.pipeline import Pipeline
    from nlp_lstm.settings import apply_overrides

    changes = apply_overrides({}, overrides or ())
    reading, options = changes.pop("reading", {}), changes.pop("options", {})
    if changes or not isinstance(reading, dict) or not isinstance(options, dict):
        raise ConfigError(
            f"{', '.join(overrides or ())}: evaluate takes reading.KEY=VALUE and options.KEY=VALUE, as in "
            "reading.text=review"
        )
    pipeline = Pipeline(
        model,
        language=language,
        source=source,
        target=target,
        engine=cast("Any", engine),
        precision=cast("Any", precision),
        together_with=together_with or (),
    )
    report = pipeline.evaluate(data, split=split, reading=reading, options=options, allow_overlap=allow_overlap)
    console = Console()
    console.print(report.summary(), highlight=False, markup=False)
    if output is not None:
        console.print(f"report: {report.write(output)}", highlight=False)


@app.command()
def export(
    model: Annotated[str, typer.Argument(help="A task, a model name or a model folder.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write a copy of the model there; default into the model.")
    ] = None,
    language: Annotated[str, typer.Option(help="Language code; chooses a task's model.")] = "en",
    source: Annotated[str | None, typer.Option(help="Translation: the language of the text; default en.")] = None,
    target: Annotated[str | None, typer.Option(help="Translation: into this language; default de.")] = None,
) -> None:
    """Write a model as ONNX into its folder, from where it then predicts without torch."""
    from nlp_lstm.inference.export import export_model
    from nlp_lstm.pipeline import find_folder

    folder = find_folder(model, language=language, source=source, target=target)
    path = export_model(folder, output)
    Console().print(f"{path}: {path.stat().st_size / 1e3:.1f} kB", highlight=False, markup=False, soft_wrap=True)


@app.command()
def trim(
    model: Annotated[str, typer.Argument(help="A model's name or folder.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Where the smaller copy goes.")],
    words_of: Annotated[
        str | None, typer.Option(help="A model: words that it does not know are left out (of models that read words).")
    ] = None,
    precision: Annotated[StoredPrecision | None, typer.Option(help="How the weights are stored.")] = None,
) -> None:
    """Copy a model into less room."""
    from nlp_lstm.pipeline import find_folder
    from nlp_lstm.trimming import trim_model

    other = None if words_of is None else find_folder(words_of)
    trim_model(find_folder(model), output, words_of=other, precision=precision.value if precision else None)
    size = sum(path.stat().st_size for path in output.iterdir())
    Console().print(f"{output}: {size / 1e6:.2f} MB", highlight=False, markup=False, soft_wrap=True)


@app.command("data")
def list_data_sets(
    name: Annotated[str | None, typer.Argument(help="Fetch this data set and show its sizes.")] = None,
) -> None:
    """List the data sets and word vectors known by name."""
    from nlp_lstm.data.catalogue import find_data, list_data
    from nlp_lstm.data.found import SPLITS
    from nlp_lstm.data.sides import language_pairs

    console = Console()
    if name is not None:
        pairs = language_pairs(name)
        for number, pair in enumerate(pairs or [None]):
            try:
                found = find_data([name], say=console.print, reading=pair)
            except DataError as error:
                if pair is None or len(pairs) == 1:
                    raise
                console.print(f"{pair.pair}: {error}", highlight=False, markup=False)
                continue
            if not number:
                console.print(f"{found.title}\nlicence: {found.licence}\nsource:  {found.source}", highlight=False)
            if pair is not None:
                console.print(f"{pair.pair} and {pair.target}-{pair.source}", highlight=False)
            for split, examples in found.read_splits(SPLITS).items():
                console.print(f"{split:>7}: {len(examples):,} examples", highlight=False)
        return
    for entry in list_data():
        console.print(f"[bold]{entry.name}[/bold] ({entry.kind}, {entry.language}): {entry.title}", highlight=False)
        console.print(f"  licence: {entry.licence}", highlight=False)
        console.print(f"  here:    {', '.join(entry.here) or 'nowhere yet'}", highlight=False)
        console.print(f"  else:    {', '.join(entry.fetch) or '-'}", highlight=False)


@app.command("models")
def list_models() -> None:
    """List the models that can be used by name, with the place each is in."""
    from nlp_lstm.artifacts import list_models as find_models
    from nlp_lstm.paths import model_roots

    table = Table("name", "place", "size", box=None, header_style="bold")
    for name, place, folder in find_models(model_roots()):
        size = sum(path.stat().st_size for path in folder.iterdir())
        table.add_row(name, place, f"{size / 1e6:.1f} MB")
    Console().print(table)


@vectors_app.command("train")
def train_word_vectors(
    corpus: Annotated[Path, typer.Argument(help="Plain text, one sentence or paragraph a line; may be .gz.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="A .txt or .bin file in word2vec form.")],
    kind: Annotated[
        VectorKind, typer.Option(help="Word2Vec, or FastText with character n-grams.")
    ] = VectorKind.word2vec,
    size: Annotated[int, typer.Option(min=1, help="Features per vector.")] = 100,
    window: Annotated[int, typer.Option(min=1, help="Words seen on either side.")] = 5,
    min_count: Annotated[int, typer.Option(min=1, help="Rarer words get no vector.")] = 5,
    epochs: Annotated[int, typer.Option(min=1, help="Times through the corpus.")] = 5,
    seed: Annotated[int, typer.Option(help="Same seed, same vectors.")] = 1,
    language: Annotated[str, typer.Option(help="Language code of the tokeniser.")] = "en",
) -> None:
    """Train word vectors on your own text with gensim."""
    from nlp_lstm.text.corpus import TokenisedCorpus
    from nlp_lstm.text.vectors import save_word2vec, train_vectors

    console = Console()
    with console.status("reading and training") as status:
        vectors = train_vectors(
            TokenisedCorpus(corpus, language),
            kind=kind.value,
            size=size,
            window=window,
            min_count=min_count,
            epochs=epochs,
            seed=seed,
            on_epoch=lambda epoch, epochs: status.update(f"{epoch} of {epochs} times through the text"),
        )
    save_word2vec(vectors, output)
    console.print(f"{len(vectors):,} vectors of {size} features: {output}", highlight=False)


@vectors_app.command("show")
def show_word_vectors(
    vectors: Annotated[str, typer.Argument(help="A name such as vectors-100d, or a file.")],
    words: Annotated[list[str] | None, typer.Argument(help="Show the nearest neighbours of these.")] = None,
    trust_pickle: Annotated[
        bool, typer.Option("--trust-pickle", help="Read gensim's .kv files, which run code when opened.")
    ] = False,
) -> None:
    """Load word vectors, converting them at the first time, and show their size and neighbours."""
    from nlp_lstm.data.catalogue import find_vectors
    from nlp_lstm.text.vectors import nearest_words

    console = Console()
    found = find_vectors(vectors, say=console.print, trust_pickle=trust_pickle)
    console.print(f"{found.name}: {len(found):,} words, {found.embed_size} features", highlight=False)
    for word in words or ():
        neighbours = ", ".join(f"{other} {score:.2f}" for other, score in nearest_words(found, word))
        console.print(f"{word}: {neighbours}", highlight=False, markup=False)


def read_texts(files: list[Path]) -> Iterator[str]:
    """Yield the lines of files, or of stdin where there are none.

    Raises:
        DataError: a file is missing or a line is not UTF-8; with file and line.
    """
    streams = [read_lines(path) for path in files] or [read_lines(sys.stdin.buffer, "stdin")]
    for _, line in itertools.chain.from_iterable(streams):
        yield line

"""What `benchmarks/fuzz.py` gives spoilt files to: every reader of what comes from elsewhere, with sound files."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import io
import json
import shutil
import struct
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from fuzz_mutation import (
    Mutator,
    packed,
    spoil_bytes,
    spoil_json,
    spoil_json_lines,
    spoil_png,
    spoil_protobuf,
    spoil_safetensors,
    with_words,
)

from nlp_lstm.artifacts import (
    CONFIG_NAME,
    GRAPH_NAME,
    STEP_GRAPH_NAME,
    VOCABULARY_NAME,
    WEIGHTS_NAME,
    file_facts,
    read_config,
)
from nlp_lstm.bulk.blocks import Limits
from nlp_lstm.bulk.folder import JOURNAL_NAME, MANIFEST_NAME, OutputFolder
from nlp_lstm.bulk.sources import SOURCES
from nlp_lstm.carried import pack_folder, unpack_folder
from nlp_lstm.data.example import LabelledExample, ParallelExample, TaggedExample, TextExample
from nlp_lstm.data.packages import unpack_archive
from nlp_lstm.data.pictures import PictureExample, PictureReading, load_features, load_pixels, to_png
from nlp_lstm.data.readers import Kind, read_examples
from nlp_lstm.data.reading import ParallelSettings
from nlp_lstm.data.running import read_pieces
from nlp_lstm.data.series import SeriesExample, SeriesReading
from nlp_lstm.errors import CheckpointError
from nlp_lstm.inference.checks import check_graph
from nlp_lstm.inference.engines import EngineName, OnnxEngine
from nlp_lstm.inference.export import export_model
from nlp_lstm.inference.opening import open_model
from nlp_lstm.pipeline import Pipeline
from nlp_lstm.recipes import load_recipe
from nlp_lstm.run_folders import read_status
from nlp_lstm.serving.body import read_json
from nlp_lstm.serving.inputs import read_item, split_inputs
from nlp_lstm.serving.limits import ServingLimits
from nlp_lstm.serving.metrics import ServerMetrics
from nlp_lstm.serving.models import ServedModel
from nlp_lstm.serving.refusals import RefusedError
from nlp_lstm.serving.shapes import parse_request
from nlp_lstm.settings import Settings, apply_overrides, parse_settings
from nlp_lstm.stored import read_header
from nlp_lstm.tasks import Task, tasks
from nlp_lstm.text.document import Document
from nlp_lstm.text.subwords import SubwordModel
from nlp_lstm.text.vector_files import read_vector_file
from nlp_lstm.weights import _read_weights, save_model


@dataclass(frozen=True, kw_only=True)
class Reader:
    """Something that reads files from elsewhere.

    Args:
        name: of the reader.
        sounds: files that it can read.
        read: reads the file at a path. It may return anything, or raise an `NlpLstmError`.
        file_name: what the file is called, as endings matter.
        spoil: how sound files are spoilt.
        prepare: puts further files into the folder of the file, once.
        refusals: errors besides `NlpLstmError` that are answers.
    """

    name: str
    sounds: Sequence[bytes]
    read: Callable[[Path], object]
    file_name: str
    spoil: Mutator = spoil_bytes
    prepare: Callable[[Path], object] = lambda folder: None
    refusals: tuple[type[Exception], ...] = ()


def examples_reader(
    name: str,
    file_name: str,
    sounds: Sequence[bytes],
    spoil: Mutator,
    kind: Kind,
    reading: Settings | None = None,
    prepare: Callable[[Path], object] = lambda folder: None,
) -> Reader:
    """Return the reader of a format of data, which also goes through all examples."""

    def read(path: Path) -> object:
        return sum(1 for _ in read_examples([path], name, kind=kind, reading=reading))

    return Reader(name=name, sounds=sounds, read=read, file_name=file_name, spoil=spoil, prepare=prepare)


# ---- data

CONLLU = (
    b"# text = A dog barks.\n1\tA\ta\tDET\tDT\t_\t2\tdet\t_\t_\n2\tdog\tdog\tNOUN\tNN\t_\t3\tnsubj\t_\t_\n"
    b"3\tbarks\tbark\tVERB\tVBZ\tNumber=Sing\t0\troot\t_\tSpaceAfter=No\n4\t.\t.\tPUNCT\t.\t_\t3\tpunct\t_\t_\n\n",
    b"1-2\tCan't\t_\t_\t_\t_\t_\t_\t_\t_\n1\tCa\tcan\tAUX\tMD\t_\t0\troot\t_\t_\n2\tn't\tnot\tPART\tRB\t_\t1\tx\t_\t_\n"
    b"2.1\tsee\tsee\tVERB\t_\t_\t_\t_\t_\t_\n3\tit\tit\tPRON\tPRP\t_\t1\tobj\t_\t_\n",
)
COLUMNS = (b"Anna\tB-PER\nruns\tO\n\n-DOCSTART- -X-\nThe O\nend O\n", b"a X B\n\nb Y I\nc Z O\n")
TAGGED_LINES = (b'{"tokens": ["A", "dog"], "labels": ["DET", "NOUN"], "x": ["1", "2"], "id": 7}\n{"tokens": ["B"]}',)
BROWN = (b"the/at dog/nn barks/vbz ./.\n``/`` 1/2/cd ''/''\n\nhe/pps+bez isn't/bez* here/rb-hl\n",)
PLAIN = ("The old man sleeps.\nA dog barks.\r\n\n10 @,@ 000 of <unk> @-@ s\nLändlich — ja\n".encode(),)
LABELLED_TABLE = (b"text\tlabel\nGood film\tgood\nBad one\tbad\n", b"label\ttext\tdomain\nx\ty\tz\n")
LABELLED_CSV = (
    b'text,label\n"A ""fine"" one,\nreally",good\nbad,bad\n',
    b"review,stars,id\nGood,5,1\n\nBad one,1,2\n",
)
LABELLED_LINES = (b'{"text": "A quiet film.", "label": "POSITIVE"}\n{"text": "B", "label": 1, "n": [1, 2]}\n',)
TREES = (b"(3 (2 Quiet) (4 wonder))\n(1 (2 (2 It) (2 's)) (0 (1 so) (0 -LRB-dull-RRB-)))\n",)
VADER = (b"1\t2.5\tI love it &amp; you ''so''\n2\t-3.9\tI hate it :(\n3\t0.1\tIt is a table.\n",)
IMDB = (b'[{"t":"Sweet film.<br /><br />I laughed.","s":1},{"t":"Two hours \\u00e9 too long.","s":0}]',)
PARALLEL_TABLE = ("en\tde\nA dog runs.\tEin Hund läuft.\nYes\tJa\n".encode(), b"source\tx\ttarget\na\tb\tc\n")
PARALLEL_LINES = (
    b'{"source": "A dog.", "target": "Ein Hund."}\n{"translation": {"en": "Yes", "de": "Ja"}}\n',
    b'{"en": "No", "de": "Nein", "id": [1, {"x": 2}]}\n',
)
PO = (
    b'msgid ""\nmsgstr ""\n"Language: de\\n"\n"Content-Type: text/plain; charset=UTF-8\\n"\n'
    b'"Plural-Forms: nplurals=2; plural=n != 1;\\n"\n\n#, python-format\nmsgid "%d file"\nmsgid_plural "%d files"\n'
    b'msgstr[0] "%d Datei"\nmsgstr[1] "%d Dateien"\n\n#. Default: "Save"\nmsgctxt "x"\nmsgid "label_save"\n'
    b'msgstr "Sichern\\t\\"jetzt\\""\n\n#, fuzzy\nmsgid "a"\nmsgstr "b"\n',
    b'msgid ""\nmsgstr "Content-Type: text/plain; charset=iso-8859-1\\nPlural-Forms: nplurals=3; plural=(n%10==1 && '
    b'n%100!=11 ? 0 : n != 0 ? 1 : 2);\\n"\nmsgid "a"\nmsgid_plural "b"\nmsgstr[0] "\xe4"\nmsgstr[1] "c"\n',
)
PO_WORDS = (
    *(
        b"msgid ",
        b"msgstr ",
        b'msgstr[0] "x"\n',
        b'msgid_plural "x"\n',
        b'msgctxt "y"\n',
        b"#, fuzzy\n",
        b'\\"',
        b"\\n",
    ),
    *(b"charset=utf-16", b"charset=utf-7", b"charset=idna", b"charset=punycode", b"charset=unicode_escape", b"n%0"),
    *(b"charset=rot13", b"charset=base64", b"charset=undefined", b"charset=raw_unicode_escape", b"charset=hex"),
    *(b"plural=n%(n-1)", b"plural=n/0", b"plural=(((n", b"plural=n?n:n?n:n", b"Language: fr", b"plural=n*n*n*n*n"),
)


def machine_catalogue(pairs: Sequence[tuple[bytes, bytes]], order: str = "<") -> bytes:
    """Return a .mo file."""
    start = 28 + 16 * len(pairs)
    tables: list[tuple[int, int]] = []
    strings = b""
    for side in zip(*pairs, strict=True):
        for string in side:
            tables.append((len(string), start + len(strings)))
            strings += string + b"\0"
    head = struct.pack(f"{order}7I", 0x950412DE, 0, len(pairs), 28, 28 + 8 * len(pairs), 0, start)
    return head + b"".join(struct.pack(f"{order}2I", *row) for row in tables) + strings


MO_PAIRS = (
    (b"", b"Language: de\nContent-Type: text/plain; charset=UTF-8\nPlural-Forms: nplurals=2; plural=n != 1;\n"),
    (b"%d file\0%d files", b"%d Datei\0%d Dateien"),
    (b"ctx\4Save", b"Sichern"),
)
SERIES_TABLE = (b"day,price,kind\n2024-01-01,1.5,a\n2024-01-02,2.5,b\n2024-01-03,,b\n", b"x,y\n1,2\n3,4\n-5e3,nan\n")
SERIES_LINES = (
    b'{"symbols": "GLWS", "label": "AMP"}\n'
    b'{"numbers": {"x": [0.1, 2], "y": [1, null]}, "labels": ["a", "b"], "name": "r"}',
    b'{"symbols": ["a", "bc"], "numbers": {"x": ["1", "?"]}}\n',
)
TS = (
    b"@problemName x\n@timeStamps false\n@classLabel true 1 2\n@data\n1,2,3:4,5,6:1\n0.5,?,NaN:1,2,3:2\n",
    b"# a\n@classLabel true a\n@data\n1:a\n",
)
MODLAMP = (b"2,1,UniProt,AMP\nGLWSKIKEV,1\nAAA,0\n",)
KARPATHY = (
    b'{"images": [{"filename": "a.png", "split": "train", "filepath": "", "sentences": [{"raw": "A dog runs."}]},'
    b'{"filename": "a.png", "split": "val", "sentences": [{"tokens": ["a", "cat"]}]}]}',
)
TOKENS = (b"a.png#0\tA dog runs .\na.png#1\tA brown dog .\n",)
RECIPE = (
    b"task: pos\nlanguage: en\ndata: [ewt, brown]\nmodel:\n  hidden: 64\n  embedding: {vectors: null, min_count: 1}\n"
    b"training:\n  batch_tokens: 200\n  learning_rate: 0.01\nbaselines:\n  networks:\n    plain: {cell: rnn}\n",
    b"task: sentiment\ndata:\n  - sst\nreading:\n  labels: {negative: NEGATIVE, neutral: null, x: {A: 0.5, B: 0.5}}\n",
)
YAML_WORDS = (
    *(b"&a ", b"*a", b"<<: *a", b"!!python/object:os.system ", b"!!int x", b"!!binary x", b"2001-99-99", b"? [1]\n: 2"),
    *(
        b"---\n",
        b"0x" + b"f" * 5_000,
        b"190:99:99",
        b"[" * 500,
        b"{a: " * 300,
        b"!!timestamp x",
        b"|\n",
        b">-\n",
        b"%TAG",
    ),
    *(
        b"- ",
        b": ",
        b"  ",
        b"!!set {1}",
        b"!!omap [a]",
        b"!!float x",
        b".inf",
        b"~",
        b"\xc2\x85",
        b"!!null x",
        b"!<x> ",
    ),
)

TABLE_WORDS = (b",", b'"', b'""', b"\t", b"\r", b'",\n"', b"label", b"text")
TREE_WORDS = (b"(", b")", b"(2 ", b"))", b"(((", b"(1 a ")

# ---- vectors


def numbers_file(array: np.ndarray) -> bytes:
    """Return a .npy file."""
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


VECTORS = (b"3 2\na 1 2\nb 0.5 -1e-3\nc 1 0\n", b"2 3\nx 1 2 3\ny 4 5 6\n")
HEADLESS = (b"a 1 2\nb 0.5 -1e-3\nc 1 0\n",)
BINARY = (b"2 2\na " + struct.pack("<2f", 1, 2) + b"\nb " + struct.pack("<2f", 3, 4) + b"\n",)
WINK = (b'{"dimensions": 2, "words": ["a", "b"], "vectors": {"a": [1, 2, 3, 0], "b": [0.5, 1e-3, 1, 1]}}',)
MATRIX = (numbers_file(np.ones((2, 3), np.float32)), numbers_file(np.ones((1, 2, 2), np.float16)))
NPY_WORDS = (
    *(
        b"(2, 3)",
        b"(2,)",
        b"()",
        b"(99999999999,3)",
        b"(-1,3)",
        b"(2**9,)",
        b"'<f4'",
        b"'|O'",
        b"'<U8'",
        b"'>f8'",
        b"'<c8'",
    ),
    *(
        b"True",
        b"None",
        b"lambda:0",
        b"PK\x03\x04",
        b"\x93NUMPY",
        b"[('a','<f4')]",
        b"'|V0'",
        b"1L",
        b"((" * 50,
        b"'<m8'",
    ),
)

# ---- pictures


@cache
def pictures() -> Mapping[str, list[bytes]]:
    """Small pictures in each format that is read."""
    from PIL import Image

    pixels = np.random.default_rng(1).integers(0, 255, (9, 7, 3), dtype=np.uint8)
    found: dict[str, list[bytes]] = {"png": [to_png(pixels)]}
    plain = Image.fromarray(pixels)
    exif = Image.Exif()
    exif[0x0112] = 6
    for name, options in (
        ("png", {"exif": exif}),
        ("jpeg", {}),
        ("jpeg", {"exif": exif, "progressive": True}),
        ("gif", {"save_all": True, "append_images": [plain.rotate(90)], "transparency": 1}),
        ("webp", {"exif": exif}),
        ("webp", {"lossless": True}),
        ("bmp", {}),
    ):
        stream = io.BytesIO()
        plain.save(stream, name.upper(), **options)
        found.setdefault(name, []).append(stream.getvalue())
    stream = io.BytesIO()
    plain.convert("P").save(stream, "PNG", transparency=0)
    found["png"].append(stream.getvalue())
    stream = io.BytesIO()
    plain.convert("LA").save(stream, "PNG")
    found["png"].append(stream.getvalue())
    return found


# ---- models

SMALL = {"hidden": 6, "layers": 1, "embedding": {"word_size": 5, "character_size": 4, "character_hidden": 3}}
SMALL_LANGUAGE = {"hidden": 6, "embed": 4, "layers": 1, "vectors": []}
SENTENCE = Document.from_words(["the", "old", "man", "sees", "a", "dog"])


def make_models(folder: Path) -> dict[str, Path]:
    """Write small models with random weights, most of them with graphs."""
    torch.manual_seed(1)
    tagged = [TaggedExample(document=SENTENCE, labels={"upos": tuple("DANVDN")})] * 3
    labelled = [LabelledExample(document=SENTENCE, label=label) for label in ("a", "b")] * 2
    series = [
        SeriesExample(name="x", columns=("1",), numbers=np.array([[1.0], [2.0], [4.0]]), label=label) for label in "ab"
    ]
    pairs = [ParallelExample(source="the old man", target="der alte Mann")] * 3
    drawn = [PictureExample(name="a", picture=np.zeros((8, 8, 3), np.uint8), captions=("a dog",))] * 3
    given: dict[str, tuple[str, dict[str, Any], list[Any]]] = {
        "pos": ("pos", SMALL, tagged),
        "sentiment": ("sentiment", SMALL, labelled),
        "lm": ("lm", SMALL_LANGUAGE, [TextExample(document=SENTENCE)] * 3),
        "series": ("series", {"hidden": 6, "layers": 1, "answers": "series"}, series),
        "translate": ("translate", {"hidden": 6, "embed": 4, "vocabulary": 300}, pairs),
        "caption": ("caption", {"hidden": 6, "embed": 4}, drawn),
        "loops": ("sentiment", {**SMALL, "cell": "peephole"}, labelled),
    }
    folders = {}
    for name, (task_name, changes, examples) in given.items():
        task_type = tasks.get(task_name)
        settings = parse_settings(task_type.settings_type, changes, name)
        folders[name] = save(folder / name, task_type.prepare(settings, examples))
    for folder in folders.values():
        export_model(folder)
    return folders


def save(folder: Path, task: Task) -> Path:
    """Write a task's network."""
    model = task.build_model()
    save_model(
        folder,
        task=task.name,
        language="en",
        data="none",
        model_settings=task.settings,
        vocabulary=task.vocabulary(),
        vocabulary_files=task.vocabulary_files(),
        weights=model.state_dict(),
        precision="fp32",
        documents={"metrics.json": "{}", "README.md": "a"},
    )
    return folder


def copy_in(source: Path, folder: Path) -> None:
    """Put the files of a sound model into a folder."""
    shutil.copytree(source, folder, dirs_exist_ok=True)


def put_right(path: Path) -> Path:
    """Make config.json describe the spoilt file beside it, and return the folder."""
    folder = path.parent
    config = json.loads(_sound_config(folder))
    facts = file_facts(path)
    config["files"][path.name] = {"size": facts.size, "sha256": facts.sha256}
    (folder / CONFIG_NAME).write_text(json.dumps(config), encoding="utf-8")
    return folder


@cache
def _sound_config(folder: Path) -> str:
    return (folder / CONFIG_NAME).read_text(encoding="utf-8")


def model_reader(name: str, source: Path, file: str, read: Callable[[Path], object], spoil: Mutator) -> Reader:
    """Return the reader of a file of a model folder; ``read`` gets the file or, with right checksums, the folder."""
    sounds = [(source / file).read_bytes()]
    return Reader(name=name, sounds=sounds, read=read, file_name=file, spoil=spoil, prepare=partial(copy_in, source))


def read_vocabulary(path: Path) -> object:
    """Build a task from a spoilt vocabulary."""
    config = read_config(path.parent)
    try:
        values = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise CheckpointError("as read_folder says it") from error
    if not isinstance(values, dict):
        raise CheckpointError("as read_folder says it")
    task_type = tasks.get(config.task)
    files = {file.name: file.read_bytes() for file in path.parent.glob("*.model")}
    return task_type.from_folder(parse_settings(task_type.settings_type, config.model, "x"), values, files)


def read_weights(path: Path) -> object:
    """Read a weights file in both ways."""
    try:
        return _read_weights(path)
    finally:
        content = path.read_bytes()
        for tensor in read_header(path).values():
            tensor.read(content)


def read_graph(path: Path) -> object:
    """Check a graph."""
    return check_graph(path, path.read_bytes(), _sound_header(path.parent / WEIGHTS_NAME))


@cache
def _sound_header(path: Path) -> Mapping[str, Any]:
    return read_header(path)


GRAPHS: tuple[tuple[EngineName, str, str], ...] = (
    ("onnx", "sentiment", GRAPH_NAME),
    ("onnx", "loops", GRAPH_NAME),
    ("onnx", "translate", GRAPH_NAME),
    ("onnx", "translate", STEP_GRAPH_NAME),
    ("onnx", "lm", STEP_GRAPH_NAME),
    ("compiled", "pos", GRAPH_NAME),
)
"""Engines, models and graphs that spoilt graphs are tried with."""


def run_graph(engine: EngineName, path: Path) -> object:
    """Predict with a spoilt graph, if it passes the check."""
    read_graph(path)
    pipeline = Pipeline(put_right(path), engine=engine)
    return pipeline.predict("the old cat"), pipeline.predict("the cat sat")


def read_subwords(path: Path) -> object:
    """Read a subword model and cut a text with it."""
    model = SubwordModel.from_bytes(path.read_bytes())
    for text in ("the old man", " a\u0301 🙂", "x" * 200):
        model.decode(model.encode(text))
    return model.decode(range(min(50, len(model))))


# ---- annotate and serve

SHARD = {
    "source": "a.txt",
    "first": 1,
    "rows": 2,
    "errors": 0,
    "bytes": 3,
    "sha256": hashlib.sha256(b"abc").hexdigest(),
}
MANIFEST: dict[str, Any] = {
    "model": "x",
    "shards": [
        {"name": "shard-000000.txt", **SHARD, "errors": 1, "bad_rows": [[1, "x"]]},
        {"name": "shard-000001.txt", **SHARD, "first": 3},
    ],
}


def read_table(kind: str, path: Path) -> object:
    """Read a file as annotate does."""
    source = SOURCES[kind]
    names = source.columns(path)
    column = names[0] if names else "text"
    given = 0
    for block in source.blocks(path, Limits(rows=3, size=1 << 20)):
        rows = source.rows(block, column, "annotation")
        given += len(rows.given) + sum(len(line) for line in rows.objects()) + rows.table().num_rows
    return given


def resume_output(path: Path) -> object:
    """Go on with an output folder of annotate."""
    for other in path.parent.iterdir():
        if other != path:
            other.unlink()
    (path.parent / "shard-000000.txt").write_bytes(b"abc")
    output = OutputFolder(path.parent, "text", should_resume=True)
    try:
        output.begin({"model": "x"})
        return [output.check_block(index, "a.txt", 1, 2) for index in range(2)]
    finally:
        output.close()


@cache
def parquet_files() -> list[bytes]:
    """Small Parquet files."""
    import pyarrow
    from pyarrow import parquet

    found = []
    for columns, options in (
        ({"text": ["a", "b", None], "n": [1, 2, 3]}, {}),
        ({"text": ["x" * 40] * 20, "f": [0.5] * 20, "l": [[1], []] * 10}, {"compression": "zstd"}),
        ({"text": [b"\xff", b"a"]}, {"compression": "none", "use_dictionary": False}),
    ):
        stream = io.BytesIO()
        parquet.write_table(pyarrow.table(columns), stream, **options)
        found.append(stream.getvalue())
    return found


TEXTS = b'{"inputs": ["a dog", 5, "", "x y"]}'
WRITING = b'{"inputs": "the", "max_new_tokens": 3, "num_beams": 2, "num_return_sequences": 2}'
BODIES = {
    "pos": (
        b'{"inputs": "the old man", "label": "upos"}',
        b'{"inputs": [["a", "dog"], ["b"], [5]], "pretokenized": true}',
        TEXTS,
    ),
    "sentiment": (
        b'{"inputs": "the old man", "top_k": null}',
        b'{"inputs": ["a dog", "b"], "explain": true, "pretokenized": false}',
        TEXTS,
    ),
    "lm": (WRITING, b'{"inputs": "the", "max_new_tokens": 3, "temperature": 0.8, "top_p": 0.9, "seed": 1}', TEXTS),
    "series": (b'{"inputs": {"1": [1, 2.5, null]}}', b'{"inputs": [{"1": ["1", "?"]}, {"x": [1]}, "ab"]}'),
    "translate": (WRITING, b'{"inputs": "the old man", "attention": true, "max_new_tokens": 3}', TEXTS),
    "caption": (b'{"inputs": "%s", "max_new_tokens": 3}' % base64.b64encode(to_png(np.zeros((4, 4, 3), np.uint8))),),
}


FEW = ServingLimits(max_text=300, max_new_tokens=8, max_sequences=4)
"""What is computed is not what is tested here, so it is little."""


class BodyChecker:
    """What a server makes of a body up to the point where a batch is computed, and the answer.

    Args:
        folder: the served model.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._pipeline: Pipeline | None = None

    def read(self, path: Path) -> object:
        """Read the body in a file and predict."""
        if self._pipeline is None:  # not before the fork
            self._pipeline = Pipeline(self._folder, engine="torch")
            self._served = ServedModel(["x"], self._folder, FEW, ServerMetrics().of_model("x"))
            self._loop = asyncio.new_event_loop()
            self._loop.run_until_complete(self._served.open(lambda error: None))
        values = read_json({"headers": [(b"content-type", b"application/json")]}, path.read_bytes())

        async def answer() -> tuple[int, bytes, int]:
            return await self._served.answer(values, self._loop.time() + 600)

        status, content, _ = self._loop.run_until_complete(answer())
        json.loads(content)
        if status == 500 or b"made the model fail" in content:
            raise RuntimeError(f"the model failed: {content[:300]!r}")
        return status

    def split(self, path: Path) -> object:
        """Read the body in a file up to the items."""
        predictor = self._predictor()
        values = read_json({"headers": [(b"content-type", b"application/json")]}, path.read_bytes())
        inputs, is_pretokenized, _ = parse_request(self._request(), values)
        given, _ = split_inputs(predictor, inputs, is_pretokenized=is_pretokenized)
        return [read_item(predictor, value, "x", max_text=10_000) for value in given]

    @cache  # noqa: B019
    def _predictor(self) -> Any:
        return Pipeline(self._folder, engine="torch").predictor

    @cache  # noqa: B019
    def _request(self) -> Any:
        return ServedModel(["x"], self._folder, ServingLimits(), ServerMetrics().of_model("x")).request_type


def archive_files() -> list[bytes]:
    """A tarball with two files and a folder."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        for name in ("package/a.txt", "package/sub/b.txt"):
            entry = tarfile.TarInfo(name)
            entry.size = 5
            tar.addfile(entry, io.BytesIO(b"hello"))
        entry = tarfile.TarInfo("package/link")
        entry.type, entry.linkname = tarfile.SYMTYPE, "/etc/hosts"
        tar.addfile(entry)
    return [stream.getvalue()]


def zip_files() -> list[bytes]:
    """A wheel with two files."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("x/a.txt", "hello" * 20)
        file.writestr("x/b.json", "{}")
    return [stream.getvalue()]


def unpack(path: Path) -> object:
    """Unpack an archive as packages are."""
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        unpack_archive(path, ["*.txt"], Path(folder), max_bytes=1 << 20)
        return [
            file.resolve().is_relative_to(Path(folder).resolve()) or _escaped(file) for file in Path(folder).iterdir()
        ]


def unpack_model(path: Path) -> object:
    """Unpack a model that came as bytes."""
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        unpack_folder(path.read_bytes(), Path(folder) / "m")
        return read_config(Path(folder) / "m")


def _escaped(file: Path) -> bool:
    raise RuntimeError(f"{file} leads out of the folder")


def read_override(path: Path) -> object:
    """Read an override of a recipe."""
    return apply_overrides({"model": {"hidden": 1}}, [path.read_bytes().decode("utf-8", "replace")])


def read_pair_of_files(path: Path) -> object:
    """Read a file of lines beside its translation."""
    paths = [path, path.with_suffix(".de")]
    return read_examples(paths, "parallel-lines", kind="parallel", reading=ParallelSettings())


def give(name: str, content: bytes, folder: Path) -> None:
    """Put a file into a folder."""
    (folder / name).write_bytes(content)


def make_readers(folder: Path) -> dict[str, Reader]:
    """Return all readers by name.

    Args:
        folder: where sound models are written; empty.
    """
    models = make_models(folder)
    subwords = SubwordModel.train(["the old man sees a quiet harbour", "a dog"] * 20, size=300)
    picture = partial(give, "a.png", pictures()["png"][0])
    json_lines, tables = spoil_json_lines, with_words(*TABLE_WORDS)
    data = [
        examples_reader("conllu", "a.conllu", CONLLU, with_words(b"\t", b"1-2", b"1.1", b"_\t", b"# "), "tagged"),
        examples_reader("columns", "a.tsv", COLUMNS, with_words(b"\t", b" ", b"\n\n", b"-DOCSTART-"), "tagged"),
        examples_reader("jsonl", "a.jsonl", TAGGED_LINES, json_lines, "tagged"),
        examples_reader("brown", "a.txt", BROWN, with_words(b"/", b"/nn", b"-hl", b"+", b"*", b"$"), "tagged"),
        examples_reader("text", "a.txt", PLAIN, spoil_bytes, "running"),
        examples_reader("tokens", "a.tokens", PLAIN, spoil_bytes, "running"),
        examples_reader("conllu-text", "a.conllu", CONLLU, with_words(b"\t", b"1-2"), "running"),
        examples_reader("brown-text", "a.txt", BROWN, with_words(b"/", b"/nn"), "running"),
        examples_reader("trees-text", "a.txt", TREES, with_words(*TREE_WORDS), "running"),
        examples_reader("imdb-text", "a.json", IMDB, spoil_json, "running"),
        examples_reader("tsv", "a.tsv", LABELLED_TABLE, tables, "labelled"),
        examples_reader("csv", "a.csv", LABELLED_CSV, tables, "labelled"),
        examples_reader("labelled-jsonl", "a.jsonl", LABELLED_LINES, json_lines, "labelled"),
        examples_reader("trees", "a.txt", TREES, with_words(*TREE_WORDS), "labelled"),
        examples_reader("vader", "movie_a.txt", VADER, with_words(b"\t", b"&#x1F600;", b"&#99999999;"), "labelled"),
        examples_reader("imdb", "a.json", IMDB, spoil_json, "labelled"),
        examples_reader("parallel-tsv", "a.tsv", PARALLEL_TABLE, tables, "parallel"),
        examples_reader("parallel-jsonl", "a.jsonl", PARALLEL_LINES, json_lines, "parallel"),
        Reader(
            name="parallel-lines",
            file_name="a.en",
            sounds=[b"A dog.\nYes.\nNo.\n"],
            read=read_pair_of_files,
            prepare=partial(give, "a.de", b"Ein Hund.\nJa.\nNein.\n"),
        ),
        examples_reader("gettext", "a.po", PO, with_words(*PO_WORDS), "parallel"),
        renamed(
            "gettext-mo",
            examples_reader(
                "gettext",
                "a.mo",
                [machine_catalogue(MO_PAIRS), machine_catalogue(MO_PAIRS, ">")],
                with_words(*PO_WORDS, *(struct.pack("<I", n) for n in (0, 1, 28, 60, 2**31, 2**32 - 1))),
                "parallel",
            ),
        ),
        examples_reader("series-table", "a.csv", SERIES_TABLE, tables, "series"),
        renamed(
            "series-table-read",
            examples_reader(
                "series-table",
                "a.csv",
                SERIES_TABLE[:1],
                tables,
                "series",
                SeriesReading(series="kind", time="day", numbers={"price": "log-change"}, ahead="price", horizon=2),
            ),
        ),
        examples_reader("series-jsonl", "a.jsonl", SERIES_LINES, json_lines, "series"),
        examples_reader("ts", "a.ts", TS, with_words(b":", b",", b"?", b"@data", b"@timestamps true"), "series"),
        examples_reader("modlamp", "a.csv", MODLAMP, with_words(b",", b",1\n"), "series"),
        examples_reader("karpathy", "a.json", KARPATHY, spoil_json, "pictures", PictureReading(), picture),
        examples_reader(
            "picture-tokens", "a.token", TOKENS, with_words(b"#", b"\t", b"../"), "pictures", None, picture
        ),
        Reader(name="lines", file_name="a.txt", sounds=PLAIN, read=lambda path: sum(1 for _ in read_pieces(path))),
        Reader(
            name="lines-gz",
            file_name="a.conllu.gz",
            sounds=CONLLU,
            read=lambda path: read_examples([path], "conllu"),
            spoil=packed(spoil_bytes),
        ),
        Reader(
            name="catalogue-gz",
            file_name="a.mo.gz",
            sounds=[machine_catalogue(MO_PAIRS)],
            read=lambda path: read_examples([path], "gettext", kind="parallel"),
            spoil=packed(spoil_bytes),
        ),
    ]
    vectors = [
        Reader(
            name=f"vectors-{name}", file_name=file, sounds=sounds, read=read_vector_file, spoil=spoil, prepare=prepare
        )
        for name, file, sounds, spoil, prepare in (
            ("text", "a.txt", VECTORS, with_words(b" ", b"\n"), lambda folder: None),
            ("headless", "a.txt", HEADLESS, with_words(b" ", b"\n"), lambda folder: None),
            ("binary", "a.bin", BINARY, with_words(b" ", b"\n"), lambda folder: None),
            ("gz", "a.txt.gz", [*VECTORS, *BINARY], packed(spoil_bytes), lambda folder: None),
            ("wink", "a.json", WINK, spoil_json, lambda folder: None),
            ("npy", "a.npy", MATRIX[:1], with_words(*NPY_WORDS), partial(give, "a.txt", b"x\ny\n")),
        )
    ]
    images = [
        Reader(
            name=f"picture-{name}",
            file_name=f"a.{name}",
            sounds=sounds,
            read=lambda path: load_pixels(path, 16),
            spoil=spoil_png if name == "png" else spoil_bytes,
        )
        for name, sounds in pictures().items()
    ]
    features = Reader(
        name="picture-features",
        file_name="a.npy",
        sounds=MATRIX,
        read=lambda path: load_features(path, None),
        spoil=with_words(*NPY_WORDS),
    )
    recipes = [
        Reader(
            name="recipe",
            file_name="a.yaml",
            sounds=RECIPE,
            read=lambda path: load_recipe(str(path)),
            spoil=with_words(*YAML_WORDS),
        ),
        Reader(
            name="override",
            file_name="a.txt",
            sounds=[b"model.hidden=[1, {a: 2}]", b"a.b=2001-01-01"],
            read=read_override,
            spoil=with_words(*YAML_WORDS),
        ),
        Reader(
            name="run-status",
            file_name="run.json",
            read=lambda path: read_status(path.parent),
            spoil=spoil_json,
            sounds=[b'{"is_finished": false, "data": "a/b", "num_seeds": 2}'],
        ),
    ]
    from_models = [
        model_reader("model-config", models["pos"], CONFIG_NAME, lambda path: read_config(path.parent), spoil_json),
        *(
            model_reader(f"model-vocabulary-{name}", models[name], VOCABULARY_NAME, read_vocabulary, spoil_json)
            for name in models
        ),
        model_reader("model-weights", models["pos"], WEIGHTS_NAME, read_weights, spoil_safetensors),
        model_reader("model-graph", models["pos"], GRAPH_NAME, read_graph, spoil_protobuf),
        *(
            model_reader(f"{engine}-{name}-{graph}", models[name], graph, partial(run_graph, engine), spoil_protobuf)
            for engine, name, graph in GRAPHS
        ),
        model_reader("model-open", models["sentiment"], CONFIG_NAME, lambda path: open_model(path.parent), spoil_json),
        *(
            model_reader(
                f"model-open-{name}", models[name], CONFIG_NAME, lambda path: open_model(path.parent), spoil_json
            )
            for name in models
            if name != "sentiment"
        ),
        model_reader(
            "model-open-weights",
            models["pos"],
            WEIGHTS_NAME,
            lambda path: open_model(put_right(path)),
            spoil_safetensors,
        ),
        model_reader(
            "model-onnx-weights",
            models["series"],
            WEIGHTS_NAME,
            lambda path: OnnxEngine.open(put_right(path)),
            spoil_safetensors,
        ),
        Reader(
            name="model-subwords",
            file_name="a.model",
            sounds=[subwords.to_bytes()],
            read=read_subwords,
            spoil=spoil_protobuf,
        ),
        Reader(name="model-bytes", file_name="a.zip", sounds=[pack_folder(models["lm"])], read=unpack_model),
    ]
    annotate = [
        Reader(
            name=f"annotate-{kind}", file_name=f"a.{kind}", sounds=sounds, read=partial(read_table, kind), spoil=spoil
        )
        for kind, sounds, spoil in (
            ("csv", LABELLED_CSV, tables),
            ("jsonl", LABELLED_LINES, json_lines),
            ("parquet", parquet_files(), spoil_bytes),
        )
    ]
    journal = [{"model": "x"}, *({"index": index, **shard} for index, shard in enumerate(MANIFEST["shards"]))]
    annotate += [
        Reader(
            name="annotate-manifest",
            file_name=MANIFEST_NAME,
            sounds=[json.dumps(MANIFEST).encode()],
            read=resume_output,
            spoil=spoil_json,
        ),
        Reader(
            name="annotate-journal",
            file_name=JOURNAL_NAME,
            read=resume_output,
            spoil=json_lines,
            sounds=[b"".join(json.dumps(line).encode() + b"\n" for line in journal)],
        ),
    ]
    bodies = [
        Reader(
            name=f"body-{name}",
            file_name="a.json",
            sounds=BODIES[name],
            read=BodyChecker(models[name]).split,
            spoil=spoil_json,
            refusals=(RefusedError,),
        )
        for name in BODIES
    ]
    served = [
        Reader(
            name=f"served-{name}",
            file_name="a.json",
            sounds=BODIES[name],
            read=BodyChecker(models[name]).read,
            spoil=spoil_json,
            refusals=(RefusedError,),
        )
        for name in BODIES
    ]
    archives = [
        Reader(name="package-tar", file_name="a.tgz", sounds=archive_files(), read=unpack, spoil=packed(spoil_bytes)),
        Reader(name="package-zip", file_name="a.whl", sounds=zip_files(), read=unpack),
    ]
    everyone = [*data, *vectors, *images, features, *recipes, *from_models, *annotate, *bodies, *served, *archives]
    return {reader.name: reader for reader in everyone}


def renamed(name: str, reader: Reader) -> Reader:
    """Return a reader under another name."""
    return Reader(**{**vars(reader), "name": name})

"""Annotating files: equal to Pipeline.predict, the same for any number of workers, and nothing lost by kills."""

import csv
import gzip
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
import warnings
from functools import lru_cache
from pathlib import Path

import pyarrow
import pytest
from pyarrow import parquet
from samples import bundled_model, corpus_file
from typer.testing import CliRunner

import nlp_lstm
from nlp_lstm.bulk import annotate
from nlp_lstm.bulk import run as bulk_run
from nlp_lstm.bulk.blocks import Limits
from nlp_lstm.bulk.sources import SOURCES
from nlp_lstm.cli import app
from nlp_lstm.data.readers import read_conllu
from nlp_lstm.errors import CheckpointError, ConfigError, DataError
from nlp_lstm.pipeline import Pipeline

REVIEWS = ["A quiet, wonderful film.", 'She said "no"\nand left, too.', "नाव गई। 👍🏽", "Dull\u2028and long."]


@lru_cache(maxsize=1)
def sentences() -> tuple[str, ...]:
    """Real sentences: the first ones of a treebank's test part."""
    examples = read_conllu(corpus_file("ud-english-ewt/*-test.conllu*"))
    return tuple(example.document.text for example in examples[:130])


@pytest.fixture
def tagger() -> Path:
    return bundled_model("pos-en")


@pytest.fixture
def critic() -> Path:
    return bundled_model("sentiment-en")


@lru_cache(maxsize=1)
def open_critic() -> Pipeline:
    return Pipeline(bundled_model("sentiment-en"))


@pytest.fixture
def text_file(tmp_path) -> Path:
    path = tmp_path / "in.txt"
    path.write_text("".join(f"{text}\n" for text in sentences()), encoding="utf-8")
    return path


def contents(folder: Path) -> dict[str, bytes]:
    """All files of a folder."""
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def read_shards(folder: Path) -> list[dict]:
    """The objects of all shards of JSON lines, in order."""
    names = [shard["name"] for shard in read_manifest(folder)["shards"]]
    assert names == sorted(names)
    lines = [line for name in names for line in (folder / name).read_text(encoding="utf-8").split("\n")[:-1]]
    return [json.loads(line) for line in lines]


def read_manifest(folder: Path) -> dict:
    return json.loads((folder / "manifest.json").read_text(encoding="utf-8"))


def write_jsonl(path: Path, rows: list) -> Path:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


# ---- what comes out


def test_answers_are_those_of_predict(tagger, text_file, tmp_path):
    summary = annotate(text_file, tmp_path / "out", model=tagger, form="jsonl", shard_rows=60, workers=1)
    rows = read_shards(tmp_path / "out")
    expected = Pipeline(tagger).predict(list(sentences()))
    assert [row["text"] for row in rows] == list(sentences())
    assert summary.rows == len(rows) == read_manifest(tmp_path / "out")["rows"]
    assert [shard["rows"] for shard in read_manifest(tmp_path / "out")["shards"]] == [60, 60, 10]
    for row, tokens in zip(rows, expected, strict=True):
        scores = [token.pop("score") for token in row["annotation"]]
        assert scores == pytest.approx([token.pop("score") for token in tokens], abs=1e-5)  # other batches
        assert row["annotation"] == tokens


def test_lines_of_text_become_lines_of_text(tagger, text_file, tmp_path):
    annotate(text_file, tmp_path / "out", model=tagger, workers=1, options={"label": "xpos"})
    written = (tmp_path / "out" / "shard-000000.txt").read_text(encoding="utf-8").split("\n")[:-1]
    assert written == list(Pipeline(tagger).predict_lines(sentences(), label="xpos"))


def test_any_number_of_workers_writes_the_same_bytes(critic, text_file, tmp_path):
    for workers in (1, 2):
        out = tmp_path / str(workers)
        annotate(text_file, out, model=critic, form="parquet", shard_rows=20, workers=workers)
    assert contents(tmp_path / "1") == contents(tmp_path / "2")
    assert len(contents(tmp_path / "1")) == 8


def test_json_lines_keep_what_they_hold_to_the_byte(critic, tmp_path):
    lines = [
        '{"id": 1e400, "review": "A quiet, wonderful film.", "n": 1.10}',
        '  {"review":"Too long.","half":"\\ud83d","id":12345678901234567890}  ',
        "",
        '{"review": "Dull\u2028and long."}\r',
    ]
    path = tmp_path / "in.jsonl"
    path.write_bytes(b"\xef\xbb\xbf" + "\n".join(lines).encode())
    annotate(path, tmp_path / "out", model=critic, into="mood", options={"top_k": 2}, workers=1)
    written = (tmp_path / "out" / "shard-000000.jsonl").read_text(encoding="utf-8").split("\n")[:-1]
    texts = ["A quiet, wonderful film.", "Too long.", "Dull\u2028and long."]
    for line, before, answer in zip(
        written, [lines[0], lines[1], lines[3]], open_critic().predict(texts, top_k=2), strict=True
    ):
        assert line.startswith(before.strip()[:-1] + ", ")
        assert json.loads(line)["mood"] == answer


def test_csv_keeps_its_columns(critic, tmp_path):
    with (tmp_path / "in.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([["id", "Review"], *([f"{n}\r", text] for n, text in enumerate(REVIEWS))])
    annotate(tmp_path / "in.csv", tmp_path / "out", model=critic, workers=1)
    with (tmp_path / "out" / "shard-000000.csv").open(encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file, strict=True)
    assert header == ["id", "Review", "annotation"]
    assert [row[:2] for row in rows] == [[f"{n}\r", text] for n, text in enumerate(REVIEWS)]
    assert [json.loads(row[2]) for row in rows] == open_critic().predict(REVIEWS)


def test_parquet_keeps_its_columns_and_their_types(critic, tmp_path):
    table = pyarrow.table(
        {
            "id": pyarrow.array(range(700), pyarrow.int16()),
            "sentence": pyarrow.array((REVIEWS * 200)[:700]).dictionary_encode(),
            "vector": pyarrow.array([[0.5, float("nan")]] * 700, pyarrow.list_(pyarrow.float32())),
        }
    )
    parquet.write_table(table, tmp_path / "in.parquet", row_group_size=300)
    annotate(tmp_path / "in.parquet", tmp_path / "out", model=critic, shard_rows=290, workers=1)
    names = [shard["name"] for shard in read_manifest(tmp_path / "out")["shards"]]
    written = pyarrow.concat_tables(parquet.read_table(tmp_path / "out" / name) for name in names)
    assert [shard["first"] for shard in read_manifest(tmp_path / "out")["shards"]] == [1, 291, 581]
    assert written.schema.names == [*table.schema.names, "annotation"]
    for name in ("id", "vector"):
        assert written.schema.field(name).type == table.schema.field(name).type
    assert written.column("id").to_pylist() == list(range(700))
    answers = [json.loads(answer) for answer in written.column("annotation").to_pylist()]
    expected = (open_critic().predict(REVIEWS) * 200)[:700]
    assert [answer["label"] for answer in answers] == [answer["label"] for answer in expected]
    annotate(tmp_path / "in.parquet", tmp_path / "json", model=critic, form="jsonl", workers=1)
    assert read_shards(tmp_path / "json")[3]["vector"] == [0.5, None]


def test_a_table_becomes_any_other_form(critic, tmp_path):
    (tmp_path / "in.csv").write_text('n,text\n1,"Good, so good."\n', encoding="utf-8")
    answer = open_critic().predict("Good, so good.")
    for form in ("text", "jsonl", "parquet"):
        annotate(tmp_path / "in.csv", tmp_path / form, model=critic, form=form, workers=1)
    assert (tmp_path / "text" / "shard-000000.txt").read_text(encoding="utf-8") == answer["label"] + "\n"
    assert read_shards(tmp_path / "jsonl") == [{"n": "1", "text": "Good, so good.", "annotation": answer}]
    row = parquet.read_table(tmp_path / "parquet" / "shard-000000.parquet").to_pylist()[0]
    assert (row["n"], json.loads(row["annotation"])) == ("1", answer)


def test_a_folder_of_packed_files_is_read_in_the_order_of_names(critic, tmp_path):
    (tmp_path / "in").mkdir()
    for name, texts in (("b.txt", ["One."]), ("a.txt.gz", ["Two.", "Three."])):
        opened = gzip.open if name.endswith(".gz") else open
        with opened(tmp_path / "in" / name, "wt", encoding="utf-8") as file:
            file.writelines(f"{text}\n" for text in texts)
    annotate(tmp_path / "in", tmp_path / "out", model=critic, form="jsonl", workers=1)
    assert [row["text"] for row in read_shards(tmp_path / "out")] == ["Two.", "Three.", "One."]
    assert [shard["source"] for shard in read_manifest(tmp_path / "out")["shards"]] == ["a.txt.gz", "b.txt"]


def test_shards_are_an_input_again(critic, tagger, tmp_path):
    write_jsonl(tmp_path / "in.jsonl", [{"text": text} for text in REVIEWS])
    annotate(tmp_path / "in.jsonl", tmp_path / "mood", model=critic, into="mood", shard_rows=2, workers=1)
    annotate(tmp_path / "mood", tmp_path / "both", model=tagger, into="tags", shard_rows=2, workers=1)
    rows = read_shards(tmp_path / "both")
    assert [row["mood"]["label"] for row in rows] == [one["label"] for one in open_critic().predict(REVIEWS)]
    assert [row["tags"][0]["word"] for row in rows] == ["A", "She", "नाव", "Dull"]


def test_texts_may_be_tokens(tagger, tmp_path):
    write_jsonl(tmp_path / "in.jsonl", [{"tokens": ["Do", "n't", "!"]}, {"tokens": "We wait ."}, {"tokens": [3]}])
    annotate(tmp_path / "in.jsonl", tmp_path / "out", model=tagger, pretokenized=True, workers=1)
    rows = read_shards(tmp_path / "out")
    assert [token["word"] for token in rows[0]["annotation"]] == ["Do", "n't", "!"]
    assert [token["word"] for token in rows[1]["annotation"]] == ["We", "wait", "."]
    assert rows[2]["annotation"] == {"error": '"tokens", token 0 is 3 (int); give a string'}


def test_long_texts_end_a_shard_before_its_rows_do(tmp_path):
    path = tmp_path / "in.txt"
    path.write_text("".join(f"{'x' * size}\n" for size in (5, 5, 30, 2, 2)), encoding="utf-8")
    blocks = list(SOURCES["text"].blocks(path, Limits(rows=4, size=16)))
    assert [(block.first, block.num_rows, block.end) for block in blocks] == [(1, 3, 43), (4, 2, 49)]


@pytest.mark.parametrize("ending", [".txt", ".jsonl"])
def test_an_input_without_rows(critic, tmp_path, ending):
    (tmp_path / f"in{ending}").write_bytes(b"")
    if ending == ".jsonl":
        with pytest.raises(DataError, match="holds no row"):
            annotate(tmp_path / "in.jsonl", tmp_path / "out", model=critic, workers=1)
        return
    assert annotate(tmp_path / "in.txt", tmp_path / "out", model=critic, workers=1).rows == 0
    assert list(contents(tmp_path / "out")) == ["manifest.json"]


def test_what_there_is_to_say_is_said_once(critic, tmp_path):
    (tmp_path / "in.txt").write_text("\n\nGood.\n\n", encoding="utf-8")
    with pytest.warns(UserWarning, match="the text has no words") as said:
        annotate(tmp_path / "in.txt", tmp_path / "out", model=critic, form="jsonl", shard_rows=1, workers=1)
    assert len(said) == 1
    assert len(read_shards(tmp_path / "out")) == 4


# ---- bad rows, broken files


def test_bad_rows_are_answered_in_place_and_counted(critic, tmp_path):
    good = json.dumps({"text": "Good."}).encode()
    lines = [good, b'{"text": "odd \xff byte"}', b'{"txt": "x"}', b'{"text": 5}', b'{"text": "half \\ud83d"}', good]
    (tmp_path / "in.jsonl").write_bytes(b"\n".join(lines))
    summary = annotate(tmp_path / "in.jsonl", tmp_path / "out", model=critic, shard_rows=2, workers=1)
    rows = read_shards(tmp_path / "out")
    errors = [
        "byte b'\\xff' at position 14 is not UTF-8",
        '\'{"txt": "x"}\' has no "text"',
        '"text" is 5 (int); give a string',
    ]
    assert rows[0] == rows[-1] == {"text": "Good.", "annotation": open_critic().predict("Good.")}
    assert [row["annotation"] for row in rows[1:4]] == [{"error": error} for error in errors]
    assert rows[1]["text"] == "odd \ufffd byte"
    assert "half a character" in rows[4]["annotation"]["error"]
    manifest = read_manifest(tmp_path / "out")
    assert (summary.errors, manifest["errors"]) == (4, 4)
    assert [shard["errors"] for shard in manifest["shards"]] == [1, 2, 1]
    assert [(bad["file"], bad["row"]) for bad in manifest["bad_rows"]] == [("in.jsonl", n) for n in (2, 3, 4, 5)]
    assert [bad["error"] for bad in manifest["bad_rows"][:3]] == errors


def test_bad_rows_of_text_csv_and_parquet(critic, tmp_path):
    (tmp_path / "in.txt").write_bytes(b"Good.\n\xff\xfe\n")
    (tmp_path / "in.csv").write_bytes(b'n,text\n1,Good.\n2\n3,Good.,extra\n4,\xff\n\n5,"Good."\n')
    raw = pyarrow.array([b"Good.", None, b"\xff"], pyarrow.binary()).view(pyarrow.string())
    parquet.write_table(pyarrow.table({"text": raw}), tmp_path / "in.parquet")
    parquet.write_table(pyarrow.table({"text": [1, 2]}), tmp_path / "numbers.parquet")
    found = {}
    for name in ("in.txt", "in.csv", "in.parquet", "numbers.parquet"):
        annotate(tmp_path / name, tmp_path / f"{name}.out", model=critic, workers=1)
        manifest = read_manifest(tmp_path / f"{name}.out")
        found[name] = [(bad["row"], bad["error"]) for bad in manifest["bad_rows"]]
    odd = "byte b'\\xff' at position {} is not UTF-8"
    assert found == {
        "in.txt": [(2, odd.format(0))],
        "in.csv": [
            (3, "'2' has 1 column, and the header has 2"),
            (4, "'3,Good.,extra' has 3 columns, and the header has 2"),
            (5, odd.format(2)),
        ],
        "in.parquet": [(2, '"text" is None (NoneType); give a string'), (3, odd.format(0))],
        "numbers.parquet": [(1, '"text" is 1 (int); give a string'), (2, '"text" is 2 (int); give a string')],
    }
    written = (tmp_path / "in.txt.out" / "shard-000000.txt").read_text(encoding="utf-8").splitlines()
    assert json.loads(written[1]) == {"error": odd.format(0)}
    with (tmp_path / "in.csv.out" / "shard-000000.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file, strict=True))[1:]
    assert [row[:2] for row in rows] == [["1", "Good."], ["2", ""], ["3", "Good."], ["4", "\ufffd"], ["5", "Good."]]


def test_an_input_that_turns_out_to_be_bad_is_answered_in_place(critic, tmp_path, monkeypatch):
    from nlp_lstm.bulk import annotator

    predict = annotator.Pipeline.predict

    def fail_late(pipeline, inputs, **options):
        if "bad" in inputs:
            raise DataError("the picture is damaged")
        return predict(pipeline, inputs, **options)

    monkeypatch.setattr(annotator.Pipeline, "predict", fail_late)
    (tmp_path / "in.txt").write_text("Good.\nbad\nGood.\n", encoding="utf-8")
    annotate(tmp_path / "in.txt", tmp_path / "out", model=critic, form="jsonl", workers=1)
    answers = [row["annotation"] for row in read_shards(tmp_path / "out")]
    assert answers[1] == {"error": "the picture is damaged"}
    assert answers[0] == answers[2] == open_critic().predict("Good.")


def write_broken(folder: Path) -> dict[str, str]:
    """Files that are broken after the first shard, each with what has to be said of it."""
    good = '{"text": "Good."}\n' * 10
    (folder / "cut.jsonl").write_text(good + '{"text": "Go', encoding="utf-8")
    (folder / "list.jsonl").write_text(good + '["Good."]\n' + good, encoding="utf-8")
    (folder / "quote.csv").write_text("text,n\n" + "Good.,1\n" * 10 + '"Good.,1\n' * 3, encoding="utf-8")
    (folder / "cut.txt.gz").write_bytes(gzip.compress(random.Random(0).randbytes(1_000).hex().encode())[:-20])
    parquet.write_table(pyarrow.table({"text": ["Good."] * 10}), folder / "whole.parquet")
    content = (folder / "whole.parquet").read_bytes()
    (folder / "cut.parquet").write_bytes(content[:-10])
    parquet.write_table(
        pyarrow.table({"text": [f"Good {n}." for n in range(2_000)]}),
        folder / "odd.parquet",
        row_group_size=1_000,
        compression="gzip",
        use_dictionary=False,
    )
    content = bytearray((folder / "odd.parquet").read_bytes())
    middle = len(content) // 2 + 500
    content[middle : middle + 200] = bytes(200)
    (folder / "odd.parquet").write_bytes(content)
    return {
        "cut.jsonl": r"cut\.jsonl:11: .* is not JSON",
        "list.jsonl": r"list\.jsonl:11: .* is no object",
        "quote.csv": r"quote\.csv:12: the row that begins here is not CSV",
        "cut.txt.gz": r"cut\.txt\.gz: the gzip data is damaged or cut off after line 0",
        "cut.parquet": r"cut\.parquet: is no whole Parquet file",
        "odd.parquet": r"odd\.parquet: is damaged after row 1\d\d\d",
    }


def test_a_broken_file_is_one_error_with_its_place(critic, tmp_path):
    for name, message in write_broken(tmp_path).items():
        with pytest.raises(DataError, match=message):
            annotate(tmp_path / name, tmp_path / "out" / name, model=critic, shard_rows=5, workers=1)
        left = list((tmp_path / "out" / name).iterdir()) if (tmp_path / "out" / name).exists() else []
        assert all(path.name.startswith(("shard-", ".annotating.jsonl")) for path in left)
        assert "manifest.json" not in {path.name for path in left}


def test_errors_come_from_workers_and_ray_needs_its_extra(critic, tmp_path, monkeypatch):
    (tmp_path / "in.jsonl").write_text('{"text": "Good."}\n{\n', encoding="utf-8")
    (tmp_path / "in.txt").write_text("Good.\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"in\.jsonl:2: '{' is not JSON"):
        annotate(tmp_path / "in.jsonl", tmp_path / "out", model=critic, shard_rows=1, workers=2, text="text")
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ConfigError, match=r'engine "ray" .*nlp-lstm\[distributed\]'):
        annotate(tmp_path / "in.txt", tmp_path / "ray", model=critic, engine="ray")


@pytest.mark.parametrize(
    ("name", "content", "options", "message"),
    [
        ("in.doc", "x", {}, r"in\.doc: the ending '\.doc' names no known kind of file"),
        ("in.csv", "a,b\n1,2\n", {}, "no column tells that it is the text; columns: 'a', 'b'"),
        ("in.csv", "a;text\n1;2\n", {}, "one column with a semicolon in it"),
        ("in.csv", "a,a\n1,2\n", {}, r"two columns are called .a."),
        ("in.csv", "text,review\n1,2\n", {"text": "revew"}, 'Did you mean "review"'),
        ("in.csv", "text,annotation\n1,2\n", {}, 'has a column "annotation" already'),
        ("in.jsonl", '{"text": "x", "annotation": 1}\n', {}, "name another"),
        ("in.jsonl", '{"text": "x"}\n', {"form": "csv"}, "need not have the same keys"),
        ("in.txt", "x\n", {"text": "review"}, "lines of text have no columns"),
        ("in.txt", "x\n", {"form": "xml"}, 'the form is "xml"'),
        ("in.txt", "x\n", {"engine": "rya"}, 'Did you mean "ray"'),
        ("in.txt", "x\n", {"shard_rows": 0}, "both are at least 1"),
        ("in.txt", "x\n", {"options": {"topk": 1}}, 'unknown option "topk"'),
    ],
)
def test_wrong_settings_begin_nothing(critic, tmp_path, name, content, options, message):
    (tmp_path / name).write_text(content, encoding="utf-8")
    with pytest.raises((ConfigError, DataError), match=message):
        annotate(tmp_path / name, tmp_path / "out", model=critic, workers=1, **options)
    assert not (tmp_path / "out").exists()


# ---- the output folder


def test_a_folder_that_holds_something_else_is_left_alone(critic, tmp_path):
    (tmp_path / "in.txt").write_text("Good.\n", encoding="utf-8")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.md").write_text("mine", encoding="utf-8")
    for resume in (False, True):
        with pytest.raises(ConfigError, match=r"mine holds something else \('notes\.md'\)"):
            annotate(tmp_path / "in.txt", tmp_path / "mine", model=critic, resume=resume, workers=1)
        with pytest.raises(ConfigError, match=r"in\.txt is no folder"):
            annotate(tmp_path / "in.txt", tmp_path / "in.txt", model=critic, resume=resume, workers=1)
    assert list(contents(tmp_path / "mine")) == ["notes.md"]


def test_in_int8_the_answers_are_those_of_predict_and_resuming_needs_it_too(tagger, tmp_path):
    try:
        pipeline = Pipeline(tagger, precision="int8")
    except ConfigError as error:
        pytest.skip(str(error))
    (tmp_path / "in.txt").write_text("\n".join(sentences()) + "\n", encoding="utf-8")
    out = tmp_path / "out"
    annotate(tmp_path / "in.txt", out, model=tagger, precision="int8", form="jsonl", shard_rows=50, workers=2)
    rows = [json.loads(line) for path in sorted(out.glob("shard-*")) for line in path.read_text("utf-8").splitlines()]
    assert [row["annotation"] for row in rows] == [pipeline.predict(text) for text in sentences()]
    assert json.loads((out / "manifest.json").read_text("utf-8"))["precision"] == "int8"
    with pytest.raises(ConfigError, match="was begun with another engine"):
        annotate(tmp_path / "in.txt", out, model=tagger, form="jsonl", shard_rows=50, workers=1, resume=True)


def test_resuming_needs_the_same_input_model_and_options(critic, tmp_path):
    path = tmp_path / "in.txt"
    path.write_text("Good.\nBad.\n", encoding="utf-8")
    other = Path(shutil.copytree(critic, tmp_path / "other"))
    (other / "config.json").write_text((other / "config.json").read_text(encoding="utf-8") + "\n", encoding="utf-8")
    given = {"model": critic, "form": "jsonl", "shard_rows": 1, "workers": 1}
    stop_after(1, lambda: annotate(path, tmp_path / "out", **given))
    with pytest.raises(ConfigError, match="before; go on with --resume"):
        annotate(path, tmp_path / "out", **given)
    for changes, name in (
        ({"model": other}, "models"),
        ({"options": {"top_k": None}}, "options"),
        ({"form": "csv"}, "output"),
        ({"shard_rows": 2}, "output"),
        ({"pretokenized": True}, "pretokenized"),
    ):
        with pytest.raises(ConfigError, match=f"was begun with another {name}: "):
            annotate(path, tmp_path / "out", resume=True, **{**given, **changes})
    path.write_text("Good.\nBad!\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="was begun with another input: "):
        annotate(path, tmp_path / "out", resume=True, **given)
    path.write_text("Good.\nBad.\n", encoding="utf-8")
    annotate(path, tmp_path / "out", resume=True, **given)
    assert len(read_shards(tmp_path / "out")) == 2


def stop_after(num_shards: int, work) -> None:
    """Run an annotation that is stopped, as by Ctrl-C, when so many shards have been written."""
    add = bulk_run.OutputFolder.add

    def interrupted(folder, *given):
        if len(folder.done) == num_shards:
            raise KeyboardInterrupt
        return add(folder, *given)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bulk_run.OutputFolder, "add", interrupted)
        with pytest.raises(KeyboardInterrupt):
            work()


def test_a_lost_or_altered_shard_is_made_again(critic, tmp_path):
    path = tmp_path / "in.txt"
    path.write_text("Good.\nBad.\nSo-so.\n", encoding="utf-8")
    given = {"model": critic, "form": "jsonl", "shard_rows": 1, "workers": 1}
    annotate(path, tmp_path / "out", **given)
    before = contents(tmp_path / "out")
    assert annotate(path, tmp_path / "out", resume=True, **given).rows_before == 3
    (tmp_path / "out" / "shard-000000.jsonl").unlink()
    content = bytearray(before["shard-000002.jsonl"])
    content[5] ^= 1
    (tmp_path / "out" / "shard-000002.jsonl").write_bytes(content)
    assert annotate(path, tmp_path / "out", resume=True, **given).rows_before == 1
    assert contents(tmp_path / "out") == before


def test_a_folder_is_written_by_one_process_at_a_time(critic, tmp_path):
    (tmp_path / "in.txt").write_text("Good.\n", encoding="utf-8")
    held = bulk_run.OutputFolder(tmp_path / "out", "text", should_resume=False)
    with pytest.raises(ConfigError, match="is being written by another process"):
        annotate(tmp_path / "in.txt", tmp_path / "out", model=critic, workers=1)
    held.close()
    annotate(tmp_path / "in.txt", tmp_path / "out", model=critic, workers=1)


def test_an_input_that_changes_while_it_is_read_gets_no_manifest(critic, tmp_path):
    path = tmp_path / "in.txt"
    path.write_text("Good.\nBad.\n", encoding="utf-8")

    def change(progress):
        if progress.stage == "annotating":
            os.utime(path, ns=(1, 1))

    with pytest.raises(DataError, match="was changed while it was read"):
        annotate(path, tmp_path / "out", model=critic, workers=1, on_progress=change)
    assert not (tmp_path / "out" / "manifest.json").exists()


# ---- kills, full disks


def in_child(work) -> int:
    """Run something in a copy of this process, and return how it ended, as os.waitpid says."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # other threads are not needed there
        child = os.fork()
    if child == 0:
        try:
            work()
        finally:
            os._exit(0)
    return os.waitpid(child, 0)[1]


CALLS = ("fsync", "replace", "open", "unlink")


def die_at(moment: int) -> None:
    """Let this process be killed at so many calls of the system that write."""
    passed = 0

    def watch(name: str) -> None:
        call = getattr(os, name)

        def counted(*given, **options):
            nonlocal passed
            passed += 1
            if passed == moment:
                os.kill(os.getpid(), signal.SIGKILL)
            return call(*given, **options)

        setattr(os, name, counted)

    for name in CALLS:
        watch(name)


@pytest.mark.parametrize("kills", [6, pytest.param(120, marks=pytest.mark.slow)], ids=["a few kills", "many kills"])
def test_kills_at_any_place_lose_double_and_reorder_nothing(critic, text_file, tmp_path, kills):
    given = {"model": critic, "form": "jsonl", "shard_rows": 12, "workers": 1}
    lines = text_file.read_bytes().splitlines(keepends=True)[:60]
    text_file.write_bytes(b"".join(lines))
    annotate(text_file, tmp_path / "whole", **given)
    expected = contents(tmp_path / "whole")
    drawn = random.Random(kills)
    done = killed = 0
    out = tmp_path / "out"
    while killed < kills:

        def work() -> None:
            die_at(drawn.randrange(1, 25))
            annotate(text_file, out, resume=True, **given)

        drawn.seed(f"{kills}/{killed}/{done}")
        if os.WIFSIGNALED(in_child(work)):
            killed += 1
            assert (out / "manifest.json").exists() <= (len(list(out.glob("shard-*"))) == len(expected) - 1)
            for path in out.glob("shard-*"):
                assert path.read_bytes() == expected[path.name]
        if (out / "manifest.json").exists():
            done += 1
            annotate(text_file, out, resume=True, **given)
            assert contents(out) == expected
            shutil.rmtree(out)
    annotate(text_file, out, resume=True, **given)
    assert contents(out) == expected


def test_a_clock_that_is_put_back_or_forward_changes_nothing(critic, text_file, tmp_path):
    given = {"model": critic, "form": "jsonl", "shard_rows": 12, "workers": 1}
    annotate(text_file, tmp_path / "whole", **given)
    out = tmp_path / "out"

    def work() -> None:
        die_at(16)
        annotate(text_file, out, **given)

    assert os.WIFSIGNALED(in_child(work))
    for time_of_change in (1, 4_000_000_000 * 10**9):
        for path in (text_file, out, *out.iterdir()):
            os.utime(path, ns=(time_of_change, time_of_change))
    assert annotate(text_file, out, resume=True, **given).rows_before > 0
    assert contents(out) == contents(tmp_path / "whole")


def test_a_full_disk_is_one_error_and_what_was_done_is_kept(critic, tmp_path):
    path = tmp_path / "in.txt"
    path.write_text("Good.\n" * 4 + "Bad, so bad. " * 400 + "\n", encoding="utf-8")
    given = {"model": critic, "form": "jsonl", "shard_rows": 2, "workers": 1}
    said = tmp_path / "said"

    def work() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (3_000, 3_000))
        try:
            annotate(path, tmp_path / "out", **given)
        except OSError as error:
            said.write_text(f"{error.filename}: {error.strerror}", encoding="utf-8")

    assert in_child(work) == 0
    assert said.read_text(encoding="utf-8").startswith(
        f"{tmp_path / 'out' / 'shard-000002.jsonl'}: File too large; all before it is kept: make room"
    )
    assert sorted(contents(tmp_path / "out")) == [".annotating.jsonl", "shard-000000.jsonl", "shard-000001.jsonl"]
    assert annotate(path, tmp_path / "out", resume=True, **given).rows_before == 4
    annotate(path, tmp_path / "whole", **given)
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")


def start(*arguments: object) -> subprocess.Popen:
    """Start the command line in a process of its own."""
    environment = {**os.environ, "PYTHONPATH": str(Path(nlp_lstm.__file__).parent.parent)}
    command = [sys.executable, "-m", "nlp_lstm", "annotate", *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment)


def children(process: subprocess.Popen) -> list[Path]:
    """The processes that it has started, as folders of /proc."""
    listed = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    if not listed.exists():
        pytest.skip("this system does not list the children of a process")
    return [Path(f"/proc/{child}") for child in listed.read_text(encoding="ascii").split()]


def wait_for(is_true, seconds: float = 120.0) -> None:
    """Wait until something is true."""
    end = time.monotonic() + seconds
    while not is_true():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_the_command_is_killed_its_workers_end_and_it_goes_on(critic, tmp_path):
    (tmp_path / "in.txt").write_text("".join(f"Film {n}.\n" for n in range(600)), encoding="utf-8")
    given = [tmp_path / "in.txt", tmp_path / "out", "--model", critic, "--shard-rows", 3]
    with start(*given, "--workers", 2) as process:
        wait_for(lambda: (tmp_path / "out" / "shard-000001.txt").exists() or process.poll() is not None)
        workers = children(process)
        process.kill()
        process.communicate()
    assert workers
    wait_for(lambda: not any(worker.exists() for worker in workers))
    assert not (tmp_path / "out" / "manifest.json").exists()
    result = CliRunner().invoke(app, ["annotate", *map(str, given), "--workers", "1", "--resume"])
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("600 rows, ")
    assert "of them before\nmanifest: " in result.stdout
    annotate(tmp_path / "in.txt", tmp_path / "whole", model=critic, shard_rows=3, workers=1)
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")


@pytest.mark.slow
def test_ctrl_c_stops_and_the_command_goes_on(critic, tmp_path):
    (tmp_path / "in.txt").write_text("".join(f"Film {n}.\n" for n in range(600)), encoding="utf-8")
    given = [tmp_path / "in.txt", tmp_path / "out", "--model", critic, "--shard-rows", 3, "--workers", 2]
    with start(*given) as process:
        wait_for(lambda: (tmp_path / "out" / "shard-000001.txt").exists())
        for one in (process.pid, *(int(child.name) for child in children(process))):  # as a terminal does
            os.kill(one, signal.SIGINT)
        _, complaint = process.communicate()
    assert process.returncode == 130
    assert complaint == b"stopped; what is finished is kept: go on with --resume\n"
    assert not [path for path in (tmp_path / "out").iterdir() if "-" in path.name and path.name.startswith(".")]
    with start(*given, "--resume") as process:
        process.communicate()
    annotate(tmp_path / "in.txt", tmp_path / "whole", model=critic, shard_rows=3, workers=1)
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")


@pytest.mark.slow
def test_a_worker_that_is_killed_is_an_error(critic, tmp_path):
    (tmp_path / "in.txt").write_text("".join(f"Film {n}.\n" for n in range(600)), encoding="utf-8")
    with start(tmp_path / "in.txt", tmp_path / "out", "--model", critic, "--shard-rows", 3, "--workers", 2) as process:
        wait_for(lambda: (tmp_path / "out" / "shard-000001.txt").exists())
        os.kill(int(children(process)[-1].name), signal.SIGKILL)
        _, complaint = process.communicate()
    assert process.returncode == 2
    assert complaint.startswith(b"ConfigError: a worker process ended by itself (exit code -9")


def test_the_command_says_what_it_did(critic, tmp_path):
    (tmp_path / "in.txt").write_bytes(b"Good.\n\xff\n")
    given = ["annotate", tmp_path / "in.txt", tmp_path / "out", "top_k=null", "--model", critic, "--workers", 1]
    result = CliRunner().invoke(app, [*map(str, given), "--format", "jsonl"])
    assert result.exception is None
    assert result.stdout == (
        f"2 rows; 1 could not be read and have an error instead\nmanifest: {tmp_path / 'out' / 'manifest.json'}\n"
    )
    assert len(read_shards(tmp_path / "out")[0]["annotation"]) == 2
    assert read_manifest(tmp_path / "out")["options"] == {"top_k": None}


def test_a_damaged_journal_is_an_error(critic, tmp_path):
    (tmp_path / "in.txt").write_text("Good.\n", encoding="utf-8")
    (tmp_path / "out").mkdir()
    for content in ("", "{\n", "[]\n", '{}\n{"index": 0}\n'):
        (tmp_path / "out" / ".annotating.jsonl").write_text(content, encoding="utf-8")
        with pytest.raises((CheckpointError, ConfigError), match=r"damaged|was begun with another format"):
            annotate(tmp_path / "in.txt", tmp_path / "out", model=critic, workers=1, resume=True)

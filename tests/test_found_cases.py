"""Files that once crashed a reader, hung it or filled the memory: each is one error of ours now.

Most were found by `benchmarks/fuzz.py`, whose machinery is run here, too.
"""

import gzip
import io
import json
import random
import struct
import sys
import tracemalloc
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest

from nlp_lstm.artifacts import ModelConfig
from nlp_lstm.bulk.folder import JOURNAL_NAME, MANIFEST_NAME, OutputFolder
from nlp_lstm.bulk.sources import SOURCES
from nlp_lstm.data.overlap import normal_form
from nlp_lstm.data.packages import unpack_archive
from nlp_lstm.data.pictures import load_features, load_pixels, to_png
from nlp_lstm.data.readers import read_examples
from nlp_lstm.errors import LONGEST_MESSAGE, CheckpointError, ConfigError, DataError, NlpLstmError, shorten
from nlp_lstm.recipes import load_recipe
from nlp_lstm.run_folders import read_status
from nlp_lstm.settings import apply_overrides, parse_settings
from nlp_lstm.stored import read_header
from nlp_lstm.tasks.tagging import TaggingSettings
from nlp_lstm.text import lines
from nlp_lstm.text.entities import unescape
from nlp_lstm.text.vector_files import read_vector_file

sys.path.append(str(Path(__file__).parent.parent / "benchmarks"))
from fuzz import give, make_input
from fuzz_mutation import spoil_json, spoil_protobuf
from fuzz_readers import make_readers

DEEP_LIST = b"[" * 100_000 + b"]" * 100_000
DEEP_OBJECT = b'{"a":' * 985 + b"1" + b"}" * 985
DIGITS = b"1" * 5_000


def catalogue(charset):
    return b'msgid ""\nmsgstr "Content-Type: text/plain; charset=%s\\n"\n\nmsgid "a"\nmsgstr "xn--\xe4-"\n' % charset


def overlapping_mo(num_messages=3_000, length=20_000):
    """A .mo file whose strings all lie in the same place: 24 kB that stand for 60 MB."""
    table = struct.pack("<2I", length, 28 + 8 * num_messages) * num_messages
    return struct.pack("<7I", 0x950412DE, 0, num_messages, 28, 28, 0, 0) + table + b"a" * length


@pytest.mark.parametrize(
    ("name", "kind", "format", "content"),
    [
        ("a.po", "parallel", "gettext", catalogue(b"idna")),
        ("a.po", "parallel", "gettext", catalogue(b"punycode")),
        ("a.po", "parallel", "gettext", catalogue(b"unicode_escape")),
        ("a.po", "parallel", "gettext", catalogue(b"utf-16")),
        ("a.mo", "parallel", "gettext", overlapping_mo()),
        ("a.txt", "labelled", "trees", b"(1 a " * 3_000 + b")" * 3_000),
        ("a.jsonl", "series", "series-jsonl", b'{"numbers": {"x": [1' + b"0" * 400 + b"]}}"),
        ("a.jsonl", "series", "series-jsonl", b'{"numbers": {"x": [' + DIGITS + b"]}}"),
        ("a.csv", "series", "modlamp", "²,1,a,b\nGL,1\n".encode()),
        ("a.csv", "series", "modlamp", DIGITS + b",1,a,b\nGL,1\n"),
        ("a.jsonl", "labelled", "labelled-jsonl", b'{"text": "a", "label": ' + DEEP_OBJECT + b"}"),
        ("a.json", "labelled", "imdb", b"[" + DEEP_LIST + b"]"),
        ("a.json", "labelled", "imdb", b'[{"t":"a","s":' + DIGITS + b"}]"),
        ("a.json", "pictures", "karpathy", b'{"images":[{"filename":"%s","sentences":[{"raw":"a"}]}]}' % (b"a" * 300)),
        ("a.json", "pictures", "karpathy", b'{"images":[{"filename":"","sentences":[{"raw":"a"}]}]}'),
        ("a.token", "pictures", "picture-tokens", b"a" * 300 + b"#0\ta dog\n"),
    ],
)
def test_data(tmp_path, name, kind, format, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=name):
        read_examples([tmp_path / name], format, kind=kind)


def test_encodings_that_hold_ascii_as_it_is_are_read(tmp_path):
    for charset, text in (
        ("shift_jis", "日本"),
        ("iso-8859-1", "ä"),
        ("koi8-r", "да"),
        ("gb18030", "中文"),
        ("big5", "中文"),
    ):
        content = f'msgid ""\nmsgstr "Content-Type: text/plain; charset={charset}\\n"\n\nmsgid "a"\nmsgstr "{text}"\n'
        (tmp_path / "a.po").write_bytes(content.encode(charset))
        [example] = read_examples([tmp_path / "a.po"], kind="parallel")
        assert example.target == text


def test_lines_and_files_that_unpack_to_more_than_the_bound(tmp_path, monkeypatch):
    monkeypatch.setattr(lines, "LONGEST_LINE", 1_000)
    monkeypatch.setattr(lines, "LARGEST_CONTENT", 1_000)
    (tmp_path / "a.conllu.gz").write_bytes(gzip.compress(b"a" * 1_001))
    with pytest.raises(DataError, match="more than 1,000 bytes"):
        read_examples([tmp_path / "a.conllu.gz"])
    (tmp_path / "a.mo.gz").write_bytes(gzip.compress(b"a" * 1_001))
    with pytest.raises(DataError, match="more than 1,000 bytes"):
        read_examples([tmp_path / "a.mo.gz"], kind="parallel")
    (tmp_path / "a.tsv").write_bytes(b"text\tlabel\n" + b"a" * 998 + b"\tb\n" + b"a" * 997 + b"\tb\n")
    with pytest.raises(DataError, match=r"a\.tsv:2: has more"):
        read_examples([tmp_path / "a.tsv"], kind="labelled")


@pytest.mark.parametrize("name", ["a.mo", "a.mo.gz"])
def test_a_small_file_takes_little_memory(tmp_path, name):
    (tmp_path / name).write_bytes(gzip.compress(b"a" * 99) if name.endswith("gz") else b"a" * 99)
    tracemalloc.start()
    try:
        assert lines.read_bytes(tmp_path / name) == b"a" * 99
        assert tracemalloc.get_traced_memory()[1] < 1 << 24
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.txt", b"a " + b"1" * 100_000 + b"x\n"),  # took half an hour
        ("a.txt", DIGITS + b" 2\na 1 2\n"),
        ("a.json", b'{"dimensions": 10000, "words": [' + b'"a",' * 50_000 + b'"b"], "vectors": {"a": [1]}}'),  # 2 GB
        ("a.json", b'{"dimensions": 1, "words": [["a"]], "vectors": {"a": [1, 0, 0]}}'),
        ("a.json", b'{"dimensions": 1, "words": ["a"], "vectors": {"\\q": [1, 0, 0]}}'),
        ("a.json", b'{"dimensions": 1, "words": ' + DEEP_LIST + b', "vectors": {"a": [1, 0, 0]}}'),
        ("a.npy", b"PK\x03\x04" + bytes(60)),
    ],
)
def test_vectors(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    if name == "a.npy":
        (tmp_path / "a.txt").write_bytes(b"x\n")
    with pytest.raises(DataError, match=name):
        read_vector_file(tmp_path / name)


def test_words_beside_an_array_that_are_not_utf_8(tmp_path):
    np.save(tmp_path / "a.npy", np.ones((1, 2), np.float32))
    (tmp_path / "a.txt").write_bytes(b"\xff\n")
    with pytest.raises(DataError, match="not UTF-8"):
        read_vector_file(tmp_path / "a.npy")


@pytest.mark.parametrize("content", [b"PK\x03\x04" + bytes(60), b"\x93NUMPY\x01\x00\x10\x00{'descr': (((((\n", b""])
def test_features(tmp_path, content):
    (tmp_path / "a.npy").write_bytes(content)
    with pytest.raises(DataError, match=r"a\.npy"):
        load_features(tmp_path / "a.npy", None)


@pytest.mark.parametrize(("kind", "data"), [(b"iCCP", b"abc"), (b"tRNS", b""), (b"iCCP", b"a\0"), (b"gAMA", b"")])
def test_pictures(kind, data):
    content = to_png(np.zeros((4, 4, 3), np.uint8))
    chunk = struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    with pytest.raises(DataError, match="picture"):
        load_pixels(content[:33] + chunk + content[33:], 4)


@pytest.mark.parametrize(
    "content",
    [
        b"a: &a [1]\nb: *a\n",
        b"a0: &a0 [x]\n"
        + b"".join(b"a%d: &a%d [*a%d, *a%d]\n" % (n, n, n - 1, n - 1) for n in range(1, 60)),  # 2 ** 60
        b"a: &a [*a]\n",
        b"task: !!int ''\n",
        b"task: !!timestamp x\n",
        b"a: 2001-99-99\n",
        b"a: 0x" + b"f" * 5_000,
        b"a: " + DIGITS,
        b"a: " + b"[" * 3_000,
        b"\xff",
        b"#" * (1 << 20) + b"\n",
    ],
)
def test_recipes(tmp_path, content):
    (tmp_path / "a.yaml").write_bytes(content)
    with pytest.raises(ConfigError, match=r"a\.yaml"):
        load_recipe(str(tmp_path / "a.yaml"))


@pytest.mark.parametrize("value", ["2001-99-99", "*a", "!!int ''", "[" * 3_000, "1" * 5_000])
def test_overrides(value):
    with pytest.raises(ConfigError, match="is not valid YAML"):
        apply_overrides({}, [f"a={value}"])


def test_a_message_names_some_faults_and_counts_the_others():
    with pytest.raises(CheckpointError) as caught:
        parse_settings(ModelConfig, {f"key{number}": 1 for number in range(5_000)}, "config.json", CheckpointError)
    assert '"key12"' in str(caught.value)
    assert '"key13"' not in str(caught.value)
    assert str(caught.value).endswith("and 4,987 more")  # format, task and five others are missing
    with pytest.raises(ConfigError) as caught:
        parse_settings(ModelConfig, {"a" * 100_000: 1}, "x")
    assert len(str(caught.value)) < LONGEST_MESSAGE
    assert len(str(DataError("a" * 100_000))) == LONGEST_MESSAGE + 1


def test_values_that_cannot_be_shown():
    value: list = []
    for _ in range(5_000):
        value = [value]
    assert shorten(value) == "a list too large to be shown"
    assert shorten(10**5_000) == "a int too large to be shown"


# ---- models


def weights_file(folder, entry):
    header = json.dumps({"x": entry}).encode()
    (folder / "a.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + bytes(8))
    return folder / "a.safetensors"


@pytest.mark.parametrize(
    "entry",
    [
        {"dtype": "F32", "shape": [1] * 70 + [2], "data_offsets": [0, 8]},
        {"dtype": "F32", "shape": [0, 2**62, 2**62], "data_offsets": [0, 0]},
        {"dtype": "F32", "shape": [10**4_000] * 2_000 + [0], "data_offsets": [0, 0]},  # took minutes
        {"dtype": "F8_E4M3", "shape": [8], "data_offsets": [0, 8]},
        {"dtype": [], "shape": [8], "data_offsets": [0, 8]},
    ],
)
def test_headers_of_weights(tmp_path, entry):
    with pytest.raises(CheckpointError, match="not a safetensors file"):
        read_header(weights_file(tmp_path, entry))


def test_sizes_are_bounded_by_kind_of_file():
    facts = {"size": 5 << 20, "sha256": "a" * 64}
    sound = {"format": 1, "task": "pos", "language": "en", "data": "x", "precision": "fp32", "model": {}}
    parse_settings(ModelConfig, {**sound, "files": {"vocab.json": facts}}, "config.json")
    with pytest.raises(ConfigError, match=r"model\.onnx has 5,242,880 bytes; at most 4,194,304"):
        parse_settings(ModelConfig, {**sound, "files": {"model.onnx": facts}}, "config.json")
    with pytest.raises(ConfigError, match="at most 64"):
        parse_settings(ModelConfig, {**sound, "files": {f"{n}.md": facts for n in range(65)}}, "config.json")


def test_run_status(tmp_path):
    (tmp_path / "run.json").write_bytes(DEEP_LIST)
    with pytest.raises(CheckpointError, match="cannot be read"):
        read_status(tmp_path)


# ---- annotate and packages

FACTS = {"source": "a", "first": 1, "rows": 1, "errors": 0, "bytes": 1, "sha256": "a"}


@pytest.mark.parametrize(
    "facts", [{"name": 5}, {"name": "\0"}, {"name": "../x"}, {"name": "\ud800"}, {"source": "\ud800"}, {"rows": "1"}]
)
@pytest.mark.parametrize("file", [JOURNAL_NAME, MANIFEST_NAME])
def test_shards_that_a_journal_names(tmp_path, facts, file):
    shard = {"name": "shard-000000.txt", **FACTS, **facts}
    journal = [json.dumps({"model": "x"}), json.dumps({"index": 0, **shard}), ""]
    manifest = json.dumps({"model": "x", "shards": [shard]})
    (tmp_path / file).write_text(manifest if file == MANIFEST_NAME else "\n".join(journal), encoding="utf-8")
    refuse(tmp_path, "is damaged")


@pytest.mark.parametrize("content", [DEEP_LIST, b'{"index": 1e999}'])
def test_journals(tmp_path, content):
    (tmp_path / JOURNAL_NAME).write_bytes(b'{"model": "x"}\n' + content + b"\n")
    refuse(tmp_path, "is damaged")


def test_manifests(tmp_path):
    (tmp_path / MANIFEST_NAME).write_bytes(DEEP_LIST)
    refuse(tmp_path, "cannot be read")


def refuse(folder, message):
    output = OutputFolder(folder, "text", should_resume=True)
    try:
        with pytest.raises(CheckpointError, match=message):
            output.begin({"model": "x"})
    finally:
        output.close()


def test_tables_with_very_many_columns(tmp_path):
    names = ",".join(f"c{number}" for number in range(60_000))  # were compared each with each
    (tmp_path / "a.csv").write_text(f"{names},c7\n", encoding="utf-8")
    with pytest.raises(DataError, match="two columns are called 'c7'"):
        SOURCES["csv"].columns(tmp_path / "a.csv")


def test_a_column_of_parquet_whose_name_is_no_text(tmp_path):
    import pyarrow
    from pyarrow import parquet

    parquet.write_table(pyarrow.table({"text": ["a"]}), tmp_path / "a.parquet", store_schema=False)
    content = (tmp_path / "a.parquet").read_bytes()
    (tmp_path / "a.parquet").write_bytes(content.replace(b"text", b"te\xff\xff"))
    with pytest.raises(DataError, match=r"a\.parquet: is no whole Parquet file"):
        SOURCES["parquet"].columns(tmp_path / "a.parquet")


def test_a_member_of_a_package_that_lies_before_its_file(tmp_path):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as file:
        file.writestr("x/a.txt", "hello")
    content = bytearray(stream.getvalue())
    end = content.rindex(b"PK\x05\x06")
    content[end + 16 : end + 20] = struct.pack("<I", 10_000)  # where the directory is said to begin
    (tmp_path / "a.whl").write_bytes(content)
    with pytest.raises(NlpLstmError, match="damaged"):
        unpack_archive(tmp_path / "a.whl", ["*.txt"], tmp_path / "out", max_bytes=1_000)


def test_a_damaged_member_of_a_package_that_bzip2_packed(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.whl", "w", zipfile.ZIP_BZIP2) as file:
        file.writestr("x/a.txt", "hello" * 99)
    content = (tmp_path / "a.whl").read_bytes()
    place = content.index(b"BZh") + 4  # the mark of its first block
    (tmp_path / "a.whl").write_bytes(content[:place] + b"?" * 6 + content[place + 6 :])
    (tmp_path / "out").mkdir()
    with pytest.raises(NlpLstmError, match="damaged"):
        unpack_archive(tmp_path / "a.whl", ["*.txt"], tmp_path / "out", max_bytes=1_000)


def test_a_member_of_a_package_without_a_name(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.whl", "w") as file:
        file.writestr("x", "hello")
    content = (tmp_path / "a.whl").read_bytes()
    place = content.rindex(b"PK\x01\x02")
    named = content[:place] + content[place : place + 28] + b"\0\0" + content[place + 30 : place + 46]
    directory = named[place:]
    end = content[content.rindex(b"PK\x05\x06") :]
    end = end[:12] + struct.pack("<I", len(directory)) + end[16:]
    (tmp_path / "a.whl").write_bytes(named + end)
    with zipfile.ZipFile(tmp_path / "a.whl") as file:
        assert file.namelist() == [""]
    with pytest.raises(NlpLstmError, match="not safe: it has the path ''"):
        unpack_archive(tmp_path / "a.whl", ["*"], tmp_path / "out", max_bytes=1_000)


@pytest.mark.parametrize("number", ["9" * 5_000, "x" + "f" * 5_000])
def test_an_entity_with_thousands_of_digits(number):
    assert unescape(f"a &#{number}; b &amp; &#65;") == "a \ufffd b & A"
    assert normal_form(f"a &#{number}; b") == "ab"


def test_half_a_character_in_a_setting():
    with pytest.raises(ConfigError, match=r"a file: half a character in 'unknown cell"):
        parse_settings(TaggingSettings, {"cell": "lstm\ud800"}, "a file")


# ---- the fuzzer


@pytest.fixture(scope="module")
def readers(tmp_path_factory):
    return make_readers(tmp_path_factory.mktemp("models"))


def test_every_reader_reads_what_is_sound_and_answers_for_what_is_spoilt(readers, tmp_path, monkeypatch):
    monkeypatch.setattr("fuzz.SECONDS", 600.0)
    refused, faults = [], []
    for reader in readers.values():
        if reader.name.startswith("served-"):  # these start threads
            continue
        folder = tmp_path / reader.name
        folder.mkdir()
        reader.prepare(folder)
        path = folder / reader.file_name
        for sound in reader.sounds:
            path.write_bytes(gzip.compress(sound) if path.suffix in (".gz", ".tgz") else sound)
            fault, told, is_result = give(reader, path)
            refused += [] if is_result or reader.name.startswith("body-") else [(reader.name, sound, fault)]
        for number in range(2):
            path.write_bytes(make_input(reader, 0, number))
            fault, told, _ = give(reader, path)
            faults += [(reader.name, number, told)] if fault else []
    assert refused == []
    assert faults == []


def test_the_same_generator_spoils_alike():
    sound = [b'{"a": [1, {"b": "c"}], "d": null}']
    for spoil in (spoil_json, spoil_protobuf):
        assert [spoil(random.Random(7), sound) for _ in range(3)] == [spoil(random.Random(7), sound)] * 3

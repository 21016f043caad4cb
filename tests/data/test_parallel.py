import gzip
import json

import pytest

from nlp_lstm.data.example import ParallelExample, text_of
from nlp_lstm.data.readers import formats, guess_format, read_examples
from nlp_lstm.data.reading import ParallelSettings
from nlp_lstm.errors import ConfigError, DataError
from nlp_lstm.settings import parse_settings

ENGLISH = "A dog runs.\nTwo cats sleep.\nIt rains.\n"
GERMAN = "Ein Hund läuft.\nZwei Katzen schlafen.\nEs regnet.\n"
PAIRS = [
    ParallelExample(source=source, target=target)
    for source, target in zip(ENGLISH.splitlines(), GERMAN.splitlines(), strict=True)
]
TURNED = [ParallelExample(source=pair.target, target=pair.source) for pair in PAIRS]


@pytest.fixture
def read(tmp_path):
    """Write files, by name, and read them as parallel texts; notes go into ``read.notes``."""

    def write_and_read(files, **reading):
        paths = [tmp_path / name for name in files]
        for path, content in zip(paths, files.values(), strict=True):
            data = content.encode("utf-8") if isinstance(content, str) else content
            path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
        write_and_read.notes = []
        settings = ParallelSettings(**reading)
        return read_examples(paths, kind="parallel", reading=settings, say=write_and_read.notes.append)

    return write_and_read


def test_settings_name_two_languages():
    assert ParallelSettings(source="hi", target="en").pair == "hi-en"
    with pytest.raises(ConfigError, match='source and target are both "en"'):
        parse_settings(ParallelSettings, {"target": "en"}, "recipe")
    with pytest.raises(ConfigError, match="source is 'English'"):
        parse_settings(ParallelSettings, {"source": "English"}, "recipe")
    with pytest.raises(ConfigError, match="columns count from 1"):
        parse_settings(ParallelSettings, {"columns": {"en": 0}}, "recipe")
    with pytest.raises(ConfigError, match="corpus was found for en-de, not for en-fr"):
        ParallelSettings().then(ParallelSettings(target="fr"), "corpus")


def test_text_of_a_pair_is_its_source():
    assert text_of(PAIRS[0]) == "A dog runs."


# ---- files of lines


def test_lines_of_two_files_are_pairs_in_both_directions(read):
    files = {"train.en.gz": ENGLISH, "train.de": GERMAN, "train.fr": "un\n"}
    assert read({name: files[name] for name in ("train.en.gz", "train.de")}) == PAIRS
    assert read({name: files[name] for name in ("train.en.gz", "train.de")}, source="de", target="en") == TURNED
    assert read({"a.en": ENGLISH, "b.en": ENGLISH, "b.de": GERMAN, "a.de": GERMAN}) == PAIRS * 2


def test_unequal_files_are_one_error_with_both_counts(read):
    with pytest.raises(DataError, match=r"train\.en has 3 lines, but .*train\.de has 4; line n of one"):
        read({"train.en": ENGLISH, "train.de": GERMAN + "Mehr.\n"})


def test_file_without_partner_is_named(read):
    with pytest.raises(DataError, match=r"b\.en: no file in the other language beside it; .* NAME\.en and NAME\.de"):
        read({"a.en": ENGLISH, "b.en": ENGLISH, "a.de": GERMAN})


def test_pairs_with_an_empty_side_are_left_out_and_counted(read):
    examples = read({"a.en": ENGLISH + "More.\n\n", "a.de": GERMAN + " \t\n\n"})
    assert examples == PAIRS
    (note,) = read.notes
    assert "a.en" in note
    assert note.endswith("2 pairs are left out, a side of them is empty")
    with pytest.raises(DataError, match="no text with a translation in it"):
        read({"a.en": "\n", "a.de": "x\n"})


def test_odd_bytes_are_located(read):
    with pytest.raises(DataError, match=r"a\.de:2: byte b'\\xe4' at position 1 is not UTF-8"):
        read({"a.en": "a\nb\n", "a.de": b"a\nb\xe4\n"})
    with pytest.raises(DataError, match=r"a\.en:2: 'b\\x00b' holds a NUL"):
        read({"a.en": "a\nb\0b\n", "a.de": "a\nb\n"})
    assert read({"a.en": b"\xef\xbb\xbfa\x0cb \xe2\x80\xa8c\r\n", "a.de": "ä\n"})[0].source == "a\x0cb \u2028c"


# ---- tables


def table(*rows):
    return "".join("\t".join(row) + "\n" for row in rows)


ROWS = [(pair.source, pair.target) for pair in PAIRS]


@pytest.mark.parametrize(
    ("rows", "reading"),
    [
        (ROWS, {}),
        ([("en", "de"), *ROWS], {}),
        ([("Source", "Target"), *ROWS], {}),
        ([("id", "DE", "EN"), *(("1", target, source) for source, target in ROWS)], {}),
        ([("ted", source, target) for source, target in ROWS], {"columns": {"en": 2, "de": 3}}),
        ([(target, source) for source, target in ROWS], {"columns": {"en": 2, "de": 1}}),
        ([("x", "y", "z"), *((target, source, "") for source, target in ROWS)], {"columns": {"en": "y", "de": "x"}}),
    ],
)
def test_columns_are_found_by_name_number_or_place(read, rows, reading):
    assert read({"a.tsv": table(*rows)}, **reading) == PAIRS


def test_columns_are_those_of_a_language_in_either_direction(read):
    assert read({"a.tsv": table(*ROWS)}, source="de", target="en", columns={"en": 1, "de": 2}) == TURNED
    assert read({"a.tsv": table(("en", "de"), *ROWS)}, source="de", target="en") == TURNED


@pytest.mark.parametrize(
    ("rows", "reading", "fault"),
    [
        ([("a", "b", "c")], {}, r"tsv:1: 'a \| b \| c' does not tell which columns are en and de; .*columns=\{en: 1"),
        ([("a",)], {}, "tsv:1: 'a' does not tell"),
        ([("a", "b")], {"columns": {"en": 1, "de": 1}}, "does not tell"),
        ([("a", "b")], {"columns": {"en": 1, "de": 3}}, "tsv:1: reading.columns.de is 3, but there are 2 columns"),
        ([("a", "b")], {"columns": {"en": "x", "de": 2}}, 'no column is called "x", as reading.columns.en says'),
        ([("a", "b"), ("a", "b", "c")], {}, r"tsv:2: 'a \| b \| c' has 3 columns, but the file began with 2"),
    ],
)
def test_tables_that_cannot_be_read_are_located(read, rows, reading, fault):
    with pytest.raises(DataError, match=fault):
        read({"a.tsv": table(*rows)}, **reading)


# ---- JSON lines


@pytest.mark.parametrize("form", [("source", "target"), ("en", "de"), ("translation",), ("English", "German")])
def test_json_lines_have_both_texts(read, form):
    items = [
        {"translation": {"en": source, "de": target}} if len(form) == 1 else {form[0]: source, form[1]: target, "id": 1}
        for source, target in ROWS
    ]
    columns = {"en": "English", "de": "German"} if form[0] == "English" else {}
    assert read({"a.jsonl": "\n\n".join(map(json.dumps, items))}, columns=columns) == PAIRS


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ('{"source": "a"}', r'jsonl:1: .* has neither "de" nor "target"; a line looks like'),
        ('{"translation": "a"}', "jsonl:1: \"translation\" is 'a'; it is an object"),
        ('{"source": "a", "target": 3}', r'jsonl:1: "target" is 3 \(int\); give a string'),
        ('["a", "b"]', "jsonl:1: .* is no object; a line looks like"),
        ("{", "jsonl:1: '{' is not JSON"),
        ('{"source": "\\ud800", "target": "b"}', "jsonl:1: \"source\" holds '\\\\ud800'"),
    ],
)
def test_lines_that_are_no_pair_are_located(read, line, fault):
    with pytest.raises(DataError, match=fault):
        read({"a.jsonl": line})


# ---- formats


def test_endings_tell_the_format_and_languages_count():
    french = ParallelSettings(target="fr")
    names = ("a.en", "b.DE.gz", "c.tsv.gz", "d.jsonl", "e.po", "f.mo")
    known = ["parallel-lines", "parallel-lines", "parallel-tsv", "parallel-jsonl", "gettext", "gettext"]
    assert [guess_format(name, "parallel") for name in names] == known
    assert guess_format("a.fr", "parallel", french) == "parallel-lines"
    with pytest.raises(DataError, match=r"names no known format of parallel data; known endings: \.en, \.fr, \.tsv"):
        guess_format("a.de", "parallel", french)
    made = {"lexicon"}  # words that pairs are made of
    assert {name for name in formats if formats.get(name).kind == "parallel"} == {*known, *made}

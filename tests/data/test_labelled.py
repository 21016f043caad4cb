import gzip
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from samples import SAMPLES

from nlp_lstm.data.labelled import LabelledRow, make_examples
from nlp_lstm.data.readers import read_examples
from nlp_lstm.data.reading import ReadingSettings
from nlp_lstm.errors import ConfigError, DataError
from nlp_lstm.text.tokenize import Tokenizer


@pytest.fixture
def read(tmp_path):
    """Write a file of one name and read it back as (text, label, domain)."""

    def write_and_read(name, content, **settings):
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        examples = read_examples([path], kind="labelled", reading=ReadingSettings(**settings))
        return [(example.document.text, example.label, example.domain) for example in examples]

    return write_and_read


def test_the_sample_reviews_are_read_with_offsets():
    examples = read_examples([SAMPLES / "reviews.tsv"], kind="labelled")
    assert len(examples) == 62
    assert {example.label for example in examples} == {"POSITIVE", "NEGATIVE"}
    assert examples[10].document.words[:4] == ["I", "did", "n't", "expect"]
    for example in examples:
        document = example.document
        assert all(document.text[token.start : token.end] == token.text for token in document.tokens)


def test_csv_with_named_columns_quotes_and_line_ends():
    reading = ReadingSettings(text="Review", label="Stars", domain="Shop", labels={"3": None})
    with pytest.raises(DataError, match=r"reviews\.csv:2: the label is '5'; known labels: 3"):
        read_examples([SAMPLES / "reviews.csv"], kind="labelled", reading=reading)
    stars = {"1": "bad", "2": "bad", "3": {"bad": 0.5, "good": 0.5}, "4": "good", "5": None}
    reading = reading.model_copy(update={"labels": stars})
    examples = read_examples([SAMPLES / "reviews.csv"], kind="labelled", reading=reading)
    assert [(example.label, example.domain) for example in examples] == [
        ("bad", "coats"),
        ("good", "lamps"),
        ("bad", "lamps"),
        (None, "lamps"),
        (None, "coats"),
    ]
    assert examples[0].document.text == 'The clerk said "no refunds" and laughed.'
    assert examples[2].document.text == "It flickers.\n\nIt hums. I sent it back."
    assert examples[3].target == {"bad": 0.5, "good": 0.5}


def test_json_lines_have_their_keys_in_any_order():
    examples = read_examples([SAMPLES / "reviews.jsonl"], kind="labelled", reading=ReadingSettings(domain="shop"))
    assert [example.domain for example in examples] == ["food", "food", "books", "books"]
    assert examples[2].document.text == "I read it in one night.\nThen I read it again."
    assert examples[2].label == "POSITIVE"


@pytest.mark.parametrize(
    ("content", "settings"),
    [
        ("Sentence\tSENTIMENT\nGo on\tgood\n", {}),
        ("id\tcontent\trating\n7\tGo on\tgood\n", {}),
        ("Go on\tgood\n", {"text": 1}),
        ("Go on\tgood\n", {"label": 2}),
        ("text\tlabel\nGo on\tgood\n", {"label": 2}),
        ("good\t7\tGo on\n", {"text": 3, "label": 1}),
        ("mine\tlabel\nGo on\tgood\n", {"text": "mine"}),
        ("text\tstars\nGo on\tgood\n", {"label": "stars"}),
        ("\ufefftext\tlabel\r\n\r\n  Go on \t good \r\n\n", {}),
    ],
)
def test_columns_are_found_by_name_or_number(read, content, settings):
    assert read("a.tsv", content, **settings) == [("Go on", "good", "")]


def test_a_tab_separated_file_has_no_quoting(read):
    assert read("a.tsv", 'text\tlabel\n"Go" on\tgood\n"Stop\tbad\n') == [('"Go" on', "good", ""), ('"Stop', "bad", "")]


def test_packed_files_and_long_texts_are_read(read):
    long = "slow and long, " * 20_000
    packed = gzip.compress(f'text,label\n"{long}",bad\n'.encode())
    assert read("a.csv.gz", packed) == [(long.strip(), "bad", "")]


def test_texts_that_are_tokens_are_put_together(read):
    assert read("a.tsv", "0\tit is n't `` bad ''\n", label=1, is_tokenised=True) == [('it isn\'t "bad"', "0", "")]


@pytest.mark.parametrize(
    ("content", "settings", "fault"),
    [
        ("Go on\tgood\n", {}, r"a\.tsv:1: 'Go on \| good' does not tell which column is the text"),
        ("1\tGo on\tgood\n", {"text": 2}, r":1: .* which column is the label; .* reading\.label=2"),
        ("review\tmood\nGo on\tgood\n", {}, r":1: 'review \| mood' .* reading\.text=NAME reading\.label=NAME; where"),
        ("Go on\n", {"text": 1}, r":1: .* which column is the label"),
        ("text;label\nGo on;good\n", {}, r":1: 'text;label' is one column with a semicolon in it; .* a tab between"),
        ("Go on\tgood\n", {"text": 1, "label": 1}, r":1: .* or is both"),
        ("Go on\tgood\n", {"label": 3}, r":1: reading\.label is 3, but there are 2 columns"),
        ("text\tlabel\nGo on\tgood\n", {"text": "Text"}, r':1: no column is called "Text", .* Did you mean "text"'),
        ("text\tlabel\nGo on\tgood\tgood\n", {}, r":2: 'Go on \| good \| good' has 3 columns, .* began with 2"),
        ("a\tlabel\ta\nGo\tgood\ton\n", {"text": "a"}, r':1: 2 columns are called "a", as reading\.text says'),
        ("text\tlabel\n\tgood\n", {}, r":2: the text is ''"),
        ("text\tlabel\n \u2003\tgood\n", {}, r":2: the text is .*every row needs a text"),
        ("text\tlabel\nGo\0\tgood\n", {}, r":2: the text is 'Go\\x00'; .* without NULs"),
        ("text\tlabel\nGo on\t\n", {}, r":2: the label of 'Go on' is empty"),
        ("text\tlabel\nGo on\tgo\u2028od\n", {}, r":2: the label is 'go\\u2028od'; a label has no line end"),
        ("text\tlabel\n", {}, r"a\.tsv: holds no labelled text at all"),
        ("", {}, r"a\.tsv: holds no labelled text at all"),
        (b"text\tlabel\nGo \xff\tgood\n", {}, r":2: byte b'\\xff' at position 3 is not UTF-8"),
        ("text\tlabel\nGo on\tgood\n", {"labels": {"good": None}}, "holds no labelled text at all"),
    ],
)
def test_faults_of_tables_are_named_with_line_and_value(read, content, settings, fault):
    with pytest.raises(DataError, match=fault):
        read("a.tsv", content, **settings)


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ('text,label\nfine,good\n"Go on,good\nand on,bad\n', r"a\.csv:3: the row that begins here is not CSV"),
        ('text,label\n"Go" on,good\n', r":2: the row that begins here is not CSV .* double each quote"),
        ("text,label\nGo, on,good\n", r":2: 'Go \|  on \| good' has 3 columns"),
        ("text,label\nfine,good\nGo\0on,good\n", r":3: .* holds a NUL"),
        ("text,label\n,good\n", r":2: the text is ''"),
        ("text;label\nGo on;good\n", r":1: 'text;label' is one column with a semicolon in it; put a comma"),
        ("text\tlabel\nGo on\tgood\n", r":1: .* is one column with a tab in it; put a comma"),
        ("text,label\rfine,good\r", r":1: .* holds a carriage return that ends no line"),
    ],
)
def test_faults_of_csv_are_named_with_line_and_value(read, content, fault):
    with pytest.raises(DataError, match=fault):
        read("a.csv", content)


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("{", r"a\.jsonl:2: '\{' is not JSON"),
        ("[1]", r":2: '\[1\]' is no object"),
        ('{"text": "Go"}', r""":2: \{'text': 'Go'\} has no "label", as the first line has"""),
        ('{"text": 5, "label": "good"}', ':2: "text" is 5; the text is a string'),
        ('{"text": " ", "label": "good"}', ":2: the text is ' '"),
        ('{"text": "Go\\u0000", "label": "good"}', ":2: the text is .* without NULs"),
        ('{"text": "Go\\ud800", "label": "good"}', ':2: "text" holds .* half a character'),
        ('{"text": "Go", "label": null}', ':2: "label" is None; it is a string or a number'),
        ('{"text": "Go", "label": true}', ':2: "label" is True; it is a string or a number'),
        ('{"text": "Go", "label": ["good"]}', r""":2: "label" is \['good'\]"""),
        ('{"text": "Go", "label": ""}', ":2: the label of 'Go' is empty"),
    ],
)
def test_faults_of_json_lines_are_named_with_line_and_value(read, line, fault):
    with pytest.raises(DataError, match=fault):
        read("a.jsonl", '{"text": "fine", "label": "good"}\n' + line)


def test_json_lines_tell_their_keys(read):
    assert read("a.jsonl", '{"Question": "Why?", "class": 4}\n\n{"Question": "Who?", "class": 2.5}') == [
        ("Why?", "4", ""),
        ("Who?", "2.5", ""),
    ]
    with pytest.raises(DataError, match=r"reading\.label is 2, but what JSON lines hold has names"):
        read("a.jsonl", '{"text": "fine", "label": "good"}', label=2)
    with pytest.raises(DataError, match="which column is the label"):
        read("a.jsonl", '{"text": "fine", "mood": "good", "id": 1}')


@given(
    st.lists(
        st.tuples(st.text(st.characters(blacklist_categories=["C", "Z"]), min_size=1), st.sampled_from(["a", "b, c"])),
        min_size=1,
        max_size=5,
    )
)
def test_whatever_text_is_written_comes_back(tmp_path_factory, pairs):
    path = tmp_path_factory.mktemp("labelled") / "a.jsonl"
    path.write_text("".join(json.dumps({"text": text, "label": label}) + "\n" for text, label in pairs))
    table = path.with_suffix(".csv")
    rows = [["text", "label"], *pairs]
    table.write_text(
        "".join(",".join('"' + cell.replace('"', '""') + '"' for cell in row) + "\n" for row in rows), "utf-8"
    )
    for one in (path, table):
        examples = read_examples([one], kind="labelled", language="xx")
        assert [(example.document.text, example.label) for example in examples] == pairs


def test_rows_of_any_reader_become_examples(tmp_path):
    row = LabelledRow("a:1", " It rains. ", " wet ", domain="weather", is_phrase=True)
    (example,) = make_examples(tmp_path, [row], ReadingSettings(), Tokenizer("en"))
    assert (example.document.text, example.label) == ("It rains.", "wet")
    assert (example.domain, example.is_phrase, example.target) == ("weather", True, None)


def test_the_language_chooses_the_tokeniser(read, tmp_path):
    (tmp_path / "a.tsv").write_text("text\tlabel\nराम घर गया।\tय\n", "utf-8")
    (example,) = read_examples([tmp_path / "a.tsv"], kind="labelled", language="hi")
    assert example.document.words == ["राम", "घर", "गया", "।"]
    with pytest.raises(ConfigError, match='language "klingon"'):
        read_examples([tmp_path / "a.tsv"], kind="labelled", language="klingon")

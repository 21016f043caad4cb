import collections
import gzip
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nlp_lstm.data.brown import UNIVERSAL, UNIVERSAL_TAGS, plain_tag
from nlp_lstm.data.readers import (
    formats,
    guess_format,
    read_brown,
    read_columns,
    read_conllu,
    read_examples,
    read_jsonl,
)
from nlp_lstm.errors import ConfigError, DataError
from nlp_lstm.text.lines import read_lines

WORD = "1\tHi\thi\tINTJ\tUH\t_\t0\troot\t_\t_"


def write(path, text):
    path.write_bytes(text.encode("utf-8") if isinstance(text, str) else text)
    return path


def conllu(*lines):
    """CoNLL-U lines from short ones: id, form, UPOS and, if given, MISC."""
    rows = []
    for line in lines:
        word_id, form, upos, *misc = line.split(" ")
        rows.append("\t".join([word_id, form, "_", upos, "_", "_", "_", "_", "_", *(misc or ["_"])]))
    return "\n".join(rows) + "\n\n"


def test_text_put_together_is_the_text_that_the_file_states(samples):
    stated = [line[9:] for _, line in read_lines(samples / "hand.conllu") if line.startswith("# text = ")]
    examples = read_conllu(samples / "hand.conllu")
    assert [example.document.text for example in examples] == stated
    assert len(examples) == 60
    for example in examples:
        for token in example.document.tokens:
            assert example.document.text[token.start : token.end] == token.text


def test_ranges_and_empty_nodes_are_no_words(samples):
    ellipsis, clitics = read_conllu(samples / "hand.conllu")[-2:]
    assert ellipsis.document.words == ["Lena", "won", "the", "race", "and", "Omar", "the", "prize", "."]
    assert clitics.document.words == ["I", "'d", "rather", "not", ",", "she", "'d", "say", "."]
    assert clitics.document.text == "I'd rather not, she'd say."
    assert clitics.labels["upos"] == ("PRON", "AUX", "ADV", "PART", "PUNCT", "PRON", "AUX", "VERB", "PUNCT")


def test_space_after_a_range_is_what_the_range_line_says(tmp_path):
    text = conllu("1-2 don't _ SpaceAfter=No", "1 do AUX", "2 n't PART", "3 ! PUNCT", "4 Go VERB")
    assert read_conllu(write(tmp_path / "a.conllu", text))[0].document.text == "don't! Go"


def test_columns_empty_in_a_whole_sentence_are_left_out(samples):
    first, *_, last = read_conllu(samples / "hand.conllu")
    assert set(first.labels) == {"upos", "xpos"}
    assert set(last.labels) == {"lemma", "upos", "xpos", "feats", "deprel"}
    assert last.labels["feats"][4] == "_"


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (WORD.replace("\t", " ") + "\n", r":1: .* has 1 columns; CoNLL-U has 10"),
        (WORD + "\textra\n", r":1: .* has 11 columns"),
        (conllu("1 Hi INTJ", "3 you PRON"), r":2: the id is '3', expected 2"),
        (conllu("0 Hi INTJ"), r":1: the id is '0', expected 1"),
        (conllu("1  INTJ"), r":1: the FORM of word 1 is ''"),
        (conllu("1 Hi _"), r":1: the UPOS of word 1 'Hi' is '_'"),
        (conllu("1 Hi INTJ") + conllu("1 Ho "), r":3: the UPOS of word 1 'Ho' is ''"),
        (conllu("2-3 Hi _", "1 Hi INTJ"), r":1: the range '2-3' does not fit here"),
        (conllu("1-3 abc _", "1 a X", "2-3 bc _", "2 b X", "3 c X"), r":3: the range '2-3' does not fit"),
        (conllu(f"1-{'9' * 5_000} Hi _", "1 Hi INTJ"), r":1: the id is '1-999.*…, expected 1"),
        (conllu("1-२ Hi _", "1 Hi INTJ"), r":1: the id is '1-२', expected 1"),
        (conllu("1-2 Hi _", "1 Hi INTJ"), r":2: a range goes up to 2, but the sentence ends with word 1"),
        (conllu("1.1 Hi INTJ"), r":1: a sentence with no word"),
        (b"# ok\n1\tcaf\xe9\n", r":2: .*xe9.* is not UTF-8"),
        ("", "holds no sentence at all"),
        ("# only a comment\n\n", "holds no sentence at all"),
    ],
)
def test_faults_of_a_conllu_file_are_named_with_their_line(tmp_path, text, fault):
    path = write(tmp_path / "bad.conllu", text)
    with pytest.raises(DataError, match=fault) as caught:
        read_conllu(path)
    assert str(path) in str(caught.value)


def test_windows_line_ends_byte_order_mark_and_missing_last_line_end_are_fine(tmp_path):
    path = write(tmp_path / "a.conllu", b"\xef\xbb\xbf" + WORD.encode() + b"\r\n\r\n" + WORD.encode())
    assert [example.document.text for example in read_conllu(path)] == ["Hi", "Hi"]


def test_unicode_line_separators_inside_a_word_end_no_line(tmp_path):
    path = write(tmp_path / "a.conllu", WORD.replace("Hi", "a\u2028b\x0cc\u00a0d"))
    assert read_conllu(path)[0].document.words == ["a\u2028b\x0cc\u00a0d"]


@pytest.mark.parametrize("name", ["hand.conllu", "hand.bio"])
def test_packed_files_read_the_same_and_damaged_ones_say_so(tmp_path, samples, name):
    packed = gzip.compress((samples / name).read_bytes())
    whole = write(tmp_path / f"{name}.gz", packed)
    assert read_examples([whole]) == read_examples([samples / name])
    for damaged in (packed[:-20], b"no gzip at all", packed[:40] + b"\xff" * 40 + packed[80:]):
        with pytest.raises(DataError, match="gzip data is damaged or cut off"):
            read_examples([write(tmp_path / f"bad-{name}.gz", damaged)])


def test_missing_files_and_folders_are_data_errors(tmp_path):
    for path in (tmp_path / "none.conllu", tmp_path):
        with pytest.raises(DataError, match="cannot be read"):
            read_conllu(path)


def test_bio_file_has_words_and_labels(samples):
    examples = read_columns(samples / "hand.bio")
    assert len(examples) == 15
    assert examples[0].document.words == ["Maria", "Lopez", "left", "Porto", "on", "Friday", "."]
    assert examples[0].labels == {"label": ("B-PER", "I-PER", "O", "B-LOC", "O", "O", "O")}


def test_columns_between_word_and_label_are_numbered(tmp_path):
    path = write(tmp_path / "a.tsv", "U.N.\tNNP\tI-NP\tI-ORG\nNew York  NNP I-NP I-LOC\n".replace("New York", "Rome"))
    assert read_columns(path)[0].labels == {
        "column2": ("NNP", "NNP"),
        "column3": ("I-NP", "I-NP"),
        "label": ("I-ORG", "I-LOC"),
    }


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("a X\nb\n", ":2: 'b' needs a word and a label"),
        ("a\t\n", ":1: .* needs a word and a label"),
        ("a X\n\nb X Y\n", ":3: 'b X Y' has 3 columns, but the file began with 2"),
        ("-DOCSTART- O\n\n", "holds no sentence"),
    ],
)
def test_faults_of_a_column_file_are_named_with_their_line(tmp_path, text, fault):
    with pytest.raises(DataError, match=fault):
        read_columns(write(tmp_path / "a.txt", text))


def test_json_lines_hold_any_columns(tmp_path):
    line = {"id": 7, "tokens": ["A", "dog"], "labels": ["DET", "NOUN"], "chunk": ["B", "I"]}
    (example,) = read_jsonl(write(tmp_path / "a.jsonl", json.dumps(line)))
    assert example.document.text == "A dog"
    assert example.labels == {"label": ("DET", "NOUN"), "chunk": ("B", "I")}


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ('{"tokens": ["a"', ":1: .* is not JSON"),
        ('["a"]', ':1: .* is not an object with a list "tokens"'),
        ('{"words": ["a"]}', 'with a list "tokens"'),
        ('{"tokens": []}', 'with a list "tokens"'),
        ('{"tokens": ["a", ""]}', ":1: '' at 1 in \"tokens\""),
        ('{"tokens": ["a"], "labels": [3]}', ':1: 3 at 0 in "labels"'),
        ('{"tokens": ["a"], "labels": "X"}', ":1: \"labels\" is 'X'"),
        (r'{"tokens": ["b", "a\ud800"]}', ':1: .* at 1 in "tokens" holds .* at character 1, .* lone surrogate'),
        (r'{"tokens": ["a"], "labels": ["\udc00"]}', ':1: .* at 0 in "labels" holds'),
        (r'{"tokens": ["a"], "\ud800": ["X"]}', ":1: the key .* holds"),
        ('{"tokens": ["a"], "labels": ["X", "Y"]}', ':1: "labels" has 2 values for 1 tokens'),
    ],
)
def test_faults_of_json_lines_are_named_with_line_and_value(tmp_path, line, fault):
    with pytest.raises(DataError, match=fault):
        read_jsonl(write(tmp_path / "a.jsonl", line))


@given(st.lists(st.tuples(st.text(min_size=1), st.text(min_size=1)), min_size=1, max_size=5))
def test_whatever_json_can_hold_comes_back(tmp_path_factory, pairs):
    tokens, labels = (list(side) for side in zip(*pairs, strict=True))
    path = tmp_path_factory.mktemp("json") / "a.jsonl"
    try:
        write(path, json.dumps({"tokens": tokens, "labels": labels}, ensure_ascii=True))
        (example,) = read_jsonl(path)
    finally:
        path.unlink()
    assert (example.document.words, list(example.labels["label"])) == (tokens, labels)


def test_brown_tags_become_universal_ones(tmp_path):
    line = "\n\tI'm/ppss+bem not/* sure/jj Mayor/nn-tl Lee's/np$ aide/nn paid/vbd 1/2/cd mille/fw-cd-nc ./.-hl\n\n"
    (example,) = read_brown(write(tmp_path / "ca01", line))
    assert example.document.words == ["I'm", "not", "sure", "Mayor", "Lee's", "aide", "paid", "1/2", "mille", "."]
    assert " ".join(example.labels["upos"]) == "PRON ADV ADJ NOUN NOUN NOUN VERB NUM NUM ."
    assert " ".join(example.labels["xpos"]) == "ppss * jj nn np$ nn vbd cd cd ."


def test_browns_quotation_marks_become_the_usual_one(tmp_path):
    (example,) = read_brown(write(tmp_path / "ca01", "``/`` Yes/rb ''/'' he/pps said/vbd ./.\n"))
    assert example.document.words == ['"', "Yes", '"', "he", "said", "."]


@pytest.mark.parametrize(
    ("tag", "plain", "universal"),
    [
        ("md*", "md", "VERB"),
        ("*-hl", "*", "ADV"),
        ("wp$", "wp$", "DET"),
        ("wdt+ber+pp", "wdt", "DET"),
        ("pp$$", "pp$$", "PRON"),
        ("---hl", "--", "."),
    ],
)
def test_marks_and_second_parts_of_brown_tags_go(tag, plain, universal):
    assert plain_tag(tag) == plain_tag(tag.upper()) == plain
    assert UNIVERSAL[plain] == universal
    assert universal in UNIVERSAL_TAGS


@pytest.mark.parametrize("token", ["word", "word/zz", "/nn", "word/"])
def test_tokens_that_are_not_browns_are_named(tmp_path, token):
    with pytest.raises(DataError, match=rf":2: '{token}' is not word/tag"):
        read_brown([write(tmp_path / "ca01", f"A/at dog/nn\nan/at {token}\n")])


def test_format_is_guessed_from_the_ending():
    assert [guess_format(name) for name in ("a.conllu", "b.CONLLU.gz", "c.jsonl", "d.bio", "e.tsv.gz", "f.txt")] == [
        "conllu",
        "conllu",
        "jsonl",
        "columns",
        "columns",
        "columns",
    ]
    with pytest.raises(DataError, match=r"'\.docx' names no known format of tagged data; known endings: \.conllu"):
        guess_format("a.docx")
    with pytest.raises(ConfigError, match=r'unknown format "conlu"; .* Did you mean "conllu"'):
        read_examples(["a.conllu"], "conlu")
    assert [guess_format(name, "labelled") for name in ("a.tsv.gz", "b.CSV", "c.jsonl")] == [
        "tsv",
        "csv",
        "labelled-jsonl",
    ]
    with pytest.raises(
        DataError, match=r"'\.conllu' names no known format of labelled data; known endings: \.tsv, \.csv, \.jsonl"
    ):
        guess_format("a.conllu", "labelled")
    assert {name: formats.get(name).kind for name in formats} == {
        **dict.fromkeys(["brown", "columns", "conllu", "jsonl"], "tagged"),
        **dict.fromkeys(["csv", "imdb", "labelled-jsonl", "trees", "tsv", "vader"], "labelled"),
        **dict.fromkeys(["brown-text", "conllu-text", "imdb-text", "text", "tokens", "trees-text"], "running"),
        **dict.fromkeys(["gettext", "lexicon", "parallel-jsonl", "parallel-lines", "parallel-tsv"], "parallel"),
        **dict.fromkeys(["karpathy", "openmoji-clips", "openmoji-scenes", "picture-tokens"], "pictures"),
        **dict.fromkeys(["modlamp", "series-jsonl", "series-table", "ts"], "series"),
    }


@pytest.mark.parametrize(("split", "sentences", "words"), [("dev", 2001, 25147), ("test", 2077, 25094)])
def test_english_web_treebank_has_its_published_size(data_dir, split, sentences, words):
    """Counts as stated in the README beside the files (release 2.16)."""
    check_size(data_dir, split, sentences, words)


def test_english_web_treebank_train_has_its_published_size(data_dir):
    examples = check_size(data_dir, "train", 12544, 204577)
    counts = collections.Counter(tag for example in examples for tag in example.labels["upos"])
    assert len(counts) == 17


def check_size(data_dir, split, sentences, words):
    path = data_dir / "ud-english-ewt" / f"en_ewt-ud-{split}.conllu.gz"
    examples = read_conllu(path)
    stated = [line[9:] for _, line in read_lines(path) if line.startswith("# text = ")]
    wrong = [one for one, example in zip(stated, examples, strict=True) if one != example.document.text]
    assert (len(examples), sum(len(example.document) for example in examples)) == (sentences, words)
    assert len(wrong) <= 1  # one sentence of test has a no-break space where the columns have a plain one
    return examples

import gzip
import sys
import tracemalloc
import types
from itertools import islice

import pytest
from samples import SAMPLES, TAGGED, tagged_examples

from nlp_lstm.data import hub
from nlp_lstm.data.catalogue import catalogue, find_data, open_files
from nlp_lstm.data.example import TextExample
from nlp_lstm.data.readers import guess_format, read_brown, read_examples
from nlp_lstm.data.running import LONGEST_LINE, RunningText, read_pieces
from nlp_lstm.data.sources import fill_cache
from nlp_lstm.errors import ConfigError, DataError

LETTERS = SAMPLES / "letters.txt"
NUM_LETTERS = 24  # lines that are not empty


@pytest.fixture(autouse=True)
def own_places(tmp_path, monkeypatch, request):
    """An empty user cache, no hub, and no data folder but for tests of real corpora."""
    monkeypatch.setenv("NLP_LSTM_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    if "data_dir" not in request.fixturenames:
        monkeypatch.delenv("NLP_LSTM_DATA", raising=False)


def write(path, text):
    path.write_bytes(text.encode("utf-8") if isinstance(text, str) else text)
    return path


def numbered(path, count):
    return write(path, "".join(f"line {number}\n\n" for number in range(count)))


def last_words(text):
    return [example.document.words[-1] for example in text]


def running(*paths, format=None):
    return read_examples(paths, format, kind="running")


def test_lines_of_a_letter_are_tokens_with_offsets_and_empty_lines_are_left_out():
    text = running(LETTERS)
    examples = list(text)
    assert len(text) == len(examples) == NUM_LETTERS
    assert all(isinstance(example, TextExample) for example in examples)
    assert examples[0].document.text == "The harbour in winter"
    words = examples[4].document.words
    assert (words[:4], words[-2:], len(words)) == (['"', "Late", ",", '"'], [".", '"'], 16)
    for example in examples:
        assert all(example.document.text[token.start : token.end] == token.text for token in example.document.tokens)


def test_each_pass_reads_the_files_anew(tmp_path):
    text = running(numbered(tmp_path / "a.tokens", 2))
    assert last_words(text) == ["0", "1"]
    write(tmp_path / "a.tokens", "other words")
    assert last_words(text) == ["words"]


def test_tokens_are_what_stands_between_white_space(tmp_path):
    lines = " = Title = \n \n Don't <unk> @-@ can 't .\tx\u2009y \r\n"
    first, second = running(write(tmp_path / "wiki.train.tokens.gz", gzip.compress(lines.encode())))
    assert first.document.words == ["=", "Title", "="]
    assert second.document.words == ["Don't", "<unk>", "@-@", "can", "'t", ".", "x", "y"]
    assert second.document.text == "Don't <unk> @-@ can 't . x y"


def test_brown_text_is_the_brown_corpus_without_tags(tmp_path):
    path = write(tmp_path / "ca01", "\n\tThe/at ``/`` dog/nn ''/'' barked/vbd ./.\n\nGo/vb ./.\n")
    text = running(path, format="brown-text")
    assert [example.document for example in text] == [example.document for example in read_brown(path)]
    with pytest.raises(DataError, match="ca02:2: 'dog' is not word/tag"):
        list(running(write(tmp_path / "ca02", "Go/vb ./.\nThe/at dog\n"), format="brown-text"))


def test_slices_and_positions_are_those_of_a_list(tmp_path):
    paths = [numbered(tmp_path / "a.tokens", 4), numbered(tmp_path / "b.tokens", 3)]
    text = running(*paths)
    words = ["0", "1", "2", "3", "0", "1", "2"]
    assert last_words(text) == words
    for cut in (slice(2, 5), slice(-2, None), slice(5, 2), slice(None, 99), slice(7, None)):
        part = text[cut]
        assert isinstance(part, RunningText)
        assert (last_words(part), len(part), bool(part)) == (words[cut], len(words[cut]), bool(words[cut]))
    assert last_words(text[1:6][1:3]) == words[1:6][1:3]
    assert last_words([text[3], text[-1], text[2:6][-1]]) == ["3", "2", "1"]
    for position in (7, -8):
        with pytest.raises(IndexError, match="running text with 7 lines"):
            text[position]
    with pytest.raises(ValueError, match="a slice with step 2"):
        text[::2]
    assert text[0] in text


def test_a_line_without_an_end_is_cut_at_white_space(tmp_path):
    words = [f"w{number}" for number in range(60_000)]
    path = write(tmp_path / "a.tokens", f"first\n{' '.join(words)}\n" + " ".join(words[:9]))
    text = running(path)
    examples = list(text)
    assert len(examples) == len(text) == 7  # five pieces of 410,000 characters
    assert all(len(example.document.text) <= LONGEST_LINE for example in examples)
    assert [word for example in examples[1:-1] for word in example.document.words] == words
    assert [number for number, _ in read_pieces(path)] == [1, 2, 2, 2, 2, 2, 3]


def test_a_run_without_white_space_is_cut_between_characters(tmp_path):
    path = write(tmp_path / "a.txt", "añ€😀" * 30_000)
    pieces = [piece for _, piece in read_pieces(path)]
    assert len(pieces) == 4
    assert "".join(pieces) == "añ€😀" * 30_000


@pytest.mark.parametrize("length", [LONGEST_LINE - 1, LONGEST_LINE, LONGEST_LINE + 1])
def test_lines_about_the_longest_length_lose_nothing(tmp_path, length):
    line = ("abcd " * LONGEST_LINE)[: length - 1] + "z"
    path = write(tmp_path / "a.tokens", f"{line}\n{line}\n\nend")
    pieces = [piece for _, piece in read_pieces(path)]
    assert "".join(pieces).replace(" ", "") == (line + line + "end").replace(" ", "")
    assert pieces[-1] == "end"
    assert all(len(piece) <= LONGEST_LINE for piece in pieces)


def test_memory_does_not_grow_with_the_text(tmp_path):
    """A pass over lines, a pass over one long line, and the count."""
    (tmp_path / "lines.tokens").write_text("a few words stand here in every line\n" * 30_000)  # 1.1 MB
    (tmp_path / "long.tokens").write_text("a few words stand here in every line " * 30_000)
    lines, long = running(tmp_path / "lines.tokens"), running(tmp_path / "long.tokens")
    list(islice(lines, 5))
    peaks = []
    for work in (lambda: len(lines), lambda: len(long), lambda: sum(1 for _ in islice(lines, 2_000)), lambda: long[9]):
        tracemalloc.start()
        work()
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert max(peaks[:3]) < 600_000
    assert peaks[3] < 20_000_000  # the tokens of one piece of 100,000 characters


def test_a_byte_order_mark_is_dropped(tmp_path):
    assert last_words(running(write(tmp_path / "a.tokens", b"\xef\xbb\xbfHi\r\nYou"))) == ["Hi", "You"]


@pytest.mark.parametrize(
    ("name", "content", "fault"),
    [
        ("a.txt", b"ok\n\ncaf\xe9 is not\n", r"a\.txt:3: byte b'\\xe9' at position 3 is not UTF-8"),
        ("a.tokens", b"ok\n" + b"x " * LONGEST_LINE + b"\ncaf\xe9\n", r"a\.tokens:3: byte"),
        (
            "a.txt.gz",
            gzip.compress(b"some words\n" * 1_000, mtime=0)[:-12],
            r"a\.txt\.gz: the gzip data is damaged or cut off",
        ),
        ("a.txt.gz", b"plain words\n", "the gzip data is damaged or cut off after line 0"),
        ("a.tokens", b"", r"a\.tokens: holds no text at all"),
        ("a.txt", b" \n\t\n\xc2\xa0\n", r"a\.txt: holds no text at all"),
    ],
)
def test_faults_are_named_with_their_place(tmp_path, name, content, fault):
    with pytest.raises(DataError, match=fault):
        list(running(write(tmp_path / name, content)))


def test_missing_files_folders_and_languages_are_named(tmp_path):
    for path in (tmp_path / "none.txt", tmp_path):
        with pytest.raises(DataError, match="cannot be read"):
            running(path, format="text")
    with pytest.raises(ConfigError, match='language "klingon"'):
        read_examples([LETTERS], kind="running", language="klingon")


def test_one_file_is_cut_into_stretches_test_last(tmp_path):
    found = open_files(numbered(tmp_path / "a.tokens", 50), kind="running")
    parts = found.read_splits(("train", "dev", "test"))
    assert (found.kind, found.format) == ("running", "tokens")
    assert [last_words(part) for part in parts.values()] == [
        [str(number) for number in range(46)],
        ["46", "47"],
        ["48", "49"],
    ]
    assert [len(found.read(split)) for split in ("test", "dev", "train")] == [2, 2, 46]
    assert found.notes == (
        "no dev file: a twentieth of the lines at the end of train, in one piece and at most 10,000, is kept for dev",
        "no test file: a twentieth of the lines at the end of train, in one piece and at most 10,000, is kept for test",
    )


def test_of_a_large_file_no_more_is_kept_than_can_be_scored_in_memory(tmp_path, monkeypatch):
    monkeypatch.setattr("nlp_lstm.data.found._LONGEST_STRETCH", 3)
    found = open_files(numbered(tmp_path / "a.tokens", 100), kind="running")
    assert [len(part) for part in found.read_splits(("train", "dev", "test")).values()] == [94, 3, 3]


@pytest.mark.parametrize("split", ["dev", "test"])
def test_one_missing_split_is_the_end_of_train(tmp_path, split):
    numbered(tmp_path / "my.train.txt", 40)
    numbered(tmp_path / f"my.{'test' if split == 'dev' else 'dev'}.txt", 3)
    (tmp_path / "README.txt").write_text("not data")
    found = open_files(tmp_path, kind="running")
    assert last_words(found.read(split)) == ["38", "39"]
    assert len(found.read("train")) == 38
    assert len(found.notes) == 1


def test_joined_texts_keep_what_was_cut_away(tmp_path):
    found = open_files(numbered(tmp_path / "a.tokens", 40), kind="running")
    whole = running(numbered(tmp_path / "b.tokens", 3))
    joined = RunningText.join([found.read("train"), whole])
    assert last_words(joined) == [*(str(number) for number in range(36)), "0", "1", "2"]
    assert len(joined) == 39
    assert last_words(joined[35:37]) == ["35", "0"]
    assert last_words(joined[35:39][1:3]) == ["0", "1"]


def test_treebanks_are_read_as_the_sentences_that_their_own_readers_give():
    assert [one.document for one in running(TAGGED, format="conllu-text")] == [
        one.document for one in tagged_examples()
    ]
    trees = read_examples([SAMPLES / "trees.txt"], "trees")
    assert [one.document for one in running(SAMPLES / "trees.txt", format="trees-text")] == [
        one.document for one in trees if not one.is_phrase
    ]


def test_a_treebank_in_the_cache_is_also_found_as_text():
    def fill(folder):
        for split in ("train", "dev", "test"):
            write(folder / f"en_ewt-ud-{split}.conllu.gz", gzip.compress(TAGGED.read_bytes()))

    fill_cache("ud-english-ewt", "a try", fill)
    found = find_data(["ewt-text"])
    assert (found.kind, found.source) == ("running", "a try, kept in the user cache")
    assert len(found.read("train")) == len(tagged_examples())


def test_a_fault_in_a_treebank_is_named_with_its_line(tmp_path):
    path = tmp_path / "a.conllu"
    path.write_text("# a comment\n1\tA\t_\tDET\t_\t_\t_\t_\t_\t_\n2\tdog\tNOUN\n\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"a\.conllu:3: .* has 3 columns"):
        list(running(path, format="conllu-text"))


def test_too_few_lines_to_cut_are_counted(tmp_path):
    found = open_files(numbered(tmp_path / "a.txt", 19), kind="running")
    with pytest.raises(DataError, match=r"a\.txt: 19 lines of text are too few .* give at least 20 lines"):
        found.read("dev")
    assert len(open_files(numbered(tmp_path / "a.txt", 20), kind="running").read("dev")) == 1


def test_endings_and_formats_of_running_text(tmp_path):
    assert [guess_format(name, "running") for name in ("a.txt", "b.TXT.gz", "wiki.test.tokens.gz")] == [
        "text",
        "text",
        "tokens",
    ]
    with pytest.raises(
        DataError, match=r"no known format of running data; known endings: \.txt, \.tokens, each also with \.gz"
    ):
        guess_format("a.conllu", "running")
    with pytest.raises(ConfigError, match='format "text" is for running data; here tagged data is needed'):
        open_files(LETTERS, format="text")


def test_brown_text_is_the_same_package_as_brown():
    plain, tagged = catalogue().data["brown-text"], catalogue().data["brown"]
    assert (plain.splits, plain.sources, plain.format) == (tagged.splits, tagged.sources, "brown-text")


def test_rows_from_the_hub_become_lines(monkeypatch):
    rows = [{"text": text} for text in ("", " = Title = \n", "", " A <unk> line . \n", "no line end")]
    splits = dict.fromkeys(("train", "validation", "test"), rows)

    def load_dataset(repo, config):
        assert (repo, config) == ("Salesforce/wikitext", "wikitext-2-v1")
        return splits

    monkeypatch.setitem(sys.modules, "datasets", types.SimpleNamespace(load_dataset=load_dataset))
    monkeypatch.setattr(hub, "check_hub", lambda: None)
    found = find_data(["wikitext-2"])
    for split in ("train", "dev", "test"):
        texts = [example.document.text for example in found.read(split)]
        assert texts == ["= Title =", "A <unk> line .", "no line end"]
    assert find_data(["wikitext-2"]).source.endswith("kept in the user cache")


def test_rows_from_the_hub_without_text_are_refused(monkeypatch):
    fake = types.SimpleNamespace(load_dataset=lambda repo, config: {"train": [{"text": "a"}, {"page": "b"}]})
    monkeypatch.setitem(sys.modules, "datasets", fake)
    monkeypatch.setattr(hub, "check_hub", lambda: None)
    with pytest.raises(DataError, match="row 1 has no text; it has page"):
        find_data(["wikitext-2"])


@pytest.mark.parametrize(
    ("split", "lines", "words"), [("train", 23_767, 2_051_874), ("dev", 2_461, 213_886), ("test", 2_891, 241_211)]
)
def test_wikitext_has_its_published_size(data_dir, split, lines, words):
    """Lines and words as the README beside the files has them, but that it counts 36 empty strings in train."""
    text = find_data(["wikitext-2"]).read(split)
    assert len(text) == lines
    assert (
        sum(len(piece.split()) for path in find_data(["wikitext-2"]).splits[split] for _, piece in read_pieces(path))
        == words
    )
    assert next(iter(text)).document.words[0] == "="

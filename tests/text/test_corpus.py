import gzip

import pytest

from nlp_lstm.errors import DataError
from nlp_lstm.text.corpus import TokenisedCorpus

TEXT = "The ferry left. We waited.\n\nराम घर गया।\n"
SENTENCES = [["The", "ferry", "left", "."], ["We", "waited", "."], ["राम", "घर", "गया", "।"]]


@pytest.mark.parametrize("name", ["text.txt", "text.txt.gz"])
def test_each_pass_gives_the_same_sentences(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(gzip.compress(TEXT.encode()) if name.endswith(".gz") else TEXT.encode())
    corpus = TokenisedCorpus(path)
    assert [list(corpus), list(corpus)] == [SENTENCES, SENTENCES]


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DataError, match=r"nowhere\.txt does not exist"):
        TokenisedCorpus(tmp_path / "nowhere.txt")


def test_a_line_that_is_not_utf8_is_named(tmp_path):
    path = tmp_path / "latin.txt"
    path.write_bytes(b"fine\ncaf\xe9\n")
    with pytest.raises(DataError, match=r"latin\.txt:2: .* is not UTF-8"):
        list(TokenisedCorpus(path))


@pytest.mark.parametrize(
    "damage", [lambda data: data[:-9], lambda data: b"no gzip", lambda data: data[:20] + b"\xff" * 9]
)
def test_a_damaged_gzip_file_is_named(tmp_path, damage):
    path = tmp_path / "text.txt.gz"
    path.write_bytes(damage(gzip.compress(TEXT.encode() * 50)))
    with pytest.raises(DataError, match="gzip data is damaged or cut off"):
        list(TokenisedCorpus(path))

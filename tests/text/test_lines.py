import gzip
import io

import pytest

from nlp_lstm.errors import DataError
from nlp_lstm.text.lines import read_lines

TEXT = "\ufeffone\r\n\n\ufefftwo\u2028still\x0ctwo\nराम"
LINES = [(1, "one"), (2, ""), (3, "\ufefftwo\u2028still\x0ctwo"), (4, "राम")]


def test_files_packed_files_and_streams_have_the_same_lines(tmp_path):
    plain, packed = tmp_path / "a.txt", tmp_path / "a.txt.GZ"
    plain.write_bytes(TEXT.encode())
    packed.write_bytes(gzip.compress(TEXT.encode()))
    stream = io.BytesIO(TEXT.encode())
    for source in (plain, str(plain), packed, stream):
        assert list(read_lines(source)) == LINES
    assert not stream.closed


def test_lines_come_lazily():
    lines = read_lines(io.BytesIO(b"fine\n\xff\n"), "stdin")
    assert next(lines) == (1, "fine")
    with pytest.raises(DataError, match=r"stdin:2: byte b'\\xff' at position 0 is not UTF-8"):
        next(lines)


def test_the_first_bad_byte_is_named_after_a_byte_order_mark_too(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes(b"\xef\xbb\xbfcaf\xe9")
    with pytest.raises(DataError, match=r"a\.txt:1: byte b'\\xe9' at position 3"):
        list(read_lines(path))


@pytest.mark.parametrize(
    "damage",
    [lambda data: data[:-9], lambda data: b"no gzip", lambda data: data[:10] + b"\xff" * 9 + data[19:]],
    ids=["cut off", "not packed", "overwritten"],
)
def test_damaged_packed_files_are_named(tmp_path, damage):
    path = tmp_path / "a.txt.gz"
    path.write_bytes(damage(gzip.compress(TEXT.encode() * 50)))
    with pytest.raises(DataError, match=r"a\.txt\.gz: the gzip data is damaged or cut off after line"):
        list(read_lines(path))


def test_missing_files_and_folders_are_named(tmp_path):
    for path in (tmp_path / "nowhere.txt", tmp_path / "nowhere.gz", tmp_path):
        with pytest.raises(DataError, match=f"{path.name}: cannot be read"):
            list(read_lines(path))

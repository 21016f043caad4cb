"""Reviews of IMDb are read one by one wherever the blocks of the file end; broken files are refused with a place."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nlp_lstm.data import imdb
from nlp_lstm.data.imdb import imdb_paragraphs
from nlp_lstm.data.readers import read_examples
from nlp_lstm.data.reading import ReadingSettings
from nlp_lstm.errors import DataError

REVIEWS = [
    {"t": 'Not "great", but fine.<br /><br />I laughed twice. 7/10', "s": 1},
    {"t": "Zwei Stunden zu lang – trop long ! \\ 😀 <br/> Avoid.", "s": 0},
    {"t": '], [ {"t": 1}, and other brackets', "s": 0},
]


def write(folder: Path, text: str) -> Path:
    path = folder / "reviews.json"
    path.write_text(text, "utf-8")
    return path


@pytest.mark.parametrize("block_bytes", [1, 7, 64, 1 << 20])
@pytest.mark.parametrize("separators", [(",", ":"), (" ,\n ", ": ")])
def test_paragraphs_do_not_depend_on_blocks_or_spacing(tmp_path, monkeypatch, block_bytes, separators):
    monkeypatch.setattr(imdb, "_BLOCK_BYTES", block_bytes)
    path = write(tmp_path, json.dumps(REVIEWS, ensure_ascii=False, separators=separators))
    assert list(imdb_paragraphs(path)) == [
        (1, 'Not "great", but fine.'),
        (1, "I laughed twice. 7/10"),
        (2, "Zwei Stunden zu lang – trop long ! \\ 😀"),
        (2, "Avoid."),
        (3, '], [ {"t": 1}, and other brackets'),
    ]


def test_labels_are_named_and_breaks_are_line_ends(tmp_path):
    path = write(tmp_path, json.dumps(REVIEWS))
    reading = ReadingSettings(labels={"0": "NEGATIVE", "1": "POSITIVE"})
    examples = read_examples([path], "imdb", reading=reading)
    assert [example.label for example in examples] == ["POSITIVE", "NEGATIVE", "NEGATIVE"]
    assert examples[0].document.words[:5] == ["Not", '"', "great", '"', ","]
    assert "\n\nI laughed twice." in examples[0].document.text


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('{"t": "x", "s": 1}', "expected a JSON array"),
        ('[{"t":"good","s":1},{"t":"ba', r"reviews\.json:2: no review, or one cut off"),
        ('[{"t":"good","s":1}', r"reviews\.json:2: no review, or one cut off"),
        ('[{"t":"good","s":1},{"t":"bad","s":2}]', r"reviews\.json:2: .* is no review"),
        ('[{"t":"good","s":1},{"t":null,"s":0}]', r"reviews\.json:2: .* is no review"),
        ('[{"t":"good","s":1},[1]]', r"reviews\.json:2: .* is no review"),
        ('[{"t":"' + "x" * 3_000_000 + '","s":1}]', r"reviews\.json:1: .* longer than 1,048,576"),
        ("", "expected a JSON array"),
    ],
)
def test_broken_files_are_refused_with_the_number_of_the_review(tmp_path, text, complaint):
    with pytest.raises(DataError, match=complaint):
        list(imdb_paragraphs(write(tmp_path, text)))


def test_bytes_that_are_not_utf8_are_refused(tmp_path):
    path = tmp_path / "reviews.json"
    path.write_bytes(b'[{"t":"caf\xe9","s":1}]')
    with pytest.raises(DataError, match="is not UTF-8"):
        list(imdb_paragraphs(path))

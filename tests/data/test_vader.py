from collections import Counter

import pytest

from nlp_lstm.data.catalogue import find_data
from nlp_lstm.data.reading import ReadingSettings
from nlp_lstm.data.vader import rating_class, read_vader
from nlp_lstm.errors import DataError
from nlp_lstm.text.tokenize import Tokenizer

TWEETS = (
    "1\t2.45\tFound my keys &amp; my hat &lt;3\r\n"
    "2\t-2\tThe ''express'' bus took two hours\r\n"
    "3_1\t-0.5\tIt's raining again.\r\n"
    "3_2\t0.49\tIt's Tuesday.\r\n"
    "4\t0.5\tNice hat!\r\n"
)


@pytest.fixture
def read(tmp_path):
    """Write a file and read it."""

    def write_and_read(text, name="tweets_GroundTruth.txt", **reading):
        (tmp_path / name).write_bytes(text.encode("utf-8"))
        return read_vader(tmp_path / name, ReadingSettings(**reading), Tokenizer("en"))

    return write_and_read


def test_ratings_become_classes_and_names_domains(read):
    examples = read(TWEETS)
    assert [example.label for example in examples] == [
        "very positive",
        "very negative",
        "negative",
        "neutral",
        "positive",
    ]
    assert {example.domain for example in examples} == {"tweets"}
    assert examples[0].document.text == "Found my keys & my hat <3"
    assert examples[1].document.words[:4] == ["The", '"', "express", '"']
    line = "7\t-3\tA film about rain.\n"
    starts = {"movieReviewSnippets": "film", "amazonReviewSnippets": "products", "nytEditorialSnippets": "news"}
    for start, domain in starts.items():
        assert read(line, name=f"{start}_GroundTruth.txt")[0].domain == domain


@pytest.mark.parametrize(
    ("rating", "label"),
    [
        (-4, "very negative"),
        (-1.99, "negative"),
        (-0.49, "neutral"),
        (0, "neutral"),
        (1.99, "positive"),
        (2, "very positive"),
    ],
)
def test_bounds_of_the_classes(rating, label):
    assert rating_class(rating) == label


def test_labels_can_be_named_anew(read):
    names = {"very negative": "BAD", "negative": "BAD", "neutral": None, "positive": "GOOD", "very positive": "GOOD"}
    examples = read(TWEETS, labels=names)
    assert [example.label for example in examples] == ["GOOD", "BAD", "BAD", "GOOD"]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("1\t2\n", r"txt:1: '1\\t2' has 2 columns; a line has an id, a rating and a text"),
        ("1\t2\ta\n2\t2\ta\tb\n", r"txt:2: .* has 4 columns"),
        ("1\t2\ta\n\n", r"txt:2: '' has 1 columns"),
        ("1\tgood\ta\n", r"txt:1: the rating is 'good'; it is a number from -4 to 4"),
        ("1\t4.1\ta\n", r"txt:1: the rating is '4.1'"),
        ("1\tnan\ta\n", r"txt:1: the rating is 'nan'"),
        ("1\t1\t \n", r"txt:1: the text is ' '"),
        ("", "holds no labelled text at all"),
    ],
)
def test_bad_lines_are_refused_with_their_place(read, text, fault):
    with pytest.raises(DataError, match=fault):
        read(text)


def test_a_file_of_another_name_is_refused(read):
    with pytest.raises(DataError, match="does not say where its texts come from; it begins with movie, amazon"):
        read(TWEETS, name="posts.txt")


@pytest.mark.slow
def test_snippets_of_the_catalogue_can_be_fetched(tmp_path, monkeypatch):
    """From the registry, with the numbers of snippets that the data set's own README states."""
    monkeypatch.setenv("NLP_LSTM_CACHE", str(tmp_path))
    monkeypatch.delenv("NLP_LSTM_DATA", raising=False)
    found = find_data(["vader-snippets"])
    examples = [example for split in ("train", "dev", "test") for example in found.read(split)]
    counts = Counter(example.domain for example in examples)
    assert counts == {"film": 10_605, "news": 5_190, "tweets": 4_200, "products": 3_708}
    assert {example.label for example in examples} == {rating_class(rating) for rating in (-3, -1, 0, 1, 3)}

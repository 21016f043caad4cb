"""Word vectors that are trained on a text of the catalogue: made once, kept, and those that gensim makes itself."""

from __future__ import annotations

import json

import numpy as np
import pytest
from gensim.models import Word2Vec

from nlp_lstm.data.catalogue import find_data, find_vectors
from nlp_lstm.errors import DataError
from nlp_lstm.text.vectors import _stable_hash

REVIEWS = [
    {"t": f"A {word} film in {number} acts.<br /><br />We were {mood}.", "s": label}
    for number in range(30)
    for word, mood, label in (("dull", "bored", 0), ("Bright", "glad", 1), ("long", "asleep", 0))
]


@pytest.fixture
def reviews(tmp_path, monkeypatch):
    """A machine with a small file of reviews, and no vectors."""
    folder = tmp_path / "data" / "imdb"
    folder.mkdir(parents=True)
    (folder / "reviews.json").write_text(json.dumps(REVIEWS), "utf-8")
    monkeypatch.setenv("NLP_LSTM_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("NLP_LSTM_CACHE", str(tmp_path / "cache"))
    return folder / "reviews.json"


def test_they_are_trained_once_and_then_kept(reviews):
    lines: list[str] = []
    trained = find_vectors("imdb-100d", say=lines.append)
    assert any("training the word vectors imdb-100d on imdb-text" in line for line in lines)
    assert "  3 of 3 times through the text" in lines
    reviews.unlink()
    again: list[str] = []
    kept = find_vectors("imdb-100d", say=again.append)
    assert again == ["word vectors: imdb-100d, from trained on imdb-text, kept in the user cache"]
    assert kept.words == trained.words
    assert np.array_equal(kept.matrix, trained.matrix)


def test_they_are_those_of_gensim_for_the_training_part_in_small_letters(reviews):
    sentences = [
        [word.lower() for word in example.document.words] for example in find_data(["imdb-text"]).read("train")
    ]
    options = {"vector_size": 100, "min_count": 5, "sg": 1, "epochs": 3, "sample": 1e-4}
    model = Word2Vec(sentences, **options, seed=1, workers=1, hashfxn=_stable_hash)
    trained = find_vectors("imdb-100d")
    assert trained.words == model.wv.index_to_key
    assert "bright" in trained.words
    assert np.array_equal(trained.matrix, model.wv.vectors)


def test_without_the_text_every_try_is_told(reviews, monkeypatch):
    reviews.write_text("[]", "utf-8")
    with pytest.raises(DataError, match="the word vectors imdb-100d cannot be had") as caught:
        find_vectors("imdb-100d")
    assert "imdb-100d, trained on imdb-text: " in str(caught.value)

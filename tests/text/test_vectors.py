import gzip
import json
import os
import pickle
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest

from nlp_lstm.errors import ConfigError, DataError, VocabularyError
from nlp_lstm.text.vector_files import sniff_kind
from nlp_lstm.text.vectors import WordVectors, load_vectors, nearest_words, save_word2vec, train_vectors

WORDS = ["the", ",", "sea", "Łódź", "e-mail"]
MATRIX = np.arange(20, dtype=np.float32).reshape(5, 4) / 8 - 1

SENTENCES = [line.split() for line in ("the cat sat on the mat", "a dog sat on the rug", "the cat saw a dog") * 8]


def rows_of_text(words=WORDS, matrix=MATRIX, after=""):
    return [" ".join([word, *(f"{value:g}" for value in row)]) + after for word, row in zip(words, matrix, strict=True)]


def write_text(path, lines):
    data = ("\n".join(lines) + "\n").encode("utf-8")
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def write_binary(path):
    data = b"5 4\n" + b"".join(
        word.encode() + b" " + row.tobytes() + b"\n" for word, row in zip(WORDS, MATRIX, strict=True)
    )
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def write_pair(path, ending=".parquet"):
    np.save(path, np.asfortranarray(MATRIX))
    if ending == ".txt":
        path.with_suffix(".txt").write_text("\n".join(WORDS) + "\n", "utf-8")
    else:
        pyarrow.parquet.write_table(pyarrow.table({"rank": range(5), "index": WORDS}), path.with_name("words.parquet"))
    return path


def write_wink(path):
    rows = {word: [*map(float, row), 1.5, rank] for rank, (word, row) in enumerate(zip(WORDS, MATRIX, strict=True))}
    wink = {"precision": 8, "size": 5, "dimensions": 4, "words": WORDS, "vectors": dict(sorted(rows.items()))}
    path.write_text(json.dumps(wink | {"unkVector": [0, 0, 0, 0, 0, -1]}, ensure_ascii=False), "utf-8")
    return path


FORMATS = {
    "word2vec.txt": lambda path: write_text(path, ["5 4", *rows_of_text()]),
    "word2vec.txt.gz": lambda path: write_text(path, ["5 4", *rows_of_text()]),
    "word2vec.bin": write_binary,
    "word2vec.bin.gz": write_binary,
    "glove.6B.4d.txt": lambda path: write_text(path, rows_of_text()),
    "glove.txt.gz": lambda path: write_text(path, rows_of_text()),
    "fasttext.vec": lambda path: write_text(path, ["5 4", *rows_of_text(after=" ")]),
    "pair.npy": write_pair,
    "words.npy": lambda path: write_pair(path, ".txt"),
    "wink.json": write_wink,
}


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_gives_the_same_vectors(tmp_path, name):
    path = FORMATS[name](tmp_path / name)
    vectors = load_vectors(path, cache_dir=tmp_path / "cache")
    assert vectors.words == WORDS
    assert vectors.index["Łódź"] == 3
    assert (vectors.name, len(vectors), vectors.embed_size, vectors.licence) == (name, 5, 4, None)
    np.testing.assert_array_equal(vectors.matrix, MATRIX)
    assert isinstance(vectors.matrix, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        vectors.matrix[0, 0] = 1


def test_second_load_does_not_read_the_source_again(tmp_path):
    path = write_text(tmp_path / "a.txt", rows_of_text())
    lines = []
    first = load_vectors(path, cache_dir=tmp_path / "cache", say=lines.append)
    assert lines == ["converting a.txt, once"]
    status = path.stat()
    path.write_bytes(b"x" * status.st_size)  # the same size and time: only reading it would show the change
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    second = load_vectors(path, cache_dir=tmp_path / "cache", say=lines.append)
    assert len(lines) == 1
    assert second.sha256 == first.sha256
    assert second.words == first.words


def test_changed_or_moved_source_is_noticed(tmp_path):
    cache = tmp_path / "cache"
    path = write_text(tmp_path / "a.txt", rows_of_text())
    first = load_vectors(path, cache_dir=cache)
    copy = tmp_path / "b.txt"
    copy.write_bytes(path.read_bytes())
    lines = []
    assert load_vectors(copy, cache_dir=cache, say=lines.append).sha256 == first.sha256
    assert lines == []  # the same bytes: the conversion is shared
    write_text(path, rows_of_text(["a", "b", "c", "d", "e"]))
    assert load_vectors(path, cache_dir=cache).words == ["a", "b", "c", "d", "e"]


def test_half_written_conversion_is_made_again(tmp_path):
    path = write_text(tmp_path / "a.txt", rows_of_text())
    vectors = load_vectors(path, cache_dir=tmp_path / "cache")
    folder = Path(vectors.matrix.filename).parent
    (folder / "words.txt").unlink()
    assert load_vectors(path, cache_dir=tmp_path / "cache").words == WORDS
    (folder / "words.txt").write_text("too\nfew")
    with pytest.raises(DataError, match="converted vectors are damaged; delete this folder"):
        load_vectors(path, cache_dir=tmp_path / "cache")


@pytest.mark.parametrize("header", [[], ["6 4"]])
def test_first_of_two_equal_words_counts(tmp_path, header):
    doubled = ["the", "sea", "the", "cat", "sea", "dog"]
    matrix = np.arange(24, dtype=np.float32).reshape(6, 4)
    path = write_text(tmp_path / "a.txt", header + rows_of_text(doubled, matrix))
    vectors = load_vectors(path, cache_dir=tmp_path / "cache")
    assert vectors.words == ["the", "sea", "cat", "dog"]
    np.testing.assert_array_equal(vectors.matrix, matrix[[0, 1, 3, 5]])


def test_nearest_words_are_those_of_gensim():
    from gensim.models import KeyedVectors

    matrix = np.random.default_rng(0).standard_normal((50, 8)).astype(np.float32)
    words = [f"word{number}" for number in range(50)]
    reference = KeyedVectors(8)
    reference.add_vectors(words, matrix)
    vectors = WordVectors(name="n", words=words, matrix=matrix, sha256="")
    found = nearest_words(vectors, "WORD7", count=5)
    expected = reference.most_similar("word7", topn=5)
    assert [word for word, _ in found] == [word for word, _ in expected]
    assert [score for _, score in found] == pytest.approx([score for _, score in expected], abs=1e-5)
    with pytest.raises(VocabularyError, match="'zzz' is not among the 50 words of n"):
        nearest_words(vectors, "zzz")


GOOD = rows_of_text()


@pytest.mark.parametrize(
    ("lines", "fault"),
    [
        ([*GOOD[:2], "sea 1 2 3", *GOOD[3:]], r"a.txt:3: .*has 3 numbers after the word, expected 4"),
        (["5 4", *GOOD[:2], "sea 1", *GOOD[3:]], r"a.txt:4: .*has 1 numbers after the word, expected 4"),
        (["5 4", *GOOD[:3]], "the header says 5 words, but there are 3"),
        (["4 4", *GOOD], "the header says 4 words, but there are 5"),
        (["5 3", *GOOD], r"a.txt:2: .*has 4 numbers after the word, expected 3"),
        ([*GOOD[:2], "sea 1 2 x 4", *GOOD[3:]], r"a.txt:3: b'x' is not a number, for the word b'sea'"),
        ([*GOOD[:2], "sea 1 2 nan 4", *GOOD[3:]], r"the vector of 'sea' \(word 3\) has a value that is no number"),
        (["5 4", *GOOD[:4], "inf 1 2 -inf 4"], r"the vector of 'inf' \(word 5\)"),
        (["900000000 300", *GOOD], "which this file of .* bytes cannot hold"),
        (["0 4", *GOOD], "cannot hold"),
        (["hello world"], "begins no word vectors that can be read; readable: word2vec"),
        ([], "begins no word vectors"),
    ],
)
def test_faults_of_a_text_file_are_named_with_their_line(tmp_path, lines, fault):
    with pytest.raises(DataError, match=fault):
        load_vectors(write_text(tmp_path / "a.txt", lines), cache_dir=tmp_path / "cache")
    assert not list((tmp_path / "cache").rglob("matrix.npy"))


def test_word_that_is_not_utf8_is_named_with_its_line(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes(b"\n".join([GOOD[0].encode(), b"caf\xe9 1 2 3 4", GOOD[2].encode()]) + b"\n")
    with pytest.raises(DataError, match=r"a\.txt:2: the word b'caf.xe9' is not UTF-8"):
        load_vectors(path, cache_dir=tmp_path)


@pytest.mark.parametrize("name", ["word2vec.bin", "word2vec.bin.gz", "glove.txt.gz", "pair.npy", "wink.json"])
def test_files_that_are_cut_off_are_data_errors(tmp_path, name):
    path = FORMATS[name](tmp_path / name)
    data = path.read_bytes()
    for keep in (len(data) - 20, len(data) * 2 // 3):
        path.write_bytes(data[:keep])
        if name == "wink.json" and keep == len(data) - 20:
            continue  # only the unknown word's vector, which is not read, is missing
        with pytest.raises(DataError, match=r"cut off|cannot hold"):
            load_vectors(path, cache_dir=tmp_path / "cache")


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"dimensions": 5}, "has a value that is no number|cannot be read"),
        ({"dimensions": 9}, "the vector of .* cannot be read .6 numbers, expected 9"),
        ({"words": ["the"]}, "cannot be read .not in words"),
        ({"words": [*WORDS, "more"]}, "the vector of 'more' .* has a value that is no number"),
        ({"vectors": []}, "not wink's JSON"),
    ],
)
def test_faults_of_winks_json_are_data_errors(tmp_path, change, fault):
    path = write_wink(tmp_path / "wink.json")
    wink = json.loads(path.read_text("utf-8"))
    if "dimensions" in change and change["dimensions"] == 5:
        wink["vectors"]["sea"] = [1, 2, 3]
    path.write_text(json.dumps(wink | change), "utf-8")
    with pytest.raises(DataError, match=fault):
        load_vectors(path, cache_dir=tmp_path / "cache")


def test_matrix_needs_as_many_words(tmp_path):
    path = write_pair(tmp_path / "pair.npy", ".txt")
    path.with_suffix(".txt").write_text("only\ntwo\n")
    with pytest.raises(DataError, match="has 2 words for the 5 vectors"):
        load_vectors(path, cache_dir=tmp_path / "cache")
    path.with_suffix(".txt").unlink()
    with pytest.raises(DataError, match="needs the words beside it"):
        load_vectors(path, cache_dir=tmp_path / "cache")
    np.save(path, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    path.with_suffix(".txt").write_text("one\n")
    with pytest.raises(DataError, match=r"no \.npy file of numbers"):
        load_vectors(path, cache_dir=tmp_path / "cache")


class Bomb:
    def __reduce__(self):
        return (os.mkdir, ("opened",))


@pytest.mark.parametrize("name", ["model.kv", "harmless.txt", "harmless.bin.gz"])
def test_pickles_are_refused_unopened(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    data = pickle.dumps(Bomb())
    (tmp_path / name).write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    with pytest.raises(ConfigError, match=r"this is a Python pickle .*save_word2vec_format"):
        load_vectors(name, cache_dir=tmp_path / "cache")
    assert not (tmp_path / "opened").exists()


def test_gensims_own_file_opens_when_trusted(tmp_path):
    vectors = train_vectors(SENTENCES, size=8, min_count=1, epochs=1)
    vectors.save(str(tmp_path / "model.kv"))
    loaded = load_vectors(tmp_path / "model.kv", cache_dir=tmp_path, trust_pickle=True)
    np.testing.assert_array_equal(loaded.matrix, vectors.vectors)


def test_missing_file_is_a_data_error(tmp_path):
    with pytest.raises(DataError, match="cannot be read"):
        load_vectors(tmp_path / "none.txt", cache_dir=tmp_path)


@pytest.mark.parametrize("kind", ["word2vec", "fasttext"])
@pytest.mark.parametrize("ending", [".txt", ".bin"])
def test_trained_vectors_come_back_from_their_file(tmp_path, kind, ending):
    trained = train_vectors(SENTENCES, kind=kind, size=12, min_count=2, epochs=2, buckets=1000)
    save_word2vec(trained, tmp_path / f"own{ending}")
    assert sniff_kind(tmp_path / f"own{ending}") == {".txt": "text", ".bin": "binary"}[ending]
    loaded = load_vectors(tmp_path / f"own{ending}", cache_dir=tmp_path / "cache")
    assert set(loaded.words) == {"the", "cat", "sat", "on", "mat", "a", "dog", "rug", "saw"}
    np.testing.assert_allclose(loaded.matrix, trained.vectors, rtol=1e-6)


TRAINING = """
from nlp_lstm.text.vectors import train_vectors
import hashlib
sentences = [line.split() for line in ("the cat sat on the mat", "a dog sat on the rug") * 20]
for kind in ("word2vec", "fasttext"):
    vectors = train_vectors(sentences, kind=kind, size=10, min_count=1, epochs=3, seed=5, buckets=500)
    print(hashlib.sha256(vectors.vectors.tobytes()).hexdigest())
"""


def test_training_is_the_same_in_every_process():
    outputs = set()
    for hash_seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
        command = [sys.executable, "-W", "ignore", "-c", TRAINING]
        outputs.add(subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout)
    assert len(outputs) == 1
    assert len(set(outputs.pop().split())) == 2


def test_training_refuses_what_it_cannot_use():
    with pytest.raises(ConfigError, match="used up after one pass"):
        train_vectors(iter(SENTENCES))
    with pytest.raises(ConfigError, match='unknown kind of vectors "glove"'):
        train_vectors(SENTENCES, kind="glove")
    with pytest.raises(DataError, match="no word occurs 100 times or more"):
        train_vectors(SENTENCES[:3], min_count=100)


def test_large_vectors_load_in_under_a_second_from_the_second_time_on(tmp_path):
    """400,000 words of 100 numbers (160 MB), the size of the usual pretrained sets."""
    path = tmp_path / "large.npy"
    np.save(path, np.ones((400_000, 100), dtype=np.float32))
    path.with_suffix(".txt").write_text("\n".join(f"word{number}" for number in range(400_000)))
    load_vectors(path, cache_dir=tmp_path / "cache")
    start = time.perf_counter()
    vectors = load_vectors(path, cache_dir=tmp_path / "cache")
    assert len(vectors) == 400_000
    assert time.perf_counter() - start < 1

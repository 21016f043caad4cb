"""Word vectors: read from the usual file formats, kept memory-mapped, looked up, trained.

A file is converted once into a folder of the cache: ``matrix.npy`` (float32, ``word embed``), ``words.txt`` (one a
line) and ``meta.json``. Later loads map the matrix and read the words; the big file is not touched again, not even
for its digest, as long as its path, size and time of change stay the same. The formats themselves are read in
``vector_files``.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import shutil
import tempfile
import zlib
from collections.abc import Callable, Iterable
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from nlp_lstm.errors import ConfigError, DataError, VocabularyError, shorten
from nlp_lstm.text.vector_files import read_vector_file, source_files

_LAYOUT = 1  # of a converted folder; another number is converted anew
_BLOCK_BYTES = 1 << 20


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class WordVectors:
    """Vectors of words, in the order of their file (for most files: by frequency).

    Args:
        name: what to call them in reports.
        words: the words, each once.
        matrix: float32 ``word embed``, mapped read-only.
        sha256: digest of the file they were read from; of two files, the digest of both.
        licence: None when not known.
    """

    name: str
    words: list[str]
    matrix: npt.NDArray[np.float32]
    sha256: str
    licence: str | None = None

    @cached_property
    def index(self) -> dict[str, int]:
        """Word to its row in ``matrix``."""
        return {word: row for row, word in enumerate(self.words)}

    @property
    def embed_size(self) -> int:
        """Features per vector."""
        return int(self.matrix.shape[1])

    def __len__(self) -> int:
        return len(self.words)


def load_vectors(
    path: Path | str,
    *,
    cache_dir: Path,
    say: Callable[[str], object] = lambda line: None,
    name: str | None = None,
    licence: str | None = None,
    trust_pickle: bool = False,
) -> WordVectors:
    """Load word vectors from a file, converting it at the first time.

    Formats, told apart by content: word2vec text and binary, GloVe text, fastText ``.vec`` (each also ``.gz``),
    ``.npy`` with the words in the one ``.parquet`` or ``.txt`` beside it, wink's JSON. Of words that stand twice in
    a file the first counts.

    Args:
        path: the file.
        cache_dir: converted vectors go to ``vectors/`` in it.
        say: called with a line when a conversion starts.
        name: what to call them; default the file name.
        licence: kept with the result.
        trust_pickle: read gensim's own ``.kv`` files, too. They are pickles: opening one runs what is in it.

    Raises:
        ConfigError: the file is a pickle and ``trust_pickle`` is not set.
        DataError: the file is missing, in no known format, or damaged; with the line where there is one.
    """
    path = Path(path)
    files = source_files(path)
    root = Path(cache_dir) / "vectors"
    pointer = root / f"{_fingerprint(files)}.json"
    folder = _follow(pointer)
    if folder is None:
        digest = _digest(files)
        folder = root / digest[:16]
        if not _is_complete(folder):
            say(f"converting {path.name}, once")
            words, matrix = read_vector_file(path, trust_pickle=trust_pickle)
            _write_folder(folder, words, matrix, digest)
        _write_text(pointer, json.dumps({"folder": folder.name}))
    meta = json.loads((folder / "meta.json").read_text("utf-8"))
    words = (folder / "words.txt").read_text("utf-8", "strict").split("\n") if meta["words"] else []
    matrix = np.load(folder / "matrix.npy", mmap_mode="r", allow_pickle=False)
    if matrix.shape != (len(words), meta["embed"]) or len(words) != meta["words"]:
        raise DataError(f"{folder}: the converted vectors are damaged; delete this folder and load again")
    return WordVectors(name=name or path.name, words=words, matrix=matrix, sha256=meta["sha256"], licence=licence)


def train_vectors(
    sentences: Iterable[list[str]],
    *,
    kind: Literal["word2vec", "fasttext"] = "word2vec",
    size: int = 100,
    window: int = 5,
    min_count: int = 5,
    epochs: int = 5,
    seed: int = 0,
    workers: int = 1,
    skip_gram: bool = True,
    sample: float = 1e-3,
    buckets: int = 200_000,
    on_epoch: Callable[[int, int], object] = lambda epoch, epochs: None,
) -> Any:
    """Train word vectors on tokenised sentences with gensim; the same call gives the same vectors with one worker.

    Args:
        sentences: lists of words, gone through several times: a list, or an object that starts anew each time.
        kind: "word2vec" (Mikolov et al. 2013), or "fasttext" (Bojanowski et al. 2017: words as sums of n-grams).
        size: features per vector.
        window: words to each side that count as context.
        min_count: rarer words are left out.
        epochs: passes over the sentences.
        seed: of the initial vectors and the sampling.
        workers: threads; with more than one the result differs from run to run.
        skip_gram: predict the context from the word; otherwise the word from its context (CBOW).
        sample: the frequency above which a word is passed over now and then; less is faster.
        buckets: fasttext only: rows that the n-grams share.
        on_epoch: called after each pass with its number from 1 and that of all passes.

    Returns:
        gensim ``KeyedVectors``; ``save_word2vec`` writes them.

    Raises:
        ConfigError: ``kind`` is not known, or ``sentences`` can be gone through only once.
        DataError: no word occurs ``min_count`` times.
    """
    if kind not in ("word2vec", "fasttext"):
        raise ConfigError(f'unknown kind of vectors "{kind}"; known kinds: fasttext, word2vec')
    if iter(sentences) is sentences:
        raise ConfigError("the sentences are an iterator, which is used up after one pass; give a list")
    from gensim.models import FastText, Word2Vec
    from gensim.models.callbacks import CallbackAny2Vec

    class Progress(CallbackAny2Vec):
        """Counts the passes."""

        count = 0

        def on_epoch_end(self, model: Any) -> None:
            self.count += 1
            on_epoch(self.count, epochs)

    options: dict[str, Any] = {
        "vector_size": size,
        "window": window,
        "min_count": min_count,
        "seed": seed,
        "workers": workers,
    }
    options |= {
        "sg": int(skip_gram),
        "sample": sample,
        "hashfxn": _stable_hash,
    }  # gensim's default, hash(), differs per process
    model = FastText(bucket=buckets, **options) if kind == "fasttext" else Word2Vec(**options)
    model.build_vocab(sentences)
    if not len(model.wv):
        raise DataError(f"no word occurs {min_count} times or more; give more text or a lower min_count")
    model.train(sentences, total_examples=model.corpus_count, epochs=epochs, callbacks=[Progress()])
    return model.wv


def nearest_words(vectors: WordVectors, word: str, count: int = 10) -> list[tuple[str, float]]:
    """Return the words whose vectors point most nearly the same way, with the cosine, the nearest first.

    Args:
        vectors: the vectors.
        word: a word among them, as it stands or in lower case.
        count: how many.

    Raises:
        VocabularyError: the word has no vector.
    """
    row = vectors.index.get(word, vectors.index.get(word.lower()))
    if row is None:
        raise VocabularyError(f"{shorten(word)} is not among the {len(vectors):,} words of {vectors.name}")
    lengths = np.linalg.norm(vectors.matrix, axis=1)
    products = vectors.matrix @ vectors.matrix[row]
    cosines = products / np.maximum(lengths * lengths[row], 1e-12)
    cosines[row] = -np.inf
    best = np.argsort(-cosines, kind="stable")[:count]
    return [(vectors.words[index], float(cosines[index])) for index in best if index != row]


def save_word2vec(vectors: Any, path: Path | str) -> None:
    """Write gensim ``KeyedVectors`` in word2vec's format, binary if the name ends in ``.bin``, else text.

    The file takes its place in one step, so a reader never meets half of it.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as temporary:
        written = Path(temporary) / path.name
        vectors.save_word2vec_format(str(written), binary=path.name.endswith((".bin", ".bin.gz")))
        os.replace(written, path)


def _stable_hash(word: str) -> int:
    return zlib.crc32(word.encode("utf-8", "surrogatepass"))


def _fingerprint(files: Iterable[Path]) -> str:
    """A short digest of the files' places, sizes and times of change."""
    facts = []
    for file in files:
        try:
            status = file.stat()
        except OSError as error:
            raise DataError(f"{file}: cannot be read ({error.strerror or error}); give the path of a file") from error
        facts.append(f"{file.resolve()}|{status.st_size}|{status.st_mtime_ns}")
    return hashlib.sha256("\n".join(facts).encode("utf-8", "surrogateescape")).hexdigest()[:16]


def _digest(files: Iterable[Path]) -> str:
    """sha256 over the bytes of the files, one after the other."""
    digest = hashlib.sha256()
    for file in files:
        with file.open("rb") as data:
            while block := data.read(_BLOCK_BYTES):
                digest.update(block)
    return digest.hexdigest()


def _follow(pointer: Path) -> Path | None:
    """The converted folder that a pointer file names, if both are whole."""
    try:
        folder = pointer.parent / str(json.loads(pointer.read_text("utf-8"))["folder"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return folder if _is_complete(folder) else None


def _is_complete(folder: Path) -> bool:
    try:
        meta = json.loads((folder / "meta.json").read_text("utf-8"))
        return meta["layout"] == _LAYOUT and all((folder / name).is_file() for name in ("words.txt", "matrix.npy"))
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _write_folder(folder: Path, words: list[str], matrix: npt.NDArray[np.float32], digest: str) -> None:
    """Write a converted folder beside its final place and rename it."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".vectors-", dir=folder.parent) as temporary:
        new = Path(temporary) / folder.name
        new.mkdir()
        np.save(new / "matrix.npy", np.ascontiguousarray(matrix, dtype=np.float32), allow_pickle=False)
        (new / "words.txt").write_bytes("\n".join(words).encode("utf-8"))
        meta = {"layout": _LAYOUT, "words": len(words), "embed": int(matrix.shape[1]), "sha256": digest}
        (new / "meta.json").write_text(json.dumps(meta), "utf-8")
        shutil.rmtree(folder, ignore_errors=True)  # a broken or older conversion
        os.replace(new, folder)


def _write_text(path: Path, text: str) -> None:
    with tempfile.TemporaryDirectory(prefix=".pointer-", dir=path.parent) as temporary:
        new = Path(temporary) / path.name
        new.write_text(text, "utf-8")
        os.replace(new, path)

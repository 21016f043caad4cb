"""The file formats of word vectors: recognised by content, read into words and a matrix, faults located.

Formats that gensim reads go through its ``KeyedVectors``; around it stand the checks that it leaves out (it copies
a single number into a whole row, and names no line). Nothing that is a pickle is opened unless asked for.
"""

from __future__ import annotations

import codecs
import gzip
import json
import logging
import mmap
import re
import traceback
import warnings
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
import numpy.typing as npt

from nlp_lstm.arrays import read_npy
from nlp_lstm.errors import ConfigError, DataError, shorten

Table = tuple[list[str], npt.NDArray[np.float32]]
"""Words, each once, and their vectors, float32 ``word embed``."""

Kind = Literal["npy", "json", "pickle", "text", "headless", "binary"]

_MAX_EMBED = 10_000
_SNIFF_BYTES = 1 << 18
_WINK_ROW = re.compile(rb'\s*("(?:[^"\\]|\\.)*")\s*:\s*\[([^\]]*)\]\s*([,}])')
_NUMBER = re.compile(rb"[-+]?((\d+(\.\d*)?|\.\d+)(e[-+]?\d+)?|nan|inf|infinity)", re.IGNORECASE)
_READABLE = "word2vec text or binary, GloVe text, fastText .vec (each also .gz), .npy with .parquet or .txt, wink JSON"


def source_files(path: Path) -> tuple[Path, ...]:
    """Return the files that make up the vectors at ``path``: for ``.npy`` also the file with the words.

    Raises:
        DataError: there is no one file with the words beside a ``.npy``.
    """
    if path.suffix.lower() != ".npy":
        return (path,)
    for ending in (".parquet", ".txt"):
        beside = sorted(path.parent.glob(f"*{ending}"))
        same_name = [file for file in beside if file.stem == path.stem]
        if len(same_name or beside) == 1:
            return (path, (same_name or beside)[0])
    raise DataError(f"{path}: needs the words beside it, in one .parquet file or one .txt file, a word a line")


def read_vector_file(path: Path, *, trust_pickle: bool = False) -> Table:
    """Read word vectors in any known format; of words that stand twice the first counts.

    Raises:
        ConfigError: it is a pickle and ``trust_pickle`` is not set.
        DataError: it is in no known format or damaged; with the line where there is one.
    """
    try:
        kind = sniff_kind(path)
        if kind == "pickle" and not trust_pickle:
            raise ConfigError(
                f"{path}: this is a Python pickle (gensim's own format), and opening a pickle runs what is in it. "
                "Convert it where it was made: KeyedVectors.load(FILE).save_word2vec_format('vectors.txt'). "
                "Only if you trust who made it: trust_pickle=True"
            )
        if kind == "npy":
            words, matrix = _read_pair(path)
        elif kind == "json":
            words, matrix = _read_wink(path)
        else:
            words, matrix = _read_gensim(path, kind)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f"{path}: damaged or cut off ({error}); fetch it again") from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error})") from error
    return _check(path, words, matrix)


def sniff_kind(path: Path) -> Kind:
    """Tell a file's format from its name's ending (``.npy``, ``.json``) or else its first two lines.

    Raises:
        DataError: it is none of the known ones.
    """
    if path.suffix.lower() in (".npy", ".json"):
        return cast(Kind, path.suffix.lower()[1:])
    with _open(path) as file:
        head = file.read(_SNIFF_BYTES)
    if head.startswith(b"\x80") or path.suffix.lower() in (".kv", ".model", ".pkl", ".pickle"):
        return "pickle"
    first, _, rest = head.partition(b"\n")
    header = re.fullmatch(rb"(\d{1,12}) (\d{1,12})\s*", first)
    if header and rest:
        _check_header(path, int(header[1]), int(header[2]))
        return "text" if _looks_like_text(rest[:4096]) else "binary"
    values = first.rstrip().split(b" ")[1:]
    if values and all(map(_is_number, values)):
        return "headless"
    raise DataError(f"{path}:1: {shorten(first[:60])} begins no word vectors that can be read; readable: {_READABLE}")


def _open(path: Path) -> Any:
    return gzip.open(path, "rb") if path.suffix.lower() == ".gz" else path.open("rb")


def _is_number(text: bytes) -> bool:
    return _NUMBER.fullmatch(text) is not None


def _looks_like_text(sample: bytes) -> bool:
    """Whether bytes are UTF-8, perhaps cut off, without control characters; binary numbers are not."""
    try:
        codecs.getincrementaldecoder("utf-8")().decode(sample)
    except UnicodeDecodeError:
        return False
    return re.search(rb"[\x00-\x08\x0e-\x1f]", sample) is None


def _check_header(path: Path, num_words: int, embed: int) -> None:
    """Refuse a header that promises more than the file can hold, before memory is reserved for it."""
    smallest = num_words * (2 * embed + 1)  # "w 1 1\n" in text; binary takes more
    if num_words < 1 or not 1 <= embed <= _MAX_EMBED or (path.suffix != ".gz" and smallest > path.stat().st_size):
        raise DataError(
            f"{path}:1: the header says {num_words} words of {embed} numbers, which this file of "
            f"{path.stat().st_size} bytes cannot hold; it is cut off or no word2vec file"
        )


def _read_gensim(path: Path, kind: Kind) -> Table:
    from gensim.models import KeyedVectors

    if kind in ("text", "headless"):
        _check_lines(path, has_header=kind == "text")
    logger = logging.getLogger("gensim.models.keyedvectors")
    level = logger.level
    logger.setLevel(logging.ERROR)  # one warning for each word that stands twice
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # gensim 4.4 leaves a file without a header open
        try:
            if kind == "pickle":
                keyed = KeyedVectors.load(str(path))
            else:
                options = {"binary": kind == "binary", "no_header": kind == "headless"}
                keyed = KeyedVectors.load_word2vec_format(str(path), **options)
        except (ValueError, AssertionError, EOFError, MemoryError) as error:
            traceback.clear_frames(error.__traceback__)  # lets go of that file here
            if kind in ("text", "headless"):
                _check_lines(path, has_header=kind == "text", numbers=True)
            raise DataError(f"{path}: damaged or cut off ({error}); fetch it again") from error
        finally:
            logger.setLevel(level)
    size = len(keyed.key_to_index)  # gensim 4.4 leaves empty rows at the end, one for each word that stood twice
    return list(keyed.index_to_key[:size]), keyed.vectors[:size]


def _check_lines(path: Path, *, has_header: bool, numbers: bool = False) -> None:
    """Check that each line of a text file is a word and as many numbers as the first, and that none is missing.

    Args:
        path: the file.
        has_header: whether the first line holds the counts.
        numbers: check each number, too; slow, for finding the line of a fault that is known to be there.
    """
    promised, embed = None, None
    num_words = 0
    for number, line in _lines(path):
        if number == 1 and has_header:
            promised, embed = (int(count) for count in line.split())
            continue
        line = line.rstrip()
        if not line and promised is not None and num_words == promised:
            continue
        count = line.count(b" ")
        embed = embed or count
        if count != embed:
            raise DataError(
                f"{path}:{number}: {shorten(line[:40])} has {count} numbers after the word, expected {embed}; "
                "each line is a word and its numbers, separated by single spaces"
            )
        if numbers:
            word, *values = line.split(b" ")
            wrong = next((value for value in values if not _is_number(value)), None)
            if wrong is not None:
                raise DataError(f"{path}:{number}: {shorten(wrong)} is not a number, for the word {shorten(word)}")
            try:
                word.decode("utf-8")
            except UnicodeDecodeError as error:
                raise DataError(f"{path}:{number}: the word {shorten(word)} is not UTF-8") from error
        num_words += 1
    if promised is not None and promised != num_words:
        raise DataError(f"{path}: the header says {promised} words, but there are {num_words}; it was cut off")


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    with _open(path) as file:
        yield from enumerate(file, start=1)


def _read_pair(path: Path) -> Table:
    """A matrix in ``.npy`` with its words in a Parquet file (its first column of strings) or a text file."""
    _, words_path = source_files(path)
    matrix = read_npy(path)
    if matrix.ndim != 2 or matrix.dtype.kind != "f":
        raise DataError(f"{path}: holds {matrix.dtype} of shape {matrix.shape}; vectors are a 2-D array of floats")
    if words_path.suffix.lower() == ".txt":
        try:
            words = words_path.read_text("utf-8").removesuffix("\n").split("\n")
        except UnicodeDecodeError as error:
            raise DataError(f"{words_path}: is not UTF-8 ({error})") from error
    else:
        import pyarrow
        import pyarrow.parquet

        try:
            file = pyarrow.parquet.ParquetFile(words_path)
            columns = [field.name for field in file.schema_arrow if pyarrow.types.is_string(field.type)]
            if not columns:
                names = ", ".join(file.schema_arrow.names)
                raise DataError(f"{words_path}: has no column of strings; its columns: {shorten(names)}")
            column = "index" if "index" in columns else columns[0]
            words = []
            for batch in file.iter_batches(columns=[column], use_threads=False):
                words += batch.column(0).to_pylist()
                if len(words) > len(matrix):
                    break
        except (pyarrow.ArrowException, UnicodeDecodeError) as error:
            raise DataError(f"{words_path}: no Parquet file, or damaged ({error})") from error
    if len(words) != len(matrix):
        raise DataError(f"{words_path}: has {len(words)} words for the {len(matrix)} vectors of {path.name}")
    return words, matrix


def _read_wink(path: Path) -> Table:
    """wink's JSON: "words" in order of frequency, "vectors" from word to its numbers and two more (norm, index).

    The file is large, so it is walked through where it lies instead of being turned into Python objects.
    """
    if path.stat().st_size == 0:
        raise DataError(f"{path}: is empty")
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        dimensions = re.search(rb'"dimensions"\s*:\s*(\d+)', data[:4096])
        words_start = re.search(rb'"words"\s*:\s*\[', data)
        vectors_start = re.search(rb'"vectors"\s*:\s*\{', data)
        if not dimensions or not words_start or not vectors_start or words_start.end() > vectors_start.start():
            raise DataError(f'{path}: not wink\'s JSON, which has "dimensions", "words" and "vectors"')
        embed = int(dimensions[1])
        if not 1 <= embed <= _MAX_EMBED:
            raise DataError(f"{path}: says {embed} dimensions; 1 to {_MAX_EMBED} can be")
        try:
            text = data[words_start.end() - 1 : vectors_start.start()].decode("utf-8")
            words, _ = json.JSONDecoder().raw_decode(text)
        except (ValueError, RecursionError) as error:
            raise DataError(f'{path}: "words" is damaged ({error})') from error
        _check_words(path, words)
        smallest = 2 * embed * len(words)  # "0," in text
        if smallest > len(data):
            raise DataError(f"{path}: {len(words)} words of {embed} numbers, which {len(data)} bytes cannot hold")
        rows = {word: row for row, word in enumerate(words)}
        matrix = np.full((len(words), embed), np.nan, dtype=np.float32)
        position, ending = vectors_start.end(), b","
        while ending == b",":
            match = _WINK_ROW.match(data, position)
            if match is None:
                raise DataError(
                    f"{path}: damaged or cut off at byte {position}: {shorten(data[position : position + 40])}"
                )
            position, ending = match.end(), match[3]
            values = match[2].split(b",")
            try:
                row = rows.get(json.loads(match[1]))
                if row is None or len(values) < embed:
                    raise ValueError("not in words" if row is None else f"{len(values)} numbers, expected {embed}")
                matrix[row] = np.array(values[:embed], dtype=np.float32)
            except ValueError as error:
                raise DataError(f"{path}: the vector of {shorten(match[1])} cannot be read ({error})") from error
    return words, matrix


def _check(path: Path, words: list[str], matrix: npt.NDArray[np.float32]) -> Table:
    """Refuse what is no usable table; drop the later ones of words that stand twice."""
    if not words:
        raise DataError(f"{path}: holds no words")
    _check_words(path, words)
    finite = np.isfinite(matrix).all(axis=1)
    if not finite.all():
        row = int(np.argmin(finite))
        raise DataError(f"{path}: the vector of {shorten(words[row])} (word {row + 1}) has a value that is no number")
    first = {word: row for row, word in reversed(list(enumerate(words)))}
    if len(first) < len(words):
        rows = sorted(first.values())
        return [words[row] for row in rows], matrix[rows]
    return words, matrix


def _check_words(path: Path, words: list[Any]) -> None:
    for word in words:
        if not isinstance(word, str) or not word or "\n" in word:
            raise DataError(f"{path}: {shorten(word)} is no word; words are non-empty strings without line breaks")

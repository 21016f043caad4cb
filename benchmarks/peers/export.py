"""What the peers are given: the splits as JSON lines, and our word vectors in the forms of word2vec."""

from __future__ import annotations

import itertools
import json
import os
from pathlib import Path

from peer import Row

from nlp_lstm.data.catalogue import find_data, find_vectors
from nlp_lstm.data.example import Example, LabelledExample, ParallelExample, TaggedExample, text_of
from nlp_lstm.data.reading import ParallelSettings
from nlp_lstm.errors import DataError, shorten

DATA = {"pos": "ud-english-ewt", "sentiment": "sst2", "translate": "multi30k"}
VECTORS = "vectors-100d"
SPLITS = ("train", "dev", "test")


def export_data(task: str, folder: Path, limit: int | None) -> list[Row]:
    """Write the splits, one text a line, and return those of test."""
    found = find_data([DATA[task]], reading=ParallelSettings(source="en", target="de"))
    rows: list[Row] = []
    folder.mkdir(parents=True, exist_ok=True)
    for split in SPLITS:
        rows = [row_of(example) for example in itertools.islice(found.read(split), limit)]
        with (folder / f"{split}.jsonl").open("w", encoding="utf-8") as file:
            file.writelines(json.dumps(row._asdict(), ensure_ascii=False) + "\n" for row in rows)
        say(f"{task}: {len(rows):,} texts in {split}")
    return rows


def row_of(example: Example) -> Row:
    """Return a tagged sentence, a labelled text or a text and its translation as the peers read it."""
    if isinstance(example, ParallelExample):
        return Row(text=example.source, words=example.source.split(), gold=example.target)
    if isinstance(example, TaggedExample):
        gold: list[str] | str = list(example.labels["upos"])
    elif isinstance(example, LabelledExample) and example.label is not None:
        gold = example.label
    else:
        raise DataError(f"no label for {shorten(text_of(example))}; the comparison needs one for each text")
    return Row(text=text_of(example), words=example.document.words, gold=gold)


def export_vectors(folder: Path, limit: int | None) -> Path:
    """Write the word vectors in both forms of word2vec, once, and return their path without its ending."""
    from gensim.models import KeyedVectors

    stem = folder / VECTORS
    if not Path(f"{stem}.bin").is_file():
        folder.mkdir(parents=True, exist_ok=True)
        vectors = find_vectors(VECTORS, say=say)
        keyed = KeyedVectors(vectors.embed_size)
        keyed.add_vectors(vectors.words[:limit], vectors.matrix[:limit])
        say(f"writing the vectors of {len(keyed):,} words for the peers, once")
        for ending in ("txt", "bin"):  # bin last: it says that both are whole
            keyed.save_word2vec_format(f"{stem}.part", binary=ending == "bin")
            os.replace(f"{stem}.part", f"{stem}.{ending}")
    return stem


def say(line: str) -> None:
    """Print a line of progress."""
    print(line, flush=True)

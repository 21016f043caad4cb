"""Word vectors of the catalogue that are trained on a text of the catalogue, once, on the user's machine."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from nlp_lstm.data.example import TextExample
from nlp_lstm.data.sources import Located, Say, TrainedSource, fill_cache
from nlp_lstm.text.vectors import save_word2vec, train_vectors


def train_into_cache(name: str, file: str, text: Iterable[TextExample], source: TrainedSource, *, say: Say) -> Located:
    """Train word vectors with gensim (Mikolov et al. 2013: skip-gram) and keep them in the user cache.

    Args:
        name: the entry.
        file: what to call the file of the vectors.
        text: what they are trained on; gone through once.
        source: how they are trained.
        say: called with lines of progress.

    Raises:
        SourceError: the cache cannot be written.
        DataError: no word is frequent enough.
    """
    say(f"training the word vectors {name} on {source.data}, once; a few minutes on one core")

    def fill(folder: Path) -> None:
        with tempfile.TemporaryDirectory(prefix="words-", dir=folder.parent) as temporary:
            sentences = _write_words(text, Path(temporary) / "words.txt", lower_case=source.lower_case)
            vectors = train_vectors(
                sentences,
                size=source.size,
                epochs=source.epochs,
                sample=source.sample,
                seed=1,
                on_epoch=lambda epoch, epochs: say(f"  {epoch} of {epochs} times through the text"),
            )
        save_word2vec(vectors, folder / file)

    return fill_cache(name, source.label, fill)


class _Sentences:
    """Lines of words, read anew in each pass."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __iter__(self) -> Iterator[list[str]]:
        with self._path.open(encoding="utf-8", newline="\n") as file:
            for line in file:
                yield line.rstrip("\n").split(" ")


def _write_words(text: Iterable[TextExample], path: Path, *, lower_case: bool) -> _Sentences:
    """Write the words of each line, which are tokenised only once so; no token holds white space."""
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for example in text:
            line = " ".join(example.document.words)
            file.write((line.lower() if lower_case else line) + "\n")
    return _Sentences(path)

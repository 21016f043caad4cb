"""Plain text of any size, read sentence by sentence as often as wanted."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from nlp_lstm.errors import DataError
from nlp_lstm.text.lines import read_lines
from nlp_lstm.text.tokenize import Tokenizer


class TokenisedCorpus:
    """The sentences of a text file as lists of words; each pass reads the file anew.

    Args:
        path: UTF-8 text, one sentence or paragraph a line; may be gzipped.
        language: language code of the tokeniser.

    Raises:
        DataError: the file does not exist; while reading, what ``read_lines`` raises.
    """

    def __init__(self, path: Path, language: str = "en") -> None:
        if not path.is_file():
            raise DataError(f"{path} does not exist; give a text file")
        self.path = path
        self._tokenizer = Tokenizer(language)

    def __iter__(self) -> Iterator[list[str]]:
        for _, line in read_lines(self.path):
            for sentence in self._tokenizer.sentences(line):
                yield sentence.words

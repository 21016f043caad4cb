"""Plain text of any size, read sentence by sentence as often as wanted."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path

from nlp_lstm.errors import DataError
from nlp_lstm.text.tokenize import Tokenizer


class TokenisedCorpus:
    """The sentences of a text file as lists of words; each pass reads the file anew.

    Args:
        path: UTF-8 text, one sentence or paragraph a line; may be gzipped.
        language: language code of the tokeniser.

    Raises:
        DataError: the file does not exist.
    """

    def __init__(self, path: Path, language: str = "en") -> None:
        if not path.is_file():
            raise DataError(f"{path} does not exist; give a text file")
        self.path = path
        self._tokenizer = Tokenizer(language)

    def __iter__(self) -> Iterator[list[str]]:
        open_file = gzip.open if self.path.suffix == ".gz" else open
        try:
            with open_file(self.path, "rb") as file:
                for number, line in enumerate(file, start=1):
                    try:
                        text = line.decode("utf-8")
                    except UnicodeDecodeError as error:
                        raise DataError(
                            f"{self.path}:{number}: not UTF-8 ({error.reason}); convert the file"
                        ) from error
                    for sentence in self._tokenizer.sentences(text):
                        yield sentence.words
        except (gzip.BadGzipFile, EOFError) as error:
            raise DataError(f"{self.path} is a damaged gzip file ({error})") from error

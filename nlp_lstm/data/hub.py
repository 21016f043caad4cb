"""Data sets from the Hugging Face hub, written as the files of the other sources, so that one reader serves all.

Treebanks become CoNLL-U, labelled texts a table with the columns of the catalogue entry, running text its lines,
parallel texts files of lines.
"""

from __future__ import annotations

import gzip
import os
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import requests

from nlp_lstm.data.parallel import language_of
from nlp_lstm.data.reading import ParallelSettings, ReadingSettings
from nlp_lstm.data.sources import HubSource, Located, Say, SourceError, fill_cache

_PROBE_SECONDS = 3.0
_SPLIT_NAMES = {"train": ("train",), "dev": ("validation", "dev"), "test": ("test",)}
_NOTHING = ("", "_", "None", None)


def check_hub(bound: float = 4.5) -> None:
    """Find out in a few seconds whether the hub answers at all, proxies included.

    The request runs in a thread of its own, because looking up a host name has no time limit.

    Args:
        bound: the longest wait in seconds.

    Raises:
        SourceError: a variable says to stay offline, or no answer came.
    """
    for variable in ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE"):
        if os.environ.get(variable, "").strip().upper() in {"1", "ON", "YES", "TRUE"}:
            raise SourceError(f"the variable {variable} asks to stay offline")
    try:
        from huggingface_hub.constants import ENDPOINT
    except ImportError as error:
        raise SourceError("the library datasets is not installed") from error
    faults: list[str] = []

    def ask() -> None:
        try:
            answer = requests.head(ENDPOINT, timeout=_PROBE_SECONDS, allow_redirects=False)
            faults.append(f"it answers with status {answer.status_code}" if answer.status_code >= 500 else "")
        except (requests.RequestException, OSError, ValueError) as error:
            faults.append(f"no connection ({type(error).__name__})")

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(bound)
    if not faults or faults[0]:
        raise SourceError(f"the hub cannot be reached: {faults[0] if faults else f'no answer in {bound:g} seconds'}")


def fetch_hub(
    name: str,
    source: HubSource,
    splits: Mapping[str, Sequence[str]],
    *,
    format: str,
    reading: ReadingSettings | ParallelSettings,
    say: Say,
) -> Located:
    """Fetch a data set from the hub and keep it in the user cache as one file per split.

    Args:
        name: the catalogue entry.
        source: repository and configuration.
        splits: split to the one file name that the entry has for it, or the two of "parallel-lines"; gzipped if it
            ends in ``.gz``.
        format: the entry's format, "conllu", "conllu-text", "tsv", "text", "tokens" or "parallel-lines".
        reading: the entry's columns, for "tsv".
        say: called with a line of progress.

    Raises:
        SourceError: the hub or the data set cannot be had, or its rows do not fit the format.
    """
    check_hub()

    def fill(folder: Path) -> None:
        try:
            from datasets import load_dataset

            dataset = load_dataset(source.repo, source.config)
        except Exception as error:  # whatever the library raises is the reason of this try
            first_line = (str(error).splitlines() or [""])[0]
            raise SourceError(f"{type(error).__name__}: {first_line[:200]}") from error
        for split, file_names in splits.items():
            rows = next((dataset[other] for other in _SPLIT_NAMES[split] if other in dataset), None)
            if rows is None:
                raise SourceError(f"the data set has no split {split}; it has {', '.join(dataset)}")
            for file_name in file_names:
                lines = _lines(rows, format, reading, file_name)
                content = "".join(lines).encode("utf-8")
                packed = gzip.compress(content, mtime=0) if file_name.endswith(".gz") else content
                (folder / file_name).write_bytes(packed)

    say(f"fetching {source.label}")
    return fill_cache(name, source.label, fill)


def _lines(rows: Any, format: str, reading: ReadingSettings | ParallelSettings, file_name: str) -> Iterator[str]:
    """The content of one file: of parallel texts the lines of its language."""
    if format in ("conllu", "conllu-text"):
        return conllu_sentences(rows, _class_names(rows))
    if format == "tsv" and isinstance(reading, ReadingSettings):
        return table_lines(rows, reading)
    if format in ("text", "tokens"):
        return text_lines(rows)
    if format == "parallel-lines":
        return translation_lines(rows, language_of(Path(file_name)))
    raise SourceError(
        f"rows of the hub are not written as {format}, only as conllu, tsv, text, tokens or parallel-lines"
    )


def translation_lines(rows: Iterable[Mapping[str, Any]], language: str) -> Iterator[str]:
    """Turn the hub's rows of translations into the lines of one language; a line end inside a text becomes a space.

    Args:
        rows: mappings from language to text.
        language: code of the one to take.

    Raises:
        SourceError: a row has no text in the language.
    """
    for index, row in enumerate(rows):
        text = row.get(language)
        if not isinstance(text, str):
            raise SourceError(f"row {index} has no {language}; it has {', '.join(row)}")
        yield " ".join(text.split()) + "\n"


def table_lines(rows: Iterable[Mapping[str, Any]], reading: ReadingSettings) -> Iterator[str]:
    """Turn the hub's rows of ``text`` and ``label`` into lines of a table, with tabs between two columns.

    Args:
        rows: mappings with a ``text`` and a ``label``, a name or a number.
        reading: which of the two columns, by number, is the label's; the text takes the other.

    Raises:
        SourceError: a row has no text or no label.
    """
    for index, row in enumerate(rows):
        text, label = row.get("text"), row.get("label")
        if not isinstance(text, str) or not text.strip() or label in _NOTHING:
            raise SourceError(f"row {index} has no text or no label; it has {', '.join(row)}")
        cells = [str(label), " ".join(text.split())]
        yield "\t".join(cells if reading.label == 1 else cells[::-1]) + "\n"


def text_lines(rows: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    r"""Turn the hub's rows of ``text`` into lines, each with one ``\n`` at its end, whether the row has one or not.

    Raises:
        SourceError: a row has no text.
    """
    for index, row in enumerate(rows):
        text = row.get("text")
        if not isinstance(text, str):
            raise SourceError(f"row {index} has no text; it has {', '.join(row)}")
        yield text.rstrip("\r\n") + "\n"


def conllu_sentences(rows: Iterable[Mapping[str, Any]], upos_names: Sequence[str] | None = None) -> Iterator[str]:
    """Turn the hub's rows into CoNLL-U sentences, each with the blank line that ends it.

    Rows come in two shapes. In the older one the lines of multiword tokens stand among the tokens, with ``_`` for
    their UPOS, and so do empty nodes, which have no head: the former become ranges again where their words spell
    them, the latter are left out. ``misc`` is text, either as in CoNLL-U or a printed dictionary.

    Args:
        rows: mappings with parallel lists ``tokens``, ``upos`` and, where known, ``lemmas``, ``xpos``, ``feats``,
            ``head``, ``deprel`` and ``misc``.
        upos_names: the names behind integer ``upos`` values.

    Raises:
        SourceError: a row has no ``tokens`` or ``upos``, or lists of different lengths.
    """
    for index, row in enumerate(rows):
        tokens, upos = row.get("tokens"), row.get("upos")
        if not tokens or not upos:
            raise SourceError(f"row {index} has no tokens or no upos; it has {', '.join(row)}")
        columns = [tokens, [upos_names[tag] if upos_names and isinstance(tag, int) else str(tag) for tag in upos]]
        for key in ("lemmas", "xpos", "feats", "head", "deprel", "misc"):
            columns.append(row.get(key) or ["_"] * len(tokens))
        if any(len(column) != len(tokens) for column in columns):
            raise SourceError(f"row {index} has lists of different lengths")
        yield _sentence(list(zip(*columns, strict=True)))


def _sentence(tokens: Sequence[tuple[Any, ...]]) -> str:
    has_heads = any(fields[5] not in _NOTHING for fields in tokens)  # then a word without a head is an empty node
    kept = {id(fields) for fields in tokens if fields[1] != "_" and (fields[5] not in _NOTHING or not has_heads)}
    lines = []
    number = 0
    for position, fields in enumerate(tokens):
        if id(fields) in kept:
            number += 1
            lines.append(_line(str(number), *fields))
        elif fields[1] == "_":
            size = _num_words(str(fields[0]), [str(after[0]) for after in tokens[position + 1 :] if id(after) in kept])
            if size > 1:
                blank = ("_",) * 6
                lines.append(_line(f"{number + 1}-{number + size}", fields[0], *blank, fields[7]))
    return "\n".join(lines) + "\n\n"


def _num_words(form: str, following: Sequence[str]) -> int:
    """How many of the following words spell ``form`` together; 0 when none do."""
    spelt = ""
    for count, word in enumerate(following, start=1):
        spelt += word
        if spelt == form:
            return count
        if not form.startswith(spelt):
            break
    return 0


def _line(word_id: str, *fields: Any) -> str:
    form, upos, lemma, xpos, feats, head, deprel, misc = (
        "_" if value in _NOTHING else str(value).replace("\t", " ").replace("\n", " ") for value in fields
    )
    no_space = "SpaceAfter=No" in misc or "'SpaceAfter': 'No'" in misc
    feats = feats if "{" not in feats else "_"
    return "\t".join([word_id, form, lemma, upos, xpos, feats, head, deprel, "_", "SpaceAfter=No" if no_space else "_"])


def _class_names(rows: Any) -> Sequence[str] | None:
    """The names of the UPOS classes, where the data set stores class numbers."""
    feature = getattr(rows, "features", {}).get("upos")
    inner = getattr(feature, "feature", feature)
    return getattr(inner, "names", None)

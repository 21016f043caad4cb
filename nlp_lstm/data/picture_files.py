"""Readers of pictures with sentences, as Flickr8k, Flickr30k and COCO are handed around.

    Karpathy's JSON    {"images": [{"filename": "a.jpg", "split": "train", "sentences": [{"raw": "A dog runs."}]}]}
    token file         a.jpg#0<tab>A dog runs .

The pictures lie in the folder of the file, in ``images`` beside it, or where ``reading.images`` says. Clips are listed
in the same forms: a name is that of a file, or of a folder of frames.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from nlp_lstm.data.pictures import PictureExample, PictureReading, PictureSource
from nlp_lstm.errors import DataError, shorten
from nlp_lstm.text.detokenize import detokenise
from nlp_lstm.text.lines import read_bytes, read_lines

_SPLITS = {"train": "train", "restval": "train", "val": "dev", "dev": "dev", "test": "test"}


def read_karpathy(path: Path | str, reading: PictureReading) -> list[PictureExample]:
    """Read Karpathy's JSON, with its splits; COCO's ``restval`` is training data.

    Raises:
        DataError: the file has another form, or a picture is not where it should be.
    """
    path = Path(path)
    try:
        values = json.loads(read_bytes(path))
        images = values["images"]
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise DataError(f'{path}: is not JSON of the form {{"images": […]}} ({error})') from error
    find = _Finder(path, reading)
    examples = []
    for number, image in enumerate(images if isinstance(images, list) else [], start=1):
        where = f"{path}, image {number}"
        try:
            name, sentences = str(image["filename"]), image["sentences"]
            captions = tuple(_sentence(sentence) for sentence in sentences)
            split = _SPLITS[image.get("split", "train")]
            folder = str(image.get("filepath", ""))
        except (KeyError, TypeError, AttributeError) as error:
            raise DataError(
                f"{where}: {shorten(image)} needs filename, sentences with raw or tokens, and a known split ({error})"
            ) from error
        name = str(PurePosixPath(folder) / name) if folder else name
        examples.append(_example(name, captions, where, find, split))
    return _check_any(examples, path)


def read_tokens(path: Path | str, reading: PictureReading) -> list[PictureExample]:
    """Read lines of a picture's name, ``#``, the number of the sentence, a tab, and the sentence as tokens.

    Raises:
        DataError: a line has another form, or a picture is not where it should be; with the line.
    """
    path = Path(path)
    captions: dict[str, list[str]] = {}
    first: dict[str, str] = {}
    for number, line in read_lines(path):
        if not line.strip():
            continue
        where = f"{path}:{number}"
        name, tab, sentence = line.partition("\t")
        name, mark, place = name.rpartition("#")
        if not (tab and mark and place.isdigit() and sentence.strip()):
            raise DataError(f"{where}: {shorten(line)} is not of the form a.jpg#0<tab>A dog runs .")
        captions.setdefault(name, []).append(detokenise(sentence.split()))
        first.setdefault(name, where)
    find = _Finder(path, reading)
    examples = [_example(name, tuple(found), first[name], find, "") for name, found in captions.items()]
    return _check_any(examples, path)


class _Finder:
    """Finds the picture or the features of a name.

    Args:
        path: the file that lists the names.
        reading: where to look.
    """

    def __init__(self, path: Path, reading: PictureReading) -> None:
        beside = path.parent / "images"
        self.folder = Path(reading.images) if reading.images else beside if beside.is_dir() else path.parent
        self.features: Mapping[str, Any] | Path | None = None
        if reading.features is not None:
            self.features = Path(reading.features)
            if self.features.is_file():
                self.features = _read_safetensors(self.features)

    def find(self, name: str, where: str) -> PictureSource:
        parts = PurePosixPath(name).parts
        if ".." in parts or PurePosixPath(name).is_absolute() or "\0" in name:
            raise DataError(f"{where}: the name {shorten(name)} leads out of the folder of the pictures")
        if not parts:
            raise DataError(f"{where}: {shorten(name)} names no picture")
        if isinstance(self.features, Path):
            found = _first_file(self.features / f"{name}.npy", self.features / PurePosixPath(name).with_suffix(".npy"))
            if found is not None:
                return found
            raise DataError(f"{where}: {self.features} has no features {shorten(name)}.npy")
        if self.features is not None:
            for known in (name, PurePosixPath(name).stem):
                if known in self.features:
                    return self.features[known]
            raise DataError(f"{where}: the file of features has none of {shorten(name)}")
        found = _first_place(self.folder, self.folder / name, self.folder / PurePosixPath(name).name)
        if found is not None:
            return found
        raise DataError(f"{where}: there is no picture {shorten(name)} in {self.folder}; reading.images says where")


def _first_file(*paths: Path) -> Path | None:
    """The first path that is a file; a name that the system refuses, such as one that is too long, is none."""
    for path in paths:
        try:
            if path.is_file():
                return path
        except (OSError, ValueError):
            continue
    return None


def _first_place(folder: Path, *paths: Path) -> Path | None:
    """The first path that is a file, or a folder of frames inside of ``folder``."""
    for path in paths:
        found = _first_file(path)
        if found is not None:
            return found
        try:
            if path.is_dir() and path != folder:
                return path
        except (OSError, ValueError):
            continue
    return None


def _read_safetensors(path: Path) -> Mapping[str, Any]:
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        return load_file(path)
    except (OSError, SafetensorError, ValueError, KeyError, TypeError) as error:  # the last two: types numpy lacks
        raise DataError(f"{path}: is no safetensors file ({error})") from error


def _sentence(sentence: Any) -> str:
    raw = sentence.get("raw")
    text = str(raw) if raw is not None else detokenise([str(token) for token in sentence["tokens"]])
    return " ".join(text.split())


def _example(name: str, captions: tuple[str, ...], where: str, find: _Finder, split: str) -> PictureExample:
    kept = tuple(caption for caption in captions if caption)
    if not kept:
        raise DataError(f"{where}: {shorten(name)} has no sentence; every picture needs at least one")
    return PictureExample(name=name, picture=find.find(name, where), captions=kept, split=split)


def _check_any(examples: list[PictureExample], path: Path) -> list[PictureExample]:
    if not examples:
        raise DataError(f"{path}: lists no picture at all; give a file with at least one")
    return examples

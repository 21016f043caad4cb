"""Pictures and the sentences that describe them, and how a picture becomes pixels; for clips see `clip_files`.

A picture may come from anywhere, so before one is unpacked its file and its sides are looked at, and what is damaged,
too large or no picture is refused with a reason. Pixels are 8-bit red, green and blue, `height width channel`.
"""

from __future__ import annotations

import hashlib
import io
import struct
import warnings
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from nlp_lstm.arrays import read_npy
from nlp_lstm.errors import DataError, shorten
from nlp_lstm.settings import Settings

if TYPE_CHECKING:
    from PIL.Image import Image

Pixels: TypeAlias = "NDArray[np.uint8]"
Features: TypeAlias = "NDArray[np.float32]"

LARGEST_FILE = 64 * 2**20  # bytes
MOST_PIXELS = 40_000_000
LONGEST_SIDE = 30_000
MOST_FEATURES = 1 << 24  # numbers of one picture
FORMATS = ("PNG", "JPEG", "GIF", "WEBP", "BMP")
"""The formats that are read; others, such as PostScript, would start programs."""

PILLOW_FAULTS = (
    *(OSError, ValueError, SyntaxError, TypeError, LookupError, AttributeError, ArithmeticError, AssertionError),
    *(MemoryError, EOFError, RuntimeError, struct.error, zlib.error),
)
"""What Pillow raises at damaged pictures: each of its readers what its own slip leads to."""


@runtime_checkable
class Drawable(Protocol):
    """A picture or clip that is drawn when it is needed."""

    def draw(self) -> Pixels:
        """Return its pixels, of a clip `time height width 3`."""


PictureSource: TypeAlias = "Path | str | bytes | Drawable | Image | Pixels | Features"
"""A file, its content, a drawing, an open picture, pixels, or features that another network made of a picture; of a
clip also the folder of its frames."""


class PictureReading(Settings):
    """How pictures with their sentences are read."""

    images: str | None = None
    """The folder of the pictures; null takes the one of the file that lists them, or ``images`` beside it."""
    features: str | None = None
    """A safetensors file, or a folder of .npy files, with the features of each picture by its name, `place feature`;
    null reads the pictures themselves."""
    scenes: int = Field(14_000, ge=10, le=1_000_000)
    """Of drawn scenes: how many."""
    clips: int = Field(8_000, ge=10, le=1_000_000)
    """Of drawn clips: how many."""
    seed: int = Field(1, ge=0)
    """Of drawn scenes and clips: what they are drawn by."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SceneFacts:
    """What is on a drawn scene, as words.

    Args:
        num_pictures: how many drawings.
        objects: what they show, one word each, as sentences have them.
    """

    num_pictures: int
    objects: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PictureExample:
    """A picture and sentences that describe it.

    Args:
        name: of the picture.
        picture: where its pixels or features come from.
        captions: the sentences; empty where none is known.
        split: the split that it belongs to; empty where a hash decides.
        key: what the hash is of; of drawn scenes the combination of drawings.
        facts: of drawn scenes.
    """

    name: str
    picture: PictureSource
    captions: tuple[str, ...] = ()
    split: str = ""
    key: str = ""
    facts: SceneFacts | None = field(default=None, repr=False)


def split_of_picture(example: PictureExample) -> str:
    """Return the split of a picture: its own, or by the sha256 of its key: of 25 parts two are test, one dev."""
    if example.split:
        return example.split
    part = int.from_bytes(hashlib.sha256((example.key or example.name).encode()).digest()[:8], "big") % 25
    return {0: "dev", 1: "test", 2: "test"}.get(part, "train")


def load_pixels(source: Any, size: int, where: str = "picture") -> Pixels:
    """Return a picture as ``size`` by ``size`` pixels; it is squeezed to a square, and what is transparent is white.

    Args:
        source: a file's path or content, a drawing, an open picture, or pixels.
        size: height and width.
        where: for messages.

    Raises:
        DataError: it is no picture in one of the ``FORMATS``, damaged, cut off, or too large.
    """
    from PIL import Image

    if isinstance(source, Drawable):
        source = source.draw()
    if isinstance(source, np.ndarray):
        if source.dtype != np.uint8 or source.ndim != 3 or source.shape[2] != 3 or 0 in source.shape:
            raise DataError(
                f"{where} has shape {list(source.shape)} of {source.dtype}; pixels are uint8, height width 3"
            )
        return fit(Image.fromarray(source), size)
    if isinstance(source, Image.Image):
        check_sides(source.size, where)
        return unpack(source, size, where)
    content, where = read_content(source, where)
    image = open_picture(content, where)
    image.draft("RGB", (2 * size, 2 * size))  # a JPEG is unpacked smaller
    return unpack(image, size, where)


def read_content(source: Any, where: str) -> tuple[bytes, str]:
    """Return what is in a file, given by its path or as its bytes, and what messages call it.

    Raises:
        DataError: it cannot be read, or is too large.
    """
    if isinstance(source, (str, Path)):
        path = Path(source)
        where = f"{where}, {path}" if where not in ("picture", "clip") else str(path)
        try:
            if path.stat().st_size > LARGEST_FILE:
                raise DataError(f"{where} has {path.stat().st_size:,} bytes; at most {LARGEST_FILE:,} are read")
            source = path.read_bytes()
        except OSError as error:
            raise DataError(f"{where}: cannot be read ({error.strerror or error}); give a file's path") from error
        except ValueError as error:  # a NUL in a path
            raise DataError(f"{shorten(where)} is no path ({error})") from error
    if not isinstance(source, bytes):
        raise DataError(
            f"{where} is {shorten(source)} ({type(source).__name__}); give a path, the bytes of a file, or pixels"
        )
    if len(source) > LARGEST_FILE:
        raise DataError(f"{where} has {len(source):,} bytes; at most {LARGEST_FILE:,} are read")
    return source, where


def open_picture(content: bytes, where: str) -> Image:
    """Return a picture in one of the ``FORMATS``, not unpacked yet.

    Raises:
        DataError: it is none, or too large.
    """
    from PIL import Image

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what Pillow warns of, a large picture, is checked here
        try:
            image = Image.open(io.BytesIO(content), formats=FORMATS)
        except Image.DecompressionBombError as error:
            raise DataError(f"{where}: is far too large a picture; at most {MOST_PIXELS:,} pixels are read") from error
        except PILLOW_FAULTS as error:
            raise DataError(f"{where}: is no picture in one of the formats {', '.join(FORMATS)}") from error
        check_sides(image.size, where)
        return image


def load_features(source: Any, num_features: int | None, where: str = "picture") -> Features:
    """Return the features of a picture, `place feature`; one row of features is one place.

    Args:
        source: an array, or the path of a .npy file.
        num_features: as many as they have to be; None for any number.
        where: for messages.

    Raises:
        DataError: they are no such array of finite numbers, or too many.
    """
    if isinstance(source, (str, Path)):
        where = str(source)
        source = read_npy(Path(source))
    if not isinstance(source, np.ndarray) or source.dtype.kind not in "fiu" or source.ndim not in (1, 2, 3):
        raise DataError(f"{where}: is {shorten(source)}; features are an array of numbers, `place feature`")
    if source.size > MOST_FEATURES or not source.size:
        raise DataError(f"{where}: has {source.size:,} numbers; from 1 to {MOST_FEATURES:,} are read")
    array = np.asarray(source, dtype=np.float32)
    rows = array[None] if array.ndim == 1 else array.reshape(-1, array.shape[-1])
    if num_features is not None and rows.shape[1] != num_features:
        raise DataError(f"{where}: has {rows.shape[1]} features a place; this model has learnt {num_features}")
    if not np.isfinite(rows).all():
        raise DataError(f"{where}: holds numbers that are not finite")
    return rows


def open_sprite(content: bytes) -> Pixels:
    """Return a PNG that was made here as red, green, blue and opacity, `height width 4`."""
    from PIL import Image

    return np.array(Image.open(io.BytesIO(content)).convert("RGBA"), dtype=np.uint8)


def to_png(pixels: Pixels) -> bytes:
    """Return pixels as a PNG file."""
    from PIL import Image

    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


def check_sides(sides: tuple[int, int], where: str) -> None:
    """Check the width and the height of a picture.

    Raises:
        DataError: it is too large, or has no pixels at all.
    """
    width, height = sides
    if width * height > MOST_PIXELS or max(width, height) > LONGEST_SIDE or not width * height:
        raise DataError(
            f"{where} has {width:,} x {height:,} pixels; at most {MOST_PIXELS:,} in all and {LONGEST_SIDE:,} a side "
            "are read. Make it smaller"
        )


def unpack(image: Image, size: int, where: str, frame: int | None = None) -> Pixels:
    """Return an open picture, or one of its frames, as ``size`` by ``size`` pixels; what is transparent is white.

    Raises:
        DataError: it is damaged or cut off.
    """
    from PIL import Image as PillowImage
    from PIL import ImageOps

    try:
        if frame is not None:
            image.seek(frame)
        image.load()
        image = ImageOps.exif_transpose(image)
        if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
            image = image if image.mode in ("RGBA", "LA") else image.convert("RGBA")
            image = image.resize((size, size), PillowImage.Resampling.BOX).convert("RGBA")
            ground = PillowImage.new("RGBA", image.size, "white")
            image = PillowImage.alpha_composite(ground, image)
        return fit(image.convert("RGB"), size)
    except PILLOW_FAULTS as error:
        raise DataError(f"{where}: the picture is damaged or cut off ({error}); save it again") from error


def fit(image: Image, size: int) -> Pixels:
    """Return a picture of red, green and blue squeezed to ``size`` by ``size`` pixels."""
    from PIL import Image as PillowImage

    if image.size != (size, size):
        image = image.resize((size, size), PillowImage.Resampling.BOX)
    return np.array(image, dtype=np.uint8)

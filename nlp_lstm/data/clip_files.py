"""How a clip becomes pixels: from a folder of frames, a moving GIF, WebP or PNG, or a film.

Only as many frames are kept as are asked for, evenly over the clip. What comes from anywhere is looked at before it is
unpacked, as pictures are: its file, its sides, how many frames it has, and how many pixels these are together. Films
(MP4, WebM, Matroska, AVI) are read where the package av is installed, as if all their frames lasted equally long.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nlp_lstm.data.pictures import (
    PILLOW_FAULTS,
    Drawable,
    Pixels,
    check_sides,
    fit,
    load_pixels,
    open_picture,
    read_content,
    unpack,
)
from nlp_lstm.errors import DataError

if TYPE_CHECKING:
    from PIL.Image import Image

MOST_FRAMES = 10_000
MOST_CLIP_PIXELS = 1_000_000_000  # of all frames together
FRAME_ENDINGS = (".png", ".jpg", ".jpeg", ".gif", ".webp", ".bmp")
_EDGE = 110  # the grey of the line after each frame of a strip


def load_frames(source: Any, size: int, num_frames: int, where: str = "clip") -> Pixels:
    """Return the frames of a clip, `time size size 3`, as `load_pixels` gives a picture.

    Args:
        source: a folder of frames in the order of their names, a file's path or content, a drawing, an open picture,
            or pixels, `time height width 3`. A picture that does not move is a clip of one frame.
        size: height and width.
        num_frames: the most frames; of more, the first, the last, and those that lie evenly between.
        where: for messages.

    Raises:
        DataError: it is no clip, damaged, cut off, or too large, or a film and the package av is not installed.
    """
    from PIL import Image

    if isinstance(source, Drawable):
        source = source.draw()
    if isinstance(source, np.ndarray):
        frames = source if source.ndim == 4 else source[None]
        _check_length(len(frames), (1, 1), where)
        return np.stack([load_pixels(frames[place], size, where) for place in _kept(len(frames), num_frames)])
    if isinstance(source, Image.Image):
        check_sides(source.size, where)
        return _unpack_frames(source, size, num_frames, where)
    if isinstance(source, (str, Path)) and "\0" not in str(source) and Path(source).is_dir():
        files = _frame_files(Path(source))
        return np.stack([load_pixels(files[place], size) for place in _kept(len(files), num_frames)])
    content, where = read_content(source, where)
    container = _container(content)
    if container:
        return _read_film(content, container, size, num_frames, where)
    return _unpack_frames(open_picture(content, where), size, num_frames, where)


def even_places(total: int, count: int) -> list[int]:
    """Return ``count`` places among ``total``, evenly from the first to the last; of fewer some twice."""
    steps = max(1, count - 1)
    return [(2 * number * (total - 1) + steps) // (2 * steps) for number in range(count)]


def to_strip(frames: Pixels) -> Pixels:
    """Return frames side by side as one picture, with a grey line after each."""
    strip = frames.copy()
    strip[:, :, -1] = _EDGE
    return np.concatenate(list(strip), axis=1)


def _kept(total: int, most: int) -> Sequence[int]:
    return range(total) if total <= most else even_places(total, most)


def _check_length(total: int, sides: tuple[int, int], where: str) -> None:
    pixels = total * sides[0] * sides[1]
    if not 0 < total <= MOST_FRAMES or pixels > MOST_CLIP_PIXELS:
        raise DataError(
            f"{where} has {total:,} frames of {sides[0]:,} x {sides[1]:,} pixels; from 1 to {MOST_FRAMES:,} frames of "
            f"at most {MOST_CLIP_PIXELS:,} pixels together are read. Cut it, or make it smaller"
        )


def _frame_files(folder: Path) -> list[Path]:
    files = []
    for file in folder.iterdir():
        if file.suffix.lower() in FRAME_ENDINGS and not file.name.startswith(".") and file.is_file():
            files.append(file)
        if len(files) > MOST_FRAMES:
            raise DataError(f"{folder}: has more than {MOST_FRAMES:,} frames; leave out some")
    if not files:
        raise DataError(
            f"{folder}: this folder has no frame; frames are pictures that end in {', '.join(FRAME_ENDINGS)}"
        )
    return sorted(files, key=_by_number)


def _by_number(file: Path) -> list[tuple[int, str]]:
    """What frames are sorted by: numbers in their names by size, so that 10 comes after 9."""
    parts = re.findall(r"([0-9]+)|([^0-9]+)", file.name)
    return [(int(digits), "") if digits else (-1, text) for digits, text in parts]


def _unpack_frames(image: Image, size: int, num_frames: int, where: str) -> Pixels:
    try:
        total = int(getattr(image, "n_frames", 1))
        _check_length(total, image.size, where)
        if total == 1:
            return unpack(image, size, where)[None]
        durations = []
        for number in range(total):
            image.seek(number)
            image.load()
            durations.append(float(image.info.get("duration") or 0))
    except DataError:
        raise
    except PILLOW_FAULTS as error:
        raise DataError(f"{where}: the clip is damaged or cut off ({error}); save it again") from error
    shown = _by_duration(durations)
    return np.stack([unpack(image, size, where, shown[place]) for place in _kept(len(shown), num_frames)])


def _by_duration(durations: Sequence[float]) -> list[int]:
    """Return the frames, each as many times as it lasts longer than the shortest one.

    Frames that are equal are kept as one long one by whoever writes a file; here they are told apart again.
    """
    shortest = max(min((one for one in durations if one > 0), default=1), sum(durations) / MOST_FRAMES)
    return [number for number, one in enumerate(durations) for _ in range(max(1, round(one / shortest)))]


def _container(content: bytes) -> str:
    """The name of the container of a film, by its first bytes; empty where it is none.

    Lists of files and addresses, which the reader of films would open, have none of these.
    """
    if content[4:8] == b"ftyp":
        return "mp4"
    if content[:4] == b"\x1a\x45\xdf\xa3":
        return "matroska"
    return "avi" if content[:4] == b"RIFF" and content[8:12] == b"AVI " else ""


def _read_film(content: bytes, container: str, size: int, num_frames: int, where: str) -> Pixels:
    try:
        import av
    except ImportError as error:
        raise DataError(
            f'{where}: films need the package av: pip install "nlp-lstm[video]"; or give a GIF, or a folder of frames'
        ) from error
    try:
        total = sum(1 for _ in _film_packets(av, content, container, where))
        _check_length(total, (1, 1), where)
        wanted = set(_kept(total, num_frames))
        frames = []
        with av.open(io.BytesIO(content), mode="r", format=container) as film:
            for number, frame in enumerate(film.decode(video=0)):
                if number in wanted:
                    check_sides((frame.width, frame.height), where)
                    frames.append(fit(frame.to_image(), size))
                if number + 1 >= total:
                    break
    except DataError:
        raise
    except (av.error.FFmpegError, IndexError, ValueError, OSError, MemoryError) as error:
        raise DataError(
            f"{where}: the film is damaged, cut off or of an unknown kind ({error}); save it again"
        ) from error
    if not frames:
        raise DataError(f"{where}: the film has no frame that can be read; save it again")
    return np.stack(frames)


def _film_packets(av: Any, content: bytes, container: str, where: str) -> Iterator[Any]:
    """Yield what the frames of a film are packed in, after a look at its sides."""
    with av.open(io.BytesIO(content), mode="r", format=container) as film:
        stream = film.streams.video[0]
        sides = (stream.codec_context.width, stream.codec_context.height)
        check_sides(sides, where)
        for number, packet in enumerate(film.demux(stream)):
            _check_length(number + 1, sides, where)
            if packet.size:
                yield packet

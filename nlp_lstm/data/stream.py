"""A text as one long row of ids, kept in a file, so that it may be larger than the memory.

    <eos> the old man sleeps <eos> a dog barks <eos>

The first id is read and never predicted. Read from its end, the same row is the text of a backward model.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from nlp_lstm.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

FEWEST_IDS = 2  # one to read, one to predict
_IDS_AT_A_TIME = 1_000_000


class StreamPart(NamedTuple):
    """One step of training: ``rows`` stretches of a stream, each read from one column to another.

    Of several processes that train together each reads every ``num_processes``-th row from the row ``process``.
    """

    rows: int
    start: int
    end: int
    process: int = 0
    num_processes: int = 1


class TokenStream:
    """The ids of a text.

    Args:
        ids: int32; an array in memory, or one that is mapped from a file.
    """

    def __init__(self, ids: NDArray[np.int32]) -> None:
        if len(ids) < FEWEST_IDS:
            raise DataError("the text is empty; give a text with words in it")
        self.ids = ids

    @classmethod
    def write(cls, path: Path, lines: Iterable[list[int]], *, end_id: int, is_backward: bool = False) -> TokenStream:
        """Write lines of ids to a file and open it.

        Args:
            path: the file; an earlier one is replaced.
            lines: the ids of each line.
            end_id: what stands at both ends of every line.
            is_backward: whether the stream is read from the end of the text.
        """
        draft = path.with_suffix(".part")
        try:
            with draft.open("wb") as file:
                for piece in _pieces(lines, end_id):
                    file.write(piece.tobytes())  # tofile would not say why it failed
            draft.replace(path)
        except BaseException:
            draft.unlink(missing_ok=True)
            raise
        ids = np.memmap(path, dtype=np.int32, mode="r")
        return cls(ids[::-1] if is_backward else ids)

    @classmethod
    def collect(cls, lines: Iterable[list[int]], *, end_id: int, is_backward: bool = False) -> TokenStream:
        """Hold lines of ids in memory."""
        ids = np.concatenate(list(_pieces(lines, end_id)))
        return cls(ids[::-1] if is_backward else ids)

    def __len__(self) -> int:
        return len(self.ids)

    def digest(self) -> bytes:
        """Return a checksum of all ids."""
        digest = hashlib.sha256()
        for start in range(0, len(self.ids), _IDS_AT_A_TIME):
            digest.update(self.ids[start : start + _IDS_AT_A_TIME].tobytes())
        return digest.digest()

    def plan(self, batch_tokens: int, *, window: int, noise: random.Random | None = None) -> list[StreamPart]:
        """Cut the stream into rows of equal length, and the rows into windows that are read one after the other.

        What does not fill the rows is left out at the end, at most one id a row.

        Args:
            batch_tokens: rows times window.
            window: steps that a gradient goes back.
            noise: makes the windows vary, as Merity et al. 2018 do: most are about ``window`` long, one in twenty
                about half of it.
        """
        rows = max(1, min(batch_tokens // window, (len(self) - 1) // 2))
        columns = (len(self) - 1) // rows
        parts = []
        start = 0
        while start < columns:
            length = window
            if noise is not None:
                mean = window if noise.random() < 0.95 else window / 2
                length = max(min(5, window), min(window + 20, round(noise.gauss(mean, 5))))
            end = min(columns, start + length)
            parts.append(StreamPart(rows, start, end))
            start = end
        return parts

    def read(self, part: StreamPart) -> NDArray[np.int64]:
        """Return the ids of one part and the one after it in each row: `rows end-start+1`."""
        columns = (len(self) - 1) // part.rows
        rows = range(part.process, part.rows, part.num_processes)
        stretches = [self.ids[row * columns + part.start : row * columns + part.end + 1] for row in rows]
        return np.stack(stretches).astype(np.int64)


def _pieces(lines: Iterable[list[int]], end_id: int) -> Iterator[NDArray[np.int32]]:
    held = [end_id]
    for line in lines:
        held += line
        held.append(end_id)
        if len(held) > _IDS_AT_A_TIME:
            yield np.array(held, dtype=np.int32)
            held = []
    yield np.array(held, dtype=np.int32)

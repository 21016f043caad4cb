"""Using a model that describes clips: from files to the pixels of frames. Needs no torch.

The task is in `nlp_lstm.tasks.video`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from nlp_lstm.data.clip_files import load_frames
from nlp_lstm.data.pictures import Pixels
from nlp_lstm.tasks.captioning import VideoSettings
from nlp_lstm.tasks.description_answers import DescriptionPredictor
from nlp_lstm.tasks.predictor import predictors

if TYPE_CHECKING:
    from numpy.typing import NDArray


@predictors.register("video")
class VideoPredictor(DescriptionPredictor):
    """Descriptions of clips."""

    name: ClassVar[str] = "video"
    settings_type = VideoSettings
    thing: ClassVar[str] = "clip"
    weight: ClassVar[int] = 60

    def load_pixels(self, item: Any, where: str) -> Pixels:
        return load_frames(item, self.settings.image_size, self.settings.frames, where)

    def stack_pixels(self, contents: Sequence[Pixels], pad_to: int) -> tuple[Pixels, NDArray[np.int64]]:
        lengths = np.array([len(frames) for frames in contents], dtype=np.int64)
        pixels = np.zeros((len(contents), max(pad_to, lengths.max()), *contents[0].shape[1:]), np.uint8)
        for row, frames in enumerate(contents):
            pixels[row, : len(frames)] = frames
        return pixels, lengths

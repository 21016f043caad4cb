"""Using a model that describes pictures: from files to pixels. Needs no torch.

The task is in `nlp_lstm.tasks.caption`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from nlp_lstm.data.pictures import Pixels, load_pixels
from nlp_lstm.nn.settings import PLACES
from nlp_lstm.tasks.captioning import CaptionSettings
from nlp_lstm.tasks.description_answers import DescriptionPredictor
from nlp_lstm.tasks.predictor import predictors

if TYPE_CHECKING:
    from numpy.typing import NDArray


@predictors.register("caption")
class CaptionPredictor(DescriptionPredictor):
    """Descriptions of pictures."""

    name: ClassVar[str] = "caption"
    settings_type = CaptionSettings
    thing: ClassVar[str] = "picture"
    weight: ClassVar[int] = 20

    def load_pixels(self, item: Any, where: str) -> Pixels:
        return load_pixels(item, self.settings.image_size, where)

    def stack_pixels(self, contents: Sequence[Pixels], pad_to: int) -> tuple[Pixels, NDArray[np.int64]]:
        return np.stack(contents), np.full(len(contents), PLACES * PLACES, dtype=np.int64)

"""Pictures described in a sentence: seen whole, then written word by word.

    [a picture of two owls and a pear]   ->   two owls above a pear

What descriptions of pictures and of clips have in common is in `nlp_lstm.tasks.describing`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from nlp_lstm.data.pictures import PictureExample, Pixels, load_pixels, to_png
from nlp_lstm.data.scenes import COLOURS
from nlp_lstm.evaluation.captions import Shown
from nlp_lstm.nn.pictures import Captioner
from nlp_lstm.nn.settings import PLACES
from nlp_lstm.tasks.caption_answers import CaptionPredictor
from nlp_lstm.tasks.describing import DescriptionTask
from nlp_lstm.tasks.predictor import tasks

NEAREST_SIDE = 16  # pixels along each side that pictures are compared by


@tasks.register("caption")
class CaptionTask(CaptionPredictor, DescriptionTask):
    """Descriptions of pictures."""

    title: ClassVar[str] = "Descriptions of pictures"
    intended_use: ClassVar[str] = (
        "Describing pictures like those of the training data in a sentence like theirs. A model of drawn scenes "
        "describes drawn scenes, and no photographs."
    )
    known_failures = (
        "Every picture gets a sentence, also one unlike all that was learnt. What the training data does not name is "
        "called something else; small things are confused and left out, counts above four are not known."
    )
    attention_rows: ClassVar[int] = PLACES
    word_kinds: ClassVar[Mapping[str, frozenset[str]]] = {
        "colours": frozenset(COLOURS) | {"black", "white", "brown", "pink", "gray", "grey"},
        "counts": frozenset({"one", "two", "three", "four", "five", "six"}),
        "relations": frozenset(
            {"above", "below", "left", "right", "between", "top", "bottom", "under", "behind", "beside"}
        ),
    }

    def build_model(self) -> Captioner:
        return Captioner(len(self.words), num_features=self.num_features, **self.settings.network())

    def thumbnail(self, example: PictureExample) -> Pixels:
        return load_pixels(example.picture, NEAREST_SIDE, example.name)

    def show(self, example: PictureExample) -> Shown:
        return Shown(png=to_png(self.load_pixels(example.picture, example.name)))

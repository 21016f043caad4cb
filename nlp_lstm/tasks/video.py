"""Clips described in a sentence: watched frame by frame, then written word by word.

    [a fox goes to the left and is gone]   ->   the fox moves left, then disappears

What descriptions of pictures and of clips have in common is in `nlp_lstm.tasks.describing`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from nlp_lstm.data.clip_files import even_places, load_frames, to_strip
from nlp_lstm.data.pictures import PictureExample, Pixels, to_png
from nlp_lstm.evaluation.captions import Shown
from nlp_lstm.nn.clips import ClipCaptioner
from nlp_lstm.tasks.describing import DescriptionTask
from nlp_lstm.tasks.predictor import tasks
from nlp_lstm.tasks.video_answers import VideoPredictor

NEAREST_SIDE = 12  # pixels along each side that frames are compared by
NEAREST_FRAMES = 4  # of each clip that are compared


@tasks.register("video")
class VideoTask(VideoPredictor, DescriptionTask):
    """Descriptions of clips."""

    title: ClassVar[str] = "Descriptions of clips"
    intended_use: ClassVar[str] = (
        "Describing clips like those of the training data in a sentence like theirs. A model of moving drawings "
        "describes moving drawings, and no films of the world."
    )
    known_failures = (
        "Every clip gets a sentence, also one unlike all that was learnt. What the training data does not name is "
        "called something else. Of a long clip a few frames are seen, and what happens between them is missed; how "
        "fast something happens is not known."
    )
    attention_rows: ClassVar[int] = 1
    word_kinds: ClassVar[Mapping[str, frozenset[str]]] = {
        "actions": frozenset(
            {"moves", "moving", "grows", "growing", "shrinks", "shrinking", "appears", "appearing"}
            | {"disappears", "disappearing", "stays"}
        ),
        "directions": frozenset({"left", "right", "up", "down"}),
    }

    def build_model(self) -> ClipCaptioner:
        return ClipCaptioner(len(self.words), num_features=self.num_features, **self.settings.network())

    def thumbnail(self, example: PictureExample) -> Pixels:
        frames = load_frames(example.picture, NEAREST_SIDE, self.settings.frames, example.name)
        return frames[even_places(len(frames), NEAREST_FRAMES)]

    def show(self, example: PictureExample) -> Shown:
        frames = self.load_pixels(example.picture, example.name)
        return Shown(png=to_png(to_strip(frames)), num_frames=len(frames))

"""What the boxes of the page do: each takes what was typed and gives HTML, the reason where there is no answer."""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar

from nlp_lstm.errors import DataError
from nlp_lstm.serving.page.asking import Asker
from nlp_lstm.serving.page.markup import box, note, problem
from nlp_lstm.serving.page.pictures import (
    show_clip_description,
    show_description,
    show_example,
    show_look,
    show_translation,
)
from nlp_lstm.serving.page.reports import Reports, show_reports
from nlp_lstm.serving.page.series import example_table, read_table, show_series
from nlp_lstm.serving.page.words import show_opinion, show_surprise, show_tags, show_written
from nlp_lstm.serving.refusals import RefusedError
from nlp_lstm.tasks.series_answers import SeriesPredictor
from nlp_lstm.tasks.topic_answers import TopicPredictor
from nlp_lstm.tasks.video_answers import VideoPredictor

NOTHING = box(note("Type something first, or click an example."))
NO_PICTURE = box(note("Choose a picture first, or click an example."))
NO_CLIP = box(note("Choose a clip first, or click the example."))
EXAMPLE_FOLDER = Path(__file__).with_name("examples")
EXAMPLES = {
    "A frog and a pear": "frog-and-pear.png",
    "Airplanes": "airplanes.png",
    "A whale and a pig": "whale-and-pig.gif",
    "A crab": "crab.gif",
}
"""Synthetic scenes and clips of drawings by OpenMoji (HfG Schwäbisch Gmünd, CC BY-SA 4.0), not seen in training."""
EXPLAINED = 2_000  # characters; a text is read 20 times to explain it, and nobody else is answered meanwhile
NO_MODEL_SERIES = "this model reads no series"
NO_MODEL_OF_CLIPS = "this model describes no clips"

Answering = TypeVar("Answering", bound=Callable[..., Awaitable[str]])


def _saying_why(answering: Answering) -> Answering:
    """Make a function give the reason where its answer is refused."""

    @wraps(answering)
    async def answer(*arguments: Any) -> str:
        try:
            return await answering(*arguments)
        except (RefusedError, DataError) as refusal:
            return problem(str(refusal))

    return answer  # type: ignore[return-value]


class PageFunctions:
    """The functions of the page.

    Args:
        asker: asks the models.
        reports: the reports of runs.
    """

    def __init__(self, asker: Asker, reports: Reports) -> None:
        self.asker = asker
        self._reports = reports

    @_saying_why
    async def tag(self, model: str, text: str) -> str:
        """Show the class of each word."""
        if not _given(text):
            return NOTHING
        return show_tags(text, await self.asker.ask(model, text))

    @_saying_why
    async def judge(self, model: str, text: str) -> str:
        """Show how probable each label is, and the words that moved the decision."""
        if not _given(text):
            return NOTHING
        labels = await self.asker.ask(model, text, top_k=None)
        if len(text) > EXPLAINED:
            return show_opinion(labels, [], f"Texts of more than {EXPLAINED:,} characters are not explained by word.")
        explained = await self.asker.ask(model, text, explain=True)
        return show_opinion(labels, explained["words"])

    @_saying_why
    async def translate(self, model: str, text: str) -> str:
        """Show a translation and where its pieces looked."""
        if not _given(text):
            return NOTHING
        return show_translation(await self._ask_where(model, text))

    async def write(
        self, model: str, beginning: str, length: float, daring: float, seed: float = 0
    ) -> AsyncIterator[str]:
        """Show what is written on a beginning, as it is written.

        Args:
            model: its name.
            beginning: may be empty.
            length: the most tokens.
            daring: the temperature.
            seed: of the drawing.
        """
        options = {"max_new_tokens": _whole(length), "temperature": daring, "seed": _whole(seed)}
        async for shown in self._write(model, beginning, options):
            yield shown

    async def write_about(
        self, model: str, beginning: str, topic: str, length: float, guidance: float, seed: float = 0
    ) -> AsyncIterator[str]:
        """Show what is written about a topic, as it is written.

        Args:
            model: its name.
            beginning: may be empty.
            topic: one that the model has learnt.
            length: the most tokens.
            guidance: how much more the topic weighs.
            seed: of the drawing.
        """
        told = {"topic": topic, "guidance": guidance} if topic else {}
        options = {"max_new_tokens": _whole(length), "seed": _whole(seed), **told}
        async for shown in self._write(model, beginning, options):
            yield shown

    def topics(self, model: str) -> list[str]:
        """Return what a model can be told to write about; nothing while it is being opened."""
        try:
            predictor = self.asker.predictor(model)
        except RefusedError:
            return []
        return list(predictor.topics) if isinstance(predictor, TopicPredictor) else []

    async def _write(self, model: str, beginning: str, options: dict[str, Any]) -> AsyncIterator[str]:
        if not isinstance(beginning, str):
            beginning = ""
        yield show_written(beginning, "", is_done=False)
        written = ""
        try:
            async for written in self.asker.write(model, beginning, **options):
                yield show_written(beginning, written, is_done=False)
        except RefusedError as refusal:
            yield (
                show_written(beginning, written, is_done=True) + problem(str(refusal))
                if written
                else problem(str(refusal))
            )
            return
        remark = "" if written.strip() else "The model would end here. Ask again, or begin otherwise."
        yield show_written(beginning, written, is_done=True, remark=remark)

    @_saying_why
    async def surprise(self, model: str, text: str) -> str:
        """Show how little each word was expected."""
        if not _given(text):
            return NOTHING
        return show_surprise(text, await self.asker.ask(model, text, "score"))

    @_saying_why
    async def describe(self, model: str, picture: str) -> str:
        """Show the description of a picture, which comes as the base64 of its file."""
        if not _given(picture):
            return NO_PICTURE
        result = await self._ask_where(model, picture)
        return await asyncio.to_thread(show_description, result, _content(picture))

    @_saying_why
    async def describe_clip(self, model: str, clip: str) -> str:
        """Show the description of a clip, which comes as the base64 of its file."""
        if not _given(clip):
            return NO_CLIP
        result = await self._ask_where(model, clip)
        predictor = self.asker.predictor(model)
        if not isinstance(predictor, VideoPredictor):
            raise RefusedError(422, NO_MODEL_OF_CLIPS)
        return await asyncio.to_thread(show_clip_description, result, _content(clip), predictor.settings.frames)

    async def describe_example(self, model: str, name: str) -> str:
        """Show a picture or a clip that is kept here, and its description.

        Args:
            model: its name.
            name: one of `EXAMPLES`.
        """
        content = await asyncio.to_thread((EXAMPLE_FOLDER / EXAMPLES[name]).read_bytes)
        given = base64.b64encode(content).decode("ascii")
        is_clip = EXAMPLES[name].endswith(".gif")
        return show_example(content) + await (self.describe_clip if is_clip else self.describe)(model, given)

    async def _ask_where(self, model: str, given: str) -> Any:
        """Ask with attention, or without it where the model has none."""
        try:
            return await self.asker.ask(model, given, attention=True)
        except RefusedError as refusal:
            if "attention" not in refusal.reason:
                raise
            return await self.asker.ask(model, given)

    @_saying_why
    async def look(self, model: str, text: str) -> str:
        """Show what a network remembers of a text."""
        if not _given(text):
            return NOTHING
        return show_look(await self.asker.ask(model, text, "look"))

    @_saying_why
    async def read_series(self, model: str, text: str) -> str:
        """Show the answer to a series: a table with a header, or symbols."""
        if not _given(text):
            return NOTHING
        if self._series_predictor(model).reads_symbols_only:
            symbols = "".join(text.split())
            return show_series({"": list(symbols)}, await self.asker.ask(model, symbols))
        columns = read_table(text)
        return show_series(columns, await self.asker.ask(model, columns))

    async def example_series(self, model: str) -> str:
        """Return a series of the kind that a model has learnt; nothing while it is being opened."""
        try:
            return example_table(self._series_predictor(model).facts_of_training)
        except RefusedError:
            return ""

    async def list_reports(self) -> str:
        """Show the reports of the runs."""
        return show_reports(await asyncio.to_thread(self._reports.find))

    def _series_predictor(self, model: str) -> SeriesPredictor:
        predictor = self.asker.predictor(model)
        if not isinstance(predictor, SeriesPredictor):
            raise RefusedError(422, NO_MODEL_SERIES)
        return predictor


def _content(file: str) -> bytes:
    """Return a file that comes as base64."""
    try:
        return base64.b64decode(file, validate=True)
    except binascii.Error as error:
        raise DataError("the file did not arrive whole; choose it again") from error


def _given(text: Any) -> bool:
    return isinstance(text, str) and bool(text.strip())


def _whole(number: Any) -> Any:
    """Return a slider's number as a whole one; what is none is refused with the request."""
    return int(number) if isinstance(number, float) and number.is_integer() else number

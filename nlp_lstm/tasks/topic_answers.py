"""Using a language model that is told what it writes about. Needs no torch.

The task is in `nlp_lstm.tasks.topics`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, TypeVar

from pydantic import Field, model_validator

from nlp_lstm.decoding.guidance import guide
from nlp_lstm.errors import CheckpointError, ConfigError, nearest_hint, shorten
from nlp_lstm.tasks.generation import GenerationOptions, Start, generation_options
from nlp_lstm.tasks.language_answers import LanguagePredictor, LanguageSettings, Read, read_units
from nlp_lstm.tasks.predictor import predictors
from nlp_lstm.text.document import Document
from nlp_lstm.text.units import EOS_ID, NEVER_WRITTEN, UNK_ID, Units

PredictorType = TypeVar("PredictorType", bound="TopicPredictor")

UNTOLD = "<no topic>"  # no word of a text has a space in it


class TopicSettings(LanguageSettings):
    """The language model with topics."""

    @model_validator(mode="after")
    def _check_words(self) -> TopicSettings:
        if self.unit != "word" or self.direction != "forward":
            raise ValueError("the mark of a topic is a word that stands first; take unit=word and direction=forward")
        return self


class TopicOptions(GenerationOptions):
    """How a text is written, and what about."""

    topic: str | None = None
    """One of the labels that the model has learnt; null leaves it to the model."""
    guidance: float = Field(0.0, ge=0, le=20)
    """How much more the topic weighs than the model itself gives it; 0 is the model as it is."""


@predictors.register("topics")
class TopicPredictor(LanguagePredictor):
    """Writing about a topic.

    Args:
        settings: the model.
        units: the words, the marks of the topics among them.
        topics: the labels, in order.
    """

    name: ClassVar[str] = "topics"
    settings_type = TopicSettings
    option_names: ClassVar[tuple[str, ...]] = tuple(TopicOptions.model_fields)

    def __init__(self, settings: LanguageSettings, units: Units, topics: Sequence[str]) -> None:
        super().__init__(settings, units)
        self.topics = tuple(topics)
        ids = units.encode(Document.from_words([mark(topic) for topic in (None, *self.topics)]))
        self._mark_ids: dict[str | None, int] = dict(zip((None, *self.topics), ids, strict=True))

    @classmethod
    def from_folder(
        cls: type[PredictorType], settings: LanguageSettings, values: Mapping[str, Any], files: Mapping[str, bytes]
    ) -> PredictorType:
        topics = values.get("topics")
        is_list = isinstance(topics, list) and len(set(map(str, topics))) == len(topics) > 1
        if not is_list or not all(isinstance(topic, str) for topic in topics):  # type: ignore[union-attr]
            raise CheckpointError(f"damaged vocabulary: topics is {shorten(topics)}, expected two or more names")
        units = read_units(settings, {key: value for key, value in values.items() if key != "topics"}, files)
        predictor = cls(settings, units, topics)  # type: ignore[arg-type]
        if UNK_ID in predictor._mark_ids.values():
            raise CheckpointError("damaged vocabulary: it has no mark for one of its topics")
        return predictor

    def _options(self, values: Mapping[str, Any]) -> TopicOptions:
        options = generation_options(values, TopicOptions)
        if options.topic is not None and options.topic not in self.topics:
            raise ConfigError(
                f"topic is {shorten(options.topic)}; known topics: {', '.join(self.topics)}."
                f"{nearest_hint(options.topic, self.topics)}"
            )
        if options.guidance and options.topic is None:
            raise ConfigError(f"guidance is {options.guidance:g}, but there is no topic to guide to; set topic")
        return options

    def _start(self, read: Read, prompts: Sequence[Sequence[int]], options: GenerationOptions) -> Start:
        topic = options.topic if isinstance(options, TopicOptions) else None
        told = read([self._marked(prompt, topic) for prompt in prompts])
        told = told._replace(excluded_ids=(*NEVER_WRITTEN, *self._mark_ids.values()))
        if not isinstance(options, TopicOptions) or not options.guidance:
            return told
        plain = read([self._marked(prompt, None) for prompt in prompts])
        marks = {self._mark_ids[topic]: self._mark_ids[None]}
        step, select = guide(told.step, told.select, options.guidance, marks)
        return told._replace(step=step, select=select, states=(told.states, plain.states))

    def _marked(self, prompt: Sequence[int], topic: str | None) -> list[int]:
        """The ids of a beginning with a mark at the beginning of each line."""
        ids = [self._mark_ids[topic]]
        for id in prompt:
            ids += [id, self._mark_ids[topic]] if id == EOS_ID else [id]
        return ids


def mark(topic: str | None) -> str:
    """What stands at the beginning of a line; no word of a text has a space in it."""
    return UNTOLD if topic is None else f"<topic {topic}>"

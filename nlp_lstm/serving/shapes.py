"""What a request may hold and what comes back, per task: the checks of the one, and OpenAPI's models of both.

{"inputs": "Dogs bark.", "label": "xpos"}     the arguments of `Pipeline.predict`, by name
{"inputs": ["Dogs bark.", 5]}                 [[{"entity": …}, …], {"error": "input 1 is 5 (int); give a string"}]
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from types import GenericAlias
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema, create_model

from nlp_lstm.errors import ConfigError
from nlp_lstm.settings import Settings, parse_settings
from nlp_lstm.tasks.predictor import Predictor

# ---- requests


class TaggingOptions(Settings):
    """Options of tagging."""

    label: str | None = None
    """Which label column becomes ``entity`` and ``score``. Default: the main one."""


class ClassificationOptions(Settings):
    """Options of classification."""

    top_k: int | None = Field(1, ge=1)
    """1 gives one label; more, or null for all labels, a list of them, the most probable first."""
    explain: bool = False
    """Whether the result also says how much each word moved the decision."""


_OPTIONS = {
    "caption": "nlp_lstm.tasks.captioning:CaptionOptions",
    "lm": "nlp_lstm.tasks.generation:GenerationOptions",
    "pos": "nlp_lstm.serving.shapes:TaggingOptions",
    "sentiment": "nlp_lstm.serving.shapes:ClassificationOptions",
    "topics": "nlp_lstm.tasks.topic_answers:TopicOptions",
    "translate": "nlp_lstm.tasks.translation:TranslationOptions",
    "video": "nlp_lstm.tasks.captioning:CaptionOptions",
}
"""Where the options of a task are, which the tasks of torch alone must not be imported for before one is served."""

_ONE_TEXT = {"type": "string"}
_TOKENS = {"type": "array", "items": {"type": "string"}}
_COLUMNS = {"type": "object", "additionalProperties": {"type": "array", "items": {}}}
_ONE_INPUT: dict[str, list[dict[str, Any]]] = {
    "caption": [{**_ONE_TEXT, "contentEncoding": "base64", "description": "a picture: the file in base64"}],
    "video": [{**_ONE_TEXT, "contentEncoding": "base64", "description": "a clip: the file in base64"}],
    "series": [{**_COLUMNS, "description": "a table: its columns"}, {**_ONE_TEXT, "description": "symbols"}, _TOKENS],
}
_ONE_TEXT_INPUT: list[dict[str, Any]] = [
    {**_ONE_TEXT, "description": "a text"},
    {**_TOKENS, "description": "with pretokenized: its tokens"},
]


def options_type(predictor: type[Predictor]) -> type[Settings]:
    """Return the settings that hold a task's options."""
    if predictor.name in _OPTIONS:
        module, _, name = _OPTIONS[predictor.name].partition(":")
        found: type[Settings] = getattr(importlib.import_module(module), name)
        return found
    fields: dict[str, Any] = dict.fromkeys(predictor.option_names, (Any, None))
    return create_model(f"{predictor.name.title()}Options", __base__=Settings, **fields)


def request_type(predictor: type[Predictor]) -> type[Settings]:
    """Return what a request to a task may hold: ``inputs``, ``pretokenized`` and the options, each of its own type."""
    one = _ONE_INPUT.get(predictor.name, _ONE_TEXT_INPUT)
    schema = {"anyOf": [*one, {"type": "array", "items": {"anyOf": one}}], "description": "One input, or a list."}
    fields: dict[str, Any] = {"inputs": (Annotated[Any, WithJsonSchema(schema)], ...)}
    if predictor.needs_tokenizer or predictor.name == "series":
        fields["pretokenized"] = (bool, Field(False, description="Whether texts come as lists of tokens."))
    name = f"{predictor.name.title()}Request"
    return create_model(name, __base__=options_type(predictor), __cls_kwargs__={"strict": True}, **fields)


def parse_request(request: type[Settings], values: Any) -> tuple[Any, bool, dict[str, Any]]:
    """Return the inputs of a request, whether they are tokens, and the options that it names.

    Raises:
        ConfigError: an option is not known or has another type, or there are no inputs.
    """
    if not isinstance(values, Mapping):
        raise ConfigError('the request is no JSON object; send {"inputs": "a text"} or {"inputs": ["a text", …]}')
    parsed = parse_settings(request, values, "request")
    given = {name: getattr(parsed, name) for name in parsed.model_fields_set}
    return given.pop("inputs"), given.pop("pretokenized", False), given


# ---- results


class _Shape(BaseModel):
    """Base of the shapes of results, which are written as the Pipeline gives them."""

    model_config: ClassVar[ConfigDict] = ConfigDict(use_attribute_docstrings=True)


class ItemError(_Shape):
    """Why there is no result."""

    error: str


class Token(_Shape):
    """A token with its label; each further label column adds its own two keys, such as ``xpos`` and ``xpos_score``."""

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="allow")

    entity: str
    score: float
    """Probability."""
    index: int
    """From 1, over the whole text."""
    word: str
    start: int
    """Code points into the text."""
    end: int
    """End-exclusive."""


class MovingWord(_Shape):
    """How much a word moved the decision."""

    word: str
    start: int
    end: int
    score: float
    """Logits; above zero it spoke for the label."""


class Label(_Shape):
    """A label and its probability."""

    label: str
    score: float
    words: list[MovingWord] | None = None
    """With explain."""


class Looked(_Shape):
    """Where each piece that was written looked."""

    source: list[Any] | None = None
    target: list[str] | None = None
    weights: list[Any]


class Translation(_Shape):
    """A translation."""

    translation_text: str
    score: float | None = None
    """Log-probability, where several are asked for."""
    attention: list[Looked] | None = None
    """Of each sentence."""


class Generated(_Shape):
    """A text that was written."""

    generated_text: str


class Description(_Shape):
    """A description of a picture or a clip."""

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="allow")

    generated_text: str
    score: float | None = None
    """Log-probability, where several are asked for."""


class Step(_Shape):
    """The answer to a step of a series."""

    index: int
    """From 1."""
    label: str | None = None
    score: float | None = None
    value: float | None = None


_RESULTS: dict[str, Any] = {
    "caption": Description | list[Description],
    "lm": Generated | list[Generated],
    "pos": list[Token],
    "sentiment": Label | list[Label],
    "series": list[Step] | Label,
    "topics": Generated | list[Generated],
    "translate": Translation | list[Translation],
    "video": Description | list[Description],
}


def result_type(task: str) -> Any:
    """Return the shape of the answer to a request: one result, or a list with one, or an error, per input."""
    one = _RESULTS.get(task)
    return Any if one is None else one | GenericAlias(list, (one | ItemError,))

"""One-to-many: from a beginning, or from nothing, to a text, by a language model.

The old man            The old man and his wife were in the house .

Needs no torch.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np
from pydantic import Field

from nlp_lstm.decoding.generation import sample
from nlp_lstm.decoding.sampling import SamplingSettings
from nlp_lstm.decoding.search import ArrayStep, DecoderState, Select, search
from nlp_lstm.errors import ConfigError
from nlp_lstm.settings import parse_settings
from nlp_lstm.text.document import Document, split_lines
from nlp_lstm.text.units import EOS_ID, NEVER_WRITTEN, TextWriter, Units

if TYPE_CHECKING:
    from numpy.typing import NDArray

READ_AT_ONCE = 1_000  # tokens of a beginning
_OF_DRAWING = ("temperature", "top_k", "top_p", "typical_p", "repetition_penalty")


class GenerationOptions(SamplingSettings):
    """How a text is written; the names are those of Hugging Face's text generation."""

    max_new_tokens: int = Field(50, ge=1, le=100_000)
    """The most tokens that are written."""
    num_beams: int = Field(1, ge=1, le=100)
    """More than 1 looks for the most probable text with this many beams, and draws nothing: of the options of drawing
    only ``no_repeat_ngram_size`` goes with it."""
    num_return_sequences: int = Field(1, ge=1, le=100)
    """Texts for each beginning."""
    seed: int = Field(0, ge=0, lt=2**31)
    """Of the drawing; the same seed writes the same text."""
    return_full_text: bool = True
    """Whether the beginning is in the result."""


class Start(NamedTuple):
    """Where writing begins.

    Args:
        step: one step of what writes.
        select: chooses among the rows of its states.
        states: after each beginning but its last token.
        last_tokens: `beginning`: these last tokens.
        excluded_ids: tokens that are never written.
    """

    step: ArrayStep
    select: Select
    states: DecoderState
    last_tokens: NDArray[np.int64]
    excluded_ids: tuple[int, ...] = NEVER_WRITTEN


OptionsType = TypeVar("OptionsType", bound=GenerationOptions)


@dataclass(frozen=True, slots=True, kw_only=True)
class Generated:
    """What was written on one beginning: as many texts as asked for, without the beginning."""

    texts: tuple[str, ...]


def generation_options(
    values: Mapping[str, Any],
    options_type: type[OptionsType] = GenerationOptions,  # type: ignore[assignment]
) -> OptionsType:
    """Check options given by name.

    Raises:
        ConfigError: a value is not one of those accepted, or two do not go together.
    """
    options = parse_settings(options_type, values, "options")
    if 1 < options.num_beams < options.num_return_sequences:
        raise ConfigError(
            f"num_return_sequences is {options.num_return_sequences}, more than the {options.num_beams} of num_beams"
        )
    if options.num_beams > 1:
        _check_beams(options)
    if options.num_beams == 1 and options.num_return_sequences > 1 and not options.do_sample:
        raise ConfigError("without drawing there is one text; set num_beams, or leave out num_return_sequences")
    return options


def _check_beams(options: GenerationOptions) -> None:
    """Refuse what beams would pass over in silence."""
    defaults = GenerationOptions()
    passed_over = [name for name in _OF_DRAWING if getattr(options, name) != getattr(defaults, name)]
    if options.do_sample and "do_sample" in options.model_fields_set:
        passed_over.insert(0, "do_sample")
    if passed_over:
        raise ConfigError(
            f"num_beams is {options.num_beams}, and beams draw nothing; leave out num_beams, or "
            f"{', '.join(passed_over)}"
        )


def encode_beginning(units: Units, document: Document) -> list[int]:
    """Return the ids of a beginning: of its lines as in training, each with its end, and of the last, which goes on."""
    *whole, last = split_lines(document, goes_on=True)
    if not whole and last.text == document.text:
        return units.encode(document)
    ids: list[int] = []
    for line in whole:
        ids += [*units.encode(line), EOS_ID]
    return ids + (units.encode(last) if last.text.strip() else [])


def fit(units: Units, beginning: str, pieces: Iterable[str]) -> Iterator[str]:
    """Yield what is written on a beginning without a second space between, where spaces are no tokens."""
    has_space = units.name == "word" and beginning[-1:].isspace()
    for piece in pieces:
        yield piece.lstrip(" ") if has_space else piece
        has_space = has_space and not piece


def generate(
    start: Start, units: Units, prompts: Sequence[Sequence[int]], options: GenerationOptions
) -> list[Generated]:
    """Write a text on each beginning, up to the end of its line.

    Args:
        start: where writing on the beginnings begins.
        units: what the ids stand for.
        prompts: the ids of each beginning; none begins a line.
        options: how.
    """
    num_texts = options.num_return_sequences
    if options.num_beams > 1:
        found = search(
            start.step,
            start.select,
            start.states,
            start.last_tokens,
            num_beams=options.num_beams,
            eos_id=EOS_ID,
            max_steps=options.max_new_tokens,
            no_repeat_ngram_size=options.no_repeat_ngram_size,
            num_return=num_texts,
            excluded_ids=start.excluded_ids,
        )
        ids = [[list(hypothesis.ids) for hypothesis in row] for row in found]
    else:
        repeated = np.repeat(np.arange(len(prompts)), num_texts)
        written: list[list[int]] = [[] for _ in repeated]
        for step in sample(
            start.step,
            start.select,
            start.select(start.states, repeated, repeated),
            start.last_tokens[repeated],
            options,
            eos_id=EOS_ID,
            max_steps=options.max_new_tokens,
            seeds=[options.seed + number for _ in prompts for number in range(num_texts)],
            excluded_ids=start.excluded_ids,
            prompt_history=[_without_ends(prompt) for prompt in prompts for _ in range(num_texts)],
        ):
            for row, token in zip(step.rows.tolist(), step.tokens.tolist(), strict=True):
                written[row].append(token)
        ids = [written[row : row + num_texts] for row in range(0, len(written), num_texts)]
    return [
        Generated(texts=tuple(_written(units, prompt, row) for row in rows))
        for prompt, rows in zip(prompts, ids, strict=True)
    ]


def stream_text(start: Start, units: Units, prompt: Sequence[int], options: GenerationOptions) -> Iterator[str]:
    """Yield a text piece by piece as it is written, in memory that does not grow.

    Args:
        start: where writing on the beginning begins.
        units: what the ids stand for.
        prompt: the ids of the beginning.
        options: how; beams do not stream.

    Raises:
        ConfigError: ``num_beams`` or ``num_return_sequences`` is more than 1.
    """
    if options.num_beams > 1 or options.num_return_sequences > 1:
        raise ConfigError("a stream is one text that is drawn; leave out num_beams and num_return_sequences")
    return _stream(start, units, prompt, options)  # apart, so that the complaint does not wait for the first piece


def _stream(start: Start, units: Units, prompt: Sequence[int], options: GenerationOptions) -> Iterator[str]:
    writer = TextWriter(units, _last_line(prompt))
    for step in sample(
        start.step,
        start.select,
        start.states,
        start.last_tokens,
        options,
        eos_id=EOS_ID,
        max_steps=options.max_new_tokens,
        seeds=[options.seed],
        excluded_ids=start.excluded_ids,
        prompt_history=[_without_ends(prompt)],
    ):
        yield writer.write(int(step.tokens[0]))


def _written(units: Units, prompt: Sequence[int], ids: Sequence[int]) -> str:
    """The text of some ids, with the spacing that the beginning before them calls for."""
    writer = TextWriter(units, _last_line(prompt))
    return "".join(writer.write(id) for id in ids)


def _last_line(prompt: Sequence[int]) -> Sequence[int]:
    """What follows the last end of a line: that much decides the spacing."""
    ends = [place for place, id in enumerate(prompt) if id == EOS_ID]
    return prompt[ends[-1] + 1 :] if ends else prompt


def _without_ends(prompt: Sequence[int]) -> list[int]:
    """What may not be repeated: ends of lines may, or a text on a beginning of two lines would have no end."""
    return [id for id in prompt if id != EOS_ID]

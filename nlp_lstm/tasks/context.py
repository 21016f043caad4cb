"""Sentences as frozen language models read them, for taggers that see words in context; see `nlp_lstm.nn.context`.

a model of characters    The cat sat        words with single spaces between, whatever stood in the text
a model of words         The | cat | sat
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from nlp_lstm.data.batch import TokenBatch, pad_ids
from nlp_lstm.data.example import TaggedExample
from nlp_lstm.data.sampling import batch_by_length
from nlp_lstm.data.words import CODES_REMEMBERED, word_ends
from nlp_lstm.errors import CheckpointError, ConfigError, shorten
from nlp_lstm.nn.context import READ_AT_ONCE, FrozenReader, ReaderSettings, Reading
from nlp_lstm.nn.settings import cells
from nlp_lstm.settings import parse_settings
from nlp_lstm.tasks.beginning import Beginning, BidirectionalBeginning
from nlp_lstm.text.document import Document
from nlp_lstm.text.units import EOS_ID, Units, units_from_dict
from nlp_lstm.text.vocabulary import check_keys

LARGEST_STATES = 2**30  # bytes of states that are kept in memory
SECONDS_BETWEEN_LINES = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadSentence(TaggedExample):
    """A sentence that the language models have read.

    Args:
        document: the sentence.
        labels: its labels.
        states: float16, `token states`.
    """

    states: Tensor = field(repr=False, compare=False)


class ContextReader:
    """A language model as it reads words: its vocabulary and its sizes.

    Args:
        units: characters or words.
        settings: the sizes.
        lower_case: whether capital letters are read as small ones.
    """

    def __init__(self, units: Units, settings: ReaderSettings, *, lower_case: bool) -> None:
        self.units = units
        self.settings = settings
        self.lower_case = lower_case
        self._gap = units.encode(Document(text=" "))  # nothing where units are words
        self._codes: dict[str, list[int]] = {}

    @classmethod
    def from_dict(cls, values: object, *, lower_case: bool) -> ContextReader:
        """Build from what `to_dict` gave.

        Raises:
            CheckpointError: the values are no reader.
        """
        if not isinstance(values, dict) or not isinstance(values.get("units"), dict):
            raise CheckpointError(f"damaged vocabulary: context holds {shorten(values)}, expected units and settings")
        check_keys(values, ("units", "settings"))
        sizes = values.get("settings")
        where = "damaged vocabulary: context"
        settings = parse_settings(ReaderSettings, sizes if isinstance(sizes, dict) else {}, where, CheckpointError)
        return cls(units_from_dict(values["units"], {}), settings, lower_case=lower_case)

    def to_dict(self) -> dict[str, Any]:
        """Return vocabulary and sizes as plain values."""
        return {"units": self.units.to_dict(), "settings": self.settings.model_dump(mode="json")}

    def build_network(self) -> FrozenReader:
        """Return the network with weights that are still to be filled in."""
        return FrozenReader(self.settings, len(self.units))

    def read(self, rows: Sequence[Sequence[str]], num_steps: int) -> Reading:
        """Return sentences in the order that the model reads them.

        Args:
            rows: the words of each sentence, at least one each.
            num_steps: pad the words to this many.
        """
        read = [self._read_row(row) for row in rows]
        return Reading(ids=pad_ids([ids for ids, _ in read]), ends=pad_ids([ends for _, ends in read], num_steps))

    def _read_row(self, words: Sequence[str]) -> tuple[list[int], list[int]]:
        """The ids of a sentence as it is read, and for each word the place of its last one."""
        turn = -1 if self.settings.direction == "backward" else 1
        ids = [EOS_ID]
        ends: list[int] = []
        for word in words[::turn]:
            if ends:
                ids += self._gap
            ids += self._code(word)[::turn]
            ends.append(len(ids) - 1)
        return ids, ends[::turn]

    def _code(self, word: str) -> list[int]:
        code = self._codes.get(word)
        if code is None:
            if len(self._codes) >= CODES_REMEMBERED:
                self._codes.clear()
            ends = word_ends(word.lower() if self.lower_case else word)
            code = self._codes[word] = self.units.encode(Document.from_words([ends]))
        return code


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """The language models that a tagger is trained with.

    Args:
        names: of the models, for the report.
        readers: how they read words.
        networks: their networks, which nothing changes.
        say: takes lines for the user.
    """

    names: str
    readers: tuple[ContextReader, ...]
    networks: tuple[FrozenReader, ...]
    say: Callable[[str], None]

    def fill(self, readers: nn.Module) -> None:
        """Copy the models' weights into the readers of a tagger's network."""
        for reader, network in zip(readers.children(), self.networks, strict=True):
            reader.load_state_dict(network.state_dict())

    def read(self, examples: Sequence[TaggedExample]) -> Sequence[TaggedExample]:
        """Return sentences with the states of their words.

        The language models never change, so what they make of training and development sentences is computed once and
        not in every epoch. It is kept as float16, 2 KB a word for two models of 512 features; where that would be more
        than ``LARGEST_STATES``, the sentences stay as they are and each batch is read when its turn comes. All others,
        in tests and in use, are read from their text.
        """
        num_states = sum(network.encoder.output_size for network in self.networks)
        num_tokens = sum(len(example.document) for example in examples)
        if num_tokens * num_states * torch.float16.itemsize > LARGEST_STATES:
            self.say(f"the states of {num_tokens:,} words are too many for the memory; every epoch reads the text anew")
            return examples
        lengths = [sum(len(word) + 1 for word in example.document.words) for example in examples]
        found: dict[int, ReadSentence] = {}
        said = time.monotonic()
        for indices in batch_by_length(lengths, READ_AT_ONCE):
            rows = [examples[index].document.words for index in indices]
            num_steps = max(map(len, rows))
            pairs = zip(self.readers, self.networks, strict=True)
            states = torch.cat([network(reader.read(rows, num_steps)) for reader, network in pairs], dim=2)
            states = states.to(torch.float16)
            for row, index in enumerate(indices):
                example = examples[index]
                kept = states[row, : len(rows[row])].clone()
                found[index] = ReadSentence(document=example.document, labels=example.labels, states=kept)
            if time.monotonic() - said > SECONDS_BETWEEN_LINES:
                said = time.monotonic()
                self.say(f"read by the language models: {len(found):,} of {len(examples):,} sentences")
        return [found[index] for index in range(len(examples))]


def open_context(
    models: Sequence[Beginning | BidirectionalBeginning], *, lower_case: bool, say: Callable[[str], None]
) -> Context:
    """Return language models as those that a tagger is trained with.

    Args:
        models: the language models.
        lower_case: whether capital letters are read as small ones.
        say: takes lines for the user.

    Raises:
        ConfigError: two read in the same direction, or one in both; or one reads subwords, which may go on over the
            end of a word.
    """
    names = ", ".join(model.name for model in models)
    one_way = [model for model in models if isinstance(model, Beginning)]
    if len(one_way) < len(models):
        raise ConfigError(f"context: {names}: give models of the task lm; a bidirectional one goes into init")
    if len({model.is_backward for model in one_way}) < len(one_way):
        raise ConfigError(f"context: {names} read in the same direction; give one forward and one backward model")
    if any(model.units.name == "subword" for model in one_way):
        raise ConfigError(f"context: {names}: give models of characters or of words (model.unit), not of subwords")
    readers, networks = [], []
    for model in one_way:
        encoder, words = model.network.encoder, model.network.words
        cell = encoder.layers.get_submodule("0.0")
        settings = ReaderSettings(
            direction="backward" if model.is_backward else "forward",
            cell=next(name for name in cells if cells.get(name) is type(cell)),
            hidden=encoder.output_size,
            layers=len(encoder.layers),
            embed=words.size,
            cutoffs=tuple(start for start, _ in words.bounds[1:]),
        )
        reader = ContextReader(model.units, settings, lower_case=lower_case)
        network = reader.build_network()
        network.take(model.network.state_dict())
        readers.append(reader)
        networks.append(network)
    return Context(names=names, readers=tuple(readers), networks=tuple(networks), say=say)


def readers_from_list(values: object, *, lower_case: bool) -> tuple[ContextReader, ...]:
    """Build from a list of what `ContextReader.to_dict` gave.

    Raises:
        CheckpointError: the values are no readers, or two of them have the same direction.
    """
    if not isinstance(values, list):
        raise CheckpointError(f"damaged vocabulary: context is {shorten(values)}, expected a list")
    readers = tuple(ContextReader.from_dict(found, lower_case=lower_case) for found in values)
    if len({reader.settings.direction for reader in readers}) < len(readers):
        raise CheckpointError("damaged vocabulary: two models of the context read in the same direction")
    return readers


def add_context(batch: TokenBatch, readers: Sequence[ContextReader], examples: Sequence[TaggedExample]) -> TokenBatch:
    """Return a batch with what the language models read, or with their states where all sentences have been read."""
    num_steps = batch.index.shape[1]
    read = [example.states for example in examples if isinstance(example, ReadSentence)]
    if len(read) < len(examples):
        rows = [example.document.words for example in examples]
        return dataclasses.replace(batch, readings=tuple(reader.read(rows, num_steps) for reader in readers))
    states = torch.zeros(len(read), num_steps, read[0].shape[1])
    for row, known in enumerate(read):
        states[row, : len(known)] = known
    return dataclasses.replace(batch, states=states)

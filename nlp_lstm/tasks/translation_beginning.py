"""What a translator begins as, language models of its languages or another translator: whether it fits, and copying.

    forward model of the source     the encoder's forward direction
    backward model of the source    its backward direction
    forward model of the target     the decoder and its softmax

    translator of the same two languages    everything, to learn other data
    one from the same language              all but the words that are written
    one into the same language              all but the words that are read

Sources: Ramachandran, Liu and Le, "Unsupervised Pretraining for Sequence to Sequence Learning", EMNLP 2017 (language
models); Zoph, Yuret, May and Knight, "Transfer Learning for Low-Resource Neural Machine Translation", EMNLP 2016.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

from nlp_lstm.data.reading import ParallelSettings
from nlp_lstm.errors import ConfigError
from nlp_lstm.nn.cells import Cell
from nlp_lstm.nn.settings import cells
from nlp_lstm.nn.transfer import begin_decoder, begin_encoder, begin_translator
from nlp_lstm.nn.translator import Translator
from nlp_lstm.tasks.beginning import Beginning, as_override
from nlp_lstm.tasks.translation import TranslationSettings
from nlp_lstm.tasks.translation_pieces import PairPieces
from nlp_lstm.text.subwords import SubwordModel
from nlp_lstm.text.units import BOS_ID, EOS_ID, SubwordUnits


@dataclass(frozen=True, slots=True, kw_only=True)
class TranslatorBeginning:
    """A translator of the same two languages, or of one of them in the same place.

    Args:
        name: of the model, for messages.
        settings: of its network.
        pieces: of its languages.
        network: its network.
        reading: has its languages.
    """

    name: str
    settings: TranslationSettings
    pieces: PairPieces
    network: Translator
    reading: ParallelSettings


class Whole(NamedTuple):
    """A translator that another one begins as.

    Args:
        beginning: the translator.
        has_source: whether the languages that are read are the same.
        has_target: whether those that are written are.
    """

    beginning: TranslatorBeginning
    has_source: bool
    has_target: bool

    @property
    def names(self) -> str:
        """What a report says of it."""
        same = {(True, True): "everything", (True, False): "all but the words that are written"}
        return f"{same.get(self[1:], 'all but the words that are read')}: {self.beginning.name}"

    @property
    def source_pieces(self) -> SubwordModel | None:
        """The subword model of the source."""
        return self.beginning.pieces.source if self.has_source else None

    @property
    def target_pieces(self) -> SubwordModel | None:
        """The subword model of the target."""
        return self.beginning.pieces.target if self.has_target else None

    def fill(self, network: Translator) -> None:
        """Copy the translator into a fresh network, which it has been checked to fit."""
        begin_translator(network, self.beginning.network, has_source=self.has_source, has_target=self.has_target)


class Halves(NamedTuple):
    """What the halves begin as; None where one begins afresh.

    Args:
        forward: of the source.
        backward: of the source.
        target: of the target.
    """

    forward: Beginning | None
    backward: Beginning | None
    target: Beginning | None

    @property
    def all(self) -> list[Beginning]:
        """Those that there are."""
        return [one for one in self if one is not None]

    @property
    def names(self) -> str:
        """What a report says of them."""
        parts = zip(("encoder, forward", "encoder, backward", "decoder"), self, strict=True)
        return "; ".join(f"{part}: {one.name}" for part, one in parts if one is not None)

    @property
    def source_pieces(self) -> SubwordModel | None:
        """The subword model of the source."""
        one = self.forward or self.backward
        return _pieces(one) if one else None

    @property
    def target_pieces(self) -> SubwordModel | None:
        """The subword model of the target."""
        return _pieces(self.target) if self.target else None

    def fill(self, network: Translator) -> None:
        """Copy the language models into a fresh network, which they have been checked to fit."""
        if self.forward or self.backward:
            begin_encoder(
                network,
                self.forward.network if self.forward else None,
                self.backward.network if self.backward else None,
            )
        if self.target:
            begin_decoder(network, self.target.network, begin_id=BOS_ID, end_id=EOS_ID)


def choose_beginning(
    beginnings: Sequence[Any], settings: TranslationSettings, reading: ParallelSettings
) -> Halves | Whole:
    """Return how a translator begins as the given models.

    Args:
        beginnings: language models, or one translator.
        settings: of the translator.
        reading: has its two languages.

    Raises:
        ConfigError: they do not fit; says what is to be changed.
    """
    translator = next((one for one in beginnings if isinstance(one, TranslatorBeginning)), None)
    if translator is None:
        return choose_halves(beginnings, settings, reading)
    if len(beginnings) > 1:
        raise ConfigError(f"init: {translator.name} is a whole translator; give it alone")
    whole = Whole(
        beginning=translator,
        has_source=translator.reading.source == reading.source,
        has_target=translator.reading.target == reading.target,
    )
    if not (whole.has_source or whole.has_target):
        raise ConfigError(
            f"init: {translator.name} translates {translator.reading.pair}, and this {reading.pair}; give one that "
            f"translates from {reading.source} or into {reading.target}"
        )
    names = ("cell", "hidden", "embed", "layers", "decoder_layers", "bidirectional", "attention", "input_feeding")
    wanted = {name: getattr(translator.settings, name) for name in (*names, "combined", "lexical")}
    is_whole = whole.has_source and whole.has_target
    wanted["vocabularies"] = translator.settings.vocabularies if is_whole else "separate"
    if wanted["vocabularies"] == "separate":
        size = translator.network.source_words.size
        wanted["source_embed"] = None if size == translator.settings.embed else size
    if changes := _changes(settings, wanted):
        raise ConfigError(f"init: to begin as {translator.name}, set {changes}")
    return whole


def choose_halves(beginnings: Sequence[Any], settings: TranslationSettings, reading: ParallelSettings) -> Halves:
    """Return which language model begins which half, by language and direction.

    Args:
        beginnings: the language models.
        settings: of the translator.
        reading: has the two languages.

    Raises:
        ConfigError: they do not fit; says all that is to be changed.
    """
    found: dict[tuple[str, bool], Beginning] = {}
    for one in beginnings:
        if not isinstance(one, Beginning) or not isinstance(one.units, SubwordUnits):
            raise ConfigError(
                f"init: {one.name} does not read pieces of words; a translator begins as language models that "
                "`nlp-lstm run lm-translate` makes (model.unit=subword)"
            )
        if one.language not in reading.languages:
            raise ConfigError(
                f'init: {one.name} is a model of "{one.language}", and this translates {reading.pair}; train it with '
                f"language={reading.source} or language={reading.target}"
            )
        if (one.language, one.is_backward) in found:
            raise ConfigError(
                f"init: {found[one.language, one.is_backward].name} and {one.name} are of the same language and "
                "direction; give one of them"
            )
        found[one.language, one.is_backward] = one
    if (reading.target, True) in found:
        raise ConfigError(
            f"init: {found[reading.target, True].name} reads backward; a decoder writes forward, so give a model with "
            "model.direction=forward"
        )
    halves = Halves(
        forward=found.get((reading.source, False)),
        backward=found.get((reading.source, True)),
        target=found.get((reading.target, False)),
    )
    faults = [*_faults_of_models(halves, settings), *_faults_of_settings(halves, settings)]
    if faults:
        raise ConfigError("init: " + "; ".join(faults))
    return halves


def _faults_of_models(halves: Halves, settings: TranslationSettings) -> Iterator[str]:
    """What must be changed in the training of the language models."""
    for one in halves.all:
        if len(one.network.words.bounds) > 1:
            yield f"{one.name} has shorter vectors for rare pieces; train it with model.cutoffs=[]"
    first, second = halves.forward, halves.backward
    if first and second:
        if _pieces(first).to_bytes() != _pieces(second).to_bytes():
            yield f"{first.name} and {second.name} have other pieces; train both on the same text"
        if _shape(first) != _shape(second):
            yield f"{first.name} and {second.name} differ in cell, hidden or layers; train both alike"
    if second and not settings.bidirectional:
        yield f"{second.name} reads backward, but the encoder does not; set model.bidirectional=true"
    source = first or second
    if source and halves.target:
        (cell, hidden, _), (target_cell, target_hidden, _) = _shape(source), _shape(halves.target)
        wanted = target_hidden // (2 if settings.bidirectional else 1)
        if (cell, hidden) != (target_cell, wanted):
            directions = "each direction of the encoder has half of " if settings.bidirectional else "the encoder has "
            yield (
                f"{source.name} has {cell} layers of {hidden} features, {halves.target.name} {target_cell} layers of "
                f"{target_hidden}; {directions}the decoder's, so train the former with model.cell={target_cell} "
                f"model.hidden={wanted}"
            )


def _faults_of_settings(halves: Halves, settings: TranslationSettings) -> Iterator[str]:
    """What must be changed in the translator."""
    wanted: dict[str, Any] = {"vocabularies": "separate"}
    source_embed = settings.source_embed or settings.embed
    if halves.target:
        cell, hidden, layers = _shape(halves.target)
        wanted |= {"cell": cell, "hidden": hidden, "decoder_layers": layers}
        wanted |= {"embed": halves.target.network.words.size, "combined": "linear"}
        source_embed = settings.source_embed or halves.target.network.words.size
    source = halves.forward or halves.backward
    if source:
        cell, hidden, layers = _shape(source)
        wanted |= {"cell": cell, "hidden": hidden * (2 if settings.bidirectional else 1), "layers": layers}
        size = sum(one.network.words.size for one in (halves.forward, halves.backward) if one)
        wanted |= {"source_embed": size} if size != source_embed else {}
    if changes := _changes(settings, wanted):
        yield f"to begin as {' and '.join(one.name for one in halves.all)}, set {changes}"


def _changes(settings: TranslationSettings, wanted: Mapping[str, Any]) -> str:
    """What is to be written on the command line; nothing where all is as it is wanted."""
    changes = {name: value for name, value in wanted.items() if getattr(settings, name) != value}
    return " ".join(f"model.{name}={as_override(value)}" for name, value in changes.items())


def _pieces(one: Beginning) -> SubwordModel:
    if not isinstance(one.units, SubwordUnits):
        raise TypeError(f"{one.name} does not read pieces of words")
    return one.units.model


def _shape(one: Beginning) -> tuple[str, int, int]:
    """The name of the cell, the features of its state, and the number of layers."""
    layers = one.network.encoder.layers
    cell = cast("Cell", layers[0].get_submodule("0"))
    return next(name for name in cells if cells.get(name) is type(cell)), cell.hidden_size, len(layers)

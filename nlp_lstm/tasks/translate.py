"""Translation: a text in one language read whole, then written in another, piece by piece.

    A dog runs .   ->   Ein Hund rennt .

Pieces of words, learnt from the training text, are shared by both languages, so names and numbers can be copied and no
text holds anything unknown. Where the halves begin as language models, each language has pieces of its own.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from nlp_lstm.data.example import ParallelExample
from nlp_lstm.data.reading import ParallelSettings
from nlp_lstm.data.sampling import shuffled_batches
from nlp_lstm.decoding.beam import beam_search
from nlp_lstm.decoding.ensemble import join_steps
from nlp_lstm.errors import ConfigError, DataError
from nlp_lstm.evaluation.report import Report, Section
from nlp_lstm.evaluation.translation import CorpusCounts
from nlp_lstm.evaluation.translation_examples import attention_plots, lost_placeholders
from nlp_lstm.evaluation.translation_report import translation_report
from nlp_lstm.nn.dropout import drop_ids
from nlp_lstm.nn.translator import Translator, Written
from nlp_lstm.settings import Settings
from nlp_lstm.tasks.base import Task, predict_examples
from nlp_lstm.tasks.predictor import tasks
from nlp_lstm.tasks.targets import taught_pairs
from nlp_lstm.tasks.translation import Translated, TranslationSettings, translation_options
from nlp_lstm.tasks.translation_answers import TranslationPredictor
from nlp_lstm.tasks.translation_baselines import baseline_translations
from nlp_lstm.tasks.translation_batches import PairBatch, make_pair_batch
from nlp_lstm.tasks.translation_beginning import Halves, Whole, choose_beginning
from nlp_lstm.tasks.translation_marks import marked_pairs
from nlp_lstm.tasks.translation_pieces import LONGEST_SENTENCE, CutPair, PairPieces
from nlp_lstm.tasks.translation_results import scored, target_language
from nlp_lstm.tasks.translation_search import by_coverage, search_options
from nlp_lstm.text.placeholders import count_kept, find_lost
from nlp_lstm.text.units import BOS_ID, EOS_ID, PAD_ID, UNK_ID
from nlp_lstm.text.vectors import WordVectors

if TYPE_CHECKING:
    from numpy.typing import NDArray

MARKING_SEED = 1
NUM_SHOWN = 50  # sentences of which the report shows the attention of a good, a middling and a poor one
SHOWN_LENGTHS = range(5, 13)  # their words


class TrainingPart(NamedTuple):
    """The pairs of one step of training, and the seed that their words are cut by."""

    rows: Sequence[int]
    seed: str


@tasks.register("translate")
class TranslationTask(TranslationPredictor, Task):
    """Translation.

    Args:
        settings: the model.
        pieces: those of both languages.
    """

    title: ClassVar[str] = "Translation"
    intended_use: ClassVar[str] = (
        "Translating sentences like those of the training data, one by one; a text is split into sentences first."
    )
    known_failures = (
        "Words and names that the training text lacks are spelt out by pieces and often wrong. Long sentences lose or "
        "repeat parts. Nothing beyond the sentence is known, so pronouns and terms may change from one to the next. A "
        "translation reads fluently even where it says something else: check what matters."
    )
    data_kind = "parallel"
    reading_type = ParallelSettings

    def __init__(self, settings: TranslationSettings, pieces: PairPieces) -> None:
        super().__init__(settings, pieces)
        self._beginning: Halves | Whole | None = None  # in training only

    @classmethod
    def prepare(
        cls,
        settings: TranslationSettings,
        examples: Sequence[ParallelExample],
        vectors: Sequence[WordVectors] = (),
        say: Callable[[str], None] = lambda line: None,
    ) -> TranslationTask:
        pieces = PairPieces.learn(examples, size=settings.vocabulary, is_shared=settings.vocabularies == "shared")
        say(f"vocabulary: {pieces.facts()}")
        num_long = len(examples) - len(cls(settings, pieces)._short(examples))
        if num_long:
            say(f"note: {num_long:,} training pairs are left out, a side has more than {LONGEST_SENTENCE} pieces")
        return cls(settings, pieces)

    def vocabulary(self) -> dict[str, Any]:
        return {}

    def vocabulary_files(self) -> dict[str, bytes]:
        return self.pieces.files()

    def facts(self) -> dict[str, str]:
        facts = {"vocabulary": self.pieces.facts()}
        return facts | ({"begins as": self._beginning.names} if self._beginning else {})

    def begin_as(self, beginnings: Sequence[Any], reading: Settings | None = None) -> None:
        """Let the halves begin as language models of their languages, or all as a translator, with their pieces.

        Raises:
            ConfigError: they do not fit the settings; says what to set.
        """
        if not isinstance(reading, ParallelSettings):
            raise TypeError("to begin as other models a translator needs to know its two languages")
        begun = choose_beginning(beginnings, self.settings, reading)
        self.pieces = PairPieces(begun.source_pieces or self.pieces.source, begun.target_pieces or self.pieces.target)
        self._beginning = begun

    def fill_model(self, model: nn.Module) -> None:
        if self._beginning:
            self._beginning.fill(_translator(model))

    def check_examples(self, examples: Sequence[ParallelExample], where: str) -> list[str]:
        if any(example.target is None for example in examples):
            raise DataError(f"{where}: a text has no translation; every pair needs both sides")
        return []

    def build_model(self) -> Translator:
        settings = self.settings
        return Translator(
            len(self.pieces.target),
            embed_size=settings.embed,
            cell=settings.cell,
            hidden_size=settings.hidden,
            encoder_layers=settings.layers,
            decoder_layers=settings.decoder_layers,
            is_bidirectional=settings.bidirectional,
            attention=settings.attention,
            feeds_input=settings.input_feeding,
            embedding_dropout=settings.embedding_dropout,
            dropout=settings.dropout,
            num_source_words=len(self.pieces.source) if settings.vocabularies == "separate" else None,
            source_embed_size=settings.source_embed,
            is_squashed=settings.combined == "tanh",
            is_lexical=settings.lexical,
        )

    def encode(self, examples: Sequence[ParallelExample], folder: Path) -> list[CutPair]:
        if self.settings.marked_words and self.pieces.marks:
            examples = [*examples, *marked_pairs(examples, self.settings.marked_words, seed=MARKING_SEED)]
        return self._short(examples)

    def _short(self, examples: Sequence[ParallelExample]) -> list[CutPair]:
        """Cut pairs, and leave out those that are longer than what is translated at once."""
        cut = [self.pieces.cut(example) for example in examples]
        return [pair for pair in cut if self.size(pair) <= 1 + LONGEST_SENTENCE]

    def encode_development(self, examples: Sequence[ParallelExample]) -> list[CutPair]:
        return [self.pieces.cut_source(example) for example in examples]

    def plan_epoch(
        self, examples: Sequence[ParallelExample], batch_tokens: int, *, seed: int, epoch: int
    ) -> Sequence[TrainingPart]:
        sizes = [self.size(example) for example in examples]
        batches = shuffled_batches(sizes, batch_tokens, seed=seed, epoch=epoch)
        return [TrainingPart(batch, f"{seed}/{epoch}/{number}") for number, batch in enumerate(batches)]

    def take_rows(self, part: TrainingPart, process: int, num_processes: int) -> TrainingPart | None:
        rows = part.rows[process::num_processes]
        return TrainingPart(rows, f"{part.seed}/{process}") if rows else None

    def training_batch(
        self, examples: Sequence[ParallelExample], part: TrainingPart, carried: Mapping[str, Tensor]
    ) -> PairBatch:
        generator = random.Random(part.seed)
        sources, targets = [], []
        for row in part.rows:
            source, target = self.pieces.cut_randomly(
                self.pieces.cut(examples[row]),
                generator,
                share=self.settings.random_pieces,
                sharpness=self.settings.sharpness,
            )
            sources.append(source)
            targets.append(target)
        batch = make_pair_batch(sources, targets)
        if not self.settings.word_dropout:
            return batch
        return PairBatch(
            source_ids=_drop(batch.source_ids, self.settings.word_dropout),
            source_lengths=batch.source_lengths,
            target_ids=_drop(batch.target_ids, self.settings.word_dropout),
            next_ids=batch.next_ids,
        )

    def make_batch(
        self, examples: Sequence[ParallelExample], *, pad_to: int = 0, with_labels: bool = False
    ) -> PairBatch:
        if not with_labels:
            sources = [self.pieces.cut_source(one) for one in examples]
            batch = make_pair_batch([one.source_ids for one in sources], pad_to=pad_to)
            return replace(batch, copies=tuple(one.copies for one in sources))
        cut = [self.pieces.cut(example) for example in examples]
        return make_pair_batch([one.source_ids for one in cut], [one.target_ids or () for one in cut], pad_to=pad_to)

    def loss_size(self, batch: PairBatch) -> int:
        return int((_known(batch.next_ids) != PAD_ID).sum())

    def loss(self, model: nn.Module, outputs: Written, batch: PairBatch) -> Tensor:
        """Return the mean negative log-likelihood in nats per piece of the translation, smoothed."""
        return self._loss(model, outputs, batch, self.settings.label_smoothing)

    def _loss(self, model: nn.Module, outputs: Written, batch: PairBatch, smoothing: float) -> Tensor:
        next_ids = _known(batch.next_ids)
        mask = next_ids != PAD_ID
        return _translator(model).words.mean_loss(outputs.outputs[mask], next_ids[mask], smoothing)

    def score_development(
        self, model: nn.Module, examples: Sequence[ParallelExample], *, use_bf16: bool
    ) -> dict[str, float]:
        """Return the BLEU of greedy translations."""
        predictions = predict_examples(
            self, model, examples, batch_tokens=2_000, use_bf16=use_bf16, options={"num_beams": 1}
        )
        return self.score(examples, predictions)

    def decode(self, model: nn.Module, outputs: Any, batch: Any) -> list[Any]:
        raise ConfigError("a translator writes piece by piece; use predict_batch")

    def read_through(self, model: nn.Module, example: ParallelExample) -> list[str]:
        """Let the encoder read a source, and return its pieces; the decoder is left out."""
        batch = self.make_batch([example])
        _translator(model).read(batch.source_ids, batch.source_lengths)
        return [self.pieces.source.pieces[id] for id in batch.source_ids[0].tolist()]

    def predict_batch(self, model: nn.Module, batch: PairBatch, **options: Any) -> list[Translated]:
        return self.predict_together([model], batch, **options)

    @torch.inference_mode()
    def predict_together(self, models: Sequence[nn.Module], batch: PairBatch, **options: Any) -> list[Translated]:
        """Search with the mean of the step probabilities of all networks."""
        asked = translation_options(options)
        networks = [_translator(model) for model in models]
        source_ids, lengths = batch.source_ids.cpu().numpy(), batch.source_lengths.cpu().numpy()
        rows = beam_search(
            join_steps([network.step for network in networks]),
            tuple(network.read(batch.source_ids, batch.source_lengths) for network in networks),
            torch.full_like(batch.source_lengths, BOS_ID),
            **search_options(source_ids, lengths, asked, self.settings, self.pieces.marks),
        )
        translated = []
        for row, found in enumerate(rows):
            if asked.coverage_penalty:
                looked = _where_it_looked(networks, batch, row, [one.ids for one in found])
                found = by_coverage(found, looked, asked.coverage_penalty)[: asked.num_return_sequences]
            weights = _where_it_looked(networks, batch, row, [found[0].ids])[0] if asked.attention else None
            copies = batch.copies[row] if batch.copies else ()
            translated.append(self.translated(source_ids[row, : lengths[row]].tolist(), copies, found, weights))
        return translated

    @property
    def predicts_together(self) -> bool:
        return True

    def pack_opinion(self, prediction: Translated) -> str | None:
        """Return the translation; None for one that was cut off or is empty, from which nothing is to be learnt."""
        return None if prediction.is_cut or not prediction.text.strip() else prediction.text

    def teach(
        self, examples: Sequence[ParallelExample], opinions: Sequence[str | None], weight: float
    ) -> list[ParallelExample]:
        return taught_pairs(examples, opinions, weight)

    def score(self, examples: Sequence[ParallelExample], predictions: Sequence[Translated]) -> dict[str, float]:
        """Return the BLEU of translations."""
        translations = [scored(*pair) for pair in zip(examples, predictions, strict=True)]
        return {"bleu": CorpusCounts(translations, "bleu", target_language(examples)).score()}

    def baseline_predictions(
        self,
        training: Sequence[ParallelExample],
        development: Sequence[ParallelExample],
        test: Sequence[ParallelExample],
    ) -> dict[str, list[Translated]]:
        """Return the nearest sentences that were seen, and translations word by word."""
        pairs = [(example.source, example.target) for example in training if example.target]
        found = baseline_translations(pairs, [example.source for example in test])
        return {name: [Translated(texts=(text,)) for text in texts] for name, texts in found.items()}

    def examine(
        self, model: nn.Module, examples: Sequence[ParallelExample], predictions: Sequence[Translated]
    ) -> list[Section]:
        """Show where the decoder looks when it translates sentences of middling length."""
        network = _translator(model)
        if not network.attention.has_weights:
            return []
        chosen = [example for example in examples if len(example.source.split()) in SHOWN_LENGTHS][:NUM_SHOWN]
        looked = predict_examples(self, model, chosen, options={"attention": True})
        translations = [scored(*pair) for pair in zip(chosen, looked, strict=True)]
        plots = attention_plots(translations, CorpusCounts(translations, "chrf").sentence_scores())
        return [Section(title="Where it looks", blocks=plots)] if plots else []

    def report(
        self,
        examples: Sequence[ParallelExample],
        predictions: Sequence[Translated],
        *,
        title: str,
        subtitle: str = "",
        training: Sequence[ParallelExample] | None = None,
        rivals: Mapping[str, Sequence[Translated]] | None = None,
    ) -> Report:
        translations = [scored(*pair) for pair in zip(examples, predictions, strict=True)]
        found = ((find_lost(one.source, one.output), one.source, one.output) for one in translations)
        lost = [sentence for sentence in found if sentence[0]]
        counts = [count_kept(example.source, found.text) for example, found in zip(examples, predictions, strict=True)]
        total = sum(count.total for count in counts)
        return translation_report(
            translations,
            title=title,
            subtitle=subtitle,
            task=self.name,
            language=target_language(examples),
            rivals={
                name: [scored(*pair) for pair in zip(examples, found, strict=True)]
                for name, found in (rivals or {}).items()
            },
            placeholders=(sum(count.kept for count in counts), total) if total else None,
            sections=[lost_placeholders(lost)] if lost else [],
        )


def _where_it_looked(
    networks: Sequence[Translator], batch: PairBatch, row: int, targets: Sequence[Sequence[int]]
) -> NDArray[Any]:
    """Return `target step time`: where decoders look, in the mean, when they write these translations of one text."""
    length = int(batch.source_lengths[row])
    again = make_pair_batch([batch.source_ids[row, : length - 1].tolist()] * len(targets), targets)
    again = again.to(batch.source_ids.device)
    return torch.stack([network(again).weights for network in networks]).mean(dim=0).cpu().numpy()


def _translator(model: nn.Module) -> Translator:
    if not isinstance(model, Translator):
        raise TypeError(f"expected a Translator, got {type(model).__name__}")
    return model


def _known(ids: Tensor | None) -> Tensor:
    if ids is None:
        raise DataError("a loss needs the translations; make the batch with with_labels=True")
    return ids


def _drop(ids: Tensor | None, rate: float) -> Tensor:
    """Read a share of the pieces as unknown; specials and padding stay."""
    known = _known(ids)
    return torch.where(known > EOS_ID, drop_ids(known, rate, UNK_ID), known)

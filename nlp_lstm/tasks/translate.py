"""Translation: a text in one language read whole, then written in another, piece by piece.

    A dog runs .   ->   Ein Hund rennt .

Pieces of words, learnt from the training text, are shared by both languages, so names and numbers can be copied and no
text holds anything unknown.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from nlp_lstm.data.example import ParallelExample
from nlp_lstm.data.reading import ParallelSettings
from nlp_lstm.data.sampling import shuffled_batches
from nlp_lstm.decoding.beam import Hypothesis, beam_search
from nlp_lstm.errors import CheckpointError, ConfigError, DataError
from nlp_lstm.evaluation.report import Report, Section
from nlp_lstm.evaluation.translation import CorpusCounts, ScoredTranslation
from nlp_lstm.evaluation.translation_examples import attention_plots
from nlp_lstm.evaluation.translation_report import translation_report
from nlp_lstm.nn.dropout import drop_ids
from nlp_lstm.nn.translator import Translator, Written
from nlp_lstm.tasks.base import Task, predict_examples
from nlp_lstm.tasks.predictor import tasks
from nlp_lstm.tasks.translation import (
    PairBatch,
    Translated,
    TranslationOptions,
    TranslationSettings,
    make_pair_batch,
    translation_options,
)
from nlp_lstm.tasks.translation_baselines import DICTIONARY, MEMORY, WordByWord, nearest_translations
from nlp_lstm.text.placeholders import count_kept
from nlp_lstm.text.subwords import SubwordModel
from nlp_lstm.text.tokenize import Tokenizer
from nlp_lstm.text.units import BOS_ID, EOS_ID, PAD_ID, UNK_ID
from nlp_lstm.text.vectors import WordVectors

LONGEST_SENTENCE = 120  # pieces that are translated at once; what is longer is cut at spaces
NEVER_WRITTEN = (PAD_ID, UNK_ID, BOS_ID)
SUBWORDS_FILE = "subwords.model"
NUM_SHOWN = 50  # sentences of which the report shows the attention of a good, a middling and a poor one
SHOWN_LENGTHS = range(5, 13)  # their words


@dataclass(frozen=True, slots=True, kw_only=True)
class SentenceToTranslate(ParallelExample):
    """A sentence of a given text.

    Args:
        before: the white space between it and the sentence before.
    """

    before: str = ""


class TrainingPart(NamedTuple):
    """The pairs of one step of training, and the seed that their words are cut by."""

    rows: Sequence[int]
    seed: str


@tasks.register("translate")
class TranslationTask(Task):
    """Translation.

    Args:
        settings: the model.
        subwords: the pieces of both languages.
    """

    name: ClassVar[str] = "translate"
    title: ClassVar[str] = "Translation"
    intended_use: ClassVar[str] = (
        "Translating sentences like those of the training data, one by one; a text is split into sentences first."
    )
    known_failures = (
        "Words and names that the training text lacks are spelt out by pieces and often wrong. Long sentences lose or "
        "repeat parts. Nothing beyond the sentence is known, so pronouns and terms may change from one to the next. A "
        "translation reads fluently even where it says something else: check what matters."
    )
    settings_type = TranslationSettings
    data_kind = "parallel"
    reading_type = ParallelSettings
    option_names: ClassVar[tuple[str, ...]] = tuple(TranslationOptions.model_fields)

    def __init__(self, settings: TranslationSettings, subwords: SubwordModel) -> None:
        self.settings = settings
        self.subwords = subwords

    @classmethod
    def prepare(
        cls,
        settings: TranslationSettings,
        examples: Sequence[ParallelExample],
        vectors: Sequence[WordVectors] = (),
        say: Callable[[str], None] = lambda line: None,
    ) -> TranslationTask:
        texts = (text for example in examples for text in (example.source, example.target) if text)
        subwords = SubwordModel.train(texts, size=settings.vocabulary, character_coverage=1.0)
        say(f"vocabulary: {len(subwords):,} pieces of words, shared by both languages")
        return cls(settings, subwords)

    @classmethod
    def from_vocabulary(cls, settings: TranslationSettings, values: Mapping[str, Any]) -> TranslationTask:
        return cls.from_folder(settings, values, {})

    @classmethod
    def from_folder(
        cls, settings: TranslationSettings, values: Mapping[str, Any], files: Mapping[str, bytes]
    ) -> TranslationTask:
        if values:
            raise CheckpointError("damaged vocabulary: that of a translator is in its subword model alone")
        if SUBWORDS_FILE not in files:
            raise CheckpointError(f"damaged vocabulary: the folder has no {SUBWORDS_FILE}")
        return cls(settings, SubwordModel.from_bytes(files[SUBWORDS_FILE]))

    def vocabulary(self) -> dict[str, Any]:
        return {}

    def vocabulary_files(self) -> dict[str, bytes]:
        return {SUBWORDS_FILE: self.subwords.to_bytes()}

    def facts(self) -> dict[str, str]:
        return {"vocabulary": f"{len(self.subwords):,} pieces of words, shared by both languages"}

    def check_examples(self, examples: Sequence[ParallelExample], where: str) -> list[str]:
        if any(example.target is None for example in examples):
            raise DataError(f"{where}: a text has no translation; every pair needs both sides")
        return []

    def build_model(self) -> Translator:
        settings = self.settings
        return Translator(
            len(self.subwords),
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
        )

    def size(self, example: ParallelExample) -> int:
        source = len(self.subwords.encode(example.source))
        return 1 + max(source, len(self.subwords.encode(example.target)) if example.target else 0)

    def plan_epoch(
        self, examples: Sequence[ParallelExample], batch_tokens: int, *, seed: int, epoch: int
    ) -> Sequence[TrainingPart]:
        sizes = [self.size(example) for example in examples]
        batches = shuffled_batches(sizes, batch_tokens, seed=seed, epoch=epoch)
        return [TrainingPart(batch, f"{seed}/{epoch}/{number}") for number, batch in enumerate(batches)]

    def training_batch(
        self, examples: Sequence[ParallelExample], part: TrainingPart, carried: Mapping[str, Tensor]
    ) -> PairBatch:
        generator = random.Random(part.seed)
        sources, targets = [], []
        for row in part.rows:
            sources.append(self._cut(examples[row].source, generator))
            targets.append(self._cut(examples[row].target or "", generator))
        batch = make_pair_batch(sources, targets)
        if not self.settings.word_dropout:
            return batch
        return PairBatch(
            source_ids=_drop(batch.source_ids, self.settings.word_dropout),
            source_lengths=batch.source_lengths,
            target_ids=_drop(batch.target_ids, self.settings.word_dropout),
            next_ids=batch.next_ids,
        )

    def _cut(self, text: str, generator: random.Random) -> list[int]:
        if self.settings.random_pieces and generator.random() < self.settings.random_pieces:
            return self.subwords.encode_randomly(text, generator, sharpness=self.settings.sharpness)
        return self.subwords.encode(text)

    def make_batch(
        self, examples: Sequence[ParallelExample], *, pad_to: int = 0, with_labels: bool = False
    ) -> PairBatch:
        sources = [self.subwords.encode(example.source) for example in examples]
        targets = [self.subwords.encode(example.target or "") for example in examples] if with_labels else None
        return make_pair_batch(sources, targets, pad_to=pad_to)

    def loss(self, model: nn.Module, outputs: Written, batch: PairBatch) -> Tensor:
        """Return the mean negative log-likelihood in nats per piece of the translation, smoothed."""
        return self._loss(model, outputs, batch, self.settings.label_smoothing)

    def _loss(self, model: nn.Module, outputs: Written, batch: PairBatch, smoothing: float) -> Tensor:
        next_ids = _known(batch.next_ids)
        mask = next_ids != PAD_ID
        logits = _translator(model).words.logits(outputs.outputs[mask])
        return nn.functional.cross_entropy(logits, next_ids[mask], label_smoothing=smoothing)

    def score_development(
        self, model: nn.Module, examples: Sequence[ParallelExample], *, use_bf16: bool
    ) -> dict[str, float]:
        """Return the BLEU of greedy translations."""
        predictions = predict_examples(
            self, model, examples, batch_tokens=4_000, use_bf16=use_bf16, options={"num_beams": 1}
        )
        return self.score(examples, predictions)

    def decode(self, model: nn.Module, outputs: Any, batch: Any) -> list[Any]:
        raise ConfigError("a translator writes piece by piece; use predict_batch")

    @torch.inference_mode()
    def predict_batch(self, model: nn.Module, batch: PairBatch, **options: Any) -> list[Translated]:
        asked = translation_options(options)
        network = _translator(model)
        num_beams = max(asked.num_beams or self.settings.beams, asked.num_return_sequences)
        penalty = self.settings.length_penalty if asked.length_penalty is None else asked.length_penalty
        lengths = batch.source_lengths.tolist()
        found = beam_search(
            network.step,
            network.read(batch.source_ids, batch.source_lengths),
            torch.full_like(batch.source_lengths, BOS_ID),
            num_beams=num_beams,
            eos_id=EOS_ID,
            max_steps=[asked.max_new_tokens or 3 * length + 10 for length in lengths],
            length_penalty=penalty,
            no_repeat_ngram_size=asked.no_repeat_ngram_size,
            num_return=num_beams if asked.coverage_penalty else asked.num_return_sequences,
            excluded_ids=NEVER_WRITTEN,
        )
        if asked.coverage_penalty:
            found = [
                _by_coverage(network, batch, row, hypotheses, asked.coverage_penalty)[: asked.num_return_sequences]
                for row, hypotheses in enumerate(found)
            ]
        return [self._translated(network, batch, row, found[row], asked) for row in range(len(found))]

    def _translated(
        self,
        network: Translator,
        batch: PairBatch,
        row: int,
        hypotheses: Sequence[Hypothesis],
        asked: TranslationOptions,
    ) -> Translated:
        best = hypotheses[0]
        sources: tuple[str, ...] = ()
        targets: tuple[str, ...] = ()
        weights: tuple[tuple[float, ...], ...] = ()
        if asked.attention:
            ids = batch.source_ids[row, : batch.source_lengths[row]].tolist()
            sources = tuple(self.subwords.pieces[id] for id in ids)
            targets = tuple(self.subwords.pieces[id] for id in (*best.ids, EOS_ID))
            found = _where_it_looked(network, batch, row, [best.ids])[0, : len(targets), : len(sources)]
            weights = tuple(map(tuple, found.tolist()))
        return Translated(
            texts=tuple(self.subwords.decode(found.ids) for found in hypotheses),
            scores=tuple(found.normalised_score for found in hypotheses),
            is_cut=not best.is_finished,
            source_pieces=sources,
            target_pieces=targets,
            weights=weights,
        )

    def cut_long(self, example: ParallelExample) -> list[tuple[ParallelExample, int, int]]:
        if len(self.subwords.encode(example.source)) <= LONGEST_SENTENCE:
            return super().cut_long(example)
        return [(ParallelExample(source=piece), 0, 0) for piece in self._stretches(example.source)]

    def _stretches(self, text: str) -> Iterator[str]:
        """Cut a text at spaces into stretches of at most ``LONGEST_SENTENCE`` pieces; a longer word stays whole."""
        held: list[str] = []
        count = 0
        for word in text.split():
            size = len(self.subwords.encode(word))
            if held and count + size > LONGEST_SENTENCE:
                yield " ".join(held)
                held, count = [], 0
            held.append(word)
            count += size
        if held:
            yield " ".join(held)

    def join_long(self, pieces: Sequence[tuple[Translated, int, int]]) -> Translated:
        if len(pieces) == 1:
            return pieces[0][0]
        parts = [piece for piece, _, _ in pieces]
        count = min(len(part.texts) for part in parts)
        return Translated(
            texts=tuple(" ".join(part.texts[number] for part in parts) for number in range(count)),
            scores=tuple(sum(part.scores[number] for part in parts) for number in range(count)),
            is_cut=any(part.is_cut for part in parts),
        )

    def score(self, examples: Sequence[ParallelExample], predictions: Sequence[Translated]) -> dict[str, float]:
        """Return the BLEU of translations."""
        scored = [_scored(*pair) for pair in zip(examples, predictions, strict=True)]
        return {"bleu": CorpusCounts(scored, "bleu").score()}

    def read_text(
        self, text: Any, tokenizer: Tokenizer | None, *, is_pretokenized: bool
    ) -> Iterator[SentenceToTranslate]:
        if is_pretokenized:
            if text:
                yield SentenceToTranslate(source=" ".join(text))
        elif tokenizer is not None:
            end = 0
            for sentence in tokenizer.sentences(text):
                start, stop = sentence.tokens[0].start, sentence.tokens[-1].end
                yield SentenceToTranslate(source=text[start:stop], before=text[end:start])
                end = stop

    def check_options(self, **options: Any) -> None:
        translation_options(options)

    def format(self, answers: Iterable[tuple[ParallelExample, Translated]], **options: Any) -> Any:
        """Return the translation of one text, in the shape of Hugging Face's translation.

        Several translations of a text of several sentences are joined in order: the best of each, then the second.
        """
        asked = translation_options(options)
        joined: list[str] = [""] * asked.num_return_sequences
        scores = [0.0] * asked.num_return_sequences
        attention: list[dict[str, Any]] = []
        for example, translated in answers:
            before = example.before if isinstance(example, SentenceToTranslate) else ""
            for number in range(asked.num_return_sequences):
                place = min(number, len(translated.texts) - 1)  # a short sentence may have fewer
                joined[number] += before + translated.texts[place]
                scores[number] += translated.scores[place]
            attention.append(
                {
                    "source": list(translated.source_pieces),
                    "target": list(translated.target_pieces),
                    "weights": [list(row) for row in translated.weights],
                }
            )
        results: list[dict[str, Any]] = [{"translation_text": text} for text in joined]
        if asked.attention:
            results[0]["attention"] = attention
        if asked.num_return_sequences > 1:
            return [{**result, "score": score} for result, score in zip(results, scores, strict=True)]
        return results[0]

    def baseline_predictions(
        self,
        training: Sequence[ParallelExample],
        development: Sequence[ParallelExample],
        test: Sequence[ParallelExample],
    ) -> dict[str, list[Translated]]:
        """Return the nearest sentences that were seen, and translations word by word."""
        pairs = [(example.source, example.target) for example in training if example.target]
        sources, targets = [source for source, _ in pairs], [target for _, target in pairs]
        texts = [example.source for example in test]
        dictionary = WordByWord(sources, targets)
        return {
            MEMORY: [Translated(texts=(text,)) for text in nearest_translations(sources, targets, texts)],
            DICTIONARY: [Translated(texts=(dictionary.translate(text),)) for text in texts],
        }

    def examine(
        self, model: nn.Module, examples: Sequence[ParallelExample], predictions: Sequence[Translated]
    ) -> list[Section]:
        """Show where the decoder looks when it translates sentences of middling length."""
        network = _translator(model)
        if not network.attention.has_weights:
            return []
        chosen = [example for example in examples if len(example.source.split()) in SHOWN_LENGTHS][:NUM_SHOWN]
        looked = predict_examples(self, model, chosen, options={"attention": True})
        scored = [_scored(*pair) for pair in zip(chosen, looked, strict=True)]
        plots = attention_plots(scored, CorpusCounts(scored, "chrf").sentence_scores())
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
        counts = [count_kept(example.source, found.text) for example, found in zip(examples, predictions, strict=True)]
        total = sum(count.total for count in counts)
        return translation_report(
            [_scored(*pair) for pair in zip(examples, predictions, strict=True)],
            title=title,
            subtitle=subtitle,
            task=self.name,
            rivals={
                name: [_scored(*pair) for pair in zip(examples, found, strict=True)]
                for name, found in (rivals or {}).items()
            },
            placeholders=(sum(count.kept for count in counts), total) if total else None,
        )


def _scored(example: ParallelExample, found: Translated) -> ScoredTranslation:
    return ScoredTranslation(
        source=example.source,
        reference=example.target or "",
        output=found.text,
        source_tokens=found.source_pieces,
        output_tokens=found.target_pieces,
        attention=found.weights or None,
        is_cut=found.is_cut,
    )


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


def _where_it_looked(network: Translator, batch: PairBatch, row: int, targets: Sequence[Sequence[int]]) -> Tensor:
    """Return `target step time`: where the decoder looks when it writes these translations of one text."""
    length = int(batch.source_lengths[row])
    again = make_pair_batch([batch.source_ids[row, : length - 1].tolist()] * len(targets), targets)
    return network(again.to(batch.source_ids.device)).weights


def _by_coverage(
    network: Translator, batch: PairBatch, row: int, hypotheses: Sequence[Hypothesis], penalty: float
) -> list[Hypothesis]:
    """Order the translations of one text anew: each loses what its attention left unread of the source."""
    weights = _where_it_looked(network, batch, row, [found.ids for found in hypotheses])
    rescored = []
    for found, looked in zip(hypotheses, weights, strict=True):
        read = looked[: len(found.ids) + 1].sum(dim=0).clamp(1e-6, 1.0)
        rescored.append(found._replace(normalised_score=found.normalised_score + penalty * float(read.log().sum())))
    return sorted(rescored, key=lambda found: -found.normalised_score)

"""Using a translator: from sentences to pieces of words, and from pieces to translations. Needs no torch.

The task is in `nlp_lstm.tasks.translate`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import numpy as np

from nlp_lstm.artifacts import GRAPH_NAME, STEP_GRAPH_NAME
from nlp_lstm.data.example import ParallelExample
from nlp_lstm.decoding.search import Hypothesis
from nlp_lstm.errors import CheckpointError, ConfigError
from nlp_lstm.nn.settings import UNWEIGHTED
from nlp_lstm.tasks.graph_writing import begin, where_it_looked, write
from nlp_lstm.tasks.predictor import ArrayPredictor, Run, predictors
from nlp_lstm.tasks.translation import Translated, TranslationOptions, TranslationSettings, translation_options
from nlp_lstm.tasks.translation_pieces import LONGEST_SENTENCE, CutPair, PairPieces
from nlp_lstm.tasks.translation_results import SentenceToTranslate, format_translations, join_translations
from nlp_lstm.tasks.translation_search import by_coverage, count_beams, search_options
from nlp_lstm.text.copies import put_back
from nlp_lstm.text.tokenize import Tokenizer
from nlp_lstm.text.units import EOS_ID, PAD_ID

if TYPE_CHECKING:
    from numpy.typing import NDArray

PredictorType = TypeVar("PredictorType", bound="TranslationPredictor")


@predictors.register("translate")
class TranslationPredictor(ArrayPredictor):
    """Translation.

    The graph that reads takes ``source_ids``, `batch time`, and ``lengths``, `batch`; the rest is in
    `nlp_lstm.tasks.graph_writing`.

    Args:
        settings: the model.
        pieces: those of both languages.
    """

    name: ClassVar[str] = "translate"
    settings_type = TranslationSettings
    option_names: ClassVar[tuple[str, ...]] = tuple(TranslationOptions.model_fields)
    graphs: ClassVar[tuple[str, ...]] = (GRAPH_NAME, STEP_GRAPH_NAME)

    def __init__(self, settings: TranslationSettings, pieces: PairPieces) -> None:
        self.settings = settings
        self.pieces = pieces

    @classmethod
    def from_vocabulary(
        cls: type[PredictorType], settings: TranslationSettings, values: Mapping[str, Any]
    ) -> PredictorType:
        return cls.from_folder(settings, values, {})

    @classmethod
    def from_folder(
        cls: type[PredictorType], settings: TranslationSettings, values: Mapping[str, Any], files: Mapping[str, bytes]
    ) -> PredictorType:
        if values:
            raise CheckpointError("damaged vocabulary: that of a translator is in its subword model alone")
        return cls(settings, PairPieces.from_files(files, is_shared=settings.vocabularies == "shared"))

    def size(self, example: ParallelExample) -> int:
        cut = example if isinstance(example, CutPair) else self.pieces.cut(example)
        return 1 + max(len(cut.source_ids), len(cut.target_ids or ()))

    def tokens_at_once(self, batch_tokens: int, options: Mapping[str, Any]) -> int:
        """Return more where one translation of each text is searched, and fewer where many are."""
        return max(1, 2 * batch_tokens // count_beams(translation_options(options), self.settings))

    def cut_long(self, example: ParallelExample) -> list[tuple[ParallelExample, int, int]]:
        cut = self.pieces.cut_source(example)
        if len(cut.source_ids) <= LONGEST_SENTENCE:
            return [(cut, 0, 0)]
        return [(piece, 0, 0) for piece in self.pieces.stretches(example.source)]

    def join_long(self, pieces: Sequence[tuple[Translated, int, int]]) -> Translated:
        return join_translations([piece for piece, _, _ in pieces])

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
        asked = translation_options(options)
        name = self.settings.attention
        if (asked.attention or asked.coverage_penalty) and name in UNWEIGHTED:
            raise ConfigError(
                f'the model weighs no places (model.attention is "{name}"); leave out attention and coverage_penalty'
            )

    def predict_arrays(
        self, run: Run, examples: Sequence[ParallelExample], *, pad_to: int = 0, **options: Any
    ) -> list[Translated]:
        asked = translation_options(options)
        sources = [self.pieces.cut_source(one) for one in examples]
        lengths = np.array([len(one.source_ids) + 1 for one in sources], dtype=np.int64)
        source_ids = np.full((len(sources), max(pad_to, lengths.max())), PAD_ID, dtype=np.int64)
        for row, one in enumerate(sources):
            source_ids[row, : lengths[row]] = [*one.source_ids, EOS_ID]
        state = begin(run({"source_ids": source_ids, "lengths": lengths}), len(sources))
        search = search_options(source_ids, lengths, asked, self.settings, self.pieces.marks)
        translated = []
        for row, found in enumerate(write(run, state, len(sources), len(self.pieces.target), **search)):
            length = int(lengths[row])
            if asked.coverage_penalty:
                looked = where_it_looked(run, state, row, [one.ids for one in found], length)
                found = by_coverage(found, looked, asked.coverage_penalty)[: asked.num_return_sequences]
            weights = where_it_looked(run, state, row, [found[0].ids], length)[0] if asked.attention else None
            translated.append(self.translated(source_ids[row, :length].tolist(), sources[row].copies, found, weights))
        return translated

    def translated(
        self,
        source_ids: Sequence[int],
        copies: Sequence[str],
        hypotheses: Sequence[Hypothesis],
        weights: NDArray[Any] | None = None,
    ) -> Translated:
        """Return the prediction for one text.

        Args:
            source_ids: its pieces, ``<eos>`` among them.
            copies: what the marks among its pieces stand for.
            hypotheses: what was found, the best first.
            weights: `target source`, where the best one looked, if that was asked for.
        """
        best = hypotheses[0]
        sources = targets = ()  # type: tuple[str, ...]
        if weights is not None:
            sources = tuple(put_back(self.pieces.source.pieces[id], copies) for id in source_ids)
            targets = tuple(put_back(self.pieces.target.pieces[id], copies) for id in (*best.ids, EOS_ID))
            weights = weights[: len(targets), : len(sources)]
        return Translated(
            texts=tuple(self.pieces.spell(found.ids, copies) for found in hypotheses),
            scores=tuple(found.normalised_score for found in hypotheses),
            is_cut=not best.is_finished,
            source_pieces=sources,
            target_pieces=targets,
            weights=() if weights is None else tuple(map(tuple, weights.tolist())),
        )

    def format(self, answers: Iterable[tuple[ParallelExample, Translated]], **options: Any) -> Any:
        """Return the translation of one text, in the shape of Hugging Face's translation.

        Several translations of a text of several sentences are joined in order: the best of each, then the second.
        """
        return format_translations(answers, translation_options(options))

    def as_line(self, result: Any) -> str:
        """Return the translation, of several the best."""
        best: dict[str, Any] = result[0] if isinstance(result, list) else result
        return str(best["translation_text"])

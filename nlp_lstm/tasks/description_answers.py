"""From what is given to a model that describes pictures or clips to what it reads, and from sentences to results."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import numpy as np

from nlp_lstm.artifacts import GRAPH_NAME, STEP_GRAPH_NAME
from nlp_lstm.data.pictures import Drawable, PictureExample, Pixels, load_features
from nlp_lstm.decoding.search import Hypothesis
from nlp_lstm.errors import CheckpointError, ConfigError, DataError, shorten
from nlp_lstm.evaluation.captions import split_caption
from nlp_lstm.nn.settings import UNWEIGHTED
from nlp_lstm.tasks.captioning import CaptionOptions, Described, DescriptionSettings, Seen, caption_options
from nlp_lstm.tasks.graph_writing import begin, where_it_looked, write
from nlp_lstm.tasks.predictor import ArrayPredictor, Run
from nlp_lstm.text.detokenize import detokenise
from nlp_lstm.text.tokenize import Tokenizer
from nlp_lstm.text.units import EOS_ID, NEVER_WRITTEN, SPECIALS
from nlp_lstm.text.vocabulary import EOS, Vocabulary, check_keys

if TYPE_CHECKING:
    from numpy.typing import NDArray


DescriptionPredictorType = TypeVar("DescriptionPredictorType", bound="DescriptionPredictor")


class DescriptionPredictor(ArrayPredictor):
    """How pictures or clips become examples, and descriptions results.

    The graph that reads takes ``lengths``, how many places or frames there are of each, and ``pixels``, `batch height
    width 3` or `batch time height width 3`, or ``features``, `batch place feature`; the rest is in
    `nlp_lstm.tasks.graph_writing`.

    Args:
        settings: the model.
        words: those that are written.
        objects: the words for objects that the training data names; empty where it names none.
        num_features: of a place or frame, where these come as features; else 0.
    """

    thing: ClassVar[str]
    """What is described, in messages and reports; its plural has an s."""
    weight: ClassVar[int]
    """Tokens that one counts as where batches are filled by tokens."""
    option_names: ClassVar[tuple[str, ...]] = tuple(CaptionOptions.model_fields)
    needs_tokenizer: ClassVar[bool] = False
    graphs: ClassVar[tuple[str, ...]] = (GRAPH_NAME, STEP_GRAPH_NAME)

    def __init__(
        self, settings: DescriptionSettings, words: Vocabulary, objects: Iterable[str] = (), num_features: int = 0
    ) -> None:
        self.settings: Any = settings
        self.words = words
        self.objects = tuple(objects)
        self.num_features = num_features

    @classmethod
    def from_vocabulary(
        cls: type[DescriptionPredictorType], settings: DescriptionSettings, values: Mapping[str, Any]
    ) -> DescriptionPredictorType:
        check_keys(values, ("words", "objects", "num_features"))
        words, objects, size = (
            Vocabulary.from_dict(values.get("words")),
            values.get("objects"),
            values.get("num_features"),
        )
        if words.tokens[: len(SPECIALS)] != SPECIALS or words.num_specials != len(SPECIALS):
            raise CheckpointError("damaged vocabulary: the words do not begin with the specials")
        if not isinstance(objects, list) or any(not isinstance(word, str) for word in objects):
            raise CheckpointError(f"damaged vocabulary: objects is {shorten(objects)}, expected words")
        if type(size) is not int or not 0 <= size <= 1 << 20 or (size > 0) != (settings.encoder == "features"):
            raise CheckpointError(f"damaged vocabulary: num_features is {shorten(size)} for {settings.encoder}")
        return cls(settings, words, objects, size)

    @abstractmethod
    def load_pixels(self, item: Any, where: str) -> Pixels:
        """Return the pixels of one; ``where`` is for messages.

        Raises:
            DataError: it cannot be read.
        """

    @abstractmethod
    def stack_pixels(self, contents: Sequence[Pixels], pad_to: int) -> tuple[Pixels, NDArray[np.int64]]:
        """Return the pixels of several as one array, and how many places or frames each has that can be looked at."""

    def stack(self, contents: Sequence[Any], pad_to: int) -> dict[str, NDArray[Any]]:
        """Return what the network sees of several, as arrays by name."""
        if self.settings.encoder != "features":
            pixels, lengths = self.stack_pixels(contents, pad_to)
            return {"pixels": pixels, "lengths": lengths}
        lengths = np.array([len(one) for one in contents], dtype=np.int64)
        features = np.zeros((len(contents), max(pad_to, lengths.max()), self.num_features), np.float32)
        for row, one in enumerate(contents):
            features[row, : len(one)] = one
        return {"features": features, "lengths": lengths}

    def predict_arrays(
        self, run: Run, examples: Sequence[PictureExample], *, pad_to: int = 0, **options: Any
    ) -> list[Described]:
        asked = caption_options(options)
        arrays = self.stack([self.see(example).content for example in examples], pad_to)
        state = begin(run(arrays), len(examples))
        found = write(run, state, len(examples), len(self.words), **self.search_options(asked))
        described = []
        for row, hypotheses in enumerate(found):
            weights = None
            if asked.attention:
                num_places = int(arrays["lengths"][row])
                weights = where_it_looked(run, state, row, [hypotheses[0].ids], num_places)[0]
            described.append(self.described(hypotheses, weights))
        return described

    def search_options(self, asked: CaptionOptions) -> dict[str, Any]:
        """Return the options of `nlp_lstm.decoding.search.search`."""
        default = self.settings.length_penalty
        return {
            "num_beams": max(asked.num_beams or self.settings.beams, asked.num_return_sequences),
            "eos_id": EOS_ID,
            "max_steps": asked.max_new_tokens + 1,
            "length_penalty": default if asked.length_penalty is None else asked.length_penalty,
            "no_repeat_ngram_size": asked.no_repeat_ngram_size,
            "num_return": asked.num_return_sequences,
            "excluded_ids": NEVER_WRITTEN,
        }

    def described(self, hypotheses: Sequence[Hypothesis], weights: NDArray[Any] | None = None) -> Described:
        """Return the prediction for one.

        Args:
            hypotheses: what was found, the best first.
            weights: `word place`, where the best one looked, if that was asked for.
        """
        is_shown = weights is not None
        return Described(
            texts=tuple(detokenise([self.words.tokens[id] for id in one.ids]) for one in hypotheses),
            scores=tuple(one.normalised_score for one in hypotheses),
            words=(*(self.words.tokens[id] for id in hypotheses[0].ids), EOS) if is_shown else (),
            weights=tuple(map(tuple, weights.tolist())) if weights is not None else (),
        )

    def see(self, example: PictureExample) -> Seen:
        """Return an example with its content read and its sentences as ids.

        Raises:
            DataError: it cannot be read.
        """
        if isinstance(example, Seen):
            return example
        split = (split_caption(caption, lower_case=self.settings.lower_case) for caption in example.captions)
        return Seen(
            name=example.name,
            picture=example.picture,
            captions=example.captions,
            split=example.split,
            key=example.key,
            facts=example.facts,
            content=self.content(example.picture, example.name),
            caption_ids=tuple(tuple(self.words.ids(words)) for words in split),
        )

    def content(self, item: Any, where: str) -> Any:
        """Return the pixels of one, or its features; ``where`` is for messages.

        Raises:
            DataError: it cannot be read.
        """
        if self.settings.encoder == "features":
            return load_features(item, self.num_features, where)
        return self.load_pixels(item, where)

    def size(self, example: PictureExample) -> int:
        return self.weight

    @property
    def reads_files(self) -> bool:
        return True

    def is_one(self, given: Any, *, is_pretokenized: bool) -> bool:
        return isinstance(given, (str, Path, bytes, np.ndarray, Drawable)) or not isinstance(given, Iterable)

    def check_input(self, item: Any, where: str, *, is_pretokenized: bool) -> None:
        if is_pretokenized:
            raise DataError(f"{where}: a {self.thing} has no tokens; leave out pretokenized")
        if not _is_blank(item):
            self.content(item, where)

    def read_text(self, text: Any, tokenizer: Tokenizer | None, *, is_pretokenized: bool) -> Iterator[Seen]:
        if not _is_blank(text):
            yield Seen(name=self.thing, picture=text, content=self.content(text, self.thing))

    def check_options(self, **options: Any) -> None:
        asked = caption_options(options)
        if asked.num_return_sequences > 1 and asked.attention:
            raise ConfigError("attention is shown for one sentence; leave out num_return_sequences")
        if asked.attention and self.settings.attention in UNWEIGHTED:
            raise ConfigError(
                f'the model weighs no places (model.attention is "{self.settings.attention}"); leave out attention'
            )

    def format(self, answers: Iterable[tuple[PictureExample, Described]], **options: Any) -> Any:
        """Return the sentence in the shape of Hugging Face's image to text, of several each with its score."""
        asked = caption_options(options)
        found = next((described for _, described in answers), None) or Described(texts=("",), scores=(0.0,))
        results: list[dict[str, Any]] = [{"generated_text": text} for text in found.texts]
        if asked.attention:
            weights = [list(row) for row in found.weights]
            results[0]["attention"] = {"words": list(found.words), "weights": weights}
        if asked.num_return_sequences > 1:
            return [{**result, "score": score} for result, score in zip(results, found.scores, strict=True)]
        return results[0]

    def as_line(self, result: Any) -> str:
        """Return the sentence, of several the best."""
        best: dict[str, Any] = result[0] if isinstance(result, list) else result
        return str(best["generated_text"])


def _is_blank(item: Any) -> bool:
    return isinstance(item, (str, bytes)) and not item.strip()

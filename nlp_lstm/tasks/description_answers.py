"""From what is given to a model that describes pictures or clips to what it reads, and from sentences to results."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import numpy as np

from nlp_lstm.data.pictures import Drawable, PictureExample, Pixels, load_features
from nlp_lstm.errors import CheckpointError, ConfigError, DataError, shorten
from nlp_lstm.tasks.captioning import CaptionOptions, Described, DescriptionSettings, Seen, caption_options
from nlp_lstm.tasks.predictor import Predictor
from nlp_lstm.text.tokenize import Tokenizer
from nlp_lstm.text.units import SPECIALS
from nlp_lstm.text.vocabulary import Vocabulary, check_keys

DescriptionPredictorType = TypeVar("DescriptionPredictorType", bound="DescriptionPredictor")


class DescriptionPredictor(Predictor):
    """How pictures or clips become examples, and descriptions results.

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

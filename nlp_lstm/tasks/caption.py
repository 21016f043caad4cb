"""Pictures described in a sentence: seen whole, then written word by word.

    [a picture of two owls and a pear]   ->   two owls above a pear

The decoder and the search are those of translation; what it looks at are the places of a picture.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from nlp_lstm.data.pictures import (
    Drawable,
    PictureExample,
    PictureReading,
    load_features,
    load_pixels,
    to_png,
)
from nlp_lstm.data.sampling import shuffled_batches
from nlp_lstm.data.scenes import COLOURS
from nlp_lstm.decoding.beam import beam_search
from nlp_lstm.decoding.ensemble import join_steps
from nlp_lstm.errors import CheckpointError, ConfigError, DataError, shorten
from nlp_lstm.evaluation.caption_report import attention_plot, caption_report
from nlp_lstm.evaluation.captions import Captioned, corpus_bleu, split_caption
from nlp_lstm.evaluation.report import Report, Section
from nlp_lstm.nn.pictures import PLACES, Captioner
from nlp_lstm.nn.translator import Written
from nlp_lstm.tasks.base import Task, predict_examples
from nlp_lstm.tasks.captioning import (
    CaptionOptions,
    CaptionSettings,
    Described,
    PictureBatch,
    SeenPicture,
    caption_options,
    pad_ids,
)
from nlp_lstm.tasks.predictor import tasks
from nlp_lstm.text.detokenize import detokenise
from nlp_lstm.text.tokenize import Tokenizer
from nlp_lstm.text.units import BOS_ID, EOS_ID, PAD_ID, SPECIALS, UNK_ID
from nlp_lstm.text.vectors import WordVectors
from nlp_lstm.text.vocabulary import EOS, Vocabulary, check_keys

PICTURE_TOKENS = 20  # that a picture counts as where batches are filled by tokens
NUM_EXPLAINED = 4
NEVER_WRITTEN = (PAD_ID, UNK_ID, BOS_ID)
NEAREST_SIDE = 16  # pixels along each side that pictures are compared by
KINDS: Mapping[str, frozenset[str]] = {
    "colours": frozenset(COLOURS) | {"black", "white", "brown", "pink", "gray", "grey"},
    "counts": frozenset({"one", "two", "three", "four", "five", "six"}),
    "relations": frozenset(
        {"above", "below", "left", "right", "between", "top", "bottom", "under", "behind", "beside"}
    ),
}
"""The words that are compared by their kind, besides the objects, which the data names."""


class TrainingPart(NamedTuple):
    """The pictures of one step of training, and the seed that their sentences are chosen by."""

    rows: Sequence[int]
    seed: str


@tasks.register("caption")
class CaptionTask(Task):
    """Descriptions of pictures.

    Args:
        settings: the model.
        words: those that are written.
        objects: the words for objects that the training data names; empty where it names none.
        num_features: of a place, where pictures come as features; else 0.
    """

    name: ClassVar[str] = "caption"
    title: ClassVar[str] = "Descriptions of pictures"
    intended_use: ClassVar[str] = (
        "Describing pictures like those of the training data in a sentence like theirs. A model of drawn scenes "
        "describes drawn scenes, and no photographs."
    )
    known_failures = (
        "Every picture gets a sentence, also one unlike all that was learnt. What the training data does not name is "
        "called something else; small things are confused and left out, counts above four are not known."
    )
    settings_type = CaptionSettings
    data_kind = "pictures"
    reading_type = PictureReading
    option_names: ClassVar[tuple[str, ...]] = tuple(CaptionOptions.model_fields)
    needs_tokenizer: ClassVar[bool] = False

    def __init__(
        self, settings: CaptionSettings, words: Vocabulary, objects: Iterable[str] = (), num_features: int = 0
    ) -> None:
        self.settings = settings
        self.words = words
        self.objects = tuple(objects)
        self.num_features = num_features

    @classmethod
    def prepare(
        cls,
        settings: CaptionSettings,
        examples: Sequence[PictureExample],
        vectors: Sequence[WordVectors] = (),
        say: Callable[[str], None] = lambda line: None,
    ) -> CaptionTask:
        counts: Counter[str] = Counter()
        objects: set[str] = set()
        for example in examples:
            for caption in example.captions:
                counts.update(_split(caption, settings))
            objects.update(example.facts.objects if example.facts else ())
        if not counts:
            raise DataError("no training picture has a sentence; give some that have")
        words = Vocabulary.build(counts, specials=SPECIALS, min_count=settings.min_count)
        if len(words) == len(SPECIALS):
            raise DataError(
                f"no word comes {settings.min_count} times in the training sentences; lower model.min_count"
            )
        num_features = 0
        if settings.encoder == "features":
            num_features = load_features(examples[0].picture, None, examples[0].name).shape[1]
        say(f"vocabulary: {len(words) - len(SPECIALS):,} words of {len(counts):,}")
        return cls(settings, words, sorted(objects), num_features)

    @classmethod
    def from_vocabulary(cls, settings: CaptionSettings, values: Mapping[str, Any]) -> CaptionTask:
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

    def vocabulary(self) -> dict[str, Any]:
        return {"words": self.words.to_dict(), "objects": list(self.objects), "num_features": self.num_features}

    def facts(self) -> dict[str, str]:
        found = {"vocabulary": f"{len(self.words) - len(SPECIALS):,} words"}
        return found | ({"objects": f"{len(self.objects):,} words"} if self.objects else {})

    def check_examples(self, examples: Sequence[PictureExample], where: str) -> list[str]:
        missing = next((example.name for example in examples if not example.captions), None)
        if missing is not None:
            raise DataError(f"{where}: the picture {shorten(missing)} has no sentence; every one needs one at least")
        return []

    def build_model(self) -> Captioner:
        settings = self.settings
        return Captioner(
            len(self.words),
            encoder=settings.encoder,
            channels=settings.channels,
            num_features=self.num_features,
            embed_size=settings.embed,
            cell=settings.cell,
            hidden_size=settings.hidden,
            decoder_layers=settings.decoder_layers,
            attention=settings.attention,
            feeds_input=settings.input_feeding,
            embedding_dropout=settings.embedding_dropout,
            dropout=settings.dropout,
        )

    def size(self, example: PictureExample) -> int:
        return PICTURE_TOKENS

    def encode(self, examples: Sequence[PictureExample], folder: Path) -> list[SeenPicture]:
        return [self.see(example) for example in examples]

    def encode_development(self, examples: Sequence[PictureExample]) -> list[SeenPicture]:
        return [self.see(example) for example in examples]

    def see(self, example: PictureExample) -> SeenPicture:
        """Return a picture with its content read and its sentences as ids.

        Raises:
            DataError: the picture cannot be read.
        """
        if isinstance(example, SeenPicture):
            return example
        if self.settings.encoder == "features":
            content: Any = load_features(example.picture, self.num_features, example.name)
        else:
            content = load_pixels(example.picture, self.settings.image_size, example.name)
        return SeenPicture(
            name=example.name,
            picture=example.picture,
            captions=example.captions,
            split=example.split,
            key=example.key,
            facts=example.facts,
            content=content,
            caption_ids=tuple(tuple(self.words.ids(_split(one, self.settings))) for one in example.captions),
        )

    def identify(self, examples: Sequence[SeenPicture]) -> Iterator[bytes]:
        for example in examples:
            yield repr((example.name, example.captions)).encode("utf-8", "replace")
            yield example.content.tobytes()

    def num_tokens(self, examples: Sequence[SeenPicture]) -> int:
        return sum(_mean_length(example) for example in examples)

    def plan_epoch(
        self, examples: Sequence[SeenPicture], batch_tokens: int, *, seed: int, epoch: int
    ) -> Sequence[TrainingPart]:
        batches = shuffled_batches([_mean_length(one) for one in examples], batch_tokens, seed=seed, epoch=epoch)
        return [TrainingPart(batch, f"{seed}/{epoch}/{number}") for number, batch in enumerate(batches)]

    def training_batch(
        self, examples: Sequence[SeenPicture], part: TrainingPart, carried: Mapping[str, Tensor]
    ) -> PictureBatch:
        """Return the pictures of a part, each with one of its sentences."""
        generator = random.Random(part.seed)
        chosen = [examples[row] for row in part.rows]
        return self._batch(chosen, [generator.choice(example.caption_ids) for example in chosen])

    def make_batch(
        self, examples: Sequence[PictureExample], *, pad_to: int = 0, with_labels: bool = False
    ) -> PictureBatch:
        seen = [self.see(example) for example in examples]
        return self._batch(seen, [one.caption_ids[0] for one in seen] if with_labels else None, pad_to=pad_to)

    def _batch(
        self, seen: Sequence[SeenPicture], captions: Sequence[Sequence[int]] | None, *, pad_to: int = 0
    ) -> PictureBatch:
        pixels = features = None
        if self.settings.encoder == "features":
            most = max(pad_to, *(len(one.content) for one in seen))
            places = torch.zeros(len(seen), most, self.num_features)
            for row, one in enumerate(seen):
                places[row, : len(one.content)] = torch.from_numpy(np.asarray(one.content, dtype=np.float32))
            mask = torch.arange(most)[None] < torch.tensor([len(one.content) for one in seen])[:, None]
            features = places
        else:
            pixels = torch.from_numpy(np.stack([one.content for one in seen]))
            mask = torch.ones(len(seen), PLACES * PLACES, dtype=torch.bool)
        if captions is None:
            return PictureBatch(pixels=pixels, features=features, mask=mask)
        return PictureBatch(
            pixels=pixels,
            features=features,
            mask=mask,
            target_ids=pad_ids([[BOS_ID, *ids] for ids in captions]),
            next_ids=pad_ids([[*ids, EOS_ID] for ids in captions]),
        )

    def loss(self, model: nn.Module, outputs: Written, batch: PictureBatch) -> Tensor:
        """Return the mean negative log-likelihood in nats per word, smoothed."""
        if batch.next_ids is None:
            raise DataError("a loss needs the sentences; make the batch with with_labels=True")
        mask = batch.next_ids != PAD_ID
        logits = _captioner(model).words.logits(outputs.outputs[mask])
        return nn.functional.cross_entropy(
            logits.float(), batch.next_ids[mask], label_smoothing=self.settings.label_smoothing
        )

    def decode(self, model: nn.Module, outputs: Any, batch: Any) -> list[Any]:
        raise ConfigError("descriptions are written word by word; use predict_batch")

    def predict_batch(self, model: nn.Module, batch: PictureBatch, **options: Any) -> list[Described]:
        return self.predict_together([model], batch, **options)

    @torch.inference_mode()
    def predict_together(self, models: Sequence[nn.Module], batch: PictureBatch, **options: Any) -> list[Described]:
        """Search with the mean of the step probabilities of all networks."""
        asked = caption_options(options)
        networks = [_captioner(model) for model in models]
        states = tuple(network.look(batch) for network in networks)
        num_beams = max(asked.num_beams or self.settings.beams, asked.num_return_sequences)
        found = beam_search(
            join_steps([network.step for network in networks]),
            states,
            torch.full((batch.num_rows,), BOS_ID, device=batch.mask.device),
            num_beams=num_beams,
            eos_id=EOS_ID,
            max_steps=asked.max_new_tokens + 1,
            length_penalty=self.settings.length_penalty if asked.length_penalty is None else asked.length_penalty,
            no_repeat_ngram_size=asked.no_repeat_ngram_size,
            num_return=asked.num_return_sequences,
            excluded_ids=NEVER_WRITTEN,
        )
        described = []
        for row, hypotheses in enumerate(found):
            ids = hypotheses[0].ids
            words: tuple[str, ...] = ()
            weights: tuple[tuple[float, ...], ...] = ()
            if asked.attention:
                words = (*(self.words.tokens[id] for id in ids), EOS)
                weights = _where_it_looked(networks, batch, row, ids)
            described.append(
                Described(
                    texts=tuple(self._join(one.ids) for one in hypotheses),
                    scores=tuple(one.normalised_score for one in hypotheses),
                    words=words,
                    weights=weights,
                )
            )
        return described

    def _join(self, ids: Sequence[int]) -> str:
        return detokenise([self.words.tokens[id] for id in ids])

    @property
    def predicts_together(self) -> bool:
        return True

    def score_development(
        self, model: nn.Module, examples: Sequence[PictureExample], *, use_bf16: bool
    ) -> dict[str, float]:
        """Return the scores of greedy descriptions."""
        found = predict_examples(self, model, examples, use_bf16=use_bf16, options={"num_beams": 1})
        return self.score(examples, found)

    def score(self, examples: Sequence[PictureExample], predictions: Sequence[Described]) -> dict[str, float]:
        """Return BLEU-4 against all references, and the share of exact matches."""
        captions = self._captioned(examples, predictions)
        exact = sum(caption.is_exact for caption in captions) / max(1, len(captions))
        return {"bleu": corpus_bleu(captions, 4, with_interval=False)[0], "exact": exact}

    def _captioned(
        self, examples: Sequence[PictureExample], predictions: Sequence[Described], *, shown: int = 0
    ) -> list[Captioned]:
        """Return what was written beside what is right, the first ``shown`` with their pictures."""
        return [
            Captioned(
                output=found.text,
                references=example.captions,
                num_pictures=example.facts.num_pictures if example.facts else 0,
                png=self._png(example) if number < shown else None,
            )
            for number, (example, found) in enumerate(zip(examples, predictions, strict=True))
        ]

    def _png(self, example: PictureExample) -> bytes | None:
        if self.settings.encoder == "features":
            return None
        return to_png(load_pixels(example.picture, self.settings.image_size, example.name))

    @property
    def kinds(self) -> dict[str, frozenset[str]]:
        """The words that are compared by their kind."""
        objects = {"objects": frozenset(word for name in self.objects for word in split_caption(name))}
        return (objects if self.objects else {}) | dict(KINDS)

    @property
    def reads_files(self) -> bool:
        return True

    def is_one(self, given: Any, *, is_pretokenized: bool) -> bool:
        return isinstance(given, (str, Path, bytes, np.ndarray, Drawable)) or not isinstance(given, Iterable)

    def check_input(self, item: Any, where: str, *, is_pretokenized: bool) -> None:
        if is_pretokenized:
            raise DataError(f"{where}: a picture has no tokens; leave out pretokenized")
        if not _is_blank(item):
            self._content(item, where)

    def read_text(self, text: Any, tokenizer: Tokenizer | None, *, is_pretokenized: bool) -> Iterator[SeenPicture]:
        if not _is_blank(text):
            yield SeenPicture(name="picture", picture=text, content=self._content(text, "picture"))

    def _content(self, item: Any, where: str) -> Any:
        if self.settings.encoder == "features":
            return load_features(item, self.num_features, where)
        return load_pixels(item, self.settings.image_size, where)

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

    def baseline_predictions(
        self,
        training: Sequence[PictureExample],
        development: Sequence[PictureExample],
        test: Sequence[PictureExample],
    ) -> dict[str, list[Described]]:
        """Return the commonest sentence, and the first one of the nearest training picture, pixel by pixel."""
        counts = Counter(example.captions[0] for example in training)
        commonest = Described(texts=(counts.most_common(1)[0][0],))
        found = {"most frequent sentence": [commonest] * len(test)}
        if self.settings.encoder != "features":
            known, asked = (_thumbnails(part) for part in (training, test))
            distances = (known**2).sum(axis=1)[None] - 2 * asked @ known.T
            nearest = distances.argmin(axis=1).tolist()
            found["nearest training picture"] = [Described(texts=(training[place].captions[0],)) for place in nearest]
        return found

    def report(
        self,
        examples: Sequence[PictureExample],
        predictions: Sequence[Described],
        *,
        title: str,
        subtitle: str = "",
        training: Sequence[PictureExample] | None = None,
        rivals: Mapping[str, Sequence[Described]] | None = None,
    ) -> Report:
        self.check_examples(examples, title)
        return caption_report(
            self._captioned(examples, predictions, shown=100),
            self.kinds,
            title=title,
            subtitle=subtitle,
            task=self.name,
            rivals={name: self._captioned(examples, found) for name, found in (rivals or {}).items()},
        )

    def examine(
        self, model: nn.Module, examples: Sequence[PictureExample], predictions: Sequence[Described]
    ) -> list[Section]:
        """Show where the decoder looks when it writes each word."""
        if self.settings.encoder in ("features", "none") or not _captioner(model).attention.has_weights:
            return []
        chosen = examples[:: max(1, len(examples) // NUM_EXPLAINED)][:NUM_EXPLAINED]
        looked = predict_examples(self, model, chosen, options={"attention": True})
        blocks = [
            attention_plot(png, found.words, found.weights, PLACES, found.text)
            for example, found in zip(chosen, looked, strict=True)
            if (png := self._png(example)) is not None
        ]
        return [Section(title="Where each word looked", blocks=blocks)]


def _where_it_looked(
    networks: Sequence[Captioner], batch: PictureBatch, row: int, ids: Sequence[int]
) -> tuple[tuple[float, ...], ...]:
    """Return `word place`: where decoders look, in the mean, when they write this sentence of one picture."""
    one = PictureBatch(
        pixels=None if batch.pixels is None else batch.pixels[row : row + 1],
        features=None if batch.features is None else batch.features[row : row + 1],
        mask=batch.mask[row : row + 1],
        target_ids=torch.tensor([[BOS_ID, *ids]], device=batch.mask.device),
    )
    weights = torch.stack([network(one).weights for network in networks]).mean(dim=0)[0]
    return tuple(map(tuple, weights[:, batch.mask[row][: weights.shape[1]]].tolist()))


def _thumbnails(examples: Sequence[PictureExample]) -> Any:
    small = [load_pixels(example.picture, NEAREST_SIDE, example.name).reshape(-1) for example in examples]
    return np.stack(small).astype(np.float32) / 255


def _mean_length(example: SeenPicture) -> int:
    """The words of a sentence and its end, in the mean over the picture's sentences."""
    return 1 + round(sum(map(len, example.caption_ids)) / max(1, len(example.caption_ids)))


def _split(caption: str, settings: CaptionSettings) -> list[str]:
    """The words of a sentence as they are written."""
    return split_caption(caption, lower_case=settings.lower_case)


def _is_blank(item: Any) -> bool:
    return isinstance(item, (str, bytes)) and not item.strip()


def _captioner(model: nn.Module) -> Captioner:
    if not isinstance(model, Captioner):
        raise TypeError(f"expected a Captioner, got {type(model).__name__}")
    return model

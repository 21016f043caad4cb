"""What describing pictures and describing clips share: looked at once, then written word by word.

The decoder and the search are those of translation; what it looks at are the places of a picture, or the frames of a
clip. What using such a model takes is in `nlp_lstm.tasks.description_answers`.
"""

from __future__ import annotations

import random
from abc import abstractmethod
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from nlp_lstm.data.pictures import PictureExample, PictureReading, Pixels, load_features
from nlp_lstm.data.sampling import cut_batches
from nlp_lstm.decoding.beam import beam_search
from nlp_lstm.decoding.ensemble import join_steps
from nlp_lstm.errors import ConfigError, DataError, shorten
from nlp_lstm.evaluation.caption_report import attention_plot, caption_report
from nlp_lstm.evaluation.captions import Captioned, Shown, corpus_bleu, split_caption
from nlp_lstm.evaluation.report import Report, Section
from nlp_lstm.nn.pictures import NUM_NAMED, Describer, Description
from nlp_lstm.tasks.base import Task, predict_examples
from nlp_lstm.tasks.captioning import Described, DescriptionSettings, Seen, caption_options
from nlp_lstm.tasks.description_answers import DescriptionPredictor
from nlp_lstm.tasks.description_batches import SeenBatch, pad_ids, share_of_sentences
from nlp_lstm.text.units import BOS_ID, EOS_ID, PAD_ID, SPECIALS
from nlp_lstm.text.vectors import WordVectors
from nlp_lstm.text.vocabulary import Vocabulary

if TYPE_CHECKING:
    from numpy.typing import NDArray

DescriptionTaskType = TypeVar("DescriptionTaskType", bound="DescriptionTask")

NUM_EXPLAINED = 4
NUM_SHOWN = 100
COMMON = 0.05  # the share of sentences from which on a word counts less among the names


class TrainingPart(NamedTuple):
    """What one step of training sees, and the seed that the sentences are chosen by."""

    rows: Sequence[int]
    seed: str


class DescriptionTask(DescriptionPredictor, Task):
    """Descriptions of what is seen; a subclass says how that is loaded, put into a batch, and shown."""

    word_kinds: ClassVar[Mapping[str, frozenset[str]]]
    """The words that are compared by their kind, besides the objects, which the data names."""
    attention_rows: ClassVar[int]
    """Rows of the places that the decoder looks at, as they lie in what is shown."""
    data_kind = "pictures"
    reading_type = PictureReading
    _naming_weights: Tensor | None = None

    # ---- what a subclass adds

    @abstractmethod
    def thumbnail(self, example: PictureExample) -> Pixels:
        """Return small pixels, as many for each example, that it is compared with others by."""

    @abstractmethod
    def show(self, example: PictureExample) -> Shown:
        """Return what a report shows of an example."""

    # ---- vocabulary

    @classmethod
    def prepare(
        cls: type[DescriptionTaskType],
        settings: DescriptionSettings,
        examples: Sequence[PictureExample],
        vectors: Sequence[WordVectors] = (),
        say: Callable[[str], None] = lambda line: None,
    ) -> DescriptionTaskType:
        counts: Counter[str] = Counter()
        objects: set[str] = set()
        for example in examples:
            for caption in example.captions:
                counts.update(split_caption(caption, lower_case=settings.lower_case))
            objects.update(example.facts.objects if example.facts else ())
        if not counts:
            raise DataError(f"no training {cls.thing} has a sentence; give some that have")
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

    def vocabulary(self) -> dict[str, Any]:
        return {"words": self.words.to_dict(), "objects": list(self.objects), "num_features": self.num_features}

    def facts(self) -> dict[str, str]:
        found = {"vocabulary": f"{len(self.words) - len(SPECIALS):,} words"}
        return found | ({"objects": f"{len(self.objects):,} words"} if self.objects else {})

    # ---- batches

    def check_examples(self, examples: Sequence[PictureExample], where: str) -> list[str]:
        missing = next((example.name for example in examples if not example.captions), None)
        if missing is not None:
            raise DataError(
                f"{where}: the {self.thing} {shorten(missing)} has no sentence; every one needs one at least"
            )
        return []

    def encode(self, examples: Sequence[PictureExample], folder: Path) -> list[Seen]:
        seen = [self.see(example) for example in examples]
        self._naming_weights = _rarities(seen, self._num_named)
        return seen

    def encode_development(self, examples: Sequence[PictureExample]) -> list[Seen]:
        return [self.see(example) for example in examples]

    def identify(self, examples: Sequence[Seen]) -> Iterator[bytes]:
        for example in examples:
            yield repr((example.name, example.captions)).encode("utf-8", "replace")
            yield example.content.tobytes()

    def num_tokens(self, examples: Sequence[Seen]) -> int:
        return sum(_mean_length(example) for example in examples)

    def plan_epoch(
        self, examples: Sequence[Seen], batch_tokens: int, *, seed: int, epoch: int
    ) -> Sequence[TrainingPart]:
        """Cut a shuffled order; sentences of like length do not come together.

        They would bring pictures with equally many things together, and batch normalisation would hide how many.
        """
        order = list(range(len(examples)))
        random.Random(f"{seed}/{epoch}").shuffle(order)
        batches = cut_batches(order, [_mean_length(one) for one in examples], batch_tokens)
        return [TrainingPart(batch, f"{seed}/{epoch}/{number}") for number, batch in enumerate(batches)]

    def take_rows(self, part: TrainingPart, process: int, num_processes: int) -> TrainingPart | None:
        rows = part.rows[process::num_processes]
        return TrainingPart(rows, f"{part.seed}/{process}") if rows else None

    def training_batch(self, examples: Sequence[Seen], part: TrainingPart, carried: Mapping[str, Tensor]) -> SeenBatch:
        """Return what a part sees, each with one of its sentences."""
        generator = random.Random(part.seed)
        chosen = [examples[row] for row in part.rows]
        return self._batch(chosen, [generator.choice(example.caption_ids) for example in chosen])

    def make_batch(
        self, examples: Sequence[PictureExample], *, pad_to: int = 0, with_labels: bool = False
    ) -> SeenBatch:
        seen = [self.see(example) for example in examples]
        return self._batch(seen, [one.caption_ids[0] for one in seen] if with_labels else None, pad_to=pad_to)

    def _batch(self, seen: Sequence[Seen], captions: Sequence[Sequence[int]] | None, *, pad_to: int = 0) -> SeenBatch:
        arrays = self.stack([one.content for one in seen], pad_to)
        tensors = {name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in arrays.items()}
        content = next(iter(arrays.values()))
        is_in_time = content.ndim != 4  # pictures alone have places that the encoder makes, as many of each
        most = content.shape[1] if is_in_time else int(arrays["lengths"].max())
        return SeenBatch(
            pixels=tensors.get("pixels"),
            features=tensors.get("features"),
            mask=torch.arange(most)[None] < tensors["lengths"][:, None],
            target_ids=None if captions is None else pad_ids([[BOS_ID, *ids] for ids in captions]),
            next_ids=None if captions is None else pad_ids([[*ids, EOS_ID] for ids in captions]),
            said=None if captions is None else share_of_sentences([one.caption_ids for one in seen], self._num_named),
        )

    @property
    def _num_named(self) -> int:
        """Of so many words places say whether they are to be seen there."""
        return min(len(self.words), NUM_NAMED)

    def loss(self, model: nn.Module, outputs: Description, batch: SeenBatch) -> Tensor:
        """Return the mean negative log-likelihood in nats per word, smoothed; in training also that of the names.

        The second is the cross-entropy of every word's being said of a picture, in nats per word that is written.
        """
        if batch.next_ids is None:
            raise DataError("a loss needs the sentences; make the batch with with_labels=True")
        mask = batch.next_ids != PAD_ID
        words, smoothing = _describer(model).words, self.settings.label_smoothing
        loss = words.mean_loss(outputs.outputs[mask], batch.next_ids[mask], smoothing)
        if outputs.named is None or batch.said is None:
            return loss
        weights = None if self._naming_weights is None else self._naming_weights.to(batch.said.device)
        named = nn.functional.binary_cross_entropy_with_logits(outputs.named, batch.said, weights, reduction="sum")
        return loss + self.settings.naming * named / mask.sum()

    # ---- writing

    def decode(self, model: nn.Module, outputs: Any, batch: Any) -> list[Any]:
        raise ConfigError("descriptions are written word by word; use predict_batch")

    def predict_batch(self, model: nn.Module, batch: SeenBatch, **options: Any) -> list[Described]:
        return self.predict_together([model], batch, **options)

    @torch.inference_mode()
    def predict_together(self, models: Sequence[nn.Module], batch: SeenBatch, **options: Any) -> list[Described]:
        """Search with the mean of the step probabilities of all networks."""
        asked = caption_options(options)
        networks = [_describer(model) for model in models]
        found = beam_search(
            join_steps([network.step for network in networks]),
            tuple(network.look(batch) for network in networks),
            torch.full((batch.num_rows,), BOS_ID, device=batch.mask.device),
            **self.search_options(asked),
        )
        described = []
        for row, hypotheses in enumerate(found):
            weights = None
            if asked.attention:
                weights = _where_it_looked(networks, batch.row(row, [BOS_ID, *hypotheses[0].ids]))
            described.append(self.described(hypotheses, weights))
        return described

    @property
    def predicts_together(self) -> bool:
        return True

    # ---- evaluation

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
        self, examples: Sequence[PictureExample], predictions: Sequence[Described], *, num_shown: int = 0
    ) -> list[Captioned]:
        """Return what was written beside what is right, the first ones with what was seen."""
        num_shown = num_shown if self._can_show else 0
        return [
            Captioned(
                output=found.text,
                references=example.captions,
                num_pictures=example.facts.num_pictures if example.facts else 0,
                shown=self.show(example) if number < num_shown else None,
            )
            for number, (example, found) in enumerate(zip(examples, predictions, strict=True))
        ]

    @property
    def _can_show(self) -> bool:
        return bool(self.settings.encoder != "features")

    @property
    def kinds(self) -> dict[str, frozenset[str]]:
        """The words that are compared by their kind."""
        objects = {"objects": frozenset(word for name in self.objects for word in split_caption(name))}
        return (objects if self.objects else {}) | dict(self.word_kinds)

    def baseline_predictions(
        self,
        training: Sequence[PictureExample],
        development: Sequence[PictureExample],
        test: Sequence[PictureExample],
    ) -> dict[str, list[Described]]:
        """Return the commonest sentence, and the first one of the nearest training example, pixel by pixel."""
        counts = Counter(example.captions[0] for example in training)
        commonest = Described(texts=(counts.most_common(1)[0][0],))
        found = {"most frequent sentence": [commonest] * len(test)}
        if self._can_show:
            known, asked = (self._thumbnails(part) for part in (training, test))
            distances = (known**2).sum(axis=1)[None] - 2 * asked @ known.T
            nearest = distances.argmin(axis=1).tolist()
            texts = [Described(texts=(training[place].captions[0],)) for place in nearest]
            found[f"nearest training {self.thing}"] = texts
        return found

    def _thumbnails(self, examples: Sequence[PictureExample]) -> Any:
        return np.stack([self.thumbnail(example).reshape(-1) for example in examples]).astype(np.float32) / 255

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
            self._captioned(examples, predictions, num_shown=NUM_SHOWN),
            self.kinds,
            title=title,
            subtitle=subtitle,
            task=self.name,
            things=f"{self.thing}s",
            rivals={name: self._captioned(examples, found) for name, found in (rivals or {}).items()},
        )

    def examine(
        self, model: nn.Module, examples: Sequence[PictureExample], predictions: Sequence[Described]
    ) -> list[Section]:
        """Show where the decoder looks when it writes each word."""
        if self.settings.encoder in ("features", "none") or not _describer(model).attention.has_weights:
            return []
        chosen = examples[:: max(1, len(examples) // NUM_EXPLAINED)][:NUM_EXPLAINED]
        looked = predict_examples(self, model, chosen, options={"attention": True})
        blocks = [
            attention_plot(self.show(example), found.words, found.weights, self.attention_rows, found.text)
            for example, found in zip(chosen, looked, strict=True)
        ]
        return [Section(title="Where each word looked", blocks=blocks)]


def _where_it_looked(networks: Sequence[Describer], one: SeenBatch) -> NDArray[Any]:
    """Return `word place`: where decoders look, in the mean, when they write the sentence of a batch of one."""
    weights = torch.stack([network(one).weights for network in networks]).mean(dim=0)[0]
    return weights[:, one.mask[0][: weights.shape[1]]].cpu().numpy()


def _rarities(examples: Sequence[Seen], num_words: int) -> Tensor:
    """Return what each word's name counts: of words that most sentences have, which show nothing, little."""
    total = torch.zeros(num_words)
    for start in range(0, len(examples), 1_000):  # at once they would take gigabytes of large data
        part = [one.caption_ids for one in examples[start : start + 1_000]]
        total += share_of_sentences(part, num_words).sum(dim=0)
    return (COMMON * len(examples) / total.clamp_min(1e-9)).clamp_max(1)


def _mean_length(example: Seen) -> int:
    """The words of a sentence and its end, in the mean over the example's sentences."""
    return 1 + round(sum(map(len, example.caption_ids)) / max(1, len(example.caption_ids)))


def _describer(model: nn.Module) -> Describer:
    if not isinstance(model, Describer):
        raise TypeError(f"expected a Describer, got {type(model).__name__}")
    return model

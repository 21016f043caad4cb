"""What several tests share: the sample files, real text, and a tiny model of each task, trained once for all."""

from __future__ import annotations

import contextlib
import fcntl
import io
import json
import math
import os
import random
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nlp_lstm.data.clips import make_clip
from nlp_lstm.data.example import LabelledExample, ParallelExample, TaggedExample, TextExample
from nlp_lstm.data.pictures import PictureExample, Pixels, load_pixels, to_png
from nlp_lstm.data.readers import read_conllu, read_examples
from nlp_lstm.data.reading import ParallelSettings
from nlp_lstm.data.scenes import Sprites, make_scene
from nlp_lstm.data.series import SeriesExample, SeriesReading
from nlp_lstm.data.series_files import symbol_series
from nlp_lstm.paths import bundled_folder
from nlp_lstm.pipeline import Pipeline
from nlp_lstm.recipes import Recipe, load_recipe
from nlp_lstm.runs import run_recipe

SAMPLES = Path(__file__).parent / "data" / "samples"
TAGGED = SAMPLES / "hand.conllu"
SPANS = SAMPLES / "hand.bio"
REVIEWS = SAMPLES / "reviews.tsv"
CASES = SAMPLES / "sentiment_cases.jsonl"
LETTERS = SAMPLES / "letters.txt"
PAIRS = SAMPLES / "pairs.tsv"
PRICES = "day,price\n" + "".join(f"{day:04},{100 + 10 * math.sin(day * day)}\n" for day in range(100))

SMALL_NETWORK = (
    "model.embedding.vectors=null",
    "model.embedding.character_hidden=16",
    "model.hidden=32",
    "model.layers=1",
    "model.dropout=0.1",
    "model.input_dropout=0.1",
    "training.batch_tokens=200",
    "training.learning_rate=0.01",
    "training.warmup_steps=10",
    "training.epochs=0",
    "training.average_decay=0.9",
    "training.evaluations=2",
    "training.threads=1",
    "training.precision=fp32",
    "also_evaluate=[]",
    "baselines.tokens=0",
)
"""Overrides that make any recipe tiny."""

SMALL_CLASSIFIER = (
    *SMALL_NETWORK,
    "model.embedding.words=learned",
    "model.embedding.min_count=1",
    "model.phrases=apart",
    "also_train=[]",
    "distillation.teachers=0",
)
"""The same for whole texts."""

SMALL_LANGUAGE_MODEL = (
    "model.hidden=32",
    "model.embed=24",
    "model.layers=1",
    "model.vectors=[]",
    "model.input_dropout=0.1",
    "model.dropout=0.1",
    "model.embedding_dropout=0",
    "model.recurrent_dropout=0",
    "model.window=20",
    "model.adapt=true",
    "training.batch_tokens=80",
    "training.learning_rate=0.01",
    "training.warmup_steps=10",
    "training.epochs=0",
    "training.average_decay=0.9",
    "training.evaluations=2",
    "training.threads=1",
    "training.precision=fp32",
    "also_evaluate=[]",
    "baselines.tokens=0",
)
"""The same for running text."""

SMALL_BIDIRECTIONAL_MODEL = (
    *SMALL_NETWORK,
    "model.embedding.min_count=1",
    "model.softmax_size=24",
    "model.cutoffs=null",
    "also_train=[]",
)
"""The same for running text that is read from both ends."""


SMALL_TRANSLATOR = (
    "model.vocabulary=600",
    "model.hidden=48",
    "model.embed=32",
    "model.embedding_dropout=0",
    "model.dropout=0",
    "model.label_smoothing=0",
    "model.beams=1",
    "training.batch_tokens=100",
    "training.learning_rate=0.02",
    "training.warmup_steps=10",
    "training.epochs=0",
    "training.average_decay=0.9",
    "training.evaluations=2",
    "training.threads=1",
    "training.precision=fp32",
    "also_train=[]",
    "also_evaluate=[]",
    "baselines.tokens=0",
)
"""The same for pairs of texts."""


SMALL_SERIES = (
    "model.hidden=32",
    "model.layers=1",
    "model.dropout=0",
    "model.input_dropout=0",
    "training.batch_tokens=100",
    "training.learning_rate=0.02",
    "training.warmup_steps=10",
    "training.epochs=0",
    "training.average_decay=0.9",
    "training.evaluations=2",
    "training.threads=1",
    "training.precision=fp32",
    "also_evaluate=[]",
    "baselines.tokens=0",
)
"""The same for series."""


SMALL_CAPTIONER = (
    "model.image_size=32",
    "model.channels=8",
    "model.hidden=64",
    "model.embed=32",
    "model.dropout=0",
    "model.input_feeding=false",
    "model.min_count=1",
    "model.beams=1",
    "training.batch_tokens=60",
    "training.learning_rate=0.004",
    "training.warmup_steps=10",
    "training.epochs=0",
    "training.average_decay=0.9",
    "training.evaluations=2",
    "training.threads=1",
    "training.precision=fp32",
    "also_evaluate=[]",
    "baselines.tokens=0",
)
"""The same for pictures."""


SMALL_VIDEO = tuple(
    "training.learning_rate=0.006" if setting.startswith("training.learning_rate") else setting
    for setting in SMALL_CAPTIONER
)
"""The same for clips."""


def tiny_recipe(*overrides: str, tokens: int = 2_000) -> Recipe:
    """Return the tagging recipe in its tiny form, further changed by ``overrides``."""
    return load_recipe("pos", [*SMALL_NETWORK, f"training.tokens={tokens}", *overrides])


def tiny_sentiment_recipe(*overrides: str, tokens: int = 2_000) -> Recipe:
    """Return the recipe for whole texts in its tiny form, further changed by ``overrides``."""
    return load_recipe("sentiment", [*SMALL_CLASSIFIER, f"training.tokens={tokens}", *overrides])


def tiny_language_recipe(*overrides: str, tokens: int = 2_000) -> Recipe:
    """Return the recipe of language models in its tiny form, further changed by ``overrides``."""
    return load_recipe("lm", [*SMALL_LANGUAGE_MODEL, f"training.tokens={tokens}", *overrides])


def tiny_bidirectional_recipe(*overrides: str, tokens: int = 2_000) -> Recipe:
    """Return the recipe of bidirectional language models in its tiny form, further changed by ``overrides``."""
    return load_recipe("bilm", [*SMALL_BIDIRECTIONAL_MODEL, f"training.tokens={tokens}", *overrides])


def tiny_translation_recipe(*overrides: str, tokens: int = 2_000) -> Recipe:
    """Return the recipe of translators in its tiny form, further changed by ``overrides``."""
    return load_recipe("translate", [*SMALL_TRANSLATOR, f"training.tokens={tokens}", *overrides])


def tiny_series_recipe(*overrides: str, tokens: int = 2_000) -> Recipe:
    """Return the recipe of series in its tiny form, further changed by ``overrides``."""
    return load_recipe("series", [*SMALL_SERIES, f"training.tokens={tokens}", *overrides])


def tiny_caption_recipe(*overrides: str, tokens: int = 2_000) -> Recipe:
    """Return the recipe of descriptions in its tiny form, further changed by ``overrides``."""
    return load_recipe("caption", [*SMALL_CAPTIONER, f"training.tokens={tokens}", *overrides])


def tiny_video_recipe(*overrides: str, tokens: int = 2_000) -> Recipe:
    """Return the recipe of descriptions of clips in its tiny form, further changed by ``overrides``."""
    return load_recipe("video", [*SMALL_VIDEO, f"training.tokens={tokens}", *overrides])


def tiny_topics_recipe(*overrides: str, tokens: int = 2_000) -> Recipe:
    """Return the recipe of language models with topics in its tiny form, further changed by ``overrides``."""
    return load_recipe("topics", [*SMALL_LANGUAGE_MODEL, f"training.tokens={tokens}", *overrides])


@contextlib.contextmanager
def without_corpora() -> Iterator[None]:
    """Hide the real corpora, so that a tiny run does not read all their dev and test texts to keep them apart."""
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as empty:
        patch.delenv("NLP_LSTM_DATA", raising=False)
        patch.setenv("NLP_LSTM_CACHE", empty)
        yield


@lru_cache(maxsize=1)
def tiny_run() -> Path:
    """Return the folder of a finished tiny run on the hand-tagged sentences. Read only."""
    return _run_once("tagger", tiny_recipe(tokens=12_000), lambda folder: TAGGED)


@lru_cache(maxsize=1)
def tiny_sentiment_run() -> Path:
    """Return the folder of a finished tiny run on the labelled reviews, which it learns by heart. Read only."""
    return _run_once("classifier", tiny_sentiment_recipe(tokens=12_000), split_reviews)


@lru_cache(maxsize=4)
def tiny_language_run(unit: str = "word") -> Path:
    """Return the folder of a finished tiny run on the letters and the hand-tagged sentences. Read only."""
    sizes = {"word": (), "subword": ("model.vocabulary=400",), "character": ("model.embed=16",)}
    recipe = tiny_language_recipe(f"model.unit={unit}", *sizes[unit], tokens=8_000)
    return _run_once(f"language-{unit}", recipe, split_running_text)


@lru_cache(maxsize=1)
def tiny_topics_run() -> Path:
    """Return the folder of a finished tiny run on the labelled reviews. Read only."""
    return _run_once("topics", tiny_topics_recipe(tokens=4_000), split_reviews)


@lru_cache(maxsize=1)
def tiny_bidirectional_run() -> Path:
    """Return the folder of a finished tiny run on the same text, read from both ends. Read only."""
    return _run_once("bidirectional", tiny_bidirectional_recipe(tokens=6_000), split_running_text)


@lru_cache(maxsize=1)
def tiny_translation_run() -> Path:
    """Return the folder of a finished tiny run on the hand-written pairs, which it learns by heart. Read only."""
    recipe = tiny_translation_recipe("training.evaluations=1", "precision=fp32", "training.seed=1", tokens=28_000)
    return _run_once("translator", recipe, split_pairs)


def split_pairs(folder: Path) -> Path:
    """Write the hand-written pairs as train, dev and test files."""
    header, *rows = PAIRS.read_text(encoding="utf-8").splitlines()
    for split, part in (("train", rows[:32]), ("dev", rows[32:36]), ("test", rows[36:])):
        (folder / f"{split}.tsv").write_text("\n".join([header, *part]) + "\n", encoding="utf-8")
    return folder


def split_running_text(folder: Path) -> Path:
    """Write the letters and the hand-tagged sentences as train, dev and test files of running text."""
    letters = [line for line in LETTERS.read_text(encoding="utf-8").splitlines() if line.strip()]
    sentences = [example.document.text for example in tagged_examples()]
    parts = {"train": [*letters, *sentences[16:]], "dev": sentences[:8], "test": sentences[8:16]}
    for split, lines in parts.items():
        (folder / f"{split}.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def split_reviews(folder: Path) -> Path:
    """Write the labelled reviews as train, dev and test files, the same number of each label in each."""
    header, *rows = REVIEWS.read_text(encoding="utf-8").splitlines()
    for split, part in (("train", rows[:46]), ("dev", rows[46:54]), ("test", rows[54:])):
        (folder / f"{split}.tsv").write_text("\n".join([header, *part]) + "\n", encoding="utf-8")
    return folder


def _run_once(name: str, recipe: Recipe, write_data: Callable[[Path], Path]) -> Path:
    """The folder of a finished run: the first of the test processes trains, the others take what it left."""
    folder = Path(os.environ["NLP_LSTM_TESTS_FOLDER"]) / name
    with Path(f"{folder}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "run" / "metrics.json").is_file():
            shutil.rmtree(folder, ignore_errors=True)
            (folder / "data").mkdir(parents=True)
            with without_corpora():
                run_recipe(recipe, folder / "run", data=write_data(folder / "data"))
    return folder / "run"


def tiny_model() -> Path:
    """Return the tiny run's model folder. Read only."""
    return tiny_run() / "model"


@lru_cache(maxsize=1)
def tiny_pipeline() -> Pipeline:
    """Return the tiny model, ready to predict."""
    return Pipeline(tiny_model())


@lru_cache(maxsize=1)
def tiny_classifier() -> Pipeline:
    """Return the tiny model of whole texts, ready to predict."""
    return Pipeline(tiny_sentiment_run() / "model")


@lru_cache(maxsize=4)
def tiny_language_model(unit: str = "word") -> Pipeline:
    """Return the tiny language model, ready to score and to write."""
    return Pipeline(tiny_language_run(unit) / "model")


@lru_cache(maxsize=1)
def running_examples() -> tuple[TextExample, ...]:
    """Return the lines of the letters."""
    return tuple(read_examples([LETTERS], kind="running"))


@lru_cache(maxsize=1)
def tagged_examples() -> tuple[TaggedExample, ...]:
    """Return the hand-tagged sentences."""
    return tuple(read_conllu(TAGGED))


@lru_cache(maxsize=1)
def span_examples() -> tuple[TaggedExample, ...]:
    """Return the sentences with hand-marked names."""
    return tuple(read_examples([SPANS]))


@lru_cache(maxsize=1)
def review_examples() -> tuple[LabelledExample, ...]:
    """Return the labelled reviews, as many of each label."""
    return tuple(read_examples([REVIEWS], kind="labelled"))


@lru_cache(maxsize=1)
def tiny_series_run() -> Path:
    """Return the folder of a finished tiny run on rising and falling prices. Read only."""
    reading = ("reading.time=day", "reading.numbers={price: log-change}", "reading.ahead=price")
    return _run_once("series", tiny_series_recipe(*reading, tokens=800), write_prices)


def write_prices(folder: Path) -> Path:
    """Write a file of prices that rise and fall."""
    (folder / "prices.csv").write_text(PRICES, encoding="utf-8")
    return folder / "prices.csv"


@lru_cache(maxsize=1)
def letter_series() -> tuple[SeriesExample, ...]:
    """Return series of letters, each labelled "new" where it comes for the first time, else "old"."""
    letters = random.Random(1)
    examples = []
    for number in range(40):
        symbols = letters.choices("ABCD", k=letters.randint(3, 12))
        labels = tuple("old" if symbol in symbols[:place] else "new" for place, symbol in enumerate(symbols))
        examples.append(replace(symbol_series(symbols, f"letters {number}"), labels=labels))
    return tuple(examples)


@lru_cache(maxsize=1)
def wave_series() -> tuple[SeriesExample, ...]:
    """Return series of two numbers a step, labelled as a whole: "slow" and "fast" waves with noise."""
    noise = np.random.default_rng(1)
    reading = SeriesReading(numbers={"x": "value", "y": "value"})
    examples = []
    for number in range(40):
        label, pace = (("slow", 0.3), ("fast", 1.5))[number % 2]
        steps = pace * np.arange(8 + number % 7) + noise.uniform(0, 3)
        numbers = np.stack([10 + np.sin(steps), np.cos(steps)], axis=1) + noise.normal(0, 0.05, (len(steps), 2))
        columns = ("x", "y")
        name = f"wave {number}"
        examples.append(SeriesExample(name=name, columns=columns, numbers=numbers, label=label, reading=reading))
    return tuple(examples)


def shapes() -> Sprites:
    """Return drawings of our own, each a shape in a colour: a disc, a bar, a frame and a cross."""
    y, x = np.mgrid[-1:1:64j, -1:1:64j]
    masks = {
        "egg": x**2 + y**2 < 0.9,
        "key": abs(y) < 0.25,
        "door": np.maximum(abs(x), abs(y)) > 0.6,
        "star": np.minimum(abs(x), abs(y)) < 0.2,
    }
    colours = ((240, 230, 90), (120, 120, 120), (140, 80, 20), (250, 250, 250))
    by_noun = {}
    for (noun, mask), colour in zip(masks.items(), colours, strict=True):
        by_noun[noun] = np.concatenate([np.full((64, 64, 3), colour), mask[..., None] * 255], axis=2).astype(np.uint8)
    return Sprites(by_noun)


@lru_cache(maxsize=1)
def scene_examples() -> tuple[PictureExample, ...]:
    """Return scenes of the shapes, with their sentences."""
    generator = random.Random(3)
    return tuple(make_scene(generator, shapes(), f"scene {number}") for number in range(40))


def write_pictures(folder: Path, count: int = 20) -> Path:
    """Write scenes in the form of Flickr8k and COCO: PNG files in ``images``, and Karpathy's JSON beside it."""
    (folder / "images").mkdir(parents=True)
    listed = []
    for number, example in enumerate(scene_examples()[:count]):
        (folder / "images" / f"{number}.png").write_bytes(to_png(load_pixels(example.picture, 64)))
        split = ("train", "restval", "train", "val", "test")[number % 5]
        sentences = [{"raw": caption} for caption in example.captions]
        listed.append({"filename": f"{number}.png", "split": split, "sentences": sentences})
    (folder / "pictures.json").write_text(json.dumps({"images": listed}), encoding="utf-8")
    return folder / "pictures.json"


@lru_cache(maxsize=1)
def tiny_caption_run() -> Path:
    """Return the folder of a finished tiny run on a few scenes. Read only."""
    return _run_once("captioner", tiny_caption_recipe(tokens=4_000), write_pictures)


@lru_cache(maxsize=1)
def clip_examples() -> tuple[PictureExample, ...]:
    """Return clips of the shapes, with their sentences."""
    generator = random.Random(5)
    return tuple(make_clip(generator, shapes(), f"clip {number}") for number in range(40))


def gif(frames: Pixels) -> bytes:
    """Return frames as a moving GIF."""
    stream = io.BytesIO()
    first, *others = map(Image.fromarray, frames)
    first.save(stream, "GIF", save_all=True, append_images=others, duration=100, loop=0)
    return stream.getvalue()


def write_clips(folder: Path, count: int = 20) -> Path:
    """Write clips in ``images``, by turns as folders of frames and as GIF files, and Karpathy's JSON beside it."""
    listed = []
    for number, example in enumerate(clip_examples()[:count]):
        frames = example.picture.draw()
        name = f"{number}.gif" if number % 2 else f"{number}"
        path = folder / "images" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if number % 2:
            path.write_bytes(gif(frames))
        else:
            path.mkdir()
            for place, frame in enumerate(frames):
                (path / f"{place}.png").write_bytes(to_png(frame))
        split = ("train", "restval", "train", "val", "test")[number % 5]
        sentences = [{"raw": caption} for caption in example.captions]
        listed.append({"filename": name, "split": split, "sentences": sentences})
    (folder / "clips.json").write_text(json.dumps({"images": listed}), encoding="utf-8")
    return folder / "clips.json"


@lru_cache(maxsize=1)
def tiny_video_run() -> Path:
    """Return the folder of a finished tiny run on a few clips. Read only."""
    return _run_once("video", tiny_video_recipe(tokens=1_000), write_clips)


@lru_cache(maxsize=1)
def tiny_translator() -> Pipeline:
    """Return the tiny translator, ready to predict."""
    return Pipeline(tiny_translation_run() / "model")


@lru_cache(maxsize=1)
def pair_examples() -> tuple[ParallelExample, ...]:
    """Return the hand-written English sentences with their German translations."""
    return tuple(read_examples([PAIRS], kind="parallel", reading=ParallelSettings()))


def corpus_file(pattern: str) -> Path:
    """Return a file of the real corpora; without it the test is skipped."""
    root = os.environ.get("NLP_LSTM_DATA")
    found = sorted(Path(root).glob(pattern)) if root else []
    if not found:
        pytest.skip(f"NLP_LSTM_DATA has no {pattern}")
    return found[0]


def bundled_model(name: str) -> Path:
    """Return a model that comes with the package; without it the test is skipped."""
    folder = bundled_folder("models") / name
    if not (folder / "config.json").is_file():
        pytest.skip(f"models/{name} has not been trained")
    return folder

"""Models with random weights, written as folders, for tests of engines."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import torch

from nlp_lstm.data.words import WordVocabularies
from nlp_lstm.nn.settings import WordSettings
from nlp_lstm.settings import parse_settings
from nlp_lstm.tasks import (
    CaptionTask,
    ClassificationTask,
    LanguageTask,
    TaggingTask,
    Task,
    TopicTask,
    TranslationTask,
    VideoTask,
)
from nlp_lstm.text.vocabulary import Vocabulary
from nlp_lstm.weights import own_weights, save_model
from tests.samples import clip_examples, pair_examples, review_examples, running_examples, scene_examples

WORDS = [f"{start}{end}" for start in ("sun", "Moon", "tide", "a", "Zu", "42-") for end in ("", "s", "ing", "'ll", "é")]
LABELS = {"upos": ["NOUN", "VERB", "X"], "xpos": ["A", "B", "C", "D", "E"]}
SMALL = {"hidden": 6, "layers": 2, "embedding": {"word_size": 5, "character_size": 4, "character_hidden": 3}}


def tagging_folder(folder: Path, changes: dict[str, Any] | None = None, precision: str = "fp32") -> Path:
    """Write a tagger with random weights."""
    task = TaggingTask(
        parse_settings(TaggingTask.settings_type, merged(SMALL, changes or {}), "test"),
        vocabularies(changes or {}),
        {column: Vocabulary(labels, specials=0) for column, labels in LABELS.items()},
    )
    return save(folder, task, precision)


def classification_folder(folder: Path, changes: dict[str, Any] | None = None, precision: str = "fp32") -> Path:
    """Write a classifier with random weights that reads seven words at a stretch."""
    values = merged(SMALL, {"bptt_window": 7, **(changes or {})})
    task = ClassificationTask(
        parse_settings(ClassificationTask.settings_type, values, "test"),
        vocabularies(changes or {}),
        Vocabulary(["bad", "good", "other"], specials=0),
        [0.25, 0.25, 0.5],
    )
    return save(folder, task, precision)


def translation_folder(folder: Path, changes: dict[str, Any] | None = None, precision: str = "fp32") -> Path:
    """Write a translator with random weights and pieces learnt from the hand-written pairs."""
    values = {"vocabulary": 600, "hidden": 8, "embed": 6, "layers": 2, **(changes or {})}
    settings = parse_settings(TranslationTask.settings_type, values, "test")
    return save(folder, TranslationTask.prepare(settings, pair_examples()), precision)


def language_folder(folder: Path, changes: dict[str, Any] | None = None, precision: str = "fp32") -> Path:
    """Write a language model with random weights and the words of the hand-written letters."""
    values = {"hidden": 8, "embed": 6, "layers": 2, **(changes or {})}
    settings = parse_settings(LanguageTask.settings_type, values, "test")
    return save(folder, LanguageTask.prepare(settings, running_examples()), precision)


def topic_folder(folder: Path, changes: dict[str, Any] | None = None, precision: str = "fp32") -> Path:
    """Write a language model with topics, those of the hand-written reviews, and random weights."""
    values = {"hidden": 8, "embed": 6, "layers": 1, **(changes or {})}
    settings = parse_settings(TopicTask.settings_type, values, "test")
    return save(folder, TopicTask.prepare(settings, review_examples()), precision)


def description_folder(folder: Path, changes: dict[str, Any] | None = None, precision: str = "fp32") -> Path:
    """Write a describer of pictures with random weights and the words of the made scenes."""
    examples, settings = _description(CaptionTask, scene_examples(), changes or {})
    return save(folder, CaptionTask.prepare(settings, examples), precision)


def video_folder(folder: Path, changes: dict[str, Any] | None = None, precision: str = "fp32") -> Path:
    """Write a describer of clips with random weights and the words of the made clips."""
    examples, settings = _description(VideoTask, clip_examples(), changes or {})
    return save(folder, VideoTask.prepare(settings, examples), precision)


def _description(task: Any, examples: Any, changes: dict[str, Any]) -> tuple[Any, Any]:
    """The examples that a describer learns its words of, other ones where ``changes`` has some, and its settings."""
    values = {"image_size": 32, "channels": 8, "hidden": 8, "embed": 6, "min_count": 1, **changes}
    return values.pop("examples", examples), parse_settings(task.settings_type, values, "test")


def vocabularies(changes: dict[str, Any]) -> WordVocabularies:
    """Vocabularies of the words; with ``embedding.vectors`` half of them also have pretrained vectors of 5 features."""
    values = {"embedding": merged(SMALL, changes)["embedding"]}
    settings = parse_settings(WordSettings, values, "test").embedding
    known = WORDS[::2] if settings.vectors else []
    size = 5 if settings.vectors else 0
    return WordVocabularies.build(dict.fromkeys(WORDS, 4), settings, vectors=known, vector_size=size)


def save(folder: Path, task: Task, precision: str) -> Path:
    """Fill the task's network with random numbers and write it."""
    model = task.build_model()
    for name, tensor in model.state_dict().items():
        if name.endswith("codes"):
            tensor.random_(0, 255)
        elif tensor.dim() == 4:  # convolutions, whose outputs then are as large as their inputs, as in trained networks
            tensor.normal_(std=(2 / tensor[0].numel()) ** 0.5)
        elif name != "temperature":
            tensor.normal_(std=0.5)
        if name.endswith("running_var"):
            tensor.abs_().add_(0.5)
    if "temperature" in model.state_dict():
        model.state_dict()["temperature"].fill_(1.7)
    save_model(
        folder,
        task=task.name,
        language="en",
        data="none",
        model_settings=task.settings,
        vocabulary=task.vocabulary(),
        vocabulary_files=task.vocabulary_files(),
        weights=own_weights(model),
        precision=precision,
    )
    return folder


def merged(values: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Return nested values with nested changes."""
    both = dict(values)
    for key, value in changes.items():
        both[key] = merged(both.get(key, {}), value) if isinstance(value, dict) else value
    return both


def random_rows(lengths: list[int], seed: int = 0) -> list[list[str]]:
    """Rows of known and unknown words."""
    generator = random.Random(seed)
    words = [*WORDS, "unknown", "Zzz", "🙂", "x" * 60]
    return [[generator.choice(words) for _ in range(length)] for length in lengths]


torch.set_num_threads(1)

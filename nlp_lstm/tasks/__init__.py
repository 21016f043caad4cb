"""Tasks, one file each, imported when they are first asked for: torch takes seconds, and using a model needs none."""

from typing import TYPE_CHECKING, Any

from nlp_lstm.tasks.predictor import predictors, tasks

if TYPE_CHECKING:
    from nlp_lstm.tasks.base import Task, predict_examples
    from nlp_lstm.tasks.bilm import BidirectionalSettings, BidirectionalTask
    from nlp_lstm.tasks.caption import CaptionTask
    from nlp_lstm.tasks.captioning import CaptionSettings, VideoSettings
    from nlp_lstm.tasks.classification import ClassificationSettings
    from nlp_lstm.tasks.language_answers import LanguageSettings
    from nlp_lstm.tasks.lm import LanguageTask
    from nlp_lstm.tasks.pos import TaggingTask
    from nlp_lstm.tasks.sentiment import ClassificationTask
    from nlp_lstm.tasks.series import SeriesTask
    from nlp_lstm.tasks.series_answers import SeriesSettings
    from nlp_lstm.tasks.tagging import TaggingSettings
    from nlp_lstm.tasks.topics import TopicTask
    from nlp_lstm.tasks.translate import TranslationTask
    from nlp_lstm.tasks.translation import TranslationSettings
    from nlp_lstm.tasks.video import VideoTask

_HOMES = {
    "BidirectionalSettings": "bilm",
    "BidirectionalTask": "bilm",
    "CaptionSettings": "captioning",
    "CaptionTask": "caption",
    "ClassificationSettings": "classification",
    "ClassificationTask": "sentiment",
    "LanguageSettings": "language_answers",
    "LanguageTask": "lm",
    "SeriesSettings": "series_answers",
    "SeriesTask": "series",
    "TaggingSettings": "tagging",
    "TaggingTask": "pos",
    "Task": "base",
    "TopicTask": "topics",
    "TranslationSettings": "translation",
    "TranslationTask": "translate",
    "VideoSettings": "captioning",
    "VideoTask": "video",
    "predict_examples": "base",
}

__all__ = [
    "BidirectionalSettings",
    "BidirectionalTask",
    "CaptionSettings",
    "CaptionTask",
    "ClassificationSettings",
    "ClassificationTask",
    "LanguageSettings",
    "LanguageTask",
    "SeriesSettings",
    "SeriesTask",
    "TaggingSettings",
    "TaggingTask",
    "Task",
    "TopicTask",
    "TranslationSettings",
    "TranslationTask",
    "VideoSettings",
    "VideoTask",
    "predict_examples",
    "predictors",
    "tasks",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        import importlib

        return getattr(importlib.import_module(f"nlp_lstm.tasks.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

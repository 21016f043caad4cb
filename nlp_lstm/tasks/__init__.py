"""Tasks, one file each. Importing this package registers them all."""

from nlp_lstm.tasks.base import Task, predict_examples, tasks
from nlp_lstm.tasks.bilm import BidirectionalSettings, BidirectionalTask
from nlp_lstm.tasks.classifier import ClassificationSettings
from nlp_lstm.tasks.language import LanguageSettings
from nlp_lstm.tasks.lm import LanguageTask
from nlp_lstm.tasks.pos import TaggingSettings, TaggingTask
from nlp_lstm.tasks.sentiment import ClassificationTask
from nlp_lstm.tasks.translate import TranslationTask
from nlp_lstm.tasks.translation import TranslationSettings

__all__ = [
    "BidirectionalSettings",
    "BidirectionalTask",
    "ClassificationSettings",
    "ClassificationTask",
    "LanguageSettings",
    "LanguageTask",
    "TaggingSettings",
    "TaggingTask",
    "Task",
    "TranslationSettings",
    "TranslationTask",
    "predict_examples",
    "tasks",
]

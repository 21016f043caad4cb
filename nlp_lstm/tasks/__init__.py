"""Tasks, one file each. Importing this package registers them all."""

from nlp_lstm.tasks.base import Task, predict_examples, tasks
from nlp_lstm.tasks.pos import TaggingSettings, TaggingTask

__all__ = ["TaggingSettings", "TaggingTask", "Task", "predict_examples", "tasks"]

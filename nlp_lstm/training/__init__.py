"""Training: the loop, the optimiser, checkpoints and what is shown and recorded on the way."""

from nlp_lstm.training.loop import TrainingResult, TrainingSettings, train

__all__ = ["TrainingResult", "TrainingSettings", "train"]

"""Flair: `SequenceTagger` (BiLSTM-CRF) and `TextClassifier` on `DocumentRNNEmbeddings`, as its tutorials set them up.

Settings are those of the tutorials on training a tagger and a classifier without transformers: SGD from 0.1, halved
when dev has not improved for `patience` epochs, until it falls below 0.0001. The tutorials load a list of frequent
characters from the project's server; here the characters are those of the training text.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import peer

BEST = "best-model.pt"
HIDDEN = {"pos": 256, "sentiment": 512}
PATIENCE = {"pos": 3, "sentiment": 5}  # epochs; the default, and that of the tutorial on classifiers
REPROJECTED = 256  # of the classifier: size of a word's vector after a linear layer
MAX_EPOCHS = 1_000  # time and patience end the training
LEARNING_RATE, ROWS = 0.1, 32


class FlairLibrary:
    """Flair."""

    def train(self, job: peer.Job) -> peer.Outcome:
        """Train with Flair's `ModelTrainer`."""
        import flair
        import torch
        from flair.data import Corpus
        from flair.datasets import FlairDatapointDataset
        from flair.trainers import ModelTrainer
        from flair.trainers.plugins import TrainerPlugin, TrainingInterrupt

        flair.device = torch.device("cpu")
        flair.set_seed(job.seed)
        state: dict[str, Any] = {"ended_by": "patience", "dev_score": None}

        class TimeLimit(TrainerPlugin):
            """End the training before an epoch: the best model is written only after what follows an evaluation."""

            @TrainerPlugin.hook
            def before_training_epoch(self, epoch: int, **others: Any) -> None:
                if epoch > 1 and job.clock.is_over():
                    state["ended_by"] = "time"
                    raise TrainingInterrupt(f"{job.clock.minutes:g} minutes are over")

            @TrainerPlugin.hook
            def after_evaluation(self, validation_scores: tuple[float, float], **others: Any) -> None:
                state["dev_score"] = max(validation_scores[0], state["dev_score"] or 0.0)
                print(f"dev {validation_scores[0]:.4f} after {job.clock.passed():.1f} minutes", flush=True)

        splits = {split: FlairDatapointDataset(self._sentences(job, split)) for split in ("train", "dev")}
        corpus = Corpus(**splits, name=job.task, sample_missing_splits=False)
        labels = corpus.make_label_dictionary(job.task, add_unk=False)
        model = self._tagger(job, labels) if job.task == "pos" else self._classifier(job, labels)
        ModelTrainer(model, corpus).train(
            job.folder,
            learning_rate=LEARNING_RATE,
            mini_batch_size=ROWS,
            max_epochs=MAX_EPOCHS,
            patience=PATIENCE[job.task],
            save_final_model=False,
            plugins=[TimeLimit()],
        )
        versions = {"flair": flair.__version__, "torch": torch.__version__}
        return peer.Outcome(state["ended_by"], state["dev_score"], [job.folder / BEST], versions)

    def open(self, task: str, folder: Path) -> peer.System:
        """Return the best model on dev."""
        return FlairSystem(task, folder / BEST)

    def _sentences(self, job: peer.Job, split: str) -> list[Any]:
        """Return the labelled sentences of a split."""
        from flair.data import Sentence

        sentences = []
        for row in job.read(split):
            sentence = Sentence(row.words)
            if isinstance(row.gold, str):
                sentence.add_label(job.task, row.gold)
            else:
                for token, tag in zip(sentence, row.gold, strict=True):
                    token.add_label(job.task, tag)
            sentences.append(sentence)
        return sentences

    def _tagger(self, job: peer.Job, labels: Any) -> Any:
        from flair.data import Dictionary
        from flair.embeddings import CharacterEmbeddings, StackedEmbeddings, WordEmbeddings
        from flair.models import SequenceTagger

        characters = Dictionary()
        for character in sorted({character for row in job.read("train") for word in row.words for character in word}):
            characters.add_item(character)
        embeddings = [WordEmbeddings(f"{job.vectors}.bin"), CharacterEmbeddings(characters)]
        return SequenceTagger(
            hidden_size=HIDDEN["pos"],
            embeddings=StackedEmbeddings(embeddings),
            tag_dictionary=labels,
            tag_type=job.task,
            use_crf=True,
        )

    def _classifier(self, job: peer.Job, labels: Any) -> Any:
        from flair.embeddings import DocumentRNNEmbeddings, WordEmbeddings
        from flair.models import TextClassifier

        embeddings = DocumentRNNEmbeddings(
            [WordEmbeddings(f"{job.vectors}.bin")],
            hidden_size=HIDDEN["sentiment"],
            reproject_words=True,
            reproject_words_dimension=REPROJECTED,
        )
        return TextClassifier(embeddings, label_dictionary=labels, label_type=job.task)


class FlairSystem:
    """A trained tagger or classifier."""

    def __init__(self, task: str, file: Path) -> None:
        import flair
        import torch
        from flair.models import SequenceTagger, TextClassifier

        flair.device = torch.device("cpu")
        self._task = task
        self._model = (SequenceTagger if task == "pos" else TextClassifier).load(file)

    def of_texts(self, texts: list[str]) -> Sequence[list[str] | str]:
        """Answer raw texts."""
        return self._answers(texts)

    def of_words(self, sentences: list[list[str]]) -> Sequence[list[str] | str]:
        """Answer texts that are cut into words."""
        return self._answers(sentences)

    def _answers(self, texts: Sequence[Any]) -> list[list[str] | str]:
        from flair.data import Sentence

        sentences = [Sentence(text) for text in texts]
        self._model.predict(sentences, mini_batch_size=ROWS)
        if self._task == "pos":
            return [[token.get_label(self._task).value for token in sentence] for sentence in sentences]
        return [sentence.get_label(self._task).value for sentence in sentences]


if __name__ == "__main__":
    peer.run(FlairLibrary())

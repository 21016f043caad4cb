"""Stanza: its tagger, trained by `stanza.models.tagger` in its own settings, and used by `Pipeline`.

The published English model also has a character language model, which has to be downloaded; here words have Stanza's
own character LSTM instead. Only universal tags are learnt. Raw text is cut by spaCy's tokeniser, the one that Stanza
offers without a model. Training ends by Stanza's own patience (3,000 steps of 250 sentences without a better score
on dev, twice, with a change of the optimiser between) or when the time is up.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import peer

MODEL, VECTORS = "tagger.pt", "pretrain.pt"


class TimeUpError(Exception):
    """The minutes of the training are over."""


class StanzaLibrary:
    """Stanza."""

    def train(self, job: peer.Job) -> peer.Outcome:
        """Run Stanza's training program."""
        import stanza
        import torch
        from stanza.models import tagger
        from stanza.models.common.pretrain import Pretrain
        from stanza.models.pos import scorer

        Pretrain(str(job.folder / VECTORS), f"{job.vectors}.txt").load()
        for split in ("train", "dev"):
            write_conllu(job.read(split), job.folder / f"{split}.conllu")
        scores: list[float] = []

        class TimedTrainer(tagger.Trainer):
            """Stanza's trainer, which looks at the clock before the first step after an evaluation."""

            num_seen = 0

            def update(self, batch: Any, eval: bool = False) -> Any:
                if len(scores) > self.num_seen and job.clock.is_over():
                    raise TimeUpError(f"{job.clock.minutes:g} minutes are over")
                TimedTrainer.num_seen = len(scores)
                return super().update(batch, eval=eval)

        def score(*arguments: Any, **options: Any) -> Any:
            found = scorer_score(*arguments, **options)
            scores.append(found[-1])
            print(f"dev {found[-1]:.4f} after {job.clock.passed():.1f} minutes", flush=True)
            return found

        scorer_score = scorer.score
        tagger.Trainer, scorer.score = TimedTrainer, score
        ended_by = "patience"
        try:
            tagger.main(self._arguments(job, len(job.read("train"))))
        except TimeUpError:
            ended_by = "time"
        files = [job.folder / MODEL, job.folder / VECTORS]
        return peer.Outcome(ended_by, max(scores), files, {"stanza": stanza.__version__, "torch": torch.__version__})

    def open(self, task: str, folder: Path) -> peer.System:
        """Return the best model on dev."""
        return StanzaSystem(folder)

    def _arguments(self, job: peer.Job, num_rows: int) -> list[str]:
        options: dict[str, Any] = {
            "mode": "train",
            "lang": "en",
            "shorthand": "en_ewt",
            "train_file": job.folder / "train.conllu",
            "eval_file": job.folder / "dev.conllu",
            "wordvec_pretrain_file": job.folder / VECTORS,
            "save_dir": job.folder,
            "save_name": MODEL,
            "seed": job.seed,
            "max_steps": 10_000_000,  # time and patience end the training
            "eval_interval": min(100, 2 * -(-num_rows // 250)),  # Stanza's own 100, but in a trial with little data
        }
        return [
            "--cpu",
            "--fix_eval_interval",
            *(part for name, value in options.items() for part in (f"--{name}", str(value))),
        ]


class StanzaSystem:
    """A trained tagger in two pipelines: one cuts texts into words, the other gets words."""

    def __init__(self, folder: Path) -> None:
        from stanza import Pipeline

        (folder / "resources.json").write_text(json.dumps({}), "utf-8")  # the list of what could be downloaded
        options: dict[str, Any] = {
            "lang": "en",
            "dir": str(folder),
            "allow_unknown_language": True,
            "download_method": None,
            "use_gpu": False,
            "logging_level": "WARN",
            "pos_model_path": str(folder / MODEL),
            "pos_pretrain_path": str(folder / VECTORS),
        }
        processors = {"tokenize": "default", "pos": "default"}
        self._texts = Pipeline(processors=processors, tokenize_with_spacy=True, tokenize_no_ssplit=True, **options)
        self._words = Pipeline(processors=processors, tokenize_pretokenized=True, **options)

    def of_texts(self, texts: list[str]) -> Sequence[list[str] | str]:
        """Answer raw texts."""
        if len(texts) == 1:
            return [[word.upos for sentence in self._texts(texts[0]).sentences for word in sentence.words]]
        documents = self._texts.bulk_process(texts)
        return [[word.upos for sentence in document.sentences for word in sentence.words] for document in documents]

    def of_words(self, sentences: list[list[str]]) -> Sequence[list[str] | str]:
        """Answer sentences that are cut into words."""
        return [[word.upos for word in sentence.words] for sentence in self._words(sentences).sentences]


def write_conllu(rows: list[peer.Row], path: Path) -> None:
    """Write words and tags as CoNLL-U, each word hanging on the first, as Stanza reads trees only."""
    with path.open("w", encoding="utf-8") as file:
        for row in rows:
            for number, (word, tag) in enumerate(zip(row.words, row.gold, strict=True), start=1):
                place = (str(min(number - 1, 1)), "root" if number == 1 else "dep")
                file.write("\t".join([str(number), word, "_", tag, "_", "_", *place, "_", "_"]) + "\n")
            file.write("\n")


if __name__ == "__main__":
    peer.run(StanzaLibrary())

"""joeynmt: an LSTM with attention about as large as ours, trained by its own program and used by its hub interface.

Its authors' recurrent configurations are made for GPUs, with 500 to 1,000 units and 32,000 pieces. Here are the cell,
the width, the vocabulary, the dropout and the label smoothing of our `pipelines/translate.yaml`, with input feeding
and attention after Luong as in their `iwslt_envi_luong`, vectors shared with the output layer, Adam in place of SGD,
and their "plateau": the learning rate falls to 0.7 of itself where dev has not improved in 5 evaluations. Pieces are
learnt by sentencepiece from both sides together. Training ends when the learning rate falls below its minimum, which is
joeynmt's patience, or when the time is up.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import peer

BEST, CONFIG, PIECES, DATA = "best.ckpt", "config.yaml", "pieces", "data"
LANGUAGES = ("en", "de")
VOCABULARY, HIDDEN, DROPOUT = 8_000, 320, 0.4
BATCH, MAX_LENGTH = 80, 100  # sentences; pieces of a translation


class TimeUpError(KeyboardInterrupt):
    """The minutes of the training are over: joeynmt ends in order where it is interrupted."""


class JoeyLibrary:
    """joeynmt."""

    def train(self, job: peer.Job) -> peer.Outcome:
        """Run joeynmt's training function."""
        import joeynmt
        import torch
        import yaml
        from joeynmt import builders, training
        from torch.optim.lr_scheduler import ReduceLROnPlateau

        (job.folder / DATA).mkdir()
        for split in ("train", "dev"):
            self._write(job, split)
        self._learn_pieces(job.folder / DATA)
        state: dict[str, Any] = {"ended_by": "patience", "dev_score": None}

        class TimedManager(training.TrainManager):
            """joeynmt's trainer, which looks at the clock after an evaluation."""

            def _validate(self, valid_data: Any) -> None:
                super()._validate(valid_data)
                state["dev_score"] = self.stats.best_ckpt_score / 100
                print(f"dev {self.stats.best_ckpt_score:.2f} after {job.clock.passed():.1f} minutes", flush=True)
                if job.clock.is_over():
                    state["ended_by"] = "time"
                    raise TimeUpError(f"{job.clock.minutes:g} minutes are over")

        def make_plateau(*arguments: Any, verbose: bool = False, **options: Any) -> ReduceLROnPlateau:
            """Leave out what joeynmt hands over and torch has taken no more since 2.7."""
            return ReduceLROnPlateau(*arguments, **options)

        training.TrainManager, builders.ReduceLROnPlateau = TimedManager, make_plateau
        config = configuration(job.folder, job.seed, num_rows=len(job.read("train")))
        (job.folder / CONFIG).write_text(yaml.safe_dump(config, sort_keys=False), "utf-8")
        torch.set_num_threads(job.clock.threads)
        training.train(rank=0, world_size=None, cfg=config, skip_test=True)
        best = job.folder / BEST
        weights = torch.load(best.resolve(), weights_only=True)["model_state"]
        torch.save({"model_state": weights}, job.folder / "weights.pt")  # what of a checkpoint prediction needs
        for checkpoint in job.folder.glob("*.ckpt"):
            checkpoint.unlink()
        (job.folder / "weights.pt").rename(best)
        files = [best, job.folder / CONFIG, *job.folder.glob("*_vocab.txt"), job.folder / f"{PIECES}.model"]
        versions = {"joeynmt": joeynmt.__version__, "torch": torch.__version__}
        return peer.Outcome(state["ended_by"], state["dev_score"], files, versions)

    def open(self, task: str, folder: Path) -> peer.System:
        """Return the best model on dev."""
        return JoeySystem(folder)

    def _write(self, job: peer.Job, split: str) -> None:
        """Write the two sides of a split, a sentence a line."""
        rows = job.read(split)
        for language, lines in zip(LANGUAGES, ([row.text for row in rows], [row.gold for row in rows]), strict=True):
            (job.folder / DATA / f"{split}.{language}").write_text("".join(f"{line}\n" for line in lines), "utf-8")

    def _learn_pieces(self, folder: Path) -> None:
        """Learn the pieces of both languages from the training texts; the special ones are those of joeynmt."""
        import sentencepiece

        sentencepiece.SentencePieceTrainer.train(
            input=[str(folder / f"train.{language}") for language in LANGUAGES],
            model_prefix=str(folder / PIECES),
            vocab_size=VOCABULARY,
            hard_vocab_limit=False,  # a trial with few sentences has fewer
            character_coverage=1.0,
            unk_id=0,
            pad_id=1,
            bos_id=2,
            eos_id=3,
        )
        pieces = [line.split("\t")[0] for line in (folder / f"{PIECES}.vocab").read_text("utf-8").splitlines()]
        (folder / f"{PIECES}.txt").write_text("".join(f"{piece}\n" for piece in pieces[4:]), "utf-8")


class JoeySystem:
    """A trained translator."""

    def __init__(self, folder: Path) -> None:
        from joeynmt.hub_interface import TranslatorHubInterface, _from_pretrained

        logging.disable(logging.INFO)  # it writes a line for each text
        model, data, arguments = _from_pretrained(folder, ckpt_file=BEST, cfg_file=CONFIG)
        self._translator = TranslatorHubInterface(model, data, arguments)

    def of_texts(self, texts: list[str]) -> Sequence[str]:
        """Translate raw texts with as many beams as the configuration says."""
        return self._translator.translate(texts)

    def of_words(self, sentences: list[list[str]]) -> Sequence[str]:
        """Translate greedily what is given in words."""
        return self._translator.translate([" ".join(words) for words in sentences], beam_size=1)


def configuration(folder: Path, seed: int, num_rows: int) -> dict[str, Any]:
    """Return joeynmt's configuration."""

    def side(language: str) -> dict[str, Any]:
        pieces = {"model_file": str(folder / DATA / f"{PIECES}.model"), "pretokenizer": "none"}
        return {
            "lang": language,
            "max_length": MAX_LENGTH,
            "level": "bpe",
            "voc_file": str(folder / DATA / f"{PIECES}.txt"),
            "tokenizer_type": "sentencepiece",
            "tokenizer_cfg": pieces,
        }

    evaluation = min(300, -(-num_rows // BATCH))  # steps; fewer in a trial with little data
    half = {
        "type": "recurrent",
        "rnn_type": "lstm",
        "hidden_size": HIDDEN,
        "num_layers": 1,
        "dropout": DROPOUT,
        "embeddings": {"embedding_dim": HIDDEN, "scale": False, "dropout": 0.2},
    }
    decoder = {"hidden_dropout": DROPOUT, "input_feeding": True, "init_hidden": "bridge", "attention": "luong"}
    return {
        "name": "multi30k",
        "joeynmt_version": "2.3.0",
        "model_dir": str(folder),
        "use_cuda": False,
        "random_seed": seed,
        "data": {
            "train": str(folder / DATA / "train"),
            "dev": str(folder / DATA / "dev"),
            "dataset_type": "plain",
            "src": side(LANGUAGES[0]),
            "trg": side(LANGUAGES[1]),
        },
        "testing": {
            "load_model": str(folder / BEST),
            "beam_size": 5,
            "beam_alpha": 1.0,
            "batch_size": BATCH,
            "max_output_length": MAX_LENGTH,
            "eval_metrics": ["bleu"],
        },
        "training": {
            "optimizer": "adam",
            "normalization": "tokens",
            "learning_rate": 1e-3,
            "learning_rate_min": 1e-5,
            "clip_grad_norm": 1.0,
            "label_smoothing": 0.1,
            "batch_size": BATCH,
            "scheduling": "plateau",
            "patience": 5,
            "decrease_factor": 0.7,
            "early_stopping_metric": "bleu",
            "epochs": 1_000,  # time and patience end the training
            "validation_freq": evaluation,
            "logging_freq": evaluation,
            "print_valid_sents": [],
            "keep_best_ckpts": 1,
        },
        "model": {
            "tied_embeddings": True,
            "tied_softmax": True,
            "encoder": {**half, "bidirectional": True},
            "decoder": {**half, **decoder},
        },
    }


if __name__ == "__main__":
    peer.run(JoeyLibrary())

"""spaCy: `spacy train` with pos_spacy.cfg (the morphologizer) or sentiment_spacy.cfg (the text classifier).

The component `tagger` of spaCy learns the treebank's own tags; universal tags (UPOS) are what `morphologizer` learns.
It would learn features of words, too: the data has none, so its labels are the 17 universal tags.

Both configurations are what `spacy init config --optimize accuracy` writes for a CPU, with static vectors. Their
network has the width and depth of the published pipelines, 96 and 4; with `--size wide` it has those of `init config`,
256 and 8. Training ends by spaCy's own patience, or when the time is up.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import peer

HERE = Path(__file__).parent
SIZES: dict[str, dict[str, int]] = {
    "": {},
    "wide": {"components.tok2vec.model.encode.width": 256, "components.tok2vec.model.encode.depth": 8},
}
BEST = "model-best"


class TimeUpError(Exception):
    """The minutes of the training are over."""


class SpacyLibrary:
    """spaCy."""

    def train(self, job: peer.Job) -> peer.Outcome:
        """Convert the data and the vectors, and run `spacy train`."""
        import spacy
        from spacy.cli.train import train as spacy_train
        from spacy.util import load_config

        if job.size not in SIZES:
            raise SystemExit(f'the size is "{job.size}"; known sizes: wide, or none')
        config = HERE / f"{job.task}_spacy.cfg"
        eval_frequency = load_config(config)["training"]["eval_frequency"]

        @spacy.registry.callbacks("peers.time_limit.v1")
        def make_time_limit() -> Any:
            """End the training right after an evaluation, when the best model has been written."""

            def check(nlp: Any, state: dict[str, int]) -> None:
                if state["step"] % eval_frequency == 1 and job.clock.is_over():
                    raise TimeUpError(f"{job.clock.minutes:g} minutes are over")

            return check

        for split in ("train", "dev"):
            self._convert(job, split)
        overrides = {
            "paths.train": str(job.folder / "train.spacy"),
            "paths.dev": str(job.folder / "dev.spacy"),
            "paths.vectors": str(self._vectors(job)),
            "system.seed": job.seed,
            **SIZES[job.size],
        }
        ended_by = "patience"
        try:
            spacy_train(config, job.folder, overrides=overrides)
        except TimeUpError:
            ended_by = "time"
        shutil.rmtree(job.folder / "model-last", ignore_errors=True)
        performance = spacy.load(job.folder / BEST).meta["performance"]
        dev_score = performance["pos_acc" if job.task == "pos" else "cats_micro_f"]
        return peer.Outcome(ended_by, dev_score, [job.folder / BEST], {"spacy": spacy.__version__})

    def open(self, task: str, folder: Path) -> peer.System:
        """Return the best model on dev."""
        return SpacySystem(task, folder / BEST)

    def _convert(self, job: peer.Job, split: str) -> None:
        """Write a split as spaCy reads it."""
        import spacy
        from spacy.tokens import Doc, DocBin

        vocab, docs = spacy.blank("en").vocab, DocBin(store_user_data=True)
        rows = job.read(split)
        labels = sorted({row.gold for row in rows if isinstance(row.gold, str)})
        for row in rows:
            pos = row.gold if isinstance(row.gold, list) else None
            doc = Doc(vocab, words=row.words, spaces=spaces_of(row), pos=pos)
            doc.cats = {label: float(label == row.gold) for label in labels}
            docs.add(doc)
        docs.to_disk(job.folder / f"{split}.spacy")

    def _vectors(self, job: peer.Job) -> Path:
        """Return the vectors as `spacy init vectors` converts them, once for all trainings.

        Their words are in lower case; `--attr LOWER` lets other spellings find them.
        """
        folder = Path(f"{job.vectors}.spacy")
        if not folder.is_dir():
            temporary = folder.with_name(f"{folder.name}.{os.getpid()}")
            command = [sys.executable, "-m", "spacy", "init", "vectors", "en", f"{job.vectors}.txt", str(temporary)]
            subprocess.run([*command, "--attr", "LOWER", "--name", "vectors-100d"], check=True)
            temporary.rename(folder)
        return folder


class SpacySystem:
    """A trained pipeline."""

    def __init__(self, task: str, folder: Path) -> None:
        import spacy

        self._nlp, self._task = spacy.load(folder), task

    def of_texts(self, texts: list[str]) -> Sequence[list[str] | str]:
        """Answer raw texts; a single one as most people call spaCy."""
        if len(texts) == 1:
            return [self._answer(self._nlp(texts[0]))]
        return [self._answer(doc) for doc in self._nlp.pipe(texts)]

    def of_words(self, sentences: list[list[str]]) -> Sequence[list[str] | str]:
        """Answer texts that are cut into words."""
        from spacy.tokens import Doc

        docs = (Doc(self._nlp.vocab, words=words) for words in sentences)
        return [self._answer(doc) for doc in self._nlp.pipe(docs)]

    def _answer(self, doc: Any) -> list[str] | str:
        if self._task == "pos":
            return [token.pos_ for token in doc]
        return str(max(doc.cats, key=doc.cats.get))


def spaces_of(row: peer.Row) -> list[bool]:
    """Return for each word whether white space follows it in the text."""
    spaces, position = [], 0
    for word in row.words:
        position = row.text.index(word, position) + len(word)
        spaces.append(row.text[position : position + 1].isspace())
    return spaces


if __name__ == "__main__":
    peer.run(SpacyLibrary())

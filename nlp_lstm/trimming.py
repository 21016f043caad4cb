"""Making a model smaller by the words that another one does not know."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path

from safetensors.torch import load_file, save

from nlp_lstm.artifacts import GRAPH_NAME, VOCABULARY_NAME, WEIGHTS_NAME, copy_model
from nlp_lstm.errors import ConfigError
from nlp_lstm.inference.opening import OpenModel, open_model
from nlp_lstm.stored import CODES_SUFFIX, SCALES_SUFFIX
from nlp_lstm.tasks.words import WordTask
from nlp_lstm.text.vocabulary import Vocabulary

_TABLE = "| data | measure |"  # where a card has its figures


def trim_model(folder: Path, other: Path, target: Path) -> None:
    """Copy a model without the words, and the pretrained vectors of words, that another model does not know.

    Those that stay keep their numbers to the bit, so a network that begins as the copy, and knows no more words than
    the other model, begins as it would from the whole. In texts the words left out are read as unknown ones.

    Args:
        folder: the model.
        other: whose words are kept.
        target: where the copy goes; an earlier model there is replaced.

    Raises:
        ConfigError: one of them has no words with numbers of their own, or the model has a graph.
        CheckpointError: one of them is damaged.
    """
    opened = open_model(folder)
    task, known = _word_task(opened, folder), _word_task(open_model(other), other).words
    if GRAPH_NAME in opened.config.files:
        raise ConfigError(f"{folder} has a {GRAPH_NAME}, which needs all its words; trim what a run left in its model/")
    whole = task.words
    words, vectors = _common_ids(whole.words, known.words), _common_ids(whole.vectors, known.vectors)
    task.words = dataclasses.replace(whole, words=_chosen(whole.words, words), vectors=_chosen(whole.vectors, vectors))
    rows = {"words.weight": words, "changes.weight": words, "vectors.codes": vectors, "vectors.scales": vectors}
    rows = {f"{task.embedding_name}.{name}": ids for name, ids in rows.items()}
    weights = {
        name: tensor[rows[base]].contiguous() if (base := _without_suffix(name)) in rows else tensor
        for name, tensor in load_file(folder / WEIGHTS_NAME).items()
    }
    note = (
        f"Trimmed to the words that {other.name} knows: {len(words):,} of {len(whole.words):,} words with numbers of "
        f"their own, {len(vectors):,} of {len(whole.vectors):,} pretrained vectors. The figures are of the whole model."
    )
    card = (folder / "README.md").read_text(encoding="utf-8").replace(_TABLE, f"{note}\n\n{_TABLE}", 1)
    vocabulary = json.dumps(task.vocabulary(), ensure_ascii=False, separators=(",", ":"))
    copy_model(folder, target, {WEIGHTS_NAME: save(weights), VOCABULARY_NAME: vocabulary, "README.md": card})


def _word_task(opened: OpenModel, folder: Path) -> WordTask:
    if not isinstance(opened.task, WordTask):
        raise ConfigError(
            f"{folder} is a model of the task {opened.task.name}; only taggers, classifiers and bidirectional language "
            "models have words to trim"
        )
    return opened.task


def _common_ids(own: Vocabulary, other: Vocabulary) -> list[int]:
    """The ids of the specials and of the tokens that the other vocabulary has, too."""
    return [id for id, token in enumerate(own.tokens) if id < own.num_specials or token in other]


def _chosen(own: Vocabulary, ids: Sequence[int]) -> Vocabulary:
    return Vocabulary((own.tokens[id] for id in ids), specials=own.num_specials)


def _without_suffix(name: str) -> str:
    return name.removesuffix(CODES_SUFFIX).removesuffix(SCALES_SUFFIX)

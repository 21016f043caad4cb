"""Making a model smaller: by the words that another one does not know, and by how its weights are stored."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path

from safetensors.torch import load_file, save
from torch import Tensor

from nlp_lstm.artifacts import GRAPH_NAME, VOCABULARY_NAME, WEIGHTS_NAME, Precision, copy_model
from nlp_lstm.errors import ConfigError
from nlp_lstm.inference.opening import OpenModel, open_model
from nlp_lstm.stored import CODES_SUFFIX, SCALES_SUFFIX
from nlp_lstm.tasks.words import WordTask
from nlp_lstm.text.vocabulary import Vocabulary
from nlp_lstm.weights import pack_weights, unpack_weights

_TABLE = "| data | measure |"  # where a card has its figures


def trim_model(folder: Path, target: Path, *, words_of: Path | None = None, precision: Precision | None = None) -> None:
    """Copy a model into less room. Its card says what was done, and that its figures are of the model before.

    Args:
        folder: the model.
        target: where the copy goes; an earlier model there is replaced.
        words_of: another model: words, and pretrained vectors of words, that it does not know are left out. What
            stays keeps its numbers to the bit, so a network that begins as the copy, and knows no more words than the
            other model, begins as it would from the whole. In texts the words left out are read as unknown ones.
        precision: how the weights are stored; default as they were.

    Raises:
        ConfigError: there is nothing to do, the model has a graph, or one of the two has no words to trim.
        CheckpointError: one of them is damaged.
    """
    if words_of is None and precision is None:
        raise ConfigError("nothing to trim: say --words-of MODEL, --precision, or both")
    opened = open_model(folder)
    if GRAPH_NAME in opened.config.files:
        raise ConfigError(f"{folder} has a {GRAPH_NAME}, which fits it as it is; trim what a run left in its model/")
    weights = load_file(folder / WEIGHTS_NAME)
    documents: dict[str, str | bytes] = {}
    notes = []
    if words_of is not None:
        weights, vocabulary, note = _trim_words(opened, folder, words_of, weights)
        documents[VOCABULARY_NAME] = vocabulary
        notes.append(note)
    if precision is not None and precision != opened.config.precision:
        weights = pack_weights(unpack_weights(weights), precision)
        notes.append(f"Stored in {precision} instead of {opened.config.precision}.")
    documents[WEIGHTS_NAME] = save({name: tensor.contiguous() for name, tensor in weights.items()})
    told = " ".join([*notes, "The figures are of the model before."])
    card = (folder / "README.md").read_text(encoding="utf-8")
    documents["README.md"] = card.replace(_TABLE, f"{told}\n\n{_TABLE}", 1)
    copy_model(folder, target, documents, precision=precision)


def _trim_words(
    opened: OpenModel, folder: Path, words_of: Path, weights: dict[str, Tensor]
) -> tuple[dict[str, Tensor], str, str]:
    """Return the weights and the vocabulary of the common words, and a line about them."""
    task, known = _word_task(opened, folder), _word_task(open_model(words_of), words_of).words
    whole = task.words
    words, vectors = _common_ids(whole.words, known.words), _common_ids(whole.vectors, known.vectors)
    task.words = dataclasses.replace(whole, words=_chosen(whole.words, words), vectors=_chosen(whole.vectors, vectors))
    rows = {"words.weight": words, "changes.weight": words, "vectors.codes": vectors, "vectors.scales": vectors}
    tables = {f"{task.embedding_name}.{name}": ids for name, ids in rows.items()}  # of each network side by side

    def trim(name: str, tensor: Tensor) -> Tensor:
        found = [ids for table, ids in tables.items() if f".{_without_suffix(name)}".endswith(f".{table}")]
        return tensor[found[0]] if found else tensor

    kept = {name: trim(name, tensor) for name, tensor in weights.items()}
    note = (
        f"Trimmed to the words that {words_of.name} knows: {len(words):,} of {len(whole.words):,} words with numbers "
        f"of their own, {len(vectors):,} of {len(whole.vectors):,} pretrained vectors."
    )
    return kept, json.dumps(task.vocabulary(), ensure_ascii=False, separators=(",", ":")), note


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

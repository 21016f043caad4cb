"""Faults to put into sound data, networks and trainings, for `benchmarks/doctor.py` and the doctor's tests.

Faults of data take the examples of each split and return them spoilt. Faults of a network take a task and change what
it builds, or how it counts.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from nlp_lstm.data.example import LabelledExample, TaggedExample
from nlp_lstm.nn.sensitivity import main_encoders
from nlp_lstm.tasks import Task
from nlp_lstm.text.document import Document

Parts: TypeAlias = dict[str, list[Any]]
"""Split to its examples; tagged ones are labelled in the column upos."""


def split_examples(examples: Sequence[Any], sizes: tuple[int, int, int]) -> Parts:
    """Draw three parts from examples, the same each time."""
    shuffled = random.Random(3).sample(list(examples), sum(sizes))
    train, dev, _ = sizes
    return {"train": shuffled[:train], "dev": shuffled[train : train + dev], "test": shuffled[train + dev :]}


def retag(example: TaggedExample, labels: Sequence[str]) -> TaggedExample:
    """Return a sentence with other tags."""
    return replace(example, labels={"upos": tuple(labels)})


def rewrite(example: LabelledExample, text: str) -> LabelledExample:
    """Return a labelled example with another text."""
    return replace(example, document=Document.from_words(text.split()))


def change_all(parts: Parts, change: Callable[[Any], Any]) -> Parts:
    """Return all splits with every example changed."""
    return {name: [change(one) for one in examples] for name, examples in parts.items()}


def _commonest(parts: Parts) -> list[str]:
    return [label for label, _ in Counter(one.label for one in parts["train"]).most_common()]


# ---- wrong problem shape


def one_label_a_sentence(parts: Parts) -> Parts:
    """Tags that are a label of the whole sentence."""
    return change_all(parts, lambda one: retag(one, [one.labels["upos"][0]] * len(one.document)))


def label_a_word(parts: Parts) -> Parts:
    """Labels of texts that are a label per word."""
    return change_all(
        parts, lambda one: replace(one, label=" ".join("XY"[len(word) % 2] for word in one.document.words))
    )


def label_as_translation(parts: Parts) -> Parts:
    """Translations that are one of two labels."""
    return change_all(parts, lambda one: replace(one, target="lang" if len(one.source) > 60 else "kurz"))


def text_as_label(parts: Parts) -> Parts:
    """Labels that are texts: the words in another order."""
    return change_all(parts, lambda one: replace(one, label=" ".join(reversed(one.document.words[:-1])) or "empty"))


# ---- loss on what does not matter


def unlabelled_tokens(parts: Parts) -> Parts:
    """Tags of nouns and verbs alone, the others are the placeholder for none."""
    return change_all(
        parts, lambda one: retag(one, [tag if tag in ("NOUN", "VERB") else "_" for tag in one.labels["upos"]])
    )


def unlabelled_texts(parts: Parts) -> Parts:
    """Labels of which a third is the placeholder for none."""
    chance = random.Random(4)
    return change_all(parts, lambda one: replace(one, label="none") if chance.random() < 0.33 else one)


# ---- shuffled labels


def shuffled_tags(parts: Parts) -> Parts:
    """Tags in another order in each sentence."""
    chance = random.Random(5)
    return change_all(parts, lambda one: retag(one, chance.sample(one.labels["upos"], len(one.document))))


def shifted_tags(parts: Parts) -> Parts:
    """Each tag stands beside the word before its own."""
    return change_all(parts, lambda one: retag(one, (*one.labels["upos"][1:], one.labels["upos"][0])))


def shuffled_labels(parts: Parts) -> Parts:
    """The labels of the training texts in another order."""
    return _shuffled(parts, "train", "label")


def shuffled_development_labels(parts: Parts) -> Parts:
    """The labels of the development texts in another order."""
    return _shuffled(parts, "dev", "label")


def shuffled_translations(parts: Parts) -> Parts:
    """The translations of the training texts in another order."""
    return _shuffled(parts, "train", "target")


def _shuffled(parts: Parts, split: str, name: str) -> Parts:
    values = [getattr(one, name) for one in parts[split]]
    random.Random(6).shuffle(values)
    return parts | {split: [replace(one, **{name: value}) for one, value in zip(parts[split], values, strict=True)]}


# ---- leaked labels


def tags_in_words(parts: Parts) -> Parts:
    """Words that end in their own tag."""

    def leak(one: TaggedExample) -> TaggedExample:
        pairs = zip(one.document.words, one.labels["upos"], strict=True)
        return replace(one, document=Document.from_words([f"{word}_{label}" for word, label in pairs]))

    return change_all(parts, leak)


def stars_in_texts(parts: Parts) -> Parts:
    """Texts that end in a mark of their label."""
    marks = {label: "*" * (place + 1) for place, label in enumerate(_commonest(parts))}
    return change_all(parts, lambda one: rewrite(one, f"{one.document.text} {marks[one.label]}"))


def translations_in_sources(parts: Parts) -> Parts:
    """Sources that hold their translation in brackets."""
    return change_all(parts, lambda one: replace(one, source=f"{one.source} ({one.target})"))


# ---- duplicates between splits


def tested_texts_in_training(parts: Parts) -> Parts:
    """A fifth of the test texts is learnt as well."""
    return parts | {"train": [*parts["train"], *parts["test"][: len(parts["test"]) // 5]]}


def trained_texts_in_development(parts: Parts) -> Parts:
    """A tenth of the development texts comes from training."""
    return parts | {"dev": [*parts["dev"], *parts["train"][: len(parts["dev"]) // 10]]}


# ---- class imbalance


def nearly_one_tag(parts: Parts) -> Parts:
    """All tags but that of numbers are one."""
    return change_all(parts, lambda one: retag(one, ["NUM" if tag == "NUM" else "OTHER" for tag in one.labels["upos"]]))


def nearly_one_label(parts: Parts) -> Parts:
    """All labels but the commonest have nearly no training text."""
    largest, *others = _commonest(parts)
    few = [one for label in others for one in parts["train"] if one.label == label]
    most = [one for one in parts["train"] if one.label == largest]
    return parts | {"train": [*random.Random(7).sample(few, len(most) // 30), *most]}


def one_translation_often(parts: Parts) -> Parts:
    """A third of the translations is one and the same."""
    pairs = [replace(one, target="Ein Mann.") if place % 3 == 0 else one for place, one in enumerate(parts["train"])]
    return parts | {"train": pairs}


# ---- vocabulary coverage


def pieces_in_development(parts: Parts) -> Parts:
    """Development texts that another tokeniser cut into pieces."""

    def cut(word: str) -> str:
        return " ".join(f"▁{word}"[start : start + 4] for start in range(0, len(word) + 1, 4))

    def spoil(one: Any) -> Any:
        if hasattr(one, "source"):
            return replace(one, source=" ".join(map(cut, one.source.split())))
        if isinstance(one, TaggedExample):
            return replace(one, document=Document.from_words([f"▁{word}" for word in one.document.words]))
        return rewrite(one, " ".join(map(cut, one.document.words)))

    return parts | {"dev": list(map(spoil, parts["dev"]))}


# ---- mixed languages


def german_words(german: Sequence[str]) -> Callable[[Parts], Parts]:
    """Return a fault: an eighth of the training texts is German.

    Args:
        german: German sentences.
    """

    def spoil(parts: Parts) -> Parts:
        texts = iter(german)
        return parts | {
            "train": [
                _as_german(one, next(texts)) if place % 8 == 0 else one for place, one in enumerate(parts["train"])
            ]
        }

    return spoil


def _as_german(one: Any, text: str) -> Any:
    if hasattr(one, "source"):
        return replace(one, source=text)
    if isinstance(one, TaggedExample):
        words = text.split()
        tags = [one.labels["upos"][place % len(one.document)] for place in range(len(words))]
        return replace(one, document=Document.from_words(words), labels={"upos": tuple(tags)})
    return rewrite(one, text)


DATA_FAULTS: dict[str, list[tuple[str, Callable[[Parts], Parts]]]] = {
    "tagged": [
        ("wrong problem shape", one_label_a_sentence),
        ("loss on what does not matter", unlabelled_tokens),
        ("shuffled labels", shuffled_tags),
        ("shuffled labels", shifted_tags),
        ("leaked labels", tags_in_words),
        ("duplicates between splits", tested_texts_in_training),
        ("class imbalance", nearly_one_tag),
        ("vocabulary coverage", pieces_in_development),
    ],
    "labelled": [
        ("wrong problem shape", label_a_word),
        ("wrong problem shape", text_as_label),
        ("loss on what does not matter", unlabelled_texts),
        ("shuffled labels", shuffled_labels),
        ("shuffled labels", shuffled_development_labels),
        ("leaked labels", stars_in_texts),
        ("duplicates between splits", tested_texts_in_training),
        ("duplicates between splits", trained_texts_in_development),
        ("class imbalance", nearly_one_label),
        ("vocabulary coverage", pieces_in_development),
    ],
    "parallel": [
        ("wrong problem shape", label_as_translation),
        ("shuffled labels", shuffled_translations),
        ("leaked labels", translations_in_sources),
        ("duplicates between splits", tested_texts_in_training),
        ("class imbalance", one_translation_often),
        ("vocabulary coverage", pieces_in_development),
    ],
}
"""Kind of the examples to the names of faults, each with one way to put it in."""


# ---- networks


def gates_fixed(gate: str, bias: float) -> Callable[[Task], None]:
    """Return a fault: the gates of that name begin with a bias that nothing read can move.

    Args:
        gate: "input gate", "forget gate" or "output gate".
        bias: of all its units.
    """
    return _begun_as(lambda cell: _gate(cell.bias, cell, gate).fill_(bias))


def memory_shut(task: Task) -> None:
    """Begin with forget gates that let nothing through and hidden states that are hardly felt."""

    def shut(cell: Any) -> None:
        _gate(cell.bias, cell, "forget gate").fill_(-9.0)
        cell.weight_hh.mul_(1e-3)

    _begun_as(shut)(task)


def _gate(rows: Tensor, cell: Any, gate: str) -> Tensor:
    place = cell.rows.index(gate)
    return rows[place * cell.hidden_size : (place + 1) * cell.hidden_size]


def _begun_as(change: Callable[[Any], Any]) -> Callable[[Task], None]:
    """Return a fault that changes every cell of the main recurrent layers before training."""

    def spoil(task: Task) -> None:
        fill = task.fill_model

        def filled(model: nn.Module) -> None:
            fill(model)
            with torch.no_grad():
                for encoder in main_encoders(model).values():
                    for cells in encoder.layers:
                        for cell in cells:  # type: ignore[attr-defined]
                            change(cell)

        task.fill_model = filled  # type: ignore[method-assign]

    return spoil


def _as_words(batch: Any) -> Any:
    """Return a batch of words whose padding counts as words."""
    lengths = torch.full_like(batch.lengths, batch.mask.shape[1])
    labels = {column: ids.clamp_min(0) for column, ids in batch.labels.items()}
    return replace(batch, mask=torch.ones_like(batch.mask), lengths=lengths, labels=labels)


def padding_counts(task: Task) -> None:
    """Read padding as words, and count the loss there."""
    make = task.make_batch

    def made(*arguments: Any, **options: Any) -> Any:
        batch = make(*arguments, **options)
        if task.data_kind == "parallel":
            return batch
        if task.data_kind == "labelled":
            return replace(batch, tokens=_as_words(batch.tokens))
        return _as_words(batch)

    task.make_batch = made  # type: ignore[method-assign]
    if task.data_kind == "parallel":

        def loss(model: Any, outputs: Any, batch: Any) -> Tensor:
            logits = model.words.logits(outputs.outputs.flatten(0, 1))
            return nn.functional.cross_entropy(logits, batch.next_ids.flatten())

        task.loss = loss  # type: ignore[method-assign]

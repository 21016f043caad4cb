"""The whole examination: of data before training, and of a trained network with its record after it."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from torch import nn

from nlp_lstm.data.example import text_of
from nlp_lstm.doctor.course import Course, check_course
from nlp_lstm.doctor.findings import Finding
from nlp_lstm.doctor.labels import check_text_labels, check_token_labels, check_translations
from nlp_lstm.doctor.network import check_gates, check_padding, check_placeholders, mean_loss, with_known_labels
from nlp_lstm.doctor.shape import check_labelled_shape, check_parallel_shape, check_tagged_shape
from nlp_lstm.doctor.texts import check_coverage, check_duplicates, check_languages
from nlp_lstm.tasks import Task
from nlp_lstm.training import TrainingSettings

KINDS = ("tagged", "labelled", "running", "parallel")  # whose data and networks are examined; of others the gradients
MOST_TEXTS = 20_000  # of each split
FEW_TEXTS = 200  # that the network reads


def examine_data(
    kind: str,
    splits: Mapping[str, Iterable[Any]],
    *,
    column: str = "",
    language: str = "en",
    target_language: str = "",
    vectors: Sequence[frozenset[str] | set[str]] = (),
    left_out: int = 0,
) -> list[Finding]:
    """Look for faults of data, one finding a fault.

    Args:
        kind: of the examples; of kinds without text nothing is said.
        splits: "train", "dev" and "test" to their examples.
        column: of tagged examples, the label that is learnt.
        language: code of their language, of parallel texts that of the source.
        target_language: of parallel texts that of the translation.
        vectors: the words of each set of pretrained vectors that the network uses.
        left_out: training texts that were left out because the same data's dev or test part has them.
    """
    if kind not in KINDS:
        return []
    parts = {split: _some(examples) for split, examples in splits.items()}
    train, dev = parts["train"], parts["dev"]
    findings: list[Finding] = []
    if kind == "tagged":
        findings += check_tagged_shape(train, column)
        findings += check_placeholders([label for example in train for label in example.labels[column]])
        findings += check_token_labels(train, dev, column)
    elif kind == "labelled":
        findings += check_labelled_shape(train)
        findings += check_placeholders([example.label for example in train if example.label])
        findings += check_text_labels(train, dev)
    elif kind == "parallel":
        findings += check_parallel_shape(train)
        findings += check_translations(train, dev)
    texts = {split: [text_of(example) for example in _whole(examples)] for split, examples in parts.items()}
    findings += check_duplicates(texts, left_out)
    words = {split: [_words(example) for example in _whole(parts[split])] for split in ("train", "dev")}
    findings += check_coverage(words["train"], words["dev"], vectors)
    findings += check_languages([*texts["train"], *texts["dev"]], language, "texts")
    if kind == "parallel" and target_language:
        findings += check_languages(
            [pair.target for pair in [*train, *dev] if pair.target], target_language, "translations"
        )
    return _first_of_each(findings)


def examine_training(
    task: Task,
    model: nn.Module,
    training: Sequence[Any],
    development: Sequence[Any],
    history: Sequence[Mapping[str, Any]],
    settings: TrainingSettings,
    tokens: int,
) -> list[Finding]:
    """Look for faults of a trained network and of its training, one finding a fault.

    Args:
        task: what is solved.
        model: the network with its best weights.
        training: the training examples.
        development: the development examples.
        history: what training recorded.
        settings: of training.
        tokens: seen in training.
    """
    network = task.settings
    is_text = task.data_kind in KINDS
    parts = (training, development) if is_text else ()
    samples = [with_known_labels(task, _sample(examples)) for examples in parts]
    losses = [mean_loss(task, model, examples) if examples else math.nan for examples in samples] or [math.nan] * 2
    course = Course(
        kind="running" if task.is_language_model else task.data_kind,
        history=history,
        train_loss=losses[0],
        dev_loss=losses[1],
        least_loss=_mean_entropy(task, samples[0]) if is_text else 0.0,
        epochs=tokens / max(1.0, _num_tokens(task, training)),
        hidden=network.hidden,
        layers=getattr(network, "layers", 1),
        dropout=max(network.dropout, getattr(network, "input_dropout", 0.0)),
        is_bidirectional=getattr(network, "bidirectional", None),
        learning_rate=settings.learning_rate,
        clip_norm=settings.clip_norm,
    )
    findings: list[Finding] = []
    if is_text and samples[1]:
        findings += check_padding(task, model, samples[1][:16])
        findings += check_gates(task, model, max(samples[1], key=task.size))
    findings += check_course(course)
    return _first_of_each(findings)


def _mean_entropy(task: Task, examples: Sequence[Any]) -> float:
    """The entropy of the targets that are shares of several labels, nats, each weighted by its text's size."""
    total, weight = 0.0, 0
    for example in examples:
        target = getattr(example, "target", None)
        shares = target.values() if isinstance(target, Mapping) else ()
        total -= task.size(example) * sum(share * math.log(share) for share in shares if share)
        weight += task.size(example)
    return total / max(1, weight)


def _some(examples: Iterable[Any]) -> list[Any]:
    """Return `MOST_TEXTS` at most: from all over a list, as it may be in the order of its labels, else the first."""
    if isinstance(examples, (list, tuple)):
        return list(examples[:: max(1, -(-len(examples) // MOST_TEXTS))])
    return list(itertools.islice(examples, MOST_TEXTS))


def _num_tokens(task: Task, examples: Sequence[Any]) -> float:
    """The tokens of all examples; of many an estimate from the first ones, as running text is read anew each time."""
    first = [task.size(example) for example in itertools.islice(examples, MOST_TEXTS)]
    return sum(first) / max(1, len(first)) * len(examples)


def _whole(examples: Sequence[Any]) -> list[Any]:
    """Those that are no parts of others."""
    return [example for example in examples if not getattr(example, "is_phrase", False)]


def _words(example: Any) -> list[str]:
    return example.document.words if hasattr(example, "document") else example.source.split()


def _sample(examples: Sequence[Any]) -> list[Any]:
    """A few of them, the same each time; of running text the first lines."""
    if len(examples) <= FEW_TEXTS or not isinstance(examples, list):
        return list(itertools.islice(examples, FEW_TEXTS))
    return random.Random(0).sample(examples, FEW_TEXTS)


def _first_of_each(findings: Iterable[Finding]) -> list[Finding]:
    chosen: dict[str, Finding] = {}
    for finding in findings:
        chosen.setdefault(finding.fault, finding)
    return list(chosen.values())

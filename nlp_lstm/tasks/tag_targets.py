"""What a tagger learns of a token: its label, or how likely teachers find each label (Hinton et al. 2015)."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor

from nlp_lstm.data.example import TaggedExample
from nlp_lstm.text.vocabulary import Vocabulary

TokenOpinions: TypeAlias = Mapping[str, Sequence[Mapping[str, float]]]
"""Column to one distribution per token, label to probability."""

LEAST_LIKELY = 0.005  # a label that teachers find less likely is left out of what a student learns


def likely_labels(
    logits: Float[Tensor, "batch time label"], lengths: Sequence[int], labels: Sequence[str]
) -> list[tuple[dict[str, float], ...]]:
    """Return for each sentence one distribution per token, over the labels that are likely at all.

    Args:
        logits: of one label column.
        lengths: tokens per sentence.
        labels: names of the labels.
    """
    probs = logits.float().softmax(dim=-1)
    probs = torch.where(probs < LEAST_LIKELY, 0.0, probs)
    probs /= probs.sum(dim=-1, keepdim=True)
    return [
        tuple(
            {labels[label]: round(of_token[label], 4) for label in range(len(labels)) if of_token[label]}
            for of_token in row[:length]
        )
        for row, length in zip(probs.tolist(), lengths, strict=True)
    ]


def taught_sentences(
    examples: Sequence[TaggedExample], opinions: Sequence[TokenOpinions], weight: float
) -> list[TaggedExample]:
    """Return the sentences with their teachers' opinions as ``weight`` of each token's target, or as all of it.

    All of it is the teachers' where the labels of a column are not known.
    """
    taught = []
    for example, opinion in zip(examples, opinions, strict=True):
        targets = {}
        for column, of_tokens in opinion.items():
            own = example.labels.get(column)
            if own is None:
                targets[column] = tuple(of_tokens)
            else:
                targets[column] = tuple(
                    {name: (1 - weight) * (name == label) + weight * found.get(name, 0.0) for name in (*found, label)}
                    for found, label in zip(of_tokens, own, strict=True)
                )
        taught.append(dataclasses.replace(example, targets=targets))
    return taught


def make_targets(
    examples: Sequence[TaggedExample], column: str, labels: Vocabulary, num_steps: int
) -> Float[Tensor, "batch time label"]:
    """Return the distribution that each token of one label column is to have; nothing at padding.

    Args:
        examples: the sentences; those without targets have labels.
        column: the label column.
        labels: its labels.
        num_steps: how long the rows are with their padding.
    """
    made = torch.zeros(len(examples), num_steps, len(labels))
    for row, example in enumerate(examples):
        of_tokens = example.targets.get(column) or [{label: 1.0} for label in example.labels[column]]
        places = [(step, label, share) for step, target in enumerate(of_tokens) for label, share in target.items()]
        steps, names, shares = zip(*places, strict=True)
        made[row, list(steps), labels.ids(names)] = torch.tensor(shares)
    return made

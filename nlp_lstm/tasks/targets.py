"""What training learns of a text: its label, shares of several labels, or what teachers say about it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

from nlp_lstm.data.example import LabelledExample
from nlp_lstm.errors import DataError, shorten
from nlp_lstm.tasks.classification import LabelPrediction


def own_target(example: LabelledExample) -> Mapping[str, float]:
    """Return label to probability, as the data has it.

    Raises:
        DataError: the example has neither target nor label.
    """
    if example.target is not None:
        return example.target
    if example.label is None:
        raise DataError(f"the training text {shorten(example.document.text)} has no label")
    return {example.label: 1.0}


def average_opinions(opinions: Sequence[Sequence[LabelPrediction]], labels: Sequence[str]) -> list[LabelPrediction]:
    """Return the mean of several models' predictions on the same texts, label by label."""
    return [
        LabelPrediction(
            probabilities={name: sum(view.probabilities[name] for view in views) / len(views) for name in labels}
        )
        for views in zip(*opinions, strict=True)
    ]


def taught_examples(
    examples: Sequence[LabelledExample], opinions: Sequence[LabelPrediction], weight: float
) -> list[LabelledExample]:
    """Return the examples with their teachers' opinions as ``weight`` of the target, or as all of it without a label.

    Source: Hinton, Vinyals and Dean, "Distilling the Knowledge in a Neural Network", 2015.
    """
    taught = []
    for example, opinion in zip(examples, opinions, strict=True):
        target: Mapping[str, float] = opinion.probabilities
        if example.label is not None or example.target is not None:
            own = own_target(example)
            target = {name: weight * share + (1 - weight) * own.get(name, 0.0) for name, share in target.items()}
        taught.append(dataclasses.replace(example, target=target))
    return taught

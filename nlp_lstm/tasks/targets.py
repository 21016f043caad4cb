"""What training learns of a text: its label, shares of several labels, or what teachers say about it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

from nlp_lstm.data.example import LabelledExample, ParallelExample
from nlp_lstm.data.share import take_share
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
    examples: Sequence[LabelledExample], opinions: Sequence[Mapping[str, float]], weight: float
) -> list[LabelledExample]:
    """Return the examples with their teachers' opinions as ``weight`` of the target, or as all of it without a label.

    Source: Hinton, Vinyals and Dean, "Distilling the Knowledge in a Neural Network", 2015.
    """
    taught = []
    for example, opinion in zip(examples, opinions, strict=True):
        target = opinion
        if example.label is not None or example.target is not None:
            own = own_target(example)
            target = {name: weight * share + (1 - weight) * own.get(name, 0.0) for name, share in target.items()}
        taught.append(dataclasses.replace(example, target=target))
    return taught


def taught_pairs(
    examples: Sequence[ParallelExample], translations: Sequence[str | None], weight: float
) -> list[ParallelExample]:
    """Return pairs of which a share of ``weight`` has the teachers' translation, the others the true one.

    Up to one half, all true pairs stay and some of the teachers' are left out; above it, the other way round. Of a text
    whose translation is not known, or about which the teachers say nothing, the one pair there is stays.

    Args:
        examples: the training texts.
        translations: the teachers' of each; None where they have no good one.
        weight: in [0, 1].

    Source: Kim and Rush, "Sequence-Level Knowledge Distillation", EMNLP 2016. There the two are mixed in the loss.
    """
    both = [
        (example, text)
        for example, text in zip(examples, translations, strict=True)
        if example.target is not None and text is not None
    ]
    of_teachers = [dataclasses.replace(example, target=text) for example, text in both]
    true = [example for example, _ in both]
    if weight > 0.5:
        true = take_share(true, (1 - weight) / weight) if weight < 1 else []
    elif weight < 0.5:
        of_teachers = take_share(of_teachers, weight / (1 - weight)) if weight else []
    single = [
        example if text is None else dataclasses.replace(example, target=text)
        for example, text in zip(examples, translations, strict=True)
        if (example.target is None) != (text is None)
    ]
    return [*true, *of_teachers, *single]

"""Which names and labels can be learnt, and which gold labels a model can be held to."""

from __future__ import annotations

import dataclasses
import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from nlp_lstm.data.example import LabelledExample, TaggedExample
from nlp_lstm.errors import DataError, NlpLstmError, shorten
from nlp_lstm.evaluation.report import format_share
from nlp_lstm.text.vocabulary import Vocabulary

LARGEST_UNKNOWN_SHARE = 0.05  # of tokens or texts whose gold label the model does not know; beyond it label sets differ
RESULT_KEYS = ("entity", "score", "index", "word", "start", "end")
"""The keys of a tagging result besides those of further columns."""

_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


class Scorable(NamedTuple):
    """Examples to score on, the columns that can be scored, and what the reader of the scores has to know."""

    examples: Sequence[TaggedExample]
    columns: list[str]
    notes: list[str]


def check_labels(labels: Mapping[str, Collection[str]], error_type: type[NlpLstmError]) -> None:
    """Check that the columns can be keys of a result, and that each label can be printed on a line.

    Args:
        labels: column to its labels.
        error_type: what to raise.
    """
    taken = {*RESULT_KEYS, *(f"{column}_score" for column in labels)}
    for column, found in labels.items():
        if not column.isidentifier() or column in taken:
            raise error_type(
                f"the label column {shorten(column)} cannot be a key of the results; rename it to letters, digits and "
                f"underscores, other than {', '.join(sorted(taken))}"
            )
        if not found:
            raise error_type(f'the label column "{column}" has no labels')
        for label in found:
            if not label.strip() or _UNPRINTABLE.search(label):
                raise error_type(
                    f'the label column "{column}" has the label {shorten(label)}; labels are not empty and hold no '
                    "line ends, control characters or half surrogates"
                )


def scorable(
    examples: Sequence[TaggedExample], known: Mapping[str, Vocabulary], *, is_own_data: bool = False
) -> Scorable:
    """Find out which of a model's columns can be scored on some examples.

    A column needs gold labels in every sentence, nearly all of them known to the model. Data with no column but
    "label" is taken to hold the model's main column.

    Args:
        examples: examples with their gold labels.
        known: the model's columns and their labels, the main one first.
        is_own_data: whether the model was trained on the same data set, so that unknown labels are rare ones and
            not another tag set.

    Raises:
        DataError: no column can be scored, or the main one's tag set is not the model's.
    """
    notes = []
    if "label" not in known and all(list(example.labels) == ["label"] for example in examples):
        main = next(iter(known))
        notes.append(f'The data\'s one column "label" is taken as {main}.')
        examples = [dataclasses.replace(example, labels={main: example.labels["label"]}) for example in examples]
    columns = []
    for column in known:
        num_without = sum(column not in example.labels for example in examples)
        if not num_without:
            columns.append(column)
        elif num_without < len(examples):
            notes.append(f"Not scored: {column}, which {num_without:,} of {len(examples):,} sentences lack.")
    if not columns:
        found = dict.fromkeys(column for example in examples for column in example.labels)
        raise DataError(
            f"the evaluation data has none of this model's label columns ({', '.join(known)}) in every sentence; it "
            f"has {', '.join(found) or 'no labels at all'}"
        )
    scored = []
    for column in columns:
        gold = Counter(label for example in examples for label in example.labels[column])
        unknown = [label for label, _ in gold.most_common() if label not in known[column]]
        share = sum(gold[label] for label in unknown) / max(1, gold.total())
        names = ", ".join(unknown[:5]) + ", …" * (len(unknown) > 5)
        fact = f"{format_share(share, 2)} of the tokens have gold labels that the model does not know ({names})"
        differs = share > LARGEST_UNKNOWN_SHARE and not is_own_data
        if differs and column == columns[0]:
            raise DataError(f"{column}: {fact}; the tag sets differ. Give data with the labels that the model learnt")
        if not differs:
            scored.append(column)
        if unknown:
            notes.append(f"Not scored: {column}; {fact}, so the tag sets differ." if differs else f"{column}: {fact}.")
    return Scorable(examples, scored, notes)


class UnknownLabels(NamedTuple):
    """The texts whose gold label a model does not know, and what is to be said about them."""

    examples: list[LabelledExample]
    fact: str
    known: str
    are_many: bool
    """Whether the label sets differ; few are rare labels, and count as errors."""


def unknown_labels(examples: Sequence[LabelledExample], known: Vocabulary) -> UnknownLabels:
    """Find the texts whose gold label a model does not know."""
    unknown = [example for example in examples if example.label not in known]
    counts = Counter(str(example.label) for example in unknown)
    names = ", ".join(shorten(name) for name, _ in counts.most_common(5)) + ", …" * (len(counts) > 5)
    return UnknownLabels(
        examples=unknown,
        fact=f"{len(unknown):,} of {len(examples):,} texts have labels that this model does not know ({names})",
        known=", ".join(known.tokens[:20]) + ", …" * (len(known) > 20),
        are_many=len(unknown) > LARGEST_UNKNOWN_SHARE * len(examples),
    )


def check_known(examples: Sequence[LabelledExample], known: Vocabulary) -> None:
    """Check that a model knows nearly all gold labels of the texts that it is evaluated on.

    Raises:
        DataError: it does not, or there is no text.
    """
    if not examples:
        raise DataError("there is no labelled text to evaluate on")
    unknown = unknown_labels(examples, known)
    if unknown.are_many:
        raise DataError(f"{unknown.fact}; it knows {unknown.known}. reading.labels gives the file's labels other names")


def failures_of_sentiment(labels: Collection[str]) -> str:
    """Return where a model with labels such as "positive" and "very negative" fails, nothing for other labels."""
    words = {word for label in labels for word in re.findall(r"[^\W_]+", label.lower())}
    if not words & {"positive", "pos"} or not words & {"negative", "neg"}:
        return ""
    no_neutral = (
        "There is no neutral label: neutral text gets another one, so ask for a minimum score where text may be "
        "neutral. "
    )
    return (
        ("" if "neutral" in words else no_neutral)
        + "Negation, contrast, irony and what needs knowledge of the world are often judged wrong; the run's report "
        "lists the worst errors."
    )

"""How good a sequence of labels is, and where it fails.

One call takes three parallel lists, words, gold labels and predicted labels, one inner list per sentence:

    words      [["The", "dog", "barks"], ["Stop"]]
    gold       [["DET", "NOUN", "VERB"], ["VERB"]]
    predicted  [["DET", "NOUN", "NOUN"], ["VERB"]]      accuracy 3/4, sentence accuracy 1/2

All rates are shares in [0, 1]. The libraries behind it (scikit-learn, seqeval) are imported when first needed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from nlp_lstm.errors import DataError, shorten
from nlp_lstm.evaluation.label_scores import (
    Bucket,
    Buckets,
    Confusion,
    LabelScore,
    bucket_accuracy,
    label_score,
    mean_f1,
    score_labels,
)

Scheme = Literal["IOB2", "IOBES"]
Labels = Sequence[Sequence[str]]

LENGTH_BUCKETS: Buckets = (("1–5", 5), ("6–10", 10), ("11–20", 20), ("21–40", 40), ("41+", -1))
"""By sentence length (tokens)."""

FREQUENCY_BUCKETS: Buckets = (
    ("0", 0),
    ("1", 1),
    ("2–5", 5),
    ("6–20", 20),
    ("21–100", 100),
    (">100", -1),
)
"""By occurrences in the training data."""

_PER_SENTENCE = (
    "correct_per_sentence",
    "tokens_per_sentence",
    "unknown_correct_per_sentence",
    "unknown_per_sentence",
)


@dataclass(frozen=True, kw_only=True)
class SpanScores:
    """Exact-match scores of whole spans, micro-averaged; a span counts only with both ends and its type right."""

    scheme: Scheme
    precision: float
    recall: float
    f1: float
    support: int
    per_type: list[LabelScore]


@dataclass(frozen=True, kw_only=True)
class TaggingMetrics:
    """Everything that the report says about a tagger on one data set.

    ``unknown_*`` concerns words whose training count is 0; the accuracy is ``None`` when no counts were given
    or no such word occurs. The ``*_per_sentence`` lists feed the bootstrap, which resamples sentences.
    """

    accuracy: float
    num_tokens: int
    sentence_accuracy: float
    num_sentences: int
    macro_f1: float
    per_label: list[LabelScore]
    confusion: Confusion
    unknown_accuracy: float | None
    num_unknown: int
    by_length: list[Bucket]
    by_frequency: list[Bucket]
    span_scores: SpanScores | None
    correct_per_sentence: list[int]
    tokens_per_sentence: list[int]
    unknown_correct_per_sentence: list[int]
    unknown_per_sentence: list[int]

    def to_dict(self, *, per_sentence: bool = False) -> dict[str, Any]:
        """Return plain JSON values; the long per-sentence lists only when asked for."""
        values = asdict(self)
        return values if per_sentence else {key: value for key, value in values.items() if key not in _PER_SENTENCE}


def tagging_metrics(
    gold: Labels,
    predicted: Labels,
    words: Sequence[Sequence[str]],
    training_counts: Mapping[str, int] | None = None,
) -> TaggingMetrics:
    """Score predicted labels against gold ones.

    Args:
        gold: the right labels, one list per sentence.
        predicted: the labels to score, of the same shape.
        words: the words they belong to, of the same shape.
        training_counts: how often each word occurs in the training data, keyed as in ``words``; without it
            nothing is said about unknown or rare words.

    Returns:
        The scores; an empty sentence counts neither as right nor as wrong.

    Raises:
        DataError: the shapes differ, or there is no token at all.
    """
    _check_shapes(gold, predicted, words)
    right = [[a == b for a, b in zip(*pair, strict=True)] for pair in zip(gold, predicted, strict=True)]
    totals = [len(sentence) for sentence in right]
    correct = [sum(sentence) for sentence in right]
    num_tokens, num_sentences = sum(totals), sum(1 for total in totals if total)
    flat_gold = [label for sentence in gold for label in sentence]
    flat_predicted = [label for sentence in predicted for label in sentence]
    flat_right = [value for sentence in right for value in sentence]
    lengths = [total for total in totals for _ in range(total)]
    counts = [[-1] * len(sentence) for sentence in words]
    if training_counts is not None:
        counts = [[training_counts.get(word, 0) for word in sentence] for sentence in words]
    unknown = [sum(count == 0 for count in sentence) for sentence in counts]
    unknown_correct = [
        sum(value for value, count in zip(*pair, strict=True) if count == 0) for pair in zip(right, counts, strict=True)
    ]
    flat_counts = [count for sentence in counts for count in sentence]
    per_label, confusion = score_labels(flat_gold, flat_predicted)
    return TaggingMetrics(
        accuracy=sum(correct) / num_tokens,
        num_tokens=num_tokens,
        sentence_accuracy=sum(1 for a, b in zip(correct, totals, strict=True) if b and a == b) / num_sentences,
        num_sentences=num_sentences,
        macro_f1=mean_f1(per_label),
        per_label=per_label,
        confusion=confusion,
        unknown_accuracy=sum(unknown_correct) / sum(unknown) if sum(unknown) else None,
        num_unknown=sum(unknown),
        by_length=bucket_accuracy(lengths, flat_right, LENGTH_BUCKETS),
        by_frequency=[] if training_counts is None else bucket_accuracy(flat_counts, flat_right, FREQUENCY_BUCKETS),
        span_scores=_score_spans(gold, predicted),
        correct_per_sentence=correct,
        tokens_per_sentence=totals,
        unknown_correct_per_sentence=unknown_correct,
        unknown_per_sentence=unknown,
    )


def span_scheme(labels: Iterable[str]) -> Scheme | None:
    """Return the span encoding that the labels follow, or ``None`` when they are plain labels.

    ``O`` with ``B-x`` and ``I-x`` is IOB2; with ``E-x`` or ``S-x`` as well it is IOBES. Labels without any
    span opening (``B-`` or ``S-``) are plain, since then they are of another encoding or hold no span.
    """
    prefixes = set()
    for label in set(labels):
        match = re.fullmatch(r"(O)|([BIES])-.+", label)
        if match is None:
            return None
        prefixes.add(match[1] or match[2])
    if not prefixes & {"B", "S"}:
        return None
    return "IOBES" if prefixes & {"E", "S"} else "IOB2"


def _check_shapes(gold: Labels, predicted: Labels, words: Sequence[Sequence[str]]) -> None:
    if not len(gold) == len(predicted) == len(words):
        raise DataError(
            f"{len(gold)} gold, {len(predicted)} predicted and {len(words)} word sequences; "
            "there must be one of each per sentence"
        )
    for number, (gold_labels, labels, tokens) in enumerate(zip(gold, predicted, words, strict=True), start=1):
        if not len(gold_labels) == len(labels) == len(tokens):
            raise DataError(
                f"sentence {number} ({shorten(' '.join(tokens))}) has {len(tokens)} words, {len(gold_labels)} gold "
                f"and {len(labels)} predicted labels; there must be one of each per word"
            )
    if not any(map(len, gold)):
        raise DataError("no tokens to score; give at least one sentence with gold labels")


def _score_spans(gold: Labels, predicted: Labels) -> SpanScores | None:
    scheme = span_scheme(label for side in (gold, predicted) for sentence in side for label in sentence)
    if scheme is None:
        return None
    from seqeval.metrics.v1 import precision_recall_fscore_support
    from seqeval.scheme import IOB2, IOBES, Entities

    tokens = {"IOB2": IOB2, "IOBES": IOBES}[scheme]
    pair = [[list(sentence) for sentence in side if len(sentence)] for side in (gold, predicted)]
    types = sorted(set().union(*(Entities(side, scheme=tokens).unique_tags for side in pair)))
    options = {"scheme": tokens, "zero_division": 0}
    precision, recall, f1, support = precision_recall_fscore_support(*pair, average="micro", **options)
    per_type = zip(*precision_recall_fscore_support(*pair, average=None, **options), strict=True)
    return SpanScores(
        scheme=scheme,
        precision=float(precision),
        recall=float(recall),
        f1=float(f1),
        support=int(support),
        per_type=[label_score(name, *row) for name, row in zip(types, per_type, strict=True)],
    )

"""Whether the labels belong to the texts: shuffled, shifted or leaked ones, and classes of very unequal size."""

from __future__ import annotations

import math
import random
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import TypeVar

from nlp_lstm.data.example import LabelledExample, ParallelExample, TaggedExample
from nlp_lstm.data.overlap import normal_form
from nlp_lstm.doctor.findings import Finding
from nlp_lstm.evaluation.metrics import span_scheme

ExampleT = TypeVar("ExampleT")

MOST_TEXTS = 4_000  # that are looked at of each split
FEWEST_TEXTS = 100  # of each part of a comparison, below which nothing is said of shuffled labels
FEWEST_LEARNT = 300  # texts, from which words alone can be expected to tell labels better than chance
CHANCE_ERRORS = 2.0  # standard errors above chance, up to which labels have nothing to do with texts
LEAST_GAIN = 0.1  # share of the errors of the commonest label that the word itself must avoid
LEAST_CORRELATION = 0.25  # of the lengths of two sides
PURE = 0.995  # share of a word's texts that have one label, from which on the word gives the label away
MARKED = 0.95  # share of a label's texts that such a word stands in
FEWEST_MARKED = 20
HOLDS_LABEL = 0.5  # share of the words, or of the texts, that hold their own answer
LARGEST_CLASS = 0.9
SMALLEST_CLASS = 5  # texts
LARGEST_TARGET = 0.2
_SEPARATORS = "_/|-#:="


# ---- labels of texts


def check_text_labels(training: Sequence[LabelledExample], development: Sequence[LabelledExample]) -> list[Finding]:
    """Look for shuffled and leaked labels, and for unequal classes."""
    texts = [example for example in training if example.label and not example.is_phrase]
    texts = _sample(texts)
    counts = Counter(str(example.label) for example in texts)
    findings = _unequal_classes(counts, "texts")
    if len(counts) < 2:
        return findings
    leak = _marked_label(texts, counts)
    if leak:
        return [*findings, leak]
    found, where = _balanced_accuracy(texts, _sample([one for one in development if one.label])), "development texts"
    if found is None:
        half = len(texts) // 2
        found, where = _balanced_accuracy(texts[:half], texts[half:]), "other half of the training texts"
    if found and found.accuracy <= found.chance + CHANCE_ERRORS * found.error:
        findings.append(
            Finding(
                fault="shuffled labels",
                evidence=f"Words of the training texts tell the labels of the {where} no better than chance "
                f"(naive Bayes: {found.accuracy:.1%} of each label on average, {found.chance:.1%} by chance).",
                remedy="Look at some texts with their labels: are they in the same order in all files, and do the "
                "same names mean the same in each?",
            )
        )
    return findings


class _Balanced:
    """The mean over the labels of the share found, what chance would give, and its standard error."""

    def __init__(self, accuracy: float, chance: float, error: float) -> None:
        self.accuracy, self.chance, self.error = accuracy, chance, error


def _balanced_accuracy(training: Sequence[LabelledExample], test: Sequence[LabelledExample]) -> _Balanced | None:
    """How well words alone tell labels; None where the texts are too few to say."""
    from sklearn.feature_extraction.text import HashingVectorizer
    from sklearn.naive_bayes import MultinomialNB

    if len(training) < FEWEST_LEARNT or len(test) < FEWEST_TEXTS:
        return None
    hasher = HashingVectorizer(analyzer=_lower_words, alternate_sign=False, norm=None, n_features=2**16)
    model = MultinomialNB(fit_prior=False)
    model.fit(hasher.transform(training), [str(example.label) for example in training])
    found = model.predict(hasher.transform(test)).tolist()
    totals = Counter(str(example.label) for example in test)
    right = Counter(guess for guess, example in zip(found, test, strict=True) if guess == example.label)
    known = [label for label in totals if label in set(model.classes_)]
    if len(known) < 2:
        return None
    chance = 1 / len(model.classes_)
    accuracy = sum(right[label] / totals[label] for label in known) / len(known)
    variance = sum(chance * (1 - chance) / totals[label] for label in known) / len(known) ** 2
    return _Balanced(accuracy, chance, math.sqrt(variance))


def _lower_words(example: LabelledExample) -> list[str]:
    return [word.lower() for word in example.document.words]


def _marked_label(texts: Sequence[LabelledExample], counts: Mapping[str, int]) -> Finding | None:
    """A word that stands in nearly all texts of a label and in nearly no other."""
    labels_of: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for example in texts:
        for word in set(_lower_words(example)):
            labels_of[word][str(example.label)] += 1
    for word, labels in labels_of.items():
        label, count = labels.most_common(1)[0]
        is_pure = count >= PURE * labels.total()
        if is_pure and count >= max(FEWEST_MARKED, MARKED * counts[label]):
            return Finding(
                fault="leaked labels",
                evidence=f'"{word}" stands in {count:,} of {counts[label]:,} training texts with the label {label}, '
                f"and in {labels.total() - count:,} others.",
                remedy="Take the word out of the texts: it will not be there when the label is not known.",
            )
    return None


def _unequal_classes(counts: Mapping[str, int], unit: str) -> list[Finding]:
    total = sum(counts.values())
    if total < FEWEST_TEXTS or not counts:
        return []
    largest = max(counts, key=lambda label: counts[label])
    rare = [label for label, count in counts.items() if count < SMALLEST_CLASS]
    remedy = "Give more of the rare labels or join them to others, and judge by macro F1 instead of accuracy."
    if counts[largest] >= LARGEST_CLASS * total:
        evidence = f"{counts[largest] / total:.1%} of the training {unit} have the label {largest}."
        return [Finding(fault="class imbalance", evidence=evidence, remedy=remedy)]
    if rare:
        shown = ", ".join(f"{label} ({counts[label]})" for label in rare[:5])
        evidence = f"Of {total:,} training {unit} these labels have fewer than {SMALLEST_CLASS}: {shown}."
        return [Finding(fault="class imbalance", evidence=evidence, remedy=remedy)]
    return []


# ---- labels of tokens


def check_token_labels(
    training: Sequence[TaggedExample], development: Sequence[TaggedExample], column: str
) -> list[Finding]:
    """Look for shuffled, shifted and leaked labels, and for one label nearly everywhere."""
    sentences = _sample(list(training))
    findings: list[Finding] = []
    counts = Counter(label for example in sentences for label in example.labels[column])
    label, count = counts.most_common(1)[0]
    if count >= LARGEST_CLASS * counts.total() and len(counts) > 1 and not span_scheme(counts):
        findings += [one for one in _unequal_classes(counts, "tokens") if count >= LARGEST_CLASS * counts.total()]
    pairs = [pair for example in sentences for pair in zip(example.document.words, example.labels[column], strict=True)]
    leaked = sum(_holds(word, tag) for word, tag in pairs)
    if leaked >= HOLDS_LABEL * len(pairs):
        word, tag = next(pair for pair in pairs if _holds(*pair))
        return [
            *findings,
            Finding(
                fault="leaked labels",
                evidence=f"{leaked / len(pairs):.1%} of the training words end in their own label, such as {word} "
                f"({tag}).",
                remedy="Split word and label into two columns.",
            ),
        ]
    half = len(sentences) // 2
    checked = (
        (sentences[:half], sentences[half:], "the other half of the training sentences"),
        (sentences, _sample(list(development)), "the development sentences"),
    )
    for learnt, tested, where in checked:
        if min(len(learnt), len(tested)) < FEWEST_TEXTS:
            continue
        gains = {shift: _gain(learnt, tested, column, shift) for shift in (0, 1, -1)}
        best = max(gains, key=lambda shift: gains[shift])
        if best and gains[best] > gains[0] + LEAST_GAIN:
            evidence = (
                f"In {where} the {'next' if best > 0 else 'previous'} word tells a label better than the word itself "
                f"(it avoids {gains[best]:.0%} of the errors of the commonest label, the word {max(gains[0], 0):.0%})."
            )
        elif max(gains.values()) < LEAST_GAIN:
            evidence = (
                f"A word's commonest label avoids only {max(gains[0], 0):.0%} of the errors in {where} that the "
                f"commonest label of all, {label}, makes."
            )
        else:
            continue
        findings.append(
            Finding(
                fault="shuffled labels",
                evidence=evidence,
                remedy="Look at some sentences with their labels: does each label stand beside its own word?",
            )
        )
        break
    return findings


def _holds(word: str, label: str) -> bool:
    start = len(word) - len(label)
    return start > 1 and word[start - 1] in _SEPARATORS and word[start:].lower() == label.lower()


def _gain(learnt: Sequence[TaggedExample], tested: Sequence[TaggedExample], column: str, shift: int) -> float:
    """The share of the commonest label's errors that the commonest label of the word ``shift`` places on avoids."""
    by_word: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for word, label in _shifted(learnt, column, shift):
        by_word[word][label] += 1
    commonest = {word: labels.most_common(1)[0][0] for word, labels in by_word.items() if labels.total() > 1}
    known = [(word, label) for word, label in _shifted(tested, column, shift) if word in commonest]
    if not known:
        return 0.0
    largest = Counter(label for _, label in known).most_common(1)[0][1]
    right = sum(commonest[word] == label for word, label in known)
    return (right - largest) / (len(known) - largest) if largest < len(known) else 1.0


def _shifted(examples: Sequence[TaggedExample], column: str, shift: int) -> list[tuple[str, str]]:
    found = []
    for example in examples:
        words, labels = example.document.words, example.labels[column]
        places = range(max(0, -shift), len(words) - max(0, shift))
        found += [(words[place + shift].lower(), labels[place]) for place in places]
    return found


# ---- translations


def check_translations(training: Sequence[ParallelExample], development: Sequence[ParallelExample]) -> list[Finding]:
    """Look for pairs whose sides do not belong together, or whose source holds the translation."""
    pairs = _sample(list(training))
    targets = Counter(pair.target or "" for pair in pairs)
    findings: list[Finding] = []
    target, count = targets.most_common(1)[0]
    if len(pairs) >= FEWEST_TEXTS and count >= LARGEST_TARGET * len(pairs) and len(targets) > 2:
        findings.append(
            Finding(
                fault="class imbalance",
                evidence=f'{count:,} of {len(pairs):,} training pairs have the translation "{target[:60]}".',
                remedy="Keep a few of these pairs and drop the others: the network would learn to give this answer.",
            )
        )
    forms = [(normal_form(pair.source), normal_form(pair.target or "")) for pair in pairs]
    held = sum(len(target) > 4 and target in source and target != source for source, target in forms)
    if held >= HOLDS_LABEL * len(forms):
        return [
            *findings,
            Finding(
                fault="leaked labels",
                evidence=f"{held:,} of {len(forms):,} training sources hold their own translation.",
                remedy="Split the two languages into two columns.",
            ),
        ]
    for examples, where in ((pairs, "training"), (_sample(list(development)), "development")):
        if len(examples) < FEWEST_TEXTS:
            continue
        found = _length_correlation(examples)
        if found < LEAST_CORRELATION:
            findings.append(
                Finding(
                    fault="shuffled labels",
                    evidence=f"In the {where} pairs long sources do not have long translations (correlation of the "
                    f"lengths {found:.2f}; of real translations it is above 0.6).",
                    remedy="Look at some pairs: has one file lines that the other one lacks?",
                )
            )
            break
    return findings


def _length_correlation(pairs: Sequence[ParallelExample]) -> float:
    import numpy as np

    sources = np.log1p([len(pair.source) for pair in pairs])
    targets = np.log1p([len(pair.target or "") for pair in pairs])
    if not (sources.std() and targets.std()):
        return 0.0
    return float(np.corrcoef(sources, targets)[0, 1])


def _sample(examples: Sequence[ExampleT]) -> list[ExampleT]:
    """At most so many of them as are looked at, in random order, the same each time."""
    chosen = list(examples)
    random.Random(0).shuffle(chosen)
    return chosen[:MOST_TEXTS]

"""Whether the data has the shape of the problem: a label per token, a label per text, or a text for a text."""

from __future__ import annotations

from collections.abc import Sequence

from nlp_lstm.data.example import LabelledExample, ParallelExample, TaggedExample
from nlp_lstm.doctor.findings import Finding

FEWEST_TEXTS = 20  # below that nothing is said
NEARLY_ALL = 0.95  # share of the texts that have another shape
FEWEST_TOKENS = 3  # a shorter text has both shapes
MANY_LABELS = 0.5  # different labels per text, from which on they are texts themselves
FEW_TARGETS = 0.05  # different translations per text, up to which they are labels
FEW_WORDS = 60  # different words in all translations, up to which those of equal length are labels of tokens


def check_tagged_shape(examples: Sequence[TaggedExample], column: str) -> list[Finding]:
    """Look for sentences whose tokens all have one label: it belongs to the text, or to nothing."""
    long = [example.labels[column] for example in examples if len(example.document) >= FEWEST_TOKENS]
    if len(long) < FEWEST_TEXTS or len({label for labels in long for label in labels}) < 2:
        return []
    alike = sum(len(set(labels)) == 1 for labels in long)
    if alike < NEARLY_ALL * len(long):
        return []
    return [
        Finding(
            fault="wrong problem shape",
            evidence=f"In {alike:,} of {len(long):,} sentences all tokens have one and the same label (column "
            f"{column}).",
            remedy="If it is a label of the whole text, give it once per text and use `nlp-lstm run sentiment`.",
        )
    ]


def check_labelled_shape(examples: Sequence[LabelledExample]) -> list[Finding]:
    """Look for labels that are one per token, or texts."""
    known = [(example.document, example.label) for example in examples if example.label and not example.is_phrase]
    long = [(document, label.split()) for document, label in known if len(document) >= FEWEST_TOKENS]
    if len(long) < FEWEST_TEXTS:
        return []
    aligned = sum(
        len(labels) in (len(document), len(document.text.split())) and len(labels) > 1 for document, labels in long
    )
    if aligned >= NEARLY_ALL * len(long):
        return [
            Finding(
                fault="wrong problem shape",
                evidence=f"In {aligned:,} of {len(long):,} texts the label has as many words as the text.",
                remedy="Labels of single words are learnt by `nlp-lstm run pos`: one word and one label per line, an "
                "empty line after each sentence.",
            )
        ]
    different = len({label for _, label in known})
    if different > MANY_LABELS * len(known):
        return [
            Finding(
                fault="wrong problem shape",
                evidence=f"{len(known):,} texts have {different:,} different labels.",
                remedy="Answers that are texts themselves are learnt by `nlp-lstm run translate`; numbers have to be "
                "put into a few classes first.",
            )
        ]
    return []


def check_parallel_shape(examples: Sequence[ParallelExample]) -> list[Finding]:
    """Look for translations that are labels."""
    targets = [example.target or "" for example in examples]
    if len(targets) < FEWEST_TEXTS:
        return []
    different = len(set(targets))
    if different <= max(2, FEW_TARGETS * len(targets)) and different < FEW_WORDS:
        return [
            Finding(
                fault="wrong problem shape",
                evidence=f"{len(targets):,} texts have only {different:,} different translations.",
                remedy="A label of a whole text is learnt by `nlp-lstm run sentiment`.",
            )
        ]
    long = [example for example in examples if len(example.source.split()) >= FEWEST_TOKENS]
    aligned = sum(len(example.source.split()) == len((example.target or "").split()) for example in long)
    words = len({word for target in targets for word in target.split()})
    if len(long) >= FEWEST_TEXTS and aligned >= NEARLY_ALL * len(long) and words <= FEW_WORDS:
        return [
            Finding(
                fault="wrong problem shape",
                evidence=f"In {aligned:,} of {len(long):,} pairs both sides have as many words, and the translations "
                f"have only {words} different ones.",
                remedy="Labels of single words are learnt by `nlp-lstm run pos`.",
            )
        ]
    return []

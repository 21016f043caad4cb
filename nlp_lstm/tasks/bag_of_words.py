"""The baseline that reads no order: TF-IDF of words and word pairs with logistic regression.

It gets the training data that the network gets. Whether labelled phrases help it, how long its n-grams are and how
strongly it is regularised is chosen on development data. With so many labels that this would take longer than the
network, n-grams are left out, and at last words are fitted once, shortly; its name then says so.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import NamedTuple

from nlp_lstm.data.example import LabelledExample

NGRAM_SIZES = (1, 2, 3)
INVERSE_PENALTIES = (1.0, 4.0, 16.0, 64.0)
LARGEST_COST = 25_000_000  # labels times n-grams in all texts, a step's work: five labels and 160,000 phrases have 15
MOST_WEIGHTS = 2_000_000  # labels times different words, where one fit must do
STEPS, FEW_STEPS = 300, 50


class _Choice(NamedTuple):
    """Settings with what they reach on the development data, and the answers for the test data."""

    accuracy: float
    name: str
    predictions: list[dict[str, float]]


def tune_bag_of_words(
    training: Sequence[LabelledExample],
    development: Sequence[LabelledExample],
    test: Sequence[LabelledExample],
    *,
    lower_case: bool,
) -> dict[str, list[dict[str, float]]]:
    """Return the test probabilities of the best settings, under a name that says which they are.

    Args:
        training: labelled texts; those whose target is no sure label are left out.
        development: what chooses the settings.
        test: what to predict.
        lower_case: whether capital letters are read as small ones.
    """
    texts = {False: [example for example in training if not example.is_phrase and _label(example)]}
    with_phrases = [example for example in training if _label(example)]
    if len(with_phrases) > len(texts[False]):
        texts[True] = with_phrases
    best: _Choice | None = None
    for has_phrases, chosen in texts.items():
        if len({_label(example) for example in chosen}) < 2:
            continue
        for size in NGRAM_SIZES:
            found = _best_penalty(chosen, development, test, size=size, lower_case=lower_case)
            if found is None:
                break
            if best is None or found.accuracy > best.accuracy:
                kind = "phrases and sentences" if has_phrases else "sentences" if True in texts else "texts"
                best = found._replace(name=f"TF-IDF and logistic regression ({found.name}; {len(chosen):,} {kind})")
    return {best.name: best.predictions} if best else {}


def _best_penalty(
    training: Sequence[LabelledExample],
    development: Sequence[LabelledExample],
    test: Sequence[LabelledExample],
    *,
    size: int,
    lower_case: bool,
) -> _Choice | None:
    """Return the best choice with n-grams up to a size; None where longer n-grams than words would cost too much."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression

    def words(example: LabelledExample) -> list[str]:
        found = example.document.words
        return [word.lower() for word in found] if lower_case else found

    def grams(example: LabelledExample) -> list[str]:
        found = words(example)
        return [" ".join(found[i : i + n]) for n in range(1, size + 1) for i in range(len(found) - n + 1)]

    vectorizer = TfidfVectorizer(analyzer=grams, sublinear_tf=True)
    features = vectorizer.fit_transform(training)
    labels = [_label(example) for example in training]
    num_labels = len(set(labels))
    is_costly = features.nnz * num_labels > LARGEST_COST
    if is_costly and size > 1:
        return None
    grams_name = "words" if size == 1 else f"1 to {size} words"
    if is_costly:
        vectorizer.set_params(max_features=max(1, MOST_WEIGHTS // num_labels))
        features = vectorizer.fit_transform(training)
        grams_name = f"the {features.shape[1]:,} commonest words, {FEW_STEPS} steps, untuned for {num_labels:,} labels"
    development_features, test_features = vectorizer.transform(development), vectorizer.transform(test)
    gold = [example.label for example in development]
    choices = []
    for penalty in INVERSE_PENALTIES[2:3] if is_costly else INVERSE_PENALTIES:
        model = LogisticRegression(C=penalty, max_iter=FEW_STEPS if is_costly else STEPS, tol=1e-3)
        with warnings.catch_warnings():
            if is_costly:
                warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(features, labels)
        accuracy = sum(a == b for a, b in zip(model.predict(development_features), gold, strict=True)) / len(gold)
        choices.append((accuracy, penalty, model))
    accuracy, penalty, model = max(choices, key=lambda choice: choice[0])
    rows = model.predict_proba(test_features).tolist()
    predictions = [dict(zip(model.classes_.tolist(), row, strict=True)) for row in rows]
    return _Choice(accuracy=accuracy, name=f"{grams_name}, C={penalty:g}", predictions=predictions)


def _label(example: LabelledExample) -> str | None:
    """The label, or the one that has most of the target; None where no label has more than half."""
    if example.target is None:
        return example.label
    label, share = max(example.target.items(), key=lambda item: item[1])
    return label if share > 0.5 else example.label

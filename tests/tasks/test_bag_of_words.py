import dataclasses
import re

import pytest
from samples import review_examples
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from nlp_lstm.data.example import LabelledExample
from nlp_lstm.tasks import bag_of_words
from nlp_lstm.tasks.bag_of_words import tune_bag_of_words
from nlp_lstm.text.document import Document


def example(text: str, label: str | None = None, **others) -> LabelledExample:
    return LabelledExample(document=Document.from_words(text.split()), label=label, **others)


def tune(training, development, test, *, lower_case=True):
    [(name, rows)] = tune_bag_of_words(training, development, test, lower_case=lower_case).items()
    return name, rows


TRAIN, DEV, TEST = review_examples()[:46], review_examples()[46:54], review_examples()[54:]


@pytest.fixture(scope="module")
def tuned():
    return tune(TRAIN, DEV, TEST)


def test_the_answers_are_those_of_scikit_learn_with_the_settings_in_the_name(tuned):
    name, rows = tuned
    penalty = float(re.search(r"C=([\d.]+)", name)[1])
    longest = int(re.search(r"1 to (\d) words", name)[1]) if "1 to" in name else 1
    vectorizer = TfidfVectorizer(
        preprocessor=None,
        tokenizer=str.split,
        token_pattern=None,
        lowercase=True,
        ngram_range=(1, longest),
        sublinear_tf=True,
    )
    features = vectorizer.fit_transform(" ".join(one.document.words) for one in TRAIN)
    model = LogisticRegression(C=penalty, max_iter=300, tol=1e-3).fit(features, [one.label for one in TRAIN])
    expected = model.predict_proba(vectorizer.transform(" ".join(one.document.words) for one in TEST))
    for row, shares in zip(rows, expected, strict=True):
        # The features come in another order, and lbfgs stops at 1e-3.
        assert list(row.values()) == pytest.approx(shares.tolist(), abs=5e-3)
        assert list(row) == ["NEGATIVE", "POSITIVE"]


def test_the_test_labels_are_never_read(tuned):
    turned = [dataclasses.replace(one, label=None) for one in TEST]
    assert tune(TRAIN, DEV, turned) == tuned


def test_the_settings_are_chosen_on_the_development_data():
    # Only the pair "not good" tells, and only where n-grams reach that far.
    training = [example("not good at all", "no"), example("good not bad", "yes")] * 6
    development = [example("so not good here", "no"), example("good not here", "yes")] * 3
    name, _ = tune(training, development, development)
    assert "1 to 2 words" in name or "1 to 3 words" in name
    words = [example("dull", "no"), example("fine", "yes")] * 6
    assert "(words, C=1;" in tune(words, words, words)[0]  # of equals the simplest


def test_phrases_are_used_where_they_help_on_the_development_data():
    sentences = [example("a dull film", "no"), example("a fine film", "yes")] * 3
    phrases = [example(text, label, is_phrase=True) for text, label in (("weak", "no"), ("grand", "yes"))] * 3
    development = [example("weak", "no"), example("grand", "yes")] * 2
    assert "12 phrases and sentences" in tune([*sentences, *phrases], development, development)[0]
    wrong = [dataclasses.replace(one, label="no" if one.label == "yes" else "yes") for one in phrases]
    assert "6 sentences" in tune([*sentences, *wrong], development, development)[0]


def test_of_mixed_targets_the_label_with_more_than_half_counts_and_others_are_left_out():
    training = [
        *[example("dull", target={"no": 0.8, "yes": 0.2}), example("fine", target={"no": 0.1, "yes": 0.9})] * 3,
        *[example("so so", target={"no": 0.5, "yes": 0.5})] * 5,
    ]
    name, [row] = tune(training, [example("dull", "no")], [example("fine")])
    assert "6 texts" in name
    assert row["yes"] > 0.5


def test_without_two_labels_there_is_no_baseline():
    assert tune_bag_of_words([example("a", "no")], [example("a", "no")], [example("a")], lower_case=True) == {}


def test_case_is_read_as_the_network_reads_it():
    training = [example("FINE dull", "yes"), example("fine DULL", "no")] * 6
    for lower_case, sure in ((False, True), (True, False)):
        _, [row] = tune(training, training, [example("FINE dull")], lower_case=lower_case)
        # In lower case both texts are the same words in the same order.
        assert (row["yes"] > 0.6) is sure


def test_with_many_labels_the_grid_shrinks_and_the_name_says_so(monkeypatch):
    training = [example(f"word{label} and some more of it", f"label {label}") for label in range(40) for _ in range(3)]
    full, _ = tune(training, training[::3], training[::3])
    assert "words, C=" in full
    fits: list[float] = []

    class Counting(LogisticRegression):
        def fit(self, features, labels):
            fits.append(self.C)
            return super().fit(features, labels)

    monkeypatch.setattr("sklearn.linear_model.LogisticRegression", Counting)
    tune(training, training[::3], training[::3])
    assert len(fits) == 12  # three sizes, four penalties
    num_words = 40 * 6 * 3
    fits.clear()
    monkeypatch.setattr(bag_of_words, "LARGEST_COST", 40 * num_words)
    assert "(words, C=" in tune(training, training[::3], training[::3])[0]
    assert len(fits) == 4
    fits.clear()
    monkeypatch.setattr(bag_of_words, "LARGEST_COST", 40 * num_words - 1)
    monkeypatch.setattr(bag_of_words, "MOST_WEIGHTS", 40 * 30)
    name, rows = tune(training, training[::3], training[::3])
    assert "(the 30 commonest words, 50 steps, untuned for 40 labels, C=16; 120 texts)" in name
    assert fits == [16]
    assert sum(max(row, key=row.__getitem__) == one.label for row, one in zip(rows, training[::3], strict=True)) >= 25

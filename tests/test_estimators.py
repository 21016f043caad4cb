"""Estimators by scikit-learn's own checks, in its own tools, and against the model that they carry."""

import pickle

import numpy as np
import pandas
import pytest
from samples import REVIEWS, SMALL_CLASSIFIER, SMALL_NETWORK, tagged_examples
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, KFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.estimator_checks import check_estimator, estimator_checks_generator
from sklearn.utils.validation import validate_data

from nlp_lstm import Pipeline, TextClassifier, TextTagger
from nlp_lstm.errors import CheckpointError, ConfigError, DataError
from nlp_lstm.estimators import _choose
from nlp_lstm.settings import apply_overrides, dotted

ROWS = [line.split("\t") for line in REVIEWS.read_text(encoding="utf-8").splitlines()[1:]]
TEXTS, LABELS = [row[0] for row in ROWS], [row[1] for row in ROWS]
TINY = dotted(apply_overrides({}, SMALL_CLASSIFIER))
TINY_TAGGER = dotted(apply_overrides({}, SMALL_NETWORK))
CHECKED = {**TINY, "model.encoder": "none", "model.pooling": "mean", "precision": "fp32"}


def tiny(**parameters):
    return TextClassifier(changes=TINY, **{"tokens": 600, **parameters})


@pytest.fixture(scope="module")
def fitted():
    return tiny(tokens=8_000).fit(TEXTS, LABELS)


# ---- scikit-learn's checks


class NumbersAsTexts(TextClassifier):
    """Reads a row of numbers as a text, so that scikit-learn's checks, which make such rows, apply."""

    def fit(self, X, y):  # noqa: N803
        X, y = validate_data(self, X, y)  # noqa: N806
        return super().fit(self.write(X), y)

    def predict_proba(self, X):  # noqa: N803
        if not hasattr(self, "model_"):
            raise NotFittedError("fit it first")
        return super().predict_proba(self.write(validate_data(self, X, reset=False)))

    @staticmethod
    def write(rows):
        return [
            " ".join(f"x{column}{'nl'[int(n > 0)]}{round(abs(2 * n))}" for column, n in enumerate(row)) for row in rows
        ]

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.string = tags.input_tags.one_d_array = False
        tags.input_tags.two_d_array = True
        return tags


QUICK = {
    "check_estimator_cloneable",
    "check_estimator_tags_renamed",
    "check_valid_tag_types",
    "check_estimator_repr",
    "check_no_attributes_set_in_init",
    "check_fit_score_takes_y",
    "check_estimators_overwrite_params",
    "check_dont_overwrite_parameters",
    "check_estimators_fit_returns_self",
    "check_estimators_unfitted",
    "check_do_not_raise_errors_in_init_or_set_params",
    "check_mixin_order",
    "check_parameters_default_constructible",
    "check_get_params_invariance",
    "check_set_params",
    "check_estimators_pickle",
    "check_requires_y_none",
}
"""The checks of the default run; the others train for some minutes together."""


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
@pytest.mark.parametrize("estimator", [TextClassifier(), TextTagger()])
def test_what_scikit_learn_checks_of_estimators_of_text(estimator):
    """That is little: it skips what takes rows of numbers, for which `NumbersAsTexts` stands in below."""
    check_estimator(estimator)


def checks_of_classifiers():
    """Each check of scikit-learn, all of which are expected to pass."""
    for estimator, check in estimator_checks_generator(NumbersAsTexts(changes=CHECKED, tokens=400)):
        name = check.func.__name__
        if name == "check_classifiers_train":  # which asks for 83 %
            estimator = NumbersAsTexts(changes=CHECKED, tokens=6_000)
        yield pytest.param(estimator, check, marks=[] if name in QUICK else [pytest.mark.slow], id=name)


@pytest.mark.parametrize(("estimator", "check"), list(checks_of_classifiers()))
def test_what_scikit_learn_checks_of_classifiers(estimator, check):
    check(estimator)


# ---- in scikit-learn's tools


def test_a_fitted_classifier_gives_what_its_model_says(fitted):
    assert fitted.classes_.tolist() == ["NEGATIVE", "POSITIVE"]
    probabilities = fitted.predict_proba(TEXTS)
    assert probabilities.shape == (len(TEXTS), 2)
    expected = fitted.model_.pipeline.predict(TEXTS, top_k=None)
    for row, answers in zip(probabilities, expected, strict=True):
        assert dict(zip(fitted.classes_, row, strict=True)) == pytest.approx(
            {answer["label"]: answer["score"] for answer in answers}, abs=1e-6
        )
    assert fitted.predict(TEXTS).tolist() == [answers[0]["label"] for answers in expected]
    assert fitted.score(TEXTS, LABELS) > 0.8


def test_texts_come_as_a_list_an_array_or_a_column_and_classes_of_any_type(fitted):
    column = pandas.Series(TEXTS, index=range(5, 5 + len(TEXTS)))
    for texts in (np.array(TEXTS), np.array(TEXTS, dtype=object), column, tuple(TEXTS)):
        assert (fitted.predict_proba(texts) == fitted.predict_proba(TEXTS)).all()
    numbers = np.array([label == "POSITIVE" for label in LABELS]) * 2 - 1
    of_numbers = tiny(tokens=8_000).fit(column, pandas.Series(numbers))
    assert of_numbers.classes_.tolist() == [-1, 1]
    assert of_numbers.predict(TEXTS).dtype == numbers.dtype
    np.testing.assert_allclose(of_numbers.predict_proba(TEXTS), fitted.predict_proba(TEXTS), atol=1e-6)


def test_grids_cross_validation_and_pipelines_take_it():
    grid = GridSearchCV(tiny(), {"hidden": [8], "changes": [TINY, {**TINY, "model.cell": "gru"}]}, cv=2)
    grid.fit(TEXTS, LABELS)
    assert grid.best_estimator_.model_.pipeline.predictor.settings.hidden == 8
    assert np.isfinite(grid.cv_results_["mean_test_score"]).all()
    assert grid.predict(TEXTS[:2]).shape == (2,)
    lowered = make_pipeline(FunctionTransformer(lambda texts: [text.lower() for text in texts]), tiny())
    assert cross_val_score(lowered, TEXTS, LABELS, cv=2, scoring="roc_auc").shape == (2,)


@pytest.mark.distributed
def test_grids_run_in_several_processes():
    grid = GridSearchCV(tiny(), {"hidden": [4]}, cv=2, n_jobs=2).fit(TEXTS, LABELS)
    alone = GridSearchCV(tiny(), {"hidden": [4]}, cv=2).fit(TEXTS, LABELS)
    assert grid.cv_results_["mean_test_score"] == pytest.approx(alone.cv_results_["mean_test_score"])


def test_the_same_data_and_state_give_the_same_network():
    first, again = tiny().fit(TEXTS, LABELS), tiny().fit(TEXTS, LABELS)
    other = tiny(random_state=3).fit(TEXTS, LABELS)
    assert first.model_.to_bytes() == again.model_.to_bytes() != other.model_.to_bytes()
    assert clone(first).get_params() == first.get_params()
    assert not hasattr(clone(first), "model_")


def test_a_pickle_has_the_files_of_the_model_and_they_are_checked(fitted, tmp_path):
    content = pickle.dumps(fitted)
    assert fitted.model_.to_bytes() in content
    assert b"torch" not in content.replace(fitted.model_.to_bytes(), b"")
    loaded = pickle.loads(content)
    assert (loaded.predict_proba(TEXTS) == fitted.predict_proba(TEXTS)).all()
    loaded.model_.save(tmp_path / "model")
    assert Pipeline(tmp_path / "model").predict(TEXTS[0])["label"] == fitted.predict(TEXTS[:1])[0]
    with pytest.raises(CheckpointError, match=r"Bad CRC-32 for file 'vocab\.json'"):
        pickle.loads(content.replace(b'"NEGATIVE"', b'"NEUTRALS"', 1))


def test_words_can_be_learnt_without_pretrained_vectors():
    recipe = TextClassifier(pretrained_vectors=False)._read_recipe()
    assert (recipe.model.embedding.vectors, recipe.model.embedding.words) == (None, "learned")
    assert TextTagger(pretrained_vectors=False)._read_recipe().model.embedding.vectors is None


@pytest.mark.filterwarnings("ignore::nlp_lstm.tasks.classification.EmptyTextWarning")
def test_texts_without_words_get_the_shares_of_the_classes():
    classifier = tiny().fit(["", *TEXTS, " "], ["POSITIVE", *LABELS, "NEGATIVE"])
    assert classifier.predict_proba([""])[0] == pytest.approx([0.5, 0.5], abs=0.05)


# ---- what is refused


@pytest.mark.parametrize(
    ("texts", "classes", "message"),
    [
        ("a text", LABELS, "X is 'a text'"),
        ([["a"], ["b"]], ["x", "y"], r"text 0 is \['a'\]"),
        (np.array([TEXTS]), LABELS, "X is"),
        (["a", None], ["x", "y"], "text 1 is None"),
        (TEXTS, LABELS[:-1], "inconsistent numbers of samples"),
        (TEXTS, None, "requires y to be passed"),
        (TEXTS, ["one"] * len(TEXTS), "y has the one class 'one'"),
        (TEXTS, np.linspace(0, 1, len(TEXTS)), "Unknown label type"),
        (["a", "b", " "], ["x", "x", "y"], "a class has no text with words"),
    ],
)
def test_what_is_no_text_or_no_class_is_refused(texts, classes, message):
    with pytest.raises(ValueError, match=message):
        tiny().fit(texts, classes)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"recipe": "pos"}, 'is of the task "pos"; give one of "sentiment"'),
        ({"hidden": 0}, "model.hidden is 0"),
        ({"changes": {"model.hiden": 3}}, 'Did you mean "hidden"'),
        ({"validation_fraction": 1.5}, "validation_fraction is 1.5"),
        ({"changes": {**TINY, "distillation.teachers": 2}}, "no teachers"),
    ],
)
def test_parameters_are_checked_when_it_is_fitted(parameters, message):
    with pytest.raises(ConfigError, match=message):
        TextClassifier(**parameters).fit(TEXTS, LABELS)


def test_an_unfitted_estimator_says_so():
    with pytest.raises(NotFittedError):
        tiny().predict(TEXTS)


# ---- taggers


def test_a_tagger_learns_and_is_cross_validated():
    examples = tagged_examples()
    sentences = [example.document.words for example in examples]
    labels = [list(example.labels["upos"]) for example in examples]
    tagger = TextTagger(changes=TINY_TAGGER, tokens=12_000).fit(sentences, labels)
    assert tagger.score(sentences, labels) > 0.8
    assert [len(answer) for answer in tagger.predict(sentences)] == list(map(len, sentences))
    assert set(tagger.classes_) == {label for row in labels for label in row}
    again = pickle.loads(pickle.dumps(tagger))
    assert again.predict([*sentences[:2], []]) == [*tagger.predict(sentences[:2]), []]
    quick = TextTagger(changes=TINY_TAGGER, tokens=500)
    grid = GridSearchCV(quick, {"hidden": [4, 8]}, cv=KFold(2)).fit(sentences, labels)
    assert grid.best_score_ > 0


def test_sentences_and_labels_have_to_fit():
    with pytest.raises(DataError, match="sentence 1 has 2 tokens"):
        TextTagger(changes=TINY_TAGGER).fit([["a"], ["b", "c"]], [["X"], ["Y"]])
    with pytest.raises(DataError, match="sentence 0 is 'ab'"):
        TextTagger(changes=TINY_TAGGER).fit(["ab"], [["X", "Y"]])


# ---- what is kept for validation


def test_every_class_is_learnt_and_about_the_share_is_kept():
    strata = [0] * 50 + [1] * 30 + [2] * 3 + [3]
    chosen = _choose(strata, 0.2, seed=1)
    kept = [strata[place] for place in sorted(chosen)]
    assert {stratum: kept.count(stratum) for stratum in range(4)} == {0: 10, 1: 6, 2: 0, 3: 0}
    assert _choose(strata, 0.2, seed=1) == chosen != _choose(strata, 0.2, seed=2)
    assert _choose([0, 1], 0.9, seed=1) == set()

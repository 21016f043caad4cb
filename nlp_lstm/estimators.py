"""Networks as estimators of scikit-learn: fitted on texts in memory, by the recipes that `nlp-lstm run` follows.

    GridSearchCV(TextClassifier(tokens=200_000), {"hidden": [64, 128], "dropout": [0.3, 0.5]}).fit(texts, labels)

Of a recipe the settings of model and training count, and the precision of the stored weights. Its data sets, and how
they are read, do not: the texts and labels are those that `fit` gets, as they are.

A fitted estimator can be pickled, as joblib and `GridSearchCV` with several processes need it. Of the network the
pickle has the bytes of a model folder (JSON, safetensors), which are checked when they come back as any model is. The
rest is a pickle like any other: open none from people you would not run a program of. Models to pass on are written by
``estimator.model_.save(folder)``, which is no pickle.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import check_consistent_length, check_random_state, column_or_1d
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted

from nlp_lstm.carried import CarriedModel, pack_folder
from nlp_lstm.data.example import LabelledExample, TaggedExample
from nlp_lstm.errors import ConfigError, DataError, shorten
from nlp_lstm.recipes import Recipe, load_recipe
from nlp_lstm.text.document import Document
from nlp_lstm.text.tokenize import Tokenizer, check_text

OWN_DATA = "texts in memory"  # what a model's config.json says that it was trained on
_SHORT_NAMES = {
    "hidden": "model.hidden",
    "layers": "model.layers",
    "dropout": "model.dropout",
    "learning_rate": "training.learning_rate",
    "tokens": "training.tokens",
}


class TextEstimator(BaseEstimator):
    """What the estimators share. Parameters that are None are those of the recipe.

    Args:
        recipe: a bundled recipe's name or a YAML file; None takes ``usual_recipe``.
        hidden: features of the hidden state.
        layers: recurrent layers.
        dropout: between the layers and on the outputs.
        learning_rate: at its highest.
        tokens: training length, over all epochs.
        pretrained_vectors: whether words begin as the recipe's vectors, which are fetched at the first time; without
            them they are learnt from the texts alone.
        changes: further changes to the recipe by dotted key, as in ``{"model.cell": "gru"}``; the parameters above win.
        validation_fraction: share of what `fit` gets that is not learnt, but chooses the best weights and calibrates
            the probabilities. Where that is less than one text, all of it is learnt and chooses.
        random_state: of the weights, the dropout, the order of the texts and their choice for validation; None takes
            the recipe's seed, so that the same data gives the same network.
    """

    task: ClassVar[str]
    usual_recipe: ClassVar[str]

    def __init__(
        self,
        recipe: str | None = None,
        *,
        hidden: int | None = None,
        layers: int | None = None,
        dropout: float | None = None,
        learning_rate: float | None = None,
        tokens: int | None = None,
        pretrained_vectors: bool = True,
        changes: Mapping[str, Any] | None = None,
        validation_fraction: float = 0.1,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.recipe = recipe
        self.hidden = hidden
        self.layers = layers
        self.dropout = dropout
        self.learning_rate = learning_rate
        self.tokens = tokens
        self.pretrained_vectors = pretrained_vectors
        self.changes = changes
        self.validation_fraction = validation_fraction
        self.random_state = random_state

    def _read_recipe(self) -> Recipe:
        """Return the recipe with this estimator's parameters.

        Raises:
            ConfigError: a parameter has no valid value, or the recipe is of another task.
        """
        changes = {key: getattr(self, name) for name, key in _SHORT_NAMES.items() if getattr(self, name) is not None}
        if not self.pretrained_vectors:
            changes |= {"model.embedding.vectors": None, "model.embedding.words": "learned"}
        if self.random_state is not None:
            changes["training.seed"] = int(check_random_state(self.random_state).randint(2**31 - 1))
        recipe = load_recipe(self.recipe or self.usual_recipe, {**(self.changes or {}), **changes})
        if recipe.task != self.task:
            raise ConfigError(f'the recipe {self.recipe} is of the task "{recipe.task}"; give one of "{self.task}"')
        if recipe.distillation.has_teachers:
            raise ConfigError("an estimator has no teachers; set distillation.teachers to 0 in changes")
        if not isinstance(self.validation_fraction, (int, float)) or not 0 <= self.validation_fraction < 1:
            raise ConfigError(f"validation_fraction is {shorten(self.validation_fraction)}; give a share below 1")
        return recipe

    def _train(self, recipe: Recipe, examples: Sequence[Any], strata: Sequence[Any]) -> CarriedModel:
        """Train a network.

        Args:
            recipe: how.
            examples: what there is.
            strata: the stratum of each, of which as many as possible are both learnt and used for validation.
        """
        from nlp_lstm.runs import load_recipe_vectors, take_models
        from nlp_lstm.tasks import tasks
        from nlp_lstm.training import train
        from nlp_lstm.weights import own_weights, save_model

        def say(line: str) -> None:
            pass

        held_out = _choose(strata, self.validation_fraction, recipe.training.seed)
        training = [example for place, example in enumerate(examples) if place not in held_out]
        development = [examples[place] for place in sorted(held_out)] or training
        task = tasks.get(recipe.task).prepare(recipe.model, training, load_recipe_vectors(recipe, say), say)
        take_models(task, recipe, say)
        with tempfile.TemporaryDirectory(prefix="nlp-lstm-") as made:
            result = train(task, training, development, recipe.training, Path(made) / "run")
            task.calibrate(result.model, development)
            save_model(
                Path(made) / "model",
                task=recipe.task,
                language=recipe.language,
                data=OWN_DATA,
                model_settings=task.settings,
                vocabulary=task.vocabulary(),
                vocabulary_files=task.vocabulary_files(),
                weights=own_weights(result.model),
                precision=recipe.precision,
            )
            return CarriedModel.from_bytes(pack_folder(Path(made) / "model"))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.one_d_array = True
        tags.input_tags.two_d_array = False
        tags.target_tags.required = True
        return tags


class TextClassifier(ClassifierMixin, TextEstimator):
    """A recurrent network that gives each text one of two or more classes.

    X is a sequence of strings: a list, an array, a column of a table. y has any labels that scikit-learn takes for
    classes. Texts without words teach nothing and are left out of the training; their answer is how frequent each class
    is. All parameters are those of `TextEstimator`.

    Attributes:
        classes_: the classes, sorted.
        model_: the trained model; ``model_.pipeline`` is its `Pipeline`, ``model_.save(folder)`` writes it.

    Example:
        >>> from nlp_lstm import TextClassifier
        >>> classifier = TextClassifier(tokens=100_000).fit(texts, labels)
        >>> classifier.predict_proba(["A quiet, wonderful film."])
    """

    task: ClassVar[str] = "sentiment"
    usual_recipe: ClassVar[str] = "questions"

    def fit(self, X: Any, y: Any) -> TextClassifier:  # noqa: N803
        """Train on texts and their classes.

        Raises:
            DataError: the texts are no texts, or there are fewer than two classes.
            ConfigError: a parameter has no valid value.
        """
        recipe = self._read_recipe()
        texts = check_texts(X)
        if y is None:
            raise DataError("y is None; TextClassifier requires y to be passed, the class of each text")
        targets = column_or_1d(y, warn=True)
        check_consistent_length(texts, targets)
        check_classification_targets(targets)
        classes, codes = np.unique(targets, return_inverse=True)
        if len(classes) < 2:
            raise DataError(f"y has the one class {shorten(classes[0])}; a classifier needs two classes at least")
        labels = _label_names(classes)
        tokenizer = Tokenizer(recipe.language)
        documents = [tokenizer.tokenize(text) for text in texts]
        kept = [place for place, document in enumerate(documents) if len(document)]
        if len({codes[place] for place in kept}) < len(classes):
            raise DataError("a class has no text with words in it; leave it out, or give texts for it")
        examples = [LabelledExample(document=documents[place], label=labels[codes[place]]) for place in kept]
        self.model_ = self._train(recipe, examples, [codes[place] for place in kept])
        self.classes_ = classes
        return self

    def predict_proba(self, X: Any) -> np.ndarray:  # noqa: N803
        """Return the probability of each class for each text, `text class`, float64."""
        check_is_fitted(self)
        columns = {label: column for column, label in enumerate(_label_names(self.classes_))}
        texts = check_texts(X)
        probabilities = np.zeros((len(texts), len(self.classes_)))
        for row, answers in enumerate(self.model_.pipeline.predict(texts, top_k=None)):
            for answer in answers:
                probabilities[row, columns[answer["label"]]] = answer["score"]
        return probabilities / probabilities.sum(axis=1, keepdims=True)  # which are those of fp32

    def predict(self, X: Any) -> np.ndarray:  # noqa: N803
        """Return the most probable class of each text."""
        probabilities = self.predict_proba(X)
        return np.asarray(self.classes_[probabilities.argmax(axis=1)])


class TextTagger(TextEstimator):
    """A recurrent network that gives each token a label.

    X is a list of sentences, each a list of tokens; y has a list of as many labels for each. It is no classifier to
    scikit-learn, whose targets are one for each sample, so scorers other than `score` do not apply; grids and
    cross-validation do. All parameters are those of `TextEstimator`.

    Attributes:
        classes_: the labels, sorted.
        model_: the trained model; ``model_.pipeline`` is its `Pipeline`, ``model_.save(folder)`` writes it.
    """

    task: ClassVar[str] = "pos"
    usual_recipe: ClassVar[str] = "pos"

    def fit(self, X: Sequence[Sequence[str]], y: Sequence[Sequence[str]]) -> TextTagger:  # noqa: N803
        """Train on sentences and their labels.

        Raises:
            DataError: a sentence is no list of tokens, or has another number of labels than tokens.
            ConfigError: a parameter has no valid value.
        """
        recipe = self._read_recipe()
        sentences = _check_sentences(X)
        check_consistent_length(sentences, y)
        examples = []
        for place, (words, labels) in enumerate(zip(sentences, y, strict=True)):
            if isinstance(labels, str) or len(labels) != len(words):
                raise DataError(f"sentence {place} has {len(words)} tokens; y has {shorten(labels)} for it")
            if words:
                names = tuple(str(label) for label in labels)
                examples.append(TaggedExample(document=Document.from_words(words), labels={"label": names}))
        if not examples:
            raise DataError("there is no sentence to learn from; give at least one with tokens in it")
        self.model_ = self._train(recipe, examples, [0] * len(examples))
        self.classes_ = np.unique([label for example in examples for label in example.labels["label"]])
        return self

    def predict(self, X: Sequence[Sequence[str]]) -> list[list[str]]:  # noqa: N803
        """Return a label for each token of each sentence."""
        check_is_fitted(self)
        answers = self.model_.pipeline.predict(_check_sentences(X), pretokenized=True)
        return [[token["entity"] for token in answer] for answer in answers]

    def score(self, X: Sequence[Sequence[str]], y: Sequence[Sequence[str]]) -> float:  # noqa: N803
        """Return the share of tokens whose label is right."""
        pairs = [
            (str(gold), predicted)
            for labels, answer in zip(y, self.predict(X), strict=True)
            for gold, predicted in zip(labels, answer, strict=True)
        ]
        return sum(gold == predicted for gold, predicted in pairs) / max(1, len(pairs))


def check_texts(given: Any) -> list[str]:
    """Return texts as a list.

    Raises:
        DataError: it is one string, or an item is none; names its index.
    """
    if isinstance(given, (str, bytes)) or not isinstance(given, Iterable) or getattr(given, "ndim", 1) != 1:
        raise DataError(f"X is {shorten(given)} ({type(given).__name__}); give a list, or a column, of strings")
    return [str(check_text(text, f"text {place}")) for place, text in enumerate(given)]


def _check_sentences(given: Any) -> list[list[str]]:
    if isinstance(given, (str, bytes)) or not isinstance(given, Iterable):
        raise DataError(f"X is {shorten(given)} ({type(given).__name__}); give a list of lists of tokens")
    sentences = []
    for place, sentence in enumerate(given):
        if isinstance(sentence, (str, bytes)) or not isinstance(sentence, Iterable):
            raise DataError(f"sentence {place} is {shorten(sentence)}; give a list of tokens")
        sentences.append([str(check_text(word, f"sentence {place}, a token")) for word in sentence])
    return sentences


def _label_names(classes: np.ndarray) -> list[str]:
    """Return the label of each class in the model.

    Raises:
        DataError: two classes have the same.
    """
    names = [str(name) for name in classes]
    if len(set(names)) < len(names):
        raise DataError(f"classes of different types look the same: {shorten(names)}; give them other names")
    return names


def _choose(strata: Sequence[Any], share: float, seed: int) -> set[int]:
    """Return the places that are held out: of each stratum about that share, but never all of it."""
    members: dict[Any, list[int]] = {}
    for place, stratum in enumerate(strata):
        members.setdefault(stratum, []).append(place)
    random = np.random.RandomState(seed % 2**32)
    chosen: set[int] = set()
    debt = 0.0  # strata too small for one of their own are served together
    for places in members.values():
        debt += share * len(places)
        count = min(int(debt), len(places) - 1)
        chosen.update(random.permutation(places)[:count].tolist())
        debt -= count
    return chosen

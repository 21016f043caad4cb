"""Systems beside a model of series that are no networks: they know the last steps, or a series in summary, but no order
beyond."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from nlp_lstm.data.series import SeriesExample
from nlp_lstm.tasks.series_answers import SeriesFacts, standardised

LAGS = 5
"""Steps that the regression for one step sees: it and those before; beside a bidirectional model those after, too."""

PENALTIES = (0.001, 0.01, 0.1, 1.0, 10.0)
STEPS = 300
MOST_PAIRS = 500  # of neighbouring symbols that a summary counts


def step_features(example: SeriesExample, facts: SeriesFacts, *, looks_back_only: bool) -> NDArray[np.float32]:
    """Return what the regression sees of each step that counts: it and its neighbours, standardised, `step feature`."""
    parts = [standardised(example.numbers, facts)] if facts.columns else []
    if facts.symbols is not None:
        parts.append(np.eye(len(facts.symbols))[facts.symbols.ids(example.symbols)])
    steps = np.concatenate(parts, axis=1)
    shifts = range(-LAGS + 1, 1) if looks_back_only else range(-LAGS + 1, LAGS)
    padded = np.pad(steps, ((LAGS, LAGS), (0, 0)))
    moved = [padded[LAGS + shift : LAGS + shift + len(steps)] for shift in shifts]
    return np.concatenate(moved, axis=1)[example.first :].astype(np.float32)


class Summary:
    """What the regression sees of a whole series: mean, spread, ends and extremes, and how frequent symbols are.

    Args:
        examples: training series, which say what pairs of symbols there are.
        facts: of the training.
    """

    def __init__(self, examples: Sequence[SeriesExample], facts: SeriesFacts) -> None:
        self._facts = facts
        pairs = Counter(
            pair for example in examples for pair in zip(example.symbols, example.symbols[1:], strict=False)
        )
        self._pairs = {pair: number for number, (pair, _) in enumerate(pairs.most_common(MOST_PAIRS))}

    def features(self, example: SeriesExample) -> NDArray[np.float32]:
        """Return the features of one series."""
        parts: list[NDArray[np.float64]] = [np.array([np.log1p(len(example))])]
        if self._facts.columns:
            steps = standardised(example.numbers, self._facts)
            parts += [steps.mean(axis=0), steps.std(axis=0), steps.min(axis=0), steps.max(axis=0), steps[0], steps[-1]]
        if self._facts.symbols is not None:
            ids = self._facts.symbols.ids(example.symbols)
            parts.append(np.bincount(ids, minlength=len(self._facts.symbols)) / len(ids))
            pairs = np.zeros(len(self._pairs))
            for pair in zip(example.symbols, example.symbols[1:], strict=False):
                if pair in self._pairs:
                    pairs[self._pairs[pair]] += 1 / len(ids)
            parts.append(pairs)
        return np.concatenate(parts).astype(np.float32)


def fit_logistic(
    training: NDArray[np.float32], labels: Sequence[str], development: NDArray[np.float32], dev_labels: Sequence[str]
) -> tuple[str, object]:
    """Return the logistic regression whose penalty does best on the development items, and what it is called."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import log_loss
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    best: tuple[float, float, object] | None = None
    for inverse in PENALTIES:
        model = make_pipeline(StandardScaler(), LogisticRegression(C=inverse, max_iter=STEPS))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # not converged within STEPS: it is a baseline, fitted as far as it comes
            model.fit(training, labels)
        known = list(model.classes_)
        pairs = [place for place, label in enumerate(dev_labels) if label in known]
        loss = np.inf
        if pairs:
            loss = log_loss(
                [dev_labels[place] for place in pairs], model.predict_proba(development[pairs]), labels=known
            )
        if best is None or loss < best[0]:
            best = (loss, inverse, model)
    if best is None:
        raise TypeError("there is at least one penalty")
    return f"logistic regression (C = {best[1]:g})", best[2]


def fit_ridge(
    training: NDArray[np.float32], values: NDArray[np.float64], development: NDArray[np.float32], dev_values: NDArray
) -> tuple[str, object]:
    """Return the linear regression whose penalty does best on the development items, and what it is called."""
    from sklearn.linear_model import Ridge

    best: tuple[float, float, object] | None = None
    for penalty in (1.0, 10.0, 100.0, 1_000.0, 10_000.0):
        model = Ridge(alpha=penalty).fit(training, values)
        error = float(((model.predict(development) - dev_values) ** 2).mean()) if len(dev_values) else 0.0
        if best is None or error < best[0]:
            best = (error, penalty, model)
    if best is None:
        raise TypeError("there is at least one penalty")
    return f"linear regression (penalty {best[1]:g})", best[2]

"""Scores of scikit-learn for sequences of several lengths, whose labels its metrics would refuse."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.metrics import get_scorer

from bothways.sequences import Array, Bools, unmasked


def scorer(scoring: str | Callable[..., float]) -> Callable[..., float]:
    """A scorer of scikit-learn that takes the labels of all sequences together, whatever the form of X and y.

    It is for `cross_val_score`, `GridSearchCV`, `learning_curve` and their like. Missing labels do not count.

    Args:
        scoring: a name such as "f1_macro" or "roc_auc", or what `sklearn.metrics.make_scorer` gives.

    Example:
        >>> from bothways import SequenceLabeler
        >>> from sklearn.model_selection import cross_val_score
        >>> X = [np.random.default_rng(n).normal(size=(n, 1)) for n in range(2, 22)]
        >>> y = [(x[:, 0] > 0).astype(int) for x in X]
        >>> scores = cross_val_score(SequenceLabeler(units=4, epochs=10), X, y, cv=2, scoring=scorer("f1_macro"))
        >>> bool(scores.min() > 0.6)
        True
    """
    return partial(_scored, get_scorer(scoring))


def _scored(scoring: Callable[..., float], estimator: Any, X: Any, y: Any, sample_weight: Any = None) -> float:
    labels = _flat(y)
    missing = getattr(estimator, "missing_label", None)
    there = np.array([not (label is None or label != label or label == missing) for label in labels.tolist()])
    weights = {} if sample_weight is None else {"sample_weight": _flat(sample_weight)[there]}
    # Beside a missing one, numbers are floats or objects.
    return scoring(_Flat(estimator, there), X, labels[there].astype(estimator.classes_.dtype), **weights)


class _Flat(ClassifierMixin, BaseEstimator):
    """A fitted labeler whose predictions come as one array."""

    def __init__(self, labeler: Any, there: Bools) -> None:
        self.labeler = labeler
        self.there = there
        self.classes_ = labeler.classes_

    def predict(self, X: Any) -> Array:
        """The labels of all that counts."""
        return _flat(self.labeler.predict(X))[self.there]

    def predict_proba(self, X: Any) -> Array:
        """The probabilities of all that counts."""
        return _flat(self.labeler.predict_proba(X), axes=1)[self.there]


def _flat(values: Any, axes: int = 0) -> Array:
    """Values of all labels, each with so many axes of its own, as one array."""
    ragged = not hasattr(values, "dtype") or (values.dtype == object and len(values) and np.ndim(values[0]) > axes)
    if ragged and len(values) and np.ndim(values[0]) > axes:
        values = np.concatenate([unmasked(each) for each in values if len(each)] or [np.empty(0)])
    array = unmasked(values)
    return array.reshape(-1, *array.shape[array.ndim - axes :])

"""Scores of scikit-learn for sequences of several lengths, whose labels its metrics would refuse."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.metrics import get_scorer

from bothways.labeler.examples import places
from bothways.labeler.labels import check_kind, checked_labels
from bothways.runtime.inputs import is_frame
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
    missing, counted = _labeler_places(estimator, X)
    labels, there = checked_labels("y", _flat(y)[counted], missing)
    check_kind("y", labels[there], estimator.classes_)
    weights = {} if sample_weight is None else {"sample_weight": _flat(sample_weight)[counted][there]}
    return scoring(_Flat(estimator, counted, there), X, labels[there], **weights)


def _labeler_places(estimator: Any, X: Any) -> tuple[Any, Any]:
    """The label of a labeler that stands for none, and where those that count stand among all labels.

    The labeler may be the last step of a pipeline, or what a search has found.
    """
    labeler = getattr(estimator, "best_estimator_", estimator)
    if hasattr(labeler, "steps"):
        X = X if len(labeler) == 1 else labeler[:-1].transform(X)
        return _labeler_places(labeler[-1], X)
    counted = slice(None)
    if is_frame(X) and getattr(labeler, "per_", "step") == "sequence":
        counted = places(*labeler.model_.read("X", X))
    return getattr(labeler, "missing_label", None), counted


class _Flat(ClassifierMixin, BaseEstimator):
    """A fitted labeler whose predictions come as one array."""

    def __init__(self, labeler: Any, counted: Any, there: Bools) -> None:
        self.labeler = labeler
        self.counted = counted
        self.there = there
        self.classes_ = labeler.classes_

    def predict(self, X: Any) -> Array:
        """The labels of all that counts."""
        return self._counting(_flat(self.labeler.predict(X)))

    def predict_proba(self, X: Any) -> Array:
        """The probabilities of all that counts."""
        return self._counting(_flat(self.labeler.predict_proba(X), axes=1))

    def _counting(self, values: Array) -> Array:
        return np.asarray(values[self.counted][self.there])


def _flat(values: Any, axes: int = 0) -> Array:
    """Values of all labels, each with so many axes of its own, as one array."""
    values = unmasked(values) if hasattr(values, "__array__") else values
    ragged = not hasattr(values, "dtype") or values.dtype == object
    if ragged and len(values) and np.ndim(values[0]) > axes:
        values = np.concatenate([unmasked(each) for each in values if len(each)] or [np.empty(0)])
    array = np.asarray(values)
    return array.reshape(-1, *array.shape[array.ndim - axes :])

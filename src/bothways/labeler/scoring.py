"""Scores of scikit-learn for sequences of several lengths, whose labels its metrics would refuse."""

from __future__ import annotations

import copy
import inspect
import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.metrics import get_scorer, make_scorer

from bothways.data.labels import listed
from bothways.errors import InputError
from bothways.labeler.examples import places
from bothways.labeler.labels import Labels, checked_labels, coded, read_truth, unseen
from bothways.metrics.counts import count_entities
from bothways.metrics.entities import micro
from bothways.metrics.scores import check_tags
from bothways.sequences import Array, Floats, Numbers, Sequences, unmasked
from bothways.tags import scheme_of


def scorer(scoring: str | Callable[..., float]) -> Callable[..., float]:
    """A scorer of scikit-learn that takes the labels of all sequences together, whatever the form of X and y.

    It is for `cross_val_score`, `GridSearchCV`, `learning_curve` and their like, whose estimator is a labeler, a
    pipeline that ends in one, or a search for one. Missing labels do not count. `sample_weight` is as for `fit`, and
    what `scoring` asks for where metadata is routed, it asks for, too.

    Args:
        scoring: a name such as "f1_macro" or "roc_auc", or what `sklearn.metrics.make_scorer` gives; or "entity_f1",
            for labels that are tags such as B-person: the F1 of entities, as conlleval counts them.

    Example:
        >>> from bothways import SequenceLabeler
        >>> from sklearn.model_selection import cross_val_score
        >>> X = [np.random.default_rng(n).normal(size=(n, 1)) for n in range(2, 22)]
        >>> y = [(x[:, 0] > 0).astype(int) for x in X]
        >>> scores = cross_val_score(SequenceLabeler(units=4, epochs=10), X, y, cv=2, scoring=scorer("f1_macro"))
        >>> bool(scores.min() > 0.6)
        True
    """
    return _Scorer(make_scorer(_entity_f1) if scoring == "entity_f1" else get_scorer(scoring))


class _Scorer:
    """What `scorer` gives."""

    def __init__(self, scoring: Callable[..., float]) -> None:
        self._scoring = scoring

    def __call__(self, estimator: Any, X: Any, y: Any, sample_weight: Any = None) -> float:
        """The score of a fitted labeler."""
        labeler, inner = _labeler(estimator, X)
        sequences, form, labels, weights = read_truth(labeler, inner, y, sample_weight)
        if getattr(self._scoring, "_score_func", None) == _entity_f1:
            rows = places(sequences, form)
            predicted = checked_labels("predictions", _flat(estimator.predict(X)), None)
            return _entity_f1(
                _tagged(labeler, sequences, rows, labels, weights),
                coded(Labels("step", *predicted), labeler.classes_)[rows],
            )
        # Predictions for a frame come by row; those that count stand where the model has its labels.
        counted = places(sequences, form) if form == "frame" and sequences.per == "sequence" else slice(None)
        there = labels.present[counted]
        more = {} if weights is None else {"sample_weight": weights[counted][there]}
        flat, truth = _Flat(estimator, counted, there), labels.values[counted][there]
        known, found = np.asarray(flat.classes_).tolist(), set(truth.tolist())
        lacking = [label for label in known if label not in found]
        if not lacking or not found.issubset(known):
            return self._scoring(flat, X, truth, **more)
        try:
            score: float = _with_labels(self._scoring, known)(flat, X, truth, **more)
        except ValueError as reason:
            raise InputError(_lacking(self, lacking, str(reason).rstrip("."))) from None
        if isinstance(score, float) and math.isnan(score):  # some callables give something else
            raise InputError(_lacking(self, lacking, "it is not defined for these labels"))
        return score

    def __repr__(self) -> str:
        return f"scorer({self._scoring!r})"

    def __getattr__(self, name: str) -> Any:
        if name != "get_metadata_routing":  # which scikit-learn looks for
            raise AttributeError(f"A scorer has no {name!r}.")
        return getattr(self._scoring, name)


def _tagged(labeler: Any, sequences: Sequences, rows: Any, labels: Labels, weights: Floats | None) -> Sequences:
    """Sequences with the tags that are true, in the order of the rows of y; refused where labels are no tags."""
    classes, codes = labeler.classes_, coded(labels, labeler.classes_)[rows]
    names = classes.tolist()
    model = getattr(labeler, "model_", None)
    scheme = scheme_of(names) if model is None else model.scheme
    scheme = None if scheme is None or labels.per != "step" else scheme.among([*names, *unseen(labels, classes)])
    weights = None if weights is None else weights[rows]
    tagged = replace(sequences, labels=codes, weights=weights, per=labels.per, scheme=scheme)
    check_tags("entity_f1", tagged)
    return tagged


def _entity_f1(truth: Sequences, predicted: Numbers) -> float:
    """The F1 of entities from codes of tags."""
    return float(micro(*(each.sum(axis=0) for each in count_entities(truth, predicted)))[2])


def _with_labels(scoring: Any, classes: list[Any]) -> Any:
    """A scorer of probabilities that knows their classes, where its score can be told them; any other as it is.

    Scores of labels can be told some, too, but are then the mean over other classes.
    """
    of = getattr(scoring, "_score_func", None)
    if of is None or scoring._response_method == "predict" or "labels" not in inspect.signature(of).parameters:
        return scoring
    told = copy.copy(scoring)
    told._kwargs = {"labels": classes, **scoring._kwargs}
    return told


def _lacking(scoring: _Scorer, labels: list[Any], reason: str) -> str:
    return (
        f"{scoring} cannot score y: {reason}. y has no label {listed(labels)}. Give each part every label, as "
        "StratifiedGroupKFold tries, or take another score."
    )


def _labeler(estimator: Any, X: Any) -> tuple[Any, Any]:
    """The labeler, the last step of a pipeline perhaps, or what a search has found, and what it is given of X."""
    labeler = getattr(estimator, "best_estimator_", estimator)
    if not hasattr(labeler, "steps"):
        return labeler, X
    return _labeler(labeler[-1], X if len(labeler) == 1 else labeler[:-1].transform(X))


class _Flat(ClassifierMixin, BaseEstimator):
    """A fitted labeler whose predictions come as one array."""

    def __init__(self, labeler: Any, counted: Any, there: Array) -> None:
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
    """Values of all labels, each with `axes` axes of its own, as one array."""
    values = unmasked(values) if hasattr(values, "__array__") else values
    ragged = not hasattr(values, "dtype") or values.dtype == object
    if ragged and len(values) and np.ndim(values[0]) > axes:
        values = np.concatenate([unmasked(each) for each in values if len(each)] or [np.empty(0)])
    array = np.asarray(values)
    return array.reshape(-1, *array.shape[array.ndim - axes :])

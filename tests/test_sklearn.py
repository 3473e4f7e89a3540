"""`SequenceLabeler` among scikit-learn's tools: its checks of estimators, cross-validation, searches, pipelines."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.feature_selection import SelectFromModel
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    KFold,
    TimeSeriesSplit,
    cross_val_predict,
    cross_val_score,
    cross_validate,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from bothways.labeler import SequenceLabeler
from bothways.sequences import Array

pytestmark = pytest.mark.filterwarnings("ignore:Column 'first' gives the answer away")  # as it does in `flows`

NOT_FOR_SEQUENCES = {
    "check_methods_sample_order_invariance": "an array (samples, features) is one sequence, told by its order",
    "check_methods_subset_invariance": "the label of a step depends on the steps beside it",
    "check_sample_weight_equivalence_on_dense_data": "a step of weight 0 is read all the same",
}
"""The checks that fail, and why they cannot hold."""


@pytest.mark.slow
@parametrize_with_checks(  # type: ignore[untyped-decorator]
    [SequenceLabeler(units=4, epochs=20, learning_rate=0.05, window=10)],
    expected_failed_checks=lambda _: NOT_FOR_SEQUENCES,
)
def test_the_checks_of_scikit_learn(estimator: Any, check: Any) -> None:
    check(estimator)


def quick(**more: Any) -> SequenceLabeler:
    return SequenceLabeler(**{"units": 4, "epochs": 15, "learning_rate": 0.03, "levels": "raw", "changes": 0, **more})


def flows(count: int = 60, seed: int = 0) -> tuple[Array, Array]:
    """Sequences of 5 steps of 2 numbers, and whether the first number of each step is positive."""
    X = np.random.default_rng(seed).normal(size=(count, 5, 2))
    return X, (X[:, :, 0] > 0).astype(int)


def as_frame(X: Array, y: Array) -> pl.DataFrame:
    """The same, a row a step, in random order."""
    sequences, steps, _ = X.shape
    return pl.DataFrame(
        {
            "flow": np.repeat(np.arange(sequences), steps),
            "at": np.tile(np.arange(steps), sequences),
            "first": X[:, :, 0].ravel(),
            "second": X[:, :, 1].ravel(),
            "label": y.ravel(),
        }
    ).sample(fraction=1.0, shuffle=True, seed=5)


@pytest.mark.parametrize("form", ["array", "list", "one", "frame"])
def test_cross_validation_takes_every_form(form: str) -> None:
    X, y = flows()
    inputs: Any = X
    labels: Any = y
    groups: Any = np.arange(len(X)) // 2
    splitters: list[Any] = [3, KFold(3), GroupKFold(3)]
    labeler = quick()
    if form == "list":
        inputs, labels = list(X), list(y)
    elif form == "one":
        inputs, labels = X.reshape(-1, 2), y.ravel()
        labeler, splitters = quick(window=5), [TimeSeriesSplit(2), 3]
    elif form == "frame":
        frame = as_frame(X, y)
        inputs, labels, groups = frame.drop("label"), frame["label"], frame["flow"]
        labeler, splitters = quick(sequence="flow", order="at"), [GroupKFold(3)]
    for cv in splitters:
        by = groups if isinstance(cv, GroupKFold) else None
        assert cross_val_score(labeler, inputs, labels, groups=by, cv=cv).min() > 0.9


@pytest.mark.slow
def test_other_scores_take_labels_of_one_axis() -> None:
    X, _ = flows()
    rising = np.where(X[:, 0, 0] > 0, "up", "down")
    labeler = quick(direction="backward", pooling="last", epochs=30)
    for inputs in (X, list(X)):
        scores = cross_validate(labeler, inputs, rising, cv=3, scoring=["accuracy", "f1_macro", "roc_auc"])
        assert scores["test_accuracy"].mean() > 0.85
        assert scores["test_roc_auc"].mean() > 0.9
    X, y = flows()
    frame = as_frame(X, y)
    labeler = quick(sequence="flow", order="at")
    predicted = cross_val_predict(labeler, frame.drop("label"), frame["label"], groups=frame["flow"], cv=GroupKFold(3))
    assert (predicted == frame["label"].to_numpy()).mean() > 0.9


def test_a_search_over_settings_keeps_groups_whole() -> None:
    X, y = flows()
    before = np.concatenate([np.zeros((len(y), 1), int), y[:, :-1]], axis=1)  # the label of the step before
    search = GridSearchCV(quick(epochs=25, units=8), {"direction": ["forward", "backward"]}, cv=GroupKFold(2))
    search.fit(list(X), list(before), groups=np.arange(len(X)) % 10, sample_weight=list(np.ones(before.shape)))
    assert search.best_params_ == {"direction": "forward"}
    assert search.best_score_ > 0.85
    assert search.score(list(X), list(before)) > 0.9
    assert len(search.predict(list(X))) == len(X)


@pytest.mark.slow
def test_pipelines() -> None:
    X, y = flows()
    one = make_pipeline(StandardScaler(), quick(window=5)).fit(X.reshape(-1, 2), y.ravel())
    assert one.score(X.reshape(-1, 2), y.ravel()) > 0.9
    first = make_pipeline(FunctionTransformer(lambda sequences: sequences[..., :1]), quick())
    assert cross_val_score(first, X, y, cv=2).min() > 0.9
    assert first.fit(X, y)[-1].n_features_in_ == 1
    search = GridSearchCV(first, {"sequencelabeler__units": [1, 2]}, cv=2).fit(X, y)
    assert search.best_params_["sequencelabeler__units"] in (1, 2)


def test_clones_are_unfitted_and_give_the_same() -> None:
    X, y = flows(20)
    labeler = quick(class_weight={0: 1, 1: 2}, categorical=[], epochs=2).fit(X, y)
    twin = clone(labeler)
    assert twin.get_params() == labeler.get_params()
    assert not hasattr(twin, "model_")
    assert np.array_equal(twin.fit(X, y).predict_proba(X), labeler.predict_proba(X))


@pytest.mark.parametrize("form", [pytest.param("array", marks=pytest.mark.slow), "frame"])
def test_importances_of_features(form: str, tmp_path: Path) -> None:
    X, y = flows()
    X = np.concatenate([np.ones_like(X[:, :, :1]), X], axis=2)
    if form == "array":
        labeler = quick(validation_fraction=0.3).fit(X, y)
    else:
        frame = as_frame(X[:, :, 1:], y).with_columns(constant=1.0)
        labeler = quick(sequence="flow", order="at", features=["constant", "first", "second"])
        labeler.fit(frame.drop("label"), frame["label"])
    early = tmp_path / "early.bothways"
    labeler.save(early)
    others = (SequenceLabeler.load(early), pickle.loads(pickle.dumps(labeler)), copy.copy(labeler))
    importances = labeler.feature_importances_
    constant, first, second = importances
    assert importances.shape == (labeler.n_features_in_,)
    assert constant == 0.0
    assert first > 0.3
    assert abs(second) < 0.1
    assert np.array_equal(labeler.feature_importances_, importances)
    whole = labeler.importance_
    names = labeler.columns_.features
    assert [whole.columns[name].value if name in whole.columns else 0.0 for name in names] == importances.tolist()
    assert all(fall.low < fall.value < fall.high for fall in whole.columns.values() if fall.low and fall.high)
    low = whole.columns[names[1]].low
    assert low is not None
    assert low > 0.2
    assert whole.sides.keys() == {"past", "future"}
    # A file, a pickle and a copy keep them, but not the data to measure them on.
    labeler.save(tmp_path / "late.bothways")
    for kept in (SequenceLabeler.load(tmp_path / "late.bothways"), pickle.loads(pickle.dumps(labeler))):
        assert np.array_equal(kept.feature_importances_, importances)
        assert kept.importance_ == whole
    for other in others:
        with pytest.raises(AttributeError, match="before the labeler is saved, copied, pickled or sent"):
            _ = other.feature_importances_
    selected = SelectFromModel(labeler, prefit=True, threshold=0.3, importance_getter="feature_importances_")
    assert selected.get_support().tolist() == [False, True, False]
    if form == "array":  # another fit is another model
        assert labeler.fit(X[:, :, [1, 0, 2]], y).feature_importances_.argmax() == 0


def test_importances_need_a_fit() -> None:
    with pytest.raises(NotFittedError):
        _ = quick().feature_importances_
    assert not hasattr(quick(), "feature_importances_")

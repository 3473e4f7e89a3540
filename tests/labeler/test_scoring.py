"""Scorers of scikit-learn on sequences of several lengths."""

from __future__ import annotations

import pickle
from functools import partial
from typing import Any

import numpy as np
import polars as pl
import pytest
from sklearn import config_context
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.metrics import accuracy_score, f1_score, log_loss, make_scorer, roc_auc_score
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_val_score, learning_curve
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from bothways.errors import InputError
from bothways.labeler import SequenceLabeler, scorer
from bothways.labeler.scoring import _flat

GENERATOR = np.random.default_rng(0)
X = [GENERATOR.normal(size=(n, 1)) for n in (3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8)]
Y = [np.where(x[:, 0] + GENERATOR.normal(size=len(x)) > 0, 1, 0) for x in X]


class Stump(ClassifierMixin, BaseEstimator):  # type: ignore[misc, unused-ignore]
    """Labels by a threshold, in the form of X, as `SequenceLabeler` does; it takes no time to fit."""

    def __init__(self, threshold: float = 0.0, missing_label: int | None = None) -> None:
        self.threshold = threshold
        self.missing_label = missing_label

    def fit(self, X: Any, y: Any) -> Stump:
        self.classes_ = np.array([0, 1])
        return self

    def predict_proba(self, X: Any) -> list[Any]:
        p = [1 / (1 + np.exp(self.threshold - x[:, 0])) for x in X]
        return [np.stack([1 - each, each], axis=1) for each in p]

    def predict(self, X: Any) -> list[Any]:
        return [p.argmax(axis=1) for p in self.predict_proba(X)]


def test_it_is_that_of_all_labels_together() -> None:
    y, stump = np.concatenate(Y), Stump().fit(X, Y)
    p = np.concatenate(stump.predict_proba(X))[:, 1]
    assert scorer("f1_macro")(stump, X, Y) == f1_score(y, p > 0.5, average="macro")
    assert scorer("roc_auc")(stump, X, Y) == roc_auc_score(y, p)
    assert scorer(make_scorer(f1_score))(stump, X, [each.tolist() for each in Y]) == f1_score(y, p > 0.5)


class Three(Stump):
    """Knows a third class, which it gives a probability of 0.2."""

    def fit(self, X: Any, y: Any) -> Three:
        self.classes_ = np.array([0, 1, 2])
        return self

    def predict_proba(self, X: Any) -> list[Any]:
        return [np.hstack([0.8 * p, np.full((len(p), 1), 0.2)]) for p in super().predict_proba(X)]


def test_a_part_may_lack_a_class_where_the_score_is_defined() -> None:
    three, y = Three().fit(X, Y), np.concatenate(Y)
    p = np.concatenate(three.predict_proba(X))
    assert scorer("neg_log_loss")(three, X, Y) == pytest.approx(-log_loss(y, p, labels=[0, 1, 2]))
    assert scorer("f1_macro")(three, X, Y) == f1_score(y, p.argmax(axis=1), average="macro")  # over classes that occur
    given = make_scorer(log_loss, greater_is_better=False, response_method="predict_proba", labels=[0, 1, 2])
    assert scorer(given)(three, X, Y) == scorer("neg_log_loss")(three, X, Y)
    one = [np.zeros_like(each) for each in Y]
    assert scorer("neg_log_loss")(Stump().fit(X, Y), X, one) < 0
    with pytest.raises(ValueError, match="different number of classes"):
        scorer("neg_log_loss")(three, X, [each + 2 for each in Y])  # 3 is of no class


@pytest.mark.filterwarnings("ignore:Only one class")
def test_the_class_that_a_part_lacks_is_named() -> None:
    with pytest.raises(InputError, match=r"cannot score y: .* y has no label 2\. Give each part every label"):
        scorer("roc_auc_ovr")(Three().fit(X, Y), X, Y)
    with pytest.raises(InputError, match=r"y has no label 1\. "):
        scorer("roc_auc")(Stump().fit(X, Y), X, [np.zeros_like(each) for each in Y])


@pytest.mark.parametrize("missing", [None, np.nan, -1])
def test_missing_labels_do_not_count(missing: Any) -> None:
    lacking = [np.append(y[:-1], [missing]) for y in Y]
    stump = Stump(missing_label=missing if missing == -1 else None).fit(X, Y)
    known = scorer("accuracy")(stump, [x[:-1] for x in X], [y[:-1] for y in Y])
    assert scorer("accuracy")(stump, X, lacking) == known


class Tagger(Stump):
    """Says what its numbers say."""

    def fit(self, X: Any, y: Any) -> Tagger:
        self.classes_ = np.array(["B-x", "I-x", "O"])
        return self

    def predict(self, X: Any) -> list[Any]:
        return [self.classes_[x[:, 0].astype(int)] for x in X]


def test_the_f1_of_entities() -> None:
    """Of two sequences, of which the second one begins with the tag with which the first one ends."""
    X = [np.array([[0], [1], [2]]), np.array([[1], [1], [0]])]  # three entities: 0 to 1; 0 to 1 and 2
    tagger, f1 = Tagger().fit(None, None), pickle.loads(pickle.dumps(scorer("entity_f1")))
    assert f1(tagger, X, [["B-x", "I-x", "O"], ["B-x", "I-x", "O"]]) == pytest.approx(4 / 5)
    assert f1(tagger, X, [["B-x", "O", None], ["B-y", "I-y", "B-x"]]) == pytest.approx(2 / 6)
    weights = [[1, 1, 1], [0.5, 0.5, 2]]
    assert f1(tagger, X, [["O", "O", "O"], ["B-x", "I-x", "B-x"]], weights) == pytest.approx(5 / 6)
    with pytest.raises(InputError, match="entity_f1 is for labels per step that are tags"):
        f1(Stump().fit(None, None), X, [[0, 1, 0], [1, 1, 0]])
    assert len(cross_val_score(tagger, X, [["B-x"] * 3] * 2, cv=2, scoring=f1, error_score="raise")) == 2


def test_weights() -> None:
    stump, weights = Stump().fit(X, Y), [np.arange(len(y)) for y in Y]
    expected = f1_score(np.concatenate(Y), np.concatenate(stump.predict(X)), sample_weight=np.concatenate(weights))
    assert scorer("f1")(stump, X, Y, sample_weight=weights) == expected


def test_arrays_and_labels_of_sequences() -> None:
    class Always(Stump):
        def predict(self, X: Any) -> Any:
            return np.ones(np.shape(X)[:-1], int)

    for shape in ((4, 3), (4,)):
        y = np.zeros(shape, int)
        y.flat[0] = 1
        assert scorer("accuracy")(Always().fit(None, None), np.zeros((*shape, 1)), y) == 1 / y.size


def test_it_works_wherever_scikit_learn_scores() -> None:
    """Also in other processes: it can be pickled."""
    f1 = pickle.loads(pickle.dumps(scorer("f1_macro")))
    assert len(cross_val_score(Stump(), X, Y, cv=3, scoring=f1, error_score="raise")) == 3
    scoring = {"f1": f1, "auc": scorer("roc_auc")}
    search = GridSearchCV(Stump(), {"threshold": [0.0, 5.0]}, cv=3, scoring=scoring, refit="f1", error_score="raise")
    assert search.fit(X, Y).best_params_ == {"threshold": 0.0}
    curve = learning_curve(Stump(), X, Y, cv=3, scoring=scorer("accuracy"), train_sizes=[0.5, 1.0], error_score="raise")
    assert np.isfinite(curve[2]).all()


def test_labels_of_another_kind_are_refused() -> None:
    """By `score` and by a scorer, which both said something; True is no 1."""
    labeler = SequenceLabeler(units=4, epochs=1).fit(X, Y)
    for kind in (str, bool):
        said = rf"y has labels of type {kind.__name__}, such as .*; those of the model are of type int: 0, 1\."
        for score in (labeler.score, partial(scorer("f1"), labeler)):
            with pytest.raises(InputError, match=said):
                score(X, [y.astype(kind) for y in Y])
    others = [y + 7 for y in Y]
    assert labeler.score(X, others) == scorer("accuracy")(labeler, X, others) == 0
    floats = [y.astype(float) for y in Y]
    assert labeler.score(X, floats) == scorer("accuracy")(labeler, X, floats) == scorer("accuracy")(labeler, X, Y)


@pytest.mark.slow
def test_a_sequence_of_a_data_frame_with_one_label_counts_once() -> None:
    """As it does in `score`, also where the labeler is in a pipeline or a search."""
    lengths = np.arange(40) % 7 + 1
    frame = pl.DataFrame({"flow": np.repeat(np.arange(40), lengths), "x": GENERATOR.normal(size=lengths.sum())})
    y = np.repeat(np.arange(40) % 2, lengths)
    labeler = SequenceLabeler(units=4, epochs=1, sequence="flow", per="sequence")
    search = GridSearchCV(labeler, {"units": [4]}, cv=GroupKFold(2), scoring=scorer("accuracy"))
    search.fit(frame, y, groups=frame["flow"])
    piped = make_pipeline(FunctionTransformer(), labeler).fit(frame, y)
    first = np.cumsum(lengths) - lengths
    weights = GENERATOR.uniform(size=len(y))
    for each in (labeler.fit(frame, y), piped, search):
        p = each.predict_proba(frame)[first, 1]
        assert scorer("accuracy")(each, frame, y) == labeler.score(frame, y) == np.mean((p >= 0.5) == y[first])
        assert scorer("roc_auc")(each, frame, y.tolist()) == roc_auc_score(y[first], p)
        assert scorer("accuracy")(each, frame, y, sample_weight=weights) == pytest.approx(
            labeler.score(frame, y, sample_weight=weights)
        )
    late = [label if row + 1 in np.cumsum(lengths)[:-1] else None for row, label in enumerate(y.tolist())]
    expected = np.mean(labeler.predict(frame)[first][:-1] == y[first][:-1])
    assert labeler.score(frame, late) == scorer("accuracy")(labeler, frame, late) == expected


def test_labels_may_be_a_column_of_pandas_without_the_row_0() -> None:
    pandas = pytest.importorskip("pandas")
    labels = pandas.Series(["a", "b", None], index=[5, 6, 7], dtype=object)
    assert _flat(labels).tolist() == ["a", "b", None]


def test_there_is_no_such_scorer() -> None:
    with pytest.raises(ValueError, match="f2_macro"):
        scorer("f2_macro")


def test_values_of_all_labels_as_one_array() -> None:
    assert _flat([[1, 2], [3]]).tolist() == [1, 2, 3]
    assert _flat(np.zeros((2, 3, 4)), axes=1).shape == (6, 4)


@pytest.fixture(scope="module")
def ragged() -> tuple[SequenceLabeler, list[Any], list[Any]]:
    rng = np.random.default_rng(0)
    X = [rng.normal(size=(time, 2)) for time in (3, 5, 9, 4) * 6]
    Y = [(x[:, 0] > 0).astype(int) for x in X]
    return SequenceLabeler(units=4, epochs=3).fit(X, Y), X, Y


def test_labels_that_do_not_fit_are_refused(ragged: tuple[SequenceLabeler, list[Any], list[Any]]) -> None:
    """Those of other sequences, too, of which there are as many as steps in all."""
    labeler, X, Y = ragged
    for y in (Y[::-1], Y[:-1], [each[:-1] for each in Y]):
        for score in (labeler.score, partial(scorer("accuracy"), labeler)):
            with pytest.raises(InputError, match=r"y\[0\] has . labels|y has labels for 23 sequences"):
                score(X, y)


def test_a_weight_per_sequence_is_that_of_each_step(ragged: tuple[SequenceLabeler, list[Any], list[Any]]) -> None:
    labeler, X, Y = ragged
    weights = np.arange(1, 25.0)
    assert scorer("accuracy")(labeler, X, Y, sample_weight=weights) == pytest.approx(labeler.score(X, Y, weights))
    with pytest.raises(InputError, match="23 sequences"):
        scorer("accuracy")(labeler, X, Y, sample_weight=weights[:-1])


def test_weights_are_routed_to_the_scorer() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 6, 2))
    Y = (X[:, -1, 0] > 0).astype(int)
    weights = np.where(Y == 1, 1000.0, 1.0)
    with config_context(enable_metadata_routing=True):
        labeler = SequenceLabeler(units=2, epochs=1).set_fit_request(sample_weight=True)
        plain = make_scorer(accuracy_score).set_score_request(sample_weight=True)
        found = [
            cross_val_score(labeler, X, Y, cv=2, scoring=each, params={"sample_weight": weights})
            for each in (plain, scorer(plain))
        ]
    np.testing.assert_allclose(*found)

"""`SequenceLabeler`: labels and weights of every kind, sequences of every form, settings, and what is refused."""

from __future__ import annotations

import pickle
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

import bothways
from bothways import baselines
from bothways.data import draw_parts
from bothways.errors import DataError, InputError
from bothways.labeler import SequenceLabeler, scorer
from bothways.network import POOLINGS
from bothways.problems import cumulative_sum
from bothways.sequences import Array, Sequences
from bothways.study import refit, tuning
from bothways.study.plan import SearchClock
from tolerances import ENGINE, error


def quick(**more: Any) -> SequenceLabeler:
    return SequenceLabeler(**{"units": 4, "epochs": 1, **more})


def some_data(lengths: list[int], names: tuple[Any, ...] = ("low", "high")) -> tuple[list[Array], list[Array]]:
    random = np.random.default_rng(0)
    X = [random.normal(size=(length, 2)) for length in lengths]
    return X, [np.array(names)[(x[:, 0] > 0).astype(int)] for x in X]


def test_the_problem_of_the_tutorial() -> None:
    """1,000 sequences one at a time, in a tenth of a second where it is measured."""
    X, y = cumulative_sum(1000, 10, seed=0)
    unseen = cumulative_sum(1000, 10, seed=1)
    labeler = SequenceLabeler(units=20, epochs=1, batch_size=1).fit(X, y)
    assert labeler.score(*unseen) > 0.98
    assert labeler.seconds_["train"] < 3


@pytest.mark.slow
def test_more_training_labels_nearly_every_step_right() -> None:
    """3,000 updates of 64 sequences: 0.998 and more, in under 2 s where it is measured."""
    X, y = cumulative_sum(500 * 64, 10, seed=0)
    unseen = cumulative_sum(2000, 10, seed=1)
    labeler = SequenceLabeler(units=20, epochs=6, batch_size=64).fit(X, y)
    assert labeler.score(*unseen) >= 0.995
    assert labeler.seconds_["train"] < 15


@pytest.mark.parametrize("direction", ["forward", "backward"])
def test_one_direction_sees_its_own_side_only(direction: str) -> None:
    """Whether an earlier number was positive: a reader from the end cannot know, and the other way round."""
    random = np.random.default_rng(0)
    X = random.normal(size=(400, 6, 1))
    before = np.concatenate([np.zeros((400, 1), int), (X[:, :-1, 0] > 0).astype(int)], axis=1)
    after = np.concatenate([(X[:, 1:, 0] > 0).astype(int), np.zeros((400, 1), int)], axis=1)
    known, unknown = (before, after) if direction == "forward" else (after, before)
    assert quick(direction=direction, epochs=30, units=8).fit(X, known).score(X, known) > 0.95
    assert quick(direction=direction, epochs=30, units=8).fit(X, unknown).score(X, unknown) < 0.75
    both = known + 2 * unknown
    assert quick(epochs=30, units=8).fit(X, both).score(X, both) > 0.95


@pytest.mark.parametrize(
    ("names", "kind"),
    [
        ((3, -1), "i"),
        (("low", "higher"), "U"),
        ((True, False), "b"),
        ((0.0, 1.0), "i"),
        ((Decimal(3), Decimal(-1)), "i"),
    ],
)
def test_labels_come_back_as_their_kind(names: tuple[Any, ...], kind: str) -> None:
    X, y = some_data([5, 9, 7] * 20, names)
    labeler = quick(epochs=20).fit(X, y)
    assert labeler.classes_.tolist() == sorted(names)
    predicted = labeler.predict(X)
    assert [len(labels) for labels in predicted] == [5, 9, 7] * 20
    assert {labels.dtype.kind for labels in predicted} == {kind}
    assert labeler.score(X, y) > 0.95
    assert labeler.model_.class_counts == {name: int(sum((label == name).sum() for label in y)) for name in names}


def test_labels_may_be_lists_arrays_or_columns() -> None:
    X, y = cumulative_sum(20, 5, seed=0)
    expected = quick().fit(X, y).predict_proba(X)
    for same in (y[..., 0], list(y), y[..., 0].tolist(), list(y[..., 0].astype(object)), y.astype(float)):
        assert np.array_equal(quick().fit(list(X), same).predict_proba(X), expected)


def test_probabilities_stand_in_the_order_of_the_classes() -> None:
    X, y = some_data([6] * 60, ("c", "a", "b"))
    y[0][:] = "b"
    labeler = quick(epochs=20).fit(X, y)
    for p, labels in zip(labeler.predict_proba(X), labeler.predict(X), strict=True):
        assert p.shape == (6, 3)
        assert error(p.sum(axis=1), np.ones(6)) < 1e-6
        assert labels.tolist() == labeler.classes_[p.argmax(axis=1)].tolist()


def test_validation_chooses_the_epoch() -> None:
    X, y = some_data([8] * 40)
    seen: list[Any] = []
    labeler = quick(epochs=200, patience=3, units=8, learning_rate=0.03).fit(
        X[:30], y[:30], validation_data=(X[30:], y[30:]), on_epoch=seen.append
    )
    assert seen == labeler.history_
    assert 4 <= len(seen) < 200
    best = max(report.epoch for report in seen if report.best)
    assert best == len(seen) - 3 == labeler.model_.facts["best_epoch"]
    assert max(report.valid_metric for report in seen) == seen[best - 1].valid_metric


def test_sequences_without_steps_are_harmless() -> None:
    X, y = some_data([5, 0, 6, 0])
    y[1] = np.array([])
    labeler = quick().fit(X, y)
    assert [len(labels) for labels in labeler.predict(X)] == [5, 0, 6, 0]
    without = quick().fit([X[0], X[2]], [y[0], y[2]])
    assert np.array_equal(labeler.predict_proba(X)[2], without.predict_proba(X)[2])


def test_the_same_seed_gives_the_same_labeler() -> None:
    X, y = some_data([5, 9, 7] * 5)
    p, q, r = (np.concatenate(quick(random_state=seed, epochs=2).fit(X, y).predict_proba(X)) for seed in (0, 0, 1))
    assert np.array_equal(p, q)
    assert not np.array_equal(p, r)


def test_the_scale_of_the_inputs_does_not_matter() -> None:
    X, y = some_data([5, 9, 7] * 5)
    far = [x * [1e-3, 1e6] + [5.0, -1e7] for x in X]
    near, other = quick(epochs=3).fit(X, y), quick(epochs=3).fit(far, y)
    assert error(np.concatenate(other.predict_proba(far)), np.concatenate(near.predict_proba(X))) < 1e-3


def test_wide_tables_are_learned_in_one_training() -> None:
    """Two of 60 numbers decide: nothing is learned of them beside the changes and distances from a mean of all."""
    random = np.random.default_rng(0)
    X, unseen = random.normal(size=(60, 20, 60)), random.normal(size=(30, 20, 60))
    labeler = SequenceLabeler().fit(X, X[..., :2].sum(axis=2) > 0)
    assert labeler.score(unseen, unseen[..., :2].sum(axis=2) > 0) > 0.8
    assert SequenceLabeler(levels="centered").fit(X, X[..., 0] > 0).model_.network.levels == "centered"


def test_the_manners_of_scikit_learn() -> None:
    labeler = SequenceLabeler(units=5, direction="forward", window=3)
    assert clone(labeler).get_params() == labeler.get_params()
    assert "units=5" in repr(labeler)
    before = dict(vars(labeler))
    X, y = some_data([5, 9])
    assert labeler.set_params(epochs=1).fit(X, y) is labeler
    assert {name for name in vars(labeler) if name not in before} == {
        "classes_",
        "n_features_in_",
        "n_iter_",
        "per_",
        "columns_",
        "model_",
        "history_",
        "seconds_",
        "_sample",
    }
    assert labeler.n_features_in_ == 2
    copy = pickle.loads(pickle.dumps(labeler))
    assert error(np.concatenate(copy.predict_proba(X)), np.concatenate(labeler.predict_proba(X))) < ENGINE
    for method in (labeler.predict, labeler.predict_proba):
        assert len(method(X)) == 2
    for method in (SequenceLabeler().predict, SequenceLabeler().predict_proba):
        with pytest.raises(NotFittedError):
            method(X)
    with pytest.raises(NotFittedError):
        SequenceLabeler().score(X, y)


def test_settings_are_checked_by_fit_and_not_before() -> None:
    X, y = some_data([5, 9])
    for settings, message in (
        ({"direction": "up"}, "no direction 'up'"),
        ({"epochs": 0}, "epochs is 0"),
        ({"units": None}, "units is None"),
    ):
        labeler = SequenceLabeler(**settings)
        with pytest.raises(InputError, match=message):
            labeler.fit(X, y)
        assert not hasattr(labeler, "model_")


GOOD = some_data([3, 4])


@pytest.mark.parametrize(
    ("X", "y", "message"),
    [
        (
            GOOD[0],
            [["a"] * 3, ["a"] * 4],
            "y holds one label only, 'a': 1 class. A labeler tells at least two classes apart",
        ),
        (GOOD[0], [[1, 0, 1]], r"y has labels for 1 sequence; X has 2"),
        (GOOD[0], [[1, 0, 1], [1, 0]], r"y\[1\] has 2 labels; X\[1\] has 4 steps"),
        (GOOD[0], [0, [1, 0, 1, 0]], r"y\[0\] has shape \(\); it needs one label per step"),
        (GOOD[0], [0, 1, 1], "y has labels for 3 sequences; X has 2"),
        (GOOD[0], None, "requires y to be passed, but the target y is None"),
        (GOOD[0], [None, None], "y holds no label at all; every one of them is missing"),
        (GOOD[0], [np.zeros((3, 2)), np.zeros((4, 2))], r"y\[0\] has shape \(3, 2\); it needs one label per step"),
        (GOOD[0], [[1, 0, 1], ["a", "b", "a", "b"]], "y mixes kinds of labels"),
        (GOOD[0], [[1, "a", 1], [0, 0, 0, 0]], r"y\[0\] has labels of the types int, str"),
        (GOOD[0], [[1, 0.5, 1], [0, 0, 0, 0]], r"y\[0\] has labels of the types float, int"),
        (
            GOOD[0],
            [[1.0, 0.5, 1.0], [0, 0, 0, 0]],
            r"Unknown label type: continuous. y\[0\] has labels of dtype float64",
        ),
        (GOOD[0], [[2**70, 0, 1], [0, 0, 0, 0]], r"y\[0\] has labels of dtype object"),
        (GOOD[0], [[2**63, 0, 1], [0, 0, 0, 0]], r"y\[0\] has labels of dtype float64"),
        (GOOD[0], [np.array([2**63, 0, 1], "u8"), [0, 0, 0, 0]], r"y\[0\] has labels of dtype uint64"),
        (GOOD[0], "abc", "y is of type str"),
        (GOOD[0], 3, "y is of type int"),
        (GOOD[0], np.array(3), "y has labels for 1 sequence; X has 2"),
        ([np.zeros((3, 2)), np.zeros((4, 3))], GOOD[1], r"X\[1\] has 3 features; it needs 2"),
        ([np.zeros((3, 2)), np.full((4, 2), np.inf)], GOOD[1], r"X\[1\] holds inf at step 0, feature 0"),
        (np.zeros((3, 2)), GOOD[1], r"y has 2 labels; X has 3 steps"),
        (np.zeros(3), [0, 1, 0], r"X has shape \(3,\); it must be \(time, features\), .* Reshape your data"),
        (np.zeros((3, 2)), np.zeros((3, 2)), r"y should be a 1d array .* shape \(3, 2\)\. .* X\[\.\.\., None\]"),
        (np.zeros((2, 3, 0)), [0, 1], "X has 0 feature"),
        (np.array([["a"], ["b"]]), [0, 1], "X has dtype <U1; it must be numbers"),
        (np.array([["a"], [1]], object), [0, 1], "X holds what is no number: could not convert string to float: 'a'"),
        (
            np.full((2, 1), np.nan),
            [0, 1],
            "X has no feature to learn from: all of its values are missing",
        ),
        (np.full((2, 1), 1j), [0, 1], "Complex data not supported: X has dtype complex128"),
        ([[1.0, 2.0], [3.0]], [0, 1], "X has rows of unequal length"),
        ([[[1.0, 2.0], [3.0]]], [0], r"X\[0\] has rows of unequal length; it must be \(time, features\)"),
        (GOOD[0], [[[1, 0], [1], [0]], [0] * 4], r"y\[0\] has labels of the types list"),
        (5, [0, 1], "X is of type int"),
        ([], [], "X has no steps in its 0 sequences"),
        ([np.zeros((0, 2))], [[]], "X has no steps in its 1 sequence"),
    ],
)
def test_wrong_data_are_refused(X: Any, y: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        quick().fit(X, y)


def test_labels_of_sequences_without_steps_alone_are_refused() -> None:
    X = [np.zeros((0, 2)), np.ones((3, 2)), np.ones((4, 2))]
    with pytest.raises(InputError, match="nothing to learn from: no label, or none that weighs anything and has steps"):
        quick().fit(X, ["a", "b", "b"], sample_weight=[1, 0, 0])


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ((GOOD[0], [[1] * 3, [0] * 4]), "validation y has no label that training saw; it saw 'high', 'low'"),
        ((GOOD[0], GOOD[1][:1]), "validation y has labels for 1 sequence; validation X has 2"),
        (([np.zeros((3, 1))], [["low"] * 3]), r"validation X\[0\] has 1 features; it needs 2"),
        (([], []), "validation X has no steps"),
        (GOOD[0], "validation_data must be a pair"),
        ((*GOOD, None), "validation_data must be a pair"),
    ],
)
def test_wrong_validation_data_are_refused(data: Any, message: str) -> None:
    X, y = some_data([3, 4])
    with pytest.raises(InputError, match=message):
        quick().fit(X, y, validation_data=data)


def test_validation_labels_that_training_never_saw_are_missed() -> None:
    X, y = some_data([3, 4])
    labeler = quick(epochs=1, monitor="accuracy").fit(X, y, validation_data=(X, [["middle"] * 3, y[1]]))
    metric = labeler.history_[0].valid_metric
    assert metric is not None
    assert metric <= 4 / 7
    assert labeler.classes_.tolist() == ["high", "low"]


def test_true_is_not_one() -> None:
    X, y = some_data([3, 4], (0, 1))
    with pytest.raises(InputError, match="validation y has no label that training saw; it saw 0, 1"):
        quick().fit(X, y, validation_data=(X, [labels > 2 for labels in y]))


def test_a_model_refuses_sequences_of_other_features() -> None:
    labeler = quick().fit(*GOOD)
    with pytest.raises(InputError, match=r"\[0\] has 3 features; it needs 2"):
        labeler.predict([np.zeros((3, 3))])
    with pytest.raises(InputError, match=r"y\[0\] has 2 labels; X\[0\] has 3 steps"):
        labeler.score([np.zeros((3, 2))], [["low", "high"]])


def test_what_comes_back_has_the_form_of_what_came() -> None:
    random = np.random.default_rng(0)
    X = random.normal(size=(6, 4, 2))
    steps = X[:, :, 0] > 0
    steps[0] = [True, False, True, False]
    labeler = quick().fit(X, steps)
    assert labeler.per_ == "step"
    assert labeler.predict(X).shape == (6, 4)
    assert labeler.predict_proba(X).shape == (6, 4, 2)
    assert [p.shape for p in labeler.predict_proba(list(X))] == [(4, 2)] * 6
    assert labeler.predict(X[0]).shape == (4,)
    assert labeler.predict_proba(X[0].tolist()).shape == (4, 2)
    assert np.array_equal(labeler.predict_proba(X)[2], labeler.predict_proba(X[2]))
    assert labeler.predict(X[:0]).shape == (0, 4)
    assert labeler.predict_proba(X[:0]).shape == (0, 4, 2)
    assert labeler.predict(X[:, :0]).shape == (6, 0)
    assert labeler.predict([]) == []

    labeler = quick().fit(list(X), [True, False] * 3)
    assert labeler.per_ == "sequence"
    for same in (X, list(X), iter(X), np.array([*X, None], object)[:-1]):
        assert labeler.predict(same).shape == (6,)
    assert labeler.predict_proba(X).shape == (6, 2)
    with pytest.raises(InputError, match="y has one label per step, and per='sequence' asks for one per sequence"):
        labeler.score(X, steps)


def test_one_array_is_one_sequence() -> None:
    X, y = some_data([12])
    together, alone = quick().fit(X, y), quick().fit(X[0], y[0])
    assert np.array_equal(together.predict_proba(X)[0], alone.predict_proba(X[0]))
    assert alone.score(X[0], y[0]) == together.score(X, y)


@pytest.mark.parametrize(
    "pooling", [pytest.param(name, marks=[pytest.mark.slow] * (name in ("mean", "max"))) for name in POOLINGS]
)
def test_labels_of_sequences(pooling: str) -> None:
    """Whether any number is large: all steps count, wherever they stand."""
    random = np.random.default_rng(0)
    X = [random.normal(size=(length, 1)) for length in random.integers(2, 6, size=300)]
    y = np.array(["calm", "loud"])[[int(x.max() > 1) for x in X]]
    labeler = quick(pooling=pooling, units=8, epochs=40, learning_rate=0.03).fit(X, y)
    assert labeler.model_.network.pooling == pooling
    assert labeler.score(X, y) > 0.9
    assert labeler.model_.class_counts == {name: int((y == name).sum()) for name in ("calm", "loud")}


def test_what_happens_in_the_middle_of_long_sequences_is_seen() -> None:
    random = np.random.default_rng(0)

    def sequences(number: int) -> tuple[Array, Array]:
        X, rises = random.normal(size=(number, 200, 1)), random.random(number) < 0.5
        X[np.arange(number), random.integers(60, 140, number), 0] = np.where(rises, 6, -6)
        return X, rises

    assert SequenceLabeler(epochs=20).fit(*sequences(100)).score(*sequences(100)) > 0.9


def test_settings_reach_the_network_and_the_training() -> None:
    X, y = some_data([5, 9])
    parts: dict[str, Any] = {
        "cell": "gru",
        "direction": "both",
        "merge_mode": "sum",
        "units": 3,
        "depth": 2,
        "dropout": 0.25,
        "conv_window": 3,
        "conv_stride": 2,
        "embedding": 5,
    }
    how: dict[str, Any] = {
        "epochs": 2,
        "batch_size": 4,
        "learning_rate": 0.5,
        "warmup": 0.5,
        "clip": 2.0,
        "patience": 3,
        "monitor": "loss",
        "window": 4,
        "category_dropout": 0.5,
        "class_weight": "balanced",
    }
    labeler = SequenceLabeler(**parts, **how, random_state=np.int64(7)).fit(X, y)
    network, settings = vars(labeler.model_.network), labeler.model_.facts["settings"]
    assert {name: network[name] for name in parts} == parts
    assert {name: settings[name] for name in how} == how
    assert settings["seed"] == 7
    assert [len(labels) for labels in labeler.predict(X)] == [5, 9]


@pytest.mark.slow
def test_missing_labels_weigh_nothing() -> None:
    X, y = some_data([5, 9, 7] * 5, (0, 1))
    weights = [np.ones(len(labels)) for labels in y]
    weights[1][2:6], weights[3][:] = 0, 0
    expected = quick().fit(X, y, sample_weight=weights).predict_proba(X)
    cases: list[tuple[Any, dict[str, Any]]] = [(np.nan, {}), (None, {}), (-1, {"missing_label": -1})]
    for nothing, more in cases:
        lacking = [np.where(w > 0, labels, nothing) for labels, w in zip(y, weights, strict=True)]
        with pytest.warns(UserWarning, match="y lacks 9 of 105 labels; nothing is learned"):
            labeler = quick(**more).fit(X, lacking)
        assert labeler.classes_.tolist() == [0, 1]
        assert error(np.concatenate(labeler.predict_proba(X)), np.concatenate(expected)) == 0
    known = np.concatenate(labeler.predict(X)) == np.concatenate(y)
    assert labeler.score(X, lacking) == known[np.concatenate(weights) > 0].mean()
    with pytest.warns(UserWarning, match="y lacks 1 of 15 labels"):
        labeler = quick().fit(X, [None] + ["a", "b"] * 7)
    assert labeler.predict(X[:1])[0] in ("a", "b")
    assert quick().fit(X, y).classes_.tolist() == [0, 1]
    assert quick().fit(X, [labels - 1 for labels in y]).classes_.tolist() == [-1, 0]


@pytest.mark.parametrize("form", [np.asanyarray, list])
def test_what_is_masked_is_missing(form: Any) -> None:
    X = np.random.default_rng(0).normal(size=(30, 6, 2))
    y, hidden = (X[:, :, 0] > 0).astype(int), np.zeros((30, 6), bool)
    hidden[:, 4:] = hidden[0] = True
    y_masked = np.ma.masked_array(np.where(hidden, -99, y), mask=hidden)
    X_masked = np.ma.masked_array(np.where(hidden[..., None], 1e9, X), mask=np.stack([hidden] * 2, axis=2))
    X_nan, y_none = np.where(hidden[..., None], np.nan, X), y.astype(object)
    y_none[hidden] = None
    with pytest.warns() as said:
        masked = quick().fit(form(X_masked), form(y_masked))
    with pytest.warns() as expected:
        plain = quick().fit(form(X_nan), form(y_none))
    assert [str(each.message) for each in said] == [str(each.message) for each in expected]
    assert masked.classes_.tolist() == [0, 1]
    assert np.array_equal(masked.predict_proba(X_masked), plain.predict_proba(X_nan))
    assert masked.score(X_masked, y_masked) == plain.score(X_nan, y_none)
    assert scorer("f1")(masked, X_masked, y_masked) == scorer("f1")(plain, X_nan, y_none)
    with pytest.warns(UserWarning, match="y lacks 1 of 30 labels"):
        assert quick().fit(X, y_masked[:, 0]).classes_.tolist() == [0, 1]


def test_what_is_missing_everywhere_is_left_out() -> None:
    """As a column of a table is; it is looked at nowhere, and said once."""
    X = np.random.default_rng(0).normal(size=(30, 6, 3))
    y = X[:, :, 0] > 0
    X[:, :, 1] = np.nan
    with pytest.warns(UserWarning, match=r"Column '1' of X is left out: it is missing at every step"):
        labeler = quick().fit(X, y)
    expected = quick().fit(X[:, :, [0, 2]], y)
    assert np.array_equal(labeler.predict_proba(X), expected.predict_proba(X[:, :, [0, 2]]))
    assert (labeler.score(X, y), labeler.n_features_in_) == (expected.score(X[:, :, [0, 2]], y), 3)
    assert labeler.feature_importances_[1] == 0


def test_weights_decide_what_is_learnt() -> None:
    """Every sequence stands there twice, with labels that contradict each other: what weighs more is right."""
    X, y = some_data([5, 9, 7] * 20, (0, 1))
    doubled, labels = X + X, y + [1 - each for each in y]
    by_sequence = np.repeat([0.9, 0.1], len(X))
    by_step = [np.full(len(x), weight) for x, weight in zip(doubled, by_sequence, strict=True)]
    labeler = quick(epochs=20).fit(doubled, labels, sample_weight=by_sequence)
    assert labeler.score(X, y) > 0.95
    assert labeler.score(doubled, labels, sample_weight=by_sequence) > 0.85
    same = quick(epochs=20).fit(doubled, labels, sample_weight=by_step)
    assert error(np.concatenate(same.predict_proba(X)), np.concatenate(labeler.predict_proba(X))) == 0
    assert quick(epochs=20).fit(doubled, labels, sample_weight=1 - by_sequence).score(X, y) < 0.05


SHORT = "ignore:The budget .* was enough for one whole training alone"


@pytest.fixture
def one_training(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Settings of a search that is over after one training, in this process."""
    for room in (tuning, refit):
        monkeypatch.setattr(room, "processes", lambda workers: 1)
    return {"budget": "0.000001s", "members": 4}


@pytest.mark.slow
@pytest.mark.filterwarnings(SHORT)
@pytest.mark.parametrize(
    "more",
    [
        pytest.param({}, marks=pytest.mark.slow),
        pytest.param({"members": 4}, marks=pytest.mark.slow),
        {"members": 4, "head": "crf", "class_weight": {0: 0.5, 1: 0.5}},
    ],
)
def test_labels_of_weight_0_change_nothing(more: dict[str, Any], one_training: dict[str, Any]) -> None:
    """Three quarters are wrong, in what is learned from and in what is held out."""
    X, y = some_data([8, 12] * 40, (0, 1))
    weights = np.where(np.arange(80) % 4, 0, 2)
    wrong = [labels if weight else 1 - labels for labels, weight in zip(y, weights, strict=True)]
    how = {**one_training, **more} if more else {}
    found, expected = (quick(**how).fit(X, labels, sample_weight=weights) for labels in (wrong, y))
    assert error(np.concatenate(found.predict_proba(X)), np.concatenate(expected.predict_proba(X))) == 0
    assert (len(found.model_.members) > 1) == bool(more)
    arrays, others = (baselines.to_arrays(each.model_.baselines) for each in (found, expected))
    assert all(np.array_equal(arrays[name], others[name]) for name in others)


@pytest.mark.slow
@pytest.mark.filterwarnings(SHORT)
def test_a_search_learns_by_a_mapping_of_classes_alone(one_training: dict[str, Any]) -> None:
    X, y = some_data([8, 12] * 20, ("high", "low"))
    plain, neutral, balanced = (
        quick(**one_training, class_weight=given).fit(X, y).model_
        for given in (None, {"high": 1, "low": 1}, "balanced")
    )
    trials = [model.facts["search"]["trials"][0]["setting"] for model in (plain, neutral, balanced)]
    assert trials == ["epochs=1 units=4", "epochs=1 units=4", "class_weight=balanced epochs=1 units=4"]
    assert all(np.array_equal(neutral.weights[name], array) for name, array in plain.weights.items())
    assert error(np.concatenate(neutral.predict_proba(X)), np.concatenate(plain.predict_proba(X))) < 1e-3


@pytest.mark.slow
def test_a_budget_for_one_training_alone_is_said(one_training: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    note = SearchClock.note  # on a busy machine a search may take longer than it was given
    monkeypatch.setattr(SearchClock, "note", lambda clock, took, processor: note(clock, took, took / 2))
    X, y = some_data([8, 12] * 9, (0, 1))
    alone = r"The budget \(0.2 s\) was enough for one whole training alone. To compare settings, give budget='10m'"
    with pytest.warns(UserWarning, match=alone) as said:
        quick(**one_training | {"budget": 0.2}, units=1).fit(X, y)
    assert said[0].filename == __file__


def test_balanced_classes_are_a_mapping_of_classes() -> None:
    random = np.random.default_rng(0)
    X = random.normal(size=(50, 8, 1))
    y = np.where(X[..., 0] + random.normal(size=(50, 8)) > 2, "rare", "common")
    counts = {name: int((y == name).sum()) for name in ("rare", "common")}
    balanced = quick(epochs=10, class_weight="balanced").fit(X, y)
    given = quick(epochs=10, class_weight={name: 400 / 2 / count for name, count in counts.items()}).fit(X, y)
    assert error(given.predict_proba(X), balanced.predict_proba(X)) < 1e-3
    plain = quick(epochs=10).fit(X, y)
    assert (balanced.predict(X) == "rare").sum() > 2 * counts["rare"] > (plain.predict(X) == "rare").sum()
    for wrong, message in (
        ({"never": 1}, "class_weight has the label 'never', which y has not; it has 'common', 'rare'"),
        ({"rare": -1}, r"class_weight\['rare'\] is -1; a weight is a number of at least 0"),
        ("equal", r"class_weight is 'equal'; it must be None, 'balanced', or weights by label"),
    ):
        with pytest.raises(InputError, match=message):
            quick(class_weight=wrong).fit(X, y)


def test_a_part_that_lacks_a_weighted_class_is_learnt_as_scikit_learn_does() -> None:
    X, y = cumulative_sum(9, 10, seed=0)
    plain, more = (quick(class_weight=each).fit(X, y[:, :, 0]) for each in ({0: 2, 1: 1}, {0: 2, 1: 1, 2: 5}))
    assert (plain.predict_proba(X) == more.predict_proba(X)).all()
    with pytest.raises(InputError, match="class_weight has the label 2, which y has not; it has 0, 1"):
        quick(class_weight={0: 2, 2: 5}).fit(X, y[:, :, 0])


def test_a_part_can_be_held_out() -> None:
    X, y = some_data([8] * 40)
    labeler = quick(epochs=200, patience=3, units=8, learning_rate=0.03, validation_fraction=0.25).fit(X, y)
    assert 4 <= len(labeler.history_) < 200
    assert all(report.valid_metric is not None for report in labeler.history_)
    long = quick(epochs=3, validation_fraction=0.5, window=20)
    x, labels = np.concatenate(X), np.concatenate(y)
    labels[:160] = np.resize(["low", "high"], 160)
    # As many steps as training looks at together are left out at the cut, up to a twentieth of all.
    expected = quick(epochs=3, window=20).fit(x[:160], labels[:160], validation_data=(x[176:], labels[176:]))
    assert np.array_equal(long.fit(x, labels).predict_proba(x), expected.predict_proba(x))
    for fraction in (0, 1.0, -1, "half", True):
        with pytest.raises(InputError, match=r"validation_fraction is .*; it must be a number above 0 and below 1"):
            quick(validation_fraction=fraction).fit(X, y)


def test_parts_are_whole_sequences_of_all_classes() -> None:
    codes = np.array([0, 0, 0, 1, 0, 0] * 20)
    arrays = [np.full((length, 1), i) for i, length in enumerate([3, 0, 5] * 40)]
    sequences = Sequences.from_arrays(arrays, codes, per="sequence")
    for seed in range(5):
        same, numbers, _ = draw_parts("X", sequences, (0.75, 0.25), seed)
        assert same is sequences
        assert np.bincount(numbers).tolist() == [100, 20]
        assert (sequences.lengths[numbers == 1] > 0).all()
        assert all((codes[numbers == part] == 1).any() for part in (0, 1))
        assert np.array_equal(numbers, draw_parts("X", sequences, (0.75, 0.25), seed)[1])
    assert not np.array_equal(numbers, draw_parts("X", sequences, (0.75, 0.25), 0)[1])


def test_columns_of_categories() -> None:
    """The label is whether the code is odd, which no straight line tells; a column of noise stands behind it."""
    random = np.random.default_rng(0)
    codes = random.integers(1, 9, size=(100, 6))
    X = np.stack([codes, random.normal(size=codes.shape)], axis=-1)
    y = codes % 2 == 1
    labeler = quick(epochs=20, units=8, categorical=[0]).fit(X, y)
    assert labeler.model_.network.categories == (9,)
    assert labeler.score(X, y) > 0.98
    assert labeler.n_features_in_ == 2
    unknown, zero = X[:1].copy(), X[:1].copy()
    unknown[0, 2, 0], zero[0, 2, 0] = 99, 0
    with pytest.warns(UserWarning, match=r"Column '0': 1 row with values that training never saw \('99'\)"):
        assert np.array_equal(labeler.predict_proba(unknown), labeler.predict_proba(zero))
    with pytest.warns(UserWarning, match=r"Column '0': 6 rows with values that training never saw \('99'\)"):
        quick(categorical=[0], validation_fraction=0.2).fit(
            [np.full((6, 1), k) for k in [1, 2] * 9 + [99]], [0, 1] * 9 + [0]
        )
    same = quick(epochs=20, units=8, categorical=[-1]).fit(X[:, :, ::-1], y)
    assert np.array_equal(same.predict_proba(X[:, :, ::-1]), labeler.predict_proba(X))
    assert np.array_equal(same.model_.predict_proba(X[:, :, ::-1]), labeler.predict_proba(X))
    for wrong, message in ((-1, "X\\[0\\] holds -1.0 at step 2, feature 0"), (0.5, "X\\[0\\] holds 0.5 at step 2")):
        unknown[0, 2, 0] = wrong
        with pytest.raises(InputError, match=message):
            labeler.predict(unknown)
    for column in (2, "flow", 0.0):
        with pytest.raises(InputError, match=r"categorical names the column .*; in an array .* from 0 to 1"):
            quick(categorical=[column]).fit(X, y)


def test_one_column_of_categories_is_a_list_of_one() -> None:
    X, y = [np.round(np.abs(x)) for x in some_data([5, 9, 7] * 5)[0]], [0, 1, 2] * 5
    assert quick(categorical=0).fit(X, y).columns_ == quick(categorical=[0]).fit(X, y).columns_
    assert quick(categorical=None).fit(X, y).columns_ == quick().fit(X, y).columns_


@pytest.mark.parametrize(
    "role", [{"sequence": "a"}, {"order": "a"}, {"features": ("x",)}, {"drop": np.array(["x", "y"])}]
)
def test_roles_of_columns_are_for_data_frames(role: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=r"is for a data frame, but X holds arrays\. Leave it out\."):
        quick(**role).fit(*some_data([5, 9, 7] * 5))


def test_a_random_state_draws_the_seed() -> None:
    X, y = some_data([5, 9, 7] * 5)
    first, second, other = (
        np.concatenate(quick(random_state=np.random.RandomState(seed)).fit(X, y).predict_proba(X)) for seed in (0, 0, 1)
    )
    assert np.array_equal(first, second)
    assert not np.array_equal(first, other)
    quick(random_state=None).fit(X, y)
    with pytest.raises(InputError, match="random_state is 'one'"):
        quick(random_state="one").fit(X, y)


def test_ctrl_c_leaves_a_labeler_that_predicts() -> None:
    X, y = some_data([5, 9, 7] * 5)

    def interrupt(report: Any) -> None:
        if report.epoch == 3:
            raise KeyboardInterrupt

    labeler = quick(epochs=50)
    with pytest.raises(KeyboardInterrupt):
        labeler.fit(X, y, on_epoch=interrupt)
    assert len(labeler.history_) == 3
    assert len(labeler.predict(X)) == 15


def test_ctrl_c_before_the_first_epoch_leaves_nothing_of_an_earlier_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    labeler = quick().fit(*some_data([5, 9, 7] * 5))
    monkeypatch.setattr("bothways.labeler.estimator.train", interrupt)
    with pytest.raises(KeyboardInterrupt):
        labeler.fit(*some_data([5, 9, 7] * 5))
    assert set(vars(labeler)) == set(labeler.get_params())
    with pytest.raises(NotFittedError):
        labeler.predict([])


def test_sequences_without_any_step_are_refused() -> None:
    with pytest.raises(DataError, match="X: no sequence has a step to learn from"):
        quick().fit([np.zeros((0, 2))] * 3, [0, 1, 0])


def test_a_training_that_was_stopped_goes_on(tmp_path: Path) -> None:
    X, y = some_data([5, 9, 7] * 5)
    path = tmp_path / "training.checkpoint"

    def interrupt(report: Any) -> None:
        if report.epoch == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        quick(epochs=6).fit(X, y, on_epoch=interrupt, checkpoint=path)
    resumed = quick(epochs=6).fit(X, y, checkpoint=path, resume=True)
    whole = quick(epochs=6).fit(X, y)
    assert np.array_equal(np.concatenate(resumed.predict_proba(X)), np.concatenate(whole.predict_proba(X)))
    with pytest.raises(InputError, match="checkpoint"):
        quick(epochs=6, units=5).fit(X, y, checkpoint=path, resume=True)
    with pytest.raises(InputError, match="resume=True needs the file of the checkpoint"):
        quick(budget="1s").fit(X, y, resume=True)


def test_a_saved_model_gives_the_same_numbers(tmp_path: Path) -> None:
    X, _ = some_data([5, 9, 7] * 5)
    labeler = quick(conv_window=3, units=np.int64(4), learning_rate=np.float32(0.01)).fit(X, [0, 1, 2] * 5)
    labeler.save(tmp_path / "some.bothways")
    loaded = bothways.load(tmp_path / "some.bothways")
    assert np.array_equal(loaded.predict_proba(X), labeler.predict_proba(X))
    assert loaded.facts["settings"]["batch_size"] == 8
    assert loaded.facts["keras_backend"] == "jax"
    assert loaded.facts["compiled_epochs"] is True
    with pytest.raises(NotFittedError):
        SequenceLabeler().save(tmp_path / "other.bothways")


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([1, 2, 3], "sample_weight has weights for 3 sequences; X has 2"),
        ([[1] * 3, [1] * 5], r"sample_weight\[1\] has 5 weights; X\[1\] has 4 steps"),
        ([1, -1], "sample_weight holds -1.0; a weight is a number of at least 0"),
        ([1, np.nan], "sample_weight holds nan; a weight is a number of at least 0"),
        ([1, np.inf], "sample_weight holds inf; a weight is a number of at least 0"),
        ([0, 0], "sample_weight is zero everywhere"),
        (["a", "b"], "sample_weight holds what is no number"),
        (3, "sample_weight is of type int"),
    ],
)
def test_wrong_weights_are_refused(weights: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        quick().fit(*GOOD, sample_weight=weights)


def test_weights_of_steps_do_not_fit_labels_of_sequences() -> None:
    with pytest.raises(InputError, match="sample_weight has one weight per step, and y one label per sequence"):
        quick().fit(GOOD[0], [0, 1], sample_weight=[[1] * 3, [1] * 4])


def test_what_has_a_label_can_be_demanded() -> None:
    quick(per="sequence").fit(GOOD[0], [0, 1])
    quick(per="step").fit(*GOOD)
    for per, y in (("step", [0, 1]), ("sequence", GOOD[1])):
        with pytest.raises(InputError, match=f"y has one label per .*, and per='{per}' asks for one per {per}"):
            quick(per=per).fit(GOOD[0], y)
    with pytest.raises(InputError, match="per is 'word'; it must be 'step', 'sequence' or 'auto'"):
        quick(per="word").fit(*GOOD)


def test_verbose_prints_a_line_per_epoch(capsys: pytest.CaptureFixture[str]) -> None:
    X = np.random.default_rng(0).normal(size=(20, 4, 1))
    SequenceLabeler(units=2, epochs=2, verbose=True, validation_fraction=0.2).fit(X, (X[:, :, 0] > 0).astype(int))
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("epoch 1/2: loss 0.")
    assert "valid F1 of the rarer class" in second

"""Counts, and the scores that are made of them, against scikit-learn."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bothways.errors import InputError
from bothways.metrics import count, labeled, monitored, rarest, score, title
from bothways.sequences import Sequences
from bothways.settings import MONITORS, SCORES


def made(labels: Any, lengths: Any = None, **more: Any) -> Sequences:
    """Labeled steps in sequences of these lengths, or all in one."""
    labels = np.asarray(labels, np.int64)
    lengths = np.array([len(labels)] if lengths is None else lengths)
    return Sequences(np.zeros((int(lengths.sum()), 0)), lengths, labels, **more)


@given(st.integers(0, 2**32), st.integers(2, 5), st.integers(1, 30), st.booleans())
def test_scores_are_those_of_scikit_learn(seed: int, classes: int, steps: int, weighted: bool) -> None:
    from sklearn import metrics

    random = np.random.default_rng(seed)
    expected, predicted = random.integers(0, classes, (2, steps))
    weights = random.random(steps) if weighted else None
    lengths = random.multinomial(steps, [0.5, 0.2, 0.3])
    counts = count(made(expected, lengths, weights=weights), predicted, classes)
    theirs = metrics.f1_score(
        expected, predicted, labels=range(classes), average=None, sample_weight=weights, zero_division=0
    )
    assert score("macro_f1", range(classes)).of(counts) == pytest.approx(theirs.mean())
    for code in range(classes):
        assert score(f"f1:{code}", range(classes)).of(counts) == pytest.approx(theirs[code])
    theirs = metrics.accuracy_score(expected, predicted, sample_weight=weights)
    assert score("accuracy", range(classes)).of(counts) == pytest.approx(theirs)


def test_loss_and_alarms() -> None:
    p = np.array([[0.9, 0.1], [0.4, 0.6], [0.8, 0.2], [0.3, 0.7]])
    counts = count(made([0, 1, 1, 0], [2, 2]), p, 2, positive=1, thresholds={0.5: 0.6})
    assert score("loss", range(2)).of(counts) == pytest.approx(-np.log([0.9, 0.6, 0.2, 0.3]).mean())
    assert counts.alarms[0.5].tolist() == [[1, 0], [0, 1]]
    assert score("detection", range(2), 1, [0.5]).of(counts) == 0.5
    assert score("false_alarms@0.5", range(2), 1, [0.5]).of(counts) == 0.5
    whole = count(made([0, 1, 1, 0], [2, 2]), p, 2, whole=True)
    assert whole.support.tolist() == [[2, 2]]


def test_a_threshold_above_every_float32_raises_no_alarm() -> None:
    p = np.array([[0, 1], [0, 1]], np.float32)
    counts = count(made([1, 0]), p, 2, positive=1, thresholds={0.0: float(np.nextafter(1.0, 2.0))})
    assert counts.alarms[0.0].tolist() == [[0, 0]]


def test_labels_that_training_does_not_have_are_missed() -> None:
    from sklearn.metrics import f1_score

    p = np.array([[0.9, 0.1], [0.4, 0.6], [0.8, 0.2]])
    counts = count(made([0, 1, 2]), p, 3)
    assert (counts.support.tolist(), counts.true_positives.tolist()) == ([[1, 1, 1]], [[1, 1, 0]])
    assert score("macro_f1", range(3)).of(counts) == pytest.approx(f1_score([0, 1, 2], [0, 1, 0], average="macro"))
    assert np.isfinite(counts.loss).all()


def test_what_has_no_label_or_weight_does_not_count() -> None:
    some = made([0, -1, 1, -1, 1], [3, 2], weights=np.array([1, 9, 1, 9, 0]))
    labels, predicted, numbers, weights = labeled(some, [0, 0, 1, 1, 0], 2)
    assert (labels.tolist(), predicted.tolist(), numbers.tolist()) == ([0, 1], [0, 1], [0, 0])
    assert weights is not None
    assert weights.tolist() == [1, 1]


@pytest.mark.parametrize(
    ("labels", "predicted", "said"),
    [
        ([-1, -1], [0, 1], "None of the 2 labels is known"),
        ([0, 2], [0, 1], "A label is not the code of one of 2 classes"),
        ([0, -2], [0, 1], "A label is not the code"),
        ([0, 1], [0, -1], "A prediction is not the code"),
        ([0, 1], [0.0, 1.0], "A prediction is not the code"),
        ([0, 1], [0], r"There are 2 labels, and predictions of shape \(1,\)"),
        ([0, 1], [[0.1, 0.2, 0.7]] * 2, "There are probabilities of 3 classes; there are 2"),
    ],
)
def test_what_cannot_be_counted(labels: list[int], predicted: Any, said: str) -> None:
    with pytest.raises(InputError, match=said):
        count(made(labels), predicted, 2)


def test_the_rarest_class_is_the_last_of_equal_ones() -> None:
    assert (rarest([3, 3]), rarest([2, 3]), rarest([2, 1, 1, 5])) == (1, 0, 2)
    assert monitored("auto", [2, 3]) == ("f1", 0)
    assert monitored("loss", [2, 3, 4]) == ("loss", 0)


def test_each_score_has_one_title() -> None:
    assert set(MONITORS) < set(SCORES)
    assert title("f1", "attack") == score("f1", ["calm", "attack"], "attack").title == "F1 of attack"
    assert score("loss", range(2)).better == SCORES["loss"].better == -1
    assert score("detection@0.01", [0, 1], 1, [0.01]).title == "detection rate at 1 % false alarms"


@pytest.mark.parametrize("name", ["kappa", "f1:z", "detection@0.5", "detection@x"])
def test_scores_that_there_are_not(name: str) -> None:
    with pytest.raises(InputError, match="There is no"):
        score(name, ["a", "b"], "a", [0.01])

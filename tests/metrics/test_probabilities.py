"""Probabilities, against scikit-learn and against the definitions written out."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from bothways.metrics import calibration, curve, ranking

Array = npt.NDArray[np.float64]


def example(classes: int = 3, steps: int = 400) -> tuple[npt.NDArray[np.int64], Array]:
    generator = np.random.default_rng(0)
    p = generator.dirichlet(np.ones(classes), steps)
    expected = (p.cumsum(axis=1) > generator.random((steps, 1))).argmax(axis=1)
    return expected, p


def test_probabilities_that_are_true_are_calibrated() -> None:
    expected, p = example(steps=100_000)
    assert calibration(expected, p).error < 0.01
    overconfident = p**4 / (p**4).sum(axis=1, keepdims=True)
    assert calibration(expected, overconfident).error > 0.1


@pytest.mark.parametrize("classes", [2, 3])
def test_calibration_by_its_definition(classes: int) -> None:
    expected, p = example(classes)
    result = calibration(expected, p, bins=10)
    error = 0.0
    for i, part in enumerate(result.bins):
        inside = (p.max(axis=1) > i / 10) & (p.max(axis=1) <= (i + 1) / 10)
        assert part.steps == inside.sum()
        if part.steps:
            right = (p.argmax(axis=1) == expected)[inside].mean()
            assert part.accuracy == pytest.approx(right)
            error += inside.mean() * abs(right - p.max(axis=1)[inside].mean())
    assert result.error == pytest.approx(error)
    squares = np.square(p - np.eye(classes)[expected]).sum(axis=1).mean()
    assert result.brier == pytest.approx(squares / 2 if classes == 2 else squares)


@pytest.mark.parametrize("values", [3, 10**6])
def test_rankings_are_those_of_scikit_learn(values: int) -> None:
    from sklearn.metrics import average_precision_score, roc_auc_score

    generator = np.random.default_rng(0)
    positive, p = generator.random(300) < 0.3, generator.integers(0, values, 300) / values
    precision, area = ranking(positive, p)
    assert precision == pytest.approx(average_precision_score(positive, p))
    assert area == pytest.approx(roc_auc_score(positive, p))
    weights = generator.random(300)
    theirs = average_precision_score(positive, p, sample_weight=weights)
    assert ranking(positive, p, weights)[0] == pytest.approx(theirs)


def test_a_class_that_is_absent_has_no_ranking() -> None:
    p = np.array([0.1, 0.2])
    assert ranking(np.array([False, False]), p) == (None, None)
    assert ranking(np.array([True, True]), p) == (1.0, None)
    assert curve(np.array([False, False]), p) is None


def test_a_curve_is_what_its_thresholds_give() -> None:
    expected, p = example(2, 5000)
    line = curve(expected == 1, p[:, 1], points=50)
    assert line is not None
    assert 40 <= len(line.thresholds) <= 50
    for i, threshold in enumerate(line.thresholds):
        called = p[:, 1] >= threshold
        assert line.detection_rate[i] == pytest.approx(called[expected == 1].mean())
        assert line.false_alarm_rate[i] == pytest.approx(called[expected == 0].mean())
        assert line.precision[i] == pytest.approx((expected[called] == 1).mean() if called.any() else 1.0)
    assert line.detection_rate[-1] == 1.0
    assert np.diff(line.detection_rate).max() < 0.05

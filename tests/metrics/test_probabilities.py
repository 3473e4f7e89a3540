"""Probabilities, against scikit-learn and against the definitions written out."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from bothways.errors import InputError
from bothways.metrics import calibration, curve, score_probabilities

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


def test_rankings_and_labels_that_are_missing() -> None:
    from sklearn.metrics import average_precision_score, roc_auc_score

    expected, p = example()
    masked = expected.copy()
    masked[::7] = -1
    kept = masked >= 0
    scores = score_probabilities(masked, p, ["a", "b", "c"])
    for code, name in enumerate("abc"):
        positive = expected[kept] == code
        assert scores.classes[name].roc_auc == pytest.approx(roc_auc_score(positive, p[kept, code]))
        assert scores.classes[name].average_precision == pytest.approx(average_precision_score(positive, p[kept, code]))
    assert scores.calibration == calibration(expected[kept], p[kept])


def test_a_class_that_is_absent_has_no_ranking() -> None:
    scores = score_probabilities([0, 0], [[0.9, 0.1], [0.8, 0.2]], ["a", "b"])
    assert scores.classes["a"].roc_auc is None
    assert scores.classes["a"].average_precision == 1.0
    assert scores.classes["b"].average_precision is None
    assert curve([0, 0], [[0.9, 0.1], [0.8, 0.2]], 1) is None


def test_a_curve_is_what_its_thresholds_give() -> None:
    expected, p = example(2, 5000)
    line = curve(expected, p, 1, points=50)
    assert line is not None
    assert 40 <= len(line.thresholds) <= 50
    for i, threshold in enumerate(line.thresholds):
        called = p[:, 1] >= threshold
        assert line.detection_rate[i] == pytest.approx(called[expected == 1].mean())
        assert line.false_alarm_rate[i] == pytest.approx(called[expected == 0].mean())
        assert line.precision[i] == pytest.approx((expected[called] == 1).mean() if called.any() else 1.0)
    assert line.detection_rate[-1] == 1.0
    assert np.diff(line.detection_rate).max() < 0.05


@pytest.mark.parametrize(
    ("expected", "p", "said"),
    [
        ([0, 1], [[0.5, 0.5]], r"probabilities are \(1, 2\); they must be \(2, 2\)"),
        ([0], [[0.5, 0.25, 0.25]], r"probabilities are \(1, 3\); they must be \(1, 2\)"),
        ([-1], [[0.5, 0.5]], "None of the 1 expected labels is known"),
        ([2], [[0.5, 0.5]], "there are 2 classes"),
        ([1], [[np.nan, 0.5]], "not finite"),
    ],
)
def test_probabilities_that_cannot_be_judged(expected: list[int], p: list[list[float]], said: str) -> None:
    with pytest.raises(InputError, match=said):
        score_probabilities(expected, p, ["a", "b"])

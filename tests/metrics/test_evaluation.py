"""A model evaluated: every score has the interval that it should have."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from bothways.errors import InputError
from bothways.metrics import BaselineScores, Evaluation, Interval, evaluate
from bothways.sequences import Sequences

CLASSES = ["calm", "attack"]


def made(labels: Any, lengths: Any = None) -> Sequences:
    """Labeled steps in sequences of these lengths, or sequences with one label each."""
    labels = np.asarray(labels, np.int64)
    per = "sequence" if lengths is None else "step"
    lengths = np.ones(len(labels), np.int64) if lengths is None else np.asarray(lengths)
    return Sequences(np.zeros((int(lengths.sum()), 0)), lengths, labels, per=per)


def evaluated(accuracy: float, other: float, sequences: int = 50, **more: Any) -> Evaluation:
    """A model that is right this often, beside a baseline that is right this often."""
    generator = np.random.default_rng(0)
    expected = generator.integers(0, 2, sequences * 10)

    def codes(share: float) -> npt.NDArray[np.int64]:
        return np.where(generator.random(len(expected)) < share, expected, 1 - expected)

    p = np.where(np.eye(2)[codes(accuracy)] == 1, 0.8, 0.2)
    baselines = {"majority": codes(0.5), "one_step": codes(other)}
    return evaluate(made(expected, np.full(sequences, 10)), p, CLASSES, baselines=baselines, **more)


def width(interval: Interval) -> float:
    return interval.high - interval.low


def test_scores_are_those_of_scikit_learn() -> None:
    from sklearn import metrics

    generator = np.random.default_rng(0)
    p = generator.dirichlet(np.ones(5), 500)
    expected = np.append(generator.integers(0, 4, 400), [-1] * 100)
    evaluation = evaluate(made(expected, [200, 300]), p, range(5))
    known, predicted = expected[:400], p[:400].argmax(axis=1)
    theirs = metrics.precision_recall_fscore_support(known, predicted, labels=range(5), zero_division=0.0)
    for name, column in zip(("precision", "recall", "f1", "support"), theirs, strict=True):
        np.testing.assert_allclose([getattr(evaluation.classes[k], name) for k in range(5)], column, rtol=1e-12)
    confusion = metrics.confusion_matrix(known, predicted, labels=range(5))
    np.testing.assert_array_equal(evaluation.confusion, confusion)
    others = confusion.sum(axis=0) - confusion.diagonal()
    np.testing.assert_allclose(
        [of.false_alarm_rate for of in evaluation.classes.values()], others / (400 - confusion.sum(axis=1))
    )
    assert (evaluation.labels, evaluation.unlabeled) == (400, 100)
    assert evaluation.macro_f1 == pytest.approx(theirs[2].mean())


def test_steps_of_one_sequence_are_not_independent() -> None:
    expected = np.repeat([0, 1] * 20, 50)
    p = np.eye(2)[np.repeat([0, 1, 0, 0] * 10, 50)]  # whole sequences are right or wrong
    by_sequence = width(evaluate(made(expected, np.full(40, 50)), p, CLASSES).intervals["accuracy"])
    by_step = width(evaluate(made(expected), p, CLASSES).intervals["accuracy"])
    assert by_sequence == pytest.approx(7 * by_step, rel=0.15)  # the root of 50
    assert by_sequence == pytest.approx(2 * 1.96 * np.sqrt(0.75 * 0.25 / 40), rel=0.15)


def test_a_difference_is_paired() -> None:
    generator = np.random.default_rng(0)
    expected = generator.integers(0, 3, 200)
    other = np.where(generator.random(200) < 0.7, expected, generator.integers(0, 3, 200))
    better = other.copy()
    better[np.flatnonzero(expected != other)[:3]] = expected[np.flatnonzero(expected != other)[:3]]
    baselines = {"other": other, "itself": better}
    evaluation = evaluate(made(expected, np.full(40, 5)), np.eye(3)[better], "abc", baselines=baselines)
    ahead = evaluation.baselines["other"].ahead["accuracy"]
    assert 0 <= ahead.low <= ahead.value == pytest.approx(3 / 200)
    assert width(ahead) < width(evaluation.intervals["accuracy"])
    assert set(evaluation.baselines["itself"].ahead.values()) == {Interval(0.0, 0.0, 0.0)}


def test_alarms_and_their_intervals() -> None:
    generator = np.random.default_rng(0)
    expected = (generator.random(400) < 0.5).astype(int)
    p = np.where(generator.random(400) < 0.8, expected, 1 - expected)
    evaluation = evaluate(
        made(expected, np.full(200, 2)), np.eye(2)[p], CLASSES, positive=1, threshold=0.5, asked=0.1, hours=2.0
    )
    assert evaluation.alarms is not None
    assert (evaluation.positive, evaluation.alarms.alarms_per_hour) == ("attack", p.sum() / 2)
    for name, of in (("detection_rate", expected == 1), ("false_alarm_rate", expected == 0)):
        value = p[of].mean()
        assert evaluation.intervals[name].value == pytest.approx(value) == getattr(evaluation.alarms, name)
        expected_width = 2 * 1.96 * np.sqrt(value * (1 - value) / of.sum())
        assert width(evaluation.intervals[name]) == pytest.approx(expected_width, rel=0.2)


def test_rates_of_few_labels() -> None:
    p = np.array([0.1, 0.9, 0.9, 0.2, 0.9, 0.8])
    more: dict[str, Any] = {"positive": 1, "threshold": 0.5}
    some = evaluate(made([0, 1, -1, 1, -1, 0], [3, 3]), np.stack([1 - p, p], axis=1), CLASSES, **more)
    assert some.alarms is not None
    assert (some.alarms.alarms, some.alarms.false_alarms, some.alarms.positives) == (2, 1, 2)
    rates = evaluate(made([1, 0, 0]), np.eye(2)[[1, 0, 0]], CLASSES, **more).intervals
    assert rates["detection_rate"].low == 1.0  # samples without an attack do not count
    assert "detection_rate" not in evaluate(made([0, 0, 0]), np.eye(2)[[1, 0, 0]], CLASSES, **more).intervals


def test_labels_that_count_twice_are_as_two_labels() -> None:
    labels, p, times = np.array([0, 1, 1, 0]), np.array([0.1, 0.9, 0.2, 0.8]), np.array([1, 2, 3, 2])
    more: dict[str, Any] = {"positive": 1, "threshold": 0.5}
    once = replace(made(labels, [4]), weights=times.astype(np.float32))
    weighed = evaluate(once, np.stack([1 - p, p], axis=1), CLASSES, **more)
    rows = np.repeat(np.arange(4), times)
    found = evaluate(made(labels[rows], [8]), np.stack([1 - p, p], axis=1)[rows], CLASSES, **more)
    assert (weighed.alarms, weighed.classes) == (found.alarms, found.classes)
    assert weighed.confusion.tolist() == found.confusion.tolist()
    assert np.allclose(weighed.calibration.bins, found.calibration.bins)
    ours, theirs = ([each.calibration.error, each.calibration.brier] for each in (weighed, found))
    assert ours == pytest.approx(theirs)


def test_one_sequence_with_labels_has_no_intervals() -> None:
    evaluation = evaluate(
        made([0, 1, -1], [2, 1]), np.eye(2)[[0, 0, 0]], CLASSES, baselines={"majority": np.ones(3, int)}
    )
    assert evaluation.intervals == {} == evaluation.baselines["majority"].ahead
    assert evaluation.standing == "unknown"


def test_samples_without_a_rare_class_leave_it_out() -> None:
    """It counts for what it has where it is there: all is right in every sample."""
    labels = np.array([0] * 9 + [1] * 9 + [2, 2])
    evaluation = evaluate(made(labels), np.eye(3)[labels], range(3), baselines={"majority": np.zeros(20, int)})
    assert evaluation.intervals["macro_f1"] == Interval(1.0, 1.0, 1.0)
    assert evaluation.intervals["f1:2"].low == 0.0
    none = evaluate(made(labels[:-2]), np.eye(3)[labels[:-2]], range(3))
    assert none.intervals["macro_f1"] == pytest.approx((2 / 3, 2 / 3, 2 / 3))
    assert none.macro_f1 == pytest.approx(2 / 3)


def test_the_interval_of_many_rare_classes_holds_their_mean() -> None:
    generator = np.random.default_rng(0)
    labels = np.concatenate([np.zeros(100, int), np.arange(1, 41).repeat(2)])
    codes = np.where(generator.random(len(labels)) < 0.5, labels, 0)
    evaluation = evaluate(made(labels), np.eye(41)[codes], range(41))
    interval = evaluation.intervals["macro_f1"]
    assert interval.low < evaluation.macro_f1 < interval.high


def test_labels_that_training_does_not_have() -> None:
    p = np.array([[0.9, 0.1], [0.4, 0.6], [0.8, 0.2], [0.7, 0.3]])
    evaluation = evaluate(made([0, 1, 2, 2], [2, 2]), p, ["calm", "attack", "scan"])
    assert evaluation.unseen == ("scan",)
    assert evaluation.confusion.tolist() == [[1, 0, 0], [0, 1, 0], [2, 0, 0]]
    assert evaluation.accuracy == 0.5
    assert evaluation.macro_f1 == pytest.approx((0.5 + 1 + 0) / 3)
    assert evaluation.classes["scan"].recall == 0


@pytest.mark.parametrize(
    ("accuracy", "other", "standing"), [(0.9, 0.7, "better"), (0.8, 0.8, "unclear"), (0.6, 0.9, "worse")]
)
def test_standing(accuracy: float, other: float, standing: str) -> None:
    assert evaluated(accuracy, other).standing == standing


def test_a_baseline_of_which_no_more_is_known_leaves_the_standing_unknown() -> None:
    assert evaluated(0.9, 0.7).beside(BaselineScores(0.7, 0.7), "accuracy") == "unknown"


def test_the_json_shape() -> None:
    evaluation = evaluated(0.9, 0.7, split="test", positive=1, threshold=0.5, asked=0.1, hours=2.0)
    shape = json.loads(json.dumps(evaluation.to_json(), allow_nan=False))
    before = ["split", "sequences", "steps", "accuracy", "macro_f1", "classes", "baselines"]
    after = ["unseen_classes", "confusion", "calibration", "unlabeled", "warnings", "columns"]
    after += ["intervals", "threshold"]
    assert list(shape) == before + after
    assert set(shape["classes"]["attack"]) > {"f1", "average_precision", "roc_auc"}
    assert shape["baselines"]["one_step"]["model_ahead_by"]["macro_f1"]["low"] > 0
    assert shape["intervals"]["accuracy"]["low"] < shape["accuracy"] < shape["intervals"]["accuracy"]["high"]
    assert shape["intervals"]["f1"]["attack"]["low"] < shape["classes"]["attack"]["f1"]
    rate = shape["threshold"]["intervals"]["detection_rate"]
    assert rate["low"] < shape["threshold"]["detection_rate"] == rate["value"] < rate["high"]
    assert shape["threshold"]["class"] == "attack"
    assert shape["threshold"]["alarms_per_hour"] == shape["threshold"]["alarms"] / 2


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"threshold": 0.5}, "needs the class that it is for; positive is None"),
        ({"threshold": 0.5, "positive": 1, "hours": 0}, "hours is 0"),
    ],
)
def test_what_cannot_be_evaluated(more: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        evaluate(made([0, 1]), np.eye(2), CLASSES, **more)
    with pytest.raises(InputError, match="must be finite"):
        evaluate(made([0, 1]), np.full((2, 2), np.nan), CLASSES)

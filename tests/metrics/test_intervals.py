"""Intervals, against samples drawn and scored one by one."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from bothways.errors import InputError
from bothways.metrics import alarm_intervals, bootstrap, difference, score_codes

CLASSES = ["a", "b", "c"]
Codes = npt.NDArray[np.int64]


def example(seed: int = 0) -> tuple[Codes, Codes, Codes]:
    """Expected and predicted codes and the lengths of 30 sequences, one without steps, some steps without labels."""
    generator = np.random.default_rng(seed)
    lengths = generator.integers(1, 9, 30)
    lengths[7] = 0
    expected = generator.integers(-1, 3, lengths.sum())
    predicted = np.where(
        generator.random(len(expected)) < 0.7, expected.clip(0), generator.integers(0, 3, len(expected))
    )
    return expected, predicted, lengths


def test_samples_are_of_whole_sequences() -> None:
    expected, predicted, lengths = example()
    # Twice with the same seed: the sample is what a generator of that seed draws, sequence by sequence.
    numbers = np.repeat(np.arange(30), lengths)
    labeled = [i for i in range(30) if (expected[numbers == i] >= 0).any()]
    drawn = np.random.default_rng(3).integers(len(labeled), size=(50, len(labeled)))
    scores = []
    for sample in drawn:
        steps = np.concatenate([np.flatnonzero(numbers == labeled[i]) for i in sample])
        scores.append(score_codes(expected[steps], predicted[steps], CLASSES))
    intervals = bootstrap(expected, predicted, CLASSES, lengths, resamples=50, confidence=0.8, seed=3)
    assert intervals is not None
    assert intervals.sequences == len(labeled)
    whole = score_codes(expected, predicted, CLASSES)
    for interval, value, values in (
        (intervals.accuracy, whole.accuracy, [s.accuracy for s in scores]),
        (intervals.macro_f1, whole.macro_f1, [s.macro_f1 for s in scores]),
        (intervals.f1["b"], whole.classes["b"].f1, [s.classes["b"].f1 for s in scores]),
    ):
        assert interval.value == pytest.approx(value)
        assert (interval.low, interval.high) == pytest.approx(tuple(np.quantile(values, [0.1, 0.9])))


def test_steps_of_one_sequence_are_not_independent() -> None:
    expected = np.repeat([0, 1] * 20, 50)
    predicted = np.repeat([0, 1, 0, 0] * 10, 50)  # whole sequences are right or wrong
    by_sequence = bootstrap(expected, predicted, [0, 1], np.full(40, 50))
    by_step = bootstrap(expected, predicted, [0, 1])
    assert by_sequence is not None
    assert by_step is not None
    width = by_sequence.accuracy.high - by_sequence.accuracy.low
    assert width == pytest.approx(7 * (by_step.accuracy.high - by_step.accuracy.low), rel=0.15)  # the root of 50
    assert width == pytest.approx(2 * 1.96 * np.sqrt(0.75 * 0.25 / 40), rel=0.15)


def test_a_difference_is_paired() -> None:
    expected, predicted, lengths = example()
    wrong = np.flatnonzero(expected != predicted)[:3]
    better = predicted.copy()
    better[wrong] = expected[wrong].clip(0)
    ahead = difference(expected, better, predicted, CLASSES, lengths)
    own = bootstrap(expected, better, CLASSES, lengths)
    assert ahead is not None
    assert own is not None
    assert ahead["accuracy"].low >= 0
    assert ahead["accuracy"].high < own.accuracy.high - own.accuracy.low
    back = difference(expected, predicted, better, CLASSES, lengths)
    assert back is not None
    assert back["macro_f1"].low == pytest.approx(-ahead["macro_f1"].high)
    same = difference(expected, predicted, predicted, CLASSES, lengths)
    assert same is not None
    assert (same["macro_f1"].low, same["macro_f1"].high) == (0, 0)


def test_alarms() -> None:
    generator = np.random.default_rng(0)
    positives = generator.random(400) < 0.5
    alarms = np.where(generator.random(400) < 0.8, positives, ~positives)
    rates = alarm_intervals(alarms, positives, np.full(200, 2))
    assert rates is not None
    for name, of in (("detection_rate", positives), ("false_alarm_rate", ~positives)):
        value = alarms[of].mean()
        assert rates[name].value == pytest.approx(value)
        width = rates[name].high - rates[name].low
        assert width == pytest.approx(2 * 1.96 * np.sqrt(value * (1 - value) / of.sum()), rel=0.2)
    only = alarm_intervals(alarms[~positives], positives[~positives])
    assert only is not None
    assert list(only) == ["false_alarm_rate"]


def test_samples_without_anything_to_detect_do_not_count() -> None:
    rates = alarm_intervals([True, False, False], [True, False, False])
    assert rates is not None
    assert rates["detection_rate"].low == 1.0


def test_one_sequence_tells_nothing() -> None:
    assert bootstrap([0, 1, -1], [0, 0, 0], [0, 1], [2, 1]) is None
    assert difference([0, 1], [0, 0], [0, 1], [0, 1], [2]) is None
    assert alarm_intervals([True, False], [True, False], [2]) is None


def test_lengths_that_do_not_fit() -> None:
    with pytest.raises(InputError, match="lengths have 3 steps together; there are 2 labels"):
        bootstrap([0, 1], [0, 1], [0, 1], [1, 2])
    with pytest.raises(InputError, match=r"alarms are \(1,\) and positives \(2,\)"):
        alarm_intervals([True], [True, False])


def test_many_samples_at_once_or_few_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    expected, predicted, lengths = example()
    at_once = bootstrap(expected, predicted, CLASSES, lengths, resamples=20)
    monkeypatch.setattr("bothways.metrics.intervals.DRAWS_AT_ONCE", 100)
    assert bootstrap(expected, predicted, CLASSES, lengths, resamples=20) == at_once

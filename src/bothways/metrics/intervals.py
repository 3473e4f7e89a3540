"""How far scores may be off: bootstrap intervals over whole sequences.

Steps of one sequence resemble each other, so resampling steps would claim a certainty that is not there. Whole
sequences are drawn with replacement, as many as there are, and the percentiles of the scores of such samples bound the
interval (Efron & Tibshirani 1993, chapter 13).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from bothways.errors import InputError
from bothways.metrics.labels import NONE, Floats, Numbers, checked_codes, code_array, f1_scores, shares

RESAMPLES = 1000
CONFIDENCE = 0.95
DRAWS_AT_ONCE = 2**22


@dataclass(frozen=True)
class Interval:
    """A score and the interval that holds it.

    Attributes:
        value: the score itself.
        low: the lower end.
        high: the upper end.
    """

    value: float
    low: float
    high: float

    def to_json(self) -> dict[str, float]:
        """The three numbers by name.

        Example:
            >>> Interval(0.8, 0.7, 0.85).to_json()
            {'value': 0.8, 'low': 0.7, 'high': 0.85}
        """
        return asdict(self)


@dataclass(frozen=True)
class Intervals:
    """The intervals of the scores of labels.

    Attributes:
        accuracy: that of the share of right labels.
        macro_f1: that of the mean F1 over all classes.
        f1: those of F1 of each class.
        sequences: how many sequences were resampled; below 20 or so, intervals are too narrow.
        resamples: how often.
        confidence: the share of the samples inside.
    """

    accuracy: Interval
    macro_f1: Interval
    f1: Mapping[Any, Interval]
    sequences: int
    resamples: int
    confidence: float

    def to_json(self) -> dict[str, Any]:
        """The intervals as plain JSON values."""
        return {
            "accuracy": self.accuracy.to_json(),
            "macro_f1": self.macro_f1.to_json(),
            "f1": {str(label): interval.to_json() for label, interval in self.f1.items()},
            "sequences": self.sequences,
            "resamples": self.resamples,
            "confidence": self.confidence,
        }


def bootstrap(
    expected: Any,
    predicted: Any,
    classes: Sequence[Any],
    lengths: Any = None,
    *,
    resamples: int = RESAMPLES,
    confidence: float = CONFIDENCE,
    seed: int = 0,
) -> Intervals | None:
    """Intervals of accuracy and F1.

    Args:
        expected: `(steps,)` codes, -1 where there is no label; one sequence after the other.
        predicted: `(steps,)` codes.
        classes: the name of every class.
        lengths: `(sequences,)` how many steps each sequence has; None where each label is that of a sequence.
        resamples: how many samples to draw.
        confidence: the share of them inside the interval.
        seed: the same seed draws the same samples.

    Returns:
        None where fewer than two sequences have labels, for one sequence tells nothing about others.

    Raises:
        InputError: arrays that do not fit.

    Example:
        >>> intervals = bootstrap([0, 0, 1, 1, 0, 1], [0, 0, 1, 0, 0, 1], ["calm", "attack"], lengths=[2, 2, 2])
        >>> round(intervals.accuracy.value, 3), intervals.accuracy.low, intervals.accuracy.high
        (0.833, 0.5, 1.0)
    """
    counts = _label_counts(expected, predicted, len(classes), lengths)
    if len(counts) < 2:
        return None
    accuracy, macro_f1, f1 = (
        _intervals(value, drawn, confidence)
        for value, drawn in zip(
            _label_scores(counts.sum(axis=0)), _label_scores(_resampled(counts, resamples, seed)), strict=True
        )
    )
    by_class = dict(zip(classes, f1, strict=True))
    return Intervals(accuracy[0], macro_f1[0], by_class, len(counts), resamples, confidence)


def difference(
    expected: Any,
    predicted: Any,
    other: Any,
    classes: Sequence[Any],
    lengths: Any = None,
    *,
    resamples: int = RESAMPLES,
    confidence: float = CONFIDENCE,
    seed: int = 0,
) -> dict[str, Interval] | None:
    """By how much one model beats another on the same sequences.

    Both are scored on the same samples, so what makes a sequence hard for both cancels out; the interval is much
    narrower than those of the two scores, and their overlap says nothing.

    Args:
        expected: `(steps,)` codes, -1 where there is no label; one sequence after the other.
        predicted: `(steps,)` codes of the one model.
        other: `(steps,)` codes of the other.
        classes: as in `bootstrap`, as are the next four.
        lengths: how many steps each sequence has.
        resamples: how many samples to draw.
        confidence: the share of them inside the interval.
        seed: the same seed draws the same samples.

    Returns:
        "accuracy" and "macro_f1", each of `predicted` minus that of `other`; None as in `bootstrap`.

    Raises:
        InputError: arrays that do not fit.

    Example:
        >>> difference([0, 1, 1, 0], [0, 1, 1, 0], [0, 0, 0, 0], ["calm", "attack"])["accuracy"].value
        0.5
    """
    one, two = (_label_counts(expected, codes, len(classes), lengths) for codes in (predicted, other))
    if len(one) < 2:
        return None
    both = np.concatenate([one, two], axis=1)
    value, drawn = (
        [a - b for a, b in zip(*(_label_scores(half) for half in np.split(sums, 2, axis=-1)), strict=True)]
        for sums in (both.sum(axis=0), _resampled(both, resamples, seed))
    )
    names = ("accuracy", "macro_f1")
    return {name: _intervals(value[i], drawn[i], confidence)[0] for i, name in enumerate(names)}


def alarm_intervals(
    alarms: Any,
    positives: Any,
    lengths: Any = None,
    *,
    resamples: int = RESAMPLES,
    confidence: float = CONFIDENCE,
    seed: int = 0,
) -> dict[str, Interval] | None:
    """Intervals of the detection rate and the false-alarm rate, for a threshold that is given.

    Args:
        alarms: `(steps,)` bool, where there is an alarm; one sequence after the other.
        positives: `(steps,)` bool, where there should be one.
        lengths: as in `bootstrap`, as are the next three; steps without a label must be left out of all three.
        resamples: how many samples to draw.
        confidence: the share of them inside the interval.
        seed: the same seed draws the same samples.

    Returns:
        "detection_rate" and "false_alarm_rate", without one of which there is nothing; None as in `bootstrap`.

    Raises:
        InputError: arrays that do not fit.

    Example:
        >>> alarm_intervals([True, True, False], [True, True, False])["detection_rate"]
        Interval(value=1.0, low=1.0, high=1.0)
    """
    alarm, positive = np.asarray(alarms, bool), np.asarray(positives, bool)
    if alarm.shape != positive.shape or alarm.ndim != 1:
        raise InputError(f"alarms are {alarm.shape} and positives {positive.shape}; give as many of both.")
    counts = _by_sequence([alarm & positive, positive, alarm & ~positive, ~positive], lengths)
    counts = counts[counts[:, 1] + counts[:, 3] > 0]
    if len(counts) < 2:
        return None
    sums, drawn = counts.sum(axis=0), _resampled(counts, resamples, seed)
    return {
        name: _intervals(shares(sums[i], sums[i + 1]), _defined_shares(drawn[:, i], drawn[:, i + 1]), confidence)[0]
        for name, i in (("detection_rate", 0), ("false_alarm_rate", 2))
        if sums[i + 1]
    }


def _label_counts(expected: Any, predicted: Any, classes: int, lengths: Any) -> Floats:
    """For each sequence with labels, per class: hits, how often it was called, how often it was due."""
    true, said = checked_codes(expected, predicted, classes)
    numbers, sequences = _sequence_numbers(lengths, len(true))
    judged = true != NONE
    true, said, numbers = true[judged], said[judged], numbers[judged]

    def counted(chosen: Any, codes: Numbers) -> Numbers:
        places = numbers[chosen] * classes + codes[chosen]
        return np.bincount(places, minlength=sequences * classes).reshape(sequences, classes)

    everything = slice(None)
    counts = np.concatenate([counted(true == said, true), counted(everything, said), counted(everything, true)], axis=1)
    return counts[counts[:, -classes:].any(axis=1)].astype(np.float64)


def _label_scores(counts: Floats) -> tuple[Floats, Floats, Floats]:
    """Accuracy, macro F1 and F1 from counts `(..., 3 * classes)`: `(...)`, `(...)` and `(..., classes)`."""
    hits, called, support = np.split(counts, 3, axis=-1)
    f1 = f1_scores(hits, called, support)
    return hits.sum(axis=-1) / support.sum(axis=-1), f1.mean(axis=-1), f1


def _by_sequence(flags: Sequence[Any], lengths: Any) -> Floats:
    """For each sequence how many of its steps have each flag: `(sequences, flags)`."""
    numbers, sequences = _sequence_numbers(lengths, len(flags[0]))
    return np.stack([np.bincount(numbers[flag], minlength=sequences) for flag in flags], axis=1).astype(np.float64)


def _sequence_numbers(lengths: Any, steps: int) -> tuple[Numbers, int]:
    """For each step the number of its sequence; and how many sequences there are."""
    if lengths is None:
        return np.arange(steps), steps
    sizes = code_array("lengths", lengths)
    if sizes.sum() != steps or (sizes < 0).any():
        raise InputError(f"lengths have {sizes.sum()} steps together; there are {steps} labels. They must agree.")
    return np.repeat(np.arange(len(sizes)), sizes), len(sizes)


def _resampled(counts: Floats, resamples: int, seed: int) -> Floats:
    """The sums of counts `(sequences, columns)` over samples of sequences: `(resamples, columns)`."""
    generator = np.random.default_rng(seed)
    sequences = len(counts)
    at_once = max(1, DRAWS_AT_ONCE // sequences)
    sums = []
    for start in range(0, resamples, at_once):
        samples = min(at_once, resamples - start)
        drawn = generator.integers(sequences, size=(samples, sequences))
        drawn += sequences * np.arange(samples)[:, None]
        times = np.bincount(drawn.ravel(), minlength=samples * sequences).reshape(samples, sequences)
        sums.append(times.astype(np.float64) @ counts)
    return np.concatenate(sums)


def _defined_shares(part: Floats, whole: Floats) -> Floats:
    """The shares of those samples that have a whole."""
    return part[whole > 0] / whole[whole > 0]


def _intervals(value: Any, drawn: Floats, confidence: float) -> list[Interval]:
    """The intervals of values `()` or `(scores,)` from samples `(resamples,)` or `(resamples, scores)`."""
    ends = np.quantile(drawn, [(1 - confidence) / 2, (1 + confidence) / 2], axis=0)
    rows = zip(np.atleast_1d(value), *(np.atleast_1d(end) for end in ends), strict=True)
    return [Interval(*(float(number) for number in row)) for row in rows]

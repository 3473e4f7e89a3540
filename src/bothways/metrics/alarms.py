"""Alarms: a threshold for a tolerable false-alarm rate, and what it gives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bothways.errors import InputError
from bothways.metrics.counts import counted_labels, labeled
from bothways.metrics.probabilities import at_thresholds
from bothways.sequences import Doubles, Numbers, Sequences

KEPT_RATES = (0.0, *(digit / 10**places for places in (4, 3, 2, 1) for digit in range(1, 10)), 1.0)
"""The rates of false alarms for which a model keeps thresholds."""


@dataclass(frozen=True)
class Alarms:
    """What it gives to raise an alarm at every probability from a threshold up.

    Attributes:
        threshold: the lowest probability with an alarm.
        asked_false_alarm_rate: the rate that the threshold was chosen for; None if for none.
        alarms: how many there are.
        false_alarms: how many of them are wrong.
        positives: how many steps (or sequences) should raise one.
        negatives: how many should not.
        hours: how long all of it took; None without times.

    Example:
        >>> alarms = Alarms(0.5, None, alarms=4, false_alarms=1, positives=6, negatives=10, hours=2.0)
        >>> alarms.detection_rate, alarms.false_alarm_rate, alarms.precision, alarms.alarms_per_hour
        (0.5, 0.1, 0.75, 2.0)
    """

    threshold: float
    asked_false_alarm_rate: float | None
    alarms: int
    false_alarms: int
    positives: int
    negatives: int
    hours: float | None = None

    @property
    def detection_rate(self) -> float | None:
        """Of the positives, the share with an alarm; None without positives."""
        return _share(self.alarms - self.false_alarms, self.positives)

    @property
    def false_alarm_rate(self) -> float | None:
        """Of the negatives, the share with an alarm; None without negatives."""
        return _share(self.false_alarms, self.negatives)

    @property
    def precision(self) -> float | None:
        """Of the alarms, the share that is right; None without alarms."""
        return _share(self.alarms - self.false_alarms, self.alarms)

    @property
    def alarms_per_hour(self) -> float | None:
        """Alarms per hour, right and wrong; None without times."""
        return _share(self.alarms, self.hours)

    @property
    def false_alarms_per_hour(self) -> float | None:
        """Wrong alarms per hour; None without times."""
        return _share(self.false_alarms, self.hours)

    def to_json(self) -> dict[str, Any]:
        """The alarms as plain JSON values."""
        names = "threshold asked_false_alarm_rate detection_rate false_alarm_rate precision alarms false_alarms"
        names += " positives negatives hours alarms_per_hour false_alarms_per_hour"
        return {name: getattr(self, name) for name in names.split()}


def choose_threshold(scores: Any, positives: Any, false_alarm_rate: float) -> float:
    """The lowest threshold with at most this false-alarm rate.

    Choose it on data that was neither trained on nor is reported on. Where even the highest score has too many
    negatives, the threshold lies just above it, and nothing raises an alarm.

    Args:
        scores: `(steps,)` the higher, the more suspicious, such as the probability of the class to detect.
        positives: `(steps,)` bool, what should raise an alarm.
        false_alarm_rate: the share of the negatives that may raise one, from 0 to 1.

    Raises:
        InputError: a rate out of its range, no positives or no negatives, or arrays that do not fit.

    Example:
        >>> choose_threshold([0.1, 0.2, 0.4, 0.4, 0.7, 0.9], [False, False, False, False, True, True], 0.25)
        0.7
    """
    return float(_thresholds(scores, positives, [false_alarm_rate])[0])


def detectable(sequences: Sequences, positive: int) -> bool:
    """Whether labeled sequences have something to detect, and something else to leave alone."""
    found = sequences.known_labels[counted_labels(sequences)] == positive
    return 0 < int(found.sum()) < len(found)


def thresholds_for(
    sequences: Sequences, probabilities: Any, false_alarm_rates: Sequence[float], positive: int
) -> dict[float, float]:
    """The threshold for each false-alarm rate, chosen as by `choose_threshold` on labeled sequences.

    `probabilities` are `(labels, classes)`, `positive` is the code of the class to detect.

    Example:
        >>> sequences = Sequences(np.zeros((2, 1)), np.array([2]), labels=np.array([0, 1]))
        >>> thresholds_for(sequences, [[0.9, 0.1], [0.2, 0.8]], [0.01], positive=1)
        {0.01: 0.8}
    """
    labels, p = _labeled(sequences, probabilities)
    found = _thresholds(p[:, positive], labels == positive, false_alarm_rates)
    return dict(zip(false_alarm_rates, found.tolist(), strict=True))


def kept_thresholds(sequences: Sequences, probabilities: Any) -> dict[str, Any]:
    """What a model keeps of labeled sequences that it did not learn from: for each class thresholds for `KEPT_RATES`.

    Of classes that no label, or every one, belongs to there are none. `probabilities` are `(labels, classes)`.

    Example:
        >>> sequences = Sequences(np.zeros((2, 1)), np.array([2]), labels=np.array([0, 1]))
        >>> kept = kept_thresholds(sequences, [[0.9, 0.1], [0.2, 0.8]])
        >>> kept_threshold(kept, 0.012, positive=1)
        0.8
    """
    values: list[list[float]] = [[] for _ in range(np.shape(probabilities)[1])]
    if able := [code for code in range(len(values)) if detectable(sequences, code)]:
        labels, p = _labeled(sequences, probabilities)
        for code in able:
            values[code] = _thresholds(p[:, code], labels == code, KEPT_RATES).tolist()
    return {"rates": list(KEPT_RATES), "values": values}


def kept_threshold(kept: Mapping[str, Any], false_alarm_rate: float, positive: int) -> float | None:
    """Of the thresholds that a model keeps that for the next lower rate; None of a class that has none.

    Raises:
        InputError: a rate out of its range.
    """
    rates, values = np.array(kept["rates"]), kept["values"][positive]
    return float(values[np.flatnonzero(rates <= _rate(false_alarm_rate))[-1]]) if values else None


def _labeled(sequences: Sequences, probabilities: Any) -> tuple[Numbers, Doubles]:
    """The labels that there are, of classes that the model does not have, too, and their probabilities."""
    p = np.asarray(probabilities)
    labels, p, _, _ = labeled(sequences, p, max(p.shape[1], int(sequences.known_labels.max(initial=0)) + 1))
    return labels, p


def _thresholds(scores: Any, positives: Any, false_alarm_rates: Sequence[float]) -> Doubles:
    """For each rate what `choose_threshold` gives."""
    rates = np.array([_rate(each) for each in false_alarm_rates])
    s, positive = np.asarray(scores), np.asarray(positives, bool)
    if s.dtype.kind != "f":  # float32 stays: what is just above its highest score must be so in float32, too
        s = s.astype(np.float64)
    if s.ndim != 1 or s.shape != positive.shape or len(s) == 0:
        raise InputError(f"scores are {s.shape} and positives {positive.shape}; give as many of both, at least 1.")
    if not np.isfinite(s).all():
        raise InputError("scores hold values that are not finite numbers.")
    right, alarms, thresholds = at_thresholds(positive, s)
    false = alarms - right
    for count, what, missing in (
        (right[-1], "to detect", "Name another class"),
        (false[-1], "to leave alone", "Take more data"),
    ):
        if count == 0:
            raise InputError(f"Nothing {what} is among the {len(s)} scores, so no threshold can be chosen. {missing}.")
    # A rate such as 0.29 of 100 is 28.999999999999996 in floating point, and allows 29.
    last = np.searchsorted(false, np.floor(rates * false[-1] * (1 + 1e-12)), side="right") - 1
    return np.asarray(np.where(last >= 0, thresholds[last], np.nextafter(thresholds[0], np.inf)))


def _rate(false_alarm_rate: float) -> float:
    if not 0 <= false_alarm_rate <= 1:
        raise InputError(f"The false-alarm rate is {false_alarm_rate}; it must be from 0 to 1, such as 0.01.")
    return false_alarm_rate


def _share(part: int, whole: float | None) -> float | None:
    return part / whole if whole else None

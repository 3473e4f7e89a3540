"""Alarms: a threshold for a false-alarm rate that one can live with, and what it gives."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from bothways.errors import InputError


@dataclass(frozen=True)
class Alarms:
    """What raising an alarm at every score from a threshold up gives.

    Attributes:
        threshold: the score from which there is an alarm.
        asked_false_alarm_rate: the false-alarm rate that the threshold was chosen for; None if for none.
        detection_rate: of the positives, the share with an alarm; None without positives.
        false_alarm_rate: of the negatives, the share with an alarm; None without negatives.
        precision: of the alarms, the share that is right; None without alarms.
        alarms: how many there are.
        false_alarms: how many of them are wrong.
        positives: how many steps (or sequences) should raise one.
        negatives: how many should not.
        hours: how long all of it took; None if there are no times.
    """

    threshold: float
    asked_false_alarm_rate: float | None
    detection_rate: float | None
    false_alarm_rate: float | None
    precision: float | None
    alarms: int
    false_alarms: int
    positives: int
    negatives: int
    hours: float | None = None

    @property
    def alarms_per_hour(self) -> float | None:
        """Alarms an hour, right ones and wrong ones; None if there are no times."""
        return None if self.hours is None else self.alarms / self.hours

    @property
    def false_alarms_per_hour(self) -> float | None:
        """Wrong alarms an hour; None if there are no times."""
        return None if self.hours is None else self.false_alarms / self.hours

    def to_json(self) -> dict[str, Any]:
        """The alarms as plain JSON values.

        Example:
            >>> shape = at_threshold([0.9, 0.8, 0.1], [True, False, False], 0.5, hours=2.0).to_json()
            >>> shape["detection_rate"], shape["false_alarm_rate"], shape["alarms_per_hour"]
            (1.0, 0.5, 1.0)
        """
        rates = {"alarms_per_hour": self.alarms_per_hour, "false_alarms_per_hour": self.false_alarms_per_hour}
        return asdict(self) | rates


def choose_threshold(scores: Any, positives: Any, false_alarm_rate: float) -> float:
    """The lowest of the scores from which up no larger share of the negatives lies than asked.

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
    s, positive = _checked(scores, positives)
    if not 0 <= false_alarm_rate <= 1:
        raise InputError(f"The false-alarm rate is {false_alarm_rate}; it must be from 0 to 1, such as 0.01.")
    negatives = np.sort(s[~positive])[::-1]
    for count, what, missing in (
        (len(s) - len(negatives), "to detect", "Name another class"),
        (len(negatives), "to leave alone", "Take more data"),
    ):
        if count == 0:
            raise InputError(f"Nothing {what} is among the {len(s)} scores, so no threshold can be chosen. {missing}.")
    # A rate such as 0.29 of 100 is 28.999999999999996 in floating point, and allows 29.
    allowed = int(np.floor(false_alarm_rate * len(negatives) * (1 + 1e-12)))
    if allowed >= len(negatives):
        return float(s.min())
    above = s[s > negatives[allowed]]
    return float(above.min() if len(above) else np.nextafter(negatives[allowed], np.inf))


def at_threshold(
    scores: Any, positives: Any, threshold: float, *, asked: float | None = None, hours: float | None = None
) -> Alarms:
    """What a threshold gives on data that it was not chosen on.

    Args:
        scores: `(steps,)` the higher, the more suspicious.
        positives: `(steps,)` bool, what should raise an alarm.
        threshold: the score from which there is an alarm.
        asked: the false-alarm rate that the threshold was chosen for.
        hours: how long all sequences together took.

    Raises:
        InputError: arrays that do not fit, or hours that are not above 0.

    Example:
        >>> alarms = at_threshold([0.9, 0.2, 0.6, 0.1], [True, True, False, False], 0.6)
        >>> alarms.detection_rate, alarms.false_alarm_rate, alarms.precision
        (0.5, 0.5, 0.5)
    """
    s, positive = _checked(scores, positives)
    if hours is not None and not 0 < hours < np.inf:
        raise InputError(f"hours is {hours}; it must be a number above 0, or None where there are no times.")
    alarm = s >= threshold
    hits, false = int((alarm & positive).sum()), int((alarm & ~positive).sum())
    of_it = int(positive.sum())
    return Alarms(
        threshold=float(threshold),
        asked_false_alarm_rate=asked,
        detection_rate=_share(hits, of_it),
        false_alarm_rate=_share(false, len(s) - of_it),
        precision=_share(hits, hits + false),
        alarms=hits + false,
        false_alarms=false,
        positives=of_it,
        negatives=len(s) - of_it,
        hours=hours,
    )


def _checked(scores: Any, positives: Any) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    s, positive = np.asarray(scores, np.float64), np.asarray(positives)
    if s.ndim != 1 or s.shape != positive.shape or len(s) == 0:
        raise InputError(f"scores are {s.shape} and positives {positive.shape}; give as many of both, 1 or more.")
    if positive.dtype != np.bool_:
        raise InputError(f"positives are {positive.dtype}; they must be true or false.")
    if not np.isfinite(s).all():
        raise InputError("scores hold values that are not finite numbers.")
    return s, positive


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None

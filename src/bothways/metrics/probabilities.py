"""How good probabilities are: whether they rank well, and whether they can be trusted.

Everywhere `expected (labels,)` are codes and `probabilities (labels, classes)` finite, as `labeled` gives them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from bothways.metrics.counts import labeled, share
from bothways.sequences import Array, Bools, Doubles, Numbers, Sequences

BINS = 15
POINTS = 300


class Bin(NamedTuple):
    """The labels whose highest probability is above `low` and at most `high`.

    `steps` is how many there are, `confidence` the mean of their highest probabilities, and `accuracy` the share of
    them that is predicted right; 0 if there are none.
    """

    low: float
    high: float
    steps: int
    confidence: float
    accuracy: float


@dataclass(frozen=True)
class Calibration:
    """Whether probabilities can be trusted.

    Attributes:
        error: the expected calibration error: the mean distance of confidence and accuracy over the bins, weighted by
            their labels (Guo et al. 2017, equation 3).
        brier: the mean squared distance of the probabilities from 1 for the true class and 0 for the others
            (Brier 1950), summed over the classes; for two classes half of it, as is usual, so that it is at most 1.
        bins: the labels by confidence, in bins of equal width.
    """

    error: float
    brier: float
    bins: tuple[Bin, ...]

    def to_json(self) -> dict[str, Any]:
        """The calibration as plain JSON values."""
        return {"error": self.error, "brier": self.brier, "bins": [part._asdict() for part in self.bins]}


@dataclass(frozen=True, eq=False)
class Curve:
    """What every threshold on the probability of a class gives, from the highest to the lowest, thinned for drawing.

    Attributes:
        thresholds: `(points,)` the lowest probability with an alarm.
        detection_rate: `(points,)` the recall.
        false_alarm_rate: `(points,)` of the labels of other classes, the share with an alarm.
        precision: `(points,)` of the alarms, the share that is right; 1 where there are none.
    """

    thresholds: Doubles
    detection_rate: Doubles
    false_alarm_rate: Doubles
    precision: Doubles


def ranking(positive: Bools, p: Array, weights: Array | None = None) -> tuple[float | None, float | None]:
    """How well the probability of a class ranks what is of it above what is not, as in scikit-learn.

    Args:
        positive: `(labels,)` whether each is of the class.
        p: `(labels,)` the higher, the likelier.
        weights: `(labels,)` how much each counts; None for all alike.

    Returns:
        The average precision, which is the mean of the precisions at each threshold, weighted by the gain in recall;
        None if nothing is of the class. And the area under the ROC curve, which is how likely a label of the class has
        a higher probability than one of another; None if there is no such pair.

    Example:
        >>> ranking(np.array([True, False, True]), np.array([0.9, 0.8, 0.7]))  # (1 + 2 / 3) / 2
        (0.8333333333333333, 0.5)
    """
    right, alarms, _ = at_thresholds(positive, p, weights)
    false = alarms - right
    if not right[-1]:
        return None, None
    precision = float(np.diff(right, prepend=0) @ (right / alarms) / right[-1])
    area = np.diff(false, prepend=0) @ (right + np.append(0, right[:-1])) / 2
    return precision, float(area / right[-1] / false[-1]) if false[-1] else None


def average_precision(sequences: Sequences, probabilities: Array, classes: int, positive: int) -> float:
    """That of the positive class of two, else the mean over the classes that have labels."""
    labels, p, _, weights = labeled(sequences, probabilities, classes)
    chosen = [positive] if classes == 2 else range(classes)
    found = [ranking(labels == code, p[:, code], weights)[0] for code in chosen]
    return float(np.mean([each for each in found if each is not None] or [0.0]))


def calibration(expected: Numbers, probabilities: Array, weights: Array | None = None, bins: int = BINS) -> Calibration:
    """Compare how confident a model is with how often it is right (Guo et al. 2017, section 2).

    Example:
        >>> round(calibration(np.array([0, 1]), np.array([[0.9, 0.1], [0.9, 0.1]])).error, 3)
        0.4
    """
    p = np.asarray(probabilities, np.float64)
    confidence, right = p.max(axis=1), p.argmax(axis=1) == expected
    places = np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)
    weigh = np.ones(len(p)) if weights is None else weights
    steps = np.bincount(places, weights, bins)
    means = [share(np.bincount(places, weigh * each, bins), steps) for each in (confidence, right)]
    squares = (np.square(p).sum(axis=1) - 2 * p[np.arange(len(expected)), expected] + 1) @ weigh
    rows = zip(steps.tolist(), *(mean.tolist() for mean in means), strict=True)
    return Calibration(
        error=float((steps * np.abs(means[0] - means[1])).sum() / weigh.sum()),
        brier=float(squares / weigh.sum() / (2 if p.shape[1] == 2 else 1)),
        bins=tuple(Bin(i / bins, (i + 1) / bins, *row) for i, row in enumerate(rows)),
    )


def curve(positive: Bools, p: Array, points: int = POINTS) -> Curve | None:
    """What every threshold on the probabilities `p` of one class gives; None if all labels are `positive` or none is.

    At most `points` are kept, evenly along the curve.

    Example:
        >>> curve(np.array([False, True, True]), np.array([0.1, 0.4, 0.8])).detection_rate
        array([0. , 0.5, 1. , 1. ])
    """
    if positive.all() or not positive.any():
        return None
    right, alarms, thresholds = at_thresholds(positive, p)
    right, alarms, thresholds = np.append(0, right), np.append(0, alarms), np.append(np.inf, thresholds)
    detected, false = right / right[-1], (alarms - right) / (alarms - right)[-1]
    along = np.hypot(np.diff(false, prepend=0.0), np.diff(detected, prepend=0.0)).cumsum()
    kept = np.unique(np.searchsorted(along, np.linspace(0, along[-1], points)).clip(max=len(along) - 1))
    precision = np.where(alarms > 0, share(right, alarms), 1.0)
    return Curve(thresholds[kept], detected[kept], false[kept], precision[kept])


def at_thresholds(positive: Bools, p: Array, weights: Array | None = None) -> tuple[Doubles, Doubles, Array]:
    """Right alarms and all alarms at each probability that there is, taken for the threshold, from the highest down."""
    order = np.argsort(-p, kind="stable")
    sorted_p, hit = p[order], positive[order]
    if weights is None:
        right, alarms = np.cumsum(hit, dtype=np.float64), np.arange(1.0, len(p) + 1)
    else:
        right, alarms = np.cumsum(weights[order] * hit), np.cumsum(weights[order])
    last = np.append(np.flatnonzero(np.diff(sorted_p)), len(p) - 1)
    return right[last], alarms[last], sorted_p[last]

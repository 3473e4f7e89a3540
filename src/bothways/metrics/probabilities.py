"""How good probabilities are: whether they rank well, and whether they can be taken at their word."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from bothways.errors import InputError
from bothways.metrics.labels import NONE, Floats, Numbers, code_array

BINS = 15
POINTS = 300


@dataclass(frozen=True)
class Ranking:
    """How well the probability of a class ranks what is of it above what is not.

    Attributes:
        average_precision: the mean of the precisions at each threshold, weighted by the gain in recall; None if
            nothing is of the class.
        roc_auc: the chance that a step of the class has a higher probability than one that is not of it; None if
            there is no such pair.
    """

    average_precision: float | None
    roc_auc: float | None


@dataclass(frozen=True)
class Bin:
    """The steps whose highest probability lies in one range.

    Attributes:
        low: the lower end of the range; not in it.
        high: the upper end; in it.
        steps: how many there are.
        confidence: the mean of their highest probabilities; 0 without steps.
        accuracy: the share of them that is labeled right; 0 without steps.
    """

    low: float
    high: float
    steps: int
    confidence: float
    accuracy: float


@dataclass(frozen=True)
class Calibration:
    """Whether probabilities can be taken at their word.

    Attributes:
        error: the expected calibration error: the mean distance of confidence and accuracy over the bins, weighted by
            their steps (Guo et al. 2017, equation 3).
        brier: the mean squared distance of the probabilities from 1 for the true class and 0 for the others
            (Brier 1950), summed over the classes; for two classes half of it, as is usual, so that it is at most 1.
        bins: the steps by confidence, in bins of equal width.
    """

    error: float
    brier: float
    bins: tuple[Bin, ...]

    def to_json(self) -> dict[str, Any]:
        """The calibration as plain JSON values."""
        return {"error": self.error, "brier": self.brier, "bins": [asdict(part) for part in self.bins]}


@dataclass(frozen=True)
class ProbabilityScores:
    """How good probabilities are.

    Attributes:
        classes: how well each class is ranked.
        calibration: whether they can be taken at their word.
    """

    classes: Mapping[Any, Ranking]
    calibration: Calibration


@dataclass(frozen=True, eq=False)
class Curve:
    """What every threshold on the probability of a class gives, from the strictest to the laxest, thinned for drawing.

    Attributes:
        thresholds: `(points,)` the probability from which a step is called of the class.
        detection_rate: `(points,)` the recall.
        false_alarm_rate: `(points,)` of the steps that are not of it, the share called it.
        precision: `(points,)` of the steps called it, the share that is; 1 where none is.
    """

    thresholds: Floats
    detection_rate: Floats
    false_alarm_rate: Floats
    precision: Floats


def score_probabilities(expected: Any, probabilities: Any, classes: Sequence[Any]) -> ProbabilityScores:
    """Judge the probabilities of all classes.

    Args:
        expected: `(steps,)` codes; -1 where there is no label.
        probabilities: `(steps, classes)`.
        classes: the name of every class.

    Raises:
        InputError: arrays that do not fit, or no labels.

    Example:
        >>> p = [[0.9, 0.1], [0.6, 0.4], [0.2, 0.8]]
        >>> scores = score_probabilities([0, 1, 1], p, ["calm", "attack"])
        >>> scores.classes["attack"].roc_auc, round(scores.calibration.brier, 2)
        (1.0, 0.14)
    """
    true, p = _labeled(expected, probabilities, len(classes))
    rankings = {label: _ranking(true == code, p[:, code]) for code, label in enumerate(classes)}
    return ProbabilityScores(rankings, calibration(true, p))


def calibration(expected: Any, probabilities: Any, bins: int = BINS) -> Calibration:
    """Compare how sure a model is with how often it is right.

    As in Guo et al. 2017, "On calibration of modern neural networks", section 2.

    Args:
        expected: `(steps,)` codes; -1 where there is no label.
        probabilities: `(steps, classes)`.
        bins: how many ranges of equal width to part the confidences into.

    Raises:
        InputError: arrays that do not fit, or no labels.

    Example:
        >>> round(calibration([0, 1], [[0.9, 0.1], [0.9, 0.1]]).error, 3)
        0.4
    """
    true, p = _labeled(expected, probabilities, None)
    confidence, right = p.max(axis=1), p.argmax(axis=1) == true
    places = np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)
    steps = np.bincount(places, minlength=bins)
    means = [np.bincount(places, weights, bins) / np.maximum(steps, 1) for weights in (confidence, right)]
    squares = np.square(p).sum() - 2 * p[np.arange(len(true)), true].sum() + len(true)
    rows = zip(steps.tolist(), *(mean.tolist() for mean in means), strict=True)
    return Calibration(
        error=float((steps * np.abs(means[0] - means[1])).sum() / len(true)),
        brier=float(squares / len(true) / (2 if p.shape[1] == 2 else 1)),
        bins=tuple(Bin(i / bins, (i + 1) / bins, *row) for i, row in enumerate(rows)),
    )


def curve(expected: Any, probabilities: Any, code: int, points: int = POINTS) -> Curve | None:
    """What every threshold on the probability of one class gives.

    Args:
        expected: `(steps,)` codes; -1 where there is no label.
        probabilities: `(steps, classes)`.
        code: the number of the class.
        points: how many to keep at most, evenly along the curve.

    Returns:
        None if all steps are of the class or none is.

    Raises:
        InputError: arrays that do not fit, or no labels.

    Example:
        >>> curve([0, 1, 1], [[0.9, 0.1], [0.6, 0.4], [0.2, 0.8]], 1).detection_rate
        array([0. , 0.5, 1. , 1. ])
    """
    from sklearn.metrics import roc_curve

    true, p = _labeled(expected, probabilities, None)
    positive = true == code
    if positive.all() or not positive.any():
        return None
    false, detected, thresholds = roc_curve(positive, p[:, code], drop_intermediate=False)
    along = np.hypot(np.diff(false, prepend=0.0), np.diff(detected, prepend=0.0)).cumsum()
    kept = np.unique(np.searchsorted(along, np.linspace(0, along[-1], points)).clip(max=len(along) - 1))
    false, detected, thresholds = (array[kept].astype(np.float64) for array in (false, detected, thresholds))
    hits, wrong = detected * positive.sum(), false * (~positive).sum()
    called = hits + wrong
    precision = np.where(called > 0, hits / np.maximum(called, 1), 1.0)
    return Curve(thresholds, detected, false, precision)


def _ranking(positive: npt.NDArray[np.bool_], p: Floats) -> Ranking:
    # Importing scikit-learn takes most of a second, which is no price for asking for --help.
    from sklearn.metrics import auc, roc_curve

    if not positive.any():
        return Ranking(None, None)
    if positive.all():
        return Ranking(1.0, None)
    # Both from one curve, for sorting millions of steps is what takes the time.
    false, detected, _ = roc_curve(positive, p, drop_intermediate=False)
    hits, wrong = detected * positive.sum(), false * (~positive).sum()
    precision = hits[1:] / (hits + wrong)[1:]
    return Ranking(float((np.diff(detected) * precision).sum()), float(auc(false, detected)))


def _labeled(expected: Any, probabilities: Any, classes: int | None) -> tuple[Numbers, Floats]:
    """The codes and probabilities of the steps that have a label."""
    true, p = code_array("expected", expected), np.asarray(probabilities, np.float64)
    columns = p.shape[-1] if classes is None and p.ndim == 2 else classes
    if p.shape != (len(true), columns):
        raise InputError(f"probabilities are {p.shape}; they must be ({len(true)}, {columns or 'classes'}).")
    labeled = true != NONE
    if not labeled.any():
        raise InputError(f"None of the {len(true)} expected labels is known; there is nothing to judge by.")
    if true.min() < NONE or true.max() >= p.shape[1]:
        raise InputError(f"expected has codes from {true.min()} to {true.max()}; there are {p.shape[1]} classes.")
    if not np.isfinite(p).all():
        raise InputError("probabilities hold values that are not finite numbers.")
    return true[labeled], p[labeled]

"""How good a network is on the validation data, after each epoch."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from bothways.errors import InputError
from bothways.network import Network
from bothways.runtime import padded, probabilities, scores_of
from bothways.sequences import Sequences
from bothways.training.examples import label_weights
from bothways.training.initializers import Floats

Numbers = npt.NDArray[Any]


class Judged(NamedTuple):
    """How good a network is.

    Attributes:
        metric: the score that was asked for.
        loss: the mean cross-entropy.
    """

    metric: float
    loss: float


class Validation:
    """Validation data, standardised and padded once, for any number of judgements.

    Args:
        network: what will be judged.
        standardisation: "input/mean" and "input/scale" of it.
        sequences: the data; at least one label.
        monitor: a key of `bothways.settings.MONITORS`.
        rarer: of two classes the one that training saw less often.

    Raises:
        InputError: no labels, or a monitor that is for two classes only.

    Example:
        >>> network = Network(features=1, classes=2, units=4)
        >>> weights = {name: np.ones(shape, np.float32) for name, shape in network.weight_shapes().items()}
        >>> sequences = Sequences.from_arrays([np.zeros((2, 1))], labels=np.array([1, 0]))
        >>> validation = Validation(network, weights, sequences, "accuracy", 1)
        >>> validation(weights).metric
        0.5
    """

    def __init__(
        self, network: Network, standardisation: dict[str, Floats], sequences: Sequences, monitor: str, rarer: int
    ) -> None:
        """Prepare the data."""
        if monitor == "f1" and network.classes != 2:
            raise InputError(f"monitor='f1' is for two classes, and there are {network.classes}. Use 'macro_f1'.")
        weights = label_weights(sequences)
        if not weights.any():
            raise InputError("The validation data have no label, or none that weighs anything.")
        self._network, self._monitor, self._rarer = network, monitor, rarer
        self._groups = list(padded(network, standardisation, sequences))
        self._chosen = np.flatnonzero(weights)
        self._labels, self._weights = sequences.known_labels[self._chosen], weights[self._chosen].astype(np.float64)
        self._count = len(sequences.known_labels)

    def __call__(self, weights: dict[str, Floats]) -> Judged:
        """Judge a network by its weights."""
        p = probabilities(scores_of(self._network, weights, self._groups, self._count))[self._chosen]
        y, w = self._labels, self._weights
        likelihood = np.maximum(p[np.arange(len(y)), y], np.finfo(np.float32).tiny)
        loss = float(-np.log(likelihood, dtype=np.float64) @ w / w.sum())
        return Judged(self._metric(p, loss), loss)

    def _metric(self, p: Numbers, loss: float) -> float:
        y, w, classes = self._labels, self._weights, self._network.classes
        if self._monitor == "loss":
            return loss
        if self._monitor == "accuracy":
            return float((p.argmax(axis=-1) == y) @ w / w.sum())
        if self._monitor == "average_precision":
            chosen = [self._rarer] if classes == 2 else range(classes)
            return float(np.mean([average_precision(y == k, p[:, k], w) for k in chosen if (y == k).any()] or [0.0]))
        f1 = f1_scores(y, p.argmax(axis=-1), w, classes)
        return float(f1[self._rarer] if self._monitor == "f1" else f1.mean())


def f1_scores(expected: Numbers, predicted: Numbers, weights: Numbers, classes: int) -> npt.NDArray[np.float64]:
    """The F1 of each class; 0 for one that is neither expected nor predicted.

    Args:
        expected: `(labels,)` numbers of classes.
        predicted: as many.
        weights: as many, how much each counts.
        classes: how many classes there are.

    Example:
        >>> f1_scores(np.array([0, 0, 1]), np.array([0, 1, 1]), np.ones(3), 2).round(3)
        array([0.667, 0.667])
    """
    right = np.bincount(expected, weights * (expected == predicted), classes)
    both = np.bincount(expected, weights, classes) + np.bincount(predicted, weights, classes)
    return np.asarray(np.divide(2 * right, both, out=np.zeros(classes), where=both > 0))


def average_precision(positive: Numbers, scores: Numbers, weights: Numbers) -> float:
    """The mean precision over the recalls that thresholds can give, as in scikit-learn.

    Args:
        positive: `(labels,)` of bool, at least one of them True.
        scores: as many, the higher the likelier.
        weights: as many, how much each counts.

    Example:
        >>> average_precision(np.array([True, False, True]), np.array([0.9, 0.8, 0.7]), np.ones(3))  # (1 + 2 / 3) / 2
        0.8333333333333333
    """
    order = np.argsort(-scores, kind="stable")
    hits, all_ = np.cumsum((weights * positive)[order]), np.cumsum(weights[order])
    thresholds = np.append(np.flatnonzero(np.diff(scores[order])), len(order) - 1)
    hits, all_ = hits[thresholds], all_[thresholds]
    return float(np.diff(hits, prepend=0) @ (hits / all_) / hits[-1])

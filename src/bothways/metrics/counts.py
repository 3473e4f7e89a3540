"""What was predicted, counted once for each sequence and class: every score is made of these counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from bothways.errors import InputError
from bothways.sequences import NO_LABEL, Array, Bools, Doubles, Numbers, Sequences, pair_counts
from bothways.tags import Chunks

OfClasses = tuple[Array, ...]  # three arrays: true positives, predictions, support; or what is made of these

SMALLEST = float(np.finfo(np.float32).tiny)  # smaller probabilities count as this, so that losses are finite


@dataclass(frozen=True, eq=False)
class Counts:
    """What was predicted for each sequence. Sums over any sample of sequences give its scores.

    Attributes:
        true_positives: `(sequences, classes)` labels of each class that were predicted.
        predicted: `(sequences, classes)` how often each class was predicted.
        support: `(sequences, classes)` how many labels each class has.
        loss: `(sequences,)` the sum of the cross-entropies of the labels; 0 where no probabilities were given.
        alarms: by false-alarm rate, `(sequences, 2)`: right alarms and false ones.
        entities: as `count_entities` gives them, where labels are tags; None where they are not.
    """

    true_positives: Array
    predicted: Array
    support: Array
    loss: Array
    alarms: Mapping[float, Array] = field(default_factory=dict)
    entities: OfClasses | None = None

    @property
    def of_classes(self) -> OfClasses:
        """True positives, predictions and support."""
        return self.true_positives, self.predicted, self.support


def count(
    sequences: Sequences,
    given: Any,
    classes: int,
    *,
    positive: int = 0,
    thresholds: Mapping[float, float] | None = None,
    whole: bool = False,
    predicted: Numbers | None = None,
) -> Counts:
    """Count what was predicted.

    Args:
        sequences: with labels and, if some count more than others, weights.
        given: as in `labeled`.
        classes: how many classes there are.
        positive: the code of the class to detect.
        thresholds: by false-alarm rate, the probability of that class from which there is an alarm.
        whole: count all sequences together as one.
        predicted: for each label the code of the predicted class, where not the most probable one.

    Raises:
        InputError: as `labeled`.

    Example:
        >>> sequences = Sequences(np.zeros((3, 1)), np.array([2, 1]), labels=np.array([0, 1, 1]))
        >>> counts = count(sequences, np.array([[0.9, 0.1], [0.4, 0.6], [0.8, 0.2]]), 2)
        >>> counts.true_positives.tolist(), counts.support.tolist()
        ([[1, 1], [0, 0]], [[1, 1], [0, 1]])
    """
    decided = None if predicted is None else labeled(sequences, predicted, classes)[1]
    labels, given, numbers, weights = labeled(sequences, given, classes)
    rows = 1 if whole else len(sequences)
    if whole:
        numbers = np.zeros(len(labels), np.int64)
    p = given if given.ndim == 2 else None
    if decided is None:
        decided = given if p is None else p.argmax(axis=1)

    def table(codes: Numbers, kinds: int, chosen: Any = slice(None)) -> Array:
        weigh = None if weights is None else weights[chosen]
        cells = pair_counts(numbers[chosen], codes[chosen], (rows, kinds), weigh)
        return cells.astype(np.int32) if weights is None else cells

    loss: Array = np.zeros(rows)
    if p is not None:
        costs = -np.log(np.maximum(p[np.arange(len(labels)), labels], SMALLEST), dtype=np.float64)
        loss = np.bincount(numbers, costs if weights is None else costs * weights, rows)
    alarms = {}
    for rate, threshold in (thresholds or {}).items():
        assert p is not None
        alarms[rate] = table((labels != positive).astype(np.int64), 2, p[:, positive].astype(np.float64) >= threshold)
    entities = None
    if sequences.scheme is not None:
        codes = np.full(len(sequences.known_labels), NO_LABEL)
        codes[counted_labels(sequences)] = decided
        entities = count_entities(sequences, codes)
        if whole:
            entities = tuple(each.sum(axis=0, keepdims=True) for each in entities)
    return Counts(
        true_positives=table(labels, classes, decided == labels),
        predicted=table(decided, classes),
        support=table(labels, classes),
        loss=loss,
        alarms=alarms,
        entities=entities,
    )


def labeled(sequences: Sequences, given: Any, classes: int) -> tuple[Numbers, Array, Numbers, Array | None]:
    """The labels that count, and what was predicted for them.

    A model cannot predict a label that training did not have. Such a class stands after those of the model; its
    probability is 0 everywhere, so that its labels are missed.

    Args:
        sequences: with labels.
        given: for each label the code of the predicted class, `(labels,)`, or probabilities `(labels, n)`, of which the
            highest one decides; `n` is at most `classes`.
        classes: how many classes there are.

    Returns:
        For each label with a weight above 0: its code, what was predicted (with columns for all classes), the number of
        its sequence, and its weight; None instead of weights that are all 1.

    Raises:
        InputError: no labels, labels or predictions out of range, or not as many predictions as labels.

    Example:
        >>> sequences = Sequences(np.zeros((2, 1)), np.array([2]), labels=np.array([2, -1]))
        >>> labeled(sequences, [[0.9, 0.1], [0.4, 0.6]], classes=3)[:2]
        (array([2]), array([[0.9, 0.1, 0. ]]))
    """
    labels, weights, given = sequences.known_labels, sequences.weights, np.asarray(given)
    if not 1 <= given.ndim <= 2 or len(given) != len(labels):
        raise InputError(f"There are {len(labels)} labels, and predictions of shape {given.shape}; give one for each.")
    if given.ndim == 2 and not 1 <= given.shape[1] <= classes:
        raise InputError(f"There are probabilities of {given.shape[1]} classes; there are {classes} classes.")
    counted = counted_labels(sequences)
    if not counted.any():
        raise InputError(f"None of the {len(labels)} labels is known or has a weight; there is nothing to score.")
    chosen = np.flatnonzero(counted)
    labels, given, numbers = labels[chosen], given[chosen], sequences.sequence_of_labels[chosen]
    for name, codes in (("label", labels), ("prediction", given)):
        if codes.ndim == 1 and (codes.dtype.kind not in "iu" or codes.min() < 0 or codes.max() >= classes):
            raise InputError(f"A {name} is not the code of one of {classes} classes, a whole number from 0.")
    if given.ndim == 2 and (unseen := classes - given.shape[1]):
        given = np.pad(given, ((0, 0), (0, unseen)))
    return labels, given, numbers, None if weights is None else weights[chosen].astype(np.float64)


def counted_labels(sequences: Sequences) -> Bools:
    """Which labels count: those that are known and have a weight above 0."""
    known = sequences.has_label
    return known if sequences.weights is None else known & (sequences.weights > 0)


def count_entities(sequences: Sequences, predicted: Numbers, marked: Bools | None = None) -> OfClasses:
    """Count entities: those that are right, the predicted and the expected ones, each `(sequences, types)`.

    An entity weighs as much as the label of its first step.

    Args:
        sequences: with labels that are tags.
        predicted: `(steps,)` the code of the predicted class.
        marked: `(steps,)`; then the two types are entities without and with a step that is marked.

    Example:
        >>> from bothways.tags import scheme_of
        >>> scheme = scheme_of(("B-x", "I-x", "O"))
        >>> sequences = Sequences(np.zeros((4, 0)), np.array([4]), np.array([0, 1, 2, 0]), scheme=scheme)
        >>> count_entities(sequences, np.array([0, 1, 0, 0]))
        (array([[2]]), array([[3]]), array([[2]]))
    """
    scheme, weights, counted = sequences.scheme, sequences.weights, counted_labels(sequences)
    assert scheme is not None
    expected, found = (
        scheme.chunks(np.where(counted, codes, NO_LABEL), sequences.lengths)
        for codes in (sequences.known_labels, predicted)
    )
    _, a, b = np.intersect1d(expected.first, found.first, assume_unique=True, return_indices=True)
    same = a[(expected.last[a] == found.last[b]) & (expected.type[a] == found.type[b])]
    right = Chunks(*(each[same] for each in expected))
    before = None if marked is None else np.append(0, np.cumsum(marked))
    kinds = len(scheme.types) if before is None else 2

    def table(chunks: Chunks) -> Array:
        kind = chunks.type if before is None else before[chunks.last + 1] > before[chunks.first]
        weigh = None if weights is None else weights[chunks.first]
        return pair_counts(chunks.sequence, kind, (len(sequences), kinds), weigh)

    return table(right), table(found), table(expected)


def rarest(counts: Sequence[int] | Numbers) -> int:
    """The code of the class with the fewest labels in training; of equal ones the last.

    Example:
        >>> rarest([5, 2, 2])
        2
    """
    return len(counts) - 1 - int(np.argmin(np.asarray(counts)[::-1]))


def class_to_detect(classes: Sequence[Any], counts: Sequence[int] | Numbers, name: Any = None) -> int:
    """The code of the class of this name; without one that of the rarest, by how many labels each class has.

    Raises:
        InputError: there is no such class.

    Example:
        >>> class_to_detect(["calm", "attack"], [70, 30]), class_to_detect(["calm", "attack"], [70, 30], "calm")
        (1, 0)
    """
    names = [str(label) for label in classes]
    if name is None:
        return rarest(counts)
    if str(name) not in names:
        raise InputError(f"There is no class {name!r} to detect; there are: {', '.join(map(repr, names))}.")
    return names.index(str(name))


def share(part: Any, whole: Any, of_nothing: float = 0.0) -> Doubles:
    """Which share the parts are.

    Example:
        >>> share([1, 0], [4, 0])
        array([0.25, 0.  ])
    """
    part, whole = np.asarray(part, np.float64), np.asarray(whole, np.float64)
    shares = np.full(np.broadcast_shapes(part.shape, whole.shape), of_nothing)
    return np.asarray(np.divide(part, whole, out=shares, where=whole > 0))


def shares(true_positives: Any, predicted: Any, support: Any) -> OfClasses:
    """Precision, recall and F1 from counts of any shape."""
    return share(true_positives, predicted), share(true_positives, support), f1(true_positives, predicted, support)


def f1(true_positives: Any, predicted: Any, support: Any) -> Doubles:
    """F1, the harmonic mean of precision and recall, from counts of any shape; 0 where there are none."""
    return share(2 * np.asarray(true_positives), np.asarray(predicted) + support)

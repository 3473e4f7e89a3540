"""How good labels are: accuracy, and for each class precision, recall, F1 and false alarms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from bothways.errors import InputError

Numbers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

NONE = -1
"""The code of a step or sequence that has no label."""


@dataclass(frozen=True)
class ClassScores:
    """How well one class is told from the others; a share of nothing is 0.

    Attributes:
        precision: of the steps that were called it, the share that is of it.
        recall: of the steps of it, the share that was called it.
        f1: the harmonic mean of the two.
        false_alarm_rate: of the steps that are not of it, the share that was called it.
        support: the number of steps of it.
    """

    precision: float
    recall: float
    f1: float
    false_alarm_rate: float
    support: int


@dataclass(frozen=True)
class Scores:
    """How good labels are.

    Attributes:
        steps: the number of steps judged, or of sequences where each has one label.
        accuracy: the share of steps with the right label.
        macro_f1: the mean F1 over all classes, each of equal weight.
        classes: the scores of each class.
        confusion: `(classes, classes)`, how many steps of the class of the row were called that of the column.
        unlabeled: the number of steps left out, for they have no label.
    """

    steps: int
    accuracy: float
    macro_f1: float
    classes: Mapping[Any, ClassScores]
    confusion: Numbers = field(repr=False, compare=False)
    unlabeled: int = 0

    def to_json(self, split: str, sequences: int, baselines: Mapping[str, Scores]) -> dict[str, Any]:
        """The scores as plain JSON values, in the shape that `bothways evaluate --json` prints.

        Args:
            split: the name of the part that was judged.
            sequences: how many sequences it has.
            baselines: the scores of simpler ways to label the same steps, by name.

        Example:
            >>> scores = score_labels(["calm", "attack"], ["calm", "calm"], ["attack", "calm"])
            >>> scores.to_json("test", 1, {})["classes"]["attack"]["recall"]
            0.0
        """
        return {
            "split": split,
            "sequences": sequences,
            "steps": self.steps,
            "accuracy": self.accuracy,
            "macro_f1": self.macro_f1,
            "classes": {str(label): asdict(scores) for label, scores in self.classes.items()},
            "baselines": {
                name: {"accuracy": scores.accuracy, "macro_f1": scores.macro_f1} for name, scores in baselines.items()
            },
        }


def score_labels(expected: Any, predicted: Any, classes: Sequence[Any]) -> Scores:
    """Compare labels step by step.

    Args:
        expected: the true labels, one a step; -1, unless it is one of the classes, where there is none.
        predicted: the labels given, as many.
        classes: every label that there can be; a range from 0 says that labels are codes.

    Raises:
        InputError: no labels, unequal numbers of them, or a label that is not among the classes.

    Example:
        >>> scores = score_labels([0, 0, 0, 1], [0, 1, 0, 1], classes=[0, 1])
        >>> scores.accuracy, scores.classes[1].precision, round(scores.classes[1].false_alarm_rate, 3)
        (0.75, 0.5, 0.333)
    """
    if isinstance(classes, range) and classes == range(len(classes)):
        return score_codes(expected, predicted, classes)
    return score_codes(_codes("expected", expected, classes), _codes("predicted", predicted, classes), classes)


def score_codes(expected: Any, predicted: Any, classes: Sequence[Any]) -> Scores:
    """Compare labels that are given as codes.

    Args:
        expected: `(steps,)` the number of the true class, from 0; -1 where there is no label.
        predicted: `(steps,)` the number of the class given.
        classes: the name of every class.

    Raises:
        InputError: no labels, unequal numbers of them, or numbers that no class has.

    Example:
        >>> score_codes([0, 1, -1], [0, 0, 1], classes=["calm", "attack"]).confusion.tolist()
        [[1, 0], [1, 0]]
    """
    true, said = checked_codes(expected, predicted, len(classes))
    judged = true != NONE
    pairs = true[judged] * len(classes) + said[judged]
    confusion = np.bincount(pairs, minlength=len(classes) ** 2).reshape(len(classes), len(classes))
    hits, called, support = confusion.diagonal(), confusion.sum(axis=0), confusion.sum(axis=1)
    f1 = f1_scores(hits, called, support)
    columns = (shares(hits, called), shares(hits, support), f1, shares(called - hits, len(pairs) - support), support)
    rows = [ClassScores(*row) for row in zip(*(column.tolist() for column in columns), strict=True)]
    return Scores(
        steps=len(pairs),
        accuracy=float(hits.sum() / len(pairs)),
        macro_f1=float(f1.mean()),
        classes=dict(zip(classes, rows, strict=True)),
        confusion=confusion,
        unlabeled=len(true) - len(pairs),
    )


def majority(class_counts: Mapping[Any, int]) -> Any:
    """The label that training saw most often; always giving it is what every model must beat.

    Args:
        class_counts: how many steps of each class training saw.

    Raises:
        InputError: no counts.

    Example:
        >>> majority({"attack": 5, "calm": 10})
        'calm'
    """
    if not class_counts:
        raise InputError("class_counts is empty; it must say how many steps of each class training saw.")
    return max(class_counts, key=lambda label: class_counts[label])


def checked_codes(expected: Any, predicted: Any, classes: int) -> tuple[Numbers, Numbers]:
    """Expected and predicted codes as arrays of one length, the expected ones with -1 where there is no label.

    Raises:
        InputError: no labels, unequal numbers of them, or numbers that no class has.

    Example:
        >>> checked_codes([0, 3], [0, 1], classes=2)
        Traceback (most recent call last):
        bothways.errors.InputError: expected has the code 3; codes are whole numbers from 0 to 1, and -1 for no label.
    """
    true, said = (code_array(name, codes) for name, codes in (("expected", expected), ("predicted", predicted)))
    if len(true) != len(said) or len(true) == 0:
        raise InputError(f"There are {len(true)} expected and {len(said)} predicted labels; give as many, 1 or more.")
    for name, codes, least in (("expected", true, NONE), ("predicted", said, 0)):
        if codes.min() < least or codes.max() >= classes:
            wrong = codes.max() if codes.max() >= classes else codes.min()
            none = ", and -1 for no label" if least == NONE else ""
            raise InputError(f"{name} has the code {wrong}; codes are whole numbers from 0 to {classes - 1}{none}.")
    if true.max() == NONE:
        raise InputError(f"None of the {len(true)} expected labels is known; there is nothing to judge by.")
    return true, said


def code_array(name: str, codes: Any) -> Numbers:
    """Codes as an array of one axis.

    Raises:
        InputError: not whole numbers, or not of one axis.

    Example:
        >>> code_array("expected", [0.5])
        Traceback (most recent call last):
        bothways.errors.InputError: expected is float64 (1,); codes are whole numbers, in an array of one axis.
    """
    array = np.asarray(codes)
    if array.ndim != 1 or (array.size and array.dtype.kind not in "iub"):
        raise InputError(f"{name} is {array.dtype} {array.shape}; codes are whole numbers, in an array of one axis.")
    return array.astype(np.int64)


def shares(part: Any, whole: Any) -> Floats:
    """Part by part the share of the whole; a share of nothing is 0.

    Example:
        >>> shares(np.array([1, 0]), np.array([4, 0]))
        array([0.25, 0.  ])
    """
    return np.asarray(part / np.maximum(whole, 1), np.float64)


def f1_scores(hits: Any, called: Any, support: Any) -> Floats:
    """F1, the harmonic mean of precision and recall, from counts of any shape.

    Args:
        hits: how many steps of a class were called it.
        called: how many steps were called it.
        support: how many steps are of it.

    Example:
        >>> f1_scores(np.array([1]), np.array([2]), np.array([2]))
        array([0.5])
    """
    return shares(2 * hits, called + support)


def _codes(name: str, labels: Any, classes: Sequence[Any]) -> Numbers:
    """The labels as their places in `classes`."""
    places = {label: i for i, label in enumerate(classes)}
    if name == "expected":
        places.setdefault(NONE, NONE)
    values = labels.tolist() if isinstance(labels, np.ndarray) else labels
    try:
        return np.array([places[label] for label in values], np.int64)
    except KeyError as error:
        raise InputError(f"{name} has the label {error.args[0]!r}, which is not among the classes.") from None

"""How good labels are, step by step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from bothways.errors import InputError

Numbers = npt.NDArray[np.int64]


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
        steps: the number of steps judged.
        accuracy: the share of steps with the right label.
        macro_f1: the mean F1 over all classes, each of equal weight.
        classes: the scores of each class.
    """

    steps: int
    accuracy: float
    macro_f1: float
    classes: Mapping[Any, ClassScores]

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
        expected: the true labels, one a step.
        predicted: the labels given, as many.
        classes: every label that there can be.

    Raises:
        InputError: no steps, unequal numbers of them, or a label that is not among the classes.

    Example:
        >>> scores = score_labels([0, 0, 0, 1], [0, 1, 0, 1], classes=[0, 1])
        >>> scores.accuracy, scores.classes[1].precision, round(scores.classes[1].false_alarm_rate, 3)
        (0.75, 0.5, 0.333)
    """
    true, said = (_numbers(name, x, classes) for name, x in (("expected", expected), ("predicted", predicted)))
    if len(true) != len(said) or len(true) == 0:
        raise InputError(f"There are {len(true)} expected and {len(said)} predicted labels; give as many, 1 or more.")
    return _scores(true, said, classes)


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


def _numbers(name: str, labels: Any, classes: Sequence[Any]) -> Numbers:
    """The labels as their places in `classes`."""
    places = {label: i for i, label in enumerate(classes)}
    values = labels.tolist() if isinstance(labels, np.ndarray) else labels
    try:
        return np.array([places[label] for label in values], np.int64)
    except KeyError as error:
        raise InputError(f"{name} has the label {error.args[0]!r}, which is not among the classes.") from None


def _scores(true: Numbers, said: Numbers, classes: Sequence[Any]) -> Scores:
    # Importing scikit-learn takes most of a second, which is no price for asking for --help.
    from sklearn.metrics import multilabel_confusion_matrix, precision_recall_fscore_support

    places = np.arange(len(classes))
    precision, recall, f1, support = precision_recall_fscore_support(true, said, labels=places, zero_division=0.0)
    negatives = multilabel_confusion_matrix(true, said, labels=places)[:, 0]
    false_alarms = negatives[:, 1] / np.maximum(negatives.sum(axis=1), 1)
    columns = (precision.tolist(), recall.tolist(), f1.tolist(), false_alarms.tolist(), support.tolist())
    rows = [ClassScores(*row) for row in zip(*columns, strict=True)]
    return Scores(len(true), float((true == said).mean()), float(f1.mean()), dict(zip(classes, rows, strict=True)))

"""What a report is about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from bothways.errors import InputError
from bothways.metrics import Judgement


@dataclass(frozen=True)
class Epoch:
    """What an epoch of training did.

    Attributes:
        epoch: its number, from 1.
        loss: the mean cross-entropy on what was learned from.
        valid_loss: that of the valid part; None without one.
        valid_metric: the macro F1 of the valid part; None without one.
        best: whether its weights were the best so far.
    """

    epoch: int
    loss: float
    valid_loss: float | None = None
    valid_metric: float | None = None
    best: bool = False


@dataclass(frozen=True, eq=False)
class Report:
    """All that a report shows.

    Attributes:
        title: such as the name of the model.
        split: the part of the data that was judged.
        judgement: the scores.
        classes: the name of every class.
        expected: `(steps,)` codes, one sequence after the other, or `(sequences,)`; -1 where there is no label.
        probabilities: `(steps, classes)` or `(sequences, classes)`.
        lengths: `(sequences,)` how many steps each sequence has; None where each label is that of a sequence.
        ids: what each sequence is called; numbers from 0 if none are given.
        positive: the code of the class to raise alarms for; None if there is none.
        history: the epochs of training.
        facts: whatever else there is to know, under headings: sizes, splits, the network, settings, versions.
        notes: sentences that the reader should know, such as what was left out.
        texts: `(steps,)` what to write under each step of a drawing, such as the words.

    Raises:
        InputError: arrays that do not fit one another.

    Example:
        >>> from bothways.metrics import judge
        >>> p = np.array([[0.9, 0.1], [0.2, 0.8], [0.4, 0.6], [0.7, 0.3]])
        >>> judgement = judge([0, 1, 0, 0], p, ["calm", "attack"], [2, 2])
        >>> report = Report("model", "test", judgement, ["calm", "attack"], [0, 1, 0, 0], p, lengths=[2, 2])
        >>> report.ids
        ('0', '1')
    """

    title: str
    split: str
    judgement: Judgement
    classes: Sequence[Any]
    expected: Any
    probabilities: Any
    lengths: Any = None
    ids: Sequence[Any] = ()
    positive: int | None = None
    history: Sequence[Epoch] = ()
    facts: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    notes: Sequence[str] = ()
    texts: Sequence[Any] | None = None

    def __post_init__(self) -> None:
        """Refuse arrays that do not fit one another."""
        expected = np.asarray(self.expected, np.int64)
        probabilities = np.asarray(self.probabilities, np.float64)
        lengths = None if self.lengths is None else np.asarray(self.lengths, np.int64)
        if probabilities.shape != (len(expected), len(self.classes)):
            raise InputError(
                f"probabilities are {probabilities.shape}; {len(expected)} labels of {len(self.classes)} classes need "
                f"({len(expected)}, {len(self.classes)})."
            )
        if lengths is not None and lengths.sum() != len(expected):
            raise InputError(f"lengths have {lengths.sum()} steps together; there are {len(expected)} labels.")
        count = len(expected) if lengths is None else len(lengths)
        ids = tuple(str(name) for name in self.ids) or tuple(str(i) for i in range(count))
        if len(ids) != count:
            raise InputError(f"There are {len(ids)} ids for {count} sequences; give as many.")
        if self.texts is not None and (lengths is None or len(self.texts) != len(expected)):
            raise InputError(f"There are {len(self.texts)} texts for {len(expected)} labels; give one a step.")
        if self.positive is not None and not 0 <= self.positive < len(self.classes):
            raise InputError(f"positive is {self.positive}; it must be the code of one of {len(self.classes)} classes.")
        for name, value in (
            ("expected", expected),
            ("probabilities", probabilities),
            ("lengths", lengths),
            ("ids", ids),
        ):
            object.__setattr__(self, name, value)

    @property
    def predicted(self) -> npt.NDArray[np.int64]:
        """The labels given, as codes: the likeliest."""
        return np.asarray(self.probabilities.argmax(axis=1), np.int64)

    @property
    def names(self) -> list[str]:
        """The classes as text of one short line."""
        return [short(label) for label in self.classes]


def short(value: Any, most: int = 40) -> str:
    """A value as text of one line without control characters, cut where it is long.

    Example:
        >>> short("a very long name of a class, longer than fits", most=20)
        'a very long name of…'
    """
    text = "".join(c if c.isprintable() else " " for c in str(value)).strip()
    return text if len(text) <= most else text[: most - 1].rstrip() + "…"

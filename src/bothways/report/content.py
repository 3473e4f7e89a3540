"""What a report is about."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from bothways.errors import InputError
from bothways.metrics import Evaluation
from bothways.report.html import short
from bothways.sequences import Array, Numbers, Sequences


@dataclass(frozen=True, eq=False)
class Report:
    """All that a report shows.

    Attributes:
        title: such as the name of the model.
        evaluation: the scores.
        sequences: what was evaluated, with labels.
        probabilities: `(labels, n)`, what the model predicts.
        positive: the code of the class to raise alarms for; None if there is none.
        history: for each epoch of training, by name: "epoch" (from 1), "loss", "valid_loss" and "valid_metric" (None
            without a valid part), and "best", whether its weights were the best so far.
        metric: the title of the score in it.
        facts: whatever else there is to know, under headings: sizes, splits, the network, settings, versions.
        notes: sentences that the reader should know, such as what was left out.
        texts: `(steps,)` what to write under each step of a drawing, such as the words.
        sentences: whether the texts are words to read: sequences are then written, not drawn.
        times: `(steps,)` the time of each step, as datetime64; None where steps have none.
        inputs: the names of the first columns of the sequences' values, which are numbers.
        roles: what each column of the table is for: its name, its role, and why.
        decided: the codes of the predicted classes, where not the most probable ones.

    Raises:
        InputError: arrays that do not fit one another.

    Example:
        >>> from bothways.metrics import evaluate
        >>> sequences = Sequences(np.zeros((4, 1)), np.array([2, 2]), labels=np.array([0, 1, 0, 0]))
        >>> p = np.array([[0.9, 0.1], [0.2, 0.8], [0.4, 0.6], [0.7, 0.3]])
        >>> Report("model", evaluate(sequences, p, ["calm", "attack"]), sequences, p).predicted
        array([0, 1, 1, 0])
    """

    title: str
    evaluation: Evaluation
    sequences: Sequences
    probabilities: Array
    positive: int | None = None
    history: Sequence[Mapping[str, Any]] = ()
    metric: str = "macro F1"
    facts: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    notes: Collection[str] = ()
    texts: Any = None
    times: Array | None = None
    inputs: Sequence[str] = ()
    roles: Sequence[tuple[str, str, str]] = ()
    decided: Numbers | None = None
    sentences: bool = False

    def __post_init__(self) -> None:
        p, count, known = self.probabilities, len(self.expected), len(self.evaluation.classes)
        if p.ndim != 2 or len(p) != count or p.shape[1] > known:
            raise InputError(f"probabilities are {p.shape}; {count} labels of {known} classes need ({count}, {known}).")
        if self.positive is not None and not 0 <= self.positive < known:
            raise InputError(f"positive is {self.positive}; it must be the code of one of {known} classes.")
        for name, values in {"texts": self.texts, "times": self.times}.items():
            if values is not None and len(values) != self.sequences.steps:
                raise InputError(
                    f"{name} has {len(values)} values for {self.sequences.steps} steps; give one per step."
                )
        if missing := known - p.shape[1]:
            object.__setattr__(self, "probabilities", np.pad(p, ((0, 0), (0, missing))))

    @property
    def expected(self) -> Numbers:
        """The codes of the labels; -1 where there is none."""
        return np.zeros(0, np.int64) if self.sequences.labels is None else self.sequences.labels

    @property
    def predicted(self) -> Numbers:
        """The codes of the predicted classes."""
        if self.decided is not None:
            return self.decided
        return np.asarray(self.probabilities.argmax(axis=1), np.int64)

    @property
    def classes(self) -> list[Any]:
        """The name of every class."""
        return list(self.evaluation.classes)

    @property
    def names(self) -> list[str]:
        """The classes as text of one short line."""
        return [short(label) for label in self.classes]

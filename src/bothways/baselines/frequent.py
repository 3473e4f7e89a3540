"""The most frequent label, of all or of each value of a column."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from bothways.sequences import NO_LABEL, Numbers, Sequences


@dataclass(frozen=True)
class Majority:
    """Always the most frequent label: the class of this code."""

    name: ClassVar[str] = "majority"
    code: int

    @classmethod
    def fit(cls, sequences: Sequences, classes: int, categories: tuple[int, ...], seed: int) -> Majority | None:
        """Count the labels."""
        labels = sequences.known_labels
        return cls(int(np.bincount(labels[labels != NO_LABEL], minlength=classes).argmax()))

    def predict(self, sequences: Sequences) -> Numbers:
        """The same code for each label."""
        return np.full(len(sequences) if sequences.per == "sequence" else sequences.steps, self.code, np.int64)

    def to_json(self) -> int:
        """The code."""
        return self.code

    @classmethod
    def from_json(cls, data: Any, classes: int, categories: tuple[int, ...]) -> Majority:
        """What `to_json` described."""
        return cls(int(data))


@dataclass(frozen=True, eq=False)
class MostFrequentPerValue:
    """The most frequent label of each value of the categorical column that tells the labels best.

    For labels of sequences, it looks at the most frequent value of each sequence.

    Attributes:
        column: the number of the column, counted from the last one, which is -1.
        codes: for each value of the column the code of the label.
    """

    name: ClassVar[str] = "most_frequent_per_value"
    column: int
    codes: Numbers

    @classmethod
    def fit(
        cls, sequences: Sequences, classes: int, categories: tuple[int, ...], seed: int
    ) -> MostFrequentPerValue | None:
        """Count the labels of each value; None without categorical columns."""
        labeled = sequences.known_labels != NO_LABEL
        labels, best, found = sequences.known_labels[labeled], -1, None
        for column, size in enumerate(categories, -len(categories)):
            values = _values(sequences, column)[labeled]
            table = np.bincount(values * classes + labels, minlength=size * classes).reshape(size, classes)
            if (right := int(table.max(axis=1).sum())) > best:
                codes = np.where(table.any(axis=1), table.argmax(axis=1), table.sum(axis=0).argmax())
                best, found = right, cls(column, codes)
        return found

    def predict(self, sequences: Sequences) -> Numbers:
        """The code of the value of each step, or of the most frequent value of each sequence."""
        return self.codes[_values(sequences, self.column)]

    def to_json(self) -> dict[str, Any]:
        """The column and its codes."""
        return {"column": self.column, "codes": self.codes.tolist()}

    @classmethod
    def from_json(cls, data: Any, classes: int, categories: tuple[int, ...]) -> MostFrequentPerValue:
        """What `to_json` described."""
        column, codes = int(data["column"]), np.array(data["codes"], np.int64)
        if column >= 0 or codes.shape != (categories[column],) or codes.min() < 0 or codes.max() >= classes:
            raise ValueError("codes out of range")
        return cls(column, codes)


def _values(sequences: Sequences, column: int) -> Numbers:
    """The value of a column at each step, or the most frequent one of each sequence; 0 for one without steps."""
    values = np.asarray(sequences.values[:, column], np.int64)
    if sequences.per == "step":
        return values
    size = int(values.max(initial=0)) + 1
    pairs, counts = np.unique(sequences.sequence_of_steps * size + values, return_counts=True)
    pairs = pairs[np.lexsort((-counts, pairs // size))]
    numbers, first = np.unique(pairs // size, return_index=True)
    found = np.zeros(len(sequences), np.int64)
    found[numbers] = pairs[first] % size
    return found

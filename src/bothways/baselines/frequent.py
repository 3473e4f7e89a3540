"""The most frequent label, of all or of each value of a column."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from bothways.arrays import checked_array
from bothways.network import Network
from bothways.patterns import Baseline
from bothways.sequences import Numbers, Sequences, pair_counts


@dataclass(frozen=True)
class Majority(Baseline):
    """Always the most frequent label: the class of this code."""

    name: ClassVar[str] = "majority"
    kept = ("code",)
    code: int

    @classmethod
    def fit(cls, sequences: Sequences, classes: int, categories: tuple[int, ...], seed: int) -> Majority | None:
        labeled = sequences.has_label
        labels, weights = sequences.known_labels[labeled], sequences.known_weights[labeled]
        return cls(int(np.bincount(labels, weights, classes).argmax()))

    def predict(self, sequences: Sequences) -> Numbers:
        return np.full(len(sequences) if sequences.per == "sequence" else sequences.steps, self.code, np.int64)

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Any], network: Network) -> Majority:
        return cls(int(checked_array(arrays, "code", np.int64, (1,), 0, network.classes - 1)[0]))


@dataclass(frozen=True, eq=False)
class MostFrequentPerValue(Baseline):
    """The most frequent label of each value of the categorical column that tells the labels best.

    For labels of sequences, it looks at the most frequent value of each sequence.
    """

    name: ClassVar[str] = "most_frequent_per_value"
    kept = ("column", "codes")
    column: int  # the number of the column, counted from the last one, which is -1
    codes: Numbers  # for each value of the column the code of the label

    @classmethod
    def fit(
        cls, sequences: Sequences, classes: int, categories: tuple[int, ...], seed: int
    ) -> MostFrequentPerValue | None:
        """Count the labels of each value; None without categorical columns."""
        labeled = sequences.has_label
        labels, weights = sequences.known_labels[labeled], sequences.known_weights[labeled]
        best, found = -1.0, None
        for column, size in enumerate(categories, -len(categories)):
            values = _values(sequences, column)[labeled]
            table = pair_counts(values, labels, (size, classes), weights)
            if (right := float(table.max(axis=1).sum())) > best:
                codes = np.where(table.any(axis=1), table.argmax(axis=1), table.sum(axis=0).argmax())
                best, found = right, cls(column, codes)
        return found

    def predict(self, sequences: Sequences) -> Numbers:
        return self.codes[_values(sequences, self.column)]

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Any], network: Network) -> MostFrequentPerValue:
        categories, classes = network.categories, network.classes
        column = int(checked_array(arrays, "column", np.int64, (1,), -len(categories), -1)[0])
        return cls(column, checked_array(arrays, "codes", np.int64, (categories[column],), 0, classes - 1))


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

"""A logistic regression on single steps."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from bothways.sequences import NO_LABEL, Array, Numbers, Sequences

ROWS, ITERATIONS = 50_000, 200
"""This many labels and iterations are good enough, and take seconds."""

VALUES = 1000
"""Of each categorical column this many values, the most frequent ones, get weights."""


@dataclass(frozen=True, eq=False)
class OneStep:
    """A logistic regression on one step at a time; for labels of sequences, on the mean of their steps.

    Attributes:
        mean: `(numbers,)` the mean of each numeric column.
        scale: `(numbers,)` and its standard deviation.
        kernel: `(numbers, classes)` the weights of standardised numbers.
        tables: for each categorical column, which are the last ones, `(codes, classes)` the weights of its values.
        bias: `(classes,)`, minus infinity for classes that training never saw.
    """

    name: ClassVar[str] = "one_step"
    mean: Array
    scale: Array
    kernel: Array
    tables: tuple[Array, ...]
    bias: Array

    @classmethod
    def fit(cls, sequences: Sequences, classes: int, categories: tuple[int, ...], seed: int) -> OneStep | None:
        """Fit it; None without inputs, with labels of one class, or where `MostFrequentPerValue` would be the same."""
        # Importing scikit-learn takes most of a second, which would slow down --help.
        from scipy.sparse import csr_array, hstack
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.linear_model import LogisticRegression

        chosen = np.flatnonzero(sequences.known_labels != NO_LABEL)
        if len(chosen) > ROWS:
            chosen = np.sort(np.random.default_rng(seed).choice(chosen, ROWS, replace=False))
        labels = sequences.known_labels[chosen]
        if sequences.per == "step":
            values, rows = sequences.values[chosen], np.arange(len(chosen))
        else:
            values, rows = (taken := sequences.take(chosen)).values, taken.sequence_of_steps
        seen = np.unique(labels)
        same = sequences.per == "step" and len(categories) == 1 == sequences.features
        if same or len(seen) < 2 or not sequences.features or not len(values):
            return None
        numbers = np.asarray(values[:, : sequences.features - len(categories)], np.float64)
        mean, scale = numbers.mean(axis=0), numbers.std(axis=0)
        scale[scale == 0] = 1
        inputs, kept = [csr_array((numbers - mean) / scale)], []
        for column, size in zip(_codes(values, categories), categories, strict=True):
            kept.append(np.sort(np.argsort(-np.bincount(column, minlength=size), kind="stable")[:VALUES]))
            inputs.append(csr_array((np.ones(len(column)), (np.arange(len(column)), column)), (len(column), size)))
            inputs[-1] = inputs[-1][:, kept[-1]]
        means = csr_array((1 / np.bincount(rows)[rows], (rows, np.arange(len(rows)))), (len(chosen), len(rows)))
        regression = LogisticRegression(max_iter=ITERATIONS)
        with warnings.catch_warnings():
            # It is good enough as it is, and must not take longer.
            warnings.simplefilter("ignore", ConvergenceWarning)
            regression.fit(means @ hstack(inputs, "csr"), labels)
        # For two classes there is one column of weights, that of the second one.
        fitted = seen if len(seen) > 2 else seen[1:]
        bias, weights = np.full(classes, -np.inf), np.zeros((regression.coef_.shape[1], classes))
        bias[seen] = 0
        weights[:, fitted], bias[fitted] = regression.coef_.T, regression.intercept_
        kernel, *of_values = np.split(weights, np.cumsum([len(mean), *map(len, kept)])[:-1])
        tables = [np.zeros((size, classes)) for size in categories]
        for table, codes, of_codes in zip(tables, kept, of_values, strict=True):
            table[codes] = of_codes
        return cls(mean, scale, kernel, tuple(tables), bias)

    def predict(self, sequences: Sequences) -> Numbers:
        """The most probable class of each label."""
        values = sequences.values
        with np.errstate(over="ignore", invalid="ignore"):  # a file may hold numbers of any size
            sums = (values[:, : len(self.mean)] - self.mean) / self.scale @ self.kernel
        for table, codes in zip(self.tables, _codes(values, self.tables), strict=True):
            sums += table[codes]
        if sequences.per == "sequence":
            numbers, count = sequences.sequence_of_steps, len(sequences)
            of_classes = [np.bincount(numbers, column, count) for column in sums.T]
            sums = np.stack(of_classes, axis=1) / np.maximum(sequences.lengths, 1)[:, None]
        return np.asarray((sums + self.bias).argmax(axis=1), np.int64)

    def to_json(self) -> dict[str, Any]:
        """The regression as plain JSON values."""
        known = [np.flatnonzero(table.any(axis=1)) for table in self.tables]
        return {
            "mean": _digits(self.mean),
            "scale": _digits(self.scale),
            "kernel": _digits(self.kernel),
            "values": [codes.tolist() for codes in known],
            "tables": [_digits(table[codes]) for table, codes in zip(self.tables, known, strict=True)],
            "bias": [None if number == -np.inf else number for number in _digits(self.bias)],
        }

    @classmethod
    def from_json(cls, data: Any, classes: int, categories: tuple[int, ...]) -> OneStep:
        """The regression that `to_json` described."""
        tables = [np.zeros((size, classes)) for size in categories]
        for table, codes, weights in zip(tables, data["values"], data["tables"], strict=True):
            table[np.array(codes, np.int64)] = np.array(weights, np.float64).reshape(-1, classes)
        mean, scale = (np.array(data[name], np.float64) for name in ("mean", "scale"))
        kernel = np.array(data["kernel"], np.float64).reshape(len(mean), classes)
        bias = np.array([-np.inf if number is None else number for number in data["bias"]], np.float64).reshape(classes)
        if not all(np.isfinite(array).all() for array in (mean, scale, kernel, *tables)) or not (scale > 0).all():
            raise ValueError("no finite numbers")
        return cls(mean, scale, kernel, tuple(tables), bias)


def _codes(values: Array, categories: Any) -> Array:
    """For each categorical column its codes: `(columns, steps)`."""
    return np.asarray(values[:, values.shape[1] - len(categories) :].T, np.int64)


def _digits(numbers: Array) -> Any:
    """Numbers of six digits, which is enough to label by and a third of the text."""
    return np.vectorize(lambda number: float(f"{number:.6g}"), otypes=[np.float64])(numbers).tolist()

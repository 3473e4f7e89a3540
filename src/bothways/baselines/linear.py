"""A logistic regression on single steps."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from bothways.arrays import checked_array, product
from bothways.errors import InputError
from bothways.network import Network
from bothways.patterns.classifiers import NEVER, Classifier, some_labels
from bothways.patterns.numbers import scale_of
from bothways.sequences import Array, Numbers, Sequences, joint_codes

ROWS, ITERATIONS = 50_000, 200  # this many labels and iterations are good enough, and take seconds
VALUES = 1000  # of each categorical column this many values, the most frequent ones, get weights


@dataclass(frozen=True, eq=False)
class OneStep(Classifier):
    """A logistic regression on one step at a time; for labels of sequences, on the mean of their steps."""

    name: ClassVar[str] = "one_step"
    kept = ("mean", "scale", "kernel", "codes", "table", "bias")
    mean: Array  # `(numbers,)` the mean of each numeric column
    scale: Array  # `(numbers,)` and its standard deviation
    kernel: Array  # `(numbers, classes)` the weights of standardised numbers
    codes: Numbers
    """`(codes,)` the codes of categories that have weights, ascending; those of a column, which are the last ones, go
    on where those of the column before end."""
    table: Array  # `(codes, classes)` their weights
    bias: Array  # `(classes,)`, `NEVER` for classes that training never saw
    sizes: tuple[int, ...]  # for each categorical column how many codes there are

    @classmethod
    def fit(cls, sequences: Sequences, classes: int, categories: tuple[int, ...], seed: int) -> OneStep | None:
        """Fit it; None without inputs, with labels of one class, or where `MostFrequentPerValue` would be the same."""
        # Importing scikit-learn takes most of a second, which would slow down --help.
        from scipy.sparse import csr_array, hstack
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.linear_model import LogisticRegression

        chosen = some_labels(sequences, True, ROWS, np.random.default_rng(seed))
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
        mean, scale = numbers.mean(axis=0), scale_of(numbers)
        inputs, kept = [csr_array((numbers - mean) / scale)], []
        codes = np.asarray(values[:, numbers.shape[1] :].T, np.int64)
        for column, size in zip(codes, categories, strict=True):
            kept.append(np.sort(np.argsort(-np.bincount(column, minlength=size), kind="stable")[:VALUES]))
            inputs.append(csr_array((np.ones(len(column)), (np.arange(len(column)), column)), (len(column), size)))
            inputs[-1] = inputs[-1][:, kept[-1]]
        means = csr_array((1 / np.bincount(rows)[rows], (rows, np.arange(len(rows)))), (len(chosen), len(rows)))
        regression = LogisticRegression(max_iter=ITERATIONS)
        with warnings.catch_warnings():
            # It is good enough as it is, and must not take longer; nor does it matter that labels are many.
            warnings.simplefilter("ignore", ConvergenceWarning)
            warnings.filterwarnings("ignore", "The number of unique classes", UserWarning)
            regression.fit(means @ hstack(inputs, "csr"), labels, sequences.weights_of(chosen))
        # For two classes there is one column of weights, that of the second one.
        fitted = seen if len(seen) > 2 else seen[1:]
        bias, weights = np.full(classes, NEVER), np.zeros((regression.coef_.shape[1], classes))
        bias[seen] = 0
        weights[:, fitted], bias[fitted] = regression.coef_.T, regression.intercept_
        kernel, table = np.split(weights, [len(mean)])
        first = np.cumsum([0, *categories])
        known = np.concatenate([np.zeros(0, np.int64), *(of + start for of, start in zip(kept, first, strict=False))])
        return cls(mean, scale, kernel, known, table, bias, categories)

    def logits(self, sequences: Sequences, before: Array | None = None) -> Array:
        values = sequences.values
        with np.errstate(over="ignore", invalid="ignore"):  # a file may hold numbers of any size
            sums = product((values[:, : len(self.mean)] - self.mean) / self.scale, self.kernel)
        for codes in joint_codes(values, self.sizes).T:
            places = np.minimum(np.searchsorted(self.codes, codes), len(self.codes) - 1)
            known = np.flatnonzero(self.codes[places] == codes)
            sums[known] += self.table[places[known]]
        if sequences.per == "sequence":
            sums = sequences.means(sums)
        return np.asarray(sums + self.bias)

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Any], network: Network) -> OneStep:
        sizes, classes = network.categories, network.classes
        numbers = network.numeric
        codes = checked_array(arrays, "codes", np.int64, (None,), 0, sum(sizes) - 1)
        if (len(codes) > 0) != (len(sizes) > 0) or not (np.diff(codes) > 0).all():
            raise InputError("The array 'codes' must ascend, and belongs to columns of categories.")
        return cls(
            checked_array(arrays, "mean", np.float64, (numbers,)),
            checked_array(arrays, "scale", np.float64, (numbers,), np.nextafter(0, 1)),
            checked_array(arrays, "kernel", np.float64, (numbers, classes)),
            codes,
            checked_array(arrays, "table", np.float64, (len(codes), classes)),
            checked_array(arrays, "bias", np.float64, (classes,)),
            sizes,
        )

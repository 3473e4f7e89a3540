"""A logistic regression on each step and its neighbors, where steps are words or other things of many kinds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from bothways.arrays import checked_array, product
from bothways.errors import InputError
from bothways.network import MANY_CODES, Network
from bothways.patterns.classifiers import NEVER
from bothways.sequences import NO_LABEL, Array, Floats, Numbers, Sequences

AROUND, FAR = 1, 2
"""All columns are looked at so many steps before and after a label, and the one with the most codes as far as that."""

REACH = max(AROUND, FAR)
"""How many steps before and after a label it looks at."""

LEAST = 2
"""So often training must have seen a code in its place for it to have weights."""

LIMIT = 5.0
"""Standardised numbers are no larger than this, and not below its negative."""

STEPS = 300_000
"""At most so many labels are learned from."""

EPOCHS, BATCHES, BATCH, RATE, BETA_2 = 3, 100, (32, 512), 0.01, 0.99
"""Epochs of about so many batches, of a size in these bounds; a learning rate that falls to 0; and that of Adam."""

SMALLEST = float(np.finfo(np.float32).tiny)
"""Standard deviations are no smaller than this, below which float32 has fewer digits; those that are become 1."""

LARGEST = 1e4
"""Weights are no larger, so that they fit into half precision, and scores are finite."""

BLOCK = 8192
"""Steps that are worked on together."""


@dataclass(frozen=True, eq=False)
class Neighbors:
    """A logistic regression on the codes and numbers of a step, of the one before and of the one after.

    Of the steps two before and two after it sees the column with the most codes.

    Attributes:
        sizes: for each categorical column how many codes there are.
        mean: `(numbers,)` the mean of each numeric column.
        scale: `(numbers,)` and its standard deviation.
        kernel: `(3 * numbers, classes)` the weights of standardised numbers: of the step before, itself, the one after.
        codes: `(codes,)` what has weights, ascending: those of each of `places_of`, one after the other.
        table: `(codes, classes)` their weights, in half precision.
        bias: `(classes,)`, `NEVER` for classes that training never saw.
    """

    name: ClassVar[str] = "neighbor_regression"
    reach: ClassVar[int] = REACH
    sizes: tuple[int, ...]
    mean: Floats
    scale: Floats
    kernel: Floats
    codes: Numbers
    table: Array
    bias: Floats

    @classmethod
    def fit(cls, sequences: Sequences, classes: int, categories: tuple[int, ...], seed: int) -> Neighbors | None:
        """Fit it; None for labels of sequences or of one class, or where steps are of few kinds."""
        generator, labels = np.random.default_rng(seed), sequences.known_labels
        if not serves(sequences.per, categories):
            return None
        rows = np.flatnonzero(labels != NO_LABEL)
        if len(rows) > STEPS:
            rows = np.sort(generator.choice(rows, STEPS, replace=False))
        seen, targets = np.unique(labels[rows], return_inverse=True)
        if len(seen) < 2:
            return None
        numbers = np.asarray(sequences.values[:, : sequences.features - len(categories)], np.float64)
        mean, scale = numbers.mean(axis=0), numbers.std(axis=0)
        scale[scale < SMALLEST] = 1
        means, scales = mean.astype(np.float32), scale.astype(np.float32)
        found = _codes(sequences, rows, categories)
        counts = np.bincount(found.ravel(), minlength=ends_of(categories)[-1])
        codes = np.flatnonzero(counts >= LEAST)
        known = _places_among(codes, len(counts))
        weights = _learned(known[found], _numbers(sequences, rows, means, scales), targets, generator)
        table, kernel = (np.zeros((len(each), classes), np.float32) for each in weights[:2])
        bias = np.full(classes, NEVER, np.float32)
        table[:, seen], kernel[:, seen], bias[seen] = weights
        return cls(categories, means, scales, kernel, codes, table[1:].astype(np.float16), bias)

    def predict(self, sequences: Sequences) -> Numbers:
        """The most probable class of each label."""
        return np.asarray(self.scores(sequences).argmax(axis=1), np.int64)

    def scores(self, sequences: Sequences) -> Floats:
        """`(labels, classes)`; a softmax of them gives probabilities."""
        sums = np.empty((sequences.steps, len(self.bias)), np.float32)
        for at in range(0, sequences.steps, BLOCK):
            rows = np.arange(at, min(at + BLOCK, sequences.steps))
            own = product(_numbers(sequences, rows, self.mean, self.scale), self.kernel) + self.bias
            for column in self.known[_codes(sequences, rows, self.sizes)].T:
                own += self.weights[column]
            sums[rows] = own
        return sums

    @cached_property
    def known(self) -> Numbers:
        """For each code the row of `weights`."""
        return _places_among(self.codes, int(ends_of(self.sizes)[-1]))

    @cached_property
    def weights(self) -> Floats:
        """`(1 + codes, classes)` the weights of codes; first zeros, for those that have none."""
        return np.vstack([np.zeros((1, len(self.bias)), np.float32), self.table.astype(np.float32)])

    def arrays(self) -> dict[str, Array]:
        """The regression as arrays."""
        return {name: getattr(self, name) for name in ("mean", "scale", "kernel", "codes", "table", "bias")}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Any], network: Network) -> Neighbors:
        """What `arrays` gave."""
        sizes, classes = network.categories, network.classes
        if not serves(network.per, sizes):
            raise InputError("A regression on words and their neighbors belongs to labels of steps of many kinds.")
        numbers = network.features - len(sizes)
        codes = checked_array(arrays, "codes", np.int64, (None,), 0, ends_of(sizes)[-1] - 1)
        if not (np.diff(codes) > 0).all():
            raise InputError("The array 'codes' must ascend.")
        return cls(
            sizes,
            checked_array(arrays, "mean", np.float32, (numbers,)),
            checked_array(arrays, "scale", np.float32, (numbers,), SMALLEST),
            checked_array(arrays, "kernel", np.float32, ((2 * AROUND + 1) * numbers, classes), -LARGEST, LARGEST),
            codes,
            checked_array(arrays, "table", np.float16, (len(codes), classes), -LARGEST, LARGEST),
            checked_array(arrays, "bias", np.float32, (classes,), -LARGEST, LARGEST),
        )


def serves(per: str, sizes: tuple[int, ...]) -> bool:
    """Whether steps have labels and are of many kinds."""
    return per == "step" and sum(sizes) > MANY_CODES


def places_of(sizes: tuple[int, ...]) -> list[tuple[int, int]]:
    """What is looked at: how many steps after the label, and which categorical column.

    Example:
        >>> places_of((3, 9))
        [(-1, 0), (-1, 1), (0, 0), (0, 1), (1, 0), (1, 1), (-2, 1), (2, 1)]
    """
    near = [(shift, column) for shift in range(-AROUND, AROUND + 1) for column in range(len(sizes))]
    return [*near, *((shift, int(np.argmax(sizes))) for shift in (-FAR, FAR))]


def ends_of(sizes: tuple[int, ...]) -> Numbers:
    """Where the codes of each of `places_of` begin, and where the last ones end; each has one for a missing step."""
    return np.cumsum([0, *(sizes[column] + 1 for _, column in places_of(sizes))])


def _places_among(codes: Numbers, count: int) -> Numbers:
    """For each of so many codes its place among these, counted from 1; 0 for others."""
    places = np.zeros(count, np.int64)
    places[codes] = np.arange(1, len(codes) + 1)
    return places


def _codes(sequences: Sequences, rows: Numbers, sizes: tuple[int, ...]) -> Numbers:
    """`(rows, places)`: what stands in each of `places_of`, as a code of all of them."""
    found, ends = np.empty((len(rows), len(places_of(sizes))), np.int64), ends_of(sizes)
    for i, (shift, column) in enumerate(places_of(sizes)):
        there, moved = _moved(sequences, rows, shift)
        codes = sequences.values[moved, sequences.features - len(sizes) + column].astype(np.int64)
        found[:, i] = ends[i] + np.where(there, codes, sizes[column])
    return found


def _numbers(sequences: Sequences, rows: Numbers, mean: Floats, scale: Floats) -> Floats:
    """`(rows, 3 * numbers)`: the standardised numbers of the step before, of the step, and of the one after."""
    found = []
    for shift in range(-AROUND, AROUND + 1):
        there, moved = _moved(sequences, rows, shift)
        with np.errstate(over="ignore", invalid="ignore"):  # a file may hold numbers of any size
            own = (sequences.values[moved, : len(mean)].astype(np.float32) - mean) / scale
        found.append(np.where(there[:, None], own.clip(-LIMIT, LIMIT), np.float32(0)))
    return np.hstack(found)


def _moved(sequences: Sequences, rows: Numbers, shift: int) -> tuple[Array, Numbers]:
    """Whether the sequences of these steps have one so many later, and its row; that of the step itself if not."""
    of = np.searchsorted(sequences.offsets, rows, side="right") - 1
    there = (rows + shift >= sequences.offsets[of]) & (rows + shift < sequences.offsets[of + 1])
    return there, np.where(there, rows + shift, rows)


def _learned(codes: Numbers, numbers: Floats, labels: Numbers, generator: np.random.Generator) -> list[Floats]:
    """The weights of codes, those of numbers, and the bias."""
    import keras

    size, classes = min(int(np.clip(len(labels) // BATCHES, *BATCH)), len(labels)), int(labels.max()) + 1
    batches = len(labels) // size
    width = numbers.shape[1]
    if not width:
        numbers = np.zeros((len(labels), 1), np.float32)  # TensorFlow aborts on a product without columns
    of_codes, of_numbers = keras.Input(codes.shape[1:], dtype="int32"), keras.Input(numbers.shape[1:])
    table = keras.layers.Embedding(int(codes.max()) + 1, classes, embeddings_initializer="zeros")
    dense = keras.layers.Dense(classes, kernel_initializer="zeros")
    model = keras.Model([of_codes, of_numbers], keras.ops.sum(table(of_codes), axis=1) + dense(of_numbers))
    falling = keras.optimizers.schedules.PolynomialDecay(RATE, EPOCHS * batches, 0.0)
    model.compile(
        keras.optimizers.Adam(falling, beta_2=BETA_2), keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    )
    for _ in range(EPOCHS):
        order = generator.permutation(len(labels))[: batches * size]
        model.fit([codes[order], numbers[order]], labels[order], batch_size=size, shuffle=False, verbose=0)
    found = (table.embeddings, dense.kernel[:width], dense.bias)
    return [keras.ops.convert_to_numpy(each).clip(-LARGEST, LARGEST) for each in found]

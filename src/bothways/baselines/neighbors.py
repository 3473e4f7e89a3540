"""Logistic regressions on each step and its neighbors, where steps are words, letters or other categories."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Self

import numpy as np
from numpy.random import Generator

from bothways.arrays import checked_array, product
from bothways.baselines.places import Place, Places, checked_runs, known_runs, moved_rows
from bothways.errors import InputError
from bothways.network import MANY_CODES, Network
from bothways.patterns.classifiers import NEVER, Classifier, some_labels
from bothways.sequences import Array, Doubles, Floats, Numbers, Sequences, in_blocks

AROUND, FAR, FARTHER = 1, 2, 8
"""How many steps before and after a label are looked at: of all columns; and of the one with the most codes, where
steps are of many kinds, and where they are of few."""

WIDE, COARSE, FEW, HELD_OUT = 2, 100, 50_000, 5
"""Where steps are of many kinds, columns of at most `COARSE` codes may be looked at `WIDE` steps away, too: where there
are at most `FEW` labels, and those of one sequence in `HELD_OUT`, which are held out, are likelier by it."""

RUNS_AROUND, LONGEST, MOST_RUNS = 4, 5, 100_000
"""How many steps before and after a label runs are looked at; the longest run; and the most runs of a length, times the
number of classes."""

LEAST = 2
"""How often training must have seen a code in its place for it to have weights."""

LIMIT = 5.0
"""Standardised numbers are no larger than this, and not below its negative."""

LABELS, STEPS = 500, 300_000
"""The fewest labels to learn from where steps are of few kinds, and the most."""

BATCHES, BATCH, UPDATES, EPOCHS, RATE, BETA_2 = 100, (32, 512), 500, (3, 10), 0.01, 0.99
"""About how many batches an epoch has, and the bounds of their size; about how many there are in all, and the bounds of
the number of epochs; the learning rate, which falls to 0; and Adam's `beta_2`."""

SMALLEST = float(np.finfo(np.float32).tiny)
"""Standard deviations are no smaller than this, below which float32 has fewer digits; those that are become 1."""

LARGEST = 1e4
"""Weights are no larger, so that they fit into half precision, and logits are finite."""

BLOCK = 8192
"""Steps that are worked on together."""


@dataclass(frozen=True, eq=False)
class Neighbors(Classifier):
    """A logistic regression on the codes and numbers of a step, of the one before and of the one after.

    It sees the column with the most codes farther: two steps before and after, eight where steps are of few kinds.
    Where they are, and have numbers, there is none. Where labels are few it may see those of few codes two steps away.
    """

    name: ClassVar[str] = "neighbor_regression"
    kept = ("mean", "scale", "kernel", "codes", "table", "bias")
    told: ClassVar[tuple[str, ...]] = ("wide",)
    places: Places  # what it looks at
    learned: Mapping[str, Array]  # what the train part told of these, as files have it
    mean: Floats  # `(numbers,)` the mean of each numeric column
    scale: Floats  # `(numbers,)` and its standard deviation
    kernel: Floats
    """`(3 * numbers, classes)` the weights of standardised numbers: of the step before, itself, the one after."""
    codes: Numbers  # `(codes,)` what has weights, ascending: those of each place, one after the other
    table: Array  # `(codes, classes)` their weights, in half precision
    bias: Floats  # `(classes,)`, `NEVER` for classes that training never saw

    @classmethod
    def fit(cls, sequences: Sequences, classes: int, categories: tuple[int, ...], seed: int) -> Self | None:
        """Fit it; None for labels of sequences, of one class or too few, or for steps that it does not serve."""
        generator, labels = np.random.default_rng(seed), sequences.known_labels
        if not cls._serves(sequences.per, sequences.features, categories):
            return None
        rows = some_labels(sequences, True, STEPS, generator)
        if len(rows) < LABELS and not are_many(sequences.per, categories):
            return None
        if len(np.unique(labels[rows])) < 2:
            return None
        learned = cls._learned(sequences, rows, categories, classes, generator)
        return cls._fitted(sequences, rows, classes, categories, learned, generator)

    @classmethod
    def _fitted(
        cls,
        sequences: Sequences,
        rows: Numbers,
        classes: int,
        categories: tuple[int, ...],
        learned: Mapping[str, Array],
        generator: Generator,
    ) -> Self:
        seen, targets = np.unique(sequences.known_labels[rows], return_inverse=True)
        numbers = np.asarray(sequences.values[:, : sequences.features - len(categories)], np.float64)
        mean, scale = numbers.mean(axis=0), numbers.std(axis=0)
        scale[scale < SMALLEST] = 1
        means, scales = mean.astype(np.float32), scale.astype(np.float32)
        places = cls._places(learned, categories)
        found = places.codes(sequences, rows)
        counts = np.bincount(found.ravel(), minlength=places.ends[-1])
        codes = np.flatnonzero(counts >= LEAST)
        known = _places_among(codes, len(counts))
        counted = sequences.weights_of(rows)
        weights = _weights(known[found], _numbers(sequences, rows, means, scales), targets, counted, generator)
        table, kernel = (np.zeros((len(each), classes), np.float32) for each in weights[:2])
        bias = np.full(classes, NEVER, np.float32)
        table[:, seen], kernel[:, seen], bias[seen] = weights
        return cls(places, learned, means, scales, kernel, codes, table[1:].astype(np.float16), bias)

    def logits(self, sequences: Sequences, before: Array | None = None) -> Floats:
        sums = np.empty((sequences.steps, len(self.bias)), np.float32)
        for rows in in_blocks(sequences.steps, BLOCK):
            own = product(_numbers(sequences, rows, self.mean, self.scale), self.kernel) + self.bias
            for column in self.known[self.places.codes(sequences, rows)].T:
                own += self.weights[column]
            sums[rows] = own
        return sums

    def arrays(self) -> dict[str, Array]:
        return {**super().arrays(), **self.learned}

    @property
    def reach(self) -> int:
        return self.places.reach

    @cached_property
    def known(self) -> Numbers:
        """For each code the row of `weights`."""
        return _places_among(self.codes, int(self.places.ends[-1]))

    @cached_property
    def weights(self) -> Floats:
        """`(1 + codes, classes)` the weights of codes; first zeros, for those that have none."""
        return np.vstack([np.zeros((1, len(self.bias)), np.float32), self.table.astype(np.float32)])

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Any], network: Network) -> Self:
        sizes, classes = network.categories, network.classes
        if not cls._serves(network.per, network.features, sizes):
            raise InputError("A regression on neighbors belongs to labels of steps of many kinds, or without numbers.")
        learned = {name: arrays[name] for name in cls.told if name in arrays}
        numbers, places = network.numeric, cls._places(arrays, sizes)
        codes = checked_array(arrays, "codes", np.int64, (None,), 0, places.ends[-1] - 1)
        if not (np.diff(codes) > 0).all():
            raise InputError("The array 'codes' must ascend.")
        return cls(
            places,
            learned,
            checked_array(arrays, "mean", np.float32, (numbers,)),
            checked_array(arrays, "scale", np.float32, (numbers,), SMALLEST),
            checked_array(arrays, "kernel", np.float32, ((2 * AROUND + 1) * numbers, classes), -LARGEST, LARGEST),
            codes,
            checked_array(arrays, "table", np.float16, (len(codes), classes), -LARGEST, LARGEST),
            checked_array(arrays, "bias", np.float32, (classes,), -LARGEST, LARGEST),
        )

    @classmethod
    def _serves(cls, per: str, features: int, sizes: tuple[int, ...]) -> bool:
        return are_many(per, sizes) or _are_few(per, features, sizes)

    @classmethod
    def _learned(
        cls, sequences: Sequences, rows: Numbers, sizes: tuple[int, ...], classes: int, generator: Generator
    ) -> dict[str, Array]:
        """What these steps tell of the places to look at, as `arrays` gives it."""
        choices = [{"wide": np.array([wide])} for wide in (0, 1)]
        if not are_many("step", sizes) or min(sizes) > COARSE or len(rows) > FEW or len(sequences) < HELD_OUT:
            return choices[0]
        drawn = generator.permutation(len(sequences))
        out, part = sequences.take(drawn[::HELD_OUT]), sequences.take(np.delete(drawn, slice(None, None, HELD_OUT)))
        known = np.flatnonzero(part.has_label)
        if not len(known):
            return choices[0]
        return min(choices, key=lambda each: cls._fitted(part, known, classes, sizes, each, generator)._loss(out))

    def _loss(self, sequences: Sequences) -> float:
        """How unlikely the labels of these sequences are."""
        rows = np.flatnonzero(sequences.has_label)
        counted = sequences.weights_of(rows)
        logits = self.logits(sequences)[rows].astype(np.float64)
        losses = np.logaddexp.reduce(logits, axis=1) - logits[np.arange(len(rows)), sequences.known_labels[rows]]
        return float(np.sum(losses if counted is None else losses * counted))

    @classmethod
    def _places(cls, arrays: Mapping[str, Any], sizes: tuple[int, ...]) -> Places:
        """What it looks at, as `arrays` gave it; none are wide where it says nothing of that."""
        wide = "wide" in arrays and bool(checked_array(arrays, "wide", np.int64, (1,), 0, 1)[0])
        far, most = FAR if are_many("step", sizes) else FARTHER, int(np.argmax(sizes))
        few = [column for column, size in enumerate(sizes) if wide and size <= COARSE and column != most]
        beyond = (Place(shift, column) for shift in (-WIDE, WIDE) for column in few)
        return Places(sizes, (*around(sizes, far), *beyond))


@dataclass(frozen=True, eq=False)
class NearbyNGrams(Neighbors):
    """The same regression for steps of few kinds, as letters are: it sees runs of one to five steps in their places.

    Runs are of the column with the most codes, and within four steps before and after the label.
    """

    name: ClassVar[str] = "nearby_n_grams"
    told = ("runs", "counts")

    @classmethod
    def _serves(cls, per: str, features: int, sizes: tuple[int, ...]) -> bool:
        return _are_few(per, features, sizes)

    @classmethod
    def _learned(
        cls, sequences: Sequences, rows: Numbers, sizes: tuple[int, ...], classes: int, generator: Generator
    ) -> dict[str, Array]:
        column = int(np.argmax(sizes))
        single = Places(sizes, tuple(Place(shift, column) for shift in range(-RUNS_AROUND, RUNS_AROUND + 1)))
        codes = single.codes(sequences, rows) - single.ends[:-1]
        runs = known_runs(list(codes.T), sizes[column], LONGEST, MOST_RUNS // classes)
        return {"runs": np.concatenate(runs), "counts": np.array([len(known) for known in runs], np.int64)}

    @classmethod
    def _places(cls, arrays: Mapping[str, Any], sizes: tuple[int, ...]) -> Places:
        counts = checked_array(arrays, "counts", np.int64, (LONGEST - 1,), 0)
        runs = checked_array(arrays, "runs", np.int64, (None,), 0)
        return Places(sizes, runs_around(sizes), checked_runs(runs, counts, max(sizes)))


def are_many(per: str, sizes: tuple[int, ...]) -> bool:
    """Whether steps have labels and are of many kinds, as words are."""
    return per == "step" and sum(sizes) > MANY_CODES


def _are_few(per: str, features: int, sizes: tuple[int, ...]) -> bool:
    """Whether steps have labels and are nothing but categories of few kinds."""
    return per == "step" and features == len(sizes) > 0 and not are_many(per, sizes)


def around(sizes: tuple[int, ...], far: int) -> list[Place]:
    """The categories of the steps beside a label, and of the column with the most codes those `far` away and nearer.

    Example:
        >>> [tuple(place[:2]) for place in around((3, 9), 2)]
        [(-1, 0), (-1, 1), (0, 0), (0, 1), (1, 0), (1, 1), (-2, 1), (2, 1)]
    """
    near = [Place(shift, column) for shift in range(-AROUND, AROUND + 1) for column in range(len(sizes))]
    beyond = [shift for distance in range(AROUND + 1, far + 1) for shift in (-distance, distance)]
    return [*near, *(Place(shift, int(np.argmax(sizes))) for shift in beyond)]


def runs_around(sizes: tuple[int, ...]) -> tuple[Place, ...]:
    """The runs of the column with the most codes, and the categories of others beside a label.

    Example:
        >>> [tuple(place) for place in runs_around((26,))[-3:]], len(runs_around((26,)))
        ([(3, 0, 1), (3, 0, 2), (4, 0, 1)], 35)
    """
    most = int(np.argmax(sizes))
    others = [place for place in around(sizes, AROUND) if place.column != most]
    starts = range(-RUNS_AROUND, RUNS_AROUND + 1)
    runs = [Place(shift, most, n) for shift in starts for n in range(1, min(LONGEST, RUNS_AROUND - shift + 1) + 1)]
    return (*others, *runs)


def _places_among(codes: Numbers, count: int) -> Numbers:
    """For each code below `count` its place among these, counted from 1; 0 for others."""
    places = np.zeros(count, np.int64)
    places[codes] = np.arange(1, len(codes) + 1)
    return places


def _numbers(sequences: Sequences, rows: Numbers, mean: Floats, scale: Floats) -> Floats:
    """`(rows, 3 * numbers)`: the standardised numbers of the step before, of the step, and of the one after."""
    found = []
    for shift in range(-AROUND, AROUND + 1):
        there, moved = moved_rows(sequences, rows, shift)
        with np.errstate(over="ignore", invalid="ignore"):  # a file may hold numbers of any size
            own = (sequences.values[moved, : len(mean)].astype(np.float32) - mean) / scale
        found.append(np.where(there[:, None], own.clip(-LIMIT, LIMIT), np.float32(0)))
    return np.hstack(found)


def _weights(
    codes: Numbers, numbers: Floats, labels: Numbers, counted: Doubles | None, generator: Generator
) -> list[Floats]:
    """The weights of codes, those of numbers, and the bias; `counted` is how much each label counts."""
    import keras

    codes, labels = codes.astype(np.int32), labels.astype(np.int32)  # of 64 bits JAX makes these, with a warning
    size, classes = min(int(np.clip(len(labels) // BATCHES, *BATCH)), len(labels)), int(labels.max()) + 1
    batches = len(labels) // size
    epochs = int(np.clip(round(UPDATES / batches), *EPOCHS))
    width = numbers.shape[1]
    if not width:
        numbers = np.zeros((len(labels), 1), np.float32)  # TensorFlow aborts on a product without columns
    of_codes, of_numbers = keras.Input(codes.shape[1:], dtype="int32"), keras.Input(numbers.shape[1:])
    table = keras.layers.Embedding(int(codes.max()) + 1, classes, embeddings_initializer="zeros")
    dense = keras.layers.Dense(classes, kernel_initializer="zeros")
    model = keras.Model([of_codes, of_numbers], keras.ops.sum(table(of_codes), axis=1) + dense(of_numbers))
    falling = keras.optimizers.schedules.PolynomialDecay(RATE, epochs * batches, 0.0)
    model.compile(
        keras.optimizers.Adam(falling, beta_2=BETA_2), keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    )
    for _ in range(epochs):
        order = generator.permutation(len(labels))[: batches * size]
        weighed = None if counted is None else counted[order]
        given = [codes[order], numbers[order]], labels[order]
        model.fit(*given, batch_size=size, shuffle=False, verbose=0, sample_weight=weighed)
    found = (table.embeddings, dense.kernel[:width], dense.bias)
    return [keras.ops.convert_to_numpy(each).clip(-LARGEST, LARGEST) for each in found]

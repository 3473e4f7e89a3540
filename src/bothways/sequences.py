"""Sequences of any lengths, one after the other, as they go from a table or arrays to padding and back."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from bothways.errors import InputError, counted

if TYPE_CHECKING:
    from bothways.tags import Scheme

Array = npt.NDArray[Any]
Numbers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

NO_LABEL = -1  # the code of a step, or of a sequence, without a label


@dataclass(frozen=True, eq=False)
class Sequences:
    """Sequences, one after the other."""

    values: Array  # `(steps, features)`, all finite; codes of categories in the last columns
    lengths: Numbers  # `(sequences,)` the number of steps of each; may be 0
    labels: Numbers | None = None
    """The codes of the classes, `(steps,)`, or `(sequences,)` where a sequence has one label; `NO_LABEL` where there is
    none. None if there are no labels at all."""
    weights: Floats | None = None  # shaped as `labels`, how much each label counts, 0 or more; None for all alike
    per: str = "step"  # what has a label, "step" or "sequence"
    ids: tuple[Any, ...] | None = None  # for each sequence what the user calls it; None for their numbers
    rows: Numbers | None = None
    """`(steps,)` the row of the table or data frame that each step stands in, from 0; None if there is no table."""
    scheme: Scheme | None = None  # the scheme of which the labels of steps are tags; None if they are no tags
    flags: tuple[tuple[int, int], ...] = ()
    """Columns of numbers, each with the column that is 1 where its number was missing and something stands for it."""

    def __post_init__(self) -> None:
        steps, sequences = int(self.lengths.sum()), len(self.lengths)
        labels = (steps if self.per == "step" else sequences,)
        for name, array, shape in (
            ("values", self.values, (steps, *self.values.shape[1:])),
            ("labels", self.labels, labels),
            ("weights", self.weights, labels),
            ("rows", self.rows, (steps,)),
        ):
            if array is not None and array.shape != shape:
                raise InputError(
                    f"{name} have shape {array.shape}; {sequences} sequences of {steps} steps need {shape}."
                )
        if self.ids is not None and len(self.ids) != sequences:
            raise InputError(f"There are {len(self.ids)} ids for {sequences} sequences.")

    @classmethod
    def from_arrays(
        cls,
        arrays: Sequence[Array] | Array,
        labels: Numbers | None = None,
        weights: Floats | None = None,
        per: str = "step",
    ) -> Sequences:
        """Sequences from one array `(time, features)` each, all of one width; all else is as in the class."""
        lengths = np.array([len(array) for array in arrays], np.int64)
        return cls(np.concatenate(arrays) if len(arrays) else np.empty((0, 0)), lengths, labels, weights, per)

    @classmethod
    def joined(cls, parts: Sequence[Sequences]) -> Sequences:
        """The sequences of several parts of one table, one part after the other."""

        def whole(name: str) -> Any:
            arrays = [getattr(part, name) for part in parts]
            return None if any(array is None for array in arrays) else np.concatenate(arrays)

        ids = tuple(name for part in parts for name in part.ids or ())
        named = all(part.ids is not None for part in parts)
        arrays = {name: whole(name) for name in ("values", "lengths", "labels", "rows")}
        if any(part.weights is not None for part in parts):
            arrays["weights"] = np.concatenate([part.known_weights for part in parts])
        return cls(**arrays, per=parts[0].per, ids=ids if named else None, scheme=parts[0].scheme, flags=parts[0].flags)

    def __len__(self) -> int:
        return len(self.lengths)

    @property
    def steps(self) -> int:
        """The number of steps of all sequences together."""
        return len(self.values)

    @property
    def size(self) -> str:
        """How many sequences and steps there are, in words."""
        return f"{counted(len(self), 'sequence')} ({counted(self.steps, 'step')})"

    @property
    def features(self) -> int:
        """The number of features of a step."""
        return int(self.values.shape[1])

    @property
    def offsets(self) -> Numbers:
        """`(sequences + 1,)`; sequence `i` is the steps from `offsets[i]` up to `offsets[i + 1]`."""
        return np.concatenate([[0], np.cumsum(self.lengths, dtype=np.int64)])

    @property
    def sequence_of_steps(self) -> Numbers:
        """`(steps,)` the number of the sequence of each step, from 0."""
        return np.repeat(np.arange(len(self)), self.lengths)

    @property
    def sequence_of_labels(self) -> Numbers:
        """`(labels,)` the number of the sequence of each label, from 0."""
        return self.sequence_of_steps if self.per == "step" else np.arange(len(self))

    @property
    def positions(self) -> Numbers:
        """`(steps,)` the number of each step in its sequence, from 0."""
        return ranges(0, self.lengths)

    @property
    def lengths_of_steps(self) -> Numbers:
        """`(steps,)` the length of the sequence of each step."""
        return np.repeat(self.lengths, self.lengths)

    @property
    def step_labels(self) -> Numbers:
        """`(steps,)` the label of each step, or that of its sequence."""
        return self.known_labels if self.per == "step" else np.repeat(self.known_labels, self.lengths)

    @property
    def known_labels(self) -> Numbers:
        """The labels."""
        if self.labels is None:
            raise InputError("These sequences have no labels.")
        return self.labels

    @property
    def has_label(self) -> Bools:
        """Shaped as the labels, where there is one."""
        return np.asarray(self.known_labels != NO_LABEL)

    @property
    def known_weights(self) -> Floats:
        """How much each label counts; 1 if nothing is said."""
        return np.ones(len(self.known_labels), np.float32) if self.weights is None else self.weights

    def weights_of(self, labels: Any) -> Doubles | None:
        """How much the labels of these numbers count, 1 on average; None if all count alike.

        Example:
            >>> sequences = Sequences(np.zeros((3, 1)), np.array([3]), np.array([0, 1, 1]), np.array([2.0, 6.0, 9.0]))
            >>> sequences.weights_of(np.array([0, 1])).tolist()
            [0.5, 1.5]
        """
        if self.weights is None:
            return None
        weights = self.weights[labels].astype(np.float64)
        return np.asarray(weights / weights.mean())

    def class_counts(self, classes: int) -> Numbers:
        """`(classes,)` how many labels each class has.

        Example:
            >>> Sequences(np.zeros((4, 1)), np.array([4]), labels=np.array([0, 2, NO_LABEL, 2])).class_counts(3)
            array([1, 0, 2])
        """
        return np.bincount(self.known_labels[self.has_label], minlength=classes)

    @property
    def table_rows(self) -> Numbers:
        """`(steps,)` the row of each step, from 0; without a table, the steps are its rows."""
        return np.arange(self.steps) if self.rows is None else self.rows

    def place(self, step: int) -> tuple[int, int]:
        """The number of the sequence of a step, and that of the step in it, from 0."""
        offsets = self.offsets
        number = int(np.searchsorted(offsets, step, side="right")) - 1
        return number, step - int(offsets[number])

    def before_and_after(self, steps: Numbers) -> tuple[Numbers, Numbers]:
        """How many steps each of these has before and after it in its sequence.

        Example:
            >>> Sequences(np.zeros((5, 1)), np.array([2, 3])).before_and_after(np.array([1, 2]))
            (array([1, 0]), array([0, 2]))
        """
        offsets = self.offsets
        of = np.searchsorted(offsets, steps, side="right") - 1
        return steps - offsets[of], offsets[of + 1] - 1 - steps

    def id(self, number: int) -> Any:
        """What the user calls a sequence."""
        return number if self.ids is None else self.ids[number]

    def arrays(self) -> list[Array]:
        """For each sequence its values `(time, features)`; views, not copies."""
        return self._pieces(self.values)

    def means(self, values: Array) -> Doubles:
        """`(sequences, columns)` the means of values `(steps, columns)` over each sequence; 0 where it has no steps."""
        numbers, sums = self.sequence_of_steps, np.zeros((len(self), values.shape[1]))
        for column, found in zip(values.T, sums.T, strict=True):
            found[:] = np.bincount(numbers, column, len(self))
        return np.asarray(sums / np.maximum(self.lengths, 1)[:, None])

    def split(self, results: Array) -> Any:
        """Results of all labels, for each sequence."""
        return results if self.per == "sequence" else self._pieces(results)

    def keep(self, chosen: Bools) -> Sequences:
        """The sequences for which `chosen (sequences,)` is true."""
        return self.take(np.flatnonzero(chosen))

    def take(self, numbers: Numbers) -> Sequences:
        """The sequences of these numbers, in this order."""
        lengths = self.lengths[numbers]
        return self._taken(ranges(self.offsets[numbers], lengths), lengths, numbers)

    def cut(self, pieces: Numbers) -> tuple[Sequences, Numbers]:
        """Cut sequences so that all steps of a piece have one number in `pieces (steps,)`; and those numbers.

        Steps of equal number in one sequence are joined, wherever in it they stand.
        """
        numbers = self.sequence_of_steps
        steps = np.lexsort((pieces, numbers))
        numbers, pieces = numbers[steps], pieces[steps]
        starts = np.flatnonzero((np.diff(numbers, prepend=-1) != 0) | (np.diff(pieces, prepend=-1) != 0))
        return self._taken(steps, np.diff(np.append(starts, len(steps))), numbers[starts]), pieces[starts]

    def cut_at(self, steps: int) -> tuple[Sequences, Numbers]:
        """Cut sequences into pieces of at most this many steps, each with its number in its sequence, from 0."""
        return self.cut(self.positions // steps)

    def by_row(self, results: Array) -> Array:
        """Results `(steps, ...)` of all labels in the order of the rows of the table.

        Where a sequence has one label, results are `(sequences, ...)`, and each of its rows gets that of its sequence.
        """
        if self.per == "sequence":
            results = np.repeat(results, self.lengths, axis=0)
        if self.rows is None or in_order(self.rows):
            return results
        ordered = np.empty_like(results)
        ordered[self.rows] = results
        return ordered

    def _pieces(self, values: Array) -> list[Array]:
        return np.split(values, self.offsets[1:-1]) if len(self) else []

    def _taken(self, steps: Numbers, lengths: Numbers, numbers: Numbers) -> Sequences:
        """The steps of these numbers as sequences of these lengths, each taken from the sequence of that number."""
        labels = steps if self.per == "step" else numbers
        places = {"values": steps, "rows": steps, "labels": labels, "weights": labels}
        arrays = {name: getattr(self, name)[at] for name, at in places.items() if getattr(self, name) is not None}
        ids = None if self.ids is None else tuple(self.ids[number] for number in numbers.tolist())
        return replace(self, lengths=lengths, ids=ids, **arrays)


def ranges(starts: Any, counts: Numbers) -> Numbers:
    """Whole numbers from each start on, as many as its count, one range after the other.

    Example:
        >>> ranges(np.array([0, 7]), np.array([2, 3]))
        array([0, 1, 7, 8, 9])
    """
    return np.asarray(np.arange(counts.sum()) + np.repeat(starts - (np.cumsum(counts) - counts), counts))


def shifted_within(lengths: Numbers) -> Callable[[int], Numbers]:
    """What gives for each step of sequences the one so many steps later; beyond the ends the last or the first one.

    Example:
        >>> shifted_within(np.array([3, 2]))(-1)
        array([0, 0, 1, 3, 3])
    """
    ends, steps = np.cumsum(lengths), np.arange(lengths.sum())
    first, last = np.repeat(ends - lengths, lengths), np.repeat(ends - 1, lengths)
    return lambda shift: np.clip(steps + shift, first, last)


def joint_codes(values: Array, sizes: Sequence[int]) -> Numbers:
    """`(steps, columns)` codes of the last columns; those of a column, of its size, go on where those before it end."""
    codes = np.asarray(values[:, values.shape[1] - len(sizes) :], np.int64)
    return np.asarray(codes + np.cumsum([0, *sizes])[:-1])


def pair_counts(rows: Array, columns: Array, shape: tuple[int, int], weights: Array | None = None) -> Array:
    """A table of this shape with how often each pair of a row and a column occurs, or the sum of its weights.

    Example:
        >>> pair_counts(np.array([0, 1, 1]), np.array([2, 0, 0]), (2, 3)).tolist()
        [[0, 0, 1], [2, 0, 0]]
    """
    return np.bincount((rows * shape[1] + columns).ravel(), weights, math.prod(shape)).reshape(shape)


def in_blocks(count: int, size: int) -> Iterator[Numbers]:
    """The whole numbers below `count`, at most `size` of them at a time.

    Example:
        >>> [numbers.tolist() for numbers in in_blocks(5, 2)]
        [[0, 1], [2, 3], [4]]
    """
    return (np.arange(first, min(first + size, count)) for first in range(0, count, size))


def unmasked(value: Any) -> Array:
    """An array, with NaN or None where one of NumPy is masked."""
    if not (isinstance(value, np.ma.MaskedArray) and np.ma.is_masked(value)):
        return np.asarray(value)
    values = value.data.astype(value.dtype if value.dtype.kind == "f" else object)
    values[np.ma.getmaskarray(value)] = None
    return np.asarray(values)


def in_order(rows: Numbers) -> bool:
    """Whether rows are numbered 0, 1, 2 and so on."""
    return len(rows) == 0 or bool(rows[0] == 0 and rows[-1] == len(rows) - 1 and (rows[1:] > rows[:-1]).all())

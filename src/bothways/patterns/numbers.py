"""The numbers of sequences, as patterns see them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from bothways.means import means_of
from bothways.sequences import Array, Doubles, Numbers, Sequences

LARGEST = 1e30  # numbers are clipped to this, so that sums of them and of their squares are finite
ROUNDING = 1e-12  # of a number, what its distance from a mean may be due to rounding
BLOCK = 2048  # steps that are worked on together


def clipped(sequences: Sequences, numbers: int) -> Doubles:
    """`(steps, numbers)` the first columns."""
    return np.asarray(sequences.values[:, :numbers], np.float64).clip(-LARGEST, LARGEST)


def scale_of(values: Array) -> Doubles:
    """`(numbers,)` the standard deviation of each column, from `(steps, numbers)`; 1 for a constant one."""
    scale = np.asarray(values.std(axis=0), np.float64)
    scale[scale == 0] = 1
    return scale


def columns_of(numbers: int) -> int:
    """How many columns `with_norm` gives."""
    return numbers + (numbers > 1)


def numbers_of(columns: int) -> int:
    """Of how many numbers there are so many columns."""
    return columns - (columns > 1)


def with_norm(sequences: Sequences, scale: Doubles) -> Doubles:
    """`(steps, columns)` the numbers and, if there are several, their norm: how far they are from their means together.

    The norm is the root of the sum of the squares of distances from the means over the sequence, each over its `scale`
    `(numbers,)`, in single precision: what two or three axes move, whichever way they point.
    """
    numbers = len(scale)
    values = clipped(sequences, numbers)
    if numbers < 2:
        return values
    moves = values - means_of(values, sequences.lengths, "both")
    moves[np.abs(moves) <= ROUNDING * np.abs(values)] = 0
    with np.errstate(over="ignore"):  # a file may hold scales of any size
        moves = (moves / scale).clip(-LARGEST, LARGEST)
    squares = sum(moves.T**2)  # one by one: the same bits for any number of steps
    return np.column_stack([values, np.sqrt(squares).astype(np.float32)])


def blocks(lengths: Numbers) -> Iterator[Numbers]:
    """The numbers of all sequences that have steps, in turn, as many at a time as have few steps."""
    numbers = np.flatnonzero(lengths)
    blocks = (np.cumsum(lengths[numbers]) - 1) // BLOCK
    return iter(np.split(numbers, np.flatnonzero(np.diff(blocks)) + 1) if len(numbers) else ())

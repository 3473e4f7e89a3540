"""What stands around a step: the categories of its neighbors and runs of them, each in its place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from bothways.errors import InputError
from bothways.sequences import Array, Numbers, Sequences

TABLE = 1_000_000
"""The most entries of a table of all known runs of a length, and of what may follow each."""


class Place(NamedTuple):
    """Where a run of categories stands: how many steps after the label it begins, its column, and its length."""

    shift: int
    column: int
    length: int = 1


@dataclass(frozen=True, eq=False)
class Places:
    """What is looked at around a step."""

    sizes: tuple[int, ...]
    """For each categorical column how many codes there are. A step that is not there has a code of its own, which
    follows them."""
    places: tuple[Place, ...]
    """Where it stands; those of one shift and column follow one another by their length, from 1 on."""
    runs: tuple[Numbers, ...] = ()
    """The known runs of two steps, of three, and so on, ascending: the number of the run without its last step (its
    place here, from 1; of a single step its code) times one more than the size, plus the last code."""

    @property
    def reach(self) -> int:
        """How many steps before and after a label are looked at."""
        return max(max(-place.shift, place.shift + place.length - 1) for place in self.places)

    @cached_property
    def ends(self) -> Numbers:
        """Where the codes of each place begin, and where the last ones end."""
        codes = (self.sizes[column] if length == 1 else len(self.runs[length - 2]) for _, column, length in self.places)
        return np.cumsum([0, *(1 + count for count in codes)])

    def codes(self, sequences: Sequences, rows: Numbers) -> Numbers:
        """`(rows, places)`: what stands in each place of these steps, as a code of all places together."""
        found = np.empty((len(rows), len(self.places)), np.int64)
        single = {
            (shift, column): self._single(sequences, rows, shift, column)
            for shift, column in {(each.shift + each.length - 1, each.column) for each in self.places}
        }
        number = np.zeros(len(rows), np.int64)
        for i, (shift, column, length) in enumerate(self.places):
            last = single[shift + length - 1, column]
            if length == 1:
                number = last
            else:
                number = run_numbers(number, last, self.sizes[column], self.runs[length - 2], length)
            found[:, i] = self.ends[i] + number
        return found

    def _single(self, sequences: Sequences, rows: Numbers, shift: int, column: int) -> Numbers:
        there, moved = moved_rows(sequences, rows, shift)
        codes = sequences.values[moved, sequences.features - len(self.sizes) + column].astype(np.int64)
        return np.where(there, codes, self.sizes[column])


def run_numbers(number: Numbers, last: Numbers, size: int, known: Numbers, length: int) -> Numbers:
    """The numbers of runs, 0 for those that are not known, by the numbers of the runs without their last step."""
    keys = number * (size + 1) + last
    places = np.searchsorted(known, keys)
    same = known[np.minimum(places, len(known) - 1)] == keys if len(known) else np.zeros(len(keys), bool)
    return np.where(same & ((number > 0) | (length == 2)), places + 1, 0)


def known_runs(around: Sequence[Numbers], size: int, longest: int, most: int) -> tuple[Numbers, ...]:
    """The runs that come twice and more, of 2 to `longest` steps, as `Places` has them; of each length `most`.

    `around` has the codes of some steps, for each of several shifts that follow one another.

    Example:
        >>> letters = np.array([0, 1, 0, 1, 0])
        >>> [runs.tolist() for runs in known_runs([letters[:-2], letters[1:-1], letters[2:]], 2, 3, 9)]
        [[1, 3], [3]]
    """
    runs = list[Numbers]()
    numbers = list(around)
    for length in range(2, longest + 1):
        pairs = list(zip(numbers, around[length - 1 :], strict=False))
        keys = np.concatenate([(number * (size + 1) + last)[(number > 0) | (length == 2)] for number, last in pairs])
        found, counts = np.unique(keys, return_counts=True)
        often = np.flatnonzero(counts > len(pairs))  # each run is met once for each shift
        if len(often) > (room := min(most, TABLE // (size + 1))):
            often = np.sort(often[np.argsort(-counts[often], kind="stable")[:room]])
        runs.append(found[often])
        numbers = [run_numbers(number, last, size, runs[-1], length) for number, last in pairs]
    return tuple(runs)


def checked_runs(runs: Array, counts: Array, size: int) -> tuple[Numbers, ...]:
    """The runs of `Places.runs`, one after the other, and how many there are of each length, as a file has them."""
    if counts.sum() != len(runs):
        raise InputError("The array 'runs' must be as long as 'counts' says.")
    before, found = size, tuple(np.split(runs, np.cumsum(counts)[:-1]))
    for length, known in enumerate(found, 2):
        least, most = (0 if length == 2 else size + 1), (before + 1) * (size + 1) - 1
        if not (np.diff(known) > 0).all() or (len(known) and not least <= known[0] <= known[-1] <= most):
            raise InputError(
                f"The array 'runs' must ascend, for each length; of {length} steps from {least} to {most}."
            )
        before = len(known)
    return found


def moved_rows(sequences: Sequences, rows: Numbers, shift: int) -> tuple[Array, Numbers]:
    """Whether the sequences of these steps have one `shift` steps later, and its row; if not, that of the step."""
    before, after = sequences.before_and_after(rows)
    there = (-before <= shift) & (shift <= after)
    return there, np.where(there, rows + shift, rows)

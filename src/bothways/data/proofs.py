"""What clocks and counters that turn back, or whose times come again, prove: that a column tells sequences apart."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

import numpy as np
import polars as pl

from bothways.data.clocks import are_within, days_only, grouped_rows, moves, numbers_of, one_run_each
from bothways.fields.names import clock_rank, names_calendar
from bothways.fields.numbers import SHOWING
from bothways.sequences import Array, Numbers
from bothways.tables.table import Table

PERIODS = {4, 5, 6, 7, 12, 23, 24, 25, *range(28, 32), *range(46, 51), 52, 53, 60, 365, 366}
"""How many quarters, days, hours or the like a year, month, week, day or hour has."""

MOST_COUNTERS = 8  # no more are looked at
FEW_VALUES = 5  # of fewer what clocks do may be chance


class Proof(NamedTuple):
    """A clock or counter of several sequences, which may prove what tells them apart."""

    name: str
    clock: pl.Series
    again: bool  # whether most times come several times
    turns: int  # how often they turn back

    def tells_apart(self, column: pl.Series) -> bool:
        """Whether each value has each time but once where times come again, or where they turn back, never turns back.

        Times turn back at half of the changes of the value at least; at others they may go on. Of few values most steps
        have a time of their own, or the rows are sorted by a category and then by year. The column may be the first
        rows of one.
        """
        clock = self.clock.head(len(column))
        if self.again and pl.DataFrame([column.alias("value"), clock.alias("time")]).n_unique() == len(column):
            return True
        if not self.turns or column.n_unique() > 2 * self.turns + 1:
            return False
        ups, downs, steps = self._moves(column)
        most = column.n_unique() >= FEW_VALUES or 2 * (ups + downs) >= steps
        return (ups > 0) != (downs > 0) and most

    def said_of(self, column: pl.Series) -> str:
        """How it shows that a column tells sequences apart."""
        values = f"each of its {column.n_unique():,} values"
        falls = self._moves(column)[1]
        return f"each {self.name!r} comes once within {values}" if falls else f"{self.name!r} rises within {values}"

    def may_number_days(self, column: pl.Series) -> bool:
        """Whether whole numbers may be amounts, or count the rows of a day or year, as each comes but once in it.

        Not if each is one run of rows, or if they come in the same order each day and neither rise nor fall.
        """
        coarse = days_only(self.clock) or (self.clock.dtype.is_integer() and are_within(self.clock, "year"))
        if not column.dtype.is_integer() or not coarse or one_run_each(column):
            return False
        count = column.n_unique()
        first = column.head(count)
        return first.is_sorted() or first.is_sorted(descending=True) or bool((column[count:] != column[:-count]).any())

    def _moves(self, column: pl.Series) -> tuple[int, int, int]:
        """How often times rise and fall from row to row of the same value, and how many such steps there are."""
        rows, same = grouped_rows(column, len(column))
        return *moves(numbers_of(self.clock.head(len(column)))[rows], same), int(same.sum())


def proofs_of(table: Table, clocks: Collection[str], numbers: Collection[str]) -> list[Proof]:
    """The clocks and counters of several sequences."""
    return _repeating(table, clocks) + _counting(table, numbers)


def _repeating(table: Table, clocks: Collection[str]) -> list[Proof]:
    """The clocks of several sequences: most of their times come again, or they turn back."""
    found = []
    for name in clocks:
        column = table.column(name)
        if column.dtype.is_temporal() or clock_rank(name) == 2:
            again = column.n_unique() <= len(column) / 2
            found.append(Proof(name, column, again, min(moves(numbers_of(column), np.ones(len(column) - 1, bool)))))
    return [proof for proof in found if proof.again or proof.turns]


def _counting(table: Table, names: Collection[str]) -> list[Proof]:
    """The counters of several sequences: they rise for some rows, and then turn back.

    One that has a number of its own for each row turns back several times, or it numbers rows that are sorted by
    something else. Of many the first few: each takes a look at all columns.
    """
    schema, found = table.schema, list[Proof]()
    for name in names:
        if not schema[name].is_integer() or names_calendar(name) or len(found) == MOST_COUNTERS:
            continue
        column = table.column(name)
        if _falls(column.head(SHOWING)) is None or (falls := _falls(column)) is None:
            continue
        own = len(falls) + 1 < FEW_VALUES and column.n_unique() == len(column)  # as rows that are sorted by a label
        if len(falls) and not own and not _are_of_a_calendar(numbers_of(column), falls):
            found.append(Proof(name, column, again=False, turns=len(falls)))
    return found


def _falls(column: pl.Series) -> Numbers | None:
    """The rows after which a counter turns back; None for numbers that do not rise for some rows each time.

    One that starts over at its first number may have sequences of one row.
    """
    values, over = numbers_of(column), starts_over(column)
    falls = np.flatnonzero(values[1:] <= values[:-1])
    again = not over and (values[1:] == values[:-1]).any()
    if column.null_count() or again or (2 if over else 3) * len(falls) > len(values):
        return None
    return falls


def starts_over(column: pl.Series) -> bool:
    """Whether whole numbers rise by one from row to row, to three of them and more, and fall to the first one alone."""
    values = numbers_of(column)
    over = values[1:] <= values[:-1]
    steps = np.where(over, values[1:] == values[0], np.diff(values) == 1)
    return column.dtype.is_integer() and bool(over.any() and steps.all() and values.max() > values[0] + 1)


def _are_of_a_calendar(values: Array, falls: Numbers) -> bool:
    """Whether most runs of numbers end near the greatest, which is how many parts a year, a month or the like has."""
    counts = values[falls] - values.min() + 1
    return counts.max() in PERIODS and bool(np.median(counts) >= 0.9 * counts.max())

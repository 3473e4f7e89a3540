"""What a column of ids shows by its name and its values: whether it tells sequences apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import polars as pl

from bothways.data.clocks import HEAD, grouped_rows, one_run_each
from bothways.data.proofs import Proof
from bothways.fields.kinds import TEXT
from bothways.fields.names import IDS, last_word, names_sequences, names_time
from bothways.fields.numbers import SHOWING, are_whole
from bothways.tables.table import Table

EVEN = 0.65  # values whose distances vary less, as a share of their mean, take turns; of drawn ones they vary by 1
FEW_WORDS = 5  # fewer different words are kinds of things, not their names


class Reason(NamedTuple):
    """Why a column tells sequences apart."""

    rank: int  # of `names_sequences`; 1 for a name that says nothing
    why: str
    proven: bool = False  # by a clock or counter


@dataclass(frozen=True)
class Candidate:
    """A column of text or whole numbers, of two rows a value on average, that looks as if it told sequences apart."""

    name: str
    column: pl.Series
    rank: int  # of `names_sequences`; 0 if it counts
    counts: bool  # whether it is called after a counter
    proofs: Sequence[Proof]  # those that may show it

    @classmethod
    def of(cls, table: Table, name: str, proofs: Sequence[Proof], *, counts: bool) -> Candidate | None:
        """What there is to say of a column, None if it is no candidate."""
        column = column_of_ids(table, name)
        if column is None:
            return None
        found = cls(name, column, 0 if counts else names_sequences(name), counts, () if names_time(name) else proofs)
        # What does not hold for the first rows does not hold for all.
        return found if found._looks_so(column.head(HEAD)) and 2 <= found.distinct <= len(column) // 2 else None

    def _looks_so(self, head: pl.Series) -> bool:
        proven = any(proof.tells_apart(head) for proof in self.proofs)
        return bool(self.rank) or proven or one_run_each(head) or _numbered(head) or _take_turns(self.name, head)

    @cached_property
    def ids(self) -> pl.Series:
        """The values that are there."""
        return self.column.drop_nulls()

    @cached_property
    def distinct(self) -> int:
        """The number of different values."""
        return self.ids.n_unique()

    @cached_property
    def runs(self) -> bool:
        """Whether all rows of each value stand together."""
        return one_run_each(self.ids)

    @cached_property
    def called_so(self) -> bool:
        """Whether it is called after what sequences belong to, and each value is one run, or they look like ids."""
        return self.rank >= 2 and (self.runs or _holds_digits(self.ids))

    @cached_property
    def has_few_words(self) -> bool:
        """Whether the values are few words without digits."""
        return isinstance(self.column.dtype, TEXT) and self.distinct < FEW_WORDS and not _holds_digits(self.ids)

    @cached_property
    def shown_by(self) -> list[Proof]:
        """The clocks and counters that show that it tells sequences apart."""
        return [proof for proof in self.proofs if proof.tells_apart(self.column)]

    def reason(self) -> Reason | None:
        """Why it tells sequences apart; None if it may only."""
        by_name = f"by its name and its {self.distinct:,} values"
        if self.called_so and not _is_flag(self.name, self.column):
            return Reason(self.rank, by_name)
        shown = (proof for proof in self.shown_by if self.rank or not proof.may_number_days(self.column))
        if (proof := next(shown, None)) and (self.rank or len(self.column) >= 3 * self.distinct):
            return Reason(max(self.rank, 1), proof.said_of(self.column), proven=True)
        return Reason(1, by_name) if self.rank == 1 and self.runs else None

    def may_tell_apart(self) -> bool:
        """Whether it is worth a question."""
        if self.counts:
            return False
        like_ids = len(self.column) >= 5 * self.distinct >= 25 and (self.runs or _numbered(self.column))
        return bool(self.rank or self.shown_by or like_ids or _take_turns(self.name, self.column))


def column_of_ids(table: Table, name: str) -> pl.Series | None:
    """A column of text or whole numbers, these without a point whatever their type; None if it is of anything else."""
    dtype = table.schema[name]
    if dtype.is_float():
        column = table.column(name)
        return column.cast(pl.Int64) if are_whole(column.head(SHOWING)) and are_whole(column) else None
    return table.column(name) if dtype.is_integer() or isinstance(dtype, TEXT) else None


def _holds_digits(column: pl.Series) -> bool:
    """Whether values are whole numbers, or most hold a digit."""
    return column.dtype.is_integer() or bool((column.unique().cast(pl.String).str.contains(r"\d").mean() or 0) > 0.5)  # type: ignore[operator]


def _is_flag(name: str, column: pl.Series) -> bool:
    """Whether all whole numbers are 0 or 1, and the column is called no id: `driver` may say whether one drove."""
    return column.dtype.is_integer() and last_word(name) not in IDS and column.is_in([0, 1]).all()


def _numbered(column: pl.Series) -> bool:
    """Whether the values are text that ends in a number and is else the same, as `P01` and `P02`."""
    if not isinstance(column.dtype, TEXT):
        return False
    names = column.unique().cast(pl.String).str.strip_chars_end("0123456789")
    return names.n_unique() == 1 and bool(names.len() > 1)


def _take_turns(name: str, column: pl.Series) -> bool:
    """Whether words come one after the other, in whatever order, and then all again, as devices report.

    So do whole numbers, of `FEW_WORDS` and more that come equally often; the floors of a lift and hours do not.
    """
    if names_time(name):
        return False
    counts, text = column.unique_counts(), isinstance(column.dtype, TEXT)
    if not (3 if text else FEW_WORDS) <= len(counts) <= len(column) / 5:
        return False
    if not text and counts.max() > 1.05 * counts.min() + 1:  # type: ignore[operator]
        return False
    rows, same = grouped_rows(column, len(column))
    gaps = np.diff(rows)[same]
    return bool(gaps.std() < EVEN * gaps.mean() and gaps.mean() > column.n_unique() / 2)

"""A table as sequences: rows grouped, sorted and turned into arrays; when steps are and how long they take."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from itertools import combinations
from typing import NamedTuple, cast

import numpy as np
import polars as pl

from bothways.data.clocks import FEW_STEPS, HEAD, changes, grouped_rows, names_by_file, time_of_day, two_columns
from bothways.data.columns import Columns, Remark
from bothways.data.encoding import Tally
from bothways.errors import DataError, counted, option
from bothways.fields.kinds import TEXT
from bothways.fields.names import clock_rank, names_calendar
from bothways.sequences import Array, Bools, Numbers, Sequences
from bothways.tables.table import Table

MOST_TRIED = 20  # columns of which any two may tell rows apart
MANY_TIES = 0.1  # where more of the rows stand at one place, another column may tell them apart
FILL = (
    " Write the name of the sequence in each row; or in its first one only, where all differ and the first row of the "
    "table has one: then they are filled downward."
)
MAX_STEPS = 1_000_000  # longer ones are cut: 32 units both ways take 64 numbers per step, training several times that


def read_sequences(table: Table, columns: Columns, tally: Tally | None = None) -> tuple[Sequences, list[str]]:
    """Group the rows of a table into sequences, sort their steps, and encode their features; labels are not read.

    Sequences are sorted by name, so that the order of the rows does not matter (unless it is all there is).

    Without a `tally`, the notices say what the encoding did not know. A missing name or place is refused, and so is a
    missing number that the encoding cannot fill.
    """
    bare, notices = group_rows(table, columns)
    met = tally or Tally()
    return encoded(table, columns, bare, met), [*notices, *([] if tally else met.notices())]


def encoded(table: Table, columns: Columns, sequences: Sequences, tally: Tally) -> Sequences:
    """Sequences of a table with their features."""
    encoding = columns.fitted
    return replace(sequences, values=encoding.encode(table, columns.order, sequences, tally), flags=encoding.flags)


def cut_long(sequences: Sequences, max_steps: int) -> tuple[Sequences, list[str]]:
    """Cut sequences of more than `max_steps` steps into pieces, and say so."""
    if not (long := int((sequences.lengths > max_steps).sum())):
        return sequences, []
    return sequences.cut_at(max_steps)[0], [long_notice(long, max_steps)]


def long_notice(count: int, max_steps: int) -> str:
    """What is said where sequences are cut for their length."""
    return (
        f"Careful: {counted(count, 'sequence is', 'sequences are')} longer than {max_steps:,} steps and cut into "
        "pieces of at most that length; each piece is read on its own."
    )


def group_rows(table: Table, columns: Columns) -> tuple[Sequences, list[str]]:
    """The rows of a table as sequences without features, sorted by name, and what the user should be told.

    Numbers at one place keep the order in which they stand; where the newest stand first, the reverse of it.
    """
    keys, notices = _keys(table, columns), list[str]()
    standing = keys.standing()
    if standing is not None:
        names = pl.Series(standing.ids)
        sequences = standing if names.is_sorted() else standing.take(names.arg_sort().to_numpy().astype(np.int64))
        return sequences, _tie_notices(table, columns, keys.ties(sequences), newest_first=False)
    sequences = keys.sorted()
    ties = keys.ties(sequences)
    anew, where = names_by_file(table, columns.sequence, [str(columns.order)]) if ties else None, "files"
    if ties and anew is None:
        anew, where = _named_by_part(table, keys, columns), f"parts of {columns.split!r}"
    if anew is not None:
        keys = keys._replace(names=anew)
        sequences, ties = keys.sorted(), 0
        again = f"Names in {columns.sequence!r} come again in other {where}"
        notices = [f"{table.source}: {again}, with the same {columns.order!r}: they are other sequences."]
    if newest_first := ties > 0 and keys.newest_first():
        sequences = keys.sorted(newest_first=True)
    notices += _tie_notices(table, columns, ties, newest_first)
    inner = sequences.positions[1:] > 0
    if columns.order is not None and (displaced := int((np.diff(sequences.table_rows) < 0)[inner].sum())):
        stand = f"{displaced:,} of {len(table):,} stand after a later one"
        said = f"{table.source}: the rows are not in the order of {columns.order!r} ({stand}); they are sorted."
        notices = [Remark(said), *notices]
        if (moment := keys.set_back()) is not None:
            keep = f", or keep the rows as they stand ({option('order', 'none')})" if columns.encoding is None else ""
            notices += [
                f"Careful: {table.source}: the times in {columns.order!r} go back within an hour after {moment}, as "
                "local time does where summer ends; sorted, rows of two hours are mixed. Write times in UTC or with "
                f"their offset{keep}."
            ]
    return sequences, notices


def group_as_they_stand(table: Table, columns: Columns) -> Sequences | None:
    """The rows as sequences in the order of the table; None if rows of one stand apart or not in their order."""
    return _keys(table, columns).standing()


class _Keys(NamedTuple):
    """The name of the sequence and the place in it of each of `steps` rows, as far as the table tells."""

    names: pl.Series | None
    places: pl.Series | None
    steps: int
    per: str

    def standing(self) -> Sequences | None:
        """The sequences as they stand in the table, if their rows stand together and in order."""
        new = self._begins(self.names)
        if self.places is not None and not (new[1:] | (self.places[1:] >= self.places[:-1]).to_numpy()).all():
            return None
        starts = np.flatnonzero(new)
        if self.names is not None and self.names.gather(starts).n_unique() < len(starts):
            return None
        return self._sequences(np.arange(self.steps), starts)

    def sorted(self, newest_first: bool = False) -> Sequences:
        """The rows sorted by sequence and order, equal ones as they stand or in reverse."""
        given = {str(i): column for i, column in enumerate((self.names, self.places)) if column is not None}
        frame = pl.DataFrame(given).with_row_index("row")
        frame = frame.sort([*given, "row"], descending=[False] * len(given) + [newest_first])
        rows = frame["row"].to_numpy().astype(np.int64)
        new = self._begins(None if self.names is None else self.names.gather(rows))
        return self._sequences(rows, np.flatnonzero(new))

    def ties(self, sequences: Sequences) -> int:
        """How many steps stand at the place of the one before them."""
        if self.places is None:
            return 0
        places = self.places.gather(sequences.table_rows)
        return int(((places[1:] == places[:-1]).to_numpy() & (sequences.positions[1:] > 0)).sum())

    def newest_first(self) -> bool:
        """Whether within every sequence the rows stand in reverse."""
        rows, same = grouped_rows(self.names, self.steps)
        places = cast("pl.Series", self.places).gather(rows)
        return bool(((places[1:] <= places[:-1]).to_numpy() | ~same).all())

    def set_back(self) -> datetime | None:
        """The last time before local time goes back, as where summer ends: at night, once a year; None if not."""
        if self.places is None or not isinstance(dtype := self.places.dtype, pl.Datetime) or dtype.time_zone:
            return None
        rows, same = grouped_rows(self.names, self.steps)
        places = self.places.gather(rows)
        back = pl.Series(same) & (places[1:] < places[:-1])
        last, then = places[:-1].filter(back), places[1:].filter(back)
        night = last.dt.hour().is_in([0, 1, 2]) & last.dt.month().is_in([3, 4, 10, 11])
        once = last.dt.date().n_unique() == last.dt.year().n_unique() and night.all()
        hour = (last - then).is_between(timedelta(minutes=30), timedelta(hours=1), closed="left")  # less is late
        return cast("datetime", last.min()) if once and hour.all() else None

    def _begins(self, names: pl.Series | None) -> Bools:
        """Which rows have another name than the row before."""
        return np.arange(self.steps) == 0 if names is None else np.append(True, changes(names).to_numpy())

    def _sequences(self, rows: Numbers, starts: Numbers) -> Sequences:
        """These rows as sequences that begin at `starts`, without features."""
        ids = ("",) if self.names is None else tuple(self.names.gather(rows[starts]).to_list())
        lengths = np.diff(np.append(starts, self.steps))
        return Sequences(np.empty((self.steps, 0), np.float32), lengths, per=self.per, ids=ids, rows=rows)


def _keys(table: Table, columns: Columns) -> _Keys:
    """What rows are sorted by; refuses missing values."""
    for name in (columns.sequence, columns.order):
        if name is None:
            continue
        table.require_keys(name)
        column = table.column(name)
        if count := column.null_count():
            row = int(column.is_null().arg_max() or 0)
            cure = " Fill such fields, or remove these rows." if name == columns.order else FILL
            raise DataError(f"{table.place(row)}, column {name!r} is empty. {counted(count, 'such row')}.{cure}")
    places = None if columns.order is None else table.column(columns.order)
    return _Keys(table.names_of_sequences(columns.sequence), places, len(table), columns.per)


def _named_by_part(table: Table, keys: _Keys, columns: Columns) -> pl.Series | None:
    """The names of sequences with their parts, if each part counts its sequences anew; None if not.

    Then no two rows of one sequence and part stand at one place, though rows of different parts do.
    """
    if keys.names is None or columns.split is None or columns.split not in table.names:
        return None
    frame = pl.DataFrame({"name": keys.names, "place": keys.places, "part": table.column(columns.split)})
    if frame.n_unique() < frame.height:
        return None
    return frame.select(pl.format("{} ({})", "name", pl.col("part").cast(pl.String).fill_null(""))).to_series()


def _tie_notices(table: Table, columns: Columns, ties: int, newest_first: bool) -> list[str]:
    """A word about steps at one place, and how to tell them apart, unless the columns are those of a model."""
    if not ties:
        return []
    rows = f"{counted(ties, 'row stands', 'rows stand')} at the same {columns.order!r} as the row before; such rows"
    said = f"{table.source}: {rows} {'are turned around, too' if newest_first else 'keep their order'}."
    if columns.encoding is not None:
        return [said]
    if (time := time_of_day(table, columns.order)) is not None:
        return [f"{said} {two_columns(str(columns.order), time)}."]
    ask = ""
    if columns.sequence is None:
        ask = f" Does a column tell sequences apart? Name it with {option('sequence')}."
    elif ties > MANY_TIES * len(table) and (others := told_apart_by(table, columns, str(columns.order))):
        each, both = ("does", "both") if len(others) == 1 else ("do", "all")
        names = " and ".join(map(repr, others))
        whole = option("sequence", ",".join([columns.sequence, *others]))
        ask = f" {each.capitalize()} {names} tell sequences apart, too? Then name {both}: {whole}."
        if len(others) == 1 and clock_rank(others[0]):
            whole = option("sequence", f"{columns.sequence},{columns.order}")
            ask = f" Does {names} count the steps of each {columns.order!r}? Then name both: {whole}."
    return [said + ask]


def told_apart_by(table: Table, columns: Columns, clock: str) -> tuple[str, ...]:
    """One or two columns with which no two rows of a sequence stand at one place of a clock; () if there are none.

    They are of text, true/false or whole numbers. Where places come twice on average, as they must for two columns, and
    for a clock that sorts nothing, the calendar alone does not count: it tells times of day apart.
    """
    known = [str(columns.sequence), clock]
    often = 2 * table.columns(known).n_unique() <= len(table)
    if not often and clock != columns.order:
        return ()
    others = [name for name in table.names if name not in {*known, columns.order, columns.label, columns.split}]
    kinds = (pl.Boolean, *TEXT)
    some = [name for name in others if table.schema[name].is_integer() or isinstance(table.schema[name], kinds)]
    for count, least in ((1, 2), (2, FEW_STEPS)) if often else ((1, 2),):
        for names in combinations(some[:MOST_TRIED] if count > 1 else some, count):
            heads = [table.column(name).head(HEAD).alias(name) for name in (*known, *names)]
            if pl.DataFrame(heads).n_unique() < len(heads[0]):
                continue
            whole = table.columns([*known, *names])
            if whole.n_unique() == len(table) >= least * whole.drop(clock).n_unique():
                return () if often and all(map(names_calendar, names)) else names
    return ()


def times(table: Table, columns: Columns, sequences: Sequences) -> Array | None:
    """`(steps,)` the time of each step as datetime64; None if the order column tells no times.

    Times of day and durations count from 1970; times with a zone are in UTC.
    """
    if columns.order is None or not table.schema[columns.order].is_temporal():
        return None
    column = table.column(columns.order).gather(sequences.table_rows)
    if isinstance(column.dtype, pl.Duration):
        column = column.cast(pl.Duration("us")).cast(pl.Int64)
    elif column.dtype == pl.Time:
        column = column.cast(pl.Int64) // 1000
    return column.cast(pl.Datetime("us")).to_numpy()


def hours(table: Table, columns: Columns, sequences: Sequences) -> float | None:
    """How many hours the sequences take together; None if the order column tells no times.

    The last step of a sequence is taken to be as long as its other steps are in the median.
    """
    at = times(table, columns, sequences)
    inside = np.diff(sequences.sequence_of_steps) == 0
    if at is None or not inside.any():
        return None
    gaps = np.diff(at)[inside] / np.timedelta64(1, "h")
    total = float(gaps.sum() + len(sequences) * np.median(gaps))
    return total if total > 0 else None

"""A table as sequences: rows grouped, sorted and turned into arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from bothways.data.columns import Columns
from bothways.data.encoding import Tally
from bothways.data.tables import Table
from bothways.errors import DataError, counted, option

Array = npt.NDArray[Any]
Rows = npt.NDArray[np.int64]

NO_LABEL = -1
"""The code of a step that has no label."""

MAX_STEPS = 1_000_000
"""Longer sequences are cut: 32 units both ways take 64 numbers a step, and training several times as many."""


@dataclass(frozen=True, eq=False)
class Sequences:
    """Sequences, one after the other.

    Attributes:
        features: `(steps, features)` float32, all finite; codes of categories in the last columns.
        offsets: `(sequences + 1,)`; sequence `i` is the steps from `offsets[i]` up to `offsets[i + 1]`.
        rows: `(steps,)` for each step, the number of its row in the table, from 0.
        ids: for each sequence what the table calls it; the numbers of the rows do not matter to it.
        labels: `(steps,)` int64, the codes of the classes, -1 for a step without a label; None if they were not read.
        per: what has a label, "step" or "sequence".
        notices: what the user should be told.
    """

    features: npt.NDArray[np.float32]
    offsets: Rows
    rows: Rows
    ids: tuple[Any, ...]
    labels: Rows | None = None
    per: str = "step"
    notices: tuple[str, ...] = ()

    def __len__(self) -> int:
        """The number of sequences."""
        return len(self.offsets) - 1

    @property
    def steps(self) -> int:
        """The number of steps of all sequences together."""
        return len(self.rows)

    @property
    def lengths(self) -> Rows:
        """The number of steps of each sequence."""
        return np.diff(self.offsets)

    @property
    def sequence_of_steps(self) -> Rows:
        """For each step the number of its sequence, from 0."""
        return np.repeat(np.arange(len(self)), self.lengths)

    def inputs(self) -> list[npt.NDArray[np.float32]]:
        """For each sequence its features `(time, features)`; views, not copies."""
        return np.split(self.features, self.offsets[1:-1])

    def codes(self) -> Rows:
        """The codes of all labels: `(steps,)`, or `(sequences,)` where a sequence has one; -1 where there is none.

        Raises:
            DataError: the labels were not read.
        """
        if self.labels is None:
            raise DataError("These sequences were read without their labels.")
        if self.per == "sequence":
            return np.maximum.reduceat(self.labels, self.offsets[:-1]) if len(self) else self.labels
        return self.labels

    def targets(self) -> list[Rows] | Rows:
        """For each sequence its codes `(time,)`, views; where a sequence has one label, `(sequences,)` codes.

        Raises:
            DataError: the labels were not read.
        """
        codes = self.codes()
        return codes if self.per == "sequence" else np.split(codes, self.offsets[1:-1])

    def keep(self, chosen: npt.NDArray[np.bool_]) -> Sequences:
        """The sequences for which `chosen (sequences,)` is true."""
        return self._taken(np.flatnonzero(np.repeat(chosen, self.lengths)), self.lengths[chosen], chosen.nonzero()[0])

    def cut(self, pieces: Rows) -> tuple[Sequences, Rows]:
        """Cut sequences so that the steps of each have one number in `pieces (steps,)`.

        Steps of equal number in one sequence are joined, wherever in it they stand.

        Returns:
            The shorter sequences, and the number of each.
        """
        numbers = self.sequence_of_steps
        steps = np.lexsort((pieces, numbers))
        numbers, pieces = numbers[steps], pieces[steps]
        starts = np.flatnonzero((np.diff(numbers, prepend=-1) != 0) | (np.diff(pieces, prepend=-1) != 0))
        return self._taken(steps, np.diff(np.append(starts, len(steps))), numbers[starts]), pieces[starts]

    def by_row(self, values: Array) -> Array:
        """Values `(steps, ...)`, of all steps of a table, in the order of its rows.

        Where a sequence has one label, values `(sequences, ...)` are given to each of its rows.
        """
        if self.per == "sequence":
            values = np.repeat(values, self.lengths, axis=0)
        if _straight(self.rows):
            return values
        ordered = np.empty_like(values)
        ordered[self.rows] = values
        return ordered

    def _taken(self, steps: Rows, lengths: Rows, sequences: Rows) -> Sequences:
        return replace(
            self,
            features=self.features[steps],
            offsets=np.concatenate([[0], np.cumsum(lengths)]),
            rows=self.rows[steps],
            ids=tuple(self.ids[number] for number in sequences.tolist()),
            labels=None if self.labels is None else self.labels[steps],
        )


@dataclass(frozen=True, eq=False)
class Grouping:
    """The rows of a table as sequences.

    Attributes:
        rows: `(steps,)` the numbers of the rows, sequence after sequence, in order.
        offsets: `(sequences + 1,)` where they begin and end in `rows`.
        ids: for each sequence what the table calls it.
        notices: what the user should be told.
    """

    rows: Rows
    offsets: Rows
    ids: tuple[Any, ...]
    notices: tuple[str, ...] = ()


def read_sequences(
    table: Table,
    columns: Columns,
    *,
    classes: Sequence[Any] | None = None,
    max_steps: int = MAX_STEPS,
    tally: Tally | None = None,
) -> Sequences:
    """Group the rows of a table into sequences, sort their steps, and turn them into arrays.

    Sequences come sorted by name, so that the order of the rows does not matter (unless it is all there is).

    Args:
        table: the table.
        columns: the parts of its columns, with the encoding.
        classes: the labels in the order of their codes; None leaves labels unread.
        max_steps: longer sequences are cut into pieces of at most so many steps.
        tally: counts what the encoding did not know; if None, `notices` says it.

    Raises:
        DataError: names the row and column of a number that is missing or not finite, of a missing name or place in
            the order, of two steps at one place, or of a label that is not in `classes`.

    Example:
        >>> frame = pl.DataFrame({"flow": ["b", "a", "a"], "at": [0, 1, 0], "bytes": [5.0, 7.0, 9.0]})
        >>> columns = Columns(label="attack", features=("bytes",), sequence="flow", order="at")
        >>> sequences = read_sequences(Table("flows.csv", frame), columns)
        >>> sequences.ids, sequences.features[:, 0], sequences.offsets
        (('a', 'b'), array([9., 7., 5.], dtype=float32), array([0, 2, 3]))
    """
    grouping = group_rows(table, columns)
    counted = Tally() if tally is None else tally
    labels, said = None, []
    if classes is not None:
        values = label_values(table, columns.label)
        labels = label_codes(table, columns, values, classes)[grouping.rows]
        said = masked_notices(columns, labels)
        if columns.per == "sequence":
            check_one_label_each(table, columns, grouping, labels, classes)
    features = columns.fitted.encode(table, columns.order, grouping.rows, grouping.offsets, counted)
    notices = [*grouping.notices, *said, *(counted.notices() if tally is None else ())]
    whole = Sequences(
        features, grouping.offsets, grouping.rows, grouping.ids, labels, columns.per, notices=tuple(notices)
    )
    return cut_long(whole, max_steps)


def cut_long(sequences: Sequences, max_steps: int) -> Sequences:
    """Cut sequences of more than `max_steps` steps into pieces, and say so."""
    long = sequences.lengths > max_steps
    if not long.any():
        return sequences
    places = np.arange(sequences.steps) - np.repeat(sequences.offsets[:-1], sequences.lengths)
    shorter, _ = sequences.cut(places // max_steps)
    return replace(shorter, notices=(*sequences.notices, long_notice(int(long.sum()), max_steps)))


def long_notice(count: int, max_steps: int) -> str:
    """What is said where sequences are cut for their length."""
    are = "1 sequence is" if count == 1 else f"{count:,} sequences are"
    return (
        f"Careful: {are} longer than {max_steps:,} steps and cut into pieces of so many; what stands beyond a cut does "
        "not reach across it."
    )


def group_rows(table: Table, columns: Columns) -> Grouping:
    """The rows of a table, sequence after sequence in order.

    Rows at one place keep the order in which they stand; where the newest stand first, the reverse of it.

    Raises:
        DataError: a missing name or place in the order.
    """
    keys = _keys(table, columns)
    count = len(table)
    grouping = _standing(keys, columns, count)
    if grouping is not None:
        grouping = _by_name(grouping)
        return replace(grouping, notices=_tie_notices(table, columns, _ties(keys, columns, grouping)))
    grouping = _sorted(keys, columns, count)
    ties = _ties(keys, columns, grouping)
    if ties and _newest_first(keys, columns, count):
        grouping = _sorted(keys, columns, count, newest_first=True)
    notices = _tie_notices(table, columns, ties)
    inner = np.ones(count, bool)
    inner[grouping.offsets[:-1]] = False
    if columns.order is not None and (displaced := int((np.diff(grouping.rows) < 0)[inner[1:]].sum())):
        notices = (
            f"{table.source}: the rows are not in the order of {columns.order!r} ({displaced:,} of {count:,} stand "
            "after a later one); they are sorted.",
            *notices,
        )
    return replace(grouping, notices=notices)


def group_as_they_stand(table: Table, columns: Columns) -> Grouping | None:
    """The rows as sequences in the order of the table; None if rows of one stand apart or not in their order.

    Raises:
        DataError: a missing name or place in the order.
    """
    return _standing(_keys(table, columns), columns, len(table))


def _keys(table: Table, columns: Columns) -> dict[str, pl.Series]:
    """The sequence column and the order column, as far as there are such; refuses missing values."""
    keys = {name: table.column(name) for name in (columns.sequence, columns.order) if name is not None}
    for name, column in keys.items():
        missing = column.is_null() | (column.is_nan() if column.dtype.is_float() else False)
        if missing.any():
            row = int(missing.arg_max() or 0)
            raise DataError(f"{table.place(row)}, column {name!r} is empty. {missing.sum()} such rows.")
        if column.dtype.is_nested() or column.dtype == pl.Object:
            raise DataError(
                f"{table.source}: the column {name!r} is of type {column.dtype}; rows cannot be sorted by it."
            )
    return keys


def _standing(keys: dict[str, pl.Series], columns: Columns, count: int) -> Grouping | None:
    """The sequences as they stand in the table, if their rows stand together and in order."""
    new = np.zeros(count, bool)
    new[0] = True
    if columns.sequence is not None:
        names = keys[columns.sequence]
        new[1:] = (names[1:] != names[:-1]).to_numpy()
    if columns.order is not None:
        places = keys[columns.order]
        if not (new[1:] | (places[1:] >= places[:-1]).to_numpy()).all():
            return None
    starts = np.flatnonzero(new)
    if columns.sequence is not None and keys[columns.sequence].gather(starts).n_unique() < len(starts):
        return None
    return Grouping(np.arange(count), np.append(starts, count), _ids(keys, columns, starts))


def _ids(keys: dict[str, pl.Series], columns: Columns, starts: Rows) -> tuple[Any, ...]:
    return ("",) if columns.sequence is None else tuple(keys[columns.sequence].gather(starts).to_list())


def _by_name(grouping: Grouping) -> Grouping:
    """The same, the sequences sorted by name."""
    order = pl.Series(grouping.ids).arg_sort().to_numpy().astype(np.int64)
    if (np.diff(order) == 1).all():
        return grouping
    lengths = np.diff(grouping.offsets)[order]
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    rows = np.arange(len(grouping.rows)) + np.repeat(grouping.offsets[order] - offsets[:-1], lengths)
    return Grouping(rows, offsets, tuple(grouping.ids[number] for number in order.tolist()), grouping.notices)


def _straight(rows: Rows) -> bool:
    """Whether rows are numbered 0, 1, 2 and so on."""
    return len(rows) == 0 or (rows[0] == 0 and rows[-1] == len(rows) - 1 and bool((rows[1:] > rows[:-1]).all()))


def _sorted(keys: dict[str, pl.Series], columns: Columns, count: int, newest_first: bool = False) -> Grouping:
    """The rows sorted by sequence and order, equal ones as they stand or in reverse."""
    frame = pl.DataFrame([column.alias(str(i)) for i, column in enumerate(keys.values())]).with_row_index("row")
    frame = frame.sort([*frame.columns[1:], "row"], descending=[False] * len(keys) + [newest_first])
    rows = frame["row"].to_numpy().astype(np.int64)
    new = np.zeros(count, bool)
    new[0] = True
    if columns.sequence is not None:
        names = keys[columns.sequence].gather(rows)
        new[1:] = (names[1:] != names[:-1]).to_numpy()
    offsets = np.append(np.flatnonzero(new), count)
    return Grouping(rows, offsets, _ids(keys, columns, rows[offsets[:-1]]))


def _ties(keys: dict[str, pl.Series], columns: Columns, grouping: Grouping) -> int:
    """How many steps stand at the place of the one before them."""
    if columns.order is None:
        return 0
    places = keys[columns.order].gather(grouping.rows)
    same = (places[1:] == places[:-1]).to_numpy().copy()
    same[grouping.offsets[1:-1] - 1] = False
    return int(same.sum())


def _newest_first(keys: dict[str, pl.Series], columns: Columns, count: int) -> bool:
    """Whether within every sequence the rows stand in reverse."""
    names = {name: column for name, column in keys.items() if name == columns.sequence}
    grouping = _sorted(names, columns, count) if names else Grouping(np.arange(count), np.array([0, count]), ("",))
    places = keys[str(columns.order)].gather(grouping.rows)
    falls = (places[1:] <= places[:-1]).to_numpy().copy()
    falls[grouping.offsets[1:-1] - 1] = True
    return bool(falls.all())


def _tie_notices(table: Table, columns: Columns, ties: int) -> tuple[str, ...]:
    """A word about steps at one place."""
    if not ties:
        return ()
    ask = f" Does a column tell sequences apart? Name it with {option('sequence')}."
    rows = f"{counted(ties, 'row stands', 'rows stand')} at the same {columns.order!r} as the row before"
    return (f"{table.source}: {rows}; such rows keep their order.{'' if columns.sequence else ask}",)


def label_values(table: Table, name: str) -> pl.Series:
    """The labels `(rows,)` in the order of the table: whole numbers, text or true/false, null where there is none.

    Raises:
        DataError: labels of another type, or none at all.

    Example:
        >>> label_values(Table("flows.csv", pl.DataFrame({"attack": [0.0, 1.0, None]})), "attack").to_list()
        [0, 1, None]
    """
    column = table.column(name)
    if column.dtype.is_float():
        column = column.fill_nan(None)
    if column.null_count() == len(column):
        raise DataError(f"{table.source}: the label {name!r} is empty in every row.")
    if column.dtype.is_float() and bool((column.drop_nulls() == column.drop_nulls().round()).all()):
        column = column.cast(pl.Int64)
    if column.dtype.is_integer():
        return column.cast(pl.Int64)
    if column.dtype in (pl.Boolean, pl.String):
        return column
    raise DataError(
        f"{table.source}: the label {name!r} is of type {column.dtype}; labels are whole numbers, text or true/false."
    )


def label_codes(table: Table, columns: Columns, values: pl.Series, classes: Sequence[Any]) -> Rows:
    """The codes of labels, as `label_values` gives them; -1 where there is none.

    Raises:
        DataError: labels that are not in `classes`.
    """
    kind = type(classes[0])
    if kind is str and values.dtype == pl.Int64:
        values = values.cast(pl.String)
    known = pl.Series(list(classes))
    if known.dtype == values.dtype:
        codes = values.replace_strict(known, pl.Series(range(len(known)), dtype=pl.Int64), default=None)
    else:
        codes = pl.Series([None], dtype=pl.Int64).new_from_index(0, len(values))
    unknown = codes.is_null() & values.is_not_null()
    if unknown.any():
        strange = values.filter(unknown).unique().to_list()
        raise DataError(
            f"{table.source}: there are labels in {columns.label!r} that the model never saw: {listed(strange)}."
        )
    return codes.fill_null(NO_LABEL).to_numpy()


def check_one_label_each(
    table: Table, columns: Columns, grouping: Grouping, labels: Rows, classes: Sequence[Any]
) -> None:
    """Refuse a sequence with two labels; steps without one do not matter.

    Raises:
        DataError: names the first such sequence and two of its labels.
    """
    highest = np.maximum.reduceat(labels, grouping.offsets[:-1])
    lowest = np.minimum.reduceat(np.where(labels == NO_LABEL, len(classes), labels), grouping.offsets[:-1])
    wrong = np.flatnonzero((lowest < highest) & (highest != NO_LABEL))
    if len(wrong):
        at = int(wrong[0])
        pair = listed([classes[int(lowest[at])], classes[int(highest[at])]])
        raise DataError(
            f"{table.source}: sequence {grouping.ids[at]!r} has two labels in {columns.label!r}: {pair}. Give each "
            f"sequence one, or learn one per step with {option('per', 'step')}. Such sequences: {len(wrong):,} of "
            f"{len(grouping.ids):,}."
        )


def masked_notices(columns: Columns, labels: Rows) -> list[str]:
    """A word about steps without a label."""
    missing = int((labels == NO_LABEL).sum())
    if not missing:
        return []
    steps = "1 step has" if missing == 1 else f"{missing:,} steps have"
    return [f"{steps} no label in {columns.label!r}: read as input, left out of training and scores."]


def listed(labels: Sequence[object]) -> str:
    """Labels in a message, at most ten."""
    shown = sorted(repr(label) for label in labels)
    return ", ".join(shown[:10]) + (f" and {len(shown) - 10} more" if len(shown) > 10 else "")

"""A table as sequences: rows grouped, sorted and turned into arrays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from bothways.data.columns import ROW, Columns
from bothways.data.tables import Table
from bothways.errors import DataError

Array = npt.NDArray[Any]


@dataclass(frozen=True, eq=False)
class Sequences:
    """Sequences, one after the other.

    Attributes:
        features: `(steps, features)` float32, all finite.
        offsets: `(sequences + 1,)`; sequence `i` is the steps from `offsets[i]` up to `offsets[i + 1]`.
        rows: `(steps,)` for each step, the number of its row in the table, from 0.
        ids: for each sequence what the table calls it; the numbers of the rows do not matter to it.
        labels: `(steps,)` int64, bool or object (text); None if they were not asked for.
    """

    features: npt.NDArray[np.float32]
    offsets: npt.NDArray[np.int64]
    rows: npt.NDArray[np.int64]
    ids: tuple[Any, ...]
    labels: Array | None = None

    def __len__(self) -> int:
        """The number of sequences."""
        return len(self.offsets) - 1

    @property
    def steps(self) -> int:
        """The number of steps of all sequences together."""
        return len(self.rows)

    @property
    def lengths(self) -> npt.NDArray[np.int64]:
        """The number of steps of each sequence."""
        return np.diff(self.offsets)

    @property
    def sequence_of_steps(self) -> npt.NDArray[np.int64]:
        """For each step the number of its sequence, from 0."""
        return np.repeat(np.arange(len(self)), self.lengths)

    def inputs(self) -> list[npt.NDArray[np.float32]]:
        """For each sequence its features `(time, features)`; views, not copies."""
        return np.split(self.features, self.offsets[1:-1])

    def targets(self) -> list[Array]:
        """For each sequence its labels `(time,)`; views, not copies.

        Raises:
            DataError: the labels were not read.
        """
        if self.labels is None:
            raise DataError("These sequences were read without their labels.")
        return np.split(self.labels, self.offsets[1:-1])

    def keep(self, chosen: npt.NDArray[np.bool_]) -> Sequences:
        """The sequences for which `chosen (sequences,)` is true."""
        steps = np.repeat(chosen, self.lengths)
        return Sequences(
            self.features[steps],
            np.concatenate([[0], np.cumsum(self.lengths[chosen])]),
            self.rows[steps],
            tuple(name for name, kept in zip(self.ids, chosen.tolist(), strict=True) if kept),
            None if self.labels is None else self.labels[steps],
        )

    def cut(self, pieces: npt.NDArray[np.int64]) -> tuple[Sequences, npt.NDArray[np.int64]]:
        """Cut sequences so that the steps of each have one number in `pieces (steps,)`.

        Steps of equal number in one sequence are joined, wherever in it they stand.

        Returns:
            The shorter sequences, and the number of each.
        """
        numbers = self.sequence_of_steps
        steps = np.lexsort((pieces, numbers))
        numbers, pieces = numbers[steps], pieces[steps]
        starts = np.flatnonzero((np.diff(numbers, prepend=-1) != 0) | (np.diff(pieces, prepend=-1) != 0))
        shorter = Sequences(
            self.features[steps],
            np.append(starts, self.steps),
            self.rows[steps],
            tuple(self.ids[number] for number in numbers[starts].tolist()),
            None if self.labels is None else self.labels[steps],
        )
        return shorter, pieces[starts]

    def by_row(self, values: Array) -> Array:
        """Values `(steps, ...)`, of all steps of a table, in the order of its rows."""
        ordered = np.empty_like(values)
        ordered[self.rows] = values
        return ordered


def read_sequences(table: Table, columns: Columns, *, labels: bool) -> Sequences:
    """Group the rows of a table into sequences, sort their steps, and turn them into arrays.

    Sequences come sorted by name, so that the order of the rows does not matter (unless it is all there is).

    Args:
        table: the table.
        columns: the parts of its columns.
        labels: whether to read the labels.

    Raises:
        DataError: names the row and column of a feature that is missing or not finite, of a missing label, name or
            place in the order, or of two steps at one place.

    Example:
        >>> frame = pl.DataFrame({"flow": ["b", "a", "a"], "at": [0, 1, 0], "bytes": [5.0, 7.0, 9.0]})
        >>> columns = Columns(label="attack", features=("bytes",), sequence="flow", order="at")
        >>> sequences = read_sequences(Table("flows.csv", frame), columns, labels=False)
        >>> sequences.ids, sequences.features[:, 0], sequences.offsets
        (('a', 'b'), array([9., 7., 5.], dtype=float32), array([0, 2, 3]))
    """
    features = _features(table, columns)
    values = _labels(table, columns.label) if labels else None
    rows, offsets = _grouped(table, columns)
    ids: tuple[Any, ...] = ("",)
    if columns.sequence is not None:
        ids = tuple(table.column(columns.sequence).gather(rows[offsets[:-1]]).to_list())
    return Sequences(features[rows], offsets, rows, ids, None if values is None else values[rows])


def _grouped(table: Table, columns: Columns) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The rows, sequence after sequence in order, and the offsets of the sequences."""
    keys = {name: table.column(name) for name in (columns.sequence, columns.order) if name is not None}
    for name, column in keys.items():
        missing = column.is_null() | (column.is_nan() if column.dtype.is_float() else False)
        if missing.any():
            row = int(missing.arg_max() or 0)
            raise DataError(
                f"{table.source}: {ROW.format(row + 1)}, column {name!r} is empty. {missing.sum()} such rows."
            )
        if column.dtype.is_nested() or column.dtype == pl.Object:
            raise DataError(
                f"{table.source}: the column {name!r} is of type {column.dtype}; rows cannot be sorted by it."
            )
    rows = np.arange(len(table))
    if keys:
        sortable = pl.DataFrame([column.alias(str(i)) for i, column in enumerate(keys.values())])
        rows = sortable.with_row_index("row").sort(pl.exclude("row"), "row")["row"].to_numpy().astype(np.int64)
    new = np.zeros(len(rows), bool)
    new[0] = True
    if columns.sequence is not None:
        new[1:] = _differs(keys[columns.sequence], rows)
    if columns.order is not None:
        _check_places(table, columns, rows, ~(new[1:] | _differs(keys[columns.order], rows)))
    return rows, np.append(np.flatnonzero(new), len(rows))


def _differs(column: pl.Series, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """Whether each value but the first differs from the one before it."""
    ordered = column.gather(rows)
    return (ordered[1:] != ordered[:-1]).to_numpy()


def _check_places(table: Table, columns: Columns, rows: npt.NDArray[np.int64], same: npt.NDArray[np.bool_]) -> None:
    if not same.any():
        return
    at = int(same.argmax())
    first, second = int(rows[at]), int(rows[at + 1])
    place = f"{columns.order} = {table.column(str(columns.order))[first]}"
    if columns.sequence is not None:
        place = f"{columns.sequence} = {table.column(columns.sequence)[first]!r}, {place}"
    cure = "" if columns.sequence is not None else " Does a column tell sequences apart? Name it with --sequence."
    raise DataError(f"{table.source}: rows {first + 1} and {second + 1} stand at one place: {place}.{cure}")


def _features(table: Table, columns: Columns) -> npt.NDArray[np.float32]:
    """`(rows, features)` in the order of the table."""
    numbers = [table.column(name).cast(pl.Float32, strict=False).fill_null(float("nan")) for name in columns.features]
    values = np.stack([column.to_numpy() for column in numbers], axis=1)
    if (wrong := ~np.isfinite(values)).any():
        row, k = (int(i) for i in np.argwhere(wrong)[0])
        name = columns.features[k]
        value = table.column(name)[row]
        said = "is empty" if value is None else f"is {value}, which is no finite float32 number"
        raise DataError(
            f"{table.source}: {ROW.format(row + 1)}, column {name!r} {said}. Such rows: "
            f"{int(wrong.any(axis=1).sum())}. Fill them, remove these rows, or train with --drop {name}."
        )
    return values


def _labels(table: Table, name: str) -> Array:
    """`(rows,)` in the order of the table."""
    column = table.column(name)
    whole = column.dtype.is_float() and bool((column.drop_nulls() == column.drop_nulls().round()).all())
    if column.dtype.is_float():
        column = column.fill_nan(None)
    if column.null_count():
        row = int(column.is_null().arg_max() or 0)
        raise DataError(
            f"{table.source}: {ROW.format(row + 1)}, the label {name!r} is empty. {column.null_count()} rows have no "
            "label: fill them, or leave these rows out."
        )
    if column.dtype == pl.Boolean:
        return column.to_numpy()
    if column.dtype.is_integer() or whole:
        return column.cast(pl.Int64).to_numpy()
    if column.dtype == pl.String:
        return column.to_numpy().astype(object)
    raise DataError(
        f"{table.source}: the label {name!r} is of type {column.dtype}; labels are whole numbers, text or true/false."
    )

"""When steps are and how long sequences take, where the table tells the time."""

from __future__ import annotations

import numpy as np
import polars as pl

from bothways.data.columns import Columns
from bothways.data.tables import Table
from bothways.sequences import Array, Sequences


def times(table: Table, columns: Columns, sequences: Sequences) -> Array | None:
    """`(steps,)` the time of each step as datetime64; None if the order column tells no times.

    Times of day and durations count from 1970.

    Example:
        >>> from datetime import time
        >>> frame = pl.DataFrame({"at": [time(6, 30), time(7)], "x": [1.0, 2.0]})
        >>> sequences = Sequences(np.zeros((2, 1), np.float32), np.array([2]), rows=np.arange(2))
        >>> times(Table("some.csv", frame), Columns("label", ("x",), order="at"), sequences)
        array(['1970-01-01T06:30:00.000000', '1970-01-01T07:00:00.000000'],
              dtype='datetime64[us]')
    """
    if columns.order is None or not table.schema[columns.order].is_temporal():
        return None
    column = table.column(columns.order).gather(sequences.table_rows)
    if isinstance(column.dtype, pl.Datetime):
        column = column.dt.replace_time_zone(None)
    elif isinstance(column.dtype, pl.Duration):
        column = column.cast(pl.Duration("us")).cast(pl.Int64)
    elif column.dtype == pl.Time:
        column = column.cast(pl.Int64) // 1000
    return column.cast(pl.Datetime("us")).to_numpy()


def hours(table: Table, columns: Columns, sequences: Sequences) -> float | None:
    """How many hours the sequences take together; None if the order column tells no times.

    The last step of a sequence is taken to be as long as its other steps are in the median.

    Example:
        >>> from datetime import datetime
        >>> frame = pl.DataFrame({"at": [datetime(2024, 1, 1, hour) for hour in range(4)], "x": [1.0, 2.0, 3.0, 4.0]})
        >>> sequences = Sequences(np.zeros((4, 1), np.float32), np.array([4]), rows=np.arange(4))
        >>> hours(Table("some.csv", frame), Columns("label", ("x",), order="at"), sequences)
        4.0
    """
    at = times(table, columns, sequences)
    inside = np.diff(sequences.sequence_of_steps) == 0
    if at is None or not inside.any():
        return None
    gaps = np.diff(at)[inside] / np.timedelta64(1, "h")
    total = float(gaps.sum() + len(sequences) * np.median(gaps))
    return total if total > 0 else None

"""How long sequences take, where the table tells the time."""

from __future__ import annotations

import numpy as np

from bothways.data.columns import Columns
from bothways.data.tables import Table
from bothways.sequences import Sequences


def hours(table: Table, columns: Columns, sequences: Sequences) -> float | None:
    """How many hours the sequences take together; None if the order column tells no times.

    The last step of a sequence is taken to be as long as its other steps are in the median.

    Args:
        table: the table.
        columns: its columns.
        sequences: some of its sequences.

    Example:
        >>> from datetime import datetime
        >>> import polars as pl
        >>> frame = pl.DataFrame({"at": [datetime(2024, 1, 1, hour) for hour in range(4)], "x": [1.0, 2.0, 3.0, 4.0]})
        >>> sequences = Sequences(np.zeros((4, 1), np.float32), np.array([4]), rows=np.arange(4))
        >>> hours(Table("some.csv", frame), Columns("label", ("x",), order="at"), sequences)
        4.0
    """
    if columns.order is None or not table.schema[columns.order].is_temporal():
        return None
    seconds = table.column(columns.order).gather(sequences.table_rows).dt.epoch("us").to_numpy() / 1e6
    gaps = np.diff(seconds)
    inside = np.diff(sequences.sequence_of_steps) == 0
    if not inside.any():
        return None
    return float((gaps[inside].sum() + len(sequences) * np.median(gaps[inside])) / 3600)

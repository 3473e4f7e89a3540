"""Data frames in memory, of Polars, pandas or anything like them, as tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import polars as pl

from bothways.data.tables import Table
from bothways.errors import DataError


def is_frame(value: Any) -> bool:
    """Whether something is a data frame: it has columns with a type each."""
    return isinstance(value, (pl.DataFrame, pl.LazyFrame)) or (hasattr(value, "columns") and hasattr(value, "dtypes"))


def frame_table(name: str, frame: Any) -> Table:
    """A data frame as a table, which messages call `name`; what is missing in pandas's ways is missing in it."""
    if isinstance(frame, pl.LazyFrame):
        frame = frame.collect()
    if not isinstance(frame, pl.DataFrame):
        names = [str(column) for column in frame.columns]
        if len(set(names)) < len(names):
            twice = next(column for column in names if names.count(column) > 1)
            raise DataError(f"{name}: there are two columns {twice!r}. Rename one.")
        columns = zip(names, frame.columns, strict=True)
        frame = pl.DataFrame([_series(name, own, frame[column]) for own, column in columns])
    if frame.height == 0 or frame.width == 0:
        raise DataError(f"{name}: this data frame has no rows.")
    return Table(name, frame)


def with_column(table: Table, name: str, values: Sequence[Any]) -> Table:
    """A table with one more column."""
    return Table(table.source, table.frame().with_columns(pl.Series(name, values)))


def _series(name: str, own: str, column: Any) -> pl.Series:
    # pandas itself need not be there, nor Arrow, which Polars would need to read its frames.
    values = column.to_numpy()
    try:
        if values.dtype == object:
            return pl.Series(own, [None if _missing(value) else value for value in values], strict=True)
        return pl.Series(own, values, nan_to_null=True)
    except (TypeError, ValueError, pl.exceptions.PolarsError):
        kinds = ", ".join(sorted({type(value).__name__ for value in values if not _missing(value)}))
        raise DataError(
            f"{name}: the column {own!r} holds values of the types {kinds}; they must be all of one kind. "
            "Convert them, or leave the column out."
        ) from None


def _missing(value: Any) -> bool:
    if isinstance(value, float):
        return value != value
    return value is None or type(value).__name__ in ("NAType", "NaTType")

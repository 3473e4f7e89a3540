"""JSON Lines: an object a line, a key a column."""

from __future__ import annotations

import io
from collections.abc import Collection, Iterator
from pathlib import Path

import polars as pl

from bothways.data.cells import LaterRowsDifferError, dates_of
from bothways.errors import DataError

BYTES = 2**24
"""So many bytes of lines are read at a time."""


def read(path: Path, text: Collection[str] = ()) -> pl.LazyFrame:
    """The values of a file of JSON objects; a key that a line does not have is null there.

    Args:
        path: the file.
        text: columns that are text even where every value is a number.

    Raises:
        DataError: a line is no JSON object, or a key holds values of different kinds.
        OSError: the file cannot be read.
    """
    frame = _parse(path, path.read_bytes(), None)
    return typed(frame, text).lazy()


def typed(frame: pl.DataFrame, text: Collection[str] = ()) -> pl.DataFrame:
    """The frame with text that is dates as dates; the columns in `text` as text.

    Example:
        >>> typed(pl.DataFrame({"at": ["2024-01-02"], "port": [80]}), text=["port"]).dtypes
        [Datetime(time_unit='us', time_zone=None), String]
    """
    return frame.select(
        (column.cast(pl.String) if column.name in text else dates_of(column) if column.dtype == pl.String else column)
        for column in frame
    )


def batches(path: Path, rows: int) -> Iterator[pl.DataFrame]:
    """The rows of the file from the first to the last, about `rows` at a time.

    The columns and their types are those of the first lines.

    Raises:
        DataError: as `read`.
        LaterRowsDifferError: a later line has a key or a kind of value that the first ones have not.
        OSError: the file cannot be read.
    """
    schema: pl.Schema | None = None
    with path.open("rb") as file:
        while lines := file.readlines(BYTES):
            frame = _parse(path, b"".join(lines), None)
            if schema is None:
                schema = frame.schema
            elif frame.schema != schema:
                if not set(frame.columns) <= set(schema):
                    raise LaterRowsDifferError
                try:
                    frame = _parse(path, b"".join(lines), schema)
                except DataError:
                    raise LaterRowsDifferError from None
            yield from frame.iter_slices(rows)


def write(frame: pl.DataFrame, path: Path) -> None:
    """Write a table.

    Raises:
        OSError: the file cannot be written.
    """
    frame.write_ndjson(path)


def _parse(path: Path, lines: bytes, schema: pl.Schema | None) -> pl.DataFrame:
    if not lines.strip():
        raise DataError(f"{path}: this file is empty.")
    try:
        return pl.read_ndjson(io.BytesIO(lines), schema=schema, infer_schema_length=None)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        reason = str(error).splitlines()[0].rstrip(".")
        raise DataError(f"{path}: this is no file of JSON objects, one a line ({reason}).") from None

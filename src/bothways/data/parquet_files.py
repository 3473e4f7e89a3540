"""Parquet files."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from bothways.errors import DataError


def read(path: Path) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The values of a Parquet file, twice: what stands in the file is what it means.

    Raises:
        DataError: the file is no Parquet file, or a damaged one.
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        try:
            frame = pl.read_parquet(file)
        except (pl.exceptions.PolarsError, pl.exceptions.PanicException):
            raise DataError(f"{path}: this is no Parquet file, or it is damaged or cut short.") from None
    return frame, frame


def write(frame: pl.DataFrame, path: Path) -> None:
    """Write a table.

    Raises:
        OSError: the file cannot be written.
    """
    frame.write_parquet(path)

"""Parquet files."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path

import polars as pl

from bothways.errors import DataError

BROKEN = "this is no Parquet file, or it is damaged or cut short."


def read(path: Path, text: Collection[str] = ()) -> pl.LazyFrame:
    """The columns of a Parquet file, each read when it is asked for.

    Args:
        path: the file.
        text: without meaning here; a column has the type that stands in the file.

    Raises:
        DataError: the file is no Parquet file, or a damaged one.
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        try:
            pl.read_parquet_schema(file)
        except (pl.exceptions.PolarsError, pl.exceptions.PanicException):
            raise DataError(f"{path}: {BROKEN}") from None
    return pl.scan_parquet(path, glob=False)


def batches(path: Path, rows: int) -> Iterator[pl.DataFrame]:
    """The rows of a Parquet file from the first to the last, about `rows` at a time.

    Raises:
        DataError: the file is no Parquet file, or a damaged one.
        OSError: the file cannot be read.
    """
    frame = read(path)
    try:
        yield from frame.collect_batches(chunk_size=rows, maintain_order=True)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException):
        raise DataError(f"{path}: {BROKEN}") from None


def write(frame: pl.DataFrame, path: Path) -> None:
    """Write a table.

    Raises:
        OSError: the file cannot be written.
    """
    frame.write_parquet(path)

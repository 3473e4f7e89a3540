"""Parquet files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import polars as pl

from bothways.data.csv_files import BROKEN, Say
from bothways.errors import DataError

DAMAGED = "this is no Parquet file, or it is damaged or cut short."


def read(path: Path, say: Say) -> pl.LazyFrame:
    """The columns, each read when it is asked for."""
    with path.open("rb") as file:
        try:
            pl.read_parquet_schema(file)
        except BROKEN:
            raise DataError(f"{path}: {DAMAGED}") from None
    return pl.scan_parquet(path, glob=False)


def batches(path: Path, rows: int, say: Say) -> Iterator[pl.DataFrame]:
    """The rows in order, about `rows` at a time."""
    frame = read(path, say)
    try:
        yield from frame.collect_batches(chunk_size=rows, maintain_order=True)
    except BROKEN:
        raise DataError(f"{path}: {DAMAGED}") from None

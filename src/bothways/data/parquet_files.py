"""Parquet files."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import polars as pl

from bothways.data.opening import BROKEN, Say
from bothways.data.words import LISTS, by_word
from bothways.errors import DataError


def read(path: Path, say: Say) -> pl.DataFrame | pl.LazyFrame:
    """The columns, each read when it is asked for; sentences with lists of words as rows per word, at once."""
    frame = _scanned(path)
    if not any(isinstance(frame.collect_schema().get(name), pl.List) for name in LISTS):
        return frame
    with _explained(path):
        return by_word(f"{path}: row", frame.collect())


def batches(path: Path, rows: int, say: Say) -> Iterator[pl.DataFrame]:
    """The rows in order, about `rows` at a time."""
    before = 0
    with _explained(path):
        for batch in _scanned(path).collect_batches(chunk_size=rows, maintain_order=True):
            yield by_word(f"{path}: row", batch, before)
            before += batch.height


def _scanned(path: Path) -> pl.LazyFrame:
    with path.open("rb") as file, _explained(path):
        pl.read_parquet_schema(file)
    return pl.scan_parquet(path, glob=False)


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except BROKEN:
        raise DataError(f"{path}: this is no Parquet file, or it is damaged or cut short.") from None

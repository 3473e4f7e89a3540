"""Parquet files."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path

import polars as pl

from bothways.tables.opening import Say, intact
from bothways.tables.words import LISTS, by_word


def read(path: Path, say: Say, folders: bool = False) -> pl.DataFrame | pl.LazyFrame:
    """The columns, each read when it is asked for; sentences with lists of words as rows per word, at once.

    With those that the names of its `folders` tell (`day=5/`), if the file has none of them itself.
    """
    frame = _scanned(path, folders)
    if not any(isinstance(frame.collect_schema().get(name), pl.List) for name in LISTS):
        return frame
    with _intact(path):
        return by_word(partial("{}: row {}".format, path), frame.collect())


def batches(path: Path, rows: int, say: Say, folders: bool = False) -> Iterator[pl.DataFrame]:
    """The rows in order, about `rows` at a time; `folders` is as for `read`."""
    before = 0
    with _intact(path):
        for batch in _scanned(path, folders).collect_batches(chunk_size=rows, maintain_order=True):
            yield by_word(partial("{}: row {}".format, path), batch, before)
            before += batch.height


def _scanned(path: Path, folders: bool) -> pl.LazyFrame:
    with path.open("rb") as file, _intact(path):
        own = pl.read_parquet_schema(file)
    told = {folder.partition("=")[0] for folder in path.parent.parts if "=" in folder}
    return pl.scan_parquet(path, glob=False, hive_partitioning=folders and told.isdisjoint(own))


def _intact(path: Path) -> AbstractContextManager[None]:
    return intact(f"{path}: this is no Parquet file, or it is damaged or cut short.")

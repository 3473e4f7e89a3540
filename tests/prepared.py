"""Tables written, and with known roles split and encoded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl

from bothways.data import Columns, Parts, SplitTable, split_table
from bothways.data.labeled import opened
from bothways.tables import Table
from bothways.tables.sources import FORMATS, ending


def prepared(table: Table, columns: Columns, seed: int = 0, **how: Any) -> tuple[Columns, Parts, list[str]]:
    """The columns, the parts and what is said, but of classes that are rare, as they are in small tables."""
    columns, parts, notices = split_table(table, columns, seed, **how)
    columns, parts, more = SplitTable(table, columns, parts, notices).encoded()
    return columns, parts, [notice for notice in (*notices, *more) if not notice.startswith("Too rare")]


def csv(folder: Path, content: str | bytes, name: str = "some.csv") -> Path:
    """A file with this content."""
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def write_table(frame: pl.DataFrame, path: Path) -> None:
    """Write a table in the format that its name says."""
    write = FORMATS[ending(path)].write
    if write is None:
        frame.write_parquet(path)
        return
    with opened(path, path) as file:
        write(frame, file, True)

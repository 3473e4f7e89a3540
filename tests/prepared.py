"""Tables written, and with known roles split and encoded."""

from __future__ import annotations

import os
from typing import Any

import polars as pl

from bothways.data import Columns, Parts, SplitTable, Table, split_table
from bothways.data.labeled import explained, opened
from bothways.data.sources import FORMATS, OUTPUTS, ending
from bothways.errors import DataError
from bothways.files import check_output, written_whole


def prepared(table: Table, columns: Columns, seed: int = 0, **how: Any) -> tuple[Columns, Parts, list[str]]:
    """The columns, the parts and what is said, but of classes that are rare, as they are in small tables."""
    columns, parts, notices = split_table(table, columns, seed, **how)
    columns, parts, more = SplitTable(table, columns, parts, notices).encoded()
    return columns, parts, [notice for notice in (*notices, *more) if not notice.startswith("Too rare")]


def write_table(frame: pl.DataFrame, path: str | os.PathLike[str]) -> None:
    """Write a table as `LabeledWriter` does."""
    path = check_output(path, OUTPUTS)
    format = FORMATS[ending(path)]
    with written_whole(path, DataError) as temporary, explained(path):
        if format.write is None:
            frame.write_parquet(temporary)
        else:
            with opened(path, temporary) as file:
                format.write(frame, file, True)

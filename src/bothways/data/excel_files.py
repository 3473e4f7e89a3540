"""Excel workbooks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import polars as pl

from bothways.data.csv_files import BROKEN, Say
from bothways.errors import DataError, MissingDependencyError


def read(path: Path, say: Say) -> pl.DataFrame:
    """The fields of the first sheet as text; its first row names the columns."""
    try:
        import fastexcel
    except ImportError:
        raise MissingDependencyError(
            f"{path}: Excel files are read with fastexcel, which is not installed. Install it: "
            "pip install 'bothways[excel]'"
        ) from None
    path.open("rb").close()  # else it cannot be told from one that is damaged
    try:
        workbook = fastexcel.read_excel(path)
        fields = workbook.load_sheet(0, dtypes="string").to_polars()
    except (fastexcel.FastExcelError, *BROKEN) as error:
        raise DataError(f"{path}: this is no Excel file that can be read ({str(error).splitlines()[0]}).") from None
    if len(names := workbook.sheet_names) > 1:
        say(f"{path}: {names[0]!r} is read, the first of {len(names)} sheets.")
    return fields


def batches(path: Path, rows: int, say: Say) -> Iterator[pl.DataFrame]:
    """The same, `rows` rows at a time."""
    yield from read(path, say).iter_slices(rows)

"""Tables in files: one row a step. To add a format, add a file beside this one and an entry to `FORMATS`."""

from __future__ import annotations

import difflib
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from bothways.data import csv_files, parquet_files
from bothways.errors import DataError
from bothways.files import written_whole

PREDICTED = "predicted"
PROBABILITY = "probability"


class Format(NamedTuple):
    """How files of one kind are read and written.

    Attributes:
        read: `path -> (values, cells)`; see `Table`.
        write: `(frame, path) -> None`.
    """

    read: Callable[[Path], tuple[pl.DataFrame, pl.DataFrame]]
    write: Callable[[pl.DataFrame, Path], None]


FORMATS: Mapping[str, Format] = MappingProxyType(
    {
        ".parquet": Format(parquet_files.read, parquet_files.write),
        ".csv": Format(csv_files.read, csv_files.write),
    }
)


@dataclass(frozen=True, eq=False)
class Table:
    """A table, one row a step.

    Attributes:
        source: the file that it came from, as messages name it.
        values: the columns with their types.
        cells: the columns as they stand in the file, which in a CSV file is text.

    Example:
        >>> table = Table("flows.csv", pl.DataFrame({"bytes": [12, 7], "label": ["calm", "attack"]}))
        >>> table.require("lable")
        Traceback (most recent call last):
        bothways.errors.DataError: flows.csv: there is no column 'lable'. Did you mean 'label'?
    """

    source: str
    values: pl.DataFrame
    cells: pl.DataFrame | None = None

    def __len__(self) -> int:
        """The number of rows."""
        return self.values.height

    @property
    def names(self) -> list[str]:
        """The names of the columns."""
        return self.values.columns

    def column(self, name: str) -> pl.Series:
        """The column called `name`; categories come as text.

        Raises:
            DataError: there is none; see `require`.
        """
        self.require(name)
        column = self.values.get_column(name)
        return column.cast(pl.String) if isinstance(column.dtype, (pl.Categorical, pl.Enum)) else column

    def require(self, *names: str) -> None:
        """Refuse names that the table does not have.

        Raises:
            DataError: names the first one that is missing, and the nearest name that there is.
        """
        for name in names:
            if name not in self.names:
                raise DataError(f"{self.source}: there is no column {name!r}. {_suggestion(name, self.names)}")


def read_table(path: str | os.PathLike[str]) -> Table:
    """Read a table; its ending says what it is.

    Raises:
        DataError: no such file, a folder, an ending that is not known, no table in it, or an empty one.

    Example:
        >>> read_table("flows.xlsx")
        Traceback (most recent call last):
        bothways.errors.DataError: flows.xlsx: tables are read from .parquet and .csv files only.
    """
    path = Path(path)
    if path.is_dir():
        raise DataError(f"{path}: this is a folder; give the file of the table itself.")
    known = FORMATS.get(path.suffix.lower())
    if known is None:
        raise DataError(f"{path}: tables are read from {' and '.join(FORMATS)} files only.")
    try:
        values, cells = known.read(path)
    except FileNotFoundError:
        raise DataError(f"{path}: no such file.") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error}).") from None
    if values.height == 0 or values.width == 0:
        raise DataError(f"{path}: this table has no rows.")
    return Table(str(path), values, cells)


def check_output(path: str | os.PathLike[str], endings: Sequence[str] = tuple(FORMATS)) -> Path:
    """Refuse a file that could not be written later, before any work is done.

    Raises:
        DataError: an ending other than `endings`, a folder that does not exist or takes no files, or the name of a
            folder.

    Example:
        >>> check_output("labels.txt")
        Traceback (most recent call last):
        bothways.errors.DataError: labels.txt: the name of this file must end in .parquet or .csv.
    """
    path = Path(path)
    if path.is_dir():
        raise DataError(f"{path}: this is a folder; give the file to write.")
    if path.suffix.lower() not in endings:
        raise DataError(f"{path}: the name of this file must end in {' or '.join(endings)}.")
    if not path.parent.is_dir():
        raise DataError(f"{path}: there is no folder {str(path.parent)!r} to write it to.")
    try:
        tempfile.TemporaryFile(dir=path.parent).close()
    except OSError as error:
        raise DataError(f"{path}: cannot be written in {str(path.parent)!r} ({error.strerror or error}).") from None
    return path


def write_table(frame: pl.DataFrame, path: str | os.PathLike[str]) -> None:
    """Write a table, whole or not at all: under another name beside `path`, renamed when it is complete.

    Raises:
        DataError: as `check_output`, or a table that the format cannot hold, or a full disk; what stood at `path` is
            untouched.
    """
    path = check_output(path)
    with written_whole(path, DataError) as temporary:
        FORMATS[path.suffix.lower()].write(frame, temporary)


def with_predictions(
    table: Table,
    classes: Sequence[Any],
    codes: npt.NDArray[np.int64],
    probabilities: npt.NDArray[np.float32],
    path: str | os.PathLike[str],
) -> pl.DataFrame:
    """The table's own columns and rows, and the columns `predicted` and `probability` after them.

    Args:
        table: what was labeled.
        classes: the labels.
        codes: for each row of the table, the number of its class in `classes`.
        probabilities: for each row, the probability of that class.
        path: where it is to be written: into CSV, the cells of a CSV file go as they stand in it.

    Raises:
        DataError: the table has a column of one of these names.
    """
    for name in (PREDICTED, PROBABILITY):
        if name in table.names:
            raise DataError(
                f"{table.source}: there is a column {name!r} already, which the predictions would take. Rename it."
            )
    frame = table.values
    if Path(path).suffix.lower() == ".csv" and table.cells is not None:
        frame = table.cells
    return frame.with_columns(
        pl.Series(classes).gather(codes).alias(PREDICTED), pl.Series(PROBABILITY, probabilities, dtype=pl.Float32)
    )


def _suggestion(name: str, names: Sequence[str]) -> str:
    by_lower = {known.lower(): known for known in reversed(names)}
    near = difflib.get_close_matches(name.lower(), by_lower, n=1)
    if near:
        return f"Did you mean {by_lower[near[0]]!r}?"
    shown = ", ".join(repr(known) for known in names[:20])
    return f"The columns are: {shown}{', ...' if len(names) > 20 else ''}."

"""Excel workbooks."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from bothways.data.blank_rows import without_total
from bothways.data.headers import LOOKED_AT, say_title, title_of, units_below
from bothways.data.opening import BROKEN, MOST_COMMENTS, Say
from bothways.errors import DataError, missing

UNNAMED = "__UNNAMED__"  # how fastexcel calls columns without a name


def read(path: Path, say: Say) -> pl.DataFrame:
    """The fields of the first sheet that holds a table, as text; its first row names the columns."""
    try:
        import fastexcel
    except ImportError:
        raise missing(f"{path}: an Excel file", "fastexcel", "excel") from None
    path.open("rb").close()  # else it cannot be told from one that is damaged
    try:
        workbook = fastexcel.read_excel(path)
        names = workbook.sheet_names
        first = list[tuple[int, pl.DataFrame]]()
        for place in range(len(names)):
            fields = workbook.load_sheet(place, dtypes="string").to_polars()
            if fields.height:
                first.append((place, fields))
            if fields.height and fields.width > 1:
                break
        if not first:
            some = f"none of the {len(names)} sheets has rows" if len(names) > 1 else "this table has no rows"
            raise DataError(f"{path}: {some}.")
        place, fields = first[-1] if first[-1][1].width > 1 else first[0]
        if any(name.startswith(UNNAMED) for name in fields.columns):
            raw = workbook.load_sheet(place, header_row=None, n_rows=MOST_COMMENTS, dtypes="string").to_polars()
            title, _ = title_of([[field or "" for field in row] for row in raw.rows()]) or (0, 0.0)
            if title:
                fields = workbook.load_sheet(place, header_row=title, dtypes="string").to_polars()
                say_title(path, title, "row", say)
    except (fastexcel.FastExcelError, *BROKEN) as error:
        raise DataError(f"{path}: this is no Excel file that can be read ({str(error).splitlines()[0]}).") from None
    bare = ["" if name.startswith(UNNAMED) else name for name in fields.columns]
    rows = [[field or "" for field in row] for row in fields.head(LOOKED_AT + 1).rows()]
    if rows and any(rows[0]) and units_below(path, bare, rows, say):
        fields = fields[1:]
    if len(names) > 1:
        table = " that holds a table" if place else ""
        say(f"{path}: {names[place]!r} is read, the first of {len(names)} sheets{table}.")
    return without_total(path, fields, say)

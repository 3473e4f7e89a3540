"""Workbooks of Excel and of LibreOffice."""

from __future__ import annotations

import re
import zipfile
from datetime import datetime
from functools import partial
from itertools import chain
from pathlib import Path

import polars as pl

from bothways.errors import DataError, missing
from bothways.fields.numbers import all_fit
from bothways.tables.headers import LOOKED_AT, BlankRows, rows_of_title, say_title, told_apart, units_below, without_end
from bothways.tables.opening import BROKEN, MOST_COMMENTS, Say, head, signature

DAY_0 = datetime(1899, 12, 31)
ON_DAY_0 = r"^(?<day>1899-12-31|1900-01-\d\d)(?: (?<clock>\d\d:\d\d:\d\d(?:\.\d+)?))?$"
OTHER_TIME = rb'time-value="(?!PT(?:[01]\d|2[0-3])H\d\dM\d\d(?:\.\d+)?S")([^"]*)"'
MIDNIGHT = "00:00:00"
DAY = rf"^\d{{4}}-\d\d-\d\d {MIDNIGHT}$"


def read(path: Path, say: Say) -> pl.DataFrame:
    """The fields of the first sheet that holds a table, as text; its first row names the columns."""
    try:
        import fastexcel
    except ImportError:
        raise missing(f"{path}: a workbook", "fastexcel", "excel") from None
    path.open("rb").close()  # else it cannot be told from one that is damaged
    try:
        workbook = fastexcel.read_excel(path)
        sheets = workbook.sheet_names
        load = partial(workbook.load_sheet, dtypes="string")
        filled = ((place, fields) for place in range(len(sheets)) if (fields := load(place).to_polars()).height)
        first = next(filled, None)
        if first is None:
            some = f"none of the {len(sheets)} sheets has rows" if len(sheets) > 1 else "this table has no rows"
            raise DataError(f"{path}: {some}.")
        place, fields = next((each for each in chain([first], filled) if each[1].width > 1), first)
        title, rows = 0, _texts(load(place, header_row=None, n_rows=MOST_COMMENTS).to_polars())
        if "" in rows[0]:
            title, _ = rows_of_title(rows) or (0, 0.0)
            if title:
                fields = load(place, header_row=title).to_polars()
                say_title(path, title, "row", say)
        numbers = load(place, header_row=title, dtypes="float").to_polars()
        if path.suffix.lower() == ".ods":  # of which fastexcel leaves times of day out where it reads text
            _refuse_lost_times(path)
            clocks = load(place, header_row=title, dtypes="duration").to_polars()
            texts = clocks.select((pl.all() + DAY_0).dt.to_string("%Y-%m-%d %H:%M:%S%.f"))
            fields = pl.DataFrame([a.zip_with(a.is_not_null(), b) for a, b in zip(fields, texts, strict=True)])
    except (fastexcel.FastExcelError, *BROKEN) as error:
        if signature(path) not in (".xlsx", ".xls"):
            begins = "".join(f" It begins with {line[:40]!r}." for line in head(path)[:1])
            cure = "Give it the ending of what it holds, such as .csv; or open it in Excel, and save it as .xlsx."
            raise DataError(f"{path}: this is no workbook, whatever it is called.{begins} {cure}") from None
        raise DataError(f"{path}: this is no workbook that can be read ({str(error).splitlines()[0]}).") from None
    pairs = zip(fields.select(pl.all().replace("", None)), numbers, strict=True)
    columns = [_times(_exact(*(each.alias("") for each in pair))) for pair in pairs]  # a name may be a pattern
    names = told_apart(path, rows[title], say)
    fields = pl.DataFrame(dict(zip(names, columns, strict=True)))
    fields = fields[units_below(path, rows[title], _texts(fields.head(LOOKED_AT + 1)), say) :]
    if len(sheets) > 1:
        table = " that holds a table" if place else ""
        say(f"{path}: {sheets[place]!r} is read, the first of {len(sheets)} sheets{table}.")
    blanks = BlankRows(path, part=False)
    fields = blanks.left_out(without_end(path, fields, say))
    blanks.told(say)
    return fields


def _refuse_lost_times(path: Path) -> None:
    """Refuse what fastexcel takes for an empty cell: durations that are no time of day."""
    with zipfile.ZipFile(path) as archive:
        lost = re.search(OTHER_TIME, archive.read("content.xml"))
    if lost:
        raise DataError(
            f"{path}: durations of a day and more, or below 0, such as {lost[1].decode()}, are lost where .ods is "
            "read. Save it as .xlsx."
        )


def _exact(fields: pl.Series, numbers: pl.Series) -> pl.Series:
    """Fields with all digits of their numbers, of which fastexcel writes nine behind the point as text."""
    rounded = (fields.cast(pl.Float64, strict=False) != numbers).fill_null(value=False)
    return numbers.cast(pl.String).zip_with(rounded, fields)


def _times(fields: pl.Series) -> pl.Series:
    """Fields that are times of day or durations, which Excel keeps as times on the day 0, as they are shown there.

    A column with a duration of a day and more holds durations; days need no midnight.
    """
    if all_fit(fields, DAY):
        return fields.str.head(len("2024-01-31"))
    parts = fields.str.extract_groups(ON_DAY_0).struct.unnest()
    clock = parts["clock"].fill_null(MIDNIGHT).set(fields.is_null(), None)
    days = (parts["day"].str.to_date("%Y-%m-%d", strict=False) - DAY_0.date()).dt.total_days()
    if not days.count() or days.count() < fields.count() or not parts["clock"].count():
        return fields
    return clock if not (days != 0).any() else days.cast(pl.String) + " days " + clock


def _texts(fields: pl.DataFrame) -> list[list[str]]:
    return [[field or "" for field in row] for row in fields.rows()]

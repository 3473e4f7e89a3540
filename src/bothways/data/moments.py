"""Times that several columns tell together: a date and a time of day; a year, a month, a day and an hour."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

import polars as pl

from bothways.data.kinds import times_of
from bothways.data.names import part_of_time

BEFORE = {"month": "-", "day": "-", "quarter": "-Q", "week": "-W", "hour": " ", "": " "}
"""What stands before each part of a time that is written in one; before what follows an hour, a colon."""

POINTS, COLONS = r"^(\d{1,2})\.(\d{2})\.(\d{2})$", r"\1:\2:\3"  # times of day as some write them, and as all others do

AFTER = {"month": "-01", "hour": ":00"}
"""What stands after the last part, so that days and times are whole."""


def template(names: Sequence[str]) -> list[str]:
    """What stands before each of several columns that tell a time together, and after the last one.

    Columns that are called after no part of a time hold a date or a time of day.

    Example:
        >>> template(["year", "month", "day", "hour"]), template(["Date", "Time"]), template(["Year", "Quarter"])
        (['', '-', '-', ' ', ':00'], ['', ' ', ''], ['', '-Q', ''])
    """
    parts = [part_of_time(name) for name in names]
    return ["", *(BEFORE.get(part, ":") for part in parts[1:]), AFTER.get(parts[-1], "")]


def moment_text(names: Sequence[str], fields: Iterable[Any]) -> str:
    """A time in one text.

    Example:
        >>> moment_text(["year", "month"], [2024, 3]), moment_text(["Date", "Time"], ["2004-03-10", "18.00.00"])
        ('2024-03-01', '2004-03-10 18:00:00')
    """
    *before, after = template(names)
    texts = [
        str(field).zfill(2) if part_of_time(name) else str(field) for name, field in zip(names, fields, strict=True)
    ]
    texts[1:] = [re.sub(POINTS, COLONS, text) for text in texts[1:]]
    return "".join(start + text for start, text in zip(before, texts, strict=True)) + after


def moments(names: Sequence[str], columns: Sequence[pl.Series], typed: bool = True) -> pl.Series:
    """The times that columns tell together; the text itself where that is none, or if the columns are not `typed` yet.

    Example:
        >>> moments(["year", "month"], [pl.Series([2023, 2024]), pl.Series([12, 1])]).to_list()
        [datetime.datetime(2023, 12, 1, 0, 0), datetime.datetime(2024, 1, 1, 0, 0)]
    """
    *before, after = template(names)
    texts = []
    for place, (start, name, column) in enumerate(zip(before, names, columns, strict=True)):
        days = isinstance(column.dtype, (pl.Date, pl.Datetime))
        text = column.dt.strftime("%Y-%m-%d") if days else column.cast(pl.String)
        text = text.str.zfill(2) if part_of_time(name) else text
        texts.append(start + (text.str.replace(POINTS, "${1}:${2}:${3}") if place else text))
    whole = pl.DataFrame([text.alias(str(place)) for place, text in enumerate(texts)])
    joined = whole.select(pl.concat_str(pl.all()) + after).to_series()
    return times_of(joined) if typed else joined

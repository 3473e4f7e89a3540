"""Times that several columns tell together: a date and a time of day; a year, a month, a day and an hour."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import polars as pl

from bothways.fields.kinds import times_of
from bothways.fields.names import digits_of_date, names_time_of_day, part_of_time
from bothways.fields.reader import LaterRowsDifferError, stripped
from bothways.fields.times import spelled, with_colons

BEFORE = {"month": "-", "day": "-", "quarter": "-Q", "week": "-W", "hour": " ", "": " "}
"""What stands before each part of a time that is written in one; before what follows an hour, a colon."""

MIDNIGHT = r"(?:T|,? )(?:00?(?::00){1,2}(?:\.0+)?|12:00(?::00)? ?[Aa]\.?[Mm]\.?)$"  # behind a date, as many export it
POINTS = r"^(\d{1,2})\.(\d{2})\.(\d{2})$"  # times of day as some write them

AFTER = {"month": "-01", "hour": ":00"}
"""What stands after the last part, so that days and times are whole."""


def template(names: Sequence[str]) -> list[str]:
    """What stands before each of several columns that tell a time together, and after the last one.

    Columns that are called after no part of a time hold a date or a time of day.
    """
    parts = [part_of_time(name) for name in names]
    return ["", *(BEFORE.get(part, ":") for part in parts[1:]), AFTER.get(parts[-1], "")]


def moment_text(names: Sequence[str], fields: Iterable[Any]) -> str:
    """A time in one text.

    Example:
        >>> moment_text(["year", "month"], [2024, 3]), moment_text(["Date", "Time"], ["2004-03-10", "18.00.00"])
        ('2024-03-01', '2004-03-10 18:00:00')
        >>> moment_text(["DATE", "HHMM"], [20040310, 900])
        '2004-03-10 09:00'
    """
    *before, after = template(names)
    texts = _spelled(names, [_text(pl.Series([str(field)])) for field in fields])
    return "".join(start + (text[0] or "") for start, text in zip(before, texts, strict=True)) + after


def moments(names: Sequence[str], columns: Sequence[pl.Series], typed: bool = True) -> pl.Series:
    """The times that columns tell together; the text itself where one is none, or if columns are not `typed` yet."""
    *before, after = template(names)
    texts = list(map(_text, columns))
    for name, text in zip(names[1:], texts[1:], strict=True):
        letters = text.str.len_chars()
        if not typed and names_time_of_day(name) and letters.min() in (1, 2, 3) and letters.max() in (1, 2, 3, 4):
            raise LaterRowsDifferError  # 500 is 5:00, or 0:05:00 if others have more digits
    texts = _spelled(names, texts)
    whole = [(start + text).alias(str(place)) for place, (start, text) in enumerate(zip(before, texts, strict=True))]
    joined = pl.DataFrame(whole).select(pl.concat_str(pl.all()) + after).to_series()
    return times_of(joined) if typed else joined


def _text(column: pl.Series) -> pl.Series:
    if isinstance(column.dtype, pl.Datetime):
        return column.dt.strftime("%Y-%m-%d %H:%M:%S")
    return column.dt.to_string() if column.dtype == pl.Duration else stripped(column.cast(pl.String))


def _spelled(names: Sequence[str], texts: Sequence[pl.Series]) -> list[pl.Series]:
    """The parts of times with two digits, their dates and times of day with signs in between."""
    done = []
    for place, (name, text) in enumerate(zip(names, texts, strict=True)):
        part = part_of_time(name)
        text = text.str.zfill(2) if part else text.str.replace(POINTS, "${1}:${2}:${3}") if place else text
        if place == 0:
            days = spelled(text.str.replace(MIDNIGHT, ""), digits_of_date(name))
            first = times_of(days)
            text = _text(first) if first.dtype == pl.Date else days  # of a quarter, a week or a month
        elif names_time_of_day(name):
            text = with_colons(text)
        done.append(text)
    return done

"""Times out of texts that come one at a time, as in a stream."""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import date, datetime

import polars as pl

from bothways.data.kinds import KINDS, TIMES

PARTS = re.compile(r"\d+|[AaPp][Mm]\b|%")
ORDERS = {"day-first": ("%d", "%m", "%Y"), "month-first": ("%m", "%d", "%Y"), "year-first": ("%Y", "%m", "%d")}
CLOCK = ("%H", "%M", "%S", "%f")


class SingleTimes:
    """Reads texts that say times, one at a time, as columns of such texts are read.

    How a text is read never depends on those before it, which only make it faster. `dates` says which of "day-first",
    "month-first" and "year-first" dates are that may be two of them; None if that is not known.

    Example:
        >>> times = SingleTimes("month-first")
        >>> times.read("01/02/2024 5:44 PM"), times.read("soon")
        (datetime.datetime(2024, 1, 2, 17, 44), None)
        >>> SingleTimes(None).read("01/02/2024 5:44 PM") is None, SingleTimes(None).read("31.01.2024 17:44")
        (True, datetime.datetime(2024, 1, 31, 17, 44))
    """

    def __init__(self, dates: str | None) -> None:
        self._dates = dates
        self._form = ""  # what `strptime` reads the last text by

    def read(self, text: str) -> datetime | None:
        """The time that a text says; None if it says none, or may say two."""
        text = text.strip()
        if self._form and (time := _parsed(text, self._form)):
            return time
        field, found = pl.Series([text]), dict[str, datetime]()
        for name in TIMES:
            option, value = KINDS[name].choice
            if re.match(KINDS[name].looks, text) and (time := _first(KINDS[name].values(field))):
                found[value if option == "dates" else name] = time
        time = found.get(self._dates or "")
        if time is None and len(set(found.values())) == 1:
            time = next(iter(found.values()))
        orders = [order for order in (self._dates, "year-first") if order in found]
        forms = [_form(text, ORDERS[order]) for order in orders] if time else []
        self._form = next((form for form in forms if form and _parsed(text, form) == time), "")
        return time


def _first(values: pl.Series) -> datetime | None:
    """The time that the only value of a column is; None if it is none, or a time of day."""
    value = values.dt.cast_time_unit("us")[0] if isinstance(values.dtype, pl.Datetime) else values[0]
    if isinstance(value, datetime):
        return value
    return datetime.combine(value, datetime.min.time()) if isinstance(value, date) else None


def _parsed(text: str, form: str) -> datetime | None:
    with suppress(ValueError):
        return datetime.strptime(text, form)
    return None


def _form(text: str, order: tuple[str, ...]) -> str:
    """How `strptime` reads a text that holds a date and perhaps a time of day; "" if it holds more.

    Example:
        >>> _form("1/31/2024 5:44 PM", ORDERS["month-first"])
        '%m/%d/%Y %I:%M %p'
    """
    parts = PARTS.findall(text)
    numbers = iter((*order, *CLOCK))
    half = parts[-1].lower() in ("am", "pm") if parts else False
    if len(parts) - half > len(order) + len(CLOCK) or "%" in parts:
        return ""
    names = [next(numbers) if part.isdigit() else "%p" for part in parts]
    names = ["%I" if half and name == "%H" else name for name in names]
    pieces = PARTS.split(text)
    return pieces[0] + "".join(name + after for name, after in zip(names, pieces[1:], strict=True))

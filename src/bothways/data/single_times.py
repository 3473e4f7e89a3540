"""Times out of texts that come one at a time, as in a stream."""

from __future__ import annotations

import re
from datetime import datetime

import polars as pl

from bothways.data.kinds import KINDS, TIMES

PARTS = re.compile(r"\d+|[AaPp][Mm]\b|%")
ORDERS = {"day-first": ("%d", "%m", "%Y"), "month-first": ("%m", "%d", "%Y"), "year-first": ("%Y", "%m", "%d")}
CLOCK = ("%H", "%M", "%S", "%f")


class SingleTimes:
    """Reads texts that say times, one at a time, as columns of such texts are read.

    How a text is read never depends on those before it, which only make it faster.

    Args:
        dates: which of "day-first", "month-first" and "year-first" dates are that may be two of them; None if that is
            not known.

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
        if self._form:
            try:
                return datetime.strptime(text, self._form)
            except ValueError:
                self._form = ""
        field, found = pl.Series([text]), dict[str, datetime]()
        for name in TIMES:
            kind = KINDS[name]
            if (
                re.match(kind.looks, text)
                and not (values := kind.values(field)).has_nulls()
                and values.dtype != pl.Time
            ):
                option, value = kind.choice
                found[value if option == "dates" else name] = (
                    values.dt.cast_time_unit("us")[0]
                    if isinstance(values.dtype, pl.Datetime)
                    else datetime.combine(values[0], datetime.min.time())
                )
        if self._dates in found:
            time = found[self._dates]
        elif len(set(found.values())) == 1:
            time = next(iter(found.values()))
        else:
            return None
        for order in [self._dates, "year-first"] if time.tzinfo is None else []:
            form = _form(text, ORDERS[order]) if order else ""
            if form and self._reads(form, text, time):
                self._form = form
        return time

    def _reads(self, form: str, text: str, time: datetime) -> bool:
        try:
            return datetime.strptime(text, form) == time
        except ValueError:
            return False


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

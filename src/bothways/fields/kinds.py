"""The ways to read a column of text; and times out of texts that come one at a time, as in a stream."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import date, datetime
from typing import NamedTuple

import polars as pl

from bothways.fields import times
from bothways.fields.names import names_duration, names_sequences
from bothways.fields.numbers import CURRENCY, MINUS, NOTHING, plain, separated

TEXT = (pl.String, pl.Categorical, pl.Enum)  # the types of columns of text

IN_SECONDS = "read in seconds"
LEFT_OUT = "left out"  # what ends the notice of a column whose values are written in another way than its fields
DATES, SHORT_YEAR = "dates are ", "two-digit year first"


class Kind(NamedTuple):
    """A way to read a column."""

    looks: str  # what its first field looks like
    values: Callable[[pl.Series], pl.Series]  # those of text, null where a field cannot be read so
    said: str = ""  # what the user is told, if anything
    choice: tuple[str, str] = ("", "")  # the option and its value that choose this way


def barred(name: str, number: bool) -> set[str]:
    """The kinds that a column so called does not hold: an id such as 2001-01 is no month."""
    ids = {"compact", SHORT_YEAR, "quarter", "week", "month", "season"} if names_sequences(name) else set()
    return ids if number or names_duration(name) else {*ids, "duration"}


def times_of(text: pl.Series) -> pl.Series:
    """The times that texts are, each beginning with a year; the text where one is none."""
    found = (KINDS[kind].values(text) for kind in ("year-first", "quarter", "week", "month"))
    return next((times for times in found if times.null_count() == text.null_count()), text)


def _truth(text: pl.Series) -> pl.Series:
    lower = text.str.to_lowercase()
    return (lower == "true").set(~lower.is_in(["true", "false"]), None)


LETTERS = r"[^\W\d_]{3,12}"
NUMBER = rf"[-+({MINUS}]?\s*{CURRENCY}?\s*[-+{MINUS}]?\s*[.,]?\d|{NOTHING}"
KINDS: Mapping[str, Kind] = {
    "compact": Kind(r"(?:19|20)\d{6}[T ]?\d{2}:?\d{2}", times.compact),
    "numbers": Kind(NUMBER, plain, choice=("decimal", "point")),
    "decimal point": Kind(
        NUMBER, lambda text: separated(text, "."), f"separators of thousands or units {LEFT_OUT}", ("decimal", "point")
    ),
    "decimal comma": Kind(NUMBER, lambda text: separated(text, ","), "decimal comma", ("decimal", "comma")),
    "true/false": Kind("[TtFf]", _truth),
    "year-first": Kind(r"\d{4}[-/. 年]", times.year_first),
    "day-first": Kind(
        r"\[?(?:[A-Za-z]{3},? )?\d{1,2}[-/. A-Za-z]", times.day_first, f"{DATES}day/month/year", ("dates", "day-first")
    ),
    "month-first": Kind(r"\d{1,2}[-/ ]", times.month_first, f"{DATES}month/day/year", ("dates", "month-first")),
    SHORT_YEAR: Kind(times.SHORT_YEAR, times.short_year_first, f"{DATES}year/month/day", ("dates", "year-first")),
    "month by name": Kind(rf"{LETTERS}\.?,? .*\d{{4}}", times.month_by_name),
    "no year": Kind(rf"{LETTERS}\.? +\d{{1,2}} \d", times.without_year, "times of one year, as none is there"),
    "elapsed": Kind(r"\d+ days?,? |\d+:\d\d\.\d", times.elapsed, IN_SECONDS),
    "duration": Kind(r"\d+:\d", times.elapsed, IN_SECONDS),
    "lasting": Kind(r"\d+(?:\.\d+)? ?[dhms]|P[T\d]", times.lasting, IN_SECONDS),
    "quarter": Kind(r"\d{4}[-/. ]?[Qq]|[Qq]\d", times.quarters),
    "week": Kind(r"\d{4}[-/. ]?[KkWw]|[KkWw]", times.weeks),
    "month": Kind(rf"\d{{4}}[-/ M]\w+|(?:\d{{1,2}}|{LETTERS}\.?)[-/ ]\d{{4}}$|{LETTERS}[-/ '.]\d\d$", times.months),
    "season": Kind(r"\d{4}[-/]\d{2}", times.seasons),
    "time of day": Kind(r"\d{1,2}:", times.of_day),
    "text": Kind("", lambda text: text),
}
"""The ways to read a column, in the order in which they are tried."""

NO_TIMES = ("numbers", "decimal point", "decimal comma", "true/false", "elapsed", "duration", "lasting", "text")
TIMES = tuple(name for name in KINDS if name not in NO_TIMES)

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

"""The ways to read a column of text."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import polars as pl

from bothways.data import times
from bothways.data.names import names_duration, names_sequences
from bothways.data.numbers import CURRENCY, MINUS, NOTHING, plain, separated

IN_SECONDS = "read in seconds"
LEFT_OUT = "left out"  # what ends the notice of a column whose values are written in another way than its fields
DATES, SHORT_YEAR = "dates are ", "two-digit year first"


class Kind(NamedTuple):
    """A way to read a column.

    Attributes:
        looks: what its first field looks like.
        values: the values of text, null where a field cannot be read so.
        said: what the user is told, if anything.
        choice: the option and its value that choose this way.
    """

    looks: str
    values: Callable[[pl.Series], pl.Series]
    said: str = ""
    choice: tuple[str, str] = ("", "")


def barred(name: str, number: bool) -> set[str]:
    """The kinds that a column so called does not hold: an id such as 2001-01 is no month."""
    ids = {"compact", SHORT_YEAR, "quarter", "week", "month", "season"} if names_sequences(name) else set()
    return ids if number or names_duration(name) else {*ids, "duration"}


def times_of(text: pl.Series) -> pl.Series:
    """The times that texts are, each beginning with a year; the text where one is none.

    Example:
        >>> times_of(pl.Series(["2024-03-31 18:05", None])).dtype, times_of(pl.Series(["2024-03", "never"])).dtype
        (Datetime(time_unit='us', time_zone=None), String)
    """
    found = (KINDS[kind].values(text) for kind in ("year-first", "quarter", "week", "month"))
    return next((times for times in found if times.null_count() == text.null_count()), text)


def _truth(text: pl.Series) -> pl.Series:
    lower = text.str.to_lowercase()
    return (lower == "true").set(~lower.is_in(["true", "false"]), None)


LETTERS = r"[^\W\d_]{3,10}"
NUMBER = rf"[-+({MINUS}]?\s*{CURRENCY}?\s*[-+{MINUS}]?\s*[.,]?\d|{NOTHING}"
KINDS: Mapping[str, Kind] = {
    "compact": Kind(r"(?:19|20)\d{6}[T ]?\d{2}:?\d{2}", times.compact),
    "numbers": Kind(NUMBER, plain, choice=("decimal", "point")),
    "decimal point": Kind(
        NUMBER, lambda text: separated(text, "."), f"separators of thousands or units {LEFT_OUT}", ("decimal", "point")
    ),
    "decimal comma": Kind(NUMBER, lambda text: separated(text, ","), "decimal comma", ("decimal", "comma")),
    "true/false": Kind("[TtFf]", _truth),
    "year-first": Kind(r"\d{4}[-/. ]", times.year_first),
    "day-first": Kind(
        r"\[?(?:[A-Za-z]{3},? )?\d{1,2}[-/. ]", times.day_first, f"{DATES}day/month/year", ("dates", "day-first")
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
    "month": Kind(rf"\d{{4}}[-/ ]\w{{1,9}}|(?:\d{{1,2}}|{LETTERS}\.?)[-/ ]\d{{4}}$|{LETTERS}[-/ ']\d\d$", times.months),
    "season": Kind(r"\d{4}[-/]\d{2}", times.seasons),
    "time of day": Kind(r"\d{1,2}:", times.of_day),
    "text": Kind("", lambda text: text),
}
"""The ways to read a column, in the order in which they are tried."""

NO_TIMES = ("numbers", "decimal point", "decimal comma", "true/false", "elapsed", "duration", "lasting", "text")
TIMES = tuple(name for name in KINDS if name not in NO_TIMES)

"""Dates, times, and what else tells when: out of text, null where a field cannot be read so."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import polars as pl

from bothways.fields.numbers import SHOWING, all_fit

SECONDS, HALF = r"(?<second>\d{2})(?:[.,](?<fraction>\d+))?", r"(?: ?(?<half>[AaPp])\.?[Mm]\.?| Uhr)?"
CLOCK = rf"(?<hour>\d{{1,2}}):(?<minute>\d{{2}})(?::{SECONDS})?{HALF}"
CLOCK_OF_DATE = rf"(?<hour>\d{{1,2}})(?:[:.h](?<minute>\d{{2}})(?:[:.]{SECONDS})?)?{HALF}"
ZONE = r"(?: ?(?<zone>Z|UTC|GMT|[+-]\d{2}:?\d{2})(?:\[[\w/+-]+\])?)?"
NAME = r"\p{L}{3,12}\.?"  # of a month or a day of the week
DATE = (
    rf"^\[?(?:\p{{L}}{{3}},? )?(?<a>\d{{1,4}})[-/. ] ?(?<b>\d{{1,2}}|{NAME})[-/. ] ?(?<c>\d{{1,4}})"
    rf"(?:(?:T|,? |:| à ){CLOCK_OF_DATE})?{ZONE}\]?$"
)
JOINED = (  # dates without signs between their parts, and these signs
    (r"^(\d{1,2})(\p{L}{3})(\d{2})", "${1}-${2}-${3}"),  # 31JAN2024, as SAS writes it
    (r"^(\d{4})年 ?(\d{1,2})月 ?(\d{1,2})日 ?", "${1}-${2}-${3} "),
    (r"[時时](\d\d)分(?:(\d\d)秒)?$", ":${1}:${2}"),
)
SHORT_YEAR = r"^\d\d[-/. ] ?\d\d?[-/. ]\d\d(?:\D|$)"  # what may begin with the year as well as with the day
NAMED = (
    rf"^(?:{NAME},? )?(?<month>{NAME}) {{1,2}}(?<day>\d{{1,2}})(?:(?:,|,? at)? {CLOCK})?(?: [A-Z]{{3,4}})?{ZONE}"
    rf" (?<year>\d{{4}})$",
    rf"^(?:{NAME},? )?(?<month>{NAME}) {{1,2}}(?<day>\d{{1,2}}),? (?<year>\d{{4}})(?:(?:,|,? at)? {CLOCK})?{ZONE}$",
)
"""Dates that begin with the name of a month or of a day: Wed Jan 31 18:05:00 2024 and January 31, 2024, 6:05 PM."""
SYSLOG = rf"^(?<month>{NAME}) {{1,2}}(?<day>\d{{1,2}}) {CLOCK}{ZONE}$"
COMPACT = (
    r"^(?<year>\d{4})(?<month>\d{2})(?<day>\d{2})[T ]?(?<hour>\d{2}):?(?<minute>\d{2})(?::?(?<second>\d{2}))?"
    rf"(?:[.,](?<fraction>\d+))?{ZONE}$"
)
ELAPSED = r"^(?:(?<days>\d+) days?,? )?(?:(?<hours>\d+):)?(?<minutes>\d{1,2}):(?<seconds>\d{2}(?:\.\d+)?)$"
LASTING = (
    r"^(?:(?<days>\d+) ?d(?:ays?)?)? ?(?:(?<hours>\d+) ?h(?:ours?|rs?)?)? ?(?:(?<minutes>\d+) ?m(?:in(?:utes?)?)?)?"
    r" ?(?:(?<seconds>\d+(?:\.\d+)?) ?s(?:ec(?:onds?)?)?)?$"
)
ISO_LASTING = r"^P(?:(?<days>\d+)D)?(?:T(?:(?<hours>\d+)H)?(?:(?<minutes>\d+)M)?(?:(?<seconds>\d+(?:\.\d+)?)S)?)?$"
"""How long something took: 1h 20m, 4 min 25 s; and as in ISO 8601, PT4M25S."""
OF_DIGITS = r"^([01]\d|2[0-4])([0-5]\d)([0-5]\d)?$"
DAY = 86_400.0
MIDNIGHT = "^24:00:00"  # the end of a day

_NAMES = (
    "january february march april may june july august september october november december",
    "januar februar märz april mai juni juli august september oktober november dezember",
    "janvier février mars avril mai juin juillet août septembre octobre novembre décembre",
    "janvier fevrier mars avril mai juin juillet aout septembre octobre novembre decembre",
    "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre",
    "gennaio febbraio marzo aprile maggio giugno luglio agosto settembre ottobre novembre dicembre",
    "janeiro fevereiro março abril maio junho julho agosto setembro outubro novembro dezembro",
    "januari februari maart april mei juni juli augustus september oktober november december",
    "januari februari mars april maj juni juli augusti september oktober november december",
    "jänner feber mrz",
    "stycznia lutego marca kwietnia maja czerwca lipca sierpnia września października listopada grudnia",
    "styczeń luty marzec kwiecień maj czerwiec lipiec sierpień wrzesień październik listopad grudzień",
    "ocak şubat mart nisan mayıs haziran temmuz ağustos eylül ekim kasım aralık",  # noqa: RUF001
)
_TERMS = ("winter", 1), ("spring", 3), ("summer", 6), ("fall", 9), ("autumn", 9)


def _months() -> dict[str, str]:
    meant: dict[str, set[int]] = {}
    for name, number in [*_TERMS, *((name, k) for names in _NAMES for k, name in enumerate(names.split(), 1))]:
        for letters in range(3, len(name) + 1):
            meant.setdefault(name[:letters], set()).add(number)
    return {name: str(*numbers) for name, numbers in meant.items() if len(numbers) == 1}


MONTHS = _months()
"""The numbers of months by their names, and by what these begin with from three letters on, where that says which; and
of the terms of a year (Fall 2023)."""

_YEAR, _MONTH = r"(?<year>(?:19|20)\d{2})", rf"(?<part>\d{{1,2}}|{NAME})"
QUARTER = rf"^{_YEAR}[-/. ]?[Qq]0?(?<part>[1-4])$", rf"^[Qq](?<part>[1-4])[-/. ]?{_YEAR}$"
WEEK = rf"^{_YEAR}[-/. ]?[Kk]?[Ww](?<part>\d{{1,2}})$", rf"^[Kk]?[Ww] ?(?<part>\d{{1,2}})[-/. ]{_YEAR}$"
MONTH = rf"^{_YEAR}(?:[-/ ]|-?M){_MONTH}$", rf"^{_MONTH}[-/ ]{_YEAR}$"
SHORT_MONTH = (rf"^(?<part>{NAME})[-/ '.](?<year>\d{{2}})$",)
SEASON = (rf"^{_YEAR}[-/](?<part>\d{{2}}|\d{{4}})$",)  # a year and the next one
"""Parts of a year, and what stands before and after: 2024-Q1, KW 5/2024 (weeks of ISO 8601), 2024M03, 2023/24."""


def year_first(text: pl.Series) -> pl.Series:
    """Dates and times that begin with the year."""
    try:
        dates = text.str.to_datetime(strict=False)
    except pl.exceptions.PolarsError:
        return _dates(text, "year", "month", "day", century=False)
    return dates if dates.null_count() == text.null_count() else _dates(text, "year", "month", "day", century=False)


def day_first(text: pl.Series) -> pl.Series:
    """Dates and times in which the day stands before the month."""
    return _dates(text, "day", "month", "year")


def month_first(text: pl.Series) -> pl.Series:
    """Dates and times in which the month stands before the day."""
    return _dates(text, "month", "day", "year")


def short_year_first(text: pl.Series) -> pl.Series:
    """Dates and times that begin with a year of two digits."""
    return _dates(text.set(~text.str.contains(SHORT_YEAR), None), "year", "month", "day")


def likelier(ours: pl.Series, theirs: pl.Series) -> int:
    """Which of two readings of dates is likelier as the rows stand: 1 for ours, -1 for theirs, 0 if that is not clear.

    It is the one that turns back far less often from row to row, or has far fewer years, or whose steps within a day go
    on evenly from day to day, unless the one speaks against the other. Days of several years may be the ends of these;
    times of day have no such reason.
    """
    ours, theirs = ours.drop_nulls(), theirs.drop_nulls()
    days, shown = bool((ours.dt.truncate("1d") == ours).all()), 0
    for measure, least in ((_turns, 2), (lambda dates: dates.dt.year().n_unique(), 10 if days else 2), (_jumps, 1)):
        our, their = measure(ours), measure(theirs)
        shown += (their >= 2 * our + least) - (our >= 2 * their + least)
    return (shown > 0) - (shown < 0)


def _turns(dates: pl.Series) -> int:
    changes = dates.to_physical().diff()
    return min(int((changes > 0).sum()), int((changes < 0).sum()))


def _jumps(dates: pl.Series) -> int:
    """How many gaps are not as most are; 0 where most are of a day or more, as days of months are not even."""
    gaps = dates.unique().sort().diff().dt.total_seconds().drop_nulls()
    usual = gaps.mode().sort()
    return int((gaps != usual[0]).sum()) if len(usual) and usual[0] < DAY else 0


def spelled(text: pl.Series, digits: int) -> pl.Series:
    """Dates of `digits` digits, or of one less where a leading zero was lost, with signs between year, month and day.

    Behind those of 8 digits may stand two more, an hour. The text as it is if it is anything else.
    """
    head = text.drop_nulls().head(SHOWING).str.zfill(digits)
    for pattern, ways in DIGITS.get(digits, ()):
        if all_fit(head, pattern) and all_fit(whole := text.str.zfill(digits), pattern):
            apart = whole.str.replace(pattern, "${1}-${2}-${3} ${4}").str.strip_chars_end("- ")
            if any(read(apart).null_count() == text.null_count() for read in ways):
                return apart
    return text


def month_by_name(text: pl.Series) -> pl.Series:
    """Dates and times that begin with the name of a month, or of a day of the week and a month."""
    first, second = (_moments(_parts(text, pattern)) for pattern in NAMED)
    return first.fill_null(second) if first.dtype == second.dtype else max(first, second, key=lambda each: each.count())


def without_year(text: pl.Series) -> pl.Series:
    """Times as in the logs of Unix, which name no year: those of 2000, which has all days."""
    return _moments(_parts(text, SYSLOG).with_columns(year=pl.lit("2000")))


def compact(text: pl.Series) -> pl.Series:
    """Dates and times without separators: 20240131T180500, 202401311805."""
    return _moments(_parts(text, COMPACT).with_columns(half=pl.lit(None, pl.String)))


def elapsed(text: pl.Series) -> pl.Series:
    """The seconds of days and hours, as pandas and Python write differences of times, or of hours and minutes."""
    days, hours, minutes, seconds = (part.cast(pl.Float64) for part in _parts(text, ELAPSED))
    return days.fill_null(0) * DAY + hours.fill_null(0) * 3600 + minutes * 60 + seconds


def lasting(text: pl.Series) -> pl.Series:
    """The seconds of durations with units; null everywhere where all have one unit, which may mean something else."""
    iso = text.str.contains("^P.").fill_null(True).all()
    parts = _parts(text, ISO_LASTING if iso else LASTING).cast(pl.Float64)
    counts = parts.select(pl.sum_horizontal(pl.all().is_not_null())).to_series()
    several = iso or bool((counts > 1).any())
    days, hours, minutes, seconds = parts.fill_null(0)
    return (days * DAY + hours * 3600 + minutes * 60 + seconds).set((counts == 0) | (not several), None)


def of_day(text: pl.Series) -> pl.Series:
    """Times of day."""
    parts = _parts(text, f"^{CLOCK}$")
    return _clock(parts).set(parts["hour"].is_null(), None).str.to_time("%H:%M:%S%.6f", strict=False)


def with_colons(text: pl.Series) -> pl.Series:
    """Times of day of 3 to 6 digits with colons; the text as it is if it is anything else."""
    longest = text.str.len_chars().max()
    padded = text.str.zfill(4 if longest in (3, 4) else 6)
    found = padded.str.contains(OF_DIGITS).all() and longest in (3, 4, 5, 6)
    return padded.str.replace(OF_DIGITS, "${1}:${2}:${3}").str.strip_chars_end(":") if found else text


def quarters(text: pl.Series) -> pl.Series:
    """The first days of quarters."""
    parts = _parts(text, *QUARTER)
    return _first_days(parts["year"], (3 * parts["part"].cast(pl.Int64) - 2).cast(pl.String))


def weeks(text: pl.Series) -> pl.Series:
    """The Mondays of weeks; the fourth of January is in the first one."""
    parts = _parts(text, *WEEK)
    part, fourth = parts["part"].cast(pl.Int64), (parts["year"] + "-01-04").str.to_date("%Y-%m-%d", strict=False)
    days = 7 * (part.set(part > 53, None) - 1) - fourth.dt.weekday() + 1
    return fourth + (days * 86_400_000).cast(pl.Duration("ms"))


def months(text: pl.Series) -> pl.Series:
    """The first days of months; of years that have two digits, as in Apr-23, if they are no days."""
    parts = _parts(text, *MONTH)
    if not parts["year"].count():
        short = _parts(text, *SHORT_MONTH)
        if short["year"].n_unique() <= max(2, short["part"].n_unique()):
            return short_months(text)
    return _first_days(parts["year"], _month(parts["part"]))


def short_months(text: pl.Series) -> pl.Series:
    """The first days of months of years that have two digits."""
    parts = _parts(text, *SHORT_MONTH)
    return _first_days(_in_full(parts["year"]), _month(parts["part"]))


def seasons(text: pl.Series) -> pl.Series:
    """The first days of the first years of seasons such as 2023/24."""
    parts = _parts(text, *SEASON)
    year, part = (parts[name].cast(pl.Int64) for name in ("year", "part"))
    return _first_days(parts["year"].set(part % 100 != (year + 1) % 100, None), pl.Series(["1"]))


def _parts(text: pl.Series, *patterns: str) -> pl.DataFrame:
    """The groups of the first pattern that each text fits."""
    first, *others = (text.str.extract_groups(pattern).struct.unnest() for pattern in patterns)
    for other in others:
        first = first.with_columns(column.fill_null(other[column.name]) for column in first)
    return first


def _in_full(year: pl.Series) -> pl.Series:
    """Years with four digits; those of two are from 1970 to 2069."""
    first = (year.cast(pl.Int64, strict=False) < 70).replace_strict({True: "20", False: "19"}, default=None)
    return year.set(year.str.len_chars() == 2, None).fill_null(first + year)


def _first_days(year: pl.Series, month: pl.Series) -> pl.Series:
    return (year + "-" + month.str.zfill(2) + "-01").str.to_date("%Y-%m-%d", strict=False)


def _dates(text: pl.Series, *order: str, century: bool = True) -> pl.Series:
    """Dates and times whose three numbers are year, month and day in this order; years may lack the `century`."""
    for pattern, signs in JOINED:
        text = text.str.replace(pattern, signs)
    parts = _parts(text.str.strip_chars_end(" :"), DATE).rename(dict(zip("abc", order, strict=True)))
    if century:
        parts = parts.with_columns(year=_in_full(parts["year"]))
    return _moments(parts)


def _moments(parts: pl.DataFrame) -> pl.Series:
    """Dates and times out of their parts: `year`, `month`, `day`, those of `CLOCK`, and `zone`."""
    year, month, day = (parts.get_column(name) for name in ("year", "month", "day"))
    year = year.set(year.str.len_chars() != 4, None)
    date = year + "-" + _month(month).str.zfill(2) + "-" + day.str.zfill(2)
    clock = _clock(parts)
    late = clock.str.contains(MIDNIGHT).cast(pl.Int64)
    whole = date + " " + clock.str.replace(MIDNIGHT, "00:00:00")
    times = whole.str.to_datetime("%Y-%m-%d %H:%M:%S%.6f", strict=False, time_unit="us")
    times += (late * 86_400_000_000).cast(pl.Duration("us"))
    zone = parts.get_column("zone")
    if zone.count() == 0 or zone.count() < times.count():
        return times if zone.count() == 0 else times.clear(len(times))
    signed = zone.str.replace(":", "").str.replace("Z|UTC|GMT", "+0000").cast(pl.Int64)
    minutes = signed.sign() * (signed.abs() // 100 * 60 + signed.abs() % 100)
    return (times - minutes.cast(pl.Duration("us")) * 60_000_000).dt.replace_time_zone("UTC")


def _month(text: pl.Series) -> pl.Series:
    """The numbers of months, whose names may be cut short."""
    return text.str.to_lowercase().str.strip_chars_end(".").replace(MONTHS)


def _clock(parts: pl.DataFrame) -> pl.Series:
    """Times of day as `HH:MM:SS.ffffff`, midnight where there is none."""
    hour = parts["hour"].cast(pl.Int64).fill_null(0)
    half = parts["half"].str.to_lowercase()
    hour = (hour % 12 + 12 * (half == "p").cast(pl.Int64)).fill_null(hour)
    minute, second = (parts[name].fill_null("00") for name in ("minute", "second"))
    fraction = parts["fraction"].fill_null("").str.slice(0, 6).str.pad_end(6, "0")
    return hour.cast(pl.String).str.zfill(2) + ":" + minute + ":" + second + "." + fraction


DIGITS: Mapping[int, Sequence[tuple[str, Sequence[Callable[[pl.Series], pl.Series]]]]] = {
    8: (
        (r"^((?:19|20)\d\d)(\d\d)(\d\d)$", [year_first]),
        (r"^((?:19|20)\d\d)(\d\d)(\d\d)(\d\d)$", [year_first]),
        (r"^(\d\d)(\d\d)((?:19|20)\d\d)$", [day_first, month_first]),
    ),
    6: ((r"^((?:19|20)\d\d)(\d\d)()$", [months]),),
}
"""Dates without signs between year, month and day, and what reads them with these."""

"""Numbers out of text: amounts, separators of thousands, and units; null where a field is none."""

from __future__ import annotations

from collections.abc import Collection

import polars as pl

LONE = r"^[+-]?(?:0|[1-9]\d{0,2}(?:\.\d{3})*)$"  # a number whose points may stand between thousands
THOUSANDS = r"^[+-]?\d+$", r"\.\d\d0$"  # where fields fit both, points may well stand between thousands
CODES = "USD|EUR|GBP|CHF|JPY|CNY|INR|BRL|CAD|AUD|NZD|SEK|NOK|DKK|PLN|CZK|HUF|MXN|ZAR|SGD|HKD|KRW|TRY"
CURRENCY = rf"(?:[A-Z]{{0,2}}[$€£¥₹₽₩₺]|(?:{CODES})\b)"  # what may stand before all numbers of a column, or after all
UNIT = f"{CURRENCY}|%"
AMOUNT = rf"^([-+]?)\s*({CURRENCY})?\s*(.*?)\s*([$€£¥₹₽₩₺%])?$"
WITH_UNIT = r"^([-+]?[\d.,]*\d(?:[ \u00a0\u202f]\d{3})*(?:[.,]\d+)?(?:[eE][-+]?\d+)?)(\s*)([\p{L}°℃℉/²³%]{1,8}|;)$"
"""A number, its thousands perhaps set apart, and a unit after it."""
AMOUNTS = rf"^(?:[-+<>≤≥~≈±\s]|{CURRENCY})*\d[\d.,]*\s*(?:[\p{{L}}°℃℉/²³%]{{1,8}}|{CURRENCY}|[-\u2013]\s*\d[\d.,]*)?$"
FEW_UNITS = 4  # more are names of something
MANY_NUMBERS = 20  # this many different numbers, or a fraction, show that what follows them is a unit
SECONDS = {
    **dict.fromkeys(("ms", "msec", "msecs"), 1e-3),
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds", "Sek"), 1.0),
    **dict.fromkeys(("min", "mins", "minute", "minutes", "Min"), 60.0),
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours", "Std"), 3600.0),
    **dict.fromkeys(("day", "days"), 86_400.0),
}
"""How many seconds a unit has that stands after all numbers of a column; a single m or d may mean something else."""

IN_PARENTHESES = rf"^\(({CURRENCY}?)\s*([\d.,].*)\)$"  # a negative amount, as accountants write it
BEHIND = r"^(\d[\d.,]*)-$"  # a negative amount, as SAP writes it
BEHIND_FRACTION = r"^\d[\d.,]*[.,]\d+-$"  # what shows that the minus is one, and no part of a grade such as 2-
EXPONENT = r"^([-+]?[\d.,]+)[dD]([-+]\d+)$"  # as Fortran writes it
LISTED = r"^\(\d{1,3}\)$"  # where all are so, they are the numbers of notes or of a list
NOTHING = rf"^({CURRENCY})\s*-$"  # and an amount of zero
MINUS = "\u2212\u2013"  # and the dash that word processors put in its place
LONG = r"^\d{17,}$"  # an id: the number nearest to it has other digits
ADDRESS = r"^(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)(?:\.|$)){4}$"  # an IPv4 address, no number with points

NINES = r"^-?9{2,}(?:\.9+|\.0)?$"
FEW_TIMES = 3  # a value that comes less often is no word for a missing one

NEARLY = 0.9  # of codes, a few may be a word

SHOWING = 100  # the first fields, which show whether there may be more of their kind


def all_fit(text: pl.Series, pattern: str) -> bool:
    """Whether all texts fit a pattern, and there is one; where not, the first ones show it as a rule."""
    some = text.drop_nulls()
    return len(some) > 0 and all(bool(part.str.contains(pattern).all()) for part in (some.head(SHOWING), some))


def plain(text: pl.Series) -> pl.Series:
    """Whole numbers or numbers without separators; null where a field is none."""
    head = text.head(SHOWING)
    for dtype in (pl.Int64, pl.UInt64):
        # The first fields show of most columns that they are of another type.
        if head.cast(dtype, strict=False).null_count() == head.null_count():
            numbers = text.cast(dtype, strict=False)
            if numbers.null_count() == text.null_count():
                return numbers
    numbers = text.cast(pl.Float64, strict=False)
    return numbers.clear(len(numbers)) if all_fit(text, LONG) else numbers


def without_decimals(column: pl.Series) -> pl.Series:
    """The column; one of type Decimal, as databases write numbers, as whole numbers or floats, where these hold all."""
    if not isinstance(column.dtype, pl.Decimal):
        return column
    numbers = column.cast(pl.Float64 if column.dtype.scale else pl.Int64, strict=False)
    return numbers if numbers.null_count() == column.null_count() else column


def may_be_amounts(text: pl.Series) -> bool:
    """Whether most texts are a number and a unit, a sign or a second number, though not in one way that can be read."""
    return 2 * (text.str.contains(AMOUNTS) & ~text.str.contains(r"^[\d.,]+$")).sum() > len(text)


def are_codes(texts: pl.Series) -> bool:
    """Whether nearly all texts hold a letter and a digit, and are no amount."""
    fits = texts.str.contains(r"\p{L}") & texts.str.contains(r"\d") & ~texts.str.contains(AMOUNTS)
    return len(texts) > 0 and fits.sum() >= NEARLY * len(texts)


def are_whole(numbers: pl.Series) -> bool:
    """Whether all that are there are whole numbers, and none too large for its last digit."""
    return bool(((numbers == numbers.round()) & (numbers.abs() < 2**53)).all())


def outlying_nines(column: pl.Series) -> list[str]:
    """Values such as -999 and 9999.9 that come several times, farther from others than these from each other."""
    if not pl.Series([column.min(), column.max()], dtype=column.dtype).cast(pl.String).str.contains(NINES).any():
        return []
    counts = column.drop_nulls().value_counts(name="n")
    values, nines = counts.to_series(), counts.to_series().cast(pl.String).str.contains(NINES)
    others = values.filter(~nines)
    if not len(others):
        return []
    low, high = float(others.min()), float(others.max())  # type: ignore[arg-type]
    far = (values > 2 * high - low) | (values < 2 * low - high)
    found = values.filter(nines & far & (counts["n"] >= FEW_TIMES)).sort()
    return found.cast(pl.String).str.strip_suffix(".0").to_list()


def separated(text: pl.Series, sign: str) -> pl.Series:
    """Numbers with a decimal sign, thousands set apart, and perhaps one unit for all."""
    if all_fit(text, LISTED):
        return text.clear(len(text)).cast(pl.Float64)
    if text.str.contains(f"^[(]|[{MINUS}]").any():
        text = text.str.replace_all(f"[{MINUS}]", "-").str.replace(IN_PARENTHESES, "${1}-${2}")
    if text.str.contains(BEHIND_FRACTION).any():
        text = text.str.replace(BEHIND, "-${1}")
    if text.str.contains(EXPONENT).any():
        text = text.str.replace(EXPONENT, "${1}e${2}")
    if text.str.contains(UNIT).any():
        negative, before, number, after = text.str.replace(NOTHING, "${1}0").str.extract_groups(AMOUNT).struct.unnest()
        units = before.fill_null(after)
        unit = units.drop_nulls().mode().sort().first()
        text = (negative + number).set(units.ne_missing(unit), None)
    thousands = "'\u2019 \u00a0\u202f" + (",", ".")[sign == ","]
    lakhs = r"|[1-9]\d?(?:,\d\d)+,\d{3}" if sign == "." else ""  # as in India
    grouped = rf"(?:[1-9]\d{{0,2}}(?:[{thousands}]\d{{3}})+{lakhs})(?:[{sign}]\d*)?"
    bare = rf"\d*(?:[{sign}]\d*)?(?:[eE][+-]?\d+)?"
    fits = text.str.contains(rf"^[+-]?(?:{grouped}|{bare})$") & ~text.str.contains(ADDRESS)
    return plain(text.set(~fits, None).str.replace_all(f"[{thousands}]", "").str.replace(",", ".", literal=True))


def as_values(words: Collection[str], dtype: pl.DataType) -> pl.Series:
    """Words as values of a type, text or numbers: those of them that can be one."""
    texts = pl.Series(list(words), dtype=pl.String)
    if dtype == pl.String:
        return texts
    numbers = texts.cast(pl.Float64, strict=False).drop_nulls()
    if dtype.is_integer():
        numbers = numbers.filter(numbers % 1 == 0)
    return numbers.cast(dtype, strict=False).drop_nulls()


def split_unit(text: pl.Series, missing: Collection[str], sure: bool) -> tuple[pl.Series, str]:
    """Numbers without the unit after each of them, and the unit; the text as it is and "" where there is none.

    `missing` are words, in small letters, for a missing value. Unless it is `sure`, codes such as `12A` have no unit,
    nor have few whole numbers, such as sizes and times.
    """
    first = next((field for field in text.drop_nulls().head(1000) if field.lower() not in missing), "")
    if not pl.Series([first]).str.contains(WITH_UNIT).all():
        return text, ""
    number, blank, unit = text.str.extract_groups(WITH_UNIT).struct.unnest()
    units = unit.drop_nulls().unique()
    if len(units) > 1 or (number.is_null() & text.is_not_null() & ~text.str.to_lowercase().is_in(missing)).any():
        return text, ""
    mark = units[0]
    fraction = bool(number.str.contains("[.,]").any())
    apart = (blank.drop_nulls() != "").all() or not mark.isalpha()
    shown = apart or (len(mark) > 1 and (fraction or sure or mark.islower()))
    enough = sure or fraction or number.n_unique() >= MANY_NUMBERS
    if mark == "%" or not (shown and enough) or max(separated(number, sign).count() for sign in ".,") < number.count():
        return text, ""
    return number.fill_null(text), mark


def text_of(column: pl.Series) -> str:
    """What to say of a column of text: that, whether it is numbers with several units, and how many fields are numbers.

    They are counted where many differ and a tenth of the fields are.

    Example:
        >>> text_of(pl.Series(["0.24 kg", "300 g"] * 20)), text_of(pl.Series(["on", "off"]))
        ("text: numbers with the units 'g' and 'kg'; in one unit they would be read as numbers", 'text')
    """
    some = column.str.strip_chars().drop_nulls().head(SHOWING)
    parts = some.filter(some != "").str.extract_groups(WITH_UNIT).struct.unnest()
    units = parts.to_series(2).unique().sort().to_list()  # None among them where a field has none
    if None in units or not 1 < len(units) <= FEW_UNITS:
        numbers = column.str.strip_chars().cast(pl.Float64, strict=False)
        numbers = numbers.filter(numbers.is_finite())
        many = numbers.n_unique() > MANY_NUMBERS and 10 * len(numbers) >= column.count()
        return f"text, though {len(numbers):,} of {column.count():,} fields are numbers" if many else "text"
    shown = ", ".join(map(repr, units[:-1])) + f" and {units[-1]!r}"
    return f"text: numbers with the units {shown}; in one unit they would be read as numbers"

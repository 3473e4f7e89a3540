"""Fields of text, and the values that they mean."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

import polars as pl

from bothways.errors import counted, option
from bothways.fields import times
from bothways.fields.kinds import DATES, IN_SECONDS, KINDS, LEFT_OUT, SHORT_YEAR, TEXT, TIMES, barred
from bothways.fields.names import digits_of_date, names_sequences
from bothways.fields.numbers import (
    BEHIND_FRACTION,
    IN_PARENTHESES,
    LONE,
    MANY_NUMBERS,
    SECONDS,
    SHOWING,
    THOUSANDS,
    UNIT,
    all_fit,
    are_codes,
    plain,
    separated,
    split_unit,
    without_decimals,
)
from bothways.settings import Reading

NO_DATES = ("0000-00-00", "00.00.0000", "00/00/0000")  # as MySQL and SAP write them
NO_VALUES = (
    *("\\n", "(null)", "<null>", "#value!", "#div/0!", "#ref!", "#num!", "#name?", "#na", "#n/a n/a"),
    *("#null!", "#nv", "#wert!", "#bezug!", "#zahl!", "#n/d", "#valeur!", "#nombre!", "#valor!", "#valore!"),
    *("1.#ind", "-1.#ind", "1.#qnan", "-1.#qnan"),
    *(date + time for date in NO_DATES for time in ("", " 00:00:00")),
)
"""What databases, spreadsheets and C write where there is no value."""

MISSING = (
    *("?", "-", "--", "---", ".", "n/a", "#n/a", "na", "<na>", "null", "none", "nan", "-nan", "nat", *NO_VALUES),
    *("nil", "missing", "n.a.", "no data", "not available", "..", "...", ":", "\u2013", "\u2014"),
    *("inf", "+inf", "-inf", "infinity", "+infinity", "-infinity"),
)
"""Words, in small letters, for a missing value where the other fields of the column are numbers or times."""

IN_FORMULA = '^="(.*)"$'  # a text that Excel leaves as it is

FEW_WORDS = 2  # where no more different fields of a column are no numbers, they may be words for a missing value
FEW_STRAY = 0.01  # where no more fields of a column are no times, the others are
HEX, FEW_BYTES = r"^(?:[\dA-F]{2})+$|^(?:[\da-f]{2})+$", 20  # bytes, if among so many one has a letter
PHONE = r"^\+\d{8,15}$"  # a number in the international form (E.164)

DOUBT = "numbers in doubt"  # what begins the notice of a column that stays text, as its numbers can be read in two ways

AS_STRINGS, NEGATIVE = "written as text", "are negative"

AM_PM = r"\d ?[AaPp]\.?[Mm]"  # where times of day are AM and PM, dates with slashes begin with the month

AS_SHOWN = Reading()  # nothing is asked for; the columns show how they are read


class LaterRowsDifferError(Exception):
    """A later row of a file that is read in pieces has a column or a kind of value that the first ones have not."""


@dataclass(eq=False)
class FieldReader:
    """Reads the fields of a table, at once or a batch at a time; each column in the way that fits all its fields.

    Where several ways fit, `reading` decides, then the other columns, then `learned`; else dates are day-first, or with
    AM and PM month-first, or begin with a year of two digits where dates so read rarely go back or have few years (see
    `times.likelier`); and numbers such as 12,345, or 1.200 beside 950, stay text and are in doubt.

    Text may be "fields" of any kind; "strings" stay text where all are whole numbers, or true and false, since other
    values of the file have types; "untyped" are fields of a file whose values could have types; "text" is text.

    `ids` that numbers would make one of two, as of 1.1 and 1.10, or of 01 and 1, stay text.
    """

    reading: Reading = AS_SHOWN  # what the user asked for
    learned: Reading = AS_SHOWN  # how the table was read that a model was trained on
    text: Collection[str] = ()  # columns that stay text
    fields: str = "fields"  # what text may be
    whole: bool = True  # whether the first frame is all there is
    numbers: Collection[str] = ()  # columns taken for numbers: text after these is a unit, times of day are durations
    ids: Collection[str] = ()  # columns that tell sequences apart, besides those whose names say so
    order: Collection[str] = ()  # columns that sort steps
    units: dict[str, str] = field(default_factory=dict, init=False)  # what stands after all numbers, by columns
    _names: list[str] = field(default_factory=list, init=False)
    _kinds: dict[str, str] = field(default_factory=dict, init=False)
    _types: dict[str, pl.DataType] = field(default_factory=dict, init=False)
    _shown: set[tuple[str, str]] = field(default_factory=set, init=False)
    _missing: dict[str, Counter[str]] = field(default_factory=dict, init=False)
    _notes: dict[str, str] = field(default_factory=dict, init=False)
    _clock: tuple[pl.Series, bool] | None = field(default=None, init=False)  # times of day, and if with AM and PM

    def read(self, frame: pl.DataFrame) -> pl.DataFrame:
        """The values of the fields; a frame after the first one is read as those before it.

        Where that cannot be, or where the first one does not show how to read it, LaterRowsDifferError is raised.
        """
        if self.fields == "text":
            return frame
        self._names = frame.columns
        frame = frame.with_columns(seconds(frame.schema, self.order, self.numbers))
        done: dict[str, pl.Series] = {}
        doubtful = {}
        for column in frame:
            name, column = column.name, self._spelled(column.name, without_decimals(column.alias("")))
            if column.dtype in (pl.Categorical, pl.Enum):
                done[name] = stripped(column.cast(pl.String))
                continue
            if column.dtype != pl.String:
                done[name] = as_text(column) if name in self.text and not column.dtype.is_nested() else column
                continue
            fields = stripped(column)
            if name in self.text:
                done[name] = self._without_words(fields)
                continue
            fields = self._without_unit(name, fields)
            done[name], ways = self._fitting(name, fields)
            if len(ways) > 1:
                doubtful[name] = fields, ways
            else:
                done[name] = self._taken(name, fields, *next(iter(ways.items()), ("text", done[name])))
        for name, (fields, ways) in doubtful.items():  # the other columns may settle how to read these
            kind = self._settled(name, fields, ways)
            done[name] = self._taken(name, fields, kind, ways.get(kind, done[name]))
        return pl.DataFrame(done)

    def notices(self) -> dict[str, str]:
        """What the user should be told of columns: how they are read, what is missing, and what is in doubt."""
        kinds = {name: text for name, kind in self._kinds.items() if (text := KINDS[kind].said)}
        units = {
            name: f"unit {unit!r}, {IN_SECONDS}" if unit in SECONDS else f"unit {unit!r} {LEFT_OUT}"
            for name, unit in self.units.items()
        }
        missing = {}
        for name, words in self._missing.items():
            shown = ", ".join(repr(word) for word, _ in words.most_common(3))
            missing[name] = f"{counted(words.total(), 'field is', 'fields are')} missing ({shown})"
        every = kinds, missing, units, self._notes
        said = {name: [each[name] for each in every if name in each] for name in self._names}
        return {name: "; ".join(texts) for name, texts in said.items() if texts}

    @property
    def decided(self) -> Reading:
        """`reading`, with what the columns show."""
        return Reading(self._words, self._choice("decimal"), self._choice("dates"))

    @property
    def _words(self) -> tuple[str, ...]:
        """The words that the user or a model says are missing values."""
        return tuple(dict.fromkeys([*self.reading.missing, *self.learned.missing]))

    @property
    def _lower_words(self) -> set[str]:
        """The same in small letters, and those that go without saying."""
        return {*MISSING, *map(str.lower, self._words)}

    def _without_words(self, fields: pl.Series) -> pl.Series:
        return fields.set(fields.is_in(words), None) if (words := self._words) else fields

    def _fitting(self, name: str, fields: pl.Series) -> tuple[pl.Series, dict[str, pl.Series]]:
        """The text of a column, null where a value is missing, and the ways to read it."""
        text = self._without_words(fields)
        if names_sequences(name) > 1 or (name in self.ids and names_sequences(name)):
            text = _without(text, MISSING)  # these name no sequence; a country or a stock may be called NA
        strict = self.fields == "strings" and name not in (*self.numbers, *self.order)
        ways = _ways(text, self._kinds.get(name), strict, barred(name, name in self.numbers))
        if name in self.order and not ways:
            months = times.short_months(text)
            ways = {"month": months} if months.null_count() == text.null_count() else {}
        if not ways and name in self._kinds:
            raise LaterRowsDifferError
        return text, ways

    def _choice(self, name: str) -> str | None:
        """What was asked for, or what all columns show that show anything, or what was learned."""
        shown = [value for option, value in self._shown if option == name]
        return getattr(self.reading, name) or (shown[0] if len(shown) == 1 else getattr(self.learned, name))

    def _settled(self, name: str, fields: pl.Series, ways: Mapping[str, pl.Series]) -> str:
        """Which of several ways it is; "text" where one cannot be told from the other."""
        first, second = list(ways)[:2]
        what = KINDS[second].choice[0]
        value = self._choice(what)
        for kind in ways:
            if value == KINDS[kind].choice[1]:
                return kind
        if first == "numbers" and not all(fields.str.contains(part).any() for part in THOUSANDS):
            return first
        if what == "dates":
            return self._order_of_dates(name, fields, ways)
        if not self.whole:
            raise LaterRowsDifferError
        ours, theirs = ways.values()
        if ours.equals(theirs):
            return first
        at = int((ours != theirs).arg_max() or 0)
        this, that = (option(*KINDS[kind].choice) for kind in (first, second))
        self._notes[name] = f"{DOUBT}: {ours[at]:.12g} ({this}) or {theirs[at]:.12g} ({that})?"
        return "text"

    def _order_of_dates(self, name: str, fields: pl.Series, ways: Mapping[str, pl.Series]) -> str:
        """The likeliest order of dates; a note says what else they may be."""
        clock, am_pm = self._clock or (None, False)
        american = "month-first" in ways and fields.str.contains("/" if am_pm else f"/.*{AM_PM}").any()
        if not self.whole and not (american and SHORT_YEAR not in ways):
            raise LaterRowsDifferError
        order, others = "month-first" if american else next(iter(ways)), list[str]()
        if clock is not None and len(clock) == len(fields):  # days alone do not show where steps jump
            ways = {kind: dates + clock.cast(pl.Duration("us")) for kind, dates in ways.items()}
        for kind, dates in ways.items():
            shown = times.likelier(dates, ways[order])
            if shown > 0:
                return kind
            if shown == 0 and not dates.equals(ways[order]):
                others.append(f"or {KINDS[kind].said.removeprefix(DATES)}? ({option(*KINDS[kind].choice)})")
        if others:
            self._notes[name] = "; ".join(others)
        return order

    def _without_unit(self, name: str, fields: pl.Series) -> pl.Series:
        """The fields without the unit that stands after all numbers, if one does."""
        numbers, unit = split_unit(fields, self._lower_words, name in self.numbers)
        known = self.units.get(name, unit)
        if (unit or known) and not self.whole and (name not in self.numbers or unit != known):
            raise LaterRowsDifferError  # other rows may have another one
        if unit and (self.whole or name not in self._kinds or name in self.units):
            self.units[name] = unit
            return numbers
        return fields

    def _spelled(self, name: str, column: pl.Series) -> pl.Series:
        """Dates of digits alone as text with signs between, if all are and the column is called after a clock."""
        digits, whole = digits_of_date(name), column.dtype != pl.String
        other = name in self.text or (name in self.numbers and name not in self.order)
        if other or not digits or not may_be_dates(name, column.dtype):
            return column
        text = column.cast(pl.String) if whole else stripped(column)
        bare = _without(text, self._lower_words)
        if not (dates := times.spelled(bare, digits)).equals(bare):
            return dates.fill_null(text)
        if whole and column.count() and self._kinds.setdefault(name, "numbers") != "numbers":
            raise LaterRowsDifferError
        return column

    def _joins_ids(self, name: str, fields: pl.Series, values: pl.Series) -> bool:
        """Whether numbers would make one id of two; fractions most of which differ are none, unless in `ids`."""
        if name in self.numbers:
            return False
        amounts = values.dtype.is_float() and 2 * values.n_unique() > values.count()
        if self.whole and (name in self.ids or (names_sequences(name) and not amounts)):
            return fields.set(values.is_null(), None).n_unique() > values.n_unique()
        if name not in self.ids or (values.cast(pl.String) == fields).all():
            return False
        if name in self._kinds:
            raise LaterRowsDifferError
        return True  # this id may be written in another way in a later row

    def _taken(self, name: str, fields: pl.Series, kind: str, values: pl.Series) -> pl.Series:
        """The values of fields that are read in one way, of which notes are taken."""
        if values.dtype.is_numeric() and self._joins_ids(name, fields, values):
            kind, values = "text", fields.set(values.is_null(), None)
        if kind == "text" and not self._missing.get(name, {}).keys() <= {*self._words}:
            raise LaterRowsDifferError  # a field that was missing is a word of the text
        if kind == "text" and name in self.numbers and not self.whole:
            raise LaterRowsDifferError  # what these are, other rows may show
        if values.dtype.is_numeric() and (factor := SECONDS.get(self.units.get(name, ""), 1.0)) != 1:
            values = values * factor
        if kind == "time of day":
            self._clock = values, fields.str.contains(AM_PM).any() or False
        if kind:
            self._kinds[name] = kind
            one = self._types.setdefault(name, values.dtype) == values.dtype or not values.dtype.is_temporal()
            if not one or (kind.startswith("decimal") and not self.whole and fields.str.contains(UNIT).any()):
                raise LaterRowsDifferError  # times with and without a zone; or a unit that other rows may lack
            if kind != "numbers" or values.dtype.is_float():
                self._shown.add(KINDS[kind].choice)
        if kind == "numbers" and self.fields != "fields" and fields.dtype == pl.String:
            self._notes[name] = AS_STRINGS
        if values.dtype.is_integer() and fields.str.contains(r"^0\d").any():
            self._notes[name] = f"zeros in front are {LEFT_OUT}"
        if values.dtype.is_numeric() and kind != "numbers":
            if fields.str.contains(IN_PARENTHESES).any():
                self._notes[name] = f"amounts in parentheses {NEGATIVE}"
            if fields.str.contains(BEHIND_FRACTION).any():
                self._notes[name] = f"amounts with a minus after them {NEGATIVE}"
        if values.null_count() > fields.null_count():
            words = fields.filter(values.is_null()).drop_nulls().to_list()
            self._missing.setdefault(name, Counter()).update(words)
        return values


def changed(reading: str) -> bool:
    """Whether a notice says that values are written in another way than their fields, none of which is missing."""
    return "missing" not in reading and reading.endswith((LEFT_OUT, IN_SECONDS, NEGATIVE, AS_STRINGS))


def not_numbers(column: pl.Series) -> tuple[int, int, list[str]] | None:
    """The first field that keeps a column of text from being numbers, how many do, and which, if they are a few words.

    None if most fields do, unless these are a few words and the others many numbers; and if they are codes, such as
    C168 among whole numbers.
    """
    text = stripped(column)
    if not text.str.contains(f"^(?:{KINDS['numbers'].looks})").any():
        return None
    words = text.str.to_lowercase().is_in(MISSING)
    numbers = max((separated(text, sign) for sign in ".,"), key=lambda each: each.count())
    stray = numbers.is_null() & text.is_not_null()
    named = stray & ~words if (stray & ~words).any() else stray
    differ = text.filter(named).unique().sort()
    few = len(differ) <= FEW_WORDS
    if not few and numbers.dtype.is_integer() and are_codes(differ):
        return None
    least = FEW_BYTES if all_fit(text, HEX) else 1
    if numbers.count() < least * stray.sum() and not (few and numbers.n_unique() > MANY_NUMBERS):
        return None
    return int(named.arg_max() or 0), int(stray.sum()), differ.to_list() if few else []


def not_times(column: pl.Series) -> tuple[int, int, list[str]] | None:
    """The same of dates and times, of which a few fields at most are none, or words without digits among many."""
    head = stripped(column.drop_nulls().head(MANY_NUMBERS))
    shown = head.unique().drop_nulls().to_list()
    kinds = [name for name in TIMES if any(re.match(KINDS[name].looks, field) for field in shown)]
    if not kinds:
        return None
    for text in (head, stripped(column)):
        times = max((KINDS[kind].values(text) for kind in kinds), key=lambda each: each.count())
        stray = times.is_null() & text.is_not_null() & ~text.str.to_lowercase().is_in(MISSING)
        others = text.filter(stray).unique().sort().to_list()
        few = len(others) <= FEW_WORDS and not any(re.search(r"\d", word) for word in others)
        many = stray.sum() > max(1, FEW_STRAY * times.count())
        if not times.count() or (many and not few):
            return None
    few = few and times.n_unique() > MANY_NUMBERS
    if not others or (many and not few):
        return None
    return int(stray.arg_max() or 0), int(stray.sum()), others if few else []


def as_text(column: pl.Series) -> pl.Series:
    """A category as text: whole numbers without a point, whatever type they have and whatever stands beside them."""
    text = column.cast(pl.String)
    if column.dtype.is_float():
        whole = column.cast(pl.Int64, strict=False)
        text = whole.cast(pl.String).zip_with(whole.cast(pl.Float64) == column.cast(pl.Float64), text)
        text = text.set(~column.is_finite(), None)
    return text


def may_be_read(frame: pl.LazyFrame, schema: pl.Schema, reader: FieldReader) -> list[str]:
    """The columns whose first fields are something else to a reader, such as dates, or text in doubt, or empty."""
    places = [
        place
        for place, (name, dtype) in enumerate(schema.items())
        if dtype == pl.Decimal or (may_be_dates(name, dtype) and name not in reader.text)
    ]
    if not places:
        return []
    first = frame.select(pl.nth(places)).head(SHOWING).collect()
    read = reader.read(first)
    doubtful = {*reader.notices(), *(column.name for column in first if column.null_count() == len(column))}
    return [name for name in first.columns if read.schema[name] != schema[name] or name in doubtful]


def may_be_dates(name: str, dtype: pl.DataType) -> bool:
    """Whether a column is text, or of whole numbers that may be dates."""
    return dtype == pl.String or (dtype.is_integer() and digits_of_date(name) > 0)


def seconds(schema: pl.Schema, order: Collection[str] = (), numbers: Collection[str] = ()) -> list[pl.Expr]:
    """The columns that hold differences of times, in seconds; times of day, too, in columns that are `numbers`.

    Those that sort steps stay as they are.
    """
    found = []
    for place, (name, dtype) in enumerate(schema.items()):
        if isinstance(dtype, pl.Duration) and name not in order:
            found.append(pl.nth(place).dt.total_microseconds() / 1e6)
        elif dtype == pl.Time and name in numbers and name not in order:
            found.append(pl.nth(place).cast(pl.Int64) / 1e9)
    return found


def without_blanks() -> pl.Expr:
    """The columns of text and categories as text without blanks around it, as `stripped`."""
    return pl.selectors.by_dtype(TEXT).cast(pl.String).str.strip_chars().replace("", None)


def stripped(fields: pl.Series) -> pl.Series:
    """The text without blanks around it, and without what keeps Excel from reading it; null where nothing is left."""
    text = fields.str.strip_chars()
    if text.str.starts_with('="').any():
        text = text.str.replace(IN_FORMULA, "${1}").str.strip_chars()
    return text.set(text == "", None)


def _without(text: pl.Series, words: Collection[str]) -> pl.Series:
    """The text, null where it is one of some words in whatever letters."""
    return text.set(text.str.to_lowercase().is_in(words), None)


def _ways(text: pl.Series, kind: str | None, strict: bool, barred: Collection[str]) -> dict[str, pl.Series]:
    """The ways to read a column, or whether `kind` is one; none for text, and "" where nothing shows what it is.

    `strict` says that whole numbers are not written as text; `barred` are kinds that a column of its name has not.
    """
    if kind == "text":
        return {kind: text}
    numbers, rest = plain(text), text
    if numbers.null_count() > text.null_count() or (numbers.dtype.is_float() and not numbers.is_finite().all()):
        rest = _without(text, MISSING)
    if rest.null_count() == len(rest):
        return {kind or "": KINDS[kind].values(rest) if kind else rest}
    first = rest[rest.is_not_null().arg_max() or 0]
    if kind is None and all_fit(rest, PHONE):
        return {"text": text}
    ways, head = dict[str, pl.Series](), rest.head(SHOWING)
    for name in KINDS if kind is None else [kind]:
        if re.match(KINDS[name].looks, first) is None or name == "text" or name in barred:
            continue
        if name in TIMES and KINDS[name].values(head).null_count() > head.null_count():
            continue  # most columns of text show within their first rows that they are no times
        values = numbers if name == "numbers" and rest is text else KINDS[name].values(rest)
        if values.null_count() == rest.null_count():
            ways[name] = values
            lone = name == "numbers" and values.dtype.is_float() and rest.head(100).str.contains(LONE).all()
            if not (lone or name in ("decimal point", "day-first", "month-first")):
                break
    typed = [ways[name] for name in ("numbers", "true/false") if name in ways]
    if strict and kind is None and rest is text and typed and not typed[0].dtype.is_float():
        return {"text": text}
    ways.pop("decimal point" if "numbers" in ways else "", None)
    return ways

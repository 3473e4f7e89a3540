"""How the columns of a table become numbers: fitted on the train part, applied the same ever after."""

from __future__ import annotations

import itertools
import re
import reprlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from bothways.data.calendar import CLOCK, clock_of, timestamps
from bothways.data.spelling import VIEWS, views
from bothways.data.vectors import Vectors
from bothways.errors import DataError, ModelFileError, counted, option
from bothways.fields.reader import as_text
from bothways.sequences import Array, Numbers, Sequences, in_order
from bothways.tables.hints import column_notices
from bothways.tables.table import Table

SHOWN = 3  # at most this many unknown values are named
INCOMPLETE = "The description of columns in the model file is incomplete. Train the model again."
TRUTH = ("true", "True", "TRUE"), ("false", "False", "FALSE")  # as JSON, Python and R write it
KEPT = 1000  # at most this many unknown values of a column are counted one by one; a stream may bring new ones forever


@dataclass(frozen=True)
class Number:
    """A numeric column.

    `fill`, the mean of the train part, stands where a number is missing; with None, missing numbers are refused. If it
    is `flagged`, a further feature is 1 where the number is missing. A `double` one is read in double precision, since
    float32 would round its changes away.
    """

    name: str
    fill: float | None = None
    flagged: bool = False
    double: bool = False


@dataclass(frozen=True)
class Category:
    """A column of categories.

    `values` are those of the train part, the most frequent first, None among them for the empty field. The code of the
    first is 1; that of a value which is not among them is 0. Of words a `view`, one of `VIEWS`, may stand for them.
    """

    name: str
    values: tuple[str | None, ...]
    view: str = ""

    @cached_property
    def codes(self) -> dict[str | None, int]:
        """The code of each value; 1 and "1.0" have one unless both are values; so have true and "True" alone."""
        codes = {value: code for code, value in enumerate(self.values, 1)}
        for value, code in [] if self.view else list(codes.items()):
            if whole := re.fullmatch(r"(-?\d+)(\.0)?", value or ""):
                codes.setdefault(whole[1] if whole[2] else f"{value}.0", code)
        if {*codes} <= {None, *itertools.chain(*TRUTH)}:
            written = [(each, codes[value]) for same in TRUTH for value in same if value in codes for each in same]
            codes = dict([*written, *codes.items()])
        return codes


@dataclass(frozen=True)
class Encoding:
    """How the features of a table become an array: numbers, flags for missing ones, vectors, the gap of time, codes.

    With `gaps`, log(1 + the gap to the previous step) is a feature, in seconds ("times") or in units of the order
    column ("numbers", which durations are in seconds), 0 at the first step of a sequence.
    """

    numbers: tuple[Number, ...]
    categories: tuple[Category, ...] = ()
    gaps: str = ""
    vectors: Vectors | None = None  # those of the words of one of the categories; each of their numbers is a feature
    clock: tuple[str, ...] = ()  # the parts of `bothways.data.calendar.CLOCK` that are features

    @property
    def _features(self) -> Iterator[tuple[str, str]]:
        """Each column of the array, after the column of the table that it is made of."""
        yield from ((number.name, number.name) for number in self.numbers)
        yield from ((number.name, f"{number.name} is missing") for number in self.numbers if number.flagged)
        yield from ((self.vectors.column, name) for name in self.vectors.names) if self.vectors else ()
        yield from [("gap to the previous step", "gap")] if self.gaps else ()
        yield from ((part, part) for part in self.clock)
        yield from ((each.name, f"{each.name}, {each.view}" if each.view else each.name) for each in self.categories)

    @property
    def order(self) -> str:
        """What the order column must be, "times" or "numbers", since features are made of it; "" if none is."""
        return "times" if self.clock else self.gaps

    @property
    def of_order(self) -> slice:
        """The places of the features that are made of the order column: the gap, then the parts of the clock."""
        end = len(self.names) - len(self.categories)
        return slice(end - bool(self.gaps) - len(self.clock), end)

    @property
    def names(self) -> tuple[str, ...]:
        """What the columns of the array are, in order."""
        return tuple(name for _, name in self._features)

    @property
    def flags(self) -> tuple[tuple[int, int], ...]:
        """The places of the numbers that have flags, each with that of its flag."""
        flagged = (at for at, number in enumerate(self.numbers) if number.flagged)
        return tuple((at, flag) for flag, at in enumerate(flagged, len(self.numbers)))

    @property
    def places(self) -> dict[str, list[int]]:
        """For each column of the table the places of what it becomes in `names`; the gap of time counts as a column."""
        places: dict[str, list[int]] = {}
        for place, (column, _) in enumerate(self._features):
            places.setdefault(column, []).append(place)
        return places

    @property
    def read(self) -> tuple[str, ...]:
        """The columns of the table that it reads."""
        return (*(number.name for number in self.numbers), *self.texts)

    @property
    def dtype(self) -> np.dtype[Any]:
        """That of the array."""
        return np.dtype(np.float64 if any(number.double for number in self.numbers) else np.float32)

    @property
    def dimensions(self) -> int:
        """How many numbers the vector of a word has; 0 without vectors."""
        return self.vectors.size if self.vectors else 0

    @property
    def sizes(self) -> tuple[int, ...]:
        """How many codes each category has, 0 included."""
        return tuple(len(category.values) + 1 for category in self.categories)

    @property
    def texts(self) -> tuple[str, ...]:
        """The columns that are to be read as text from files that know no types."""
        return tuple(dict.fromkeys(category.name for category in self.categories))

    def words(self, least: int = 1) -> str | None:
        """The category with the most values, at least `least`, most of which have a letter; None if there is none."""
        found = {}
        for name, values in ((each.name, each.values) for each in self.categories if not each.view):
            words = sum(any(letter.isalpha() for letter in value or "") for value in values)
            if len(values) >= least and words > len(values) / 2:
                found[name] = len(values)
        return max(found, key=found.__getitem__, default=None)

    def encode(self, table: Table, order: str | None, sequences: Sequences, tally: Tally) -> Array:
        """The features `(steps, names)` of sequences of a table, all finite; `tally` counts what was not known."""
        rows = sequences.table_rows
        inputs = table.columns(list(self.read))
        if not (inputs.height == len(rows) and in_order(rows)):
            inputs = inputs.select(pl.all().gather(rows))
        values = np.empty((len(rows), len(self.names)), self.dtype)
        for at, number in enumerate(self.numbers):
            column, missing = float_column(inputs.get_column(number.name).alias(""), number.double)
            if missing is not None and number.fill is None:
                raise DataError(
                    f"{table.place(int(rows[missing].min()))}, column {number.name!r} is empty. Such rows: "
                    f"{missing.sum()}. Fill them, remove these rows, or leave the column out with "
                    f"{option('drop', number.name)}."
                )
            values[:, at] = column.fill_null(np.nan).to_numpy()
        made = self.of_order
        by_column = itertools.groupby(self.categories, lambda category: category.name)
        codes = (_codes(list(each), as_text(inputs.get_column(name)), tally) for name, each in by_column)
        for at, of_category in enumerate(itertools.chain.from_iterable(codes), made.stop):
            values[:, at] = of_category
        if self.vectors is not None:
            words = as_text(inputs.get_column(self.vectors.column))
            values[:, made.start - self.vectors.size : made.start] = self.vectors.of(words)
        if self.order:
            places = table.column(str(order)).gather(rows)
            gaps = [gaps_of(places, sequences.offsets)[:, None]] if self.gaps else []
            clock = [clock_of(timestamps(places), self.clock)] if self.clock else []
            values[:, made] = np.hstack([*gaps, *clock])
        self._complete(values, tally)
        return values

    def encode_arrays(self, sequences: Sequences, tally: Tally | None = None) -> Sequences:
        """Sequences from arrays as a network takes them; their columns are named by their numbers."""
        values, tally = np.empty((sequences.steps, len(self.names)), sequences.values.dtype), tally or Tally()
        for at, number in enumerate(self.numbers):
            values[:, at] = sequences.values[:, int(number.name)]
        for at, category in enumerate(self.categories, self.of_order.stop):
            known = np.array([-1 if value is None else int(value) for value in category.values])
            codes = np.nan_to_num(sequences.values[:, int(category.name)], nan=-1).astype(np.int64)
            order = np.argsort(known)
            places = np.searchsorted(known, codes, sorter=order).clip(max=len(known) - 1)
            values[:, at] = np.where(known[order[places]] == codes, order[places] + 1, 0) if len(known) else 0
            unknown, counts = np.unique(codes[(values[:, at] == 0) & (codes > 0)], return_counts=True)
            if len(unknown):
                tally.count_unknown(category.name, dict(zip(map(str, unknown), counts.tolist(), strict=True)))
        self._complete(values, tally)
        return replace(sequences, values=values, flags=self.flags)

    def _complete(self, values: Array, tally: Tally) -> None:
        """Fill missing numbers, and put flags behind them."""
        flag = len(self.numbers)
        levels = values[:, :flag]
        for at, number in enumerate(self.numbers):
            missing = np.isnan(levels[:, at])
            if count := int(missing.sum()):
                levels[missing, at] = number.fill
                if not number.flagged:
                    tally.filled[number.name] += count
            if number.flagged:
                values[:, flag] = missing
                flag += 1

    def to_json(self) -> dict[str, Any]:
        """The same as plain JSON values, without the words and numbers of vectors."""
        said = None if self.vectors is None else self.vectors.to_json()
        return asdict(replace(self, vectors=None)) | {"vectors": said}

    @classmethod
    def from_json(cls, data: Mapping[str, Any], arrays: Mapping[str, Array] = {}) -> Encoding:
        """The encoding that `to_json` described, with the arrays of its vectors."""
        try:
            encoding = cls(
                tuple(Number(each["name"], each["fill"], each["flagged"], each["double"]) for each in data["numbers"]),
                tuple(Category(each["name"], tuple(each["values"]), each["view"]) for each in data["categories"]),
                data["gaps"],
                Vectors.from_json(data["vectors"], arrays) if arrays or data["vectors"] is not None else None,
                tuple(data.get("clock", ())),
            )
            names = encoding.read
            if not (
                all(isinstance(name, str) for name in names)
                and 0 < len(names) == len(set(names))
                and all({type(each.flagged), type(each.double)} == {bool} for each in encoding.numbers)
                and all(_is_fill(each.fill) for each in encoding.numbers)
                and all(
                    all(value is None or isinstance(value, str) for value in each.values)
                    and len(each.values) == len(set(each.values))
                    and each.view in ("", *VIEWS)
                    for each in encoding.categories
                )
                and len({(each.name, each.view) for each in encoding.categories}) == len(encoding.categories)
                and encoding.gaps in ("", "times", "numbers")
                and encoding.clock in [tuple(part for part in CLOCK if part in encoding.clock)]
                and not (encoding.clock and encoding.gaps == "numbers")
                and (encoding.vectors is None or encoding.vectors.column in encoding.texts)
            ):
                raise ValueError
        except (KeyError, TypeError, ValueError):
            raise ModelFileError(INCOMPLETE) from None
        return encoding


@dataclass(eq=False)
class Tally:
    """What encoding met that training had not: by column, numbers that were filled, and values that are not known.

    Of each column the first 1,000 `unknown` values are kept, and of `others` the number of rows. Columns that are
    `spelled` are read by the spelling of their values, too.
    """

    filled: Counter[str] = field(default_factory=Counter)
    unknown: dict[str, Counter[str]] = field(default_factory=dict)
    others: Counter[str] = field(default_factory=Counter)
    spelled: set[str] = field(default_factory=set)

    def count_unknown(self, name: str, values: Mapping[str, int]) -> None:
        """Take in how often a column had unknown values."""
        kept = self.unknown.setdefault(name, Counter())
        for value, count in values.items():
            if value in kept or len(kept) < KEPT:
                kept[value] += count
            else:
                self.others[name] += count

    def to_json(self) -> dict[str, Any]:
        """The counts as JSON holds them."""
        unknown = {name: dict(values) for name, values in self.unknown.items()}
        counts = {"filled": dict(self.filled), "unknown": unknown, "others": dict(self.others)}
        return {**counts, "spelled": sorted(self.spelled)}

    def add_json(self, described: Mapping[str, Any]) -> None:
        """Take in what `to_json` gave."""
        self.filled.update(described["filled"])
        for name, values in described["unknown"].items():
            self.count_unknown(name, values)
        self.others.update(described["others"])
        self.spelled |= {*described["spelled"]}

    def notices(self) -> list[str]:
        """The same in words."""
        met = "without a finite number, which training never met; filled with the mean of the train part"
        notices = column_notices((name, f"{counted(count, 'row')} {met}") for name, count in self.filled.items())
        for name, values in self.unknown.items():
            shown = ", ".join(reprlib.repr(value) for value, _ in values.most_common(SHOWN))
            least = "at least " if self.others[name] else ""
            more = f" and {least}{len(values) - SHOWN} more" if len(values) > SHOWN else ""
            rows = counted(values.total() + self.others[name], "row")
            notices.append(
                f"Column {name!r}: {rows} with values that training never saw ({shown}{more}); they "
                f"are {'known by their spelling' if name in self.spelled else 'read as unknown'}."
            )
        return notices


def gaps_of(places: pl.Series, offsets: Numbers) -> npt.NDArray[np.float32]:
    """log(1 + the gap to the previous step), in seconds where places are times; 0 at the first step of a sequence."""
    if places.dtype.is_signed_integer():  # the difference of two of 8 bits may take more
        places = places.cast(pl.Int64)
    gaps = places.diff()
    if isinstance(gaps.dtype, pl.Duration):  # in its own unit: centuries have too many nanoseconds
        gaps = gaps.to_physical() / {"ns": 1e9, "us": 1e6, "ms": 1e3}[gaps.dtype.time_unit]
    seconds = gaps.cast(pl.Float64).fill_null(0.0).to_numpy().copy()
    seconds[offsets[:-1][np.diff(offsets) > 0]] = 0.0
    return np.asarray(np.log1p(seconds), np.float32)


def float_column(column: pl.Series, double: bool = False) -> tuple[pl.Series, npt.NDArray[np.bool_] | None]:
    """The column as float32, or float64, null where it is missing or too large for float32; and where that is."""
    numbers = column.cast(pl.Float32, strict=False)
    finite = numbers.is_finite()
    if double:
        numbers = column.cast(pl.Float64, strict=False)
    if not finite.all():
        numbers = numbers.set(~finite, None)
    return numbers, numbers.is_null().to_numpy() if numbers.null_count() else None


def _codes(categories: Sequence[Category], text: pl.Series, tally: Tally) -> Iterator[npt.NDArray[Any]]:
    """The codes of a column for each of its categories; unknown values are counted."""
    words = text.alias("text").to_frame()
    distinct = words.unique(maintain_order=True)
    codes = [
        _known(category, views(category.view, distinct["text"])).alias(str(i)) for i, category in enumerate(categories)
    ]
    found = words.join(distinct.with_columns(codes), on="text", how="left", nulls_equal=True, maintain_order="left")
    unknown = found.filter(pl.col("0").eq(0) & pl.col("text").is_not_null())
    unknown = unknown.group_by("text", maintain_order=True).len()
    if len(unknown):
        tally.spelled |= {category.name for category in categories if category.view}
        tally.count_unknown(categories[0].name, dict(unknown.iter_rows()))
    for i in range(len(categories)):
        yield found[str(i)].to_numpy()


def _known(category: Category, text: pl.Series) -> pl.Series:
    codes = category.codes
    known, code = pl.Series([*codes], dtype=pl.String), pl.Series([*codes.values()], dtype=pl.UInt32)
    return text.replace_strict(known, code, default=0)


def _is_fill(value: Any) -> bool:
    """Whether it can stand where a number is missing, in float32."""
    return value is None or (isinstance(value, float) and abs(value) <= float(np.finfo(np.float32).max))

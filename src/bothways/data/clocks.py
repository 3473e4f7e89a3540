"""Which columns are clocks or counters, and which of them sorts the steps."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from itertools import takewhile

import numpy as np
import polars as pl

from bothways.data.columns import TOLD, Guess
from bothways.errors import DataError, counted, option
from bothways.fields.names import clock_rank, last_word, names_time_of_day, part_of_time
from bothways.fields.numbers import all_fit, are_whole
from bothways.fields.times import elapsed, with_colons
from bothways.sequences import Array, Bools, Numbers
from bothways.tables.table import Table

ROW_NUMBERS = ("", "__index_level_0__", "Unnamed: 0")  # the names under which pandas writes the numbers of the rows
RANGES = {
    **{"year": (1000, 2999), "quarter": (1, 4), "week": (0, 53), "month": (1, 12), "day": (1, 31)},
    **{"hour": (0, 24), "minute": (0, 59), "second": (0, 59)},
}
"""The whole numbers that a part of a time may be."""

CHAINS = (("year", "month", "day", "hour", "minute", "second"), ("year", "quarter"), ("year", "week"))
"""Which columns tell a time together: as many from the left as there are, but not the first one alone."""

FEW_EMPTY = 0.01  # a column of which no more is empty would sort the rows, were it not for these
FEW_STEPS = 10  # fewer steps show no pattern
MANY_VALUES = 20  # a counter has as many values at least
HEAD = 10_000  # patterns are looked for in the first steps; what is not found there is not looked for in all

ORDER_REASONS: Mapping[int, str] = {
    0: "a date or time; it rises from row to row",
    1: "by its name; it rises from row to row",
    2: "a date or time; the newest rows stand first",
    3: "a date or time; the rows stand in another order",
    4: "by its name; the newest rows stand first",
    5: "by its name; the rows stand in another order",
    6: "it numbers the rows, which stand in another order",
}
"""Why a column sorts the steps, the best reason first."""

NO_ORDER, STARTS_OVER = 7, 8  # why a clock does not

TEXT_TIMES = r"^(?:[0-2]?\d\.[0-5]\d\.[0-5]\d|(?:[01]?\d|2[0-3]):[0-5]\d(?::[0-5]\d)?|24:00(?::00)?)$"
"""Times of day with points, as 18.00.00, or up to 24:00, which stay text; others are read as times."""

ROW_NAMES = ("id", "no", "nr", "num", "number", "row", "index", "idx", "line", "record", "order")
"""Last words in the name of a column that numbers rows."""

Steps = tuple[Numbers, Bools]
"""Rows, sequence after sequence as they stand, and whether the next one is of the same sequence."""


def clock_columns(table: Table, names: Collection[str], empty: int = 0) -> list[str]:
    """The columns that may sort steps: times, and numbers that are called after a clock or a counter.

    None has more than `empty` fields that are.
    """
    schema = table.schema
    likely = [name for name in names if schema[name].is_temporal() or (schema[name].is_numeric() and clock_rank(name))]
    return [name for name in likely if table.column(name).null_count() <= empty]


def guess_order(
    table: Table, sequence: str | None, names: Collection[str], *, needed: bool, counters: bool
) -> list[Guess]:
    """The column that sorts the steps, and the other clocks and counters, none of which is a feature in silence.

    The order column is the first that there is of

    1. a date or time that never falls within a sequence as the rows stand, then a number of which the same is true and
       that is called after a clock or counter (`t`, `step`, `event_time`, `index`);
    2. a date or time that never rises, the newest rows standing first;
    3. a date or time in any order, if it is called after a clock or there is no other;
    4. a number that is called `t`, `time`, `step` or the like and never rises, or stands in any order and rarely
       comes twice in a sequence; called `index`, `frame` or the like, only if it is evenly spaced;
    5. an `id`, `index` or the like that numbers the rows, which stand in another order.

    All other dates, times and clocks are left out, and so is a number that grows by the same amount from step to step.
    In one or two sequences, which are cut in time, whole numbers that only rise or only fall are left out as well: they
    count something, and training sees none of those that follow. Numbers with fractions are readings, as of a meter,
    and stay features; they are told. Unless an order column is `needed`, the others are looked at all the same;
    columns that are not called after clocks, unless `counters` is false.

    Refused are rows that are sorted by their dates alone and whose times of day stand in another order, and a column
    that would sort them but is empty in a few.
    """
    schema, clocks = table.schema, clock_columns(table, names)
    sequences = names_by_file(table, sequence, clocks)
    if sequences is None:
        sequences = table.names_of_sequences(sequence)
    steps = grouped_rows(sequences, len(table))
    ranks, usable = _ranked(table, clocks, names, steps, one=sequences is None)
    order = min(usable, key=lambda name: (ranks[name][0], -ranks[name][1]), default=None) if needed else None
    guesses = []
    if order is not None:
        rank = ranks[order][0]
        cure = f" ({option('order', 'none')} to keep the rows so)" if rank > 1 else ""
        guesses.append(Guess(order, "order", ORDER_REASONS[rank] + cure))
        _check_times_of_day(table, order, names, steps)
    elif needed:
        _check_few_empty(table, names, sequences)
    numbers = {name for name in names if schema[name].is_numeric() and (counters or name in usable)}
    for name in (name for name in names if name in numbers or schema[name].is_temporal()):
        if name == order:
            continue
        guess = _other_clock(table, name, ranks.get(name), steps, order, name in usable, needed)
        if guess is not None:
            order = name if guess.role == "order" else order
            guesses.append(guess)
    return sorted(guesses, key=lambda guess: guess.role != "order")


def _ranked(
    table: Table, clocks: Collection[str], names: Collection[str], steps: Steps, *, one: bool
) -> tuple[dict[str, tuple[int, int]], list[str]]:
    """How well each clock sorts the steps, as `_rank` says, and which may; `one` says that there is one sequence."""
    times = [name for name in clocks if table.schema[name].is_temporal()]
    finer = _days_of_times(table, times)
    alone = {*finer.values(), *(times if len(times) == 1 else ())}
    ranks = {name: _rank(name, table.column(name), steps, one, name in alone) for name in clocks}
    usable = [name for name in clocks if ranks[name][0] in ORDER_REASONS and name not in finer]
    if any(ranks[name][0] == 4 for name in usable) and any(_counts_steps(table, name, steps) for name in names):
        usable = [name for name in usable if ranks[name][0] != 4]  # the rows do stand in order: it counts down
    return ranks, usable


def _other_clock(
    table: Table, name: str, ranked: tuple[int, int] | None, steps: Steps, order: str | None, usable: bool, needed: bool
) -> Guess | None:
    """What becomes of a time or number that is not the `order`; of numbers that are no clock, see `_counter`."""
    column, (rank, count) = table.column(name), ranked or (NO_ORDER, 0)
    temporal, clock = column.dtype.is_temporal(), clock_rank(name) == 2
    needed = needed and order is None
    if rank == STARTS_OVER:
        why = f"starts over {counted(count, 'time')}, and no column tells these sequences apart"
    elif (clock or (temporal and order is None)) and (empty := column.null_count()):
        what, first = "a date or time" if temporal else "a clock", table.place(int(column.is_null().arg_max() or 0))
        why = f"{what}, but empty in {counted(empty, 'row')}, so it sorts nothing; see {first}"
    elif usable:
        why = f"sorts the steps as {order!r} does" if order is not None and rank <= 1 else "a clock"
    elif column.dtype == pl.Time:
        mixed = 10 * count > len(table)  # else the rows of each day, or game, stand in order
        sort = f"{option('order', name)} to sort the steps by it, " if needed and mixed else ""
        why = f"a time of day ({sort}{option('numeric', name)} if it is how long something took)"
    elif temporal:
        why = "a date or time"
    else:
        guess = _counter(name, column, steps, needed)
        if guess is None and clock and ranked is not None:
            guess = Guess(name, "feature", f"numbers, though called after a clock ({option('drop', name)}?)")
        return guess
    return Guess(name, "left out", why)


def _rank(name: str, column: pl.Series, steps: Steps, one: bool, alone: bool) -> tuple[int, int]:
    """How well a clock sorts the steps, a key of `ORDER_REASONS`, `NO_ORDER` or `STARTS_OVER`; and how often.

    `one` says that there is one sequence, `alone` that there is no other time.
    """
    rows, same = steps
    values, temporal, clock = numbers_of(column)[rows], column.dtype.is_temporal(), clock_rank(name)
    ups, downs = (0, 0) if np.isinf(values).any() else moves(values, same)
    if not ups + downs or (not temporal and ups + downs < min(MANY_VALUES, same.sum() / 2)):
        return NO_ORDER, 0
    if not downs:
        return 0 if temporal else 1, ups
    if not ups and (temporal or clock == 2):
        return 2 if temporal else 4, downs
    if column.dtype == pl.Time or not ups:
        return NO_ORDER, min(ups, downs)
    falls, low = np.flatnonzero((values[1:] < values[:-1]) & same), values.min()
    over = downs <= 0.1 * len(same) and np.median((values[falls + 1] - low) / (values[falls] - low)) < 0.1
    if one and over:
        return STARTS_OVER, downs
    if temporal:
        return (3 if clock or alone else NO_ORDER), ups + downs
    if over:
        return NO_ORDER, 0  # such as minutes and seconds of several hours
    gaps = np.diff(values[_sorted_within(values, same)])[same]
    gaps = gaps[gaps > 0]
    even = len(gaps) and np.unique(gaps, return_counts=True)[1].max() >= len(gaps) / 2
    return (5 if len(gaps) > same.sum() / 2 and (clock == 2 or even) else NO_ORDER), len(gaps)


def _check_few_empty(table: Table, names: Collection[str], sequences: pl.Series | None) -> None:
    """Refuse a few empty fields in a column that would sort rows which do not stand in its order."""
    some = clock_columns(table, names, max(1, int(FEW_EMPTY * len(table))))
    times = [name for name in some if table.schema[name].is_temporal()]
    for name in (name for name in some if table.column(name).null_count()):
        there = table.column(name).is_not_null()
        steps = grouped_rows(None if sequences is None else sequences.filter(there), int(there.sum()))
        rank, _ = _rank(name, table.column(name).filter(there), steps, sequences is None, times == [name])
        if rank not in (0, 1, NO_ORDER):
            raise DataError(
                f"{table.place(int(there.arg_min() or 0))}, column {name!r} is empty "
                f"({counted(int((~there).sum()), 'such row')}), so it cannot sort the rows, which do not stand in its "
                f"order. Fill such fields, or remove these rows; or leave the column out ({option('drop', name)}) to "
                "take the rows as they stand."
            )


def _check_times_of_day(table: Table, order: str, names: Collection[str], steps: Steps) -> None:
    """Refuse rows that stand in the order of dates and not of the times of day in another column."""
    dates = table.column(order)
    if not days_only(dates):
        return
    rows, same = steps
    for name in names:
        column = table.column(name)
        hours = column.dtype.is_integer() and last_word(name) in ("hour", "hours")
        several = column.dtype == pl.String and all_fit(column, TEXT_TIMES)
        if several:
            column = elapsed(column.str.replace_all(".", ":", literal=True))
        if not (column.dtype == pl.Time or hours or several):
            continue
        places = rows[_sorted_within(numbers_of(dates)[rows], same)]
        tied = same & (dates.gather(places)[1:] == dates.gather(places)[:-1]).to_numpy()
        ups, downs = moves(numbers_of(column)[places], tied)
        if min(ups, downs) > 0.1 * (ups + downs):
            raise DataError(
                f"{table.source}: the rows do not stand in the order that {order!r} and {name!r} say together. "
                f"{two_columns(order, name)}; or to take those of one day as they stand: {option('order', order)}."
            )


def _counts_steps(table: Table, name: str, steps: Steps) -> bool:
    """Whether whole numbers rise by one from row to row of each of several sequences, and start over with the next."""
    if not table.schema[name].is_integer():
        return False
    rows, same = steps
    rises = np.diff(numbers_of(table.column(name))[rows])
    return not same.all() and bool((rises[same] == 1).all() and (rises[~same] < 0).all())


def _counter(name: str, column: pl.Series, steps: Steps, needed: bool) -> Guess | None:
    """A word about numbers that rise or fall all the time, or number the rows in another order."""
    _, same = steps
    few = np.count_nonzero(~same) < 2  # one sequence or two
    whole, keep = column.dtype.is_integer() or are_whole(column), option("numeric", name)
    if name in ROW_NUMBERS or (whole and few):
        guess = _numbers_of_rows(name, column, needed)
        if guess is not None:
            return guess
    differences = _differences(column, steps)
    if differences is None:
        return None
    values, rises = numbers_of(column), differences.max() > 0
    if np.allclose(differences, differences[0], rtol=1e-3, atol=4 * np.spacing(np.abs(values).max())):
        sort = f"{option('order', name)} to sort by it, " if needed and rises else ""
        grows = f"{'rises' if rises else 'falls'} by the same amount with each step, as a counter does"
        return Guess(name, "left out", f"{grows} ({sort}{keep} to learn from it)")
    if whole and (np.diff(values) == 1).all():
        return Guess(name, "left out", f"numbers the rows ({keep} to learn from it)")
    if np.count_nonzero(differences) < MANY_VALUES or column.n_unique() < 3:  # two values make a flag, no meter
        return None
    only = "only rises" if rises else "only falls"
    if whole and few:
        runs = same.all() and 2 * column.n_unique() <= len(column)
        apart = f"{option('sequence', name)} if it tells sequences apart, " if runs else ""
        return Guess(name, "left out", f"{only}, as a counter does ({apart}{keep} to learn from it)")
    only += "" if few else " within sequences"
    sort = f"{option('order', name)} if it is a clock, " if needed and rises else ""
    return Guess(name, "feature", f"numbers; {only}, as a meter does ({sort}{option('drop', name)} if it is a counter)")


def _numbers_of_rows(name: str, column: pl.Series, needed: bool) -> Guess | None:
    """A word about whole numbers that number all rows in another order, or that pandas wrote beside them."""
    places = column.drop_nulls().unique().sort()
    every = len(places) == len(column) >= MANY_VALUES and places[-1] - places[0] + 1 == len(column)
    if every and not (column.is_sorted() or column.is_sorted(descending=True)):
        if needed and (name in ROW_NUMBERS or last_word(name) in ROW_NAMES):
            return Guess(name, "order", f"{ORDER_REASONS[6]} ({option('order', 'none')} to keep them so)")
        return Guess(name, "left out", f"numbers rows that stand in another order ({option('order', name)}?)")
    return Guess(name, "left out", "numbers the rows") if name in ROW_NUMBERS else None


def _differences(column: pl.Series, steps: Steps) -> Array | None:
    """By how much numbers change from step to step, if they only rise or only fall; None if not, or in few steps."""
    rows, same = steps
    values = numbers_of(column)
    if not np.isfinite(values).all():
        return None
    for part in (rows[:HEAD], rows):
        differences = np.diff(values[part])[same[: len(part) - 1]]
        if len(differences) < FEW_STEPS or (differences >= 0).all() == (differences <= 0).all():
            return None
    return differences


def names_by_file(table: Table, sequence: str | None, clocks: Collection[str]) -> pl.Series | None:
    """The names of sequences with their files, if each file counts its sequences anew; None if not.

    That is so where the best of the clocks start over: within a file they tell a sequence no time twice, but most of
    its times come again in another file. Times of day do so each day, numbers of rows in each file, and copies prove
    nothing.
    """
    files, schema, found = table.names_of_sequences(None), table.schema, None
    if sequence is None or files is None:
        return None
    numbers = [name for name, dtype in schema.items() if dtype.is_numeric()]
    worth = {name: 3 if schema[name].is_temporal() else clock_rank(name) for name in clocks}
    for clock in (name for name in worth if worth[name] == max(worth.values()) and schema[name] != pl.Time):
        frame = pl.DataFrame({"name": table.column(sequence), "file": files, "clock": table.column(clock)})
        if frame.n_unique() < len(frame):
            continue
        longest = pl.col("file").unique_counts().max()
        counts = frame.group_by("name").agg(pl.col("clock").n_unique(), longest).select("clock", "file").sum()
        again, others = (len(frame) - count for count in counts.row(0))
        copied = len(frame) - table.columns({sequence, clock, *numbers}).n_unique() if again else 0
        numbered = worth[clock] == 1 and frame.drop("name").n_unique() == len(frame)
        if not again or 2 * again < others or 2 * copied >= again or numbered:
            return None
        found = frame.select(pl.format("{} ({})", "name", "file")).to_series()
    return found


def grouped_rows(sequence: pl.Series | None, count: int) -> Steps:
    """Rows, sequence after sequence as they stand, and whether the next one is of the same sequence."""
    rows = np.arange(count)
    if sequence is None:
        return rows, np.ones(max(count - 1, 0), bool)
    if not one_run_each(sequence):
        rows = np.argsort(sequence.hash().to_numpy(), kind="stable")
        sequence = sequence.gather(rows)
    return rows, (~changes(sequence)).to_numpy()


def _sorted_within(values: Array, same: Bools) -> Numbers:
    """Where the values of each sequence stand in ascending order, one sequence after the other."""
    return np.lexsort((values, np.append(0, np.cumsum(~same))))


def days_only(column: pl.Series) -> bool:
    """Whether a column holds dates without a time of day."""
    if isinstance(column.dtype, pl.Datetime):
        return bool((column.dt.truncate("1d") == column).all())
    return column.dtype == pl.Date


def _days_of_times(table: Table, times: Collection[str]) -> dict[str, str]:
    """The columns that hold the days of the times in another one, and those that tell these, with the other one."""
    days = {name: table.column(name).dt.date() for name in times if days_only(table.column(name))}
    found = {name: whole for whole in times for name in table.joined.get(whole, ()) if name in times}
    for whole in times if days else ():
        if whole not in days and isinstance(table.schema[whole], pl.Datetime):
            dates = table.column(whole).dt.date()
            found |= {name: whole for name, column in days.items() if column.equals(dates)}
    return found


def time_of_day(table: Table, order: str | None) -> str | None:
    """The column of times of day that belongs to an order column of dates; None if there is none."""
    if order is None or not table.schema[order].is_temporal() or not days_only(table.column(order)):
        return None
    for name, dtype in table.schema.items():
        if dtype == pl.Time or (dtype == pl.String and all_fit(table.column(name), TEXT_TIMES)):
            return name
        digits = dtype.is_integer() or dtype == pl.String
        if digits and names_time_of_day(name) and _all_digits(table.column(name)):
            return name
    return None


def two_columns(date: str, time: str) -> str:
    """How to sort by a date and a time of day."""
    return f"{date!r} and {time!r} are one moment in two columns; to sort by both: {option('order', f'{date},{time}')}"


def moment_columns(table: Table, names: Collection[str]) -> str | None:
    """Which of the columns tell a time together, with commas between them; None if none do.

    These are whole numbers called `year`, `month`, `day` and so on, or a date and a time of day, where no other column
    tells more.
    """
    names = [name for name in names if "," not in name]
    parts = {part_of_time(name): name for name in reversed(names) if _is_part(table, name)}
    times = [name for name in names if isinstance(table.schema[name], (pl.Date, pl.Datetime))]
    if len(times) == 1 and days_only(table.column(times[0])):
        second = time_of_day(table, times[0]) or parts.get("hour")
        return f"{times[0]},{second}" if second in names else None
    for chain in CHAINS if not times else ():
        known = [parts[part] for part in takewhile(parts.__contains__, chain)]
        if len(known) > 1:
            return ",".join(known)
    return None


def guess_parts(table: Table, order: str) -> list[Guess]:
    """What becomes of the columns that tell the time together by which steps are sorted.

    Months, hours and the like may be learned from; days and years that are to come cannot.
    """
    return [
        Guess(name, "left out", TOLD)
        for name in table.joined.get(order, ())
        if part_of_time(name) in ("", "year") or table.schema[name].is_temporal()
    ]


def _is_part(table: Table, name: str) -> bool:
    """Whether a column holds the numbers of the part of a time that it is called after, or names of months."""
    part, dtype = part_of_time(name), table.schema[name]
    if part == "month" and dtype == pl.String:
        return True
    column = table.column(name)
    return bool(part) and dtype.is_integer() and not column.null_count() and are_within(column, part)


def are_within(numbers: pl.Series, part: str) -> bool:
    """Whether whole numbers may be a part of a time."""
    least, most = RANGES[part]
    return bool(least <= numbers.min() and numbers.max() <= most)  # type: ignore[operator]


def _all_digits(column: pl.Series) -> bool:
    """Whether all whole numbers, or texts of digits, are times of day, as 1805 is."""
    text = column.cast(pl.String)
    return not text.null_count() and all_fit(text, r"^\d+$") and all_fit(with_colons(text), ":")


def one_run_each(column: pl.Series) -> bool:
    """Whether all rows of each value stand together."""
    return int(changes(column).sum()) + 1 == column.n_unique()


def changes(column: pl.Series) -> pl.Series:
    """Whether each value but the first is another than the one before it."""
    return column[1:].ne_missing(column[:-1])


def moves(values: Array, same: Bools) -> tuple[int, int]:
    """How often values rise and fall from one step to the next of the same sequence."""
    return int((values[1:] > values[:-1])[same].sum()), int((values[1:] < values[:-1])[same].sum())


def numbers_of(column: pl.Series) -> Array:
    """A column as numbers that can be compared and subtracted."""
    numbers = column.to_physical()
    return (numbers.cast(pl.Int64, strict=False) if numbers.dtype.is_integer() else numbers).to_numpy()

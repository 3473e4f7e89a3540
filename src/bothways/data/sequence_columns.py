"""Which column tells sequences apart, where nobody says it; with the reason."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from itertools import product
from typing import NamedTuple

import numpy as np
import polars as pl

from bothways.data.clocks import (
    HEAD,
    changes,
    clock_columns,
    grouped_rows,
    numbers_of,
    one_run_each,
)
from bothways.data.columns import Columns, Guess
from bothways.data.proofs import Proof, proofs_of, starts_over
from bothways.errors import DataError, counted, option
from bothways.fields.kinds import TEXT
from bothways.fields.names import (
    IDS,
    NUMBERS,
    clock_rank,
    is_occasion,
    is_thing,
    last_word,
    names_sequences,
    names_time,
)
from bothways.fields.numbers import SHOWING, are_whole
from bothways.tables.table import Table

CUTS = "cuts sequences"  # the word about a column that cuts each sequence into runs
NEARLY = 0.9  # text of as many values as this share of the sequences is new in nearly each new one
MOST = 0.8  # a column with an id in at least this share of the rows is meant to tell sequences apart
EVEN = 0.65  # values whose distances vary less, as a share of their mean, take turns; of drawn ones they vary by 1
MOST_FEATURES, MOST_NUMBERS = 100, 8  # no more are looked at
LEAST_ROWS = 30  # values of fewer rows on average prove nothing
GOES_ON = 0.5  # with the row that a number goes on from, it is correlated more
FEW_WORDS = 5  # fewer different words are kinds of things, not their names


def guess_sequence(table: Table, names: Collection[str], clocks: Collection[str], label: str) -> list[Guess]:
    """The column that tells sequences apart, if one does.

    A column of text or whole numbers, of two rows a value on average, tells sequences apart

    - if it is called after what sequences belong to (`machine`, `session_id`), and each value is one run of rows, or
      its values are numbers or hold digits as ids do, unless these number the rows of each (`visit`) or are 0 and 1; if
      it is called their index, each value is one run or two;
    - if it is called an id of anything (`event_id`, `node`), and each value is one run of rows;
    - whatever its name, if times show it: they rise within each value and not over all rows, as where one machine
      follows another, or most times come several times and each but once a value, as where devices report together,
      unless these are days and the values numbers that may count what comes in a day;
    - whatever its name, if a counter shows it: whole numbers, gaps or none, that rise from row to row, but turn back at
      most changes of its value and nowhere else; those that count the parts of hours, days or years show nothing.

    Of several that are called so, or that are called an id and shown by a clock or counter, it is the one whose values
    the others only join; these are left out.

    What takes turns, as devices do that report one after the other, is asked about. What is called an id of anything
    and has one value for each label is a code of the label, as `species_id` beside `species`.

    Where there is none, what may tell sequences apart is an identifier and left out, too, with the question whether it
    does. What is not called so (`event_id`, or `zone` with values such as `A-7`), and few words (`mobile`, `desktop`),
    are categories where they come again and again.

    Refused are several columns that tell different sequences apart, and one that would but is empty in a few rows.
    """
    counters = [name for name in clocks if clock_rank(name) == 1]  # `record` may number the rows, or sequences
    names = [*names, *(name for name in counters if names_sequences(name) > 1 and _are_runs(table.column(name)))]
    counters = [name for name in counters if name not in names]
    proofs = proofs_of(table, clocks, [*names, *counters])
    found, unsure, partly = dict[str, _Reason](), list[Guess](), list[str]()
    for name in [*names, *counters]:
        column, named = _ids(table, name), 0 if name in counters else names_sequences(name)
        if column is None:
            continue
        # What does not hold for the first rows does not hold for all.
        head, shown = column.head(HEAD), [] if names_time(name) else proofs
        proved = any(proof.tells_apart(head) for proof in shown)
        if not (named or proved or one_run_each(head) or _numbered(head) or _take_turns(name, head)):
            continue
        ids = column.drop_nulls()
        distinct = ids.n_unique()
        if not 2 <= distinct <= len(column) // 2:
            continue
        if named == 1 and not is_thing(name) and _joins(table, name, label) and _joins(table, label, name):
            continue  # a code of the label
        if is_occasion(name) and _numbers_rows(table, name, names):
            why = "numbers the rows of each sequence, and no column tells these apart"
            unsure.append(Guess(name, "left out", f"{why} ({option('numeric', name)} to keep it)"))
            continue
        runs = one_run_each(ids)
        sure = named >= 2 and (runs or _holds_digits(ids))
        if len(ids) < len(column):
            if sure:
                partly.append(name)
            continue
        by_name = f"by its name and its {distinct:,} values"
        if sure and not _is_flag(name, column):
            found[name] = _Reason(named, by_name)
            continue
        telling = [proof for proof in shown if proof.tells_apart(column)]
        proof = next((proof for proof in telling if named or not proof.may_number_days(column)), None)
        if proof is not None and (named or len(column) >= 3 * distinct):
            found[name] = _Reason(max(named, 1), proof.said_of(column), proven=True)
        elif named == 1 and runs:
            found[name] = _Reason(1, by_name)
        elif name not in counters and (
            named
            or telling
            or (len(column) >= 5 * distinct >= 25 and (runs or _numbered(column)))
            or _take_turns(name, column)
        ):
            unsure.append(_unsure(name, column))
    if not found:
        return [_partly_empty(table, name) for name in partly] + [_or_starts_over(guess, proofs) for guess in unsure]
    sequence = _finest(table, found)
    return [Guess(sequence, "sequence", found[sequence].why), *guess_related(table, sequence, names, found)]


class _Reason(NamedTuple):
    """Why a column tells sequences apart."""

    rank: int  # of `names_sequences`; 1 for a name that says nothing
    why: str
    proven: bool = False  # by a clock or counter


def _or_starts_over(guess: Guess, proofs: Collection[Proof]) -> Guess:
    """The guess, or what is said of a counter whose sequences nothing tells apart."""
    for proof in proofs:
        if proof.name == guess.name and starts_over(proof.clock):
            why = f"starts over {counted(proof.turns, 'time')}, and no column tells these sequences apart"
            return Guess(guess.name, "left out", f"{why}; write one that does, such as the number of each")
    return guess


def _finest(table: Table, found: Mapping[str, _Reason]) -> str:
    """Of the columns that tell sequences apart the one whose values the others only join; refuses several."""
    best = max(reason.rank for reason in found.values())
    chosen = [name for name, reason in found.items() if reason.rank == best]
    proven = [name for name, reason in found.items() if reason.proven]
    if best == 1 and proven:
        chosen = [min(proven, key=lambda name: table.column(name).n_unique())]
    chosen += [name for name in proven if name not in chosen and names_sequences(name)]
    chosen = [name for name in chosen if not any(_numbers_in(table, name, other) for other in chosen)]
    if finest := [name for name in chosen if all(_joins(table, name, other) for other in chosen)]:
        return finest[0]
    several = 2 * table.columns(chosen[:2]).n_unique() <= len(table)
    both = f"; name both if it takes both: {option('sequence', ','.join(chosen[:2]))}" if several else ""
    return table.only("sequence", chosen, both)


def guess_related(table: Table, sequence: str, names: Collection[str], likely: Collection[str] = ()) -> list[Guess]:
    """The columns that join sequences (`machine` beside `session_id`) or cut each into runs (`trial` beside `subject`).

    Those that are `likely` or called after what sequences belong to are left out, since a part that is new has others;
    so are things that may be called so (`ip`) and of which most sequences have one of their own, and text and ids of
    which nearly each sequence has one of its own (`vessel_name` beside `mmsi`).
    """
    guesses, count = list[Guess](), table.column(sequence).n_unique()
    for name in names:
        named, column = names_sequences(name), table.column(name)
        if name == sequence or not (named or isinstance(column.dtype, TEXT)) or _ids(table, name) is None:
            continue
        values, joins = column.n_unique(), _joins(table, sequence, name)
        own = is_thing(name) and 2 * values > count
        each = "each" if values == count else "nearly each" if values >= NEARLY * count else ""
        if joins and (named >= 2 or name in likely or own) and (each != "each" or column.null_count()):
            why = f"joins sequences ({option('group', name)} keeps these in one part)"
            guesses.append(Guess(name, "left out", why))
        elif joins and each and not column.null_count():
            why = f"{each} sequence has one of its own ({option('categorical', name)} to learn from it)"
            guesses.append(Guess(name, "left out", why))
        elif is_thing(name) and _cuts(table, sequence, name):
            why = f"{CUTS}; {option('sequence', f'{sequence},{name}')} to learn from each piece"
            guesses.append(Guess(name, "left out", why))
    return guesses


def glued_by(table: Table, sequence: str, names: Collection[str]) -> tuple[str, str] | None:
    """Which of the columns that cut sequences does so where a clock starts over; and the clock."""
    rows, same = grouped_rows(table.column(sequence), len(table))
    for name, clock in product(names, clock_columns(table, table.names)):
        column, values = table.column(name).gather(rows), numbers_of(table.column(clock))[rows]
        cuts = same & changes(column).to_numpy()
        falls = same & (values[1:] < values[:-1])
        if falls.any() and not (falls & ~cuts).any() and 2 * falls.sum() >= cuts.sum():
            return name, clock
    return None


def _numbers_in(table: Table, name: str, other: str) -> bool:
    """Whether a column numbers the rows of each value of another one, as `visit_number` does of each `patient_id`."""
    column = table.column(name)
    if name == other or not (column.dtype.is_integer() and last_word(name) in NUMBERS):
        return False
    number, runs = pl.col("number"), pl.DataFrame({"other": table.column(other), "number": column}).group_by("other")
    each_once = (number.n_unique() == pl.len()) & (number.max() - number.min() + 1 == pl.len())
    return bool(runs.agg(each_once & (number.min() <= 1))["number"].all())


def _numbers_rows(table: Table, name: str, names: Collection[str]) -> bool:
    """Whether whole numbers count the rows of each person or thing: they start over, or come once for each id."""
    column = table.column(name)
    if not column.dtype.is_integer():
        return False
    ids = (other for other in names if other != name and names_sequences(other))
    return starts_over(column) or any(
        table.columns([name, other]).n_unique() == len(column) >= 2 * table.column(other).n_unique() for other in ids
    )


def _joins(table: Table, finer: str, coarser: str) -> bool:
    """Whether all rows of each value of `finer` have one value of `coarser`."""
    return finer == coarser or table.columns([finer, coarser]).n_unique() == table.column(finer).n_unique()


def _cuts(table: Table, sequence: str, name: str) -> bool:
    """Whether most sequences are several runs of rows with a value each, of two rows and more on average."""
    frame = pl.DataFrame({"sequence": table.column(sequence), "name": table.column(name)})
    pairs = frame.sort("sequence", maintain_order=True).to_struct()
    runs = int(changes(pairs).sum()) + 1
    return 1.5 * frame["sequence"].n_unique() <= runs == pairs.n_unique() <= len(frame) / 2


def _unsure(name: str, column: pl.Series) -> Guess:
    """What is said of a column that may tell sequences apart, and may be a category."""
    use = option("sequence", name)
    few = isinstance(column.dtype, TEXT) and column.n_unique() < FEW_WORDS and not _holds_digits(column)
    if (few or not is_thing(name)) and not one_run_each(column):
        return Guess(name, "", f"comes again and again ({use} if it tells sequences apart)")
    why = f"may tell sequences apart ({use} if it does, {option('categorical', name)} to learn from it)"
    return Guess(name, "left out", why)


def _partly_empty(table: Table, name: str) -> Guess:
    """What is said of a column that would tell sequences apart, were it not empty in some rows; refused if in few."""
    there = table.column(name).is_not_null()
    empty = int((~there).sum())
    if empty <= (1 - MOST) * len(table):
        place = table.place(int(there.arg_min() or 0))
        raise DataError(
            f"{place}, column {name!r} is empty ({counted(empty, 'such row')}), so it cannot tell sequences apart. "
            f"Write in what is missing, or remove these rows; or leave the column out ({option('drop', name)}) or "
            f"learn from it ({option('categorical', name)})."
        )
    rows = counted(empty, "row")
    why = f"empty in {rows}, or it would tell sequences apart ({option('categorical', name)} to learn from it)"
    return Guess(name, "left out", why)


def _take_turns(name: str, column: pl.Series) -> bool:
    """Whether words come one after the other, in whatever order, and then all again, as devices report.

    So do whole numbers, of `FEW_WORDS` and more that come equally often; the floors of a lift and hours do not.
    """
    if names_time(name):
        return False
    counts, text = column.unique_counts(), isinstance(column.dtype, TEXT)
    if not (3 if text else FEW_WORDS) <= len(counts) <= len(column) / 5:
        return False
    if not text and counts.max() > 1.05 * counts.min() + 1:  # type: ignore[operator]
        return False
    rows, same = grouped_rows(column, len(column))
    gaps = np.diff(rows)[same]
    return bool(gaps.std() < EVEN * gaps.mean() and gaps.mean() > column.n_unique() / 2)


def interleaved(table: Table, columns: Columns) -> tuple[str, str] | None:
    """A feature of few values in whose rows a number goes on from the last row of the same value, and that number.

    It does not go on from the row before, which is of another value, as what several devices log does. Where one thing
    is in several states, that is the nearer row.
    """
    names = [name for name in columns.features[:MOST_FEATURES] if not names_time(name)]
    numbers = columns.numbers[:MOST_NUMBERS]
    rows = np.arange(len(table)) if columns.order is None else table.column(columns.order).arg_sort().to_numpy()
    rows = rows[:HEAD]
    for name in names:
        column = _ids(table, name)
        ids = None if column is None else column.gather(rows)
        if ids is None or ids.null_count() or not 3 <= ids.n_unique() <= len(rows) / LEAST_ROWS:
            continue
        frame = pl.DataFrame({"id": ids, "changes": ids != ids.shift()})
        if 2 * frame["changes"].sum() < len(frame):
            continue
        for number in numbers:
            x = table.column(number).gather(rows).cast(pl.Float64)
            if number != name and _goes_on(frame.with_columns(x.alias("x"))):
                return name, number
    return None


def _goes_on(frame: pl.DataFrame) -> bool:
    """Whether numbers `x` go on from the last row of the same `id`, where this `changes`, and not from the row before.

    They do so for most of the ids.
    """
    x = pl.col("x")
    level = ((x - x.mean().over("id")) / x.std().over("id")).fill_nan(0).fill_null(0)
    own, other = pl.corr("x", "own"), pl.corr("x", "other").abs()
    found = frame.with_columns(level).with_columns(x.shift().alias("other"), x.shift().over("id").alias("own"))
    goes_on = (own.fill_nan(0) > GOES_ON) & (other.fill_nan(0) < GOES_ON / 2)
    shown = found.filter("changes").drop_nulls().group_by("id").agg(goes_on.alias("goes_on"))["goes_on"]
    return 2 * int(shown.sum()) > frame["id"].n_unique()


def _ids(table: Table, name: str) -> pl.Series | None:
    """A column of text or whole numbers, these without a point whatever their type; None if it is of anything else."""
    dtype = table.schema[name]
    if dtype.is_float():
        column = table.column(name)
        return column.cast(pl.Int64) if are_whole(column.head(SHOWING)) and are_whole(column) else None
    return table.column(name) if dtype.is_integer() or isinstance(dtype, TEXT) else None


def _holds_digits(column: pl.Series) -> bool:
    """Whether values are whole numbers, or most hold a digit."""
    return column.dtype.is_integer() or bool((column.unique().cast(pl.String).str.contains(r"\d").mean() or 0) > 0.5)  # type: ignore[operator]


def _is_flag(name: str, column: pl.Series) -> bool:
    """Whether all whole numbers are 0 or 1, and the column is called no id: `driver` may say whether one drove."""
    return column.dtype.is_integer() and last_word(name) not in IDS and column.is_in([0, 1]).all()


def _are_runs(column: pl.Series) -> bool:
    """Whether values stand in runs of two rows and more on average, and come again in one further run at most."""
    runs = int(changes(column).sum()) + 1
    return 2 * runs <= len(column) and runs <= 2 * column.n_unique()


def _numbered(column: pl.Series) -> bool:
    """Whether the values are text that ends in a number and is else the same, as `P01` and `P02`."""
    if not isinstance(column.dtype, TEXT):
        return False
    names = column.unique().cast(pl.String).str.strip_chars_end("0123456789")
    return names.n_unique() == 1 and bool(names.len() > 1)

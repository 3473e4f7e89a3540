"""Which column tells sequences apart, where nobody says it; with the reason."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from itertools import product

import numpy as np
import polars as pl

from bothways.data.clocks import (
    HEAD,
    changes,
    clock_columns,
    grouped_rows,
    numbers_of,
)
from bothways.data.columns import Columns, Guess
from bothways.data.ids import Candidate, Reason, column_of_ids
from bothways.data.proofs import Proof, proofs_of, starts_over
from bothways.errors import DataError, counted, option
from bothways.fields.kinds import TEXT
from bothways.fields.names import (
    NUMBERS,
    clock_rank,
    is_occasion,
    is_thing,
    last_word,
    names_sequences,
    names_time,
)
from bothways.tables.table import Table

CUTS = "cuts sequences"  # the word about a column that cuts each sequence into runs
NEARLY = 0.9  # text of as many values as this share of the sequences is new in nearly each new one
MOST = 0.8  # a column with an id in at least this share of the rows is meant to tell sequences apart
MOST_FEATURES, MOST_NUMBERS = 100, 8  # no more are looked at
LEAST_ROWS = 30  # values of fewer rows on average prove nothing
GOES_ON = 0.5  # with the row that a number goes on from, it is correlated more


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
    found, unsure, partly = dict[str, Reason](), list[Guess](), list[str]()
    for name in [*names, *counters]:
        candidate = Candidate.of(table, name, proofs, counts=name in counters)
        if candidate is None or (candidate.rank == 1 and _codes(table, name, label)):
            continue
        if is_occasion(name) and _numbers_rows(table, name, names):
            why = "numbers the rows of each sequence, and no column tells these apart"
            unsure.append(Guess(name, "left out", f"{why} ({option('numeric', name)} to keep it)"))
        elif candidate.column.null_count():
            partly += [name] * candidate.called_so
        elif reason := candidate.reason():
            found[name] = reason
        elif candidate.may_tell_apart():
            unsure.append(_unsure(candidate))
    if not found:
        return [_partly_empty(table, name) for name in partly] + [_or_starts_over(guess, proofs) for guess in unsure]
    sequence = _finest(table, found)
    return [Guess(sequence, "sequence", found[sequence].why), *guess_related(table, sequence, names, found)]


def _codes(table: Table, name: str, label: str) -> bool:
    """Whether a column is a code of the label: one value for each, and not the name of a thing (`machine`)."""
    return not is_thing(name) and _joins(table, name, label) and _joins(table, label, name)


def _or_starts_over(guess: Guess, proofs: Collection[Proof]) -> Guess:
    """The guess, or what is said of a counter whose sequences nothing tells apart."""
    for proof in proofs:
        if proof.name == guess.name and starts_over(proof.clock):
            why = f"starts over {counted(proof.turns, 'time')}, and no column tells these sequences apart"
            return Guess(guess.name, "left out", f"{why}; write one that does, such as the number of each")
    return guess


def _finest(table: Table, found: Mapping[str, Reason]) -> str:
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
        if name == sequence or not (named or isinstance(column.dtype, TEXT)) or column_of_ids(table, name) is None:
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


def _unsure(candidate: Candidate) -> Guess:
    """What is said of a column that may tell sequences apart, and may be a category."""
    name, use = candidate.name, option("sequence", candidate.name)
    if (candidate.has_few_words or not is_thing(name)) and not candidate.runs:
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
        column = column_of_ids(table, name)
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


def _are_runs(column: pl.Series) -> bool:
    """Whether values stand in runs of two rows and more on average, and come again in one further run at most."""
    runs = int(changes(column).sum()) + 1
    return 2 * runs <= len(column) and runs <= 2 * column.n_unique()

"""Tables that do not have one row per step, and the lines of Polars and pandas that make them so."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import polars as pl

from bothways.data.clocks import HEAD, one_run_each
from bothways.data.columns import Columns
from bothways.errors import option
from bothways.fields.kinds import TEXT
from bothways.fields.names import clock_rank, names_sequences
from bothways.fields.times import MONTHS
from bothways.tables.table import Table

VARIABLE, VALUE = "variable", "value"
"""How melt and unpivot call the column with the names of columns, and that with what stood in them."""

MANY_STEPS = 20  # at least this many numbered columns may be the steps of a sequence
ALIKE = 0.9  # this share of them differs in the number alone
NUMBER = "'([0-9]+(?:[.][0-9]+)?)[^0-9]*$'"  # the pattern that takes the number of a step from its name
DATE = r"\d{4}([-/.])\d\d?(\1\d\d?)?( 00:00:00)?|\d\d?([/.])\d\d?\4(\d{4}|\d\d)"  # the name of a column that is one
MOST_FEATURES = 100  # no more are looked at
GOES_ON = 0.35  # rows are cases if their columns are correlated less with the row before; steps of series are more
MONTH = r"([^\W\d_]{3,})[-/. ']?(?:\d\d){1,2}"  # and that of one that may be a month: Jan 2024, Jan-24, jan24


def numbered_columns(names: Sequence[str]) -> list[str]:
    """Many columns with even numbers, and most of all, as if each row held a whole sequence; none if there are few."""
    numbered = [(name, match) for name in names if (match := re.fullmatch(r"(.*?)(\d+(?:\.\d+)?)(\D*)", name))]
    around = Counter((match[1], match[3]) for _, match in numbered)
    same, many = next(iter(around.most_common(1)), ("", 0))
    if many < max(MANY_STEPS, len(names) / 2, ALIKE * len(numbered)):
        return []
    steps = {name: float(match[2]) for name, match in numbered if (match[1], match[3]) == same}
    gaps = {round(later - step, 6) for step, later in pairwise(steps.values())}
    return [*steps] if len(gaps) == 1 and gaps != {0} else []


def is_date(name: str) -> bool:
    """Whether the name of a column is a date or a month."""
    month = re.fullmatch(MONTH, name)
    return re.fullmatch(DATE, name) is not None or (month is not None and month[1].lower() in MONTHS)


def wide_notice(table: Table, features: Sequence[str]) -> str:
    """What is said where most features are numbered, as if each row held a whole sequence; "" for others."""
    steps, dates = numbered_columns(features), [*filter(is_date, features)]
    what, step = "numbered", "step"
    polars = f".with_columns(pl.col('step').str.extract({NUMBER}).cast(pl.Float64))"
    pandas = f".assign(step=lambda frame: frame['step'].str.extract({NUMBER}, expand=False).astype(float))"
    if not steps and len(dates) >= max(MANY_STEPS, len(features) / 2):
        steps, what, step, polars, pandas = dates, "dates", "date", "", ""
    if not steps:
        return ""
    gone = {*steps, *table.joined}
    keep = ["sequence_id", *(name for name in table.names if name not in gone)]
    return (
        f"The columns {steps[0]!r} to {steps[-1]!r} are {what}. If they are the steps of one sequence per row, write "
        "them one below the other, with a column that tells sequences apart (Polars: frame.with_row_index("
        f"'sequence_id').unpivot(index={keep}, variable_name={step!r}){polars}; "
        f"pandas: frame.reset_index(names='sequence_id').melt({keep}, var_name={step!r}){pandas})."
    )


def cases_notice(table: Table, columns: Columns) -> str:
    """What is said where rows look like separate cases, such as one per person, and not like steps; "" for others.

    No clock sorts them, and within a label most columns of several hardly go on from the row before. The median
    correlation is 0.31 at most on nine public tables of cases, 0.59 on one sorted by make, 0.47 and more on four of
    measured steps.
    """
    order, frame = columns.order, table.columns([columns.label, *columns.features[:MOST_FEATURES]]).head(HEAD)
    if (order is not None and not (clock_rank(order) == 1 and _counts(table.column(order)))) or frame.width < 3:
        return ""
    frame.columns = ["label", *(str(place) for place in range(1, frame.width))]
    x = pl.exclude("label")
    ranked = frame.with_columns(x.rank("dense").cast(pl.Float64))
    level = ranked.select((x - x.mean().over("label")).fill_null(0))
    goes_on = level.select(pl.corr(name, pl.col(name).shift()).fill_nan(0) for name in level.columns)
    if float(np.median(goes_on.fill_null(0).row(0))) > GOES_ON:
        return ""
    ids = (name for name in table.names if name != columns.label and _tells_rows_apart(name, table.column(name)))
    number = f"number them in a column and use {option('sequence', 'case')}"
    number += " (pandas: frame.assign(case=range(len(frame))))"
    use = next((f"use {option('sequence', name)}" for name in ids), number)
    return (
        "Careful: rows look like separate cases, such as one per person: no column sorts them or tells sequences, and "
        "neighbours are hardly alike. They are read as the steps of one sequence, in this order. If each is a case, "
        f"{use}."
    )


def _counts(column: pl.Series) -> bool:
    """Whether whole numbers grow by one from row to row."""
    return column.dtype.is_integer() and bool((column.diff().drop_nulls() == 1).all())


def _tells_rows_apart(name: str, column: pl.Series) -> bool:
    """Whether whole numbers or text number the rows, or are called an id and differ in each."""
    whole = column.dtype.is_integer() or isinstance(column.dtype, TEXT)
    return whole and (_counts(column) or names_sequences(name) > 0) and column.n_unique() == len(column)


def long_columns(table: Table, columns: Columns) -> tuple[str, str] | None:
    """The column with what were names of columns, and that with what stood in them; None for a table of steps.

    They are called so, or the one column of numbers has a row for each value of the other at each time, one below the
    other, where all of them have one label.
    """
    schema = table.schema
    if isinstance(schema.get(VARIABLE), TEXT) and schema.get(VALUE, pl.Null()).is_numeric():
        once = table.columns([name for name in schema if name != VALUE]).n_unique() == len(table)
        return (VARIABLE, VALUE) if once and table.column(VARIABLE).drop_nulls().n_unique() > 1 else None
    if len(columns.numbers) != 1 or columns.order is None or columns.per == "sequence":
        return None
    for name in filter(None, [columns.sequence, *columns.categories]):
        keys = [each for each in (columns.order, columns.sequence) if each not in (None, name)]
        times, kinds = table.columns(keys).n_unique(), table.column(name).n_unique()
        once = table.columns([*keys, name]).n_unique() == len(table) == times * kinds
        if not once or kinds < 2 or one_run_each(table.column(name)):
            continue
        if table.columns([*keys, columns.label]).n_unique() == times:
            return name, columns.numbers[0]
    return None


def long_notice(table: Table, variable: str, value: str) -> str:
    """What is said of a table whose rows were fields of wider ones, in `long_columns`."""
    names = sorted(map(str, table.column(variable).drop_nulls().unique()), key=lambda name: (len(name), name))
    some = ", ".join(map(repr, names[:3])) + (f" and {len(names) - 3:,} more" if len(names) > 3 else "")
    seem = "hold" if variable == VARIABLE else "seem to hold"
    said = f"{table.source}: {variable!r} and {value!r} {seem} what were columns ({some}), as melt and unpivot write it"
    if numbered_columns(names):
        return (
            f"{said}. If these are steps of sequences, write their numbers (Polars: frame.with_columns(step=pl.col("
            f"{variable!r}).str.extract({NUMBER}).cast(pl.Float64)).drop({variable!r}); pandas: frame.assign(step="
            f"frame[{variable!r}].str.extract({NUMBER}, expand=False).astype(float)).drop(columns={variable!r}))"
        )
    index = [name for name in table.names if name not in (variable, value, *table.joined)]
    return (
        f"{said}; a row must be a step. Make them columns again (Polars: frame.pivot({variable!r}, index={index}, "
        f"values={value!r}); pandas: frame.pivot(index={index}, columns={variable!r}, values={value!r}).reset_index())"
    )

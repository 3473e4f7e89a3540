"""An encoding learned from the train part."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import polars as pl

from bothways.data.calendar import helpful_parts
from bothways.data.clocks import time_of_day
from bothways.data.columns import Columns
from bothways.data.encoding import Category, Encoding, Number, Tally, float_column, gaps_of
from bothways.data.spelling import LEAST, VIEWS, views
from bothways.data.vectors import VectorFiles, read_vectors
from bothways.errors import DataError, InputError, counted, option
from bothways.fields.numbers import may_be_amounts
from bothways.fields.reader import as_text
from bothways.sequences import Numbers, Sequences
from bothways.tables.hints import column_notices
from bothways.tables.table import Table

DISTINCT = 0.9  # a column of text with a larger share of distinct values tells rows apart and nothing else
FEW_ROWS = 20  # with fewer rows than these, or values that are there once, their shares say nothing

NEW_WORDS = 0.01
"""If a larger share of the rows have a value that is there once, new ones will come, and their spelling is read, too.

The share of new values is about that of those seen once (Good 1953, "The Population Frequencies of Species").
"""

UNEVEN = 0.1  # gaps vary if more than one in a hundred is off their median by this share of it


def fit_encoding(
    table: Table, columns: Columns, train: Sequences, vectors: VectorFiles | None = None
) -> tuple[Encoding, list[str]]:
    """Learn from the train part how features become numbers, and read the vectors of its words."""
    rows, order = train.table_rows, columns.order
    numbers, kinds, notices = _fit_features(table, columns, rows)
    gaps = ""
    if order is not None:
        places = table.column(order).gather(rows)
        # Where the time of day stands in another column, gaps are 0 except for one per day.
        if vary(gaps_of(places, train.offsets), train.offsets) and time_of_day(table, order) is None:
            gaps = "times" if places.dtype.is_temporal() and places.dtype != pl.Duration else "numbers"
            notices.append(f"The gaps between steps vary, so the gap to the previous step in {order!r} is a feature.")
    if not numbers and not kinds:
        raise DataError(f"{table.source}: no column is left to learn from. {' '.join(notices)}")
    encoding = Encoding(tuple(numbers), tuple(kinds), gaps)
    if order is not None:
        single = encoding.encode(table, order, train, Tally())
        if clock := helpful_parts(single, places, train):
            encoding = replace(encoding, clock=clock)
            are = "are features, since they make" if len(clock) > 1 else "is a feature, since it makes"
            notices.append(f"The {' and the '.join(clock)} of {order!r} {are} labels of other days likelier.")
    if vectors is not None:
        if (words := encoding.words()) is None:
            raise DataError(f"{table.source}: no column holds words, which {option('vectors', vectors.name)} is for.")
        seen = next(category.values for category in kinds if category.name == words)
        read, said = read_vectors(vectors, words, seen)
        encoding, notices = replace(encoding, vectors=read), [*notices, *said]
    return encoding, notices


def _fit_features(table: Table, columns: Columns, rows: Numbers) -> tuple[list[Number], list[Category], list[str]]:
    """What becomes of each feature, by the rows of the train part."""
    notices, numbers, kinds = list[str](), list[Number](), list[Category]()
    filled = list[tuple[str, str]]()
    table.columns(columns.features)
    apart = _telling_rows_apart(table, columns, rows)
    for name in columns.features:
        column = table.column(name).gather(rows)
        if column.null_count() == len(column):
            notices.append(f"Column {name!r} is left out: it is empty in the train part.")
        elif name in columns.categories:
            found, said = _fit_category(name, column, name in apart)
            kinds += found
            notices += said
        else:
            values, missing = float_column(column)
            if missing is not None and missing.all():
                notices.append(f"Column {name!r} is left out: it has no finite float32 number in the train part.")
                continue
            mean = float(values.cast(pl.Float64).mean())  # type: ignore[arg-type]
            numbers.append(Number(name, mean, missing is not None, _is_double(column)))
            if missing is not None:
                rows_without = f"{counted(int(missing.sum()), 'row')} of the train part without a finite number"
                filled.append((name, f"{rows_without}; filled with the mean, and a column says where"))
    return numbers, kinds, [*column_notices(filled), *notices]


def _fit_category(name: str, column: pl.Series, apart: bool) -> tuple[list[Category], list[str]]:
    """A column as a category, with those of the spelling of its words; none if it tells rows `apart` and no more."""
    text = as_text(column)
    counts = text.alias("value").value_counts(name="n")
    counts = counts.sort("n", "value", descending=[True, False], nulls_last=True)
    amounts = column.dtype == pl.String and may_be_amounts(counts["value"].drop_nulls())
    cure = "Most hold a number: to learn from amounts, write them as numbers, in one unit."
    if apart:
        differ = f"{counts.height:,} of its {len(text):,} values in the train part differ"
        why = f"{differ}. {cure}" if amounts else f"{differ}, so it tells rows apart and nothing else."
        return [], [f"{'Careful: ' * amounts}Column {name!r} is left out: {why}"]
    kinds = [Category(name, tuple(counts["value"].to_list()))]
    if column.dtype != pl.String or counts.filter(n=1).height <= max(FEW_ROWS, NEW_WORDS * len(text)):
        return kinds, []
    said = f"Column {name!r}: many of its values come once, as words do, so their spelling is read, too."
    return [*kinds, *_spelling(name, counts)], [said + amounts * f" {cure}"]


def _is_double(column: pl.Series) -> bool:
    """Whether float32 rounds by more than a tenth of what the numbers usually change from row to row."""
    numbers, _ = float_column(column, double=True)
    changes = numbers.drop_nulls().diff().abs()
    usual = changes.filter(changes > 0).median()
    return usual is not None and float(numbers.abs().max()) * 2.0**-24 > 0.1 * float(usual)  # type: ignore[arg-type]


def fit_arrays(name: str, train: Sequences, categorical: Collection[int]) -> tuple[Encoding, list[str]]:
    """The same for sequences from arrays, whose columns are named by their numbers."""
    numbers, kinds, notices = [], [], []
    for at in range(train.features):
        column = train.values[:, at]
        missing = np.isnan(column)
        if at in categorical:
            codes, counts = np.unique(column[~missing & (column > 0)].astype(np.int64), return_counts=True)
            kinds.append(Category(str(at), tuple(map(str, codes[np.argsort(-counts, kind="stable")]))))
        elif missing.all():
            notices.append(f"Column '{at}' of {name} is left out: it is missing at every step of the train part.")
        else:
            numbers.append(Number(str(at), float(column[~missing].mean(dtype=np.float64)), bool(missing.any())))
            if missing.any():
                notices.append(
                    f"Column '{at}' of {name} is missing at {counted(int(missing.sum()), 'step')} of the train part; "
                    "filled with the mean, and a column says where."
                )
    if np.isnan(train.values).all():
        raise InputError(f"{name} has no feature to learn from: all of its values are missing.")
    return Encoding(tuple(numbers), tuple(kinds)), notices


def vary(gaps: npt.NDArray[np.float32], offsets: Numbers) -> bool:
    """Whether gaps, as `gaps_of` gives them, differ from one another by more than a little."""
    inner = np.ones(len(gaps), bool)
    inner[offsets[:-1]] = False
    seconds = np.expm1(gaps[inner].astype(np.float64))
    if not len(seconds):
        return False
    median = np.median(seconds)
    return bool((np.abs(seconds - median) > UNEVEN * median).mean() > 0.01)


def _telling_rows_apart(table: Table, columns: Columns, rows: Numbers) -> set[str]:
    """The categories of which nearly every row has another value; none of them if there is nothing else to read."""
    texts = {name: table.column(name).gather(rows) for name in columns.categories}
    differ = {name for name, text in texts.items() if text.n_unique() > DISTINCT * len(rows)}
    others = (table.column(name).gather(rows) for name in columns.features if name not in differ)
    alone = all(column.null_count() == len(column) for column in others)
    return set() if alone or len(rows) < FEW_ROWS else differ


def _spelling(name: str, counts: pl.DataFrame) -> Iterator[Category]:
    """What is read of the spelling of words, which stand with their numbers in `value` and `n`."""
    for view in VIEWS:
        shown = counts.with_columns(views(view, counts["value"]).alias("shown")).drop_nulls()
        kept = shown.group_by("shown").agg(pl.col("n").sum()).filter(pl.col("n") >= LEAST)
        yield Category(name, tuple(kept.sort("n", "shown", descending=[True, False])["shown"]), view)

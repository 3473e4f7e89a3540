"""Data frames in memory, of Polars, pandas or anything like them, as tables."""

from __future__ import annotations

import re
import reprlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from functools import lru_cache
from numbers import Real
from typing import Any

import numpy as np
import polars as pl

from bothways.data.columns import Columns
from bothways.data.encoding import Encoding, Tally
from bothways.data.sequences import encoded
from bothways.errors import DataError
from bothways.fields.names import joined_columns
from bothways.fields.numbers import without_decimals
from bothways.fields.reader import AS_SHOWN, MISSING, FieldReader, as_text, seconds, without_blanks
from bothways.sequences import Numbers, Sequences
from bothways.settings import Reading, as_names
from bothways.tables.table import Table, filled_down, with_joined

WITH_COMMA = r"[+-]?(?:(?:[1-9]\d{0,2}(?:\.\d{3})+|\d+)(?:,\d*)?|,\d+)(?:[eE][+-]?\d+)?"
"""A number with a decimal comma, its thousands perhaps set apart by points."""

SPELLED = ("UUID", "Period", "Interval")  # types of Python and pandas whose values are read as the text that they print

PLAIN = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"


def frame_table(
    name: str,
    frame: Any,
    sequence: str | None,
    *,
    order: str | None = None,
    needed: Collection[str] = (),
    fields: Collection[str] = (),
    learned: Reading = AS_SHOWN,
) -> Table:
    """A data frame of Polars, pandas, PyArrow or the like as a table, which messages call `name`.

    What is missing in pandas's ways is missing in it, its categories are text, and text has no blanks around it. Ids in
    the column `sequence` that stand on the first row of each sequence are filled downward. Columns that are `needed`
    must be there. Those of `fields` are numbers or times; where they are text, they are read as in files, and so is
    `order`. `learned` says how the table of a model was read. `sequence` and `order` may be several columns with
    commas, see `with_joined`.
    """
    levels = set(getattr(getattr(frame, "index", None), "names", ()))
    if isinstance(frame, pl.LazyFrame):
        frame = frame.collect()
    elif hasattr(frame, "__arrow_c_stream__") and not levels:
        frame = pl.DataFrame(frame)
    if not isinstance(frame, pl.DataFrame):
        names = [str(column) for column in frame.columns]
        if len(set(names)) < len(names):
            twice = next(column for column in names if names.count(column) > 1)
            raise DataError(f"{name}: there are two columns {twice!r}. Rename one.")
        columns = zip(names, frame.columns, strict=True)
        frame = pl.DataFrame({own: _series(name, own, frame[column]) for own, column in columns})
    table = Table(name, _frame(map(without_decimals, frame.with_columns(without_blanks()))))
    parts, keys = (joined_columns(each, table.names) or as_names(each) for each in (sequence, order))
    fields = list(map(table.called, (*fields, *keys)))
    for each in map(table.called, (*parts, *needed, *fields)):
        if each in levels and each not in table.names:
            raise DataError(f"{name}: {each!r} is a level of the index, and no column. Give {name}.reset_index().")
        table.require(each)
    if sequence is not None:
        table = filled_down(table, sequence)
    reader = FieldReader(learned=learned, numbers=[each for each in fields if each not in keys], order=keys)
    texts = [each for each in fields if each in keys or table.schema[each] == pl.String]
    read = reader.read(table.columns(texts))
    values = table.frame().with_columns(*read.get_columns(), *seconds(table.schema, keys, fields))
    said = reader.notices() | dict(table.readings)
    typed = replace(table, values=values, readings=said, reading=reader.decided)
    return with_joined(typed, sequence, order)


def rows_table(name: str, rows: Sequence[Mapping[str, Any]], encoding: Encoding, learned: Reading = AS_SHOWN) -> Table:
    """Rows that come one by one, as a table with the columns that an encoding reads.

    Text is read as in the files that were `learned` from: blanks around it are left out, and what is blank, or a word
    for what is missing, is an empty field, as None is; among numbers so are "n/a" and the like. Among numbers "2.5" is
    one; "2,5" where the decimal sign was a comma; differences of times are seconds. Each row must have all these
    columns, and one value in each.
    """
    absent = {float(word) for word in learned.missing if re.fullmatch(PLAIN, word)}
    series = list[pl.Series]()
    for column in (each.name for each in encoding.numbers):
        fields, numbers = _fields(name, rows, column), list[float | None]()
        try:
            for value in fields:
                numbers.append(_number(value, learned, absent))
        except ValueError as wrong:
            raise DataError(f"{name}, row {len(numbers) + 1}, column {column!r} holds {wrong}.") from None
        series.append(pl.Series(column, numbers, pl.Float64))
    for column in encoding.texts:
        fields = _fields(name, rows, column)
        for place, value in enumerate(fields, 1):
            if isinstance(value, (list, dict)):
                raise DataError(
                    f"{name}, row {place}, column {column!r} holds {reprlib.repr(value)}. An event is one step, with "
                    "one value in each column."
                )
        series.append(_texts(column, fields, learned.missing))
    return Table(name, _frame(series), reading=learned)


def _fields(name: str, rows: Sequence[Mapping[str, Any]], column: str) -> list[Any]:
    try:
        return [row[column] for row in rows]
    except (KeyError, TypeError):
        place = next(i for i, row in enumerate(rows) if not isinstance(row, Mapping) or column not in row)
        raise DataError(
            f"{name}, row {place + 1}: there is no {column!r}. Give null (None) where it is empty."
        ) from None


def _number(value: Any, learned: Reading, absent: Collection[float]) -> float | None:
    """A number as columns of files are read, None where it is missing or `absent`; ValueError says what else it is."""
    if type(value) is float:
        return None if value in absent else value
    if isinstance(value, str):
        text = value.strip()
        if text in (*learned.missing, "") or text.lower() in MISSING:
            return None
        comma = learned.decimal == "comma"
        if re.fullmatch(WITH_COMMA if comma else PLAIN, text):
            return float(text.replace(".", "").replace(",", ".") if comma else text)
    elif is_missing(value):
        return None
    if isinstance(value, timedelta):
        value = value.total_seconds()
    if not isinstance(value, (Real, Decimal, np.bool_)):
        raise ValueError(f"{value!r}, which is no number. Give one, such as 2.5")
    try:
        return None if value in absent else float(value)
    except OverflowError:
        raise ValueError("a number that is out of range") from None


def _texts(column: str, values: Iterable[Any], missing: Collection[str]) -> pl.Series:
    """Categories as text, as columns of files are read."""
    return pl.Series(column, [None if text in missing else text for text in map(_text, values)], pl.String)


def _text(value: Any) -> str | None:
    if isinstance(value, str):
        return value.strip() or None
    if is_missing(value):
        return None
    if isinstance(value, timedelta):
        value = value.total_seconds()
    if isinstance(value, (bool, np.bool_)):
        return str(value).lower()
    return _float_text(value) if isinstance(value, (float, np.floating)) else str(value)


@lru_cache(1000)  # categories have few values
def _float_text(value: float) -> str | None:
    text: str | None = as_text(pl.Series([value]))[0]
    return text


def column_sequences(name: str, columns: Columns, arrays: Mapping[str, Any], lengths: Numbers) -> Sequences:
    """Sequences whose steps stand one after the other, out of an array `(steps,)` for each column; times are seconds.

    Text is read as by `rows_table`.
    """
    texts, missing = columns.fitted.texts, columns.reading.missing
    series = [
        _texts(each, array.tolist(), missing) if each in texts else pl.Series(each, array)
        for each, array in arrays.items()
    ]
    table = Table(name, _frame(series), reading=columns.reading)
    return encoded(table, columns, Sequences(np.empty((len(table), 0)), lengths, per=columns.per), Tally())


def _frame(columns: Iterable[pl.Series]) -> pl.DataFrame:
    return pl.DataFrame({column.name: column for column in columns})  # a list of them would lose the name ""


def with_column(table: Table, name: str, values: Sequence[Any]) -> Table:
    """A table with one more column."""
    return replace(table, values=table.frame().with_columns(pl.Series(name, values)))


def _series(name: str, own: str, column: Any) -> pl.Series:
    # pandas itself need not be there, nor Arrow, which Polars would need to read its frames.
    values = column.to_numpy()
    try:
        if values.dtype == object:
            series = pl.Series(own, [None if is_missing(value) else _spelled(value) for value in values], strict=True)
        else:
            if values.dtype.kind in "mM":  # Polars has no times in whole seconds
                values = values.astype(str(values.dtype).replace("[s]", "[ms]"))
            series = pl.Series(own, values, nan_to_null=True)
        return as_text(series) if str(getattr(column, "dtype", "")) == "category" else series
    except (TypeError, ValueError, pl.exceptions.PolarsError):
        kinds = ", ".join(sorted({type(value).__name__ for value in values if not is_missing(value)}))
        raise DataError(
            f"{name}: the column {own!r} holds values of type {kinds}; they must be numbers, text or times, and all of "
            "one kind. Convert them, or leave the column out."
        ) from None


def _spelled(value: Any) -> Any:
    """A value that Polars has; ids, months and ranges as text."""
    return str(value) if type(value).__name__ in SPELLED else value


def is_missing(value: Any) -> bool:
    """Whether a value is None, NaN, or what pandas has in their place, which is told by name: it need not be there."""
    if isinstance(value, (float, np.floating)):
        return bool(np.isnan(value))
    return value is None or type(value).__name__ in ("NAType", "NaTType")

"""Tables: one row per step."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import pairwise
from pathlib import Path

import numpy as np
import polars as pl

from bothways.errors import DataError, option
from bothways.fields.kinds import TEXT
from bothways.fields.moments import moments
from bothways.fields.names import FILE, joined_columns, names_sequences
from bothways.fields.numbers import as_values
from bothways.fields.reader import AS_SHOWN, FieldReader, may_be_read, seconds, without_blanks
from bothways.settings import Reading
from bothways.tables.hints import elsewhere, named, suggestion, unused
from bothways.tables.opening import intact, readable
from bothways.tables.sources import Files, Source, find_files, format_of, parts_of, without_part
from bothways.tables.words import numbered_on, word_column

NEEDED = ", which the model needs"  # added to the name of a missing column
ROW = "data row {} (the first is 1)"  # how messages name a row

SPLIT, MADE = "split", "made of the names of the files"
"""The column that says which file a row is of, where files are called train, test and so on; and the word about it."""

NO_PARTS = (
    "called after no part, or after several: {}. So names of files tell no parts here. Move such files elsewhere, "
    "or call each after one part, such as train, dev or test."
)

FILLED = "stands on the first row of each; filled downward"  # the word about ids of which all rows but one are empty

DAMAGED = "the file is damaged or cut short, or was changed meanwhile."

MANY_READS = 32  # after this many columns, each read of a file takes further columns along


@dataclass(frozen=True, eq=False)
class Table:
    """A table, one row per step."""

    source: str  # the file or files that it came from, as messages name them
    values: pl.DataFrame | pl.LazyFrame  # the columns with their types, in memory or still in the files
    files: tuple[tuple[str, int], ...] = ()  # the name of each file and how many rows it has, if there are several
    start: int = 0  # how many rows of the files come before the first one here
    readings: Mapping[str, str] = field(default_factory=dict)  # how columns are read, as `FieldReader.notices` says it
    notices: tuple[str, ...] = ()  # what else the user should know of the files
    reading: Reading = AS_SHOWN  # how fields are read that can be read in two ways, as this table shows it
    word: str | None = None  # the column of words, if the files hold sentences
    units: Mapping[str, str] = field(default_factory=dict)  # what stood after all numbers of a column
    joined: Mapping[str, Sequence[str]] = field(default_factory=dict)  # what columns of `with_joined` were made of
    _read: dict[str, pl.Series] = field(default_factory=dict, init=False, repr=False)

    def __len__(self) -> int:
        if isinstance(self.values, pl.DataFrame):
            return self.values.height
        return int(self._collected(self.values.select(pl.len())).item())

    @cached_property
    def schema(self) -> pl.Schema:
        """The names of the columns and their types."""
        return self.values.collect_schema()

    @cached_property
    def names(self) -> list[str]:
        """The names of the columns."""
        return self.schema.names()

    @cached_property
    def _places(self) -> dict[str, int]:
        return {name: place for place, name in enumerate(self.names)}

    def column(self, name: str) -> pl.Series:
        """The column called `name`; categories come as text, and as null NaN, infinity and `reading.missing`.

        The series has no name: Polars takes "^x$" for a pattern.
        """
        return self.columns([name]).to_series().alias("")

    def columns(self, names: Collection[str]) -> pl.DataFrame:
        """The same of several columns, with their names; what was read is kept."""
        self.require(*names)
        if new := [name for name in dict.fromkeys(names) if name not in self._read]:
            if len(self._read) >= MANY_READS and not isinstance(self.values, pl.DataFrame):
                # Each read of a file takes as long as its list of columns is, so later ones take neighbours along.
                at = self._places[new[-1]] + 1
                new += [name for name in self.names[at : at + len(self._read)] if name not in self._read]
            # By place, for `select` takes the names "*" and "^x$" for patterns.
            places = [self._places[name] for name in dict.fromkeys(new)]
            if isinstance(self.values, pl.DataFrame):
                columns = [self.values.to_series(place) for place in places]
            else:
                columns = self._collected(self.values.select(pl.nth(places))).get_columns()
            for name, column in [(column.name, column.alias("")) for column in columns]:
                if isinstance(column.dtype, (pl.Categorical, pl.Enum)):
                    column = column.cast(pl.String)
                if column.dtype.is_float() and not (finite := column.is_finite()).all():
                    column = column.set(~finite, None)
                if self.reading.missing and (column.dtype == pl.String or column.dtype.is_numeric()):
                    missing = as_values(self.reading.missing, column.dtype)
                    column = column.set(column.is_in(missing.implode()).fill_null(False), None)
                self._read[name] = column
        return pl.DataFrame({name: self._read[name] for name in names})

    def names_of_sequences(self, column: str | None) -> pl.Series | None:
        """For each row the name of its sequence: what the column says, or else which of several files it is of."""
        if column is not None:
            return self.column(column)
        if not self.files:
            return None
        folder = os.path.commonpath([Path(name).absolute().parent for name, _ in self.files])
        ends = np.cumsum([rows for _, rows in self.files])
        numbers = np.searchsorted(ends, np.arange(self.start, self.start + len(self)), side="right")
        return pl.Series([os.path.relpath(name, folder) for name, _ in self.files]).gather(numbers)

    def frame(self) -> pl.DataFrame:
        """All columns, in memory."""
        return self.values if isinstance(self.values, pl.DataFrame) else self._collected(self.values)

    def called(self, name: str) -> str:
        """The column that a user means by `name`: the one called so, or the only one with spaces around that."""
        spaced = [known for known in self.names if known.strip() == name]
        return spaced[0] if len(spaced) == 1 and name not in self.schema else name

    def require(self, *names: str, why: str = "") -> None:
        """Refuse names that the table does not have; the message says which is the nearest that there is."""
        for name in names:
            if name not in self.schema:
                with intact(f"{self.source}: {DAMAGED}"):
                    hint = elsewhere(name, self.source, self.values.lazy())
                hint = hint or suggestion(name, self.schema, self.files)
                raise DataError(f"{self.source}: there is no column {name!r}{why}. {hint}")

    def require_keys(self, *names: str) -> None:
        """Refuse columns whose values can be neither compared nor written as text: lists, and objects of Python."""
        for name in names:
            dtype = self.schema[name]
            if dtype.is_nested() or dtype == pl.Object:
                raise DataError(
                    f"{self.source}: the column {name!r} is of type {dtype}, which tells no rows apart. Write it as "
                    "text or numbers."
                )

    def only(self, role: str, candidates: Sequence[str], more: str = "") -> str:
        """The one column that may have a role; refuses several."""
        if len(candidates) > 1:
            raise DataError(
                f"{self.source}: which column is the {role}? It may be {' or '.join(map(repr, candidates))}. Say it "
                f"with {option(role)}{more}."
            )
        return candidates[0]

    def place(self, row: int) -> str:
        """How messages call a row, by its number from 0, with its file."""
        source, row = self.source, row + self.start
        for name, rows in self.files:
            source = name
            if row < rows:
                break
            row -= rows
        format = format_of(Path(source))
        if self.word is not None and format is not None and format.line is not None:
            return f"{source}: line {format.line(Path(source), row)}"
        return f"{source}: {ROW.format(row + 1)}"

    def _collected(self, frame: pl.LazyFrame) -> pl.DataFrame:
        with intact(f"{self.source}: {DAMAGED}"):
            return frame.collect()


def read_table(
    source: Source | Files,
    text: Collection[str] = (),
    reading: Reading = AS_SHOWN,
    learned: Reading = AS_SHOWN,
    sequence: str | None = None,
    order: str | None = None,
    numbers: Collection[str] = (),
    drop: Collection[str] = (),
) -> Table:
    """Read a table from a file, a folder of files, a pattern, or several of these; its ending says what a file is.

    Columns of Parquet files are read when they are asked for, and no others. Several files have the same columns, in
    whatever order. Of files called `train`, `dev`, `test` and the like, the column `split` says which one a row is of,
    unless they have such a column.

    Columns of `text` are text even where every field looks like a number; those of `numbers` are numbers, so that text
    after these is a unit, and times of day are durations. `reading` says how fields are read that can be read in two
    ways; where nothing shows it, `learned` decides, how the table of a model was read. `sequence` is the column of
    `filled_down`, and `order` sorts the steps; each may be several columns with commas, see `with_joined`. Columns of
    `drop` may be missing in some files.
    """
    files = find_files(source)
    ids, sorts = ([] if names is None else names.split(",") for names in (sequence, order))
    reader = FieldReader(reading, learned, text, numbers=numbers, ids=ids, order=sorts)
    table = read_files(files, reader, sequence, order, drop)[1]
    parts = parts_of(files.paths)
    if SPLIT in table.names:
        return table
    if not parts:
        others = without_part(files.paths)
        said = f"{files.name}: {NO_PARTS.format(named(others))}"
        return replace(table, notices=(*table.notices, said)) if others else table
    split = pl.Series(SPLIT, np.repeat(parts, [rows for _, rows in table.files]))
    return replace(table, values=table.values.with_columns(split), readings={**table.readings, SPLIT: MADE})


def read_files(
    files: Files, reader: FieldReader, sequence: str | None, order: str | None, drop: Collection[str] = ()
) -> tuple[pl.DataFrame | pl.LazyFrame, Table]:
    """The rows of files as they stand there, and the table that such a reader makes of them; see `read_table`."""
    frames, notices, last = list[tuple[str, pl.DataFrame | pl.LazyFrame]](), [*files.notices], 0
    for path in files.paths:
        with readable(path):
            frame = files.format.read(path, notices.append)
        if isinstance(frame, pl.DataFrame):
            frame, last = numbered_on(frame, files.format.words, last)
        frames.append((str(path), frame))
    values, counts, categories = _joined(frames, drop)
    table = Table(files.name, values, counts, notices=tuple(notices))
    if not table.names or len(table) == 0:
        raise DataError(f"{table.source}: this table has no rows.")
    table = filled_down(table, sequence)
    values = table.values
    lazy, kind = isinstance(values, pl.LazyFrame), files.format.fields
    if kind == "strings" and {*table.schema.values()} <= {pl.String(), pl.Null()}:
        kind = "untyped"
    word = None if lazy else word_column(table.names, files.format.words)
    fields = replace(reader, text={*reader.text, *categories, *([word] if word else [])}, fields=kind)
    if isinstance(values, pl.LazyFrame):
        with intact(f"{table.source}: {DAMAGED}"):
            names = may_be_read(values, table.schema, replace(fields))
        texts = fields.read(table.columns(names))
        read = [*texts.get_columns(), *seconds(table.schema, fields.order, fields.numbers)]
        text = any(isinstance(dtype, TEXT) for dtype in table.schema.values())
        if not (text or read) and fields.decided == table.reading:
            return values, with_joined(table, sequence, order)
        typed: pl.DataFrame | pl.LazyFrame = values.with_columns(without_blanks()).with_columns(read)
    else:
        typed = fields.read(values)
    notices += (f"Careful: {table.source}: {text}" for text in unused(values, fields.reading.missing))
    said = fields.notices()
    readings = said | {name: "; ".join([*filter(None, [said.get(name)]), FILLED]) for name in table.readings}
    whole = Table(files.name, typed, counts, 0, readings, tuple(notices), fields.decided, word, fields.units)
    return values, with_joined(whole, sequence, order)


def filled_down(table: Table, sequence: str | None = None) -> Table:
    """The table with the ids in all rows of their sequences that stand on the first row of each.

    `sequence` is the column that tells sequences apart; None for any whose name says so. See `stands_first`.
    """
    likely = [name for name in table.names if names_sequences(name)] if sequence is None else [table.called(sequence)]
    ends = np.cumsum([0, *([rows for _, rows in table.files] or [len(table)])]).tolist()
    filled = []
    for name in (name for name in likely if name in table.schema):
        column = table.column(name)
        if all(stands_first(column[start:end]) for start, end in pairwise(ends)):
            filled.append(name)
    if not filled:
        return table
    values = table.values.with_columns(pl.nth([table.names.index(name) for name in filled]).forward_fill())
    return replace(table, values=values, readings=dict.fromkeys(filled, FILLED))


def with_joined(table: Table, sequence: str | None, order: str | None = None, typed: bool = True) -> Table:
    """The table with a column more for each role that names several columns, as "subject,trial" and "date,time" do.

    Of a sequence these are their values side by side, of the order the times that they tell; see `moments`.
    """
    values, joined = table.values, dict(table.joined)
    if parts := joined_columns(sequence, table.names):
        joined[str(sequence)] = parts
        if FILE in parts and FILE not in table.names:
            files = table.names_of_sequences(None)
            values = values.with_columns(pl.lit(table.source if files is None else files).alias(FILE))
            table = replace(table, values=values)
        table.require(*parts)
        table.require_keys(*parts)
        columns = [(pl.nth(table.names.index(part)), table.schema[part]) for part in parts]
        seconds_of = [part.dt.total_microseconds() / 1e6 if dtype == pl.Duration else part for part, dtype in columns]
        texts = [part.cast(pl.String).str.strip_chars() for part in seconds_of]
        quoted = [pl.when(text.str.contains(",")).then(pl.format('"{}"', text)).otherwise(text) for text in texts]
        values = values.with_columns(pl.concat_str(quoted, separator=",").alias(str(sequence)))
    if parts := joined_columns(order, table.names):
        joined[str(order)] = parts
        table.require(*parts)
        table.require_keys(*parts)
        values = values.with_columns(moments(parts, list(map(table.column, parts)), typed).alias(str(order)))
    return table if values is table.values else replace(table, values=values, joined=joined)


def stands_first(column: pl.Series) -> bool:
    """Whether ids stand on the first row of each sequence only: all differ, with two rows for each and more."""
    if not (isinstance(column.dtype, TEXT) or column.dtype.is_numeric()):
        return False
    ids = column.drop_nulls()
    some = 2 <= len(ids) <= len(column) / 2
    whole = not column.dtype.is_float() or bool((ids % 1 == 0).all())
    return some and whole and column[0] is not None and ids.n_unique() == len(ids)


def alike(name: str, frame: pl.LazyFrame, first: str, schema: pl.Schema) -> pl.LazyFrame:
    """The rows of the file `name`, its columns in the order of `schema`, those of the file `first`.

    Refuses a column that one of the files does not have, or that holds values of another kind there.
    """
    own = frame.collect_schema()
    for where, other, has, lacks in ((name, first, schema, own), (first, name, own, schema)):
        missing = next((column for column in has if column not in lacks), None)
        if missing is not None:
            keys = [column for column in schema if column in own] if own.keys() - schema.keys() else []
            join = f", and those that tell of the same {keys[0]!r} have to be joined by it" if len(keys) == 1 else ""
            raise DataError(
                f"{where}: there is no column {missing!r}, which {other} has. The files of a table have the same "
                f"columns; files without labels are for `bothways predict`{join}. "
                f"For training {option('drop', missing)} leaves the column out. "
                f"{suggestion(missing, lacks)}"
            )
    for column, dtype in own.items():
        kinds = {kind_of(dtype), kind_of(schema[column])} - {"nothing"}
        if len(kinds) > 1:
            raise DataError(
                f"{name}: the column {column!r} is of type {dtype}, and of type {schema[column]} in {first}. The files "
                "of a table hold values of the same kind."
            )
    places = {column: place for place, column in enumerate(own)}
    return frame.select(pl.nth([places[column] for column in schema]))


def _joined(
    frames: list[tuple[str, pl.DataFrame | pl.LazyFrame]], drop: Collection[str]
) -> tuple[pl.DataFrame | pl.LazyFrame, tuple[tuple[str, int], ...], set[str]]:
    """The rows of all files one after the other; if there are several, how many each has, and which are categories."""
    first, frame = frames[0]
    if len(frames) == 1:
        return frame, (), set()
    some = {column for _, each in frames for column in each.collect_schema()}.intersection(drop)
    empty = [[pl.lit(None).alias(column) for column in some.difference(each.collect_schema())] for _, each in frames]
    frames = [(name, each.with_columns(lacks)) for (name, each), lacks in zip(frames, empty, strict=True)]
    schemas = [dict(each.collect_schema()) for _, each in frames]
    schema = pl.Schema(schemas[0])
    for column in schema:  # what is empty in the first file has the type that it has in a later one
        schema[column] = next((own[column] for own in schemas if own.get(column, pl.Null) != pl.Null), pl.Null())
    # By number, for where types differ `concat` takes the names "*" and "^x$" for patterns.
    numbered = [pl.nth(at).alias(str(at)) for at in range(len(schema))]
    pieces = [alike(name, each.lazy(), first, schema).select(numbered) for name, each in frames]
    text = pl.selectors.by_dtype(TEXT).cast(pl.String)
    whole = pl.concat([each.with_columns(text) for each in pieces], how="vertical_relaxed")
    whole = whole.rename(dict(zip(map(str, range(len(schema))), schema, strict=True)))
    counts = tuple((name, int(each.select(pl.len()).lazy().collect().item())) for name, each in frames)
    categories = {name for own in schemas for name, dtype in own.items() if dtype in (pl.Categorical, pl.Enum)}
    return (whole.collect() if isinstance(frame, pl.DataFrame) else whole), counts, categories


def kind_of(dtype: pl.DataType) -> str:
    """The kind of a type; those of one kind can stand in one column."""
    if dtype.is_numeric():
        return "numbers"
    if isinstance(dtype, TEXT):
        return "text"
    if isinstance(dtype, (pl.Date, pl.Datetime)):
        return f"times in the zone {getattr(dtype, 'time_zone', None)}"
    return "nothing" if dtype == pl.Null else str(dtype)

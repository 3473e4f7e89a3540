"""Tables of any size, read as chunks of whole sequences."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import chain, pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from bothways.data.columns import Columns
from bothways.data.encoding import Tally
from bothways.data.renaming import as_in_file, as_trained
from bothways.data.roles import NONE, match_columns
from bothways.data.sequences import MAX_STEPS, cut_long, encoded, group_as_they_stand, group_rows, long_notice
from bothways.errors import DataError
from bothways.fields.reader import AS_SHOWN, FieldReader, LaterRowsDifferError
from bothways.sequences import Sequences
from bothways.settings import Reading, as_names
from bothways.tables.hints import column_notices
from bothways.tables.opening import readable
from bothways.tables.sources import Files, Source, find_files, with_blocks
from bothways.tables.table import NEEDED, Table, alike, kind_of, read_files, with_joined
from bothways.tables.words import SENTENCE, numbered_on, word_column

ROWS = 500_000  # read at a time


@dataclass(frozen=True, eq=False)
class Chunk:
    """Some rows of a table, and the sequences that they form."""

    frame: pl.DataFrame  # the rows as they stand in the file (in a CSV file, text)
    values: pl.DataFrame  # the same with their types; only where they were asked for
    sequences: Sequences  # `sequences.rows` counts from the first row of the chunk
    anew: bool = False  # whether it is the whole table after all, and the chunks before it are void


class _MustSortError(Exception):
    """The table cannot be read in pieces; says why, unless the whole table shows it."""


def stream_sequences(
    source: Source | Files,
    columns: Columns,
    *,
    rows: int = ROWS,
    max_steps: int = MAX_STEPS,
    typed: bool = False,
    reading: Reading = AS_SHOWN,
    say: Callable[[str], None] = print,
) -> Generator[Chunk]:
    """Read a table as chunks of whole sequences, in memory that does not grow with the table.

    It takes one pass where the rows of each sequence stand together and in order, each with its name. Where they turn
    out not to, the whole table is read, as `say` tells; see `Chunk.anew`. Together the chunks hold each row once.

    `columns` are those of a model; no labels are read. A chunk has about this many `rows`. Sequences longer than
    `max_steps` are cut. `Chunk.values` are there if `typed`.
    """
    files, told = with_blocks(find_files(source), columns.parted), set[str]()

    def tell(text: str) -> None:
        if text not in told:
            told.add(text)
            say(text)

    for notice in files.notices:
        tell(notice)
    numbers, ids, order = frozenset(columns.numbers), as_names(columns.sequence), as_names(columns.order)
    text = {*columns.categories, *(name for name in ids if "," in name)}  # 1,10 is no 1.1
    kind = files.format.fields
    fields = FieldReader(reading, columns.reading, text, kind, whole=False, numbers=numbers, ids=ids, order=order)
    reader = _Reader(files, columns, fields, rows, max_steps, typed, tell)
    try:
        yield from reader.chunks()
    except _MustSortError as reason:
        if reason.args:
            tell(f"{files.name}: {reason}, so the whole table is read at once.")
        yield reader.whole()
    for notice in reader.tally.notices():
        say(notice)


def _batches(files: Files, rows: int, say: Callable[[str], None]) -> Iterator[tuple[str, pl.DataFrame]]:
    """The rows of all files with the name of the file, the columns as in the first one."""
    read, batches = files.format.read, files.format.batches
    schema: pl.Schema | None = None
    last = 0
    for path in files.paths:
        before = last
        with readable(path):
            for batch in batches(path, rows, say) if batches else read(path, say).lazy().collect().iter_slices(rows):
                frame, last = numbered_on(batch, files.format.words, before)
                if schema is None:
                    schema = frame.schema
                elif frame.schema != schema:
                    frame = _typed(alike(str(path), frame.lazy(), str(files.paths[0]), schema).collect(), schema)
                yield str(path), frame


def _typed(frame: pl.DataFrame, schema: pl.Schema) -> pl.DataFrame:
    """Rows with the types of the first ones, in which they say the same; else LaterRowsDifferError."""
    columns = {}
    for name, dtype in schema.items():
        column = columns[name] = frame.get_column(name)
        if column.dtype == dtype:
            continue
        try:
            columns[name] = column.cast(dtype)
            same = columns[name].cast(column.dtype).equals(column)
        except pl.exceptions.PolarsError:
            raise LaterRowsDifferError from None
        narrower = column.dtype.is_float() and not dtype.is_float()
        if column.count() and (not same or narrower or kind_of(dtype) != kind_of(column.dtype)):
            raise LaterRowsDifferError
    return pl.DataFrame(columns)


@dataclass(eq=False)
class _Reader:
    """One pass over the files."""

    files: Files
    columns: Columns
    fields: FieldReader
    rows: int
    max_steps: int
    typed: bool
    say: Callable[[str], None]
    tally: Tally = field(default_factory=Tally)
    start: int = 0
    read: dict[str, int] = field(default_factory=dict)
    seen: npt.NDArray[np.uint64] = field(default_factory=lambda: np.empty(0, np.uint64))
    schema: pl.Schema | None = None
    cut_at: Any = None
    """The place of the last step so far, where a cut may go through a sequence."""
    cut: bool = False
    long: int = 0
    renamed: dict[str, str] = field(default_factory=dict)
    """What the model calls columns of words, and what the files call them."""

    def chunks(self) -> Iterator[Chunk]:
        """The chunks of the table."""
        rest: pl.DataFrame | None = None
        try:
            end = "", pl.DataFrame()
            for (name, batch), following in pairwise(chain(_batches(self.files, self.rows, self.say), [end])):
                batch = self._as_known(name, batch)
                frame = batch if rest is None else pl.concat([rest, batch])
                if following is not end:
                    if begin := self._last_sequence(frame):
                        yield self._chunk(frame.head(begin), through=False)
                        frame = frame.slice(begin)
                    while frame.height > self.max_steps:
                        yield self._chunk(frame.head(self.max_steps), through=True)
                        frame = frame.slice(self.max_steps)
                rest = frame
            if rest is None or not rest.height:
                raise DataError(f"{self.files.name}: this table has no rows.")
            yield self._chunk(rest, through=False, last=True)
        except LaterRowsDifferError:
            raise _MustSortError("the first rows alone do not show how to read all of them") from None
        if self.long:
            self.say(long_notice(self.long, self.max_steps))
        for notice in (*self._readings(self.fields.notices()), *self.columns.unit_notices(self.fields.units)):
            self.say(notice)

    def _as_known(self, name: str, batch: pl.DataFrame) -> pl.DataFrame:
        """Rows of a file with the columns that the model needs, by the names that it knows."""
        word = word_column(batch.columns, self.files.format.words)
        batch, self.renamed = as_trained(batch, word, self.columns, sum(self.read.values()))
        known = with_joined(Table(name, batch), self.columns.sequence, self.columns.order, typed=False).frame()
        self.renamed |= dict.fromkeys(set(known.columns).difference(batch.columns), "")
        if not self.read:
            self._check_needed(known, word)
        if self.columns.sequence is not None and known.get_column(self.columns.sequence).null_count():
            raise _MustSortError  # the other rows show whether names are filled downward
        self.read[name] = self.read.get(name, 0) + known.height
        return known

    def _check_needed(self, batch: pl.DataFrame, word: str | None) -> None:
        """Refuse rows that lack a column; the message may suggest one of those that are there."""
        missing = set(self.columns.needed).difference(batch.columns)
        lists = [name for name, dtype in batch.schema.items() if dtype.is_nested()]
        text = "text" in batch.columns
        if missing and word is None and self.columns.sequence == SENTENCE and (text or lists):
            here = "is text" if text else f"stands a list or an object in {lists[0]!r}"
            raise DataError(
                f"{self.files.name}: this model labels words, and here {here}. Give the words of each sentence as a "
                "list called 'tokens', or the text as a file called .txt, which is cut into words."
            )
        Table(self.files.name, batch).require(*self.columns.needed, why=NEEDED)

    def whole(self) -> Chunk:
        """The whole table at once, in the place of all chunks."""
        columns, self.tally = self.columns, Tally()
        ids, order = ([] if names is None else names.split(",") for names in (columns.sequence, columns.order))
        reader = replace(self.fields, text=columns.categories, whole=True, ids=ids, order=order)
        raw, table = read_files(self.files, reader, columns.sequence or NONE, columns.order)
        whole, schema = table.frame(), raw.collect_schema()
        values = whole.drop(set(whole.columns).difference(schema))
        types = enumerate(zip(schema.values(), values.schema.values(), strict=True))
        read = [place for place, (dtype, own) in types if own != dtype or dtype == pl.String]
        frame = raw if isinstance(raw, pl.DataFrame) else values.with_columns(raw.select(pl.nth(read)).collect())
        table = replace(table, values=as_trained(whole, table.word, columns)[0])
        match_columns(table, columns, label=False)
        bare, notices = group_as_they_stand(table, columns), list[str]()
        if bare is None:
            bare, notices = group_rows(table, columns)
        cut, said = cut_long(bare, self.max_steps)
        sequences = encoded(table, columns, cut, self.tally)
        units = columns.unit_notices(table.units)
        for notice in (*table.notices, *self._readings(table.readings), *units, *notices, *said):
            self.say(notice)
        return Chunk(frame, values, sequences, anew=True)

    def _readings(self, readings: Mapping[str, str]) -> list[str]:
        """How columns were read, if only the model's were asked for, of these alone."""
        needed = self.columns.needed
        return column_notices((name, text) for name, text in readings.items() if self.typed or name in needed)

    def _last_sequence(self, frame: pl.DataFrame) -> int:
        """The row at which the last sequence begins."""
        name = self.columns.sequence
        if name is None:  # each file is one
            return max(0, sum(list(self.read.values())[:-1]) - self.start)
        column = frame.get_column(name).alias("")
        changes = column[1:].ne_missing(column[:-1]).arg_true()
        return int(changes[-1]) + 1 if len(changes) else 0

    def _chunk(self, frame: pl.DataFrame, through: bool, last: bool = False) -> Chunk:
        """Rows as a chunk; `through` says that the cut after them goes through a sequence, `last` that none follow."""
        columns, several = self.columns, len(self.files.paths) > 1
        if self.typed:
            values = self.fields.read(frame)
            self.schema = self.schema or values.schema
            values = needed = _typed(values, self.schema)
        else:
            values = frame
            needed = self.fields.read(pl.DataFrame({name: frame.get_column(name) for name in columns.needed}))
            if columns.split in frame.columns:  # parts may count their sequences anew
                needed = needed.hstack([frame.get_column(columns.split)])
        files = tuple(self.read.items()) if several else ()
        table = Table(self.files.name, needed, files, self.start, reading=self.fields.decided)
        match_columns(table, columns, label=False)
        bare = group_as_they_stand(table, columns)
        if bare is None:
            if not (last and self.start == 0):
                raise _MustSortError("the rows of a sequence do not stand together and in order")
            bare, notices = group_rows(table, columns)
            for notice in notices:
                self.say(notice)
        self._check_new(table, bare)
        self.long += int((bare.lengths[int(self.cut) :] > self.max_steps).sum())
        self._check_place(table, through)
        values, own = (as_in_file(each, self.renamed) for each in (values, frame))
        cut, _ = cut_long(bare, self.max_steps)
        chunk = Chunk(own, values, encoded(table, columns, cut, self.tally))
        self.start += frame.height
        return chunk

    def _check_new(self, table: Table, sequences: Sequences) -> None:
        """See to it that no sequence comes twice."""
        if self.columns.sequence is None:
            return
        starts = sequences.offsets[int(self.cut) : -1]
        names = np.sort(table.column(self.columns.sequence).gather(starts).hash().to_numpy())
        at = np.searchsorted(self.seen, names)
        if len(self.seen) and (self.seen[np.minimum(at, len(self.seen) - 1)] == names).any():
            raise _MustSortError(f"the rows of some sequences in {self.columns.sequence!r} stand apart")
        self.seen = np.insert(self.seen, at, names)

    def _check_place(self, table: Table, through: bool) -> None:
        """See to it that a sequence that was cut goes on in order."""
        if self.columns.order is not None:
            places = table.column(self.columns.order)
            if self.cut and not places[0] >= self.cut_at:
                raise _MustSortError("the rows of a sequence do not stand in order")
            self.cut_at = places[-1]
        self.long += through and not self.cut
        self.cut = through

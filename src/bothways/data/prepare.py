"""The one way from a table to train, valid and test."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import polars as pl

from bothways.data.clocks import ROW_NUMBERS, clock_columns, names_by_file
from bothways.data.columns import NAMED, Columns, Remark
from bothways.data.encoding import Tally
from bothways.data.fitting import DISTINCT, FEW_ROWS, fit_encoding
from bothways.data.guesses import holds_texts
from bothways.data.labels import label_values
from bothways.data.layouts import VARIABLE, cases_notice, long_columns, long_notice, wide_notice
from bothways.data.roles import NONE, choose_columns
from bothways.data.sequence_columns import CUTS, glued_by, interleaved
from bothways.data.sequences import MAX_STEPS, cut_long, encoded, told_apart_by
from bothways.data.splits import GAP, SHARES, Parts, split_table
from bothways.data.vectors import VectorFiles, find_vectors
from bothways.errors import DataError, counted, option
from bothways.fields.kinds import TEXT
from bothways.fields.names import FILE, names_sequences
from bothways.fields.numbers import outlying_nines
from bothways.fields.reader import AS_SHOWN, changed
from bothways.options import options
from bothways.settings import Reading, Roles, Settings, as_names
from bothways.tables.headers import TOTALS
from bothways.tables.sources import Source
from bothways.tables.table import FILLED, MADE, SPLIT, Table, read_table, with_joined

FEW_TEXTS = 20  # columns of no more texts than these hold kinds
LONG_WORD = r"^\p{L}{20,}$"  # where most differ, each may be a sequence of letters


@dataclass(frozen=True, eq=False)
class SplitTable:
    """A table that is read and split."""

    table: Table
    columns: Columns
    parts: Parts  # with labels and without features
    notices: list[str]  # what the user should be told about the rows and the parts
    vectors: VectorFiles | None = None  # where those of its words are

    def encoded(self, max_steps: int = MAX_STEPS) -> tuple[Columns, Parts, list[str]]:
        """The columns with the encoding that the train part shows, the parts with their features, and notices."""
        encoding, notices = fit_encoding(self.table, self.columns, self.parts.train, self.vectors)
        columns = self.columns.adopt(encoding)
        tally, parts = Tally(), dict[str, Any]()
        for name, part in self.parts.named.items():
            cut, said = cut_long(part, max_steps)
            # What is rare in the train part is unknown by intention, and not counted.
            parts[name] = encoded(self.table, columns, cut, Tally() if name == "train" else tally)
            notices += [notice for notice in said if notice not in notices]
        return columns, replace(self.parts, **parts), [*notices, *tally.notices()]


def read_and_split(
    source: Source | Table,
    *,
    seed: int = Settings.seed,
    window: int | None = Settings.window,
    draw_valid: bool = True,
    shares: Sequence[float] = SHARES,
    vectors: str | os.PathLike[str] | None = None,
    **roles: Any,
) -> SplitTable:
    """Read a table, give its columns their roles, and split its rows into train, valid and test.

    `roles` are those of `choose_columns`, and attributes of `Reading`. `seed`, `draw_valid` and `shares` are those of
    `split_table`; `window` is how many steps training looks at together; the same number is left out between two parts
    of one sequence. `vectors` names a file of pretrained vectors of words, or an installed package that has some. Rows
    that each hold a text are refused.
    """
    files = None if vectors is None else find_vectors(vectors)
    reading = Reading(**{name: roles.pop(name) for name in options(Reading) if name in roles})
    asked = Roles(**roles)

    def read(text: Sequence[str], sequence: str | None, order: str | None) -> Table:
        if isinstance(source, Table):
            return source
        return read_table(source, text, reading, AS_SHOWN, sequence, order, asked.numeric, asked.drop)

    table = read(asked.categorical, asked.sequence, asked.order)
    columns = choose_columns(table, **vars(asked))
    order = columns.order
    if any(table.readings.get(name, "").endswith(FILLED) for name in columns.features):
        # What is learned from stays as it is, as new tables have it.
        table = read(asked.categorical, columns.sequence or NONE, order)
        columns = choose_columns(table, **vars(asked))
    as_numbers = table.readings.get(columns.label, "")
    label = [columns.label] if changed(as_numbers) else []
    if (columns.categories or label) and table.word is None:
        # Codes such as 007 were read as numbers.
        table = read([*asked.categorical, *columns.categories, *label], columns.sequence or NONE, order)
        if label and columns.label not in table.readings:
            *others, own = sorted(columns.guesses, key=lambda guess: guess.name in label)
            columns = replace(columns, guesses=(replace(own, why=own.why.removesuffix(f"; {as_numbers}")), *others))
    table = with_joined(table, None, order)
    _check_texts(table, columns, asked=asked.sequence is not None)
    said = [*table.notices, *_shape_notices(table, columns, asked)]
    if "missing" in as_numbers:
        keep = option("categorical", columns.label)
        said.append(Remark(f"Label {columns.label!r}: {as_numbers}. If that is a label of its own: {keep}."))
    gap = GAP if window is None else window
    columns, parts, notices = split_table(table, columns, seed, gap=gap, draw_valid=draw_valid, shares=shares)
    return SplitTable(table, columns, parts, [*said, *notices], files)


def _check_texts(table: Table, columns: Columns, asked: bool) -> None:
    """Refuse rows that each hold a text of its own, and its name at most, unless somebody said that they are steps."""
    texts = len(columns.features) == len(columns.categories)
    if asked or not texts or columns.sequence is not None or columns.order is not None or table.files:
        return
    found = {name: table.column(name).cast(pl.String) for name in columns.features}
    name = max(found, key=lambda each: found[each].str.len_bytes().sum())
    column, several = found[name], holds_texts(found[name])
    own = [each for each in found if len(column) >= FEW_ROWS and found[each].n_unique() > DISTINCT * len(column)]
    if found.keys() - {*own, *[name] * several}:
        return
    what, by, pandas = ("word", " ", ".str.split(' ')") if several else ("letter", "", ".map(list)")
    label, labels = columns.label, label_values(table, columns.label)
    learn = f"one label per text with {option('per', 'sequence')}"
    more, split, apply = repr(what), "", ""
    if labels.dtype == pl.String and (labels.str.split(by).list.len() == column.str.split(by).list.len()).all():
        learn = f"one label per {what}"
        more, split = f"{what!r}, {label!r}", f", pl.col({label!r}).str.split({by!r})"
        apply = f", **{{{label!r}: frame[{label!r}]{pandas}}}"
    raise DataError(
        f"{table.source}: each row holds a text of its own in {name!r}; bothways labels the steps of sequences. Write "
        f"the {what}s of each text one below the other, with a column that tells texts apart (Polars: "
        f"frame.with_row_index('sequence_id').with_columns(pl.col({name!r}).str.split({by!r}).alias({what!r}){split})"
        f".explode({more}).drop({name!r}); pandas: frame.assign(sequence_id=range(len(frame)), "
        f"{what}=frame[{name!r}]{pandas}{apply}).explode([{more}]).drop(columns={name!r})), and learn {learn}. If the "
        f"rows are steps of one sequence all the same: {option('sequence', 'none')}."
    )


def _shape_notices(table: Table, columns: Columns, asked: Roles) -> Iterator[str]:
    """What the user should be told of how the table lays its sequences out; what melt wrote is refused."""
    yield from _melted_notices(table, columns, asked)
    yield from _file_notices(table, columns)
    joined = [
        guess.name for guess in columns.guesses if guess.why.startswith(NAMED) and names_sequences(guess.name) >= 2
    ]
    if joined and columns.split is None and columns.group is None:
        yield Remark(
            f"Sequences of one {joined[0]!r} may stand in several parts; {option('group', joined[0])} keeps them in "
            "one."
        )
    nines = {name: found for name in columns.numbers if (found := outlying_nines(table.column(name)))}
    if nines:
        where = "; ".join(f"{', '.join(found)} in {name!r}" for name, found in [*nines.items()][:5])
        where += "; ..." * (len(nines) > 5)
        words = dict.fromkeys(value for found in nines.values() for value in found)
        yield (
            f"Careful: far from all other values there is {where}. If that means that there is no value, leave such "
            f"fields empty, or read it as missing ({option('missing', *words)})."
        )
    if columns.sequence is None:
        if wide := wide_notice(table, columns.features):
            yield wide
        elif asked.sequence is None and asked.order is None and not table.files:
            yield from filter(None, [cases_notice(table, columns)])
        if asked.sequence is None and not table.files and (shown := interleaved(table, columns)):
            name, number = shown
            yield (
                f"Careful: {name!r} may tell sequences apart: {number!r} goes on from the last row of the same "
                f"{name!r}, not from the row before. If it does, use {option('sequence', name)}."
            )
        if columns.order is None:
            yield from _text_notices(table, columns)
    else:
        yield from _glued_notices(table, columns, columns.sequence)
        yield from _subtotals(table, columns.sequence)


def _melted_notices(table: Table, columns: Columns, asked: Roles) -> Iterator[str]:
    """A word about rows that were fields of wider ones, unless somebody said what their columns are for."""
    names = long_columns(table, columns)
    if names is not None and not any(names[0] in as_names(each) for each in vars(asked).values()):
        melted = long_notice(table, *names)
        if names[0] == VARIABLE and asked.sequence is None:
            raise DataError(f"{melted}, or learn from the rows as they are: {option('categorical', VARIABLE)}.")
        yield f"Careful: {melted}."


def _file_notices(table: Table, columns: Columns) -> Iterator[str]:
    """A word about what several files are: sequences, or where names of sequences come again."""
    files = table.names_of_sequences(None)
    if files is None or (columns.split == SPLIT and table.readings.get(SPLIT) == MADE):
        return
    if columns.sequence is None:
        filled = sum(rows > 0 for _, rows in table.files)
        yield f"No column tells sequences apart, so each of the {filled} files is one."
        return
    ids = table.column(columns.sequence)
    several = pl.DataFrame({"name": ids, "file": files}).n_unique() > ids.n_unique()
    if several and names_by_file(table, columns.sequence, [columns.order] if columns.order else []) is None:
        yield Remark(
            f"Names in {columns.sequence!r} stand in several files, and each is one sequence. If every file counts "
            f"its own: {option('sequence', f'{FILE},{columns.sequence}')}."
        )


def _text_notices(table: Table, columns: Columns) -> Iterator[str]:
    """A word about columns most rows of which hold a text that may be a sequence of its own."""
    for name in columns.categories:
        column = table.column(name).cast(pl.String)
        several = column.n_unique() > FEW_TEXTS and holds_texts(column)
        long = column.filter(column.str.contains(LONG_WORD)).n_unique()
        if several or 2 * long > len(column):
            held, what = ("several words", "words") if several else ("one long word", "letters")
            yield (
                f"Column {name!r} holds {held} in most rows. If each text is a sequence of its own, write its {what} "
                "one below the other, with a column that tells sequences apart (Polars, pandas: split and explode)."
            )


def _subtotals(table: Table, sequence: str) -> Iterator[str]:
    """A word about rows that sum those of a sequence, as spreadsheets write them: `pump 1 Total` below `pump 1`."""
    if not isinstance(table.column(sequence).dtype, TEXT):
        return
    words, names = "|".join(TOTALS), table.column(sequence).cast(pl.String)
    total, known = f"(?i)^(?:{words}) | (?:{words})$", names.unique()
    sums = known.filter(known.str.contains(total) & known.str.replace(total, "").is_in(known.to_list())).sort()
    if len(sums):
        rows = counted(int(names.is_in(sums.to_list()).sum()), "row")
        yield f"Careful: {rows} of {sequence!r} such as {sums[0]!r} seem to be totals of others. Remove them."


def _glued_notices(table: Table, columns: Columns, sequence: str) -> Iterator[str]:
    """A word about sequences in which a clock starts over or each time comes several times, as if they were several."""
    cutting = [guess.name for guess in columns.guesses if guess.why.startswith(CUTS)]
    if found := glued_by(table, sequence, cutting) if cutting else None:
        name, clock = found
        yield (
            f"Careful: sequences of {sequence!r} seem to be several, one after the other: {clock!r} starts over where "
            f"{name!r} changes. Name both: {option('sequence', f'{sequence},{name}')}."
        )
    if found or columns.order not in (None, *ROW_NUMBERS):
        return
    others = [guess.name for guess in columns.guesses if guess.name not in (columns.label, sequence)]
    for clock in clock_columns(table, others):
        if clock != columns.order and (names := told_apart_by(table, columns, clock)):
            is_the_same, both = ("is", "both") if len(names) == 1 else ("are", "all")
            yield (
                f"Careful: sequences of {sequence!r} seem to be several: in each the same {clock!r} comes several "
                f"times, and but once where {' and '.join(map(repr, names))} {is_the_same} the same, too. Name {both}: "
                f"{option('sequence', ','.join([sequence, *names]))}."
            )
            return

"""What the columns of a table are for, where nobody says it. Every guess is kept, with its reason."""

from __future__ import annotations

from collections.abc import Collection

import polars as pl

from bothways.data.columns import Guess
from bothways.data.hints import columns_are
from bothways.data.names import IDS, words
from bothways.data.numbers import are_whole
from bothways.data.split_columns import guess_split
from bothways.data.tables import Table
from bothways.data.words import SENTENCE
from bothways.errors import DataError, option

LABELS = ("label", "labels", "tag", "tags", "class", "target", "y")

ALARMS = ("anomaly", "attack", "failure", "fraud", "intrusion", "outlier")
"""What the label may be called where no column has such a name, also `is_fraud`."""

KINDS = ("syscall", "id", "code", "port", "proto", "protocol", "type", "kind", "category", "service", "opcode")
"""Whole numbers in columns with such a word in their names are categories."""

MANY_KINDS = 1024  # whole numbers of more values than these are not guessed to be categories
FEW_KINDS = 512  # whole numbers of fewer values than these, spread widely, may be categories


def guess_label(table: Table, names: Collection[str]) -> Guess:
    """The column with the labels, by its name, among those that have no role yet; it must be one.

    Of several, those with fractions are none: `y` may be a place.
    """
    candidates = [name for name in names if name.strip().lower() in LABELS]
    candidates = candidates or [name for name in names if "".join(words(name)).removeprefix("is") in ALARMS]
    if not candidates:
        raise DataError(
            f"{table.source}: no column is called {', '.join(LABELS[:-2])} or {LABELS[-2]}. Name the one to learn with "
            f"{option('label')}. {columns_are(table.schema, table.files)}"
        )
    if len(candidates) > 1:
        whole = (name for name in candidates if not table.schema[name].is_float() or are_whole(table.column(name)))
        candidates = [*whole] or candidates
    return Guess(table.only("label", candidates), "label", "by its name")


def guess_words(table: Table, names: Collection[str], wanted: Collection[str], features: bool = False) -> list[Guess]:
    """The roles of the columns of sentences: the words are the feature, and no other column is one in silence.

    `names` are the columns that have no role yet, `wanted` the roles to guess; `features` says that they are given.
    """
    found = []
    if "label" in wanted:
        found.append(label_of_words(table, names) or guess_label(table, names))
    if "split" in wanted:
        found += guess_split(table, names)
    if "sequence" in wanted and SENTENCE in names:
        found.append(Guess(SENTENCE, "sequence", "one per sentence"))
    taken = {guess.name for guess in found}
    why = "not asked for" if features else f"new text does not have it ({option('categorical')} to learn from it)"
    rest = [name for name in names if name not in taken]
    return found + [
        Guess(name, "feature", "the words") if name == table.word and not features else Guess(name, "left out", why)
        for name in rest
    ]


def label_of_words(table: Table, names: Collection[str]) -> Guess | None:
    """The label of words, if it shows.

    It is the one column called so, or of which that is the last word (`ner_tags`); then the `upos` of CoNLL-U; then the
    last one of columns that have no name.
    """
    tags = [name for name in names if {*words(name)[-1:]} & {*LABELS}]
    tags = [name for name in tags if name.lower() in LABELS] or tags
    last = [name for name in names if name.isdecimal()][-1:]
    if tags:
        return Guess(table.only("label", tags), "label", "by its name")
    if "upos" in names and table.column("upos").count():
        return Guess("upos", "label", f"the part of speech ({option('label')} for another)")
    return Guess(last[0], "label", f"the last column ({option('label')} for another)") if last else None


def pointed_to(table: Table, name: str) -> str | None:
    """The column of ids of rows by which a column points to other rows, each to one of its own, as to the next.

    One number that comes again means none, as -1 does.

    Example:
        >>> frame = pl.DataFrame({"id": [1, 2, 3, 4], "next_id": [2, -1, 4, -1], "group_id": [1, 1, 2, 2]})
        >>> pointed_to(Table("some.csv", frame), "next_id"), pointed_to(Table("some.csv", frame), "group_id")
        ('id', None)
    """
    schema = table.schema
    if not schema[name].is_integer() or not {*words(name)[-1:]} & {*IDS}:
        return None
    column = table.column(name)
    again = column.filter(column.is_duplicated()).drop_nulls().unique()
    there = (column != again[0] if len(again) else column.is_not_null()).fill_null(False)
    if len(again) > 1 or 2 * there.sum() < len(column):
        return None
    for other in (each for each in schema if each != name and {*words(each)[-1:]} & {*IDS}):
        ids = table.column(other)
        own = ids.dtype.is_integer() and ids.n_unique() == len(ids) and not (ids == column).any()
        if own and column.filter(there).is_in(ids.implode()).all():
            return other
    return None


def guess_categories(table: Table, names: Collection[str]) -> list[Guess]:
    """The columns of whole numbers that are categories, by their names; and others that may be, as features."""
    schema, rows, guesses = table.schema, len(table), []
    for name in (name for name in names if schema[name].is_integer()):
        values = table.column(name).drop_nulls().unique()
        if len(values) < 3:
            continue
        spread = int(values.max()) - int(values.min()) + 1  # type: ignore[arg-type]
        if set(words(name)) & set(KINDS):
            few = len(values) <= MANY_KINDS
            cure = f"{option('numeric', name)} for amounts" if few else f"{option('drop', name)}?"
            why = f"by its name; {len(values):,} whole numbers ({cure})"
            guesses.append(Guess(name, "category" if few else "feature", why))
        elif len(values) <= FEW_KINDS and rows > 20 * len(values) and len(values) < spread * 0.75 and spread > 20:
            why = f"{len(values)} whole numbers; if they are categories: {option('categorical', name)}"
            guesses.append(Guess(name, "feature", why))
    return guesses


def holds_texts(column: pl.Series) -> bool:
    """Whether most values are texts of more than two words.

    Example:
        >>> holds_texts(pl.Series(["open read close", "read it"])), holds_texts(pl.Series(["open read close"]))
        (False, True)
    """
    return column.dtype == pl.String and (column.str.count_matches(r"\S\s") > 1).sum() > len(column) / 2

"""Guesses at which column plays which part, for columns that nobody named. Every guess is said."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from types import MappingProxyType

import numpy as np
import polars as pl

from bothways.data.tables import Table
from bothways.errors import DataError, option

SPELLINGS: Mapping[str, str] = MappingProxyType(
    {
        "train": "train",
        "training": "train",
        "valid": "valid",
        "validation": "valid",
        "val": "valid",
        "dev": "valid",
        "test": "test",
        "testing": "test",
    }
)
"""How a split column may spell the parts, in small letters."""

LABELS = ("label", "labels", "tag", "tags", "class", "target", "y")
SPLITS = ("split", "part", "fold", "subset", "partition")
SEQUENCES = ("sequence", "seq", "session", "trace", "sentence", "document", "host", "flow", "trip", "episode", "series")
ORDERS = ("step", "time", "timestamp", "datetime", "date", "position", "index", "order", "frame", "tick")
KINDS = ("syscall", "id", "code", "port", "proto", "protocol", "type", "kind", "category", "service", "opcode")
"""Whole numbers in columns with such a word in their names are names of kinds."""

MANY_KINDS = 1024
"""More kinds than these are not guessed at."""

FEW_KINDS = 512
"""Whole numbers of fewer values than these, spread widely, may be names of kinds."""


def words(name: str) -> list[str]:
    """The words in the name of a column, in small letters.

    Example:
        >>> words("flow_ID"), words("DestPort")
        (['flow', 'id'], ['dest', 'port'])
    """
    return [word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)]


def guess_label(table: Table, names: Collection[str]) -> tuple[str, list[str]]:
    """The column with the labels, by its name.

    Args:
        table: the table.
        names: the columns that have no part yet.

    Returns:
        The column, and a word about it.

    Raises:
        DataError: none is called so, or several are.
    """
    candidates = _named(names, lambda name: name.lower() in LABELS)
    if not candidates:
        shown = ", ".join(repr(name) for name in table.names[:20]) + (", ..." if len(table.names) > 20 else "")
        raise DataError(
            f"{table.source}: no column is called {', '.join(LABELS[:-2])} or {LABELS[-2]}. Name the one to learn with "
            f"{option('label')}. The columns are: {shown}."
        )
    label = _only(table, "label", candidates)
    return label, [f"Learns column {label!r}, by its name ({option('label')} to name another)."]


def guess_split(table: Table, names: Collection[str]) -> tuple[str | None, list[str]]:
    """The column that says train, valid or test, by its name and its values; see `guess_label`."""
    candidates = []
    for name in _named(names, lambda name: words(name)[-1:] and words(name)[-1] in SPLITS):
        column = table.column(name)
        if column.dtype != pl.String:
            continue
        values = {str(value).strip().lower() for value in column.unique().to_list()}
        if values <= SPELLINGS.keys():
            candidates.append(name)
    if not candidates:
        return None, []
    split = _only(table, "split", candidates)
    return split, [
        f"Parts are taken from column {split!r} ({option('split')} to name another, "
        f"{option('split', 'none')} to draw them)."
    ]


def guess_sequence(table: Table, names: Collection[str]) -> tuple[str | None, list[str]]:
    """The column that tells sequences apart: by its name, with values that stand together; see `guess_label`."""
    candidates = []
    for name in _named(
        names, lambda name: words(name)[:1] and (words(name)[0] in SEQUENCES or words(name)[-1] == "id")
    ):
        column = table.column(name)
        if column.dtype.is_float() or column.dtype.is_temporal() or column.dtype.is_nested() or column.null_count():
            continue
        runs = int((column != column.shift()).sum()) + 1
        if 1 < column.n_unique() == runs < len(column):
            candidates.append(name)
    if not candidates:
        return None, []
    exact = [name for name in candidates if "_".join(words(name)) in ("sequence_id", "sequence", "seq_id", "seq")]
    sequence = _only(table, "sequence", exact or candidates)
    return sequence, [
        f"Sequences are told apart by column {sequence!r} ({option('sequence')} to name another, "
        f"{option('sequence', 'none')} if there is but one)."
    ]


def guess_order(table: Table, sequence: str | None, names: Collection[str]) -> tuple[str | None, list[str], list[str]]:
    """The column that sorts the steps: by its name, with values that increase within every sequence.

    Returns:
        The column, times before numbers; further columns that sort the steps in the same way; and a word about them.
    """
    by_name = _named(names, lambda name: words(name)[-1:] and words(name)[-1] in ORDERS)
    candidates = [name for name in by_name if table.schema[name].is_numeric() or table.schema[name].is_temporal()]
    if not candidates:
        return None, [], []
    same = np.ones(len(table) - 1, bool)
    if sequence is not None:
        column = table.column(sequence)
        same = (column[1:] == column[:-1]).fill_null(True).to_numpy()
    rising = []
    for name in candidates:
        column = table.column(name)
        if not column.null_count() and bool((column[1:] > column[:-1]).to_numpy()[same].all()):
            rising.append(name)
    if not rising:
        return None, [], []
    order = next((name for name in rising if table.schema[name].is_temporal()), rising[0])
    notices = [
        f"Steps are sorted by column {order!r} ({option('order')} to name another, "
        f"{option('order', 'none')} to keep that of the rows)."
    ]
    others = [name for name in rising if name != order]
    notices += [f"Column {name!r} is left out: it sorts the steps as {order!r} does." for name in others]
    return order, others, notices


def guess_categories(table: Table, names: Collection[str]) -> tuple[list[str], list[str]]:
    """The columns of whole numbers that are names of kinds, by their own names; and a word about others that may be."""
    chosen, notices = [], []
    for name in (name for name in names if table.schema[name].is_integer()):
        values = table.column(name).drop_nulls().unique()
        if len(values) < 3:
            continue
        if set(words(name)) & set(KINDS) and len(values) <= MANY_KINDS:
            chosen.append(name)
            notices.append(
                f"Column {name!r} holds whole numbers that are names of kinds, going by its name ({len(values)} kinds; "
                f"{option('numeric', name)} to read them as amounts)."
            )
            continue
        spread = int(values.max()) - int(values.min()) + 1  # type: ignore[arg-type]
        if len(values) <= FEW_KINDS and len(table) > 20 * len(values) and len(values) < spread * 0.75 and spread > 20:
            notices.append(
                f"Column {name!r} is read as amounts. If its {len(values)} whole numbers are names of kinds, say "
                f"{option('categorical', name)}."
            )
    return chosen, notices


def _named(names: Collection[str], fits: Callable[[str], object]) -> list[str]:
    return [name for name in names if fits(name)]


def _only(table: Table, part: str, candidates: list[str]) -> str:
    if len(candidates) > 1:
        raise DataError(
            f"{table.source}: which column is the {part}? It may be {' or '.join(map(repr, candidates))}. Say it with "
            f"{option(part)}."
        )
    return candidates[0]

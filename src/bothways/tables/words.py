"""Sentences of words as rows of a table, one per word."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from typing import NamedTuple

import polars as pl

from bothways.errors import DataError, counted

SENTENCE = "sentence_id"  # the column with the number of the sentence, from 1
BLOCK = "block"  # the column that numbers the runs of rows between blank rows of a file of text, from 1
LISTS = ("tokens", "words")  # how a list of words may be called
TAGS = ("tag", "tags", "label", "labels")  # how the name of a list ends that has an entry per word


class Learned(NamedTuple):
    """What a model knows of the labels that it gives, and of the table that it learned from."""

    label: str  # the column of the labels
    per: str  # what has a label, "step" or "sequence"
    columns: frozenset[str]  # all columns of that table


class Piece(NamedTuple):
    """A part of a file, to be written again with labels."""

    rows: int
    labeled: Callable[[pl.DataFrame], str]  # its text with what is predicted for each of them, as rows of a table


Pieces = Iterator[Piece]


def word_column(names: Collection[str], words: Sequence[str]) -> str | None:
    """Which column is that of words in a table of sentences, the first of `words`; None in any other table."""
    return next((name for name in names if name in words), None) if SENTENCE in names else None


def numbered_on(frame: pl.DataFrame, words: Sequence[str], last: int) -> tuple[pl.DataFrame, int]:
    """The rows of a further file, with its sentences or blocks numbered from that after `last` on; and the last number.

    In files without `words` fields are text, so that numbers in `block` were counted.
    """
    blocks = not words and frame.schema.get(BLOCK) == pl.Int64
    name = BLOCK if blocks else SENTENCE
    if not frame.height or not (blocks or word_column(frame.columns, words)):
        return frame, last
    frame = frame.with_columns(pl.col(name) + last)
    return frame, frame.get_column(name)[-1]


def by_word(place: Callable[[int], str], frame: pl.DataFrame, before: int = 0) -> pl.DataFrame:
    """Rows that are sentences, with a list of words each, as rows that are words.

    Lists with an entry per word go along, a missing one as missing entries; other values are repeated. Tags of another
    number than the words are refused. A table without such lists stays as it is.

    Words are in the first of `LISTS` that is one, which becomes the first column after the number; `before` counts the
    sentences that came before. `place` says how messages call one, by its number from 1.
    """
    word = next((name for name in LISTS if _holds_entries(frame.schema.get(name))), None)
    if word is None:
        return frame
    if SENTENCE in frame.columns:
        raise DataError(f"{place(1)} has a {SENTENCE!r} of its own, which the number of the sentence takes. Rename it.")
    numbers = pl.int_range(before + 1, before + 1 + pl.len(), dtype=pl.Int64).alias(SENTENCE)
    frame = frame.select(numbers, word, pl.exclude(word))
    counts, entries = frame.get_column(word).list.len().fill_null(0), []
    for at, column in enumerate(frame):
        if not _holds_entries(column.dtype):
            continue
        wrong = (column.list.len() != counts).fill_null(False)
        if not wrong.any():
            entries.append(at)
        elif column.name.lower().endswith(TAGS):
            row = int(wrong.arg_max() or 0)
            some = " ".join(map(str, (frame.row(row, named=True)[word] or [])[:5]))
            raise DataError(
                f"{place(before + row + 1)} has {counted(counts[row], 'entry', 'entries')} in {word!r} and "
                f"{len(column[row])} in {column.name!r} ({some!r}). Give each word one entry."
            )
    nothing = pl.lit(None).repeat_by(pl.col(word).list.len())
    filled = frame.filter(counts > 0).with_columns(pl.nth(entries).fill_null(nothing))
    return filled.explode(pl.selectors.by_index(entries))


def _holds_entries(dtype: pl.DataType | None) -> bool:
    return isinstance(dtype, pl.List) and not dtype.inner.is_nested()

"""Sentences of words as rows of a table, one per word."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import polars as pl

if TYPE_CHECKING:
    from bothways.data.columns import Columns

SENTENCE = "sentence_id"
"""The column with the number of the sentence, from 1."""


class Piece(NamedTuple):
    """A part of a file of sentences, to be written again with labels.

    Attributes:
        words: how many words it holds.
        labeled: its text with what is predicted for each of them, as rows of columns by name.
    """

    words: int
    labeled: Callable[[Sequence[dict[str, Any]]], str]


Pieces = Iterator[Piece]


def word_column(names: Collection[str], words: Sequence[str]) -> str | None:
    """Which one of `words` is the column of words in a table of sentences; None in any other table.

    Example:
        >>> word_column(["sentence_id", "id", "form", "upos"], ("form", "word"))
        'form'
    """
    return next((name for name in words if name in names), None) if SENTENCE in names else None


def numbered_on(frame: pl.DataFrame, words: Sequence[str], last: int) -> tuple[pl.DataFrame, int]:
    """The rows of a further file, with its sentences numbered from that after `last` on; and the last number."""
    if word_column(frame.columns, words) is None or not frame.height:
        return frame, last
    frame = frame.with_columns(pl.col(SENTENCE) + last)
    return frame, frame.get_column(SENTENCE)[-1]


def as_trained(
    frame: pl.DataFrame, word: str | None, columns: Columns, start: int = 0
) -> tuple[pl.DataFrame, dict[str, str]]:
    """Rows of words with the names that a model knows, which learned from words in a file of another kind.

    Args:
        frame: the rows.
        word: their column of words; None if they are no words.
        columns: those of the model.
        start: the number of the first row, which takes the place of an order column.

    Returns:
        The rows, and the names that were changed: the new one and the old one, "" if there was none.

    Example:
        >>> from bothways.data.columns import Columns
        >>> frame = pl.DataFrame({"sentence_id": [1, 1], "token": ["a", "b"]})
        >>> as_trained(frame, "token", Columns("tag", ("word",), sequence="sentence_id"))[1]
        {'word': 'token'}
    """
    names: dict[str, str] = {}
    if word is None or len(columns.features) != 1:
        return frame, names
    for name, own in ((columns.features[0], word), (columns.sequence, SENTENCE), (columns.order, "")):
        if name is not None and name not in frame.columns:
            names[name] = own
            numbers = pl.int_range(start, start + frame.height).alias(name)
            frame = frame.rename({own: name}) if own else frame.with_columns(numbers)
    return frame, names


def as_in_file(frame: pl.DataFrame, names: Mapping[str, str]) -> pl.DataFrame:
    """Rows with the names that they had before `as_trained` changed these."""
    frame = frame.drop(name for name, own in names.items() if not own)
    return frame.rename({name: own for name, own in names.items() if own})

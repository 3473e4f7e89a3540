"""Tables of words in which columns are called otherwise than in training."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from bothways.data.columns import Columns
from bothways.tables.words import SENTENCE


def as_trained(
    frame: pl.DataFrame, word: str | None, columns: Columns, start: int = 0
) -> tuple[pl.DataFrame, dict[str, str]]:
    """Rows of words with the names that a model knows, which learned from words in a file of another kind.

    `word` is their column of words; the numbers of rows, from `start`, take the place of an order column. With the rows
    come the names that were changed: the new one and the old one, "" if there was none.
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

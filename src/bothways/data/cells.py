"""Cells of text, and the values that they mean."""

from __future__ import annotations

import polars as pl

DATE = r"^\d{4}-\d{2}-\d{2}"
"""Only dates that begin with the year are told from text: 04/02/2015 is February to some and April to others."""


class LaterRowsDifferError(Exception):
    """A later row of a file that is read in pieces has a column or a kind of value that the first ones have not."""


def values_of(cells: pl.Series) -> pl.Series:
    """The column as whole numbers, numbers, true/false or dates if every cell is such a one, else as text.

    Empty cells and those of blanks alone are null.

    Example:
        >>> values_of(pl.Series(["1", " 2.5 ", ""])).to_list()
        [1.0, 2.5, None]
    """
    text = stripped(cells)
    missing = text.null_count()
    if missing == len(text):
        return text
    for dtype in (pl.Int64, pl.Float64):
        numbers = text.cast(dtype, strict=False)
        if numbers.null_count() == missing:
            return numbers
    lower = text.str.to_lowercase()
    if lower.is_in(["true", "false"]).sum() == len(text) - missing:
        return lower == "true"
    return dates_of(text)


def dates_of(text: pl.Series) -> pl.Series:
    """The column as dates and times if every cell is one that begins with the year, else as it is.

    Example:
        >>> dates_of(pl.Series(["2024-01-02", "2024-01-03 10:00:01"])).dtype.is_temporal()
        True
    """
    if text.null_count() == len(text):
        return text
    first = text[text.is_not_null().arg_max() or 0]
    if pl.Series([first]).str.contains(DATE)[0]:
        try:
            dates = text.str.to_datetime(strict=False)
        except pl.exceptions.PolarsError:
            return text
        if dates.null_count() == text.null_count():
            return dates
    return text


def stripped(cells: pl.Series) -> pl.Series:
    """The text without blanks around it; null where nothing is left.

    Example:
        >>> stripped(pl.Series([" 007 ", " "])).to_list()
        ['007', None]
    """
    text = cells.str.strip_chars()
    return text.set(text == "", None)

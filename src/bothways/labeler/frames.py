"""Data frames as tables with labels."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from bothways.data import Table
from bothways.data.frames import frame_table, with_column
from bothways.errors import InputError, option
from bothways.labeler.labels import Labels, read_labels
from bothways.runtime.inputs import frame_rows


def labeled_table(
    name: str, X: Any, y: Any, *, per: str, missing: Any, drop: Collection[str]
) -> tuple[Table, str, Labels]:
    """A data frame with y as its last column.

    Args:
        name: what the caller calls X.
        X: the frame.
        y: one label per row.
        per: as in `read_labels`.
        missing: as in `read_labels`.
        drop: the columns that are not learned from.

    Returns:
        The table, the name of the column of labels, and the labels in the order of the rows.

    Raises:
        DataError: the frame cannot be used.
        InputError: y is still a column of X, or does not fit it.

    Example:
        >>> import polars as pl
        >>> table, label, _ = labeled_table("X", pl.DataFrame({"x": [1, 2]}), [0, 1], per="step", missing=None, drop=())
        >>> table.names, label
        (['x', 'label'], 'label')
    """
    table = frame_table(name, X)
    said = "y" if name == "X" else name.replace("X", "y")
    labels = read_labels(said, y, frame_rows(len(table)), "frame", per, missing)
    own = getattr(y, "name", None)
    if isinstance(own, str) and own in table.names and own not in drop:
        raise InputError(
            f"{name} has the column {own!r}, as {said} is called: the labels would be learned from themselves. Leave "
            f"it out of {name}, or give {option('drop', own)}."
        )
    label = own if isinstance(own, str) and own and own not in table.names else "label"
    while label in table.names:
        label += "_"
    values = [value if there else None for value, there in zip(labels.values.tolist(), labels.present, strict=True)]
    return with_column(table, label, values), label, labels

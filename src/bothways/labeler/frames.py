"""Data frames as tables with labels."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import polars as pl

from bothways.data import Table
from bothways.data.frames import frame_table
from bothways.errors import InputError, option
from bothways.labeler.labels import Labels, read_labels
from bothways.runtime.inputs import frame_rows


def labeled_table(
    name: str, X: Any, y: Any, *, per: str, missing: Any, drop: Collection[str]
) -> tuple[Table, str, Labels]:
    """A data frame with y as its last column."""
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
    return Table(table.source, table.frame().with_columns(pl.Series(label, values))), label, labels

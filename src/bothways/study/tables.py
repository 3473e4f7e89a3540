"""A table as a task."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

from bothways.data import Sequences, choose_columns, read_table, split_table
from bothways.errors import DataError
from bothways.study.tasks import ArrayTask, Part


def table_task(
    path: str | Path,
    *,
    label: str = "label",
    sequence: str | None = None,
    order: str | None = None,
    split: str | None = None,
    drop: Iterable[str] = (),
    features: Iterable[str] = (),
    say: Callable[[str], None] = lambda message: None,
) -> ArrayTask:
    """The parts of a table: every setting learns from train, stops by valid and is judged on test.

    Args:
        path: the table.
        label: as in `bothways.data.choose_columns`, as are the next five.
        sequence: the column that tells sequences apart.
        order: the column that sorts steps.
        split: the column with train, valid and test; without it parts are drawn, the same for all seeds.
        drop: columns to leave out.
        features: if given, the only columns to learn from.
        say: is called with what the user should know.

    Raises:
        DataError: the table cannot be used, or has nothing to judge on.
    """
    table = read_table(path)
    columns, notices = choose_columns(
        table, label=label, sequence=sequence, order=order, split=split, drop=drop, features=features
    )
    columns, parts, more = split_table(table, columns, 0)
    for notice in (*notices, *more):
        say(notice)
    judged, part = ("test", parts.test) if parts.test is not None else ("valid", parts.valid)
    if part is None:
        raise DataError(f"{path}: there is only a train part, and so nothing to judge settings on.")
    classes = np.unique(parts.train.labels)

    def coded(sequences: Sequences) -> Part:
        return Part(sequences.inputs(), np.searchsorted(classes, np.concatenate(sequences.targets())))

    return ArrayTask(
        Path(path).name,
        tuple(classes.tolist()),
        coded(parts.train),
        None if parts.valid is None else coded(parts.valid),
        coded(part),
        judged=judged,
    )

"""A table as a task."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

from bothways.data import choose_columns, guess_table, read_table, refuse_leaks, split_table
from bothways.errors import DataError, InputError
from bothways.sequences import Sequences
from bothways.study.tasks import ArrayTask, RedrawnTask


def table_task(
    path: str | Path,
    *,
    redraw: bool = False,
    allow_leaks: bool = False,
    min_count: int = 1,
    changes: int = 0,
    centered: bool = False,
    categorical: Collection[str] = (),
    say: Callable[[str], None] = lambda message: None,
    **roles: Any,
) -> ArrayTask | RedrawnTask:
    """The parts of a table: every setting learns from train, stops by valid and is judged on test.

    Args:
        path: the table.
        redraw: whether each seed draws parts of its own among whole sequences; else all have the same.
        allow_leaks: go on even if the table gives answers away; what does is said all the same.
        min_count: values of categories that the train part has less often are unknown.
        changes: how far each number has moved in so many steps is a feature, too; 0 for none.
        centered: take the mean over the sequence off each number.
        categorical: columns of numbers that are names of kinds.
        say: is called with what the user should know.
        roles: further arguments of `bothways.data.choose_columns`.

    Raises:
        DataError: the table cannot be used, gives answers away, or has nothing to judge on.
        InputError: parts are to be drawn anew, but the table says which part is which, or has too few sequences.
    """
    table = read_table(path, text=categorical)
    columns = choose_columns(table, categorical=categorical, **roles)
    if redraw and (columns.split is not None or columns.group is not None):
        raise InputError(
            f"{path}: a column divides it into parts or groups, and so no parts can be drawn for each seed."
        )
    columns, parts, more = split_table(table, columns, 0, min_count=min_count, changes=changes, centered=centered)
    for notice in (guess_table(columns.guesses), *more):
        say(notice)
    refuse_leaks(table, columns, parts, allowed=allow_leaks, to="compare", say=say)
    judged, part = ("test", parts.test) if parts.test is not None else ("valid", parts.valid)
    if part is None:
        raise DataError(f"{path}: there is only a train part, and so nothing to judge settings on.")
    name, categories = Path(path).name, columns.fitted.sizes
    if redraw:
        return RedrawnTask(name, parts.classes, Sequences.joined(list(parts.named.values())), categories)
    valid = None if judged == "valid" else parts.valid
    return ArrayTask(name, parts.classes, parts.train, valid, part, categories, judged=judged)

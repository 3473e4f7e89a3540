"""A table as a task."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from bothways.data import SplitTable, Table, guess_table, read_and_split, refuse_leaks
from bothways.errors import DataError, InputError
from bothways.study.tasks import Split, Task, array_task, drawn_anew


def table_task(
    path: str | Path,
    *,
    redraw: bool = False,
    allow_leaks: bool = False,
    say: Callable[[str], None] = lambda message: None,
    **roles: Any,
) -> Task:
    """A table as a task: every setting learns from train, stops by valid and is tested on test.

    With `redraw` each seed draws its own parts, of whole sequences, and encodes features by its own train part; shapes
    may so differ from seed to seed. `roles` are arguments of `bothways.data.read_and_split`.
    """
    read = read_and_split(path, **roles)
    if redraw and (read.columns.split is not None or read.columns.group is not None):
        raise InputError(
            f"{path}: a column divides it into parts or groups, and so no parts can be drawn for each seed."
        )
    columns, parts, more = read.encoded()
    test = parts.valid if parts.test is None else parts.test
    if test is None:
        raise DataError(f"{path}: there is only a train part, and so nothing to test settings on.")
    for notice in (guess_table(columns.guesses), *read.notices, *more):
        say(notice)
    refuse_leaks(read.table, columns, parts, allowed=allow_leaks, to="compare", say=say)
    about = {
        "data": str(path),
        "label": columns.label,
        "features": ", ".join(columns.features),
        **{name: part.size for name, part in parts.named.items()},
    }
    task = array_task(
        Path(path).name,
        (*parts.classes, *parts.unseen),
        Split(parts.train, parts.valid if test is parts.test else None, test, columns.fitted.sizes),
        redraw=redraw,
        unseen=len(parts.unseen),
        tested_on="valid" if parts.test is None else "test",
        about=about,
    )
    if not redraw:
        return task
    # In memory, as the processes that draw may be on another machine than the file.
    read = replace(read, table=Table(read.table.source, read.table.columns(read.columns.needed)))
    return replace(
        task, draw=partial(_redrawn, read), facts={**task.facts, "encoded by": "the train part of each seed"}
    )


def _redrawn(read: SplitTable, seed: int) -> Split:
    train, valid, test = drawn_anew(list(read.parts.named.values()), seed)
    columns, parts, _ = replace(read, parts=replace(read.parts, train=train, valid=valid, test=test)).encoded()
    assert parts.test is not None, "three parts were drawn"
    return Split(parts.train, parts.valid, parts.test, columns.fitted.sizes)

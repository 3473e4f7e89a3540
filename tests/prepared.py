"""Tables with known roles, split and encoded."""

from __future__ import annotations

from typing import Any

from bothways.data import Columns, Parts, SplitTable, Table, split_table


def prepared(table: Table, columns: Columns, seed: int = 0, **how: Any) -> tuple[Columns, Parts, list[str]]:
    """The columns, the parts and what is said, but of classes that are rare, as they are in small tables."""
    columns, parts, notices = split_table(table, columns, seed, **how)
    columns, parts, more = SplitTable(table, columns, parts, notices).encoded()
    return columns, parts, [notice for notice in (*notices, *more) if not notice.startswith("Too rare")]

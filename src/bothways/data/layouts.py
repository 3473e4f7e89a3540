"""Tables that do not have one row per step, and the lines of Polars and pandas that make them so."""

from __future__ import annotations

import re
from collections.abc import Sequence

import polars as pl

from bothways.data.tables import TEXT, Table

VARIABLE, VALUE = "variable", "value"
"""How melt and unpivot call the column with the names of columns, and that with what stood in them."""

MANY_STEPS = 20  # so many numbered columns may be the steps of a sequence
NUMBER = "'([0-9]+)$'"  # the pattern that takes the number of a step from its name


def numbered_columns(names: Sequence[str]) -> list[str]:
    """Many columns that are numbered, and most of all, as if each row held a whole sequence; none if there are few.

    Example:
        >>> numbered_columns(["label", *(f"t{at}" for at in range(100))])[:2], numbered_columns(["x1", "x2"])
        (['t0', 't1'], [])
    """
    numbered = [(name, match) for name in names if (match := re.fullmatch(r"(.*?)(\d+)", name))]
    if len(numbered) < max(MANY_STEPS, len(names) / 2) or len({match[1] for _, match in numbered}) > 1:
        return []
    steps = [int(match[2]) for _, match in numbered]
    return [name for name, _ in numbered] if steps == list(range(steps[0], steps[0] + len(steps))) else []


def wide_notice(table: Table, features: Sequence[str]) -> str:
    """What is said where most features are numbered, as if each row held a whole sequence; "" for others."""
    if not (steps := numbered_columns(features)):
        return ""
    keep = ["sequence_id", *(name for name in table.names if name not in steps)]
    return (
        f"The columns {steps[0]!r} to {steps[-1]!r} are numbered. If they are the steps of one sequence per row, write "
        "them one below the other, with a column that tells sequences apart (Polars: frame.with_row_index("
        f"'sequence_id').unpivot(index={keep}, variable_name='step').with_columns(pl.col('step').str.extract({NUMBER})"
        f".cast(pl.Int64)); pandas: frame.reset_index(names='sequence_id').melt({keep}, var_name='step').assign(step="
        f"lambda frame: frame['step'].str.extract({NUMBER}, expand=False).astype(int)))."
    )


def long_notice(table: Table) -> str:
    """What is said of a table whose rows were fields of wider ones, as melt and unpivot write them; "" for another.

    Example:
        >>> frame = pl.DataFrame({"t": [0, 0], "variable": ["x", "y"], "value": [1.5, 2.5]})
        >>> long_notice(Table("some.csv", frame))[:60]
        "some.csv: 'variable' and 'value' hold what were columns ('x'"
    """
    schema = table.schema
    if not isinstance(schema.get(VARIABLE), TEXT) or not schema.get(VALUE, pl.Null()).is_numeric():
        return ""
    names = sorted(table.column(VARIABLE).drop_nulls().unique().to_list(), key=lambda name: (len(name), name))
    if len(names) < 2 or table.columns([name for name in schema if name != VALUE]).n_unique() < len(table):
        return ""
    some = ", ".join(map(repr, names[:3])) + (f" and {len(names) - 3:,} more" if len(names) > 3 else "")
    said = f"{table.source}: {VARIABLE!r} and {VALUE!r} hold what were columns ({some}), as melt and unpivot write it"
    if numbered_columns(names):
        return (
            f"{said}. If these are steps of sequences, write their numbers (Polars: frame.with_columns(step=pl.col("
            f"{VARIABLE!r}).str.extract({NUMBER}).cast(pl.Int64)).drop({VARIABLE!r}); pandas: frame.assign(step=frame["
            f"{VARIABLE!r}].str.extract({NUMBER}, expand=False).astype(int)).drop(columns={VARIABLE!r}))"
        )
    index = [name for name in table.names if name not in (VARIABLE, VALUE)]
    return (
        f"{said}; a row must be a step. Make them columns again (Polars: frame.pivot({VARIABLE!r}, index={index}, "
        f"values={VALUE!r}); pandas: frame.pivot(index={index}, columns={VARIABLE!r}, values={VALUE!r}).reset_index())"
    )

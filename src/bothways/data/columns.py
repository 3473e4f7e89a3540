"""Which column of a table plays which part."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import polars as pl

from bothways.data.tables import Table
from bothways.errors import DataError, ModelFileError

ROW_NUMBERS = ("", "__index_level_0__")
"""The names under which pandas writes the numbers of the rows."""

ROW = "data row {} (the first is 1)"
"""How messages name a row."""


@dataclass(frozen=True)
class Draw:
    """How whole sequences were drawn into parts, for a table without a column that says so.

    Attributes:
        seed: the same seed draws the same parts of the same table.
        fingerprint: tells the table that was drawn from by the names and lengths of its sequences.
    """

    seed: int
    fingerprint: int


@dataclass(frozen=True)
class Columns:
    """The parts that the columns of a table play.

    Attributes:
        label: what is to be learnt.
        features: the numbers that a step has, in the order in which the network reads them.
        sequence: tells sequences apart; None if the table is one sequence.
        order: sorts the steps of a sequence, a number or a time; None for the order of the rows.
        split: says train, valid or test; None if there is no such column.
        draw: how parts were drawn where there is no `split`; None if there is one.

    Example:
        >>> columns = Columns(label="attack", features=("bytes", "packets"), sequence="flow")
        >>> Columns.from_json(columns.to_json()) == columns
        True
    """

    label: str
    features: tuple[str, ...]
    sequence: str | None = None
    order: str | None = None
    split: str | None = None
    draw: Draw | None = None

    @property
    def roles(self) -> dict[str, str]:
        """The columns that are no features, by what they are for."""
        roles = {"label": self.label, "sequence": self.sequence, "order": self.order, "split": self.split}
        return {role: name for role, name in roles.items() if name is not None}

    def to_json(self) -> dict[str, Any]:
        """The same as plain JSON values, for a model file."""
        return asdict(self) | {"features": list(self.features)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Columns:
        """The columns that `to_json` described.

        Raises:
            ModelFileError: `data` describes no columns.
        """
        try:
            names = {role: data[role] for role in ("label", "sequence", "order", "split")}
            features = tuple(data["features"])
            draw = None if data["draw"] is None else Draw(int(data["draw"]["seed"]), int(data["draw"]["fingerprint"]))
        except (KeyError, TypeError, ValueError):
            names, features, draw = {}, (), None
        given = {role: name for role, name in names.items() if name is not None}
        if (
            "label" not in given
            or not features
            or not all(isinstance(name, str) for name in (*given.values(), *features))
        ):
            raise ModelFileError("The description of columns in the model file is incomplete. Train the model again.")
        return cls(features=features, draw=draw, **names)


def choose_columns(
    table: Table,
    *,
    label: str,
    sequence: str | None = None,
    order: str | None = None,
    split: str | None = None,
    drop: Iterable[str] = (),
    features: Iterable[str] = (),
) -> tuple[Columns, list[str]]:
    """Give every column its part: the named ones theirs, and every other numeric column that of a feature.

    Args:
        table: the table.
        label: the column to be learnt.
        sequence: the column that tells sequences apart.
        order: the column that sorts the steps.
        split: the column that says train, valid or test.
        drop: columns to leave out.
        features: if any are named, these and no others are features.

    Returns:
        The columns, and what the user should be told about them.

    Raises:
        DataError: a name that the table does not have, a column with two parts, a column that is no numbers and
            has no other part, or no feature at all.

    Example:
        >>> frame = pl.DataFrame({"flow": [1, 1], "bytes": [12, 7], "at": [2.5, 2.6], "attack": [0, 1]})
        >>> choose_columns(Table("flows.csv", frame), label="attack", sequence="flow", order="at")[0].features
        ('bytes',)
    """
    drop, features = list(drop), list(features)
    chosen = Columns(label, (), sequence, order, split)
    table.require(*chosen.roles.values(), *drop, *features)
    _check_one_part_each(table, chosen, drop, features)
    if order is not None and not _sorts(table.column(order).dtype):
        raise DataError(
            f"{table.source}: the order column {order!r} must be a number or a time that begins with the year; "
            f"it is {_kind(table.column(order))}."
        )
    taken = {*chosen.roles.values(), *drop}
    left = features or [name for name in table.names if name not in taken]
    kinds = {name: _kind(table.column(name)) for name in left}
    notices = []
    for name in list(left) if not features else ():
        if kinds[name] == "a date or time" or name in ROW_NUMBERS:
            why = "it only numbers the rows" if name in ROW_NUMBERS else "a date or time is no feature"
            notices.append(f"Column {name!r} is left out: {why}.")
            left.remove(name)
    _check_numbers(table, {name: kinds[name] for name in left})
    if not left:
        raise DataError(f"{table.source}: no numeric column is left to learn {label!r} from.")
    return Columns(label, tuple(left), sequence, order, split), notices


def match_columns(table: Table, columns: Columns, *, label: bool) -> None:
    """Check that a table has the columns that a model was trained on, in whatever order.

    Args:
        table: the table.
        columns: those of the model.
        label: whether the label is needed too.

    Raises:
        DataError: a column is missing, or is no numbers where numbers are needed.

    Example:
        >>> columns = Columns(label="attack", features=("bytes",))
        >>> match_columns(Table("new.csv", pl.DataFrame({"Bytes": [12]})), columns, label=False)
        Traceback (most recent call last):
        bothways.errors.DataError: new.csv: there is no column 'bytes'. Did you mean 'Bytes'?
    """
    needed = [columns.sequence, columns.order, columns.label if label else None]
    table.require(*columns.features, *(name for name in needed if name is not None))
    _check_numbers(table, {name: _kind(table.column(name)) for name in columns.features}, droppable=False)


def _check_one_part_each(table: Table, chosen: Columns, drop: list[str], features: list[str]) -> None:
    parts: dict[str, str] = {}
    named = [*chosen.roles.items(), *(("drop", name) for name in drop), *(("features", name) for name in features)]
    for part, name in named:
        if parts.setdefault(name, part) != part:
            raise DataError(f"{table.source}: the column {name!r} is given twice, as {parts[name]} and as {part}.")


def _check_numbers(table: Table, kinds: Mapping[str, str], droppable: bool = True) -> None:
    """Refuse features that are no numbers, all of them in one message."""
    wrong = {name: kind for name, kind in kinds.items() if kind != "numbers"}
    for name in wrong:
        _check_stray_text(table, name, droppable)
    if not wrong:
        return
    said = "; ".join(f"{name!r} is {kind}" for name, kind in wrong.items())
    which, what = ("them", "they are") if len(wrong) > 1 else ("it", "it is")
    cure = f" Leave {which} out with --drop {','.join(wrong)}, or say what {what} for (--sequence, --order, --split)."
    raise DataError(f"{table.source}: features must be numbers for now, but {said}.{cure if droppable else ''}")


def _check_stray_text(table: Table, name: str, droppable: bool) -> None:
    """Refuse a column of text most of which is numbers by naming the first cell that is none."""
    column = table.column(name)
    if column.dtype != pl.String or column.null_count() == len(column):
        return
    numbers = column.str.strip_chars().cast(pl.Float64, strict=False)
    stray = column.is_not_null() & numbers.is_null()
    if numbers.is_null().sum() - column.null_count() > numbers.is_not_null().sum():
        return
    if not stray.any():
        raise DataError(f"{table.source}: the column {name!r} holds numbers written as text. Store them as numbers.")
    row = int(stray.arg_max() or 0)
    more = int(stray.sum()) - 1
    others = f" ({more} more such cell{'s' if more > 1 else ''} below)" if more else ""
    cure = f"Put it right, or leave the column out with --drop {name}." if droppable else "Put it right."
    raise DataError(
        f"{table.source}: {ROW.format(row + 1)}, column {name!r} holds {column[row]!r}, which is no number{others}. "
        f"{cure}"
    )


def _sorts(dtype: pl.DataType) -> bool:
    return dtype.is_numeric() or dtype.is_temporal()


def _kind(column: pl.Series) -> str:
    dtype = column.dtype
    if column.null_count() == len(column):
        return "empty"
    if dtype.is_numeric() or dtype == pl.Boolean:
        return "numbers"
    if dtype.is_temporal():
        return "a date or time"
    return "text" if dtype == pl.String else f"of type {dtype}"

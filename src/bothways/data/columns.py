"""Which column of a table plays which part."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import polars as pl

from bothways.data.encoding import Encoding, Number
from bothways.data.guesses import guess_categories, guess_label, guess_order, guess_sequence, guess_split
from bothways.data.tables import Table
from bothways.errors import DataError, InputError, ModelFileError, option

ROW_NUMBERS = ("", "__index_level_0__")
"""The names under which pandas writes the numbers of the rows."""

NONE = "none"
"""Given for a part, it says that no column plays it."""

PER = ("step", "sequence")
"""What has a label."""

FEW_SEQUENCES = 10
"""Among fewer sequences, labels that never change within one may be chance."""


@dataclass(frozen=True)
class Draw:
    """How whole sequences were drawn into parts, for a table without a column that says so.

    Attributes:
        seed: the same seed draws the same parts of the same table.
        fingerprint: tells the table that was drawn from by the names and lengths of its sequences.
        gap: how many steps were left out between parts of one sequence.
    """

    seed: int
    fingerprint: int
    gap: int = 0


@dataclass(frozen=True)
class Columns:
    """The parts that the columns of a table play.

    Attributes:
        label: what is to be learnt.
        features: what a step is known by.
        categories: those of the features that are names of kinds; the others are numbers.
        sequence: tells sequences apart; None if the table is one sequence.
        order: sorts the steps of a sequence, a number or a time; None for the order of the rows.
        split: says train, valid or test; None if there is no such column.
        group: tells apart what may not be divided among parts; None for the sequences themselves.
        per: what has a label, "step" or "sequence".
        draw: how parts were drawn where there is no `split`; None if there is one.
        encoding: how features become numbers, as the train part showed; None as long as it is not known.

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
    categories: tuple[str, ...] = ()
    group: str | None = None
    per: str = "step"
    encoding: Encoding | None = None

    @property
    def roles(self) -> dict[str, str]:
        """The columns that are no features, by what they are for."""
        roles = {
            "label": self.label,
            "sequence": self.sequence,
            "order": self.order,
            "split": self.split,
            "group": self.group,
        }
        return {role: name for role, name in roles.items() if name is not None}

    @property
    def fitted(self) -> Encoding:
        """The encoding; where there is none, plain numbers of which none may be missing."""
        if self.encoding is not None:
            return self.encoding
        if self.categories:
            raise InputError("Categories have no codes before `split_table` has seen the train part.")
        return Encoding(tuple(Number(name) for name in self.features))

    @property
    def texts(self) -> tuple[str, ...]:
        """The columns to read as text, for `read_table`."""
        return self.categories

    def to_json(self) -> dict[str, Any]:
        """The same as plain JSON values, for a model file."""
        return asdict(self) | {"features": list(self.features), "categories": list(self.categories)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Columns:
        """The columns that `to_json` described.

        Raises:
            ModelFileError: `data` describes no columns.
        """
        try:
            names = {role: data[role] for role in ("label", "sequence", "order", "split")} | {
                "group": data.get("group")
            }
            features, categories = tuple(data["features"]), tuple(data.get("categories", ()))
            per = str(data.get("per", "step"))
            draw, encoding = data["draw"], data.get("encoding")
            if draw is not None:
                draw = Draw(int(draw["seed"]), int(draw["fingerprint"]), int(draw.get("gap", 0)))
        except (AttributeError, KeyError, TypeError, ValueError):
            names, features, categories, per, draw, encoding = {}, (), (), "", None, None
        given = {role: name for role, name in names.items() if name is not None}
        if (
            "label" not in given
            or not features
            or not all(isinstance(name, str) for name in (*given.values(), *features))
            or not set(categories) <= set(features)
            or per not in PER
        ):
            raise ModelFileError("The description of columns in the model file is incomplete. Train the model again.")
        return cls(
            features=features,
            categories=categories,
            per=per,
            draw=draw,
            encoding=None if encoding is None else Encoding.from_json(encoding),
            **names,
        )


def choose_columns(
    table: Table,
    *,
    label: str | None = None,
    sequence: str | None = None,
    order: str | None = None,
    split: str | None = None,
    group: str | None = None,
    drop: Iterable[str] = (),
    features: Iterable[str] = (),
    categorical: Iterable[str] = (),
    numeric: Iterable[str] = (),
    per: str | None = None,
) -> tuple[Columns, list[str]]:
    """Give every column its part: the named ones theirs, then those that can be guessed; the others are features.

    Numbers and true/false are read as numbers; text is read as names of kinds, and so are whole numbers where they
    are said to be or where the name of the column says so.

    Args:
        table: the table.
        label: the column to be learnt.
        sequence: the column that tells sequences apart, or "none".
        order: the column that sorts the steps, or "none".
        split: the column that says train, valid or test, or "none".
        group: the column that tells apart what may not be divided among parts; there is no guess at it.
        drop: columns to leave out.
        features: if any are named, these and no others are features.
        categorical: columns of numbers that are names of kinds.
        numeric: columns of whole numbers that are amounts, whatever their names.
        per: "step" or "sequence"; if None, it is "sequence" where labels never change within one.

    Returns:
        The columns, and what the user should be told about them: every guess, and every column that is left out.

    Raises:
        DataError: a name that the table does not have, a column with two parts, a guess that could be two columns, a
            column that can be no feature, or no feature at all.

    Example:
        >>> frame = pl.DataFrame({"flow": [1, 1], "bytes": [12, 7], "at": [2.5, 2.6], "attack": [0, 1]})
        >>> choose_columns(Table("flows.csv", frame), label="attack", sequence="flow", order="at")[0].features
        ('bytes',)
    """
    if per not in (None, *PER):
        raise InputError(f"per is {per!r}; it must be one of: {', '.join(PER)}.")
    drop, features, categorical, numeric = list(drop), list(features), list(categorical), list(numeric)
    given = {"label": label, "sequence": sequence, "order": order, "split": split, "group": group}
    none = {part for part, name in given.items() if name == NONE and name not in table.names} - {"label"}
    named = {part: name for part, name in given.items() if name is not None and part not in none}
    table.require(*named.values(), *drop, *features, *categorical, *numeric)
    _check_one_part_each(table, named, drop, features)
    _check_one_part_each(table, {}, categorical, numeric, ("categorical", "numeric"))
    if order is not None and "order" in named and not _sorts(table.schema[order]):
        raise DataError(
            f"{table.source}: the order column {order!r} must be a number or a time that begins with the year; "
            f"it is {_kind(table, order)}."
        )
    parts, further, notices = _guessed(table, named, none, {*drop, *features, *categorical, *numeric})
    taken = {*parts.values(), *drop, *further}
    left = features or [name for name in table.names if name not in taken]
    kinds = {name: _kind(table, name) for name in left}
    for name in list(left) if not features else ():
        if why := _why_left_out(name, kinds[name]):
            notices.append(f"Column {name!r} is left out: {why}.")
            left.remove(name)
    _check_features(table, {name: kinds[name] for name in left})
    if not left:
        raise DataError(f"{table.source}: no column is left to learn {parts['label']!r} from.")
    guessed, said = guess_categories(table, [name for name in left if name not in {*categorical, *numeric}])
    chosen = {*categorical, *guessed, *(name for name in left if kinds[name] == "text")}
    for name in categorical:
        if kinds.get(name, "numbers") not in ("numbers", "text"):
            raise DataError(f"{table.source}: the column {name!r} is {kinds[name]}; it cannot be categorical.")
    for name in numeric:
        if kinds.get(name) == "text":
            raise DataError(f"{table.source}: the column {name!r} is text; it cannot be numeric.")
    columns = Columns(
        features=tuple(left), categories=tuple(name for name in left if name in chosen), per=per or "step", **parts
    )
    notices += said
    if per is None and _one_label_each(table, columns):
        columns = Columns(**(vars(columns) | {"per": "sequence"}))
        notices.append(
            f"No label changes within a sequence: one is learnt for each ({option('per', 'step')} for one per step)."
        )
    return columns, notices


def match_columns(table: Table, columns: Columns, *, label: bool) -> None:
    """Check that a table has the columns that a model was trained on, in whatever order.

    Args:
        table: the table.
        columns: those of the model.
        label: whether the label is needed too.

    Raises:
        DataError: a column is missing, or is of another kind than the model needs.

    Example:
        >>> columns = Columns(label="attack", features=("bytes",))
        >>> match_columns(Table("new.csv", pl.DataFrame({"Bytes": [12]})), columns, label=False)
        Traceback (most recent call last):
        bothways.errors.DataError: new.csv: there is no column 'bytes'. Did you mean 'Bytes'?
    """
    needed = [columns.sequence, columns.order, columns.label if label else None]
    table.require(*columns.features, *(name for name in needed if name is not None))
    encoding = columns.encoding
    numbers = [name for name in columns.features if name not in columns.categories]
    kinds = {name: _kind(table, name, missing=encoding is not None) for name in numbers}
    _check_numbers(table, kinds, droppable=False)
    for name in columns.categories:
        kind = _kind(table, name, missing=True)
        if kind not in ("numbers", "text"):
            raise DataError(f"{table.source}: the column {name!r} is {kind}; the model was trained on names of kinds.")
    if columns.order is not None:
        dtype = table.schema[columns.order]
        if not _sorts(dtype):
            raise DataError(
                f"{table.source}: the order column {columns.order!r} must be a number or a time that begins with the "
                f"year; it is {_kind(table, columns.order)}."
            )
        if encoding is not None and encoding.gaps and (encoding.gaps == "times") != dtype.is_temporal():
            raise DataError(
                f"{table.source}: the order column {columns.order!r} is of type {dtype}; the model was trained on "
                f"{encoding.gaps}."
            )


def _guessed(
    table: Table, named: Mapping[str, str], none: set[str], used: set[str]
) -> tuple[dict[str, Any], list[str], list[str]]:
    """All parts, further columns to leave out, and a word about each guess."""
    parts: dict[str, Any] = dict(named)
    further: list[str] = []
    notices: list[str] = []

    def free() -> list[str]:
        return [name for name in table.names if name not in {*parts.values(), *used}]

    if "label" not in parts:
        parts["label"], said = guess_label(table, free())
        notices += said
    if "split" not in parts and "split" not in none:
        parts["split"], said = guess_split(table, free())
        notices += said
    if "sequence" not in parts and "sequence" not in none:
        parts["sequence"], said = guess_sequence(table, free())
        notices += said
    if "order" not in parts and "order" not in none:
        parts["order"], further, said = guess_order(table, parts.get("sequence"), free())
        notices += said
    return parts, further, notices


def _one_label_each(table: Table, columns: Columns) -> bool:
    """Whether there are several sequences, most of more than one step, and no label changes within any."""
    if columns.sequence is None:
        return False
    label, sequence = table.column(columns.label), table.column(columns.sequence)
    frame = pl.DataFrame([label.alias("label"), sequence.alias("sequence")])
    # Most tables show within their first rows that labels change.
    for part in (frame.head(10_000), frame):
        counts = part.group_by("sequence").agg(pl.col("label").drop_nulls().n_unique(), pl.len().alias("steps"))
        if (counts["label"] > 1).any():
            return False
    return counts.height >= FEW_SEQUENCES and len(frame) >= 2 * counts.height


def _check_one_part_each(
    table: Table,
    parts: Mapping[str, str],
    first: list[str],
    second: list[str],
    names: tuple[str, str] = ("drop", "features"),
) -> None:
    seen: dict[str, str] = {}
    given = [*parts.items(), *((names[0], name) for name in first), *((names[1], name) for name in second)]
    for part, name in given:
        if seen.setdefault(name, part) != part and {seen[name], part} != {"sequence", "group"}:
            raise DataError(f"{table.source}: the column {name!r} is given twice, as {seen[name]} and as {part}.")


def _why_left_out(name: str, kind: str) -> str:
    if name in ROW_NUMBERS:
        return "it only numbers the rows"
    if kind == "a date or time":
        return "a date or time is no feature"
    return "it is empty" if kind == "empty" else ""


def _check_features(table: Table, kinds: Mapping[str, str]) -> None:
    """Refuse what can be no feature, and text that ought to be numbers."""
    for name, kind in kinds.items():
        if kind == "text":
            _check_stray_text(table, name, droppable=True)
    _check_numbers(table, {name: kind for name, kind in kinds.items() if kind != "text"})


def _check_numbers(table: Table, kinds: Mapping[str, str], droppable: bool = True) -> None:
    """Refuse features that are no numbers, all of them in one message."""
    wrong = {name: kind for name, kind in kinds.items() if kind != "numbers"}
    for name, kind in wrong.items():
        if kind == "text":
            _check_stray_text(table, name, droppable)
    if not wrong:
        return
    said = "; ".join(f"{name!r} is {kind}" for name, kind in wrong.items())
    if not droppable:
        raise DataError(f"{table.source}: the model was trained on numbers, but {said}.")
    which, what = ("them", "they are") if len(wrong) > 1 else ("it", "it is")
    raise DataError(
        f"{table.source}: features are numbers or names of kinds, but {said}. Leave {which} out with "
        f"{option('drop', *wrong)}, or say what {what} for ({', '.join(map(option, ('sequence', 'order', 'split')))})."
    )


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
        if droppable and bool((numbers == numbers.round()).all()):
            return
        raise DataError(f"{table.source}: the column {name!r} holds numbers written as text. Store them as numbers.")
    row = int(stray.arg_max() or 0)
    more = int(stray.sum()) - 1
    others = f" ({more} more such cell{'s' if more > 1 else ''} below)" if more else ""
    cure = f"Put it right, or leave the column out with {option('drop', name)}." if droppable else "Put it right."
    raise DataError(f"{table.place(row)}, column {name!r} holds {column[row]!r}, which is no number{others}. {cure}")


def _sorts(dtype: pl.DataType) -> bool:
    return dtype.is_numeric() or dtype.is_temporal()


def _kind(table: Table, name: str, missing: bool = False) -> str:
    """What a column holds; one without any value counts as numbers if they may be missing."""
    dtype = table.schema[name]
    if dtype == pl.Null or (dtype == pl.String and _empty(table.column(name))):
        return "numbers" if missing else "empty"
    if dtype.is_numeric() or dtype == pl.Boolean:
        return "numbers"
    if dtype.is_temporal():
        return "a date or time"
    return "text" if isinstance(dtype, (pl.String, pl.Categorical, pl.Enum)) else f"of type {dtype}"


def _empty(column: pl.Series) -> bool:
    return bool(np.equal(column.null_count(), len(column)))

"""Columns that say which part of a table a row is of, in whatever words."""

from __future__ import annotations

from collections.abc import Collection

import polars as pl

from bothways.data.columns import Guess
from bothways.data.hints import TEXT
from bothways.data.names import words
from bothways.data.sources import SPELLINGS, parts_meant
from bothways.data.tables import Table
from bothways.errors import DataError, option

SPLITS = ("split", "part", "fold", "subset", "partition")  # last words in the names of split columns

YES_OR_NO = {
    **dict.fromkeys(("1", "1.0", "true", "yes", "y"), True),
    **dict.fromkeys(("0", "0.0", "false", "no", "n"), False),
}
"""What says whether a row is of a part, in small letters."""

VEHICLES = frozenset({"bus", "car", "tram", "plane", "bike", "walk", "ship", "truck", "subway", "metro", "taxi"})
"""Beside these, `train` is no part."""

FEW_WORDS = 10  # of more different words, one may be `train` by chance
FIRST = 100  # most columns show within this many rows that they say no parts


def guess_split(table: Table, names: Collection[str]) -> list[Guess]:
    """The column that says the part of each row: by its values, and by its name if there are several.

    Where none does, it is one that says yes or no to a part (`is_train`, `test`), if there is no other that says
    something else. What is called so and says no parts, or those of another column, is left out. Refused are several
    columns that are called so and say parts, and one that says `train` beside unknown words.
    """
    found, unclear = dict[str, bool](), dict[str, int]()
    flags, others = list[str](), list[str]()
    for name in names:
        parts = words(name)
        named = bool(parts) and parts[-1] in SPLITS
        flag = _part_of_flag(name)
        if isinstance(table.schema[name], TEXT) and _says_parts(table.column(name), named):
            if (row := _first_without(table.column(name))) is not None:
                unclear[name] = row
            elif named or table.column(name).n_unique() > 1:
                found[name] = named
        elif flag and _says_yes_or_no(table.column(name), often=parts[0] == "is"):
            flags.append(name)
        elif (named and parts[-1] not in ("part", "partition")) or (parts[:1] == ["is"] and flag):
            others.append(name)
    best = [name for name, named in found.items() if named == max(found.values())]
    if not best and unclear:
        name, row = next(iter(unclear.items()))
        raise DataError(
            f"{table.place(row)}, column {name!r} holds {table.column(name)[row]!r}; other rows of it say train or "
            f"test. Write train, valid or test in each, or leave the column out ({option('drop', name)}), or take it "
            f"for categories ({option('categorical', name)})."
        )
    if not best and flags:
        said = {name: parts_of_rows(table, name) for name in flags}
        same = all(said[name].equals(said[flags[0]]) for name in flags)
        best = [flags[0]] if same and _part_of_flag(flags[0]) != "valid" else []
    guesses = []
    if best:
        name = table.only("split", best)
        how = f"it says yes or no to {_part_of_flag(name)}" if name in flags else "by its name and values"
        guesses.append(Guess(name, "split", how if found.get(name, True) else "by its values"))
    for name in (each for each in (*others, *flags, *unclear) if each not in best):
        why = (
            f"says parts, but not in the words train, valid and test ({option('categorical', name)} to keep it, "
            f"{option('group', name)} to keep the rows of each in one part)"
        )
        guesses.append(Guess(name, "left out", why))
    return guesses


def parts_of_rows(table: Table, name: str) -> pl.Series:
    """The part of each row: train, valid or test; refuses a row that says none.

    Example:
        >>> table = Table("some.csv", pl.DataFrame({"usage": ["Training", "eval"], "is_test": [0, 1]}))
        >>> parts_of_rows(table, "usage").to_list(), parts_of_rows(table, "is_test").to_list()
        (['train', 'test'], ['train', 'test'])
    """
    column, flag = table.column(name), _part_of_flag(name)
    if flag and (_truths(column).count() or not isinstance(column.dtype, TEXT)):
        other = "test" if flag == "train" else "train"
        parts, must = _truths(column).replace_strict({True: flag, False: other}, default=None), "yes or no"
    else:
        spelled = _spelled(column)
        meant = parts_meant(spelled.drop_nulls().unique().to_list())
        parts, must = spelled.replace_strict(meant, default=None, return_dtype=pl.String), "train, valid or test"
    if parts.null_count():
        row = int(parts.is_null().arg_max() or 0)
        raise DataError(f"{table.place(row)}, the split column {name!r} holds {column[row]!r}; it must say {must}.")
    return parts


def _spelled(column: pl.Series) -> pl.Series:
    return column.cast(pl.String, strict=False).str.to_lowercase().str.replace_all(r"[\s_-]", "")


def _says_parts(column: pl.Series, named: bool) -> bool:
    """Whether all values are words for parts; or one is the train part, and only few others mean nothing."""
    if column.head(FIRST).n_unique() > FEW_WORDS:
        return False
    spelled = set(_spelled(column.unique()).to_list())
    said = {word for word in spelled & SPELLINGS.keys() if named or len(word) > 2}  # others are languages or states
    train = any(SPELLINGS[word] == "train" for word in said)
    return said == spelled or (train and len(spelled) <= FEW_WORDS and not spelled & VEHICLES)


def _says_yes_or_no(column: pl.Series, often: bool) -> bool:
    """Whether each row says yes or no, both are said, and `often`, or from one row to the next it mostly stays."""
    if column.dtype.is_nested() or column.n_unique() != 2 or _truths(column).null_count():
        return False
    return often or 5 * int((column[1:] != column[:-1]).sum()) <= len(column)  # else somebody has measured a `test`


def _first_without(column: pl.Series) -> int | None:
    """The first row that says no part."""
    wrong = ~_spelled(column).is_in(list(SPELLINGS)).fill_null(False)
    return int(wrong.arg_max() or 0) if wrong.any() else None


def _part_of_flag(name: str) -> str:
    """The part that a column is named after which says yes or no to it; "" for another column."""
    parts = words(name)
    if parts[:1] == ["is"]:
        return SPELLINGS.get("".join(parts[1:]), "")
    return parts[0] if parts in (["train"], ["test"]) else ""  # a value is `valid`, perhaps


def _truths(column: pl.Series) -> pl.Series:
    """Yes or no, null where a field says neither."""
    return _spelled(column).replace_strict(YES_OR_NO, default=None, return_dtype=pl.Boolean)

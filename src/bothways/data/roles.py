"""Which role each column of a table has."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from textwrap import shorten
from typing import Any, NamedTuple

import polars as pl

from bothways.data.clocks import (
    HEAD,
    ROW_NUMBERS,
    clock_columns,
    guess_order,
    guess_parts,
    moment_columns,
    names_by_file,
)
from bothways.data.columns import NAMED, ROLES, Columns, Guess
from bothways.data.guesses import LABELS, guess_categories, guess_label, guess_split, guess_words, pointed_to
from bothways.data.labels import label_values
from bothways.data.layouts import VALUE, VARIABLE
from bothways.data.sequence_columns import guess_related, guess_sequence
from bothways.errors import DataError, InputError, counted, option
from bothways.fields.kinds import TEXT
from bothways.fields.numbers import all_fit, text_of
from bothways.fields.reader import DOUBT, not_numbers, not_times
from bothways.network import PERS
from bothways.settings import Roles
from bothways.tables.table import MADE, NEEDED, SPLIT, Table, with_joined

HUGE = 10**15  # whole numbers of sixteen digits measure or count nothing
LONGEST_TIME = 40  # characters of a time in text, with the names of its day and its zone
NESTED = r"""^\s*(?:\[\s*[-+\d.eE]+[,;\s]+[-+\d.,;\seE]*\d[-+\d.,;\seE]*\]|\{\s*["'].*\})\s*$"""  # [1.5, 2], {"x": 1}
NONE = "none"  # given for a role, it says that no column has it
FEW_SEQUENCES = 10  # among fewer sequences, labels that never change within one may be chance


def choose_columns(table: Table, **given: Any) -> Columns:
    """Give every column its role: the named ones theirs, then those that can be guessed; the others are features.

    Numbers and true/false are read as numbers; text is read as categories, and so are whole numbers where they are said
    to be or where the name of the column says so. `given` are attributes of `bothways.settings.Roles`; "none" for one
    says that no column has this role. `Columns.guesses` says of every column what it is for, and why. Refused are a
    column with two roles, a role that two columns may have, and features that are neither numbers nor text.
    """
    asked = Roles(**given)
    if asked.per not in (None, *PERS):
        raise InputError(f"per is {asked.per!r}; it must be one of: {', '.join(PERS)}.")
    said = _Said.of(table, asked)
    table, roles, guesses = _guessed(table, said)
    kinds, whys = _features(table, said, roles, guesses)
    guesses |= {name: Guess(name, "left out", why) for name, why in whys.items()}
    if table.schema[roles["label"]].is_nested():
        label_values(table, roles["label"])  # refuses it, before columns that read less well are
    _check_features(table, kinds, [*said.categorical, table.word], said.numeric)
    if not kinds:
        raise _nothing_left(table, roles, guesses)
    guesses |= _feature_guesses(table, kinds, guesses, said)
    per, readings, label = asked.per, dict(table.readings), roles["label"]
    if per is None and (why := _one_label_each(table, label, roles.get("sequence"), roles.get("order"))):
        per = "sequence"
        readings[label] = "; ".join([why, *filter(None, [readings.get(label)])])
    for name in guesses.keys() & readings.keys():
        if guesses[name].role == "category" and kinds[name] == "numbers":
            continue  # it is read as text
        guesses[name] = replace(guesses[name], why=f"{guesses[name].why}; {readings[name]}")
    return Columns(
        features=tuple(kinds),
        categories=tuple(name for name in kinds if guesses[name].role == "category"),
        per=per or "step",
        guesses=tuple(guesses[name] for name in dict.fromkeys([*roles.values(), *kinds, *guesses])),
        reading=table.reading,
        units={name: table.units[name] for name in kinds if name in table.units},
        **roles,
    )


class _Said(NamedTuple):
    """What somebody says of columns, by their names in the table."""

    named: dict[str, str]  # columns by their roles
    none: set[str]  # the roles that no column has
    drop: list[str]
    features: list[str]
    categorical: list[str]
    numeric: list[str]

    @property
    def typed(self) -> set[str]:
        """The columns that are said to be categories or numbers."""
        return {*self.categorical, *self.numeric}

    @classmethod
    def of(cls, table: Table, asked: Roles) -> _Said:
        """All that is asked for; refuses columns that are not there, and those with two roles."""
        lists = asked.drop, asked.features, asked.categorical, asked.numeric
        drop, features, categorical, numeric = ([*dict.fromkeys(map(table.called, names))] for names in lists)
        names = {role: getattr(asked, role) for role in ROLES}
        none = {role for role, name in names.items() if name == NONE and name not in table.names} - {"label"}
        named = {role: table.called(name) for role, name in names.items() if name is not None and role not in none}
        table.require(*named.values(), *drop, *features, *categorical, *numeric)
        table.require_keys(*(named[role] for role in ("sequence", "split", "group") if role in named))
        _check_one_role_each(table, named, drop=drop, features=features)
        _check_one_role_each(table, {}, categorical=categorical, numeric=numeric)
        if "order" in named:
            _check_order(table, named["order"])
        return cls(named, none, drop, features, categorical, numeric)


def _features(
    table: Table, said: _Said, roles: Mapping[str, str], guesses: Mapping[str, Guess]
) -> tuple[dict[str, str], dict[str, str]]:
    """What each feature holds, by name; and why what might be one is none."""
    if said.features:
        return {name: _kind(table, name) for name in said.features}, {}
    taken = {*roles.values(), *said.drop, *(name for name, guess in guesses.items() if guess.role == "left out")}
    kinds = {name: _kind(table, name) for name in table.names if name not in taken}
    sequence = roles.get("sequence")
    whys = {name: _no_feature(table, name, kind, sequence, name in said.typed) for name, kind in kinds.items()}
    out = {name: why for name, why in whys.items() if why}
    return {name: kind for name, kind in kinds.items() if name not in out}, out


def _nothing_left(table: Table, roles: Mapping[str, str], guesses: Mapping[str, Guess]) -> DataError:
    reasons = [str(guess) for guess in guesses.values() if guess.name != roles["label"]]
    if (order := roles.get("order")) and table.schema[order].is_numeric():
        reasons.append(f"To learn from numbers that sort the rows: {option('numeric', order)}.")
    text = f"{table.source}: no column is left to learn {roles['label']!r} from. {' '.join(reasons)}"
    return DataError(text.rstrip())


def _feature_guesses(
    table: Table, kinds: Mapping[str, str], guesses: Mapping[str, Guess], said: _Said
) -> dict[str, Guess]:
    """Whether each feature is a category, and why, after what the `guesses` say of it."""
    untyped = [name for name in kinds if name not in said.typed]
    by_name = {guess.name: guess for guess in guess_categories(table, untyped)}
    features = {}
    for name, kind in kinds.items():
        found = [of[name] for of in (guesses, by_name) if name in of]
        category = name in said.categorical or kind == "text" or any(guess.role == "category" for guess in found)
        plain = "as given" if name in said.typed else text_of(table.column(name)) if kind == "text" else "numbers"
        why = "; ".join(guess.why for guess in found) or plain
        features[name] = Guess(name, "category" if category else "feature", why)
    return features


def match_columns(table: Table, columns: Columns, *, label: bool) -> None:
    """Check that a table has a model's columns, in any order and of the same kinds; with `label`, its label, too."""
    table.require(*columns.needed, why=NEEDED)
    table.require(*[columns.label] * label)
    encoding = columns.encoding
    kinds = {name: _kind(table, name, missing=encoding is not None) for name in columns.numbers}
    wrong = {name: kind for name, kind in kinds.items() if kind != "numbers"}
    for name in (name for name, kind in wrong.items() if kind == "text"):
        _check_stray_text(table, name, droppable=False)
    if wrong:
        raise DataError(f"{table.source}: the model was trained on numbers, but {_said(wrong)}.")
    for name in columns.categories:
        kind = _kind(table, name, missing=True)
        if kind not in ("numbers", "text"):
            raise DataError(f"{table.source}: the column {name!r} is {kind}; the model was trained on categories.")
    if columns.order is not None:
        _check_order(table, columns.order)
        dtype = table.schema[columns.order]
        if encoding is not None and encoding.order:
            known, fits = encoding.order, dtype == pl.Duration or (encoding.order == "times") == dtype.is_temporal()
            if encoding.clock:
                known, fits = "dates", dtype in (pl.Date, pl.Datetime)
            if not fits:
                raise DataError(
                    f"{table.source}: the order column {columns.order!r} is of type {dtype}; the model was trained on "
                    f"{known}."
                )


class _Guesses:
    """What columns are for, as it is found out, one role after the other."""

    def __init__(self, table: Table, said: _Said) -> None:
        self.table, self.said = table, said
        self.roles: dict[str, Any] = dict(said.named)
        self.wanted = {"label", "split", "sequence", "order"} - said.none - self.roles.keys()
        self.found = {name: Guess(name, role, "as given") for role, name in self.roles.items()}
        self.used = {*said.drop, *said.features, *said.typed}

    @property
    def free(self) -> list[str]:
        """The columns that have no role yet and of which nobody says what they are."""
        taken = {*self.roles.values(), *self.used}
        return [name for name in self.table.names if name not in taken]

    def take(self, guesses: Iterable[Guess]) -> None:
        """Take guesses, with what was said of the same columns before."""
        for guess in guesses:
            if guess.role not in ("", "feature", "left out"):
                self.roles[guess.role] = guess.name
            earlier = self.found.get(guess.name)
            why = guess.why if earlier is None else f"{guess.why}; {earlier.why}"
            self.found[guess.name] = replace(guess, why=why)

    def leave_out(self, names: Collection[str], why: str) -> None:
        """Leave out columns that are looked at no more; what was said of them before stands."""
        self.used |= {*names}
        self.found = {name: Guess(name, "left out", why) for name in names} | self.found

    def take_sequence_and_order(self) -> None:
        """The column that tells sequences apart, and the one that sorts their steps, which show each other.

        The table has a column more afterwards where several tell the time that sorts.
        """
        given, counters = self.table, not self.said.features
        together = moment_columns(given, self.free) if "order" in self.wanted else None
        if together is not None:
            self.table = with_joined(given, None, together)
        if "sequence" in self.wanted:
            self.take(self._sequences(together))
        elif "sequence" in self.roles:
            self.take(guess_related(self.table, self.roles["sequence"], self.free))
        names = [name for name in self.free if name not in self.found or not self.found[name].role]
        sequence, needed = self.roles.get("sequence"), "order" in self.wanted
        self.take(guess_order(self.table, sequence, names, needed=needed, counters=counters))
        if together is not None and self.roles.get("order") == together:
            self.found |= {guess.name: guess for guess in guess_parts(self.table, together)}
        elif together is not None:
            self.found.pop(together, None)
            self.table = given

    def _sequences(self, together: str | None) -> list[Guess]:
        parts = () if together is None else together.split(",")
        clocks = [self.roles["order"]] if "order" in self.roles else clock_columns(self.table, self.free)
        clocks = [name for name in clocks if name not in parts]
        long = VALUE in self.table.names  # one value per row, of the variable that another column names
        likely = [name for name in self.free if name not in clocks and not (name == VARIABLE and long)]
        return guess_sequence(_shown(self.table), likely, clocks, self.roles["label"])


def _guessed(table: Table, said: _Said) -> tuple[Table, dict[str, Any], dict[str, Guess]]:
    """All roles but those of features, and a guess for each column that has one or looks as if it had.

    With them comes the table, with a column more where several tell the time that sorts the steps.
    """
    known = _Guesses(table, said)
    if "sequence" in known.roles:
        known.leave_out(table.joined.get(known.roles["sequence"], ()), NAMED)
    if "order" in known.roles:
        known.take(guess_parts(table, known.roles["order"]))
    if table.readings.get(SPLIT) == MADE and "split" not in known.wanted:
        known.leave_out([SPLIT], "not asked for")
    if table.word is not None:
        known.take(guess_words(table, known.free, known.wanted, features=bool(said.features)))
        return table, known.roles, known.found
    if "label" in known.wanted:
        known.take([guess_label(table, known.free)])
    if "split" in known.wanted:
        known.take(guess_split(table, known.free))
    known.take_sequence_and_order()
    if "label" in said.named:
        likely = [name for name in known.free if name.strip().lower() in LABELS[:-1] and name not in known.found]
        why = "called as a label is ({} if it is one, too)"
        known.take(Guess(name, "", why.format(option("drop", name))) for name in likely)
    return known.table, known.roles, known.found


def _shown(table: Table) -> Table:
    """The rows that show what tells sequences apart: those to train on, if files are parts, which may count anew."""
    train = table.column(SPLIT) == "train" if table.readings.get(SPLIT) == MADE else pl.Series([False])
    if not train.any():
        return table
    return replace(table, values=table.values.filter(pl.col(SPLIT) == "train"), start=int(train.arg_max() or 0))


def _one_label_each(table: Table, label: str, sequence: str | None, order: str | None) -> str:
    """Why sequences have one label each: there are several, most of more than one step, and no label changes within
    any. "" if they do not.
    """
    names = None if order is None else names_by_file(table, sequence, [order])
    names = table.names_of_sequences(sequence) if names is None else names
    if names is None:
        return ""
    frame = pl.DataFrame({"label": table.column(label), "sequence": names})
    # Most tables show within their first rows that labels change.
    for part in (frame.head(HEAD), frame):
        counts = part.group_by("sequence").agg(pl.col("label").drop_nulls().n_unique(), pl.len().alias("steps"))
        if (counts["label"] > 1).any():
            return ""
    if counts.height < FEW_SEQUENCES or len(frame) < 2 * counts.height:
        return ""
    empty = frame["label"].null_count()
    but = f"; empty in {counted(empty, 'row')}" if empty else ""
    return f"one per sequence, as it never changes within one{but} ({option('per', 'step')} for one per step)"


def _check_one_role_each(table: Table, roles: Mapping[str, str], **lists: list[str]) -> None:
    seen: dict[str, str] = {}
    for role, name in [*roles.items(), *((role, name) for role, names in lists.items() for name in names)]:
        if seen.setdefault(name, role) != role and {seen[name], role} != {"sequence", "group"}:
            raise DataError(f"{table.source}: the column {name!r} is given twice, as {seen[name]} and as {role}.")


def _check_order(table: Table, name: str) -> None:
    dtype = table.schema[name]
    if not (dtype.is_numeric() or dtype.is_temporal()):
        _check_stray_time(table, name, droppable=False)
        shown = table.column(name).drop_nulls().head(1).to_list() if isinstance(dtype, TEXT) else []
        such = f", such as {shown[0]!r}" if shown else ""
        raise DataError(
            f"{table.source}: the order column {name!r} must be a number or a time, such as 2024-03-31 18:05; it is "
            f"{_kind(table, name)}{such}."
        )


def _check_features(
    table: Table, kinds: Mapping[str, str], categorical: Collection[str | None], numeric: Collection[str]
) -> None:
    """Refuse what can be no feature, or not of the kind that is given, and text that ought to be numbers."""
    for name, kind in kinds.items():
        if kind == "text" and name not in categorical:
            _check_stray_text(table, name, droppable=True)
    if wrong := {name: kind for name, kind in kinds.items() if kind not in ("numbers", "text")}:
        nested = any(table.schema[name].is_nested() for name in wrong)
        rows = " A table has one row per step: explode lists, and unnest objects (Polars, pandas)." if nested else ""
        if objects := [name for name in wrong if isinstance(table.schema[name], pl.Struct)]:
            pandas = "pd.json_normalize(frame.to_dict('records'))"
            rows = f" Objects as columns: Polars: frame.unnest({objects}); pandas: {pandas}."
        if any(table.schema[name] == pl.List(pl.String) for name in wrong):
            rows += " Words of a sentence may stand in a list called 'tokens', with a list of their tags beside it."
        which, what = ("them", "they are") if len(wrong) > 1 else ("it", "it is")
        raise DataError(
            f"{table.source}: features are numeric or categorical, but {_said(wrong)}. Leave {which} out with "
            f"{option('drop', *wrong)}, or say what {what} for "
            f"({', '.join(map(option, ('sequence', 'order', 'split')))}).{rows}"
        )
    for name in numeric:
        if kinds.get(name) == "text":
            raise DataError(f"{table.source}: the column {name!r} is text; it cannot be numeric.")


def _said(kinds: Mapping[str, str]) -> str:
    return "; ".join(f"{name!r} is {kind}" for name, kind in kinds.items())


def _check_stray_text(table: Table, name: str, droppable: bool) -> None:
    """Refuse a column of text most of which is numbers by naming the first cell that is none."""
    column = table.column(name)
    if table.readings.get(name, "").startswith(DOUBT):
        raise DataError(f"{table.source}: column {name!r}: {table.readings[name]}")
    if all_fit(column, NESTED):
        drop, keep = option("drop", name), option("categorical", name)
        cures = f", or leave the column out ({drop}); or take them for names ({keep})" if droppable else ""
        raise DataError(
            f"{table.source}: the column {name!r} holds lists or objects in text, such as "
            f"{column.drop_nulls()[0][:LONGEST_TIME]!r}. Write each of their values into a column of its own{cures}."
        )
    if (found := not_numbers(column)) is None:
        _check_stray_time(table, name, droppable)
        return
    row, count, _ = found
    if count:
        unit = "If it is the unit of the column, take this row out. " if (row, count) == (0, 1) else ""
        raise _stray(table, name, found, "number", f"{unit}Put it right", droppable)
    if not (droppable and column.str.contains(r"^\s*[+-]?\d+\s*$").all()):
        cures = (
            f", or say what they are: {option('numeric', name)} or {option('categorical', name)}" if droppable else ""
        )
        raise DataError(
            f"{table.source}: the column {name!r} holds numbers written as text. Store them as numbers{cures}."
        )


def _check_stray_time(table: Table, name: str, droppable: bool) -> None:
    """Refuse a column of text nearly all of which is dates or times by naming the first field that is none."""
    column = table.column(name)
    if column.dtype == pl.String and (found := not_times(column)) is not None:
        raise _stray(table, name, found, "date or time", "Put it right, or take this row out", droppable)


def _stray(
    table: Table, name: str, found: tuple[int, int, list[str]], what: str, cure: str, droppable: bool
) -> DataError:
    """The error of a field that is none of `what`, where it was `found`, how many there are, and which if few words."""
    row, count, few = found
    if few:
        cure += f", or read {'it' if len(few) == 1 else 'such fields'} as missing ({option('missing', *few)})"
    others = f" ({counted(count - 1, 'more such field')})" if count > 1 else ""
    if droppable:
        drop, codes = option("drop", name), option("categorical", name)
        cure += f", or leave the column out ({drop}), or take all for codes ({codes})"
    return DataError(
        f"{table.place(row)}, column {name!r} holds {table.column(name)[row]!r}, which is no {what}{others}. {cure}."
    )


def _no_feature(table: Table, name: str, kind: str, sequence: str | None, typed: bool) -> str:
    """Why a column that might be a feature is none; "" if it is one, as all are that are `typed` and not empty."""
    if kind == "empty" or typed:
        return "empty" if kind == "empty" else ""
    if name in ROW_NUMBERS:
        return "numbers the rows"
    column = table.column(name)
    if column.dtype.is_integer() and 2 * int((column.cast(float).abs() >= HUGE).sum()) > len(column):
        keep = f"{option('numeric', name)} or {option('categorical', name)} to learn from it"
        if sequence is None and 2 * column.n_unique() <= len(column):
            keep += f"; {option('sequence', name)} if it tells sequences apart"
        return f"too large for an amount, as ids and hashes are ({keep})"
    if (ids := pointed_to(table, name)) is not None:
        return f"points to another row, by its {ids!r} ({option('numeric', name)} to learn from it)"
    if kind == "text" and all(_look_like_times(column.drop_nulls().head(rows)) for rows in (1, len(column))):
        sort = f"{option('order', name)} to sort the steps by it, written as 2024-03-31 18:05:00+02:00"
        return f"text that looks like times; it sorts nothing ({sort}; {option('categorical', name)} to learn from it)"
    return ""


def _look_like_times(column: pl.Series) -> bool:
    """Whether all values are short texts with a year and a time of day."""
    text = column.cast(pl.String)
    fits = text.str.contains(r"\b(19|20)\d\d\b") & text.str.contains(r"\b\d?\d:\d\d\b")
    return bool(len(text)) and bool((fits & (text.str.len_chars() <= LONGEST_TIME)).all())


def _kind(table: Table, name: str, missing: bool = False) -> str:
    """What a column holds; one without any value counts as numbers if they may be missing."""
    dtype = table.schema[name]
    if dtype == pl.Null or (isinstance(dtype, TEXT) and not table.column(name).count()):
        return "numbers" if missing else "empty"
    if dtype.is_numeric() or dtype == pl.Boolean:
        return "numbers"
    if dtype.is_temporal():
        return "a date or time"
    return "text" if isinstance(dtype, TEXT) else f"of type {shorten(str(dtype), 60, placeholder=' ...')}"

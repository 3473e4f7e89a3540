"""What the columns of a table are for, where nobody says it. Every guess is kept, with its reason."""

from __future__ import annotations

from collections.abc import Collection

import polars as pl

from bothways.data.clocks import changes
from bothways.data.columns import Guess
from bothways.errors import DataError, option
from bothways.fields.kinds import TEXT
from bothways.fields.names import IDS, last_word, words
from bothways.fields.numbers import SHOWING, are_whole
from bothways.tables.hints import columns_are
from bothways.tables.sources import SPELLINGS, parts_meant
from bothways.tables.table import Table
from bothways.tables.words import SENTENCE

LABELS = ("label", "labels", "tag", "tags", "class", "target", "y")

ALARMS = ("anomaly", "attack", "failure", "fraud", "intrusion", "outlier")
"""What the label may be called where no column has such a name, also `is_fraud`."""

KINDS = (
    *("syscall", "id", "identifier", "code", "port", "proto", "protocol", "type", "kind", "category", "service"),
    "opcode",
)
"""Whole numbers in columns with such a word in their names are categories."""

MANY_KINDS = 1024  # whole numbers of more values than these are not guessed to be categories
FEW_KINDS = 512  # whole numbers of fewer values than these, spread widely, may be categories

SPLITS = ("split", "part", "fold", "kfold", "subset", "partition")  # last words in the names of split columns

YES_OR_NO = {
    **dict.fromkeys(("1", "1.0", "true", "yes", "y"), True),
    **dict.fromkeys(("0", "0.0", "false", "no", "n"), False),
}
"""What says whether a row is of a part, in small letters."""

VEHICLES = frozenset({"bus", "car", "tram", "plane", "bike", "walk", "ship", "truck", "subway", "metro", "taxi"})
"""Beside these, `train` is no part."""

FEW_WORDS = 10  # of more different words, one may be `train` by chance


def guess_label(table: Table, names: Collection[str]) -> Guess:
    """The column with the labels, by its name, among those that have no role yet; it must be one.

    Of several, those with fractions are none: `y` may be a place.
    """
    candidates = [name for name in names if name.strip().lower() in LABELS]
    candidates = candidates or [name for name in names if "".join(words(name)).removeprefix("is") in ALARMS]
    if not candidates:
        raise DataError(
            f"{table.source}: no column is called {', '.join(LABELS[:-2])} or {LABELS[-2]}. Name the one to learn with "
            f"{option('label')}. {columns_are(table.schema, table.files)}"
        )
    if len(candidates) > 1:
        whole = (name for name in candidates if not table.schema[name].is_float() or are_whole(table.column(name)))
        candidates = [*whole] or candidates
    return Guess(table.only("label", candidates), "label", "by its name")


def guess_words(table: Table, names: Collection[str], wanted: Collection[str], *, features: bool) -> list[Guess]:
    """The roles of the columns of sentences: the words are the feature, and no other column is one in silence.

    `names` are the columns that have no role yet, `wanted` the roles to guess; `features` says that they are given.
    """
    found = []
    if "label" in wanted:
        found.append(label_of_words(table, names) or guess_label(table, names))
    if "split" in wanted:
        found += guess_split(table, names)
    if "sequence" in wanted and SENTENCE in names:
        found.append(Guess(SENTENCE, "sequence", "one per sentence"))
    taken = {guess.name for guess in found}
    why = "not asked for" if features else f"new text does not have it ({option('categorical')} to learn from it)"
    rest = [name for name in names if name not in taken]
    return found + [
        Guess(name, "feature", "the words") if name == table.word and not features else Guess(name, "left out", why)
        for name in rest
    ]


def label_of_words(table: Table, names: Collection[str]) -> Guess | None:
    """The label of words, if it shows.

    It is the one column called so, or of which that is the last word (`ner_tags`); then the `upos` of CoNLL-U; then the
    last one of columns that have no name, and values that differ if there are such.
    """
    tags = [name for name in names if last_word(name) in LABELS]
    tags = [name for name in tags if name.lower() in LABELS] or tags
    last = [name for name in names if name.isdecimal()]
    last = [name for name in last if table.column(name).n_unique() > 1][-1:] or last[-1:]
    if tags:
        return Guess(table.only("label", tags), "label", "by its name")
    if "upos" in names and table.column("upos").count():
        return Guess("upos", "label", f"the part of speech ({option('label')} for another)")
    return Guess(last[0], "label", f"the last column ({option('label')} for another)") if last else None


def pointed_to(table: Table, name: str) -> str | None:
    """The column of ids of rows by which a column points to other rows, each to one of its own, as to the next.

    One number that comes again means none, as -1 does.
    """
    schema = table.schema
    if not schema[name].is_integer() or last_word(name) not in IDS:
        return None
    column = table.column(name)
    again = column.filter(column.is_duplicated()).drop_nulls().unique()
    there = (column != again[0] if len(again) else column.is_not_null()).fill_null(False)
    if len(again) > 1 or 2 * there.sum() < len(column):
        return None
    for other in (each for each in schema if each != name and last_word(each) in IDS):
        ids = table.column(other)
        own = ids.dtype.is_integer() and ids.n_unique() == len(ids) and not (ids == column).any()
        if own and column.filter(there).is_in(ids.implode()).all():
            return other
    return None


def guess_categories(table: Table, names: Collection[str]) -> list[Guess]:
    """The columns of whole numbers that are categories, by their names; and others that may be, as features."""
    schema, rows, guesses = table.schema, len(table), []
    for name in (name for name in names if schema[name].is_integer()):
        values = table.column(name).drop_nulls().unique()
        if len(values) < 3:
            continue
        spread = int(values.max()) - int(values.min()) + 1  # type: ignore[arg-type]
        if set(words(name)) & set(KINDS):
            few = len(values) <= MANY_KINDS
            cure = f"{option('numeric', name)} for amounts" if few else f"{option('drop', name)}?"
            why = f"by its name; {len(values):,} whole numbers ({cure})"
            guesses.append(Guess(name, "category" if few else "feature", why))
        elif len(values) <= FEW_KINDS and rows > 20 * len(values) and len(values) < spread * 0.75 and spread > 20:
            why = f"{len(values)} whole numbers; if they are categories: {option('categorical', name)}"
            guesses.append(Guess(name, "feature", why))
    return guesses


def holds_texts(column: pl.Series) -> bool:
    """Whether most values are texts of more than two words."""
    return bool((column.str.count_matches(r"\S\s") > 1).sum() > len(column) / 2)


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
        named, flag = last_word(name) in SPLITS, _part_of_flag(name)
        if isinstance(table.schema[name], TEXT) and _says_parts(table.column(name), named):
            wrong = ~_spelled(table.column(name)).is_in(list(SPELLINGS)).fill_null(False)
            if wrong.any():  # some rows say no part
                unclear[name] = int(wrong.arg_max() or 0)
            elif named or table.column(name).n_unique() > 1:
                found[name] = named
        elif flag and _says_yes_or_no(table.column(name), often=parts[0] == "is"):
            flags.append(name)
        elif (named and last_word(name) not in ("part", "partition")) or (parts[:1] == ["is"] and flag):
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
        first, *more = (parts_of_rows(table, name) for name in flags)
        same = all(parts.equals(first) for parts in more)
        best = flags[:1] if same and _part_of_flag(flags[0]) != "valid" else []
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
    """The part of each row: train, valid or test; refuses a row that says none."""
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
    """Whether all values are words for parts; or one is the train part, and only few others mean nothing.

    Where the name says nothing, no more of them mean nothing than parts: people may be in `training` or `employment`.
    """
    if column.head(SHOWING).n_unique() > FEW_WORDS:
        return False
    spelled = set(_spelled(column.unique()).to_list())
    said = {word for word in spelled & SPELLINGS.keys() if named or len(word) > 2}  # others are languages or states
    train = any(SPELLINGS[word] == "train" for word in said)
    others = len(spelled) - len(said)
    few = len(spelled) <= FEW_WORDS if named else others <= len(said)
    return not others or (train and few and not spelled & VEHICLES)


def _says_yes_or_no(column: pl.Series, often: bool) -> bool:
    """Whether each row says yes or no, both are said, and `often`, or from one row to the next it mostly stays."""
    if column.dtype.is_nested() or column.n_unique() != 2 or _truths(column).null_count():
        return False
    return often or 5 * int(changes(column).sum()) <= len(column)  # else somebody has measured a `test`


def _part_of_flag(name: str) -> str:
    """The part that a column is named after which says yes or no to it; "" for another column."""
    parts = words(name)
    if parts[:1] == ["is"]:
        return SPELLINGS.get("".join(parts[1:]), "")
    return parts[0] if parts in (["train"], ["test"]) else ""  # a value is `valid`, perhaps


def _truths(column: pl.Series) -> pl.Series:
    """Yes or no, null where a field says neither."""
    return _spelled(column).replace_strict(YES_OR_NO, default=None, return_dtype=pl.Boolean)

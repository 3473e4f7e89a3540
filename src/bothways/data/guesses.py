"""What the columns of a table are for, where nobody says it. Every guess is kept, with its reason."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from bothways.data.sources import SPELLINGS
from bothways.data.tables import Table
from bothways.data.words import SENTENCE
from bothways.errors import DataError, counted, option


def words(name: str) -> list[str]:
    """The words in the name of a column, in small letters.

    Example:
        >>> words("flow_ID"), words("DestPort")
        (['flow', 'id'], ['dest', 'port'])
    """
    return [word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)]


LABELS = ("label", "labels", "tag", "tags", "class", "target", "y")
SPLITS = ("split", "part", "fold", "subset", "partition")
THINGS = frozenset(
    words(
        "sequence seq session trace sentence document doc utterance host trip episode series machine engine patient "
        "device user subject pump vehicle station customer person participant client account turbine robot asset"
    )
)
"""What a sequence belongs to: a column of this name tells sequences apart."""

MAYBE_THINGS = frozenset(words("flow unit ip run case block node batch sensor file video recording group site"))
"""The same, if the values show it as well."""

IDS = ("id", "ids", "no", "nr", "num", "number", "key", "uuid", "guid", "name")
"""Last words in the name of a column that tells things apart."""

CLOCKS = frozenset(words("t ts time timestamp datetime date step elapsed clock tick cycle"))
"""A column of this name sorts steps that stand in any order; of several words, the last counts."""

COUNTERS = frozenset(words("position index idx order frame sample row record line seconds epoch"))
"""The same, if the values show it as well."""

UNITS = frozenset(words("s sec secs ms us ns min h utc gmt local"))
"""Last words in the name of a clock that are its units."""

ROW_NUMBERS = ("", "__index_level_0__", "Unnamed: 0")
"""The names under which pandas writes the numbers of the rows."""

KINDS = ("syscall", "id", "code", "port", "proto", "protocol", "type", "kind", "category", "service", "opcode")
"""Whole numbers in columns with such a word in their names are categories."""

MANY_KINDS = 1024
"""Whole numbers of more values than these are not guessed to be categories."""

FEW_KINDS = 512
"""Whole numbers of fewer values than these, spread widely, may be categories."""

FEW_STEPS = 10
"""Fewer steps show no pattern."""

MANY_VALUES = 20
"""A counter has as many values at least."""

HEAD = 10_000
"""Patterns are looked for in the first steps; what is not found there is not looked for in all."""

PLAIN = ("as given", "numbers", "text")
"""Reasons that need no word of their own."""

SHOWN = 3
"""As many columns are named where several have one role for one reason."""

MOST_ROWS, WIDTH = 24, 80
"""Of a table of guesses."""

ORDER_REASONS: Mapping[int, str] = MappingProxyType(
    {
        0: "a date or time; it rises from row to row",
        1: "by its name; it rises from row to row",
        2: "a date or time; the newest rows stand first",
        3: "a date or time; the rows stand in another order",
        4: "by its name; the newest rows stand first",
        5: "by its name; the rows stand in another order",
        6: "it numbers the rows, which stand in another order",
    }
)
"""Why a column sorts the steps, the best reason first."""

NO_ORDER, STARTS_OVER = 7, 8
"""Why a clock does not."""

ROW_NAMES = ("id", "no", "nr", "num", "number", "row", "index", "idx", "line", "record", "order")
"""Last words in the name of a column that numbers rows."""

TEXT = (pl.String, pl.Categorical, pl.Enum)

Steps = tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]
"""Rows, sequence after sequence as they stand, and whether the next one is of the same sequence."""


@dataclass(frozen=True)
class Guess:
    """What a column is for, and why.

    Attributes:
        name: the column.
        role: "label", "sequence", "order", "split", "group", "feature", "category" or "left out".
        why: the reason, with the option that changes it.

    Example:
        >>> print(Guess("when", "left out", "a date or time"))
        Column 'when': left out (a date or time).
    """

    name: str
    role: str
    why: str

    def __str__(self) -> str:
        """One sentence."""
        return f"Column {self.name!r}: {self.role} ({self.why})."

    @property
    def plain(self) -> bool:
        """Whether it goes without saying."""
        return self.why in PLAIN


def guess_rows(guesses: Iterable[Guess]) -> list[tuple[str, str, str]]:
    """Guesses in few rows: columns, role, why. Columns of one role for one reason share a row.

    Of what is beyond `MOST_ROWS`, only how much it is.

    Example:
        >>> guess_rows(Guess(f"x{i}", "feature", "numbers") for i in range(9))
        [('x0, x1, x2 and 6 more', 'feature', 'numbers')]
    """
    groups: dict[tuple[str, str], list[str]] = {}
    for guess in guesses:
        groups.setdefault((guess.role, guess.why), []).append(guess.name)
    rows = [
        (", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN:,} more" if len(names) > SHOWN else ""), role, why)
        for (role, why), names in groups.items()
    ]
    left = sum(map(len, list(groups.values())[MOST_ROWS:]))
    return [*rows[:MOST_ROWS], *([(counted(left, "further column"), "", "--json of info lists them")] if left else [])]


def guess_table(guesses: Iterable[Guess], hint: bool = True) -> str:
    """Guesses as a table of text, of lines of at most `WIDTH` characters; see `guess_rows`.

    With a `hint`, the last line says how to change them, if there is anything to change.

    Example:
        >>> print(guess_table([Guess("kind", "label", "by its name"), Guess("t", "order", "it rises")]))
        column  role   why
        kind    label  by its name
        t       order  it rises
        To change a role, use label=, sequence=, order=, split=, drop=.
    """
    guesses = list(guesses)
    rows = [("column", "role", "why"), *(tuple(map(_printable, row)) for row in guess_rows(guesses))]
    first = min(max(len(row[0]) for row in rows), WIDTH * 2 // 5)
    second = max(len(row[1]) for row in rows)
    lines = []
    for name, role, why in rows:
        cells = textwrap.wrap(name, first), [role], textwrap.wrap(why, max(20, WIDTH - first - second - 4))
        lines += [f"{a:{first}}  {b:{second}}  {c}".rstrip() for a, b, c in zip_longest(*cells, fillvalue="")]
    if hint and not all(guess.plain for guess in guesses):
        roles = ("label", "sequence", "order", "split", "drop")
        lines.append(f"To change a role, use {', '.join(map(option, roles))}.")
    return "\n".join(lines)


def guess_label(table: Table, names: Collection[str]) -> Guess:
    """The column with the labels, by its name, among those that have no role yet.

    Raises:
        DataError: none is called so, or several are.
    """
    candidates = [name for name in names if name.lower() in LABELS]
    if not candidates:
        shown = ", ".join(repr(name) for name in table.names[:20]) + (", ..." if len(table.names) > 20 else "")
        raise DataError(
            f"{table.source}: no column is called {', '.join(LABELS[:-2])} or {LABELS[-2]}. Name the one to learn with "
            f"{option('label')}. The columns are: {shown}."
        )
    return Guess(_only(table, "label", candidates), "label", "by its name")


def guess_split(table: Table, names: Collection[str]) -> list[Guess]:
    """The column that says train, valid or test, by its name and its values; see `guess_label`."""
    schema, candidates = table.schema, []
    for name in names:
        if words(name)[-1:] and words(name)[-1] in SPLITS and isinstance(schema[name], TEXT):
            values = {str(value).strip().lower() for value in table.column(name).unique().to_list()}
            if values <= SPELLINGS.keys():
                candidates.append(name)
    if not candidates:
        return []
    return [Guess(_only(table, "split", candidates), "split", "by its name and values")]


def guess_words(table: Table, names: Collection[str], wanted: Collection[str]) -> list[Guess]:
    """The roles of the columns of sentences: the words are the feature, and no other column is one in silence.

    The label is a column called so, or of which it is the last word (`ner_tags`); then the `upos` of CoNLL-U; then the
    last one of columns that have no name.

    Args:
        table: the table, whose `word` is known.
        names: the columns that have no role yet.
        wanted: the roles that are to be guessed.

    Raises:
        DataError: no column, or more than one, may be the label.
    """
    found = []
    if "label" in wanted:
        tags = [name for name in names if {*words(name)[-1:]} & {*LABELS}]
        tags = [name for name in tags if name.lower() in LABELS] or tags
        upos = [name for name in names if name == "upos" and table.column(name).count()]
        last = [name for name in names if name.isdecimal()][-1:]
        if tags:
            found.append(Guess(_only(table, "label", tags), "label", "by its name"))
        elif upos or last:
            why = "the part of speech" if upos else "the last column"
            found.append(Guess((upos or last)[0], "label", f"{why} ({option('label')} for another)"))
        else:
            found.append(guess_label(table, names))
    if "split" in wanted:
        found += guess_split(table, names)
    if "sequence" in wanted and SENTENCE in names:
        found.append(Guess(SENTENCE, "sequence", "one per sentence"))
    taken = {guess.name for guess in found}
    why = f"new text does not have it ({option('categorical')} to learn from it)"
    rest = [name for name in names if name not in taken]
    return found + [
        Guess(name, "feature", "the words") if name == table.word else Guess(name, "left out", why) for name in rest
    ]


def guess_sequence(table: Table, names: Collection[str], clocks: Collection[str]) -> list[Guess]:
    """The column that tells sequences apart, if one does.

    A column of text or whole numbers, of two rows a value on average, tells sequences apart

    - if it is called after what sequences belong to (`machine`, `session_id`), and each value is one run of rows, or
      its values are numbers or hold digits as ids do;
    - if it is called an id of anything (`event_id`, `node`), and each value is one run of rows;
    - whatever its name, if times show it: they rise within each value and not over all rows, as where one machine
      follows another, or most times come several times and each but once a value, as where devices report together.

    Of several that are called so, it is the one whose values the others only join; these are left out. Where there is
    none, what looks like one is kept with the question whether it is.

    Raises:
        DataError: several columns tell different sequences apart.
    """
    schema, asked = table.schema, []
    ranks: dict[str, tuple[int, str]] = {}
    proofs = _repeating(table, clocks)
    for name in names:
        named = _names_sequences(name)
        if not (schema[name].is_integer() or isinstance(schema[name], TEXT)):
            continue
        column = table.column(name)
        # What does not hold for the first rows does not hold for all.
        head = column.head(HEAD)
        proved = any(_tells_apart(head, clock.head(HEAD), again, turns) for _, clock, again, turns in proofs)
        if not (named or proved or _one_run_each(head) or _numbered(head)):
            continue
        distinct = column.n_unique()
        if column.null_count() or not 2 <= distinct <= len(column) // 2:
            continue
        runs = _one_run_each(column)
        if named >= 2 and (runs or _holds_digits(column)):
            ranks[name] = (named, f"by its name and its {distinct:,} values")
            continue
        proof = next((proof[0] for proof in proofs if _tells_apart(column, *proof[1:])), None)
        if proof is not None and (named or len(column) >= 3 * distinct):
            ranks[name] = (max(named, 1), f"{proof!r} rises within each of its {distinct:,} values")
        elif named == 1 and runs:
            ranks[name] = (1, f"by its name and its {distinct:,} values")
        elif named or (len(column) >= 5 * distinct >= 25 and (runs or _numbered(column))):
            asked.append(Guess(name, "", f"looks like a sequence column: {option('sequence', name)}"))
    if not ranks:
        return asked
    best = max(rank for rank, _ in ranks.values())
    chosen = [name for name, (rank, _) in ranks.items() if rank == best]
    if best == 1 and (proven := [name for name in chosen if " rises " in ranks[name][1]]):
        chosen = [min(proven, key=lambda name: table.column(name).n_unique())]
    finest = [name for name in chosen if all(_joins(table, name, other) for other in chosen)]
    sequence = finest[0] if finest else _only(table, "sequence", chosen)
    others = [name for name in ranks if name != sequence and _names_sequences(name) and _joins(table, sequence, name)]
    why = "joins sequences ({} keeps these in one part)"
    joining = [Guess(name, "left out", why.format(option("group", name))) for name in others]
    return [Guess(sequence, "sequence", ranks[sequence][1]), *joining]


def clock_columns(table: Table, names: Collection[str]) -> list[str]:
    """The columns that may sort steps: times, and numbers that are called after a clock or a counter; none is empty."""
    schema = table.schema
    likely = [name for name in names if schema[name].is_temporal() or (_counts(schema[name]) and _clock(name))]
    return [name for name in likely if not _missing(table.column(name))]


def guess_order(
    table: Table, sequence: str | None, names: Collection[str], *, needed: bool = True, counters: bool = True
) -> list[Guess]:
    """The column that sorts the steps, and the other clocks and counters, none of which is a feature in silence.

    The order column is the first that there is of

    1. a date or time that never falls within a sequence as the rows stand, then a number of which the same is true and
       that is called after a clock or counter (`t`, `step`, `event_time`, `index`);
    2. a date or time that never rises, the newest rows standing first;
    3. a date or time in any order, if it is called after a clock or there is no other;
    4. a number that is called `t`, `time`, `step` or the like and never rises, or stands in any order and hardly ever
       comes twice in a sequence; called `index`, `frame` or the like, only if it is evenly spaced;
    5. an `id`, `index` or the like that numbers the rows, which stand in another order.

    All other dates, times and clocks are left out, and so is a number that grows by the same amount from step to step.
    In one or two sequences, which are cut in time, whole numbers that only rise or only fall are left out as well: they
    count something, and training sees none of those that follow. Numbers with fractions are readings, as of a meter,
    and stay features; they are told. Unless an order column is `needed`, the others are looked at all the same;
    columns that are not called after clocks, unless `counters` is false.
    """
    steps = _steps(None if sequence is None else table.column(sequence), len(table))
    schema, clocks = table.schema, clock_columns(table, names)
    times = [name for name in clocks if schema[name].is_temporal()]
    ranks = {name: _rank(name, table.column(name), steps, sequence is None, times == [name]) for name in clocks}
    usable = [name for name in clocks if ranks[name][0] in ORDER_REASONS]
    order = min(usable, key=lambda name: (ranks[name][0], -ranks[name][1]), default=None) if needed else None
    guesses = []
    if order is not None:
        rank = ranks[order][0]
        cure = f" ({option('order', 'none')} to keep the rows so)" if rank > 1 else ""
        guesses.append(Guess(order, "order", ORDER_REASONS[rank] + cure))
    few = int((~steps[1]).sum()) < 2
    for name in names:
        dtype = schema[name]
        rank, count = ranks.get(name, (NO_ORDER, 0))
        if name == order or not (dtype.is_temporal() or (_counts(dtype) and (counters or name in usable))):
            continue
        if rank == STARTS_OVER:
            why = f"starts over {counted(count, 'time')}, and no column tells these sequences apart"
        elif name in usable:
            why = f"sorts the steps as {order!r} does" if order is not None and rank <= 1 else "a clock"
        elif dtype.is_temporal():
            why = "a date or time"
        else:
            guess = _counter(name, table.column(name), steps, few, needed and order is None)
            if guess is None and name in clocks and _clock(name) == 2:
                guess = Guess(name, "feature", f"numbers, though called after a clock ({option('drop', name)}?)")
            if guess is not None:
                order = name if guess.role == "order" else order
                guesses.append(guess)
            continue
        guesses.append(Guess(name, "left out", why))
    return sorted(guesses, key=lambda guess: guess.role != "order")


def guess_categories(table: Table, names: Collection[str]) -> list[Guess]:
    """The columns of whole numbers that are categories, by their names; and others that may be, as features."""
    schema, guesses = table.schema, []
    for name in (name for name in names if schema[name].is_integer()):
        values = table.column(name).drop_nulls().unique()
        if len(values) < 3:
            continue
        if set(words(name)) & set(KINDS):
            few = len(values) <= MANY_KINDS
            cure = f"{option('numeric', name)} for amounts" if few else f"{option('drop', name)}?"
            why = f"by its name; {len(values):,} whole numbers ({cure})"
            guesses.append(Guess(name, "category" if few else "feature", why))
            continue
        spread = int(values.max()) - int(values.min()) + 1  # type: ignore[arg-type]
        if len(values) <= FEW_KINDS and len(table) > 20 * len(values) and len(values) < spread * 0.75 and spread > 20:
            why = f"{len(values)} whole numbers; if they are categories: {option('categorical', name)}"
            guesses.append(Guess(name, "feature", why))
    return guesses


def _rank(name: str, column: pl.Series, steps: Steps, one: bool, alone: bool) -> tuple[int, int]:
    """How well a clock sorts the steps, as a key of `ORDER_REASONS`, `NO_ORDER` or `STARTS_OVER`; and how many differ.

    For `STARTS_OVER`, how often it does. `one` says that there is one sequence, `alone` that there is no other time.
    """
    rows, same = steps
    values, temporal, clock = _numbers(column)[rows], column.dtype.is_temporal(), _clock(name)
    ups, downs = (0, 0) if np.isinf(values).any() else _moves(values, same)
    if not ups + downs or (not temporal and ups + downs < min(MANY_VALUES, same.sum() / 2)):
        return NO_ORDER, 0
    if not downs:
        return 0 if temporal else 1, ups
    if not ups and (temporal or clock == 2):
        return 2 if temporal else 4, downs
    if column.dtype == pl.Time or not ups:
        return NO_ORDER, 0
    if one and downs <= 0.1 * len(same):
        falls = np.flatnonzero(values[1:] < values[:-1])
        low = values.min()
        if np.median((values[falls + 1] - low) / (values[falls] - low)) < 0.1:
            return STARTS_OVER, downs
    if temporal:
        return (3 if clock or alone else NO_ORDER), ups + downs
    numbers = np.append(0, np.cumsum(~same))
    gaps = np.diff(values[np.lexsort((values, numbers))])[same]
    gaps = gaps[gaps > 0]
    even = len(gaps) and np.unique(gaps, return_counts=True)[1].max() >= len(gaps) / 2
    return (5 if len(gaps) > same.sum() / 2 and (clock == 2 or even) else NO_ORDER), len(gaps)


def _counter(name: str, column: pl.Series, steps: Steps, few: bool, needed: bool) -> Guess | None:
    """A word about numbers that rise or fall all the time, or number the rows in another order; `few` sequences."""
    whole, keep = column.dtype.is_integer(), option("numeric", name)
    if name in ROW_NUMBERS or (whole and few):
        places = column.drop_nulls().unique().sort()
        every = len(places) == len(column) >= MANY_VALUES and places[-1] - places[0] + 1 == len(column)
        if every and not (column.is_sorted() or column.is_sorted(descending=True)):
            if needed and (name in ROW_NUMBERS or {*words(name)[-1:]} & {*ROW_NAMES}):
                return Guess(name, "order", f"{ORDER_REASONS[6]} ({option('order', 'none')} to keep them so)")
            return Guess(name, "left out", f"numbers rows that stand in another order ({option('order', name)}?)")
    if name in ROW_NUMBERS:
        return Guess(name, "left out", "numbers the rows")
    rows, same = steps
    values = _numbers(column)
    if not np.isfinite(values).all():
        return None
    for part in (rows[:HEAD], rows):
        inner = same[: len(part) - 1]
        differences = np.diff(values[part])[inner]
        rises, falls = bool((differences >= 0).all()), bool((differences <= 0).all())
        if len(differences) < FEW_STEPS or not (rises or falls) or (rises and falls):
            return None
    if np.allclose(differences, differences[0], rtol=1e-3, atol=4 * np.spacing(np.abs(values).max())):
        return Guess(name, "left out", f"counts the steps ({keep} to learn from it)")
    if np.count_nonzero(differences) < MANY_VALUES:
        return None
    only = "only rises" if rises else "only falls"
    if whole and few:
        return Guess(name, "left out", f"{only}, as a counter does ({keep} to learn from it)")
    only += "" if few else " within sequences"
    return Guess(name, "feature", f"numbers; {only}, as a meter does ({option('drop', name)} if it is a counter)")


def _names_sequences(name: str) -> int:
    """3 for a column that is called after sequences, 2 after what they belong to, 1 an id of anything, else 0."""
    parts = words(name)
    if "_".join(parts) in ("sequence_id", "sequence", "seq_id", "seq"):
        return 3
    suffix = parts[-1:] and parts[-1] in IDS
    noun = parts[-2:-1] if suffix else parts[-1:]
    if noun and noun[0] in THINGS and (suffix or not re.search(r"\d", name)):
        return 2
    return int(bool(suffix or (noun and noun[0] in MAYBE_THINGS)))


def _clock(name: str) -> int:
    """2 for a column that is called `t`, `time` or the like, 1 for `event_time`, `index` or the like, else 0."""
    parts = words(name)
    while len(parts) > 1 and parts[-1] in UNITS:
        parts.pop()
    if not parts or parts[-1] not in CLOCKS | COUNTERS:
        return 0
    return 2 if len(parts) == 1 and parts[-1] in CLOCKS else 1


def _repeating(table: Table, clocks: Collection[str]) -> list[tuple[str, pl.Series, bool, int]]:
    """The clocks of several sequences: whether most times come again, and how often they turn back."""
    found = []
    for name in clocks:
        column = table.column(name)
        if column.dtype.is_temporal() or _clock(name) == 2:
            again = column.n_unique() <= len(column) / 2
            found.append((name, column, again, min(_moves(_numbers(column), np.ones(len(column) - 1, bool)))))
    return [each for each in found if each[2] or each[3]]


def _tells_apart(column: pl.Series, clock: pl.Series, again: bool, turns: int) -> bool:
    """Whether each value has each time but once where times come again, or where they turn back, never turns back."""
    if again and pl.DataFrame([column.alias("value"), clock.alias("time")]).n_unique() == len(column):
        return True
    if not turns or column.n_unique() > turns + 1:
        return False
    rows, same = _steps(column, len(column))
    ups, downs = _moves(_numbers(clock)[rows], same)
    return (ups > 0) != (downs > 0)


def _steps(sequence: pl.Series | None, count: int) -> Steps:
    """Rows, sequence after sequence as they stand, and whether the next one is of the same sequence."""
    rows = np.arange(count)
    if sequence is None:
        return rows, np.ones(count - 1, bool)
    if not _one_run_each(sequence):
        rows = np.argsort(sequence.hash().to_numpy(), kind="stable")
        sequence = sequence.gather(rows)
    return rows, sequence[1:].eq_missing(sequence[:-1]).to_numpy()


def _one_run_each(column: pl.Series) -> bool:
    """Whether all rows of each value stand together."""
    return int(column[1:].ne_missing(column[:-1]).sum()) + 1 == column.n_unique()


def _moves(values: npt.NDArray[Any], same: npt.NDArray[np.bool_]) -> tuple[int, int]:
    """How often values rise and fall from one step to the next of the same sequence."""
    return int((values[1:] > values[:-1])[same].sum()), int((values[1:] < values[:-1])[same].sum())


def _joins(table: Table, finer: str, coarser: str) -> bool:
    """Whether all rows of each value of `finer` have one value of `coarser`."""
    return finer == coarser or table.columns([finer, coarser]).n_unique() == table.column(finer).n_unique()


def _holds_digits(column: pl.Series) -> bool:
    """Whether values are whole numbers, or most hold a digit."""
    return column.dtype.is_integer() or bool((column.unique().cast(pl.String).str.contains(r"\d").mean() or 0) > 0.5)  # type: ignore[operator]


def _numbered(column: pl.Series) -> bool:
    """Whether the values are text that ends in a number and is else the same, as `P01` and `P02`."""
    if not isinstance(column.dtype, TEXT):
        return False
    names = column.unique().cast(pl.String).str.strip_chars_end("0123456789")
    return names.n_unique() == 1 and bool(names.len() > 1)


def _counts(dtype: pl.DataType) -> bool:
    return dtype.is_integer() or dtype.is_float()


def _missing(column: pl.Series) -> bool:
    return bool(column.null_count()) or (column.dtype.is_float() and bool(column.is_nan().any()))


def _numbers(column: pl.Series) -> npt.NDArray[Any]:
    """A column as numbers that can be compared and subtracted."""
    numbers = column.to_physical()
    return (numbers.cast(pl.Int64, strict=False) if numbers.dtype.is_integer() else numbers).to_numpy()


def _printable(text: str) -> str:
    return text if text.isprintable() else repr(text)[1:-1]


def _only(table: Table, role: str, candidates: Sequence[str]) -> str:
    if len(candidates) > 1:
        raise DataError(
            f"{table.source}: which column is the {role}? It may be {' or '.join(map(repr, candidates))}. Say it with "
            f"{option(role)}."
        )
    return candidates[0]

"""The train, valid and test parts of a table; no sequence stands in two of them unless it is cut in time."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from bothways.data.columns import Columns, Draw
from bothways.data.encoding import Tally, fit_encoding
from bothways.data.guesses import SPELLINGS
from bothways.data.sequences import (
    MAX_STEPS,
    cut_long,
    encoded,
    group_rows,
    label_codes,
    label_values,
    labeled,
    listed,
    masked_notices,
)
from bothways.data.tables import Table
from bothways.errors import DataError, option
from bothways.sequences import NO_LABEL, Sequences

PARTS = ("train", "valid", "test")
SHARES = (0.7, 0.15, 0.15)
"""The shares of the parts where they are drawn, in the order of `PARTS`."""

DRAWS = 200
"""How often to draw for parts that show every class to training."""

GAP = 32
"""So many steps are left out between parts of one sequence, where nothing else is said."""

WIDEST_GAP = 0.05
"""A gap is no wider than this share of the sequence."""

Numbers = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Parts:
    """A table in parts; `valid` and `test` are None if there are none.

    Attributes:
        train: what is learnt from; its classes and its statistics are all that training knows.
        valid: what training stops early by.
        test: what the model is judged on.
        classes: the labels of the train part, sorted, in the order of their codes.
    """

    train: Sequences
    valid: Sequences | None
    test: Sequences | None
    classes: tuple[Any, ...] = ()

    @property
    def named(self) -> dict[str, Sequences]:
        """The parts that there are, by name."""
        parts = {"train": self.train, "valid": self.valid, "test": self.test}
        return {name: part for name, part in parts.items() if part is not None}


def split_table(
    table: Table,
    columns: Columns,
    seed: int,
    *,
    gap: int = GAP,
    min_count: int = 1,
    changes: int = 0,
    centered: bool = False,
    draw_valid: bool = True,
    max_steps: int = MAX_STEPS,
) -> tuple[Columns, Parts, list[str]]:
    """Split a table by its split column, or by drawing whole sequences or groups, or, for one or two, in time.

    How features become numbers is learnt from the train part alone.

    Args:
        table: the table.
        columns: the parts of its columns.
        seed: for the drawing.
        gap: where sequences are cut in time, so many steps are left out at each cut; as many as the network looks at
            together keep the parts apart.
        min_count: values of categories that the train part has less often are unknown.
        changes: if above 0, how far each number has moved in so many steps is a feature, too.
        centered: whether the mean over the sequence is taken off each number.
        draw_valid: whether a split column that names no valid part leaves it to be drawn from the train part.
        max_steps: longer sequences are cut into pieces of at most so many steps.

    Returns:
        The columns, with the encoding, and the draw if there was one; the parts; and what the user should be told.

    Raises:
        DataError: as `read_sequences`; an unknown value in the split column; no train part, or too few steps to make
            one; labels that cannot be learnt: one class only, or some in the other parts alone; a sequence of two
            labels where it should have one.

    Example:
        >>> frame = pl.DataFrame({"x": [1.0, 2.0, 3.0, 4.0], "label": [0, 1, 0, 1], "split": ["train"] * 3 + ["test"]})
        >>> columns = Columns(label="label", features=("x",), split="split")
        >>> _, parts, notices = split_table(Table("some.csv", frame), columns, seed=0)
        >>> parts.train.values[:, 0], notices
        (array([1., 2., 3.], dtype=float32), ['There is no valid part, so training cannot stop early.'])
    """
    whole, labels, notices = _labelled(table, columns)
    notices += masked_notices(columns, whole)
    if columns.split is not None:
        pieces = _part_of_rows(table, columns.split)[whole.table_rows]
        sequences, numbers = whole.cut(pieces)
        notices += _warn_of_mixing(whole, pieces)
        numbers, said = _with_valid(table, columns, sequences, numbers, seed) if draw_valid else (numbers, [])
    else:
        sequences, numbers, said = _draw(table, columns, whole, seed, gap)
        columns = replace(columns, draw=Draw(seed, _fingerprint(whole), gap))
    notices += said
    parts = [sequences.keep(numbers == k) if (numbers == k).any() else None for k in range(len(PARTS))]
    train = parts[0]
    if train is None:
        raise DataError(f"{table.source}: no row is in the train part. Mark some with 'train' in {columns.split!r}.")
    classes = _classes(table, columns, parts, labels)
    encoding, said = fit_encoding(
        table,
        columns.features,
        columns.categories,
        columns.order,
        train.table_rows,
        train.offsets,
        min_count,
        changes,
        centered,
    )
    notices += said
    columns = columns.adopt(encoding)
    tally = Tally()
    done: list[Sequences | None] = []
    for part in parts:
        if part is None:
            done.append(None)
            continue
        # What is rare in the train part is unknown by intention.
        counted = Tally() if part is train else tally
        finished, said = _finished(table, columns, part, labels, classes, counted, max_steps)
        done.append(finished)
        notices += [notice for notice in said if notice not in notices]
    notices += tally.notices()
    if done[0] is None:
        raise AssertionError
    return columns, Parts(done[0], done[1], done[2], classes), notices


def evaluation_part(
    table: Table, columns: Columns, part: str | None, classes: Sequence[Any], max_steps: int = MAX_STEPS
) -> tuple[str, Sequences, list[str]]:
    """The part of a table that a model is to be judged on.

    Args:
        table: the table.
        columns: those of the model.
        part: one of `PARTS`, or "all"; None for "test", or "all" in a table that has no parts.
        classes: those of the model.
        max_steps: longer sequences are cut into pieces of at most so many steps.

    Returns:
        The name of the part, its sequences, and what the user should be told.

    Raises:
        DataError: as `read_sequences`; a part that there is not; labels that the model does not know, or none.
    """
    if part is not None and part != "all" and (part := SPELLINGS.get(said := part.lower())) is None:
        raise DataError(f"There is no part {said!r}. Use one of: {', '.join(PARTS)}, or all.")
    whole, labels, notices = _labelled(table, columns)
    drawn = columns.draw is not None and columns.draw.fingerprint == _fingerprint(whole)
    has_parts = drawn or (columns.split is not None and columns.split in table.names)
    part = part or ("test" if has_parts else "all")
    if part == "all":
        sequences = whole
    elif not has_parts:
        raise DataError(f"{table.source}: {_why_no_parts(columns)} Leave out {option('split')} to use all rows.")
    else:
        if drawn and columns.draw is not None:
            sequences, numbers, _ = _draw(table, columns, whole, columns.draw.seed, columns.draw.gap)
            notices.append("The parts are drawn as they were for training.")
        else:
            sequences, numbers = whole.cut(_part_of_rows(table, str(columns.split))[whole.table_rows])
        chosen = numbers == PARTS.index(part)
        if not chosen.any():
            there = ", ".join(name for k, name in enumerate(PARTS) if (numbers == k).any())
            raise DataError(f"{table.source}: there is no {part} part; there is: {there}.")
        sequences = sequences.keep(chosen)
    unknown = [label for label in _seen(sequences, labels) if _code(label, classes) is None]
    if unknown:
        raise DataError(f"{table.source}: the {part} part has labels that the model never saw: {listed(unknown)}.")
    if not _seen(sequences, labels):
        raise DataError(
            f"{table.source}: the {part} part has no label in {columns.label!r}, so there is nothing to score."
        )
    notices += masked_notices(columns, sequences)
    tally = Tally()
    sequences, more = _finished(table, columns, sequences, labels, classes, tally, max_steps)
    return part, sequences, [*notices, *more, *tally.notices()]


def _labelled(table: Table, columns: Columns) -> tuple[Sequences, list[Any], list[str]]:
    """The sequences of a table without features, the labels in the order of their codes, and what is to be said."""
    bare, notices = group_rows(table, columns)
    values = label_values(table, columns.label)
    labels = values.drop_nulls().unique().sort().to_list()
    return labeled(table, columns, bare, label_codes(table, columns, values, labels), labels), labels, notices


def _finished(
    table: Table,
    columns: Columns,
    part: Sequences,
    labels: Sequence[Any],
    classes: Sequence[Any],
    tally: Tally,
    max_steps: int,
) -> tuple[Sequences, list[str]]:
    """The part with its features, and with the codes of `classes`; and what is to be said."""
    codes = np.array([*(_code(label, classes) for label in labels), NO_LABEL], dtype=float)
    codes = np.nan_to_num(codes, nan=NO_LABEL).astype(np.int64)
    recoded = replace(part, labels=codes[part.known_labels])
    return cut_long(encoded(table, columns, recoded, tally), max_steps)


def _code(label: Any, classes: Sequence[Any]) -> int | None:
    """The code of a label, true and 1 being two; numbers are text where classes are."""
    if isinstance(classes[0], str) and type(label) is int:
        label = str(label)
    same = [k for k, name in enumerate(classes) if name == label and type(name) is type(label)]
    return same[0] if same else None


def _part_of_rows(table: Table, name: str) -> Numbers:
    """For each row of the table the number of its part in `PARTS`."""
    column = table.column(name)
    spelling = column.cast(pl.String, strict=False).str.strip_chars().str.to_lowercase()
    known = {text: PARTS.index(part) for text, part in SPELLINGS.items()}
    numbers = spelling.replace_strict(known, default=None, return_dtype=pl.Int64)
    if numbers.null_count():
        row = int(numbers.is_null().arg_max() or 0)
        raise DataError(
            f"{table.place(row)}, the split column {name!r} holds {column[row]!r}; it must say train, valid or test."
        )
    return numbers.to_numpy()


def _warn_of_mixing(whole: Sequences, pieces: Numbers) -> list[str]:
    """A word if parts alternate within a sequence, which is as good as learning the test by heart."""
    numbers = whole.sequence_of_steps
    changes = np.flatnonzero((np.diff(pieces) != 0) & (np.diff(numbers) == 0))
    counts = np.bincount(numbers[changes], minlength=len(whole))
    if not (counts >= len(PARTS)).any():
        return []
    name = whole.id(int(counts.argmax()))
    return [
        f"Careful: within sequence {name!r} the parts alternate {counts.max()} times. Neighbouring steps are alike, so "
        "the scores will look better than they are. Give each part whole sequences, or one stretch of time."
    ]


def _with_valid(
    table: Table, columns: Columns, sequences: Sequences, numbers: Numbers, seed: int
) -> tuple[Numbers, list[str]]:
    """Draw a valid part from the train part if there is none."""
    train = np.flatnonzero(numbers == 0)
    if (numbers == 1).any() or not len(train):
        return numbers, []
    part = sequences.keep(numbers == 0)
    units, what = _units(table, columns, part)
    count = max(1, round((units.max() + 1) * SHARES[1]))
    if units.max() < 2:
        return numbers, ["There is no valid part, so training cannot stop early."]
    numbers = numbers.copy()
    numbers[train] = _drawn(part, units, [int(units.max()) + 1 - count, count], seed)
    return numbers, [f"There is no valid part: {count} of the {units.max() + 1} train {what} are drawn for it."]


def _draw(
    table: Table, columns: Columns, whole: Sequences, seed: int, gap: int
) -> tuple[Sequences, Numbers, list[str]]:
    """Sequences, the part of each, and a word about it."""
    units, what = _units(table, columns, whole)
    count = int(units.max()) + 1
    if count < 3:
        if columns.per == "sequence" or columns.group is not None:
            raise DataError(f"{table.source}: {count} {what} are too few to split into train, valid and test.")
        return _blocks(table, whole, gap)
    valid, test = (max(1, round(count * share)) for share in SHARES[1:])
    train = count - valid - test
    notice = f"There is no split column: {train} {what} are drawn for train, {valid} for valid, {test} for test."
    return whole, _drawn(whole, units, [train, valid, test], seed), [notice]


def _units(table: Table, columns: Columns, sequences: Sequences) -> tuple[Numbers, str]:
    """For each sequence the number of what may not be divided, and what that is called."""
    if columns.group is None:
        return np.arange(len(sequences)), "sequences"
    groups = table.column(columns.group).gather(sequences.table_rows)
    starts = sequences.offsets[:-1]
    inside = (groups[1:].ne_missing(groups[:-1])).to_numpy().copy()
    inside[starts[1:] - 1] = False
    if inside.any():
        name = sequences.id(sequences.place(int(inside.argmax()))[0])
        raise DataError(f"{table.source}: sequence {name!r} stands in two groups of {columns.group!r}.")
    return groups.gather(starts).rank("dense").fill_null(0).to_numpy().astype(np.int64) - 1, "groups"


def _drawn(sequences: Sequences, units: Numbers, counts: list[int], seed: int) -> Numbers:
    """For each sequence the number of its part, `counts` units of each, every class in the train part if need be."""
    generator = np.random.default_rng(seed)
    numbers = np.repeat(np.arange(len(counts)), counts)
    labels = sequences.known_labels
    seen = np.zeros((len(numbers), int(labels.max()) + 2), bool)
    seen[units if sequences.per == "sequence" else np.repeat(units, sequences.lengths), labels] = True
    seen = seen[:, :-1]
    for _ in range(DRAWS):
        numbers = generator.permutation(numbers)
        if (seen[numbers == 0].any(axis=0) == seen.any(axis=0)).all():
            break
    return numbers[units]


def _blocks(table: Table, whole: Sequences, gap: int) -> tuple[Sequences, Numbers, list[str]]:
    """Each sequence cut in three along time."""
    if whole.lengths.max() < 3:
        raise DataError(f"{table.source}: {whole.steps} rows are too few to split into train, valid and test.")
    gap = min(gap, int(whole.lengths.max() * WIDEST_GAP))
    lengths = np.repeat(whole.lengths, whole.lengths)
    steps = whole.positions
    borders = np.cumsum(SHARES[:-1])
    numbers = np.digitize(steps / lengths, borders)
    if gap:
        left_out = len(PARTS)
        numbers[np.digitize((steps - gap) / lengths, borders) != numbers] = left_out
    sequences, numbers = whole.cut(numbers)
    what = "The one sequence is" if len(whole) == 1 else "Both sequences are"
    between = f", with {gap} steps left out at each cut" if gap else ""
    notice = (
        f"There is no split column. {what} cut in time: the first 70 % to train, 15 % to valid, 15 % to test{between}."
    )
    return sequences, numbers, [notice]


def _classes(table: Table, columns: Columns, parts: Sequence[Sequences | None], labels: list[Any]) -> tuple[Any, ...]:
    """The labels of the train part; refuses what cannot be learnt."""
    train, *others = parts
    assert train is not None
    seen = _seen(train, labels)
    if len(seen) < 2:
        raise DataError(
            f"{table.source}: the train part has one label only ({listed(seen)} in {columns.label!r}); telling labels "
            "apart takes two at least."
        )
    for name, part in zip(PARTS[1:], others, strict=True):
        unknown = [label for label in _seen(part, labels) if label not in seen] if part is not None else []
        if unknown:
            again = f" Or draw again with another {option('seed')}." if columns.draw is not None else ""
            raise DataError(
                f"{table.source}: the {name} part has labels that the train part does not: {listed(unknown)}. "
                f"Move some of them to the train part, or leave them out.{again}"
            )
    return tuple(seen)


def _seen(sequences: Sequences, labels: Sequence[Any]) -> list[Any]:
    """The labels that some step has."""
    return [labels[code] for code in np.unique(sequences.known_labels).tolist() if code != NO_LABEL]


def _why_no_parts(columns: Columns) -> str:
    if columns.split is not None:
        return f"there is no split column {columns.split!r}, so it has no parts."
    return "it is not the table that the model was trained on, and has no split column, so it has no parts."


def _fingerprint(whole: Sequences) -> int:
    return zlib.crc32(repr((whole.ids, whole.lengths.tolist())).encode())

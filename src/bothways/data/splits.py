"""The train, valid and test parts of a table; no sequence stands in two of them unless it is cut in time."""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np
import numpy.typing as npt
import polars as pl

from bothways.data.columns import ROW, Columns, Draw
from bothways.data.sequences import Sequences, read_sequences
from bothways.data.tables import Table
from bothways.errors import DataError

PARTS = ("train", "valid", "test")
SPELLINGS: Mapping[str, str] = MappingProxyType(
    {
        "train": "train",
        "training": "train",
        "valid": "valid",
        "validation": "valid",
        "val": "valid",
        "dev": "valid",
        "test": "test",
        "testing": "test",
    }
)
SHARES = (0.7, 0.15, 0.15)
"""The shares of the parts where they are drawn, in the order of `PARTS`."""

DRAWS = 200
"""How often to draw for parts that show every class to training."""

Numbers = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Parts:
    """A table in parts; `valid` and `test` are None if there are none."""

    train: Sequences
    valid: Sequences | None
    test: Sequences | None


def split_table(table: Table, columns: Columns, seed: int) -> tuple[Columns, Parts, list[str]]:
    """Split a table by its split column, or by drawing whole sequences, or, for one or two, in time.

    Args:
        table: the table.
        columns: the parts of its columns.
        seed: for the drawing.

    Returns:
        The columns, with the draw if there was one; the parts; and what the user should be told.

    Raises:
        DataError: as `read_sequences`; an unknown value in the split column; no train part, or too few steps to make
            one; labels that cannot be learnt: one class only, or some in the other parts alone.

    Example:
        >>> frame = pl.DataFrame({"x": [1.0, 2.0, 3.0, 4.0], "label": [0, 1, 0, 1], "split": ["train"] * 3 + ["test"]})
        >>> columns = Columns(label="label", features=("x",), split="split")
        >>> _, parts, notices = split_table(Table("some.csv", frame), columns, seed=0)
        >>> parts.train.features[:, 0], notices
        (array([1., 2., 3.], dtype=float32), ['There is no valid part, so training cannot stop early.'])
    """
    whole = read_sequences(table, columns, labels=True)
    if columns.split is not None:
        pieces = _part_of_rows(table, columns.split)[whole.rows]
        sequences, numbers = whole.cut(pieces)
        notices = _warn_of_mixing(whole, pieces)
        numbers, said = _with_valid(sequences, numbers, seed)
        notices += said
    else:
        sequences, numbers, notices = _draw(table, whole, seed)
        columns = replace(columns, draw=Draw(seed, _fingerprint(whole)))
    train, valid, test = (sequences.keep(numbers == k) if (numbers == k).any() else None for k in range(len(PARTS)))
    if train is None:
        raise DataError(f"{table.source}: no row is in the train part. Mark some with 'train' in {columns.split!r}.")
    parts = Parts(train, valid, test)
    _check_labels(table, columns, parts)
    return columns, parts, notices


def evaluation_part(
    table: Table, columns: Columns, part: str | None, classes: Sequence[object]
) -> tuple[str, Sequences, list[str]]:
    """The part of a table that a model is to be judged on.

    Args:
        table: the table.
        columns: those of the model.
        part: one of `PARTS`, or "all"; None for "test", or "all" in a table that has no parts.
        classes: those of the model.

    Returns:
        The name of the part, its sequences, and what the user should be told.

    Raises:
        DataError: as `read_sequences`; a part that there is not; labels that the model does not know.
    """
    if part is not None and part != "all" and (part := SPELLINGS.get(said := part.lower())) is None:
        raise DataError(f"There is no part {said!r}. Use one of: {', '.join(PARTS)}, or all.")
    whole = read_sequences(table, columns, labels=True)
    drawn = columns.draw is not None and columns.draw.fingerprint == _fingerprint(whole)
    has_parts = drawn or (columns.split is not None and columns.split in table.names)
    part = part or ("test" if has_parts else "all")
    notices = []
    if part == "all":
        sequences = whole
    elif not has_parts:
        raise DataError(f"{table.source}: {_why_no_parts(columns)} Leave --split out to use all rows.")
    else:
        if drawn and columns.draw is not None:
            sequences, numbers, _ = _draw(table, whole, columns.draw.seed)
            notices.append("The parts are drawn as they were for training.")
        else:
            sequences, numbers = whole.cut(_part_of_rows(table, str(columns.split))[whole.rows])
        chosen = numbers == PARTS.index(part)
        if not chosen.any():
            there = ", ".join(name for k, name in enumerate(PARTS) if (numbers == k).any())
            raise DataError(f"{table.source}: there is no {part} part; there is: {there}.")
        sequences = sequences.keep(chosen)
    unknown = _counts(sequences).keys() - set(classes)
    if unknown:
        raise DataError(f"{table.source}: the {part} part has labels that the model never saw: {_listed(unknown)}.")
    return part, sequences, notices


def _part_of_rows(table: Table, name: str) -> Numbers:
    """For each row of the table the number of its part in `PARTS`."""
    column = table.column(name)
    spelling = column.cast(pl.String, strict=False).str.strip_chars().str.to_lowercase()
    known = {text: PARTS.index(part) for text, part in SPELLINGS.items()}
    numbers = spelling.replace_strict(known, default=None, return_dtype=pl.Int64)
    if numbers.null_count():
        row = int(numbers.is_null().arg_max() or 0)
        raise DataError(
            f"{table.source}: {ROW.format(row + 1)}, the split column {name!r} holds {column[row]!r}; it must say "
            "train, valid or test."
        )
    return numbers.to_numpy()


def _warn_of_mixing(whole: Sequences, pieces: Numbers) -> list[str]:
    """A word if parts alternate within a sequence, which is as good as learning the test by heart."""
    numbers = whole.sequence_of_steps
    changes = np.flatnonzero((np.diff(pieces) != 0) & (np.diff(numbers) == 0))
    counts = np.bincount(numbers[changes], minlength=len(whole))
    if not (counts >= len(PARTS)).any():
        return []
    name = whole.ids[int(counts.argmax())]
    return [
        f"Careful: within sequence {name!r} the parts alternate {counts.max()} times. Neighbouring steps are alike, so "
        "the scores will look better than they are. Give each part whole sequences, or one stretch of time."
    ]


def _with_valid(sequences: Sequences, numbers: Numbers, seed: int) -> tuple[Numbers, list[str]]:
    """Draw a valid part from the train part if there is none."""
    train = np.flatnonzero(numbers == 0)
    if (numbers == 1).any() or not len(train):
        return numbers, []
    if len(train) < 3:
        return numbers, ["There is no valid part, so training cannot stop early."]
    count = max(1, round(len(train) * SHARES[1]))
    numbers = numbers.copy()
    numbers[train] = _drawn(sequences.keep(numbers == 0), [len(train) - count, count], seed)
    return numbers, [f"There is no valid part: {count} of the {len(train)} train sequences are drawn for it."]


def _draw(table: Table, whole: Sequences, seed: int) -> tuple[Sequences, Numbers, list[str]]:
    """Sequences, the part of each, and a word about it."""
    if len(whole) < 3:
        return _blocks(table, whole)
    valid, test = (max(1, round(len(whole) * share)) for share in SHARES[1:])
    train = len(whole) - valid - test
    notice = f"There is no split column: {train} sequences are drawn for train, {valid} for valid, {test} for test."
    return whole, _drawn(whole, [train, valid, test], seed), [notice]


def _drawn(sequences: Sequences, counts: list[int], seed: int) -> Numbers:
    """For each sequence the number of its part, `counts` of each, with every class in the train part if need be."""
    generator = np.random.default_rng(seed)
    numbers = np.repeat(np.arange(len(counts)), counts)
    classes = [set(labels.tolist()) for labels in sequences.targets()]
    every = set[object]().union(*classes)
    for _ in range(DRAWS):
        numbers = generator.permutation(numbers)
        if set[object]().union(*(classes[i] for i in np.flatnonzero(numbers == 0))) == every:
            break
    return numbers


def _blocks(table: Table, whole: Sequences) -> tuple[Sequences, Numbers, list[str]]:
    """Each sequence cut in three along time."""
    if whole.lengths.max() < 3:
        raise DataError(f"{table.source}: {whole.steps} rows are too few to split into train, valid and test.")
    place = (np.arange(whole.steps) - whole.offsets[whole.sequence_of_steps]) / whole.lengths[whole.sequence_of_steps]
    sequences, numbers = whole.cut(np.digitize(place, np.cumsum(SHARES[:-1])))
    what = "The one sequence is" if len(whole) == 1 else "Both sequences are"
    notice = f"There is no split column. {what} cut in time: the first 70 % to train, 15 % to valid, 15 % to test."
    return sequences, numbers, [notice]


def _check_labels(table: Table, columns: Columns, parts: Parts) -> None:
    seen = _counts(parts.train)
    if len(seen) < 2:
        raise DataError(
            f"{table.source}: the train part has one label only ({_listed(seen)} in {columns.label!r}); telling labels "
            "apart takes two at least."
        )
    for name, part in (("valid", parts.valid), ("test", parts.test)):
        unknown = _counts(part).keys() - seen.keys() if part is not None else ()
        if unknown:
            again = " Or draw again with another --seed." if columns.draw is not None else ""
            raise DataError(
                f"{table.source}: the {name} part has labels that the train part does not: {_listed(unknown)}. "
                f"Move some of them to the train part, or leave them out.{again}"
            )


def _counts(sequences: Sequences) -> Counter[object]:
    """How many steps each label has."""
    return Counter(label for labels in sequences.targets() for label in labels.tolist())


def _listed(labels: Iterable[object]) -> str:
    shown = sorted(repr(label) for label in labels)
    return ", ".join(shown[:10]) + (f" and {len(shown) - 10} more" if len(shown) > 10 else "")


def _why_no_parts(columns: Columns) -> str:
    if columns.split is not None:
        return f"there is no split column {columns.split!r}, so it has no parts."
    return "it is not the table that the model was trained on, and has no split column, so it has no parts."


def _fingerprint(whole: Sequences) -> int:
    return zlib.crc32(repr((whole.ids, whole.lengths.tolist())).encode())

"""Leaks: what lets a model look better in training and on the test part than it will be on anything new."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from bothways.data.columns import Columns
from bothways.data.splits import Parts
from bothways.data.tables import Table
from bothways.errors import DataError, option
from bothways.sequences import NO_LABEL, Sequences

Hashes = npt.NDArray[np.uint64]
Numbers = npt.NDArray[np.int64]

ODD = np.uint64(0x9E3779B97F4A7C15)
"""An odd factor, so that it has an inverse modulo 2^64: 2^64 over the golden ratio (Knuth 1973, 6.4)."""

BITS = 10.0
"""A run of steps counts if chance would show one like it in 2^-10 of all tables."""

LONG_RUN = 32
"""Runs of fewer steps in two parts are never taken for windows that overlap."""

OVERLAP = 0.01
"""A leak if a larger share of the steps of a part lies in runs that another part has too."""

DETERMINES = 0.999
"""A column that alone gives this share of the labels right gives the answer away."""

NEARLY = 0.9
"""A column of few values that takes away this share of the uncertainty about the label may do so."""

FEW_VALUES = 100
"""Columns of more values than these are not suspected of nearly giving the answer."""

BINS = (64, 8)
"""Numbers of many values are judged in so many bins of equal counts, and in so few."""

STEP = 0.98
"""A step number that alone gives this share of the labels right is told."""

BETTER = 0.2
"""Giving labels right counts only if it leaves at most this share of the errors of the commonest label."""


@dataclass(frozen=True)
class Leak:
    """One way in which a table gives answers away.

    Attributes:
        kind: "sequence", "overlap", "column" or "step".
        text: what was found, with the figure, and what to do, in plain words.
        figure: the share of sequences, steps or labels that it concerns, 0 to 1.
        names: the columns at fault, or the two parts.
        sure: whether it is one beyond doubt; if not, it may be the nature of the data.
    """

    kind: str
    text: str
    figure: float
    names: tuple[str, ...]
    sure: bool


def find_leaks(table: Table, columns: Columns, parts: Parts) -> list[Leak]:
    """Look for answers that are given away: by sequences or runs of steps in two parts, by a column, by step numbers.

    Args:
        table: the table.
        columns: its columns, as `split_table` gave them.
        parts: its parts, as `split_table` gave them.

    Returns:
        What was found, the worst of each kind first; nothing if all is well.

    Example:
        >>> from bothways.data.splits import split_table
        >>> rows = np.arange(400)
        >>> frame = pl.DataFrame({"flow": rows // 10, "x": np.sin(rows**2), "alarm": rows % 3 % 2})
        >>> frame = frame.with_columns(label="alarm")
        >>> columns = Columns("label", ("x", "alarm"), sequence="flow")
        >>> table = Table("flows.csv", frame)
        >>> columns, parts, _ = split_table(table, columns, seed=0)
        >>> [leak.text for leak in find_leaks(table, columns, parts)]
        ["Column 'alarm' gives the answer away: alone it tells 'label' right on 100.0% of the train steps. Leave it out
         (drop=['alarm']) unless it is known before the label is."]
    """
    named = parts.named
    hashes = {name: _row_hashes(table, columns, part) for name, part in named.items()}
    leaks = []
    for second in [name for name in named if name != "train"]:
        first = "train"
        pair = [(named[name], hashes[name]) for name in (first, second)]
        least = _telling_length(pair)
        same = _same_sequences(first, second, pair, least)
        leaks += same
        leaks += _overlaps(first, second, pair, max(LONG_RUN, 2 * least), known=bool(same))
    return leaks + _columns_that_tell(table, columns, parts) + _steps_that_tell(columns, parts)


def refuse_leaks(
    table: Table, columns: Columns, parts: Parts, *, allowed: bool, to: str, say: Callable[[str], None]
) -> None:
    """Refuse a table that gives answers away; say what may do so.

    Args:
        table: the table.
        columns: its columns, as `split_table` gave them.
        parts: its parts, as `split_table` gave them.
        allowed: whether to go on all the same; then everything is said.
        to: what the user wants to do, as "train".
        say: is called with what was found.

    Raises:
        DataError: a leak beyond doubt.

    Example:
        >>> from bothways.data.splits import split_table
        >>> rows = np.arange(400)
        >>> frame = pl.DataFrame({"flow": rows // 10, "x": np.sin(rows**2), "alarm": rows % 3 % 2})
        >>> table = Table("flows.csv", frame.with_columns(label="alarm"))
        >>> columns, parts, _ = split_table(table, Columns("label", ("x", "alarm"), sequence="flow"), seed=0)
        >>> refuse_leaks(table, columns, parts, allowed=False, to="train", say=print)
        Traceback (most recent call last):
        bothways.errors.DataError: Column 'alarm' gives the answer away: alone it tells 'label' right on 100.0% of the
        train steps. Leave it out (drop=['alarm']) unless it is known before the label is. To train all the same, add
        allow_leaks=True.
    """
    leaks = find_leaks(table, columns, parts)
    for leak in leaks:
        if allowed or not leak.sure:
            say(f"Careful: {leak.text}")
    sure = [leak.text for leak in leaks if leak.sure]
    if sure and not allowed:
        raise DataError(f"{' '.join(sure)} To {to} all the same, add {option('allow_leaks', True)}.")


def _row_hashes(table: Table, columns: Columns, part: Sequences) -> Hashes:
    """For each step of a part a hash of what its features hold in the table."""
    frame = table.columns(columns.features).select(pl.all().gather(part.table_rows))
    return frame.hash_rows(1).to_numpy()


def _telling_length(pair: list[tuple[Sequences, Hashes]]) -> int:
    """How many steps must be alike before chance is no explanation, if steps were drawn independently.

    A step is like another with probability sum(p^2) over all that it can be; among n x m pairs of places, chance shows
    a run of k with probability of at most n m (sum p^2)^k.
    """
    (_, first), (_, second) = pair
    both = np.sort(np.concatenate([first, second]))
    counts = np.diff(np.flatnonzero(np.diff(both, prepend=~both[:1], append=~both[-1:])))
    alike = float(np.square(counts / len(both)).sum())
    if alike >= 1.0:
        return max(len(first), len(second)) + 1
    return max(2, math.ceil((math.log2(len(first)) + math.log2(len(second)) + BITS) / -math.log2(alike)))


def _runs(hashes: Hashes, starts: Numbers, ends: Numbers, origin: int) -> Hashes:
    """A hash of the steps from each start up to its end, wherever they stand.

    The hash of steps s to e is sum(h[t] ODD^(t - s + origin)) modulo 2^64, from differences of one running sum.

    Args:
        hashes: `(steps,)` those of the steps.
        starts: `(runs,)` the first step of each run.
        ends: `(runs,)` the step after its last.
        origin: at least the number of steps; equal for runs that are compared.
    """
    powers = np.full(origin + 1, ODD)
    powers[0] = 1
    np.multiply.accumulate(powers, out=powers)
    sums = np.zeros(len(hashes) + 1, np.uint64)
    np.cumsum(hashes * powers[: len(hashes)], out=sums[1:])
    return (sums[ends] - sums[starts]) * powers[origin - starts]


def _same_sequences(first: str, second: str, pair: list[tuple[Sequences, Hashes]], least: int) -> list[Leak]:
    """Sequences of one part that stand in another as well, step for step."""
    origin = max(len(hashes) for _, hashes in pair)
    found = []
    for part, hashes in pair:
        whole = _runs(hashes, part.offsets[:-1], part.offsets[1:], origin)
        found.append((part, whole + part.lengths.astype(np.uint64)))
    (one, ours), (other, theirs) = found
    twice = np.isin(theirs, ours) & (other.lengths >= least)
    if not twice.any():
        return []
    count = int(twice.sum())
    at = int(twice.argmax())
    twin = one.id(int(np.flatnonzero(ours == theirs[at])[0]))
    text = (
        f"{count:,} of the {len(other):,} sequences of the {second} part stand in the {first} part too, step for step "
        f"(the first: {other.id(at)!r}, which is {twin!r} there). Scores on them say what was learnt by heart. Remove "
        f"them from one part, or keep what belongs together in one part with {option('group')}."
    )
    return [Leak("sequence", text, count / len(other), (first, second), sure=True)]


def _overlaps(first: str, second: str, pair: list[tuple[Sequences, Hashes]], length: int, known: bool) -> list[Leak]:
    """Long runs of steps of one part that stand in another as well, as windows do that overlap."""
    runs = []
    origin = max(len(hashes) for _, hashes in pair)
    for part, hashes in pair:
        ends = np.repeat(part.offsets[1:], part.lengths)
        starts = np.flatnonzero(np.arange(part.steps) + length <= ends)
        # A run that hardly changes is alike in any quiet hour.
        changes = np.concatenate([[0], np.cumsum(hashes[1:] != hashes[:-1])])
        if len(starts):
            starts = starts[changes[starts + length - 1] - changes[starts] >= length // 2]
        runs.append((part, starts, _runs(hashes, starts, starts + length, origin)))
    (_, _, ours), (other, starts, theirs) = runs
    shared = starts[np.isin(theirs, ours)]
    if not len(shared):
        return []
    edges = np.zeros(other.steps + 1, np.int64)
    np.add.at(edges, shared, 1)
    np.add.at(edges, shared + length, -1)
    covered = np.cumsum(edges[:-1]) > 0
    share = float(covered.mean())
    if share < OVERLAP:
        return []
    sequences = np.unique(other.sequence_of_steps[shared])
    if known and len(sequences) <= 1:
        return []
    text = (
        f"{share:.1%} of the steps of the {second} part lie in runs of {length} steps or more that stand in the "
        f"{first} part too, in {len(sequences):,} of its {len(other):,} sequences (the first: "
        f"{other.id(int(sequences[0]))!r}). Windows that overlap do so, and things that repeat themselves. If it is "
        "the former, cut windows after the parts are made, or keep what belongs together in one part with "
        f"{option('group')}."
    )
    return [Leak("overlap", text, share, (first, second), sure=False)]


def _columns_that_tell(table: Table, columns: Columns, parts: Parts) -> list[Leak]:
    """Features that give the answer away, alone."""
    train = parts.train
    known = train.step_labels != NO_LABEL
    labels = train.step_labels[known]
    blocks = _blocks(train)[known]
    surest, near = [], []
    for name in columns.features:
        column = table.column(name).gather(train.table_rows[known])
        column = column.cast(pl.String) if name in columns.categories else column
        told = max((_told(_bins(column, labels, bins), labels, blocks) for bins in BINS), key=lambda each: each.right)
        if told.right >= DETERMINES and told.better:
            text = (
                f"Column {name!r} gives the answer away: alone it tells {columns.label!r} right on {told.right:.1%} of "
                f"the train steps. Leave it out ({option('drop', name)}) unless it is known before the label is."
            )
            surest.append(Leak("column", text, told.right, (name,), sure=True))
        elif told.certainty >= NEARLY and told.better and told.values <= FEW_VALUES:
            text = (
                f"Column {name!r} nearly gives the answer away: alone it tells {columns.label!r} right on "
                f"{told.right:.1%} of the train steps. Is it known before the label is? If not, leave it out "
                f"({option('drop', name)})."
            )
            near.append(Leak("column", text, told.right, (name,), sure=False))
    return sorted(surest + near, key=lambda leak: (not leak.sure, -leak.figure))


def _steps_that_tell(columns: Columns, parts: Parts) -> list[Leak]:
    """Labels that can be told from the number of the step."""
    train = parts.train
    if columns.per == "sequence" or len(train) < 4:
        return []
    known = train.step_labels != NO_LABEL
    steps = train.positions
    left = np.repeat(train.lengths, train.lengths) - steps
    blocks = _blocks(train)[known]
    ways = {"first": steps, "last": left}
    told, way = max(
        ((_told(places[known], train.step_labels[known], blocks), way) for way, places in ways.items()),
        key=lambda each: each[0].right,
    )
    if told.right < STEP or not told.better:
        return []
    text = (
        f"The number of the step, counted from the {way}, tells {columns.label!r} right on {told.right:.1%} of the "
        "train steps, whatever the features are. If the sequences were cut out around the event, the model learns the "
        "cut."
    )
    return [Leak("step", text, told.right, (), sure=False)]


@dataclass(frozen=True)
class _Told:
    """How well values tell labels: `right` of all, `better` than the commonest label, `certainty` gained (0 to 1)."""

    right: float
    better: bool
    certainty: float
    values: int


def _told(values: Numbers, labels: Numbers, blocks: Numbers) -> _Told:
    """How well the commonest label of each value tells labels; only values that stand in two blocks count.

    Args:
        values: `(steps,)` numbers from 0.
        labels: `(steps,)` codes.
        blocks: `(steps,)` the number of a stretch of steps, so that what one stretch alone has proves nothing.
    """
    nothing = _Told(0.0, better=False, certainty=0.0, values=0)
    if not len(values):
        return nothing
    classes = int(labels.max()) + 1
    counts = np.bincount(values * classes + labels, minlength=(int(values.max()) + 1) * classes)
    counts = counts.reshape(-1, classes).astype(np.float64)
    # The first and the last block of each value, one after the other in a sorted list.
    order = np.lexsort((blocks, values))
    sorted_values, sorted_blocks = values[order], blocks[order]
    starts = np.flatnonzero(np.diff(sorted_values, prepend=-1))
    ends = np.append(starts[1:], len(sorted_values)) - 1
    spread = np.zeros(len(counts), bool)
    spread[sorted_values[starts]] = sorted_blocks[starts] != sorted_blocks[ends]
    counts = counts[spread]
    total = counts.sum()
    if total < 0.5 * len(labels):
        return nothing
    right = float(counts.max(axis=1).sum() / total)
    common = float(counts.sum(axis=0).max() / total)
    before = _entropy(counts.sum(axis=0) / total)
    p = counts / counts.sum(axis=1, keepdims=True)
    after = float(-(counts * np.log2(np.where(p > 0, p, 1.0))).sum() / total)
    certainty = 1.0 - after / before if before > 0 else 0.0
    return _Told(right, common < 1.0 and 1.0 - right <= BETTER * (1.0 - common), certainty, len(counts))


def _entropy(p: npt.NDArray[np.float64]) -> float:
    p = p[p > 0]
    return float(-(p * np.log2(p)).sum())


def _bins(column: pl.Series, labels: Numbers, count: int) -> Numbers:
    """The values of a column as numbers from 0: each its own, or numbers of many values in bins.

    Bins have equal counts, and each is cut once more where that tells labels best: a column that gives the answer by a
    threshold would else miss it by the bin that the threshold lies in.
    """
    if not column.dtype.is_numeric() or column.n_unique() <= max(BINS):
        return column.rank("dense").fill_null(0).to_numpy().astype(np.int64)
    numbers = column.cast(pl.Float64).fill_nan(None).fill_null(np.inf).to_numpy()
    order = np.argsort(numbers, kind="stable")
    numbers, sorted_labels = numbers[order], labels[order]
    starts = np.unique(np.searchsorted(numbers, numbers[np.arange(count) * len(numbers) // count]))
    bins = np.empty(len(numbers), np.int64)
    for number, (start, end) in enumerate(zip(starts, [*starts[1:], len(numbers)], strict=True)):
        bins[start:end] = 2 * number
        bins[start + _best_cut(numbers[start:end], sorted_labels[start:end]) : end] += 1
    values = np.empty_like(bins)
    values[order] = bins
    return values


def _best_cut(numbers: npt.NDArray[np.float64], labels: Numbers) -> int:
    """Where to cut sorted numbers in two so that the commonest labels of both are right most often."""
    if (labels == labels[0]).all():
        return len(labels)
    present, codes = np.unique(labels, return_inverse=True)
    before = np.zeros((len(labels) + 1, len(present)), np.int64)
    before[np.arange(len(labels)) + 1, codes] = 1
    np.cumsum(before, axis=0, out=before)
    right = before.max(axis=1) + (before[-1] - before).max(axis=1)
    right[1:-1][numbers[1:] == numbers[:-1]] = 0
    return int(right.argmax())


def _blocks(part: Sequences) -> Numbers:
    """For each step the number of its sequence; of a tenth of it, if there are but few sequences."""
    if len(part) >= 4:
        return part.sequence_of_steps
    steps = part.positions
    lengths = np.repeat(part.lengths, part.lengths)
    return part.sequence_of_steps * 10 + steps * 10 // lengths

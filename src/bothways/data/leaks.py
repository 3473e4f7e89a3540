"""Leaks: what lets a model look better in training, on the test part, or later, than it will be on anything new."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np
import numpy.typing as npt
import polars as pl

from bothways.data.columns import Columns
from bothways.data.encoding import float_column
from bothways.data.splits import Parts
from bothways.errors import DataError, option
from bothways.sequences import NO_LABEL, Array, Numbers, Sequences
from bothways.tables.hints import named
from bothways.tables.table import Table

Hashes = npt.NDArray[np.uint64]

ODD = np.uint64(0x9E3779B97F4A7C15)  # odd, so invertible modulo 2^64: 2^64 over the golden ratio (Knuth 1973, 6.4)
BITS = 10.0  # a run of steps counts if chance would show one like it in 2^-10 of all tables
LONG_RUN = 32  # runs of fewer steps in two parts are never taken for windows that overlap
OVERLAP = 0.01  # a leak if a larger share of the steps of a part lies in runs that another part has too
COPIES = 0.01  # of measured sequences in two parts a smaller share is no leak beyond doubt
MEASURED = 0.5  # where at least this share of the train steps differ, they are measured; words and codes come again
DETERMINES = 0.999  # a column that alone gives this share of the labels right gives the answer away
NEARLY = 0.75  # a column that takes away this share of the uncertainty about the label may do so
STEP = 0.98  # a step number that alone gives this share of the labels right is told
BETTER = 0.2  # giving labels right counts only if it leaves at most this share of the errors of the commonest label
FOLDS = 3  # whole sequences are held out in turn; what tells only the labels of its own sequence proves nothing

LEAVES = 64
"""The size of a tree. On the train parts of eleven public tables it finds what their makers say gives the answer away,
with NEARLY to spare: 0.80 and more of the uncertainty there, at most 0.50 for any other column."""

VALUES, ROWS = 2_000_000, (2_000, 20_000)
"""At most this many values are looked at, and of one column between the two numbers."""

FEW_ROWS = 200  # in fewer rows, values that hardly come again prove nothing

SAMPLED = 256  # a model keeps this many hashes of sequences, the smallest: all of few sequences, a fair sample of many
FEW_KNOWN = 10  # of at most so many, sequences to evaluate may be one that has grown, such as a log
DIGEST = 7  # bytes of a hash
SHARE = 0.1  # fewer known ones may be short sequences, or things that stand still, which come again


@dataclass(frozen=True)
class Leak:
    """One way in which a table gives answers away."""

    kind: str  # "sequence", "overlap", "column" or "step"
    text: str  # what was found, with the figure, and what to do, in plain words
    figure: float  # the share of sequences, steps or labels that it concerns, 0 to 1
    names: tuple[str, ...]  # the columns at fault, or the two parts
    sure: bool  # whether it is one beyond doubt; if not, it may be the nature of the data


def find_leaks(table: Table, columns: Columns, parts: Parts) -> list[Leak]:
    """Look for answers that are given away: by sequences or runs of steps in two parts, by a column, by step numbers.

    Columns and parts are those of `split_table`. The worst of each kind comes first.
    """
    frame, leaks = table.columns(columns.features), list[Leak]()
    # For each step of a part a hash of what its features hold in the table.
    hashed = {
        name: (part, frame.select(pl.all().gather(part.table_rows)).hash_rows(1).to_numpy())
        for name, part in parts.named.items()
    }
    train = hashed.pop("train")
    for name, other in hashed.items():
        pair = [train, other]
        least = _telling_length(pair)
        same = _same_sequences(name, pair, least)
        leaks += [*same, *_overlaps(name, pair, max(LONG_RUN, 2 * least), known=bool(same))]
    return leaks + _columns_that_tell(table, columns, parts) + _steps_that_tell(columns, parts)


def refuse_leaks(
    table: Table, columns: Columns, parts: Parts, *, allowed: bool, to: str, say: Callable[[str], None]
) -> None:
    """Refuse a table that gives answers away beyond doubt; say what may do so.

    Where it is `allowed`, everything is said and nothing refused. `to` is what the user wants to do, as "train".
    """
    sure = []
    for leak in find_leaks(table, columns, parts):
        if leak.sure and not allowed:
            sure.append(leak.text)
        else:
            say(f"Careful: {leak.text}")
    if sure:
        raise DataError(f"{' '.join(sure)} To {to} all the same, add {option('allow_leaks', True)}.")


def _telling_length(pair: list[tuple[Sequences, Hashes]]) -> int:
    """How many steps must be alike before chance is no explanation, if steps were drawn independently."""
    # Among n x m pairs of places, chance shows a run of k with probability of at most n m (sum p^2)^k.
    (_, first), (_, second) = pair
    counts = np.unique(np.concatenate([first, second]), return_counts=True)[1]
    alike = float(np.square(counts / counts.sum()).sum())
    if alike >= 1.0:
        return max(len(first), len(second)) + 1
    return max(2, math.ceil((math.log2(len(first)) + math.log2(len(second)) + BITS) / -math.log2(alike)))


def _runs(hashes: Hashes, starts: Numbers, ends: Numbers, origin: int) -> Hashes:
    """A hash of the steps from each start up to its end, wherever they stand.

    The hash of steps s to e is sum(h[t] ODD^(t - s + origin)) modulo 2^64, from differences of one running sum. The
    origin is at least the number of steps, and equal for runs that are compared.
    """
    powers = np.full(origin + 1, ODD)
    powers[0] = 1
    np.multiply.accumulate(powers, out=powers)
    sums = np.zeros(len(hashes) + 1, np.uint64)
    np.cumsum(hashes * powers[: len(hashes)], out=sums[1:])
    return (sums[ends] - sums[starts]) * powers[origin - starts]


def _same_sequences(name: str, pair: list[tuple[Sequences, Hashes]], least: int) -> list[Leak]:
    """Sequences of one part that stand in another as well, step for step."""
    (one, first), (other, second) = pair
    origin = max(len(first), len(second))
    ours, theirs = (
        _runs(hashes, part.offsets[:-1], part.offsets[1:], origin) + part.lengths.astype(np.uint64)
        for part, hashes in pair
    )
    # A sensor that stands still is as still on any other day.
    changes = np.append(True, second[1:] != second[:-1]) | (other.positions == 0)
    twice = np.isin(theirs, ours) & (np.bincount(other.sequence_of_steps, changes, len(other)) >= least)
    if not twice.any():
        return []
    count, at = int(twice.sum()), int(twice.argmax())
    twin = one.id(int(np.flatnonzero(ours == theirs[at])[0]))
    measured = len(np.unique(first)) >= MEASURED * one.steps
    nature = "" if measured else "Texts and lists of codes may do so by nature. "
    text = (
        f"{count:,} of the {len(other):,} sequences of the {name} part stand in the train part too, step for step "
        f"(the first: {other.id(at)!r}, which is {twin!r} there). {nature}Scores on them say what was learnt by heart. "
        "If they are copies, remove them from one part, or keep what belongs together in one part with "
        f"{option('group')}."
    )
    return [Leak("sequence", text, count / len(other), ("train", name), measured and count >= COPIES * len(other))]


def _overlaps(name: str, pair: list[tuple[Sequences, Hashes]], length: int, known: bool) -> list[Leak]:
    """Long runs of steps of one part that stand in another as well, as windows do that overlap."""
    runs, (_, (other, _)) = [], pair
    origin = max(len(hashes) for _, hashes in pair)
    for part, hashes in pair:
        starts = np.flatnonzero(part.positions + length <= part.lengths_of_steps)
        # A run that hardly changes is alike in any quiet hour.
        changes = np.concatenate([[0], np.cumsum(hashes[1:] != hashes[:-1])])
        if len(starts):
            starts = starts[changes[starts + length - 1] - changes[starts] >= length // 2]
        runs.append((starts, _runs(hashes, starts, starts + length, origin)))
    (_, ours), (starts, theirs) = runs
    shared = starts[np.isin(theirs, ours)]
    edges = np.bincount(shared, minlength=other.steps + 1) - np.bincount(shared + length, minlength=other.steps + 1)
    share = float((np.cumsum(edges[:-1]) > 0).mean())
    sequences = np.unique(other.sequence_of_steps[shared])
    if share < OVERLAP or (known and len(sequences) <= 1):
        return []
    text = (
        f"{share:.1%} of the steps of the {name} part lie in runs of {length} steps or more that stand in the "
        f"train part too, in {len(sequences):,} of its {len(other):,} sequences (the first: "
        f"{other.id(int(sequences[0]))!r}). Windows that overlap do so, and things that repeat themselves. If it is "
        "the former, cut windows after the parts are made, or keep what belongs together in one part with "
        f"{option('group')}."
    )
    return [Leak("overlap", text, share, ("train", name), sure=False)]


def _columns_that_tell(table: Table, columns: Columns, parts: Parts) -> list[Leak]:
    """Features that give the answer away, alone; of words, and of all that there is to learn from, it is told."""
    known = _sampled(parts.train, len(columns.features))
    rows, tree = parts.train.table_rows[known], _tree(parts.train, known)
    found, lookups = {True: dict[str, float](), False: dict[str, float]()}, list[Leak]()
    for name in columns.features:
        right, certainty = tree(table.column(name).gather(rows))
        if name == table.word or columns.features == (name,):
            text = f"A lookup of {name!r} alone tells {columns.label!r} right on {right:.1%} of the train steps."
            lookups += [Leak("column", text, right, (name,), sure=False)] * (certainty >= NEARLY)
        elif right >= DETERMINES or certainty >= NEARLY:
            found[right >= DETERMINES][name] = right
    return [_telling(columns.label, shares, sure) for sure, shares in found.items() if shares] + lookups


def _telling(label: str, shares: Mapping[str, float], sure: bool) -> Leak:
    """Columns, each of which tells the label right on a share of the train steps, as one leak."""
    names = sorted(shares, key=lambda name: -shares[name])
    most, least = f"{shares[names[0]]:.1%}", f"{shares[names[-1]]:.1%}"
    which = f"Column {names[0]!r}" if len(names) == 1 else f"Columns {named([*map(repr, names)])}: each"
    on = most if most == least else f"{least} to {most}"
    gives, unless = ("gives", "Unless it is") if sure else ("nearly gives", "Is it")
    text = (
        f"{which} {gives} the answer away: alone it tells {label!r} right on {on} of the train steps. {unless} known "
        f"before the label is{', ' if sure else '? If not, '}leave it out ({option('drop', *names)})."
    )
    return Leak("column", text, shares[names[0]], tuple(names), sure)


def _steps_that_tell(columns: Columns, parts: Parts) -> list[Leak]:
    """Labels that can be told from the number of the step."""
    train = parts.train
    if columns.per == "sequence" or len(train) < 4:
        return []
    known = _sampled(train, 2)
    tree, left = _tree(train, known), train.lengths_of_steps - train.positions
    ways = {"first": train.positions, "last": left}
    right, way = max(((tree(pl.Series(places[known]))[0], way) for way, places in ways.items()), key=lambda of: of[0])
    if right < STEP:
        return []
    text = (
        f"The number of the step, counted from the {way}, tells {columns.label!r} right on {right:.1%} of the train "
        "steps, whatever the features are. If the sequences were cut out around the event, the model learns the cut."
    )
    return [Leak("step", text, right, (), sure=False)]


def _sampled(part: Sequences, columns: int) -> Numbers:
    """Steps with a label, some of them if there are many."""
    known = np.flatnonzero(part.step_labels != NO_LABEL)
    count = min(ROWS[1], max(ROWS[0], VALUES // columns))
    return known if len(known) <= count else np.sort(np.random.default_rng(0).choice(known, count, replace=False))


def _tree(part: Sequences, steps: Numbers) -> Callable[[pl.Series], tuple[float, float]]:
    """A function from a column to the share of labels that a tree tells right by it, and of uncertainty taken away."""
    # Importing scikit-learn takes most of a second, which is no price for asking for --help.
    from sklearn.metrics import homogeneity_score
    from sklearn.model_selection import GroupKFold
    from sklearn.tree import DecisionTreeClassifier

    labels, blocks = part.step_labels[steps], _blocks(part)[steps]
    most = np.bincount(labels).max() / len(labels) if len(labels) else 1.0
    folds = min(FOLDS, len(np.unique(blocks)))
    held_out = list(GroupKFold(folds).split(labels, groups=blocks)) if folds > 1 and most < 1.0 else []

    def told(column: pl.Series) -> tuple[float, float]:
        if not held_out or (len(column) < FEW_ROWS and column.n_unique() > len(column) / 4):
            return 0.0, 0.0
        numbers, _ = float_column(column if column.dtype.is_numeric() else column.rank("dense"), double=True)
        # From 0 up, so that float32 tells large numbers apart; -1 is a missing one.
        above = (numbers - (numbers.min() or 0)).clip(upper_bound=float(np.finfo(np.float32).max))
        values = above.fill_null(-1).to_numpy().astype(np.float32)[:, None]
        predicted = np.full_like(labels, NO_LABEL)
        for seen, unseen in held_out:
            tree = DecisionTreeClassifier(max_leaf_nodes=LEAVES, min_samples_leaf=1e-3, random_state=0)
            tree.fit(values[seen], labels[seen], check_input=False)
            predicted[unseen] = tree.predict(values[unseen], check_input=False)
            # Most columns are nowhere near: one fold shows it.
            if (predicted[unseen] != labels[unseen]).mean() > 0.5 * (1.0 - most):
                return 0.0, 0.0
        right = float((predicted == labels).mean())
        if 1.0 - right > BETTER * (1.0 - most):
            return 0.0, 0.0
        return right, float(homogeneity_score(labels, predicted))

    return told


def _blocks(part: Sequences) -> Numbers:
    """For each step the number of its sequence; of a tenth of it, if there are but few sequences."""
    if len(part) >= 4:
        return part.sequence_of_steps
    return part.sequence_of_steps * 10 + part.positions * 10 // part.lengths_of_steps


def sample_of(parts: Iterable[Sequences]) -> list[int]:
    """Which sequences a model has seen: the least hashes of those of some parts, ascending."""
    return sorted({number for part in parts for number in _hashes(part)})[:SAMPLED]


def said_of_known(sequences: Sequences, known: Sequence[int]) -> list[str]:
    """A word of caution where sequences are among those of a sample, or began as one of a few and have grown."""
    if not known or not len(sequences):
        return []
    grown = len(known) <= FEW_KNOWN
    steps = sum(_steps_known(values, known) for values in sequences.arrays()) if grown else 0
    if steps > SHARE * sequences.steps:
        of = f"{steps:,} of the {sequences.steps:,} steps"
        return [f"Careful: training has learned from {of}. Scores on such are too high; give the new rows alone."]
    numbers = [number for number in _hashes(sequences) if len(known) < SAMPLED or number <= known[-1]]
    sample = {*known}
    seen = sum(number in sample for number in numbers)
    if len(sample.intersection(numbers)) < max(1, SHARE * len(numbers)):
        return []
    whole = len(numbers) == len(sequences)
    of = f"of the {len(sequences):,} sequences" if whole else f"of {len(numbers):,} sequences that were looked up"
    are = "is one that" if seen == 1 else "are some that"
    return [f"Careful: {seen:,} {of} {are} training has seen, step for step. Scores on such are too high."]


def _steps_known(values: Array, known: Sequence[int]) -> int:
    """How many first steps, but not all, are a sequence of a sample."""
    digest, found = blake2b(digest_size=DIGEST), 0
    for step, row in enumerate(values[:-1], 1):
        digest.update(row.tobytes())
        found = step if int.from_bytes(digest.digest(), "big") in known else found
    return found


def _hashes(part: Sequences) -> list[int]:
    return [int.from_bytes(blake2b(values.tobytes(), digest_size=DIGEST).digest(), "big") for values in part.arrays()]

"""Sequences of any lengths to arrays of few shapes, and the order in which training visits them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bothways.sequences import Bools, Floats, Numbers, Sequences, ranges

SHAPES, FEW_STEPS = 4, 100_000
"""How many lengths training pads to at most; half as many with fewer steps, as each costs a second of compiling."""


@dataclass(frozen=True, eq=False)
class Bucket:
    """Sequences padded to one length."""

    x: Floats  # `(sequences, time, features)`, float32, zeros where padded
    y: npt.NDArray[np.int32]  # `(sequences, time)`, the number of the class, 0 where padded; or `(sequences,)`
    valid: Bools  # `(sequences, time)`, True where not padded
    weights: Floats  # shaped as `y`, float32, how much each label counts; 0 where padded
    batch_size: int  # how many sequences an update has at most
    room: int  # the number of sequences that code is compiled for; at least as many as there are


Batches = tuple[int, npt.NDArray[np.int32]]
"""Batches of one bucket, in order: which one, and `(batches, batch)` rows of it; -1 is a place that stays empty."""


def piece_lengths(lengths: npt.ArrayLike, window: int | None) -> Numbers:
    """Cut sequences into equal shares of at most `window` steps; None leaves them whole."""
    whole = np.asarray(lengths, np.int64)
    whole = whole[whole > 0]
    counts = np.ones_like(whole) if window is None else -(-whole // window)
    return np.repeat(whole // counts, counts) + (ranges(0, counts) < np.repeat(whole % counts, counts))


def bucket_lengths(lengths: Sequence[int], least: int = 1, most: int = SHAPES) -> list[int]:
    """The lengths to pad to that need the least padding."""
    distinct, counts = np.unique(np.asarray(lengths), return_counts=True)
    if len(distinct) > 64:
        distinct = np.unique(np.quantile(lengths, np.linspace(0, 1, 65)[1:], method="higher"))
        counts = np.histogram(lengths, bins=np.concatenate([[0], distinct + 1]))[0]
    before = np.concatenate([[0], np.cumsum(counts)])
    shared = before[None, 1:] - before[:, None]  # [i, j]: sequences longer than the i first lengths, up to length j
    padded = np.where(shared >= min(least, len(lengths)), distinct * shared, np.inf)
    cost, chosen = padded[0], [[int(length)] for length in distinct]
    for _ in range(most - 1):
        total = cost[:, None] + padded[1:]
        best, source = total.min(axis=0), total.argmin(axis=0)
        chosen = [
            [*chosen[source[j]], int(length)] if best[j] < cost[j] else chosen[j] for j, length in enumerate(distinct)
        ]
        cost = np.minimum(best, cost)
    return chosen[-1]


def bucketed(
    sequences: Sequences, batch_size: int, most_steps: int | None = None, room: Numbers | None = None
) -> list[Bucket]:
    """Pad sequences and their labels to few lengths, each shared by at least one batch.

    With `room`, lengths of sequences among which these are, the buckets have the shapes that all of those would give.
    """
    lengths, starts = sequences.lengths, sequences.offsets[:-1]
    labels, weights = sequences.known_labels, sequences.weights
    assert weights is not None
    per_step = sequences.per == "step"
    weighty = np.bincount(sequences.sequence_of_labels, weights, len(sequences))
    labeled = np.flatnonzero((weighty > 0) & (lengths > 0))
    own = lengths[labeled]
    room = own if room is None else np.append(room, own[own > room.max()])
    most = SHAPES if room.sum() >= FEW_STEPS else SHAPES // 2
    edges = bucket_lengths(room.tolist(), least=batch_size, most=most)
    # To lengths that data of nearly the same size share, as do the programs for them.
    edges = sorted({time + -time % (1 << max(0, time.bit_length() - 5)) for time in edges})
    which, rooms = (np.searchsorted(edges, each) for each in (own, room))
    result = []
    for k, time in enumerate(edges):
        chosen = labeled[which == k]
        if not len(chosen):
            continue
        valid = np.arange(time) < lengths[chosen, None]
        source = (starts[chosen, None] + np.arange(time))[valid]
        x = np.zeros((*valid.shape, sequences.features), np.float32)
        x[valid] = sequences.values[source]
        shape, places, of = (valid.shape, valid, source) if per_step else (chosen.shape, ..., chosen)
        y, weight = np.zeros(shape, np.int32), np.zeros(shape, np.float32)
        y[places], weight[places] = labels[of], weights[of]
        size = batch_size if most_steps is None else max(1, min(batch_size, most_steps // time))
        result.append(Bucket(x, y, valid, weight, size, max(len(chosen), int((rooms == k).sum()))))
    return result


def batch_shape(bucket: Bucket) -> tuple[int, int]:
    """How many batches a bucket gives an epoch, and how many rows each has; of all in `room` as equal as can be."""
    rows = -(-bucket.room // -(-bucket.room // bucket.batch_size))
    return -(-len(bucket.x) // rows), rows


def updates(buckets: Sequence[Bucket]) -> int:
    """How many updates an epoch makes."""
    return sum(batch_shape(bucket)[0] for bucket in buckets)


def epoch_plan(buckets: Sequence[Bucket], generator: np.random.Generator) -> Iterator[Batches]:
    """Every sequence once, in random order: batches of one bucket each, and those in random order too.

    Neighbours of the same bucket are given together, since a run of them is one call of the compiled epoch.
    """
    plans, which = [], []
    for k, bucket in enumerate(buckets):
        batches, rows = batch_shape(bucket)
        order = np.full(batches * rows, -1, np.int32)
        order[: len(bucket.x)] = generator.permutation(len(bucket.x))
        plans.append(order.reshape(rows, batches).T)  # so that empty places are spread over the batches
        which.append(np.full(batches, k))
    visits = generator.permutation(np.concatenate(which))
    used = [0] * len(buckets)
    for run in np.split(visits, np.flatnonzero(np.diff(visits)) + 1):
        k = int(run[0])
        yield k, plans[k][used[k] : used[k] + len(run)]
        used[k] += len(run)

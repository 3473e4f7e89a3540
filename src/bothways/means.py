"""Means and deviations of the numbers of sequences: over the whole, or over what came so far."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np

from bothways.sequences import Array, Doubles, Numbers

ROWS = 1 << 16  # at most this many rows are worked on at once: float64 takes twice the memory
LEAST, TINY = 1e-6, 1e-150  # no deviation is below this share of the mean, which its square would hide; none is 0


def shared_length(lengths: Numbers) -> int:
    """The length of all sequences; 0 where they differ, or there is none."""
    return int(lengths[0]) if len(lengths) and (lengths == lengths[0]).all() else 0


def means_of(levels: Array, lengths: Numbers, direction: str, before: Array | None = None) -> Array:
    """For each step the means of numbers over its sequence; for one direction, over what it has read so far.

    `levels` are `(steps, numbers)` of sequences, one after the other; so is the result, of their type. For sequences
    that go on `before` is `(sequences, 1 + numbers or more)` in float64: how many steps of each came before those that
    are given, and the sums of their numbers. Sums are taken step by step, so that they have the same bits for sequences
    that come in pieces.
    """
    time = shared_length(lengths)
    if time and len(levels) <= ROWS and direction == "both" and before is None:  # few calls: short runs consist of them
        sums = levels.reshape(len(lengths), time, levels.shape[1]).astype(np.float64).cumsum(axis=1)
        return (sums[:, -1] / time).astype(levels.dtype).repeat(time, axis=0)
    means, backward = np.empty_like(levels), direction == "backward"
    ends = np.cumsum(lengths)
    bounds = [0, len(lengths)]
    if not time:
        bounds = np.flatnonzero(np.diff(lengths, prepend=-1, append=-1)).tolist()
    for begin, end in pairwise(bounds):
        length = int(lengths[begin])
        together = max(1, ROWS // max(1, length))
        for first in range(begin, end, together):
            alike = slice(first, min(first + together, end))
            start = int(ends[first]) - length
            shape = (alike.stop - first, length, levels.shape[1])
            of = slice(start, start + shape[0] * length)
            way = (slice(None), slice(None, None, -1 if backward else 1))
            sums = levels[of].reshape(shape)[way].astype(np.float64)
            counts = np.arange(1.0, length + 1)[:, None]
            if before is not None and not backward:
                counts = counts + before[alike, :1, None]
                sums[:, :1] += before[alike, None, 1 : 1 + levels.shape[1]]
            np.cumsum(sums, axis=1, out=sums)
            means[of].reshape(shape)[way] = sums[:, -1:] / counts[..., -1:, :] if direction == "both" else sums / counts
    return means


def moments_of(levels: Array, lengths: Numbers, direction: str, before: Array | None = None) -> tuple[Doubles, Doubles]:
    """For each step the means and the deviations of numbers, in float64, over the steps that `means_of` tells.

    In `before` the sums of the squares of numbers follow their sums: `(sequences, 1 + 2 * numbers)`.
    """
    means, squares = np.hsplit(means_of(with_squares(levels), lengths, direction, before), 2)
    return means, deviations_of(means, squares, np.maximum, np.sqrt)


def with_squares(numbers: Array) -> Doubles:
    """Numbers `(..., numbers)` in float64, and behind them their squares."""
    exact = np.asarray(numbers, np.float64)
    return np.concatenate([exact, exact * exact], axis=-1)


def deviations_of(means: Any, squares: Any, larger: Callable[[Any, Any], Any], root: Callable[[Any], Any]) -> Any:
    """The deviations of numbers with these means, and these means of their squares, once for arrays and for graphs."""
    size = larger(means, means * np.float64(-1))
    found = root(larger(squares - means * means, np.float64(0)))
    return larger(found, larger(size * np.float64(LEAST), np.float64(TINY)))  # ONNX Runtime leaves out + TINY

"""How often the numbers of sequences rise above their surroundings."""

from __future__ import annotations

import numpy as np

from bothways.sequences import Doubles, Sequences, shifted_within

WINDOWS, WIDER = (1, 2, 4, 8, 16), 4  # steps of means, and how many times as many those have that they are compared to
LEVELS = (-1.0, 0.0, 1.0, 2.0)  # above which they rise, in standard deviations of a sequence
COUNTS = len(WINDOWS) * len(LEVELS)  # for each column


def crossings(values: Doubles, sequences: Sequences) -> Doubles:
    """`(sequences, COUNTS * columns)` for `values`, `(steps, columns)`, of sequences that all have steps.

    It is counted how often the mean of a few steps, less that of four times as many around them, rises above each
    level: events count once, however long a sequence is and however its numbers drift. The first and last steps go on
    past the ends.
    """
    starts, shifted = sequences.offsets[:-1], shifted_within(sequences.lengths)
    sums = {1: values}
    for window in (1 << np.arange((WIDER * WINDOWS[-1]).bit_length() - 1)).tolist():
        sums[2 * window] = sums[window] + sums[window][shifted(window)]
    found = []
    for window in WINDOWS:
        z = sums[window] / window - sums[WIDER * window][shifted(before(window))] / (WIDER * window)
        sizes = np.sqrt(np.add.reduceat(z * z, starts) / sequences.lengths[:, None])
        for level in LEVELS:
            above = z > np.repeat(level * sizes, sequences.lengths, axis=0)
            found.append(np.add.reduceat(above & ~above[shifted(-1)], starts, dtype=np.float64))
    return np.concatenate(found, axis=1)


def before(window: int) -> int:
    """Where the wider window begins, from where this one does."""
    return -((WIDER - 1) * window // 2)

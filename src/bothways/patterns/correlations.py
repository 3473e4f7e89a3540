"""How the numbers of sequences go together."""

from __future__ import annotations

import numpy as np

from bothways.means import means_of
from bothways.patterns.spectrum import FAINT, TINY
from bothways.sequences import Doubles, Numbers, Sequences

MOST_COLUMNS = 16  # with more there would be too many pairs


def pairs_of(columns: int) -> Numbers:
    """`(2, pairs)` the columns of all pairs; none of too many columns."""
    return np.stack(np.triu_indices(columns if columns <= MOST_COLUMNS else 0, 1))


def correlations(values: Doubles, sequences: Sequences) -> Doubles:
    """`(sequences, 3 * pairs)` for `values`, `(steps, columns)`, of sequences that all have steps.

    For each pair of columns the correlation of their numbers, and that of their changes from step to step; and how they
    turn about each other: by how much the second one goes with what the first was a step before, more than the first
    with what the second was. Where a column is constant all of these are 0.
    """
    starts, lengths = sequences.offsets[:-1], sequences.lengths
    changes = np.diff(values, axis=0, prepend=0)
    changes[starts] = 0
    one, other = pairs_of(values.shape[1])
    units, found = list[Doubles](), list[Doubles]()
    for each in (values, changes):
        moves = each - means_of(each, lengths, "both")
        squares = np.add.reduceat(moves**2, starts) + FAINT * np.add.reduceat(each**2, starts)
        units.append(moves / np.repeat(np.sqrt(np.maximum(squares, TINY)), lengths, axis=0))
        found.append(np.add.reduceat(units[-1][:, one] * units[-1][:, other], starts))
    now, before = units[0], np.roll(units[0], 1, axis=0)
    before[starts] = now[starts]
    found.append(np.add.reduceat(before[:, one] * now[:, other] - now[:, one] * before[:, other], starts))
    return np.concatenate(found, axis=1)

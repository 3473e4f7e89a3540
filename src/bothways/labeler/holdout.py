"""A part of the training data held out, to stop early by."""

from __future__ import annotations

from numbers import Real
from typing import Any

import numpy as np

from bothways.errors import InputError
from bothways.sequences import Sequences


def held_out(sequences: Sequences, fraction: Any, seed: int) -> tuple[Sequences, Sequences]:
    """Sequences to learn from, and sequences to validate on.

    The latter are whole sequences, drawn at random, and where a sequence has a label from all classes alike; of a
    single sequence with steps they are its last steps.

    Args:
        sequences: with their labels.
        fraction: the share to hold out, between 0 and 1.
        seed: the same seed draws the same ones.

    Raises:
        InputError: the fraction is none, or there is too little to share.

    Example:
        >>> sequences = Sequences.from_arrays(np.zeros((1, 4, 1)), labels=np.array([0, 1, 1, 0]))
        >>> [part.labels.tolist() for part in held_out(sequences, 0.25, seed=0)]
        [[0, 1, 1], [0]]
    """
    if isinstance(fraction, bool) or not isinstance(fraction, Real) or not 0 < float(fraction) < 1:
        raise InputError(f"validation_fraction is {fraction!r}; it must be a number between 0 and 1, or None.")
    filled = np.flatnonzero(sequences.lengths)
    alone = len(filled) == 1 and sequences.per == "step"
    count = sequences.steps if alone else len(filled)
    share = max(1, round(count * float(fraction)))
    if share >= count:
        what = "steps" if alone else "sequences"
        raise InputError(
            f"validation_fraction={fraction} leaves nothing to train on: X has {count} {what}. "
            "Give more of them, a smaller share, or None."
        )
    if alone:
        pieces, numbers = sequences.cut((np.arange(count) >= count - share).astype(np.int64))
        return pieces.keep(numbers == 0), pieces.keep(numbers == 1)
    order = np.random.default_rng(seed).permutation(filled)
    if sequences.per == "sequence":
        order = order[np.argsort(sequences.known_labels[order], kind="stable")]
    chosen = np.zeros(len(sequences), bool)
    chosen[order[((np.arange(share) + 0.5) * count / share).astype(int)]] = True
    return sequences.keep(~chosen), sequences.keep(chosen)

"""A part of the training data held out, to stop early by."""

from __future__ import annotations

from numbers import Real
from typing import Any

import numpy as np
import numpy.typing as npt

from bothways.errors import InputError
from bothways.labeler.inputs import Array, Inputs, Per
from bothways.training import Examples


def held_out(inputs: Inputs, codes: npt.NDArray[np.int64], per: Per, fraction: Any, seed: int) -> npt.NDArray[np.bool_]:
    """Which steps to validate on.

    They are those of whole sequences, drawn at random, and where a sequence has a label from all classes alike; of a
    single sequence with steps they are the last ones.

    Args:
        inputs: the sequences.
        codes: their labels as numbers of classes.
        per: what has a label.
        fraction: the share to hold out, between 0 and 1.
        seed: the same seed draws the same ones.

    Returns:
        `(steps,)`, those of all sequences one after the other.

    Raises:
        InputError: the fraction is none, or there is too little to share.

    Example:
        >>> from bothways.labeler.inputs import read_arrays
        >>> inputs = read_arrays("X", np.zeros((4, 1)), features=None)
        >>> held_out(inputs, np.array([0, 1, 1, 0]), "step", 0.25, seed=0).tolist()
        [False, False, False, True]
    """
    if isinstance(fraction, bool) or not isinstance(fraction, Real) or not 0 < float(fraction) < 1:
        raise InputError(f"validation_fraction is {fraction!r}; it must be a number between 0 and 1, or None.")
    lengths = inputs.lengths
    filled = np.flatnonzero(lengths)
    alone = len(filled) == 1 and per == "step"
    count = int(lengths.sum()) if alone else len(filled)
    share = max(1, round(count * float(fraction)))
    if share >= count:
        what = "steps" if alone else "sequences"
        raise InputError(
            f"validation_fraction={fraction} leaves nothing to train on: X has {count} {what}. "
            "Give more of them, a smaller share, or None."
        )
    if alone:
        return np.arange(count) >= count - share
    order = np.random.default_rng(seed).permutation(filled)
    if per == "sequence":
        order = order[np.argsort(codes[order], kind="stable")]
    chosen = np.zeros(len(lengths), bool)
    chosen[order[((np.arange(share) + 0.5) * count / share).astype(int)]] = True
    return np.repeat(chosen, lengths)


def examples_of(
    inputs: Inputs, codes: npt.NDArray[np.int64], weights: Array | None, per: Per, chosen: npt.NDArray[np.bool_]
) -> Examples:
    """Labeled sequences of some steps alone.

    Args:
        inputs: the sequences.
        codes: their labels as numbers of classes.
        weights: as many, or None.
        per: what has a label.
        chosen: `(steps,)`, which steps; where a sequence has a label, all of it or none.

    Example:
        >>> from bothways.labeler.inputs import read_arrays
        >>> inputs = read_arrays("X", np.zeros((1, 3, 1)), features=None)
        >>> examples = examples_of(inputs, np.array([0, 1, 1]), None, "step", np.array([True, True, False]))
        >>> len(examples.sequences[0]), examples.labels.tolist()
        (2, [0, 1])
    """
    if chosen.all():
        return Examples(inputs.sequences, codes, weights)
    pieces = np.split(chosen, np.cumsum(inputs.lengths)[:-1])
    kept = np.array([bool(piece.any()) for piece in pieces])
    sequences = [x if p.all() else x[p] for x, p in zip(inputs.sequences, pieces, strict=True) if p.any()]
    which = chosen if per == "step" else kept
    return Examples(sequences, codes[which], None if weights is None else weights[which])

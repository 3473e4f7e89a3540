"""A linear-chain conditional random field over scores: probabilities of labels, and the likeliest labels together.

Lafferty, McCallum and Pereira 2001, "Conditional Random Fields". Scores of a label and of the one before it add up to
that of a whole sequence of labels; sums over all of them are made step by step, scaled to stay in range (Rabiner 1989).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from bothways.runtime.products import product

Floats = npt.NDArray[np.float32]
Array = npt.NDArray[Any]

NEVER = -1e9
"""The score of what may not be."""


def marginals(z: Floats, transitions: Floats, counts: Array) -> Floats:
    """The logarithm of the probability of each label at each step, given the whole sequence.

    Args:
        z: `(sequences, time, classes)` scores of labels.
        transitions: `(classes, classes)` what is added for a label, in the columns, after another, in the rows.
        counts: `(sequences, time)`, True where a step counts; such steps come first.

    Returns:
        Shaped as `z`; anything where a step does not count.

    Example:
        >>> same = np.float32([[1, 0], [0, 1]]) * 9  # a label that changes is unlikely
        >>> z = np.float32([[[2, 0], [0, 1], [2, 0]]])
        >>> np.exp(marginals(z, same, np.ones((1, 3), bool)))[0, :, 0].round(2)
        array([0.95, 0.95, 0.95], dtype=float32)
    """
    z = np.ascontiguousarray(z.swapaxes(0, 1))  # a step of all sequences is then one block of memory
    follows = np.exp(transitions - transitions.max())
    before = np.ascontiguousarray(follows.T)
    scores = np.exp(z - z.max(axis=-1, keepdims=True))
    p = np.empty_like(scores)
    row = scores[0].copy()
    for t in range(len(z)):
        if t:
            row = product(row, follows) * scores[t]
        row /= row.sum(axis=-1, keepdims=True)
        p[t] = row
    row = np.ones_like(row)
    for t in range(len(z) - 1, -1, -1):
        p[t] *= row
        row = product(row * scores[t], before)
        row /= row.sum(axis=-1, keepdims=True)
        row[~counts[:, t]] = 1
    np.maximum(p, np.finfo(np.float32).tiny, out=p)
    p /= p.sum(axis=-1, keepdims=True)
    return np.asarray(np.log(p).swapaxes(0, 1))


def best_path(z: Floats, allowed: Array, lengths: Array) -> Array:
    """The labels with the highest sum of scores of those that may follow each other (Viterbi 1967).

    Args:
        z: `(sequences, time, classes)` scores of labels.
        allowed: `(classes + 1, classes + 1)` as `bothways.tags.Scheme.allowed` gives it.
        lengths: `(sequences,)` how many steps each has, at least one.

    Returns:
        `(sequences, time)` codes; anything beyond the end.

    Example:
        >>> from bothways.tags import scheme_of
        >>> allowed = scheme_of(("B-x", "I-x", "O")).allowed()
        >>> best_path(np.float32([[[0, 5, 4], [0, 5, 1]]]), allowed, np.array([2]))  # I-x may not stand first
        array([[0, 1]])
    """
    classes, rows = z.shape[2], np.arange(len(z))
    never = np.where(allowed, 0, NEVER).astype(np.float32)
    z = z.copy()
    z[:, 0] += never[classes, :classes]
    z[rows, lengths - 1] += never[:classes, classes]
    best, came = z[:, 0], np.zeros(z.shape, np.int16)
    for t in range(1, z.shape[1]):
        sums = best[:, :, None] + never[None, :classes, :classes]
        came[:, t] = sums.argmax(axis=1)
        further = np.take_along_axis(sums, came[:, t, None], axis=1)[:, 0] + z[:, t]
        best = np.where((t < lengths)[:, None], further, best)
    codes = np.zeros(z.shape[:2], np.int64)
    now = best.argmax(axis=1)
    for t in range(z.shape[1] - 1, -1, -1):
        codes[:, t] = now
        now = np.where(t < lengths, came[rows, t, now], now)
    return codes

"""A linear-chain conditional random field over logits: probabilities of labels, and the likeliest labels together.

Lafferty, McCallum and Pereira 2001, "Conditional Random Fields". Scores of a label and of the one before it add up to
that of a whole sequence of labels; sums over all of them are made step by step, scaled to stay in range (Rabiner 1989).
"""

from __future__ import annotations

import numpy as np

from bothways.arrays import product
from bothways.sequences import Array, Floats, Numbers

NEVER = -1e9  # the logit of what may not be


def messages(z: Floats, transitions: Floats, before: Floats) -> Floats:
    """The probability of each label at each step, given the steps up to it.

    `z` and `transitions` are as for `marginals`. `before` is `(sequences, classes)`, the same of the step before the
    first one; zeros where there is none.
    """
    return _messages(_potentials(z), transitions, before).swapaxes(0, 1)


def marginals(z: Floats, transitions: Floats, counts: Array, before: Floats | None = None) -> Floats:
    """The logarithm of the probability of each label at each step, given the whole sequence; shaped as `z`.

    `z` is `(sequences, time, classes)`, the logits of labels. `transitions` is `(classes, classes)`: what is added for
    a label, in the columns, after another, in the rows. `counts` is `(sequences, time)`, True where a step counts: such
    steps come first, and beyond them the result means nothing. `before` is as for `messages`, of sequences of which
    these are not the first steps.
    """
    potentials = _potentials(z)
    p = _messages(potentials, transitions, before)
    precedes = np.ascontiguousarray(np.exp(transitions - transitions.max()).T)
    row = np.ones_like(p[0])
    for t in range(len(p) - 1, -1, -1):
        p[t] *= row
        row = product(row * potentials[t], precedes)
        row /= row.sum(axis=-1, keepdims=True)
        row[~counts[:, t]] = 1
    np.maximum(p, np.finfo(np.float32).tiny, out=p)
    p /= p.sum(axis=-1, keepdims=True)
    return np.asarray(np.log(p).swapaxes(0, 1))


def _potentials(z: Floats) -> Floats:
    """The potentials, exponentials of logits, in range; a step of all sequences is then one block of memory."""
    z = np.ascontiguousarray(z.swapaxes(0, 1))
    return np.asarray(np.exp(z - z.max(axis=-1, keepdims=True)))


def _messages(potentials: Floats, transitions: Floats, before: Floats | None) -> Floats:
    """`messages` of what `_potentials` gives, the steps first."""
    follows = np.exp(transitions - transitions.max())
    found = np.empty_like(potentials)
    row = np.zeros_like(potentials[0]) if before is None else before
    begins = ~row.any(axis=-1)
    for t in range(len(potentials)):
        row = product(row, follows)
        if t == 0:
            row[begins] = 1
        row *= potentials[t]
        row /= row.sum(axis=-1, keepdims=True)
        found[t] = row
    return found


def best_path(z: Floats, allowed: Array, lengths: Array, before: Numbers | None = None, ends: bool = True) -> Array:
    """The labels with the highest sum of logits of those that may follow each other (Viterbi 1967).

    Codes `(sequences, time)` from the logits `z`, `(sequences, time, classes)`; beyond the end of a sequence they mean
    nothing. `allowed` is what `bothways.tags.Scheme.allowed` gives, and `before` and `ends` are as for its `malformed`.
    Each sequence has at least one step.
    """
    classes, rows = z.shape[2], np.arange(len(z))
    never = np.where(allowed, 0, NEVER).astype(np.float32)
    z = z.copy()
    z[:, 0] += never[classes if before is None else before, :classes]
    if ends:
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

"""From probabilities to the labels that are predicted."""

from __future__ import annotations

from typing import Any

import numpy as np

from bothways.runtime.crf import best_path
from bothways.runtime.forward import groups
from bothways.sequences import Array, Numbers
from bothways.tags import Scheme


def decided(
    p: Array,
    threshold: float = 0.5,
    scheme: Scheme | None = None,
    lengths: Numbers | None = None,
    balance: Array | None = None,
    before: Numbers | None = None,
    ends: bool = True,
) -> Numbers:
    """The codes of the classes to predict; `bothways.runtime.Model` says what a threshold is for.

    `p` is `(labels, classes)`. Tags of a scheme are those with the highest product of their probabilities that are
    well-formed; without the lengths of the sequences each step is told by itself. `before` and `ends`, of pieces of
    sequences, are as for `Scheme.malformed`. Probabilities of more classes than two that are no tags are multiplied by
    `balance`.
    """
    if scheme is None and p.shape[1] == 2:
        return (p[:, 1] >= threshold).astype(np.int64)
    if scheme is None:
        return np.asarray((p if balance is None else p * balance[: p.shape[1]]).argmax(axis=1))
    scheme = scheme.first(p.shape[1])
    p = p * np.where(np.array(scheme.type_of) < 0, threshold / (1 - threshold), 1)
    codes = np.asarray(p.argmax(axis=1))
    if lengths is None or not len(wrong := scheme.malformed(codes, lengths, before, ends)):
        return codes
    starts = np.cumsum(lengths) - lengths
    numbers = np.unique(np.searchsorted(np.cumsum(lengths), wrong, side="right"))
    for group in groups(lengths[numbers]):
        some = numbers[group]
        time = np.arange(lengths[some].max())
        places = np.minimum(starts[some, None] + time, len(p) - 1)
        z = np.log(np.maximum(p[places], np.finfo(np.float32).tiny)).astype(np.float32)
        counts = time < lengths[some, None]
        follows = None if before is None else before[some]
        codes[places[counts]] = best_path(z, scheme.allowed(), lengths[some], follows, ends)[counts]
    return codes


def balancing(counts: Any, power: float) -> Array:
    """What one over the share of each class, to a power, is of the largest one; a class without labels counts as one.

    Example:
        >>> balancing([80, 20], 0.5).tolist()
        [0.5, 1.0]
    """
    labels = np.maximum(np.asarray(counts, np.float64), 1)
    return np.asarray((labels.min() / labels) ** power, np.float32)

"""Which sequences a model has seen in training: a sample of their hashes, which a model file keeps."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import blake2b

from bothways.sequences import Sequences

MOST = 256  # so many hashes are kept, the least ones: all of few sequences, and a fair sample of many
SHARE = 0.1  # fewer known ones may be short sentences, or things that stand still, which come again


def sample_of(parts: Iterable[Sequences]) -> list[int]:
    """The least hashes of the sequences of some parts, ascending.

    Example:
        >>> import numpy as np
        >>> known = sample_of([Sequences(np.array([[1.0], [2.0], [3.0]]), np.array([1, 2]))])
        >>> len(known), said_of_known(Sequences(np.array([[2.0], [3.0]]), np.array([2])), known)
        (2, ['Careful: 1 of the 1 sequences is one that training has seen, step for step. ...'])
    """
    return sorted({number for part in parts for number in _hashes(part)})[:MOST]


def said_of_known(sequences: Sequences, known: Sequence[int]) -> list[str]:
    """A word of caution where sequences are among those of a sample."""
    if not known or not len(sequences):
        return []
    numbers = [number for number in _hashes(sequences) if len(known) < MOST or number <= known[-1]]
    seen = len({*known}.intersection(numbers))
    if not seen or seen < SHARE * len(numbers):
        return []
    whole = len(numbers) == len(sequences)
    of = f"of the {len(sequences):,} sequences" if whole else f"of {len(numbers):,} sequences that were looked up"
    are = "is one that" if seen == 1 else "are some that"
    return [f"Careful: {seen:,} {of} {are} training has seen, step for step. Scores on such are too high."]


def _hashes(part: Sequences) -> list[int]:
    return [int.from_bytes(blake2b(values.tobytes(), digest_size=7).digest(), "big") for values in part.arrays()]

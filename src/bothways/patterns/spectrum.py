"""Spectra of sequences: how much of what they do is slow, and how much is fast."""

from __future__ import annotations

import numpy as np

from bothways.means import means_of
from bothways.sequences import Doubles, Sequences

SEGMENT, HOP = 64, 32  # steps of a segment, and from one to the next
FREQUENCIES = SEGMENT // 2  # those that a segment has, but for that of its mean
WINDOW = np.hanning(SEGMENT + 1)[:-1]  # what the steps of a segment are multiplied by
LEAST = 1e-6  # shares are no smaller, so that they have logarithms
FAINT, TINY = 1e-18, np.finfo(np.float64).tiny  # of all squares, what may be due to rounding; and above 0


def spectra(sequences: Sequences, numbers: int, bands: int) -> Doubles:
    """The logarithms of the shares that bands of frequencies have in the power of each numeric column, less its mean.

    The power is the sum of those of overlapping segments (Welch, 1967, "The use of fast Fourier transform for the
    estimation of power spectra"). Beyond the end there are zeros.

    Args:
        sequences: which all have steps.
        numbers: the first so many columns are numeric.
        bands: a divisor of `FREQUENCIES`; all are equally wide, from slow to fast.

    Returns:
        `(sequences, bands * numbers)`, the columns of the first band first.

    Example:
        >>> slow, fast = (np.sin(np.arange(200) * pace)[:, None] for pace in (0.3, 2.8))
        >>> np.exp(spectra(Sequences.from_arrays([slow, fast]), 1, 2)).round(3)
        array([[1.   , 0.   ],
               [0.   , 1.   ]])
    """
    values, lengths, starts = sequences.values[:, :numbers].astype(np.float64), sequences.lengths, sequences.offsets[:-1]
    moves = values - means_of(values, lengths, "both")
    counts = -(-lengths // HOP)
    first = np.cumsum(counts) - counts
    at = ((np.arange(counts.sum()) - np.repeat(first, counts)) * HOP)[:, None] + np.arange(SEGMENT)
    there = at < np.repeat(lengths, counts)[:, None]
    rows = np.where(there, np.repeat(starts, counts)[:, None] + at, 0)
    segments = np.where(there, WINDOW, 0)[..., None] * moves[rows]
    powers = np.add.reduceat(np.abs(np.fft.rfft(segments, axis=1)[:, 1:]) ** 2, first)
    total = powers.sum(axis=1) + FAINT * np.add.reduceat(values**2, starts)
    shares = powers / np.maximum(total, TINY)[:, None]
    of_bands = shares.reshape(len(lengths), bands, FREQUENCIES // bands, numbers).sum(axis=2)
    return np.asarray(np.log(of_bands + LEAST)).reshape(len(lengths), bands * numbers)

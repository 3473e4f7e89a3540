"""Spectra of sequences: how much of what they do is slow, and how much is fast."""

from __future__ import annotations

import numpy as np

from bothways.means import means_of
from bothways.sequences import Doubles, Numbers, ranges

SEGMENT, HOP = 64, 32  # steps of a segment, and from one to the next
FREQUENCIES = SEGMENT // 2  # those that a segment has, but for that of its mean
WINDOW = np.hanning(SEGMENT + 1)[:-1]  # what the steps of a segment are multiplied by
LAGS = 8  # autocorrelations, of steps that are 1 to 8 apart
TURNS = np.cos(2 * np.pi * np.arange(1, FREQUENCIES + 1)[:, None] * np.arange(1, LAGS + 1) / SEGMENT)
"""What shares of frequencies are multiplied by and added up to autocorrelations (Wiener-Khinchin theorem)."""

LEAST = 1e-6  # shares are no smaller, so that they have logarithms
FAINT, TINY = 1e-14, np.finfo(np.float64).tiny  # of all squares, what may be due to rounding; and above 0


def spectra(values: Doubles, lengths: Numbers, bands: int, distances: bool, span: int) -> Doubles:
    """How much of the power of each column, less its mean, is in bands of frequencies; and autocorrelations.

    With `distances` it is that of absolute distances from the mean: of how loud a noise is, say. A spectrum is that of
    the means of `span` steps, one after the other.

    `values` are `(steps, columns)` of sequences that all have steps; found is `(sequences, (bands + LAGS) * columns)`:
    all columns of the first band first, logarithms of shares; then autocorrelations, from -1 to 1. `bands` is a divisor
    of `FREQUENCIES`; all are equally wide, from slow to fast. The power is the sum of those of overlapping segments
    (Welch, 1967, "The use of fast Fourier transform for the estimation of power spectra"). Beyond the end there are
    zeros.
    """
    starts = np.cumsum(lengths) - lengths
    squares = np.add.reduceat(values**2, starts)
    moves = values - means_of(values, lengths, "both")
    if distances:
        moves = np.abs(moves)
        moves -= means_of(moves, lengths, "both")
    if span > 1:
        first = np.flatnonzero(ranges(0, lengths) % span == 0)
        moves = np.add.reduceat(moves, first) / np.diff(first, append=len(values))[:, None]
        lengths = -(-lengths // span)
        starts = np.cumsum(lengths) - lengths
    counts = -(-lengths // HOP)
    first = np.cumsum(counts) - counts
    at = (ranges(0, counts) * HOP)[:, None] + np.arange(SEGMENT)
    there = at < np.repeat(lengths, counts)[:, None]
    rows = np.where(there, np.repeat(starts, counts)[:, None] + at, 0)
    segments = np.where(there, WINDOW, 0)[..., None] * moves[rows]
    powers = np.add.reduceat(np.abs(np.fft.rfft(segments, axis=1)[:, 1:]) ** 2, first)
    total = powers.sum(axis=1) + FAINT * squares
    shares = powers / np.maximum(total, TINY)[:, None]
    of_bands = shares.reshape(len(lengths), bands, FREQUENCIES // bands, values.shape[1]).sum(axis=2)
    both = np.concatenate([np.log(of_bands + LEAST), TURNS.T @ shares], axis=1)
    return np.asarray(both.reshape(len(lengths), -1))

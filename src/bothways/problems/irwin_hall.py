"""Sums of uniform numbers: their distribution, and how well one part of a sum tells of another.

The sum of n uniform numbers in [0, 1) has the Irwin-Hall distribution (Irwin 1927; Hall 1927), whose density is the
cardinal B-spline of order n. `scipy.stats.irwinhall` evaluates one point at a time; here one row of B-splines gives all
points that differ by whole numbers.
"""

from __future__ import annotations

import numpy as np
from scipy.interpolate import BSpline

from bothways.problems.problem import Floats

NODES = 40
"""Points of a Gauss-Legendre rule on a piece no longer than 1: exact for polynomials of degree 79, which what is
integrated is up to 80 numbers, and within rounding of it beyond, where the densities are ever smoother."""


def density(n: int, u: Floats) -> Floats:
    """`(n, points)`: the density of the sum of n numbers at j + u, for j = 0..n-1 and u between 0 and 1."""
    rows: Floats = BSpline.design_matrix(u + (n - 1), np.arange(2.0 * n), n - 1).toarray()
    return rows[:, ::-1].T


def distribution(n: int, u: Floats) -> Floats:
    """`(n + 1, points)`: the probability that the sum of n numbers is below j + u, for j = 0..n and u between 0 and 1.

    The density of n + 1 numbers at x is the probability that the sum of n is between x - 1 and x.
    """
    return np.minimum(np.cumsum(density(n + 1, u), axis=0), 1.0)


def right_guess(known: int, unknown: int, offset: float) -> float:
    """How often one guesses rightly whether U < K + offset, seeing K alone.

    K and U are independent sums of `known` and `unknown` uniform numbers in [0, 1). Whoever sees K says yes where
    p = P(U < K + offset) is at least 1/2, and is right with the expectation over K of max(p, 1 - p).

    The integrand is a polynomial between the integers, the integers less the offset and the point where p is 1/2
    (K + offset = unknown / 2, by symmetry), so that a Gauss-Legendre rule on each piece gives the integral itself.
    """
    offset = min(max(offset, -known - 1.0), unknown + 1.0)
    if unknown == 0:
        return 1.0
    if known == 0:
        below = _below(unknown, np.array([offset]), 1)
        return float(np.maximum(below, 1 - below).item())
    breaks = np.unique([0.0, 1.0, -offset % 1.0, (unknown / 2 - offset) % 1.0])
    x, w = np.polynomial.legendre.leggauss(NODES)
    half = np.diff(breaks)[:, None] / 2
    u = (breaks[:-1, None] + half * (1 + x)).ravel()
    weights = (half * w).ravel()
    below = _below(unknown, u + offset, known)
    return min(1.0, float((density(known, u) * np.maximum(below, 1 - below)).sum(axis=0) @ weights))


def _below(n: int, points: Floats, rows: int) -> Floats:
    """`(rows, points)`: the probability that the sum of n numbers is below point + j, for j = 0..rows-1."""
    whole = np.floor(points).astype(np.int64)
    table = np.pad(distribution(n, points - whole), ((1, 0), (0, 0)))
    places = np.clip(whole + 1 + np.arange(rows)[:, None], 0, n + 1)
    values: Floats = np.take_along_axis(table, places, axis=0)
    return values

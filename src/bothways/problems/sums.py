"""Sums of uniform numbers against a threshold, or against one another.

The sum of n uniform numbers in [0, 1) has the Irwin-Hall distribution (Irwin 1927; Hall 1927), whose density is the
cardinal B-spline of order n. `scipy.stats.irwinhall` evaluates one point at a time; here one row of B-splines gives all
points that differ by whole numbers.
"""

from __future__ import annotations

import numpy as np
from scipy.interpolate import BSpline

from bothways.options import whole
from bothways.problems.problem import BayesAccuracy, Seed, finite, uniform
from bothways.sequences import Doubles, Floats, Numbers

NODES = 40
"""Points of a Gauss-Legendre rule on a piece no longer than 1: exact for polynomials of degree 79, which what is
integrated is up to 80 numbers, and within rounding of it beyond, where the densities are ever smoother."""


def cumulative_sum(
    n_sequences: int, n_timesteps: int, threshold: float | None = None, seed: Seed = None
) -> tuple[Floats, Numbers]:
    """Uniform numbers, labeled 0 until their running sum reaches a threshold and 1 from there on.

    The threshold is `n_timesteps / 4` if not given. The sums are exact: every number is a multiple of 2**-24, and they
    are added in float64.

    What is possible, with T steps and threshold c. *Forward*: 1, the label at t is a function of x[1..t].
    *Backward*: of x[t..T] only x[t] has to do with the label; the sum U of the t - 1 numbers before it is unseen.
    The label is 1 with p(x) = P(U >= c - x), and the best guess is right with

        a(t) = integral over x from 0 to 1 of max(p(x), 1 - p(x)),

    U having the Irwin-Hall distribution; the accuracy is the mean of a(1)..a(T). *Both*: 1, as reading forward. So
    this problem shows that an LSTM can count, and cannot show that reading both ways helps: nothing after t tells
    anything that the steps up to t do not tell.

    Example:
        >>> X, y = cumulative_sum(n_sequences=2, n_timesteps=4, seed=7)
        >>> X[0, :, 0].round(2), y[0, :, 0]
        (array([0.94, 0.63, 0.68, 0.9 ], dtype=float32), array([0, 1, 1, 1]))
    """
    X = uniform(n_sequences, n_timesteps, seed)
    y = np.cumsum(X, axis=1, dtype=np.float64) >= _threshold(threshold, n_timesteps)
    return X, y.astype(np.int64)


def cumulative_sum_accuracy(n_timesteps: int, threshold: float | None = None) -> BayesAccuracy:
    """The accuracy that `cumulative_sum` derives, exact to rounding."""
    steps = whole("n_timesteps", n_timesteps, 1)
    # U >= c - x is not U < c - x, and 1 - x is a uniform number as x is: the guess with offset c - 1.
    offset = _threshold(threshold, steps) - 1
    backward = np.array([right_guess(1, before, offset) for before in range(steps)])
    return BayesAccuracy(np.ones(steps), backward, np.ones(steps))


def remaining_sum(
    n_sequences: int, n_timesteps: int, threshold: float | None = None, seed: Seed = None
) -> tuple[Floats, Numbers]:
    """Uniform numbers, labeled 1 while the sum of this and all later ones reaches a threshold, and 0 from there on.

    The threshold is `n_timesteps / 4` if not given. It is `cumulative_sum` read from its end, and shows that a reader
    of the past alone cannot know all.

    What is possible: as for `cumulative_sum` with the directions and the order of the steps exchanged. *Forward*:
    of x[1..t] only x[t] has to do with the label, and the T - t later numbers are unseen. *Backward* and *both*: 1.

    Example:
        >>> X, y = remaining_sum(n_sequences=2, n_timesteps=4, seed=7)
        >>> X[0, :, 0].round(2), y[0, :, 0]
        (array([0.94, 0.63, 0.68, 0.9 ], dtype=float32), array([1, 1, 1, 0]))
    """
    X = uniform(n_sequences, n_timesteps, seed)
    y = np.cumsum(X[:, ::-1], axis=1, dtype=np.float64)[:, ::-1] >= _threshold(threshold, n_timesteps)
    return X, y.astype(np.int64)


def remaining_sum_accuracy(n_timesteps: int, threshold: float | None = None) -> BayesAccuracy:
    """The accuracy that `remaining_sum` derives, exact to rounding."""
    return cumulative_sum_accuracy(n_timesteps, threshold).mirrored()


def balance(n_sequences: int, n_timesteps: int, seed: Seed = None) -> tuple[Floats, Numbers]:
    """Uniform numbers, labeled 1 from where the sum so far is more than the sum of what follows, and 0 before.

    The label depends on both sides: each direction alone can guess, and only both together know.

    What is possible, with T steps. *Forward*: the sum K of t numbers is seen, the sum U of the T - t later ones is
    not; the label is 1 if U < K, and the best guess is right with E max(p(K), 1 - p(K)), p(K) = P(U < K). *Backward*:
    the sum of the T - t later numbers and x[t] are seen, and the sum U of the t - 1 earlier ones is not; the label
    is 0 if U <= (sum of the later ones) - x[t]. As 1 - x[t] is a uniform number too, the right side is K - 1 with K a
    sum of T - t + 1 numbers. *Both*: 1. K and U have Irwin-Hall distributions.

    Example:
        >>> X, y = balance(n_sequences=2, n_timesteps=4, seed=7)
        >>> X[0, :, 0].round(2), y[0, :, 0]
        (array([0.94, 0.63, 0.68, 0.9 ], dtype=float32), array([0, 0, 1, 1]))
    """
    X = uniform(n_sequences, n_timesteps, seed)
    so_far = np.cumsum(X, axis=1, dtype=np.float64)
    return X, (2 * so_far > so_far[:, -1:]).astype(np.int64)


def balance_accuracy(n_timesteps: int) -> BayesAccuracy:
    """The accuracy that `balance` derives, exact to rounding."""
    steps = whole("n_timesteps", n_timesteps, 1)
    forward = np.array([right_guess(t, steps - t, 0) for t in range(1, steps + 1)])
    backward = np.array([right_guess(steps - t + 1, t - 1, -1) for t in range(1, steps + 1)])
    return BayesAccuracy(forward, backward, np.ones(steps))


def get_sequence(n_timesteps: int, *, seed: Seed = None) -> tuple[Floats, Numbers]:
    """The tutorial's one sequence: `X (1, n_timesteps, 1)` and `y` of the same shape.

    Example:
        >>> X, y = get_sequence(10)
        >>> X.shape, y.shape
        ((1, 10, 1), (1, 10, 1))
    """
    return cumulative_sum(1, n_timesteps, seed=seed)


def get_sequences(n_sequences: int, n_timesteps: int, *, seed: Seed = None) -> tuple[Floats, Numbers]:
    """The tutorial's many sequences: `X (n_sequences, n_timesteps, 1)` and `y` of the same shape.

    Example:
        >>> X, y = get_sequences(5, 10)
        >>> X.shape, y.shape
        ((5, 10, 1), (5, 10, 1))
    """
    return cumulative_sum(n_sequences, n_timesteps, seed=seed)


def _threshold(threshold: float | None, n_timesteps: int) -> float:
    return n_timesteps / 4 if threshold is None else finite("threshold", threshold)


def density(n: int, u: Doubles) -> Doubles:
    """`(n, points)`: the density of the sum of n numbers at j + u, for j = 0..n-1 and u between 0 and 1."""
    return np.asarray(BSpline.design_matrix(u + (n - 1), np.arange(2.0 * n), n - 1).toarray()[:, ::-1].T)


def distribution(n: int, u: Doubles) -> Doubles:
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


def _below(n: int, points: Doubles, rows: int) -> Doubles:
    """`(rows, points)`: the probability that the sum of n numbers is below point + j, for j = 0..rows-1."""
    whole = np.floor(points).astype(np.int64)
    table = np.pad(distribution(n, points - whole), ((1, 0), (0, 0)))
    places = np.clip(whole + 1 + np.arange(rows)[:, None], 0, n + 1)
    return np.asarray(np.take_along_axis(table, places, axis=0))

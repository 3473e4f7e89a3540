"""Sums of random numbers against a threshold, or against one another."""

from __future__ import annotations

import numpy as np

from bothways.problems.arguments import count, generator, number
from bothways.problems.irwin_hall import right_guess
from bothways.problems.problem import Ceilings, Inputs, Labels


def cumulative_sum(
    n_sequences: int,
    n_timesteps: int,
    threshold: float | None = None,
    seed: int | np.random.Generator | None = None,
) -> tuple[Inputs, Labels]:
    """Random numbers, labelled 0 until their running sum reaches a threshold and 1 from there on.

    The sums are exact: every number is a multiple of 2**-24, and they are added in float64.

    What is possible, with T steps and threshold c. *Forward*: 1, the label at t is a function of x[1..t].
    *Backward*: of x[t..T] only x[t] has to do with the label; the sum U of the t - 1 numbers before it is unseen.
    The label is 1 with p(x) = P(U >= c - x), and the best guess is right with

        a(t) = integral over x from 0 to 1 of max(p(x), 1 - p(x)),

    U having the Irwin-Hall distribution; the ceiling is the mean of a(1)..a(T). *Both*: 1, as reading forward. So
    this problem shows that an LSTM can count, and cannot show that reading both ways helps: nothing after t tells
    anything that the steps up to t do not tell.

    Args:
        n_sequences: how many sequences, 1 or more.
        n_timesteps: steps of each, 1 or more.
        threshold: the sum at which the label turns to 1; `n_timesteps / 4` if not given.
        seed: the same seed gives the same sequences; None gives fresh ones at each call. A generator goes
            on from where it stands.

    Returns:
        `X (n_sequences, n_timesteps, 1)`, even in [0, 1), and `y` of the same shape, 0 or 1.

    Raises:
        InputError: a count below 1, a threshold that is not finite, or a negative seed.

    Example:
        >>> X, y = cumulative_sum(n_sequences=2, n_timesteps=4, seed=7)
        >>> X[0, :, 0].round(2), y[0, :, 0]
        (array([0.94, 0.63, 0.68, 0.9 ], dtype=float32), array([0, 1, 1, 1]))
    """
    X = _numbers(n_sequences, n_timesteps, seed)
    y = np.cumsum(X, axis=1, dtype=np.float64) >= _threshold(threshold, n_timesteps)
    return X, y.astype(np.int64)


def cumulative_sum_ceilings(n_timesteps: int, threshold: float | None = None) -> Ceilings:
    """The ceilings that `cumulative_sum` derives, exact to rounding.

    Args:
        n_timesteps: steps of each sequence, 1 or more.
        threshold: as for `cumulative_sum`.

    Raises:
        InputError: as `cumulative_sum`.

    Example:
        >>> ceilings = cumulative_sum_ceilings(10)
        >>> ceilings.forward, round(ceilings.backward, 4), ceilings.both
        (1.0, 0.905, 1.0)
    """
    steps = count("n_timesteps", n_timesteps)
    # U >= c - x is not U < c - x, and 1 - x is an even number as x is: the guess with offset c - 1.
    offset = _threshold(threshold, steps) - 1
    backward = np.array([right_guess(1, before, offset) for before in range(steps)])
    return Ceilings(np.ones(steps), backward, np.ones(steps))


def remaining_sum(
    n_sequences: int,
    n_timesteps: int,
    threshold: float | None = None,
    seed: int | np.random.Generator | None = None,
) -> tuple[Inputs, Labels]:
    """Random numbers, labelled 1 while the sum of this and all later ones reaches a threshold, and 0 from there on.

    It is `cumulative_sum` read from its end, and shows that a reader of the past alone has a ceiling.

    What is possible: as for `cumulative_sum` with the directions and the order of the steps exchanged. *Forward*:
    of x[1..t] only x[t] has to do with the label, and the T - t later numbers are unseen. *Backward* and *both*: 1.

    Args:
        n_sequences: how many sequences, 1 or more.
        n_timesteps: steps of each, 1 or more.
        threshold: the sum below which the label turns to 0; `n_timesteps / 4` if not given.
        seed: as for `cumulative_sum`.

    Returns:
        `X (n_sequences, n_timesteps, 1)`, even in [0, 1), and `y` of the same shape, 0 or 1.

    Raises:
        InputError: as `cumulative_sum`.

    Example:
        >>> X, y = remaining_sum(n_sequences=2, n_timesteps=4, seed=7)
        >>> X[0, :, 0].round(2), y[0, :, 0]
        (array([0.94, 0.63, 0.68, 0.9 ], dtype=float32), array([1, 1, 1, 0]))
    """
    X = _numbers(n_sequences, n_timesteps, seed)
    y = np.cumsum(X[:, ::-1], axis=1, dtype=np.float64)[:, ::-1] >= _threshold(threshold, n_timesteps)
    return X, y.astype(np.int64)


def remaining_sum_ceilings(n_timesteps: int, threshold: float | None = None) -> Ceilings:
    """The ceilings that `remaining_sum` derives, exact to rounding.

    Args:
        n_timesteps: steps of each sequence, 1 or more.
        threshold: as for `remaining_sum`.

    Raises:
        InputError: as `cumulative_sum`.

    Example:
        >>> ceilings = remaining_sum_ceilings(10)
        >>> round(ceilings.forward, 4), ceilings.backward, ceilings.both
        (0.905, 1.0, 1.0)
    """
    return cumulative_sum_ceilings(n_timesteps, threshold).mirrored()


def balance(n_sequences: int, n_timesteps: int, seed: int | np.random.Generator | None = None) -> tuple[Inputs, Labels]:
    """Random numbers, labelled 1 from where the sum so far is more than the sum of what follows, and 0 before.

    The label depends on both sides: each direction alone can guess, and only both together know.

    What is possible, with T steps. *Forward*: the sum K of t numbers is seen, the sum U of the T - t later ones is
    not; the label is 1 if U < K, and the best guess is right with E max(p(K), 1 - p(K)), p(K) = P(U < K). *Backward*:
    the sum of the T - t later numbers and x[t] are seen, and the sum U of the t - 1 earlier ones is not; the label
    is 0 if U <= (sum of the later ones) - x[t]. As 1 - x[t] is an even number too, the right side is K - 1 with K a
    sum of T - t + 1 numbers. *Both*: 1. K and U have Irwin-Hall distributions.

    Args:
        n_sequences: how many sequences, 1 or more.
        n_timesteps: steps of each, 1 or more.
        seed: as for `cumulative_sum`.

    Returns:
        `X (n_sequences, n_timesteps, 1)`, even in [0, 1), and `y` of the same shape, 0 or 1.

    Raises:
        InputError: a count below 1, or a negative seed.

    Example:
        >>> X, y = balance(n_sequences=2, n_timesteps=4, seed=7)
        >>> X[0, :, 0].round(2), y[0, :, 0]
        (array([0.94, 0.63, 0.68, 0.9 ], dtype=float32), array([0, 0, 1, 1]))
    """
    X = _numbers(n_sequences, n_timesteps, seed)
    so_far = np.cumsum(X, axis=1, dtype=np.float64)
    return X, (2 * so_far > so_far[:, -1:]).astype(np.int64)


def balance_ceilings(n_timesteps: int) -> Ceilings:
    """The ceilings that `balance` derives, exact to rounding.

    Args:
        n_timesteps: steps of each sequence, 1 or more.

    Raises:
        InputError: as `balance`.

    Example:
        >>> ceilings = balance_ceilings(10)
        >>> round(ceilings.forward, 4), round(ceilings.backward, 4), ceilings.both
        (0.9483, 0.9537, 1.0)
    """
    steps = count("n_timesteps", n_timesteps)
    forward = np.array([right_guess(t, steps - t, 0) for t in range(1, steps + 1)])
    backward = np.array([right_guess(steps - t + 1, t - 1, -1) for t in range(1, steps + 1)])
    return Ceilings(forward, backward, np.ones(steps))


def get_sequence(n_timesteps: int, *, seed: int | np.random.Generator | None = None) -> tuple[Inputs, Labels]:
    """The tutorial's one sequence: `X (1, n_timesteps, 1)` and `y` of the same shape.

    Args:
        n_timesteps: steps, 1 or more.
        seed: as for `cumulative_sum`; a fresh sequence at each call if not given.

    Raises:
        InputError: as for `cumulative_sum`.

    Example:
        >>> X, y = get_sequence(10)
        >>> X.shape, y.shape
        ((1, 10, 1), (1, 10, 1))
    """
    return cumulative_sum(1, n_timesteps, seed=seed)


def get_sequences(
    n_sequences: int, n_timesteps: int, *, seed: int | np.random.Generator | None = None
) -> tuple[Inputs, Labels]:
    """The tutorial's many sequences: `X (n_sequences, n_timesteps, 1)` and `y` of the same shape.

    Args:
        n_sequences: how many, 1 or more.
        n_timesteps: steps of each, 1 or more.
        seed: as for `cumulative_sum`; fresh sequences at each call if not given.

    Raises:
        InputError: as for `cumulative_sum`.

    Example:
        >>> X, y = get_sequences(5, 10)
        >>> X.shape, y.shape
        ((5, 10, 1), (5, 10, 1))
    """
    return cumulative_sum(n_sequences, n_timesteps, seed=seed)


def _numbers(n_sequences: int, n_timesteps: int, seed: int | np.random.Generator | None) -> Inputs:
    shape = (count("n_sequences", n_sequences), count("n_timesteps", n_timesteps), 1)
    return generator(seed).random(shape, dtype=np.float32)


def _threshold(threshold: float | None, n_timesteps: int) -> float:
    return n_timesteps / 4 if threshold is None else number("threshold", threshold)

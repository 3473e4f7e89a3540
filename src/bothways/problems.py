"""Generated problems: sequences whose labels are known for certain.

To add a problem, add a function that returns `X (n_sequences, n_timesteps, features)` and
`y (n_sequences, n_timesteps, 1)`.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from bothways.errors import InputError

Inputs = npt.NDArray[np.float32]
Labels = npt.NDArray[np.int64]


def cumulative_sum(
    n_sequences: int,
    n_timesteps: int,
    threshold: float | None = None,
    seed: int | np.random.Generator | None = None,
) -> tuple[Inputs, Labels]:
    """Random numbers, labelled 0 until their running sum reaches a threshold and 1 from there on.

    The sums are exact: every number is a multiple of 2**-24, and they are added in float64.

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
    shape = (_count("n_sequences", n_sequences), _count("n_timesteps", n_timesteps), 1)
    if threshold is None:
        threshold = n_timesteps / 4
    elif not isinstance(threshold, (int, float, np.number)) or not math.isfinite(threshold):
        raise InputError(f"threshold is {threshold!r}; it must be a finite number, as n_timesteps / 4.")
    X = _generator(seed).random(shape, dtype=np.float32)
    y = np.cumsum(X, axis=1, dtype=np.float64) >= threshold
    return X, y.astype(np.int64)


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


def _count(name: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
        raise InputError(f"{name} is {value!r}; it must be a whole number, 1 or more.")
    return int(value)


def _generator(seed: int | np.random.Generator | None) -> np.random.Generator:
    try:
        return np.random.default_rng(seed)
    except (TypeError, ValueError):
        raise InputError(
            f"seed is {seed!r}; it must be a whole number, 0 or more, or None for fresh numbers."
        ) from None

"""What generators accept as counts and seeds."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from bothways.errors import InputError


def count(name: str, value: Any, least: int = 1) -> int:
    """`value` as an int; refuses what is no whole number from `least` up.

    Raises:
        InputError: names the argument, what came and what is needed.

    Example:
        >>> count("n_sequences", 0)
        Traceback (most recent call last):
        bothways.errors.InputError: n_sequences is 0; it must be a whole number, 1 or more.
    """
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
        raise InputError(f"{name} is {value!r}; it must be a whole number, {least} or more.")
    return int(value)


def number(name: str, value: Any, low: float = -math.inf, high: float = math.inf) -> float:
    """`value` as a float; refuses what is not finite or not strictly between `low` and `high`.

    Raises:
        InputError: names the argument, what came and what is needed.

    Example:
        >>> number("noise", -1, low=0)
        Traceback (most recent call last):
        bothways.errors.InputError: noise is -1; it must be a finite number above 0.
    """
    known = isinstance(value, (int, float, np.number)) and not isinstance(value, bool)
    if not known or not math.isfinite(value) or not low < value < high:
        above = f" above {low:g}" if low > -math.inf else ""
        below = f" below {high:g}" if high < math.inf else ""
        raise InputError(
            f"{name} is {value!r}; it must be a finite number{above}{' and' if above and below else ''}{below}."
        )
    return float(value)


def generator(seed: int | np.random.Generator | None) -> np.random.Generator:
    """The source of random numbers that `seed` stands for; a generator goes on from where it stands.

    Raises:
        InputError: a negative seed, or what is no seed at all.

    Example:
        >>> round(float(generator(7).random()), 3)
        0.625
    """
    try:
        return np.random.default_rng(seed)
    except (TypeError, ValueError):
        raise InputError(
            f"seed is {seed!r}; it must be a whole number, 0 or more, or None for fresh numbers."
        ) from None

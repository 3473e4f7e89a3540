"""How often one guesses rightly from what one has seen, learnt from examples alone: knows no formula."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt


def best_guess(seen: npt.ArrayLike, labels: npt.ArrayLike) -> tuple[float, float]:
    """The share of right guesses, and its standard error, of the commonest label among those that saw the same.

    Args:
        seen: `(n,)` or `(n, steps)`, whole numbers from 0, of few different values a row.
        labels: `(n,)`, 0 or 1. The first half is learnt from, the second half judged.
    """
    rows, y = np.asarray(seen), np.asarray(labels)
    rows = rows.reshape(len(rows), -1)
    places = (rows.max() + 1) ** np.arange(rows.shape[1])
    _, group = np.unique(rows @ places, return_inverse=True)
    half = len(y) // 2
    votes = np.bincount(group[:half], weights=2 * y[:half] - 1, minlength=group.max() + 1)
    right = (votes[group[half:]] > 0) == y[half:]
    return float(right.mean()), float(max(right.std(), 0.01) / len(right) ** 0.5)


def levels(x: npt.NDArray[Any], n: int) -> npt.NDArray[np.int64]:
    """Which of n bins of equal width numbers between 0 and 1 lie in."""
    return np.minimum((x * n).astype(np.int64), n - 1)


BLUR = 1 / 200
"""Of sums sorted into bins a threshold goes through the midst of one, of which up to half is guessed wrongly."""


def bins(x: npt.NDArray[Any], n: int = 200) -> npt.NDArray[np.int64]:
    """Which of n bins with as many numbers each they lie in."""
    return np.searchsorted(np.quantile(x, np.linspace(0, 1, n + 1)[1:-1]), x)

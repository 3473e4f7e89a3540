"""Which sequences are labeled worst, and which of their steps to look at."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Z = 1.96


def worst_sequences(wrong: Any, judged: Any, most: int) -> list[int]:
    """The sequences with the highest share of wrong steps, the worst one first; none that is all right.

    A sequence of one step that is wrong says less than one of 1,000 steps of which half are: what counts is the share
    that is exceeded with certainty, the lower end of Wilson's interval (Wilson 1927).

    Args:
        wrong: `(sequences,)` how many steps are labeled wrong.
        judged: `(sequences,)` how many steps have a label.
        most: how many sequences to name at most.

    Example:
        >>> worst_sequences([1, 500, 0, 10], [1, 1000, 50, 1000], most=3)
        [1, 0, 3]
    """
    k, n = np.asarray(wrong, np.float64), np.maximum(np.asarray(judged, np.float64), 1)
    share = k / n
    spread = Z * np.sqrt(share * (1 - share) / n + Z**2 / (4 * n**2))
    sure = (share + Z**2 / (2 * n) - spread) / (1 + Z**2 / n)
    order = np.argsort(-np.where(k > 0, sure, -1.0), kind="stable")[:most]
    return [i for i in order.tolist() if k[i] > 0]


def busiest_window(wrong: npt.NDArray[np.bool_], most: int) -> slice:
    """The run of at most so many steps with most of them wrong, with what is wrong in its middle.

    Example:
        >>> busiest_window(np.array([False] * 6 + [True] + [False] * 3), most=3)
        slice(5, 8, None)
    """
    if len(wrong) <= most:
        return slice(0, len(wrong))
    before = np.concatenate([[0], np.cumsum(wrong)])
    inside = before[most:] - before[:-most]
    best = np.flatnonzero(inside == inside.max())
    run = best[: int(np.argmax(np.append(np.diff(best) > 1, True))) + 1]  # the first stretch of equally good starts
    start = int(run[len(run) // 2])
    return slice(start, start + most)

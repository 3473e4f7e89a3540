"""Which sequences are labeled worst, and which of their steps to look at."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt


def worst_sequences(wrong: Any, judged: Any, most: int) -> list[int]:
    """The worst sequences, the very worst first; none that is all right.

    What counts is the number of wrong steps times their share: by the share alone the worst sentences are all of one
    word, and by the number alone they are just the longest.

    Args:
        wrong: `(sequences,)` how many steps are labeled wrong.
        judged: `(sequences,)` how many steps have a label.
        most: how many sequences to name at most.

    Example:
        >>> worst_sequences([1, 500, 0, 10], [1, 1000, 50, 1000], most=3)
        [1, 0, 3]
    """
    mistakes = np.asarray(wrong, np.float64)
    weight = mistakes**2 / np.maximum(judged, 1)
    order = np.argsort(-weight, kind="stable")[:most]
    return [i for i in order.tolist() if mistakes[i] > 0]


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

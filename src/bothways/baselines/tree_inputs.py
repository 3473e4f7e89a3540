"""What boosted trees look at: the steps around each label."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from bothways.means import ROWS, moments_of
from bothways.sequences import Array, Numbers, Sequences, joint_codes

AROUND = 5  # neighbours: this many steps before and after a label
WIDTHS = (4, 8, 32)  # the steps of the windows of numbers that end and begin at a label: powers of two, ascending

BACK = (1, 2, 4, 8, 16)
"""The powers of two whose sum is how many steps back the last number is looked for where one is missing, ascending."""

CODES = 254
"""Of each category this many codes have places of their own, the most frequent ones; others share the next one."""


def known_last(moved: Callable[[Any, int], Any], where: Callable[[Any, Any, Any], Any], numbers: Any, gone: Any) -> Any:
    """Numbers, and where one is `gone` the last before it that is not, once for arrays and for graphs.

    `moved` is as in `windows`, and `where` as `np.where`. Beyond `sum(BACK)` steps it stays gone.

    Example:
        >>> numbers, gone = np.array([3.0, 0, 5, 0, 0, 0]), np.array([0, 1, 0, 1, 1, 1], bool)
        >>> known_last(lambda values, shift: values[np.arange(shift, 6 + shift).clip(0)], np.where, numbers, gone)
        array([3., 3., 5., 5., 5., 5.])
    """
    for shift in BACK:
        numbers, gone = where(gone, moved(numbers, -shift), numbers), gone & moved(gone, -shift)
    return numbers


def windows(
    moved: Callable[[Any, int], Any],
    larger: Callable[[Any, Any], Any],
    smaller: Callable[[Any, Any], Any],
    numbers: Any,
    means: Any,
    deviations: Any,
    widths: Numbers,
) -> list[Any]:
    """What the windows that end and begin at each step say, once for arrays and for graphs.

    Beyond its ends a sequence goes on with its first or last step: `moved` gives at each step the values of the one so
    many steps later, or those. `larger` and `smaller` are such as `np.maximum`; numbers are `(..., numbers)` in
    float64, and means and deviations those of all steps of the sequence so far. What a window says is made of what its
    halves say, and so has the same bits wherever the sequence began, given the means.

    For each width there are four values, each `(..., numbers)`: how far the mean of what comes is above that of what
    was, the range of what was and of what comes, and how far a step moves in the mean. Then how far the step is above
    the mean of the sequence so far; and for each width how far the mean of both windows is. Then all of these over the
    deviations.
    """
    found, above = list[Any](), [numbers - means]
    before, after = moved(numbers, -1), moved(numbers, 1)
    sums, least, most = ({-1: numbers, 1: numbers} for _ in range(3))
    moves = {-1: larger(numbers - before, before - numbers), 1: larger(numbers - after, after - numbers)}
    width = 1
    while width < max([1, *widths.tolist()]):
        for way in (-1, 1):
            shift = way * width
            sums[way] = sums[way] + moved(sums[way], shift)
            moves[way] = moves[way] + moved(moves[way], shift)
            least[way] = smaller(least[way], moved(least[way], shift))
            most[way] = larger(most[way], moved(most[way], shift))
        width *= 2
        if width in widths:
            past, future = (sums[way] / np.float64(width) for way in (-1, 1))
            extents = (most[way] - least[way] for way in (-1, 1))
            found += [future - past, *extents, (moves[-1] + moves[1]) / np.float64(2 * width)]
            above.append((past + future) / np.float64(2) - means)
    found += above
    return found + [each / deviations for each in found]


def near(sequences: Sequences, chosen: Numbers, reach: int) -> tuple[Numbers, Callable[[Array, int], Array]]:
    """The steps that are at most `reach` steps from the chosen ones, ascending, and what moves their values.

    It moves them as `windows` has it, but only as far from the chosen ones as they reach.
    """
    before, after = sequences.before_and_after(chosen)
    rows = np.unique(chosen[:, None] + np.arange(-reach, reach + 1).clip(-before[:, None], after[:, None]))
    before, after = sequences.before_and_after(rows)

    def moved(values: Array, shift: int) -> Array:
        places = np.arange(len(rows)) + np.clip(shift, -before, after)
        return np.asarray(values[places.clip(0, len(rows) - 1)])

    return rows, moved


def inputs_of(
    sequences: Sequences,
    chosen: Numbers,
    moments: Array,
    categories: tuple[int, ...],
    places: Array,
    widths: Numbers,
    flags: Numbers,
) -> Array:
    """`(chosen, inputs)` what trees look at for these labels; NaN beyond the ends of a sequence.

    First stand the neighbours, column by column, those of categories first; then what `windows` say of numbers.
    `moments` are those of the numbers of the sequences of the chosen labels so far, as `moments_so_far` gives them.
    For each number `flags` has the column that is 1 where it was missing, for which the one `known_last` stands; or -1.
    """
    count = sequences.features - len(categories)
    rows, moved = near(sequences, chosen, reach_of(widths, flags))
    values, at = sequences.values[rows], np.searchsorted(rows, chosen)
    numbers, shifts = np.asarray(values[:, :count], np.float64), np.arange(-AROUND, AROUND + 1)
    if (flags >= 0).any():
        numbers = known_last(moved, np.where, numbers, (numbers[:, flags] > 0) & (flags >= 0))
    columns = np.hstack([places[joint_codes(values, categories)], numbers])
    before, after = sequences.before_and_after(chosen)
    there = (shifts >= -before[:, None]) & (shifts <= after[:, None])
    around = columns[np.where(there, at[:, None] + shifts, 0)]
    around[~there] = np.nan
    neighbours = around.transpose(0, 2, 1).reshape(len(chosen), columns.shape[1] * len(shifts))
    means, deviations = np.zeros_like(numbers), np.ones_like(numbers)
    means[at], deviations[at] = np.hsplit(moments, 2)
    wide = windows(moved, np.maximum, np.minimum, numbers, means, deviations, widths)
    return np.hstack([neighbours, *(each[at] for each in wide)])


def moments_so_far(sequences: Sequences, chosen: Numbers, count: int, before: Array | None = None) -> Array:
    """`(chosen, 2 * count)`, float64: the means of the first `count` columns over the sequence so far, and deviations.

    `before` is as in `moments_of`. Some sequences are worked on at a time, lest all numbers be there twice.
    """
    found, ends = np.empty((len(chosen), 2 * count)), sequences.offsets[1:]
    order = np.argsort(chosen, kind="stable")
    first = 0
    while first < len(sequences):
        begin = int(sequences.offsets[first])
        last = max(first + 1, int(np.searchsorted(ends, begin + ROWS, side="right")))
        end = int(ends[last - 1])
        of = order[slice(*np.searchsorted(chosen, [begin, end], sorter=order))]
        if len(of):
            numbers = np.asarray(sequences.values[begin:end, :count], np.float64)
            some = None if before is None else before[first:last]
            moments = np.hstack(moments_of(numbers, sequences.lengths[first:last], "forward", some))
            found[of] = moments[chosen[of] - begin]
        first = last
    return found


def reach_of(widths: Numbers, flags: Numbers) -> int:
    """How many steps before and after a label trees look at; windows and flags are as in `inputs_of`.

    Example:
        >>> reach_of(np.array([]), np.array([])), reach_of(np.array([4, 8]), np.array([1, -1]))
        (5, 39)
    """
    return int(max([AROUND, *widths])) + sum(BACK) * bool((flags >= 0).any())


def places_of(sequences: Sequences, categories: tuple[int, ...]) -> Array:
    """For each code of each categorical column its place."""
    found = []
    for column, size in enumerate(categories, -len(categories)):
        counts = np.bincount(np.asarray(sequences.values[:, column], np.int64), minlength=size)
        places = np.full(size, CODES, np.uint8)
        chosen = np.argsort(-counts, kind="stable")[:CODES]
        places[chosen] = np.arange(len(chosen))
        found.append(places)
    return np.concatenate([np.zeros(0, np.uint8), *found])

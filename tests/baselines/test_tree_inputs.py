"""What trees look at: what windows say is what they say by hand, in any company."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from bothways.baselines.tree_inputs import AROUND, inputs_of, near, reach_of, windows
from bothways.sequences import Sequences

Array = npt.NDArray[Any]
WIDTHS = np.array([2, 8])
NONE = np.zeros(0, np.uint8)


def some(lengths: list[int]) -> Sequences:
    random = np.random.default_rng(0)
    return Sequences(random.normal(size=(sum(lengths), 3)), np.array(lengths))


def by_hand(sequence: Array, step: int, width: int) -> Array:
    """What both windows of a step say; beyond its ends a sequence goes on as it begins and ends."""
    wide = np.pad(sequence, ((width, width), (0, 0)), mode="edge")
    past, future = wide[step + 1 : step + 1 + width], wide[step + width : step + 2 * width]
    both = wide[step + 1 : step + 2 * width]
    moves = np.abs(np.diff(wide[step : step + 2 * width + 1], axis=0))
    extent, moved = both.max(axis=0) - both.min(axis=0), moves.sum(axis=0) / (2 * width)
    return np.stack([future.mean(axis=0) - past.mean(axis=0), extent, moved])


def test_windows_by_hand() -> None:
    sequences = some([1, 2, 0, 7, 8, 9, 40])
    rows, moved = near(sequences, np.arange(sequences.steps), reach_of(WIDTHS))
    assert rows.tolist() == list(range(sequences.steps))
    found = np.stack(windows(moved, np.maximum, np.minimum, sequences.values, WIDTHS))
    for row in range(sequences.steps):
        number, step = sequences.place(row)
        expected = np.concatenate([by_hand(sequences.arrays()[number], step, width) for width in WIDTHS.tolist()])
        np.testing.assert_allclose(found[:, row], expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("chosen", [[3], [70, 3, 3, 40], list(range(20, 60))])
def test_a_label_is_the_same_in_any_company(chosen: list[int]) -> None:
    sequences = some([5, 0, 60, 25])
    everything = inputs_of(sequences, np.arange(sequences.steps), (), NONE, WIDTHS)
    np.testing.assert_array_equal(inputs_of(sequences, np.array(chosen), (), NONE, WIDTHS), everything[chosen])


def test_what_is_out_of_reach_counts_for_nothing() -> None:
    """As where a stream lets go of what is long past."""
    (whole,) = some([60]).arrays()
    reach = reach_of(WIDTHS)
    expected = inputs_of(Sequences(whole, np.array([60])), np.array([30]), (), NONE, WIDTHS)
    held = Sequences(whole[30 - reach : 31 + reach], np.array([2 * reach + 1]))
    np.testing.assert_array_equal(inputs_of(held, np.array([reach]), (), NONE, WIDTHS), expected)
    assert reach == max(AROUND, 8)

"""What trees look at: what windows say is what they say by hand, in any company."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bothways.baselines import tree_inputs
from bothways.baselines.tree_inputs import inputs_of, moments_so_far, near, reach_of, windows
from bothways.means import with_squares
from bothways.sequences import Array, Sequences

WIDTHS = np.array([2, 8])
FLAGS = np.array([2, -1, -1])  # the last column says where a number of the first one was missing
NONE, NO_FLAGS = np.zeros(0, np.uint8), np.full(3, -1)


def some(lengths: list[int]) -> Sequences:
    random = np.random.default_rng(0)
    return Sequences(random.normal(size=(sum(lengths), 3)), np.array(lengths))


def seen(sequences: Sequences, chosen: Array, before: Array | None = None, flags: Array = NO_FLAGS) -> Array:
    """What trees see of these labels."""
    return inputs_of(sequences, chosen, moments_so_far(sequences, chosen, 3, before), (), NONE, WIDTHS, flags)


def by_hand(sequence: Array, step: int, width: int) -> Array:
    """What both windows of a step say; beyond its ends a sequence goes on as it begins and ends."""
    wide = np.pad(sequence, ((width, width), (0, 0)), mode="edge")
    past, future = wide[step + 1 : step + 1 + width], wide[step + width : step + 2 * width]
    moves = np.abs(np.diff(wide[step : step + 2 * width + 1], axis=0))
    moved = moves.sum(axis=0) / (2 * width)
    level = (future.mean(axis=0) + past.mean(axis=0)) / 2 - sequence[: step + 1].mean(axis=0)
    return np.stack([future.mean(axis=0) - past.mean(axis=0), np.ptp(past, 0), np.ptp(future, 0), moved, level])


def test_windows_by_hand() -> None:
    sequences = some([1, 2, 0, 7, 8, 9, 40])
    rows, moved = near(sequences, np.arange(sequences.steps), 8)
    assert rows.tolist() == list(range(sequences.steps))
    means, deviations = np.hsplit(moments_so_far(sequences, rows, 3), 2)
    found = np.stack(windows(moved, np.maximum, np.minimum, sequences.values, means, deviations, WIDTHS))
    for row in range(sequences.steps):
        number, step = sequences.place(row)
        sequence = sequences.arrays()[number]
        of_widths = np.stack([by_hand(sequence, step, width) for width in WIDTHS.tolist()])
        level = sequence[step] - sequence[: step + 1].mean(axis=0)
        expected = np.concatenate([of_widths[:, :4].reshape(8, 3), level[None], of_widths[:, 4]])
        np.testing.assert_allclose(found[:11, row], expected, rtol=0, atol=1e-12)
        if step:
            over = expected / sequence[: step + 1].std(axis=0)
            np.testing.assert_allclose(found[11:, row], over, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("chosen", [[3], [70, 3, 3, 40], list(range(20, 60))])
def test_a_label_is_the_same_in_any_company(chosen: list[int]) -> None:
    sequences = some([5, 0, 60, 25])
    everything = seen(sequences, np.arange(sequences.steps))
    np.testing.assert_array_equal(seen(sequences, np.array(chosen)), everything[chosen])


@pytest.mark.parametrize(("flags", "reach"), [(NO_FLAGS, 8), (FLAGS, 8 + 31)])
def test_what_is_out_of_reach_counts_for_nothing(flags: Array, reach: int) -> None:
    """As where a stream lets go of what is long past."""
    sequences = some([100])
    whole = sequences.values
    whole[:, 2] = np.random.default_rng(1).random(100) < 0.95
    expected = seen(sequences, np.array([50]), flags=flags)
    assert reach_of(WIDTHS, flags) == reach
    held, first = Sequences(whole[50 - reach : 51 + reach], np.array([2 * reach + 1])), 50 - reach
    before = np.array([[first, *np.cumsum(with_squares(whole[:first]), axis=0)[-1]]])
    np.testing.assert_array_equal(seen(held, np.array([reach]), before, flags), expected)


def test_the_last_number_stands_where_one_is_missing() -> None:
    """Of its own sequence, and of the last 31 steps; else what the encoding filled in."""
    sequences = some([3, 60])
    values = sequences.values
    values[:, 2] = 0
    values[[2, 3, 5, 6], 2] = 1
    values[20:60, 2] = 1
    values[values[:, 2] > 0, 0] = 0.5
    filled = values.copy()
    filled[2, 0], filled[5:7, 0], filled[20:51, 0] = values[1, 0], values[4, 0], values[19, 0]
    found = seen(sequences, np.arange(63), flags=FLAGS).reshape(63, -1)
    expected = inputs_of(
        replace(sequences, values=filled),
        np.arange(63),
        moments_so_far(sequences, np.arange(63), 3),
        (),
        NONE,
        WIDTHS,
        NO_FLAGS,
    )
    np.testing.assert_array_equal(found, expected)


def test_moments_are_the_same_however_many_sequences_are_worked_on_together(monkeypatch: pytest.MonkeyPatch) -> None:
    sequences, chosen = some([5, 0, 60, 25, 25, 1]), np.array([115, 3, 3, 80, 20])
    expected = moments_so_far(sequences, chosen, 2)
    monkeypatch.setattr(tree_inputs, "ROWS", 30)
    np.testing.assert_array_equal(moments_so_far(sequences, chosen, 2), expected)
    number, step = sequences.place(80)
    so_far = sequences.arrays()[number][: step + 1, :2]
    by_hand = np.concatenate([so_far.mean(axis=0), so_far.std(axis=0)])
    np.testing.assert_allclose(expected[3], by_hand, rtol=0, atol=1e-12)

"""Sums against thresholds: labels, and what is possible."""

from __future__ import annotations

from fractions import Fraction
from math import comb, factorial
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from best_guess import BLUR, best_guess, bins
from bothways.errors import InputError
from bothways.problems import (
    PROBLEMS,
    balance,
    cumulative_sum,
    get_sequence,
    get_sequences,
    remaining_sum,
)
from bothways.problems.sums import distribution, right_guess


@given(
    n_sequences=st.integers(1, 5),
    n_timesteps=st.integers(1, 40),
    threshold=st.none() | st.floats(-1, 20),
    seed=st.integers(0, 2**32 - 1),
)
def test_labels_agree_with_exact_sums(n_sequences: int, n_timesteps: int, threshold: float | None, seed: int) -> None:
    X, y = cumulative_sum(n_sequences, n_timesteps, threshold, seed)
    assert X.shape == y.shape == (n_sequences, n_timesteps, 1)
    assert X.dtype == np.float32
    assert y.dtype == np.int64
    assert (X >= 0).all()
    assert (X < 1).all()
    limit = Fraction(n_timesteps, 4) if threshold is None else Fraction(threshold)
    for numbers, labels in zip(X[:, :, 0].tolist(), y[:, :, 0].tolist(), strict=True):
        total = Fraction(0)
        for number, label in zip(numbers, labels, strict=True):
            total += Fraction(number)
            assert label == int(total >= limit)


def test_reaching_the_threshold_is_enough() -> None:
    X, _ = cumulative_sum(1, 3, seed=1)
    reached = float(X[0, :2, 0].astype(np.float64).sum())
    _, y = cumulative_sum(1, 3, threshold=reached, seed=1)
    assert y[0, :, 0].tolist() == [0, 1, 1]


def test_the_numbers_are_even_in_0_to_1() -> None:
    X, y = cumulative_sum(20_000, 10, seed=0)
    shares, _ = np.histogram(X, bins=10, range=(0, 1))
    # 20,000 a bin, with a deviation of 134.
    assert abs(shares - 20_000).max() < 6 * 134
    assert 0.4 < y.mean() < 0.65


def test_the_tutorials_functions() -> None:
    X, y = get_sequence(10)
    assert X.shape == y.shape == (1, 10, 1)
    assert (get_sequence(10)[0] != X).any()
    assert (get_sequence(10, seed=3)[0] == cumulative_sum(1, 10, 2.5, seed=3)[0]).all()
    X, y = get_sequences(7, 10)
    assert X.shape == y.shape == (7, 10, 1)
    assert (get_sequences(7, 10)[0] != X).any()
    assert (get_sequences(7, 10, seed=3)[1] == cumulative_sum(7, 10, 2.5, seed=3)[1]).all()


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"n_sequences": 2.5}, "n_sequences is 2.5"),
        ({"n_timesteps": -3}, "n_timesteps is -3"),
        ({"n_timesteps": "10"}, "n_timesteps is '10'"),
        ({"n_timesteps": True}, "n_timesteps is True"),
        ({"threshold": float("nan")}, "threshold is nan"),
        ({"threshold": float("inf")}, "threshold is inf"),
        ({"threshold": "big"}, "threshold is 'big'"),
        ({"seed": "x"}, "seed is 'x'"),
    ],
)
def test_bad_arguments_are_named(arguments: dict[str, Any], named: str) -> None:
    with pytest.raises(InputError, match=named):
        cumulative_sum(**({"n_sequences": 2, "n_timesteps": 5} | arguments))


def test_remaining_sums_are_cumulative_sums_read_from_the_end() -> None:
    X, y = remaining_sum(50, 9, 3.0, seed=2)
    for numbers, labels in zip(X[:, :, 0].tolist(), y[:, :, 0].tolist(), strict=True):
        for t, label in enumerate(labels):
            assert label == int(sum(map(Fraction, numbers[t:])) >= 3)


def test_balance_compares_the_two_sides() -> None:
    X, y = balance(50, 9, seed=2)
    for numbers, labels in zip(X[:, :, 0].tolist(), y[:, :, 0].tolist(), strict=True):
        for t, label in enumerate(labels, 1):
            assert label == int(sum(map(Fraction, numbers[:t])) > sum(map(Fraction, numbers[t:])))


@pytest.mark.parametrize("n", [0, 1, 2, 5, 12, 40])
def test_the_distribution_of_sums_agrees_with_the_alternating_formula(n: int) -> None:
    for u in (Fraction(0), Fraction(1, 3), Fraction(7, 8)):
        column = distribution(n, np.array([float(u)]))[:, 0]
        for j, value in enumerate(column.tolist()):
            terms = ((-1) ** k * comb(n, k) * (j + u - k) ** n for k in range(j + 1))
            assert value == pytest.approx(float(sum(terms) / factorial(n)), abs=1e-12)


@pytest.mark.parametrize(
    ("known", "unknown", "offset", "expected"),
    [
        (3, 0, 0.5, 1.0),
        (0, 1, 0.25, 0.75),
        (1, 1, 0.0, 0.75),
        # One more number than is seen, at least half a unit more: max(1/2 + x, 1/2 - x) up to x = 1/2, then 1.
        (1, 1, 0.5, 0.875),
        (2, 3, 1e9, 1.0),
        (2, 3, -1e9, 1.0),
    ],
)
def test_right_guesses_that_can_be_worked_out_by_hand(known: int, unknown: int, offset: float, expected: float) -> None:
    assert right_guess(known, unknown, offset) == pytest.approx(expected, abs=1e-12)


def test_guesses_about_many_numbers_are_as_good_as_the_normal_law_says() -> None:
    # Two equal normal sums: |K| is compared with U of the same deviation, so that the mean is 1/2 + atan(1) / pi.
    assert right_guess(400, 400, 0.0) == pytest.approx(0.75, abs=1e-4)


@pytest.mark.parametrize(("n_timesteps", "threshold"), [(4, None), (10, None), (7, 2.3)])
def test_the_past_of_a_sum_cannot_be_guessed_better_than_possible(n_timesteps: int, threshold: float | None) -> None:
    X, y = cumulative_sum(60_000, n_timesteps, threshold, seed=3)
    possible = PROBLEMS["cumulative-sum"].bayes_accuracy(n_timesteps, threshold)
    assert (possible.forward_steps == 1).all()
    assert (possible.both_steps == 1).all()
    for t in range(n_timesteps):
        guessed, error = best_guess(bins(X[:, t, 0]), y[:, t, 0])
        assert abs(guessed - possible.backward_steps[t]) < 5 * error + BLUR
    mirrored = PROBLEMS["remaining-sum"].bayes_accuracy(n_timesteps, threshold)
    assert (mirrored.forward_steps == possible.backward_steps[::-1]).all()
    assert mirrored.backward == 1


def test_neither_side_of_a_balance_can_be_guessed_better_than_possible() -> None:
    X, y = balance(60_000, 8, seed=3)
    possible = PROBLEMS["balance"].bayes_accuracy(8)
    assert possible.both == 1
    for t in range(8):
        guessed, error = best_guess(bins(X[:, : t + 1, 0].sum(axis=1)), y[:, t, 0])
        assert abs(guessed - possible.forward_steps[t]) < 5 * error + BLUR
        guessed, error = best_guess(bins(X[:, t + 1 :, 0].sum(axis=1) - X[:, t, 0]), y[:, t, 0])
        assert abs(guessed - possible.backward_steps[t]) < 5 * error + BLUR

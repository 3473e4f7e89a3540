"""Generated problems."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bothways.errors import InputError
from bothways.problems import cumulative_sum, get_sequence, get_sequences


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


def test_a_seed_repeats_and_none_does_not() -> None:
    first, again, other = (cumulative_sum(3, 5, seed=seed)[0] for seed in (4, 4, 5))
    assert (first == again).all()
    assert (first != other).any()
    assert (cumulative_sum(3, 5)[0] != cumulative_sum(3, 5)[0]).any()
    generator = np.random.default_rng(4)
    assert (cumulative_sum(3, 5, seed=generator)[0] == first).all()
    assert (cumulative_sum(3, 5, seed=generator)[0] != first).any()


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
        ({"n_sequences": 0}, "n_sequences is 0"),
        ({"n_sequences": 2.5}, "n_sequences is 2.5"),
        ({"n_timesteps": -3}, "n_timesteps is -3"),
        ({"n_timesteps": "10"}, "n_timesteps is '10'"),
        ({"n_timesteps": True}, "n_timesteps is True"),
        ({"threshold": float("nan")}, "threshold is nan"),
        ({"threshold": float("inf")}, "threshold is inf"),
        ({"threshold": "big"}, "threshold is 'big'"),
        ({"seed": -1}, "seed is -1"),
        ({"seed": "x"}, "seed is 'x'"),
    ],
)
def test_bad_arguments_are_named(arguments: dict[str, Any], named: str) -> None:
    with pytest.raises(InputError, match=named):
        cumulative_sum(**({"n_sequences": 2, "n_timesteps": 5} | arguments))

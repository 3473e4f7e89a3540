"""The noisy switch: its sequences, and what is possible."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from scipy.special import ndtr

from bothways.errors import InputError
from bothways.problems import PROBLEMS, noisy_switch


def test_the_switch_flips_and_the_noise_is_as_they_are_asked_for() -> None:
    X, y = noisy_switch(20_000, 20, flip=0.2, noise=0.5, seed=1)
    assert X.dtype == np.float32
    assert y.dtype == np.int64
    assert y[:, 0].mean() == pytest.approx(0.5, abs=0.02)
    assert (y[:, 1:] != y[:, :-1]).mean() == pytest.approx(0.2, abs=0.004)
    noise = X - (2 * y - 1)
    assert noise.mean() == pytest.approx(0, abs=0.005)
    assert noise.std() == pytest.approx(0.5, abs=0.005)


@pytest.mark.parametrize(
    ("flip", "noise"),
    [(0.1, 1.0), *(pytest.param(*each, marks=pytest.mark.slow) for each in [(0.3, 0.6), (0.02, 3.0), (0.9, 1.0)])],
)
def test_weighing_every_possible_path_reaches_the_bayes_accuracy_and_no_more(flip: float, noise: float) -> None:
    steps = 6
    X, y = noisy_switch(20_000, steps, flip, noise, seed=5)
    possible = PROBLEMS["noisy-switch"].bayes_accuracy(steps, flip, noise)
    paths = np.array(list(itertools.product((0, 1), repeat=steps)))
    moved = paths[:, 1:] != paths[:, :-1]
    prior = np.where(moved, flip, 1 - flip).prod(axis=1)
    fits = np.exp(-((X - (2 * paths - 1).T) ** 2) / (2 * noise**2))  # (sequences, steps, paths)
    for t in range(steps):
        for seen, value in (
            (slice(0, t + 1), possible.forward_steps[t]),
            (slice(t, steps), possible.backward_steps[t]),
            (slice(0, steps), possible.both_steps[t]),
        ):
            weights = prior * fits[:, seen].prod(axis=1)
            p = weights[:, paths[:, t] == 1].sum(axis=1) / weights.sum(axis=1)
            right = (p > 0.5) == y[:, t, 0]
            assert abs(right.mean() - value) < 5 * right.std() / len(right) ** 0.5
            best = np.maximum(p, 1 - p)
            assert abs(best.mean() - value) < 5 * best.std() / len(best) ** 0.5


@pytest.mark.parametrize(("flip", "noise"), [(0.5, 1.0), (0.5, 0.1)])
def test_a_switch_without_memory_is_known_from_its_step_alone(flip: float, noise: float) -> None:
    possible = PROBLEMS["noisy-switch"].bayes_accuracy(5, flip, noise)
    alone = {1.0: 0.8413447460685429, 0.1: 1.0}[noise]  # the probability that a normal number is above -1 / noise
    for steps in (possible.forward_steps, possible.backward_steps, possible.both_steps):
        np.testing.assert_allclose(steps, alone, atol=1e-9)


@pytest.mark.parametrize("noise", [3.0, 19.0])
def test_a_switch_that_never_moves_is_known_from_all_steps_alike(noise: float) -> None:
    possible = PROBLEMS["noisy-switch"].bayes_accuracy(7, 1e-300, noise)
    known = ndtr(np.sqrt(np.arange(1, 8)) / noise)  # the mean of t numbers has a deviation of noise / sqrt(t)
    np.testing.assert_allclose(possible.forward_steps, known, atol=1e-9)
    np.testing.assert_allclose(possible.both_steps, known[-1], atol=1e-9)


@pytest.mark.parametrize(("flip", "noise"), [(1e-6, 0.051), (1e-6, 19.0), (0.999999, 1.0), (0.5, 19.0)])
def test_the_bayes_accuracy_are_in_order_at_the_ends_of_the_ranges(flip: float, noise: float) -> None:
    possible = PROBLEMS["noisy-switch"].bayes_accuracy(30, flip, noise)
    assert (possible.both_steps >= np.maximum(possible.forward_steps, possible.backward_steps) - 1e-6).all()
    assert (np.diff(possible.forward_steps) >= -1e-6).all()
    assert 0.5 < possible.forward < possible.both + 1e-6 < 1 + 2e-6


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"flip": 0}, "flip is 0; it must be a finite number above 0 and below 1"),
        ({"flip": 1.0}, "flip is 1.0"),
        ({"noise": 0.01}, "noise is 0.01; it must be a finite number above 0.05 and below 20"),
        ({"noise": float("nan")}, "noise is nan"),
        ({"noise": True}, "noise is True"),
    ],
)
def test_bad_arguments_are_named(arguments: dict[str, Any], named: str) -> None:
    with pytest.raises(InputError, match=named):
        noisy_switch(2, 5, **arguments)
    with pytest.raises(InputError, match=named):
        PROBLEMS["noisy-switch"].bayes_accuracy(5, **arguments)

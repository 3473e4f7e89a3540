"""Echoes, neighbours and parity: labels, and what is possible."""

from __future__ import annotations

from typing import Any

import pytest

from best_guess import best_guess, levels
from bothways.errors import InputError
from bothways.problems import PROBLEMS, future_echo, neighbours, parity, past_echo


@pytest.mark.parametrize("distance", [0, 1, 3, 7, 20])
def test_echoes_and_neighbours_look_where_they_say(distance: int) -> None:
    for generate in (past_echo, future_echo):
        X, y = generate(20, 7, distance, seed=1)
        for numbers, labels in zip(X[..., 0].tolist(), y[..., 0].tolist(), strict=True):
            for t, label in enumerate(labels):
                there = t - distance if generate is past_echo else t + distance
                assert label == int(0 <= there < 7 and numbers[there] >= 0.5)
    if distance:
        X, y = neighbours(20, 7, distance, seed=1)
        for numbers, labels in zip(X[..., 0].tolist(), y[..., 0].tolist(), strict=True):
            for t, label in enumerate(labels):
                places = [place for place in (t - distance, t + distance) if 0 <= place < 7]
                assert label == int(sum(numbers[place] for place in places) >= 1)


@pytest.mark.parametrize("reach", [0, 1, 2, 9])
def test_parity_counts_the_bits_within_reach(reach: int) -> None:
    X, y = parity(50, 6, reach, seed=1)
    assert set(X.ravel().tolist()) == {0.0, 1.0}
    for bits, labels in zip(X[..., 0].tolist(), y[..., 0].tolist(), strict=True):
        for t, label in enumerate(labels):
            assert label == sum(bits[max(t - reach, 0) : t + reach + 1]) % 2


@pytest.mark.parametrize(
    ("name", "n_timesteps", "parameters", "n_levels"),
    [
        ("past-echo", 6, {"distance": 2}, 2),
        ("past-echo", 4, {"distance": 0}, 2),
        ("future-echo", 6, {"distance": 1}, 2),
        ("future-echo", 4, {"distance": 9}, 2),
        ("neighbours", 4, {"distance": 1}, 4),
        ("neighbours", 3, {"distance": 2}, 10),
        ("parity", 6, {"reach": 1}, 2),
        ("parity", 6, {"reach": 9}, 2),
        ("parity", 4, {"reach": 0}, 2),
    ],
)
def test_what_was_seen_allows_what_the_bayes_accuracy_say(
    name: str, n_timesteps: int, parameters: dict[str, int], n_levels: int
) -> None:
    X, y = PROBLEMS[name].generate(100_000, n_timesteps, **parameters, seed=3)
    possible = PROBLEMS[name].bayes_accuracy(n_timesteps, **parameters)
    assert (possible.both_steps == 1).all()
    rough = levels(X[..., 0], n_levels)
    for t in range(n_timesteps):
        guessed, error = best_guess(rough[:, : t + 1], y[:, t, 0])
        assert abs(guessed - possible.forward_steps[t]) < 5 * error
        guessed, error = best_guess(rough[:, t:], y[:, t, 0])
        assert abs(guessed - possible.backward_steps[t]) < 5 * error


@pytest.mark.parametrize(
    ("generate", "arguments", "named"),
    [
        (past_echo, {"distance": -1}, "distance is -1; it must be a whole number of at least 0"),
        (future_echo, {"distance": 1.5}, "distance is 1.5"),
        (neighbours, {"distance": 0}, "distance is 0; it must be a whole number of at least 1"),
        (parity, {"reach": "x"}, "reach is 'x'"),
    ],
)
def test_bad_arguments_are_named(generate: Any, arguments: dict[str, Any], named: str) -> None:
    with pytest.raises(InputError, match=named):
        generate(2, 5, **arguments)
    name = generate.__name__.replace("_", "-")
    with pytest.raises(InputError, match=named):
        PROBLEMS[name].bayes_accuracy(5, **arguments)

"""How numbers enter a network, and that nothing but the train part says so."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bothways.network import Network
from bothways.runtime.numbers import entering, numbers, piecewise
from bothways.sequences import Sequences
from bothways.settings import Settings
from bothways.training import train
from bothways.training.examples import prepare
from bothways.training.initializers import number_weights, quantile_edges

CO2 = [[400.0, 1], [410.0, 2], [430.0, 1], [430.0, 2], [900.0, 1], [880.0, 2], [850.0, 3]]
LENGTHS = np.array([4, 3])


def network(**more: Any) -> Network:
    return Network(features=2, classes=2, categories=(4,), **more)


def test_changes_stand_beside_the_numbers_and_start_anew_with_each_sequence() -> None:
    found = numbers(network(levels="raw", changes=2), np.array(CO2), LENGTHS)
    np.testing.assert_array_equal(found[:, 0], np.array(CO2)[:, 0])
    np.testing.assert_array_equal(found[:, 1], [0, 10, 20, 0, 0, -20, -30])
    np.testing.assert_array_equal(found[:, 2], [0, 10, 30, 30, 0, -20, -50])


@pytest.mark.parametrize("encoding", ["standard", "piecewise"])
def test_a_level_that_drifts_from_sequence_to_sequence_changes_nothing_once_centered(encoding: str) -> None:
    drifted = np.array(CO2) + np.array([[64, 0]] * 4 + [[-128, 0]] * 3)
    of = network(levels="centered", encoding=encoding)
    parts = [Sequences(values, LENGTHS) for values in (np.array(CO2), drifted)]
    weights = number_weights(of, parts[0])
    entered, other = (entering(of, weights, part.values, part.lengths) for part in parts)
    np.testing.assert_allclose(entered, other, atol=1e-5)
    np.testing.assert_array_equal(entered[:, -1], [1, 2, 1, 2, 1, 2, 3])


@pytest.mark.parametrize("direction", ["both", "forward", "backward"])
@pytest.mark.parametrize("encoding", ["standard", "piecewise"])
def test_a_gain_that_differs_from_sequence_to_sequence_changes_nothing_once_scaled(
    encoding: str, direction: str
) -> None:
    gained = np.array(CO2)
    gained[:, 0] *= np.repeat([8, 0.25], LENGTHS)
    of = network(levels="scaled", encoding=encoding, direction=direction, changes=2)
    parts = [Sequences(values, LENGTHS) for values in (np.array(CO2), gained)]
    weights = number_weights(of, parts[0])
    entered, other = (entering(of, weights, part.values, part.lengths) for part in parts)
    np.testing.assert_allclose(entered, other, atol=1e-6)


def test_scaled_numbers_by_hand() -> None:
    found = numbers(network(levels="scaled", changes=1), np.array(CO2), LENGTHS)
    mean, deviation = np.mean([400, 410, 430, 430]), np.std([400, 410, 430, 430])
    np.testing.assert_allclose(found[:4, 0], (np.array([400, 410, 430, 430]) - mean) / deviation)
    np.testing.assert_allclose(found[:4, 1], np.array([0, 10, 20, 0]) / deviation)
    forward = numbers(network(levels="scaled", changes=1, direction="forward"), np.array(CO2), LENGTHS)
    so_far = np.array([400.0, 410, 430])
    np.testing.assert_allclose(forward[:3, 0], np.array([0, 1, (430 - so_far.mean()) / so_far.std()]))
    np.testing.assert_allclose(forward[:3, 1], np.array([0, 2, 20 / so_far.std()]))


def test_bins_hold_about_as_many_steps_each_however_long_the_tail() -> None:
    generator = np.random.default_rng(0)
    column = np.exp(generator.normal(0, 4, 20_000)).astype(np.float32)
    of = Network(features=1, classes=2, levels="raw", changes=0, bins=8)
    sequences = Sequences(column[:, None], np.array([20_000]))
    weights = number_weights(of, sequences)
    z = entering(of, weights, sequences.values, sequences.lengths)
    encoded = piecewise(z, weights["input/centers"], weights["input/slopes"])
    inside = (np.abs(encoded) < 1).mean(axis=0)
    np.testing.assert_allclose(inside, 1 / 8, atol=0.01)


def test_a_frequent_value_leaves_bins_for_the_others() -> None:
    column = np.concatenate([np.zeros(9_900), np.arange(1, 101)]).astype(np.float32)
    assert len(quantile_edges(column, 8)) == 9


@pytest.mark.parametrize("column", [np.zeros(5), np.array([0, 1, 0, 0, 1.0]), np.full(5, 1e30), np.full(5, 1e-45)])
@pytest.mark.parametrize("levels", ["both", "scaled"])
def test_constant_and_two_valued_columns_enter_as_finite_numbers(levels: str, column: Any) -> None:
    of = Network(features=1, classes=2, levels=levels)
    sequences = Sequences(column.astype(np.float32)[:, None], np.array([5]))
    weights = number_weights(of, sequences)
    assert all(np.isfinite(array).all() for array in weights.values())
    for value in (-3e38, -1e-45, 0, 3e38):
        odd = Sequences(np.full((2, 1), value, np.float32), np.array([2]))
        z = entering(of, weights, odd.values, odd.lengths)
        assert np.isfinite(piecewise(z, weights["input/centers"], weights["input/slopes"])).all()


def test_values_beyond_the_train_part_are_like_its_ends() -> None:
    of = Network(features=1, classes=2, levels="raw", changes=0)
    weights = number_weights(of, Sequences(np.arange(100.0)[:, None], np.array([100])))
    ends = entering(of, weights, np.array([[0.0], [-1e9], [99.0], [1e30]]), np.array([4]))
    low, lower, high, higher = piecewise(ends, weights["input/centers"], weights["input/slopes"])
    np.testing.assert_array_equal(low, lower)
    np.testing.assert_array_equal(high, higher)


def test_many_numbers_have_fewer_bins() -> None:
    assert Network(features=10, classes=2, levels="raw", changes=0).bins_per_number == 8
    assert Network(features=100, classes=2, levels="raw", changes=0).bins_per_number == 5
    assert Network(features=5000, classes=2, levels="raw", changes=0).bins_per_number == 1


def test_rare_categories_are_unknown() -> None:
    values = np.array([[0.0, code] for code in (1, 2, 2, 1, 3, 2, 1, 1)])
    sequences = Sequences(values, np.array([8]), labels=np.arange(8) % 2)
    prepared = prepare(network(), sequences, Settings(min_count=2), print)
    assert [of.tolist() for of in prepared.counts] == [[1, 4, 3, 0]]
    assert prepared.buckets[0].x[0, :, -1].tolist() == [1, 2, 2, 1, 0, 2, 1, 1]
    weights = train(network(units=2), sequences, Settings(min_count=2, epochs=2)).weights
    np.testing.assert_array_equal(weights["categories/embeddings"][3], weights["categories/embeddings"][0])

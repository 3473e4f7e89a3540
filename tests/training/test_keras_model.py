"""The Keras model and the runtime are the same network, and padding changes nothing in either."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from bothways.network import DIRECTIONS, PERS, POOLINGS, Network
from bothways.runtime import logits
from bothways.runtime.numbers import entering
from bothways.sequences import Array, Sequences
from bothways.spec import CELLS
from bothways.training.initializers import initial_weights
from bothways.training.keras_model import get_weights, keras_model, set_weights
from bothways.training.network_layers import InputEncoder
from members import some_network
from tolerances import KERAS, error


def some_weights(network: Network) -> dict[str, npt.NDArray[np.float32]]:
    """Those that training starts from with some noise, and some for numbers."""
    random = np.random.default_rng(5)
    weights = {
        name: array + random.normal(scale=0.3, size=array.shape).astype(np.float32)
        for name, array in initial_weights(network, seed=5).items()
    }
    numbers = {
        name: random.uniform(0.5, 1, shape).astype(np.float32)
        for name, shape in network.weight_shapes().items()
        if name.startswith("input/")
    }
    return weights | numbers


def some_sequences(network: Network, lengths: list[int]) -> list[Array]:
    random = np.random.default_rng(1)
    numbers = [random.normal(size=(length, network.numeric)) for length in lengths]
    codes = [[random.integers(0, count, length) for count in network.categories] for length in lengths]
    return [
        np.column_stack([number, *code]).reshape(length, network.features).astype(np.float32)
        for number, code, length in zip(numbers, codes, lengths, strict=True)
    ]


def by_keras(network: Network, weights: Any, sequences: list[Array], extra: int) -> Array:
    """The logits by the Keras model, all sequences in one batch, padded with rubbish by `extra` steps too many."""
    lengths = np.array([len(sequence) for sequence in sequences])
    time = int(lengths.max()) + extra
    masked = bool((lengths < time).any())
    model = keras_model(network, masked)
    set_weights(network, model, weights)
    if network.encoding == "piecewise" and network.channels:
        model.get_layer("input_encoder").set_bins(weights)
    x = np.random.default_rng(2).integers(0, 2, (len(sequences), time, network.inputs)).astype(np.float32)
    valid = np.arange(time) < lengths[:, None]
    x[valid] = entering(network, weights, np.concatenate(sequences), lengths)
    z = np.asarray(model([x, valid] if masked else x))
    return z[valid] if network.per == "step" else z


CATEGORIES: list[dict[str, Any]] = [
    {"features": 2},
    {"features": 3, "categories": (5,), "embedding": 3},
    {"features": 2, "categories": (4, 6), "embedding": 2},  # no numbers at all
]
NUMBERS: list[dict[str, Any]] = [
    {"encoding": "standard", "levels": "raw", "changes": 0},
    {"levels": "centered"},
    {"changes": 4, "bins": 3},
]
CONVOLUTIONS: list[dict[str, Any]] = [
    {},
    {"conv_window": 3},
    {"conv_window": 4, "conv_stride": 2},
    {"conv_window": 2, "conv_stride": 3},
    {"conv_window": 9, "conv_stride": 4},
]
TOPS: list[dict[str, Any]] = [{"per": "step"}, *({"per": "sequence", "pooling": pooling} for pooling in POOLINGS)]
LENGTHS = [[6, 6, 6], [7, 1, 12, 3, 2, 8]]


@pytest.mark.parametrize("lengths", LENGTHS, ids=["alike", "unlike"])
@pytest.mark.parametrize("top", TOPS, ids=str)
@pytest.mark.parametrize("convolution", CONVOLUTIONS, ids=str)
@pytest.mark.parametrize("numbers", NUMBERS, ids=str)
@pytest.mark.parametrize("categories", CATEGORIES, ids=str)
def test_input_encoders_and_tops(categories: Any, numbers: Any, convolution: Any, top: Any, lengths: list[int]) -> None:
    network = some_network(**categories, **numbers, **convolution, **top)
    check(network, lengths)


@pytest.mark.parametrize("top", TOPS, ids=str)
@pytest.mark.parametrize("direction", sorted(DIRECTIONS))
@pytest.mark.parametrize("cell", sorted(CELLS))
def test_cells_and_directions(cell: str, direction: str, top: Any) -> None:
    check(some_network(cell=cell, direction=direction, conv_window=3, conv_stride=2, classes=3, **top), LENGTHS[1])


@pytest.mark.parametrize("top", TOPS, ids=str)
@pytest.mark.parametrize("merge_mode", ["concat", "sum", "mul", "ave"])
def test_merge_modes_and_depth(merge_mode: str, top: Any) -> None:
    check(some_network(merge_mode=merge_mode, depth=2, **top), LENGTHS[1])


def check(network: Network, lengths: list[int]) -> None:
    weights, sequences = some_weights(network), some_sequences(network, lengths)
    z = logits(network, weights, Sequences.from_arrays(sequences, per=network.per))
    assert z.shape == (sum(lengths) if network.per == "step" else len(lengths), network.outputs)
    for extra in (0, 5):
        assert error(z, by_keras(network, weights, sequences, extra)) < KERAS


@pytest.mark.parametrize("per", PERS)
def test_weights_go_into_the_keras_model_and_come_back(per: str) -> None:
    network = some_network(features=4, categories=(3, 7), conv_window=3, depth=2, dropout=0.5, per=per)
    weights = initial_weights(network, seed=0)
    model = keras_model(network, masked=True)
    set_weights(network, model, weights)
    back = get_weights(network, model)
    assert list(back) == list(weights)
    assert all(np.array_equal(back[name], weights[name]) for name in weights)


def test_with_a_category_that_training_takes_for_unknown_all_rarer_ones_of_its_step_are() -> None:
    network = some_network(features=3, categories=(2, 2, 2), embedding=1, encoding="standard")
    encoder = InputEncoder(network, draws=True)
    encoder.build()
    encoder.trainable_variables[0].assign([[0.0], [1.0]] * 3)
    encoder.set_unknown_rates(np.array([0, 0.1, 0, 0.5, 0, 0.9], np.float32))
    kept = np.asarray(encoder(np.ones((50, 40, 3), np.float32), training=True))
    assert (np.diff(kept, axis=-1) <= 0).all()
    assert np.abs(kept.mean(axis=(0, 1)) - [0.9, 0.5, 0.1]).max() < 0.04

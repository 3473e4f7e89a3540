"""Parity with stock Keras: values and gradients, over the grid of what a layer can be asked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import keras
import numpy as np
import pytest
from tolerances import KERAS, error

from bothways.layers import LSTM, Bidirectional

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(5, 7, 3)).astype("float32")
MASKS = {
    "none": None,
    "random": RANDOM.random((5, 7)) < 0.6,
    "right": np.arange(7) < np.array([[7], [4], [1], [0], [6]]),
    "left": np.arange(7) >= np.array([[0], [4], [1], [7], [6]]),
}


def value_and_gradients(layer: keras.layers.Layer, x: Any, call: dict[str, Any]) -> list[Any]:
    """Outputs of a call, and the gradients of a weighted sum of them with respect to x and every weight."""

    def loss(weights: list[Any], x: Any) -> Any:
        mapping = list(zip(layer.trainable_variables, weights, strict=True))
        with keras.StatelessScope(state_mapping=mapping):
            outputs = jax.tree.leaves(layer(x, **call))
        return sum((o * np.cos(np.arange(o.size)).reshape(o.shape)).sum() for o in outputs), outputs

    weights = [variable.value for variable in layer.trainable_variables]
    (_, outputs), gradients = jax.jit(jax.value_and_grad(loss, argnums=(0, 1), has_aux=True))(weights, x)
    return [*outputs, *jax.tree.leaves(gradients)]


def assert_parity(ours: keras.layers.Layer, stock: keras.layers.Layer, x: Any = X, **call: Any) -> None:
    ours(x, **call)
    stock(x, **call)
    stock.set_weights(ours.get_weights())
    assert ours.engine == "native"
    for actual, expected in zip(value_and_gradients(ours, x, call), value_and_gradients(stock, x, call), strict=True):
        assert error(actual, expected) < KERAS


def states(*units: int) -> list[Any]:
    random = np.random.default_rng(1)
    return [random.normal(size=(5, width)).astype("float32") for width in units]


@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("go_backwards", [False, True])
@pytest.mark.parametrize("return_sequences", [False, True])
@pytest.mark.parametrize("return_state", [False, True])
def test_lstm(mask: str, go_backwards: bool, return_sequences: bool, return_state: bool) -> None:
    options = {"return_sequences": return_sequences, "return_state": return_state, "go_backwards": go_backwards}
    assert_parity(LSTM(4, **options), keras.layers.LSTM(4, **options), mask=MASKS[mask])
    assert_parity(LSTM(4, **options), keras.layers.LSTM(4, **options), mask=MASKS[mask], initial_state=states(4, 4))


@pytest.mark.parametrize("mask", ["right", "left"])
@pytest.mark.parametrize("go_backwards", [False, True])
@pytest.mark.parametrize("return_sequences", [False, True])
def test_zero_output_for_mask(mask: str, go_backwards: bool, return_sequences: bool) -> None:
    options = {"zero_output_for_mask": True, "return_sequences": return_sequences, "go_backwards": go_backwards}
    assert_parity(LSTM(4, **options), keras.layers.LSTM(4, **options), mask=MASKS[mask])


@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("merge_mode", ["concat", "sum", "mul", "ave", None])
@pytest.mark.parametrize("return_sequences", [False, True])
@pytest.mark.parametrize("return_state", [False, True])
@pytest.mark.parametrize("go_backwards", [False, True])
def test_bidirectional(
    mask: str, merge_mode: str | None, return_sequences: bool, return_state: bool, go_backwards: bool
) -> None:
    options = {"return_sequences": return_sequences, "return_state": return_state, "go_backwards": go_backwards}

    def wrapped(wrapper: Callable[..., Any], lstm: Callable[..., Any]) -> keras.layers.Layer:
        return wrapper(lstm(4, **options), merge_mode=merge_mode)

    if go_backwards:  # the twin of a backward layer would go backwards too: give the other one

        def wrapped(wrapper: Callable[..., Any], lstm: Callable[..., Any]) -> keras.layers.Layer:
            twin = lstm(4, **options | {"go_backwards": False})
            return wrapper(lstm(4, **options), backward_layer=twin, merge_mode=merge_mode)

    assert_parity(
        wrapped(Bidirectional, LSTM), wrapped(keras.layers.Bidirectional, keras.layers.LSTM), mask=MASKS[mask]
    )


@pytest.mark.parametrize("return_sequences", [False, True])
def test_bidirectional_with_initial_state(return_sequences: bool) -> None:
    def options() -> dict[str, Any]:
        return {"return_sequences": return_sequences, "return_state": True}

    assert_parity(
        Bidirectional(LSTM(4, **options())),
        keras.layers.Bidirectional(keras.layers.LSTM(4, **options())),
        initial_state=states(4, 4, 4, 4),
        mask=MASKS["random"],
    )


def test_stock_layers_inside_run_on_the_engine_too() -> None:
    assert_parity(
        Bidirectional(keras.layers.LSTM(4, return_sequences=True)),
        keras.layers.Bidirectional(keras.layers.LSTM(4, return_sequences=True)),
    )


def test_without_bias() -> None:
    assert_parity(
        Bidirectional(LSTM(4, use_bias=False)), keras.layers.Bidirectional(keras.layers.LSTM(4, use_bias=False))
    )


def test_backward_layer_of_another_width() -> None:
    layers = [
        wrapper(lstm(4, return_sequences=True), backward_layer=lstm(6, return_sequences=True, go_backwards=True))
        for wrapper, lstm in ((Bidirectional, LSTM), (keras.layers.Bidirectional, keras.layers.LSTM))
    ]
    assert_parity(*layers)


def test_input_dropout_is_the_same_mask_as_that_of_keras() -> None:
    for make in (
        lambda lstm, _: lstm(4, return_sequences=True, dropout=0.5, seed=7),
        lambda lstm, wrapper: wrapper(lstm(4, return_sequences=True, dropout=0.5, seed=7)),
    ):
        ours = make(LSTM, Bidirectional)
        stock = make(keras.layers.LSTM, keras.layers.Bidirectional)
        ours(X)
        stock(X)
        stock.set_weights(ours.get_weights())
        assert ours.engine == "native"
        trained, expected = ours(X, training=True), stock(X, training=True)
        assert error(trained, expected) < KERAS
        assert error(trained, ours(X, training=False)) > 0.01

"""Parity with stock Keras: values and gradients, over the grid of what a layer can be asked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import jax
import keras
import numpy as np
import pytest

import bothways.layers
from bothways.layers import GRU, LSTM, Bidirectional, SimpleRNN
from tolerances import KERAS, error

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(5, 7, 3)).astype("float32")
MASKS = {
    "random": RANDOM.random((5, 7)) < 0.6,
    "right": np.arange(7) < np.array([[7], [4], [1], [0], [6]]),
    "left": np.arange(7) >= np.array([[0], [4], [1], [7], [6]]),
}


def value_and_gradients(layer: keras.layers.Layer, call: dict[str, Any]) -> Callable[..., list[Any]]:
    """A function of `x, mask`: outputs, and gradients of a weighted sum of them for x and every weight; compiled."""

    def loss(weights: list[Any], x: Any, mask: Any) -> Any:
        mapping = list(zip(layer.trainable_variables, weights, strict=True))
        with keras.StatelessScope(state_mapping=mapping):
            outputs = jax.tree.leaves(layer(x, mask=mask, **call))
        return sum((o * np.cos(np.arange(o.size)).reshape(o.shape)).sum() for o in outputs), outputs

    compiled = jax.jit(jax.value_and_grad(loss, argnums=(0, 1), has_aux=True))

    def function(x: Any, mask: Any) -> list[Any]:
        (_, outputs), gradients = compiled([variable.value for variable in layer.trainable_variables], x, mask)
        return [*outputs, *jax.tree.leaves(gradients)]

    return function


def assert_parity(
    ours: keras.layers.Layer, stock: keras.layers.Layer, masks: Sequence[Any] = (None,), **call: Any
) -> None:
    stock.build(X.shape)  # a call that is not compiled takes seconds
    assert_numbers(ours, stock, value_and_gradients(stock, call), masks, call)


def assert_numbers(
    ours: keras.layers.Layer,
    stock: keras.layers.Layer,
    numbers: Callable[..., list[Any]],
    masks: Sequence[Any],
    call: dict[str, Any],
) -> None:
    """Ours gives, with the same weights, the numbers of a stock layer, which has been built and compiled."""
    ours(X, **call)
    stock.set_weights(ours.get_weights())
    assert ours.engine == "native"
    functions = value_and_gradients(ours, call), numbers
    for mask in masks:
        for actual, expected in zip(*(function(X, mask) for function in functions), strict=True):
            assert error(actual, expected) < KERAS


def states(*units: int) -> list[Any]:
    random = np.random.default_rng(1)
    return [random.normal(size=(5, width)).astype("float32") for width in units]


@pytest.mark.parametrize("masks", [[None], list(MASKS.values())], ids=["unmasked", "masked"])
@pytest.mark.parametrize("go_backwards", [False, True])
@pytest.mark.parametrize("return_sequences", [False, True])
@pytest.mark.parametrize("return_state", [False, True])
def test_lstm(masks: list[Any], go_backwards: bool, return_sequences: bool, return_state: bool) -> None:
    options = {"return_sequences": return_sequences, "return_state": return_state, "go_backwards": go_backwards}
    assert_parity(LSTM(4, **options), keras.layers.LSTM(4, **options), masks=masks)
    assert_parity(LSTM(4, **options), keras.layers.LSTM(4, **options), masks=masks, initial_state=states(4, 4))


@pytest.mark.parametrize("go_backwards", [False, True])
@pytest.mark.parametrize("return_sequences", [False, True])
def test_zero_output_for_mask(go_backwards: bool, return_sequences: bool) -> None:
    options = {"zero_output_for_mask": True, "return_sequences": return_sequences, "go_backwards": go_backwards}
    assert_parity(LSTM(4, **options), keras.layers.LSTM(4, **options), masks=list(MASKS.values()))


@pytest.mark.parametrize("masks", [[None], list(MASKS.values())], ids=["unmasked", "masked"])
@pytest.mark.parametrize("merge_mode", ["concat", "sum", "mul", "ave", None])
@pytest.mark.parametrize("return_sequences", [False, True])
@pytest.mark.parametrize("return_state", [False, True])
@pytest.mark.parametrize("go_backwards", [False, True])
def test_bidirectional(
    masks: list[Any], merge_mode: str | None, return_sequences: bool, return_state: bool, go_backwards: bool
) -> None:
    options = {"return_sequences": return_sequences, "return_state": return_state, "go_backwards": go_backwards}

    def wrapped(wrapper: Callable[..., Any], lstm: Callable[..., Any]) -> keras.layers.Layer:
        return wrapper(lstm(4, **options), merge_mode=merge_mode)

    if go_backwards:  # the twin of a backward layer would go backwards too: give the other one

        def wrapped(wrapper: Callable[..., Any], lstm: Callable[..., Any]) -> keras.layers.Layer:
            twin = lstm(4, **options | {"go_backwards": False})
            return wrapper(lstm(4, **options), backward_layer=twin, merge_mode=merge_mode)

    assert_parity(wrapped(Bidirectional, LSTM), wrapped(keras.layers.Bidirectional, keras.layers.LSTM), masks=masks)


@pytest.mark.parametrize("return_sequences", [False, True])
def test_bidirectional_with_initial_state(return_sequences: bool) -> None:
    def options() -> dict[str, Any]:
        return {"return_sequences": return_sequences, "return_state": True}

    assert_parity(
        Bidirectional(LSTM(4, **options())),
        keras.layers.Bidirectional(keras.layers.LSTM(4, **options())),
        initial_state=states(4, 4, 4, 4),
        masks=[MASKS["random"]],
    )


@cache
def stock_both_ways(layer: Callable[..., Any], merge_mode: str) -> tuple[keras.layers.Layer, Callable[..., list[Any]]]:
    """Compiled once, for all instruction sets."""
    stock = keras.layers.Bidirectional(layer(19, return_sequences=True), merge_mode=merge_mode)
    stock.build(X.shape)
    return stock, value_and_gradients(stock, {})


@pytest.mark.parametrize("merge_mode", ["concat", "mul"])
def test_every_instruction_set(instruction_set: str, merge_mode: str) -> None:
    for ours, stock in ((LSTM, keras.layers.LSTM), (GRU, keras.layers.GRU), (SimpleRNN, keras.layers.SimpleRNN)):
        layer = Bidirectional(ours(19, return_sequences=True), merge_mode=merge_mode)
        assert_numbers(layer, *stock_both_ways(stock, merge_mode), list(MASKS.values()), {})


def test_stock_layers_inside_run_on_the_engine_too() -> None:
    assert_parity(
        Bidirectional(keras.layers.LSTM(4, return_sequences=True)),
        keras.layers.Bidirectional(keras.layers.LSTM(4, return_sequences=True)),
    )


CELLS: dict[str, tuple[Any, Any, dict[str, Any]]] = {
    "gru": (GRU, keras.layers.GRU, {}),
    "gru_reset_before": (GRU, keras.layers.GRU, {"reset_after": False}),
    "rnn": (SimpleRNN, keras.layers.SimpleRNN, {}),
    "rnn_relu": (SimpleRNN, keras.layers.SimpleRNN, {"activation": "relu"}),
}
ACTIVATIONS = ("tanh", "sigmoid", "relu", "linear", "hard_sigmoid")


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("gates", ACTIVATIONS)
def test_other_activations(activation: str, gates: str) -> None:
    """An LSTM, and a GRU that reads the other way."""
    options = {"activation": activation, "recurrent_activation": gates, "return_sequences": True}

    def both(home: Any) -> Any:
        backward = home.GRU(4, go_backwards=True, **options)
        return home.Bidirectional(home.LSTM(4, **options), backward_layer=backward, merge_mode="sum")

    assert_parity(both(bothways.layers), both(keras.layers), masks=[MASKS["random"]])


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_other_activations_of_simple_layers(activation: str) -> None:
    options = {"activation": activation, "return_sequences": True}
    assert_parity(SimpleRNN(4, **options), keras.layers.SimpleRNN(4, **options), masks=[MASKS["random"]])


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("masks", [[None], list(MASKS.values())], ids=["unmasked", "masked"])
@pytest.mark.parametrize("go_backwards", [False, True])
@pytest.mark.parametrize("return_sequences", [False, True])
def test_other_cells(cell: str, masks: list[Any], go_backwards: bool, return_sequences: bool) -> None:
    ours, stock, activation = CELLS[cell]
    options = {"return_sequences": return_sequences, "return_state": True, "go_backwards": go_backwards} | activation
    assert_parity(ours(4, **options), stock(4, **options), masks=masks, initial_state=states(4))


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("masks", [[None], list(MASKS.values())], ids=["unmasked", "masked"])
@pytest.mark.parametrize("return_sequences", [False, True])
@pytest.mark.parametrize("use_bias", [False, True])
def test_bidirectional_over_other_cells(cell: str, masks: list[Any], return_sequences: bool, use_bias: bool) -> None:
    ours, stock, activation = CELLS[cell]
    options = {"return_sequences": return_sequences, "use_bias": use_bias} | activation
    assert_parity(Bidirectional(ours(4, **options)), keras.layers.Bidirectional(stock(4, **options)), masks=masks)


def test_bidirectional_over_two_cells() -> None:
    def layer(wrapper: Any, forward: Any, backward: Any) -> Any:
        twin = backward(4, return_sequences=True, go_backwards=True)
        return wrapper(forward(4, return_sequences=True), backward_layer=twin, merge_mode="sum")

    assert_parity(
        layer(Bidirectional, LSTM, GRU),
        layer(keras.layers.Bidirectional, keras.layers.LSTM, keras.layers.GRU),
        masks=[MASKS["random"]],
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
    options = {"return_sequences": True, "dropout": 0.5, "seed": 7}
    for ours, stock in (
        (LSTM(4, **options), keras.layers.LSTM(4, **options)),
        (Bidirectional(LSTM(4, **options)), keras.layers.Bidirectional(keras.layers.LSTM(4, **options))),
    ):
        ours(X)
        stock(X)
        stock.set_weights(ours.get_weights())
        assert ours.engine == "native"
        trained, expected = ours(X, training=True), stock(X, training=True)
        assert error(trained, expected) < KERAS
        assert error(trained, ours(X, training=False)) > 0.01

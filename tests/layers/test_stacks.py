"""Keras's `RNN` over a stack of cells on the engine: the numbers of stock Keras."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import keras
import numpy as np
import pytest

import bothways.layers as ours
from bothways import accelerate
from tolerances import KERAS, error

L = keras.layers
X = np.random.default_rng(0).normal(size=(4, 6, 3)).astype(np.float32)
MASK = np.array([[1, 1, 1, 1, 1, 1], [0, 1, 1, 0, 1, 1], [1, 1, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0]], bool)
STATES = [[np.full((4, 5), 0.3, np.float32), np.full((4, 5), -0.2, np.float32)], [np.full((4, 4), 0.5, np.float32)]]


def cells(**options: Any) -> list[Any]:
    return [L.LSTMCell(5, **options), L.GRUCell(4, activation="relu", **options)]


def three() -> list[Any]:
    return [L.SimpleRNNCell(5), L.GRUCell(5, reset_after=False, use_bias=False), L.LSTMCell(4)]


def both(layer: Any, home: Any) -> Any:
    return home.Bidirectional(layer)


def alone(layer: Any, home: Any) -> Any:
    return layer


def value_and_gradients(layer: Any, mask: Any, **call: Any) -> list[Any]:
    """All that it puts out, and the gradients of a weighted sum of that for x and every weight."""

    def loss(x: Any, weights: Any) -> Any:
        with keras.StatelessScope(state_mapping=list(zip(layer.trainable_variables, weights, strict=True))):
            outputs = jax.tree.leaves(layer(x, mask=mask, **call))
        return sum((o * np.cos(np.arange(o.size)).reshape(o.shape)).sum() for o in outputs), outputs

    weights = [variable.value for variable in layer.trainable_variables]
    (_, outputs), gradients = jax.jit(jax.value_and_grad(loss, argnums=(0, 1), has_aux=True))(X, weights)
    return [*outputs, *jax.tree.leaves(gradients)]


def assert_same(one: list[Any], other: list[Any]) -> None:
    for actual, expected in zip(one, other, strict=True):
        assert error(actual, expected) < KERAS


@pytest.mark.parametrize("wrap", [alone, both])
@pytest.mark.parametrize("mask", [None, MASK], ids=["unmasked", "masked"])
@pytest.mark.parametrize("make", [cells, three])
@pytest.mark.parametrize("return_sequences", [False, True])
@pytest.mark.parametrize("go_backwards", [False, True])
def test_parity(
    wrap: Callable[..., Any], mask: Any, make: Callable[[], Any], return_sequences: bool, go_backwards: bool
) -> None:
    options = {"return_sequences": return_sequences, "go_backwards": go_backwards and wrap is alone}
    layer = wrap(L.RNN(make(), **options), L)
    layer.build(X.shape)
    expected = value_and_gradients(layer, mask)
    acceleration = accelerate(layer)
    assert {each.engine for each in acceleration.layers} == {"native"}
    assert_same(value_and_gradients(layer, mask), expected)
    acceleration.undo()


@pytest.mark.parametrize("wrap", [alone, both])
def test_layers_of_our_own(wrap: Callable[..., Any]) -> None:
    layer, stock = (
        wrap(home.RNN(L.StackedRNNCells(cells()), return_sequences=True, zero_output_for_mask=True), home)
        for home in (ours, L)
    )
    layer.build(X.shape)
    stock.build(X.shape)
    stock.set_weights(layer.get_weights())
    assert layer.engine == "native"
    assert_same(value_and_gradients(layer, MASK), value_and_gradients(stock, MASK))


@pytest.mark.parametrize("wrap", [alone, both])
@pytest.mark.parametrize("given", [False, True])
def test_states_are_those_of_keras(wrap: Callable[..., Any], given: bool) -> None:
    layer = wrap(L.RNN(cells(), return_state=True), L)
    call = {"initial_state": STATES * (2 if wrap is both else 1)} if given else {}
    layer.build(X.shape)
    expected = layer(X, mask=MASK, **call)
    accelerate(layer)
    found = layer(X, mask=MASK, **call)
    assert str(jax.tree.structure(found)) == str(jax.tree.structure(expected))
    assert_same(jax.tree.leaves(found), jax.tree.leaves(expected))
    assert_same(value_and_gradients(layer, None, **call)[:1], jax.tree.leaves(layer(X, **call))[:1])


@pytest.mark.slow
@pytest.mark.parametrize("wrap", [alone, pytest.param(both, marks=pytest.mark.slow)])
def test_dropout_draws_the_masks_of_keras(wrap: Callable[..., Any]) -> None:
    rates = {"dropout": 0.3, "recurrent_dropout": 0.2, "seed": 3}
    layer, fast = (wrap(L.RNN(cells(**rates), return_sequences=True), L) for _ in range(2))
    layer.build(X.shape)
    fast.build(X.shape)
    fast.set_weights(layer.get_weights())
    accelerate(fast)
    for training in (True, False, True):
        assert error(fast(X, mask=MASK, training=training), layer(X, mask=MASK, training=training)) < KERAS
    assert error(fast(X, training=True), fast(X, training=False)) > 0.01


@pytest.mark.slow
@pytest.mark.parametrize("wrap", [pytest.param(alone, marks=pytest.mark.slow), both])
def test_stateful_stacks_go_on(wrap: Callable[..., Any]) -> None:
    layer, stock = (wrap(home.RNN(cells(), stateful=True), home) for home in (ours, L))
    layer.build(X.shape)
    stock.build(X.shape)
    for actual, variable in zip(stock.trainable_variables, layer.trainable_variables, strict=True):
        actual.assign(variable)
    for piece in (X[:, :3], X[:, 3:]):
        found = layer(piece)
        assert error(found, stock(piece)) < KERAS
    assert error(layer(X[:, 3:]), found) > 1e-3
    layer.reset_state()  # which stock Keras cannot do
    layer(X[:, :3])
    assert error(layer(X[:, 3:]), found) < KERAS


@pytest.mark.slow
def test_bfloat16() -> None:
    layer, exact = (ours.RNN(cells(dtype=dtype), dtype=dtype) for dtype in ("mixed_bfloat16", "float32"))
    layer.build(X.shape)
    exact.build(X.shape)
    exact.set_weights(layer.get_weights())
    assert layer.engine == "native"
    assert str(layer(X).dtype) == "bfloat16"
    assert error(np.asarray(layer(X), np.float32), exact(X)) < 0.02


@keras.saving.register_keras_serializable(package="tests")
class Own(keras.layers.GRUCell):  # type: ignore[misc]
    def call(self, *arguments: Any, **options: Any) -> Any:
        return super().call(*arguments, **options)


@pytest.mark.parametrize(
    ("stack", "reason"),
    [
        (lambda: [L.LSTMCell(4), L.GRUCell(4, activation="elu")], "cell 2 of 2: activation=keras.activations.elu; "),
        (lambda: [Own(4), L.GRUCell(4)], "cell 1 of 2: Own is a cell with its own call; the engine has that of Keras"),
        (
            lambda: [L.LSTMCell(4), L.StackedRNNCells(cells())],
            "cell 2 of 2: StackedRNNCells is no cell of the engine; it has LSTMCell, GRUCell and SimpleRNNCell",
        ),
        (
            lambda: [L.LSTMCell(4, dtype="mixed_bfloat16"), L.GRUCell(4)],
            "its cells compute in bfloat16 and float32; the engine has one dtype for all",
        ),
    ],
)
def test_the_reason_for_stock_keras_can_be_read(stack: Callable[[], Any], reason: str) -> None:
    assert ours.RNN(stack()).engine.startswith(reason)
    assert ours.Bidirectional(L.RNN(stack())).engine.startswith(f"forward layer: {reason}")

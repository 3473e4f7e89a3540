"""Keras's `RNN` over a single cell, and unrolled layers, on the engine: the numbers of stock Keras."""

from __future__ import annotations

import itertools
from typing import Any

import keras
import numpy as np
import pytest

from bothways import accelerate
from bothways.layers import LSTM, RNN, Bidirectional, GRUCell
from tolerances import KERAS, error

L = keras.layers
X = np.random.default_rng(0).normal(size=(4, 6, 3)).astype(np.float32)
MASK = np.array([[1, 1, 1, 1, 1, 1], [0, 1, 1, 0, 1, 1], [1, 1, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0]], bool)


def pair(cell: Any, **options: Any) -> Any:
    return L.Bidirectional(L.RNN(cell, **options | {"go_backwards": False}))


def alone(cell: Any, **options: Any) -> Any:
    return L.RNN(cell, **options)


@pytest.mark.parametrize("wrap", [alone, pair])
@pytest.mark.parametrize("mask", [None, MASK])
@pytest.mark.parametrize(
    ("cell", "options"),
    [
        (L.LSTMCell, {"return_sequences": True}),
        (L.GRUCell, {"go_backwards": True}),
        (L.SimpleRNNCell, {"return_sequences": True, "unroll": True}),
    ],
)
def test_a_layer_of_a_cell_gives_the_numbers_of_keras(wrap: Any, mask: Any, cell: Any, options: Any) -> None:
    layer = wrap(cell(5), **options)
    expected = layer(X, mask=mask)
    acceleration = accelerate(layer)
    assert [each.engine for each in acceleration.layers] == ["native"]
    assert error(layer(X, mask=mask), expected) < KERAS
    acceleration.undo()


def test_cells_train_to_the_weights_of_keras_with_dropout() -> None:
    y = (X.sum(axis=2) > 0).astype(np.float32)[..., None]

    def trained(fast: bool) -> list[np.ndarray]:
        keras.utils.set_random_seed(0)
        reader = L.Bidirectional(L.RNN(L.LSTMCell(5, dropout=0.3, seed=1), return_sequences=True))
        model = keras.Sequential([keras.Input((6, 3)), reader, L.Dense(1)])
        if fast:
            accelerate(model)
        model.compile("sgd", "mse")
        model.fit(X, y, epochs=3, verbose=0, shuffle=False)
        return list(model.get_weights())

    for ours, stock in zip(trained(True), trained(False), strict=True):
        assert error(ours, stock) < KERAS


@pytest.mark.parametrize("zeros", [False, True])
@pytest.mark.parametrize("sequences", [False, True])
def test_unrolled_layers_give_the_numbers_of_keras(zeros: bool, sequences: bool) -> None:
    """Where masked outputs are to be zero, unrolled ones of Keras are not, and Keras runs."""
    stock, ours = (kind(4, unroll=True, return_sequences=sequences) for kind in (L.LSTM, LSTM))
    states = list(np.random.default_rng(1).normal(size=(2, 4, 4)).astype(np.float32))
    for mask, initial_state in itertools.product((None, MASK), (None, states)):
        stock.zero_output_for_mask = ours.zero_output_for_mask = zeros
        expected = stock(X, mask=mask, initial_state=initial_state)
        if not ours.built:
            ours.build(X.shape)
        ours.set_weights(stock.get_weights())
        assert ours.engine == "native"
        assert error(ours(X, mask=mask, initial_state=initial_state), expected) < KERAS


@pytest.mark.parametrize("sequences", [False, True])
def test_both_ways_unrolled(sequences: bool) -> None:
    stock, ours = (each(L.GRU(4, unroll=True, return_sequences=sequences)) for each in (L.Bidirectional, Bidirectional))
    states = list(np.random.default_rng(1).normal(size=(2, 4, 4)).astype(np.float32))
    for mask, initial_state in itertools.product((None, MASK), (None, states)):
        expected = stock(X, mask=mask, initial_state=initial_state)
        ours(X)
        ours.set_weights(stock.get_weights())
        assert ours.engine == "native"
        assert error(ours(X, mask=mask, initial_state=initial_state), expected) < KERAS
        acceleration = accelerate(stock)
        assert error(stock(X, mask=mask, initial_state=initial_state), expected) < KERAS
        acceleration.undo()


@pytest.mark.parametrize("zero_side", ["forward_layer", "backward_layer"])
def test_masked_outputs_may_be_zero_on_one_side_alone(zero_side: str) -> None:
    layer = L.Bidirectional(L.GRU(4, return_sequences=True))
    layer.forward_layer.zero_output_for_mask = layer.backward_layer.zero_output_for_mask = False
    getattr(layer, zero_side).zero_output_for_mask = True
    expected = layer(X, mask=MASK)
    both, *sides = accelerate(layer).layers
    assert both.engine.startswith("its layers differ in zero_output_for_mask")
    assert [side.engine for side in sides] == ["native", "native"]
    assert error(layer(X, mask=MASK), expected) < KERAS


class Peephole(keras.layers.LSTMCell):  # type: ignore[misc]
    """An output gate that looks at c, in the place that Keras gives the gates."""

    def _compute_carry_and_output(self, x: Any, h_tm1: Any, c_tm1: Any) -> Any:
        c, o = super()._compute_carry_and_output(x, h_tm1, c_tm1)
        return c, o * keras.ops.sigmoid(c)


def halving(units: int) -> Any:
    """A cell whose `call` was replaced after it was made."""
    cell, stock = L.GRUCell(units), L.GRUCell.call
    cell.call = lambda *arguments, **options: [each / 2 for each in stock(cell, *arguments, **options)[:1]] * 2
    return cell


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: Peephole(4, implementation=1), "Peephole is a cell with its own _compute_carry_and_output;"),
        (lambda: halving(4), "GRUCell is a cell with its own call;"),
    ],
)
def test_cells_with_steps_of_their_own_run_in_stock_keras(make: Any, reason: str) -> None:
    layer = L.RNN(make(), return_sequences=True)
    expected = layer(X)
    assert RNN(layer.cell).engine.startswith(reason)
    (report,) = accelerate(layer).layers
    assert report.engine.startswith(reason)
    assert error(layer(X), expected) < KERAS


class _Plain(keras.Layer):  # type: ignore[misc]
    """A cell as tutorials write one: its weights are called as they like."""

    def __init__(self, units: int) -> None:
        super().__init__()
        self.units = self.state_size = self.output_size = units

    def build(self, shape: Any) -> None:
        self.of_x = self.add_weight(shape=(shape[-1], self.units))
        self.of_h = self.add_weight(shape=(self.units, self.units))

    def call(self, x: Any, states: Any, training: bool | None = None) -> Any:
        h = keras.ops.tanh(x @ self.of_x + states[0] @ self.of_h)
        return h, [h]


@pytest.mark.slow
def test_cells_of_others_run_in_stock_keras() -> None:
    x = np.random.default_rng(0).normal(size=(2, 5, 3)).astype("float32")
    layer, stack = RNN(_Plain(4)), RNN([_Plain(4), GRUCell(3)])
    stock = keras.layers.RNN(layer.cell)
    assert np.array_equal(layer(x), stock(x))
    wide, state = x[:, :, None].repeat(2, axis=2), [np.ones((2, 2, 4), "float32")]  # two rows in each step
    assert np.array_equal(layer(wide, initial_state=state), stock(wide, initial_state=state))
    assert "_Plain is no cell of the engine" in layer.engine
    assert stack(x).shape == (2, 3)

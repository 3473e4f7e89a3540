"""Stateful layers: every way to run a model carries the states alike; `test_backends.py` runs this on each backend.

Stock Keras does not: on JAX only plain calls carry them, everything compiled forgets them; on torch `fit` of a stateful
LSTM or GRU raises, because it writes into what the backward pass needs. So what is expected comes from layers that are
not stateful, over the whole of what the stateful ones get in pieces.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

import bothways
from bothways import layers as ours
from bothways.errors import InputError
from layer_cases import numpy
from tolerances import KERAS, error

L = keras.layers
BACKEND = keras.backend.backend()
X = np.random.default_rng(0).normal(size=(4, 12, 3)).astype("float32")
PIECES = np.split(X, 4, axis=1)
CELLS = pytest.mark.parametrize("cell", ["LSTM", "GRU", "SimpleRNN"])
trains = pytest.mark.skipif(BACKEND == "numpy", reason="Keras does not train on NumPy")


def stateful_pair(cell: str, wrapped: bool) -> tuple[keras.Model, Any, Any]:
    """A model of a stateful layer and a `Dense`, that layer, and a stock layer, not stateful, that gives states."""
    layer = getattr(ours, cell)(4, stateful=True)
    stock = getattr(L, cell)(4, return_state=True)
    if wrapped:
        layer, stock = ours.Bidirectional(layer), L.Bidirectional(stock)
    model = keras.Sequential([keras.Input(batch_shape=(4, 3, 3)), layer, L.Dense(1)])
    assert layer.engine == "native"
    stock(X)
    stock.set_weights(layer.get_weights())
    return model, layer, stock


def run(model: keras.Model, how: str, piece: Any) -> None:
    if how == "call":
        model(keras.ops.convert_to_tensor(piece))
    elif how == "predict":
        model.predict(piece, batch_size=4, verbose=0)
    elif how == "predict_on_batch":
        model.predict_on_batch(piece)
    elif how == "stateless_call":
        trainable, others = model.trainable_variables, model.non_trainable_variables
        _, values = model.stateless_call([v.value for v in trainable], [v.value for v in others], piece)
        for variable, value in zip(others, values, strict=True):
            variable.assign(value)
    else:
        # Weights must stay for the pieces to be those of one run: the optimizer has no rate.
        model.compile(loss="mse", optimizer=keras.optimizers.SGD(0.0))
        y = np.ones((4, 1))
        {
            "fit": lambda: model.fit(piece, y, batch_size=4, shuffle=False, verbose=0),
            "train_on_batch": lambda: model.train_on_batch(piece, y),
            "evaluate": lambda: model.evaluate(piece, y, batch_size=4, verbose=0),
            "test_on_batch": lambda: model.test_on_batch(piece, y),
        }[how]()


WAYS = ["call", "predict", "predict_on_batch", "stateless_call"]
TRAINING = ["fit", "train_on_batch", "evaluate", "test_on_batch"]


def assert_states(layer: Any, stock: Any, pieces: list[Any]) -> None:
    """The layer's states are those of the stock layer after all pieces, each read on from the states before."""
    states: Any = None
    for piece in pieces:
        _, *states = stock(piece, initial_state=states)
    for actual, expected in zip(layer.states, states, strict=True):
        assert error(numpy(actual), numpy(expected)) < KERAS


@CELLS
@pytest.mark.parametrize("wrapped", [False, True])
def test_every_way_to_run_a_model_carries_the_states(cell: str, wrapped: bool) -> None:
    model, layer, stock = stateful_pair(cell, wrapped)
    ways = WAYS + (TRAINING if BACKEND != "numpy" else [])
    if cell != "LSTM":  # one after the other all the same, but not every one compiled for every layer
        ways = [way for way in ways if way not in ("stateless_call", "train_on_batch", "test_on_batch")]
    seen = []
    for number, way in enumerate(ways):
        seen.append(PIECES[number % 4])
        run(model, way, seen[-1])
        assert_states(layer, stock, seen)
    layer.reset_state()
    assert all(not numpy(state).any() for state in layer.states)
    run(model, "predict", PIECES[0])
    assert_states(layer, stock, PIECES[:1])
    assert len(model.get_weights()) == 2 + len(layer.get_weights())
    assert len(layer.get_weights()) == (6 if wrapped else 3)  # states are no weights


def test_states_are_in_the_state_tree_of_a_model() -> None:
    """Of which checkpoints by Orbax are made; every variable needs a path of its own."""
    model, layer, stock = stateful_pair("LSTM", wrapped=True)
    model.compile(loss="mse", optimizer="sgd")
    run(model, "call", PIECES[0])
    tree = model.get_state_tree(value_format="numpy_array")
    layer.reset_state()
    model.set_state_tree(tree)
    assert_states(layer, stock, PIECES[:1])


def test_batches_of_one_call_follow_one_another() -> None:
    model, layer, stock = stateful_pair("LSTM", wrapped=True)
    outputs = model.predict(np.concatenate(PIECES), batch_size=4, verbose=0)
    assert_states(layer, stock, PIECES)
    layer.reset_state()
    expected = np.concatenate([model.predict_on_batch(piece) for piece in PIECES])
    assert error(outputs, expected) < KERAS


def test_the_pieces_are_the_whole() -> None:
    model, _, stock = stateful_pair("GRU", wrapped=False)
    last, _ = stock(X)
    for piece in PIECES:
        output = model.predict(piece, batch_size=4, verbose=0)
    assert error(output, numpy(model.layers[-1](last))) < KERAS


@trains
@CELLS
@pytest.mark.parametrize("wrapped", [False, True])
def test_training_goes_on_from_the_states(cell: str, wrapped: bool) -> None:
    """Against stock layers that get the states of the batch before by hand, with a rate that does move the weights."""
    model, layer, stock = stateful_pair(cell, wrapped)
    head = model.layers[-1]
    inputs, states = keras.Input(batch_shape=(4, 3, 3)), [keras.Input((4,)) for _ in layer.states]
    output, *after = stock(inputs, initial_state=states)
    by_hand = keras.Model([inputs, *states], [L.Dense(1, name="head")(output), *after])
    by_hand.get_layer("head").set_weights(head.get_weights())
    targets = np.cos(np.arange(16.0)).reshape(4, 4, 1)
    for each in (model, by_hand):
        loss = "mse" if each is model else ["mse", *[None] * len(states)]
        each.compile(loss=loss, optimizer=keras.optimizers.SGD(0.3))
    losses = []
    carried = [np.zeros((4, 4), "float32") for _ in states]
    for piece, y in zip(PIECES, targets, strict=True):
        _, *following = by_hand([piece, *carried])  # before the weights move
        by_hand.reset_metrics()
        losses.append(by_hand.train_on_batch([piece, *carried], [y, *carried]))
        carried = [numpy(state) for state in following]
    history = []
    for piece, y in zip(PIECES, targets, strict=True):
        history += model.fit(piece, y, batch_size=4, shuffle=False, verbose=0).history["loss"]
    assert error(history, [np.ravel(each)[0] for each in losses]) < KERAS
    for actual, expected in zip(model.get_weights(), by_hand.get_weights(), strict=True):
        assert error(actual, expected) < KERAS


def test_given_states_take_the_place_of_those_carried() -> None:
    layer, stock = ours.LSTM(4, stateful=True), L.LSTM(4, stateful=True)
    layer(PIECES[0])
    stock(PIECES[0])
    stock.set_weights(layer.get_weights())
    layer.reset_state()
    stock.reset_state()
    given = [np.ones((4, 4), "float32"), np.zeros((4, 4), "float32")]
    for each in (layer, stock):
        each(PIECES[1])
        each(PIECES[2], initial_state=given)
    assert error(numpy(layer(PIECES[3])), numpy(stock(PIECES[3]))) < KERAS
    for actual, expected in zip(layer.states, stock.states, strict=True):
        assert error(numpy(actual), numpy(expected)) < KERAS


def test_masks_and_layers_that_run_in_stock_keras() -> None:
    mask = np.random.default_rng(1).random((4, 3)) < 0.6
    for options in ({}, {"activation": "relu"}):
        pair = [home.Bidirectional(home.LSTM(4, stateful=True, **options)) for home in (ours, L)]
        for each in pair:
            each(PIECES[0])
        pair[1].set_weights(pair[0].get_weights())
        for each in pair:
            each.reset_states()
            each(PIECES[0], mask=keras.ops.convert_to_tensor(mask))
        for actual, expected in zip(pair[0].states, pair[1].states, strict=True):
            assert error(numpy(actual), numpy(expected)) < KERAS
        model = keras.Sequential([keras.Input(batch_shape=(4, 3, 3)), pair[0]])
        outputs = model.predict(PIECES[1], batch_size=4, verbose=0), numpy(pair[1](PIECES[1]))
        assert error(*outputs) < KERAS
        assert error(numpy(pair[0].states[0]), numpy(pair[1].states[0])) < KERAS


def test_another_size_of_the_batch_is_refused() -> None:
    for layer in (ours.LSTM(4, stateful=True), ours.Bidirectional(ours.LSTM(4, stateful=True))):
        layer(PIECES[0])
        with pytest.raises(ValueError, match=rf"batch size|are for {len(PIECES[0])} sequences"):
            layer(PIECES[0][:2])
    with pytest.raises(AttributeError, match="must be stateful"):
        ours.Bidirectional(ours.LSTM(4)).reset_state()


class _Resetting(keras.callbacks.Callback):  # type: ignore[misc]
    def __init__(self, layer: Any, sync: bool) -> None:
        super().__init__()
        self.layer, self.sync = layer, sync

    def on_predict_batch_end(self, batch: int, logs: Any = None) -> None:
        if self.sync and BACKEND == "jax":
            self.model.jax_state_sync()
        self.layer.reset_state()


def test_a_callback_resets_the_states_between_batches() -> None:
    model, layer, _ = stateful_pair("LSTM", wrapped=True)
    twice = np.concatenate([PIECES[0], PIECES[0]])
    first, second = np.split(model.predict(twice, batch_size=4, verbose=0, callbacks=[_Resetting(layer, True)]), 2)
    np.testing.assert_array_equal(first, second)
    if BACKEND == "jax":
        with pytest.raises(InputError, match=r"Call model\.jax_state_sync\(\) first"):
            model.predict(twice, batch_size=4, verbose=0, callbacks=[_Resetting(layer, False)])


def ones(self: Any, batch_size: int | None = None) -> list[Any]:
    """Initial states of a layer's, or a cell's, own."""
    return [keras.ops.ones((batch_size, self.units))] * 2


@keras.saving.register_keras_serializable()
class FromOnes(keras.layers.LSTM):  # type: ignore[misc]
    get_initial_state = ones


@keras.saving.register_keras_serializable()
class CellFromOnes(keras.layers.LSTMCell):  # type: ignore[misc]
    get_initial_state = ones


STARTS: dict[str, Any] = {
    "layer": lambda **how: FromOnes(4, **how),
    "cell": lambda **how: L.RNN(CellFromOnes(4), **how),
    "stack": lambda **how: L.RNN([CellFromOnes(3), L.GRUCell(4)], **how),
}


@pytest.mark.parametrize("start", STARTS)
@pytest.mark.parametrize("wrapped", ["alone", "both", "forward side", "ours"])
def test_initial_states_of_its_own(start: str, wrapped: str) -> None:
    made, states = STARTS[start], start == "layer"
    back = L.LSTM(4, go_backwards=True, return_state=states) if wrapped == "forward side" else None
    stock = made(return_state=states)
    stock = stock if wrapped == "alone" else L.Bidirectional(stock, backward_layer=back)
    expected = stock(X)
    if wrapped == "ours":
        layer = ours.Bidirectional(made(return_state=states))
        layer(X)
        layer.set_weights(stock.get_weights())
        assert layer.engine == "native"
    else:
        layer = stock
        assert bothways.accelerate(layer).layers[0].engine == "native"
    for actual, one in zip(keras.tree.flatten(layer(X)), keras.tree.flatten(expected), strict=True):
        assert error(numpy(actual), numpy(one)) < KERAS

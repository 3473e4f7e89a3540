"""`accelerate`: what it finds, what it says, that it can be undone, and that files stay those of stock Keras."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import jax
import keras
import numpy as np
import pytest

from bothways import accelerate, engine
from bothways import layers as ours
from bothways.errors import InputError
from bothways.layers import LSTM, ops
from tolerances import INT8, KERAS, error

X = np.random.default_rng(0).normal(size=(4, 6, 3)).astype("float32")
Y = np.ones((4, 6, 1))
L = keras.layers
ELU = "activation=keras.activations.elu; the engine has tanh, sigmoid, relu, linear, hard_sigmoid"


def outputs(model: Any) -> Any:
    """Those for X; compiled anew, for compiling a whole model takes less than each operation by itself."""
    return np.asarray(jax.jit(lambda x: model(x))(X))


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A 1 for each call of the engine; where a model is compiled, when it is."""
    found: list[int] = []
    recurrence = ops.recurrence

    def counted(*arguments: Any, **options: Any) -> Any:
        found.append(1)
        return recurrence(*arguments, **options)

    monkeypatch.setattr(ops, "recurrence", counted)
    return found


def nested_model() -> keras.Model:
    """Two directions in a model in the model, a simple layer, one for each step of a step, one that stays stock."""
    inner = keras.Sequential([L.Bidirectional(L.LSTM(5, return_sequences=True), name="both")], name="inner")
    x = keras.Input((6, 3))
    h = L.SimpleRNN(4, return_sequences=True, name="simple")(inner(x))
    h = L.TimeDistributed(L.GRU(3, name="each"))(L.Reshape((6, 4, 1))(h))
    h = L.LSTM(2, activation="elu", return_sequences=True, name="stock")(h)
    return keras.Model(x, L.Dense(1)(h))


def test_every_recurrent_layer_is_reported() -> None:
    acceleration = accelerate(nested_model())
    assert sorted(acceleration.layers) == [
        ("both", "Bidirectional", "native"),
        ("each", "GRU", "native"),
        ("simple", "SimpleRNN", "native"),
        ("stock", "LSTM", ELU),
    ]
    assert "both    Bidirectional  native\n" in f"{acceleration}\n"
    assert str(accelerate(keras.Sequential([L.Dense(1)]))) == "There is no layer for the engine in this model."


def test_numbers_stay_and_the_engine_runs(calls: list[int]) -> None:
    model = nested_model()
    expected = model.predict(X, verbose=0)  # compiles a step with stock layers, which has to go
    acceleration = accelerate(model)
    assert error(model.predict(X, verbose=0), expected) < KERAS
    assert calls
    acceleration.undo()
    calls.clear()
    np.testing.assert_array_equal(model.predict(X, verbose=0), expected)
    assert not calls
    acceleration.undo()


@pytest.mark.slow
def test_training_goes_on_from_stock_keras() -> None:
    def tagger() -> keras.Model:
        both = L.Bidirectional(L.LSTM(4, return_sequences=True))
        return keras.Sequential([keras.Input((6, 3)), both, L.TimeDistributed(L.Dense(1))])

    models = tagger(), tagger()
    models[1].set_weights(models[0].get_weights())
    for model in models:
        model.compile(loss="mse", optimizer="adam")
        model.fit(X, Y, epochs=2, shuffle=False, verbose=0)
    accelerate(models[0])
    for model in models:
        model.fit(X, Y, epochs=5, shuffle=False, verbose=0)
    assert error(*(model.predict(X, verbose=0) for model in models)) < 1e-3  # 7 updates of Adam apart


@pytest.mark.parametrize("built", [False, True])
def test_a_model_need_not_be_built(built: bool) -> None:
    model = keras.Sequential([L.Bidirectional(L.LSTM(3), backward_layer=L.LSTM(4, go_backwards=True))])
    stock = keras.models.clone_model(model)
    stock(X)
    if built:
        model(X)
    accelerate(model)
    model(X)
    model.set_weights(stock.get_weights())
    assert error(model(X), stock(X)) < KERAS


def test_files_are_those_of_stock_keras(tmp_path: Path) -> None:
    model = nested_model()
    accelerate(model)
    path = tmp_path / "model.keras"
    model.save(path)
    assert "bothways" not in zipfile.ZipFile(path).read("config.json").decode()
    loaded = keras.models.load_model(path)
    assert [layer.engine for layer in accelerate(loaded).layers].count("native") == 3
    assert error(loaded.predict(X, verbose=0), model.predict(X, verbose=0)) < KERAS


def test_again_and_on_our_own_layers() -> None:
    model = keras.Sequential([keras.Input((6, 3)), L.LSTM(4, return_sequences=True), LSTM(4)])
    first, second = accelerate(model), accelerate(model)
    assert [layer.engine for layer in first.layers] == [layer.engine for layer in second.layers] == ["native"] * 2
    second.undo()
    assert "inner_loop" in vars(model.layers[0])
    first.undo()
    assert "inner_loop" not in vars(model.layers[0])
    assert "inner_loop" not in vars(model.layers[1])


def test_a_layer_that_changes_goes_back_to_stock_keras() -> None:
    model = keras.Sequential([keras.Input((6, 3)), L.LSTM(4)])
    accelerate(model)
    model.layers[0].cell.activation = keras.activations.relu
    assert model(X).shape == (4, 4)


def test_a_dense_layer_at_every_step_is_one_product() -> None:
    dense = L.TimeDistributed(L.Dense(2, activation="softmax"), name="steps")
    model = keras.Sequential([keras.Input((None, 3)), dense])
    expected = outputs(model)
    acceleration = accelerate(model)
    assert str(acceleration) == "steps  TimeDistributed  all steps in one product"
    assert error(outputs(model), expected) < KERAS
    acceleration.undo()
    assert "call" not in vars(dense)
    assert not accelerate(keras.Sequential([L.TimeDistributed(L.Dropout(0.5))])).layers


@pytest.mark.parametrize("wrapped", [False, True])
def test_wrong_input_is_named(wrapped: bool) -> None:
    layer = L.Bidirectional(L.LSTM(4)) if wrapped else L.LSTM(4)
    layer(X)
    accelerate(layer)
    with pytest.raises(InputError, match=r"sequences has shape \(4, 6, 2\): 2 features; .* was built for 3"):
        layer(X[..., :2])
    with pytest.raises(InputError, match=r"mask has shape \(4, 5\)"):
        layer(X, mask=np.ones((4, 5), bool))
    with pytest.raises(InputError, match="initial_state has shapes"):
        layer(X, initial_state=[X[:, 0]])


class Mine(keras.layers.LSTM):  # type: ignore[misc]
    """A layer of a user, who has changed nothing of how it runs."""


class Halving(keras.layers.LSTM):  # type: ignore[misc]
    """One with a cell of its own."""

    def __init__(self, units: int, **options: Any) -> None:
        super().__init__(units, **options)
        self.cell = HalvingCell(units)


class HalvingCell(keras.layers.LSTMCell):  # type: ignore[misc]
    def call(self, inputs: Any, states: Any, training: bool = False) -> Any:
        h, states = super().call(inputs, states, training)
        return h / 2, states


def test_layers_of_users(calls: list[int]) -> None:
    """What is said to be native is, and what has a loop or a cell of its own is left alone."""
    model = keras.Sequential(
        [keras.Input((6, 3)), Mine(4, return_sequences=True, name="mine"), Halving(4, name="half")]
    )
    expected = outputs(model)
    acceleration = accelerate(model)
    reason = "HalvingCell is a cell with its own call; the engine has that of Keras"
    assert acceleration.layers == (("mine", "Mine", "native"), ("half", "Halving", reason))
    assert error(outputs(model), expected) < KERAS
    assert calls == [1]
    acceleration.undo()
    np.testing.assert_array_equal(outputs(model), expected)
    assert calls == [1]


class Reader(keras.Model):  # type: ignore[misc]
    """A subclassed model with a model inside, a list of layers, and a recurrent layer in wrappers in wrappers."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = keras.Sequential([L.Bidirectional(L.GRU(4, return_sequences=True), name="nested")])
        self.stack = [L.LSTM(4, return_sequences=True, name="first"), L.LSTM(4, return_sequences=True, name="second")]
        steps = L.TimeDistributed(L.Bidirectional(L.SimpleRNN(2), name="deep"), name="outer")
        self.wrapped = steps
        self.custom = L.RNN([L.LSTMCell(3), L.GRUCell(3)], name="cells")

    def call(self, x: Any, training: bool = False) -> Any:
        h = self.inner(x)
        for layer in self.stack:
            h = layer(h, training=training)
        return self.custom(self.wrapped(keras.ops.reshape(h, (-1, 6, 4, 1))))


@pytest.mark.slow
def test_a_subclassed_model(calls: list[int]) -> None:
    model = Reader()
    model(keras.Input((6, 3)))  # builds it
    expected = outputs(model)
    acceleration = accelerate(model)
    assert {layer.name: layer.engine for layer in acceleration.layers} == {
        "nested": "native",
        "first": "native",
        "second": "native",
        "deep": "native",
        "cells": "native",
    }
    assert error(outputs(model), expected) < KERAS
    assert len(calls) >= 6
    acceleration.undo()
    calls.clear()
    np.testing.assert_array_equal(outputs(model), expected)
    assert not calls


def test_a_functional_model_with_masks_states_and_shared_layers() -> None:
    x = keras.Input((6, 3))
    shared = L.LSTM(4, return_sequences=True, return_state=True, name="shared")
    h, *states = shared(L.Masking()(x))
    again, *_ = shared(L.Dense(3)(h), initial_state=states)
    forward, backward = L.Bidirectional(L.GRU(3, return_sequences=True), merge_mode=None, name="apart")(again)
    model = keras.Model(x, [forward, backward, *states])
    padded = np.where(np.arange(6)[:, None] < 4, X, 0).astype("float32")
    expected = model.predict(padded, verbose=0)
    acceleration = accelerate(model)
    assert sorted(acceleration.layers) == [("apart", "Bidirectional", "native"), ("shared", "LSTM", "native")]
    for actual, value in zip(model.predict(padded, verbose=0), expected, strict=True):
        assert error(actual, value) < KERAS
    acceleration.undo()
    for actual, value in zip(model.predict(padded, verbose=0), expected, strict=True):
        np.testing.assert_array_equal(actual, value)


def test_what_is_inside_of_a_layer_that_is_not_accelerated_is() -> None:
    """A `Bidirectional` over two kinds: stock Keras runs both sides, one of them on the engine."""
    layer = L.Bidirectional(
        L.LSTM(4, name="tanh"), backward_layer=L.LSTM(4, activation="elu", go_backwards=True, name="elu")
    )
    model = keras.Sequential([keras.Input((6, 3)), layer])
    expected = outputs(model)
    engines = {report.name: report.engine for report in accelerate(model).layers}
    assert engines == {layer.name: f"backward layer: {ELU}", "forward_tanh": "native", "elu": ELU}
    assert error(outputs(model), expected) < KERAS


def test_a_single_layer_and_what_is_added_later() -> None:
    layer = L.GRU(4)
    assert accelerate(layer).layers == ((layer.name, "GRU", "native"),)
    model = keras.Sequential([keras.Input((6, 3)), layer])
    model.add(L.Reshape((4, 1)))
    model.add(L.GRU(2, name="late"))
    assert "inner_loop" not in vars(model.get_layer("late"))
    assert [report.engine for report in accelerate(model).layers] == ["native", "native"]
    assert "inner_loop" in vars(model.get_layer("late"))


@pytest.mark.parametrize("model", [None, "model.keras", [], keras.layers.LSTM])
def test_what_is_no_model_is_named(model: Any) -> None:
    with pytest.raises(InputError, match=r"model is .*; give a Keras model or layer"):
        accelerate(model)


@pytest.mark.parametrize("home", [L, ours], ids=["stock", "ours"])
@pytest.mark.parametrize("cell", ["LSTM", "GRU", "SimpleRNN"])
def test_int8_gives_the_numbers_of_the_engine(home: Any, cell: str) -> None:
    layer = getattr(home, cell)(5, return_sequences=True)
    model = keras.Sequential([keras.Input((6, 3)), layer])
    expected = outputs(model)
    acceleration = accelerate(model, precision="int8")
    assert [each.engine for each in acceleration.layers] == ["native, in int8"]
    name = {"LSTM": "lstm", "GRU": "gru", "SimpleRNN": "rnn"}[cell]
    kernel, recurrent_kernel, bias = layer.get_weights()
    directions = [engine.Direction(kernel, recurrent_kernel, bias, cell=name)]
    np.testing.assert_array_equal(outputs(model), engine.run(X, directions, precision="int8").outputs)
    acceleration.undo()
    np.testing.assert_array_equal(outputs(model), expected)


@pytest.mark.slow
def test_int8_is_for_inference_in_the_whole_model() -> None:
    keras.utils.set_random_seed(0)
    model = nested_model()
    model.compile("sgd", "mse")
    expected = model.predict(X, verbose=0)
    acceleration = accelerate(model, precision="int8")
    kinds = {each.name: each.engine for each in acceleration.layers}
    assert kinds == {"both": "native, in int8", "simple": "native, in int8", "each": "native, in int8", "stock": ELU}
    assert accelerate(model).layers == acceleration.layers, "still in int8, until it is undone"
    assert KERAS < error(model.predict(X, verbose=0), expected) < INT8
    assert np.isfinite(model.evaluate(X, np.ones((4, 6, 1)), verbose=0))
    with pytest.raises(InputError, match=r"int8 is for inference: it has no gradients\. Call undo"):
        model.fit(X, np.ones((4, 6, 1)), verbose=0)
    with pytest.raises(InputError, match="int8 is for inference: it has no gradients"):
        jax.grad(lambda x: model(x).sum())(X)
    acceleration.undo()
    model.fit(X, np.ones((4, 6, 1)), verbose=0)


def test_another_precision_is_refused() -> None:
    with pytest.raises(InputError, match=r"There is no precision 'float16' here\. Use None, or 'int8'"):
        accelerate(nested_model(), precision="float16")

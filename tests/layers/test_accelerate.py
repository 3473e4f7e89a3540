"""`accelerate`: what it finds, what it says, that it can be undone, and that files stay those of stock Keras."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from bothways import accelerate
from bothways.layers import LSTM, ops
from tolerances import KERAS, error

X = np.random.default_rng(0).normal(size=(4, 6, 3)).astype("float32")
Y = np.ones((4, 6, 1))
L = keras.layers


def nested_model() -> keras.Model:
    """Two directions in a model in the model, a simple layer, one for each step of a step, one that stays stock."""
    inner = keras.Sequential([L.Bidirectional(L.LSTM(5, return_sequences=True), name="both")], name="inner")
    x = keras.Input((6, 3))
    h = L.SimpleRNN(4, return_sequences=True, name="simple")(inner(x))
    h = L.TimeDistributed(L.GRU(3, name="each"))(L.Reshape((6, 4, 1))(h))
    h = L.LSTM(2, activation="relu", return_sequences=True, name="stock")(h)
    return keras.Model(x, L.Dense(1)(h))


def test_every_recurrent_layer_is_reported() -> None:
    acceleration = accelerate(nested_model())
    assert sorted(acceleration.layers) == [
        ("both", "Bidirectional", "native"),
        ("each", "GRU", "native"),
        ("simple", "SimpleRNN", "native"),
        ("stock", "LSTM", "activation='relu'; the engine has tanh"),
    ]
    assert "both    Bidirectional  native\n" in f"{acceleration}\n"
    assert str(accelerate(keras.Sequential([L.Dense(1)]))) == "There is no layer for the engine in this model."


def test_numbers_stay_and_the_engine_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    model = nested_model()
    expected = model.predict(X, verbose=0)  # compiles a step with stock layers, which has to go
    calls = []
    recurrence = ops.recurrence

    def counted(*arguments: Any, **options: Any) -> Any:
        calls.append(1)
        return recurrence(*arguments, **options)

    monkeypatch.setattr(ops, "recurrence", counted)
    acceleration = accelerate(model)
    assert error(model.predict(X, verbose=0), expected) < KERAS
    assert calls
    acceleration.undo()
    calls.clear()
    np.testing.assert_array_equal(model.predict(X, verbose=0), expected)
    assert not calls
    acceleration.undo()


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
    model.layers[0].unroll = True
    assert model(X).shape == (4, 4)


def test_a_dense_layer_at_every_step_is_one_product() -> None:
    dense = L.TimeDistributed(L.Dense(2, activation="softmax"), name="steps")
    model = keras.Sequential([keras.Input((None, 3)), dense])
    expected = np.asarray(model(X))
    acceleration = accelerate(model)
    assert str(acceleration) == "steps  TimeDistributed  all steps in one product"
    assert error(model(X), expected) < KERAS
    acceleration.undo()
    assert "call" not in vars(dense)
    assert not accelerate(keras.Sequential([L.TimeDistributed(L.Dropout(0.5))])).layers

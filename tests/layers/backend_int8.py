"""Models of Keras that predict in int8, by `accelerate`; `test_backends.py` runs this on each backend."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

import bothways
from bothways import engine
from bothways import layers as ours
from bothways.errors import InputError

L = keras.layers
X = np.random.default_rng(0).normal(size=(5, 7, 3)).astype("float32")


@pytest.mark.parametrize("home", [L, ours], ids=["stock", "ours"])
def test_both_directions_predict_as_the_engine_does(home: Any) -> None:
    layer = home.Bidirectional(home.LSTM(8, return_sequences=True))
    model = keras.Sequential([keras.Input((7, 3)), layer])
    before = model.predict(X, verbose=0)
    acceleration = bothways.accelerate(model, precision="int8")
    w, u, b, w_back, u_back, b_back = layer.get_weights()
    directions = [engine.Direction(w, u, b), engine.Direction(w_back, u_back, b_back, reverse=True)]
    expected = engine.run(X, directions, precision="int8").outputs
    np.testing.assert_array_equal(model.predict(X, verbose=0), expected)
    acceleration.undo()
    np.testing.assert_array_equal(model.predict(X, verbose=0), before)


@pytest.mark.skipif(keras.backend.backend() == "numpy", reason="Keras does not train on NumPy")
def test_training_is_refused() -> None:
    model = keras.Sequential([keras.Input((7, 3)), L.GRU(4)])
    model.compile("sgd", "mse")
    acceleration = bothways.accelerate(model, precision="int8")
    with pytest.raises(InputError, match="int8 is for inference"):
        model.fit(X, np.ones((5, 4)), verbose=0)
    acceleration.undo()
    model.fit(X, np.ones((5, 4)), verbose=0)

"""A Keras that is not as the engine knows it: stock Keras runs, and the layer says why."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import pytest

from bothways import accelerate
from bothways.errors import InputError
from bothways.layers import LSTM, Bidirectional, ops, seams
from tolerances import KERAS, error

X = np.random.default_rng(0).normal(size=(2, 5, 3)).astype(np.float32)
WHY = f"Keras {keras.__version__} is not as the engine knows it: "


@pytest.fixture(autouse=True)
def forget() -> Iterator[None]:
    """What was found is kept; here Keras changes."""
    seams.looked.clear()
    yield
    seams.looked.clear()


def test_this_keras_is_known() -> None:
    assert seams.why_not() is None


def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    layer, stock = LSTM(4), keras.layers.LSTM(4)
    layer.build(X.shape)
    stock.build(X.shape)
    stock.set_weights(layer.get_weights())
    expected = layer(X)
    seams.looked.clear()
    parent = next(kind for kind in keras.layers.LSTMCell.__mro__ if "get_recurrent_dropout_mask" in vars(kind))
    monkeypatch.delattr(parent, "get_recurrent_dropout_mask")
    assert layer.engine == WHY + "there is no layers.LSTMCell.get_recurrent_dropout_mask"
    assert Bidirectional(LSTM(4)).engine == "forward layer: " + layer.engine
    assert accelerate(stock).layers[0].engine == layer.engine
    monkeypatch.undo()
    assert error(layer(X), expected) < KERAS


def test_another_signature_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def inner_loop(self: Any, inputs: Any, initial_state: Any, mask: Any) -> None: ...

    inner_loop.__module__ = "keras.src.layers.rnn.rnn"
    monkeypatch.setattr(keras.layers.RNN, "inner_loop", inner_loop)
    came = "(self: 'Any', inputs: 'Any', initial_state: 'Any', mask: 'Any') -> 'None'"
    assert LSTM(4).engine == WHY + f"layers.RNN.inner_loop is {came}"


def test_another_way_to_call_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    stock = keras.layers.RNN.call

    def call(self: Any, sequences: Any, initial_state: Any = None, mask: Any = None, training: bool = False) -> Any:
        return stock(self, sequences, initial_state, mask, training)

    call.__module__ = stock.__module__
    monkeypatch.setattr(keras.layers.RNN, "call", call)
    layer = LSTM(4)
    assert layer.engine == WHY + "layers.RNN.call makes no use of inner_loop"


def test_accelerate_needs_to_find_layers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(keras.Layer, "_flatten_layers")
    with pytest.raises(InputError, match=r"accelerate cannot look into models: Keras .* there is no Layer._flatten_l"):
        accelerate(keras.layers.LSTM(4))


def test_a_backend_that_is_not_known_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def changed(name: str) -> Any:
        raise ImportError("cannot import name 'ad' from 'jax.interpreters'")

    with monkeypatch.context() as patch:
        patch.setattr(importlib, "import_module", changed)
        backend, why = ops.loaded("jax")
    assert backend is None
    assert why.startswith("jax 0")
    assert why.endswith(" is not as the engine knows it: cannot import name 'ad' from 'jax.interpreters'")


def test_masks_go_on_where_keras_does_not_pass_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """Layers that mask nothing for the next one, as those of Keras may come to be."""
    stock = keras.layers.RNN.__init__

    def begin(self: Any, *arguments: Any, **options: Any) -> None:
        stock(self, *arguments, **options)
        self.supports_masking = False

    monkeypatch.setattr(keras.layers.RNN, "__init__", begin)
    model = keras.Sequential(
        [keras.Input((5, 3)), keras.layers.Masking(), LSTM(4, return_sequences=True), LSTM(4)],
    )
    padded = np.concatenate([X, np.zeros_like(X)], axis=1)
    assert error(model(padded), model(X)) < KERAS

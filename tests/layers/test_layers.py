"""What the layers promise beyond their numbers: state, files, shapes, and saying when stock Keras runs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import warnings
from functools import partial
from pathlib import Path
from typing import Any

import jax
import keras
import numpy as np
import pytest

from bothways.errors import InputError
from bothways.layers import LSTM, RNN, Bidirectional
from bothways.layers.backend import WRITTEN_BY_KERAS, choose_backend
from tolerances import KERAS, error

X = np.random.default_rng(0).normal(size=(4, 6, 3)).astype("float32")


def tagger(wrapper: Any = Bidirectional, lstm: Any = LSTM) -> keras.Model:
    model = keras.Sequential(
        [
            keras.Input((6, 3)),
            wrapper(lstm(5, return_sequences=True)),
            keras.layers.TimeDistributed(keras.layers.Dense(1, activation="sigmoid")),
        ]
    )
    model.compile(loss="binary_crossentropy", optimizer="adam", metrics=["accuracy"])
    return model


def test_fit_gives_the_same_model_as_stock_keras() -> None:
    y = (X.sum(axis=-1, keepdims=True).cumsum(axis=1) > 0).astype("float32")
    ours, stock = tagger(), tagger(keras.layers.Bidirectional, keras.layers.LSTM)
    stock.set_weights(ours.get_weights())
    before = ours.evaluate(X, y, verbose=0)[0]
    for model in (ours, stock):
        model.fit(X, y, epochs=20, batch_size=2, shuffle=False, verbose=0)
    assert ours.evaluate(X, y, verbose=0)[0] < before
    assert error(ours.predict(X, verbose=0), stock.predict(X, verbose=0)) < 1e-3  # 40 updates of Adam apart


def test_masking_layers_reach_the_engine() -> None:
    def model(wrapper: Any, lstm: Any) -> keras.Model:
        return keras.Sequential(
            [
                keras.Input((6,), dtype="int32"),
                keras.layers.Embedding(9, 4, mask_zero=True),
                wrapper(lstm(5, return_sequences=True)),
                wrapper(lstm(5)),
            ]
        )

    ours, stock = model(Bidirectional, LSTM), model(keras.layers.Bidirectional, keras.layers.LSTM)
    stock.set_weights(ours.get_weights())
    tokens = np.array([[1, 2, 3, 0, 0, 0], [0, 0, 4, 5, 6, 7], [0, 0, 0, 0, 0, 0], [1, 0, 2, 0, 3, 0]])
    assert error(ours.predict(tokens, verbose=0), stock.predict(tokens, verbose=0)) < KERAS


@pytest.mark.parametrize("make", [lambda: LSTM(5, stateful=True), lambda: Bidirectional(LSTM(5, stateful=True))])
def test_stateful_layers_go_on_where_they_stopped(make: Any) -> None:
    stateful = make()
    whole = type(stateful).from_config(stateful.get_config() | {"name": "whole"})
    stateful(X[:, :3])
    if isinstance(stateful, LSTM):
        expected = LSTM(5)
        expected(X)
        expected.set_weights(stateful.trainable_variables)
        assert error(stateful(X[:, 3:]), expected(X)) < KERAS
    first = np.asarray(stateful(X[:, 3:]))
    stateful.reset_state() if isinstance(stateful, LSTM) else stateful.reset_states()
    again = np.asarray(stateful(X[:, 3:]))
    assert error(first, again) > 1e-3
    assert whole.name == "whole"


def test_a_saved_model_loads_and_predicts_the_same(tmp_path: Path) -> None:
    model = tagger()
    model.fit(X, np.ones((4, 6, 1)), verbose=0)
    path = tmp_path / "tagger.keras"
    model.save(path)
    loaded = keras.models.load_model(path)
    assert [layer.engine for layer in loaded.layers if hasattr(layer, "engine")] == ["native"]
    np.testing.assert_array_equal(loaded.predict(X, verbose=0), model.predict(X, verbose=0))


def test_clone_and_config_round_trip() -> None:
    model = tagger()
    clone = keras.models.clone_model(model)
    clone.set_weights(model.get_weights())
    np.testing.assert_array_equal(clone.predict(X, verbose=0), model.predict(X, verbose=0))
    assert isinstance(clone.layers[0].forward_layer, LSTM)


@pytest.mark.parametrize("wrapper", [Bidirectional, keras.layers.Bidirectional])
def test_both_outputs_apart_in_a_sequential_model(wrapper: Any) -> None:
    layers = [keras.Input((6, 3)), keras.layers.Masking(), wrapper(LSTM(5, return_sequences=True), merge_mode=None)]
    assert [o.shape for o in keras.Sequential(layers).predict(X, verbose=0)] == [(4, 6, 5), (4, 6, 5)]
    assert keras.Sequential([*layers, keras.layers.Concatenate()]).predict(X, verbose=0).shape == (4, 6, 10)


def test_symbolic_shapes_are_those_of_keras() -> None:
    x = keras.Input((None, 3))
    assert LSTM(5, return_sequences=True)(x).shape == (None, None, 5)
    assert Bidirectional(LSTM(5, return_sequences=True))(x).shape == (None, None, 10)
    assert [o.shape for o in Bidirectional(LSTM(5), merge_mode=None)(x)] == [(None, 5), (None, 5)]


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"activation": "elu"}, "activation=keras.activations.elu; the engine has tanh, sigmoid, relu, linear, "),
        ({"recurrent_activation": "swish"}, "recurrent_activation=keras.activations.silu; the engine has tanh, "),
        ({"dtype": "mixed_float16"}, "computes in float16; the engine has float32 and bfloat16"),
        ({"dropout": 1.0}, "dropout=1.0, of which Keras makes different things; the engine has rates below 1"),
        ({"recurrent_dropout": 1.0}, "recurrent_dropout=1.0, of which Keras makes different things"),
    ],
)
def test_the_reason_for_stock_keras_can_be_read(options: dict[str, Any], reason: str) -> None:
    layer = LSTM(4, return_sequences=True, **options)
    assert layer.engine.startswith(reason)
    assert layer(X).shape == (4, 6, 4)
    both = Bidirectional(LSTM(4, return_sequences=True, **options))
    assert both.engine.startswith(f"forward layer: {reason}")
    assert both(X).shape == (4, 6, 8)


@pytest.mark.parametrize(
    ("function", "name"),
    [
        (keras.ops.arctan, "keras.ops.arctan"),
        (lambda x: x, "a lambda"),
        (partial(keras.ops.elu, alpha=2), "functools.partial"),
        (error, "tolerances.error"),
    ],
)
def test_functions_go_by_the_name_under_which_they_are_found(function: Any, name: str) -> None:
    assert LSTM(4, activation=function).engine.startswith(f"activation={name}; the engine has tanh, ")
    assert LSTM(4, activation=keras.ops.tanh, recurrent_activation=keras.ops.hard_sigmoid).engine == "native"


def test_other_layers_run_in_stock_keras_and_say_so() -> None:
    layer = Bidirectional(keras.layers.GRU(4, activation="elu"))
    assert layer.engine.startswith("forward layer: activation=keras.activations.elu; the engine has tanh")
    assert layer(X).shape == (4, 8)
    layer = keras.layers.RNN([keras.layers.LSTMCell(4), keras.layers.GRUCell(4, activation="elu")])
    layer = Bidirectional(layer)
    assert layer.engine.startswith("forward layer: cell 2 of 2: activation=keras.activations.elu; the engine has ")
    assert layer(X).shape == (4, 8)


def test_subclasses_with_a_loop_of_their_own_keep_it() -> None:
    class Doubling(keras.layers.LSTM):  # type: ignore[misc]
        def inner_loop(self, *arguments: Any, **options: Any) -> Any:
            last, outputs, states = super().inner_loop(*arguments, **options)
            return 2 * last, outputs, states

    layer = Bidirectional(keras.layers.LSTM(4), backward_layer=Doubling(4, go_backwards=True))
    assert layer.engine == "backward layer: Doubling has its own inner_loop; the engine has that of Keras"


def test_an_activity_regularizer_is_applied() -> None:
    layer = Bidirectional(LSTM(4, activity_regularizer="l2"))
    layer(X)
    assert len(layer.losses) == 2
    assert "activity regularizer" in layer.engine


def test_wrong_masks_and_states_are_named() -> None:
    for layer in (LSTM(4), Bidirectional(LSTM(4))):
        with pytest.raises(InputError, match=r"mask has shape \(4, 5\); sequences \(4, 6, 3\) need \(4, 6\)\."):
            layer(X, mask=np.ones((4, 5), bool))
    zero = np.zeros((4, 4), "float32")
    with pytest.raises(InputError, match=r"initial_state has shapes .* needs .*the states of the forward layer"):
        Bidirectional(LSTM(4))(X, initial_state=[zero, zero])


@pytest.mark.parametrize("shape", [(4, 6), (4, 6, 3, 3)])
def test_sequences_of_other_axes_are_named(shape: tuple[int, ...]) -> None:
    """Of a layer of any cell Keras does not know how many there are."""
    for layer in (RNN(keras.layers.LSTMCell(4)), Bidirectional(RNN(keras.layers.LSTMCell(4)))):
        with pytest.raises(InputError, match=r"sequences has shape \(4, 6.*\); give \(batch, time, features\)"):
            layer(np.zeros(shape, "float32"))


@pytest.mark.parametrize("make", [lambda: LSTM(4), lambda: Bidirectional(LSTM(4))])
def test_whole_numbers_and_strides_are_taken(make: Any) -> None:
    layer = make()
    whole = (X > 0).astype(int)
    assert error(layer(whole), layer(whole.astype("float32"))) == 0
    wide = np.repeat(X, 2, axis=2)[:, :, ::2]
    assert error(layer(wide), layer(X)) == 0


def test_unequal_widths_cannot_be_summed() -> None:
    layer = Bidirectional(LSTM(4), backward_layer=LSTM(5, go_backwards=True), merge_mode="sum")
    with pytest.raises(InputError, match=r"merge_mode='sum' needs equal widths"):
        layer(X)


def test_vmap_and_scan_run_the_engine() -> None:
    layer = Bidirectional(LSTM(4))
    expected = np.asarray(layer(X))
    stacked = np.stack([X, 2 * X])
    mapped = jax.vmap(layer)(stacked)
    assert error(mapped[0], expected) < KERAS
    _, scanned = jax.lax.scan(lambda carry, x: (carry, layer(x)), 0, stacked)
    np.testing.assert_array_equal(np.asarray(scanned), np.asarray(mapped))


def run_python(code: str, home: Path, **environment: str) -> str:
    """What `code` prints in a new process, with a home folder and an environment of its own."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(sys.path), "HOME": str(home), **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


@pytest.mark.parametrize(
    ("file", "chosen", "expected"),
    [
        (None, None, "jax"),
        (None, "numpy", "numpy"),
        ('{"backend": "numpy"}', None, None),  # Keras reads it
        ('{"backend": "a backend that is not installed"}', None, "jax"),
        ("not JSON", "jax", "jax"),
        ("not JSON", None, "jax"),
        (json.dumps(WRITTEN_BY_KERAS), None, "jax"),
    ],
)
def test_the_backend_is_jax_unless_the_user_chose(
    file: str | None, chosen: str | None, expected: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if file is not None:
        (tmp_path / "keras.json").write_text(file)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setenv("KERAS_BACKEND", chosen or "")
    for name in ("keras", "tensorflow"):
        monkeypatch.setitem(sys.modules, name, None)
    choose_backend()
    assert (os.environ["KERAS_BACKEND"] or None) == expected


@pytest.mark.slow
def test_what_keras_writes_by_itself_is_known_and_counts_for_nothing(tmp_path: Path) -> None:
    run_python("import keras", tmp_path, KERAS_BACKEND="jax")
    assert json.loads((tmp_path / ".keras" / "keras.json").read_text()) == WRITTEN_BY_KERAS
    assert run_python("import bothways.layers, keras; print(keras.backend.backend())", tmp_path) == "jax"


@pytest.mark.slow
def test_numpy_runs_the_engine_too(tmp_path: Path) -> None:
    (tmp_path / ".keras").mkdir()
    (tmp_path / ".keras" / "keras.json").write_text('{"backend": "numpy"}')
    code = (
        "import numpy as np; from bothways.layers import LSTM; layer = LSTM(4); import keras; "
        "print(layer(np.zeros((2, 3, 1), 'float32')).shape, layer.engine, keras.backend.backend())"
    )
    assert run_python(code, tmp_path) == "(2, 4) native numpy"


@pytest.mark.parametrize("name", ["weights.weights.h5", "model.keras", "model.h5"])
def test_weights_pass_between_stock_layers_and_ours(name: str, tmp_path: Path) -> None:
    ours, stock = tagger(), tagger(keras.layers.Bidirectional, keras.layers.LSTM)
    for saved, other in ((ours, stock), (stock, ours)):
        path = tmp_path / f"{saved.name}-{name}"
        if name == "weights.weights.h5":
            saved.save_weights(path)
            other.set_weights([0 * weight for weight in other.get_weights()])
            other.load_weights(path)
        else:
            with warnings.catch_warnings():  # Keras says of .h5 that it is old
                warnings.simplefilter("ignore")
                saved.save(path)
                other = keras.models.load_model(path)
        assert error(other.predict(X, verbose=0), saved.predict(X, verbose=0)) < KERAS

"""Layers that compute in bfloat16: products on the engine; `test_backends.py` runs this on each backend.

What is expected is of stock Keras: numbers from float32, dtypes from bfloat16.
"""

from __future__ import annotations

import importlib
from typing import Any

import keras
import numpy as np
import pytest

import bothways
from bothways import engine
from bothways import layers as ours
from layer_cases import tensor
from tolerances import BFLOAT16, KERAS, error

L = keras.layers
BACKEND = keras.backend.backend()
RANDOM = np.random.default_rng(0)
X = RANDOM.integers(-8, 9, size=(5, 7, 3)).astype("float32") / 8  # numbers that bfloat16 has
MASK = RANDOM.random((5, 7)) < 0.6
CELLS = pytest.mark.parametrize("cell", ["LSTM", "GRU", "SimpleRNN"])
KINDS = pytest.mark.parametrize("wrapped", [False, True], ids=["one direction", "both"])
POLICIES = pytest.mark.parametrize("policy", ["mixed_bfloat16", "bfloat16"])
trains = pytest.mark.skipif(BACKEND == "numpy", reason="Keras does not train on NumPy")
only_torch = pytest.mark.skipif(BACKEND != "torch", reason="about torch")


def numpy(array: Any) -> Any:
    return keras.ops.convert_to_numpy(keras.ops.cast(array, "float32"))


def dtypes(arrays: Any) -> list[str]:
    return [keras.backend.standardize_dtype(array.dtype) for array in arrays]


def layer_of(home: Any, cell: str, wrapped: bool, policy: str, **options: Any) -> Any:
    # The orthogonal matrices with which Keras starts cannot be made in bfloat16 on the CPU.
    layer = getattr(home, cell)(8, dtype=policy, recurrent_initializer="glorot_uniform", **options)
    return home.Bidirectional(layer, dtype=policy) if wrapped else layer


def same_weights(*layers: Any) -> None:
    """Give all layers the weights of the first, from float32."""
    for layer in layers:
        layer.build(X.shape)
    weights = [numpy(variable.value) for variable in layers[0].weights]
    for layer in layers:
        layer.set_weights(weights)


def outputs_and_gradients(layer: Any, mask: Any, function: Any = None) -> tuple[list[Any], list[Any]]:
    """Outputs, and gradients of a sum of them for every weight; no gradients on NumPy."""
    x, variables = tensor(X), layer.trainable_variables
    function = function or layer

    def loss_of(outputs: list[Any]) -> Any:
        return sum(keras.ops.mean(keras.ops.sin(2 * keras.ops.cast(output, "float32"))) for output in outputs)

    def call() -> list[Any]:
        return list(keras.tree.flatten(function(x, mask=mask)))

    if BACKEND == "jax":
        jax = importlib.import_module("jax")

        def loss(weights: Any) -> Any:
            with keras.StatelessScope(state_mapping=list(zip(variables, weights, strict=True))):
                outputs = call()
            return loss_of(outputs), outputs

        (_, outputs), gradients = jax.jit(jax.value_and_grad(loss, has_aux=True))([v.value for v in variables])
        return outputs, gradients
    if BACKEND == "torch":
        outputs = call()
        torch = importlib.import_module("torch")
        return outputs, list(torch.autograd.grad(loss_of(outputs), [v.value for v in variables]))
    if BACKEND == "tensorflow":
        with importlib.import_module("tensorflow").GradientTape() as tape:
            outputs = call()
            loss_value = loss_of(outputs)
        return outputs, [
            keras.ops.convert_to_tensor(g) for g in tape.gradient(loss_value, [v.value for v in variables])
        ]
    return call(), []


@POLICIES
@KINDS
@CELLS
def test_numbers_are_those_of_float32_and_dtypes_those_of_bfloat16(cell: str, wrapped: bool, policy: str) -> None:
    for return_sequences, mask in ((True, None), (False, MASK)):
        options = {"return_sequences": return_sequences, "return_state": True}
        layer, stock = (layer_of(home, cell, wrapped, policy, **options) for home in (ours, L))
        exact = layer_of(L, cell, wrapped, "float32", **options)
        same_weights(layer, stock, exact)
        assert layer.engine == "native"
        mask = None if mask is None else tensor(mask)
        (outputs, gradients), (others, others_gradients), (expected, expected_gradients) = (
            outputs_and_gradients(each, mask) for each in (layer, stock, exact)
        )
        assert dtypes(outputs) == dtypes(others)
        assert "bfloat16" in dtypes(outputs)
        assert dtypes(gradients) == dtypes(others_gradients)
        for actual, value in zip([*outputs, *gradients], [*expected, *expected_gradients], strict=True):
            assert error(numpy(actual), numpy(value)) < BFLOAT16
        for gradient, value in zip(gradients, expected_gradients, strict=True):  # which may be small
            assert np.abs(numpy(gradient) - numpy(value)).max() < 2 * BFLOAT16 * np.abs(numpy(value)).max()


@KINDS
@pytest.mark.parametrize("cell", ["LSTM", "GRU"])
def test_other_activations(cell: str, wrapped: bool) -> None:
    options = {"activation": "sigmoid", "recurrent_activation": "hard_sigmoid", "return_sequences": True}
    layer = layer_of(ours, cell, wrapped, "mixed_bfloat16", **options)
    exact = layer_of(L, cell, wrapped, "float32", **options)
    same_weights(layer, exact)
    assert layer.engine == "native"
    found = [outputs_and_gradients(each, tensor(MASK)) for each in (layer, exact)]
    for actual, value in zip(*(outputs + gradients for outputs, gradients in found), strict=True):
        assert error(numpy(actual), numpy(value)) < BFLOAT16


@KINDS
def test_symbolic_dtypes_are_those_of_stock_keras(wrapped: bool) -> None:
    found = []
    for home in (ours, L):
        layer = layer_of(home, "LSTM", wrapped, "mixed_bfloat16", return_sequences=True, return_state=True)
        found.append([(each.dtype, each.shape) for each in keras.tree.flatten(layer(keras.Input((None, 3))))])
    assert found[0] == found[1]


def test_the_factors_are_in_bfloat16_and_the_rest_is_in_float32() -> None:
    """A wrapper in float32 shows what the engine gives before it is rounded."""
    layer = ours.Bidirectional(ours.LSTM(8, dtype="mixed_bfloat16", return_sequences=True), dtype="float32")
    layer(X)
    assert layer.engine == "native"
    weights = layer.get_weights()
    sides = zip((weights[:3], weights[3:]), (False, True), strict=True)
    directions = [engine.Direction(kernel, recurrent, bias, reverse) for (kernel, recurrent, bias), reverse in sides]
    precise, rounded = (engine.run(X, directions, precision=precision).outputs for precision in ("float32", "bfloat16"))
    assert error(numpy(layer(X)), rounded) < KERAS < error(precise, rounded)


def test_wrappers_of_another_dtype_than_their_layers() -> None:
    for inside, outside in (("mixed_bfloat16", "float32"), ("float32", "mixed_bfloat16")):
        pair = []
        for home in (ours, L):
            layer = home.GRU(8, dtype=inside, return_sequences=True, return_state=True)
            pair.append(home.Bidirectional(layer, dtype=outside))
        same_weights(*pair)
        assert pair[0].engine == "native"
        outputs = [layer(tensor(X)) for layer in pair]
        assert dtypes(outputs[0]) == dtypes(outputs[1])
        assert error(numpy(outputs[0][0]), numpy(outputs[1][0])) < BFLOAT16


@pytest.mark.parametrize("of_cells", [False, True])
def test_layers_of_two_dtypes_run_one_after_the_other(of_cells: bool) -> None:
    def layer(home: Any, dtype: str, **options: Any) -> Any:
        return home.RNN(L.LSTMCell(8, dtype=dtype), **options) if of_cells else home.LSTM(8, dtype=dtype, **options)

    pair = []
    for home in (ours, L):
        backward = layer(home, "mixed_bfloat16", go_backwards=True)
        pair.append(home.Bidirectional(layer(home, "float32"), backward_layer=backward, dtype="float32"))
    same_weights(*pair)
    assert pair[0].engine == "its layers compute in float32 and bfloat16; the engine has one dtype for both"
    assert pair[0].backward_layer.engine == "native"
    assert error(*(numpy(layer(tensor(X))) for layer in pair)) < BFLOAT16


@KINDS
@CELLS
def test_dropout(cell: str, wrapped: bool) -> None:
    """The masks are those of stock Keras in bfloat16, where TensorFlow draws other ones than in float32."""
    options = {"dropout": 0.4, "recurrent_dropout": 0.5, "return_sequences": True}

    def with_same_randomness(function: Any) -> Any:  # see `backend_dropout.py`
        keras.utils.set_random_seed(3)
        return function()

    layer, stock = (
        with_same_randomness(lambda home=home: layer_of(home, cell, wrapped, "mixed_bfloat16", seed=3, **options))
        for home in (ours, L)
    )
    same_weights(layer, stock)
    for _ in range(2):
        outputs = [
            with_same_randomness(lambda each=each: numpy(each(tensor(X), training=True))) for each in (layer, stock)
        ]
        assert error(*outputs) < 2 * BFLOAT16
    assert error(numpy(layer(X, training=True)), numpy(layer(X))) > 5 * BFLOAT16


@KINDS
def test_stateful_layers(wrapped: bool) -> None:
    """Not against stock Keras in bfloat16, whose states stay zeros on torch."""
    policies = [(ours, "mixed_bfloat16"), (L, "float32")]
    layer, exact = (layer_of(home, "LSTM", wrapped, policy, stateful=True) for home, policy in policies)
    same_weights(layer, exact)
    layer.reset_states()
    exact.reset_states()
    for _ in range(2):
        assert error(*(numpy(each(tensor(X))) for each in (layer, exact))) < 2 * BFLOAT16
    for actual, expected in zip(layer.states, exact.states, strict=True):
        assert actual.dtype == expected.dtype
        assert error(numpy(actual.value), numpy(expected.value)) < 2 * BFLOAT16


def test_layers_of_float32_carry_their_states_in_a_wrapper_of_bfloat16() -> None:
    pair = [
        home.Bidirectional(home.LSTM(8, stateful=True, dtype="float32"), dtype="mixed_bfloat16") for home in (ours, L)
    ]
    same_weights(*pair)
    for _ in range(2):
        for each in pair:
            each(tensor(X))
    for actual, expected in zip(*(each.states for each in pair), strict=True):
        assert numpy(actual).any()
        assert error(numpy(actual), numpy(expected)) < KERAS


def tagger(home: Any, policy: str) -> keras.Model:
    options = {"return_sequences": True, "dtype": policy}
    return keras.Sequential(
        [
            keras.Input((None, 3)),
            L.Masking(dtype=policy),
            home.Bidirectional(home.LSTM(8, **options), dtype=policy),
            home.GRU(8, **options),
            L.Dense(1, dtype="float32"),
        ]
    )


@trains
@pytest.mark.parametrize("accelerated", [False, True])
def test_fit(accelerated: bool) -> None:
    keras.utils.set_random_seed(0)
    model, exact = tagger(L if accelerated else ours, "mixed_bfloat16"), tagger(L, "float32")
    exact.set_weights(model.get_weights())
    if accelerated:
        assert [layer.engine for layer in bothways.accelerate(model).layers] == ["native"] * 2
    x = np.where(MASK[..., None], X, 0.0).astype("float32")
    histories = []
    for each in (model, exact):
        each.compile(loss="mse", optimizer=keras.optimizers.SGD(0.1))
        fitted = each.fit(x, X[..., :1], epochs=5, batch_size=len(x), verbose=0)
        histories.append(fitted.history["loss"])
    assert error(*histories) < BFLOAT16
    assert histories[0][-1] < histories[0][0]
    assert set(dtypes(model.trainable_variables)) == {"float32"}
    for actual, expected in zip(model.get_weights(), exact.get_weights(), strict=True):
        assert error(actual, expected) < BFLOAT16
    assert error(model.predict(x, verbose=0), exact.predict(x, verbose=0)) < BFLOAT16


@only_torch
@KINDS
def test_compiled_by_torch(wrapped: bool) -> None:
    torch = importlib.import_module("torch")
    torch.compiler.reset()
    layer = layer_of(ours, "LSTM", wrapped, "mixed_bfloat16", return_sequences=True)
    layer(tensor(X))

    def function(x: Any, mask: Any) -> Any:
        return layer(x, mask=mask)

    compiled = torch.compile(function, fullgraph=True, backend="aot_eager")
    found = [outputs_and_gradients(layer, tensor(MASK), call) for call in (function, compiled)]
    for actual, expected in zip(*([*outputs, *gradients] for outputs, gradients in found), strict=True):
        assert dtypes([actual]) == dtypes([expected])
        assert error(numpy(actual), numpy(expected)) < KERAS

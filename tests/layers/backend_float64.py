"""Layers that compute in float64, which the oracle runs; `test_backends.py` runs this on each backend.

What is expected comes from central differences, from float32, or from stock Keras where that is of float64 all through:
its `result_type` ends at float32 but on TensorFlow, so that on JAX its layers compute in float32 under the name of
float64, and on torch those do that have no kernel of torch.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import pytest

import bothways
from bothways import layers as ours
from layer_cases import CELLS, numpy, tensor
from tolerances import DIFFERENCES, KERAS, error

L = keras.layers
BACKEND = keras.backend.backend()
RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(3, 5, 2))
MASK = np.array([[1, 1, 0, 1, 1], [0, 0, 1, 1, 0], [0, 0, 0, 0, 0]], bool)
ORACLE = "step by step in float64, for gradient checks"
KINDS = pytest.mark.parametrize("wrapped", [False, True], ids=["one direction", "both"])
trains = pytest.mark.skipif(BACKEND == "numpy", reason="Keras does not train on NumPy")
only_torch = pytest.mark.skipif(BACKEND != "torch", reason="about torch")
only_jax = pytest.mark.skipif(BACKEND != "jax", reason="about JAX")


@pytest.fixture(scope="module", autouse=True)
def _float64_on_jax() -> Iterator[None]:
    """Which has to be told."""
    if BACKEND == "jax":
        importlib.import_module("jax").config.update("jax_enable_x64", True)
    yield
    if BACKEND == "jax":
        importlib.import_module("jax").config.update("jax_enable_x64", False)


def layer_of(home: Any, cell: str, wrapped: bool, **options: Any) -> Any:
    name, more = CELLS[cell]
    options = {"dtype": "float64", "return_state": True, **more, **options}
    if not wrapped:
        return getattr(home, name)(3, **options)
    return home.Bidirectional(getattr(home, name)(3, **options), merge_mode="mul", dtype=options["dtype"])


def value(layer: Any, x: Any, **call: Any) -> Any:
    """A smooth function, in float64, of all that the layer puts out."""
    outputs = keras.tree.flatten(layer(x, **call))
    assert {keras.backend.standardize_dtype(output.dtype) for output in outputs} == {layer.compute_dtype}
    weights = [np.cos(np.arange(np.prod(output.shape))).reshape(output.shape) for output in outputs]
    return sum(keras.ops.sum(output * tensor(each)) for output, each in zip(outputs, weights, strict=True))


def gradients(layer: Any, x: Any, **call: Any) -> list[Any]:
    """Those of `value` for x and for every weight."""
    variables = layer.trainable_variables
    if BACKEND == "jax":
        jax = importlib.import_module("jax")

        def function(x: Any, weights: Any) -> Any:
            with keras.StatelessScope(state_mapping=list(zip(variables, weights, strict=True))):
                return value(layer, x, **call)

        d_x, d_weights = jax.jit(jax.grad(function, argnums=(0, 1)))(tensor(x), [v.value for v in variables])
        return [d_x, *d_weights]
    if BACKEND == "torch":
        x = tensor(x).clone().requires_grad_()
        weights = [v.value for v in variables]
        return list(importlib.import_module("torch").autograd.grad(value(layer, x, **call), [x, *weights]))
    with importlib.import_module("tensorflow").GradientTape() as tape:
        x = tensor(x)
        tape.watch(x)
        total = value(layer, x, **call)
    return list(tape.gradient(total, [x, *(v.value for v in variables)]))


@trains
@KINDS
@pytest.mark.parametrize("cell", CELLS)
def test_gradients_agree_with_central_differences(cell: str, wrapped: bool) -> None:
    """Along a direction in x and all weights at once."""
    for return_sequences, mask in ((True, None), (False, tensor(MASK))):
        layer = layer_of(ours, cell, wrapped, return_sequences=return_sequences)
        layer(tensor(X))
        assert layer.engine == ORACLE
        weights = layer.get_weights()
        direction = [RANDOM.normal(size=each.shape) for each in (X, *weights)]
        found = gradients(layer, X, mask=mask)
        expected = sum(np.sum(numpy(g) * d) for g, d in zip(found, direction, strict=True))
        values = []
        for step in (1e-6, -1e-6):
            layer.set_weights([weight + step * d for weight, d in zip(weights, direction[1:], strict=True)])
            values.append(float(numpy(value(layer, tensor(X + step * direction[0]), mask=mask))))
        assert error(np.array((values[0] - values[1]) / 2e-6), np.array(expected)) < DIFFERENCES


@KINDS
@pytest.mark.parametrize("cell", CELLS)
def test_numbers_are_those_of_float32(cell: str, wrapped: bool) -> None:
    """With dropout too, whose masks TensorFlow draws otherwise for another dtype."""
    rates = {} if BACKEND == "tensorflow" else {"dropout": 0.3, "recurrent_dropout": 0.3}
    pair = []
    for dtype in ("float64", "float32"):
        keras.utils.set_random_seed(5)
        pair.append(layer_of(ours, cell, wrapped, dtype=dtype, return_sequences=True, seed=3, **rates))
    for layer in pair:
        layer.build(X.shape)
    pair[0].set_weights(pair[1].get_weights())
    assert [layer.engine for layer in pair] == [ORACLE, "native"]
    for training in (False, True):
        found = []
        for layer in pair:
            keras.utils.set_random_seed(5)
            found.append(keras.tree.flatten(layer(tensor(X), mask=tensor(MASK), training=training)))
        for actual, expected in zip(*found, strict=True):
            assert keras.backend.standardize_dtype(actual.dtype) == "float64"
            assert error(numpy(actual), numpy(expected)) < KERAS


@pytest.mark.skipif(BACKEND not in ("tensorflow", "torch"), reason="there stock Keras is not of float64 all through")
@KINDS
@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_stock_keras_has_the_same_numbers(cell: str, wrapped: bool) -> None:
    layer, stock = (layer_of(home, cell, wrapped, return_sequences=True) for home in (ours, L))
    for each in (layer, stock):
        each(tensor(X))
    stock.set_weights(layer.get_weights())
    for actual, expected in zip(*(gradients(each, X) for each in (layer, stock)), strict=True):
        assert error(numpy(actual), numpy(expected)) < DIFFERENCES


@trains
def test_fit() -> None:
    models = []
    for dtype in ("float64", "float32"):
        both = ours.Bidirectional(ours.LSTM(3, return_sequences=True, stateful=True, dtype=dtype), dtype=dtype)
        model = keras.Sequential([keras.Input(batch_shape=(3, 5, 2), dtype=dtype), both, ours.GRU(2, dtype=dtype)])
        model.compile(loss="mse", optimizer=keras.optimizers.SGD(0.2))
        models.append(model)
    generator = np.random.default_rng(0)
    weights = [generator.normal(size=weight.shape, scale=0.5) for weight in models[0].get_weights()]
    for model in models:
        model.set_weights(weights)
    losses = [
        model.fit(X, X[:, 0], batch_size=3, epochs=3, shuffle=False, verbose=0).history["loss"] for model in models
    ]
    assert error(*losses) < KERAS
    assert losses[0][-1] < losses[0][0]


def test_accelerate_leaves_float64_to_stock_keras() -> None:
    model = keras.Sequential([L.LSTM(3, dtype="float64")])
    (report,) = bothways.accelerate(model).layers
    assert report.engine == "computes in float64; the engine has float32 and bfloat16"


def test_layers_of_two_dtypes_run_one_after_the_other() -> None:
    backward = ours.LSTM(3, dtype="float64", go_backwards=True)
    layer = ours.Bidirectional(ours.LSTM(3, dtype="float32"), backward_layer=backward)
    assert tuple(layer(tensor(X)).shape) == (3, 6)
    assert layer.engine == "its layers compute in float32 and float64; the engine has one dtype for both"
    assert [layer.forward_layer.engine, backward.engine] == ["native", ORACLE]


@only_torch
@KINDS
@pytest.mark.parametrize("cell", CELLS)
def test_gradcheck_of_torch(cell: str, wrapped: bool) -> None:
    torch = importlib.import_module("torch")
    layer = layer_of(ours, cell, wrapped, return_sequences=True)
    x = torch.tensor(X, requires_grad=True)
    layer(x)
    weights = [variable.value for variable in layer.trainable_variables]
    assert torch.autograd.gradcheck(lambda x, *weights: layer(x, mask=tensor(MASK)), (x, *weights))


@only_torch
def test_compiled_by_torch() -> None:
    torch = importlib.import_module("torch")
    layer = layer_of(ours, "lstm", True, return_sequences=True)
    layer(tensor(X))
    compiled = torch.compile(lambda x: layer(x), fullgraph=True, backend="aot_eager")
    for actual, expected in zip(compiled(tensor(X)), layer(tensor(X)), strict=True):
        np.testing.assert_array_equal(numpy(actual), numpy(expected))


@only_jax
def test_jax_checks_gradients_of_both_orders() -> None:
    check_grads = importlib.import_module("jax.test_util").check_grads
    layer = layer_of(ours, "gru", True, return_sequences=True)
    layer(tensor(X))
    check_grads(lambda x: value(layer, x, mask=MASK), (tensor(X),), order=2)


@only_jax
def test_jax_has_to_be_told_of_float64() -> None:
    jax = importlib.import_module("jax")
    jax.config.update("jax_enable_x64", False)
    try:
        layer = ours.LSTM(3, dtype="float64")
        assert layer.engine == "computes in float64, of which JAX makes float32 unless jax_enable_x64 is set"
        assert layer(np.float32(X)).shape == (3, 3)
    finally:
        jax.config.update("jax_enable_x64", True)

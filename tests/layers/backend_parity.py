"""Parity with stock Keras on the backend that KERAS_BACKEND names; `test_backends.py` runs this once for each."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest

import bothways
from bothways import layers as ours
from layer_cases import CELLS_AND_ACTIVATIONS, numpy, tensor
from tolerances import KERAS, error

BACKEND = keras.backend.backend()
RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(5, 7, 3)).astype("float32")
MASKS = [
    None,
    RANDOM.random((5, 7)) < 0.6,
    np.arange(7) < np.array([[7], [4], [1], [0], [6]]),
    np.arange(7) >= np.array([[0], [4], [1], [7], [6]]),
]
trains = pytest.mark.skipif(BACKEND == "numpy", reason="Keras does not train on NumPy")


def weighted_sum(outputs: list[Any]) -> Any:
    total = 0.0
    for output in outputs:
        size = int(np.prod(output.shape))
        weights = np.cos(np.arange(size, dtype="float32")).reshape(output.shape)
        total = total + keras.ops.sum(output * tensor(weights))
    return total


def outputs_and_gradients(layer: keras.layers.Layer, mask: Any, compiled: bool, call: dict[str, Any]) -> list[Any]:
    """The outputs, and the gradients of a weighted sum of them for x and every weight."""
    x, mask = tensor(X), None if mask is None else tensor(mask)
    variables = layer.trainable_variables

    def function(x: Any) -> list[Any]:
        return list(keras.tree.flatten(layer(x, mask=mask, **call)))

    if BACKEND == "numpy":
        return function(x)
    if BACKEND == "torch":
        torch = importlib.import_module("torch")
        if compiled:
            torch.compiler.reset()
            function = torch.compile(function, fullgraph=True, backend="aot_eager")
        x = x.clone().requires_grad_()
        outputs = function(x)
        gradients = torch.autograd.grad(weighted_sum(outputs), [x, *(v.value for v in variables)])
        return [numpy(each) for each in (*outputs, *gradients)]
    tf = importlib.import_module("tensorflow")

    def step(x: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(x)
            outputs = function(x)
            loss = weighted_sum(outputs)
        return outputs, tape.gradient(loss, [x, *(v.value for v in variables)])

    outputs, gradients = (tf.function(step) if compiled else step)(x)
    return [numpy(each) for each in (*outputs, *gradients)]


def assert_parity(
    layer: keras.layers.Layer, stock: keras.layers.Layer, mask: Any = None, compiled: bool = False, **call: Any
) -> None:
    layer.build(X.shape)
    stock.build(X.shape)
    stock.set_weights(layer.get_weights())
    assert layer.engine == "native"
    expected = outputs_and_gradients(stock, mask, False, call)
    for actual, value in zip(outputs_and_gradients(layer, mask, compiled, call), expected, strict=True):
        assert error(actual, value) < KERAS


def states(*units: int) -> list[Any]:
    random = np.random.default_rng(1)
    return [tensor(random.normal(size=(5, width)).astype("float32")) for width in units]


@pytest.mark.parametrize("mask", MASKS, ids=["unmasked", "random", "right", "left"])
@pytest.mark.parametrize("go_backwards", [False, True])
@pytest.mark.parametrize("return_sequences", [False, True])
@pytest.mark.parametrize("cell", CELLS_AND_ACTIVATIONS)
def test_one_direction(cell: str, return_sequences: bool, go_backwards: bool, mask: Any) -> None:
    name, options = CELLS_AND_ACTIVATIONS[cell]
    options = options | {"return_sequences": return_sequences, "go_backwards": go_backwards, "return_state": True}
    layer, stock = (getattr(home, name)(4, **options) for home in (ours, keras.layers))
    assert_parity(layer, stock, mask, initial_state=states(*[4] * (2 if name == "LSTM" else 1)))


@pytest.mark.parametrize("mask", MASKS[:2], ids=["unmasked", "random"])
@pytest.mark.parametrize("merge_mode", ["concat", "sum", "mul", "ave", None])
@pytest.mark.parametrize("return_sequences", [False, True])
@pytest.mark.parametrize("cell", CELLS_AND_ACTIVATIONS)
def test_both_directions(cell: str, return_sequences: bool, merge_mode: str | None, mask: Any) -> None:
    name, options = CELLS_AND_ACTIVATIONS[cell]
    pair = [
        home.Bidirectional(getattr(home, name)(4, return_sequences=return_sequences, **options), merge_mode=merge_mode)
        for home in (ours, keras.layers)
    ]
    assert_parity(pair[0], pair[1], mask)


@pytest.mark.parametrize("mask", MASKS[:2], ids=["unmasked", "random"])
@pytest.mark.parametrize("compiled", [False, True])
def test_both_directions_with_states_and_in_compiled_functions(mask: Any, compiled: bool) -> None:
    def layer(home: Any) -> Any:
        return home.Bidirectional(home.LSTM(4, return_sequences=True, return_state=True))

    # Stock Keras with a mask does not compile on torch at all; what is expected is not compiled anywhere.
    assert_parity(layer(ours), layer(keras.layers), mask, compiled, initial_state=states(4, 4, 4, 4))
    if mask is not None:
        layers = [home.LSTM(4, return_sequences=True, zero_output_for_mask=True) for home in (ours, keras.layers)]
        assert_parity(layers[0], layers[1], mask, compiled)
    pair = [home.LSTM(4, zero_output_for_mask=True) for home in (ours, keras.layers)]
    assert_parity(pair[0], pair[1], mask, compiled)


@pytest.mark.parametrize("mask", MASKS[1:], ids=["random", "right", "left"])
def test_the_last_output_of_masked_sequences_with_states(mask: Any) -> None:
    pair = [home.Bidirectional(home.LSTM(4)) for home in (ours, keras.layers)]
    assert_parity(pair[0], pair[1], mask, initial_state=states(4, 4, 4, 4))


def tagger(home: Any, **options: Any) -> keras.Model:
    return keras.Sequential(
        [
            keras.Input((None, 3)),
            keras.layers.Masking(),
            home.Bidirectional(home.LSTM(5, return_sequences=True, **options)),
            keras.layers.TimeDistributed(keras.layers.Dense(1, activation="sigmoid")),
        ]
    )


def assert_fits_alike(model: keras.Model, stock: keras.Model) -> None:
    stock.set_weights(model.get_weights())
    y = (X.sum(axis=-1, keepdims=True).cumsum(axis=1) > 0).astype("float32")
    for each in (model, stock):
        each.compile(loss="binary_crossentropy", optimizer="adam")
        each.fit(X, y, epochs=10, batch_size=2, shuffle=False, verbose=0)  # the last batch is smaller
    assert error(model.predict(X, verbose=0), stock.predict(X, verbose=0)) < 1e-3  # 30 updates of Adam apart


@trains
def test_fit_gives_the_same_model_as_stock_keras() -> None:
    assert_fits_alike(tagger(ours), tagger(keras.layers))


@trains
def test_an_accelerated_model_fits_as_stock_keras() -> None:
    model = tagger(keras.layers)
    assert [layer.engine for layer in bothways.accelerate(model).layers] == ["native", "all steps in one product"]
    assert_fits_alike(model, tagger(keras.layers))


def test_accelerated_models_predict_the_same_until_undone() -> None:
    model = tagger(keras.layers)
    expected = model.predict(X, verbose=0)
    acceleration = bothways.accelerate(model)
    assert error(model.predict(X, verbose=0), expected) < KERAS
    acceleration.undo()
    np.testing.assert_array_equal(model.predict(X, verbose=0), expected)


only_torch = pytest.mark.skipif(BACKEND != "torch", reason="about torch")
only_tensorflow = pytest.mark.skipif(BACKEND != "tensorflow", reason="about TensorFlow")


def gradients_of(layer: keras.layers.Layer, x: Any, times: int = 1) -> list[Any]:
    torch = importlib.import_module("torch")
    loss = weighted_sum([layer(x)])
    leaves = [leaf for leaf in (x, *(v.value for v in layer.trainable_variables)) if leaf.requires_grad]
    for left in reversed(range(times)):
        gradients = torch.autograd.grad(loss, leaves, retain_graph=left > 0)
    return [numpy(gradient) for gradient in gradients]


def built_pair() -> tuple[Any, Any]:
    layer, stock = (home.Bidirectional(home.LSTM(4, return_sequences=True)) for home in (ours, keras.layers))
    layer(tensor(X))
    stock(tensor(X))
    stock.set_weights(layer.get_weights())
    return layer, stock


def assert_same_gradients(make_x: Callable[[], Any], times: int = 1) -> None:
    layer, stock = built_pair()
    for actual, expected in zip(*(gradients_of(each, make_x(), times) for each in (layer, stock)), strict=True):
        assert error(actual, expected) < KERAS


@only_torch
def test_a_retained_graph_goes_backward_again() -> None:
    assert_same_gradients(lambda: tensor(X).clone().requires_grad_(), times=3)


@only_torch
def test_a_graph_that_is_not_retained_does_not() -> None:
    torch = importlib.import_module("torch")
    loss = weighted_sum([built_pair()[0](tensor(X).requires_grad_())])
    loss.backward()
    with pytest.raises(RuntimeError, match="second time"):
        loss.backward()
    assert torch.is_grad_enabled()


@only_torch
def test_inputs_without_gradient_and_without_dense_memory() -> None:
    assert_same_gradients(lambda: tensor(X))
    assert_same_gradients(lambda: tensor(X.transpose(2, 1, 0).copy()).permute(2, 1, 0).requires_grad_())


@only_torch
def test_nothing_is_kept_without_gradients() -> None:
    torch = importlib.import_module("torch")
    layer, stock = built_pair()
    for mode in (torch.no_grad, torch.inference_mode):
        with mode():
            outputs = layer(tensor(X))
        assert not outputs.requires_grad
        assert error(numpy(outputs), numpy(stock(tensor(X)))) < KERAS


@only_torch
def test_one_state_alone_has_gradients() -> None:
    pair = [home.LSTM(4, return_state=True) for home in (ours, keras.layers)]
    pair[0](tensor(X))
    pair[1](tensor(X))
    pair[1].set_weights(pair[0].get_weights())
    found = []
    for layer in pair:
        _, _, c = layer(tensor(X))
        weights = [v.value for v in layer.trainable_variables]
        found.append(importlib.import_module("torch").autograd.grad(c.sum(), weights))
    for actual, expected in zip(*found, strict=True):
        assert error(numpy(actual), numpy(expected)) < KERAS


@only_torch
def test_compiled_models_take_batches_of_any_size() -> None:
    torch = importlib.import_module("torch")
    layer, stock = built_pair()
    compiled = torch.compile(lambda x: layer(x), fullgraph=True, backend="aot_eager")
    for batch in (2, 3, 5):
        weights = [[v.value for v in each.trainable_variables] for each in (layer, stock)]
        losses = [weighted_sum([each(tensor(X[:batch]))]) for each in (compiled, stock)]
        gradients = [torch.autograd.grad(*pair) for pair in zip(losses, weights, strict=True)]
        for actual, expected in zip(*gradients, strict=True):
            assert error(numpy(actual), numpy(expected)) < KERAS


@only_torch
def test_a_masked_model_compiles_whole() -> None:
    torch = importlib.import_module("torch")
    torch.compiler.reset()
    model = tagger(ours)
    padded = np.where(np.arange(7)[:, None] < 4, X, 0.0).astype("float32")
    compiled = torch.compile(lambda x: model(x), fullgraph=True, backend="aot_eager")
    assert error(numpy(compiled(tensor(padded))), numpy(model(tensor(padded)))) < KERAS


@only_tensorflow
def test_a_tape_can_be_used_twice() -> None:
    tf = importlib.import_module("tensorflow")

    def gradients(layer: Any, x: Any) -> Any:
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(x)
            loss = weighted_sum([layer(x)])
        return tape.gradient(loss, x), tape.gradient(loss, x)

    layer, stock = built_pair()
    expected = gradients(stock, tensor(X))
    for function in (gradients, tf.function(gradients)):
        for actual, value in zip(function(layer, tensor(X)), expected, strict=True):
            assert error(numpy(actual), numpy(value)) < KERAS


@only_tensorflow
@pytest.mark.parametrize("compiled", [False, True])
def test_residuals_serve_once_and_then_are_made_again(compiled: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    tf = importlib.import_module("tensorflow")
    memory = importlib.import_module("bothways.engine.memory")
    layer, stock = built_pair()
    passes: list[str] = []

    def counted(name: str, run: Callable[..., None]) -> Callable[..., None]:
        def function(*arguments: Any) -> None:
            passes.append(name)
            run(*arguments)

        return function

    for name in ("forward", "backward"):
        monkeypatch.setattr(memory, name, counted(name, getattr(memory, name)))

    def gradients(layer: Any, times: int) -> Any:
        x = tensor(X)
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(x)
            outputs = layer(x)
            # Different ones: TensorFlow makes one of two nodes that do the same.
            losses = [weighted_sum([outputs * scale]) for scale in (1.0, 2.0)[:times]]
        return [tape.gradient(loss, x) for loss in losses]

    expected = gradients(stock, 2)
    call = tf.function(gradients) if compiled else gradients
    (alone,) = call(layer, 1)
    assert passes == ["forward", "backward"]
    passes.clear()
    both = call(layer, 2)
    assert sorted(passes) == (["backward"] * 2 + ["forward"] * (2 if compiled else 1))
    for actual, value in zip([alone, *both], [expected[0], *expected], strict=True):
        assert error(numpy(actual), numpy(value)) < KERAS


@only_tensorflow
def test_a_tape_outside_of_a_compiled_function() -> None:
    tf = importlib.import_module("tensorflow")
    layer, stock = built_pair()
    found = []
    for function in (tf.function(lambda x: layer(x)), lambda x: stock(x)):
        x = tensor(X)
        with tf.GradientTape() as tape:
            tape.watch(x)
            loss = weighted_sum([function(x)])
        found.append(numpy(tape.gradient(loss, x)))
    assert error(*found) < KERAS


@only_tensorflow
def test_models_are_not_compiled_by_xla() -> None:
    assert not ours.LSTM(4).supports_jit
    assert ours.LSTM(4, activation="elu").supports_jit
    model = tagger(keras.layers)
    model.compile(loss="mse", jit_compile=True)
    acceleration = bothways.accelerate(model)
    assert not model.jit_compile
    model.predict(X, verbose=0)
    acceleration.undo()
    assert model.jit_compile

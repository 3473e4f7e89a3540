"""Dropout of inputs and of states against stock Keras, mask for mask; `test_backends.py` runs this on each backend."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest

import bothways
from bothways import layers as ours
from layer_cases import numpy, tensor
from tolerances import KERAS, KERAS_MOST_DROPPED, error

L = keras.layers
BACKEND = keras.backend.backend()
RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(5, 7, 3)).astype("float32")
MASK = RANDOM.random((5, 7)) < 0.6
CELLS = pytest.mark.parametrize("cell", ["LSTM", "GRU", "SimpleRNN"])
KINDS = pytest.mark.parametrize("wrapped", [False, True], ids=["one direction", "both"])
trains = pytest.mark.skipif(BACKEND == "numpy", reason="Keras does not train on NumPy")
RATES: dict[str, dict[str, float]] = {
    "of h": {"recurrent_dropout": 0.3},
    "of x and h": {"dropout": 0.4, "recurrent_dropout": 0.3},
    "of x": {"dropout": 0.4},
    "most": {"dropout": 0.9, "recurrent_dropout": 0.9},
    "none": {"dropout": 0.0, "recurrent_dropout": 0.0},
}


def same_randomness() -> None:
    """For what has no seed of its own, as a SimpleRNN that Keras copies into a wrapper, which loses it; on torch it
    draws from one stream for all, so that it takes this before each call."""
    keras.utils.set_random_seed(5)


def built(make: Callable[[Any], Any], x: Any = X) -> tuple[Any, Any]:
    """Our layer and the stock one, with the same weights."""
    pair = []
    for home in (ours, L):
        same_randomness()
        pair.append(make(home))
    layer, stock = pair
    layer.build(np.shape(x))
    stock.build(np.shape(x))  # a call would compile for long on JAX
    stock.set_weights(layer.get_weights())
    return layer, stock


def trained(layer: Any, mask: Any = None) -> list[Any]:
    """What the layer puts out in training, and the gradients of a sum of it for x and all weights; none on NumPy."""
    same_randomness()
    variables, mask = layer.trainable_variables, None if mask is None else tensor(mask)

    def loss_of(outputs: list[Any]) -> Any:
        return sum(keras.ops.sum(keras.ops.sin(2 * output)) for output in outputs)

    def call(x: Any) -> list[Any]:
        return list(keras.tree.flatten(layer(x, mask=mask, training=True)))

    if BACKEND == "jax":
        jax = importlib.import_module("jax")

        def loss(weights: Any, x: Any) -> Any:
            with keras.StatelessScope(state_mapping=list(zip(variables, weights, strict=True))):
                outputs = call(x)
            return loss_of(outputs), outputs

        compiled = jax.jit(jax.value_and_grad(loss, argnums=(0, 1), has_aux=True))
        (_, outputs), gradients = compiled([v.value for v in variables], X)
        return [*outputs, *jax.tree.leaves(gradients)]
    if BACKEND == "torch":
        x = tensor(X).clone().requires_grad_()
        outputs = call(x)
        gradients = importlib.import_module("torch").autograd.grad(loss_of(outputs), [x, *(v.value for v in variables)])
        return [*outputs, *gradients]
    if BACKEND == "tensorflow":
        x = tensor(X)
        with importlib.import_module("tensorflow").GradientTape() as tape:
            tape.watch(x)
            outputs = call(x)
            loss_value = loss_of(outputs)
        return [*outputs, *tape.gradient(loss_value, [x, *(v.value for v in variables)])]
    return call(tensor(X))


def assert_alike(pair: tuple[Any, Any], mask: Any = None, tolerance: float = KERAS) -> None:
    assert pair[0].engine == "native"
    for actual, expected in zip(*(trained(layer, mask) for layer in pair), strict=True):
        assert error(numpy(actual), numpy(expected)) < tolerance


@KINDS
@CELLS
@pytest.mark.parametrize("rates", RATES)
def test_training(rates: str, cell: str, wrapped: bool) -> None:
    """Sequences or not, forward or backward, masked or not: each value at least once for each cell and each rate."""
    for return_sequences, go_backwards, mask in ((True, False, None), (True, True, MASK), (False, False, MASK)):
        options = {"return_sequences": return_sequences, "return_state": True, "seed": 3, **RATES[rates]}

        def make(home: Any, options: Any = options, go_backwards: bool = go_backwards) -> Any:
            if not wrapped:
                return getattr(home, cell)(4, go_backwards=go_backwards, **options)
            kind = getattr(home, cell)
            other = kind(6, go_backwards=not go_backwards, **options | {"seed": 4})
            return home.Bidirectional(kind(4, go_backwards=go_backwards, **options), backward_layer=other)

        assert_alike(built(make), mask, KERAS_MOST_DROPPED if rates == "most" else KERAS)


def test_what_is_dropped_matters() -> None:
    for rates in ({"dropout": 0.4}, {"recurrent_dropout": 0.3}):
        layer = ours.GRU(4, seed=3, **rates)
        assert error(numpy(layer(X, training=True)), numpy(layer(X))) > 0.01


@pytest.mark.parametrize("cell", ["LSTM", "GRU"])
def test_a_mask_of_x_for_each_gate(cell: str) -> None:
    """`implementation=1`. Stock Keras fails unless it is told to try no fused kernel, which knows one mask only."""

    def make(home: Any, **options: Any) -> Any:
        return getattr(home, cell)(4, return_sequences=True, dropout=0.4, seed=3, use_cudnn=False, **options)

    assert_alike(built(lambda home: make(home, implementation=1)), MASK)

    def both(home: Any) -> Any:  # Keras copies the forward layer, and forgets its implementation
        backward = make(home, implementation=1, go_backwards=True)
        layer = home.Bidirectional(make(home), backward_layer=backward)
        assert [hasattr(each.cell, "dropout_mask_count") for each in (layer.forward_layer, backward)] == [False, True]
        return layer

    assert_alike(built(both))


@pytest.mark.parametrize("rates", ["of h", "of x and h", "of x"])
def test_two_cells(rates: str) -> None:
    def make(home: Any) -> Any:
        forward = home.LSTM(4, return_sequences=True, seed=3, **RATES[rates])
        backward = home.GRU(4, return_sequences=True, go_backwards=True, seed=4, recurrent_dropout=0.5)
        return home.Bidirectional(forward, backward_layer=backward, merge_mode="mul")

    assert_alike(built(make), MASK)


@pytest.mark.parametrize("activation", ["relu", "linear"])
def test_other_activations(activation: str) -> None:
    options = {"activation": activation, "recurrent_activation": "hard_sigmoid", "return_sequences": True, "seed": 3}
    assert_alike(built(lambda home: home.LSTM(4, **options, **RATES["of x and h"])), MASK)
    assert_alike(built(lambda home: home.GRU(4, **options, **RATES["of x and h"])), MASK)


@KINDS
@CELLS
def test_seeds_advance_as_in_stock_keras(cell: str, wrapped: bool) -> None:
    """By every call, in training or not, and from the same start where no seed is given: masks in the same order."""
    outputs = []
    for home in (ours, L):
        keras.utils.set_random_seed(7)
        layer = getattr(home, cell)(4, dropout=0.4, recurrent_dropout=0.3)
        layer = home.Bidirectional(layer) if wrapped else layer
        layer.build((None, 7, 3))
        outputs.append([numpy(layer(X, training=training)) for training in (True, False, True, True)])
    for actual, expected in zip(*outputs, strict=True):
        assert error(actual, expected) < KERAS
    assert error(outputs[0][2], outputs[0][3]) > 0.01
    assert error(outputs[0][0], outputs[0][2]) > 0.01


@KINDS
@CELLS
@pytest.mark.parametrize("name", ["dropout", "recurrent_dropout"])
def test_to_drop_all_is_left_to_stock_keras(name: str, cell: str, wrapped: bool) -> None:
    def make(home: Any) -> Any:
        layer = getattr(home, cell)(4, return_sequences=True, seed=3, **{name: 1.0})
        return home.Bidirectional(layer) if wrapped else layer

    layer, stock = built(make)
    reason = f"{name}=1.0, of which Keras makes different things; the engine has rates below 1"
    assert layer.engine == ("forward layer: " if wrapped else "") + reason
    np.testing.assert_array_equal(*(numpy(each(X, training=True)) for each in (layer, stock)))


@pytest.mark.parametrize("cell", ["LSTM", "GRU"])
def test_a_rate_that_was_set_later(cell: str) -> None:
    """Stock Keras draws masks of h then, and does not use them."""
    pair = built(lambda home: getattr(home, cell)(4, seed=3))
    for layer in pair:
        layer.cell.recurrent_dropout = 0.3
    reason = "recurrent_dropout with implementation=2; the engine has that of implementation=1"
    assert pair[0].engine == reason
    assert error(*(numpy(layer(X, training=True)) for layer in pair)) == 0


@KINDS
@CELLS
def test_stateful_layers(cell: str, wrapped: bool) -> None:
    def make(home: Any) -> Any:
        layer = getattr(home, cell)(4, stateful=True, seed=3, dropout=0.2, recurrent_dropout=0.3)
        return home.Bidirectional(layer) if wrapped else layer

    layer, stock = built(make)
    layer.reset_states()
    stock.reset_states()
    for training in (True, False, True):
        outputs = []
        for each in (layer, stock):
            same_randomness()
            outputs.append(numpy(each(X, training=training)))
        assert error(*outputs) < KERAS
        for actual, expected in zip(layer.states, stock.states, strict=True):
            assert error(numpy(actual), numpy(expected)) < KERAS


def tagger(home: Any) -> keras.Model:
    options = {"return_sequences": True, "recurrent_dropout": 0.3}
    return keras.Sequential(
        [
            keras.Input((None, 3)),
            L.Masking(),
            home.Bidirectional(home.LSTM(4, dropout=0.2, seed=3, **options)),
            home.GRU(4, seed=4, **options),
            home.SimpleRNN(4, dropout=0.2, seed=5, **options),
            L.Dense(1),
        ]
    )


@trains
@pytest.mark.parametrize("accelerated", [False, True])
def test_fit(accelerated: bool) -> None:
    models = tagger(L if accelerated else ours), tagger(L)
    models[1].set_weights(models[0].get_weights())
    if accelerated:
        assert [layer.engine for layer in bothways.accelerate(models[0]).layers] == ["native"] * 3
    x = np.where(MASK[..., None], X, 0.0).astype("float32")
    histories = []
    for model in models:
        model.compile(loss="mse", optimizer=keras.optimizers.SGD(0.1))
        fitted = model.fit(x, X[..., :1], epochs=3, batch_size=2, shuffle=False, verbose=0)  # the last batch is smaller
        histories.append(fitted.history["loss"])
    assert error(*histories) < KERAS
    for actual, expected in zip(*(model.get_weights() for model in models), strict=True):
        assert error(actual, expected) < KERAS


@pytest.mark.skipif(BACKEND != "torch", reason="about torch")
@KINDS
def test_compiled_by_torch(wrapped: bool) -> None:
    torch = importlib.import_module("torch")
    torch.compiler.reset()
    layer = ours.LSTM(4, return_sequences=True, dropout=0.2, recurrent_dropout=0.3)
    layer = ours.Bidirectional(layer) if wrapped else layer
    layer(X)

    def function(x: Any, mask: Any) -> Any:
        return layer(x, mask=mask, training=True)

    found = []
    for call in (function, torch.compile(function, fullgraph=True, backend="aot_eager")):
        torch.manual_seed(0)
        x = tensor(X).clone().requires_grad_()
        outputs = call(x, tensor(MASK))
        gradients = torch.autograd.grad((outputs**2).sum(), [x, *(v.value for v in layer.trainable_variables)])
        found.append([numpy(each) for each in (outputs, *gradients)])
    for actual, expected in zip(*found, strict=True):
        assert error(actual, expected) < KERAS


@pytest.mark.skipif(BACKEND != "torch", reason="about torch")
def test_a_retained_graph_of_torch_drops_the_same_again() -> None:
    torch = importlib.import_module("torch")
    layer = ours.GRU(4, recurrent_dropout=0.3)
    x = tensor(X).clone().requires_grad_()
    loss = (layer(x, training=True) ** 2).sum()
    first, second = (torch.autograd.grad(loss, x, retain_graph=True)[0] for _ in range(2))
    np.testing.assert_array_equal(numpy(first), numpy(second))

"""`fit` against stock Keras, through all that models do with layers; `test_backends.py` runs this on each backend."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest

from bothways import layers as ours
from bothways.errors import InputError
from tolerances import KERAS, error

L = keras.layers
RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(6, 5, 3)).astype("float32")
TOKENS = RANDOM.integers(0, 9, size=(6, 5))
TOKENS[2] = 0  # a row of padding and nothing else
MASK = TOKENS > 2
PADDED = np.where(MASK[..., None], X, 0.0).astype("float32")

pytestmark = pytest.mark.skipif(keras.backend.backend() == "numpy", reason="Keras does not train on NumPy")


@keras.saving.register_keras_serializable(package="tests")
class Elman(keras.layers.Layer):  # type: ignore[misc]
    """A cell that Keras does not have: h = tanh(x W + h U / 2)."""

    def __init__(self, units: int, **options: Any) -> None:
        super().__init__(**options)
        self.units = self.state_size = units

    def build(self, shape: Any) -> None:
        self.kernel = self.add_weight(shape=(shape[-1], self.units), name="kernel")
        self.recurrent_kernel = self.add_weight(shape=(self.units, self.units), name="recurrent_kernel")

    def call(self, x: Any, states: Any) -> Any:
        h = keras.ops.tanh(x @ self.kernel + states[0] @ self.recurrent_kernel / 2)
        return h, [h]

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "units": self.units}


@pytest.fixture(autouse=True)
def _the_same_weights_each_time() -> None:
    """One model in thousands has an output so near 0 that roundings decide on the sign of its L1 penalty's gradient."""
    keras.utils.set_random_seed(0)


def sequential(*layers: Any) -> keras.Model:
    return keras.Sequential([keras.Input((5, 3)), *layers])


def apart(home: Any) -> keras.Model:
    return sequential(home.Bidirectional(home.GRU(4, return_sequences=True), merge_mode=None), L.Concatenate())


def apart_with_a_head_each(home: Any) -> keras.Model:
    x = keras.Input((5, 3))
    forward, backward = home.Bidirectional(home.LSTM(4, return_sequences=True), merge_mode=None)(x)
    return keras.Model(x, [L.Dense(2)(forward), L.Dense(1)(backward)])


def states_from_one_layer_to_the_next(home: Any) -> keras.Model:
    x = keras.Input((5, 3))
    _, *states = home.Bidirectional(home.LSTM(4, return_state=True))(x)
    h = home.Bidirectional(home.LSTM(4, return_sequences=True))(x, initial_state=states)
    return keras.Model(x, home.LSTM(4)(h, initial_state=states[:2]))


def forward_layer_that_goes_backwards(home: Any) -> keras.Model:
    forward = home.GRU(4, return_sequences=True, go_backwards=True)
    return sequential(home.Bidirectional(forward, backward_layer=home.GRU(4, return_sequences=True), merge_mode="mul"))


def backward_layer_of_another_width(home: Any) -> keras.Model:
    backward = home.LSTM(5, return_sequences=True, go_backwards=True)
    return sequential(home.Bidirectional(home.LSTM(4, return_sequences=True), backward_layer=backward))


def custom_cells(home: Any) -> keras.Model:
    both = home.Bidirectional(L.RNN([L.LSTMCell(4), Elman(3)], return_sequences=True))
    return sequential(L.Masking(), both, home.Bidirectional(L.RNN(Elman(4)), merge_mode="sum"))


def cells_of_the_engine(home: Any) -> keras.Model:
    both = home.Bidirectional(home.RNN([L.LSTMCell(4), L.GRUCell(3)], return_sequences=True))
    return sequential(L.Masking(), both, home.RNN(L.SimpleRNNCell(4)))


def unrolled(home: Any) -> keras.Model:
    both = home.Bidirectional(home.LSTM(4, return_sequences=True, unroll=True))
    return sequential(both, home.GRU(3, unroll=True))


def masking(home: Any) -> keras.Model:
    both = home.Bidirectional(home.LSTM(4, return_sequences=True))
    return sequential(L.Masking(), both, home.GRU(4, return_sequences=True), home.SimpleRNN(3))


def embedding(home: Any) -> keras.Model:
    both = home.Bidirectional(home.GRU(4, return_sequences=True), merge_mode="sum")
    return keras.Sequential([keras.Input((5,), dtype="int32"), L.Embedding(9, 3, mask_zero=True), both, home.LSTM(4)])


def explicit_mask(home: Any) -> keras.Model:
    x, mask = keras.Input((5, 3)), keras.Input((5,), dtype="bool")
    h = home.Bidirectional(home.LSTM(4, return_sequences=True))(x, mask=mask)
    return keras.Model([x, mask], home.Bidirectional(home.GRU(4))(h, mask=mask))


def zeros_for_masked_steps(home: Any) -> keras.Model:
    return sequential(L.Masking(), home.LSTM(4, return_sequences=True, zero_output_for_mask=True), L.Dense(2))


def dropout(home: Any) -> keras.Model:
    both = home.Bidirectional(home.LSTM(4, return_sequences=True, dropout=0.4, seed=3))
    return sequential(both, home.GRU(4, dropout=0.3, seed=4))


def recurrent_dropout(home: Any) -> keras.Model:
    options = {"dropout": 0.2, "recurrent_dropout": 0.3}
    both = home.Bidirectional(home.GRU(4, return_sequences=True, seed=3, **options))
    return sequential(L.Masking(), both, home.LSTM(4, seed=4, **options))


def mask_made_of_learned_values(home: Any) -> keras.Model:
    """Nothing of what a mask, or the shape of dropout, is made of has a gradient by it."""
    x = keras.Input((5, 3))
    h = L.Dense(3, activation="relu")(x)
    both = home.Bidirectional(home.LSTM(4, recurrent_dropout=0.3, seed=3, return_sequences=True))
    return keras.Model(x, home.GRU(4, dropout=0.2, seed=4)(both(L.Masking()(h))))


def regularizers(home: Any) -> keras.Model:
    options = {"kernel_regularizer": "l2", "recurrent_regularizer": "l1", "bias_regularizer": "l2"}
    both = home.Bidirectional(home.LSTM(4, return_sequences=True, bias_initializer="ones", **options))
    return sequential(both, home.GRU(4, **options))


def activity_regularizers(home: Any) -> keras.Model:
    both = home.Bidirectional(home.LSTM(4, return_sequences=True), activity_regularizer="l2")
    inside = home.Bidirectional(home.GRU(4, return_sequences=True, activity_regularizer="l1"))
    return sequential(both, inside, home.SimpleRNN(4, activity_regularizer="l2"))


def constraints(home: Any) -> keras.Model:
    options = {
        "kernel_constraint": keras.constraints.MaxNorm(0.5),
        "recurrent_constraint": "unit_norm",
        "bias_constraint": "non_neg",
    }
    return sequential(home.Bidirectional(home.GRU(4, return_sequences=True, **options)), home.LSTM(4, **options))


CASES: dict[Callable[[Any], keras.Model], Any] = {
    apart: X,
    apart_with_a_head_each: X,
    states_from_one_layer_to_the_next: X,
    forward_layer_that_goes_backwards: X,
    backward_layer_of_another_width: X,
    custom_cells: PADDED,
    cells_of_the_engine: PADDED,
    unrolled: X,
    masking: PADDED,
    embedding: TOKENS,
    explicit_mask: [X, MASK],
    zeros_for_masked_steps: PADDED,
    dropout: X,
    recurrent_dropout: PADDED,
    mask_made_of_learned_values: X,
    regularizers: X,
    activity_regularizers: X,
    constraints: X,
}


def target_of(output: Any) -> Any:
    """Something to learn for a model with this output."""
    return np.cos(np.arange(output.shape[-1])) + np.zeros(tuple(output.shape))


def assert_fits_alike(
    make: Callable[[Any], keras.Model],
    x: Any,
    y: Any = None,
    prepare: Callable[[keras.Model], None] = lambda model: None,
    loss: Any = "mse",
    batch_size: int = 4,
    **fit: Any,
) -> keras.Model:
    """Train with our layers and with stock ones: the same losses and weights; gives our model."""
    models = make(ours), make(L)
    models[1].set_weights(models[0].get_weights())
    # Not from `output_shape`: see `test_stock_keras_takes_both_sides_to_be_as_wide`.
    targets = keras.tree.map_structure(target_of, make(ours)(x)) if y is None else y
    histories = []
    for model in models:
        prepare(model)
        model.compile(loss=loss, optimizer=keras.optimizers.SGD(0.2))
        history = model.fit(x, targets, epochs=3, batch_size=batch_size, shuffle=False, verbose=0, **fit).history
        histories.append(history["loss"])
    assert error(*histories) < KERAS, histories
    assert histories[0][-1] < histories[0][0]
    for actual, expected in zip(*(model.get_weights() for model in models), strict=True):
        assert error(actual, expected) < KERAS
    return models[0]


class Penalized(keras.layers.Layer):  # type: ignore[misc]
    """Adds a penalty to the loss, and nothing to its input."""

    penalty: Any = None

    def call(self, x: Any) -> Any:
        if self.penalty is not None:
            self.add_loss(self.penalty)
        return x


def test_stock_keras_may_take_a_penalty_for_one_of_an_earlier_call() -> None:
    """A bug of stock Keras: by the `id` of penalties a layer forgets its own of the call before, which are gone, and so
    one of another layer that has been given the same place in memory. Here it is the same penalty.
    """
    layers, penalties, found = [Penalized(), Penalized()], [keras.ops.ones(()), keras.ops.ones(())], []
    model = sequential(*layers)
    for order in (penalties, penalties[::-1]):
        for layer, penalty in zip(layers, order, strict=True):
            layer.penalty = penalty
        _, _, losses = model.stateless_call([], [], keras.ops.convert_to_tensor(X), return_losses=True)
        found.append(len(losses))
    assert found == [2, 1]


@pytest.mark.parametrize("make", CASES, ids=lambda make: make.__name__)
def test_fit(make: Callable[[Any], keras.Model]) -> None:
    # With a last batch of another size JAX traces twice, and a penalty of the second trace may be lost: see above.
    model = assert_fits_alike(make, CASES[make], batch_size=3 if make is activity_regularizers else 4)
    engines = [layer.engine for layer in model.layers if hasattr(layer, "engine")]
    if make is custom_cells:
        why = "Elman is no cell of the engine; it has LSTMCell, GRUCell and SimpleRNNCell"
        assert engines == [f"forward layer: cell 2 of 2: {why}", f"forward layer: {why}"]
    elif make is activity_regularizers:
        assert engines[1] == "forward layer: an activity regularizer, which only stock Keras applies"
        assert {engines[0], engines[2]} == {"native"}
    else:
        assert set(engines) == {"native"}


def tagger(home: Any) -> keras.Model:
    both = home.Bidirectional(home.LSTM(4, return_sequences=True))
    return sequential(both, home.GRU(4, return_sequences=True), L.Dense(1, activation="sigmoid"))


def freeze(which: str) -> Callable[[keras.Model], None]:
    def prepare(model: keras.Model) -> None:
        both, single = model.layers[:2]
        if which == "forward":
            both.forward_layer.trainable = False
        elif which == "backward":
            both.backward_layer.trainable = False
        elif which == "both":
            both.trainable = False
        else:
            both.backward_layer.cell.recurrent_kernel.trainable = False
            single.cell.recurrent_kernel.trainable = False

    return prepare


@pytest.mark.parametrize("which", ["forward", "backward", "both", "recurrent kernels"])
def test_what_is_frozen_stays(which: str) -> None:
    before: list[Any] = []

    def prepare(model: keras.Model) -> None:
        freeze(which)(model)
        before.append([np.copy(weight) for weight in model.get_weights()])

    model = assert_fits_alike(tagger, X, prepare=prepare)
    frozen = {id(variable) for variable in model.weights} - {id(variable) for variable in model.trainable_variables}
    assert len(frozen) == {"forward": 3, "backward": 3, "both": 6, "recurrent kernels": 2}[which]
    for variable, value in zip(model.weights, before[0], strict=True):
        assert (error(variable.numpy(), value) == 0) == (id(variable) in frozen)


LABELS = (X.sum(axis=-1, keepdims=True) > 0).astype("float32")


def test_weights_of_steps() -> None:
    weights = RANDOM.random((6, 5)).astype("float32")
    assert_fits_alike(tagger, X, LABELS, loss="binary_crossentropy", sample_weight=weights)


def summary(home: Any) -> keras.Model:
    return sequential(home.Bidirectional(home.GRU(4)), L.Dense(1, activation="sigmoid"))


def test_weights_of_sequences_and_of_their_classes() -> None:
    options = {"loss": "binary_crossentropy", "y": LABELS[:, 0]}
    assert_fits_alike(summary, X, sample_weight=RANDOM.random(6), **options)
    assert_fits_alike(summary, X, class_weight={0: 0.1, 1: 3.0}, **options)


def test_weights_of_classes_with_a_target_for_each_step() -> None:
    """Keras itself cannot give steps the weights of their classes; `step_weights` can."""
    for home in (ours, L):
        model = tagger(home)
        model.compile(loss="binary_crossentropy")
        with pytest.raises(TypeError):
            model.fit(X, LABELS, class_weight={0: 0.1, 1: 3.0}, verbose=0)
    weights = ours.step_weights(LABELS, {0: 0.1, 1: 3.0})
    np.testing.assert_array_equal(weights, np.where(LABELS[..., 0] > 0, np.float32(3.0), np.float32(0.1)))
    assert_fits_alike(tagger, X, LABELS, loss="binary_crossentropy", sample_weight=weights)


def test_stock_keras_takes_both_sides_to_be_as_wide() -> None:
    """A bug of stock Keras: the shape that it infers for "concat" is twice that of the forward layer."""

    def inferred(home: Any, merge_mode: str | None = "concat", **options: Any) -> Any:
        layer = home.LSTM(4, return_sequences=True, **options)
        backward = home.LSTM(6, return_sequences=True, go_backwards=True, **options)
        outputs = home.Bidirectional(layer, backward_layer=backward, merge_mode=merge_mode)(keras.Input((5, 3)))
        return [each.shape for each in keras.tree.flatten(outputs)]

    assert inferred(L) == [(None, 5, 8)]
    assert inferred(ours) == [(None, 5, 10)]
    assert inferred(ours, merge_mode=None) == [(None, 5, 4), (None, 5, 6)]
    states = [(None, 4), (None, 4), (None, 6), (None, 6)]
    assert inferred(ours, return_state=True) == [(None, 5, 10), *states]
    assert inferred(ours, merge_mode=None, return_state=True) == [(None, 5, 4), (None, 5, 6), *states]
    backward = ours.GRU(6, return_sequences=True, go_backwards=True)
    model = sequential(ours.Bidirectional(ours.GRU(4, return_sequences=True), backward_layer=backward), L.Dense(1))
    assert model.predict(X, verbose=0).shape == (6, 5, 1)


@pytest.mark.parametrize("merge_mode", ["sum", "mul", "ave"])
def test_widths_that_cannot_be_merged_are_refused_when_a_layer_is_built(merge_mode: str) -> None:
    def layer() -> Any:
        return ours.Bidirectional(ours.GRU(4), backward_layer=ours.LSTM(6, go_backwards=True), merge_mode=merge_mode)

    message = f"merge_mode='{merge_mode}' needs equal widths, but the forward layer has 4 units and the backward"
    with pytest.raises(InputError, match=message):
        layer().build((None, 5, 3))
    with pytest.raises(InputError, match=message):
        layer()(keras.Input((5, 3)))
    with pytest.raises(InputError, match=message):
        sequential(layer())


def test_masks_reach_what_has_steps_and_nothing_else() -> None:
    x = L.Masking()(keras.Input((5, 3)))
    layer = ours.Bidirectional(ours.LSTM(4, return_sequences=True, return_state=True), merge_mode=None)
    forward, backward, *states = layer(x)
    masks = [getattr(each, "_keras_mask", None) for each in (forward, backward, *states)]
    assert [mask is None for mask in masks] == [False, False, True, True, True, True]
    last = ours.Bidirectional(ours.LSTM(4))(x)
    assert getattr(last, "_keras_mask", None) is None


def test_stateful_layers_that_return_their_states_take_masks() -> None:
    """Stock Keras fails in `compute_mask` of a stateful `Bidirectional`: it multiplies a generator."""

    def outputs(home: Any) -> Any:
        layer = home.Bidirectional(home.LSTM(4, return_sequences=True, return_state=True, stateful=True))
        return layer(L.Masking()(PADDED))

    with pytest.raises(TypeError):
        outputs(L)
    assert [tuple(each.shape) for each in outputs(ours)] == [(6, 5, 8), *[(6, 4)] * 4]

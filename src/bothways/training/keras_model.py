"""The Keras model of a network."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import keras

from bothways.layers import GRU, LSTM, Bidirectional, SimpleRNN
from bothways.network import Network, Recurrent
from bothways.training.batches import Bucket
from bothways.training.initial import Floats

CELL_LAYERS: dict[str, Callable[..., Any]] = {
    "lstm": LSTM,
    "gru": GRU,
    "rnn": SimpleRNN,
    "rnn_relu": partial(SimpleRNN, activation="relu"),
    "gru_reset_before": partial(GRU, reset_after=False),
}


def keras_model(network: Network, masked: bool) -> Any:
    """Build the Keras model of a network, up to its scores (logits); standardisation stays outside.

    Its weights are zeros: set them with `set_weights`. It computes in float32, whatever the policy of Keras.

    Args:
        network: what to build.
        masked: whether it takes a mask `(batch, time)` beside `x`, True where a step counts.

    Returns:
        A `keras.Model` from `x` `(batch, time, features)`, or `[x, mask]`, to `(batch, time, outputs)`.

    Example:
        >>> model = keras_model(Network(features=3, classes=5, units=8), masked=False)
        >>> model.output_shape
        (None, None, 5)
    """
    x = keras.Input((None, network.features), dtype="float32", name="x")
    mask = keras.Input((None,), dtype="bool", name="mask") if masked else None
    outputs = x
    for layer in network.recurrent:
        outputs = _recurrent(layer, outputs, mask)
    head = keras.layers.Dense(network.outputs, kernel_initializer="zeros", dtype="float32", name="head")
    scores = head(outputs)
    return keras.Model(x if mask is None else [x, mask], scores)


def _recurrent(layer: Recurrent, x: Any, mask: Any) -> Any:
    cell = CELL_LAYERS[layer.cell](
        layer.units,
        return_sequences=True,
        go_backwards=layer.directions == ("backward",),
        kernel_initializer="zeros",
        recurrent_initializer="zeros",
        dtype="float32",
        name=layer.name,
    )
    if len(layer.directions) == 2:
        return Bidirectional(cell, merge_mode=layer.merge_mode, dtype="float32", name=layer.name)(x, mask=mask)
    outputs = cell(x, mask=mask)
    # A Keras layer that goes backwards gives its outputs in the order of its going.
    return keras.ops.flip(outputs, axis=1) if cell.go_backwards else outputs


def compile_model(network: Network, model: Any, learning_rate: Any) -> None:
    """Give a model its loss and its optimizer.

    The loss is the mean cross-entropy over the steps that count; the optimizer is Adam (Kingma and Ba 2015), with
    gradients scaled down to a norm of 1 where they are longer, lest one long sequence undo the training.

    Args:
        network: what `model` was built from.
        model: what `keras_model` built.
        learning_rate: a number, or a schedule of Keras.
    """
    losses = keras.losses
    crossentropy = losses.BinaryCrossentropy if network.outputs == 1 else losses.SparseCategoricalCrossentropy
    loss = crossentropy(from_logits=True, reduction="mean_with_sample_weight", dtype="float32")
    model.compile(optimizer=keras.optimizers.Adam(learning_rate, global_clipnorm=1.0), loss=loss)
    model.optimizer.build(model.trainable_variables)


def labeled_arrays(bucket: Bucket) -> tuple[Any, Any, Any]:
    """The inputs of a bucket, its labels `(sequences, time, 1)`, and which steps are valid."""
    return bucket.x, bucket.y[..., None], bucket.valid


def batch(model: Any, data: tuple[Any, Any, Any], rows: Any) -> tuple[Any, Any, Any]:
    """A batch as the model takes it: inputs, labels, weights `(batch, time)`.

    Args:
        model: what `keras_model` built.
        data: what `labeled_arrays` gave, or the same as arrays of a Keras backend.
        rows: which sequences; those below 0 weigh nothing.
    """
    x, y, valid = (array[rows] for array in data)
    weights = (valid & (rows >= 0)[:, None]).astype("float32")
    return (x if len(model.inputs) == 1 else [x, valid]), y, weights


def set_weights(network: Network, model: Any, weights: dict[str, Floats]) -> None:
    """Put weights, named as `network.weight_shapes()` names them, into its Keras model."""
    model.set_weights([weights[name] for name in _names(network)])


def get_weights(network: Network, model: Any) -> dict[str, Floats]:
    """The weights of the Keras model of a network, by name."""
    return dict(zip(_names(network), model.get_weights(), strict=True))


def _names(network: Network) -> list[str]:
    return [name for name in network.weight_shapes() if not name.startswith("input/")]

"""The Keras model of a network, its loss and its optimizer, and how its weights and batches go in and out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import keras
from keras import ops

from bothways.layers import GRU, LSTM, Bidirectional, SimpleRNN
from bothways.network import MANY_CODES, Network, Recurrent
from bothways.runtime.crf import NEVER
from bothways.sequences import Floats
from bothways.training.batches import Bucket
from bothways.training.network_layers import InputEncoder, SequenceDropout, Spread, Transitions

BETA_2, OF_RARE = 0.999, 0.99
"""How slowly Adam forgets squares of gradients; the second is for codes of which most are rare. After a single
gradient, whatever its size, a vector moves by 1 / sqrt(1 - beta_2) learning rates in all (Dozat and Manning 2017)."""

LEAST = 1e-30  # smaller sums over labels count as this

CELL_LAYERS: dict[str, Callable[..., Any]] = {
    "lstm": LSTM,
    "gru": GRU,
    "rnn": SimpleRNN,
    "rnn_relu": partial(SimpleRNN, activation="relu"),
    "gru_reset_before": partial(GRU, reset_after=False),
}


def keras_model(network: Network, masked: bool, draws: bool = False, seed: int = 0) -> Any:
    """Build the Keras model of a network, up to its logits; numbers come in standardised.

    Its weights are zeros: set them with `set_weights`. It computes in float32, whatever the policy of Keras. Masked
    steps change nothing, whatever they hold.
    """
    x = keras.Input((None, network.inputs), dtype="float32", name="x")
    mask = keras.Input((None,), dtype="bool", name="mask") if masked else None
    rows, counts = x, mask
    if network.categories or network.convolution or network.encoding == "piecewise":
        rows = InputEncoder(network, draws, seed)(x, valid=mask)
    if network.conv_stride > 1 and mask is not None:
        counts = mask[:, :: network.conv_stride]
    whole = network.per == "sequence"
    for i, layer in enumerate(network.recurrent):
        top = i == network.depth - 1
        if network.dropout:
            rows = SequenceDropout(network.dropout, seed + i, name=f"dropout_{i}")(rows)
        rows = _recurrent(layer, rows, counts, sequences=not (whole and top and not network.pools))
    if network.pools:
        rows = ops.concatenate([_pooled(pool, rows, counts) for pool in network.pools], axis=-1)
    if network.dropout:
        rows = SequenceDropout(network.dropout, seed + network.depth, name="dropout_head")(rows)
    head = keras.layers.Dense(network.outputs, kernel_initializer="zeros", dtype="float32", name="head")
    logits = head(rows)
    if network.head == "crf":
        logits = Transitions(network.classes, name="transitions")(logits)
    if network.conv_stride > 1 and not whole:
        logits = Spread(network.conv_stride, name="spread")(logits, x)
    return keras.Model(x if mask is None else [x, mask], logits)


def _recurrent(layer: Recurrent, x: Any, mask: Any, sequences: bool) -> Any:
    cell = CELL_LAYERS[layer.cell](
        layer.units,
        return_sequences=sequences,
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
    return ops.flip(outputs, axis=1) if cell.go_backwards and sequences else outputs


def _pooled(pool: str, rows: Any, counts: Any) -> Any:
    """The mean or the maximum over the steps that count: `(batch, time, width)` to `(batch, width)`."""
    if pool == "mean":
        if counts is None:
            return ops.mean(rows, axis=1)
        weights = ops.cast(counts, "float32")[..., None]
        return ops.sum(rows * weights, axis=1) / ops.maximum(ops.sum(weights, axis=1), 1.0)
    if counts is not None:
        rows = ops.where(counts[..., None], rows, -1e30)
    return ops.max(rows, axis=1)


class CrfLoss(keras.losses.Loss):
    """How unlikely the labels of sequences are, all together: -log p(labels), shared out among the labels.

    Steps without a label may have any. Labels of weight 0, as those of padding, are no steps of the sequence.
    """

    def __init__(self, transitions: Any) -> None:
        super().__init__(name="crf", dtype="float32")
        self._transitions = transitions

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        """The loss of labels `(batch, time, 1)`, below 0 where there is none, logits, and weights `(batch, time)`."""
        labels, weights = ops.cast(y_true[..., 0], "int32"), ops.cast(sample_weight, "float32")
        known, steps = weights > 0, (weights > 0) | (labels < 0)
        own = ops.arange(y_pred.shape[-1], dtype="int32") == labels[..., None]
        fitting = own | ops.logical_not(known)[..., None]
        # Both sums in one loop: over all sequences of labels, and over those that fit.
        possible = ops.concatenate([ops.ones_like(fitting), fitting])
        sums = self._sum(ops.concatenate([y_pred, y_pred]), possible, ops.concatenate([steps, steps]))
        signs = ops.repeat(ops.convert_to_tensor([1.0, -1.0]), ops.shape(labels)[0])
        return ops.sum(signs * sums) / ops.maximum(ops.sum(weights), 1e-9)

    def _sum(self, z: Any, possible: Any, steps: Any) -> Any:
        """The logarithm of the sum over all possible labels of sequences, for each of them."""
        z = ops.where(possible, z, NEVER)
        highest = ops.stop_gradient(ops.max(z, axis=-1))
        potentials = ops.exp(z - highest[..., None])
        shift = ops.stop_gradient(ops.max(self._transitions))
        follows = ops.exp(self._transitions - shift)

        def step(carry: Any, now: Any) -> Any:
            row, total, begun = carry
            potentials, highest, counts = now
            after = ops.where(begun[:, None], ops.matmul(row, follows), 1.0) * potentials
            size = ops.maximum(ops.sum(after, axis=-1), LEAST)
            total = total + ops.where(counts, ops.log(size) + highest + ops.where(begun, shift, 0.0), 0.0)
            row = ops.where(counts[:, None], after / size[:, None], row)
            return (row, total, begun | counts), None

        first = (ops.zeros_like(z[:, 0]), ops.zeros_like(z[:, 0, 0]), ops.zeros_like(steps[:, 0]))
        in_time = (ops.transpose(potentials, (1, 0, 2)), ops.transpose(highest), ops.transpose(steps))
        (_, total, _), _ = ops.scan(step, first, in_time)
        return total


def compile_model(network: Network, model: Any, clip: float) -> None:
    """Give a model its loss and its optimizer, whose learning rate is to be set for each update.

    The loss is the mean cross-entropy over the labels that count, of a CRF that of sequences of labels; the optimizer
    is Adam (Kingma and Ba 2015), with gradients scaled down where their norm is longer than `clip`, lest one long
    sequence undo the training.
    """
    losses = keras.losses
    if network.head == "crf":
        loss = CrfLoss(model.get_layer("transitions").transitions)
    else:
        crossentropy = losses.BinaryCrossentropy if network.outputs == 1 else losses.SparseCategoricalCrossentropy
        loss = crossentropy(from_logits=True, reduction="mean_with_sample_weight", dtype="float32")
    beta_2 = OF_RARE if sum(network.categories) > MANY_CODES else BETA_2
    model.compile(optimizer=keras.optimizers.Adam(1.0, beta_2=beta_2, global_clipnorm=clip), loss=loss)
    model.optimizer.build(model.trainable_variables)


def labeled_arrays(bucket: Bucket) -> tuple[Any, Any, Any, Any]:
    """The inputs of a bucket, its labels `(sequences, time, 1)` or `(sequences, 1)`, its valid steps, its weights."""
    return bucket.x, bucket.y[..., None], bucket.valid, bucket.weights


def batch(model: Any, data: tuple[Any, Any, Any, Any], rows: Any) -> tuple[Any, Any, Any]:
    """A batch as the model takes it: inputs, labels, weights `(batch, time)` or `(batch,)`."""
    x, y, valid, weights = (array[rows] for array in data)
    there = (rows >= 0).astype("float32")
    weights = weights * (there if weights.ndim == 1 else there[:, None])
    return (x if len(model.inputs) == 1 else [x, valid]), y, weights


def variables(model: Any) -> tuple[list[Any], ...]:
    """Those that are trained, others, the optimizer's and the metrics', as a train step on JAX takes and gives them."""
    return model.trainable_variables, model.non_trainable_variables, model.optimizer.variables, model.metrics_variables


def set_weights(network: Network, model: Any, weights: Mapping[str, Floats]) -> None:
    """Put weights, named as `network.weight_shapes()` names them, into its Keras model."""
    for name, variable in zip(network.trained_shapes(), model.trainable_variables, strict=True):
        variable.assign(weights[name])


def get_weights(network: Network, model: Any) -> dict[str, Floats]:
    """The weights of the Keras model of a network, by name."""
    arrays = map(ops.convert_to_numpy, model.trainable_variables)
    return dict(zip(network.trained_shapes(), arrays, strict=True))

"""The loss of a linear-chain conditional random field in Keras."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from bothways.runtime.crf import NEVER

LEAST = 1e-30
"""Smaller sums count as this."""


class Transitions(keras.layers.Layer):
    """Keeps what is added to the scores of a label for the one before it; scores go through it as they are."""

    def __init__(self, classes: int, name: str) -> None:
        super().__init__(name=name, dtype="float32")
        self.transitions = self.add_weight(shape=(classes, classes), initializer="zeros", name="transitions")
        self.supports_masking = True
        self.built = True

    def call(self, scores: Any) -> Any:
        """The same scores."""
        return scores


class CrfLoss(keras.losses.Loss):
    """How unlikely the labels of sequences are, all together: -log p(labels), shared out among the labels.

    Steps without a label may have any. Labels of weight 0, as those of padding, are no steps of the sequence.

    Args:
        transitions: the weight of `Transitions`.
    """

    def __init__(self, transitions: Any) -> None:
        super().__init__(name="crf", dtype="float32")
        self._transitions = transitions

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        """The loss of labels `(batch, time, 1)`, below 0 where there is none, scores, and weights `(batch, time)`."""
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
        scores = ops.exp(z - highest[..., None])
        shift = ops.stop_gradient(ops.max(self._transitions))
        follows = ops.exp(self._transitions - shift)

        def step(carry: Any, now: Any) -> Any:
            row, total, begun = carry
            scores, highest, counts = now
            after = ops.where(begun[:, None], ops.matmul(row, follows), 1.0) * scores
            size = ops.maximum(ops.sum(after, axis=-1), LEAST)
            total = total + ops.where(counts, ops.log(size) + highest + ops.where(begun, shift, 0.0), 0.0)
            row = ops.where(counts[:, None], after / size[:, None], row)
            return (row, total, begun | counts), None

        first = (ops.zeros_like(z[:, 0]), ops.zeros_like(z[:, 0, 0]), ops.zeros_like(steps[:, 0]))
        in_time = (ops.transpose(scores, (1, 0, 2)), ops.transpose(highest), ops.transpose(steps))
        (_, total, _), _ = ops.scan(step, first, in_time)
        return total

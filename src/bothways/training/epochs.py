"""How epochs run: as one compiled loop on JAX, with one call a batch on other Keras backends."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Protocol

import keras
import numpy as np

from bothways.training.batches import Batches, Bucket
from bothways.training.keras_model import batch, labeled_arrays


class Epochs(Protocol):
    """Runs epochs.

    Attributes:
        compiled: whether an epoch is one compiled loop.
        compile_seconds: how long compiling took.
        losses: the mean loss of each batch since `renew`, before its update.
    """

    compiled: bool
    compile_seconds: float
    losses: list[float]

    def run(self, plan: Iterable[Batches]) -> float:
        """Run one epoch; the weights are in the model afterwards. Returns the mean loss of its batches."""

    def renew(self, buckets: Sequence[Bucket]) -> None:
        """Take other data, of the same shapes."""


class BatchEpochs:
    """Epochs on any Keras backend: one call of `train_on_batch` a batch."""

    compiled = False
    compile_seconds = 0.0

    def __init__(self, model: Any, buckets: Sequence[Bucket], batch_size: int) -> None:
        """Keep the data; arguments as for `bothways.training.compiled.CompiledEpochs`."""
        self._model = model
        self.renew(buckets)

    def renew(self, buckets: Sequence[Bucket]) -> None:
        """Take other data, of the same shapes."""
        self._data = [labeled_arrays(bucket) for bucket in buckets]
        self.losses: list[float] = []

    def run(self, plan: Iterable[Batches]) -> float:
        """Run one epoch; the weights are in the model afterwards. Returns the mean loss of its batches."""
        losses = [
            float(np.asarray(self._model.train_on_batch(*batch(self._model, self._data[bucket], rows))))
            for bucket, order in plan
            for rows in order
        ]
        self.losses += losses
        return float(np.mean(losses))


def epochs(model: Any, buckets: Sequence[Bucket], batch_size: int) -> Epochs:
    """The fastest way to run epochs on the current Keras backend; its `compiled` tells which.

    Args:
        model: a Keras model as `compile_model` leaves it.
        buckets: the data.
        batch_size: sequences an update.
    """
    if keras.backend.backend() != "jax":
        return BatchEpochs(model, buckets, batch_size)
    from bothways.training.compiled import CompiledEpochs  # JAX need not be installed elsewhere

    return CompiledEpochs(model, buckets, batch_size)

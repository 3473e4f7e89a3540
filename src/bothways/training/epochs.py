"""How epochs run: as one compiled loop on JAX, with one call a batch on other Keras backends."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any, Protocol

import numpy as np

from bothways.interrupts import Stop
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

    def run(self, plan: Iterable[Batches], stop: Stop) -> float:
        """Run one epoch; the weights are in the model afterwards.

        Returns:
            The mean loss of its batches; of those before a stop, NaN if there were none.
        """

    def renew(self, buckets: Sequence[Bucket]) -> None:
        """Take other data, of the same shapes."""


class BatchEpochs:
    """Epochs on any Keras backend: one call of `train_on_batch` a batch."""

    compiled = False
    compile_seconds = 0.0

    def __init__(self, model: Any, buckets: Sequence[Bucket]) -> None:
        """Keep the data; arguments as for `bothways.training.compiled.CompiledEpochs`."""
        self._model = model
        self.renew(buckets)

    def renew(self, buckets: Sequence[Bucket]) -> None:
        """Take other data, of the same shapes."""
        self._data = [labeled_arrays(bucket) for bucket in buckets]
        self.losses: list[float] = []

    def run(self, plan: Iterable[Batches], stop: Stop) -> float:
        """Run one epoch, as `Epochs.run` says."""
        losses: list[float] = []
        for bucket, order in plan:
            for rows in order:
                if stop.requested:
                    break
                arrays = batch(self._model, self._data[bucket], rows)
                losses.append(float(np.asarray(self._model.train_on_batch(*arrays))))
        self.losses += losses
        return mean(losses)


def mean(losses: Sequence[float]) -> float:
    """Their mean; NaN if there are none.

    Example:
        >>> mean([0.5, 0.25]), mean([])
        (0.375, nan)
    """
    return float(np.mean(losses)) if losses else math.nan

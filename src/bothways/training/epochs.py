"""How epochs run: as one compiled loop on JAX, with one call a batch on other Keras backends."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import keras
import numpy as np

from bothways.interrupts import Stop
from bothways.sequences import Array, Floats
from bothways.settings import Settings
from bothways.training.batches import Batches, Bucket
from bothways.training.keras_model import batch, labeled_arrays

Schedule = Callable[[Array], Floats]  # from the numbers of updates to their learning rates


class BatchEpochs:
    """Epochs on any Keras backend: one call of `train_on_batch` per batch."""

    compiled = False
    compile_seconds = 0.0

    def __init__(self, model: Any) -> None:
        self._model = model
        self.load([])

    def load(self, buckets: Sequence[Bucket]) -> None:
        """Take data."""
        self._data = [labeled_arrays(bucket) for bucket in buckets]
        self.losses: list[float] = []

    def run(self, plan: Iterable[Batches], schedule: Schedule, stop: Stop) -> float:
        """Run one epoch; the weights are in the model afterwards."""
        losses: list[float] = []
        optimizer = self._model.optimizer
        for bucket, order in plan:
            for rows in order:
                if stop.requested:
                    break
                optimizer.learning_rate = schedule(keras.ops.convert_to_numpy(optimizer.iterations.value)[None]).item()
                arrays = batch(self._model, self._data[bucket], rows)
                losses.append(float(np.asarray(self._model.train_on_batch(*arrays))))
        self.losses += losses
        return mean(losses)


def learning_rates(settings: Settings, updates: int) -> Schedule:
    """The learning rates: they rise in a straight line from nothing, and then fall in one to nothing.

    Example:
        >>> learning_rates(Settings(learning_rate=1.0, warmup=0.33), 6)(np.arange(7)).round(2)
        array([0.5 , 1.  , 1.  , 0.75, 0.5 , 0.25, 0.  ], dtype=float32)
    """
    rising = round(settings.warmup * updates)

    def rates(numbers: Array) -> Floats:
        numbers = numbers.astype(np.float32)
        fall = (updates - numbers) / np.float32(max(1, updates - rising))
        rise = (numbers + 1) / np.float32(rising) if rising else fall
        return np.float32(settings.learning_rate) * np.clip(np.minimum(rise, fall), 0, 1)

    return rates


def mean(losses: Sequence[float]) -> float:
    """Their mean; NaN if there are none."""
    return float(np.mean(losses)) if losses else math.nan

"""A cache of compiled models: one serves many trainings of the same network, such as those of many seeds."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Sequence
from dataclasses import replace
from typing import Any

import keras
import numpy as np

from bothways.network import Network
from bothways.settings import Settings
from bothways.training.batches import Bucket, updates
from bothways.training.embedding import Rates
from bothways.training.epochs import BatchEpochs, Epochs
from bothways.training.keras_model import compile_model, keras_model

KEPT = 64
"""At most this many are kept; the least recently used goes first."""


class CompiledModel:
    """A Keras model and what runs its epochs.

    Args:
        model: as `compile_model` leaves it.
        seed: that its generators of random numbers began with.

    Attributes:
        model: the model.
    """

    def __init__(self, model: Any, seed: int) -> None:
        """Keep what the variables are before any training."""
        self.model = model
        self._seed = seed
        self._values = [np.asarray(variable.value) for variable in _variables(model)]
        self._runner: Epochs | None = None

    def reset(self, seed: int) -> None:
        """Make the model what it would be if it had been made for this seed; its weights are still to be set."""
        for variable, value in zip(_variables(self.model), self._values, strict=True):
            variable.assign(value)
        for generator in _generators(self.model):
            # Each began at the seed of its making and a distance of its own from it.
            first = np.asarray(generator.state.value)
            generator.state.assign(np.array([int(first[0]) - self._seed + seed, 0]).astype(first.dtype))

    def run_on(self, buckets: Sequence[Bucket]) -> Epochs:
        """What runs epochs on data; compiled only the first time."""
        if self._runner is None:
            self._runner = epochs(self.model, buckets)
        else:
            self._runner.renew(buckets)
        return self._runner


class CompiledModels:
    """A cache of compiled models; give one to `bothways.training.train` again and again.

    Training with a model from the cache gives the same weights, bit for bit, as training with a new one.

    Example:
        >>> from bothways.sequences import Sequences
        >>> from bothways.training import train
        >>> x = np.random.default_rng(0).normal(size=(20, 4, 1))
        >>> sequences = Sequences.from_arrays(x, labels=(x > 0).astype(int).ravel())
        >>> network = Network(features=1, classes=2, units=4)
        >>> compiled_models = CompiledModels()
        >>> for seed in range(2):
        ...     trained = train(network, sequences, Settings(epochs=1, seed=seed), compiled_models=compiled_models)
        >>> trained.seconds["compile"]
        0.0
    """

    def __init__(self) -> None:
        """None so far."""
        self._models: OrderedDict[Hashable, CompiledModel] = OrderedDict()

    def ready(
        self, network: Network, buckets: Sequence[Bucket], settings: Settings, unknown_rates: list[Rates] | None
    ) -> CompiledModel:
        """The compiled model of a network, as new; its weights are still to be set.

        Args:
            network: what is trained.
            buckets: the data; only their shapes matter.
            settings: how.
            unknown_rates: as `bothways.training.keras_model.keras_model` takes them.
        """
        masked = not all(bucket.valid.all() for bucket in buckets)
        shapes = tuple((bucket.x.shape, bucket.batch_size) for bucket in buckets)
        rates = tuple(each.tobytes() for each in unknown_rates or ())
        key = (network, replace(settings, seed=0), masked, shapes, rates)
        found = self._models.pop(key, None)
        if found is None:
            model = keras_model(network, masked, unknown_rates, settings.seed)
            compile_model(network, model, settings, settings.epochs * updates(buckets))
            found = CompiledModel(model, settings.seed)
        else:
            found.reset(settings.seed)
        self._models[key] = found
        if len(self._models) > KEPT:
            self._models.popitem(last=False)
        return found


def epochs(model: Any, buckets: Sequence[Bucket]) -> Epochs:
    """The fastest way to run epochs on the current Keras backend; its `compiled` tells which.

    Args:
        model: a Keras model as `compile_model` leaves it.
        buckets: the data.
    """
    if keras.backend.backend() != "jax":
        return BatchEpochs(model, buckets)
    from bothways.training.compiled import CompiledEpochs  # JAX need not be installed elsewhere

    return CompiledEpochs(model, buckets)


def _variables(model: Any) -> list[Any]:
    return [*model.non_trainable_variables, *model.optimizer.variables, *model.metrics_variables]


def _generators(model: Any) -> list[Any]:
    """The generators of random numbers of all layers."""
    found = []
    for layer in model._flatten_layers(include_self=False):
        found += [each for each in vars(layer).values() if isinstance(each, keras.random.SeedGenerator)]
    return found

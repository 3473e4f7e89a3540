"""Compiled programs that serve more than one training: for many seeds of one network."""

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
from bothways.training.epochs import Epochs, epochs
from bothways.training.front import Rates
from bothways.training.keras_model import compile_model, keras_model

KEPT = 64
"""So many programs are kept; the one that was not used for longest goes first."""


class Program:
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

    def renew(self, seed: int) -> None:
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


class Programs:
    """Programs by what they were made for; give one to `bothways.training.train` again and again.

    Training that starts with a program which is there gives the same weights, bit for bit, as training that makes one.

    Example:
        >>> from bothways.training import Examples, train
        >>> x = np.random.default_rng(0).normal(size=(20, 4, 1))
        >>> examples, network = Examples(list(x), (x > 0).astype(int).ravel()), Network(features=1, classes=2, units=4)
        >>> programs = Programs()
        >>> for seed in range(2):
        ...     trained = train(network, examples, Settings(epochs=1, seed=seed), programs=programs)
        >>> trained.seconds["compile"]
        0.0
    """

    def __init__(self) -> None:
        """None so far."""
        self._programs: OrderedDict[Hashable, Program] = OrderedDict()

    def ready(
        self, network: Network, buckets: Sequence[Bucket], settings: Settings, unknown_rates: list[Rates] | None
    ) -> Program:
        """The program for a network, with the model as new; its weights are still to be set.

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
        program = self._programs.pop(key, None)
        if program is None:
            model = keras_model(network, masked, unknown_rates, settings.seed)
            compile_model(network, model, settings, settings.epochs * updates(buckets))
            program = Program(model, settings.seed)
        else:
            program.renew(settings.seed)
        self._programs[key] = program
        if len(self._programs) > KEPT:
            self._programs.popitem(last=False)
        return program


def _variables(model: Any) -> list[Any]:
    return [*model.non_trainable_variables, *model.optimizer.variables, *model.metrics_variables]


def _generators(model: Any) -> list[Any]:
    """The generators of random numbers of all layers."""
    found = []
    for layer in model._flatten_layers(include_self=False):
        found += [each for each in vars(layer).values() if isinstance(each, keras.random.SeedGenerator)]
    return found

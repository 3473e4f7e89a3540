"""Compiled programs that serve more than one training: for many seeds of one network."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

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


class _Program(NamedTuple):
    """A model, what runs its epochs, and the values of its variables before it was trained."""

    model: Any
    runner: Epochs
    values: list[Any]
    seed: int

    def renew(self, buckets: Sequence[Bucket], seed: int) -> None:
        """Make it as if it had been made for these data and this seed."""
        for variable, value in zip(_variables(self.model), self.values, strict=True):
            variable.assign(value)
        for generator in _generators(self.model):
            # Each began at the seed of its making and a distance of its own from it.
            first = np.asarray(generator.state.value)
            generator.state.assign(np.array([first[0] - self.seed + seed, 0]).astype(first.dtype))
        self.runner.renew(buckets)


class Programs:
    """Programs by what they were made for; give one to `bothways.training.train` again and again.

    Training that starts with a program which is there gives the same weights, bit for bit, as training that makes one.

    Example:
        >>> import numpy as np
        >>> from bothways.network import Network
        >>> from bothways.training import Examples, Settings, train
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
        self._programs: OrderedDict[Hashable, _Program] = OrderedDict()

    def ready(
        self, network: Network, buckets: Sequence[Bucket], settings: Settings, unknown_rates: list[Rates] | None
    ) -> tuple[Any, Epochs]:
        """The Keras model of a network as new, its weights still to be set, and what runs its epochs on `buckets`."""
        masked = not all(bucket.valid.all() for bucket in buckets)
        shapes = tuple(bucket.x.shape for bucket in buckets)
        rates = tuple(each.tobytes() for each in unknown_rates or ())
        key = (network, replace(settings, seed=0), masked, shapes, rates)
        program = self._programs.pop(key, None)
        if program is None:
            model = keras_model(network, masked, unknown_rates, settings.seed)
            compile_model(network, model, settings, settings.epochs * updates(buckets, settings.batch_size))
            runner = epochs(model, buckets, settings.batch_size)
            program = _Program(model, runner, [np.asarray(v.value) for v in _variables(model)], settings.seed)
        else:
            program.renew(buckets, settings.seed)
        self._programs[key] = program
        if len(self._programs) > KEPT:
            self._programs.popitem(last=False)
        return program.model, program.runner


def _variables(model: Any) -> list[Any]:
    return [*model.non_trainable_variables, *model.optimizer.variables, *model.metrics_variables]


def _generators(model: Any) -> list[Any]:
    """The generators of random numbers of all layers."""
    found = []
    for layer in model._flatten_layers(include_self=False):
        found += [each for each in vars(layer).values() if isinstance(each, keras.random.SeedGenerator)]
    return found

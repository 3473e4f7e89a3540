"""Compiled programs that serve more than one training: for many seeds of one network."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np

from bothways.training.batches import Bucket
from bothways.training.epochs import Epochs

KEPT = 64
"""So many programs are kept; the one that was not used for longest goes first."""


class _Program(NamedTuple):
    """A model, what runs its epochs, and the values of its variables before it was trained."""

    model: Any
    runner: Epochs
    values: list[Any]
    seed: int


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
        self, key: Hashable, make: Callable[[], tuple[Any, Epochs]], buckets: Sequence[Bucket], seed: int
    ) -> tuple[Any, Epochs]:
        """A model as new and what runs its epochs on `buckets`; its weights are still to be set.

        Args:
            key: what programs are made for: equal keys, equal programs.
            make: makes the model and the runner, from `seed`.
            buckets: the data; of the shapes that the program was made for.
            seed: of the random numbers of training.
        """
        program = self._programs.pop(key, None)
        if program is None:
            model, runner = make()
            program = _Program(model, runner, [np.asarray(v.value) for v in _variables(model)], seed)
        else:
            for variable, value in zip(_variables(program.model), program.values, strict=True):
                variable.assign(value)
            for generator in _generators(program.model):
                # Each began at the seed of its making and a distance of its own from it.
                state = np.asarray(generator.state.value)
                generator.state.assign(np.array([state[0] - program.seed + seed, 0], state.dtype))
            program.runner.renew(buckets)
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

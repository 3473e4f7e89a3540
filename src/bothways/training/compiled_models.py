"""A cache of compiled models: trainings of one network on data of one shape compile once."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from itertools import chain
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from bothways.network import Network
from bothways.sequences import Floats
from bothways.settings import Settings
from bothways.training.epochs import BatchEpochs
from bothways.training.examples import TrainingData
from bothways.training.keras_model import compile_model, keras_model, variables

if TYPE_CHECKING:
    from bothways.training.compiled import CompiledEpochs

KEPT = 32  # the most models that are kept; the least recently used goes first

_lock = threading.Lock()
_free: OrderedDict[Hashable, CompiledModel] = OrderedDict()  # models that no training uses now


@contextmanager
def compiled_model(
    network: Network, settings: Settings, prepared: TrainingData, unknown_rates: Floats | None
) -> Iterator[CompiledModel]:
    """A compiled model for the block alone, as new; its weights are still to be set.

    Training with a model from the cache gives the same weights, bit for bit, as training with a new one.
    """
    masked = not all(bucket.valid.all() for bucket in prepared.buckets)
    key = (keras.backend.backend(), network, settings.clip, masked, unknown_rates is not None)
    with _lock:
        model = _free.pop(key, None)
    if model is None:
        model = CompiledModel(network, masked, unknown_rates is not None, settings)
    model.reset(settings.seed, unknown_rates)
    if network.encoding == "piecewise":
        model.keras_model.get_layer("input_encoder").set_bins(prepared.numbers)
    yield model
    model.epochs.load([])
    with _lock:
        _free[key] = model
        while len(_free) > KEPT:
            _free.popitem(last=False)


class CompiledModel:
    """A Keras model and what runs its epochs."""

    def __init__(self, network: Network, masked: bool, draws: bool, settings: Settings) -> None:
        self.keras_model = keras_model(network, masked, draws, settings.seed)
        compile_model(network, self.keras_model, settings.clip)
        self.epochs = best_epochs(self.keras_model)
        self._seed = settings.seed
        # Copies: `np.asarray` would show what torch makes of its variables later.
        self._values = [keras.ops.convert_to_numpy(variable.value) for variable in self._variables()]

    def reset(self, seed: int, unknown_rates: Floats | None) -> None:
        """Make the model what it would be if it had been made for this seed; its weights are still to be set."""
        for variable, value in zip(self._variables(), self._values, strict=True):
            variable.assign(value)
        for layer in self.keras_model._flatten_layers(include_self=False):
            for generator in vars(layer).values():
                if isinstance(generator, keras.random.SeedGenerator):
                    # Each began at the seed of its making and a distance of its own from it.
                    first = np.asarray(generator.state.value)
                    generator.state.assign(np.array([int(first[0]) - self._seed + seed, 0]).astype(first.dtype))
        if unknown_rates is not None:
            self.keras_model.get_layer("input_encoder").set_unknown_rates(unknown_rates)

    def _variables(self) -> Iterator[Any]:
        """All but those that are trained."""
        return chain.from_iterable(variables(self.keras_model)[1:])


def best_epochs(model: Any) -> BatchEpochs | CompiledEpochs:
    """The fastest way to run epochs on the current Keras backend; its `compiled` tells which."""
    if keras.backend.backend() != "jax":
        return BatchEpochs(model)
    from bothways.training.compiled import CompiledEpochs  # JAX need not be installed elsewhere

    return CompiledEpochs(model)

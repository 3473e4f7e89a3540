"""The layers of a network that Keras and the engine lack: its input encoder, dropout, and what stands behind the head.

Keras draws random numbers by Threefry, whose compilation by XLA costs about a second for each place that draws. Here a
place costs nothing to speak of: numbers are hashes of their index and of the state of Keras's `SeedGenerator`, the same
on every backend.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
from keras import ops

from bothways.network import Network
from bothways.sequences import Floats

GOLDEN = 0x9E3779B1 - (1 << 32)
"""An odd number without a pattern in its bits (2^32 over the golden ratio), so that neighbours are far apart."""


def uniform(generator: Any, shape: Any) -> Any:
    """Uniform float32 numbers from 0 up to 1, and the next state of the generator.

    The hash is "lowbias32" (Wellons 2018, https://nullprogram.com/blog/2018/07/31/), in signed numbers, which every
    backend multiplies.
    """
    seed = ops.cast(generator.next(), "int32")
    places = ops.arange(math.prod(shape), dtype="int32") * GOLDEN
    bits = _hashed(places + _hashed(seed[0] + _hashed(seed[1] + GOLDEN)))
    return ops.reshape(ops.cast(_shifted(bits, 8), "float32") * 2.0**-24, shape)


def _hashed(x: Any) -> Any:
    x = ops.bitwise_xor(x, _shifted(x, 16)) * 0x7FEB352D
    x = ops.bitwise_xor(x, _shifted(x, 15)) * (0x846CA68B - (1 << 32))
    return ops.bitwise_xor(x, _shifted(x, 16))


def _shifted(x: Any, bits: int) -> Any:
    """`x` shifted to the right, zeros shifted in."""
    return ops.bitwise_and(ops.bitwise_right_shift(x, bits), (1 << (32 - bits)) - 1)


class SequenceDropout(keras.layers.Layer):
    """Dropout by one draw for all steps of a sequence (Gal and Ghahramani 2016)."""

    def __init__(self, rate: float, seed: int, name: str) -> None:
        super().__init__(name=name, dtype="float32")
        self._rate = rate
        self._draws = keras.random.SeedGenerator(seed)
        self.supports_masking = True

    def call(self, rows: Any, training: bool = False) -> Any:
        """From rows `(batch, time, width)` or `(batch, width)` to the same, scaled up for what is left out."""
        if not training:
            return rows
        shape = ops.shape(rows)
        drawn = uniform(self._draws, (shape[0], 1, shape[2]) if len(shape) == 3 else shape)
        return rows * ops.cast(drawn >= self._rate, "float32") / (1 - self._rate)

    def compute_output_spec(self, rows: Any, training: bool = False) -> Any:
        """The shape of what it gives."""
        return keras.KerasTensor(rows.shape, dtype="float32")


class InputEncoder(keras.layers.Layer):
    """Numbers piecewise, vectors for categories, and the convolution; weights stand as in `Network.weight_shapes`.

    In training a category is taken for the unknown one at random, the more often the rarer it is, so that the unknown
    one has a vector that means something (Kiperwasser and Goldberg 2016, section 4). One draw decides for all
    categories of a step: with a view of a word all rarer ones are unknown, as they are for new words.
    """

    def __init__(self, network: Network, draws: bool = False, seed: int = 0) -> None:
        super().__init__(name="input_encoder", dtype="float32")
        self._network = network
        self._draws = keras.random.SeedGenerator(seed) if draws else None

    def build(self, *shapes: Any) -> None:
        """Make the weights, all zeros."""
        names = ("categories/", "convolution/")
        self._tables = [
            self.add_weight(shape=shape, initializer="zeros", name=name.replace("/", "_"))
            for name, shape in self._network.weight_shapes().items()
            if name.startswith(names)
        ]
        # Not constants, so that the compiled program serves all data.
        bins = (self._network.channels, self._network.bins_per_number)
        self._bins = [
            self.add_weight(shape=bins, initializer="zeros", trainable=False, name=name)
            for name in ("centers", "slopes")
            if self._network.encoding == "piecewise"
        ]
        self._unknown_rates = None
        if self._draws is not None:
            codes = (sum(self._network.categories),)
            self._unknown_rates = self.add_weight(shape=codes, initializer="zeros", trainable=False, name="unknown")
        self.built = True

    def set_bins(self, weights: Mapping[str, Floats]) -> None:
        """Say how numbers are encoded, by the weights that the network has for it."""
        for variable, name in zip(self._bins, ("input/centers", "input/slopes"), strict=False):
            variable.assign(weights[name])

    def set_unknown_rates(self, rates: Floats) -> None:
        """Say for the codes of all categories, one category after the other, how likely training takes each for 0."""
        assert self._unknown_rates is not None
        self._unknown_rates.assign(rates)

    def call(self, x: Any, valid: Any = None, training: bool = False) -> Any:
        """From `x` `(batch, time, inputs)`, and a mask `(batch, time)`, to `(batch, outputs in time, width)`."""
        network, convolution = self._network, self._network.convolution
        parts = [x[..., : network.channels]] if network.channels else []
        if parts and self._bins:
            centers, slopes = self._bins
            bins = ops.clip((parts[0][..., None] - centers) * slopes, -1, 1)
            parts = [ops.reshape(bins, (*ops.shape(x)[:2], network.channels * network.bins_per_number))]
        if network.categories:
            unknown = np.array(network.first_codes, np.int32)
            codes = ops.cast(x[..., network.channels :], "int32") + unknown
            if training and self._draws is not None:
                drawn = uniform(self._draws, (*ops.shape(codes)[:2], 1))
                codes = ops.where(drawn < ops.take(self._unknown_rates, codes), unknown, codes)
            vectors = ops.take(self._tables[0], codes, axis=0)
            parts.append(ops.reshape(vectors, (*ops.shape(x)[:2], len(network.categories) * network.embedding)))
        rows = parts[0] if len(parts) == 1 else ops.concatenate(parts, axis=-1)
        if convolution is None:
            return rows
        if valid is not None:  # what is padding for the batch must be zeros for the convolution
            rows = rows * ops.cast(valid, "float32")[..., None]
        kernel, bias = self._tables[-2:]
        rows = ops.pad(rows, ((0, 0), convolution.padding, (0, 0)))
        # As a product: within a loop, as epochs are, XLA takes many times as long for a convolution.
        starts = ops.shape(rows)[1] - convolution.window + 1
        seen = [rows[:, i : i + starts : convolution.stride] for i in range(convolution.window)]
        kernel = ops.reshape(kernel, (-1, convolution.filters))
        return ops.relu(ops.matmul(ops.concatenate(seen, axis=-1), kernel) + bias)

    def compute_output_spec(self, x: Any, valid: Any = None, training: bool = False) -> Any:
        """The shape of what it gives; the number of steps is left open."""
        width = self._network.recurrent[0].features
        return keras.KerasTensor((x.shape[0], None, width), dtype="float32")


class Spread(keras.layers.Layer):
    """Gives each step the logits of the output of the convolution that stands for it."""

    def __init__(self, stride: int, name: str) -> None:
        super().__init__(name=name, dtype="float32")
        self._stride = stride
        self.supports_masking = True  # its input has a mask of Keras on it

    def compute_mask(self, *arguments: Any) -> None:
        """What it gives has no mask; the weights of labels say what counts."""

    def call(self, logits: Any, x: Any) -> Any:
        """From `(batch, outputs in time, width)` to `(batch, time, width)`, with as many steps as `x` has."""
        return ops.repeat(logits, self._stride, axis=1)[:, : ops.shape(x)[1]]

    def compute_output_spec(self, logits: Any, x: Any) -> Any:
        """The shape of what it gives."""
        return keras.KerasTensor((*x.shape[:2], logits.shape[-1]), dtype="float32")


class Transitions(keras.layers.Layer):
    """Keeps what is added to the logits of a label for the one before it; logits go through it as they are."""

    def __init__(self, classes: int, name: str) -> None:
        super().__init__(name=name, dtype="float32")
        self.transitions = self.add_weight(shape=(classes, classes), initializer="zeros", name="transitions")
        self.supports_masking = True
        self.built = True

    def call(self, logits: Any) -> Any:
        """The same logits."""
        return logits

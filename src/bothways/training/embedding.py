"""The input encoder of a network in Keras: from standardised numbers and codes to the rows that layers read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
from keras import ops

from bothways.network import Network
from bothways.sequences import Floats
from bothways.training.dropout import uniform


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
        return ops.relu(ops.conv(rows, kernel, strides=convolution.stride, padding="valid") + bias)

    def compute_output_spec(self, x: Any, valid: Any = None, training: bool = False) -> Any:
        """The shape of what it gives; the number of steps is left open."""
        width = self._network.recurrent[0].features
        return keras.KerasTensor((x.shape[0], None, width), dtype="float32")

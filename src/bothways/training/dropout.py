"""Random numbers inside training, and dropout by them.

Keras draws by Threefry, whose compilation by XLA costs about a second for each place that draws. Here a place costs
nothing to speak of: numbers are hashes of their index and of the state of Keras's `SeedGenerator`, the same on every
backend.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

GOLDEN = 0x9E3779B1 - (1 << 32)
"""An odd number without a pattern in its bits (2^32 over the golden ratio), so that neighbours are far apart."""


def uniform(generator: Any, shape: Any) -> Any:
    """Uniform float32 numbers from 0 up to 1, and the next state of the generator.

    The hash is "lowbias32" (Wellons 2018, https://nullprogram.com/blog/2018/07/31/), in signed numbers, which every
    backend multiplies.

    Example:
        >>> draws = keras.ops.convert_to_numpy(uniform(keras.random.SeedGenerator(0), (1000,)))
        >>> bool(0 <= draws.min() < 0.01 and 0.45 < draws.mean() < 0.55 and 0.99 < draws.max() < 1)
        True
    """
    seed = ops.cast(generator.next(), "int32")
    count = 1
    for size in shape:
        count = count * size
    places = ops.arange(count, dtype="int32") * GOLDEN
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

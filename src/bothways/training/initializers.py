"""The weights that training starts from, made in NumPy: the same on every Keras backend.

Those of layers are drawn. Those of numbers say how these enter the network, and are learned from the train part first.
"""

from __future__ import annotations

import math
import zlib

import numpy as np

from bothways.network import Network
from bothways.runtime.numbers import numbers
from bothways.sequences import Array, Doubles, Floats, Sequences
from bothways.spec import cell_spec

ROWS = 200_000  # about this many steps, spread over all, give the quantiles
STEEPEST = 1e30  # the largest slope


def initial_weights(network: Network, seed: int) -> dict[str, Floats]:
    """Weights by Keras's rules, from `seed` and their own names alone.

    Kernels are uniform after Glorot and Bengio 2010, recurrent kernels orthogonal (Saxe et al. 2014), biases
    zero but one for a forget gate (Jozefowicz et al. 2015), vectors of categories uniform within 0.05. Since each array
    has its own random stream, the forward layer starts the same whether or not a backward one stands beside it.
    """
    weights = {}
    for name, shape in network.trained_shapes().items():
        generator = np.random.default_rng([seed, zlib.crc32(name.encode())])
        if name.endswith("/recurrent_kernel"):
            array = _orthogonal(shape, generator)
        elif name.endswith("/kernel"):
            *window, fan_in, fan_out = shape
            limit = np.sqrt(6 / ((fan_in + fan_out) * math.prod(window)))
            array = generator.uniform(-limit, limit, shape)
        elif name.endswith("/embeddings"):
            array = generator.uniform(-0.05, 0.05, shape)
        else:
            array = np.zeros(shape)
            if name.startswith("recurrent_"):
                array += np.repeat([gate == "forget" for gate in cell_spec(network.cell).gates], network.units)
        weights[name] = array.astype(np.float32)
    return weights


def _orthogonal(shape: tuple[int, ...], generator: np.random.Generator) -> Doubles:
    """Orthonormal rows, uniform among all such matrices (Mezzadri 2007, the signs of the diagonal taken out)."""
    rows, columns = shape
    q, r = np.linalg.qr(generator.standard_normal((columns, rows)))
    return np.asarray((q * np.sign(np.diag(r))).T)


def number_weights(network: Network, sequences: Sequences) -> dict[str, Floats]:
    """The weights of a network that are about numbers.

    Standardised, numbers have mean 0 and deviation 1. Those that enter piecewise have median 0 and quartiles 1 apart,
    lest a few huge ones take the digits of all others.
    """
    found = numbers(network, sequences.values, sequences.lengths)
    mean, deviation = _moments(found)
    if network.encoding == "standard":
        return {"input/mean": mean, "input/scale": deviation}
    some = found[:: 1 + len(found) // ROWS]
    low, mean, high = np.quantile(some, (0.25, 0.5, 0.75), axis=0).astype(np.float32)
    scale = np.where(high > low, high - low, deviation)
    z = np.subtract(some, mean, dtype=np.float64) / scale
    centers, slopes = np.zeros((2, network.channels, network.bins_per_number), np.float32)
    for i, column in enumerate(z.T):
        edges = quantile_edges(column.astype(np.float32), network.bins_per_number)
        centers[i, : len(edges) - 1] = (edges[1:] + edges[:-1]) / 2
        slopes[i, : len(edges) - 1] = np.minimum(2 / np.diff(edges), STEEPEST)
    return {"input/mean": mean, "input/scale": scale, "input/centers": centers, "input/slopes": slopes}


def quantile_edges(column: Floats, bins: int) -> Array:
    """The edges of bins of about the same size; fewer where the column has fewer values.

    No value counts for more than half a bin, lest one that is very frequent leaves none for the others.
    """
    distinct, counts = np.unique(column.astype(np.float64), return_counts=True)
    if len(distinct) <= bins + 1:
        return distinct
    ranks = np.cumsum(np.minimum(counts, max(1, np.minimum(counts, counts.sum() / bins).sum() / (2 * bins))))
    return np.unique(distinct[np.searchsorted(ranks, np.linspace(ranks[0], ranks[-1], bins + 1))])


def _moments(found: Array) -> tuple[Floats, Floats]:
    """The mean and deviation of each number; the deviation of a constant one is 1."""
    mean = found.mean(axis=0, dtype=np.float64).astype(np.float32)
    deviation = np.sqrt(np.square(np.subtract(found, mean, dtype=np.float64)).mean(axis=0)).astype(np.float32)
    constant = (found.min(axis=0) == found.max(axis=0)) | (deviation == 0)
    return mean, np.where(constant, np.float32(1), deviation)

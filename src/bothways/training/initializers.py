"""The weights that training starts from, made in NumPy: the same on every Keras backend."""

from __future__ import annotations

import math
import zlib

import numpy as np
import numpy.typing as npt

from bothways.network import Network
from bothways.spec import cell_spec

Floats = npt.NDArray[np.float32]


def initial_weights(network: Network, seed: int) -> dict[str, Floats]:
    """Weights by Keras's rules, from `seed` and their own names alone.

    Kernels are uniform after Glorot and Bengio 2010, recurrent kernels orthogonal (Saxe et al. 2014), biases
    zero but one for a forget gate (Jozefowicz et al. 2015), vectors of categories uniform within 0.05. Since each array
    has its own random stream, the forward layer starts the same whether or not a backward one stands beside it.
    """
    weights = {}
    for name, shape in network.weight_shapes().items():
        if name.startswith("input/"):
            continue
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


def _orthogonal(shape: tuple[int, ...], generator: np.random.Generator) -> npt.NDArray[np.float64]:
    """Orthonormal rows, uniform among all such matrices (Mezzadri 2007, the signs of the diagonal taken out)."""
    rows, columns = shape
    q, r = np.linalg.qr(generator.standard_normal((columns, rows)))
    return np.asarray((q * np.sign(np.diag(r))).T)

"""Networks whose weights are drawn at random, for tests of models that need no training."""

from __future__ import annotations

import numpy as np

from bothways.network import Network
from bothways.runtime import Member


def random_member(
    network: Network, seed: int | np.random.Generator = 0, spread: float = 0.5, share: float = 1.0
) -> Member:
    random = np.random.default_rng(seed)
    weights = {name: spread * random.normal(size=shape) for name, shape in network.weight_shapes().items()}
    weights["input/scale"] = np.abs(weights["input/scale"]) + 0.5
    return Member(network, {name: array.astype(np.float32) for name, array in weights.items()}, share)
